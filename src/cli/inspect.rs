//! `postmesh inspect`: what is in these inputs, without a verdict.

use super::args::{Format, InspectArgs};
use super::exit::Status;
use super::privacy::Names;
use super::session::Session;
use super::{analyze, options, warnings};
use crate::Error;
use crate::report::model::{CapturePoint, CaptureStreams, Counts, Input, Missing, Tool, Window};
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
    captures: Held<'report>,
}

/// What captures hold: members of the report's `captures` under their names there.
#[derive(Serialize)]
struct Held<'report> {
    packets: u64,
    bytes: u64,
    link_types: &'report Counts,
    streams: &'report CaptureStreams,
    points: &'report [CapturePoint],
}

/// Runs the command.
pub(super) fn run(args: &InspectArgs, session: &mut Session<'_>) -> Result<Status, Error> {
    let options = options::of_inspect(args)?;
    let mut names = Names::of(&args.names)?;
    let mut report = analyze::engine(&options, args.show.quiet, &args.privacy, session)?;
    names.report(&mut report);
    names.finish()?;
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
                captures: Held {
                    packets: report.captures.packets,
                    bytes: report.captures.bytes,
                    link_types: &report.captures.link_types,
                    streams: &report.captures.streams,
                    points: &report.captures.points,
                },
            };
            session.print_with(|out| json::write_document(&document, out))?;
        }
        (Some(Format::Text), _) | (None, false) => {
            let style = session.style(&show.draw);
            session.print(&text::render_inputs(&report, &style))?;
        }
        (None, true) => {}
    }
    Ok(Status::of_inputs(inputs))
}
