//! Known error texts that occurred.

use super::clock::Clock;
use super::number::group;
use super::page::{Page, Role};
use super::place::place;
use super::table::{Cell, Column, Set, Table};
use crate::report::model::{Ref, Report, SignatureHits};

/// Signatures listed; the rest is counted.
const LISTED: usize = 10;

/// The signatures that hit, greatest severity and count first.
pub(super) fn signatures(report: &Report, page: &mut Page) {
    if report.signatures.is_empty() {
        return;
    }
    let mut hits: Vec<_> = report.signatures.iter().collect();
    hits.sort_by_key(|hit| (rank(&hit.severity), std::cmp::Reverse(hit.count), &hit.id));
    page.heading("SIGNATURES", "postmesh signatures show ID says more");
    let clock = Clock::new(&report.window);
    let mut table = Table::new(vec![
        Column::new("signature", Set::Flexible(26)),
        Column::new("count", Set::Right),
        Column::dropped("first", Set::Left, 1),
        Column::dropped("last", Set::Left, 2),
        Column::new("for example", Set::Flexible(32)),
    ]);
    for hit in hits.iter().take(LISTED) {
        let time = |t| Option::map_or(t, String::new(), |t| clock.time(t));
        table.row(vec![
            Cell(role(&hit.severity), hit.id.clone()),
            Cell::plain(group(hit.count)),
            Cell::plain(time(hit.first)),
            Cell::plain(time(hit.last)),
            Cell::plain(example(report, hit)),
        ]);
    }
    table.put(page);
    if hits.len() > LISTED {
        page.wrapped(
            2,
            Role::Faint,
            &format!("… {} more in the JSON report", hits.len() - LISTED),
        );
    }
}

fn example(report: &Report, hit: &SignatureHits) -> String {
    hit.examples.first().map_or_else(String::new, |example| {
        let at = Ref {
            input: example.input,
            line: Some(example.line),
            frame: None,
            offset_bytes: None,
        };
        place(&report.inputs, &at)
    })
}

fn rank(severity: &str) -> u8 {
    match severity {
        "critical" => 0,
        "warning" => 1,
        _ => 2,
    }
}

fn role(severity: &str) -> Role {
    match severity {
        "critical" => Role::Critical,
        "warning" => Role::Warning,
        _ => Role::Plain,
    }
}
