//! What was typed to what it means.

use super::args::{
    AnalyzeArgs, BatchArgs, CatalogArgs, DiffArgs, ExportArgs, ExportTable, InputArgs, InspectArgs,
    SelectArgs, SliceArgs, TopArgs, TuneArgs,
};
use super::time::TypedSpan;
use crate::options::TimeBound;
use crate::{Error, Options};
use std::num::NonZero;
use std::path::{Path, PathBuf};

/// The options of a run of `analyze`.
pub(super) fn of_analyze(args: &AnalyzeArgs) -> Result<Options, Error> {
    let options = read_and_select(&args.input, &args.select, &args.tune)?;
    let CatalogArgs {
        signature_files,
        cause_files,
    } = &args.catalog;
    Ok(Options {
        signature_files: signature_files.clone(),
        cause_files: cause_files.clone(),
        examples: size(args.examples),
        streams: args.streams,
        ..options
    })
}

/// The options of a run of `export`.
pub(super) fn of_export(args: &ExportArgs) -> Result<Options, Error> {
    let CatalogArgs {
        signature_files,
        cause_files,
    } = &args.catalog;
    Ok(Options {
        signature_files: signature_files.clone(),
        cause_files: cause_files.clone(),
        streams: args.table == ExportTable::Streams,
        ..read_and_select(&args.input, &args.select, &args.tune)?
    })
}

/// The options of a run of `slice`.
pub(super) fn of_slice(args: &SliceArgs) -> Result<Options, Error> {
    let CatalogArgs {
        signature_files,
        cause_files,
    } = &args.catalog;
    Ok(Options {
        signature_files: signature_files.clone(),
        cause_files: cause_files.clone(),
        ..read_and_select(&args.input, &args.select, &args.tune)?
    })
}

/// The options of a run of `top`.
pub(super) fn of_top(args: &TopArgs) -> Result<Options, Error> {
    Ok(Options {
        top: args.fields.clone(),
        ..read_and_select(&args.input, &args.select, &args.tune)?
    })
}

/// The options of one of the runs of `batch`.
pub(super) fn of_batch(args: &BatchArgs, path: &Path) -> Result<Options, Error> {
    let input = InputArgs {
        paths: vec![path.to_owned()],
    };
    let CatalogArgs {
        signature_files,
        cause_files,
    } = &args.catalog;
    Ok(Options {
        signature_files: signature_files.clone(),
        cause_files: cause_files.clone(),
        ..read_and_select(&input, &SelectArgs::default(), &args.tune)?
    })
}

/// The options of a run of `inspect`.
pub(super) fn of_inspect(args: &InspectArgs) -> Result<Options, Error> {
    read_and_select(&args.input, &args.select, &args.tune)
}

/// The options of one of the two runs of `diff`.
pub(super) fn of_diff(args: &DiffArgs, paths: &[PathBuf], span: Option<TypedSpan>) -> Result<Options, Error> {
    let input = InputArgs {
        paths: paths.to_vec(),
    };
    let select = SelectArgs {
        since: span.and_then(|span| span.since),
        until: span.and_then(|span| span.until),
        namespaces: args.namespaces.clone(),
        pods: args.pods.clone(),
        condition: args.condition.clone(),
    };
    let CatalogArgs {
        signature_files,
        cause_files,
    } = &args.catalog;
    Ok(Options {
        signature_files: signature_files.clone(),
        cause_files: cause_files.clone(),
        ..read_and_select(&input, &select, &args.tune)?
    })
}

fn read_and_select(input: &InputArgs, select: &SelectArgs, tune: &TuneArgs) -> Result<Options, Error> {
    let defaults = Options::default();
    let since = select.since.map(super::time::TypedTime::as_since);
    let until = select.until.map(super::time::TypedTime::as_until);
    if let (Some(since), Some(until)) = (since, until) {
        in_order(since, until)?;
    }
    Ok(Options {
        paths: input.paths.clone(),
        since,
        until,
        namespaces: select.namespaces.clone(),
        pods: select.pods.clone(),
        condition: select.condition.clone(),
        layouts: tune.layouts.compiled(),
        threads: tune.threads.map_or_else(cores, size),
        block_bytes: tune.block_size.map_or(defaults.block_bytes, size),
        ..defaults
    })
}

/// A bound on a date and one on a time of the day can only be compared when the data's day is known.
fn in_order(since: TimeBound, until: TimeBound) -> Result<(), Error> {
    let reversed = match (since, until) {
        (TimeBound::At(since), TimeBound::At(until)) => since > until,
        (TimeBound::TimeOfDay(since), TimeBound::TimeOfDay(until)) => since > until,
        _ => false,
    };
    if !reversed {
        return Ok(());
    }
    let message =
        "is before --since, so nothing would be left; for a span over midnight give both with their date";
    Err(Error::Option {
        option: "--until",
        message: message.to_owned(),
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
