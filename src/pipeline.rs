//! Every thread and channel: read, fan out, merge.
//!
//! Readers (at most one per input) fill blocks and hand them over a bounded channel to the workers; emptied
//! buffers go back to the readers. A worker decodes, matches and aggregates its block, and hands on what it
//! has collected when that grows large and at its end; the calling thread merges. Nothing waits unboundedly:
//! each channel is bounded, so a slow stage slows the ones before it.

use crate::aggregate::collector::{Collector, CollectorOptions, Origin, Partial};
use crate::aggregate::{Totals, address};
use crate::catalog::Catalog;
use crate::correlate::{Incident, names};
use crate::decode::log::{Content, LogDecoder, may_cut};
use crate::input::{self, Block, BlockReader, Discovery, ReadOptions, ReadSummary, Source, SourceKind};
use crate::matcher::Matcher;
use crate::options::TimeBound;
use crate::progress::{NoProgress, Progress};
use crate::report::build::{Assembly, InputRead};
use crate::units::Timestamp;
use crate::{Error, Options, Report, diagnose, report};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::path::Path;

/// Longest line that is read whole.
const MAX_LINE_BYTES: usize = 1 << 20;

/// Partials on their way to the merge.
const PARTIALS_IN_FLIGHT: usize = 4;

/// Reads the inputs of `options` and answers; tells nobody how it goes.
///
/// # Errors
/// [`Error::NothingRead`] when no input could be read; mistakes in the user's own files and options.
pub fn analyze(options: &Options) -> Result<Report, Error> {
    analyze_with(options, &NoProgress)
}

/// As [`analyze`], telling `progress` how it goes.
///
/// # Errors
/// As [`analyze`].
pub fn analyze_with(options: &Options, progress: &dyn Progress) -> Result<Report, Error> {
    let catalog = Catalog::load(&options.signature_files, &options.cause_files)?;
    let matcher = Matcher::new(&catalog)?;
    let discovery = input::discover(&options.paths);
    let (since, until) = bounds(options, &discovery.sources)?;
    let collector_options = CollectorOptions {
        catalog: &catalog,
        matcher: &matcher,
        since,
        until,
        pods: &options.pods,
        examples: options.examples,
    };
    let (totals, reads) = run(options, &discovery.sources, collector_options, progress)?;
    if reads.iter().all(|read| !read.opened()) {
        return Err(Error::NothingRead(why_nothing(&discovery, &reads)));
    }
    let incident = Incident::of(&totals);
    let diagnosis = diagnose::diagnose(&incident, &catalog)?;
    let assembly = Assembly {
        incident: &incident,
        catalog: &catalog,
        sources: &discovery.sources,
        unreadable: &discovery.unreadable,
        reads: &reads,
        diagnosis,
    };
    Ok(report::build::assemble(assembly))
}

fn why_nothing(discovery: &Discovery, reads: &[InputRead]) -> String {
    let unreadable = discovery
        .unreadable
        .iter()
        .map(|u| format!("{}: {}", u.display_path, u.what));
    let failed = discovery.sources.iter().zip(reads).filter_map(|(source, read)| {
        read.failure
            .as_ref()
            .map(|what| format!("{}: {what}", source.display_path))
    });
    let mut reasons: Vec<String> = unreadable.chain(failed).take(5).collect();
    if reasons.is_empty() {
        reasons.push("no files were found; name a file or a folder that holds istio-proxy logs".to_owned());
    }
    reasons.join("; ")
}

struct Work {
    block: Block,
    source: usize,
}

