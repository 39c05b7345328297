//! Rows and their connections: how many joined, how clocks differ, where the time went, examples.

use super::requests::reference;
use crate::aggregate::captures::{FollowedConnection, StreamClass};
use crate::aggregate::flags::Outcome;
use crate::correlate::join::{Joined, Link, Phase, Seen, Spent, SpentFrom, Told, spent};
use crate::correlate::{Call, Incident, JoinedRow};
use crate::report::model::{
    ClockOffset, Correlation, Counts, DestinationSpent, JoinExample, PairedProxies, Quantiles, StreamRef,
};
use crate::streams::{CloseKind, Opening, Side};
use std::collections::{BTreeMap, BTreeSet};

/// Examples given.
const EXAMPLES: usize = 12;
/// Destinations listed.
const DESTINATIONS: usize = 64;
/// Pairs of clocks listed.
const CLOCKS: usize = 64;

/// The section.
pub(super) fn correlation(incident: &Incident<'_>) -> Correlation {
    let joined = &incident.joined;
    let mut correlation = Correlation {
        truncated: joined.is_truncated(),
        paired_proxies: PairedProxies {
            joined: joined.paired.0,
            of: joined.paired.1,
        },
        clock: clock(joined),
        examples: examples(incident),
        ..Correlation::default()
    };
    count(incident, &mut correlation);
    time_spent(incident, &mut correlation);
    correlation
}

fn count(incident: &Incident<'_>, correlation: &mut Correlation) {
    for (row, call) in rows(incident) {
        if call.key.tcp {
            correlation.joined_connections += u64::from(row.is_joined());
            continue;
        }
        if let Some(why) = row.why() {
            *correlation
                .unjoined_because
                .entry(why.name().to_owned())
                .or_default() += 1;
            correlation.joinable_requests += u64::from(why.is_joinable());
        } else {
            correlation.joined_requests += 1;
            correlation.joinable_requests += 1;
            *correlation.told_by.entry(told_by(row).to_owned()).or_default() += 1;
        }
    }
    // Without captures nothing could be joined: that is no failure of rows.
    if incident.joined.connections.is_empty() {
        correlation.unjoined_because.clear();
    }
}

fn rows<'i, 't>(incident: &'i Incident<'t>) -> impl Iterator<Item = (&'i JoinedRow, &'i Call<'t>)> {
    let joined = &incident.joined;
    joined
        .rows
        .iter()
        .filter_map(|row| Some((row, incident.calls.get(row.call)?)))
}

/// The surest of what is known of a row's connections.
fn told_by(row: &JoinedRow) -> &'static str {
    let seen = |link: &Link| match link {
        Link::Exact { near, far } => [near, far].into_iter().flatten().map(|seen| seen.told).min(),
        Link::Set(_) | Link::None(_) => None,
    };
    match seen(&row.upstream).into_iter().chain(seen(&row.downstream)).min() {
        Some(told) => told.name(),
        None => "set",
    }
}

fn clock(joined: &Joined<'_>) -> Vec<ClockOffset> {
    let us = |ns: i64| {
        // Exact up to 2^53 ns, which is a hundred days.
        #[expect(clippy::cast_precision_loss, reason = "a difference of clocks")]
        let ns = ns as f64;
        (ns / 100.0).round() / 10.0
    };
    joined
        .clocks
        .offsets
        .iter()
        .take(CLOCKS)
        .map(|offset| ClockOffset {
            input_a: offset.input_a,
            input_b: offset.input_b,
            offset_us: us(offset.offset_ns),
            spread_us: us(offset.spread_ns),
            low_us: us(offset.bounds_ns.0),
            high_us: us(offset.bounds_ns.1),
            anchors: offset.anchors,
        })
        .collect()
}

/// Times of one part, in nanoseconds.
type Parts = BTreeMap<Phase, Vec<u64>>;

/// What is summed for one destination.
#[derive(Default)]
struct Sums {
    requests: u64,
    from: BTreeMap<SpentFrom, u64>,
    parts: Parts,
    total_ns: u64,
}

impl Sums {
    fn add(&mut self, spent: &Spent) {
        self.requests += 1;
        *self.from.entry(spent.from).or_default() += 1;
        for phase in Phase::ALL {
            if let Some(ns) = spent.of_ns(phase) {
                self.parts.entry(phase).or_default().push(ns);
                if !phase.is_of_waiting() {
                    self.total_ns = self.total_ns.saturating_add(ns);
                }
            }
        }
    }
}

