//! Rows to connections.

use super::index::{Index, is_inside, is_listener};
use super::{
    Clocks, JoinedRow, Link, RESOLUTION_NS, Seen, Timing, Told, Why, interval_ns, is_source, span_ns,
};
use crate::aggregate::captures::FollowedConnection;
use crate::aggregate::followed::FollowedRow;
use crate::correlate::Call;
use crate::streams::{Burst, Opening, Side};
use std::collections::BTreeMap;

/// Attempts to connect that are kept of one row.
const MAX_ATTEMPTS: usize = 32;

/// How long after a row a connection that it used may have ended, and the reverse: a row ends when its proxy has passed on
/// the last byte, its connection when the capture point has seen it.
const SLACK_NS: i64 = RESOLUTION_NS;

/// Links all rows to what the captures hold.
pub(super) fn link(
    rows: &mut [JoinedRow],
    calls: &[Call<'_>],
    connections: &[&FollowedConnection],
    index: &Index<'_>,
    clocks: &Clocks,
) {
    let linker = Linker {
        connections,
        index,
        clocks,
    };
    for row in rows.iter_mut() {
        let Some(call) = calls.get(row.call) else { continue };
        row.downstream = linker.downstream(&row.row, call);
        row.upstream = linker.upstream(&row.row, call);
    }
    let crowds = Crowds::of(rows);
    for row in rows.iter_mut() {
        let Some(call) = calls.get(row.call) else { continue };
        let JoinedRow {
            row,
            downstream,
            upstream,
            ..
        } = row;
        for (link, side) in [(downstream, Leg::Downstream), (upstream, Leg::Upstream)] {
            if let Link::Exact { near, far } = link {
                for seen in [near, far].into_iter().flatten() {
                    linker.time(seen, row, call, side, &crowds);
                }
            }
        }
    }
}

/// Which side of the row's proxy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Leg {
    Downstream,
    Upstream,
}

/// Rows by connection and start: whether others were under way at the same time. The rows of the connection's two ends are
/// kept apart, since both tell of the same requests.
struct Crowds(BTreeMap<(usize, Leg), Vec<(i64, i64)>>);

impl Crowds {
    fn of(rows: &[JoinedRow]) -> Self {
        let mut crowds: BTreeMap<(usize, Leg), Vec<(i64, i64)>> = BTreeMap::new();
        for row in rows {
            for (link, leg) in [(&row.downstream, Leg::Downstream), (&row.upstream, Leg::Upstream)] {
                if let Link::Exact { .. } = link {
                    for connection in link.connections() {
                        crowds
                            .entry((connection, leg))
                            .or_default()
                            .push(interval_ns(&row.row));
                    }
                }
            }
        }
        for list in crowds.values_mut() {
            list.sort_unstable();
        }
        Self(crowds)
    }

    /// True if another row used the connection while this one was under way, beyond what cutting to milliseconds may feign.
    fn overlap(&self, connection: usize, leg: Leg, row: &FollowedRow) -> bool {
        let Some(list) = self.0.get(&(connection, leg)) else {
            return false;
        };
        let (start, end) = interval_ns(row);
        let from = list.partition_point(|(other, _)| *other < start.saturating_sub(LOOK_BACK_NS));
        let mut own = false;
        list.iter()
            .skip(from)
            .take_while(|(other, _)| *other < end)
            .take(MAX_LOOKED)
            .any(|&(other_start, other_end)| {
                if !own && (other_start, other_end) == (start, end) {
                    own = true;
                    return false;
                }
                other_start.saturating_add(2 * RESOLUTION_NS) < end
                    && start.saturating_add(2 * RESOLUTION_NS) < other_end
            })
    }
}

/// How long before a row others may have begun that are still under way: the longest that is looked for.
const LOOK_BACK_NS: i64 = 60_000_000_000;
/// Rows of one connection that are looked at.
const MAX_LOOKED: usize = 256;

struct Linker<'i> {
    connections: &'i [&'i FollowedConnection],
    index: &'i Index<'i>,
    clocks: &'i Clocks,
}