#[expect(clippy::disallowed_methods, reason = "the one place where threads start")]
fn run(
    options: &Options,
    sources: &[Source],
    collector_options: CollectorOptions<'_>,
    progress: &dyn Progress,
) -> Result<(Totals, Vec<InputRead>), Error> {
    let sizes: Option<Vec<u64>> = sources.iter().map(|s| s.size_bytes).collect();
    progress.planned(sizes.map(|s| s.iter().sum()), sources.len());
    let workers = options.threads.max(1);
    let readers = workers.min(sources.len()).max(1);
    let buffers = workers * 2 + readers;
    let (work_in, work_out) = bounded::<Work>(workers);
    let (empty_in, empty_out) = bounded::<Vec<u8>>(buffers);
    let (partial_in, partial_out) = bounded::<Partial>(PARTIALS_IN_FLIGHT);
    let (next_in, next_out) = bounded::<usize>(sources.len());
    let (read_in, read_out) = bounded::<(usize, InputRead)>(sources.len());
    for index in 0..sources.len() {
        // Holds every index: the channel has room for all of them.
        drop(next_in.try_send(index));
    }
    drop(next_in);
    let origins: Vec<Origin> = sources.iter().map(origin).collect();
    std::thread::scope(|scope| {
        for _ in 0..readers {
            let (next, work, empty, reads) = (
                next_out.clone(),
                work_in.clone(),
                empty_out.clone(),
                read_in.clone(),
            );
            scope.spawn(move || read_sources(options, sources, &next, &work, &empty, &reads, progress));
        }
        drop((work_in, read_in));
        for _ in 0..workers {
            let (work, empty, partials) = (work_out.clone(), empty_in.clone(), partial_in.clone());
            let origins = &origins;
            scope.spawn(move || collect(collector_options, origins, &work, &empty, &partials));
        }
        drop((partial_in, work_out, empty_in));
        let mut totals = Totals::default();
        for partial in partial_out {
            totals.absorb(partial);
        }
        let mut reads: Vec<(usize, InputRead)> = read_out.iter().collect();
        reads.sort_by_key(|(index, _)| *index);
        if reads.len() == sources.len() {
            Ok((totals, reads.into_iter().map(|(_, read)| read).collect()))
        } else {
            Err(Error::Internal("a reader ended early"))
        }
    })
}

/// Reads sources, one after the other, into blocks.
fn read_sources(
    options: &Options,
    sources: &[Source],
    next: &Receiver<usize>,
    work: &Sender<Work>,
    empty: &Receiver<Vec<u8>>,
    reads: &Sender<(usize, InputRead)>,
    progress: &dyn Progress,
) {
    for index in next {
        let Some(source) = sources.get(index) else {
            continue;
        };
        let read = if deselected(source, options) {
            InputRead::left_out()
        } else {
            read_source(options, source, index, work, empty, progress)
        };
        progress.finished_input(&source.display_path);
        // The receiver outlives every reader.
        drop(reads.send((index, read)));
    }
}

/// True if the path of the source says that it is of a namespace or pod that was not asked for.
fn deselected(source: &Source, options: &Options) -> bool {
    let namespace = source.identity.namespace.as_ref();
    let pod = source.identity.pod.as_ref();
    namespace.is_some_and(|n| !options.namespaces.is_empty() && !options.namespaces.contains(n))
        || pod.is_some_and(|p| {
            !options.pods.is_empty() && !options.pods.iter().any(|o| o == p || o == address::workload(p))
        })
}

fn read_source(
    options: &Options,
    source: &Source,
    index: usize,
    work: &Sender<Work>,
    empty: &Receiver<Vec<u8>>,
    progress: &dyn Progress,
) -> InputRead {
    let read_options = ReadOptions {
        block_bytes: options.block_bytes,
        max_line_bytes: MAX_LINE_BYTES,
        boundary: may_cut,
    };
    let mut reader = match BlockReader::open(source, &read_options) {
        Ok(reader) => reader,
        Err(error) => return InputRead::failed(error.to_string()),
    };
    let (kind, compression) = (reader.kind(), reader.compression());
    let mut told = 0;
    if kind == SourceKind::Text {
        while let Some(block) = reader.next_block(empty.try_recv().unwrap_or_default()) {
            let stored = reader.stored_bytes_read();
            progress.read(stored.saturating_sub(told));
            told = stored;
            if work.send(Work { block, source: index }).is_err() {
                break;
            }
        }
    }
    progress.read(source.size_bytes.unwrap_or(0).saturating_sub(told));
    let summary: ReadSummary = reader.finish();
    InputRead {
        kind: Some(kind),
        compression: Some(compression),
        summary: Some(summary),
        failure: None,
        left_out: false,
    }
}

