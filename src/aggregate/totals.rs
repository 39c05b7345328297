//! The merge of all [`Partial`]s.

use super::bounded::{Bounded, Key, in_order};
use super::called::SecondLatency;
use super::called::{CalledKey, MAX_CALLED, Spread};
use super::captures::CaptureTotals;
use super::cells::{Cell, Moment};
use super::class::{GroupKey, Reporter, RowShape};
use super::collector::{ConnectionRow, MAX_ATTEMPTS, MAX_CONNECTION_ROWS, Partial};
use super::configuration::Configuration;
use super::flags::Outcome;
use super::followed::Followed;
use super::hops::Hops;
use super::inputs::InputStats;
use super::outputs::{self, FactKey, FactSum};
use super::paths::Paths;
use super::sampled::Sampled;
use super::samples::Samples;
use super::series::Series;
use super::signatures::{self, HitKey, Hits, earliest};
use super::slowest::Slowest;
use super::top::Top;
use super::{Merge, stable_hash_with};
use crate::units::{InputId, Place, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Groups of rows kept of those that are remarkable.
pub const MAX_GROUPS: usize = 12_288;

/// Groups of rows kept of all others: of each proxy, as many as it calls hosts and is called from.
pub const MAX_ORDINARY_GROUPS: usize = 16_384;

/// Destinations, routes, sources kept, of each.
pub const MAX_NAMES: usize = 512;

/// Codes, flags, details, protocols kept, of each.
pub const MAX_TOKENS: usize = 512;

/// Addresses and other names kept.
pub const MAX_ALIASES: usize = 8192;

/// Flags kept of one name.
const MAX_FLAGS: usize = 64;

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
        Self::hash(self.dimension, self.reporter, &self.name, &self.detail)
    }

    fn lump(&self) -> Self::Lump {
        (self.dimension, self.reporter)
    }
}

impl FigureKey {
    /// The [`Key::key_hash`] of a key of these.
    pub fn hash(dimension: Dimension, reporter: Reporter, name: &str, detail: &str) -> u64 {
        let seed = (dimension as u64) << 1 | reporter as u64;
        stable_hash_with(stable_hash_with(seed, name.as_bytes()), detail.as_bytes())
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

    /// Counts rows of a shape, without their latencies.
    pub fn count_rows(&mut self, shape: &RowShape, count: u64) {
        if let Some(rows) = self.outcomes.get_mut(shape.traits.outcome as usize) {
            *rows += count;
        }
        for flag in &shape.flags {
            match self.flags.get_mut(flag) {
                Some(held) => *held += count,
                None => drop(self.flags.insert(flag.clone(), count)),
            }
        }
        self.bound_flags();
    }

    /// The samples to which rows with this outcome belong.
    pub fn samples_of(&mut self, outcome: Outcome) -> &mut [Samples; 3] {
        let [ok, failed, others] = &mut self.samples;
        match outcome {
            Outcome::Ok => ok,
            Outcome::Failed => failed,
            Outcome::Denied | Outcome::Canceled => others,
        }
    }

    /// Extensions may register flags; a hostile log may hold any token.
    fn bound_flags(&mut self) {
        while self.flags.len() > MAX_FLAGS {
            self.flags.pop_last();
        }
    }

    /// Rows with this outcome.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(outcome as usize).copied().unwrap_or(0)
    }
}

impl Figures {
    /// Adds `other` to this, and leaves it as it is.
    fn merge_ref(&mut self, other: &Self) {
        self.add_counts(other);
        for (mine, theirs) in self.samples.iter_mut().zip(&other.samples) {
            mine.iter_mut().zip(theirs).for_each(|(a, b)| a.merge_ref(b));
        }
    }

    fn add_counts(&mut self, other: &Self) {
        self.outcomes
            .iter_mut()
            .zip(other.outcomes)
            .for_each(|(a, b)| *a += b);
        for (flag, count) in &other.flags {
            match self.flags.get_mut(flag) {
                Some(held) => *held += count,
                None => drop(self.flags.insert(flag.clone(), *count)),
            }
        }
        self.bound_flags();
    }
}

