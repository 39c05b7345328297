//! Captures that were rotated into several files, told by their names.
//!
//! `tcpdump -C` puts a number behind the name (`x.pcap`, `x.pcap1`, with `-W` also `x.pcap00`), `tcpdump -G` puts the time
//! into it as the user asked for (`x-20261102_031244.pcap`), and the ring buffers of `dumpcap` both
//! (`x_00001_20261102031244.pcapng`). Files whose names differ in anything else were captured in different places.

use super::{Identity, Source};
use crate::units::{InputId, Timestamp};
use std::collections::BTreeMap;
use std::path::Path;

/// Groups captures into sets: each of one capture point, its files in order of their first packets' times. A file
/// that is not rotated is a set of its own. Sets are in the order of their least input.
///
/// `first_packet_time` is asked for files of sets with several.
pub fn group<'s>(
    captures: impl IntoIterator<Item = &'s Source>,
    first_packet_time: impl Fn(&Source) -> Option<Timestamp>,
) -> Vec<Vec<InputId>> {
    let mut series: BTreeMap<Series<'s>, Vec<(Member, &'s Source)>> = BTreeMap::new();
    let mut groups: Vec<Vec<InputId>> = Vec::new();
    for source in captures {
        match Series::of(source) {
            Some((key, member)) => series.entry(key).or_default().push((member, source)),
            None => groups.push(vec![source.id]),
        }
    }
    for mut members in series.into_values() {
        members.sort_by(|a, b| (&a.0, a.1.id).cmp(&(&b.0, b.1.id)));
        let distinct = members.windows(2).all(|pair| match pair {
            [one, other] => one.0 != other.0,
            _ => true,
        });
        if members.len() < 2 || !distinct {
            groups.extend(members.iter().map(|(_, source)| vec![source.id]));
            continue;
        }
        let mut timed: Vec<(Option<Timestamp>, Member, InputId)> = members
            .into_iter()
            .map(|(member, source)| (first_packet_time(source), member, source.id))
            .collect();
        // Those without a time (empty ones, most likely) stand at the end.
        timed.sort_by(|a, b| (a.0.is_none(), a).cmp(&(b.0.is_none(), b)));
        groups.push(timed.into_iter().map(|(_, _, id)| id).collect());
    }
    groups.sort_by_key(|group| group.iter().min().copied());
    groups
}

/// What the files of a set have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Series<'s> {
    folder: Option<&'s Path>,
    pod: Option<&'s str>,
    namespace: Option<&'s str>,
    interface: Option<&'s str>,
    /// The name without its times and numbers.
    pattern: String,
}

/// What a file of a set has of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Member {
    times: String,
    number: Option<u64>,
}

impl<'s> Series<'s> {
    fn of(source: &'s Source) -> Option<(Self, Member)> {
        let name = source.open_path.file_name()?.to_str()?;
        let (pattern, member) = parse(name)?;
        let Identity {
            pod,
            namespace,
            interface,
            ..
        } = &source.identity;
        let series = Self {
            folder: source.open_path.parent(),
            pod: pod.as_deref(),
            namespace: namespace.as_deref(),
            interface: interface.as_deref(),
            pattern,
        };
        Some((series, member))
    }
}

/// Endings of the names of captures.
pub(super) const CAPTURE_ENDINGS: [&str; 5] = [".pcap", ".pcapng", ".cap", ".dump", ".dmp"];

const COMPRESSION_ENDINGS: [&str; 3] = [".gz", ".zst", ".zstd"];

/// A capture's name without compression, ending and the number behind the ending: `x.pcap12.gz` is `x`, `.pcap`, `12`.
pub(super) fn split_name(name: &str) -> Option<(&str, &'static str, &str)> {
    let name = COMPRESSION_ENDINGS
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .unwrap_or(name);
    let unnumbered = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = name.strip_prefix(unnumbered)?;
    CAPTURE_ENDINGS
        .iter()
        .find_map(|ending| Some((unnumbered.strip_suffix(ending)?, *ending, number)))
}

fn parse(name: &str) -> Option<(String, Member)> {
    let (stem, ending, number) = split_name(name)?;
    let (pattern, times) = without_times(stem);
    let member = Member {
        times,
        number: number.parse().ok(),
    };
    Some((pattern + ending, member))
}

/// Fewer digits are no time: `%H%M%S` has six.
const TIME_DIGITS_MIN: usize = 6;

