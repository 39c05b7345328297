//! One TCP connection while it lives.
//!
//! [`analysis`] says what each segment is, [`handshake`] how the connection began, [`close`] how it ended, [`facts`]
//! counts; [`Stream`] drives them, feeds the reassembly, and makes the record.

pub(super) mod analysis;
pub(super) mod close;
pub(super) mod facts;
pub(super) mod handshake;

use super::CapturePoint;
use super::application::Chunk;
use super::mark::Mark;
use super::reassembly::{Budget, Data, Output, Reassembly};
use super::receiver::{Receiver, Setting};
use super::record::{Application, Close, CloseKind, Opening, Side, StreamEventKind, StreamRecord};
use super::sequence;
use crate::decode::packet::{Endpoint, FlowKey, IcmpMessage, Packet, TcpFlags, TcpSegment};
use crate::units::Timestamp;
use analysis::{Flow, Segment, Signs};
use close::{Ending, Outcome, Step, is_tls_alert};
use facts::{Rare, Sent};
use handshake::Handshake;

/// A connection. Directions are numbered: 0 is what the lesser endpoint of the key sends.
#[derive(Debug)]
pub(super) struct Stream<R> {
    pub(super) key: FlowKey,
    /// Packets of the shard before its first one: connections are told apart and ordered by it.
    pub(super) serial: u64,
    /// Direction of the client, and whether a SYN or SYN-ACK told so.
    client: u8,
    roles_seen: bool,
    reused_ports: bool,
    first: Mark,
    last: Mark,
    start: Mark,
    end: Mark,
    handshake: Handshake,
    sent: [Sent; 2],
    flows: [Flow; 2],
    reassembly: [Reassembly; 2],
    ending: Ending,
    rare: Option<Box<Rare>>,
    receiver: Option<Box<R>>,
    /// What the bytes said, once both sides were read to their end: it takes a part of what the receiver does.
    told: Option<Box<Application>>,
}

/// What connections of a shard share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) point: CapturePoint,
    /// See [`super::StreamLimits::passages`].
    pub(super) passages: bool,
    pub(super) budget: Budget,
}

impl Shared {
    fn setting(&self) -> Setting {
        Setting {
            point: self.point,
            passages: self.passages,
        }
    }
}

impl<R: Receiver> Stream<R> {
    /// Begins with this packet, which must then be given to [`Self::packet`].
    pub(super) fn new(key: FlowKey, serial: u64, reused_ports: bool, packet: &Packet) -> Self {
        let mark = Mark::of(packet);
        let mut ending = Ending::default();
        ending.begin(mark);
        Self {
            key,
            serial,
            client: u8::from(key.low != key.high && likely_server(&key, packet) == key.low),
            roles_seen: false,
            reused_ports,
            first: mark,
            last: mark,
            start: Mark::default(),
            end: Mark::default(),
            handshake: Handshake::default(),
            sent: [Sent::default(); 2],
            flows: [Flow::default(); 2],
            reassembly: [Reassembly::default(), Reassembly::default()],
            ending,
            rare: None,
            receiver: None,
            told: None,
        }
    }

    /// Reads a bit of all that every packet needs, so that it is fetched from memory.
    #[inline]
    pub(super) fn touch(&self) -> u64 {
        let [low, high] = &self.flows;
        let reading = self.reassembly.iter().filter(|side| side.is_told()).count() as u64;
        let sent = self.sent[0].packets ^ self.sent[1].packets;
        let flows = u64::from(low.next().unwrap_or(0) ^ high.next().unwrap_or(0));
        let times = u64::from(self.start.is_none()) ^ self.handshake.first_rtt_ns();
        sent ^ flows ^ reading ^ times ^ self.ending.longest_idle_ns ^ u64::from(self.receiver.is_some())
    }

    /// Which direction a packet has.
    #[inline]
    pub(super) fn direction(&self, source: Endpoint) -> usize {
        usize::from(source != self.key.low)
    }

