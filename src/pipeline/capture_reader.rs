//! A capture to blocks of packets: bytes from [`ByteReader`], packets from [`CaptureDecoder`].
//!
//! A record that is cut by the end of a block is carried over to the next one. Memory is bounded by the size of blocks
//! and of the longest record that is looked into, whatever the capture claims.

use crate::decode::packet::{CaptureDecoder, CaptureSummary, PacketBlock};
use crate::input::{ByteReader, OpenError, ReadSummary, Source};

/// Reads one capture.
#[derive(Debug)]
pub struct CaptureReader {
    bytes: ByteReader,
    decoder: CaptureDecoder,
    block_bytes: usize,
    /// The beginning of a record whose rest comes with the next block.
    carried: Vec<u8>,
    ended: bool,
}

impl CaptureReader {
    /// Opens a capture to be read in blocks of about `block_bytes`. Waits where it is a pipe.
    ///
    /// # Errors
    /// When it cannot be opened or its first bytes cannot be read. Bytes that are no capture are a problem in the
    /// summary.
    pub fn open(source: &Source, block_bytes: usize) -> Result<Self, OpenError> {
        Ok(Self::new(ByteReader::open(source)?, block_bytes))
    }

    /// The same for an input that is open, and of which nothing has been taken.
    pub fn new(bytes: ByteReader, block_bytes: usize) -> Self {
        Self {
            decoder: CaptureDecoder::new(bytes.input()),
            bytes,
            block_bytes: block_bytes.max(1),
            carried: Vec::new(),
            ended: false,
        }
    }

    /// Bytes read so far as stored, to be set against [`Source::size_bytes`].
    pub fn stored_bytes_read(&self) -> u64 {
        self.bytes.stored_bytes_read()
    }

    /// The next packets, at least one; `None` at the end. Give back a block that is done with, as it is: its memory is
    /// used again.
    pub fn next_block(&mut self, recycled: PacketBlock) -> Option<PacketBlock> {
        let mut block = recycled;
        block.packets.clear();
        while !self.ended {
            self.next_bytes(&mut block);
            if !block.packets.is_empty() {
                return Some(block);
            }
        }
        None
    }

    /// What became of the input and what the capture says of itself; called when there are no more blocks.
    pub fn finish(self) -> (ReadSummary, CaptureSummary) {
        (self.bytes.finish(), self.decoder.finish())
    }

    /// Fills the block, behind what was carried over, and decodes it.
    fn next_bytes(&mut self, block: &mut PacketBlock) {
        self.shrink(&mut block.data);
        let mut filled = self.take_carried(&mut block.data);
        let mut target = self.block_bytes.max(filled.saturating_mul(2));
        loop {
            filled = self.bytes.fill(&mut block.data, filled, target);
            block.data.truncate(filled);
            let end = filled < target;
            let decoded = self.decoder.decode(block, end);
            self.ended = end || self.decoder.stopped();
            if self.ended {
                return;
            }
            if decoded.consumed == 0 {
                // One record is longer than the block.
                block.data.truncate(filled);
                target = target.max(decoded.needed).saturating_add(self.block_bytes);
                continue;
            }
            self.carried
                .extend_from_slice(&block.data[decoded.consumed..filled]);
            return;
        }
    }

    fn take_carried(&mut self, data: &mut Vec<u8>) -> usize {
        let filled = self.carried.len();
        if data.len() < filled {
            data.resize(filled, 0);
        }
        data[..filled].copy_from_slice(&self.carried);
        self.carried.clear();
        self.carried.shrink_to(self.block_bytes);
        filled
    }

    /// A buffer that had to grow for one record is not kept at that size for all that follow.
    fn shrink(&self, data: &mut Vec<u8>) {
        if data.capacity() / 4 > self.block_bytes {
            data.truncate(self.block_bytes);
            data.shrink_to(self.block_bytes);
        }
    }
}
