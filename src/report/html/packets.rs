//! What captures show: how connections began and ended, what went wrong, TLS, HTTP, DNS, and what cannot be seen.

use super::cite::citations;
use super::element::{Element, el};
use super::errors::tally;
use super::table::{Set, Table, closed};
use super::timeline::moment;
use super::window::whole_time;
use super::{Context, rest};
use crate::report::model::{Captures, Counts, Times};
use crate::report::text::number::{bytes, counted, group, short};
use crate::report::text::place;

/// Rows of tables.
const LISTED: usize = 60;

/// The section.
pub(super) fn packets(context: &Context<'_>) -> Element {
    let captures = &context.report.captures;
    if captures.packets == 0 && captures.streams.tcp == 0 {
        return el("");
    }
    el("")
        .child(whole_time("Counts are"))
        .child(el("p").text(format!(
            "{}, {}; {} over TCP, {}.",
            counted(captures.packets, "packet"),
            bytes(captures.bytes),
            counted(captures.streams.tcp, "connection"),
            counted(captures.streams.udp, "UDP flow")
        )))
        .child(troubles(context))
        .child(counts(context, captures))
        .child(servers(context))
        .child(alerts(context))
        .child(certificates(context))
        .child(failed_names(context))
        .child(points(context))
        .child(honesty(captures))
}

fn optional(heading: &'static str, table: Table, all: usize) -> Element {
    let shown = table.len();
    if shown == 0 {
        return el("");
    }
    el("")
        .child(el("h3").text(heading))
        .child(table.finish())
        .child(rest(shown, all))
}

fn troubles(context: &Context<'_>) -> Element {
    let troubles = &context.report.captures.troubles;
    let mut table = Table::new(
        "What went wrong on connections",
        [
            ("what", Set::Left),
            ("server", Set::Left),
            ("connections", Set::Right),
            ("of", Set::Right),
            ("first", Set::Left),
            ("last", Set::Left),
            ("clients", Set::Left),
            ("frames", Set::Left),
        ],
    );
    for trouble in troubles.iter().take(context.rows(LISTED)) {
        let time = |t: Option<crate::units::Timestamp>| {
            el("").text(t.map_or("–".to_owned(), |t| context.clock.time(t)))
        };
        let server = trouble.name.as_ref().map_or_else(
            || trouble.server.clone(),
            |name| format!("{name} ({})", trouble.server),
        );
        let mut clients: Vec<String> = trouble
            .clients
            .iter()
            .map(|client| client.name.clone().unwrap_or_else(|| client.address.clone()))
            .collect();
        let listed = u64::try_from(clients.len()).unwrap_or(u64::MAX);
        if let Some(more @ 1..) = trouble.client_count.checked_sub(listed) {
            clients.push(format!("{} more", group(more)));
        }
        let mut what = el("")
            .child(el("span").class("mark").text(&trouble.kind))
            .text(" ")
            .text(&trouble.text);
        for figure in [
            (trouble.retransmissions > 0).then(|| {
                format!(
                    "{} of {} segments sent again",
                    group(trouble.retransmissions),
                    group(trouble.segments)
                )
            }),
            (trouble.zero_window_ms > 0.0).then(|| {
                format!(
                    "window 0 for {} ms, at longest {} ms",
                    short(trouble.zero_window_ms),
                    short(trouble.longest_zero_window_ms)
                )
            }),
            (trouble.server_errors > 0)
                .then(|| format!("{} answers of 500 or more", group(trouble.server_errors))),
        ]
        .into_iter()
        .flatten()
        {
            what = what.text("; ").text(figure);
        }
        if !trouble.spoken.is_empty() {
            what = what.text(format!(" ({})", trouble.spoken));
        }
        table.row_of(
            [
                what,
                el("").text(server),
                el("").text(group(trouble.connections)),
                el("").text(group(trouble.of)),
                time(trouble.first),
                time(trouble.last),
                el("").text(clients.join(", ")),
                citations(context, &trouble.refs, 0),
            ],
            match (trouble.first, trouble.last) {
                (Some(first), Some(last)) => Some((moment(first).0, moment(last).1)),
                _ => None,
            },
        );
    }
    optional("What went wrong on connections", table, troubles.len())
}

