//! Since when: failures, requests and latency over time, the onset, and what happened around it.

use super::chart::sparkline;
use super::clock::Clock;
use super::lead;
use super::number::{group, share_of, short, span};
use super::page::{Page, Role};
use super::place::{input_of, name_of, place};
use super::wrap::width_of;
use crate::report::model::{ChangePoint, Event, Finding, Report, TimeBucket, Timeline, Window};
use crate::units::Timestamp;

/// Where the charts start.
const COLUMN: usize = 12;
/// Columns kept for the peaks at the right.
const PEAK: usize = 9;
/// A bucket is drawn over at most this many columns.
const MOST_COLUMNS_A_BUCKET: usize = 4;
/// Lines of events, changes and gaps, each.
const EVENTS: usize = 6;
/// A bucket at an end of the time line that is further from the next than this share of the whole span,
/// and holds less than a hundredth of the requests and connections, is a stray (a wrong clock) and is not drawn.
const STRAY_GAP_SHARE: f64 = 0.5;

/// The time line.
pub(super) fn since(report: &Report, page: &mut Page) {
    let finding = lead(report);
    let (drawn, strays) = without_strays(&report.timeline.buckets);
    let Some(scale) = Scale::of(drawn, report.timeline.bucket_s, chart_width(page)) else {
        return;
    };
    let title = if finding.is_some() {
        "SINCE WHEN"
    } else {
        "OVER TIME"
    };
    page.heading(title, &format!("each {}, peak at the right", scale.column_span()));
    let logs = drawn
        .iter()
        .any(|b| b.requests > 0 || b.failed > 0 || b.denied > 0 || b.canceled > 0);
    let tcp = drawn.iter().any(|b| b.tcp_connections > 0);
    let captures = drawn.iter().any(|b| b.connections > 0);
    if logs || !captures && !tcp {
        requests(drawn, &scale, page);
    } else if captures && !tcp {
        connections(drawn, &scale, page);
    }
    if tcp {
        let names = if logs {
            ["tcp fail", "tcp end"]
        } else {
            ["failed", "ended"]
        };
        tcp_connections(names, drawn, &scale, page);
    }
    packets(drawn, &scale, page);
    axis(report, finding, &scale, page);
    if strays > 0 {
        let text = format!("{} far from all others in time not drawn", group(strays));
        page.wrapped(COLUMN, Role::Faint, &text);
    }
    changed(report, finding, page);
    around(report, page);
}

/// What changed shortly before.
fn changed(report: &Report, finding: Option<&Finding>, page: &mut Page) {
    let changes = finding.map_or(&[][..], |finding| finding.changed_before.as_slice());
    if changes.is_empty() {
        return;
    }
    let clock = Clock::new(&report.window);
    page.wrapped(2, Role::Faint, "changed just before, which proves nothing:");
    for change in changes {
        let place = change
            .refs
            .first()
            .map_or_else(String::new, |at| format!("  ({})", place(&report.inputs, at)));
        let text = format!("{} {}{place}", clock.time(change.at), change.text);
        page.wrapped(COLUMN, Role::Plain, &text);
    }
}

/// What log rows tell.
fn requests(drawn: &[TimeBucket], scale: &Scale, page: &mut Page) {
    series(
        page,
        "failed",
        Role::FailedBar,
        scale,
        &sums(drawn, scale, |b| b.failed),
    );
    for (name, values) in [
        ("denied", sums(drawn, scale, |b| b.denied)),
        ("canceled", sums(drawn, scale, |b| b.canceled)),
    ] {
        if values.iter().any(|&count| count > 0.0) {
            series(page, name, Role::FailedBar, scale, &values);
        }
    }
    series(
        page,
        "requests",
        Role::Bar,
        scale,
        &sums(drawn, scale, |b| b.requests),
    );
    let p99 = maxima(drawn, scale, |b| b.p99_ms);
    if p99.iter().any(|&ms| ms > 0.0) {
        series(page, "p99 ms", Role::Bar, scale, &p99);
    }
}

