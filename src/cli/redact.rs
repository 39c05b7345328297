//! `postmesh redact`: copies of logs that may be passed on.

use super::args::RedactArgs;
use super::exit::Status;
use super::privacy::{pseudonyms, write_map};
use super::session::Session;
use super::show::sources;
use crate::Error;
use crate::redact::redact;
use crate::report::privacy::pseudonyms::Care;
use std::path::Path;

/// Runs the command.
pub(super) fn run(args: &RedactArgs, session: &mut Session<'_>) -> Result<Status, Error> {
    let mut names = pseudonyms(&args.pseudonyms, Care::Texts)?;
    let once = |path: &&std::path::PathBuf| {
        !std::fs::metadata(path).is_ok_and(|data| data.is_file() || data.is_dir())
    };
    if let Some(path) = args.input.paths.iter().find(once) {
        return Err(Error::Option {
            option: "PATH",
            message: format!(
                "{} cannot be read twice, and names are learned before they are replaced: save it to a file first",
                path.display()
            ),
        });
    }
    // Found before the folder is made, which may be beside them.
    let sources = sources(&args.input.paths)?;
    let layouts = args.layouts.or_of_mesh(&sources);
    make(&args.output, &args.input.paths)?;
    let redacted = redact(&sources, &layouts, &mut names, &args.output)?;
    if let Some(map) = &args.pseudonym_map {
        write_map(map, &names)?;
    }
    for (path, why) in &redacted.left_out {
        session.complain(&format!("left out: {path}: {why}"));
    }
    for (path, why) in &redacted.damaged {
        session.complain(&format!(
            "warning: {path}: copied as far as it could be read: {why}"
        ));
    }
    if redacted.written.is_empty() {
        return Err(Error::NothingRead("there is no log among the inputs".to_owned()));
    }
    let (files, lines) = (redacted.written.len(), redacted.lines);
    session.print(&format!(
        "{files} log{} with {lines} line{} written; {} left out\n",
        if files == 1 { "" } else { "s" },
        if lines == 1 { "" } else { "s" },
        redacted.left_out.len()
    ))?;
    Ok(Status::Clean)
}

/// Makes the folder. One that holds anything is refused, so that nothing is mixed or replaced, and one within the inputs,
/// so that copies are never taken for inputs.
fn make(folder: &Path, inputs: &[std::path::PathBuf]) -> Result<(), Error> {
    let failed = |source: std::io::Error| Error::File {
        path: folder.to_owned(),
        source,
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    if std::fs::read_dir(folder).map_err(failed)?.next().is_some() {
        return Err(failed(std::io::Error::other(
            "holds something already; name another folder",
        )));
    }
    let there = folder.canonicalize().map_err(failed)?;
    let within = inputs
        .iter()
        .filter_map(|input| input.canonicalize().ok())
        .any(|input| there.starts_with(input));
    if within {
        // It was empty, so nothing is lost.
        let _ = std::fs::remove_dir(folder);
        return Err(failed(std::io::Error::other(
            "lies among the inputs; name another folder",
        )));
    }
    Ok(())
}
