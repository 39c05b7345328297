//! The slowest requests, with their places.

use super::Merge;
use super::class::Reporter;
use crate::units::{Place, Timestamp};
use std::cmp::Reverse;

/// Requests kept.
pub const LIMIT: usize = 20;

/// A slow request. Orders by duration (longest first), then place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slow {
    /// Longest first.
    pub duration_ms: Reverse<u64>,
    /// Where.
    pub place: Place,
    /// Upstream service time.
    pub upstream_ms: Option<u64>,
    /// When it began.
    pub start: Option<Timestamp>,
    /// Destination.
    pub destination: String,
    /// Who reports.
    pub reporter: Reporter,
    /// Method and path without its query.
    pub request: String,
    /// Status.
    pub code: u16,
    /// Flags.
    pub flags: String,
}

/// The [`LIMIT`] slowest, in order.
#[derive(Clone, Debug, Default)]
pub struct Slowest(Vec<Slow>);

impl Slowest {
    /// True if a request of this duration would be kept (or might, on equal duration).
    #[inline]
    pub fn admits(&self, duration_ms: u64) -> bool {
        self.0.len() < LIMIT
            || self
                .0
                .last()
                .is_some_and(|last| duration_ms >= last.duration_ms.0)
    }

    /// Adds a request.
    pub fn add(&mut self, slow: Slow) {
        let at = self.0.partition_point(|s| *s < slow);
        self.0.insert(at, slow);
        self.0.truncate(LIMIT);
    }

    /// Slowest first.
    pub fn iter(&self) -> impl Iterator<Item = &Slow> {
        self.0.iter()
    }
}

impl Merge for Slowest {
    fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
        self.0.sort_unstable();
        self.0.truncate(LIMIT);
    }
}
