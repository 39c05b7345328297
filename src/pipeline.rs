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
use crate::input::{self, Block, BlockReader, Discovery, ReadOptions, Source, SourceKind};
use crate::matcher::Matcher;
use crate::options::TimeBound;
use crate::progress::{NoProgress, Progress};
use crate::report::build::{Assembly, InputRead};
use crate::units::Timestamp;
use crate::{Error, Options, Report, diagnose, report};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    let reading = Reading {
        options,
        sources: &discovery.sources,
        progress,
        next: AtomicUsize::new(0),
    };
    let (totals, reads) = run(&reading, collector_options)?;
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

/// A reader's ends of the channels.
#[derive(Clone)]
struct ReaderEnds {
    work: Sender<Work>,
    empty: Receiver<Vec<u8>>,
    reads: Sender<(usize, InputRead)>,
}

/// A worker's ends.
#[derive(Clone)]
struct WorkerEnds {
    work: Receiver<Work>,
    empty: Sender<Vec<u8>>,
    partials: Sender<Partial>,
}

/// The ends of the thread that merges.
struct MergeEnds {
    partials: Receiver<Partial>,
    reads: Receiver<(usize, InputRead)>,
}

fn channels(workers: usize, readers: usize, sources: usize) -> (ReaderEnds, WorkerEnds, MergeEnds) {
    let (work_in, work) = bounded(workers);
    let (empty_in, empty) = bounded(workers * 2 + readers);
    let (partials_in, partials) = bounded(PARTIALS_IN_FLIGHT);
    let (reads_in, reads) = bounded(sources);
    let reader = ReaderEnds {
        work: work_in,
        empty,
        reads: reads_in,
    };
    let worker = WorkerEnds {
        work,
        empty: empty_in,
        partials: partials_in,
    };
    (reader, worker, MergeEnds { partials, reads })
}

#[expect(clippy::disallowed_methods, reason = "the one place where threads start")]
fn run(
    reading: &Reading<'_>,
    collector_options: CollectorOptions<'_>,
) -> Result<(Totals, Vec<InputRead>), Error> {
    reading.announce();
    let workers = reading.options.threads.max(1);
    let readers = workers.min(reading.sources.len()).max(1);
    let (reader, worker, merge) = channels(workers, readers, reading.sources.len());
    let origins: Vec<Origin> = reading.sources.iter().map(origin).collect();
    std::thread::scope(|scope| {
        for _ in 0..readers {
            let ends = reader.clone();
            scope.spawn(move || reading.read_sources(&ends));
        }
        for _ in 0..workers {
            let (ends, origins) = (worker.clone(), &origins);
            scope.spawn(move || collect(collector_options, origins, &ends));
        }
        // Only the threads hold them now: when the last one ends, the merge does.
        drop((reader, worker));
        merge.gather(reading.sources.len())
    })
}

impl MergeEnds {
    fn gather(self, sources: usize) -> Result<(Totals, Vec<InputRead>), Error> {
        let mut totals = Totals::default();
        for partial in self.partials {
            totals.absorb(partial);
        }
        let mut reads: Vec<(usize, InputRead)> = self.reads.iter().collect();
        reads.sort_by_key(|(index, _)| *index);
        if reads.len() == sources {
            Ok((totals, reads.into_iter().map(|(_, read)| read).collect()))
        } else {
            Err(Error::Internal("a reader ended early"))
        }
    }
}

/// What the readers share.
struct Reading<'r> {
    options: &'r Options,
    sources: &'r [Source],
    progress: &'r dyn Progress,
    /// The first source that no reader has taken.
    next: AtomicUsize,
}

impl Reading<'_> {
    fn announce(&self) {
        let sizes: Option<Vec<u64>> = self.sources.iter().map(|s| s.size_bytes).collect();
        self.progress
            .planned(sizes.map(|s| s.iter().sum()), self.sources.len());
    }

    /// Reads sources, one after the other, into blocks.
    fn read_sources(&self, ends: &ReaderEnds) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(source) = self.sources.get(index) else {
                return;
            };
            let read = if deselected(source, self.options) {
                InputRead::left_out()
            } else {
                self.read_source(source, index, ends)
            };
            self.progress.finished_input(&source.display_path);
            // The receiver outlives every reader.
            drop(ends.reads.send((index, read)));
        }
    }

    fn read_source(&self, source: &Source, index: usize, ends: &ReaderEnds) -> InputRead {
        let mut reader = match BlockReader::open(source, &read_options(self.options.block_bytes)) {
            Ok(reader) => reader,
            Err(error) => return InputRead::failed(error.to_string()),
        };
        let (kind, compression) = (reader.kind(), reader.compression());
        let told = if kind == SourceKind::Text {
            self.read_blocks(&mut reader, index, ends)
        } else {
            0
        };
        self.progress
            .read(source.size_bytes.unwrap_or(0).saturating_sub(told));
        InputRead {
            kind: Some(kind),
            compression: Some(compression),
            summary: Some(reader.finish()),
            failure: None,
            left_out: false,
        }
    }

    /// Hands on all blocks; returns how many stored bytes were told to the progress.
    fn read_blocks(&self, reader: &mut BlockReader, source: usize, ends: &ReaderEnds) -> u64 {
        let mut told = 0;
        while let Some(block) = reader.next_block(ends.empty.try_recv().unwrap_or_default()) {
            let stored = reader.stored_bytes_read();
            self.progress.read(stored.saturating_sub(told));
            told = stored;
            if ends.work.send(Work { block, source }).is_err() {
                break;
            }
        }
        told
    }
}

fn read_options(block_bytes: usize) -> ReadOptions {
    ReadOptions {
        block_bytes,
        max_line_bytes: MAX_LINE_BYTES,
        boundary: may_cut,
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

/// Decodes, matches and aggregates blocks.
fn collect(options: CollectorOptions<'_>, origins: &[Origin], ends: &WorkerEnds) {
    let mut decoder = LogDecoder::default();
    let mut collector = Collector::new(options);
    for Work { block, source } in &ends.work {
        let Some(origin) = origins.get(source) else {
            continue;
        };
        collector.begin_block(origin, block.seq, block.offset_bytes);
        decoder.decode_block(&block.data, &mut |at, line| collector.line(at, line));
        collector.end_block(block.data.len());
        // A full or closed channel only means that this buffer is not needed again.
        drop(ends.empty.try_send(block.data));
        if let Some(partial) = collector.overflow()
            && ends.partials.send(partial).is_err()
        {
            return;
        }
    }
    drop(ends.partials.send(collector.take()));
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
    let mut reader = BlockReader::open(source, &read_options(HEAD_BYTES)).ok()?;
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
