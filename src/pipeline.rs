//! Every thread and channel: read, fan out, merge.
//!
//! A worker reads a block of an input, decodes, matches and aggregates it while it is still in its processor's
//! cache, and hands on what it has collected over a bounded channel when that grows large and at its end; the
//! calling thread merges. Each worker takes an input of its own while there are any, and then helps with those
//! of others: an input is read by one worker at a time, and its blocks are worked on by all. Every worker has
//! one buffer, which it uses again; a slow merge slows the workers, and nothing waits unboundedly.

pub mod capture_reader;
mod captures;
pub(crate) mod repeats;

use crate::aggregate::collector::{Collector, CollectorOptions, Origin, Partial};
use crate::aggregate::{CaptureTotals, Totals, address};
use crate::catalog::Catalog;
use crate::correlate::{Incident, names};
use crate::decode::document::{DOCUMENT_BYTES_MAX, Form};
use crate::decode::log::{Content, Layouts, LogDecoder, Wrapper, holds_entries, may_cut_with};
use crate::decode::output::{self, Text, TextKind};
use crate::decode::packet::PacketBlock;
use crate::error::Problem;
use crate::input::{
    self, Block, BlockReader, ByteReader, Discovery, Member, ReadOptions, RecordBoundary, Source, SourceKind,
    capture_sets,
};
use crate::matcher::Matcher;
use crate::options::TimeBound;
use crate::progress::{NoProgress, Progress};
use crate::report::build::{Assembly, InputRead};
use crate::streams::{CapturePoint, StreamLimits};
use crate::units::{InputId, Timestamp};
use crate::{Error, Options, Report, diagnose, report};
use capture_reader::CaptureReader;
use captures::{Capture, CaptureRun};
use crossbeam_channel::{Sender, bounded};
use repeats::Repeat;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Longest line that is read whole.
const MAX_LINE_BYTES: usize = 1 << 20;

/// Blocks of captures are larger than those of logs by this: the more packets a shard gets at once, the better what it
/// keeps stays in the processor's cache.
const CAPTURE_BLOCKS: usize = 4;

/// Partials on their way to the merge: with millions of distinct names one holds some 20 MiB.
const PARTIALS_IN_FLIGHT: usize = 1;

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
    let matcher = OnceLock::new();
    let discovery = input::discover(&options.paths);
    let (since, until) = bounds(options, &discovery.sources)?;
    let collecting = Collecting {
        catalog: &catalog,
        matcher: &matcher,
        since,
        until,
        options,
    };
    let reading = Reading::new(options, &discovery.sources, progress);
    let ran = run(&reading, collecting);
    if let Some(Err(error)) = matcher.into_inner() {
        return Err(error);
    }
    let (mut totals, mut reads) = ran?;
    if !progress.is_stopped()
        && let Some(layouts) = layouts_of_mesh(options, &totals, &discovery.sources)
    {
        let again = Options {
            layouts,
            ..options.clone()
        };
        return analyze_with(&again, progress);
    }
    reading.tell_repeats(&totals, &mut reads);
    let captures = without_copies(&discovery.sources, reading.take_captures(), &mut reads);
    let captures = capture_points(&discovery.sources, captures);
    let follows = totals.followed.kept() > 0;
    let limits = StreamLimits {
        passages: follows,
        ..StreamLimits::default()
    };
    let capture_run = CaptureRun {
        sources: &discovery.sources,
        points: &captures,
        threads: options.threads,
        block_bytes: options.block_bytes.saturating_mul(CAPTURE_BLOCKS),
        since,
        until,
        streams: options.streams,
        follows,
        limits: &limits,
    };
    let (of_captures, capture_reads) = captures::run(capture_run, progress);
    totals.captures = of_captures;
    totals.captures.pods = pods_of_points(&discovery.sources, &captures);
    for (source, read) in capture_reads {
        if let Some(slot) = reads.get_mut(source) {
            *slot = read;
        }
    }
    if !options.namespaces.is_empty() {
        tell_unknown_namespaces(&discovery.sources, &totals, &mut reads);
    }
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
        condition: options.condition.as_ref(),
        top: &options.top,
        layouts: &options.layouts,
        over_time: options.over_time,
        interrupted: progress.is_stopped(),
    };
    Ok(report::build::assemble(assembly))
}

