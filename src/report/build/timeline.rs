//! Counts over time, what happened when.

use super::figures::as_f64;
use super::requests::reference;
use crate::aggregate::Merge;
use crate::aggregate::samples::Samples;
use crate::aggregate::series::Series;
use crate::catalog::{Catalog, SignatureSource};
use crate::correlate::Incident;
use crate::diagnose::Finding;
use crate::diagnose::resets::ratio;
use crate::report::model::{ChangePoint, Counts, Event, TimeBucket, Timeline};
use crate::units::Timestamp;

/// Events listed at most.
const MAX_EVENTS: usize = 50;

#[derive(Clone, Debug, Default)]
struct Bucket {
    requests: u64,
    failed: u64,
    denied: u64,
    flags: Counts,
    signatures: Counts,
}

impl Merge for Bucket {
    fn merge(&mut self, other: Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.denied += other.denied;
        for (flag, count) in other.flags {
            *self.flags.entry(flag).or_default() += count;
        }
        for (signature, count) in other.signatures {
            *self.signatures.entry(signature).or_default() += count;
        }
    }
}

/// The time line.
pub(super) fn timeline(incident: &Incident<'_>, catalog: &Catalog, findings: &[Finding]) -> Timeline {
    let mut series: Series<Bucket> = Series::default();
    series.widen_to(incident.totals.row_series.width_log2());
    for hop in incident.hops.iter().filter(|hop| hop.counted) {
        for (second, moment) in hop.series.iter() {
            let bucket = Bucket {
                requests: moment.requests,
                failed: moment.failed,
                denied: moment.denied,
                ..Bucket::default()
            };
            series.add(second, bucket);
        }
    }
    for call in &incident.calls {
        for (second, moment) in call.group.series.iter().filter(|_| !call.key.flags.is_empty()) {
            let flags = call
                .key
                .flag_tokens()
                .map(|f| (f.to_owned(), moment.count))
                .collect();
            series.add(
                second,
                Bucket {
                    flags,
                    ..Bucket::default()
                },
            );
        }
    }
    for (key, hits) in incident.totals.hits.iter() {
        let Some(signature) = catalog.signatures.get(usize::from(key.signature)) else {
            continue;
        };
        for (second, count) in hits.series.iter() {
            series.add(
                second,
                Bucket {
                    signatures: Counts::from([(signature.id.clone(), *count)]),
                    ..Bucket::default()
                },
            );
        }
    }
    let mut latency = incident.totals.latency_series.clone();
    latency.widen_to(series.width_log2());
    series.widen_to(latency.width_log2());
    let quantiles = |start: i64| -> Option<(f64, f64)> {
        let (_, second) = latency.iter().find(|(s, _)| *s == start)?;
        let samples = second.0.iter().find(|s| !s.is_empty())?;
        quantiles(samples)
    };
    let buckets = series.iter().map(|(start, bucket)| {
        let latency = quantiles(start);
        TimeBucket {
            start: Timestamp::from_secs(start),
            requests: bucket.requests,
            failed: bucket.failed,
            denied: bucket.denied,
            p50_ms: latency.map(|l| l.0),
            p99_ms: latency.map(|l| l.1),
            flags: bucket.flags.clone(),
            signatures: bucket.signatures.clone(),
            resets: 0,
            retransmissions: 0,
        }
    });
    Timeline {
        bucket_s: u64::try_from(series.width_s()).unwrap_or(1),
        buckets: buckets.collect(),
        change_points: change_points(incident, findings),
        events: events(incident, catalog),
        gaps: Vec::new(),
    }
}

fn quantiles(samples: &Samples) -> Option<(f64, f64)> {
    let histogram = samples.to_histogram()?;
    let at = |q| as_f64(histogram.value_at_quantile(q).min(histogram.max()));
    Some((at(0.5), at(0.99)))
}

/// Onsets of findings: the share of failures before and in the window.
fn change_points(incident: &Incident<'_>, findings: &[Finding]) -> Vec<ChangePoint> {
    let mut list: Vec<ChangePoint> = findings
        .iter()
        .filter_map(|finding| {
            let at = finding.onset?;
            let destination = finding.scope.destination.as_deref()?;
            let (mut all, mut failed) = (0, 0);
            for hop in incident
                .hops
                .iter()
                .filter(|hop| hop.counted && hop.destination == destination)
            {
                let rows = hop.between(i64::MIN, at.secs() - 1);
                all += rows.requests;
                failed += rows.failed;
            }
            Some(ChangePoint {
                at,
                metric: "failed_share".to_owned(),
                scope: destination.to_owned(),
                before: ratio(failed, all),
                after: ratio(finding.failed, finding.requests),
            })
        })
        .collect();
    list.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.scope.cmp(&b.scope)));
    list
}

/// First and last line of each signature that a proxy's component log shows.
fn events(incident: &Incident<'_>, catalog: &Catalog) -> Vec<Event> {
    let mut list = Vec::new();
    for (key, hits) in incident.totals.hits.iter() {
        let Some(signature) = catalog.signatures.get(usize::from(key.signature)) else {
            continue;
        };
        if !matches!(
            signature.source,
            SignatureSource::Envoy | SignatureSource::PilotAgent
        ) {
            continue;
        }
        let Some(at) = hits.first else { continue };
        let proxy = crate::correlate::names::proxy_name(&key.proxy);
        let times = if hits.count > 1 {
            format!(" ({} lines)", hits.count)
        } else {
            String::new()
        };
        list.push(Event {
            at,
            kind: signature.id.clone(),
            text: format!("{proxy}: {}{times}", signature.title),
            place: hits
                .examples
                .keys()
                .next()
                .map(|place| reference(incident, *place)),
        });
    }
    list.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.text.cmp(&b.text)));
    list.truncate(MAX_EVENTS);
    list
}
