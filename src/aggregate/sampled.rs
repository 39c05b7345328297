//! A bounded sample of rows that belong together, chosen by the hash of what they share (a request id, a
//! connection): all rows with a hash at most T are kept, T is halved when there are too many. So a kept
//! request or connection is kept whole, and which ones are kept does not depend on order or threads.

use super::Merge;

/// By how much room grows: room that is not written to takes no memory, and rows are seldom copied.
const GROWTH: usize = 16;

/// Rows of a run that is sorted by itself.
const RUN_ROWS: usize = 8;

/// Rows with a hash, at most `limit` of them.
#[derive(Clone, Debug)]
pub struct Sampled<R> {
    limit: usize,
    threshold: u64,
    rows: Vec<(u64, R)>,
    seen: u64,
}

impl<R: Copy + Ord> Sampled<R> {
    /// An empty sample of at most `limit` rows.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            threshold: u64::MAX,
            rows: Vec::new(),
            seen: 0,
        }
    }

    /// Offers a row.
    #[inline]
    pub fn offer(&mut self, hash: u64, row: R) {
        self.offer_with(hash, || row);
    }

    /// Offers a row that is made only if it is kept.
    #[inline]
    pub fn offer_with(&mut self, hash: u64, row: impl FnOnce() -> R) {
        self.seen += 1;
        self.keep_with(hash, row);
    }

    #[inline]
    fn keep_with(&mut self, hash: u64, row: impl FnOnce() -> R) {
        if hash <= self.threshold {
            if self.rows.len() == self.rows.capacity() {
                self.grow();
            }
            self.rows.push((hash, row()));
            if self.rows.len() > self.limit {
                self.shrink();
            }
        }
    }

    /// Makes room, [`GROWTH`] times as much at a time and never beyond one row more than the limit.
    #[cold]
    fn grow(&mut self) {
        let held = self.rows.len();
        let beyond = self.limit.saturating_add(1).saturating_sub(held);
        let more = held.saturating_mul(GROWTH - 1).max(64);
        // All that can ever be wanted, rather than one row less.
        let more = if held.saturating_add(more) >= self.limit {
            beyond.max(1)
        } else {
            more
        };
        self.rows.reserve_exact(more);
    }

    #[cold]
    fn shrink(&mut self) {
        while self.rows.len() > self.limit && self.threshold > 0 {
            self.threshold /= 2;
            let threshold = self.threshold;
            self.rows.retain(|(hash, _)| *hash <= threshold);
        }
        // One hash shared by more rows than the limit: hostile or broken input; none of them can be kept.
        if self.rows.len() > self.limit {
            self.rows.clear();
        }
    }

    /// Adds another sample of the same limit.
    pub fn absorb(&mut self, mut other: Self) {
        // The fewer rows move to the more: a first sample is not copied.
        if self.rows.len() < other.rows.len() {
            std::mem::swap(&mut self.rows, &mut other.rows);
            std::mem::swap(&mut self.threshold, &mut other.threshold);
        }
        self.seen += other.seen;
        if other.threshold < self.threshold {
            let threshold = other.threshold;
            self.threshold = threshold;
            self.rows.retain(|(hash, _)| *hash <= threshold);
        }
        for (hash, row) in other.rows {
            self.keep_with(hash, || row);
        }
    }

    /// Rows offered.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Rows that the sample can keep.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Rows kept.
    pub fn kept(&self) -> usize {
        self.rows.len()
    }

    /// True when rows were left out.
    pub fn is_truncated(&self) -> bool {
        self.threshold < u64::MAX
    }

    /// The kept rows with their hashes, in no particular order.
    pub fn rows(&self) -> impl Iterator<Item = (u64, R)> {
        self.rows.iter().copied()
    }

    /// The kept rows in order of hash, then row: rows that belong together stand together.
    pub fn sorted(&self) -> Vec<(u64, R)> {
        // Hashes are spread evenly below the threshold: by their highest bits rows fall into short runs.
        let runs = (self.rows.len() / RUN_ROWS).next_power_of_two();
        let shift = (u64::BITS - self.threshold.leading_zeros()).saturating_sub(runs.trailing_zeros());
        let run_of = |hash: u64| {
            let run = hash.checked_shr(shift).unwrap_or(0);
            usize::try_from(run).unwrap_or(usize::MAX).min(runs - 1)
        };
        let mut ends = vec![0; runs];
        for (hash, _) in &self.rows {
            if let Some(count) = ends.get_mut(run_of(*hash)) {
                *count += 1;
            }
        }
        let mut begin = 0;
        for end in &mut ends {
            begin += std::mem::replace(end, begin);
        }
        let mut rows = self.rows.clone();
        for row in &self.rows {
            if let Some(end) = ends.get_mut(run_of(row.0)) {
                if let Some(place) = rows.get_mut(*end) {
                    *place = *row;
                }
                *end += 1;
            }
        }
        let mut begin = 0;
        for end in ends {
            if let Some(run) = rows.get_mut(begin..end) {
                run.sort_unstable();
            }
            begin = end;
        }
        rows
    }
}

impl<R: Copy + Ord> Merge for Option<Sampled<R>> {
    fn merge(&mut self, other: Self) {
        match (self.as_mut(), other) {
            (Some(mine), Some(theirs)) => mine.absorb(theirs),
            (None, Some(theirs)) => *self = Some(theirs),
            (_, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::stable_hash;
    use proptest::prelude::*;

    fn of(keys: &[u16], limit: usize) -> Sampled<u16> {
        let mut sample = Sampled::new(limit);
        for &k in keys {
            sample.offer(stable_hash(&k.to_le_bytes()), k);
        }
        sample
    }

    proptest! {
        #[test]
        fn sorted_is_sorted(rows in prop::collection::vec((any::<u64>(), any::<u16>()), 0..300), same in any::<u64>(), limit in 1usize..400) {
            let mut sample = Sampled::new(limit);
            for (number, (hash, row)) in rows.iter().enumerate() {
                sample.offer(if number % 5 == 0 { same } else { *hash }, *row);
            }
            let mut expected: Vec<(u64, u16)> = sample.rows().collect();
            expected.sort_unstable();
            prop_assert_eq!(sample.sorted(), expected);
        }

        #[test]
        fn order_and_split_do_not_matter(keys in prop::collection::vec(0u16..200, 0..500), limit in 20usize..200, cut in 0usize..500) {
            let whole = of(&keys, limit);
            let (left, right) = keys.split_at(cut.min(keys.len()));
            let mut merged = of(right, limit);
            merged.absorb(of(left, limit));
            prop_assert_eq!(whole.sorted(), merged.sorted());
            prop_assert!(whole.sorted().len() <= limit);
            for (_, key) in whole.sorted() {
                let kept = whole.sorted().iter().filter(|(_, k)| *k == key).count();
                prop_assert_eq!(kept, keys.iter().filter(|k| **k == key).count(), "a kept key is kept whole");
            }
        }
    }
}
