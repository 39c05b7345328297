//! Whole connections, packet by packet: what a shard says of them.

use super::record::{CloseKind, Opening, Side, SideFacts, StreamEventKind, StreamRecord};
use super::testing::{Made, made_all, run};
use super::{ShardSummary, StreamLimits};

fn one(script: &str) -> (StreamRecord, String) {
    let (mut records, mut texts, _) = run(&made_all(script), &StreamLimits::default());
    assert_eq!(records.len(), 1, "{script}");
    (records.remove(0), texts.pop().unwrap_or_default())
}

const OPEN: &str = "
    C 0 S
    S 1 SA ack=1
    C 3 A seq=1 ack=1
";

/// Opened, and one exchange: client has sent 3 bytes, server 2.
const ASKED: &str = "
    C 0 S
    S 1 SA ack=1
    C 3 A seq=1 ack=1
    C 5 AP seq=1 ack=1 data=GET
    S 6 A seq=1 ack=4
    S 8 AP seq=1 ack=4 data=OK
    C 9 A seq=4 ack=3
";

#[test]
fn a_connection_from_syn_to_fin() {
    let script = format!(
        "{ASKED}
        C 100 FA seq=4 ack=3
        S 101 FA seq=3 ack=5
        C 102 A seq=5 ack=4"
    );
    let (record, text) = one(&script);
    assert_eq!(text, "C:GET S:OK C. S.");
    assert_eq!(record.opening, Opening::Established);
    assert!(record.roles_seen);
    assert_eq!(record.client.port, 40_000);
    assert_eq!(record.handshake_rtt_ns, Some(3_000_000));
    assert_eq!(record.close.kind, CloseKind::Fin);
    assert_eq!(record.close.by, Some(Side::Client));
    assert_eq!(record.close.idle_before_ns, Some(92_000_000));
    assert_eq!(record.longest_idle_ns, 92_000_000);
    assert_eq!(record.first.frame, 1);
    assert_eq!(record.last.frame, 10);
    let [client, server] = record.sides;
    assert_eq!(
        (client.packets, client.data_packets, client.payload_bytes),
        (6, 1, 3)
    );
    assert_eq!((server.packets, server.syn_ack, server.fin), (4, 1, 1));
    assert!(!record.one_sided && !record.reused_ports && !record.truncated);
    let kinds: Vec<_> = record
        .events
        .iter()
        .map(|event| (event.kind, event.side))
        .collect();
    assert_eq!(
        kinds,
        [
            (StreamEventKind::Fin, Side::Client),
            (StreamEventKind::Fin, Side::Server)
        ]
    );
}

#[test]
fn openings() {
    let cases = [
        ("C 0 S", Opening::Unanswered, CloseKind::NotOpened),
        (
            "C 0 S\nC 1000 S\nC 3000 S",
            Opening::Unanswered,
            CloseKind::NotOpened,
        ),
        ("C 0 S\nS 1 RA ack=1", Opening::Refused, CloseKind::NotOpened),
        (
            "C 0 S\nS 1 SA ack=1\nS 1000 SA ack=1",
            Opening::HalfOpen,
            CloseKind::NotOpened,
        ),
        (
            "S 1 SA ack=1\nC 2 A seq=1 ack=1",
            Opening::Established,
            CloseKind::Open,
        ),
        ("C 0 S\nC 2 A seq=1 ack=1", Opening::Established, CloseKind::Open),
        (
            "S 1 SA ack=1\nS 2 A seq=1 ack=4 data=OK",
            Opening::Established,
            CloseKind::Open,
        ),
        ("S 1 SA ack=1", Opening::Midstream, CloseKind::Open),
        ("C 0 A seq=1 ack=1", Opening::Midstream, CloseKind::Open),
        (OPEN, Opening::Established, CloseKind::Open),
    ];
    for (script, opening, close) in cases {
        let (record, _) = one(script);
        assert_eq!((record.opening, record.close.kind), (opening, close), "{script}");
    }
}

