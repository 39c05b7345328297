//! Counts of requests, the slowest ones, who called whom.

use super::figures::{figure, named, samples};
use crate::aggregate::bounded::Bounded;
use crate::aggregate::class::Reporter;
use crate::aggregate::flags::Outcome;
use crate::aggregate::totals::Dimension;
use crate::correlate::{Call, Incident};
use crate::diagnose::resets::ratio;
use crate::report::model::{
    Breakdown, Counts, LatencyScope, Ref, ReporterCounts, Requests, Retries, SlowRequest, Topology,
    TopologyEdge, TopologyNode,
};
use std::collections::{BTreeMap, BTreeSet};

/// Request counts as the contract defines them.
pub(super) fn requests(incident: &Incident<'_>) -> Requests {
    let totals = incident.totals;
    let mut requests = Requests {
        rows: totals.rows,
        ..Requests::default()
    };
    for reporter in Reporter::ALL {
        let counts = by_reporter(incident, reporter);
        requests.by_reporter.insert(reporter.name().to_owned(), counts);
    }
    for call in incident.calls.iter().filter(|c| c.counted) {
        add(&mut requests, call.result(), call.count());
    }
    // Rows beyond the limit of groups have no hop; the caller's stand for all.
    for ((reporter, tcp, outcome), group) in totals.groups.lumped() {
        if !tcp && *reporter == Reporter::Source {
            add(&mut requests, *outcome, group.count);
        }
    }
    requests.by_code = counts(&totals.by_code);
    requests.by_class = by_class(&requests.by_code);
    requests.by_flag = counts(&totals.by_flag);
    requests.by_detail = counts(&totals.by_detail);
    requests.by_protocol = counts(&totals.by_protocol);
    requests.tcp_connections = totals.tcp.iter().sum();
    requests.retries = retries(incident);
    requests.by_destination = breakdown(incident, Dimension::Destination, "destination");
    requests.by_route = breakdown(incident, Dimension::Route, "route");
    requests.by_source = breakdown(incident, Dimension::Source, "source");
    requests
}

fn add(requests: &mut Requests, outcome: Outcome, rows: u64) {
    requests.total += rows;
    match outcome {
        Outcome::Failed => requests.failed += rows,
        Outcome::Denied => requests.denied += rows,
        Outcome::Canceled => requests.canceled += rows,
        Outcome::Ok => {}
    }
}

fn by_reporter(incident: &Incident<'_>, reporter: Reporter) -> ReporterCounts {
    let mut counts = ReporterCounts::default();
    let mut add = |outcome: Outcome, tcp: bool, count: u64| {
        if tcp {
            counts.tcp_connections += count;
            return;
        }
        counts.total += count;
        match outcome {
            Outcome::Ok => {}
            Outcome::Failed => counts.failed += count,
            Outcome::Denied => counts.denied += count,
            Outcome::Canceled => counts.canceled += count,
        }
    };
    for call in incident.calls.iter().filter(|c| c.key.reporter == reporter) {
        add(call.outcome(), call.key.tcp, call.count());
    }
    for ((_, tcp, outcome), group) in incident
        .totals
        .groups
        .lumped()
        .filter(|((r, _, _), _)| *r == reporter)
    {
        add(*outcome, *tcp, group.count);
    }
    counts
}

fn counts(table: &Bounded<String, u64>) -> Counts {
    let mut counts: Counts = table.iter().map(|(name, count)| (name.clone(), *count)).collect();
    for ((), count) in table.lumped() {
        *counts.entry("other".to_owned()).or_default() += count;
    }
    counts
}

fn by_class(by_code: &Counts) -> Counts {
    let mut classes = Counts::new();
    for (code, count) in by_code {
        let class = match code.parse::<u16>() {
            Ok(code @ 100..=599) => format!("{}xx", code / 100),
            Ok(0) => "0".to_owned(),
            _ => "other".to_owned(),
        };
        *classes.entry(class).or_default() += count;
    }
    classes
}

/// Rows per (request id, proxy, cluster) of the requests that were followed.
fn retries(incident: &Incident<'_>) -> Retries {
    let sample = &incident.totals.attempts;
    let rows = sample.sorted();
    let (mut requests, mut requests_with_retry) = (0, 0);
    for request in rows.chunk_by(|a, b| a.0 == b.0) {
        requests += 1;
        requests_with_retry += u64::from(request.len() > 1);
    }
    let attempts = rows.len() as u64;
    Retries {
        requests_with_retry,
        attempts,
        amplification: (ratio(attempts, requests) * 10_000.0).round() / 10_000.0,
        requests_followed: requests,
        truncated: sample.is_truncated(),
    }
}

fn breakdown(incident: &Incident<'_>, dimension: Dimension, kind: &str) -> Vec<Breakdown> {
    let mut list: Vec<Breakdown> = named(incident, dimension)
        .into_iter()
        .map(|((reporter, name), figures)| {
            let scope = LatencyScope {
                kind: kind.to_owned(),
                name: name.clone(),
            };
            let count = |outcome| figures.iter().map(|f| f.count(outcome)).sum();
            let mut flags = Counts::new();
            for (flag, rows) in figures.iter().flat_map(|f| &f.flags) {
                *flags.entry(flag.clone()).or_default() += rows;
            }
            Breakdown {
                latency: figure(scope, reporter, "duration", "ok", &samples(&figures, 0, 0)),
                name,
                reporter: reporter.name().to_owned(),
                requests: figures.iter().map(|f| f.requests()).sum(),
                failed: count(Outcome::Failed),
                denied: count(Outcome::Denied),
                canceled: count(Outcome::Canceled),
                flags,
            }
        })
        .collect();
    list.sort_by(|a, b| {
        b.requests
            .cmp(&a.requests)
            .then_with(|| a.name.cmp(&b.name))
            .then_with(|| a.reporter.cmp(&b.reporter))
    });
    list
}

