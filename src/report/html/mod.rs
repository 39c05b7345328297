//! The report as one HTML file, for people: it opens from disk, asks for nothing from a network, and can be read without
//! scripts, in print, by keyboard, in light and dark, and on a narrow screen.
//!
//! [`render`] goes from the model to one string. Every text goes through `element`, which escapes it. The page allows
//! nothing but its own style and script, by their hashes; the script only filters, marks and switches what is there.

pub mod batch;
mod cite;
mod element;
mod errors;
mod findings;
mod inputs;
mod ladder;
mod latency;
mod method;
mod packets;
mod spent;
mod table;
#[cfg(test)]
mod tests;
mod timeline;
mod topology;
mod verdict;
mod window;
pub(in crate::report) mod words;

use super::model::Report;
use super::text::clock::Clock;
use super::text::verdict::only;
use cite::Quotes;
use element::{Element, el};

/// Bytes of the largest page; lists are cut until it fits.
pub const MAX_BYTES: usize = 2 << 20;

/// How every page starts.
pub const START: &str = "<!doctype html>\n<!-- postmesh -->";

/// How often lists are halved to make a page fit.
const HALVINGS: u32 = 8;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The page allows nothing but what carries these hashes, which the build takes of the two files.
const POLICY: &str = concat!(
    "default-src 'none'; script-src '",
    env!("POSTMESH_SCRIPT_HASH"),
    "'; style-src '",
    env!("POSTMESH_STYLE_HASH"),
    "'; base-uri 'none'; form-action 'none'"
);

/// What every section is given.
struct Context<'r> {
    /// The report.
    report: &'r Report,
    /// How times are written.
    clock: Clock,
    /// Texts of cited places.
    quotes: Quotes<'r>,
    /// How often lists are halved.
    halvings: u32,
}

impl Context<'_> {
    /// How many of a list that may have `rows` are shown.
    fn rows(&self, rows: usize) -> usize {
        (rows >> self.halvings).max(1)
    }
}

/// A section: its anchor, its title, and what makes it; it is left out where there is nothing to say.
type Section = (&'static str, &'static str, fn(&Context<'_>) -> Element);

const SECTIONS: [Section; 11] = [
    ("steps", "The five steps", verdict::steps),
    ("findings", "Findings", findings::findings),
    ("timeline", "Since when", timeline::timeline),
    ("errors", "What failed", errors::errors),
    ("latency", "How slow", latency::latency),
    ("spent", "Where the time went", spent::spent),
    ("topology", "Who called whom", topology::topology),
    ("packets", "Packets", packets::packets),
    ("signatures", "Known error texts", errors::signatures),
    ("inputs", "Inputs", inputs::inputs),
    ("method", "What the figures mean", method::method),
];

/// The report as a page of at most [`MAX_BYTES`].
pub fn render(report: &Report) -> String {
    let mut html = String::new();
    for halvings in 0..HALVINGS {
        html = page(&Context {
            report,
            clock: Clock::new(&report.window),
            quotes: Quotes::of(report),
            halvings,
        });
        if html.len() <= MAX_BYTES {
            break;
        }
    }
    html
}

fn page(context: &Context<'_>) -> String {
    let title = format!("postmesh: {}", context.report.verdict.headline);
    let mut links = el("nav").attr("aria-label", "Sections");
    let mut main = el("main").attr("id", "main").child(verdict::verdict(context));
    for (id, title, make) in SECTIONS {
        let inside = make(context);
        if inside.is_empty() {
            continue;
        }
        links = links.child(el("a").attr("href", format!("#{id}")).text(title));
        let heading = format!("{id}-title");
        main = main.child(
            el("section")
                .attr("id", id)
                .attr("aria-labelledby", &heading)
                .child(el("h2").attr("id", &heading).text(title))
                .child(inside),
        );
    }
    let body = el("body")
        .child(el("a").class("skip").attr("href", "#main").text("To the verdict"))
        .child(header(context))
        .child(links)
        .child(main)
        .child(footer(context))
        .child(el("script").source(SCRIPT));
    let html = el("html").attr("lang", "en").child(head(&title)).child(body);
    format!("{START}\n{}\n", html.finish())
}

/// The head of every page: what it allows, its title, its style.
fn head(title: &str) -> Element {
    el("head")
        .child(el("meta").attr("charset", "utf-8"))
        .child(
            el("meta")
                .attr("http-equiv", "Content-Security-Policy")
                .attr("content", POLICY),
        )
        .child(
            el("meta")
                .attr("name", "viewport")
                .attr("content", "width=device-width, initial-scale=1"),
        )
        .child(
            el("meta")
                .attr("name", "color-scheme")
                .attr("content", "light dark"),
        )
        .child(el("meta").attr("name", "referrer").attr("content", "no-referrer"))
        .child(el("title").text(title))
        .child(el("style").source(STYLE))
}

fn header(context: &Context<'_>) -> Element {
    let report = context.report;
    let mut about = el("p")
        .class("about")
        .text(format!("{} {}", report.tool.name, report.tool.version));
    for part in words::size(report) {
        about = about.text(" ").child(el("span").text(part));
    }
    if let (Some(start), Some(end)) = (report.window.start, report.window.end) {
        about = about
            .text(" ")
            .child(el("span").text(context.clock.window(start, end)));
    }
    if let Some(only) = only(report) {
        about = about.text(" ").child(el("span").text(only));
    }
    el("header").child(about).child(
        el("div")
            .attr("id", "tools")
            .attr("hidden", "")
            .child(tool("open-all", "Open all"))
            .child(tool("theme", "Light or dark")),
    )
}

fn tool(id: &'static str, title: &'static str) -> Element {
    el("button").attr("type", "button").attr("id", id).text(title)
}

fn footer(context: &Context<'_>) -> Element {
    let catalog = &context.report.catalog;
    let mut text = format!("Catalogue {}", catalog.version);
    if !catalog.user_files.is_empty() {
        text = format!("{text}, with {}", catalog.user_files.join(", "));
    }
    foot(&format!("{text}."))
}

/// The foot of every page.
fn foot(text: &str) -> Element {
    el("footer").child(el("p").text(format!(
        "{text} This file is complete: it loads nothing and sends nothing. All times are UTC."
    )))
}

/// What a cut list says of the rest; nothing where all is shown.
fn rest(shown: usize, all: usize) -> Element {
    match all.checked_sub(shown) {
        Some(left @ 1..) => el("p").class("note").text(format!(
            "{left} more are left out here; the report as JSON has them."
        )),
        _ => el(""),
    }
}
