//! Suspects to findings: weighed, scoped, cited, worded.

use super::finding::{Evidence, Finding, Scope};
use super::look_alikes::LookAlikes;
use super::measure::{Facts, Measured, counted, first_places, rows_between, some};
use super::named;
use super::resets::ratio;
use super::rules::Rule;
use super::suspects::{LineEvidence, Suspect, Suspects};
use crate::aggregate::flags::Outcome;
use crate::catalog::{Cause, FilledFix, Name, Placeholders};
use crate::correlate::{Call, names::proxy_name};
use crate::decode::packet::Endpoint;
use crate::diagnose::answer::{EvidenceKind, Fix, Missing, Role, Severity, Unit, ValidFor};
use crate::units::{Place, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// References given for a piece of evidence.
const REFS: usize = 5;

/// Writes the findings, best first.
pub fn write(suspects: &Suspects<'_>, facts: &Facts<'_>) -> Vec<Finding> {
    let large = |s: &&Suspect<'_>| {
        s.count(facts) >= facts.thresholds().min_failures || !s.lines.is_empty() || s.window.is_some()
    };
    let mut look_alikes = LookAlikes::among(suspects, facts);
    let mut findings: Vec<Finding> = suspects
        .list
        .values()
        .filter(large)
        .filter_map(|s| finding(s, &mut look_alikes, facts))
        .collect();
    drop_orphans(&mut findings);
    super::changes::note(&mut findings, facts);
    rank(&mut findings);
    findings
}

/// Puts them in order, best first.
pub fn rank(findings: &mut [Finding]) {
    findings.sort_by(|a, b| order(b).total_cmp(&order(a)).then_with(|| a.id.cmp(&b.id)));
}

/// A finding that follows from one that was too small to be written stands for itself.
fn drop_orphans(findings: &mut [Finding]) {
    let ids: BTreeSet<String> = findings.iter().map(|f| f.id.clone()).collect();
    for finding in findings {
        if finding
            .consequence_of
            .as_ref()
            .is_some_and(|id| !ids.contains(id))
        {
            finding.consequence_of = None;
            finding.role = Role::Cause;
        }
    }
}

/// Names of different letters may make the same id: those that come later get a number.
pub(super) fn make_ids_unique(findings: &mut [Finding]) {
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for finding in findings {
        let times = seen.entry(finding.id.clone()).or_default();
        *times = times.saturating_add(1);
        if *times > 1 {
            finding.id = format!("{}-{times}", finding.id);
        }
    }
}

/// Causes before consequences, accusations before remarks, then by how sure and how large.
fn order(finding: &Finding) -> f64 {
    let role = if finding.role == Role::Cause { 100.0 } else { 0.0 };
    let severity = if finding.severity == Severity::Info {
        0.0
    } else {
        50.0
    };
    let share = ratio(finding.failed, finding.requests);
    let size = f64::from(u32::try_from(finding.failed.min(1_000_000)).unwrap_or(0)).ln_1p() / 14.0;
    role + severity + finding.confidence * 10.0 + share * 3.0 + size * 3.0
}

fn id_of(cause: &str, destination: &str) -> String {
    let place = if destination == "*" {
        "mesh".to_owned()
    } else {
        destination.to_lowercase()
    };
    let slug: String = place
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    format!("{cause}-{}", slug.trim_matches('-'))
}

