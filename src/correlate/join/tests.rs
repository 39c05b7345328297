use super::clocks::Clock;
use super::{Link, Phase, SpentFrom, Told, Why};
use crate::aggregate::Totals;
use crate::aggregate::captures::samples::{endpoint, record};
use crate::aggregate::class::RowShape;
use crate::aggregate::followed::id_hash;
use crate::aggregate::totals::{Group, Votes};
use crate::catalog::Catalog;
use crate::correlate::{Incident, JoinedRow};
use crate::decode::log::{AccessFormat, AccessRow};
use crate::decode::packet::FrameRef;
use crate::streams::{
    Burst, CapturePoint, Opening, Protocol, Side, StreamRecord, TimedExchange, TlsFacts, request_id_hash,
};
use crate::units::{InputId, Place, Timestamp};
use std::collections::BTreeMap;

const SECOND_NS: i64 = 1_000_000_000;
const MS_NS: i64 = 1_000_000;
/// When everything begins, in nanoseconds.
const T0: i64 = 1_700_000_000 * SECOND_NS;

/// An incident in the making.
struct Made {
    totals: Totals,
    catalog: Catalog,
    rows: u64,
}

/// What a row of a test says.
#[derive(Clone, Copy)]
struct Row<'a> {
    proxy: &'a str,
    cluster: &'a str,
    id: &'a str,
    start_ms: i64,
    duration_ms: u64,
    upstream_ms: Option<u64>,
    flags: Option<&'a str>,
    local: Option<&'a str>,
    host: &'a str,
    remote: &'a str,
    own: &'a str,
}

const CALLER: Row<'static> = Row {
    proxy: "web-1",
    cluster: "outbound|80||shop.prod.svc.cluster.local",
    id: "a",
    start_ms: 0,
    duration_ms: 10,
    upstream_ms: Some(9),
    flags: None,
    local: Some("10.0.0.1:40000"),
    host: "10.0.0.2:8080",
    remote: "10.0.0.1:50000",
    own: "10.96.0.1:80",
};

const CALLED: Row<'static> = Row {
    proxy: "shop-1",
    cluster: "inbound|8080||",
    id: "a",
    start_ms: 1,
    duration_ms: 8,
    upstream_ms: Some(7),
    flags: None,
    local: Some("127.0.0.6:60000"),
    host: "10.0.0.2:8080",
    remote: "10.0.0.1:40000",
    own: "10.0.0.2:8080",
};

impl Made {
    fn new() -> Self {
        let mut totals = Totals::default();
        for (ip, pod) in [("10.0.0.1", "web-1"), ("10.0.0.2", "shop-1")] {
            totals
                .addresses
                .add(ip.to_owned(), Votes(BTreeMap::from([(pod.to_owned(), 9)])));
        }
        Self {
            totals,
            catalog: Catalog::load(&[], &[]).unwrap(),
            rows: 0,
        }
    }

    fn row(&mut self, of: Row<'_>) {
        let bytes = |text: Option<&str>| text.map(|text| text.to_owned().into_bytes());
        let (local, flags) = (bytes(of.local), bytes(of.flags));
        let row = AccessRow {
            start: Some(Timestamp(T0 + of.start_ms * MS_NS)),
            method: Some(b"GET"),
            protocol: Some(b"HTTP/1.1"),
            code: if flags.is_some() { 503 } else { 200 },
            flags: flags.as_deref(),
            duration_ms: Some(of.duration_ms),
            upstream_ms: of.upstream_ms,
            request_id: Some(of.id.as_bytes()),
            cluster: Some(of.cluster.as_bytes()),
            upstream_local: local.as_deref(),
            upstream_host: Some(of.host.as_bytes()),
            downstream_remote: Some(of.remote.as_bytes()),
            downstream_local: Some(of.own.as_bytes()),
            sni: of
                .cluster
                .starts_with("inbound")
                .then_some(&b"outbound_.80_._.shop.prod.svc.cluster.local"[..]),
            ..AccessRow::empty(AccessFormat::IstioText)
        };
        let shape = RowShape::of(&row, &self.catalog.flags, Vec::new());
        let key = shape.group(of.proxy.into());
        let place = Place {
            input: InputId(u32::from(of.proxy != "web-1")),
            offset_bytes: self.rows,
            block: 0,
            line_in_block: 0,
        };
        self.rows += 1;
        let group = key.hash;
        self.totals.followed.offer(
            key.outcome == crate::aggregate::flags::Outcome::Ok,
            &row,
            Some(id_hash(of.id.as_bytes())),
            place,
            || group,
        );
        let sums = Group {
            count: 1,
            ..Group::default()
        };
        self.totals.groups.add(key, sums);
    }

