//! Answers of Prometheus to range queries: how memory and requests of a pod went.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/querying/api/> (Range vectors).

use super::tree::Starts;
use super::{Damage, Said, Statement, number_of};
use crate::decode::output::{Fact, Figure, SeriesFact, of_metric, whole};
use crate::units::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;

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
    #[serde(default)]
    values: Vec<(f64, String)>,
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
    for series in answer.data.result {
        if out.len() >= limit {
            break;
        }
        if let Some(fact) = series.fact() {
            let spot = starts.spot(number_of(line_of(data, &fact.subject)));
            out.push(Said {
                line: spot,
                statement: Statement::Fact(Fact::Series(fact)),
            });
        }
    }
    None
}

/// The line that names a pod first.
fn line_of(data: &[u8], pod: &str) -> usize {
    let quoted = format!("\"{pod}\"");
    let at = memchr::memmem::find(data, quoted.as_bytes()).unwrap_or(0);
    let before = data.get(..at).unwrap_or_default();
    memchr::memchr_iter(b'\n', before).count()
}

impl Series {
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
