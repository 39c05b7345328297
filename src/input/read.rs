//! What a reader is told, and what it tells besides its blocks.

use super::RecordBoundary;
use crate::error::Problem;
use std::io;

/// How inputs are read. The same for all inputs of a run.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// Bytes of a block, at least 1. Blocks are smaller by what follows their last cut, and larger where
    /// [`Self::boundary`] allows no cut: up to 8 times this and [`Self::max_line_bytes`]; then they are cut at
    /// the last line end, and a [`Problem`] says so.
    pub block_bytes: usize,
    /// Bytes of a line that are kept, at least 1. What a line has beyond is dropped, and a [`Problem`] says so.
    pub max_line_bytes: usize,
    /// Where blocks may be cut.
    pub boundary: RecordBoundary,
}

impl ReadOptions {
    /// 1 MiB. Blocks of 256 KiB are read as fast, within what can be measured.
    pub const BLOCK_BYTES: usize = 1 << 20;

    /// 1 MiB. Envoy's longest rows hold headers of up to 60 KiB (its default `max_request_headers_kb`), and
    /// CRI runtimes part lines at 16 KiB; above this is no log line.
    pub const MAX_LINE_BYTES: usize = 1 << 20;

    /// Bytes above which a block is cut at any line end.
    pub(super) fn grown_bytes(&self) -> usize {
        self.block_bytes
            .saturating_mul(8)
            .saturating_add(self.max_line_bytes)
    }
}

impl Default for ReadOptions {
    /// Cuts after any line.
    fn default() -> Self {
        Self {
            block_bytes: Self::BLOCK_BYTES,
            max_line_bytes: Self::MAX_LINE_BYTES,
            boundary: RecordBoundary::new(|_, _| true),
        }
    }
}

/// An input that could not be opened, or of which not even the first byte could be read.
#[derive(Debug, thiserror::Error)]
#[error("{source}; {}", remedy(.source))]
pub struct OpenError {
    /// What the system said.
    #[from]
    pub source: io::Error,
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check the path: it may have been rotated away or be a link to nothing",
        io::ErrorKind::PermissionDenied => "read it as a user who may, or copy it to where you may read it",
        io::ErrorKind::IsADirectory => "it became a folder meanwhile: run again",
        _ => "check that `cat` can read it",
    }
}

/// What became of an input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadSummary {
    /// Bytes read, after decompression, dropped ones among them.
    pub bytes: u64,
    /// Bytes read as stored.
    pub stored_bytes: u64,
    /// Lines longer than [`ReadOptions::max_line_bytes`].
    pub long_lines: u64,
    /// Bytes of those lines that were dropped.
    pub dropped_bytes: u64,
    /// Times that lines which belong together were parted at the bound of [`ReadOptions::block_bytes`].
    pub forced_cuts: u64,
    /// Damage, by offset, a bounded number.
    pub problems: Vec<Problem>,
}
