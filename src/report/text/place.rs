//! Places in inputs as people write them: `reviews-v1.log:20411`, `reviews-v1.pcap frame 88123`.

use super::number::group;
use super::page::Page;
use super::wrap::pack;
use crate::report::model::{Input, Ref};
use crate::units::InputId;

/// How many places are printed before the rest is only counted.
const PLACES: usize = 6;

/// The input with this number.
pub(in crate::report) fn input_of(inputs: &[Input], id: InputId) -> Option<&Input> {
    usize::try_from(id.0)
        .ok()
        .and_then(|at| inputs.get(at))
        .filter(|input| input.id == id)
        .or_else(|| inputs.iter().find(|input| input.id == id))
}

/// The name of an input, with the member of an archive after `!`.
pub(in crate::report) fn name_of(input: &Input) -> String {
    match &input.member {
        Some(member) => format!("{}!{member}", input.path),
        None => input.path.clone(),
    }
}

fn name_by_id(inputs: &[Input], id: InputId) -> String {
    input_of(inputs, id).map_or_else(|| format!("input {}", id.0), name_of)
}

/// A place in full.
pub(in crate::report) fn place(inputs: &[Input], place: &Ref) -> String {
    let name = name_by_id(inputs, place.input);
    match (place.line, place.frame, place.offset_bytes) {
        (Some(line), _, _) => format!("{name}:{line}"),
        (_, Some(frame), _) => format!("{name} frame {frame}"),
        (_, _, Some(offset)) => format!("{name} (byte {})", group(offset)),
        _ => name,
    }
}

/// A further place of the same input: only what tells it from the one before.
fn further(place: &Ref) -> Option<String> {
    place.line.or(place.frame).map(|number| number.to_string())
}

/// Places in lines of at most `columns`, each input named once; `count` is how many there are in all.
pub(super) fn places(page: &Page, inputs: &[Input], refs: &[Ref], count: u64, columns: usize) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before: Option<InputId> = None;
    for reference in refs.iter().take(PLACES) {
        let short = further(reference).filter(|_| before == Some(reference.input));
        let word = short.unwrap_or_else(|| place(inputs, reference));
        words.push(page.shown(&word).into_owned());
        before = Some(reference.input);
    }
    let shown = u64::try_from(words.len()).unwrap_or(u64::MAX);
    if let Some(more @ 1..) = count.checked_sub(shown).filter(|_| shown > 0) {
        words.push(format!("{} {} more", page.ellipsis(), group(more)));
    }
    pack(words.iter().map(String::as_str), "  ", columns)
}
