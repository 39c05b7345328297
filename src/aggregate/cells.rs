//! The write-combining table of one worker: sums per class of rows, found by the fingerprint of the bytes that
//! decide the class. It is emptied into a [`super::Partial`] when it grows too large, which changes no result, since what it
//! holds are sums.

use super::bounded::Key;
use super::class::{Reporter, RowClass};
use super::fingerprint::Fingerprint;
use super::flags::Outcome;
use super::samples::{MAX_MS, Samples};
use super::series::Series;
use super::signatures::example_text;
use super::tallies::{Batch, Tallies, Units};
use super::{stable_hash, stable_hash_with};
use crate::matcher::SignatureIndex;
use crate::units::{Place, Timestamp};

/// Classes held at a time.
pub const MAX_CELLS: usize = 4096;

/// Classes held at a time where few rows share one: holding more of them saves no work then, and a million names
/// would be held and handed on in pieces of 20 MiB by each worker.
const MAX_RARE_CELLS: usize = 256;

/// Rows for each class below which few rows share one.
const RARE_ROWS: usize = 2;

/// Slots of the index: a power of two, at most half full.
const SLOTS: usize = 8192;

/// Bytes of samples and series held at a time, per worker.
pub const MAX_SAMPLE_BYTES: usize = 12 << 20;

/// Rows of a class that wait to be summed together (1 KiB): one at a time, the sums of thousands of classes would
/// be fetched from memory for each row.
const PENDING: usize = 64;

/// Rows of a class for which there is room at first.
const FEW: usize = 8;

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

/// What every row of a class needs, in the 64 bytes that a processor fetches at once: the sums lie apart and are
/// touched once in many rows.
#[derive(Debug)]
#[repr(align(64))]
pub struct HotCell {
    pending: Vec<Pending>,
    /// Hash of proxy and cluster, for attempts of one request.
    pub attempt_seed: u64,
    /// Hash of proxy and upstream host, for connections.
    pub connection_seed: u64,
    /// See [`Cell::path_seed`].
    pub path_seed: u64,
    /// True once as many places are kept as wanted.
    full: bool,
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
    pub sums: Box<Sums>,
}

/// What is touched once in many rows.
#[derive(Debug)]
pub struct Sums {
    /// What is handed on.
    pub cell: Cell,
    /// Hash of reporter and destination.
    pub scope_hash: u64,
    /// Hash of the rows' group.
    pub group_hash: u64,
    units: Units,
    /// See [`Cell::is_plain`].
    plain: bool,
    /// The last place that is kept, once as many are kept as wanted.
    full_at: Option<Place>,
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

/// Sums over the rows of one class, but for those that it shares with others (see [`super::tallies`]).
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
    /// Durations, unless the rows are good.
    pub duration: Samples,
    /// Rows over time, unless [`Cell::is_plain`] and HTTP: these are in the series of their hop.
    pub series: Series<Moment>,
    /// First places, in order, with the start of their lines if signatures hit these.
    pub places: Vec<(Place, String)>,
    /// How many places to keep.
    pub keep_places: usize,
    /// Hash of the authority, which all rows of a class share, and of whether they found an upstream.
    pub path_seed: u64,
}

/// A slot of the index: a fingerprint less 16 of its bits, in whose place the number of the cell stands.
#[derive(Clone, Copy, Debug)]
struct Slot {
    low: u64,
    high_and_index: u64,
}

impl Slot {
    const INDEX_BITS: u64 = 0xffff;

    const EMPTY: Self = Self {
        low: 0,
        high_and_index: Self::INDEX_BITS,
    };

    fn new(key: Fingerprint, index: u16) -> Self {
        Self {
            low: key.low,
            high_and_index: key.high & !Self::INDEX_BITS | u64::from(index),
        }
    }

    #[inline]
    fn holds(self, key: Fingerprint) -> bool {
        self.low == key.low && (self.high_and_index ^ key.high) & !Self::INDEX_BITS == 0
    }

    #[inline]
    fn index(self) -> usize {
        usize::try_from(self.high_and_index & Self::INDEX_BITS).unwrap_or(0)
    }

    #[inline]
    fn is_empty(self) -> bool {
        self.high_and_index & Self::INDEX_BITS == Self::INDEX_BITS
    }
}

/// The table.
#[derive(Debug)]
pub struct Cells {
    slots: Vec<Slot>,
    held: Vec<HotCell>,
    rows: usize,
    tallies: Tallies,
    batch: Batch,
    /// The last place at which a class had as many places as wanted.
    full_at: Option<Place>,
    /// True if no row from here on stands before it.
    beyond: bool,
    weight_bytes: usize,
}

