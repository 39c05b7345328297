//! Lines for the tests of this stage: shapes seen in public issues, documentation and recorded incidents, with
//! names and addresses changed; and what they mean, in one line of text.

use super::{AccessRow, Content, Line, LineAt, LogDecoder};

/// Rows in text, and what they hold as [`summary`] tells it.
pub(super) const ROWS: &[(&str, &str)] = &[
    // Istio 1.9 and later: HTTP, client side.
    (
        r#"[2026-11-22T16:50:43.147Z] "GET /reviews/42 HTTP/1.1" 200 - via_upstream - "-" 0 538 8 6 "-" "python-requests/2.31.0" "54c6650c-4813-4bb7-b9b4-bb60b254f50c" "reviews:9080" "10.244.2.22:9080" outbound|9080||reviews.default.svc.cluster.local 10.244.1.11:44544 10.96.14.20:9080 10.244.1.11:60374 - default"#,
        "istio-text 2026-11-22T16:50:43.147000Z GET /reviews/42 HTTP/1.1 200 - via_upstream - - 0 538 8 6 python-requests/2.31.0 54c6650c-4813-4bb7-b9b4-bb60b254f50c reviews:9080 10.244.2.22:9080 outbound|9080||reviews.default.svc.cluster.local 10.244.1.11:44544 10.96.14.20:9080 10.244.1.11:60374 - default",
    ),
    // A user agent with blanks, a called proxy's row.
    (
        r#"[2019-02-15T09:06:04.079Z] "POST /details/0 HTTP/2" 503 UC upstream_reset_before_response_started{connection_termination} - "-" 138 95 120001 - "10.0.0.1,10.0.0.2" "Mozilla/5.0 (X11; Linux x86_64) Gecko" "18710783-58a1-9e5f-992c-9ceff05b74c5" "details:9080" "10.34.127.167:8080" inbound|8080|| 127.0.0.6:58719 10.34.127.167:8080 10.34.126.119:57080 outbound_.8080_._.details.default.svc.cluster.local default"#,
        "istio-text 2019-02-15T09:06:04.079000Z POST /details/0 HTTP/2 503 UC upstream_reset_before_response_started{connection_termination} - - 138 95 120001 - Mozilla/5.0·(X11;·Linux·x86_64)·Gecko 18710783-58a1-9e5f-992c-9ceff05b74c5 details:9080 10.34.127.167:8080 inbound|8080|| 127.0.0.6:58719 10.34.127.167:8080 10.34.126.119:57080 outbound_.8080_._.details.default.svc.cluster.local default",
    ),
    // A TCP connection that was never made, with a set of flags.
    (
        r#"[2024-01-27T14:15:24.881Z] "- - -" 0 UF,URX - - "TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end" 0 0 10000 - "-" "-" "-" "-" "10.43.0.1:27018" outbound|27018||db.example.org - 240.240.40.99:27018 10.42.0.10:34145 - -"#,
        "istio-text 2024-01-27T14:15:24.881000Z - - - 0 UF,URX - - TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end 0 0 10000 - - - - 10.43.0.1:27018 outbound|27018||db.example.org - 240.240.40.99:27018 10.42.0.10:34145 - -",
    ),
    // Waypoint: envoy:// addresses, the `;` of a statistics name, IPv6.
    (
        r#"[2025-03-20T15:37:23.708Z] "GET / HTTP/1.1" 200 - via_upstream - "-" 0 162 1 1 "-" "curl/8.7.1" "3a029828-3b3c-4acf-a9c6-6c9ed188e3f8" "shop.example:8000" "envoy://connect_originate/10.244.3.101:8080" inbound-vip|8000|http|shop.example.svc.cluster.local; envoy://internal_client_address/ [2001:db8::1]:8000 [2001:db8::2]:53454 - default"#,
        "istio-text 2025-03-20T15:37:23.708000Z GET / HTTP/1.1 200 - via_upstream - - 0 162 1 1 curl/8.7.1 3a029828-3b3c-4acf-a9c6-6c9ed188e3f8 shop.example:8000 envoy://connect_originate/10.244.3.101:8080 inbound-vip|8000|http|shop.example.svc.cluster.local envoy://internal_client_address/ [2001:db8::1]:8000 [2001:db8::2]:53454 - default",
    ),
    // An empty forwarded-for, a remote address without an ip.
    (
        r#"[2025-05-25T04:53:18.841Z] "GET /api/users HTTP/1.1" 503 UH no_healthy_upstream - "-" 0 19 0 - "" "" "63377970-9d0f-4591-a4d4-039b4321863d" "forum:80" "-" outbound|80||forum.svc.cluster.local - 10.10.200.72:80 :0 - default"#,
        r#"istio-text 2025-05-25T04:53:18.841000Z GET /api/users HTTP/1.1 503 UH no_healthy_upstream - - 0 19 0 - "" 63377970-9d0f-4591-a4d4-039b4321863d forum:80 - outbound|80||forum.svc.cluster.local - 10.10.200.72:80 :0 - default"#,
    ),
    // Quotes and delimiters inside path and user agent.
    (
        r#"[2025-05-25T04:53:18.841Z] "GET /a"b"?q=" 200 HTTP/1.1" 404 NR route_not_found - "-" 0 0 0 - "10.0.0.9" "x" "y" 7 "z" "rid" "a.example" "-" - - 10.96.92.93:80 10.244.0.9:57964 - -"#,
        r#"istio-text 2025-05-25T04:53:18.841000Z GET /a"b"?q="·200 HTTP/1.1 404 NR route_not_found - - 0 0 0 - x"·"y"·7·"z rid a.example - - - 10.96.92.93:80 10.244.0.9:57964 - -"#,
    ),
    // Blanks in the termination detail.
    (
        r#"[2025-05-25T04:53:18.841Z] "- - -" 0 - - transport socket timeout was reached "-" 0 0 10001 - "-" "-" "-" "-" "-" - - 10.96.92.93:443 10.244.0.9:57964 a.example -"#,
        "istio-text 2025-05-25T04:53:18.841000Z - - - 0 - - transport·socket·timeout·was·reached - 0 0 10001 - - - - - - - 10.96.92.93:443 10.244.0.9:57964 a.example -",
    ),
    // A vendor's four tokens more.
    (
        r#"[2022-10-18T20:16:39.453Z] "- - -" 0 UF,URX - - "-" 0 0 10000 - "-" "-" "-" "-" "192.0.2.65:9092" PassthroughCluster - 192.0.2.65:9092 10.128.2.32:59026 - - - -"#,
        "istio-text 2022-10-18T20:16:39.453000Z - - - 0 UF,URX - - - 0 0 10000 - - - - 192.0.2.65:9092 PassthroughCluster - 192.0.2.65:9092 10.128.2.32:59026 - -",
    ),
    // Istio 1.8.
    (
        r#"[2021-04-14T06:12:07.636Z] "- - -" 0 UF "delayed_connect_error:_111" 1591 4393 94 - "-" "-" "-" "-" "172.30.1.1:27017" outbound|27017||mongo.tcp.svc 172.30.146.119:59924 172.30.146.119:443 172.30.230.1:59206 - default"#,
        "istio-text-1.8 2021-04-14T06:12:07.636000Z - - - 0 UF - - delayed_connect_error:_111 1591 4393 94 - - - - 172.30.1.1:27017 outbound|27017||mongo.tcp.svc 172.30.146.119:59924 172.30.146.119:443 172.30.230.1:59206 - default",
    ),
    // Istio 1.3 to 1.7, with mixer's status.
    (
        r#"[2020-11-22T20:04:32.765Z] "GET /products HTTP/1.1" 500 - "UNAVAILABLE:no healthy upstream" "-" 0 122 11939 11933 "-" "PostmanRuntime/7.26.8" "66fa4542-266e-9364-8447-e7d63047b344" "172.17.0.2:30164" "127.0.0.1:8080" inbound|8080|http-8080|shop.default.svc.cluster.local 127.0.0.1:52034 172.18.0.10:8080 172.18.0.1:37035 - default"#,
        "istio-text-1.2 2020-11-22T20:04:32.765000Z GET /products HTTP/1.1 500 - - - - 0 122 11939 11933 PostmanRuntime/7.26.8 66fa4542-266e-9364-8447-e7d63047b344 172.17.0.2:30164 127.0.0.1:8080 inbound|8080|http-8080|shop.default.svc.cluster.local 127.0.0.1:52034 172.18.0.10:8080 172.18.0.1:37035 - default",
    ),
    // Istio 1.2: no route name.
    (
        r#"[2019-06-22T20:04:32.765Z] "- - -" 0 - "-" "-" 906 1352475 35 - "-" "-" "-" "-" "151.101.193.67:443" outbound|443||edition.example.com 172.30.223.53:39460 172.30.223.53:443 172.30.223.58:38138 edition.example.com"#,
        "istio-text-1.2 2019-06-22T20:04:32.765000Z - - - 0 - - - - 906 1352475 35 - - - - 151.101.193.67:443 outbound|443||edition.example.com 172.30.223.53:39460 172.30.223.53:443 172.30.223.58:38138 edition.example.com -",
    ),
    // Istio 1.1: mixer's status alone, which is no failure reason.
    (
        r#"[2019-03-06T09:31:27.360Z] "GET /status/418 HTTP/1.1" 418 - "OK" 0 135 5 2 "-" "curl/7.60.0" "d209e46f-9ed5-9b61-bbdd-43e22662702a" "httpbin:8000" "127.0.0.1:80" inbound|8000|http|httpbin.default.svc.cluster.local - 172.30.146.73:80 172.30.146.82:38618 outbound_.8000_._.httpbin.default.svc.cluster.local"#,
        "istio-text-1.0 2019-03-06T09:31:27.360000Z GET /status/418 HTTP/1.1 418 - - - - 0 135 5 2 curl/7.60.0 d209e46f-9ed5-9b61-bbdd-43e22662702a httpbin:8000 127.0.0.1:80 inbound|8000|http|httpbin.default.svc.cluster.local - 172.30.146.73:80 172.30.146.82:38618 outbound_.8000_._.httpbin.default.svc.cluster.local -",
    ),
    // Istio 1.1 pre-releases.
    (
        r#"[2019-01-24T12:48:54.977Z] "- - -" 0 - 601 17766 1289 - "-" "-" "-" "-" "172.217.161.36:443" outbound|443||www.example.com 172.30.109.82:59480 172.217.161.36:443 172.30.109.82:59478 www.example.com"#,
        "istio-text-1.0 2019-01-24T12:48:54.977000Z - - - 0 - - - - 601 17766 1289 - - - - 172.217.161.36:443 outbound|443||www.example.com 172.30.109.82:59480 172.217.161.36:443 172.30.109.82:59478 www.example.com -",
    ),
    // Istio 1.0: path and protocol in one.
    (
        r#"[2018-12-17T07:32:46.204Z] "GET /a/bHTTP/1.1" 503 UH 0 19 0 - "-" "curl/7.52.1" "90268738-bcc8-4990-94ff-3b122f58564d" "test.example.com" "-" - - 192.0.2.110:80 10.40.190.180:59570"#,
        "istio-text-1.0 2018-12-17T07:32:46.204000Z GET /a/b HTTP/1.1 503 UH - - - 0 19 0 - curl/7.52.1 90268738-bcc8-4990-94ff-3b122f58564d test.example.com - - - 192.0.2.110:80 10.40.190.180:59570 - -",
    ),
    // Istio 1.0, TCP.
    (
        r#"[2018-12-07T10:38:02.841Z] UF 702 87599 92 "172.30.109.95:3128" outbound|3128||proxy.example.com 172.30.230.52:44478 172.30.109.95:3128 172.30.230.52:44476"#,
        "istio-text-1.0 2018-12-07T10:38:02.841000Z - - - 0 UF - - - 702 87599 92 - - - - 172.30.109.95:3128 outbound|3128||proxy.example.com 172.30.230.52:44478 172.30.109.95:3128 172.30.230.52:44476 - -",
    ),
    // Envoy's own, and with a column of details.
    (
        r#"[2016-04-15T20:17:00.310Z] "POST /api/v1/locations HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "nsq2http" "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "locations" "tcp://10.0.2.1:80""#,
        "envoy-text 2016-04-15T20:17:00.310000Z POST /api/v1/locations HTTP/2 204 - - - - 154 0 226 100 nsq2http cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2 locations tcp://10.0.2.1:80 - - - - - -",
    ),
    (
        r#"[2024-07-20T07:05:54.173Z] "GET /slow?delayMs=5000 HTTP/1.1" 504 UT response_timeout 0 24 4497 - "-" "curl/8.4.0" "6d67d674-2122-4a2d-b172-0be70c674371" "localhost:8000" "172.27.0.2:8080""#,
        "envoy-text 2024-07-20T07:05:54.173000Z GET /slow?delayMs=5000 HTTP/1.1 504 UT response_timeout - - 0 24 4497 - curl/8.4.0 6d67d674-2122-4a2d-b172-0be70c674371 localhost:8000 172.27.0.2:8080 - - - - - -",
    ),
];

