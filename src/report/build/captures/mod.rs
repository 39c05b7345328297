//! Sums over captures in the report's words.

pub(super) mod input;
mod streams;
mod troubles;

pub(super) use streams::streams;

use super::requests::frame_reference;
use super::{CaptureRead, InputRead, of_table};
use crate::aggregate::bounded::{Bounded, Key};
use crate::aggregate::captures::kept::MAX_LISTED;
use crate::aggregate::captures::sums::{FailedName, FailedQuestions};
use crate::aggregate::captures::times::{TimeFigures, Times as TimesOf};
use crate::aggregate::captures::{
    CaptureTotals, DnsTotals, HttpTotals, ServerKey, ServerTotals, StreamHop, TcpTotals, TlsTotals, words,
};
use crate::correlate::{Incident, Names};
use crate::decode::packet::{Address, FrameRef};
use crate::input::Source;
use crate::report::model::{
    CaptureAlert, CaptureCertificate, CaptureDns, CaptureFailedName, CaptureHonesty, CaptureHttp,
    CapturePoint, CaptureServer, CaptureStreams, CaptureTcp, CaptureTls, Captures, Counts, Limit, Ref, Times,
};
use crate::streams::{Opening, SHARDS, ShardSummary, StreamLimits};
use crate::units::InputId;
use std::collections::BTreeMap;

/// Failed names of DNS listed.
const MAX_FAILED_NAMES: usize = 200;

/// Everything that the captures tell.
pub(super) fn captures(incident: &Incident<'_>, sources: &[Source], reads: &[InputRead]) -> Captures {
    let read: Vec<(InputId, &CaptureRead)> = sources
        .iter()
        .zip(reads)
        .filter_map(|(source, read)| Some((source.id, read.capture.as_ref()?)))
        .collect();
    let totals = &incident.totals.captures;
    if read.is_empty() && totals.is_empty() {
        return Captures::default();
    }
    let sum =
        |of: fn(&CaptureRead) -> u64| read.iter().map(|(_, read)| of(read)).fold(0, u64::saturating_add);
    let drops: Vec<u64> = read.iter().filter_map(|(_, read)| read.summary.dropped).collect();
    let dropped = drops.iter().copied().reduce(u64::saturating_add);
    Captures {
        packets: sum(|read| read.summary.packets),
        bytes: sum(|read| read.summary.wire_bytes),
        truncated_packets: sum(|read| read.summary.cut_packets),
        dropped_reported: dropped.unwrap_or(0),
        duplicates: totals.tcp.duplicates,
        link_types: link_types(&read),
        streams: CaptureStreams {
            tcp: totals.tcp.connections,
            udp: totals.udp_flows.count(),
            other: totals.other_flows.count(),
            truncated: totals.udp_flows.is_estimate() || totals.other_flows.is_estimate(),
        },
        tcp: tcp(&totals.tcp),
        tls: tls(&totals.tls),
        http: http(&totals.http),
        dns: dns(&totals.dns, &incident.names),
        icmp: totals.icmp.iter().fold(Counts::new(), |counts, (kind, count)| {
            plus(counts, words::icmp_name(*kind), *count)
        }),
        hops: StreamHop::ALL
            .into_iter()
            .map(|hop| (hop.name().to_owned(), totals.hops.get(&hop).copied().unwrap_or(0)))
            .collect(),
        points: points(&read),
        servers: servers(totals, &incident.names),
        troubles: troubles::troubles(totals, &incident.names),
        honesty: honesty(totals, sum(|read| read.summary.cut_packets), dropped),
    }
}

fn plus(mut counts: Counts, name: String, count: u64) -> Counts {
    *counts.entry(name).or_default() += count;
    counts
}

fn link_types(read: &[(InputId, &CaptureRead)]) -> Counts {
    read.iter()
        .flat_map(|(_, read)| &read.summary.link_types)
        .fold(Counts::new(), |counts, known| {
            plus(counts, known.name.to_owned(), known.packets)
        })
}

fn points(read: &[(InputId, &CaptureRead)]) -> Vec<CapturePoint> {
    let mut points: BTreeMap<u32, CapturePoint> = BTreeMap::new();
    for (input, read) in read {
        let point = points.entry(read.point.0).or_insert_with(|| CapturePoint {
            point: u64::from(read.point.0),
            inputs: Vec::new(),
            packets: 0,
            bytes: 0,
            start: None,
            end: None,
        });
        point.inputs.push(*input);
        point.packets = point.packets.saturating_add(read.summary.packets);
        point.bytes = point.bytes.saturating_add(read.summary.wire_bytes);
        point.start = [point.start, read.summary.earliest].into_iter().flatten().min();
        point.end = point.end.max(read.summary.latest);
    }
    points.into_values().collect()
}

