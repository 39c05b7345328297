//! What takes the bytes of a connection: the seam between reassembly and what the bytes say.

use super::CapturePoint;
use super::application::{Chunk, Conversation};
use super::record::{Application, Side};
use crate::decode::packet::{Endpoint, FrameRef};
use crate::units::Timestamp;

/// What holds for all receivers of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Where its connection was captured.
    pub point: CapturePoint,
    /// See [`super::StreamLimits::passages`].
    pub passages: bool,
}

/// All is kept.
impl From<CapturePoint> for Setting {
    fn from(point: CapturePoint) -> Self {
        Self {
            point,
            passages: true,
        }
    }
}

/// Takes the bytes of both sides of one connection. Made when the first byte or gap comes.
pub trait Receiver: Sized {
    /// For a connection between these two.
    fn open(setting: Setting, client: Endpoint, server: Endpoint) -> Self;
    /// The next bytes of a side.
    fn chunk(&mut self, chunk: &Chunk<'_>);
    /// So many bytes of a side are not in the capture.
    fn gap(&mut self, side: Side, bytes: u64);
    /// A side sends nothing more: RST where `reset`, else FIN, and all before it was passed on or told as gaps.
    fn closed(&mut self, side: Side, reset: bool, time: Option<Timestamp>, at: FrameRef);
    /// False once nothing more can be learned from bytes of either side: what waits for bytes before it is not kept.
    fn wants_bytes(&self) -> bool {
        true
    }
    /// What the bytes said.
    fn finish(self) -> Application;
}

/// Ignores all bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ignore;

impl Receiver for Ignore {
    fn open(_: Setting, _: Endpoint, _: Endpoint) -> Self {
        Self
    }

    fn chunk(&mut self, _: &Chunk<'_>) {}

    fn gap(&mut self, _: Side, _: u64) {}

    fn closed(&mut self, _: Side, _: bool, _: Option<Timestamp>, _: FrameRef) {}

    fn finish(self) -> Application {
        Application::default()
    }
}

impl Receiver for Conversation {
    fn open(setting: Setting, client: Endpoint, server: Endpoint) -> Self {
        Self::new(setting, client, server)
    }

    fn chunk(&mut self, chunk: &Chunk<'_>) {
        Self::chunk(self, chunk);
    }

    fn gap(&mut self, side: Side, bytes: u64) {
        Self::gap(self, side, bytes);
    }

    fn closed(&mut self, side: Side, reset: bool, time: Option<Timestamp>, at: FrameRef) {
        Self::closed(self, side, reset, time, at);
    }

    fn wants_bytes(&self) -> bool {
        Self::wants_bytes(self)
    }

    fn finish(self) -> Application {
        Self::finish(self)
    }
}
