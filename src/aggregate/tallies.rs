//! Sums of one worker that classes share: latencies by route, caller, code and flag, and the rows of a hop over
//! time. A mesh has some hundreds of these and thousands of classes, so that there is less to hold and to merge
//! than if each class had sums of its own (a third of the memory and a tenth of the time of a merge).
//!
//! Never: changes what a figure is. The figures of a destination are the sum over its routes, made at the merge.

use super::cells::Moment;
use super::class::{Reporter, RowClass};
use super::flags::Outcome;
use super::samples::{Bucket, Samples};
use super::series::Series;
use super::totals::{Dimension, FigureKey, Figures, HopKey, HopMoment};
use std::collections::BTreeMap;

/// Where the rows of a class are counted.
#[derive(Clone, Debug, Default)]
pub struct Units {
    hop: usize,
    /// Route and source, with upstream times and overhead.
    whole: [usize; 2],
    /// Code and flags.
    brief: Vec<usize>,
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

/// The sums.
#[derive(Debug, Default)]
pub struct Tallies {
    names: BTreeMap<FigureKey, usize>,
    figures: Vec<Figures>,
    hop_names: BTreeMap<HopKey, usize>,
    hops: Vec<Series<HopMoment>>,
    weight_bytes: usize,
}

impl Tallies {
    /// Where rows of a class are counted.
    pub fn units_of(&mut self, class: &RowClass) -> Units {
        let key = &class.key;
        let source = match key.reporter {
            Reporter::Source => key.proxy.clone(),
            Reporter::Destination => format!("ip:{}", key.peer),
        };
        let hop = HopKey {
            reporter: key.reporter,
            source: source.clone(),
            destination: key.destination.clone(),
        };
        let mut unit = |dimension, name: String, detail: &str| {
            let key = FigureKey {
                dimension,
                reporter: key.reporter,
                name,
                detail: detail.to_owned(),
            };
            number(&mut self.names, &mut self.figures, key)
        };
        let whole = [
            unit(Dimension::Route, key.destination.clone(), &key.route),
            unit(Dimension::Source, source, ""),
        ];
        let mut brief = vec![unit(Dimension::Code, key.code.to_string(), "")];
        brief.extend(
            class
                .flags
                .iter()
                .map(|flag| unit(Dimension::Flag, flag.clone(), "")),
        );
        Units {
            hop: number(&mut self.hop_names, &mut self.hops, hop),
            whole,
            brief,
        }
    }

    /// Adds latencies of rows with an outcome.
    pub fn add(&mut self, units: &Units, outcome: Outcome, batch: &Batch) {
        let weight = &mut self.weight_bytes;
        let mut record = |samples: &mut Samples, buckets: &[Bucket]| {
            let before = samples.weight_bytes();
            samples.record_all(buckets);
            *weight += samples.weight_bytes().saturating_sub(before);
        };
        for unit in units.whole {
            if let Some(figures) = self.figures.get_mut(unit) {
                let [duration, upstream, overhead] = figures.samples_of(outcome);
                record(duration, batch.duration.all());
                record(upstream, batch.upstream.all());
                record(overhead, batch.overhead.all());
            }
        }
        for unit in &units.brief {
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

    /// Counts the rows of a class, all at once.
    pub fn count(&mut self, units: &Units, class: &RowClass, count: u64) {
        for unit in units.whole.iter().chain(&units.brief) {
            if let Some(figures) = self.figures.get_mut(*unit) {
                figures.count_rows(class, count);
            }
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
            figures: in_order(all.names, all.figures),
            hops: in_order(all.hop_names, all.hops),
        }
    }
}

/// The place of the sums of `key`, which are made if there are none.
fn number<K: Ord, V: Default>(names: &mut BTreeMap<K, usize>, sums: &mut Vec<V>, key: K) -> usize {
    *names.entry(key).or_insert_with(|| {
        sums.push(V::default());
        sums.len() - 1
    })
}

fn in_order<K, V: Default>(names: BTreeMap<K, usize>, mut sums: Vec<V>) -> Vec<(K, V)> {
    let taken = names.into_iter().map(|(key, index)| {
        let sum = sums.get_mut(index).map(std::mem::take).unwrap_or_default();
        (key, sum)
    });
    taken.collect()
}