fn tcp(totals: &TcpTotals) -> CaptureTcp {
    let sent = &totals.sent;
    let name = |name: &str, count: &u64| (name.to_owned(), *count);
    CaptureTcp {
        handshakes: totals.handshakes,
        failed: totals.failed,
        refused: totals.opened(Opening::Refused),
        rejected: totals.opened(Opening::Rejected),
        unanswered_syn: totals.opened(Opening::Unanswered),
        resets: sent.rst + sent.rst_ack,
        resets_before_data: totals.closed(crate::streams::CloseKind::ResetBeforeData),
        retransmissions: sent.retransmissions,
        fast_retransmissions: sent.fast_retransmissions,
        spurious_retransmissions: sent.spurious_retransmissions,
        out_of_order: sent.out_of_order,
        duplicate_acks: sent.duplicate_acks,
        zero_windows: sent.zero_window_packets,
        zero_window_ms: ms(sent.zero_window_ns),
        lost_segments: sent.lost_segments,
        half_open: totals.opened(Opening::HalfOpen),
        midstream: totals.opened(Opening::Midstream),
        keep_alives: sent.keep_alives,
        reused_ports: totals.reused_ports,
        openings: totals
            .openings
            .iter()
            .map(|(opening, count)| name(words::opening_name(*opening), count))
            .collect(),
        closes: totals
            .closes
            .iter()
            .map(|(kind, count)| name(words::close_name(*kind), count))
            .collect(),
        handshake_rtt_us: in_us(&totals.handshake_rtt),
    }
}

fn tls(totals: &TlsTotals) -> CaptureTls {
    let mut alerts: Vec<CaptureAlert> = totals
        .alerts
        .iter()
        .map(|(key, seen)| CaptureAlert {
            level: words::alert_level(key.level),
            code: u64::from(key.description),
            description: words::alert_name(key.description),
            by: words::side_name(key.by).to_owned(),
            count: seen.count,
            refs: refs(&seen.places),
        })
        .collect();
    alerts.sort_by(|a, b| b.count.cmp(&a.count).then(a.code.cmp(&b.code)));
    let certificates = totals.certificates.iter().map(|(key, seen)| CaptureCertificate {
        subject: key.subject.clone(),
        san: key.san.clone(),
        not_before: date(key.not_before_s),
        not_after: date(key.not_after_s),
        issuer: key.issuer.clone(),
        leaf: key.leaf,
        by: words::side_name(key.by).to_owned(),
        count: seen.count,
        refs: refs(&seen.places),
    });
    CaptureTls {
        connections: totals.connections,
        established: totals.established,
        resumed: totals.resumed,
        client_hellos: totals.client_hellos,
        server_hellos: totals.server_hellos,
        alerts,
        encrypted_alerts: totals.encrypted_alerts,
        versions: totals
            .versions
            .iter()
            .map(|(version, count)| (words::tls_version(*version), *count))
            .collect(),
        sni: counts(&totals.sni),
        alpn: counts(&totals.alpn),
        alpn_offered: counts(&totals.alpn_offered),
        certificates: certificates.collect(),
        handshake_ms: in_ms(&totals.handshake),
        truncated: totals.sni.is_truncated()
            || totals.alpn.is_truncated()
            || totals.alpn_offered.is_truncated()
            || totals.alerts.is_truncated()
            || totals.certificates.is_truncated(),
    }
}

fn http(totals: &HttpTotals) -> CaptureHttp {
    CaptureHttp {
        connections: totals.connections,
        requests: totals.requests,
        unanswered: totals.unanswered,
        responses_by_code: totals
            .responses_by_code
            .iter()
            .map(|(code, count)| (code.to_string(), *count))
            .collect(),
        grpc_by_status: counts(&totals.grpc_by_status),
        methods: counts(&totals.methods),
        rst_stream: counts(&totals.rst_stream),
        goaway: counts(&totals.goaway),
        response_time_ms: in_ms(&totals.response),
    }
}

