//! The write-combining table of one worker: sums per class of rows, found by the bytes that decide the class.
//! It is emptied into a [`super::Partial`] when it grows too large, which changes no result, since what it
//! holds are sums.

use super::class::RowClass;
use super::samples::Samples;
use super::series::Series;
use super::stable_hash_with;
use crate::matcher::SignatureIndex;
use crate::units::{Place, Timestamp};

/// Classes held at a time.
pub const MAX_CELLS: usize = 4096;

/// Slots of the index: a power of two, at most half full.
const SLOTS: usize = 8192;

/// Bytes of histograms held at a time, per worker.
pub const MAX_SAMPLE_BYTES: usize = 12 << 20;

const EMPTY: u32 = u32::MAX;

/// Seconds that a cell counts before it moves them into its series.
const MAX_MOMENTS: usize = 64;

/// Rows of one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Rows that completed.
    pub count: u64,
    /// Sum of their durations.
    pub duration_sum_ms: u64,
    /// Longest duration.
    pub duration_max_ms: u64,
    /// Rows with an upstream time.
    pub upstream_count: u64,
    /// Sum of their upstream times.
    pub upstream_sum_ms: u64,
}

impl super::Merge for Moment {
    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.duration_sum_ms = self.duration_sum_ms.saturating_add(other.duration_sum_ms);
        self.duration_max_ms = self.duration_max_ms.max(other.duration_max_ms);
        self.upstream_count += other.upstream_count;
        self.upstream_sum_ms = self.upstream_sum_ms.saturating_add(other.upstream_sum_ms);
    }
}

/// Sums over the rows of one class.
#[derive(Clone, Debug)]
pub struct Cell {
    hash: u64,
    key: Box<[u8]>,
    /// What the rows have in common.
    pub class: RowClass,
    /// Signatures that hit each of them.
    pub hits: Vec<SignatureIndex>,
    /// Hash of proxy and cluster, for attempts of one request.
    pub attempt_seed: u64,
    /// Hash of proxy and upstream host, for connections.
    pub connection_seed: u64,
    /// Hash of reporter and destination.
    pub scope_hash: u64,
    /// Rows.
    pub count: u64,
    /// Earliest completion.
    pub first: Option<Timestamp>,
    /// Latest completion.
    pub last: Option<Timestamp>,
    /// Durations.
    pub duration: Samples,
    /// Upstream times.
    pub upstream: Samples,
    /// Durations less upstream times.
    pub overhead: Samples,
    /// Seconds with their rows, not yet in `series`; a second may stand more than once.
    moments: Vec<(i64, Moment)>,
    /// Rows over time.
    pub series: Series<Moment>,
    /// First places, in order.
    pub places: Vec<(Place, String)>,
    /// How many places to keep.
    pub keep_places: usize,
}

/// The parts of a class key.
#[derive(Clone, Copy, Debug)]
pub struct ClassKey<'a> {
    /// What stands outside the row: proxy, and whether an upstream connection was made.
    pub seed: u64,
    /// The bytes that decide the class.
    pub parts: [&'a [u8]; 4],
}

impl ClassKey<'_> {
    #[inline]
    fn hash(&self) -> u64 {
        self.parts
            .iter()
            .fold(self.seed, |hash, part| stable_hash_with(hash, part))
    }

    /// The parts, each with its length before it, so that different parts never make the same key.
    fn to_bytes(self) -> Box<[u8]> {
        let mut key = self.seed.to_le_bytes().to_vec();
        for part in self.parts {
            key.extend_from_slice(&(part.len() as u64).to_le_bytes());
            key.extend_from_slice(part);
        }
        key.into_boxed_slice()
    }

    #[inline]
    fn equals(&self, key: &[u8]) -> bool {
        let Some((seed, mut rest)) = key.split_first_chunk::<8>() else {
            return false;
        };
        if u64::from_le_bytes(*seed) != self.seed {
            return false;
        }
        for part in self.parts {
            let Some((length, tail)) = rest.split_first_chunk::<8>() else {
                return false;
            };
            if u64::from_le_bytes(*length) != part.len() as u64 {
                return false;
            }
            match tail.split_at_checked(part.len()) {
                Some((head, tail)) if head == part => rest = tail,
                _ => return false,
            }
        }
        rest.is_empty()
    }
}

/// The table.
#[derive(Debug)]
pub struct Cells {
    slots: Vec<u32>,
    cells: Vec<Cell>,
}

impl Default for Cells {
    fn default() -> Self {
        Self {
            slots: vec![EMPTY; SLOTS],
            cells: Vec::new(),
        }
    }
}

