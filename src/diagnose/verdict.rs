//! Findings to one answer.

use super::finding::{Diagnosis, Finding};
use super::measure::Facts;
use super::named;
use super::resets::ratio;
use super::suspects::Suspects;
use crate::aggregate::inputs::InputStats;
use crate::catalog::fill_command;
use crate::correlate::Call;
use crate::diagnose::answer::{Missing, Role, Severity, State};
use std::collections::{BTreeMap, BTreeSet};

/// Concludes.
pub fn conclude(findings: Vec<Finding>, suspects: &Suspects<'_>, facts: &Facts<'_>) -> Diagnosis {
    let accused = findings
        .iter()
        .any(|f| f.severity != Severity::Info && f.role == Role::Cause);
    let unexplained: u64 = suspects
        .unexplained
        .iter()
        .filter_map(|&i| facts.call(i))
        .map(Call::count)
        .sum::<u64>()
        + unread_errors(suspects, facts);
    let few = too_few(suspects, facts);
    let suspected = findings
        .iter()
        .any(|f| f.severity == Severity::Info && f.failed >= facts.thresholds().min_failures);
    let slow = findings.iter().any(|f| f.added_latency_ms.is_some());
    let state = if accused {
        State::CauseFound
    } else if too_little(facts) {
        State::NotEnough
    } else if unexplained >= facts.thresholds().min_failures || few > 0 || suspected || slow {
        State::SymptomsOnly
    } else if half_seen(facts).is_some() {
        State::NotEnough
    } else {
        State::Healthy
    };
    let headline = headline(state, &findings, unexplained + few, facts);
    let mut missing = missing(facts);
    missing.extend(
        half_seen(facts)
            .filter(|_| state == State::NotEnough)
            .and_then(HalfSeen::missing),
    );
    Diagnosis {
        state,
        headline,
        findings,
        missing,
        events: Vec::new(),
        events_left_out: 0,
    }
}

/// True where nothing at all can be said.
fn too_little(facts: &Facts<'_>) -> bool {
    facts.incident.totals.rows + exchanges(facts) < facts.thresholds().enough_rows
}

/// Why what was read would not show most faults, so that finding none is no all-clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HalfSeen {
    /// Captures alone, in which TLS hides nearly all requests.
    Encrypted,
    /// Rows of the called side alone: what failed on the way never came there.
    CalledSide,
}

impl HalfSeen {
    fn missing(self) -> Option<Missing> {
        match self {
            // Rows are asked for where there are none.
            Self::Encrypted => None,
            Self::CalledSide => Some(Missing {
                what: "istio-proxy logs of the callers".to_owned(),
                why_it_matters: "a call that found no route, no endpoint or no connection, or that was given up, leaves its row at the \
                                 caller alone"
                    .to_owned(),
                command: "kubectl logs -n <namespace> <calling pod> -c istio-proxy".to_owned(),
            }),
        }
    }
}

fn half_seen(facts: &Facts<'_>) -> Option<HalfSeen> {
    let totals = facts.incident.totals;
    if too_little(facts) {
        return None;
    }
    if totals.rows == 0 {
        let captures = &totals.captures;
        let hidden = captures.tls.client_hellos > 0;
        return (hidden && captures.http.requests < facts.thresholds().seen_in_clear)
            .then_some(HalfSeen::Encrypted);
    }
    let (mut all, mut called) = (0, 0);
    for call in facts.incident.calls.iter().filter(|call| call.counted) {
        all += call.count();
        called += if call.is_source() { 0 } else { call.count() };
    }
    (all > 0 && ratio(called, all) >= facts.thresholds().called_side_share).then_some(HalfSeen::CalledSide)
}

/// Failures that are too few at each destination to be a finding, where all together are no small share of what was
/// read: of little, a part.
fn too_few(suspects: &Suspects<'_>, facts: &Facts<'_>) -> u64 {
    let thresholds = facts.thresholds();
    let small = suspects
        .list
        .values()
        .filter(|s| s.lines.is_empty() && s.window.is_none() && s.shown(facts) < thresholds.min_failures);
    let count: u64 = small.map(|s| s.count(facts)).sum();
    if count >= thresholds.symptoms && ratio(count, facts.incident.totals.rows) >= thresholds.symptom_share {
        count
    } else {
        0
    }
}

/// Errors that came as answers of destinations whose own logs were not read, and that are a change: the application or
/// something behind it made them, or the called proxy did, and these inputs do not tell.
fn unread_errors(suspects: &Suspects<'_>, facts: &Facts<'_>) -> u64 {
    let mut by_destination: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for &index in &suspects.answered {
        if let Some(call) = facts.call(index).filter(|c| c.is_source() && c.key.code >= 500) {
            by_destination.entry(&call.destination).or_default().push(index);
        }
    }
    by_destination.retain(|destination, calls| {
        !facts.is_called_side_read(destination) && facts.is_change(destination, calls)
    });
    facts
        .calls(&by_destination.into_values().flatten().collect::<Vec<_>>())
        .map(Call::count)
        .sum()
}

