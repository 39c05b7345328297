//! What the captures show: what was captured, what went wrong on connections, by server, and what cannot be seen.

use super::clock::Clock;
use super::failed::tally;
use super::number::{bytes, counted, group, share, short, span};
use super::page::{Page, Role};
use super::place::{input_of, name_of, place, places};
use super::table::{Cell, Column, Set, Table};
use crate::report::model::{
    CaptureFailedName, CapturePoint, CaptureServer, CaptureTrouble, Captures, Report, Times,
};

/// Where lists start.
const COLUMN: usize = 16;
/// Capture points listed.
const POINTS: usize = 6;
/// Kinds of trouble listed.
const TROUBLES: usize = 12;
/// Clients named of each.
const CLIENTS: usize = 3;
/// Servers listed.
const SERVERS: usize = 10;
/// Failed names of DNS listed.
const NAMES: usize = 8;
/// Percentiles of fewer samples than this are doubtful.
const FEW: u64 = 20;

/// The section of captures.
pub(super) fn packets(report: &Report, page: &mut Page) {
    let captures = &report.captures;
    if captures.packets == 0 && captures.streams.tcp == 0 {
        return;
    }
    let note = format!(
        "{}, {}, {}",
        counted(captures.packets, "packet"),
        bytes(captures.bytes),
        counted(count(captures.points.len()), "capture point")
    );
    page.heading("PACKETS", &note);
    captured(report, page);
    connections(captures, page);
    protocols(captures, page);
    troubles(report, page);
    servers(report, page);
    failed_names(report, page);
    honesty(report, page);
}

/// What `postmesh inspect` says of captures: where they were taken, and what they hold.
pub(super) fn inspect(report: &Report, page: &mut Page) {
    let captures = &report.captures;
    if captures.points.is_empty() {
        return;
    }
    let points = counted(count(captures.points.len()), "capture point");
    page.heading(
        "CAPTURES",
        &format!("{points}, {}", counted(captures.packets, "packet")),
    );
    captured(report, page);
    tally("link types", &captures.link_types, COLUMN, page);
    connections(captures, page);
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// The name of a capture point: its first file, and how many more.
fn point_name(report: &Report, point: &CapturePoint) -> String {
    let first = point.inputs.first().and_then(|id| input_of(&report.inputs, *id));
    let name = first.map_or_else(|| format!("capture point {}", point.point), name_of);
    match point.inputs.len() {
        0 | 1 => name,
        many => format!("{name} and {} more of its set", many - 1),
    }
}

/// A service of the cluster without the cluster's domain: `ratings.prod:9080`.
fn brief(name: &str) -> String {
    name.replacen(".svc.cluster.local", "", 1)
}

fn captured(report: &Report, page: &mut Page) {
    let clock = Clock::new(&report.window);
    let points = &report.captures.points;
    for (i, point) in points.iter().take(POINTS).enumerate() {
        let when = match (point.start, point.end) {
            (Some(start), Some(end)) => format!(", {} – {}", clock.time(start), clock.time(end)),
            _ => String::new(),
        };
        let packets = counted(point.packets, "packet");
        let text = format!("{}: {packets}{when}", point_name(report, point));
        let label = if i == 0 { "captured" } else { "" };
        page.labelled((Role::Plain, label), COLUMN, Role::Plain, &text);
    }
    if points.len() > POINTS {
        let text = format!("… {} more", points.len() - POINTS);
        page.wrapped(COLUMN, Role::Faint, &text);
    }
}

fn connections(captures: &Captures, page: &mut Page) {
    let (tcp, streams) = (&captures.tcp, &captures.streams);
    let mut parts = vec![format!("{} opened", group(tcp.handshakes))];
    let not_opened = tcp.refused + tcp.rejected + tcp.unanswered_syn + tcp.half_open;
    if not_opened > 0 {
        parts.push(format!("{} not opened", group(not_opened)));
    }
    if tcp.midstream > 0 {
        parts.push(format!("{} begun before the capture", group(tcp.midstream)));
    }
    let about = if streams.truncated { "about " } else { "" };
    let mut words = vec![format!("{} over TCP: {}", group(streams.tcp), parts.join(", "))];
    if streams.udp > 0 {
        words.push(format!("{about}{}", counted(streams.udp, "UDP flow")));
    }
    if streams.other > 0 {
        words.push(format!("{about}{} of other protocols", group(streams.other)));
    }
    let text = words.join("; ");
    page.labelled((Role::Plain, "connections"), COLUMN, Role::Plain, &text);
    let seen = |counts: &crate::report::model::Counts| {
        counts
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(name, count)| (name.clone(), *count))
            .collect()
    };
    tally("by hop", &seen(&captures.hops), COLUMN, page);
    tally("ended", &captures.tcp.closes, COLUMN, page);
}

