//! The write-combining table of one worker: sums per class of rows, found by the fingerprint of the bytes that
//! decide the class. It is emptied into a [`super::Partial`] when it grows too large, which changes no result, since what it
//! holds are sums.

use super::called::TimedRow;
use super::class::{GroupKey, Reporter, RowShape};
use super::fingerprint::Fingerprint;
use super::flags::Outcome;
use super::samples::{Bucket, MAX_MS, Samples};
use super::series::Series;
use super::shapes::{Known, Shapes};
use super::signatures::example_text;
use super::tallies::{Batch, Shared, Tallies, Units};
use super::{stable_hash, stable_hash_with};
use crate::matcher::SignatureIndex;
use crate::units::{Place, Timestamp};
use std::sync::Arc;

/// Classes held at a time.
pub const MAX_CELLS: usize = 4096;

/// Classes held at a time where few rows share one: holding more of them saves no work then, and a million names
/// would be held and handed on in pieces of 20 MiB by each worker.
const MAX_RARE_CELLS: usize = 256;

/// Rows for each class below which few rows share one.
const RARE_ROWS: usize = 2;

/// Slots of the table: a power of two, at most half full.
const SLOTS: usize = 8192;

/// Bytes of samples and series held at a time, per worker.
pub const MAX_SAMPLE_BYTES: usize = 12 << 20;

/// Rows of a class that wait to be summed together (512 bytes): one at a time, the sums of thousands of classes would be fetched
/// from memory for each row.
const PENDING: usize = Batch::ROWS;

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

/// Rows that were read last and wait to be counted (6 KiB), first all in one table, then all in the next: what a table
/// touches is at hand then, and fetching the places of many rows at once takes hardly longer than fetching one.
pub const RECENT: usize = 256;

/// A slot of the table, with all that every row of a class needs in the 64 bytes that a processor fetches at once: it is
/// seldom at hand, and what is found by it lies apart and is touched once in many rows.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub struct HotCell {
    key: Fingerprint,
    /// Hash of proxy and cluster, for attempts of one request.
    pub attempt_seed: u64,
    /// Hash of proxy and upstream host, for connections.
    pub connection_seed: u64,
    /// See [`Known::path_seed`].
    pub path_seed: u64,
    /// Number of the cell, [`HotCell::NONE`] where the slot is empty.
    index: u32,
    /// Number of the called service, as [`super::called::Seconds`] counts them.
    pub called: u16,
    facts: Facts,
}

/// What is true of all rows of a class, and of the class.
#[derive(Clone, Copy, Debug)]
struct Facts(u8);

impl Facts {
    /// As many places are kept as wanted.
    const FULL: u8 = 1;
    /// Rows of TCP connections.
    const TCP: u8 = 1 << 1;
    /// See [`RowShape::connect_failure`].
    const CONNECT_FAILURE: u8 = 1 << 2;
    /// The rows are good.
    const GOOD: u8 = 1 << 3;
    /// They failed with flag UC or UR.
    const RESET: u8 = 1 << 4;
    /// A policy refused them, as their details say.
    const POLICY: u8 = 1 << 5;
    /// The rows failed.
    const FAILED: u8 = 1 << 6;
    /// The called proxy reports them.
    const OF_DESTINATION: u8 = 1 << 7;

    /// True if one of these is so.
    #[inline]
    fn has(self, facts: u8) -> bool {
        self.0 & facts != 0
    }

    fn reporter(self) -> Reporter {
        if self.has(Self::OF_DESTINATION) {
            Reporter::Destination
        } else {
            Reporter::Source
        }
    }

