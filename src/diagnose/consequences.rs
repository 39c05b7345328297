//! Which suspects follow from others: one fault is seen from both sides of a hop, rows follow from a line, a
//! failing host is ejected, certificates run out one after the other.

use super::measure::{Facts, Measured, first_places};
use super::resets::ratio;
use super::rules::LineRule;
use super::suspects::{Suspect, Suspects};
use crate::correlate::Call;
use crate::report::model::EvidenceKind;
use crate::units::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

type Key = (String, String);

/// Settles what follows from what.
pub fn settle<'f>(suspects: &mut Suspects<'f>, facts: &'f Facts<'f>) {
    unite_gradual_expiry(suspects, facts);
    carry_to_called_side(suspects, facts);
    for rule in &facts.rules.line {
        follow_lines(suspects, facts, rule);
    }
    follow_first_faults(suspects, facts);
    carry_cancels(suspects, facts);
    suspect_exhausted_retries(suspects, facts);
    suspect_leaving_clients(suspects, facts);
}

/// Times of rows are in milliseconds, clocks of two proxies differ a little.
const SLACK_MS: u64 = 2_000;

fn overlaps(call: &Call<'_>, span: (Timestamp, Timestamp)) -> bool {
    match (call.group.first, call.group.last) {
        (Some(first), Some(last)) => {
            first <= span.1.plus_millis(SLACK_MS) && last.plus_millis(SLACK_MS) >= span.0
        }
        _ => false,
    }
}

/// Hosts whose leaf certificates ended at different times are one fault: renewal has stopped.
fn unite_gradual_expiry(suspects: &mut Suspects<'_>, facts: &Facts<'_>) {
    let expired: Vec<Key> = suspects
        .list
        .keys()
        .filter(|(cause, _)| cause == "cert-expired")
        .cloned()
        .collect();
    let mut first_by_host: BTreeMap<String, Timestamp> = BTreeMap::new();
    let calls: Vec<usize> = expired
        .iter()
        .filter_map(|key| suspects.list.get(key))
        .flat_map(Suspect::own_calls)
        .collect();
    for call in facts
        .calls(&calls)
        .filter(|c| c.is_source() && is_leaf(&c.key.failure_reason))
    {
        if let Some(first) = call.group.first {
            let known = first_by_host.entry(call.key.host.clone()).or_insert(first);
            *known = (*known).min(first);
        }
    }
    let times: BTreeSet<Timestamp> = first_by_host.values().copied().collect();
    let (Some(earliest), Some(latest)) = (times.first(), times.last()) else {
        return;
    };
    let spread_s = latest.secs() - earliest.secs();
    if first_by_host.len() < facts.thresholds().gradual_hosts
        || spread_s < facts.thresholds().gradual_spread_s
    {
        return;
    }
    let destination = if let [(_, only)] = expired.as_slice() {
        only.clone()
    } else {
        "*".to_owned()
    };
    let mut gradual = Suspect::new("gradual-cert-expiry", &destination, 0.93);
    for suspect in expired.iter().filter_map(|key| suspects.list.remove(key)) {
        gradual.unite(suspect);
    }
    gradual.confidence = 0.93;
    gradual.measured.push(Measured {
        name: "staggered-hosts",
        kind: EvidenceKind::Statistic,
        text: format!(
            "the certificates of {} hosts ended one after the other, {spread_s} s from the first to the last",
            first_by_host.len()
        ),
        count: first_by_host.len() as u64,
        strength: 0.9,
        places: first_places(facts.calls(&calls), 3),
    });
    suspects.add(gradual);
}

/// OpenSSL counts depth from the leaf; older Envoys print no depth.
fn is_leaf(reason: &str) -> bool {
    !reason.contains("at_depth_") || reason.contains("at_depth_0")
}

