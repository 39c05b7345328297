//! The headers of a tar archive: POSIX ustar and pax (POSIX.1-2017, pax, "ustar Interchange Format" and "pax Interchange
//! Format"), and GNU's long names.
//!
//! Nothing is trusted: a header counts if its checksum is right, lengths only move the place of the next header, and the
//! number of members is bounded by the caller, who may stop at any.

use std::io;

const BLOCK: usize = 512;

/// Longest extended header or long name that is read; path names are shorter by far.
const EXTENSION_BYTES_MAX: u64 = 64 << 10;

/// Extensions in a row before one member; more are made on purpose.
const EXTENSIONS_MAX: usize = 64;

/// What a walk reads from.
pub(super) trait TarInput {
    /// Fills `out` as far as the archive goes; gives how much that was.
    fn fill(&mut self, out: &mut [u8]) -> io::Result<usize>;

    /// Passes over `count` bytes; gives how many there were.
    fn skip(&mut self, count: u64) -> io::Result<u64>;
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) kind: EntryKind,
    /// Where its bytes begin.
    pub(super) start: u64,
    /// Bytes that its header states.
    pub(super) stated_bytes: u64,
    /// Bytes of it that are there.
    pub(super) len: u64,
    /// Its first bytes.
    pub(super) head: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    File,
    Folder,
    /// A link, a device, a pipe: nothing that has bytes of its own.
    Special,
    /// A file with holes, whose bytes do not lie as they are.
    Sparse,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With the blocks of NULs that end an archive.
    Marked,
    /// At the end of the bytes, between two members.
    Unmarked,
    /// In the middle of a member or header.
    Cut,
    /// At something that is no header.
    Damaged,
    /// The caller had enough.
    Stopped,
}

/// Calls `found` for each entry until it says false; gives how and where the walk ended.
pub(super) fn walk(
    input: &mut impl TarInput,
    head_bytes: usize,
    found: &mut impl FnMut(Entry) -> bool,
) -> io::Result<(End, u64)> {
    let mut at = 0_u64;
    let mut extended = Extended::default();
    loop {
        let mut header = [0; BLOCK];
        match input.fill(&mut header)? {
            0 => return Ok((End::Unmarked, at)),
            BLOCK => {}
            _ => return Ok((End::Cut, at)),
        }
        if header.iter().all(|byte| *byte == 0) {
            return Ok((End::Marked, at));
        }
        let Some(stated) = checked_size(&header) else {
            return Ok((End::Damaged, at));
        };
        let start = at.saturating_add(BLOCK as u64);
        let flag = header.get(156).copied().unwrap_or(0);
        let mut head;
        let mut there;
        let stated = if matches!(flag, b'x' | b'L' | b'g' | b'K') {
            stated
        } else {
            extended.size.unwrap_or(stated)
        };
        if matches!(flag, b'x' | b'L') && stated <= EXTENSION_BYTES_MAX {
            head = vec![0; usize::try_from(stated).unwrap_or(0)];
            there = input.fill(&mut head)? as u64;
            extended.add(flag, &head);
        } else {
            head = vec![0; usize::try_from(stated).unwrap_or(usize::MAX).min(head_bytes)];
            let filled = input.fill(&mut head)?;
            head.truncate(filled);
            there = filled as u64;
        }
        if there < stated && usize::try_from(there) == Ok(head.len()) {
            there = there.saturating_add(input.skip(stated - there)?);
        }
        if matches!(flag, b'x' | b'L' | b'g' | b'K') {
            extended.seen += 1;
            if extended.seen > EXTENSIONS_MAX {
                return Ok((End::Damaged, at));
            }
        } else {
            let extended = std::mem::take(&mut extended);
            let name = extended.name.unwrap_or_else(|| name_of(&header));
            let kind = match flag {
                _ if extended.sparse => EntryKind::Sparse,
                b'S' => EntryKind::Sparse,
                // Archives before ustar tell folders by the slash.
                0 | b'0' if name.ends_with(b"/") => EntryKind::Folder,
                0 | b'0' | b'7' => EntryKind::File,
                b'5' => EntryKind::Folder,
                _ => EntryKind::Special,
            };
            let entry = Entry {
                name,
                kind,
                start,
                stated_bytes: stated,
                len: there,
                head,
            };
            if !found(entry) {
                return Ok((End::Stopped, start));
            }
        }
        if there < stated {
            return Ok((End::Cut, start.saturating_add(there)));
        }
        let padding = stated.wrapping_neg() % BLOCK as u64;
        // A missing padding leaves the next header missing.
        let _ = input.skip(padding)?;
        at = start.saturating_add(stated).saturating_add(padding);
    }
}

