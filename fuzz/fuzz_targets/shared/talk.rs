//! Conversations from bytes, for the targets beside.

use postmesh::decode::packet::{Address, Endpoint, FrameRef};
use postmesh::streams::application::{Chunk, Conversation};
use postmesh::streams::{CapturePoint, Side};
use postmesh::units::{InputId, Timestamp};

pub fn endpoint(last: u8, port: u16) -> Endpoint {
    Endpoint {
        address: Address::v4([10, 0, 0, last]),
        port,
    }
}

pub fn at(frame: u64) -> FrameRef {
    FrameRef {
        input: InputId(0),
        frame,
    }
}

fn send(conversation: &mut Conversation, side: Side, bytes: &[u8], size: usize, frame: u64) {
    for part in bytes.chunks(size.max(1)) {
        conversation.chunk(&Chunk {
            side,
            bytes: part,
            time: Some(Timestamp(frame as i64 * 1_000_000)),
            at: at(frame),
        });
    }
}

/// Both sides begin as given, so that their protocol is told, and go on with arbitrary bytes, in chunks of several sizes.
pub fn both_sides(client: &[u8], server: &[u8], port: u16, data: &[u8]) {
    let Some((split, rest)) = data.split_first() else {
        return;
    };
    let (one, other) = rest.split_at(rest.len() * usize::from(*split) / 256);
    let learned = |size: usize| {
        let mut conversation = Conversation::new(CapturePoint(0), endpoint(1, 40_000), endpoint(2, port));
        send(&mut conversation, Side::Client, &[client, one].concat(), size, 1);
        send(&mut conversation, Side::Server, &[server, other].concat(), size, 2);
        conversation.closed(Side::Client, false, None, at(3));
        conversation.closed(Side::Server, true, None, at(4));
        let application = conversation.finish();
        assert!(application.exchanges.len() <= postmesh::streams::record::MAX_EXCHANGES);
    };
    for size in [usize::MAX, 1, 7] {
        learned(size);
    }
}
