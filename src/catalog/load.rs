//! Files to a catalogue: read, check, lay the user's entries over the built-in ones.

use super::{Catalog, Cause, Flag, FlagTable, Signature, Threshold, Thresholds, position, validate};
use crate::Error;
use position::Mistake;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A file of `data/`, and the same as JSON, which `build.rs` makes of it: reading TOML took half of the time that a small
/// run takes. The TOML says in which line a mistake is.
#[derive(Clone, Copy)]
struct Table {
    name: &'static str,
    toml: &'static str,
    json: &'static str,
}

macro_rules! table {
    ($name:literal) => {
        Table {
            name: concat!("data/", $name, ".toml"),
            toml: include_str!(concat!("../../data/", $name, ".toml")),
            json: include_str!(concat!(env!("OUT_DIR"), "/", $name, ".json")),
        }
    };
}

const SIGNATURES: Table = table!("signatures");
const CAUSES: Table = table!("causes");
const FLAGS: Table = table!("flags");
const THRESHOLDS: Table = table!("thresholds");

/// The layout of these files; others are refused.
const SCHEMA: u32 = 1;

/// Signatures are numbered with 16 bits.
const MAX_SIGNATURES: usize = u16::MAX as usize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureFile {
    schema: Option<u32>,
    version: Option<String>,
    #[serde(default)]
    signature: Vec<Signature>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CauseFile {
    schema: Option<u32>,
    #[serde(default)]
    cause: Vec<Cause>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FlagFile {
    schema: Option<u32>,
    flag: Vec<Flag>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ThresholdFile {
    schema: Option<u32>,
    threshold: Vec<Threshold>,
}

/// A file of the user's with its text, which is kept for naming lines.
struct UserFile<T> {
    path: PathBuf,
    text: String,
    content: T,
}

/// See [`Catalog::load`].
pub(super) fn load(signature_files: &[PathBuf], cause_files: &[PathBuf]) -> Result<Catalog, Error> {
    let user_causes = read_all::<CauseFile>(cause_files)?;
    let user_signatures = read_all::<SignatureFile>(signature_files)?;
    let built_in = built_in()?;

    let mut causes = by_id(built_in.causes, |cause| &cause.id);
    causes.extend(by_id(
        user_causes.iter().flat_map(|file| file.content.cause.clone()),
        |cause| &cause.id,
    ));
    let cause_ids: BTreeSet<String> = causes.keys().cloned().collect();
    check_all(&user_causes, |file| {
        schema(file.schema).and_then(|()| validate::causes(&file.cause, &cause_ids))
    })?;

    check_all(&user_signatures, |file| {
        schema(file.schema).and_then(|()| validate::signatures(&file.signature, &cause_ids))
    })?;
    let mut signatures = by_id(built_in.signatures, |signature| &signature.id);
    signatures.extend(by_id(
        user_signatures
            .iter()
            .flat_map(|file| file.content.signature.clone()),
        |it| &it.id,
    ));
    if signatures.len() > MAX_SIGNATURES {
        return Err(Error::Option {
            option: "--signatures",
            message: format!("{} signatures are more than {MAX_SIGNATURES}", signatures.len()),
        });
    }

    Ok(Catalog {
        version: built_in.version,
        signatures: signatures.into_values().collect(),
        causes: causes.into_values().collect(),
        flags: built_in.flags,
        thresholds: built_in.thresholds,
        user_files: signature_files
            .iter()
            .chain(cause_files)
            .map(|path| path.display().to_string())
            .collect(),
    })
}

/// What the files of `data/` hold.
struct BuiltIn {
    version: String,
    signatures: Vec<Signature>,
    causes: Vec<Cause>,
    flags: FlagTable,
    thresholds: Thresholds,
}

fn built_in() -> Result<BuiltIn, Error> {
    let cause_file: CauseFile = parse_built_in(CAUSES)?;
    let cause_ids: BTreeSet<String> = cause_file.cause.iter().map(|cause| cause.id.clone()).collect();
    check_built_in(
        CAUSES,
        cause_file.schema,
        validate::causes(&cause_file.cause, &cause_ids),
    )?;

    let signature_file: SignatureFile = parse_built_in(SIGNATURES)?;
    let checked = validate::signatures(&signature_file.signature, &cause_ids);
    check_built_in(SIGNATURES, signature_file.schema, checked)?;

    let flag_file: FlagFile = parse_built_in(FLAGS)?;
    check_built_in(
        FLAGS,
        flag_file.schema,
        validate::flags(&flag_file.flag, &cause_ids),
    )?;

    let threshold_file: ThresholdFile = parse_built_in(THRESHOLDS)?;
    let checked = validate::thresholds(&threshold_file.threshold);
    check_built_in(THRESHOLDS, threshold_file.schema, checked)?;

    Ok(BuiltIn {
        version: signature_file.version.unwrap_or_default(),
        signatures: signature_file.signature,
        causes: cause_file.cause,
        flags: FlagTable::new(flag_file.flag),
        thresholds: Thresholds::new(threshold_file.threshold),
    })
}

fn parse_built_in<T: DeserializeOwned>(table: Table) -> Result<T, Error> {
    serde_json::from_str(table.json).map_err(|error| {
        let in_toml = parse::<T>(Path::new(table.name), table.toml).err();
        Error::BuiltIn(in_toml.map_or(error.to_string(), |error| error.to_string()))
    })
}

fn check_built_in(
    table: Table,
    schema_of_file: Option<u32>,
    checked: Result<(), Mistake>,
) -> Result<(), Error> {
    schema(schema_of_file)
        .and(checked)
        .map_err(|mistake| Error::BuiltIn(mistake.into_error(Path::new(table.name), table.toml).to_string()))
}

fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, Error> {
    toml::from_str(text).map_err(|error| position::toml_error(path, text, &error))
}

fn read_all<T: DeserializeOwned>(paths: &[PathBuf]) -> Result<Vec<UserFile<T>>, Error> {
    paths.iter().map(|path| read(path)).collect()
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<UserFile<T>, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })?;
    let content = parse(path, &text)?;
    Ok(UserFile {
        path: path.to_owned(),
        text,
        content,
    })
}

fn check_all<T>(files: &[UserFile<T>], check: impl Fn(&T) -> Result<(), Mistake>) -> Result<(), Error> {
    files.iter().try_for_each(|file| {
        check(&file.content).map_err(|mistake| mistake.into_error(&file.path, &file.text))
    })
}

fn schema(found: Option<u32>) -> Result<(), Mistake> {
    match found {
        None | Some(SCHEMA) => Ok(()),
        Some(other) => Err(Mistake {
            path: vec![position::Step::Key("schema")],
            message: format!("layout {other} is not known; this program reads layout {SCHEMA}"),
        }),
    }
}

fn by_id<T>(entries: impl IntoIterator<Item = T>, id: impl Fn(&T) -> &String) -> BTreeMap<String, T> {
    entries
        .into_iter()
        .map(|entry| (id(&entry).clone(), entry))
        .collect()
}

#[cfg(test)]
mod tests;
