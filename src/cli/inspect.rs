//! `postmesh inspect`: what is in these inputs, without a verdict.

use super::args::{Format, InspectArgs};
use super::exit::Status;
use super::session::Session;
use super::{analyze, options, warnings};
use crate::Error;
use crate::report::model::{Input, Missing, Tool, Window};
use crate::report::{json, text};
use serde::Serialize;

/// The value of `schema` in the document.
const SCHEMA: &str = "postmesh.inspect/1";

/// The document of `--format json`: members of the report under their names there.
#[derive(Serialize)]
struct Inspection<'report> {
    schema: &'static str,
    tool: &'report Tool,
    window: &'report Window,
    inputs: &'report [Input],
    missing: &'report [Missing],
}

/// Runs the command.
pub(super) fn run(args: &InspectArgs, session: &mut Session<'_>) -> Result<Status, Error> {
    let options = options::of_inspect(args)?;
    let report = analyze::engine(&options, args.show.quiet, session)?;
    if !args.show.quiet {
        warnings::warn(&report.inputs, session);
    }
    let show = &args.show;
    let (inputs, missing, window) = (&report.inputs, &report.missing, &report.window);
    match (show.format, show.quiet) {
        (Some(Format::Json), _) => {
            let document = Inspection {
                schema: SCHEMA,
                tool: &report.tool,
                window,
                inputs,
                missing,
            };
            session.print_with(|out| json::write_document(&document, out))?;
        }
        (Some(Format::Text), _) | (None, false) => {
            let style = session.style(&show.draw);
            session.print(&text::render_inputs(inputs, missing, window, &style))?;
        }
        (None, true) => {}
    }
    Ok(Status::of_inputs(inputs))
}
