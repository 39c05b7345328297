//! One Aho–Corasick over all literals of a class of text, behind a filter that spares most texts the search.

use super::SignatureIndex;
use super::confirm::{Conditions, Text};
use super::filter::SampleFilter;
use crate::Error;
use crate::catalog::{Catalog, Signature};
use aho_corasick::automaton::Automaton;
use aho_corasick::dfa::DFA;
use aho_corasick::nfa::noncontiguous::NFA;
use aho_corasick::{Input, Match, MatchKind, dfa, nfa};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How an automaton is stored. Steps of a DFA take a third of the time; an NFA takes a twentieth of the memory
/// and of the time to build. Either is made when the first text of the class needs it: a run needs few of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speed {
    /// For texts at volume: a DFA as soon as [`NFA_BYTES`] of them were searched.
    Fast,
    /// For texts that are few.
    Small,
}

/// Bytes of texts that the NFA searches in about the time that it takes to make the DFA.
const NFA_BYTES: usize = 1 << 20;

/// Bytes that the literals of a class may have: far below what an automaton can hold, so that making one cannot fail.
const MAX_LITERAL_BYTES: usize = 1 << 26;

/// All literals of a class of text.
#[derive(Debug)]
struct Literals {
    texts: Vec<String>,
    speed: Speed,
    /// Bytes that the NFA searched, about: which of the two automata searches changes no result.
    searched_bytes: AtomicUsize,
    /// Empty where it could not be made, which [`MAX_LITERAL_BYTES`] rules out.
    nfa: OnceLock<Option<NFA>>,
    /// Empty where the literals are too many for a DFA; the NFA finds the same.
    dfa: OnceLock<Option<DFA>>,
}

/// The signatures that can occur in one class of text.
#[derive(Debug)]
pub(super) struct SearchSet {
    /// Absent where a literal is too short for it.
    filter: Option<SampleFilter>,
    literals: Literals,
    /// For each literal its signature and the place of that signature's conditions.
    owners: Vec<(SignatureIndex, usize)>,
    conditions: Vec<Conditions>,
    /// Signatures that give way to others, sorted.
    giving_way: Vec<SignatureIndex>,
}

impl SearchSet {
    /// The signatures of the catalogue for which `belongs` holds.
    pub(super) fn new(
        catalog: &Catalog,
        speed: Speed,
        belongs: impl Fn(&Signature) -> bool,
    ) -> Result<Self, Error> {
        let mut literals: Vec<&str> = Vec::new();
        let mut usual: Vec<&str> = Vec::new();
        let mut owners = Vec::new();
        let mut conditions = Vec::new();
        let mut giving_way = Vec::new();
        for (index, signature) in (0..=u16::MAX).map(SignatureIndex).zip(&catalog.signatures) {
            if !belongs(signature) {
                continue;
            }
            let at = conditions.len();
            conditions.push(Conditions::new(signature));
            giving_way.extend(conditions.last().filter(|it| it.gives_way).map(|_| index));
            usual.extend(signature.rejects.iter().map(String::as_str));
            for literal in &signature.literals {
                literals.push(literal);
                owners.push((index, at));
            }
        }
        Ok(Self {
            filter: SampleFilter::new(&literals, &usual),
            literals: Literals::new(&literals, speed)?,
            owners,
            conditions,
            giving_way,
        })
    }

    /// Whether some literal occurs in the text.
    pub(super) fn could_hit(&self, text: &[u8]) -> bool {
        self.literals.occur(text)
    }

    /// Adds the signatures that hit the text and are not in `hits` yet, in no particular order.
    pub(super) fn search(&self, text: Text<'_>, hits: &mut Vec<SignatureIndex>) {
        if self
            .filter
            .as_ref()
            .is_some_and(|filter| !filter.may_hold(text.bytes))
        {
            return;
        }
        self.literals.each(text.bytes, |found| {
            let Some((index, at)) = self.owners.get(found.pattern().as_usize()) else {
                return;
            };
            let Some(conditions) = self.conditions.get(*at) else {
                return;
            };
            if !hits.contains(index) && conditions.hold(text, found.start(), found.end()) {
                hits.push(*index);
            }
        });
    }

    /// Sorts the hits, and drops those that give way if there are others.
    pub(super) fn finish(&self, hits: &mut Vec<SignatureIndex>) {
        hits.sort_unstable();
        let gives_way = |index: &SignatureIndex| self.giving_way.binary_search(index).is_ok();
        if !self.giving_way.is_empty() && !hits.iter().all(gives_way) {
            hits.retain(|index| !gives_way(index));
        }
    }
}

// Both are built without the crate's own prefilter: measured over this many literals it halves the speed (see
// `filter`).
impl Literals {
    fn new(literals: &[&str], speed: Speed) -> Result<Self, Error> {
        let bytes: usize = literals.iter().map(|literal| literal.len()).sum();
        if bytes > MAX_LITERAL_BYTES {
            return Err(Error::BuiltIn(format!(
                "signatures: their literals have {bytes} bytes, more than {MAX_LITERAL_BYTES}"
            )));
        }
        Ok(Self {
            texts: literals.iter().copied().map(str::to_owned).collect(),
            speed,
            searched_bytes: AtomicUsize::new(0),
            nfa: OnceLock::new(),
            dfa: OnceLock::new(),
        })
    }

    fn nfa(&self) -> Option<&NFA> {
        let make = || {
            nfa::noncontiguous::Builder::new()
                .match_kind(MatchKind::Standard)
                .prefilter(false)
                .build(&self.texts)
                .ok()
        };
        self.nfa.get_or_init(make).as_ref()
    }

    /// The DFA, if it pays by now to search `bytes` with it.
    fn dfa(&self, bytes: usize) -> Option<&DFA> {
        if let Some(dfa) = self.dfa.get() {
            return dfa.as_ref();
        }
        if self.speed == Speed::Small || self.searched_bytes.fetch_add(bytes, Relaxed) < NFA_BYTES {
            return None;
        }
        let make = || {
            dfa::Builder::new()
                .match_kind(MatchKind::Standard)
                .prefilter(false)
                .build_from_noncontiguous(self.nfa()?)
                .ok()
        };
        self.dfa.get_or_init(make).as_ref()
    }

    /// Whether one of them stands in the text. Not for texts at volume.
    fn occur(&self, text: &[u8]) -> bool {
        let literals = self.texts.iter();
        literals
            .map(String::as_bytes)
            .any(|literal| memchr::memmem::find(text, literal).is_some())
    }

    /// Every occurrence, also of literals within others.
    fn each(&self, text: &[u8], found: impl FnMut(Match)) {
        if let Some(dfa) = self.dfa(text.len()) {
            each(dfa, text, found);
        } else if let Some(nfa) = self.nfa() {
            each(nfa, text, found);
        }
    }
}

fn each(automaton: &impl Automaton, text: &[u8], found: impl FnMut(Match)) {
    // Fails only for searches that are anchored, or of another kind than these are built for.
    if let Ok(all) = automaton.try_find_overlapping_iter(Input::new(text)) {
        all.for_each(found);
    }
}