/// What the called proxy's own rows show explains what its callers saw.
fn carry_to_called_side(suspects: &mut Suspects<'_>, facts: &Facts<'_>) {
    let carried: Vec<&String> = facts.rules.carried.iter().flat_map(|c| &c.causes).collect();
    let called: Vec<Key> = suspects
        .list
        .iter()
        .filter(|(_, s)| {
            s.own_calls().next().is_some()
                && s.own_calls()
                    .filter_map(|i| facts.call(i))
                    .any(|c| !c.is_source())
        })
        .map(|(key, _)| key.clone())
        .collect();
    for key in called {
        let Some(span) = suspects.list.get(&key).and_then(|s| s.span(facts)) else {
            continue;
        };
        let mut explained: BTreeSet<usize> = suspects
            .answered
            .iter()
            .copied()
            .filter(|&i| {
                facts
                    .call(i)
                    .is_some_and(|c| c.is_source() && c.destination == key.1 && overlaps(c, span))
            })
            .collect();
        suspects.answered.retain(|i| !explained.contains(i));
        let other_side: Vec<Key> = suspects
            .list
            .iter()
            .filter(|(other, s)| {
                **other != key && other.1 == key.1 && carried.contains(&&other.0) && is_caller_side(s, facts)
            })
            .map(|(other, _)| other.clone())
            .collect();
        for other in other_side {
            explained.extend(suspects.list.remove(&other).iter().flat_map(Suspect::own_calls));
        }
        if let Some(suspect) = suspects.list.get_mut(&key) {
            suspect.carried.extend(explained);
        }
    }
}

fn is_caller_side(suspect: &Suspect<'_>, facts: &Facts<'_>) -> bool {
    suspect
        .own_calls()
        .filter_map(|i| facts.call(i))
        .all(Call::is_source)
}

/// Rows that follow from a component line: of the same pod, after it.
fn follow_lines(suspects: &mut Suspects<'_>, facts: &Facts<'_>, rule: &LineRule) {
    let sources: Vec<Key> = suspects
        .list
        .iter()
        .filter(|(key, s)| key.0 == rule.cause && !s.lines.is_empty())
        .map(|(key, _)| key.clone())
        .collect();
    for key in sources {
        let Some(source) = suspects.list.get(&key) else {
            continue;
        };
        let proxies: BTreeSet<String> = source.lines.iter().map(|l| l.proxy.clone()).collect();
        let Some(first) = source.lines.iter().filter_map(|l| l.hits.first).min() else {
            continue;
        };
        let following: Vec<Key> = suspects
            .list
            .iter()
            .filter(|(other, s)| {
                **other != key && rule.explains.contains(&other.0) && follows(facts, rule, &proxies, first, s)
            })
            .map(|(other, _)| other.clone())
            .collect();
        let needs_effect = rule.requires.iter().any(|name| name == "no-push-after");
        let pushed = needs_effect && config_came_after(facts, &proxies, first);
        if needs_effect && let Some(source) = suspects.list.get_mut(&key) {
            source.remark = following.is_empty() || pushed;
        }
        if pushed {
            continue;
        }
        for other in following {
            if let Some(suspect) = suspects.list.get_mut(&other) {
                suspect.follows = Some(key.clone());
            }
            let calls = suspects
                .list
                .get(&other)
                .map(Suspect::all_calls)
                .unwrap_or_default();
            if let Some(source) = suspects.list.get_mut(&key) {
                source.carried.extend(calls);
            }
        }
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
            && c.outcome() == crate::aggregate::flags::Outcome::Ok
            && c.group.first.is_some_and(|t| t < first)
    })
}

/// True if a proxy logged new configuration after the stream had closed.
fn config_came_after(facts: &Facts<'_>, proxies: &BTreeSet<String>, first: Timestamp) -> bool {
    facts
        .config_applied()
        .any(|(proxy, hits)| proxies.contains(proxy) && hits.last.is_some_and(|last| last > first))
}

