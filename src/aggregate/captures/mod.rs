//! Connections and DNS exchanges of captures to sums that merge.
//!
//! In: [`StreamRecord`]s and [`DnsExchange`]s, each once, in any order; messages that belong to no connection. Out:
//! [`CaptureTotals`], whose parts are sums ([`sums`]), groups for the diagnosis ([`groups`]), connections kept whole
//! ([`kept`]) and what packets say of names ([`names`]). The laws are those of [`crate::aggregate`]: nothing depends on
//! how records were spread over workers.
//!
//! Never: sees a packet of a connection; decides what a figure means.

pub mod class;
pub mod followed;
pub mod groups;
pub mod hop;
pub mod kept;
pub mod names;
#[cfg(test)]
pub(crate) mod samples;
pub mod sums;
pub mod times;
pub mod words;

use super::Merge;
use super::bounded::Bounded;
use super::series::Series;
use super::signatures::earliest;
use crate::decode::packet::{Endpoint, FlowKey, Packet, Transport};
use crate::streams::{CapturePoint, DnsExchange, ShardSummary, StreamEventKind, StreamRecord};
use crate::units::Timestamp;
pub use class::StreamClass;
pub use followed::{FollowedConnection, FollowedConnections};
pub use groups::{StreamGroup, StreamGroupKey, StreamGroups};
pub use hop::StreamHop;
pub use kept::{KeptStreams, Sort};
pub use names::PacketNames;
use std::collections::{BTreeMap, BTreeSet};
pub use sums::{DnsTotals, HttpTotals, ServerKey, ServerTotals, ShardTotals, TcpTotals, TlsTotals};

/// Flows other than TCP that are told apart; beyond it their number is estimated.
pub const MAX_FLOWS: usize = 16_384;

/// What happened on connections in one bucket of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketMoment {
    /// Connections that began.
    pub connections: u64,
    /// Connections that showed that they went wrong.
    pub failed: u64,
    /// Packets with RST.
    pub resets: u64,
    /// Segments sent again, of any sort.
    pub retransmissions: u64,
}

impl Merge for PacketMoment {
    fn merge(&mut self, other: Self) {
        self.connections += other.connections;
        self.failed += other.failed;
        self.resets += other.resets;
        self.retransmissions += other.retransmissions;
    }
}

/// An ICMP message: version 6 or 4, type, code.
pub type IcmpKind = (bool, u8, u8);

/// Sums over all captures.
#[derive(Clone, Debug)]
pub struct CaptureTotals {
    /// TCP.
    pub tcp: TcpTotals,
    /// TLS.
    pub tls: TlsTotals,
    /// HTTP in clear.
    pub http: HttpTotals,
    /// DNS.
    pub dns: DnsTotals,
    /// What the shards counted beside.
    pub shards: ShardTotals,
    /// By server and capture point.
    pub servers: Bounded<ServerKey, ServerTotals>,
    /// Connections by hop.
    pub hops: BTreeMap<StreamHop, u64>,
    /// ICMP messages.
    pub icmp: BTreeMap<IcmpKind, u64>,
    /// Flows of UDP.
    pub udp_flows: Distinct,
    /// Flows of other protocols over IP.
    pub other_flows: Distinct,
    /// Over time.
    pub series: Series<PacketMoment>,
    /// Connections by parties and class.
    pub groups: StreamGroups,
    /// Connections kept whole.
    pub kept: KeptStreams,
    /// Connections followed for the join with log rows.
    pub followed: FollowedConnections,
    /// True where there are rows to join them with.
    follows: bool,
    /// Pods in which captures were taken, where the path of the capture says it.
    pub pods: BTreeMap<CapturePoint, String>,
    /// Names.
    pub names: PacketNames,
    /// First time of a connection or question.
    pub first: Option<Timestamp>,
    /// Last.
    pub last: Option<Timestamp>,
}

impl Default for CaptureTotals {
    fn default() -> Self {
        Self {
            tcp: TcpTotals::default(),
            tls: TlsTotals::default(),
            http: HttpTotals::default(),
            dns: DnsTotals::default(),
            shards: ShardTotals::default(),
            servers: Bounded::new(sums::MAX_SERVERS),
            hops: BTreeMap::new(),
            icmp: BTreeMap::new(),
            udp_flows: Distinct::default(),
            other_flows: Distinct::default(),
            series: Series::default(),
            groups: StreamGroups::default(),
            kept: KeptStreams::default(),
            followed: FollowedConnections::default(),
            follows: true,
            pods: BTreeMap::new(),
            names: PacketNames::default(),
            first: None,
            last: None,
        }
    }
}

