//! What ends a run ([`Error`]) and what is merely wrong with an input ([`Problem`]).
//!
//! Damage in an input is data, returned beside what could be read; text for it is made where it is shown.

use crate::units::InputId;
use std::path::PathBuf;

/// A run that cannot go on. The command line maps each of these to exit status 2.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No argument could be opened or read at all.
    #[error("nothing could be read: {0}")]
    NothingRead(String),
    /// A user's TOML file has a mistake.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Catalog {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong and what is expected.
        message: String,
    },
    /// A file of the user's (not an input) could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An option's value cannot be used.
    #[error("{option}: {message}")]
    Option {
        /// The option as typed.
        option: &'static str,
        /// What is wrong and what is expected.
        message: String,
    },
    /// The built-in catalogue is broken: a fault of this program, found by its tests.
    #[error("built-in catalogue: {0}")]
    BuiltIn(String),
    /// A worker ended without its result: a fault of this program.
    #[error("internal: {0}")]
    Internal(&'static str),
}

/// Damage in an input: what, and where. The rest of the input is still used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Which input.
    pub input: InputId,
    /// Bytes from the start of the decompressed input, or of the file where decompression failed.
    pub offset_bytes: u64,
    /// Line, from 1, where it is known.
    pub line: Option<u64>,
    /// What is wrong and what to do, one line.
    pub what: String,
}