/// Rows in JSON, and what they hold.
pub(super) const JSON_ROWS: &[(&str, &str)] = &[
    // Sorted keys, typed values.
    (
        r#"{"authority":"details:9080","bytes_received":0,"bytes_sent":647,"connection_termination_details":null,"downstream_local_address":"10.244.1.41:9080","downstream_remote_address":"10.244.1.11:45080","duration":10,"method":"GET","path":"/details/9","protocol":"HTTP/2","request_id":"0052ee9e-a37c-43de-b3f7-ddac0e3fefee","requested_server_name":"outbound_.9080_._.details.default.svc.cluster.local","response_code":200,"response_code_details":"via_upstream","response_flags":"-","route_name":"default","start_time":"2026-11-22T17:00:25.336Z","upstream_cluster":"inbound|9080||","upstream_host":"10.244.1.41:9080","upstream_local_address":"127.0.0.6:42336","upstream_service_time":"8","upstream_transport_failure_reason":null,"user_agent":"python-requests/2.31.0","x_forwarded_for":null}"#,
        "istio-json 2026-11-22T17:00:25.336000Z GET /details/9 HTTP/2 200 - via_upstream - - 0 647 10 8 python-requests/2.31.0 0052ee9e-a37c-43de-b3f7-ddac0e3fefee details:9080 10.244.1.41:9080 inbound|9080|| 127.0.0.6:42336 10.244.1.41:9080 10.244.1.11:45080 outbound_.9080_._.details.default.svc.cluster.local default",
    ),
    // Before 1.8: strings alone, any order; a statistics name; escapes.
    (
        r#"{"bytes_sent":"31","upstream_cluster":"outbound|80||x;","downstream_remote_address":"100.100.0.0:54652","authority":"loki.example.com","path":"\/api\u002fpush","protocol":"HTTP/1.1","upstream_service_time":"-","upstream_local_address":"-","duration":"0","downstream_local_address":"100.108.0.25:443","upstream_transport_failure_reason":"-","route_name":"-","response_code":"503","user_agent":"say \"hi\"","response_flags":"UAEX","start_time":"2019-11-19T03:27:35.402Z","method":"POST","request_id":"639632b6-8795-45e9-8435-fb5b07aede5e","upstream_host":"-","x_forwarded_for":"100.100.0.0","requested_server_name":"loki.example.com","bytes_received":"0","istio_policy_status":"\"UNAVAILABLE:no healthy upstream\""}"#,
        r#"istio-json 2019-11-19T03:27:35.402000Z POST /api/push HTTP/1.1 503 UAEX - - - 0 31 0 - say·"hi" 639632b6-8795-45e9-8435-fb5b07aede5e loki.example.com - outbound|80||x - 100.108.0.25:443 100.100.0.0:54652 loki.example.com -"#,
    ),
    // Floats, unknown keys (nested too), white space, missing keys, gRPC by name, an empty string.
    (
        r#"{ "response_code": 200.0, "duration": 1e+06, "bytes_sent": 12.7, "labels": {"a": [1, "}"], "b": {"c": null}}, "sampled": true, "grpc_status": "DEADLINE_EXCEEDED", "response_flags": "DC", "user_agent": "", "start_time": "2024-01-02T03:04:05.123456Z" }"#,
        r#"istio-json 2024-01-02T03:04:05.123456Z - - - 200 DC - - - 0 12 1000000 - "" - - - - - - - - - grpc=4"#,
    ),
    // Istio 1.1.0 put the time under `method`; gRPC by number.
    (
        r#"{"method":"2019-03-20T10:00:00.000Z","path":"/a","response_code":"0","response_flags":"DC","grpc_status_number":14}"#,
        "istio-json - - /a - 0 DC - - - 0 0 - - - - - - - - - - - - grpc=14",
    ),
];

