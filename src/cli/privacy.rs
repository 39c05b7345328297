//! Other names and addresses in place of real ones, where `--pseudonyms` asks for them: done to documents after all else and
//! before anything of them is written.

use super::args::PseudonymArgs;
use crate::catalog::Catalog;
use crate::report::model::Input;
use crate::report::privacy::pseudonyms::{Care, KEY_BYTES, Learn, Pseudonyms, Rename};
use crate::report::privacy::texts::{Content, Edit as _, Texts};
use crate::{Error, Report};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Longest key that is read.
const MAX_KEY_BYTES: u64 = 4096;

/// What is done to names.
#[derive(Debug)]
pub(super) struct Names {
    pseudonyms: Option<Pseudonyms>,
    map: Option<PathBuf>,
}

impl Names {
    /// As it was typed. Reads the key, so that a run that cannot be shown does not begin.
    pub(super) fn of(args: &PseudonymArgs) -> Result<Self, Error> {
        let pseudonyms = args
            .pseudonyms
            .as_deref()
            .map(|file| pseudonyms(file, Care::Names))
            .transpose()?;
        Ok(Self {
            pseudonyms,
            map: args.pseudonym_map.clone(),
        })
    }

    /// A report, which then says what was done to it.
    pub(super) fn report(&mut self, report: &mut Report) {
        report.privacy.pseudonyms = self.pseudonyms.is_some();
        self.document(report);
    }

    /// Any document.
    pub(super) fn document(&mut self, document: &mut impl Texts) {
        self.learn(document);
        if let Some(pseudonyms) = &mut self.pseudonyms {
            document.edit(&mut Rename(pseudonyms));
        }
    }

    /// What a document names is a name in others too.
    pub(super) fn learn(&mut self, document: &mut impl Texts) {
        if let Some(pseudonyms) = &mut self.pseudonyms {
            document.edit(&mut Learn::new(pseudonyms));
        }
    }

    /// What is told of inputs while a document is under way.
    pub(super) fn inputs(&mut self, inputs: &[Input]) -> Vec<Input> {
        let mut inputs = inputs.to_vec();
        self.document(&mut inputs);
        inputs
    }

    /// One text.
    pub(super) fn text(&mut self, content: Content, text: &mut String) {
        if let Some(pseudonyms) = &mut self.pseudonyms {
            Rename(pseudonyms).text(content, text);
        }
    }

    /// Writes what stands for what, if that was asked for.
    pub(super) fn finish(&self) -> Result<(), Error> {
        match (&self.pseudonyms, &self.map) {
            (Some(pseudonyms), Some(file)) => write_map(file, pseudonyms),
            _ => Ok(()),
        }
    }
}
/// Pseudonyms by the key in `file`.
pub(super) fn pseudonyms(file: &Path, care: Care) -> Result<Pseudonyms, Error> {
    let mut key = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(MAX_KEY_BYTES).read_to_end(&mut key))
        .map_err(|source| Error::File {
            path: file.to_owned(),
            source,
        })?;
    let catalog = Catalog::built_in()?;
    let texts = catalog
        .signatures
        .iter()
        .flat_map(|signature| {
            signature
                .literals
                .iter()
                .chain(&signature.also)
                .chain(&signature.not)
        })
        .map(String::as_str);
    Pseudonyms::new(&key, care, texts).ok_or_else(|| Error::Option {
        option: "--pseudonyms",
        message: format!(
            "{} holds {} bytes, and a key has at least {KEY_BYTES}: head -c 32 /dev/urandom > FILE makes one",
            file.display(),
            key.len()
        ),
    })
}

/// Writes pseudonyms and what they stand for, a line each, for the eyes of the file's owner.
pub(super) fn write_map(file: &Path, pseudonyms: &Pseudonyms) -> Result<(), Error> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(file).and_then(|opened| {
        // A file that was there before may be open to others.
        #[cfg(unix)]
        opened.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        let mut out = std::io::BufWriter::new(opened);
        for (pseudonym, name) in pseudonyms.map() {
            writeln!(out, "{pseudonym}\t{name}")?;
        }
        out.flush()
    });
    written.map_err(|source| Error::File {
        path: file.to_owned(),
        source,
    })
}
