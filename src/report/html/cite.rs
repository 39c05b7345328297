//! Citations that open what they cite.

use super::Context;
use super::element::{Element, el};
use crate::report::model::{Ref, Report};
use crate::report::text::number::group;
use crate::report::text::place;
use crate::units::InputId;
use std::collections::BTreeMap;

/// Citations of one claim that are listed.
const PLACES: usize = 12;

/// A line or a frame of an input.
type Key = (InputId, Option<u64>, Option<u64>);

/// Texts of cited places, as far as the report holds them.
pub(super) struct Quotes<'r>(BTreeMap<Key, &'r str>);

impl<'r> Quotes<'r> {
    /// Those of a report: what was quoted for it, and the examples of signatures.
    pub(super) fn of(report: &'r Report) -> Self {
        let mut quotes = BTreeMap::new();
        for signature in &report.signatures {
            for example in &signature.examples {
                quotes.insert((example.input, Some(example.line), None), example.text.as_str());
            }
        }
        for quote in &report.quotes {
            quotes.insert((quote.input, quote.line, quote.frame), quote.text.as_str());
        }
        Self(quotes)
    }

    /// The text of a place.
    pub(super) fn get(&self, place: &Ref) -> Option<&'r str> {
        let frame = place.frame.filter(|_| place.line.is_none());
        self.0.get(&(place.input, place.line, frame)).copied()
    }
}

/// A place; it opens the raw line or the frame where its text is known.
pub(super) fn citation(context: &Context<'_>, reference: &Ref) -> Element {
    named(
        context,
        reference,
        place::place(&context.report.inputs, reference),
    )
}

fn named(context: &Context<'_>, reference: &Ref, name: String) -> Element {
    match context.quotes.get(reference) {
        Some(text) => el("details")
            .class("cite")
            .child(el("summary").child(el("code").text(name)))
            .child(el("pre").text(text)),
        None => el("code").class("cite").text(name),
    }
}

/// A further place of the same input: only what tells it from the one before.
fn further(reference: &Ref) -> Option<String> {
    match (reference.line, reference.frame) {
        (Some(line), _) => Some(format!("line {line}")),
        (_, Some(frame)) => Some(format!("frame {frame}")),
        _ => None,
    }
}

/// The places of a claim that `count` records make.
pub(super) fn citations(context: &Context<'_>, refs: &[Ref], count: u64) -> Element {
    let shown = context.rows(PLACES).min(refs.len());
    let list = el("div")
        .class("cites")
        .children(refs.iter().take(shown).enumerate().map(|(number, reference)| {
            let before = number.checked_sub(1).and_then(|before| refs.get(before));
            let again = before.is_some_and(|before| before.input == reference.input);
            match further(reference).filter(|_| again) {
                Some(name) => named(context, reference, name),
                None => citation(context, reference),
            }
        }));
    let more = u64::try_from(shown)
        .ok()
        .and_then(|shown| count.checked_sub(shown))
        .filter(|more| *more > 0 && shown > 0);
    match more {
        Some(more) => list.child(el("span").class("faint").text(format!("… {} more", group(more)))),
        None => list,
    }
}

/// A command or a filter that is meant to be copied.
pub(super) fn command(text: &str) -> Element {
    el("pre").class("command").lines(text)
}
