//! Any bytes as a saved document, as JSON, YAML, a description, a series and a probe: what is said of them cites lines that are there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postmesh::decode::document::{Form, read};

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
});
