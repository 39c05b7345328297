//! Requests over time of each destination and each hop, for renderers in which a reader chooses a window.

use crate::aggregate::called::{Doublings, Spread};
use crate::aggregate::class::Reporter;
use crate::aggregate::flags::Outcome;
use crate::aggregate::samples::Bucket;
use crate::correlate::Incident;
use crate::report::model::{HistogramBucket, OverTime, Requests, Timeline, Topology, WindowMoment};
use std::collections::BTreeMap;

/// Moments by start of their bucket.
type Moments = BTreeMap<i64, WindowMoment>;

/// The moments of destinations and hops, in the order in which `requests` and `topology` list them.
pub(super) fn over_time(
    incident: &Incident<'_>,
    requests: &Requests,
    topology: &Topology,
    timeline: &Timeline,
) -> OverTime {
    let bucket_s = i64::try_from(timeline.bucket_s).unwrap_or(1).max(1);
    let start_of = |second: i64| second.div_euclid(bucket_s).saturating_mul(bucket_s);
    let mut destinations: BTreeMap<(&str, &str), (usize, Moments)> = BTreeMap::new();
    for (index, row) in requests.by_destination.iter().enumerate() {
        destinations.insert((&row.reporter, &row.name), (index, Moments::new()));
    }
    let mut edges: BTreeMap<(&str, &str), (usize, Moments)> = BTreeMap::new();
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
        let Some((_, moments)) = destinations.get_mut(&(Reporter::name(reporter), name)) else {
            continue;
        };
        for (second, spread) in series.iter() {
            add_spread(moments.entry(start_of(second)).or_default(), spread);
        }
    }
    OverTime {
        by_destination: in_order(destinations),
        edges: in_order(edges),
    }
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

fn in_order(moments: BTreeMap<(&str, &str), (usize, Moments)>) -> Vec<Vec<WindowMoment>> {
    let mut list: Vec<(usize, Moments)> = moments.into_values().collect();
    list.sort_unstable_by_key(|(index, _)| *index);
    list.into_iter()
        .map(|(_, moments)| {
            let dated = moments.into_iter();
            dated
                .map(|(start_s, moment)| WindowMoment { start_s, ..moment })
                .collect()
        })
        .collect()
}