/// Decodes, matches and aggregates blocks.
fn collect(
    options: CollectorOptions<'_>,
    origins: &[Origin],
    work: &Receiver<Work>,
    empty: &Sender<Vec<u8>>,
    partials: &Sender<Partial>,
) {
    let mut decoder = LogDecoder::default();
    let mut collector = Collector::new(options);
    for Work { block, source } in work {
        let Some(origin) = origins.get(source) else {
            continue;
        };
        collector.begin_block(origin, block.seq, block.offset_bytes);
        decoder.decode_block(&block.data, &mut |at, line| collector.line(at, line));
        collector.end_block(block.data.len());
        // A full or closed channel only means that this buffer is not needed again.
        drop(empty.try_send(block.data));
        if let Some(partial) = collector.overflow()
            && partials.send(partial).is_err()
        {
            return;
        }
    }
    drop(partials.send(collector.take()));
}

fn origin(source: &Source) -> Origin {
    let proxy = match &source.identity.pod {
        Some(pod) => pod.clone(),
        None => format!("{}{}", names::UNNAMED, source.display_path),
    };
    Origin {
        input: source.id,
        proxy,
        namespace: source.identity.namespace.clone(),
    }
}

/// Settles the bounds on time; a time of day is of the day of the earliest record at the head of any input.
fn bounds(options: &Options, sources: &[Source]) -> Result<(Option<Timestamp>, Option<Timestamp>), Error> {
    let of_day = |bound: Option<TimeBound>| matches!(bound, Some(TimeBound::TimeOfDay(_)));
    let day = if of_day(options.since) || of_day(options.until) {
        Some(first_day(sources)?)
    } else {
        None
    };
    let settle = |bound: Option<TimeBound>| {
        bound.map(|bound| match bound {
            TimeBound::At(time) => time,
            TimeBound::TimeOfDay(ns) => Timestamp(day.unwrap_or(0).saturating_add(ns)),
        })
    };
    Ok((settle(options.since), settle(options.until)))
}

const NS_PER_DAY: i64 = 86_400_000_000_000;

fn first_day(sources: &[Source]) -> Result<i64, Error> {
    let heads = sources
        .iter()
        .filter(|source| source.open_path != Path::new("-") && source.size_bytes.is_some());
    let first = heads.filter_map(first_time).min();
    match first {
        Some(time) => Ok(time.0.div_euclid(NS_PER_DAY) * NS_PER_DAY),
        None => Err(Error::Option {
            option: "--since/--until",
            message: "a time of day needs the day of the data, which the inputs do not tell beforehand; give a full date such as 2026-11-02T03:02:00Z".to_owned(),
        }),
    }
}

/// Bytes of an input in which its first record time is looked for.
const HEAD_BYTES: usize = 64 << 10;

fn first_time(source: &Source) -> Option<Timestamp> {
    let options = ReadOptions {
        block_bytes: HEAD_BYTES,
        max_line_bytes: MAX_LINE_BYTES,
        boundary: may_cut,
    };
    let mut reader = BlockReader::open(source, &options).ok()?;
    if reader.kind() != SourceKind::Text {
        return None;
    }
    let block = reader.next_block(Vec::new())?;
    let mut first: Option<Timestamp> = None;
    LogDecoder::default().decode_block(&block.data, &mut |_, line| {
        let time = match &line.content {
            Content::Access(row) => row.start,
            Content::Component(message) => message.time,
            _ => None,
        };
        first = match (first, time) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    });
    first
}
