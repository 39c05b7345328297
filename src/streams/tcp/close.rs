//! How a connection ended, and by whose hand.

use crate::decode::packet::{TcpFlags, TcpSegment};
use crate::streams::mark::Mark;
use crate::streams::record::CloseKind;

/// What is remembered of FINs, RSTs and payload until the connection is over. By direction.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::streams) struct Ending {
    /// First FIN and first RST of each direction.
    pub(in crate::streams) fin: [Mark; 2],
    pub(in crate::streams) rst: [Mark; 2],
    /// Last packet with payload of each direction, TLS alerts left out.
    last_data: [Mark; 2],
    /// Whose FIN or RST came first, with the last payload before it.
    pub(in crate::streams) first: Option<(usize, Mark)>,
    pub(in crate::streams) quiet_since: Mark,
    /// Last sign of life: payload of either direction, or the first packet.
    active: Mark,
    pub(in crate::streams) longest_idle_ns: u64,
    /// Silence before the client's payload, if it is the last that anyone sent.
    pub(in crate::streams) asked_after_idle_ns: Option<u64>,
    /// Direction of the last payload.
    last_direction: Option<u8>,
    /// The same when the first FIN came.
    last_at_fin: Option<u8>,
    /// Payload against a FIN: by the other direction, after it.
    data_after_fin: [bool; 2],
    /// At the first RST: payload was not acknowledged.
    in_flight: bool,
    /// Direction of the first RST.
    reset_by: Option<u8>,
    /// The request that the first FIN of the server crossed.
    crossed: Mark,
}

/// What a packet did to the end of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::streams) enum Outcome {
    /// Nothing to note.
    Nothing,
    /// A request reached a side that had closed; the mark is the request.
    RequestAfterFin(Mark),
}

/// A packet, as far as the end of a connection is concerned.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of a packet, each named"
)]
pub(in crate::streams) struct Step<'p> {
    pub(in crate::streams) direction: usize,
    pub(in crate::streams) segment: &'p TcpSegment,
    /// Payload that was not seen before, and is no TLS alert.
    pub(in crate::streams) new_data: bool,
    pub(in crate::streams) mark: Mark,
    /// True if this direction is the client's.
    pub(in crate::streams) by_client: bool,
    /// The other direction has sent payload that this packet (or an earlier one) does not acknowledge.
    pub(in crate::streams) other_unacknowledged: bool,
    /// This direction has sent payload that the other one did not acknowledge.
    pub(in crate::streams) own_unacknowledged: bool,
}

/// A guess: no server closes idle connections sooner, and none takes longer to close after a last answer.
const IDLE_NS: u64 = 100_000_000;

/// Numbers of a direction as they fit into a byte.
fn small(direction: usize) -> u8 {
    u8::from(direction != 0)
}

impl Ending {
    /// The first packet came.
    pub(in crate::streams) fn begin(&mut self, mark: Mark) {
        self.active = mark;
    }

    /// Both FINs or a RST came.
    pub(in crate::streams) fn is_over(&self) -> bool {
        self.rst.iter().any(|rst| rst.is_some()) || self.fin.iter().all(|fin| fin.is_some())
    }

    /// Takes the next packet.
    pub(in crate::streams) fn step(&mut self, step: &Step<'_>) -> Outcome {
        let mut outcome = Outcome::Nothing;
        let other = step.direction ^ 1;
        if step.new_data {
            self.idle_until(step.mark);
            if self.last_direction != Some(small(step.direction)) {
                let idle = self.last_direction.and_then(|_| step.mark.since(self.active));
                self.asked_after_idle_ns = idle.filter(|_| step.by_client);
            }
            if self.fin[other].is_some() {
                self.data_after_fin[step.direction] = true;
                let was_idle =
                    self.last_at_fin != Some(small(step.direction)) && self.closed_when_idle(step.direction);
                if step.by_client && was_idle && self.fin[step.direction].is_none() {
                    outcome = Outcome::RequestAfterFin(step.mark);
                }
            }
            self.active = step.mark;
            self.last_data[step.direction] = step.mark;
            self.last_direction = Some(small(step.direction));
        }
        if step.segment.flags.has(TcpFlags::FIN) {
            self.fin(step);
        }
        if step.segment.flags.has(TcpFlags::RST) && self.reset(step) {
            outcome = Outcome::RequestAfterFin(self.crossed);
        }
        outcome
    }

