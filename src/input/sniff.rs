//! First decompressed bytes to a kind, by magic numbers and, for the rest, by whether they can be text.
//!
//! Principal type: [`SourceKind`]. When in doubt it is text: a line that is none is counted as not
//! understood, while a log taken for something else would be lost.

/// What an input holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// Lines, whatever they say.
    Text,
    /// A packet capture: pcap or pcapng. Its bytes are given by [`ByteReader`](super::ByteReader).
    Capture,
    /// Several files in one. Its members are sources of their own.
    Archive(ArchiveKind),
    /// Nothing that has lines, or lines in an encoding of two or four bytes for a character. Not read.
    Binary,
    /// No bytes at all.
    Empty,
}

/// Which archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ArchiveKind {
    /// POSIX or GNU tar.
    Tar,
    /// zip.
    Zip,
}

/// Bytes that [`sniff`] should be given where there are as many.
pub(super) const HEAD_BYTES: usize = 8 << 10;

/// UTF-8 byte order mark; bytes of it say nothing and are skipped.
pub(super) const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sniffed {
    /// What it is.
    pub(super) kind: SourceKind,
    /// What to tell the user where it will not be read.
    pub(super) problem: Option<&'static str>,
}

const READ: Option<&str> = None;
const OTHER_CAPTURE: Option<&str> = Some(
    "a capture in a format that is not read: convert it with `editcap -F pcapng FILE NEW` and read the result",
);
const ARCHIVE: Option<&str> = Some(
    "an archive in a pipe or within a compression that is not read: give it as a file, or unpack it (`tar -xf` or \
     `unzip`) and give the folder",
);
const UTF16: Option<&str> =
    Some("UTF-16 or UTF-32 text: convert it with `iconv -f UTF-16 -t UTF-8` and read the result");
const UNKNOWN: Option<&str> = Some(
    "binary data without lines: nothing of it was read; give log files, or captures as pcap or pcapng (`editcap -F \
     pcapng FILE NEW` converts others)",
);
const PACKED: Option<&str> =
    Some("compressed in a form that is not read: decompress it first (xz -d, bzip2 -d, lz4 -d)");
const PACKED_TWICE: Option<&str> =
    Some("compressed more than once: decompress it once with `gzip -d` or `zstd -d`");

/// (offset, magic number, kind, problem), first match wins.
///
/// pcap: draft-ietf-opsawg-pcap section 4, both byte orders, microseconds and nanoseconds, and the form of
/// Kuznetsov's patch. pcapng: draft-ietf-opsawg-pcapng section 4.1; the byte-order magic at 8 is the one that
/// cannot be text. snoop: RFC 1761; GMBU: Network Monitor 2; XCP: `NetXray`. zip: APPNOTE 4.3.7 and 4.3.16. tar: POSIX.1-2017 pax, ustar interchange format.
const MAGICS: &[(usize, &[u8], SourceKind, Option<&str>)] = &[
    (0, b"\xa1\xb2\xc3\xd4", SourceKind::Capture, READ),
    (0, b"\xd4\xc3\xb2\xa1", SourceKind::Capture, READ),
    (0, b"\xa1\xb2\x3c\x4d", SourceKind::Capture, READ),
    (0, b"\x4d\x3c\xb2\xa1", SourceKind::Capture, READ),
    (0, b"\xa1\xb2\xcd\x34", SourceKind::Capture, READ),
    (0, b"\x34\xcd\xb2\xa1", SourceKind::Capture, READ),
    (8, b"\x1a\x2b\x3c\x4d", SourceKind::Capture, READ),
    (8, b"\x4d\x3c\x2b\x1a", SourceKind::Capture, READ),
    (0, b"snoop\0\0\0", SourceKind::Binary, OTHER_CAPTURE),
    (0, b"GMBU", SourceKind::Binary, OTHER_CAPTURE),
    (0, b"XCP\0", SourceKind::Binary, OTHER_CAPTURE),
    (0, b"PK\x03\x04", SourceKind::Archive(ArchiveKind::Zip), ARCHIVE),
    (0, b"PK\x05\x06", SourceKind::Archive(ArchiveKind::Zip), ARCHIVE),
    (257, b"ustar", SourceKind::Archive(ArchiveKind::Tar), ARCHIVE),
    (0, b"\xff\xfe", SourceKind::Binary, UTF16),
    (0, b"\xfe\xff", SourceKind::Binary, UTF16),
    (0, b"\x00\x00\xfe\xff", SourceKind::Binary, UTF16),
    (0, b"\x1f\x8b\x08", SourceKind::Binary, PACKED_TWICE),
    (0, b"\x28\xb5\x2f\xfd", SourceKind::Binary, PACKED_TWICE),
    (0, b"\xfd7zXZ\x00", SourceKind::Binary, PACKED),
    (0, b"BZh91AY&SY", SourceKind::Binary, PACKED),
    (0, b"\x04\x22\x4d\x18", SourceKind::Binary, PACKED),
];

