//! Connections that nobody takes because a proxy is not ready yet: they end for good when it says that it is.

use super::answer::EvidenceKind;
use super::measure::{Facts, Measured, some};
use super::suspects::{LineEvidence, Suspect, Suspects};
use crate::aggregate::address;
use crate::aggregate::flags::Outcome;
use crate::correlate::Call;
use crate::units::{Place, Timestamp};
use std::collections::BTreeSet;

const CAUSE: &str = "sidecar-startup-race";

/// The measurement.
const NAME: &str = "ends-when-ready";

/// How sure it is where the application says so and its proxy says when it was ready.
const CONFIDENCE: f64 = 0.85;

/// Fewer refusals are one attempt too early, which every start has.
const MIN_REFUSED: u64 = 3;

/// Adds suspects for applications that were refused until their own proxy was ready.
pub(super) fn suspect<'f>(suspects: &mut Suspects<'f>, facts: &'f Facts<'f>) {
    let rules = facts.rules;
    let pods: BTreeSet<&String> = facts
        .incident
        .totals
        .hits
        .iter()
        .map(|(key, _)| &key.proxy)
        .collect();
    for pod in pods {
        let refused = facts.lines_of(&rules.refused_to_application, pod);
        for hits in refused.filter(|hits| hits.count >= MIN_REFUSED) {
            let (Some(first), Some(last)) = (hits.first, hits.last) else {
                continue;
            };
            let Some(ready) = ready_after(facts, pod, first, last) else {
                continue;
            };
            let mut suspect = Suspect::new(CAUSE, address::workload(pod), CONFIDENCE);
            suspect.source = Some(address::workload(pod).to_owned());
            suspect.pods.insert(pod.clone());
            let signature = rules.refused_to_application.first().cloned().unwrap_or_default();
            suspect.lines.push(LineEvidence {
                signature,
                proxy: pod.clone(),
                hits,
            });
            suspect.window = Some((first, ready));
            let measured = became_ready(facts, pod, ready);
            suspect.disproved.extend(disproves(&measured));
            suspect.measured.push(measured);
            suspects.add(suspect);
        }
    }
}

/// When the proxy of a pod became ready, if that was after all of these failures and soon enough: what is refused later has
/// another reason, and so has what began long before.
fn ready_after(facts: &Facts<'_>, pod: &str, first: Timestamp, last: Timestamp) -> Option<Timestamp> {
    let within_s = facts.thresholds().startup_s;
    let seconds = facts
        .lines_of(&facts.rules.became_ready, pod)
        .flat_map(|hits| hits.series.iter().map(|(second, _)| second));
    // An attempt may fail in the second in which the proxy becomes ready.
    seconds
        .filter(|second| *second >= last.secs() && second - first.secs() <= within_s)
        .min()
        .map(Timestamp::from_secs)
}

fn became_ready(facts: &Facts<'_>, pod: &str, ready: Timestamp) -> Measured {
    let places: BTreeSet<Place> = facts
        .lines_of(&facts.rules.became_ready, pod)
        .flat_map(|hits| hits.examples.keys().copied())
        .collect();
    Measured {
        name: NAME,
        kind: EvidenceKind::Join,
        text: format!("the proxy of {pod} became ready at {ready}, and nothing was refused after it"),
        count: 1,
        strength: 0.8,
        frames: Vec::new(),
        places: places.into_iter().take(3).collect(),
    }
}

/// What is over when a proxy is ready is no application that does not listen.
pub(super) fn disproves(measured: &Measured) -> Option<(String, String)> {
    (measured.name == NAME).then(|| {
        let because = measured.text.clone();
        ("upstream-connection-refused".to_owned(), because)
    })
}

/// For rows of callers: the proxies of all pods that they called became ready when the failures ended, and nobody had got
/// an answer there before: a proxy that had served is one that was started again.
pub(super) fn ends_when_ready(facts: &Facts<'_>, calls: &[usize]) -> Option<Measured> {
    let mut pods = BTreeSet::new();
    let mut found = None;
    for call in facts.calls(calls) {
        let pod = call.destination_pod.as_deref()?;
        let (first, last) = (call.group.first?, call.group.last?);
        if had_answered(facts, &call.key.host, first) {
            return None;
        }
        let ready = ready_after(facts, pod, first, last)?;
        pods.insert(pod.to_owned());
        found = Some(became_ready(facts, pod, ready));
    }
    let pods: Vec<String> = pods.into_iter().collect();
    found.map(|measured| Measured {
        text: format!(
            "the failures end when the proxy of {} says that it is ready",
            some(&pods, 2)
        ),
        ..measured
    })
}

fn had_answered(facts: &Facts<'_>, host: &str, before: Timestamp) -> bool {
    let at = |call: &&Call<'_>| call.key.host == host && call.outcome() == Outcome::Ok;
    let mut good = facts.incident.calls.iter().filter(at);
    good.any(|call| call.group.first.is_some_and(|first| first < before))
}