fn counts(context: &Context<'_>, captures: &Captures) -> Element {
    let tcp = &captures.tcp;
    let figures: [(&str, u64); 13] = [
        ("went wrong", tcp.failed),
        ("refused", tcp.refused),
        ("rejected by ICMP", tcp.rejected),
        ("SYN unanswered", tcp.unanswered_syn),
        ("begun before the capture", tcp.midstream),
        ("packets with RST", tcp.resets),
        ("retransmissions", tcp.retransmissions),
        ("fast retransmissions", tcp.fast_retransmissions),
        ("spurious retransmissions", tcp.spurious_retransmissions),
        ("out of order", tcp.out_of_order),
        ("duplicate ACKs", tcp.duplicate_acks),
        ("windows of 0", tcp.zero_windows),
        ("keep-alive probes", tcp.keep_alives),
    ];
    let tcp_counts: Counts = figures
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| (name.to_owned(), count))
        .collect();
    let tables: [(&str, &Counts); 16] = [
        ("TCP", &tcp_counts),
        ("began", &tcp.openings),
        ("ended", &tcp.closes),
        ("hops", &captures.hops),
        ("ICMP", &captures.icmp),
        ("TLS versions", &captures.tls.versions),
        ("TLS server names", &captures.tls.sni),
        ("ALPN chosen", &captures.tls.alpn),
        ("ALPN offered", &captures.tls.alpn_offered),
        ("HTTP answers", &captures.http.responses_by_code),
        ("HTTP methods", &captures.http.methods),
        ("gRPC status", &captures.http.grpc_by_status),
        ("RST_STREAM", &captures.http.rst_stream),
        ("GOAWAY", &captures.http.goaway),
        ("DNS answers", &captures.dns.responses_by_rcode),
        ("link types", &captures.link_types),
    ];
    let mut list = el("dl").class("pairs");
    for (name, counts) in tables.into_iter().filter(|(_, counts)| !counts.is_empty()) {
        list = list
            .child(el("dt").text(name))
            .child(el("dd").child(tally(context, counts)));
    }
    el("").child(el("h3").text("Counts")).child(list)
}

fn percentile(times: &Times, value: f64) -> String {
    match times.count {
        0 => "–".to_owned(),
        1..20 => format!("~{}", short(value)),
        _ => short(value),
    }
}

fn servers(context: &Context<'_>) -> Element {
    let servers = &context.report.captures.servers;
    let mut table = Table::new(
        "Servers",
        [
            ("server", Set::Left),
            ("hop", Set::Left),
            ("point", Set::Right),
            ("connections", Set::Right),
            ("went wrong", Set::Right),
            ("sent again", Set::Right),
            ("handshake p50 µs", Set::Right),
            ("p99 µs", Set::Right),
            ("TLS p50 ms", Set::Right),
            ("answer p50 ms", Set::Right),
            ("p99 ms", Set::Right),
        ],
    );
    for server in servers.iter().take(context.rows(LISTED)) {
        let name = server.name.as_ref().map_or_else(
            || server.server.clone(),
            |name| format!("{name} ({})", server.server),
        );
        table.row([
            name,
            server.hop.clone(),
            server.point.to_string(),
            group(server.connections),
            group(server.failed),
            group(server.retransmissions),
            percentile(&server.handshake_rtt_us, server.handshake_rtt_us.p50),
            percentile(&server.handshake_rtt_us, server.handshake_rtt_us.p99),
            percentile(&server.tls_handshake_ms, server.tls_handshake_ms.p50),
            percentile(&server.response_time_ms, server.response_time_ms.p50),
            percentile(&server.response_time_ms, server.response_time_ms.p99),
        ]);
    }
    optional(
        "Servers, by capture point (~ fewer than 20 samples)",
        table,
        servers.len(),
    )
}

fn alerts(context: &Context<'_>) -> Element {
    let alerts = &context.report.captures.tls.alerts;
    let mut table = Table::new(
        "TLS alerts",
        [
            ("alert", Set::Left),
            ("level", Set::Left),
            ("sent by", Set::Left),
            ("count", Set::Right),
            ("frames", Set::Left),
        ],
    );
    for alert in alerts.iter().take(context.rows(LISTED)) {
        table.row_of(
            [
                el("").text(format!("{} ({})", alert.description, alert.code)),
                el("").text(&alert.level),
                el("").text(&alert.by),
                el("").text(group(alert.count)),
                citations(context, &alert.refs, 0),
            ],
            None,
        );
    }
    optional("TLS alerts in clear", table, alerts.len())
}

