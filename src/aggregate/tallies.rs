//! Sums of one worker that classes share: latencies by route, caller, code and flag, and the rows of a hop over
//! time. A mesh has some hundreds of these and thousands of classes, so that there is less to hold and to merge
//! than if each class had sums of its own (a third of the memory and a tenth of the time of a merge).
//!
//! Never: changes what a figure is. The figures of a destination are the sum over its routes, made at the merge.

use super::bounded::Key;
use super::cells::Moment;
use super::class::{GroupKey, Reporter, RowShape};
use super::flags::Outcome;
use super::hops::{HopKey, HopMoment};
use super::samples::{Bucket, Samples};
use super::series::Series;
use super::totals::{Dimension, FigureKey, Figures};
use hashbrown::HashTable;
use std::sync::Arc;

/// Where rows of one shape are counted, whoever wrote them.
#[derive(Clone, Debug)]
pub struct ShapeUnits {
    /// Route, with upstream times and overhead.
    route: usize,
    /// Code and flags.
    brief: Arc<[usize]>,
}

/// Where the rows of a class are counted.
#[derive(Clone, Debug)]
pub struct Units {
    hop: usize,
    /// Source, with upstream times and overhead.
    source: usize,
    shape: ShapeUnits,
}

/// Samples of some rows of one class.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Durations.
    duration: BatchOf,
    /// Upstream times.
    upstream: BatchOf,
    /// Durations less upstream times.
    overhead: BatchOf,
}

/// At most [`Batch::ROWS`] samples, for which there is room from the start.
#[derive(Clone, Debug)]
struct BatchOf {
    buckets: [Bucket; Batch::ROWS],
    count: usize,
}

impl Default for BatchOf {
    fn default() -> Self {
        Self {
            buckets: [Bucket::of(0); Batch::ROWS],
            count: 0,
        }
    }
}

impl BatchOf {
    #[inline]
    fn push(&mut self, ms: u64) {
        if let Some(place) = self.buckets.get_mut(self.count) {
            *place = Bucket::of(ms);
            self.count += 1;
        }
    }

    fn all(&self) -> &[Bucket] {
        self.buckets.get(..self.count).unwrap_or_default()
    }
}

impl Batch {
    /// Rows that it holds at most; more are left out.
    pub const ROWS: usize = 32;

    /// Adds a row.
    #[inline]
    pub fn push(&mut self, duration_ms: u64, upstream_ms: Option<u64>) {
        self.duration.push(duration_ms);
        if let Some(upstream_ms) = upstream_ms {
            self.upstream.push(upstream_ms);
            self.overhead.push(duration_ms.saturating_sub(upstream_ms));
        }
    }

    /// Durations.
    pub fn durations(&self) -> &[Bucket] {
        self.duration.all()
    }

    /// Forgets all rows.
    pub fn clear(&mut self) {
        self.duration.count = 0;
        self.upstream.count = 0;
        self.overhead.count = 0;
    }
}

/// What was summed.
#[derive(Debug)]
pub struct Shared {
    /// By name; none of destinations, whose figures are the sum over their routes.
    pub figures: Vec<(FigureKey, Figures)>,
    /// By caller and called service.
    pub hops: Vec<(HopKey, Series<HopMoment>)>,
}

/// Sums with a number for each key.
#[derive(Debug)]
struct Numbered<K, V> {
    numbers: HashTable<usize>,
    sums: Vec<(K, V)>,
}

impl<K, V> Default for Numbered<K, V> {
    fn default() -> Self {
        Self {
            numbers: HashTable::new(),
            sums: Vec::new(),
        }
    }
}

impl<K: Key, V: Default> Numbered<K, V> {
    /// The number of the key with this [`Key::key_hash`] which `is_it` knows; `make` makes the key on first sight.
    fn number_of(&mut self, hash: u64, is_it: impl Fn(&K) -> bool, make: impl FnOnce() -> K) -> usize {
        let Self { numbers, sums } = self;
        let found = numbers.find(hash, |number| {
            sums.get(*number).is_some_and(|(key, _)| is_it(key))
        });
        if let Some(number) = found {
            return *number;
        }
        let number = sums.len();
        sums.push((make(), V::default()));
        let hash_of = |number: &usize| sums.get(*number).map_or(0, |(key, _)| key.key_hash());
        numbers.insert_unique(hash, number, hash_of);
        number
    }

    fn get(&self, number: usize) -> Option<&V> {
        self.sums.get(number).map(|(_, sum)| sum)
    }

    fn get_mut(&mut self, number: usize) -> Option<&mut V> {
        self.sums.get_mut(number).map(|(_, sum)| sum)
    }
}

/// The sums.
#[derive(Debug, Default)]
pub struct Tallies {
    figures: Numbered<FigureKey, Figures>,
    hops: Numbered<HopKey, Series<HopMoment>>,
    weight_bytes: usize,
}

