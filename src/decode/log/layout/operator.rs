//! Operators of format strings: what each prints, and what it means here.

use super::super::access_json::Key;
use super::LayoutError;
use crate::units::Timestamp;
use memchr::memchr2;
use std::sync::Arc;

/// What an operator prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operator {
    pub(super) key: Key,
    /// Other operators of the same meaning with a higher rank go before it.
    pub(super) rank: u8,
    pub(super) shape: Shape,
}

/// By what the end of a value is told, beside the text that follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Digits, or `-`.
    Number,
    /// No blank and no quote in it.
    Word,
    /// RFC 3339.
    Time,
    /// A time of the form that the format string gives, for `strptime`.
    TimeOf(Arc<str>),
    /// Anything.
    Text,
}

impl Shape {
    /// True if a value may begin so, with what ends it in its middle.
    pub(super) fn may_go_on(&self, value: &[u8]) -> bool {
        match self {
            Self::Number => is_number(value),
            Self::Word => is_word(value),
            Self::Time | Self::TimeOf(_) => value.len() <= MAX_TIME_BYTES,
            Self::Text => true,
        }
    }
}

/// Longest time.
const MAX_TIME_BYTES: usize = 80;

pub(super) fn is_word(value: &[u8]) -> bool {
    memchr2(b' ', b'"', value).is_none()
}

pub(super) fn is_number(value: &[u8]) -> bool {
    value == b"-" || (!value.is_empty() && value.iter().all(u8::is_ascii_digit))
}

/// A time that is printed as `form` says, which is for `strptime`.
pub(super) fn time_of(form: &str, value: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(value).ok()?;
    if let Some(fraction) = form.strip_prefix("%s") {
        return since_epoch(fraction, text);
    }
    let time = jiff::fmt::strtime::parse(form, text).ok()?;
    let stamp = time.to_timestamp().ok().or_else(|| {
        // Without a zone it is UTC, as Envoy prints it.
        let civil = time.to_datetime().ok()?;
        civil
            .to_zoned(jiff::tz::TimeZone::UTC)
            .ok()
            .map(|zoned| zoned.timestamp())
    })?;
    i64::try_from(stamp.as_nanosecond()).ok().map(Timestamp)
}

