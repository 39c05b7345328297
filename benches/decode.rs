//! How fast a worker turns a block into records, for each form of line. The rows are generated, always the
//! same; three in a hundred are failures. What was read is counted and checked before any time is taken.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use postmesh::decode::log::{Content, Layout, Layouts, LogDecoder};
use std::hint::black_box;

/// Bytes of a block: fits the second-level cache, as the blocks of a run do.
const BLOCK_BYTES: usize = 1 << 20;

/// xorshift64: small, and the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        let place = self.below(choices.len() as u64);
        choices
            .iter()
            .zip(0..)
            .find(|(_, number)| *number == place)
            .map_or("", |(choice, _)| choice)
    }
}

/// What a row is made of, in the order of Istio's text line.
struct Row {
    time: String,
    request: [String; 2],
    code: u32,
    flags: &'static str,
    details: &'static str,
    reason: &'static str,
    received: u64,
    sent: u64,
    duration: u64,
    upstream_time: String,
    agent: &'static str,
    request_id: String,
    authority: String,
    host: String,
    cluster: String,
    upstream_local: String,
    downstream_local: String,
    downstream_remote: String,
    sni: String,
}

const REFUSED: &str = "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}";

fn row(numbers: &mut Numbers, count: u64) -> Row {
    let ms = count * 3;
    let service = numbers.one_of(&["reviews", "ratings", "details", "productpage", "checkout"]);
    let failed = numbers.below(100) < 3;
    let duration = numbers.below(900);
    let (id, id2) = (numbers.below(1 << 48), numbers.below(1 << 48));
    Row {
        time: format!(
            "2026-11-22T{:02}:{:02}:{:02}.{:03}",
            ms / 3_600_000 % 24,
            ms / 60_000 % 60,
            ms / 1000 % 60,
            ms % 1000
        ),
        request: [
            numbers.one_of(&["GET", "GET", "GET", "POST"]).to_owned(),
            format!("/api/v1/{service}/{}?page={}", numbers.below(100_000), numbers.below(50)),
        ],
        code: if failed { 503 } else { 200 },
        flags: if failed { "UF" } else { "-" },
        details: if failed { REFUSED } else { "via_upstream" },
        reason: if failed { "delayed_connect_error:_Connection_refused" } else { "-" },
        received: numbers.below(2000),
        sent: numbers.below(90_000),
        duration,
        upstream_time: if failed { "-".to_owned() } else { (duration - duration / 10).to_string() },
        agent: numbers.one_of(&[
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
            "python-requests/2.31.0",
            "Go-http-client/2.0",
        ]),
        request_id: format!("{:08x}-{:04x}-4{:03x}-9{:03x}-{id:012x}", id2 >> 16, id2 & 0xffff, id & 0xfff, id2 & 0xfff),
        authority: format!("{service}.shop.svc.cluster.local:9080"),
        host: format!("10.244.{}.{}:9080", numbers.below(4), numbers.below(250)),
        cluster: format!("outbound|9080||{service}.shop.svc.cluster.local"),
        upstream_local: format!("10.244.1.11:{}", 30_000 + numbers.below(30_000)),
        downstream_local: format!("10.96.14.{}:9080", numbers.below(50)),
        downstream_remote: format!("10.244.1.11:{}", 30_000 + numbers.below(30_000)),
        sni: format!("outbound_.9080_._.{service}.shop.svc.cluster.local"),
    }
}

fn text(row: &Row) -> String {
    let [method, path] = &row.request;
    let head = format!(
        "[{}Z] \"{method} {path} HTTP/1.1\" {} {} {} -",
        row.time, row.code, row.flags, row.details
    );
    let numbers = format!(
        "\"{}\" {} {} {} {}",
        row.reason, row.received, row.sent, row.duration, row.upstream_time
    );
    let quoted = format!(
        "\"-\" \"{}\" \"{}\" \"{}\" \"{}\"",
        row.agent, row.request_id, row.authority, row.host
    );
    let tail = format!(
        "{} {} {}",
        row.upstream_local, row.downstream_local, row.downstream_remote
    );
    format!(
        "{head} {numbers} {quoted} {} {tail} {} default\n",
        row.cluster, row.sni
    )
}