#[test]
fn an_icmp_error_belongs_to_the_connection_that_it_quotes() {
    use crate::decode::packet::{IcmpMessage, Quoted, Transport};
    let error = |script: &str, sequence: Option<u32>, code: u8| {
        let mut packets = made_all(script);
        let mut icmp = packets[0].clone();
        icmp.packet.at.frame = packets.len() as u64 + 1;
        icmp.packet.transport = Transport::Icmp(IcmpMessage {
            v6: false,
            message_type: 3,
            code,
            quoted: Some(Quoted {
                protocol: 6,
                source: icmp.packet.source,
                destination: icmp.packet.destination,
                sequence,
            }),
        });
        (icmp.packet.source, icmp.packet.destination) = (icmp.packet.destination, icmp.packet.source);
        packets.push(icmp);
        let (mut records, _, summary) = run(&packets, &StreamLimits::default());
        assert_eq!((summary.icmp_packets, summary.icmp_unmatched), (1, 0));
        let record = records.remove(0);
        (
            record.opening,
            record.icmp_error.map(|(kind, ..)| kind),
            record.sides[0].packets,
        )
    };
    let icmp = |code| Some((false, 3, code));
    assert_eq!(error("C 0 S", Some(1000), 13), (Opening::Rejected, icmp(13), 1));
    assert_eq!(error("C 0 S", None, 3), (Opening::Rejected, icmp(3), 1));
    assert_eq!(
        error("C 0 S", Some(7), 3),
        (Opening::Unanswered, icmp(3), 1),
        "of an older SYN"
    );
    assert_eq!(
        error("C 0 S", Some(1000), 4),
        (Opening::Unanswered, icmp(4), 1),
        "too big"
    );
    assert_eq!(error(OPEN, Some(1001), 1), (Opening::Established, icmp(1), 2));
}

#[test]
fn syn_again_counts_from_the_last_one() {
    let (record, _) = one("C 0 S\nC 1000 S\nS 1001 SA ack=1\nC 1002 A seq=1 ack=1");
    assert_eq!(record.handshake_rtt_ns, Some(2_000_000));
    assert_eq!(record.last_syn.unwrap().1.frame, 2);
    assert_eq!(record.syn.unwrap().1.frame, 1);
    assert_eq!(record.sides[0].retransmissions, 1);
    assert!(
        record
            .events
            .iter()
            .any(|event| event.kind == StreamEventKind::SynAgain)
    );
}

#[test]
fn closes() {
    let cases: &[(&str, &str, CloseKind, Side)] = &[
        (
            OPEN,
            "C 5 RA seq=1 ack=1",
            CloseKind::ResetBeforeData,
            Side::Client,
        ),
        (ASKED, "S 50 R seq=3", CloseKind::ResetIdle, Side::Server),
        (
            ASKED,
            "C 50 AP seq=4 ack=3 data=GET\nS 51 RA seq=3 ack=7",
            CloseKind::ResetMidExchange,
            Side::Server,
        ),
        (
            ASKED,
            "S 50 A seq=3 ack=4 data=more\nC 51 R seq=4",
            CloseKind::ResetMidExchange,
            Side::Client,
        ),
        // The client gives up while its request waits; the answer meets a closed socket.
        (
            ASKED,
            "C 50 AP seq=4 ack=3 data=GET\nC 60 FA seq=7 ack=3\nS 70 A seq=3 ack=8 data=late\nC 70.1 R seq=8",
            CloseKind::ResetMidExchange,
            Side::Client,
        ),
        // It had its answer; what the server says further is no loss.
        (
            ASKED,
            "C 60 FA seq=4 ack=3\nS 70 A seq=3 ack=5 data=bye\nC 70.1 R seq=5",
            CloseKind::FinThenReset,
            Side::Client,
        ),
        (
            ASKED,
            "C 60 FA seq=4 ack=3\nS 61 FA seq=3 ack=5\nC 62 RA seq=5 ack=4",
            CloseKind::FinThenReset,
            Side::Client,
        ),
        (
            ASKED,
            "S 60 FA seq=3 ack=4\nS 61 RA seq=4 ack=4",
            CloseKind::FinThenReset,
            Side::Server,
        ),
    ];
    for (before, end, kind, by) in cases {
        let (record, _) = one(&format!("{before}\n{end}"));
        assert_eq!((record.close.kind, record.close.by), (*kind, Some(*by)), "{end}");
        assert!(
            !record
                .events
                .iter()
                .any(|event| event.kind == StreamEventKind::RequestAfterFin),
            "{end}"
        );
    }
}

