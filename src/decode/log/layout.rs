//! Access-log layouts of a user's own: Envoy's format strings (`accessLogFormat` of Istio's mesh configuration, `text_format_source`
//! and `json_format` of Envoy's), compiled to what reads a row.
//!
//! Operators: Envoy docs, "Access logging", command operators. Of those that postmesh has no use for, a row's text is stepped over.

use super::access_json::{Fields, Key, read_text_row};
use super::json::{Members, Value, unescape};
use super::time::MinuteCache;
use super::{AccessFormat, AccessRow, Content, LogDecoder, Reject};
use crate::units::Timestamp;
use memchr::{memchr_iter, memchr2};
use std::sync::Arc;

/// Longest format string, in bytes.
const MAX_FORMAT_BYTES: usize = 64 << 10;

/// Operators and texts between them in one format string.
const MAX_PIECES: usize = 256;

/// How often the ends of a row's texts are guessed before it is taken for no row of this layout: texts may hold what ends them.
const MAX_GUESSES: u32 = 256;

/// Longest text that is tried: headers of a request have 60 KiB at most (Envoy, `max_request_headers_kb`).
const MAX_ROW_BYTES: usize = 256 << 10;

/// What is wrong with a format string.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: {what}")]
pub struct LayoutError {
    /// Bytes from the start of the format string.
    pub at: usize,
    /// What is wrong there, and what is expected.
    pub what: &'static str,
}

/// One format string, compiled.
#[derive(Clone, Debug)]
pub struct Layout(Form);

#[derive(Clone, Debug)]
enum Form {
    Text(Template),
    Json(Keys),
}

/// Keys of a JSON row, with what their values are.
type Keys = Vec<(Vec<u8>, Member)>;

/// The value of a key.
#[derive(Clone, Debug)]
enum Member {
    /// One operator alone, or nothing that is used.
    Key(Key),
    /// Several operators, or a time of the user's own form.
    Template(Template),
}

/// A text with operators in it.
#[derive(Clone, Debug)]
struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Literal(Vec<u8>),
    Value(Operator),
}

/// What an operator prints.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Operator {
    key: Key,
    /// Other operators of the same meaning with a higher rank go before it.
    rank: u8,
    shape: Shape,
}

/// By what the end of a value is told, beside the text that follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
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

/// The layouts of a run, first come first tried.
#[derive(Clone, Debug, Default)]
pub struct Layouts(Option<Arc<Compiled>>);

#[derive(Debug, Default)]
struct Compiled {
    texts: Vec<Template>,
    keys: Keys,
}

impl Layout {
    /// Compiles a format string: a text with operators, or a JSON object whose values are such.
    ///
    /// # Errors
    /// Where it is no format string, or one by which rows could not be read: no operator in it, operators with nothing between
    /// them, several lines.
    pub fn compile(format: &str) -> Result<Self, LayoutError> {
        if format.len() > MAX_FORMAT_BYTES {
            let what = "longer than 64 KiB";
            return Err(LayoutError {
                at: MAX_FORMAT_BYTES,
                what,
            });
        }
        let trimmed = format.trim_end_matches(['\n', '\r']);
        let form = match json_members(trimmed)? {
            Some(members) => Form::Json(members),
            None => Form::Text(Template::compile(trimmed)?),
        };
        let used = |member: &Member| match member {
            Member::Key(key) => *key != Key::Unused,
            Member::Template(template) => template.is_used(),
        };
        let is_used = match &form {
            Form::Text(template) => template.is_used(),
            Form::Json(members) => members.iter().any(|(_, member)| used(member)),
        };
        if is_used {
            Ok(Self(form))
        } else {
            let what = "no operator that says anything of a request, such as %RESPONSE_CODE%";
            Err(LayoutError { at: 0, what })
        }
    }
}

