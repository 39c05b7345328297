//! Rows and lines that fit a rule, gathered by cause and destination.

use super::measure::{Facts, Measured};
use super::rules::{LineRule, Rule};
use crate::aggregate::address;
use crate::aggregate::flags::Outcome;
use crate::aggregate::signatures::Hits;
use crate::aggregate::totals::Group;
use crate::correlate::Call;
use crate::decode::packet::Endpoint;
use crate::diagnose::answer::Unit;
use crate::units::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Component lines that speak for a suspect.
#[derive(Clone, Debug)]
pub struct LineEvidence<'f> {
    /// Signature.
    pub signature: String,
    /// Proxy that wrote them.
    pub proxy: String,
    /// Their sums.
    pub hits: &'f Hits,
}

/// A cause at a destination, with what speaks for it.
#[derive(Clone, Debug)]
pub struct Suspect<'f> {
    /// Cause.
    pub cause: String,
    /// Called service, `*` for many.
    pub destination: String,
    /// How sure it is by itself.
    pub confidence: f64,
    /// Numbers of the calls that show it, by rule.
    pub rows: BTreeMap<&'f str, Vec<usize>>,
    /// Numbers of calls that it explains besides: the other side of the hop, cancels.
    pub carried: BTreeSet<usize>,
    /// Component lines.
    pub lines: Vec<LineEvidence<'f>>,
    /// What was measured.
    pub measured: Vec<Measured>,
    /// Cause and destination of the suspect from which it follows.
    pub follows: Option<(String, String)>,
    /// Pods that it is about, where lines or hosts name them.
    pub pods: BTreeSet<String>,
    /// Added latency in milliseconds, where that is the fault.
    pub added_latency_ms: Option<f64>,
    /// Its window, where rows and lines do not tell it.
    pub window: Option<(Timestamp, Timestamp)>,
    /// True where it stays a remark whatever its size.
    pub remark: bool,
    /// Connections (or packets, questions) in all and affected, where packets and not rows show it.
    pub connections: Option<(u64, u64)>,
    /// What [`Self::connections`] counts.
    pub unit: Unit,
    /// The caller, where packets and not rows tell it.
    pub source: Option<String>,
    /// Servers of the connections that show it.
    pub servers: BTreeSet<Endpoint>,
    /// Look-alikes that were measured not to be it, and why.
    pub disproved: Vec<(String, String)>,
}

/// All suspects, by cause and destination.
#[derive(Debug, Default)]
pub struct Suspects<'f> {
    /// The suspects.
    pub list: BTreeMap<(String, String), Suspect<'f>>,
    /// Numbers of failed calls that no rule fits.
    pub unexplained: BTreeSet<usize>,
    /// Numbers of calls whose status the other side of the hop or the application made.
    pub answered: BTreeSet<usize>,
    /// Numbers of cancels.
    pub cancels: BTreeSet<usize>,
}

impl Suspect<'_> {
    /// A suspect without evidence.
    pub fn new(cause: &str, destination: &str, confidence: f64) -> Self {
        Self {
            cause: cause.to_owned(),
            destination: destination.to_owned(),
            confidence,
            rows: BTreeMap::new(),
            carried: BTreeSet::new(),
            lines: Vec::new(),
            measured: Vec::new(),
            follows: None,
            pods: BTreeSet::new(),
            added_latency_ms: None,
            window: None,
            remark: false,
            connections: None,
            unit: Unit::Requests,
            source: None,
            servers: BTreeSet::new(),
            disproved: Vec::new(),
        }
    }

    /// Numbers of the calls that show it.
    pub fn own_calls(&self) -> impl Iterator<Item = usize> {
        self.rows.values().flatten().copied()
    }

    /// Numbers of all calls that it explains.
    pub fn all_calls(&self) -> BTreeSet<usize> {
        self.own_calls().chain(self.carried.iter().copied()).collect()
    }

    /// Rows that show it.
    pub fn count(&self, facts: &Facts<'_>) -> u64 {
        self.own_calls()
            .filter_map(|i| facts.call(i))
            .map(Call::count)
            .sum()
    }

    /// Rows that show it, or connections where packets alone do.
    pub fn shown(&self, facts: &Facts<'_>) -> u64 {
        self.count(facts)
            .max(self.connections.map_or(0, |(_, affected)| affected))
    }

    /// First and last row or line that shows it.
    pub fn span(&self, facts: &Facts<'_>) -> Option<(Timestamp, Timestamp)> {
        if self.window.is_some() {
            return self.window;
        }
        let groups = || self.own_calls().filter_map(|i| facts.call(i)).map(|c| c.group);
        let first = groups()
            .filter_map(|g: &Group| g.first)
            .chain(self.lines.iter().filter_map(|l| l.hits.first))
            .min()?;
        let last = groups()
            .filter_map(|g: &Group| g.last)
            .chain(self.lines.iter().filter_map(|l| l.hits.last))
            .max()?;
        Some((first, last))
    }

    /// Rows elsewhere that follow from it.
    pub fn carried_calls<'i>(&'i self, facts: &'i Facts<'_>) -> impl Iterator<Item = &'i Call<'i>> {
        self.carried.iter().filter_map(|call| facts.call(*call))
    }

    /// Adds what another suspect of the same cause and destination has.
    pub fn unite(&mut self, other: Self) {
        self.confidence = self.confidence.max(other.confidence);
        for (rule, mut calls) in other.rows {
            self.rows.entry(rule).or_default().append(&mut calls);
        }
        self.carried.extend(other.carried);
        self.lines.extend(other.lines);
        for measured in other.measured {
            if !self
                .measured
                .iter()
                .any(|m| m.name == measured.name && m.text == measured.text)
            {
                self.measured.push(measured);
            }
        }
        self.pods.extend(other.pods);
        self.servers.extend(other.servers);
        self.disproved.extend(other.disproved);
    }
}

