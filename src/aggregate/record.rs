//! An access-log row as conditions and tables see it.

use super::class::{GroupTraits, RowShape};
use super::flags::{self, Outcome};
use crate::catalog::FlagTable;
use crate::decode::log::AccessRow;
use crate::query::{Field, Record, Value};
use crate::units::Timestamp;
use std::borrow::Cow;
use std::cell::OnceCell;

/// A row, and what is known of who wrote it.
#[derive(Debug)]
pub struct RowRecord<'r> {
    row: &'r AccessRow<'r>,
    proxy: &'r str,
    namespace: Option<&'r str>,
    table: &'r FlagTable,
    /// Worked out when a field asks for it.
    shape: OnceCell<RowShape>,
}

impl<'r> RowRecord<'r> {
    /// A row written by `proxy`.
    pub fn new(
        row: &'r AccessRow<'r>,
        proxy: &'r str,
        namespace: Option<&'r str>,
        table: &'r FlagTable,
    ) -> Self {
        Self {
            row,
            proxy,
            namespace,
            table,
            shape: OnceCell::new(),
        }
    }

    /// What it is about.
    pub fn traits(&self) -> &GroupTraits {
        let shape = self
            .shape
            .get_or_init(|| RowShape::of(self.row, self.table, Vec::new()));
        &shape.traits
    }

    fn end(&self) -> Option<Timestamp> {
        let duration_ms = self.row.duration_ms.unwrap_or(0);
        self.row.start.map(|start| start.plus_millis(duration_ms))
    }

    /// The start of a time printed as RFC 3339 (`2026-11-02T03:12:44.120431Z`), up to a length.
    fn start_to(&self, length: usize) -> Value<'_> {
        self.row.start.map_or(Value::Missing, |start| {
            let text = start.to_string();
            owned(text.get(..length).unwrap_or(&text))
        })
    }
}

/// The name of an outcome.
pub fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Failed => "failed",
        Outcome::Denied => "denied",
        Outcome::Canceled => "canceled",
    }
}

fn text(bytes: Option<&[u8]>) -> Value<'_> {
    bytes.map_or(Value::Missing, |bytes| Value::Text(Cow::Borrowed(bytes)))
}

fn owned(text: &str) -> Value<'static> {
    Value::Text(Cow::Owned(text.as_bytes().to_vec()))
}

fn number(number: Option<u64>) -> Value<'static> {
    number.map_or(Value::Missing, Value::Number)
}

fn named(name: &str) -> Value<'_> {
    text((!name.is_empty()).then_some(name.as_bytes()))
}

/// A path and its query.
fn parted(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut parts = path.splitn(2, |byte| *byte == b'?');
    (parts.next().unwrap_or_default(), parts.next())
}

impl Record for RowRecord<'_> {
    fn value(&self, field: Field) -> Value<'_> {
        let row = self.row;
        match field {
            Field::Start => row.start.map_or(Value::Missing, |time| Value::Time(time.0)),
            Field::End => self.end().map_or(Value::Missing, |time| Value::Time(time.0)),
            Field::Minute => self.start_to("2026-11-02T03:12".len()),
            Field::Hour => self.start_to("2026-11-02T03".len()),
            Field::Day => self.start_to("2026-11-02".len()),
            Field::Method => text(row.method),
            Field::Path => text(row.path.map(|path| parted(path).0)),
            Field::Query => text(row.path.and_then(|path| parted(path).1)),
            Field::Protocol => text(row.protocol),
            Field::Code => Value::Number(u64::from(row.code)),
            Field::Class => match row.code / 100 {
                0 => named("none"),
                class => owned(&format!("{class}xx")),
            },
            Field::Flags => match flags::tokens(row.flags, self.table) {
                tokens if tokens.is_empty() => Value::Missing,
                tokens => Value::Set(Cow::Owned(tokens.join(",").into_bytes())),
            },
            Field::Details => text(row.details),
            Field::Termination => text(row.termination),
            Field::FailureReason => text(row.failure_reason),
            Field::GrpcStatus => number(row.grpc_status.map(u64::from)),
            Field::Outcome => named(outcome_name(self.traits().outcome)),
            Field::DurationMs => number(row.duration_ms),
            Field::UpstreamMs => number(row.upstream_ms),
            Field::OverheadMs => {
                let times = row.duration_ms.zip(row.upstream_ms);
                number(times.map(|(all, upstream)| all.saturating_sub(upstream)))
            }
            Field::BytesReceived => Value::Number(row.bytes_received),
            Field::BytesSent => Value::Number(row.bytes_sent),
            Field::RequestId => text(row.request_id),
            Field::Authority => text(row.authority),
            Field::UserAgent => text(row.user_agent),
            Field::Cluster => text(row.cluster),
            Field::UpstreamHost => text(row.upstream_host),
            Field::UpstreamLocal => text(row.upstream_local),
            Field::DownstreamLocal => text(row.downstream_local),
            Field::DownstreamRemote => text(row.downstream_remote),
            Field::Sni => text(row.sni),
            Field::Route => text(row.route),
            Field::Reporter => named(self.traits().reporter.name()),
            Field::Destination => named(&self.traits().destination),
            Field::Pod => named(self.proxy),
            Field::Namespace => named(self.namespace.unwrap_or_default()),
        }
    }
}
