//! One request or connection step by step: who called whom, in the order of time, with the rows and packets that show it.

use super::cite::citation;
use super::element::{Element, el};
use super::table::closed;
use super::{Context, rest};
use crate::follow::trace::{Event, EventKind, Participant, Trace};
use crate::report::model::{Ladder, Ref};
use crate::report::text::ladder::{data_run, not_listed, of_day, run_text};

/// Steps drawn of one ladder.
const STEPS: usize = 48;

/// Parties that have a lane of their own; what happens between others is told in words.
const LANES: usize = 8;

/// Width of a lane.
const LANE: f64 = 54.0;

/// Height of a step.
const STEP: f64 = 24.0;

/// The ladders of a finding, or those that belong to none.
pub(super) fn of(context: &Context<'_>, finding: Option<u64>) -> Element {
    let ladders = context.report.ladders.iter();
    let own = ladders.filter(|ladder| ladder.finding == finding);
    el("").children(own.map(|ladder| one(context, ladder)))
}

fn one(context: &Context<'_>, ladder: &Ladder) -> Element {
    let trace = &ladder.trace;
    let title = match (&trace.request_id, &trace.connection) {
        (Some(id), _) => format!("{}, step by step: request {id}", ladder.of),
        (None, Some(connection)) => format!("{}, step by step: connection {connection}", ladder.of),
        (None, None) => format!("{}, step by step", ladder.of),
    };
    let parties = trace.participants.iter().zip(1_u64..).map(|(party, number)| {
        el("li")
            .child(el("span").class("mark").text(number.to_string()))
            .text(" ")
            .text(named(party))
    });
    let all = steps_of(&trace.events);
    let chosen = chosen(&all, context.rows(STEPS));
    let shown = chosen.iter().filter(|is_chosen| **is_chosen).count();
    let rows = all
        .iter()
        .zip(&chosen)
        .filter(|(_, is_chosen)| **is_chosen)
        .map(|((event, run), _)| step(context, trace, event, run));
    let body = el("tbody").children(rows);
    let heads = ["time (UTC)", "where", "what"].map(|head| el("th").attr("scope", "col").text(head));
    let [time, place, what] = heads;
    let lanes = el("th").attr("scope", "col").child(lane_heads(trace));
    let table = el("table")
        .class("ladder")
        .attr("aria-label", &title)
        .child(el("thead").child(el("tr").child(time).child(lanes).child(what).child(place)))
        .child(body);
    let mut inside = el("")
        .child(el("ol").class("parties").children(parties))
        .child(
            el("div")
                .class("wide")
                .attr("tabindex", "0")
                .attr("role", "region")
                .attr("aria-label", "Steps")
                .child(table),
        )
        .child(rest(shown, all.len()));
    if let Some(note) = not_listed(trace) {
        inside = inside.child(el("p").class("note").text(note));
    }
    closed(&title, inside)
}

/// Events, those that show nothing but data one after the other as one step.
fn steps_of(events: &[Event]) -> Vec<(&Event, &[Event])> {
    let mut steps = Vec::new();
    let mut left = events;
    while let Some((event, after)) = left.split_first() {
        let run = data_run(event, after);
        left = after.get(run.len()..).unwrap_or_default();
        steps.push((event, run));
    }
    steps
}

/// Which steps are drawn, where not all are: what logs say first, then packets that say more than data, then those at both ends.
fn chosen(steps: &[(&Event, &[Event])], most: usize) -> Vec<bool> {
    let mut order: Vec<(u8, usize, usize)> = steps
        .iter()
        .enumerate()
        .map(|(at, (event, _))| {
            let weight = match (event.kind, event.data_bytes) {
                (EventKind::Packet, Some(_)) => 2,
                (EventKind::Packet, None) => 1,
                _ => 0,
            };
            (
                weight,
                at.min(steps.len().saturating_sub(at.saturating_add(1))),
                at,
            )
        })
        .collect();
    order.sort_unstable();
    let mut chosen = vec![false; steps.len()];
    for (.., at) in order.into_iter().take(most) {
        if let Some(is_chosen) = chosen.get_mut(at) {
            *is_chosen = true;
        }
    }
    chosen
}

