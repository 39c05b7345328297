//! One request leaves a row at the caller's proxy and one at the called one: of each hop, one reporter counts.

use super::{Call, Hop};
use crate::aggregate::class::Reporter;
use std::collections::BTreeSet;

/// Marks the calls and hops that count as requests: HTTP rows of the caller's proxy; those of the called proxy
/// only where the caller's rows of that hop (caller and called service) were not read.
pub fn settle(calls: &mut [Call<'_>], hops: &mut [Hop<'_>]) {
    let of_calls = calls
        .iter()
        .filter(|call| call.key.reporter == Reporter::Source && !call.key.tcp)
        .map(|call| (call.source.clone(), call.destination.clone()));
    let of_hops = hops
        .iter()
        .filter(|hop| hop.reporter == Reporter::Source)
        .map(|hop| (hop.source.clone(), hop.destination.clone()));
    let reported: BTreeSet<(String, String)> = of_calls.chain(of_hops).collect();
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
