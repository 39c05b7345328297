//! Comparisons of reports made for it.

use super::*;
use crate::report::fixtures;

fn figures(report: &crate::Report) -> Figures {
    Figures::of(report).unwrap()
}

fn diff(before: &Figures, after: &Figures) -> Diff {
    compare(("before", before), ("after", after)).unwrap()
}

/// One destination, so many requests of which so many failed, and durations by bucket.
fn made(requests: u64, failed: u64, buckets: &[(f64, u64)]) -> Figures {
    let count = buckets
        .iter()
        .fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
    let at = |quantile: f64| {
        let mut below = 0;
        let rank = statistics::rank(quantile, count);
        buckets
            .iter()
            .find(|(_, n)| {
                below = u64::saturating_add(below, *n);
                below >= rank
            })
            .map_or(0.0, |(le, _)| *le)
    };
    let latency = figures::Latency {
        reporter: "source".into(),
        metric: "duration".into(),
        outcome: "ok".into(),
        count,
        p50: at(0.5),
        p75: at(0.75),
        p90: at(0.9),
        p95: at(0.95),
        p99: at(0.99),
        p999: at(0.999),
        max: at(1.0),
        resolution_ms: 1.0,
        histogram: buckets
            .iter()
            .map(|&(le, count)| figures::Bucket { le, count })
            .collect(),
        ..figures::Latency::default()
    };
    Figures {
        requests: Requests {
            rows: requests,
            by_destination: vec![Breakdown {
                name: "ratings".into(),
                reporter: "source".into(),
                requests,
                failed,
                latency: (count > 0).then_some(latency),
                ..Breakdown::default()
            }],
            ..Requests::default()
        },
        ..Figures::default()
    }
}

#[test]
fn the_committed_schema_is_that_of_the_types() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/diff.schema.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == schema_text().unwrap(),
        "diff.schema.json is not that of the types: cargo run -- schema diff > diff.schema.json"
    );
}

#[test]
fn a_report_does_not_differ_from_itself() {
    for report in [
        fixtures::refused(),
        fixtures::healthy(),
        fixtures::symptoms_only(),
        fixtures::not_enough(),
    ] {
        let figures = figures(&report);
        let diff = diff(&figures, &figures);
        assert!(diff.changes.is_empty(), "{:?}", diff.changes);
        assert!(matches!(diff.outcome, Outcome::NoChange | Outcome::TooLittle));
    }
}

