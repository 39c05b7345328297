//! Answers of Prometheus to queries of a range or an instant: how memory and requests of a pod went, and what Istio's own metrics count.
//!
//! Sources: <https://prometheus.io/docs/prometheus/latest/querying/api/> (range vectors, instant vectors);
//! <https://istio.io/latest/docs/reference/config/metrics/> (`istio_requests_total`, `istio_request_duration_milliseconds`).

use super::tree::Starts;
use super::{Damage, Said, Statement, number_of};
use crate::decode::output::{DurationsFact, Fact, Figure, RequestsFact, SeriesFact, of_metric, whole};
use crate::units::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Pairs of a service and a reporter whose durations are summed.
const HISTOGRAMS_MAX: usize = 1024;

/// Kinds of requests that are counted.
const KINDS_MAX: usize = 4096;

/// Bounds kept of one histogram: Istio has some twenty.
const BOUNDS_MAX: usize = 256;

/// Samples in which a beginning and an end can be told apart.
const MIN_SAMPLES: usize = 4;

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    /// Of a range.
    #[serde(default)]
    values: Vec<(f64, String)>,
    /// Of an instant.
    #[serde(default)]
    value: Option<(f64, String)>,
}

/// Requests by the upper bound of their duration, in milliseconds.
#[derive(Default)]
struct Histogram {
    /// The line that names the service first.
    line: usize,
    /// Requests up to each bound, which is in microseconds so that it is whole.
    up_to: BTreeMap<u64, f64>,
    /// All of them.
    all: f64,
}

/// Adds what the answer says, up to `limit` statements; where it cannot be read.
pub(super) fn read(data: &[u8], starts: &Starts, limit: usize, out: &mut Vec<Said>) -> Option<Damage> {
    let answer: Answer = match serde_json::from_slice(data) {
        Ok(answer) => answer,
        Err(error) => {
            return Some(Damage {
                line: starts.spot(number_of(error.line().saturating_sub(1))),
                what: format!("no answer of Prometheus: {error}"),
            });
        }
    };
    let mut histograms: BTreeMap<(String, String), Histogram> = BTreeMap::new();
    let mut requests: BTreeMap<(String, String, String, String), RequestsFact> = BTreeMap::new();
    for series in answer.data.result {
        if out.len() >= limit {
            break;
        }
        // Series differ in callers and pods too: those of one kind are summed.
        if let Some(fact) = series.requests() {
            let kind = (
                fact.destination.clone(),
                fact.reporter.clone(),
                fact.code.clone(),
                fact.flags.clone(),
            );
            if let Some(known) = requests.get_mut(&kind) {
                known.count = known.count.saturating_add(fact.count);
            } else if requests.len() < KINDS_MAX {
                requests.insert(kind, fact);
            }
        }
        series.add_to(&mut histograms, data);
        if let Some(fact) = series.fact() {
            let spot = starts.spot(number_of(line_of(data, &fact.subject)));
            out.push(Said {
                line: spot,
                statement: Statement::Fact(Fact::Series(fact)),
            });
        }
    }
    out.extend(requests.into_values().map(|fact| Said {
        line: starts.spot(number_of(line_of(data, &fact.destination))),
        statement: Statement::Fact(Fact::Requests(fact)),
    }));
    for ((destination, reporter), histogram) in histograms {
        let fact = whole(histogram.all)
            .filter(|count| *count > 0)
            .map(|count| DurationsFact {
                destination,
                reporter,
                count,
                p50_ms: histogram.quantile(0.5),
                p99_ms: histogram.quantile(0.99),
            });
        out.extend(fact.map(|fact| Said {
            line: starts.spot(number_of(histogram.line)),
            statement: Statement::Fact(Fact::Durations(fact)),
        }));
    }
    out.truncate(limit);
    None
}

impl Histogram {
    /// The least bound up to which this share of the requests lies.
    fn quantile(&self, share: f64) -> Option<u64> {
        let wanted = self.all * share;
        let (bound, _) = self.up_to.iter().find(|(_, count)| **count >= wanted)?;
        Some(bound / 1000)
    }
}

/// The line that names a pod or a service first.
fn line_of(data: &[u8], pod: &str) -> usize {
    let quoted = format!("\"{pod}\"");
    let at = memchr::memmem::find(data, quoted.as_bytes()).unwrap_or(0);
    let before = data.get(..at).unwrap_or_default();
    memchr::memchr_iter(b'\n', before).count()
}

impl Series {
    fn label(&self, name: &str) -> Option<&str> {
        self.metric.get(name).map(String::as_str)
    }

