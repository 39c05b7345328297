//! The answer, understood in ten seconds, and the five steps that led to it.

use super::Context;
use super::cite::citations;
use super::element::{Element, el};
use super::inputs::missing;
use crate::report::model::{Finding, Report, Severity, State};
use crate::report::text::number::{decimal, group, share};
use crate::report::text::verdict::{impact, totals, when, whom};

/// Findings named of each step.
const LED: usize = 6;

/// The answer.
pub(super) fn verdict(context: &Context<'_>) -> Element {
    let report = context.report;
    let lead = match report.verdict.state {
        State::CauseFound | State::SymptomsOnly => report.findings.first(),
        State::Healthy | State::NotEnough => None,
    };
    let (class, mark) = badge(report.verdict.state, lead);
    let box_ = el("section")
        .attr("id", "verdict")
        .attr("aria-label", "Verdict")
        .class(format!("verdict {class}"))
        .child(
            el("h1")
                .child(el("span").class("badge").text(mark))
                .text(" ")
                .text(&report.verdict.headline),
        );
    match lead {
        Some(finding) => box_.child(facts(context, finding)),
        None => box_.child(el("p").text(totals(report))).child(figures(report)),
    }
}

fn facts(context: &Context<'_>, finding: &Finding) -> Element {
    let report = context.report;
    let label = if report.verdict.state == State::CauseFound {
        "Cause"
    } else {
        "Suspected"
    };
    let pairs = [
        ("Who", whom(&finding.scope)),
        ("When", when(report, finding, context.clock)),
        ("Impact", impact(&finding.impact, &report.requests)),
        ("Confidence", decimal(finding.confidence, 2)),
    ];
    let mut list = el("dl").class("facts");
    for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
        list = list.child(el("dt").text(name)).child(el("dd").text(value));
    }
    list = list.child(el("dt").text(label)).child(
        el("dd").child(el("code").text(&finding.cause)).text(", ").child(
            el("a")
                .attr("href", format!("#f{}", finding.rank))
                .text(format!("finding {}", finding.rank)),
        ),
    );
    let summary = if finding.summary == report.verdict.headline {
        el("")
    } else {
        el("p").text(&finding.summary)
    };
    let fix = finding.next.fix.first().map_or_else(
        || el(""),
        |fix| {
            el("p")
                .child(el("strong").text("What to do: "))
                .text(&fix.text)
                .text(format!(" ({})", fix.risk))
        },
    );
    el("")
        .child(list)
        .child(summary)
        .child(fix)
        .child(figures(report))
}

/// A few figures of everything that was read.
fn figures(report: &Report) -> Element {
    let requests = &report.requests;
    let tcp = &report.captures.tcp;
    let mut tiles: Vec<(String, &str)> = Vec::new();
    if requests.total > 0 {
        tiles.push((group(requests.total), "requests"));
        tiles.push((
            format!(
                "{} ({})",
                group(requests.failed),
                share(requests.failed, requests.total)
            ),
            "failed",
        ));
        for (count, name) in [
            (requests.denied, "denied"),
            (requests.canceled, "canceled by the caller"),
        ] {
            if count > 0 {
                tiles.push((group(count), name));
            }
        }
    }
    if requests.tcp_connections > 0 {
        tiles.push((group(requests.tcp_connections), "TCP rows"));
    }
    if report.captures.streams.tcp > 0 {
        tiles.push((group(report.captures.streams.tcp), "connections captured"));
        tiles.push((group(tcp.failed), "of them went wrong"));
    }
    if tiles.is_empty() {
        return el("");
    }
    el("ul")
        .class("tiles")
        .children(tiles.into_iter().map(|(value, name)| {
            el("li")
                .child(el("strong").text(value))
                .text(" ")
                .child(el("span").text(name))
        }))
}

/// How a state, and the finding that leads, are marked: a class and a word.
fn badge(state: State, finding: Option<&Finding>) -> (&'static str, &'static str) {
    match (state, finding.map(|finding| finding.severity)) {
        (State::CauseFound, Some(Severity::Warning)) => ("warning", "WARNING"),
        (State::CauseFound, Some(Severity::Info)) => ("info", "REMARK"),
        (State::CauseFound, _) => ("critical", "CRITICAL"),
        (State::Healthy, _) => ("healthy", "HEALTHY"),
        (State::SymptomsOnly, _) => ("warning", "SYMPTOMS"),
        (State::NotEnough, _) => ("warning", "NOT ENOUGH"),
    }
}

/// The five steps of the documented workflow, with what was found or is missing.
pub(super) fn steps(context: &Context<'_>) -> Element {
    let report = context.report;
    if report.steps.is_empty() {
        return el("");
    }
    let mut list = el("ol").class("steps");
    for step in &report.steps {
        let (class, mark) = match step.evidence.as_str() {
            "clean" => ("healthy", "clean"),
            "found" => ("warning", "found"),
            _ => ("none", "no data"),
        };
        let mut item = el("li")
            .child(el("span").class(format!("mark {class}")).text(mark))
            .text(" ")
            .child(el("strong").text(&step.step));
        let led: Vec<&Finding> = report
            .findings
            .iter()
            .filter(|finding| step.findings.contains(&finding.id))
            .collect();
        for finding in led.iter().take(LED) {
            item = item.text(" ").child(
                el("a")
                    .attr("href", format!("#f{}", finding.rank))
                    .text(format!("{}. {}", finding.rank, finding.title)),
            );
        }
        if led.len() > LED {
            item = item.text(format!(" and {} more", led.len() - LED));
        }
        let looked = step.looked_at.iter().map(|looked| {
            let cited = citations(context, &looked.refs, 0);
            el("li")
                .text(format!("{}: {} ", looked.of, looked.says))
                .child(cited)
        });
        let looked = el("ul").children(looked);
        if !looked.is_empty() {
            item = item.child(looked);
        }
        for what in &step.missing {
            item = item.child(missing(what));
        }
        list = list.child(item);
    }
    list
}
