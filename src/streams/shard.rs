//! The connections of one capture point whose key hashes to one number, from their first packet to their record.
//!
//! A shard depends on the order of its own packets only. What a limit ends is the oldest of its kind in that order, and
//! is counted.

use super::application::DnsPairing;
use super::embryo::Embryo;
use super::reassembly::{Budget, MAX_HELD_BYTES, MAX_HELD_BYTES_OF_SHARD};
use super::receiver::Receiver;
use super::record::{DnsExchange, StreamRecord};
use super::tcp::{Shared, Stream};
use super::twice::Sights;
use super::{CapturePoint, SHARDS};
use crate::decode::packet::{Endpoint, FlowKey, IcmpMessage, Packet, TcpFlags, TcpSegment, Transport};
use hashbrown::HashTable;
use std::collections::VecDeque;

/// What a shard may keep at a time. The defaults bound all shards of a capture point to about 250 MiB, without what
/// receivers keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Connections with more than one SYN.
    pub live: usize,
    /// Connections of which one SYN was seen and nothing else.
    pub embryonic: usize,
    /// Bytes that wait for a missing segment, in one direction of a connection.
    pub held_bytes: usize,
    /// The same for all connections of the shard.
    pub held_bytes_of_shard: usize,
    /// How long a closed connection is kept for stragglers, in nanoseconds of packet time.
    pub linger_ns: u64,
    /// UDP flows that are told apart.
    pub udp_flows: usize,
    /// Keep when every request, or burst of bytes, passed: what rows of logs are joined with.
    pub passages: bool,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            live: 2048,
            embryonic: 8192,
            held_bytes: MAX_HELD_BYTES,
            held_bytes_of_shard: MAX_HELD_BYTES_OF_SHARD,
            // What still comes of a closed connection are answers to a lost last acknowledgment: a FIN is sent again
            // after 0.2 s, 0.4 s, ... Longer would keep the state of every short connection of a busy proxy.
            linger_ns: 5_000_000_000,
            udp_flows: 16_384,
            passages: true,
        }
    }
}

/// Connections of one shard that are remembered when they are over (72 KiB).
const MAX_PAST: usize = 8192;

/// Takes what a shard has finished.
pub trait StreamSink {
    /// A TCP connection is over.
    fn stream(&mut self, record: StreamRecord);
    /// A DNS question has its answer, or will have none.
    fn dns(&mut self, exchange: DnsExchange);
}

/// What a shard counted beside its connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardSummary {
    /// Records handed out.
    pub streams: u64,
    /// TCP packets.
    pub tcp_packets: u64,
    /// UDP flows, up to the limit.
    pub udp_flows: u64,
    /// UDP packets.
    pub udp_packets: u64,
    /// ICMP messages.
    pub icmp_packets: u64,
    /// ICMP errors that quote a TCP connection which is not in the capture.
    pub icmp_unmatched: u64,
    /// Everything else: fragments, other protocols.
    pub other_packets: u64,
    /// What limits left out.
    pub left_out: LeftOut,
}

/// What the limits of a shard left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Connections whose record ends early: they were open when there were too many.
    pub cut_short: u64,
    /// The same for connections of one SYN: their record is right unless more packets came.
    pub embryonic: u64,
    /// Gaps in the bytes of a connection that were given up because too much waited behind them.
    pub gaps_given_up: u64,
    /// UDP packets of flows beyond the limit (or of flows within it that were not told apart any more).
    pub udp_packets: u64,
}

/// Which shard a packet of this connection belongs to. The same for both directions and on every machine.
pub fn shard_of(point: CapturePoint, flow: &FlowKey) -> usize {
    shard_of_hash(point, flow_hash(flow))
}