    /// By how much the counter grew over a range, or what it is at an instant.
    fn counted(&self) -> Option<f64> {
        let number = |text: &String| text.parse::<f64>().ok().filter(|number| number.is_finite());
        if let Some((_, value)) = &self.value {
            return number(value);
        }
        let values: Vec<(f64, f64)> = self
            .values
            .iter()
            .filter_map(|(at, value)| Some((*at, number(value)?)))
            .collect();
        (values.len() > 1).then(|| grown(&values))
    }

    /// The host that was called; names of metrics are lost where a query computes with them.
    fn destination(&self) -> Option<String> {
        let host = self.label("destination_service")?;
        (!host.is_empty() && host != "unknown").then(|| super::words::name(host))
    }

    fn reporter(&self) -> String {
        super::words::name(self.label("reporter").unwrap_or_default())
    }

    fn requests(&self) -> Option<RequestsFact> {
        if self.label("__name__")? != "istio_requests_total" {
            return None;
        }
        let count = whole(self.counted()?).filter(|count| *count > 0)?;
        Some(RequestsFact {
            destination: self.destination()?,
            reporter: self.reporter(),
            code: super::words::name(self.label("response_code").unwrap_or_default()),
            flags: super::words::name(self.label("response_flags").unwrap_or_default()),
            count,
        })
    }

    fn add_to(&self, histograms: &mut BTreeMap<(String, String), Histogram>, data: &[u8]) {
        if self.label("__name__") != Some("istio_request_duration_milliseconds_bucket") {
            return;
        }
        let (Some(destination), Some(bound), Some(count)) =
            (self.destination(), self.label("le"), self.counted())
        else {
            return;
        };
        let key = (destination, self.reporter());
        if histograms.len() >= HISTOGRAMS_MAX && !histograms.contains_key(&key) {
            return;
        }
        let line = || line_of(data, &key.0);
        if !histograms.contains_key(&key) {
            let line = line();
            histograms.insert(
                key.clone(),
                Histogram {
                    line,
                    ..Histogram::default()
                },
            );
        }
        let Some(histogram) = histograms.get_mut(&key) else {
            return;
        };
        if bound == "+Inf" {
            histogram.all += count;
        } else if let Some(bound_us) = bound.parse::<f64>().ok().and_then(|ms| whole(ms * 1000.0))
            && (histogram.up_to.len() < BOUNDS_MAX || histogram.up_to.contains_key(&bound_us))
        {
            *histogram.up_to.entry(bound_us).or_default() += count;
        }
    }

    fn fact(self) -> Option<SeriesFact> {
        let figure = of_metric(self.metric.get("__name__")?)?;
        let subject = self.metric.get("pod").or_else(|| self.metric.get("instance"))?;
        // Of a pod's containers only the proxy's memory is asked for.
        let container = self.metric.get("container").map(String::as_str);
        if figure == Figure::MemoryBytes && container.is_some_and(|name| name != "istio-proxy") {
            return None;
        }
        let values: Vec<(f64, f64)> = self
            .values
            .iter()
            .filter_map(|(at, value)| Some((*at, value.parse().ok()?)))
            .collect();
        let (first, last) = (values.first()?, values.last()?);
        if values.len() < MIN_SAMPLES {
            return None;
        }
        let quarter = (values.len() / 4).max(1);
        let early = values.get(..quarter)?;
        let late = values.get(values.len().saturating_sub(quarter)..)?;
        let (early, late) = if figure == Figure::Requests {
            (
                grown(values.get(..=quarter)?),
                grown(values.get(values.len().saturating_sub(quarter.saturating_add(1))..)?),
            )
        } else {
            (mean(early), mean(late))
        };
        let steps = values.iter().zip(values.iter().skip(1));
        let falling = steps.filter(|((_, before), (_, after))| after < before).count();
        let span_s = whole(last.0 - first.0)?;
        Some(SeriesFact {
            subject: subject.clone(),
            figure,
            early: whole(early)?,
            late: whole(late)?,
            samples: values.len() as u64,
            falling: falling as u64,
            span_s,
            start: whole(first.0)
                .and_then(|secs| i64::try_from(secs).ok())
                .map(Timestamp::from_secs)?,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "there are fewer samples than 2^52")]
fn mean(values: &[(f64, f64)]) -> f64 {
    values.iter().map(|(_, value)| value).sum::<f64>() / values.len().max(1) as f64
}

/// By how much a counter grew; one that begins anew at a restart grows from nothing.
fn grown(values: &[(f64, f64)]) -> f64 {
    let steps = values.iter().zip(values.iter().skip(1));
    steps
        .map(|((_, before), (_, after))| if after < before { *after } else { after - before })
        .sum()
}
