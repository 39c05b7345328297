//! Damaged and hostile inputs: nothing panics, what can be read is counted, and what cannot be read is named with its
//! place.

use crate::rows::{Call, good_calls};
use crate::running::{Run, Scratch, analyze, case_input, list, number, text};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write as _;

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// The input whose path ends so.
fn input<'a>(report: &'a Value, path_end: &str) -> &'a Value {
    match list(report, "/inputs")
        .iter()
        .find(|input| text(input, "/path").ends_with(path_end))
    {
        Some(input) => input,
        None => panic!("no input {path_end} among {}", report["inputs"]),
    }
}

/// Good rows around something: the good ones are all counted, whatever stands between them.
fn rows_around(middle: &[u8]) -> Value {
    let mut log = good_calls(0, 50).into_bytes();
    log.extend_from_slice(middle);
    log.extend_from_slice(good_calls(50, 50).as_bytes());
    Scratch::with("proxy.log", log).report()
}

#[test]
fn gzip_that_ends_early() {
    let log = good_calls(0, 20_000);
    let packed = gzip(log.as_bytes());
    let scratch = Scratch::with("proxy.log.gz", &packed[..packed.len() / 2]);
    let run = analyze(&[scratch.path()]);
    let report = run.report();
    let rows = number(&report, "/requests/rows");
    assert!((5_000..20_000).contains(&rows), "{rows} rows of the first half");
    let problems = list(input(&report, "proxy.log.gz"), "/problems");
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0]["offset_bytes"].as_u64().unwrap() > 0,
        "no place: {problems:?}"
    );
    assert!(
        run.stderr.contains("proxy.log.gz"),
        "not named on standard error: {:?}",
        run.stderr
    );
    assert_eq!(run.status, 0, "damage inside an input never changes the status");
}

#[test]
fn gzip_with_a_broken_second_member() {
    let mut packed = gzip(good_calls(0, 100).as_bytes());
    packed.extend_from_slice(&gzip(good_calls(100, 100).as_bytes())[..20]);
    let report = Scratch::with("proxy.log", packed).report();
    assert!(number(&report, "/requests/rows") >= 100);
    assert_eq!(list(input(&report, "proxy.log"), "/problems").len(), 1);
}

#[test]
fn bytes_after_a_gzip_member_that_are_no_member() {
    let mut packed = gzip(good_calls(0, 100).as_bytes());
    packed.extend_from_slice(b"this is no gzip member");
    let report = Scratch::with("proxy.log.gz", packed).report();
    assert_eq!(number(&report, "/requests/rows"), 100);
    assert_eq!(list(input(&report, "proxy.log.gz"), "/problems").len(), 1);
}

#[test]
fn noise() {
    let noise: Vec<u8> = (0..200_000_u64)
        .map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0])
        .collect();
    let scratch = Scratch::with("good.log", good_calls(0, 100));
    scratch.write("noise.bin", &noise);
    let report = scratch.report();
    assert_eq!(number(&report, "/requests/rows"), 100);
    let noise = input(&report, "noise.bin");
    assert_eq!(noise["kind"], "unknown");
    assert_eq!(noise["records"], 0);
    assert!(noise["rejected"].as_u64().unwrap() > 0 || !list(noise, "/problems").is_empty());
}

#[test]
fn every_cut_of_a_row_and_every_changed_byte() {
    let row = Call::default().row();
    let mut log = Vec::new();
    for end in 0..row.len() {
        log.extend_from_slice(&row.as_bytes()[..end]);
        log.push(b'\n');
    }
    for (i, place) in (0..row.len() - 1).cycle().take(4 * row.len()).enumerate() {
        let mut changed = row.clone().into_bytes();
        changed[place] = [0, b'"', b' ', 0xff][i / row.len()];
        log.extend_from_slice(&changed);
    }
    let lines = u64::try_from(log.split_inclusive(|byte| *byte == b'\n').count()).unwrap();
    let report = Scratch::with("proxy.log", &log).report();
    let input = input(&report, "proxy.log");
    let counted: u64 = ["records", "rejected", "skipped"]
        .map(|key| input[key].as_u64().unwrap())
        .iter()
        .sum();
    assert_eq!(
        counted, lines,
        "every line is understood, rejected or skipped: {input}"
    );
}

