//! Whole conversations: made by other programs (see `fixtures/README.md`), written by hand, cut and damaged in any way.

use super::{Chunk, Conversation, DnsPairing};
use crate::decode::packet::{Address, Endpoint, FrameRef, Packet, PayloadRange, Transport};
use crate::streams::CapturePoint;
use crate::streams::record::{Application, DnsExchange, DnsOutcome, MAX_EXCHANGES, Protocol, Side};
use crate::units::{InputId, Timestamp};
use Side::{Client, Server};
use proptest::prelude::*;

const MS: i64 = 1_000_000;

/// What a side sent at once.
type Line = (Side, Vec<u8>);

fn fixture(text: &str) -> Vec<Line> {
    let nibble = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
    text.lines()
        .map(|line| {
            let (side, hex) = line.split_once(' ').unwrap();
            let bytes = hex
                .as_bytes()
                .chunks(2)
                .map(|pair| nibble(pair[0]) << 4 | nibble(pair[1]))
                .collect();
            (if side == "C" { Client } else { Server }, bytes)
        })
        .collect()
}

fn fixtures() -> [(&'static str, Vec<Line>); 6] {
    [
        ("tls12", fixture(include_str!("fixtures/tls12.txt"))),
        (
            "tls12_unknown_ca",
            fixture(include_str!("fixtures/tls12_unknown_ca.txt")),
        ),
        (
            "tls12_resumed",
            fixture(include_str!("fixtures/tls12_resumed.txt")),
        ),
        ("tls13", fixture(include_str!("fixtures/tls13.txt"))),
        (
            "tls13_unknown_client_ca",
            fixture(include_str!("fixtures/tls13_unknown_client_ca.txt")),
        ),
        ("http2", fixture(include_str!("fixtures/http2.txt"))),
    ]
}

fn named(name: &str) -> Vec<Line> {
    fixtures()
        .into_iter()
        .find(|(other, _)| *other == name)
        .unwrap()
        .1
}

fn lines(lines: &[(Side, &[u8])]) -> Vec<Line> {
    lines
        .iter()
        .map(|(side, bytes)| (*side, bytes.to_vec()))
        .collect()
}

fn endpoint(last: u8, port: u16) -> Endpoint {
    Endpoint {
        address: Address::v4([10, 0, 0, last]),
        port,
    }
}

fn at(frame: u64) -> FrameRef {
    FrameRef {
        input: InputId(0),
        frame,
    }
}

fn conversation(port: u16) -> Conversation {
    Conversation::new(CapturePoint(0), endpoint(1, 40_000), endpoint(2, port))
}

/// Line N is frame N + 1, at N ms. `cut` says how many of a line's bytes come next.
fn deliver(conversation: &mut Conversation, lines: &[Line], mut cut: impl FnMut(usize) -> usize) {
    for (number, (side, bytes)) in (0_u32..).zip(lines) {
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (part, after) = rest.split_at(cut(rest.len()).clamp(1, rest.len()));
            rest = after;
            conversation.chunk(&Chunk {
                side: *side,
                bytes: part,
                time: Some(Timestamp(i64::from(number) * MS)),
                at: at(u64::from(number) + 1),
            });
        }
    }
}

fn close(conversation: &mut Conversation, side: Side, frame: u32) {
    conversation.closed(
        side,
        false,
        Some(Timestamp(i64::from(frame) * MS)),
        at(frame.into()),
    );
}

fn told(lines: &[Line]) -> Application {
    let mut conversation = conversation(9080);
    deliver(&mut conversation, lines, |length| length);
    conversation.finish()
}

fn shown(application: &Application) -> String {
    format!("{application:?}")
}

