//! How far a run has come: the engine tells, the command line draws.
//!
//! Nothing here knows a clock or a terminal; rates and estimates are made where they are shown.

/// Receives what a run has done so far. Called from any worker, so it must be cheap and must not block.
pub trait Progress: Sync {
    /// All inputs are known. `bytes` is the sum of their stored sizes, `None` where a size is unknown
    /// (standard input, named pipes); `inputs` is how many there are. Told again where all is read a second time.
    fn planned(&self, bytes: Option<u64>, inputs: usize);

    /// `stored_bytes` more were read, counted as they lie on disk (before decompression).
    fn read(&self, stored_bytes: u64);

    /// An input was read to its end, or as far as it could be. `path` is as in the report.
    fn finished_input(&self, path: &str);

    /// True from when nothing more is to be read: the run ends with what it has by then.
    fn is_stopped(&self) -> bool {
        false
    }
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn planned(&self, _: Option<u64>, _: usize) {}

    fn read(&self, _: u64) {}

    fn finished_input(&self, _: &str) {}
}
