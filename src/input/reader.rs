//! One input to its blocks.
//!
//! Principal type: [`BlockReader`]. It knows bytes and lines; where lines belong together it asks.

use super::cutting::{find_long_line, last_allowed_cut, last_known_cut, line_start};
use super::decompress::Decompressor;
use super::problems::Problems;
use super::read::{OpenError, ReadOptions, ReadSummary};
use super::sniff::{self, SourceKind};
use super::{Block, Compression, Source};
use crate::units::InputId;
use memchr::memchr;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Reads one input as blocks of whole lines, with memory bounded by the options whatever the input holds.
///
/// Blocks joined are the decompressed input without its byte order mark and without what was dropped of long
/// lines. How the input is cut depends on the options; what is in it does not.
#[derive(Debug)]
pub struct BlockReader {
    input: InputId,
    options: ReadOptions,
    kind: SourceKind,
    stream: Decompressor,
    /// Bytes from [`Self::pending_start`] on were read from the stream but belong to the next block.
    pending: Vec<u8>,
    pending_start: usize,
    /// Where the next block begins in the decompressed input.
    offset_bytes: u64,
    /// Bytes that the stream gave.
    read_bytes: u64,
    seq: u32,
    ended: bool,
    /// No block goes beyond this offset that begins before it; 0 for none.
    cut_bytes: u64,
    /// Size at the time of opening, of regular files.
    size_bytes: Option<u64>,
    problems: Problems,
}

impl BlockReader {
    /// Opens the input and reads its first bytes, to tell what it is. Waits where the input is a pipe.
    ///
    /// # Errors
    /// When it cannot be opened or its first bytes cannot be read. What can be read but is not text is no
    /// error: see [`Self::kind`].
    pub fn open(source: &Source, options: &ReadOptions) -> Result<Self, OpenError> {
        if let Some(member) = &source.member {
            return Self::from_stream(source.id, member.open()?, None, options);
        }
        if source.open_path == Path::new("-") {
            return Self::from_stream(source.id, Box::new(io::stdin()), None, options);
        }
        let file = File::open(&source.open_path)?;
        let metadata = file.metadata()?;
        let listing = source.listing.as_deref();
        let size_bytes = metadata
            .is_file()
            .then_some(metadata.len())
            .filter(|_| listing.is_none());
        let mut reader = Self::from_stream(source.id, Box::new(file), size_bytes, options)?;
        if let Some(listing) = listing {
            // Its members are read, so what is to be said of it is what is missing of them.
            reader.problems = Problems::new(source.id);
            for (offset_bytes, what) in listing {
                reader.problems.add(*offset_bytes, what.clone());
            }
        }
        Ok(reader)
    }

    /// The same for any stream of bytes. `size_bytes` is what it should have as stored; less is a
    /// [`Problem`](crate::error::Problem).
    ///
    /// # Errors
    /// When its first bytes cannot be read.
    pub fn from_stream(
        input: InputId,
        stream: Box<dyn Read + Send>,
        size_bytes: Option<u64>,
        options: &ReadOptions,
    ) -> Result<Self, OpenError> {
        let mut reader = Self {
            input,
            options: ReadOptions {
                block_bytes: options.block_bytes.max(1),
                max_line_bytes: options.max_line_bytes.max(1),
                boundary: options.boundary.clone(),
            },
            kind: SourceKind::Empty,
            stream: Decompressor::new(stream)?,
            pending: Vec::new(),
            pending_start: 0,
            offset_bytes: 0,
            read_bytes: 0,
            seq: 0,
            ended: false,
            cut_bytes: 0,
            size_bytes,
            problems: Problems::new(input),
        };
        reader.sniff();
        Ok(reader)
    }

    /// What the input holds. Only [`SourceKind::Text`] has blocks; for the others but
    /// [`SourceKind::Capture`] (see [`super::ByteReader`]) and [`SourceKind::Empty`] a
    /// [`Problem`](crate::error::Problem) says what to do.
    pub fn kind(&self) -> SourceKind {
        self.kind
    }

    /// Which input.
    pub fn input(&self) -> InputId {
        self.input
    }

    /// The first bytes, as long as no block was taken; later what lies between two blocks.
    pub fn head(&self) -> &[u8] {
        self.pending.get(self.pending_start..).unwrap_or_default()
    }

    /// How it is compressed.
    pub fn compression(&self) -> Compression {
        self.stream.compression()
    }

    /// Bytes read so far as stored, to be set against [`Source::size_bytes`].
    pub fn stored_bytes_read(&self) -> u64 {
        self.stream.stored_bytes_read()
    }

    /// Lets a block end at this offset of the decompressed input, where a line ends.
    pub fn cut_at(&mut self, offset_bytes: u64) {
        self.cut_bytes = offset_bytes;
    }

    /// Bytes up to where the next block must end, if it must.
    fn room(&self) -> Option<usize> {
        let room = self
            .cut_bytes
            .checked_sub(self.offset_bytes)
            .filter(|&room| room > 0)?;
        usize::try_from(room).ok()
    }

