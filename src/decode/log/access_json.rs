//! JSON lines: rows of an access log in Istio's default encoding, and component lines.
//!
//! A row's keys stand in the order of the row before it, so that order is tried first: each key is compared
//! where it should be, and only the ends of values are searched for. Whatever differs is read member by
//! member. Both ways fill the same [`Fields`], so a row means the same whichever read it.
#![expect(
    clippy::inline_always,
    reason = "small steps of one hot loop: without it JSON rows take 13 % longer"
)]

use super::access_exact::{cluster_name, header_number, unset};
use super::component::json_scope;
use super::json::{Malformed, Members, Value, unescape, value};
use super::layout::{Layouts, Member, Members as LayoutMembers};
use super::number::{json_number, leading_digits, short_decimal};
use super::scan::{Marks, Scanner};
use super::start::level;
use super::time::{MILLIS_BYTES, MinuteCache};
use super::wrapper::looks_wrapped;
use super::{AccessFormat, AccessRow, ComponentLine, Content, MAX_RECORD_BYTES, Reject};
use crate::units::Timestamp;

/// The members that mean something here, as numbers of places in [`Fields`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Key {
    StartTime,
    Method,
    Path,
    Protocol,
    Code,
    Flags,
    Details,
    Termination,
    FailureReason,
    BytesReceived,
    BytesSent,
    Duration,
    UpstreamTime,
    RequestId,
    Authority,
    UserAgent,
    UpstreamHost,
    Cluster,
    UpstreamLocal,
    DownstreamLocal,
    DownstreamRemote,
    Sni,
    Route,
    GrpcStatus,
    Level,
    Time,
    Scope,
    Message,
    /// A text of several operators or an object, of a layout of the user's own.
    Template,
    /// Any other.
    Unused,
}

const PLACES: usize = 32;

impl Key {
    fn of(key: &[u8]) -> Self {
        match key {
            b"start_time" => Self::StartTime,
            b"method" => Self::Method,
            b"path" => Self::Path,
            b"protocol" => Self::Protocol,
            b"response_code" => Self::Code,
            b"response_flags" => Self::Flags,
            b"response_code_details" => Self::Details,
            b"connection_termination_details" => Self::Termination,
            b"upstream_transport_failure_reason" => Self::FailureReason,
            b"bytes_received" => Self::BytesReceived,
            b"bytes_sent" => Self::BytesSent,
            b"duration" => Self::Duration,
            b"upstream_service_time" => Self::UpstreamTime,
            b"request_id" => Self::RequestId,
            b"authority" => Self::Authority,
            b"user_agent" => Self::UserAgent,
            b"upstream_host" => Self::UpstreamHost,
            b"upstream_cluster" => Self::Cluster,
            b"upstream_local_address" => Self::UpstreamLocal,
            b"downstream_local_address" => Self::DownstreamLocal,
            b"downstream_remote_address" => Self::DownstreamRemote,
            b"requested_server_name" => Self::Sni,
            b"route_name" => Self::Route,
            b"grpc_status"
            | b"grpc_status_number"
            | b"grpc_status_code"
            | b"grpc-status"
            | b"response_grpc_status" => Self::GrpcStatus,
            b"level" | b"severity" => Self::Level,
            b"time" | b"timestamp" => Self::Time,
            b"scope" | b"logger" => Self::Scope,
            b"msg" | b"message" => Self::Message,
            _ => Self::Unused,
        }
    }
}

/// The values of one object by their meaning. Of a key that is there twice the last value counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'block>([Value<'block>; PLACES]);

impl<'block> Fields<'block> {
    pub(super) fn new() -> Self {
        Self([Value::Null; PLACES])
    }

    #[inline]
    pub(super) fn set(&mut self, key: Key, value: Value<'block>) {
        if let Some(place) = self.0.get_mut(key as usize % PLACES) {
            *place = value;
        }
    }

    #[inline]
    fn get(&self, key: Key) -> Value<'block> {
        self.0.get(key as usize % PLACES).copied().unwrap_or(Value::Null)
    }
}

/// The keys of the last row, as they stood in it with all that is between the values.
#[derive(Debug, Default)]
pub(super) struct KeyOrder {
    leads: Vec<u8>,
    members: Vec<(Key, Lead)>,
    marks: Marks,
    /// Some of the keys are of a layout of the user's own.
    custom: bool,
}

