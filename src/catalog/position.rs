//! From a mistake in a TOML file to its line and column.

use crate::Error;
use std::ops::Range;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// Something wrong in an otherwise well-formed file: where, as a path of keys and indexes, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) path: Vec<Step>,
    pub(super) message: String,
}

/// One step down a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(&'static str),
    Index(usize),
}

impl Mistake {
    /// As an error about `path`, whose text is `text`.
    pub(super) fn into_error(self, path: &Path, text: &str) -> Error {
        let span = DeTable::parse(text)
            .ok()
            .and_then(|table| span_of(table.get_ref(), &self.path));
        error_at(path, text, span.map_or(0, |span| span.start), self.message)
    }
}

/// An error of the TOML reader about `path`, whose text is `text`.
pub(super) fn toml_error(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    let at = error.span().map_or(0, |span| span.start);
    error_at(path, text, at, error.message().replace('\n', ", "))
}

fn error_at(path: &Path, text: &str, offset_bytes: usize, message: String) -> Error {
    let (line, column) = line_and_column(text, offset_bytes);
    Error::Catalog {
        path: path.to_owned(),
        line,
        column,
        message,
    }
}

/// Line and column from 1; a column is a character.
fn line_and_column(text: &str, offset_bytes: usize) -> (usize, usize) {
    let before = text.as_bytes().get(..offset_bytes).unwrap_or(text.as_bytes());
    let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
    let in_line = before.get(line_start..).unwrap_or_default();
    let characters = in_line.iter().filter(|byte| (**byte & 0xc0) != 0x80).count();
    (memchr::memchr_iter(b'\n', before).count() + 1, characters + 1)
}

/// Where the value at `path` stands; where a step is missing (a field left out), the value that lacks it.
fn span_of(table: &DeTable<'_>, path: &[Step]) -> Option<Range<usize>> {
    let mut steps = path.iter();
    let Some(Step::Key(first)) = steps.next() else {
        return None;
    };
    let mut value = table.get(*first)?;
    let mut span = value.span();
    for step in steps {
        let inner = match (step, value.get_ref()) {
            (Step::Key(key), DeValue::Table(table)) => table.get(*key),
            (Step::Index(at), DeValue::Array(array)) => array.get(*at),
            _ => None,
        };
        let Some(inner) = inner else { break };
        value = inner;
        span = value.span();
    }
    Some(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a = 1\n\n[[entry]]\nid = \"x\"\nlist = [\"ä\", \"b\"]\n[[entry]]\nid = \"y\"\n";

    fn place(path: &[Step]) -> (usize, usize) {
        let mistake = Mistake {
            path: path.to_vec(),
            message: "wrong".to_owned(),
        };
        match mistake.into_error(Path::new("f.toml"), TEXT) {
            Error::Catalog { line, column, .. } => (line, column),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn places_of_values() {
        use Step::{Index, Key};
        let cases: [(&[Step], (usize, usize)); 6] = [
            (&[Key("a")], (1, 5)),
            (&[Key("entry"), Index(0), Key("id")], (4, 6)),
            (&[Key("entry"), Index(0), Key("list"), Index(0)], (5, 9)),
            (&[Key("entry"), Index(0), Key("list"), Index(1)], (5, 14)),
            (&[Key("entry"), Index(1), Key("id")], (7, 6)),
            (&[Key("entry"), Index(1), Key("missing")], (6, 1)),
        ];
        for (path, expected) in cases {
            assert_eq!(place(path), expected, "{path:?}");
        }
    }
}
