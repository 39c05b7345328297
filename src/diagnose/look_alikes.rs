//! Look-alikes of a suspect: ruled out with the reason, or left open with what would tell them apart.
//!
//! A look-alike that left no trace is ruled out by that. Rows count for the first rule that they fit, so a look-alike
//! without a suspect may have rows all the same: then they are not said to be absent, but what explains them is named.

use super::finding::RuledOut;
use super::findings::statuses;
use super::measure::{Facts, counted, some};
use super::named::in_prose;
use super::packets;
use super::rules::LineRule;
use super::suspects::{Suspect, Suspects, fits, required, speaks_of_it};
use crate::catalog::FilledLookAlike;
use crate::correlate::Call;
use std::collections::{BTreeMap, BTreeSet};

/// The version that hides alerts after the hellos.
const TLS_1_3: u16 = 0x0304;

/// Reasons given of each kind, and names given in a reason.
const REASONS: usize = 2;

/// What tells whether a cause is a look-alike that can be ruled out.
pub(super) struct LookAlikes<'s> {
    suspects: &'s Suspects<'s>,
    facts: &'s Facts<'s>,
    /// The cause that explains a call, by the call's number.
    explained_by: BTreeMap<usize, &'s str>,
    /// Rules of lines that some proxy wrote, though they may be too few to accuse.
    written: Vec<&'s LineRule>,
    /// What the rows of a destination, or of all, say of a cause, once asked.
    known: BTreeMap<(String, String), Option<Vec<String>>>,
}

impl<'s> LookAlikes<'s> {
    /// Of these suspects.
    pub(super) fn among(suspects: &'s Suspects<'s>, facts: &'s Facts<'s>) -> Self {
        let mut explained_by = BTreeMap::new();
        for suspect in suspects.list.values() {
            for call in &suspect.carried {
                explained_by.entry(*call).or_insert(suspect.cause.as_str());
            }
        }
        // What rows show themselves comes before what they follow from.
        for suspect in suspects.list.values() {
            explained_by.extend(suspect.own_calls().map(|call| (call, suspect.cause.as_str())));
        }
        Self {
            suspects,
            facts,
            explained_by,
            written: facts
                .rules
                .line
                .iter()
                .filter(|rule| is_written(facts, rule))
                .collect(),
            known: BTreeMap::new(),
        }
    }

    /// Those that are ruled out, and notes on those that cannot be.
    pub(super) fn tell(
        &mut self,
        suspect: &Suspect<'_>,
        list: &[FilledLookAlike],
    ) -> (Vec<RuledOut>, Vec<String>) {
        let (mut out, mut open) = (Vec::new(), Vec::new());
        for look_alike in list {
            let disproved = suspect
                .disproved
                .iter()
                .find(|(cause, _)| *cause == look_alike.cause)
                .map(|(_, why)| why.clone());
            match disproved.or_else(|| self.because(&look_alike.cause, &suspect.destination)) {
                Some(because) => out.push(RuledOut {
                    cause: look_alike.cause.clone(),
                    because,
                }),
                None => open.push(format!(
                    "not ruled out: {}: {}",
                    look_alike.cause, look_alike.differs
                )),
            }
        }
        (out, open)
    }

    /// Destinations that a cause is suspected at.
    fn suspected_at<'a>(&'a self, cause: &'a str) -> impl Iterator<Item = &'a str> {
        let all = self.suspects.list.keys();
        all.filter(move |(of, _)| of == cause).map(|(_, at)| at.as_str())
    }