    /// The next block, in `buffer`; `None` at the end.
    ///
    /// Give back the buffer of a block that is done with, as it is: its old bytes spare the work of clearing
    /// memory that is overwritten anyway.
    pub fn next_block(&mut self, mut buffer: Vec<u8>) -> Option<Block> {
        if self.kind != SourceKind::Text {
            return None;
        }
        self.shrink(&mut buffer);
        let mut filled = 0;
        let mut checked = 0;
        let mut refused = 0;
        let room = self.room().unwrap_or(usize::MAX);
        let mut target = self.options.block_bytes.min(room);
        loop {
            filled = self.fill(&mut buffer, filled, target);
            match find_long_line(&buffer[..filled], checked, self.options.max_line_bytes) {
                Ok(start) => return Some(self.end_in_long_line(buffer, filled, start)),
                Err(start) => checked = start,
            }
            if filled < target || filled == room {
                return (filled > 0).then(|| self.end_at(buffer, filled, filled));
            }
            if let Some(cut) = last_allowed_cut(&buffer[..filled], refused, &self.options.boundary) {
                return Some(self.end_at(buffer, filled, cut));
            }
            refused = last_known_cut(&buffer[..filled]);
            if filled >= self.options.grown_bytes() {
                return Some(self.end_by_force(buffer, filled));
            }
            target = filled.saturating_mul(2).min(self.options.grown_bytes()).min(room);
        }
    }

    /// All of the input as one block, in `buffer`; `None` if it is empty or was read already. Of one that is longer than
    /// `limit_bytes` only the beginning is read, and a [`Problem`](crate::error::Problem) says so.
    pub fn whole(&mut self, mut buffer: Vec<u8>, limit_bytes: usize) -> Option<Block> {
        if self.kind != SourceKind::Text || self.seq > 0 {
            return None;
        }
        self.shrink(&mut buffer);
        let mut filled = 0;
        let mut target = self.options.block_bytes.min(limit_bytes);
        loop {
            filled = self.fill(&mut buffer, filled, target);
            if filled < target {
                break;
            }
            if target == limit_bytes {
                if self.read(&mut [0]) > 0 {
                    let what = format!(
                        "a document of more than {limit_bytes} bytes: only so much of it is read; save its parts one \
                         by one"
                    );
                    self.problems.add(self.offset_bytes + limit_bytes as u64, what);
                }
                break;
            }
            target = target.saturating_mul(2).min(limit_bytes);
        }
        buffer.truncate(filled);
        (filled > 0).then(|| self.block(buffer, filled as u64))
    }

    /// What became of the input so far; called when there are no more blocks.
    pub fn finish(mut self) -> ReadSummary {
        self.add_stream_problems();
        ReadSummary {
            bytes: self.read_bytes,
            stored_bytes: self.stream.stored_bytes_read(),
            long_lines: self.problems.long_lines,
            dropped_bytes: self.problems.dropped_bytes,
            forced_cuts: self.problems.forced_cuts,
            problems: self.problems.into_sorted(),
        }
    }

    fn sniff(&mut self) {
        let mut head = Vec::new();
        let mut length = self.fill(&mut head, 0, sniff::HEAD_BYTES);
        if leading_nuls(&head[..length]) >= HOLE_BYTES_MIN {
            length = self.skip_hole(&mut head, length);
        }
        head.truncate(length);
        let sniffed = sniff::sniff(&head);
        self.kind = sniffed.kind;
        if let Some(problem) = sniffed.problem {
            self.problems.add(self.offset_bytes, problem.to_owned());
        }
        self.pending = head;
        if self.pending.starts_with(sniff::UTF8_MARK) {
            self.pending_start = sniff::UTF8_MARK.len();
            self.offset_bytes += sniff::UTF8_MARK.len() as u64;
        }
    }

    /// A log that was truncated under a writer which keeps its place (copytruncate of logrotate, without
    /// `O_APPEND`) begins with as many NULs as there were bytes before. Reads on to what stands behind them;
    /// if nothing does, the NULs are left for what they are.
    fn skip_hole(&mut self, head: &mut Vec<u8>, mut length: usize) -> usize {
        let mut start = leading_nuls(&head[..length]);
        while start == length && length == sniff::HEAD_BYTES {
            length = self.fill(head, 0, sniff::HEAD_BYTES);
            start = leading_nuls(&head[..length]);
        }
        if start == length {
            return head.len();
        }
        self.offset_bytes = self.read_bytes - (length - start) as u64;
        let what = format!(
            "begins with {} NUL bytes, as a log does that was truncated while its writer went on: they are \
             skipped; the lines before are in the rotated file",
            self.offset_bytes
        );
        self.problems.add(0, what);
        head.copy_within(start..length, 0);
        self.fill(head, length - start, sniff::HEAD_BYTES)
    }

    /// A buffer that had to grow for one block is not kept at that size for all that follow.
    fn shrink(&self, buffer: &mut Vec<u8>) {
        if buffer.capacity() / 2 > self.options.block_bytes {
            buffer.truncate(self.options.block_bytes);
            buffer.shrink_to(self.options.block_bytes);
        }
    }

