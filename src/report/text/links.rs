//! Names of inputs as links that a terminal opens: OSC 8, <https://gist.github.com/egmontkob/eb114294efbcd5adb1944c9f3cb5feda>.
//!
//! Links are put around what is already escaped and measured, so that they change neither the text nor its width. A target is made of
//! percent-encoded bytes only (RFC 3986, section 2.1): no name of a file can end the sequence.

use super::TextStyle;
use crate::report::escape::{Charset, escape};
use aho_corasick::{AhoCorasick, MatchKind};
use std::fmt::Write as _;
use std::path::Path;

/// The most inputs that are linked.
const LINKS_MAX: usize = 4096;

/// Inputs by name, and where they lie.
#[derive(Clone, Debug)]
pub struct Links {
    finder: AhoCorasick,
    targets: Vec<String>,
}

impl Links {
    /// Links of inputs, given as the name that reports print and the absolute path of the file; none if there is nothing to link.
    pub fn new<'n>(inputs: impl IntoIterator<Item = (&'n str, &'n Path)>, style: &TextStyle) -> Option<Self> {
        let charset = if style.unicode {
            Charset::Unicode
        } else {
            Charset::Ascii
        };
        let (mut names, mut targets) = (Vec::new(), Vec::new());
        for (name, path) in inputs.into_iter().take(LINKS_MAX) {
            if !name.is_empty() && path.is_absolute() {
                names.push(escape(name, charset).into_owned());
                targets.push(target(path));
            }
        }
        if names.is_empty() {
            return None;
        }
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&names)
            .ok()?;
        Some(Self { finder, targets })
    }

    /// Writes `text` with its links.
    pub(super) fn write(&self, text: &str, out: &mut String) {
        let mut written = 0_usize;
        for found in self.finder.find_iter(text) {
            let end = place_end(text, found.end());
            let (Some(before), Some(shown), Some(target)) = (
                text.get(written..found.start()),
                text.get(found.start()..end),
                self.targets.get(found.pattern().as_usize()),
            ) else {
                continue;
            };
            if !is_whole(text, found.start(), found.end()) {
                continue;
            }
            out.push_str(before);
            // Writing to a String cannot fail.
            let _ = write!(out, "\u{1b}]8;;{target}\u{1b}\\{shown}\u{1b}]8;;\u{1b}\\");
            written = end;
        }
        out.push_str(text.get(written..).unwrap_or_default());
    }
}

/// `file:///home/me/incident/web-1.log`; a host is left out, since files are here.
fn target(path: &Path) -> String {
    let mut target = String::from("file://");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                target.push(char::from(*byte));
            }
            _ => {
                let _ = write!(target, "%{byte:02X}");
            }
        }
    }
    target
}

/// False if what stands around a name makes it a part of another: `web.log` in `old-web.log` or `web.log.gz`.
fn is_whole(text: &str, start: usize, end: usize) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '/' | '.');
    let before = text.get(..start).and_then(|before| before.chars().next_back());
    let mut after = text.get(end..).unwrap_or_default().chars();
    let next = after.next();
    let goes_on = match next {
        Some('.') => after.next().is_some_and(char::is_alphanumeric),
        Some(next) => in_name(next),
        None => false,
    };
    !before.is_some_and(in_name) && !goes_on
}

/// Where a place ends whose name ends at `end`: after `:20411`, or ` frame 88123`.
fn place_end(text: &str, end: usize) -> usize {
    let rest = text.get(end..).unwrap_or_default();
    for mark in [":", " frame "] {
        if let Some(number) = rest.strip_prefix(mark) {
            let digits = number.bytes().take_while(u8::is_ascii_digit).count();
            if digits > 0 {
                return end.saturating_add(mark.len()).saturating_add(digits);
            }
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linked(text: &str) -> String {
        let style = TextStyle::default();
        let inputs = [
            ("web.log", Path::new("/tmp/a b/web.log")),
            ("x/web.log", Path::new("/tmp/x/web.log")),
            ("web.pcap", Path::new("/tmp/\u{1b}]8;;/web.pcap")),
        ];
        let mut out = String::new();
        Links::new(inputs, &style).unwrap().write(text, &mut out);
        out.replace("\u{1b}]8;;\u{1b}\\", ">")
            .replace("\u{1b}]8;;", "<")
            .replace("\u{1b}\\", "|")
    }

    #[test]
    fn places_are_linked_whole_and_parts_of_other_names_are_not() {
        for (text, expected) in [
            ("web.log:12  15", "<file:///tmp/a%20b/web.log|web.log:12>  15"),
            ("see x/web.log.", "see <file:///tmp/x/web.log|x/web.log>."),
            ("(web.log:3)", "(<file:///tmp/a%20b/web.log|web.log:3>)"),
            (
                "old-web.log web.log.gz y/web.log",
                "old-web.log web.log.gz y/web.log",
            ),
            ("web.log: said", "<file:///tmp/a%20b/web.log|web.log>: said"),
            (
                "web.pcap frame 7, web.log",
                "<file:///tmp/%1B%5D8%3B%3B/web.pcap|web.pcap frame 7>, <file:///tmp/a%20b/web.log|web.log>",
            ),
            ("nothing", "nothing"),
        ] {
            assert_eq!(linked(text), expected);
        }
    }

    #[test]
    fn there_are_no_links_without_a_place() {
        let style = TextStyle::default();
        assert!(Links::new([], &style).is_none());
        assert!(Links::new([("-", Path::new("-"))], &style).is_none());
    }
}