#[test]
fn a_request_that_crosses_the_fin() {
    let cases = [
        // Seen at the server: the request comes after the FIN went out.
        "S 5000 FA seq=3 ack=4\nC 5000.1 AP seq=4 ack=3 data=GET\nS 5000.2 R seq=4",
        // Seen at the client: the request went out before the FIN came in.
        "C 5000 AP seq=4 ack=3 data=GET\nS 5000.1 FA seq=3 ack=4\nS 5000.3 R seq=4",
        // The client still closes in good order.
        "C 5000 AP seq=4 ack=3 data=GET\nS 5000.1 FA seq=3 ack=4\nC 5000.2 FA seq=7 ack=4\nS 5000.3 R seq=4",
    ];
    for end in cases {
        let (record, _) = one(&format!("{ASKED}\n{end}"));
        assert_eq!(record.close.kind, CloseKind::ResetMidExchange, "{end}");
        assert_eq!(record.close.by, Some(Side::Server));
        let races: Vec<_> = record
            .events
            .iter()
            .filter(|event| event.kind == StreamEventKind::RequestAfterFin)
            .collect();
        assert_eq!(races.len(), 1, "{end}");
        assert_eq!(races[0].side, Side::Client);
    }
    // The server closes at once, because it did not like what it read: the client writes on, but there is no race.
    let (record, _) = one(&format!(
        "{ASKED}\nS 9.1 FA seq=3 ack=4\nC 9.2 AP seq=4 ack=4 data=more\nS 9.3 R seq=4"
    ));
    assert!(
        !record
            .events
            .iter()
            .any(|event| event.kind == StreamEventKind::RequestAfterFin)
    );
    // A TLS alert after the FIN is no request.
    let alert = "\u{15}\u{3}\u{3}";
    let (record, _) = one(&format!(
        "{ASKED}\nS 5000 FA seq=3 ack=4\nC 5001 AP seq=4 ack=4 data={alert}\nS 5002 R seq=4"
    ));
    assert_eq!(record.close.kind, CloseKind::FinThenReset);
}

#[test]
fn a_reset_tells_how_long_the_connection_was_idle_before_the_request() {
    let (record, _) = one(&format!(
        "{ASKED}\nC 2008 AP seq=4 ack=3 data=GET\nS 2044 RA seq=3 ack=7"
    ));
    assert_eq!(record.close.asked_after_idle_ns, Some(2_000_000_000));
    assert_eq!(record.close.idle_before_ns, Some(36_000_000));
    assert_eq!(record.initial_sequence, [Some(1000), Some(5000)]);
    let (record, _) = one(&format!(
        "{OPEN}\nC 2008 AP seq=1 ack=1 data=GET\nS 2044 RA seq=1 ack=4"
    ));
    assert_eq!(record.close.kind, CloseKind::ResetMidExchange);
    assert_eq!(record.close.asked_after_idle_ns, None, "it was the first one");
}

/// A counter of a side.
type Counter = fn(&SideFacts) -> u64;

