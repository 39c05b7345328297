//! `postmesh schema`: the JSON Schema of the report.

use super::exit::Status;
use super::session::Session;
use crate::Error;
use crate::report::schema;

/// Runs the command.
pub(super) fn run(session: &mut Session<'_>) -> Result<Status, Error> {
    let text = schema::text().map_err(|_| Error::Internal("the report's schema has no JSON form"))?;
    session.print(&text)?;
    Ok(Status::Clean)
}
