//! What was read, in which state, and what would have helped.

use super::cite::command;
use super::element::{Element, el};
use super::table::{Set, Table, closed};
use super::{Context, rest};
use crate::report::model::{Input, Missing, Report};
use crate::report::text::inputs::{FORMATS, PSEUDONYMS_TEXT, format_text, masked_text};
use crate::report::text::number::{bytes, counted, group, per_cent, short, span};
use crate::report::text::place::name_of;

/// Inputs listed.
const LISTED: usize = 200;
/// Problems and samples of each.
const EACH: usize = 8;
/// Limits listed.
const LIMITS: usize = 60;
/// Inputs whose lines that were not understood are shown.
const SAMPLED: usize = 24;

/// Something that was not there.
pub(super) fn missing(missing: &Missing) -> Element {
    el("div")
        .class("missing")
        .child(
            el("p")
                .child(el("span").class("mark none").text("missing"))
                .text(" ")
                .text(&missing.what)
                .text(": ")
                .text(&missing.why_it_matters),
        )
        .child(if missing.command.is_empty() {
            el("")
        } else {
            command(&missing.command)
        })
}

/// The section.
pub(super) fn inputs(context: &Context<'_>) -> Element {
    let report = context.report;
    let mut table = Table::new(
        "Inputs",
        [
            ("input", Set::Left),
            ("kind", Set::Left),
            ("format", Set::Left),
            ("pod", Set::Left),
            ("size", Set::Right),
            ("records", Set::Right),
            ("not understood", Set::Right),
            ("first", Set::Left),
            ("last", Set::Left),
            ("times", Set::Left),
            ("state", Set::Left),
        ],
    );
    for input in report.inputs.iter().take(context.rows(LISTED)) {
        table.row_of(row(context, input), None);
    }
    let shown = table.len();
    let mut inside = el("")
        .child(table.finish())
        .child(rest(shown, report.inputs.len()))
        .children(report.access_log_formats.iter().take(FORMATS).map(|format| {
            let text = format_text(&report.inputs, format);
            el("p").class("note").text(format!("custom, {text}"))
        }))
        .child(rejected(context));
    if !report.missing.is_empty() {
        inside = inside
            .child(el("h3").text("What would have helped"))
            .children(report.missing.iter().map(missing));
    }
    inside.child(limits(context)).child(masked(context))
}

fn row(context: &Context<'_>, input: &Input) -> Vec<Element> {
    let texts = |text: String| el("").text(text);
    let time = |t: Option<crate::units::Timestamp>| t.map_or("–".to_owned(), |t| context.clock.time(t));
    let mut format = input.format.clone().unwrap_or_else(|| "–".to_owned());
    if let Some(share) = input.format_confidence.filter(|share| *share < 1.0) {
        format = format!("{format} ({})", per_cent(share));
    }
    let mut around = input.wrapper.clone();
    if input.compression != "none" {
        around.push(input.compression.clone());
    }
    if !around.is_empty() {
        format = format!("{format} in {}", around.join(", "));
    }
    let pod: Vec<&str> = [&input.namespace, &input.pod]
        .into_iter()
        .filter_map(Option::as_deref)
        .collect();
    let resolution = match input.time.resolution_us {
        0 => "ns".to_owned(),
        us if us.is_multiple_of(1000) => span(us / 1000),
        us => format!("{} µs", group(us)),
    };
    let state = if !input.opened {
        el("span").class("mark warning").text("not opened")
    } else if input.problems.is_empty() {
        el("").text("whole")
    } else {
        el("span").class("mark warning").text("in part")
    };
    let problems = el("ul").children(input.problems.iter().take(EACH).map(|problem| {
        let place = match (problem.line, problem.frame) {
            (Some(line), _) => format!("line {}", group(line)),
            (_, Some(frame)) => format!("frame {}", group(frame)),
            _ => format!("byte {}", group(problem.offset_bytes)),
        };
        el("li").text(format!("{place}: {}", problem.what))
    }));
    let state = if problems.is_empty() {
        state
    } else {
        el("").child(state).child(problems)
    };
    vec![
        texts(name_of(input)),
        texts(input.kind.clone()),
        texts(format),
        texts(pod.join("/")),
        texts(bytes(input.bytes)),
        texts(group(input.records)),
        texts(group(input.rejected)),
        texts(time(input.start)),
        texts(time(input.end)),
        texts(format!(
            "{} {}, {resolution}, {}",
            input.time.zone, input.time.source, input.time.order
        )),
        state,
    ]
}

fn rejected(context: &Context<'_>) -> Element {
    let samples = context
        .report
        .inputs
        .iter()
        .filter(|input| !input.rejected_samples.is_empty())
        .take(context.rows(SAMPLED))
        .flat_map(|input| {
            input.rejected_samples.iter().take(EACH).map(move |sample| {
                el("li")
                    .child(el("code").text(format!("{}:{}", name_of(input), sample.line)))
                    .text(format!(" {}", sample.why))
                    .child(el("pre").text(&sample.text))
            })
        });
    let list = el("ul").children(samples);
    closed(
        "Lines that were not understood",
        if list.is_empty() { el("") } else { list },
    )
}

fn masked(context: &Context<'_>) -> Element {
    let masked = masked_values(context);
    if context.report.privacy.pseudonyms {
        el("")
            .child(masked)
            .child(el("p").class("note").text(PSEUDONYMS_TEXT))
    } else {
        masked
    }
}

fn masked_values(context: &Context<'_>) -> Element {
    match context.report.privacy.secrets_masked {
        0 => el(""),
        count => el("p").class("note").text(masked_text(count)),
    }
}

fn limits(context: &Context<'_>) -> Element {
    let limits = &context.report.limits;
    let mut table = Table::new(
        "Limits that were reached",
        [
            ("table", Set::Left),
            ("limit", Set::Right),
            ("kept", Set::Right),
            ("left out", Set::Right),
            ("what that means", Set::Left),
        ],
    );
    for limit in limits.iter().take(context.rows(LIMITS)) {
        table.row([
            limit.table.clone(),
            group(limit.limit),
            group(limit.kept),
            group(limit.left_out),
            limit.what.clone(),
        ]);
    }
    let shown = table.len();
    if shown == 0 {
        return el("p")
            .class("note")
            .text("No limit was reached: every count is of all that was read.");
    }
    el("")
        .child(el("h3").text("Limits that were reached"))
        .child(table.finish())
        .child(rest(shown, limits.len()))
}

/// Facts of the run, where they are part of the report.
pub(super) fn run(report: &Report) -> Option<String> {
    report.run.as_ref().map(|run| {
        #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
        let rate = run.bytes_per_s as f64 / 1e6;
        format!(
            "Read with {} in {}, {} MB/s, {} of memory at most.",
            counted(run.threads, "thread"),
            span(run.elapsed_ms),
            short(rate),
            bytes(run.peak_memory_bytes)
        )
    })
}
