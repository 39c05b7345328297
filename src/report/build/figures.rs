//! Latency figures.

use crate::aggregate::class::Reporter;
use crate::aggregate::samples::{Samples, Slots};
use crate::aggregate::totals::{Dimension, Figures};
use crate::correlate::Incident;
use crate::report::model::{HistogramBucket, Latency, LatencyScope};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Resolution of Envoy's durations.
const RESOLUTION_MS: f64 = 1.0;

/// Metrics in the order of [`Figures::samples`].
const METRICS: [&str; 3] = ["duration", "upstream", "overhead"];

/// Figures by settled name; several names of the totals may settle to one.
pub(super) type Named<'t> = BTreeMap<(Reporter, String), Vec<&'t Figures>>;

/// The figures of one dimension under their settled names; what was lumped together is `other`.
pub(super) fn named<'t>(incident: &Incident<'t>, dimension: Dimension) -> Named<'t> {
    let mut named = Named::new();
    let Some(table) = incident.totals.figures.get(&dimension) else {
        return named;
    };
    for (key, figures) in table.iter() {
        let name = match dimension {
            Dimension::Destination => incident.names.service(&key.name).to_owned(),
            Dimension::Route => {
                let route = if key.detail.is_empty() { "-" } else { &key.detail };
                format!("{} {route}", incident.names.service(&key.name))
            }
            Dimension::Source => incident.names.source_name(&key.name),
            Dimension::Flag | Dimension::Code => key.name.clone(),
        };
        named.entry((key.reporter, name)).or_default().push(figures);
    }
    for ((_, reporter), figures) in table.lumped() {
        named
            .entry((*reporter, "other".to_owned()))
            .or_default()
            .push(figures);
    }
    named
}

/// Samples of some figures: `outcome` as a row of [`Figures::samples`], `metric` as its column.
pub(super) fn samples<'t>(figures: &[&'t Figures], outcome: usize, metric: usize) -> Cow<'t, Samples> {
    let of_metric = |figures: &&'t Figures| figures.samples.get(outcome)?.get(metric);
    sum(figures.iter().filter_map(of_metric))
}

/// All samples; where they are one name's alone, as most are, nothing is copied.
fn sum<'t>(all: impl Iterator<Item = &'t Samples>) -> Cow<'t, Samples> {
    let mut sum: Option<Cow<'_, Samples>> = None;
    for samples in all.filter(|samples| !samples.is_empty()) {
        match &mut sum {
            Some(sum) => sum.to_mut().merge_ref(samples),
            None => sum = Some(Cow::Borrowed(samples)),
        }
    }
    sum.unwrap_or_default()
}

/// All latency figures.
pub(super) fn latency(incident: &Incident<'_>) -> Vec<Latency> {
    let mut list = Vec::new();
    let destinations = named(incident, Dimension::Destination);
    let mut all = Named::new();
    for ((reporter, _), figures) in &destinations {
        all.entry((*reporter, String::new())).or_default().extend(figures);
    }
    push(&mut list, "all", &all);
    push(&mut list, "destination", &destinations);
    push(&mut list, "route", &named(incident, Dimension::Route));
    push(&mut list, "source", &named(incident, Dimension::Source));
    push(&mut list, "flag", &named(incident, Dimension::Flag));
    push(&mut list, "code", &named(incident, Dimension::Code));
    list
}

fn push(list: &mut Vec<Latency>, kind: &str, named: &Named<'_>) {
    for ((reporter, name), figures) in named {
        for (metric_index, metric) in METRICS.into_iter().enumerate() {
            let ok = samples(figures, 0, metric_index);
            let failed = samples(figures, 1, metric_index);
            let others = samples(figures, 2, metric_index);
            let all = sum([&*others, &*ok, &*failed].into_iter());
            let (all, ok): (&Samples, &Samples) = (&all, &ok);
            let figure_of = |outcome, samples| {
                let scope = LatencyScope {
                    kind: kind.to_owned(),
                    name: name.clone(),
                };
                figure(scope, *reporter, metric, outcome, samples)
            };
            let of_all = figure_of("all", all);
            // Where no row went wrong, the good ones are all.
            let of_ok = match &of_all {
                Some(same) if std::ptr::eq(all, ok) => Some(Latency {
                    outcome: "ok".to_owned(),
                    ..same.clone()
                }),
                _ => figure_of("ok", ok),
            };
            list.extend(
                [of_all, of_ok, figure_of("failed", &failed)]
                    .into_iter()
                    .flatten(),
            );
        }
    }
}

/// One figure, or nothing without samples.
pub(super) fn figure(
    scope: LatencyScope,
    reporter: Reporter,
    metric: &str,
    outcome: &str,
    samples: &Samples,
) -> Option<Latency> {
    if samples.is_empty() {
        return None;
    }
    let slots = samples.to_slots();
    let [p50, p75, p90, p95, p99, p999] = slots
        .quantiles_ms([0.5, 0.75, 0.9, 0.95, 0.99, 0.999])
        .map(as_f64);
    Some(Latency {
        scope,
        reporter: reporter.name().to_owned(),
        metric: metric.to_owned(),
        outcome: outcome.to_owned(),
        unit: "ms".to_owned(),
        count: slots.count(),
        min: as_f64(slots.min_ms()),
        mean: (slots.mean_ms() * 1000.0).round() / 1000.0,
        p50,
        p75,
        p90,
        p95,
        p99,
        p999,
        max: as_f64(slots.max_ms()),
        resolution_ms: RESOLUTION_MS,
        histogram: buckets(&slots),
    })
}

/// Samples per doubling of the duration: 0, 1, 2, 4, 8 ms and so on, as far as there are samples.
fn buckets(slots: &Slots) -> Vec<HistogramBucket> {
    let mut counts: Vec<(u64, u64)> = Vec::new();
    for (bucket, count) in slots.iter() {
        let ms = bucket.highest_ms();
        let le = if ms == 0 {
            0
        } else {
            ms.checked_next_power_of_two().unwrap_or(u64::MAX)
        };
        match counts.last_mut() {
            Some((last, sum)) if *last == le => *sum += count,
            _ => counts.push((le, count)),
        }
    }
    counts
        .into_iter()
        .map(|(le, count)| HistogramBucket {
            le: as_f64(le),
            count,
        })
        .collect()
}

/// For figures in milliseconds, which are below 2^52.
pub(super) fn as_f64(value: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "durations of at most a day in ms")]
    let value = value as f64;
    value
}
