//! What connections in captures show: causes that no log row tells, and packets that bear out what rows tell.
//!
//! Which class of connections shows which cause is data (`[[packet]]` in `data/rules.toml`). A class bears out a
//! suspect of the same cause and destination that rows found. By itself it accuses where no row of that destination
//! was read, or where rows cannot show it (loss, a closed window). Where rows of the destination were read and are
//! good, or show something else, it is a remark at most: retries hide a fault from rows, but a few resets are no
//! incident.

use super::measure::{Facts, Measured};
use super::resets::ratio;
use super::rules::PacketRule;
use super::suspects::{Suspect, Suspects};
use crate::aggregate::Merge;
use crate::aggregate::captures::sums::FailedQuestions;
use crate::aggregate::captures::times::CoarseTimes;
use crate::aggregate::captures::words::{alert_name, icmp_name, rcode_name, side_name};
use crate::aggregate::captures::{StreamClass, StreamHop};
use crate::aggregate::series::Series;
use crate::correlate::{Call, Connections};
use crate::decode::packet::{Endpoint, FrameRef};
use crate::diagnose::answer::{EvidenceKind, Unit};
use crate::streams::{CapturePoint, Protocol, Side};
use crate::units::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Frames cited for one piece of evidence.
const FRAMES: usize = 5;

/// Connections that one rule is about, of all callers to one destination.
#[derive(Debug)]
struct Seen<'f> {
    groups: Vec<&'f Connections<'f>>,
    /// What the rule counts.
    count: u64,
    /// Of how many.
    of: u64,
}

/// Puts what captures show to the suspects.
pub fn suspect<'f>(suspects: &mut Suspects<'f>, facts: &'f Facts<'f>) {
    for rule in &facts.rules.packet {
        let mut by_destination: BTreeMap<&str, Vec<&Connections<'_>>> = BTreeMap::new();
        for connections in facts.incident.connections.iter().filter(|c| fits(facts, rule, c)) {
            by_destination
                .entry(about(rule, connections))
                .or_default()
                .push(connections);
        }
        for (destination, groups) in by_destination {
            let seen = weigh(facts, seen_once(groups));
            let idle = rule
                .after_idle
                .is_none_or(|wanted| wanted == after_idle(facts, &seen));
            let from = rule
                .foreign
                .is_none_or(|wanted| wanted == from_elsewhere(facts, &seen));
            if idle && from && seen.count >= rule.min && ratio(seen.count, seen.of) >= rule.min_share {
                bear_out(suspects, facts, rule, destination, &seen);
            }
        }
    }
    unite_gradual(suspects, facts);
    suspect_names(suspects, facts);
}

/// As `consequences::expiry` does it for rows: certificates that ended one after the other are one fault.
fn unite_gradual(suspects: &mut Suspects<'_>, facts: &Facts<'_>) {
    let thresholds = facts.thresholds();
    let expired: Vec<_> = suspects
        .list
        .iter()
        .filter(|(key, suspect)| key.0 == "cert-expired" && suspect.connections.is_some() && !suspect.remark)
        .filter_map(|(key, suspect)| Some((key.clone(), suspect.window?.0)))
        .collect();
    let first = expired.iter().map(|(_, start)| *start).min();
    let last = expired.iter().map(|(_, start)| *start).max();
    let Some((first, last)) = first.zip(last) else {
        return;
    };
    let spread_s = last.secs() - first.secs();
    if expired.len() < thresholds.gradual_hosts || spread_s < thresholds.gradual_spread_s {
        return;
    }
    let mut gradual = Suspect::new("gradual-cert-expiry", "*", GRADUAL_CONFIDENCE);
    gradual.connections = Some((0, 0));
    for suspect in expired.iter().filter_map(|(key, _)| suspects.list.remove(key)) {
        let sum = |of: Option<(u64, u64)>| of.unwrap_or_default();
        let (mine, other) = (sum(gradual.connections), sum(suspect.connections));
        gradual.connections = Some((mine.0 + other.0, mine.1 + other.1));
        gradual.window = united(gradual.window, suspect.window);
        gradual.source = gradual.source.take().or_else(|| suspect.source.clone());
        gradual.unite(suspect);
    }
    gradual.confidence = GRADUAL_CONFIDENCE;
    gradual.measured.push(Measured {
        name: "staggered-hosts",
        kind: EvidenceKind::Statistic,
        text: format!(
            "the certificates of {} servers ended one after the other, {spread_s} s from the first to the last",
            expired.len()
        ),
        count: expired.len() as u64,
        strength: 0.9,
        frames: Vec::new(),
        places: Vec::new(),
    });
    suspects.add(gradual);
}

