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

type Spread = fn(&WindowMoment) -> &Vec<HistogramBucket>;

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
            let spreads: [(&str, Spread); 2] = [
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
        let spent = &report.correlation.by_destination;
        assert_eq!(report.over_time.spent.len(), spent.len(), "{case}");
        for (listed, moments) in spent.iter().zip(&report.over_time.spent) {
            for (part, quantiles) in &listed.time_spent_ms {
                let parts = moments
                    .iter()
                    .filter_map(|moment| moment.parts.get(part.as_str()));
                let (requests, sum_us) = parts.fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
                assert_eq!(requests, quantiles.count, "{case}: {part} of {}", listed.name);
                let most_us = f64::from(u32::try_from(requests).unwrap()) * quantiles.max * 1000.0;
                assert!(f64::from(u32::try_from(sum_us).unwrap()) <= most_us + 0.5);
            }
        }
        // What no page asked for is not made.
        let plain = postmesh::analyze(&Options {
            paths: vec![case_input(case)],
            ..Options::default()
        });
        assert!(plain.unwrap().over_time.by_destination.is_empty(), "{case}");
    }
}
