//! Two reports to what is new, gone, more, less, slower or faster between them.
//!
//! In: [`Figures`] of two reports. Out: [`model::Diff`], for the renderers. Principal function: [`compare`], which depends
//! on its arguments alone. Never: reads an input, renders, calls a difference that may be chance or is below the floors of
//! `data/comparison.toml`.

mod figures;
mod latency;
pub mod model;
mod statistics;

pub use figures::Figures;

use crate::Error;
use crate::report::model::Tool;
use figures::{Breakdown, Finding, Requests};
use latency::LatencyPair;
use model::{Bounds, Change, Diff, Direction, Kind, Measure, Metric, Outcome, Side, Status, TooFew};
use serde::Deserialize;
use statistics::{Bounded, Part, normal_quantile, rate_ratio, share_difference, share_ratio};
use std::collections::BTreeMap;

/// What is called a change: see `data/comparison.toml`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Floors {
    schema: u32,
    requests_min: u64,
    confidence: f64,
    share_difference_min: f64,
    share_small_difference_min: f64,
    share_ratio_min: f64,
    latency_probability_min: f64,
    latency_ratio_min: f64,
    latency_resolution_steps_min: f64,
    latency_tail_difference_min: f64,
    rate_count_min: u64,
    rate_ratio_min: f64,
}

impl Floors {
    fn built_in() -> Result<Self, Error> {
        let floors: Self = toml::from_str(include_str!("../../../data/comparison.toml"))
            .map_err(|error| Error::BuiltIn(format!("comparison.toml: {error}")))?;
        if floors.schema == 1 && (0.0..1.0).contains(&floors.confidence) {
            Ok(floors)
        } else {
            Err(Error::BuiltIn(
                "comparison.toml: wrong schema or confidence".to_owned(),
            ))
        }
    }
}

/// Names with too few that are listed.
const MAX_TOO_FEW: usize = 100;

