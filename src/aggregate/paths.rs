//! Which paths were routed and which were not, as short templates, to find those that differ in letter case
//! alone. Presence is kept, not counts: a path that was seen once is seen.

use super::Merge;
use super::bounded::{Bounded, Key};
use super::fingerprint::short_hash;
use super::{stable_hash, stable_hash_with, text};
use std::collections::BTreeMap;

/// Authority and case-folded path template pairs kept.
pub const LIMIT: usize = 4096;

/// Spellings kept of one template: the first in byte order, which any order of rows keeps alike.
const SPELLINGS: usize = 8;

/// Slots of the filter of what was seen lately; a power of two.
const RECENT: usize = 4096;

/// Slots of the filter of how paths began lately; a power of two.
const RECENT_HEADS: usize = 2048;

/// Bytes by which that filter knows a path, unless it says that more of them decide. So few that they seldom hold a part of
/// an id: each id would be a head of its own (16 bytes of `/v1/orders/853202` are).
const HEAD_BYTES: usize = 8;

/// Longest part of a path that is looked at.
const PREFIX_BYTES: usize = 96;

/// Authority and template in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathKey {
    /// Authority as written.
    pub authority: String,
    /// Template in ASCII lower case.
    pub folded: String,
}

impl Key for PathKey {
    type Lump = ();

    fn key_hash(&self) -> u64 {
        stable_hash_with(stable_hash(self.authority.as_bytes()), self.folded.as_bytes())
    }

    fn lump(&self) {}
}

/// What was seen of one spelling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// A row with this path found a route.
    pub routed: bool,
    /// A row with this path found none.
    pub unrouted: bool,
    /// Methods of rows with this path that a policy refused.
    pub refused: Methods,
}

/// A set of methods of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Methods(u16);

/// Methods that are told apart (RFC 9110, section 9; RFC 5789); all others are one.
const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

impl Methods {
    /// The set of one.
    fn one(method: &[u8]) -> Self {
        let known = METHODS.iter().position(|known| known.as_bytes() == method);
        Self(1 << known.unwrap_or(METHODS.len()))
    }

    /// True if there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Their names, without those that are not told apart.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let set = self.0;
        METHODS
            .into_iter()
            .enumerate()
            .filter(move |(bit, _)| set & (1 << bit) != 0)
            .map(|(_, name)| name)
    }
}

/// The spellings of one template.
#[derive(Clone, Debug, Default)]
pub struct Spellings(pub BTreeMap<String, Seen>);

impl Merge for Spellings {
    fn merge(&mut self, other: Self) {
        for (spelling, seen) in other.0 {
            let mine = self.0.entry(spelling).or_default();
            mine.routed |= seen.routed;
            mine.unrouted |= seen.unrouted;
            mine.refused.0 |= seen.refused.0;
        }
        while self.0.len() > SPELLINGS {
            self.0.pop_last();
        }
    }
}

/// The paths of all rows.
#[derive(Clone, Debug)]
pub struct Paths {
    table: Bounded<PathKey, Spellings>,
    recent: Filter,
    /// Paths that begin like this have a template that was seen: for most rows nothing more is looked at.
    recent_heads: Filter,
    /// By slot of `recent_heads`, how many bytes decide if the head does not, else 0.
    decided_by: Vec<u8>,
}

/// Hashes that were seen lately: each is remembered until another one takes its slot.
#[derive(Clone, Debug, Default)]
struct Filter(Vec<u64>);

impl Filter {
    #[inline]
    fn slot(hash: u64, slots: usize) -> usize {
        usize::try_from(hash % slots as u64).unwrap_or(0)
    }

    #[inline]
    fn has(&self, hash: u64, slots: usize) -> bool {
        self.0.get(Self::slot(hash, slots)) == Some(&hash)
    }