/// The reason is in the alerts; that renewal stopped is inferred.
const GRADUAL_CONFIDENCE: f64 = 0.93;

/// Names that did not resolve.
fn suspect_names<'f>(suspects: &mut Suspects<'f>, facts: &'f Facts<'f>) {
    let rule = &facts.rules.name;
    let mut by_name: BTreeMap<&str, Vec<(Option<u8>, &FailedQuestions)>> = BTreeMap::new();
    for (key, questions) in facts.incident.totals.captures.dns.failed_names.iter() {
        by_name.entry(&key.name).or_default().push((key.rcode, questions));
    }
    let resolved: BTreeSet<&str> = facts
        .incident
        .totals
        .captures
        .names
        .dns
        .iter()
        .flat_map(|(_, votes)| votes.0.keys().map(String::as_str))
        .collect();
    let asked = |name: &str| by_name.contains_key(name) || resolved.contains(name);
    for (name, failures) in &by_name {
        let count: u64 = failures.iter().map(|(_, q)| q.count).sum();
        if count < rule.min || extends_another(name, asked) {
            continue;
        }
        let destination = named_destination(facts, name);
        let measured = failed_name(facts, name, failures, count);
        let key = (rule.cause.clone(), destination.clone());
        if let Some(suspect) = suspects.list.get_mut(&key) {
            suspect.measured.push(measured);
            continue;
        }
        let mut suspect = Suspect::new(&rule.cause, &destination, rule.confidence);
        suspect.measured.push(measured);
        let first = failures.iter().filter_map(|(_, q)| q.first).min();
        let last = failures.iter().filter_map(|(_, q)| q.last).max();
        suspect.window = first.zip(last).map(|span| widened(span, count));
        suspect.connections = Some((count, count));
        suspect.unit = Unit::DnsQuestions;
        suspect.remark = facts.rows_to(&destination) > 0 || facts.incident.totals.rows > 0;
        suspects.add(suspect);
    }
}

/// True for a name that only appends a search domain to another name that was asked for.
fn extends_another(name: &str, asked: impl Fn(&str) -> bool) -> bool {
    let mut dots = name.match_indices('.');
    dots.any(|(at, _)| {
        name.get(..at)
            .is_some_and(|short| short.contains('.') && asked(short))
    })
}

fn named_destination(facts: &Facts<'_>, name: &str) -> String {
    let with_port = facts
        .destinations()
        .map(|(destination, _)| destination)
        .find(|destination| destination.rsplit_once(':').is_some_and(|(host, _)| host == name));
    with_port.unwrap_or(name).to_owned()
}

fn failed_name(
    facts: &Facts<'_>,
    name: &str,
    failures: &[(Option<u8>, &FailedQuestions)],
    count: u64,
) -> Measured {
    let clients: BTreeSet<String> = failures
        .iter()
        .flat_map(|(_, questions)| &questions.clients)
        .map(|client| facts.incident.names.source_name(&format!("ip:{client}")))
        .collect();
    let how: Vec<String> = failures
        .iter()
        .map(|(rcode, questions)| format!("{} {}", answer_name(*rcode), questions.count))
        .collect();
    let frames: BTreeSet<FrameRef> = failures
        .iter()
        .flat_map(|(_, questions)| questions.places.iter().copied())
        .collect();
    let rule = &facts.rules.name;
    let text = rule
        .says
        .replace("{count}", &count.to_string())
        .replace("{how}", &how.join(", "))
        .replace(
            "{source}",
            &super::measure::some(&clients.into_iter().collect::<Vec<_>>(), 2),
        )
        .replace("{name}", name);
    Measured {
        name: "packets",
        kind: EvidenceKind::Packet,
        text,
        count,
        strength: rule.confidence,
        places: Vec::new(),
        frames: frames.into_iter().take(FRAMES).collect(),
    }
}

fn answer_name(rcode: Option<u8>) -> String {
    rcode.map_or_else(|| "no answer".to_owned(), rcode_name)
}

