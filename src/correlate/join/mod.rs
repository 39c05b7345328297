//! Rows joined to the connections that carried them, and to the row of the other proxy on the same hop.
//!
//! In: the rows and connections that [`crate::aggregate`] follows, with the names settled. Out: [`Joined`]. A connection is
//! found by the addresses and ports of its two ends; time only tells apart connections that used the same ports one after
//! the other, and requests that used one connection one after the other. Never: judges; prints a corrected time.

pub mod clocks;
mod index;
mod links;
mod pairs;
pub mod spent;
#[cfg(test)]
mod tests;

use super::{Call, Names};
use crate::aggregate::captures::FollowedConnection;
use crate::aggregate::class::Reporter;
use crate::aggregate::followed::FollowedRow;
use crate::aggregate::{Totals, bounded::Key};
use crate::decode::packet::FrameRef;
use crate::units::Timestamp;
pub use clocks::{ClockOffset, Clocks};
use index::Index;
pub use spent::{Phase, Spent, SpentFrom};
use std::collections::HashMap;

/// How exactly the bytes of a request are known on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    /// Its `x-request-id` is visible.
    ById,
    /// Requests follow each other on the connection: it is the one at that time.
    ByOrder,
    /// Several requests were under way on the connection at a time, and what belongs to which is hidden.
    Multiplexed,
    /// The capture shows none of its bytes: they are beyond what is kept, or were never sent.
    Unseen,
}

impl Told {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::ById => "request-id",
            Self::ByOrder => "order",
            Self::Multiplexed => "multiplexed",
            Self::Unseen => "unseen",
        }
    }
}

/// When the bytes of one request passed a capture point, by that capture's clock, in nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// First byte of the request.
    pub asked_ns: i64,
    /// Last byte of the request.
    pub sent_ns: i64,
    /// First byte of the answer.
    pub answered_ns: Option<i64>,
    /// Last byte of the answer.
    pub ended_ns: Option<i64>,
    /// The packet in which the request begins.
    pub at: FrameRef,
}

/// A connection of a row, as one capture point saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which one, in [`Joined::connections`].
    pub connection: usize,
    /// How exactly the request is known on it.
    pub told: Told,
    /// When its bytes passed.
    pub timing: Option<Timing>,
}

/// Why a row has no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The row names no address and port of such a connection.
    NoAddress,
    /// No capture was taken where the connection would pass.
    NotCapturedThere,
    /// Captures were taken there at other times.
    OutsideCapture,
    /// The connection's addresses and ports are in no capture that was taken there at that time.
    NotInCapture,
    /// They are, but at another time.
    OtherTime,
    /// There were more connections than are kept.
    LeftOut,
}

impl Why {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoAddress => "no-address-in-row",
            Self::NotCapturedThere => "no-capture-there",
            Self::OutsideCapture => "outside-capture-time",
            Self::NotInCapture => "not-in-capture",
            Self::OtherTime => "ports-used-at-another-time",
            Self::LeftOut => "left-out-by-limit",
        }
    }

    /// True where a capture could have shown the connection.
    pub fn is_joinable(self) -> bool {
        matches!(self, Self::NotInCapture | Self::OtherTime | Self::LeftOut)
    }
}

/// The connection of a row on one side of its proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// By both addresses and ports: as the proxy's own capture shows it, and as another one does.
    Exact {
        /// At the proxy's own pod.
        near: Option<Box<Seen>>,
        /// At the other end, or on the way.
        far: Option<Box<Seen>>,
    },
    /// The row does not name the local port: these attempts to connect to that host at that time.
    Set(Vec<usize>),
    /// None.
    None(Why),
}

impl Link {
    /// The best sight of the one connection.
    pub fn seen(&self) -> Option<&Seen> {
        match self {
            Self::Exact { near, far } => near.as_deref().or(far.as_deref()),
            Self::Set(_) | Self::None(_) => None,
        }
    }

    /// Every connection that it names.
    pub fn connections(&self) -> Vec<usize> {
        match self {
            Self::Exact { near, far } => [near, far]
                .into_iter()
                .flatten()
                .map(|seen| seen.connection)
                .collect(),
            Self::Set(list) => list.clone(),
            Self::None(_) => Vec::new(),
        }
    }

    /// True if it names any.
    pub fn is_joined(&self) -> bool {
        !matches!(self, Self::None(_))
    }

    fn why(&self) -> Option<Why> {
        match self {
            Self::None(why) => Some(*why),
            _ => None,
        }
    }
}

