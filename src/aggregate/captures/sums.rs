//! Sums over connections: TCP, TLS, HTTP, DNS, and by server.

use super::class::{StreamClass, side_of};
use super::hop::StreamHop;
use super::times::{CoarseTimes, FineTimes};
use crate::aggregate::bounded::{Bounded, Key};
use crate::aggregate::cells::Moment;
use crate::aggregate::series::Series;
use crate::aggregate::signatures::earliest;
use crate::aggregate::{Merge, stable_hash, stable_hash_with};
use crate::decode::packet::{Address, Endpoint, FrameRef};
use crate::streams::{
    CapturePoint, CertificateFacts, CloseKind, DnsExchange, DnsOutcome, Exchange, Opening, ResponseTime,
    ShardSummary, Side, SideFacts, StreamRecord, TlsAlert,
};
use crate::units::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Servers kept.
pub const MAX_SERVERS: usize = 256;
/// Server names, protocols, versions, alerts, status codes kept, of each.
pub const MAX_NAMES: usize = 512;
/// Certificates kept.
pub const MAX_CERTIFICATES: usize = 256;
/// Failed names of DNS kept.
pub const MAX_FAILED_NAMES: usize = 512;
/// Slowest requests kept of one server.
pub const MAX_SLOWEST: usize = 5;
/// First places kept of one alert or one failed name.
const MAX_PLACES: usize = 8;
/// Clients kept of one failed name.
const MAX_CLIENTS: usize = 8;

/// Adds what one side sent to a sum.
pub fn add_side(sum: &mut SideFacts, side: &SideFacts) {
    let pairs = [
        (&mut sum.packets, side.packets),
        (&mut sum.frame_bytes, side.frame_bytes),
        (&mut sum.payload_bytes, side.payload_bytes),
        (&mut sum.data_packets, side.data_packets),
        (&mut sum.syn, side.syn),
        (&mut sum.syn_ack, side.syn_ack),
        (&mut sum.fin, side.fin),
        (&mut sum.rst, side.rst),
        (&mut sum.rst_ack, side.rst_ack),
        (&mut sum.zero_window_packets, side.zero_window_packets),
        (&mut sum.zero_window_ns, side.zero_window_ns),
        (&mut sum.retransmissions, side.retransmissions),
        (&mut sum.fast_retransmissions, side.fast_retransmissions),
        (&mut sum.data_sent_again, side.data_sent_again),
        (&mut sum.got_twice, side.got_twice),
        (&mut sum.spurious_retransmissions, side.spurious_retransmissions),
        (&mut sum.out_of_order, side.out_of_order),
        (&mut sum.duplicate_acks, side.duplicate_acks),
        (&mut sum.lost_segments, side.lost_segments),
        (&mut sum.acked_unseen, side.acked_unseen),
        (&mut sum.keep_alives, side.keep_alives),
        (&mut sum.keep_alive_acks, side.keep_alive_acks),
        (&mut sum.zero_window_probes, side.zero_window_probes),
        (&mut sum.window_full, side.window_full),
        (&mut sum.window_updates, side.window_updates),
        (&mut sum.missing_bytes, side.missing_bytes),
    ];
    for (sum, more) in pairs {
        *sum = sum.saturating_add(more);
    }
}

fn add_counts<K: Ord>(mine: &mut BTreeMap<K, u64>, theirs: BTreeMap<K, u64>) {
    for (key, count) in theirs {
        *mine.entry(key).or_default() += count;
    }
}

fn keep_first<T: Ord>(set: &mut BTreeSet<T>, limit: usize) {
    while set.len() > limit {
        set.pop_last();
    }
}

/// What the shards counted beside their connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardTotals(pub ShardSummary);

impl Merge for ShardTotals {
    fn merge(&mut self, other: Self) {
        let (mine, theirs) = (&mut self.0, other.0);
        let pairs = [
            (&mut mine.streams, theirs.streams),
            (&mut mine.tcp_packets, theirs.tcp_packets),
            (&mut mine.udp_flows, theirs.udp_flows),
            (&mut mine.udp_packets, theirs.udp_packets),
            (&mut mine.icmp_packets, theirs.icmp_packets),
            (&mut mine.icmp_unmatched, theirs.icmp_unmatched),
            (&mut mine.other_packets, theirs.other_packets),
            (&mut mine.left_out.cut_short, theirs.left_out.cut_short),
            (&mut mine.left_out.embryonic, theirs.left_out.embryonic),
            (&mut mine.left_out.gaps_given_up, theirs.left_out.gaps_given_up),
            (&mut mine.left_out.udp_packets, theirs.left_out.udp_packets),
        ];
        for (sum, more) in pairs {
            *sum = sum.saturating_add(more);
        }
    }
}