impl Layout {
    /// True if rows of this layout are read without it: it is one of those that are known.
    pub fn is_known(&self) -> bool {
        let Some(line) = self.sample() else { return false };
        let mut own = LogDecoder::with_layouts(&Layouts::new([self.clone()]));
        let mut known = LogDecoder::default();
        let mut is_same = false;
        own.decode_block(&line, &mut |_, own| {
            known.decode_block(&line, &mut |_, known| {
                is_same = matches!((&own.content, &known.content), (Content::Access(own), Content::Access(known))
                    if AccessRow { format: known.format, class_spans: known.class_spans, ..*own } == *known);
            });
        });
        is_same
    }

    /// A row as Envoy would print it; `None` where it has a part that no known layout has.
    fn sample(&self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        match &self.0 {
            Form::Text(template) => {
                for piece in &template.pieces {
                    match piece {
                        Piece::Literal(literal) => line.extend_from_slice(literal),
                        Piece::Value(Operator {
                            shape: Shape::TimeOf(_),
                            ..
                        }) => return None,
                        Piece::Value(operator) => line.extend_from_slice(sample_of(operator.key).as_bytes()),
                    }
                }
            }
            Form::Json(members) => {
                let mut lead = b'{';
                for (key, member) in members {
                    let Member::Key(member) = member else { return None };
                    line.push(lead);
                    line.push(b'"');
                    line.extend_from_slice(key);
                    line.extend_from_slice(b"\":\"");
                    line.extend_from_slice(sample_of(*member).as_bytes());
                    line.push(b'"');
                    lead = b',';
                }
                line.push(b'}');
            }
        }
        Some(line)
    }
}

/// What an operator may print.
fn sample_of(key: Key) -> &'static str {
    match key {
        Key::StartTime => "2026-01-02T03:04:05.678Z",
        Key::Method => "GET",
        Key::Path => "/path",
        Key::Protocol => "HTTP/1.1",
        Key::Code => "200",
        Key::Details => "via_upstream",
        Key::BytesReceived => "1",
        Key::BytesSent => "2",
        Key::Duration => "5",
        Key::UpstreamTime => "4",
        Key::RequestId => "3fc5c0f1-7c0e-4a0a-9b61-6b1a4c4f9f27",
        Key::Authority => "ratings:9080",
        Key::UserAgent => "curl/8.5.0",
        Key::UpstreamHost => "10.0.0.1:9080",
        Key::Cluster => "outbound|9080||ratings.default.svc.cluster.local",
        Key::UpstreamLocal => "10.0.0.2:40000",
        Key::DownstreamLocal => "10.0.0.3:9080",
        Key::DownstreamRemote => "10.0.0.4:50000",
        Key::Sni => "ratings.example.com",
        Key::Route => "default",
        _ => "-",
    }
}

