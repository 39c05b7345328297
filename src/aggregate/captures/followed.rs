//! Connections as the join with log rows needs them: between whom, when, how they went, and who sent when.
//!
//! A connection is kept by the hash of its client's address and port, which stands in the rows on both sides of it: where
//! there are too many, it is known of each row whether its connection would have been kept.

use super::class::StreamClass;
use crate::aggregate::Merge;
use crate::aggregate::fingerprint::short_hash;
use crate::decode::packet::{Endpoint, FrameRef};
use crate::streams::{Burst, CapturePoint, Close, Opening, Protocol, StreamRecord, TimedExchange};
use crate::units::Timestamp;

/// Connections kept of those that went wrong, and as many of the others.
pub const MAX_FOLLOWED: usize = 1 << 15;

/// Exchanges and bursts of all kept connections of one table (each some 50 bytes).
pub const MAX_MOMENTS: usize = 1 << 19;

/// A connection that is followed.
#[derive(Clone, Debug)]
pub struct FollowedConnection {
    /// Where it was captured.
    pub point: CapturePoint,
    /// The client.
    pub client: Endpoint,
    /// The server.
    pub server: Endpoint,
    /// First packet.
    pub first: FrameRef,
    /// Last packet.
    pub last: FrameRef,
    /// Time of the first packet.
    pub start: Option<Timestamp>,
    /// Time of the last packet.
    pub end: Option<Timestamp>,
    /// How it began.
    pub opening: Opening,
    /// First SYN.
    pub syn: Option<(Timestamp, FrameRef)>,
    /// First SYN-ACK.
    pub syn_ack: Option<(Timestamp, FrameRef)>,
    /// The ACK that completed the handshake.
    pub handshake_ack: Option<(Timestamp, FrameRef)>,
    /// Initial sequence numbers of client and server.
    pub initial_sequence: [Option<u32>; 2],
    /// True if only one side's packets are in the capture.
    pub one_sided: bool,
    /// First client hello of TLS.
    pub client_hello: Option<Timestamp>,
    /// When the client could go on after the handshake of TLS.
    pub tls_ready: Option<Timestamp>,
    /// True where it carries TLS.
    pub tls: bool,
    /// True where several requests can be under way at a time: HTTP/2, or TLS whose ALPN is not known to be HTTP/1.
    pub may_multiplex: bool,
    /// How it ended.
    pub close: Close,
    /// Segments lost on the way, of both sides.
    pub lost_segments: u64,
    /// Time in which a window was closed, of both sides.
    pub zero_window_ns: u64,
    /// What it showed, the most telling first.
    pub classes: Vec<StreamClass>,
    /// When its exchanges took place.
    pub timed: Vec<TimedExchange>,
    /// Who sent when, where exchanges are not visible.
    pub bursts: Vec<Burst>,
}

impl FollowedConnection {
    fn of(record: &mut StreamRecord, classes: &[StreamClass]) -> Self {
        let timed = std::mem::take(&mut record.application.timed);
        let bursts = std::mem::take(&mut record.application.bursts);
        let application = &record.application;
        let tls = application.tls.as_deref();
        let client_hello = tls.and_then(|tls| tls.client_hello).and_then(|(time, _)| time);
        let handshake_ns = tls.and_then(|tls| tls.handshake_ns);
        let serial_alpn = |alpn: &str| alpn.contains("http/1");
        let serial = tls.is_none_or(|tls| match &tls.alpn {
            Some(alpn) => serial_alpn(alpn),
            None => {
                !tls.alpn_offered.is_empty()
                    && tls
                        .alpn_offered
                        .iter()
                        .all(|alpn| serial_alpn(alpn) || alpn == "istio")
            }
        });
        Self {
            point: record.point,
            client: record.client,
            server: record.server,
            first: record.first,
            last: record.last,
            start: record.start,
            end: record.end,
            opening: record.opening,
            syn: record.syn,
            syn_ack: record.syn_ack,
            handshake_ack: record.handshake_ack,
            initial_sequence: record.initial_sequence,
            one_sided: record.one_sided,
            client_hello,
            tls_ready: client_hello
                .zip(handshake_ns)
                .map(|(hello, ns)| Timestamp(hello.0.saturating_add(i64::try_from(ns).unwrap_or(i64::MAX)))),
            tls: tls.is_some(),
            may_multiplex: application.protocol == Protocol::Http2 || !serial,
            close: record.close,
            lost_segments: record.sides.iter().map(crate::streams::SideFacts::lost).sum(),
            zero_window_ns: record.sides.iter().map(|side| side.zero_window_ns).sum(),
            classes: classes.to_vec(),
            timed,
            bursts,
        }
    }