    /// Reads on behind `filled` up to `target`; gives what is filled then, less than `target` at the end only.
    pub(super) fn fill(&mut self, buffer: &mut Vec<u8>, mut filled: usize, target: usize) -> usize {
        if buffer.len() < target {
            buffer.reserve_exact(target - buffer.len());
            buffer.resize(target, 0);
        }
        while filled < target {
            let count = self.read(&mut buffer[filled..target]);
            if count == 0 {
                break;
            }
            filled += count;
        }
        filled
    }

    /// What is pending, and then what the stream has.
    fn read(&mut self, out: &mut [u8]) -> usize {
        let pending = &self.pending[self.pending_start..];
        if pending.is_empty() {
            let count = if self.ended { 0 } else { self.stream.read(out) };
            self.ended |= count == 0;
            self.read_bytes += count as u64;
            return count;
        }
        let count = pending.len().min(out.len());
        out[..count].copy_from_slice(&pending[..count]);
        self.pending_start += count;
        count
    }

    /// Gives back the last bytes that [`Self::read`] gave. As long as something is still pending, they came
    /// from there and lie before it.
    fn put_back(&mut self, tail: &[u8]) {
        if self.pending_start < self.pending.len() {
            self.pending_start -= tail.len();
        } else {
            self.pending.clear();
            self.pending.extend_from_slice(tail);
            self.pending_start = 0;
        }
    }

    fn end_at(&mut self, mut buffer: Vec<u8>, filled: usize, cut: usize) -> Block {
        self.put_back(&buffer[cut..filled]);
        buffer.truncate(cut);
        self.block(buffer, cut as u64)
    }

    fn end_by_force(&mut self, buffer: Vec<u8>, filled: usize) -> Block {
        // There is a line end, since a line this long without one would have been found before.
        let cut = Some(line_start(&buffer[..filled]))
            .filter(|&cut| cut > 0)
            .unwrap_or(filled);
        self.problems
            .add_forced_cut(self.offset_bytes + cut as u64, self.options.grown_bytes());
        self.end_at(buffer, filled, cut)
    }

    /// The block ends with the part of the line that is kept. The rest of the line is dropped, its newline
    /// kept, and the next block begins behind it, so that offsets stay right.
    fn end_in_long_line(&mut self, mut buffer: Vec<u8>, filled: usize, start: usize) -> Block {
        let kept_end = start + self.options.max_line_bytes;
        let (dropped_bytes, newline) = self.skip_line(&mut buffer, kept_end, filled);
        let line_bytes = self.options.max_line_bytes as u64 + dropped_bytes;
        let offset_bytes = self.offset_bytes + start as u64;
        self.problems
            .add_long_line(offset_bytes, line_bytes, self.options.max_line_bytes);
        buffer.truncate(kept_end);
        if newline {
            buffer.push(b'\n');
        }
        self.block(buffer, start as u64 + line_bytes + u64::from(newline))
    }

    /// Drops what there is of a line from `from` on, up to its newline: how much, and whether there was one.
    /// Reads on into the same place of `buffer`.
    fn skip_line(&mut self, buffer: &mut Vec<u8>, from: usize, filled: usize) -> (u64, bool) {
        const STEP_BYTES: usize = 64 << 10;
        let mut dropped_bytes = 0;
        let mut end = filled;
        while end > from {
            if let Some(newline) = memchr(b'\n', &buffer[from..end]) {
                self.put_back(&buffer[from + newline + 1..end]);
                return (dropped_bytes + newline as u64, true);
            }
            dropped_bytes += (end - from) as u64;
            if buffer.len() < from + STEP_BYTES {
                buffer.resize(from + STEP_BYTES, 0);
            }
            end = from + self.read(&mut buffer[from..]);
        }
        (dropped_bytes, false)
    }

    fn block(&mut self, data: Vec<u8>, consumed_bytes: u64) -> Block {
        let block = Block {
            input: self.input,
            seq: self.seq,
            offset_bytes: self.offset_bytes,
            data,
        };
        self.seq = self.seq.saturating_add(1);
        self.offset_bytes += consumed_bytes;
        block
    }

    fn add_stream_problems(&mut self) {
        let stored_bytes = self.stream.stored_bytes_read();
        if let Some(damage) = self.stream.damage() {
            self.problems.add(self.read_bytes, damage.to_string());
        }
        if let Some(error) = self.stream.failure() {
            let what = format!(
                "reading stopped at byte {stored_bytes} of the file: {error}: all before is used; copy the file \
                 from its disk again"
            );
            self.problems.add(self.read_bytes, what);
        }
        if let Some(size_bytes) = self
            .size_bytes
            .filter(|&size| self.stream.stored_ended() && stored_bytes < size)
        {
            let what = format!(
                "the file shrank while it was read, from {size_bytes} bytes to {stored_bytes}: what was read is \
                 used; copy it first if it is being rotated or truncated"
            );
            self.problems.add(self.read_bytes, what);
        }
    }
}

/// Fewer NULs at the start of a log are left to the first line. A guess: holes have the size of a log.
const HOLE_BYTES_MIN: usize = 512;

fn leading_nuls(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|&&byte| byte == 0).count()
}

#[cfg(test)]
mod tests;