#[test]
fn what_segments_are() {
    let lost = "S 10 A seq=3 ack=4 data=aaaa\nS 10.1 A seq=11 ack=4 data=cccc\n";
    let cases: &[(&str, Side, Counter, u64)] = &[
        (
            "S 300 A seq=1 ack=4 data=OK",
            Side::Server,
            |side| side.spurious_retransmissions,
            1,
        ),
        (
            "S 10 A seq=3 ack=4 data=aa\nS 300 A seq=3 ack=4 data=aa",
            Side::Server,
            |side| side.retransmissions,
            1,
        ),
        (
            &format!("{lost}S 10.2 A seq=7 ack=4 data=bbbb"),
            Side::Server,
            |side| side.out_of_order,
            1,
        ),
        (lost, Side::Server, |side| side.lost_segments, 1),
        (
            &format!(
                "{lost}C 10.2 A seq=4 ack=7\nC 10.3 A seq=4 ack=7\nC 10.4 A seq=4 ack=7\nS 18 A seq=7 ack=4 data=bbbb"
            ),
            Side::Server,
            |side| side.fast_retransmissions,
            1,
        ),
        (
            &format!("{lost}C 10.2 A seq=4 ack=7\nC 10.3 A seq=4 ack=7\nC 10.4 A seq=4 ack=7"),
            Side::Client,
            |side| side.duplicate_acks,
            2,
        ),
        ("C 20 A seq=4 ack=9", Side::Client, |side| side.acked_unseen, 1),
        ("C 20 A seq=3 ack=3", Side::Client, |side| side.keep_alives, 1),
        (
            "C 20 A seq=3 ack=3\nS 21 A seq=3 ack=4",
            Side::Server,
            |side| side.keep_alive_acks,
            1,
        ),
        (
            "C 20 A seq=4 ack=3 win=500",
            Side::Client,
            |side| side.window_updates,
            1,
        ),
        (
            "C 20 A seq=4 ack=3 win=0",
            Side::Client,
            |side| side.zero_window_packets,
            1,
        ),
        (
            "C 20 A seq=4 ack=3 win=0\nS 220 A seq=3 ack=4 data=x",
            Side::Server,
            |side| side.zero_window_probes,
            1,
        ),
        (
            "C 20 A seq=4 ack=3 win=0\nC 270 A seq=4 ack=3 win=9",
            Side::Client,
            |side| side.zero_window_ns,
            250_000_000,
        ),
        (
            "C 20 A seq=4 ack=3 win=4\nS 21 A seq=3 ack=4 data=full",
            Side::Server,
            |side| side.window_full,
            1,
        ),
    ];
    for (script, side, counter, expected) in cases {
        let (record, _) = one(&format!("{ASKED}\n{script}"));
        assert_eq!(counter(&record.sides[side.index()]), *expected, "{script}");
    }
    let (healthy, _) = one(ASKED);
    for (side, sent) in healthy.sides.iter().enumerate() {
        let plain = SideFacts {
            packets: sent.packets,
            frame_bytes: sent.frame_bytes,
            payload_bytes: sent.payload_bytes,
            data_packets: 1,
            syn: u64::from(side == 0),
            syn_ack: u64::from(side == 1),
            ..SideFacts::default()
        };
        assert_eq!(*sent, plain, "nothing stands out");
    }
}

#[test]
fn the_same_packet_on_another_interface() {
    let (record, text) = one(&format!(
        "{ASKED}
        S 10 A seq=3 ack=4 data=abc id=7 if=1
        S 10.2 A seq=3 ack=4 data=abc id=7 if=2
        C 11 A seq=4 ack=6 if=2
        C 11.1 A seq=4 ack=6 if=1"
    ));
    assert_eq!(record.duplicates, 2);
    assert_eq!(record.sides[1].packets, 5, "counted as captured");
    assert_eq!(
        record.sides[1].retransmissions + record.sides[1].spurious_retransmissions,
        0
    );
    assert_eq!(record.sides[0].duplicate_acks, 0);
    assert_eq!(text, "C:GET S:OKabc");
    let (record, _) = one(&format!(
        "{ASKED}
        S 10 A seq=3 ack=4 data=abc id=7 if=1
        S 10.2 A seq=3 ack=4 data=abc id=7 if=1
        S 11.3 A seq=3 ack=4 data=abc id=7 if=2"
    ));
    assert_eq!(record.duplicates, 0, "same interface, or too late");
    assert_eq!(record.sides[1].retransmissions, 2);
}

#[test]
fn ports_used_again() {
    let again = "
        C 1000 S seq=70000
        S 1001 SA seq=90000 ack=70001
        C 1002 A seq=70001 ack=90001";
    for first in [ASKED, "C 0 S"] {
        let (records, _, _) = run(&made_all(&format!("{first}{again}")), &StreamLimits::default());
        assert_eq!(records.len(), 2);
        assert!(!records[0].reused_ports && records[1].reused_ports);
        assert_eq!(records[1].opening, Opening::Established);
        assert_eq!(records[1].sides[0].packets, 2);
    }
}

