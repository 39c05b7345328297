//! TCP connections one by one.

use super::ms;
use crate::aggregate::captures::class::is_plain_close;
use crate::aggregate::captures::{StreamClass, StreamHop, words};
use crate::correlate::{Incident, Names};
use crate::report::build::figures::as_f64;
use crate::report::model::{Counts, Stream, StreamAlert, StreamClose, StreamHttp, StreamSide, StreamTls};
use crate::streams::application::cipher_suite_name;
use crate::streams::{HttpFacts, SideFacts, StreamRecord, TlsAlert, TlsFacts};

/// All connections in order of their first packet, if they were asked for.
pub(in crate::report::build) fn streams(incident: &Incident<'_>) -> Option<Vec<Stream>> {
    let listed = incident.totals.captures.kept.listed()?;
    let stream = |record: &StreamRecord| stream(record, &incident.names);
    Some(listed.into_iter().map(stream).collect())
}

fn stream(record: &StreamRecord, names: &Names) -> Stream {
    let [client, server] = &record.sides;
    let both = |of: fn(&SideFacts) -> u64| of(client).saturating_add(of(server));
    Stream {
        input: record.first.input,
        point: u64::from(record.point.0),
        client: record.client.to_string(),
        server: record.server.to_string(),
        client_name: names.host(record.client.address).map(str::to_owned),
        server_name: names.server(record.server),
        roles_seen: record.roles_seen,
        first_frame: record.first.frame,
        last_frame: record.last.frame,
        start: record.start,
        end: record.end,
        packets: both(|side| side.packets),
        bytes: both(|side| side.frame_bytes),
        syn: both(|side| side.syn),
        syn_ack: both(|side| side.syn_ack),
        rst: both(|side| side.rst + side.rst_ack),
        fin: both(|side| side.fin),
        handshake_rtt_us: record.handshake_rtt_ns.map(|ns| as_f64(ns) / 1000.0),
        retransmissions: both(|side| side.retransmissions),
        fast_retransmissions: both(|side| side.fast_retransmissions),
        spurious_retransmissions: both(|side| side.spurious_retransmissions),
        out_of_order: both(|side| side.out_of_order),
        duplicate_acks: both(|side| side.duplicate_acks),
        zero_windows: both(|side| side.zero_window_packets),
        hop: StreamHop::of(record).name().to_owned(),
        outcome: StreamClass::primary(record).name().to_owned(),
        opening: words::opening_name(record.opening).to_owned(),
        close: close(record),
        tls: record.application.tls.as_deref().map(tls),
        http: record.application.http.as_deref().map(http),
        client_sent: side(client),
        server_sent: side(server),
        icmp_error: record.icmp_error.map(|(kind, ..)| words::icmp_name(kind)),
        longest_idle_ms: ms(record.longest_idle_ns),
        duplicates: record.duplicates,
        cut_packets: record.cut_packets,
        one_sided: record.one_sided,
        reused_ports: record.reused_ports,
        truncated: record.truncated,
    }
}

fn close(record: &StreamRecord) -> StreamClose {
    let close = &record.close;
    StreamClose {
        kind: words::close_name(close.kind).to_owned(),
        by: close.by.map(|by| words::side_name(by).to_owned()),
        at: close.at.map(|(time, _)| time),
        frame: close.at.map(|(_, at)| at.frame),
        idle_before_ms: close.idle_before_ns.map(ms),
    }
}

fn tls(facts: &TlsFacts) -> StreamTls {
    StreamTls {
        version: facts.version.map(words::tls_version),
        sni: facts.sni.clone(),
        alpn: facts.alpn.clone(),
        alpn_offered: facts.alpn_offered.clone(),
        alert: telling(&facts.alerts).map(alert),
        cipher_suite: facts
            .cipher_suite
            .map(|suite| cipher_suite_name(suite).map_or_else(|| format!("{suite:04x}"), str::to_owned)),
        resumed: facts.resumed,
        established: facts.established,
        handshake_ms: facts.handshake_ns.map(ms),
    }
}

/// The first fatal alert that is no plain end of a session, else the first such alert, else the first of all.
fn telling(alerts: &[TlsAlert]) -> Option<&TlsAlert> {
    alerts
        .iter()
        .min_by_key(|alert| (is_plain_close(alert), alert.level != 2))
}

fn alert(alert: &TlsAlert) -> StreamAlert {
    StreamAlert {
        level: words::alert_level(alert.level),
        code: u64::from(alert.description),
        description: words::alert_name(alert.description),
        by: words::side_name(alert.side).to_owned(),
        frame: alert.at.frame,
    }
}

fn http(facts: &HttpFacts) -> StreamHttp {
    let counts = |(code, count): (String, &u64)| (code, *count);
    let responses_by_code: Counts = facts
        .responses_by_code
        .iter()
        .map(|(code, count)| counts((code.to_string(), count)))
        .collect();
    StreamHttp {
        requests: facts.requests,
        unanswered: facts.unanswered,
        responses_by_code,
        grpc_by_status: facts
            .grpc_by_status
            .iter()
            .map(|(status, count)| counts((status.to_string(), count)))
            .collect(),
        host: facts.host.clone(),
        user_agent: facts.user_agent.clone(),
    }
}

fn side(facts: &SideFacts) -> StreamSide {
    StreamSide {
        packets: facts.packets,
        frame_bytes: facts.frame_bytes,
        payload_bytes: facts.payload_bytes,
        data_packets: facts.data_packets,
        syn: facts.syn,
        syn_ack: facts.syn_ack,
        fin: facts.fin,
        rst: facts.rst,
        rst_ack: facts.rst_ack,
        zero_window_packets: facts.zero_window_packets,
        zero_window_ms: ms(facts.zero_window_ns),
        retransmissions: facts.retransmissions,
        fast_retransmissions: facts.fast_retransmissions,
        spurious_retransmissions: facts.spurious_retransmissions,
        data_sent_again: facts.data_sent_again,
        got_twice: facts.got_twice,
        out_of_order: facts.out_of_order,
        duplicate_acks: facts.duplicate_acks,
        lost_segments: facts.lost_segments,
        acked_unseen: facts.acked_unseen,
        keep_alives: facts.keep_alives,
        keep_alive_acks: facts.keep_alive_acks,
        zero_window_probes: facts.zero_window_probes,
        window_full: facts.window_full,
        window_updates: facts.window_updates,
        missing_bytes: facts.missing_bytes,
    }
}