impl Cells {
    /// The cell of `key`; `make` works out its class on first sight.
    #[inline]
    pub fn entry(&mut self, key: ClassKey<'_>, make: impl FnOnce() -> Cell) -> Option<&mut Cell> {
        let hash = key.hash();
        let mask = SLOTS - 1;
        let mut slot = usize::try_from(hash & mask as u64).unwrap_or(0);
        loop {
            let index = *self.slots.get(slot)?;
            if index == EMPTY {
                return self.insert(slot, hash, key, make());
            }
            let index = index as usize;
            let found = self
                .cells
                .get(index)
                .is_some_and(|cell| cell.hash == hash && key.equals(&cell.key));
            if found {
                return self.cells.get_mut(index);
            }
            slot = (slot + 1) & mask;
        }
    }

    #[cold]
    fn insert(&mut self, slot: usize, hash: u64, key: ClassKey<'_>, cell: Cell) -> Option<&mut Cell> {
        *self.slots.get_mut(slot)? = u32::try_from(self.cells.len()).ok()?;
        self.cells.push(Cell {
            hash,
            key: key.to_bytes(),
            ..cell
        });
        self.cells.last_mut()
    }

    /// True when the table must be emptied before another class is added.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.cells.len() >= MAX_CELLS
    }

    /// Bytes of samples held.
    pub fn sample_bytes(&self) -> usize {
        self.cells
            .iter()
            .map(|c| c.duration.weight_bytes() + c.upstream.weight_bytes() + c.overhead.weight_bytes())
            .sum()
    }

    /// Empties the table.
    pub fn take(&mut self) -> Vec<Cell> {
        self.slots.fill(EMPTY);
        std::mem::take(&mut self.cells)
    }
}

impl Cell {
    /// A cell without rows.
    pub fn new(class: RowClass, hits: Vec<SignatureIndex>, keep_places: usize) -> Self {
        let proxy = super::stable_hash(class.key.proxy.as_bytes());
        Self {
            hash: 0,
            key: Box::default(),
            attempt_seed: stable_hash_with(proxy, class.key.cluster.as_bytes()),
            connection_seed: stable_hash_with(proxy, class.key.host.as_bytes()),
            scope_hash: super::collector::scope_hash(class.key.reporter, &class.key.destination),
            class,
            hits,
            count: 0,
            first: None,
            last: None,
            duration: Samples::default(),
            upstream: Samples::default(),
            overhead: Samples::default(),
            moments: Vec::new(),
            series: Series::default(),
            places: Vec::new(),
            keep_places,
        }
    }

    /// Adds a row that completed at `at`.
    #[inline]
    pub fn record(&mut self, at: Option<Timestamp>, duration_ms: Option<u64>, upstream_ms: Option<u64>) {
        self.count += 1;
        if let Some(duration) = duration_ms {
            self.duration.record(duration);
            if let Some(upstream) = upstream_ms {
                self.upstream.record(upstream);
                self.overhead.record(duration.saturating_sub(upstream));
            }
        }
        if let Some(at) = at {
            self.first = Some(self.first.map_or(at, |t| t.min(at)));
            self.last = Some(self.last.map_or(at, |t| t.max(at)));
            self.count_moment(at.secs(), duration_ms, upstream_ms);
        }
    }

    #[inline]
    fn count_moment(&mut self, second: i64, duration_ms: Option<u64>, upstream_ms: Option<u64>) {
        if self.moments.last().is_none_or(|(last, _)| *last != second) {
            if self.moments.len() >= MAX_MOMENTS {
                self.settle();
            }
            self.moments.push((second, Moment::default()));
        }
        if let Some((_, moment)) = self.moments.last_mut() {
            let duration = duration_ms.unwrap_or(0);
            moment.count += 1;
            moment.duration_sum_ms = moment.duration_sum_ms.saturating_add(duration);
            moment.duration_max_ms = moment.duration_max_ms.max(duration);
            if let Some(upstream) = upstream_ms {
                moment.upstream_count += 1;
                moment.upstream_sum_ms = moment.upstream_sum_ms.saturating_add(upstream);
            }
        }
    }

    /// Moves what was counted by the second into the series.
    #[cold]
    pub fn settle(&mut self) {
        for (second, moment) in self.moments.drain(..) {
            self.series.add(second, moment);
        }
    }

    /// True if a row at `place` is among the first that are kept.
    #[inline]
    pub fn wants_place(&self, place: Place) -> bool {
        self.places.len() < self.keep_places || self.places.last().is_some_and(|(last, _)| place < *last)
    }

    /// Keeps a place with the start of its line.
    pub fn keep_place(&mut self, place: Place, text: String) {
        let at = self.places.partition_point(|(p, _)| *p < place);
        self.places.insert(at, (place, text));
        self.places.truncate(self.keep_places);
    }
}
