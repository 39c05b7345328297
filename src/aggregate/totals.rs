//! The merge of all [`Partial`]s.

use super::bounded::{Bounded, Key};
use super::captures::CaptureTotals;
use super::cells::{Cell, Moment};
use super::class::{GroupKey, Reporter, RowClass};
use super::collector::{ConnectionRow, MAX_ATTEMPTS, MAX_CONNECTION_ROWS, Partial, SecondLatency};
use super::flags::Outcome;
use super::inputs::InputStats;
use super::paths::Paths;
use super::sampled::Sampled;
use super::samples::Samples;
use super::series::Series;
use super::signatures::{self, HitKey, Hits, earliest};
use super::slowest::Slowest;
use super::{Merge, stable_hash_with};
use crate::units::{InputId, Place, Timestamp};
use std::collections::BTreeMap;

/// Groups of rows kept.
pub const MAX_GROUPS: usize = 6000;

/// Destinations, routes, sources kept, of each.
pub const MAX_NAMES: usize = 512;

/// Codes, flags, details, protocols kept, of each.
pub const MAX_TOKENS: usize = 512;

/// Hops kept.
pub const MAX_HOPS: usize = 1024;

/// Addresses and other names kept.
pub const MAX_ALIASES: usize = 8192;

/// Candidates kept for one address or name.
const MAX_VOTES: usize = 8;

/// Kinds of latency figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// By called service.
    Destination,
    /// By route of a called service.
    Route,
    /// By caller: a proxy's name, or `ip:<address>` on rows of the called proxy.
    Source,
    /// By flag.
    Flag,
    /// By status code.
    Code,
}

/// A name of one dimension at one reporter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FigureKey {
    /// Which kind of name.
    pub dimension: Dimension,
    /// Who reports.
    pub reporter: Reporter,
    /// The name.
    pub name: String,
    /// Route, in dimension route.
    pub detail: String,
}

impl Key for FigureKey {
    type Lump = (Dimension, Reporter);

    fn key_hash(&self) -> u64 {
        let seed = (self.dimension as u64) << 1 | self.reporter as u64;
        stable_hash_with(
            stable_hash_with(seed, self.name.as_bytes()),
            self.detail.as_bytes(),
        )
    }

    fn lump(&self) -> Self::Lump {
        (self.dimension, self.reporter)
    }
}

/// Counts and latencies of one name.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Rows by outcome, in the order of [`Outcome::ALL`].
    pub outcomes: [u64; 4],
    /// Rows by flag.
    pub flags: BTreeMap<String, u64>,
    /// Duration, upstream time and overhead, by outcome: ok, failed, other.
    pub samples: [[Samples; 3]; 3],
}

impl Figures {
    /// Rows.
    pub fn requests(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// Rows with this outcome.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(outcome as usize).copied().unwrap_or(0)
    }
}

impl Merge for Figures {
    fn merge(&mut self, other: Self) {
        self.outcomes
            .iter_mut()
            .zip(other.outcomes)
            .for_each(|(a, b)| *a += b);
        for (flag, count) in other.flags {
            *self.flags.entry(flag).or_default() += count;
        }
        // Extensions may register flags; a hostile log may hold any token.
        while self.flags.len() > 64 {
            self.flags.pop_last();
        }
        for (mine, theirs) in self.samples.iter_mut().zip(other.samples) {
            mine.iter_mut().zip(theirs).for_each(|(a, b)| a.merge(b));
        }
    }
}

/// Caller and called service as one reporter names them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HopKey {
    /// Who reports.
    pub reporter: Reporter,
    /// Caller: a proxy's name, or `ip:<address>` on rows of the called proxy.
    pub source: String,
    /// Called service.
    pub destination: String,
}

impl Key for HopKey {
    type Lump = Reporter;

    fn key_hash(&self) -> u64 {
        let source = stable_hash_with(self.reporter as u64 + 1, self.source.as_bytes());
        stable_hash_with(source, self.destination.as_bytes())
    }

