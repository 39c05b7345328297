//! The report depends on the inputs alone.

use crate::rows::Call;
use crate::running::{Scratch, case_input, postmesh};
use postmesh::Options;
use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::Value;
use std::path::PathBuf;

/// Cases of every wrapper and encoding.
const CASES: [&str; 8] = [
    "bug-report-no-endpoints",
    "refused-app-port-mismatch",
    "rbac-denied",
    "circuit-breaker-overflow",
    "control-plane-unreachable",
    "made-control-plane-overload",
    "made-healthy-control-plane",
    "made-sidecar-startup-race",
];

/// The report as text, without what belongs to the run.
fn report(options: &Options) -> String {
    let mut report = postmesh::analyze(options).unwrap();
    report.run = None;
    // What pages sum windows from is no part of the document.
    format!(
        "{}\n{:#?}",
        serde_json::to_string_pretty(&report).unwrap(),
        report.over_time
    )
}

fn options(paths: &[PathBuf]) -> Options {
    Options {
        paths: paths.to_vec(),
        over_time: true,
        ..Options::default()
    }
}

/// Fails with the first line that differs, which says more than two whole reports.
fn assert_same(what: &str, one: &str, other: &str) {
    if one == other {
        return;
    }
    let differing = one
        .lines()
        .zip(other.lines())
        .enumerate()
        .find(|(_, (a, b))| a != b);
    panic!(
        "{what}: reports of {} and {} bytes differ, first at {differing:?}",
        one.len(),
        other.len()
    );
}

#[test]
fn any_number_of_threads() {
    for case in CASES {
        let one = report(&options(&[case_input(case)]));
        for threads in [2, 7] {
            let many = report(&Options {
                threads,
                ..options(&[case_input(case)])
            });
            assert_same(&format!("{case} with {threads} threads"), &one, &many);
        }
    }
}

#[test]
fn any_size_of_blocks() {
    for case in CASES {
        let base = report(&options(&[case_input(case)]));
        for block_bytes in [4 << 10, 64 << 10, 1 << 20] {
            for threads in [1, 7] {
                let run = report(&Options {
                    block_bytes,
                    threads,
                    ..options(&[case_input(case)])
                });
                assert_same(
                    &format!("{case} in blocks of {block_bytes} with {threads} threads"),
                    &base,
                    &run,
                );
            }
        }
    }
}

