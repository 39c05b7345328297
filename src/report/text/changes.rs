//! What is new, gone, more, less, slower or faster between two reports.

use super::number::{counted, group, per_cent, short};
use super::page::{Page, Role};
use super::table::{Cell, Column, Set, Table};
use crate::report::compare::model::{
    Bounds, Change, Diff, Direction, Kind, Measure, Metric, Outcome, Side, Status,
};
use std::collections::BTreeSet;

/// Changes of one direction that are listed.
const LISTED: usize = 40;

/// The whole comparison.
pub(super) fn changes(diff: &Diff, page: &mut Page) {
    title(diff, page);
    findings(diff, page);
    for (heading, direction) in [
        ("WORSE", Direction::Worse),
        ("BETTER", Direction::Better),
        ("DIFFERENT", Direction::Neutral),
    ] {
        measured(diff, heading, direction, page);
    }
    left_out(diff, page);
}

fn title(diff: &Diff, page: &mut Page) {
    let (role, text) = match diff.outcome {
        Outcome::Worse => (Role::CriticalBadge, " WORSE "),
        Outcome::Better => (Role::GoodBadge, " BETTER "),
        Outcome::Different => (Role::WarningBadge, " DIFFERENT "),
        Outcome::NoChange => (Role::GoodBadge, " NO CHANGE "),
        Outcome::TooLittle => (Role::WarningBadge, " TOO LITTLE TO COMPARE "),
    };
    let count = |direction| {
        diff.changes
            .iter()
            .filter(|change| change.direction == direction)
            .count()
    };
    let mut words: Vec<String> = Vec::new();
    for (direction, word) in [
        (Direction::Worse, "worse"),
        (Direction::Better, "better"),
        (Direction::Neutral, "different"),
    ] {
        let count = count(direction);
        if count > 0 {
            words.push(format!("{count} {word}"));
        }
    }
    let line = page
        .line()
        .push(role, text)
        .plain("  ")
        .push(Role::Strong, &words.join(", "));
    page.put(line);
    for (label, side) in [("before", &diff.before), ("after", &diff.after)] {
        page.labelled((Role::Faint, label), 10, Role::Plain, &side.label);
        page.wrapped(10, Role::Plain, &side_text(side));
        if !side.headline.is_empty() {
            page.wrapped(10, Role::Faint, &side.headline);
        }
    }
}

fn side_text(side: &Side) -> String {
    let mut parts = Vec::new();
    if let (Some(start), Some(end)) = (&side.start, &side.end) {
        parts.push(format!(
            "{} – {} UTC",
            second(start),
            second(end).get(11..).unwrap_or_default()
        ));
    }
    if side.rows > 0 {
        parts.push(format!(
            "{}, {} failed",
            counted(side.requests, "request"),
            super::number::share(side.failed, side.requests)
        ));
    }
    if side.connections > 0 {
        parts.push(counted(side.connections, "connection"));
    }
    parts.join(", ")
}

/// `2026-11-22 16:44:18` of RFC 3339.
fn second(time: &str) -> String {
    time.get(..19).unwrap_or(time).replacen('T', " ", 1)
}

fn findings(diff: &Diff, page: &mut Page) {
    let of_kind: Vec<&Change> = diff
        .changes
        .iter()
        .filter(|change| change.kind == Kind::Finding)
        .collect();
    if of_kind.is_empty() {
        return;
    }
    page.heading("FINDINGS", "");
    for change in of_kind {
        let role = match change.direction {
            Direction::Worse => Role::Critical,
            Direction::Better => Role::Good,
            Direction::Neutral => Role::Plain,
        };
        let severity = change.severity.as_deref().unwrap_or_default();
        let mut text = format!("{severity}: {}", change.name);
        let share = |measure: Option<Measure>| {
            measure.map(|measure| match measure.count {
                0 => group(measure.of),
                failed => format!("{} of {}", group(failed), group(measure.of)),
            })
        };
        match (share(change.before), share(change.after)) {
            (Some(before), Some(after)) => text = format!("{text} ({before}, then {after})"),
            (Some(one), None) | (None, Some(one)) => text = format!("{text} ({one})"),
            (None, None) => {}
        }
        page.labelled((role, status(change.status)), 10, Role::Plain, &text);
    }
}

fn status(status: Status) -> &'static str {
    match status {
        Status::New => "new",
        Status::Gone => "gone",
        Status::More => "more",
        Status::Less => "less",
        Status::Slower => "slower",
        Status::Faster => "faster",
    }
}