impl CaptureTotals {
    /// Empty totals; with a list of all connections if `list_streams`, and with connections to be joined with rows if
    /// `follows`.
    pub fn new(list_streams: bool, follows: bool) -> Self {
        Self {
            kept: KeptStreams::new(list_streams),
            follows,
            ..Self::default()
        }
    }

    /// True when no connection, question or other packet was added.
    pub fn is_empty(&self) -> bool {
        self.tcp.connections == 0
            && self.dns.queries == 0
            && self.dns.responses_by_rcode.is_empty()
            && self.icmp.is_empty()
            && self.udp_flows.count() == 0
            && self.other_flows.count() == 0
    }

    /// Adds a connection, with the DNS exchanges that it carried: they must not be added again.
    pub fn stream(&mut self, mut record: StreamRecord) {
        let classes = StreamClass::all(&record);
        self.sum(&record, &classes);
        if self.follows {
            self.followed.offer(&mut record, &classes);
        }
        self.kept.offer(record, &classes);
    }

    fn sum(&mut self, record: &StreamRecord, classes: &[StreamClass]) {
        let hop = StreamHop::of(record);
        let primary = classes.first().copied().unwrap_or(StreamClass::Good);
        *self.hops.entry(hop).or_default() += 1;
        self.tcp.add(record, primary);
        self.tls.add(record);
        self.http.add(record);
        let server = ServerKey {
            point: record.point,
            server: record.server,
        };
        self.servers
            .change(server, |server| server.add(record, hop, primary));
        self.groups.add(record, hop, classes);
        self.names.stream(record);
        self.over_time(record, primary);
        self.span(record.start, record.end);
        for exchange in &record.application.dns {
            self.dns(exchange);
        }
    }

    /// Adds a DNS exchange that no connection carried.
    pub fn dns(&mut self, exchange: &DnsExchange) {
        self.dns.add(exchange);
        self.names.dns(exchange);
        let answered = exchange.response.and_then(|(time, _)| time);
        self.span(exchange.query.0, answered.or(exchange.query.0));
    }

    /// Adds what a shard counted beside its connections.
    pub fn shard(&mut self, summary: &ShardSummary) {
        self.shards.merge(ShardTotals(*summary));
    }

    /// Notes a packet that is of no TCP connection: ICMP messages and flows of UDP and others are counted.
    pub fn packet(&mut self, point: CapturePoint, packet: &Packet) {
        let flow = || FlowKey::of(packet.source, packet.destination);
        match packet.transport {
            Transport::Icmp(message) => {
                let kind = (message.v6, message.message_type, message.code);
                *self.icmp.entry(kind).or_default() += 1;
            }
            Transport::Udp => self.udp_flows.note(point, flow(), 17),
            Transport::Other(protocol) => self.other_flows.note(point, flow(), protocol),
            Transport::Tcp(_) | Transport::Fragment | Transport::NotIp => {}
        }
    }

    /// The hop of most connections to a server, which also says what a failed handshake was meant for.
    pub fn usual_hop(&self, point: CapturePoint, server: Endpoint) -> StreamHop {
        self.servers
            .get(&ServerKey { point, server })
            .map_or(StreamHop::Other, ServerTotals::usual_hop)
    }

    fn span(&mut self, from: Option<Timestamp>, to: Option<Timestamp>) {
        self.first = earliest(self.first, from);
        self.last = self.last.max(to);
    }

    fn over_time(&mut self, record: &StreamRecord, primary: StreamClass) {
        if let Some(start) = record.start {
            self.moment(start.secs(), |moment| moment.connections += 1);
        }
        if let Some(time) = primary.shown_at(record).0.filter(|_| !primary.is_good()) {
            self.moment(time.secs(), |moment| moment.failed += 1);
        }
        let (mut resets, mut again) = (0, 0);
        for side in &record.sides {
            resets += side.rst + side.rst_ack;
            again += side.retransmissions + side.fast_retransmissions + side.spurious_retransmissions;
        }
        if resets > 0 {
            for (second, count) in resets_by_second(record, resets) {
                self.moment(second, |moment| moment.resets += count);
            }
        }
        if again > 0 {
            for (second, count) in resent_by_second(record, again) {
                self.moment(second, |moment| moment.retransmissions += count);
            }
        }
    }

    fn moment(&mut self, second: i64, change: impl FnOnce(&mut PacketMoment)) {
        self.series.change(second, change);
    }
}