#[test]
fn a_saved_report_is_read_as_it_was() {
    let report = fixtures::refused();
    let mut saved = Vec::new();
    crate::report::json::render(&report, &mut saved).unwrap();
    let read = Figures::saved(&saved[..]).unwrap();
    assert!(diff(&figures(&report), &read).changes.is_empty());
    assert_eq!(read.requests.rows, report.requests.rows);
    for text in [
        "",
        "[]",
        "{}",
        "{\"schema\": \"postmesh.diff/1\"}",
        "{\"findings\": 3}",
    ] {
        assert!(Figures::saved(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn new_findings_are_worse_and_gone_ones_better() {
    let (healthy, refused) = (figures(&fixtures::healthy()), figures(&fixtures::refused()));
    let worse = diff(&healthy, &refused);
    assert_eq!(worse.outcome, Outcome::Worse);
    let first = &worse.changes[0];
    assert_eq!(
        (first.kind, first.status, first.direction),
        (Kind::Finding, Status::New, Direction::Worse)
    );
    let better = diff(&refused, &healthy);
    let gone = &better.changes[0];
    assert_eq!(
        (gone.kind, gone.status, gone.direction),
        (Kind::Finding, Status::Gone, Direction::Better)
    );
}

#[test]
fn nothing_is_called_below_the_floor_or_within_chance() {
    for (before, after) in [
        // 19 requests a side, all of which fail after.
        (made(19, 0, &[]), made(19, 19, &[])),
        (made(10_000, 0, &[]), made(19, 19, &[])),
        // One of 30.
        (made(30, 0, &[]), made(30, 1, &[])),
        // Beyond chance but too small to matter.
        (
            made(100_000_000, 1_000_000, &[]),
            made(100_000_000, 1_050_000, &[]),
        ),
    ] {
        let diff = diff(&before, &after);
        assert!(diff.changes.is_empty(), "{:?}", diff.changes);
    }
    assert_eq!(
        diff(&made(19, 0, &[]), &made(19, 19, &[])).outcome,
        Outcome::TooLittle
    );
    let few = diff(&made(10_000, 0, &[]), &made(19, 19, &[]));
    assert_eq!((few.too_few_count, few.too_few[0].after), (1, 19));
}

#[test]
fn failure_shares_have_bounds_on_difference_and_ratio() {
    let diff = diff(&made(1000, 10, &[]), &made(1000, 100, &[]));
    let [change] = &diff.changes[..] else {
        panic!("{:?}", diff.changes)
    };
    assert_eq!(
        (change.metric, change.status, change.direction),
        (Metric::FailedShare, Status::More, Direction::Worse)
    );
    let (difference, ratio) = (change.difference.unwrap(), change.ratio.unwrap());
    assert!((difference.value.unwrap() - 0.09).abs() < 1e-9);
    assert!(
        difference.low.unwrap() > 0.05 && difference.high.unwrap() < 0.12,
        "{difference:?}"
    );
    assert!(
        (ratio.value.unwrap() - 10.0).abs() < 1e-9 && ratio.low.unwrap() > 4.0,
        "{ratio:?}"
    );
    assert!((change.impact - 90.0).abs() < 1e-6);
}

#[test]
fn slower_as_a_whole_and_in_the_tail() {
    let usual = [(4.0, 300), (8.0, 600), (16.0, 100)];
    let whole = diff(
        &made(1000, 0, &usual),
        &made(1000, 0, &[(4.0, 50), (8.0, 250), (16.0, 600), (32.0, 100)]),
    );
    let [change] = &whole.changes[..] else {
        panic!("{:?}", whole.changes)
    };
    assert_eq!((change.metric, change.status), (Metric::Latency, Status::Slower));
    assert!(change.slower_probability.unwrap().low.unwrap() > 0.6);
    assert_eq!(change.quantiles.len(), 3);
    let tail = diff(
        &made(1000, 0, &usual),
        &made(1000, 0, &[(4.0, 290), (8.0, 580), (16.0, 90), (1024.0, 40)]),
    );
    let [change] = &tail.changes[..] else {
        panic!("{:?}", tail.changes)
    };
    assert_eq!(change.status, Status::Slower);
    let over = change.share_over.unwrap();
    assert!(
        (over.after - 0.04).abs() < 1e-9 && over.difference.low.unwrap() > 0.0,
        "{over:?}"
    );
    let same = diff(
        &made(1000, 0, &usual),
        &made(1000, 0, &[(4.0, 290), (8.0, 605), (16.0, 105)]),
    );
    assert!(same.changes.is_empty(), "{:?}", same.changes);
}

#[test]
fn the_other_way_round_is_the_opposite() {
    let pairs = [
        (made(1000, 10, &[(8.0, 990)]), made(900, 90, &[(64.0, 810)])),
        (figures(&fixtures::healthy()), figures(&fixtures::refused())),
    ];
    for (one, other) in pairs {
        let key = |change: &Change, turn: bool| {
            let direction = match (change.direction, turn) {
                (Direction::Worse, true) => Direction::Better,
                (Direction::Better, true) => Direction::Worse,
                (direction, _) => direction,
            };
            (
                change.kind,
                change.metric,
                change.id.clone(),
                change.reporter.clone(),
                direction,
            )
        };
        let mut forth: Vec<_> = diff(&one, &other).changes.iter().map(|c| key(c, false)).collect();
        let mut back: Vec<_> = diff(&other, &one).changes.iter().map(|c| key(c, true)).collect();
        forth.sort();
        back.sort();
        assert!(!forth.is_empty());
        assert_eq!(forth, back);
    }
}

#[test]
fn figures_that_lie_do_no_harm() {
    let wrong = made(
        u64::MAX,
        u64::MAX,
        &[(f64::MAX, u64::MAX), (-1.0, 5), (f64::INFINITY, 1)],
    );
    let mut nan = made(100, 200, &[(8.0, 100)]);
    nan.requests.by_destination[0].latency.as_mut().unwrap().p50 = f64::NAN;
    for (one, other) in [(&wrong, &nan), (&nan, &wrong), (&wrong, &wrong)] {
        let diff = diff(one, other);
        crate::report::json::write_document(&diff, &mut Vec::new()).unwrap();
    }
}
