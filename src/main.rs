//! The `postmesh` program: hands the command line to [`postmesh::cli`] and ends with its exit status.

use std::process::ExitCode;

/// Thousands of short names are made in workers and dropped by the merge, which the system's allocator does under
/// locks and with many small steps of its heap. Without large pages (feature `no_thp`): they spare 5 to 10 % of the CPU
/// time on an idle machine, but take 30 to 60 MiB more, past the bound of memory with a million names, and where memory
/// is fragmented the kernel spends up to as much time again on making them.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    postmesh::cli::run(std::env::args_os())
}
