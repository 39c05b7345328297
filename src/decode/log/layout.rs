//! Access-log layouts of a user's own: Envoy's format strings (`accessLogFormat` of Istio's mesh configuration, `text_format_source`
//! and `json_format` of Envoy's), compiled to what reads a row.
//!
//! Operators: Envoy docs, "Access logging", command operators. Of those that postmesh has no use for, a row's text is stepped over.

mod operator;
mod template;
#[cfg(test)]
mod tests;

use super::access_json::{Fields, Key, read_text_row};
use super::json::{Members, Value, unescape};
use super::time::MinuteCache;
use super::{AccessFormat, AccessRow, Content, LogDecoder, Reject};
use crate::units::Timestamp;
use operator::{Operator, Shape};
use std::collections::BTreeMap;
use std::sync::Arc;
use template::{Piece, Template};

/// Longest format string, in bytes.
const MAX_FORMAT_BYTES: usize = 64 << 10;

/// Keys of one format string.
const MAX_KEYS: usize = 256;

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

/// The layouts of a run, first come first tried.
#[derive(Clone, Debug, Default)]
pub struct Layouts(Option<Arc<Compiled>>);

#[derive(Debug, Default)]
struct Compiled {
    texts: Vec<Template>,
    keys: BTreeMap<Vec<u8>, Member>,
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
                Form::Json(members) => {
                    for (key, member) in members {
                        compiled.keys.entry(key).or_insert(member);
                    }
                }
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
        self.0.as_ref()?.keys.get(key)
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
        if members.len() >= MAX_KEYS {
            let what = "more than 256 keys";
            return Err(LayoutError { at: 0, what });
        }
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
