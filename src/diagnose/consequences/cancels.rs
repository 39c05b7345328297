//! Callers that went away: part of a fault, a change by itself, or a habit.

use super::{by_destination, keys_where, overlaps};
use crate::aggregate::samples::Samples;
use crate::correlate::Call;
use crate::diagnose::answer::EvidenceKind;
use crate::diagnose::measure::{Facts, Measured, first_places};
use crate::diagnose::suspects::{Suspect, Suspects};

/// Callers that give up on a destination that fails are part of its fault.
pub(super) fn carry(suspects: &mut Suspects<'_>, facts: &Facts<'_>) {
    let large = |s: &Suspect<'_>| s.count(facts) >= facts.thresholds().min_failures;
    for key in keys_where(suspects, |_, s| !s.remark && large(s)) {
        let Some(span) = suspects.list.get(&key).and_then(|s| s.span(facts)) else {
            continue;
        };
        let meanwhile = |c: &Call<'_>| c.destination == key.1 && overlaps(c, span);
        let explained: Vec<usize> = suspects
            .cancels
            .iter()
            .copied()
            .filter(|&i| facts.call(i).is_some_and(meanwhile))
            .collect();
        suspects.cancels.retain(|i| !explained.contains(i));
        if let Some(suspect) = suspects.list.get_mut(&key) {
            suspect.carried.extend(explained);
        }
    }
}

/// How sure it is where no row of a caller's proxy was read.
const CALLED_SIDE_ALONE: f64 = 0.45;

/// Cancels that are a change and not the callers' habit: they began within the data, and at about the same age
/// of the request.
pub(super) fn suspect_leaving_clients(suspects: &mut Suspects<'_>, facts: &Facts<'_>) {
    let destinations = by_destination(facts, suspects.cancels.iter().copied());
    for (destination, calls) in destinations {
        let caller_side = facts.calls(&calls).any(Call::is_source);
        let (own, other): (Vec<usize>, Vec<usize>) = calls
            .iter()
            .copied()
            .partition(|&i| facts.call(i).is_some_and(|c| c.is_source() == caller_side));
        let Some(measured) = cancels_changed(facts, &destination, &own) else {
            continue;
        };
        // The called side alone cannot tell a caller that hung up from the route's timeout at the caller's proxy.
        let confidence = if caller_side { 0.8 } else { CALLED_SIDE_ALONE };
        let mut suspect = Suspect::new("client-disconnect", &destination, confidence);
        suspect.remark = !caller_side;
        suspect.rows.insert("callers-left", own);
        suspect.carried.extend(other);
        suspect.measured.push(measured);
        suspects.cancels.retain(|i| !calls.contains(i));
        suspects.add(suspect);
    }
}

fn cancels_changed(facts: &Facts<'_>, destination: &str, calls: &[usize]) -> Option<Measured> {
    let thresholds = facts.thresholds();
    let count: u64 = facts.calls(calls).map(Call::count).sum();
    let first = facts.calls(calls).filter_map(|c| c.group.first).min()?;
    let changed = facts.is_change(destination, calls);
    let (low, mid, high) = quartiles(facts, calls);
    let clustered = high - low <= (mid * thresholds.cluster_spread).max(5.0);
    let before = facts
        .requests_between(destination, i64::MIN, first.secs() - 1)
        .requests;
    (changed && clustered && before > 0).then(|| Measured {
        name: "cancels-changed",
        kind: EvidenceKind::Statistic,
        text: format!("callers of {destination} began to hang up after about {mid:.0} ms (middle half {low:.0} to {high:.0} ms): {count} times from {first} on, never before"),
        count,
        strength: 0.8,
        frames: Vec::new(),
        places: first_places(facts.calls(calls), 3),
    })
}

fn quartiles(facts: &Facts<'_>, calls: &[usize]) -> (f64, f64, f64) {
    let mut all = Samples::default();
    facts.calls(calls).for_each(|c| all.merge_ref(&c.group.duration));
    let slots = all.to_slots();
    let at = |share| as_f64(slots.quantile_ms(share));
    (at(0.25), at(0.5), at(0.75))
}

fn as_f64(value: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "spans and durations in ms are far below 2^52"
    )]
    let value = value as f64;
    value
}
