//! Documents of log entries: what the programs and pages of log stores save as one JSON document, an object for each line in an array
//! (`gcloud logging read --format=json`, `aws logs get-log-events`, a search of Elasticsearch), or rows and entries that were printed over
//! several lines (`jq .`).

use super::json::{Members, skip_nested, string};
use super::wrapper::{Unwrapped, peel};
use super::{LineAt, LineSink, LogDecoder, Wrapper};
use crate::decode::log::Line;
use crate::decode::log::time::MinuteCache;

/// Objects in each other that are looked at for being an entry.
const MAX_TRIED: usize = 6;

/// Nesting past this is taken for damage.
const MAX_DEPTH: usize = 64;

/// The head of a document in which the first entry must end, for it to be one of these.
const HEAD_BYTES: usize = 64 << 10;

/// Whether a JSON document is one of log entries.
pub fn holds_entries(document: &[u8]) -> bool {
    let head = document.get(..HEAD_BYTES).unwrap_or(document);
    Entries::new(head).next().is_some()
}

/// Whether the head of a text is that of a document with log entries in an array; where each line is an object of its own it is none.
pub(in crate::decode) fn begins_array_of_entries(head: &[u8]) -> bool {
    let mut entries = Entries::new(head);
    entries.next().is_some() && !entries.open.is_empty()
}

/// What was opened and not closed.
#[derive(Clone, Copy, Debug)]
enum Level {
    Object,
    /// If one of its objects is an entry, all are.
    Array {
        of_entries: bool,
    },
}

/// An object that is an entry.
#[derive(Clone, Copy, Debug)]
struct Entry<'document> {
    offset: usize,
    /// Line breaks before it.
    line: u32,
    text: &'document [u8],
}

/// Steps through the entries of a document.
#[derive(Debug)]
struct Entries<'document> {
    document: &'document [u8],
    at: usize,
    /// Up to where line breaks were counted, and how many there are.
    counted: (usize, u32),
    open: Vec<Level>,
    /// Where the last entry ends.
    read: usize,
}

impl<'document> Entries<'document> {
    fn new(document: &'document [u8]) -> Self {
        Self {
            document,
            at: 0,
            counted: (0, 0),
            open: Vec::new(),
            read: 0,
        }
    }

    /// The length of the object that begins here, if it is an entry; one that is cut off is none.
    fn entry(&self, text: &[u8]) -> Option<usize> {
        let rest = skip_nested(text).ok()?;
        let len = text.len().saturating_sub(rest.len());
        let of_entries = matches!(self.open.last(), Some(Level::Array { of_entries: true }));
        (of_entries || is_entry(text.get(..len)?)).then_some(len)
    }

    /// Where reading stopped before the document was over, at the end of the last entry: offset and line breaks before it.
    fn stopped(&mut self) -> Option<(usize, u32)> {
        let is_over = self.at >= self.document.len() && self.open.is_empty();
        (!is_over).then(|| (self.read, self.line_of(self.read)))
    }

    fn line_of(&mut self, offset: usize) -> u32 {
        let (from, before) = self.counted;
        let between = self.document.get(from..offset).unwrap_or_default();
        let more = memchr::memchr_iter(b'\n', between).count();
        let line = before.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        self.counted = (offset, line);
        line
    }
}

impl<'document> Iterator for Entries<'document> {
    type Item = Entry<'document>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let text = self.document.get(self.at..)?;
            let (byte, after) = text.split_first()?;
            let mut len = 1;
            match byte {
                b'"' => {
                    let rest = string(after).ok()?.2;
                    len = text.len().saturating_sub(rest.len());
                }
                b'{' => {
                    let in_array = matches!(self.open.last(), None | Some(Level::Array { .. }));
                    if in_array
                        && self.open.len() < MAX_TRIED
                        && let Some(bytes) = self.entry(text)
                    {
                        if let Some(Level::Array { of_entries }) = self.open.last_mut() {
                            *of_entries = true;
                        }
                        let offset = self.at;
                        self.at = self.at.saturating_add(bytes);
                        self.read = self.at;
                        return Some(Entry {
                            offset,
                            line: self.line_of(offset),
                            text: text.get(..bytes)?,
                        });
                    }
                    self.open.push(Level::Object);
                }
                b'[' => self.open.push(Level::Array { of_entries: false }),
                b'}' | b']' => drop(self.open.pop()),
                _ => {}
            }
            if self.open.len() > MAX_DEPTH {
                return None;
            }
            self.at = self.at.saturating_add(len);
        }
    }
}

/// True for what a collector or store of logs put around a line, and for a row in Istio's encoding.
fn is_entry(object: &[u8]) -> bool {
    let mut unwrapped = Unwrapped::default();
    let peeled = peel(object, &mut unwrapped, &mut MinuteCache::default());
    if peeled.wrapping.kinds.iter().any(|kind| kind == Wrapper::Json) {
        return true;
    }
    let (mut members, mut found) = (Members::new(object), 0_u32);
    while let Ok(Some(member)) = members.next() {
        found = found.saturating_add(u32::from(matches!(
            member.key,
            b"start_time" | b"response_code" | b"response_flags"
        )));
    }
    found == 3
}

