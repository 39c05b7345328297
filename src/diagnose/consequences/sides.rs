//! Both sides of a hop: what the called proxy's rows show explains what its callers saw.

use super::{Key, keys_where, overlaps};
use crate::correlate::Call;
use crate::diagnose::measure::Facts;
use crate::diagnose::suspects::{Suspect, Suspects};
use std::collections::BTreeSet;

/// What the called proxy's own rows show explains what its callers saw.
pub(super) fn carry_to_called_side(suspects: &mut Suspects<'_>, facts: &Facts<'_>) {
    let called = keys_where(suspects, |_, s| own(s, facts).any(|c| !c.is_source()));
    for key in called {
        let mut explained = answers(suspects, facts, &key);
        suspects.answered.retain(|i| !explained.contains(i));
        for other in other_side(suspects, facts, &key) {
            explained.extend(suspects.list.remove(&other).iter().flat_map(Suspect::own_calls));
        }
        if let Some(suspect) = suspects.list.get_mut(&key) {
            suspect.carried.extend(explained);
        }
    }
}

fn own<'a>(suspect: &'a Suspect<'_>, facts: &'a Facts<'_>) -> impl Iterator<Item = &'a Call<'a>> {
    suspect.own_calls().filter_map(|i| facts.call(i))
}

/// Callers' rows that got, at the same time, a status that the called proxy made.
fn answers(suspects: &Suspects<'_>, facts: &Facts<'_>, key: &Key) -> BTreeSet<usize> {
    let Some(suspect) = suspects.list.get(key) else {
        return BTreeSet::new();
    };
    let Some(span) = suspect.span(facts) else {
        return BTreeSet::new();
    };
    let made: BTreeSet<u16> = own(suspect, facts)
        .filter(|c| !c.is_source())
        .map(|c| c.key.code)
        .collect();
    let seen = |call: &Call<'_>| {
        call.is_source() && call.destination == key.1 && made.contains(&call.key.code) && overlaps(call, span)
    };
    let answered = suspects.answered.iter().copied();
    answered.filter(|&i| facts.call(i).is_some_and(seen)).collect()
}

/// Suspects that are this one as the callers saw it.
fn other_side(suspects: &Suspects<'_>, facts: &Facts<'_>, key: &Key) -> Vec<Key> {
    let causes: BTreeSet<&String> = facts.rules.carried.iter().flat_map(|c| &c.causes).collect();
    keys_where(suspects, |other, s| {
        other != key && other.1 == key.1 && causes.contains(&other.0) && own(s, facts).all(Call::is_source)
    })
}