/// Rows of which it is told where their time went. Requests count once, as everywhere: by the caller's rows where that hop has
/// them. Where packets tell of some requests of a destination, those without packets are left out, so that one kind of
/// figure is not mixed with the other. With each, whether it is among those of the whole.
pub(super) fn spent_rows<'i, 't>(
    incident: &'i Incident<'t>,
) -> impl Iterator<Item = (&'i JoinedRow, &'i Call<'t>, &'i Spent, bool)> {
    let counted = || rows(incident).filter(|(_, call)| call.counted);
    let by_packets: BTreeSet<&str> = counted()
        .filter(|(row, _)| row.spent.is_some_and(|spent| spent.from != SpentFrom::Rows))
        .map(|(_, call)| call.destination.as_str())
        .collect();
    counted().filter_map(move |(row, call)| {
        let spent = row.spent.as_ref()?;
        let by_rows = spent.from == SpentFrom::Rows;
        if by_rows && by_packets.contains(call.destination.as_str()) {
            return None;
        }
        Some((row, call, spent, by_packets.is_empty() || !by_rows))
    })
}

fn time_spent(incident: &Incident<'_>, correlation: &mut Correlation) {
    let mut by_destination: BTreeMap<(&str, &str), Sums> = BTreeMap::new();
    let mut all = Sums::default();
    for (_, call, spent, of_all) in spent_rows(incident) {
        let key = (call.destination.as_str(), call.key.reporter.name());
        by_destination.entry(key).or_default().add(spent);
        if of_all {
            all.add(spent);
        }
    }
    correlation.time_spent_from = from(&all.from);
    correlation.time_spent_ms = quantiles(all.parts);
    let mut list: Vec<((&str, &str), Sums)> = by_destination.into_iter().collect();
    list.sort_by(|a, b| b.1.total_ns.cmp(&a.1.total_ns).then(a.0.cmp(&b.0)));
    correlation.by_destination = list
        .into_iter()
        .take(DESTINATIONS)
        .map(|((name, reporter), sums)| DestinationSpent {
            name: name.to_owned(),
            reporter: reporter.to_owned(),
            requests: sums.requests,
            from: from(&sums.from),
            time_spent_ms: quantiles(sums.parts),
        })
        .collect();
}

fn from(counts: &BTreeMap<SpentFrom, u64>) -> Counts {
    counts
        .iter()
        .map(|(from, count)| (from.name().to_owned(), *count))
        .collect()
}

fn quantiles(mut parts: Parts) -> BTreeMap<String, Quantiles> {
    Phase::ALL
        .into_iter()
        .map(|phase| {
            let mut times = parts.remove(&phase).unwrap_or_default();
            times.sort_unstable();
            (phase.name().to_owned(), quantiles_of(&times))
        })
        .collect()
}

fn quantiles_of(sorted_ns: &[u64]) -> Quantiles {
    // The least time that at least this share of requests does not exceed.
    let at = |per_cent: usize| {
        let rank = (sorted_ns.len() * per_cent).div_ceil(100).max(1);
        sorted_ns.get(rank - 1).map_or(0.0, |ns| ms(*ns))
    };
    Quantiles {
        count: sorted_ns.len() as u64,
        p50: at(50),
        p90: at(90),
        p99: at(99),
        max: at(100),
    }
}

/// Milliseconds, to the microsecond.
fn ms(ns: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a request")]
    let us = (ns / 1000) as f64;
    us / 1000.0
}