impl Merge for Figures {
    fn merge(&mut self, other: Self) {
        self.add_counts(&other);
        for (mine, theirs) in self.samples.iter_mut().zip(other.samples) {
            mine.iter_mut().zip(theirs).for_each(|(a, b)| a.merge(b));
        }
    }
}

/// Rows of TCP connections in one bucket of time.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpMoment {
    /// Rows.
    pub rows: u64,
    /// Of these, failed.
    pub failed: u64,
}

impl Merge for TcpMoment {
    fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.failed += other.failed;
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
    /// First places, in order.
    pub places: Vec<Place>,
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
        self.keep = self.keep.max(other.keep);
        if self.places.is_empty() {
            self.places = other.places;
        } else {
            self.places.extend(other.places);
            self.places.sort_unstable();
            self.places.dedup();
        }
        self.places.truncate(self.keep);
    }
}

/// Groups of rows. Those that did not go well have a table of their own: in the logs of a hundred proxies there are so many groups of
/// good rows that they would crowd out the few that failed.
#[derive(Debug)]
pub struct Groups {
    remarkable: Bounded<GroupKey, Group>,
    ordinary: Bounded<GroupKey, Group>,
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            remarkable: Bounded::new(MAX_GROUPS),
            ordinary: Bounded::new(MAX_ORDINARY_GROUPS),
        }
    }
}

impl Groups {
    /// Adds rows to a group.
    pub fn add(&mut self, key: GroupKey, rows: Group) {
        if key.is_remarkable() {
            self.remarkable.add(key, rows);
        } else {
            self.ordinary.add(key, rows);
        }
    }

    /// The groups that are kept, in order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&GroupKey, &Group)> {
        in_order(&self.remarkable, &self.ordinary)
    }

    /// True when groups of rows that went well were left out.
    pub fn is_truncated(&self) -> bool {
        self.ordinary.is_truncated()
    }

    /// Rows of groups that failed and were left out.
    pub fn failed_left_out(&self) -> u64 {
        self.remarkable.lumped().map(|(_, group)| group.count).sum()
    }

    /// What was lumped together.
    pub fn lumped(&self) -> impl Iterator<Item = (&(Reporter, bool, Outcome), &Group)> {
        self.remarkable.lumped().chain(self.ordinary.lumped())
    }

    /// The tables, with what they are called.
    pub fn tables(&self) -> [(&'static str, &Bounded<GroupKey, Group>); 2] {
        [
            ("row groups that failed", &self.remarkable),
            ("row groups", &self.ordinary),
        ]
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

impl Votes {
    /// Adds votes for a candidate.
    pub fn add(&mut self, candidate: &str, count: u64) {
        if let Some(votes) = self.0.get_mut(candidate) {
            *votes += count;
        } else {
            self.0.insert(candidate.to_owned(), count);
            self.bound();
        }
    }

    fn bound(&mut self) {
        while self.0.len() > MAX_VOTES {
            self.0.pop_last();
        }
    }
}

impl Merge for Votes {
    fn merge(&mut self, other: Self) {
        for (candidate, count) in other.0 {
            *self.0.entry(candidate).or_default() += count;
        }
        self.bound();
    }
}

/// Sums over all lines.
#[derive(Debug)]
pub struct Totals {
    /// Groups of rows.
    pub groups: Groups,
    /// Rows of HTTP over time by caller and called service.
    pub hops: Hops,
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
    /// Rows of TCP connections over time.
    pub tcp_series: Series<TcpMoment>,
    /// All access rows.
    pub rows: u64,
    /// Durations over time.
    pub latency_series: Series<SecondLatency>,
    /// Durations over time by called service, where they are asked for.
    pub called: Bounded<CalledKey, Series<Spread>>,
    /// All rows over time (only the widths of its buckets matter).
    pub row_series: Series<u64>,
    /// Attempts.
    pub attempts: Sampled<()>,
    /// Rows by connection.
    pub connections: Sampled<ConnectionRow>,
    /// Rows that are followed one by one.
    pub followed: Followed,
    /// Paths.
    pub paths: Paths,
    /// Slowest requests.
    pub slowest: Slowest,
    /// By input.
    pub inputs: BTreeMap<InputId, InputStats>,
    /// Signature hits.
    pub hits: Bounded<HitKey, Hits>,
    /// What saved output of commands says.
    pub outputs: Bounded<FactKey, FactSum>,
    /// What saved configuration says.
    pub configuration: Configuration,
    /// Rows by fields that were asked for.
    pub top: Top,
    /// Which proxy has an ip.
    pub addresses: Bounded<String, Votes>,
    /// What a destination's other names stand for.
    pub aliases: Bounded<String, Votes>,
    /// In which namespace proxies look services up, as far as callers leave it to them.
    pub namespaces: Bounded<String, Votes>,
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
            groups: Groups::default(),
            hops: Hops::default(),
            figures: dimensions
                .into_iter()
                .map(|d| (d, Bounded::new(MAX_NAMES)))
                .collect(),
            by_code: Bounded::new(MAX_TOKENS),
            by_flag: Bounded::new(MAX_TOKENS),
            by_detail: Bounded::new(MAX_TOKENS),
            by_protocol: Bounded::new(MAX_TOKENS),
            tcp: [0; 2],
            tcp_series: Series::default(),
            rows: 0,
            latency_series: Series::default(),
            called: Bounded::new(MAX_CALLED),
            row_series: Series::default(),
            attempts: Sampled::new(MAX_ATTEMPTS),
            connections: Sampled::new(MAX_CONNECTION_ROWS),
            followed: Followed::default(),
            paths: Paths::default(),
            slowest: Slowest::default(),
            inputs: BTreeMap::new(),
            hits: Bounded::new(signatures::LIMIT),
            outputs: Bounded::new(outputs::LIMIT),
            configuration: Configuration::default(),
            top: Top::default(),
            addresses: Bounded::new(MAX_ALIASES),
            aliases: Bounded::new(MAX_ALIASES),
            namespaces: Bounded::new(MAX_ALIASES),
            captures: CaptureTotals::default(),
        }
    }
}

