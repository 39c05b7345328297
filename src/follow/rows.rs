//! Log rows and component lines that concern one request or connection.

use super::trace::ClockOffsets;
use super::tuple::endpoint;
use super::{Opened, open, text_of};
use crate::decode::document::{DOCUMENT_BYTES_MAX, Form};
use crate::decode::log::{
    AccessRow, ComponentLine, Content, Layouts, Line, LineAt, LogDecoder, Wrapping, holds_entries,
};
use crate::decode::output;
use crate::decode::packet::Endpoint;
use crate::input::{Source, lines_of};
use crate::units::{InputId, Timestamp};
use serde::Serialize;

/// An access-log row, as much of it as a trace needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its input.
    pub input: InputId,
    /// The pod that wrote it, where the line says so: its input may hold lines of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// Its line, from 1.
    pub line: u64,
    /// When the request began, by the proxy's clock.
    pub start: Option<Timestamp>,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// Time until the answer of the upstream, as the row gives it.
    pub upstream_ms: Option<u64>,
    /// Method and path without its query; empty on rows of TCP connections.
    pub request: String,
    /// Status code; 0 where no answer began.
    pub code: u16,
    /// Response flags; empty without any.
    pub flags: String,
    /// Response code details, and where there is a reason of the transport, that.
    pub details: String,
    /// Upstream cluster.
    pub cluster: String,
    /// `x-request-id`.
    pub request_id: Option<String>,
    /// The proxy's end of the connection to the upstream, where the row has it.
    #[serde(serialize_with = "as_text")]
    pub upstream_local: Option<Endpoint>,
    /// The upstream's end.
    #[serde(serialize_with = "as_text")]
    pub upstream_host: Option<Endpoint>,
    /// The address that the downstream called.
    #[serde(serialize_with = "as_text")]
    pub downstream_local: Option<Endpoint>,
    /// The downstream's end.
    #[serde(serialize_with = "as_text")]
    pub downstream_remote: Option<Endpoint>,
}

#[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
fn as_text<S: serde::Serializer>(end: &Option<Endpoint>, serializer: S) -> Result<S::Ok, S::Error> {
    match end {
        Some(end) => serializer.collect_str(end),
        None => serializer.serialize_none(),
    }
}

impl Row {
    /// True for rows of the called side's proxy.
    pub fn inbound(&self) -> bool {
        let loopback = self.upstream_local.is_some_and(|end| end.address.is_loopback());
        self.cluster.starts_with("inbound|") || (self.cluster.is_empty() && loopback)
    }

    /// When the row's request was over.
    pub fn end(&self) -> Option<Timestamp> {
        self.start
            .map(|start| start.plus_millis(self.duration_ms.unwrap_or(0)))
    }

    /// Who wrote it: an input, or a pod of those whose lines stand there.
    pub(super) fn writer(&self) -> (InputId, Option<&str>) {
        (self.input, self.pod.as_deref())
    }

    fn of(input: InputId, line: u64, wrapping: &Wrapping<'_>, row: &AccessRow<'_>) -> Self {
        let text = |field: Option<&[u8]>| field.map(short).unwrap_or_default();
        let method = text(row.method);
        let path = row
            .path
            .map(|path| path.split(|byte| *byte == b'?').next().unwrap_or(path));
        let request = format!("{method} {}", text(path)).trim().to_owned();
        let details: Vec<String> = [row.details, row.failure_reason, row.termination]
            .into_iter()
            .flatten()
            .map(short)
            .filter(|part| !part.is_empty())
            .collect();
        Self {
            input,
            pod: wrapping.pod.map(short),
            line,
            start: row.start,
            duration_ms: row.duration_ms,
            upstream_ms: row.upstream_ms,
            request,
            code: row.code,
            flags: text(row.flags),
            details: details.join("; "),
            cluster: text(row.cluster),
            request_id: row.request_id.map(short).filter(|id| !id.is_empty()),
            upstream_local: end_of(row.upstream_local),
            upstream_host: end_of(row.upstream_host),
            downstream_local: end_of(row.downstream_local),
            downstream_remote: end_of(row.downstream_remote),
        }
    }
}

