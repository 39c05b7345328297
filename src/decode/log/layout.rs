//! Access-log layouts of a user's own: Envoy's format strings (`accessLogFormat` of Istio's mesh configuration, `text_format_source`
//! and `json_format` of Envoy's), compiled to what reads a row.
//!
//! Operators: Envoy docs, "Access logging", command operators. Of those that postmesh has no use for, a row's text is stepped over.

mod operator;
mod template;
#[cfg(test)]
mod tests;

use super::access_json::{Fields, Key, read_text_row};
use super::json::{self, Value, unescape};
use super::time::MinuteCache;
use super::{AccessFormat, AccessRow, Content, LogDecoder, Reject};
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
pub struct Layout {
    form: Form,
    format: Arc<str>,
}

#[derive(Clone, Debug)]
enum Form {
    Text(Template),
    Json(Members),
}

/// Objects in each other of one format string.
const MAX_DEPTH: usize = 8;

/// The members of a JSON row or of an object in it, by their keys as they stand between their quotes.
#[derive(Clone, Debug, Default)]
pub(super) struct Members(BTreeMap<Vec<u8>, Member>);

/// The value of a member.
#[derive(Clone, Debug)]
pub(super) enum Member {
    /// One operator alone, or nothing that is used.
    Key(Key),
    /// Several operators, or a time of the user's own form.
    Template(Template),
    /// An object.
    Object(Members),
}

/// The layouts of a run, first come first tried.
#[derive(Clone, Debug, Default)]
pub struct Layouts(Option<Arc<Compiled>>);

#[derive(Debug, Default)]
struct Compiled {
    formats: Vec<Arc<str>>,
    texts: Vec<Template>,
    members: Members,
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
        let form = match JsonFormat::compile(trimmed)? {
            Some(members) => Form::Json(members),
            None => Form::Text(Template::compile(trimmed)?),
        };
        let is_used = match &form {
            Form::Text(template) => template.is_used(),
            Form::Json(members) => members.are_used(),
        };
        if is_used {
            Ok(Self {
                form,
                format: trimmed.into(),
            })
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
        match &self.form {
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
                for (key, member) in &members.0 {
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
            compiled.formats.push(layout.format);
            match layout.form {
                Form::Text(template) => compiled.texts.push(template),
                Form::Json(members) => compiled.members.add(members),
            }
        }
        let is_empty = compiled.texts.is_empty() && compiled.members.0.is_empty();
        Self((!is_empty).then(|| Arc::new(compiled)))
    }

    /// The format strings.
    pub fn formats(&self) -> impl Iterator<Item = &str> {
        let compiled = self.0.iter();
        compiled.flat_map(|compiled| compiled.formats.iter().map(AsRef::as_ref))
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

    /// The members of JSON rows.
    pub(super) fn members(&self) -> Option<&Members> {
        self.0.as_ref().map(|compiled| &compiled.members)
    }
}

impl Members {
    /// The member of a key, as it stands between its quotes.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Member> {
        self.0.get(key)
    }

    fn are_used(&self) -> bool {
        self.0.values().any(|member| match member {
            Member::Key(key) => *key != Key::Unused,
            Member::Template(template) => template.is_used(),
            Member::Object(members) => members.are_used(),
        })
    }

    /// Adds those of another layout that are new.
    fn add(&mut self, more: Self) {
        for (key, member) in more.0 {
            match (self.0.get_mut(&key), member) {
                (None, member) => drop(self.0.insert(key, member)),
                (Some(Member::Object(held)), Member::Object(members)) => held.add(members),
                (Some(_), _) => {}
            }
        }
    }

    /// The member to which these keys lead, each in the object of the one before.
    fn at(&mut self, path: &[Vec<u8>]) -> Option<&mut Member> {
        let (key, rest) = path.split_first()?;
        let member = self.0.get_mut(key)?;
        match member {
            _ if rest.is_empty() => Some(member),
            Member::Object(members) => members.at(rest),
            _ => None,
        }
    }
}

/// A format string that is a JSON object, as it is compiled.
#[derive(Debug, Default)]
struct JsonFormat {
    keys: usize,
    /// Operators that stand alone, with the keys that lead to them.
    alone: Vec<(Vec<Vec<u8>>, Operator)>,
}

impl JsonFormat {
    /// The members of a format string that is a JSON object; `None` if it is none, as where a number stands without quotes.
    fn compile(format: &str) -> Result<Option<Members>, LayoutError> {
        let format = format.trim_start();
        if !format.starts_with('{') {
            return Ok(None);
        }
        let mut all = Self::default();
        let Some(mut members) = all.object(format.as_bytes(), &[])? else {
            return Ok(None);
        };
        // Of two operators of one meaning the better one counts, of equal ones the first.
        for (place, (path, operator)) in all.alone.iter().enumerate() {
            let better = |(other, (_, of)): (usize, &(Vec<Vec<u8>>, Operator))| {
                of.key == operator.key
                    && (of.rank > operator.rank || of.rank == operator.rank && other < place)
            };
            if all.alone.iter().enumerate().any(better)
                && let Some(member) = members.at(path)
            {
                *member = Member::Key(Key::Unused);
            }
        }
        Ok(Some(members))
    }

    /// The members of one object, to which `path` leads.
    fn object(&mut self, text: &[u8], path: &[Vec<u8>]) -> Result<Option<Members>, LayoutError> {
        let error = |what| LayoutError { at: 0, what };
        if path.len() > MAX_DEPTH {
            return Err(error("more than 8 objects in each other"));
        }
        let mut members = Members::default();
        let mut read = json::Members::new(text);
        loop {
            let member = match read.next() {
                Ok(Some(member)) => member,
                Ok(None) => return Ok(Some(members)),
                Err(_) => return Ok(None),
            };
            self.keys = self.keys.saturating_add(1);
            if self.keys > MAX_KEYS {
                return Err(error("more than 256 keys"));
            }
            let path: Vec<Vec<u8>> = path.iter().cloned().chain([member.key.to_vec()]).collect();
            let value = match member.value {
                Value::Object(text) => match self.object(text, &path)? {
                    Some(members) => Member::Object(members),
                    None => return Ok(None),
                },
                Value::Text(text) => self.text(text, &path)?,
                Value::Escaped(text) => {
                    let mut into = vec![0; text.len()];
                    let len = unescape(text, &mut into).ok_or(error("an escape that JSON does not have"))?;
                    self.text(into.get(..len).unwrap_or_default(), &path)?
                }
                _ => Member::Key(Key::Unused),
            };
            members.0.entry(member.key.to_vec()).or_insert(value);
        }
    }

    /// The value that is a text with operators.
    fn text(&mut self, text: &[u8], path: &[Vec<u8>]) -> Result<Member, LayoutError> {
        let template = Template::parse(&String::from_utf8_lossy(text))?;
        Ok(match template.pieces.as_slice() {
            [] | [Piece::Literal(_)] => Member::Key(Key::Unused),
            [Piece::Value(operator)] if !matches!(operator.shape, Shape::TimeOf(_)) => {
                self.alone.push((path.to_vec(), operator.clone()));
                Member::Key(operator.key)
            }
            // Where the parts of a value cannot be told from each other the others still can be read.
            _ => template
                .checked()
                .map_or(Member::Key(Key::Unused), Member::Template),
        })
    }
}
