//! Since when: requests, failures, latency, and what connections did, over time, with the onset of each finding.

use super::cite::citations;
use super::element::{Element, el};
use super::table::{Set, Table, closed, scrolling};
use super::{Context, rest};
use crate::report::model::{Counts, TimeBucket, Timeline};
use crate::report::text::number::{counted, decimal, group, short, span};
use crate::units::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Columns of the drawing; finer buckets are added up.
const COLUMNS: i64 = 320;
/// Rows of each heat map.
const HEAT_ROWS: usize = 8;
/// Findings whose onset is marked.
const ONSETS: usize = 8;
/// Rows of the lists below.
const LISTED: usize = 60;

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 210.0;
const RIGHT: f64 = 12.0;
const PANEL: f64 = 54.0;
const GAP: f64 = 14.0;
const HEAT: f64 = 15.0;
const LATENCY_HEAT: f64 = 12.0;
const TOP: f64 = 26.0;

/// Characters of a label.
const LABEL_CHARS: usize = 30;

/// Buckets side by side.
#[derive(Clone, Debug, Default)]
struct Column {
    requests: u64,
    failed: u64,
    denied: u64,
    canceled: u64,
    tcp_connections: u64,
    failed_tcp_connections: u64,
    p50: Option<f64>,
    p99: Option<f64>,
    connections: u64,
    failed_connections: u64,
    resets: u64,
    retransmissions: u64,
    flags: Counts,
    signatures: Counts,
    /// Good requests by the bound of their duration, in milliseconds.
    latency: BTreeMap<u64, u64>,
}

impl Column {
    /// Of several buckets the worst latency is kept: percentiles cannot be added.
    fn add(&mut self, bucket: &TimeBucket) {
        let worst = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (one, other) => one.or(other),
        };
        self.requests = self.requests.saturating_add(bucket.requests);
        self.failed = self.failed.saturating_add(bucket.failed);
        self.denied = self.denied.saturating_add(bucket.denied);
        self.canceled = self.canceled.saturating_add(bucket.canceled);
        self.tcp_connections = self.tcp_connections.saturating_add(bucket.tcp_connections);
        self.failed_tcp_connections = self
            .failed_tcp_connections
            .saturating_add(bucket.failed_tcp_connections);
        self.p50 = worst(self.p50, bucket.p50_ms);
        self.p99 = worst(self.p99, bucket.p99_ms);
        self.connections = self.connections.saturating_add(bucket.connections);
        self.failed_connections = self.failed_connections.saturating_add(bucket.failed_connections);
        self.resets = self.resets.saturating_add(bucket.resets);
        self.retransmissions = self.retransmissions.saturating_add(bucket.retransmissions);
        for part in &bucket.latency {
            let sum = self.latency.entry(bound_of(part.le)).or_default();
            *sum = sum.saturating_add(part.count);
        }
        for (to, from) in [
            (&mut self.flags, &bucket.flags),
            (&mut self.signatures, &bucket.signatures),
        ] {
            for (name, count) in from {
                let sum = to.entry(name.clone()).or_default();
                *sum = sum.saturating_add(*count);
            }
        }
    }
}

/// How time is cut in columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    start_s: i64,
    column_s: i64,
    /// Columns.
    pub(super) count: usize,
}

impl Scale {
    /// None where nothing has a time.
    pub(super) fn of(timeline: &Timeline) -> Option<Self> {
        let bucket_s = i64::try_from(timeline.bucket_s).ok().filter(|s| *s > 0)?;
        let start_s = timeline.buckets.iter().map(|bucket| bucket.start.secs()).min()?;
        let end_s = timeline.buckets.iter().map(|bucket| bucket.start.secs()).max()?;
        let buckets = end_s.saturating_sub(start_s) / bucket_s + 1;
        let column_s = bucket_s.saturating_mul((buckets + COLUMNS - 1) / COLUMNS);
        let count = end_s.saturating_sub(start_s) / column_s + 1;
        Some(Self {
            start_s,
            column_s,
            count: usize::try_from(count).ok()?,
        })
    }

