//! The write-combining table of one worker: sums per class of rows, found by the bytes that decide the class.
//! It is emptied into a [`super::Partial`] when it grows too large, which changes no result, since what it
//! holds are sums.

use super::class::{Reporter, RowClass};
use super::flags::Outcome;
use super::samples::{MAX_MS, Samples};
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

/// Rows of a class that wait to be summed together (1 KiB): one at a time, the sums of thousands of classes would
/// be fetched from memory for each row.
const PENDING: usize = 64;

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

/// What every row of a class needs, close together: the sums lie apart and are touched once in many rows.
#[derive(Debug)]
pub struct HotCell {
    hash: u64,
    key: Box<[u8]>,
    pending: Vec<Pending>,
    /// Hash of proxy and cluster, for attempts of one request.
    pub attempt_seed: u64,
    /// Hash of proxy and upstream host, for connections.
    pub connection_seed: u64,
    /// Hash of reporter and destination.
    pub scope_hash: u64,
    /// The last place that is kept, once as many are kept as wanted.
    full_at: Option<Place>,
    /// True on rows of TCP connections.
    pub tcp: bool,
    /// See [`RowClass::connect_failure`].
    pub connect_failure: bool,
    /// How the rows ended.
    pub outcome: Outcome,
    /// True if they failed with flag UC or UR.
    pub reset: bool,
    /// Who reports.
    pub reporter: Reporter,
    /// The sums.
    pub cell: Box<Cell>,
}

/// A row that is not yet in the sums.
#[derive(Clone, Copy, Debug)]
struct Pending {
    /// Nanoseconds since the epoch, [`NO_TIME`] for none.
    at_ns: i64,
    /// [`NO_MS`] for none.
    duration_ms: u32,
    /// [`NO_MS`] for none.
    upstream_ms: u32,
}

/// Stands for no time: 16 bytes a row instead of 32 are what the small types cost.
const NO_TIME: i64 = i64::MIN;

/// Stands for no duration; above [`MAX_MS`].
const NO_MS: u32 = u32::MAX;

/// Sums over the rows of one class.
#[derive(Clone, Debug)]
pub struct Cell {
    /// What the rows have in common.
    pub class: RowClass,
    /// Signatures that hit each of them.
    pub hits: Vec<SignatureIndex>,
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
    held: Vec<HotCell>,
    sample_bytes: usize,
}

impl Default for Cells {
    fn default() -> Self {
        Self {
            slots: vec![EMPTY; SLOTS],
            held: Vec::new(),
            sample_bytes: 0,
        }
    }
}

impl Cells {
    /// Finds the cell of `key` and hands it to `with`; `make` works out its class on first sight.
    #[inline]
    pub fn with<R>(
        &mut self,
        key: ClassKey<'_>,
        make: impl FnOnce() -> Cell,
        with: impl FnOnce(&mut HotCell) -> R,
    ) -> Option<R> {
        let index = self.find(key, make)?;
        let cell = self.held.get_mut(index)?;
        let result = with(cell);
        if cell.pending.len() >= PENDING {
            let before = cell.cell.sample_bytes();
            cell.settle();
            self.sample_bytes += cell.cell.sample_bytes().saturating_sub(before);
        }
        Some(result)
    }

    #[inline]
    fn find(&mut self, key: ClassKey<'_>, make: impl FnOnce() -> Cell) -> Option<usize> {
        let hash = key.hash();
        let mask = SLOTS - 1;
        let mut slot = usize::try_from(hash & mask as u64).unwrap_or(0);
        loop {
            let index = *self.slots.get(slot)?;
            if index == EMPTY {
                return self.insert(slot, hash, key, make());
            }
            let index = index as usize;
            if self
                .held
                .get(index)
                .is_some_and(|cell| cell.hash == hash && key.equals(&cell.key))
            {
                return Some(index);
            }
            slot = (slot + 1) & mask;
        }
    }

    #[cold]
    fn insert(&mut self, slot: usize, hash: u64, key: ClassKey<'_>, cell: Cell) -> Option<usize> {
        let index = self.held.len();
        *self.slots.get_mut(slot)? = u32::try_from(index).ok()?;
        self.held.push(HotCell::new(hash, key.to_bytes(), cell));
        Some(index)
    }