    /// Why it is not this cause at a destination (`*` for all); `None` if nothing says so.
    fn because(&mut self, cause: &str, destination: &str) -> Option<String> {
        let is_here = |at: &str| at == "*" || destination == "*" || at == destination;
        if self.suspected_at(cause).any(is_here) {
            return None;
        }
        let facts = self.facts;
        let rows = match destination {
            "*" => facts.incident.totals.rows,
            _ => facts.rows_to(destination),
        };
        let connections = facts.connections_to(destination);
        // What was not read rules nothing out: a destination known by packets alone, or nothing but captures.
        let captures_only = facts.incident.totals.rows == 0 && facts.connections_to("*") > 0;
        let logs_read = rows > 0 || connections == 0 && !captures_only;
        let reasons = [
            if logs_read {
                let whose = if rows == 0 { "*" } else { destination };
                self.by_rows_to(cause, whose)?
            } else {
                Vec::new()
            },
            self.by_lines(cause, logs_read)?,
            self.by_packets(cause, destination, connections)?,
        ]
        .concat();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// What the rows of a destination say; those of all for what no row calls.
    fn by_rows_to(&mut self, cause: &str, destination: &str) -> Option<Vec<String>> {
        let key = (cause.to_owned(), destination.to_owned());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let facts = self.facts;
        let said = if destination != "*" {
            let calls = [(destination, facts.numbers_to(destination))];
            self.by_rows(cause, &calls, destination, facts.rows_to(destination))
        } else if facts.incident.totals.rows == 0 {
            Some(Vec::new())
        } else {
            let all: Vec<(&str, &[usize])> = facts.destinations().collect();
            self.by_rows(cause, &all, in_prose("*"), facts.incident.totals.rows)
        };
        self.known.insert(key, said.clone());
        said
    }

    /// What the access-log rows of these destinations' calls say; `None` if some may show the cause.
    fn by_rows(
        &self,
        cause: &str,
        destinations: &[(&str, &[usize])],
        whose: &str,
        rows: u64,
    ) -> Option<Vec<String>> {
        let facts = self.facts;
        let mut said: Vec<String> = Vec::new();
        for rule in facts.rules.rule.iter().filter(|rule| rule.cause == cause) {
            let mut shown = Vec::new();
            for (destination, calls) in destinations {
                let fitting: Vec<usize> = calls.iter().copied().filter(|&i| fits(facts, rule, i)).collect();
                if required(facts, &rule.requires, destination, &fitting).is_some() {
                    shown.extend(fitting);
                }
            }
            if !shown.is_empty() {
                said.push(self.explained(&shown, cause)?);
            } else if !rule.absent.is_empty() {
                said.push(rule.absent.clone());
            }
        }
        let measured = facts.rules.measured.iter().filter(|m| m.cause == cause);
        said.extend(measured.map(|m| self.elsewhere(cause).unwrap_or_else(|| m.absent.clone())));
        Some(joined(
            said,
            &format!(" ({} to {whose} read)", counted(rows, "row")),
        ))
    }

    /// What is said of rows that would show a cause and are explained by others; `None` if some are not.
    fn explained(&self, calls: &[usize], cause: &str) -> Option<String> {
        let by: Option<BTreeSet<&str>> = calls
            .iter()
            .map(|call| self.explained_by.get(call).copied())
            .collect();
        let by = by.filter(|by| !by.contains(cause))?;
        let count: u64 = self.facts.calls(calls).map(Call::count).sum();
        let (rows_have, them) = if count == 1 {
            ("1 row has".to_owned(), "it")
        } else {
            (format!("{count} rows have"), "them all")
        };
        Some(format!(
            "{rows_have} {}, but {} explains {them}",
            statuses(self.facts, calls),
            some(&by.into_iter().collect::<Vec<_>>(), REASONS),
        ))
    }

    /// What component lines say; `None` if some may show the cause.
    fn by_lines(&self, cause: &str, logs_read: bool) -> Option<Vec<String>> {
        let facts = self.facts;
        let mut said: Vec<String> = Vec::new();
        for rule in facts.rules.line.iter().filter(|rule| rule.cause == cause) {
            let kinds = &rule.absent_from;
            let was_read = logs_read && (kinds.is_empty() || kinds.iter().any(|kind| facts.has_read(kind)));
            if self.written.iter().any(|written| std::ptr::eq(*written, rule)) {
                said.push(self.elsewhere(cause)?);
            } else if was_read && !rule.absent.is_empty() {
                said.push(rule.absent.replace("{proxies}", &facts.proxies.to_string()));
            }
        }
        Some(joined(said, ""))
    }

    /// What is said of a cause that is suspected at other destinations alone.
    fn elsewhere(&self, cause: &str) -> Option<String> {
        let others: Vec<&str> = self.suspected_at(cause).collect();
        (!others.is_empty()).then(|| format!("what shows it is about {} alone", some(&others, REASONS)))
    }

    /// What captures say, if they hold connections to the destination; `None` if some may show the cause.
    fn by_packets(&self, cause: &str, destination: &str, connections: u64) -> Option<Vec<String>> {
        if connections == 0 {
            return Some(Vec::new());
        }
        let alerts_hidden = self
            .facts
            .incident
            .totals
            .captures
            .tls
            .versions
            .contains_key(&TLS_1_3);
        let said = packets::absent(self.facts, cause, destination, alerts_hidden)?;
        let whom = in_prose(destination);
        let said = said.into_iter().map(str::to_owned).collect();
        Some(joined(
            said,
            &format!(" ({} to {whom} seen)", counted(connections, "connection")),
        ))
    }
}

/// True if any proxy wrote a line that a rule asks for.
fn is_written(facts: &Facts<'_>, rule: &LineRule) -> bool {
    let mut hits = facts.incident.totals.hits.iter();
    hits.any(|(key, hits)| {
        let signature = facts.catalog.signatures.get(usize::from(key.signature));
        signature.is_some_and(|s| rule.signatures.contains(&s.id)) && speaks_of_it(rule, hits)
    })
}

/// The first reasons, each once, as one with what was read for them; none without any.
fn joined(mut said: Vec<String>, read: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    said.retain(|text| seen.insert(text.clone()));
    said.truncate(REASONS);
    let one = (!said.is_empty()).then(|| said.join("; ") + read);
    one.into_iter().collect()
}