/// The kind of an input that begins with `head`: its first [`HEAD_BYTES`], or all of it if it is shorter.
pub(super) fn sniff(head: &[u8]) -> Sniffed {
    if head.is_empty() {
        return Sniffed {
            kind: SourceKind::Empty,
            problem: None,
        };
    }
    let known = MAGICS
        .iter()
        .find(|(offset, magic, ..)| head.get(*offset..).is_some_and(|b| b.starts_with(magic)));
    match known {
        Some(&(_, _, kind, problem)) => Sniffed { kind, problem },
        None if is_binary(head) => Sniffed {
            kind: SourceKind::Binary,
            problem: UNKNOWN,
        },
        None => Sniffed {
            kind: SourceKind::Text,
            problem: None,
        },
    }
}

/// Fewer odd bytes than this never make a file binary, however short it is.
const ODD_BYTES_MIN: usize = 32;

/// Binary: more than a quarter of the bytes cannot stand in text, and less than a tenth of them stand in lines
/// which look like text. Both shares are guesses with room: random bytes have 55 % odd ones and hardly a line
/// with fewer, while rows of a log with words in another one-byte encoding have a few per cent.
fn is_binary(head: &[u8]) -> bool {
    let odd = odd_bytes(head);
    if odd < ODD_BYTES_MIN || odd * 4 <= head.len() {
        return false;
    }
    let text: usize = head
        .split(|&byte| byte == b'\n')
        .filter(|line| looks_like_text(line))
        .map(<[u8]>::len)
        .sum();
    text * 10 < head.len()
}

/// Too short a line proves nothing: random bytes have short ones that look like text.
const TEXT_LINE_BYTES_MIN: usize = 8;

fn looks_like_text(line: &[u8]) -> bool {
    line.len() >= TEXT_LINE_BYTES_MIN && odd_bytes(line) * 4 <= line.len()
}

/// Bytes that text has no use for: control characters other than those of layout and colour, and what is
/// not UTF-8.
fn odd_bytes(bytes: &[u8]) -> usize {
    let controls = |text: &str| text.bytes().filter(|&byte| is_odd_control(byte)).count();
    // Nearly all texts are ASCII, which is checked many bytes at a time.
    if let Ok(text) = std::str::from_utf8(bytes) {
        return controls(text);
    }
    bytes
        .utf8_chunks()
        .map(|chunk| controls(chunk.valid()) + chunk.invalid().len())
        .sum()
}