    fn of(shape: &RowShape) -> Self {
        let key = &shape.traits;
        let reset = key.outcome == Outcome::Failed && (key.has_flag("UC") || key.has_flag("UR"));
        let facts = [
            (key.tcp, Self::TCP),
            (shape.connect_failure, Self::CONNECT_FAILURE),
            (key.outcome == Outcome::Ok, Self::GOOD),
            (key.outcome == Outcome::Failed, Self::FAILED),
            (key.reporter == Reporter::Destination, Self::OF_DESTINATION),
            (reset, Self::RESET),
            (key.details.starts_with("rbac_access_denied"), Self::POLICY),
        ];
        let set = facts.into_iter().filter(|(is_so, _)| *is_so);
        Self(set.fold(0, |all, (_, fact)| all | fact))
    }
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
    /// Where the rows are counted, but for those of TCP connections.
    units: Option<Units>,
    /// Number of their shape.
    shape: usize,
    outcome: Outcome,
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

/// A row that is not yet with its class.
#[derive(Clone, Copy, Debug)]
pub struct RecentRow {
    /// Number of its cell.
    index: u32,
    called: u16,
    facts: Facts,
    row: Pending,
}

impl RecentRow {
    /// A row of a cell that belongs to `at`.
    #[inline]
    pub fn new(
        cell: &HotCell,
        at: Option<Timestamp>,
        duration_ms: Option<u64>,
        upstream_ms: Option<u64>,
    ) -> Self {
        Self {
            index: cell.index,
            called: cell.called,
            facts: cell.facts,
            row: Pending::new(at, duration_ms, upstream_ms),
        }
    }

