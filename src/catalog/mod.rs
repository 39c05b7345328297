//! The catalogue: signatures, causes, response flags and thresholds as data.
//!
//! In: the TOML files of `data/`, built into the program, and the user's own. Out: a checked [`Catalog`]
//! whose lists are sorted by id and whose references resolve. Never: looks at a log; [`crate::matcher`]
//! searches, `diagnose` decides.

mod cause;
pub mod collect;
mod flag;
mod load;
mod placeholder;
mod position;
mod signature;
mod threshold;
mod validate;

pub use cause::{
    Cause, FilledCause, FilledFix, FilledLookAlike, FilledOverturn, Fix, LookAlike, Overturn, Risk,
};
pub use flag::{CORE_FLAGS, Flag, FlagClass, FlagTable};
pub use placeholder::{Name, Placeholders, fill, fill_command, fill_filter, fill_yaml};
pub use signature::{AccessField, ByteClass, LogLevel, Severity, Signature, SignatureSource};
pub use threshold::{Threshold, ThresholdUse, Thresholds};

use crate::Error;
use std::path::PathBuf;

/// Everything that postmesh knows as data.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// Version of the built-in files; changes with any of them.
    pub version: String,
    /// Signatures, sorted by id.
    pub signatures: Vec<Signature>,
    /// Causes, sorted by id.
    pub causes: Vec<Cause>,
    /// Envoy's response flags.
    pub flags: FlagTable,
    /// Numbers of the Istio Production Debugging reference, with what sources say of each.
    pub thresholds: Thresholds,
    /// Files that the user added, as named, in their order.
    pub user_files: Vec<String>,
}

impl Catalog {
    /// The catalogue as shipped.
    ///
    /// # Errors
    /// [`Error::BuiltIn`] if a file of `data/` is broken.
    pub fn built_in() -> Result<Self, Error> {
        load::load(&[], &[])
    }

    /// The catalogue with the user's files: an entry with the id of an earlier one replaces it, any other is
    /// added. Later files win over earlier ones.
    ///
    /// # Errors
    /// [`Error::File`] if a file cannot be read, [`Error::Catalog`] with line and column of the first mistake
    /// in it, [`Error::BuiltIn`] if a file of `data/` is broken.
    pub fn load(signature_files: &[PathBuf], cause_files: &[PathBuf]) -> Result<Self, Error> {
        load::load(signature_files, cause_files)
    }

    /// The signature of that id.
    pub fn signature(&self, id: &str) -> Option<&Signature> {
        let found = self
            .signatures
            .binary_search_by(|signature| signature.id.as_str().cmp(id));
        found.ok().and_then(|at| self.signatures.get(at))
    }

    /// The cause of that id.
    pub fn cause(&self, id: &str) -> Option<&Cause> {
        let found = self.causes.binary_search_by(|cause| cause.id.as_str().cmp(id));
        found.ok().and_then(|at| self.causes.get(at))
    }
}
