//! What a packet's worth of bytes costs: established TLS, bodies of HTTP, requests with answers, gRPC. Each result is
//! checked before it is timed.
#![expect(
    clippy::expect_used,
    reason = "a benchmark without its subject has nothing to measure"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use postmesh::decode::packet::{Address, Endpoint, FrameRef};
use postmesh::streams::application::{Chunk, Conversation};
use postmesh::streams::{Application, CapturePoint, Side};
use postmesh::units::{InputId, Timestamp};

/// Payload of a full segment on Ethernet.
const SEGMENT: usize = 1448;

type Segments = Vec<(Side, Vec<u8>)>;
type Check = fn(&Application) -> bool;

fn endpoint(port: u16) -> Endpoint {
    Endpoint {
        address: Address::v4([10, 0, 0, 1]),
        port,
    }
}

fn read(segments: &Segments) -> Application {
    let mut conversation = Conversation::new(CapturePoint(0), endpoint(40_000), endpoint(9080));
    for ((side, bytes), frame) in segments.iter().zip(1_u32..) {
        conversation.chunk(&Chunk {
            side: *side,
            bytes,
            time: Some(Timestamp(i64::from(frame) * 1000)),
            at: FrameRef {
                input: InputId(0),
                frame: u64::from(frame),
            },
        });
    }
    conversation.finish()
}

fn segments(side: Side, bytes: &[u8]) -> impl Iterator<Item = (Side, Vec<u8>)> {
    bytes.chunks(SEGMENT).map(move |part| (side, part.to_vec()))
}

/// Records of 16 KiB from the server.
fn tls() -> Segments {
    let record = [b"\x17\x03\x03\x40\x00".as_slice(), &vec![0x5a; 16_384]].concat();
    let mut all = vec![(
        Side::Client,
        b"\x17\x03\x03\x00\x40".iter().copied().chain([0; 64]).collect(),
    )];
    all.extend(segments(Side::Server, &record.repeat(64)));
    all
}

/// One answer of a megabyte.
fn body() -> Segments {
    let mut all = vec![(Side::Client, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n".to_vec())];
    let answer = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n".as_slice(),
        &vec![b'x'; 1 << 20],
    ]
    .concat();
    all.extend(segments(Side::Server, &answer));
    all
}

/// Requests and answers as sidecars pass them on.
fn requests() -> Segments {
    let request = b"GET /ratings/77?src=web HTTP/1.1\r\nhost: ratings:9080\r\nuser-agent: python-requests/2.31.0\r\n\
        accept: */*\r\nx-forwarded-proto: http\r\nx-request-id: 9de07a8b-23d1-4400-a583-0123456789ab\r\n\
        x-envoy-attempt-count: 1\r\nx-forwarded-client-cert: By=spiffe://cluster.local/ns/default/sa/ratings;\
        Hash=5f8b;Subject=\"\";URI=spiffe://cluster.local/ns/default/sa/reviews\r\nx-b3-traceid: 0123456789abcdef\r\n\r\n";
    let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ndate: Wed, 25 Nov 2026 23:00:00 GMT\r\n\
        content-length: 48\r\nserver: istio-envoy\r\n\r\n{\"id\":77,\"ratings\":{\"Reviewer1\":5,\"Reviewer2\":4}}";
    (0..500)
        .flat_map(|_| [(Side::Client, request.to_vec()), (Side::Server, answer.to_vec())])
        .collect()
}

/// Streams of HTTP/2 whose headers are in the tables of both sides.
fn grpc() -> Segments {
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    let mut all = vec![
        (
            Side::Client,
            [
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(),
                &frame(4, 0, 0, b""),
            ]
            .concat(),
        ),
        (Side::Server, frame(4, 0, 0, b"")),
        (Side::Client, frame(1, 4, 1, b"\x83\x44\x06/a.B/C\x41\x01a")),
        (Side::Server, frame(1, 5, 1, b"\x88\x40\x0bgrpc-status\x010")),
    ];
    for number in 1..500 {
        let stream = 2 * number + 1;
        let request = [
            frame(1, 4, stream, b"\x83\xbf\xbe"),
            frame(0, 1, stream, &[0; 60]),
        ]
        .concat();
        let answer = [
            frame(1, 4, stream, b"\x88"),
            frame(0, 0, stream, &[0; 200]),
            frame(1, 5, stream, b"\xbe"),
        ]
        .concat();
        all.extend([(Side::Client, request), (Side::Server, answer)]);
    }
    all
}

fn application(criterion: &mut Criterion) {
    let requests_of = |application: &Application| application.http.as_ref().map_or(0, |http| http.requests);
    let mut group = criterion.benchmark_group("application");
    let cases: [(&str, Segments, Check); 4] = [
        ("established TLS", tls(), |told| {
            told.tls.as_ref().is_some_and(|tls| tls.established)
        }),
        ("body of HTTP", body(), |told| {
            told.exchanges
                .iter()
                .all(|exchange| exchange.response_end.is_some())
        }),
        ("requests of HTTP/1", requests(), |told| {
            told.response_times.len() == 500
        }),
        ("calls of gRPC", grpc(), |told| {
            told.http
                .as_ref()
                .is_some_and(|http| http.grpc_by_status.get(&0) == Some(&500))
        }),
    ];
    for (name, segments, holds) in cases {
        let told = read(&segments);
        assert!(holds(&told), "{name}: {} requests", requests_of(&told));
        group.throughput(Throughput::Elements(segments.len() as u64));
        group.bench_function(name, |bench| bench.iter(|| read(std::hint::black_box(&segments))));
    }
    group.finish();
}

criterion_group!(benches, application);
criterion_main!(benches);
