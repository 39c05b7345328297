//! What failed: counts, flags by destination, and the error texts that were known.

use super::cite::citation;
use super::element::{Element, el};
use super::table::{Set, Table, closed};
use super::timeline::{moment, shade};
use super::window::{Windows, whole_time};
use super::words::side;
use super::{Context, rest};
use crate::report::model::{Breakdown, Counts, Ref};
use crate::report::text::number::{decimal, group, share};
use crate::report::text::place;
use std::collections::BTreeMap;

/// Rows of tables.
const LISTED: usize = 60;
/// Columns of the matrix.
const FLAGS: usize = 16;
/// Names of each kind of count.
const COUNTS: usize = 16;
/// Examples of each signature.
const EXAMPLES: usize = 5;

/// Counts and the matrix.
pub(super) fn errors(context: &Context<'_>) -> Element {
    let requests = &context.report.requests;
    if requests.rows == 0 {
        return el("");
    }
    let kinds: [(&str, &Counts); 5] = [
        ("by code", &requests.by_code),
        ("by flag", &requests.by_flag),
        ("by detail", &requests.by_detail),
        ("by protocol", &requests.by_protocol),
        ("by class", &requests.by_class),
    ];
    let mut list = el("dl").class("pairs");
    for (name, counts) in kinds.into_iter().filter(|(_, counts)| !counts.is_empty()) {
        list = list
            .child(el("dt").text(name))
            .child(el("dd").child(tally(context, counts)));
    }
    let retries = &requests.retries;
    if retries.requests_followed > 0 {
        list = list.child(el("dt").text("retries")).child(el("dd").text(format!(
            "{} requests tried more than once; {} attempts per request; {} followed by their id{}",
            group(retries.requests_with_retry),
            decimal(retries.amplification, 2),
            group(retries.requests_followed),
            if retries.truncated { ", a sample" } else { "" }
        )));
    }
    el("")
        .child(el("p").class("note").text(format!(
            "Of {} access-log rows of all reporters, as they stand in the files; a row counts once under each of its flags.",
            group(requests.rows)
        )))
        .child(whole_time("These counts are"))
        .child(list)
        .child(matrix(context, "Flags by destination", &requests.by_destination, true))
        .child(closed(
            "Flags by route",
            el("").child(whole_time("These counts are")).child(matrix(
                context,
                "Flags by route",
                &requests.by_route,
                false,
            )),
        ))
        .child(closed(
            "Flags by source",
            el("").child(whole_time("These counts are")).child(matrix(
                context,
                "Flags by source",
                &requests.by_source,
                false,
            )),
        ))
}

fn sorted(counts: &Counts) -> Vec<(&str, u64)> {
    let mut sorted: Vec<(&str, u64)> = counts
        .iter()
        .map(|(name, count)| (name.as_str(), *count))
        .filter(|(_, count)| *count > 0)
        .collect();
    sorted.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    sorted
}

/// Names with their counts, the most frequent first.
pub(super) fn tally(context: &Context<'_>, counts: &Counts) -> Element {
    let sorted = sorted(counts);
    let shown = context.rows(COUNTS).min(sorted.len());
    let list = el("").children(sorted.iter().take(shown).map(|(name, count)| {
        el("span")
            .class("tally")
            .child(el("code").text(name))
            .text(" ")
            .text(group(*count))
            .text(" ")
    }));
    if sorted.len() > shown {
        list.child(
            el("span")
                .class("faint")
                .text(format!("… {} more", sorted.len() - shown)),
        )
    } else {
        list
    }
}