/// How much captures hold, in the measure of rows: long-lived connections carry many requests, of which each takes
/// two packets with data at least.
fn exchanges(facts: &Facts<'_>) -> u64 {
    let sent = &facts.incident.totals.captures.tcp.sent;
    facts.connections_to("*") + sent.data_packets / 4
}

fn headline(state: State, findings: &[Finding], unexplained: u64, facts: &Facts<'_>) -> String {
    let rows = facts.incident.totals.rows;
    match (state, findings.first()) {
        (State::CauseFound, Some(first)) => first.title.clone(),
        (State::SymptomsOnly, Some(first)) => format!("No cause is certain; most likely: {}", first.title),
        (State::SymptomsOnly, None) => {
            format!("{unexplained} rows failed in ways that these inputs do not explain")
        }
        (State::NotEnough, _) if half_seen(facts) == Some(HalfSeen::Encrypted) => {
            "Nothing is wrong with the connections in these captures, but TLS hides what was asked and answered on them"
                .to_owned()
        }
        (State::NotEnough, _) if half_seen(facts) == Some(HalfSeen::CalledSide) => format!(
            "Nothing is wrong in the {rows} rows that were read, but most are of called proxies: what failed before it reached them is not there"
        ),
        (State::NotEnough, _) if facts.connections_to("*") > 0 => format!(
            "Too little to judge: {rows} access-log rows and {} connections were read",
            facts.connections_to("*")
        ),
        (State::NotEnough, _) => format!("Too little to judge: {rows} access-log rows were read"),
        _ if rows == 0 && facts.incident.totals.captures.tls.client_hellos > 0 => {
            "Nothing is wrong with the connections in these captures; what was said inside TLS they do not show"
                .to_owned()
        }
        _ if rows == 0 => "Nothing is wrong with the connections in these captures".to_owned(),
        _ => {
            let app: u64 = facts
                .incident
                .calls
                .iter()
                .filter(|c| c.counted && c.key.code >= 500 && c.key.is_answered())
                .map(Call::count)
                .sum();
            if app == 0 {
                "Nothing is wrong with the mesh in these logs".to_owned()
            } else {
                format!(
                    "Nothing is wrong with the mesh in these logs; {app} answers with status 5xx are the applications' own"
                )
            }
        }
    }
}

/// Lines of a log that may be rows of a layout of the user's own: after a message they are taken for more of it.
fn unread_lines(stats: &InputStats) -> u64 {
    let after_messages = if stats.envoy + stats.agent > 0 {
        stats.skipped.saturating_sub(stats.deselected + stats.repeated)
    } else {
        0
    };
    stats.rejected() + after_messages
}

/// Pods that were called but whose log was not read.
fn missing(facts: &Facts<'_>) -> Vec<Missing> {
    let mut list = Vec::new();
    let unread: BTreeSet<&str> = facts
        .incident
        .calls
        .iter()
        .filter(|c| c.is_source() && !c.key.host.is_empty() && c.key.cluster.starts_with("outbound|"))
        .filter(|c| !facts.is_called_side_read(&c.destination))
        .map(|c| c.destination.as_str())
        .collect();
    // A host outside of the mesh has no proxy.
    let services = unread.into_iter().filter_map(|destination| {
        named::service(destination, &facts.incident.names).map(|names| (destination, names))
    });
    for (destination, names) in services.take(5) {
        list.push(Missing {
            what: format!("istio-proxy log of the pods of {destination}"),
            why_it_matters: "without the called proxy's rows, failures of its application, of its proxy and of the way there look alike".to_owned(),
            // With a selector `kubectl logs` tells ten lines, unless it is told otherwise.
            command: fill_command(
                "kubectl logs -n {namespace} -l app={service} -c istio-proxy --tail=-1 --prefix --timestamps",
                &names,
            ),
        });
    }
    let deselected: u64 = facts.incident.totals.inputs.values().map(|i| i.deselected).sum();
    if facts.incident.totals.rows == 0 && deselected > 0 {
        list.push(Missing {
            what: format!("the {deselected} records that the selection leaves out"),
            why_it_matters: "nothing is left to judge: no record lies within --since, --until and --pod"
                .to_owned(),
            command: "postmesh inspect <path>".to_owned(),
        });
    } else if facts.incident.totals.rows == 0 {
        list.push(Missing {
            what: "access-log rows".to_owned(),
            why_it_matters: if facts.incident.totals.captures.tcp.connections > 0 {
                "only captures were read: flags and details of rows say which request failed and why its proxy \
                 gave up"
            } else {
                "no row of an access log was found: latencies and failures cannot be counted"
            }
            .to_owned(),
            command: "kubectl logs -n <namespace> <pod> -c istio-proxy".to_owned(),
        });
        let lines: u64 = facts.incident.totals.inputs.values().map(unread_lines).sum();
        if lines >= facts.thresholds().enough_rows {
            list.push(Missing {
                what: "the format of the access logs".to_owned(),
                why_it_matters: format!(
                    "{lines} lines are no records of a known format: rows of an accessLogFormat of the mesh's own are read by it, which the configuration tells, or --access-log-format"
                ),
                command: "kubectl get configmap istio -n istio-system -o yaml > mesh.yaml".to_owned(),
            });
        }
    }
    list
}