/// Component lines in the forms that can be told from text.
pub(super) const COMPONENT_LINES: &[&str] = &[
    "2026-11-22T16:50:40.687252Z\twarning\tenvoy main source/server/server.cc:1059\tThere is no configured limit.\tthread=13042",
    "2024-05-04T09:59:05.028709Z    info    cache   generated new workload certificate      latency=44ms",
    "[2024-05-04 09:59:05.028][17][critical][assert] [external/envoy/source/x.cc:12] assert failure: x",
    "[Envoy (Epoch 0)] [2019-02-03 01:02:03.004][17][warning][config] gRPC config stream closed: 14",
    r#"{"level":"warn","time":"2026-08-10T08:19:58.950669Z","scope":"envoy config","msg":"gRPC \"config\" stream closed"}"#,
    r#"{"severity":"info","timestamp":"2026-08-10T08:19:58.950669Z","logger":"ads","message":"XDS: Pushing"}"#,
];

/// Everything that a row holds but for its class spans: fields in the order of Istio's text line, `-` for none,
/// `""` for empty, `·` for a blank; a gRPC status at the end if there is one.
pub(super) fn summary(row: &AccessRow<'_>) -> String {
    let text = |field: Option<&[u8]>| match field {
        None => "-".to_owned(),
        Some(b"") => "\"\"".to_owned(),
        Some(text) => text
            .escape_ascii()
            .to_string()
            .replace("\\\"", "\"")
            .replace(' ', "·"),
    };
    let number = |field: Option<u64>| field.map_or("-".to_owned(), |number| number.to_string());
    let start = row.start.map_or("-".to_owned(), |start| start.to_string());
    let mut parts = vec![
        row.format.name().to_owned(),
        start,
        text(row.method),
        text(row.path),
        text(row.protocol),
    ];
    parts.extend([
        row.code.to_string(),
        text(row.flags),
        text(row.details),
        text(row.termination),
    ]);
    parts.extend([
        text(row.failure_reason),
        row.bytes_received.to_string(),
        row.bytes_sent.to_string(),
    ]);
    parts.extend([
        number(row.duration_ms),
        number(row.upstream_ms),
        text(row.user_agent),
        text(row.request_id),
    ]);
    parts.extend([
        text(row.authority),
        text(row.upstream_host),
        text(row.cluster),
        text(row.upstream_local),
    ]);
    parts.extend([
        text(row.downstream_local),
        text(row.downstream_remote),
        text(row.sni),
        text(row.route),
    ]);
    parts.extend(row.grpc_status.map(|status| format!("grpc={status}")));
    parts.join(" ")
}

/// What a line of a block turned out to be, in text.
pub(super) fn describe(at: &LineAt<'_>, line: &Line<'_>) -> String {
    let content = match &line.content {
        Content::Access(row) => summary(row),
        other => format!("{other:?}"),
    };
    format!(
        "{} {:?} {:?} {content}",
        at.offset,
        at.text.escape_ascii().to_string(),
        line.wrapping
    )
}

/// What the lines of a block turn out to be.
pub(super) fn describe_block(decoder: &mut LogDecoder, data: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    decoder.decode_block(data, &mut |at, line| found.push(describe(at, line)));
    found
}