fn finding(suspect: &Suspect<'_>, look_alikes: &mut LookAlikes<'_>, facts: &Facts<'_>) -> Option<Finding> {
    let cause = facts.catalog.cause(&suspect.cause)?;
    let (first, last) = suspect.span(facts)?;
    let all: Vec<usize> = suspect.all_calls().into_iter().collect();
    let own: Vec<usize> = suspect.own_calls().collect();
    let count = suspect
        .count(facts)
        .max(suspect.lines.iter().map(|l| l.hits.count).sum());
    let (start, end) = window(suspect, facts, first, last, count);
    let scope = scope(suspect, facts, &all);
    let names = named::placeholders(suspect, facts, &scope, &all);
    let filled = cause.filled(&names);
    let (requests, failed, unit) = impact(suspect, facts, &all, start, end);
    let role = if suspect.follows.is_some() {
        Role::Consequence
    } else {
        Role::Cause
    };
    let affected = suspect.connections.map_or(0, |(_, affected)| affected);
    // A request that is tried again leaves several rows at the called proxy.
    let shown = if failed > 0 { count.min(failed) } else { count };
    let blip = blip(suspect, facts, (first, last), shown.max(affected));
    let confidence = confidence(suspect, facts, count.max(affected), blip);
    let (ruled_out, open) = look_alikes.tell(suspect, &filled.look_alikes);
    // What a capture would settle is settled where packets were seen.
    let seen = suspect.measured.iter().any(|measured| measured.name == "packets");
    let wanted = filled
        .overturn
        .filter(|o| !(seen && o.what.starts_with("a capture")));
    let settled_by = wanted.map(|o| Missing {
        what: o.what,
        why_it_matters: o.why_it_matters,
        command: o.command,
    });
    let mut notes = filled.notes;
    notes.extend(open);
    let left_out = facts.incident.totals.groups.failed_left_out();
    if left_out > 0 && !all.is_empty() {
        notes.push(format!(
            "there may be more: {left_out} rows that failed are counted in totals alone, since there are more kinds of them than are kept"
        ));
    }
    Some(Finding {
        id: id_of(&suspect.cause, &suspect.destination),
        cause: suspect.cause.clone(),
        title: filled.title,
        summary: if suspect.remark {
            format!("Suspected, not shown. If it is so: {}", filled.summary)
        } else {
            filled.summary
        },
        severity: if blip {
            Severity::Info
        } else {
            severity(suspect, facts, role, confidence, requests, failed)
        },
        confidence,
        role,
        consequence_of: suspect
            .follows
            .as_ref()
            .map(|(cause, destination)| id_of(cause, destination)),
        step: cause.step,
        scope,
        onset: (count >= facts.thresholds().onset_failures
            || suspect.window.is_some()
            || !suspect.lines.is_empty())
        .then_some(first),
        start: Some(start),
        end: Some(end),
        requests,
        failed,
        unit,
        added_latency_ms: suspect.added_latency_ms.or_else(|| {
            // What packets show and no request failed of made requests slow, if anything.
            let by_packets = suspect.connections.is_some() && unit == Unit::Requests;
            (by_packets && failed == 0)
                .then(|| slower_than_before(facts, &suspect.destination, (start, end)))?
        }),
        evidence: evidence(suspect, facts, &own),
        ruled_out,
        changed_before: Vec::new(),
        would_overturn: settled_by,
        checks: filled.checks,
        fixes: filled.fixes.into_iter().map(fix).collect(),
        notes,
        wireshark: wireshark(suspect, cause, names, filled.wireshark),
        documented_in: cause.documented_in.clone(),
    })
}

/// The display filter of the cause, for the servers in the captures: a service's port is not always its pods'.
fn wireshark(
    suspect: &Suspect<'_>,
    cause: &Cause,
    names: Placeholders,
    filled: Option<String>,
) -> Option<String> {
    let Some(first) = suspect.servers.first() else {
        return filled;
    };
    let of_port = cause.filled(&Placeholders {
        pod_port: Name::Known(first.port.to_string()),
        ..names
    });
    let address = |server: &Endpoint| match server.address.to_ip() {
        IpAddr::V4(ip) => format!("ip.addr == {ip}"),
        IpAddr::V6(ip) => format!("ipv6.addr == {ip}"),
    };
    let servers: BTreeSet<String> = suspect.servers.iter().take(SERVERS).map(address).collect();
    let servers = servers.into_iter().collect::<Vec<_>>().join(" || ");
    of_port
        .wireshark
        .map(|filter| format!("({servers}) && ({filter})"))
}