    /// The same where the packet is of this connection, else `None`.
    #[inline]
    pub(super) fn direction_between(&self, source: Endpoint, destination: Endpoint) -> Option<usize> {
        let FlowKey { low, high } = self.key;
        if source == low && destination == high {
            Some(0)
        } else {
            (source == high && destination == low).then_some(1)
        }
    }

    /// True if the SYN does not belong to this connection but begins another one between the same ports.
    pub(super) fn is_ended_by(&self, segment: &TcpSegment, direction: usize) -> bool {
        segment.flags.syn()
            && !segment.flags.ack()
            && self.flows[direction]
                .base()
                .is_some_and(|base| base != segment.sequence)
    }

    /// Both FINs or a RST were seen.
    pub(super) fn is_over(&self) -> bool {
        self.ending.is_over()
    }

    /// Time of the last packet.
    pub(super) fn end(&self) -> Option<Timestamp> {
        self.end.time()
    }

    fn client(&self) -> usize {
        usize::from(self.client)
    }

    fn side(&self, direction: usize) -> Side {
        if direction == self.client() {
            Side::Client
        } else {
            Side::Server
        }
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Takes the next packet.
    pub(super) fn packet(
        &mut self,
        packet: &Packet,
        segment: &TcpSegment,
        direction: usize,
        payload: &[u8],
        seen_before: bool,
        shared: &mut Shared,
    ) {
        let mark = Mark::of(packet);
        self.sent[direction].count(packet, segment);
        self.last = mark;
        if packet.time.is_some() {
            self.end = mark;
            self.start = self.start.or(mark);
        }
        if packet.captured_bytes < packet.wire_bytes {
            self.rare().cut_packets += 1;
        }
        if seen_before {
            if segment.window == 0 && !segment.flags.has(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST) {
                self.rare().side(direction).zero_window_packets += 1;
            }
            self.rare().duplicates += 1;
            return;
        }
        if segment.flags.syn() {
            self.roles(segment, direction);
        }
        let signs = self.analyze(packet, segment, direction, mark);
        let by_client = direction == self.client();
        let data = packet.payload_wire_bytes > 0;
        self.handshake.segment(segment, by_client, data, packet.ttl, mark);
        self.bytes(packet, segment, payload, direction, mark, shared);
        self.close(packet, segment, payload, direction, signs, mark);
        if segment.flags.ack() && self.reassembly.iter().all(Reassembly::is_told) {
            self.tell();
        }
    }

    /// Both sides were read to their end: the receiver is let go of.
    fn tell(&mut self) {
        if let Some(receiver) = self.receiver.take() {
            self.told = Some(Box::new(receiver.finish()));
        }
    }

    /// An ICMP error that quotes this connection.
    pub(super) fn icmp(&mut self, packet: &Packet, message: &IcmpMessage) {
        if let Some(quoted) = message.quoted {
            let direction = self.direction(quoted.source);
            let of_syn = quoted.sequence.is_none() || quoted.sequence == self.flows[direction].base();
            if of_syn && direction == self.client() && is_unreachable(message) {
                self.handshake.rejected();
            }
        }
        if let Some(time) = packet.time {
            self.rare().icmp.get_or_insert((
                (message.v6, message.message_type, message.code),
                time,
                packet.at,
            ));
        }
    }

    fn roles(&mut self, segment: &TcpSegment, direction: usize) {
        if !self.roles_seen {
            self.roles_seen = true;
            let client = if segment.flags.ack() {
                direction ^ 1
            } else {
                direction
            };
            self.client = u8::from(client != 0);
        }
        if !segment.flags.ack() && self.flows[direction].base() == Some(segment.sequence) {
            analysis::restart_at_syn(&mut self.flows[direction]);
        }
    }

    fn analyze(&mut self, packet: &Packet, segment: &TcpSegment, direction: usize, mark: Mark) -> Signs {
        let [low, high] = &mut self.flows;
        let (sender, receiver) = if direction == 0 { (low, high) } else { (high, low) };
        let analyzed = Segment {
            header: segment,
            length: packet.payload_wire_bytes,
            time: packet.time.map_or(0, |time| time.0),
        };
        if analysis::goes_on(sender, receiver, &analyzed) {
            if let Some(rare) = &mut self.rare {
                rare.window_open(direction, mark);
            }
            return Signs::default();
        }
        let signs = analysis::analyze(sender, receiver, &analyzed, self.handshake.first_rtt_ns());
        if reports_twice(segment) {
            self.rare().side(direction ^ 1).got_twice += 1;
        }
        if signs != Signs::default() {
            self.rare()
                .tally(direction, signs, segment, packet.payload_wire_bytes, mark);
        }
        let ends_window = segment.flags.has(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST);
        if segment.window == 0 && !ends_window {
            self.rare().window_closed(direction, mark);
        } else if let Some(rare) = &mut self.rare {
            rare.window_open(direction, mark);
        }
        signs
    }

    /// Hands payload and acknowledgments to the reassembly.
    fn bytes(
        &mut self,
        packet: &Packet,
        segment: &TcpSegment,
        payload: &[u8],
        direction: usize,
        mark: Mark,
        shared: &mut Shared,
    ) {
        let flags = segment.flags;
        let mut sequence = segment.sequence;
        if flags.syn() {
            sequence = sequence.wrapping_add(1);
            self.reassembly[direction].start(sequence);
        }
        if flags.rst() || self.told.is_some() {
            return;
        }
        let (client, setting, key) = (self.client(), shared.setting(), &self.key);
        let length = packet.payload_wire_bytes;
        if length > 0 {
            let data = Data {
                sequence,
                bytes: if self
                    .receiver
                    .as_ref()
                    .is_none_or(|receiver| receiver.wants_bytes())
                {
                    payload.get(..length as usize).unwrap_or(payload)
                } else {
                    &[]
                },
                length,
                mark,
            };
            let mut out = ToReceiver {
                receiver: &mut self.receiver,
                rare: &mut self.rare,
                setting,
                key,
                client,
                direction,
                mark,
            };
            self.reassembly[direction].data(&data, &mut shared.budget, &mut out);
        }
        if flags.ack() {
            let mut out = ToReceiver {
                receiver: &mut self.receiver,
                rare: &mut self.rare,
                setting,
                key,
                client,
                direction: direction ^ 1,
                mark,
            };
            self.reassembly[direction ^ 1].acknowledge(
                segment.acknowledgment,
                mark,
                &mut shared.budget,
                &mut out,
            );
        }
        if flags.fin() {
            let mut out = ToReceiver {
                receiver: &mut self.receiver,
                rare: &mut self.rare,
                setting,
                key,
                client,
                direction,
                mark,
            };
            self.reassembly[direction].fin(sequence.wrapping_add(length), &mut out);
        }
    }

    fn close(
        &mut self,
        packet: &Packet,
        segment: &TcpSegment,
        payload: &[u8],
        direction: usize,
        signs: Signs,
        mark: Mark,
    ) {
        let old = Signs(Signs::SENT_AGAIN.0 | Signs::KEEP_ALIVE.0);
        let new_data = packet.payload_wire_bytes > 0
            && !signs.any(old)
            && !segment.flags.rst()
            && !is_tls_alert(payload);
        let closes = segment.flags.has(TcpFlags::FIN | TcpFlags::RST);
        if !new_data && !closes {
            return;
        }
        let other = direction ^ 1;
        let by_client = direction == self.client();
        let outcome = self.ending.step(&Step {
            direction,
            segment,
            new_data,
            mark,
            by_client,
            other_unacknowledged: closes && self.unacknowledged(other),
            own_unacknowledged: closes && self.unacknowledged(direction),
        });
        if let Outcome::RequestAfterFin(at) = outcome {
            let client = self.client();
            if !self.rare().has(StreamEventKind::RequestAfterFin) {
                self.rare().event(client, StreamEventKind::RequestAfterFin, at);
            }
        }
        if segment.flags.rst()
            && let Some(receiver) = &mut self.receiver
        {
            let side = if by_client { Side::Client } else { Side::Server };
            receiver.closed(side, true, mark.time(), mark.at());
        }
    }

    /// True if the direction sent payload that the other one did not acknowledge.
    fn unacknowledged(&self, direction: usize) -> bool {
        let (Some(next), Some(acknowledged)) = (
            self.flows[direction].next(),
            self.flows[direction ^ 1].acknowledged(),
        ) else {
            return false;
        };
        let fin = u32::from(self.ending.fin[direction].is_some());
        self.sent[direction].data_packets > 0 && sequence::after(next.wrapping_sub(fin), acknowledged)
    }

    /// What is known of it, now that it is over: it is of no use after that. `cut_short` if a limit ended it.
    pub(super) fn record(&mut self, shared: &mut Shared, cut_short: bool) -> StreamRecord {
        let (client, setting, key) = (self.client(), shared.setting(), &self.key);
        for direction in [client, client ^ 1] {
            let mut out = ToReceiver {
                receiver: &mut self.receiver,
                rare: &mut self.rare,
                setting,
                key,
                client,
                direction,
                mark: self.last,
            };
            self.reassembly[direction].finish(&mut shared.budget, &mut out);
        }
        if let Some(rare) = &mut self.rare {
            rare.window_open(0, self.end);
            rare.window_open(1, self.end);
        }
        self.tell();
        let application = self.told.take().map(|told| *told).unwrap_or_default();
        let opening = self.opening();
        let rare = self.rare.as_deref();
        let facts = |direction: usize| facts::side_facts(&self.sent[direction], rare, direction);
        let endpoint = |direction: usize| {
            if direction == 0 {
                self.key.low
            } else {
                self.key.high
            }
        };
        let ending = &self.ending;
        let closing = [0, 1].into_iter().flat_map(|direction| {
            [
                (direction, StreamEventKind::Fin, ending.fin[direction]),
                (direction, StreamEventKind::Reset, ending.rst[direction]),
            ]
        });
        StreamRecord {
            point: shared.point,
            client: endpoint(client),
            server: endpoint(client ^ 1),
            roles_seen: self.roles_seen,
            first: self.first.at(),
            last: self.last.at(),
            start: self.start.time(),
            end: self.end.time(),
            opening,
            syn: self.handshake.syn.known(),
            last_syn: self.handshake.last_syn(),
            syn_ack: self.handshake.syn_ack.known(),
            handshake_ack: self.handshake.ack.known(),
            handshake_rtt_ns: self.handshake.rtt_ns(),
            server_ttl: self.handshake.server_ttl(),
            initial_sequence: [self.flows[client].base(), self.flows[client ^ 1].base()],
            sides: [facts(client), facts(client ^ 1)],
            close: self.close_facts(opening, &application),
            duplicates: rare.map_or(0, |rare| rare.duplicates),
            cut_packets: rare.map_or(0, |rare| rare.cut_packets),
            one_sided: self.is_one_sided(),
            reused_ports: self.reused_ports,
            icmp_error: rare.and_then(|rare| rare.icmp),
            longest_idle_ns: ending.longest_idle_ns,
            truncated: cut_short,
            moments: rare.map(Rare::moments).unwrap_or_default(),
            events: facts::events(rare, closing, |direction| self.side(direction)),
            application,
        }
    }

    fn opening(&self) -> Opening {
        self.handshake.opening(
            self.ending.rst[self.client() ^ 1].is_some(),
            self.sent[self.client()].packets > 0,
        )
    }

    fn close_facts(&self, opening: Opening, application: &Application) -> Close {
        let kind = match opening {
            Opening::Established | Opening::Midstream => {
                let kind = self.ending.kind(self.client(), opening == Opening::Established);
                let unanswered = application.http.as_ref().is_some_and(|http| http.unanswered > 0);
                if kind == CloseKind::ResetIdle && unanswered {
                    CloseKind::ResetMidExchange
                } else {
                    kind
                }
            }
            _ => CloseKind::NotOpened,
        };
        let first = self.ending.first;
        Close {
            kind,
            by: first.map(|(direction, _)| self.side(direction)),
            at: first.and_then(|(_, mark)| mark.known()),
            asked_after_idle_ns: (kind == CloseKind::ResetMidExchange)
                .then_some(self.ending.asked_after_idle_ns)
                .flatten(),
            idle_before_ns: first.and_then(|(_, mark)| mark.since(self.ending.quiet_since)),
        }
    }

    /// One side acknowledges what the other one must have sent, and nothing of that is in the capture.
    fn is_one_sided(&self) -> bool {
        let silent = self.sent.iter().any(|sent| sent.packets == 0);
        let spoke = self
            .sent
            .iter()
            .any(|sent| sent.packets > u64::from(sent.syn) + sent.resets());
        silent && spoke
    }
}

/// Without SYN or SYN-ACK: the lower port is the server's, and where they are equal the first packet is the client's.
fn likely_server(key: &FlowKey, packet: &Packet) -> Endpoint {
    match key.low.port.cmp(&key.high.port) {
        std::cmp::Ordering::Less => key.low,
        std::cmp::Ordering::Greater => key.high,
        std::cmp::Ordering::Equal => packet.destination,
    }
}

/// An ICMP error that tells a sender that its packet did not arrive (RFC 792, RFC 4443), other than for its size.
fn is_unreachable(message: &IcmpMessage) -> bool {
    match (message.v6, message.message_type) {
        (false, 3) => message.code != 4,
        (false, 11 | 12) | (true, 1 | 3 | 4) => true,
        _ => false,
    }
}

/// True for an acknowledgment whose first SACK block lies below what it acknowledges: a D-SACK, RFC 2883 section 4.
fn reports_twice(segment: &TcpSegment) -> bool {
    let block = segment.options.first_sack.filter(|_| segment.flags.ack());
    block.is_some_and(|(_, right)| !sequence::after(right, segment.acknowledgment))
}

/// Takes what the reassembly passes on of one direction to the receiver, which it makes when there is need of it.
struct ToReceiver<'s, R> {
    receiver: &'s mut Option<Box<R>>,
    rare: &'s mut Option<Box<Rare>>,
    setting: Setting,
    key: &'s FlowKey,
    client: usize,
    direction: usize,
    /// The packet that is at work.
    mark: Mark,
}