#[test]
fn a_line_of_eight_megabytes() {
    let mut line = vec![b'x'; 8 << 20];
    line.push(b'\n');
    let report = rows_around(&line);
    assert_eq!(number(&report, "/requests/rows"), 100);
    assert_eq!(number(&report, "/inputs/0/rejected"), 1);
    let samples = list(&report, "/inputs/0/rejected_samples");
    assert_eq!(samples[0]["line"], 51);
    assert!(text(&samples[0], "/text").len() < 10_000, "the sample is cut");
}

#[test]
fn a_row_with_a_path_of_eight_megabytes() {
    let row = Call::default()
        .row()
        .replace("/ratings/1", &format!("/{}", "y".repeat(8 << 20)));
    let report = rows_around(row.as_bytes());
    let (rows, rejected) = (
        number(&report, "/requests/rows"),
        number(&report, "/inputs/0/rejected"),
    );
    assert_eq!(rows + rejected, 101, "counted as a row or as rejected, not lost");
    assert!(report.to_string().len() < 1 << 20, "no long text in the report");
}

#[test]
fn an_empty_folder() {
    let scratch = Scratch::new();
    let run = analyze(&[scratch.path()]);
    assert_eq!(run.status, 2, "nothing could be read");
    assert!(!run.stderr.is_empty(), "it is said what is missing");
}

#[test]
fn a_folder_without_logs() {
    let scratch = Scratch::with("notes.txt", "call the owner of ratings\nask for the logs\n");
    let run = analyze(&[scratch.path()]);
    let report = run.report();
    assert_eq!(text(&report, "/verdict/state"), "not-enough");
    assert_eq!(report.pointer("/verdict/healthy"), Some(&Value::Bool(false)));
    assert_eq!(number(&report, "/requests/rows"), 0);
    assert!(
        !list(&report, "/missing").is_empty(),
        "it is said what is missing"
    );
    assert_eq!(run.status, 3);
}

#[test]
fn a_path_that_does_not_exist() {
    let scratch = Scratch::new();
    let run = analyze(&[scratch.path().join("gone.log")]);
    assert_eq!(run.status, 2);
    assert!(run.stderr.contains("gone.log"), "{:?}", run.stderr);
}

#[test]
fn a_file_that_may_not_be_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = Scratch::with("good.log", good_calls(0, 100));
    let locked = scratch.write("locked.log", good_calls(0, 100));
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::File::open(&locked).is_ok() {
        eprintln!("skipped: this user (root) may read a file without any permission");
        return;
    }
    let run: Run = analyze(&[scratch.path()]);
    let report = run.report();
    assert_eq!(number(&report, "/requests/rows"), 100);
    assert_eq!(list(input(&report, "locked.log"), "/problems").len(), 1);
    assert!(run.stderr.contains("locked.log"), "{:?}", run.stderr);
    assert_eq!(run.status, 3, "a whole input could not be opened");
}

#[test]
fn nul_bytes() {
    let report = rows_around(b"\0\0\0\0\0\0\0\0\n");
    assert_eq!(number(&report, "/requests/rows"), 100);
    assert_eq!(number(&report, "/inputs/0/rejected"), 1);
}

#[test]
fn a_hole_of_nul_bytes_before_a_row() {
    // What a log looks like after a crash of its node: the end of the file was never written.
    let report = rows_around(&[&[0; 4096][..], Call::default().row().as_bytes()].concat());
    assert_eq!(
        number(&report, "/requests/rows") + number(&report, "/inputs/0/rejected"),
        101
    );
}

#[test]
fn lines_that_end_in_carriage_returns() {
    let log =
        std::fs::read_to_string(case_input("refused-app-port-mismatch").join("ratings-v1.istio-proxy.log"))
            .unwrap();
    let unix = Scratch::with("ratings-v1.istio-proxy.log", &log).report();
    let dos = Scratch::with("ratings-v1.istio-proxy.log", log.replace('\n', "\r\n")).report();
    for figure in ["requests", "latency", "window", "timeline"] {
        assert_eq!(unix[figure], dos[figure], "{figure}");
    }
    assert!(number(&unix, "/requests/rows") > 0);
}

