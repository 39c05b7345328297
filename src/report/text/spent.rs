//! Where the time went, and how rows and connections joined.

use super::number::{counted, decimal, group};
use super::page::{Page, Role};
use super::place::{input_of, name_of, place};
use super::table::{Cell, Column, Set, Table};
use crate::report::model::{ClockOffset, Correlation, DestinationSpent, JoinExample, Quantiles, Ref, Report};

/// Destinations shown.
const DESTINATIONS: usize = 5;
/// Examples told.
const EXAMPLES: usize = 3;
/// Clocks told.
const CLOCKS: usize = 4;
/// Reasons told.
const REASONS: usize = 3;
/// A line of each destination: its name and its figure.
type Line = (&'static str, fn(&Quantiles) -> f64);

/// Where texts begin.
const COLUMN: usize = 12;

/// Parts of the time: their name in the model and the title of their column.
const PARTS: [(&str, &str, u8); 9] = [
    ("connect", "connect", 0),
    ("tls", "TLS", 0),
    ("request_sent", "send", 2),
    ("waiting", "wait", 0),
    ("network", "network", 1),
    ("application", "app", 1),
    ("response_received", "receive", 3),
    ("retries", "retries", 0),
    ("proxy", "proxy", 0),
];

/// The section.
pub(super) fn spent(report: &Report, page: &mut Page) {
    let correlation = &report.correlation;
    let by_packets: u64 = correlation
        .time_spent_from
        .iter()
        .filter(|(from, _)| from.as_str() != "rows")
        .map(|(_, count)| *count)
        .sum();
    // What rows alone tell of it stands under HOW SLOW as well.
    if by_packets == 0 && correlation.joined_requests == 0 && apart(correlation).next().is_none() {
        return;
    }
    let note = if by_packets > 0 {
        format!("{}, ms", counted(by_packets, "request"))
    } else {
        String::new()
    };
    page.heading("WHERE THE TIME WENT, BY PACKETS", &note);
    table(correlation, page);
    joined(correlation, page);
    clocks(report, page);
    examples(report, page);
}

fn shown(correlation: &Correlation) -> impl Iterator<Item = &DestinationSpent> {
    correlation
        .by_destination
        .iter()
        .filter(|destination| destination.from.keys().any(|from| from != "rows"))
        .take(DESTINATIONS)
}

fn table(correlation: &Correlation, page: &mut Page) {
    let rows: Vec<&DestinationSpent> = shown(correlation).collect();
    if rows.is_empty() {
        return;
    }
    let of = |row: &DestinationSpent, part: &str| row.time_spent_ms.get(part).cloned().unwrap_or_default();
    let used: Vec<&(&str, &str, u8)> = PARTS
        .iter()
        .filter(|(part, ..)| rows.iter().any(|row| of(row, part).count > 0))
        .collect();
    let mut columns = vec![
        Column::new("destination", Set::Flexible(18)),
        Column::dropped("count", Set::Right, 4),
        Column::new("", Set::Left),
    ];
    columns.extend(used.iter().map(|(_, title, rank)| {
        if *rank == 0 {
            Column::new(title, Set::Right)
        } else {
            Column::dropped(title, Set::Right, *rank)
        }
    }));
    let mut table = Table::new(columns);
    let lines: [Line; 2] = [("p50", |q| q.p50), ("p99", |q| q.p99)];
    for row in rows {
        for (number, (name, value)) in lines.iter().enumerate() {
            let first = number == 0;
            let mut cells = vec![
                Cell::plain(if first { brief(&row.name) } else { String::new() }),
                Cell::plain(if first { group(row.requests) } else { String::new() }),
                Cell(Role::Faint, (*name).to_owned()),
            ];
            for (part, ..) in &used {
                let quantiles = of(row, part);
                cells.push(Cell::plain(if quantiles.count == 0 {
                    "–".to_owned()
                } else {
                    milliseconds(value(&quantiles))
                }));
            }
            table.row(cells);
        }
    }
    table.put(page);
    if used.iter().any(|(part, ..)| *part == "network") {
        page.wrapped(
            2,
            Role::Faint,
            "network (between the two proxies) and app are parts of wait",
        );
    }
}

fn milliseconds(ms: f64) -> String {
    decimal(ms, if ms < 10.0 { 2 } else { usize::from(ms < 1000.0) })
}

/// A service of the cluster without the cluster's domain.
fn brief(name: &str) -> String {
    name.replacen(".svc.cluster.local", "", 1)
}

fn joined(correlation: &Correlation, page: &mut Page) {
    if correlation.joinable_requests > 0 {
        let told: Vec<String> = correlation
            .told_by
            .iter()
            .map(|(by, count)| format!("{} {}", group(*count), told_words(by)))
            .collect();
        let sample = if correlation.truncated {
            " (of a sample)"
        } else {
            ""
        };
        let mut text = format!(
            "{} of {} rows whose connection was captured{sample}: {}",
            group(correlation.joined_requests),
            group(correlation.joinable_requests),
            told.join(", ")
        );
        let mut reasons: Vec<(&String, &u64)> = correlation.unjoined_because.iter().collect();
        reasons.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        if !reasons.is_empty() {
            let list: Vec<String> = reasons
                .iter()
                .take(REASONS)
                .map(|(reason, count)| format!("{} {}", group(**count), reason.replace('-', " ")))
                .collect();
            text = format!("{text}; not joined: {}", list.join(", "));
        }
        page.labelled((Role::Plain, "joined"), COLUMN, Role::Plain, &text);
    }
    let pairs = &correlation.paired_proxies;
    if pairs.of > 0 {
        let text = format!(
            "{} of {} found the called proxy's row",
            group(pairs.joined),
            counted(pairs.of, "caller's row")
        );
        page.labelled((Role::Plain, "paired"), COLUMN, Role::Plain, &text);
    }
}

fn told_words(by: &str) -> &str {
    match by {
        "request-id" => "by request id",
        "order" => "by order on it",
        "multiplexed" => "multiplexed, its own bytes hidden",
        "unseen" => "without bytes of its own in it",
        "set" => "to a set of attempts",
        other => other,
    }
}

/// Clocks that surely differ.
fn apart(correlation: &Correlation) -> impl Iterator<Item = &ClockOffset> {
    correlation
        .clock
        .iter()
        .filter(|offset| offset.low_us > 0.0 || offset.high_us < 0.0)
        .filter(|offset| offset.offset_us.abs() >= 1000.0)
}

fn clocks(report: &Report, page: &mut Page) {
    let name = |id| input_of(&report.inputs, id).map(name_of).unwrap_or_default();
    for (number, offset) in apart(&report.correlation).take(CLOCKS).enumerate() {
        let text = format!(
            "{} is {} ms (± {}) {} {}: {}",
            name(offset.input_b),
            decimal(offset.offset_us.abs() / 1000.0, 1),
            decimal(offset.spread_us / 1000.0, 1),
            if offset.offset_us > 0.0 {
                "ahead of"
            } else {
                "behind"
            },
            name(offset.input_a),
            counted(offset.anchors, "anchor")
        );
        let label = if number == 0 { "clocks" } else { "" };
        page.labelled((Role::Plain, label), COLUMN, Role::Plain, &text);
    }
}

fn examples(report: &Report, page: &mut Page) {
    let examples: Vec<&JoinExample> = report.correlation.examples.iter().take(EXAMPLES).collect();
    for (number, example) in examples.iter().enumerate() {
        let frame = Ref {
            input: example.stream.input,
            line: None,
            frame: Some(example.stream.first_frame),
            offset_bytes: None,
        };
        let text = format!(
            "{} ↔ {}: {}",
            place(&report.inputs, &example.request),
            place(&report.inputs, &frame),
            example.story
        );
        let label = if number == 0 { "for example" } else { "" };
        page.labelled((Role::Plain, label), COLUMN, Role::Plain, &text);
    }
}