/// What is said of a cause of which captures show nothing at a destination (`*` for all); of alerts only where they
/// would be seen. `None` where they show something after all, though too little to accuse.
pub fn absent<'r>(
    facts: &'r Facts<'_>,
    cause: &str,
    destination: &str,
    alerts_hidden: bool,
) -> Option<Vec<&'r str>> {
    let mut said = Vec::new();
    let rules = facts.rules.packet.iter();
    let judged = |rule: &&PacketRule| {
        // Whose RSTs they are is not known by their class alone.
        rule.foreign != Some(true) && (rule.alerts.is_empty() || !alerts_hidden)
    };
    for rule in rules.filter(|rule| rule.cause == cause && judged(rule)) {
        // What is asked of ports of their own is of the servers there, whatever the finding is about.
        let of_destination = |c: &&Connections<'_>| {
            !rule.ports.is_empty() || destination == "*" || c.destination == destination
        };
        let mut looked_at = facts
            .incident
            .connections
            .iter()
            .filter(of_destination)
            .filter(|c| rule.ports.is_empty() || rule.ports.contains(&c.key.server.port))
            .peekable();
        if !rule.ports.is_empty() && looked_at.peek().is_none() {
            continue;
        }
        let text = if looked_at.any(|c| fits(facts, rule, c)) {
            rule.otherwise.as_deref()?
        } else {
            &rule.absent
        };
        said.push(text);
    }
    if facts.rules.name.cause == cause && facts.incident.totals.captures.dns.queries > 0 {
        said.push(&facts.rules.name.absent);
    }
    said.retain(|text| !text.is_empty());
    Some(said)
}

fn fits(facts: &Facts<'_>, rule: &PacketRule, connections: &Connections<'_>) -> bool {
    let class = connections.key.class;
    let port = connections.key.server.port;
    let on_port = if rule.ports.is_empty() {
        !facts.rules.control_plane_ports.contains(&port)
    } else {
        rule.ports.contains(&port)
    };
    let spoken = |wanted: &Option<String>, spoke: Protocol| {
        wanted.as_deref().is_none_or(|wanted| speaks(spoke, wanted))
    };
    let [client, server] = connections.key.speak;
    on_port
        && rule.trouble.iter().any(|name| name == class.name())
        && (rule.alerts.is_empty() || alert_of(class).is_some_and(|name| rule.alerts.contains(&name)))
        && (rule.icmp.is_empty()
            || icmp_of(class)
                .is_some_and(|name| rule.icmp.iter().any(|icmp| name.starts_with(icmp.as_str()))))
        && rule
            .by
            .as_deref()
            .is_none_or(|by| class.by().is_some_and(|side| side_name(side) == by))
        && (rule.hops.is_empty() || rule.hops.iter().any(|hop| hop == connections.hop.name()))
        && !(connections.hop == StreamHop::Probe || connections.hop == StreamHop::AppToProxy)
        && spoken(&rule.client_spoke, client)
        && spoken(&rule.server_spoke, server)
}

fn alert_of(class: StreamClass) -> Option<String> {
    match class {
        StreamClass::TlsAlert { description, .. } => Some(alert_name(description)),
        _ => None,
    }
}

fn icmp_of(class: StreamClass) -> Option<String> {
    match class {
        StreamClass::Rejected { v6, icmp_type, code } => Some(icmp_name((v6, icmp_type, code))),
        _ => None,
    }
}

fn speaks(spoke: Protocol, wanted: &str) -> bool {
    match spoke {
        Protocol::None => wanted == "nothing",
        Protocol::Tls => wanted == "tls",
        Protocol::Http1 => matches!(wanted, "http1" | "plaintext"),
        Protocol::Http2 => matches!(wanted, "http2" | "plaintext"),
        Protocol::Dns | Protocol::PeerExchange | Protocol::Unknown => wanted == "plaintext",
    }
}

/// Whom it accuses: the called service, or the caller where that side stopped reading.
fn about<'c>(rule: &PacketRule, connections: &'c Connections<'_>) -> &'c str {
    match connections.key.class {
        _ if !rule.ports.is_empty() => "istiod",
        StreamClass::ZeroWindow { by: Side::Client } if rule.alone => &connections.source,
        _ => &connections.destination,
    }
}