    /// When a column begins.
    pub(super) fn time(self, column: usize) -> Timestamp {
        let s = i64::try_from(column).unwrap_or(0).saturating_mul(self.column_s);
        Timestamp::from_secs(self.start_s.saturating_add(s))
    }

    /// The column of a second.
    pub(super) fn column(self, second: i64) -> Option<usize> {
        let at = second.checked_sub(self.start_s)?.div_euclid(self.column_s);
        usize::try_from(at).ok().filter(|at| *at < self.count)
    }
}

/// Time from left to right.
struct Axis {
    scale: Scale,
    columns: Vec<Column>,
}

impl Axis {
    fn new(timeline: &Timeline) -> Option<Self> {
        let scale = Scale::of(timeline)?;
        let mut columns = vec![Column::default(); scale.count];
        for bucket in &timeline.buckets {
            let at = scale.column(bucket.start.secs());
            if let Some(column) = at.and_then(|at| columns.get_mut(at)) {
                column.add(bucket);
            }
        }
        Some(Self { scale, columns })
    }

    fn step(&self) -> f64 {
        (WIDTH - LEFT - RIGHT) / float(self.columns.len())
    }

    fn x(&self, column: usize) -> f64 {
        LEFT + float(column) * self.step()
    }

    fn x_of(&self, t: Timestamp) -> f64 {
        let start = Timestamp::from_secs(self.scale.start_s);
        #[expect(clippy::cast_precision_loss, reason = "a place on a drawing")]
        let columns = t.millis_since(start) as f64 / (self.scale.column_s as f64 * 1000.0);
        (LEFT + columns * self.step()).clamp(LEFT, WIDTH - RIGHT)
    }

