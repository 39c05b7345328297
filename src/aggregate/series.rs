//! Counts over time in buckets whose width the data decide: epoch-aligned, a power of two of seconds, the
//! smallest width at which the buckets that hold anything fit the limit. Empty buckets cost nothing, so a
//! stray date in 1970 adds one bucket and decides nothing.

use super::Merge;
use std::ops::Range;

/// Buckets that hold anything, at most; beyond it their width doubles.
pub const MAX_BUCKETS: usize = 256;

/// Widths end here (2^40 s, 35,000 years): one bucket holds everything by then.
const MAX_WIDTH_LOG2: u32 = 40;

/// A sparse series.
#[derive(Clone, Debug)]
pub struct Series<C> {
    width_log2: u32,
    /// Bucket number and what it holds, in order of time. Rows come nearly in order, so most go to the end.
    cells: Vec<(i64, C)>,
}

impl<C> Default for Series<C> {
    fn default() -> Self {
        Self {
            width_log2: 0,
            cells: Vec::new(),
        }
    }
}

impl<C: Merge> Series<C> {
    /// Adds `cell` to the bucket of `second` (seconds since the epoch).
    pub fn add(&mut self, second: i64, cell: C) {
        self.change(second, |held| held.merge(cell));
    }

    /// Changes what the bucket of `second` holds.
    pub fn change(&mut self, second: i64, change: impl FnOnce(&mut C)) {
        let bucket = second >> self.width_log2;
        match self.cells.last_mut() {
            Some((last, held)) if *last == bucket => return change(held),
            Some((last, _)) if *last > bucket => {
                let back = last.abs_diff(bucket);
                match self.back_from_last(back) {
                    Some((held, cell)) if *held == bucket => return change(cell),
                    _ => self.change_earlier(bucket, change),
                }
            }
            _ => {
                let mut held = C::default();
                change(&mut held);
                self.push(bucket, held);
            }
        }
        self.shrink();
    }

    /// Where a bucket so much earlier than the last one stands if none is missing between them, which is nearly always
    /// so: a search would fetch eight buckets from memory for it.
    #[inline]
    fn back_from_last(&mut self, back: u64) -> Option<&mut (i64, C)> {
        let back = usize::try_from(back).ok()?;
        let at = self.cells.len().checked_sub(1)?.checked_sub(back)?;
        self.cells.get_mut(at)
    }

    fn change_earlier(&mut self, bucket: i64, change: impl FnOnce(&mut C)) {
        let at = self.cells.partition_point(|(held, _)| *held < bucket);
        if self.cells.get(at).is_none_or(|(held, _)| *held != bucket) {
            self.cells.insert(at, (bucket, C::default()));
        }
        if let Some((_, held)) = self.cells.get_mut(at) {
            change(held);
        }
    }

    /// Width of a bucket in seconds.
    pub fn width_s(&self) -> i64 {
        1 << self.width_log2
    }

    /// Widens the buckets to at least `2^log2` seconds.
    pub fn widen_to(&mut self, log2: u32) {
        while self.width_log2 < log2.min(MAX_WIDTH_LOG2) {
            self.double();
        }
    }

    /// Binary logarithm of the width in seconds.
    pub fn width_log2(&self) -> u32 {
        self.width_log2
    }