/// The same, from the [`flow_hash`] of the connection.
#[inline]
pub fn shard_of_hash(point: CapturePoint, hash: u64) -> usize {
    let hash = hash ^ u64::from(point.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // Bits in the middle: the tables of a shard choose places by the low ones and tell keys apart by the highest.
    usize::try_from(hash >> 40 & 0xffff).unwrap_or(0) % SHARDS
}

/// Hash of a connection with a fixed seed.
#[inline]
pub fn flow_hash(flow: &FlowKey) -> u64 {
    hash_of_ends(flow.low, flow.high)
}

/// The same from its two ends in any order.
#[inline]
pub fn hash_of_ends(one: Endpoint, other: Endpoint) -> u64 {
    let (one, other) = (hash_of_end(one), hash_of_end(other));
    folded(
        one.min(other) ^ 0x8bb8_4b93_962e_acc9,
        one.max(other) ^ 0x4b33_a62e_d433_d4a3,
    )
}

/// The two halves are added again: with one that makes the product 0 the hash would not depend on the other.
#[inline]
fn hash_of_end(end: Endpoint) -> u64 {
    let address = end.address.number().to_le_bytes();
    let (low, high) = address.split_at(8);
    let half = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let (low, high) = (half(low), half(high) ^ u64::from(end.port) << 48);
    folded(low ^ 0x2d35_8dcc_aa6c_78a5, high ^ 0x4d5a_2da5_1de1_aa47)
        .wrapping_add(low)
        .wrapping_add(high.rotate_left(29))
}

/// The product of two numbers, its halves laid over each other: each bit depends on all bits of both.
#[inline]
fn folded(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    let [a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7] = product.to_le_bytes();
    u64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7])
        ^ u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7])
}

/// A closed connection is kept for so many packets of the shard at least, whatever their times say.
const LINGER_PACKETS: u64 = 256;

/// Where the state of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handle {
    Embryo(u32),
    Stream(u32),
}

/// Where a connection probably is (see [`Shard::expect`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected(u32);

/// A place in a queue: the connection that had this serial number, if it still is there.
#[derive(Clone, Copy, Debug)]
struct Ticket {
    slot: u32,
    serial: u64,
    /// Packets of the shard when the ticket was written.
    written: u64,
}

#[derive(Debug)]
struct Slot<R> {
    stream: Stream<R>,
    /// Packets of the shard at its last one.
    touched: u64,
    /// It stands in the queue of closed ones.
    closed: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Shard<R> {
    limits: StreamLimits,
    shared: Shared,
    index: HashTable<Handle>,
    embryos: Slab<Embryo>,
    streams: Slab<Slot<R>>,
    /// Embryos in order of their SYN; streams in order of their last packet, when the ticket was written; closed ones
    /// in order of their close.
    young: VecDeque<Ticket>,
    open: VecDeque<Ticket>,
    /// With the time until which they are kept at least, where it is known.
    closed: VecDeque<(Ticket, i64)>,
    sights: Sights,
    /// Hashes of connections that were handed out.
    past: HashTable<u64>,
    udp: HashTable<u64>,
    dns: Option<Box<DnsPairing>>,
    packets: u64,
    /// Time of the latest packet that has one.
    now: Option<i64>,
    /// No packet was earlier than one before it.
    in_order: bool,
    summary: ShardSummary,
}

impl<R: Receiver> Shard<R> {
    /// Empty.
    pub fn new(point: CapturePoint, limits: &StreamLimits) -> Self {
        Self {
            limits: *limits,
            shared: Shared {
                point,
                passages: limits.passages,
                budget: Budget {
                    held: 0,
                    direction: limits.held_bytes,
                    shard: limits.held_bytes_of_shard,
                    given_up: 0,
                },
            },
            index: HashTable::new(),
            embryos: Slab::default(),
            streams: Slab::default(),
            young: VecDeque::new(),
            open: VecDeque::new(),
            closed: VecDeque::new(),
            in_order: true,
            sights: Sights::default(),
            past: HashTable::new(),
            udp: HashTable::new(),
            dns: None,
            packets: 0,
            now: None,
            summary: ShardSummary::default(),
        }
    }

    /// Takes the next packet of this shard, in capture order, with its payload as far as it was captured.
    pub fn packet(&mut self, packet: &Packet, payload: &[u8], sink: &mut impl StreamSink) {
        self.packet_of(flow_hash(&packet.flow()), None, packet, payload, sink);
    }

    /// Where the state of the connection with this [`flow_hash`] probably is, and `None` if there is none.
    #[inline]
    pub fn expect(&self, hash: u64) -> Option<Expected> {
        match self.index.find(hash, |_| true)? {
            Handle::Stream(slot) => Some(Expected(*slot)),
            Handle::Embryo(_) => None,
        }
    }

