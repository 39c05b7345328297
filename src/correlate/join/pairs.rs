//! The rows of the two proxies of one hop.
//!
//! Both rows have the request's id, as has every other hop of the same call tree. The caller's row tells of its last attempt,
//! and the two ends of that attempt's connection are in the called proxy's row as well. In layouts that lack one of these, the row of
//! the called service that began last is of that attempt.

use super::{JoinedRow, interval_ns, is_source};
use crate::aggregate::Totals;
use crate::correlate::{Call, Names};
use std::collections::BTreeMap;

/// Rows of one request that are looked at: an id that more rows share is no request's.
const MAX_ROWS_OF_REQUEST: usize = 256;

/// Pairs rows; tells of how many callers' rows the called side was read, and how many found theirs.
pub(super) fn pair(rows: &mut [JoinedRow], calls: &[Call<'_>], totals: &Totals, names: &Names) -> (u64, u64) {
    let spans = spans(totals, rows, calls);
    let mut by_request: Vec<(u64, usize)> = rows
        .iter()
        .enumerate()
        .filter_map(|(number, row)| Some((row.row.request()?, number)))
        .collect();
    by_request.sort_unstable();
    let mut found: Vec<(usize, usize)> = Vec::new();
    let mut earlier: Vec<(usize, u32)> = Vec::new();
    for request in by_request.chunk_by(|a, b| a.0 == b.0) {
        let request: Vec<usize> = request.iter().map(|(_, number)| *number).collect();
        if request.len() > MAX_ROWS_OF_REQUEST {
            continue;
        }
        of_request(&request, rows, calls, &mut found, &mut earlier);
    }
    for (caller, called) in found {
        for (one, other) in [(caller, called), (called, caller)] {
            if let Some(row) = rows.get_mut(one) {
                row.pair = Some(other);
            }
        }
    }
    for (caller, attempts) in earlier {
        if let Some(row) = rows.get_mut(caller) {
            row.earlier_attempts = attempts;
        }
    }
    count(rows, calls, names, &spans)
}

fn of_request(
    request: &[usize],
    rows: &[JoinedRow],
    calls: &[Call<'_>],
    found: &mut Vec<(usize, usize)>,
    earlier: &mut Vec<(usize, u32)>,
) {
    let of = |number: usize| Some((number, rows.get(number)?, calls.get(rows.get(number)?.call)?));
    let (callers, called): (Vec<_>, Vec<_>) = request
        .iter()
        .filter_map(|number| of(*number))
        .partition(|(_, _, call)| is_source(call));
    let mut taken = vec![false; called.len()];
    for (caller, row, call) in &callers {
        let mut attempts = 0;
        let mut best: Option<(Fit, usize)> = None;
        for (place, (_, other, other_call)) in called.iter().enumerate() {
            let to_the_same = other_call.destination == call.destination;
            let free = !taken.get(place).copied().unwrap_or(true);
            match fit(row, other, to_the_same && call.key.connected) {
                Some(fit) if free && best.is_none_or(|(least, _)| fit < least) => {
                    attempts += u32::from(best.is_some_and(|(least, _)| least.is_guess()));
                    best = Some((fit, place));
                }
                Some(fit) if !fit.is_guess() => {}
                _ => attempts += u32::from(to_the_same),
            }
        }
        if let Some((_, place)) = best {
            if let Some(taken) = taken.get_mut(place) {
                *taken = true;
            }
            if let Some((number, ..)) = called.get(place) {
                found.push((*caller, *number));
            }
        }
        if attempts > 0 {
            earlier.push((*caller, attempts));
        }
    }
}

/// How well a called proxy's row fits a caller's: the least fits best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// They name the same two ends, and begin so far from each other.
    Ends(i64),
    /// One of them does not name both ends: so long before all time did the called proxy's begin.
    Guess(std::cmp::Reverse<i64>),
}

impl Fit {
    fn is_guess(self) -> bool {
        matches!(self, Self::Guess(_))
    }
}

/// `guessable` says that nothing but missing addresses speaks against the two.
fn fit(caller: &JoinedRow, called: &JoinedRow, guessable: bool) -> Option<Fit> {
    let (caller, called) = (&caller.row, &called.row);
    let ends = [
        (caller.upstream_local, called.downstream_remote),
        (caller.upstream_host, called.downstream_local),
    ];
    if caller.upstream_local != 0 && ends.iter().all(|(one, other)| one == other) {
        let distance = called.start_ns.saturating_sub(caller.start_ns);
        return Some(Fit::Ends(distance.saturating_abs()));
    }
    let unnamed = |(one, other): &(u64, u64)| *one == 0 || *other == 0;
    let agrees = ends.iter().all(|end| unnamed(end) || end.0 == end.1);
    (guessable && agrees && ends.iter().any(unnamed))
        .then_some(Fit::Guess(std::cmp::Reverse(called.start_ns)))
}

/// From the first to the last row of each proxy.
type Spans = BTreeMap<String, (i64, i64)>;

fn spans(totals: &Totals, rows: &[JoinedRow], calls: &[Call<'_>]) -> Spans {
    let mut spans = Spans::new();
    if totals.followed.kept() == 0 {
        return spans;
    }
    for row in rows {
        let Some(call) = calls.get(row.call) else { continue };
        let (start, end) = interval_ns(&row.row);
        match spans.get_mut(call.key.proxy()) {
            Some((from, to)) => {
                *from = start.min(*from);
                *to = end.max(*to);
            }
            None => {
                spans.insert(call.key.proxy().to_owned(), (start, end));
            }
        }
    }
    spans
}

/// Callers' rows on a connection that was made: those that are paired, and those whose called proxy wrote rows before and after.
fn count(rows: &[JoinedRow], calls: &[Call<'_>], names: &Names, spans: &Spans) -> (u64, u64) {
    let (mut joined, mut all) = (0, 0);
    for row in rows {
        let Some(call) = calls
            .get(row.call)
            .filter(|call| is_source(call) && !call.key.tcp)
        else {
            continue;
        };
        if !call.key.connected || row.row.request().is_none() {
            continue;
        }
        let called = names.pod_at(&call.key.host).and_then(|pod| spans.get(pod));
        let (start, end) = interval_ns(&row.row);
        if row.pair.is_some() {
            joined += 1;
            all += 1;
        } else if called.is_some_and(|(from, to)| *from <= start && end <= *to) {
            all += 1;
        }
    }
    (joined, all)
}
