//! Layouts with fewer fields, as Istio before 1.9, Envoy's own and many of users' own: the fields that are left tell nearly the same.

use crate::rows::{Call, good_calls};
use crate::running::{Scratch, analyze, case_input, list, text};
use flate2::read::MultiGzDecoder;
use serde_json::{Map, Value, json};
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

pub(crate) fn read(path: &std::path::Path) -> String {
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

/// The keys of a row in Istio's JSON layout, in the order of the text layout.
pub(crate) const KEYS: [&str; 24] = [
    "start_time",
    "method",
    "path",
    "protocol",
    "response_code",
    "response_flags",
    "response_code_details",
    "connection_termination_details",
    "upstream_transport_failure_reason",
    "bytes_received",
    "bytes_sent",
    "duration",
    "upstream_service_time",
    "x_forwarded_for",
    "user_agent",
    "request_id",
    "authority",
    "upstream_host",
    "upstream_cluster",
    "upstream_local_address",
    "downstream_local_address",
    "downstream_remote_address",
    "requested_server_name",
    "route_name",
];

/// The fields of a row in Istio's text layout, in the order of [`KEYS`]; none if the line is no such row.
pub(crate) fn fields(line: &str) -> Option<Vec<String>> {
    let (start, mut rest) = line.trim_end().strip_prefix('[')?.split_once("] ")?;
    let mut fields = vec![start.to_owned()];
    while !rest.is_empty() {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        match fields.len() {
            1 => {
                let request: Vec<&str> = field.splitn(3, ' ').collect();
                fields.extend(request.iter().map(|part| (*part).to_owned()));
            }
            _ => fields.push(field.to_owned()),
        }
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
    (fields.len() == KEYS.len()).then_some(fields)
}

/// A row as JSON without some of its keys.
fn as_json(line: &str, without: &[&str]) -> Option<String> {
    let keyed = KEYS.into_iter().zip(fields(line)?);
    let row: Map<String, Value> = keyed
        .filter(|(key, _)| !without.contains(key))
        .map(|(key, text)| {
            let number = matches!(
                key,
                "response_code" | "bytes_received" | "bytes_sent" | "duration"
            );
            let value = match text.parse::<u64>() {
                _ if text == "-" && key != "response_flags" => Value::Null,
                Ok(number_of) if number => json!(number_of),
                _ => json!(text),
            };
            (key.to_owned(), value)
        })
        .collect();
    Some(Value::Object(row).to_string())
}

/// A row in the layout that Envoy writes unless it is told otherwise.
fn as_envoy(line: &str) -> Option<String> {
    let fields = fields(line)?;
    let [
        start,
        method,
        path,
        protocol,
        code,
        flags,
        _,
        _,
        _,
        received,
        sent,
        duration,
        upstream,
    ] = fields.first_chunk()?;
    let [.., forwarded, agent, id, authority, host, _, _, _, _, _, _] = fields.as_slice() else {
        return None;
    };
    Some(format!(
        "[{start}] \"{method} {path} {protocol}\" {code} {flags} {received} {sent} {duration} {upstream} \"{forwarded}\" \"{agent}\" \"{id}\" \"{authority}\" \"{host}\""
    ))
}

/// The report on a recorded incident whose rows are written otherwise, and the report on it as it was recorded: on its logs alone.
fn written_otherwise(case: &str, row: impl Fn(&str) -> Option<String>) -> [Value; 2] {
    let [otherwise, recorded] = [Scratch::new(), Scratch::new()];
    let mut changed = 0;
    for entry in std::fs::read_dir(case_input(case)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.contains(".log") {
            continue;
        }
        let name = name.trim_end_matches(".gz");
        let log = read(&path);
        let mut rewritten = String::new();
        for line in log.lines() {
            let other = row(line);
            changed += usize::from(other.is_some());
            rewritten += other.as_deref().unwrap_or(line);
            rewritten.push('\n');
        }
        otherwise.write(name, rewritten);
        recorded.write(name, log);
    }
    assert!(changed > 500, "{case}: {changed} rows are written otherwise");
    [otherwise, recorded].map(|scratch| scratch.report())
}

/// The answer and how many requests there were and failed.
fn answer_with_counts(report: &Value) -> ([String; 3], [Value; 2]) {
    let counts = ["/requests/total", "/requests/failed"].map(|at| report.pointer(at).cloned().unwrap());
    (answer(report), counts)
}

#[test]
fn callers_are_known_without_their_own_addresses() {
    for without in [
        &["upstream_local_address"][..],
        &["downstream_remote_address"],
        &[
            "upstream_local_address",
            "downstream_local_address",
            "downstream_remote_address",
        ],
    ] {
        for case in [
            "healthy-bookinfo",
            "circuit-breaker-overflow",
            "rbac-denied",
            "refused-app-port-mismatch",
            "route-case-mismatch",
        ] {
            let [otherwise, recorded] = written_otherwise(case, |line| as_json(line, without));
            assert_eq!(
                answer_with_counts(&otherwise),
                answer_with_counts(&recorded),
                "{case} without {without:?}"
            );
        }
    }
}

#[test]
fn a_row_of_nothing_is_of_the_service_that_its_proxy_serves() {
    let mut called = String::new();
    for i in 0..40 {
        let at_ms = 2000 + i * 50;
        writeln!(
            called,
            "[2026-11-02T03:00:{:02}.{:03}Z] \"- - -\" 0 NR filter_chain_not_found - \"-\" 0 0 0 - \"-\" \"-\" \"-\" \"-\" \"-\" - - 10.244.1.41:9080 10.244.1.11:{} - -",
            at_ms / 1000,
            at_ms % 1000,
            40_000 + i,
        )
        .unwrap();
    }
    let mut good = String::new();
    for i in 0..150 {
        let call = Call {
            at_ms: i * 10,
            ..Call::default()
        };
        call.write_called(&mut good);
    }
    let log = good + &called;
    let report = |without: &[&str]| {
        let rows: Vec<String> = log.lines().map(|line| as_json(line, without).unwrap()).collect();
        Scratch::with("ratings-0.istio-proxy.log", rows.join("\n")).report()
    };
    let [whole, part] = [report(&[]), report(&["downstream_local_address"])];
    assert_eq!(answer(&part), answer(&whole));
    assert_eq!(
        answer(&part)[2],
        "ratings.default.svc.cluster.local:9080",
        "{part:#}"
    );
}

#[test]
fn without_a_cluster_a_refused_connection_may_be_to_what_the_proxy_does_not_know() {
    let mut log = good_calls(0, 200);
    for i in 0..60 {
        writeln!(
            log,
            "[2026-11-02T03:00:{:02}.000Z] \"- - -\" 0 UH - - \"-\" 0 0 0 - \"-\" \"-\" \"-\" \"-\" \"-\" BlackHoleCluster - 203.0.113.10:443 10.244.1.11:{} example.com -",
            2 + i % 50,
            41_000 + i,
        )
        .unwrap();
    }
    let report = |without: &[&str]| {
        let rows: Vec<String> = log.lines().map(|line| as_json(line, without).unwrap()).collect();
        Scratch::with("web-0.istio-proxy.log", rows.join("\n")).report()
    };
    assert_eq!(text(&report(&[]), "/findings/0/cause"), "unknown-service");
    let untold = report(&["upstream_cluster"]);
    assert_eq!(text(&untold, "/verdict/state"), "symptoms-only");
}

#[test]
fn the_layout_of_envoy_tells_a_verdict_too() {
    for case in [
        "circuit-breaker-overflow",
        "healthy-bookinfo",
        "rbac-denied",
        "route-case-mismatch",
    ] {
        let [otherwise, recorded] = written_otherwise(case, as_envoy);
        assert_eq!(text(&otherwise, "/inputs/0/format"), "envoy-text", "{case}");
        let short = |report: &Value| {
            let [state, cause, destination] = answer(report);
            // Names of clusters are not there: a service is called as callers call it.
            let service = destination
                .split(['.', ':'])
                .next()
                .unwrap_or_default()
                .to_owned();
            [state, cause, service]
        };
        assert_eq!(short(&otherwise), short(&recorded), "{case}");
    }
}

#[test]
fn resets_of_all_connections_accuse_nobody_where_rows_do_not_name_them() {
    let reset = |i: u64| Call {
        connection: Some(40_000 + u16::try_from(i).unwrap()),
        host: "10.244.1.41:9080",
        ..Call::unsent(
            503,
            "UC",
            "upstream_reset_before_response_started{connection_termination}",
        )
    };
    let report = |of: &dyn Fn(u64) -> Call| {
        let mut log = good_calls(0, 200);
        for i in 0..100 {
            let call = Call {
                at_ms: 2000 + i * 50,
                ..of(i)
            };
            call.write(&mut log);
        }
        let rows: Vec<String> = log
            .lines()
            .map(|line| as_json(line, &["upstream_local_address"]).unwrap())
            .collect();
        Scratch::with("web-0.istio-proxy.log", rows.join("\n")).report()
    };
    let all = report(&reset);
    assert_eq!(text(&all, "/verdict/state"), "symptoms-only");
    assert_eq!(text(&all, "/findings/0/severity"), "info");
    let some = report(&|i| if i % 2 == 0 { reset(i) } else { Call::default() });
    assert_eq!(
        text(&some, "/findings/0/cause"),
        "upstream-reset",
        "half of them went well: it is no refusal of connections"
    );
    assert_ne!(text(&some, "/findings/0/severity"), "info");
}
