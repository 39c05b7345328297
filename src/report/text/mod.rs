//! The report for people: verdict first, then what speaks for it, then the figures, then what to do.
//!
//! [`render`] goes from the model to one string. Every line is built through `page`, which escapes each
//! text it is given and cuts what is wider than the page, so that no section can break either promise.
//! Without colour and links there is no escape sequence in the result; without a terminal no bar is wider than 40.

mod also;
mod batch;
mod catalog;
mod changes;
mod chart;
pub(in crate::report) mod clock;
mod evidence;
mod excerpt;
mod failed;
pub(in crate::report) mod inputs;
pub(in crate::report) mod ladder;
mod links;
mod next;
pub(in crate::report) mod number;
mod packets;
mod page;
pub(in crate::report) mod place;
mod signatures;
mod since;
mod slow;
mod spent;
mod table;
#[cfg(test)]
mod tests;
mod top;
pub(in crate::report) mod verdict;
mod wrap;

use super::batch::Batch;
use super::compare::model::Diff;
use super::model::{Finding, Report, State};
use crate::catalog::{Catalog, Signature};
use crate::follow::frame::Frame;
use crate::follow::show::Shown;
use crate::follow::trace::Trace;
pub use links::Links;
use page::Page;

/// How a report is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextStyle {
    /// Columns; no line is wider. At least [`TextStyle::MIN_WIDTH`] is used.
    pub width: usize,
    /// Whether severity and bars are coloured, by ANSI escape sequences.
    pub color: bool,
    /// Whether anything beyond ASCII may be written.
    pub unicode: bool,
    /// Whether the text goes to a terminal, where bars may be as wide as there is room.
    pub terminal: bool,
}

impl TextStyle {
    /// The narrowest page that is drawn.
    pub const MIN_WIDTH: usize = 40;
}

impl Default for TextStyle {
    fn default() -> Self {
        Self {
            width: 80,
            color: false,
            unicode: true,
            terminal: false,
        }
    }
}

/// The report as text, with a final newline.
pub fn render(report: &Report, style: &TextStyle) -> String {
    render_linked(report, style, None)
}

/// The report as text for a terminal, in which names of inputs are links.
pub fn render_linked(report: &Report, style: &TextStyle, links: Option<Links>) -> String {
    let mut page = Page::new(*style).with(links);
    for section in SECTIONS {
        section(report, &mut page);
    }
    page.finish()
}

/// The inputs as a table: what `postmesh inspect` prints.
pub fn render_inputs(report: &Report, style: &TextStyle) -> String {
    let mut page = Page::new(*style);
    inputs::inspect(report, &mut page);
    page.finish()
}

/// Cited places with what stands around them: what `postmesh show` prints. Lines wider than the page are cut unless
/// `full`.
pub fn render_shown(shown: &Shown, style: &TextStyle, full: bool) -> String {
    let width = if full { usize::MAX } else { style.width };
    let mut page = Page::new(TextStyle { width, ..*style });
    excerpt::excerpts(shown, style.width.max(TextStyle::MIN_WIDTH), &mut page);
    page.finish()
}

/// A frame in one line: time, direction, flags, numbers, and what it says. As it stands: to be escaped.
pub fn frame_line(frame: &Frame) -> String {
    let line = format!("{}  {}", excerpt::clock(frame.time), excerpt::segment(frame));
    match excerpt::said(frame) {
        said if said.is_empty() => line,
        said => format!("{line}  {said}"),
    }
}

/// One request through every input: what `postmesh trace` prints.
pub fn render_trace(trace: &Trace, style: &TextStyle) -> String {
    let mut page = Page::new(*style);
    ladder::ladder(trace, &mut page);
    page.finish()
}

/// Many incidents beside each other: what `postmesh batch` prints.
pub fn render_batch(of: &Batch, style: &TextStyle) -> String {
    let mut page = Page::new(*style);
    batch::batch(of, &mut page);
    page.finish()
}

/// Rows by fields, of which there are `all` groups: what `postmesh top` prints.
pub fn render_top(report: &Report, all: usize, style: &TextStyle) -> String {
    let mut page = Page::new(*style);
    top::top(report, all, &mut page);
    page.finish()
}

/// A comparison of two reports: what `postmesh diff` prints.
pub fn render_diff(diff: &Diff, style: &TextStyle) -> String {
    let mut page = Page::new(*style);
    changes::changes(diff, &mut page);
    page.finish()
}

/// The catalogue's signatures, one line each.
pub fn render_signature_list(catalog: &Catalog, style: &TextStyle) -> String {
    let mut page = Page::new(*style);
    catalog::list(catalog, &mut page);
    page.finish()
}

/// One signature in full.
pub fn render_signature(signature: &Signature, style: &TextStyle) -> String {
    let mut page = Page::new(*style);
    catalog::one(signature, &mut page);
    page.finish()
}

/// The finding that leads the report: the cause, or what the symptoms point to.
fn lead(report: &Report) -> Option<&Finding> {
    match report.verdict.state {
        State::CauseFound | State::SymptomsOnly => report.findings.first(),
        State::Healthy | State::NotEnough => None,
    }
}

/// The sections in their order; each writes nothing where there is nothing to say.
const SECTIONS: [fn(&Report, &mut Page); 15] = [
    verdict::title,
    verdict::verdict,
    evidence::evidence,
    evidence::ruled_out,
    evidence::examined,
    since::since,
    also::also_found,
    failed::failed,
    slow::slow,
    spent::spent,
    packets::packets,
    signatures::signatures,
    next::what_now,
    next::missing,
    inputs::inputs,
];