impl Default for Cells {
    fn default() -> Self {
        Self {
            slots: vec![Slot::EMPTY; SLOTS],
            held: Vec::new(),
            rows: 0,
            tallies: Tallies::default(),
            batch: Batch::default(),
            full_at: None,
            beyond: false,
            weight_bytes: 0,
        }
    }
}

impl Cells {
    /// Says that the next rows stand at `place` or after it.
    pub fn begin_block(&mut self, place: Place) {
        self.beyond = self.full_at.is_none_or(|last| last < place);
    }

    /// Finds the cell of `key`; `make` works out its class on first sight. Then [`Self::record`] adds the row.
    #[inline]
    pub fn find(&mut self, key: Fingerprint, make: impl FnOnce() -> Cell) -> Option<usize> {
        let mask = SLOTS - 1;
        let mut slot = usize::try_from(key.low & mask as u64).unwrap_or(0);
        loop {
            let held = *self.slots.get(slot)?;
            if held.holds(key) && !held.is_empty() {
                return Some(held.index());
            }
            if held.is_empty() {
                return self.insert(slot, key, make());
            }
            slot = (slot + 1) & mask;
        }
    }

    #[cold]
    fn insert(&mut self, slot: usize, key: Fingerprint, cell: Cell) -> Option<usize> {
        let index = self.held.len();
        *self.slots.get_mut(slot)? = Slot::new(key, u16::try_from(index).ok()?);
        let units = if cell.class.key.tcp {
            Units::default()
        } else {
            self.tallies.units_of(&cell.class)
        };
        self.held.push(HotCell::new(cell, units));
        Some(index)
    }

    /// The cell that was found.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&HotCell> {
        self.held.get(index)
    }

    /// Adds a row that completed at `at` to the cell that was found.
    #[inline]
    pub fn record(
        &mut self,
        index: usize,
        at: Option<Timestamp>,
        duration_ms: Option<u64>,
        upstream_ms: Option<u64>,
    ) {
        let Some(cell) = self.held.get_mut(index) else {
            return;
        };
        self.rows += 1;
        cell.record(at, duration_ms, upstream_ms);
        if cell.pending.len() >= PENDING {
            self.weight_bytes += cell.settle(&mut self.tallies, &mut self.batch);
        }
    }

    /// True if a row at `place` is among the first of its class that are kept.
    #[inline]
    pub fn wants_place(&self, cell: &HotCell, place: Place) -> bool {
        !cell.full || !self.beyond && cell.sums.full_at.is_none_or(|last| place < last)
    }

    /// Keeps a place of the cell that was found, with the start of its line if signatures hit it.
    #[cold]
    pub fn keep_place(&mut self, index: usize, place: Place, line: &[u8]) {
        if let Some(cell) = self.held.get_mut(index) {
            let text = if cell.sums.cell.hits.is_empty() {
                String::new()
            } else {
                example_text(line)
            };
            cell.keep_place(place, text);
            self.full_at = self.full_at.max(cell.sums.full_at);
        }
    }

    /// True when the table must be emptied before another class is added.
    #[inline]
    pub fn is_full(&self) -> bool {
        let held = self.held.len();
        held >= MAX_RARE_CELLS && (held >= MAX_CELLS || self.rows < held * RARE_ROWS)
    }

    /// Bytes of samples and series held.
    pub fn weight_bytes(&self) -> usize {
        self.weight_bytes + self.tallies.weight_bytes()
    }

    /// Empties the table: its cells, and what they share.
    pub fn take(&mut self) -> (Vec<Cell>, Tallies) {
        self.slots.fill(Slot::EMPTY);
        self.rows = 0;
        self.weight_bytes = 0;
        self.full_at = None;
        let mut cells = Vec::with_capacity(self.held.len());
        for mut hot in std::mem::take(&mut self.held) {
            hot.settle(&mut self.tallies, &mut self.batch);
            let Sums { cell, units, .. } = *hot.sums;
            if !hot.tcp {
                self.tallies.count(&units, &cell.class, cell.count);
            }
            cells.push(cell);
        }
        (cells, std::mem::take(&mut self.tallies))
    }
}