fn is_odd_control(byte: u8) -> bool {
    byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x08 | 0x0b | 0x0c | 0x1b)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &[u8] = b"[2026-11-02T03:12:44.120Z] \"GET / HTTP/1.1\" 200 - via_upstream\n";

    /// Bytes without order (xorshift64), the same in every run.
    fn noise(count: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .take(count)
        .collect()
    }

    fn tar() -> Vec<u8> {
        let mut head = vec![0; 512];
        head[..8].copy_from_slice(b"a/b/name");
        head[257..262].copy_from_slice(b"ustar");
        head
    }

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn kinds() {
        let pcapng = b"\x0a\x0d\x0d\x0a\x1c\x00\x00\x00\x4d\x3c\x2b\x1a\x01\x00\x00\x00".to_vec();
        let text = ROW.repeat(40);
        let row = ROW.escape_ascii().to_string();
        let mut marked_utf16 = b"\xff\xfe".to_vec();
        marked_utf16.extend(utf16(&row));
        let cases: Vec<(&str, Vec<u8>, SourceKind)> = vec![
            ("nothing", vec![], SourceKind::Empty),
            ("a row", ROW.to_vec(), SourceKind::Text),
            ("a byte", b"x".to_vec(), SourceKind::Text),
            ("blank lines", b"\n\n\n".to_vec(), SourceKind::Text),
            (
                "one line without newline",
                ROW.trim_ascii().repeat(80),
                SourceKind::Text,
            ),
            (
                "pcap",
                b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00".to_vec(),
                SourceKind::Capture,
            ),
            (
                "pcap, other order",
                b"\xa1\xb2\xc3\xd4\x00\x02\x00\x04".to_vec(),
                SourceKind::Capture,
            ),
            (
                "pcap in ns",
                b"\x4d\x3c\xb2\xa1\x02\x00\x04\x00".to_vec(),
                SourceKind::Capture,
            ),
            (
                "pcap in ns, other order",
                b"\xa1\xb2\x3c\x4d\x00\x02\x00\x04".to_vec(),
                SourceKind::Capture,
            ),
            ("pcapng", pcapng, SourceKind::Capture),
            (
                "snoop",
                b"snoop\0\0\0\0\0\0\x02\0\0\0\x04".to_vec(),
                SourceKind::Binary,
            ),
            (
                "zip",
                b"PK\x03\x04rest".to_vec(),
                SourceKind::Archive(ArchiveKind::Zip),
            ),
            ("tar", tar(), SourceKind::Archive(ArchiveKind::Tar)),
            ("UTF-16 with mark", marked_utf16, SourceKind::Binary),
            ("UTF-16 without", utf16(&row), SourceKind::Binary),
            ("noise", noise(HEAD_BYTES), SourceKind::Binary),
            ("NULs", vec![0; 100], SourceKind::Binary),
            (
                "noise, then rows",
                [noise(2000), text.clone()].concat(),
                SourceKind::Text,
            ),
            (
                "a row, noise, rows",
                [ROW.to_vec(), noise(4000), text.clone()].concat(),
                SourceKind::Text,
            ),
            (
                "NULs, then rows",
                [vec![0; 4000], text.clone()].concat(),
                SourceKind::Text,
            ),
            (
                "Latin-1",
                b"le caf\xe9 est ferm\xe9 \xe0 midi\n".repeat(20),
                SourceKind::Text,
            ),
            (
                "colours",
                b"\x1b[31merror\x1b[0m something broke\n".repeat(20),
                SourceKind::Text,
            ),
            ("BOM", [UTF8_MARK, ROW].concat(), SourceKind::Text),
            ("xz", b"\xfd7zXZ\x00\x00\x04".to_vec(), SourceKind::Binary),
            (
                "word ustar elsewhere",
                b"ustar PK\x03\x04".to_vec(),
                SourceKind::Text,
            ),
        ];
        for (name, head, kind) in cases {
            let sniffed = sniff(&head);
            assert_eq!(sniffed.kind, kind, "{name}");
            let read = matches!(kind, SourceKind::Text | SourceKind::Capture | SourceKind::Empty);
            assert_eq!(
                sniffed.problem.is_none(),
                read,
                "{name}: what is not read is said to be so"
            );
        }
    }
}
