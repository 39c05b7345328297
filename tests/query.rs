//! `--where` and `postmesh top` on recorded incidents: against counts that others made, and against each other.

use crate::running::{case_input, list, number, postmesh, text};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const CASES: [&str; 6] = [
    "refused-app-port-mismatch",
    "rbac-denied",
    "grpc-denied",
    "two-faults",
    "slow-deep-chain",
    "made-waypoint-misrouted",
];

fn top(fields: &str, case: &str, words: &[&str]) -> Value {
    let words = [&["top", fields, "--format", "json", "--limit", "0"], words].concat();
    let run = postmesh(&words, &[case_input(case)]);
    assert!(run.status == 0 || run.status == 3, "{}", run.stderr);
    serde_json::from_slice(&run.stdout).unwrap()
}

fn report(case: &str, condition: &str) -> Value {
    let words = [
        "analyze",
        "--format",
        "json",
        "--no-run-info",
        "--where",
        condition,
    ];
    postmesh(&words, &[case_input(case)]).report()
}

/// Rows by the first of the fields.
fn sums(table: &Value) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for group in list(table, "/top/groups") {
        *sums.entry(text(group, "/values/0").to_owned()).or_default() += number(group, "/rows");
    }
    sums
}

/// A table of counts that `corpora/count.py`, which shares no code with the tool, made of a case's rows.
fn counted(case: &str, name: &str) -> BTreeMap<String, u64> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpora")
        .join(case)
        .join("expect.toml");
    let expect: toml::Table = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let counts = expect["counts"].get(name).and_then(toml::Value::as_table);
    counts
        .into_iter()
        .flatten()
        .map(|(key, count)| (key.clone(), u64::try_from(count.as_integer().unwrap()).unwrap()))
        .collect()
}

#[test]
fn rows_by_code_and_detail_are_those_of_an_independent_counter() {
    for case in CASES {
        let http = top("code", case, &["--where", "exists protocol"]);
        assert_eq!(sums(&http), counted(case, "by_code"), "{case}");
        let details = top("details", case, &["--where", "exists details"]);
        let known = counted(case, "by_detail");
        if !known.is_empty() {
            assert_eq!(sums(&details), known, "{case}");
        }
        for (flag, count) in counted(case, "by_flag") {
            let with = top("code", case, &["--where", &format!("flags has {flag}")]);
            assert_eq!(number(&with, "/top/rows"), count, "{case}: {flag}");
        }
    }
}

#[test]
fn a_condition_and_its_negation_part_the_rows() {
    for case in CASES {
        let all = number(&top("method", case, &[]), "/top/rows");
        assert!(all > 0);
        for condition in [
            "code>=500",
            "path ~ '^/r'",
            "duration_ms>5ms and outcome=ok",
            "reporter=source",
        ] {
            let met = top("method", case, &["--where", condition]);
            let unmet = top("method", case, &["--where", &format!("not ({condition})")]);
            let both = number(&met, "/top/rows") + number(&unmet, "/top/rows");
            assert_eq!(both, all, "{case}: {condition}");
            assert_eq!(
                number(&met, "/selection/rows_left_out"),
                number(&unmet, "/top/rows")
            );
            assert_eq!(
                number(&report(case, condition), "/requests/rows"),
                number(&met, "/top/rows"),
                "the report is of the same rows"
            );
        }
    }
}

#[test]
fn callers_and_called_proxies_are_never_one_count() {
    let table = top("destination", "slow-deep-chain", &[]);
    let mut seen = BTreeMap::new();
    for group in list(&table, "/top/groups") {
        let of: &mut Vec<_> = seen.entry(text(group, "/values/0")).or_default();
        of.push(text(group, "/reporter"));
    }
    assert!(seen.values().any(|reporters| reporters.len() == 2));
    let report = report("slow-deep-chain", "code>=0");
    for reporter in ["source", "destination"] {
        let rows: u64 = list(&table, "/top/groups")
            .iter()
            .filter(|group| text(group, "/reporter") == reporter)
            .map(|group| number(group, "/rows"))
            .sum();
        assert_eq!(
            rows,
            number(&report, &format!("/requests/by_reporter/{reporter}/total"))
        );
    }
}

#[test]
fn the_table_does_not_depend_on_threads_or_order() {
    let case = case_input("two-faults");
    let mut files: Vec<_> = std::fs::read_dir(&case)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let words = |threads: &'static str| {
        [
            "top",
            "path,flags,code",
            "-f",
            "csv",
            "-N",
            "0",
            "-q",
            "-j",
            threads,
        ]
    };
    let one = postmesh(&words("1"), &files);
    files.reverse();
    let four = postmesh(&words("4"), &files);
    assert!(one.stdout.len() > 200);
    assert_eq!(
        String::from_utf8_lossy(&one.stdout),
        String::from_utf8_lossy(&four.stdout)
    );
}

#[test]
fn a_report_says_which_rows_it_is_of() {
    for format in ["text", "markdown", "html"] {
        let words = ["analyze", "--format", format, "--where", "flags has UF"];
        let run = postmesh(&words, &[case_input("refused-app-port-mismatch")]);
        assert!(
            String::from_utf8_lossy(&run.stdout).contains("flags has UF"),
            "{format}"
        );
    }
}

#[test]
fn mistakes_are_told_before_anything_is_read() {
    let run = postmesh(&["analyze", "--where", "cod>=500"], &["/nowhere"]);
    assert_eq!(run.status, 2);
    assert!(run.stderr.contains("no field cod"), "{}", run.stderr);
    let run = postmesh(&["top", "cod"], &["/nowhere"]);
    assert_eq!(run.status, 2);
    assert!(run.stderr.contains("there are start"), "{}", run.stderr);
}
