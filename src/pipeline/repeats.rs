//! Logs that repeat each other: one container's log saved twice, or rotated while it was copied.
//!
//! The later file begins with lines with which the earlier one ends, or one is the other's beginning or lies within it. What both have,
//! byte for byte, is counted once: [`find`] tells how far an input repeats another, before anything is counted. Only inputs whose paths
//! name the same container are held against each other, and only where their times meet: then the earlier one is read up to where the
//! later one begins in it, and on from there with it. Inputs whose paths name no pod are compared where they begin with the same line.
//!
//! Captures are compared as whole files: one that is another's copy is left out.
//!
//! Not found: what stands in compressed tar archives (they are read in order), in pipes, or in another wrapping.

use super::{HEAD_BYTES, read_options};
use crate::decode::log::{Content, Layouts, LogDecoder};
use crate::decode::output;
use crate::input::{BlockReader, ByteReader, Compression, Identity, Source, SourceKind};
use crate::units::Timestamp;
use memchr::memmem::Finder;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// How far an input repeats another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Repeat {
    /// The other one, by its place among the sources.
    pub(crate) of: usize,
    /// So many decompressed bytes at the beginning stand there too; [`u64::MAX`] for all.
    pub(crate) bytes: u64,
}

/// Shorter lines may stand in two logs by chance. The shortest that carry a time and say something have some 40 bytes.
const LINE_BYTES_MIN: usize = 32;

/// An input is held against so many before it, in order of their first times: rotation and saving again make neighbours.
const NEIGHBOURS: usize = 4;

/// Read at once.
const STEP_BYTES: usize = 512 << 10;

/// Of each source how far it repeats another, if it does; rows may be of these layouts.
pub(crate) fn find(sources: &[Source], layouts: &Layouts) -> Vec<Option<Repeat>> {
    let mut repeats = vec![None; sources.len()];
    let mut groups: BTreeMap<[Option<&str>; 3], Vec<usize>> = BTreeMap::new();
    for (index, source) in sources
        .iter()
        .enumerate()
        .filter(|(_, source)| can_be_read_twice(source))
    {
        let Identity {
            pod,
            namespace,
            container,
            interface: None,
            ..
        } = &source.identity
        else {
            continue;
        };
        let key = [pod.as_deref(), namespace.as_deref(), container.as_deref()];
        groups.entry(key).or_default().push(index);
    }
    for group in groups.into_values().filter(|group| group.len() > 1) {
        let logs = group
            .into_iter()
            .filter_map(|index| Log::of(sources.get(index)?, index, layouts));
        let mut logs: Vec<Log<'_>> = logs.collect();
        logs.sort_by_key(|log| (log.first, log.index));
        for (place, later) in logs.iter().enumerate() {
            for earlier in logs.iter().take(place).rev().take(NEIGHBOURS) {
                note(&mut repeats, earlier, later);
            }
        }
    }
    repeats
}

/// Of each of these captures that is a copy of another file which one; kept is the one whose path names a pod, else the first.
pub(super) fn copied_captures(sources: &[Source], captures: &[usize]) -> BTreeMap<usize, usize> {
    let mut by_size: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for index in captures {
        let source = sources.get(*index);
        let file = source.filter(|source| can_be_read_twice(source) && source.member.is_none());
        if let Some(size) = file.and_then(|source| source.size_bytes) {
            by_size.entry(size).or_default().push(*index);
        }
    }
    let mut copies = BTreeMap::new();
    for mut group in by_size.into_values().filter(|group| group.len() > 1) {
        let names_pod = |index: usize| {
            sources
                .get(index)
                .is_some_and(|source| source.identity.pod.is_some())
        };
        group.sort_by_key(|index| (!names_pod(*index), *index));
        let mut kept: Vec<usize> = Vec::new();
        for index in group {
            let nearest = kept.iter().rev().take(NEIGHBOURS).copied();
            let mut same = nearest.filter(|other| is_same_file(sources, *other, index));
            match same.next() {
                Some(other) => drop(copies.insert(index, other)),
                None => kept.push(index),
            }
        }
    }
    copies
}