impl Tallies {
    /// Where rows of a shape are counted.
    pub fn shape_units(&mut self, shape: &RowShape) -> ShapeUnits {
        let traits = &shape.traits;
        let reporter = traits.reporter;
        let brief = std::iter::once(self.figure(Dimension::Code, reporter, &traits.code.to_string(), ""));
        let flags: Vec<usize> = shape
            .flags
            .iter()
            .map(|flag| self.figure(Dimension::Flag, reporter, flag, ""))
            .collect();
        ShapeUnits {
            route: self.figure(Dimension::Route, reporter, &traits.destination, &traits.route),
            brief: brief.chain(flags).collect(),
        }
    }

    /// Where rows of a shape that a proxy wrote are counted.
    pub fn units_of(&mut self, key: &GroupKey, shape: ShapeUnits) -> Units {
        let by_address;
        let source = match key.reporter {
            Reporter::Source => &*key.proxy,
            Reporter::Destination => {
                by_address = format!("ip:{}", key.peer);
                &by_address
            }
        };
        let (reporter, destination) = (key.reporter, &key.destination);
        let hop = self.hops.number_of(
            HopKey::hash(reporter, source, destination),
            |hop| hop.reporter == reporter && hop.source == *source && hop.destination == *destination,
            || HopKey {
                reporter,
                source: source.to_owned(),
                destination: destination.clone(),
            },
        );
        Units {
            hop,
            source: self.figure(Dimension::Source, reporter, source, ""),
            shape,
        }
    }

    fn figure(&mut self, dimension: Dimension, reporter: Reporter, name: &str, detail: &str) -> usize {
        self.figures.number_of(
            FigureKey::hash(dimension, reporter, name, detail),
            |key| {
                (key.dimension, key.reporter) == (dimension, reporter)
                    && key.name == name
                    && key.detail == detail
            },
            || FigureKey {
                dimension,
                reporter,
                name: name.to_owned(),
                detail: detail.to_owned(),
            },
        )
    }

    /// Adds latencies of rows with an outcome.
    pub fn add(&mut self, units: &Units, outcome: Outcome, batch: &Batch) {
        let weight = &mut self.weight_bytes;
        let mut record = |samples: &mut Samples, buckets: &[Bucket]| {
            let before = samples.weight_bytes();
            samples.record_all(buckets);
            *weight += samples.weight_bytes().saturating_sub(before);
        };
        for unit in [units.shape.route, units.source] {
            if let Some(figures) = self.figures.get_mut(unit) {
                let [duration, upstream, overhead] = figures.samples_of(outcome);
                record(duration, batch.duration.all());
                record(upstream, batch.upstream.all());
                record(overhead, batch.overhead.all());
            }
        }
        for unit in &*units.shape.brief {
            if let Some(figures) = self.figures.get_mut(*unit) {
                let [duration, ..] = figures.samples_of(outcome);
                record(duration, batch.duration.all());
            }
        }
    }

    /// How coarse the series is in which rows over time are counted: binary logarithm of the width of a bucket in
    /// seconds.
    pub fn width_log2(&self, units: &Units) -> u32 {
        self.hops.get(units.hop).map_or(0, Series::width_log2)
    }

    /// Adds rows with an outcome that completed in one second, or in one bucket of the series.
    #[inline]
    pub fn add_moment(&mut self, units: &Units, outcome: Outcome, second: i64, moment: Moment) {
        if let Some(series) = self.hops.get_mut(units.hop) {
            let before = series.len();
            series.change(second, |hop| hop.count(outcome, moment));
            let held = self.weight_bytes + series.len() * size_of::<(i64, HopMoment)>();
            self.weight_bytes = held.saturating_sub(before * size_of::<(i64, HopMoment)>());
        }
    }

    /// Counts the rows of a shape, all at once, but for those by source.
    pub fn count_shape(&mut self, units: &ShapeUnits, shape: &RowShape, count: u64) {
        for unit in std::iter::once(&units.route).chain(&*units.brief) {
            if let Some(figures) = self.figures.get_mut(*unit) {
                figures.count_rows(shape, count);
            }
        }
    }

    /// Counts the rows of a class by their source.
    pub fn count_source(&mut self, units: &Units, shape: &RowShape, count: u64) {
        if let Some(figures) = self.figures.get_mut(units.source) {
            figures.count_rows(shape, count);
        }
    }

    /// Bytes of samples and series held.
    pub fn weight_bytes(&self) -> usize {
        self.weight_bytes
    }

    /// The figures and the hops; nothing is left.
    pub fn take(&mut self) -> Shared {
        let all = std::mem::take(self);
        Shared {
            figures: all.figures.sums,
            hops: all.hops.sums,
        }
    }
}
