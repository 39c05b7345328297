//! `postmesh batch`: many incidents, a line each.

use super::args::{BatchArgs, Format, ReportFormat};
use super::exit::Status;
use super::output::OutputFile;
use super::privacy::Names;
use super::session::Session;
use super::{analyze, options};
use crate::report::batch::{Batch, Incident};
use crate::report::privacy::texts::Content;
use crate::report::{html, json, text};
use crate::{Error, Report};
use std::path::Path;

/// Runs the command: each folder by itself, one after the other. One that cannot be read is a line, not an end.
pub(super) fn run(args: &BatchArgs, session: &mut Session<'_>) -> Result<Status, Error> {
    for file in &args.output {
        file.check(&args.input.paths)?;
    }
    if let Some(folder) = &args.reports {
        std::fs::create_dir_all(folder).map_err(|source| Error::File {
            path: folder.clone(),
            source,
        })?;
    }
    let mut names = Names::of(&args.names)?;
    let mut batch = Batch::default();
    let mut statuses = Vec::new();
    for (number, path) in args.input.paths.iter().enumerate() {
        let options = options::of_batch(args, path)?;
        let mut name = path.display().to_string();
        names.text(Content::Path, &mut name);
        match analyze::engine(&options, args.show.quiet, &args.privacy, session) {
            Ok(mut report) => {
                names.report(&mut report);
                statuses.push(Status::of_report(&report));
                let page = write_page(args, number, &name, &report)?;
                batch.add(Incident {
                    page,
                    ..Incident::of(name, &report)
                });
            }
            Err(error) => {
                statuses.push(Status::Incomplete);
                let incident = {
                    let mut why = error.to_string();
                    names.text(Content::Said, &mut why);
                    Incident::broken(name, why)
                };
                batch.add(incident);
            }
        }
    }
    names.finish()?;
    for file in &args.output {
        write(file, &batch, session, args)?;
    }
    match (args.show.format, args.show.quiet) {
        (Some(Format::Json), _) => session.print_with(|out| json::write_document(&batch, out))?,
        (Some(Format::Text), _) | (None, false) => {
            let style = session.style(&args.show.draw);
            session.print(&text::render_batch(&batch, &style))?;
        }
        (None, true) => {}
    }
    let status = if batch.incidents.iter().all(|incident| incident.error.is_some()) {
        Status::Usage
    } else if statuses.contains(&Status::Findings) {
        Status::Findings
    } else if statuses.contains(&Status::Incomplete) {
        Status::Incomplete
    } else {
        Status::Clean
    };
    Ok(if args.exit_zero {
        status.unless_error()
    } else {
        status
    })
}

/// Writes the page of one incident, if that is asked for: its name from where the first page of all lies.
fn write_page(args: &BatchArgs, number: usize, name: &str, report: &Report) -> Result<Option<String>, Error> {
    let Some(folder) = &args.reports else {
        return Ok(None);
    };
    let of_name = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '_'
        }
    };
    // A folder `input` says little; the one above it may say more.
    let parts: Vec<_> = Path::new(name).components().rev().take(2).collect();
    let parts = parts.iter().rev().map(|part| part.as_os_str().to_string_lossy());
    let name: String = parts.collect::<Vec<_>>().join("-").chars().map(of_name).collect();
    // Folders of one name are many: the number tells them apart.
    let file = folder.join(format!("{:03}-{name}.html", number.saturating_add(1)));
    std::fs::write(&file, html::render(report)).map_err(|source| Error::File {
        path: file.clone(),
        source,
    })?;
    let index = args
        .output
        .iter()
        .find(|file| file.format() == ReportFormat::Html);
    let from = index.map(|index| index.folder().to_owned()).unwrap_or_default();
    let link = match file.strip_prefix(&from) {
        Ok(below) => below.to_owned(),
        // Somewhere else on this disk.
        Err(_) => std::path::absolute(&file).unwrap_or(file),
    };
    Ok(Some(link.display().to_string()))
}

fn write(file: &OutputFile, batch: &Batch, session: &Session<'_>, args: &BatchArgs) -> Result<(), Error> {
    match file.format() {
        ReportFormat::Html => file.write_text(&html::batch::render(batch)),
        ReportFormat::Json => {
            let mut data = Vec::new();
            json::write_document(batch, &mut data)
                .map_err(|_| Error::Internal("a batch has no JSON form"))?;
            file.write_text(&String::from_utf8_lossy(&data))
        }
        ReportFormat::Text => {
            let style = text::TextStyle {
                color: false,
                terminal: false,
                ..session.style(&args.show.draw)
            };
            file.write_text(&text::render_batch(batch, &style))
        }
        ReportFormat::Markdown => Err(Error::Option {
            option: "--output",
            message: "a batch is written as .html, .json or .txt".to_owned(),
        }),
    }
}
