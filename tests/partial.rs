//! What is left of an incident when half of it is missing: the same answer, or one that says what cannot be seen; never an
//! all-clear that nothing supports.

use crate::running::{Scratch, analyze, case_input, list, text};
use serde_json::Value;

/// The report on some files of a case.
fn report_on(case: &str, wanted: impl Fn(&str) -> bool) -> Value {
    let scratch = Scratch::new();
    for entry in std::fs::read_dir(case_input(case)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if wanted(&name) {
            scratch.write(&name, std::fs::read(&path).unwrap());
        }
    }
    analyze(&[scratch.path()]).report()
}

#[test]
fn captures_of_encrypted_traffic_alone_are_no_all_clear() {
    let report = report_on("healthy-bookinfo-captured", |name| name.contains("eth0"));
    assert_eq!(text(&report, "/verdict/state"), "not-enough");
    assert!(text(&report, "/verdict/headline").contains("TLS hides"));
    let whole = report_on("healthy-bookinfo-captured", |_| true);
    assert_eq!(
        text(&whole, "/verdict/state"),
        "healthy",
        "lo shows what was asked and answered"
    );
}

#[test]
fn rows_of_called_proxies_alone_are_no_all_clear() {
    let report = report_on("packet-loss", |name| name.starts_with("ratings-v1.istio-proxy"));
    assert_eq!(text(&report, "/verdict/state"), "not-enough");
    assert!(text(&report, "/verdict/headline").contains("called proxies"));
    let asked = list(&report, "/missing")
        .iter()
        .any(|missing| text(missing, "/what").contains("callers"));
    assert!(asked, "what would settle it is asked for");
}

#[test]
fn time_lost_between_two_proxies_is_told_without_packets_and_accuses_nobody() {
    let report = report_on("packet-loss", |name| !name.contains("pcap"));
    assert_eq!(text(&report, "/verdict/state"), "symptoms-only");
    let finding = report.pointer("/findings/0").unwrap();
    assert_eq!(
        (text(finding, "/cause"), text(finding, "/severity")),
        ("packet-loss", "info")
    );
    assert!(text(finding, "/scope/destination").starts_with("ratings."));
    let joined = list(finding, "/evidence")
        .iter()
        .find(|evidence| text(evidence, "/text").contains("between the two proxies"))
        .unwrap();
    assert_eq!(text(joined, "/kind"), "join");
    assert!(!list(joined, "/refs").is_empty());
}
