//! Captures: one reader for each capture point, connections spread over workers.
//!
//! Packets of a connection must be seen in order, so what is shared out are connections, not blocks: the reader
//! decodes each packet down to the key of its innermost connection, and that key decides the shard. Shards are
//! fixed in number and know nothing of each other, so it changes no result who owns which.
//!
//! With as many capture points as workers, each worker reads points of its own and owns all their shards. With
//! fewer, all workers share a point: whoever has least to do reads the next block, decodes it and sorts its packets by
//! shard; every worker goes through the blocks in order and takes the packets of its own shards. Nothing is copied: a
//! block is shared until the last worker is done with it, and is then used again.

use super::capture_reader::CaptureReader;
use crate::aggregate::Merge;
use crate::aggregate::captures::CaptureTotals;
use crate::decode::packet::{Packet, PacketBlock, Transport};
use crate::input::{ByteReader, Compression, Source, SourceKind};
use crate::progress::Progress;
use crate::report::build::{CaptureRead, InputRead};
use crate::streams::application::Conversation;
use crate::streams::{
    CapturePoint, DnsExchange, Expected, SHARDS, Shard, StreamLimits, StreamRecord, StreamSink, flow_hash,
    hash_of_ends, shard_of_hash,
};
use crate::units::Timestamp;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Blocks under way beside one for each worker: enough that nobody waits for one slow block, few enough to stay in the
/// processor's cache.
const BLOCKS_AHEAD: usize = 2;

/// Packets whose connections are looked up at once, before any of them is worked on: the memory of all of them is waited
/// for together.
const AHEAD: usize = 16;

/// Capture points that are read at the same time: each may fill the tables of its shards to their limits.
const POINTS_AT_ONCE: usize = 4;

/// What became of each capture, by the number of its source.
pub(super) type Reads = Vec<(usize, InputRead)>;

/// A capture to be read.
#[derive(Debug)]
pub(super) struct Capture {
    /// Number of its source.
    pub(super) source: usize,
    /// It, where it cannot be opened a second time (a pipe).
    pub(super) open: Mutex<Option<ByteReader>>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub(super) struct CaptureRun<'r> {
    /// All sources.
    pub(super) sources: &'r [Source],
    /// The captures of each capture point, in the order in which they are read.
    pub(super) points: &'r [Vec<Capture>],
    /// Worker threads.
    pub(super) threads: usize,
    /// Bytes of a block.
    pub(super) block_bytes: usize,
    /// Packets before this are left out.
    pub(super) since: Option<Timestamp>,
    /// Packets after this are left out.
    pub(super) until: Option<Timestamp>,
    /// Keep a record of every connection.
    pub(super) streams: bool,
    /// There are rows to join connections with.
    pub(super) follows: bool,
    /// Bounds on what is kept of connections.
    pub(super) limits: &'r StreamLimits,
}

/// Reads all captures.
#[expect(
    clippy::disallowed_methods,
    reason = "one of the two places where threads start"
)]
pub(super) fn run(run: CaptureRun<'_>, progress: &dyn Progress) -> (CaptureTotals, Reads) {
    let workers = run.threads.max(1);
    if workers == 1 || run.points.len() >= workers {
        let (results_in, results) = bounded(1);
        let next = AtomicUsize::new(0);
        return std::thread::scope(|scope| {
            for _ in 0..workers.min(POINTS_AT_ONCE).min(run.points.len()) {
                let (results, next) = (results_in.clone(), &next);
                scope.spawn(move || run.work(next, &results, progress));
            }
            drop(results_in);
            merged(&results, run.empty_totals())
        });
    }
    let mut totals = run.empty_totals();
    let mut reads = Vec::new();
    for index in 0..run.points.len() {
        let (of_point, mut of_sources) = run.drain_shared(index, workers, progress);
        totals.merge(of_point);
        reads.append(&mut of_sources);
    }
    (totals, reads)
}

fn merged(results: &Receiver<(CaptureTotals, Reads)>, mut totals: CaptureTotals) -> (CaptureTotals, Reads) {
    let mut reads = Vec::new();
    for (part, mut of_sources) in results {
        totals.merge(part);
        reads.append(&mut of_sources);
    }
    (totals, reads)
}

