//! Latency figures against exact ones.
//!
//! The exact percentile is by nearest rank, which is also HdrHistogram's definition: the smallest value such that at
//! least the asked share of the samples is at or below it. With three significant digits the figure may lie up to one
//! in a thousand above or below.

use crate::rows::Call;
use crate::running::{Scratch, case_input, list, text};
use serde_json::Value;

/// Ten-thousandths of the samples, with the member of the report.
const PERCENTILES: [(usize, &str); 6] = [
    (5000, "p50"),
    (7500, "p75"),
    (9000, "p90"),
    (9500, "p95"),
    (9900, "p99"),
    (9990, "p999"),
];

fn nearest_rank(sorted: &[u64], ten_thousandths: usize) -> u64 {
    let rank = (sorted.len() * ten_thousandths).div_ceil(10_000).max(1);
    sorted[rank - 1]
}

fn is_close(found: f64, exact: u64) -> bool {
    let exact = f64::from(u32::try_from(exact).unwrap());
    (found - exact).abs() <= exact * 0.001
}

/// The latency entry of a scope, as the callers' proxies have it.
fn entry<'a>(report: &'a Value, kind: &str, name: &str, metric: &str, outcome: &str) -> &'a Value {
    let wanted = |entry: &&Value| {
        text(entry, "/scope/kind") == kind
            && text(entry, "/scope/name").split(['.', ':']).next() == Some(name)
            && text(entry, "/reporter") == "source"
            && text(entry, "/metric") == metric
            && text(entry, "/outcome") == outcome
    };
    match list(report, "/latency").iter().find(wanted) {
        Some(entry) => entry,
        None => panic!("no latency of {kind} {name:?}, {metric}, {outcome}"),
    }
}

fn assert_exact(entry: &Value, mut samples: Vec<u64>) {
    samples.sort_unstable();
    let scope = &entry["scope"];
    assert_eq!(
        entry["count"].as_u64(),
        u64::try_from(samples.len()).ok(),
        "count of {scope}"
    );
    for (share, member) in PERCENTILES {
        let (found, exact) = (entry[member].as_f64().unwrap(), nearest_rank(&samples, share));
        assert!(is_close(found, exact), "{member} of {scope}: {found} for {exact}");
    }
    for (member, exact) in [("min", samples[0]), ("max", samples[samples.len() - 1])] {
        let found = entry[member].as_f64().unwrap();
        assert!(is_close(found, exact), "{member} of {scope}: {found} for {exact}");
    }
    let exact_mean = samples.iter().sum::<u64>() / u64::try_from(samples.len()).unwrap();
    let found = entry["mean"].as_f64().unwrap();
    let exact_mean = f64::from(u32::try_from(exact_mean).unwrap());
    assert!(
        (found - exact_mean).abs() <= exact_mean * 0.001 + 1.0,
        "mean of {scope}: {found} for {exact_mean}"
    );
    assert_histogram(entry, &samples);
}

/// The buckets hold every sample once, each at or below its bound and above the bound before.
fn assert_histogram(entry: &Value, sorted: &[u64]) {
    let mut below = 0;
    for bucket in list(entry, "/histogram") {
        if bucket["count"] == 0 {
            continue;
        }
        below += usize::try_from(bucket["count"].as_u64().unwrap()).unwrap();
        let bound = bucket["le"].as_f64().unwrap();
        let greatest = f64::from(u32::try_from(sorted[below - 1]).unwrap());
        assert!(
            greatest <= bound * 1.001,
            "a sample of {greatest} in the bucket up to {bound} of {}",
            entry["scope"]
        );
        if let Some(next) = sorted.get(below) {
            let next = f64::from(u32::try_from(*next).unwrap());
            assert!(
                next >= bound * 0.999,
                "a sample of {next} above the bucket up to {bound} of {}",
                entry["scope"]
            );
        }
    }
    assert_eq!(
        below,
        sorted.len(),
        "samples in the histogram of {}",
        entry["scope"]
    );
}

/// A long tail: from 1 ms to about an hour, from a multiplicative sequence (no chance in it).
fn long_tail(count: u64) -> Vec<u64> {
    let spread = |i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    (0..count)
        .map(|i| 1 + (spread(i) % 97) * (1 << (spread(i + count) % 16)))
        .collect()
}

#[test]
fn a_long_tail_of_good_calls() {
    let durations = long_tail(5000);
    let mut log = String::new();
    for (i, duration_ms) in (0..).zip(&durations) {
        let upstream_ms = duration_ms - duration_ms / 4;
        Call {
            at_ms: i,
            duration_ms: *duration_ms,
            upstream_ms,
            ..Call::default()
        }
        .write(&mut log);
    }
    let report = Scratch::with("proxy.log", &log).report();
    assert_exact(
        entry(&report, "destination", "ratings", "duration", "ok"),
        durations.clone(),
    );
    assert_exact(entry(&report, "all", "", "duration", "all"), durations.clone());
    assert_exact(
        entry(&report, "all", "", "upstream", "all"),
        durations.iter().map(|d| d - d / 4).collect(),
    );
    assert_exact(
        entry(&report, "all", "", "overhead", "all"),
        durations.iter().map(|d| d / 4).collect(),
    );
}

#[test]
fn failed_calls_stand_apart() {
    let (mut log, mut good, mut failed) = (String::new(), Vec::new(), Vec::new());
    for (i, duration_ms) in (0..).zip(long_tail(3000)) {
        let fails = i % 5 == 0;
        let call = Call {
            at_ms: i,
            duration_ms,
            upstream_ms: duration_ms,
            ..Call::default()
        };
        if fails {
            failed.push(duration_ms);
            Call {
                code: 504,
                flags: "UT",
                details: "response_timeout",
                ..call
            }
            .write(&mut log);
        } else {
            good.push(duration_ms);
            call.write(&mut log);
        }
    }
    let report = Scratch::with("proxy.log", &log).report();
    assert_exact(entry(&report, "all", "", "duration", "ok"), good.clone());
    assert_exact(entry(&report, "all", "", "duration", "failed"), failed.clone());
    assert_exact(
        entry(&report, "all", "", "duration", "all"),
        [good, failed].concat(),
    );
}

/// Durations of the text rows of a file that `keep` holds for.
fn recorded(case: &str, file: &str, keep: impl Fn(&str) -> bool) -> Vec<u64> {
    let log = std::fs::read_to_string(case_input(case).join(file)).unwrap();
    let rows = log.lines().filter(|line| line.starts_with('[') && keep(line));
    // After the closing quote of the failure reason: bytes received, bytes sent, duration.
    rows.map(|row| {
        row.split("\" ")
            .nth(2)
            .unwrap()
            .split(' ')
            .nth(2)
            .unwrap()
            .parse()
            .unwrap()
    })
    .collect()
}

#[test]
fn recorded_rows() {
    let case = "refused-app-port-mismatch";
    let report = crate::running::analyze(&[case_input(case)]).report();
    let callers = "productpage-v1.istio-proxy.log";
    assert_exact(
        entry(&report, "all", "", "duration", "all"),
        recorded(case, callers, |_| true),
    );
    for service in ["details", "ratings", "reviews"] {
        let is_good = |row: &str| row.contains(&format!("||{service}.")) && !row.contains("\" 50");
        let samples = recorded(case, callers, is_good);
        assert_exact(entry(&report, "destination", service, "duration", "ok"), samples);
    }
}