impl Linker<'_> {
    fn upstream(&self, row: &FollowedRow, call: &Call<'_>) -> Link {
        if row.upstream_host == 0 {
            return Link::None(Why::NoAddress);
        }
        if row.upstream_local == 0 {
            return self.attempts(row, call);
        }
        let candidates: Vec<usize> = self
            .index
            .between(row.upstream_local, row.upstream_host)
            .filter(|number| self.fits_pod(*number, call))
            .collect();
        let inside = !is_source(call);
        self.choose(&candidates, row.upstream_local, row, call, inside)
    }

    fn downstream(&self, row: &FollowedRow, call: &Call<'_>) -> Link {
        if row.downstream_remote == 0 {
            return Link::None(Why::NoAddress);
        }
        let candidates: Vec<usize> = self
            .index
            .of_client(row.downstream_remote)
            .filter(|number| {
                self.connection(*number).is_some_and(|connection| {
                    self.index.is_server(*number, row.downstream_local)
                        || is_listener(connection) && self.is_near(*number, call)
                })
            })
            .filter(|number| self.fits_pod(*number, call))
            .collect();
        self.choose(&candidates, row.downstream_remote, row, call, is_source(call))
    }

    fn connection(&self, number: usize) -> Option<&FollowedConnection> {
        self.connections.get(number).copied()
    }

    /// True if the connection was captured in the pod of the row's proxy.
    fn is_near(&self, number: usize, call: &Call<'_>) -> bool {
        self.connection(number)
            .and_then(|connection| self.index.points.get(&connection.point))
            .and_then(|point| point.pod.as_deref())
            .is_some_and(|pod| pod == call.key.proxy())
    }

    /// Addresses of loopback are in every pod: there the capture must be of the proxy's own pod, or of no pod that is known.
    fn fits_pod(&self, number: usize, call: &Call<'_>) -> bool {
        let Some(connection) = self.connection(number) else {
            return false;
        };
        if !is_inside(connection) {
            return true;
        }
        let pod = self
            .index
            .points
            .get(&connection.point)
            .and_then(|point| point.pod.as_deref());
        pod.is_none_or(|pod| pod == call.key.proxy())
    }

    /// The connection at the row's time, at its own pod and elsewhere.
    fn choose(
        &self,
        candidates: &[usize],
        client: u64,
        row: &FollowedRow,
        call: &Call<'_>,
        inside: bool,
    ) -> Link {
        if candidates.is_empty() {
            return Link::None(self.why(client, row, call, inside));
        }
        let mut best: [Option<(i64, usize)>; 2] = [None, None];
        for &number in candidates {
            let Some(late) = self.distance(number, row, call) else {
                continue;
            };
            let place = usize::from(!self.is_near(number, call));
            if let Some(best) = best.get_mut(place)
                && best.is_none_or(|(least, _)| late < least)
            {
                *best = Some((late, number));
            }
        }
        let seen = |best: Option<(i64, usize)>| {
            best.map(|(_, connection)| {
                Box::new(Seen {
                    connection,
                    told: Told::Unseen,
                    timing: None,
                })
            })
        };
        let [near, far] = best.map(seen);
        if near.is_none() && far.is_none() {
            return Link::None(Why::OtherTime);
        }
        Link::Exact { near, far }
    }

    /// How long before the row the connection began, if it was there at the row's time: of several that used the same ports
    /// the last one is right.
    fn distance(&self, number: usize, row: &FollowedRow, call: &Call<'_>) -> Option<i64> {
        let connection = self.connection(number)?;
        let (from, to) = span_ns(connection)?;
        let shift = self.clocks.of_point(connection.point, call.key.proxy());
        let (start, end) = interval_ns(row);
        let (start, end) = (
            start.saturating_add(shift.offset_ns),
            end.saturating_add(shift.offset_ns),
        );
        let slack = SLACK_NS.saturating_add(shift.slack_ns());
        // A connection may be made before the request is accepted, and both ends may be cut off by the capture.
        let there = from.saturating_sub(slack) <= end && start <= to.saturating_add(slack);
        there.then(|| end.saturating_sub(from).saturating_abs())
    }

    fn why(&self, client: u64, row: &FollowedRow, call: &Call<'_>, inside: bool) -> Why {
        let (start, end) = interval_ns(row);
        let mut why = Why::NotCapturedThere;
        for (number, point) in &self.index.points {
            let own = point.pod.as_deref() == Some(call.key.proxy());
            // Between pods the other end's capture would show it too.
            let other_end = !inside && is_other_end(point.pod.as_deref(), call);
            let shows = if inside { point.inside } else { point.between };
            if !(shows && (own || other_end)) {
                continue;
            }
            let shift = self.clocks.of_point(*number, call.key.proxy());
            let covered = point.span_ns.is_some_and(|(from, to)| {
                start.saturating_add(shift.offset_ns) >= from && end.saturating_add(shift.offset_ns) <= to
            });
            why = why.max(if covered {
                Why::NotInCapture
            } else {
                Why::OutsideCapture
            });
        }
        if why == Why::NotInCapture && !self.index.keeps(client) {
            return Why::LeftOut;
        }
        why
    }

    /// Attempts of the row's pod to connect to its upstream host while it was under way.
    fn attempts(&self, row: &FollowedRow, call: &Call<'_>) -> Link {
        let (start, end) = interval_ns(row);
        let mut attempts = Vec::new();
        for number in self.index.of_server(row.upstream_host) {
            let Some(connection) = self.connection(number) else {
                continue;
            };
            let near = self.is_near(number, call);
            if !near && !self.is_from_pod_of(connection, call) {
                continue;
            }
            let Some((syn, _)) = connection.syn else { continue };
            let shift = self.clocks.of_point(connection.point, call.key.proxy());
            let slack = SLACK_NS.saturating_add(shift.slack_ns());
            // Several requests may wait for one attempt that began before them.
            let at = syn.0.saturating_sub(shift.offset_ns);
            let until = attempted_until(connection).saturating_sub(shift.offset_ns);
            let under_way = until.saturating_add(slack) >= start && at <= end.saturating_add(slack);
            if under_way && attempts.len() < MAX_ATTEMPTS {
                attempts.push(number);
            }
        }
        // What failed explains a row that failed; a connection that went well served another one.
        let failed = |number: &usize| {
            self.connection(*number).is_some_and(|connection| {
                connection.opening != Opening::Established
                    || connection.classes.iter().any(|class| !class.is_good())
            })
        };
        if attempts.iter().any(failed) {
            attempts.retain(failed);
        }
        if attempts.is_empty() {
            return Link::None(
                self.why(row.upstream_host, row, call, !is_source(call))
                    .min(Why::NotInCapture),
            );
        }
        Link::Set(attempts)
    }

    /// True for connections that the row's pod opened, as far as its address tells.
    fn is_from_pod_of(&self, connection: &FollowedConnection, call: &Call<'_>) -> bool {
        self.index
            .pod_at(connection.client.address)
            .is_some_and(|pod| pod == call.key.proxy())
    }

    /// Finds the request's bytes on its connection.
    fn time(&self, seen: &mut Seen, row: &FollowedRow, call: &Call<'_>, leg: Leg, crowds: &Crowds) {
        let Some(connection) = self.connection(seen.connection) else {
            return;
        };
        let shift = self.clocks.of_point(connection.point, call.key.proxy());
        let (start, end) = interval_ns(row);
        let slack = SLACK_NS.saturating_add(shift.slack_ns());
        let window = Window {
            start: start.saturating_add(shift.offset_ns),
            end: end.saturating_add(shift.offset_ns),
            slack,
            leg,
        };
        let half = self
            .index
            .halves
            .get(seen.connection)
            .copied()
            .flatten()
            .and_then(|half| self.connection(half));
        let (told, timing) = match by_id(connection, half, row, &window) {
            Some(timing) => (Told::ById, Some(timing)),
            None if connection.may_multiplex && crowds.overlap(seen.connection, leg, row) => {
                (Told::Multiplexed, None)
            }
            None => match by_order(connection, half, &window) {
                Some(timing) => (Told::ByOrder, Some(timing)),
                None => (Told::Unseen, None),
            },
        };
        seen.told = told;
        seen.timing = timing;
    }
}

