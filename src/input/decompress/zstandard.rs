//! Zstandard, RFC 8878: any number of frames, skippable ones among them.

use super::stored::Stored;
use super::{Fault, Step};
use std::fmt;
use std::io;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

/// Largest window accepted, as a power of two: 128 MiB, what `zstd -d` accepts without being told more and
/// what `zstd --long` and `zstd --ultra -22` make. Other levels make at most 8 MiB, so that this much memory
/// is only used for files which ask for it.
pub(super) const WINDOW_LOG_MAX: u32 = 27;

/// First four bytes of a frame, little-endian (RFC 8878 section 3.1.1).
const MAGIC: u32 = 0xFD2F_B528;

/// The same of a skippable frame, its lowest four bits left out (section 3.1.2); pzstd begins with one.
const MAGIC_SKIPPABLE: u32 = 0x184D_2A50;

const MAGIC_BYTES: usize = 4;

/// Magic number and frame header descriptor, from which the decoder knows what it wants (`ZSTD_f_zstd1`'s
/// starting input length in libzstd).
const FIRST_BYTES: usize = MAGIC_BYTES + 1;

/// Error code of libzstd for a window above the limit, as its public list spells it.
const WINDOW_TOO_LARGE: &str = "Frame requires too much memory for decoding";

/// Whether a frame begins here.
pub(super) fn begins(head: &[u8]) -> bool {
    head.first_chunk::<MAGIC_BYTES>().is_some_and(|&first| {
        let magic = u32::from_le_bytes(first);
        magic == MAGIC || magic & !0xf == MAGIC_SKIPPABLE
    })
}

/// Decodes frames; their checksums, where they have one, are checked by libzstd.
pub(super) struct Zstandard {
    decoder: Decoder<'static>,
    inside_frame: bool,
    /// Stored bytes that the decoder wants next: one block and the header of the one after it.
    wanted: usize,
}

impl fmt::Debug for Zstandard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zstandard")
            .field("inside_frame", &self.inside_frame)
            .finish_non_exhaustive()
    }
}

impl Zstandard {
    pub(super) fn new() -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
        Ok(Self {
            decoder,
            inside_frame: false,
            wanted: FIRST_BYTES,
        })
    }

    pub(super) fn step(&mut self, stored: &mut Stored, out: &mut [u8]) -> Step {
        loop {
            if !self.inside_frame {
                let head = stored.peek(MAGIC_BYTES);
                if head.is_empty() {
                    return Step::End;
                }
                if !begins(head) {
                    return Step::Broke(0, Fault::Trailing);
                }
                if self.decoder.reinit().is_err() {
                    return Step::Broke(0, Fault::Corrupt);
                }
                self.inside_frame = true;
                self.wanted = FIRST_BYTES;
            }
            if let Some(step) = self.decode(stored, out) {
                return step;
            }
        }
    }

    /// One call of the decoder; `None` if it has to be called again.
    ///
    /// It is given one block at a time: a call that fails does not tell what it wrote before, and given more
    /// it would take good blocks with it. Blocks hold up to 128 KiB of text, so the calls cost nothing.
    fn decode(&mut self, stored: &mut Stored, out: &mut [u8]) -> Option<Step> {
        let bytes = stored.peek(1);
        let at_end = bytes.is_empty();
        let mut input = InBuffer::around(&bytes[..bytes.len().min(self.wanted)]);
        let mut output = OutBuffer::around(out);
        let result = self.decoder.run(&mut input, &mut output);
        let (taken, written) = (input.pos(), output.pos());
        stored.consume(taken);
        match result {
            Err(error) => return Some(Step::Broke(written, fault_of(&error))),
            Ok(0) => self.inside_frame = false,
            Ok(_) if at_end && written == 0 => return Some(Step::Broke(0, Fault::Truncated)),
            // Never so by libzstd's contract; it keeps a fault there from becoming an endless loop here.
            Ok(_) if taken == 0 && written == 0 => return Some(Step::Broke(0, Fault::Corrupt)),
            Ok(wanted) => self.wanted = wanted,
        }
        (written > 0).then_some(Step::Wrote(written))
    }
}

fn fault_of(error: &io::Error) -> Fault {
    if error.to_string().contains(WINDOW_TOO_LARGE) {
        Fault::WindowTooLarge
    } else {
        Fault::Corrupt
    }
}