/// What stands before a value: the end of the value before it, and the key.
#[derive(Clone, Copy, Debug)]
struct Lead {
    len: usize,
    /// Its quotes and backslashes.
    marks: usize,
    /// Its bytes, as many as there is room for, and zeros.
    words: [u64; Lead::WORDS],
    /// Ones where it has bytes.
    masks: [u64; Lead::WORDS],
}

impl Lead {
    /// Room for all keys that Envoy's and Istio's documents name.
    const WORDS: usize = 6;
    const ROOM: usize = Self::WORDS * 8;

    fn new(text: &[u8]) -> Self {
        let kept = text.len().min(Self::ROOM);
        let mut bytes = [0; Self::ROOM];
        if let (Some(room), Some(text)) = (bytes.get_mut(..kept), text.get(..kept)) {
            room.copy_from_slice(text);
        }
        let mut masks = [0; Self::WORDS];
        for (mask, start) in masks.iter_mut().zip((0..).step_by(8)) {
            let others = 8_usize.saturating_sub(kept.saturating_sub(start)).wrapping_mul(8);
            *mask = u64::MAX
                .checked_shr(u32::try_from(others).unwrap_or(u64::BITS))
                .unwrap_or(0);
        }
        Self {
            len: text.len(),
            marks: text.iter().filter(|byte| matches!(byte, b'"' | b'\\')).count(),
            words: words(&bytes),
            masks,
        }
    }

    /// Whether `text` begins with it. All of the room is compared at once: how long it is need not be known for that.
    #[inline(always)]
    fn begins(&self, text: &[u8], leads: &[u8]) -> bool {
        match text.first_chunk() {
            Some(head) if self.len <= Self::ROOM => {
                let mut differ = 0;
                for ((word, lead), mask) in words(head).iter().zip(&self.words).zip(&self.masks) {
                    differ |= (word ^ lead) & mask;
                }
                differ == 0
            }
            _ => text.get(..self.len) == leads.get(..self.len),
        }
    }
}

#[inline(always)]
fn words(bytes: &[u8; Lead::ROOM]) -> [u64; Lead::WORDS] {
    let mut words = [0; Lead::WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

impl KeyOrder {
    const MAX_MEMBERS: usize = 64;
    const MAX_LEADS_BYTES: usize = 4096;

    fn clear(&mut self) {
        self.leads.clear();
        self.members.clear();
        self.custom = false;
    }

    fn learn(&mut self, key: Key, lead: &[u8]) {
        self.leads.extend_from_slice(lead);
        self.members.push((key, Lead::new(lead)));
    }

    /// Forgets an order that is too long to keep, or one that a wrapper's line could have as well.
    fn settle(&mut self) {
        if self.members.len() > Self::MAX_MEMBERS
            || self.leads.len() > Self::MAX_LEADS_BYTES
            || looks_wrapped(&self.leads)
        {
            self.clear();
        }
    }

    /// Puts the values of the first line of `text` into `fields` if its keys stand in this order, and tells the line's
    /// length without its newline.
    #[inline(always)]
    fn read<'block>(
        &mut self,
        text: &'block [u8],
        scanner: Scanner,
        fields: &mut Fields<'block>,
    ) -> Option<usize> {
        if self.members.is_empty() {
            return None;
        }
        let len = scanner.mark_line(text, &mut self.marks)?;
        let line = text.get(..len)?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (mut at, mut leads) = (0_usize, self.leads.as_slice());
        // The number of the first mark at or after `at`.
        let mut mark = 0_usize;
        for (key, lead) in &self.members {
            // What stands behind the line never equals a lead, which has no newline.
            if !lead.begins(text.get(at..)?, leads) {
                return None;
            }
            leads = leads.get(lead.len..)?;
            let start = at.wrapping_add(lead.len);
            mark = mark.wrapping_add(lead.marks);
            if *line.get(start)? == b'"' {
                // Where a string ends is looked up, so that one member need not wait for the ones before it.
                let end = self.marks.place(mark.wrapping_add(1))?;
                let content = start.wrapping_add(1);
                if *line.get(end)? == b'"' {
                    let text = line.get(content..end)?;
                    fields.set(*key, Value::Text(text));
                    if *key == Key::UpstreamTime
                        && let Some(before) = line.get(..end)?.last_chunk()
                        && let Some(number) = short_decimal(*before, text.len())
                    {
                        fields.set(*key, digits(text, number));
                    }
                    at = end.wrapping_add(1);
                    mark = mark.wrapping_add(2);
                    continue;
                }
            }
            let rest = line.get(start..)?;
            if let Some((value, length)) = short_value(rest) {
                fields.set(*key, value);
                at = start.wrapping_add(length);
                continue;
            }
            let (value, rest) = value(rest).ok()?;
            fields.set(*key, value);
            at = line.len().wrapping_sub(rest.len());
            mark = self.marks.number_at(at, mark);
        }
        (line.get(at..)? == b"}").then_some(len)
    }
}

/// The value at the head of `text` if it is `null` or a short number, and its length.
#[inline(always)]
fn short_value(text: &[u8]) -> Option<(Value<'_>, usize)> {
    let head = text.first_chunk::<8>()?;
    if matches!(head, [b'n', b'u', b'l', b'l', b',' | b'}', ..]) {
        return Some((Value::Null, 4));
    }
    let (number, count) = leading_digits(*head);
    let ends = count > 0 && matches!(text.get(count)?, b',' | b'}');
    ends.then_some((digits(text.get(..count)?, number), count))
}

/// The number of at most eight digits.
#[inline(always)]
fn digits(text: &[u8], number: u64) -> Value<'_> {
    u32::try_from(number).map_or(Value::Number(text), |number| Value::Digits(text, number))
}