    fn put(&mut self, hash: u64, slots: usize) {
        if self.0.is_empty() {
            self.0.resize(slots, 0);
        }
        if let Some(last) = self.0.get_mut(Self::slot(hash, slots)) {
            *last = hash;
        }
    }
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            table: Bounded::new(LIMIT),
            recent: Filter::default(),
            recent_heads: Filter::default(),
            decided_by: Vec::new(),
        }
    }
}

impl Paths {
    /// What [`Paths::note`] wants to know of an authority.
    pub fn seed(authority: &[u8], routed: bool) -> u64 {
        stable_hash_with(u64::from(routed), authority)
    }

    /// Notes a path; `seed` is [`Paths::seed`] of the other two.
    #[expect(
        clippy::inline_always,
        reason = "steps of the row loop, which mostly end at their first test"
    )]
    #[inline(always)]
    pub fn note(&mut self, seed: u64, authority: &[u8], path: &[u8], routed: bool) {
        let head = short_hash(seed, path.get(..HEAD_BYTES).unwrap_or(path));
        if !(self.recent_heads.has(head, RECENT_HEADS) && self.is_decided(seed, head, path)) {
            self.note_template(seed, head, authority, path, routed);
        }
    }

    /// Whether a path with a known head has a template that was seen.
    #[expect(
        clippy::inline_always,
        reason = "steps of the row loop, which mostly end at their first test"
    )]
    #[inline(always)]
    fn is_decided(&self, seed: u64, head: u64, path: &[u8]) -> bool {
        let slot = Filter::slot(head, RECENT_HEADS);
        match self.decided_by.get(slot).copied().map(usize::from) {
            None | Some(0) => true,
            Some(bytes) => path
                .get(..bytes)
                .is_some_and(|begin| self.recent_heads.has(short_hash(seed, begin), RECENT_HEADS)),
        }
    }

    fn note_template(&mut self, seed: u64, head: u64, authority: &[u8], path: &[u8], routed: bool) {
        let (template, decided_by) = template(path);
        let hash = short_hash(seed, template);
        if !self.recent.has(hash, RECENT) {
            self.recent.put(hash, RECENT);
            let seen = Seen {
                routed,
                unrouted: !routed,
                ..Seen::default()
            };
            self.remember(authority, template, seen);
        }
        if decided_by <= HEAD_BYTES || path.len() < HEAD_BYTES {
            self.put_head(head, 0);
        } else if let (Ok(bytes), Some(begin)) = (u8::try_from(decided_by), path.get(..decided_by)) {
            self.put_head(short_hash(seed, begin), 0);
            self.put_head(head, bytes);
        }
    }

    /// Remembers a beginning of paths; `decided_by` bytes of a path tell whether its template was seen, 0 where the
    /// beginning itself does.
    fn put_head(&mut self, head: u64, decided_by: u8) {
        self.recent_heads.put(head, RECENT_HEADS);
        self.decided_by.resize(RECENT_HEADS, 0);
        if let Some(bytes) = self.decided_by.get_mut(Filter::slot(head, RECENT_HEADS)) {
            *bytes = decided_by;
        }
    }

    #[cold]
    fn remember(&mut self, authority: &[u8], template: &[u8], seen: Seen) {
        let spelling = text(template);
        let key = PathKey {
            authority: text(authority),
            folded: spelling.to_ascii_lowercase(),
        };
        self.table.add(key, Spellings(BTreeMap::from([(spelling, seen)])));
    }

    /// Notes that a policy refused a path; `seed` is as for [`Paths::note`].
    pub fn note_refused(&mut self, seed: u64, authority: &[u8], path: &[u8], method: &[u8]) {
        let (template, _) = template(path);
        let refused = Methods::one(method);
        let hash = short_hash(seed ^ u64::from(refused.0).rotate_left(32), template);
        if !self.recent.has(hash, RECENT) {
            self.recent.put(hash, RECENT);
            let seen = Seen {
                refused,
                ..Seen::default()
            };
            self.remember(authority, template, seen);
        }
    }

    /// Adds other paths.
    pub fn absorb(&mut self, other: Self) {
        self.table.absorb(other.table);
    }

    /// The table.
    pub fn table(&self) -> &Bounded<PathKey, Spellings> {
        &self.table
    }
}

