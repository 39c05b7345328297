//! What changed just before a finding began: told with it, and only where the inputs show it.

use crate::running::{analyze, case_input, list, text};
use serde_json::Value;

fn changes(case: &str) -> Vec<(String, String)> {
    let report = analyze(&[case_input(case)]).report();
    list(&report, "/findings/0/changed_before")
        .iter()
        .map(|change| (text(change, "/kind").to_owned(), text(change, "/text").to_owned()))
        .collect()
}

#[test]
fn a_certificate_that_ended_is_told_with_what_failed_from_then_on() {
    let changes = changes("cert-expired-captured");
    assert!(
        changes
            .iter()
            .any(|(kind, text)| kind == "certificate-ends" && text.contains("bookinfo-ratings")),
        "{changes:?}"
    );
}

#[test]
fn a_peak_of_traffic_is_told_with_the_breaker_that_it_met() {
    let changes = changes("circuit-breaker-overflow");
    assert!(changes.iter().any(|(kind, _)| kind == "traffic"), "{changes:?}");
}

#[test]
fn where_nothing_changed_nothing_is_told() {
    for case in ["rbac-denied", "slow-upstream-app-joined"] {
        assert_eq!(changes(case), [], "{case}");
    }
}

#[test]
fn remarks_have_no_changes() {
    for case in ["healthy-bookinfo", "healthy-noisy-app"] {
        let report = analyze(&[case_input(case)]).report();
        for finding in list(&report, "/findings") {
            assert_eq!(finding["changed_before"], Value::Array(Vec::new()), "{case}");
        }
    }
}