impl Layouts {
    /// Those of these format strings that are no known layout.
    pub fn beyond_known<'a>(formats: impl IntoIterator<Item = &'a str>) -> Self {
        let compiled = formats
            .into_iter()
            .filter_map(|format| Layout::compile(format).ok());
        Self::new(compiled.filter(|layout| !layout.is_known()))
    }

    /// These, in order.
    pub fn new(layouts: impl IntoIterator<Item = Layout>) -> Self {
        let mut compiled = Compiled::default();
        for layout in layouts {
            match layout.0 {
                Form::Text(template) => compiled.texts.push(template),
                Form::Json(members) => compiled.keys.extend(members),
            }
        }
        let is_empty = compiled.texts.is_empty() && compiled.keys.is_empty();
        Self((!is_empty).then(|| Arc::new(compiled)))
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// True if lines of text may be rows.
    #[inline]
    pub(super) fn has_texts(&self) -> bool {
        self.0.as_ref().is_some_and(|compiled| !compiled.texts.is_empty())
    }

    /// True if a line is a row of one of them.
    pub(super) fn begins(&self, line: &[u8]) -> bool {
        self.has_texts() && self.text_row(line, &mut MinuteCache::default()).is_some()
    }

    /// The row that a line of text holds, if it is of one of them.
    pub(super) fn text_row<'block>(
        &self,
        line: &'block [u8],
        minutes: &mut MinuteCache,
    ) -> Option<Result<AccessRow<'block>, Reject>> {
        let compiled = self.0.as_ref()?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        compiled.texts.iter().find_map(|template| {
            let (mut fields, mut start) = (Fields::new(), None);
            if !template.read(line, minutes, &mut fields, &mut start) {
                return None;
            }
            let mut row = AccessRow::empty(AccessFormat::Custom);
            Some(read_text_row(&fields, minutes, &mut row).map(|()| {
                row.format = AccessFormat::Custom;
                row.start = start.or(row.start);
                row
            }))
        })
    }

    /// What a key of a JSON row means, if it is one of these layouts'.
    pub(super) fn key(&self, key: &[u8]) -> Option<Key> {
        Some(match self.member(key)? {
            Member::Key(key) => *key,
            Member::Template(_) => Key::Template,
        })
    }

    /// Puts what a text of several operators holds into `fields`; gives a time of the user's own form, and one bit for each key.
    pub(super) fn part<'block>(
        &self,
        key: &[u8],
        text: &'block [u8],
        minutes: &mut MinuteCache,
        fields: &mut Fields<'block>,
    ) -> (Option<Timestamp>, u32) {
        let Some(Member::Template(template)) = self.member(key) else {
            return (None, 0);
        };
        // What is not of this form says nothing.
        let (mut own, mut start) = (*fields, None);
        if !template.read(text, minutes, &mut own, &mut start) {
            return (None, 0);
        }
        *fields = own;
        let keys = template.pieces.iter().fold(0_u32, |keys, piece| match piece {
            Piece::Value(operator) => keys | 1_u32.wrapping_shl(operator.key as u32),
            Piece::Literal(_) => keys,
        });
        (start, keys)
    }

    fn member(&self, key: &[u8]) -> Option<&Member> {
        let keys = &self.0.as_ref()?.keys;
        let (_, member) = keys.iter().find(|(known, _)| known == key)?;
        Some(member)
    }
}

/// The members of a format string that is a JSON object; `None` if it is none, as where a number stands without quotes.
fn json_members(format: &str) -> Result<Option<Keys>, LayoutError> {
    if !format.trim_start().starts_with('{') {
        return Ok(None);
    }
    let mut members = Keys::new();
    let mut ranks: Vec<(usize, Operator)> = Vec::new();
    let mut read = Members::new(format.trim_start().as_bytes());
    loop {
        let member = match read.next() {
            Ok(Some(member)) => member,
            Ok(None) => break,
            Err(_) => return Ok(None),
        };
        let text = match member.value {
            Value::Text(text) => text.to_vec(),
            Value::Escaped(text) => {
                let mut into = vec![0; text.len()];
                let what = "an escape that JSON does not have";
                let len = unescape(text, &mut into).ok_or(LayoutError { at: 0, what })?;
                into.truncate(len);
                into
            }
            _ => Vec::new(),
        };
        let template = Template::parse(&String::from_utf8_lossy(&text))?;
        let value = match template.pieces.as_slice() {
            [] | [Piece::Literal(_)] => Member::Key(Key::Unused),
            [Piece::Value(operator)] if !matches!(operator.shape, Shape::TimeOf(_)) => {
                ranks.push((members.len(), operator.clone()));
                Member::Key(operator.key)
            }
            _ => Member::Template(template.checked()?),
        };
        members.push((member.key.to_vec(), value));
    }
    // Of two keys of one meaning the better one counts.
    for (place, operator) in &ranks {
        let better = |(other, of): &(usize, Operator)| {
            of.key == operator.key && (of.rank, *place) > (operator.rank, *other)
        };
        if ranks.iter().any(better)
            && let Some((_, member)) = members.get_mut(*place)
        {
            *member = Member::Key(Key::Unused);
        }
    }
    Ok(Some(members))
}

impl Template {
    fn compile(format: &str) -> Result<Self, LayoutError> {
        if let Some(at) = format.find('\n') {
            let what = "a row of several lines cannot be told from others";
            return Err(LayoutError { at, what });
        }
        Self::parse(format)?.checked()
    }

