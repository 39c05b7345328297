//! Files that `-o` names: format by extension, and never one of the inputs.

use super::args::ReportFormat;
use crate::report::text::{TextStyle, render};
use crate::report::{html, json, markdown};
use crate::{Error, Report};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// A report starts like this, as data, text, Markdown or HTML.
const STARTS: [&[u8]; 4] = [
    b"{\n  \"schema\": \"postmesh.",
    b"postmesh ",
    markdown::START.as_bytes(),
    html::START.as_bytes(),
];

/// A file to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OutputFile {
    path: PathBuf,
    format: ReportFormat,
}

/// Formats by their names.
const FORMATS: [(&str, ReportFormat); 4] = [
    ("text", ReportFormat::Text),
    ("json", ReportFormat::Json),
    ("markdown", ReportFormat::Markdown),
    ("html", ReportFormat::Html),
];

/// Formats by the extensions of files.
const EXTENSIONS: [(&str, ReportFormat); 6] = [
    ("txt", ReportFormat::Text),
    ("json", ReportFormat::Json),
    ("md", ReportFormat::Markdown),
    ("markdown", ReportFormat::Markdown),
    ("html", ReportFormat::Html),
    ("htm", ReportFormat::Html),
];

/// What is wrong with a name after `-o`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum NameError {
    /// kubectl's habit: a format where a file is meant.
    #[error("`-o` names a file; for {0} on standard output use `-f {0}`")]
    IsFormat(&'static str),
    /// The extension says nothing.
    #[error("the format follows from the extension, which must be .html, .md, .json or .txt")]
    Extension,
}

impl OutputFile {
    /// The file of that name, its format by its extension.
    pub(super) fn named(path: &Path) -> Result<Self, NameError> {
        let is = |word: &str| path.as_os_str().eq_ignore_ascii_case(word);
        let known = |word: &str| {
            EXTENSIONS
                .iter()
                .find(|(extension, _)| word.eq_ignore_ascii_case(extension))
                .map(|(_, format)| *format)
        };
        if let Some((name, _)) = FORMATS.iter().find(|(name, _)| is(name)) {
            return Err(NameError::IsFormat(name));
        }
        if let Some((_, format)) = EXTENSIONS.iter().find(|(extension, _)| is(extension)) {
            let name = FORMATS.iter().find(|(_, of)| of == format);
            return Err(NameError::IsFormat(name.map_or("text", |(name, _)| name)));
        }
        let format = path
            .extension()
            .and_then(|extension| extension.to_str())
            .and_then(known)
            .ok_or(NameError::Extension)?;
        Ok(Self {
            path: path.to_owned(),
            format,
        })
    }

    /// What is written into it.
    pub(super) fn format(&self) -> ReportFormat {
        self.format
    }

    /// Fails now rather than after the run where the file could not be written, or is evidence: a file that is
    /// or lies under one of `inputs` is replaced only if it is a report itself.
    pub(super) fn check(&self, inputs: &[PathBuf]) -> Result<(), Error> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(self.failed(std::io::Error::other("its folder does not exist")));
        }
        let Ok(there) = self.path.canonicalize() else {
            return Ok(());
        };
        let is_input = inputs
            .iter()
            .filter_map(|input| input.canonicalize().ok())
            .any(|i| there.starts_with(i));
        if is_input && !is_report(&there) {
            return Err(self.failed(std::io::Error::other(
                "is an input and would be overwritten; name another file",
            )));
        }
        Ok(())
    }

    /// Where it lies.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Writes a text into it.
    pub(super) fn write_text(&self, text: &str) -> Result<(), Error> {
        std::fs::write(&self.path, text).map_err(|error| self.failed(error))
    }

    /// Writes the report; `style` is that of the terminal's report, of which width and character set are kept.
    pub(super) fn write(&self, report: &Report, style: &TextStyle) -> Result<(), Error> {
        let written = File::create(&self.path).map(BufWriter::new).and_then(|mut file| {
            match self.format {
                ReportFormat::Json => json::render(report, &mut file)?,
                ReportFormat::Text => {
                    let plain = TextStyle {
                        color: false,
                        terminal: false,
                        ..*style
                    };
                    file.write_all(render(report, &plain).as_bytes())?;
                }
                ReportFormat::Markdown => file.write_all(markdown::render(report).as_bytes())?,
                ReportFormat::Html => file.write_all(html::render(report).as_bytes())?,
            }
            file.flush()
        });
        written.map_err(|error| self.failed(error))
    }

    fn failed(&self, source: std::io::Error) -> Error {
        Error::File {
            path: self.path.clone(),
            source,
        }
    }
}

fn is_report(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(64).read_to_end(&mut start));
    read.is_ok() && (start.is_empty() || STARTS.iter().any(|known| start.starts_with(known)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures;

    #[test]
    fn extensions_and_formats() {
        for (name, format) in [
            ("report.json", Ok(ReportFormat::Json)),
            ("a/b.JSON", Ok(ReportFormat::Json)),
            ("report.txt", Ok(ReportFormat::Text)),
            ("json", Err(NameError::IsFormat("json"))),
            ("TEXT", Err(NameError::IsFormat("text"))),
            ("report", Err(NameError::Extension)),
            ("report.html", Ok(ReportFormat::Html)),
            ("ticket.md", Ok(ReportFormat::Markdown)),
            ("Html", Err(NameError::IsFormat("html"))),
            ("md", Err(NameError::IsFormat("markdown"))),
            ("report.pdf", Err(NameError::Extension)),
            ("-", Err(NameError::Extension)),
        ] {
            assert_eq!(
                OutputFile::named(Path::new(name)).map(|file| file.format),
                format,
                "{name}"
            );
        }
    }

    #[test]
    fn inputs_are_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let evidence = folder.path().join("proxy.txt");
        std::fs::write(
            &evidence,
            "[2026-11-02T03:12:44.120Z] \"GET / HTTP/1.1\" 503 UF\n",
        )
        .unwrap();
        let inputs = [folder.path().to_owned()];
        let error = OutputFile::named(&evidence).unwrap().check(&inputs).unwrap_err();
        assert!(error.to_string().contains("is an input"), "{error}");
        assert!(
            OutputFile::named(&evidence).unwrap().check(&[]).is_ok(),
            "elsewhere it may be replaced"
        );
    }

    #[test]
    fn a_report_may_be_written_again_beside_its_inputs() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = [folder.path().to_owned()];
        for name in ["report.json", "report.txt", "report.html", "report.md"] {
            let file = OutputFile::named(&folder.path().join(name)).unwrap();
            for _ in 0..2 {
                file.check(&inputs).unwrap();
                file.write(
                    &fixtures::refused(),
                    &TextStyle {
                        color: true,
                        ..TextStyle::default()
                    },
                )
                .unwrap();
            }
        }
        let text = std::fs::read_to_string(folder.path().join("report.txt")).unwrap();
        assert!(!text.contains('\u{1b}') && text.contains(" CRITICAL "));
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_at_once() {
        let error = OutputFile::named(Path::new("/nowhere/at/all.json"))
            .unwrap()
            .check(&[])
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "/nowhere/at/all.json: its folder does not exist"
        );
    }
}