/// `timed`: of destinations, whose rows follow the chosen window.
fn matrix(context: &Context<'_>, title: &'static str, rows: &[Breakdown], timed: bool) -> Element {
    let windows = Windows::of(context).filter(|_| timed);
    let mut sums = Counts::new();
    for (flag, count) in rows.iter().flat_map(|row| &row.flags) {
        let sum = sums.entry(flag.clone()).or_default();
        *sum = sum.saturating_add(*count);
    }
    let flags: Vec<String> = sorted(&sums)
        .into_iter()
        .take(FLAGS)
        .map(|(flag, _)| flag.to_owned())
        .collect();
    let most = rows
        .iter()
        .flat_map(|row| row.flags.values())
        .max()
        .copied()
        .unwrap_or(0);
    let mut head = el("tr");
    for name in ["name", "seen by"] {
        head = head.child(el("th").attr("scope", "col").text(name));
    }
    for name in ["requests", "failed", "share", "denied", "canceled"] {
        head = head.child(el("th").attr("scope", "col").class("n").text(name));
    }
    for flag in &flags {
        head = head.child(el("th").attr("scope", "col").class("n").text(flag));
    }
    let shown = context.rows(LISTED).min(rows.len());
    let mut body = el("tbody");
    for row in rows.iter().take(shown) {
        let mut cells = el("tr");
        if let Some(windows) = &windows {
            let moments = windows.destination(&row.name, &row.reporter);
            let numbers = windows.numbers(moments, |moment, values| {
                values.extend([moment.requests, moment.failed, moment.denied, moment.canceled]);
                let of_flag = |flag| moment.flags.get(flag).copied().unwrap_or(0);
                values.extend(flags.iter().map(of_flag));
            });
            cells = cells.numbers("data-counts", &numbers);
        }
        cells = cells
            .child(el("th").attr("scope", "row").text(&row.name))
            .child(el("td").text(side(&row.reporter)));
        for value in [
            group(row.requests),
            group(row.failed),
            share(row.failed, row.requests),
            group(row.denied),
            group(row.canceled),
        ] {
            cells = cells.child(el("td").class("n").text(value));
        }
        for flag in &flags {
            let count = row.flags.get(flag).copied().unwrap_or(0);
            let text = if count == 0 { "·".to_owned() } else { group(count) };
            cells = cells.child(el("td").class(format!("n cell{}", shade(count, most))).text(text));
        }
        body = body.child(cells);
    }
    if body.is_empty() {
        return el("");
    }
    let table = super::table::scrolling(title, el("table").child(el("thead").child(head)).child(body));
    let heading = if timed { el("h3").text(title) } else { el("") };
    let cut = sums.len().saturating_sub(flags.len());
    let note = if cut > 0 {
        el("p")
            .class("note")
            .text(format!("{cut} rarer flags have no column."))
    } else {
        el("")
    };
    el("")
        .child(heading)
        .child(table)
        .child(note)
        .child(rest(shown, rows.len()))
}

/// Error texts of the catalogue that were met.
pub(super) fn signatures(context: &Context<'_>) -> Element {
    let signatures = &context.report.signatures;
    let mut table = Table::new(
        "Known error texts",
        [
            ("what", Set::Left),
            ("severity", Set::Left),
            ("points to", Set::Left),
            ("count", Set::Right),
            ("first", Set::Left),
            ("last", Set::Left),
            ("where", Set::Left),
        ],
    );
    for hits in signatures.iter().take(context.rows(LISTED)) {
        let time = |t: Option<crate::units::Timestamp>| {
            el("").text(t.map_or("–".to_owned(), |t| context.clock.time(t)))
        };
        let span = match (hits.first, hits.last) {
            (Some(first), Some(last)) => Some((moment(first).0, moment(last).1)),
            _ => None,
        };
        let places =
            el("div")
                .class("cites")
                .children(hits.examples.iter().take(context.rows(EXAMPLES)).map(|example| {
                    citation(
                        context,
                        &Ref {
                            input: example.input,
                            line: Some(example.line),
                            frame: None,
                            offset_bytes: None,
                        },
                    )
                }));
        table.row_of(
            [
                el("")
                    .text(&hits.title)
                    .text(" ")
                    .child(el("code").class("faint").text(&hits.id)),
                el("").text(&hits.severity),
                el("").text(hits.cause.as_deref().unwrap_or("–")),
                el("").text(group(hits.count)),
                time(hits.first),
                time(hits.last),
                el("").child(places).child(by_input(context, &hits.inputs)),
            ],
            span,
        );
    }
    let shown = table.len();
    if shown == 0 {
        return el("");
    }
    el("")
        .child(whole_time("Counts are"))
        .child(table.finish())
        .child(rest(shown, signatures.len()))
}

/// Counts by input, by the inputs' names.
fn by_input(context: &Context<'_>, counts: &Counts) -> Element {
    if counts.len() < 2 {
        return el("");
    }
    let inputs = &context.report.inputs;
    let names: BTreeMap<String, u64> = counts
        .iter()
        .map(|(id, count)| {
            let name = id
                .parse()
                .ok()
                .and_then(|id| place::input_of(inputs, crate::units::InputId(id)))
                .map_or_else(|| id.clone(), place::name_of);
            (name, *count)
        })
        .collect();
    el("details")
        .child(el("summary").text(format!("in {} inputs", counts.len())))
        .child(tally(context, &names))
}
