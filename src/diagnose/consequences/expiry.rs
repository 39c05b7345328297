//! Certificates that run out one after the other.

use super::Key;
use crate::diagnose::answer::EvidenceKind;
use crate::diagnose::measure::{Facts, Measured, first_places};
use crate::diagnose::suspects::{Suspect, Suspects};
use crate::units::Timestamp;
use std::collections::BTreeMap;

/// Hosts whose leaf certificates ended at different times are one fault: renewal has stopped.
pub(super) fn unite_gradual(suspects: &mut Suspects<'_>, facts: &Facts<'_>) {
    let expired = super::keys_where(suspects, |key, _| key.0 == "cert-expired");
    let calls: Vec<usize> = expired
        .iter()
        .filter_map(|key| suspects.list.get(key))
        .flat_map(Suspect::own_calls)
        .collect();
    let Some(measured) = staggered(facts, &calls) else {
        return;
    };
    let mut gradual = Suspect::new("gradual-cert-expiry", destination(&expired), CONFIDENCE);
    for suspect in expired.iter().filter_map(|key| suspects.list.remove(key)) {
        gradual.unite(suspect);
    }
    gradual.confidence = CONFIDENCE;
    gradual.measured.push(measured);
    suspects.add(gradual);
}

/// The reason is in the rows; that renewal stopped is inferred.
const CONFIDENCE: f64 = 0.93;

fn destination(expired: &[Key]) -> &str {
    match expired {
        [(_, only)] => only,
        _ => "*",
    }
}

/// The certificates of several hosts ended, and not at the same time.
fn staggered(facts: &Facts<'_>, calls: &[usize]) -> Option<Measured> {
    let first_by_host = first_by_host(facts, calls);
    let (earliest, latest) = (first_by_host.values().min()?, first_by_host.values().max()?);
    let (hosts, spread_s) = (first_by_host.len(), latest.secs() - earliest.secs());
    let thresholds = facts.thresholds();
    (hosts >= thresholds.gradual_hosts && spread_s >= thresholds.gradual_spread_s).then(|| Measured {
        name: "staggered-hosts",
        kind: EvidenceKind::Statistic,
        text: format!(
            "the certificates of {hosts} hosts ended one after the other, {spread_s} s from the first to the last"
        ),
        count: hosts as u64,
        strength: 0.9,
        frames: Vec::new(),
        places: first_places(facts.calls(calls), 3),
    })
}

fn first_by_host<'a>(facts: &'a Facts<'_>, calls: &[usize]) -> BTreeMap<&'a str, Timestamp> {
    let mut first_by_host: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for call in calls.iter().filter_map(|&i| facts.call(i)) {
        if let (true, true, Some(first)) = (
            call.is_source(),
            is_leaf(&call.key.failure_reason),
            call.group.first,
        ) {
            let known = first_by_host.entry(&call.key.host).or_insert(first);
            *known = (*known).min(first);
        }
    }
    first_by_host
}

/// OpenSSL counts depth from the leaf; older Envoys print no depth.
fn is_leaf(reason: &str) -> bool {
    !reason.contains("at_depth_") || reason.contains("at_depth_0")
}