/// A connection that was captured at both of its ends counts once: of each pair of parties, where it shows most.
fn seen_once<'f>(groups: Vec<&'f Connections<'f>>) -> Vec<&'f Connections<'f>> {
    let mut by_point: BTreeMap<_, BTreeMap<_, u64>> = BTreeMap::new();
    for connections in &groups {
        let key = connections.key;
        let shown = match key.class {
            StreamClass::Lossy { .. } => sent_again(connections),
            StreamClass::ZeroWindow { .. } => zero_windows(connections),
            _ => connections.group.count,
        };
        let points = by_point.entry((key.client, key.server)).or_default();
        *points.entry(key.point).or_default() += shown;
    }
    let best = |points: &BTreeMap<CapturePoint, u64>| {
        let most = points.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)));
        most.map(|(point, _)| *point)
    };
    let best: BTreeMap<_, _> = by_point
        .iter()
        .map(|(parties, points)| (*parties, best(points)))
        .collect();
    groups
        .into_iter()
        .filter(|c| best.get(&(c.key.client, c.key.server)) == Some(&Some(c.key.point)))
        .collect()
}

fn data_packets(connections: &Connections<'_>) -> u64 {
    connections.group.sides.iter().map(|side| side.data_packets).sum()
}

/// Those of connections that show a fact: what was lost in both directions is in two groups.
fn data_packets_of(groups: &[&Connections<'_>]) -> u64 {
    let mut by_parties: BTreeMap<_, u64> = BTreeMap::new();
    for group in groups {
        let parties = (group.key.point, group.key.client, group.key.server);
        let packets = by_parties.entry(parties).or_default();
        *packets = (*packets).max(data_packets(group));
    }
    by_parties.into_values().sum()
}

fn weigh<'f>(facts: &'f Facts<'f>, groups: Vec<&'f Connections<'f>>) -> Seen<'f> {
    let parties: BTreeSet<_> = groups
        .iter()
        .map(|c| (c.key.point, c.key.client, c.key.server))
        .collect();
    let all =
        facts.incident.connections.iter().filter(|c| {
            c.key.class.is_primary() && parties.contains(&(c.key.point, c.key.client, c.key.server))
        });
    let (count, of): (u64, u64) = match groups.first().map(|c| c.key.class) {
        Some(StreamClass::Lossy { .. }) => {
            let packets = match all.map(data_packets).sum() {
                // Good connections were left out: those that show it are all that is known of.
                0 => data_packets_of(&groups),
                packets => packets,
            };
            (groups.iter().map(|c| sent_again(c)).sum(), packets)
        }
        Some(StreamClass::ZeroWindow { .. }) => {
            let closed = groups.iter().map(|c| zero_windows(c)).sum();
            (closed, closed)
        }
        _ => (
            groups.iter().map(|c| c.group.count).sum(),
            all.map(|c| c.group.count).sum(),
        ),
    };
    Seen { groups, count, of }
}

/// What is counted of connections of this class.
fn unit(seen: &Seen<'_>) -> Unit {
    match seen.groups.first().map(|c| c.key.class) {
        Some(StreamClass::Lossy { .. }) => Unit::Packets,
        Some(StreamClass::ZeroWindow { .. }) => Unit::ZeroWindows,
        _ => Unit::Connections,
    }
}

/// Of the requests that got no answer, as many came after idle time as the keep-alive race asks for.
fn after_idle(facts: &Facts<'_>, seen: &Seen<'_>) -> bool {
    let thresholds = facts.thresholds();
    let mut times = CoarseTimes::default();
    for connections in &seen.groups {
        times.merge_ref(&connections.group.asked_after_idle);
    }
    let least_ns = u64::try_from(thresholds.idle_race_ms)
        .unwrap_or(0)
        .saturating_mul(1_000_000);
    let enough = ratio(times.count(), seen.count) >= thresholds.idle_race_share;
    enough && times.share_at_least(least_ns) >= thresholds.idle_race_share
}

/// True if connections to the same servers went well after the last of these.
fn good_again(facts: &Facts<'_>, seen: &Seen<'_>) -> bool {
    let last = seen.groups.iter().filter_map(|c| c.group.last).max();
    let servers: BTreeSet<Endpoint> = servers(seen).collect();
    let mut others = facts.incident.connections.iter();
    others.any(|c| {
        c.key.class.is_primary()
            && c.key.class.is_good()
            && servers.contains(&c.key.server)
            && c.group.last > last
    })
}

/// True if RSTs in the place of SYN-ACKs had other times to live than the servers' SYN-ACKs: who is that many hops away
/// is not the server, but something on the way that answers in its name.
fn from_elsewhere(facts: &Facts<'_>, seen: &Seen<'_>) -> bool {
    let servers = &facts.incident.totals.captures.servers;
    let wanted: BTreeSet<_> = seen.groups.iter().map(|c| (c.key.point, c.key.server)).collect();
    let mut totals = servers
        .iter()
        .filter(|(key, totals)| wanted.contains(&(key.point, key.server)) && !totals.refusing_ttl.is_empty())
        .map(|(_, totals)| totals)
        .peekable();
    totals.peek().is_some()
        && totals.all(|server| {
            let mut refusing = server.refusing_ttl.keys();
            !server.accepting_ttl.is_empty() && refusing.all(|ttl| !server.accepting_ttl.contains_key(ttl))
        })
}

fn of_side(connections: &Connections<'_>) -> Option<crate::streams::SideFacts> {
    connections
        .key
        .class
        .by()
        .map(|side| *connections.group.side(side))
}

fn sent_again(connections: &Connections<'_>) -> u64 {
    of_side(connections).map_or(0, |side| side.lost())
}

fn zero_windows(connections: &Connections<'_>) -> u64 {
    of_side(connections).map_or(0, |s| s.zero_window_packets)
}

fn bear_out<'f>(
    suspects: &mut Suspects<'f>,
    facts: &'f Facts<'f>,
    rule: &'f PacketRule,
    destination: &str,
    seen: &Seen<'f>,
) {
    let measured = measured(rule, destination, seen);
    let key = (rule.cause.clone(), destination.to_owned());
    for cause in std::iter::once(&rule.cause).chain(&rule.bears_out) {
        for whom in [destination, "*"] {
            let shown = (cause.clone(), whom.to_owned());
            if let Some(suspect) = suspects.list.get_mut(&shown) {
                if shown == key {
                    suspect.confidence = suspect.confidence.max(rule.confidence);
                }
                let few = suspect.count(facts) < facts.thresholds().min_failures && suspect.lines.is_empty();
                if few && suspect.connections.is_none() && rule.accuses_with_rows() {
                    // Retries left few rows, which say why; the connections say how often.
                    suspect.window = united(suspect.span(facts), span(seen));
                    suspect.connections = Some((seen.of, seen.count));
                    suspect.unit = unit(seen);
                }
                suspect.measured.push(measured);
                suspect.servers.extend(servers(seen));
                return;
            }
        }
    }
    let span = span(seen);
    if rule.alone && hidden_by_other(suspects, facts, destination, span) {
        return;
    }
    let rows = facts.rows_to(destination);
    let mut suspect = Suspect::new(&rule.cause, destination, rule.confidence);
    suspect.measured.push(measured);
    suspect.window = span.map(|span| widened(span, seen.count));
    suspect.connections = Some((seen.of, seen.count));
    suspect.unit = unit(seen);
    suspect.pods = seen
        .groups
        .iter()
        .filter_map(|c| c.destination_pod.clone())
        .collect();
    suspect.source = most_seen(seen);
    if let Some(half) = half_seen(seen) {
        suspect.confidence *= facts.rules.confidence.half_seen;
        suspect.measured.push(half);
    }
    suspect.servers.extend(servers(seen));
    let explained = explained(suspects, facts, &key, span);
    // Failures that no rule of rows fits, at the same time: they are this fault.
    let meanwhile: Vec<usize> = suspects
        .unexplained
        .iter()
        .copied()
        .filter(|&i| {
            facts
                .call(i)
                .is_some_and(|call| call.destination == destination && within(call, span))
        })
        .collect();
    suspects.unexplained.retain(|i| !meanwhile.contains(i));
    suspect.remark = !rule.alone && rows > 0 && explained.is_empty() && meanwhile.is_empty();
    suspect.carried.extend(meanwhile);
    if !rule.ports.is_empty() {
        suspect.remark = facts.incident.totals.rows > 0 || good_again(facts, seen);
    }
    let behind = explained.iter().filter_map(|other| suspects.list.get(other));
    suspect.carried.extend(behind.flat_map(Suspect::all_calls));
    suspects.add(suspect);
    for other in explained {
        if let Some(other) = suspects.list.get_mut(&other) {
            other.follows.get_or_insert_with(|| key.clone());
        }
    }
}

