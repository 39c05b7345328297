//! The directory of a zip archive (APPNOTE.TXT 6.3.10 of PKWARE, sections 4.3 and 4.5), with the fields of zip64.
//!
//! The directory at the end counts. Where it is missing, as in an archive that was cut off, the headers before the
//! members are walked instead.

use super::store::Store;
use std::io;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    /// Where its header stands.
    pub(super) header: u64,
    /// Where its bytes begin.
    pub(super) start: u64,
    /// Bytes as stored.
    pub(super) stored_bytes: u64,
    /// Bytes when decompressed.
    pub(super) size_bytes: u64,
    pub(super) crc: Option<u32>,
    pub(super) method: u16,
    pub(super) encrypted: bool,
    /// A link or device.
    pub(super) special: bool,
}

/// What a directory says.
#[derive(Debug, Default)]
pub(super) struct Directory {
    pub(super) entries: Vec<Entry>,
    /// Where it is damaged or missing, and what.
    pub(super) damage: Option<(u64, &'static str)>,
}

pub(super) const STORED: u16 = 0;
pub(super) const DEFLATED: u16 = 8;

const END: &[u8] = b"PK\x05\x06";
const END_BYTES: usize = 22;
const CENTRAL: &[u8] = b"PK\x01\x02";
const CENTRAL_BYTES: usize = 46;
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_BYTES: usize = 30;

/// A comment of 65,535 bytes may follow the end record, whose locator of zip64 has 20 bytes.
const TAIL_BYTES: usize = END_BYTES + 65_535 + 20;

/// Longest directory that is read.
const DIRECTORY_BYTES_MAX: u64 = 32 << 20;

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|chunk| u16::from_le_bytes(*chunk))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|chunk| u32::from_le_bytes(*chunk))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|chunk| u64::from_le_bytes(*chunk))
}

/// Reads at most `entries_max` entries.
pub(super) fn directory(store: &Store, entries_max: usize) -> io::Result<Directory> {
    let tail_start = store.len().saturating_sub(TAIL_BYTES as u64);
    let tail = store.read_at(tail_start, TAIL_BYTES)?;
    let Some(end) = memchr::memmem::rfind(&tail, END) else {
        return from_local_headers(store, entries_max);
    };
    let Some((start, len)) = place_of_directory(store, &tail, end)? else {
        return from_local_headers(store, entries_max);
    };
    let bytes = store.read_at(
        start,
        usize::try_from(len.min(DIRECTORY_BYTES_MAX)).unwrap_or(usize::MAX),
    )?;
    let mut directory = Directory::default();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.starts_with(CENTRAL)) {
        let parsed = central(rest);
        let Some((mut entry, next)) = parsed else {
            directory.damage = Some((start.saturating_add(at as u64), "the directory is damaged here"));
            break;
        };
        if directory.entries.len() >= entries_max {
            directory.damage = Some((
                start.saturating_add(at as u64),
                "it has more members than are read",
            ));
            break;
        }
        let local = store.read_at(entry.header, LOCAL_BYTES)?;
        match (local.starts_with(LOCAL), u16_at(&local, 26), u16_at(&local, 28)) {
            (true, Some(name), Some(extra)) => {
                let head = LOCAL_BYTES as u64 + u64::from(name) + u64::from(extra);
                entry.start = entry.header.saturating_add(head);
                directory.entries.push(entry);
            }
            _ => directory.damage = Some((entry.header, "no member begins where the directory says")),
        }
        at = at.saturating_add(next);
    }
    if directory.entries.is_empty() && directory.damage.is_none() && len > 0 {
        return from_local_headers(store, entries_max);
    }
    Ok(directory)
}

/// Where the directory is and how long, from the end record or that of zip64.
fn place_of_directory(store: &Store, tail: &[u8], end: usize) -> io::Result<Option<(u64, u64)>> {
    let record = tail.get(end..).unwrap_or_default();
    let (Some(len), Some(start)) = (u32_at(record, 12), u32_at(record, 16)) else {
        return Ok(None);
    };
    if len != u32::MAX && start != u32::MAX {
        return Ok(Some((u64::from(start), u64::from(len))));
    }
    let locator = end.checked_sub(20).and_then(|at| tail.get(at..end));
    let Some(at) = locator
        .filter(|locator| locator.starts_with(b"PK\x06\x07"))
        .and_then(|locator| u64_at(locator, 8))
    else {
        return Ok(None);
    };
    let record = store.read_at(at, 56)?;
    let place = u64_at(&record, 48).zip(u64_at(&record, 40));
    Ok(place.filter(|_| record.starts_with(b"PK\x06\x06")))
}