/// Until when an attempt to connect was under way: until its answer, or, where none came, until the next SYN would have been
/// sent, since giving up sends no packet. Each wait is twice the one before it (RFC 6298 section 5.5), the first is a second.
fn attempted_until(connection: &FollowedConnection) -> i64 {
    let Some((from, to)) = span_ns(connection) else {
        return i64::MIN;
    };
    match (connection.opening, connection.handshake_ack, connection.syn_ack) {
        (Opening::Unanswered | Opening::HalfOpen, ..) => to
            .saturating_add(to.saturating_sub(from))
            .saturating_add(1_000_000_000),
        (Opening::Established, Some((open, _)), _) | (Opening::Established, None, Some((open, _)))
            if !connection.tls =>
        {
            open.0
        }
        _ => to,
    }
}

fn is_other_end(pod: Option<&str>, call: &Call<'_>) -> bool {
    let (Some(pod), Some(called)) = (pod, call.destination_pod.as_deref()) else {
        return false;
    };
    is_source(call) && pod == called
}

/// When a row's request was under way, by the clock of the capture.
struct Window {
    start: i64,
    end: i64,
    slack: i64,
    leg: Leg,
}

impl Window {
    fn holds(&self, at: i64) -> bool {
        at.saturating_add(self.slack) >= self.start && at <= self.end.saturating_add(self.slack)
    }
}

fn by_id(
    connection: &FollowedConnection,
    half: Option<&FollowedConnection>,
    row: &FollowedRow,
    window: &Window,
) -> Option<Timing> {
    let id = row.request()?;
    let exchange = connection
        .timed
        .iter()
        .filter(|exchange| exchange.request_id == Some(id))
        .min_by_key(|exchange| exchange.asked_ns.saturating_sub(window.start).saturating_abs())?;
    Some(exchange_timing(exchange, half, window))
}