impl<'f> Suspects<'f> {
    /// Puts every row that is not good, and every line that shows a cause, to its suspect.
    pub fn gather(facts: &'f Facts<'f>) -> Self {
        let mut suspects = Self::default();
        for (destination, calls) in facts.destinations() {
            suspects.gather_rows(facts, destination, calls);
        }
        for rule in &facts.rules.line {
            suspects.gather_lines(facts, rule);
        }
        suspects
    }

    /// Adds a suspect, or its evidence to the one of the same cause and destination.
    pub fn add(&mut self, suspect: Suspect<'f>) {
        let key = (suspect.cause.clone(), suspect.destination.clone());
        match self.list.get_mut(&key) {
            Some(known) => known.unite(suspect),
            None => drop(self.list.insert(key, suspect)),
        }
    }

    fn gather_rows(&mut self, facts: &'f Facts<'f>, destination: &str, calls: &[usize]) {
        let mut open: Vec<usize> = Vec::new();
        for &index in calls {
            let Some(call) = facts.call(index) else { continue };
            match kind(call) {
                Kind::Good => {}
                Kind::Cancel => drop(self.cancels.insert(index)),
                Kind::Answered => drop(self.answered.insert(index)),
                Kind::Fault => open.push(index),
            }
        }
        for rule in &facts.rules.rule {
            let fitting: Vec<usize> = open.iter().copied().filter(|&i| fits(facts, rule, i)).collect();
            let Some(measured) = required(facts, &rule.requires, destination, &fitting) else {
                continue;
            };
            if fitting.is_empty() {
                continue;
            }
            open.retain(|i| !fitting.contains(i));
            self.add(of_rows(facts, rule, destination, fitting, measured));
        }
        self.unexplained.extend(open);
    }

    fn gather_lines(&mut self, facts: &'f Facts<'f>, rule: &'f LineRule) {
        let mut by_proxy: BTreeMap<&str, Vec<LineEvidence<'f>>> = BTreeMap::new();
        for (key, hits) in facts.incident.totals.hits.iter() {
            let Some(signature) = facts.catalog.signatures.get(usize::from(key.signature)) else {
                continue;
            };
            if rule.signatures.contains(&signature.id) && speaks_of_it(rule, hits) {
                by_proxy.entry(&key.proxy).or_default().push(LineEvidence {
                    signature: signature.id.clone(),
                    proxy: key.proxy.clone(),
                    hits,
                });
            }
        }
        // Where the lines of one proxy accuse, those of others that do not are left out.
        let mut by_destination: BTreeMap<String, [Vec<LineEvidence<'f>>; 2]> = BTreeMap::new();
        for (proxy, lines) in by_proxy {
            let weak = usize::from(!are_enough(facts, rule, proxy, &lines));
            for destination in line_destinations(facts, rule, proxy, &lines) {
                let lists = by_destination.entry(destination).or_default();
                if let Some(list) = lists.get_mut(weak) {
                    list.extend(lines.iter().cloned());
                }
            }
        }
        for (destination, [strong, weak]) in by_destination {
            let remark = strong.is_empty();
            let mut suspect = Suspect::new(&rule.cause, &destination, rule.confidence);
            suspect.remark = remark;
            suspect.lines = if remark { weak } else { strong };
            // A kernel counts from its start, and other lines have no time at all: they are of the time that was read.
            if suspect.lines.iter().all(|line| line.hits.first.is_none()) {
                suspect.window = facts.incident.start.zip(facts.incident.end);
            }
            suspect.pods = suspect.lines.iter().map(|line| line.proxy.clone()).collect();
            self.add_lines(suspect);
        }
    }

    /// Adds what lines show: a remark is no part of what accuses already.
    fn add_lines(&mut self, suspect: Suspect<'f>) {
        let key = (suspect.cause.clone(), suspect.destination.clone());
        match self.list.get_mut(&key) {
            Some(known) if known.remark && !suspect.remark => *known = suspect,
            Some(known) if suspect.remark && !known.remark => {}
            _ => self.add(suspect),
        }
    }
}

/// False if all lines that are kept say that it is something else.
pub(super) fn speaks_of_it(rule: &LineRule, hits: &Hits) -> bool {
    let of_other = |text: &String| rule.unless_text.iter().any(|other| text.contains(other.as_str()));
    hits.examples.is_empty() || !hits.examples.values().all(of_other)
}

/// True if the lines of one proxy are as many as the rule asks for, lie as far apart, and nothing says that it is over.
fn are_enough(facts: &Facts<'_>, rule: &LineRule, proxy: &str, lines: &[LineEvidence<'_>]) -> bool {
    let count: u64 = lines.iter().map(|line| line.hits.count).sum();
    let first = lines.iter().filter_map(|line| line.hits.first).min();
    let last = lines.iter().filter_map(|line| line.hits.last).max();
    let lasts = first
        .zip(last)
        .is_some_and(|(first, last)| last.secs() - first.secs() >= rule.lasting_s);
    let over = || {
        facts
            .lines_of(&rule.unless_after, proxy)
            .any(|hits| hits.last > last)
    };
    count >= rule.min && (rule.lasting_s == 0 || lasts) && !over()
}