/// Compares `after` with `before`; labels say how each was named.
///
/// # Errors
/// When the floors that are built in are broken, which tests rule out.
pub fn compare(before: (&str, &Figures), after: (&str, &Figures)) -> Result<Diff, Error> {
    let floors = Floors::built_in()?;
    let ((before_label, before), (after_label, after)) = (before, after);
    let mut pairs = Pairs::default();
    pairs.gather(before, after, &floors);
    let comparisons = pairs.candidates.iter().map(Candidate::comparisons).sum::<u64>();
    let z = simultaneous(floors.confidence, comparisons);
    let mut changes = findings(before, after);
    changes.extend(
        pairs
            .candidates
            .iter()
            .filter_map(|candidate| candidate.change(z, &floors)),
    );
    changes.extend(pairs.appeared);
    changes.sort_by(|a, b| {
        let group = |change: &Change| (change.kind != Kind::Finding, change.direction);
        group(a)
            .cmp(&group(b))
            .then(severity_order(a).cmp(&severity_order(b)))
            .then(b.impact.total_cmp(&a.impact))
            .then_with(|| {
                (a.kind, a.metric, &a.name, &a.id, &a.reporter).cmp(&(
                    b.kind,
                    b.metric,
                    &b.name,
                    &b.id,
                    &b.reporter,
                ))
            })
    });
    for (rank, change) in (1..).zip(&mut changes) {
        change.rank = rank;
    }
    pairs.too_few.sort();
    let too_few_count = u64::try_from(pairs.too_few.len()).unwrap_or(u64::MAX);
    pairs.too_few.truncate(MAX_TOO_FEW);
    let enough = |figures: &Figures| {
        figures.requests.rows >= floors.requests_min || figures.captures.streams.tcp >= floors.requests_min
    };
    let has = |direction| changes.iter().any(|change| change.direction == direction);
    let outcome = match (enough(before) && enough(after), changes.is_empty()) {
        _ if has(Direction::Worse) => Outcome::Worse,
        (false, _) => Outcome::TooLittle,
        _ if has(Direction::Better) => Outcome::Better,
        (true, false) => Outcome::Different,
        (true, true) => Outcome::NoChange,
    };
    Ok(Diff {
        schema: model::SCHEMA.to_owned(),
        tool: Tool {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        before: side(before_label, before),
        after: side(after_label, after),
        outcome,
        comparisons,
        confidence: floors.confidence,
        requests_min: floors.requests_min,
        changes,
        too_few: pairs.too_few,
        too_few_count,
    })
}

/// Findings by how bad they are; of the rest impact alone decides.
fn severity_order(change: &Change) -> u8 {
    match (change.kind, change.severity.as_deref()) {
        (Kind::Finding, Some("critical")) => 0,
        (Kind::Finding, Some("warning")) => 1,
        _ => 2,
    }
}

/// The quantile to which each of `comparisons` is drawn so that all hold together (Bonferroni).
fn simultaneous(confidence: f64, comparisons: u64) -> f64 {
    normal_quantile(1.0 - (1.0 - confidence) / (2.0 * as_f64(comparisons.max(1))))
}

fn as_f64(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^53")]
    let count = count as f64;
    count
}

fn side(label: &str, figures: &Figures) -> Side {
    Side {
        label: label.to_owned(),
        start: figures.window.start.clone(),
        end: figures.window.end.clone(),
        rows: figures.requests.rows,
        requests: figures.requests.total,
        failed: figures.requests.failed,
        connections: figures.captures.streams.tcp,
        state: figures.verdict.state.clone(),
        headline: figures.verdict.headline.clone(),
    }
}

impl From<Bounded> for Bounds {
    fn from(bounded: Bounded) -> Self {
        let finite = |value: f64| value.is_finite().then_some(value);
        Self {
            value: finite(bounded.value),
            low: finite(bounded.low),
            high: finite(bounded.high),
        }
    }
}

/// What a change is about.
#[derive(Clone, Debug)]
struct Subject {
    kind: Kind,
    name: String,
    id: String,
    reporter: Option<String>,
    severity: Option<String>,
}

impl Subject {
    fn new(kind: Kind, name: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            id: String::new(),
            reporter: None,
            severity: None,
        }
    }

    fn change(&self, metric: Metric, status: Status, direction: Direction) -> Change {
        Change {
            rank: 0,
            kind: self.kind,
            name: self.name.clone(),
            id: self.id.clone(),
            reporter: self.reporter.clone(),
            metric,
            status,
            direction,
            severity: self.severity.clone(),
            before: None,
            after: None,
            difference: None,
            ratio: None,
            quantiles: Vec::new(),
            slower_probability: None,
            share_over: None,
            impact: 0.0,
        }
    }

    fn too_few(&self, before: u64, after: u64) -> TooFew {
        TooFew {
            kind: self.kind,
            name: self.name.clone(),
            reporter: self.reporter.clone(),
            before,
            after,
        }
    }
}

/// What more of it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Bad,
    None,
}

impl Meaning {
    fn direction(self, more: bool) -> Direction {
        match (self, more) {
            (Self::None, _) => Direction::Neutral,
            (Self::Bad, true) => Direction::Worse,
            (Self::Bad, false) => Direction::Better,
        }
    }
}

/// Two figures that can be compared.
enum Candidate {
    Share {
        subject: Subject,
        metric: Metric,
        meaning: Meaning,
        before: (u64, u64),
        after: (u64, u64),
    },
    Rate {
        subject: Subject,
        meaning: Meaning,
        before: (u64, f64),
        after: (u64, f64),
    },
    Latency {
        subject: Subject,
        pair: Box<LatencyPair>,
    },
}

impl Candidate {
    fn comparisons(&self) -> u64 {
        match self {
            Self::Share { .. } | Self::Rate { .. } => 1,
            Self::Latency { pair, .. } => pair.comparisons(),
        }
    }

    fn change(&self, z: f64, floors: &Floors) -> Option<Change> {
        match self {
            Self::Share {
                subject,
                metric,
                meaning,
                before,
                after,
            } => share_change(subject, *metric, *meaning, (*before, *after), z, floors),
            Self::Rate {
                subject,
                meaning,
                before,
                after,
            } => rate_change(subject, *meaning, (*before, *after), z, floors),
            Self::Latency { subject, pair } => pair.change(subject, z, floors),
        }
    }
}

