//! Every thread and channel: read, fan out, merge.

use crate::{Error, Options, Report};

/// The whole pipeline.
///
/// # Errors
/// [`Error::NothingRead`] when no input could be read, and mistakes in the user's own files.
pub fn analyze(options: &Options) -> Result<Report, Error> {
    let _ = options;
    Err(Error::Internal("not built yet"))
}
