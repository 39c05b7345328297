//! How long requests to each service took over time, coarsely: by doublings of the duration, so that any window can be
//! summed from it; and, finer but of all services together, of good ones.

use super::bounded::Key;
use super::class::Reporter;
use super::samples::{Bucket, Samples};
use super::series::Series;
use super::{Merge, stable_hash_with};
use std::collections::BTreeMap;

/// Called services kept, of both reporters together.
pub const MAX_CALLED: usize = 256;

/// A called service as one reporter names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CalledKey {
    /// Who reports.
    pub reporter: Reporter,
    /// The service.
    pub destination: String,
}

impl Key for CalledKey {
    type Lump = Reporter;

    fn key_hash(&self) -> u64 {
        stable_hash_with(self.reporter as u64 + 1, self.destination.as_bytes())
    }

    fn lump(&self) -> Reporter {
        self.reporter
    }
}

/// Requests by doubling of their duration: see [`Bucket::doubling`].
pub type Doublings = [u32; Bucket::DOUBLINGS];

/// Requests that ended in one bucket of time, good and failed apart.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    /// Good ones.
    pub ok: Doublings,
    /// Failed ones, of which there are mostly none.
    pub failed: Option<Box<Doublings>>,
}

impl Spread {
    /// Requests.
    pub fn count(&self) -> u64 {
        let failed = self.failed.iter().flat_map(|counts| counts.iter());
        self.ok.iter().chain(failed).map(|count| u64::from(*count)).sum()
    }

    /// Bytes that are held beside it.
    #[inline]
    fn apart_bytes(&self) -> usize {
        self.failed.as_ref().map_or(0, |_| size_of::<Doublings>())
    }

    /// Adds a request.
    #[inline]
    fn count_row(&mut self, duration: Bucket, failed: bool) {
        let counts = if failed {
            self.failed.get_or_insert_default()
        } else {
            &mut self.ok
        };
        if let Some(count) = counts.get_mut(duration.doubling()) {
            *count = count.saturating_add(1);
        }
    }
}

fn add(mine: &mut Doublings, theirs: &Doublings) {
    for (mine, theirs) in mine.iter_mut().zip(theirs) {
        *mine = mine.saturating_add(*theirs);
    }
}

impl Merge for Spread {
    fn merge(&mut self, other: Self) {
        add(&mut self.ok, &other.ok);
        match (&mut self.failed, other.failed) {
            (Some(mine), Some(theirs)) => add(mine, &theirs),
            (None, theirs) => self.failed = theirs,
            (Some(_), None) => {}
        }
    }
}

/// Durations of good requests that completed in one bucket of time, by reporter.
#[derive(Clone, Debug, Default)]
pub struct SecondLatency(pub [Samples; 2]);

impl Merge for SecondLatency {
    fn merge(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| a.merge(b));
    }
}

/// A row as it counts for latency over time.
#[derive(Clone, Copy, Debug)]
pub struct TimedRow {
    /// To which second since the epoch it belongs.
    pub second: i64,
    /// Who reports.
    pub reporter: Reporter,
    /// Number of the called service: see [`Seconds::number_of`].
    pub called: u16,
    /// True if it failed.
    pub failed: bool,
    /// How long it took.
    pub duration: Bucket,
}

/// Rows over time, of one worker.
#[derive(Debug, Default)]
pub struct Seconds {
    latency: Series<SecondLatency>,
    /// Called services are told apart.
    by_called: bool,
    numbers: BTreeMap<CalledKey, u16>,
    called: Vec<Series<Spread>>,
    called_bytes: usize,
    latency_bytes: usize,
    /// How coarse the latencies were when they were weighed.
    weighed_log2: u32,
}

/// What was collected.
#[derive(Debug, Default)]
pub struct Taken {
    /// Durations of good requests.
    pub latency: Series<SecondLatency>,
    /// Requests by called service.
    pub called: Vec<(CalledKey, Series<Spread>)>,
}

impl Seconds {
    /// No rows yet; with sums for each called service if `by_called`.
    pub fn new(by_called: bool) -> Self {
        Self {
            by_called,
            ..Self::default()
        }
    }

    /// The number of a service, until all is taken; 0 where they are not told apart. At most 65,535 are: a worker has room for
    /// 4,096 classes of rows.
    pub fn number_of(&mut self, reporter: Reporter, destination: &str) -> u16 {
        if !self.by_called {
            return 0;
        }
        let key = CalledKey {
            reporter,
            destination: destination.to_owned(),
        };
        *self.numbers.entry(key).or_insert_with(|| {
            let number = u16::try_from(self.called.len()).unwrap_or(u16::MAX);
            self.called.push(Series::default());
            number
        })
    }

    /// Bytes of samples and series held.
    pub fn weight_bytes(&mut self) -> usize {
        // Where buckets were joined, less is held than was added.
        if self.weighed_log2 != self.latency.width_log2() {
            self.weighed_log2 = self.latency.width_log2();
            let samples = self.latency.iter().flat_map(|(_, latency)| &latency.0);
            self.latency_bytes = samples.map(Samples::weight_bytes).sum();
        }
        self.called_bytes + self.latency_bytes
    }