#[test]
fn lost_by_the_capture_is_told_from_lost_by_the_network() {
    // Bytes 3..7 of the server are not in the capture, but the client acknowledged them.
    let (record, text) = one(&format!(
        "{ASKED}
        S 20 A seq=7 ack=4 data=after
        C 25 A seq=4 ack=12
        S 30 FA seq=12 ack=4"
    ));
    assert_eq!(text, "C:GET S:OK S-4 S:after S.");
    assert_eq!(record.sides[1].missing_bytes, 4);
    assert_eq!(record.sides[0].acked_unseen, 1);
    // Sent again: all is there.
    let (record, text) = one(&format!(
        "{ASKED}
        S 20 A seq=7 ack=4 data=after
        C 20.1 A seq=4 ack=3
        S 220 A seq=3 ack=4 data=lost
        C 221 A seq=4 ack=12"
    ));
    assert_eq!(text, "C:GET S:OKlostafter");
    assert_eq!(record.sides[1].missing_bytes, 0);
    // The capture has the acknowledgment before the data.
    let (_, text) = one(&format!(
        "{ASKED}
        S 20 A seq=7 ack=4 data=after
        C 20.1 A seq=4 ack=12
        S 20.2 A seq=3 ack=4 data=data"
    ));
    assert_eq!(text, "C:GET S:OKdataafter");
}

#[test]
fn cut_packets_are_gaps() {
    let (record, text) = one(&format!(
        "{ASKED}
        C 20 AP seq=4 ack=3 data=POST len=100
        C 21 AP seq=104 ack=3 data=next"
    ));
    assert_eq!(text, "C:GET S:OK C:POST C-96 C:next");
    assert_eq!(record.cut_packets, 1);
    assert_eq!(record.sides[0].payload_bytes, 107);
    assert_eq!(record.sides[0].missing_bytes, 0);
}

#[test]
fn one_side_only() {
    let (record, text) = one("C 0 A seq=1 ack=1 data=GET\nC 1 A seq=4 ack=900 data=GET");
    assert!(record.one_sided);
    assert_eq!(text, "C:GETGET");
    assert!(!one("C 0 S").0.one_sided);
}

/// Packets of a connection of another client port.
fn with_port(script: &str, port: u32, later_ms: u32) -> Vec<Made> {
    let lines: Vec<String> = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let ms: f64 = words[1].parse().unwrap();
            words[1] = (ms + f64::from(later_ms)).to_string();
            format!("{} sport={port}", words.join(" "))
        })
        .collect();
    made_all(&lines.join("\n"))
}

fn interleaved(count: u32, script: &str) -> Vec<Made> {
    let all: Vec<Vec<Made>> = (0..count).map(|n| with_port(script, 20_000 + n, n)).collect();
    let longest = all.iter().map(Vec::len).max().unwrap_or(0);
    let mut packets: Vec<Made> = (0..longest)
        .flat_map(|step| all.iter().filter_map(move |one| one.get(step).cloned()))
        .collect();
    for (number, made) in packets.iter_mut().enumerate() {
        made.packet.at.frame = number as u64 + 1;
    }
    packets
}

#[test]
fn limits_cut_records_short_and_say_so() {
    let limits = StreamLimits {
        live: 3,
        embryonic: 2,
        ..StreamLimits::default()
    };
    let (records, _, summary) = run(&interleaved(10, ASKED), &limits);
    assert_eq!(summary.streams, records.len() as u64);
    assert_eq!(
        records
            .iter()
            .map(|record| record.sides[0].packets + record.sides[1].packets)
            .sum::<u64>(),
        70
    );
    assert!(summary.left_out.cut_short > 0 && summary.left_out.embryonic > 0);
    let cut_short = records.iter().filter(|record| record.truncated).count() as u64;
    assert_eq!(cut_short, summary.left_out.cut_short + summary.left_out.embryonic);
    let (again, _, _) = run(&interleaved(10, ASKED), &limits);
    assert_eq!(format!("{records:?}"), format!("{again:?}"));
}

