//! Any bytes as a file that may be an archive: what is found in it can be read, within bounds, and nothing is written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postmesh::input::{BlockReader, ReadOptions, discover};

fuzz_target!(|data: &[u8]| {
    let path = std::env::temp_dir().join(format!("postmesh-fuzz-archive-{}", std::process::id()));
    if std::fs::write(&path, data).is_err() {
        return;
    }
    let found = discover(&[path.clone()]);
    for source in &found.sources {
        let Ok(mut reader) = BlockReader::open(source, &ReadOptions::default()) else {
            continue;
        };
        let mut buffer = Vec::new();
        while let Some(block) = reader.next_block(buffer) {
            buffer = block.data;
        }
        drop(reader.finish());
    }
    drop(std::fs::remove_file(&path));
});
