//! `postmesh signatures`: the catalogue of error texts.

use super::args::{SignatureFiles, SignaturesArgs, SignaturesCommand};
use super::exit::Status;
use super::session::Session;
use crate::Error;
use crate::catalog::Catalog;
use crate::matcher;
use crate::report::text;

/// Runs the command.
pub(super) fn run(args: &SignaturesArgs, session: &mut Session<'_>) -> Result<Status, Error> {
    match &args.command {
        SignaturesCommand::List(files) => list(files, session),
        SignaturesCommand::Show { id, files } => show(id, files, session),
        SignaturesCommand::Test(files) => test(files, session),
    }
}

fn list(files: &SignatureFiles, session: &mut Session<'_>) -> Result<Status, Error> {
    let catalog = Catalog::load(&files.files, &[])?;
    let style = session.style(&files.draw);
    session.print(&text::render_signature_list(&catalog, &style))?;
    Ok(Status::Clean)
}

fn show(id: &str, files: &SignatureFiles, session: &mut Session<'_>) -> Result<Status, Error> {
    let catalog = Catalog::load(&files.files, &[])?;
    let style = session.style(&files.draw);
    let Some(signature) = catalog.signature(id) else {
        return Err(Error::Option {
            option: "ID",
            message: unknown(id, &catalog),
        });
    };
    session.print(&text::render_signature(signature, &style))?;
    Ok(Status::Clean)
}

/// Names the ids that hold what was typed, or how to list them.
fn unknown(id: &str, catalog: &Catalog) -> String {
    let near: Vec<_> = catalog
        .signatures
        .iter()
        .map(|s| s.id.as_str())
        .filter(|known| known.contains(id))
        .take(5)
        .collect();
    let hint = if near.is_empty() {
        "see postmesh signatures list".to_owned()
    } else {
        near.join(", ")
    };
    format!("no signature is called {id:?}; {hint}")
}

fn test(files: &SignatureFiles, session: &mut Session<'_>) -> Result<Status, Error> {
    let catalog = Catalog::load(&files.files, &[])?;
    let failures = matcher::test_catalog(&catalog)?;
    for failure in &failures {
        session.complain(&failure.to_string());
    }
    let (tested, failed) = (catalog.signatures.len(), failures.len());
    session.print(&format!("{tested} signatures tested, {failed} examples failed\n"))?;
    Ok(if failures.is_empty() {
        Status::Clean
    } else {
        Status::Findings
    })
}
