//! Text out of logs made fit to be shown: nothing in it can move a cursor, hide, or reverse what follows.
//!
//! Who writes a request header decides what stands in an access log, so every byte of it is hostile. Shown
//! as it is stays what is visible and takes the room it seems to take; the rest is shown as `\x1b` or
//! `\u{202e}`. Backslashes stay as they are: escaping twice is escaping once, and paths stay readable.

use std::borrow::Cow;
use std::fmt::Write;
use unicode_width::UnicodeWidthChar;

/// Which characters the place of showing has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// Everything visible.
    Unicode,
    /// Printable ASCII; drawing characters and typographic signs have stand-ins, the rest is escaped.
    Ascii,
}

/// Characters that act on their surroundings instead of showing: soft hyphen, Arabic letter mark, zero-width
/// characters, direction marks, line and paragraph separators, embeddings and overrides (U+202A..E), isolates
/// (U+2066..9), byte order mark, interlinear annotation, tags. Unicode Technical Report 36, section 3.
const ACTING: [(char, char); 10] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{fff9}', '\u{fffb}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Whether `c` acts on a terminal or on the text around it: control characters (C0, DEL, C1), direction
/// marks and overrides, zero-width characters.
pub fn acts(c: char) -> bool {
    c.is_control() || (!c.is_ascii() && ACTING.iter().any(|&(first, last)| (first..=last).contains(&c)))
}

/// `text` with every character that acts, or takes no room of its own, shown as an escape. Idempotent.
pub fn escape(text: &str, charset: Charset) -> Cow<'_, str> {
    if text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        push_escaped(&mut shown, c, charset);
    }
    Cow::Owned(shown)
}

/// Bytes of a log as text: what is UTF-8 through [`escape`], each other byte as `\xNN`.
pub fn escape_bytes(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        shown.push_str(&escape(chunk.valid(), Charset::Unicode));
        for byte in chunk.invalid() {
            push_hex(&mut shown, u32::from(*byte));
        }
    }
    shown
}

fn push_escaped(shown: &mut String, c: char, charset: Charset) {
    match c {
        ' '..='~' => shown.push(c),
        '\n' => shown.push_str("\\n"),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        '\0'..='\u{9f}' => push_hex(shown, u32::from(c)),
        _ if acts(c) || c.width().unwrap_or(0) == 0 => push_code_point(shown, c),
        _ if charset == Charset::Unicode => shown.push(c),
        _ => match ascii_for(c) {
            Some(stand_in) => shown.push_str(stand_in),
            None => push_code_point(shown, c),
        },
    }
}

fn push_hex(shown: &mut String, value: u32) {
    // Writing to a String cannot fail.
    let _ = write!(shown, "\\x{value:02x}");
}

fn push_code_point(shown: &mut String, c: char) {
    let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
}

/// ASCII stand-ins of the signs that reports are written and drawn with.
const STAND_INS: [(&str, &str); 19] = [
    ("…", "..."),
    ("→", "->"),
    ("–—▃", "-"),
    ("×", "x"),
    ("≤", "<="),
    ("≥", ">="),
    ("§", "section "),
    ("µμ", "u"),
    ("†▅", "+"),
    ("▲", "^"),
    ("‘’", "'"),
    ("“”", "\""),
    ("\u{a0}\u{2009}\u{202f}", " "),
    ("·", "."),
    ("▁▂", ":"),
    ("▄", "="),
    ("▆", "*"),
    ("▇█▉▊▋▌", "#"),
    ("▍▎▏", "|"),
];

fn ascii_for(c: char) -> Option<&'static str> {
    STAND_INS
        .iter()
        .find(|(signs, _)| signs.contains(c))
        .map(|&(_, stand_in)| stand_in)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_acts_is_shown() {
        for (text, shown) in [
            ("plain /a?b=\"c\" \\x41", "plain /a?b=\"c\" \\x41"),
            ("a\x1b[2Jb", "a\\x1b[2Jb"),
            ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            ("one\ntwo\r\n\tthree", "one\\ntwo\\r\\n\\tthree"),
            ("nul\0 del\x7f c1\u{9b}2J", "nul\\x00 del\\x7f c1\\x9b2J"),
            ("\u{202e}gnp.exe", "\\u{202e}gnp.exe"),
            (
                "\u{2066}x\u{2069}\u{200e}\u{200f}\u{61c}",
                "\\u{2066}x\\u{2069}\\u{200e}\\u{200f}\\u{61c}",
            ),
            (
                "pay\u{200b}pal\u{feff}\u{2060}",
                "pay\\u{200b}pal\\u{feff}\\u{2060}",
            ),
            ("e\u{301}", "e\\u{301}"),
            ("line\u{2028}separator", "line\\u{2028}separator"),
            ("zürich → 東京 …", "zürich → 東京 …"),
        ] {
            assert_eq!(escape(text, Charset::Unicode), shown);
        }
    }

    #[test]
    fn ascii_has_stand_ins() {
        assert_eq!(
            escape("a → b – 5 × … ü", Charset::Ascii),
            "a -> b - 5 x ... \\u{fc}"
        );
    }

    #[test]
    fn bytes_that_are_not_utf8() {
        assert_eq!(
            escape_bytes(b"ok \xff\xfe \xc3\xa9 \x1b[0m"),
            "ok \\xff\\xfe é \\x1b[0m"
        );
        assert_eq!(escape_bytes(&[0xe2, 0x80]), "\\xe2\\x80", "a character cut off");
    }

    proptest! {
        #[test]
        fn nothing_acts_afterwards(text in any::<String>()) {
            let shown = escape(&text, Charset::Unicode).into_owned();
            prop_assert!(!shown.chars().any(|c| acts(c) || c.width().unwrap_or(0) == 0));
            prop_assert_eq!(escape(&shown, Charset::Unicode), shown.as_str());
            prop_assert!(escape(&text, Charset::Ascii).bytes().all(|b| (b' '..=b'~').contains(&b)));
        }
    }
}