fn dns(totals: &DnsTotals, names: &Names) -> CaptureDns {
    let mut failed: Vec<CaptureFailedName> = totals
        .failed_names
        .iter()
        .map(|(key, questions)| failed_name(key, questions, names))
        .collect();
    failed.sort_by(|a, b| {
        b.count
            .cmp(&a.count)
            .then_with(|| (&a.name, &a.rcode).cmp(&(&b.name, &b.rcode)))
    });
    let left_out = failed.len() > MAX_FAILED_NAMES;
    failed.truncate(MAX_FAILED_NAMES);
    CaptureDns {
        queries: totals.queries,
        retries: totals.retries,
        unanswered: totals.unanswered,
        responses_by_rcode: totals
            .responses_by_rcode
            .iter()
            .map(|(rcode, count)| (words::rcode_name(*rcode), *count))
            .collect(),
        truncated_answers: totals.truncated_answers,
        failed_names: failed,
        response_time_ms: in_ms(&totals.response),
        truncated: left_out || totals.failed_names.is_truncated(),
    }
}

fn failed_name(key: &FailedName, questions: &FailedQuestions, names: &Names) -> CaptureFailedName {
    CaptureFailedName {
        name: key.name.clone(),
        rcode: key.rcode.map(words::rcode_name),
        count: questions.count,
        retries: questions.retries,
        clients: questions
            .clients
            .iter()
            .map(|client| named(*client, names))
            .collect(),
        servers: questions.servers.iter().map(ToString::to_string).collect(),
        first: questions.first,
        last: questions.last,
        refs: refs(&questions.places),
    }
}

/// An address by what it is called, or itself.
fn named(address: Address, names: &Names) -> String {
    names
        .host(address)
        .map_or_else(|| address.to_string(), str::to_owned)
}

fn servers(totals: &CaptureTotals, names: &Names) -> Vec<CaptureServer> {
    let mut list: Vec<CaptureServer> = totals
        .servers
        .iter()
        .map(|(key, server)| of_server(key, server, names))
        .collect();
    list.sort_by(|a, b| {
        let order = b.connections.cmp(&a.connections);
        order.then_with(|| (a.point, &a.server).cmp(&(b.point, &b.server)))
    });
    list
}

fn of_server(key: &ServerKey, server: &ServerTotals, names: &Names) -> CaptureServer {
    let again = [&server.client_sent, &server.server_sent]
        .map(|sent| sent.retransmissions + sent.fast_retransmissions + sent.spurious_retransmissions);
    CaptureServer {
        point: u64::from(key.point.0),
        server: key.server.to_string(),
        name: names.server(key.server),
        hop: server.usual_hop().name().to_owned(),
        connections: server.connections,
        failed: server.failed,
        retransmissions: again.iter().sum(),
        handshake_rtt_us: in_us(&server.handshake_rtt),
        tls_handshake_ms: in_ms(&server.tls_handshake),
        response_time_ms: in_ms(&server.response),
    }
}

fn honesty(totals: &CaptureTotals, cut_packets: u64, reported_drops: Option<u64>) -> CaptureHonesty {
    CaptureHonesty {
        one_sided_streams: totals.tcp.one_sided,
        cut_packets,
        reported_drops,
        acked_unseen: totals.tcp.sent.acked_unseen,
        missing_bytes: totals.tcp.sent.missing_bytes,
        truncated_streams: totals.tcp.truncated,
        tls_1_3_streams: totals.tls.versions.get(&0x0304).copied().unwrap_or(0),
    }
}

/// Every bound that was reached.
pub(super) fn limits(totals: &CaptureTotals) -> Vec<Option<Limit>> {
    let named = "connections; counted under the name other";
    let groups = totals.groups.tables().map(|(table, groups)| {
        let what = "connections; counted in totals, not by client and server";
        of_table(table, what, groups, |group| group.count)
    });
    let mut list = Vec::from(groups);
    list.extend([
        of_table(
            "servers",
            "connections; not in the table of servers",
            &totals.servers,
            |server| server.connections,
        ),
        of_table("server names of TLS", named, &totals.tls.sni, |count| *count),
        of_table("protocols of TLS", named, &totals.tls.alpn, |count| *count),
        of_table(
            "protocols offered in TLS",
            named,
            &totals.tls.alpn_offered,
            |count| *count,
        ),
        of_table(
            "certificates",
            "certificates; not listed",
            &totals.tls.certificates,
            |seen| seen.count,
        ),
        of_table(
            "alerts of TLS",
            "alerts; not listed",
            &totals.tls.alerts,
            |seen| seen.count,
        ),
        of_table(
            "names that DNS does not know",
            "questions; counted by response code",
            &totals.dns.failed_names,
            |questions| questions.count,
        ),
    ]);
    let names = [
        ("servers named by mesh TLS", &totals.names.mesh_services),
        ("servers named by clients", &totals.names.hosts),
        ("addresses named by DNS", &totals.names.dns),
        ("addresses named by certificates", &totals.names.identities),
    ];
    let unnamed = "addresses beyond the limit; they stay unnamed";
    list.extend(names.map(|(table, votes)| of_table(table, unnamed, votes, |_| 0)));
    list.extend(of_shards(&totals.shards.0));
    list.push(troubles::limit(totals));
    let left_out = totals.kept.left_out_of_list();
    list.push((left_out > 0).then(|| Limit {
        table: "list of connections".to_owned(),
        limit: MAX_LISTED as u64,
        kept: MAX_LISTED as u64,
        left_out,
        what: "connections; a sample by hash is listed".to_owned(),
    }));
    list
}