/// Puts the row that the first line of `text` holds into `row` if its keys stand in the order of the row before it, and
/// tells the line's length without its newline; else `row` is left in any state.
#[inline(always)]
pub(super) fn decode_in_order<'block>(
    text: &'block [u8],
    minutes: &mut MinuteCache,
    scanner: Scanner,
    order: &mut KeyOrder,
    row: &mut AccessRow<'block>,
) -> Option<usize> {
    let mut fields = Fields::new();
    let len = order.read(text, scanner, &mut fields)?;
    // Strings with escapes find no room and leave the line to `decode`.
    read_row(&fields, minutes, &mut Room { bytes: &mut [] }, row).ok()?;
    if order.custom {
        row.format = AccessFormat::Custom;
    }
    Some(len)
}

/// Puts the row that texts make into `row`.
pub(super) fn read_text_row<'block>(
    fields: &Fields<'block>,
    minutes: &mut MinuteCache,
    row: &mut AccessRow<'block>,
) -> Result<(), Reject> {
    read_row(fields, minutes, &mut Room { bytes: &mut [] }, row)
}

/// What one JSON line holds. `unescaped` is for strings with escapes.
pub(super) fn decode<'block>(
    line: &'block [u8],
    minutes: &mut MinuteCache,
    layouts: &Layouts,
    order: &mut KeyOrder,
    unescaped: &'block mut Vec<u8>,
) -> Content<'block> {
    let mut fields = Fields::new();
    let mut seen = Seen::default();
    order.clear();
    let members = layouts.members();
    if read_members(line, &mut fields, &mut seen, minutes, members, order).is_err() {
        order.clear();
        return Content::Unknown(Reject::Json);
    }
    let has = |key: Key| seen.keys & 1 << key as u32 != 0;
    let is_row = has(Key::Code) || has(Key::Flags) || has(Key::StartTime) && has(Key::UpstreamHost);
    if seen.custom && !is_row {
        // A component line may have keys of the same names.
        return decode(line, minutes, &Layouts::default(), order, unescaped);
    }
    let len = line.len().min(MAX_RECORD_BYTES);
    if unescaped.len() < len {
        unescaped.resize(len, 0);
    }
    let mut room = Room { bytes: unescaped };
    let content = if is_row {
        order.settle();
        if has(Key::Template) {
            // Such a value is read by its own rule.
            order.clear();
        }
        let mut row = AccessRow::empty(AccessFormat::IstioJson);
        read_row(&fields, minutes, &mut room, &mut row).map(|()| {
            if seen.custom {
                row.format = AccessFormat::Custom;
            }
            row.start = seen.start.or(row.start);
            Content::Access(row)
        })
    } else {
        order.clear();
        if has(Key::Level) && has(Key::Message) {
            component(&fields, minutes, &mut room).map(Content::Component)
        } else {
            Err(Reject::Form)
        }
    };
    content.unwrap_or_else(Content::Unknown)
}

/// What is known of the members of an object beside their values.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// One bit for each [`Key`].
    keys: u32,
    /// Some are of a layout of the user's own.
    custom: bool,
    /// A time in a form of the user's own.
    start: Option<Timestamp>,
}

