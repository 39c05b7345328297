//! What the connections of a suspect's rows show: evidence that names the row and the packet of one and the same request.

use super::finding::Evidence;
use super::measure::Facts;
use super::resets::ratio;
use super::suspects::Suspect;
use crate::aggregate::captures::{FollowedConnection, StreamClass};
use crate::correlate::JoinedRow;
use crate::correlate::join::{Phase, SpentFrom};
use crate::decode::packet::FrameRef;
use crate::diagnose::answer::EvidenceKind;
use crate::streams::{Side, application::alert_name};
use crate::units::Place;
use std::collections::{BTreeMap, BTreeSet};

/// References of each kind given for a piece of evidence.
const REFS: usize = 5;

/// Joined rows below which their connections are not spoken of.
const MIN_ROWS: u64 = 2;

/// Share of the joined rows that must have gone the same way to be spoken of.
const MIN_SHARE: f64 = 0.3;

/// Share of all time that a part must have taken to be spoken of.
const MIN_TIME_SHARE: f64 = 0.05;

/// How the connections of the suspect's rows went, and where the time of its requests went.
pub(super) fn evidence(suspect: &Suspect<'_>, facts: &Facts<'_>, own: &[usize]) -> Vec<Evidence> {
    let mut list = fates(facts, own);
    if suspect.added_latency_ms.is_some() {
        list.extend(time_spent(suspect, facts));
    }
    list
}

/// How a connection went, as far as that can have made a request fail.
type Fate = StreamClass;

#[derive(Default)]
struct Tally {
    rows: u64,
    places: BTreeSet<Place>,
    frames: BTreeSet<FrameRef>,
    idle_ms: Vec<u64>,
}

fn fates(facts: &Facts<'_>, own: &[usize]) -> Vec<Evidence> {
    let joined = &facts.incident.joined;
    if joined.connections.is_empty() {
        return Vec::new();
    }
    let mut all = 0;
    let mut tallies: BTreeMap<Fate, Tally> = BTreeMap::new();
    for row in own.iter().flat_map(|call| facts.joined_rows_of(*call)) {
        let connections: Vec<&FollowedConnection> = connections_of(row)
            .into_iter()
            .filter_map(|number| joined.connections.get(number).copied())
            .collect();
        if connections.is_empty() {
            continue;
        }
        all += 1;
        let mut seen: BTreeSet<Fate> = BTreeSet::new();
        for connection in connections {
            let Some(fate) = fate(connection) else { continue };
            let tally = tallies.entry(fate).or_default();
            if seen.insert(fate) {
                tally.rows += 1;
            }
            tally.places.insert(row.row.place);
            while tally.places.len() > REFS {
                tally.places.pop_last();
            }
            tally.frames.insert(shown_at(connection));
            while tally.frames.len() > REFS {
                tally.frames.pop_last();
            }
            if let Some(idle_ns) = connection.close.idle_before_ns {
                tally.idle_ms.push(idle_ns / 1_000_000);
            }
        }
    }
    let enough = |tally: &Tally| tally.rows >= MIN_ROWS && ratio(tally.rows, all) >= MIN_SHARE;
    tallies
        .into_iter()
        .filter(|(_, tally)| enough(tally))
        .map(|(fate, tally)| {
            let idle = if matches!(fate, StreamClass::KeepAliveRace) {
                idle_words(tally.idle_ms)
            } else {
                String::new()
            };
            let share = ratio(tally.rows, all);
            Evidence {
                kind: EvidenceKind::Join,
                text: format!(
                    "of {all} of these rows the connection was captured: on {} of them {}{idle}",
                    tally.rows,
                    words(fate)
                ),
                count: tally.rows,
                strength: (share * 90.0).round() / 100.0,
                places: tally.places.into_iter().collect(),
                frames: tally.frames.into_iter().collect(),
            }
        })
        .collect()
}

/// Where something was wrong with the upstream connection it explains the row; else the downstream one may.
fn connections_of(row: &JoinedRow) -> Vec<usize> {
    let upstream = row.upstream.connections();
    if upstream.is_empty() {
        row.downstream.connections()
    } else {
        upstream
    }
}

/// The most telling thing that the connection shows, if anything.
fn fate(connection: &FollowedConnection) -> Option<Fate> {
    connection
        .classes
        .iter()
        .copied()
        .map(StreamClass::without_detail)
        .find(|class| !class.is_good() && !matches!(class, StreamClass::ServerErrors))
}

fn shown_at(connection: &FollowedConnection) -> FrameRef {
    match connection.close.at {
        Some((_, at)) => at,
        None => connection.first,
    }
}

fn idle_words(mut idle_ms: Vec<u64>) -> String {
    if idle_ms.is_empty() {
        return String::new();
    }
    idle_ms.sort_unstable();
    let middle = idle_ms.get(idle_ms.len() / 2).copied().unwrap_or(0);
    format!(" (idle for {middle} ms before it, the median)")
}

fn by(side: Side) -> &'static str {
    match side {
        Side::Client => "the caller",
        Side::Server => "the called side",
    }
}

