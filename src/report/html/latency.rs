//! How slow: percentiles, histograms and curves of each destination, good requests apart from failed ones.

use super::cite::citation;
use super::element::{Element, el};
use super::table::{Set, Table, closed};
use super::timeline::{moment, shade};
use super::window::{Windows, doubling};
use super::words::side;
use super::{Context, rest};
use crate::report::model::{Latency, Report, WindowMoment};
use crate::report::text::number::{group, ratio, share, short};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Destinations that are drawn.
const DRAWN: usize = 8;
/// Rows of tables.
const LISTED: usize = 80;

/// Good and failed requests of one destination as one side saw them.
#[derive(Clone, Copy, Debug, Default)]
struct Pair<'r> {
    ok: Option<&'r Latency>,
    failed: Option<&'r Latency>,
}

impl Pair<'_> {
    fn count(&self) -> u64 {
        let of = |latency: Option<&Latency>| latency.map_or(0, |latency| latency.count);
        of(self.ok).saturating_add(of(self.failed))
    }
}

/// By destination and reporter, most requests first.
fn pairs(report: &Report) -> Vec<((&str, &str), Pair<'_>)> {
    let mut pairs: BTreeMap<(&str, &str), Pair<'_>> = BTreeMap::new();
    for latency in &report.latency {
        if latency.scope.kind != "destination" || latency.metric != "duration" {
            continue;
        }
        let pair = pairs
            .entry((latency.scope.name.as_str(), latency.reporter.as_str()))
            .or_default();
        match latency.outcome.as_str() {
            "ok" => pair.ok = Some(latency),
            "failed" => pair.failed = Some(latency),
            _ => {}
        }
    }
    let mut pairs: Vec<_> = pairs.into_iter().collect();
    pairs.sort_by(|a, b| b.1.count().cmp(&a.1.count()).then(a.0.cmp(&b.0)));
    pairs
}

