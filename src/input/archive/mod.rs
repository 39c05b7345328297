//! Archives to their members: tar, tar in gzip or Zstandard, and zip, told by content, one within the other.
//!
//! [`list`] finds the members of an archive, each with where its bytes are; [`Member`] opens one. Nothing is ever written
//! to disk, so a member's name is a name and nothing else, whatever folders it claims to climb to.
//!
//! What lies in a file or in memory is read from any place, by several threads at once. A compressed tar has no places:
//! listing decompresses it once, and keeps it in memory as long as all archives together fit into [`HELD_BYTES`]. What
//! does not fit is decompressed once more when it is read, its members in their order.

mod content;
mod store;
mod tar;
mod zip;

use super::decompress::Decompressor;
use super::sniff::{self, ArchiveKind, SourceKind};
use content::{Content, Stream};
use std::cell::Cell;
use std::fmt::Write as _;
use std::io::{self, Cursor, Read};
use std::path::Path;
use store::{Store, StoreReader};
use tar::{End, EntryKind, TarInput};

/// Bounds on what is read of archives.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArchiveLimits {
    /// Archives within archives.
    pub(super) depth: usize,
    /// Members of one file, those of archives within it counted too.
    pub(super) members: usize,
    /// Decompressed bytes of one archive.
    pub(super) size_bytes: u64,
    /// Decompressed bytes for each stored one, beyond [`Self::free_bytes`].
    pub(super) ratio: u64,
    /// Decompressed bytes that are read whatever the ratio.
    pub(super) free_bytes: u64,
}

/// Decompressed bytes of archives that are held in memory, in all.
pub(super) const HELD_BYTES: u64 = 64 << 20;

impl Default for ArchiveLimits {
    /// Deflate reaches a ratio of 1,032 with nothing but repetition; logs of the same rows over and over stay below half
    /// of that. A bug report has some hundred members and at most some gigabytes. The rest are guesses with room.
    fn default() -> Self {
        Self {
            depth: 4,
            members: 20_000,
            size_bytes: 256 << 30,
            ratio: 500,
            free_bytes: 64 << 20,
        }
    }
}

/// A member of an archive: where it lies, and how its bytes are got.
#[derive(Clone, Debug)]
pub struct Member {
    /// The archive's name in reports.
    pub archive: String,
    /// Its path in the archive as reports show it; `!` stands behind an archive within the archive.
    pub path: String,
    content: Content,
}

impl Member {
    /// Its bytes.
    pub(super) fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        self.content.open()
    }

    /// True where it is reached only by reading all members before it.
    pub fn is_in_order(&self) -> bool {
        self.content.is_streamed()
    }
}

/// A member that was found.
#[derive(Debug)]
pub(super) struct Found {
    /// Names of the archives within the archive, then its own.
    pub(super) path: Vec<Vec<u8>>,
    /// Bytes when decompressed as far as the archive goes.
    pub(super) size_bytes: u64,
    content: Content,
}

impl Found {
    pub(super) fn into_member(self, archive: String, path: String) -> Member {
        Member {
            archive,
            path,
            content: self.content,
        }
    }
}

/// What an archive holds.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) found: Vec<Found>,
    /// Damage, by offset in the decompressed archive.
    pub(super) problems: Vec<(u64, String)>,
    /// Files whose names begin with a dot.
    pub(super) hidden: u64,
    /// Links, devices and pipes.
    special: u64,
    /// Problems beyond those that are listed.
    more_problems: u64,
}

/// Problems of one archive that are listed one by one.
const PROBLEMS: usize = 16;

impl Listing {
    fn problem(&mut self, offset: u64, what: String) {
        if self.problems.len() < PROBLEMS {
            self.problems.push((offset, what));
        } else {
            self.more_problems += 1;
        }
    }
}

/// What is left of the bounds that all archives of a run share.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) limits: ArchiveLimits,
    held_bytes: Cell<u64>,
}

impl Budget {
    pub(super) fn new(limits: ArchiveLimits, held_bytes: u64) -> Self {
        Self {
            limits,
            held_bytes: Cell::new(held_bytes),
        }
    }

    fn hold(&self, bytes: u64) -> bool {
        let left = self.held_bytes.get().checked_sub(bytes);
        if let Some(left) = left {
            self.held_bytes.set(left);
        }
        left.is_some()
    }
}