    fn time(&self, column: usize) -> Timestamp {
        self.scale.time(column)
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes on a drawing")]
fn float(n: usize) -> f64 {
    n as f64
}

#[expect(clippy::cast_precision_loss, reason = "heights on a drawing")]
fn height(n: u64) -> f64 {
    n as f64
}

/// A panel of bars: its title, its class, what it shows of a column.
type Bars = (&'static str, &'static str, fn(&Column) -> u64);

const BARS: [Bars; 10] = [
    ("failed", "bad", |column| column.failed),
    ("requests", "good", |column| column.requests),
    ("denied", "other", |column| column.denied),
    ("canceled", "other", |column| column.canceled),
    ("TCP connections failed", "bad", |column| {
        column.failed_tcp_connections
    }),
    ("TCP connections ended", "good", |column| column.tcp_connections),
    ("connections gone wrong", "bad", |column| {
        column.failed_connections
    }),
    ("connections begun", "good", |column| column.connections),
    ("packets with RST", "other", |column| column.resets),
    ("segments sent again", "other", |column| column.retransmissions),
];

/// The section.
pub(super) fn timeline(context: &Context<'_>) -> Element {
    let timeline = &context.report.timeline;
    let Some(axis) = Axis::new(timeline) else {
        return el("");
    };
    let millis = u64::try_from(axis.scale.column_s)
        .unwrap_or(0)
        .saturating_mul(1000);
    el("")
        .child(el("p").class("note").text(format!(
            "Each column is {}. The dashed lines are onsets, by the number of the finding. Latency is that of good requests.",
            span(millis)
        )))
        .child(
            el("div")
                .attr("id", "brush")
                .attr("hidden", "")
                .child(el("p").class("note").text(
                    "Drag over the drawing, or move the ends with [ and ] or the sliders: lists, histograms, percentiles, flags and calls of the page keep to that time, and what it holds is summed here.",
                )),
        )
        .child(drawing(context, &axis))
        .child(changes(context))
        .child(events(context))
        .child(closed("The drawing as a table", as_table(context, &axis)).class("data"))
}

fn drawing(context: &Context<'_>, axis: &Axis) -> Element {
    let mut svg = el("");
    let mut y = TOP;
    for (title, class, value) in BARS {
        if axis.columns.iter().all(|column| value(column) == 0) {
            continue;
        }
        svg = svg.child(bars(axis, y, (title, class, value)));
        y += PANEL + GAP;
    }
    if axis.columns.iter().any(|column| column.p99.is_some()) {
        svg = svg.child(lines(axis, y));
        y += PANEL + GAP;
    }
    let (map, bottom) = latency_heat(axis, y);
    svg = svg.child(map);
    y = bottom;
    for (title, counts) in [
        (
            "response flags",
            (|column: &Column| &column.flags) as fn(&Column) -> &Counts,
        ),
        ("known error texts", |column| &column.signatures),
    ] {
        let (heat, bottom) = heat(axis, y, title, counts);
        svg = svg.child(heat);
        y = bottom;
    }
    let bottom = y;
    svg = svg
        .child(ticks(context, axis, bottom))
        .child(happened(context, axis, bottom))
        .child(onsets(context, axis, bottom))
        .child(tooltips(context, axis, bottom));
    let end = axis.time(axis.columns.len());
    let svg = el("svg")
        .attr("id", "time")
        .class("chart")
        .attr("viewBox", format!("0 0 {WIDTH} {}", bottom + 26.0))
        .attr("role", "img")
        .attr(
            "aria-label",
            "Counts over time; the table below has the same figures",
        )
        .attr("data-start", axis.time(0).millis_since(Timestamp(0)).to_string())
        .attr("data-end", end.millis_since(Timestamp(0)).to_string())
        .attr(
            "data-column",
            axis.scale.column_s.saturating_mul(1000).to_string(),
        )
        .attr("data-left", LEFT.to_string())
        .attr("data-right", (WIDTH - RIGHT).to_string())
        .attr("data-bottom", bottom.to_string())
        .child(svg);
    scrolling("Time line", svg)
}

fn label(x: f64, y: f64, class: &'static str, text: &str) -> Element {
    el("text").class(class).at([("x", x), ("y", y)]).text(text)
}

fn frame(y: f64, height: f64) -> Element {
    el("rect").class("frame").at([
        ("x", LEFT),
        ("y", y),
        ("width", WIDTH - LEFT - RIGHT),
        ("height", height),
    ])
}

fn bars(axis: &Axis, y: f64, (title, class, value): Bars) -> Element {
    let peak = axis.columns.iter().map(value).max().unwrap_or(0).max(1);
    let mut panel = el("g")
        .child(frame(y, PANEL))
        .child(label(LEFT - 8.0, y + 14.0, "name", title))
        .child(label(
            LEFT - 8.0,
            y + 30.0,
            "scale",
            &format!("peak {}", group(peak)),
        ));
    let width = (axis.step() - if axis.step() > 4.0 { 1.0 } else { 0.0 }).max(0.5);
    for (number, column) in axis.columns.iter().enumerate() {
        let count = value(column);
        if count > 0 {
            // What happened at all is seen, however small it is beside the peak.
            let tall = (height(count) / height(peak) * PANEL).max(1.0);
            panel = panel.child(el("rect").class(class).at([
                ("x", axis.x(number)),
                ("y", y + PANEL - tall),
                ("width", width),
                ("height", tall),
            ]));
        }
    }
    panel
}

fn lines(axis: &Axis, y: f64) -> Element {
    let peak = axis
        .columns
        .iter()
        .filter_map(|column| column.p99)
        .fold(1.0, f64::max);
    // Latency spans orders of magnitude: its logarithm is drawn.
    let up = |ms: f64| (1.0 + ms.max(0.0)).ln() / (1.0 + peak).ln() * (PANEL - 2.0);
    let curve = |class: &'static str, value: fn(&Column) -> Option<f64>| {
        let mut path = String::new();
        let mut drawing = false;
        for (number, column) in axis.columns.iter().enumerate() {
            if let Some(ms) = value(column) {
                let step = if drawing { 'L' } else { 'M' };
                let top = y + PANEL - up(ms);
                // Writing to a String cannot fail.
                let _ = write!(
                    path,
                    "{step}{:.1} {top:.1}H{:.1}",
                    axis.x(number),
                    axis.x(number + 1)
                );
            }
            drawing = value(column).is_some();
        }
        el("path").class(class).path(&path)
    };
    el("g")
        .child(frame(y, PANEL))
        .child(label(LEFT - 8.0, y + 14.0, "name", "p99 and p50, ms, log scale"))
        .child(label(
            LEFT - 8.0,
            y + 30.0,
            "scale",
            &format!("peak {} ms", short(peak)),
        ))
        .child(curve("line p99", |column| column.p99))
        .child(curve("line p50", |column| column.p50))
}

/// The shade of a count between nothing and the most: 1 to 5, by its logarithm.
pub(super) fn shade(count: u64, most: u64) -> u32 {
    if count == 0 || most == 0 {
        return 0;
    }
    let share = (1.0 + height(count)).ln() / (1.0 + height(most)).ln();
    [0.35, 0.55, 0.75, 0.92]
        .iter()
        .fold(1, |shade, bound| shade + u32::from(share > *bound))
}

/// A bound of a histogram, which is a power of two.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "anything else becomes the nearest bound"
)]
fn bound_of(bound: f64) -> u64 {
    bound as u64
}

