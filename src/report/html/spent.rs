//! Where the time went, how rows and connections joined, and examples as bars of one request each.

use super::cite::citation;
use super::element::{Element, el};
use super::latency::key;
use super::table::{Set, Table, closed, scrolling};
use super::window::{Windows, whole_time};
use super::{Context, rest};
use crate::report::model::{Correlation, Counts, Quantiles, Ref};
use crate::report::text::number::{counted, decimal, group};
use crate::report::text::place;
use std::collections::BTreeMap;

/// Destinations drawn.
const DESTINATIONS: usize = 12;
/// Examples drawn.
const EXAMPLES: usize = 12;
/// Clocks listed.
const CLOCKS: usize = 40;

/// A bar of a destination: its name and its figure.
type Line = (&'static str, fn(&Quantiles) -> f64);

/// Parts of the time in their order: name in the model, title, class of their colour.
const PARTS: [(&str, &str, &str); 9] = [
    ("retries", "retries", "part0"),
    ("connect", "connect", "part1"),
    ("tls", "TLS", "part2"),
    ("request_sent", "send", "part3"),
    ("network", "network", "part4"),
    ("application", "application", "part5"),
    ("waiting", "wait", "part6"),
    ("response_received", "receive", "part7"),
    ("proxy", "proxy", "part8"),
];

/// Whether a part is drawn. Waiting is network and application together: where both are known of the same requests
/// (`count` says of how many each part is), they stand in its place; where one is not, it stands for both.
fn drawn(part: &str, count: impl Fn(&str) -> u64) -> bool {
    let apart = count("network") == count("application") && count("application") == count("waiting");
    count(part) > 0
        && match part {
            "waiting" => !apart,
            "network" | "application" => apart,
            _ => true,
        }
}

/// The section.
pub(super) fn spent(context: &Context<'_>) -> Element {
    let correlation = &context.report.correlation;
    if correlation.by_destination.is_empty() && correlation.joinable_requests == 0 {
        return el("");
    }
    let shown = context.rows(DESTINATIONS).min(correlation.by_destination.len());
    let windows = Windows::of(context);
    let mut inside = el("");
    if shown > 0 {
        inside = inside
            .child(el("p").class("note").text(
                "Each part by its own quantile: the bars of a destination show which part matters; their sum is no request's.",
            ))
            .child(legend(correlation));
    }
    let mut table = Table::new("Parts of the time, in milliseconds", columns());
    for (at, destination) in correlation.by_destination.iter().enumerate().take(shown) {
        let of = |part: &str| destination.time_spent_ms.get(part);
        let count = |part: &str| of(part).map_or(0, |quantiles| quantiles.count);
        let quantiles: [Line; 3] = [("p50", |q| q.p50), ("p90", |q| q.p90), ("p99", |q| q.p99)];
        let mut bars = el("");
        let parts_at = |value: fn(&Quantiles) -> f64| -> Vec<(&str, &str, f64)> {
            PARTS
                .iter()
                .filter(|(part, ..)| drawn(part, count))
                .filter_map(|(part, title, class)| of(part).map(|q| (*title, *class, value(q))))
                .collect()
        };
        let longest = parts_at(|q| q.p99).iter().map(|(.., ms)| ms).sum::<f64>();
        for (number, (name, value)) in quantiles.iter().enumerate() {
            bars = bars.child(bar(number, name, &parts_at(*value), longest));
            let mut cells = vec![
                if number == 0 {
                    destination.name.clone()
                } else {
                    String::new()
                },
                (*name).to_owned(),
                if number == 0 {
                    group(destination.requests)
                } else {
                    String::new()
                },
            ];
            cells.extend(PARTS.iter().map(|(part, ..)| {
                of(part)
                    .filter(|quantiles| quantiles.count > 0)
                    .map_or("–".to_owned(), |quantiles| milliseconds(value(quantiles)))
            }));
            table.row(cells);
        }
        inside = inside
            .child(
                el("h3")
                    .text(&destination.name)
                    .text(" ")
                    .child(el("span").class("faint").text(format!(
                        "{}, told by {}",
                        counted(destination.requests, "request"),
                        list(&destination.from)
                    ))),
            )
            .child(scrolling(
                "Parts of the time",
                timed(windows.as_ref(), at, &parts_at(|_| 0.0))
                    .class("chart bars")
                    .attr("viewBox", "0 0 1000 66")
                    .attr("role", "img")
                    .attr(
                        "aria-label",
                        format!(
                            "Parts of the time of {}; the table has the same figures",
                            destination.name
                        ),
                    )
                    .child(bars),
            ));
    }
    inside
        .child(rest(shown, correlation.by_destination.len()))
        .child(closed(
            "Parts of the time as a table, ms",
            el("").child(whole_time("These times are")).child(table.finish()),
        ))
        .child(whole_time("What follows is"))
        .child(joined(context))
        .child(clocks(context))
        .child(examples(context))
}

/// A drawing with the sums of what it shows by column: of each part how many requests it is known of, and their time in
/// microseconds.
fn timed(windows: Option<&Windows<'_>>, at: usize, drawn: &[(&str, &str, f64)]) -> Element {
    let svg = el("svg");
    let Some(windows) = windows else { return svg };
    let parts: Vec<&(&str, &str, &str)> = PARTS
        .iter()
        .filter(|(_, title, _)| drawn.iter().any(|(shown, ..)| shown == title))
        .collect();
    let numbers = windows.numbers(windows.spent(at), |moment, values| {
        for (part, ..) in &parts {
            let (requests, sum_us) = moment.parts.get(part).copied().unwrap_or_default();
            values.extend([requests, sum_us]);
        }
    });
    let titles: Vec<&str> = parts.iter().map(|(_, title, _)| *title).collect();
    let classes: Vec<&str> = parts.iter().map(|(.., class)| *class).collect();
    svg.numbers("data-spent", &numbers)
        .attr("data-titles", titles.join(" "))
        .attr("data-classes", classes.join(" "))
}

fn columns() -> Vec<(&'static str, Set)> {
    let mut columns = vec![
        ("destination", Set::Left),
        ("", Set::Left),
        ("requests", Set::Right),
    ];
    columns.extend(PARTS.iter().map(|(_, title, _)| (*title, Set::Right)));
    columns
}

fn milliseconds(ms: f64) -> String {
    decimal(ms, if ms < 10.0 { 2 } else { usize::from(ms < 1000.0) })
}

fn list(counts: &Counts) -> String {
    let parts: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{} {}", name.replace('-', " "), group(*count)))
        .collect();
    parts.join(", ")
}

fn legend(correlation: &Correlation) -> Element {
    let used = PARTS.iter().filter(|(part, ..)| {
        correlation.by_destination.iter().any(|destination| {
            let of = |part: &str| destination.time_spent_ms.get(part);
            let count = |part: &str| of(part).map_or(0, |quantiles| quantiles.count);
            drawn(part, count)
        })
    });
    el("p")
        .class("legend")
        .children(used.map(|(_, title, class)| key(class, title)))
}

/// Parts one after the other, with what they sum to at the end.
fn bar(row: usize, name: &str, parts: &[(&str, &str, f64)], longest: f64) -> Element {
    const LEFT: f64 = 40.0;
    const ROOM: f64 = 830.0;
    #[expect(clippy::cast_precision_loss, reason = "a place on a drawing")]
    let y = row as f64 * 22.0 + 2.0;
    let mut bar = el("g").child(
        el("text")
            .class("scale")
            .at([("x", LEFT - 6.0), ("y", y + 13.0)])
            .text(name),
    );
    let mut x = LEFT;
    for (title, class, ms) in parts {
        let width = if longest > 0.0 {
            ms.max(0.0) / longest * ROOM
        } else {
            0.0
        };
        if width > 0.0 {
            bar = bar.child(
                el("rect")
                    .class(class)
                    .at([("x", x), ("y", y), ("width", width.max(1.0)), ("height", 18.0)])
                    .child(el("title").text(format!("{title} {} ms", milliseconds(*ms)))),
            );
        }
        x += width;
    }
    let sum: f64 = parts.iter().map(|(.., ms)| ms).sum();
    bar.child(
        el("text")
            .class("scale start")
            .at([("x", x + 6.0), ("y", y + 13.0)])
            .text(format!("{} ms", milliseconds(sum))),
    )
}

fn joined(context: &Context<'_>) -> Element {
    let correlation = &context.report.correlation;
    let pairs = &correlation.paired_proxies;
    let mut items = el("ul");
    if correlation.joinable_requests > 0 {
        let sample = if correlation.truncated {
            " (of a sample)"
        } else {
            ""
        };
        items = items.child(el("li").text(format!(
            "{} of {} rows whose connection was captured{sample} were joined to it: {}",
            group(correlation.joined_requests),
            group(correlation.joinable_requests),
            list(&correlation.told_by)
        )));
    }
    if correlation.joined_connections > 0 {
        items = items.child(el("li").text(format!(
            "{} of TCP connections were joined",
            counted(correlation.joined_connections, "row")
        )));
    }
    if pairs.of > 0 {
        items = items.child(el("li").text(format!(
            "{} of {} callers' rows found the called proxy's row",
            group(pairs.joined),
            group(pairs.of)
        )));
    }
    if !correlation.unjoined_because.is_empty() && correlation.joinable_requests > 0 {
        items = items.child(el("li").text(format!("not joined: {}", list(&correlation.unjoined_because))));
    }
    if items.is_empty() {
        return el("");
    }
    el("")
        .child(el("h3").text("Rows and connections joined"))
        .child(items)
}

fn clocks(context: &Context<'_>) -> Element {
    let clocks = &context.report.correlation.clock;
    let name = |id| {
        place::input_of(&context.report.inputs, id)
            .map(place::name_of)
            .unwrap_or_default()
    };
    let mut table = Table::new(
        "Clocks",
        [
            ("input", Set::Left),
            ("against", Set::Left),
            ("ahead by ms", Set::Right),
            ("±", Set::Right),
            ("at least", Set::Right),
            ("at most", Set::Right),
            ("anchors", Set::Right),
            ("surely differ", Set::Left),
        ],
    );
    let ms = |us: f64| decimal(us / 1000.0, 3);
    for clock in clocks.iter().take(context.rows(CLOCKS)) {
        let differ = clock.low_us > 0.0 || clock.high_us < 0.0;
        table.row([
            name(clock.input_b),
            name(clock.input_a),
            ms(clock.offset_us),
            ms(clock.spread_us),
            ms(clock.low_us),
            ms(clock.high_us),
            group(clock.anchors),
            if differ { "yes" } else { "no" }.to_owned(),
        ]);
    }
    let shown = table.len();
    closed(
        "How the clocks differ",
        el("").child(table.finish()).child(rest(shown, clocks.len())),
    )
}

/// One request each: what it went through, to scale.
fn examples(context: &Context<'_>) -> Element {
    let examples = &context.report.correlation.examples;
    if examples.is_empty() {
        return el("");
    }
    let shown = context.rows(EXAMPLES).min(examples.len());
    let items = examples.iter().take(shown).map(|example| {
        let frame = Ref {
            input: example.stream.input,
            line: None,
            frame: Some(example.stream.first_frame),
            offset_bytes: None,
        };
        el("li")
            .child(el("p").text(&example.story))
            .child(request(&example.time_spent_ms))
            .child(
                el("div")
                    .class("cites")
                    .child(citation(context, &example.request))
                    .child(citation(context, &frame))
                    .child(el("span").class("faint").text(format!(
                        "{} → {}, {}",
                        example.stream.client,
                        example.stream.server,
                        example.told_by.replace('-', " ")
                    ))),
            )
    });
    el("")
        .child(el("h3").text("Examples: rows and the connections that carried them"))
        .child(el("ol").class("examples").children(items))
        .child(rest(shown, examples.len()))
}

fn request(spent: &BTreeMap<String, f64>) -> Element {
    let count = |part: &str| u64::from(spent.contains_key(part));
    let parts: Vec<(&str, &str, f64)> = PARTS
        .iter()
        .filter(|(part, ..)| drawn(part, count))
        .filter_map(|(part, title, class)| spent.get(*part).map(|ms| (*title, *class, *ms)))
        .collect();
    let sum: f64 = parts.iter().map(|(.., ms)| ms.max(0.0)).sum();
    if sum <= 0.0 {
        return el("");
    }
    scrolling(
        "Parts of one request",
        el("svg")
            .class("chart bars")
            .attr("viewBox", "0 0 1000 24")
            .attr("role", "img")
            .attr(
                "aria-label",
                parts
                    .iter()
                    .map(|(title, _, ms)| format!("{title} {} ms", milliseconds(*ms)))
                    .collect::<Vec<_>>()
                    .join(", "),
            )
            .child(bar(0, "", &parts, sum)),
    )
}