fn read_members<'block>(
    line: &'block [u8],
    fields: &mut Fields<'block>,
    seen: &mut Seen,
    minutes: &mut MinuteCache,
    own: Option<&LayoutMembers>,
    order: &mut KeyOrder,
) -> Result<(), Malformed> {
    let mut members = Members::new(line);
    while let Some(member) = members.next()? {
        let key = if let Some(own) = own.and_then(|own| own.get(member.key)) {
            order.custom = true;
            read_own(own, member.value, fields, seen, minutes)?
        } else {
            let key = Key::of(member.key);
            fields.set(key, member.value);
            key
        };
        seen.keys |= 1_u32.wrapping_shl(key as u32);
        if order.members.len() <= KeyOrder::MAX_MEMBERS {
            order.learn(key, member.lead);
        }
    }
    Ok(())
}

/// Puts what a member of a layout of the user's own says into `fields`. Goes as deep as the layout does.
fn read_own<'block>(
    own: &Member,
    value: Value<'block>,
    fields: &mut Fields<'block>,
    seen: &mut Seen,
    minutes: &mut MinuteCache,
) -> Result<Key, Malformed> {
    seen.custom = true;
    match (own, value) {
        (Member::Key(key), value) => {
            fields.set(*key, value);
            return Ok(*key);
        }
        (Member::Template(template), Value::Text(text)) => {
            let (start, keys) = template.part(text, minutes, fields);
            seen.start = start.or(seen.start);
            seen.keys |= keys;
        }
        (Member::Object(own), Value::Object(text)) => {
            let mut members = Members::new(text);
            while let Some(member) = members.next()? {
                if let Some(own) = own.get(member.key) {
                    let key = read_own(own, member.value, fields, seen, minutes)?;
                    seen.keys |= 1_u32.wrapping_shl(key as u32);
                }
            }
        }
        _ => {}
    }
    Ok(Key::Template)
}

/// What is left of the buffer for unescaped strings.
struct Room<'block> {
    bytes: &'block mut [u8],
}

impl<'block> Room<'block> {
    /// The meaning of an escaped string.
    #[cold]
    fn unescape(&mut self, text: &[u8]) -> Result<&'block [u8], Reject> {
        let bytes = std::mem::take(&mut self.bytes);
        let (mine, rest) = bytes.split_at_mut_checked(text.len()).ok_or(Reject::Json)?;
        self.bytes = rest;
        let len = unescape(text, mine).ok_or(Reject::Json)?;
        Ok(mine.get(..len).unwrap_or_default())
    }

    /// The text of a value; `None` where it is `null` or `-`. Numbers are given as written.
    #[inline(always)]
    fn text(&mut self, value: Value<'block>) -> Result<Option<&'block [u8]>, Reject> {
        match value {
            Value::Text(text) => Ok(unset(text)),
            Value::Null | Value::Object(_) | Value::Other => Ok(None),
            Value::Number(text) | Value::Digits(text, _) => Ok(Some(text)),
            Value::Escaped(text) => self.unescape(text).map(unset),
        }
    }
}

#[inline(always)]
fn read_row<'block>(
    fields: &Fields<'block>,
    minutes: &mut MinuteCache,
    room: &mut Room<'block>,
    row: &mut AccessRow<'block>,
) -> Result<(), Reject> {
    let mut text = |key: Key| room.text(fields.get(key));
    row.format = AccessFormat::IstioJson;
    row.start = time(fields.get(Key::StartTime), minutes)?;
    // Istio 1.1.0 put the time under `method`.
    row.method = text(Key::Method)?.filter(|method| !method.first().is_some_and(u8::is_ascii_digit));
    row.path = text(Key::Path)?;
    row.protocol = text(Key::Protocol)?;
    row.code = u16::try_from(number(fields.get(Key::Code))?.unwrap_or(0)).map_err(|_| Reject::AccessShape)?;
    row.flags = text(Key::Flags)?;
    row.details = text(Key::Details)?;
    row.termination = text(Key::Termination)?;
    row.failure_reason = text(Key::FailureReason)?;
    row.bytes_received = number(fields.get(Key::BytesReceived))?.unwrap_or(0);
    row.bytes_sent = number(fields.get(Key::BytesSent))?.unwrap_or(0);
    row.duration_ms = number(fields.get(Key::Duration))?;
    row.upstream_ms = upstream_time(fields.get(Key::UpstreamTime))?;
    row.request_id = text(Key::RequestId)?;
    row.authority = text(Key::Authority)?;
    row.user_agent = text(Key::UserAgent)?;
    row.upstream_host = text(Key::UpstreamHost)?;
    row.cluster = text(Key::Cluster)?.and_then(cluster_name);
    row.upstream_local = text(Key::UpstreamLocal)?;
    row.downstream_local = text(Key::DownstreamLocal)?;
    row.downstream_remote = text(Key::DownstreamRemote)?;
    row.sni = text(Key::Sni)?;
    row.route = text(Key::Route)?;
    row.grpc_status = text(Key::GrpcStatus)?.and_then(grpc_status);
    row.class_spans = None;
    Ok(())
}

