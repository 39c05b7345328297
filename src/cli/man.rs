//! `postmesh man`: the manual page.

use super::args::Args;
use super::exit::Status;
use super::session::Session;
use crate::Error;
use clap::CommandFactory;

/// Runs the command.
pub(super) fn run(session: &mut Session<'_>) -> Result<Status, Error> {
    let page = clap_mangen::Man::new(Args::command());
    session.print_with(|mut out| page.render(&mut out))?;
    Ok(Status::Clean)
}
