//! `postmesh trace`: one request or connection through every input.

use super::analyze::hide;
use super::args::{Format, TraceArgs};
use super::exit::Status;
use super::privacy::Names;
use super::session::Session;
use super::show::sources;
use crate::Error;
use crate::follow::clocks;
use crate::follow::trace::{ClockOffsets, Target, trace};
use crate::input::Source;
use crate::report::{json, text};
use std::io::BufReader;
use std::path::Path;

/// Runs the command.
pub(super) fn run(args: &TraceArgs, session: &mut Session<'_>) -> Result<Status, Error> {
    let mut names = Names::of(&args.names)?;
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
    // Without a report clocks are taken as they are: nothing here knows how far they are apart.
    let offsets = match &args.report {
        Some(report) => clocks_of(report, &sources)?,
        None => ClockOffsets::new(),
    };
    let layouts = args.layouts.or_of_mesh(&sources);
    let trace = trace(&sources, &target, &offsets, &layouts);
    let mut trace = trace.map_err(|message| Error::Option { option, message })?;
    hide(&mut trace, &args.privacy)?;
    names.document(&mut trace);
    names.finish()?;
    if args.format == Some(Format::Json) {
        session.print_with(|out| json::write_document(&trace, out))?;
    } else {
        let style = session.style(&args.draw);
        session.print(&text::render_trace(&trace, &style))?;
    }
    Ok(Status::Clean)
}

fn clocks_of(report: &Path, sources: &[Source]) -> Result<ClockOffsets, Error> {
    let file = std::fs::File::open(report).map_err(|source| Error::File {
        path: report.to_owned(),
        source,
    })?;
    clocks::of_report(BufReader::new(file), sources)
        .map_err(|why| option("--report", &format!("{} {why}", report.display())))
}

fn option(option: &'static str, message: &str) -> Error {
    Error::Option {
        option,
        message: message.to_owned(),
    }
}