    fn parse(format: &str) -> Result<Self, LayoutError> {
        let bytes = format.as_bytes();
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        let mut at = 0_usize;
        while let Some(byte) = bytes.get(at) {
            if *byte != b'%' {
                literal.push(*byte);
                at = at.saturating_add(1);
                continue;
            }
            if bytes.get(at.saturating_add(1)) == Some(&b'%') {
                literal.push(b'%');
                at = at.saturating_add(2);
                continue;
            }
            let (operator, len) = operator(format.get(at..).unwrap_or_default(), at)?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Value(operator));
            at = at.saturating_add(len);
            if pieces.len() > MAX_PIECES {
                let what = "more than 256 operators and texts between them";
                return Err(LayoutError { at, what });
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        let mut template = Self { pieces };
        template.keep_best();
        Ok(template)
    }

    /// Of two operators of one meaning the better one counts, of equal ones the first.
    fn keep_best(&mut self) {
        let all: Vec<(usize, Key, u8)> = self
            .pieces
            .iter()
            .enumerate()
            .filter_map(|(place, piece)| match piece {
                Piece::Value(operator) => Some((place, operator.key, operator.rank)),
                Piece::Literal(_) => None,
            })
            .collect();
        for (place, key, rank) in &all {
            let better =
                |(other, of, higher): &(usize, Key, u8)| of == key && (*higher, *place) > (*rank, *other);
            if all.iter().any(better)
                && let Some(Piece::Value(operator)) = self.pieces.get_mut(*place)
            {
                operator.key = Key::Unused;
            }
        }
    }

    /// Itself, if where each value ends can be told.
    fn checked(self) -> Result<Self, LayoutError> {
        let both = self
            .pieces
            .windows(2)
            .any(|pair| matches!(pair, [Piece::Value(_), Piece::Value(_)]));
        if both {
            let what = "two operators with nothing between them: where one value ends and the next begins cannot be told";
            return Err(LayoutError { at: 0, what });
        }
        Ok(self)
    }

    fn is_used(&self) -> bool {
        self.pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Value(operator) if operator.key != Key::Unused))
    }

    /// Puts the values of `text` into `fields`, and a time of the user's own form into `start`, if it is of this form.
    fn read<'block>(
        &self,
        text: &'block [u8],
        minutes: &mut MinuteCache,
        fields: &mut Fields<'block>,
        start: &mut Option<Timestamp>,
    ) -> bool {
        if text.len() > MAX_ROW_BYTES {
            return false;
        }
        let mut reader = Reader {
            minutes,
            guesses: MAX_GUESSES,
            start,
        };
        reader.read(&self.pieces, text, fields)
    }
}

struct Reader<'m> {
    minutes: &'m mut MinuteCache,
    guesses: u32,
    start: &'m mut Option<Timestamp>,
}

impl Reader<'_> {
    /// Reads `pieces` off all of `text`. It goes as deep as there are pieces, which are limited.
    fn read<'block>(&mut self, pieces: &[Piece], text: &'block [u8], fields: &mut Fields<'block>) -> bool {
        let Some((piece, pieces)) = pieces.split_first() else {
            return text.is_empty();
        };
        let operator = match piece {
            Piece::Literal(literal) => {
                let after = text.strip_prefix(literal.as_slice());
                return after.is_some_and(|rest| self.read(pieces, rest, fields));
            }
            Piece::Value(operator) => operator,
        };
        let Some((Piece::Literal(literal), pieces)) = pieces.split_first() else {
            return self.take(operator, text, fields);
        };
        let first = literal.first().copied().unwrap_or_default();
        if operator.shape == Shape::Word && matches!(first, b' ' | b'"') {
            // It ends at the first of these, or not at all.
            let Some((value, rest)) = memchr2(b' ', b'"', text).and_then(|end| text.split_at_checked(end))
            else {
                return false;
            };
            fields.set(operator.key, Value::Text(value));
            let after = rest.strip_prefix(literal.as_slice());
            return after.is_some_and(|rest| self.read(pieces, rest, fields));
        }
        // Values are short: a search that is set up for each would take longer than it saves.
        for end in memchr_iter(first, text) {
            let Some((value, rest)) = text.split_at_checked(end) else {
                return false;
            };
            let Some(rest) = rest.strip_prefix(literal.as_slice()) else {
                continue;
            };
            if !operator.shape.may_go_on(value) {
                return false;
            }
            let Some(left) = self.guesses.checked_sub(1) else {
                return false;
            };
            self.guesses = left;
            if self.take(operator, value, fields) && self.read(pieces, rest, fields) {
                return true;
            }
        }
        false
    }

    /// Takes a value, if it is one of this operator's.
    fn take<'block>(
        &mut self,
        operator: &Operator,
        value: &'block [u8],
        fields: &mut Fields<'block>,
    ) -> bool {
        match &operator.shape {
            Shape::Number if !is_number(value) => return false,
            Shape::Word if !is_word(value) => return false,
            Shape::Time => {
                let whole = |time: super::time::TimePrefix| time.len == value.len();
                if !self.minutes.prefix(value, b'T').is_some_and(whole) {
                    return false;
                }
            }
            Shape::TimeOf(form) => match time_of(form, value) {
                Some(time) if operator.key == Key::StartTime => {
                    *self.start = Some(time);
                    return true;
                }
                Some(_) => return true,
                None => return false,
            },
            _ => {}
        }
        // What nobody asks for has a place too.
        fields.set(operator.key, Value::Text(value));
        true
    }
}

