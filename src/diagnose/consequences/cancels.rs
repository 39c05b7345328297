//! Callers that went away: part of a fault, a change by itself, or a habit.

use super::{by_destination, keys_where, overlaps};
use crate::aggregate::samples::Samples;
use crate::correlate::Call;
use crate::diagnose::answer::EvidenceKind;
use crate::diagnose::measure::{Facts, Measured, first_places};
use crate::diagnose::suspects::{Suspect, Suspects};
use crate::units::Timestamp;

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
        let mut suspect = Suspect::new("client-disconnect", &destination, 0.8);
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
    let last = facts.calls(calls).filter_map(|c| c.group.last).max()?;
    let began = facts.calls_to(destination).filter_map(|c| c.group.first).min()?;
    let ended = facts.calls_to(destination).filter_map(|c| c.group.last).max()?;
    if count < thresholds.onset_failures {
        return None;
    }
    let gap_ms = as_ms(last, first) / as_f64(count - 1);
    let changed = as_ms(first, began) > thresholds.rate_change_gaps * gap_ms.max(1.0)
        || as_ms(ended, last) > thresholds.rate_change_gaps * gap_ms.max(1.0);
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

/// Milliseconds from `from` to `to`.
fn as_ms(to: Timestamp, from: Timestamp) -> f64 {
    as_f64(u64::try_from(to.millis_since(from)).unwrap_or(0))
}

fn as_f64(value: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "spans and durations in ms are far below 2^52"
    )]
    let value = value as f64;
    value
}