fn measured(diff: &Diff, heading: &str, direction: Direction, page: &mut Page) {
    let all: Vec<&Change> = diff
        .changes
        .iter()
        .filter(|change| change.kind != Kind::Finding && change.direction == direction)
        .collect();
    if all.is_empty() {
        return;
    }
    let found = all.len();
    let all = without_echoes(all);
    let note = format!(
        "bounds hold for all {} together, {}",
        counted(diff.comparisons, "comparison"),
        per_cent(diff.confidence)
    );
    page.heading(heading, &note);
    if page.width() < TABLE_COLUMNS_MIN {
        all.iter().take(LISTED).for_each(|change| stacked(change, page));
    } else {
        tabled(&all, page);
    }
    let notes = [
        (all.len().saturating_sub(LISTED), "more, of less impact"),
        (
            found.saturating_sub(all.len()),
            "more with the same counts: the same requests by route, by caller, or as the other proxy saw them",
        ),
    ];
    for (count, what) in notes {
        if count > 0 {
            page.wrapped(2, Role::Faint, &format!("{} {count} {what}", page.ellipsis()));
        }
    }
}

/// Without changes of the same counts as one before: a route of its destination, the only caller of all requests.
fn without_echoes(all: Vec<&Change>) -> Vec<&Change> {
    let mut seen = BTreeSet::new();
    let counts = |change: &Change| {
        let of = |measure: Option<Measure>| measure.map(|measure| (measure.count, measure.of));
        (change.metric, of(change.before), of(change.after))
    };
    // The shortest way to say it comes first: all, destination, route, source.
    let mut by_kind: Vec<(usize, &Change)> = all.iter().copied().enumerate().collect();
    by_kind.sort_by_key(|(at, change)| (change.kind, *at));
    let kept: BTreeSet<usize> = by_kind
        .into_iter()
        .filter(|(_, change)| {
            let requests = matches!(
                change.kind,
                Kind::All | Kind::Destination | Kind::Route | Kind::Source
            );
            !requests || seen.insert(counts(change))
        })
        .map(|(at, _)| at)
        .collect();
    all.into_iter()
        .enumerate()
        .filter(|(at, _)| kept.contains(at))
        .map(|(_, change)| change)
        .collect()
}

/// Below it a change takes two lines.
const TABLE_COLUMNS_MIN: usize = 120;

fn tabled(all: &[&Change], page: &mut Page) {
    let mut table = Table::new(vec![
        Column::new("", Set::Left),
        Column::new("what", Set::Flexible(30)),
        Column::new("seen by", Set::Left),
        Column::new("before", Set::Right),
        Column::new("after", Set::Right),
        Column::new("effect", Set::Prose(40)),
    ]);
    for change in all.iter().take(LISTED) {
        let (before, after) = sides(change);
        table.row(vec![
            Cell::plain(status(change.status)),
            Cell::plain(name(change)),
            Cell::plain(reporter(change)),
            Cell::plain(before),
            Cell::plain(after),
            Cell::plain(effect(change)),
        ]);
    }
    table.put(page);
}

/// What on one line, and how much below it.
fn stacked(change: &Change, page: &mut Page) {
    let mut what = name(change);
    let reporter = reporter(change);
    if !reporter.is_empty() {
        what = format!("{what}, seen by {reporter}");
    }
    let (before, after) = sides(change);
    let figures = format!("{before} → {after}");
    let parts = [figures, effect(change)];
    let parts: Vec<&str> = parts
        .iter()
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    page.labelled((Role::Strong, status(change.status)), 10, Role::Plain, &what);
    page.wrapped(12, Role::Faint, &parts.join(", "));
}

fn reporter(change: &Change) -> &'static str {
    match change.reporter.as_deref() {
        Some("source") => "caller",
        Some("destination") => "called",
        _ => "",
    }
}

/// In per cent with a decimal; 0 and 100 only of none and all.
fn share(value: f64) -> String {
    let per_cent = value * 100.0;
    if per_cent <= 0.0 || per_cent >= 100.0 {
        format!("{per_cent:.0} %")
    } else if per_cent < 1.0 {
        format!("{:.2} %", per_cent.max(0.01))
    } else {
        format!("{:.1} %", per_cent.min(99.9))
    }
}

