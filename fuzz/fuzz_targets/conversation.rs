//! Arbitrary bytes, gaps and closes of a connection.
#![no_main]

#[path = "shared/talk.rs"]
mod talk;

use postmesh::streams::application::{Chunk, Conversation};
use postmesh::streams::{CapturePoint, Side};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    talk::both_sides(b"", b"", 9080, data);
    let mut conversation = Conversation::new(CapturePoint(0), talk::endpoint(1, 4000), talk::endpoint(2, 9080));
    let mut rest = data;
    while let [what, length, after @ ..] = rest {
        let side = if what & 1 == 0 { Side::Client } else { Side::Server };
        let (bytes, next) = after.split_at(after.len().min(usize::from(*length)));
        rest = next;
        match what >> 1 & 7 {
            0 => conversation.gap(side, u64::from(*length)),
            1 => conversation.closed(side, *length > 127, None, talk::at(1)),
            _ if !bytes.is_empty() => conversation.chunk(&Chunk {
                side,
                bytes,
                time: None,
                at: talk::at(1),
            }),
            _ => {}
        }
    }
    let _ = conversation.finish();
});