#[test]
fn tls_1_2_shows_certificates_and_names() {
    let application = told(&named("tls12"));
    assert_eq!(application.protocol, Protocol::Tls);
    let tls = application.tls.unwrap();
    assert_eq!(
        tls.sni.as_deref(),
        Some("outbound_.9080_._.ratings.default.svc.cluster.local")
    );
    assert_eq!(tls.alpn_offered, ["istio", "http/1.1"]);
    assert_eq!(tls.alpn.as_deref(), Some("istio"));
    assert_eq!((tls.version_offered, tls.version), (Some(0x0303), Some(0x0303)));
    assert_eq!(
        (tls.client_hellos, tls.server_hellos, tls.resumed, tls.established),
        (1, 1, false, true)
    );
    assert_eq!(
        tls.handshake_ns,
        Some(3_000_000),
        "to the server's Finished, three writes later"
    );
    assert_eq!(
        (
            tls.encrypted_alerts,
            tls.alerts.len(),
            tls.encrypted_alert_then_close
        ),
        (2, 0, None)
    );
    let of = |side| {
        tls.certificates
            .iter()
            .filter(move |(sender, _)| *sender == side)
            .map(|(_, facts)| facts)
    };
    let server: Vec<_> = of(Server).collect();
    assert_eq!(
        server[0].san,
        [
            "spiffe://cluster.local/ns/default/sa/ratings",
            "ratings.default.svc"
        ]
    );
    assert_eq!(
        (server[0].subject.as_str(), server[0].issuer.as_str()),
        ("", "O=cluster.local")
    );
    assert_eq!(
        (server[0].not_before_s, server[0].not_after_s),
        (1_767_225_600, 2_082_585_600)
    );
    assert!(server[0].leaf);
    assert_eq!(
        of(Client).next().unwrap().san[0],
        "spiffe://cluster.local/ns/default/sa/web"
    );
}

#[test]
fn an_alert_in_clear_has_a_sender_and_a_place() {
    let tls = told(&named("tls12_unknown_ca")).tls.unwrap();
    let alert = tls.alerts[0];
    assert_eq!(
        (alert.side, alert.level, alert.description, alert.at),
        (Client, 2, 48, at(3))
    );
    assert!(!tls.established);
}

#[test]
fn a_resumed_session_is_told() {
    let tls = told(&named("tls12_resumed")).tls.unwrap();
    assert!(tls.resumed && tls.established);
    assert!(tls.certificates.is_empty());
    assert_eq!(tls.handshake_ns, Some(1_000_000));
}

#[test]
fn tls_1_3_hides_what_follows_the_hellos() {
    let mut conversation = conversation(9080);
    deliver(&mut conversation, &named("tls13"), |length| length);
    close(&mut conversation, Client, 9);
    let tls = conversation.finish().tls.unwrap();
    assert_eq!((tls.version_offered, tls.version), (Some(0x0304), Some(0x0304)));
    assert_eq!(
        (tls.alpn, tls.certificates.len(), tls.established),
        (None, 0, true)
    );
    assert_eq!(
        tls.encrypted_alert_then_close,
        Some((Client, at(5))),
        "close_notify looks like any alert"
    );
}

#[test]
fn an_encrypted_alert_is_a_hint() {
    let mut conversation = conversation(9080);
    deliver(&mut conversation, &named("tls13_unknown_client_ca"), |length| {
        length
    });
    close(&mut conversation, Server, 5);
    let tls = conversation.finish().tls.unwrap();
    assert_eq!(tls.encrypted_alert_then_close, Some((Server, at(4))));
    assert!(!tls.established && tls.alerts.is_empty());
}

#[test]
fn plaintext_meets_tls() {
    let hello = named("tls12").remove(0);
    let answer: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    let application = told(&[hello, (Server, answer.to_vec())]);
    assert_eq!(application.protocol, Protocol::Tls);
    assert_eq!(application.first_bytes, [Protocol::Tls, Protocol::Http1]);
    assert_eq!(application.tls.unwrap().not_tls, Some((Server, at(2))));
    assert_eq!(application.http.unwrap().responses_by_code[&400], 1);

    let request: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let application = told(&lines(&[
        (Client, request),
        (Server, b"\x15\x03\x03\0\x02\x02\x46"),
    ]));
    assert_eq!(application.protocol, Protocol::Http1);
    let tls = application.tls.unwrap();
    assert_eq!(tls.not_tls, Some((Client, at(1))));
    assert_eq!(tls.alerts[0].description, 70);
    assert_eq!(application.http.unwrap().unanswered, 1);
}

