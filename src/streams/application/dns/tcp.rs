//! DNS over TCP: a length of two bytes before each message (RFC 1035 section 4.2.2).

use super::message::Message;
use super::pairing::DnsPairing;
use crate::decode::packet::Endpoint;
use crate::streams::CapturePoint;
use crate::streams::application::Chunk;
use crate::streams::record::{DnsExchange, Side};

/// Bytes of a message that are read; addresses that matter come first.
const MAX_MESSAGE: usize = 4096;
/// Queries of one connection that wait at once.
const MAX_WAITING: usize = 64;
/// Exchanges of one connection that are kept.
const MAX_KEPT: usize = 256;

/// The DNS of a connection.
#[derive(Debug)]
pub(in crate::streams::application) struct DnsOverTcp {
    endpoints: [Endpoint; 2],
    sides: [Framing; 2],
    pairing: DnsPairing,
    kept: Vec<DnsExchange>,
    left_out: u64,
}

/// The messages of one side.
#[derive(Debug, Default)]
struct Framing {
    /// First byte of a length.
    high: Option<u8>,
    /// Bytes of the message that are still to come.
    remaining: usize,
    message: Vec<u8>,
    /// Bytes of the message are missing.
    damaged: bool,
    /// Bytes are missing, and nothing says where the next message begins.
    lost: bool,
}

impl DnsOverTcp {
    pub(in crate::streams::application) fn new(
        point: CapturePoint,
        client: Endpoint,
        server: Endpoint,
    ) -> Self {
        Self {
            endpoints: [client, server],
            sides: Default::default(),
            pairing: DnsPairing::of_connection(point, MAX_WAITING),
            kept: Vec::new(),
            left_out: 0,
        }
    }

    /// The next bytes of a side.
    pub(in crate::streams::application) fn bytes(&mut self, chunk: &Chunk<'_>) {
        let Self {
            endpoints: [client, server],
            sides: [client_side, server_side],
            pairing,
            kept,
            left_out,
        } = self;
        let (framing, from, to) = match chunk.side {
            Side::Client => (client_side, *client, *server),
            Side::Server => (server_side, *server, *client),
        };
        framing.bytes(chunk.bytes, |bytes| {
            if let Some(message) = Message::read(bytes) {
                pairing.tcp(message, from, to, chunk.moment(), |exchange| {
                    keep(kept, left_out, exchange);
                });
            }
        });
    }

    /// Bytes of a side that are missing for good.
    pub(in crate::streams::application) fn gap(&mut self, side: Side, bytes: u64) {
        let [client, server] = &mut self.sides;
        match side {
            Side::Client => client.gap(bytes),
            Side::Server => server.gap(bytes),
        }
    }

    /// Exchanges, and how many are not kept.
    pub(in crate::streams::application) fn finish(self) -> (Vec<DnsExchange>, u64) {
        let (mut kept, mut left_out) = (self.kept, self.left_out);
        self.pairing
            .finish(|exchange| keep(&mut kept, &mut left_out, exchange));
        (kept, left_out)
    }
}

fn keep(kept: &mut Vec<DnsExchange>, left_out: &mut u64, exchange: DnsExchange) {
    if kept.len() < MAX_KEPT {
        kept.push(exchange);
    } else {
        *left_out += 1;
    }
}

impl Framing {
    fn bytes(&mut self, bytes: &[u8], mut read: impl FnMut(&[u8])) {
        let mut rest = bytes;
        while !self.lost
            && let Some((first, after)) = rest.split_first()
        {
            if self.remaining == 0 {
                rest = after;
                if let Some(high) = self.high.take() {
                    self.remaining = usize::from(u16::from_be_bytes([high, *first]));
                } else {
                    self.high = Some(*first);
                }
                continue;
            }
            let (part, after) = rest.split_at(rest.len().min(self.remaining));
            rest = after;
            let room = MAX_MESSAGE.saturating_sub(self.message.len());
            self.message.extend_from_slice(part.get(..room).unwrap_or(part));
            self.remaining -= part.len();
            if self.remaining == 0 {
                if !std::mem::take(&mut self.damaged) {
                    read(&self.message);
                }
                self.message.clear();
            }
        }
    }

    fn gap(&mut self, bytes: u64) {
        self.message.clear();
        match usize::try_from(bytes) {
            Ok(bytes) if bytes <= self.remaining => {
                self.remaining -= bytes;
                self.damaged = self.remaining > 0;
            }
            _ => self.lost = true,
        }
    }
}
