//! Connections that are kept whole, for evidence and for the join with log rows: those that show something first,
//! each sort under a limit of its own.
//!
//! Of a sort the connections with the smallest hashes are kept. Which these are depends on the set alone, and two such
//! sets merge into that of the union, in any order.

use super::class::StreamClass;
use crate::aggregate::{Merge, stable_hash_with};
use crate::decode::packet::{Endpoint, FrameRef};
use crate::streams::StreamRecord;
use std::collections::BTreeMap;

/// Connections kept of each sort that shows something.
pub const MAX_REMARKABLE: usize = 256;

/// Connections kept of those that went as they should.
pub const MAX_ORDINARY: usize = 2048;

/// Connections listed where all are asked for.
pub const MAX_LISTED: usize = 100_000;

/// Exchanges that a kept connection keeps; failed and slow ones come first.
const MAX_EXCHANGES: usize = 16;

/// Sorts of connections, the most telling first. A connection is kept under the first that it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sort {
    /// Refused.
    Refused,
    /// Rejected by an ICMP error.
    Rejected,
    /// No answer to its SYN, or none to the SYN-ACK.
    Unanswered,
    /// TLS alerts, and TLS against plain bytes.
    Tls,
    /// The keep-alive race.
    KeepAliveRace,
    /// Reset in mid-exchange.
    ResetMidExchange,
    /// Reset before data.
    ResetBeforeData,
    /// Closed without an answer.
    ClosedWithoutAnswer,
    /// A window of 0.
    ZeroWindow,
    /// Segments sent again.
    Lossy,
    /// Errors of the application.
    ServerErrors,
    /// As it should be.
    Ordinary,
}

impl Sort {
    /// The sort of a connection with these classes.
    pub fn of(classes: &[StreamClass]) -> Self {
        classes
            .iter()
            .map(|class| Self::of_class(*class))
            .min()
            .unwrap_or(Self::Ordinary)
    }

    fn of_class(class: StreamClass) -> Self {
        match class {
            StreamClass::Refused => Self::Refused,
            StreamClass::Rejected { .. } => Self::Rejected,
            StreamClass::Unanswered | StreamClass::HalfOpen => Self::Unanswered,
            StreamClass::PlaintextToTls
            | StreamClass::TlsToPlaintext
            | StreamClass::TlsAlert { .. }
            | StreamClass::EncryptedAlertThenClose { .. } => Self::Tls,
            StreamClass::KeepAliveRace => Self::KeepAliveRace,
            StreamClass::ResetMidExchange { .. } => Self::ResetMidExchange,
            StreamClass::ResetBeforeData { .. } => Self::ResetBeforeData,
            StreamClass::ClosedWithoutAnswer { .. } => Self::ClosedWithoutAnswer,
            StreamClass::ZeroWindow { .. } => Self::ZeroWindow,
            StreamClass::Lossy { .. } => Self::Lossy,
            StreamClass::ServerErrors => Self::ServerErrors,
            StreamClass::ResetIdle { .. } | StreamClass::Midstream | StreamClass::Good => Self::Ordinary,
        }
    }

    fn limit(self) -> usize {
        match self {
            Self::Ordinary => MAX_ORDINARY,
            _ => MAX_REMARKABLE,
        }
    }
}

/// The connections with the smallest hashes, at most `limit`.
#[derive(Clone, Debug, Default)]
struct Smallest {
    /// By hash, then by first packet, in case two have one hash.
    kept: BTreeMap<(u64, FrameRef), Box<StreamRecord>>,
    seen: u64,
}

impl Smallest {
    fn offer(&mut self, hash: u64, limit: usize, first: FrameRef, record: impl FnOnce() -> StreamRecord) {
        self.seen += 1;
        let key = (hash, first);
        if self.kept.len() < limit || self.kept.last_key_value().is_some_and(|(last, _)| key < *last) {
            self.kept.insert(key, Box::new(record()));
            self.trim(limit);
        }
    }

    fn absorb(&mut self, other: Self, limit: usize) {
        self.seen += other.seen;
        self.kept.extend(other.kept);
        self.trim(limit);
    }

    fn trim(&mut self, limit: usize) {
        while self.kept.len() > limit {
            self.kept.pop_last();
        }
    }
}

/// Connections that are kept whole.
#[derive(Clone, Debug, Default)]
pub struct KeptStreams {
    sorts: BTreeMap<Sort, Smallest>,
    /// All of them, where they are asked for.
    listed: Option<Smallest>,
}

impl KeptStreams {
    /// An empty store; one that also lists all connections if `list_all`.
    pub fn new(list_all: bool) -> Self {
        Self {
            sorts: BTreeMap::new(),
            listed: list_all.then(Smallest::default),
        }
    }

    /// Offers a connection that has these classes.
    pub fn offer(&mut self, record: StreamRecord, classes: &[StreamClass]) {
        let sort = Sort::of(classes);
        let (hash, first) = (hash_of(&record), record.first);
        if let Some(listed) = &mut self.listed {
            listed.offer(hash, MAX_LISTED, first, || for_the_list(&record));
        }
        self.sorts
            .entry(sort)
            .or_default()
            .offer(hash, sort.limit(), first, || without_times(record));
    }

    /// The connections of one sort in order of their first packet.
    pub fn of_sort(&self, sort: Sort) -> Vec<&StreamRecord> {
        self.sorts.get(&sort).map_or_else(Vec::new, |kept| in_order(kept))
    }