/// What a call is to a diagnosis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Good,
    Cancel,
    /// A status that came from the upstream: the application's own, or made by the called proxy.
    Answered,
    Fault,
}

fn kind(call: &Call<'_>) -> Kind {
    let key = call.key;
    let answered = key.is_answered();
    match key.outcome {
        Outcome::Canceled => Kind::Cancel,
        Outcome::Ok if answered && matches!(key.code, 401 | 403 | 429) => Kind::Answered,
        Outcome::Ok => Kind::Good,
        // URX alone says that the retries ran out, not why.
        Outcome::Failed | Outcome::Denied if answered && key.flag_tokens().all(|f| f == "URX") => {
            Kind::Answered
        }
        Outcome::Failed | Outcome::Denied => Kind::Fault,
    }
}

/// True if the rows of a call are such as the rule asks for.
pub(super) fn fits(facts: &Facts<'_>, rule: &Rule, index: usize) -> bool {
    facts
        .call(index)
        .is_some_and(|call| rule.rows.fits(call.key, |share| quantile_ms(call.group, share)))
}

/// Median duration of a group that is not good.
pub fn median_ms(group: &Group) -> u64 {
    quantile_ms(group, 0.5)
}

fn quantile_ms(group: &Group, share: f64) -> u64 {
    group.duration.to_slots().quantile_ms(share)
}

/// What a rule's measurements say of these calls; `None` if one does not hold, or there are none.
pub(super) fn required(
    facts: &Facts<'_>,
    names: &[String],
    destination: &str,
    calls: &[usize],
) -> Option<Vec<Measured>> {
    if calls.is_empty() {
        return None;
    }
    names
        .iter()
        .map(|name| facts.measure(name, destination, calls))
        .collect()
}

fn of_rows<'f>(
    facts: &Facts<'_>,
    rule: &'f Rule,
    destination: &str,
    calls: Vec<usize>,
    measured: Vec<Measured>,
) -> Suspect<'f> {
    let mut suspect = Suspect::new(&rule.cause, destination, rule.confidence);
    suspect.pods = facts
        .calls(&calls)
        .filter_map(|c| c.destination_pod.clone())
        .collect();
    suspect.rows.insert(&rule.id, calls);
    suspect.disproved = measured.iter().filter_map(super::startup::disproves).collect();
    suspect.measured = measured;
    suspect
}

/// What lines are about: services that they name, what their proxy serves, the ztunnels, or the control plane itself.
fn line_destinations(
    facts: &Facts<'_>,
    rule: &LineRule,
    proxy: &str,
    lines: &[LineEvidence<'_>],
) -> Vec<String> {
    match rule.at.as_str() {
        "named" => {
            let texts = || lines.iter().flat_map(|line| line.hits.examples.values());
            let named = facts.destinations().map(|(destination, _)| destination);
            let named: Vec<String> = named
                .filter(|destination| texts().any(|text| names(text, destination)))
                .map(str::to_owned)
                .collect();
            if named.is_empty() {
                return vec!["istiod".to_owned()];
            }
            return named;
        }
        "node" => return vec!["ztunnel".to_owned()],
        "machine" => return vec!["*".to_owned()],
        "caller" if !rule.of_proxy => return vec!["istiod".to_owned()],
        _ => {}
    }
    vec![serves(facts, proxy).unwrap_or_else(|| address::workload(proxy).to_owned())]
}

/// The service that most calls to a pod are for.
pub fn serves(facts: &Facts<'_>, pod: &str) -> Option<String> {
    let mut served: BTreeMap<&str, u64> = BTreeMap::new();
    for call in &facts.incident.calls {
        if call.destination_pod.as_deref() == Some(pod) {
            *served.entry(&call.destination).or_default() += call.count();
        }
    }
    let best = served.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)))?;
    Some((*best.0).to_owned())
}

/// True if a line has the destination's name as a word of its own.
pub fn names(line: &str, destination: &str) -> bool {
    let service = address::short_service(destination);
    let of_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    !service.is_empty() && line.split(|c: char| !of_name(c)).any(|word| word == service)
}
