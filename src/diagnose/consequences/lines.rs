//! Rows that follow from a component line.

use super::{Key, SLACK_MS, keys_where};
use crate::aggregate::flags::Outcome;
use crate::correlate::Call;
use crate::diagnose::measure::Facts;
use crate::diagnose::rules::LineRule;
use crate::diagnose::suspects::{Suspect, Suspects};
use crate::units::Timestamp;
use std::collections::BTreeSet;

/// Rows that follow from a component line: of the same pod, after it.
pub(super) fn follow(suspects: &mut Suspects<'_>, facts: &Facts<'_>, rule: &LineRule) {
    for key in keys_where(suspects, |key, s| key.0 == rule.cause && !s.lines.is_empty()) {
        let Some((proxies, first)) = suspects.list.get(&key).and_then(written_by) else {
            continue;
        };
        let following = keys_where(suspects, |other, s| {
            *other != key && rule.explains.contains(&other.0) && follows(facts, rule, &proxies, first, s)
        });
        let needs_effect = rule.requires.iter().any(|name| name == "no-push-after");
        let pushed = needs_effect && config_came_after(facts, &proxies, first);
        if needs_effect && let Some(source) = suspects.list.get_mut(&key) {
            source.remark = following.is_empty() || pushed;
        }
        if !pushed {
            for other in &following {
                subordinate(suspects, other, &key);
            }
        }
    }
}

/// The proxies that wrote the lines of a suspect, and when the first line came.
fn written_by(suspect: &Suspect<'_>) -> Option<(BTreeSet<String>, Timestamp)> {
    let proxies = suspect.lines.iter().map(|l| l.proxy.clone()).collect();
    let first = suspect.lines.iter().filter_map(|l| l.hits.first).min()?;
    Some((proxies, first))
}

/// Makes `other` a consequence of `key`.
fn subordinate(suspects: &mut Suspects<'_>, other: &Key, key: &Key) {
    let Some(suspect) = suspects.list.get_mut(other) else {
        return;
    };
    suspect.follows = Some(key.clone());
    let calls = suspect.all_calls();
    if let Some(source) = suspects.list.get_mut(key) {
        source.carried.extend(calls);
    }
}

/// True if most rows of `suspect` are at one of `proxies`, after `first`.
fn follows(
    facts: &Facts<'_>,
    rule: &LineRule,
    proxies: &BTreeSet<String>,
    first: Timestamp,
    suspect: &Suspect<'_>,
) -> bool {
    let calls: Vec<usize> = suspect.own_calls().collect();
    let total: u64 = facts.calls(&calls).map(Call::count).sum();
    let at: u64 = facts
        .calls(&calls)
        .filter(|call| {
            let begins = call.group.first.is_some_and(|t| t.plus_millis(SLACK_MS) >= first);
            let pod = if rule.at == "called" {
                call.destination_pod.as_ref()
            } else {
                Some(&call.key.proxy)
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
        .filter(|c| &c.key.proxy == pod)
        .filter_map(|c| c.group.last)
        .max();
    last_row.is_some_and(|last| last <= first.plus_millis(SLACK_MS))
}

fn worked_before(facts: &Facts<'_>, call: &Call<'_>, first: Timestamp) -> bool {
    facts.incident.calls.iter().any(|c| {
        c.key.host == call.key.host
            && c.key.proxy == call.key.proxy
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