    /// Reads a bit of all that the next packet of a connection needs, so that it is on its way into the processor's cache.
    /// It pays to ask for some packets at once: their memory is waited for together.
    #[inline]
    pub fn touch(&self, expected: Expected) -> u64 {
        let live = self.streams.get(expected.0);
        live.map_or(0, |live| live.touched ^ live.stream.touch())
    }

    /// The same for a packet whose [`flow_hash`] is known, and with what [`Self::expect`] said of it.
    pub fn packet_of(
        &mut self,
        hash: u64,
        expected: Option<Expected>,
        packet: &Packet,
        payload: &[u8],
        sink: &mut impl StreamSink,
    ) {
        self.packets += 1;
        if let Some(time) = packet.time {
            self.in_order &= self.now.is_none_or(|now| now <= time.0);
            self.now = Some(time.0);
        }
        match &packet.transport {
            Transport::Tcp(segment) => self.tcp((hash, expected), packet, segment, payload, sink),
            Transport::Udp => self.udp(hash, packet, payload, sink),
            Transport::Icmp(message) => self.icmp(packet, message, sink),
            Transport::Fragment | Transport::Other(_) | Transport::NotIp => self.summary.other_packets += 1,
        }
    }

    /// All packets were given: connections that are still there are handed out in order of their first packet.
    pub fn finish(mut self, sink: &mut impl StreamSink) -> ShardSummary {
        let mut left: Vec<(u64, Handle)> = self
            .index
            .iter()
            .map(|handle| (self.serial(*handle), *handle))
            .collect();
        left.sort_unstable_by_key(|(serial, _)| *serial);
        for (_, handle) in left {
            match handle {
                Handle::Embryo(slot) => self.hand_out_embryo(slot, false, sink),
                Handle::Stream(slot) => self.hand_out(slot, false, sink),
            }
        }
        if let Some(dns) = self.dns {
            dns.finish(|exchange| sink.dns(exchange));
        }
        self.summary.left_out.gaps_given_up = self.shared.budget.given_up;
        self.summary.udp_flows = self.udp.len() as u64;
        self.summary
    }

    fn tcp(
        &mut self,
        (hash, expected): (u64, Option<Expected>),
        packet: &Packet,
        segment: &TcpSegment,
        payload: &[u8],
        sink: &mut impl StreamSink,
    ) {
        self.summary.tcp_packets += 1;
        self.let_go_of_closed(sink);
        let seen_before = self.sights.seen_before(hash, packet, segment);
        // What nearly every packet is: no SYN, of a connection that is where it was expected.
        if let Some(Expected(slot)) = expected
            && !segment.flags.syn()
            && let Some(live) = self.streams.get_mut(slot)
            && let Some(direction) = live.stream.direction_between(packet.source, packet.destination)
        {
            live.touched = self.packets;
            live.stream
                .packet(packet, segment, direction, payload, seen_before, &mut self.shared);
            if segment.flags.has(TcpFlags::FIN | TcpFlags::RST) {
                self.after_packet(slot);
            }
            return;
        }
        let key = FlowKey::of(packet.source, packet.destination);
        let slot = match self.stream_of(&key, hash, sink) {
            Some(slot) if !self.ends(slot, packet.source, segment) => Some(slot),
            Some(slot) => {
                self.hand_out(slot, false, sink);
                self.begin(key, hash, true, packet, segment, sink)
            }
            None => self.begin(key, hash, false, packet, segment, sink),
        };
        let Some(slot) = slot else { return };
        let Some(live) = self.streams.get_mut(slot) else {
            return;
        };
        live.touched = self.packets;
        let direction = live.stream.direction(packet.source);
        live.stream
            .packet(packet, segment, direction, payload, seen_before, &mut self.shared);
        self.after_packet(slot);
    }

    /// Notes a connection that is over now.
    fn after_packet(&mut self, slot: u32) {
        let Some(live) = self.streams.get_mut(slot) else {
            return;
        };
        if !live.closed && live.stream.is_over() {
            live.closed = true;
            let serial = live.stream.serial;
            let ticket = Ticket {
                slot,
                serial,
                written: self.packets,
            };
            self.close(ticket);
        }
    }