impl CaptureRun<'_> {
    fn empty_totals(&self) -> CaptureTotals {
        CaptureTotals::new(self.streams, self.follows)
    }

    /// A worker with capture points of its own.
    fn work(&self, next: &AtomicUsize, results: &Sender<(CaptureTotals, Reads)>, progress: &dyn Progress) {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= self.points.len() {
                return;
            }
            // The receiver outlives every worker.
            drop(results.send(self.drain_alone(index, progress)));
        }
    }

    /// Reads a capture point with this thread alone.
    fn drain_alone(&self, index: usize, progress: &dyn Progress) -> (CaptureTotals, Reads) {
        let mut owner = ShardOwner::new(point_of(index), self, 0, 1);
        let mut reader = PointReader::new(self, index);
        let mut block = SortedBlock::default();
        while reader.next_block(&mut block, progress) {
            owner.block(&block);
        }
        (owner.finish(), reader.reads)
    }

    /// Reads a capture point with several workers, each of which owns some of its shards.
    #[expect(
        clippy::disallowed_methods,
        reason = "one of the two places where threads start"
    )]
    fn drain_shared(&self, index: usize, workers: usize, progress: &dyn Progress) -> (CaptureTotals, Reads) {
        let (results_in, results) = bounded(1);
        let shared = SharedPoint::new(PointReader::new(self, index), workers);
        let (totals, _) = std::thread::scope(|scope| {
            for worker in 0..workers {
                let (results, shared) = (results_in.clone(), &shared);
                scope.spawn(move || {
                    let mut owner = ShardOwner::new(point_of(index), self, worker, workers);
                    shared.work(worker, &mut owner, progress);
                    drop(results.send((owner.finish(), Vec::new())));
                });
            }
            drop(results_in);
            merged(&results, self.empty_totals())
        });
        (totals, shared.into_reads())
    }
}

fn open(capture: &Capture, source: &Source) -> Result<ByteReader, String> {
    // Each capture is read once, by one thread.
    let open = capture.open.lock().unwrap_or_else(PoisonError::into_inner).take();
    match open {
        Some(bytes) => Ok(bytes),
        None => ByteReader::open(source).map_err(|error| error.to_string()),
    }
}

pub(super) fn point_of(index: usize) -> CapturePoint {
    CapturePoint(u32::try_from(index).unwrap_or(u32::MAX))
}

/// Reads the captures of a point one after the other.
struct PointReader<'r> {
    run: CaptureRun<'r>,
    index: usize,
    /// Captures of the point that were begun.
    begun: usize,
    open: Option<OpenCapture<'r>>,
    /// What became of those that are done.
    reads: Reads,
}

/// The capture that is being read.
struct OpenCapture<'r> {
    number: usize,
    source: &'r Source,
    compression: Compression,
    reader: CaptureReader,
    /// Stored bytes that were told to the progress.
    told: u64,
}

impl<'r> PointReader<'r> {
    fn new(run: &CaptureRun<'r>, index: usize) -> Self {
        Self {
            run: *run,
            index,
            begun: 0,
            open: None,
            reads: Vec::new(),
        }
    }

    /// Fills `block` with the next packets; false at the end.
    fn next_block(&mut self, block: &mut SortedBlock, progress: &dyn Progress) -> bool {
        while let Some(mut open) = self.open.take().or_else(|| self.begin(progress)) {
            if progress.is_stopped() {
                self.end(open, progress);
                continue;
            }
            if let Some(packets) = open.reader.next_block(std::mem::take(&mut block.block)) {
                let stored = open.reader.stored_bytes_read();
                progress.read(stored.saturating_sub(open.told));
                open.told = stored;
                self.open = Some(open);
                block.block = packets;
                self.select(&mut block.block.packets);
                block.sort(point_of(self.index));
                return true;
            }
            self.end(open, progress);
        }
        false
    }

    /// Opens the next capture that can be opened.
    fn begin(&mut self, progress: &dyn Progress) -> Option<OpenCapture<'r>> {
        loop {
            let capture = self.run.points.get(self.index)?.get(self.begun)?;
            self.begun += 1;
            let Some(source) = self.run.sources.get(capture.source) else {
                continue;
            };
            if progress.is_stopped() {
                let read = InputRead::failed(super::NOT_BEGUN.to_owned());
                self.reads.push((capture.source, read));
                continue;
            }
            match open(capture, source) {
                Ok(bytes) => {
                    return Some(OpenCapture {
                        number: capture.source,
                        source,
                        compression: bytes.compression(),
                        reader: CaptureReader::new(bytes, self.run.block_bytes),
                        told: 0,
                    });
                }
                Err(why) => {
                    progress.finished_input(&source.display_path);
                    self.reads.push((capture.source, InputRead::failed(why)));
                }
            }
        }
    }

    fn end(&mut self, capture: OpenCapture<'_>, progress: &dyn Progress) {
        let size = capture.source.size_bytes.unwrap_or(0);
        progress.read(size.saturating_sub(capture.told));
        progress.finished_input(&capture.source.display_path);
        let (mut read, summary) = capture.reader.finish();
        if progress.is_stopped() && capture.told < size {
            read.problems
                .push(super::stopped_at(capture.source.id, capture.told));
        }
        let read = InputRead {
            kind: Some(SourceKind::Capture),
            compression: Some(capture.compression),
            summary: Some(read),
            failure: None,
            capture: Some(CaptureRead {
                point: point_of(self.index),
                summary,
            }),
            left_out: false,
        };
        self.reads.push((capture.number, read));
    }

    /// Leaves out packets outside the selected time.
    fn select(&self, packets: &mut Vec<Packet>) {
        if self.run.since.is_some() || self.run.until.is_some() {
            packets.retain(|packet| {
                packet.time.is_none_or(|time| {
                    self.run.since.is_none_or(|since| time >= since)
                        && self.run.until.is_none_or(|until| time <= until)
                })
            });
        }
    }
}

