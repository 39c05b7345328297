//! `slice`: a part of an incident that gives the same verdict.

use crate::running::{Scratch, analyze, case_input, list, number, postmesh, text};
use serde_json::Value;
use std::path::Path;

fn slice(case: &str, finding: &str, into: &Path) -> String {
    let words = ["slice", "--finding", finding, "-q", "-o", into.to_str().unwrap()];
    let run = postmesh(&words, &[case_input(case)]);
    assert_eq!(run.status, 0, "{case}: {}", run.stderr);
    String::from_utf8(run.stdout).unwrap()
}

fn first(report: &Value) -> [&str; 4] {
    [
        text(report, "/verdict/state"),
        text(report, "/findings/0/cause"),
        text(report, "/findings/0/scope/destination"),
        text(report, "/findings/0/severity"),
    ]
}

fn records(report: &Value) -> u64 {
    list(report, "/inputs")
        .iter()
        .map(|input| number(input, "/records"))
        .sum()
}

#[test]
fn a_slice_gives_the_same_verdict_from_less() {
    let mut smaller = 0;
    let cases = [
        "refused-app-port-mismatch",
        "rbac-denied",
        "cert-expired-workload",
        "circuit-breaker-overflow",
        "control-plane-unreachable",
        "grpc-denied",
        "keepalive-race-captured",
        "packet-loss",
        "slow-upstream-app-joined",
        "zero-window-stalled-receiver",
        "bug-report-no-endpoints",
        "made-sidecar-killed-described",
        "made-conntrack-full",
    ];
    for case in cases {
        let scratch = Scratch::new();
        let into = scratch.path().join("part");
        let said = slice(case, "1", &into);
        let (whole, part) = (analyze(&[case_input(case)]).report(), analyze(&[&into]).report());
        assert_eq!(first(&part), first(&whole), "{case}: {said}");
        assert!(
            records(&part) > 0 && records(&part) <= records(&whole),
            "{case}: {said}"
        );
        smaller += usize::from(records(&part) < records(&whole));
        // What the slice cites stands there word for word.
        let refs = list(&part, "/findings/0/evidence");
        assert!(!refs.is_empty(), "{case}");
    }
    assert!(
        smaller > cases.len() / 2,
        "{smaller} of {} are smaller",
        cases.len()
    );
}

#[test]
fn any_finding_can_be_cut_out() {
    let scratch = Scratch::new();
    let into = scratch.path().join("second");
    slice("two-faults", "2", &into);
    let whole = analyze(&[case_input("two-faults")]).report();
    let part = analyze(&[&into]).report();
    let wanted = text(&whole, "/findings/1/cause");
    assert!(
        list(&part, "/findings")
            .iter()
            .any(|finding| text(finding, "/cause") == wanted)
    );
    assert!(records(&part) <= records(&whole));
}

#[test]
fn a_capture_stays_a_capture_that_others_read() {
    let scratch = Scratch::new();
    let into = scratch.path().join("part");
    slice("keepalive-race-captured", "1", &into);
    let captures: Vec<_> = std::fs::read_dir(&into)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|end| end == "pcap" || end == "pcapng")
        })
        .collect();
    assert!(!captures.is_empty());
    let report = analyze(&[&into]).report();
    assert!(number(&report, "/captures/packets") > 0);
    for input in list(&report, "/inputs") {
        assert_eq!(list(input, "/problems"), [] as [Value; 0]);
    }
    let Ok(output) = std::process::Command::new("tshark")
        .arg("-r")
        .arg(&captures[0])
        .output()
    else {
        eprintln!("skipped: there is no tshark to read it with");
        return;
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!output.stdout.is_empty());
}

#[test]
fn nothing_is_overwritten_and_mistakes_are_told() {
    let scratch = Scratch::with("part/mine.txt", "mine");
    let into = scratch.path().join("part");
    let at = [case_input("rbac-denied")];
    let run = postmesh(&["slice", "-o", into.to_str().unwrap()], &at);
    assert_eq!(run.status, 2);
    assert!(run.stderr.contains("is not empty"), "{}", run.stderr);
    assert_eq!(std::fs::read_to_string(into.join("mine.txt")).unwrap(), "mine");
    let other = scratch.path().join("other");
    let run = postmesh(&["slice", "--finding", "77", "-o", other.to_str().unwrap()], &at);
    assert_eq!(run.status, 2);
    assert!(run.stderr.contains("findings"), "{}", run.stderr);
    assert!(!other.exists());
}