/// Time from left to right, duration from bottom to top, darker where more good requests took so long; and where it ends.
fn latency_heat(axis: &Axis, y: f64) -> (Element, f64) {
    let cells = || axis.columns.iter().flat_map(|column| &column.latency);
    let most = cells().map(|(_, count)| *count).max().unwrap_or(0);
    let bounds: BTreeSet<u64> = cells().map(|(bound, _)| *bound).collect();
    let (Some(least), Some(greatest)) = (bounds.first().copied(), bounds.last().copied()) else {
        return (el(""), y);
    };
    let mut map = el("g").child(label(
        LEFT,
        y + 10.0,
        "scale start",
        &format!("good requests by duration, darker is more, most {}", group(most)),
    ));
    let mut y = y + 16.0;
    let mut bound = greatest;
    while bound >= least.max(1) {
        map = map.child(frame(y, LATENCY_HEAT - 1.0)).child(label(
            LEFT - 8.0,
            y + 9.0,
            "name",
            &format!("≤ {} ms", group(bound)),
        ));
        for (number, column) in axis.columns.iter().enumerate() {
            let count = column.latency.get(&bound).copied().unwrap_or(0);
            if count > 0 {
                map = map.child(el("rect").class(format!("heat{}", shade(count, most))).at([
                    ("x", axis.x(number)),
                    ("y", y),
                    ("width", axis.step().max(1.0)),
                    ("height", LATENCY_HEAT - 1.0),
                ]));
            }
        }
        y += LATENCY_HEAT;
        bound /= 2;
    }
    (map, y + GAP)
}

/// A row for each name, darker where there were more; and where it ends.
fn heat(axis: &Axis, y: f64, title: &str, counts: fn(&Column) -> &Counts) -> (Element, f64) {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    let mut most = 0;
    for (name, count) in axis.columns.iter().flat_map(counts) {
        let sum = sums.entry(name).or_default();
        *sum = sum.saturating_add(*count);
        most = most.max(*count);
    }
    if sums.is_empty() {
        return (el(""), y);
    }
    let mut names: Vec<(&str, u64)> = sums.into_iter().collect();
    names.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let hidden = names.len().saturating_sub(HEAT_ROWS);
    names.truncate(HEAT_ROWS);
    let mut map = el("g").child(label(
        LEFT,
        y + 10.0,
        "scale start",
        &format!(
            "{title}, darker is more, most {}{}",
            group(most),
            if hidden > 0 {
                format!("; {hidden} rarer ones not drawn")
            } else {
                String::new()
            }
        ),
    ));
    let mut y = y + 16.0;
    for (name, _) in names {
        map = map
            .child(frame(y, HEAT - 2.0))
            .child(label(LEFT - 8.0, y + 10.5, "name", &cut(name)));
        for (number, column) in axis.columns.iter().enumerate() {
            let count = counts(column).get(name).copied().unwrap_or(0);
            if count > 0 {
                map = map.child(el("rect").class(format!("heat{}", shade(count, most))).at([
                    ("x", axis.x(number)),
                    ("y", y),
                    ("width", axis.step().max(1.0)),
                    ("height", HEAT - 2.0),
                ]));
            }
        }
        y += HEAT;
    }
    (map, y + GAP)
}