/// The members of a file that is an archive; `None` if it is none or cannot be read.
pub(super) fn list(path: &Path, size_bytes: u64, budget: &Budget) -> Option<Listing> {
    list_store(&Store::of_file(path, size_bytes), budget)
}

fn list_store(store: &Store, budget: &Budget) -> Option<Listing> {
    let kind = kind_of(&Content::Stored(store.clone()))?;
    let mut listing = Listing::default();
    list_kind(store, kind, &[], budget, &mut listing);
    if listing.special > 0 {
        let what = format!(
            "{} links, devices or pipes in the archive were passed over",
            listing.special
        );
        listing.problem(0, what);
    }
    if listing.more_problems > 0 {
        let what = format!(
            "{} more problems in the archive, not listed",
            listing.more_problems
        );
        listing.problems.push((u64::MAX, what));
    }
    listing.problems.sort();
    listing
        .problems
        .iter_mut()
        .for_each(|(offset, _)| *offset = if *offset == u64::MAX { 0 } else { *offset });
    Some(listing)
}

/// Lists an archive of any kind that a random-access store holds.
fn list_kind(store: &Store, kind: Kind, within: &[Vec<u8>], budget: &Budget, listing: &mut Listing) {
    let before = listing.found.len();
    let listed = match kind {
        Kind {
            archive: ArchiveKind::Zip,
            compressed: false,
        } => list_zip(store, within, budget, listing),
        Kind {
            archive: ArchiveKind::Tar,
            compressed: false,
        } => list_tar(store, within, budget, listing),
        Kind { compressed: true, .. } => list_compressed(store, kind.archive, within, budget, listing),
    };
    if let Err(error) = listed {
        let what = format!(
            "{}{error}: members found before are used; copy the file again",
            in_words(within)
        );
        listing.problem(0, what);
    }
    expand_nested(before, within, budget, listing);
}

/// Puts the members of archives among the members found since `before` in their place.
fn expand_nested(before: usize, within: &[Vec<u8>], budget: &Budget, listing: &mut Listing) {
    let fresh = listing.found.split_off(before.min(listing.found.len()));
    for found in fresh {
        // What is in a stream was looked at in passing.
        let kind = Some(&found.content)
            .filter(|content| !content.is_streamed())
            .and_then(kind_of);
        let Some(kind) = kind else {
            listing.found.push(found);
            continue;
        };
        nested(&found, kind, within, budget, listing);
    }
}

fn nested(found: &Found, kind: Kind, within: &[Vec<u8>], budget: &Budget, listing: &mut Listing) {
    let name = in_words(&found.path);
    if within.len().saturating_add(1) >= budget.limits.depth {
        let what = format!(
            "{name}archives lie within archives deeper than {}: it is not read; unpack it",
            budget.limits.depth
        );
        return listing.problem(0, what);
    }
    let store = match &found.content {
        Content::Stored(store) => Some(store.clone()),
        other => held(other, budget),
    };
    match store {
        Some(store) => list_kind(&store, kind, &found.path, budget, listing),
        None => listing.problem(
            0,
            format!("{name}an archive within an archive that is too large to be held: unpack it and give the folder"),
        ),
    }
}

/// Reads a member into memory, if it may be held there.
fn held(content: &Content, budget: &Budget) -> Option<Store> {
    let len = content.len();
    if len > HELD_BYTES || !budget.hold(len) {
        return None;
    }
    let mut bytes = Vec::new();
    // What can be read before damage is used; the damage shows as a cut archive.
    let _ = content.open().ok()?.take(len).read_to_end(&mut bytes);
    Some(Store::of_memory(bytes))
}

/// Which archive, and whether it is compressed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    archive: ArchiveKind,
    compressed: bool,
}

/// Looks at the first bytes of a file or member.
fn kind_of(content: &Content) -> Option<Kind> {
    let mut head = Vec::new();
    let bytes = content.open().ok()?;
    bytes.take(sniff::HEAD_BYTES as u64).read_to_end(&mut head).ok()?;
    if super::decompress::is_compressed(&head) {
        // A block of Zstandard may be longer than the head, and gives nothing before its end.
        return compressed_kind(content.open().ok()?);
    }
    archive_kind(&head)
}

