//! Any bytes as a block: one call for each line, places that are in the block, the same answer twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postmesh::decode::log::LogDecoder;

fuzz_target!(|data: &[u8]| {
    let mut decoder = LogDecoder::default();
    let mut first = Vec::new();
    decoder.decode_block(data, &mut |at, line| {
        assert_eq!(data.get(at.offset..at.offset + at.text.len()), Some(at.text));
        first.push(format!("{at:?} {line:?}"));
    });
    assert_eq!(first.len(), data.split_inclusive(|byte| *byte == b'\n').count());
    let mut second = Vec::new();
    decoder.decode_block(data, &mut |at, line| second.push(format!("{at:?} {line:?}")));
    assert_eq!(first, second, "what a decoder has seen must change nothing");
});
