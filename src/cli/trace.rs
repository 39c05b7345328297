//! `postmesh trace`: one request or connection through every input.

use super::args::{Format, TraceArgs};
use super::exit::Status;
use super::session::Session;
use super::show::sources;
use crate::Error;
use crate::follow::trace::{ClockOffsets, Target, trace};
use crate::report::{json, text};

/// Runs the command.
pub(super) fn run(args: &TraceArgs, session: &mut Session<'_>) -> Result<Status, Error> {
    let sources = sources(&args.input.paths)?;
    let (option, target) = match (
        &args.target.request,
        args.target.connection,
        &args.target.reference,
    ) {
        (Some(id), _, _) => ("--request", Target::Request(id.clone())),
        (_, Some(tuple), _) => ("--connection", Target::Connection(tuple)),
        (_, _, Some(references)) => match references.as_slice() {
            [reference] => ("--ref", Target::Reference(reference.clone())),
            _ => return Err(option("--ref", "give one place: a trace follows one request")),
        },
        _ => return Err(option("--request", "give --request, --connection or --ref")),
    };
    // Clocks are taken as they are: nothing here knows how far they are apart.
    let trace = trace(&sources, &target, &ClockOffsets::new());
    let trace = trace.map_err(|message| Error::Option { option, message })?;
    if args.format == Some(Format::Json) {
        session.print_with(|out| json::write_document(&trace, out))?;
    } else {
        let style = session.style(&args.draw);
        session.print(&text::render_trace(&trace, &style))?;
    }
    Ok(Status::Clean)
}

fn option(option: &'static str, message: &str) -> Error {
    Error::Option {
        option,
        message: message.to_owned(),
    }
}