/// Sums of TCP.
#[derive(Clone, Debug, Default)]
pub struct TcpTotals {
    /// Connections.
    pub connections: u64,
    /// By how they began.
    pub openings: BTreeMap<Opening, u64>,
    /// By how they ended.
    pub closes: BTreeMap<CloseKind, u64>,
    /// Connections with a SYN, a SYN-ACK and what completed the handshake.
    pub handshakes: u64,
    /// Connections that went wrong: their primary class is none of the good ones.
    pub failed: u64,
    /// What all sides sent.
    pub sent: SideFacts,
    /// Packets seen before on another interface.
    pub duplicates: u64,
    /// Packets cut by the snaplen.
    pub cut_packets: u64,
    /// Connections of which one side's packets are missing.
    pub one_sided: u64,
    /// Connections that re-used the ports of an earlier one.
    pub reused_ports: u64,
    /// Connections cut short by a limit.
    pub truncated: u64,
    /// Handshake round trips.
    pub handshake_rtt: FineTimes,
}

impl TcpTotals {
    pub(super) fn add(&mut self, record: &StreamRecord, primary: StreamClass) {
        self.connections += 1;
        self.failed += u64::from(!primary.is_good());
        *self.openings.entry(record.opening).or_default() += 1;
        *self.closes.entry(record.close.kind).or_default() += 1;
        self.handshakes += u64::from(record.opening == Opening::Established);
        record
            .sides
            .iter()
            .for_each(|side| add_side(&mut self.sent, side));
        self.duplicates += record.duplicates;
        self.cut_packets += record.cut_packets;
        self.one_sided += u64::from(record.one_sided);
        self.reused_ports += u64::from(record.reused_ports);
        self.truncated += u64::from(record.truncated);
        if let Some(ns) = record.handshake_rtt_ns {
            self.handshake_rtt.record_ns(ns);
        }
    }

    /// Connections that began so.
    pub fn opened(&self, opening: Opening) -> u64 {
        self.openings.get(&opening).copied().unwrap_or(0)
    }

    /// Connections that ended so.
    pub fn closed(&self, kind: CloseKind) -> u64 {
        self.closes.get(&kind).copied().unwrap_or(0)
    }
}

impl Merge for TcpTotals {
    fn merge(&mut self, other: Self) {
        self.connections += other.connections;
        add_counts(&mut self.openings, other.openings);
        add_counts(&mut self.closes, other.closes);
        self.handshakes += other.handshakes;
        self.failed += other.failed;
        add_side(&mut self.sent, &other.sent);
        self.duplicates += other.duplicates;
        self.cut_packets += other.cut_packets;
        self.one_sided += other.one_sided;
        self.reused_ports += other.reused_ports;
        self.truncated += other.truncated;
        self.handshake_rtt.merge(other.handshake_rtt);
    }
}

/// An alert as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertKey {
    /// 1 warning, 2 fatal.
    pub level: u8,
    /// Description, RFC 8446 section 6.
    pub description: u8,
    /// Who sent it.
    pub by: Side,
}

impl Key for AlertKey {
    type Lump = ();

    fn key_hash(&self) -> u64 {
        stable_hash(&[self.level, self.description, u8::from(self.by == Side::Server)])
    }

    fn lump(&self) {}
}

/// How often, and where first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sightings {
    /// Times.
    pub count: u64,
    /// First places.
    pub places: BTreeSet<FrameRef>,
}

impl Sightings {
    fn at(place: FrameRef) -> Self {
        Self {
            count: 1,
            places: BTreeSet::from([place]),
        }
    }
}

impl Merge for Sightings {
    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.places.extend(other.places);
        keep_first(&mut self.places, MAX_PLACES);
    }
}

/// A certificate without where it was sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificateKey {
    /// Subject.
    pub subject: String,
    /// Issuer.
    pub issuer: String,
    /// Subject alternative names.
    pub san: Vec<String>,
    /// Not valid before, in seconds since the epoch.
    pub not_before_s: i64,
    /// Not valid after, in seconds since the epoch.
    pub not_after_s: i64,
    /// True if it was its sender's own.
    pub leaf: bool,
    /// Who sent it.
    pub by: Side,
}

