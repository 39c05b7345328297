//! Counts over time, what happened when.

use super::figures::as_f64;
use super::requests::reference;
use crate::aggregate::Merge;
use crate::aggregate::captures::PacketMoment;
use crate::aggregate::class::Reporter;
use crate::aggregate::flags::Outcome;
use crate::aggregate::samples::Samples;
use crate::aggregate::series::Series;
use crate::aggregate::totals::TcpMoment;
use crate::catalog::Catalog;
use crate::correlate::{Call, Incident};
use crate::diagnose::Finding;
use crate::diagnose::finding::{Diagnosis, Happening};
use crate::diagnose::resets::ratio;
use crate::report::model::{ChangePoint, Counts, Event, Gap, HistogramBucket, TimeBucket, Timeline};
use crate::units::Timestamp;
use std::collections::BTreeMap;

/// Silent spans listed of one input at most.
const MAX_GAPS: usize = 5;

/// What completed in one bucket.
#[derive(Clone, Debug, Default)]
struct Bucket {
    requests: u64,
    failed: u64,
    denied: u64,
    canceled: u64,
    tcp_connections: u64,
    failed_tcp_connections: u64,
    flags: Counts,
    signatures: Counts,
    connections: u64,
    failed_connections: u64,
    resets: u64,
    retransmissions: u64,
}

impl Bucket {
    /// Adds what rows say beyond that there was a request.
    fn add_rows(&mut self, call: &Call<'_>, rows: u64) {
        match call.result() {
            Outcome::Failed if call.counted => self.failed += rows,
            Outcome::Denied if call.counted => self.denied += rows,
            Outcome::Canceled if call.counted => self.canceled += rows,
            _ => {}
        }
        for flag in call.key.flag_tokens() {
            count(&mut self.flags, flag, rows);
        }
    }

    fn of_tcp(moment: &TcpMoment) -> Self {
        Self {
            tcp_connections: moment.rows,
            failed_tcp_connections: moment.failed,
            ..Self::default()
        }
    }

    fn of_packets(moment: &PacketMoment) -> Self {
        Self {
            connections: moment.connections,
            failed_connections: moment.failed,
            resets: moment.resets,
            retransmissions: moment.retransmissions,
            ..Self::default()
        }
    }
}

/// Adds to the count of a name, which is known already in most buckets.
fn count(counts: &mut Counts, name: &str, more: u64) {
    match counts.get_mut(name) {
        Some(known) => *known += more,
        None => {
            counts.insert(name.to_owned(), more);
        }
    }
}

impl Merge for Bucket {
    fn merge(&mut self, other: Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.denied += other.denied;
        self.canceled += other.canceled;
        self.tcp_connections += other.tcp_connections;
        self.failed_tcp_connections += other.failed_tcp_connections;
        for (flag, count) in other.flags {
            *self.flags.entry(flag).or_default() += count;
        }
        for (signature, count) in other.signatures {
            *self.signatures.entry(signature).or_default() += count;
        }
        self.connections += other.connections;
        self.failed_connections += other.failed_connections;
        self.resets += other.resets;
        self.retransmissions += other.retransmissions;
    }
}

/// The time line.
pub(super) fn timeline(incident: &Incident<'_>, catalog: &Catalog, diagnosis: &Diagnosis) -> Timeline {
    let mut series = counts_over_time(incident, catalog);
    let mut latency = incident.totals.latency_series.clone();
    latency.widen_to(series.width_log2());
    series.widen_to(latency.width_log2());
    let mut spread: BTreeMap<i64, Spread> = latency
        .iter()
        .filter_map(|(start, second)| {
            let samples = second.0.iter().find(|s| !s.is_empty())?;
            Some((start, spread_of(samples)))
        })
        .collect();
    Timeline {
        bucket_s: u64::try_from(series.width_s()).unwrap_or(1),
        buckets: series
            .iter()
            .map(|(start, bucket)| time_bucket(start, bucket, spread.remove(&start)))
            .collect(),
        change_points: change_points(incident, &diagnosis.findings),
        events: events(incident, &diagnosis.events),
        gaps: gaps(incident),
    }
}

/// Spans in which an input is silent, the longest of each where there are many.
fn gaps(incident: &Incident<'_>) -> Vec<Gap> {
    let mut list: Vec<Gap> = Vec::new();
    for (input, stats) in &incident.totals.inputs {
        let mut silences = stats.silences();
        silences.sort_by_key(|(start, end)| (start.0.saturating_sub(end.0), *start));
        silences.truncate(MAX_GAPS);
        list.extend(silences.into_iter().map(|(start, end)| Gap {
            input: *input,
            start,
            end,
        }));
    }
    list.sort_by_key(|gap| (gap.start, gap.input));
    list
}