fn named(party: &Participant) -> String {
    let mut text = party.name.clone();
    if party.kind == "proxy" {
        text.push_str(", proxy");
    }
    match &party.address {
        Some(address) if *address != party.name => format!("{text} ({address})"),
        _ => text,
    }
}

fn lanes_of(trace: &Trace) -> usize {
    trace.participants.len().clamp(1, LANES)
}

#[expect(clippy::cast_precision_loss, reason = "there are few lanes")]
fn middle(lane: usize) -> f64 {
    lane as f64 * LANE + LANE / 2.0
}

fn frame(lanes: usize) -> Element {
    el("svg")
        .class("lanes")
        .attr("viewBox", format!("0 0 {} {STEP}", middle(lanes) - LANE / 2.0))
        .attr("width", format!("{}", middle(lanes) - LANE / 2.0))
        .attr("height", format!("{STEP}"))
        .attr("role", "img")
}

fn lane_heads(trace: &Trace) -> Element {
    let lanes = lanes_of(trace);
    frame(lanes)
        .attr("aria-label", "Parties by number")
        .children((0..lanes).map(|lane| {
            el("text")
                .class("middle")
                .at([("x", middle(lane)), ("y", 16.0)])
                .text((lane + 1).to_string())
        }))
}

fn step(context: &Context<'_>, trace: &Trace, event: &Event, run: &[Event]) -> Element {
    let place = Ref {
        input: event.input,
        line: event.line,
        frame: event.frame,
        offset_bytes: None,
    };
    let text = if run.is_empty() {
        event.text.clone()
    } else {
        run_text(event, run)
    };
    let (class, mark) = match event.kind {
        EventKind::Request => ("asked", "request"),
        EventKind::Response => ("asked", "response"),
        EventKind::Line => ("line-of", "line"),
        EventKind::Packet => ("packet", "packet"),
    };
    el("tr")
        .child(el("th").attr("scope", "row").text(of_day(event)))
        .child(el("td").child(drawn(trace, event, class)))
        .child(
            el("td")
                .child(el("span").class("mark").text(mark))
                .text(" ")
                .text(text),
        )
        .child(el("td").child(citation(context, &place)))
}

/// The lanes, with an arrow from whom to whom it went, or a dot where it stayed.
fn drawn(trace: &Trace, event: &Event, class: &str) -> Element {
    let lanes = lanes_of(trace);
    let (from, to) = (event.from, event.to);
    let label = if from == to {
        format!("at {}", from + 1)
    } else {
        format!("from {} to {}", from + 1, to + 1)
    };
    let mut picture = frame(lanes)
        .attr("aria-label", label)
        .children((0..lanes).map(|lane| {
            el("line").class("axis").at([
                ("x1", middle(lane)),
                ("x2", middle(lane)),
                ("y1", 0.0),
                ("y2", STEP),
            ])
        }));
    if from >= lanes || to >= lanes {
        return picture;
    }
    let y = STEP / 2.0;
    if from == to {
        return picture.child(
            el("circle")
                .class(class)
                .at([("cx", middle(from)), ("cy", y), ("r", 4.0)]),
        );
    }
    let (start, end) = (middle(from), middle(to));
    let back = if end > start { -8.0 } else { 8.0 };
    picture = picture.child(el("line").class(format!("arrow {class}")).at([
        ("x1", start),
        ("x2", end + back),
        ("y1", y),
        ("y2", y),
    ]));
    let head = format!(
        "M{end} {y}L{} {}L{} {}Z",
        end + back,
        y - 4.0,
        end + back,
        y + 4.0
    );
    picture.child(el("path").class(class).path(&head))
}