impl CertificateKey {
    fn of(by: Side, facts: &CertificateFacts) -> Self {
        Self {
            subject: facts.subject.clone(),
            issuer: facts.issuer.clone(),
            san: facts.san.clone(),
            not_before_s: facts.not_before_s,
            not_after_s: facts.not_after_s,
            leaf: facts.leaf,
            by,
        }
    }
}

impl Key for CertificateKey {
    type Lump = ();

    fn key_hash(&self) -> u64 {
        let seed = self.not_before_s.cast_unsigned() ^ self.not_after_s.cast_unsigned().rotate_left(32);
        let hash = stable_hash_with(seed ^ u64::from(self.leaf), self.subject.as_bytes());
        let hash = stable_hash_with(hash ^ self.by as u64, self.issuer.as_bytes());
        self.san
            .iter()
            .fold(hash, |hash, name| stable_hash_with(hash, name.as_bytes()))
    }

    fn lump(&self) {}
}

/// Sums of TLS.
#[derive(Clone, Debug)]
pub struct TlsTotals {
    /// Connections with TLS.
    pub connections: u64,
    /// Connections on which data went both ways under TLS.
    pub established: u64,
    /// Sessions that were resumed, as far as can be seen.
    pub resumed: u64,
    /// Client hellos.
    pub client_hellos: u64,
    /// Server hellos.
    pub server_hellos: u64,
    /// Alerts in clear.
    pub alerts: Bounded<AlertKey, Sightings>,
    /// Records that are surely encrypted alerts.
    pub encrypted_alerts: u64,
    /// Connections by the version that was chosen.
    pub versions: BTreeMap<u16, u64>,
    /// Connections by the name that was asked for.
    pub sni: Bounded<String, u64>,
    /// Connections by the protocol that the server chose, where it is visible.
    pub alpn: Bounded<String, u64>,
    /// Connections by each protocol that the client offered.
    pub alpn_offered: Bounded<String, u64>,
    /// Certificates in clear, each once.
    pub certificates: Bounded<CertificateKey, Sightings>,
    /// Times of handshakes.
    pub handshake: FineTimes,
}

impl Default for TlsTotals {
    fn default() -> Self {
        Self {
            connections: 0,
            established: 0,
            resumed: 0,
            client_hellos: 0,
            server_hellos: 0,
            alerts: Bounded::new(MAX_NAMES),
            encrypted_alerts: 0,
            versions: BTreeMap::new(),
            sni: Bounded::new(MAX_NAMES),
            alpn: Bounded::new(MAX_NAMES),
            alpn_offered: Bounded::new(MAX_NAMES),
            certificates: Bounded::new(MAX_CERTIFICATES),
            handshake: FineTimes::default(),
        }
    }
}

impl TlsTotals {
    pub(super) fn add(&mut self, record: &StreamRecord) {
        let Some(tls) = &record.application.tls else {
            return;
        };
        self.connections += 1;
        self.established += u64::from(tls.established);
        self.resumed += u64::from(tls.resumed);
        self.client_hellos += tls.client_hellos;
        self.server_hellos += tls.server_hellos;
        self.encrypted_alerts += tls.encrypted_alerts;
        for alert in &tls.alerts {
            let TlsAlert {
                side,
                level,
                description,
                at,
                ..
            } = *alert;
            let key = AlertKey {
                level,
                description,
                by: side,
            };
            self.alerts.add(key, Sightings::at(at));
        }
        if let Some(version) = tls.version {
            *self.versions.entry(version).or_default() += 1;
        }
        if let Some(sni) = &tls.sni {
            self.sni.add_to(sni.as_str(), 1);
        }
        if let Some(alpn) = &tls.alpn {
            self.alpn.add_to(alpn.as_str(), 1);
        }
        for offered in &tls.alpn_offered {
            self.alpn_offered.add_to(offered.as_str(), 1);
        }
        for (by, certificate) in &tls.certificates {
            let key = CertificateKey::of(*by, certificate);
            self.certificates.add(key, Sightings::at(certificate.at));
        }
        if let Some(ns) = tls.handshake_ns {
            self.handshake.record_ns(ns);
        }
    }
}

