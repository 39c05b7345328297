//! One worker's part: lines in, [`Partial`]s out.

use super::called::{CalledKey, SecondLatency, Seconds, Spread};
use super::cells::{Cell, Cells, HotCell, MAX_SAMPLE_BYTES, NewClass, RECENT, RecentRow, Sums};
use super::class::{self, Reporter, RowShape};
use super::configuration::Configuration;
use super::fingerprint::{Fingerprint, Hasher, mixed, short_hash};
use super::flags::Outcome;
use super::followed::{self, Followed};
use super::hops::{HopKey, HopMoment};
use super::inputs::{BlockSummary, InputStats};
use super::outputs::{self, FactKey, FactSum};
use super::paths::Paths;
use super::record::RowRecord;
use super::sampled::Sampled;
use super::series::Series;
use super::signatures::{HitKey, Hits, example_text};
use super::slowest::{Slow, Slowest};
use super::top::Top;
use super::totals::{FigureKey, Figures};
use super::{Merge, stable_hash_with, text};
use crate::catalog::{Catalog, SignatureSource};
use crate::decode::document::{self, Form, Statement};
use crate::decode::log::{
    AccessFormat, AccessRow, ComponentLine, Content, Layout, Level, Line, LineAt, LineSink, PlainRow, Reject,
    Row, Wrapping, application_line,
};
use crate::decode::output::{self, Text, TextKind};
use crate::input::{is_mesh_container, lines_of};
use crate::matcher::{Matcher, SignatureIndex};
use crate::query::{Condition, Field};
use crate::units::{InputId, Place, Timestamp};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows of requests that are followed by their id.
pub const MAX_ATTEMPTS: usize = 1 << 17;

/// Rows that are followed by their upstream connection.
pub const MAX_CONNECTION_ROWS: usize = 1 << 16;

/// Shared by all workers.
#[derive(Clone, Copy, Debug)]
pub struct CollectorOptions<'run> {
    /// Signatures and flags.
    pub catalog: &'run Catalog,
    /// Their searcher.
    pub matcher: &'run Matcher,
    /// Records that completed before this are left out.
    pub since: Option<Timestamp>,
    /// Records that completed after this are left out.
    pub until: Option<Timestamp>,
    /// Pods kept, by name or workload; empty for all.
    pub pods: &'run [String],
    /// Namespaces kept, of lines that say theirs; empty for all.
    pub namespaces: &'run [String],
    /// Examples per signature and places per group.
    pub examples: usize,
    /// Rows that do not meet it are left out.
    pub condition: Option<&'run Condition>,
    /// Fields by which rows are grouped; empty for no such table.
    pub top: &'run [Field],
    /// Durations are kept by called service over time.
    pub over_time: bool,
}

/// What a block's input is.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Its number.
    pub input: InputId,
    /// The proxy that wrote it: pod, or `input:<path>`.
    pub proxy: Arc<str>,
    /// Namespace, where its path says it.
    pub namespace: Option<String>,
    /// True if it is the log of a container that is none of the mesh's.
    pub application: bool,
}

/// One row on an upstream connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionRow {
    /// Start in nanoseconds since the epoch.
    pub start_ns: i64,
    /// Completion in nanoseconds since the epoch.
    pub end_ns: i64,
    /// True if the row failed with flag UC or UR.
    pub reset: bool,
    /// Hash of reporter and destination, as [`scope_hash`] makes it.
    pub scope: u64,
}

/// By what a row on a connection is told to be about one destination.
pub fn scope_hash(reporter: Reporter, destination: &str) -> u64 {
    stable_hash_with(reporter as u64 + 1, destination.as_bytes())
}

/// Sums over some lines, to be merged into [`super::Totals`].
#[derive(Debug)]
pub struct Partial {
    /// Sums by class of rows: large, and handed on without a copy.
    pub cells: Vec<Box<Sums>>,
    /// Rows by shape.
    pub shapes: Vec<(Arc<RowShape>, u64)>,
    /// Counts and latencies by name; none of destinations, whose are the sum over their routes.
    pub figures: Vec<(FigureKey, Figures)>,
    /// Rows over time by caller and called service.
    pub hops: Vec<(HopKey, Series<HopMoment>)>,
    /// Durations of good requests over time.
    pub latency: Series<SecondLatency>,
    /// Durations by called service over time, where they are asked for.
    pub called: Vec<(CalledKey, Series<Spread>)>,
    /// Attempts by hash of request id, proxy and cluster.
    pub attempts: Sampled<()>,
    /// Rows by hash of proxy, host and local address.
    pub connections: Sampled<ConnectionRow>,
    /// Rows that are followed one by one.
    pub followed: Followed,
    /// Paths.
    pub paths: Paths,
    /// Slowest requests.
    pub slowest: Slowest,
    /// By input.
    pub inputs: BTreeMap<InputId, InputStats>,
    /// Component hits.
    pub hits: BTreeMap<HitKey, Hits>,
    /// What saved output says.
    pub outputs: BTreeMap<FactKey, FactSum>,
    /// What saved configuration says.
    pub configuration: Configuration,
    /// Rows by fields that were asked for.
    pub top: Top,
}

