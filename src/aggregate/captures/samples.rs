//! Connections for tests.

use crate::decode::packet::{Endpoint, FrameRef};
use crate::streams::{
    Application, CapturePoint, Close, CloseKind, DnsExchange, DnsOutcome, Opening, ResponseTime, Side,
    SideFacts, StreamEvent, StreamEventKind, StreamMoment, StreamRecord,
};
use crate::units::{InputId, Timestamp};
use proptest::prelude::*;
use std::net::IpAddr;

/// An endpoint.
pub(crate) fn endpoint(ip: &str, port: u16) -> Endpoint {
    Endpoint {
        address: ip.parse::<IpAddr>().unwrap().into(),
        port,
    }
}

/// Frame `frame` of input 0, which was captured that many milliseconds after 2023-11-14.
pub(crate) fn at(frame: u64) -> (Timestamp, FrameRef) {
    let time = Timestamp::from_secs(1_700_000_000).plus_millis(frame);
    (
        time,
        FrameRef {
            input: InputId(0),
            frame,
        },
    )
}

/// A connection that went well, from frame `frame` on.
pub(crate) fn record(frame: u64) -> StreamRecord {
    let facts = SideFacts {
        packets: 5,
        frame_bytes: 700,
        payload_bytes: 350,
        data_packets: 1,
        fin: 1,
        ..SideFacts::default()
    };
    StreamRecord {
        point: CapturePoint(0),
        client: endpoint("10.0.0.1", 40_000),
        server: endpoint("10.0.0.2", 9080),
        roles_seen: true,
        first: at(frame).1,
        last: at(frame + 9).1,
        start: Some(at(frame).0),
        end: Some(at(frame + 9).0),
        opening: Opening::Established,
        syn: Some(at(frame)),
        last_syn: Some(at(frame)),
        syn_ack: Some(at(frame + 1)),
        handshake_ack: Some(at(frame + 2)),
        handshake_rtt_ns: Some(2_000_000),
        server_ttl: Some(64),
        initial_sequence: [None; 2],
        sides: [facts, facts],
        close: Close {
            kind: CloseKind::Fin,
            by: Some(Side::Client),
            at: Some(at(frame + 8)),
            idle_before_ns: Some(1_000),
            asked_after_idle_ns: None,
        },
        duplicates: 0,
        cut_packets: 0,
        one_sided: false,
        reused_ports: false,
        icmp_error: None,
        longest_idle_ns: 1_000,
        truncated: false,
        application: Application {
            response_times: vec![ResponseTime {
                second: 0,
                ns: frame * 10_000,
            }],
            ..Application::default()
        },
        events: Vec::new(),
        moments: Vec::new(),
    }
}

/// A question about `name`, asked in frame `frame`.
pub(crate) fn question(name: &str, frame: u64, outcome: DnsOutcome) -> DnsExchange {
    let (time, at_frame) = at(frame);
    DnsExchange {
        point: CapturePoint(0),
        client: endpoint("10.0.0.1", 50_000),
        server: endpoint("10.96.0.10", 53),
        name: name.to_owned(),
        record_type: 1,
        query: (Some(time), at_frame),
        retries: frame % 3,
        outcome,
        response: Some((Some(at(frame + 1).0), at(frame + 1).1)),
        addresses: vec![endpoint("10.1.2.3", 0).address],
        tcp: false,
        truncated_answer: false,
    }
}

/// Connections of all sorts among a few hosts.
pub(crate) fn any_record() -> impl Strategy<Value = StreamRecord> {
    (1u64..5000, 0u8..12, 1u8..40, 0u64..3, any::<bool>()).prop_map(|(frame, sort, host, loss, server)| {
        let mut r = record(frame);
        let by = if server { Side::Server } else { Side::Client };
        r.client = endpoint(&format!("10.0.0.{host}"), u16::try_from(30_000 + frame).unwrap());
        r.server.port = 9080 + u16::from(host % 3);
        r.sides[by.index()].retransmissions = loss * 5;
        r.sides[by.index()].data_sent_again = loss * 4;
        r.sides[by.index()].zero_window_packets = loss / 2;
        let (time, frame_ref) = at(frame + 4);
        r.events = (0..loss)
            .map(|_| StreamEvent {
                kind: StreamEventKind::Retransmission,
                side: by,
                time: Some(time),
                at: frame_ref,
            })
            .collect();
        r.moments = (0..loss)
            .map(|n| StreamMoment {
                second: time.secs() + n.cast_signed(),
                retransmissions: 3,
                zero_windows: 0,
            })
            .collect();
        match sort {
            0 => r.opening = Opening::Refused,
            1 => r.opening = Opening::Unanswered,
            2 => r.opening = Opening::HalfOpen,
            3 => r.opening = Opening::Midstream,
            4 => r.close.kind = CloseKind::ResetMidExchange,
            5 => r.close.kind = CloseKind::ResetBeforeData,
            6 => r.close.kind = CloseKind::Open,
            _ => {}
        }
        r.close.by = Some(by);
        r
    })
}

/// At most `most` connections, each with a first packet of its own.
pub(crate) fn any_records(most: usize) -> impl Strategy<Value = Vec<StreamRecord>> {
    prop::collection::vec(any_record(), 0..most).prop_map(|mut records| {
        let mut seen = std::collections::BTreeSet::new();
        records.retain(|record| seen.insert(record.first));
        records
    })
}