/// The section.
pub(super) fn latency(context: &Context<'_>) -> Element {
    let report = context.report;
    let pairs = pairs(report);
    if pairs.is_empty() && report.slowest.is_empty() {
        return el("");
    }
    // A destination is drawn once: as its callers saw it, or as it saw itself where no caller's log was read.
    let mut drawn: Vec<&((&str, &str), Pair<'_>)> = Vec::new();
    for pair in &pairs {
        let by_caller = |other: &((&str, &str), Pair<'_>)| other.0 == (pair.0.0, "source");
        if pair.0.1 == "source" || !pairs.iter().any(by_caller) {
            drawn.push(pair);
        }
    }
    let all = drawn.len();
    drawn.truncate(context.rows(DRAWN));
    let windows = Windows::of(context);
    let cards = el("div")
        .class("cards")
        .children(drawn.iter().map(|((name, reporter), pair)| {
            el("figure")
                .attr("data-ok", row_id(&pairs, (name, reporter), "ok"))
                .attr("data-bad", row_id(&pairs, (name, reporter), "failed"))
                .child(
                    el("figcaption")
                        .child(el("strong").text(name))
                        .text(format!(", seen by {}", side(reporter))),
                )
                .child(histogram(name, pair))
                .child(curve(name, pair))
                .child(windows.as_ref().map_or_else(
                    || el(""),
                    |windows| heat(context, windows, name, windows.destination(name, reporter)),
                ))
        }));
    el("")
        .child(el("p").class("note").child(key("good", "good")).text(" ").child(key("bad", "failed")).text(
            "Milliseconds. First: share of the requests of that outcome by duration, each bar up to the value below it, beside the highest. \
             Second: duration by percentile, log scale. Below: good requests over time by duration, darker is more.",
        ))
        .child(if drawn.is_empty() { el("") } else { cards })
        .child(rest(drawn.len(), all))
        .child(percentiles(context, &pairs, windows.as_ref()))
        .child(slowest(context))
        .child(super::ladder::of(context, None))
}

/// A colour and its name.
pub(super) fn key(class: &str, name: &str) -> Element {
    el("span")
        .class("key")
        .child(
            el("svg")
                .attr("viewBox", "0 0 10 10")
                .attr("aria-hidden", "true")
                .child(el("rect").class(class).at([("width", 10.0), ("height", 10.0)])),
        )
        .text(" ")
        .text(name)
}

fn text(x: f64, y: f64, class: &'static str, text: &str) -> Element {
    el("text").class(class).at([("x", x), ("y", y)]).text(text)
}

fn histogram(name: &str, pair: &Pair<'_>) -> Element {
    const W: f64 = 300.0;
    const H: f64 = 130.0;
    const BASE: f64 = 108.0;
    const ROOM: f64 = 92.0;
    let mut bounds: Vec<f64> = [pair.ok, pair.failed]
        .into_iter()
        .flatten()
        .flat_map(|latency| latency.histogram.iter().map(|bucket| bucket.le))
        .filter(|le| le.is_finite())
        .collect();
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    bounds.truncate(64);
    if bounds.is_empty() {
        return el("");
    }
    let of = |latency: Option<&Latency>, le: f64| {
        latency
            .and_then(|latency| {
                latency
                    .histogram
                    .iter()
                    .find(|bucket| bucket.le.total_cmp(&le).is_eq())
            })
            .map_or(0, |bucket| bucket.count)
    };
    let whole = |latency: Option<&Latency>| latency.map_or(0, |latency| latency.count);
    #[expect(clippy::cast_precision_loss, reason = "places on a drawing")]
    let step = W / bounds.len() as f64;
    let peak = [pair.ok, pair.failed]
        .into_iter()
        .flatten()
        .flat_map(|latency| {
            latency
                .histogram
                .iter()
                .map(|bucket| ratio(bucket.count, latency.count))
        })
        .fold(0.0, f64::max)
        .max(f64::MIN_POSITIVE);
    let both = whole(pair.ok) > 0 && whole(pair.failed) > 0;
    let bar = if both { step / 2.0 } else { step };
    let mut svg = chart(W, H, &format!("Histogram of {name}"));
    for (number, le) in bounds.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "places on a drawing")]
        let x = number as f64 * step;
        for (place, class, latency) in [(0.0, "good", pair.ok), (1.0, "bad", pair.failed)] {
            let count = of(latency, *le);
            if count == 0 {
                continue;
            }
            let tall = (ratio(count, whole(latency)) / peak * ROOM).max(1.5);
            svg = svg.child(
                el("rect")
                    .class(class)
                    .attr("data-doubling", doubling(*le).to_string())
                    .at([
                        ("x", x + 1.0 + if both { place * bar } else { 0.0 }),
                        ("y", BASE - tall),
                        ("width", (bar - 2.0).max(0.5)),
                        ("height", tall),
                    ])
                    .child(el("title").text(format!(
                        "up to {} ms: {} {} ({})",
                        short(*le),
                        group(count),
                        if class == "good" { "good" } else { "failed" },
                        share(count, whole(latency))
                    ))),
            );
        }
        // Every label where there is room, else every other one.
        let every = bounds.len().div_ceil(8);
        if (bounds.len() - 1 - number).is_multiple_of(every) {
            svg = svg.child(text(x + step / 2.0, BASE + 14.0, "scale middle", &compact(*le)));
        }
    }
    svg.child(
        el("line")
            .class("axis")
            .at([("x1", 0.0), ("x2", W), ("y1", BASE), ("y2", BASE)]),
    )
}

/// `512`, `1k`, `64k`: room is scarce under a bar.
fn compact(value: f64) -> String {
    if value >= 1000.0 {
        format!("{}k", (value / 1000.0).round())
    } else {
        short(value)
    }
}

fn chart(width: f64, height: f64, label: &str) -> Element {
    el("svg")
        .class("small")
        .attr("viewBox", format!("0 0 {width} {height}"))
        .attr("role", "img")
        .attr("aria-label", label)
}