/// A label that fits beside the drawing.
pub(super) fn cut(text: &str) -> String {
    if text.chars().count() <= LABEL_CHARS {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(LABEL_CHARS - 1).collect();
    cut.push('…');
    cut
}

fn ticks(context: &Context<'_>, axis: &Axis, bottom: f64) -> Element {
    let last = axis.columns.len();
    let parts = last.min(4);
    el("g").children((0..=parts).map(|part| {
        let column = last * part / parts.max(1);
        let class = match part {
            0 => "scale start",
            n if n == parts => "scale",
            _ => "scale middle",
        };
        label(
            axis.x(column),
            bottom + 14.0,
            class,
            &context.clock.time(axis.time(column)),
        )
    }))
}

/// Room that the label of an onset takes.
const ONSET_LABEL: f64 = 95.0;

/// Rows of these labels.
const ONSET_ROWS: [f64; 2] = [10.0, 21.0];

/// A label of one or several onsets.
struct OnsetLabel {
    x: f64,
    y: f64,
    ranks: Vec<String>,
    time: String,
}

impl OnsetLabel {
    /// Near the right end it stands before its line.
    fn is_before(&self) -> bool {
        self.x > WIDTH * 0.8
    }

    fn span(&self) -> (f64, f64) {
        if self.is_before() {
            (self.x - ONSET_LABEL, self.x)
        } else {
            (self.x, self.x + ONSET_LABEL)
        }
    }

    fn covers(&self, other: &Self) -> bool {
        let ((left, right), (from, to)) = (self.span(), other.span());
        left < to && from < right
    }
}

/// The labels: each in a row where it covers no other; where there is none, it joins the nearest.
fn onset_labels(onsets: impl IntoIterator<Item = (f64, u64, String)>) -> Vec<OnsetLabel> {
    let mut labels: Vec<OnsetLabel> = Vec::new();
    for (x, rank, time) in onsets {
        let label = OnsetLabel {
            x,
            y: 0.0,
            ranks: vec![rank.to_string()],
            time,
        };
        let free = ONSET_ROWS.into_iter().find(|row| {
            let mut others = labels.iter().filter(|other| (other.y - row).abs() < 1.0);
            !others.any(|other| other.covers(&label))
        });
        let near = labels
            .iter_mut()
            .min_by(|a, b| (a.x - x).abs().total_cmp(&(b.x - x).abs()));
        match (free, near) {
            (Some(y), _) => labels.push(OnsetLabel { y, ..label }),
            (None, Some(near)) => near.ranks.extend(label.ranks),
            (None, None) => {}
        }
    }
    labels
}

fn onsets(context: &Context<'_>, axis: &Axis, bottom: f64) -> Element {
    let with_onset = || {
        let findings = context.report.findings.iter();
        findings
            .filter_map(|finding| finding.onset.map(|onset| (finding, onset)))
            .take(ONSETS)
    };
    let lines = with_onset().map(|(finding, onset)| {
        let x = axis.x_of(onset);
        el("g")
            .class("onset")
            .child(el("title").text(format!(
                "onset of finding {}, {}: {}",
                finding.rank,
                context.clock.time(onset),
                finding.title
            )))
            .child(el("line").at([("x1", x), ("x2", x), ("y1", TOP - 4.0), ("y2", bottom)]))
    });
    let marks =
        with_onset().map(|(finding, onset)| (axis.x_of(onset), finding.rank, context.clock.time(onset)));
    let labels = onset_labels(marks).into_iter().map(|of| {
        let class = if of.is_before() { "scale" } else { "scale start" };
        let ranks = of.ranks.join(", ");
        el("g")
            .class("onset")
            .child(label(of.x, of.y, class, &format!("▼ {ranks} {}", of.time)))
    });
    el("g").children(lines).children(labels)
}

/// Events, as marks on the time axis.
fn happened(context: &Context<'_>, axis: &Axis, bottom: f64) -> Element {
    let shown = context.rows(LISTED);
    el("g").children(context.report.timeline.events.iter().take(shown).map(|event| {
        let x = axis.x_of(event.at);
        el("path")
            .class("event")
            .path(&format!("M{x:.1} {:.1}l4 6h-8z", bottom - 2.0))
            .child(el("title").text(format!("{} {}", context.clock.time(event.at), event.text)))
    }))
}

fn tooltips(context: &Context<'_>, axis: &Axis, bottom: f64) -> Element {
    el("g").children(axis.columns.iter().enumerate().filter_map(|(number, column)| {
        let mut parts: Vec<String> = BARS
            .iter()
            .filter(|(.., value)| value(column) > 0)
            .map(|(title, _, value)| format!("{} {title}", group(value(column))))
            .collect();
        if let Some(p99) = column.p99 {
            parts.push(format!("p99 {} ms", short(p99)));
        }
        if parts.is_empty() {
            return None;
        }
        let text = format!("{}: {}", context.clock.time(axis.time(number)), parts.join(", "));
        // What the script sums over the window that is chosen.
        let pairs = |parts: &mut dyn Iterator<Item = (String, u64)>| {
            let parts: Vec<String> = parts.map(|(name, count)| format!("{name}:{count}")).collect();
            parts.join(" ")
        };
        let latency = pairs(&mut column.latency.iter().map(|(le, count)| (le.to_string(), *count)));
        let flags = pairs(&mut column.flags.iter().map(|(flag, count)| (flag.clone(), *count)));
        let packets = [
            column.connections,
            column.failed_connections,
            column.resets,
            column.retransmissions,
        ];
        let packets = packets.map(|count| count.to_string()).join(" ");
        let at = axis.time(number).millis_since(Timestamp(0));
        Some(
            el("rect")
                .class("hit")
                .attr("data-at", at.to_string())
                .attr("data-requests", column.requests.to_string())
                .attr("data-failed", column.failed.to_string())
                .attr("data-denied", column.denied.to_string())
                .attr("data-canceled", column.canceled.to_string())
                .attr("data-good", latency)
                .attr("data-flags", flags)
                .attr("data-packets", packets)
                .at([
                    ("x", axis.x(number)),
                    ("y", TOP),
                    ("width", axis.step()),
                    ("height", bottom - TOP),
                ])
                .child(el("title").text(text)),
        )
    }))
}

/// A point in time as the span that the choice of a window needs.
pub(super) fn moment(t: Timestamp) -> (i64, i64) {
    let ms = t.millis_since(Timestamp(0));
    (ms, ms)
}

fn changes(context: &Context<'_>) -> Element {
    let changes = &context.report.timeline.change_points;
    let mut table = Table::new(
        "Changes",
        [
            ("when", Set::Left),
            ("of what", Set::Left),
            ("for whom", Set::Left),
            ("before", Set::Right),
            ("after", Set::Right),
        ],
    );
    for change in changes.iter().take(context.rows(LISTED)) {
        let figure = |value: f64| {
            if change.metric.contains("share") {
                format!("{} %", decimal(value * 100.0, 1))
            } else {
                short(value)
            }
        };
        let cells = [
            context.clock.time(change.at),
            change.metric.replace('_', " "),
            change.scope.clone(),
            figure(change.before),
            figure(change.after),
        ];
        table.row_of(cells.map(|cell| el("").text(cell)), Some(moment(change.at)));
    }
    let shown = table.len();
    match shown {
        0 => el(""),
        _ => el("")
            .child(el("h3").text("What changed, by the figures"))
            .child(table.finish())
            .child(rest(shown, changes.len())),
    }
}

fn events(context: &Context<'_>) -> Element {
    let timeline = &context.report.timeline;
    let mut table = Table::new(
        "Events",
        [("when", Set::Left), ("what", Set::Left), ("where", Set::Left)],
    );
    for event in timeline.events.iter().take(context.rows(LISTED)) {
        let place = event
            .place
            .map_or_else(|| el(""), |place| citations(context, &[place], 0));
        table.row_of(
            [
                el("").text(context.clock.time(event.at)),
                el("")
                    .child(el("span").class("mark").text(&event.kind))
                    .text(" ")
                    .text(&event.text),
                place,
            ],
            Some(moment(event.at)),
        );
    }
    let shown = table.len();
    let mut inside = table.finish();
    if shown > 0 {
        inside = el("")
            .child(el("h3").text("What happened"))
            .child(inside)
            .child(rest(shown, timeline.events.len()));
    }
    let gaps = timeline.gaps.iter().take(context.rows(LISTED)).map(|gap| {
        let name = crate::report::text::place::input_of(&context.report.inputs, gap.input)
            .map(crate::report::text::place::name_of)
            .unwrap_or_default();
        el("li").text(format!(
            "{name} is silent from {} to {}",
            context.clock.time(gap.start),
            context.clock.time(gap.end)
        ))
    });
    let silent = el("ul").children(gaps);
    if silent.is_empty() {
        inside
    } else {
        el("").child(inside).child(closed(
            &format!("Silent: {}", counted(whole(timeline.gaps.len()), "span")),
            silent,
        ))
    }
}

fn whole(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn as_table(context: &Context<'_>, axis: &Axis) -> Element {
    let used: Vec<&Bars> = BARS
        .iter()
        .filter(|(.., value)| axis.columns.iter().any(|column| value(column) > 0))
        .collect();
    let mut columns = vec![("from", Set::Left)];
    columns.extend(used.iter().map(|(title, ..)| (*title, Set::Right)));
    columns.extend([("p50 ms", Set::Right), ("p99 ms", Set::Right)]);
    let mut table = Table::new("Counts over time", columns);
    for (number, column) in axis.columns.iter().enumerate() {
        let from = axis.time(number);
        let until = axis.time(number + 1);
        let mut cells = vec![context.clock.time(from)];
        cells.extend(used.iter().map(|(.., value)| group(value(column))));
        cells.extend([column.p50, column.p99].map(|ms| ms.map_or("–".to_owned(), short)));
        table.row_of(
            cells.into_iter().map(|cell| el("").text(cell)),
            Some((moment(from).0, moment(until).0 - 1)),
        );
    }
    table.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_onsets_never_cover_each_other() {
        let at = |xs: &[f64]| {
            let onsets = xs
                .iter()
                .zip(1..)
                .map(|(x, rank)| (*x, rank, "09:00:00".to_owned()));
            onset_labels(onsets.collect::<Vec<_>>())
        };
        for xs in [
            &[300.0, 300.0, 300.0, 301.0][..],
            &[210.0, 250.0, 300.0, 420.0, 980.0, 985.0, 790.0, 810.0],
            &[500.0],
        ] {
            let labels = at(xs);
            let told: usize = labels.iter().map(|label| label.ranks.len()).sum();
            assert_eq!(told, xs.len(), "each finding is told");
            for (number, label) in labels.iter().enumerate() {
                for other in &labels[number + 1..] {
                    assert!((label.y - other.y).abs() > 1.0 || !label.covers(other));
                }
            }
        }
        assert_eq!(at(&[300.0, 300.0, 300.0])[0].ranks, ["1", "3"]);
    }
}
