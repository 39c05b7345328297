//! Rows by fields: a group a line.

use super::number::{counted, group, per_cent};
use super::page::{Page, Role};
use super::table::{Cell, Column, Set, Table};
use crate::report::model::{Report, TopGroup};

/// The groups that are left in the report, of which there were `all`.
pub(super) fn top(report: &Report, all: usize, page: &mut Page) {
    let Some(top) = &report.top else {
        return;
    };
    if top.groups.is_empty() {
        page.wrapped(0, Role::Plain, "no access-log row was found");
    } else {
        let mut columns: Vec<Column> = top
            .fields
            .iter()
            .map(|field| Column::new(field, Set::Flexible(8)))
            .collect();
        columns.extend([
            Column::new("seen by", Set::Left),
            Column::new("rows", Set::Right),
            Column::dropped("share", Set::Right, 5),
            Column::new("failed", Set::Right),
            Column::dropped("of these", Set::Right, 4),
            Column::dropped("p50 ms", Set::Right, 3),
            Column::dropped("p90", Set::Right, 2),
            Column::dropped("p99", Set::Right, 1),
            Column::dropped("max", Set::Right, 1),
        ]);
        let mut table = Table::new(columns);
        for of in &top.groups {
            table.row(cells(of));
        }
        table.put(page);
    }
    let shown = top.groups.len();
    let mut notes = vec![format!(
        "{} in {}",
        counted(top.rows, "row"),
        counted(all as u64, "group")
    )];
    if shown < all {
        notes.push(format!("{shown} shown (--limit 0 shows all)"));
    }
    if top.rows_in_no_group > 0 {
        notes.push(format!(
            "{} of groups that were too many to keep",
            counted(top.rows_in_no_group, "row")
        ));
    }
    if let Some(condition) = &report.selection.condition {
        let left_out = counted(report.selection.rows_left_out, "row");
        notes.push(format!("{left_out} left out, not meeting: {condition}"));
    }
    page.blank();
    page.wrapped(0, Role::Faint, &notes.join("; "));
}

fn cells(of: &TopGroup) -> Vec<Cell> {
    let short = |value: &String| Cell::plain(value.replace(".svc.cluster.local", ""));
    let mut cells: Vec<Cell> = of.values.iter().map(short).collect();
    let caller = of.reporter == "source";
    let spread = of.duration_ms;
    let ms = |ms: u64| {
        Cell::plain(if spread.count == 0 {
            "\u{2013}".to_owned()
        } else {
            group(ms)
        })
    };
    cells.extend([
        Cell::plain(if caller { "caller" } else { "called" }),
        Cell::plain(group(of.rows)),
        Cell::plain(per_cent(of.share)),
        Cell::plain(group(of.failed)),
        Cell::plain(per_cent(of.failed_share)),
        ms(spread.p50),
        ms(spread.p90),
        ms(spread.p99),
        ms(spread.max),
    ]);
    cells
}