fn share_change(
    subject: &Subject,
    metric: Metric,
    meaning: Meaning,
    ((before_hits, before_of), (after_hits, after_of)): ((u64, u64), (u64, u64)),
    z: f64,
    floors: &Floors,
) -> Option<Change> {
    let (before, after) = (Part::new(before_hits, before_of), Part::new(after_hits, after_of));
    let difference = share_difference(before, after, z);
    let beyond_chance = difference.low > 0.0 || difference.high < 0.0;
    let size = difference.value.abs();
    let (less, greater) = (
        before.share().min(after.share()),
        before.share().max(after.share()),
    );
    let matters = size >= floors.share_difference_min
        || (size >= floors.share_small_difference_min && greater >= floors.share_ratio_min * less);
    if !beyond_chance || !matters {
        return None;
    }
    let more = difference.value > 0.0;
    let status = status_of(before_hits, after_hits, more);
    Some(Change {
        before: Some(measure(before.share(), before_hits, before_of)),
        after: Some(measure(after.share(), after_hits, after_of)),
        difference: Some(difference.into()),
        ratio: share_ratio(before, after, z).map(Bounds::from),
        impact: size * as_f64(if more { after_of } else { before_of }),
        ..subject.change(metric, status, meaning.direction(more))
    })
}

fn status_of(before: u64, after: u64, more: bool) -> Status {
    match (before, after, more) {
        (0, _, _) => Status::New,
        (_, 0, _) => Status::Gone,
        (_, _, true) => Status::More,
        (_, _, false) => Status::Less,
    }
}

fn measure(value: f64, count: u64, of: u64) -> Measure {
    Measure { value, count, of }
}

fn rate_change(
    subject: &Subject,
    meaning: Meaning,
    (before, after): ((u64, f64), (u64, f64)),
    z: f64,
    floors: &Floors,
) -> Option<Change> {
    let ratio = rate_ratio(before, after, z)?;
    let enough = before.0.max(after.0) >= floors.rate_count_min;
    let beyond_chance = ratio.low > 1.0 || ratio.high < 1.0;
    let matters = ratio.value >= floors.rate_ratio_min || ratio.value <= 1.0 / floors.rate_ratio_min;
    if !enough || !beyond_chance || !matters {
        return None;
    }
    let more = ratio.value > 1.0;
    let rate = |(count, exposure): (u64, f64)| as_f64(count) / exposure;
    let of = |exposure: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive number of rows or seconds, by thousands"
        )]
        let of = exposure.max(0.0) as u64;
        of
    };
    Some(Change {
        before: Some(measure(rate(before), before.0, of(before.1))),
        after: Some(measure(rate(after), after.0, of(after.1))),
        ratio: Some(ratio.into()),
        impact: (rate(after) - rate(before)).abs() * if more { after.1 } else { before.1 },
        ..subject.change(
            Metric::Rate,
            status_of(before.0, after.0, more),
            meaning.direction(more),
        )
    })
}

/// Before and after.
type OnBothSides<'b> = (Option<&'b Breakdown>, Option<&'b Breakdown>);

/// Everything that is on both sides, or clearly on one.
#[derive(Default)]
struct Pairs {
    candidates: Vec<Candidate>,
    /// Names of which a side has none.
    appeared: Vec<Change>,
    too_few: Vec<TooFew>,
}

