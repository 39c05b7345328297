//! Masks credentials and what people typed in the texts of a report: `data/secrets.toml`.
//!
//! Only what is shown is looked at, after it was gathered: nothing of this runs for each record.

use super::texts::{Content, Edit, Texts};
use crate::Error;
use aho_corasick::{AhoCorasick, MatchKind};
use regex::Regex;
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::OnceLock;

/// What stands in the place of a value.
pub const MASK: &str = "[secret]";

/// `data/secrets.toml`, as `build.rs` makes JSON of it.
const BUILT_IN: &str = include_str!(concat!(env!("OUT_DIR"), "/secrets.json"));

/// The table as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    secret: Vec<Entry>,
}

/// A sort of secret.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[cfg_attr(not(test), expect(dead_code, reason = "names a sort in tests"))]
    id: String,
    #[expect(dead_code, reason = "for readers of the table")]
    title: String,
    literals: Vec<String>,
    pattern: String,
    #[cfg_attr(not(test), expect(dead_code, reason = "examples are tests"))]
    masks: Vec<(String, String)>,
    #[cfg_attr(not(test), expect(dead_code, reason = "examples are tests"))]
    keeps: Vec<String>,
}

/// What finds secrets.
#[derive(Debug)]
pub struct Secrets {
    /// Finds texts that may hold one, and of which sort.
    literals: AhoCorasick,
    /// The sort of each literal.
    sorts: Vec<usize>,
    patterns: Vec<Pattern>,
}

/// What is masked of a text. It is compiled when the first text is suspected, which of most sorts none is.
#[derive(Debug)]
struct Pattern {
    text: String,
    /// `None` within if it is no pattern, which a test rules out: then nothing suspected is shown.
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    fn get(&self) -> Option<&Regex> {
        let compiled = self.compiled.get_or_init(|| Regex::new(&self.text).ok());
        compiled.as_ref()
    }
}

impl Secrets {
    /// The built-in table.
    ///
    /// # Errors
    /// [`Error::BuiltIn`] if it is broken, which a test rules out.
    pub fn built_in() -> Result<Self, Error> {
        let broken = |why: String| Error::BuiltIn(format!("data/secrets.toml: {why}"));
        let table: Table = serde_json::from_str(BUILT_IN).map_err(|error| broken(error.to_string()))?;
        let (mut words, mut sorts, mut patterns) = (Vec::new(), Vec::new(), Vec::new());
        for (sort, entry) in table.secret.into_iter().enumerate() {
            sorts.extend(entry.literals.iter().map(|_| sort));
            words.extend(entry.literals);
            patterns.push(Pattern {
                text: entry.pattern,
                compiled: OnceLock::new(),
            });
        }
        let literals = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .build(words)
            .map_err(|error| broken(error.to_string()))?;
        Ok(Self {
            literals,
            sorts,
            patterns,
        })
    }

    /// The text with its secrets masked, and how many there were.
    pub fn mask<'t>(&self, text: &'t str) -> (Cow<'t, str>, u64) {
        let mut suspected = vec![false; self.patterns.len()];
        for found in self.literals.find_overlapping_iter(text) {
            let sort = self.sorts.get(found.pattern().as_usize());
            if let Some(suspected) = sort.and_then(|sort| suspected.get_mut(*sort)) {
                *suspected = true;
            }
        }
        let (mut text, mut count) = (Cow::Borrowed(text), 0_u64);
        for (pattern, _) in self.patterns.iter().zip(suspected).filter(|(_, is)| *is) {
            let masked = match pattern.get() {
                Some(pattern) => masked(pattern, &text),
                None => Some((MASK.to_owned(), 1)),
            };
            if let Some((masked, found)) = masked {
                text = Cow::Owned(masked);
                count = count.saturating_add(found);
            }
        }
        (text, count)
    }

    /// Masks the secrets in all texts of a document that come from inputs, and says how many there were.
    pub fn mask_all(&self, document: &mut impl Texts) -> u64 {
        let mut masking = Masking {
            secrets: self,
            keys: KeyLines::default(),
            count: 0,
        };
        document.edit(&mut masking);
        masking.count
    }
}

/// Masks texts of a document, one after the other.
struct Masking<'s> {
    secrets: &'s Secrets,
    keys: KeyLines,
    count: u64,
}

impl Edit for Masking<'_> {
    fn text(&mut self, content: Content, text: &mut String) {
        let (masked, found) = match content {
            // Commands, and names by which files are found again.
            Content::Advice | Content::Path => return,
            Content::Line => self.keys.mask(self.secrets, text),
            _ => self.secrets.mask(text),
        };
        if let Cow::Owned(masked) = masked {
            *text = masked;
            self.count = self.count.saturating_add(found);
        }
    }
}

/// Bytes of a line of base64, as private keys are written (RFC 7468, section 3) and MIME is.
const BASE64_LINE_BYTES: [usize; 2] = [64, 76];

/// Masks lines that follow each other: a private key is several of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyLines {
    inside: bool,
}

