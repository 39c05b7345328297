//! A text with operators in it, and how the values are read off a row.

use super::super::access_json::{Fields, Key};
use super::super::json::Value;
use super::super::time::{MinuteCache, TimePrefix};
use super::LayoutError;
use super::operator::{Operator, Shape, is_number, is_word, operator, time_of};
use crate::units::Timestamp;
use memchr::{memchr_iter, memchr2};

/// Operators and texts between them in one format string.
const MAX_PIECES: usize = 256;

/// How often the ends of a row's texts are guessed before it is taken for no row of this layout: texts may hold what ends them.
const MAX_GUESSES: u32 = 256;

/// How many places at which a text may end are looked at for a row, all guesses together.
const MAX_LOOKS: u32 = 1 << 14;

/// Longest text that is tried: headers of a request have 60 KiB at most (Envoy, `max_request_headers_kb`).
const MAX_ROW_BYTES: usize = 256 << 10;

/// A text with operators in it.
#[derive(Clone, Debug)]
pub(in super::super) struct Template {
    pub(super) pieces: Vec<Piece>,
}

/// A part of it.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// What stands in each row.
    Literal(Vec<u8>),
    /// What an operator prints.
    Value(Operator),
}

impl Template {
    pub(super) fn compile(format: &str) -> Result<Self, LayoutError> {
        if let Some(at) = format.find('\n') {
            let what = "a row of several lines cannot be told from others";
            return Err(LayoutError { at, what });
        }
        Self::parse(format)?.checked()
    }

    pub(super) fn parse(format: &str) -> Result<Self, LayoutError> {
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
    pub(super) fn checked(self) -> Result<Self, LayoutError> {
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

    pub(super) fn is_used(&self) -> bool {
        self.pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Value(operator) if operator.key != Key::Unused))
    }

    /// Puts the values of `text` into `fields`, and a time of the user's own form into `start`, if it is of this form.
    pub(super) fn read<'block>(
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
            looks: MAX_LOOKS,
            start,
        };
        reader.read(&self.pieces, text, fields)
    }

    /// Puts what a text that is a part of a row holds into `fields`; gives a time of the user's own form, and one bit for each
    /// key. What is not of this form says nothing.
    pub(in super::super) fn part<'block>(
        &self,
        text: &'block [u8],
        minutes: &mut MinuteCache,
        fields: &mut Fields<'block>,
    ) -> (Option<Timestamp>, u32) {
        let (mut own, mut start) = (*fields, None);
        if !self.read(text, minutes, &mut own, &mut start) {
            return (None, 0);
        }
        *fields = own;
        let keys = self.pieces.iter().fold(0_u32, |keys, piece| match piece {
            Piece::Value(operator) => keys | 1_u32.wrapping_shl(operator.key as u32),
            Piece::Literal(_) => keys,
        });
        (start, keys)
    }
}

struct Reader<'m> {
    minutes: &'m mut MinuteCache,
    guesses: u32,
    looks: u32,
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
            let Some(looks) = self.looks.checked_sub(1) else {
                return false;
            };
            self.looks = looks;
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
                let whole = |time: TimePrefix| time.len == value.len();
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