/// Failed requests first, each class of them once, then the slowest.
fn examples(incident: &Incident<'_>) -> Vec<JoinExample> {
    let mut of_class: BTreeMap<(bool, u64, usize), (u64, &JoinedRow, &Call<'_>)> = BTreeMap::new();
    for (row, call) in rows(incident).filter(|(row, _)| row.is_joined()) {
        let failed = matches!(call.outcome(), Outcome::Failed | Outcome::Denied);
        let duration = row.row.duration_ms().unwrap_or(0);
        // Failures by group; of the others the slowest of each destination.
        let key = (!failed, u64::MAX - call.count(), row.call);
        let best = of_class.entry(key).or_insert((duration, row, call));
        if !failed && duration > best.0 {
            *best = (duration, row, call);
        }
    }
    let (failed, mut good): (Vec<_>, Vec<_>) = of_class.into_iter().partition(|((good, ..), _)| !good);
    good.sort_by_key(|(key, (duration, ..))| (std::cmp::Reverse(*duration), *key));
    failed
        .into_iter()
        .take(EXAMPLES * 2 / 3)
        .chain(good)
        .take(EXAMPLES)
        .filter_map(|(_, (_, row, call))| example(incident, row, call))
        .collect()
}

fn example(incident: &Incident<'_>, row: &JoinedRow, call: &Call<'_>) -> Option<JoinExample> {
    let link = if row.upstream.is_joined() {
        &row.upstream
    } else {
        &row.downstream
    };
    let number = *link.connections().first()?;
    let connection = *incident.joined.connections.get(number)?;
    let time_spent_ms = row.spent.map_or_else(BTreeMap::new, |spent| {
        Phase::ALL
            .into_iter()
            .filter_map(|phase| Some((phase.name().to_owned(), ms(spent.of_ns(phase)?))))
            .collect()
    });
    Some(JoinExample {
        request: reference(incident, row.row.place),
        stream: StreamRef {
            input: connection.first.input,
            first_frame: connection.first.frame,
            client: connection.client.to_string(),
            server: connection.server.to_string(),
        },
        told_by: told_by(row).to_owned(),
        time_spent_ms,
        story: story(row, call, link, connection),
    })
}

/// What became of the request on its connection.
fn story(row: &JoinedRow, call: &Call<'_>, link: &Link, connection: &FollowedConnection) -> String {
    let flags = if call.key.flags.is_empty() {
        String::new()
    } else {
        format!(" {}", call.key.flags)
    };
    let after = row
        .row
        .duration_ms()
        .map_or_else(String::new, |ms| format!(" after {ms} ms"));
    let mut parts = vec![format!("{}{flags}{after}", call.key.code)];
    if let Link::Set(attempts) = link {
        parts.push(format!(
            "{} to connect to {} at that time",
            if attempts.len() == 1 {
                "one attempt".to_owned()
            } else {
                format!("{} attempts", attempts.len())
            },
            connection.server
        ));
    } else if spent::made_for(row, connection) {
        parts.push("on a connection made for it".to_owned());
    } else if let Some(start) = connection.start.filter(|_| connection.syn.is_some()) {
        let age_ms = row.row.start().millis_since(start).max(0);
        parts.push(format!("on a connection {} old", seconds(age_ms)));
    }
    parts.extend(how_it_went(connection, link.seen()));
    if let Some((phase, ns)) = row.spent.as_ref().and_then(Spent::longest)
        && ns >= LONG_NS
    {
        parts.push(format!(
            "most of the time was {} ({:.1} ms)",
            words(phase),
            ms(ns)
        ));
    }
    parts.join("; ")
}

/// Less than this is not worth saying where it went.
const LONG_NS: u64 = 5_000_000;

fn words(phase: Phase) -> &'static str {
    match phase {
        Phase::Connect => "connecting",
        Phase::Tls => "the handshake of TLS",
        Phase::RequestSent => "sending the request",
        Phase::Waiting => "waiting for the first byte of the answer",
        Phase::ResponseReceived => "receiving the answer",
        Phase::Retries => "earlier attempts",
        Phase::Proxy => "in the proxy",
        Phase::Network => "on the way",
        Phase::Application => "in the application",
    }
}

fn seconds(ms: i64) -> String {
    if ms < 1000 {
        format!("{ms} ms")
    } else {
        format!("{}.{:01} s", ms / 1000, ms % 1000 / 100)
    }
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Client => "the client",
        Side::Server => "the server",
    }
}

/// What the packets show of the connection beyond that it was there.
fn how_it_went(connection: &FollowedConnection, seen: Option<&Seen>) -> Vec<String> {
    let mut parts = Vec::new();
    match connection.opening {
        Opening::Refused => parts.push("its SYN was answered by RST".to_owned()),
        Opening::Rejected => parts.push("its SYN was answered by an ICMP error".to_owned()),
        Opening::Unanswered => parts.push("its SYN had no answer".to_owned()),
        Opening::HalfOpen => parts.push("the handshake was not completed".to_owned()),
        Opening::Established | Opening::Midstream => {}
    }
    for class in &connection.classes {
        let text = match class {
            StreamClass::PlaintextToTls => "the client spoke plainly and the server TLS".to_owned(),
            StreamClass::TlsToPlaintext => "the client spoke TLS and the server plainly".to_owned(),
            StreamClass::TlsAlert { by, description } => format!(
                "{} sent the TLS alert {}",
                side(*by),
                crate::streams::application::alert_name(*description)
            ),
            StreamClass::EncryptedAlertThenClose { by } => {
                format!("{} sent what may be an encrypted alert, and closed", side(*by))
            }
            StreamClass::KeepAliveRace => {
                "the request crossed the server's FIN on the idle connection".to_owned()
            }
            StreamClass::ZeroWindow { by } => format!("{} closed its window", side(*by)),
            StreamClass::Lossy { .. } => {
                format!("{} segments were lost on the way", connection.lost_segments)
            }
            _ => continue,
        };
        parts.push(text);
    }
    let close = connection.close;
    if let (Some(by), Some((_, at)), Opening::Established) = (close.by, close.at, connection.opening) {
        let how = match close.kind {
            CloseKind::ResetBeforeData | CloseKind::ResetMidExchange | CloseKind::ResetIdle => "reset it",
            _ => "closed it",
        };
        let idle = close
            .idle_before_ns
            .map(|ns| i64::try_from(ns / 1_000_000).unwrap_or(i64::MAX))
            .filter(|ms| *ms >= 100)
            .map_or_else(String::new, |ms| format!(" after {} of silence", seconds(ms)));
        parts.push(format!("{} {how}{idle} (frame {})", side(by), at.frame));
    }
    if seen.is_some_and(|seen| seen.told == Told::Multiplexed) {
        parts.push("several requests were under way on it, and which bytes are whose is hidden".to_owned());
    }
    parts
}
