//! Packets of the connections of one request.

use super::frame::{FlowId, Frame, Numbering};
use super::rows::Leg;
use super::trace::ClockOffsets;
use super::{Opened, open};
use crate::decode::log::Layouts;
use crate::decode::packet::{Endpoint, Packet, PacketBlock, Transport};
use crate::input::Source;
use crate::streams::application::Glance;
use crate::units::{InputId, Timestamp};
use std::collections::{BTreeMap, VecDeque};

/// Frames of one connection in one capture that are kept: the first ones of the wanted span, and the last ones.
const MAX_FIRST_FRAMES: usize = 300;
const MAX_LAST_FRAMES: usize = 100;

/// Attempts without a logged port that are taken up.
const MAX_ATTEMPTS: usize = 64;

/// A leg, the span in which its packets are wanted, and what was found.
#[derive(Clone, Debug)]
pub(super) struct WantedLeg {
    pub(super) leg: Leg,
    /// Both open: all packets are wanted. Only the end open: packets up to the next request.
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    /// False if the client's port is not logged, and the connection was found by address and time.
    pub(super) exact: bool,
    pub(super) request_id: Option<String>,
    /// Packets by capture.
    pub(super) found: BTreeMap<InputId, Found>,
}

/// Packets of one leg in one capture.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// Handshake, and what closed it.
    pub(super) frames: Vec<Frame>,
    last: VecDeque<Frame>,
    /// All packets of the connection.
    pub(super) packets: u64,
    /// Packets outside the span, of other requests.
    pub(super) elsewhere: u64,
    /// Acknowledgments without payload.
    pub(super) bare: u64,
    /// Packets that were too many to keep.
    pub(super) left_out: u64,
    /// The connection ended, and its ports were used again after the span.
    over: bool,
    /// The next request began, where that ends the span.
    next_request: bool,
    numbering: BTreeMap<FlowId, Numbering>,
}

/// An attempt of which the row does not tell the port: whoever of `source_ip` calls `server` in the span.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) source: crate::decode::packet::Address,
    pub(super) server: Endpoint,
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
}

/// All that is looked for in captures.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) legs: Vec<WantedLeg>,
    pub(super) attempts: Vec<Attempt>,
    /// Spans are by the clock of the first input.
    pub(super) offsets: ClockOffsets,
}

impl Wanted {
    /// Reads one capture; false for what is none.
    pub(super) fn read(&mut self, source: &Source) -> bool {
        let Ok(Opened::Capture(mut reader)) = open(source, &Layouts::default()) else {
            return false;
        };
        let mut by_client: BTreeMap<Endpoint, Vec<usize>> = BTreeMap::new();
        for (at, wanted) in self.legs.iter().enumerate() {
            by_client.entry(wanted.leg.client).or_default().push(at);
        }
        let ahead_ns = self.offsets.get(&source.id).copied().unwrap_or(0);
        let mut block = PacketBlock::default();
        while let Some(next) = reader.next_block(std::mem::take(&mut block)) {
            for packet in &next.packets {
                let time = packet.time.map(|time| Timestamp(time.0.saturating_sub(ahead_ns)));
                self.attempt(packet, time, &mut by_client);
                let flow = FlowId::of(packet);
                let mut legs: Vec<usize> = [flow.key.low, flow.key.high]
                    .iter()
                    .filter_map(|end| by_client.get(end))
                    .flatten()
                    .copied()
                    .collect();
                if legs.is_empty() {
                    continue;
                }
                legs.sort_unstable();
                for at in legs {
                    if let Some(wanted) = self.legs.get_mut(at)
                        && flow.tcp
                        && wanted.leg.carries(flow.key.low, flow.key.high).is_some()
                    {
                        wanted.packet(source.id, flow, (packet, time), packet.payload.of(&next.data));
                    }
                }
            }
            block = next;
        }
        true
    }

    /// Takes up a connection that an attempt may have opened.
    fn attempt(
        &mut self,
        packet: &Packet,
        time: Option<Timestamp>,
        by_client: &mut BTreeMap<Endpoint, Vec<usize>>,
    ) {
        let Transport::Tcp(segment) = &packet.transport else {
            return;
        };
        if self.attempts.is_empty() || !segment.flags.syn() || segment.flags.ack() {
            return;
        }
        let leg = Leg {
            client: packet.source,
            server: packet.destination,
        };
        let known = self.legs.iter().any(|wanted| wanted.leg == leg);
        let taken = self.legs.iter().filter(|wanted| !wanted.exact).count();
        let found = self.attempts.iter().find(|attempt| {
            attempt.server == packet.destination
                && attempt.source == packet.source.address
                && time.is_some_and(|time| (attempt.since..=attempt.until).contains(&time))
        });
        if let (Some(attempt), false, true) = (found, known, taken < MAX_ATTEMPTS) {
            by_client.entry(leg.client).or_default().push(self.legs.len());
            self.legs.push(WantedLeg {
                leg,
                since: Some(attempt.since),
                until: Some(attempt.until),
                exact: false,
                request_id: None,
                found: BTreeMap::new(),
            });
        }
    }
}

