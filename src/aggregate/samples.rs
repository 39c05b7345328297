//! Latency samples of one key: a short list while the key is cold, counters once it is hot, and an
//! `HdrHistogram` for more of them than 32 bits count.
//!
//! Samples are told apart as far as an `HdrHistogram` of three digits tells them apart and no further: a
//! [`Bucket`] is one of its slots, and figures are read by its rules ([`Slots`]; a test holds the two to the same
//! answers). Counters of 32 bits are half its size and cost a third of its time, and reading the slots that hold
//! anything spares walking the empty ones, which one request of an hour makes some 14,000. What is read out does not
//! depend on how samples are held, nor on the order of merging.

use super::Merge;
use hdrhistogram::Histogram;

/// Samples above this (one day) are counted as this: longer requests are tunnels, not latencies.
pub const MAX_MS: u64 = 86_400_000;

/// Samples that a cold key keeps as a list (128 bytes).
const COLD_LIMIT: usize = 64;

/// Counters are added so many at a time.
const COUNTERS_STEP: usize = 64;

/// Samples that counters of 32 bits hold for sure; beyond it a histogram of wide ones takes over.
const COUNTED_LIMIT: u64 = u32::MAX as u64;

/// Durations that three significant digits do not tell apart: a slot of an `HdrHistogram` of three digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket(u16);

impl Bucket {
    /// Durations below this have a bucket each; from there on each doubling has half as many buckets.
    const EXACT_MS: u64 = 2048;
    const HALF: u64 = Self::EXACT_MS / 2;

    /// The bucket of a duration.
    #[inline]
    pub fn of(ms: u64) -> Self {
        let ms = ms.min(MAX_MS);
        // The low bits that are cut off to leave eleven.
        let shift = (u64::BITS - ms.leading_zeros()).saturating_sub(Self::EXACT_MS.trailing_zeros());
        let number = u64::from(shift) * Self::HALF + (ms >> shift);
        // A day is in bucket 18,000 or so.
        Self(u16::try_from(number).unwrap_or(u16::MAX))
    }

    /// The least duration in it.
    pub fn lowest_ms(self) -> u64 {
        let number = u64::from(self.0);
        if number < Self::EXACT_MS {
            return number;
        }
        let shift = number / Self::HALF - 1;
        (number - shift * Self::HALF) << shift
    }

    /// The greatest duration in it.
    pub fn highest_ms(self) -> u64 {
        Self(self.0.saturating_add(1)).lowest_ms().saturating_sub(1)
    }

    fn index(self) -> usize {
        usize::from(self.0)
    }

    /// How many doublings there are.
    pub const DOUBLINGS: usize = 29;

    /// Which doubling of the duration all of it lies in: 0, 1, 2, up to 4, up to 8 ms and so on.
    #[inline]
    pub fn doubling(self) -> usize {
        let number = u32::from(self.0);
        if number < 2048 {
            return match number.checked_sub(1) {
                None => 0,
                Some(less) => 1 + (u32::BITS - less.leading_zeros()) as usize,
            };
        }
        // From here on each doubling has 1024 buckets.
        (number / 1024 + 11) as usize
    }

    /// The greatest duration of a doubling.
    pub fn doubling_le_ms(doubling: usize) -> u64 {
        doubling.checked_sub(1).map_or(0, |log2| 1 << log2.min(40))
    }
}

/// The buckets that hold samples, in order, with how many: what figures are read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    counts: Vec<(Bucket, u64)>,
    sum: u64,
}

impl Slots {
    fn of(counts: Vec<(Bucket, u64)>) -> Self {
        let sum = counts.iter().map(|(_, count)| count).sum();
        Self { counts, sum }
    }

    /// Samples.
    pub fn count(&self) -> u64 {
        self.sum
    }

    /// True without samples.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Buckets with how many samples each has.
    pub fn iter(&self) -> impl Iterator<Item = (Bucket, u64)> {
        self.counts.iter().copied()
    }

    /// The least that a sample may be.
    pub fn min_ms(&self) -> u64 {
        self.counts.first().map_or(0, |(bucket, _)| bucket.lowest_ms())
    }

    /// The most that a sample may be.
    pub fn max_ms(&self) -> u64 {
        self.counts.last().map_or(0, |(bucket, _)| bucket.highest_ms())
    }

    /// The mean, each sample taken for the middle of its bucket.
    pub fn mean_ms(&self) -> f64 {
        self.iter().fold(0.0, |sum, (bucket, count)| {
            let (low, high) = (bucket.lowest_ms(), bucket.highest_ms());
            let middle = low + (high - low).div_ceil(2);
            sum + as_f64(middle) * as_f64(count) / as_f64(self.sum)
        })
    }

    /// The least duration that this share of samples does not exceed (0 < `share` <= 1).
    pub fn quantile_ms(&self, share: f64) -> u64 {
        let [quantile_ms] = self.quantiles_ms([share]);
        quantile_ms
    }