#[inline(always)]
fn number(value: Value<'_>) -> Result<Option<u64>, Reject> {
    match value {
        Value::Digits(_, number) => Ok(Some(u64::from(number))),
        Value::Number(text) => json_number(text).map(Some),
        Value::Text(text) if !text.is_empty() => unset(text).map(json_number).transpose(),
        _ => Ok(None),
    }
}

fn upstream_time(value: Value<'_>) -> Result<Option<u64>, Reject> {
    match value {
        Value::Text(text) => header_number(text),
        other => number(other),
    }
}

/// A time that is none (a format of the user's) counts as missing; one that does not exist is damage.
#[inline]
fn time(value: Value<'_>, minutes: &mut MinuteCache) -> Result<Option<Timestamp>, Reject> {
    let Value::Text(text) = value else { return Ok(None) };
    if let Some(time) = <&[u8; MILLIS_BYTES]>::try_from(text)
        .ok()
        .and_then(|text| minutes.millis(text))
    {
        return Ok(Some(time));
    }
    match minutes.prefix(text, b'T') {
        Some(time) => time.value.map(Some).ok_or(Reject::Date),
        None => Ok(None),
    }
}

/// A gRPC status by number or by name in any of Envoy's spellings (`GRPC_STATUS` and its formats).
fn grpc_status(text: &[u8]) -> Option<u8> {
    const NAMES: [&[u8]; 17] = [
        b"ok",
        b"canceled",
        b"unknown",
        b"invalidargument",
        b"deadlineexceeded",
        b"notfound",
        b"alreadyexists",
        b"permissiondenied",
        b"resourceexhausted",
        b"failedprecondition",
        b"aborted",
        b"outofrange",
        b"unimplemented",
        b"internal",
        b"unavailable",
        b"dataloss",
        b"unauthenticated",
    ];
    if let Ok(number) = json_number(text) {
        return u8::try_from(number).ok();
    }
    let plain = |byte: &&u8| !matches!(byte, b'_' | b' ');
    let is = |name: &&[u8]| {
        let letters = text.iter().filter(plain).map(u8::to_ascii_lowercase);
        letters.eq(name.iter().copied())
    };
    let cancelled = || text.eq_ignore_ascii_case(b"cancelled").then_some(1);
    NAMES
        .iter()
        .position(is)
        .and_then(|number| u8::try_from(number).ok())
        .or_else(cancelled)
}

fn component<'block>(
    fields: &Fields<'block>,
    minutes: &mut MinuteCache,
    room: &mut Room<'block>,
) -> Result<ComponentLine<'block>, Reject> {
    let name = room.text(fields.get(Key::Level))?.unwrap_or_default();
    let level = level(name).ok_or(Reject::Form)?;
    let (component, scope) = json_scope(room.text(fields.get(Key::Scope))?.unwrap_or_default());
    let message = room.text(fields.get(Key::Message))?.unwrap_or_default();
    Ok(ComponentLine {
        component,
        time: time(fields.get(Key::Time), minutes)?,
        level,
        scope,
        message,
    })
}

