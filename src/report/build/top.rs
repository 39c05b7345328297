//! The table of `postmesh top`.

use crate::aggregate::class::Reporter;
use crate::aggregate::flags::Outcome;
use crate::aggregate::top::TopRows;
use crate::correlate::Incident;
use crate::diagnose::resets::ratio;
use crate::query::Field;
use crate::report::model::{Spread, Top, TopGroup};

/// All groups, the largest first.
pub(super) fn top(incident: &Incident<'_>, fields: &[Field]) -> Top {
    let table = incident.totals.top.table();
    let left_out: u64 = table.lumped().map(|(_, rows)| rows.count()).sum();
    let all = |reporter: Reporter| -> u64 {
        let kept = table.iter().filter(|(key, _)| key.reporter == reporter);
        let other = table.lumped().filter(|(other, _)| **other == reporter);
        kept.map(|(_, rows)| rows.count()).sum::<u64>() + other.map(|(_, rows)| rows.count()).sum::<u64>()
    };
    let sums = Reporter::ALL.map(|reporter| (reporter, all(reporter)));
    let mut groups: Vec<TopGroup> = table
        .iter()
        .map(|(key, rows)| {
            let of = sums.iter().find(|(reporter, _)| *reporter == key.reporter);
            group(
                key.values.clone(),
                key.reporter,
                rows,
                of.map_or(0, |(_, sum)| *sum),
            )
        })
        .collect();
    groups.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.values.cmp(&b.values)));
    Top {
        fields: fields.iter().map(|field| field.name().to_owned()).collect(),
        rows: sums.iter().map(|(_, sum)| sum).sum(),
        groups,
        rows_in_no_group: left_out,
    }
}

fn group(values: Vec<String>, reporter: Reporter, rows: &TopRows, of: u64) -> TopGroup {
    let count = rows.count();
    let slots = rows.durations.to_slots();
    TopGroup {
        values,
        reporter: reporter.name().to_owned(),
        rows: count,
        share: ratio(count, of),
        failed: rows.of(Outcome::Failed),
        failed_share: ratio(rows.of(Outcome::Failed), count),
        denied: rows.of(Outcome::Denied),
        canceled: rows.of(Outcome::Canceled),
        duration_ms: Spread {
            count: slots.count(),
            min: slots.min_ms(),
            p50: slots.quantile_ms(0.5),
            p90: slots.quantile_ms(0.9),
            p99: slots.quantile_ms(0.99),
            max: slots.max_ms(),
        },
    }
}