impl Pairs {
    fn gather(&mut self, before: &Figures, after: &Figures, floors: &Floors) {
        let (b, a) = (&before.requests, &after.requests);
        let all = |r: &Requests| Breakdown {
            requests: r.total,
            failed: r.failed,
            denied: r.denied,
            canceled: r.canceled,
            ..Breakdown::default()
        };
        let mut of_all = (all(b), all(a));
        for (breakdown, figures) in [(&mut of_all.0, before), (&mut of_all.1, after)] {
            breakdown.latency = figures
                .latency
                .iter()
                .filter(|latency| {
                    latency.scope.kind == "all" && latency.metric == "duration" && latency.outcome == "ok"
                })
                // The caller's view where there is one, as everywhere.
                .max_by_key(|latency| latency.reporter == "source")
                .cloned();
        }
        self.breakdown(
            &Subject::new(Kind::All, "all requests"),
            &of_all.0,
            &of_all.1,
            floors,
        );
        for (kind, before, after) in [
            (Kind::Destination, &b.by_destination, &a.by_destination),
            (Kind::Route, &b.by_route, &a.by_route),
            (Kind::Source, &b.by_source, &a.by_source),
        ] {
            self.breakdowns(kind, before, after, floors);
        }
        let rows = (b.rows, a.rows);
        self.counts(Kind::Flag, (&b.by_flag, &a.by_flag), rows, floors, |_| {
            Meaning::Bad
        });
        self.counts(Kind::Detail, (&b.by_detail, &a.by_detail), rows, floors, |_| {
            Meaning::None
        });
        self.counts(Kind::Code, (&b.by_code, &a.by_code), rows, floors, |code| {
            if code == "0" || code.starts_with('5') {
                Meaning::Bad
            } else {
                Meaning::None
            }
        });
        self.signatures(before, after, floors);
        self.connections(before, after, floors);
    }

    fn share(
        &mut self,
        subject: &Subject,
        metric: Metric,
        meaning: Meaning,
        before: (u64, u64),
        after: (u64, u64),
    ) {
        // Nothing on both sides is no comparison, and must not widen the bounds of the others.
        if before.0 == 0 && after.0 == 0 {
            return;
        }
        self.candidates.push(Candidate::Share {
            subject: subject.clone(),
            metric,
            meaning,
            before,
            after,
        });
    }

    fn breakdown(&mut self, subject: &Subject, before: &Breakdown, after: &Breakdown, floors: &Floors) {
        if before.requests.min(after.requests) < floors.requests_min {
            if before.requests.max(after.requests) > 0 {
                self.too_few
                    .push(subject.too_few(before.requests, after.requests));
            }
            return;
        }
        for (metric, of) in [
            (Metric::FailedShare, (|b| b.failed) as fn(&Breakdown) -> u64),
            (Metric::DeniedShare, |b| b.denied),
            (Metric::CanceledShare, |b| b.canceled),
        ] {
            let (b, a) = ((of(before), before.requests), (of(after), after.requests));
            self.share(subject, metric, Meaning::Bad, b, a);
        }
        if let (Some(b), Some(a)) = (&before.latency, &after.latency)
            && b.count.min(a.count) >= floors.requests_min
        {
            self.candidates.push(Candidate::Latency {
                subject: subject.clone(),
                pair: Box::new(LatencyPair::new(b, a)),
            });
        }
    }

    fn breakdowns(&mut self, kind: Kind, before: &[Breakdown], after: &[Breakdown], floors: &Floors) {
        let mut names: BTreeMap<(&str, &str), OnBothSides<'_>> = BTreeMap::new();
        for breakdown in before {
            names.entry((&breakdown.name, &breakdown.reporter)).or_default().0 = Some(breakdown);
        }
        for breakdown in after {
            names.entry((&breakdown.name, &breakdown.reporter)).or_default().1 = Some(breakdown);
        }
        for ((name, reporter), sides) in names {
            let subject = Subject {
                reporter: Some(reporter.to_owned()),
                ..Subject::new(kind, name)
            };
            match sides {
                (Some(before), Some(after)) => self.breakdown(&subject, before, after, floors),
                (before, after) => self.appeared(
                    &subject,
                    before.map(|b| b.requests),
                    after.map(|b| b.requests),
                    floors,
                ),
            }
        }
    }

    /// A name that one side has not.
    fn appeared(&mut self, subject: &Subject, before: Option<u64>, after: Option<u64>, floors: &Floors) {
        let (b, a) = (before.unwrap_or(0), after.unwrap_or(0));
        if b.max(a) < floors.requests_min {
            self.too_few.push(subject.too_few(b, a));
            return;
        }
        let status = if before.is_none() {
            Status::New
        } else {
            Status::Gone
        };
        let whole = |count: Option<u64>| count.map(|count| measure(1.0, count, count));
        self.appeared.push(Change {
            before: whole(before),
            after: whole(after),
            impact: as_f64(b.max(a)),
            ..subject.change(Metric::Presence, status, Direction::Neutral)
        });
    }

