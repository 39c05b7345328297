//! Any text as a format string, and any lines in its format: it is compiled or refused, and what is read does not depend on how often
//! it is read, nor on where a block is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postmesh::decode::log::{Layout, Layouts, LogDecoder, may_cut_with};

fn lines(decoder: &mut LogDecoder, data: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    decoder.decode_block(data, &mut |_, line| found.push(format!("{:?}", line.content)));
    found
}

fuzz_target!(|parts: (&str, &[u8])| {
    let (format, data) = parts;
    let Ok(layout) = Layout::compile(format) else { return };
    let _ = layout.is_known();
    let layouts = Layouts::new([layout]);
    let mut decoder = LogDecoder::with_layouts(&layouts);
    let whole = lines(&mut decoder, data);
    assert_eq!(whole, lines(&mut LogDecoder::with_layouts(&layouts), data));
    let bare = |line: &[u8]| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line).to_vec()
    };
    let parts: Vec<&[u8]> = data.split_inclusive(|byte| *byte == b'\n').collect();
    let mut at = 0;
    for pair in parts.windows(2) {
        let [previous, next] = pair else { continue };
        at += previous.len();
        if may_cut_with(&layouts, &bare(previous), &bare(next)) {
            let (head, tail) = data.split_at(at);
            let mut cut = lines(&mut decoder, head);
            cut.extend(lines(&mut decoder, tail));
            assert_eq!(whole, cut);
            break;
        }
    }
});
