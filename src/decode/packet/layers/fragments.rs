//! Fragments of datagrams until they are whole, within a bound.

use super::FragmentSummary;
use crate::decode::packet::Address;
use crate::units::Timestamp;
use std::collections::{HashMap, VecDeque};

/// Datagrams that wait for fragments at a time; the oldest gives way.
pub const MAX_FRAGMENTED: usize = 1024;
/// Bytes of all datagrams that wait; the oldest give way.
pub const MAX_FRAGMENT_BYTES: usize = 4 << 20;
/// Separate pieces of one datagram that wait for what is between them.
pub const MAX_PIECES: usize = 64;
/// How long fragments wait for the others, in time of the capture: what Linux does (`ipfrag_time`).
pub const FRAGMENT_TIMEOUT_NS: i64 = 30_000_000_000;

/// Longest datagram: what the length fields allow.
const MAX_DATAGRAM_BYTES: usize = 65_535;

/// What fragments of one datagram have in common. A capture on several interfaces has each of them more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct DatagramKey {
    pub(super) source: Address,
    pub(super) destination: Address,
    pub(super) identification: u32,
    /// Of IPv4 the protocol; of IPv6 that of the fragment header, since the next one may differ.
    pub(super) protocol: u8,
    pub(super) interface: u32,
}

/// A fragment's header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// Protocol of what was parted.
    pub(super) protocol: u8,
    pub(super) offset_bytes: u32,
    pub(super) more: bool,
}

/// What became of a fragment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// Others are missing.
    Waiting,
    /// It was the last one.
    Whole { protocol: u8, bytes: Vec<u8> },
    /// It cannot be used.
    LeftOut,
}

#[derive(Debug)]
struct Datagram {
    /// When it was begun, among all.
    number: u64,
    began: Option<Timestamp>,
    /// Protocol that the first piece states.
    protocol: Option<u8>,
    /// Length, once the last piece is there.
    total_bytes: Option<usize>,
    bytes: Vec<u8>,
    /// What is there, as ranges in order that do not touch.
    there: Vec<(usize, usize)>,
}

/// The datagrams that wait.
#[derive(Debug, Default)]
pub(super) struct FragmentTable {
    waiting: HashMap<DatagramKey, Datagram, rapidhash::fast::RandomState>,
    /// In the order in which they were begun; some are over.
    order: VecDeque<(u64, DatagramKey)>,
    begun: u64,
    bytes: usize,
    given_up: u64,
}

impl FragmentTable {
    /// Adds a fragment with its bytes.
    pub(super) fn add(
        &mut self,
        key: DatagramKey,
        piece: Piece,
        bytes: &[u8],
        time: Option<Timestamp>,
        summary: &mut FragmentSummary,
    ) -> Added {
        let start = piece.offset_bytes as usize;
        let end = start.saturating_add(bytes.len());
        let in_words = !piece.more || bytes.len().is_multiple_of(8);
        if bytes.is_empty() || end > MAX_DATAGRAM_BYTES || !in_words {
            return Added::LeftOut;
        }
        if self
            .waiting
            .get(&key)
            .is_some_and(|datagram| datagram.is_stale(time))
        {
            self.give_up(&key);
        }
        let begun = self.begun;
        let datagram = self
            .waiting
            .entry(key)
            .or_insert_with(|| Datagram::new(begun, time));
        if datagram.number == begun {
            self.begun = begun.saturating_add(1);
            self.order.push_back((begun, key));
        }
        let held_before = datagram.bytes.len();
        if !datagram.add(piece, start, bytes, summary) {
            return Added::LeftOut;
        }
        self.bytes = self
            .bytes
            .saturating_add(datagram.bytes.len())
            .saturating_sub(held_before);
        if let Some(protocol) = datagram.whole() {
            let bytes = self
                .remove(&key)
                .map(|datagram| datagram.bytes)
                .unwrap_or_default();
            return Added::Whole { protocol, bytes };
        }
        self.make_room();
        Added::Waiting
    }