/// Bounds of the shards together.
fn of_shards(summary: &ShardSummary) -> [Option<Limit>; 4] {
    let (limits, left_out) = (StreamLimits::default(), &summary.left_out);
    let bounds = [
        (
            "open connections",
            limits.live,
            left_out.cut_short,
            "connections; their records end early, and what came later is a record of its own",
        ),
        (
            "connections of one SYN",
            limits.embryonic,
            left_out.embryonic,
            "connections; their records end early, and are right unless something came later",
        ),
        (
            "bytes that wait for a gap",
            limits.held_bytes_of_shard,
            left_out.gaps_given_up,
            "gaps; given up, so that what was beyond them could be read",
        ),
        (
            "UDP flows followed",
            limits.udp_flows,
            left_out.udp_packets,
            "packets; counted, their questions not read",
        ),
    ];
    bounds.map(|(table, limit, left_out, what)| {
        let limit = limit.saturating_mul(SHARDS) as u64;
        (left_out > 0).then(|| Limit {
            table: table.to_owned(),
            limit,
            kept: limit,
            left_out,
            what: what.to_owned(),
        })
    })
}

/// What is kept by name, and what is not as `other`.
fn counts<K: Key + ToString>(table: &Bounded<K, u64>) -> Counts {
    let mut counts: Counts = table
        .iter()
        .map(|(key, count)| (key.to_string(), *count))
        .collect();
    let other: u64 = table.lumped().map(|(_, count)| count).sum();
    if other > 0 {
        *counts.entry("other".to_owned()).or_default() += other;
    }
    counts
}

fn refs<'f>(places: impl IntoIterator<Item = &'f FrameRef>) -> Vec<Ref> {
    places.into_iter().copied().map(frame_reference).collect()
}

/// A date of a certificate, which may be beyond what a [`crate::units::Timestamp`] holds (99991231235959Z says that
/// there is no end, RFC 5280 section 4.1.2.5).
fn date(seconds: i64) -> Option<String> {
    let epoch = jiff::civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    let time = epoch.checked_add(jiff::SignedDuration::from_secs(seconds)).ok()?;
    (time.year() >= 0).then(|| format!("{time}Z"))
}

fn in_us<const DIGITS: u8>(times: &TimesOf<DIGITS>) -> Times {
    times
        .figures()
        .map_or_else(Times::default, |figures| scaled(&figures, 1000.0))
}

fn in_ms<const DIGITS: u8>(times: &TimesOf<DIGITS>) -> Times {
    times
        .figures()
        .map_or_else(Times::default, |figures| scaled(&figures, 1_000_000.0))
}

fn scaled(figures: &TimeFigures, divisor: f64) -> Times {
    let of = |ns: u64| super::figures::as_f64(ns) / divisor;
    Times {
        count: figures.count,
        min: of(figures.min_ns),
        p50: of(figures.p50_ns),
        p90: of(figures.p90_ns),
        p99: of(figures.p99_ns),
        max: of(figures.max_ns),
    }
}