/// Connections whose packets hold the head of a request with this id, and when they do.
pub(super) fn named_in(source: &Source, request_id: &str) -> Vec<WantedLeg> {
    let mut legs: Vec<WantedLeg> = Vec::new();
    let Ok(Opened::Capture(mut reader)) = open(source, &Layouts::default()) else {
        return legs;
    };
    let finder = memchr::memmem::Finder::new(request_id.as_bytes());
    let mut block = PacketBlock::default();
    while let Some(next) = reader.next_block(std::mem::take(&mut block)) {
        if finder.find(&next.data).is_some() {
            for packet in &next.packets {
                let payload = packet.payload.of(&next.data);
                let names = matches!(packet.transport, Transport::Tcp(_)) && finder.find(payload).is_some();
                let glance = names.then(|| Glance::at_segment(payload, false)).flatten();
                let leg = Leg {
                    client: packet.source,
                    server: packet.destination,
                };
                let known = legs.iter().any(|known| known.leg == leg);
                if glance.and_then(|glance| glance.request_id).as_deref() == Some(request_id)
                    && !known
                    && legs.len() < MAX_ATTEMPTS
                {
                    legs.push(WantedLeg {
                        leg,
                        since: packet.time,
                        until: None,
                        exact: true,
                        request_id: Some(request_id.to_owned()),
                        found: BTreeMap::new(),
                    });
                }
            }
        }
        block = next;
    }
    legs
}

impl WantedLeg {
    /// `time` is that of the packet by the clock of the first input.
    fn packet(
        &mut self,
        input: InputId,
        flow: FlowId,
        (packet, time): (&Packet, Option<Timestamp>),
        payload: &[u8],
    ) {
        let (since, until) = (self.since, self.until);
        let found = self.found.entry(input).or_default();
        let opens = matches!(&packet.transport, Transport::Tcp(segment) if segment.flags.syn() && !segment.flags.ack());
        let after = matches!((time, until), (Some(time), Some(until)) if time > until);
        let before = matches!((time, since), (Some(time), Some(since)) if time < since);
        // The same ports again after the span are another connection.
        found.over |= opens && after;
        if found.over {
            return;
        }
        let numbering = found
            .numbering
            .entry(flow)
            .or_insert_with(|| Numbering::new(packet));
        let frame = numbering.frame(packet, payload);
        if opens && frame.sequence == Some(0) && before {
            // An earlier connection of these ports does not concern us; SYNs just before are of this one, sent again.
            let resent = found
                .frames
                .iter()
                .rev()
                .take_while(|kept| kept.flags == "S")
                .count();
            let earlier = found.frames.len().saturating_sub(resent);
            found.frames.drain(..earlier);
            found.last.clear();
        }
        found.packets = found.packets.saturating_add(1);
        let named = self.request_id.is_some() && frame.request_id == self.request_id;
        let open_end = since.is_some() && until.is_none();
        found.next_request |= open_end && !before && !named && frame.request_id.is_some();
        let after = after || found.next_request;
        // The third packet completes the handshake.
        let completes = frame.nth == 3 && frame.sequence == Some(1) && frame.acknowledgment == Some(1);
        let control = frame.flags.contains(['S', 'F', 'R']) || completes;
        let handshake = frame.application == Some("TLS") && !frame.text.starts_with("application data");
        let bare =
            frame.payload_bytes == 0 && !control && frame.window_bytes != Some(0) && frame.protocol == "TCP";
        if !named && !control && !handshake {
            if before || after {
                found.elsewhere = found.elsewhere.saturating_add(1);
                return;
            }
            if bare {
                found.bare = found.bare.saturating_add(1);
                return;
            }
        }
        if found.frames.len() < MAX_FIRST_FRAMES {
            found.frames.push(frame);
            return;
        }
        found.last.push_back(frame);
        if found.last.len() > MAX_LAST_FRAMES {
            found.last.pop_front();
            found.left_out = found.left_out.saturating_add(1);
        }
    }
}

impl Found {
    /// What was kept, in the order of the capture.
    pub(super) fn into_frames(self) -> Vec<Frame> {
        self.frames.into_iter().chain(self.last).collect()
    }
}
