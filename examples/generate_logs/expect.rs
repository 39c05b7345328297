//! What a reader of the log must count.

use crate::arguments::Arguments;
use crate::row::Row;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Counts over all rows, as they stand in the file.
#[derive(Debug, Default)]
pub(crate) struct Expectation {
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    pub(crate) component_messages: u64,
    by_outcome: BTreeMap<(u16, &'static str, &'static str), u64>,
    inbound: u64,
    clusterless: u64,
}

impl Expectation {
    pub(crate) fn record(&mut self, row: &Row<'_>) {
        self.rows += 1;
        self.inbound += u64::from(row.inbound);
        self.clusterless += u64::from(row.cluster.is_none());
        let outcome = row.outcome;
        *self
            .by_outcome
            .entry((outcome.code, outcome.flags, outcome.details))
            .or_default() += 1;
    }

    /// Writes the counts as one JSON object.
    pub(crate) fn write(&self, arguments: &Arguments, out: &mut dyn Write) -> io::Result<()> {
        let mut by_code = BTreeMap::<String, u64>::new();
        let mut by_flag = BTreeMap::<&str, u64>::new();
        let mut by_detail = BTreeMap::<&str, u64>::new();
        for ((code, flags, details), count) in &self.by_outcome {
            *by_code.entry(code.to_string()).or_default() += count;
            *by_detail.entry(details).or_default() += count;
            for flag in flags.split(',').filter(|flag| *flag != "-") {
                *by_flag.entry(flag).or_default() += count;
            }
        }
        let document = serde_json::json!({
            "kind": arguments.kind.name(),
            "seed": arguments.seed,
            "bytes": self.bytes,
            "rows": self.rows,
            "by_code": by_code,
            "by_flag": by_flag,
            "by_detail": by_detail,
            "by_reporter": { "source": self.rows - self.inbound, "destination": self.inbound },
            "rows_without_cluster": self.clusterless,
            "component_messages": self.component_messages,
        });
        serde_json::to_writer_pretty(&mut *out, &document)?;
        writeln!(out)
    }
}
