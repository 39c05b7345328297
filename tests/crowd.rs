//! Recorded incidents among the logs of many healthy pods, as in a bug report of a whole cluster: what is found stays as it is.

use crate::running::{Scratch, analyze, case_input, list, text};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::fmt::Write;

const PODS: u32 = 150;

/// Services that each pod calls: with [`PODS`], more than a thousand hops.
const CALLED: u32 = 16;

/// One log of the rows of all pods, each line with its pod before it; all within the time of `report`.
fn crowd(report: &Value) -> String {
    let time = |at: &str| -> Timestamp { text(report, at).parse().unwrap() };
    let (start, end) = (time("/window/start"), time("/window/end"));
    let span = end.duration_since(start) - SignedDuration::from_millis(20);
    let mut log = String::new();
    for number in 0..PODS * CALLED {
        let (pod, called) = (number % PODS, (number + number / PODS) % 40);
        let at = start + span * i32::try_from(number).unwrap() / i32::try_from(PODS * CALLED).unwrap();
        let (own, host) = (format!("10.77.0.{pod}"), format!("10.77.1.{called}"));
        writeln!(
            log,
            "[pod/crowd-{pod}/istio-proxy] [{at:.3}] \"GET /crowd HTTP/1.1\" 200 - via_upstream - \"-\" 0 12 9 8 \"-\" \"curl/8\" \"{number:08x}-5c1d-4a7e-9b2f-0123456789ab\" \"svc-{called}:8080\" \"{host}:8080\" outbound|8080||svc-{called}.crowd.svc.cluster.local {own}:{} 10.96.77.{called}:8080 {own}:41000 - default",
            20_000 + number,
        )
        .unwrap();
    }
    log
}

/// What must stay.
fn findings(report: &Value) -> Vec<Value> {
    let of = |finding: &Value| {
        json!([
            finding["cause"],
            finding["role"],
            finding["severity"],
            finding["confidence"],
            finding["scope"],
            finding["onset"],
            finding["window"],
            finding["impact"],
        ])
    };
    list(report, "/findings").iter().map(of).collect()
}

#[test]
fn an_incident_is_told_alike_among_many_healthy_pods() {
    let mut wrong = Vec::new();
    for case in [
        "circuit-breaker-overflow",
        "control-plane-unreachable",
        "grpc-backend-refused",
        "healthy-bookinfo",
        "healthy-noisy-app",
        "no-endpoints-scaled-to-zero",
        "packet-loss",
        "rbac-denied",
        "refused-app-port-mismatch",
        "route-case-mismatch",
        "slow-upstream-app-joined",
        "two-faults",
        "zero-window-stalled-receiver",
    ] {
        let alone = analyze(&[case_input(case)]).report();
        let crowd = Scratch::with("crowd.log", crowd(&alone));
        let among = analyze(&[case_input(case).as_path(), crowd.path()]).report();
        assert!(list(&among, "/limits").is_empty(), "{case}: {}", among["limits"]);
        let (alone, among) = (findings(&alone), findings(&among));
        if alone != among {
            wrong.push(format!("{case}:\n  alone {alone:?}\n  among {among:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