fn is_same_file(sources: &[Source], one: usize, other: usize) -> bool {
    let open = |index: usize| File::open(&sources.get(index)?.open_path).ok();
    let (Some(one), Some(other)) = (open(one), open(other)) else {
        return false;
    };
    let (mut one, mut other) = (BufReader::new(one), BufReader::new(other));
    loop {
        let (Ok(left), Ok(right)) = (one.fill_buf(), other.fill_buf()) else {
            return false;
        };
        let common = left.len().min(right.len());
        if common == 0 {
            return left.len() == right.len();
        }
        if left.get(..common) != right.get(..common) {
            return false;
        }
        one.consume(common);
        other.consume(common);
    }
}

/// False for pipes and standard input.
pub(super) fn can_be_opened_again(source: &Source) -> bool {
    source.size_bytes.is_some() && source.open_path != Path::new("-")
}

fn can_be_read_twice(source: &Source) -> bool {
    source.size_bytes.is_some_and(|size| size > 0)
        && can_be_opened_again(source)
        && source.listing.is_none()
        && source.member.as_ref().is_none_or(|member| !member.is_in_order())
}

/// Notes what of two logs stands in both.
fn note(repeats: &mut [Option<Repeat>], earlier: &Log<'_>, later: &Log<'_>) {
    if !earlier.may_reach(later) {
        return;
    }
    let Some(bytes) = later.repeated_in(earlier) else {
        return;
    };
    if let Some(held) = repeats.get_mut(later.index)
        && held.is_none_or(|repeat| repeat.bytes < bytes)
    {
        *held = Some(Repeat {
            of: earlier.index,
            bytes,
        });
    }
}

/// What is known of a log without reading it.
struct Log<'s> {
    source: &'s Source,
    layouts: &'s Layouts,
    index: usize,
    first_line: Vec<u8>,
    /// When its first record was written: rows are written when they end, so these times rise from line to line.
    first: Option<Timestamp>,
    /// When its last one was, where that is known: at once of a file that is not compressed, of others once they were read.
    last: Cell<Option<Timestamp>>,
}

impl<'s> Log<'s> {
    fn of(source: &'s Source, index: usize, layouts: &'s Layouts) -> Option<Self> {
        let mut reader = BlockReader::open(source, &read_options(HEAD_BYTES, layouts)).ok()?;
        if reader.kind() != SourceKind::Text {
            return None;
        }
        let text = output::recognise(reader.head());
        if text.form.is_some() || !text.kind.is_log() {
            return None;
        }
        let is_plain = reader.compression() == Compression::None && source.member.is_none();
        let block = reader.next_block(Vec::new())?;
        let first_line = block.data.split_inclusive(|byte| *byte == b'\n').next()?;
        if first_line.len() < LINE_BYTES_MIN || !first_line.ends_with(b"\n") {
            return None;
        }
        let first = times(&block.data, layouts).next();
        Some(Self {
            source,
            layouts,
            index,
            first_line: first_line.to_vec(),
            first,
            last: Cell::new(if is_plain {
                last_time(source, layouts)
            } else {
                None
            }),
        })
    }

    /// False where its last line is older than the other's first one, or a container runtime cut both. Where nothing says that one
    /// container wrote both, they are copies or have nothing to do with each other.
    fn may_reach(&self, later: &Self) -> bool {
        if self.source.identity.pod.is_none() {
            return self.first_line == later.first_line;
        }
        let is_over = matches!((self.last.get(), later.first), (Some(last), Some(first)) if last < first);
        let is_cut = || {
            is_rotated_by_runtime(&self.source.open_path)
                && self.source.open_path.parent() == later.source.open_path.parent()
        };
        !is_over && !is_cut()
    }

