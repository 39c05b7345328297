//! Runs every signature against its own examples.

use super::{Matcher, SignatureIndex};
use crate::Error;
use crate::catalog::{AccessField, Catalog, Signature, SignatureSource};
use crate::decode::log::{AccessFormat, AccessRow, Component, ComponentLine, Level};
use std::fmt;

/// An example that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestFailure {
    /// Id of the signature.
    pub id: String,
    /// What is wrong.
    pub kind: TestFailureKind,
    /// The example; empty where there is none.
    pub example: String,
}

/// What is wrong with an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestFailureKind {
    /// The entry has no `matches`.
    NoMatches,
    /// The entry has no `rejects`.
    NoRejects,
    /// A text of `matches` does not hit.
    Missed,
    /// A text of `rejects` hits.
    Hit,
}

impl fmt::Display for TestFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TestFailureKind::NoMatches => write!(f, "{}: has no text that it must match", self.id),
            TestFailureKind::NoRejects => write!(f, "{}: has no text that it must not match", self.id),
            TestFailureKind::Missed => write!(f, "{}: must match but does not: {}", self.id, self.example),
            TestFailureKind::Hit => write!(f, "{}: must not match but does: {}", self.id, self.example),
        }
    }
}

/// Runs every signature against its own `matches` and `rejects`, each text as if it stood in a log of the
/// signature's source. Lines of components may be given whole (`time<TAB>level<TAB>scope<TAB>message`) or as
/// the message alone, which then is of no known level.
///
/// # Errors
/// As [`Matcher::new`].
pub fn test_catalog(catalog: &Catalog) -> Result<Vec<TestFailure>, Error> {
    let matcher = Matcher::new(catalog)?;
    let mut failures = Vec::new();
    let mut hits = Vec::new();
    for (index, signature) in (0..=u16::MAX).map(SignatureIndex).zip(&catalog.signatures) {
        let mut fail = |kind, example: &str| {
            failures.push(TestFailure {
                id: signature.id.clone(),
                kind,
                example: example.to_owned(),
            });
        };
        let mut is_hit = |example: &str| {
            run(&matcher, signature, example.as_bytes(), &mut hits);
            hits.contains(&index)
        };
        if signature.matches.is_empty() {
            fail(TestFailureKind::NoMatches, "");
        }
        if signature.rejects.is_empty() {
            fail(TestFailureKind::NoRejects, "");
        }
        signature
            .matches
            .iter()
            .filter(|it| !is_hit(it))
            .for_each(|it| fail(TestFailureKind::Missed, it));
        signature
            .rejects
            .iter()
            .filter(|it| is_hit(it))
            .for_each(|it| fail(TestFailureKind::Hit, it));
    }
    Ok(failures)
}

/// Searches an example where it would stand.
fn run(matcher: &Matcher, signature: &Signature, example: &[u8], hits: &mut Vec<SignatureIndex>) {
    match signature.source {
        SignatureSource::AccessLog => matcher.access(&row(signature.field, example), hits),
        SignatureSource::Envoy => component(matcher, Component::Envoy, example, hits),
        SignatureSource::PilotAgent => component(matcher, Component::PilotAgent, example, hits),
        SignatureSource::App | SignatureSource::Kernel => matcher.text(example, hits),
        source => {
            let (level, message) = split(example);
            matcher.other(source, level, message, hits);
        }
    }
}

fn component(matcher: &Matcher, component: Component, example: &[u8], hits: &mut Vec<SignatureIndex>) {
    match split(example) {
        (Some(level), message) => {
            let line = ComponentLine {
                component,
                time: None,
                level,
                scope: b"",
                message,
            };
            matcher.component(&line, hits);
        }
        (None, text) => matcher.text(text, hits),
    }
}

/// Level of a whole component line and what follows it; no level and the text itself otherwise.
fn split(example: &[u8]) -> (Option<Level>, &[u8]) {
    let mut parts = example.splitn(3, |byte| *byte == b'\t');
    match (parts.nth(1).and_then(level_of), parts.next()) {
        (Some(level), Some(rest)) => (Some(level), rest),
        _ => (None, example),
    }
}

fn level_of(name: &[u8]) -> Option<Level> {
    match name {
        b"warn" => Some(Level::Warning),
        b"fatal" => Some(Level::Critical),
        _ => Level::ALL
            .into_iter()
            .find(|level| level.name().as_bytes() == name),
    }
}

/// A row that has the value in that field and nothing else.
fn row(field: AccessField, value: &[u8]) -> AccessRow<'_> {
    let only = |of: AccessField| (field == of).then_some(value);
    AccessRow {
        details: only(AccessField::Details).or(only(AccessField::Any)),
        termination: only(AccessField::Termination),
        failure_reason: only(AccessField::FailureReason),
        cluster: only(AccessField::Cluster),
        ..AccessRow::empty(AccessFormat::IstioText)
    }
}
