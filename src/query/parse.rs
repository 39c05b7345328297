//! Text to [`Condition`]. Bounded: length, depth, size of patterns.

use super::field::{Field, Kind};
use super::{Comparison, Condition, Constant, Node};
use crate::units::Timestamp;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_till, take_while1};
use nom::character::complete::{char, multispace0, one_of};
use nom::combinator::value;
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser};
use regex::bytes::RegexBuilder;

/// Longest condition.
const MAX_BYTES: usize = 4096;

/// Deepest nesting.
const MAX_DEPTH: usize = 32;

/// Values of one `in (...)`.
const MAX_VALUES: usize = 256;

/// Bytes of a compiled pattern.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// What is wrong with a condition, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}, at column {column}: {text}")]
pub struct Mistake {
    /// One line.
    pub message: String,
    /// Characters before it, and one.
    pub column: usize,
    /// What stands there.
    pub text: String,
}

/// Reads a condition.
///
/// # Errors
/// The first mistake.
pub fn parse(text: &str) -> Result<Condition, Mistake> {
    let mut reader = Reader { text, rest: text };
    if text.len() > MAX_BYTES {
        return Err(reader.mistake("longer than 4096 bytes"));
    }
    let root = reader.any(0)?;
    reader.blanks();
    if !reader.rest.is_empty() {
        return Err(reader.mistake("expected `and`, `or` or the end"));
    }
    Ok(Condition {
        text: text.to_owned(),
        root,
    })
}

/// What is left of a text.
struct Reader<'t> {
    text: &'t str,
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn mistake(&self, message: impl Into<String>) -> Mistake {
        let read = self.text.get(..self.text.len().saturating_sub(self.rest.len()));
        let column = read.map_or(0, |read| read.chars().count()).saturating_add(1);
        let text: String = self.rest.chars().take(20).collect();
        Mistake {
            message: message.into(),
            column,
            text: if text.is_empty() {
                "its end".to_owned()
            } else {
                text
            },
        }
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// What a parser of the next token makes of it, if it is one.
    fn next<O>(
        &mut self,
        parser: impl Parser<&'t str, Output = O, Error = nom::error::Error<&'t str>>,
    ) -> Option<O> {
        let mut token = preceded(multispace0::<&str, nom::error::Error<&str>>, parser);
        let (rest, found) = token.parse(self.rest).ok()?;
        self.rest = rest;
        Some(found)
    }

    /// True if this word stands next, in any case of letters.
    fn word(&mut self, wanted: &str) -> bool {
        let before = self.rest;
        match self.next(word) {
            Some(found) if found.eq_ignore_ascii_case(wanted) => true,
            _ => {
                self.rest = before;
                false
            }
        }
    }

    fn sign(&mut self, wanted: char) -> bool {
        self.next(char(wanted)).is_some()
    }

    fn any(&mut self, depth: usize) -> Result<Node, Mistake> {
        let mut parts = vec![self.all(depth)?];
        while self.word("or") || self.next(tag("||")).is_some() {
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, Node::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Node, Mistake> {
        let mut parts = vec![self.not(depth)?];
        while self.word("and") || self.next(tag("&&")).is_some() {
            parts.push(self.not(depth)?);
        }
        Ok(one_or(parts, Node::All))
    }

    fn not(&mut self, depth: usize) -> Result<Node, Mistake> {
        if depth > MAX_DEPTH {
            return Err(self.mistake("nested more than 32 deep"));
        }
        let deeper = depth.saturating_add(1);
        if self.word("not") {
            return Ok(Node::Not(Box::new(self.not(deeper)?)));
        }
        if self.sign('(') {
            let inside = self.any(deeper)?;
            if !self.sign(')') {
                return Err(self.mistake("expected `)`"));
            }
            return Ok(inside);
        }
        if self.word("exists") {
            return Ok(Node::Exists(self.field()?));
        }
        self.comparison()
    }

    fn field(&mut self) -> Result<Field, Mistake> {
        self.blanks();
        let here = self.mistake("");
        let Some(name) = self.next(word) else {
            return Err(self.mistake("expected a field"));
        };
        Field::named(name).ok_or_else(|| {
            let known: Vec<&str> = Field::ALL.iter().map(|field| field.name()).collect();
            Mistake {
                message: format!("no field {name} (there are {})", known.join(", ")),
                ..here
            }
        })
    }

    fn comparison(&mut self) -> Result<Node, Mistake> {
        let field = self.field()?;
        if let Some(how) = self.next(comparison) {
            return self.compared(field, how);
        }
        if self.sign('~') {
            return self.pattern(field);
        }
        if self.word("in") {
            return self.one_of(field);
        }
        if self.word("has") {
            return Ok(Node::Has(field, self.bytes(field)?));
        }
        if self.word("contains") {
            return Ok(Node::Contains(field, self.bytes(field)?));
        }
        if self.word("starts_with") {
            return Ok(Node::StartsWith(field, self.bytes(field)?));
        }
        if self.word("ends_with") {
            return Ok(Node::EndsWith(field, self.bytes(field)?));
        }
        self.blanks();
        Err(self.mistake("expected =, !=, <, <=, >, >=, ~, in, has, contains, starts_with or ends_with"))
    }

    fn compared(&mut self, field: Field, how: Comparison) -> Result<Node, Mistake> {
        Ok(match self.constant(field)? {
            Constant::Number(number) => Node::Number(field, how, number),
            Constant::Time(time) => Node::Time(field, how, time),
            Constant::Text(text) => Node::Text(field, how, text),
        })
    }

    fn one_of(&mut self, field: Field) -> Result<Node, Mistake> {
        if !self.sign('(') {
            return Err(self.mistake("expected `(`"));
        }
        let mut constants = vec![self.constant(field)?];
        while self.sign(',') {
            if constants.len() >= MAX_VALUES {
                return Err(self.mistake("more than 256 values"));
            }
            constants.push(self.constant(field)?);
        }
        if !self.sign(')') {
            return Err(self.mistake("expected `,` or `)`"));
        }
        Ok(Node::OneOf(field, constants))
    }

    fn pattern(&mut self, field: Field) -> Result<Node, Mistake> {
        self.blanks();
        let here = self.mistake("");
        let bytes = self.bytes(field)?;
        let pattern = String::from_utf8_lossy(&bytes);
        let built = RegexBuilder::new(&pattern).size_limit(MAX_PATTERN_BYTES).build();
        built
            .map(|pattern| Node::Matches(field, pattern))
            .map_err(|error| {
                let why = error.to_string();
                let why = why
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: ");
                Mistake {
                    message: format!("no regular expression: {why}"),
                    ..here
                }
            })
    }

    /// Bytes, of a field that holds text.
    fn bytes(&mut self, field: Field) -> Result<Vec<u8>, Mistake> {
        self.blanks();
        if matches!(field.kind(), Kind::Number | Kind::Time) {
            return Err(self.mistake(format!("{} holds no text", field.name())));
        }
        self.text()
    }

    fn text(&mut self) -> Result<Vec<u8>, Mistake> {
        let before = self.rest;
        if let Some(text) = self.next(alt((quoted('"'), quoted('\''), bare))) {
            return Ok(text.as_bytes().to_vec());
        }
        self.rest = before;
        self.blanks();
        Err(self.mistake("expected a value"))
    }

    /// A value of the kind that the field holds.
    fn constant(&mut self, field: Field) -> Result<Constant, Mistake> {
        self.blanks();
        let here = self.mistake("");
        let bytes = self.text()?;
        let text = String::from_utf8_lossy(&bytes);
        let wrong = |expected: &str| Mistake {
            message: format!("{} is compared with {expected}", field.name()),
            ..here
        };
        match field.kind() {
            Kind::Text | Kind::Set => Ok(Constant::Text(bytes)),
            Kind::Number => number(&text, field)
                .map(Constant::Number)
                .ok_or_else(|| wrong("a whole number (durations also as 250ms, 1.5s, 2m; bytes as 4k, 1M)")),
            Kind::Time => text
                .parse::<jiff::Timestamp>()
                .ok()
                .and_then(|time| i64::try_from(time.as_nanosecond()).ok())
                .map(|ns| Constant::Time(Timestamp(ns).0))
                .ok_or_else(|| wrong("a time such as 2026-11-02T03:00:00Z")),
        }
    }
}

fn one_or(mut parts: Vec<Node>, of: fn(Vec<Node>) -> Node) -> Node {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            of(parts)
        }
        None => of(parts),
    }
}

