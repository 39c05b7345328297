//! Where the time of a request went: from the packets of its connection where they are known, else from the row itself.

use super::{Clocks, JoinedRow, Link, Seen, interval_ns, is_source, plus_ns};
use crate::aggregate::captures::FollowedConnection;
use crate::correlate::Call;

/// A part of a request's time, as its proxy sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// From SYN to the end of the handshake, or of waiting for it, of a connection that was made for the request.
    Connect,
    /// From the client hello until data could be sent, on such a connection.
    Tls,
    /// From the first to the last byte of the request.
    RequestSent,
    /// From the last byte of the request to the first byte of the answer.
    Waiting,
    /// From the first to the last byte of the answer.
    ResponseReceived,
    /// Before earlier attempts of the same request were over.
    Retries,
    /// The rest: in the proxy itself, waiting for a free connection, and passing the answer on.
    Proxy,
    /// Of waiting, what passed between the two proxies: on the way, or being sent again.
    Network,
    /// Of waiting, what the called application took.
    Application,
}

impl Phase {
    /// All, in order.
    pub const ALL: [Self; 9] = [
        Self::Connect,
        Self::Tls,
        Self::RequestSent,
        Self::Waiting,
        Self::ResponseReceived,
        Self::Retries,
        Self::Proxy,
        Self::Network,
        Self::Application,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::RequestSent => "request_sent",
            Self::Waiting => "waiting",
            Self::ResponseReceived => "response_received",
            Self::Retries => "retries",
            Self::Proxy => "proxy",
            Self::Network => "network",
            Self::Application => "application",
        }
    }

    /// True for parts that are parts of [`Phase::Waiting`] and not beside it.
    pub fn is_of_waiting(self) -> bool {
        matches!(self, Self::Network | Self::Application)
    }
}

/// What tells where the time went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpentFrom {
    /// The packets at the proxy's own pod.
    Packets,
    /// The packets at the other end of its connection or of the called proxy's, and the row.
    FarPackets,
    /// The rows alone.
    Rows,
}

impl SpentFrom {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Packets => "packets",
            Self::FarPackets => "packets-at-the-other-end",
            Self::Rows => "rows",
        }
    }
}

/// Where the time of a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// What tells it.
    pub from: SpentFrom,
    /// [`UNTOLD`] where nothing tells.
    parts_ns: [u64; Phase::ALL.len()],
}

const UNTOLD: u64 = u64::MAX;

impl Spent {
    fn new(from: SpentFrom) -> Self {
        Self {
            from,
            parts_ns: [UNTOLD; Phase::ALL.len()],
        }
    }

    /// Nanoseconds of a part; `None` where nothing tells.
    pub fn of_ns(&self, phase: Phase) -> Option<u64> {
        let part = self.parts_ns.get(phase as usize).copied();
        part.filter(|ns| *ns != UNTOLD)
    }

    fn set(&mut self, phase: Phase, ns: Option<i64>) {
        if let (Some(part), Some(ns)) = (self.parts_ns.get_mut(phase as usize), ns) {
            *part = u64::try_from(ns).unwrap_or(0);
        }
    }

    /// The longest of the parts that exclude each other.
    pub fn longest(&self) -> Option<(Phase, u64)> {
        Phase::ALL
            .into_iter()
            .filter(|phase| !phase.is_of_waiting())
            .filter_map(|phase| Some((phase, self.of_ns(phase)?)))
            .max_by_key(|(phase, ns)| (*ns, std::cmp::Reverse(*phase)))
    }

    fn sum_ns(&self) -> i64 {
        let parts = Phase::ALL.into_iter().filter(|phase| !phase.is_of_waiting());
        let sum: u64 = parts.filter_map(|phase| self.of_ns(phase)).sum();
        i64::try_from(sum).unwrap_or(i64::MAX)
    }
}

/// What is lost by cutting a start to milliseconds: a connection made so long before a row may have been made for it.
const MADE_FOR_NS: i64 = 2_000_000;

