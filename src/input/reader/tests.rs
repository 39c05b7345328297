//! Blocks against a slow plain version, and every sort of bad input.

use super::{BlockReader, SourceKind};
use crate::input::{Block, Compression, Identity, ReadOptions, ReadSummary, RecordBoundary, Source};
use crate::units::InputId;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use std::fs::{File, OpenOptions};
use std::io::{self, Cursor, Read, Write};
use std::path::Path;

const INPUT: InputId = InputId(7);

fn unless_indented(_: &[u8], next: &[u8]) -> bool {
    !next.starts_with(b" ")
}

fn options(block_bytes: usize, max_line_bytes: usize, boundary: fn(&[u8], &[u8]) -> bool) -> ReadOptions {
    ReadOptions {
        block_bytes,
        max_line_bytes,
        boundary: RecordBoundary::new(boundary),
    }
}

/// Gives at most `step` bytes a time.
struct Trickle(Cursor<Vec<u8>>, usize);

impl Read for Trickle {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.1.min(out.len());
        self.0.read(&mut out[..count])
    }
}

fn open(bytes: &[u8], options: &ReadOptions) -> BlockReader {
    BlockReader::from_stream(INPUT, Box::new(Cursor::new(bytes.to_vec())), None, options).unwrap()
}

/// All blocks, with buffers recycled full of old bytes.
fn drain(mut reader: BlockReader) -> (Vec<Block>, ReadSummary) {
    let mut blocks = Vec::new();
    while let Some(block) = reader.next_block(vec![b'#'; blocks.len() % 5 * 11]) {
        blocks.push(block);
    }
    assert!(reader.next_block(Vec::new()).is_none(), "the end stays the end");
    (blocks, reader.finish())
}

fn joined(blocks: &[Block]) -> Vec<u8> {
    blocks.iter().flat_map(|block| block.data.clone()).collect()
}

/// What [`BlockReader`] is to make of `text`, line by line.
struct Plain {
    text: Vec<u8>,
    long_lines: u64,
    dropped_bytes: u64,
}

fn plain(text: &[u8], max_line_bytes: usize) -> Plain {
    let mut plain = Plain {
        text: Vec::new(),
        long_lines: 0,
        dropped_bytes: 0,
    };
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let content = line.strip_suffix(b"\n").unwrap_or(line);
        if content.len() > max_line_bytes {
            plain.long_lines += 1;
            plain.dropped_bytes += (content.len() - max_line_bytes) as u64;
        }
        plain
            .text
            .extend_from_slice(&content[..content.len().min(max_line_bytes)]);
        plain.text.extend_from_slice(&line[content.len()..]);
    }
    plain
}

/// Checks everything that holds for the blocks of any text.
fn check(text: &[u8], blocks: &[Block], summary: &ReadSummary, options: &ReadOptions) {
    let expected = plain(text, options.max_line_bytes);
    assert_eq!(
        joined(blocks).escape_ascii().to_string(),
        expected.text.escape_ascii().to_string()
    );
    assert_eq!(
        (summary.long_lines, summary.dropped_bytes),
        (expected.long_lines, expected.dropped_bytes)
    );
    assert_eq!(summary.bytes, text.len() as u64);
    check_places(text, blocks, options.max_line_bytes);
    check_cuts(text, blocks, summary, options);
}

/// Numbers, and offsets: the text at a block's offset is the block, but for a long line at its end.
fn check_places(text: &[u8], blocks: &[Block], max_line_bytes: usize) {
    let mut next = 0;
    for (seq, block) in blocks.iter().enumerate() {
        assert_eq!((block.input, block.seq as usize), (INPUT, seq));
        assert!(!block.data.is_empty());
        let start = usize::try_from(block.offset_bytes).unwrap();
        assert_eq!(start, next, "block {seq} begins where the one before ended");
        assert!(start == 0 || text[start - 1] == b'\n', "at the start of a line");
        let stored: Vec<_> = text[start..].split_inclusive(|&byte| byte == b'\n').collect();
        let lines: Vec<_> = block.data.split_inclusive(|&byte| byte == b'\n').collect();
        let (last, others) = lines.split_last().unwrap();
        assert_eq!(others, &stored[..others.len()]);
        let stored_last = stored[others.len()];
        assert!(*last == stored_last || stored_last.len() > max_line_bytes);
        next = start + stored[..lines.len()].iter().map(|line| line.len()).sum::<usize>();
    }
}

