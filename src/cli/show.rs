//! `postmesh show`: what reports cite, as it stands in the inputs.

use super::analyze::hide;
use super::args::{ExcerptArgs, Format};
use super::exit::Status;
use super::privacy::Names;
use super::session::Session;
use crate::Error;
use crate::follow::cited::{self, Cited};
use crate::follow::show;
use crate::input::{self, Source};
use crate::report::{json, text};
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// Runs the command.
pub(super) fn run(args: &ExcerptArgs, session: &mut Session<'_>) -> Result<Status, Error> {
    let mut names = Names::of(&args.names)?;
    let mut wanted: Vec<Cited> = args
        .references
        .iter()
        .flatten()
        .cloned()
        .map(Cited::from)
        .collect();
    if let Some(report) = &args.report {
        wanted.extend(of_report(report, args.finding)?);
    }
    let sources = sources(&args.input.paths)?;
    let context = usize::try_from(args.context).unwrap_or(usize::MAX);
    let mut shown = show::show(&sources, &wanted, context);
    hide(&mut shown, &args.privacy)?;
    names.document(&mut shown);
    names.finish()?;
    for missed in &shown.unresolved {
        session.complain(&format!("{}: {}", missed.reference, missed.why));
    }
    if args.format == Some(Format::Json) {
        session.print_with(|out| json::write_document(&shown, out))?;
    } else {
        let style = session.style(&args.draw);
        session.print(&text::render_shown(&shown, &style, args.full))?;
    }
    Ok(if shown.excerpts.is_empty() {
        Status::Usage
    } else {
        Status::Clean
    })
}

/// The inputs under `paths`; an error where there is none.
pub(super) fn sources(paths: &[PathBuf]) -> Result<Vec<Source>, Error> {
    let discovery = input::discover(paths);
    if discovery.sources.is_empty() {
        let mut reasons: Vec<String> = discovery
            .unreadable
            .iter()
            .take(5)
            .map(|unreadable| format!("{}: {}", unreadable.display_path, unreadable.what))
            .collect();
        if reasons.is_empty() {
            reasons.push("no files were found".to_owned());
        }
        return Err(Error::NothingRead(reasons.join("; ")));
    }
    Ok(discovery.sources)
}

fn of_report(path: &Path, finding: Option<u64>) -> Result<Vec<Cited>, Error> {
    let file = std::fs::File::open(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })?;
    let cited = cited::of_report(BufReader::new(file), finding);
    let cited = cited.map_err(|why| Error::Option {
        option: "--report",
        message: format!("{} {why}", path.display()),
    })?;
    if cited.is_empty() {
        return Err(Error::Option {
            option: "--report",
            message: format!("{}: nothing is cited there", path.display()),
        });
    }
    Ok(cited)
}
