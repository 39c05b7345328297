//! `postmesh collect`: a script that gathers what a diagnosis needs. It is printed; nothing is run.

use super::args::CollectArgs;
use super::exit::Status;
use super::session::Session;
use crate::Error;
use crate::catalog::collect::Collect;

/// Runs the command.
pub(super) fn run(args: &CollectArgs, session: &mut Session<'_>) -> Result<Status, Error> {
    let collect = Collect {
        namespace: args.namespace.clone(),
        istio_namespace: args.istio_namespace.clone(),
        since: args.since.clone(),
        pods: args.pods.clone(),
    };
    session.print(&collect.script())?;
    Ok(Status::Clean)
}
