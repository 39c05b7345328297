//! Errors that the called proxy made, where its own log was not read: its caller's proxy takes them for the
//! application's. What tells is that all are as long as a body that Envoy writes itself.

use super::by_destination;
use crate::correlate::Call;
use crate::diagnose::answer::EvidenceKind;
use crate::diagnose::measure::{Facts, Measured, first_places};
use crate::diagnose::rules::Rule;
use crate::diagnose::suspects::{Suspect, Suspects};
use std::collections::BTreeSet;

/// Puts answers that look like the called proxy's own to suspects.
pub(super) fn suspect_called_proxy<'f>(suspects: &mut Suspects<'f>, facts: &'f Facts<'f>) {
    for rule in &facts.rules.answer {
        let fits = |c: &Call<'_>| c.is_source() && !was_read(facts, c) && rule.rows.fits(c.key, |_| 0);
        let fitting: Vec<usize> = suspects.answered.iter().copied().collect();
        let fitting = fitting.into_iter().filter(|&i| facts.call(i).is_some_and(fits));
        for (destination, calls) in by_destination(facts, fitting) {
            let rows: u64 = facts.calls(&calls).map(Call::count).sum();
            if rows >= facts.thresholds().min_failures {
                suspects.answered.retain(|i| !calls.contains(i));
                suspects.add(suspect(facts, rule, &destination, calls, rows));
            }
        }
    }
}

/// True where the log of the pod that answered was read: what its proxy made would stand there.
fn was_read(facts: &Facts<'_>, call: &Call<'_>) -> bool {
    match &call.destination_pod {
        Some(pod) => facts.is_called_proxy_read(&call.destination, pod),
        None => facts.is_called_side_read(&call.destination),
    }
}

fn suspect<'f>(
    facts: &Facts<'_>,
    rule: &'f Rule,
    destination: &str,
    calls: Vec<usize>,
    rows: u64,
) -> Suspect<'f> {
    let mut suspect = Suspect::new(&rule.cause, destination, rule.confidence);
    let lengths: BTreeSet<usize> = facts
        .calls(&calls)
        .map(|c| usize::from(c.key.proxy_body))
        .collect();
    let bodies = rule.rows.bodies.iter().map(String::as_str);
    let bodies: Vec<&str> = bodies.filter(|body| lengths.contains(&body.len())).collect();
    let bodies = bodies.join("\" or \"");
    suspect.measured.push(Measured {
        name: "proxy-body",
        kind: EvidenceKind::Statistic,
        text: format!(
            "the bodies of these {rows} answers are all as long as \"{bodies}\", which Envoy writes itself; the called proxy's log, which would say so, was not read"
        ),
        count: rows,
        strength: rule.confidence,
        frames: Vec::new(),
        places: first_places(facts.calls(&calls), 3),
    });
    suspect.pods = facts
        .calls(&calls)
        .filter_map(|c| c.destination_pod.clone())
        .collect();
    suspect.rows.insert(&rule.id, calls);
    suspect
}
