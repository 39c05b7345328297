//! The catalogue of error texts, as `postmesh signatures` shows it.

use super::page::{Page, Role};
use super::table::{Cell, Column, Set, Table};
use crate::catalog::{Catalog, Severity, Signature};

/// Where the values of one signature start.
const COLUMN: usize = 15;

/// All signatures, one line each.
pub(super) fn list(catalog: &Catalog, page: &mut Page) {
    let mut table = Table::new(vec![
        Column::new("signature", Set::Left),
        Column::dropped("source", Set::Left, 2),
        Column::dropped("severity", Set::Left, 1),
        Column::dropped("points to", Set::Left, 3),
        Column::new("means", Set::Prose(30)),
    ]);
    for signature in &catalog.signatures {
        table.row(vec![
            Cell::plain(&signature.id),
            Cell::plain(signature.source.name()),
            Cell(role(signature.severity), signature.severity.name().to_owned()),
            Cell::plain(signature.cause.as_deref().unwrap_or("")),
            Cell::plain(&signature.title),
        ]);
    }
    table.put(page);
}

/// One signature in full.
pub(super) fn one(signature: &Signature, page: &mut Page) {
    let line = page.line().push(Role::Strong, &signature.id);
    page.put_with_right(line, role(signature.severity), signature.severity.name());
    page.wrapped(2, Role::Plain, &signature.title);
    page.blank();
    let field = format!("{}, field {}", signature.source.name(), signature.field.name());
    let access = signature.source == crate::catalog::SignatureSource::AccessLog;
    value(
        "source",
        if access { &field } else { signature.source.name() },
        page,
    );
    texts("looks for", &signature.literals, page);
    texts("and one of", &signature.also, page);
    texts("but not", &signature.not, page);
    value(
        "levels",
        &signature
            .levels
            .iter()
            .map(|level| level.name())
            .collect::<Vec<_>>()
            .join(", "),
        page,
    );
    value("points to", signature.cause.as_deref().unwrap_or(""), page);
    value("since", signature.since.as_deref().unwrap_or(""), page);
    value("until", signature.until.as_deref().unwrap_or(""), page);
    value("careful", signature.note.as_deref().unwrap_or(""), page);
    value("documented", &signature.documented_in, page);
    let verified = if signature.verified {
        "found in a source or a recorded log"
    } else {
        "not yet"
    };
    value("verified", verified, page);
    texts("must match", &signature.matches, page);
    texts("must not", &signature.rejects, page);
}

fn value(label: &str, text: &str, page: &mut Page) {
    if !text.is_empty() {
        page.labelled((Role::Faint, label), COLUMN, Role::Plain, text);
    }
}

fn texts(label: &str, texts: &[String], page: &mut Page) {
    for (i, text) in texts.iter().enumerate() {
        value(if i == 0 { label } else { "" }, text, page);
    }
}

fn role(severity: Severity) -> Role {
    match severity {
        Severity::Critical => Role::Critical,
        Severity::Warning => Role::Warning,
        Severity::Info => Role::Plain,
    }
}