/// Servers named in a display filter.
const SERVERS: usize = 4;

fn fix(fix: FilledFix) -> Fix {
    Fix {
        text: fix.text,
        command: fix.command,
        yaml: fix.yaml,
        risk: fix.risk.name().to_owned(),
        valid_for: ValidFor {
            from: fix.valid_from,
            to: fix.valid_to,
        },
    }
}

/// From the first to the last affected record; to the end of the data without a later success; a sporadic fault
/// is widened by the mean gap between its failures.
fn window(
    suspect: &Suspect<'_>,
    facts: &Facts<'_>,
    first: Timestamp,
    last: Timestamp,
    count: u64,
) -> (Timestamp, Timestamp) {
    let data_start = facts.incident.start.unwrap_or(first);
    let data_end = facts.incident.end.unwrap_or(last);
    if suspect.window.is_some() {
        return (first, last);
    }
    let by_lines = !suspect.lines.is_empty();
    let from_lines = suspect.own_calls().next().is_none();
    // What lines explain lasts as long as the rows that follow from them.
    let carried = suspect.carried_calls(facts).filter_map(|c| c.group.last).max();
    let last = carried
        .filter(|_| by_lines || from_lines)
        .map_or(last, |carried| last.max(carried));
    let last_good = facts
        .last_good(&suspect.destination)
        .or_else(|| last_good_connection(suspect, facts));
    let recovered = (!from_lines || carried.is_some())
        && suspect.destination != "*"
        && last_good.is_some_and(|good| good > last);
    let goes_on = if suspect.destination == "*" {
        any_recovered(suspect, facts)
    } else {
        recovered
    };
    if !goes_on {
        return (first, data_end);
    }
    let good_between = facts
        .requests_between(&suspect.destination, first.secs(), last.secs())
        .good;
    if by_lines || from_lines || good_between < count || count < 2 {
        return (first, last);
    }
    let gap_ns = last.0.saturating_sub(first.0) / i64::try_from(count - 1).unwrap_or(i64::MAX).max(1);
    (
        Timestamp(first.0.saturating_sub(gap_ns)).max(data_start),
        Timestamp(last.0.saturating_add(gap_ns)).min(data_end),
    )
}

/// The last TCP connection that went well, where all that failed are rows of TCP connections: of the reporter of most,
/// since the caller's proxy takes one that the called proxy gave up for a good one.
fn last_good_connection(suspect: &Suspect<'_>, facts: &Facts<'_>) -> Option<Timestamp> {
    let own: Vec<usize> = suspect.own_calls().collect();
    if !facts.calls(&own).all(|c| c.key.tcp) {
        return None;
    }
    let reporter = facts.calls(&own).max_by_key(|c| c.count())?.key.reporter;
    facts
        .calls_to(&suspect.destination)
        .filter(|c| c.key.tcp && c.key.reporter == reporter && c.outcome() == Outcome::Ok)
        .filter_map(|c| c.group.last)
        .max()
}

/// For a fault of many destinations: true if every one of them answered well after its last failure.
fn any_recovered(suspect: &Suspect<'_>, facts: &Facts<'_>) -> bool {
    let calls: Vec<usize> = suspect.own_calls().collect();
    let mut last: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for call in facts.calls(&calls) {
        if let Some(time) = call.group.last {
            let known = last.entry(&call.destination).or_insert(time);
            *known = (*known).max(time);
        }
    }
    !last.is_empty()
        && last
            .iter()
            .all(|(destination, time)| facts.last_good(destination).is_some_and(|good| good > *time))
}