fn word(text: &str) -> IResult<&str, &str> {
    take_while1(|c: char| c.is_ascii_alphanumeric() || c == '_').parse(text)
}

fn comparison(text: &str) -> IResult<&str, Comparison> {
    alt((
        value(Comparison::Unequal, tag("!=")),
        value(Comparison::AtMost, tag("<=")),
        value(Comparison::AtLeast, tag(">=")),
        value(Comparison::Equal, tag("==")),
        value(Comparison::Equal, tag("=")),
        value(Comparison::Less, tag("<")),
        value(Comparison::Greater, tag(">")),
    ))
    .parse(text)
}

/// Between two of a mark; the other mark may stand in it.
fn quoted<'t>(mark: char) -> impl Parser<&'t str, Output = &'t str, Error = nom::error::Error<&'t str>> {
    delimited(char(mark), take_till(move |c| c == mark), char(mark))
}

/// Without marks: up to a blank, a bracket, a comma or a mark.
fn bare(text: &str) -> IResult<&str, &str> {
    let (_, ()) = nom::combinator::not(one_of("()\"',")).parse(text)?;
    take_while1(|c: char| !c.is_whitespace() && !"()\"',".contains(c)).parse(text)
}

/// A whole number; with a unit of time in a field that counts milliseconds, with one of size in one that counts bytes.
fn number(text: &str, field: Field) -> Option<u64> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let units: &[(&str, u64)] = match field.name() {
        name if name.ends_with("_ms") => &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)],
        name if name.starts_with("bytes_") => &[("k", 1000), ("M", 1_000_000), ("Ki", 1024), ("Mi", 1 << 20)],
        _ => return None,
    };
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let whole: u64 = whole.parse().ok()?;
    let mut sum = whole.checked_mul(*factor)?;
    if !part.is_empty() {
        let tenths: u64 = part.get(..part.len().min(6))?.parse().ok()?;
        let scale = 10_u64.checked_pow(u32::try_from(part.len().min(6)).ok()?)?;
        sum = sum.checked_add(tenths.checked_mul(*factor)?.checked_div(scale)?)?;
    }
    Some(sum)
}