/// The [`flow_hash`] of the packet's connection.
#[inline]
fn packet_hash(packet: &Packet) -> u64 {
    match packet.transport {
        Transport::Icmp(_) => flow_hash(&packet.flow()),
        _ => hash_of_ends(packet.source, packet.destination),
    }
}

/// Packets with what tells each shard its own: worked out once, by whoever reads them.
#[derive(Debug, Default)]
struct SortedBlock {
    block: PacketBlock,
    /// Hashes of the packets' connections, in the order of the block.
    hashes: Vec<u64>,
    /// Packets by shard, those of a shard in their order: the place in the block, and the hash.
    order: Vec<(u32, u64)>,
}

impl SortedBlock {
    fn sort(&mut self, point: CapturePoint) {
        let packets = &self.block.packets;
        let mut next = [0_u32; SHARDS];
        self.hashes.clear();
        self.hashes.extend(packets.iter().map(|packet| {
            let hash = packet_hash(packet);
            if let Some(count) = next.get_mut(shard_of_hash(point, hash)) {
                *count += 1;
            }
            hash
        }));
        let mut packets_before = 0;
        for count in &mut next {
            packets_before += std::mem::replace(count, packets_before);
        }
        self.order.resize(packets.len(), (0, 0));
        for (index, &hash) in (0..).zip(&self.hashes) {
            if let Some(place) = next.get_mut(shard_of_hash(point, hash)) {
                if let Some(slot) = self.order.get_mut(*place as usize) {
                    *slot = (index, hash);
                }
                *place += 1;
            }
        }
    }
}

/// A capture point on which several workers work.
///
/// Nobody only reads: the worker that has least to do reads the next block and hands it to all, as long as there is
/// one to be filled. So reading takes place beside the work on connections, the workers stay equally busy, and no more
/// than a fixed number of blocks is under way.
struct SharedPoint<'r> {
    state: Mutex<PointState<'r>>,
    changed: Condvar,
}

struct PointState<'r> {
    /// Absent while a worker reads.
    reader: Option<Box<PointReader<'r>>>,
    /// Blocks to be filled.
    spare: Vec<SortedBlock>,
    /// What waits for each worker.
    queues: Vec<VecDeque<Arc<SortedBlock>>>,
    /// No further block comes.
    ended: bool,
}

/// What a worker does next.
enum Duty<'r> {
    Work(Arc<SortedBlock>),
    Read(Box<PointReader<'r>>, SortedBlock),
    End,
}