fn scope(suspect: &Suspect<'_>, facts: &Facts<'_>, all: &[usize]) -> Scope {
    let mut sources: BTreeMap<&str, u64> = BTreeMap::new();
    let mut clusters: BTreeMap<&str, u64> = BTreeMap::new();
    for call in facts.calls(all) {
        *sources.entry(&call.source).or_default() += call.count();
        if call.is_source() && !call.key.cluster.is_empty() {
            *clusters.entry(&call.key.cluster).or_default() += call.count();
        }
    }
    let most = |counts: &BTreeMap<&str, u64>| {
        counts
            .iter()
            .max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)))
            .map(|(name, _)| (*name).to_owned())
    };
    let line_source = suspect.lines.first().map(|l| proxy_name(&l.proxy).to_owned());
    let control_plane = suspect.destination == "istiod";
    Scope {
        source: if control_plane {
            line_source
        } else {
            most(&sources).or_else(|| suspect.source.clone())
        },
        destination: Some(suspect.destination.clone()),
        cluster: if control_plane {
            Some("xds-grpc".to_owned())
        } else {
            most(&clusters).or_else(|| usual_cluster(suspect, facts))
        },
        pods: suspect.pods.iter().cloned().collect(),
    }
}

/// The cluster of good calls to the destination, where the affected rows have none.
fn usual_cluster(suspect: &Suspect<'_>, facts: &Facts<'_>) -> Option<String> {
    let named = facts
        .calls_to(&suspect.destination)
        .filter(|c| c.is_source() && !c.key.cluster.is_empty());
    named.max_by_key(|c| c.count()).map(|c| c.key.cluster.clone())
}

/// Requests to the destination in the window, and those that failed of this cause.
fn impact(
    suspect: &Suspect<'_>,
    facts: &Facts<'_>,
    all: &[usize],
    start: Timestamp,
    end: Timestamp,
) -> (u64, u64, Unit) {
    let of_lines = suspect.own_calls().next().is_none() && suspect.window.is_none();
    let destinations: BTreeSet<&str> = if suspect.destination == "*" || of_lines {
        facts.calls(all).map(|c| c.destination.as_str()).collect()
    } else {
        BTreeSet::from([suspect.destination.as_str()])
    };
    let within = |c: &&Call<'_>| c.counted || c.key.tcp;
    let tcp = |destination: &str| -> u64 {
        let rows = facts.calls_to(destination).filter(|c| c.key.tcp && c.is_source());
        rows.map(|c| rows_between(c, start.secs(), end.secs())).sum()
    };
    let http: u64 = destinations
        .iter()
        .map(|destination| {
            let known = facts
                .requests_between(destination, start.secs(), end.secs())
                .requests;
            known.max(facts.requests_beyond_hops(destination).unwrap_or(0))
        })
        .sum();
    let connections: u64 = destinations.iter().map(|d| tcp(d)).sum();
    let requests = http + connections;
    // Rows of a status that has other reasons too may reach beyond the window.
    let bad = |of: &dyn Fn(&Call<'_>) -> bool| -> u64 {
        facts
            .calls(all)
            .filter(|c| of(c) && (c.outcome() != Outcome::Ok || c.key.code >= 400))
            .map(|c| rows_between(c, start.secs(), end.secs()))
            .sum()
    };
    let failed = match bad(&|c| within(&c)) {
        // What the counted side takes for good, as a gRPC refusal in HTTP 200, the other side knows.
        0 => bad(&|c| c.is_source()).max(bad(&|c| !c.is_source())),
        failed => failed,
    };
    match suspect.connections {
        // Without rows, connections stand for requests; the evidence says what was counted.
        Some((all, bad)) if requests == 0 => (all, bad, suspect.unit),
        // Rows of TCP connections that ended well have no times of their own to be counted by.
        _ if http == 0 && failed > 0 && facts.calls(all).all(|c| c.key.tcp) => {
            (requests.max(failed), failed, Unit::Connections)
        }
        _ => (requests.max(failed), failed, Unit::Requests),
    }
}