impl Totals {
    /// Adds a partial.
    pub fn absorb(&mut self, partial: Partial) {
        for (shape, count) in &partial.shapes {
            self.absorb_shape(shape, *count);
        }
        let (mut addresses, mut namespaces) = (Ballot::default(), Ballot::default());
        for sums in partial.cells {
            let cell = sums.cell;
            let (proxy, count) = (&cell.key.proxy, cell.count);
            if let Some(ip) = &cell.own_ip {
                addresses.cast(&mut self.addresses, ip, proxy, count);
            }
            if let Some(namespace) = &cell.own_namespace {
                namespaces.cast(&mut self.namespaces, proxy, namespace, count);
            }
            self.absorb_cell(cell);
        }
        addresses.close(&mut self.addresses);
        namespaces.close(&mut self.namespaces);
        for (key, figures) in partial.figures {
            self.absorb_figures(key, figures);
        }
        for (key, series) in partial.hops {
            for (second, moment) in series.iter() {
                self.row_series.add(second, moment.requests);
            }
            // A hop whose series is coarser than a second was that long: so is the whole.
            self.row_series.widen_to(series.width_log2());
            self.hops.add(key, series);
        }
        self.latency_series.merge(partial.latency);
        for (key, series) in partial.called {
            self.called.add(key, series);
        }
        self.attempts.absorb(partial.attempts);
        self.connections.absorb(partial.connections);
        self.followed.absorb(partial.followed);
        self.paths.absorb(partial.paths);
        self.slowest.merge(partial.slowest);
        for (input, stats) in partial.inputs {
            self.inputs.entry(input).or_default().merge(stats);
        }
        for (key, hits) in partial.hits {
            self.hits.add(key, hits);
        }
        for (key, fact) in partial.outputs {
            self.outputs.add(key, fact);
        }
        self.configuration.absorb(partial.configuration);
        self.top.absorb(partial.top);
    }

