//! How fast signatures are found: in fields of access rows, in component lines at debug level, and in further
//! lines of messages. Each result is checked before it is timed.
#![expect(
    clippy::expect_used,
    reason = "a benchmark without its subject has nothing to measure"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use postmesh::catalog::Catalog;
use postmesh::decode::log::{AccessFormat, AccessRow, Component, ComponentLine, Level};
use postmesh::matcher::Matcher;
use std::hint::black_box;

/// First lines of messages that Envoy writes at debug level for every request; no signature is in them.
const MESSAGES: [&str; 20] = [
    r#"[Tags: "ConnectionId":"%"] new stream"#,
    r#"[Tags: "ConnectionId":"%","StreamId":"%"] request headers complete (end_stream=true):"#,
    r#"[Tags: "ConnectionId":"%","StreamId":"%"] request end stream timestamp recorded"#,
    r#"[Tags: "ConnectionId":"0","StreamId":"%"] cluster 'outbound|9080||ratings.default.svc.cluster.local' match for URL '/ratings/%'"#,
    r#"[Tags: "ConnectionId":"0","StreamId":"%"] router decoding headers:"#,
    r#"[Tags: "ConnectionId":"%"] using existing fully connected connection"#,
    r#"[Tags: "ConnectionId":"%"] creating stream"#,
    r#"[Tags: "ConnectionId":"0","StreamId":"%"] pool ready"#,
    r#"[Tags: "ConnectionId":"%"] upstream headers complete: end_stream=false"#,
    r#"[Tags: "ConnectionId":"%","StreamId":"%"] encoding headers via codec (end_stream=false):"#,
    r#"[Tags: "ConnectionId":"%","StreamId":"%"] Codec completed encoding stream."#,
    r#"[Tags: "ConnectionId":"%"] response complete"#,
    r#"[Tags: "ConnectionId":"%"] destroying stream: 0 remaining"#,
    r#"[Tags: "ConnectionId":"%"] connecting to 10.244.1.9:9080"#,
    r#"[Tags: "ConnectionId":"%"] connection in progress"#,
    r#"[Tags: "ConnectionId":"%"] handshake complete"#,
    "transport socket match, socket tlsMode-istio selected for host with address 10.244.1.9:9080",
    "tls:onServerName(), requestedServerName: outbound_.9080_._.ratings.default.svc.cluster.local",
    "checking rbac: requestedServerName: outbound_.9080_._.ratings.default.svc.cluster.local, sourceIP: 10.244.1.8:%, remoteIP: 10.244.1.8:%, localAddress: 10.244.1.9:9080, ssl: uriSanPeerCertificate: spiffe://cluster.local/ns/default/sa/bookinfo-reviews",
    "enforced allowed, matched policy ns[default]-policy[allow-reviews]-rule[0]",
];

/// Their further lines.
const HEADERS: [&str; 8] = [
    "':authority', 'ratings:9080'",
    "':path', '/ratings/%'",
    "':method', 'GET'",
    "'x-request-id', '9de07a8b-23d1-4400-a583-%'",
    "'user-agent', 'python-requests/2.31.0'",
    "'x-envoy-attempt-count', '1'",
    "'x-forwarded-client-cert', 'By=spiffe://cluster.local/ns/default/sa/bookinfo-ratings;Hash=5f8b;Subject=\"\";URI=spiffe://cluster.local/ns/default/sa/bookinfo-reviews'",
    "'x-envoy-upstream-service-time', '%'",
];

/// A line in two hundred of an incident.
const FAILURE: &str = "envoy bug failure: false. Details: socket(2) failed, got error: Too many open files";

/// Details with their failure reason, as recorded with Envoy 1.40.
const FAILED: [(&str, Option<&str>); 5] = [
    ("no_healthy_upstream", None),
    ("upstream_reset_before_response_started{connection_timeout}", None),
    (
        "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
        Some("delayed_connect_error:_Connection_refused"),
    ),
    (
        "upstream_reset_before_response_started{remote_connection_failure|TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_certificate_has_expired:TLS_error_end}",
        Some(
            "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_certificate_has_expired:TLS_error_end",
        ),
    ),
    ("http2.remote_reset", None),
];

const LINES: usize = 20_000;
const FAILURE_EVERY: usize = 200;

/// Lines made of templates in turn, `%` being a number that changes.
fn lines(templates: &[&str]) -> Vec<Vec<u8>> {
    let line = |i: usize| match i % FAILURE_EVERY {
        0 => FAILURE.to_owned(),
        _ => templates[i % templates.len()]
            .replace('%', &(i.wrapping_mul(2_654_435_761) % 100_000).to_string()),
    };
    (0..LINES).map(|i| line(i).into_bytes()).collect()
}