    /// Rows by something, of all rows.
    fn counts(
        &mut self,
        kind: Kind,
        (before, after): (&BTreeMap<String, u64>, &BTreeMap<String, u64>),
        rows: (u64, u64),
        floors: &Floors,
        meaning: fn(&str) -> Meaning,
    ) {
        if rows.0.min(rows.1) < floors.requests_min {
            return;
        }
        let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let count = |counts: &BTreeMap<String, u64>| counts.get(name).copied().unwrap_or(0);
            let subject = Subject::new(kind, name);
            let (b, a) = ((count(before), rows.0), (count(after), rows.1));
            self.share(&subject, Metric::RowShare, meaning(name), b, a);
        }
    }

    /// Hits by 1,000 rows; by second where a side has no rows.
    fn signatures(&mut self, before: &Figures, after: &Figures, floors: &Floors) {
        let by_rows = before.requests.rows.min(after.requests.rows) >= floors.requests_min;
        let exposure = |figures: &Figures| {
            if by_rows {
                as_f64(figures.requests.rows) / 1000.0
            } else {
                seconds(figures)
            }
        };
        let exposures = (exposure(before), exposure(after));
        if exposures.0 <= 0.0 || exposures.1 <= 0.0 {
            return;
        }
        let mut hits: BTreeMap<&str, (&figures::Signature, u64, u64)> = BTreeMap::new();
        for signature in &before.signatures {
            hits.entry(&signature.id).or_insert((signature, 0, 0)).1 = signature.count;
        }
        for signature in &after.signatures {
            hits.entry(&signature.id).or_insert((signature, 0, 0)).2 = signature.count;
        }
        for (id, (signature, b, a)) in hits {
            let subject = Subject {
                id: id.to_owned(),
                severity: Some(signature.severity.clone()),
                ..Subject::new(Kind::Signature, &signature.title)
            };
            if b.max(a) < floors.rate_count_min {
                self.too_few.push(subject.too_few(b, a));
                continue;
            }
            let meaning = if signature.severity == "info" {
                Meaning::None
            } else {
                Meaning::Bad
            };
            self.candidates.push(Candidate::Rate {
                subject,
                meaning,
                before: (b, exposures.0),
                after: (a, exposures.1),
            });
        }
    }

    /// Connections that went wrong in one way, of all to that server as captures saw it.
    fn connections(&mut self, before: &Figures, after: &Figures, floors: &Floors) {
        let servers = |figures: &Figures| {
            let mut all: BTreeMap<String, u64> = BTreeMap::new();
            for server in &figures.captures.servers {
                let name = server_name(server.name.as_ref(), &server.address, &server.hop);
                let sum = all.entry(name).or_default();
                *sum = sum.saturating_add(server.connections);
            }
            all
        };
        let troubles = |figures: &Figures| {
            let mut all: BTreeMap<(String, String), (String, u64)> = BTreeMap::new();
            for trouble in &figures.captures.troubles {
                let name = server_name(trouble.name.as_ref(), &trouble.server, &trouble.hop);
                let key = (trouble.kind.clone(), name);
                let sum = all.entry(key).or_insert_with(|| (trouble.text.clone(), 0));
                sum.1 = sum.1.saturating_add(trouble.connections);
            }
            all
        };
        let (b_servers, a_servers) = (servers(before), servers(after));
        let (b_troubles, a_troubles) = (troubles(before), troubles(after));
        let mut keys: Vec<&(String, String)> = b_troubles.keys().chain(a_troubles.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let (kind, server) = key;
            let of = |servers: &BTreeMap<String, u64>| servers.get(server).copied().unwrap_or(0);
            let hits = |troubles: &BTreeMap<(String, String), (String, u64)>| {
                troubles.get(key).map_or(0, |(_, n)| *n)
            };
            let text = a_troubles
                .get(key)
                .or(b_troubles.get(key))
                .map_or(kind, |(text, _)| text);
            let subject = Subject {
                id: kind.clone(),
                ..Subject::new(Kind::Connections, &format!("{server}: {text}"))
            };
            let (b, a) = (
                (hits(&b_troubles), of(&b_servers)),
                (hits(&a_troubles), of(&a_servers)),
            );
            if b.1.min(a.1) < floors.requests_min {
                self.too_few.push(subject.too_few(b.1, a.1));
                continue;
            }
            self.share(&subject, Metric::ConnectionShare, Meaning::Bad, b, a);
        }
    }
}

