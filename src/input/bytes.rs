//! One input to its bytes, for what is not made of lines.

use super::read::{OpenError, ReadOptions, ReadSummary};
use super::reader::BlockReader;
use super::sniff::SourceKind;
use super::{Compression, Source};
use crate::units::InputId;
use std::io::Read;

/// Reads one input as decompressed bytes, in order.
#[derive(Debug)]
pub struct ByteReader {
    reader: BlockReader,
}

impl ByteReader {
    /// Opens the input and reads its first bytes, to tell what it is. Waits where the input is a pipe.
    ///
    /// # Errors
    /// As [`BlockReader::open`].
    pub fn open(source: &Source) -> Result<Self, OpenError> {
        BlockReader::open(source, &ReadOptions::default()).map(Self::from)
    }

    /// The same for any stream of bytes, as [`BlockReader::from_stream`].
    ///
    /// # Errors
    /// When its first bytes cannot be read.
    pub fn from_stream(
        input: InputId,
        stream: Box<dyn Read + Send>,
        size_bytes: Option<u64>,
    ) -> Result<Self, OpenError> {
        BlockReader::from_stream(input, stream, size_bytes, &ReadOptions::default()).map(Self::from)
    }

    /// What the input holds, told by its first bytes.
    pub fn kind(&self) -> SourceKind {
        self.reader.kind()
    }

    /// Which input.
    pub fn input(&self) -> InputId {
        self.reader.input()
    }

    /// How it is compressed.
    pub fn compression(&self) -> Compression {
        self.reader.compression()
    }

    /// Bytes read so far as stored, to be set against [`Source::size_bytes`].
    pub fn stored_bytes_read(&self) -> u64 {
        self.reader.stored_bytes_read()
    }

    /// Reads on behind the first `filled` bytes of `buffer` until there are `target`; gives how many there are then,
    /// less than `target` at the end of the input only. Bytes of `buffer` behind them are not of the input.
    pub fn fill(&mut self, buffer: &mut Vec<u8>, filled: usize, target: usize) -> usize {
        self.reader.fill(buffer, filled, target)
    }

    /// What became of the input so far.
    pub fn finish(self) -> ReadSummary {
        self.reader.finish()
    }
}

/// A reader that has given no block yet: nothing is lost of what it has read to tell the kind.
impl From<BlockReader> for ByteReader {
    fn from(reader: BlockReader) -> Self {
        Self { reader }
    }
}
