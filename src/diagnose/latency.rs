//! Spans in which a destination answered much more slowly than it usually does, and where the time went as far
//! as rows of both proxies can tell.

mod stall;

use super::measure::{Facts, Measured};
use super::suspects::{Suspect, Suspects};
use crate::aggregate::Merge;
use crate::aggregate::captures::StreamHop;
use crate::aggregate::cells::Moment;
use crate::aggregate::class::Reporter;
use crate::aggregate::series::Series;
use crate::correlate::{Hop, Server};
use crate::decode::packet::FrameRef;
use crate::diagnose::answer::EvidenceKind;
use crate::units::{Place, Timestamp};
use std::collections::BTreeSet;

/// A destination's slow seconds.
#[derive(Clone, Debug)]
struct Slow {
    destination: String,
    seconds: Vec<i64>,
    width_s: i64,
    rows: u64,
    usual_ms: f64,
    mean_ms: f64,
    proxies: BTreeSet<String>,
    reporter: Reporter,
}

/// Adds suspects for slow destinations that no fault explains.
pub fn suspect<'f>(suspects: &mut Suspects<'f>, facts: &'f Facts<'f>) {
    let called: BTreeSet<&str> = facts
        .destinations()
        .map(|(name, _)| name)
        .chain(
            facts
                .incident
                .servers
                .iter()
                .map(|server| server.destination.as_str()),
        )
        .collect();
    let mut slow: Vec<Slow> = called
        .into_iter()
        .filter_map(|name| slow_destination(facts, name))
        .collect();
    for stall in stall::stalls(facts, &slow) {
        slow.retain(|slow| !stall.explains(facts, slow));
        suspects.add(stall.suspect(facts));
    }
    let deeper: Vec<Option<String>> = slow.iter().map(|s| waits_for(facts, s, &slow)).collect();
    let followers: Vec<(&Slow, &Option<String>)> = slow.iter().zip(&deeper).collect();
    for (slow, deeper) in slow.iter().zip(deeper.clone()) {
        if explained_by_packets(suspects, facts, slow) {
            continue;
        }
        let faulty = suspects.list.iter().any(|((_, destination), s)| {
            *destination == slow.destination && s.count(facts) >= facts.thresholds().min_failures
        });
        if !faulty {
            let mut suspect = slow_upstream(facts, slow);
            let waiting = slow_of(&slow.destination, &followers);
            suspect
                .measured
                .extend(waiting.map(|other| waited_for(facts, other)));
            suspect.follows = deeper.map(|destination| cause_of_slowness(suspects, facts, &destination));
            suspects.add(suspect);
        }
    }
    timeouts_follow(suspects, facts, &slow);
}

/// Timeouts of a destination whose pods wait for a slow one follow from that.
fn timeouts_follow(suspects: &mut Suspects<'_>, facts: &Facts<'_>, slow: &[Slow]) {
    let timeouts: Vec<_> = suspects
        .list
        .iter()
        .filter(|(key, s)| key.0 == "upstream-timeout" && s.follows.is_none())
        .filter_map(|(key, s)| Some((key.clone(), s.span(facts)?)))
        .collect();
    for (key, (first, last)) in timeouts {
        let meanwhile = |other: &&Slow| span(other).is_some_and(|(from, to)| from <= last && to >= first);
        let waited = slow
            .iter()
            .filter(|other| other.destination != key.1 && calls(facts, &key.1, &other.destination))
            .find(meanwhile);
        let cause = waited.map(|other| ("slow-upstream-app".to_owned(), other.destination.clone()));
        let shown = cause.filter(|cause| suspects.list.get(cause).is_some_and(|s| !s.remark));
        if let (Some(cause), Some(suspect)) = (shown, suspects.list.get_mut(&key)) {
            suspect.follows = Some(cause);
        }
    }
}

/// The destinations that wait for this one.
fn slow_of<'s>(
    destination: &'s str,
    followers: &'s [(&'s Slow, &'s Option<String>)],
) -> impl Iterator<Item = &'s Slow> {
    let waits = move |deeper: &Option<String>| deeper.as_deref() == Some(destination);
    followers
        .iter()
        .filter(move |(_, deeper)| waits(deeper))
        .map(|(slow, _)| *slow)
}