/// The slowest requests.
pub(super) fn slowest(incident: &Incident<'_>) -> Vec<SlowRequest> {
    let request = |slow: &crate::aggregate::slowest::Slow| SlowRequest {
        duration_ms: slow.duration_ms.0,
        upstream_ms: slow.upstream_ms,
        start: slow.start,
        destination: incident.names.service(&slow.destination).to_owned(),
        reporter: slow.reporter.name().to_owned(),
        request: slow.request.clone(),
        code: slow.code,
        flags: if slow.flags.is_empty() {
            "-".to_owned()
        } else {
            slow.flags.clone()
        },
        place: reference(incident, slow.place),
    };
    incident.totals.slowest.iter().map(request).collect()
}

/// A place as the report cites it.
pub(super) fn reference(incident: &Incident<'_>, place: crate::units::Place) -> Ref {
    Ref {
        input: place.input,
        line: Some(incident.lines.line(place)),
        frame: None,
        offset_bytes: Some(place.offset_bytes),
    }
}

/// A frame of a capture.
pub(super) fn frame_reference(at: crate::decode::packet::FrameRef) -> Ref {
    Ref {
        input: at.input,
        line: None,
        frame: Some(at.frame),
        offset_bytes: None,
    }
}

/// Calls between workloads and services, of the rows that count as requests.
pub(super) fn topology(incident: &Incident<'_>) -> Topology {
    let mut edges: BTreeMap<(&str, &str), (u64, u64)> = BTreeMap::new();
    for call in incident.calls.iter().filter(|c| c.counted) {
        let edge = edges.entry((&call.source, &call.destination)).or_default();
        edge.0 += call.count();
        if call.outcome() == Outcome::Failed {
            edge.1 += call.count();
        }
    }
    let destinations = named(incident, Dimension::Destination);
    let mut callers: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, destination) in edges.keys() {
        *callers.entry(destination).or_default() += 1;
    }
    let p99 = |destination: &str| {
        // The figures are by destination: with several callers they are not an edge's own.
        if callers.get(destination) != Some(&1) {
            return None;
        }
        let figures = Reporter::ALL
            .iter()
            .find_map(|r| destinations.get(&(*r, destination.to_owned())))?;
        let slots = samples(figures, 0, 0).to_slots();
        (!slots.is_empty()).then(|| super::figures::as_f64(slots.quantile_ms(0.99)))
    };
    let list: Vec<TopologyEdge> = edges
        .iter()
        .map(|((source, destination), (requests, failed))| TopologyEdge {
            source: (*source).to_owned(),
            destination: (*destination).to_owned(),
            requests: *requests,
            failed: *failed,
            p99_ms: p99(destination),
        })
        .collect();
    Topology {
        nodes: nodes(&edges.keys().copied().collect::<Vec<_>>(), &incident.calls),
        edges: list,
    }
}

fn nodes(edges: &[(&str, &str)], calls: &[Call<'_>]) -> Vec<TopologyNode> {
    let workloads: BTreeSet<&str> = calls
        .iter()
        .map(|c| crate::correlate::names::proxy_name(c.key.proxy()))
        .collect();
    let mut nodes: BTreeMap<&str, &str> = BTreeMap::new();
    for (source, destination) in edges {
        nodes.insert(
            source,
            if workloads.contains(source) {
                "workload"
            } else {
                "address"
            },
        );
        let kind = if destination.contains(".svc") {
            "service"
        } else {
            "external"
        };
        nodes.entry(destination).or_insert(kind);
    }
    nodes
        .into_iter()
        .map(|(name, kind)| TopologyNode {
            name: name.to_owned(),
            kind: kind.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Totals;

    #[test]
    fn classes_of_codes() {
        let codes = [
            ("200", 5),
            ("204", 1),
            ("503", 7),
            ("0", 2),
            ("999", 3),
            ("other", 4),
        ];
        let codes: Counts = codes.map(|(code, count)| (code.to_owned(), count)).into();
        let classes = [("2xx", 6), ("5xx", 7), ("0", 2), ("other", 7)];
        let classes: Counts = classes.map(|(class, count)| (class.to_owned(), count)).into();
        assert_eq!(by_class(&codes), classes);
    }

    #[test]
    fn attempts_of_one_request_are_counted_together() {
        let mut totals = Totals::default();
        // Three requests: one of a single attempt, one of two, one of three.
        for request in [1, 2, 2, 3, 3, 3] {
            totals.attempts.offer(request, ());
        }
        let retries = retries(&Incident::of(&totals));
        assert_eq!(retries.requests_followed, 3);
        assert_eq!(retries.requests_with_retry, 2);
        assert_eq!(retries.attempts, 6);
        assert!((retries.amplification - 2.0).abs() < f64::EPSILON);
        assert!(!retries.truncated);
    }
}
