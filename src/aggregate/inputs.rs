//! What each input held: records by kind, layouts, wrappers, times, and what was not understood.

use super::Merge;
use super::signatures::{earliest, example_text};
use crate::decode::log::{AccessFormat, Component, Level, Reject, WrapperSet};
use crate::decode::output::TextKind;
use crate::units::{Place, Timestamp};
use std::collections::BTreeMap;

/// Samples kept of lines that were not understood.
const SAMPLES: usize = 5;

/// Pods named by line prefixes that are kept per input.
const PODS: usize = 64;

/// One block of an input: what is needed to number lines and to see whether times are in order.
#[derive(Clone, Copy, Debug)]
pub struct BlockSummary {
    /// Lines in it.
    pub lines: u32,
    /// First record time.
    pub first: Option<Timestamp>,
    /// Last record time in order of lines.
    pub last: Option<Timestamp>,
    /// Record times are in order within it.
    pub sorted: bool,
}

/// Sums over the lines of one input.
#[derive(Clone, Debug, Default)]
pub struct InputStats {
    /// Blocks by number.
    pub blocks: BTreeMap<u32, BlockSummary>,
    /// Access rows by layout.
    pub formats: [u64; AccessFormat::ALL.len()],
    /// Envoy component messages.
    pub envoy: u64,
    /// pilot-agent messages.
    pub agent: u64,
    /// Messages of other logs, and lines of saved output that said something, by kind.
    pub others: BTreeMap<TextKind, u64>,
    /// Component messages by level.
    pub levels: [u64; Level::ALL.len()],
    /// Lines by wrappers.
    pub wrappers: BTreeMap<WrapperSet, u64>,
    /// Lines not understood, by reason.
    pub rejects: [u64; Reject::ALL.len()],
    /// The first few of these.
    pub samples: BTreeMap<Place, (Reject, String)>,
    /// Blank lines, further lines of messages, and lines left out by the selection.
    pub skipped: u64,
    /// Records left out by the selection (part of `skipped`).
    pub deselected: u64,
    /// Bytes of lines.
    pub bytes: u64,
    /// Earliest record time.
    pub first: Option<Timestamp>,
    /// Latest record time.
    pub last: Option<Timestamp>,
    /// Pods named by line prefixes.
    pub pods: BTreeMap<String, u64>,
    /// Access rows without a usable time.
    pub undated: u64,
    /// Where documents could not be read any further.
    pub damage: BTreeMap<Place, String>,
}

impl InputStats {
    /// Access rows.
    pub fn access(&self) -> u64 {
        self.formats.iter().sum()
    }

    /// Lines not understood.
    pub fn rejected(&self) -> u64 {
        self.rejects.iter().sum()
    }

    /// Counts a component message.
    pub fn count_component(&mut self, component: Component, level: Level) {
        match component {
            Component::Envoy => self.envoy += 1,
            Component::PilotAgent => self.agent += 1,
        }
        if let Some(count) = self.levels.get_mut(level as usize) {
            *count += 1;
        }
    }

    /// Counts a line that was not understood.
    pub fn reject(&mut self, place: Place, reject: Reject, line: &[u8]) {
        if let Some(count) = self.rejects.get_mut(reject as usize) {
            *count += 1;
        }
        if self.samples.len() < SAMPLES
            || self
                .samples
                .last_key_value()
                .is_some_and(|(last, _)| place < *last)
        {
            self.samples.insert(place, (reject, example_text(line)));
            self.trim();
        }
    }

    /// Notes where a document could not be read any further.
    pub fn damage(&mut self, place: Place, what: String) {
        self.damage.insert(place, what);
        self.trim();
    }

    /// Widens the span of record times.
    #[inline]
    pub fn span(&mut self, from: Timestamp, to: Timestamp) {
        self.first = Some(self.first.map_or(from, |t| t.min(from)));
        self.last = Some(self.last.map_or(to, |t| t.max(to)));
    }

    fn trim(&mut self) {
        while self.samples.len() > SAMPLES {
            self.samples.pop_last();
        }
        while self.damage.len() > SAMPLES {
            self.damage.pop_last();
        }
        while self.pods.len() > PODS {
            self.pods.pop_last();
        }
    }
}

impl Merge for InputStats {
    fn merge(&mut self, other: Self) {
        self.blocks.extend(other.blocks);
        add_each(&mut self.formats, &other.formats);
        self.envoy += other.envoy;
        self.agent += other.agent;
        for (kind, count) in other.others {
            *self.others.entry(kind).or_default() += count;
        }
        add_each(&mut self.levels, &other.levels);
        for (wrapper, count) in other.wrappers {
            *self.wrappers.entry(wrapper).or_default() += count;
        }
        add_each(&mut self.rejects, &other.rejects);
        self.samples.extend(other.samples);
        self.damage.extend(other.damage);
        self.skipped += other.skipped;
        self.deselected += other.deselected;
        self.bytes += other.bytes;
        self.first = earliest(self.first, other.first);
        self.last = self.last.max(other.last);
        self.undated += other.undated;
        for (pod, count) in other.pods {
            *self.pods.entry(pod).or_default() += count;
        }
        self.trim();
    }
}

fn add_each(mine: &mut [u64], theirs: &[u64]) {
    mine.iter_mut().zip(theirs).for_each(|(a, b)| *a += b);
}