/// An entry of the directory and how long it is.
fn central(bytes: &[u8]) -> Option<(Entry, usize)> {
    let made_by = u16_at(bytes, 4)?;
    let flags = u16_at(bytes, 8)?;
    let name_bytes = usize::from(u16_at(bytes, 28)?);
    let extra_bytes = usize::from(u16_at(bytes, 30)?);
    let comment_bytes = usize::from(u16_at(bytes, 32)?);
    let extra_at = CENTRAL_BYTES.checked_add(name_bytes)?;
    let name = bytes.get(CENTRAL_BYTES..extra_at)?;
    let extra = bytes.get(extra_at..extra_at.checked_add(extra_bytes)?)?;
    let attributes = u32_at(bytes, 38)?;
    // The upper half is st_mode if the archive was made on Unix: links (0120000) and devices are no files.
    let file_type = (attributes >> 16) & 0o170_000;
    let mut entry = Entry {
        name: name.to_vec(),
        header: u64::from(u32_at(bytes, 42)?),
        start: 0,
        stored_bytes: u64::from(u32_at(bytes, 20)?),
        size_bytes: u64::from(u32_at(bytes, 24)?),
        crc: Some(u32_at(bytes, 16)?),
        method: u16_at(bytes, 10)?,
        encrypted: flags & 1 != 0,
        special: made_by >> 8 == 3 && !matches!(file_type, 0 | 0o100_000 | 0o040_000),
    };
    widen(&mut entry, extra);
    Some((
        entry,
        extra_at.checked_add(extra_bytes)?.checked_add(comment_bytes)?,
    ))
}

/// Takes the 64-bit fields from the extra field of zip64, which has those that do not fit, in this order.
fn widen(entry: &mut Entry, extra: &[u8]) {
    let mut rest = extra;
    while let (Some(id), Some(len)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        let end = usize::from(len).saturating_add(4);
        let body = rest.get(4..end).unwrap_or_default();
        if id == 1 {
            let mut at = 0;
            for field in [&mut entry.size_bytes, &mut entry.stored_bytes, &mut entry.header] {
                if *field == u64::from(u32::MAX)
                    && let Some(wide) = u64_at(body, at)
                {
                    *field = wide;
                    at += 8;
                }
            }
            return;
        }
        rest = rest.get(end..).unwrap_or_default();
    }
}

/// Walks the headers before the members, as far as they state where the next one is.
fn from_local_headers(store: &Store, entries_max: usize) -> io::Result<Directory> {
    let mut directory = Directory::default();
    let mut at = 0_u64;
    loop {
        let header = store.read_at(at, LOCAL_BYTES)?;
        let lengths = u16_at(&header, 26).zip(u16_at(&header, 28));
        let Some((name_bytes, extra_bytes)) = lengths.filter(|_| header.starts_with(LOCAL)) else {
            break;
        };
        if directory.entries.len() >= entries_max {
            break;
        }
        let name = store.read_at(at.saturating_add(LOCAL_BYTES as u64), usize::from(name_bytes))?;
        if name.len() < usize::from(name_bytes) {
            break;
        }
        let start = at
            .saturating_add(LOCAL_BYTES as u64)
            .saturating_add(u64::from(name_bytes))
            .saturating_add(u64::from(extra_bytes));
        let flags = u16_at(&header, 6).unwrap_or(0);
        let there = store.len().saturating_sub(start);
        // Sizes stand behind the bytes then, where nothing tells how to find them but reading all.
        let unknown = flags & 8 != 0;
        let stored = u32_at(&header, 18).map_or(0, u64::from);
        let size = u32_at(&header, 22).map_or(0, u64::from);
        let cut = unknown || stored > there;
        directory.entries.push(Entry {
            name,
            header: at,
            start,
            stored_bytes: if unknown { there } else { stored.min(there) },
            size_bytes: if unknown { u64::MAX } else { size },
            crc: None,
            method: u16_at(&header, 8).unwrap_or(u16::MAX),
            encrypted: flags & 1 != 0,
            special: false,
        });
        if cut {
            break;
        }
        at = start.saturating_add(stored);
    }
    directory.damage = Some((
        store.len(),
        "the directory at its end is missing: members are used as far as those before tell where they begin",
    ));
    Ok(directory)
}
