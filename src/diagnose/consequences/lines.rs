//! Rows that follow from a component line.

use super::{Key, SLACK_MS, keys_where};
use crate::aggregate::flags::Outcome;
use crate::correlate::Call;
use crate::diagnose::measure::Facts;
use crate::diagnose::rules::LineRule;
use crate::diagnose::suspects::{LineEvidence, Suspect, Suspects};
use crate::units::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Rows that follow from a component line: of the same pod, after it.
pub(super) fn follow(suspects: &mut Suspects<'_>, facts: &Facts<'_>, rule: &LineRule) {
    for key in keys_where(suspects, |key, s| key.0 == rule.cause && !s.lines.is_empty()) {
        let written = suspects.list.get(&key).and_then(|s| written_by(s, rule, facts));
        let Some((proxies, span)) = written else {
            continue;
        };
        let first = span.0;
        let following = keys_where(suspects, |other, s| {
            *other != key
                && rule.explains.contains(&other.0)
                && if rule.at == "named" {
                    other.1 == key.1 && s.span(facts).is_some_and(|(_, last)| last >= first)
                } else {
                    follows(facts, rule, &proxies, span, s)
                }
        });
        if following.is_empty() && suspects.list.get(&key).is_none_or(|s| s.remark) {
            continue;
        }
        let needs_effect = rule.requires.iter().any(|name| name == "no-push-after");
        let pushed = needs_effect && config_came_after(facts, &proxies, first);
        if needs_effect && let Some(source) = suspects.list.get_mut(&key) {
            let goes_on =
                rule.sustained_s > 0 && lasts(source, rule) && !is_over(facts, rule, &proxies, source);
            source.remark = pushed || (following.is_empty() && !goes_on);
        } else if let Some(source) = suspects.list.get_mut(&key).filter(|_| !following.is_empty()) {
            // Few lines that have an effect are enough.
            source.remark = false;
        }
        if !pushed {
            for other in &following {
                subordinate(suspects, other, &key);
            }
            date(suspects, facts, &key);
        }
    }
}

/// The lines of a suspect that are of this rule.
fn lines_of<'s, 'f>(
    suspect: &'s Suspect<'f>,
    rule: &'s LineRule,
) -> impl Iterator<Item = &'s LineEvidence<'f>> {
    suspect
        .lines
        .iter()
        .filter(|line| rule.signatures.contains(&line.signature))
}

/// The proxies that wrote the lines of a suspect, and when the first and the last of them came: lines without a time may
/// have come at any.
fn written_by(
    suspect: &Suspect<'_>,
    rule: &LineRule,
    facts: &Facts<'_>,
) -> Option<(BTreeSet<String>, (Timestamp, Timestamp))> {
    let proxies = lines_of(suspect, rule).map(|l| l.proxy.clone()).collect();
    let first = lines_of(suspect, rule).filter_map(|l| l.hits.first).min();
    let last = lines_of(suspect, rule).filter_map(|l| l.hits.last).max();
    let (start, end) = (facts.incident.start, facts.incident.end);
    lines_of(suspect, rule).next()?;
    Some((proxies, (first.or(start)?, last.or(end)?)))
}

/// True if the lines of one proxy go on for as long as the rule asks for.
fn lasts(suspect: &Suspect<'_>, rule: &LineRule) -> bool {
    let mut spans: BTreeMap<&str, (Timestamp, Timestamp)> = BTreeMap::new();
    for line in lines_of(suspect, rule) {
        if let Some((first, last)) = line.hits.first.zip(line.hits.last) {
            let span = spans.entry(&line.proxy).or_insert((first, last));
            *span = (span.0.min(first), span.1.max(last));
        }
    }
    spans
        .values()
        .any(|(first, last)| last.secs() - first.secs() >= rule.sustained_s)
}