/// What extensions say of the next member.
#[derive(Debug, Default)]
struct Extended {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
    seen: usize,
}

impl Extended {
    fn add(&mut self, flag: u8, body: &[u8]) {
        if flag == b'L' {
            self.name = Some(until_nul(body).to_vec());
            return;
        }
        let mut rest = body;
        // Records of pax: `<length> <keyword>=<value>\n`, the length that of the whole record.
        while let Some(blank) = memchr::memchr(b' ', rest.get(..rest.len().min(20)).unwrap_or_default()) {
            let length: Option<usize> = rest
                .get(..blank)
                .and_then(|digits| std::str::from_utf8(digits).ok())
                .and_then(|digits| digits.parse().ok());
            let record = length.and_then(|length| rest.get(blank.saturating_add(1)..length));
            let (Some(length), Some(record)) = (length, record) else {
                return;
            };
            let record = record.strip_suffix(b"\n").unwrap_or(record);
            if let Some(equals) = memchr::memchr(b'=', record) {
                let (key, value) = record.split_at(equals);
                let value = value.get(1..).unwrap_or_default();
                match key {
                    b"path" => self.name = Some(value.to_vec()),
                    b"size" => {
                        self.size = std::str::from_utf8(value)
                            .ok()
                            .and_then(|digits| digits.parse().ok());
                    }
                    _ => self.sparse |= key.starts_with(b"GNU.sparse."),
                }
            }
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn name_of(header: &[u8; BLOCK]) -> Vec<u8> {
    let field = |from: usize, to: usize| until_nul(header.get(from..to).unwrap_or_default());
    let prefix = if header.get(257..263) == Some(b"ustar\0") {
        field(345, 500)
    } else {
        b""
    };
    let mut name = prefix.to_vec();
    if !name.is_empty() {
        name.push(b'/');
    }
    name.extend_from_slice(field(0, 100));
    name
}

/// The size of a header whose checksum is right. Some old writers summed signed bytes.
fn checked_size(header: &[u8; BLOCK]) -> Option<u64> {
    let stated = number(header.get(148..156)?)?;
    let bytes = || {
        header
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { b' ' } else { *byte })
    };
    let unsigned: u64 = bytes().map(u64::from).sum();
    let signed: i64 = bytes().map(|byte| i64::from(byte.cast_signed())).sum();
    (stated == unsigned || i64::try_from(stated) == Ok(signed)).then_some(())?;
    number(header.get(124..136)?)
}

/// Octal digits, or GNU's binary numbers of up to 8 bytes.
fn number(field: &[u8]) -> Option<u64> {
    if let [0x80, rest @ ..] = field {
        return rest.iter().try_fold(0_u64, |sum, byte| {
            sum.checked_mul(256)
                .and_then(|sum| sum.checked_add(u64::from(*byte)))
        });
    }
    let digits = field.trim_ascii_start();
    let end = digits
        .iter()
        .position(|byte| !(b'0'..=b'7').contains(byte))
        .unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    if !rest.iter().all(|byte| matches!(byte, 0 | b' ')) {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, byte| {
        sum.checked_mul(8)
            .and_then(|sum| sum.checked_add(u64::from(byte - b'0')))
    })
}