/// A sink that is told where in the document lines stand.
struct Placed<'s, S> {
    sink: &'s mut S,
    offset: usize,
    line: u32,
}

impl<S: LineSink> LineSink for Placed<'_, S> {
    fn line(&mut self, at: &LineAt<'_>, line: &Line<'_>) {
        let at = LineAt {
            offset: self.offset,
            line: self.line,
            text: at.text,
        };
        self.sink.line(&at, line);
    }
}

impl LogDecoder {
    /// Calls `sink` once for each entry of a document, in order, with the place where the entry begins. Gives the end of the last one
    /// (its offset and the line breaks before it) where the document is cut off or malformed after it.
    pub fn decode_entries(&mut self, document: &[u8], sink: &mut impl LineSink) -> Option<(usize, u32)> {
        let mut text = Vec::new();
        let mut entries = Entries::new(document);
        for entry in entries.by_ref() {
            text.clear();
            // Line breaks stand between its members only: in strings they are escaped.
            text.extend(entry.text.iter().map(|byte| match byte {
                b'\n' | b'\r' => b' ',
                byte => *byte,
            }));
            let mut placed = Placed {
                sink,
                offset: entry.offset,
                line: entry.line,
            };
            self.decode_into(&text, &mut placed);
        }
        entries.stopped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn places(document: &str) -> Vec<(usize, u32)> {
        read(document).0
    }

    /// Offset and line.
    type At = (usize, u32);

    fn read(document: &str) -> (Vec<At>, Option<At>) {
        let mut found = Vec::new();
        let mut keep = |at: &LineAt<'_>, line: &Line<'_>| {
            assert!(document.get(at.offset..).unwrap().starts_with('{'));
            assert!(!format!("{:?}", line.content).is_empty());
            found.push((at.offset, at.line));
        };
        let stopped = LogDecoder::default().decode_entries(document.as_bytes(), &mut keep);
        (found, stopped)
    }

    #[test]
    fn a_document_that_is_cut_off_is_told() {
        let entry = "{\n\"response_code\": 503, \"response_flags\": \"UF\",\n\"start_time\": \"\"}";
        let whole = format!("[\n{entry},\n{entry}\n]\n");
        assert_eq!(read(&whole).1, None);
        let first_end = 2 + entry.len();
        for cut in [first_end + 1, first_end + 10, whole.len() - 4] {
            let (found, stopped) = read(whole.get(..cut).unwrap());
            assert_eq!(found.len(), 1, "{cut}");
            assert_eq!(stopped, Some((first_end, 3)), "{cut}");
        }
        let (found, stopped) = read(&format!("[{entry}, \"x"));
        assert_eq!((found.len(), stopped), (1, Some((1 + entry.len(), 2))));
    }

    #[test]
    fn entries_stand_where_their_objects_begin() {
        let row = r#"[2026-11-22T16:49:47.147Z] \"GET"#;
        let array = format!("[\n {{\n  \"textPayload\": \"{row}\"\n }},\n {{ \"x\": 1 }}\n]\n");
        assert_eq!(places(&array), [(3, 1), (array.find("{ \"x").unwrap(), 4)]);
        let events = format!(
            "{{\"events\": [\n{{\"message\":\"{row}\"}},\n{{\"message\":\"  at x\"}}], \"next\": \"f/1\"}}"
        );
        assert_eq!(
            places(&events).len(),
            2,
            "all objects of such an array are entries"
        );
        let hits = format!(
            "{{\"took\":1,\"hits\":{{\"total\":{{}},\"hits\":[{{\"_source\":{{\"message\":\"{row}\"}}}}]}}}}"
        );
        assert_eq!(places(&hits).len(), 1);
        let printed = "{\n \"response_code\": 503,\n \"response_flags\": \"UF\",\n \"start_time\": \"2026-11-22T16:49:47.147Z\"\n}\n";
        assert_eq!(places(&printed.repeat(2)), [(0, 0), (printed.len(), 5)]);
        assert!(holds_entries(events.as_bytes()));
        assert!(
            begins_array_of_entries(&events.as_bytes()[..events.len() - 10]),
            "as far as it goes"
        );
        assert!(!begins_array_of_entries(printed.as_bytes()));
    }

    #[test]
    fn other_documents_are_none() {
        for other in [
            "",
            "{",
            "[{\"message\":\"Back-off restarting\",\"metadata\":{\"namespace\":\"shop\",\"name\":\"web\"}}]",
            r#"{"configs":[{"access_log":[{"json_format":{"start_time":"%START_TIME%","response_code":"%RESPONSE_CODE%","response_flags":"-"}}]}]}"#,
            r#"[["1", "[2026-11-22T16:49:47.147Z] \"GET"]]"#,
            &"[".repeat(1000),
            &"{\"a\":[".repeat(1000),
        ] {
            assert!(!holds_entries(other.as_bytes()), "{other}");
            assert!(places(other).is_empty());
        }
    }

    proptest! {
        #[test]
        fn any_document(document in "[\\[\\]{}\":,a\n ]{0,200}") {
            let _ = places(&document);
        }
    }
}
