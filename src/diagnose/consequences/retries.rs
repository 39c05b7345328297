//! Retries that ran out.

use super::by_destination;
use crate::correlate::Call;
use crate::diagnose::answer::EvidenceKind;
use crate::diagnose::measure::{Facts, Measured, first_places};
use crate::diagnose::resets::ratio;
use crate::diagnose::suspects::{Suspect, Suspects};

/// Retries that ran out against statuses that nothing but the application made.
pub(super) fn suspect_exhausted(suspects: &mut Suspects<'_>, facts: &Facts<'_>) {
    let exhausted = suspects.answered.iter().copied();
    let exhausted = exhausted.filter(|&i| facts.call(i).is_some_and(|c| c.key.has_flag("URX")));
    for (destination, calls) in by_destination(facts, exhausted) {
        let answer = |c: &Call<'_>| !c.is_source() && c.destination == destination && c.key.code >= 500;
        let called: Vec<usize> = suspects
            .answered
            .iter()
            .copied()
            .filter(|&i| facts.call(i).is_some_and(answer))
            .collect();
        let suspect = exhausted_at(facts, &destination, &calls, &called);
        suspects
            .answered
            .retain(|i| !calls.contains(i) && !called.contains(i));
        suspects.add(suspect);
    }
}

/// The suspect of one destination: rows with URX, and the called proxy's rows of the attempts.
fn exhausted_at<'f>(facts: &Facts<'_>, destination: &str, calls: &[usize], called: &[usize]) -> Suspect<'f> {
    let mut suspect = Suspect::new("retries-exhausted", destination, 0.92);
    if called.is_empty() {
        let made_by_application = not_of_a_proxy(facts, destination, calls);
        suspect.confidence = if made_by_application.is_some() { 0.65 } else { 0.4 };
        suspect.remark = made_by_application.is_none();
        suspect.measured.push(absence(facts, destination));
        suspect.measured.extend(made_by_application);
    } else {
        suspect.measured.push(attempts(facts, calls, called));
    }
    suspect.pods = facts.calls(called).map(|c| c.key.proxy().to_owned()).collect();
    suspect.rows.insert("retries-ran-out", calls.to_vec());
    suspect.carried.extend(called);
    suspect
}

/// None of these errors is as long as a body that Envoy writes, and the called proxy's log was not read: the
/// application made them. Of gRPC, whose errors have no body, that cannot be said.
fn not_of_a_proxy(facts: &Facts<'_>, destination: &str, calls: &[usize]) -> Option<Measured> {
    let recorded = facts.is_called_side_read(destination);
    let all = facts
        .calls(calls)
        .all(|c| c.key.code >= 500 && c.key.proxy_body == 0);
    (all && !recorded).then(|| Measured {
        name: "no-proxy-body",
        kind: EvidenceKind::Statistic,
        text: format!(
            "no body of these answers of {destination} is as long as one that Envoy writes itself: the application made them"
        ),
        count: facts.calls(calls).map(Call::count).sum(),
        strength: 0.6,
        frames: Vec::new(),
        places: first_places(facts.calls(calls), 3),
    })
}

fn absence(facts: &Facts<'_>, destination: &str) -> Measured {
    let recorded = facts.is_called_side_read(destination);
    let text = if recorded {
        "the called proxy's log shows no failure: the status may have been made by another pod of the service"
    } else {
        "the called proxy's log was not read, so whether the application or its proxy made the status is open"
    };
    Measured {
        name: "called-side",
        kind: EvidenceKind::Absence,
        text: text.to_owned(),
        count: 0,
        strength: 0.4,
        frames: Vec::new(),
        places: Vec::new(),
    }
}

fn attempts(facts: &Facts<'_>, calls: &[usize], called: &[usize]) -> Measured {
    let requests: u64 = facts.calls(calls).map(Call::count).sum();
    let rows: u64 = facts.calls(called).map(Call::count).sum();
    Measured {
        name: "attempts",
        kind: EvidenceKind::Join,
        text: format!(
            "the called proxy shows {rows} answers of the application with status 5xx for these {requests} requests ({:.1} attempts each)",
            ratio(rows, requests)
        ),
        count: rows,
        strength: 0.9,
        frames: Vec::new(),
        places: first_places(facts.calls(called), 3),
    }
}
