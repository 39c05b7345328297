//! A capture to blocks of packets: bytes from [`ByteReader`], packets from [`CaptureDecoder`].
//!
//! A record that is cut by the end of a block is carried over to the next one. Memory is bounded by the size of blocks
//! and of the longest record that is looked into, whatever the capture claims.

use crate::decode::packet::{CaptureDecoder, CaptureSummary, PacketBlock};
use crate::input::{ByteReader, OpenError, ReadSummary, Source, SourceKind};
use crate::units::Timestamp;

/// Blocks in which [`first_packet_time`] looks for a packet with a time.
const FIRST_BLOCKS_MAX: usize = 16;

/// Bytes of such a block.
const FIRST_BLOCK_BYTES: usize = 8 << 10;

/// Time of the first packet of a regular file that has one among its first packets.
pub fn first_packet_time(source: &Source) -> Option<Timestamp> {
    // A pipe can be read only once.
    if source.member.is_none()
        && !std::fs::metadata(&source.open_path).is_ok_and(|metadata| metadata.is_file())
    {
        return None;
    }
    let bytes = ByteReader::open(source).ok()?;
    if bytes.kind() != SourceKind::Capture {
        return None;
    }
    let mut reader = CaptureReader::new(bytes, FIRST_BLOCK_BYTES);
    let mut block = PacketBlock::default();
    for _ in 0..FIRST_BLOCKS_MAX {
        block = reader.next_block(block)?;
        let first = block.packets.iter().find_map(|packet| packet.time);
        if first.is_some() {
            return first;
        }
    }
    None
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::InputId;
    use std::io::{self, Read, Write};

    /// A pcap file of frames of these lengths, one second apart.
    fn pcap(lengths: &[u32]) -> Vec<u8> {
        let mut file = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
        file.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 1, 0, 0, 0]);
        for (length, second) in lengths.iter().zip(100_u32..) {
            for field in [second, 0, *length, *length] {
                file.extend(field.to_le_bytes());
            }
            file.resize(file.len() + *length as usize, 0);
        }
        file
    }

    /// Gives a few bytes at a time, as pipes do.
    struct Trickle(io::Cursor<Vec<u8>>);

    impl Read for Trickle {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let most = out.len().min(700);
            self.0.read(&mut out[..most])
        }
    }

    fn read(stored: Vec<u8>, block_bytes: usize) -> (Vec<u32>, ReadSummary, CaptureSummary) {
        let stream = Box::new(Trickle(io::Cursor::new(stored)));
        let bytes = ByteReader::from_stream(InputId(3), stream, None).unwrap();
        let mut reader = CaptureReader::new(bytes, block_bytes);
        let mut block = PacketBlock::default();
        let mut lengths = Vec::new();
        while let Some(next) = reader.next_block(block) {
            lengths.extend(next.packets.iter().map(|packet| packet.captured_bytes));
            block = next;
        }
        let (read, capture) = reader.finish();
        (lengths, read, capture)
    }

    #[test]
    fn blocks_of_any_size_give_the_same_packets() {
        let lengths = [60, 1514, 0, 200_000, 60, 1, 9000];
        let file = pcap(&lengths);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&file).unwrap();
        for stored in [
            file.clone(),
            gzip.finish().unwrap(),
            zstd::encode_all(&file[..], 1).unwrap(),
        ] {
            for block_bytes in [0, 1, 16, 1000, 8192, 1 << 20] {
                let (found, read, capture) = read(stored.clone(), block_bytes);
                assert_eq!(found, lengths, "blocks of {block_bytes}");
                assert_eq!((read.bytes, capture.packets), (file.len() as u64, 7));
                assert_eq!((read.problems, capture.problems), (vec![], vec![]));
            }
        }
    }

    #[test]
    fn a_record_that_is_not_all_there() {
        let mut file = pcap(&[60, 60]);
        // Just within what a record may have, and far more than there is.
        for field in [1_u32, 0, 1 << 20, 1 << 20] {
            file.extend(field.to_le_bytes());
        }
        file.extend([0; 3000]);
        let (found, _, capture) = read(file, 4096);
        assert_eq!(found, [60, 60]);
        assert!(
            capture.problems[0].what.contains("cut off"),
            "{:?}",
            capture.problems
        );
    }

    #[test]
    fn the_time_of_the_first_packet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pcap");
        std::fs::write(&path, pcap(&[60, 60])).unwrap();
        let source = crate::input::discover(std::slice::from_ref(&path))
            .sources
            .remove(0);
        assert_eq!(first_packet_time(&source), Some(Timestamp::from_secs(100)));
        std::fs::write(&path, "no capture").unwrap();
        assert_eq!(first_packet_time(&source), None);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(first_packet_time(&source), None);
    }
}