/// Characters of a field that are kept.
const MAX_FIELD_CHARS: usize = 400;

fn short(bytes: &[u8]) -> String {
    let bytes = bytes.get(..MAX_FIELD_CHARS.saturating_mul(4).min(bytes.len()));
    text_of(bytes.unwrap_or_default())
        .chars()
        .take(MAX_FIELD_CHARS)
        .collect()
}

fn end_of(field: Option<&[u8]>) -> Option<Endpoint> {
    endpoint(std::str::from_utf8(field?).ok()?)
}

/// A component line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComponentHit {
    /// Its input.
    pub input: InputId,
    /// The pod that wrote it, where the line says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// Its line, from 1.
    pub line: u64,
    /// When it was written, by the proxy's clock.
    pub time: Option<Timestamp>,
    /// Its level.
    pub level: &'static str,
    /// Logger or scope.
    pub scope: String,
    /// The message, at most 400 characters.
    pub message: String,
}

impl ComponentHit {
    fn of(input: InputId, line: u64, wrapping: &Wrapping<'_>, component: &ComponentLine<'_>) -> Self {
        Self {
            input,
            pod: wrapping.pod.map(short),
            line,
            time: component.time,
            level: component.level.name(),
            scope: short(component.scope),
            message: short(component.message),
        }
    }
}

/// What a pass over one log keeps.
pub(super) trait Keeper {
    /// Whether a block may hold anything that is wanted; a block that may not is not decoded.
    fn may_hold(&self, block: &[u8]) -> bool;
    /// An access-log row.
    fn row(&mut self, source: &Source, line: u64, wrapping: &Wrapping<'_>, row: &AccessRow<'_>);
    /// The first line of a component message.
    fn component(
        &mut self,
        source: &Source,
        line: u64,
        wrapping: &Wrapping<'_>,
        component: &ComponentLine<'_>,
    );
    /// True when nothing more is wanted of this input; lines so far.
    fn is_done(&self, _lines: u64) -> bool {
        false
    }
}

/// Reads a log, without its first `repeated_bytes`, which stand in another one too; gives the number of its lines that were passed,
/// or `None` for what is no log or cannot be opened.
pub(super) fn pass(
    source: &Source,
    repeated_bytes: u64,
    layouts: &Layouts,
    keeper: &mut impl Keeper,
) -> Option<u64> {
    let Ok(Opened::Log(mut reader)) = open(source, layouts) else {
        return None;
    };
    reader.cut_at(repeated_bytes);
    let is_document = output::recognise(reader.head()).form == Some(Form::Json);
    let mut decoder = LogDecoder::with_layouts(layouts);
    let mut buffer = Vec::new();
    let mut before = 0_u64;
    while !keeper.is_done(before) {
        let taken = std::mem::take(&mut buffer);
        let block = if is_document {
            reader.whole(taken, DOCUMENT_BYTES_MAX)
        } else {
            reader.next_block(taken)
        };
        let Some(block) = block else { break };
        if block.offset_bytes >= repeated_bytes && keeper.may_hold(&block.data) {
            let mut keep = |at: &LineAt<'_>, line: &Line<'_>| {
                let number = before.saturating_add(u64::from(at.line)).saturating_add(1);
                match &line.content {
                    Content::Access(row) => keeper.row(source, number, &line.wrapping, row),
                    Content::Component(component) => {
                        keeper.component(source, number, &line.wrapping, component);
                    }
                    _ => {}
                }
            };
            if is_document && holds_entries(&block.data) {
                // That it is cut off is what a report says.
                let _ = decoder.decode_entries(&block.data, &mut keep);
            } else {
                decoder.decode_block(&block.data, &mut keep);
            }
        }
        before = before.saturating_add(lines_of(&block.data));
        buffer = block.data;
    }
    Some(before)
}

