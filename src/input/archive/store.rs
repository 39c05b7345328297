//! Bytes that can be read from any place: a part of a file, or of memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

/// A run of bytes.
#[derive(Clone, Debug)]
pub(super) struct Store {
    bytes: Bytes,
    start: u64,
    len: u64,
}

#[derive(Clone, Debug)]
enum Bytes {
    File(Arc<Path>),
    Memory(Arc<Vec<u8>>),
}

impl Store {
    pub(super) fn of_file(path: &Path, len: u64) -> Self {
        Self {
            bytes: Bytes::File(path.into()),
            start: 0,
            len,
        }
    }

    pub(super) fn of_memory(bytes: Vec<u8>) -> Self {
        Self {
            start: 0,
            len: bytes.len() as u64,
            bytes: Bytes::Memory(Arc::new(bytes)),
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The part from `start` on, as much of `len` bytes as there is.
    pub(super) fn part(&self, start: u64, len: u64) -> Self {
        let start = start.min(self.len);
        Self {
            bytes: self.bytes.clone(),
            start: self.start.saturating_add(start),
            len: len.min(self.len - start),
        }
    }

    pub(super) fn open(&self) -> io::Result<StoreReader> {
        let bytes = match &self.bytes {
            Bytes::File(path) => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(self.start))?;
                Opened::File(file)
            }
            Bytes::Memory(bytes) => Opened::Memory(
                Arc::clone(bytes),
                usize::try_from(self.start).unwrap_or(usize::MAX),
            ),
        };
        Ok(StoreReader {
            bytes,
            left: self.len,
        })
    }

    /// As many bytes from `start` on as there are, at most `len`.
    pub(super) fn read_at(&self, start: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut found = Vec::new();
        self.part(start, len as u64).open()?.read_to_end(&mut found)?;
        Ok(found)
    }
}

#[derive(Debug)]
enum Opened {
    File(File),
    Memory(Arc<Vec<u8>>, usize),
}

/// Reads a [`Store`] from its beginning.
#[derive(Debug)]
pub(super) struct StoreReader {
    bytes: Opened,
    left: u64,
}

impl StoreReader {
    /// Passes over `count` bytes without reading them.
    pub(super) fn skip(&mut self, count: u64) -> io::Result<()> {
        let count = count.min(self.left);
        match &mut self.bytes {
            Opened::File(file) => file.seek_relative(i64::try_from(count).unwrap_or(i64::MAX))?,
            Opened::Memory(_, at) => *at = at.saturating_add(usize::try_from(count).unwrap_or(usize::MAX)),
        }
        self.left -= count;
        Ok(())
    }
}

impl Read for StoreReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
        let Some(out) = out.get_mut(..wanted) else {
            return Ok(0);
        };
        let count = match &mut self.bytes {
            Opened::File(file) => file.read(out)?,
            Opened::Memory(bytes, at) => {
                let count = bytes.get(*at..).unwrap_or_default().read(out)?;
                *at = at.saturating_add(count);
                count
            }
        };
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}