    fn lump(&self) -> Reporter {
        self.reporter
    }
}

/// HTTP rows of a hop in one bucket of time.
#[derive(Clone, Copy, Debug, Default)]
pub struct HopMoment {
    /// Rows.
    pub requests: u64,
    /// Of these, failed.
    pub failed: u64,
    /// The good ones with their times.
    pub good: Moment,
}

impl Merge for HopMoment {
    fn merge(&mut self, other: Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.good.merge(other.good);
    }
}

/// Sums over the rows of one group.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Rows.
    pub count: u64,
    /// Earliest completion (connect failures: start).
    pub first: Option<Timestamp>,
    /// Latest.
    pub last: Option<Timestamp>,
    /// Over time, for groups that are not plainly good.
    pub series: Series<Moment>,
    /// Durations, for groups that are not good.
    pub duration: Samples,
    /// First places with the start of their lines.
    pub places: BTreeMap<Place, String>,
    /// How many places to keep.
    pub keep: usize,
}

impl Merge for Group {
    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.first = earliest(self.first, other.first);
        self.last = self.last.max(other.last);
        self.series.merge(other.series);
        self.duration.merge(other.duration);
        self.places.extend(other.places);
        self.keep = self.keep.max(other.keep);
        while self.places.len() > self.keep {
            self.places.pop_last();
        }
    }
}

/// What several rows say something stands for, with how many say it.
#[derive(Clone, Debug, Default)]
pub struct Votes(pub BTreeMap<String, u64>);

impl Votes {
    /// The candidate that most rows name; the first by name where they are equal.
    pub fn winner(&self) -> Option<&str> {
        let best = self.0.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)))?;
        Some(best.0)
    }
}

impl Merge for Votes {
    fn merge(&mut self, other: Self) {
        for (candidate, count) in other.0 {
            *self.0.entry(candidate).or_default() += count;
        }
        while self.0.len() > MAX_VOTES {
            self.0.pop_last();
        }
    }
}

/// Sums over all lines.
#[derive(Debug)]
pub struct Totals {
    /// Groups of rows.
    pub groups: Bounded<GroupKey, Group>,
    /// Rows of HTTP over time by caller and called service.
    pub hops: Bounded<HopKey, Series<HopMoment>>,
    /// Counts and latencies by name.
    pub figures: BTreeMap<Dimension, Bounded<FigureKey, Figures>>,
    /// Rows by status code, flag, detail, protocol: as they stand in the files.
    pub by_code: Bounded<String, u64>,
    /// Rows by flag.
    pub by_flag: Bounded<String, u64>,
    /// Rows by response code details.
    pub by_detail: Bounded<String, u64>,
    /// Rows by protocol.
    pub by_protocol: Bounded<String, u64>,
    /// Rows of TCP connections by reporter.
    pub tcp: [u64; 2],
    /// All access rows.
    pub rows: u64,
    /// Durations over time.
    pub latency_series: Series<SecondLatency>,
    /// All rows over time (only the widths of its buckets matter).
    pub row_series: Series<u64>,
    /// Attempts.
    pub attempts: Sampled<()>,
    /// Rows by connection.
    pub connections: Sampled<ConnectionRow>,
    /// Paths.
    pub paths: Paths,
    /// Slowest requests.
    pub slowest: Slowest,
    /// By input.
    pub inputs: BTreeMap<InputId, InputStats>,
    /// Signature hits.
    pub hits: Bounded<HitKey, Hits>,
    /// Which proxy has an ip.
    pub addresses: Bounded<String, Votes>,
    /// What a destination's other names stand for.
    pub aliases: Bounded<String, Votes>,
    /// Connections of packet captures.
    pub captures: CaptureTotals,
}

