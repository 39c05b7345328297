//! One line of events: what the mesh's programs and Kubernetes say that happened, in order of time.

use super::answer::Severity;
use super::finding::{Finding, Happening};
use super::measure::Facts;
use crate::aggregate::outputs::Topic;
use crate::aggregate::signatures::Hits;
use crate::catalog::{Severity as Grade, Signature, SignatureSource};
use crate::correlate::names::proxy_name;
use crate::units::Timestamp;
use std::collections::BTreeMap;

/// Events told of one kind.
const MAX_OF_KIND: usize = 12;

/// Lines that are closer than this, or lie in neighbouring buckets, are one event.
const SAME_EVENT_S: i64 = 5;

/// Events, nearest to the beginning of a finding where there are too many, and how many were left out.
pub(super) fn tell(findings: &[Finding], facts: &Facts<'_>) -> (Vec<Happening>, u64) {
    let mut by_kind: BTreeMap<String, Vec<Happening>> = BTreeMap::new();
    for event in of_lines(facts).into_iter().chain(of_kubernetes(facts)) {
        by_kind.entry(event.kind.clone()).or_default().push(event);
    }
    let begins: Vec<Timestamp> = findings
        .iter()
        .filter(|finding| finding.severity != Severity::Info)
        .filter_map(|finding| finding.onset.or(finding.start))
        .collect();
    let away_ns = |event: &Happening| {
        let distances = begins.iter().map(|begin| event.at.0.abs_diff(begin.0));
        distances.min().unwrap_or(0)
    };
    let mut left_out = 0_u64;
    let mut told: Vec<Happening> = Vec::new();
    for mut events in by_kind.into_values() {
        events.sort_by(|a, b| {
            away_ns(a)
                .cmp(&away_ns(b))
                .then_with(|| a.at.cmp(&b.at))
                .then_with(|| a.text.cmp(&b.text))
        });
        left_out += events.len().saturating_sub(MAX_OF_KIND) as u64;
        events.truncate(MAX_OF_KIND);
        told.append(&mut events);
    }
    told.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.text.cmp(&b.text)));
    (told, left_out)
}

/// True for what the mesh's programs write of themselves.
fn is_of_mesh(signature: &Signature) -> bool {
    matches!(
        signature.source,
        SignatureSource::Envoy
            | SignatureSource::PilotAgent
            | SignatureSource::Istiod
            | SignatureSource::Ztunnel
            | SignatureSource::IstioCni
    )
}

fn of_lines(facts: &Facts<'_>) -> Vec<Happening> {
    let mut events = Vec::new();
    for (key, hits) in facts.incident.totals.hits.iter() {
        let signature = facts.catalog.signatures.get(usize::from(key.signature));
        let Some(signature) = signature.filter(|signature| is_of_mesh(signature)) else {
            continue;
        };
        if facts.rules.events_untold.contains(&signature.id) {
            continue;
        }
        let mut rules = facts.rules.event.iter();
        let rule = rules.find(|rule| rule.signatures.contains(&signature.id));
        let kind = match (rule, signature.severity) {
            (Some(rule), _) => rule.kind.as_str(),
            (None, Grade::Info) => "other",
            (None, _) => "error",
        };
        for (second, lines) in bursts(hits) {
            // The place of the first line is known, and its time to the fraction.
            let first = hits.first.filter(|first| second <= first.secs());
            let is_first = events_begin_with(hits, second);
            let times = if lines > 1 {
                format!(" ({lines} lines)")
            } else {
                String::new()
            };
            events.push(Happening {
                at: first
                    .filter(|_| is_first)
                    .unwrap_or_else(|| Timestamp::from_secs(second)),
                kind: kind.to_owned(),
                text: format!("{}: {}{times}", proxy_name(&key.proxy), signature.title),
                place: hits.examples.keys().next().copied().filter(|_| is_first),
            });
        }
    }
    events
}

/// True if the first of all these lines is in the burst that begins with this second.
fn events_begin_with(hits: &Hits, second: i64) -> bool {
    hits.series
        .iter()
        .next()
        .is_some_and(|(first, _)| first == second)
}

/// Spans in which lines came without a pause: their first second, and how many lines.
fn bursts(hits: &Hits) -> Vec<(i64, u64)> {
    let pause_s = SAME_EVENT_S.max(hits.series.width_s().saturating_mul(2));
    let mut found: Vec<(i64, u64)> = Vec::new();
    let mut last = i64::MIN;
    for (second, lines) in hits.series.iter() {
        match found.last_mut() {
            Some(burst) if second.saturating_sub(last) <= pause_s => burst.1 += lines,
            _ => found.push((second, *lines)),
        }
        last = second;
    }
    found
}

fn of_kubernetes(facts: &Facts<'_>) -> Vec<Happening> {
    let outputs = facts.incident.totals.outputs.iter();
    outputs
        .filter_map(|(key, sum)| {
            let Topic::Happened(reason, warning) = &key.topic else {
                return None;
            };
            let mut rules = facts.rules.event.iter();
            let rule = rules.find(|rule| rule.reasons.contains(reason));
            let kind = match rule {
                Some(rule) => rule.kind.as_str(),
                None if *warning => "error",
                None => "other",
            };
            let times = if sum.count > 1 {
                format!(" ({} lines)", sum.count)
            } else {
                String::new()
            };
            Some(Happening {
                at: sum.time?,
                kind: kind.to_owned(),
                text: format!("{}: {reason}{times}", key.subject),
                place: sum.places.keys().next().copied(),
            })
        })
        .collect()
}
