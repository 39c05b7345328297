//! How a connection began.

use crate::decode::packet::{FrameRef, TcpSegment};
use crate::streams::mark::Mark;
use crate::streams::record::Opening;
use crate::units::Timestamp;

/// SYN, SYN-ACK and ACK, as far as they were seen.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::streams) struct Handshake {
    pub(in crate::streams) syn: Mark,
    /// The last SYN before the ACK.
    latest_syn: Mark,
    pub(in crate::streams) syn_ack: Mark,
    pub(in crate::streams) ack: Mark,
    /// From the last SYN to the first ACK of either side; 0 if unknown. Not the round trip that a record tells: it is
    /// what decides whether a segment is out of order.
    first_rtt_ns: u64,
    /// The client sent more than SYN and RST.
    client_went_on: bool,
    /// The server sent more than SYN-ACK and RST.
    server_went_on: bool,
    rejected: bool,
    /// Time to live of the server's first answer, 0 if there is none.
    server_ttl: u8,
}

impl Handshake {
    /// Takes a segment.
    pub(in crate::streams) fn segment(
        &mut self,
        segment: &TcpSegment,
        by_client: bool,
        data: bool,
        ttl: u8,
        mark: Mark,
    ) {
        let flags = segment.flags;
        if !by_client && self.server_ttl == 0 && (flags.rst() || flags.syn()) {
            self.server_ttl = ttl;
        }
        if flags.syn() {
            if flags.ack() {
                self.syn_ack = self.syn_ack.or(mark);
            } else {
                self.syn = self.syn.or(mark);
                if self.ack.is_none() {
                    self.latest_syn = mark;
                }
            }
            return;
        }
        if flags.ack() && self.first_rtt_ns == 0 {
            self.first_rtt_ns = mark.since(self.latest_syn).unwrap_or(0);
        }
        if flags.rst() {
            return;
        }
        self.client_went_on |= by_client && (flags.ack() || data);
        self.server_went_on |= !by_client;
        if by_client && flags.ack() && self.ack.is_none() && self.syn.is_some() && self.syn_ack.is_some() {
            self.ack = mark;
        }
    }

    /// A SYN was answered by an ICMP error.
    pub(in crate::streams) fn rejected(&mut self) {
        self.rejected = true;
    }

    /// Time to live of the SYN-ACK, or of the RST in its place, as it was captured.
    pub(in crate::streams) fn server_ttl(&self) -> Option<u8> {
        (self.server_ttl > 0).then_some(self.server_ttl)
    }

    /// See [`Self::first_rtt_ns`]'s field.
    pub(in crate::streams) fn first_rtt_ns(&self) -> u64 {
        self.first_rtt_ns
    }

    /// The last SYN, where there were several.
    pub(in crate::streams) fn last_syn(&self) -> Option<(Timestamp, FrameRef)> {
        if self.latest_syn == self.syn {
            None
        } else {
            self.latest_syn.known()
        }
    }

    /// From the last SYN to the ACK.
    pub(in crate::streams) fn rtt_ns(&self) -> Option<u64> {
        if self.ack.is_none() {
            return None;
        }
        self.ack.since(self.latest_syn)
    }

    /// `server_reset`: the server sent a RST; `client_seen`: the client sent anything.
    pub(in crate::streams) fn opening(&self, server_reset: bool, client_seen: bool) -> Opening {
        if self.client_went_on || self.server_went_on {
            // Nobody sends more before the handshake is complete, whatever part of it the capture lacks.
            return if self.syn.is_none() && self.syn_ack.is_none() {
                Opening::Midstream
            } else {
                Opening::Established
            };
        }
        if self.syn_ack.is_some() && client_seen {
            Opening::HalfOpen
        } else if self.syn.is_none() {
            Opening::Midstream
        } else if server_reset {
            Opening::Refused
        } else if self.rejected {
            Opening::Rejected
        } else {
            Opening::Unanswered
        }
    }
}
