//! Who called whom: a drawing for few, a table for any.

use super::element::{Element, el};
use super::table::{Set, Table, scrolling};
use super::timeline::cut;
use super::window::Windows;
use super::{Context, rest};
use crate::report::model::Topology;
use crate::report::text::number::{group, share, short};
use std::collections::BTreeMap;

/// Nodes above which a drawing shows nothing any more.
const MOST_NODES: usize = 50;
/// Rows of the table.
const LISTED: usize = 120;

const BOX_W: f64 = 190.0;
const BOX_H: f64 = 30.0;
const STEP_X: f64 = 330.0;
const STEP_Y: f64 = 58.0;

/// The section.
pub(super) fn topology(context: &Context<'_>) -> Element {
    let topology = &context.report.topology;
    if topology.edges.is_empty() {
        return el("");
    }
    let windows = Windows::of(context);
    let mut edges: Vec<_> = topology.edges.iter().enumerate().collect();
    edges.sort_by(|(_, a), (_, b)| {
        (b.failed, b.requests)
            .cmp(&(a.failed, a.requests))
            .then_with(|| (&a.source, &a.destination).cmp(&(&b.source, &b.destination)))
    });
    let mut table = Table::new(
        "Who called whom",
        [
            ("caller", Set::Left),
            ("called", Set::Left),
            ("requests", Set::Right),
            ("failed", Set::Right),
            ("share", Set::Right),
            ("p99 ms, good", Set::Right),
        ],
    );
    for (at, edge) in edges.iter().take(context.rows(LISTED)) {
        let mut row = el("tr").attr("id", row_of(*at));
        if let Some(windows) = &windows {
            let numbers = windows.numbers(windows.edge(*at), |moment, values| {
                values.extend([moment.requests, moment.failed]);
            });
            row = row.numbers("data-calls", &numbers);
        }
        let cells = [
            edge.source.clone(),
            edge.destination.clone(),
            group(edge.requests),
            group(edge.failed),
            share(edge.failed, edge.requests),
            edge.p99_ms.map_or("–".to_owned(), short),
        ];
        table.row_in(row, cells.map(|cell| el("").text(cell)), None);
    }
    let shown = table.len();
    let drawing = if topology.nodes.len() <= MOST_NODES {
        drawing(topology)
    } else {
        el("p").class("note").text(format!(
            "{} nodes: too many for a drawing, most failures first.",
            topology.nodes.len()
        ))
    };
    el("")
        .child(drawing)
        .child(table.finish())
        .child(rest(shown, edges.len()))
}

/// The row of the table with an edge's figures.
fn row_of(edge: usize) -> String {
    format!("calls-{edge}")
}

/// How many calls away from where nobody calls each node is; calls in a circle end the count.
fn layers(topology: &Topology) -> BTreeMap<&str, usize> {
    let mut layer: BTreeMap<&str, usize> = topology
        .nodes
        .iter()
        .map(|node| (node.name.as_str(), 0))
        .collect();
    for edge in &topology.edges {
        layer.entry(&edge.source).or_default();
        layer.entry(&edge.destination).or_default();
    }
    // As many rounds as a path can have calls; a circle would go on for ever.
    for _ in 0..layer.len().min(8) {
        let mut moved = false;
        for edge in &topology.edges {
            let from = layer.get(edge.source.as_str()).copied().unwrap_or(0);
            if let Some(to) = layer.get_mut(edge.destination.as_str())
                && edge.source != edge.destination
                && *to <= from
                && from < 6
            {
                *to = from + 1;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    layer
}

fn drawing(topology: &Topology) -> Element {
    let layers = layers(topology);
    let mut filled: BTreeMap<usize, usize> = BTreeMap::new();
    let mut places: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    #[expect(clippy::cast_precision_loss, reason = "places on a drawing")]
    let place = |column: usize, row: usize| (8.0 + column as f64 * STEP_X, 10.0 + row as f64 * STEP_Y);
    for (name, layer) in &layers {
        let row = filled.entry(*layer).or_default();
        places.insert(name, place(*layer, *row));
        *row += 1;
    }
    let columns = layers.values().max().map_or(1, |last| last + 1);
    let rows = filled.values().max().copied().unwrap_or(1);
    let (right, bottom) = place(columns - 1, rows - 1);
    let (width, height) = (right + BOX_W + 8.0, bottom + BOX_H + 12.0);
    let most = topology.edges.iter().map(|edge| edge.requests).max().unwrap_or(1);
    let mut lines = el("g");
    let mut labels = el("g");
    for (number, edge) in topology.edges.iter().enumerate() {
        let (Some(from), Some(to)) = (
            places.get(edge.source.as_str()),
            places.get(edge.destination.as_str()),
        ) else {
            continue;
        };
        let (x1, y1) = (from.0 + BOX_W, from.1 + BOX_H / 2.0);
        let (x2, y2) = (to.0, to.1 + BOX_H / 2.0);
        let bend = if x2 > x1 { (x2 - x1) / 2.0 } else { 60.0 };
        let bad = edge.failed > 0;
        let weight = super::timeline::shade(edge.requests, most);
        let says = format!(
            "{} → {}: {} requests, {} failed ({})",
            edge.source,
            edge.destination,
            group(edge.requests),
            group(edge.failed),
            share(edge.failed, edge.requests)
        );
        lines = lines.child(
            el("path")
                .class(format!("edge w{weight}{}", if bad { " failing" } else { "" }))
                .attr("data-row", row_of(number))
                .path(&format!(
                    "M{x1:.0} {y1:.0}C{:.0} {y1:.0} {:.0} {y2:.0} {x2:.0} {y2:.0}",
                    x1 + bend,
                    x2 - bend
                ))
                .child(el("title").text(says)),
        );
        if bad {
            labels = labels.child(
                el("text")
                    .class("scale middle failing")
                    .attr("data-row", row_of(number))
                    // On the curve, beyond its middle: edges of one caller have parted there.
                    .at([("x", x1 + (x2 - x1) * 0.576), ("y", y1 + (y2 - y1) * 0.648 - 5.0)])
                    .text(format!("{} failed", share(edge.failed, edge.requests))),
            );
        }
    }
    let boxes = el("g").children(places.iter().map(|(name, (x, y))| {
        el("g")
            .class("node")
            .child(
                el("rect")
                    .at([("x", *x), ("y", *y), ("width", BOX_W), ("height", BOX_H)])
                    .attr("rx", "4"),
            )
            .child(
                el("text")
                    .class("start")
                    .at([("x", x + 8.0), ("y", y + 19.0)])
                    .text(cut(&brief(name))),
            )
            .child(el("title").text(name))
    }));
    scrolling(
        "Who called whom, drawn",
        el("svg")
            .class("chart graph")
            .attr("viewBox", format!("0 0 {width} {height}"))
            .attr("width", format!("{width}"))
            .attr("role", "img")
            .attr(
                "aria-label",
                "Who called whom; the table below has the same figures",
            )
            .child(lines)
            .child(labels)
            .child(boxes),
    )
}

/// A service of the cluster without the cluster's domain.
fn brief(name: &str) -> String {
    name.replacen(".svc.cluster.local", "", 1)
}
