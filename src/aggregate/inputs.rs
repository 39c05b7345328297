//! What each input held: records by kind, layouts, wrappers, times, and what was not understood.

use super::Merge;
use super::series::Series;
use super::signatures::{earliest, example_text};
use crate::decode::log::{AccessFormat, Component, Level, Reject, WrapperSet};
use crate::decode::output::TextKind;
use crate::units::{Place, Timestamp};
use std::collections::BTreeMap;

/// Samples kept of lines that were not understood.
const SAMPLES: usize = 5;

/// Shorter spans without a record are not spoken of.
const MIN_SILENCE_S: i64 = 30;

/// How many times the usual distance between records a span without one must have: where they come at random, one span
/// in three million is so long.
const UNUSUAL: i64 = 15;

/// One distance in so many may be odd.
const ODD_PART: usize = 20;

/// Distances below which nothing is usual.
const MIN_DISTANCES: usize = 19;

/// Error lines of an application kept per input.
const ERRORS: usize = 3;

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

/// What an application wrote. It says nothing of the mesh by itself.
#[derive(Clone, Debug, Default)]
pub struct ApplicationLines {
    /// Lines.
    pub lines: u64,
    /// Lines that speak of an error.
    pub errors: u64,
    /// Time of the earliest of these.
    pub first: Option<Timestamp>,
    /// Time of the latest of these.
    pub last: Option<Timestamp>,
    /// These over time.
    pub over_time: Series<u64>,
    /// The first few of these.
    pub samples: BTreeMap<Place, String>,
}

impl ApplicationLines {
    /// Counts a line.
    pub fn count(&mut self, place: Place, line: &[u8], time: Option<Timestamp>, error: bool) {
        self.lines += 1;
        if !error {
            return;
        }
        self.errors += 1;
        self.first = earliest(self.first, time);
        self.last = self.last.max(time);
        if let Some(time) = time {
            self.over_time.add(time.secs(), 1);
        }
        let wanted = self.samples.len() < ERRORS
            || self
                .samples
                .last_key_value()
                .is_some_and(|(last, _)| place < *last);
        if wanted {
            self.samples.insert(place, example_text(line));
            self.trim();
        }
    }

    fn trim(&mut self) {
        while self.samples.len() > ERRORS {
            self.samples.pop_last();
        }
    }
}

impl Merge for ApplicationLines {
    fn merge(&mut self, other: Self) {
        self.lines += other.lines;
        self.errors += other.errors;
        self.first = earliest(self.first, other.first);
        self.last = self.last.max(other.last);
        self.over_time.merge(other.over_time);
        self.samples.extend(other.samples);
        self.trim();
    }
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
    /// Lines of applications' own logs by pod, as the path or who collected them says it; under no name those of more pods than are
    /// kept.
    pub applications: BTreeMap<String, ApplicationLines>,
    /// Component messages by level.
    pub levels: [u64; Level::ALL.len()],
    /// Lines by wrappers.
    pub wrappers: BTreeMap<WrapperSet, u64>,
    /// Lines not understood, by reason.
    pub rejects: [u64; Reject::ALL.len()],
    /// The first few of these.
    pub samples: BTreeMap<Place, (Reject, String)>,
    /// Blank lines, further lines of messages, and lines left out by the selection or since they stand in another input too.
    pub skipped: u64,
    /// Lines that stand in another input too (part of `skipped`).
    pub repeated: u64,
    /// Records left out by the selection (part of `skipped`).
    pub deselected: u64,
    /// Access rows left out by a condition (part of `skipped`).
    pub unmet: u64,
    /// Bytes of lines.
    pub bytes: u64,
    /// Earliest record time.
    pub first: Option<Timestamp>,
    /// Latest record time.
    pub last: Option<Timestamp>,
    /// Pods named by line prefixes.
    pub pods: BTreeMap<String, u64>,
    /// Namespaces of these, where who collected their lines named them.
    pub namespaces: BTreeMap<String, String>,
    /// The proxy that wrote it and its namespace, where its path says both.
    pub placed: Option<(String, String)>,
    /// Access rows without a usable time.
    pub undated: u64,
    /// Records by the time at which they were written.
    pub written: Series<u64>,
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

    /// Notes the namespace of a pod; of two pods of one name that of the first by name.
    pub fn place(&mut self, pod: String, namespace: String) {
        let held = self.namespaces.entry(pod).or_insert_with(|| namespace.clone());
        if namespace < *held {
            *held = namespace;
        }
    }

    /// The lines of one application.
    pub fn application_of(&mut self, pod: &str) -> &mut ApplicationLines {
        if !self.applications.contains_key(pod) {
            self.applications
                .insert(pod.to_owned(), ApplicationLines::default());
            self.trim_applications();
        }
        let is_kept = self.applications.contains_key(pod);
        let pod = if is_kept { pod } else { "" };
        self.applications.entry(pod.to_owned()).or_default()
    }

