//! Rows grouped by any of their fields, for `postmesh top`.

use super::bounded::{Bounded, Key};
use super::class::Reporter;
use super::flags::Outcome;
use super::record::RowRecord;
use super::samples::Samples;
use super::{Merge, stable_hash_with, text};
use crate::decode::log::AccessRow;
use crate::query::{Field, Record, Value};
use crate::units::Timestamp;

/// Groups kept, by hash; those of all others are summed up.
pub const MAX_TOP: usize = 4096;

/// Bytes of one value; longer ones are cut.
const MAX_VALUE_BYTES: usize = 512;

/// What the rows of a group have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopKey {
    /// Whose rows: those of callers and of called proxies are never counted together.
    pub reporter: Reporter,
    /// The values of the fields, as text; `-` where a row has none.
    pub values: Vec<String>,
}

impl Key for TopKey {
    type Lump = Reporter;

    fn key_hash(&self) -> u64 {
        let seed = self.reporter as u64 + 1;
        self.values
            .iter()
            .fold(seed, |hash, value| stable_hash_with(hash, value.as_bytes()))
    }

    fn lump(&self) -> Reporter {
        self.reporter
    }
}

/// Rows of a group.
#[derive(Clone, Debug, Default)]
pub struct TopRows {
    /// Rows by outcome, in the order of [`Outcome::ALL`].
    pub outcomes: [u64; 4],
    /// Durations of all that have one, failed ones too.
    pub durations: Samples,
}

impl TopRows {
    /// Rows.
    pub fn count(&self) -> u64 {
        self.outcomes
            .iter()
            .fold(0, |sum: u64, count| sum.saturating_add(*count))
    }

    /// Rows with this outcome.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(outcome as usize).copied().unwrap_or(0)
    }
}

impl Merge for TopRows {
    fn merge(&mut self, other: Self) {
        self.outcomes
            .iter_mut()
            .zip(other.outcomes)
            .for_each(|(a, b)| *a = a.saturating_add(b));
        self.durations.merge(other.durations);
    }
}

/// The table.
#[derive(Clone, Debug)]
pub struct Top(Bounded<TopKey, TopRows>);

impl Default for Top {
    fn default() -> Self {
        Self(Bounded::new(MAX_TOP))
    }
}

impl Top {
    /// Adds a row.
    pub fn note(&mut self, fields: &[Field], record: &RowRecord<'_>, row: &AccessRow<'_>) {
        let class = &record.traits();
        let key = TopKey {
            reporter: class.reporter,
            values: fields.iter().map(|field| shown(record, *field)).collect(),
        };
        self.0.change(key, |rows| {
            if let Some(count) = rows.outcomes.get_mut(class.outcome as usize) {
                *count = count.saturating_add(1);
            }
            if let Some(ms) = row.duration_ms {
                rows.durations.record(ms);
            }
        });
    }

    /// Adds another table.
    pub fn absorb(&mut self, other: Self) {
        self.0.absorb(other.0);
    }

    /// The groups.
    pub fn table(&self) -> &Bounded<TopKey, TopRows> {
        &self.0
    }
}

fn shown(record: &RowRecord<'_>, field: Field) -> String {
    match record.value(field) {
        Value::Missing => "-".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Time(ns) => Timestamp(ns).to_string(),
        Value::Text(bytes) | Value::Set(bytes) => text(bytes.get(..MAX_VALUE_BYTES).unwrap_or(&bytes)),
    }
}