    fn connection(&mut self, point: u32, pod: &str, record: &StreamRecord) {
        let mut record = record.clone();
        record.point = CapturePoint(point);
        self.totals.captures.stream(record);
        self.totals
            .captures
            .pods
            .insert(CapturePoint(point), pod.to_owned());
    }

    fn with<R>(&self, look: impl FnOnce(&Incident<'_>) -> R) -> R {
        look(&Incident::of(&self.totals))
    }
}

fn frame(number: u64) -> FrameRef {
    FrameRef {
        input: InputId(9),
        frame: number,
    }
}

fn time(ms: i64) -> Timestamp {
    Timestamp(T0 + ms * MS_NS)
}

/// A connection that was open from `from_ms` to `to_ms`.
fn open(client: (&str, u16), server: (&str, u16), from_ms: i64, to_ms: i64, number: u64) -> StreamRecord {
    let mut of = record(1);
    of.client = endpoint(client.0, client.1);
    of.server = endpoint(server.0, server.1);
    of.first = frame(number);
    of.last = frame(number + 9);
    of.start = Some(time(from_ms));
    of.end = Some(time(to_ms));
    of.syn = Some((time(from_ms), frame(number)));
    of.syn_ack = Some((Timestamp(time(from_ms).0 + 200_000), frame(number + 1)));
    of.handshake_ack = Some((Timestamp(time(from_ms).0 + 300_000), frame(number + 2)));
    of.initial_sequence = [Some(1000 + u32::from(client.1)), Some(7)];
    of.close.at = Some((time(to_ms), frame(number + 8)));
    of
}

/// A request on it, answered after `wait_ms`.
fn exchange(of: &mut StreamRecord, id: Option<&str>, asked_ms: i64, wait_ms: i64) {
    of.application.protocol = Protocol::Http1;
    of.application.timed.push(TimedExchange {
        asked_ns: T0 + asked_ms * MS_NS,
        sent_ns: Some(T0 + asked_ms * MS_NS),
        answered_ns: Some(T0 + (asked_ms + wait_ms) * MS_NS),
        ended_ns: Some(T0 + (asked_ms + wait_ms) * MS_NS + 100_000),
        request_id: id.map(|id| request_id_hash(id.as_bytes())),
        code: Some(200),
        at: of.first,
    });
}

fn burst(side: Side, from_us: i64, to_us: i64) -> Burst {
    Burst {
        side,
        begin_ns: T0 + from_us * 1000,
        end_ns: T0 + to_us * 1000,
        at: frame(1),
    }
}

fn first_frame(incident: &Incident<'_>, link: &Link) -> Option<u64> {
    let seen = link.seen()?;
    Some(incident.joined.connections[seen.connection].first.frame)
}

#[test]
fn ports_that_are_used_again_are_told_apart_by_time() {
    let mut made = Made::new();
    for (number, start_ms) in [(0, 0), (1, 60_000), (2, 120_000)] {
        made.row(Row {
            id: "a",
            start_ms,
            ..CALLER
        });
        let of = open(
            ("10.0.0.1", 40_000),
            ("10.0.0.2", 8080),
            start_ms - 1000,
            start_ms + 5000,
            100 * number + 1,
        );
        made.connection(0, "web-1", &of);
    }
    made.row(Row {
        start_ms: 30_000,
        ..CALLER
    });
    made.with(|incident| {
        let joined = &incident.joined;
        let frames: Vec<Option<u64>> = joined
            .rows
            .iter()
            .map(|row| first_frame(incident, &row.upstream))
            .collect();
        assert_eq!(frames, [Some(1), Some(101), Some(201), None]);
        assert_eq!(joined.rows[3].upstream, Link::None(Why::OtherTime));
    });
}

#[test]
fn loopback_is_in_every_pod() {
    let mut made = Made::new();
    made.row(CALLED);
    made.row(Row {
        proxy: "other-1",
        own: "10.0.0.3:8080",
        remote: "10.0.0.1:41000",
        ..CALLED
    });
    for (point, pod, number) in [(0, "other-1", 1), (1, "shop-1", 101)] {
        let mut of = open(("127.0.0.6", 60_000), ("10.0.0.2", 8080), -500, 5000, number);
        exchange(&mut of, Some("a"), 2, 6);
        made.connection(point, pod, &of);
    }
    made.with(|incident| {
        let of = |proxy: &str| {
            let row = incident
                .joined
                .rows
                .iter()
                .find(|row| incident.calls[row.call].key.proxy() == proxy);
            first_frame(incident, &row.unwrap().upstream)
        };
        assert_eq!((of("shop-1"), of("other-1")), (Some(101), Some(1)));
    });
}

#[test]
fn a_redirected_connection_is_found_by_the_clients_end_and_both_its_halves_tell_the_time() {
    let mut made = Made::new();
    made.row(CALLER);
    let mut asks = open(("10.0.0.1", 50_000), ("127.0.0.1", 15_001), -1000, 5000, 1);
    asks.one_sided = true;
    exchange(&mut asks, None, 0, 0);
    for exchange in &mut asks.application.timed {
        (exchange.answered_ns, exchange.ended_ns) = (None, None);
    }
    let mut answers = open(("10.0.0.1", 50_000), ("10.96.0.1", 80), -1000, 5000, 2);
    answers.one_sided = true;
    answers.syn = None;
    answers.initial_sequence = asks.initial_sequence;
    answers.application.bursts = vec![burst(Side::Server, 9500, 9600)];
    made.connection(0, "web-1", &asks);
    made.connection(0, "web-1", &answers);
    made.with(|incident| {
        let seen = *incident.joined.rows[0].downstream.seen().unwrap();
        let timing = seen.timing.unwrap();
        assert_eq!(seen.told, Told::ByOrder);
        assert_eq!(timing.asked_ns, T0);
        assert_eq!(timing.answered_ns, Some(T0 + 9_500_000), "told by the other half");
        assert_eq!(incident.joined.halves, [Some(1), Some(0)]);
        let upstream = &incident.joined.rows[0].upstream;
        assert_eq!(
            *upstream,
            Link::None(Why::NotCapturedThere),
            "lo shows nothing of it"
        );
    });
}

#[test]
fn a_connect_failure_is_joined_to_the_attempts_of_its_pod_and_time() {
    let mut made = Made::new();
    made.row(Row {
        local: None,
        flags: Some("UF"),
        upstream_ms: None,
        start_ms: 100,
        ..CALLER
    });
    let attempt = |client: &str, port: u16, ms: i64, number: u64| {
        let mut of = open((client, port), ("10.0.0.2", 8080), ms, ms + 1, number);
        of.opening = Opening::Refused;
        of.syn_ack = None;
        of.handshake_ack = None;
        of
    };
    made.connection(0, "web-1", &attempt("10.0.0.1", 41_000, 101, 1));
    made.connection(0, "web-1", &attempt("10.0.0.1", 41_001, 105, 11));
    made.connection(0, "web-1", &attempt("10.0.0.1", 41_002, 900, 21));
    made.connection(1, "shop-1", &attempt("10.0.0.9", 41_003, 103, 31));
    made.with(|incident| {
        let row = &incident.joined.rows[0];
        assert_eq!(
            row.upstream,
            Link::Set(vec![0, 1]),
            "neither at another time nor of another pod"
        );
        let spent = row.spent.unwrap();
        assert_eq!(spent.longest(), Some((Phase::Connect, 10_000_000)));
    });
}

#[test]
fn hidden_bytes_of_requests_under_way_at_a_time_are_multiplexed() {
    let hidden = |of: &mut StreamRecord| {
        of.application.protocol = Protocol::Tls;
        of.application.tls = Some(Box::new(TlsFacts {
            alpn_offered: vec!["istio-h2".to_owned(), "h2".to_owned()],
            ..TlsFacts::default()
        }));
        of.application.bursts = vec![
            burst(Side::Client, 1000, 1100),
            // A window is opened at once, the answer comes later.
            burst(Side::Server, 1200, 1200),
            burst(Side::Server, 8500, 8600),
        ];
    };
    for (other_start_ms, told) in [(3, Told::Multiplexed), (700, Told::ByOrder)] {
        let mut made = Made::new();
        made.row(CALLER);
        made.row(Row {
            id: "b",
            start_ms: other_start_ms,
            ..CALLER
        });
        // The called proxy's row tells of the same request, not of another one.
        made.row(CALLED);
        let mut of = open(("10.0.0.1", 40_000), ("10.0.0.2", 8080), -5000, 5000, 1);
        hidden(&mut of);
        made.connection(0, "web-1", &of);
        made.with(|incident| {
            let seen = *incident.joined.rows[0].upstream.seen().unwrap();
            assert_eq!(seen.told, told);
            if told == Told::ByOrder {
                assert_eq!(seen.timing.unwrap().answered_ns, Some(T0 + 8_500_000));
            }
        });
    }
}

#[test]
fn time_is_attributed_to_what_took_it() {
    let mut made = Made::new();
    made.row(Row {
        duration_ms: 60,
        upstream_ms: Some(55),
        ..CALLER
    });
    made.row(Row {
        duration_ms: 42,
        upstream_ms: Some(41),
        ..CALLED
    });
    let mut upstream = open(("10.0.0.1", 40_000), ("10.0.0.2", 8080), 1, 5000, 1);
    exchange(&mut upstream, Some("a"), 5, 50);
    made.connection(0, "web-1", &upstream);
    let mut inside = open(("127.0.0.6", 60_000), ("10.0.0.2", 8080), -500, 5000, 101);
    exchange(&mut inside, Some("a"), 10, 40);
    made.connection(1, "shop-1", &inside);
    made.with(|incident| {
        let joined = &incident.joined;
        assert_eq!(joined.paired, (1, 1));
        let spent = |row: &JoinedRow, phase| row.spent.unwrap().of_ns(phase).map(|ns| ns / 1000);
        let caller = &joined.rows[0];
        assert_eq!(caller.pair, Some(1));
        assert_eq!(caller.spent.unwrap().from, SpentFrom::Packets);
        assert_eq!(spent(caller, Phase::Connect), Some(300));
        assert_eq!(spent(caller, Phase::Waiting), Some(50_000));
        assert_eq!(
            spent(caller, Phase::Network),
            Some(8_000),
            "what the called proxy did not have it for"
        );
        assert_eq!(
            spent(caller, Phase::Application),
            Some(40_000),
            "by the packets in the called pod"
        );
        assert_eq!(spent(caller, Phase::Proxy), Some(9_600), "the rest");
        let total: u64 = Phase::ALL
            .into_iter()
            .filter(|phase| !phase.is_of_waiting())
            .filter_map(|phase| spent(caller, phase))
            .sum();
        assert_eq!(total, 60_000);
    });
}

#[test]
fn offsets_of_clocks_are_bounded_from_both_directions_without_time() {
    let mut made = Made::new();
    let ids: Vec<String> = (0..50).map(|number| format!("id-{number}")).collect();
    // The called pod's clock is 800 ms ahead.
    for (number, id) in ids.iter().enumerate() {
        let start_ms = i64::try_from(number).unwrap() * 100;
        let port = 40_000 + u16::try_from(number).unwrap();
        let client = format!("10.0.0.1:{port}");
        made.row(Row {
            id,
            start_ms,
            local: Some(&client),
            ..CALLER
        });
        made.row(Row {
            id,
            start_ms: start_ms + 801,
            remote: &client,
            ..CALLED
        });
        let of = open(
            ("10.0.0.1", port),
            ("10.0.0.2", 8080),
            start_ms,
            start_ms + 10,
            20 * number as u64 + 1,
        );
        made.connection(0, "web-1", &of);
        let mut far = open(
            ("10.0.0.1", port),
            ("10.0.0.2", 8080),
            start_ms + 800,
            start_ms + 810,
            20 * number as u64 + 5001,
        );
        far.syn_ack = far.syn.map(|(syn, at)| (Timestamp(syn.0 + 100_000), at));
        made.connection(1, "shop-1", &far);
    }
    made.with(|incident| {
        let clocks = &incident.joined.clocks.offsets;
        let between_proxies = &clocks[0];
        assert_eq!(between_proxies.anchors, 50);
        // In order of their names: web is behind shop.
        assert_eq!(between_proxies.a, Clock::Proxy("shop-1".to_owned()));
        let (low, high) = between_proxies.bounds_ns;
        assert!(
            low <= -800 * MS_NS && -800 * MS_NS <= high && high - low <= 5 * MS_NS,
            "{low} {high}"
        );
        assert!(!between_proxies.may_be_zero());
        // Rows of both proxies are joined to both captures in spite of it.
        let near_and_far = incident.joined.rows.iter().filter(|row| {
            let link = if incident.calls[row.call].is_source() {
                &row.upstream
            } else {
                &row.downstream
            };
            matches!(
                link,
                Link::Exact {
                    near: Some(_),
                    far: Some(_)
                }
            )
        });
        assert_eq!(near_and_far.count(), 100);
        assert_eq!(
            incident.joined.rows[0].row.start(),
            Timestamp(T0),
            "no time is corrected"
        );
    });
}

#[test]
fn an_id_at_every_hop_pairs_each_hop_by_its_connection() {
    let mut made = Made::new();
    // web -> shop -> stock with one id, and an earlier attempt on another pod.
    made.row(CALLER);
    made.row(CALLED);
    made.row(Row {
        proxy: "shop-2",
        own: "10.0.0.5:8080",
        remote: "10.0.0.1:39000",
        ..CALLED
    });
    made.row(Row {
        proxy: "shop-1",
        cluster: "outbound|80||stock.prod.svc.cluster.local",
        local: Some("10.0.0.2:43000"),
        host: "10.0.0.7:8080",
        remote: "10.0.0.2:52000",
        own: "10.96.0.2:80",
        ..CALLER
    });
    made.with(|incident| {
        let rows = &incident.joined.rows;
        let caller = rows
            .iter()
            .find(|row| incident.calls[row.call].key.proxy() == "web-1")
            .unwrap();
        let called = &rows[caller.pair.unwrap()];
        assert_eq!(incident.calls[called.call].key.proxy(), "shop-1");
        assert_eq!(incident.calls[called.call].key.cluster, "inbound|8080||");
        assert_eq!(caller.earlier_attempts, 1);
        assert_eq!(rows.iter().filter(|row| row.pair.is_some()).count(), 2);
    });
}
