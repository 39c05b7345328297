//! What changed in the inputs shortly before a finding began. Remarks: what came before need not be the reason.

use super::finding::{Change, Finding};
use super::measure::Facts;
use crate::aggregate::address;
use crate::correlate::Call;
use crate::correlate::names::proxy_name;
use crate::diagnose::answer::Severity;
use crate::units::{Place, Timestamp};
use std::collections::BTreeMap;

/// Changes told of one finding: those nearest to its beginning.
const MAX_CHANGES: usize = 8;

/// Lines of one proxy and kind that are looked through.
const MAX_SECONDS: usize = 100_000;

/// Notes with every finding that is no remark what changed before it.
pub(super) fn note(findings: &mut [Finding], facts: &Facts<'_>) {
    let mut known = BTreeMap::new();
    for finding in findings
        .iter_mut()
        .filter(|finding| finding.severity != Severity::Info)
    {
        if let Some(begin) = finding.onset.or(finding.start) {
            finding.changed_before = before(finding, begin, facts, &mut known);
        }
    }
}

fn before<'f>(
    finding: &Finding,
    begin: Timestamp,
    facts: &'f Facts<'_>,
    known: &mut BTreeMap<String, Parties<'f>>,
) -> Vec<Change> {
    let span = Span {
        from: Timestamp(
            begin
                .0
                .saturating_sub(facts.thresholds().changed_before_s.saturating_mul(1_000_000_000)),
        ),
        to: Timestamp(begin.0.saturating_add(SAME_TIME_NS)),
        begins: facts.incident.start,
    };
    let mut changes = lines(finding, &span, facts);
    if let Some(destination) = finding.scope.destination.as_deref().filter(|d| *d != "*") {
        let of_it = known.entry(destination.to_owned());
        let of_it = of_it.or_insert_with(|| Parties::of(facts, destination));
        changes.extend(parties(of_it, destination, &span, facts));
    }
    changes.extend(traffic(finding, begin, facts));
    changes.extend(certificates(&span, facts));
    // Nearest first where there are too many, then in order of time.
    changes.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.text.cmp(&b.text)));
    changes.dedup_by(|a, b| a.at == b.at && a.text == b.text);
    changes.truncate(MAX_CHANGES);
    changes.reverse();
    changes
}

/// What happens within this after the beginning may have been before it: rows tell when they completed.
const SAME_TIME_NS: i64 = 1_000_000_000;

struct Span {
    from: Timestamp,
    to: Timestamp,
    begins: Option<Timestamp>,
}

impl Span {
    fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at <= self.to
    }

    /// True if it is not just where the data begin: what is seen there first may have been so for long.
    fn is_news(&self, at: Timestamp) -> bool {
        let settled_ns = 5_000_000_000;
        self.holds(at)
            && self
                .begins
                .is_some_and(|begins| at.0.saturating_sub(begins.0) >= settled_ns)
    }
}

/// Component lines that tell of a change: those of the caller, the called pods and the control plane.
fn lines(finding: &Finding, span: &Span, facts: &Facts<'_>) -> Vec<Change> {
    let whole = finding
        .scope
        .destination
        .as_deref()
        .is_none_or(|d| d == "*" || d == "istiod");
    let concerns = |proxy: &str| {
        whole
            || finding.scope.source.as_deref() == Some(proxy_name(proxy))
            || finding.scope.pods.iter().any(|pod| pod == proxy)
            || finding.scope.source.as_deref() == Some(proxy)
    };
    let rule_of = |signature: u16| {
        let signature = facts.catalog.signatures.get(usize::from(signature))?;
        let mut rules = facts.rules.change.iter();
        rules.find(|rule| rule.signatures.contains(&signature.id))
    };
    let mut changes = Vec::new();
    // Hits are in order of their signatures.
    let mut rule_of_last = None;
    for (key, hits) in facts.incident.totals.hits.iter() {
        let rule = match rule_of_last {
            Some((signature, rule)) if signature == key.signature => rule,
            _ => rule_of(key.signature),
        };
        rule_of_last = Some((key.signature, rule));
        let Some(rule) = rule else { continue };
        if !rule.anywhere && !concerns(&key.proxy) {
            continue;
        }
        let at = hits
            .series
            .iter()
            .take(MAX_SECONDS)
            .map(|(second, _)| Timestamp::from_secs(second))
            .filter(|at| span.is_news(*at))
            .max();
        let Some(second) = at else { continue };
        // The place of the first line is known, and its time to the fraction.
        let first = hits.first.filter(|first| first.secs() == second.secs());
        changes.push(Change {
            at: first.unwrap_or(second),
            kind: rule.kind.clone(),
            text: rule.says.replace("{proxy}", proxy_name(&key.proxy)),
            places: first
                .and_then(|_| hits.examples.keys().next())
                .copied()
                .into_iter()
                .collect(),
        });
    }
    changes
}

/// When something was seen first and last, and where.
#[derive(Default)]
struct Known {
    first: Option<(Timestamp, Option<Place>)>,
    last: Option<Timestamp>,
}

impl Known {
    fn add(&mut self, call: &Call<'_>) {
        if let Some(first) = call.group.first
            && self.first.is_none_or(|(known, _)| first < known)
        {
            self.first = Some((first, call.group.places.first().copied()));
        }
        self.last = self.last.max(call.group.last);
    }
}