    /// Datagrams that never became whole.
    pub(super) fn incomplete(&self) -> u64 {
        self.given_up.saturating_add(self.waiting.len() as u64)
    }

    fn remove(&mut self, key: &DatagramKey) -> Option<Datagram> {
        let datagram = self.waiting.remove(key)?;
        self.bytes = self.bytes.saturating_sub(datagram.bytes.len());
        Some(datagram)
    }

    fn give_up(&mut self, key: &DatagramKey) {
        if self.remove(key).is_some() {
            self.given_up = self.given_up.saturating_add(1);
        }
    }

    fn make_room(&mut self) {
        while self.waiting.len() > MAX_FRAGMENTED || self.bytes > MAX_FRAGMENT_BYTES {
            let Some((number, key)) = self.order.pop_front() else {
                return;
            };
            if self
                .waiting
                .get(&key)
                .is_some_and(|datagram| datagram.number == number)
            {
                self.give_up(&key);
            }
        }
        if self.order.len() > MAX_FRAGMENTED.saturating_mul(4) {
            let waiting = &self.waiting;
            self.order.retain(|(number, key)| {
                waiting
                    .get(key)
                    .is_some_and(|datagram| datagram.number == *number)
            });
        }
    }
}

impl Datagram {
    fn new(number: u64, began: Option<Timestamp>) -> Self {
        Self {
            number,
            began,
            protocol: None,
            total_bytes: None,
            bytes: Vec::new(),
            there: Vec::new(),
        }
    }

    fn is_stale(&self, now: Option<Timestamp>) -> bool {
        match (self.began, now) {
            (Some(began), Some(now)) => now.0.saturating_sub(began.0).saturating_abs() > FRAGMENT_TIMEOUT_NS,
            _ => false,
        }
    }

    /// The protocol, if nothing is missing.
    fn whole(&self) -> Option<u8> {
        let whole = self.total_bytes.is_some_and(|total| self.there == [(0, total)]);
        self.protocol.filter(|_| whole)
    }

    /// Adds a piece; false if it contradicts what is there or there are too many pieces. Of bytes that come twice the
    /// first ones stay.
    fn add(&mut self, piece: Piece, start: usize, bytes: &[u8], summary: &mut FragmentSummary) -> bool {
        let end = start.saturating_add(bytes.len());
        let known_end = self.there.last().map_or(0, |range| range.1);
        match self.total_bytes {
            Some(total) if end > total || (!piece.more && end != total) => return false,
            None if !piece.more && known_end > end => return false,
            _ => {}
        }
        let first = self.there.partition_point(|range| range.1 < start);
        let last = self.there.partition_point(|range| range.0 <= end);
        let touched = self.there.get(first..last).unwrap_or_default();
        if touched.is_empty() && self.there.len() >= MAX_PIECES {
            return false;
        }
        if !piece.more {
            self.total_bytes = Some(end);
        }
        if start == 0 && self.protocol.is_none() {
            self.protocol = Some(piece.protocol);
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        let mut at = start;
        let mut new_bytes = 0_usize;
        for &(from, to) in touched.iter().chain([&(end, end)]) {
            let until = from.clamp(at, end);
            let part = bytes.get(at.saturating_sub(start)..until.saturating_sub(start));
            if let (Some(part), Some(room)) = (part, self.bytes.get_mut(at..until)) {
                room.copy_from_slice(part);
                new_bytes = new_bytes.saturating_add(part.len());
            }
            at = at.max(to).min(end);
        }
        let again = bytes.len().saturating_sub(new_bytes) as u64;
        summary.overlapping_bytes = summary.overlapping_bytes.saturating_add(again);
        let joined = touched.iter().fold((start, end), |joined, range| {
            (joined.0.min(range.0), joined.1.max(range.1))
        });
        self.there.splice(first..last, [joined]);
        true
    }
}

#[cfg(test)]
mod tests;
