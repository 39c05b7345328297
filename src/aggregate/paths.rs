//! Which paths were routed and which were not, as short templates, to find those that differ in letter case
//! alone. Presence is kept, not counts: a path that was seen once is seen.

use super::Merge;
use super::bounded::{Bounded, Key};
use super::{stable_hash, stable_hash_with, text};
use std::collections::BTreeMap;

/// Authority and case-folded path template pairs kept.
pub const LIMIT: usize = 4096;

/// Spellings kept of one template: the first in byte order, which any order of rows keeps alike.
const SPELLINGS: usize = 8;

/// Slots of the filter of what was seen lately; a power of two.
const RECENT: usize = 4096;

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
    recent: Vec<u64>,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            table: Bounded::new(LIMIT),
            recent: Vec::new(),
        }
    }
}

impl Paths {
    /// Notes a path.
    #[inline]
    pub fn note(&mut self, authority: &[u8], path: &[u8], routed: bool) {
        let template = template(path);
        let hash = stable_hash_with(stable_hash(authority) ^ u64::from(routed), template);
        if self.recent.is_empty() {
            self.recent.resize(RECENT, 0);
        }
        let slot = usize::try_from(hash % RECENT as u64).unwrap_or(0);
        if let Some(last) = self.recent.get_mut(slot)
            && *last != hash
        {
            *last = hash;
            self.remember(authority, template, routed);
        }
    }

    #[cold]
    fn remember(&mut self, authority: &[u8], template: &[u8], routed: bool) {
        let spelling = text(template);
        let key = PathKey {
            authority: text(authority),
            folded: spelling.to_ascii_lowercase(),
        };
        let seen = Seen {
            routed,
            unrouted: !routed,
        };
        self.table.add(key, Spellings(BTreeMap::from([(spelling, seen)])));
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
pub fn template(path: &[u8]) -> &[u8] {
    let looked_at = path.get(..path.len().min(PREFIX_BYTES)).unwrap_or(path);
    let (mut kept, mut start, mut digits, mut segments) = (0, 1, 0, 0);
    for (at, &byte) in looked_at.iter().enumerate().skip(1) {
        match byte {
            b'/' | b'?' | b'#' => {
                if looks_like_an_id(at - start, digits) {
                    return path.get(..kept).unwrap_or(path);
                }
                kept = at;
                segments += 1;
                if segments == 2 || byte != b'/' {
                    return path.get(..kept).unwrap_or(path);
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
    path.get(..kept).unwrap_or(path)
}

fn looks_like_an_id(length: usize, digits: usize) -> bool {
    digits > 0 && (length > 3 || digits == length)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(text(template(path.as_bytes())), expected, "{path}");
        }
    }
}
