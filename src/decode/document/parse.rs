//! JSON and YAML to events with their lines. The parsers are `serde_json` and `saphyr-parser`.

use super::Form;
use super::tree::{Builder, Event};
use saphyr_parser::{Event as YamlEvent, Parser, ScalarStyle};
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::io::{self, Read};

/// What is wrong with a document, and on which line, from 0.
type Stop = (u32, String);

/// Reads a document up to its end or its first damage.
pub(super) fn parse(data: &[u8], form: Form, builder: &mut Builder<'_>) -> Option<Stop> {
    match form {
        Form::Json => json(data, builder),
        Form::Yaml => yaml(data, builder),
        // Their readers need no events.
        Form::Describe | Form::Prometheus | Form::Probe | Form::Aligned | Form::Sockets => None,
    }
}

/// One document after the other, until the text ends.
fn json(data: &[u8], builder: &mut Builder<'_>) -> Option<Stop> {
    let line = Cell::new(0);
    let mut documents = serde_json::Deserializer::from_reader(Lines {
        rest: data,
        line: &line,
    });
    loop {
        builder.restart();
        let walk = Walk { builder, line: &line };
        if documents.end().is_ok() {
            return None;
        }
        if let Err(error) = walk.deserialize(&mut documents) {
            return Some((
                line_of(error.line()),
                format!("this is no JSON: {}", without_place(&error)),
            ));
        }
    }
}

/// What `serde_json` says, without the line that is told beside it.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rfind(" at line ")
        .and_then(|at| text.get(..at))
        .unwrap_or(&text)
        .to_owned()
}

/// Gives bytes and counts the lines of those that it gave.
struct Lines<'a> {
    rest: &'a [u8],
    line: &'a Cell<u32>,
}

impl Read for Lines<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let (Some((first, rest)), Some(slot)) = (self.rest.split_first(), out.first_mut()) else {
            return Ok(0);
        };
        *slot = *first;
        self.rest = rest;
        if *first == b'\n' {
            self.line.set(self.line.get().saturating_add(1));
        }
        Ok(1)
    }
}

/// Walks through a value and tells the builder. How deep it goes `serde_json` bounds.
struct Walk<'w, 's> {
    builder: &'w mut Builder<'s>,
    line: &'w Cell<u32>,
}

impl<'s> Walk<'_, 's> {
    fn tell(&mut self, event: Event<'_>) {
        self.builder.event(event, self.line.get());
    }

    fn inner(&mut self) -> Walk<'_, 's> {
        Walk {
            builder: &mut *self.builder,
            line: self.line,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.tell(Event::Map);
        while map.next_key_seed(self.inner())?.is_some() {
            map.next_value_seed(self.inner())?;
        }
        self.tell(Event::End);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        self.tell(Event::List);
        while list.next_element_seed(self.inner())?.is_some() {}
        self.tell(Event::End);
        Ok(())
    }

    fn visit_str<E>(mut self, text: &str) -> Result<(), E> {
        self.tell(Event::Scalar(text));
        Ok(())
    }

    fn visit_bool<E>(mut self, value: bool) -> Result<(), E> {
        self.tell(Event::Scalar(if value { "true" } else { "false" }));
        Ok(())
    }

    fn visit_u64<E>(mut self, value: u64) -> Result<(), E> {
        self.tell(Event::Scalar(&value.to_string()));
        Ok(())
    }

    fn visit_i64<E>(mut self, value: i64) -> Result<(), E> {
        self.tell(Event::Scalar(&value.to_string()));
        Ok(())
    }

    fn visit_f64<E>(mut self, value: f64) -> Result<(), E> {
        self.tell(Event::Scalar(&value.to_string()));
        Ok(())
    }

    fn visit_unit<E>(mut self) -> Result<(), E> {
        self.tell(Event::Scalar(""));
        Ok(())
    }
}

/// An alias is left out, so that a small text cannot stand for a large one.
fn yaml(data: &[u8], builder: &mut Builder<'_>) -> Option<Stop> {
    let mut text = String::from_utf8_lossy(data);
    if memchr::memchr(b'\r', data).is_some() {
        // YAML ends lines at a carriage return too, and nobody counts lines by these.
        text = Cow::Owned(text.replace("\r\n", "\n").replace('\r', " "));
    }
    let mut events = Parser::new_from_str(&text);
    while let Some(event) = events.next_event() {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                return Some((
                    line_of(error.marker().line()),
                    format!("this is no YAML: {}", error.info()),
                ));
            }
        };
        let line = line_of(span.start.line());
        match event {
            YamlEvent::DocumentStart(_) => builder.restart(),
            YamlEvent::MappingStart(..) => builder.event(Event::Map, line),
            YamlEvent::SequenceStart(..) => builder.event(Event::List, line),
            YamlEvent::MappingEnd | YamlEvent::SequenceEnd => builder.event(Event::End, line),
            YamlEvent::Scalar(text, style, ..) => {
                let none = style == ScalarStyle::Plain && matches!(text.as_ref(), "~" | "null");
                builder.event(Event::Scalar(if none { "" } else { &text }), line);
            }
            YamlEvent::Alias(_) => builder.event(Event::Scalar(""), line),
            YamlEvent::Nothing | YamlEvent::StreamStart | YamlEvent::StreamEnd | YamlEvent::DocumentEnd => {}
        }
    }
    None
}

/// From a number from 1.
fn line_of(number: usize) -> u32 {
    u32::try_from(number.saturating_sub(1)).unwrap_or(u32::MAX)
}