    /// The same for several shares, in rising order.
    pub fn quantiles_ms<const COUNT: usize>(&self, shares: [f64; COUNT]) -> [u64; COUNT] {
        let mut counts = self.iter();
        let (mut seen, mut at_ms) = (0, 0);
        shares.map(|share| {
            let wanted = (share * as_f64(self.sum)).ceil().max(1.0);
            while as_f64(seen) < wanted
                && let Some((bucket, count)) = counts.next()
            {
                seen += count;
                at_ms = bucket.highest_ms();
            }
            at_ms
        })
    }
}

fn as_f64(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "below 2^52")]
    let float = count as f64;
    float
}

/// Samples in milliseconds, three significant digits.
#[derive(Clone, Debug)]
pub struct Samples(Store);

#[derive(Clone, Debug)]
enum Store {
    Cold(Vec<Bucket>),
    Counted(Counters),
    Wide(Box<Histogram<u64>>),
}

/// Samples by bucket, at most [`COUNTED_LIMIT`], so that no counter overflows.
#[derive(Clone, Debug, Default)]
struct Counters {
    counts: Vec<u32>,
    sum: u64,
}

impl Default for Samples {
    fn default() -> Self {
        Self(Store::Cold(Vec::new()))
    }
}

impl Samples {
    /// Adds a sample.
    pub fn record(&mut self, ms: u64) {
        self.record_all(&[Bucket::of(ms)]);
    }

    /// Adds samples.
    #[inline]
    pub fn record_all(&mut self, buckets: &[Bucket]) {
        match &mut self.0 {
            Store::Counted(counters) if counters.has_room(buckets.len() as u64) => counters.add_all(buckets),
            Store::Cold(list) if list.len() + buckets.len() <= COLD_LIMIT => {
                list.extend_from_slice(buckets);
            }
            _ => self.record_elsewhere(buckets),
        }
    }

    /// Adds a sample, and tells by how many bytes more are held.
    #[inline]
    pub fn record_bucket(&mut self, bucket: Bucket) -> usize {
        if let Store::Counted(counters) = &mut self.0
            && counters.has_room(1)
            && let Some(count) = counters.counts.get_mut(bucket.index())
        {
            *count = count.wrapping_add(1);
            counters.sum = counters.sum.wrapping_add(1);
            return 0;
        }
        let before = self.weight_bytes();
        self.record_all(&[bucket]);
        self.weight_bytes().saturating_sub(before)
    }

    #[cold]
    fn record_elsewhere(&mut self, buckets: &[Bucket]) {
        match &mut self.0 {
            Store::Cold(_) => {
                self.heat();
                self.record_all(buckets);
            }
            Store::Counted(_) => {
                self.widen();
                self.record_all(buckets);
            }
            Store::Wide(histogram) => buckets.iter().for_each(|&bucket| add(histogram, bucket, 1)),
        }
    }

    /// Number of samples.
    pub fn count(&self) -> u64 {
        match &self.0 {
            Store::Cold(list) => list.len() as u64,
            Store::Counted(counters) => counters.sum,
            Store::Wide(histogram) => histogram.len(),
        }
    }

    /// True without samples.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Bytes held.
    #[inline]
    pub fn weight_bytes(&self) -> usize {
        match &self.0 {
            Store::Cold(list) => list.capacity() * size_of::<Bucket>(),
            Store::Counted(counters) => counters.counts.capacity() * size_of::<u32>(),
            Store::Wide(histogram) => histogram.distinct_values() * size_of::<u64>(),
        }
    }

    /// The samples, for reading figures.
    pub fn to_slots(&self) -> Slots {
        let counts = match &self.0 {
            Store::Cold(list) => {
                let mut sorted = list.clone();
                sorted.sort_unstable();
                let runs = sorted.chunk_by(|a, b| a == b);
                runs.filter_map(|run| Some((*run.first()?, run.len() as u64)))
                    .collect()
            }
            Store::Counted(counters) => counters.each().collect(),
            Store::Wide(histogram) => histogram
                .iter_recorded()
                .map(|slot| (Bucket::of(slot.value_iterated_to()), slot.count_at_value()))
                .collect(),
        };
        Slots::of(counts)
    }

    fn to_histogram(&self) -> Option<Histogram<u64>> {
        let max_ms = match &self.0 {
            Store::Cold(list) => list.iter().max().map_or(0, |bucket| bucket.lowest_ms()),
            Store::Counted(counters) => counters.each().last().map_or(0, |(bucket, _)| bucket.lowest_ms()),
            Store::Wide(histogram) => histogram.max(),
        };
        let mut histogram = histogram_to(max_ms)?;
        match &self.0 {
            Store::Cold(list) => list.iter().for_each(|&bucket| add(&mut histogram, bucket, 1)),
            Store::Counted(counters) => counters
                .each()
                .for_each(|(bucket, count)| add(&mut histogram, bucket, count)),
            // Fails only if the histogram cannot grow to hold the other's values; it resizes by itself.
            Store::Wide(other) => histogram.add(&**other).unwrap_or(()),
        }
        Some(histogram)
    }

    /// A list becomes counters.
    fn heat(&mut self) {
        if let Store::Cold(list) = &self.0 {
            let mut counters = Counters::default();
            counters.add_all(list);
            self.0 = Store::Counted(counters);
        }
    }