/// That another destination, which calls this one, was slow for as long; its rows may be the slowest of all.
fn waited_for(facts: &Facts<'_>, other: &Slow) -> Measured {
    Measured {
        name: "waited-for",
        kind: EvidenceKind::Join,
        text: format!(
            "requests to {}, whose pods call it, took {:.0} ms on average in the same seconds, against {:.0} ms at other times",
            other.destination, other.mean_ms, other.usual_ms
        ),
        count: other.rows,
        strength: 0.6,
        frames: Vec::new(),
        places: slowest_places(facts, &other.destination, other.reporter),
    }
}

/// What makes a destination slow that others wait for: what packets show of it, else its application.
fn cause_of_slowness(suspects: &Suspects<'_>, facts: &Facts<'_>, destination: &str) -> (String, String) {
    let at = |(key, s): &(&(String, String), &Suspect<'_>)| {
        key.1 == destination
            && !s.remark
            && (s.added_latency_ms.is_some() || s.shown(facts) >= facts.thresholds().min_failures)
    };
    let known = suspects.list.iter().find(at).map(|(key, _)| key.clone());
    known.unwrap_or_else(|| ("slow-upstream-app".to_owned(), destination.to_owned()))
}

/// Another slow destination, which the pods of this one call and for which it waits: it adds at least half as much, in
/// mostly the same seconds. Of several the slowest; never of two that call each other.
fn waits_for(facts: &Facts<'_>, slow: &Slow, all: &[Slow]) -> Option<String> {
    let serving: BTreeSet<&str> = facts
        .calls_to(&slow.destination)
        .filter(|c| !c.is_source())
        .map(|c| c.key.proxy())
        .collect();
    let called: BTreeSet<&str> = facts
        .incident
        .calls
        .iter()
        .filter(|c| c.is_source() && serving.contains(c.key.proxy()))
        .map(|c| c.destination.as_str())
        .collect();
    let added = |s: &Slow| s.mean_ms - s.usual_ms;
    let shared = |other: &Slow| {
        let same = slow
            .seconds
            .iter()
            .filter(|second| other.seconds.contains(second))
            .count();
        same * 2 >= slow.seconds.len()
    };
    all.iter()
        .filter(|other| other.destination != slow.destination && called.contains(other.destination.as_str()))
        .filter(|other| !calls(facts, &other.destination, &slow.destination))
        .filter(|other| added(other) * 2.0 >= added(slow) && shared(other))
        .max_by(|a, b| {
            added(a)
                .total_cmp(&added(b))
                .then_with(|| b.destination.cmp(&a.destination))
        })
        .map(|other| other.destination.clone())
}

/// True if pods of one destination call the other.
fn calls(facts: &Facts<'_>, from: &str, to: &str) -> bool {
    let serving = facts.calls_to(from).filter(|c| !c.is_source());
    let serving: BTreeSet<&str> = serving.map(|c| c.key.proxy()).collect();
    let mut calling = facts.calls_to(to).filter(|c| c.is_source());
    calling.any(|c| serving.contains(c.key.proxy()))
}

/// Packets show why it is slow (loss, a closed window): the slow rows bear that out.
fn explained_by_packets(suspects: &mut Suspects<'_>, facts: &Facts<'_>, slow: &Slow) -> bool {
    let Some((from, to)) = span(slow) else {
        return false;
    };
    let explains = |s: &&mut Suspect<'_>| {
        let of_packets = s.connections.is_some() && !s.remark && s.destination == slow.destination;
        of_packets && s.window.is_some_and(|(first, last)| first <= to && last >= from)
    };
    let mut explained = false;
    for suspect in suspects.list.values_mut().filter(explains) {
        suspect.added_latency_ms = Some(slow.mean_ms - slow.usual_ms);
        suspect.measured.push(slower(facts, slow));
        explained = true;
    }
    explained
}

fn good_series(facts: &Facts<'_>, destination: &str, reporter: Reporter) -> Series<Moment> {
    good_of(facts.hops_to(destination).filter(|hop| hop.reporter == reporter))
}

/// The good rows of some hops over time.
fn good_of<'h>(hops: impl Iterator<Item = &'h Hop<'h>>) -> Series<Moment> {
    let mut series = Series::default();
    for hop in hops {
        let mut good = Series::default();
        good.widen_to(hop.series.width_log2());
        for (second, moment) in hop.series.iter().filter(|(_, m)| m.good.count > 0) {
            good.add(second, moment.good);
        }
        series.merge(good);
    }
    series
}

