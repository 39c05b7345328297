//! gzip, RFC 1952: any number of members, one after the other.

use super::stored::Stored;
use super::{Fault, Step};
use flate2::{Decompress, FlushDecompress, Status};

/// Largest window of DEFLATE as a power of two (RFC 1951 section 2: 32 KiB).
const WINDOW_BITS: u8 = 15;

/// ID1, ID2 and the only compression method there is (RFC 1952 section 2.3.1).
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

/// Whether a member begins here. Two bytes are enough if the stream ends after them.
pub(super) fn begins(head: &[u8]) -> bool {
    head.starts_with(&MAGIC) || head == &MAGIC[..2]
}

/// Decodes members; their checksums and lengths are checked by the inflater.
///
/// `flate2::read::MultiGzDecoder` would do but for two things: it drops what it decoded in the call that
/// finds the damage, and it passes over bytes that follow the last member without a word.
#[derive(Debug)]
pub(super) struct Gzip {
    inflater: Decompress,
    inside_member: bool,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self {
            inflater: Decompress::new_gzip(WINDOW_BITS),
            inside_member: false,
        }
    }

    pub(super) fn step(&mut self, stored: &mut Stored, out: &mut [u8]) -> Step {
        loop {
            if !self.inside_member {
                let head = stored.peek(MAGIC.len());
                if head.is_empty() {
                    return Step::End;
                }
                if !begins(head) {
                    return Step::Broke(0, Fault::Trailing);
                }
                // `true` keeps the gzip wrapping; `false` would go on to a bare DEFLATE stream.
                self.inflater.reset(true);
                self.inside_member = true;
            }
            if let Some(step) = self.inflate(stored, out) {
                return step;
            }
        }
    }

    /// One call of the inflater; `None` if it has to be called again.
    fn inflate(&mut self, stored: &mut Stored, out: &mut [u8]) -> Option<Step> {
        let input = stored.peek(1);
        let at_end = input.is_empty();
        let (in_before, out_before) = (self.inflater.total_in(), self.inflater.total_out());
        let result = self.inflater.decompress(input, out, FlushDecompress::None);
        let taken = counted(self.inflater.total_in() - in_before);
        let written = counted(self.inflater.total_out() - out_before);
        stored.consume(taken);
        match result {
            Err(_) => return Some(Step::Broke(written, Fault::Corrupt)),
            Ok(Status::StreamEnd) => self.inside_member = false,
            Ok(Status::Ok | Status::BufError) if at_end && written == 0 => {
                return Some(Step::Broke(0, Fault::Truncated));
            }
            // Never so by zlib's contract; it keeps a fault there from becoming an endless loop here.
            Ok(Status::Ok | Status::BufError) if taken == 0 && written == 0 => {
                return Some(Step::Broke(0, Fault::Corrupt));
            }
            Ok(Status::Ok | Status::BufError) => {}
        }
        (written > 0).then_some(Step::Wrote(written))
    }
}

/// Bytes handled by one call, which had slices of at most `usize::MAX` to work on.
fn counted(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
