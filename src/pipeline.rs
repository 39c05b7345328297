//! Every thread and channel: read, fan out, merge.

use crate::progress::{NoProgress, Progress};
use crate::{Error, Options, Report};

/// The whole pipeline.
///
/// # Errors
/// [`Error::NothingRead`] when no input could be read, and mistakes in the user's own files.
pub fn analyze(options: &Options) -> Result<Report, Error> {
    analyze_with(options, &NoProgress)
}

/// The whole pipeline, telling `progress` how far it is.
///
/// # Errors
/// As [`analyze`].
pub fn analyze_with(options: &Options, progress: &dyn Progress) -> Result<Report, Error> {
    let _ = (options, progress);
    Err(Error::Internal("not built yet"))
}