    /// A connection is closed: it is kept for a while.
    fn close(&mut self, ticket: Ticket) {
        // Tickets of connections that are gone, since their ports were used again, must not pile up.
        if self.closed.len() > 2 * self.streams.len() + 64 {
            let streams = &self.streams;
            self.closed.retain(|(ticket, _)| {
                streams
                    .get(ticket.slot)
                    .is_some_and(|live| live.stream.serial == ticket.serial)
            });
        }
        let stream = self.streams.get(ticket.slot).map(|live| &live.stream);
        let timed = stream.filter(|stream| stream.end().is_some());
        let kept_until = timed.map_or(i64::MIN, |stream| self.kept_until(stream));
        self.closed.push_back((ticket, kept_until));
    }

    /// The stream with this key; an embryo grows into one.
    fn stream_of(&mut self, key: &FlowKey, hash: u64, sink: &mut impl StreamSink) -> Option<u32> {
        let embryo = match self.find(key, hash)? {
            Handle::Stream(slot) => return Some(slot),
            Handle::Embryo(slot) => slot,
        };
        let young = *self.embryos.get(embryo)?;
        self.forget(Handle::Embryo(embryo), hash);
        self.embryos.remove(embryo);
        let (first, syn) = (young.packet(), young.segment());
        let slot = self.insert(*key, hash, young.serial, false, &first, sink);
        if let Some(live) = self.streams.get_mut(slot) {
            let direction = live.stream.direction(first.source);
            live.stream
                .packet(&first, &syn, direction, &[], false, &mut self.shared);
        }
        Some(slot)
    }

    fn ends(&self, slot: u32, source: Endpoint, segment: &TcpSegment) -> bool {
        segment.flags.syn()
            && self.streams.get(slot).is_some_and(|live| {
                let direction = live.stream.direction(source);
                live.stream.is_ended_by(segment, direction)
            })
    }

    /// A connection begins: in full, or as an embryo, for which there is no slot.
    fn begin(
        &mut self,
        key: FlowKey,
        hash: u64,
        reused_ports: bool,
        packet: &Packet,
        segment: &TcpSegment,
        sink: &mut impl StreamSink,
    ) -> Option<u32> {
        let reused_ports = reused_ports || segment.flags.syn() && !segment.flags.ack() && self.is_past(hash);
        if !reused_ports && let Some(embryo) = Embryo::of(key, self.packets, packet, segment) {
            self.insert_embryo(embryo, hash, sink);
            return None;
        }
        Some(self.insert(key, hash, self.packets, reused_ports, packet, sink))
    }

    fn insert(
        &mut self,
        key: FlowKey,
        hash: u64,
        serial: u64,
        reused_ports: bool,
        packet: &Packet,
        sink: &mut impl StreamSink,
    ) -> u32 {
        while self.streams.len() >= self.limits.live.max(1) {
            self.make_room(sink);
        }
        let slot = self.streams.insert(Slot {
            stream: Stream::new(key, serial, reused_ports, packet),
            touched: self.packets,
            closed: false,
        });
        self.open.push_back(Ticket {
            slot,
            serial,
            written: self.packets,
        });
        self.remember(Handle::Stream(slot), hash);
        slot
    }

    fn insert_embryo(&mut self, embryo: Embryo, hash: u64, sink: &mut impl StreamSink) {
        while self.embryos.len() >= self.limits.embryonic.max(1) {
            let Some(ticket) = self.young.pop_front() else {
                break;
            };
            if self
                .embryos
                .get(ticket.slot)
                .is_some_and(|young| young.serial == ticket.serial)
            {
                self.summary.left_out.embryonic += 1;
                self.hand_out_embryo(ticket.slot, true, sink);
            }
        }
        // Tickets of embryos that grew up stay in the queue: they must not pile up in it.
        if self.young.len() > 2 * self.embryos.len() + 64 {
            let embryos = &self.embryos;
            self.young.retain(|ticket| {
                embryos
                    .get(ticket.slot)
                    .is_some_and(|young| young.serial == ticket.serial)
            });
        }
        let serial = embryo.serial;
        let slot = self.embryos.insert(embryo);
        self.young.push_back(Ticket {
            slot,
            serial,
            written: serial,
        });
        self.remember(Handle::Embryo(slot), hash);
    }

