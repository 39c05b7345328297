//! `postmesh batch`: many incidents, a line each.

use super::args::{BatchArgs, Format};
use super::exit::Status;
use super::session::Session;
use super::{analyze, options};
use crate::Error;
use crate::report::batch::{Batch, Incident};
use crate::report::{json, text};

/// Runs the command: each folder by itself, one after the other. One that cannot be read is a line, not an end.
pub(super) fn run(args: &BatchArgs, session: &mut Session<'_>) -> Result<Status, Error> {
    let mut batch = Batch::default();
    let mut statuses = Vec::new();
    for path in &args.input.paths {
        let options = options::of_batch(args, path)?;
        let name = path.display().to_string();
        match analyze::engine(&options, args.show.quiet, &args.privacy, session) {
            Ok(report) => {
                statuses.push(Status::of_report(&report));
                batch.add(Incident::of(name, &report));
            }
            Err(error) => {
                statuses.push(Status::Incomplete);
                batch.add(Incident::broken(name, error.to_string()));
            }
        }
    }
    match (args.show.format, args.show.quiet) {
        (Some(Format::Json), _) => session.print_with(|out| json::write_document(&batch, out))?,
        (Some(Format::Text), _) | (None, false) => {
            let style = session.style(&args.show.draw);
            session.print(&text::render_batch(&batch, &style))?;
        }
        (None, true) => {}
    }
    let status = if batch.incidents.iter().all(|incident| incident.error.is_some()) {
        Status::Usage
    } else if statuses.contains(&Status::Findings) {
        Status::Findings
    } else if statuses.contains(&Status::Incomplete) {
        Status::Incomplete
    } else {
        Status::Clean
    };
    Ok(if args.exit_zero {
        status.unless_error()
    } else {
        status
    })
}