/// Inputs are kept, whatever was asked for, where neither their path nor who collected their lines names a namespace: that is said of
/// each.
fn tell_unknown_namespaces(sources: &[Source], totals: &Totals, reads: &mut [InputRead]) {
    for (source, read) in sources.iter().zip(reads) {
        let wrappers = totals.inputs.get(&source.id).map(|stats| stats.wrappers.keys());
        let mut kinds = wrappers.into_iter().flatten().flat_map(|set| set.iter());
        if kinds.any(|kind| kind == Wrapper::Json) {
            continue;
        }
        if let (None, None, Some(summary)) = (&source.identity.namespace, &source.listing, &mut read.summary)
        {
            summary.problems.push(Problem {
                input: source.id,
                offset_bytes: 0,
                line: None,
                what: "its path names no namespace: kept although a namespace was selected".to_owned(),
            });
        }
    }
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
        reasons.push("no files were found".to_owned());
    }
    reasons.join("; ")
}

#[expect(clippy::disallowed_methods, reason = "the one place where threads start")]
fn run(reading: &Reading<'_>, collecting: Collecting<'_>) -> Result<(Totals, Vec<InputRead>), Error> {
    reading.announce();
    let (partials_in, partials) = bounded::<Partial>(PARTIALS_IN_FLIGHT);
    let totals = std::thread::scope(|scope| {
        for _ in 0..reading.options.threads.max(1) {
            let partials = partials_in.clone();
            scope.spawn(move || reading.work(collecting, &partials));
        }
        // Only the threads hold it now: when the last one ends, so does the merge.
        drop(partials_in);
        let mut totals = Totals {
            captures: CaptureTotals::new(reading.options.streams, true),
            ..Totals::default()
        };
        partials.iter().for_each(|partial| totals.absorb(partial));
        totals
    });
    Ok((totals, reading.finish()?))
}

/// What collectors of logs need. The matcher is made with the first block of a log: it takes milliseconds, which runs
/// over captures alone do without.
#[derive(Clone, Copy)]
struct Collecting<'run> {
    catalog: &'run Catalog,
    matcher: &'run OnceLock<Result<Matcher, Error>>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    options: &'run Options,
}

impl<'run> Collecting<'run> {
    /// A collector; none where the signatures cannot be searched for, which ends the run.
    fn collector(self) -> Option<Collector<'run>> {
        let matcher = self
            .matcher
            .get_or_init(|| Matcher::new(self.catalog))
            .as_ref()
            .ok()?;
        Some(Collector::new(CollectorOptions {
            catalog: self.catalog,
            matcher,
            since: self.since,
            until: self.until,
            pods: &self.options.pods,
            namespaces: &self.options.namespaces,
            examples: self.options.examples,
            condition: self.options.condition.as_ref(),
            top: &self.options.top,
            over_time: self.options.over_time,
        }))
    }
}

/// Where an input stands.
enum Slot {
    /// No worker has opened it yet.
    Waiting,
    /// It is being read; `told` stored bytes of it were told to the progress.
    Open { reader: Box<BlockReader>, told: u64 },
    /// It is a capture, and read when all logs are; `Some` where it cannot be opened again (a pipe).
    Capture(Option<Box<BlockReader>>),
    /// It was read, or could not be.
    Done(Box<InputRead>),
}

/// What the workers share.
struct Reading<'r> {
    options: &'r Options,
    sources: &'r [Source],
    progress: &'r dyn Progress,
    slots: Vec<Mutex<Slot>>,
    /// What each text is, from when it was opened.
    texts: Vec<OnceLock<Text>>,
    /// How far each source repeats another.
    repeats: Vec<Option<Repeat>>,
    /// The first source that no worker has taken.
    next: AtomicUsize,
}

