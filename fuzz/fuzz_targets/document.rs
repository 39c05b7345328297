//! Any bytes as a saved document, as JSON, YAML, a description, a series and a probe: what is said of them cites lines that are there, and
//! entries of logs stand where objects begin, in order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postmesh::decode::document::{Form, read};
use postmesh::decode::log::{Line, LineAt, LogDecoder, holds_entries};

fuzz_target!(|data: &[u8]| {
    for form in [
        Form::Json,
        Form::Yaml,
        Form::Describe,
        Form::Prometheus,
        Form::Probe,
        Form::Aligned,
        Form::Sockets,
    ] {
        let found = read(data, form, 0);
        let spots = found.said.iter().map(|said| said.line);
        for spot in spots.chain(found.damage.iter().map(|damage| damage.line)) {
            let offset = usize::try_from(spot.offset_bytes).unwrap_or(usize::MAX);
            assert!(offset <= data.len(), "beyond the document");
            assert!(
                offset == 0 || data.get(offset - 1) == Some(&b'\n'),
                "no start of a line"
            );
        }
    }
    let mut last = None;
    let stopped = LogDecoder::default().decode_entries(data, &mut |at: &LineAt<'_>, _: &Line<'_>| {
        assert_eq!(data.get(at.offset), Some(&b'{'));
        assert!(last < Some(at.offset), "in order");
        let before = data.iter().take(at.offset).filter(|byte| **byte == b'\n').count();
        assert_eq!(usize::try_from(at.line), Ok(before));
        last = Some(at.offset);
    });
    assert!(stopped.is_none_or(|(offset, _)| offset <= data.len()));
    // The head alone decides, and a document that holds none gives none there.
    if data.len() < 1 << 16 && !holds_entries(data) {
        assert_eq!(last, None);
    }
});