impl Merge for TlsTotals {
    fn merge(&mut self, other: Self) {
        self.connections += other.connections;
        self.established += other.established;
        self.resumed += other.resumed;
        self.client_hellos += other.client_hellos;
        self.server_hellos += other.server_hellos;
        self.alerts.absorb(other.alerts);
        self.encrypted_alerts += other.encrypted_alerts;
        add_counts(&mut self.versions, other.versions);
        self.sni.absorb(other.sni);
        self.alpn.absorb(other.alpn);
        self.alpn_offered.absorb(other.alpn_offered);
        self.certificates.absorb(other.certificates);
        self.handshake.merge(other.handshake);
    }
}

/// Sums of HTTP in clear.
#[derive(Clone, Debug)]
pub struct HttpTotals {
    /// Connections with HTTP.
    pub connections: u64,
    /// Requests.
    pub requests: u64,
    /// Requests that had no answer when their connection ended.
    pub unanswered: u64,
    /// Answers by status.
    pub responses_by_code: BTreeMap<u16, u64>,
    /// Requests by method.
    pub methods: Bounded<String, u64>,
    /// Answers by gRPC status.
    pub grpc_by_status: Bounded<String, u64>,
    /// `RST_STREAM` by error code.
    pub rst_stream: Bounded<String, u64>,
    /// GOAWAY by error code.
    pub goaway: Bounded<String, u64>,
    /// Times from request to the first byte of the answer.
    pub response: FineTimes,
}

impl Default for HttpTotals {
    fn default() -> Self {
        Self {
            connections: 0,
            requests: 0,
            unanswered: 0,
            responses_by_code: BTreeMap::new(),
            methods: Bounded::new(MAX_NAMES),
            grpc_by_status: Bounded::new(MAX_NAMES),
            rst_stream: Bounded::new(MAX_NAMES),
            goaway: Bounded::new(MAX_NAMES),
            response: FineTimes::default(),
        }
    }
}

impl HttpTotals {
    pub(super) fn add(&mut self, record: &StreamRecord) {
        for &ResponseTime { ns, .. } in &record.application.response_times {
            self.response.record_ns(ns);
        }
        let Some(http) = &record.application.http else {
            return;
        };
        self.connections += 1;
        self.requests += http.requests;
        self.unanswered += http.unanswered;
        for (code, count) in &http.responses_by_code {
            *self.responses_by_code.entry(*code).or_default() += count;
        }
        for (method, count) in &http.methods {
            self.methods.add_to(method.as_str(), *count);
        }
        let mut add = |table: fn(&mut Self) -> &mut Bounded<String, u64>, counts: &BTreeMap<u32, u64>| {
            for (code, count) in counts {
                table(self).add(code.to_string(), *count);
            }
        };
        add(|totals| &mut totals.grpc_by_status, &http.grpc_by_status);
        for side in &http.rst_stream {
            add(|totals| &mut totals.rst_stream, side);
        }
        for side in &http.goaway {
            add(|totals| &mut totals.goaway, side);
        }
    }
}

impl Merge for HttpTotals {
    fn merge(&mut self, other: Self) {
        self.connections += other.connections;
        self.requests += other.requests;
        self.unanswered += other.unanswered;
        add_counts(&mut self.responses_by_code, other.responses_by_code);
        self.methods.absorb(other.methods);
        self.grpc_by_status.absorb(other.grpc_by_status);
        self.rst_stream.absorb(other.rst_stream);
        self.goaway.absorb(other.goaway);
        self.response.merge(other.response);
    }
}

/// A name that was asked for in vain, and how it failed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FailedName {
    /// The name.
    pub name: String,
    /// Response code, or `None` without an answer.
    pub rcode: Option<u8>,
}

impl Key for FailedName {
    type Lump = Option<u8>;

    fn key_hash(&self) -> u64 {
        let code = self.rcode.map_or(256, u64::from);
        stable_hash_with(code, self.name.as_bytes())
    }

    fn lump(&self) -> Option<u8> {
        self.rcode
    }
}

/// Questions about one failed name.
#[derive(Clone, Debug, Default)]
pub struct FailedQuestions {
    /// Questions.
    pub count: u64,
    /// Of them, sent again.
    pub retries: u64,
    /// First.
    pub first: Option<Timestamp>,
    /// Last.
    pub last: Option<Timestamp>,
    /// First places of the questions.
    pub places: BTreeSet<FrameRef>,
    /// Who asked, at most 8.
    pub clients: BTreeSet<Address>,
    /// Who was asked, at most 8.
    pub servers: BTreeSet<Endpoint>,
}