/// What log rows tell of TCP connections, by their end.
fn tcp_connections(names: [&str; 2], drawn: &[TimeBucket], scale: &Scale, page: &mut Page) {
    let failed = sums(drawn, scale, |b| b.failed_tcp_connections);
    series(page, names[0], Role::FailedBar, scale, &failed);
    let ended = sums(drawn, scale, |b| b.tcp_connections);
    series(page, names[1], Role::Bar, scale, &ended);
}

/// What captures tell where there are no log rows.
fn connections(drawn: &[TimeBucket], scale: &Scale, page: &mut Page) {
    let failed = sums(drawn, scale, |b| b.failed_connections);
    series(page, "failed", Role::FailedBar, scale, &failed);
    series(
        page,
        "opened",
        Role::Bar,
        scale,
        &sums(drawn, scale, |b| b.connections),
    );
}

/// What captures tell beside.
fn packets(drawn: &[TimeBucket], scale: &Scale, page: &mut Page) {
    for (name, values) in [
        ("resets", sums(drawn, scale, |b| b.resets)),
        ("resent", sums(drawn, scale, |b| b.retransmissions)),
    ] {
        if values.iter().any(|&count| count > 0.0) {
            series(page, name, Role::FailedBar, scale, &values);
        }
    }
}

fn chart_width(page: &Page) -> usize {
    page.width().saturating_sub(COLUMN + PEAK).max(1)
}

/// How buckets fall on columns.
struct Scale {
    start: Timestamp,
    bucket_s: u64,
    /// Buckets on a column, at least 1.
    buckets_a_column: u64,
    /// Columns for each value, at least 1.
    repeat: usize,
    columns: usize,
}

impl Scale {
    fn of(buckets: &[TimeBucket], bucket_s: u64, room: usize) -> Option<Self> {
        let (first, last) = (buckets.first()?, buckets.last()?);
        let bucket_s = bucket_s.max(1);
        let seconds = u64::try_from(last.start.secs().saturating_sub(first.start.secs())).unwrap_or(0);
        let count = seconds / bucket_s + 1;
        let buckets_a_column = count.div_ceil(u64::try_from(room).ok()?.max(1));
        let columns = usize::try_from(count.div_ceil(buckets_a_column)).ok()?;
        let repeat = (room / columns).clamp(1, MOST_COLUMNS_A_BUCKET);
        Some(Self {
            start: first.start,
            bucket_s,
            buckets_a_column,
            repeat,
            columns,
        })
    }

    fn seconds_a_column(&self) -> u64 {
        self.bucket_s.saturating_mul(self.buckets_a_column).max(1)
    }

    /// The span that a value stands for; a value may be drawn over several columns.
    fn column_span(&self) -> String {
        let each = span(self.seconds_a_column().saturating_mul(1000));
        if self.repeat > 1 {
            format!("{} columns {each}", self.repeat)
        } else {
            format!("column {each}")
        }
    }

    fn column(&self, t: Timestamp) -> Option<usize> {
        let seconds = u64::try_from(t.secs().saturating_sub(self.start.secs())).ok()?;
        usize::try_from(seconds / self.seconds_a_column())
            .ok()
            .filter(|&column| column < self.columns)
    }

    fn width(&self) -> usize {
        self.columns * self.repeat
    }

    /// What stands at both ends of the axis: the edges of the columns, or of the data where it begins or ends
    /// inside the first or last of them.
    fn ends(&self, data: &Window) -> (Timestamp, Timestamp) {
        let columns = u64::try_from(self.columns).unwrap_or(u64::MAX);
        let ms = self
            .seconds_a_column()
            .saturating_mul(columns)
            .saturating_mul(1000);
        let end = self.start.plus_millis(ms);
        let begun = data
            .start
            .filter(|&t| self.column(t) == Some(0))
            .unwrap_or(self.start);
        let ended = data
            .end
            .filter(|&t| self.column(t) == self.columns.checked_sub(1))
            .unwrap_or(end);
        (begun, ended)
    }
}