    /// Hands out closed connections that were kept long enough.
    fn let_go_of_closed(&mut self, sink: &mut impl StreamSink) {
        while let Some((ticket, kept_until)) = self.closed.front().copied() {
            // A packet with a wrong time must not end all of them.
            if self.packets.saturating_sub(ticket.written) < LINGER_PACKETS {
                return;
            }
            // What came after the close can only have come later: the connection itself need not be looked at.
            if self.in_order && self.now.is_some_and(|now| kept_until >= now) {
                return;
            }
            if let Some(live) = self.live(ticket) {
                let kept_until = self.kept_until(&live.stream);
                if self.now.is_none_or(|now| kept_until >= now) {
                    return;
                }
                self.hand_out(ticket.slot, false, sink);
            }
            self.closed.pop_front();
        }
    }

    /// Until when a closed connection is kept, whatever its times are: without any, for good.
    fn kept_until(&self, stream: &Stream<R>) -> i64 {
        let linger = i64::try_from(self.limits.linger_ns).unwrap_or(i64::MAX);
        stream
            .end()
            .map_or(i64::MAX, |time| time.0.saturating_add(linger))
    }

    /// Hands out a connection: one that is closed, or else the one that was silent for longest.
    fn make_room(&mut self, sink: &mut impl StreamSink) {
        while let Some((ticket, _)) = self.closed.pop_front() {
            if self.live(ticket).is_some() {
                self.hand_out(ticket.slot, false, sink);
                return;
            }
        }
        while let Some(ticket) = self.open.pop_front() {
            let Some(live) = self.live(ticket) else { continue };
            if live.touched > ticket.written {
                let written = live.touched;
                self.open.push_back(Ticket { written, ..ticket });
                continue;
            }
            self.summary.left_out.cut_short += 1;
            self.hand_out(ticket.slot, true, sink);
            return;
        }
    }

    fn is_past(&self, hash: u64) -> bool {
        self.past.find(hash, |known| *known == hash).is_some()
    }

    /// Connections that were handed out, so that it can be said of a later one that it uses their ports again. At the
    /// limit all are forgotten.
    fn remember_past(&mut self, hash: u64) {
        if self.past.len() >= MAX_PAST {
            self.past.clear();
        }
        if !self.is_past(hash) {
            self.past.insert_unique(hash, hash, |known| *known);
        }
    }

    fn live(&self, ticket: Ticket) -> Option<&Slot<R>> {
        self.streams
            .get(ticket.slot)
            .filter(|live| live.stream.serial == ticket.serial)
    }

    fn hand_out(&mut self, slot: u32, cut_short: bool, sink: &mut impl StreamSink) {
        let Some(key) = self.streams.get(slot).map(|live| live.stream.key) else {
            return;
        };
        let hash = flow_hash(&key);
        self.forget(Handle::Stream(slot), hash);
        self.remember_past(hash);
        if let Some(live) = self.streams.get_mut(slot) {
            self.summary.streams += 1;
            let record = live.stream.record(&mut self.shared, cut_short);
            self.streams.remove(slot);
            sink.stream(record);
        }
        if self.open.len() > 2 * self.streams.len() + 64 {
            let streams = &self.streams;
            self.open.retain(|ticket| {
                streams
                    .get(ticket.slot)
                    .is_some_and(|live| live.stream.serial == ticket.serial)
            });
        }
    }

    fn hand_out_embryo(&mut self, slot: u32, cut_short: bool, sink: &mut impl StreamSink) {
        let Some(young) = self.embryos.get(slot).copied() else {
            return;
        };
        self.forget(Handle::Embryo(slot), flow_hash(&young.key));
        self.embryos.remove(slot);
        let (packet, segment) = (young.packet(), young.segment());
        let mut stream = Stream::<R>::new(young.key, young.serial, false, &packet);
        let direction = stream.direction(packet.source);
        stream.packet(&packet, &segment, direction, &[], false, &mut self.shared);
        self.summary.streams += 1;
        sink.stream(stream.record(&mut self.shared, cut_short));
    }

