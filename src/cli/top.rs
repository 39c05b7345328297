//! `postmesh top`: rows by any of their fields.

use super::args::{TableFormat, TopArgs, TopOrder};
use super::exit::Status;
use super::privacy::Names;
use super::session::Session;
use super::{analyze, options, warnings};
use crate::report::model::TopGroup;
use crate::report::{json, rows, text};
use crate::{Error, Report};
use std::cmp::Ordering;

/// Runs the command. Failed rows are no failure of it: the status says only whether all could be read.
pub(super) fn run(args: &TopArgs, session: &mut Session<'_>) -> Result<Status, Error> {
    let options = options::of_top(args)?;
    let mut names = Names::of(&args.names)?;
    let mut report = analyze::engine(&options, args.quiet, &args.privacy, session)?;
    names.report(&mut report);
    names.finish()?;
    if !args.quiet {
        warnings::warn(&report.inputs, session);
    }
    let shown = arrange(&mut report, args.by, args.limit);
    match args.format {
        Some(TableFormat::Json) => {
            session.print_with(|out| json::write_document(&rows::TopDocument::of(&report), out))?;
        }
        Some(TableFormat::Csv) => session.print_with(|out| rows::top_csv(&report, out))?,
        Some(TableFormat::Text) | None => {
            let style = session.style(&args.draw);
            session.print(&text::render_top(&report, shown, &style))?;
        }
    }
    Ok(Status::of_inputs(&report.inputs))
}

/// Puts the groups in order and cuts them: how many there were.
fn arrange(report: &mut Report, by: TopOrder, limit: u64) -> usize {
    let Some(top) = &mut report.top else {
        return 0;
    };
    let all = top.groups.len();
    // A stable order: what is alike stays in that of rows and names.
    top.groups.sort_by(|a, b| most(b, by, a));
    if limit > 0 {
        top.groups.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    all
}

fn most(a: &TopGroup, by: TopOrder, b: &TopGroup) -> Ordering {
    match by {
        TopOrder::Rows => a.rows.cmp(&b.rows),
        TopOrder::Failed => a.failed.cmp(&b.failed),
        TopOrder::FailedShare => a.failed_share.total_cmp(&b.failed_share),
        TopOrder::P50 => a.duration_ms.p50.cmp(&b.duration_ms.p50),
        TopOrder::P90 => a.duration_ms.p90.cmp(&b.duration_ms.p90),
        TopOrder::P99 => a.duration_ms.p99.cmp(&b.duration_ms.p99),
        TopOrder::Max => a.duration_ms.max.cmp(&b.duration_ms.max),
    }
}
