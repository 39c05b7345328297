//! What a page sums a chosen window from: over all of the time it is what the report says.

use crate::running::case_input;
use postmesh::Options;
use postmesh::report::model::{HistogramBucket, WindowMoment};
use std::collections::BTreeMap;

/// Incidents of all outcomes: good, failed, denied, canceled, flagged, with several callers, with captures.
const CASES: [&str; 6] = [
    "two-faults",
    "rbac-denied",
    "circuit-breaker-overflow",
    "refused-app-port-mismatch",
    "slow-upstream-app-joined",
    "grpc-backend-refused",
];

fn sum(moments: &[WindowMoment], of: impl Fn(&WindowMoment) -> u64) -> u64 {
    moments.iter().map(of).sum()
}

/// Requests by bound of their duration, bounds as whole milliseconds.
fn histogram<'r>(buckets: impl IntoIterator<Item = &'r HistogramBucket>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for bucket in buckets {
        *counts.entry(bucket.le.to_string()).or_default() += bucket.count;
    }
    counts
}

#[test]
fn all_moments_together_are_the_figures_of_the_whole_time() {
    for case in CASES {
        let report = postmesh::analyze(&Options {
            paths: vec![case_input(case)],
            over_time: true,
            ..Options::default()
        })
        .unwrap();
        let destinations = &report.requests.by_destination;
        assert_eq!(
            report.over_time.by_destination.len(),
            destinations.len(),
            "{case}"
        );
        for (row, moments) in destinations.iter().zip(&report.over_time.by_destination) {
            let of = format!("{case}: {} seen by {}", row.name, row.reporter);
            assert!(
                moments.windows(2).all(|pair| pair[0].start_s < pair[1].start_s),
                "{of}"
            );
            let counts = [
                (row.requests, sum(moments, |moment| moment.requests)),
                (row.failed, sum(moments, |moment| moment.failed)),
                (row.denied, sum(moments, |moment| moment.denied)),
                (row.canceled, sum(moments, |moment| moment.canceled)),
            ];
            for (whole, summed) in counts {
                assert_eq!(whole, summed, "{of}");
            }
            let mut flags = BTreeMap::new();
            for (flag, count) in moments.iter().flat_map(|moment| &moment.flags) {
                *flags.entry(flag.clone()).or_default() += *count;
            }
            assert_eq!(flags, row.flags, "{of}");
            let spreads: [(&str, fn(&WindowMoment) -> &Vec<HistogramBucket>); 2] = [
                ("ok", |moment| &moment.ok),
                ("failed", |moment| &moment.failed_durations),
            ];
            for (outcome, spread) in spreads {
                let latency = report.latency.iter().find(|latency| {
                    latency.scope.kind == "destination"
                        && latency.scope.name == row.name
                        && latency.reporter == row.reporter
                        && latency.metric == "duration"
                        && latency.outcome == outcome
                });
                let whole = histogram(latency.into_iter().flat_map(|latency| &latency.histogram));
                assert_eq!(
                    histogram(moments.iter().flat_map(spread)),
                    whole,
                    "{of}, {outcome}"
                );
            }
        }
        let edges = &report.topology.edges;
        assert_eq!(report.over_time.edges.len(), edges.len(), "{case}");
        for (edge, moments) in edges.iter().zip(&report.over_time.edges) {
            assert_eq!(
                (edge.requests, edge.failed),
                (
                    sum(moments, |moment| moment.requests),
                    sum(moments, |moment| moment.failed)
                ),
                "{case}: {} to {}",
                edge.source,
                edge.destination
            );
        }
        // What no page asked for is not made.
        let plain = postmesh::analyze(&Options {
            paths: vec![case_input(case)],
            ..Options::default()
        });
        assert!(plain.unwrap().over_time.by_destination.is_empty(), "{case}");
    }
}