/// The row of a request id, or of a connection, or at one line.
#[derive(Clone, Debug)]
pub(super) enum RowsWanted {
    /// Rows with this request id.
    Request(String),
    /// Rows that went over the connection between these, the first of which may be either side.
    Connection(Endpoint, Endpoint),
    /// What stands at this line.
    Line(u64),
}

/// Collects rows.
pub(super) struct RowKeeper<'w> {
    wanted: &'w RowsWanted,
    /// What a block must hold one of: as the rows write it.
    needles: aho_corasick::AhoCorasick,
    /// Rows, the first ones by input and line.
    pub(super) rows: Vec<Row>,
    /// Rows beyond the bound.
    pub(super) left_out: u64,
    /// At a line that holds no row: the component message there.
    pub(super) component: Option<ComponentHit>,
}

/// Rows of one request or connection that are kept.
const MAX_ROWS: usize = 500;

impl<'w> RowKeeper<'w> {
    pub(super) fn new(wanted: &'w RowsWanted) -> Option<Self> {
        let needles = match wanted {
            RowsWanted::Request(id) => vec![id.clone()],
            RowsWanted::Connection(one, other) => vec![one.to_string(), other.to_string()],
            RowsWanted::Line(_) => Vec::new(),
        };
        Some(Self {
            wanted,
            needles: aho_corasick::AhoCorasick::new(needles).ok()?,
            rows: Vec::new(),
            left_out: 0,
            component: None,
        })
    }

    fn wants(&self, line: u64, row: &AccessRow<'_>) -> bool {
        match self.wanted {
            RowsWanted::Request(id) => row.request_id == Some(id.as_bytes()),
            RowsWanted::Line(wanted) => *wanted == line,
            RowsWanted::Connection(one, other) => {
                let pairs = [
                    (end_of(row.upstream_local), end_of(row.upstream_host)),
                    (end_of(row.downstream_remote), end_of(row.downstream_local)),
                ];
                pairs.into_iter().any(|(client, server)| {
                    let (Some(client), Some(server)) = (client, server) else {
                        return false;
                    };
                    let leg = Leg { client, server };
                    leg.carries(*one, *other).is_some()
                })
            }
        }
    }
}

impl Keeper for RowKeeper<'_> {
    fn may_hold(&self, block: &[u8]) -> bool {
        matches!(self.wanted, RowsWanted::Line(_)) || self.needles.is_match(block)
    }

    fn row(&mut self, source: &Source, line: u64, wrapping: &Wrapping<'_>, row: &AccessRow<'_>) {
        if !self.wants(line, row) {
            return;
        }
        if self.rows.len() < MAX_ROWS {
            self.rows.push(Row::of(source.id, line, wrapping, row));
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    fn component(
        &mut self,
        source: &Source,
        line: u64,
        wrapping: &Wrapping<'_>,
        component: &ComponentLine<'_>,
    ) {
        if matches!(self.wanted, RowsWanted::Line(wanted) if *wanted == line) {
            self.component = Some(ComponentHit::of(source.id, line, wrapping, component));
        }
    }

    fn is_done(&self, lines: u64) -> bool {
        matches!(self.wanted, RowsWanted::Line(wanted) if lines >= *wanted)
    }
}

/// Ports to which `REDIRECT` turns connections (istio-iptables): what was called shows as one of these on loopback.
const REDIRECT_PORTS: [u16; 2] = [15001, 15006];

/// One connection between two parties, as a row or somebody who asks names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Leg {
    /// Who opened it.
    pub(super) client: Endpoint,
    /// Whom it called.
    pub(super) server: Endpoint,
}

impl Leg {
    /// Whether a packet (or pair of addresses) from `source` to `destination` is of this connection, and if so whether
    /// the client sent it. Where connections are redirected, packets on loopback show a port of the proxy in place of
    /// what was called, so the client's address and port decide there.
    pub(super) fn carries(&self, source: Endpoint, destination: Endpoint) -> Option<bool> {
        let serves = |end: Endpoint| end == self.server || REDIRECT_PORTS.contains(&end.port);
        if source == self.client && serves(destination) {
            Some(true)
        } else if destination == self.client && serves(source) {
            Some(false)
        } else {
            None
        }
    }
}