/// Percentiles and how far right they stand: the number of nines.
fn points(latency: &Latency) -> [(f64, f64, &'static str); 6] {
    [
        (0.301, latency.p50, "p50"),
        (0.602, latency.p75, "p75"),
        (1.0, latency.p90, "p90"),
        (1.301, latency.p95, "p95"),
        (2.0, latency.p99, "p99"),
        (3.0, latency.p999, "p99.9"),
    ]
}

fn curve(name: &str, pair: &Pair<'_>) -> Element {
    const W: f64 = 300.0;
    const H: f64 = 130.0;
    const BASE: f64 = 108.0;
    const LEFT: f64 = 38.0;
    let greatest = [pair.ok, pair.failed]
        .into_iter()
        .flatten()
        .map(|latency| latency.p999)
        .fold(1.0, f64::max);
    let x = |nines: f64| LEFT + nines / 3.25 * (W - LEFT);
    let y = |ms: f64| BASE - (1.0 + ms.max(0.0)).ln() / (1.0 + greatest).ln() * 92.0;
    let mut svg = chart(W, H, &format!("Percentiles of {name}"))
        .attr("data-top", greatest.to_string())
        .child(
            el("line")
                .class("axis")
                .at([("x1", LEFT), ("x2", W), ("y1", BASE), ("y2", BASE)]),
        )
        .child(text(LEFT - 4.0, y(greatest) + 4.0, "scale", &compact(greatest)))
        .child(text(LEFT - 4.0, BASE, "scale", "0"));
    for (nines, label) in [(0.301, "p50"), (1.0, "p90"), (2.0, "p99"), (3.0, "p99.9")] {
        svg = svg
            .child(el("line").class("grid").at([
                ("x1", x(nines)),
                ("x2", x(nines)),
                ("y1", 10.0),
                ("y2", BASE),
            ]))
            .child(text(x(nines), BASE + 14.0, "scale middle", label));
    }
    for (class, dot, latency) in [("line ok", "good", pair.ok), ("line failed", "bad", pair.failed)] {
        let Some(latency) = latency.filter(|latency| latency.count > 0) else {
            continue;
        };
        let path: Vec<String> = points(latency)
            .iter()
            .map(|(nines, ms, _)| format!("{:.1} {:.1}", x(*nines), y(*ms)))
            .collect();
        svg = svg.child(el("path").class(class).path(&format!("M{}", path.join("L"))));
        for (nines, ms, label) in points(latency) {
            svg = svg.child(
                el("circle")
                    .class(dot)
                    .at([("cx", x(nines)), ("cy", y(ms)), ("r", 3.0)])
                    .child(el("title").text(format!("{} {label}: {} ms", latency.outcome, short(ms)))),
            );
        }
    }
    svg
}

/// A percentile; marked where fewer than ten requests lie beyond it.
fn sure(value: f64, count: u64, beyond: f64) -> String {
    if ratio(count, 1) * beyond < 10.0 {
        format!("~{}", short(value))
    } else {
        short(value)
    }
}

/// The row of the table with the figures of a destination, as one side saw it, of one outcome; also where it was cut off.
fn row_id(pairs: &[((&str, &str), Pair<'_>)], of: (&str, &str), outcome: &str) -> String {
    let at = pairs
        .iter()
        .position(|(key, _)| *key == of)
        .unwrap_or(pairs.len());
    format!("spread-{at}-{outcome}")
}

/// Columns of a heat map.
const HEAT_COLUMNS: usize = 80;

/// Good requests over time by duration, darker where there were more.
fn heat(context: &Context<'_>, windows: &Windows<'_>, name: &str, moments: &[WindowMoment]) -> Element {
    const W: f64 = 620.0;
    const LEFT: f64 = 38.0;
    const ROW: f64 = 9.0;
    let per_cell = windows.columns().div_ceil(HEAT_COLUMNS).max(1);
    let columns = windows.columns().div_ceil(per_cell);
    let mut counts: BTreeMap<(usize, usize), u64> = BTreeMap::new();
    for moment in moments {
        let Some(column) = windows.column(moment) else {
            continue;
        };
        for bucket in &moment.ok {
            *counts
                .entry((doubling(bucket.le), column / per_cell))
                .or_default() += bucket.count;
        }
    }
    let most = counts.values().max().copied().unwrap_or(0);
    let rows = counts.keys().map(|(doubling, _)| *doubling);
    let (Some(least), Some(greatest)) = (rows.clone().min(), rows.max()) else {
        return el("");
    };
    #[expect(clippy::cast_precision_loss, reason = "places on a drawing")]
    let float = |n: usize| n as f64;
    let step = (W - LEFT) / float(columns.max(1));
    let bottom = float(greatest - least + 1) * ROW;
    // One path for each shade, which is a fifth of as many rectangles.
    let mut shades: BTreeMap<u32, String> = BTreeMap::new();
    for ((doubling, column), count) in &counts {
        let (x, y) = (LEFT + float(*column) * step, float(greatest - doubling) * ROW);
        let path = shades.entry(shade(*count, most)).or_default();
        // Writing to a String cannot fail.
        let _ = write!(path, "M{x:.1} {y:.0}h{step:.1}v8h-{step:.1}z");
    }
    let mut svg = el("svg")
        .class("strip")
        .attr("viewBox", format!("0 0 {W} {}", bottom + 14.0))
        .attr("role", "img")
        .attr(
            "aria-label",
            format!(
                "Good requests of {name} over time by duration, most {}",
                group(most)
            ),
        )
        .attr("data-left", LEFT.to_string())
        .attr("data-right", W.to_string())
        .attr("data-bottom", bottom.to_string());
    for (row, doubling) in (least..=greatest).rev().enumerate() {
        // Every other label: a row is lower than two of them.
        if row.is_multiple_of(2) {
            let ms = doubling
                .checked_sub(1)
                .map_or(0.0, |log2| float(1 << log2.min(40)));
            svg = svg.child(text(LEFT - 4.0, float(row) * ROW + 8.0, "scale", &compact(ms)));
        }
    }
    let ends = [(LEFT, "scale start", 0), (W, "scale", windows.columns())];
    for (shade, path) in &shades {
        svg = svg.child(el("path").class(format!("heat{shade}")).path(path));
    }
    for (x, class, column) in ends {
        svg = svg.child(text(
            x,
            bottom + 11.0,
            class,
            &context.clock.time(windows.time(column)),
        ));
    }
    svg
}

fn percentiles(
    context: &Context<'_>,
    pairs: &[((&str, &str), Pair<'_>)],
    windows: Option<&Windows<'_>>,
) -> Element {
    let mut table = Table::new(
        "Percentiles by destination, in milliseconds",
        [
            ("destination", Set::Left),
            ("seen by", Set::Left),
            ("outcome", Set::Left),
            ("count", Set::Right),
            ("min", Set::Right),
            ("p50", Set::Right),
            ("p90", Set::Right),
            ("p95", Set::Right),
            ("p99", Set::Right),
            ("p99.9", Set::Right),
            ("max", Set::Right),
        ],
    );
    let all = pairs
        .iter()
        .flat_map(|(key, pair)| [pair.ok, pair.failed].map(|latency| (key, latency)))
        .filter_map(|(key, latency)| latency.map(|latency| (key, latency)))
        .filter(|(_, latency)| latency.count > 0);
    let mut resolution: f64 = 0.0;
    let total = all.clone().count();
    for ((name, reporter), latency) in all.take(context.rows(LISTED)) {
        resolution = resolution.max(latency.resolution_ms);
        let n = latency.count;
        let cells = [
            (*name).to_owned(),
            side(reporter).to_owned(),
            if latency.outcome == "ok" {
                "good".to_owned()
            } else {
                latency.outcome.clone()
            },
            group(n),
            short(latency.min),
            sure(latency.p50, n, 0.5),
            sure(latency.p90, n, 0.1),
            sure(latency.p95, n, 0.05),
            sure(latency.p99, n, 0.01),
            sure(latency.p999, n, 0.001),
            short(latency.max),
        ];
        let mut row = el("tr").attr("id", row_id(pairs, (name, reporter), &latency.outcome));
        if let Some(windows) = windows {
            let moments = windows.destination(name, reporter);
            let spread = match latency.outcome.as_str() {
                "ok" => windows.spread(moments, |moment| &moment.ok),
                _ => windows.spread(moments, |moment| &moment.failed_durations),
            };
            row = row.numbers("data-spread", &spread);
        }
        table.row_in(row, cells.map(|cell| el("").text(cell)), None);
    }
    let shown = table.len();
    if shown == 0 {
        return el("");
    }
    el("")
        .child(el("h3").text("Percentiles, ms"))
        .child(table.finish())
        .child(rest(shown, total))
        .child(el("p").class("note").text(format!(
            "~ fewer than ten requests lie beyond it. Resolution of the logs: {} ms; of a chosen window: the next power of two.",
            short(resolution)
        )))
}

fn slowest(context: &Context<'_>) -> Element {
    let slowest = &context.report.slowest;
    let mut table = Table::new(
        "Slowest requests",
        [
            ("began", Set::Left),
            ("ms", Set::Right),
            ("upstream ms", Set::Right),
            ("request", Set::Left),
            ("status", Set::Right),
            ("flags", Set::Left),
            ("destination", Set::Left),
            ("seen by", Set::Left),
            ("row", Set::Left),
        ],
    );
    for slow in slowest.iter().take(context.rows(LISTED)) {
        table.row_of(
            [
                el("").text(
                    slow.start
                        .map_or("–".to_owned(), |start| context.clock.time(start)),
                ),
                el("").text(group(slow.duration_ms)),
                el("").text(slow.upstream_ms.map_or("–".to_owned(), group)),
                el("code").text(&slow.request),
                el("").text(slow.code.to_string()),
                el("").text(&slow.flags),
                el("").text(&slow.destination),
                el("").text(side(&slow.reporter)),
                citation(context, &slow.place),
            ],
            slow.start.map(moment),
        );
    }
    let shown = table.len();
    closed(
        "Slowest requests",
        el("").child(table.finish()).child(rest(shown, slowest.len())),
    )
}
