//! What a run took: wall time, rate, peak memory. The clock is read here and nowhere else.

use crate::report::model::{Input, Run};
use std::time::Instant;

/// A run that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopwatch(Instant);

impl Stopwatch {
    /// Begins.
    #[expect(clippy::disallowed_methods, reason = "the command line alone reads the clock")]
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// The facts of the run so far.
    pub(super) fn run(self, threads: usize, inputs: &[Input]) -> Run {
        let elapsed = self.0.elapsed();
        let bytes = inputs
            .iter()
            .map(|input| input.bytes)
            .fold(0, u64::saturating_add);
        let ns = elapsed.as_nanos().max(1);
        let bytes_per_s = u128::from(bytes) * 1_000_000_000 / ns;
        Run {
            threads: u64::try_from(threads).unwrap_or(u64::MAX),
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            bytes_per_s: u64::try_from(bytes_per_s).unwrap_or(u64::MAX),
            peak_memory_bytes: peak_memory_bytes(),
        }
    }
}

/// Peak resident memory of this process (`VmHWM`, proc(5)); 0 where the system does not tell.
fn peak_memory_bytes() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| vm_hwm_bytes(&status))
        .unwrap_or(0)
}

fn vm_hwm_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_proc() {
        assert_eq!(
            vm_hwm_bytes("VmPeak:\t  9 kB\nVmHWM:\t    1234 kB\n"),
            Some(1_263_616)
        );
        assert_eq!(vm_hwm_bytes("VmHWM:\tmany kB\n"), None);
        assert_eq!(vm_hwm_bytes(""), None);
    }
}
