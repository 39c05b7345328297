//! Bytes of a connection in order to what they say: TLS, HTTP, DNS, told by content.
//!
//! In: [`Chunk`]s, in sequence order for each side, and gaps. Out: [`super::Application`]. Never: sees a sequence number.

use super::record::Side;
use crate::decode::packet::FrameRef;
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
