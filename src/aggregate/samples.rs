//! Latency samples of one key: a short list while the key is cold, an `HdrHistogram` once it is hot.
//!
//! What is read out does not depend on which of the two holds the samples, nor on the order of merging.

use super::Merge;
use hdrhistogram::Histogram;

/// Samples above this (one day) are counted as this: longer requests are tunnels, not latencies.
pub const MAX_MS: u64 = 86_400_000;

/// Samples that a cold key keeps as a list (1 KiB); a histogram of three digits starts at 16 KiB.
const COLD_LIMIT: usize = 256;

/// Samples in milliseconds, three significant digits once hot.
#[derive(Clone, Debug)]
pub struct Samples(Store);

#[derive(Clone, Debug)]
enum Store {
    Cold(Vec<u32>),
    Hot(Box<Histogram<u64>>),
}

impl Default for Samples {
    fn default() -> Self {
        Self(Store::Cold(Vec::new()))
    }
}

impl Samples {
    /// Adds a sample.
    #[inline]
    pub fn record(&mut self, ms: u64) {
        let ms = ms.min(MAX_MS);
        match &mut self.0 {
            Store::Hot(histogram) => record_in(histogram, ms),
            Store::Cold(list) if list.len() < COLD_LIMIT => list.push(u32::try_from(ms).unwrap_or(u32::MAX)),
            Store::Cold(_) => {
                self.heat();
                self.record(ms);
            }
        }
    }

    /// Number of samples.
    pub fn count(&self) -> u64 {
        match &self.0 {
            Store::Cold(list) => list.len() as u64,
            Store::Hot(histogram) => histogram.len(),
        }
    }

    /// True without samples.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// True when a histogram was made.
    pub fn is_hot(&self) -> bool {
        matches!(self.0, Store::Hot(_))
    }

    /// Bytes held.
    pub fn weight_bytes(&self) -> usize {
        match &self.0 {
            Store::Cold(list) => list.capacity() * size_of::<u32>(),
            Store::Hot(histogram) => histogram.distinct_values() * size_of::<u64>(),
        }
    }

    /// The samples as a histogram, for reading figures.
    pub fn to_histogram(&self) -> Option<Histogram<u64>> {
        let mut histogram = histogram_to(self.max_ms())?;
        self.add_to(&mut histogram);
        Some(histogram)
    }

    fn max_ms(&self) -> u64 {
        match &self.0 {
            Store::Cold(list) => list.iter().max().map_or(0, |&ms| u64::from(ms)),
            Store::Hot(histogram) => histogram.max(),
        }
    }

    fn add_to(&self, histogram: &mut Histogram<u64>) {
        match &self.0 {
            Store::Cold(list) => list.iter().for_each(|&ms| record_in(histogram, u64::from(ms))),
            // Fails only if `histogram` cannot grow to hold the other's values; it resizes by itself.
            Store::Hot(other) => drop(histogram.add(&**other)),
        }
    }

    fn heat(&mut self) {
        if let Store::Cold(list) = &self.0
            && let Some(mut histogram) = histogram_to(self.max_ms())
        {
            for &ms in list {
                record_in(&mut histogram, u64::from(ms));
            }
            self.0 = Store::Hot(Box::new(histogram));
        }
    }

    /// Adds the samples of `other`.
    pub fn merge_ref(&mut self, other: &Self) {
        if let (Store::Cold(mine), Store::Cold(theirs)) = (&mut self.0, &other.0)
            && mine.len() + theirs.len() <= COLD_LIMIT
        {
            mine.extend_from_slice(theirs);
            return;
        }
        self.heat();
        if let Store::Hot(histogram) = &mut self.0 {
            other.add_to(histogram);
        }
    }
}

impl Merge for Samples {
    fn merge(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
        } else {
            self.merge_ref(&other);
        }
    }
}

/// Fails only if the histogram cannot grow; `saturating_record` would not grow it but clamp the sample to what
/// it holds so far.
fn record_in(histogram: &mut Histogram<u64>, ms: u64) {
    histogram.record(ms).unwrap_or(());
}

/// Three significant digits, with room for `max_ms` at once and more by itself: growing step by step copies it each
/// time.
fn histogram_to(max_ms: u64) -> Option<Histogram<u64>> {
    // Fails only for more than five digits or an empty range.
    let mut histogram = Histogram::new_with_max(max_ms.max(2), 3).ok()?;
    histogram.auto(true);
    Some(histogram)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn figures(samples: &Samples) -> (u64, u64, u64, Vec<u64>) {
        let h = samples.to_histogram().unwrap();
        (
            h.len(),
            h.min(),
            h.max(),
            [0.5, 0.9, 0.99, 0.999]
                .iter()
                .map(|&q| h.value_at_quantile(q))
                .collect(),
        )
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_figures(values in prop::collection::vec(0u64..100_000_000, 1..900), cut in 0usize..900) {
            let mut whole = Samples::default();
            for &v in &values { whole.record(v); }
            let (left, right) = values.split_at(cut.min(values.len()));
            let (mut a, mut b) = (Samples::default(), Samples::default());
            for &v in left { a.record(v); }
            for &v in right { b.record(v); }
            let mut ab = a.clone();
            ab.merge(b.clone());
            b.merge(a);
            prop_assert_eq!(figures(&whole), figures(&ab));
            prop_assert_eq!(figures(&whole), figures(&b));
            prop_assert_eq!(whole.count(), values.len() as u64);
            // Three digits: at most one in a thousand away.
            let exact = values.iter().copied().max().unwrap().min(MAX_MS);
            prop_assert!(figures(&whole).2.abs_diff(exact) <= exact / 1000, "greatest of {values:?}");
        }
    }
}
