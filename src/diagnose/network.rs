//! Time that is lost between two proxies, as the rows of both tell where no capture does.
//!
//! What a caller waited for less what the called proxy had the request for passed between them. TCP sends a lost segment again
//! after 200 ms at the earliest (Linux, `TCP_RTO_MIN`; RFC 6298 has a second), so that requests which lost one stand apart from
//! all others. Other things take time there too, so it stays a remark until packets are seen.

use super::measure::{Facts, Measured};
use super::resets::ratio;
use super::suspects::{Suspect, Suspects};
use crate::correlate::JoinedRow;
use crate::correlate::join::Phase;
use crate::diagnose::answer::EvidenceKind;
use crate::units::{Place, Timestamp};
use std::collections::BTreeMap;

const CAUSE: &str = "packet-loss";

/// Places kept of the requests that lost most.
const PLACES: usize = 5;

/// Adds suspects for destinations to which requests lost time on the way, where nothing else explains it.
pub(super) fn suspect<'f>(suspects: &mut Suspects<'f>, facts: &'f Facts<'f>) {
    let thresholds = facts.thresholds();
    let mut by_destination: BTreeMap<&str, Vec<(u64, &JoinedRow)>> = BTreeMap::new();
    for row in &facts.incident.joined.rows {
        let Some(call) = facts
            .call(row.call)
            .filter(|call| call.is_source() && call.counted)
        else {
            continue;
        };
        if let Some(ns) = row.spent.and_then(|spent| spent.of_ns(Phase::Network)) {
            by_destination
                .entry(&call.destination)
                .or_default()
                .push((ns / 1_000_000, row));
        }
    }
    // Late to several destinations at once is no matter of one way.
    let late_to: Vec<&str> = by_destination
        .iter()
        .filter(|(_, rows)| is_late(rows, facts))
        .map(|(destination, _)| *destination)
        .collect();
    let [destination] = late_to.as_slice() else {
        return;
    };
    // Packets would show it better, and a fault that is known explains waiting.
    let known = suspects.list.iter().any(|((_, of), suspect)| {
        (of == destination || of == "*")
            && (suspect.shown(facts) >= thresholds.min_failures
                || suspect.window.is_some()
                || !suspect.lines.is_empty())
    });
    if known || facts.connections_to(destination) > 0 {
        return;
    }
    if let Some(rows) = by_destination.remove(destination) {
        suspects.add(lost_time(destination, rows, facts));
    }
}

fn is_late(rows: &[(u64, &JoinedRow)], facts: &Facts<'_>) -> bool {
    let thresholds = facts.thresholds();
    let mut times: Vec<u64> = rows.iter().map(|(ms, _)| *ms).collect();
    times.sort_unstable();
    let usual = times.get(times.len() / 2).copied().unwrap_or(0);
    let late = count(times.iter().filter(|ms| **ms >= thresholds.resent_ms).count());
    usual <= thresholds.usual_way_ms
        && late >= thresholds.min_failures
        && ratio(late, count(times.len())) >= thresholds.resent_share
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn lost_time<'f>(destination: &str, mut rows: Vec<(u64, &JoinedRow)>, facts: &Facts<'_>) -> Suspect<'f> {
    let all = count(rows.len());
    rows.retain(|(ms, _)| *ms >= facts.thresholds().resent_ms);
    rows.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.row.place.cmp(&b.1.row.place)));
    let late = count(rows.len());
    let sum: u64 = rows.iter().map(|(ms, _)| *ms).sum();
    let ends: Vec<Timestamp> = rows.iter().map(|(_, row)| row.row.end()).collect();
    let places: Vec<Place> = rows.iter().take(PLACES).map(|(_, row)| row.row.place).collect();
    let least = rows.last().map_or(0, |(ms, _)| *ms);
    let most = rows.first().map_or(0, |(ms, _)| *ms);
    let mut suspect = Suspect::new(CAUSE, destination, facts.rules.lost_time_confidence);
    suspect.remark = true;
    suspect.window = ends.iter().min().copied().zip(ends.iter().max().copied());
    #[expect(clippy::cast_precision_loss, reason = "a mean in whole milliseconds")]
    let mean_ms = sum as f64 / late.max(1) as f64;
    suspect.added_latency_ms = Some(mean_ms);
    suspect.measured.push(Measured {
        name: "lost-time",
        kind: EvidenceKind::Join,
        text: format!(
            "{late} of {all} requests spent {least} to {most} ms between the two proxies, which the called proxy's rows do not have: \
             TCP sends a lost segment again after 200 ms at the earliest"
        ),
        count: late,
        strength: 0.6,
        places,
        frames: Vec::new(),
    });
    suspect
}
