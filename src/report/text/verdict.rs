//! The first lines: what was read, and the answer.

use super::clock::Clock;
use super::lead;
use super::number::{bytes, counted, decimal, group, share, span};
use super::page::{Page, Role};
use super::wrap::{cut_end, width_of, wrap};
use crate::report::model::{Finding, Impact, Input, Report, Requests, Scope, Severity, State, Unit};
use crate::units::Timestamp;

/// The kind of inputs whose records are packets.
const CAPTURE: &str = "capture";

/// The verdict's sentence takes at most this many lines.
const HEADLINE_LINES: usize = 3;

/// What was read: program, inputs, span.
pub(super) fn title(report: &Report, page: &mut Page) {
    let name = format!("{} {}", report.tool.name, report.tool.version);
    let line = page
        .line()
        .push(Role::Strong, &name)
        .plain("  ")
        .plain(&read(&report.inputs));
    page.put(line);
    if let (Some(start), Some(end)) = (report.window.start, report.window.end) {
        let length = span(u64::try_from(end.millis_since(start)).unwrap_or(0));
        let window = Clock::new(&report.window).window(start, end);
        page.wrapped(width_of(&name) + 2, Role::Plain, &format!("{window} ({length})"));
    }
    if let Some(only) = only(report) {
        page.wrapped(width_of(&name) + 2, Role::Warning, &only);
    }
}

