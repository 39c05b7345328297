//! One request leaves a row at the caller's proxy and one at the called one: of each hop, one reporter counts.

use super::{Call, Hop};
use crate::aggregate::class::Reporter;
use crate::aggregate::flags::Outcome;
use std::collections::{BTreeMap, BTreeSet};

/// Settles what the two sides of a hop tell of each other.
pub fn settle(calls: &mut [Call<'_>], hops: &mut [Hop<'_>]) {
    count_once(calls, hops);
    attribute_denials(calls);
}

/// Marks the calls and hops that count as requests: HTTP rows of the caller's proxy; those of the called proxy
/// only where the caller's rows of that hop (caller and called service) were not read.
fn count_once(calls: &mut [Call<'_>], hops: &mut [Hop<'_>]) {
    let reported: BTreeSet<(String, String)> = hops
        .iter()
        .filter(|hop| hop.reporter == Reporter::Source)
        .map(|hop| (hop.source.clone(), hop.destination.clone()))
        .collect();
    for call in calls {
        let own = call.key.reporter == Reporter::Source;
        let hop = (call.source.clone(), call.destination.clone());
        call.counted = !call.key.tcp && (own || !reported.contains(&hop));
    }
    for hop in hops {
        let own = hop.reporter == Reporter::Source;
        hop.counted = own || !reported.contains(&(hop.source.clone(), hop.destination.clone()));
    }
}

/// Marks the caller's rows whose refusal the called proxy made and not its application: most rows with that
/// status at the called proxy say so.
fn attribute_denials(calls: &mut [Call<'_>]) {
    let mut called: BTreeMap<(String, u16), (u64, u64)> = BTreeMap::new();
    for call in calls.iter().filter(|call| !call.is_source()) {
        let (denied, all) = called
            .entry((call.destination.clone(), call.key.code))
            .or_default();
        *all += call.count();
        if call.outcome() == Outcome::Denied {
            *denied += call.count();
        }
    }
    called.retain(|_, (denied, all)| *denied * 2 > *all);
    for call in calls {
        call.denied_by_called = call.is_source()
            && call.outcome() == Outcome::Ok
            && called.contains_key(&(call.destination.clone(), call.key.code));
    }
}