fn words(fate: Fate) -> String {
    match fate {
        StreamClass::Refused => "the SYN was answered by RST: nothing listened there".to_owned(),
        StreamClass::Rejected { .. } => "the SYN was answered by an ICMP error".to_owned(),
        StreamClass::Unanswered => "the SYN had no answer".to_owned(),
        StreamClass::HalfOpen => "the handshake was never completed".to_owned(),
        StreamClass::PlaintextToTls => "the caller spoke plainly to a server of TLS".to_owned(),
        StreamClass::TlsToPlaintext => "the caller spoke TLS to a server that speaks plainly".to_owned(),
        StreamClass::TlsAlert {
            by: side,
            description,
        } => {
            format!("{} sent the TLS alert {}", by(side), alert_name(description))
        }
        StreamClass::EncryptedAlertThenClose { by: side } => {
            format!(
                "{} sent an encrypted record of the size of an alert, and closed",
                by(side)
            )
        }
        StreamClass::KeepAliveRace => "the request crossed the called side's FIN".to_owned(),
        StreamClass::ResetMidExchange { by: side } => {
            format!("{} reset it while a request was under way", by(side))
        }
        StreamClass::ResetBeforeData { by: side } => format!("{} reset it before any data", by(side)),
        StreamClass::ClosedWithoutAnswer { by: side } => {
            format!("{} closed it while a request waited for its answer", by(side))
        }
        StreamClass::ZeroWindow { by: side } => format!("{} closed its receive window", by(side)),
        StreamClass::Lossy { by: side } => format!("segments of {} were lost on the way", by(side)),
        StreamClass::ResetIdle { .. }
        | StreamClass::Midstream
        | StreamClass::Good
        | StreamClass::ServerErrors => "nothing was wrong".to_owned(),
    }
}

/// Where the time of the requests to the suspect's destination went while it was slow.
fn time_spent(suspect: &Suspect<'_>, facts: &Facts<'_>) -> Option<Evidence> {
    let (first, last) = suspect.span(facts)?;
    let incident = facts.incident;
    let (mut requests, mut by_packets) = (0_u64, 0_u64);
    let mut parts: BTreeMap<Phase, u64> = BTreeMap::new();
    let mut total_ns = 0_u64;
    let mut longest: Option<(u64, &JoinedRow)> = None;
    for row in &incident.joined.rows {
        let Some(call) = incident.calls.get(row.call).filter(|call| call.counted) else {
            continue;
        };
        let Some(spent) = &row.spent else { continue };
        let here = suspect.destination == "*" || call.destination == suspect.destination;
        let end = row.row.end();
        if !here || end < first || end > last {
            continue;
        }
        requests += 1;
        by_packets += u64::from(spent.from != SpentFrom::Rows);
        for phase in Phase::ALL {
            let Some(ns) = spent.of_ns(phase) else { continue };
            *parts.entry(phase).or_default() += ns;
            if !phase.is_of_waiting() {
                total_ns = total_ns.saturating_add(ns);
            }
        }
        let ms = row.row.duration_ms().unwrap_or(0);
        if longest.is_none_or(|(most, _)| ms > most) {
            longest = Some((ms, row));
        }
    }
    if requests < MIN_ROWS || total_ns == 0 {
        return None;
    }
    let mut shares: Vec<(f64, Phase)> = parts
        .iter()
        .map(|(phase, ns)| (ratio(*ns, total_ns), *phase))
        .filter(|(share, _)| *share >= MIN_TIME_SHARE)
        .collect();
    shares.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    // What waiting consists of says more than waiting.
    if shares.iter().any(|(_, phase)| phase.is_of_waiting()) {
        shares.retain(|(_, phase)| *phase != Phase::Waiting);
    }
    let list: Vec<String> = shares
        .iter()
        .map(|(share, phase)| format!("{:.0} % {}", share * 100.0, phase_words(*phase)))
        .collect();
    let from = if by_packets > 0 {
        format!("{by_packets} of them by packets")
    } else {
        "by the rows of both proxies".to_owned()
    };
    let frame = longest.and_then(|(_, row)| {
        let pair = row.pair.and_then(|pair| incident.joined.rows.get(pair));
        packet_of(row, facts).or_else(|| packet_of(pair?, facts))
    });
    Some(Evidence {
        kind: EvidenceKind::Join,
        text: format!(
            "where the time of {requests} requests went ({from}): {}",
            list.join(", ")
        ),
        count: requests,
        strength: 0.8,
        places: longest.map(|(_, row)| row.row.place).into_iter().collect(),
        frames: frame.into_iter().collect(),
    })
}

/// Where the request begins on the way to what was called, or else where its connection does.
fn packet_of(row: &JoinedRow, facts: &Facts<'_>) -> Option<FrameRef> {
    let seen = row.upstream.seen().or_else(|| row.downstream.seen())?;
    let connection = facts.incident.joined.connections.get(seen.connection)?;
    Some(seen.timing.map_or(connection.first, |timing| timing.at))
}

fn phase_words(phase: Phase) -> &'static str {
    match phase {
        Phase::Connect => "connecting",
        Phase::Tls => "in TLS handshakes",
        Phase::RequestSent => "sending requests",
        Phase::Waiting => "waiting for answers",
        Phase::ResponseReceived => "receiving answers",
        Phase::Retries => "in earlier attempts",
        Phase::Proxy => "in the proxy",
        Phase::Network => "on the way between the proxies",
        Phase::Application => "in the called application",
    }
}