/// Rows and hits in buckets that are as wide as the widest series among them.
fn counts_over_time(incident: &Incident<'_>, catalog: &Catalog) -> Series<Bucket> {
    let totals = incident.totals;
    let widths = totals.hits.iter().map(|(_, hits)| hits.series.width_log2());
    let mut series: Series<Bucket> = Series::default();
    let widths = widths.chain([totals.captures.series.width_log2()]);
    let widths = widths.chain(incident.hops.iter().map(|hop| hop.series.width_log2()));
    // As for all requests: rows beyond the limit of hops are told by reporter, and the caller's stand for all.
    let beyond = totals.hops.lumped();
    let beyond: Vec<_> = beyond
        .filter(|(reporter, _)| *reporter == Reporter::Source)
        .collect();
    let widths = widths.chain(beyond.iter().map(|(_, series)| series.width_log2()));
    series.widen_to(widths.fold(totals.row_series.width_log2(), u32::max));
    for hop in incident.hops.iter().filter(|hop| hop.counted) {
        for (second, moment) in hop.series.iter() {
            series.change(second, |bucket| bucket.requests += moment.requests);
        }
    }
    for (second, moment) in beyond.iter().flat_map(|(_, hops)| hops.iter()) {
        series.change(second, |bucket| bucket.requests += moment.requests);
    }
    for call in &incident.calls {
        for (second, moment) in call.group.series.iter() {
            series.change(second, |bucket| bucket.add_rows(call, moment.count));
        }
    }
    for (second, moment) in totals.tcp_series.iter() {
        series.add(second, Bucket::of_tcp(moment));
    }
    for (second, moment) in totals.captures.series.iter() {
        series.add(second, Bucket::of_packets(moment));
    }
    for (key, hits) in totals.hits.iter() {
        if let Some(signature) = catalog.signatures.get(usize::from(key.signature)) {
            for (second, lines) in hits.series.iter() {
                series.change(second, |bucket| {
                    count(&mut bucket.signatures, &signature.id, *lines);
                });
            }
        }
    }
    series
}

fn time_bucket(start: i64, bucket: &Bucket, spread: Option<Spread>) -> TimeBucket {
    TimeBucket {
        start: Timestamp::from_secs(start),
        requests: bucket.requests,
        failed: bucket.failed,
        denied: bucket.denied,
        canceled: bucket.canceled,
        tcp_connections: bucket.tcp_connections,
        failed_tcp_connections: bucket.failed_tcp_connections,
        p50_ms: spread.as_ref().map(|spread| spread.p50_ms),
        p99_ms: spread.as_ref().map(|spread| spread.p99_ms),
        latency: spread.map(|spread| spread.histogram).unwrap_or_default(),
        flags: bucket.flags.clone(),
        signatures: bucket.signatures.clone(),
        connections: bucket.connections,
        failed_connections: bucket.failed_connections,
        resets: bucket.resets,
        retransmissions: bucket.retransmissions,
    }
}

/// Durations in one bucket.
struct Spread {
    p50_ms: f64,
    p99_ms: f64,
    histogram: Vec<HistogramBucket>,
}

fn spread_of(samples: &Samples) -> Spread {
    let slots = samples.to_slots();
    let mut histogram: Vec<HistogramBucket> = Vec::new();
    for (bucket, count) in slots.iter() {
        let le = as_f64(bucket.highest_ms().max(1).next_power_of_two());
        match histogram.last_mut() {
            Some(last) if last.le.total_cmp(&le).is_eq() => last.count = last.count.saturating_add(count),
            _ => histogram.push(HistogramBucket { le, count }),
        }
    }
    Spread {
        p50_ms: as_f64(slots.quantile_ms(0.5)),
        p99_ms: as_f64(slots.quantile_ms(0.99)),
        histogram,
    }
}

/// Onsets of findings: the share of failures before and in the window. Of several in the same second at one destination
/// the first finding tells.
fn change_points(incident: &Incident<'_>, findings: &[Finding]) -> Vec<ChangePoint> {
    let mut list: Vec<ChangePoint> = Vec::new();
    for change in findings.iter().filter_map(|f| change_point(incident, f)) {
        let same = |other: &ChangePoint| {
            other.at.secs() == change.at.secs()
                && other.metric == change.metric
                && other.scope == change.scope
        };
        if !list.iter().any(same) {
            list.push(change);
        }
    }
    list.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.scope.cmp(&b.scope)));
    list
}

fn change_point(incident: &Incident<'_>, finding: &Finding) -> Option<ChangePoint> {
    let at = finding.onset?;
    let destination = finding.scope.destination.as_deref()?;
    let (mut all, mut failed) = (0, 0);
    for hop in &incident.hops {
        if hop.counted && (destination == "*" || hop.destination == destination) {
            let rows = hop.between(i64::MIN, at.secs() - 1);
            all += rows.requests;
            failed += rows.failed;
        }
    }
    // Nothing changed that was not called before, as far as rows tell: a service that is new, istiod, what captures alone show.
    if all == 0 && finding.added_latency_ms.is_none() {
        return None;
    }
    let (before, after) = (ratio(failed, all), ratio(finding.failed, finding.requests));
    let (metric, before, after) = match finding.added_latency_ms {
        Some(added_ms) if after <= before => ("added_latency_ms", 0.0, added_ms.round()),
        // What lines alone show changes no share.
        _ if before.total_cmp(&after).is_eq() => return None,
        _ => ("failed_share", before, after),
    };
    Some(ChangePoint {
        at,
        metric: metric.to_owned(),
        scope: destination.to_owned(),
        before,
        after,
    })
}

fn events(incident: &Incident<'_>, told: &[Happening]) -> Vec<Event> {
    let event = |event: &Happening| Event {
        at: event.at,
        kind: event.kind.clone(),
        text: event.text.clone(),
        place: event.place.map(|place| reference(incident, place)),
    };
    told.iter().map(event).collect()
}