    /// Start of each bucket in seconds since the epoch, with what it holds, in order of time.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (i64, &C)> {
        self.cells
            .iter()
            .map(|(bucket, cell)| (bucket << self.width_log2, cell))
    }

    /// Which buckets reach into the seconds `from..=to`, by their place in order of time.
    pub fn places_reaching_into(&self, from: i64, to: i64) -> Range<usize> {
        let first = self.place_of(from >> self.width_log2);
        let end = self.place_of((to >> self.width_log2).saturating_add(1));
        first..end.max(first)
    }

    /// How many buckets come before this one. Mostly none is missing among them, and nothing has to be searched.
    fn place_of(&self, bucket: i64) -> usize {
        let (Some((first, _)), Some((last, _))) = (self.cells.first(), self.cells.last()) else {
            return 0;
        };
        if bucket <= *first {
            return 0;
        }
        if bucket > *last {
            return self.cells.len();
        }
        match usize::try_from(bucket.abs_diff(*first)) {
            Ok(ahead) if self.cells.get(ahead).is_some_and(|(held, _)| *held == bucket) => ahead,
            _ => self.cells.partition_point(|(held, _)| *held < bucket),
        }
    }

    /// What the buckets at these places hold, in order of time.
    pub fn held_at(&self, places: Range<usize>) -> impl Iterator<Item = &C> {
        let cells = self.cells.get(places).unwrap_or_default();
        cells.iter().map(|(_, cell)| cell)
    }

    /// The same buckets with what `of` makes of what they hold.
    pub fn map<D>(&self, of: impl Fn(&C) -> D) -> Series<D> {
        let cells = self.cells.iter().map(|(bucket, cell)| (*bucket, of(cell)));
        Series {
            width_log2: self.width_log2,
            cells: cells.collect(),
        }
    }

    /// Number of buckets that hold anything.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// True when nothing was added.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    fn shrink(&mut self) {
        self.limit_to(MAX_BUCKETS);
    }

    /// Widens the buckets until so many hold everything; room that is not needed any more is given back.
    pub fn limit_to(&mut self, buckets: usize) {
        if self.cells.len() <= buckets {
            return;
        }
        while self.cells.len() > buckets && self.width_log2 < MAX_WIDTH_LOG2 {
            self.double();
        }
        if buckets < MAX_BUCKETS {
            self.cells.shrink_to_fit();
        }
    }

    fn double(&mut self) {
        self.width_log2 += 1;
        for (bucket, _) in &mut self.cells {
            *bucket >>= 1;
        }
        self.cells.dedup_by(|(bucket, cell), (before, held)| {
            let same = bucket == before;
            if same {
                held.merge(std::mem::take(cell));
            }
            same
        });
    }

    /// Buckets of `other`, which has the same width, that are none here.
    fn missing(&self, other: &Self) -> usize {
        let mut mine = self.cells.iter().map(|(bucket, _)| bucket).peekable();
        let is_missing = |(bucket, _): &&(i64, C)| {
            while mine.next_if(|held| *held < bucket).is_some() {}
            mine.next_if_eq(&bucket).is_none()
        };
        other.cells.iter().filter(is_missing).count()
    }

    /// Merges the buckets of `other`, which has the same width, from the last one to the first: what is here moves up by as
    /// many places as there are missing buckets before it, which are mostly none.
    fn merge_from_last(&mut self, mut other: Self) {
        let held = self.cells.len();
        let missing = self.missing(&other);
        self.cells.reserve_exact(missing);
        self.cells.resize_with(held + missing, || (0, C::default()));
        let (mut mine, mut to) = (held, held + missing);
        while let Some((bucket, cell)) = other.cells.pop() {
            while let Some((last, _)) = mine.checked_sub(1).and_then(|at| self.cells.get(at))
                && *last > bucket
            {
                (mine, to) = (mine - 1, to - 1);
                self.cells.swap(mine, to);
            }
            to -= 1;
            let at_hand = mine.checked_sub(1).and_then(|at| self.cells.get(at));
            if at_hand.is_some_and(|(last, _)| *last == bucket) {
                mine -= 1;
                self.cells.swap(mine, to);
            }
            if let Some((place, held)) = self.cells.get_mut(to) {
                *place = bucket;
                held.merge(cell);
            }
        }
    }

    fn push(&mut self, bucket: i64, cell: C) {
        if self.cells.len() == self.cells.capacity() {
            // Room that is not written to takes no memory, and to copy what is there touches it twice.
            let whole = (MAX_BUCKETS + 1).saturating_sub(self.cells.len());
            let more = (self.cells.len() * 3).max(4).min(whole.max(1));
            self.cells.reserve_exact(more);
        }
        self.cells.push((bucket, cell));
    }
}

impl<C: Merge> Merge for Series<C> {
    fn merge(&mut self, mut other: Self) {
        if self.cells.is_empty() {
            std::mem::swap(&mut self.cells, &mut other.cells);
            std::mem::swap(&mut self.width_log2, &mut other.width_log2);
        }
        self.widen_to(other.width_log2);
        other.widen_to(self.width_log2);
        if other.cells.is_empty() {
            return;
        }
        // A few buckets into many, as when millions of names are lumped together: the many stay where they are.
        if other.cells.len() * 16 < self.cells.len() {
            for (bucket, cell) in other.cells {
                self.add(bucket << other.width_log2, cell);
            }
            return;
        }
        self.merge_from_last(other);
        self.shrink();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(seconds: &[i64]) -> Series<u64> {
        let mut series = Series::default();
        for &s in seconds {
            series.add(s, 1);
        }
        series
    }

    fn flat(series: &Series<u64>) -> (i64, Vec<(i64, u64)>) {
        (series.width_s(), series.iter().map(|(s, c)| (s, *c)).collect())
    }

    #[test]
    fn a_stray_date_does_not_widen() {
        let mut seconds: Vec<i64> = (1_700_000_000..1_700_000_200).collect();
        seconds.push(0);
        assert_eq!(of(&seconds).width_s(), 1);
    }

    proptest! {
        #[test]
        fn buckets_that_reach_into_a_span_are_found(seconds in prop::collection::vec(-900i64..900, 0..700), from in -1000i64..1000, length in -5i64..300) {
            let series = of(&seconds);
            let to = from + length;
            let width_s = series.width_s();
            let expected: Vec<u64> = series
                .iter()
                .filter(|(second, _)| *second <= to && second.saturating_add(width_s) > from)
                .map(|(_, count)| *count)
                .collect();
            let found: Vec<u64> = series.held_at(series.places_reaching_into(from, to)).copied().collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn order_and_split_do_not_matter(seconds in prop::collection::vec(-5_000_000i64..5_000_000, 0..1500), cut in 0usize..1500) {
            let whole = of(&seconds);
            let (left, right) = seconds.split_at(cut.min(seconds.len()));
            let mut merged = of(right);
            merged.merge(of(left));
            prop_assert_eq!(flat(&whole), flat(&merged));
            prop_assert!(whole.len() <= MAX_BUCKETS);
            prop_assert_eq!(whole.iter().map(|(_, c)| c).sum::<u64>(), seconds.len() as u64);
        }
    }
}