#[test]
fn any_order_of_arguments() {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(case_input("refused-app-port-mismatch"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let sorted = report(&options(&paths));
    for _ in 1..paths.len() {
        paths.rotate_left(1);
        assert_same("rotated arguments", &sorted, &report(&options(&paths)));
    }
    paths.reverse();
    assert_same("reversed arguments", &sorted, &report(&options(&paths)));
}

#[test]
fn tables_that_overflow() {
    let mut log = String::new();
    for i in 0..30_000 {
        // Every key twice, far apart, and in no order that sorting would restore.
        let service = format!("tenant-{}", i * 7919 % 15_000);
        Call {
            at_ms: i,
            duration_ms: i % 97,
            service,
            ..Call::default()
        }
        .write(&mut log);
    }
    let scratch = Scratch::with("proxy.log", &log);
    let paths = [scratch.path().to_owned()];
    let base = report(&options(&paths));
    for (threads, block_bytes) in [(2, 64 << 10), (7, 4 << 10), (7, 1 << 20)] {
        let run = report(&Options {
            threads,
            block_bytes,
            ..options(&paths)
        });
        assert_same(
            &format!("{threads} threads, blocks of {block_bytes}"),
            &base,
            &run,
        );
    }
}

#[test]
fn a_cut_between_lines_changes_no_figure() {
    let input = case_input("refused-app-port-mismatch");
    let (whole, cut) = (Scratch::new(), Scratch::new());
    for entry in std::fs::read_dir(input).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let text = std::fs::read_to_string(entry.path()).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let (first, second) = lines.split_at(lines.len() / 2);
        whole.write(&name, &text);
        cut.write(&format!("1/{name}"), first.concat());
        cut.write(&format!("2/{name}"), second.concat());
    }
    let (whole, cut) = (whole.report(), cut.report());
    for figure in ["requests", "latency", "window"] {
        let (whole, cut) = (whole[figure].to_string(), cut[figure].to_string());
        assert_same(figure, &whole, &cut);
    }
    for key in ["cause", "scope", "onset", "window", "impact"] {
        let pointer = format!("/findings/0/{key}");
        let pick = |report: &Value| report.pointer(&pointer).cloned();
        assert_eq!(pick(&whole), pick(&cut), "{pointer}");
    }
}

#[test]
fn the_command_line_says_the_same() {
    let input = case_input("refused-app-port-mismatch");
    let words = ["analyze", "--format", "json", "--no-run-info", "--threads"];
    let run = |threads| postmesh(&[&words[..], &[threads]].concat(), &[&input]).stdout;
    let one = run("1");
    assert!(one.starts_with(b"{"), "no report on standard output");
    assert!(
        run("2") == one && run("7") == one,
        "the number of threads shows in the output"
    );
}

/// Rows of every outcome by both proxies, and lines of the proxy itself, in no particular order of time.
fn lines_of(seed: u64) -> Vec<String> {
    const FAULTS: [(u16, &str, &str); 6] = [
        (
            503,
            "UF",
            "upstream_reset_before_response_started{connection_timeout}",
        ),
        (503, "UH", "no_healthy_upstream"),
        (
            503,
            "UC",
            "upstream_reset_before_response_started{connection_termination}",
        ),
        (404, "NR", "route_not_found"),
        (0, "DC", "downstream_remote_disconnect"),
        (403, "-", "rbac_access_denied_matched_policy[none]"),
    ];
    let mut lines = Vec::new();
    for i in 0..400_u64 {
        let chance = (i + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let fault = usize::try_from(chance % 17).unwrap();
        let (code, flags, details) = FAULTS.get(fault).copied().unwrap_or((200, "-", "via_upstream"));
        let call = Call {
            at_ms: i * 137 + chance % 900,
            duration_ms: chance % 2000,
            service: ["ratings", "reviews", "details"][usize::try_from(chance % 3).unwrap()].to_owned(),
            code,
            flags,
            details,
            connection: Some(40_000 + u16::try_from(chance % 20).unwrap()),
            ..Call::default()
        };
        lines.push(call.row());
        if i % 40 == 0 {
            lines.push(format!(
                "2026-11-02T03:00:{:02}.000000Z\twarning\tenvoy config grpc_stream.h:189\tStreamAggregatedResources \
                 gRPC config stream to xds-grpc closed: 14, connection refused\tthread=21\n",
                chance % 60
            ));
        }
    }
    lines
}

/// A report without what a cut of the files may change: the inputs, and what points into them.
fn without_places(options: &Options) -> Value {
    let read = postmesh::analyze(options).unwrap();
    let mut report = serde_json::to_value(&read).unwrap();
    report["over_time"] = format!("{:?}", read.over_time).into();
    for key in ["run", "inputs"] {
        report[key] = Value::Null;
    }
    drop_places(&mut report);
    report
}

fn drop_places(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for key in ["refs", "ref", "examples", "inputs"] {
                members.remove(key);
            }
            // Which of several equally slow requests are shown is settled by their places.
            if let Some(Value::Array(slowest)) = members.get_mut("slowest") {
                for request in slowest {
                    *request = request["duration_ms"].take();
                }
            }
            members.values_mut().for_each(drop_places);
        }
        Value::Array(elements) => elements.iter_mut().for_each(drop_places),
        _ => {}
    }
}

proptest! {
    #![proptest_config(Config { cases: 10, failure_persistence: None, ..Config::default() })]

    #[test]
    fn order_and_cut_of_lines_change_no_figure(
        lines in (0..1000_u64).prop_flat_map(|seed| Just(lines_of(seed)).prop_shuffle()),
        cuts in prop::collection::vec(0..400_usize, 0..4),
        threads in prop::sample::select(vec![1, 2, 7]),
        block_bytes in prop::sample::select(vec![1 << 10, 5000, 64 << 10, 1 << 20]),
    ) {
        let mut sorted = lines.clone();
        sorted.sort_unstable();
        let name = "productpage-v1.istio-proxy.log";
        let whole = Scratch::with(&format!("0/{name}"), sorted.concat());
        let cut = Scratch::new();
        let mut ends = cuts;
        ends.extend([0, lines.len()]);
        ends.sort_unstable();
        for (part, bounds) in ends.windows(2).enumerate() {
            cut.write(&format!("{part}/{name}"), lines[bounds[0]..bounds[1]].concat());
        }
        let of_whole = without_places(&options(&[whole.path().to_owned()]));
        let pieces = Options { threads, block_bytes, ..options(&[cut.path().to_owned()]) };
        let of_cut = without_places(&pieces);
        prop_assert!(of_whole["requests"]["rows"] == 400);
        for (key, value) in of_whole.as_object().unwrap() {
            prop_assert_eq!(value, &of_cut[key], "{}", key);
        }
        let again = Options { threads: 1, block_bytes: 1 << 20, ..pieces.clone() };
        prop_assert!(report(&again) == report(&pieces), "same files, other threads and blocks");
    }
}
