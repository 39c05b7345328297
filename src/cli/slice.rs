//! `postmesh slice`: a finding's part of the inputs, as a folder that gives the same verdict.

use super::args::SliceArgs;
use super::exit::Status;
use super::session::Session;
use super::show::sources;
use super::{analyze, options, warnings};
use crate::decode::log::Layouts;
use crate::follow::slice::{Cut, Kept, copy, is_capture, path_of};
use crate::input::Source;
use crate::report::model::Finding;
use crate::units::Timestamp;
use crate::{Error, Options, Report};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// So much before and after a finding's window is kept at least: rates before it and after it are evidence.
const MARGIN_MS: u64 = 30_000;

/// How much is cut away, from the smallest slice to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Rows that name the service, in the span.
    Service,
    /// All that is of the span.
    Span,
    /// Everything.
    All,
}

impl Step {
    fn says(self) -> &'static str {
        match self {
            Self::Service => "rows of the finding's service, other lines and packets, in its span",
            Self::Span => "all lines and packets in the span of the finding",
            Self::All => "everything: less did not give the same verdict",
        }
    }
}

/// Runs the command.
pub(super) fn run(args: &SliceArgs, session: &mut Session<'_>) -> Result<Status, Error> {
    let options = options::of_slice(args)?;
    is_free(&args.output)?;
    let report = analyze::engine(&options, args.quiet, &args.privacy, session)?;
    if !args.quiet {
        warnings::warn(&report.inputs, session);
    }
    let finding = report
        .findings
        .iter()
        .find(|finding| finding.rank == args.finding);
    let Some(finding) = finding else {
        return Err(Error::Option {
            option: "--finding",
            message: format!("there are {} findings", report.findings.len()),
        });
    };
    let sources = sources(&options.paths)?;
    let layouts = args.tune.layouts.or_of_mesh(&sources);
    for step in [Step::Service, Step::Span, Step::All] {
        let Some(cut) = cut(finding, step) else { continue };
        let kept = write(&sources, &cut, &layouts, &args.output)?;
        if step == Step::All || gives_the_same(&report, finding, &options, args, session) {
            tell(args, finding, step, kept, session)?;
            return Ok(Status::Clean);
        }
        std::fs::remove_dir_all(&args.output).map_err(|error| failed(&args.output, error))?;
    }
    Err(Error::Internal("a slice of everything is everything"))
}

/// A folder that is not there yet, or empty: nothing of somebody else is overwritten, or taken for a part of the slice.
fn is_free(folder: &Path) -> Result<(), Error> {
    let is_empty = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
    if folder.exists() && !is_empty {
        return Err(Error::Option {
            option: "--output",
            message: format!(
                "{} is not empty; name a folder that is not there yet",
                folder.display()
            ),
        });
    }
    Ok(())
}

fn failed(path: &Path, source: std::io::Error) -> Error {
    Error::File {
        path: path.to_owned(),
        source,
    }
}

/// What a step keeps; `None` where it would keep the same as the next.
fn cut(finding: &Finding, step: Step) -> Option<Cut> {
    let span = finding.window.start.zip(finding.window.end).map(|(start, end)| {
        let length = u64::try_from(end.millis_since(start)).unwrap_or(0);
        let margin = MARGIN_MS.max(length / 4);
        let before = i64::try_from(margin)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000_000);
        (Timestamp(start.0.saturating_sub(before)), end.plus_millis(margin))
    });
    let service = finding
        .scope
        .destination
        .as_deref()
        .map(crate::aggregate::address::short_service)
        .filter(|service| !service.is_empty() && *service != "*" && *service != "istiod");
    match step {
        Step::Service => Some(Cut {
            span: Some(span?),
            service: Some(service?.to_owned()),
        }),
        Step::Span => Some(Cut {
            span: Some(span?),
            service: None,
        }),
        Step::All => Some(Cut::default()),
    }
}

/// Lines and packets that were kept and left out.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    lines: Kept,
    packets: Kept,
}

fn write(sources: &[Source], cut: &Cut, layouts: &Layouts, folder: &Path) -> Result<Sums, Error> {
    let mut sums = Sums::default();
    let mut taken: BTreeSet<PathBuf> = BTreeSet::new();
    for source in sources {
        let mut name = path_of(source);
        if !taken.insert(name.clone()) {
            name = Path::new(&format!("input-{}", source.id.0)).join(name);
            taken.insert(name.clone());
        }
        let path = folder.join(&name);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        let file = File::create(&path).map_err(|error| failed(&path, error))?;
        let mut out = BufWriter::new(file);
        let copied = copy(source, cut, layouts, &mut out);
        let written = copied.and_then(|kept| std::io::Write::flush(&mut out).map(|()| kept));
        let kept = written.map_err(|error| failed(&path, error))?;
        drop(out);
        match kept {
            Some(kept) if kept.records > 0 => {
                let sum = if is_capture(source) {
                    &mut sums.packets
                } else {
                    &mut sums.lines
                };
                sum.records = sum.records.saturating_add(kept.records);
                sum.left_out = sum.left_out.saturating_add(kept.left_out);
            }
            // Nothing of it is of the finding.
            _ => std::fs::remove_file(&path).map_err(|error| failed(&path, error))?,
        }
    }
    Ok(sums)
}

/// True if the slice alone gives the finding, and first if it was first.
fn gives_the_same(
    report: &Report,
    finding: &Finding,
    options: &Options,
    args: &SliceArgs,
    session: &Session<'_>,
) -> bool {
    let options = Options {
        paths: vec![args.output.clone()],
        ..options.clone()
    };
    let Ok(again) = analyze::engine(&options, true, &args.privacy, session) else {
        return false;
    };
    let is_same = |other: &Finding| {
        other.cause == finding.cause
            && other.scope.destination == finding.scope.destination
            && other.severity == finding.severity
    };
    if finding.rank == 1 {
        again.verdict.state == report.verdict.state && again.findings.first().is_some_and(is_same)
    } else {
        again.findings.iter().any(is_same)
    }
}

fn tell(
    args: &SliceArgs,
    finding: &Finding,
    step: Step,
    sums: Sums,
    session: &mut Session<'_>,
) -> Result<(), Error> {
    let text = format!(
        "{}: {} of {} lines, {} of {} packets ({}); gives finding {}: {}",
        args.output.display(),
        sums.lines.records,
        sums.lines.records.saturating_add(sums.lines.left_out),
        sums.packets.records,
        sums.packets.records.saturating_add(sums.packets.left_out),
        step.says(),
        finding.rank,
        finding.id,
    );
    let text = crate::report::escape::escape(&text, crate::report::escape::Charset::Unicode).into_owned();
    session.print(&format!("{text}\n"))
}