/// By how much good requests to a destination took longer on average in a span than before it, where that can be told.
fn slower_than_before(
    facts: &Facts<'_>,
    destination: &str,
    (start, end): (Timestamp, Timestamp),
) -> Option<f64> {
    let mean = |from: i64, to: i64| {
        let rows = facts.requests_between(destination, from, to);
        (rows.good > 0).then(|| ratio(rows.good_duration_sum_ms, rows.good))
    };
    let before = mean(i64::MIN, start.secs().saturating_sub(1))?;
    let during = mean(start.secs(), end.secs())?;
    // Rows count whole milliseconds: less than one is no difference.
    Some(during - before).filter(|added_ms| added_ms.round() >= 1.0)
}

/// The confidence of its rule, less for what is thin about the evidence (`[confidence]` in `data/rules.toml`).
fn confidence(suspect: &Suspect<'_>, facts: &Facts<'_>, count: u64, blip: bool) -> f64 {
    let factors = &facts.rules.confidence;
    let by_packets = suspect.connections.is_some();
    let few = count < facts.thresholds().onset_failures && suspect.lines.is_empty();
    let lowered = [
        (few, factors.few),
        (
            by_packets && facts.incident.totals.rows == 0,
            factors.captures_alone,
        ),
        (suspect.remark && by_packets, factors.hidden),
        (
            blip || (suspect.remark && !suspect.lines.is_empty()),
            factors.no_effect,
        ),
    ];
    let lowered = lowered.into_iter().filter(|(holds, _)| *holds);
    let confidence = lowered.fold(suspect.confidence, |confidence, (_, factor)| confidence * factor);
    (confidence * 100.0).round() / 100.0
}

/// Few rows (or lost packets), over as soon as it began, and good again: a pod that starts or ends, no incident.
fn blip(suspect: &Suspect<'_>, facts: &Facts<'_>, (first, last): (Timestamp, Timestamp), rows: u64) -> bool {
    let thresholds = facts.thresholds();
    let of_rows = suspect.lines.is_empty() && suspect.connections.is_none() && suspect.window.is_none();
    let of_loss = suspect.connections.is_some() && suspect.unit == Unit::Packets;
    let good_again = || {
        facts
            .last_good(&suspect.destination)
            .is_some_and(|good| good > last)
    };
    rows < thresholds.onset_failures
        && last.millis_since(first) < thresholds.blip_ms
        && (of_loss || (of_rows && good_again()))
}

fn severity(
    suspect: &Suspect<'_>,
    facts: &Facts<'_>,
    role: Role,
    confidence: f64,
    requests: u64,
    failed: u64,
) -> Severity {
    if role == Role::Consequence || suspect.remark || confidence < 0.5 {
        Severity::Info
    } else if failed >= facts.thresholds().onset_failures
        && ratio(failed, requests) >= facts.thresholds().critical_share
    {
        Severity::Critical
    } else {
        Severity::Warning
    }
}

fn evidence(suspect: &Suspect<'_>, facts: &Facts<'_>, own: &[usize]) -> Vec<Evidence> {
    let mut list: Vec<Evidence> = Vec::new();
    for (rule_id, calls) in &suspect.rows {
        let rule = facts.rules.of_rows().find(|r| r.id == *rule_id);
        list.push(rows_evidence(suspect, facts, rule, rule_id, calls));
    }
    let few = put_most_rows_first(&mut list);
    list.extend(line_evidence(suspect, facts));
    list.extend(suspect.measured.iter().map(measured_evidence));
    list.extend(super::joined::evidence(suspect, facts, own));
    list.extend(carried_evidence(suspect, facts));
    list.extend(before_and_elsewhere(suspect, facts, own));
    list.sort_by(|a, b| b.strength.total_cmp(&a.strength));
    list.extend(few);
    list
}

/// Orders what rows of several kinds show by how many they are, and takes out those that are less than a tenth of the most: they
/// say something, after all else.
fn put_most_rows_first(list: &mut Vec<Evidence>) -> Vec<Evidence> {
    list.sort_by_key(|evidence| std::cmp::Reverse(evidence.count));
    let most = list.first().map_or(0, |first| first.count);
    let enough = list.partition_point(|evidence| evidence.count.saturating_mul(FEW) >= most);
    list.split_off(enough)
}