/// Seconds since the epoch, with what `fraction` says of their fraction: `%f` with a point before it or none, or nothing.
fn since_epoch(fraction: &str, text: &str) -> Option<Timestamp> {
    let (seconds, nanos) = match fraction {
        "" => (text, ""),
        ".%f" | "%.f" => text.split_once('.')?,
        // As many digits as there are for the seconds until the year 2286.
        "%f" => text.split_at_checked(10)?,
        _ => return None,
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(seconds) || !digits(nanos) || nanos.len() > 9 {
        return None;
    }
    let nanos: i64 = format!("{nanos:0<9}").parse().ok()?;
    let seconds: i64 = seconds.parse().ok()?;
    seconds
        .checked_mul(1_000_000_000)?
        .checked_add(nanos)
        .map(Timestamp)
}

/// The operator at the start of `text`, and its length; it stands `at` so many bytes from the start of the format string.
pub(super) fn operator(text: &str, at: usize) -> Result<(Operator, usize), LayoutError> {
    let error = |what| LayoutError { at, what };
    let unclosed = "an operator without its closing % (a % that stands for itself is written %%)";
    let inner = text.get(1..).unwrap_or_default();
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let name_len = inner.find(|c| !is_name(c)).ok_or(error(unclosed))?;
    let (name, rest) = inner.split_at_checked(name_len).unwrap_or((inner, ""));
    if name.is_empty() {
        return Err(error(unclosed));
    }
    let (arguments, rest) = match rest.strip_prefix('(') {
        None => (None, rest),
        Some(after) => {
            let end = closing(after).ok_or(error("an operator without its closing parenthesis"))?;
            let (arguments, rest) = after.split_at_checked(end).unwrap_or((after, ""));
            (Some(arguments), rest.get(1..).unwrap_or_default())
        }
    };
    let rest = match rest.strip_prefix(':') {
        None => rest,
        Some(limit) => limit.trim_start_matches(|c: char| c.is_ascii_digit()),
    };
    let rest = rest.strip_prefix('%').ok_or(error(unclosed))?;
    let len = text.len().saturating_sub(rest.len());
    Ok((of_name(name, arguments), len))
}

/// Where the parenthesis that was opened before `text` is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1_u32;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth = depth.saturating_add(1),
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// What an operator means here. Names are those of Envoy 1.35; `REQ` and `RESP` are older ones of the same.
fn of_name(name: &str, arguments: Option<&str>) -> Operator {
    use Key as K;
    let (key, rank, shape) = match name {
        "START_TIME" => return start_time(arguments),
        "REQ" | "REQUEST_HEADER" | "REQ_WITHOUT_QUERY" => return request_header(arguments),
        "RESP" | "RESPONSE_HEADER" | "TRAILER" | "RESPONSE_TRAILER" => return response_header(arguments),
        "PATH" => (K::Path, 1, Shape::Text),
        "PROTOCOL" => (K::Protocol, 1, Shape::Word),
        "RESPONSE_CODE" => (K::Code, 2, Shape::Number),
        "RESPONSE_FLAGS" => (K::Flags, 2, Shape::Word),
        // The catalogue of flags knows these names too.
        "RESPONSE_FLAGS_LONG" => (K::Flags, 1, Shape::Word),
        "RESPONSE_CODE_DETAILS" => (K::Details, 1, Shape::Word),
        "CONNECTION_TERMINATION_DETAILS" => (K::Termination, 1, Shape::Text),
        "UPSTREAM_TRANSPORT_FAILURE_REASON" => (K::FailureReason, 1, Shape::Text),
        "BYTES_RECEIVED" => (K::BytesReceived, 1, Shape::Number),
        "BYTES_SENT" => (K::BytesSent, 1, Shape::Number),
        "DURATION" => (K::Duration, 1, Shape::Number),
        "STREAM_ID" => (K::RequestId, 0, Shape::Word),
        "UPSTREAM_HOST" => (K::UpstreamHost, 3, Shape::Word),
        "UPSTREAM_REMOTE_ADDRESS" => (K::UpstreamHost, 2, Shape::Word),
        "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" => (K::UpstreamHost, 1, Shape::Word),
        "UPSTREAM_CLUSTER" => (K::Cluster, 1, Shape::Word),
        "UPSTREAM_CLUSTER_RAW" => (K::Cluster, 2, Shape::Word),
        // Without its port it would be the same for all connections of a pod.
        "UPSTREAM_LOCAL_ADDRESS" => (K::UpstreamLocal, 1, Shape::Word),
        "DOWNSTREAM_LOCAL_ADDRESS" => (K::DownstreamLocal, 2, Shape::Word),
        "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT" => (K::DownstreamLocal, 1, Shape::Word),
        "DOWNSTREAM_REMOTE_ADDRESS" => (K::DownstreamRemote, 4, Shape::Word),
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS" => (K::DownstreamRemote, 3, Shape::Word),
        "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" => (K::DownstreamRemote, 2, Shape::Word),
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT" => (K::DownstreamRemote, 1, Shape::Word),
        "REQUESTED_SERVER_NAME" => (K::Sni, 1, Shape::Word),
        "ROUTE_NAME" => (K::Route, 1, Shape::Word),
        "GRPC_STATUS" => (K::GrpcStatus, 2, Shape::Text),
        "GRPC_STATUS_NUMBER" => (K::GrpcStatus, 3, Shape::Number),
        _ => (K::Unused, 0, Shape::Text),
    };
    Operator { key, rank, shape }
}

/// Names in the order in which Envoy tries them.
fn headers(arguments: Option<&str>) -> Vec<String> {
    let names = arguments.unwrap_or_default().split('?');
    names.map(|name| name.trim().to_ascii_uppercase()).collect()
}

fn request_header(arguments: Option<&str>) -> Operator {
    let names = headers(arguments);
    let has = |name: &str| names.iter().any(|own| own == name);
    let (key, rank, shape) = if has(":PATH") || has("X-ENVOY-ORIGINAL-PATH") {
        (Key::Path, 2, Shape::Text)
    } else if has(":METHOD") {
        (Key::Method, 1, Shape::Word)
    } else if has(":AUTHORITY") {
        (Key::Authority, 2, Shape::Word)
    } else if has("HOST") {
        (Key::Authority, 1, Shape::Word)
    } else if has("X-REQUEST-ID") {
        (Key::RequestId, 1, Shape::Word)
    } else if has("USER-AGENT") {
        (Key::UserAgent, 1, Shape::Text)
    } else {
        (Key::Unused, 0, Shape::Text)
    };
    Operator { key, rank, shape }
}

fn response_header(arguments: Option<&str>) -> Operator {
    let names = headers(arguments);
    let has = |name: &str| names.iter().any(|own| own == name);
    let (key, rank, shape) = if has("X-ENVOY-UPSTREAM-SERVICE-TIME") {
        (Key::UpstreamTime, 1, Shape::Word)
    } else if has("GRPC-STATUS") {
        (Key::GrpcStatus, 1, Shape::Text)
    } else if has(":STATUS") {
        (Key::Code, 1, Shape::Number)
    } else {
        (Key::Unused, 0, Shape::Text)
    };
    Operator { key, rank, shape }
}

/// `%START_TIME%`, or with a form: what `strftime` has, and Envoy's `%3f`, `%6f`, `%9f`, `%E3S`, `%E*S`, `%Ez` and `%E4Y`.
fn start_time(arguments: Option<&str>) -> Operator {
    let form = arguments.unwrap_or_default();
    let shape = match form {
        "" | "%Y-%m-%dT%H:%M:%S.%3fZ" | "%Y-%m-%dT%T.%3fZ" | "%FT%T.%3fZ" => Shape::Time,
        _ => Shape::TimeOf(strptime(form).into()),
    };
    Operator {
        key: Key::StartTime,
        rank: 1,
        shape,
    }
}

/// A form as `strptime` takes it.
fn strptime(form: &str) -> String {
    let mut own = String::with_capacity(form.len());
    let mut rest = form;
    while let Some((before, after)) = rest.split_once('%') {
        own.push_str(before);
        let precise = after.trim_start_matches(|c: char| c.is_ascii_digit());
        let extended = after
            .strip_prefix('E')
            .map(|after| after.trim_start_matches(|c: char| c.is_ascii_digit() || c == '*'));
        let known = precise
            .strip_prefix('f')
            .map(|rest| ("%f", rest))
            .or_else(|| extension(extended?));
        if let Some((conversion, after)) = known {
            own.push_str(conversion);
            rest = after;
        } else {
            // `%%` is one, whose second half begins no other.
            own.push('%');
            let mut letters = after.chars();
            own.extend(letters.next());
            rest = letters.as_str();
        }
    }
    own.push_str(rest);
    own
}

/// What follows `%E`, its width taken away, and what follows that (Abseil, `FormatTime`).
fn extension(text: &str) -> Option<(&'static str, &str)> {
    let mut letters = text.chars();
    let conversion = match letters.next()? {
        'S' => "%S%.f",
        'f' => "%f",
        'Y' => "%Y",
        'z' => "%:z",
        'T' => "T",
        _ => return None,
    };
    Some((conversion, letters.as_str()))
}
