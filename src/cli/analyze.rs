//! `postmesh analyze`: everything that the inputs tell.

use super::args::{AnalyzeArgs, PrivacyArgs, ReportFormat};
use super::exit::Status;
use super::privacy::Names;
use super::progress::Bar;
use super::run_info::Stopwatch;
use super::session::Session;
use super::{ladders, options, quotes, warnings};
use crate::report::privacy::secrets::Secrets;
use crate::report::privacy::texts::Texts;
use crate::report::{html, json, markdown, text};
use crate::{Error, Options, Report};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Runs the command.
pub(super) fn run(args: &AnalyzeArgs, session: &mut Session<'_>) -> Result<Status, Error> {
    let mut options = options::of_analyze(args)?;
    options.over_time = drawing(args);
    for file in &args.output {
        file.check(&options.paths)?;
    }
    let mut names = Names::of(&args.names)?;
    let watch = Stopwatch::start();
    let mut report = engine(&options, args.quiet, &args.privacy, session)?;
    report.run = (!args.no_run_info).then(|| watch.run(options.threads, &report.inputs));
    if quoting(args) {
        report.quotes = quotes::of(&report, &options.paths);
        let masked = hide(&mut report.quotes, &args.privacy)?;
        report.privacy.secrets_masked = report.privacy.secrets_masked.saturating_add(masked);
    }
    if drawing(args) {
        report.ladders = ladders::of(&report, &options.paths, &args.tune.layouts);
        for ladder in &mut report.ladders {
            // Those of the lines that it shows are counted where they are cited.
            hide(&mut ladder.trace, &args.privacy)?;
        }
    }
    names.report(&mut report);
    for ladder in &mut report.ladders {
        names.document(&mut ladder.trace);
    }
    names.finish()?;
    if !args.quiet {
        warnings::warn(&report.inputs, session);
    }
    write(args, &report, session)?;
    if report.selection.interrupted {
        return Ok(Status::Interrupted);
    }
    let status = Status::of_report(&report);
    Ok(if args.exit_zero {
        status.unless_error()
    } else {
        status
    })
}

/// Runs the engine, drawing its progress where somebody sees it, and hides what must not be shown.
pub(super) fn engine(
    options: &Options,
    quiet: bool,
    privacy: &PrivacyArgs,
    session: &Session<'_>,
) -> Result<Report, Error> {
    let bar = Bar::new(
        session.surroundings.err_is_terminal && !quiet,
        Arc::clone(&session.stop),
    );
    let report = (session.engine)(options, &bar);
    bar.clear();
    let mut report = report?;
    report.privacy.secrets_masked = hide(&mut report, privacy)?;
    Ok(report)
}

/// Hides in a document what must not be shown: how many values that were.
pub(super) fn hide(document: &mut impl Texts, privacy: &PrivacyArgs) -> Result<u64, Error> {
    if privacy.show_secrets {
        return Ok(0);
    }
    Ok(Secrets::built_in()?.mask_all(document))
}

/// Whether something is written that draws single requests, and in which a window can be chosen.
fn drawing(args: &AnalyzeArgs) -> bool {
    let formats = args.output.iter().map(super::output::OutputFile::format);
    formats
        .chain(args.format)
        .any(|format| format == ReportFormat::Html)
}

/// Whether something is written that shows what it cites.
fn quoting(args: &AnalyzeArgs) -> bool {
    let formats = args.output.iter().map(super::output::OutputFile::format);
    formats
        .chain(args.format)
        .any(|format| matches!(format, ReportFormat::Html | ReportFormat::Markdown))
}

/// Links to the inputs, for a terminal. What others are to read has none: they name folders, and with `--pseudonyms` real names.
fn linked(
    args: &AnalyzeArgs,
    report: &Report,
    session: &Session<'_>,
    style: &text::TextStyle,
) -> Option<text::Links> {
    if !session.links(&args.draw) || args.names.pseudonyms.is_some() {
        return None;
    }
    let lying: Vec<(&str, PathBuf)> = report
        .inputs
        .iter()
        .take(LINKED_INPUTS)
        .filter_map(|input| Some((input.path.as_str(), lies_at(&args.input.paths, &input.path)?)))
        .collect();
    text::Links::new(lying.iter().map(|(name, path)| (*name, path.as_path())), style)
}

/// Inputs that are looked for to be linked: one or two questions to the system each.
const LINKED_INPUTS: usize = 1000;

/// The file that an input is, where only one of those that were typed, or that lie below them, can be meant.
fn lies_at(typed: &[PathBuf], name: &str) -> Option<PathBuf> {
    let found: BTreeSet<PathBuf> = typed
        .iter()
        .flat_map(|path| [path.join(name), path.with_file_name(name)])
        .filter(|path| path.is_file())
        .filter_map(|path| path.canonicalize().ok())
        .collect();
    let mut found = found.into_iter();
    found.next().filter(|_| found.next().is_none())
}

/// Files first: when standard output is a pipe that closes early, they are there all the same.
fn write(args: &AnalyzeArgs, report: &Report, session: &mut Session<'_>) -> Result<(), Error> {
    let style = session.style(&args.draw);
    for file in &args.output {
        // A file is read elsewhere: the width of this terminal says nothing about it.
        let width = args
            .draw
            .width
            .map_or(text::TextStyle::default().width, |_| style.width);
        file.write(report, &text::TextStyle { width, ..style })?;
    }
    match (args.format, args.quiet) {
        (Some(ReportFormat::Json), _) => session.print_with(|out| json::render(report, out)),
        (Some(ReportFormat::Html), _) => session.print(&html::render(report)),
        (Some(ReportFormat::Markdown), _) => session.print(&markdown::render(report)),
        (Some(ReportFormat::Text), _) | (None, false) => {
            let links = linked(args, report, session, &style);
            session.print(&text::render_linked(report, &style, links))
        }
        (None, true) => Ok(()),
    }
}