impl Default for Partial {
    fn default() -> Self {
        Self {
            cells: Vec::new(),
            shapes: Vec::new(),
            figures: Vec::new(),
            hops: Vec::new(),
            latency: Series::default(),
            called: Vec::new(),
            attempts: Sampled::new(MAX_ATTEMPTS),
            connections: Sampled::new(MAX_CONNECTION_ROWS),
            followed: Followed::default(),
            paths: Paths::default(),
            slowest: Slowest::default(),
            inputs: BTreeMap::new(),
            hits: BTreeMap::new(),
            outputs: BTreeMap::new(),
            configuration: Configuration::default(),
            top: Top::default(),
        }
    }
}

/// Collects lines of one worker.
#[derive(Debug)]
pub struct Collector<'run> {
    options: CollectorOptions<'run>,
    hasher: Hasher,
    cells: Cells,
    partial: Partial,
    seconds: Seconds,
    recent: Vec<RecentRow>,
    /// The address of a pod that was seen last.
    own_ip: Arc<str>,
    hit_buffer: Vec<SignatureIndex>,
    // Of the block at hand:
    origin: Origin,
    stats: InputStats,
    input_seed: u64,
    proxy_seed: u64,
    block: u32,
    block_offset: u64,
    summary: BlockSummary,
    writing: Writing,
    in_deselected: bool,
    /// Whose log the block is of, and whose the line at hand.
    block_text: TextKind,
    text: TextKind,
}

/// The second in which records are written at the moment, and how many there are so far: nearly all rows fall into that of
/// the row before.
#[derive(Clone, Copy, Debug, Default)]
struct Writing {
    begin_ns: i64,
    end_ns: i64,
    records: u64,
}

impl Writing {
    #[inline]
    fn note(&mut self, at: Timestamp, written: &mut Series<u64>) {
        if at.0 < self.begin_ns || at.0 >= self.end_ns {
            self.end(written);
            let begin = Timestamp::from_secs(at.secs());
            *self = Self {
                begin_ns: begin.0,
                end_ns: begin.plus_millis(1000).0,
                records: 0,
            };
        }
        self.records += 1;
    }

    #[cold]
    fn end(&mut self, written: &mut Series<u64>) {
        if self.records > 0 {
            written.add(Timestamp(self.begin_ns).secs(), self.records);
        }
        *self = Self::default();
    }
}

impl<'run> Collector<'run> {
    /// An empty collector.
    pub fn new(options: CollectorOptions<'run>) -> Self {
        Self {
            options,
            hasher: Hasher::default(),
            cells: Cells::default(),
            partial: Partial::default(),
            seconds: Seconds::new(options.over_time),
            recent: Vec::with_capacity(RECENT),
            own_ip: Arc::from(""),
            hit_buffer: Vec::new(),
            origin: Origin {
                input: InputId(0),
                proxy: Arc::from(""),
                namespace: None,
                application: false,
            },
            stats: InputStats::default(),
            input_seed: 0,
            proxy_seed: 0,
            block: 0,
            block_offset: 0,
            summary: BlockSummary {
                lines: 0,
                first: None,
                last: None,
                sorted: true,
            },
            writing: Writing::default(),
            in_deselected: false,
            block_text: TextKind::Log,
            text: TextKind::Log,
        }
    }

    /// Begins a block of `origin`.
    pub fn begin_block(&mut self, origin: &Origin, block: u32, offset_bytes: u64) {
        if self.origin.input != origin.input || self.origin.proxy != origin.proxy {
            self.origin = origin.clone();
        }
        self.input_seed = u64::from(self.origin.input.0);
        self.proxy_seed = stable_hash_with(self.input_seed, self.origin.proxy.as_bytes());
        self.block = block;
        self.block_offset = offset_bytes;
        self.cells.begin_block(Place {
            input: origin.input,
            offset_bytes,
            block,
            line_in_block: 0,
        });
        self.summary = BlockSummary {
            lines: 0,
            first: None,
            last: None,
            sorted: true,
        };
        self.in_deselected = false;
        self.set_text(TextKind::Log);
    }

    /// Says whose log the block is of, if not a proxy's; after [`Self::begin_block`].
    pub fn set_text(&mut self, kind: TextKind) {
        self.block_text = kind;
        self.text = kind;
    }

    /// The block's lines stand in another input too, and are counted there.
    pub fn repeated(&mut self, data: &[u8]) {
        let lines = lines_of(data);
        self.summary.lines = u32::try_from(lines).unwrap_or(u32::MAX);
        self.stats.repeated += lines;
        self.stats.skipped += lines;
    }

    /// Ends the block; `bytes` is its length.
    pub fn end_block(&mut self, bytes: usize) {
        self.writing.end(&mut self.stats.written);
        let mut stats = std::mem::take(&mut self.stats);
        stats.bytes += bytes as u64;
        stats.blocks.insert(self.block, self.summary);
        let namespace = self.origin.namespace.clone();
        stats.placed = namespace.map(|namespace| (self.origin.proxy.to_string(), namespace));
        self.partial
            .inputs
            .entry(self.origin.input)
            .or_default()
            .merge(stats);
    }