/// Who calls a destination, and by what.
#[derive(Default)]
struct Parties<'f> {
    hosts: BTreeMap<&'f str, Known>,
    callers: BTreeMap<&'f str, Known>,
    routes: BTreeMap<&'f str, Known>,
}

impl<'f> Parties<'f> {
    fn of(facts: &'f Facts<'_>, destination: &str) -> Self {
        let mut all = Self::default();
        for call in facts.calls_to(destination).filter(|call| call.is_source()) {
            all.callers.entry(&call.source).or_default().add(call);
            if !call.key.host.is_empty() {
                all.hosts.entry(&call.key.host).or_default().add(call);
            }
            if !call.key.route.is_empty() && call.key.route != "default" {
                all.routes.entry(&call.key.route).or_default().add(call);
            }
        }
        all
    }
}

/// Pods, callers and routes of the destination that are new or gone.
fn parties(of: &Parties<'_>, destination: &str, span: &Span, facts: &Facts<'_>) -> Vec<Change> {
    let Parties {
        hosts,
        callers,
        routes,
    } = of;
    let short = address::short_service(destination);
    let mut changes = Vec::new();
    for (kind, table, says) in [
        ("new-host", hosts, "first request to"),
        ("new-caller", callers, "first request of"),
        ("new-route", routes, "first request by the route"),
    ] {
        // What all requests have is no news.
        for (name, known) in table.iter().filter(|_| table.len() > 1) {
            if let Some((at, place)) = known.first.filter(|(at, _)| span.is_news(*at)) {
                let pod = facts.incident.names.pod_at(name).map(|pod| format!(" ({pod})"));
                changes.push(Change {
                    at,
                    kind: kind.to_owned(),
                    text: match kind {
                        "new-host" => format!("{says} {name}{} for {short}", pod.unwrap_or_default()),
                        _ => format!("{says} {name} to {short}"),
                    },
                    places: place.into_iter().collect(),
                });
            }
        }
    }
    let first = callers.values().filter_map(|known| known.first).min();
    if let Some((at, place)) = first.filter(|(at, _)| span.is_news(*at)) {
        changes.push(Change {
            at,
            kind: "new-destination".to_owned(),
            text: format!("first request to {short} in the inputs"),
            places: place.into_iter().collect(),
        });
    }
    let end = hosts.values().filter_map(|known| known.last).max();
    for (name, known) in hosts {
        let gone = known.last.filter(|last| {
            span.holds(*last) && end.is_some_and(|end| end.0.saturating_sub(last.0) >= GONE_NS)
        });
        if let Some(at) = gone {
            changes.push(Change {
                at,
                kind: "host-gone".to_owned(),
                text: format!("last request to {name} of {short}"),
                places: Vec::new(),
            });
        }
    }
    changes
}

/// Requests to the destination come much more often than before.
fn traffic(finding: &Finding, begin: Timestamp, facts: &Facts<'_>) -> Option<Change> {
    let destination = finding.scope.destination.as_deref().filter(|d| *d != "*")?;
    let second = begin.secs();
    let requests = |from: i64, to: i64| facts.requests_between(destination, from, to).requests;
    let begins = facts
        .incident
        .start?
        .secs()
        .max(second - facts.thresholds().changed_before_s);
    let before_s = second - QUIET_S - begins;
    if before_s < PEAK_S {
        return None;
    }
    let before = requests(begins, second - QUIET_S - 1);
    let peak = requests(second - QUIET_S, second - QUIET_S + PEAK_S - 1);
    // Compared as products, so that nothing is rounded: peak / PEAK_S against before / before_s.
    let (peak_by, before_by) = (
        peak.saturating_mul(u64::try_from(before_s).unwrap_or(0)),
        before.saturating_mul(u64::try_from(PEAK_S).unwrap_or(1)),
    );
    (peak >= MIN_PEAK && before > 0 && peak_by >= before_by.saturating_mul(PEAK_FACTOR)).then(|| Change {
        at: Timestamp::from_secs(second - QUIET_S),
        kind: "traffic".to_owned(),
        text: format!(
            "{peak} requests to {} in {PEAK_S} s, after {before} in the {before_s} s before",
            address::short_service(destination)
        ),
        places: Vec::new(),
    })
}

/// Seconds before the beginning from which a peak may have begun.
const QUIET_S: i64 = 2;
/// Seconds in which a peak is counted.
const PEAK_S: i64 = 8;
/// Requests that make a peak.
const MIN_PEAK: u64 = 20;
/// How many times as often requests must come.
const PEAK_FACTOR: u64 = 3;

/// A host that had no request for so long at the end of the data is gone.
const GONE_NS: i64 = 10_000_000_000;

/// Certificates in captures that began or ended.
fn certificates(span: &Span, facts: &Facts<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (certificate, _) in facts.incident.totals.captures.tls.certificates.iter() {
        let name = certificate.san.first().unwrap_or(&certificate.subject);
        for (at_s, kind, says) in [
            (certificate.not_before_s, "certificate-begins", "became valid"),
            (certificate.not_after_s, "certificate-ends", "ended"),
        ] {
            let at = Timestamp::from_secs(at_s);
            if span.holds(at) {
                changes.push(Change {
                    at,
                    kind: kind.to_owned(),
                    text: format!("the certificate of {name} {says}"),
                    places: Vec::new(),
                });
            }
        }
    }
    changes
}