/// True if each proxy wrote after its last line that it is over.
fn is_over(facts: &Facts<'_>, rule: &LineRule, proxies: &BTreeSet<String>, suspect: &Suspect<'_>) -> bool {
    proxies.iter().all(|proxy| {
        let own = lines_of(suspect, rule).filter(|line| line.proxy == *proxy);
        let last = own.filter_map(|line| line.hits.last).max();
        facts
            .lines_of(&rule.unless_after, proxy)
            .any(|hits| hits.last > last)
    })
}

/// Makes `other` a consequence of `key`.
pub(in crate::diagnose) fn subordinate(suspects: &mut Suspects<'_>, other: &Key, key: &Key) {
    let Some(suspect) = suspects.list.get_mut(other) else {
        return;
    };
    suspect.follows = Some(key.clone());
    let calls = suspect.all_calls();
    if let Some(source) = suspects.list.get_mut(key) {
        source.carried.extend(calls);
    }
}

/// Lines without a time are as old as what follows from them.
fn date(suspects: &mut Suspects<'_>, facts: &Facts<'_>, key: &Key) {
    let Some(suspect) = suspects.list.get_mut(key) else {
        return;
    };
    let first = suspect
        .carried_calls(facts)
        .filter_map(|call| call.group.first)
        .min();
    let last = suspect
        .carried_calls(facts)
        .filter_map(|call| call.group.last)
        .max();
    if suspect.lines.iter().all(|line| line.hits.first.is_none()) && first.is_some() {
        suspect.window = first.zip(last);
    }
}

/// True if most rows of `suspect` are at one of `proxies`, after the first line and not too long after the last one.
fn follows(
    facts: &Facts<'_>,
    rule: &LineRule,
    proxies: &BTreeSet<String>,
    (first, last): (Timestamp, Timestamp),
    suspect: &Suspect<'_>,
) -> bool {
    let latest = rule.within_s.map(|s| last.plus_millis(s.saturating_mul(1000)));
    let calls: Vec<usize> = suspect.own_calls().collect();
    let total: u64 = facts.calls(&calls).map(Call::count).sum();
    let at: u64 = facts
        .calls(&calls)
        .filter(|call| {
            let begins = call
                .group
                .first
                .is_some_and(|t| t.plus_millis(SLACK_MS) >= first && latest.is_none_or(|latest| t <= latest));
            if rule.at == "machine" {
                return begins;
            }
            let pod = if rule.at == "called" {
                call.destination_pod.as_deref()
            } else {
                Some(call.key.proxy())
            };
            begins
                && pod.is_some_and(|p| proxies.contains(p))
                && (rule.at == "called" || is_stale(facts, call))
        })
        .map(Call::count)
        .sum();
    total > 0 && at * 2 > total
}

/// True if the called address is of a pod whose own log had ended by the first of these rows (or of which no log
/// was read): the caller still sends to a pod that is gone.
fn is_stale(facts: &Facts<'_>, call: &Call<'_>) -> bool {
    let Some(first) = call.group.first else {
        return false;
    };
    let Some(pod) = &call.destination_pod else {
        return call.key.host.is_empty() || worked_before(facts, call, first);
    };
    let last_row = facts
        .incident
        .calls
        .iter()
        .filter(|c| c.key.proxy() == pod)
        .filter_map(|c| c.group.last)
        .max();
    last_row.is_some_and(|last| last <= first.plus_millis(SLACK_MS))
}

fn worked_before(facts: &Facts<'_>, call: &Call<'_>, first: Timestamp) -> bool {
    facts.incident.calls.iter().any(|c| {
        c.key.host == call.key.host
            && c.key.proxy() == call.key.proxy()
            && c.outcome() == Outcome::Ok
            && c.group.first.is_some_and(|t| t < first)
    })
}

/// True if a proxy logged new configuration after the stream had closed.
fn config_came_after(facts: &Facts<'_>, proxies: &BTreeSet<String>, first: Timestamp) -> bool {
    facts
        .config_applied()
        .any(|(proxy, hits)| proxies.contains(proxy) && hits.last.is_some_and(|last| last > first))
}
