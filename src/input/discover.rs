//! Paths as typed to sources in a fixed order.

use super::archive::{self, ArchiveLimits, Budget, HELD_BYTES};
use super::identity::identify;
use super::naming::{Located, unique_names};
use super::walk::{FileKey, Found, Lying, joined, walk};
use super::{Identity, Source};
use crate::units::InputId;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What was found under the arguments.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    /// What can be read, sorted by display path; a source's number is its place here.
    pub sources: Vec<Source>,
    /// What cannot, sorted by display path.
    pub unreadable: Vec<Unreadable>,
    /// Files and folders that were left out because their names begin with a dot.
    pub hidden: u64,
}

/// A path that cannot be read: missing, not permitted, or neither a file nor a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unreadable {
    /// How it is named in reports, as [`Source::display_path`].
    pub display_path: String,
    /// The path as typed, and below it as found.
    pub open_path: PathBuf,
    /// Why, and what to do about it, one line.
    pub what: String,
}

/// Finds what lies at `paths`: files as they are, folders with all that lies in them, `-` for standard input.
///
/// The result depends on the set of paths and on what lies there, and neither on the order of the paths nor
/// on that in which the system lists folders. A file that is reached twice is read once. What is given by
/// itself is read whatever its name and kind; found in a folder, entries whose names begin with a dot (the
/// likes of `.git`) are only counted, and pipes, sockets and devices are named in
/// [`Discovery::unreadable`], since reading them could wait for ever.
pub fn discover(paths: &[PathBuf]) -> Discovery {
    let arguments: BTreeSet<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let mut gathered = Gathered::default();
    for argument in arguments {
        gathered.gather(argument);
    }
    gathered.into_discovery()
}

/// Something found, with its place among the bases.
struct Candidate {
    located: Located,
    by_link: bool,
    open_path: PathBuf,
    lying: Lying,
}

#[derive(Default)]
struct Gathered {
    bases: Vec<PathBuf>,
    base_indexes: BTreeMap<PathBuf, usize>,
    candidates: Vec<Candidate>,
    hidden: u64,
}

impl Gathered {
    fn gather(&mut self, argument: &Path) {
        let walk = walk(argument);
        self.hidden += walk.hidden;
        for found in walk.found {
            let open_path = joined(argument, &found.below);
            let located = self.locate(argument, &found);
            self.candidates.push(Candidate {
                located,
                by_link: found.by_link,
                open_path,
                lying: found.lying,
            });
        }
    }

    /// What was typed itself is named by its last part, what was found under it by the way from there.
    fn locate(&mut self, argument: &Path, found: &Found) -> Located {
        let (base, below) = if found.below.as_os_str().is_empty() {
            let name = argument.file_name().map_or(argument, Path::new);
            (
                argument
                    .parent()
                    .filter(|_| argument.file_name().is_some())
                    .unwrap_or(Path::new("")),
                name,
            )
        } else {
            (argument, found.below.as_path())
        };
        let next = self.bases.len();
        let index = *self.base_indexes.entry(base.to_owned()).or_insert(next);
        if index == next {
            self.bases.push(base.to_owned());
        }
        Located {
            base: index,
            below: below.to_owned(),
        }
    }

    fn into_discovery(self) -> Discovery {
        let Self {
            bases,
            candidates,
            hidden,
            ..
        } = self;
        let candidates = without_repeats(candidates);
        let located: Vec<_> = candidates
            .iter()
            .map(|candidate| candidate.located.clone())
            .collect();
        let names = unique_names(&bases, &located);
        let mut discovery = Discovery {
            hidden,
            ..Discovery::default()
        };
        let mut named: Vec<_> = names.into_iter().zip(candidates).collect();
        named.sort_by(|((a, _), _), ((b, _), _)| a.as_bytes().cmp(b.as_bytes()));
        let budget = Budget::new(ArchiveLimits::default(), HELD_BYTES);
        for ((display_path, shown), candidate) in named {
            discovery.add(display_path, shown, candidate, &budget);
        }
        discovery
    }
}

impl Discovery {
    fn add(&mut self, display_path: String, shown: usize, candidate: Candidate, budget: &Budget) {
        let open_path = candidate.open_path;
        match candidate.lying {
            Lying::Unreadable(what) => self.unreadable.push(Unreadable {
                display_path,
                open_path,
                what,
            }),
            Lying::File { key, size_bytes } => {
                let standard_input = key == FileKey::StandardInput;
                // What has no size is a pipe, which can be read only once.
                let size = size_bytes.filter(|_| !standard_input);
                let listing = size.and_then(|size| archive::list(&open_path, size, budget));
                let identity = if standard_input {
                    Identity::default()
                } else {
                    identify(&open_path, shown)
                };
                let (members, problems) = match listing {
                    Some(listing) => {
                        self.hidden += listing.hidden;
                        (listing.found, Some(Arc::new(listing.problems)))
                    }
                    None => (Vec::new(), None),
                };
                self.sources.push(Source {
                    id: self.next_id(),
                    open_path: open_path.clone(),
                    display_path: display_path.clone(),
                    // The size of an archive is that of its members.
                    size_bytes: size_bytes.map(|size| if problems.is_some() { 0 } else { size }),
                    identity,
                    member: None,
                    listing: problems,
                });
                self.add_members(&display_path, &open_path, members);
            }
        }
    }

    fn next_id(&self) -> InputId {
        InputId(u32::try_from(self.sources.len()).unwrap_or(u32::MAX))
    }

    /// The members of an archive in its order, which is the one in which they are read fastest.
    fn add_members(&mut self, archive_name: &str, archive: &Path, members: Vec<archive::Found>) {
        let mut taken: BTreeSet<String> = BTreeSet::new();
        for found in members {
            let plain = archive::shown_path(&found.path);
            let mut path = plain.clone();
            let mut number = 1;
            while !taken.insert(path.clone()) {
                number += 1;
                path = format!("{plain} ({number})");
            }
            let below = harmless(&found.path);
            let identity = identify(&below, below.components().count());
            self.sources.push(Source {
                id: self.next_id(),
                open_path: archive.join(&below),
                display_path: format!("{archive_name}!{path}"),
                size_bytes: Some(found.size_bytes),
                identity,
                member: Some(found.into_member(archive_name.to_owned(), path)),
                listing: None,
            });
        }
    }
}

/// The path of a member without what would lead out of the archive: nothing is ever opened by it, but names are read
/// from it.
fn harmless(path: &[Vec<u8>]) -> PathBuf {
    path.iter()
        .flat_map(|name| name.split(|byte| matches!(byte, b'/' | b'\\')))
        .filter(|part| !matches!(*part, b"" | b"." | b".."))
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect()
}

/// Of several ways to the same file, the one without links, then the least path below its base, then the least
/// base. Things that cannot be read are the same if their paths are.
fn without_repeats(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.sort_by(|a, b| {
        (a.by_link, &a.located.below, &a.open_path).cmp(&(b.by_link, &b.located.below, &b.open_path))
    });
    let mut files: BTreeSet<FileKey> = BTreeSet::new();
    let mut refused: BTreeSet<PathBuf> = BTreeSet::new();
    candidates.retain(|candidate| match &candidate.lying {
        Lying::File { key, .. } => files.insert(key.clone()),
        Lying::Unreadable(_) => refused.insert(candidate.open_path.clone()),
    });
    candidates
}

#[cfg(test)]
mod tests;