#[test]
fn requests_are_paired_with_answers() {
    let application = told(&lines(&[
        (Client, b"GET /a?secret HTTP/1.1\r\nHost: shop\r\nUser-Agent: t\r\nX-Request-Id: one\r\n\r\nHEAD /b HTTP/1.1\r\n\r\n"),
        (Server, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
        (Client, b"POST /c HTTP/1.1\r\nContent-Length: 5\r\n\r\nhel"),
        (Client, b"lo"),
        (Server, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 x\r\nContent-Length: 2\r\n\r\nno"),
        (Client, b"GET /d HTTP/1.1\r\n\r\n"),
    ]));
    let http = application.http.unwrap();
    assert_eq!((http.requests, http.unanswered), (4, 1));
    assert_eq!(
        (http.host.as_deref(), http.user_agent.as_deref()),
        (Some("shop"), Some("t"))
    );
    assert_eq!(
        http.responses_by_code.into_iter().collect::<Vec<_>>(),
        [(100, 1), (200, 2), (503, 1)]
    );
    let [a, b, c, d] = application.exchanges.try_into().unwrap();
    assert_eq!(
        (&*a.method, a.path.as_str(), a.request_id.as_deref()),
        ("GET", "/a", Some("one"))
    );
    assert_eq!(
        (a.code, a.idle_before_ns, a.response_end.unwrap().1),
        (Some(200), None, at(2))
    );
    assert_eq!(
        (&*b.method, b.code, b.idle_before_ns),
        ("HEAD", Some(200), Some(0))
    );
    assert_eq!(
        (c.code, c.idle_before_ns, c.request.1, c.request_end.unwrap().1),
        (Some(503), Some(1_000_000), at(3), at(4))
    );
    assert_eq!((d.code, d.response), (None, None));
    assert_eq!(
        application
            .response_times
            .iter()
            .map(|time| time.ns)
            .collect::<Vec<_>>(),
        [1_000_000; 3]
    );
}

#[test]
fn bodies_without_length_end_with_the_connection() {
    let mut conversation = conversation(80);
    let bytes = lines(&[
        (Client, b"GET / HTTP/1.0\r\n\r\n"),
        (
            Server,
            b"HTTP/1.0 200 OK\r\n\r\nHTTP/1.1 500 is text here\r\n\r\n",
        ),
    ]);
    deliver(&mut conversation, &bytes, |length| length);
    close(&mut conversation, Server, 3);
    let application = conversation.finish();
    assert_eq!(
        application
            .http
            .unwrap()
            .responses_by_code
            .into_iter()
            .collect::<Vec<_>>(),
        [(200, 1)]
    );
    assert_eq!(application.exchanges[0].response_end.unwrap().1, at(3));
}

#[test]
fn a_request_without_version_counts() {
    let mut conversation = conversation(80);
    deliver(
        &mut conversation,
        &lines(&[(Client, b"GET /old\r\n"), (Server, b"<html>")]),
        |length| length,
    );
    close(&mut conversation, Client, 3);
    let application = conversation.finish();
    assert_eq!(
        (application.protocol, application.exchanges[0].path.as_str()),
        (Protocol::Http1, "/old")
    );
}

#[test]
fn what_follows_connect_is_told_anew_and_upgrades_end_http() {
    let mut tunnel = lines(&[
        (Client, b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
        (Server, b"HTTP/1.1 200 OK\r\n\r\n"),
    ]);
    tunnel.extend(named("tls12"));
    let application = told(&tunnel);
    assert_eq!(application.protocol, Protocol::Http1);
    let tls = application.tls.unwrap();
    assert!(tls.established && tls.not_tls.is_none());

    let mut conversation = conversation(80);
    let upgrade = lines(&[
        (Client, b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
        (
            Server,
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05HTTP/",
        ),
    ]);
    deliver(&mut conversation, &upgrade, |length| length);
    assert!(!conversation.wants_bytes());
    assert_eq!(conversation.finish().http.unwrap().responses_by_code[&101], 1);
}

#[test]
fn http_2_by_upgrade_answers_on_stream_1() {
    let frames = named("http2");
    let mut upgrade = lines(&[
        (
            Client,
            b"GET /old HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
        ),
        (
            Server,
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
        ),
    ]);
    upgrade.extend(frames[..2].iter().cloned());
    upgrade.push((Server, b"\0\0\x01\x01\x05\0\0\0\x01\x88".to_vec()));
    let application = told(&upgrade);
    assert_eq!(application.protocol, Protocol::Http2);
    assert_eq!(
        (
            application.exchanges[0].path.as_str(),
            application.exchanges[0].code
        ),
        ("/old", Some(200))
    );
}

#[test]
fn missing_bytes_of_a_body_cost_nothing_and_others_the_pairing() {
    let get = |path: &str| (Client, format!("GET /{path} HTTP/1.1\r\n\r\n").into_bytes());
    let mut conversation = conversation(80);
    deliver(
        &mut conversation,
        &[
            get("a"),
            (
                Server,
                b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nab".to_vec(),
            ),
        ],
        |l| l,
    );
    conversation.gap(Server, 998);
    deliver(
        &mut conversation,
        &[get("b"), (Server, b"HTTP/1.1 204 x\r\n\r\n".to_vec())],
        |l| l,
    );
    deliver(&mut conversation, &[get("c"), get("d")], |l| l);
    conversation.gap(Server, 500);
    deliver(
        &mut conversation,
        &[(Server, b"HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n".to_vec())],
        |l| l,
    );
    let application = conversation.finish();
    let codes: Vec<_> = application
        .exchanges
        .iter()
        .map(|e| (e.path.as_str(), e.code))
        .collect();
    assert!(
        codes.contains(&("/a", Some(200))) && codes.contains(&("/b", Some(204))),
        "{codes:?}"
    );
    assert!(
        codes.contains(&("/d", Some(404))),
        "the last one is the one that is answered: {codes:?}"
    );
    assert_eq!(
        (application.left_out, application.http.unwrap().unanswered),
        (1, 0)
    );
}

#[test]
fn grpc_over_http_2() {
    let application = told(&named("http2"));
    assert_eq!(
        (application.protocol, application.first_bytes),
        (Protocol::Http2, [Protocol::Http2; 2])
    );
    let http = application.http.unwrap();
    assert_eq!((http.requests, http.unanswered, http.methods["POST"]), (3, 1, 2));
    assert_eq!(http.responses_by_code[&200], 2);
    assert_eq!(
        http.grpc_by_status.into_iter().collect::<Vec<_>>(),
        [(0, 1), (14, 1)]
    );
    assert_eq!((http.rst_stream[0][&8], http.goaway[1][&11]), (1, 1));
    assert_eq!(http.host.as_deref(), Some("ratings:9080"));
    let [ok, failed, reset] = application.exchanges.try_into().unwrap();
    assert_eq!(
        (ok.path.as_str(), ok.request_id.as_deref(), ok.grpc_status),
        ("/shop.Ratings/Get", Some("request-0"), Some(0))
    );
    assert_eq!(
        (ok.request.1, ok.request_end.unwrap().1, ok.response.unwrap().1),
        (at(3), at(3), at(4))
    );
    assert_eq!(
        (failed.code, failed.grpc_status, failed.request_id.as_deref()),
        (Some(200), Some(14), Some("request-1"))
    );
    assert_eq!((reset.path.as_str(), reset.response), ("/slow", None));
    assert_eq!(
        application
            .response_times
            .iter()
            .map(|time| time.ns)
            .collect::<Vec<_>>(),
        [1_000_000; 2]
    );
}

#[test]
fn a_header_that_names_the_client_comes_first() {
    let application = told(&lines(&[
        (
            Client,
            b"PROXY TCP4 192.0.2.7 192.0.2.8 5000 80\r\nGET / HTTP/1.1\r\n\r\n",
        ),
        (Server, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ]));
    let (client, server) = application.proxy_protocol.unwrap();
    assert_eq!(
        (client.to_string(), server.to_string()),
        ("192.0.2.7:5000".to_owned(), "192.0.2.8:80".to_owned())
    );
    assert_eq!(
        (application.protocol, application.exchanges[0].code),
        (Protocol::Http1, Some(200))
    );
}

#[test]
fn metadata_exchange_in_clear() {
    let application = told(&lines(&[
        (Client, b"\x3d\x23\x04\x67\0\0\0\x02hi*1\r\n$4\r\nPING\r\n"),
        (Server, b"\x3d\x23\x04\x67\0\0\0\x02ho+PONG\r\n"),
    ]));
    assert_eq!(application.protocol, Protocol::PeerExchange);
}

#[test]
fn the_midst_of_connections_is_understood() {
    let mut tls = named("tls13");
    tls.drain(..3);
    tls.insert(0, (Server, b"the end of a record".to_vec()));
    let application = told(&tls);
    assert_eq!(
        (application.protocol, application.tls.unwrap().not_tls),
        (Protocol::Tls, None)
    );

    let application = told(&lines(&[
        (Server, b"the end of a body"),
        (Client, b"GET / HTTP/1.1\r\n\r\n"),
        (Server, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ]));
    assert_eq!(
        (application.protocol, application.exchanges[0].code),
        (Protocol::Http1, Some(200))
    );

    let mut frames = named("http2");
    frames.drain(..4);
    let application = told(&frames);
    assert_eq!(application.protocol, Protocol::Http2);
    let http = application.http.unwrap();
    assert_eq!((http.responses_by_code[&200], http.goaway[1][&11]), (1, 1));
    // Its name stands in an entry of the table that was added before.
    assert!(http.grpc_by_status.is_empty());
}

#[test]
fn a_hello_cut_by_the_snaplen_still_names_the_server() {
    let (side, bytes) = named("tls12").remove(0);
    let name = b"svc.cluster.local";
    let end = bytes
        .windows(name.len())
        .position(|window| window == name)
        .unwrap()
        + name.len();
    let mut conversation = conversation(9080);
    deliver(&mut conversation, &[(side, bytes[..end].to_vec())], |length| {
        length
    });
    conversation.gap(Client, u64::try_from(bytes.len() - end).unwrap());
    deliver(&mut conversation, &named("tls12")[1..], |length| length);
    let tls = conversation.finish().tls.unwrap();
    assert_eq!(
        (tls.client_hellos, tls.server_hellos, tls.established),
        (1, 1, true)
    );
    assert!(tls.sni.is_some() && tls.not_tls.is_none());
}

#[test]
fn what_is_unknown_is_looked_at_for_a_while_only() {
    let mut conversation = conversation(6379);
    for side in [Client, Server] {
        assert!(conversation.wants_bytes());
        deliver(&mut conversation, &vec![(side, vec![b'*'; 1000]); 70], |length| {
            length
        });
    }
    assert!(!conversation.wants_bytes());
    assert_eq!(conversation.finish().protocol, Protocol::Unknown);
}

const QUERY: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";
const ANSWER: &[u8] = b"\x12\x34\x81\x83\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";

#[test]
fn dns_over_tcp() {
    let message = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    let whole = lines(&[
        (Client, &message(QUERY)),
        (Server, &message(ANSWER)),
        (Client, &message(QUERY)),
    ]);
    for port in [53, 9953] {
        let mut conversation = conversation(port);
        deliver(&mut conversation, &whole, |_| 1);
        let application = conversation.finish();
        assert_eq!(application.protocol, Protocol::Dns);
        let outcomes: Vec<_> = application
            .dns
            .iter()
            .map(|exchange| (exchange.outcome, exchange.tcp))
            .collect();
        assert_eq!(
            outcomes,
            [(DnsOutcome::Answered(3), true), (DnsOutcome::Unanswered, true)]
        );
    }
}

fn packet(number: u64, ms: i64, interface: u32, from: Endpoint, to: Endpoint) -> Packet {
    Packet {
        at: at(number),
        time: Some(Timestamp(ms * MS)),
        interface,
        captured_bytes: 0,
        wire_bytes: 0,
        source: from,
        destination: to,
        ttl: 64,
        ip_identification: 0,
        tunnels: 0,
        transport: Transport::Udp,
        payload: PayloadRange::default(),
        payload_wire_bytes: 0,
    }
}

#[test]
fn dns_over_udp() {
    let (client, server) = (endpoint(1, 40_000), endpoint(2, 53));
    let mut done: Vec<DnsExchange> = Vec::new();
    let mut pairing = DnsPairing::new(CapturePoint(0));
    let mut other = QUERY.to_vec();
    other[1] = 0x35;
    // Asked twice, seen on two interfaces, answered once; another one never answered; an answer out of nowhere.
    let packets: [(i64, u32, bool, &[u8]); 8] = [
        (0, 0, true, QUERY),
        (0, 1, true, QUERY),
        (1, 0, true, &other),
        (5000, 0, true, QUERY),
        (5003, 0, false, ANSWER),
        (5003, 1, false, ANSWER),
        (5010, 0, false, ANSWER),
        (40_000, 0, false, b"\x99\x99\x81\x82\0\0\0\0\0\0\0\0"),
    ];
    for (number, (ms, interface, asks, payload)) in packets.into_iter().enumerate() {
        let (from, to) = if asks { (client, server) } else { (server, client) };
        pairing.udp(
            &packet(number as u64 + 1, ms, interface, from, to),
            payload,
            |exchange| done.push(exchange),
        );
    }
    let counts = pairing.counts().clone();
    assert_eq!(
        (counts.queries, counts.second_sights, counts.repeated_answers),
        (4, 2, 1)
    );
    pairing.finish(|exchange| done.push(exchange));
    let [answered, unanswered, alone] = done.try_into().unwrap();
    assert_eq!(
        (answered.name.as_str(), answered.record_type, answered.retries),
        ("www.example.com", 1, 1)
    );
    assert_eq!(
        (answered.outcome, answered.query.1, answered.response.unwrap().1),
        (DnsOutcome::Answered(3), at(1), at(5))
    );
    assert_eq!(
        (unanswered.outcome, unanswered.query.1),
        (DnsOutcome::Unanswered, at(3))
    );
    assert_eq!(alone.outcome, DnsOutcome::AnswerOnly(2));
}

#[test]
fn other_names_than_dns_are_left_alone() {
    let mut pairing = DnsPairing::new(CapturePoint(0));
    for port in [5353, 5355, 137] {
        pairing.udp(
            &packet(1, 0, 0, endpoint(1, port), endpoint(2, port)),
            QUERY,
            |_| panic!("none"),
        );
    }
    assert_eq!(pairing.counts().queries, 0);
    pairing.udp(
        &packet(2, 0, 0, endpoint(1, 4000), endpoint(2, 4001)),
        QUERY,
        |_| panic!("none"),
    );
    assert_eq!(pairing.counts().queries, 1, "told by content");
}

#[test]
fn a_storm_of_queries_takes_no_more_than_the_limit() {
    let mut pairing = DnsPairing::new(CapturePoint(0));
    let mut given_up = 0_u64;
    for number in 0..20_000_u16 {
        let client = endpoint(1, number + 20_000);
        pairing.udp(
            &packet(number.into(), 0, 0, client, endpoint(2, 53)),
            QUERY,
            |_| {
                given_up += 1;
            },
        );
    }
    assert_eq!(given_up, 20_000 - super::MAX_PENDING_DNS as u64);
    assert_eq!(pairing.counts().pushed_out, given_up);
    pairing.finish(|_| given_up += 1);
    assert_eq!(given_up, 20_000);
}

#[test]
fn truncated_conversations_say_less_and_nothing_else() {
    for (name, whole) in fixtures() {
        let complete = told(&whole);
        let limit = |application: &Application| {
            application.tls.as_ref().map_or(0, |tls| {
                tls.client_hellos + tls.server_hellos + tls.certificates.len() as u64
            }) + application.http.as_ref().map_or(0, |http| http.requests)
        };
        let total: usize = whole.iter().map(|(_, bytes)| bytes.len()).sum();
        let mut last = 0;
        for cut in (0..total).step_by(if cfg!(debug_assertions) { 3 } else { 1 }) {
            let mut left = cut;
            let mut part = whole.clone();
            for (_, bytes) in &mut part {
                bytes.truncate(left);
                left -= bytes.len();
            }
            let facts = limit(&told(&part));
            assert!(facts >= last && facts <= limit(&complete), "{name} cut at {cut}");
            last = facts;
        }
    }
}

/// The bytes of HTTP/1 conversations, for chunks of any size.
fn texts() -> Vec<Line> {
    lines(&[
        (Client, b"GET /a HTTP/1.1\r\nHost: shop\r\n\r\n\r\nPOST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nTrailer: x\r\n\r\n"),
        (Server, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 204 x\n\n"),
        (Client, b"GET /c HTTP/1.0\r\n\r\n"),
        (Server, b"HTTP/1.0 502 Bad Gateway\r\n\r\nto the end"),
    ])
}

proptest! {
    #[test]
    fn chunks_of_any_size_say_the_same(sizes in prop::collection::vec(1_usize..300, 1..40), which in 0_usize..7) {
        let whole = fixtures().into_iter().nth(which).map_or_else(texts, |(_, lines)| lines);
        let mut conversation = conversation(9080);
        let mut sizes = sizes.iter().cycle();
        deliver(&mut conversation, &whole, |_| *sizes.next().unwrap());
        prop_assert_eq!(shown(&conversation.finish()), shown(&told(&whole)));
    }

    #[test]
    fn damaged_conversations_never_panic(
        which in 0_usize..7,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        gaps in prop::collection::vec((0_usize..8, 1_u64..3000), 0..4),
        size in 1_usize..2000,
    ) {
        let mut whole = fixtures().into_iter().nth(which).map_or_else(texts, |(_, lines)| lines);
        for (place, byte) in damage {
            let line = place.index(whole.len());
            let bytes = &mut whole[line].1;
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let mut conversation = conversation(53);
        for (number, line) in whole.iter().enumerate() {
            for (_, bytes) in gaps.iter().filter(|(place, _)| *place == number) {
                conversation.gap(line.0, *bytes);
            }
            deliver(&mut conversation, std::slice::from_ref(line), |_| size);
        }
        close(&mut conversation, Client, 100);
        close(&mut conversation, Server, 101);
        let application = conversation.finish();
        prop_assert!(application.exchanges.len() <= MAX_EXCHANGES);
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        start in prop::sample::select(vec![
            &b""[..], b"\x16\x03\x01", b"GET / HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\0\x1d\x12\x34\x01\0\0\x01\0\0\0\0\0\0", b"\r\n\r\n\0\r\nQUIT\n", b"PROXY ", b"\x3d\x23\x04\x67", b"\x80\x2e\x01\x03",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        sides in prop::collection::vec(any::<bool>(), 1..6),
        size in 1_usize..100,
    ) {
        let whole = [start, &bytes].concat();
        let mut conversation = conversation(9080);
        for side in sides {
            deliver(&mut conversation, &[(if side { Client } else { Server }, whole.clone())], |_| size);
        }
        let _ = conversation.finish();
    }
}
