//! One argument to the files under it.
//!
//! Symbolic links are followed, each folder is entered once, and what lies there without a link is found
//! before what lies there by one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirEntry, FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// Folders are entered down to this depth below the argument. The deepest layout known (`/var/log/pods`,
/// archives of clusters) has 8 levels.
const DEPTH_MAX: usize = 64;

/// Tells whether two paths lead to the same file or folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FileKey {
    /// Standard input.
    StandardInput,
    /// Device and inode.
    #[cfg(unix)]
    Inode(u64, u64),
    /// The path with all links resolved.
    #[cfg(not(unix))]
    Resolved(PathBuf),
}

/// What lies at a path.
#[derive(Clone, Debug)]
pub(super) enum Lying {
    /// Something to read, with its size where the system knows it.
    File { key: FileKey, size_bytes: Option<u64> },
    /// Something that cannot be read, and why.
    Unreadable(String),
}

/// One thing found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Path below the argument; empty for the argument itself.
    pub(super) below: PathBuf,
    /// Whether a symbolic link below the argument leads there.
    pub(super) by_link: bool,
    /// What it is.
    pub(super) lying: Lying,
}

/// What lies under one argument.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) found: Vec<Found>,
    /// Entries left out because their names begin with a dot.
    pub(super) hidden: u64,
    entered: BTreeSet<FileKey>,
    folders: Vec<PathBuf>,
    linked_folders: BTreeMap<PathBuf, FileKey>,
}

/// Everything at and under `argument`.
pub(super) fn walk(argument: &Path) -> Walk {
    let mut walk = Walk::default();
    if argument == Path::new("-") {
        walk.add(
            PathBuf::new(),
            false,
            Lying::File {
                key: FileKey::StandardInput,
                size_bytes: None,
            },
        );
        return walk;
    }
    match fs::metadata(argument).and_then(|metadata| Ok((key_of(argument, &metadata)?, metadata))) {
        Err(error) => walk.add(PathBuf::new(), false, Lying::Unreadable(refusal(&error))),
        Ok((key, metadata)) if metadata.is_dir() => walk.enter_all(argument, key),
        Ok((key, metadata)) => {
            let size_bytes = metadata.is_file().then_some(metadata.len());
            walk.add(PathBuf::new(), false, Lying::File { key, size_bytes });
        }
    }
    walk
}

impl Walk {
    fn add(&mut self, below: PathBuf, by_link: bool, lying: Lying) {
        self.found.push(Found {
            below,
            by_link,
            lying,
        });
    }

    /// Folders without links first: what a link leads to is often a part of the same tree, and is named best
    /// by its own path there. Among the links the least path goes first, whatever the system's order.
    fn enter_all(&mut self, argument: &Path, key: FileKey) {
        self.entered.insert(key);
        self.folders.push(PathBuf::new());
        let mut by_link = false;
        loop {
            while let Some(below) = self.folders.pop() {
                self.enter(argument, &below, by_link);
            }
            let Some((below, key)) = self.linked_folders.pop_first() else {
                break;
            };
            by_link = true;
            if self.entered.insert(key) {
                self.folders.push(below);
            }
        }
    }

    fn enter(&mut self, argument: &Path, below: &Path, by_link: bool) {
        if below.components().count() >= DEPTH_MAX {
            let why = format!("more than {DEPTH_MAX} folders deep: give it as a path of its own");
            return self.add(below.to_owned(), by_link, Lying::Unreadable(why));
        }
        let entries = match fs::read_dir(joined(argument, below)) {
            Ok(entries) => entries,
            Err(error) => return self.add(below.to_owned(), by_link, Lying::Unreadable(refusal(&error))),
        };
        for entry in entries {
            match entry {
                Ok(entry) => self.look_at(&entry, below, by_link),
                Err(error) => {
                    let why = format!("its list breaks off: {error}: files of it are missing");
                    return self.add(below.to_owned(), by_link, Lying::Unreadable(why));
                }
            }
        }
    }

    fn look_at(&mut self, entry: &DirEntry, folder: &Path, by_link: bool) {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            self.hidden += 1;
            return;
        }
        let below = folder.join(entry.file_name());
        let linked = entry.file_type().is_ok_and(|file_type| file_type.is_symlink());
        let metadata = if linked {
            fs::metadata(entry.path())
        } else {
            entry.metadata()
        };
        match metadata.and_then(|metadata| Ok((key_of(&entry.path(), &metadata)?, metadata))) {
            Err(error) => self.add(below, by_link || linked, Lying::Unreadable(refusal(&error))),
            Ok((key, metadata)) if metadata.is_dir() && linked => {
                self.linked_folders.insert(below, key);
            }
            Ok((key, metadata)) if metadata.is_dir() => {
                if self.entered.insert(key) {
                    self.folders.push(below);
                }
            }
            Ok((key, metadata)) if metadata.is_file() => {
                let size_bytes = Some(metadata.len());
                self.add(below, by_link || linked, Lying::File { key, size_bytes });
            }
            Ok((_, metadata)) => {
                let why = format!(
                    "{}: not read unless it is given by itself",
                    special(metadata.file_type())
                );
                self.add(below, by_link || linked, Lying::Unreadable(why));
            }
        }
    }
}

/// The path to open; the argument itself without a slash behind it.
pub(super) fn joined(argument: &Path, below: &Path) -> PathBuf {
    if below.as_os_str().is_empty() {
        argument.to_owned()
    } else {
        argument.join(below)
    }
}

fn refusal(error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => "check the path, or where the link leads",
        io::ErrorKind::PermissionDenied => "run as a user who may read it, or copy it to where you may",
        _ => "check that `ls` and `cat` can read it",
    };
    format!("{error}: {remedy}")
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn key_of(_: &Path, metadata: &Metadata) -> io::Result<FileKey> {
    use std::os::unix::fs::MetadataExt;
    Ok(FileKey::Inode(metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn key_of(path: &Path, _: &Metadata) -> io::Result<FileKey> {
    fs::canonicalize(path).map(FileKey::Resolved)
}

#[cfg(unix)]
fn special(file_type: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if file_type.is_fifo() {
        "a named pipe"
    } else if file_type.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
fn special(_: FileType) -> &'static str {
    "neither a file nor a folder"
}
