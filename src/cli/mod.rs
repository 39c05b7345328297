//! The command line: what was typed (`args`) to what it means (`options`), a command run, its outcome to an
//! exit status (`exit`).
//!
//! This is the only part that reads the clock or the environment, or writes to the terminal. Each command has
//! a file of its own; what all of them write through is `session::Session`, so that a test can run any
//! command in memory, with an engine of its own.

mod analyze;
mod args;
mod batch;
mod collect;
mod completions;
mod diff;
mod exit;
mod export;
mod inspect;
mod ladders;
mod man;
mod options;
mod output;
mod privacy;
mod progress;
mod quotes;
mod redact;
mod run_info;
mod schema;
mod session;
mod show;
mod signatures;
mod slice;
#[cfg(test)]
mod tests;
mod time;
mod top;
mod trace;
mod warnings;

use crate::Error;
use args::{Args, Command};
use clap::Parser;
use clap::error::ErrorKind;
use exit::Status;
use session::Session;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the program: parses `args` (the program's name first), runs the command, and writes to standard output
/// and standard error. The exit status is 0 for a clean report, 1 for findings, 2 for usage errors or when
/// nothing could be read, 3 when an input could not be opened or the inputs do not suffice for a verdict.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr());
    let mut session = Session::of_process(&mut out, &mut err);
    run_in(args, &mut session).into()
}

fn run_in(args: impl IntoIterator<Item = OsString>, session: &mut Session<'_>) -> Status {
    match Args::try_parse_from(args) {
        Ok(args) => dispatch(args, session).unwrap_or_else(|error| session.fail(&error)),
        Err(error) => usage(&error, session),
    }
}

fn dispatch(args: Args, session: &mut Session<'_>) -> Result<Status, Error> {
    match args.command {
        None => analyze::run(&args.analyze, session),
        Some(Command::Analyze(args)) => analyze::run(&args, session),
        Some(Command::Inspect(args)) => inspect::run(&args, session),
        Some(Command::Show(args)) => show::run(&args, session),
        Some(Command::Trace(args)) => trace::run(&args, session),
        Some(Command::Signatures(args)) => signatures::run(&args, session),
        Some(Command::Collect(args)) => collect::run(&args, session),
        Some(Command::Schema { document }) => schema::run(document, session),
        Some(Command::Batch(args)) => batch::run(&args, session),
        Some(Command::Export(args)) => export::run(&args, session),
        Some(Command::Redact(args)) => redact::run(&args, session),
        Some(Command::Top(args)) => top::run(&args, session),
        Some(Command::Slice(args)) => slice::run(&args, session),
        Some(Command::Diff(args)) => diff::run(&args, session),
        Some(Command::Completions { shell }) => completions::run(shell, session),
        Some(Command::Man) => man::run(session),
    }
}

/// Help and version are answers; everything else that the parser refuses is a usage error.
fn usage(error: &clap::Error, session: &mut Session<'_>) -> Status {
    let text = error.render();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let text = if session.paints_output() {
                text.ansi().to_string()
            } else {
                text.to_string()
            };
            session
                .print(&text)
                .map_or_else(|error| session.fail(&error), |()| Status::Clean)
        }
        _ => {
            let text = if session.paints_errors() {
                text.ansi().to_string()
            } else {
                text.to_string()
            };
            session.tell(text.trim_end());
            Status::Usage
        }
    }
}
