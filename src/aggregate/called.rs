//! How long requests to each service took over time, coarsely: by doublings of the duration, so that any window can be
//! summed from it. Collected by second as rows come, which is nearly in order, and handed on by service.
//!
//! Never: a percentile. Those of the whole time are read from [`super::samples`], which are finer.

use super::bounded::Key;
use super::class::Reporter;
use super::samples::Bucket;
use super::series::Series;
use super::{Merge, stable_hash_with};
use std::collections::BTreeMap;

/// Called services kept, of both reporters together.
pub const MAX_CALLED: usize = 256;

/// Seconds that a worker holds open at a time.
const SECONDS: usize = 32;

/// The same as a divisor of seconds.
const SLOTS: i64 = 32;

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

    #[inline]
    fn count_row(&mut self, row: TimedRow) {
        let counts = if row.failed() {
            self.failed.get_or_insert_default()
        } else {
            &mut self.ok
        };
        if let Some(count) = counts.get_mut(row.bucket().doubling()) {
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

/// Durations of good requests that completed in one second, by reporter.
#[derive(Clone, Debug, Default)]
pub struct SecondDurations {
    /// The second, since the epoch.
    pub second: i64,
    /// The durations.
    pub durations: [Vec<Bucket>; 2],
}

/// A row that waits for its second to end: the number of the service that was called, whether it failed, its duration.
#[derive(Clone, Copy, Debug)]
struct TimedRow(u32);

impl TimedRow {
    const FAILED: u32 = 1 << 15;

    #[inline]
    fn new(called: u16, failed: bool, duration_ms: u64) -> Self {
        let failed = if failed { Self::FAILED } else { 0 };
        Self(u32::from(called) << 16 | failed | u32::from(Bucket::of(duration_ms).number()))
    }

    #[inline]
    fn called(self) -> usize {
        (self.0 >> 16) as usize
    }

    #[inline]
    fn failed(self) -> bool {
        self.0 & Self::FAILED != 0
    }

    #[inline]
    fn bucket(self) -> Bucket {
        Bucket::numbered(self.0 & (Self::FAILED - 1))
    }
}

#[derive(Clone, Debug, Default)]
struct OpenSecond {
    second: i64,
    rows: Vec<TimedRow>,
}

/// Rows by second, of one worker: rows come nearly in order, so few seconds are open at a time.
#[derive(Debug)]
pub struct Seconds {
    open: Vec<OpenSecond>,
    closed: Vec<SecondDurations>,
    numbers: BTreeMap<CalledKey, u16>,
    called: Called,
    rows: usize,
}

/// Sums by the number of the called service.
#[derive(Debug, Default)]
struct Called {
    series: Vec<(Reporter, Series<Spread>)>,
    weight_bytes: usize,
}

/// What was collected of some seconds.
#[derive(Debug, Default)]
pub struct Taken {
    /// Durations by second.
    pub seconds: Vec<SecondDurations>,
    /// Requests by called service.
    pub called: Vec<(CalledKey, Series<Spread>)>,
}

impl Default for Seconds {
    fn default() -> Self {
        Self {
            open: vec![OpenSecond::default(); SECONDS],
            closed: Vec::new(),
            numbers: BTreeMap::new(),
            called: Called::default(),
            rows: 0,
        }
    }
}

impl Seconds {
    /// The number of a service, until all is taken. At most 65,535 are told apart: a worker has room for 4,096 classes of
    /// rows.
    pub fn number_of(&mut self, reporter: Reporter, destination: &str) -> u16 {
        let key = CalledKey {
            reporter,
            destination: destination.to_owned(),
        };
        *self.numbers.entry(key).or_insert_with(|| {
            let number = u16::try_from(self.called.series.len()).unwrap_or(u16::MAX);
            self.called.series.push((reporter, Series::default()));
            number
        })
    }

    /// Rows held.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of series held.
    pub fn weight_bytes(&self) -> usize {
        self.called.weight_bytes
    }

    /// Adds a row.
    #[inline]
    pub fn count(&mut self, second: i64, called: u16, failed: bool, duration_ms: u64) {
        let slot = usize::try_from(second.rem_euclid(SLOTS)).unwrap_or(0);
        let Some(open) = self.open.get_mut(slot) else {
            return;
        };
        if open.second != second {
            close(open, &mut self.closed, &mut self.called);
            open.second = second;
        }
        open.rows.push(TimedRow::new(called, failed, duration_ms));
        self.rows += 1;
    }

    /// Hands on the durations. Those by service stay.
    pub fn take_durations(&mut self) -> Vec<SecondDurations> {
        for open in &mut self.open {
            close(open, &mut self.closed, &mut self.called);
            open.rows = Vec::new();
        }
        self.rows = 0;
        std::mem::take(&mut self.closed)
    }

    /// Hands on all. Numbers of services mean nothing from then on.
    pub fn take(&mut self) -> Taken {
        let seconds = self.take_durations();
        let called = std::mem::take(&mut self.called).series;
        let numbered = std::mem::take(&mut self.numbers).into_iter();
        let mut series: Vec<_> = called.into_iter().map(|(_, series)| series).collect();
        let called = numbered.filter_map(|(key, number)| {
            let series = std::mem::take(series.get_mut(usize::from(number))?);
            (!series.is_empty()).then_some((key, series))
        });
        Taken {
            called: called.collect(),
            seconds,
        }
    }
}

/// Ends a second: its rows go to their services, the durations of good ones to the second.
#[cold]
fn close(open: &mut OpenSecond, closed: &mut Vec<SecondDurations>, called: &mut Called) {
    if open.rows.is_empty() {
        return;
    }
    let mut durations: [Vec<Bucket>; 2] = Default::default();
    for row in open.rows.drain(..) {
        let Some((reporter, series)) = called.series.get_mut(row.called()) else {
            continue;
        };
        let before = series.len();
        series.change(open.second, |spread| {
            let before = spread.apart_bytes();
            spread.count_row(row);
            called.weight_bytes += spread.apart_bytes() - before;
        });
        called.weight_bytes += series.len().saturating_sub(before) * size_of::<(i64, Spread)>();
        if !row.failed()
            && let Some(list) = durations.get_mut(*reporter as usize)
        {
            list.push(row.bucket());
        }
    }
    if durations.iter().any(|list| !list.is_empty()) {
        closed.push(SecondDurations {
            second: open.second,
            durations,
        });
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
        let mut seconds = Seconds::default();
        let part = |rows: &&[Row]| {
            for (second, called, failed, ms) in *rows {
                let (reporter, destination) = key(*called);
                let number = seconds.number_of(reporter, &destination);
                seconds.count(*second, number, *failed, *ms);
            }
            assert_eq!(seconds.rows(), rows.len());
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
            let good: usize = whole[0].seconds.iter().flat_map(|second| &second.durations).map(Vec::len).sum();
            prop_assert_eq!(good, rows.iter().filter(|row| !row.2).count());
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