fn name(change: &Change) -> String {
    let what = match change.metric {
        Metric::Presence => return format!("{} {}", kind(change.kind), change.name),
        Metric::FailedShare => "failed",
        Metric::DeniedShare => "denied",
        Metric::CanceledShare => "canceled",
        Metric::Latency => "latency",
        Metric::RowShare | Metric::Rate | Metric::ConnectionShare => "",
    };
    let kind = match change.kind {
        Kind::Destination | Kind::All | Kind::Connections => "",
        other => kind(other),
    };
    [kind, change.name.as_str(), what]
        .iter()
        .filter(|word| !word.is_empty())
        .copied()
        .collect::<Vec<_>>()
        .join(" ")
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Finding => "finding",
        Kind::All => "all",
        Kind::Destination => "destination",
        Kind::Route => "route",
        Kind::Source => "source",
        Kind::Flag => "flag",
        Kind::Detail => "detail",
        Kind::Code => "code",
        Kind::Signature => "error text",
        Kind::Connections => "connections",
    }
}

/// The two values.
fn sides(change: &Change) -> (String, String) {
    if change.metric == Metric::Latency {
        let quantile = told_quantile(change);
        let value = |bounds: Bounds| bounds.value.map_or_else(|| "?".to_owned(), short);
        return quantile.map_or_else(Default::default, |(name, before, after)| {
            (
                format!("{name} {} ms", value(before)),
                format!("{} ms", value(after)),
            )
        });
    }
    let cell = |measure: Option<Measure>| match (measure, change.metric) {
        (None, _) => "none".to_owned(),
        (Some(measure), Metric::Presence | Metric::Rate) => group(measure.count),
        (Some(measure), _) => share(measure.value),
    };
    (cell(change.before), cell(change.after))
}

/// The quantile that moved by the greatest factor.
fn told_quantile(change: &Change) -> Option<(&'static str, Bounds, Bounds)> {
    let size = |ratio: Option<f64>| {
        ratio
            .filter(|ratio| *ratio > 0.0)
            .map_or(0.0, |ratio| ratio.ln().abs())
    };
    let told = change.quantiles.iter().max_by(|a, b| {
        size(a.ratio)
            .total_cmp(&size(b.ratio))
            .then(b.quantile.total_cmp(&a.quantile))
    })?;
    let name = if told.quantile < 0.6 {
        "p50"
    } else if told.quantile < 0.95 {
        "p90"
    } else {
        "p99"
    };
    Some((name, told.before_ms, told.after_ms))
}

/// Difference and ratio, with their bounds.
fn effect(change: &Change) -> String {
    if change.metric == Metric::Latency {
        let over = change
            .share_over
            .map(|over| format!("over {} ms {}", short(over.limit_ms), points(over.difference)));
        // Where only the tail moved, this says nothing.
        let slower = change
            .slower_probability
            .and_then(|bounds| bounds.value)
            .filter(|value| (value - 0.5).abs() >= 0.1)
            .map(|value| format!("slower in {} of pairs", share(value)));
        let parts: Vec<String> = [over, slower].into_iter().flatten().collect();
        return parts.join(", ");
    }
    let difference = change.difference.map(points);
    let ratio = change
        .ratio
        .map(|ratio| match (ratio.value, ratio.low, ratio.high) {
            (Some(value), Some(low), Some(high)) => {
                format!("× {} ({}–{})", short(value), short(low), short(high))
            }
            (None, Some(low), _) => format!("at least × {}", short(low)),
            (Some(value), _, Some(high)) if value <= 0.0 => format!("at most × {}", short(high)),
            (Some(value), _, _) => format!("× {}", short(value)),
            _ => String::new(),
        });
    let parts: Vec<String> = [difference, ratio]
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect();
    parts.join(", ")
}

/// A difference of shares in points of a per cent: `+8.9 pp (7.1 to 10.9)`.
fn points(bounds: Bounds) -> String {
    let point = |value: Option<f64>| value.map_or_else(|| "?".to_owned(), |value| signed(value * 100.0));
    format!(
        "{} pp ({} to {})",
        point(bounds.value),
        point(bounds.low),
        point(bounds.high)
    )
}

fn signed(value: f64) -> String {
    let digits = if value.abs() < 1.0 { 2 } else { 1 };
    format!("{value:+.digits$}")
}

fn left_out(diff: &Diff, page: &mut Page) {
    if diff.too_few_count == 0 {
        return;
    }
    page.blank();
    let mut names: Vec<&str> = diff.too_few.iter().map(|few| few.name.as_str()).collect();
    names.dedup();
    let listed: Vec<&str> = names.iter().take(6).copied().collect();
    let more = if names.len() > listed.len() || diff.too_few_count > 100 {
        ", …"
    } else {
        ""
    };
    let text = format!(
        "not compared, with fewer than {} on a side (error texts: 10): {} ({}{more})",
        diff.requests_min,
        group(diff.too_few_count),
        listed.join(", ")
    );
    page.wrapped(2, Role::Faint, &text);
}
