//! How the clocks of nodes differ, from what two of them tell of the same thing.
//!
//! Anchors are found by ids, addresses and ports alone, never by time. Each one bounds the offset: a called proxy begins after
//! its caller began and ends before it, a SYN arrives after it was sent, a proxy asks after its request has begun. All bounds
//! together leave an interval; its middle is the estimate and half its width how sure that is. Offsets help to match, and
//! are reported; no time is ever corrected by them.

use super::index::Index;
use super::{JoinedRow, RESOLUTION_NS, interval_ns, is_source, span_ns};
use crate::aggregate::captures::FollowedConnection;
use crate::aggregate::flags::Outcome;
use crate::correlate::Call;
use crate::streams::CapturePoint;
use crate::units::InputId;
use std::collections::{BTreeMap, BTreeSet};

/// Whose clock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clock {
    /// Of a proxy, by its log.
    Proxy(String),
    /// Of a capture point.
    Point(CapturePoint),
}

/// How one clock differs from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockOffset {
    /// One.
    pub a: Clock,
    /// The other.
    pub b: Clock,
    /// An input with times of `a`.
    pub input_a: InputId,
    /// An input with times of `b`.
    pub input_b: InputId,
    /// What `b` shows more than `a`, in nanoseconds: the middle of the bounds.
    pub offset_ns: i64,
    /// Half the distance of the bounds, in nanoseconds.
    pub spread_ns: i64,
    /// Lower and upper bound, in nanoseconds.
    pub bounds_ns: (i64, i64),
    /// Records that bound it.
    pub anchors: u64,
}

impl ClockOffset {
    /// True if the bounds allow that there is none.
    pub fn may_be_zero(&self) -> bool {
        let (low, high) = self.bounds_ns;
        low <= 0 && 0 <= high
    }
}

/// What to add to one clock's times to compare them with another's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shift {
    pub offset_ns: i64,
    uncertain_ns: i64,
}

impl Shift {
    /// How far a match may be off on account of the clocks.
    pub(super) fn slack_ns(self) -> i64 {
        self.uncertain_ns.min(MAX_SLACK_NS)
    }
}

/// Beyond this an uncertain offset does not widen a match: it would match anything.
const MAX_SLACK_NS: i64 = 50_000_000;

/// Share of the bounds on either side that may contradict the others: a step of a clock, a row that tells of something else.
const OUTLIERS: usize = 20;

/// The clocks of an incident.
#[derive(Clone, Debug, Default)]
pub struct Clocks {
    /// Each pair of clocks that anchors bound, in order.
    pub offsets: Vec<ClockOffset>,
    /// Of each clock, its group of clocks that can be compared, and its offset from the first of these.
    settled: BTreeMap<Clock, (usize, Shift)>,
}

/// Bounds of one clock's offset from another's.
#[derive(Debug, Default)]
struct Bounds {
    low: Vec<i64>,
    high: Vec<i64>,
    anchors: u64,
    inputs: Option<(InputId, InputId)>,
}

#[derive(Debug, Default)]
struct Edges(BTreeMap<(Clock, Clock), Bounds>);

impl Edges {
    /// `b` minus `a` is between these; which of the two is the greater clock does not matter.
    fn add(&mut self, a: (Clock, InputId), b: (Clock, InputId), low: Option<i64>, high: Option<i64>) {
        if low.is_none() && high.is_none() || a.0 == b.0 {
            return;
        }
        let swapped = a.0 > b.0;
        let (a, b, low, high) = if swapped {
            (b, a, high.map(i64::saturating_neg), low.map(i64::saturating_neg))
        } else {
            (a, b, low, high)
        };
        let bounds = self.0.entry((a.0, b.0)).or_default();
        bounds.low.extend(low);
        bounds.high.extend(high);
        bounds.anchors += 1;
        let inputs = bounds.inputs.get_or_insert((a.1, b.1));
        *inputs = (inputs.0.min(a.1), inputs.1.min(b.1));
    }
}