/// The kind of an archive that begins with `head`; of a compressed one as far as the head goes.
fn archive_kind(head: &[u8]) -> Option<Kind> {
    if super::decompress::is_compressed(head) {
        return compressed_kind(Box::new(Cursor::new(head.to_vec())));
    }
    sniffed(head, false)
}

fn compressed_kind(stream: Box<dyn Read + Send>) -> Option<Kind> {
    let mut decoder = Decompressor::new(stream).ok()?;
    let mut plain = vec![0; sniff::HEAD_BYTES];
    let mut filled = 0;
    while let Some(rest) = plain.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match decoder.read(rest) {
            0 => break,
            count => filled += count,
        }
    }
    sniffed(plain.get(..filled).unwrap_or_default(), true)
}

fn sniffed(head: &[u8], compressed: bool) -> Option<Kind> {
    match sniff::sniff(head).kind {
        SourceKind::Archive(archive) => Some(Kind { archive, compressed }),
        _ => None,
    }
}

/// `a.tgz!b.zip: `, for the beginning of a problem.
fn in_words(path: &[Vec<u8>]) -> String {
    let mut text = shown_path(path);
    if !text.is_empty() {
        text.push_str(": ");
    }
    text
}

/// A path in an archive as reports show it.
pub(super) fn shown_path(path: &[Vec<u8>]) -> String {
    let mut text = String::new();
    for (number, name) in path.iter().enumerate() {
        let mut name = name.as_slice();
        // `tar -c .` puts it before every name.
        while let Some(rest) = name.strip_prefix(b"./") {
            name = rest;
        }
        let mark = if number == 0 { "" } else { "!" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{mark}{}", super::naming::escaped_bytes(name));
    }
    text
}

struct Seeking(StoreReader, u64);

impl TarInput for Seeking {
    fn fill(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = fill_from(&mut self.0, out)?;
        self.1 = self.1.saturating_sub(count as u64);
        Ok(count)
    }

    fn skip(&mut self, count: u64) -> io::Result<u64> {
        let there = count.min(self.1);
        self.0.skip(there)?;
        self.1 -= there;
        Ok(there)
    }
}

fn fill_from(input: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = out.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

fn list_tar(store: &Store, within: &[Vec<u8>], budget: &Budget, listing: &mut Listing) -> io::Result<()> {
    let mut input = Seeking(store.open()?, store.len());
    let content = |start, len| Content::Stored(store.part(start, len));
    // The bytes are at hand: heads are looked at when nested archives are.
    let end = walk_tar(&mut input, within, budget, listing, 0, &mut |entry, _| {
        content(entry.start, entry.len)
    })?;
    tell_end(end, within, listing);
    Ok(())
}

fn tell_end((end, at): (End, u64), within: &[Vec<u8>], listing: &mut Listing) {
    let archive = in_words(within);
    let last = listing
        .found
        .last()
        .map(|found| shown_path(&found.path))
        .unwrap_or_default();
    let what = match end {
        End::Marked => return,
        End::Stopped => {
            format!("{archive}the tar archive has more members than are read: unpack it and give the folder")
        }
        End::Unmarked => format!(
            "{archive}the tar archive ends at byte {at} without its end mark: it may have been cut off after {last}; all before is \
             used"
        ),
        End::Cut => format!(
            "{archive}the tar archive is cut off at byte {at}, in or after {last}: all before is used; fetch the archive again"
        ),
        End::Damaged => format!(
            "{archive}the tar archive is damaged at byte {at}, after {last}: all before is used, nothing after; check it with \
             `tar -tf` and fetch it again"
        ),
    };
    listing.problem(at, what);
}

/// Walks a tar and adds what it holds to the listing, with the content that `content` gives.
fn walk_tar(
    input: &mut impl TarInput,
    within: &[Vec<u8>],
    budget: &Budget,
    listing: &mut Listing,
    head_bytes: usize,
    content: &mut impl FnMut(&tar::Entry, usize) -> Content,
) -> io::Result<(End, u64)> {
    tar::walk(input, head_bytes, &mut |entry| {
        match entry.kind {
            EntryKind::Folder => {}
            EntryKind::Special => listing.special += 1,
            EntryKind::Sparse => {
                let what = format!(
                    "{}a file with holes: unpack it with GNU tar",
                    in_words(&joined(within, &entry.name))
                );
                listing.problem(entry.start, what);
            }
            EntryKind::File if is_hidden(&entry.name) => listing.hidden += 1,
            EntryKind::File => {
                if listing.found.len() >= budget.limits.members {
                    return false;
                }
                if entry.len < entry.stated_bytes {
                    let what = format!(
                        "{}the archive ends after {} of its {} bytes: these are used",
                        in_words(&joined(within, &entry.name)),
                        entry.len,
                        entry.stated_bytes
                    );
                    listing.problem(entry.start, what);
                }
                let number = listing.found.len();
                listing.found.push(Found {
                    path: joined(within, &entry.name),
                    size_bytes: entry.len,
                    content: content(&entry, number),
                });
            }
        }
        true
    })
}

fn joined(within: &[Vec<u8>], name: &[u8]) -> Vec<Vec<u8>> {
    within.iter().cloned().chain([name.to_vec()]).collect()
}

/// As in folders: a part that begins with a dot (and is not a way up or nowhere).
fn is_hidden(name: &[u8]) -> bool {
    name.split(|byte| *byte == b'/')
        .any(|part| part.starts_with(b".") && part != b"." && part != b"..")
}

/// A compressed archive that is listed as it is decompressed, and kept as long as it fits.
struct Streaming<'b> {
    decoder: Decompressor,
    kept: Option<Vec<u8>>,
    budget: &'b Budget,
    /// Bytes of the budget that are taken.
    taken: u64,
    position: u64,
    refused: bool,
}

/// The budget is asked for so much at a time.
const HELD_STEP_BYTES: u64 = 1 << 20;

impl Streaming<'_> {
    fn read(&mut self, out: &mut [u8]) -> usize {
        if self.refused {
            return 0;
        }
        let count = self.decoder.read(out);
        self.position = self.position.saturating_add(count as u64);
        let limits = &self.budget.limits;
        let stored = self.decoder.stored_bytes_read().max(1);
        let free = self.position <= limits.free_bytes;
        self.refused = self.position > limits.size_bytes || (!free && self.position / stored > limits.ratio);
        self.keep(out.get(..count).unwrap_or_default());
        count
    }

    fn keep(&mut self, bytes: &[u8]) {
        let Some(kept) = &mut self.kept else { return };
        while self.taken < self.position {
            if !self.budget.hold(HELD_STEP_BYTES) {
                self.kept = None;
                self.give_back();
                return;
            }
            self.taken += HELD_STEP_BYTES;
        }
        if kept.capacity() == 0 {
            // All that may be wanted at once: what is not written to takes no memory, and growing would leave copies behind.
            let more = self.taken.saturating_add(self.budget.held_bytes.get());
            kept.reserve_exact(usize::try_from(more).unwrap_or(0));
        }
        kept.extend_from_slice(bytes);
    }

    fn give_back(&mut self) {
        self.budget
            .held_bytes
            .set(self.budget.held_bytes.get().saturating_add(self.taken));
        self.taken = 0;
    }
}

