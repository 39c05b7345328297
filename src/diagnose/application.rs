//! What applications wrote meanwhile. The reference reads their logs last, and so does this: an application's words bear a
//! finding out, and never make one.

use super::answer::EvidenceKind;
use super::finding::{Evidence, Finding};
use super::measure::Facts;
use crate::aggregate::address::{short_service, workload};
use crate::aggregate::inputs::ApplicationLines;
use crate::units::Place;

/// Causes on which the log of the called application has something to say.
const OF_APPLICATIONS: &[&str] = &[
    "circuit-breaker-overflow",
    "client-disconnect",
    "fd-exhaustion",
    "keepalive-race",
    "outlier-ejection",
    "retries-exhausted",
    "slow-upstream-app",
    "upstream-connection-refused",
    "upstream-protocol-error",
    "upstream-reset",
    "upstream-timeout",
    "zero-window",
];

/// Places that are cited.
const REFS: usize = 3;

/// Adds to findings what the called application wrote in their window.
pub(super) fn add(findings: &mut [Finding], facts: &Facts<'_>) {
    let logs = || {
        let inputs = facts.incident.totals.inputs.values();
        inputs.flat_map(|stats| &stats.applications)
    };
    for finding in findings
        .iter_mut()
        .filter(|finding| OF_APPLICATIONS.contains(&finding.cause.as_str()))
    {
        let of_called: Vec<_> = logs().filter(|(pod, _)| is_called(finding, pod)).collect();
        finding.evidence.extend(said(finding, &of_called));
    }
}

fn is_called(finding: &Finding, pod: &str) -> bool {
    let service = finding.scope.destination.as_deref().map(short_service);
    finding.scope.pods.iter().any(|called| called == pod)
        || service.is_some_and(|service| workload(pod) == service)
}

fn said(finding: &Finding, logs: &[(&String, &ApplicationLines)]) -> Option<Evidence> {
    let (start, end) = (finding.start?.secs(), finding.end?.secs());
    let within = |lines: &ApplicationLines| -> u64 {
        let places = lines.over_time.places_reaching_into(start, end);
        lines.over_time.held_at(places).sum()
    };
    let (pod, loudest) = logs
        .iter()
        .max_by(|(a_pod, a), (b_pod, b)| within(a).cmp(&within(b)).then_with(|| b_pod.cmp(a_pod)))?;
    let count: u64 = logs.iter().map(|(_, lines)| within(lines)).sum();
    let places: Vec<Place> = loudest.samples.keys().copied().take(REFS).collect();
    (count > 0).then(|| Evidence {
        kind: EvidenceKind::Log,
        text: format!(
            "the application in {pod} wrote {count} error lines in this time, of {} in all",
            loudest.errors
        ),
        count,
        strength: 0.3,
        places,
        frames: Vec::new(),
    })
}