    /// What should be handed on now, to keep memory bounded; between blocks. What has a limit of its own stays until all is
    /// taken: handed on in small pieces, it would be merged many times.
    pub fn overflow(&mut self) -> Option<Partial> {
        let is_over = !self.partial.cells.is_empty()
            || self.partial.outputs.len() > outputs::LIMIT
            || self.cells.is_full()
            || self.cells.weight_bytes() + self.seconds.weight_bytes() > MAX_SAMPLE_BYTES;
        is_over.then(|| {
            let mut all = self.take();
            let (held, going) = (&mut self.partial, &mut all);
            std::mem::swap(&mut held.attempts, &mut going.attempts);
            std::mem::swap(&mut held.connections, &mut going.connections);
            std::mem::swap(&mut held.followed, &mut going.followed);
            std::mem::swap(&mut held.paths, &mut going.paths);
            std::mem::swap(&mut held.slowest, &mut going.slowest);
            all
        })
    }

    /// Everything collected so far.
    pub fn take(&mut self) -> Partial {
        self.spill_cells();
        std::mem::take(&mut self.partial)
    }

    fn spill_cells(&mut self) {
        self.hand_out();
        let mut taken = self.cells.take();
        append(&mut self.partial.cells, &mut taken.cells);
        append(&mut self.partial.shapes, &mut taken.shapes);
        append(&mut self.partial.figures, &mut taken.shared.figures);
        append(&mut self.partial.hops, &mut taken.shared.hops);
        let mut timed = self.seconds.take();
        self.partial.latency.merge(timed.latency);
        append(&mut self.partial.called, &mut timed.called);
    }

    #[inline]
    fn note_line(&mut self, at: &LineAt<'_>, wrapping: &Wrapping<'_>) {
        self.summary.lines = self.summary.lines.max(at.line + 1);
        if wrapping.kinds.depth() > 0 {
            *self.stats.wrappers.entry(wrapping.kinds).or_default() += 1;
        }
    }

    fn place(&self, at: &LineAt<'_>) -> Place {
        Place {
            input: self.origin.input,
            offset_bytes: self.block_offset + at.offset as u64,
            block: self.block,
            line_in_block: at.line,
        }
    }

    #[inline]
    fn selected(&self, time: Option<Timestamp>, wrapping: &Wrapping<'_>) -> bool {
        let options = &self.options;
        if (options.since.is_some() || options.until.is_some())
            && !time
                .is_some_and(|t| options.since.is_none_or(|s| t >= s) && options.until.is_none_or(|u| t <= u))
        {
            return false;
        }
        if !options.namespaces.is_empty()
            && let Some(namespace) = wrapping.namespace
            && !options.namespaces.iter().any(|kept| kept.as_bytes() == namespace)
        {
            return false;
        }
        if options.pods.is_empty() {
            return true;
        }
        let pod = wrapping.pod.map(text);
        let pod = pod.as_deref().unwrap_or(&self.origin.proxy);
        options
            .pods
            .iter()
            .any(|p| p == pod || p == super::address::workload(pod))
    }

    fn note_time(&mut self, from: Timestamp, to: Timestamp) {
        self.stats.span(from, to);
        self.writing.note(to, &mut self.stats.written);
        if self.summary.first.is_none() {
            self.summary.first = Some(from);
        }
        if self.summary.last.is_some_and(|last| from < last) {
            self.summary.sorted = false;
        }
        self.summary.last = Some(from);
    }

    #[inline]
    fn access(&mut self, at: &LineAt<'_>, wrapping: &Wrapping<'_>, row: &impl Row) {
        let completed = row
            .start()
            .map(|start| start.plus_millis(row.duration_ms().unwrap_or(0)));
        if !self.selected(completed, wrapping) {
            self.stats.deselected += 1;
            self.stats.skipped += 1;
            self.in_deselected = true;
            return;
        }
        if (self.options.condition.is_some() || !self.options.top.is_empty())
            && !self.queried(wrapping, &row.full())
        {
            self.stats.unmet += 1;
            self.stats.skipped += 1;
            self.in_deselected = true;
            return;
        }
        self.in_deselected = false;
        if let Some(count) = self.stats.formats.get_mut(row.format().index()) {
            *count += 1;
        }
        if let (Some(start), Some(end)) = (row.start(), completed) {
            self.note_time(start, end);
        } else {
            self.stats.undated += 1;
        }
        self.count_row(at, wrapping, row, completed);
    }

    /// Puts the condition to a row and, if it meets it, the row into the table that was asked for.
    #[cold]
    fn queried(&mut self, wrapping: &Wrapping<'_>, row: &AccessRow<'_>) -> bool {
        let pod = wrapping.pod.map(text);
        let proxy = pod.as_deref().unwrap_or(&self.origin.proxy);
        let namespace = self.origin.namespace.as_deref();
        let record = RowRecord::new(row, proxy, namespace, &self.options.catalog.flags);
        let met = self
            .options
            .condition
            .is_none_or(|condition| condition.holds(&record));
        if met && !self.options.top.is_empty() {
            self.partial.top.note(self.options.top, &record, row);
        }
        met
    }