    /// Figures by name; those of a route are of its destination as well.
    fn absorb_figures(&mut self, key: FigureKey, figures: Figures) {
        if key.dimension == Dimension::Route
            && let Some(destinations) = self.figures.get_mut(&Dimension::Destination)
        {
            let destination = FigureKey {
                dimension: Dimension::Destination,
                reporter: key.reporter,
                name: key.name.clone(),
                detail: String::new(),
            };
            destinations.change(destination, |held| held.merge_ref(&figures));
        }
        if let Some(table) = self.figures.get_mut(&key.dimension) {
            table.add(key, figures);
        }
    }

    /// Rows of a shape by what no proxy decides.
    fn absorb_shape(&mut self, shape: &RowShape, count: u64) {
        self.rows += count;
        let traits = &shape.traits;
        if traits.tcp {
            if let Some(rows) = self.tcp.get_mut(traits.reporter as usize) {
                *rows += count;
            }
        } else {
            self.by_code.add_to(&traits.code.to_string(), count);
        }
        for flag in &shape.flags {
            self.by_flag.add_to(flag.as_str(), count);
        }
        if !traits.details.is_empty() {
            self.by_detail.add_to(traits.details.as_str(), count);
        }
        if !shape.protocol.is_empty() {
            self.by_protocol.add_to(shape.protocol.as_str(), count);
        }
        for alias in &shape.aliases {
            vote(&mut self.aliases, alias, &traits.destination, count);
        }
    }

    fn absorb_cell(&mut self, cell: Cell) {
        for hit in &cell.hits {
            let key = HitKey {
                signature: hit.0,
                proxy: cell.key.proxy.to_string(),
            };
            self.hits.change(key, |hits| add_hits(hits, &cell));
        }
        if cell.key.tcp {
            let has_failed = cell.key.outcome == Outcome::Failed;
            for (second, moment) in cell.series.iter() {
                self.row_series.add(second, moment.count);
                let rows = TcpMoment {
                    rows: moment.count,
                    failed: if has_failed { moment.count } else { 0 },
                };
                self.tcp_series.add(second, rows);
            }
            // As for hops.
            self.row_series.widen_to(cell.series.width_log2());
            self.tcp_series.widen_to(cell.series.width_log2());
        }
        let group = Group {
            count: cell.count,
            first: cell.first,
            last: cell.last,
            series: if cell.plain {
                Series::default()
            } else {
                cell.series
            },
            duration: cell.duration,
            places: cell.places.into_iter().map(|(place, _)| place).collect(),
            keep: cell.keep_places,
        };
        self.groups.add(cell.key, group);
    }
}

/// Equal votes that follow each other, as those of the cells of one proxy do: the table is searched once for all of them.
#[derive(Debug, Default)]
struct Ballot {
    last: Option<(Arc<str>, Arc<str>)>,
    count: u64,
}

impl Ballot {
    fn cast(
        &mut self,
        table: &mut Bounded<String, Votes>,
        name: &Arc<str>,
        candidate: &Arc<str>,
        count: u64,
    ) {
        if !matches!(&self.last, Some((of, said)) if of == name && said == candidate) {
            std::mem::take(self).close(table);
            self.last = Some((Arc::clone(name), Arc::clone(candidate)));
        }
        self.count += count;
    }

    fn close(self, table: &mut Bounded<String, Votes>) {
        if let Some((name, candidate)) = self.last {
            vote(table, &name, &candidate, self.count);
        }
    }
}

fn vote(table: &mut Bounded<String, Votes>, name: &str, candidate: &str, count: u64) {
    table.change_named(name, |votes| votes.add(candidate, count));
}

/// Adds the rows of a cell to the hits of a signature that hit them.
fn add_hits(hits: &mut Hits, cell: &Cell) {
    hits.count += cell.count;
    hits.first = earliest(hits.first, cell.first);
    hits.last = hits.last.max(cell.last);
    // The rows of a cell are of one input: its number is part of what decides the class.
    if let Some((place, _)) = cell.places.first() {
        *hits.inputs.entry(place.input).or_default() += cell.count;
    }
    hits.series.merge(cell.series.map(|moment| moment.count));
    hits.keep = hits.keep.max(cell.keep_places);
    for (place, text) in &cell.places {
        hits.keep_example(*place, || text.clone());
    }
}