impl HotCell {
    fn new(cell: Cell, units: Units) -> Self {
        let class = &cell.class.key;
        let proxy = stable_hash(class.proxy.as_bytes());
        Self {
            pending: Vec::new(),
            attempt_seed: stable_hash_with(proxy, class.cluster.as_bytes()),
            connection_seed: stable_hash_with(proxy, class.host.as_bytes()),
            path_seed: cell.path_seed,
            full: false,
            tcp: class.tcp,
            connect_failure: cell.class.connect_failure,
            outcome: class.outcome,
            reset: class.outcome == Outcome::Failed && (class.has_flag("UC") || class.has_flag("UR")),
            reporter: class.reporter,
            sums: Box::new(Sums {
                scope_hash: super::collector::scope_hash(class.reporter, &class.destination),
                group_hash: class.key_hash(),
                units,
                plain: cell.is_plain(),
                full_at: None,
                cell,
            }),
        }
    }

    #[inline]
    fn record(&mut self, at: Option<Timestamp>, duration_ms: Option<u64>, upstream_ms: Option<u64>) {
        let ms = |ms: Option<u64>| ms.map_or(NO_MS, |ms| u32::try_from(ms.min(MAX_MS)).unwrap_or(NO_MS));
        if self.pending.len() == self.pending.capacity() {
            self.grow();
        }
        self.pending.push(Pending {
            at_ns: at.map_or(NO_TIME, |at| at.0),
            duration_ms: ms(duration_ms),
            upstream_ms: ms(upstream_ms),
        });
    }

    /// Room for a few rows at first, since many classes have no more, and then for all that wait.
    #[cold]
    fn grow(&mut self) {
        let room = if self.pending.is_empty() { FEW } else { PENDING };
        self.pending.reserve_exact(room - self.pending.len());
    }

    fn keep_place(&mut self, place: Place, text: String) {
        let cell = &mut self.sums.cell;
        let at = cell.places.partition_point(|(p, _)| *p < place);
        if at < cell.keep_places {
            cell.places.truncate(cell.keep_places - 1);
            cell.places.reserve_exact(1);
            cell.places.insert(at, (place, text));
        }
        if cell.places.len() >= cell.keep_places {
            self.full = true;
            self.sums.full_at = cell.places.last().map(|(last, _)| *last);
        }
    }

    /// Moves the rows that wait into the sums; gives the bytes by which the cell grew.
    fn settle(&mut self, tallies: &mut Tallies, batch: &mut Batch) -> usize {
        let Sums {
            cell, units, plain, ..
        } = &mut *self.sums;
        let (tcp, kept_apart) = (self.tcp, self.tcp || !*plain);
        let outcome = self.outcome;
        let mut add_moment = |series: &mut Series<Moment>, second, moment| {
            if !tcp {
                tallies.add_moment(units, outcome, second, moment);
            }
            if kept_apart {
                series.add(second, moment);
            }
        };
        let before = cell.weight_bytes();
        batch.clear();
        cell.count += self.pending.len() as u64;
        // Rows of one second, which mostly follow each other.
        let mut run: Option<(i64, Moment)> = None;
        for row in self.pending.drain(..) {
            let ms = |ms: u32| (ms != NO_MS).then(|| u64::from(ms));
            let (duration, upstream) = (ms(row.duration_ms), ms(row.upstream_ms));
            if let Some(duration) = duration {
                batch.push(duration, upstream);
            }
            if row.at_ns == NO_TIME {
                continue;
            }
            let at = Timestamp(row.at_ns);
            cell.first = Some(cell.first.map_or(at, |t| t.min(at)));
            cell.last = Some(cell.last.map_or(at, |t| t.max(at)));
            let second = at.secs();
            match &mut run {
                Some((same, moment)) if *same == second => moment.count_row(duration, upstream),
                _ => {
                    if let Some((second, moment)) = run {
                        add_moment(&mut cell.series, second, moment);
                    }
                    let mut moment = Moment::default();
                    moment.count_row(duration, upstream);
                    run = Some((second, moment));
                }
            }
        }
        if let Some((second, moment)) = run {
            add_moment(&mut cell.series, second, moment);
        }
        if !self.tcp {
            tallies.add(units, self.outcome, batch);
        }
        if self.outcome != Outcome::Ok {
            cell.duration.record_all(&batch.duration);
        }
        cell.weight_bytes().saturating_sub(before)
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
            series: Series::default(),
            places: Vec::new(),
            keep_places,
            path_seed: 0,
        }
    }

    /// True if nothing is remarkable about the rows: not how they ended, nor what they say.
    pub fn is_plain(&self) -> bool {
        let key = &self.class.key;
        key.outcome == Outcome::Ok && key.code < 400 && self.class.flags.is_empty() && self.hits.is_empty()
    }

    fn weight_bytes(&self) -> usize {
        self.duration.weight_bytes() + self.series.len() * size_of::<(i64, Moment)>()
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