fn protocols(captures: &Captures, page: &mut Page) {
    tally("TLS", &captures.tls.versions, COLUMN, page);
    certificates(captures, page);
    tally("HTTP", &captures.http.responses_by_code, COLUMN, page);
    tally("gRPC status", &captures.http.grpc_by_status, COLUMN, page);
    tally("DNS", &captures.dns.responses_by_rcode, COLUMN, page);
    let dns = &captures.dns;
    if dns.unanswered > 0 || dns.retries > 0 {
        let text = format!(
            "{}: {} without an answer, {} sent again",
            counted(dns.queries, "question"),
            group(dns.unanswered),
            group(dns.retries)
        );
        page.labelled((Role::Plain, "DNS asked"), COLUMN, Role::Warning, &text);
    }
    tally("ICMP", &captures.icmp, COLUMN, page);
}

/// How many certificates are in clear, and which of the servers' and clients' own ends first.
fn certificates(captures: &Captures, page: &mut Page) {
    let certificates = &captures.tls.certificates;
    let own = certificates.iter().filter(|certificate| certificate.leaf);
    let first = own
        .filter_map(|certificate| Some((certificate.not_after.as_ref()?, certificate)))
        .min_by_key(|(end, _)| *end);
    let Some((end, certificate)) = first else { return };
    let name = certificate.san.first().unwrap_or(&certificate.subject);
    let text = format!(
        "{} in clear; first to end: {name}, {end}",
        group(count(certificates.len()))
    );
    page.labelled((Role::Plain, "certificates"), COLUMN, Role::Plain, &text);
}

fn troubles(report: &Report, page: &mut Page) {
    let troubles = &report.captures.troubles;
    if troubles.is_empty() {
        let text = "nothing: every connection that was seen whole opened and ended as it should";
        return page.labelled((Role::Plain, "went wrong"), COLUMN, Role::Good, text);
    }
    page.blank();
    let line = page
        .line()
        .pad_to(2)
        .push(Role::Faint, "what went wrong on connections");
    page.put(line);
    let mut before: Option<&CaptureTrouble> = None;
    for trouble in troubles.iter().take(TROUBLES) {
        // 127.0.0.1 is another one in every pod.
        let loopback = trouble.server.starts_with("127.") || trouble.server.starts_with("[::1]");
        let same = |b: &CaptureTrouble| (&b.text, &b.server) == (&trouble.text, &trouble.server);
        let again = !loopback && before.is_some_and(same);
        one(report, trouble, again, page);
        before = Some(trouble);
    }
    if troubles.len() > TROUBLES {
        let text = format!("… {} more in the JSON report", troubles.len() - TROUBLES);
        page.wrapped(2, Role::Faint, &text);
    }
}

fn label(kind: &str) -> (Role, &str) {
    match kind {
        "refused" | "rejected" | "half-open" => (Role::Critical, kind),
        "unanswered" => (Role::Critical, "no answer"),
        "plaintext-to-tls" | "tls-to-plaintext" => (Role::Critical, "TLS or not"),
        "tls-alert" => (Role::Critical, "TLS alert"),
        "encrypted-alert-then-close" => (Role::Warning, "TLS alert?"),
        "keepalive-race" => (Role::Critical, "race"),
        "reset-mid-exchange" | "reset-before-data" => (Role::Critical, "reset"),
        "closed-without-answer" => (Role::Critical, "closed"),
        "zero-window" => (Role::Warning, "zero window"),
        "server-errors" => (Role::Warning, "errors"),
        other => (Role::Warning, other),
    }
}

/// One kind of trouble with one server; `again` if the one before is the same as another capture point sees it.
fn one(report: &Report, trouble: &CaptureTrouble, again: bool, page: &mut Page) {
    let clock = Clock::new(&report.window);
    let server = match &trouble.name {
        Some(name) => format!("{} ({})", brief(name), trouble.server),
        None => trouble.server.clone(),
    };
    let what = format!(
        "{} of {} to {server}: {}{}",
        group(trouble.connections),
        counted(trouble.of, "connection"),
        trouble.text,
        measure(trouble)
    );
    let when = match (trouble.first, trouble.last) {
        (Some(first), Some(last)) if clock.time(first) != clock.time(last) => {
            format!("{} – {}", clock.time(first), clock.time(last))
        }
        (Some(at), _) => clock.time(at),
        _ => String::new(),
    };
    let mut words = if again {
        let measure = measure(trouble);
        let (bad, all) = (group(trouble.connections), group(trouble.of));
        vec![format!(
            "the same at another capture point: {bad} of {all}{measure}"
        )]
    } else {
        vec![what, trouble.spoken.clone(), from(trouble), when]
    };
    words.retain(|word| !word.is_empty());
    let text = words.join("; ");
    let (role, label) = label(&trouble.kind);
    let label = if again { "" } else { label };
    page.labelled((role, label), COLUMN, Role::Plain, &text);
    let room = page.width().saturating_sub(COLUMN);
    for line in places(page, &report.inputs, &trouble.refs, trouble.connections, room) {
        let line = page.line().pad_to(COLUMN).push(Role::Faint, &line);
        page.put(line);
    }
}