/// Resets by second: those that the record has a time of; any others took place with the last of these.
fn resets_by_second(record: &StreamRecord, count: u64) -> Vec<(i64, u64)> {
    let told = record.events.iter().filter(|e| e.kind == StreamEventKind::Reset);
    by_second(told.filter_map(|e| Some((e.time?.secs(), 1))), record, count)
}

/// Segments sent again, of any sort, by second.
fn resent_by_second(record: &StreamRecord, count: u64) -> Vec<(i64, u64)> {
    let told = record
        .moments
        .iter()
        .map(|moment| (moment.second, moment.retransmissions));
    by_second(told, record, count)
}

/// `count` things at the times that are told; those without a time are counted with the last one that has one.
fn by_second(told: impl Iterator<Item = (i64, u64)>, record: &StreamRecord, count: u64) -> Vec<(i64, u64)> {
    let mut left = count;
    let mut times = Vec::new();
    for (second, told) in told {
        let told = told.min(left);
        left -= told;
        if told > 0 {
            times.push((second, told));
        }
    }
    if left > 0 {
        match times.last_mut() {
            Some((_, last)) => *last += left,
            None => times.extend(record.end.map(|end| (end.secs(), left))),
        }
    }
    times
}

/// How many different flows there were: exact up to [`MAX_FLOWS`], an estimate beyond.
///
/// The smallest hashes are kept; when there are more than the limit, the greatest of these tells how dense they lie.
#[derive(Clone, Debug, Default)]
pub struct Distinct {
    hashes: BTreeSet<u64>,
    more: bool,
}

impl Distinct {
    fn note(&mut self, point: CapturePoint, flow: FlowKey, protocol: u8) {
        let seed = u64::from(point.0) << 8 | u64::from(protocol);
        let of = |hash: u64, endpoint: Endpoint| {
            super::stable_hash_with(hash ^ u64::from(endpoint.port) << 40, &endpoint.address.0)
        };
        self.hashes.insert(of(of(seed, flow.low), flow.high));
        self.trim();
    }

    fn trim(&mut self) {
        while self.hashes.len() > MAX_FLOWS {
            self.hashes.pop_last();
            self.more = true;
        }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        let kept = self.hashes.len() as u64;
        match self.hashes.last() {
            Some(&last) if self.more => {
                let estimate = u128::from(kept) * u128::from(u64::MAX) / u128::from(last.max(1));
                u64::try_from(estimate).unwrap_or(u64::MAX)
            }
            _ => kept,
        }
    }

    /// True if the number is an estimate.
    pub fn is_estimate(&self) -> bool {
        self.more
    }
}

impl Merge for Distinct {
    fn merge(&mut self, other: Self) {
        self.more |= other.more;
        self.hashes.extend(other.hashes);
        self.trim();
    }
}