    /// What counts for latency over time, if it does: a request that went well or failed, and how long it took.
    #[inline]
    pub fn timed(&self) -> Option<TimedRow> {
        let row = &self.row;
        let counts = !self.facts.has(Facts::TCP) && self.facts.has(Facts::GOOD | Facts::FAILED);
        (counts && row.at_ns != NO_TIME && row.duration_ms != NO_MS).then(|| TimedRow {
            second: Timestamp(row.at_ns).secs(),
            reporter: self.facts.reporter(),
            called: self.called,
            failed: self.facts.has(Facts::FAILED),
            duration: Bucket::of(u64::from(row.duration_ms)),
        })
    }
}

/// Stands for no time: 16 bytes a row instead of 32 are what the small types cost.
const NO_TIME: i64 = i64::MIN;

/// Stands for no duration; above [`MAX_MS`].
const NO_MS: u32 = u32::MAX;

/// Sums over the rows of one class, but for those that it shares with others (see [`super::tallies`]).
#[derive(Clone, Debug)]
pub struct Cell {
    /// What the rows have in common.
    pub key: GroupKey,
    /// See [`RowShape::is_plain`].
    pub plain: bool,
    /// Signatures that hit each of them.
    pub hits: Vec<SignatureIndex>,
    /// The address of the pod that wrote them, where they tell it.
    pub own_ip: Option<Arc<str>>,
    /// See [`RowShape::own_namespace`].
    pub own_namespace: Option<Arc<str>>,
    /// Rows.
    pub count: u64,
    /// Earliest completion.
    pub first: Option<Timestamp>,
    /// Latest completion.
    pub last: Option<Timestamp>,
    /// Durations, unless the rows are good.
    pub duration: Samples,
    /// Rows over time, unless [`Cell::plain`] and HTTP: these are in the series of their hop.
    pub series: Series<Moment>,
    /// First places, in order, with the start of their lines if signatures hit these.
    pub places: Vec<(Place, String)>,
    /// How many places to keep.
    pub keep_places: usize,
}

/// A class that is seen for the first time.
#[derive(Clone, Debug)]
pub struct NewClass {
    /// Number of its shape.
    pub shape: usize,
    /// Who wrote its rows.
    pub proxy: Arc<str>,
    /// See [`Cell::own_ip`].
    pub own_ip: Option<Arc<str>>,
    /// See [`HotCell::called`].
    pub called: u16,
    /// See [`Cell::keep_places`].
    pub keep_places: usize,
}

/// The table.
#[derive(Debug)]
pub struct Cells {
    slots: Vec<HotCell>,
    /// Of each cell, its slot.
    used: Vec<usize>,
    /// Of each cell, room for the rows that are not yet in its sums. All of it is one piece from the first row on: what
    /// is not written to takes no memory.
    pending: Vec<[u64; 2]>,
    /// Of each cell, how many rows there are.
    waiting: Vec<u8>,
    /// Of each cell.
    #[expect(
        clippy::vec_box,
        reason = "they are large, and would be copied whenever the list grows"
    )]
    sums: Vec<Box<Sums>>,
    rows: usize,
    shapes: Shapes,
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
            slots: vec![HotCell::EMPTY; SLOTS],
            used: Vec::new(),
            pending: Vec::new(),
            waiting: Vec::new(),
            sums: Vec::new(),
            rows: 0,
            shapes: Shapes::default(),
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

    /// Finds the slot of `key`; `make` works out its class on first sight. Then [`Self::record_all`] adds the row.
    #[expect(
        clippy::inline_always,
        reason = "one step of the row loop, called in one place"
    )]
    #[inline(always)]
    pub fn find(
        &mut self,
        key: Fingerprint,
        make: impl FnOnce(&mut Shapes) -> Option<NewClass>,
    ) -> Option<usize> {
        let mask = SLOTS - 1;
        let mut slot = usize::try_from(key.low & mask as u64).unwrap_or(0);
        loop {
            let held = self.slots.get(slot)?;
            if held.key == key && !held.is_empty() {
                return Some(slot);
            }
            if held.is_empty() {
                let class = make(&mut self.shapes)?;
                return self.insert(slot, key, class);
            }
            slot = (slot + 1) & mask;
        }
    }

    #[cold]
    fn insert(&mut self, slot: usize, key: Fingerprint, class: NewClass) -> Option<usize> {
        let index = u32::try_from(self.sums.len()).ok()?;
        let known = self.shapes.get_mut(class.shape)?;
        *self.slots.get_mut(slot)? = HotCell::new(key, index, known, &class);
        self.used.push(slot);
        self.waiting.push(0);
        if self.pending.is_empty() {
            self.pending = vec![[0; 2]; MAX_CELLS * PENDING];
        }
        let sums = Sums::new(class, known, &mut self.tallies);
        self.sums.push(Box::new(sums));
        Some(slot)
    }

    /// What is in the slot that was found.
    #[inline]
    pub fn get(&self, slot: usize) -> Option<&HotCell> {
        self.slots.get(slot)
    }

    /// The sums of a cell.
    #[inline]
    pub fn sums(&self, cell: &HotCell) -> Option<&Sums> {
        self.sums.get(cell.index()).map(Box::as_ref)
    }

    /// Says that a row will come to the cell that was found.
    #[inline]
    pub fn note_row(&mut self) {
        self.rows += 1;
    }

    /// Adds rows to their cells.
    pub fn record_all(&mut self, rows: &[RecentRow]) {
        for RecentRow { index, row, .. } in rows {
            let index = *index as usize;
            let Some(waiting) = self.waiting.get_mut(index) else {
                continue;
            };
            let begin = index * PENDING;
            let Some(room) = self.pending.get_mut(begin..begin + PENDING) else {
                continue;
            };
            if let Some(place) = room.get_mut(usize::from(*waiting)) {
                *place = row.packed();
            }
            *waiting += 1;
            if usize::from(*waiting) >= PENDING
                && let Some(sums) = self.sums.get_mut(index)
            {
                *waiting = 0;
                let change_bytes = sums.settle(room, &mut self.tallies, &mut self.batch);
                self.weight_bytes = self.weight_bytes.saturating_add_signed(change_bytes);
            }
        }
    }

    /// True if a row at `place` is among the first of its class that are kept.
    #[inline]
    pub fn wants_place(&self, cell: &HotCell, place: Place) -> bool {
        let before_last = |sums: &Sums| sums.full_at.is_none_or(|last| place < last);
        !cell.is(Facts::FULL) || !self.beyond && self.sums(cell).is_some_and(before_last)
    }

    /// Keeps a place of the cell in the slot that was found, with the start of its line if signatures hit it.
    #[cold]
    pub fn keep_place(&mut self, slot: usize, place: Place, line: &[u8]) {
        let Some(cell) = self.slots.get_mut(slot) else {
            return;
        };
        if let Some(sums) = self.sums.get_mut(cell.index()) {
            let text = if sums.cell.hits.is_empty() {
                String::new()
            } else {
                example_text(line)
            };
            if sums.keep_place(place, text) {
                cell.facts.0 |= Facts::FULL;
            }
            self.full_at = self.full_at.max(sums.full_at);
        }
    }

    /// True when the table must be emptied before another class is added.
    #[inline]
    pub fn is_full(&self) -> bool {
        let held = self.sums.len();
        held >= MAX_RARE_CELLS && (held >= MAX_CELLS || self.rows < held * RARE_ROWS)
    }

    /// Bytes of samples and series held.
    pub fn weight_bytes(&self) -> usize {
        self.weight_bytes + self.tallies.weight_bytes()
    }

    /// Empties the table. Rows that were found their cells must be recorded before.
    pub fn take(&mut self) -> TakenCells {
        for slot in self.used.drain(..) {
            if let Some(used) = self.slots.get_mut(slot) {
                *used = HotCell::EMPTY;
            }
        }
        self.rows = 0;
        self.weight_bytes = 0;
        self.full_at = None;
        let rooms = self.pending.chunks(PENDING).zip(self.waiting.drain(..));
        for (sums, (room, waiting)) in self.sums.iter_mut().zip(rooms) {
            let rows = room.get(..usize::from(waiting)).unwrap_or_default();
            sums.settle(rows, &mut self.tallies, &mut self.batch);
            self.shapes.count(sums.shape, sums.cell.count);
            if let (Some(units), Some(known)) = (&sums.units, self.shapes.get(sums.shape)) {
                self.tallies.count_source(units, &known.shape, sums.cell.count);
            }
        }
        TakenCells {
            cells: std::mem::take(&mut self.sums),
            shapes: self.shapes.take(&mut self.tallies),
            shared: self.tallies.take(),
        }
    }
}