    /// True when the table must be emptied before another class is added.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.held.len() >= MAX_CELLS
    }

    /// Bytes of samples held.
    pub fn sample_bytes(&self) -> usize {
        self.sample_bytes
    }

    /// Empties the table.
    pub fn take(&mut self) -> Vec<Cell> {
        self.slots.fill(EMPTY);
        self.sample_bytes = 0;
        let cells = std::mem::take(&mut self.held);
        cells.into_iter().map(HotCell::into_cell).collect()
    }
}

impl HotCell {
    fn new(hash: u64, key: Box<[u8]>, cell: Cell) -> Self {
        let class = &cell.class.key;
        let proxy = super::stable_hash(class.proxy.as_bytes());
        Self {
            hash,
            key,
            pending: Vec::new(),
            attempt_seed: stable_hash_with(proxy, class.cluster.as_bytes()),
            connection_seed: stable_hash_with(proxy, class.host.as_bytes()),
            scope_hash: super::collector::scope_hash(class.reporter, &class.destination),
            full_at: None,
            tcp: class.tcp,
            connect_failure: cell.class.connect_failure,
            outcome: class.outcome,
            reset: class.outcome == Outcome::Failed && (class.has_flag("UC") || class.has_flag("UR")),
            reporter: class.reporter,
            cell: Box::new(cell),
        }
    }

    /// Adds a row that completed at `at`.
    #[inline]
    pub fn record(&mut self, at: Option<Timestamp>, duration_ms: Option<u64>, upstream_ms: Option<u64>) {
        let ms = |ms: Option<u64>| ms.map_or(NO_MS, |ms| u32::try_from(ms.min(MAX_MS)).unwrap_or(NO_MS));
        self.pending.push(Pending {
            at_ns: at.map_or(NO_TIME, |at| at.0),
            duration_ms: ms(duration_ms),
            upstream_ms: ms(upstream_ms),
        });
    }

    /// True if a row at `place` is among the first that are kept.
    #[inline]
    pub fn wants_place(&self, place: Place) -> bool {
        self.full_at.is_none_or(|last| place < last)
    }

    /// Keeps a place with the start of its line.
    pub fn keep_place(&mut self, place: Place, text: String) {
        let cell = &mut self.cell;
        let at = cell.places.partition_point(|(p, _)| *p < place);
        cell.places.insert(at, (place, text));
        cell.places.truncate(cell.keep_places);
        if cell.places.len() >= cell.keep_places {
            self.full_at = cell.places.last().map(|(last, _)| *last);
        }
    }

    /// Moves the rows that wait into the sums.
    fn settle(&mut self) {
        for row in self.pending.drain(..) {
            self.cell.sum(row);
        }
    }

    fn into_cell(mut self) -> Cell {
        self.settle();
        *self.cell
    }
}

impl Cell {
    /// A cell without rows.
    pub fn new(class: RowClass, hits: Vec<SignatureIndex>, keep_places: usize) -> Self {
        Self {
            class,
            hits,
            count: 0,
            first: None,
            last: None,
            duration: Samples::default(),
            upstream: Samples::default(),
            overhead: Samples::default(),
            series: Series::default(),
            places: Vec::new(),
            keep_places,
        }
    }

    fn sample_bytes(&self) -> usize {
        self.duration.weight_bytes() + self.upstream.weight_bytes() + self.overhead.weight_bytes()
    }

    fn sum(&mut self, row: Pending) {
        self.count += 1;
        let ms = |ms: u32| (ms != NO_MS).then(|| u64::from(ms));
        let (duration, upstream) = (ms(row.duration_ms), ms(row.upstream_ms));
        if let Some(duration) = duration {
            self.duration.record(duration);
            if let Some(upstream) = upstream {
                self.upstream.record(upstream);
                self.overhead.record(duration.saturating_sub(upstream));
            }
        }
        if row.at_ns != NO_TIME {
            let at = Timestamp(row.at_ns);
            self.first = Some(self.first.map_or(at, |t| t.min(at)));
            self.last = Some(self.last.map_or(at, |t| t.max(at)));
            self.series
                .change(at.secs(), |moment| moment.count_row(duration, upstream));
        }
    }
}

impl Moment {
    fn count_row(&mut self, duration_ms: Option<u64>, upstream_ms: Option<u64>) {
        let duration = duration_ms.unwrap_or(0);
        self.count += 1;
        self.duration_sum_ms = self.duration_sum_ms.saturating_add(duration);
        self.duration_max_ms = self.duration_max_ms.max(duration);
        if let Some(upstream) = upstream_ms {
            self.upstream_count += 1;
            self.upstream_sum_ms = self.upstream_sum_ms.saturating_add(upstream);
        }
    }
}