impl Default for Totals {
    fn default() -> Self {
        let dimensions = [
            Dimension::Destination,
            Dimension::Route,
            Dimension::Source,
            Dimension::Flag,
            Dimension::Code,
        ];
        Self {
            groups: Bounded::new(MAX_GROUPS),
            hops: Bounded::new(MAX_HOPS),
            figures: dimensions
                .into_iter()
                .map(|d| (d, Bounded::new(MAX_NAMES)))
                .collect(),
            by_code: Bounded::new(MAX_TOKENS),
            by_flag: Bounded::new(MAX_TOKENS),
            by_detail: Bounded::new(MAX_TOKENS),
            by_protocol: Bounded::new(MAX_TOKENS),
            tcp: [0; 2],
            rows: 0,
            latency_series: Series::default(),
            row_series: Series::default(),
            attempts: Sampled::new(MAX_ATTEMPTS),
            connections: Sampled::new(MAX_CONNECTION_ROWS),
            paths: Paths::default(),
            slowest: Slowest::default(),
            inputs: BTreeMap::new(),
            hits: Bounded::new(signatures::LIMIT),
            addresses: Bounded::new(MAX_ALIASES),
            aliases: Bounded::new(MAX_ALIASES),
            captures: CaptureTotals::default(),
        }
    }
}

impl Totals {
    /// Adds a partial.
    pub fn absorb(&mut self, partial: Partial) {
        for cell in partial.cells {
            self.absorb_cell(cell);
        }
        for second in partial.seconds {
            self.latency_series.change(second.second, |latency| {
                for (samples, durations_ms) in latency.0.iter_mut().zip(&second.durations_ms) {
                    for &ms in durations_ms {
                        samples.record(u64::from(ms));
                    }
                }
            });
        }
        self.attempts.absorb(partial.attempts);
        self.connections.absorb(partial.connections);
        self.paths.absorb(partial.paths);
        self.slowest.merge(partial.slowest);
        for (input, stats) in partial.inputs {
            self.inputs.entry(input).or_default().merge(stats);
        }
        for (key, hits) in partial.hits {
            self.hits.add(key, hits);
        }
    }

    fn absorb_cell(&mut self, cell: Cell) {
        self.rows += cell.count;
        self.count_tokens(&cell);
        self.count_names(&cell.class, cell.count);
        for hit in &cell.hits {
            let key = HitKey {
                signature: hit.0,
                proxy: cell.class.key.proxy.clone(),
            };
            self.hits.add(key, hits_of(&cell));
        }
        for (second, moment) in cell.series.iter() {
            self.row_series.add(second, moment.count);
        }
        // A cell whose series is coarser than a second was that long: so is the whole.
        self.row_series.widen_to(cell.series.width_log2());
        if !cell.class.key.tcp {
            self.count_figures(&cell);
        }
        let good = cell.class.key.outcome == Outcome::Ok;
        let plain = good && cell.class.key.code < 400 && cell.class.flags.is_empty() && cell.hits.is_empty();
        let group = Group {
            count: cell.count,
            first: cell.first,
            last: cell.last,
            series: if plain { Series::default() } else { cell.series },
            duration: if good { Samples::default() } else { cell.duration },
            places: cell.places.into_iter().collect(),
            keep: cell.keep_places,
        };
        self.groups.add(cell.class.key, group);
    }

    fn count_tokens(&mut self, cell: &Cell) {
        let key = &cell.class.key;
        if key.tcp {
            if let Some(count) = self.tcp.get_mut(key.reporter as usize) {
                *count += cell.count;
            }
        } else {
            self.by_code.add(key.code.to_string(), cell.count);
        }
        for flag in &cell.class.flags {
            self.by_flag.add(flag.clone(), cell.count);
        }
        if !key.details.is_empty() {
            self.by_detail.add(key.details.clone(), cell.count);
        }
        if !cell.class.protocol.is_empty() {
            self.by_protocol.add(cell.class.protocol.clone(), cell.count);
        }
    }