/// Which rows the report is of, where it is not of all.
pub(in crate::report) fn only(report: &Report) -> Option<String> {
    let selection = &report.selection;
    let interrupted = selection
        .interrupted
        .then(|| "INTERRUPTED: only what had been read by then".to_owned());
    let condition = selection.condition.as_ref().map(|condition| {
        let left_out = counted(selection.rows_left_out, "row");
        format!("only rows with {condition} ({left_out} left out)")
    });
    let parts: Vec<String> = interrupted.into_iter().chain(condition).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// How much was read: `14 inputs  3.1 GiB  9,812,440 lines  412,907 packets`.
pub(super) fn read(inputs: &[Input]) -> String {
    let sum = |of: fn(&Input) -> u64| inputs.iter().map(of).fold(0, u64::saturating_add);
    let lines = sum(|input| {
        if input.kind == CAPTURE {
            return 0;
        }
        input
            .records
            .saturating_add(input.rejected)
            .saturating_add(input.skipped)
    });
    let packets = sum(|input| if input.kind == CAPTURE { input.records } else { 0 });
    let count = counted(u64::try_from(inputs.len()).unwrap_or(u64::MAX), "input");
    let mut parts = vec![count, bytes(sum(|input| input.bytes))];
    if lines > 0 || packets == 0 {
        parts.push(counted(lines, "line"));
    }
    if packets > 0 {
        parts.push(counted(packets, "packet"));
    }
    parts.join("  ")
}

/// The answer, in at most six lines.
pub(super) fn verdict(report: &Report, page: &mut Page) {
    page.blank();
    let finding = lead(report);
    let (role, mark) = badge(report.verdict.state, finding);
    let column = mark.len() + 3;
    let headline = headline(&report.verdict.headline, page, column);
    for (i, part) in headline.iter().enumerate() {
        let mut line = page.line();
        if i == 0 {
            line = line.push(role, &format!(" {mark} "));
        }
        page.put(line.pad_to(column).push(Role::Strong, part));
    }
    match finding {
        Some(finding) => cause(report, finding, column, page),
        None => page.wrapped(column, Role::Plain, &totals(report)),
    }
}

fn badge(state: State, finding: Option<&Finding>) -> (Role, &'static str) {
    match (state, finding.map(|f| f.severity)) {
        (State::CauseFound, Some(Severity::Warning)) => (Role::WarningBadge, "WARNING"),
        (State::CauseFound, Some(Severity::Info)) => (Role::WarningBadge, "REMARK"),
        (State::CauseFound, _) => (Role::CriticalBadge, "CRITICAL"),
        (State::Healthy, _) => (Role::GoodBadge, "HEALTHY"),
        (State::SymptomsOnly, _) => (Role::WarningBadge, "SYMPTOMS"),
        (State::NotEnough, _) => (Role::WarningBadge, "NOT ENOUGH"),
    }
}

fn headline(text: &str, page: &Page, column: usize) -> Vec<String> {
    let room = page.width().saturating_sub(column);
    let mut parts = wrap(&page.shown(text), room);
    if parts.len() > HEADLINE_LINES {
        let rest = parts.split_off(HEADLINE_LINES - 1).join(" ");
        parts.push(cut_end(&rest, room, page.ellipsis()));
    }
    parts
}

fn cause(report: &Report, finding: &Finding, column: usize, page: &mut Page) {
    let room = page.width().saturating_sub(column);
    let clock = Clock::new(&report.window);
    // Of a long name less matters than of the time: "since when" belongs to the first lines.
    let when = when(report, finding, clock);
    let whom = whom(&finding.scope);
    let whom = cut_end(
        &page.shown(&whom),
        room.saturating_sub(when.len() + 2),
        page.ellipsis(),
    );
    let scope = format!("{whom}, {when}");
    let scope = scope.trim_matches([',', ' ']).to_owned();
    page.put(page.line().pad_to(column).plain(&scope));
    let confidence = format!("confidence {}", decimal(finding.confidence, 2));
    let impact = impact(&finding.impact, &report.requests);
    let line = page.line().pad_to(column).plain(&impact);
    page.put_with_right(line, Role::Plain, &confidence);
    let label = if report.verdict.state == State::CauseFound {
        "cause: "
    } else {
        "suspected: "
    };
    let line = page
        .line()
        .pad_to(column)
        .plain(label)
        .push(Role::Strong, &finding.cause);
    page.put_with_right(line, Role::Faint, &format!("finding {}", finding.rank));
}

/// Whom a finding concerns: `productpage-v1 → ratings:9080`.
pub(in crate::report) fn whom(scope: &Scope) -> String {
    let destination = match scope.destination.as_deref() {
        Some("*") => Some("the whole mesh"),
        other => other,
    };
    match (scope.source.as_deref(), destination) {
        (Some(source), Some(destination)) => format!("{source} → {destination}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) if !scope.pods.is_empty() => format!("pod {}", scope.pods.join(", ")),
        (None, None) => scope.cluster.clone().unwrap_or_default(),
    }
}

pub(in crate::report) fn when(report: &Report, finding: &Finding, clock: Clock) -> String {
    let end = |t: Timestamp| {
        let to_the_end = report.window.end.is_some_and(|last| last.secs() <= t.secs());
        if to_the_end {
            "the end".to_owned()
        } else {
            clock.time(t)
        }
    };
    match (finding.onset, finding.window.start, finding.window.end) {
        (Some(onset), _, Some(last)) => format!("from {} until {}", clock.time(onset), end(last)),
        (Some(onset), _, None) => format!("from {}", clock.time(onset)),
        (None, Some(first), Some(last)) if first.secs() == last.secs() => format!("at {}", clock.time(first)),
        (None, Some(first), Some(last)) => format!("first {}, last {}", clock.time(first), clock.time(last)),
        _ => String::new(),
    }
}

/// How much a finding hurt; `denied` counts as hurt only where anything was denied at all.
pub(in crate::report) fn impact(impact: &Impact, requests: &Requests) -> String {
    let (noun, verb) = match impact.unit {
        Unit::Requests if requests.denied > 0 => ("request", "failed or were denied"),
        Unit::Requests => ("request", "failed"),
        Unit::Connections => ("connection", "failed"),
        Unit::Packets => ("data packet", "sent again"),
        Unit::ZeroWindows => ("window of 0", "announced"),
        Unit::DnsQuestions => ("DNS question", "failed"),
    };
    let text = match (impact.requests, impact.failed) {
        (_, windows) if impact.unit == Unit::ZeroWindows => {
            format!("a window of 0 was announced {}", counted(windows, "time"))
        }
        (0, 0) => "no request of its own".to_owned(),
        (all, 0) if impact.added_latency_ms.is_some() => counted(all, noun),
        (0, failed) => format!("{} {verb}", counted(failed, noun)),
        (all, failed) => {
            format!(
                "{} of {} {verb} ({})",
                group(failed),
                counted(all, noun),
                share(failed, all)
            )
        }
    };
    match impact.added_latency_ms {
        Some(added) => format!(
            "{text}, {} ms slower",
            decimal(added, usize::from(added.abs() < 10.0))
        ),
        None => text,
    }
}

pub(in crate::report) fn totals(report: &Report) -> String {
    let requests = &report.requests;
    if requests.total == 0 && requests.tcp_connections == 0 {
        return match report.captures.streams.tcp {
            0 => "no request was read".to_owned(),
            tcp => format!(
                "{} captured: {} went wrong ({})",
                counted(tcp, "TCP connection"),
                group(report.captures.tcp.failed),
                share(report.captures.tcp.failed, tcp)
            ),
        };
    }
    let text = format!(
        "{}: {} failed ({}), {} denied, {} canceled by the caller",
        counted(requests.total, "request"),
        group(requests.failed),
        share(requests.failed, requests.total),
        group(requests.denied),
        group(requests.canceled)
    );
    match requests.tcp_connections {
        0 => text,
        connections => format!("{text}, {}", counted(connections, "TCP connection")),
    }
}
