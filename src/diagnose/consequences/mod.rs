//! Which suspects follow from others: one fault is seen from both sides of a hop, rows follow from a line, a
//! failing host is ejected, certificates run out one after the other.

mod answers;
mod cancels;
mod expiry;
mod lines;
pub(super) use lines::subordinate;
mod retries;
mod sides;

use super::measure::Facts;
use super::suspects::{Suspect, Suspects};
use crate::correlate::Call;
use crate::units::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Cause and destination of a suspect.
type Key = (String, String);

/// Settles what follows from what.
pub fn settle<'f>(suspects: &mut Suspects<'f>, facts: &'f Facts<'f>) {
    expiry::unite_gradual(suspects, facts);
    sides::carry_to_called_side(suspects, facts);
    for rule in &facts.rules.line {
        lines::follow(suspects, facts, rule);
    }
    follow_first_faults(suspects, facts);
    answers::suspect_called_proxy(suspects, facts);
    cancels::carry(suspects, facts);
    retries::suspect_exhausted(suspects, facts);
    cancels::suspect_leaving_clients(suspects, facts);
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

fn keys_where(suspects: &Suspects<'_>, test: impl Fn(&Key, &Suspect<'_>) -> bool) -> Vec<Key> {
    let chosen = suspects.list.iter().filter(|(key, suspect)| test(key, suspect));
    chosen.map(|(key, _)| key.clone()).collect()
}

/// The numbers of these calls by destination.
fn by_destination(facts: &Facts<'_>, calls: impl Iterator<Item = usize>) -> BTreeMap<String, Vec<usize>> {
    let mut destinations: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for index in calls {
        if let Some(call) = facts.call(index) {
            destinations
                .entry(call.destination.clone())
                .or_default()
                .push(index);
        }
    }
    destinations
}

/// The servers of connections that show a suspect which no rows show: rows may name their service, packets cannot.
fn hosts(suspects: &Suspects<'_>, facts: &Facts<'_>, key: &Key) -> BTreeSet<String> {
    let of_packets = suspects
        .list
        .get(key)
        .filter(|s| s.connections.is_some() && s.count(facts) == 0);
    of_packets
        .iter()
        .flat_map(|s| &s.servers)
        .map(ToString::to_string)
        .collect()
}

/// True if rows of this suspect went to one of these servers.
fn sends_to(suspect: &Suspect<'_>, facts: &Facts<'_>, hosts: &BTreeSet<String>) -> bool {
    let mut calls = suspect.own_calls().filter_map(|i| facts.call(i));
    !hosts.is_empty() && calls.any(|call| hosts.contains(&call.key.host))
}

/// Effects of a fault at the same destination that began earlier.
pub fn follow_first_faults(suspects: &mut Suspects<'_>, facts: &Facts<'_>) {
    let began: BTreeMap<Key, Timestamp> = suspects
        .list
        .iter()
        .filter_map(|(key, s)| Some((key.clone(), s.span(facts)?.0)))
        .collect();
    for rule in &facts.rules.consequence {
        for (key, first) in began.iter().filter(|(key, _)| key.0 == rule.cause) {
            let hosts = hosts(suspects, facts, key);
            let earlier = began.iter().find(|(other, start)| {
                // Windows of connections are widened, so their starts are no exact times.
                let early = **start <= first.plus_millis(SLACK_MS) && rule.of.contains(&other.0);
                let same_hosts = || {
                    suspects
                        .list
                        .get(*other)
                        .is_some_and(|s| sends_to(s, facts, &hosts))
                };
                early && (other.1 == key.1 || !hosts.is_empty() && same_hosts())
            });
            let large = |k: &Key| {
                suspects
                    .list
                    .get(k)
                    .is_some_and(|s| s.shown(facts) >= facts.thresholds().min_failures)
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