/// Collects component lines that name one of the needles within a span of time.
pub(super) struct LineKeeper {
    needles: aho_corasick::AhoCorasick,
    /// The span, by the clock of the first input.
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    offsets: ClockOffsets,
    pub(super) lines: Vec<ComponentHit>,
    pub(super) left_out: u64,
}

/// Component lines that are kept.
const MAX_LINES: usize = 200;

impl LineKeeper {
    pub(super) fn new(
        needles: Vec<String>,
        (since, until): (Option<Timestamp>, Option<Timestamp>),
        offsets: &ClockOffsets,
    ) -> Option<Self> {
        Some(Self {
            needles: aho_corasick::AhoCorasick::new(needles).ok()?,
            since,
            until,
            offsets: offsets.clone(),
            lines: Vec::new(),
            left_out: 0,
        })
    }

    /// True if what is named ends where the match does: `10.0.0.1:80` is not named by `10.0.0.1:8080`.
    fn names(&self, message: &[u8]) -> bool {
        self.needles.find_iter(message).any(|hit| {
            let goes_on = |at: Option<&u8>| at.is_some_and(u8::is_ascii_alphanumeric);
            let before = hit.start().checked_sub(1).and_then(|at| message.get(at));
            !goes_on(message.get(hit.end())) && !goes_on(before)
        })
    }
}

impl Keeper for LineKeeper {
    fn may_hold(&self, block: &[u8]) -> bool {
        self.needles.is_match(block)
    }

    fn row(&mut self, _: &Source, _: u64, _: &Wrapping<'_>, _: &AccessRow<'_>) {}

    fn component(
        &mut self,
        source: &Source,
        line: u64,
        wrapping: &Wrapping<'_>,
        component: &ComponentLine<'_>,
    ) {
        let ahead_ns = self.offsets.get(&source.id).copied().unwrap_or(0);
        let time = component
            .time
            .map(|time| Timestamp(time.0.saturating_sub(ahead_ns)));
        let early = matches!((time, self.since), (Some(time), Some(since)) if time < since);
        let late = matches!((time, self.until), (Some(time), Some(until)) if time > until);
        if early || late || !self.names(component.message) {
            return;
        }
        if self.lines.len() < MAX_LINES {
            self.lines
                .push(ComponentHit::of(source.id, line, wrapping, component));
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(text: &str) -> Endpoint {
        endpoint(text).unwrap()
    }

    #[test]
    fn a_redirected_connection_is_told_by_its_client() {
        let leg = Leg {
            client: end("10.244.1.11:38522"),
            server: end("10.96.14.30:9080"),
        };
        let carries = |source: &str, destination: &str| leg.carries(end(source), end(destination));
        assert_eq!(carries("10.244.1.11:38522", "10.96.14.30:9080"), Some(true));
        assert_eq!(carries("10.96.14.30:9080", "10.244.1.11:38522"), Some(false));
        assert_eq!(carries("10.244.1.11:38522", "127.0.0.1:15001"), Some(true));
        assert_eq!(carries("127.0.0.1:15001", "10.244.1.11:38522"), Some(false));
        assert_eq!(carries("10.244.1.11:38522", "10.96.14.20:9080"), None);
        assert_eq!(carries("10.244.1.11:38523", "10.96.14.30:9080"), None);
    }

    #[test]
    fn lines_name_an_address_only_in_full() {
        let keeper = LineKeeper::new(
            vec!["10.0.0.1:80".into(), "d64c".into()],
            (None, None),
            &ClockOffsets::new(),
        )
        .unwrap();
        assert!(keeper.names(b"connect to 10.0.0.1:80 failed"));
        assert!(!keeper.names(b"connect to 10.0.0.1:8080 failed"));
        assert!(!keeper.names(b"connect to 110.0.0.1:80 failed"));
        assert!(keeper.names(b"[d64c]"));
    }
}
