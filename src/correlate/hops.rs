//! One request leaves a row at the caller's proxy and one at the called one: of each hop, one reporter counts.

use super::Call;
use crate::aggregate::class::Reporter;
use std::collections::BTreeSet;

/// Marks the calls that count as requests: HTTP rows of the caller's proxy; those of the called proxy only
/// where the caller's rows of that hop (caller and called service) were not read.
pub fn settle(calls: &mut [Call<'_>]) {
    let reported: BTreeSet<(String, String)> = calls
        .iter()
        .filter(|call| call.key.reporter == Reporter::Source && !call.key.tcp)
        .map(|call| (call.source.clone(), call.destination.clone()))
        .collect();
    for call in calls {
        let own = call.key.reporter == Reporter::Source;
        let hop = (call.source.clone(), call.destination.clone());
        call.counted = !call.key.tcp && (own || !reported.contains(&hop));
    }
}