    /// All kept connections but the list, by sort and then in order of their first packet.
    pub fn iter(&self) -> impl Iterator<Item = (Sort, &StreamRecord)> {
        self.sorts
            .iter()
            .flat_map(|(sort, kept)| in_order(kept).into_iter().map(move |record| (*sort, record)))
    }

    /// Connections of one sort that were offered.
    pub fn seen(&self, sort: Sort) -> u64 {
        self.sorts.get(&sort).map_or(0, |kept| kept.seen)
    }

    /// The list of all connections in order of their first packet, if it was asked for.
    pub fn listed(&self) -> Option<Vec<&StreamRecord>> {
        self.listed.as_ref().map(in_order)
    }

    /// Connections that the list leaves out.
    pub fn left_out_of_list(&self) -> u64 {
        self.listed
            .as_ref()
            .map_or(0, |listed| listed.seen.saturating_sub(listed.kept.len() as u64))
    }

    /// Sorts of which connections were left out: limit, kept, left out.
    pub fn limits_reached(&self) -> impl Iterator<Item = (Sort, u64, u64, u64)> {
        self.sorts.iter().filter_map(|(sort, kept)| {
            let held = kept.kept.len() as u64;
            (kept.seen > held).then(|| (*sort, sort.limit() as u64, held, kept.seen - held))
        })
    }
}

impl Merge for KeptStreams {
    fn merge(&mut self, other: Self) {
        for (sort, kept) in other.sorts {
            self.sorts.entry(sort).or_default().absorb(kept, sort.limit());
        }
        match (&mut self.listed, other.listed) {
            (Some(mine), Some(theirs)) => mine.absorb(theirs, MAX_LISTED),
            (None, theirs) => self.listed = theirs,
            (Some(_), None) => {}
        }
    }
}

fn in_order(kept: &Smallest) -> Vec<&StreamRecord> {
    let mut list: Vec<&StreamRecord> = kept.kept.values().map(Box::as_ref).collect();
    list.sort_by_key(|record| (record.first, record.client, record.server));
    list
}

/// By what tells one connection from another: where it was captured, between whom, and its first packet.
fn hash_of(record: &StreamRecord) -> u64 {
    let seed = u64::from(record.point.0) << 32 ^ u64::from(record.first.input.0);
    let of =
        |hash, endpoint: Endpoint| stable_hash_with(hash ^ u64::from(endpoint.port), &endpoint.address.0);
    let hash = of(of(seed, record.client), record.server);
    stable_hash_with(hash, &record.first.frame.to_le_bytes())
}

fn without_times(record: StreamRecord) -> StreamRecord {
    let mut kept = record;
    kept.application.response_times = Vec::new();
    kept.application.timed = Vec::new();
    kept.application.bursts = Vec::new();
    let left_out = kept.application.exchanges.len().saturating_sub(MAX_EXCHANGES);
    kept.application.left_out += left_out as u64;
    kept.application.exchanges.truncate(MAX_EXCHANGES);
    kept.application.exchanges.shrink_to_fit();
    kept.application.dns.truncate(MAX_EXCHANGES);
    kept
}

fn for_the_list(record: &StreamRecord) -> StreamRecord {
    let mut kept = record.clone();
    kept.application.response_times = Vec::new();
    kept.application.timed = Vec::new();
    kept.application.bursts = Vec::new();
    kept.application.exchanges = Vec::new();
    kept.application.dns = Vec::new();
    kept.events = Vec::new();
    if let Some(tls) = &mut kept.application.tls {
        tls.certificates = Vec::new();
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::super::samples::{any_records, record};
    use super::*;
    use proptest::prelude::*;

    fn of(records: &[StreamRecord]) -> KeptStreams {
        let mut kept = KeptStreams::new(true);
        for record in records {
            kept.offer(record.clone(), &StreamClass::all(record));
        }
        kept
    }

    fn flat(kept: &KeptStreams) -> String {
        format!("{:?} {:?}", kept.iter().collect::<Vec<_>>(), kept.listed())
    }

    #[test]
    fn ordinary_connections_do_not_crowd_out_the_others() {
        let mut records: Vec<_> = (1..=(MAX_ORDINARY as u64 + 10)).map(record).collect();
        records[700].opening = crate::streams::Opening::Refused;
        let kept = of(&records);
        assert_eq!(kept.of_sort(Sort::Refused).len(), 1);
        assert_eq!(kept.of_sort(Sort::Ordinary).len(), MAX_ORDINARY);
        assert_eq!(kept.limits_reached().collect::<Vec<_>>().len(), 1);
        assert_eq!(kept.seen(Sort::Ordinary), MAX_ORDINARY as u64 + 9);
        let listed = kept.listed().unwrap();
        assert_eq!((listed.len(), kept.left_out_of_list()), (records.len(), 0));
        assert!(listed.is_sorted_by_key(|record| record.first));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_is_kept_depends_on_the_set_alone(records in any_records(700), cut in 0usize..700) {
            let whole = of(&records);
            let (left, right) = records.split_at(cut.min(records.len()));
            let (mut ab, mut ba) = (of(left), of(right));
            ab.merge(of(right));
            ba.merge(of(left));
            prop_assert_eq!(flat(&whole), flat(&ab));
            prop_assert_eq!(flat(&whole), flat(&ba));
        }
    }
}