    #[inline]
    fn count_row(
        &mut self,
        at: &LineAt<'_>,
        wrapping: &Wrapping<'_>,
        row: &impl Row,
        completed: Option<Timestamp>,
    ) {
        if self.cells.is_full() {
            self.spill_cells();
        }
        let place = self.place(at);
        let shape_key = shape_key(row, self.hasher);
        let key = shape_key.seeded(self.line_seed(wrapping));
        let (options, origin, own_ip) = (&self.options, &self.origin, &mut self.own_ip);
        let (stats, seconds) = (&mut self.stats, &mut self.seconds);
        let found = self.cells.find(key, |shapes| {
            let row = row.full();
            let number = shapes.number_of(shape_key, || new_shape(options, &row));
            let shape = &shapes.get(number)?.shape;
            let traits = &shape.traits;
            let pod = wrapping.pod.map(text);
            let proxy = match pod {
                Some(pod) => {
                    let proxy = Arc::from(pod.as_str());
                    if let Some(namespace) = wrapping.namespace {
                        stats.place(pod.clone(), text(namespace));
                    }
                    *stats.pods.entry(pod).or_default() += 1;
                    proxy
                }
                None => Arc::clone(&origin.proxy),
            };
            let is_good = traits.outcome == Outcome::Ok && shape.hits.is_empty();
            Some(NewClass {
                shape: number,
                proxy,
                own_ip: class::own_ip(&row, traits.reporter).map(|ip| as_before(own_ip, ip)),
                called: seconds.number_of(traits.reporter, &traits.destination),
                keep_places: if is_good { 1 } else { options.examples },
            })
        });
        let Some(slot) = found else { return };
        let Some(cell) = self.cells.get(slot) else { return };
        let at_time = if cell.connect_failure() {
            // A failure to connect belongs to its start.
            row.start()
        } else {
            completed
        };
        let sums = || self.cells.sums(cell);
        let id_hash = row.request_id().map(followed::id_hash);
        self.partial.followed.offer(cell.good(), row, id_hash, place, || {
            sums().map_or(0, |sums| sums.group_hash)
        });
        if !cell.tcp() {
            follow(&mut self.partial, cell, sums, (row, id_hash), completed, place);
        }
        // How long a TCP connection lasted is no latency; how long it took to fail is what tells a refusal from a timeout.
        let duration_ms = row
            .duration_ms()
            .filter(|_| !cell.tcp() || cell.connect_failure());
        let recent = RecentRow::new(cell, at_time, duration_ms, row.upstream_ms());
        if self.cells.wants_place(cell, place) {
            self.cells.keep_place(slot, place, at.text);
        }
        self.cells.note_row();
        self.recent.push(recent);
        if self.recent.len() >= RECENT {
            self.hand_out();
        }
    }

    /// Counts the rows that were read last.
    fn hand_out(&mut self) {
        self.seconds
            .count_all(self.recent.iter().filter_map(RecentRow::timed));
        self.cells.record_all(&self.recent);
        self.recent.clear();
    }

    fn line_seed(&self, wrapping: &Wrapping<'_>) -> u64 {
        match wrapping.pod {
            None => self.proxy_seed,
            Some(pod) => stable_hash_with(self.input_seed, pod),
        }
    }

    fn component(&mut self, at: &LineAt<'_>, wrapping: &Wrapping<'_>, message: &ComponentLine<'_>) {
        if !self.selected(message.time, wrapping) {
            self.stats.deselected += 1;
            self.stats.skipped += 1;
            self.in_deselected = true;
            return;
        }
        self.in_deselected = false;
        let connection = if self.text == TextKind::ZtunnelLog {
            output::connection(message, at.text)
        } else {
            None
        };
        if connection.is_none() {
            self.count_message(at, wrapping, message);
            if let Some(time) = message.time {
                self.note_time(time, time);
            }
        }
        // Members of a JSON object beside its message say the rest.
        let whole = if at.text.ends_with(b"}") {
            at.text
        } else {
            message.message
        };
        let mut hits = std::mem::take(&mut self.hit_buffer);
        hits.clear();
        match source_of(self.text) {
            Some(source) => {
                let matcher = self.options.matcher;
                matcher.other(source, Some(message.level), whole, &mut hits);
            }
            None => self.options.matcher.component(message, &mut hits),
        }
        if let Some(connection) = connection {
            let of_workload = Wrapping {
                pod: connection.workload.or(wrapping.pod),
                ..*wrapping
            };
            self.count_hits(at, of_workload.pod, message.time, &hits);
            self.hit_buffer = hits;
            self.stats.others.entry(self.text).or_default();
            self.access(at, &of_workload, &connection.row);
            return;
        }
        let about = output::subject(self.text, message.message).filter(|_| !hits.is_empty());
        self.count_hits(at, about.or(wrapping.pod), message.time, &hits);
        self.hit_buffer = hits;
    }

    fn count_message(&mut self, at: &LineAt<'_>, wrapping: &Wrapping<'_>, message: &ComponentLine<'_>) {
        if self.is_application(wrapping) {
            let (place, pod) = (self.place(at), self.pod_of(wrapping));
            let error = message.level >= Level::Error;
            self.stats
                .application_of(&pod)
                .count(place, at.text, message.time, error);
        } else if self.text == TextKind::Log {
            self.stats.count_component(message.component, message.level);
        } else {
            *self.stats.others.entry(self.text).or_default() += 1;
        }
    }

    /// Adds a block of saved output, which has no times of its own.
    pub fn output(&mut self, text: &Text, data: &[u8]) {
        self.stats.others.entry(text.kind).or_default();
        let mut offset = 0;
        for (number, line) in (0..).zip(data.split_inclusive(|byte| *byte == b'\n')) {
            let at = LineAt {
                offset,
                line: number,
                text: line.trim_ascii_end(),
            };
            offset += line.len();
            self.summary.lines = number + 1;
            self.output_line(text, &at);
        }
    }

