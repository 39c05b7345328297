//! Connections of one kind between the same parties: what the diagnosis weighs, as it weighs groups of log rows.

use super::class::{StreamClass, seconds, server_errors};
use super::hop::StreamHop;
use super::sums::add_side;
use super::times::CoarseTimes;
use crate::aggregate::bounded::{Bounded, Key, in_order};
use crate::aggregate::series::Series;
use crate::aggregate::signatures::earliest;
use crate::aggregate::{Merge, stable_hash_with};
use crate::decode::packet::{Address, Endpoint, FrameRef};
use crate::streams::{CapturePoint, Protocol, Side, SideFacts, StreamRecord};
use crate::units::Timestamp;
use std::collections::BTreeSet;

/// Groups kept of connections that went wrong or show a fact.
pub const MAX_TROUBLED: usize = 4096;

/// Groups kept of all others: on a node, as many as its pods have parties that they call or are called by.
pub const MAX_ORDINARY: usize = 8192;

/// First places kept of one group.
pub const MAX_PLACES: usize = 16;

/// What the connections of a group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamGroupKey {
    /// Where they were captured.
    pub point: CapturePoint,
    /// Their part of the way.
    pub hop: StreamHop,
    /// Who opened them, without the port.
    pub client: Address,
    /// Who was called.
    pub server: Endpoint,
    /// How they went. A connection is in one group with a primary class, and in one more for each of its facts.
    pub class: StreamClass,
    /// What the first bytes of client and server look like.
    pub speak: [Protocol; 2],
}

impl Key for StreamGroupKey {
    type Lump = (StreamHop, StreamClass);

    fn key_hash(&self) -> u64 {
        // Protocols and hops have few values; parties and classes tell groups apart.
        let (kind, detail) = self.class.code();
        let few = u64::from(self.point.0) << 32
            | (self.hop as u64) << 24
            | u64::from(kind) << 16
            | u64::from(detail);
        let [client, server] = self.speak;
        let few = few.rotate_left(8) ^ (client as u64) << 4 ^ server as u64;
        let hash = stable_hash_with(few, &self.client.0);
        stable_hash_with(hash ^ u64::from(self.server.port), &self.server.address.0)
    }

    fn lump(&self) -> Self::Lump {
        (self.hop, self.class.without_detail())
    }
}

/// Sums over the connections of a group.
#[derive(Clone, Debug, Default)]
pub struct StreamGroup {
    /// Connections.
    pub count: u64,
    /// First time that one showed the class (see [`StreamClass::shown_at`]).
    pub first: Option<Timestamp>,
    /// Last time.
    pub last: Option<Timestamp>,
    /// How often it was shown, over time, in seconds.
    pub series: Series<u64>,
    /// The first frames that show it, at most [`MAX_PLACES`].
    pub places: BTreeSet<FrameRef>,
    /// What each side sent, in all: client, server.
    pub sides: [SideFacts; 2],
    /// Longest time in which a side of one connection offered a window of 0.
    pub longest_zero_window_ns: u64,
    /// Requests in clear.
    pub requests: u64,
    /// Answers with status 500 or more in clear.
    pub server_errors: u64,
    /// Times from request to the first byte of the answer.
    pub response: CoarseTimes,
    /// Handshake round trips.
    pub handshake_rtt: CoarseTimes,
    /// Silence before requests that got no answer.
    pub asked_after_idle: CoarseTimes,
    /// Silence before the close.
    pub idle_before_close: CoarseTimes,
    /// Connections of which one side's packets are missing.
    pub one_sided: u64,
    /// Packets cut by the snaplen.
    pub cut_packets: u64,
}

impl StreamGroup {
    /// What one side sent, in all.
    pub fn side(&self, side: Side) -> &SideFacts {
        let [client, server] = &self.sides;
        match side {
            Side::Client => client,
            Side::Server => server,
        }
    }

