//! Counters of a live connection: what every packet touches, and apart from it what only odd packets do.

use super::analysis::Signs;
use crate::decode::packet::{FrameRef, Packet, TcpFlags, TcpSegment};
use crate::streams::mark::Mark;
use crate::streams::record::{
    MAX_EVENTS, MAX_MOMENTS, Side, SideFacts, StreamEvent, StreamEventKind, StreamMoment,
};
use crate::units::Timestamp;

/// What one side sent, as far as every packet counts.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::streams) struct Sent {
    pub(in crate::streams) packets: u64,
    frame_bytes: u64,
    payload_bytes: u64,
    pub(in crate::streams) data_packets: u64,
    pub(in crate::streams) syn: u32,
    pub(in crate::streams) syn_ack: u32,
    fin: u32,
    rst: u32,
    rst_ack: u32,
}

impl Sent {
    /// Counts the packet as it was captured.
    pub(in crate::streams) fn count(&mut self, packet: &Packet, segment: &TcpSegment) {
        self.packets += 1;
        self.frame_bytes += u64::from(packet.wire_bytes);
        self.payload_bytes += u64::from(packet.payload_wire_bytes);
        self.data_packets += u64::from(packet.payload_wire_bytes > 0);
        let flags = segment.flags;
        if !flags.has(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST) {
            return;
        }
        if flags.syn() {
            let count = if flags.ack() {
                &mut self.syn_ack
            } else {
                &mut self.syn
            };
            *count = count.saturating_add(1);
        }
        if flags.rst() {
            let count = if flags.ack() {
                &mut self.rst_ack
            } else {
                &mut self.rst
            };
            *count = count.saturating_add(1);
        }
        self.fin = self.fin.saturating_add(u32::from(flags.fin()));
    }

    /// Packets with RST.
    pub(in crate::streams) fn resets(&self) -> u64 {
        u64::from(self.rst) + u64::from(self.rst_ack)
    }

    /// The same in a record.
    fn facts(&self) -> SideFacts {
        SideFacts {
            packets: self.packets,
            frame_bytes: self.frame_bytes,
            payload_bytes: self.payload_bytes,
            data_packets: self.data_packets,
            syn: self.syn.into(),
            syn_ack: self.syn_ack.into(),
            fin: self.fin.into(),
            rst: self.rst.into(),
            rst_ack: self.rst_ack.into(),
            ..SideFacts::default()
        }
    }
}

/// What only connections have on which something stood out. By direction: 0 is sent by the lesser endpoint.
#[derive(Debug, Default)]
pub(in crate::streams) struct Rare {
    sides: [SideFacts; 2],
    events: Vec<(usize, StreamEventKind, Mark)>,
    moments: Vec<StreamMoment>,
    pub(in crate::streams) icmp: Option<((bool, u8, u8), Timestamp, FrameRef)>,
    pub(in crate::streams) cut_packets: u64,
    pub(in crate::streams) duplicates: u64,
    /// Since when the window that each side offers is 0.
    zero_since: [Mark; 2],
}

impl Rare {
    /// Notes an event: of each kind and direction the first ones, and the last one in place of the last noted.
    pub(in crate::streams) fn event(&mut self, direction: usize, kind: StreamEventKind, mark: Mark) {
        let event = (direction, kind, mark);
        let same = |other: &&(usize, StreamEventKind, Mark)| (other.0, other.1) == (direction, kind);
        if self.events.iter().filter(same).count() < MAX_EVENTS {
            self.events.push(event);
        } else if let Some(at) = self.events.iter().rposition(|other| same(&other)) {
            self.events[at] = event;
        }
    }

    /// Counts in the second of `mark`; beyond [`MAX_MOMENTS`] seconds, in the last one noted.
    fn moment(&mut self, mark: Mark, count: impl FnOnce(&mut StreamMoment)) {
        let Some(second) = mark.time().map(Timestamp::secs) else {
            return;
        };
        let full = self.moments.len() >= MAX_MOMENTS;
        let known = self
            .moments
            .iter_mut()
            .rev()
            .find(|moment| moment.second == second);
        match known {
            Some(moment) => count(moment),
            None if full => {
                if let Some(last) = self.moments.last_mut() {
                    count(last);
                }
            }
            None => {
                let mut moment = StreamMoment {
                    second,
                    ..StreamMoment::default()
                };
                count(&mut moment);
                self.moments.push(moment);
            }
        }
    }

    /// What was counted by second, in order of time.
    pub(in crate::streams) fn moments(&self) -> Vec<StreamMoment> {
        let mut moments = self.moments.clone();
        moments.sort_by_key(|moment| moment.second);
        moments
    }