    /// Adds a whole document, which has no times of its own.
    pub fn document(&mut self, kind: TextKind, form: Form, data: &[u8]) {
        let lines = memchr::memchr_iter(b'\n', data).count() + usize::from(!data.ends_with(b"\n"));
        self.summary.lines = u32::try_from(lines).unwrap_or(u32::MAX);
        let read = document::read(data, form, self.block_offset);
        let (input, block) = (self.origin.input, self.block);
        let place = |spot: document::Spot| Place {
            input,
            offset_bytes: spot.offset_bytes,
            block,
            line_in_block: spot.line,
        };
        let is_undamaged = read.damage.is_empty();
        for damage in read.damage {
            self.stats.damage(place(damage.line), damage.what);
        }
        // Whose configuration it is stands in it; of a part of it only the path tells.
        let proxy = read.said.iter().find_map(|said| match &said.statement {
            Statement::Proxy(pod) => Some(pod.clone()),
            _ => None,
        });
        let is_whole = proxy.is_some() && is_undamaged;
        let proxy = proxy.unwrap_or_else(|| self.origin.proxy.to_string());
        if is_whole {
            self.partial.configuration.add_whole(&proxy);
        }
        *self.stats.others.entry(kind).or_default() += read.said.len() as u64;
        self.stats.skipped += (lines as u64).saturating_sub(read.said.len() as u64);
        for said in read.said {
            let place = place(said.line);
            let from = place.offset_bytes.saturating_sub(self.block_offset);
            let line = usize::try_from(from).ok().and_then(|from| data.get(from..));
            let line = line
                .and_then(|rest| rest.split(|byte| *byte == b'\n').next())
                .unwrap_or_default();
            match &said.statement {
                Statement::Message(_, message) => self.message(place, message.as_bytes()),
                Statement::AccessLogFormat(format) => {
                    if let Err(error) = Layout::compile(format) {
                        let what = format!("rows cannot be read by this format of access logs: {error}");
                        self.stats.damage(place, what);
                    }
                }
                _ => {}
            }
            let fact = self
                .partial
                .configuration
                .add(&proxy, said, place, line.trim_ascii());
            if let Some((key, sum)) = fact {
                self.partial.outputs.entry(key).or_default().merge(sum);
            }
        }
    }

    /// Says that a document of log entries could not be read beyond a place of the block.
    pub fn entries_stopped(&mut self, offset: usize, line: u32) {
        let at = LineAt {
            offset,
            line,
            text: b"",
        };
        let what = "the document of log entries is cut off or malformed behind this entry".to_owned();
        self.stats.damage(self.place(&at), what);
    }

    /// Searches a message of the analyzer for signatures.
    fn message(&mut self, place: Place, message: &[u8]) {
        let mut hits = std::mem::take(&mut self.hit_buffer);
        hits.clear();
        let source = SignatureSource::IstioctlAnalyze;
        self.options.matcher.other(source, None, message, &mut hits);
        let at = LineAt {
            offset: usize::try_from(place.offset_bytes.saturating_sub(self.block_offset)).unwrap_or(0),
            line: place.line_in_block,
            text: message,
        };
        self.count_hits(&at, None, None, &hits);
        self.hit_buffer = hits;
    }

    fn output_line(&mut self, text: &Text, at: &LineAt<'_>) {
        let mut hits = std::mem::take(&mut self.hit_buffer);
        hits.clear();
        match source_of(text.kind) {
            Some(source) => self.options.matcher.other(source, None, at.text, &mut hits),
            None if text.kind == TextKind::Pods => self.options.matcher.text(at.text, &mut hits),
            None => {}
        }
        let place = self.place(at);
        let spot = document::Spot {
            line: place.line_in_block,
            offset_bytes: place.offset_bytes,
        };
        if let Some(statement) = text.statement(at.text, spot) {
            let said = document::Said {
                line: spot,
                statement,
            };
            *self.stats.others.entry(text.kind).or_default() += 1;
            let none = self
                .partial
                .configuration
                .add(&self.origin.proxy, said, place, at.text);
            debug_assert!(none.is_none(), "tables of facts are read as such");
            self.hit_buffer = hits;
            return;
        }
        let Some(fact) = text.fact(at.text) else {
            // Headers, manifests and figures are not facts, and not unknown either.
            self.stats.skipped += 1;
            self.count_hits(at, None, None, &hits);
            self.hit_buffer = hits;
            return;
        };
        *self.stats.others.entry(text.kind).or_default() += 1;
        let (mut key, sum) = outputs::summed(fact, self.place(at), at.text);
        key.belong_to(&self.origin.proxy);
        // `pod.namespace` of a table of proxies; whose page a page is its path says.
        let pod = matches!(key.topic, outputs::Topic::Proxy(_)).then(|| {
            key.subject
                .split('.')
                .next()
                .unwrap_or_default()
                .as_bytes()
                .to_vec()
        });
        self.count_hits(at, pod.as_deref(), None, &hits);
        self.partial.outputs.entry(key).or_default().merge(sum);
        self.hit_buffer = hits;
    }

    fn continuation(&mut self, at: &LineAt<'_>, wrapping: &Wrapping<'_>, more: &[u8]) {
        self.stats.skipped += 1;
        if !self.in_deselected {
            let time = wrapping.written.or(self.summary.last);
            self.text_hits(at, wrapping, more, time);
        }
    }