fn measure(trouble: &CaptureTrouble) -> String {
    match trouble.kind.as_str() {
        "loss" => format!(
            ", {} of {} sent again ({})",
            group(trouble.retransmissions),
            counted(trouble.segments, "segment"),
            share(trouble.retransmissions, trouble.segments)
        ),
        "zero-window" => format!(
            " for {} in all, {} at most",
            duration(trouble.zero_window_ms),
            duration(trouble.longest_zero_window_ms)
        ),
        "server-errors" => format!(": {}", group(trouble.server_errors)),
        _ => String::new(),
    }
}

/// Milliseconds as people say them.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float saturates"
)]
fn duration(ms: f64) -> String {
    if ms < 1.0 {
        return format!("{} ms", short(ms));
    }
    span(ms as u64)
}

fn from(trouble: &CaptureTrouble) -> String {
    let mut names: Vec<&str> = trouble
        .clients
        .iter()
        .take(CLIENTS)
        .map(|client| client.name.as_ref().unwrap_or(&client.address).as_str())
        .collect();
    names.dedup();
    if names.is_empty() {
        return String::new();
    }
    match trouble
        .client_count
        .saturating_sub(count(CLIENTS.min(trouble.clients.len())))
    {
        0 => format!("from {}", names.join(", ")),
        more => format!("from {} and {} more", names.join(", "), group(more)),
    }
}

