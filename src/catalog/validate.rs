//! What must hold for entries beyond their types.

use super::cause::{Cause, TemplatePath};
use super::flag::Flag;
use super::placeholder::{Placeholders, quoted_placeholder, unknown_placeholder};
use super::position::{Mistake, Step};
use super::signature::{AccessField, Signature, SignatureSource};
use super::threshold::Threshold;
use std::collections::BTreeSet;

/// Checks one file's signatures; `causes` holds every id that they may refer to.
pub(super) fn signatures(list: &[Signature], causes: &BTreeSet<String>) -> Result<(), Mistake> {
    unique("signature", list.iter().map(|entry| entry.id.as_str()))?;
    for (at, entry) in list.iter().enumerate() {
        signature(entry, causes).map_err(|mistake| inside("signature", at, mistake))?;
    }
    Ok(())
}

/// Checks one file's causes; `causes` holds every id that they may refer to.
pub(super) fn causes(list: &[Cause], causes: &BTreeSet<String>) -> Result<(), Mistake> {
    unique("cause", list.iter().map(|entry| entry.id.as_str()))?;
    for (at, entry) in list.iter().enumerate() {
        cause(entry, causes).map_err(|mistake| inside("cause", at, mistake))?;
    }
    Ok(())
}

/// Checks the flags.
pub(super) fn flags(list: &[Flag], causes: &BTreeSet<String>) -> Result<(), Mistake> {
    unique_names("flag", "name", list.iter().map(|flag| flag.name.as_str()))?;
    unique_names(
        "flag",
        "long_name",
        list.iter().map(|flag| flag.long_name.as_str()),
    )?;
    for (at, flag) in list.iter().enumerate() {
        reference(flag.cause.as_deref(), causes).map_err(|mistake| inside("flag", at, mistake))?;
    }
    Ok(())
}

/// Checks the thresholds.
pub(super) fn thresholds(list: &[Threshold]) -> Result<(), Mistake> {
    unique("threshold", list.iter().map(|entry| entry.id.as_str()))
}

fn signature(entry: &Signature, causes: &BTreeSet<String>) -> Result<(), Mistake> {
    filled("title", &entry.title)?;
    literals(entry)?;
    no_empty("also", &entry.also)?;
    no_empty("not", &entry.not)?;
    reference(entry.cause.as_deref(), causes)?;
    if entry.field != AccessField::Details && entry.source != SignatureSource::AccessLog {
        return Err(mistake(
            "field",
            "only entries with source = \"access-log\" have a field",
        ));
    }
    if !entry.levels.is_empty() && !entry.source.has_levels() {
        return Err(mistake(
            "levels",
            format!("lines of source \"{}\" have no level", entry.source.name()),
        ));
    }
    Ok(())
}

fn literals(entry: &Signature) -> Result<(), Mistake> {
    if entry.literals.is_empty() {
        return Err(mistake("literals", "at least one literal is needed"));
    }
    let short = entry
        .literals
        .iter()
        .position(|literal| literal.len() < Signature::MIN_LITERAL_BYTES);
    short.map_or(Ok(()), |at| {
        let message = format!("a literal needs at least {} bytes", Signature::MIN_LITERAL_BYTES);
        Err(element("literals", at, message))
    })
}

fn cause(entry: &Cause, causes: &BTreeSet<String>) -> Result<(), Mistake> {
    filled("title", &entry.title)?;
    filled("summary", &entry.summary)?;
    if !(1..=5).contains(&entry.step) {
        return Err(mistake(
            "step",
            format!("{} is not one of the steps 1 to 5", entry.step),
        ));
    }
    for (at, look_alike) in entry.look_alikes.iter().enumerate() {
        if look_alike.cause == entry.id {
            return Err(look_alike_mistake(
                at,
                "a cause is no look-alike of itself".to_owned(),
            ));
        }
        if !causes.contains(&look_alike.cause) {
            return Err(look_alike_mistake(at, no_cause(&look_alike.cause)));
        }
    }
    entry
        .templates()
        .try_for_each(|(path, text)| template(path, text))
}

fn look_alike_mistake(at: usize, message: String) -> Mistake {
    Mistake {
        path: vec![Step::Key("look_alikes"), Step::Index(at), Step::Key("cause")],
        message,
    }
}

fn template(path: TemplatePath, text: &str) -> Result<(), Mistake> {
    let at = |message| {
        Err(Mistake {
            path: steps(path),
            message,
        })
    };
    if let Some(name) = unknown_placeholder(text) {
        let known = Placeholders::NAMES.join(", ");
        return at(format!(
            "there is no placeholder {{{name}}}; there are {known}; write {{{{{name}}}}} for the text itself"
        ));
    }
    match quoted_placeholder(text) {
        Some(name) if path.is_command() => at(format!(
            "{{{name}}} stands inside quotes; it brings its own where it needs them"
        )),
        _ => Ok(()),
    }
}

fn steps(path: TemplatePath) -> Vec<Step> {
    let mut steps = vec![Step::Key(path.field)];
    steps.extend(path.index.map(Step::Index));
    steps.extend(path.key.map(Step::Key));
    steps
}

fn reference(cause: Option<&str>, causes: &BTreeSet<String>) -> Result<(), Mistake> {
    match cause {
        Some(id) if !causes.contains(id) => Err(mistake("cause", no_cause(id))),
        _ => Ok(()),
    }
}

fn no_cause(id: &str) -> String {
    format!("there is no cause \"{id}\"")
}

fn unique<'entry>(
    table: &'static str,
    ids: impl Iterator<Item = &'entry str> + Clone,
) -> Result<(), Mistake> {
    if let Some(at) = ids.clone().position(|id| !is_kebab_case(id)) {
        return Err(inside(
            table,
            at,
            mistake(
                "id",
                "an id is of lower-case letters and digits with single hyphens",
            ),
        ));
    }
    unique_names(table, "id", ids)
}

fn unique_names<'entry>(
    table: &'static str,
    key: &'static str,
    names: impl Iterator<Item = &'entry str>,
) -> Result<(), Mistake> {
    let mut seen = BTreeSet::new();
    for (at, name) in names.enumerate() {
        if !seen.insert(name) {
            return Err(inside(
                table,
                at,
                mistake(key, format!("\"{name}\" stands twice in this file")),
            ));
        }
    }
    Ok(())
}

/// Lower-case letters, digits, and single hyphens between them.
pub(super) fn is_kebab_case(id: &str) -> bool {
    let word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    id.split('-').all(word)
}

fn filled(key: &'static str, text: &str) -> Result<(), Mistake> {
    if text.trim().is_empty() {
        Err(mistake(key, "must not be empty"))
    } else {
        Ok(())
    }
}

fn no_empty(key: &'static str, list: &[String]) -> Result<(), Mistake> {
    let empty = list.iter().position(String::is_empty);
    empty.map_or(Ok(()), |at| {
        Err(element(key, at, "an empty text stands in every line".to_owned()))
    })
}

fn mistake(key: &'static str, message: impl Into<String>) -> Mistake {
    Mistake {
        path: vec![Step::Key(key)],
        message: message.into(),
    }
}

fn element(key: &'static str, at: usize, message: String) -> Mistake {
    Mistake {
        path: vec![Step::Key(key), Step::Index(at)],
        message,
    }
}

fn inside(table: &'static str, at: usize, mut mistake: Mistake) -> Mistake {
    mistake.path.splice(0..0, [Step::Key(table), Step::Index(at)]);
    mistake
}