    fn count_names(&mut self, class: &RowClass, count: u64) {
        if let Some(ip) = &class.own_ip {
            self.addresses.add(
                ip.clone(),
                Votes(BTreeMap::from([(class.key.proxy.clone(), count)])),
            );
        }
        for (alias, name) in &class.destination_alias {
            self.aliases
                .add(alias.clone(), Votes(BTreeMap::from([(name.clone(), count)])));
        }
    }

    fn count_figures(&mut self, cell: &Cell) {
        let key = &cell.class.key;
        let source = match key.reporter {
            Reporter::Source => key.proxy.clone(),
            Reporter::Destination => format!("ip:{}", key.peer),
        };
        self.count_hop(cell, &source);
        self.count_figure(
            cell,
            Dimension::Destination,
            key.destination.clone(),
            String::new(),
        );
        self.count_figure(cell, Dimension::Route, key.destination.clone(), key.route.clone());
        self.count_figure(cell, Dimension::Source, source, String::new());
        self.count_figure(cell, Dimension::Code, key.code.to_string(), String::new());
        for flag in &cell.class.flags {
            self.count_figure(cell, Dimension::Flag, flag.clone(), String::new());
        }
    }

    fn count_hop(&mut self, cell: &Cell, source: &str) {
        let key = &cell.class.key;
        let hop = HopKey {
            reporter: key.reporter,
            source: source.to_owned(),
            destination: key.destination.clone(),
        };
        let mut series = Series::default();
        series.widen_to(cell.series.width_log2());
        for (second, moment) in cell.series.iter() {
            let count = |outcome| if key.outcome == outcome { moment.count } else { 0 };
            let hop = HopMoment {
                requests: moment.count,
                failed: count(Outcome::Failed),
                good: if key.outcome == Outcome::Ok {
                    *moment
                } else {
                    Moment::default()
                },
            };
            series.add(second, hop);
        }
        self.hops.add(hop, series);
    }

    fn count_figure(&mut self, cell: &Cell, dimension: Dimension, name: String, detail: String) {
        let key = FigureKey {
            dimension,
            reporter: cell.class.key.reporter,
            name,
            detail,
        };
        if let Some(table) = self.figures.get_mut(&dimension) {
            let whole = !matches!(dimension, Dimension::Flag | Dimension::Code);
            table.add(key, figures_of(cell, whole));
        }
    }
}

/// The figures of one cell; without upstream times and overhead unless `whole`.
fn figures_of(cell: &Cell, whole: bool) -> Figures {
    let outcome = cell.class.key.outcome;
    let mut figures = Figures::default();
    if let Some(count) = figures.outcomes.get_mut(outcome as usize) {
        *count = cell.count;
    }
    figures.flags = cell.class.flags.iter().map(|f| (f.clone(), cell.count)).collect();
    let row = match outcome {
        Outcome::Ok => 0,
        Outcome::Failed => 1,
        Outcome::Denied | Outcome::Canceled => 2,
    };
    if let Some(samples) = figures.samples.get_mut(row) {
        let [duration, upstream, overhead] = samples;
        duration.merge_ref(&cell.duration);
        if whole {
            upstream.merge_ref(&cell.upstream);
            overhead.merge_ref(&cell.overhead);
        }
    }
    figures
}

fn hits_of(cell: &Cell) -> Hits {
    let mut hits = Hits {
        count: cell.count,
        first: cell.first,
        last: cell.last,
        examples: cell.places.iter().cloned().collect(),
        keep: cell.keep_places,
        ..Hits::default()
    };
    // The rows of a cell are of one input: its number is part of what decides the class.
    if let Some((place, _)) = cell.places.first() {
        hits.inputs.insert(place.input, cell.count);
    }
    for (second, moment) in cell.series.iter() {
        hits.series.add(second, moment.count);
    }
    hits.series.widen_to(cell.series.width_log2());
    hits
}