fn certificates(context: &Context<'_>) -> Element {
    let certificates = &context.report.captures.tls.certificates;
    let mut table = Table::new(
        "Certificates",
        [
            ("subject", Set::Left),
            ("names", Set::Left),
            ("valid from", Set::Left),
            ("until", Set::Left),
            ("issuer", Set::Left),
            ("sent by", Set::Left),
            ("times", Set::Right),
            ("frames", Set::Left),
        ],
    );
    for certificate in certificates.iter().take(context.rows(LISTED)) {
        let date = |date: &Option<String>| el("").text(date.as_deref().unwrap_or("–"));
        table.row_of(
            [
                el("").text(&certificate.subject),
                el("").text(certificate.san.join(", ")),
                date(&certificate.not_before),
                date(&certificate.not_after),
                el("").text(&certificate.issuer),
                el("").text(format!(
                    "{}{}",
                    certificate.by,
                    if certificate.leaf { ", its own" } else { "" }
                )),
                el("").text(group(certificate.count)),
                citations(context, &certificate.refs, 0),
            ],
            None,
        );
    }
    optional("Certificates in clear", table, certificates.len())
}

fn failed_names(context: &Context<'_>) -> Element {
    let names = &context.report.captures.dns.failed_names;
    let mut table = Table::new(
        "Names asked for in vain",
        [
            ("name", Set::Left),
            ("answer", Set::Left),
            ("questions", Set::Right),
            ("sent again", Set::Right),
            ("who asked", Set::Left),
            ("whom", Set::Left),
            ("frames", Set::Left),
        ],
    );
    for name in names.iter().take(context.rows(LISTED)) {
        table.row_of(
            [
                el("").text(&name.name),
                el("").text(name.rcode.as_deref().unwrap_or("none")),
                el("").text(group(name.count)),
                el("").text(group(name.retries)),
                el("").text(name.clients.join(", ")),
                el("").text(name.servers.join(", ")),
                citations(context, &name.refs, 0),
            ],
            match (name.first, name.last) {
                (Some(first), Some(last)) => Some((moment(first).0, moment(last).1)),
                _ => None,
            },
        );
    }
    optional("Names asked for in vain", table, names.len())
}

fn points(context: &Context<'_>) -> Element {
    let points = &context.report.captures.points;
    let mut table = Table::new(
        "Capture points",
        [
            ("point", Set::Left),
            ("files", Set::Left),
            ("packets", Set::Right),
            ("bytes", Set::Right),
            ("from", Set::Left),
            ("until", Set::Left),
        ],
    );
    for point in points.iter().take(context.rows(LISTED)) {
        let files: Vec<String> = point
            .inputs
            .iter()
            .take(4)
            .filter_map(|id| place::input_of(&context.report.inputs, *id))
            .map(place::name_of)
            .collect();
        let more = point.inputs.len().saturating_sub(files.len());
        let time = |t: Option<crate::units::Timestamp>| t.map_or("–".to_owned(), |t| context.clock.time(t));
        table.row([
            point.point.to_string(),
            if more > 0 {
                format!("{} and {more} more", files.join(", "))
            } else {
                files.join(", ")
            },
            group(point.packets),
            bytes(point.bytes),
            time(point.start),
            time(point.end),
        ]);
    }
    let shown = table.len();
    closed(
        "Capture points",
        el("").child(table.finish()).child(rest(shown, points.len())),
    )
}

fn honesty(captures: &Captures) -> Element {
    let honesty = &captures.honesty;
    let figures = [
        (
            honesty.one_sided_streams,
            "connections with one side's packets missing",
        ),
        (honesty.cut_packets, "packets cut by the snaplen"),
        (
            honesty.reported_drops.unwrap_or(0),
            "packets that the captures say they dropped",
        ),
        (
            honesty.acked_unseen,
            "acknowledgments of data that was not captured",
        ),
        (honesty.missing_bytes, "bytes missing for good"),
        (honesty.truncated_streams, "connections that a limit cut short"),
        (
            honesty.tls_1_3_streams,
            "connections with TLS 1.3, which hides certificates and alerts",
        ),
    ];
    let items = el("ul").children(
        figures
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| el("li").text(format!("{} {what}", group(count)))),
    );
    if items.is_empty() {
        return el("");
    }
    el("")
        .child(el("h3").text("What the captures do not show"))
        .child(items)
}
