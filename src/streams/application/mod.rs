//! Bytes of a connection in order to what they say: TLS, HTTP, DNS, told by content.
//!
//! In: [`Chunk`]s, in sequence order for each side, and gaps. Out: [`super::Application`]; for DNS over UDP
//! [`super::DnsExchange`]s. Principal types: [`Conversation`], one for each connection, and [`DnsPairing`]. Never: sees a
//! sequence number.
//!
//! Each side has a route: while its first bytes are undecided they are kept (at most 24), then they and all that follows
//! go to the parser of their protocol. Parsers are incremental, so that what they find does not depend on how bytes
//! were cut into chunks, and keep no more than a bounded part of a message that is not whole yet.

mod detect;
mod reader;

use super::record::{Application, Protocol, Side};
use crate::decode::packet::{Endpoint, FrameRef};
use crate::streams::CapturePoint;
use crate::units::Timestamp;

/// Bytes that one side sent, next in order.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'b> {
    /// Who sent them.
    pub side: Side,
    /// The bytes; never empty.
    pub bytes: &'b [u8],
    /// When the packet that completed them was captured.
    pub time: Option<Timestamp>,
    /// That packet.
    pub at: FrameRef,
}

/// What one TCP connection carries. Takes 48 bytes until the first byte of payload.
#[derive(Debug)]
pub struct Conversation {
    point: CapturePoint,
    client: Endpoint,
    server: Endpoint,
    talk: Option<Box<Talk>>,
}

#[derive(Debug, Default)]
struct Talk {
    first_bytes: [Protocol; 2],
}

impl Conversation {
    /// Of a connection on which nothing has been sent yet.
    pub fn new(point: CapturePoint, client: Endpoint, server: Endpoint) -> Self {
        Self {
            point,
            client,
            server,
            talk: None,
        }
    }

    /// The next bytes of a side, in order; chunks may have any size.
    pub fn chunk(&mut self, chunk: &Chunk<'_>) {
        let talk = self.talk.get_or_insert_default();
        if let Some(first) = talk.first_bytes.get_mut(chunk.side.index()) {
            *first = Protocol::Unknown;
        }
    }

    /// `bytes` of a side, next in order, are missing for good.
    pub fn gap(&mut self, side: Side, bytes: u64) {
        let _ = (side, bytes);
    }

    /// A side closed: FIN, or RST where `reset`. Nothing of it follows.
    pub fn closed(&mut self, side: Side, reset: bool, time: Option<Timestamp>, at: FrameRef) {
        let _ = (side, reset, time, at);
    }

    /// False once nothing more can be learned from bytes of either side.
    pub fn wants_bytes(&self) -> bool {
        true
    }

    /// What was learned.
    pub fn finish(self) -> Application {
        let _ = (self.point, self.client, self.server);
        Application::default()
    }
}