impl<'r> Reading<'r> {
    fn new(options: &'r Options, sources: &'r [Source], progress: &'r dyn Progress) -> Self {
        Self {
            options,
            sources,
            progress,
            slots: sources.iter().map(|_| Mutex::new(Slot::Waiting)).collect(),
            texts: sources.iter().map(|_| OnceLock::new()).collect(),
            repeats: repeats::find(sources, &options.layouts),
            next: AtomicUsize::new(0),
        }
    }

    fn announce(&self) {
        let sizes: Option<Vec<u64>> = self.sources.iter().map(|s| s.size_bytes).collect();
        self.progress
            .planned(sizes.map(|s| s.iter().sum()), self.sources.len());
    }

    /// Works on the members of a compressed archive that stand before an input: they can be read in order only.
    fn drain_before(&self, index: usize, worker: &mut Worker<'_, '_>) {
        let member = |index: usize| self.sources.get(index).and_then(|source| source.member.as_ref());
        let done = |index: usize| match self.slots.get(index) {
            Some(slot) => matches!(
                &*slot.lock().unwrap_or_else(PoisonError::into_inner),
                Slot::Done(_) | Slot::Capture(_)
            ),
            None => true,
        };
        let Some(of) = member(index).filter(|member| member.is_in_order()) else {
            return;
        };
        let before = (0..index).rev().take_while(|before| {
            member(*before).is_some_and(|other| other.archive == of.archive)
                && !(member(*before).is_some_and(Member::is_in_order) && done(*before))
        });
        let first = before.last().unwrap_or(index);
        for before in first..index {
            self.drain(before, worker);
        }
    }