impl<R: Receiver> ToReceiver<'_, R> {
    fn side(&self) -> Side {
        if self.direction == self.client {
            Side::Client
        } else {
            Side::Server
        }
    }

    fn receiver(&mut self) -> &mut R {
        let (client, server) = if self.client == 0 {
            (self.key.low, self.key.high)
        } else {
            (self.key.high, self.key.low)
        };
        self.receiver
            .get_or_insert_with(|| Box::new(R::open(self.setting, client, server)))
    }
}

impl<R: Receiver> Output for ToReceiver<'_, R> {
    fn bytes(&mut self, bytes: &[u8], mark: Mark) {
        let side = self.side();
        self.receiver().chunk(&Chunk {
            side,
            bytes,
            time: mark.time(),
            at: mark.at(),
        });
    }

    fn gap(&mut self, bytes: u64, lost: bool) {
        if lost {
            let rare = self.rare.get_or_insert_default();
            let missing = &mut rare.side(self.direction).missing_bytes;
            *missing = missing.saturating_add(bytes);
        }
        let side = self.side();
        self.receiver().gap(side, bytes);
    }

    fn end(&mut self) {
        let (side, mark) = (self.side(), self.mark);
        if let Some(receiver) = self.receiver {
            receiver.closed(side, false, mark.time(), mark.at());
        }
    }
}