fn row(details: &'static str, failure_reason: Option<&'static str>) -> AccessRow<'static> {
    AccessRow {
        format: AccessFormat::IstioText,
        start: None,
        method: None,
        path: None,
        protocol: None,
        code: 503,
        flags: None,
        details: Some(details.as_bytes()),
        termination: None,
        failure_reason: failure_reason.map(str::as_bytes),
        bytes_received: 0,
        bytes_sent: 0,
        duration_ms: None,
        upstream_ms: None,
        request_id: None,
        authority: None,
        user_agent: None,
        upstream_host: None,
        cluster: Some(b"outbound|9080||ratings.default.svc.cluster.local"),
        upstream_local: None,
        downstream_local: None,
        downstream_remote: None,
        sni: None,
        route: None,
        grpc_status: None,
        class_spans: None,
    }
}

fn examined_bytes(row: &AccessRow<'_>) -> u64 {
    let fields = [row.details, row.failure_reason, row.cluster];
    fields.into_iter().flatten().map(|field| field.len() as u64).sum()
}

fn matcher() -> Matcher {
    Matcher::new(&Catalog::built_in().expect("the catalogue loads")).expect("the automata are built")
}

fn component_lines(criterion: &mut Criterion) {
    let matcher = matcher();
    let lines = lines(&MESSAGES);
    let mut hits = Vec::new();
    let mut count = || {
        let of_line = |message: &Vec<u8>| {
            let (component, level) = (Component::Envoy, Level::Error);
            matcher.component(
                &ComponentLine {
                    component,
                    time: None,
                    level,
                    scope: b"http",
                    message,
                },
                &mut hits,
            );
            hits.len()
        };
        lines.iter().map(of_line).sum::<usize>()
    };
    assert_eq!(
        count(),
        2 * LINES / FAILURE_EVERY,
        "ev-assert and ev-socket2 on each failure, nothing else"
    );
    let mut group = criterion.benchmark_group("matcher");
    group.throughput(Throughput::Bytes(
        lines.iter().map(|line| line.len() as u64).sum(),
    ));
    group.bench_function("component lines", |bencher| bencher.iter(|| black_box(count())));
    group.finish();
}

fn further_lines(criterion: &mut Criterion) {
    let matcher = matcher();
    let lines = lines(&HEADERS);
    let mut hits = Vec::new();
    let mut count = || {
        let of_line = |line: &Vec<u8>| {
            matcher.text(line, &mut hits);
            hits.len()
        };
        lines.iter().map(of_line).sum::<usize>()
    };
    assert_eq!(
        count(),
        LINES / FAILURE_EVERY,
        "ev-socket2 alone: no level is known"
    );
    let mut group = criterion.benchmark_group("matcher");
    group.throughput(Throughput::Bytes(
        lines.iter().map(|line| line.len() as u64).sum(),
    ));
    group.bench_function("further lines", |bencher| bencher.iter(|| black_box(count())));
    group.finish();
}

fn access_rows(criterion: &mut Criterion) {
    let matcher = matcher();
    let failed: Vec<_> = FAILED
        .iter()
        .map(|(details, reason)| row(details, *reason))
        .collect();
    let cases = [
        ("good rows", vec![row("via_upstream", None)], 0),
        ("failed rows", failed, FAILED.len()),
    ];
    for (name, rows, expected) in cases {
        let mut hits = Vec::new();
        let mut count = || {
            let of_row = |row: &AccessRow<'_>| {
                matcher.access(row, &mut hits);
                hits.len()
            };
            rows.iter().map(of_row).sum::<usize>()
        };
        assert_eq!(count(), expected, "one signature a failed row");
        let mut group = criterion.benchmark_group("matcher");
        group.throughput(Throughput::Bytes(rows.iter().map(examined_bytes).sum()));
        group.bench_function(name, |bencher| bencher.iter(|| black_box(count())));
        group.finish();
    }
}

fn catalogue(criterion: &mut Criterion) {
    let catalog = Catalog::built_in().expect("the catalogue loads");
    assert!(Matcher::new(&catalog).is_ok());
    let mut group = criterion.benchmark_group("start");
    group.bench_function("catalogue", |bencher| {
        bencher.iter(|| black_box(Catalog::built_in().is_ok()));
    });
    group.bench_function("matcher", |bencher| {
        bencher.iter(|| black_box(Matcher::new(&catalog).is_ok()));
    });
    group.finish();
}

criterion_group!(benches, component_lines, further_lines, access_rows, catalogue);
criterion_main!(benches);