/// The first two segments of a path without its query, ending before a segment that looks like an id (longer
/// than three bytes with a digit in it): `/api/v1/items/7?x=1` gives `/api/v1`, `/ratings/42` gives `/ratings`.
/// Told with it: whatever follows this many bytes of the path, it would be the same.
fn template(path: &[u8]) -> (&[u8], usize) {
    let up_to = |kept| path.get(..kept).unwrap_or(path);
    let looked_at = path.get(..path.len().min(PREFIX_BYTES)).unwrap_or(path);
    let (mut kept, mut start, mut digits, mut segments) = (0, 1, 0, 0);
    for (at, &byte) in looked_at.iter().enumerate().skip(1) {
        match byte {
            b'/' | b'?' | b'#' => {
                if looks_like_an_id(at - start, digits) {
                    return (up_to(kept), at + 1);
                }
                kept = at;
                segments += 1;
                if segments == 2 || byte != b'/' {
                    return (up_to(kept), at + 1);
                }
                (start, digits) = (at + 1, 0);
            }
            b'0'..=b'9' => digits += 1,
            _ => {}
        }
    }
    let rest = looked_at.len().saturating_sub(start);
    if rest > 0 && !looks_like_an_id(rest, digits) {
        kept = looked_at.len();
    }
    (up_to(kept), usize::MAX)
}

fn looks_like_an_id(length: usize, digits: usize) -> bool {
    digits > 0 && (length > 3 || digits == length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn templates() {
        let cases: [(&str, &str); 7] = [
            ("/ratings/42", "/ratings"),
            ("/api/v1/items/7?x=1", "/api/v1"),
            ("/Ratings/abc/def", "/Ratings/abc"),
            ("/", ""),
            ("", ""),
            ("/a?b", "/a"),
            ("/0123/x", ""),
        ];
        for (path, expected) in cases {
            assert_eq!(text(template(path.as_bytes()).0), expected, "{path}");
        }
    }

    #[test]
    fn what_a_policy_refused() {
        let mut noted = Paths::default();
        let seed = Paths::seed(b"web", true);
        for method in [&b"GET"[..], b"DELETE", b"GET", b"BREW"] {
            noted.note(seed, b"web", b"/orders/17", true);
            noted.note_refused(seed, b"web", b"/orders/17", method);
        }
        let (_, spellings) = noted.table().iter().next().unwrap();
        let seen = spellings.0["/orders"];
        assert!(seen.routed && !seen.unrouted && !seen.refused.is_empty());
        assert_eq!(seen.refused.names().collect::<Vec<_>>(), ["GET", "DELETE"]);
    }

    proptest! {
        #[test]
        fn what_decides_a_template_decides_it(path in "/[a-z0-9/?]{0,40}", more in "[a-z0-9/?]{0,20}") {
            let (kept, decided_by) = template(path.as_bytes());
            if let Some(head) = path.get(..decided_by) {
                let other = format!("{head}{more}");
                prop_assert_eq!(template(other.as_bytes()), (kept, decided_by));
            }
        }

        #[test]
        fn every_path_is_noted(paths in prop::collection::vec("/[ab1]{0,3}(/[ab1]{0,12}){0,3}", 0..300)) {
            let mut noted = Paths::default();
            for path in &paths {
                noted.note(Paths::seed(b"a", true), b"a", path.as_bytes(), true);
            }
            let mut expected: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for path in &paths {
                let spelling = text(template(path.as_bytes()).0);
                expected.entry(spelling.to_ascii_lowercase()).or_default().insert(spelling);
            }
            let found: Vec<&String> = noted.table().iter().map(|(key, _)| &key.folded).collect();
            prop_assert_eq!(found, expected.keys().collect::<Vec<_>>());
        }
    }
}