    /// So many bytes at the beginning of this log stand in the other one; all for a log that lies within it.
    fn repeated_in(&self, other: &Self) -> Option<u64> {
        let mut theirs = Bytes::open(other.source)?;
        if theirs.seek_line(&self.first_line).is_none() {
            other.last.set(
                other
                    .last
                    .get()
                    .or_else(|| times(theirs.tail(), other.layouts).max()),
            );
            return None;
        }
        let mut mine = Bytes::open(self.source)?;
        let mut same = 0;
        let mut whole_lines = 0;
        loop {
            let (left, right) = (mine.next(), theirs.next());
            if left.is_empty() {
                return Some(u64::MAX);
            }
            if right.is_empty() {
                return (whole_lines > 0).then_some(whole_lines);
            }
            let common = left.len().min(right.len());
            let (left, right) = (left.get(..common)?, right.get(..common)?);
            if left != right {
                return None;
            }
            if let Some(end) = memchr::memrchr(b'\n', left) {
                whole_lines = same + end as u64 + 1;
            }
            same += common as u64;
            mine.take(common);
            theirs.take(common);
        }
    }
}

/// The decompressed bytes of an input, some at a time.
struct Bytes {
    reader: ByteReader,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Bytes {
    fn open(source: &Source) -> Option<Self> {
        Some(Self {
            reader: ByteReader::open(source).ok()?,
            buffer: Vec::new(),
            start: 0,
            end: 0,
        })
    }

    /// What comes next; empty at the end.
    fn next(&mut self) -> &[u8] {
        if self.start == self.end {
            self.end = self.reader.fill(&mut self.buffer, 0, STEP_BYTES);
            self.start = 0;
        }
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    fn take(&mut self, bytes: usize) {
        self.start = self.start.saturating_add(bytes).min(self.end);
    }

    /// The last bytes, after all were read.
    fn tail(&self) -> &[u8] {
        let held = self.buffer.get(..self.end).unwrap_or_default();
        held.get(self.end.saturating_sub(HEAD_BYTES)..)
            .unwrap_or_default()
    }

    /// Goes to the first line that is as this one.
    fn seek_line(&mut self, line: &[u8]) -> Option<()> {
        let finder = Finder::new(line);
        let mut before = b'\n';
        loop {
            let held = self.end - self.start;
            self.buffer.copy_within(self.start..self.end, 0);
            self.end = self.reader.fill(&mut self.buffer, held, held + STEP_BYTES);
            self.start = 0;
            let data = self.buffer.get(..self.end).unwrap_or_default();
            let begins = |at: &usize| match at.checked_sub(1) {
                Some(previous) => data.get(previous) == Some(&b'\n'),
                None => before == b'\n',
            };
            if let Some(at) = finder.find_iter(data).find(begins) {
                self.start = at;
                return Some(());
            }
            if self.end == held {
                return None;
            }
            // The line may have begun in what was read, and it may be the end.
            let seen = self.end.saturating_sub(line.len().max(HEAD_BYTES));
            if let Some(byte) = seen.checked_sub(1).and_then(|at| data.get(at)) {
                before = *byte;
            }
            self.start = seen;
        }
    }
}

/// When the records of a block were written.
fn times(data: &[u8], layouts: &Layouts) -> impl Iterator<Item = Timestamp> {
    let mut times = Vec::new();
    LogDecoder::with_layouts(layouts).decode_block(data, &mut |_, line| {
        times.extend(match &line.content {
            Content::Access(row) => row
                .start
                .map(|start| start.plus_millis(row.duration_ms.unwrap_or(0))),
            Content::Component(message) => message.time,
            _ => None,
        });
    });
    times.into_iter()
}

/// When the last records of a file that is not compressed were written.
fn last_time(source: &Source, layouts: &Layouts) -> Option<Timestamp> {
    let mut file = File::open(&source.open_path).ok()?;
    let size = file.metadata().ok()?.len();
    let from = size.saturating_sub(HEAD_BYTES as u64);
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut tail = Vec::new();
    file.take(HEAD_BYTES as u64).read_to_end(&mut tail).ok()?;
    times(&tail, layouts).max()
}

/// True for a file that a container runtime rotated (`0.log.20261122-170331`, Kubernetes "Logging Architecture"): it lets no line stand
/// in two files.
fn is_rotated_by_runtime(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let name = name.strip_suffix(".gz").unwrap_or(name);
    name.rsplit_once(".log.").is_some_and(|(number, time)| {
        let digits =
            |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
        number.bytes().all(|b| b.is_ascii_digit())
            && time
                .split_once('-')
                .is_some_and(|(day, hour)| digits(day, 8) && digits(hour, 6))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::discover;

    fn log(from: usize, to: usize) -> String {
        let line = |i: usize| {
            let filler = "x".repeat(i * 7 % 90);
            format!(
                "2026-11-02T03:{:02}:{:02}.{:06}Z\tinfo\txdsproxy\tline {i} {filler}\n",
                i / 1000 / 60,
                i / 1000 % 60,
                i % 1000
            )
        };
        (from..to).map(line).collect()
    }

    fn found(first: impl AsRef<[u8]>, second: impl AsRef<[u8]>) -> [Option<Repeat>; 2] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("web-0.istio-proxy.log"), second).unwrap();
        std::fs::write(folder.path().join("web-0.istio-proxy.log.1"), first).unwrap();
        let sources = discover(&[folder.path().to_owned()]).sources;
        find(&sources, &Layouts::default()).try_into().unwrap()
    }

    fn shortened(log: &str) -> &[u8] {
        let (kept, _) = log.as_bytes().split_at(log.len() - 5);
        kept
    }

    #[test]
    fn the_beginning_is_found_wherever_it_lies_in_what_is_read() {
        let first = log(0, 14_000);
        assert!(first.len() > 2 * STEP_BYTES);
        // Lines whose ends lie around the ends of what is read at once.
        let ends = memchr::memchr_iter(b'\n', first.as_bytes()).enumerate();
        let around: Vec<usize> = ends
            .filter(|(line, end)| {
                let end = end % STEP_BYTES;
                line % 2000 == 1 || !(150..STEP_BYTES - 150).contains(&end)
            })
            .map(|(line, _)| line)
            .filter(|line| *line > 0)
            .collect();
        assert!(around.len() > 10);
        for line in around {
            let repeat = Repeat {
                of: 1,
                bytes: log(line, 14_000).len() as u64,
            };
            let got = found(&first, log(line, 14_100));
            assert_eq!(got, [Some(repeat), None], "{line}");
        }
    }

    #[test]
    fn what_is_cut_within_a_line_ends_before_it() {
        let first = log(0, 100);
        let repeat = Repeat {
            of: 1,
            bytes: log(40, 99).len() as u64,
        };
        let got = found(shortened(&first), log(40, 200));
        assert_eq!(got, [Some(repeat), None]);
        let all = Repeat {
            of: 1,
            bytes: u64::MAX,
        };
        assert_eq!(found(&first, shortened(&log(40, 60))), [Some(all), None]);
    }

    #[test]
    fn what_differs_anywhere_is_no_repeat() {
        let second = log(40, 200).replace("line 90 ", "line 9O ");
        assert_eq!(found(log(0, 100), &second), [None, None]);
        assert_eq!(found(log(0, 100), log(100, 200)), [None, None]);
    }

    #[test]
    fn names_of_the_runtime() {
        for (name, is_rotated) in [
            ("0.log.20261122-170331", true),
            ("12.log.20261122-170331.gz", true),
            ("0.log", false),
            ("istio-proxy.log.1", false),
            ("web-0.log.20261122-170331", false),
        ] {
            assert_eq!(is_rotated_by_runtime(Path::new(name)), is_rotated, "{name}");
        }
    }
}
