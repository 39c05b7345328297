//! The report as JSON: one object over several lines, with a final newline.
//!
//! The strings are the model's own; characters that act on a terminal are written as `\uXXXX`, which means
//! the same to a JSON reader and nothing to a terminal (RFC 8259, section 7).

use super::escape::acts;
use super::model::Report;
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};
use std::io::{self, Write};

/// Writes `report` to `writer`.
///
/// # Errors
/// What `writer` reports.
pub fn render(report: &Report, writer: &mut dyn Write) -> io::Result<()> {
    write_document(report, writer)
}

/// Writes any document the way [`render`] writes a report.
///
/// # Errors
/// What `writer` reports, and `InvalidData` for a document that has no JSON form.
pub fn write_document<T: Serialize>(document: &T, writer: &mut dyn Write) -> io::Result<()> {
    let mut gathered = Gathered {
        bytes: Vec::with_capacity(GATHERED_BYTES),
        writer,
    };
    let mut serializer = serde_json::Serializer::with_formatter(&mut gathered, Quiet(PrettyFormatter::new()));
    document.serialize(&mut serializer)?;
    gathered.bytes.push(b'\n');
    gathered.hand_on()
}

/// Bytes that are written at once.
const GATHERED_BYTES: usize = 64 << 10;

/// A document is written as a million pieces of some bytes each: gathered here, they do not go through `dyn Write`
/// one by one, which took a third of the time.
struct Gathered<'w> {
    bytes: Vec<u8>,
    writer: &'w mut dyn Write,
}

impl Gathered<'_> {
    #[cold]
    fn hand_on(&mut self) -> io::Result<()> {
        self.writer.write_all(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }
}

impl Write for Gathered<'_> {
    #[inline]
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.write_all(piece)?;
        Ok(piece.len())
    }

    #[inline]
    fn write_all(&mut self, piece: &[u8]) -> io::Result<()> {
        if self.bytes.len() + piece.len() > GATHERED_BYTES {
            self.hand_on()?;
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hand_on()?;
        self.writer.flush()
    }
}

/// The pretty layout, with what acts on a terminal escaped.
struct Quiet(PrettyFormatter<'static>);

impl Formatter for Quiet {
    fn begin_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }

    fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        // Nearly all text is this, and it is told many bytes at a time.
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return writer.write_all(text.as_bytes());
        }
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|&(_, c)| acts(c)) {
            let (shown, tail) = rest.split_at(at);
            writer.write_all(shown.as_bytes())?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = tail.strip_prefix(c).unwrap_or_default();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures;
    use proptest::prelude::*;

    fn written<T: Serialize>(document: &T) -> String {
        let mut bytes = Vec::new();
        write_document(document, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn one_object_that_ends_in_a_newline() {
        let mut bytes = Vec::new();
        render(&fixtures::refused(), &mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.starts_with("{\n  \"schema\": \"postmesh.report/1\",\n"),
            "{text}"
        );
        assert!(text.ends_with("}\n"));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["findings"][0]["cause"], "upstream-connection-refused");
        assert_eq!(value["verdict"]["state"], "cause-found");
    }

    #[test]
    fn numbers_are_printed_shortest() {
        assert_eq!(
            written(&[0.1, 2.0, 1e-7, 13.5]),
            "[\n  0.1,\n  2.0,\n  1e-7,\n  13.5\n]\n"
        );
    }

    #[test]
    fn hostile_text_is_escaped_and_kept() {
        let hostile = "\x1b[31m \u{9b}1m \u{202e}abc \u{e0041} \x7f ü 😀";
        let text = written(&hostile);
        assert_eq!(
            text,
            "\"\\u001b[31m \\u009b1m \\u202eabc \\udb40\\udc41 \\u007f ü 😀\"\n"
        );
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), hostile);
    }

    proptest! {
        #[test]
        fn any_text_survives_and_none_acts(text in any::<String>()) {
            let json = written(&text);
            prop_assert!(!json.trim_end().chars().any(acts));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