/// A block ends where the boundary allows, unless a long line or the bound forced it.
fn check_cuts(text: &[u8], blocks: &[Block], summary: &ReadSummary, options: &ReadOptions) {
    let mut forced = 0;
    for pair in blocks.windows(2) {
        let start = usize::try_from(pair[1].offset_bytes).unwrap();
        let stored_before = text[..start - 1].rsplit(|&byte| byte == b'\n').next().unwrap();
        let next = pair[1].data.split(|&byte| byte == b'\n').next().unwrap();
        if !options.boundary.allows(stored_before, next) && stored_before.len() <= options.max_line_bytes {
            forced += 1;
            assert!(pair[0].data.len() + options.max_line_bytes + 1 >= 8 * options.block_bytes);
        }
    }
    assert!(
        forced <= summary.forced_cuts,
        "{forced} cuts against the boundary, {} told",
        summary.forced_cuts
    );
}

fn texts() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        6 => Just(b'a'),
        3 => Just(b'\n'),
        2 => Just(b' '),
        1 => Just(b'\r'),
        1 => Just(b'\0'),
        1 => any::<u8>().prop_filter("control characters are rare in text", |&byte| byte >= 0x20),
    ];
    proptest::collection::vec(byte, 0..300)
        .prop_filter("a byte order mark is skipped", |text| {
            !text.starts_with(b"\xef\xbb\xbf")
        })
        .prop_filter("binary files have no blocks", |text| {
            matches!(
                crate::input::sniff::sniff(text).kind,
                SourceKind::Text | SourceKind::Empty
            )
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn blocks_are_the_text(
        text in texts(),
        block_bytes in 1_usize..90,
        max_line_bytes in prop_oneof![1_usize..40, Just(1 << 20)],
        step in 1_usize..400,
    ) {
        let options = options(block_bytes, max_line_bytes, unless_indented);
        let stream = Trickle(Cursor::new(text.clone()), step);
        let (blocks, summary) = drain(BlockReader::from_stream(INPUT, Box::new(stream), None, &options).unwrap());
        check(&text, &blocks, &summary, &options);
    }

    #[test]
    fn lines_that_belong_together_stay_together(text in texts(), block_bytes in 1_usize..90) {
        let options = options(block_bytes, 1 << 20, unless_indented);
        let (blocks, summary) = drain(open(&text, &options));
        assert_eq!(summary.forced_cuts, 0);
        assert!(blocks.iter().skip(1).all(|block| !block.data.starts_with(b" ")));
    }
}

#[test]
fn every_block_size() {
    let texts: [&[u8]; 9] = [
        b"",
        b"\n",
        b"x",
        b"one\ntwo\nthree\n",
        b"one\ntwo\nthree",
        b"one\r\ntwo\r\n\r\nthree\r\n",
        b"head\n more\n more\n more\nhead\n more\nhead\nhead\n",
        b" more\n more\n more\n more\n more\n more\n more\n more\n more\n more\n more\n more\n more\n more\n more\n",
        b"a line longer than most of the blocks, by far\nshort\na line longer than most of the blocks, by far\n",
    ];
    for text in texts {
        for block_bytes in 1..=64 {
            for max_line_bytes in [1, 8, 20, 1000] {
                let options = options(block_bytes, max_line_bytes, unless_indented);
                let (blocks, summary) = drain(open(text, &options));
                check(text, &blocks, &summary, &options);
            }
        }
    }
}

#[test]
fn blocks_are_about_the_size_asked_for() {
    let text = b"a line of twenty-two b\n".repeat(10_000);
    let (blocks, _) = drain(open(&text, &options(4096, 1 << 20, |_, _| true)));
    let (last, others) = blocks.split_last().unwrap();
    assert!(
        others
            .iter()
            .all(|block| (4096 - 2 * 23..=4096).contains(&block.data.len()))
    );
    assert!(last.data.len() <= 4096);
}

#[test]
fn what_never_ends_is_cut_at_the_bound() {
    let text = [b"head\n".to_vec(), b" more\n".repeat(1000), b"head\n".to_vec()].concat();
    let options = options(64, 100, unless_indented);
    let (blocks, summary) = drain(open(&text, &options));
    check(&text, &blocks, &summary, &options);
    assert!(blocks.iter().all(|block| block.data.len() <= 8 * 64 + 100));
    assert_eq!(summary.forced_cuts, 9);
    assert_eq!(
        summary.problems.len(),
        9,
        "eight, and how many more: {:#?}",
        summary.problems
    );
    assert!(
        summary.problems[0].what.contains("more than 612 bytes"),
        "{:?}",
        summary.problems[0]
    );
    assert_eq!(summary.problems[0].offset_bytes, blocks[1].offset_bytes);
}

/// `count` times a byte, never in memory at once.
fn many(byte: u8, count: u64) -> impl Read + Send {
    io::repeat(byte).take(count)
}

#[test]
fn a_line_of_100_mb() {
    const LINE_BYTES: u64 = 100_000_000;
    let stream = Cursor::new(b"before\n")
        .chain(many(b'x', LINE_BYTES))
        .chain(Cursor::new(b"\nafter\n"));
    let options = ReadOptions::default();
    let mut reader = BlockReader::from_stream(INPUT, Box::new(stream), None, &options).unwrap();
    let mut buffer = Vec::new();
    let mut blocks = Vec::new();
    while let Some(block) = reader.next_block(std::mem::take(&mut buffer)) {
        assert!(
            block.data.capacity() <= 4 * ReadOptions::BLOCK_BYTES,
            "{}",
            block.data.capacity()
        );
        blocks.push((
            block.offset_bytes,
            block.data.len(),
            block.data.ends_with(b"\nafter\n") || block.data == b"after\n",
        ));
        buffer = block.data;
    }
    let kept = ReadOptions::MAX_LINE_BYTES;
    assert_eq!(blocks, [(0, 7 + kept + 1, false), (7 + LINE_BYTES + 1, 6, true)]);
    let summary = reader.finish();
    assert_eq!(
        (summary.long_lines, summary.dropped_bytes),
        (1, LINE_BYTES - kept as u64)
    );
    assert_eq!(summary.bytes, 7 + LINE_BYTES + 7);
    let [problem] = &summary.problems[..] else {
        panic!("{:?}", summary.problems)
    };
    assert_eq!((problem.input, problem.offset_bytes), (INPUT, 7));
    assert!(
        problem
            .what
            .starts_with("a line of 100000000 bytes: only its first 1048576 are used"),
        "{}",
        problem.what
    );
}

#[test]
fn a_buffer_that_grew_is_not_kept() {
    let text = [b"head\n".to_vec(), b" more\n".repeat(100), b"a\n".repeat(1000)].concat();
    let mut reader = open(&text, &options(64, 1 << 20, unless_indented));
    let mut buffer = Vec::new();
    let mut capacities = Vec::new();
    while let Some(block) = reader.next_block(std::mem::take(&mut buffer)) {
        capacities.push(block.data.capacity());
        buffer = block.data;
    }
    assert!(
        capacities[0] >= 600,
        "the first block holds the whole message: {capacities:?}"
    );
    assert!(
        capacities[1..].iter().all(|&capacity| capacity <= 2 * 64),
        "{capacities:?}"
    );
}

#[test]
fn many_long_lines_give_few_problems() {
    let text = b"0123456789\n".repeat(100);
    let (_, summary) = drain(open(&text, &options(64, 5, |_, _| true)));
    assert_eq!(
        (summary.long_lines, summary.dropped_bytes, summary.problems.len()),
        (100, 500, 9)
    );
    assert!(
        summary.problems[8].what.starts_with("92 more lines"),
        "{:?}",
        summary.problems[8]
    );
}

/// Name, stored bytes, kind, offset and start of the first block, start of what the first problem says.
type Beginning<'a> = (&'a str, Vec<u8>, SourceKind, Option<(u64, &'a [u8])>, &'a str);

#[test]
fn beginnings() {
    let hole = vec![0; 20_000];
    let row = b"a row of a log\n";
    let cases: [Beginning<'_>; 10] = [
        ("nothing", vec![], SourceKind::Empty, None, ""),
        (
            "BOM",
            [b"\xef\xbb\xbf", &row[..]].concat(),
            SourceKind::Text,
            Some((3, row)),
            "",
        ),
        ("BOM alone", b"\xef\xbb\xbf".to_vec(), SourceKind::Text, None, ""),
        (
            "UTF-16",
            b"\xff\xfea\0\n\0".to_vec(),
            SourceKind::Binary,
            None,
            "UTF-16",
        ),
        (
            "hole",
            [&hole[..], row].concat(),
            SourceKind::Text,
            Some((20_000, row)),
            "begins with 20000 NUL bytes",
        ),
        (
            "hole that ends with the head",
            [&hole[..8191], row].concat(),
            SourceKind::Text,
            Some((8191, row)),
            "begins with 8191 NUL bytes",
        ),
        (
            "a few NULs",
            [&hole[..100], &row.repeat(100)].concat(),
            SourceKind::Text,
            Some((0, b"\0\0")),
            "",
        ),
        (
            "hole alone",
            hole.clone(),
            SourceKind::Binary,
            None,
            "binary data",
        ),
        (
            "hole and binary",
            [hole.clone(), vec![1; 9000]].concat(),
            SourceKind::Binary,
            None,
            "begins with",
        ),
        (
            "capture",
            b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00".to_vec(),
            SourceKind::Capture,
            None,
            "",
        ),
    ];
    for (name, stored, kind, first, problem) in cases {
        let reader = open(&stored, &ReadOptions::default());
        assert_eq!(reader.kind(), kind, "{name}");
        let (blocks, summary) = drain(reader);
        let found = blocks.first().map(|block| (block.offset_bytes, &block.data[..]));
        assert_eq!(
            found.map(|(offset, _)| offset),
            first.map(|(offset, _)| offset),
            "{name}"
        );
        assert!(
            first.is_none_or(|(_, start)| found.is_some_and(|(_, data)| data.starts_with(start))),
            "{name}"
        );
        let what = summary.problems.first().map_or("", |problem| &problem.what);
        assert!(
            what.starts_with(problem) && problem.is_empty() == what.is_empty(),
            "{name}: {what}"
        );
    }
}

#[test]
fn noise_in_the_middle_stays_as_it_is() {
    let noise: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    let text = [
        b"a row\n".repeat(2000),
        noise,
        b"\0\0\0\n".to_vec(),
        b"a row\n".repeat(2000),
    ]
    .concat();
    let (blocks, summary) = drain(open(&text, &options(1000, 1 << 20, |_, _| true)));
    assert!(joined(&blocks) == text);
    assert_eq!(summary.problems, []);
}

#[test]
fn compressed_inputs_have_offsets_of_the_text() {
    let text = b"a row of a log\n".repeat(10_000);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&text).unwrap();
    let gzip = encoder.finish().unwrap();
    let options = options(4096, 1 << 20, |_, _| true);

    let reader = open(&gzip, &options);
    assert_eq!(
        (reader.kind(), reader.compression()),
        (SourceKind::Text, Compression::Gzip)
    );
    let (blocks, summary) = drain(reader);
    check(&text, &blocks, &summary, &options);
    assert_eq!(summary.stored_bytes, gzip.len() as u64);

    let (blocks, summary) = drain(open(&gzip[..gzip.len() - 100], &options));
    let read = joined(&blocks);
    assert!(read.len() > 100_000 && text.starts_with(&read));
    let [problem] = &summary.problems[..] else {
        panic!("{:?}", summary.problems)
    };
    assert_eq!(problem.offset_bytes, read.len() as u64, "where the text ends");
    assert!(
        problem
            .what
            .contains(&format!("cut off at byte {} of the file", gzip.len() - 100)),
        "{}",
        problem.what
    );
}