impl FailedQuestions {
    fn of(exchange: &DnsExchange) -> Self {
        let (time, place) = exchange.query;
        Self {
            count: 1,
            retries: exchange.retries,
            first: time,
            last: time,
            places: BTreeSet::from([place]),
            clients: BTreeSet::from([exchange.client.address]),
            servers: BTreeSet::from([exchange.server]),
        }
    }
}

impl Merge for FailedQuestions {
    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.retries += other.retries;
        self.first = earliest(self.first, other.first);
        self.last = self.last.max(other.last);
        self.places.extend(other.places);
        keep_first(&mut self.places, MAX_PLACES);
        self.clients.extend(other.clients);
        keep_first(&mut self.clients, MAX_CLIENTS);
        self.servers.extend(other.servers);
        keep_first(&mut self.servers, MAX_CLIENTS);
    }
}

/// Sums of DNS.
#[derive(Clone, Debug)]
pub struct DnsTotals {
    /// Questions, each sending of one.
    pub queries: u64,
    /// Questions sent again before an answer.
    pub retries: u64,
    /// Questions without an answer in the capture.
    pub unanswered: u64,
    /// Answers by response code.
    pub responses_by_rcode: BTreeMap<u8, u64>,
    /// Answers that were cut (TC).
    pub truncated_answers: u64,
    /// Names that were asked for in vain.
    pub failed_names: Bounded<FailedName, FailedQuestions>,
    /// Times to the answer.
    pub response: FineTimes,
}

impl Default for DnsTotals {
    fn default() -> Self {
        Self {
            queries: 0,
            retries: 0,
            unanswered: 0,
            responses_by_rcode: BTreeMap::new(),
            truncated_answers: 0,
            failed_names: Bounded::new(MAX_FAILED_NAMES),
            response: FineTimes::default(),
        }
    }
}

impl DnsTotals {
    pub(super) fn add(&mut self, exchange: &DnsExchange) {
        let rcode = match exchange.outcome {
            DnsOutcome::Answered(code) | DnsOutcome::AnswerOnly(code) => Some(code),
            DnsOutcome::Unanswered => None,
        };
        if !matches!(exchange.outcome, DnsOutcome::AnswerOnly(_)) {
            self.queries += 1 + exchange.retries;
            self.retries += exchange.retries;
        }
        match rcode {
            Some(code) => *self.responses_by_rcode.entry(code).or_default() += 1,
            None => self.unanswered += 1,
        }
        self.truncated_answers += u64::from(exchange.truncated_answer);
        if rcode != Some(0) {
            let name = exchange.name.clone();
            self.failed_names
                .add(FailedName { name, rcode }, FailedQuestions::of(exchange));
        }
        if let ((Some(asked), _), Some((Some(answered), _))) = (exchange.query, exchange.response)
            && matches!(exchange.outcome, DnsOutcome::Answered(_))
            && let Ok(ns) = u64::try_from(answered.0.saturating_sub(asked.0))
        {
            self.response.record_ns(ns);
        }
    }
}

impl Merge for DnsTotals {
    fn merge(&mut self, other: Self) {
        self.queries += other.queries;
        self.retries += other.retries;
        self.unanswered += other.unanswered;
        add_counts(&mut self.responses_by_rcode, other.responses_by_rcode);
        self.truncated_answers += other.truncated_answers;
        self.failed_names.absorb(other.failed_names);
        self.response.merge(other.response);
    }
}

/// A server as one capture point sees it: times depend on where they are taken, and 127.0.0.1 is in every pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerKey {
    /// Where it was captured.
    pub point: CapturePoint,
    /// The server.
    pub server: Endpoint,
}

impl Key for ServerKey {
    type Lump = ();

    fn key_hash(&self) -> u64 {
        let seed = u64::from(self.point.0) << 16 | u64::from(self.server.port);
        stable_hash_with(seed, &self.server.address.0)
    }

    fn lump(&self) {}
}