fn json(row: &Row) -> String {
    let unset = |text: &str| {
        if text == "-" {
            serde_json::Value::Null
        } else {
            text.into()
        }
    };
    let object = serde_json::json!({
        "authority": row.authority, "bytes_received": row.received, "bytes_sent": row.sent,
        "connection_termination_details": null, "downstream_local_address": row.downstream_local,
        "downstream_remote_address": row.downstream_remote, "duration": row.duration, "method": row.request[0],
        "path": row.request[1], "protocol": "HTTP/1.1", "request_id": row.request_id,
        "requested_server_name": row.sni, "response_code": row.code, "response_code_details": row.details,
        "response_flags": row.flags, "route_name": "default", "start_time": format!("{}Z", row.time),
        "upstream_cluster": row.cluster, "upstream_host": row.host,
        "upstream_local_address": row.upstream_local, "upstream_service_time": unset(&row.upstream_time),
        "upstream_transport_failure_reason": unset(row.reason), "user_agent": row.agent, "x_forwarded_for": null,
    });
    format!("{object}\n")
}

fn cri(row: &Row) -> String {
    format!("{}123456Z stdout F {}", row.time, text(row))
}

/// No fast path: the layout of Istio 1.2 to 1.7.
fn old_text(row: &Row) -> String {
    text(row).replacen(&format!(" {} - \"", row.details), " \"-\" \"", 1)
}

fn docker(row: &Row) -> String {
    let time = format!("{}123456Z", row.time);
    format!(
        "{{\"log\":{},\"stream\":\"stdout\",\"time\":\"{time}\"}}\n",
        serde_json::json!(text(row))
    )
}

fn debug(row: &Row) -> String {
    let place = format!(
        "external/envoy/source/common/http/conn_manager_impl.cc:{}",
        100 + row.sent % 900
    );
    let tags = format!(
        "[Tags: \"ConnectionId\":\"{}\",\"StreamId\":\"{}\"]",
        row.received,
        row.duration * 7_919_777
    );
    let message = format!(
        "{tags} request headers complete (end_stream=true): {}",
        row.request[1]
    );
    format!(
        "{}456Z\tdebug\tenvoy http {place}\t{message}\tthread=21\n",
        row.time
    )
}

type WriteLine = fn(&Row) -> String;

/// A block of lines, and how many there are and how many of them failed.
fn block(line: WriteLine) -> (Vec<u8>, [u64; 2]) {
    let (mut data, mut rows, mut failed) = (Vec::new(), 0, 0);
    let mut numbers = Numbers(88_172_645_463_325_252);
    while data.len() < BLOCK_BYTES {
        let row = row(&mut numbers, rows);
        data.extend_from_slice(line(&row).as_bytes());
        rows += 1;
        failed += u64::from(row.code == 503);
    }
    (data, [rows, failed])
}

/// Rows and failed rows, or component lines.
fn count(decoder: &mut LogDecoder, data: &[u8]) -> [u64; 2] {
    let (mut rows, mut failed) = (0, 0);
    decoder.decode_block(data, &mut |at, line| {
        match &line.content {
            Content::Access(row) => {
                rows += 1;
                failed += u64::from(row.code == 503);
            }
            Content::Component(_) => rows += 1,
            _ => {}
        }
        black_box((at, line));
    });
    [rows, failed]
}

fn measure(criterion: &mut Criterion, name: &str, line: WriteLine, make: fn() -> LogDecoder) {
    let (data, [rows, failed]) = block(line);
    let mut decoder = make();
    let failed = if name == "debug" { 0 } else { failed };
    assert_eq!(count(&mut decoder, &data), [rows, failed], "{name}");
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Bytes(data.len() as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| count(&mut decoder, black_box(&data)));
    });
    group.finish();
}

/// Istio's text layout as if it were the user's own.
fn by_format() -> LogDecoder {
    const FORMAT: &str = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% \
        %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% \
        %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \
        \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% \
        %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%";
    let layout = Layout::compile(FORMAT);
    assert!(layout.is_ok(), "{layout:?}");
    LogDecoder::with_layouts(&Layouts::new(layout.ok()))
}

fn decode(criterion: &mut Criterion) {
    let forms: [(&str, WriteLine); 6] = [
        ("text", text),
        ("json", json),
        ("cri", cri),
        ("old-text", old_text),
        ("docker", docker),
        ("debug", debug),
    ];
    for (name, line) in forms {
        measure(criterion, name, line, LogDecoder::default);
    }
    measure(criterion, "text-by-format", text, by_format);
    measure(criterion, "text-portable", text, LogDecoder::portable);
    measure(criterion, "json-portable", json, LogDecoder::portable);
}

criterion_group!(benches, decode);
criterion_main!(benches);
