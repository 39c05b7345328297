//! `postmesh export`: a table of the report as rows, for other programs.

use super::args::{ExportArgs, ExportTable, RowFormat};
use super::exit::Status;
use super::privacy::Names;
use super::session::Session;
use super::{analyze, options, warnings};
use crate::Error;
use crate::report::rows::{self, Table};

/// Runs the command. A finding is no failure of an export: the status says only whether all could be read.
pub(super) fn run(args: &ExportArgs, session: &mut Session<'_>) -> Result<Status, Error> {
    let options = options::of_export(args)?;
    let mut names = Names::of(&args.names)?;
    let mut report = analyze::engine(&options, args.quiet, &args.privacy, session)?;
    names.report(&mut report);
    names.finish()?;
    if !args.quiet {
        warnings::warn(&report.inputs, session);
    }
    let table = match args.table {
        ExportTable::Requests => Table::Requests,
        ExportTable::Streams => Table::Streams,
        ExportTable::Signatures => Table::Signatures,
    };
    session.print_with(|out| match args.format {
        RowFormat::Ndjson => rows::ndjson(&report, table, out),
        RowFormat::Csv => rows::csv(&report, table, out),
    })?;
    Ok(Status::of_inputs(&report.inputs))
}