/// Puts `#` for runs of digits that can be a time, with the separators that are used in times; and the runs.
pub(super) fn without_times(stem: &str) -> (String, String) {
    let mut pattern = String::new();
    let mut times = String::new();
    let mut rest = stem;
    let mut after_word = false;
    while let Some(first) = rest.chars().next() {
        let run = if after_word { "" } else { time_run(rest) };
        if run.is_empty() {
            pattern.push(first);
            after_word = first.is_alphanumeric();
            rest = rest.strip_prefix(first).unwrap_or_default();
        } else {
            pattern.push('#');
            times.push_str(run);
            times.push(' ');
            rest = rest.strip_prefix(run).unwrap_or_default();
            after_word = true;
        }
    }
    (pattern, times)
}

/// The digits, and separators between them, at the head of `text`; empty if they are no time or go on as a word.
fn time_run(text: &str) -> &str {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && !matches!(c, '-' | '_' | ':' | 'T' | '+'))
        .unwrap_or(text.len());
    let (run, rest) = text.split_at(end);
    let run = run.trim_end_matches(|c: char| !c.is_ascii_digit());
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    let after = text.strip_prefix(run).unwrap_or(rest);
    let as_word = after.starts_with(|c: char| c.is_alphanumeric() && c != 'Z');
    if digits >= TIME_DIGITS_MIN && run.starts_with(|c: char| c.is_ascii_digit()) && !as_word {
        run
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::identity::identify;

    fn sources(names: &[&str]) -> Vec<Source> {
        (0..)
            .zip(names)
            .map(|(id, name)| Source {
                id: InputId(id),
                open_path: name.into(),
                display_path: (*name).to_owned(),
                size_bytes: None,
                identity: identify(Path::new(name), 2),
                member: None,
                listing: None,
            })
            .collect()
    }

    fn grouped(names: &[&str], times: &[Option<i64>]) -> Vec<Vec<u32>> {
        let time = |source: &Source| {
            let index = usize::try_from(source.id.0).unwrap();
            times.get(index).copied().flatten().map(Timestamp)
        };
        group(&sources(names), time)
            .into_iter()
            .map(|group| group.into_iter().map(|id| id.0).collect())
            .collect()
    }

    #[test]
    fn sets() {
        let one_set: &[&[&str]] = &[
            &["x.pcap", "x.pcap1", "x.pcap2", "x.pcap10"],
            &["x.pcap00", "x.pcap01.gz", "x.pcap02"],
            &["ratings-v1.eth0.pcap", "ratings-v1.eth0.pcap1"],
            &["x-20261102_031244.pcap", "x-20261102_031344.pcap.gz"],
            &["x-2026-11-02T03:12:44.pcap", "x-2026-11-02T03:13:44.pcap"],
            &["x-2026-11-02T03:12:44Z.pcap", "x-2026-11-02T03:13:44Z.pcap"],
            &["trace-1793589164.pcap", "trace-1793589224.pcap"],
            &["20261102031244.eth0.pcap", "20261102031344.eth0.pcap"],
            &["x_00001_20261102031244.pcapng", "x_00002_20261102031344.pcapng"],
            &["x_20261102031244_00001.pcapng", "x_20261102031344_00002.pcapng"],
            &["a/x-031244.pcap", "a/x-031244.pcap1", "a/x-031344.pcap"],
        ];
        for names in one_set {
            let times: Vec<_> = (0..100).map(Some).collect();
            let all: Vec<u32> = (0..).take(names.len()).collect();
            assert_eq!(grouped(names, &times), [all], "{names:?}");
        }
    }

    #[test]
    fn no_sets() {
        let apart: &[&[&str]] = &[
            &["ratings-v1.eth0.pcap", "ratings-v2.eth0.pcap"],
            &["ratings-v1.eth0.pcap", "ratings-v1.lo.pcap"],
            &["eth0.pcap", "eth1.pcap"],
            &["a/x.pcap", "b/x.pcap1"],
            &["x.pcap", "y.pcap1"],
            &["x.pcap", "x.pcap.gz"],
            &["10.0.0.1.pcap", "10.0.0.2.pcap"],
            &["node-1.pcap", "node-2.pcap"],
            &["x-6d8c9f7b5d.pcap", "x-7d8c9f7b5d.pcap"],
            &["x", "x1"],
        ];
        for names in apart {
            let each: Vec<Vec<u32>> = (0..).take(names.len()).map(|id| vec![id]).collect();
            assert_eq!(grouped(names, &[]), each, "{names:?}");
        }
    }

    #[test]
    fn order_is_that_of_the_first_packets() {
        let names = ["a.log", "x.pcap0", "x.pcap1", "x.pcap2", "x.pcap3", "y.pcap"];
        let times = [None, Some(30), None, Some(10), Some(20), None];
        assert_eq!(grouped(&names, &times), [vec![0], vec![3, 4, 1, 2], vec![5]]);
    }
}
