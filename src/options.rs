//! What the library can be asked for. The command line builds this; nothing below `cli` knows flags.

use crate::decode::log::Layouts;
use crate::query::{Condition, Field};
use std::path::PathBuf;

/// Everything that decides what a run reads and reports.
#[derive(Clone, Debug)]
pub struct Options {
    /// Files, folders, or `-` for standard input, in any order.
    pub paths: Vec<PathBuf>,
    /// Records that completed before this are left out.
    pub since: Option<TimeBound>,
    /// Records that completed after this are left out.
    pub until: Option<TimeBound>,
    /// Keep inputs and lines of these namespaces (empty: all).
    pub namespaces: Vec<String>,
    /// Keep inputs and lines of these pods (empty: all). A pod's workload name is accepted for the pod.
    pub pods: Vec<String>,
    /// Layouts of access logs beside those that are known.
    pub layouts: Layouts,
    /// Worker threads, at least 1.
    pub threads: usize,
    /// Bytes of a block; results do not depend on it.
    pub block_bytes: usize,
    /// Signature files of the user.
    pub signature_files: Vec<PathBuf>,
    /// Cause files of the user.
    pub cause_files: Vec<PathBuf>,
    /// Examples kept per signature and per evidence.
    pub examples: usize,
    /// Access rows that do not meet it are left out.
    pub condition: Option<Condition>,
    /// Fields by which rows are grouped into a table; empty for none.
    pub top: Vec<Field>,
    /// List every TCP connection of captures in the report.
    pub streams: bool,
    /// Fill [`crate::report::model::OverTime`], which renderers need in which a window is chosen.
    pub over_time: bool,
}

/// A bound on time as it was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeBound {
    /// A full date and time.
    At(crate::units::Timestamp),
    /// A time of the day of the data (UTC), in nanoseconds from midnight: the day of the earliest dated
    /// record found at the head of any input.
    TimeOfDay(i64),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            since: None,
            until: None,
            namespaces: Vec::new(),
            pods: Vec::new(),
            layouts: Layouts::default(),
            threads: 1,
            block_bytes: 256 << 10,
            signature_files: Vec::new(),
            cause_files: Vec::new(),
            examples: 5,
            condition: None,
            top: Vec::new(),
            streams: false,
            over_time: false,
        }
    }
}
