//! A member of an archive to its bytes.

use super::store::{Store, StoreReader};
use crate::input::decompress::Decompressor;
use flate2::Crc;
use flate2::read::DeflateDecoder;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

/// Where the bytes of a member are.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// As they are, to be read from any place.
    Stored(Store),
    /// Compressed by themselves, as in a zip.
    Deflated {
        store: Store,
        size_bytes: u64,
        /// CRC-32 of the member, where it is known.
        crc: Option<u32>,
    },
    /// In a compressed archive that is too large to be held: reached only by reading all before it.
    Streamed {
        stream: Arc<Stream>,
        start: u64,
        len: u64,
    },
}

impl Content {
    pub(super) fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Stored(store) => Box::new(store.open()?),
            Self::Deflated {
                store,
                size_bytes,
                crc,
            } => Box::new(Inflated {
                inflater: DeflateDecoder::new(store.open()?),
                left: *size_bytes,
                expected: *crc,
                crc: Crc::new(),
                damage: None,
            }),
            Self::Streamed { stream, start, len } => Box::new(Stream::member(stream, *start, *len)?),
        })
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Stored(store) => store.len(),
            Self::Deflated { size_bytes, .. } => *size_bytes,
            Self::Streamed { len, .. } => *len,
        }
    }

    pub(super) fn is_streamed(&self) -> bool {
        matches!(self, Self::Streamed { .. })
    }
}

/// A compressed archive that is read in order. Whoever is done with a member leaves the decoder where it stands, so that
/// members that are opened in their order cost one pass over the archive.
#[derive(Debug)]
pub(super) struct Stream {
    archive: Store,
    parked: Mutex<Option<Parked>>,
}

#[derive(Debug)]
struct Parked {
    decoder: Decompressor,
    /// Decompressed bytes that were read of it.
    position: u64,
}

/// Bytes that are read at a time to get past them.
const SKIP_BYTES: usize = 64 << 10;

impl Parked {
    fn read(&mut self, out: &mut [u8]) -> usize {
        let count = self.decoder.read(out);
        self.position = self.position.saturating_add(count as u64);
        count
    }
}

impl Stream {
    pub(super) fn new(archive: Store) -> Arc<Self> {
        Arc::new(Self {
            archive,
            parked: Mutex::new(None),
        })
    }

    fn member(stream: &Arc<Self>, start: u64, len: u64) -> io::Result<StreamedMember> {
        let parked = stream
            .parked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let mut parked = match parked.filter(|parked| parked.position <= start) {
            Some(parked) => parked,
            None => Parked {
                decoder: Decompressor::new(Box::new(stream.archive.open()?))?,
                position: 0,
            },
        };
        let mut passed = vec![0; SKIP_BYTES];
        while parked.position < start {
            let step = usize::try_from(start - parked.position)
                .unwrap_or(SKIP_BYTES)
                .min(SKIP_BYTES);
            if parked.read(passed.get_mut(..step).unwrap_or_default()) == 0 {
                break;
            }
        }
        Ok(StreamedMember {
            stream: Arc::clone(stream),
            end: start.saturating_add(len),
            parked: Some(parked),
        })
    }
}

/// Reads one member of a [`Stream`].
#[derive(Debug)]
struct StreamedMember {
    stream: Arc<Stream>,
    end: u64,
    parked: Option<Parked>,
}

impl Read for StreamedMember {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(parked) = &mut self.parked else {
            return Ok(0);
        };
        let left = self.end.saturating_sub(parked.position);
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(out.len());
        Ok(parked.read(out.get_mut(..wanted).unwrap_or_default()))
    }
}

impl Drop for StreamedMember {
    fn drop(&mut self) {
        *self.stream.parked.lock().unwrap_or_else(PoisonError::into_inner) = self.parked.take();
    }
}

/// A deflated member, held to the size and checksum that its archive states.
struct Inflated {
    inflater: DeflateDecoder<StoreReader>,
    left: u64,
    expected: Option<u32>,
    crc: Crc,
    /// What is told once all that could be read is handed out.
    damage: Option<&'static str>,
}

impl Read for Inflated {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Some(what) = self.damage {
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
        if wanted == 0 {
            return Ok(0);
        }
        let Ok(count) = self.inflater.read(out.get_mut(..wanted).unwrap_or_default()) else {
            return self.broken("the deflate stream of the member is damaged");
        };
        if count == 0 && self.expected.is_some() {
            return self.broken("the member is shorter than its archive states");
        }
        self.crc.update(out.get(..count).unwrap_or_default());
        self.left = self.left.saturating_sub(count as u64);
        if self.left == 0 && self.expected.is_some_and(|expected| expected != self.crc.sum()) {
            self.damage = Some("the checksum of the member is wrong");
        }
        Ok(count)
    }
}

impl Inflated {
    fn broken(&mut self, what: &'static str) -> io::Result<usize> {
        self.damage = Some(what);
        Err(io::Error::new(io::ErrorKind::InvalidData, what))
    }
}
