//! What was found: a card each, with evidence that opens, what was ruled out, what changed before, and what to do.

use super::Context;
use super::cite::{citations, command};
use super::element::{Element, el};
use super::inputs::missing;
use super::rest;
use super::table::closed;
use super::words::{kind, releases, severity};
use crate::report::model::{Evidence, Finding, Fix, Next, Role};
use crate::report::text::number::decimal;
use crate::report::text::verdict::{impact, when, whom};

/// Findings shown.
const FINDINGS: usize = 24;
/// Findings whose evidence is open at once.
const OPEN: u64 = 3;
/// Pieces of evidence, look-alikes and changes shown of each.
const PIECES: usize = 24;

/// All of them.
pub(super) fn findings(context: &Context<'_>) -> Element {
    let findings = &context.report.findings;
    let shown = context.rows(FINDINGS).min(findings.len());
    el("")
        .children(findings.iter().take(shown).map(|finding| card(context, finding)))
        .child(rest(shown, findings.len()))
}

fn card(context: &Context<'_>, finding: &Finding) -> Element {
    let word = severity(finding.severity);
    let role = match (&finding.role, &finding.consequence_of) {
        (Role::Consequence, Some(of)) => {
            let cause = context.report.findings.iter().find(|other| other.id == *of);
            match cause {
                Some(cause) => el("p")
                    .class("note")
                    .text("A consequence of ")
                    .child(
                        el("a")
                            .attr("href", format!("#f{}", cause.rank))
                            .text(format!("finding {}", cause.rank)),
                    )
                    .text("."),
                None => el("p").class("note").text("A consequence of another cause."),
            }
        }
        (Role::Consequence, None) => el("p").class("note").text("A consequence of another cause."),
        (Role::Cause, _) => el(""),
    };
    let mut facts = vec![
        whom(&finding.scope),
        when(context.report, finding, context.clock),
        impact(&finding.impact, &context.report.requests),
    ];
    facts.retain(|fact| !fact.is_empty());
    let details = el("")
        .child(evidence(context, finding))
        .child(super::ladder::of(context, Some(finding.rank)))
        .child(ruled_out(context, finding))
        .child(changed(context, finding))
        .child(next(&finding.next, finding.rank == 1))
        .child(match &finding.would_overturn {
            Some(what) => el("")
                .child(el("h4").text("What would settle or overturn it"))
                .child(missing(what)),
            None => el(""),
        });
    el("article")
        .attr("id", format!("f{}", finding.rank))
        .class(format!("finding {word}"))
        .child(
            el("h3")
                .child(el("span").class("badge").text(word.to_uppercase()))
                .text(format!(" {}. {}", finding.rank, finding.title)),
        )
        .child(el("p").class("faint").text(facts.join(" · ")))
        .child(confidence(finding))
        .child(role)
        .child(el("p").text(&finding.summary))
        .child(if finding.rank <= OPEN {
            details
        } else {
            closed("Evidence, what it is not, what to do", details)
        })
}

fn confidence(finding: &Finding) -> Element {
    let text = format!("confidence {}", decimal(finding.confidence, 2));
    el("p")
        .class("confidence")
        .child(
            el("svg")
                .class("meter")
                .attr("viewBox", "0 0 100 8")
                .attr("role", "img")
                .attr("aria-label", &text)
                .child(el("rect").class("track").at([("width", 100.0), ("height", 8.0)]))
                .child(el("rect").class("bar").at([
                    ("width", finding.confidence.clamp(0.0, 1.0) * 100.0),
                    ("height", 8.0),
                ])),
        )
        .text(" ")
        .text(text)
        .text(", cause ")
        .child(el("code").text(&finding.cause))
}

fn evidence(context: &Context<'_>, finding: &Finding) -> Element {
    if finding.evidence.is_empty() {
        return el("");
    }
    let shown = context.rows(PIECES).min(finding.evidence.len());
    let piece = |piece: &Evidence| {
        el("li")
            .child(el("span").class("mark").text(kind(piece.kind)))
            .text(" ")
            .text(&piece.text)
            .child(citations(context, &piece.refs, piece.count))
    };
    el("")
        .child(el("h4").text("Evidence"))
        .child(
            el("ul")
                .class("evidence")
                .children(finding.evidence.iter().take(shown).map(piece)),
        )
        .child(rest(shown, finding.evidence.len()))
}

fn ruled_out(context: &Context<'_>, finding: &Finding) -> Element {
    if finding.ruled_out.is_empty() {
        return el("");
    }
    let shown = context.rows(PIECES).min(finding.ruled_out.len());
    let mut list = el("dl").class("pairs");
    for out in finding.ruled_out.iter().take(shown) {
        list = list
            .child(el("dt").child(el("code").text(&out.cause)))
            .child(el("dd").text(&out.because));
    }
    el("")
        .child(el("h4").text("Not the cause"))
        .child(list)
        .child(rest(shown, finding.ruled_out.len()))
}

fn changed(context: &Context<'_>, finding: &Finding) -> Element {
    if finding.changed_before.is_empty() {
        return el("");
    }
    let shown = context.rows(PIECES).min(finding.changed_before.len());
    let items = finding.changed_before.iter().take(shown).map(|change| {
        el("li")
            .child(
                el("time")
                    .attr("datetime", change.at.to_string())
                    .text(context.clock.time(change.at)),
            )
            .text(" ")
            .child(el("span").class("mark").text(&change.kind))
            .text(" ")
            .text(&change.text)
            .child(citations(context, &change.refs, 0))
    });
    el("")
        .child(el("h4").text("What changed just before"))
        .child(el("ul").class("evidence").children(items))
        .child(rest(shown, finding.changed_before.len()))
        .child(el("p").class("note").text("Remarks in order of time, no proof."))
}

fn next(next: &Next, open: bool) -> Element {
    let mut inside = el("");
    if !next.check.is_empty() {
        inside = inside
            .child(el("h4").text("Check"))
            .children(next.check.iter().map(|check| command(check)));
    }
    if !next.fix.is_empty() {
        inside = inside
            .child(el("h4").text("Fix"))
            .children(next.fix.iter().map(fix));
    }
    if let Some(filter) = &next.filters.wireshark {
        inside = inside
            .child(el("h4").text("Wireshark display filter"))
            .child(command(filter));
    }
    if !next.notes.is_empty() {
        inside = inside
            .child(el("h4").text("Remarks"))
            .child(el("ul").children(next.notes.iter().map(|note| el("li").text(note))));
    }
    if !next.documented_in.is_empty() {
        inside = inside
            .child(el("h4").text("Documented in"))
            .child(el("ul").children(next.documented_in.iter().map(|place| el("li").text(place))));
    }
    let what_now = closed("What to do", inside);
    if open && !what_now.is_empty() {
        what_now.attr("open", "")
    } else {
        what_now
    }
}

fn fix(fix: &Fix) -> Element {
    let class = if fix.risk == "safe" { "healthy" } else { "warning" };
    let mut text = el("p")
        .child(el("span").class(format!("mark {class}")).text(&fix.risk))
        .text(" ")
        .text(&fix.text);
    if let Some(releases) = releases(fix) {
        text = text.text(format!(" ({releases})"));
    }
    el("")
        .child(text)
        .children(fix.command.iter().map(|text| command(text)))
        .children(fix.yaml.iter().map(|text| command(text)))
}