    /// One worker: inputs of its own first, then those of others.
    fn work(&self, collecting: Collecting<'_>, partials: &Sender<Partial>) {
        let mut worker = Worker {
            decoder: LogDecoder::with_layouts(&self.options.layouts),
            collecting,
            collector: None,
            buffer: Vec::new(),
            partials,
        };
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.sources.len() {
                break;
            }
            self.drain_before(index, &mut worker);
            self.drain(index, &mut worker);
        }
        for index in 0..self.sources.len() {
            self.drain(index, &mut worker);
        }
        if let Some(mut collector) = worker.collector {
            // The receiver outlives every worker.
            drop(partials.send(collector.take()));
        }
    }

    /// Works on blocks of an input until there are no more.
    fn drain(&self, index: usize, worker: &mut Worker<'_, '_>) {
        let Some(source) = self.sources.get(index) else {
            return;
        };
        let origin = origin(source);
        let repeated = self.repeat(index).map_or(0, |repeat| repeat.bytes);
        while let Some(block) = self.next_block(index, source, std::mem::take(&mut worker.buffer)) {
            let text = self.texts.get(index).and_then(OnceLock::get);
            let is_repeated = block.offset_bytes < repeated;
            if !worker.collect(&origin, text, block, is_repeated) {
                return;
            }
        }
    }

    fn repeat(&self, index: usize) -> Option<Repeat> {
        self.repeats.get(index).copied().flatten()
    }

    /// Says of each input that repeats another how many lines of it were counted there.
    fn tell_repeats(&self, totals: &Totals, reads: &mut [InputRead]) {
        for (index, source) in self.sources.iter().enumerate() {
            let Some(repeat) = self.repeat(index) else {
                continue;
            };
            let Some(of) = self.sources.get(repeat.of) else {
                continue;
            };
            let lines = totals.inputs.get(&source.id).map_or(0, |stats| stats.repeated);
            let summary = reads.get_mut(index).and_then(|read| read.summary.as_mut());
            if let (Some(summary), 1..) = (summary, lines) {
                summary.problems.push(Problem {
                    input: source.id,
                    offset_bytes: 0,
                    line: None,
                    what: format!(
                        "{} stand in {} too: they are counted once, as that one's",
                        if repeat.bytes == u64::MAX {
                            format!("all {lines} lines")
                        } else {
                            format!("{lines} lines from here on")
                        },
                        of.display_path
                    ),
                });
            }
        }
    }

    /// The next block of an input, read into `buffer`; opens and closes the input as need be.
    fn next_block(&self, index: usize, source: &Source, buffer: Vec<u8>) -> Option<Block> {
        // A worker that panicked ends the run; what it held is not used again.
        let mut slot = self
            .slots
            .get(index)?
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if matches!(*slot, Slot::Waiting) {
            *slot = self.open(index, source);
            if let (Slot::Open { reader, .. }, Some(text)) = (&*slot, self.texts.get(index))
                && reader.kind() == SourceKind::Text
            {
                // Only this thread opens it.
                let _ = text.set(output::recognise(reader.head()));
            }
        }
        let Slot::Open { reader, told } = &mut *slot else {
            return None;
        };
        if self.progress.is_stopped() {
            stop(&mut slot, source);
            return None;
        }
        if reader.kind() == SourceKind::Capture {
            defer(&mut slot, source);
            return None;
        }
        let is_document = self
            .texts
            .get(index)
            .and_then(OnceLock::get)
            .is_some_and(|text| text.form.is_some());
        let block = match reader.kind() {
            SourceKind::Text if is_document => reader.whole(buffer, DOCUMENT_BYTES_MAX),
            SourceKind::Text => reader.next_block(buffer),
            _ => None,
        };
        let stored = match block {
            Some(_) => reader.stored_bytes_read(),
            None => source.size_bytes.unwrap_or(0).max(*told),
        };
        self.progress.read(stored.saturating_sub(*told));
        *told = stored;
        if block.is_none() {
            self.progress.finished_input(&source.display_path);
            close(&mut slot);
        }
        block
    }

    fn open(&self, index: usize, source: &Source) -> Slot {
        if deselected(source, self.options) {
            return Slot::Done(Box::new(InputRead::left_out()));
        }
        if self.progress.is_stopped() {
            return Slot::Done(Box::new(InputRead::failed(NOT_BEGUN.to_owned())));
        }
        match BlockReader::open(
            source,
            &read_options(self.options.block_bytes, &self.options.layouts),
        ) {
            Ok(mut reader) => {
                if let Some(repeat) = self.repeat(index) {
                    reader.cut_at(repeat.bytes);
                }
                Slot::Open {
                    reader: Box::new(reader),
                    told: 0,
                }
            }
            Err(error) => Slot::Done(Box::new(InputRead::failed(error.to_string()))),
        }
    }

    /// The captures among the inputs.
    fn take_captures(&self) -> Vec<Capture> {
        let mut captures = Vec::new();
        for (source, slot) in self.slots.iter().enumerate() {
            if let Slot::Capture(open) = &mut *slot.lock().unwrap_or_else(PoisonError::into_inner) {
                captures.push(Capture {
                    source,
                    open: Mutex::new(open.take().map(|reader| ByteReader::from(*reader))),
                });
            }
        }
        captures
    }

    /// What became of each input; of captures, that they are not read yet.
    fn finish(&self) -> Result<Vec<InputRead>, Error> {
        let done = |slot: &Mutex<Slot>| match &*slot.lock().unwrap_or_else(PoisonError::into_inner) {
            Slot::Done(read) => Ok((**read).clone()),
            Slot::Capture(_) => Ok(InputRead::left_out()),
            Slot::Waiting | Slot::Open { .. } => Err(Error::Internal("a worker ended early")),
        };
        self.slots.iter().map(done).collect()
    }
}

/// Leaves a capture for later: open files are few, so one that can be opened again is.
fn defer(slot: &mut Slot, source: &Source) {
    if let Slot::Open { reader, .. } = std::mem::replace(slot, Slot::Waiting) {
        let again = source.size_bytes.is_some() && source.open_path != Path::new("-");
        *slot = Slot::Capture((!again).then_some(reader));
    }
}