/// Addresses of pods change from run to run, names do not.
fn server_name(name: Option<&String>, server: &str, hop: &str) -> String {
    let called = name.map_or(server, String::as_str);
    if hop.is_empty() || hop == "other" {
        called.to_owned()
    } else {
        format!("{called} ({hop})")
    }
}

fn seconds(figures: &Figures) -> f64 {
    let at = |time: &Option<String>| {
        time.as_ref()
            .and_then(|text| text.parse::<jiff::Timestamp>().ok())
    };
    match (at(&figures.window.start), at(&figures.window.end)) {
        (Some(start), Some(end)) => end.duration_since(start).as_secs_f64().max(1.0),
        _ => 0.0,
    }
}

/// Findings that one side has and the other has not, or that hurt more or less.
fn findings(before: &Figures, after: &Figures) -> Vec<Change> {
    let mut left: Vec<&Finding> = before.findings.iter().collect();
    let mut changes = Vec::new();
    for finding in &after.findings {
        let same = left.iter().position(|old| old.id == finding.id).or_else(|| {
            left.iter().position(|old| {
                old.cause == finding.cause && old.scope.destination == finding.scope.destination
            })
        });
        let old = same.map(|at| left.remove(at));
        changes.extend(finding_change(old, Some(finding)));
    }
    changes.extend(left.into_iter().filter_map(|old| finding_change(Some(old), None)));
    changes
}

/// Shares of a finding that differ by less are the same: findings are established by rules of their own, which bounds of
/// one share do not describe.
const FINDING_SHARE_FACTOR: f64 = 1.5;

fn finding_change(before: Option<&Finding>, after: Option<&Finding>) -> Option<Change> {
    let told = after.or(before)?;
    let subject = Subject {
        id: told.id.clone(),
        severity: Some(told.severity.clone()),
        ..Subject::new(Kind::Finding, &told.title)
    };
    let part = |finding: &Finding| Part::new(finding.impact.failed, finding.impact.requests);
    let shares = (before.map(part), after.map(part));
    let (status, more) = match shares {
        (None, _) => (Status::New, true),
        (_, None) => (Status::Gone, false),
        (Some(b), Some(a)) if a.share() > b.share() * FINDING_SHARE_FACTOR => (Status::More, true),
        (Some(b), Some(a)) if b.share() > a.share() * FINDING_SHARE_FACTOR => (Status::Less, false),
        _ => return None,
    };
    // A remark and what only follows from a cause accuse nobody.
    let accuses = told.severity != "info" && told.role != "consequence";
    let direction = if accuses { Meaning::Bad } else { Meaning::None }.direction(more);
    let of = |finding: Option<&Finding>| {
        finding.map(|finding| {
            measure(
                part(finding).share(),
                finding.impact.failed,
                finding.impact.requests,
            )
        })
    };
    let difference = shares
        .0
        .zip(shares.1)
        .map(|(b, a)| share_difference(b, a, normal_quantile(0.975)).into());
    Some(Change {
        before: of(before),
        after: of(after),
        difference,
        impact: as_f64(told.impact.failed.max(1)),
        ..subject.change(Metric::Presence, status, direction)
    })
}

/// The JSON Schema of [`Diff`], draft 2020-12, as text with a final newline: the bytes of `diff.schema.json`.
///
/// # Errors
/// When the schema has no JSON form, which its tests rule out.
pub fn schema_text() -> std::io::Result<String> {
    let mut text = serde_json::to_string_pretty(&schemars::schema_for!(Diff))?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests;