    fn unknown(&mut self, at: &LineAt<'_>, wrapping: &Wrapping<'_>, reject: Reject) {
        if at.text.starts_with(PREVIOUS_LOG) {
            self.stats.skipped += 1;
            return;
        }
        let place = self.place(at);
        if reject == Reject::Form && self.is_application(wrapping) {
            self.application_line(at, wrapping);
            return;
        }
        self.stats.reject(place, reject, at.text);
        if reject == Reject::Form {
            // A wrapper dates what has no time of its own; else it came after the line before it.
            let time = wrapping.written.or(self.summary.last);
            self.text_hits(at, wrapping, at.text, time);
        }
    }

    /// True for a line of a container that is none of the mesh's, as its wrapper or else its path says.
    fn is_application(&self, wrapping: &Wrapping<'_>) -> bool {
        let application = match wrapping.container.map(std::str::from_utf8) {
            Some(Ok(container)) => !is_mesh_container(container),
            _ => self.origin.application,
        };
        application && self.text == TextKind::Log
    }

    fn pod_of(&self, wrapping: &Wrapping<'_>) -> Arc<str> {
        match wrapping.pod {
            Some(pod) => Arc::from(text(pod)),
            None => Arc::clone(&self.origin.proxy),
        }
    }

    /// A line of an application, in no form that others share.
    fn application_line(&mut self, at: &LineAt<'_>, wrapping: &Wrapping<'_>) {
        let line = application_line(at.text);
        let time = line.time.or(wrapping.written);
        if !self.selected(time, wrapping) {
            self.stats.deselected += 1;
            self.stats.skipped += 1;
            self.in_deselected = true;
            return;
        }
        self.in_deselected = false;
        if let Some(time) = time {
            self.note_time(time, time);
        }
        let (place, pod) = (self.place(at), self.pod_of(wrapping));
        self.stats
            .application_of(&pod)
            .count(place, at.text, time, line.error);
        self.text_hits(at, wrapping, at.text, time);
    }

    fn text_hits(&mut self, at: &LineAt<'_>, wrapping: &Wrapping<'_>, more: &[u8], time: Option<Timestamp>) {
        let mut hits = std::mem::take(&mut self.hit_buffer);
        hits.clear();
        match source_of(self.text) {
            Some(source) => self.options.matcher.other(source, None, more, &mut hits),
            None => self.options.matcher.text(more, &mut hits),
        }
        self.count_hits(at, wrapping.pod, time, &hits);
        self.hit_buffer = hits;
    }

    fn count_hits(
        &mut self,
        at: &LineAt<'_>,
        pod: Option<&[u8]>,
        time: Option<Timestamp>,
        hits: &[SignatureIndex],
    ) {
        for hit in hits {
            let place = self.place(at);
            let proxy = pod.map_or_else(|| self.origin.proxy.to_string(), text);
            let entry = self
                .partial
                .hits
                .entry(HitKey {
                    signature: hit.0,
                    proxy,
                })
                .or_default();
            entry.keep = self.options.examples;
            entry.count += 1;
            entry.first = super::signatures::earliest(entry.first, time);
            entry.last = entry.last.max(time);
            *entry.inputs.entry(place.input).or_default() += 1;
            if let Some(time) = time {
                entry.series.add(time.secs(), 1);
            }
            entry.keep_example(place, || example_text(at.text));
        }
    }
}

impl LineSink for Collector<'_> {
    fn line(&mut self, at: &LineAt<'_>, line: &Line<'_>) {
        self.note_line(at, &line.wrapping);
        self.text = line.wrapping.container.map_or(self.block_text, of_container);
        match &line.content {
            Content::Access(row) => self.access(at, &line.wrapping, row),
            Content::Component(message) => self.component(at, &line.wrapping, message),
            Content::Continuation(more) => self.continuation(at, &line.wrapping, more),
            Content::Blank => self.stats.skipped += 1,
            Content::Unknown(reject) => self.unknown(at, &line.wrapping, *reject),
        }
    }

    #[inline]
    fn plain_row(&mut self, at: &LineAt<'_>, wrapping: &Wrapping<'_>, row: &PlainRow<'_, '_>) {
        self.note_line(at, wrapping);
        self.access(at, wrapping, row);
    }
}

/// `istioctl bug-report` puts such a line before the log of the container before, which it appends (istio/istio
/// `tools/bug-report/pkg/content`).
const PREVIOUS_LOG: &[u8] = b"========= Previous log";

/// The source of signatures that occur in a text of this kind; none for those of a proxy's container.
fn source_of(kind: TextKind) -> Option<SignatureSource> {
    match kind {
        TextKind::IstiodLog => Some(SignatureSource::Istiod),
        TextKind::ZtunnelLog => Some(SignatureSource::Ztunnel),
        TextKind::CniLog => Some(SignatureSource::IstioCni),
        TextKind::Analyze => Some(SignatureSource::IstioctlAnalyze),
        TextKind::ProxyStatus | TextKind::Endpoints | TextKind::EnvoyClusters | TextKind::Stats => {
            Some(SignatureSource::ProxyStatus)
        }
        _ => None,
    }
}

/// Whose log a line is of that says of which container it is.
fn of_container(container: &[u8]) -> TextKind {
    match container {
        b"discovery" => TextKind::IstiodLog,
        b"ztunnel" => TextKind::ZtunnelLog,
        b"install-cni" | b"istio-cni" => TextKind::CniLog,
        _ => TextKind::Log,
    }
}

