//! The report depends on the inputs alone.

use crate::rows::Call;
use crate::running::{Scratch, case_input, postmesh};
use postmesh::Options;
use serde_json::Value;
use std::path::PathBuf;

/// Cases of every wrapper and encoding.
const CASES: [&str; 4] = [
    "refused-app-port-mismatch",
    "rbac-denied",
    "circuit-breaker-overflow",
    "control-plane-unreachable",
];

/// The report as text, without what belongs to the run.
fn report(options: &Options) -> String {
    let mut report = postmesh::analyze(options).unwrap();
    report.run = None;
    serde_json::to_string_pretty(&report).unwrap()
}

fn options(paths: &[PathBuf]) -> Options {
    Options {
        paths: paths.to_vec(),
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
