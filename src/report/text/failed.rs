//! What failed: totals, by destination, by flag, code and detail, and how often callers tried again.

use super::lead;
use super::number::{counted, decimal, group, share};
use super::page::{Page, Role};
use super::table::{Cell, Column, Set, Table};
use super::wrap::pack;
use crate::report::model::{Breakdown, Counts, Report};

/// Rows of destinations.
const DESTINATIONS: usize = 10;
/// Names listed of each kind of count.
const NAMES: usize = 8;
/// Where lists start.
const COLUMN: usize = 13;

/// Counts of what went wrong.
pub(super) fn failed(report: &Report, page: &mut Page) {
    let requests = &report.requests;
    if requests.rows == 0 {
        return;
    }
    let note = format!("{} of all reporters", counted(requests.rows, "access-log row"));
    let nothing = requests.failed == 0 && requests.denied == 0;
    page.heading(if nothing { "REQUESTS" } else { "WHAT FAILED" }, &note);
    // Where no finding leads, the totals stand under the verdict already.
    if lead(report).is_some() {
        totals(report, page);
    }
    tally("by code", &requests.by_code, COLUMN, page);
    tally("by flag", &requests.by_flag, COLUMN, page);
    tally("by detail", &requests.by_detail, COLUMN, page);
    retries(report, page);
    destinations(&requests.by_destination, page);
}

fn totals(report: &Report, page: &mut Page) {
    let requests = &report.requests;
    let text = format!(
        "{}: {} failed ({}), {} denied, {} canceled by the caller; {}",
        counted(requests.total, "request"),
        group(requests.failed),
        share(requests.failed, requests.total),
        group(requests.denied),
        group(requests.canceled),
        counted(requests.tcp_connections, "TCP connection"),
    );
    page.labelled((Role::Plain, "in all"), COLUMN, Role::Plain, &text);
}

/// Counts after a label, greatest first, names of equal count in their order.
pub(super) fn tally(label: &str, counts: &Counts, column: usize, page: &mut Page) {
    if counts.is_empty() {
        return;
    }
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by_key(|&(name, &count)| (std::cmp::Reverse(count), name));
    let room = page.width().saturating_sub(column);
    let mut words: Vec<String> = sorted
        .iter()
        .take(NAMES)
        .map(|(name, count)| format!("{} {}", page.shown(name), group(**count)))
        .collect();
    if sorted.len() > NAMES {
        words.push(format!("{} {} more", page.ellipsis(), sorted.len() - NAMES));
    }
    let parts = pack(words.iter().map(String::as_str), "   ", room);
    page.labelled_lines((Role::Plain, label), column, Role::Plain, &parts);
}

fn retries(report: &Report, page: &mut Page) {
    let retries = &report.requests.retries;
    if retries.requests_followed == 0 {
        return;
    }
    let sample = if retries.truncated { ", a sample" } else { "" };
    let followed = format!(
        "{} followed by their id{sample}",
        counted(retries.requests_followed, "request")
    );
    let text = match retries.requests_with_retry {
        0 => format!("none; {followed}"),
        retried => format!(
            "{} tried more than once, {} attempts per request; {followed}",
            counted(retried, "request"),
            decimal(retries.amplification, 2),
        ),
    };
    page.labelled((Role::Plain, "retries"), COLUMN, Role::Plain, &text);
}

fn destinations(breakdowns: &[Breakdown], page: &mut Page) {
    let mut hit: Vec<_> = breakdowns
        .iter()
        .filter(|b| b.failed > 0 || b.denied > 0)
        .collect();
    hit.sort_by_key(|b| {
        (
            std::cmp::Reverse((b.failed, b.denied, b.canceled)),
            &b.name,
            &b.reporter,
        )
    });
    if hit.is_empty() {
        return;
    }
    let mut table = Table::new(vec![
        Column::new("destination", Set::Flexible(24)),
        Column::dropped("seen by", Set::Left, 3),
        Column::new("requests", Set::Right),
        Column::new("failed", Set::Right),
        Column::dropped("share", Set::Right, 1),
        Column::dropped("denied", Set::Right, 4),
        Column::dropped("canceled", Set::Right, 5),
        Column::dropped("flags", Set::Left, 2),
    ]);
    for b in hit.iter().take(DESTINATIONS) {
        let role = if b.failed > 0 { Role::Critical } else { Role::Plain };
        table.row(vec![
            Cell::plain(&b.name),
            Cell::plain(seen_by(&b.reporter)),
            Cell::plain(group(b.requests)),
            Cell(role, group(b.failed)),
            Cell::plain(share(b.failed, b.requests)),
            Cell::plain(group(b.denied)),
            Cell::plain(group(b.canceled)),
            Cell::plain(flags(&b.flags)),
        ]);
    }
    table.put(page);
    if hit.len() > DESTINATIONS {
        page.wrapped(
            2,
            Role::Faint,
            &format!("… {} more in the JSON report", hit.len() - DESTINATIONS),
        );
    }
}

/// Which side's proxy wrote the rows.
pub(super) fn seen_by(reporter: &str) -> &str {
    match reporter {
        "source" => "caller",
        "destination" => "called",
        other => other,
    }
}

/// The three most frequent flags.
fn flags(flags: &Counts) -> String {
    let mut sorted: Vec<_> = flags.iter().collect();
    sorted.sort_by_key(|&(name, &count)| (std::cmp::Reverse(count), name));
    let shown: Vec<_> = sorted.iter().take(3).map(|(name, _)| name.as_str()).collect();
    shown.join(",")
}
