//! The conditions that a literal's occurrence must also meet.

use crate::catalog::{AccessField, ByteClass, LogLevel, Signature, SignatureSource};
use crate::decode::log::Level;
use memchr::memmem::Finder;

/// A text to be searched, and where it stood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'text> {
    pub(super) bytes: &'text [u8],
    level: Option<Level>,
    field: Option<AccessField>,
}

impl<'text> Text<'text> {
    /// A field of an access-log row.
    pub(super) fn field(bytes: &'text [u8], field: AccessField) -> Self {
        Self {
            bytes,
            level: None,
            field: Some(field),
        }
    }

    /// A line or message.
    pub(super) fn line(bytes: &'text [u8], level: Option<Level>) -> Self {
        Self {
            bytes,
            level,
            field: None,
        }
    }
}

/// The conditions of one signature, made ready for many texts.
#[derive(Debug)]
pub(super) struct Conditions {
    also: Vec<Finder<'static>>,
    not: Vec<Finder<'static>>,
    next_not: Option<ByteClass>,
    whole: bool,
    /// Bit `n` stands for the level `n`; 0 asks for none.
    levels: u8,
    field: AccessField,
    /// The application's words, which give way to the proxy's.
    pub(super) gives_way: bool,
}

impl Conditions {
    pub(super) fn new(signature: &Signature) -> Self {
        Self {
            also: finders(&signature.also),
            not: finders(&signature.not),
            next_not: signature.next_not,
            whole: signature.whole,
            levels: signature
                .levels
                .iter()
                .fold(0, |mask, level| mask | level_bit(*level)),
            field: signature.field,
            gives_way: signature.source == SignatureSource::App,
        }
    }

    /// Whether an occurrence of a literal at `start..end` of the text is a hit.
    pub(super) fn hold(&self, text: Text<'_>, start: usize, end: usize) -> bool {
        self.place(text)
            && self.level(text.level)
            && (!self.whole || (start == 0 && end == text.bytes.len()))
            && self.next(text.bytes.get(end))
            && (self.also.is_empty() || occurs(&self.also, text.bytes))
            && !occurs(&self.not, text.bytes)
    }

    fn place(&self, text: Text<'_>) -> bool {
        match text.field {
            None => true,
            Some(AccessField::Cluster) => self.field == AccessField::Cluster,
            Some(field) => self.field == field || self.field == AccessField::Any,
        }
    }

    fn level(&self, level: Option<Level>) -> bool {
        self.levels == 0 || level.is_some_and(|level| self.levels & (1 << level as u8) != 0)
    }

    fn next(&self, next: Option<&u8>) -> bool {
        match (self.next_not, next) {
            (Some(class), Some(byte)) => !class.holds(*byte),
            _ => true,
        }
    }
}

fn finders(needles: &[String]) -> Vec<Finder<'static>> {
    needles
        .iter()
        .map(|needle| Finder::new(needle).into_owned())
        .collect()
}

fn occurs(finders: &[Finder<'static>], text: &[u8]) -> bool {
    finders.iter().any(|finder| finder.find(text).is_some())
}

fn level_bit(level: LogLevel) -> u8 {
    let of_line = match level {
        LogLevel::Trace => Level::Trace,
        LogLevel::Debug => Level::Debug,
        LogLevel::Info => Level::Info,
        LogLevel::Warning => Level::Warning,
        LogLevel::Error => Level::Error,
        LogLevel::Critical => Level::Critical,
    };
    1 << of_line as u8
}