/// Fails after some bytes.
struct Failing(Cursor<Vec<u8>>);

impl Read for Failing {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.0.read(out)? {
            0 => Err(io::Error::other("the disk is gone")),
            count => Ok(count),
        }
    }
}

#[test]
fn a_read_that_fails() {
    let stream = Failing(Cursor::new(b"one\ntwo\n".to_vec()));
    let reader =
        BlockReader::from_stream(INPUT, Box::new(stream), Some(100), &ReadOptions::default()).unwrap();
    let (blocks, summary) = drain(reader);
    assert_eq!(joined(&blocks), b"one\ntwo\n");
    let [problem] = &summary.problems[..] else {
        panic!("{:?}", summary.problems)
    };
    assert_eq!(problem.offset_bytes, 8);
    assert!(problem.what.contains("the disk is gone"), "{}", problem.what);

    let stream = Failing(Cursor::new(Vec::new()));
    let error = BlockReader::from_stream(INPUT, Box::new(stream), None, &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().starts_with("the disk is gone; "), "{error}");
}

fn source(path: &Path) -> Source {
    Source {
        id: INPUT,
        open_path: path.to_owned(),
        display_path: "x".to_owned(),
        size_bytes: None,
        identity: Identity::default(),
        member: None,
        listing: None,
    }
}

