//! Captures: one reader for each capture point, connections spread over workers.
//!
//! Packets of a connection must be seen in order, so what is shared out are connections, not blocks: the reader
//! decodes each packet down to the key of its innermost connection, and that key decides the shard. Shards are
//! fixed in number and know nothing of each other, so it changes no result who owns which.
//!
//! With as many capture points as workers, each worker reads points of its own and owns all their shards. With
//! fewer, a point is read by one thread, which hands whole blocks to all workers; each looks at the packets of
//! its own shards. Nothing is copied: a block is shared until the last worker is done with it, and is then used again.

use super::capture_reader::CaptureReader;
use crate::aggregate::Merge;
use crate::aggregate::captures::CaptureTotals;
use crate::decode::packet::{Packet, PacketBlock, Transport};
use crate::input::{ByteReader, Source, SourceKind};
use crate::progress::Progress;
use crate::report::build::{CaptureRead, InputRead};
use crate::streams::application::Conversation;
use crate::streams::{
    CapturePoint, DnsExchange, SHARDS, Shard, StreamLimits, StreamRecord, StreamSink, flow_hash,
    shard_of_hash,
};
use crate::units::Timestamp;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Blocks on their way to each worker: enough that the reader does not wait for one slow block, few enough to
/// stay in the processor's cache.
const BLOCKS_IN_FLIGHT: usize = 2;

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
            merged(&results)
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

fn merged(results: &Receiver<(CaptureTotals, Reads)>) -> (CaptureTotals, Reads) {
    let mut totals = CaptureTotals::default();
    let mut reads = Vec::new();
    for (part, mut of_sources) in results {
        totals.merge(part);
        reads.append(&mut of_sources);
    }
    (totals, reads)
}

impl CaptureRun<'_> {
    fn empty_totals(&self) -> CaptureTotals {
        CaptureTotals::new(self.streams)
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
        let reads = self.read_point(index, progress, PacketBlock::default(), |block| {
            owner.block(&block);
            block
        });
        (owner.finish(), reads)
    }

    /// Reads a capture point with this thread and gives its packets to workers.
    #[expect(
        clippy::disallowed_methods,
        reason = "one of the two places where threads start"
    )]
    fn drain_shared(&self, index: usize, workers: usize, progress: &dyn Progress) -> (CaptureTotals, Reads) {
        let (results_in, results) = bounded(1);
        let (done_in, done) = unbounded::<PacketBlock>();
        std::thread::scope(|scope| {
            let mut queues = Vec::with_capacity(workers);
            for worker in 0..workers {
                let (queue, blocks) = bounded::<Arc<PacketBlock>>(BLOCKS_IN_FLIGHT);
                let (results, done) = (results_in.clone(), done_in.clone());
                let mut owner = ShardOwner::new(point_of(index), self, worker, workers);
                scope.spawn(move || {
                    for block in blocks {
                        owner.block(&block);
                        if let Some(block) = Arc::into_inner(block) {
                            // The reader may have ended: then nobody needs the buffer.
                            drop(done.send(block));
                        }
                    }
                    drop(results.send((owner.finish(), Vec::new())));
                });
                queues.push(queue);
            }
            drop((results_in, done_in));
            let reads = self.read_point(index, progress, PacketBlock::default(), |block| {
                let block = Arc::new(block);
                for queue in &queues {
                    // A worker ends early only if it panicked, and then the scope does too.
                    drop(queue.send(Arc::clone(&block)));
                }
                drop(block);
                done.try_recv().unwrap_or_default()
            });
            drop(queues);
            let (totals, _) = merged(&results);
            (totals, reads)
        })
    }

    /// Reads the sources of a capture point one after the other; `with` gets each block and gives back one to fill.
    fn read_point(
        &self,
        index: usize,
        progress: &dyn Progress,
        mut spare: PacketBlock,
        mut with: impl FnMut(PacketBlock) -> PacketBlock,
    ) -> Reads {
        let mut reads = Vec::new();
        for capture in self.points.get(index).into_iter().flatten() {
            let Some(source) = self.sources.get(capture.source) else {
                continue;
            };
            let read = match open(capture, source) {
                Ok(bytes) => {
                    let compression = bytes.compression();
                    let mut reader = CaptureReader::new(bytes, self.block_bytes);
                    let mut told = 0;
                    while let Some(mut block) = reader.next_block(std::mem::take(&mut spare)) {
                        self.select(&mut block.packets);
                        spare = with(block);
                        let stored = reader.stored_bytes_read();
                        progress.read(stored.saturating_sub(told));
                        told = stored;
                    }
                    progress.read(source.size_bytes.unwrap_or(0).saturating_sub(told));
                    let (read, summary) = reader.finish();
                    InputRead {
                        kind: Some(SourceKind::Capture),
                        compression: Some(compression),
                        summary: Some(read),
                        failure: None,
                        capture: Some(CaptureRead {
                            point: point_of(index),
                            summary,
                        }),
                        left_out: false,
                    }
                }
                Err(why) => InputRead::failed(why),
            };
            progress.finished_input(&source.display_path);
            reads.push((capture.source, read));
        }
        reads
    }

    /// Leaves out packets outside the selected time.
    fn select(&self, packets: &mut Vec<Packet>) {
        if self.since.is_some() || self.until.is_some() {
            packets.retain(|packet| {
                packet.time.is_none_or(|time| {
                    self.since.is_none_or(|since| time >= since)
                        && self.until.is_none_or(|until| time <= until)
                })
            });
        }
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

/// The shards of one capture point that one thread owns, and what they have told.
struct ShardOwner {
    point: CapturePoint,
    shards: Vec<Option<Shard<Conversation>>>,
    /// Packets of the present block for each shard, with the hashes of their connections.
    queues: Vec<Vec<(usize, u64)>>,
    collector: Collecting,
}

/// Puts what shards tell into sums.
struct Collecting(CaptureTotals);

impl StreamSink for Collecting {
    fn stream(&mut self, record: StreamRecord) {
        self.0.stream(&record);
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
            queues: vec![Vec::new(); SHARDS],
            collector: Collecting(run.empty_totals()),
        }
    }

    /// Takes the packets of a block shard by shard, those of a shard in their order: what a shard keeps stays in the
    /// processor's cache meanwhile.
    fn block(&mut self, block: &PacketBlock) {
        self.sort(block);
        for (shard, queue) in self.shards.iter_mut().zip(&mut self.queues) {
            let Some(shard) = shard else { continue };
            for (index, hash) in queue.drain(..) {
                let Some(packet) = block.packets.get(index) else {
                    continue;
                };
                if !matches!(packet.transport, Transport::Tcp(_)) {
                    self.collector.0.packet(self.point, packet);
                }
                shard.packet_of(hash, packet, packet.payload.of(&block.data), &mut self.collector);
            }
        }
    }

    fn sort(&mut self, block: &PacketBlock) {
        for (index, packet) in block.packets.iter().enumerate() {
            let hash = flow_hash(&packet.flow());
            let shard = shard_of_hash(self.point, hash);
            if let (Some(Some(_)), Some(queue)) = (self.shards.get(shard), self.queues.get_mut(shard)) {
                queue.push((index, hash));
            }
        }
    }

    fn finish(mut self) -> CaptureTotals {
        for shard in self.shards.into_iter().flatten() {
            let summary = shard.finish(&mut self.collector);
            self.collector.0.shard(&summary);
        }
        self.collector.0
    }
}
