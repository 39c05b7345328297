//! Conditions on records: `code>=500 and flags has UC and duration_ms>1000`.
//!
//! [`parse`] makes a [`Condition`] of a text once; [`Condition::holds`] asks a [`Record`] for the fields it needs and no
//! others. The language knows nothing of where records come from. `docs/query.md` describes it.

pub mod field;
mod parse;
#[cfg(test)]
mod tests;

pub use field::Field;
pub use parse::{Mistake, parse};

use regex::bytes::Regex;
use std::borrow::Cow;

/// What a record has in a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'r> {
    /// Nothing: `-` in a row.
    Missing,
    /// A number, in the unit that the field's name ends in.
    Number(u64),
    /// Bytes as they stand in the record.
    Text(Cow<'r, [u8]>),
    /// Tokens parted by commas.
    Set(Cow<'r, [u8]>),
    /// Nanoseconds since the epoch.
    Time(i64),
}

/// What conditions are put to.
pub trait Record {
    /// What it has in a field.
    fn value(&self, field: Field) -> Value<'_>;
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

impl Comparison {
    fn of(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

/// A condition on a record.
#[derive(Clone, Debug)]
pub struct Condition {
    /// As it was typed.
    text: String,
    root: Node,
}

#[derive(Clone, Debug)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Exists(Field),
    Number(Field, Comparison, u64),
    Time(Field, Comparison, i64),
    Text(Field, Comparison, Vec<u8>),
    OneOf(Field, Vec<Constant>),
    Contains(Field, Vec<u8>),
    StartsWith(Field, Vec<u8>),
    EndsWith(Field, Vec<u8>),
    Matches(Field, Regex),
    Has(Field, Vec<u8>),
}

/// A value that was typed.
#[derive(Clone, Debug, PartialEq)]
enum Constant {
    Number(u64),
    Time(i64),
    Text(Vec<u8>),
}

impl Condition {
    /// As it was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// True if the record meets it. A field that a record does not have meets `!=` and `not`, and nothing else.
    pub fn holds(&self, record: &impl Record) -> bool {
        self.root.holds(record)
    }
}

/// Conditions are the same if they were typed alike.
impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Node {
    /// The depth is bounded when it is parsed.
    fn holds(&self, record: &impl Record) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(record)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(record)),
            Self::Not(part) => !part.holds(record),
            Self::Exists(field) => record.value(*field) != Value::Missing,
            Self::Number(field, how, than) => match record.value(*field) {
                Value::Number(number) => how.of(number.cmp(than)),
                _ => *how == Comparison::Unequal,
            },
            Self::Time(field, how, than) => match record.value(*field) {
                Value::Time(time) => how.of(time.cmp(than)),
                _ => *how == Comparison::Unequal,
            },
            Self::Text(field, how, than) => match record.value(*field) {
                Value::Text(text) | Value::Set(text) => how.of(text.as_ref().cmp(than)),
                _ => *how == Comparison::Unequal,
            },
            Self::OneOf(field, constants) => {
                let value = record.value(*field);
                constants.iter().any(|constant| match (&value, constant) {
                    (Value::Number(number), Constant::Number(constant)) => number == constant,
                    (Value::Time(time), Constant::Time(constant)) => time == constant,
                    (Value::Text(text), Constant::Text(constant)) => text.as_ref() == constant,
                    (Value::Set(set), Constant::Text(constant)) => has(set, constant),
                    _ => false,
                })
            }
            Self::Contains(field, part) => bytes_meet(record, *field, |bytes| {
                memchr::memmem::find(bytes, part).is_some()
            }),
            Self::StartsWith(field, part) => bytes_meet(record, *field, |bytes| bytes.starts_with(part)),
            Self::EndsWith(field, part) => bytes_meet(record, *field, |bytes| bytes.ends_with(part)),
            Self::Matches(field, pattern) => bytes_meet(record, *field, |bytes| pattern.is_match(bytes)),
            Self::Has(field, token) => match record.value(*field) {
                Value::Set(set) => has(&set, token),
                Value::Text(text) => text.as_ref() == token,
                _ => false,
            },
        }
    }
}

fn bytes_meet(record: &impl Record, field: Field, test: impl Fn(&[u8]) -> bool) -> bool {
    match record.value(field) {
        Value::Text(bytes) | Value::Set(bytes) => test(&bytes),
        _ => false,
    }
}

fn has(set: &[u8], token: &[u8]) -> bool {
    set.split(|byte| *byte == b',')
        .any(|other| other.trim_ascii() == token)
}