/// Works out where the time of every HTTP row went.
pub(super) fn attribute(
    rows: &mut [JoinedRow],
    calls: &[Call<'_>],
    connections: &[&FollowedConnection],
    clocks: &Clocks,
) {
    // Callers' rows last: they take what is known of the called proxies' rows.
    let of_source = |row: &JoinedRow| calls.get(row.call).is_some_and(is_source);
    let (callers, called): (Vec<usize>, Vec<usize>) =
        (0..rows.len()).partition(|number| rows.get(*number).is_some_and(of_source));
    for number in called.into_iter().chain(callers) {
        let Some(row) = rows.get(number) else { continue };
        let Some(call) = calls.get(row.call).filter(|call| !call.key.tcp) else {
            continue;
        };
        let pair = row.pair.and_then(|pair| rows.get(pair));
        let spent = of_row(row, pair, call, connections, clocks);
        if let Some(row) = rows.get_mut(number) {
            row.spent = spent;
        }
    }
}

fn of_row(
    row: &JoinedRow,
    pair: Option<&JoinedRow>,
    call: &Call<'_>,
    connections: &[&FollowedConnection],
    clocks: &Clocks,
) -> Option<Spent> {
    let duration_ns = row.row.duration_ms()?.checked_mul(1_000_000)?;
    let duration_ns = i64::try_from(duration_ns).ok()?;
    let packets = match &row.upstream {
        Link::Exact { near: Some(near), .. } => {
            from_packets(row, near, call, connections, clocks, duration_ns)
        }
        Link::Exact { far: Some(far), .. } => from_far_packets(row, far, duration_ns),
        Link::Set(_) => Some(waiting_to_connect(duration_ns)),
        Link::Exact { .. } | Link::None(_) => None,
    };
    let mut spent = packets.or_else(|| from_rows(row, call, duration_ns))?;
    split_waiting(&mut spent, row, pair, call);
    Some(spent)
}

/// A request that never got a connection waited for one.
fn waiting_to_connect(duration_ns: i64) -> Spent {
    let mut spent = Spent::new(SpentFrom::Packets);
    spent.set(Phase::Connect, Some(duration_ns));
    spent
}

fn from_packets(
    row: &JoinedRow,
    near: &Seen,
    call: &Call<'_>,
    connections: &[&FollowedConnection],
    clocks: &Clocks,
    duration_ns: i64,
) -> Option<Spent> {
    let timing = near.timing?;
    let connection = connections.get(near.connection)?;
    let shift = clocks.of_point(connection.point, call.key.proxy());
    let (start, end) = interval_ns(&row.row);
    let start = start.saturating_add(shift.offset_ns);
    let end = end.saturating_add(shift.offset_ns);
    let mut spent = Spent::new(SpentFrom::Packets);
    let made_for =
        |at: Option<i64>| at.filter(|at| *at >= start.saturating_sub(MADE_FOR_NS) && *at <= timing.asked_ns);
    if let Some(syn) = made_for(connection.syn.map(|(syn, _)| syn.0)) {
        let open = connection
            .handshake_ack
            .or(connection.syn_ack)
            .map(|(time, _)| time.0);
        spent.set(Phase::Connect, open.map(|open| open.saturating_sub(syn)));
        if let Some(hello) = made_for(connection.client_hello.map(|hello| hello.0)) {
            let ready = connection
                .tls_ready
                .map(|ready| ready.0.min(timing.asked_ns.max(hello)));
            spent.set(Phase::Tls, ready.map(|ready| ready.saturating_sub(hello)));
        }
    }
    spent.set(
        Phase::RequestSent,
        Some(timing.sent_ns.saturating_sub(timing.asked_ns)),
    );
    // An answer that did not come was waited for until the row ended.
    let answered = timing.answered_ns.unwrap_or(end).max(timing.sent_ns.min(end));
    spent.set(Phase::Waiting, Some(answered.saturating_sub(timing.sent_ns)));
    if let (Some(answered), Some(ended)) = (timing.answered_ns, timing.ended_ns) {
        spent.set(Phase::ResponseReceived, Some(ended.saturating_sub(answered)));
    }
    rest(
        &mut spent,
        row,
        duration_ns,
        timing.asked_ns.saturating_sub(start),
    );
    Some(spent)
}

/// What is left of the whole is the proxy's, but for attempts before the last one.
fn rest(spent: &mut Spent, row: &JoinedRow, duration_ns: i64, before_ns: i64) {
    let left = duration_ns.saturating_sub(spent.sum_ns()).max(0);
    let of_connection = [Phase::Connect, Phase::Tls]
        .into_iter()
        .filter_map(|phase| spent.of_ns(phase))
        .sum::<u64>();
    let before = before_ns
        .saturating_sub(i64::try_from(of_connection).unwrap_or(i64::MAX))
        .clamp(0, left);
    if row.earlier_attempts > 0 {
        spent.set(Phase::Retries, Some(before));
        spent.set(Phase::Proxy, Some(left - before));
    } else {
        spent.set(Phase::Proxy, Some(left));
    }
}

/// Seen from the other end, what passed between both is not known apart from what the proxy took, unless the row tells when
/// the answer came.
fn from_far_packets(row: &JoinedRow, far: &Seen, duration_ns: i64) -> Option<Spent> {
    let timing = far.timing?;
    let answered = timing.answered_ns?;
    let there = answered.saturating_sub(timing.asked_ns).max(0);
    let upstream_ns = i64::try_from(row.row.upstream_ms()?.checked_mul(1_000_000)?).ok()?;
    let mut spent = Spent::new(SpentFrom::FarPackets);
    spent.set(Phase::Waiting, Some(upstream_ns.max(there).min(duration_ns)));
    spent.set(Phase::Network, Some(upstream_ns.saturating_sub(there).max(0)));
    spent.set(Phase::Proxy, Some(duration_ns.saturating_sub(upstream_ns).max(0)));
    Some(spent)
}

/// `DURATION` and `X-ENVOY-UPSTREAM-SERVICE-TIME`: what passed before the answer's head came and after it.
fn from_rows(row: &JoinedRow, call: &Call<'_>, duration_ns: i64) -> Option<Spent> {
    let mut spent = Spent::new(SpentFrom::Rows);
    if call.key.has_flag("UF") && row.row.upstream_local == 0 {
        spent.set(Phase::Connect, Some(duration_ns));
        return Some(spent);
    }
    let upstream_ns = i64::try_from(row.row.upstream_ms()?.checked_mul(1_000_000)?).ok()?;
    spent.set(Phase::Waiting, Some(upstream_ns.min(duration_ns)));
    spent.set(Phase::Proxy, Some(duration_ns.saturating_sub(upstream_ns).max(0)));
    Some(spent)
}

/// Of a caller's waiting: what the called proxy had the request for, and of that what its application took.
fn split_waiting(spent: &mut Spent, row: &JoinedRow, pair: Option<&JoinedRow>, call: &Call<'_>) {
    let waiting = spent.of_ns(Phase::Waiting).and_then(|ns| i64::try_from(ns).ok());
    if !is_source(call) {
        // The called proxy waits for its application, a hop of microseconds.
        spent.set(Phase::Application, waiting.filter(|_| row.row.upstream_host != 0));
        return;
    }
    let (Some(waiting), Some(pair)) = (waiting, pair) else {
        return;
    };
    let ns = |ms: Option<u64>| ms.and_then(|ms| i64::try_from(ms).ok()?.checked_mul(1_000_000));
    let way = ns(pair.row.duration_ms()).map(|called| waiting.saturating_sub(called).max(0));
    if way.is_some() {
        spent.set(Phase::Network, way);
    }
    let by_packets = pair
        .spent
        .filter(|pair| pair.from == SpentFrom::Packets)
        .and_then(|pair| i64::try_from(pair.of_ns(Phase::Application)?).ok());
    if by_packets.is_some() && spent.from == SpentFrom::Rows {
        spent.from = SpentFrom::FarPackets;
    }
    let application = by_packets.or_else(|| ns(pair.row.upstream_ms()));
    spent.set(
        Phase::Application,
        application.map(|application| application.min(waiting)),
    );
}

/// True if a connection was made for the row: it began while the row's request was under way.
pub fn made_for(row: &JoinedRow, connection: &FollowedConnection) -> bool {
    let from = plus_ns(row.row.start(), -MADE_FOR_NS);
    connection
        .syn
        .is_some_and(|(syn, _)| syn >= from && syn <= row.row.end())
}