#[test]
fn a_file_that_shrinks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.log");
    let text = b"a row of a log\n".repeat(100_000);
    std::fs::write(&path, &text).unwrap();
    let mut reader = BlockReader::open(&source(&path), &options(300_000, 1 << 20, |_, _| true)).unwrap();
    let mut read = reader.next_block(Vec::new()).unwrap().data;
    OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(400_000)
        .unwrap();
    while let Some(block) = reader.next_block(Vec::new()) {
        read.extend(block.data);
    }
    assert!(read == text[..400_000]);
    assert_eq!(reader.stored_bytes_read(), 400_000);
    let summary = reader.finish();
    let [problem] = &summary.problems[..] else {
        panic!("{:?}", summary.problems)
    };
    assert_eq!(problem.offset_bytes, 400_000);
    assert!(
        problem.what.contains("from 1500000 bytes to 400000"),
        "{}",
        problem.what
    );
}

#[test]
fn a_file_that_grows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.log");
    std::fs::write(&path, b"a row\n".repeat(100_000)).unwrap();
    let mut reader = BlockReader::open(&source(&path), &options(300_000, 1 << 20, |_, _| true)).unwrap();
    let mut length = reader.next_block(Vec::new()).unwrap().data.len();
    OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap()
        .write_all(b"one more\nand the start of")
        .unwrap();
    while let Some(block) = reader.next_block(Vec::new()) {
        length += block.data.len();
    }
    assert_eq!(length, 600_000 + 9 + 16);
    assert_eq!(reader.finish().problems, []);
}