#[test]
fn dates_that_do_not_exist() {
    for date in ["2026-02-30", "2026-13-01", "2026-00-10", "2025-02-29"] {
        let report = rows_around(Call::default().row().replace("2026-11-02", date).as_bytes());
        assert_eq!(number(&report, "/inputs/0/rejected"), 1, "{date}");
        assert_eq!(number(&report, "/requests/rows"), 100, "{date}");
        assert!(
            text(&report, "/window/start").starts_with("2026-11-02T03:00:00"),
            "{date} decides the window"
        );
    }
}

#[test]
fn a_stray_date_does_not_decide_the_time_line() {
    let report = rows_around(
        Call::default()
            .row()
            .replace("2026-11-02", "1970-01-01")
            .as_bytes(),
    );
    assert_eq!(number(&report, "/requests/rows"), 101);
    assert!(
        number(&report, "/timeline/bucket_s") <= 60,
        "buckets of a minute at most for half a second of traffic"
    );
    assert!(list(&report, "/timeline/buckets").len() < 100);
}

#[test]
fn numbers_past_64_bits() {
    let long = "99999999999999999999999999";
    for (what, row) in [
        (
            "duration",
            Call::default().row().replace(" 5 4 ", &format!(" {long} 4 ")),
        ),
        (
            "bytes sent",
            Call::default().row().replace(" 462 ", &format!(" {long} ")),
        ),
        (
            "code",
            Call::default().row().replace("\" 200 ", &format!("\" {long} ")),
        ),
    ] {
        assert!(row.contains(long), "{what}");
        let report = rows_around(row.as_bytes());
        assert_eq!(number(&report, "/inputs/0/rejected"), 1, "{what}");
        assert_eq!(number(&report, "/requests/rows"), 100, "{what}");
    }
}

#[test]
fn the_greatest_durations_that_fit() {
    let longest = u64::MAX.to_string();
    let report = rows_around(
        Call::default()
            .row()
            .replace(" 5 4 ", &format!(" {longest} 4 "))
            .as_bytes(),
    );
    assert_eq!(
        number(&report, "/requests/rows") + number(&report, "/inputs/0/rejected"),
        101
    );
}

#[test]
fn a_hundred_thousand_destinations() {
    let count = 100_000;
    let mut log = String::new();
    for i in 0..count {
        let service = format!("tenant-{i:06}");
        Call {
            at_ms: i,
            service,
            code: if i % 100 == 0 { 503 } else { 200 },
            ..Call::default()
        }
        .write(&mut log);
    }
    let report = Scratch::with("proxy.log", &log).report();
    assert_eq!(number(&report, "/requests/rows"), count);
    assert_eq!(number(&report, "/requests/total"), count);
    assert_eq!(number(&report, "/requests/by_code/503"), count / 100);
    let limits = list(&report, "/limits");
    assert!(
        limits.iter().any(|limit| limit["left_out"].as_u64() > Some(0)),
        "no limit is told: {limits:?}"
    );
    assert!(report.to_string().len() < 8 << 20, "the report is bounded");
}

#[test]
fn a_last_line_that_is_cut_off() {
    let mut log = good_calls(0, 100);
    log.truncate(log.len() - 40);
    let report = Scratch::with("proxy.log", &log).report();
    assert_eq!(number(&report, "/requests/rows"), 99);
    assert_eq!(number(&report, "/inputs/0/rejected"), 1);
    assert_eq!(list(&report, "/inputs/0/rejected_samples")[0]["line"], 100);
}

#[test]
fn a_last_line_without_its_end() {
    let log = good_calls(0, 100);
    let report = Scratch::with("proxy.log", log.trim_end()).report();
    assert_eq!(number(&report, "/requests/rows"), 100);
    assert_eq!(number(&report, "/inputs/0/rejected"), 0);
}

#[test]
fn json_nested_without_end() {
    let mut line = String::new();
    write!(line, "{{\"response_code\":{}", "[".repeat(200_000)).unwrap();
    line.push('\n');
    let report = rows_around(line.as_bytes());
    assert_eq!(number(&report, "/requests/rows"), 100);
    assert_eq!(number(&report, "/inputs/0/rejected"), 1);
}