    /// Counters, or a list, become a histogram.
    fn widen(&mut self) {
        if !matches!(self.0, Store::Wide(_))
            && let Some(histogram) = self.to_histogram()
        {
            self.0 = Store::Wide(Box::new(histogram));
        }
    }

    /// Adds the samples of `other`.
    pub fn merge_ref(&mut self, other: &Self) {
        match &other.0 {
            Store::Cold(theirs) => self.record_all(theirs),
            Store::Counted(theirs) => {
                self.heat();
                match &mut self.0 {
                    Store::Counted(mine) if mine.has_room(theirs.sum) => mine.merge(theirs),
                    _ => self.merge_wide(other),
                }
            }
            Store::Wide(_) => self.merge_wide(other),
        }
    }

    #[cold]
    fn merge_wide(&mut self, other: &Self) {
        self.widen();
        if let (Store::Wide(mine), Some(theirs)) = (&mut self.0, other.to_histogram()) {
            // As above.
            mine.add(theirs).unwrap_or(());
        }
    }
}

impl Counters {
    #[inline]
    fn has_room(&self, samples: u64) -> bool {
        self.sum.saturating_add(samples) <= COUNTED_LIMIT
    }

    #[inline]
    fn add_all(&mut self, buckets: &[Bucket]) {
        for bucket in buckets {
            if let Some(count) = self.counts.get_mut(bucket.index()) {
                *count = count.wrapping_add(1);
            } else {
                self.add_beyond(*bucket);
            }
        }
        self.sum = self.sum.wrapping_add(buckets.len() as u64);
    }

    #[cold]
    fn add_beyond(&mut self, bucket: Bucket) {
        let length = bucket.index().saturating_add(1).next_multiple_of(COUNTERS_STEP);
        self.counts.reserve_exact(length - self.counts.len());
        self.counts.resize(length, 0);
        if let Some(count) = self.counts.get_mut(bucket.index()) {
            *count = 1;
        }
    }

    fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine = mine.wrapping_add(*theirs);
        }
        self.sum += other.sum;
    }

    /// The buckets that have samples, with how many.
    fn each(&self) -> impl DoubleEndedIterator<Item = (Bucket, u64)> {
        let numbered = self.counts.iter().enumerate();
        numbered
            .filter(|(_, count)| **count > 0)
            .map(|(index, &count)| (Bucket(u16::try_from(index).unwrap_or(u16::MAX)), u64::from(count)))
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
fn add(histogram: &mut Histogram<u64>, bucket: Bucket, count: u64) {
    histogram.record_n(bucket.lowest_ms(), count).unwrap_or(());
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

    #[test]
    fn a_bucket_is_a_slot_of_a_histogram() {
        let histogram = histogram_to(MAX_MS).unwrap();
        let mut last = None;
        for ms in (0..20_000).chain((20_000..=MAX_MS).step_by(997)).chain([MAX_MS]) {
            let bucket = Bucket::of(ms);
            assert!(histogram.equivalent(ms, bucket.lowest_ms()), "{ms}");
            assert_eq!(Bucket::of(bucket.lowest_ms()), bucket);
            assert_eq!(histogram.lowest_equivalent(ms), bucket.lowest_ms());
            assert!(last <= Some(bucket));
            last = Some(bucket);
        }
        assert_eq!(Bucket::of(u64::MAX), Bucket::of(MAX_MS));
    }

    proptest! {
        #[test]
        fn slots_are_read_as_a_histogram_is(values in prop::collection::vec(prop_oneof![0u64..50, 0u64..5000, 0u64..100_000_000], 1..300), wide: bool) {
            let mut samples = Samples::default();
            for &v in &values { samples.record(v); }
            if wide { samples.widen(); }
            let (slots, h) = (samples.to_slots(), samples.to_histogram().unwrap());
            prop_assert_eq!(slots.count(), h.len());
            prop_assert_eq!((slots.min_ms(), slots.max_ms()), (h.min(), h.max()));
            prop_assert_eq!(slots.mean_ms().to_bits(), h.mean().to_bits());
            let shares = [0.001, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0];
            prop_assert_eq!(slots.quantiles_ms(shares), shares.map(|share| slots.quantile_ms(share)));
            for share in shares {
                prop_assert_eq!(slots.quantile_ms(share), h.value_at_quantile(share).min(h.max()), "{}", share);
            }
        }

        #[test]
        fn any_split_gives_the_same_figures(values in prop::collection::vec(0u64..100_000_000, 1..900), cut in 0usize..900, wide in any::<[bool; 2]>()) {
            let mut whole = Samples::default();
            for &v in &values { whole.record(v); }
            let (left, right) = values.split_at(cut.min(values.len()));
            let (mut a, mut b) = (Samples::default(), Samples::default());
            for &v in left { a.record(v); }
            b.record_all(&right.iter().map(|&v| Bucket::of(v)).collect::<Vec<_>>());
            for (samples, wide) in [&mut a, &mut b].into_iter().zip(wide) {
                if wide { samples.widen(); }
            }
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