/// The pod of each capture point whose path names one.
fn pods_of_points(sources: &[Source], points: &[Vec<Capture>]) -> BTreeMap<CapturePoint, String> {
    let mut pods = BTreeMap::new();
    for (number, captures) in points.iter().enumerate() {
        let source = captures.first().and_then(|capture| sources.get(capture.source));
        if let Some(pod) = source.and_then(|source| source.identity.pod.clone()) {
            pods.insert(captures::point_of(number), pod);
        }
    }
    pods
}

/// Captures that are no copies of others. What became of the copies is told: nothing of them is read.
fn without_copies(sources: &[Source], captures: Vec<Capture>, reads: &mut [InputRead]) -> Vec<Capture> {
    let numbers: Vec<usize> = captures.iter().map(|capture| capture.source).collect();
    let copies = repeats::copied_captures(sources, &numbers);
    for (copy, of) in &copies {
        if let (Some(source), Some(of), Some(read)) =
            (sources.get(*copy), sources.get(*of), reads.get_mut(*copy))
        {
            let what = format!(
                "all of it stands in {} too: it is counted once, as that one's",
                of.display_path
            );
            *read = InputRead::copy(source.id, what);
        }
    }
    captures
        .into_iter()
        .filter(|capture| !copies.contains_key(&capture.source))
        .collect()
}

/// Captures by the point where they were taken: the files of a rotated set together, in order of time.
fn capture_points(sources: &[Source], captures: Vec<Capture>) -> Vec<Vec<Capture>> {
    let of_captures = captures.iter().filter_map(|capture| sources.get(capture.source));
    let sets = capture_sets::group(of_captures, first_packet_time);
    let mut by_input: BTreeMap<InputId, Capture> = captures
        .into_iter()
        .filter_map(|capture| Some((sources.get(capture.source)?.id, capture)))
        .collect();
    sets.into_iter()
        .map(|set| set.into_iter().filter_map(|id| by_input.remove(&id)).collect())
        .collect()
}

/// Time of the first packet of a capture that has one near its beginning.
fn first_packet_time(source: &Source) -> Option<Timestamp> {
    if source.size_bytes.is_none() || source.open_path == Path::new("-") {
        return None;
    }
    let mut reader = CaptureReader::open(source, HEAD_BYTES).ok()?;
    let block = reader.next_block(PacketBlock::default())?;
    block.packets.iter().find_map(|packet| packet.time)
}

fn close(slot: &mut Slot) {
    if let Slot::Open { reader, .. } = std::mem::replace(slot, Slot::Waiting) {
        *slot = Slot::Done(Box::new(InputRead {
            kind: Some(reader.kind()),
            compression: Some(reader.compression()),
            summary: Some(reader.finish()),
            failure: None,
            capture: None,
            left_out: false,
        }));
    }
}

/// Closes an input that is not read any further.
fn stop(slot: &mut Slot, source: &Source) {
    let told = match slot {
        Slot::Open { told, .. } => *told,
        _ => 0,
    };
    close(slot);
    if let Slot::Done(read) = slot
        && let Some(summary) = &mut read.summary
    {
        summary.problems.push(stopped_at(source.id, told));
    }
}

/// What is said of an input that the run was stopped in.
fn stopped_at(input: InputId, stored_bytes: u64) -> Problem {
    Problem {
        input,
        offset_bytes: stored_bytes,
        line: None,
        what: format!("the run was interrupted: not read any further than some {stored_bytes} stored bytes"),
    }
}

/// What is said of an input that the run was stopped before.
const NOT_BEGUN: &str = "the run was interrupted before it was read";

/// One worker's own.
struct Worker<'run, 'c> {
    decoder: LogDecoder,
    collecting: Collecting<'run>,
    /// Made with the first block.
    collector: Option<Collector<'run>>,
    buffer: Vec<u8>,
    partials: &'c Sender<Partial>,
}