/// From the first begin to the last end.
fn united(
    one: Option<(Timestamp, Timestamp)>,
    other: Option<(Timestamp, Timestamp)>,
) -> Option<(Timestamp, Timestamp)> {
    match (one, other) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    }
}

/// Suspects of rows that are this fault as a caller sees it.
fn explained(
    suspects: &Suspects<'_>,
    facts: &Facts<'_>,
    (cause, destination): &(String, String),
    span: Option<(Timestamp, Timestamp)>,
) -> Vec<(String, String)> {
    let Some((first, last)) = span else {
        return Vec::new();
    };
    let meanwhile = |other: &Suspect<'_>| {
        let reach = other.span(facts);
        reach
            .is_some_and(|(from, to)| from <= last.plus_millis(SLACK_MS) && to.plus_millis(SLACK_MS) >= first)
    };
    let rules = facts
        .rules
        .shown_by_packets
        .iter()
        .filter(|rule| rule.of.contains(cause));
    let told = rules.map(|rule| (rule.cause.clone(), destination.clone()));
    // What rows only suggest, packets settle.
    let guessed = suspects.list.iter().filter(|(key, other)| {
        key.1 == *destination
            && !other.rows.is_empty()
            && other.confidence < GUESS
            && other.connections.is_none()
    });
    let keys: BTreeSet<_> = told.chain(guessed.map(|(key, _)| key.clone())).collect();
    // What packets of its own bear out is a fault of its own.
    let borne_out = |other: &Suspect<'_>| other.measured.iter().any(|measured| measured.name == "packets");
    let explained = keys.into_iter().filter(|key| {
        let other = suspects.list.get(key);
        other.is_some_and(|other| meanwhile(other) && !borne_out(other))
    });
    explained.collect()
}