/// Rows of one kind are few against this many times as many of another.
const FEW: u64 = 10;

fn rows_evidence(
    suspect: &Suspect<'_>,
    facts: &Facts<'_>,
    rule: Option<&Rule>,
    rule_id: &str,
    calls: &[usize],
) -> Evidence {
    let count = facts.calls(calls).map(Call::count).sum();
    let says = match (rule, rule_id) {
        (Some(rule), _) => &rule.says,
        (None, "retries-ran-out") => "retries of {proxy} to {destination} ran out (URX)",
        (None, _) => "callers of {destination} went away before it had answered (DC)",
    };
    let proxies: BTreeSet<&str> = facts.calls(calls).map(|c| proxy_name(c.key.proxy())).collect();
    let hosts: BTreeSet<&str> = facts
        .calls(calls)
        .map(|c| c.key.host.as_str())
        .filter(|h| !h.is_empty())
        .collect();
    let text = says
        .replace("{proxy}", &listed(&proxies, "a proxy"))
        .replace("{host}", &listed(&hosts, &suspect.destination))
        .replace("{destination}", named::in_prose(&suspect.destination));
    let statuses = statuses(facts, calls);
    Evidence {
        kind: EvidenceKind::Log,
        text: format!("{text}: {} with {statuses}", counted(count, "row")),
        count,
        strength: rule.map_or(0.8, |r| r.confidence),
        frames: Vec::new(),
        places: first_places(facts.calls(calls), REFS),
    }
}

/// Status, flags and details of the rows, most frequent first.
/// What the rows of calls have as status, flags and details: the two most frequent.
pub(super) fn statuses(facts: &Facts<'_>, calls: &[usize]) -> String {
    let mut by_status: BTreeMap<(Option<u16>, &str, &str), u64> = BTreeMap::new();
    for call in facts.calls(calls) {
        let key = call.key;
        // A TCP connection has no status code; where it has no flag either, its end or its error tell.
        let code = (!key.tcp || key.code > 0).then_some(key.code);
        let details = [&key.details, &key.termination, &key.failure_reason];
        let details = match (code, details.into_iter().find(|text| !text.is_empty())) {
            (None, Some(told)) => told,
            _ => &key.details,
        };
        *by_status.entry((code, &key.flags, details)).or_default() += call.count();
    }
    // Long details that differ in what is not shown are one.
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for ((code, flags, details), count) in by_status {
        let flags = match (flags.is_empty(), code, details.is_empty()) {
            (true, None, false) => "",
            (true, ..) => "-",
            _ => flags,
        };
        let parts = [
            code.map(|code| code.to_string()).unwrap_or_default(),
            flags.to_owned(),
            shortened(details),
        ];
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        *counts.entry(parts.join(" ")).or_default() += count;
    }
    let mut list: Vec<(String, u64)> = counts.into_iter().collect();
    list.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    some(&list.into_iter().map(|(status, _)| status).collect::<Vec<_>>(), 2)
}

fn shortened(details: &str) -> String {
    let mut cut: String = details.chars().take(90).collect();
    if cut.len() < details.len() {
        cut.push('…');
    }
    cut
}

fn listed(names: &BTreeSet<&str>, none: &str) -> String {
    if names.is_empty() {
        none.to_owned()
    } else {
        some(&names.iter().copied().collect::<Vec<_>>(), 2)
    }
}

/// How many lines a proxy wrote, where, and of which signatures.
type OfProxy<'s> = (u64, BTreeSet<Place>, BTreeSet<&'s str>);