#[test]
fn a_flood_of_syns_is_counted() {
    let limits = StreamLimits {
        embryonic: 100,
        ..StreamLimits::default()
    };
    let (records, texts, summary) = run(&interleaved(5000, "C 0 S"), &limits);
    assert_eq!(records.len(), 5000);
    assert!(records.iter().all(|record| record.opening == Opening::Unanswered));
    assert!(records.is_sorted_by_key(|record| record.first));
    assert_eq!(summary.left_out.embryonic, 4900);
    assert!(texts.is_empty());
}

#[test]
fn closed_connections_are_let_go_of() {
    let script = format!(
        "{ASKED}
        C 100 FA seq=4 ack=3
        S 101 FA seq=3 ack=5
        C 102 A seq=5 ack=4"
    );
    let limits = StreamLimits {
        live: 1000,
        linger_ns: 1_000_000_000,
        ..StreamLimits::default()
    };
    let mut packets = Vec::new();
    for n in 0..50 {
        packets.extend(with_port(&script, 20_000 + n, n * 500));
    }
    let (records, _, summary) = run(&packets, &limits);
    assert_eq!(records.len(), 50);
    assert_eq!(summary.left_out, ShardSummary::default().left_out);
    assert!(records.iter().all(|record| record.close.kind == CloseKind::Fin));
}

#[test]
fn results_do_not_depend_on_the_spread() {
    let script = format!(
        "{ASKED}
        S 20 A seq=7 ack=4 data=after
        S 220 A seq=3 ack=4 data=lost
        C 300 RA seq=4 ack=12"
    );
    let packets = interleaved(40, &script);
    let sorted = |mut records: Vec<StreamRecord>| {
        records.sort_by_key(|record| record.first);
        format!("{records:?}")
    };
    let (together, _, _) = run(&packets, &StreamLimits::default());
    let mut apart = Vec::new();
    for shard in (0..super::SHARDS).rev() {
        let own: Vec<Made> = packets
            .iter()
            .filter(|made| super::shard_of(super::CapturePoint(0), &made.packet.flow()) == shard)
            .cloned()
            .collect();
        apart.extend(run(&own, &StreamLimits::default()).0);
    }
    assert_eq!(sorted(together), sorted(apart));
}

#[test]
fn a_live_connection_is_small() {
    use super::receiver::Ignore;
    // With its place in the tables, about 0.8 KiB: 128 Ki of them are 100 MiB.
    assert!(
        size_of::<super::tcp::Stream<Ignore>>() <= 768,
        "{}",
        size_of::<super::tcp::Stream<Ignore>>()
    );
    assert!(
        size_of::<super::embryo::Embryo>() <= 96,
        "{}",
        size_of::<super::embryo::Embryo>()
    );
}

/// Takes a minute where it is not optimised: `cargo test --release -- --ignored ten_million`.
#[test]
#[ignore = "long"]
fn ten_million_syns_end_within_memory() {
    use super::receiver::Ignore;
    use super::testing::made;
    use super::{CapturePoint, SHARDS, Shard, shard_of};

    #[derive(Default)]
    struct Count(u64);
    impl super::StreamSink for Count {
        fn stream(&mut self, _: StreamRecord) {
            self.0 += 1;
        }
        fn dns(&mut self, _: super::DnsExchange) {}
    }

    const SYNS: u32 = 10_000_000;
    let point = CapturePoint(0);
    let mut shards: Vec<Shard<Ignore>> = (0..SHARDS)
        .map(|_| Shard::new(point, &StreamLimits::default()))
        .collect();
    let mut count = Count::default();
    let mut syn = made(1, "C 0 S");
    for number in 0..SYNS {
        syn.packet.at.frame = u64::from(number) + 1;
        let address = &mut syn.packet.source.address.0;
        address[12..].copy_from_slice(&number.to_be_bytes());
        shards[shard_of(point, &syn.packet.flow())].packet(&syn.packet, &[], &mut count);
    }
    for shard in shards {
        let _ = shard.finish(&mut count);
    }
    assert_eq!(count.0, u64::from(SYNS));
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap_or("");
        eprintln!("peak {}", peak.trim());
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap_or(0);
        assert!(kib < 300 << 10, "{kib} KiB");
    }
}