/// True where a capture shows requests to the application itself: from its own proxy, or to a pod without one.
fn shows_application(server: &Server<'_>) -> bool {
    matches!(server.hop, StreamHop::ProxyToApp | StreamHop::Other)
}

/// Times from request to answer as captures show them at the application itself.
fn captured_answers(facts: &Facts<'_>, destination: &str) -> Series<Moment> {
    let mut series = Series::default();
    let servers = facts.incident.servers.iter();
    for server in servers.filter(|s| s.destination == destination && shows_application(s)) {
        series.merge(server.totals.answers.clone());
    }
    series
}

/// What captures show of the application in the slow seconds: the mean time to an answer, and the slowest requests.
fn seen_at_application(facts: &Facts<'_>, slow: &Slow) -> Option<(Moment, Vec<FrameRef>)> {
    let (Some(first), Some(last)) = (slow.seconds.first(), slow.seconds.last()) else {
        return None;
    };
    let mut inside = Moment::default();
    for (_, moment) in captured_answers(facts, &slow.destination)
        .iter()
        .filter(|(second, _)| second >= first && *second <= last + slow.width_s)
    {
        inside.merge(*moment);
    }
    let servers = facts.incident.servers.iter();
    let mut frames: Vec<_> = servers
        .filter(|s| s.destination == slow.destination && shows_application(s))
        .flat_map(|s| &s.totals.slowest)
        .collect();
    frames.sort();
    let frames = frames.into_iter().map(|(_, at)| *at).take(5).collect();
    (inside.count > 0).then_some((inside, frames))
}

fn mean_ms(moment: &Moment) -> f64 {
    if moment.count == 0 {
        0.0
    } else {
        as_f64(moment.duration_sum_ms) / as_f64(moment.count)
    }
}

fn slow_destination(facts: &Facts<'_>, destination: &str) -> Option<Slow> {
    let source = good_series(facts, destination, Reporter::Source);
    let (series, reporter) = if source.is_empty() {
        let called = good_series(facts, destination, Reporter::Destination);
        let series = if called.is_empty() {
            captured_answers(facts, destination)
        } else {
            called
        };
        (series, Reporter::Destination)
    } else {
        (source, Reporter::Source)
    };
    let proxies = facts
        .calls_to(destination)
        .filter(|c| c.key.reporter == reporter)
        .map(|c| c.key.proxy().to_owned())
        .collect();
    slow_spans(facts, destination, reporter, &series, proxies)
}

/// The buckets of a series that are much slower than its usual ones, if they are enough to say so.
fn slow_spans(
    facts: &Facts<'_>,
    destination: &str,
    reporter: Reporter,
    series: &Series<Moment>,
    proxies: BTreeSet<String>,
) -> Option<Slow> {
    let mut means: Vec<f64> = series.iter().map(|(_, m)| mean_ms(m)).collect();
    means.sort_by(f64::total_cmp);
    // The lower third stands for the usual: an incident may fill more than half of a short recording.
    let usual_ms = *means.get(means.len() / 3)?;
    let thresholds = facts.thresholds();
    let bound = (usual_ms * thresholds.slow_factor).max(usual_ms + as_f64(thresholds.slow_floor_ms));
    let mut slow_moment = Moment::default();
    let mut seconds = Vec::new();
    for (second, moment) in series.iter().filter(|(_, m)| mean_ms(m) >= bound) {
        slow_moment.merge(*moment);
        seconds.push(second);
    }
    let lasting =
        seconds.len() >= thresholds.slow_buckets || mean_ms(&slow_moment) >= as_f64(thresholds.stall_ms);
    (slow_moment.count >= thresholds.slow_rows && lasting && seconds.len() < series.len()).then(|| Slow {
        destination: destination.to_owned(),
        seconds,
        width_s: series.width_s(),
        rows: slow_moment.count,
        usual_ms,
        mean_ms: mean_ms(&slow_moment),
        proxies,
        reporter,
    })
}

fn span(slow: &Slow) -> Option<(Timestamp, Timestamp)> {
    let (first, last) = (slow.seconds.first()?, slow.seconds.last()?);
    Some((
        Timestamp::from_secs(*first),
        Timestamp::from_secs(last + slow.width_s),
    ))
}