fn line_evidence(suspect: &Suspect<'_>, facts: &Facts<'_>) -> Vec<Evidence> {
    let rule_of = |line: &LineEvidence<'_>| {
        let mut rules = facts.rules.line.iter();
        rules.position(|r| r.cause == suspect.cause && r.signatures.contains(&line.signature))
    };
    let mut by_rule: BTreeMap<(Option<usize>, &str), OfProxy<'_>> = BTreeMap::new();
    for line in &suspect.lines {
        let entry = by_rule.entry((rule_of(line), &line.proxy)).or_default();
        entry.0 = entry.0.max(line.hits.count);
        entry.1.extend(line.hits.examples.keys());
        entry.2.insert(&line.signature);
    }
    by_rule
        .into_iter()
        .take(REFS)
        .map(|((rule, proxy), (count, places, signatures))| {
            let rule = rule.and_then(|at| facts.rules.line.get(at));
            let title = || {
                let first = signatures.first().and_then(|id| facts.catalog.signature(id));
                first.map_or("it was logged", |signature| signature.title.as_str())
            };
            let says = rule.map_or_else(
                || format!("{}: {}", proxy_name(proxy), title()),
                |rule| rule.says.replace("{proxy}", proxy_name(proxy)),
            );
            Evidence {
                kind: EvidenceKind::Log,
                text: format!(
                    "{says} ({}: {})",
                    counted(count, "line"),
                    signatures.into_iter().collect::<Vec<_>>().join(", ")
                ),
                count,
                strength: rule.map_or(0.8, |r| r.confidence),
                frames: Vec::new(),
                places: places.into_iter().take(REFS).collect(),
            }
        })
        .collect()
}

fn measured_evidence(measured: &Measured) -> Evidence {
    Evidence {
        kind: measured.kind,
        text: measured.text.clone(),
        count: measured.count,
        strength: measured.strength,
        frames: measured.frames.iter().take(REFS).copied().collect(),
        places: measured.places.iter().take(REFS).copied().collect(),
    }
}

/// The same fault as the other side of the hop saw it.
fn carried_evidence(suspect: &Suspect<'_>, facts: &Facts<'_>) -> Option<Evidence> {
    let calls: Vec<usize> = suspect.carried.iter().copied().collect();
    let count: u64 = facts.calls(&calls).map(Call::count).sum();
    (count > 0).then(|| Evidence {
        kind: EvidenceKind::Join,
        text: format!(
            "it stands behind {} elsewhere at the same time, with {}",
            counted(count, "row"),
            statuses(facts, &calls)
        ),
        count,
        strength: 0.7,
        frames: Vec::new(),
        places: first_places(facts.calls(&calls), REFS),
    })
}

/// Good before, and good elsewhere meanwhile: what is wrong is here, and began then.
fn before_and_elsewhere(suspect: &Suspect<'_>, facts: &Facts<'_>, own: &[usize]) -> Vec<Evidence> {
    let Some((first, last)) = suspect.span(facts) else {
        return Vec::new();
    };
    let before = facts
        .requests_between(&suspect.destination, i64::MIN, first.secs() - 1)
        .good;
    let sources: BTreeSet<&str> = facts.calls(own).map(|c| c.source.as_str()).collect();
    let (mut all, mut fine) = (0, 0);
    for hop in sources.iter().flat_map(|source| facts.hops_of(source)) {
        if hop.counted && hop.destination != suspect.destination {
            let rows = hop.between(first.secs(), last.secs());
            all += rows.requests;
            fine += rows.good;
        }
    }
    let mut list = Vec::new();
    if before > 0 {
        list.push(statistic(
            format!(
                "{} to {} went well before {first}",
                counted(before, "request"),
                suspect.destination
            ),
            before,
            0.4,
        ));
    }
    if all >= 20 && suspect.destination != "*" {
        let share = ratio(fine, all) * 100.0;
        list.push(statistic(format!("the same callers' requests to other destinations went on meanwhile: {fine} of {all} good ({share:.1} %)"), fine, 0.4));
    }
    list
}

fn statistic(text: String, count: u64, strength: f64) -> Evidence {
    Evidence {
        kind: EvidenceKind::Statistic,
        text,
        count,
        strength,
        frames: Vec::new(),
        places: Vec::new(),
    }
}