/// A column of times: its title, its samples, its value, and the samples below which it is doubtful.
type TimeColumn = (&'static str, fn(&CaptureServer) -> Times, fn(&Times) -> f64, u64);

const RTT: fn(&CaptureServer) -> Times = |server| {
    let us = server.handshake_rtt_us;
    Times {
        count: us.count,
        min: us.min / 1000.0,
        p50: us.p50 / 1000.0,
        p90: us.p90 / 1000.0,
        p99: us.p99 / 1000.0,
        max: us.max / 1000.0,
    }
};

const TIMES: [TimeColumn; 6] = [
    ("rtt p50", RTT, |times| times.p50, FEW),
    ("p99", RTT, |times| times.p99, 100),
    (
        "tls p50",
        |server| server.tls_handshake_ms,
        |times| times.p50,
        FEW,
    ),
    ("p99", |server| server.tls_handshake_ms, |times| times.p99, 100),
    (
        "answer p50",
        |server| server.response_time_ms,
        |times| times.p50,
        FEW,
    ),
    ("p99", |server| server.response_time_ms, |times| times.p99, 100),
];

/// What a server is called, with its address where several at one point are called so.
fn server_name(servers: &[CaptureServer], server: &CaptureServer) -> String {
    let Some(name) = server.name.as_deref() else {
        return server.server.clone();
    };
    let of_name = servers
        .iter()
        .filter(|other| other.point == server.point && other.name == server.name);
    if of_name.count() > 1 {
        let service = name.split(['.', ':']).next().unwrap_or(name);
        format!("{service} {}", server.server)
    } else {
        brief(name)
    }
}

fn servers(report: &Report, page: &mut Page) {
    let servers = &report.captures.servers;
    if servers.is_empty() {
        return;
    }
    let several = report.captures.points.len() > 1;
    let mut columns = vec![
        Column::new("server", Set::Flexible(28)),
        Column::dropped("seen at", Set::Flexible(12), 3),
        Column::new("conn.", Set::Right),
        Column::new("failed", Set::Right),
        Column::dropped("resent", Set::Right, 2),
    ];
    columns.extend(TIMES.iter().enumerate().map(|(i, (title, ..))| match i {
        // The times of TLS go first where there is no room.
        2 | 3 => Column::dropped(title, Set::Right, 1),
        _ => Column::new(title, Set::Right),
    }));
    let mut table = Table::new(columns);
    let mut doubtful = false;
    for server in servers.iter().take(SERVERS) {
        let point = report
            .captures
            .points
            .iter()
            .find(|point| point.point == server.point);
        let seen_at = point.filter(|_| several).map(|point| point_name(report, point));
        let role = if server.failed > 0 {
            Role::Critical
        } else {
            Role::Plain
        };
        let mut cells = vec![
            Cell::plain(server_name(servers, server)),
            Cell::plain(seen_at.unwrap_or_default()),
            Cell::plain(group(server.connections)),
            Cell(role, group(server.failed)),
            Cell::plain(group(server.retransmissions)),
        ];
        for (_, times, of, enough) in &TIMES {
            let times = times(server);
            let few = times.count < *enough;
            doubtful |= few && times.count > 0;
            cells.push(Cell::plain(match times.count {
                0 => String::new(),
                _ => format!("{}{}", if few { "~" } else { "" }, short(of(&times))),
            }));
        }
        table.row(cells);
    }
    page.blank();
    table.put(page);
    if servers.len() > SERVERS {
        let text = format!("… {} more in the JSON report", servers.len() - SERVERS);
        page.wrapped(2, Role::Faint, &text);
    }
    let mut remarks =
        vec!["times in ms as they pass the capture point; answer: from the request to its first byte"];
    if doubtful {
        remarks.push("~ too few to be sure");
    }
    if several {
        remarks.push("a connection that was captured at both ends stands twice");
    }
    page.wrapped(2, Role::Faint, &remarks.join("; "));
}

fn failed_names(report: &Report, page: &mut Page) {
    let names = &report.captures.dns.failed_names;
    if names.is_empty() {
        return;
    }
    let clock = Clock::new(&report.window);
    page.blank();
    let mut table = Table::new(vec![
        Column::new("name asked for in vain", Set::Flexible(48)),
        Column::new("answer", Set::Left),
        Column::new("asked", Set::Right),
        Column::dropped("again", Set::Right, 4),
        Column::dropped("by", Set::Flexible(12), 3),
        Column::dropped("first", Set::Left, 2),
        Column::dropped("for example", Set::Flexible(16), 1),
    ]);
    for name in names.iter().take(NAMES) {
        table.row(name_row(report, clock, name));
    }
    table.put(page);
    if names.len() > NAMES {
        let text = format!("… {} more in the JSON report", names.len() - NAMES);
        page.wrapped(2, Role::Faint, &text);
    }
}

fn name_row(report: &Report, clock: Clock, name: &CaptureFailedName) -> Vec<Cell> {
    let example = name.refs.first().map(|at| place(&report.inputs, at));
    vec![
        Cell::plain(&name.name),
        Cell(
            Role::Warning,
            name.rcode.clone().unwrap_or_else(|| "none".to_owned()),
        ),
        Cell::plain(group(name.count)),
        Cell::plain(if name.retries > 0 {
            group(name.retries)
        } else {
            String::new()
        }),
        Cell::plain(name.clients.join(", ")),
        Cell::plain(name.first.map_or_else(String::new, |first| clock.time(first))),
        Cell::plain(example.unwrap_or_default()),
    ]
}

/// Captures with damage, of which less was seen than was captured.
fn damaged(report: &Report) -> u64 {
    let captures = report.inputs.iter().filter(|input| input.kind == "capture");
    count(captures.filter(|input| !input.problems.is_empty()).count())
}

/// What the captures do not show.
fn honesty(report: &Report, page: &mut Page) {
    let captures = &report.captures;
    let honesty = &captures.honesty;
    let said = [
        (damaged(report), "file", "with parts that could not be read"),
        (honesty.cut_packets, "packet", "cut by the snaplen"),
        (
            honesty.reported_drops.unwrap_or(0),
            "packet",
            "dropped while capturing",
        ),
        (honesty.one_sided_streams, "connection", "with one side only"),
        (
            honesty.acked_unseen,
            "acknowledgment",
            "of data that was not captured",
        ),
        (honesty.truncated_streams, "connection", "cut short by a limit"),
    ];
    let words: Vec<String> = said
        .iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, noun, what)| format!("{} {what}", counted(*count, noun)))
        .collect();
    page.blank();
    if words.is_empty() {
        let text = match honesty.reported_drops {
            Some(_) => "whole: no packet cut or dropped, every connection with both sides",
            None => "whole as far as can be seen: no packet cut, every connection with both sides",
        };
        page.labelled((Role::Plain, "captures are"), COLUMN, Role::Plain, text);
    } else {
        let text = words.join("; ");
        page.labelled((Role::Warning, "not captured"), COLUMN, Role::Plain, &text);
    }
    if honesty.tls_1_3_streams > 0 {
        let text = format!(
            "{} of {} are TLS 1.3, which hides certificates and, after the hellos, alerts: a rejected certificate \
             shows as an encrypted record and a close, or not at all",
            group(honesty.tls_1_3_streams),
            counted(captures.tls.connections, "TLS connection"),
        );
        page.labelled((Role::Warning, "not visible"), COLUMN, Role::Plain, &text);
    }
}