/// Sums over the connections to one server.
#[derive(Clone, Debug, Default)]
pub struct ServerTotals {
    /// Connections.
    pub connections: u64,
    /// Connections that went wrong: their primary class is none of the good ones.
    pub failed: u64,
    /// Connections by hop, each as it shows itself.
    pub hops: BTreeMap<StreamHop, u64>,
    /// Connections on which the client or the server spoke TLS.
    pub tls: u64,
    /// Connections on which the client spoke in clear.
    pub plain: u64,
    /// What the clients sent, in all.
    pub client_sent: SideFacts,
    /// What the server sent, in all.
    pub server_sent: SideFacts,
    /// Times to live of the SYN-ACKs, with their number.
    pub accepting_ttl: BTreeMap<u8, u64>,
    /// Times to live of the RSTs that answered SYNs.
    pub refusing_ttl: BTreeMap<u8, u64>,
    /// Handshake round trips.
    pub handshake_rtt: CoarseTimes,
    /// Times of TLS handshakes.
    pub tls_handshake: CoarseTimes,
    /// Times from request to the first byte of the answer.
    pub response: CoarseTimes,
    /// The same over time, in whole milliseconds.
    pub answers: Series<Moment>,
    /// Requests that waited longest for their answer, at most [`MAX_SLOWEST`].
    pub slowest: BTreeSet<(Reverse<u64>, FrameRef)>,
}

/// How long a request waited, in nanoseconds, and its frame.
fn waited(exchange: &Exchange) -> Option<(Reverse<u64>, FrameRef)> {
    let (asked, at) = exchange.request;
    let answered = exchange.response?.0?;
    let ns = u64::try_from(answered.0.saturating_sub(asked?.0)).ok()?;
    Some((Reverse(ns), at))
}

impl ServerTotals {
    pub(super) fn add(&mut self, record: &StreamRecord, hop: StreamHop, primary: StreamClass) {
        use crate::streams::Protocol;
        self.connections += 1;
        self.failed += u64::from(!primary.is_good());
        *self.hops.entry(hop).or_default() += 1;
        let [client, server] = record.application.first_bytes;
        let tls = client == Protocol::Tls || server == Protocol::Tls;
        self.tls += u64::from(tls);
        self.plain += u64::from(!matches!(client, Protocol::None | Protocol::Tls));
        add_side(&mut self.client_sent, side_of(record, Side::Client));
        add_side(&mut self.server_sent, side_of(record, Side::Server));
        if let Some(ttl) = record.server_ttl {
            match record.opening {
                Opening::Refused => *self.refusing_ttl.entry(ttl).or_default() += 1,
                Opening::Established => *self.accepting_ttl.entry(ttl).or_default() += 1,
                _ => {}
            }
        }
        if let Some(ns) = record.handshake_rtt_ns {
            self.handshake_rtt.record_ns(ns);
        }
        if let Some(ns) = record.application.tls.as_ref().and_then(|tls| tls.handshake_ns) {
            self.tls_handshake.record_ns(ns);
        }
        for answer in &record.application.response_times {
            self.response.record_ns(answer.ns);
            let ms = answer.ns / 1_000_000;
            let moment = Moment {
                count: 1,
                duration_sum_ms: ms,
                duration_max_ms: ms,
                ..Moment::default()
            };
            self.answers.add(answer.second, moment);
        }
        for request in record.application.exchanges.iter().filter_map(waited) {
            if self.slowest.len() < MAX_SLOWEST || self.slowest.last().is_some_and(|last| request < *last) {
                self.slowest.insert(request);
                keep_first(&mut self.slowest, MAX_SLOWEST);
            }
        }
    }

    /// The hop of most connections; one that is told by content before [`StreamHop::Other`], which failed
    /// handshakes show.
    pub fn usual_hop(&self) -> StreamHop {
        let told = self.hops.iter().filter(|(hop, _)| **hop != StreamHop::Other);
        told.max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)))
            .map_or(StreamHop::Other, |(hop, _)| *hop)
    }
}

impl Merge for ServerTotals {
    fn merge(&mut self, other: Self) {
        self.connections += other.connections;
        self.failed += other.failed;
        add_counts(&mut self.hops, other.hops);
        self.tls += other.tls;
        self.plain += other.plain;
        add_side(&mut self.client_sent, &other.client_sent);
        add_side(&mut self.server_sent, &other.server_sent);
        add_counts(&mut self.accepting_ttl, other.accepting_ttl);
        add_counts(&mut self.refusing_ttl, other.refusing_ttl);
        self.handshake_rtt.merge(other.handshake_rtt);
        self.tls_handshake.merge(other.tls_handshake);
        self.response.merge(other.response);
        self.answers.merge(other.answers);
        self.slowest.extend(other.slowest);
        keep_first(&mut self.slowest, MAX_SLOWEST);
    }
}
