//! `postmesh completions`: what a shell needs to complete arguments.

use super::args::Args;
use super::exit::Status;
use super::session::Session;
use crate::Error;
use clap::CommandFactory;

/// Runs the command.
pub(super) fn run(shell: clap_complete::Shell, session: &mut Session<'_>) -> Result<Status, Error> {
    // Into memory first: the generator panics where its writer fails.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "postmesh", &mut script);
    session.print_with(|out| out.write_all(&script))?;
    Ok(Status::Clean)
}
