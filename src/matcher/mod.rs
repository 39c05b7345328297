//! Bytes to signature hits: one Aho–Corasick pass over the text in which a signature can occur, each hit
//! confirmed by the conditions of its catalogue entry.
//!
//! In: text and where it stood. Out: numbers of signatures. Never: counts or keeps anything.
//!
//! [`Matcher`] holds one search set per class of text, since a literal means nothing outside its own class:
//! `ERROR` is a state in a table of `istioctl proxy-status` and noise anywhere else. An entry of source `app`
//! speaks only where no entry of a proxy's or the kernel's does: the application's words for a failure are
//! quoted in the component lines that explain it.

mod automaton;
mod confirm;
mod examples;
mod filter;

pub use examples::{TestFailure, TestFailureKind, test_catalog};

use crate::Error;
use crate::catalog::{AccessField, Catalog, SignatureSource};
use crate::decode::log::{AccessRow, Component, ComponentLine, Level};
use automaton::{SearchSet, Speed};
use confirm::Text;

/// A signature: its place in [`Catalog::signatures`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignatureIndex(pub u16);

/// Sources whose lines come from elsewhere than a proxy's container.
const OTHERS: [SignatureSource; 5] = [
    SignatureSource::Istiod,
    SignatureSource::Ztunnel,
    SignatureSource::IstioCni,
    SignatureSource::IstioctlAnalyze,
    SignatureSource::ProxyStatus,
];

/// `RESPONSE_CODE_DETAILS` of nearly every row: the upstream answered.
const VIA_UPSTREAM: &[u8] = b"via_upstream";

/// Finds signatures in decoded records. Built once from a catalogue, then shared by all threads.
#[derive(Debug)]
pub struct Matcher {
    /// Details, termination details and failure reason of access rows.
    access: SearchSet,
    /// Cluster of access rows.
    cluster: SearchSet,
    envoy: SearchSet,
    pilot_agent: SearchSet,
    text: SearchSet,
    /// One for each source that has no method of its own.
    others: Vec<(SignatureSource, SearchSet)>,
    /// Whether an entry wants to see rows that say `via_upstream` and nothing else.
    wants_via_upstream: bool,
}

impl Matcher {
    /// Builds the search sets; their automata are made with the first texts of a class.
    ///
    /// # Errors
    /// [`Error::BuiltIn`] if the literals are too many for an automaton.
    pub fn new(catalog: &Catalog) -> Result<Self, Error> {
        use SignatureSource::{AccessLog, App, Envoy, Kernel, PilotAgent};
        let lines = |sources: &[SignatureSource], speed| {
            SearchSet::new(catalog, speed, |signature| sources.contains(&signature.source))
        };
        let fields = |of_cluster: bool| {
            SearchSet::new(catalog, Speed::Fast, |it| {
                it.source == AccessLog && (it.field == AccessField::Cluster) == of_cluster
            })
        };
        let access = fields(false)?;
        let wants_via_upstream = access.could_hit(VIA_UPSTREAM);
        let others = OTHERS
            .into_iter()
            .map(|source| Ok((source, lines(&[source], Speed::Small)?)));
        Ok(Self {
            access,
            cluster: fields(true)?,
            envoy: lines(&[Envoy], Speed::Fast)?,
            pilot_agent: lines(&[PilotAgent, App], Speed::Fast)?,
            text: lines(&[Envoy, PilotAgent, App, Kernel], Speed::Fast)?,
            others: others.collect::<Result<_, Error>>()?,
            wants_via_upstream,
        })
    }

    /// Signatures of an access row: its details, termination details, failure reason and cluster. `hits` is
    /// cleared, then filled in ascending order, each signature once.
    pub fn access(&self, row: &AccessRow<'_>, hits: &mut Vec<SignatureIndex>) {
        hits.clear();
        let details = row
            .details
            .filter(|details| self.wants_via_upstream || *details != VIA_UPSTREAM);
        let fields = [
            (AccessField::Details, details),
            (AccessField::Termination, row.termination),
            (AccessField::FailureReason, row.failure_reason),
        ];
        for (field, value) in fields {
            if let Some(value) = value {
                self.access.search(Text::field(value, field), hits);
            }
        }
        if let Some(cluster) = row.cluster {
            self.cluster
                .search(Text::field(cluster, AccessField::Cluster), hits);
        }
        hits.sort_unstable();
    }

    /// Signatures of the first line of a component message, among those of its program. `hits` is cleared, then
    /// filled in ascending order, each signature once.
    pub fn component(&self, line: &ComponentLine<'_>, hits: &mut Vec<SignatureIndex>) {
        hits.clear();
        let set = match line.component {
            Component::Envoy => &self.envoy,
            Component::PilotAgent => &self.pilot_agent,
        };
        set.search(Text::line(line.message, Some(line.level)), hits);
        set.finish(hits);
    }

    /// Signatures of text without a form of its own: further lines of a message, and lines not understood.
    /// Searches for what Envoy, pilot-agent, applications and the kernel write. `hits` is cleared, then filled
    /// in ascending order, each signature once.
    pub fn text(&self, text: &[u8], hits: &mut Vec<SignatureIndex>) {
        hits.clear();
        self.text.search(Text::line(text, None), hits);
        self.text.finish(hits);
    }

    /// Signatures of a line of another program (istiod, ztunnel, istio-cni) or of saved output (`istioctl
    /// analyze`, `istioctl proxy-status`); none for sources that have a method of their own. `hits` is cleared,
    /// then filled in ascending order, each signature once.
    pub fn other(
        &self,
        source: SignatureSource,
        level: Option<Level>,
        line: &[u8],
        hits: &mut Vec<SignatureIndex>,
    ) {
        hits.clear();
        if let Some((_, set)) = self.others.iter().find(|(of, _)| *of == source) {
            set.search(Text::line(line, level), hits);
            set.finish(hits);
        }
    }
}

#[cfg(test)]
mod tests;
