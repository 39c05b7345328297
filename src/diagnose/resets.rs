//! Resets held against the idle time of their connections, from rows on the same upstream connection.

use crate::aggregate::collector::ConnectionRow;
use crate::aggregate::sampled::Sampled;
use std::collections::BTreeMap;

/// What came before the rows on connections of one destination.
#[derive(Clone, Debug, Default)]
pub struct ResetStats {
    /// Idle time in milliseconds before each reset on a connection that had been used.
    pub reset_idle_ms: Vec<i64>,
    /// Resets on connections without an earlier row.
    pub fresh_resets: u64,
    /// Good rows on used connections.
    pub good_used: u64,
    /// Of them, those on connections that had been idle long enough for a race.
    pub good_idle: u64,
}

impl ResetStats {
    /// Resets that could be judged.
    pub fn resets(&self) -> u64 {
        self.reset_idle_ms.len() as u64 + self.fresh_resets
    }
}

/// By scope (see `scope_hash`), with what counts as a long idle time. Envoy sends one request at a time on an HTTP/1
/// connection; on HTTP/2 a connection is idle where no row overlaps.
pub fn by_scope(rows: &Sampled<ConnectionRow>, idle_race_ms: i64) -> BTreeMap<u64, ResetStats> {
    let mut stats: BTreeMap<u64, ResetStats> = BTreeMap::new();
    let mut last: Option<(u64, i64)> = None;
    for (connection, row) in rows.sorted() {
        let busy_until = last.filter(|(held, _)| *held == connection).map(|(_, end)| end);
        let idle_ms = busy_until.map(|end| row.start_ns.saturating_sub(end).max(0) / NS_PER_MS);
        let scope = stats.entry(row.scope).or_default();
        match (row.reset, idle_ms) {
            (true, Some(idle_ms)) => scope.reset_idle_ms.push(idle_ms),
            (true, None) => scope.fresh_resets += 1,
            (false, Some(idle_ms)) => {
                scope.good_used += 1;
                scope.good_idle += u64::from(idle_ms >= idle_race_ms);
            }
            (false, None) => {}
        }
        last = Some((
            connection,
            busy_until.map_or(row.end_ns, |end| end.max(row.end_ns)),
        ));
    }
    stats
}

const NS_PER_MS: i64 = 1_000_000;

/// The share of sorted values that are at least `bound`.
pub fn share_at_least(sorted: &[i64], bound: i64) -> f64 {
    if sorted.is_empty() {
        return 0.0;
    }
    let below = sorted.partition_point(|&v| v < bound);
    ratio((sorted.len() - below) as u64, sorted.len() as u64)
}

/// a / b as a share, 0 where b is 0.
pub fn ratio(a: u64, b: u64) -> f64 {
    if b == 0 {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
    let share = a as f64 / b as f64;
    share
}

/// The middle of sorted values.
pub fn median(sorted: &[i64]) -> Option<i64> {
    sorted.get(sorted.len() / 2).copied()
}
