//! What the engine tells of its progress; the command line draws it.

/// Told as reading goes on, from any thread.
pub trait Progress: Sync {
    /// How much there is to read: bytes as stored, where every input's size is known.
    fn planned(&self, bytes: Option<u64>, inputs: usize);
    /// Bytes as stored that were read since the last call.
    fn read(&self, stored_bytes: u64);
    /// An input was read to its end.
    fn finished_input(&self, path: &str);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn planned(&self, _: Option<u64>, _: usize) {}
    fn read(&self, _: u64) {}
    fn finished_input(&self, _: &str) {}
}