impl TarInput for Streaming<'_> {
    fn fill(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = out.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.read(rest) {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }

    fn skip(&mut self, count: u64) -> io::Result<u64> {
        let mut passed = vec![0; usize::try_from(count).unwrap_or(usize::MAX).min(64 << 10)];
        let mut left = count;
        while left > 0 {
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(passed.len());
            match self.read(passed.get_mut(..step).unwrap_or_default()) {
                0 => break,
                count => left = left.saturating_sub(count as u64),
            }
        }
        Ok(count - left)
    }
}

fn list_compressed(
    store: &Store,
    kind: ArchiveKind,
    within: &[Vec<u8>],
    budget: &Budget,
    listing: &mut Listing,
) -> io::Result<()> {
    let mut input = Streaming {
        decoder: Decompressor::new(Box::new(store.open()?))?,
        kept: Some(Vec::new()),
        budget,
        taken: 0,
        position: 0,
        refused: false,
    };
    let before = listing.found.len();
    let stream = Stream::new(store.clone());
    // Of those that stay in a stream: which are archives themselves.
    let mut archives: Vec<(usize, Kind)> = Vec::new();
    let end = if kind == ArchiveKind::Tar {
        let mut content = |entry: &tar::Entry, number: usize| {
            archives.extend(archive_kind(&entry.head).map(|kind| (number, kind)));
            Content::Streamed {
                stream: std::sync::Arc::clone(&stream),
                start: entry.start,
                len: entry.len,
            }
        };
        Some(walk_tar(
            &mut input,
            within,
            budget,
            listing,
            sniff::HEAD_BYTES,
            &mut content,
        )?)
    } else {
        None
    };
    // Behind the end mark stand blocks of NULs; a zip is read whole to be held.
    input.skip(if kind == ArchiveKind::Tar {
        1 << 20
    } else {
        u64::MAX
    })?;
    let (refused, position) = (input.refused, input.position);
    if let Some(damage) = input.decoder.damage() {
        listing.problem(position, format!("{}{damage}", in_words(within)));
    } else if refused {
        let what = format!(
            "{}decompressing was stopped after {position} bytes: it grows beyond any log ({} times its size is the bound); what \
             came before is used",
            in_words(within),
            budget.limits.ratio
        );
        listing.problem(position, what);
    } else if let Some(end) = end {
        tell_end(end, within, listing);
    }
    match (input.kept.take(), kind) {
        (Some(bytes), ArchiveKind::Zip) => list_zip(&Store::of_memory(bytes), within, budget, listing)?,
        (None, ArchiveKind::Zip) => {
            let what = format!(
                "{}a compressed zip that is too large to be held: decompress it first",
                in_words(within)
            );
            listing.problem(0, what);
        }
        (Some(bytes), ArchiveKind::Tar) => {
            let whole = Store::of_memory(bytes);
            for found in listing.found.iter_mut().skip(before) {
                if let Content::Streamed { start, len, .. } = found.content {
                    found.content = Content::Stored(whole.part(start, len));
                }
            }
        }
        (None, ArchiveKind::Tar) => {
            let fresh = listing.found.split_off(before.min(listing.found.len()));
            for (number, found) in (before..).zip(fresh) {
                match archives.iter().find(|(archive, _)| *archive == number) {
                    Some((_, kind)) => nested(&found, *kind, within, budget, listing),
                    None => listing.found.push(found),
                }
            }
        }
    }
    Ok(())
}