/// What was in the table.
#[derive(Debug)]
pub struct TakenCells {
    /// Its cells.
    pub cells: Vec<Box<Sums>>,
    /// Their shapes, each with its number of rows.
    pub shapes: Vec<(Arc<RowShape>, u64)>,
    /// What cells share.
    pub shared: Shared,
}

impl HotCell {
    const NONE: u32 = u32::MAX;

    const EMPTY: Self = Self {
        key: Fingerprint { low: 0, high: 0 },
        attempt_seed: 0,
        connection_seed: 0,
        path_seed: 0,
        index: Self::NONE,
        called: 0,
        facts: Facts(0),
    };

    fn new(key: Fingerprint, index: u32, known: &Known, class: &NewClass) -> Self {
        let traits = &known.shape.traits;
        let proxy = stable_hash(class.proxy.as_bytes());
        Self {
            key,
            attempt_seed: stable_hash_with(proxy, traits.cluster.as_bytes()),
            connection_seed: stable_hash_with(proxy, traits.host.as_bytes()),
            path_seed: known.path_seed,
            index,
            called: class.called,
            facts: Facts::of(&known.shape),
        }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.index == Self::NONE
    }

    /// Number of the cell.
    #[inline]
    pub fn index(&self) -> usize {
        self.index as usize
    }

    #[inline]
    fn is(&self, fact: u8) -> bool {
        self.facts.has(fact)
    }

    /// True on rows of TCP connections.
    #[inline]
    pub fn tcp(&self) -> bool {
        self.is(Facts::TCP)
    }

    /// See [`RowShape::connect_failure`].
    #[inline]
    pub fn connect_failure(&self) -> bool {
        self.is(Facts::CONNECT_FAILURE)
    }

    /// True if the rows are good.
    #[inline]
    pub fn good(&self) -> bool {
        self.is(Facts::GOOD)
    }

    /// True if they failed with flag UC or UR.
    #[inline]
    pub fn reset(&self) -> bool {
        self.is(Facts::RESET)
    }

    /// True if a policy refused them.
    #[inline]
    pub fn refused_by_policy(&self) -> bool {
        self.is(Facts::POLICY)
    }

    /// True if they failed.
    #[inline]
    pub fn failed(&self) -> bool {
        self.is(Facts::FAILED)
    }
}

impl Pending {
    #[inline]
    fn new(at: Option<Timestamp>, duration_ms: Option<u64>, upstream_ms: Option<u64>) -> Self {
        let ms = |ms: Option<u64>| ms.map_or(NO_MS, |ms| u32::try_from(ms.min(MAX_MS)).unwrap_or(NO_MS));
        Self {
            at_ns: at.map_or(NO_TIME, |at| at.0),
            duration_ms: ms(duration_ms),
            upstream_ms: ms(upstream_ms),
        }
    }

    /// As plain numbers, whose memory the system clears when it is first written to.
    #[inline]
    fn packed(self) -> [u64; 2] {
        let times = u64::from(self.duration_ms) << 32 | u64::from(self.upstream_ms);
        [self.at_ns.cast_unsigned(), times]
    }

    #[inline]
    fn unpacked([at_ns, times]: [u64; 2]) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
        let upstream_ms = times as u32;
        Self {
            at_ns: at_ns.cast_signed(),
            duration_ms: u32::try_from(times >> 32).unwrap_or(NO_MS),
            upstream_ms,
        }
    }
}