/// True if rows of this call lie in the span, give or take what clocks differ.
fn within(call: &Call<'_>, span: Option<(Timestamp, Timestamp)>) -> bool {
    let reach = call.group.first.zip(call.group.last).zip(span);
    reach.is_some_and(|((from, to), (first, last))| {
        from <= last.plus_millis(SLACK_MS) && to.plus_millis(SLACK_MS) >= first
    })
}

/// Clocks of proxies and of what captures differ a little.
const SLACK_MS: u64 = 2_000;

fn servers<'f>(seen: &'f Seen<'_>) -> impl Iterator<Item = Endpoint> + 'f {
    seen.groups.iter().map(|c| c.key.server)
}

/// Below this confidence rows suggest a cause and do not accuse.
const GUESS: f64 = 0.5;

/// Connections of which the capture has one side alone, if they are not few.
fn half_seen(seen: &Seen<'_>) -> Option<Measured> {
    const SHARE: f64 = 0.1;
    let all: u64 = seen.groups.iter().map(|c| c.group.count).sum();
    // A SYN that nobody answered has one side by its nature.
    let spoken = seen
        .groups
        .iter()
        .filter(|c| !matches!(c.key.class, StreamClass::Unanswered));
    let half: u64 = spoken.map(|c| c.group.one_sided).sum();
    (half > 0 && ratio(half, all) >= SHARE).then(|| Measured {
        name: "half-seen",
        kind: EvidenceKind::Statistic,
        text: format!(
            "of {half} of these {all} connections the capture has one side only: what the other side sent is not known, \
             and the confidence is lower for it"
        ),
        count: half,
        strength: 0.2,
        frames: Vec::new(),
        places: Vec::new(),
    })
}

/// A fault that stopped all traffic makes senders send again too: it is not loss.
fn hidden_by_other(
    suspects: &Suspects<'_>,
    facts: &Facts<'_>,
    destination: &str,
    span: Option<(Timestamp, Timestamp)>,
) -> bool {
    let Some((first, last)) = span else { return false };
    suspects.list.values().any(|other| {
        facts.rules.stops_traffic.contains(&other.cause)
            && other.destination == destination
            && other.span(facts).is_some_and(|(from, to)| {
                from <= last.plus_millis(SLACK_MS) && to.plus_millis(SLACK_MS) >= first
            })
    })
}