/// What a bucket weighs: requests of logs and connections of captures.
fn weight(bucket: &TimeBucket) -> u64 {
    bucket.requests.saturating_add(bucket.connections)
}

/// The buckets without strays at the ends, and the weight of the strays.
fn without_strays(buckets: &[TimeBucket]) -> (&[TimeBucket], u64) {
    let total = buckets.iter().map(weight).fold(0, u64::saturating_add);
    let (mut drawn, mut left_out) = (buckets, 0_u64);
    while let Some((stray, rest)) = stray_end(drawn) {
        if left_out.saturating_add(stray).saturating_mul(100) >= total {
            break;
        }
        left_out += stray;
        drawn = rest;
    }
    (drawn, left_out)
}

/// The weight of a bucket at an end that is further from its neighbour than all others are from each other.
fn stray_end(buckets: &[TimeBucket]) -> Option<(u64, &[TimeBucket])> {
    let (first, after) = buckets.split_first()?;
    let (last, before) = buckets.split_last()?;
    let whole = last.start.millis_since(first.start);
    let far = |later: &TimeBucket, earlier: &TimeBucket| {
        later.start.millis_since(earlier.start) / 1000 > part_of(whole / 1000, STRAY_GAP_SHARE)
    };
    if buckets.len() < 3 {
        return None;
    }
    if after.first().is_some_and(|next| far(next, first)) {
        return Some((weight(first), after));
    }
    before
        .last()
        .filter(|previous| far(last, previous))
        .map(|_| (weight(last), before))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a rough share of a span"
)]
fn part_of(whole: i64, share: f64) -> i64 {
    (whole as f64 * share) as i64
}

#[expect(clippy::cast_precision_loss, reason = "drawn in eighths")]
fn sums(buckets: &[TimeBucket], scale: &Scale, of: impl Fn(&TimeBucket) -> u64) -> Vec<f64> {
    let mut columns = vec![0.0; scale.columns];
    for bucket in buckets {
        if let Some(column) = scale.column(bucket.start).and_then(|at| columns.get_mut(at)) {
            *column += of(bucket) as f64;
        }
    }
    columns
}

fn maxima(buckets: &[TimeBucket], scale: &Scale, of: impl Fn(&TimeBucket) -> Option<f64>) -> Vec<f64> {
    let mut columns: Vec<f64> = vec![0.0; scale.columns];
    for bucket in buckets {
        let column = scale.column(bucket.start).and_then(|at| columns.get_mut(at));
        if let (Some(column), Some(value)) = (column, of(bucket)) {
            *column = column.max(value);
        }
    }
    columns
}

fn series(page: &mut Page, name: &str, role: Role, scale: &Scale, values: &[f64]) {
    let peak = values.iter().copied().fold(0.0, f64::max);
    let chart: String = sparkline(values)
        .chars()
        .flat_map(|spark| std::iter::repeat_n(spark, scale.repeat))
        .collect();
    let line = page
        .line()
        .pad_to(2)
        .plain(name)
        .pad_to(COLUMN)
        .push(role, &chart);
    let right = COLUMN + scale.width() + PEAK;
    page.put(line.right(Role::Plain, &short(peak), right.min(page.width())));
}

/// The times at both ends and a mark under the onset.
fn axis(report: &Report, finding: Option<&Finding>, scale: &Scale, page: &mut Page) {
    let clock = Clock::new(&report.window);
    let (start, end) = scale.ends(&report.window);
    let (start, end) = (clock.time(start), clock.time(end));
    let right = COLUMN + scale.width().max(width_of(&start) + width_of(&end) + 2);
    let mark = finding
        .and_then(|finding| mark(finding, clock))
        .and_then(|(at, text)| {
            let column = COLUMN + scale.column(at)? * scale.repeat;
            if column + width_of(&text) + 2 <= page.width() {
                return Some((column, format!("▲ {text}")));
            }
            // Near the right edge the text stands to the left of its mark.
            Some((column.saturating_sub(width_of(&text) + 1), format!("{text} ▲")))
        });
    let ends = page.line().pad_to(COLUMN).push(Role::Faint, &start);
    match mark {
        Some((from, text))
            if from > ends.width() && from + width_of(&text) + 1 < right.saturating_sub(width_of(&end)) =>
        {
            let line = ends.pad_to(from).push(Role::Strong, &text);
            page.put(line.right(Role::Faint, &end, right));
        }
        other => {
            page.put(ends.right(Role::Faint, &end, right));
            if let Some((from, text)) = other {
                let line = page.line().pad_to(from).push(Role::Strong, &text);
                page.put(line);
            }
        }
    }
}