impl Sums {
    fn new(class: NewClass, known: &mut Known, tallies: &mut Tallies) -> Self {
        let key = known.shape.group(class.proxy);
        let units = (!key.tcp).then(|| {
            let shared = known.units(tallies).clone();
            tallies.units_of(&key, shared)
        });
        let shape = &known.shape;
        Self {
            scope_hash: super::collector::scope_hash(key.reporter, &key.destination),
            group_hash: key.hash,
            units,
            shape: class.shape,
            outcome: key.outcome,
            full_at: None,
            cell: Cell {
                plain: shape.is_plain(),
                hits: shape.hits.clone(),
                own_ip: class.own_ip,
                own_namespace: shape.own_namespace().cloned(),
                key,
                count: 0,
                first: None,
                last: None,
                duration: Samples::default(),
                series: Series::default(),
                places: Vec::new(),
                keep_places: class.keep_places,
            },
        }
    }

    /// True once as many places are kept as wanted.
    fn keep_place(&mut self, place: Place, text: String) -> bool {
        let cell = &mut self.cell;
        let at = cell.places.partition_point(|(p, _)| *p < place);
        if at < cell.keep_places {
            cell.places.truncate(cell.keep_places - 1);
            cell.places.reserve_exact(1);
            cell.places.insert(at, (place, text));
        }
        let full = cell.places.len() >= cell.keep_places;
        if full {
            self.full_at = cell.places.last().map(|(last, _)| *last);
        }
        full
    }

    /// Moves the rows that wait into the sums; gives the bytes by which the cell grew: where buckets were joined, it shrank.
    fn settle(&mut self, rows: &[[u64; 2]], tallies: &mut Tallies, batch: &mut Batch) -> isize {
        let Self { cell, units, .. } = self;
        let kept_apart = units.is_none() || !cell.plain;
        let outcome = self.outcome;
        let before = cell.weight_bytes();
        batch.clear();
        cell.count += rows.len() as u64;
        // Rows of one bucket of the series to which they go, which mostly follow each other.
        let of_cell = || cell.series.width_log2();
        let width_log2 = match (&*units, kept_apart) {
            (None, _) => of_cell(),
            (Some(units), true) => of_cell().min(tallies.width_log2(units)),
            (Some(units), false) => tallies.width_log2(units),
        };
        let mut add_moment = |series: &mut Series<Moment>, second, moment| {
            if let Some(units) = units {
                tallies.add_moment(units, outcome, second, moment);
            }
            if kept_apart {
                series.add(second, moment);
            }
        };
        let (mut first_ns, mut last_ns) = (i64::MAX, NO_TIME);
        let mut run: Option<(i64, i64, Moment)> = None;
        for row in rows.iter().map(|row| Pending::unpacked(*row)) {
            let ms = |ms: u32| (ms != NO_MS).then(|| u64::from(ms));
            let (duration, upstream) = (ms(row.duration_ms), ms(row.upstream_ms));
            if let Some(duration) = duration {
                batch.push(duration, upstream);
            }
            if row.at_ns == NO_TIME {
                continue;
            }
            first_ns = first_ns.min(row.at_ns);
            last_ns = last_ns.max(row.at_ns);
            let second = Timestamp(row.at_ns).secs();
            let bucket = second >> width_log2;
            match &mut run {
                Some((same, _, moment)) if *same == bucket => moment.count_row(duration, upstream),
                _ => {
                    if let Some((_, second, moment)) = run {
                        add_moment(&mut cell.series, second, moment);
                    }
                    let mut moment = Moment::default();
                    moment.count_row(duration, upstream);
                    run = Some((bucket, second, moment));
                }
            }
        }
        if let Some((_, second, moment)) = run {
            add_moment(&mut cell.series, second, moment);
            let (first, last) = (Timestamp(first_ns), Timestamp(last_ns));
            cell.first = Some(cell.first.map_or(first, |t| t.min(first)));
            cell.last = Some(cell.last.map_or(last, |t| t.max(last)));
        }
        if let Some(units) = units {
            tallies.add(units, outcome, batch);
        }
        if outcome != Outcome::Ok {
            cell.duration.record_all(batch.durations());
        }
        cell.weight_bytes().cast_signed() - before.cast_signed()
    }
}

impl Cell {
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