    fn weight(&self) -> usize {
        self.timed.len() + self.bursts.len()
    }
}

/// Connections with a hash of at most a threshold.
#[derive(Clone, Debug)]
struct Table {
    threshold: u64,
    kept: Vec<(u64, Box<FollowedConnection>)>,
    weight: usize,
    seen: u64,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            threshold: u64::MAX,
            kept: Vec::new(),
            weight: 0,
            seen: 0,
        }
    }
}

impl Table {
    fn offer(&mut self, record: &mut StreamRecord, classes: &[StreamClass]) {
        self.seen += 1;
        let hash = short_hash(u64::from(record.client.port), &record.client.address.0);
        if hash <= self.threshold {
            let connection = FollowedConnection::of(record, classes);
            self.weight += connection.weight();
            self.kept.push((hash, Box::new(connection)));
            self.trim();
        }
    }

    /// Halves the threshold until what is kept is within both limits: the same for the same connections in any order,
    /// since what is kept for a threshold only grows with them.
    fn trim(&mut self) {
        while (self.kept.len() > MAX_FOLLOWED || self.weight > MAX_MOMENTS) && self.threshold > 0 {
            self.threshold /= 2;
            self.drop_beyond();
        }
        if self.kept.len() > MAX_FOLLOWED || self.weight > MAX_MOMENTS {
            self.kept.clear();
            self.weight = 0;
        }
    }

    fn drop_beyond(&mut self) {
        let threshold = self.threshold;
        self.kept.retain(|(hash, _)| *hash <= threshold);
        self.weight = self.kept.iter().map(|(_, connection)| connection.weight()).sum();
    }

    fn absorb(&mut self, other: Self) {
        self.seen += other.seen;
        self.threshold = self.threshold.min(other.threshold);
        self.kept.extend(other.kept);
        self.drop_beyond();
        self.trim();
    }
}

/// Connections that are followed.
#[derive(Clone, Debug, Default)]
pub struct FollowedConnections {
    remarkable: Table,
    ordinary: Table,
}

impl FollowedConnections {
    /// Offers a connection that has these classes; if it is kept, what it tells of exchanges and bursts moves here.
    pub fn offer(&mut self, record: &mut StreamRecord, classes: &[StreamClass]) {
        let table = if classes.iter().all(|class| class.is_good()) {
            &mut self.ordinary
        } else {
            &mut self.remarkable
        };
        table.offer(record, classes);
    }

    /// The kept connections in order of their first packet.
    pub fn connections(&self) -> Vec<&FollowedConnection> {
        let tables = [&self.remarkable, &self.ordinary];
        let mut all: Vec<&FollowedConnection> = tables
            .into_iter()
            .flat_map(|table| table.kept.iter().map(|(_, connection)| connection.as_ref()))
            .collect();
        all.sort_by_key(|connection| (connection.first, connection.client, connection.server));
        all
    }

    /// True if every connection of a client with this hash is kept, whatever it showed.
    pub fn keeps_all_of(&self, client_hash: u64) -> bool {
        client_hash <= self.remarkable.threshold && client_hash <= self.ordinary.threshold
    }

    /// Connections that were offered.
    pub fn seen(&self) -> u64 {
        self.remarkable.seen + self.ordinary.seen
    }

    /// Connections that are kept.
    pub fn kept(&self) -> usize {
        self.remarkable.kept.len() + self.ordinary.kept.len()
    }
}

impl Merge for FollowedConnections {
    fn merge(&mut self, other: Self) {
        self.remarkable.absorb(other.remarkable);
        self.ordinary.absorb(other.ordinary);
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::any_records;
    use super::*;
    use proptest::prelude::*;

    fn of(records: &[StreamRecord]) -> FollowedConnections {
        let mut followed = FollowedConnections::default();
        for record in records {
            followed.offer(&mut record.clone(), &StreamClass::all(record));
        }
        followed
    }

    fn flat(followed: &FollowedConnections) -> String {
        format!("{:?} {}", followed.connections(), followed.seen())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_is_followed_depends_on_the_set_alone(records in any_records(300), cut in 0usize..300) {
            let whole = of(&records);
            let (left, right) = records.split_at(cut.min(records.len()));
            let (mut ab, mut ba) = (of(left), of(right));
            ab.merge(of(right));
            ba.merge(of(left));
            prop_assert_eq!(flat(&whole), flat(&ab));
            prop_assert_eq!(flat(&whole), flat(&ba));
            prop_assert_eq!(whole.kept(), records.len());
        }
    }
}
