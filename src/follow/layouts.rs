//! The layouts of access logs that a configuration among the inputs gives.

use super::{Opened, open};
use crate::decode::document::{self, DOCUMENT_BYTES_MAX, Statement};
use crate::decode::log::Layouts;
use crate::decode::output;
use crate::input::Source;
use memchr::memmem;
use std::collections::BTreeSet;

/// What stands in every configuration that gives one.
const MARKS: [&[u8]; 4] = [
    b"accessLogFormat",
    b"envoyFileAccessLog",
    b"log_format",
    b"logFormat",
];

/// Those of all documents among `sources` that are no known layouts.
pub fn of(sources: &[Source]) -> Layouts {
    let formats: BTreeSet<String> = sources.iter().flat_map(formats).collect();
    Layouts::beyond_known(formats.iter().map(String::as_str))
}

fn formats(source: &Source) -> Vec<String> {
    let Ok(Opened::Log(mut reader)) = open(source, &Layouts::default()) else {
        return Vec::new();
    };
    let Some(form) = output::recognise(reader.head()).form else {
        return Vec::new();
    };
    let mut data = Vec::new();
    while let Some(block) = reader.next_block(Vec::new()) {
        if data.len().saturating_add(block.data.len()) > DOCUMENT_BYTES_MAX {
            return Vec::new();
        }
        data.extend_from_slice(&block.data);
    }
    if !MARKS.iter().any(|mark| memmem::find(&data, mark).is_some()) {
        return Vec::new();
    }
    let said = document::read(&data, form, 0).said.into_iter();
    said.filter_map(|said| match said.statement {
        Statement::AccessLogFormat(format) => Some(format),
        _ => None,
    })
    .collect()
}
