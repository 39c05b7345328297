//! Layouts without response code details, as Istio before 1.9 and many of users' own: flags, addresses and bodies tell nearly the same.

use crate::rows::{Call, good_calls};
use crate::running::{Scratch, analyze, case_input, list, text};
use flate2::read::MultiGzDecoder;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Read as _;

/// A line without the fields that Istio 1.9 added: in the text layout of 1.8, or as JSON without their keys.
fn older(line: &str) -> String {
    if line.starts_with('{')
        && let Ok(Value::Object(mut row)) = serde_json::from_str(line)
    {
        row.remove("response_code_details");
        row.remove("connection_termination_details");
        return Value::Object(row).to_string();
    }
    let Some((request, after)) = line.split_once("\" ").filter(|_| line.starts_with('[')) else {
        return line.to_owned();
    };
    let fields: Vec<&str> = after.splitn(5, ' ').collect();
    match fields.as_slice() {
        [code, flags, _details, _termination, rest] => format!("{request}\" {code} {flags} {rest}"),
        _ => line.to_owned(),
    }
}

fn older_log(log: &str) -> String {
    log.lines()
        .flat_map(|line| [older(line), "\n".to_owned()])
        .collect()
}

fn read(path: &std::path::Path) -> String {
    let raw = std::fs::read(path).unwrap();
    let mut plain = Vec::new();
    if raw.starts_with(&[0x1f, 0x8b]) {
        MultiGzDecoder::new(raw.as_slice())
            .read_to_end(&mut plain)
            .unwrap();
    } else {
        plain = raw;
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// State, first cause and its destination.
fn answer(report: &Value) -> [String; 3] {
    [
        "/verdict/state",
        "/findings/0/cause",
        "/findings/0/scope/destination",
    ]
    .map(|at| text(report, at).to_owned())
}

#[test]
fn recorded_incidents_have_the_same_answer() {
    for case in [
        "cert-expired-workload",
        "circuit-breaker-overflow",
        "control-plane-unreachable",
        "grpc-backend-refused",
        "healthy-bookinfo",
        "no-endpoints-scaled-to-zero",
        "rbac-denied",
        "refused-app-port-mismatch",
        "route-case-mismatch",
    ] {
        let scratch = Scratch::new();
        let mut changed = 0;
        for entry in std::fs::read_dir(case_input(case)).unwrap() {
            let path = entry.unwrap().path();
            let log = read(&path);
            let older = older_log(&log);
            changed += log.lines().zip(older.lines()).filter(|(a, b)| a != b).count();
            let name = path.file_name().unwrap().to_str().unwrap();
            scratch.write(name.trim_end_matches(".gz"), older);
        }
        assert!(changed > 1000, "{case}: {changed} rows are in the older layout");
        let whole = analyze(&[case_input(case)]).report();
        assert_eq!(answer(&scratch.report()), answer(&whole), "{case}");
    }
}

/// Good calls, then `count` rows, one each 50 ms, in the layout of Istio 1.8.
fn calls(count: u64, of: impl Fn(u64) -> Call) -> String {
    let mut log = good_calls(0, 200);
    for i in 0..count {
        let call = Call {
            at_ms: 2000 + i * 50,
            ..of(i)
        };
        call.write(&mut log);
    }
    older_log(&log)
}

fn report_on(log: &str) -> Value {
    Scratch::with("web-0.istio-proxy.log", log).report()
}

fn unconnected(duration_ms: u64) -> Call {
    Call {
        duration_ms,
        host: "10.244.1.41:9080",
        ..Call::unsent(
            503,
            "UF",
            "upstream_reset_before_response_started{connection_timeout}",
        )
    }
}

#[test]
fn the_layout_is_named() {
    let report = report_on(&older_log(&good_calls(0, 100)));
    assert_eq!(text(&report, "/inputs/0/format"), "istio-text-1.8");
    assert_eq!(text(&report, "/verdict/state"), "healthy");
}

#[test]
fn requests_that_share_the_wait_for_a_connection_were_not_refused() {
    // All wait for the connect that the first one began: the last ones for a moment.
    let report = report_on(&calls(60, |i| unconnected(2000 - (i % 40) * 50)));
    assert_eq!(text(&report, "/findings/0/cause"), "upstream-connect-timeout");
    let report = report_on(&calls(60, |_| unconnected(3)));
    assert_eq!(text(&report, "/findings/0/cause"), "upstream-connection-refused");
    assert_eq!(
        text(&report, "/findings/0/severity"),
        "info",
        "who refused does not show from the caller alone"
    );
}

#[test]
fn a_connection_without_a_route_at_the_called_proxy_is_plaintext() {
    let caller = calls(40, |i| Call {
        connection: Some(40_000 + u16::try_from(i).unwrap()),
        ..Call::unsent(
            503,
            "UC",
            "upstream_reset_before_response_started{connection_termination}",
        )
    });
    let mut called = String::new();
    for i in 0..40 {
        let at_ms = 2000 + i * 50;
        writeln!(
            called,
            "[2026-11-02T03:00:{:02}.{:03}Z] \"- - -\" 0 NR \"-\" 0 0 0 - \"-\" \"-\" \"-\" \"-\" \"-\" - - 10.244.1.41:9080 10.244.1.11:{} - -",
            at_ms / 1000,
            at_ms % 1000,
            40_000 + i,
        )
        .unwrap();
    }
    let scratch = Scratch::new();
    scratch.write("web-0.istio-proxy.log", caller);
    let mut log = String::new();
    for i in 0..150 {
        let call = Call {
            at_ms: i * 10,
            ..Call::default()
        };
        call.write_called(&mut log);
    }
    scratch.write("ratings-0.istio-proxy.log", older_log(&log) + &called);
    let report = scratch.report();
    assert_eq!(text(&report, "/findings/0/cause"), "mtls-plaintext-to-strict");
    let accused = list(&report, "/findings")
        .iter()
        .filter(|f| text(f, "/severity") != "info");
    assert_eq!(accused.count(), 1);
}

#[test]
fn statuses_of_applications_are_taken_for_theirs() {
    let mut log = good_calls(0, 200);
    for i in 0..60 {
        let call = Call {
            at_ms: 2000 + i * 50,
            code: if i % 2 == 0 { 500 } else { 404 },
            ..Call::default()
        };
        call.write(&mut log);
    }
    let [older, newer] = [older_log(&log), log].map(|log| report_on(&log));
    assert_eq!(
        text(&older, "/verdict/headline"),
        text(&newer, "/verdict/headline")
    );
    assert_eq!(answer(&older), answer(&newer));
}

#[test]
fn own_errors_without_any_flag_are_no_all_clear() {
    // A layout without flags too: bodies as long as Envoy's own are not the application's.
    for (code, body) in [(503, 95), (504, 24)] {
        let log = calls(60, |_| Call {
            code,
            bytes_sent: body,
            ..Call::default()
        });
        let state = report_on(&log);
        assert_ne!(text(&state, "/verdict/state"), "healthy", "{code}");
    }
}
