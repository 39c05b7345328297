//! Rows of HTTP over time by caller and called service.
//!
//! The logs of a cluster hold thousands of hops. All are kept as long as there is room for their buckets; then all series become coarser
//! together, and only at the coarsest hops are kept by hash, and the rows of all others are told by called service. Each step
//! depends on the set of rows alone: what decides it (`seconds`) only grows as rows are added, whatever the order.

use super::bounded::{Bounded, Key};
use super::cells::Moment;
use super::class::Reporter;
use super::flags::Outcome;
use super::series::{MAX_BUCKETS, Series};
use super::{Merge, stable_hash_with};
use std::collections::BTreeMap;

/// Hops kept.
pub const MAX_HOPS: usize = 16_384;

/// Buckets kept of all hops (32 MiB).
const MAX_HOP_BUCKETS: usize = 1 << 19;

/// Buckets that each hop may have however many hops there are.
const MIN_BUCKETS: usize = 32;

/// Called services to which the rows of other hops are told, of both reporters together.
const MAX_BEYOND: usize = 1024;

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
        Self::hash(self.reporter, &self.source, &self.destination)
    }

    fn lump(&self) -> Reporter {
        self.reporter
    }
}

impl HopKey {
    /// The [`Key::key_hash`] of a key of these.
    pub fn hash(reporter: Reporter, source: &str, destination: &str) -> u64 {
        let source = stable_hash_with(reporter as u64 + 1, source.as_bytes());
        stable_hash_with(source, destination.as_bytes())
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

impl HopMoment {
    /// Adds rows with an outcome.
    #[inline]
    pub fn count(&mut self, outcome: Outcome, rows: Moment) {
        self.requests += rows.count;
        match outcome {
            Outcome::Ok => self.good.merge(rows),
            Outcome::Failed => self.failed += rows.count,
            Outcome::Denied | Outcome::Canceled => {}
        }
    }
}

impl Merge for HopMoment {
    fn merge(&mut self, other: Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.good.merge(other.good);
    }
}

/// The hops.
#[derive(Debug)]
pub struct Hops {
    kept: BTreeMap<HopKey, Series<HopMoment>>,
    /// Rows of all other hops: keys without a source, in series of [`MIN_BUCKETS`]. Finer ones would depend on when a hop was
    /// left out.
    beyond: Bounded<HopKey, Series<HopMoment>>,
    limit: usize,
    max_buckets: usize,
    /// Keys with a hash above are not kept.
    threshold: u64,
    /// Buckets of one hop, at most.
    per_hop: usize,
    /// [`seconds`] of all hops that are kept, no less than their buckets.
    held: usize,
}

impl Default for Hops {
    fn default() -> Self {
        Self::new(MAX_HOPS, MAX_HOP_BUCKETS, MAX_BEYOND)
    }
}

impl Hops {
    fn new(limit: usize, max_buckets: usize, max_beyond: usize) -> Self {
        Self {
            kept: BTreeMap::new(),
            beyond: Bounded::new(max_beyond),
            limit,
            max_buckets,
            threshold: u64::MAX,
            per_hop: MAX_BUCKETS,
            held: 0,
        }
    }

    /// Adds rows of a hop.
    pub fn add(&mut self, key: HopKey, rows: Series<HopMoment>) {
        if self.is_truncated() && key.key_hash() > self.threshold {
            return self.leave_out(key, rows);
        }
        let series = self.kept.entry(key).or_default();
        self.held = self.held.saturating_sub(seconds(series, self.per_hop));
        series.merge(rows);
        series.limit_to(self.per_hop);
        self.held += seconds(series, self.per_hop);
        while self.is_full() && self.threshold > 0 {
            self.make_room();
        }
    }

    /// Both limits lead down the same steps: if one of them coarsened and the other left out, which of them is met first would
    /// depend on the order.
    fn is_full(&self) -> bool {
        self.kept.len() > self.limit || self.held > self.max_buckets
    }

    fn make_room(&mut self) {
        if self.per_hop > MIN_BUCKETS {
            self.per_hop /= 2;
            let series = self.kept.values_mut();
            series.for_each(|series| series.limit_to(self.per_hop));
        } else {
            self.threshold /= 2;
            for (key, series) in std::mem::take(&mut self.kept) {
                if key.key_hash() > self.threshold {
                    self.leave_out(key, series);
                } else {
                    self.kept.insert(key, series);
                }
            }
        }
        let kept = self.kept.values();
        self.held = kept.map(|series| seconds(series, self.per_hop)).sum();
    }

    fn leave_out(&mut self, key: HopKey, rows: Series<HopMoment>) {
        let all = HopKey {
            source: String::new(),
            ..key
        };
        self.beyond.change(all, |series| {
            series.merge(rows);
            series.limit_to(MIN_BUCKETS);
        });
    }

    /// The hops that are kept, in order, and then what was left out by called service, without a source.
    pub fn iter(&self) -> impl Iterator<Item = (&HopKey, &Series<HopMoment>)> {
        self.kept.iter().chain(self.beyond.iter())
    }

    /// The rows of hops to called services beyond the limit, by reporter, as coarse as those that are told by called service.
    pub fn lumped(&self) -> impl Iterator<Item = (Reporter, Series<HopMoment>)> {
        self.beyond.lumped().map(|(reporter, series)| {
            let mut series = series.clone();
            series.limit_to(MIN_BUCKETS);
            (*reporter, series)
        })
    }

    /// The rows of hops that were left out.
    pub fn left_out(&self) -> u64 {
        let beyond = self.beyond.iter().map(|(_, series)| series);
        let all = beyond.chain(self.beyond.lumped().map(|(_, series)| series));
        all.flat_map(Series::iter)
            .map(|(_, moment)| moment.requests)
            .sum()
    }

    /// Hops kept.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// True when no hop is kept.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// True when hops were left out.
    pub fn is_truncated(&self) -> bool {
        self.threshold < u64::MAX
    }

    /// True when not even the called services of all rows are told.
    pub fn is_incomplete(&self) -> bool {
        self.beyond.is_truncated()
    }
}

/// The seconds in which a hop has rows, up to the limit of its buckets. Unlike the number of its buckets, which halves when they
/// become wider, this never falls as rows are added.
fn seconds(series: &Series<HopMoment>, limit: usize) -> usize {
    if series.width_log2() > 0 {
        limit
    } else {
        series.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Told = (i64, Vec<(i64, u64)>);
    type Flat = (usize, Vec<(HopKey, Told)>, Vec<Told>);

    fn of(rows: &[(u8, i64)]) -> Hops {
        let mut hops = Hops::new(12, 600, 2);
        for (source, second) in rows {
            let key = HopKey {
                reporter: Reporter::Source,
                source: source.to_string(),
                destination: format!("{}.svc:8080", source % 9),
            };
            let mut series = Series::default();
            let moment = HopMoment {
                requests: 1,
                ..HopMoment::default()
            };
            series.add(*second, moment);
            hops.add(key, series);
        }
        hops
    }

    fn flat(hops: &Hops) -> Flat {
        let told = |series: &Series<HopMoment>| -> Told {
            (
                series.width_s(),
                series
                    .iter()
                    .map(|(second, moment)| (second, moment.requests))
                    .collect(),
            )
        };
        let all = hops.iter().map(|(key, series)| (key.clone(), told(series)));
        let lumped = hops.lumped().map(|(_, series)| told(&series));
        (hops.len(), all.collect(), lumped.collect())
    }

    fn requests<'a>(all: impl Iterator<Item = &'a Told>) -> u64 {
        all.flat_map(|(_, cells)| cells)
            .map(|(_, requests)| requests)
            .sum()
    }

    proptest! {
        /// Few hops with many seconds, many with few, and both: each limit is met first in some of the cases.
        #[test]
        fn what_is_kept_depends_on_the_rows_alone(
            sources in 1_u8..40,
            seconds in 1_i64..300,
            seeds in prop::collection::vec(any::<(u8, u16)>(), 0..2500),
            cut in 0_usize..2500,
        ) {
            let rows: Vec<(u8, i64)> = seeds.iter().map(|(source, second)| (source % sources, i64::from(*second) % seconds)).collect();
            let whole = of(&rows);
            let mut turned = rows.clone();
            turned.rotate_left(cut % rows.len().max(1));
            prop_assert_eq!(flat(&whole), flat(&of(&turned)));
            turned.sort_unstable();
            prop_assert_eq!(flat(&whole), flat(&of(&turned)));
            turned.sort_unstable_by_key(|(source, second)| (*second, *source));
            prop_assert_eq!(flat(&whole), flat(&of(&turned)));
            prop_assert!(whole.len() <= 12 && whole.held <= 600);
            let (_, all, lumped) = flat(&whole);
            let beyond = all.iter().filter(|(key, _)| key.source.is_empty()).map(|(_, told)| told);
            prop_assert_eq!(whole.left_out(), requests(beyond) + requests(lumped.iter()));
            let told = requests(all.iter().map(|(_, told)| told)) + requests(lumped.iter());
            prop_assert_eq!(told, rows.len() as u64, "no row is lost");
        }
    }
}