    /// Adds rows.
    pub fn count_all(&mut self, rows: impl Iterator<Item = TimedRow> + Clone) {
        if self.by_called {
            rows.clone().for_each(|row| self.count_called(row));
        }
        rows.filter(|row| !row.failed)
            .for_each(|row| self.count_latency(row));
    }

    #[inline]
    fn count_called(&mut self, row: TimedRow) {
        let Some(series) = self.called.get_mut(usize::from(row.called)) else {
            return;
        };
        let buckets = series.len();
        let mut more_bytes = 0;
        series.change(row.second, |spread| {
            let before = spread.apart_bytes();
            spread.count_row(row.duration, row.failed);
            more_bytes = spread.apart_bytes() - before;
        });
        if series.len() != buckets || more_bytes > 0 {
            let held = self.called_bytes + more_bytes + series.len() * size_of::<(i64, Spread)>();
            self.called_bytes = held.saturating_sub(buckets * size_of::<(i64, Spread)>());
        }
    }

    #[inline]
    fn count_latency(&mut self, row: TimedRow) {
        let mut more_bytes = 0;
        self.latency.change(row.second, |latency| {
            if let Some(samples) = latency.0.get_mut(row.reporter as usize) {
                more_bytes = samples.record_bucket(row.duration);
            }
        });
        self.latency_bytes += more_bytes;
    }

    /// Hands on all. Numbers of services mean nothing from then on.
    pub fn take(&mut self) -> Taken {
        let all = std::mem::replace(self, Self::new(self.by_called));
        let mut sums = all.called;
        let called = all.numbers.into_iter().filter_map(|(key, number)| {
            let series = std::mem::take(sums.get_mut(usize::from(number))?);
            (!series.is_empty()).then_some((key, series))
        });
        Taken {
            called: called.collect(),
            latency: all.latency,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Row = (i64, u8, bool, u64);

    fn sums(taken: Vec<Taken>) -> BTreeMap<(CalledKey, i64), Spread> {
        let mut sums: BTreeMap<(CalledKey, i64), Spread> = BTreeMap::new();
        for (key, series) in taken.into_iter().flat_map(|taken| taken.called) {
            assert_eq!(series.width_s(), 1);
            for (second, spread) in series.iter() {
                sums.entry((key.clone(), second))
                    .or_default()
                    .merge(spread.clone());
            }
        }
        sums
    }

    fn key(number: u8) -> (Reporter, String) {
        let reporter = Reporter::ALL[usize::from(number % 2)];
        (reporter, format!("service-{}", number / 2))
    }

    fn collected(parts: &[&[Row]]) -> Vec<Taken> {
        let mut seconds = Seconds::new(true);
        let part = |rows: &&[Row]| {
            for (second, called, failed, ms) in *rows {
                let (reporter, destination) = key(*called);
                let number = seconds.number_of(reporter, &destination);
                let row = TimedRow {
                    second: *second,
                    reporter,
                    called: number,
                    failed: *failed,
                    duration: Bucket::of(*ms),
                };
                seconds.count_all(std::iter::once(row));
            }
            seconds.take()
        };
        parts.iter().map(part).collect()
    }

    proptest! {
        /// Whatever the order and wherever the collecting is interrupted, each row is counted once, in its own place.
        #[test]
        fn every_row_is_counted_where_it_belongs(
            rows in prop::collection::vec((-40_i64..80, 0_u8..6, any::<bool>(), prop_oneof![0_u64..5, 0_u64..5000, 0_u64..200_000_000]), 0..300),
            cut in 0_usize..300,
        ) {
            let (left, right) = rows.split_at(cut.min(rows.len()));
            let whole = collected(&[&rows]);
            for (second, latency) in whole[0].latency.iter() {
                for (samples, reporter) in latency.0.iter().zip(Reporter::ALL) {
                    let good = rows.iter().filter(|row| row.0 == second && !row.2 && key(row.1).0 == reporter);
                    prop_assert_eq!(samples.count(), good.count() as u64);
                }
            }
            let good: u64 = whole[0].latency.iter().flat_map(|(_, latency)| &latency.0).map(Samples::count).sum();
            prop_assert_eq!(good, rows.iter().filter(|row| !row.2).count() as u64);
            let whole = sums(whole);
            let mut expected: BTreeMap<(CalledKey, i64, bool, u64), u32> = BTreeMap::new();
            for (second, called, failed, ms) in &rows {
                let (reporter, destination) = key(*called);
                let ms = Bucket::of(*ms).highest_ms();
                let le = if ms == 0 { 0 } else { ms.next_power_of_two() };
                *expected.entry((CalledKey { reporter, destination }, *second, *failed, le)).or_default() += 1;
            }
            let mut found = BTreeMap::new();
            for ((key, second), spread) in &whole {
                let failed = spread.failed.as_deref().into_iter().map(|counts| (true, counts));
                for (failed, counts) in failed.chain([(false, &spread.ok)]) {
                    for (number, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                        found.insert((key.clone(), *second, failed, Bucket::doubling_le_ms(number)), *count);
                    }
                }
            }
            prop_assert_eq!(found, expected);
            let parts = sums(collected(&[left, right]));
            prop_assert_eq!(format!("{parts:?}"), format!("{whole:?}"));
        }
    }
}