#[cfg(test)]
mod tests {
    use super::super::LogDecoder;
    use super::super::samples::{COMPONENT_LINES, JSON_ROWS, describe_block, summary};
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    fn content(line: &str) -> String {
        match decode(
            line.as_bytes(),
            &mut MinuteCache::default(),
            &Layouts::default(),
            &mut KeyOrder::default(),
            &mut Vec::new(),
        ) {
            Content::Access(row) => summary(&row),
            Content::Component(line) => format!(
                "{} {:?} {} {} {}",
                line.time.unwrap(),
                line.component,
                line.level.name(),
                line.scope.escape_ascii(),
                line.message.escape_ascii()
            ),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn rows() {
        for (line, meaning) in JSON_ROWS {
            assert_eq!(content(line), *meaning, "{line}");
        }
    }

    #[test]
    fn component_lines() {
        assert_eq!(
            content(COMPONENT_LINES[4]),
            r#"2026-08-10T08:19:58.950669Z Envoy warning config gRPC \"config\" stream closed"#
        );
        assert_eq!(
            content(COMPONENT_LINES[5]),
            "2026-08-10T08:19:58.950669Z PilotAgent info ads XDS: Pushing"
        );
    }

    #[test]
    fn what_is_no_row() {
        let cases = [
            (r#"{"a":1}"#, Reject::Form),
            (r#"{"level":"loud","msg":"x"}"#, Reject::Form),
            (r#"{"response_code":200"#, Reject::Json),
            (r#"{"response_code":200}}"#, Reject::Json),
            (r#"{"response_code":200,"path":"\x"}"#, Reject::Json),
            (r#"{"response_code":18446744073709551616}"#, Reject::Number),
            (r#"{"response_code":70000}"#, Reject::AccessShape),
            (r#"{"response_code":200,"duration":"soon"}"#, Reject::AccessShape),
            (r#"{"response_code":200,"duration":-1}"#, Reject::AccessShape),
            (
                r#"{"response_code":200,"start_time":"2024-02-30T00:00:00.000Z"}"#,
                Reject::Date,
            ),
        ];
        for (line, reject) in cases {
            assert_eq!(content(line), format!("Unknown({reject:?})"), "{line}");
        }
    }

    #[test]
    fn every_truncation_is_malformed() {
        for (line, _) in JSON_ROWS {
            for len in 1..line.len() {
                let part = line.get(..len).unwrap();
                assert_eq!(content(part), "Unknown(Json)", "{part}");
            }
        }
    }

    #[test]
    fn grpc_statuses() {
        for (text, status) in [
            ("OK", 0),
            ("Canceled", 1),
            ("CANCELLED", 1),
            ("DeadlineExceeded", 4),
            ("DATA_LOSS", 15),
            ("Unauthenticated", 16),
            ("7", 7),
        ] {
            assert_eq!(grpc_status(text.as_bytes()), Some(status), "{text}");
        }
        assert_eq!(grpc_status(b"InvalidCode"), None);
        assert_eq!(grpc_status(b"300"), None);
    }

    #[test]
    fn rows_in_order_are_taken_by_it() {
        let mut order = KeyOrder::default();
        let (first, _) = JSON_ROWS[0];
        let mut minutes = MinuteCache::default();
        decode(
            first.as_bytes(),
            &mut minutes,
            &Layouts::default(),
            &mut order,
            &mut Vec::new(),
        );
        let mut row = AccessRow::empty(AccessFormat::IstioText);
        let next = first
            .replace("\"GET\"", "null")
            .replace("647", "9999999999")
            .replace(":200,", ":0,");
        for scanner in [Scanner::Portable, Scanner::default()] {
            decode_in_order(next.as_bytes(), &mut minutes, scanner, &mut order, &mut row).unwrap();
            assert_eq!(summary(&row), content(&next));
        }
        let other = first.replacen("\"authority\"", "\"authoritx\"", 1);
        assert_eq!(
            decode_in_order(
                other.as_bytes(),
                &mut minutes,
                Scanner::default(),
                &mut order,
                &mut row
            ),
            None
        );
    }

    #[test]
    fn leads_of_any_length() {
        let text: Vec<u8> = (b'!'..=b'~').collect();
        for len in 0..=text.len() {
            let leads = text.get(..len).unwrap();
            let lead = Lead::new(leads);
            for kept in 0..=text.len() {
                let here = text.get(..kept).unwrap();
                assert_eq!(lead.begins(here, leads), len <= kept, "{len} of {kept}");
            }
            for at in 0..len {
                let mut other = text.clone();
                other[at] ^= 1;
                assert!(!lead.begins(&other, leads), "{at} of {len}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        /// A decoder that knows the order of rows before says the same as one that has seen nothing.
        #[test]
        fn order_changes_nothing(
            row in select(JSON_ROWS),
            edits in proptest::collection::vec((any::<Index>(), 0_u8..3, select(b" \"-0,:{}[\\\xffenl".as_slice())), 0..4),
        ) {
            let mut line = row.0.as_bytes().to_vec();
            for (place, kind, byte) in edits {
                let at = place.index(line.len());
                match kind {
                    0 => line[at] = byte,
                    1 => line.insert(at, byte),
                    _ => { line.remove(at); }
                }
            }
            let mut taught = LogDecoder::default();
            describe_block(&mut taught, row.0.as_bytes());
            prop_assert_eq!(describe_block(&mut taught, &line), describe_block(&mut LogDecoder::default(), &line));
        }
    }
}