    fn trim_applications(&mut self) {
        let named = |all: &BTreeMap<String, ApplicationLines>| all.len() - usize::from(all.contains_key(""));
        while named(&self.applications) > PODS
            && let Some((_, lines)) = self.applications.pop_last()
        {
            self.applications.entry(String::new()).or_default().merge(lines);
        }
    }

    /// What all applications in it wrote.
    pub fn application(&self) -> ApplicationLines {
        let mut all = ApplicationLines::default();
        for lines in self.applications.values() {
            all.merge(lines.clone());
        }
        all
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

    /// Spans in which nothing was written although records came often before and after, in order of time: from the first
    /// second without a record to the next with one, as exactly as the series has it.
    pub fn silences(&self) -> Vec<(Timestamp, Timestamp)> {
        let starts: Vec<i64> = self.written.iter().map(|(start, _)| start).collect();
        let pairs = || starts.iter().zip(starts.iter().skip(1));
        let mut distances: Vec<i64> = pairs().map(|(from, to)| to.saturating_sub(*from)).collect();
        distances.sort_unstable();
        // The longest are what is looked for, or lead to a stray date: they must not decide what is usual.
        distances.truncate(distances.len().saturating_sub(distances.len().div_ceil(ODD_PART)));
        if distances.len() < MIN_DISTANCES {
            return Vec::new();
        }
        let all = distances
            .iter()
            .fold(0, |sum: i64, distance| sum.saturating_add(*distance));
        let usual = all / i64::try_from(distances.len()).unwrap_or(i64::MAX).max(1);
        pairs()
            .filter(|(from, to)| {
                let silent = to.saturating_sub(**from).saturating_sub(self.written.width_s());
                silent >= MIN_SILENCE_S && silent / UNUSUAL >= usual.max(1)
            })
            .map(|(from, to)| {
                let end = from.saturating_add(self.written.width_s());
                (Timestamp::from_secs(end), Timestamp::from_secs(*to))
            })
            .collect()
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
        self.trim_applications();
        while self.namespaces.len() > PODS {
            self.namespaces.pop_last();
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
        for (pod, lines) in other.applications {
            self.applications.entry(pod).or_default().merge(lines);
        }
        add_each(&mut self.levels, &other.levels);
        for (wrapper, count) in other.wrappers {
            *self.wrappers.entry(wrapper).or_default() += count;
        }
        add_each(&mut self.rejects, &other.rejects);
        self.samples.extend(other.samples);
        self.damage.extend(other.damage);
        self.skipped += other.skipped;
        self.repeated += other.repeated;
        self.deselected += other.deselected;
        self.unmet += other.unmet;
        self.bytes += other.bytes;
        self.first = earliest(self.first, other.first);
        self.last = self.last.max(other.last);
        self.undated += other.undated;
        self.written.merge(other.written);
        for (pod, count) in other.pods {
            *self.pods.entry(pod).or_default() += count;
        }
        for (pod, namespace) in other.namespaces {
            self.place(pod, namespace);
        }
        // One path says it: all parts of an input say the same.
        self.placed = self.placed.take().or(other.placed);
        self.trim();
    }
}

fn add_each(mine: &mut [u64], theirs: &[u64]) {
    mine.iter_mut().zip(theirs).for_each(|(a, b)| *a += b);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silences(seconds: impl IntoIterator<Item = i64>) -> Vec<(i64, i64)> {
        let mut stats = InputStats::default();
        for second in seconds {
            stats.written.add(second, 1);
        }
        let spans = stats.silences().into_iter();
        spans.map(|(from, to)| (from.secs(), to.secs())).collect()
    }

    #[test]
    fn a_log_that_stops_for_a_while_is_silent() {
        assert_eq!(silences((0..100).chain(140..200)), [(100, 140)]);
        assert_eq!(
            silences((0..60).chain(100..130).chain(170..200)),
            [(60, 100), (130, 170)]
        );
    }

    #[test]
    fn what_is_seldom_is_not_silent() {
        assert_eq!(silences([]), []);
        assert_eq!(silences([7]), []);
        assert_eq!(silences([0, 1, 2, 1000]), [], "too few to say what is usual");
        assert_eq!(silences((0..50).map(|minute| minute * 60)), []);
        assert_eq!(silences((0..100).chain(120..200)), [], "20 s are too short");
        let every_ten_minutes = (0..20).flat_map(|run| run * 600..run * 600 + 5);
        assert_eq!(silences(every_ten_minutes), []);
    }

    #[test]
    fn a_stray_date_is_no_long_silence_for_the_rest() {
        let spans = silences(
            [0].into_iter()
                .chain(1_700_000_000..1_700_000_100)
                .chain(1_700_000_150..1_700_000_200),
        );
        assert_eq!(spans.last(), Some(&(1_700_000_100, 1_700_000_150)));
    }
}
