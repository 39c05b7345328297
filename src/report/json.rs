//! The report as JSON: one object over several lines, with a final newline.
//!
//! The strings are the model's own; characters that act on a terminal are written as escapes (`\u` and four hexadecimal
//! digits), which mean the same to a JSON reader and nothing to a terminal (RFC 8259, section 7).

use super::escape::acts;
use super::model::Report;
use serde::Serialize;
use serde_json::ser::Formatter;
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
    let mut serializer = serde_json::Serializer::with_formatter(&mut gathered, Quiet::default());
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

/// The layout of `serde_json`'s pretty formatter (which writes each two blanks of a line's start by themselves), with
/// what acts on a terminal escaped.
#[derive(Default)]
struct Quiet {
    depth: usize,
    has_value: bool,
}

/// A comma, the end of a line and the blanks that deep nesting begins one with.
const LINE_START: &[u8; 66] = b",\n                                                                ";

impl Quiet {
    /// Begins a line, after a comma unless it is the first one.
    #[inline]
    fn begin_line<W: Write + ?Sized>(&self, writer: &mut W, first: bool) -> io::Result<()> {
        let (start, mut blanks) = (usize::from(first), self.depth * 2);
        let end = LINE_START.len().min(2 + blanks);
        writer.write_all(LINE_START.get(start..end).unwrap_or_default())?;
        blanks -= end - 2;
        (0..blanks).try_for_each(|_| writer.write_all(b" "))
    }

    fn begin<W: Write + ?Sized>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.has_value = false;
        writer.write_all(bracket)
    }

    fn end<W: Write + ?Sized>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth = self.depth.saturating_sub(1);
        if self.has_value {
            self.begin_line(writer, true)?;
        }
        writer.write_all(bracket)
    }
}

impl Formatter for Quiet {
    fn begin_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, b"[")
    }

    fn end_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"]")
    }

    #[inline]
    fn begin_array_value<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.begin_line(writer, first)
    }

    #[inline]
    fn end_array_value<W: Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }

    fn begin_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, b"{")
    }

    fn end_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"}")
    }

    #[inline]
    fn begin_object_key<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.begin_line(writer, first)
    }

    #[inline]
    fn begin_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    #[inline]
    fn end_object_value<W: Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
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

    #[test]
    fn the_layout_is_that_of_serde_json() {
        let mut nested =
            serde_json::json!({"empty": [], "none": {}, "list": [1, [2.5, {}], {"a": null}], "b": true});
        for _ in 0..40 {
            nested = serde_json::json!({"deeper": [nested, 1]});
        }
        let expected = serde_json::to_string_pretty(&nested).unwrap();
        assert_eq!(written(&nested), format!("{expected}\n"));
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