/// Effects of a fault at the same destination that began earlier.
fn follow_first_faults(suspects: &mut Suspects<'_>, facts: &Facts<'_>) {
    let began: BTreeMap<Key, Timestamp> = suspects
        .list
        .iter()
        .filter_map(|(key, s)| Some((key.clone(), s.span(facts)?.0)))
        .collect();
    for rule in &facts.rules.consequence {
        for (key, first) in began.iter().filter(|(key, _)| key.0 == rule.cause) {
            let earlier = began
                .iter()
                .find(|(other, start)| rule.of.contains(&other.0) && other.1 == key.1 && *start <= first);
            let large = |k: &Key| {
                suspects
                    .list
                    .get(k)
                    .is_some_and(|s| s.count(facts) >= facts.thresholds().min_failures)
            };
            if let Some((other, _)) = earlier.filter(|(other, _)| large(other))
                && let Some(suspect) = suspects.list.get_mut(key)
                && suspect.follows.is_none()
            {
                suspect.follows = Some(other.clone());
            }
        }
    }
}

/// Callers that give up on a destination that fails are part of its fault.
fn carry_cancels(suspects: &mut Suspects<'_>, facts: &Facts<'_>) {
    let keys: Vec<Key> = suspects
        .list
        .iter()
        .filter(|(_, s)| !s.remark)
        .map(|(key, _)| key.clone())
        .collect();
    for key in keys {
        let Some(suspect) = suspects.list.get(&key) else {
            continue;
        };
        let (Some(span), true) = (
            suspect.span(facts),
            suspect.count(facts) >= facts.thresholds().min_failures,
        ) else {
            continue;
        };
        let explained: Vec<usize> = suspects
            .cancels
            .iter()
            .copied()
            .filter(|&i| {
                facts
                    .call(i)
                    .is_some_and(|c| c.destination == key.1 && overlaps(c, span))
            })
            .collect();
        suspects.cancels.retain(|i| !explained.contains(i));
        if let Some(suspect) = suspects.list.get_mut(&key) {
            suspect.carried.extend(explained);
        }
    }
}

/// Retries that ran out against statuses that nothing but the application made.
fn suspect_exhausted_retries(suspects: &mut Suspects<'_>, facts: &Facts<'_>) {
    let mut by_destination: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for &index in &suspects.answered {
        if let Some(call) = facts.call(index)
            && call.key.has_flag("URX")
        {
            by_destination
                .entry(call.destination.clone())
                .or_default()
                .push(index);
        }
    }
    for (destination, calls) in by_destination {
        let called: Vec<usize> = suspects
            .answered
            .iter()
            .copied()
            .filter(|&i| {
                facts
                    .call(i)
                    .is_some_and(|c| !c.is_source() && c.destination == destination && c.key.code >= 500)
            })
            .collect();
        let recorded = facts.calls_to(&destination).any(|c| !c.is_source());
        let mut suspect = Suspect::new(
            "retries-exhausted",
            &destination,
            if called.is_empty() { 0.55 } else { 0.92 },
        );
        suspect.pods = facts.calls(&called).map(|c| c.key.proxy.clone()).collect();
        if called.is_empty() {
            let text = if recorded {
                "the called proxy's log shows no failure: the status may have been made by another pod of the service"
            } else {
                "the called proxy's log was not read, so whether the application or its proxy made the status is open"
            };
            suspect.measured.push(absence(text));
            suspect.remark = true;
        } else {
            suspect.measured.push(attempts(facts, &calls, &called));
        }
        suspect.rows.insert("retries-ran-out", calls.clone());
        suspect.carried.extend(called.iter().copied());
        suspects
            .answered
            .retain(|i| !calls.contains(i) && !called.contains(i));
        suspects.add(suspect);
    }
}

fn absence(text: &str) -> Measured {
    Measured {
        name: "called-side",
        kind: EvidenceKind::Absence,
        text: text.to_owned(),
        count: 0,
        strength: 0.4,
        places: Vec::new(),
    }
}

