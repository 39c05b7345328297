//! Stored bytes to plain ones: as they are, gzip (RFC 1952) or Zstandard (RFC 8878), told by magic numbers.
//!
//! Principal type: [`Decompressor`]. It writes straight into the caller's buffer, and what could be decoded
//! before damage is handed out before the damage is.

mod gzip;
mod stored;
mod zstandard;

use super::Compression;
use gzip::Gzip;
use std::fmt;
use std::io::{self, Read};
use stored::Stored;
use zstandard::Zstandard;

/// What stopped a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The stored stream ended inside a member or frame.
    Truncated,
    /// The stored bytes are not what the format allows, or a checksum is wrong.
    Corrupt,
    /// A Zstandard frame asks for a window above [`zstandard::WINDOW_LOG_MAX`].
    WindowTooLarge,
    /// After the last whole member or frame come bytes that begin no other one.
    Trailing,
}

/// Damage in a compressed stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    /// What.
    pub(super) fault: Fault,
    /// Format.
    pub(super) compression: Compression,
    /// Where in the stored stream the decoder stood.
    pub(super) stored_bytes: u64,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.stored_bytes;
        let (name, tool) = match self.compression {
            Compression::Zstd => ("zstd", "zstd"),
            Compression::Gzip | Compression::None => ("gzip", "gzip"),
        };
        match self.fault {
            Fault::Truncated => write!(
                f,
                "the {name} stream is cut off at byte {at} of the file: all before is used; fetch the file again"
            ),
            Fault::Corrupt => write!(
                f,
                "the {name} stream is damaged near byte {at} of the file: all before is used, nothing after; \
                 check with `{tool} -t` and fetch the file again"
            ),
            Fault::WindowTooLarge => write!(
                f,
                "the zstd frame at byte {at} of the file needs a window above 128 MiB: nothing from here on is \
                 used; decompress it first with `zstd -d --long=31`"
            ),
            Fault::Trailing => write!(
                f,
                "bytes that are not {name} follow from byte {at} of the file: they are not read; if they are a \
                 log, cut them off into a file of their own with `tail -c +{}`",
                at.saturating_add(1)
            ),
        }
    }
}

#[derive(Debug)]
enum Decoder {
    Plain,
    Gzip(Gzip),
    Zstandard(Zstandard),
}

/// What one step of a decoder brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// That many bytes were written; above 0.
    Wrote(usize),
    /// The stream ended where it may.
    End,
    /// That many bytes were written, and then it broke.
    Broke(usize, Fault),
}

/// A stored stream, decompressed.
#[derive(Debug)]
pub(super) struct Decompressor {
    stored: Stored,
    decoder: Decoder,
    damage: Option<Damage>,
    ended: bool,
}

/// Whether these are the first bytes of a stream that is decompressed.
pub(super) fn is_compressed(head: &[u8]) -> bool {
    gzip::begins(head) || zstandard::begins(head)
}

impl Decompressor {
    /// Looks at the first bytes to choose the decoder.
    pub(super) fn new(stream: Box<dyn Read + Send>) -> io::Result<Self> {
        let mut stored = Stored::new(stream);
        let head = stored.peek(4);
        let decoder = if gzip::begins(head) {
            Decoder::Gzip(Gzip::new())
        } else if zstandard::begins(head) {
            Decoder::Zstandard(Zstandard::new()?)
        } else {
            Decoder::Plain
        };
        match stored.failure.take() {
            Some(error) if stored.read_bytes == 0 => Err(error),
            failure => {
                stored.failure = failure;
                Ok(Self {
                    stored,
                    decoder,
                    damage: None,
                    ended: false,
                })
            }
        }
    }

    pub(super) fn compression(&self) -> Compression {
        match self.decoder {
            Decoder::Plain => Compression::None,
            Decoder::Gzip(_) => Compression::Gzip,
            Decoder::Zstandard(_) => Compression::Zstd,
        }
    }

    /// Writes some bytes to `out` and says how many; 0 at the end, be it good or bad (see [`Self::damage`]),
    /// or if `out` is empty.
    pub(super) fn read(&mut self, out: &mut [u8]) -> usize {
        if self.ended || out.is_empty() {
            return 0;
        }
        let step = match &mut self.decoder {
            Decoder::Plain => plain_step(&mut self.stored, out),
            Decoder::Gzip(gzip) => gzip.step(&mut self.stored, out),
            Decoder::Zstandard(zstandard) => zstandard.step(&mut self.stored, out),
        };
        match step {
            Step::Wrote(count) => count,
            Step::End => {
                self.ended = true;
                0
            }
            Step::Broke(count, fault) => {
                self.ended = true;
                let stored_bytes = self.stored.position_bytes();
                self.damage = Some(Damage {
                    fault,
                    compression: self.compression(),
                    stored_bytes,
                });
                count
            }
        }
    }

    /// What stopped the decoder, if not the end.
    pub(super) fn damage(&self) -> Option<Damage> {
        self.damage
    }

    /// What the system said when a read failed after the first one.
    pub(super) fn failure(&self) -> Option<&io::Error> {
        self.stored.failure.as_ref()
    }

    /// Whether the stored stream was read to its own end.
    pub(super) fn stored_ended(&self) -> bool {
        self.stored.ended && self.stored.failure.is_none()
    }

    /// Bytes read from the stored stream.
    pub(super) fn stored_bytes_read(&self) -> u64 {
        self.stored.read_bytes
    }
}

fn plain_step(stored: &mut Stored, out: &mut [u8]) -> Step {
    match stored.read(out) {
        0 => Step::End,
        count => Step::Wrote(count),
    }
}

#[cfg(test)]
mod tests;