impl Worker<'_, '_> {
    /// Decodes, matches and aggregates a block, or only counts its lines if they stand in another input too; false when nobody merges
    /// any more or nothing can be matched.
    fn collect(&mut self, origin: &Origin, text: Option<&Text>, block: Block, is_repeated: bool) -> bool {
        if self.collector.is_none() {
            self.collector = self.collecting.collector();
        }
        let (decoder, Some(collector)) = (&mut self.decoder, &mut self.collector) else {
            return false;
        };
        collector.begin_block(origin, block.seq, block.offset_bytes);
        match text {
            _ if is_repeated => collector.repeated(&block.data),
            Some(Text {
                form: Some(Form::Json),
                ..
            }) if holds_entries(&block.data) => {
                if let Some((offset, line)) = decoder.decode_entries(&block.data, collector) {
                    collector.entries_stopped(offset, line);
                }
            }
            Some(Text {
                kind,
                form: Some(form),
                ..
            }) => collector.document(*kind, *form, &block.data),
            Some(text) if !text.kind.is_log() => collector.output(text, &block.data),
            _ => {
                collector.set_text(text.map_or(TextKind::Log, |text| text.kind));
                decoder.decode_into(&block.data, collector);
            }
        }
        collector.end_block(block.data.len());
        self.buffer = block.data;
        match collector.overflow() {
            Some(partial) => self.partials.send(partial).is_ok(),
            None => true,
        }
    }
}

/// The layouts of access logs that a mesh configuration among the inputs gives, where they are none that are known and the inputs can be
/// read again: rows may stand before it, so that all is read once more.
fn layouts_of_mesh(options: &Options, totals: &Totals, sources: &[Source]) -> Option<Layouts> {
    let formats = &totals.configuration.access_log_formats;
    if !options.layouts.is_empty() || formats.is_empty() || !sources.iter().all(repeats::can_be_opened_again)
    {
        return None;
    }
    let found = Layouts::beyond_known(formats.iter().map(|(format, _)| format.as_str()));
    (!found.is_empty()).then_some(found)
}

/// How logs are read: everybody who reads them so counts the same lines.
pub(crate) fn read_options(block_bytes: usize, layouts: &Layouts) -> ReadOptions {
    let layouts = layouts.clone();
    ReadOptions {
        block_bytes,
        max_line_bytes: MAX_LINE_BYTES,
        boundary: RecordBoundary::new(move |previous, next| may_cut_with(&layouts, previous, next)),
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

fn origin(source: &Source) -> Origin {
    let proxy = match &source.identity.pod {
        Some(pod) => Arc::from(pod.as_str()),
        None => Arc::from(format!("{}{}", names::UNNAMED, source.display_path)),
    };
    Origin {
        input: source.id,
        proxy,
        namespace: source.identity.namespace.clone(),
        application: source.identity.is_application(),
    }
}

/// Settles the bounds on time; a time of day is of the day of the earliest record at the head of any input.
fn bounds(options: &Options, sources: &[Source]) -> Result<(Option<Timestamp>, Option<Timestamp>), Error> {
    let of_day = |bound: Option<TimeBound>| matches!(bound, Some(TimeBound::TimeOfDay(_)));
    let day = if of_day(options.since) || of_day(options.until) {
        Some(first_day(sources, &options.layouts)?)
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

fn first_day(sources: &[Source], layouts: &Layouts) -> Result<i64, Error> {
    let heads = sources
        .iter()
        .filter(|source| source.open_path != Path::new("-") && source.size_bytes.is_some());
    let first = heads.filter_map(|source| first_time(source, layouts)).min();
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

fn first_time(source: &Source, layouts: &Layouts) -> Option<Timestamp> {
    let mut reader = BlockReader::open(source, &read_options(HEAD_BYTES, layouts)).ok()?;
    if reader.kind() == SourceKind::Capture {
        return first_packet_time(source);
    }
    if reader.kind() != SourceKind::Text {
        return None;
    }
    let block = reader.next_block(Vec::new())?;
    let mut first: Option<Timestamp> = None;
    LogDecoder::with_layouts(layouts).decode_block(&block.data, &mut |_, line| {
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