fn list_zip(store: &Store, within: &[Vec<u8>], budget: &Budget, listing: &mut Listing) -> io::Result<()> {
    let limits = &budget.limits;
    let room = limits.members.saturating_sub(listing.found.len());
    let directory = zip::directory(store, room)?;
    let mut total = 0_u64;
    for entry in directory.entries {
        let path = joined(within, &entry.name);
        if entry.name.ends_with(b"/") {
            continue;
        }
        if entry.special {
            listing.special += 1;
            continue;
        }
        if is_hidden(&entry.name) {
            listing.hidden += 1;
            continue;
        }
        let stored = store.part(entry.start, entry.stored_bytes);
        let size = match entry.method {
            zip::STORED => stored.len(),
            _ => entry.size_bytes,
        };
        if !entry.encrypted && size != u64::MAX {
            total = total.saturating_add(size);
        }
        let too_much = total > limits.size_bytes
            || (total > limits.free_bytes && total / store.len().max(1) > limits.ratio);
        let why = if entry.encrypted {
            "is encrypted"
        } else if entry.method != zip::STORED && entry.method != zip::DEFLATED {
            "is compressed in a form that is not read"
        } else if too_much {
            "would make the archive grow beyond any log"
        } else {
            ""
        };
        if !why.is_empty() {
            listing.problem(
                entry.header,
                format!(
                    "{}{why}: it is not read; unpack it with `unzip` and give the folder",
                    in_words(&path)
                ),
            );
            continue;
        }
        if stored.len() < entry.stored_bytes {
            listing.problem(
                entry.header,
                format!(
                    "{}the archive ends within it: what is there is used",
                    in_words(&path)
                ),
            );
        }
        let content = if entry.method == zip::STORED {
            Content::Stored(stored)
        } else {
            Content::Deflated {
                // A bound even where the size is not known.
                size_bytes: size.min(stored.len().saturating_mul(limits.ratio).max(limits.free_bytes)),
                store: stored,
                crc: entry.crc,
            }
        };
        listing.found.push(Found {
            path,
            size_bytes: content.len(),
            content,
        });
    }
    if let Some((offset, what)) = directory.damage {
        listing.problem(
            offset,
            format!("{}the zip archive at byte {offset}: {what}", in_words(within)),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