impl Merge for CaptureTotals {
    fn merge(&mut self, other: Self) {
        self.tcp.merge(other.tcp);
        self.tls.merge(other.tls);
        self.http.merge(other.http);
        self.dns.merge(other.dns);
        self.shards.merge(other.shards);
        self.servers.absorb(other.servers);
        for (hop, count) in other.hops {
            *self.hops.entry(hop).or_default() += count;
        }
        for (kind, count) in other.icmp {
            *self.icmp.entry(kind).or_default() += count;
        }
        self.udp_flows.merge(other.udp_flows);
        self.other_flows.merge(other.other_flows);
        self.series.merge(other.series);
        self.groups.merge(other.groups);
        self.kept.merge(other.kept);
        self.followed.merge(other.followed);
        self.pods.extend(other.pods);
        self.names.merge(other.names);
        self.first = earliest(self.first, other.first);
        self.last = self.last.max(other.last);
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{any_records, question};
    use super::times::CoarseTimes;
    use super::*;
    use crate::streams::DnsOutcome;
    use proptest::prelude::*;

    fn of(records: &[StreamRecord], questions: &[DnsExchange]) -> CaptureTotals {
        let mut totals = CaptureTotals::new(true, true);
        for record in records {
            totals.stream(record.clone());
        }
        for exchange in questions {
            totals.dns(exchange);
        }
        totals
    }

    fn any_questions() -> impl Strategy<Value = Vec<DnsExchange>> {
        let outcome = prop_oneof![
            Just(DnsOutcome::Answered(0)),
            Just(DnsOutcome::Answered(3)),
            Just(DnsOutcome::Unanswered),
            Just(DnsOutcome::AnswerOnly(2)),
        ];
        let question = (0u64..900, outcome)
            .prop_map(|(n, outcome)| question(&format!("name{n}.svc.cluster.local"), n + 1, outcome));
        prop::collection::vec(question, 0..700)
    }

    /// Everything that is read out, histograms as their figures.
    fn flat(totals: &CaptureTotals) -> String {
        let groups: Vec<_> = totals
            .groups
            .iter()
            .map(|(key, g)| {
                let times = [&g.response, &g.handshake_rtt, &g.idle_before_close].map(CoarseTimes::figures);
                (key, g.count, g.first, g.last, &g.places, g.sides, times)
            })
            .collect();
        let servers: Vec<_> = totals
            .servers
            .iter()
            .map(|(key, s)| (key, s.connections, s.failed, &s.hops, s.response.figures()))
            .collect();
        let failed: Vec<_> = totals.dns.failed_names.iter().collect();
        let series: Vec<_> = totals.series.iter().collect();
        let lumps: Vec<_> = totals
            .groups
            .tables()
            .into_iter()
            .flat_map(|(_, table)| table.lumped())
            .map(|(lump, g)| (lump, g.count))
            .collect();
        format!(
            "{groups:?} {lumps:?} {servers:?} {failed:?} {series:?} {:?} {:?} {:?} {:?} {:?}",
            (&totals.hops, totals.first, totals.last, totals.tcp.sent),
            (
                &totals.tcp.openings,
                &totals.tcp.closes,
                totals.tcp.handshake_rtt.figures()
            ),
            (
                totals.http.response.figures(),
                &totals.dns.responses_by_rcode,
                totals.dns.queries
            ),
            totals.kept.iter().collect::<Vec<_>>(),
            totals.kept.listed(),
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_split_and_order_gives_the_same_totals(
            records in any_records(400),
            questions in any_questions(),
            cut in 0usize..400,
            turn in 0usize..400,
        ) {
            let whole = of(&records, &questions);
            let (left, right) = records.split_at(cut.min(records.len()));
            let (first, second) = questions.split_at(cut.min(questions.len()));
            let (mut ab, mut ba) = (of(left, second), of(right, second));
            ab.merge(of(right, first));
            ba.merge(of(left, first));
            ba.merge(CaptureTotals::default());
            let mut neutral = CaptureTotals::default();
            neutral.merge(ab.clone());
            let mut turned = records.clone();
            if !turned.is_empty() {
                turned.rotate_left(turn % records.len());
                turned.reverse();
            }
            let expected = flat(&whole);
            prop_assert_eq!(&expected, &flat(&ab));
            prop_assert_eq!(&expected, &flat(&ba));
            prop_assert_eq!(&expected, &flat(&neutral));
            prop_assert_eq!(&expected, &flat(&of(&turned, &questions)));
            let primary: u64 = whole.groups.iter().filter(|(key, _)| key.class.is_primary()).map(|(_, g)| g.count).sum();
            prop_assert_eq!(primary, whole.tcp.connections, "each connection has one primary class");
            let failed: u64 = whole.series.iter().map(|(_, moment)| moment.failed).sum();
            prop_assert_eq!(failed, whole.servers.iter().map(|(_, s)| s.failed).sum::<u64>());
            let again: u64 = whole.series.iter().map(|(_, moment)| moment.retransmissions).sum();
            prop_assert_eq!(again, whole.tcp.sent.retransmissions, "none is lost where only some have a time");
        }

        #[test]
        fn flows_are_counted_whatever_the_split(flows in prop::collection::vec(any::<u16>(), 0..400), cut in 0usize..400) {
            let of = |ports: &[u16]| {
                let mut distinct = Distinct::default();
                for &port in ports {
                    let at = |port| samples::endpoint("10.0.0.1", port);
                    distinct.note(CapturePoint(0), FlowKey::of(at(port), at(53)), 17);
                }
                distinct
            };
            let (left, right) = flows.split_at(cut.min(flows.len()));
            let mut merged = of(left);
            merged.merge(of(right));
            let different: BTreeSet<_> = flows.iter().collect();
            prop_assert_eq!(merged.count(), different.len() as u64);
        }
    }

    #[test]
    fn beyond_the_limit_flows_are_estimated() {
        let mut distinct = Distinct::default();
        for n in 0..(MAX_FLOWS as u64 * 4) {
            let host = samples::endpoint(&format!("10.{}.{}.1", n >> 8 & 255, n & 255), 7);
            distinct.note(
                CapturePoint(0),
                FlowKey::of(host, samples::endpoint("10.0.0.1", 53)),
                17,
            );
        }
        assert!(distinct.is_estimate());
        let exact = MAX_FLOWS as u64 * 4;
        assert!(
            distinct.count().abs_diff(exact) < exact / 20,
            "{}",
            distinct.count()
        );
    }
}