/// Moves all of `more` to the end of `list`, as it is where that is empty.
fn append<T>(list: &mut Vec<T>, more: &mut Vec<T>) {
    if list.is_empty() {
        std::mem::swap(list, more);
    } else {
        list.append(more);
    }
}

/// What a row says, and its path seed.
fn new_shape(options: &CollectorOptions<'_>, row: &AccessRow<'_>) -> (RowShape, u64) {
    let mut hits = Vec::new();
    options.matcher.access(row, &mut hits);
    let path_seed = Paths::seed(row.authority.unwrap_or_default(), row.upstream_host.is_some());
    (RowShape::of(row, &options.catalog.flags, hits), path_seed)
}

/// Bytes as text, which is the one at hand where they are the same.
fn as_before(held: &mut Arc<str>, bytes: &[u8]) -> Arc<str> {
    if held.as_bytes() != bytes {
        *held = Arc::from(text(bytes));
    }
    Arc::clone(held)
}

/// The fingerprint of the bytes that decide a row's shape: its spans where it has them, else its fields.
#[inline]
fn shape_key(row: &impl Row, hasher: Hasher) -> Fingerprint {
    let bytes = row.class_bytes();
    let connected = u64::from(class::has_connection(row)) << 8;
    let grpc = bytes.grpc_status.map_or(0, |s| u64::from(s) + 1);
    let body = u64::from(class::proxy_body(bytes.error_body)).rotate_left(48);
    let seed = connected ^ grpc.rotate_left(32) ^ body;
    match bytes.spans {
        Some(spans) => hasher.of_four(seed, spans),
        None => field_key(&row.full(), bytes.inbound, seed, hasher),
    }
}

/// The same of a row whose fields do not lie side by side.
#[inline]
fn field_key(row: &AccessRow<'_>, inbound: bool, seed: u64, hasher: Hasher) -> Fingerprint {
    let remote_ip = row.downstream_remote.filter(|_| inbound);
    let remote_ip = remote_ip.and_then(super::address::ip);
    // An empty field is another than none; no UTF-8 text is this byte alone.
    let or_none = |field: Option<_>| field.unwrap_or(&b"\xff"[..]);
    // What a ztunnel says is read in another way.
    let ztunnel = u64::from(row.format == AccessFormat::Ztunnel);
    let code = ztunnel << 17 | u64::from(row.code) << 1 | u64::from(row.method.is_some());
    let parts = [
        or_none(row.upstream_host),
        or_none(row.flags),
        or_none(row.authority),
        or_none(row.cluster),
        or_none(row.details),
        or_none(remote_ip),
        or_none(row.downstream_local),
        or_none(row.route),
        or_none(row.sni),
        or_none(row.termination),
        or_none(row.protocol),
        or_none(row.failure_reason),
    ];
    hasher.of_twelve(mixed(seed, code), &parts)
}

/// What is kept of a row of a request beyond the sums of its class.
#[inline]
fn follow<'cells>(
    partial: &mut Partial,
    cell: &HotCell,
    sums: impl Fn() -> Option<&'cells Sums>,
    (row, id_hash): (&impl Row, Option<u64>),
    completed: Option<Timestamp>,
    place: Place,
) {
    if let Some(id) = id_hash {
        partial.attempts.offer(mixed(cell.attempt_seed, id), ());
    }
    if let (Some(local), Some(start), Some(end)) = (row.upstream_local(), row.start(), completed) {
        let hash = short_hash(cell.connection_seed, local);
        partial.connections.offer_with(hash, || ConnectionRow {
            start_ns: start.0,
            end_ns: end.0,
            reset: cell.reset(),
            scope: sums().map_or(0, |sums| sums.scope_hash),
        });
    }
    if let (Some(authority), Some(path)) = (row.authority(), row.path()) {
        let routed = row.upstream_host().is_some();
        partial.paths.note(cell.path_seed, authority, path, routed);
        if cell.refused_by_policy() {
            let method = row.full().method.unwrap_or_default();
            partial
                .paths
                .note_refused(cell.path_seed, authority, path, method);
        }
    }
    if let Some(duration) = row.duration_ms()
        && partial.slowest.admits(duration)
        && let Some(sums) = sums()
    {
        partial
            .slowest
            .add(slow(&sums.cell, &row.full(), duration, place));
    }
}