fn mark(finding: &Finding, clock: Clock) -> Option<(Timestamp, String)> {
    match (finding.onset, finding.window.start) {
        (Some(onset), _) => Some((onset, format!("{} onset", clock.time(onset)))),
        (None, Some(first)) => Some((first, format!("{} first", clock.time(first)))),
        _ => None,
    }
}

/// When the first finding began.
fn onset(report: &Report) -> Option<Timestamp> {
    let finding = lead(report)?;
    finding.onset.or(finding.window.start)
}

/// The events nearest to a time, in their order; the first ones where there is no such time.
fn nearest(events: &[Event], to: Option<Timestamp>) -> Vec<&Event> {
    let away_ns = |event: &Event| to.map_or(0, |to| event.at.0.abs_diff(to.0));
    let mut order: Vec<(usize, &Event)> = events.iter().enumerate().collect();
    order.sort_by_key(|(number, event)| (away_ns(event), *number));
    order.truncate(EVENTS);
    order.sort_unstable_by_key(|(number, _)| *number);
    order.into_iter().map(|(_, event)| event).collect()
}

/// Events, change points and silent spans.
fn around(report: &Report, page: &mut Page) {
    let clock = Clock::new(&report.window);
    let timeline = &report.timeline;
    let mut lines = Vec::new();
    for event in nearest(&timeline.events, onset(report)) {
        let source = event
            .place
            .as_ref()
            .map(|at| format!("  ({})", place(&report.inputs, at)));
        lines.push((event.at, format!("{}{}", event.text, source.unwrap_or_default())));
    }
    for change in timeline.change_points.iter().take(EVENTS) {
        lines.push((change.at, change_text(change)));
    }
    lines.sort();
    let column = COLUMN
        + lines
            .iter()
            .map(|(at, _)| width_of(&clock.time(*at)))
            .max()
            .unwrap_or(0)
        + 1;
    for (at, text) in lines {
        let room = page.width().saturating_sub(column);
        for (i, part) in super::wrap::wrap(&page.shown(&text), room).iter().enumerate() {
            let line = page.line().pad_to(COLUMN);
            let line = if i == 0 {
                line.push(Role::Faint, &clock.time(at))
            } else {
                line
            };
            page.put(line.pad_to(column).plain(part));
        }
    }
    gaps(report, timeline, clock, page);
}

/// What changed, in a sentence where the figure is known.
fn change_text(change: &ChangePoint) -> String {
    let whom = match change.scope.as_str() {
        "" | "*" => "all destinations",
        one => one,
    };
    match change.metric.as_str() {
        "failed_share" => format!(
            "{} of the requests to {whom} went wrong, {} before",
            share_of(change.after),
            share_of(change.before)
        ),
        "added_latency_ms" => format!(
            "good requests to {whom} took {} ms longer than before",
            short(change.after - change.before)
        ),
        other => format!(
            "{other} of {whom}: {} → {}",
            short(change.before),
            short(change.after)
        ),
    }
}

fn gaps(report: &Report, timeline: &Timeline, clock: Clock, page: &mut Page) {
    for gap in timeline.gaps.iter().take(EVENTS) {
        let name = input_of(&report.inputs, gap.input)
            .map(name_of)
            .unwrap_or_default();
        let text = format!(
            "silent {} – {}: {name}",
            clock.time(gap.start),
            clock.time(gap.end)
        );
        page.wrapped(COLUMN, Role::Faint, &text);
    }
}
