//! Text put into the fields of a row that is else whole, in every wrapper: nothing panics, and what wraps a row
//! does not change it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postmesh::decode::log::{Content, LogDecoder};

fn content(data: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    LogDecoder::default().decode_block(data, &mut |_, line| {
        found.push(match &line.content {
            Content::Access(row) => format!("{row:?}"),
            other => format!("{other:?}"),
        });
    });
    found
}

fuzz_target!(|parts: (&[u8], &[u8], &[u8])| {
    let (middle, quoted, tail) = parts;
    let mut row = b"[2026-11-22T16:50:43.147Z] \"GET / HTTP/1.1\" 200 - ".to_vec();
    for part in [middle, b" 0 538 8 6 \"-\" \"", quoted, b"\" \"id\" \"a:80\" \"10.0.0.1:80\" ", tail] {
        row.extend(part.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    }
    let plain = content(&row);
    let wrapped = [b"2026-11-22T16:50:44.1Z stdout F ".as_slice(), &row].concat();
    assert_eq!(plain, content(&wrapped));
});