fn slow(cell: &Cell, row: &AccessRow<'_>, duration_ms: u64, place: Place) -> Slow {
    let key = &cell.key;
    let method = row.method.map(text).unwrap_or_default();
    let path = row.path.unwrap_or_default();
    let path = path.split(|&b| b == b'?').next().unwrap_or_default();
    let path = text(path.get(..path.len().min(120)).unwrap_or(path));
    Slow {
        duration_ms: Reverse(duration_ms),
        place,
        upstream_ms: row.upstream_ms,
        start: row.start,
        destination: key.destination.clone(),
        reporter: key.reporter,
        request: format!("{method} {path}").trim().to_owned(),
        code: key.code,
        flags: key.flags.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::log::LogDecoder;
    use proptest::prelude::*;
    use proptest::sample::select;

    /// Fingerprint, shape and own address of each row.
    struct Told<'c> {
        catalog: &'c Catalog,
        matcher: &'c Matcher,
        rows: Vec<(Fingerprint, RowShape)>,
    }

    impl Told<'_> {
        fn add(&mut self, row: &impl Row) {
            let key = shape_key(row, Hasher::default());
            let row = row.full();
            assert_eq!(key, shape_key(&row, Hasher::default()), "however it was read");
            let mut hits = Vec::new();
            self.matcher.access(&row, &mut hits);
            self.rows
                .push((key, RowShape::of(&row, &self.catalog.flags, hits)));
        }
    }

    impl LineSink for Told<'_> {
        fn line(&mut self, _: &LineAt<'_>, line: &Line<'_>) {
            if let Content::Access(row) = &line.content {
                self.add(row);
            }
        }

        fn plain_row(&mut self, _: &LineAt<'_>, _: &Wrapping<'_>, row: &PlainRow<'_, '_>) {
            self.add(row);
        }
    }

    /// Values of the fields of a row, in the order of the text format.
    const FIELDS: [&[&str]; 20] = [
        &["GET /a HTTP/1.1", "POST /b HTTP/2", "- - -"],
        &["200", "403", "503", "0"],
        &["-", "UH", "UF,URX", "NR", "DC"],
        &[
            "via_upstream",
            "-",
            "no_healthy_upstream",
            "upstream_reset_before_response_started{connection_termination}",
        ],
        &["-", "remote_close"],
        &["-", "delayed_connect_error:_111"],
        &["0", "7"],
        &["19", "95", "1"],
        &["3", "5000"],
        &["2", "-"],
        &["-", "10.9.9.9"],
        &["curl/8.5", "-"],
        &["7d3f-1", "-"],
        &["shop:8080", "api.example:443", "-"],
        &["10.244.1.7:8080", "10.244.2.7:8080", "-"],
        &[
            "outbound|8080||shop.prod.svc.cluster.local",
            "inbound|8080||",
            "BlackHoleCluster",
            "PassthroughCluster",
            "-",
        ],
        &["10.244.1.5:40022", "10.244.1.6:40022", "-"],
        &[
            "10.96.0.9:8080",
            "10.96.0.9:443",
            "203.0.113.7:443",
            "10.244.1.7:8080",
        ],
        &["10.244.1.5:51000", "10.244.1.5:51002", "10.244.3.5:51000"],
        &[
            "-",
            "outbound_.8080_._.shop.prod.svc.cluster.local",
            "api.example",
        ],
    ];

    const KEYS: [&str; 20] = [
        "",
        "response_code",
        "response_flags",
        "response_code_details",
        "connection_termination_details",
        "upstream_transport_failure_reason",
        "bytes_received",
        "bytes_sent",
        "duration",
        "upstream_service_time",
        "x_forwarded_for",
        "user_agent",
        "request_id",
        "authority",
        "upstream_host",
        "upstream_cluster",
        "upstream_local_address",
        "downstream_local_address",
        "downstream_remote_address",
        "requested_server_name",
    ];

    fn text_row(fields: &[&str], route: &str) -> String {
        let quoted = [0, 5, 10, 11, 12, 13, 14];
        let fields = fields.iter().enumerate().map(|(number, field)| match number {
            number if quoted.contains(&number) => format!("\"{field}\""),
            _ => (*field).to_owned(),
        });
        let fields: Vec<String> = fields.collect();
        format!("[2026-11-02T03:00:00.000Z] {} {route}\n", fields.join(" "))
    }

    fn json_row(fields: &[&str], route: &str) -> String {
        let mut request = fields[0].split(' ');
        let mut row = serde_json::json!({"start_time": "2026-11-02T03:00:00.000Z", "route_name": route});
        for key in ["method", "path", "protocol"] {
            row[key] = request.next().filter(|part| *part != "-").into();
        }
        for (key, field) in KEYS.iter().zip(fields).skip(1) {
            row[*key] = match (field.parse::<u64>(), *field) {
                (Ok(number), _) => number.into(),
                (_, "-") => serde_json::Value::Null,
                (_, text) => text.into(),
            };
        }
        format!("{row}\n")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// What a class is told by decides all that is worked out of its first row: it does not matter which row comes first,
        /// nor which proxy wrote it.
        #[test]
        fn rows_with_one_fingerprint_have_one_shape(
            base in FIELDS.map(select),
            route in select(&["default", "v2"][..]),
            changes in prop::collection::vec((0..FIELDS.len(), any::<prop::sample::Index>()), 1..24),
            json in any::<bool>(),
        ) {
            let catalog = Catalog::built_in().unwrap();
            let matcher = Matcher::new(&catalog).unwrap();
            let write = if json { json_row } else { text_row };
            let mut log = write(&base, route);
            for (field, value) in changes {
                let mut fields = base;
                fields[field] = FIELDS[field][value.index(FIELDS[field].len())];
                log.push_str(&write(&fields, route));
            }
            let mut told = Told { catalog: &catalog, matcher: &matcher, rows: Vec::new() };
            LogDecoder::default().decode_into(log.as_bytes(), &mut told);
            prop_assert_eq!(told.rows.len(), log.lines().count());
            for (number, (key, shape)) in told.rows.iter().enumerate() {
                for (other_key, other) in &told.rows[..number] {
                    if key == other_key {
                        prop_assert_eq!(shape, other);
                    }
                }
            }
        }
    }
}
