//! `postmesh schema`: the JSON Schema of a document.

use super::args::Document;
use super::exit::Status;
use super::session::Session;
use crate::Error;
use crate::report::{compare, schema};

/// Runs the command.
pub(super) fn run(document: Document, session: &mut Session<'_>) -> Result<Status, Error> {
    let text = match document {
        Document::Report => schema::text(),
        Document::Diff => compare::schema_text(),
    };
    let text = text.map_err(|_| Error::Internal("a schema has no JSON form"))?;
    session.print(&text)?;
    Ok(Status::Clean)
}