    fn udp(&mut self, hash: u64, packet: &Packet, payload: &[u8], sink: &mut impl StreamSink) {
        self.summary.udp_packets += 1;
        let point = self.shared.point;
        self.dns
            .get_or_insert_with(|| Box::new(DnsPairing::new(point)))
            .udp(packet, payload, |exchange| sink.dns(exchange));
        if self.udp.find(hash, |known| *known == hash).is_some() {
            return;
        }
        if self.udp.len() >= self.limits.udp_flows {
            self.summary.left_out.udp_packets += 1;
            return;
        }
        self.udp.insert_unique(hash, hash, |known| *known);
    }

    fn icmp(&mut self, packet: &Packet, message: &IcmpMessage, sink: &mut impl StreamSink) {
        const TCP: u8 = 6;
        self.summary.icmp_packets += 1;
        let Some(quoted) = message.quoted.filter(|quoted| quoted.protocol == TCP) else {
            return;
        };
        let key = FlowKey::of(quoted.source, quoted.destination);
        let hash = flow_hash(&key);
        let slot = self.stream_of(&key, hash, sink);
        match slot.and_then(|slot| self.streams.get_mut(slot)) {
            Some(live) => live.stream.icmp(packet, message),
            None => self.summary.icmp_unmatched += 1,
        }
    }

    fn serial(&self, handle: Handle) -> u64 {
        match handle {
            Handle::Embryo(slot) => self.embryos.get(slot).map_or(0, |young| young.serial),
            Handle::Stream(slot) => self.streams.get(slot).map_or(0, |live| live.stream.serial),
        }
    }

    fn find(&self, key: &FlowKey, hash: u64) -> Option<Handle> {
        self.index
            .find(hash, |handle| {
                key_of(&self.embryos, &self.streams, *handle) == Some(*key)
            })
            .copied()
    }

    fn remember(&mut self, handle: Handle, hash: u64) {
        let (embryos, streams) = (&self.embryos, &self.streams);
        self.index.insert_unique(hash, handle, |handle| {
            key_of(embryos, streams, *handle).map_or(0, |key| flow_hash(&key))
        });
    }

    fn forget(&mut self, handle: Handle, hash: u64) {
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == handle) {
            entry.remove();
        }
    }
}

fn key_of<R>(embryos: &Slab<Embryo>, streams: &Slab<Slot<R>>, handle: Handle) -> Option<FlowKey> {
    match handle {
        Handle::Embryo(slot) => embryos.get(slot).map(|young| young.key),
        Handle::Stream(slot) => streams.get(slot).map(|live| live.stream.key),
    }
}

/// Places that are made at once: those that are there are not copied for more.
const CHUNK: usize = 16;

/// Values that keep their place.
#[derive(Debug)]
struct Slab<T> {
    chunks: Vec<Box<[Option<T>; CHUNK]>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    fn len(&self) -> usize {
        self.chunks.len() * CHUNK - self.free.len()
    }

    #[inline]
    fn get(&self, slot: u32) -> Option<&T> {
        let slot = slot as usize;
        self.chunks.get(slot / CHUNK)?.get(slot % CHUNK)?.as_ref()
    }

    #[inline]
    fn place(&mut self, slot: u32) -> Option<&mut Option<T>> {
        let slot = slot as usize;
        self.chunks.get_mut(slot / CHUNK)?.get_mut(slot % CHUNK)
    }

    #[inline]
    fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.place(slot)?.as_mut()
    }

    fn insert(&mut self, value: T) -> u32 {
        if self.free.is_empty() {
            let first = u32::try_from(self.chunks.len() * CHUNK).unwrap_or(u32::MAX);
            self.chunks.push(Box::new([const { None }; CHUNK]));
            let places = (first..).take(CHUNK);
            self.free.extend(places);
            self.free.reverse();
        }
        let slot = self.free.pop().unwrap_or(u32::MAX);
        if let Some(place) = self.place(slot) {
            *place = Some(value);
        }
        slot
    }

    /// Drops a value where it is.
    fn remove(&mut self, slot: u32) {
        if let Some(place) = self.place(slot).filter(|place| place.is_some()) {
            *place = None;
            self.free.push(slot);
        }
    }
}