impl Clocks {
    /// Estimates from rows, of which pairs are known, and connections.
    pub(super) fn estimate(
        rows: &[JoinedRow],
        calls: &[Call<'_>],
        connections: &[&FollowedConnection],
        index: &Index<'_>,
    ) -> Self {
        let mut edges = Edges::default();
        between_proxies(&mut edges, rows, calls);
        if !connections.is_empty() {
            proxies_and_points(&mut edges, rows, calls, connections, index);
            between_points(&mut edges, connections, index);
        }
        let offsets: Vec<ClockOffset> = edges.0.into_iter().filter_map(offset).collect();
        let settled = settle(&offsets, index, calls);
        Self { offsets, settled }
    }

    /// What to add to a proxy's times to compare them with a capture's.
    pub(super) fn of_point(&self, point: CapturePoint, proxy: &str) -> Shift {
        let (Some((group, here)), Some((other, there))) = (
            self.settled.get(&Clock::Proxy(proxy.to_owned())),
            self.settled.get(&Clock::Point(point)),
        ) else {
            return Shift::default();
        };
        if group != other {
            return Shift::default();
        }
        Shift {
            offset_ns: there.offset_ns.saturating_sub(here.offset_ns),
            uncertain_ns: there.uncertain_ns.saturating_add(here.uncertain_ns),
        }
    }
}

/// A called proxy's request is within its caller's, if neither gave up on the other.
fn between_proxies(edges: &mut Edges, rows: &[JoinedRow], calls: &[Call<'_>]) {
    for row in rows {
        let Some(call) = calls.get(row.call).filter(|call| is_source(call)) else {
            continue;
        };
        let Some(pair) = row.pair.and_then(|pair| rows.get(pair)) else {
            continue;
        };
        let Some(called) = calls.get(pair.call) else {
            continue;
        };
        if call.outcome() != Outcome::Ok || called.outcome() != Outcome::Ok || call.key.tcp {
            continue;
        }
        let (start, end) = interval_ns(&row.row);
        let (called_start, called_end) = interval_ns(&pair.row);
        edges.add(
            (Clock::Proxy(call.key.proxy().to_owned()), row.row.place.input),
            (Clock::Proxy(called.key.proxy().to_owned()), pair.row.place.input),
            Some(called_end.saturating_sub(RESOLUTION_NS).saturating_sub(end)),
            Some(
                called_start
                    .saturating_add(RESOLUTION_NS / 2)
                    .saturating_sub(start),
            ),
        );
    }
}

/// A proxy asks after its request began and has the answer before it ended; rows lie within the life of their connections.
fn proxies_and_points(
    edges: &mut Edges,
    rows: &[JoinedRow],
    calls: &[Call<'_>],
    connections: &[&FollowedConnection],
    index: &Index<'_>,
) {
    for row in rows {
        let Some(call) = calls.get(row.call) else { continue };
        let row = &row.row;
        if row.upstream_local == 0 || row.upstream_host == 0 {
            continue;
        }
        let candidates: Vec<(usize, &FollowedConnection)> = index
            .between(row.upstream_local, row.upstream_host)
            .filter_map(|number| Some((number, *connections.get(number)?)))
            .collect();
        let (start, end) = interval_ns(row);
        for (_, connection) in &candidates {
            // Ports that were used twice need time to be told apart.
            let alone = candidates
                .iter()
                .filter(|(_, other)| other.point == connection.point)
                .count()
                == 1;
            let foreign = connection.client.address.is_loopback()
                && index
                    .points
                    .get(&connection.point)
                    .and_then(|point| point.pod.as_deref())
                    .is_none_or(|pod| pod != call.key.proxy());
            if !alone || foreign {
                continue;
            }
            let exchange = row.request().and_then(|id| {
                let mut of_id = connection
                    .timed
                    .iter()
                    .filter(|exchange| exchange.request_id == Some(id));
                of_id.next().filter(|_| of_id.next().is_none())
            });
            let (low, high) = match exchange {
                Some(exchange) => (
                    exchange.ended_ns.map(|ended| ended.saturating_sub(end)),
                    Some(exchange.asked_ns.saturating_sub(start)),
                ),
                None => match span_ns(connection) {
                    Some((from, to)) => (
                        connection.syn.map(|_| from.saturating_sub(end)),
                        Some(to.saturating_sub(start)).filter(|_| is_over(connection)),
                    ),
                    None => (None, None),
                },
            };
            edges.add(
                (Clock::Proxy(call.key.proxy().to_owned()), row.place.input),
                (Clock::Point(connection.point), connection.first.input),
                low,
                high,
            );
        }
    }
}

/// True if the capture shows how the connection ended: what it shows last was then the last.
fn is_over(connection: &FollowedConnection) -> bool {
    connection.close.at.is_some()
}

/// A SYN arrives after it was sent, a SYN-ACK as well.
fn between_points(edges: &mut Edges, connections: &[&FollowedConnection], index: &Index<'_>) {
    for (number, connection) in connections.iter().enumerate() {
        let Some((syn, _)) = connection.syn else { continue };
        let hash = crate::aggregate::followed::endpoint_hash(connection.client);
        for other in index.of_client(hash).filter(|other| *other > number) {
            let Some(other) = connections.get(other) else {
                continue;
            };
            let same = other.server == connection.server
                && other.point != connection.point
                && !connection.client.address.is_loopback()
                && other.initial_sequence == connection.initial_sequence
                && other.initial_sequence.iter().all(Option::is_some);
            let (Some((other_syn, _)), true) = (other.syn, same) else {
                continue;
            };
            let (Some((ack, _)), Some((other_ack, _))) = (connection.syn_ack, other.syn_ack) else {
                continue;
            };
            // The client's end sees the SYN first and the SYN-ACK last: which end that is the distance of the two tells,
            // whatever the clocks say.
            let (here, there) = (
                ack.0.saturating_sub(syn.0),
                other_ack.0.saturating_sub(other_syn.0),
            );
            let syn_offset = other_syn.0.saturating_sub(syn.0);
            let ack_offset = other_ack.0.saturating_sub(ack.0);
            let (low, high) = if here >= there {
                (ack_offset, syn_offset)
            } else {
                (syn_offset, ack_offset)
            };
            edges.add(
                (Clock::Point(connection.point), connection.first.input),
                (Clock::Point(other.point), other.first.input),
                Some(low),
                Some(high),
            );
        }
    }
}

/// What all bounds leave.
fn offset(((a, b), mut bounds): ((Clock, Clock), Bounds)) -> Option<ClockOffset> {
    let (input_a, input_b) = bounds.inputs?;
    bounds.low.sort_unstable();
    bounds.high.sort_unstable();
    let (mut low, mut high) = (*bounds.low.last()?, *bounds.high.first()?);
    if low > high {
        // Some contradict: the clock was set, or a record is not what it seems. The bulk decides.
        low = *bounds
            .low
            .get(bounds.low.len() - 1 - bounds.low.len() / OUTLIERS)?;
        high = *bounds.high.get(bounds.high.len() / OUTLIERS)?;
    }
    let spread_ns = high.saturating_sub(low).saturating_abs() / 2;
    Some(ClockOffset {
        a,
        b,
        input_a,
        input_b,
        offset_ns: low.min(high).saturating_add(spread_ns),
        spread_ns,
        bounds_ns: (low.min(high), low.max(high)),
        anchors: bounds.anchors,
    })
}

/// Offsets from the first clock of each group of clocks that anchors connect, along the surest of them. A capture in a pod has
/// the clock of the pod's proxy unless anchors say otherwise.
fn settle(offsets: &[ClockOffset], index: &Index<'_>, calls: &[Call<'_>]) -> BTreeMap<Clock, (usize, Shift)> {
    let proxies: BTreeSet<&str> = calls.iter().map(|call| call.key.proxy()).collect();
    // Surest first; what is assumed comes last.
    let mut edges: Vec<(i64, &Clock, &Clock, i64)> = offsets
        .iter()
        .map(|offset| {
            // Clocks that may agree are taken to agree.
            let apart = if offset.may_be_zero() { 0 } else { offset.offset_ns };
            (offset.spread_ns, &offset.a, &offset.b, apart)
        })
        .collect();
    edges.sort_by_key(|(spread, a, b, _)| (*spread, *a, *b));
    let assumed: Vec<(Clock, Clock)> = index
        .points
        .iter()
        .filter_map(|(number, point)| {
            let pod = point.pod.as_deref().filter(|pod| proxies.contains(pod))?;
            Some((Clock::Proxy(pod.to_owned()), Clock::Point(*number)))
        })
        .collect();
    edges.extend(assumed.iter().map(|(a, b)| (0, a, b, 0)));
    let mut group_of: BTreeMap<Clock, (usize, Shift)> = BTreeMap::new();
    for (number, clock) in edges.iter().flat_map(|(_, a, b, _)| [*a, *b]).enumerate() {
        group_of
            .entry(clock.clone())
            .or_insert((number, Shift::default()));
    }
    for (spread, a, b, apart) in edges {
        let (Some(&(group_a, at_a)), Some(&(group_b, at_b))) = (group_of.get(a), group_of.get(b)) else {
            continue;
        };
        if group_a == group_b {
            continue;
        }
        // Move the whole of b's group so that b stands where a says.
        let move_by = at_a
            .offset_ns
            .saturating_add(apart)
            .saturating_sub(at_b.offset_ns);
        let uncertain = if apart == 0 { 0 } else { spread };
        for (group, shift) in group_of.values_mut().filter(|(group, _)| *group == group_b) {
            *group = group_a;
            shift.offset_ns = shift.offset_ns.saturating_add(move_by);
            shift.uncertain_ns = shift.uncertain_ns.saturating_add(uncertain);
        }
    }
    group_of
}
