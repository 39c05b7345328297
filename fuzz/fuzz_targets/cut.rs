//! Any bytes, cut wherever they may be cut: the lines are the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postmesh::decode::log::{LogDecoder, may_cut};

fn bare(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fuzz_target!(|data: &[u8]| {
    let mut decoder = LogDecoder::default();
    let mut whole = Vec::new();
    decoder.decode_block(data, &mut |at, line| whole.push(format!("{:?} {line:?}", at.text)));
    let lines: Vec<&[u8]> = data.split_inclusive(|byte| *byte == b'\n').collect();
    let (mut parts, mut part) = (Vec::new(), Vec::new());
    for (number, line) in lines.iter().enumerate() {
        if number > 0 && may_cut(bare(lines[number - 1]), bare(line)) {
            parts.push(std::mem::take(&mut part));
        }
        part.extend_from_slice(line);
    }
    parts.push(part);
    let mut cut = Vec::new();
    for part in parts {
        decoder.decode_block(&part, &mut |at, line| cut.push(format!("{:?} {line:?}", at.text)));
    }
    assert_eq!(whole, cut);
});