#[test]
fn files_that_stop_early_for_another_reason_did_not_shrink() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.log.gz");
    let mut encoder =
        flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
    encoder.write_all(b"a row\n").unwrap();
    encoder.finish().unwrap().write_all(&vec![b'#'; 1 << 20]).unwrap();
    let (blocks, summary) = drain(BlockReader::open(&source(&path), &ReadOptions::default()).unwrap());
    assert_eq!(joined(&blocks), b"a row\n");
    let [problem] = &summary.problems[..] else {
        panic!("{:?}", summary.problems)
    };
    assert!(
        problem.what.starts_with("bytes that are not gzip follow"),
        "{}",
        problem.what
    );
}

#[test]
fn what_cannot_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let error = BlockReader::open(&source(&folder.path().join("gone")), &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("rotated away"), "{error}");
    let error = BlockReader::open(&source(folder.path()), &ReadOptions::default()).unwrap_err();
    assert!(!error.to_string().is_empty(), "a folder in the place of a file");
}

#[cfg(unix)]
#[test]
fn a_named_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let mut writer = std::process::Command::new("sh")
        .args([
            "-c",
            "for i in 1 2 3; do echo row $i; sleep 0.01; done > \"$1\"",
            "sh",
        ])
        .arg(&path)
        .spawn()
        .unwrap();
    let reader = BlockReader::open(&source(&path), &ReadOptions::default()).unwrap();
    let (blocks, summary) = drain(reader);
    writer.wait().unwrap();
    assert_eq!(joined(&blocks), b"row 1\nrow 2\nrow 3\n");
    assert_eq!((summary.stored_bytes, summary.problems.len()), (18, 0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_whose_size_says_nothing() {
    let (blocks, summary) =
        drain(BlockReader::open(&source(Path::new("/proc/self/status")), &ReadOptions::default()).unwrap());
    assert!(joined(&blocks).starts_with(b"Name:"));
    assert_eq!(summary.problems, []);
}