/// From the first to the last time, without strays: a few that lie far from all others, as any traffic has them.
fn span(seen: &Seen<'_>) -> Option<(Timestamp, Timestamp)> {
    let first = seen.groups.iter().filter_map(|c| c.group.first).min()?;
    let last = seen.groups.iter().filter_map(|c| c.group.last).max()?;
    let mut series: Series<u64> = Series::default();
    for connections in &seen.groups {
        series.merge(connections.group.series.clone());
    }
    let width_s = series.width_s();
    let seconds: Vec<(i64, u64)> = series.iter().map(|(second, count)| (second, *count)).collect();
    let from = after_strays(seconds.iter().copied());
    let to = after_strays(seconds.iter().rev().copied());
    let from = from.map_or(first, |second| first.max(Timestamp::from_secs(second)));
    let to = to.map_or(last, |second| last.min(Timestamp::from_secs(second + width_s)));
    Some(if from < to { (from, to) } else { (first, last) })
}

/// Share of all that strays may be.
const STRAY_SHARE: f64 = 0.03;

/// The first second behind strays: at most [`STRAY_SHARE`] of all, and further from the next one than three times the
/// mean gap between seconds in which anything was seen.
fn after_strays(seconds: impl Iterator<Item = (i64, u64)> + Clone) -> Option<i64> {
    let total: u64 = seconds.clone().map(|(_, count)| count).sum();
    let number = seconds.clone().count();
    let (first, last) = (seconds.clone().next()?.0, seconds.clone().last()?.0);
    let mean_gap = (last - first).abs() / i64::try_from(number).unwrap_or(1).max(1);
    let (mut passed, mut start) = (0, first);
    let mut previous: Option<(i64, u64)> = None;
    for (second, count) in seconds {
        if let Some((before, before_count)) = previous {
            passed += before_count;
            if ratio(passed, total) > STRAY_SHARE {
                break;
            }
            if (second - before).abs() > (mean_gap * 3).max(1) {
                start = second;
            }
        }
        previous = Some((second, count));
    }
    Some(start)
}

/// What happens now and then began and ended about one mean gap before and after what was seen of it.
fn widened((first, last): (Timestamp, Timestamp), count: u64) -> (Timestamp, Timestamp) {
    let gaps = i64::try_from(count.saturating_sub(1)).unwrap_or(i64::MAX).max(1);
    let gap_ns = last.0.saturating_sub(first.0) / gaps;
    (
        Timestamp(first.0.saturating_sub(gap_ns)),
        Timestamp(last.0.saturating_add(gap_ns)),
    )
}

fn most_seen(seen: &Seen<'_>) -> Option<String> {
    let mut sources: BTreeMap<&str, u64> = BTreeMap::new();
    for connections in &seen.groups {
        *sources.entry(&connections.source).or_default() += connections.group.count;
    }
    let most = sources
        .into_iter()
        .max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(a.0)));
    most.map(|(name, _)| name.to_owned())
}

fn measured(rule: &PacketRule, destination: &str, seen: &Seen<'_>) -> Measured {
    let sources: BTreeSet<&str> = seen.groups.iter().map(|c| c.source.as_str()).collect();
    let source = super::measure::some(&sources.into_iter().map(str::to_owned).collect::<Vec<_>>(), 2);
    let connections: u64 = seen.groups.iter().map(|c| c.group.count).sum();
    let class = seen.groups.first().map(|c| c.key.class);
    let by = class.and_then(StreamClass::by).map_or("", side_name);
    let zero_ns: u64 = seen
        .groups
        .iter()
        .filter_map(|c| of_side(c))
        .map(|side| side.zero_window_ns)
        .sum();
    let text = rule
        .says
        .replace("{count}", &seen.count.to_string())
        .replace("{of}", &seen.of.to_string())
        .replace("{connections}", &connections.to_string())
        .replace(
            "{seconds}",
            &format!("{}.{}", zero_ns / 1_000_000_000, zero_ns / 100_000_000 % 10),
        )
        .replace("{alert}", &class.and_then(alert_of).unwrap_or_default())
        .replace("{icmp}", &class.and_then(icmp_of).unwrap_or_default())
        .replace("{by}", by)
        .replace("{window_of}", if by == "client" { &source } else { destination })
        .replace("{source}", &source)
        .replace("{destination}", destination);
    let mut frames: BTreeSet<FrameRef> = BTreeSet::new();
    for connections in &seen.groups {
        frames.extend(&connections.group.places);
    }
    Measured {
        name: "packets",
        kind: EvidenceKind::Packet,
        text,
        count: seen.count,
        strength: rule.confidence,
        places: Vec::new(),
        frames: frames.into_iter().take(FRAMES).collect(),
    }
}