fn by_order(
    connection: &FollowedConnection,
    half: Option<&FollowedConnection>,
    window: &Window,
) -> Option<Timing> {
    // The half with the requests is the client's.
    let (client, other) = match half {
        Some(half) if connection.timed.is_empty() && !half.timed.is_empty() => (half, Some(connection)),
        _ => (connection, half),
    };
    if !client.timed.is_empty() {
        let in_time = client
            .timed
            .iter()
            .filter(|exchange| window.holds(exchange.asked_ns));
        let exchange = match window.leg {
            // The proxy notes the start when it has read the request's head: the last one before that.
            Leg::Downstream => client
                .timed
                .iter()
                .filter(|exchange| {
                    exchange.asked_ns <= window.start.saturating_add(window.slack)
                        && exchange
                            .ended_ns
                            .is_none_or(|ended| ended.saturating_add(window.slack) >= window.start)
                })
                .max_by_key(|exchange| exchange.asked_ns)?,
            Leg::Upstream => in_time.min_by_key(|exchange| exchange.asked_ns)?,
        };
        return Some(exchange_timing(exchange, other, window));
    }
    by_bursts(client, other, window)
}

fn exchange_timing(
    exchange: &crate::streams::TimedExchange,
    half: Option<&FollowedConnection>,
    window: &Window,
) -> Timing {
    let sent_ns = exchange.sent_ns.unwrap_or(exchange.asked_ns);
    let mut timing = Timing {
        asked_ns: exchange.asked_ns,
        sent_ns,
        answered_ns: exchange.answered_ns,
        ended_ns: exchange.ended_ns,
        at: exchange.at,
    };
    if timing.answered_ns.is_none()
        && let Some(half) = half
    {
        let answer = half.bursts.iter().filter(|burst| {
            burst.side == Side::Server
                && burst.begin_ns >= exchange.asked_ns
                && burst.begin_ns <= window.end.saturating_add(window.slack)
        });
        timing.answered_ns = answer.clone().map(|burst| burst.begin_ns).min();
        timing.ended_ns = answer.map(|burst| burst.end_ns).max();
    }
    timing
}

/// Encrypted or unknown bytes: what the client sent in that time, and what came back.
fn by_bursts(
    connection: &FollowedConnection,
    half: Option<&FollowedConnection>,
    window: &Window,
) -> Option<Timing> {
    let ready = connection.tls_ready.map_or(i64::MIN, |ready| ready.0);
    let mut bursts: Vec<_> = connection
        .bursts
        .iter()
        .chain(half.into_iter().flat_map(|half| half.bursts.iter()))
        .filter(|burst| burst.begin_ns >= ready && burst.begin_ns <= window.end.saturating_add(window.slack))
        .copied()
        .collect();
    bursts.sort_by_key(|burst| (burst.begin_ns, burst.at));
    let first = match window.leg {
        Leg::Downstream => bursts.iter().rposition(|burst| {
            burst.side == Side::Client && burst.begin_ns <= window.start.saturating_add(window.slack)
        }),
        Leg::Upstream => bursts.iter().position(|burst| {
            burst.side == Side::Client && burst.begin_ns.saturating_add(window.slack) >= window.start
        }),
    }?;
    let own = bursts.get(first..)?;
    let request = own.first()?;
    let answer = own.iter().position(|burst| burst.side == Side::Server);
    let sent = own.get(..answer.unwrap_or(own.len())).unwrap_or_default();
    let answer = answer.map(|first| {
        if connection.tls {
            after_silence(own, first)
        } else {
            first
        }
    });
    Some(Timing {
        asked_ns: request.begin_ns,
        sent_ns: sent.last().map_or(request.end_ns, |burst| burst.end_ns),
        answered_ns: answer
            .and_then(|answer| own.get(answer))
            .map(|burst| burst.begin_ns),
        ended_ns: own
            .iter()
            .rfind(|burst| burst.side == Side::Server)
            .map(|burst| burst.end_ns),
        at: request.at,
    })
}

/// Which of a server's bursts begins its answer where bytes are hidden: HTTP/2 acknowledges what it gets and opens windows, and
/// TLS 1.3 sends tickets, all before the answer. These come at once; the answer comes after the longest silence.
fn after_silence(bursts: &[Burst], first: usize) -> usize {
    let server = (first..bursts.len())
        .filter(|place| bursts.get(*place).is_some_and(|burst| burst.side == Side::Server));
    let silence = |place: usize| {
        let before = place.checked_sub(1).and_then(|before| bursts.get(before));
        let burst = bursts.get(place);
        before
            .zip(burst)
            .map_or(0, |(before, burst)| burst.begin_ns.saturating_sub(before.end_ns))
    };
    server
        .max_by_key(|place| (silence(*place), std::cmp::Reverse(*place)))
        .unwrap_or(first)
}