/// Nanoseconds in milliseconds, to the microsecond.
fn ms(ns: u64) -> f64 {
    super::figures::as_f64(ns / 1000) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Totals;
    use crate::aggregate::captures::samples::{endpoint, question, record};
    use crate::streams::{CapturePoint as Point, CloseKind, DnsOutcome, Side, StreamRecord};

    fn refused(frame: u64, point: u32) -> StreamRecord {
        let mut refused = record(frame);
        refused.opening = Opening::Refused;
        refused.close.kind = CloseKind::NotOpened;
        refused.sides[1].rst_ack = 1;
        refused.point = Point(point);
        refused
    }

    fn of(records: &[StreamRecord], list: bool) -> (Captures, Option<Vec<crate::report::model::Stream>>) {
        let mut totals = Totals {
            captures: CaptureTotals::new(list, true),
            ..Totals::default()
        };
        for record in records {
            totals.captures.stream(record.clone());
        }
        for frame in 1..4 {
            let name = format!("name{}.example", frame % 2);
            totals
                .captures
                .dns(&question(&name, frame, DnsOutcome::Answered(3)));
        }
        let incident = Incident::of(&totals);
        (captures(&incident, &[], &[]), streams(&incident))
    }

    #[test]
    fn without_captures_all_is_empty() {
        let totals = Totals::default();
        let incident = Incident::of(&totals);
        let captures = captures(&incident, &[], &[]);
        assert!(captures.hops.is_empty() && captures.troubles.is_empty() && captures.points.is_empty());
        assert!(streams(&incident).is_none());
    }

    #[test]
    fn figures_add_up() {
        let records = [record(1), refused(20, 0), refused(40, 0), refused(60, 1)];
        let (captures, streams) = of(&records, true);
        assert_eq!((captures.streams.tcp, captures.tcp.failed), (4, 3));
        assert_eq!(
            (captures.tcp.refused, captures.tcp.handshakes, captures.tcp.resets),
            (3, 1, 3)
        );
        assert_eq!(captures.tcp.openings["refused"], 3);
        assert_eq!(captures.hops.values().sum::<u64>(), 4);
        assert_eq!(
            captures.hops.len(),
            StreamHop::ALL.len(),
            "each is there, also if 0"
        );
        let rtt = captures.tcp.handshake_rtt_us;
        assert_eq!((rtt.count, rtt.p50), (4, 2000.0));
        let seen: Vec<_> = captures
            .troubles
            .iter()
            .map(|t| (t.kind.as_str(), t.point, t.connections, t.of))
            .collect();
        assert_eq!(seen, [("refused", 0, 2, 3), ("refused", 1, 1, 1)]);
        let names: Vec<_> = captures
            .dns
            .failed_names
            .iter()
            .map(|n| (n.name.as_str(), n.count))
            .collect();
        assert_eq!(names, [("name1.example", 2), ("name0.example", 1)]);
        let streams = streams.unwrap();
        let listed: Vec<_> = streams
            .iter()
            .map(|s| (s.first_frame, s.outcome.as_str()))
            .collect();
        assert_eq!(
            listed,
            [(1, "good"), (20, "refused"), (40, "refused"), (60, "refused")]
        );
        let resets: u64 = streams.iter().map(|s| s.rst).sum();
        assert_eq!(resets, captures.tcp.resets);
    }

    #[test]
    fn what_one_server_does_stands_together() {
        let mut reset = record(100);
        reset.server = endpoint("10.0.0.9", 80);
        reset.close.kind = CloseKind::ResetMidExchange;
        reset.close.by = Some(Side::Server);
        let mut records = vec![reset];
        for n in 0..9 {
            let mut one = refused(200 + n, u32::from(n > 1));
            one.server = endpoint("10.0.0.5", 80);
            let mut other = refused(300 + n, 0);
            other.server = endpoint("10.0.0.6", 80);
            other.client = endpoint("10.0.0.7", 4000);
            records.extend([one, other]);
        }
        let (captures, _) = of(&records, false);
        let seen: Vec<_> = captures
            .troubles
            .iter()
            .map(|t| (t.server.as_str(), t.point, t.connections))
            .collect();
        assert_eq!(
            seen,
            [
                ("10.0.0.6:80", 0, 9),
                ("10.0.0.5:80", 1, 7),
                ("10.0.0.5:80", 0, 2),
                ("10.0.0.9:80", 0, 1)
            ]
        );
    }

    #[test]
    fn what_is_not_listed_of_what_went_wrong_is_counted() {
        let on_each = |servers: u16| {
            let mut totals = CaptureTotals::new(false, false);
            for port in 1..=servers {
                let mut one = refused(u64::from(port), 0);
                one.server = endpoint("10.0.0.5", port);
                totals.stream(one);
            }
            limits(&totals).into_iter().flatten().collect::<Vec<_>>()
        };
        assert_eq!(on_each(200), []);
        let limits = on_each(203);
        let told: Vec<_> = limits.iter().map(|limit| (limit.limit, limit.left_out)).collect();
        assert_eq!(told, [(200, 3)], "{limits:?}");
    }

    #[test]
    fn dates_beyond_nanoseconds_are_told() {
        assert_eq!(date(253_402_300_799).as_deref(), Some("9999-12-31T23:59:59Z"));
        assert_eq!(date(0).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(date(i64::MAX), None);
    }
}