/// A row with its connections.
#[derive(Clone, Debug)]
pub struct JoinedRow {
    /// The row.
    pub row: FollowedRow,
    /// Its group, in [`super::Incident::calls`].
    pub call: usize,
    /// Between the caller's side and this proxy.
    pub downstream: Link,
    /// Between this proxy and what it called.
    pub upstream: Link,
    /// The row of the other proxy on the same hop, in [`Joined::rows`]: of the attempt that the caller's row tells of.
    pub pair: Option<usize>,
    /// Rows of called proxies on earlier attempts of the same request and caller.
    pub earlier_attempts: u32,
    /// Where its time went.
    pub spent: Option<Spent>,
}

impl JoinedRow {
    /// True if a connection of it is known.
    pub fn is_joined(&self) -> bool {
        self.upstream.is_joined() || self.downstream.is_joined()
    }

    /// Why it is not joined: of the two sides the reason that comes nearest to a join.
    pub fn why(&self) -> Option<Why> {
        if self.is_joined() {
            return None;
        }
        self.upstream.why().max(self.downstream.why())
    }
}

/// All followed rows with their connections.
#[derive(Debug, Default)]
pub struct Joined<'t> {
    /// In order of place.
    pub rows: Vec<JoinedRow>,
    /// In order of first packet.
    pub connections: Vec<&'t FollowedConnection>,
    /// The other half of a connection whose directions are records of their own (`REDIRECT`, on `lo`).
    pub halves: Vec<Option<usize>>,
    /// How the clocks of proxies and captures differ.
    pub clocks: Clocks,
    /// Callers' rows whose called proxy's rows were read at that time, and how many of these found theirs.
    pub paired: (u64, u64),
    /// Rows that were to be followed, of which `rows` is a part where there were too many.
    pub rows_seen: u64,
    /// Connections that were to be followed.
    pub connections_seen: u64,
}

impl<'t> Joined<'t> {
    /// Joins what `totals` follows.
    pub fn of(totals: &'t Totals, calls: &[Call<'t>], names: &Names) -> Self {
        let connections = totals.captures.followed.connections();
        let group_of: HashMap<u64, usize> = calls
            .iter()
            .enumerate()
            .map(|(call, of)| (of.key.key_hash(), call))
            .collect();
        let followed = totals.followed.rows(if connections.is_empty() {
            MAX_ROWS_WITHOUT_CAPTURES
        } else {
            usize::MAX
        });
        let mut rows = Vec::with_capacity(followed.len());
        rows.extend(followed.into_iter().filter_map(|row| {
            Some(JoinedRow {
                call: *group_of.get(&row.group)?,
                row,
                downstream: Link::None(Why::NotCapturedThere),
                upstream: Link::None(Why::NotCapturedThere),
                pair: None,
                earlier_attempts: 0,
                spent: None,
            })
        }));
        let paired = pairs::pair(&mut rows, calls, totals, names);
        let index = Index::of(&connections, totals, names);
        let clocks = Clocks::estimate(&rows, calls, &connections, &index);
        if !connections.is_empty() {
            links::link(&mut rows, calls, &connections, &index, &clocks);
        }
        spent::attribute(&mut rows, calls, &connections, &clocks);
        Self {
            rows,
            halves: index.halves,
            connections,
            clocks,
            paired,
            rows_seen: totals.followed.seen(),
            connections_seen: totals.captures.followed.seen(),
        }
    }

    /// True where rows or connections were left out.
    pub fn is_truncated(&self) -> bool {
        self.rows_seen > self.rows.len() as u64 || self.connections_seen > self.connections.len() as u64
    }
}

/// When a row's request was under way, by the clock of its proxy: milliseconds are cut, so that it may have ended two later.
fn interval_ns(row: &FollowedRow) -> (i64, i64) {
    (row.start_ns, row.end().0.saturating_add(RESOLUTION_NS))
}

/// Rows that are paired where no capture was read: enough for what they tell of clocks and of time between proxies.
pub const MAX_ROWS_WITHOUT_CAPTURES: usize = 1 << 13;

/// What is lost by cutting a start and a duration to milliseconds.
const RESOLUTION_NS: i64 = 2_000_000;

/// True on rows of the caller's proxy.
fn is_source(call: &Call<'_>) -> bool {
    call.key.reporter == Reporter::Source
}

/// The middle of a connection's time, for those of which only one packet has a time.
fn span_ns(connection: &FollowedConnection) -> Option<(i64, i64)> {
    let (start, end) = (connection.start?, connection.end?);
    Some((start.0, end.0.max(start.0)))
}

/// A time plus nanoseconds.
fn plus_ns(time: Timestamp, ns: i64) -> Timestamp {
    Timestamp(time.0.saturating_add(ns))
}
