//! Times of packets in nanoseconds: a short list while there are few, a histogram after that, and the least and
//! the greatest exactly. What is read out does not depend on which of the two holds them, nor on the order of merging.

use crate::aggregate::Merge;
use hdrhistogram::Histogram;

/// Times above this (one hour) count as this.
pub const MAX_NS: u64 = 3_600_000_000_000;

/// Times are not told apart more finely: no capture is that exact, and each halving costs a histogram another 8 KiB.
const UNIT_NS: u64 = 64;

/// Times kept as a list (2 KiB at most); a histogram of two digits takes 2 to 8 KiB, one of three from 16 KiB.
const COLD_LIMIT: usize = 256;

/// Times that are added to a histogram together.
const PENDING_LIMIT: usize = 64;

/// Times with `DIGITS` significant digits.
#[derive(Clone, Debug)]
pub struct Times<const DIGITS: u8> {
    store: Store,
    min_ns: u64,
    max_ns: u64,
}

/// Times of all that was captured: three digits, a few such tables.
pub type FineTimes = Times<3>;

/// Times of one of many keys: two digits (at most 1 % off) in an eighth of the memory.
pub type CoarseTimes = Times<2>;

#[derive(Clone, Debug)]
enum Store {
    Cold(Vec<u64>),
    Hot(Box<Hot>),
}

#[derive(Clone, Debug)]
struct Hot {
    histogram: Histogram<u64>,
    /// The latest times, which are added together: from one time to the next other tables have taken the histogram's
    /// place in the processor's cache.
    pending: Vec<u64>,
}

impl Hot {
    fn record(&mut self, ns: u64) {
        self.pending.push(ns);
        if self.pending.len() >= PENDING_LIMIT {
            let histogram = &mut self.histogram;
            self.pending.drain(..).for_each(|ns| record_in(histogram, ns));
        }
    }
}

/// What is told of some times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeFigures {
    /// Times.
    pub count: u64,
    /// Least.
    pub min_ns: u64,
    /// Median.
    pub p50_ns: u64,
    /// 90th percentile.
    pub p90_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// Greatest.
    pub max_ns: u64,
}

impl<const DIGITS: u8> Default for Times<DIGITS> {
    fn default() -> Self {
        Self {
            store: Store::Cold(Vec::new()),
            min_ns: u64::MAX,
            max_ns: 0,
        }
    }
}

impl<const DIGITS: u8> Times<DIGITS> {
    /// Adds a time.
    pub fn record_ns(&mut self, ns: u64) {
        let ns = ns.min(MAX_NS);
        self.min_ns = self.min_ns.min(ns);
        self.max_ns = self.max_ns.max(ns);
        if let Store::Cold(list) = &mut self.store {
            if list.len() < COLD_LIMIT {
                list.push(ns);
                return;
            }
            self.heat();
        }
        if let Store::Hot(hot) = &mut self.store {
            hot.record(ns);
        }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        match &self.store {
            Store::Cold(list) => list.len() as u64,
            Store::Hot(hot) => hot.histogram.len() + hot.pending.len() as u64,
        }
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Percentiles; `None` without any times.
    pub fn figures(&self) -> Option<TimeFigures> {
        let mut histogram = self.histogram()?;
        self.add_to(&mut histogram);
        if histogram.is_empty() {
            return None;
        }
        let at = |quantile| {
            histogram
                .value_at_quantile(quantile)
                .clamp(self.min_ns, self.max_ns)
        };
        Some(TimeFigures {
            count: histogram.len(),
            min_ns: self.min_ns,
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            p99_ns: at(0.99),
            max_ns: self.max_ns,
        })
    }

    /// Share of the times that are at least `ns`, 0..1; 0 without any.
    pub fn share_at_least(&self, ns: u64) -> f64 {
        let Some(mut histogram) = self.histogram() else {
            return 0.0;
        };
        self.add_to(&mut histogram);
        let above = histogram.count_between(ns, self.max_ns.max(ns));
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let share = above as f64 / self.count().max(1) as f64;
        share.min(1.0)
    }

    /// Adds the times of `other`.
    pub fn merge_ref(&mut self, other: &Self) {
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        if let (Store::Cold(mine), Store::Cold(theirs)) = (&mut self.store, &other.store)
            && mine.len() + theirs.len() <= COLD_LIMIT
        {
            mine.extend_from_slice(theirs);
            return;
        }
        self.heat();
        if let Store::Hot(hot) = &mut self.store {
            other.add_to(&mut hot.histogram);
        }
    }

    fn histogram(&self) -> Option<Histogram<u64>> {
        // Fails only for more than five digits or an empty range.
        let mut histogram = Histogram::new_with_bounds(UNIT_NS, self.max_ns.max(2 * UNIT_NS), DIGITS).ok()?;
        histogram.auto(true);
        Some(histogram)
    }

    fn heat(&mut self) {
        if let Store::Hot(_) = self.store {
            return;
        }
        let Some(mut histogram) = self.histogram() else {
            return;
        };
        if let Store::Cold(list) = &mut self.store {
            for &ns in &*list {
                record_in(&mut histogram, ns);
            }
            let pending = Vec::with_capacity(PENDING_LIMIT);
            self.store = Store::Hot(Box::new(Hot { histogram, pending }));
        }
    }

    fn add_to(&self, histogram: &mut Histogram<u64>) {
        match &self.store {
            Store::Cold(list) => list.iter().for_each(|&ns| record_in(histogram, ns)),
            // Fails only if `histogram` cannot grow to hold the other's values; it resizes by itself.
            Store::Hot(other) => {
                histogram.add(&other.histogram).unwrap_or(());
                other.pending.iter().for_each(|&ns| record_in(histogram, ns));
            }
        }
    }
}

/// Fails only if the histogram cannot grow, which resizes by itself.
fn record_in(histogram: &mut Histogram<u64>, ns: u64) {
    histogram.record(ns).unwrap_or(());
}

impl<const DIGITS: u8> Merge for Times<DIGITS> {
    fn merge(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
        } else {
            self.merge_ref(&other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> FineTimes {
        let mut times = Times::default();
        for &ns in values {
            times.record_ns(ns);
        }
        times
    }

    #[test]
    fn nothing_has_no_figures_and_one_is_all_of_them() {
        assert_eq!(FineTimes::default().figures(), None);
        let figures = of(&[351]).figures().unwrap();
        assert_eq!((figures.min_ns, figures.p99_ns, figures.max_ns), (351, 351, 351));
        let mut times = CoarseTimes::default();
        times.record_ns(1_499);
        times.record_ns(u64::MAX);
        let figures = times.figures().unwrap();
        assert_eq!((figures.min_ns, figures.max_ns), (1_499, MAX_NS));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_figures(values in prop::collection::vec(0u64..5_000_000_000_000, 1..300), cut in 0usize..300) {
            let whole = of(&values);
            let (left, right) = values.split_at(cut.min(values.len()));
            let (mut ab, mut ba) = (of(left), of(right));
            ab.merge(of(right));
            ba.merge(of(left));
            prop_assert_eq!(whole.figures(), ab.figures());
            prop_assert_eq!(whole.figures(), ba.figures());
            let figures = whole.figures().unwrap();
            let mut sorted: Vec<u64> = values.iter().map(|&ns| ns.min(MAX_NS)).collect();
            sorted.sort_unstable();
            let median = sorted[(sorted.len() - 1) / 2];
            prop_assert!(figures.p50_ns.abs_diff(median) <= median / 500 + UNIT_NS, "{} is not {median}", figures.p50_ns);
        }
    }
}