    fn add(&mut self, record: &StreamRecord, class: StreamClass) {
        let (time, place) = class.shown_at(record);
        self.count += 1;
        self.first = earliest(self.first, time);
        self.last = self.last.max(class.shown_until(record));
        for (second, count) in seconds(class, record) {
            self.series.add(second, count);
        }
        if self.places.len() < MAX_PLACES || self.places.last().is_some_and(|last| place < *last) {
            self.places.insert(place);
            self.trim();
        }
        for (sum, facts) in self.sides.iter_mut().zip(&record.sides) {
            add_side(sum, facts);
            self.longest_zero_window_ns = self.longest_zero_window_ns.max(facts.zero_window_ns);
        }
        self.requests += record.application.http.as_ref().map_or(0, |http| http.requests);
        self.server_errors += server_errors(record);
        for answer in &record.application.response_times {
            self.response.record_ns(answer.ns);
        }
        if let Some(ns) = record.handshake_rtt_ns {
            self.handshake_rtt.record_ns(ns);
        }
        if let Some(ns) = record.close.asked_after_idle_ns {
            self.asked_after_idle.record_ns(ns);
        }
        if let Some(ns) = record.close.idle_before_ns {
            self.idle_before_close.record_ns(ns);
        }
        self.one_sided += u64::from(record.one_sided);
        self.cut_packets += record.cut_packets;
    }

    fn trim(&mut self) {
        while self.places.len() > MAX_PLACES {
            self.places.pop_last();
        }
    }
}

impl Merge for StreamGroup {
    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.first = earliest(self.first, other.first);
        self.last = self.last.max(other.last);
        self.series.merge(other.series);
        self.places.extend(other.places);
        self.trim();
        for (mine, theirs) in self.sides.iter_mut().zip(&other.sides) {
            add_side(mine, theirs);
        }
        self.longest_zero_window_ns = self.longest_zero_window_ns.max(other.longest_zero_window_ns);
        self.requests += other.requests;
        self.server_errors += other.server_errors;
        self.response.merge(other.response);
        self.handshake_rtt.merge(other.handshake_rtt);
        self.asked_after_idle.merge(other.asked_after_idle);
        self.idle_before_close.merge(other.idle_before_close);
        self.one_sided += other.one_sided;
        self.cut_packets += other.cut_packets;
    }
}

/// All groups, within the limits; of the others the sums by hop and class remain. Those that went wrong have a table of their own:
/// on a node there are so many parties that all is well between that they would crowd out the few that have a fault.
#[derive(Clone, Debug)]
pub struct StreamGroups {
    troubled: Bounded<StreamGroupKey, StreamGroup>,
    ordinary: Bounded<StreamGroupKey, StreamGroup>,
}

impl Default for StreamGroups {
    fn default() -> Self {
        Self {
            troubled: Bounded::new(MAX_TROUBLED),
            ordinary: Bounded::new(MAX_ORDINARY),
        }
    }
}

impl StreamGroups {
    /// Adds a connection with these classes.
    pub fn add(&mut self, record: &StreamRecord, hop: StreamHop, classes: &[StreamClass]) {
        for &class in classes {
            let key = StreamGroupKey {
                point: record.point,
                hop,
                client: record.client.address,
                server: record.server,
                class,
                speak: record.application.first_bytes,
            };
            let table = if class.is_good() {
                &mut self.ordinary
            } else {
                &mut self.troubled
            };
            table.change(key, |group| group.add(record, class));
        }
    }

    /// Groups in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (&StreamGroupKey, &StreamGroup)> {
        in_order(&self.troubled, &self.ordinary)
    }

    /// The tables, with what they are called.
    pub fn tables(&self) -> [(&'static str, &Bounded<StreamGroupKey, StreamGroup>); 2] {
        [
            ("connection groups that went wrong", &self.troubled),
            ("connection groups", &self.ordinary),
        ]
    }
}

impl Merge for StreamGroups {
    fn merge(&mut self, other: Self) {
        self.troubled.absorb(other.troubled);
        self.ordinary.absorb(other.ordinary);
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{endpoint, record};
    use super::*;

    #[test]
    fn what_went_wrong_is_kept_among_any_number_of_good_parties() {
        let mut groups = StreamGroups::default();
        for client in 0..MAX_ORDINARY as u64 + 4000 {
            let mut of_client = record(client);
            of_client.client = endpoint(&format!("10.{}.{}.1", client >> 8, client & 255), 40_000);
            groups.add(&of_client, StreamHop::Other, &[StreamClass::Good]);
            if client % 1000 == 0 {
                groups.add(&of_client, StreamHop::Other, &[StreamClass::Refused]);
            }
        }
        let [(_, troubled), (_, ordinary)] = groups.tables();
        assert!(ordinary.is_truncated() && ordinary.len() <= MAX_ORDINARY);
        assert!(!troubled.is_truncated());
        assert_eq!(troubled.len(), (MAX_ORDINARY + 4000).div_ceil(1000));
        let keys: Vec<_> = groups.iter().map(|(key, _)| key).collect();
        assert!(keys.is_sorted() && keys.len() == troubled.len() + ordinary.len());
    }
}