impl<'r> SharedPoint<'r> {
    fn new(reader: PointReader<'r>, workers: usize) -> Self {
        Self {
            state: Mutex::new(PointState {
                reader: Some(Box::new(reader)),
                spare: (0..workers + BLOCKS_AHEAD)
                    .map(|_| SortedBlock::default())
                    .collect(),
                queues: vec![VecDeque::new(); workers],
                ended: false,
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, PointState<'r>> {
        // A worker that panicked ends the run; see [`EndsOnPanic`].
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes part until all is read and this worker has seen every block.
    fn work(&self, worker: usize, owner: &mut ShardOwner, progress: &dyn Progress) {
        let _ends = EndsOnPanic(self);
        loop {
            match self.next_duty(worker) {
                Duty::Work(block) => {
                    owner.block(&block);
                    if let Some(block) = Arc::into_inner(block) {
                        self.lock().spare.push(block);
                        self.changed.notify_all();
                    }
                }
                Duty::Read(mut reader, mut block) => {
                    let filled = reader.next_block(&mut block, progress);
                    let mut state = self.lock();
                    state.reader = Some(reader);
                    if filled {
                        let block = Arc::new(block);
                        for queue in &mut state.queues {
                            queue.push_back(Arc::clone(&block));
                        }
                    } else {
                        state.ended = true;
                    }
                    drop(state);
                    self.changed.notify_all();
                }
                Duty::End => return,
            }
        }
    }

    fn next_duty(&self, worker: usize) -> Duty<'r> {
        let mut state = self.lock();
        loop {
            let waiting = |queue: Option<&VecDeque<_>>| queue.map_or(0, VecDeque::len);
            let mine = waiting(state.queues.get(worker));
            let least = state.queues.iter().map(VecDeque::len).min().unwrap_or(0);
            if mine <= least
                && !state.ended
                && let Some(block) = state.spare.pop()
            {
                if let Some(reader) = state.reader.take() {
                    return Duty::Read(reader, block);
                }
                state.spare.push(block);
            }
            if let Some(block) = state.queues.get_mut(worker).and_then(VecDeque::pop_front) {
                return Duty::Work(block);
            }
            if state.ended {
                return Duty::End;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn into_reads(self) -> Reads {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.reader.map_or_else(Vec::new, |reader| reader.reads)
    }
}

/// Lets the other workers go when one panics: nobody may wait for what it held.
struct EndsOnPanic<'s, 'r>(&'s SharedPoint<'r>);

impl Drop for EndsOnPanic<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().ended = true;
            self.0.changed.notify_all();
        }
    }
}

/// The shards of one capture point that one thread owns, and what they have told.
struct ShardOwner {
    point: CapturePoint,
    shards: Vec<Option<Shard<Conversation>>>,
    collector: Collecting,
}

/// Puts what shards tell into sums.
struct Collecting(CaptureTotals);

impl StreamSink for Collecting {
    fn stream(&mut self, record: StreamRecord) {
        self.0.stream(record);
    }

    fn dns(&mut self, exchange: DnsExchange) {
        self.0.dns(&exchange);
    }
}

impl ShardOwner {
    /// Owns every shard whose number is `worker` modulo `workers`.
    fn new(point: CapturePoint, run: &CaptureRun<'_>, worker: usize, workers: usize) -> Self {
        Self {
            point,
            shards: (0..SHARDS)
                .map(|shard| (shard % workers == worker).then(|| Shard::new(point, run.limits)))
                .collect(),
            collector: Collecting(run.empty_totals()),
        }
    }

    /// Takes the packets of a block shard by shard, those of a shard in their order: what a shard keeps stays in the
    /// processor's cache meanwhile.
    fn block(&mut self, sorted: &SortedBlock) {
        let block = &sorted.block;
        for places in sorted.order.chunks(AHEAD) {
            let expected = self.expect(places, block);
            for (&(index, hash), expected) in places.iter().zip(expected) {
                let shard = shard_of_hash(self.point, hash);
                let Some(Some(shard)) = self.shards.get_mut(shard) else {
                    continue;
                };
                let Some(packet) = block.packets.get(index as usize) else {
                    continue;
                };
                if !matches!(packet.transport, Transport::Tcp(_)) {
                    self.collector.0.packet(self.point, packet);
                }
                let payload = packet.payload.of(&block.data);
                shard.packet_of(hash, expected, packet, payload, &mut self.collector);
            }
        }
    }

    /// Where the connections of some packets probably are. What is to be read of them and of the packets is on its way from
    /// memory then.
    #[inline]
    fn expect(&self, places: &[(u32, u64)], block: &PacketBlock) -> [Option<Expected>; AHEAD] {
        let shard_of = |hash| self.shards.get(shard_of_hash(self.point, hash))?.as_ref();
        let mut all = [None; AHEAD];
        for (expected, &(index, hash)) in all.iter_mut().zip(places) {
            *expected = shard_of(hash).and_then(|shard| shard.expect(hash));
            if let Some(packet) = block.packets.get(index as usize) {
                let first_byte = block.data.get(packet.payload.start as usize);
                std::hint::black_box((packet.time, packet.ttl, first_byte.copied()));
            }
        }
        for (expected, &(_, hash)) in all.iter().zip(places) {
            if let (Some(expected), Some(shard)) = (*expected, shard_of(hash)) {
                std::hint::black_box(shard.touch(expected));
            }
        }
        all
    }

    fn finish(mut self) -> CaptureTotals {
        for shard in self.shards.into_iter().flatten() {
            let summary = shard.finish(&mut self.collector);
            self.collector.0.shard(&summary);
        }
        self.collector.0
    }
}
