//! Paths to blocks of whole records.
//!
//! In: the paths of [`crate::Options`]. Out: [`Source`]s in a fixed order, and for each a stream of
//! [`Block`]s, decompressed and cut between records. Never: looks at what a record means; that question is
//! put to the caller through [`RecordBoundary`], so that this stage knows no log format.

mod archive;
mod bytes;
pub mod capture_sets;
mod cutting;
mod decompress;
mod discover;
mod identity;
mod naming;
mod problems;
mod read;
mod reader;
mod sniff;
mod walk;

pub use archive::Member;
pub use bytes::ByteReader;
pub use discover::{Discovery, Unreadable, discover};
pub use identity::is_place_word;
pub use read::{OpenError, ReadOptions, ReadSummary};
pub use reader::BlockReader;
pub use sniff::{ArchiveKind, SourceKind};

use crate::units::InputId;
use std::path::PathBuf;
use std::sync::Arc;

/// How an input is compressed, told by its first bytes and never by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compression {
    /// As it is.
    None,
    /// gzip, RFC 1952, one or more members.
    Gzip,
    /// Zstandard, RFC 8878, one or more frames.
    Zstd,
}

/// What the path of an input says of the container that wrote it; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Pod name.
    pub pod: Option<String>,
    /// Namespace of the pod.
    pub namespace: Option<String>,
    /// Container name.
    pub container: Option<String>,
    /// Node name.
    pub node: Option<String>,
    /// Network interface that a capture was taken on.
    pub interface: Option<String>,
}

/// Containers that are the mesh's own.
const MESH_CONTAINERS: &[&str] = &[
    "discovery",
    "enable-core-dump",
    "install-cni",
    "istio-cni",
    "istio-init",
    "istio-operator",
    "istio-proxy",
    "istio-validation",
    "ztunnel",
];

/// True for the name of a container that Istio puts into pods or runs.
pub fn is_mesh_container(container: &str) -> bool {
    MESH_CONTAINERS.contains(&container)
}

impl Identity {
    /// True for a container that is known, and none of the mesh's.
    pub fn is_application(&self) -> bool {
        self.container
            .as_deref()
            .is_some_and(|container| !is_mesh_container(container))
    }
}

/// One input to be read: a file, standard input or a named pipe.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its number in the sorted order of all inputs.
    pub id: InputId,
    /// What to open (`-` for standard input); for a member of an archive only a name.
    pub open_path: PathBuf,
    /// How it is named in reports: relative to the argument under which it was found.
    pub display_path: String,
    /// Size in bytes as stored, where the system knows it (for progress only).
    pub size_bytes: Option<u64>,
    /// What its path says of the container.
    pub identity: Identity,
    /// Where it lies, if in an archive.
    pub member: Option<Member>,
    /// For an archive whose members are sources of their own: what is damaged or left out of it, by offset.
    pub listing: Option<Arc<Vec<(u64, String)>>>,
}

/// A run of whole lines of one input, in a buffer that is recycled.
#[derive(Debug)]
pub struct Block {
    /// Which input.
    pub input: InputId,
    /// Its number in that input, from 0.
    pub seq: u32,
    /// Bytes of the decompressed input before it.
    pub offset_bytes: u64,
    /// Whole lines; the last one may lack its newline at the end of the input.
    pub data: Vec<u8>,
}

/// Lines of a block: each newline ends one, and what stands behind the last newline is one too.
pub fn lines_of(block: &[u8]) -> u64 {
    let ended = memchr::memchr_iter(b'\n', block).count();
    let open = block.last().is_some_and(|byte| *byte != b'\n');
    u64::try_from(ended)
        .unwrap_or(u64::MAX)
        .saturating_add(u64::from(open))
}

/// Tells whether a block may be cut between two lines (both without line ends): not inside a partial container-runtime line, and
/// not before the continuation of a message of several lines.
#[derive(Clone)]
pub struct RecordBoundary(Arc<BoundaryTest>);

type BoundaryTest = dyn Fn(&[u8], &[u8]) -> bool + Send + Sync;

impl RecordBoundary {
    /// Where `test` is true of the line before and the line after.
    pub fn new(test: impl Fn(&[u8], &[u8]) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(test))
    }

    /// True if a block may be cut between these lines.
    pub fn allows(&self, previous: &[u8], next: &[u8]) -> bool {
        (self.0)(previous, next)
    }
}

impl std::fmt::Debug for RecordBoundary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordBoundary").finish_non_exhaustive()
    }
}
