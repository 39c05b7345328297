//! `postmesh diff`: what is new, gone, more, less, slower or faster between two runs, or two spans of one.

use super::analyze::hide;
use super::args::{DiffArgs, Format};
use super::exit::Status;
use super::privacy::Names;
use super::session::Session;
use super::time::TypedSpan;
use super::{analyze, options, warnings};
use crate::Error;
use crate::report::compare::model::Outcome;
use crate::report::compare::{Figures, compare};
use crate::report::{json, text};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// Runs the command.
pub(super) fn run(args: &DiffArgs, session: &mut Session<'_>) -> Result<Status, Error> {
    let mut names = Names::of(&args.names)?;
    let [(before_label, before), (after_label, after)] = sides(args, &mut names, session)?;
    let mut diff = compare((&before_label, &before), (&after_label, &after))?;
    // A saved report may have been written with its secrets.
    hide(&mut diff, &args.privacy)?;
    names.document(&mut diff);
    names.finish()?;
    match (args.show.format, args.show.quiet) {
        (Some(Format::Json), _) => session.print_with(|out| json::write_document(&diff, out))?,
        (Some(Format::Text), _) | (None, false) => {
            let style = session.style(&args.show.draw);
            session.print(&text::render_diff(&diff, &style))?;
        }
        (None, true) => {}
    }
    let status = match diff.outcome {
        Outcome::Worse => Status::Findings,
        Outcome::TooLittle => Status::Incomplete,
        Outcome::Better | Outcome::Different | Outcome::NoChange => Status::Clean,
    };
    Ok(if args.exit_zero {
        status.unless_error()
    } else {
        status
    })
}

/// Both sides, with what they are called.
fn sides(
    args: &DiffArgs,
    names: &mut Names,
    session: &mut Session<'_>,
) -> Result<[(String, Figures); 2], Error> {
    if let (Some(baseline), Some(against)) = (args.baseline, args.against) {
        let before = raw(args, &args.input.paths, Some(baseline), names, session)?;
        let after = raw(args, &args.input.paths, Some(against), names, session)?;
        return Ok([(baseline.to_string(), before), (against.to_string(), after)]);
    }
    let [before, after] = args.input.paths.as_slice() else {
        return Err(Error::Option {
            option: "PATH",
            message: "give two: what was before and what is compared with it; for two spans of the same inputs give \
                      --baseline and --against"
                .to_owned(),
        });
    };
    Ok([
        side(args, before, names, session)?,
        side(args, after, names, session)?,
    ])
}

/// A saved report, or inputs to be read; told by content.
fn side(
    args: &DiffArgs,
    path: &Path,
    names: &mut Names,
    session: &mut Session<'_>,
) -> Result<(String, Figures), Error> {
    let label = path.display().to_string();
    if !is_report(path) {
        return Ok((label, raw(args, &[path.to_owned()], None, names, session)?));
    }
    let file = File::open(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })?;
    let figures = Figures::saved(BufReader::new(file)).map_err(|why| Error::File {
        path: path.to_owned(),
        source: std::io::Error::other(why),
    })?;
    Ok((label, figures))
}

/// Bytes in which a report says that it is one: `schema` is its first member.
const HEAD_BYTES: u64 = 256;

fn is_report(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = std::fs::metadata(path)
        .and_then(|metadata| {
            if metadata.is_file() {
                File::open(path)?.take(HEAD_BYTES).read_to_end(&mut head)
            } else {
                Ok(0)
            }
        })
        .is_ok();
    let text = String::from_utf8_lossy(&head);
    read && text.trim_start().starts_with('{') && text.contains("\"postmesh.")
}

fn raw(
    args: &DiffArgs,
    paths: &[PathBuf],
    span: Option<TypedSpan>,
    names: &mut Names,
    session: &mut Session<'_>,
) -> Result<Figures, Error> {
    let options = options::of_diff(args, paths, span)?;
    let mut report = analyze::engine(&options, args.show.quiet, &args.privacy, session)?;
    names.learn(&mut report);
    if !args.show.quiet {
        warnings::warn(&names.inputs(&report.inputs), session);
    }
    Figures::of(&report).map_err(|_| Error::Internal("the report has no JSON form"))
}