fn attempts(facts: &Facts<'_>, calls: &[usize], called: &[usize]) -> Measured {
    let requests: u64 = facts.calls(calls).map(Call::count).sum();
    let rows: u64 = facts.calls(called).map(Call::count).sum();
    Measured {
        name: "attempts",
        kind: EvidenceKind::Join,
        text: format!(
            "the called proxy shows {rows} answers of the application with status 5xx for these {requests} requests ({:.1} attempts each)",
            ratio(rows, requests)
        ),
        count: rows,
        strength: 0.9,
        places: first_places(facts.calls(called), 3),
    }
}

/// Cancels that are a change and not the callers' habit: they began within the data, and at about the same age
/// of the request.
fn suspect_leaving_clients(suspects: &mut Suspects<'_>, facts: &Facts<'_>) {
    let mut by_destination: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for &index in &suspects.cancels {
        if let Some(call) = facts.call(index) {
            by_destination
                .entry(call.destination.clone())
                .or_default()
                .push(index);
        }
    }
    for (destination, calls) in by_destination {
        let caller_side = facts.calls(&calls).any(Call::is_source);
        let (own, other): (Vec<usize>, Vec<usize>) = calls
            .iter()
            .copied()
            .partition(|&i| facts.call(i).is_some_and(|c| c.is_source() == caller_side));
        let Some(measured) = cancels_changed(facts, &destination, &own) else {
            continue;
        };
        let mut suspect = Suspect::new("client-disconnect", &destination, 0.8);
        suspect.rows.insert("callers-left", own);
        suspect.carried.extend(other);
        suspect.measured.push(measured);
        suspects.cancels.retain(|i| !calls.contains(i));
        suspects.add(suspect);
    }
}

fn cancels_changed(facts: &Facts<'_>, destination: &str, calls: &[usize]) -> Option<Measured> {
    let thresholds = facts.thresholds();
    let count: u64 = facts.calls(calls).map(Call::count).sum();
    let first = facts.calls(calls).filter_map(|c| c.group.first).min()?;
    let last = facts.calls(calls).filter_map(|c| c.group.last).max()?;
    let began = facts.calls_to(destination).filter_map(|c| c.group.first).min()?;
    let ended = facts.calls_to(destination).filter_map(|c| c.group.last).max()?;
    if count < thresholds.onset_failures {
        return None;
    }
    let gap_ms = as_ms(last, first) / as_f64(count - 1);
    let changed = as_ms(first, began) > thresholds.rate_change_gaps * gap_ms.max(1.0)
        || as_ms(ended, last) > thresholds.rate_change_gaps * gap_ms.max(1.0);
    let (low, mid, high) = quartiles(facts, calls)?;
    let clustered = high - low <= (mid * thresholds.cluster_spread).max(5.0);
    let before = facts
        .requests_between(destination, i64::MIN, first.secs() - 1)
        .requests;
    (changed && clustered && before > 0).then(|| Measured {
        name: "cancels-changed",
        kind: EvidenceKind::Statistic,
        text: format!("callers of {destination} began to hang up after about {mid:.0} ms (middle half {low:.0} to {high:.0} ms): {count} times from {first} on, never before"),
        count,
        strength: 0.8,
        places: first_places(facts.calls(calls), 3),
    })
}

fn quartiles(facts: &Facts<'_>, calls: &[usize]) -> Option<(f64, f64, f64)> {
    let mut all = crate::aggregate::samples::Samples::default();
    facts.calls(calls).for_each(|c| all.merge_ref(&c.group.duration));
    let histogram = all.to_histogram()?;
    let at = |q| as_f64(histogram.value_at_quantile(q));
    Some((at(0.25), at(0.5), at(0.75)))
}

/// Milliseconds from `from` to `to`.
fn as_ms(to: Timestamp, from: Timestamp) -> f64 {
    as_f64(u64::try_from(to.millis_since(from)).unwrap_or(0))
}

fn as_f64(value: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "spans and durations in ms are far below 2^52"
    )]
    let value = value as f64;
    value
}