impl Shape {
    /// True if a value may begin so, with what ends it in its middle.
    fn may_go_on(&self, value: &[u8]) -> bool {
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

fn is_word(value: &[u8]) -> bool {
    memchr2(b' ', b'"', value).is_none()
}

fn is_number(value: &[u8]) -> bool {
    value == b"-" || (!value.is_empty() && value.iter().all(u8::is_ascii_digit))
}

/// A time that is printed as `form` says, which is for `strptime`.
fn time_of(form: &str, value: &[u8]) -> Option<Timestamp> {
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
fn operator(text: &str, at: usize) -> Result<(Operator, usize), LayoutError> {
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
        "RESPONSE_FLAGS" => (K::Flags, 1, Shape::Word),
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

#[cfg(test)]
mod tests {
    use super::super::samples::{describe_block, summary};
    use super::*;
    use proptest::prelude::*;

    /// Istio's default text line.
    const ISTIO: &str = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% \
        %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% \
        %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \
        \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% \
        %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n";

    fn decoder(formats: &[&str]) -> LogDecoder {
        let layouts = formats.iter().map(|format| Layout::compile(format).unwrap());
        LogDecoder::with_layouts(&Layouts::new(layouts))
    }

    /// What rows of these formats say.
    fn read(formats: &[&str], lines: &str) -> Vec<String> {
        let mut told = Vec::new();
        decoder(formats).decode_block(lines.as_bytes(), &mut |_, line| {
            told.push(match &line.content {
                Content::Access(row) => summary(row),
                other => format!("{other:?}"),
            });
        });
        told
    }

    fn refused(format: &str) -> LayoutError {
        Layout::compile(format).unwrap_err()
    }

    #[test]
    fn the_known_layout_read_by_its_format_string_says_the_same() {
        let modern = super::super::samples::ROWS
            .iter()
            .filter(|(_, meaning)| meaning.starts_with("istio-text "));
        let mut count = 0;
        for (line, meaning) in modern {
            let told = read(&[ISTIO], line);
            let [told] = told.as_slice() else { panic!("{line}") };
            if told.starts_with("custom ") {
                count += 1;
                assert_eq!(told.replacen("custom ", "istio-text ", 1), *meaning, "{line}");
            } else {
                assert_eq!(
                    told, meaning,
                    "what the format does not fit is read as ever: {line}"
                );
            }
        }
        assert!(count >= 7, "{count}");
    }

    #[test]
    fn known_layouts_are_known() {
        let is_known = |format: &str| Layout::compile(format).unwrap().is_known();
        assert!(is_known(ISTIO));
        assert!(is_known(
            "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% \
             %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \
             \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n"
        ));
        assert!(is_known(
            r#"{"start_time":"%START_TIME%","response_code":"%RESPONSE_CODE%","upstream_cluster":"%UPSTREAM_CLUSTER_RAW%","x":"y"}"#
        ));
        for other in [
            "%START_TIME% %RESPONSE_CODE%",
            &ISTIO.replace("%RESPONSE_FLAGS%", "%RESPONSE_FLAGS% %HOSTNAME%"),
            r#"{"start_time":"%START_TIME%","status":"%RESPONSE_CODE%"}"#,
            r#"{"response_code":"%RESPONSE_CODE%","request":"%REQ(:METHOD)% %REQ(:PATH)%"}"#,
        ] {
            assert!(!is_known(other), "{other}");
        }
    }

    #[test]
    fn texts_that_hold_what_ends_them() {
        let format = "%START_TIME% code=%RESPONSE_CODE% agent=\"%REQ(USER-AGENT)%\" path=\"%REQ(:PATH)%\" ms=%DURATION%";
        let line = "2026-11-22T16:50:43.147Z code=503 agent=\"say \"hi\" path=1\" path=\"/a\" ms=x b\" ms=12";
        let told = read(&[format], line);
        assert!(told[0].contains(" 503 "), "{told:?}");
        assert!(
            told[0].contains("/a\"·ms=x·b"),
            "the first end after which all else fits: {told:?}"
        );
        assert!(told[0].contains("say·\"hi\"·path=1"), "{told:?}");
    }

    #[test]
    fn json_of_the_users_own_keys() {
        let format = r#"{"ts":"%START_TIME%","st":"%RESPONSE_CODE%","fl":"%RESPONSE_FLAGS%","req":"%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%",
            "ms":"%DURATION%","to":"%UPSTREAM_CLUSTER%","host":"%UPSTREAM_HOST%","env":"prod","time":"%REQ(X-TIME)%","msg":"%REQ(:AUTHORITY)%"}"#;
        let row = r#"{"ts":"2026-11-22T16:50:43.147Z","st":503,"fl":"UF","req":"GET /a/b HTTP/1.1","ms":7,"to":"outbound|80||a.b.svc.cluster.local","host":"10.0.0.1:80","env":"prod","time":null}"#;
        let component =
            r#"{"level":"warning","time":"2026-11-22T16:50:43.147000Z","scope":"envoy config","msg":"gone"}"#;
        let told = read(&[format], &format!("{row}\n{row}\n{component}\n"));
        assert_eq!(
            told[0], told[1],
            "the order of keys that was learned changes nothing"
        );
        for part in [
            "custom",
            "503",
            "UF",
            "GET",
            "/a/b",
            "HTTP/1.1",
            "outbound|80||a.b.svc.cluster.local",
            "10.0.0.1:80",
        ] {
            assert!(told[0].contains(part), "{part}: {}", told[0]);
        }
        assert!(told[2].starts_with("Component"), "{}", told[2]);
        assert!(told[2].contains("time: Some"), "{}", told[2]);
    }

    #[test]
    fn json_like_text_whose_numbers_have_no_quotes() {
        let format = r#"{"time":"%START_TIME%","status":%RESPONSE_CODE%,"path":"%REQ(:PATH)%"}"#;
        let told = read(
            &[format],
            r#"{"time":"2026-11-22T16:50:43.147Z","status":404,"path":"/"quoted""}"#,
        );
        assert!(told[0].starts_with("custom"), "{told:?}");
        assert!(told[0].contains("404"), "{told:?}");
    }

    #[test]
    fn other_lines_are_read_as_ever() {
        let format = "access %START_TIME% %RESPONSE_CODE% %RESPONSE_FLAGS%";
        let lines = "access 2026-11-22T16:50:43.147Z 200 -\n\
            2026-11-22T16:50:43.147000Z\twarning\tenvoy config\tgone\n\
            access to all areas\n";
        let told = read(&[format], lines);
        assert!(told[0].starts_with("custom"), "{told:?}");
        assert!(told[1].starts_with("Component"), "{told:?}");
        assert!(told[2].starts_with("Continuation"), "{told:?}");
    }

    #[test]
    fn times_of_every_form() {
        let at = "2026-11-22T16:50:43.5Z";
        for (form, text) in [
            ("", "2026-11-22T16:50:43.500Z"),
            ("(%Y-%m-%dT%H:%M:%S.%3fZ)", "2026-11-22T16:50:43.500Z"),
            ("(%Y/%m/%d %H:%M:%S.%6f)", "2026/11/22 16:50:43.500000"),
            ("(%s.%3f)", "1795366243.500"),
            ("(%s%3f)", "1795366243500"),
            ("(%Y-%m-%dT%H:%M:%E3S%Ez)", "2026-11-22T17:50:43.500+01:00"),
            (
                "(%d/%b/%Y:%H:%M:%S.%9f %z)",
                "22/Nov/2026:16:50:43.500000000 +0000",
            ),
        ] {
            let format = format!("<%START_TIME{form}%> %RESPONSE_CODE%");
            let mut start = None;
            decoder(&[&format]).decode_block(format!("<{text}> 200").as_bytes(), &mut |_, line| {
                if let Content::Access(row) = &line.content {
                    start = row.start;
                }
            });
            let told = start.map(|start| start.0);
            assert_eq!(told, Some(1_795_366_243_500_000_000), "{form} {text}: {at}");
        }
    }

    #[test]
    fn the_better_of_two_operators_of_one_meaning_counts() {
        let format =
            "%REQ(HOST)% %REQ(:AUTHORITY)% %UPSTREAM_REMOTE_ADDRESS% %UPSTREAM_HOST% %RESPONSE_CODE%";
        let told = read(&[format], "one two 10.0.0.1:1 10.0.0.2:2 200");
        assert!(
            told[0].contains("two") && told[0].contains("10.0.0.2:2"),
            "{told:?}"
        );
        assert!(
            !told[0].contains("one") && !told[0].contains("10.0.0.1"),
            "{told:?}"
        );
    }

    #[test]
    fn what_is_no_format() {
        assert_eq!(refused("a %RESPONSE_CODE").at, 2);
        assert_eq!(refused("50% of %RESPONSE_CODE%").at, 2);
        assert_eq!(refused("%REQ(:PATH%").at, 0);
        assert_eq!(refused("a\nb %RESPONSE_CODE%").at, 1);
        assert!(
            refused("%RESPONSE_CODE%%DURATION%")
                .what
                .contains("nothing between")
        );
        assert!(refused("%HOSTNAME% 100%%").what.contains("no operator"));
        assert!(refused(r#"{"a":"b"}"#).what.contains("no operator"));
        assert!(refused(&"%DURATION% ".repeat(200)).what.contains("256"));
    }

    #[test]
    fn guesses_are_limited() {
        let format = "%REQ(A)% %REQ(B)% %REQ(C)% %REQ(D)% %RESPONSE_CODE%";
        let line = "a ".repeat(100_000);
        assert!(read(&[format], &line)[0].starts_with("Unknown"));
    }

    proptest! {
        /// Whatever a line holds, a decoder with layouts ends and gives every line once.
        #[test]
        fn any_line(lines in proptest::collection::vec("[\\[\\]{}\" a-z0-9:.%-]{0,80}", 0..5)) {
            let data = lines.join("\n");
            let mut decoder = decoder(&[ISTIO, "%REQ(A)% %REQ(B)%:%DURATION%", r#"{"a":"%DURATION% %REQ(B)%"}"#]);
            let mut count = 0_usize;
            decoder.decode_block(data.as_bytes(), &mut |_, _| count += 1);
            let expected = if data.is_empty() { 0 } else { data.split_inclusive('\n').count() };
            prop_assert_eq!(count, expected);
            prop_assert_eq!(describe_block(&mut decoder, data.as_bytes()), describe_block(&mut decoder, data.as_bytes()));
        }

        /// Any text is a format string or an error.
        #[test]
        fn any_format(format in "[%A-Z_(){}:\"a-z0-9 ?,\n-]{0,60}") {
            let _ = Layout::compile(&format);
        }
    }
}
