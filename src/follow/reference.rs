//! Places as reports write them, read back: `ratings-v1.log:110`, `ratings-v1.eth0.pcap.gz frame 1237`.

use crate::input::Source;
use std::fmt;

/// A place that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The input: its name, the end of its name after a `/`, or its number.
    pub input: String,
    /// Where in it.
    pub place: Place,
}

/// A place in an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Line of a log, from 1.
    Line(u64),
    /// Frame of a capture, from 1, as Wireshark counts.
    Frame(u64),
}

/// As the report writes it.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Line(line) => write!(f, "{}:{line}", self.input),
            Place::Frame(frame) => write!(f, "{} frame {frame}", self.input),
        }
    }
}

/// Most places of one text.
const MAX_PLACES: usize = 10_000;

const EXPECTED: &str = "expected FILE:LINE, 'FILE frame FRAME' or the same with the number of an input, such as 3:20411 or 5#918";

/// Reads what a report prints as citation: one place, or a line of them, in which an input is named once and further
/// numbers are of the same input, and which may end in how many more there are. An input's number may stand for its
/// name, and `#` for ` frame `.
///
/// # Errors
/// One line: what is expected.
pub fn parse(text: &str) -> Result<Vec<Reference>, String> {
    let mut references: Vec<Reference> = Vec::new();
    let words = text
        .split("  ")
        .flat_map(|part| part.split(['\t', '\n']))
        .map(str::trim);
    for word in words.filter(|word| !word.is_empty()) {
        if word.starts_with('…') || word.starts_with("...") {
            break;
        }
        match (numbers(word), references.last().cloned()) {
            (Some(numbers), Some(before)) => references.extend(numbers.into_iter().map(|n| Reference {
                place: before.place.with(n),
                ..before.clone()
            })),
            _ => references.extend(place(word).ok_or_else(|| EXPECTED.to_owned())?),
        }
        if references.len() > MAX_PLACES {
            return Err(format!("more than {MAX_PLACES} places"));
        }
    }
    if references.is_empty() {
        return Err(EXPECTED.to_owned());
    }
    Ok(references)
}

impl Place {
    fn with(self, number: u64) -> Self {
        match self {
            Self::Line(_) => Self::Line(number),
            Self::Frame(_) => Self::Frame(number),
        }
    }
}

/// A name with its numbers.
fn place(word: &str) -> Option<Vec<Reference>> {
    let forms = [
        (" frame ", Place::Frame(1)),
        (":", Place::Line(1)),
        ("#", Place::Frame(1)),
    ];
    forms.into_iter().find_map(|(mark, of)| {
        let (name, tail) = word.rsplit_once(mark)?;
        let numbers = numbers(tail)?;
        let name = name.trim();
        (!name.is_empty()).then(|| {
            numbers
                .into_iter()
                .map(|number| Reference {
                    input: name.to_owned(),
                    place: of.with(number),
                })
                .collect()
        })
    })
}

/// Numbers from 1, with or without commas between thousands, parted by blanks; `None` if there is anything else.
fn numbers(text: &str) -> Option<Vec<u64>> {
    let numbers: Option<Vec<u64>> = text.split_whitespace().map(number).collect();
    numbers.filter(|numbers| !numbers.is_empty())
}

fn number(word: &str) -> Option<u64> {
    let digits: String = word.split(',').collect();
    let plain = word.starts_with(|c: char| c.is_ascii_digit()) && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|number| plain && *number > 0)
}

/// The input that a reference names.
///
/// # Errors
/// One line: that there is none, or several.
pub fn resolve<'s>(input: &str, sources: &'s [Source]) -> Result<&'s Source, String> {
    if let Some(source) = sources.iter().find(|source| source.display_path == input) {
        return Ok(source);
    }
    let ends = |long: &str, short: &str| {
        long.strip_suffix(short)
            .is_some_and(|before| !short.is_empty() && before.ends_with('/'))
    };
    // The report may have been made from a folder above these inputs, or below.
    let mut alike = sources
        .iter()
        .filter(|source| ends(&source.display_path, input) || ends(input, &source.display_path));
    match (alike.next(), alike.next()) {
        (Some(source), None) => return Ok(source),
        (Some(one), Some(other)) => {
            return Err(format!(
                "{input} may be {} or {}: name it in full",
                one.display_path, other.display_path
            ));
        }
        _ => {}
    }
    let by_number = input
        .parse()
        .ok()
        .filter(|_| input.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|id: u32| sources.iter().find(|source| source.id.0 == id));
    by_number.ok_or_else(|| format!("no input is called {input}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Identity;
    use crate::units::InputId;
    use proptest::prelude::*;

    fn texts(text: &str) -> Vec<String> {
        parse(text).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_reports_print() {
        for (text, places) in [
            ("a/b.log:17", &["a/b.log:17"][..]),
            ("x.pcap.gz frame 1237", &["x.pcap.gz frame 1237"]),
            ("3:20411", &["3:20411"]),
            ("5#918", &["5 frame 918"]),
            (
                "r-v1.log:110  111  112  … 442 more",
                &["r-v1.log:110", "r-v1.log:111", "r-v1.log:112"],
            ),
            (
                "r.pcap frame 5  7  s.log:1  2  ... 3 more",
                &["r.pcap frame 5", "r.pcap frame 7", "s.log:1", "s.log:2"],
            ),
            ("x.pcap frame 88,130", &["x.pcap frame 88130"]),
            ("odd: name with frame:7", &["odd: name with frame:7"]),
            ("a:1:2", &["a:1:2"]),
        ] {
            assert_eq!(texts(text), places, "{text}");
        }
        for text in [
            "",
            "a.log",
            "a.log:",
            "a.log:0",
            ":5",
            "a.log:-1",
            "a frame x",
            "… 5 more",
            "17",
            "a:1x",
            "a:99999999999999999999",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    fn sources(names: &[&str]) -> Vec<Source> {
        (0..)
            .zip(names)
            .map(|(id, name)| Source {
                id: InputId(id),
                open_path: name.into(),
                display_path: (*name).to_owned(),
                size_bytes: None,
                identity: Identity::default(),
                member: None,
                listing: None,
            })
            .collect()
    }

    #[test]
    fn inputs_by_name_by_the_end_of_their_name_and_by_number() {
        let sources = sources(&["2", "a/x.log", "b/x.log", "b/y.log"]);
        let found = |input: &str| resolve(input, &sources).map(|source| source.id.0);
        assert_eq!(found("a/x.log"), Ok(1));
        assert_eq!(found("y.log"), Ok(3));
        assert_eq!(found("incident/b/y.log"), Ok(3));
        assert_eq!(found("3"), Ok(3));
        assert_eq!(found("2"), Ok(0), "a name before a number");
        assert!(found("x.log").unwrap_err().contains("a/x.log or b/x.log"));
        for unknown in ["", "log", "z.log", "4", "+3", "99999999999"] {
            assert!(found(unknown).is_err(), "{unknown}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(name in "[a-z][a-z0-9./#: _-]{0,20}[a-z]", number in 1_u64.., frame in any::<bool>()) {
            prop_assume!(!name.contains("  "));
            let place = if frame { Place::Frame(number) } else { Place::Line(number) };
            let reference = Reference { input: name, place };
            prop_assert_eq!(parse(&reference.to_string()), Ok(vec![reference]));
        }

        #[test]
        fn anything_may_be_typed(text in any::<String>()) {
            let _ = parse(&text).map(|places| places.iter().map(|p| resolve(&p.input, &[]).is_err()).collect::<Vec<_>>());
        }
    }
}
