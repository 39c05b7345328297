//! How inputs are named in reports: relative to what was typed, unique, printable, the same in every run.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

/// A path under a base. The base of a folder that was typed is that folder, the base of a file its folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Located {
    /// Index of the base.
    pub(super) base: usize,
    /// Path below it.
    pub(super) below: PathBuf,
}

/// Names for `located`, in its order: the path below the base, with as much of the end of the base before it
/// as keeps names apart. Also the number of components of each.
///
/// All names of a base are lengthened together, so that files which lie together are named alike.
pub(super) fn unique_names(bases: &[PathBuf], located: &[Located]) -> Vec<(String, usize)> {
    let mut shown = vec![0; bases.len()];
    loop {
        let names: Vec<_> = located
            .iter()
            .map(|place| name(&bases[place.base], shown[place.base], &place.below))
            .collect();
        let clashing = clashing_bases(located, &names);
        let mut lengthened = false;
        for base in clashing {
            if shown[base] < bases[base].components().count() {
                shown[base] += 1;
                lengthened = true;
            }
        }
        if !lengthened {
            return numbered(names);
        }
    }
}

fn clashing_bases(located: &[Located], names: &[(String, usize)]) -> BTreeSet<usize> {
    let mut bases_by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, (name, _)) in located.iter().zip(names) {
        bases_by_name.entry(name).or_default().push(place.base);
    }
    bases_by_name
        .into_values()
        .filter(|bases| bases.len() > 1)
        .flatten()
        .collect()
}

/// Only what is no path can still clash here: `-` for standard input with a file called `-`.
fn numbered(mut names: Vec<(String, usize)>) -> Vec<(String, usize)> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for (name, _) in &mut names {
        let plain = name.clone();
        let mut number = 1;
        while !taken.insert(name.clone()) {
            number += 1;
            *name = format!("{plain} ({number})");
        }
    }
    names
}

fn name(base: &Path, shown: usize, below: &Path) -> (String, usize) {
    let hidden = base.components().count().saturating_sub(shown);
    let parts: Vec<String> = base
        .components()
        .skip(hidden)
        .chain(below.components())
        .map(part)
        .collect();
    let count = parts.len();
    (parts.join("/"), count)
}

fn part(component: Component<'_>) -> String {
    match component {
        // Joined to what follows it, this gives the slash at the front.
        Component::RootDir => String::new(),
        other => escaped(other.as_os_str()),
    }
}

/// Text that can be printed on one line and stands for one name only: control characters, those that turn
/// the direction of text, backslashes and bytes that are not UTF-8 are escaped as in a Rust literal.
fn escaped(name: &OsStr) -> String {
    escaped_bytes(name.as_encoded_bytes())
}

/// As [`escaped`], for names that do not come from this system.
pub(super) fn escaped_bytes(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            if needs_escape(character) {
                text.extend(character.escape_default());
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Unicode UAX 9 names the characters that turn the direction; U+2028 and U+2029 end lines.
fn needs_escape(character: char) -> bool {
    character.is_control()
        || matches!(character, '\\' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(bases: &[&str], located: &[(usize, &str)]) -> Vec<String> {
        let bases: Vec<_> = bases.iter().map(PathBuf::from).collect();
        let located: Vec<_> = located
            .iter()
            .map(|&(base, below)| Located {
                base,
                below: below.into(),
            })
            .collect();
        unique_names(&bases, &located)
            .into_iter()
            .map(|(name, _)| name)
            .collect()
    }

    #[test]
    fn names_are_lengthened_only_where_they_clash() {
        assert_eq!(
            names(&["/home/me/incident"], &[(0, "a/x.log"), (0, "b/x.log")]),
            ["a/x.log", "b/x.log"]
        );
        assert_eq!(
            names(
                &["logs/a", "logs/b", "logs/c"],
                &[(0, "x"), (1, "x"), (0, "only"), (2, "y")]
            ),
            ["a/x", "b/x", "a/only", "y"]
        );
        assert_eq!(
            names(&["/a/logs", "/b/logs"], &[(0, "x"), (1, "x")]),
            ["a/logs/x", "b/logs/x"]
        );
        assert_eq!(names(&["", "/logs"], &[(0, "x"), (1, "x")]), ["x", "logs/x"]);
        assert_eq!(names(&["", "/"], &[(0, "x"), (1, "x")]), ["x", "/x"]);
        assert_eq!(names(&["", ".."], &[(0, "x"), (1, "x")]), ["x", "../x"]);
        assert_eq!(names(&["", ""], &[(0, "-"), (1, "-")]), ["-", "- (2)"]);
    }

    #[test]
    fn odd_names() {
        assert_eq!(escaped(OsStr::new("a b'\"é名")), "a b'\"é名");
        assert_eq!(
            escaped(OsStr::new("two\nlines\t\u{1b}[31m")),
            "two\\nlines\\t\\u{1b}[31m"
        );
        assert_eq!(escaped(OsStr::new("back\\slash")), "back\\\\slash");
        assert_eq!(escaped(OsStr::new("gpj.\u{202e}log")), "gpj.\\u{202e}log");
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_utf8() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(escaped(OsStr::from_bytes(b"caf\xe9.log")), "caf\\xe9.log");
        assert_ne!(escaped(OsStr::from_bytes(b"\xe9")), escaped(OsStr::new("\\xe9")));
    }
}
