//! The `postmesh` program: hands the command line to [`postmesh::cli`] and ends with its exit status.

use std::process::ExitCode;

fn main() -> ExitCode {
    postmesh::cli::run(std::env::args_os())
}
