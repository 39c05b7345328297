//! One Aho–Corasick over all literals of a class of text, behind a filter that spares most texts the search.

use super::SignatureIndex;
use super::confirm::{Conditions, Text};
use super::filter::SampleFilter;
use crate::Error;
use crate::catalog::{Catalog, Signature};
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

/// How an automaton is stored. Steps of a DFA take a third of the time; an NFA takes a twentieth of the memory
/// and no time to build.
#[derive(Clone, Copy, Debug)]
pub(super) enum Speed {
    /// For texts at volume.
    Fast,
    /// For texts that are few.
    Small,
}

/// The signatures that can occur in one class of text.
#[derive(Debug)]
pub(super) struct SearchSet {
    /// Absent where a literal is too short for it.
    filter: Option<SampleFilter>,
    automaton: AhoCorasick,
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
            automaton: build(&literals, speed)?,
            owners,
            conditions,
            giving_way,
        })
    }

    /// Whether some literal occurs in the text.
    pub(super) fn could_hit(&self, text: &[u8]) -> bool {
        self.automaton.is_match(text)
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
        for found in self.automaton.find_overlapping_iter(text.bytes) {
            let Some((index, at)) = self.owners.get(found.pattern().as_usize()) else {
                continue;
            };
            let Some(conditions) = self.conditions.get(*at) else {
                continue;
            };
            if !hits.contains(index) && conditions.hold(text, found.start(), found.end()) {
                hits.push(*index);
            }
        }
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

fn build(literals: &[&str], speed: Speed) -> Result<AhoCorasick, Error> {
    let kind = match speed {
        Speed::Fast => AhoCorasickKind::DFA,
        Speed::Small => AhoCorasickKind::ContiguousNFA,
    };
    AhoCorasick::builder()
        .match_kind(MatchKind::Standard)
        .kind(Some(kind))
        // Measured: over this many literals the crate's own prefilter halves the speed (see `filter`).
        .prefilter(false)
        .build(literals)
        .map_err(|error| Error::BuiltIn(format!("signatures: {error}")))
}
