//! A proxy that stands still: all its destinations are slow in the same seconds, and nobody else finds them slow. With
//! configuration that it takes up at these times, that is what keeps it busy.

use super::{Slow, as_f64, good_of, mean_ms, slow_spans, slower, span};
use crate::aggregate::Merge;
use crate::aggregate::cells::Moment;
use crate::aggregate::class::Reporter;
use crate::aggregate::series::Series;
use crate::aggregate::signatures::Hits;
use crate::diagnose::answer::EvidenceKind;
use crate::diagnose::measure::{Facts, Measured, counted};
use crate::diagnose::suspects::Suspect;
use crate::units::{Place, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// A caller whose proxy stood still.
#[derive(Debug)]
pub(super) struct Stall {
    source: String,
    proxies: BTreeSet<String>,
    /// Its slow destinations.
    slow: Vec<Slow>,
    /// What the called sides and others say of the same seconds.
    elsewhere: Option<String>,
}

/// All callers whose proxies stood still. `all` are the destinations that are slow, whoever calls them.
pub(super) fn stalls(facts: &Facts<'_>, all: &[Slow]) -> Vec<Stall> {
    let sources: BTreeSet<&str> = facts
        .incident
        .hops
        .iter()
        .filter(|hop| hop.reporter == Reporter::Source && hop.counted)
        .map(|hop| hop.source.as_str())
        .collect();
    if all.is_empty() {
        return Vec::new();
    }
    sources
        .into_iter()
        .filter_map(|source| stall(facts, source, all))
        .collect()
}

fn stall(facts: &Facts<'_>, source: &str, all: &[Slow]) -> Option<Stall> {
    let mut series: BTreeMap<&str, Series<Moment>> = BTreeMap::new();
    for hop in facts
        .hops_of(source)
        .filter(|hop| hop.reporter == Reporter::Source && hop.counted)
    {
        series
            .entry(&hop.destination)
            .or_default()
            .merge(good_of(std::iter::once(hop)));
    }
    let rows = |series: &Series<Moment>| series.iter().map(|(_, moment)| moment.count).sum::<u64>();
    series.retain(|_, series| rows(series) >= facts.thresholds().slow_rows);
    let called = series.len();
    let proxies: BTreeSet<String> = facts
        .incident
        .calls
        .iter()
        .filter(|call| call.is_source() && call.source == source)
        .map(|call| call.key.proxy().to_owned())
        .collect();
    let slow: Vec<Slow> = series
        .iter()
        .filter_map(|(destination, series)| {
            slow_spans(facts, destination, Reporter::Source, series, proxies.clone())
        })
        .filter(|slow| !slow_for_others(facts, source, slow, all))
        .collect();
    if slow.len() < 2 || slow.len() * 3 < called * 2 || !together(&slow) {
        return None;
    }
    let elsewhere = elsewhere(facts, source, &slow);
    Some(Stall {
        source: source.to_owned(),
        proxies,
        slow,
        elsewhere,
    })
}

/// True if the called side was slow too in these seconds, or another caller found it slow. Where neither was read, what
/// several callers share may lie with the called side.
fn slow_for_others(facts: &Facts<'_>, source: &str, slow: &Slow, all: &[Slow]) -> bool {
    let called = within(&called_side(facts, slow), slow);
    let others = within(&other_callers(facts, source, slow), slow);
    if called.count > 0 {
        return mean_ms(&called) * 2.0 >= slow.mean_ms;
    }
    if others.count > 0 {
        return mean_ms(&others) * 2.0 >= slow.mean_ms;
    }
    let callers: BTreeSet<&String> = all
        .iter()
        .filter(|other| other.reporter == Reporter::Source)
        .flat_map(|other| &other.proxies)
        .collect();
    callers.len() > 1
}

/// Other destinations of the callers of a slow one, where they were as quick as ever in the same seconds: then no proxy stood
/// still, and no configuration kept one busy.
pub(super) fn others_went_on(facts: &Facts<'_>, slow: &Slow) -> Option<(String, String)> {
    let sources: BTreeSet<&str> = facts
        .hops_to(&slow.destination)
        .filter(|hop| hop.reporter == Reporter::Source)
        .map(|hop| hop.source.as_str())
        .collect();
    let mut others = Moment::default();
    for hop in sources.iter().flat_map(|source| facts.hops_of(source)) {
        if hop.reporter == Reporter::Source && hop.destination != slow.destination {
            let series = good_of(std::iter::once(hop));
            for (_, moment) in series.iter().filter(|(second, _)| slow.seconds.contains(second)) {
                others.merge(*moment);
            }
        }
    }
    (others.count >= facts.thresholds().slow_rows && mean_ms(&others) * 2.0 < slow.mean_ms).then(|| {
        let because = format!(
            "{} requests of the same callers to other destinations took {:.0} ms on average in the same seconds: no proxy stood still",
            others.count,
            mean_ms(&others)
        );
        ("control-plane-push-delay".to_owned(), because)
    })
}

fn called_side(facts: &Facts<'_>, slow: &Slow) -> Series<Moment> {
    good_of(
        facts
            .hops_to(&slow.destination)
            .filter(|hop| hop.reporter == Reporter::Destination),
    )
}

fn other_callers(facts: &Facts<'_>, source: &str, slow: &Slow) -> Series<Moment> {
    good_of(
        facts
            .hops_to(&slow.destination)
            .filter(|hop| hop.reporter == Reporter::Source && hop.source != source),
    )
}

/// What a series holds of the slow seconds.
fn within(series: &Series<Moment>, slow: &Slow) -> Moment {
    let mut inside = Moment::default();
    for (_, moment) in series.iter().filter(|(second, _)| slow.seconds.contains(second)) {
        inside.merge(*moment);
    }
    inside
}

fn elsewhere(facts: &Facts<'_>, source: &str, slow: &[Slow]) -> Option<String> {
    let (mut called, mut others) = (Moment::default(), Moment::default());
    for slow in slow {
        called.merge(within(&called_side(facts, slow), slow));
        others.merge(within(&other_callers(facts, source, slow), slow));
    }
    let of_called = (called.count > 0).then(|| {
        format!(
            "the called proxies answered {} requests of the same seconds in {:.0} ms on average",
            called.count,
            mean_ms(&called)
        )
    });
    let of_others = (others.count > 0).then(|| {
        format!(
            "{} requests of other callers took {:.0} ms",
            others.count,
            mean_ms(&others)
        )
    });
    let said: Vec<String> = of_called.into_iter().chain(of_others).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// True if the slow seconds of each lie near those of the first.
fn together(slow: &[Slow]) -> bool {
    let Some(first) = slow.first() else { return false };
    let near = |second: i64| {
        first
            .seconds
            .iter()
            .any(|s| (s - second).abs() <= 5 * first.width_s)
    };
    slow.iter().all(|s| {
        let close = s.seconds.iter().filter(|&&second| near(second)).count();
        close * 2 >= s.seconds.len()
    })
}

/// How sure it is with the proxy's own word for the updates, with istiod's for the pushes, and with neither.
const CONFIDENCE: [f64; 3] = [0.85, 0.7, 0.35];

impl Stall {
    /// True if a slow destination is slow for this caller alone.
    pub(super) fn explains(&self, facts: &Facts<'_>, slow: &Slow) -> bool {
        self.slow.iter().any(|own| own.destination == slow.destination)
            && facts
                .hops_to(&slow.destination)
                .filter(|hop| hop.reporter == Reporter::Source && hop.source != self.source)
                .all(|hop| {
                    let series = good_of(std::iter::once(hop));
                    slow_spans(
                        facts,
                        &slow.destination,
                        Reporter::Source,
                        &series,
                        BTreeSet::new(),
                    )
                    .is_none()
                })
    }

    pub(super) fn suspect<'f>(&self, facts: &'f Facts<'f>) -> Suspect<'f> {
        let applied = self.applied(facts);
        let pushed = self.pushed(facts);
        let [by_proxy, by_istiod, by_nobody] = CONFIDENCE;
        let confidence = match (&applied, &pushed) {
            (Some(_), _) => by_proxy,
            (None, Some(_)) => by_istiod,
            (None, None) => by_nobody,
        };
        let mut suspect = Suspect::new("control-plane-push-delay", "*", confidence);
        suspect.remark = applied.is_none() && pushed.is_none();
        suspect.pods.extend(self.proxies.iter().cloned());
        suspect.source = Some(self.source.clone());
        suspect.added_latency_ms = self
            .slow
            .iter()
            .map(|slow| slow.mean_ms - slow.usual_ms)
            .max_by(f64::total_cmp);
        let spans: Vec<(Timestamp, Timestamp)> = self.slow.iter().filter_map(span).collect();
        suspect.window = spans
            .iter()
            .map(|span| span.0)
            .min()
            .zip(spans.iter().map(|span| span.1).max());
        suspect
            .measured
            .extend(self.slow.iter().map(|slow| slower(facts, slow)));
        suspect.measured.extend(applied);
        suspect.measured.extend(pushed);
        let disproved = self
            .elsewhere
            .iter()
            .map(|why| ("slow-upstream-app".to_owned(), why.clone()));
        suspect.disproved.extend(disproved);
        suspect
    }

    /// That the proxy says that it took in new configuration near the slow seconds.
    fn applied(&self, facts: &Facts<'_>) -> Option<Measured> {
        let hits = facts
            .config_applied()
            .filter(|(proxy, _)| self.proxies.contains(*proxy))
            .map(|(_, hits)| hits);
        let (count, places) = self.near(hits, APPLIED_REACH_S, APPLIED_REACH_S);
        (count > 0).then(|| Measured {
            name: "pushes",
            kind: EvidenceKind::Log,
            text: format!(
                "{} applied configuration updates within {APPLIED_REACH_S} s of these spans ({})",
                self.source,
                counted(count, "line")
            ),
            count,
            strength: 0.8,
            frames: Vec::new(),
            places,
        })
    }

    /// That istiod says that it pushed to the proxy just before; none where it pushes so often that this says nothing.
    fn pushed(&self, facts: &Facts<'_>) -> Option<Measured> {
        let rules = &facts.rules.pushed;
        let hits: Vec<&Hits> = self
            .proxies
            .iter()
            .flat_map(|proxy| facts.lines_of(rules, proxy))
            .collect();
        let (count, places) = self.near(hits.iter().copied(), PUSHED_REACH_S, 1);
        let (begin, end) = (facts.incident.start?.secs(), facts.incident.end?.secs());
        let mut covered: BTreeSet<i64> = BTreeSet::new();
        for (second, _) in hits.iter().flat_map(|hits| hits.series.iter()).take(MAX_PUSHES) {
            let reach_s = PUSHED_REACH_S.saturating_add(self.late_s());
            covered.extend((second - 1..=second + reach_s).filter(|s| (begin..=end).contains(s)));
        }
        let all = u64::try_from(end - begin + 1).unwrap_or(1);
        let usual = as_f64(covered.len() as u64) / as_f64(all);
        (count > 0 && usual <= PUSHED_SHARE_MAX).then(|| Measured {
            name: "pushed",
            kind: EvidenceKind::Log,
            text: format!(
                "istiod pushed to {} within {PUSHED_REACH_S} s before these spans ({})",
                self.source,
                counted(count, "line")
            ),
            count,
            strength: 0.7,
            frames: Vec::new(),
            places,
        })
    }

    /// How much later a slow request is counted than it began: rows are counted when they are complete, in buckets.
    fn late_s(&self) -> i64 {
        let slowest = self.slow.iter().map(|slow| slow.mean_ms).max_by(f64::total_cmp);
        let whole =
            (1..=MAX_LATE_S).find(|s| slowest.is_none_or(|ms| ms <= as_f64(s.unsigned_abs()) * 1000.0));
        let width_s = self.slow.iter().map(|slow| slow.width_s).max().unwrap_or(1);
        whole.unwrap_or(MAX_LATE_S).saturating_add(width_s)
    }

    /// How many lines came up to `before_s` before a slow second or up to `after_s` after one, and the first of them.
    fn near<'h>(
        &self,
        hits: impl Iterator<Item = &'h Hits>,
        before_s: i64,
        after_s: i64,
    ) -> (u64, Vec<Place>) {
        let before_s = before_s.saturating_add(self.late_s());
        let near = |line: i64| {
            let mut seconds = self.slow.iter().flat_map(|slow| &slow.seconds);
            seconds.any(|slow| slow - line <= before_s && line - slow <= after_s)
        };
        let (mut count, mut places) = (0, Vec::new());
        for hits in hits {
            let lines = hits.series.iter().filter(|(second, _)| near(*second));
            count += lines.map(|(_, lines)| *lines).sum::<u64>();
            // The first lines are those that are kept: they are cited where they are the ones that are meant.
            if hits.first.is_some_and(|first| near(first.secs())) {
                places.extend(hits.examples.keys().copied());
            }
        }
        places.sort_unstable();
        places.truncate(3);
        (count, places)
    }
}

/// Requests that take longer than this are taken for as long.
const MAX_LATE_S: i64 = 30;

/// Configuration updates within this many seconds of a slow one may have caused it.
const APPLIED_REACH_S: i64 = 10;

/// A push may have caused slow seconds that follow within so many.
const PUSHED_REACH_S: i64 = 5;

/// Seconds with pushes that are looked at.
const MAX_PUSHES: usize = 100_000;

/// Where pushes reach this share of all seconds, those near the slow ones say nothing.
const PUSHED_SHARE_MAX: f64 = 0.5;