    /// True if an event of this kind was noted.
    pub(in crate::streams) fn has(&self, kind: StreamEventKind) -> bool {
        self.events.iter().any(|event| event.1 == kind)
    }

    /// Counters of a direction.
    pub(in crate::streams) fn side(&mut self, direction: usize) -> &mut SideFacts {
        &mut self.sides[direction & 1]
    }

    /// Counts what the analysis says of a segment.
    pub(in crate::streams) fn tally(
        &mut self,
        direction: usize,
        signs: Signs,
        segment: &TcpSegment,
        payload_bytes: u32,
        mark: Mark,
    ) {
        let side = self.side(direction);
        let needed = signs.any(Signs::RETRANSMISSION) || signs.any(Signs::FAST_RETRANSMISSION);
        side.data_sent_again += u64::from(needed && payload_bytes > 0);
        for (sign, counter) in [
            (Signs::RETRANSMISSION, &mut side.retransmissions),
            (Signs::FAST_RETRANSMISSION, &mut side.fast_retransmissions),
            (Signs::SPURIOUS_RETRANSMISSION, &mut side.spurious_retransmissions),
            (Signs::OUT_OF_ORDER, &mut side.out_of_order),
            (Signs::LOST_SEGMENT, &mut side.lost_segments),
            (Signs::ACKED_UNSEEN, &mut side.acked_unseen),
            (Signs::KEEP_ALIVE, &mut side.keep_alives),
            (Signs::KEEP_ALIVE_ACK, &mut side.keep_alive_acks),
            (Signs::DUPLICATE_ACK, &mut side.duplicate_acks),
            (Signs::ZERO_WINDOW_PROBE, &mut side.zero_window_probes),
            (Signs::WINDOW_UPDATE, &mut side.window_updates),
            (Signs::WINDOW_FULL, &mut side.window_full),
        ] {
            *counter += u64::from(signs.any(sign));
        }
        if signs.any(Signs::SENT_AGAIN) {
            let kind = if segment.flags.syn() && !segment.flags.ack() {
                StreamEventKind::SynAgain
            } else {
                StreamEventKind::Retransmission
            };
            self.event(direction, kind, mark);
            self.moment(mark, |moment| moment.retransmissions += 1);
        }
        if signs.any(Signs::LOST_SEGMENT) {
            self.event(direction, StreamEventKind::LostSegment, mark);
        }
    }

    /// The side offers a window of 0.
    pub(in crate::streams) fn window_closed(&mut self, direction: usize, mark: Mark) {
        self.side(direction).zero_window_packets += 1;
        let since = &mut self.zero_since[direction & 1];
        if since.is_none() {
            *since = mark;
            self.event(direction, StreamEventKind::ZeroWindow, mark);
            self.moment(mark, |moment| moment.zero_windows += 1);
        }
    }

    /// The side offers a window, or is gone.
    pub(in crate::streams) fn window_open(&mut self, direction: usize, mark: Mark) {
        let since = std::mem::take(&mut self.zero_since[direction & 1]);
        let side = self.side(direction);
        side.zero_window_ns = side.zero_window_ns.saturating_add(mark.since(since).unwrap_or(0));
    }
}

/// Facts of a direction, both sorts.
pub(in crate::streams) fn side_facts(sent: &Sent, rare: Option<&Rare>, direction: usize) -> SideFacts {
    let plain = sent.facts();
    let Some(rare) = rare else { return plain };
    SideFacts {
        packets: plain.packets,
        frame_bytes: plain.frame_bytes,
        payload_bytes: plain.payload_bytes,
        data_packets: plain.data_packets,
        syn: plain.syn,
        syn_ack: plain.syn_ack,
        fin: plain.fin,
        rst: plain.rst,
        rst_ack: plain.rst_ack,
        ..rare.sides[direction & 1]
    }
}

/// Events in order of time as captured, with the FINs and RSTs of both sides.
pub(in crate::streams) fn events(
    rare: Option<&Rare>,
    closing: impl IntoIterator<Item = (usize, StreamEventKind, Mark)>,
    side: impl Fn(usize) -> Side,
) -> Vec<StreamEvent> {
    let mut events: Vec<StreamEvent> = rare
        .into_iter()
        .flat_map(|rare| rare.events.iter().copied())
        .chain(closing)
        .filter(|event| event.2.is_some())
        .map(|(direction, kind, mark)| StreamEvent {
            kind,
            side: side(direction),
            time: mark.time(),
            at: mark.at(),
        })
        .collect();
    events.sort_by_key(|event| (event.time, event.at, event.kind));
    events
}