    fn idle_until(&mut self, mark: Mark) {
        self.longest_idle_ns = self.longest_idle_ns.max(mark.since(self.active).unwrap_or(0));
    }

    fn first_close(&mut self, step: &Step<'_>) {
        if self.first.is_none() {
            self.idle_until(step.mark);
            self.first = Some((step.direction, step.mark));
            self.quiet_since = self.active;
        }
    }

    fn fin(&mut self, step: &Step<'_>) {
        self.first_close(step);
        if self.fin[step.direction].is_some() {
            return;
        }
        self.fin[step.direction] = step.mark;
        let other = step.direction ^ 1;
        if self.fin[other].is_none() {
            self.last_at_fin = self.last_direction;
            if !step.by_client && step.other_unacknowledged && self.last_direction == Some(small(other)) {
                self.crossed = self.last_data[other];
            }
        }
    }

    /// True if it answers a request that the server's FIN had crossed.
    fn reset(&mut self, step: &Step<'_>) -> bool {
        self.first_close(step);
        if self.rst[step.direction].is_some() {
            return false;
        }
        self.rst[step.direction] = step.mark;
        if self.reset_by.is_some() {
            return false;
        }
        self.reset_by = Some(small(step.direction));
        self.in_flight = step.other_unacknowledged || step.own_unacknowledged;
        self.crossed.is_some() && !step.by_client && self.closed_when_idle(step.direction ^ 1)
    }

    /// True if nothing had been sent for so long that the server's FIN must be its time-out for idle connections, and
    /// not an answer to what came before. With the request that crossed it the silence ended, before the FIN.
    fn closed_when_idle(&self, client: usize) -> bool {
        let silence = self.fin[client ^ 1].since(self.quiet_since);
        let crossing = self
            .crossed
            .is_some()
            .then_some(self.asked_after_idle_ns)
            .flatten();
        crossing.or(silence).is_some_and(|ns| ns >= IDLE_NS)
    }

    /// How it ended, for a connection that was opened. `client` is the client's direction.
    pub(in crate::streams) fn kind(&self, client: usize, handshake_seen: bool) -> CloseKind {
        let Some(reset_by) = self.reset_by else {
            return if self.first.is_some() {
                CloseKind::Fin
            } else {
                CloseKind::Open
            };
        };
        if self.last_direction.is_none() && self.fin.iter().all(|fin| fin.is_none()) {
            return if handshake_seen {
                CloseKind::ResetBeforeData
            } else {
                CloseKind::ResetIdle
            };
        }
        let asked = |last: Option<u8>| last == Some(small(client));
        let waits = match self.fin.map(Mark::is_some) {
            [false, false] => {
                return if self.in_flight || asked(self.last_direction) {
                    CloseKind::ResetMidExchange
                } else {
                    CloseKind::ResetIdle
                };
            }
            // The client closed while its request waited: it gave up, whoever resets then.
            [by_low, by_high] if self.first_is(client) => by_low != by_high && asked(self.last_at_fin),
            // The server closed: a request that came nevertheless, or had crossed, is lost.
            _ => {
                asked(self.last_direction)
                    && (self.data_after_fin[client]
                        || self.crossed.is_some()
                        || usize::from(reset_by) == client)
            }
        };
        if waits {
            CloseKind::ResetMidExchange
        } else {
            CloseKind::FinThenReset
        }
    }

    fn first_is(&self, direction: usize) -> bool {
        self.first.is_some_and(|first| first.0 == direction)
    }
}

/// True if the payload is one TLS alert, as is sent before a FIN: type 21, or what it looks like when encrypted
/// by TLS 1.3 (RFC 8446 section 5.2: two bytes, the type, and a tag of 16).
pub(in crate::streams) fn is_tls_alert(payload: &[u8]) -> bool {
    const LONGEST: usize = 96;
    match payload {
        [21, 3, 0..=4, ..] => payload.len() <= LONGEST,
        [23, 3, 3, 0, 19, rest @ ..] => rest.len() == 19,
        _ => false,
    }
}
