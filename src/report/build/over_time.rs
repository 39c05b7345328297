//! Requests over time of each destination and each hop, for renderers in which a reader chooses a window.

use crate::aggregate::called::{Doublings, Spread};
use crate::aggregate::flags::Outcome;
use crate::aggregate::samples::Bucket;
use crate::correlate::Incident;
use crate::correlate::join::Phase;
use crate::report::model::{
    Correlation, HistogramBucket, OverTime, Requests, SpentMoment, Timeline, Topology, WindowMoment,
};
use std::collections::BTreeMap;

/// Moments by start of their bucket.
type Moments<M> = BTreeMap<i64, M>;

/// The moments of what two names are of, with its place in the list.
type Listed<'n, M> = BTreeMap<(&'n str, &'n str), (usize, Moments<M>)>;

/// The moments of destinations and hops, in the order in which `requests` and `topology` list them.
pub(super) fn over_time(
    incident: &Incident<'_>,
    requests: &Requests,
    topology: &Topology,
    correlation: &Correlation,
    timeline: &Timeline,
) -> OverTime {
    let bucket_s = i64::try_from(timeline.bucket_s).unwrap_or(1).max(1);
    let start_of = |second: i64| second.div_euclid(bucket_s).saturating_mul(bucket_s);
    let mut destinations: Listed<'_, WindowMoment> = BTreeMap::new();
    for (index, row) in requests.by_destination.iter().enumerate() {
        destinations.insert((&row.reporter, &row.name), (index, Moments::new()));
    }
    let mut edges: Listed<'_, WindowMoment> = BTreeMap::new();
    for (index, edge) in topology.edges.iter().enumerate() {
        edges.insert((&edge.source, &edge.destination), (index, Moments::new()));
    }
    for hop in &incident.hops {
        let destination = destinations.get_mut(&(hop.reporter.name(), hop.destination.as_str()));
        let edge = edges.get_mut(&(hop.source.as_str(), hop.destination.as_str()));
        let edge = edge.filter(|_| hop.counted);
        for (_, moments) in [destination, edge].into_iter().flatten() {
            for (second, rows) in hop.series.iter() {
                let moment = moments.entry(start_of(second)).or_default();
                moment.requests += rows.requests;
                moment.failed += rows.failed;
            }
        }
    }
    // Rows that are not plainly good, of which groups know the times.
    for call in incident.calls.iter().filter(|call| !call.key.tcp) {
        let key = (call.key.reporter.name(), call.destination.as_str());
        let Some((_, moments)) = destinations.get_mut(&key) else {
            continue;
        };
        for (second, rows) in call.group.series.iter() {
            let moment = moments.entry(start_of(second)).or_default();
            match call.outcome() {
                Outcome::Denied => moment.denied += rows.count,
                Outcome::Canceled => moment.canceled += rows.count,
                Outcome::Ok | Outcome::Failed => {}
            }
            for flag in call.key.flag_tokens() {
                *moment.flags.entry(flag.to_owned()).or_default() += rows.count;
            }
        }
    }
    let called = incident.totals.called.iter().map(|(key, series)| {
        let name = incident.names.service(&key.destination);
        ((key.reporter, name), series)
    });
    let lumped = incident.totals.called.lumped();
    let lumped = lumped.map(|(reporter, series)| ((*reporter, "other"), series));
    for ((reporter, name), series) in called.chain(lumped) {
        let Some((_, moments)) = destinations.get_mut(&(reporter.name(), name)) else {
            continue;
        };
        for (second, spread) in series.iter() {
            add_spread(moments.entry(start_of(second)).or_default(), spread);
        }
    }
    let dated = |start_s, moment| WindowMoment { start_s, ..moment };
    OverTime {
        by_destination: in_order(destinations, dated),
        edges: in_order(edges, dated),
        spent: spent(incident, correlation, start_of),
    }
}

/// Sums of the parts of requests' time, in the order in which `correlation` lists destinations.
fn spent(
    incident: &Incident<'_>,
    correlation: &Correlation,
    start_of: impl Fn(i64) -> i64,
) -> Vec<Vec<SpentMoment>> {
    let mut lists: Listed<'_, SpentMoment> = BTreeMap::new();
    for (index, listed) in correlation.by_destination.iter().enumerate() {
        lists.insert((&listed.name, &listed.reporter), (index, BTreeMap::new()));
    }
    for (row, call, spent, _) in super::correlation::spent_rows(incident) {
        let key = (call.destination.as_str(), call.key.reporter.name());
        let Some((_, moments)) = lists.get_mut(&key) else {
            continue;
        };
        let moment = moments.entry(start_of(row.row.end().secs())).or_default();
        for phase in Phase::ALL {
            if let Some(ns) = spent.of_ns(phase) {
                let (requests, sum_us) = moment.parts.entry(phase.name()).or_default();
                *requests += 1;
                *sum_us = sum_us.saturating_add(ns / 1000);
            }
        }
    }
    in_order(lists, |start_s, moment| SpentMoment { start_s, ..moment })
}

fn add_spread(moment: &mut WindowMoment, spread: &Spread) {
    add(&mut moment.ok, &spread.ok);
    if let Some(failed) = &spread.failed {
        add(&mut moment.failed_durations, failed);
    }
}

fn add(list: &mut Vec<HistogramBucket>, counts: &Doublings) {
    for (doubling, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let le = super::figures::as_f64(Bucket::doubling_le_ms(doubling));
        let count = u64::from(*count);
        match list.binary_search_by(|bucket| bucket.le.total_cmp(&le)) {
            Ok(at) => {
                if let Some(bucket) = list.get_mut(at) {
                    bucket.count += count;
                }
            }
            Err(at) => list.insert(at, HistogramBucket { le, count }),
        }
    }
}

fn in_order<M>(listed: Listed<'_, M>, dated: impl Fn(i64, M) -> M) -> Vec<Vec<M>> {
    let mut list: Vec<(usize, Moments<M>)> = listed.into_values().collect();
    list.sort_unstable_by_key(|(index, _)| *index);
    let moments = list.into_iter().map(|(_, moments)| moments.into_iter());
    moments
        .map(|moments| moments.map(|(start_s, moment)| dated(start_s, moment)).collect())
        .collect()
}