impl KeyLines {
    /// The next line, masked, and how many secrets were in it.
    pub fn mask<'t>(&mut self, secrets: &Secrets, line: &'t str) -> (Cow<'t, str>, u64) {
        let begins = line.contains("-----BEGIN") && line.contains("PRIVATE KEY-----");
        let ends = line.contains("-----END");
        let last = line.split_ascii_whitespace().next_back().unwrap_or_default();
        // Whoever looks at lines in the middle of a key sees no beginning.
        let body = is_base64_line(last);
        let goes_on = self.inside && is_base64(last);
        self.inside = !ends && (begins || body || goes_on);
        if ends || !(body || goes_on) {
            return secrets.mask(line);
        }
        let masked = line
            .trim_ascii_end()
            .strip_suffix(last)
            .map_or_else(|| MASK.to_owned(), |before| format!("{before}{MASK}"));
        (Cow::Owned(masked), 1)
    }
}

fn is_base64(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
}

fn is_base64_line(text: &str) -> bool {
    BASE64_LINE_BYTES.contains(&text.len())
        && is_base64(text)
        && text.bytes().any(|byte| byte.is_ascii_uppercase())
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
        && text.bytes().any(|byte| byte.is_ascii_digit())
}

/// The text with all that the pattern calls a secret masked; nothing if there is none.
fn masked(pattern: &Regex, text: &str) -> Option<(String, u64)> {
    let (mut out, mut copied, mut count) = (String::new(), 0, 0_u64);
    for found in pattern.captures_iter(text) {
        let Some(secret) = found.name("secret").filter(|secret| secret.as_str() != MASK) else {
            continue;
        };
        out.push_str(text.get(copied..secret.start()).unwrap_or_default());
        out.push_str(MASK);
        copied = secret.end();
        count = count.saturating_add(1);
    }
    if count == 0 {
        return None;
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Some((out, count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Report;
    use crate::report::fixtures;
    use crate::report::text::{TextStyle, render};
    use crate::report::{html, json, markdown};
    use proptest::prelude::*;

    fn table() -> Table {
        serde_json::from_str(BUILT_IN).unwrap()
    }

    #[test]
    fn every_pattern_has_a_group_named_secret() {
        for entry in table().secret {
            let pattern = Regex::new(&entry.pattern).unwrap();
            assert!(
                pattern.capture_names().flatten().any(|name| name == "secret"),
                "{}",
                entry.id
            );
        }
    }

    #[test]
    fn every_entry_masks_its_examples_and_keeps_the_others() {
        let secrets = Secrets::built_in().unwrap();
        for entry in table().secret {
            assert!(!entry.masks.is_empty() && !entry.keeps.is_empty(), "{}", entry.id);
            for (before, after) in entry.masks {
                let (masked, count) = secrets.mask(&before);
                assert_eq!(masked, after, "{}", entry.id);
                assert!(count > 0);
                assert_eq!(
                    secrets.mask(&after),
                    (Cow::Borrowed(after.as_str()), 0),
                    "masked once"
                );
            }
            for text in entry.keeps {
                assert_eq!(
                    secrets.mask(&text),
                    (Cow::Borrowed(text.as_str()), 0),
                    "{}",
                    entry.id
                );
            }
        }
    }

    /// Puts a text wherever one of an input may stand.
    struct Everywhere(&'static str);

    impl Edit for Everywhere {
        fn text(&mut self, content: Content, text: &mut String) {
            if !matches!(content, Content::Advice | Content::Path) {
                self.0.clone_into(text);
            }
        }
    }

    fn with_everywhere(mut report: Report, text: &'static str) -> Report {
        report.edit(&mut Everywhere(text));
        report
    }

    #[test]
    fn no_renderer_shows_what_was_masked() {
        let secrets = Secrets::built_in().unwrap();
        let mut report = with_everywhere(
            fixtures::with_text_everywhere("x"),
            "GET /pay?card=4111 password=hunter2",
        );
        assert!(secrets.mask_all(&mut report) > 50);
        let mut data = Vec::new();
        json::render(&report, &mut data).unwrap();
        for shown in [
            String::from_utf8(data).unwrap(),
            render(&report, &TextStyle::default()),
            markdown::render(&report),
            html::render(&report),
        ] {
            for value in ["hunter2", "4111"] {
                let found = shown
                    .find(value)
                    .map(|at| shown.get(at.saturating_sub(200)..at + 9));
                assert_eq!(found, None, "{value}");
            }
            assert!(shown.contains("secret"));
        }
    }

    #[test]
    fn a_capture_has_texts_too() {
        let secrets = Secrets::built_in().unwrap();
        let mut report = with_everywhere(fixtures::captured(), "password=hunter2");
        assert!(secrets.mask_all(&mut report) > 5);
        let mut data = Vec::new();
        json::render(&report, &mut data).unwrap();
        assert!(!String::from_utf8(data).unwrap().contains("hunter2"));
    }

    proptest! {
        #[test]
        fn any_text_is_masked_once_and_for_all(text in ".{0,200}") {
            let secrets = Secrets::built_in().unwrap();
            let (once, _) = secrets.mask(&text);
            let (twice, _) = secrets.mask(&once);
            prop_assert!(twice.len() <= once.len() + MASK.len() * 8);
        }

        #[test]
        fn a_value_of_a_query_never_stays(name in "[a-z_]{1,12}", value in "[A-Za-z0-9%._~-]{3,40}") {
            let secrets = Secrets::built_in().unwrap();
            let text = format!("GET /a/b?x=1&{name}={value} HTTP/1.1");
            let (masked, _) = secrets.mask(&text);
            let rest = masked.replace(&name, "").replace(MASK, "").replace("GET /a/b?x=", "").replace("HTTP/1.1", "");
            prop_assert!(!rest.contains(&value), "{masked}");
        }
    }
}