/// Slow calls that the called proxy confirms are its application's; without its rows that is open.
fn slow_upstream<'f>(facts: &Facts<'_>, slow: &Slow) -> Suspect<'f> {
    let called = good_series(facts, &slow.destination, Reporter::Destination);
    let mut inside = Moment::default();
    for (_, moment) in called.iter().filter(|(second, _)| slow.seconds.contains(second)) {
        inside.merge(*moment);
    }
    let captured = seen_at_application(facts, slow);
    let upstream_ms = if inside.upstream_count > 0 {
        Some(as_f64(inside.upstream_sum_ms) / as_f64(inside.upstream_count))
    } else {
        captured.as_ref().map(|(answers, _)| mean_ms(answers))
    };
    let application = upstream_ms.is_some_and(|ms| ms * 2.0 >= slow.mean_ms);
    let of_rows = inside.upstream_count > 0;
    let text = match upstream_ms {
        Some(ms) if application && of_rows => format!("the called proxy waited {ms:.0} ms on average for its application in the same seconds: the time was spent there"),
        Some(ms) if of_rows => format!("the called proxy waited only {ms:.0} ms for its application in the same seconds: the time was spent between the proxies"),
        Some(ms) if application => format!("in the capture the application took {ms:.0} ms on average to the first byte of its answer in the same seconds: the time was spent there"),
        Some(ms) => format!("in the capture the application took only {ms:.0} ms to the first byte of its answer in the same seconds: the time was spent on the way"),
        None => "the called proxy's log was not read for these seconds: application and network cannot be told apart".to_owned(),
    };
    let (cause, confidence) = match upstream_ms {
        Some(_) if application => ("slow-upstream-app", 0.88),
        Some(_) => ("packet-loss", 0.35),
        None => ("slow-upstream-app", 0.4),
    };
    let mut suspect = Suspect::new(cause, &slow.destination, confidence);
    suspect.remark = !application;
    suspect.window = span(slow);
    suspect.added_latency_ms = Some(slow.mean_ms - slow.usual_ms);
    suspect.measured.push(slower(facts, slow));
    suspect.disproved.extend(stall::others_went_on(facts, slow));
    if let (true, Some((answers, frames))) = (of_rows, &captured) {
        suspect.measured.push(Measured {
            name: "answers-captured",
            kind: EvidenceKind::Packet,
            text: format!(
                "in the capture the application took {:.0} ms on average to the first byte of its answer in the same seconds",
                mean_ms(answers)
            ),
            count: answers.count,
            strength: 0.8,
            frames: frames.clone(),
            places: Vec::new(),
        });
    }
    if facts.rows_to(&slow.destination) == 0 {
        suspect.connections = Some((slow.rows, 0));
    }
    suspect.measured.push(Measured {
        name: "time-spent",
        kind: if of_rows || captured.is_none() {
            EvidenceKind::Statistic
        } else {
            EvidenceKind::Packet
        },
        text,
        count: if of_rows {
            inside.upstream_count
        } else {
            captured.as_ref().map_or(0, |(answers, _)| answers.count)
        },
        strength: confidence,
        frames: match &captured {
            Some((_, frames)) if !of_rows => frames.clone(),
            _ => Vec::new(),
        },
        places: slowest_places(facts, &slow.destination, Reporter::Destination),
    });
    suspect.pods = facts
        .calls_to(&slow.destination)
        .filter(|c| !c.is_source())
        .map(|c| c.key.proxy().to_owned())
        .collect();
    suspect
}

fn slower(facts: &Facts<'_>, slow: &Slow) -> Measured {
    Measured {
        name: "slower",
        kind: EvidenceKind::Statistic,
        text: format!(
            "{} good requests to {} took {:.0} ms on average, against {:.0} ms at other times",
            slow.rows, slow.destination, slow.mean_ms, slow.usual_ms
        ),
        count: slow.rows,
        strength: 0.8,
        frames: Vec::new(),
        places: slowest_places(facts, &slow.destination, slow.reporter),
    }
}

fn slowest_places(facts: &Facts<'_>, destination: &str, reporter: Reporter) -> Vec<Place> {
    let names = &facts.incident.names;
    let slowest = facts.incident.totals.slowest.iter();
    slowest
        .filter(|s| s.reporter == reporter && names.service(&s.destination) == destination)
        .map(|s| s.place)
        .take(3)
        .collect()
}

fn as_f64(value: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "sums of ms are far below 2^52")]
    let value = value as f64;
    value
}
