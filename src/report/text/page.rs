//! The page: lines of coloured runs, escaped as they come in and never wider than the page.

use super::wrap::{cut_end, width_of, wrap};
use super::{Links, TextStyle};
use crate::report::escape::{Charset, escape};
use anstyle::{AnsiColor, Style};
use std::borrow::Cow;
use std::fmt::Write;

/// A command is not cut up to this width, which none without hostile names has.
pub(super) const WHOLE_COLUMNS: usize = 1000;

/// What a run of text is; only colour and weight tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Text.
    Plain,
    /// Headings and what must be seen first.
    Strong,
    /// What may be skipped.
    Faint,
    /// Critical severity.
    Critical,
    /// Warning severity.
    Warning,
    /// All is well.
    Good,
    /// A bar that measures something neutral.
    Bar,
    /// A bar that measures failures.
    FailedBar,
    /// The verdict's mark: critical.
    CriticalBadge,
    /// The verdict's mark: warning or undecided.
    WarningBadge,
    /// The verdict's mark: healthy.
    GoodBadge,
}

impl Role {
    fn style(self) -> Style {
        let colored = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
        let badge = |color: AnsiColor| colored(AnsiColor::Black).bg_color(Some(color.into())).bold();
        match self {
            Self::Plain => Style::new(),
            Self::Strong => Style::new().bold(),
            Self::Faint => Style::new().dimmed(),
            Self::Critical => colored(AnsiColor::Red).bold(),
            Self::Warning => colored(AnsiColor::Yellow).bold(),
            Self::Good => colored(AnsiColor::Green).bold(),
            Self::Bar => colored(AnsiColor::Cyan),
            Self::FailedBar => colored(AnsiColor::Red),
            Self::CriticalBadge => colored(AnsiColor::BrightWhite)
                .bg_color(Some(AnsiColor::Red.into()))
                .bold(),
            Self::WarningBadge => badge(AnsiColor::Yellow),
            Self::GoodBadge => badge(AnsiColor::Green),
        }
    }
}

/// One line in the making.
#[derive(Clone, Debug)]
pub(super) struct Line {
    charset: Charset,
    runs: Vec<(Role, String)>,
    width: usize,
}

impl Line {
    /// Adds `text`, escaped.
    #[must_use]
    pub(super) fn push(mut self, role: Role, text: &str) -> Self {
        let shown = escape(text, self.charset);
        self.width += width_of(&shown);
        self.runs.push((role, shown.into_owned()));
        self
    }

    /// Adds plain text, escaped.
    #[must_use]
    pub(super) fn plain(self, text: &str) -> Self {
        self.push(Role::Plain, text)
    }

    /// Adds spaces up to `column` (from 0); nothing when the line is there already.
    #[must_use]
    pub(super) fn pad_to(self, column: usize) -> Self {
        let spaces = column.saturating_sub(self.width);
        self.plain(&" ".repeat(spaces))
    }

    /// Adds `text` so that it ends at `column`, two spaces from what stands before at least.
    #[must_use]
    pub(super) fn right(self, role: Role, text: &str, column: usize) -> Self {
        let start = column.saturating_sub(width_of(&escape(text, self.charset)));
        let gap = if self.width == 0 { 0 } else { 2 };
        let start = start.max(self.width + gap);
        self.pad_to(start).push(role, text)
    }

    /// Columns so far.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Cuts the line to `columns`.
    fn fit(&mut self, columns: usize, ellipsis: &str) {
        if self.width <= columns {
            return;
        }
        let mut left = columns.saturating_sub(width_of(ellipsis));
        let cut = self.runs.iter().position(|(_, text)| {
            let width = width_of(text);
            let over = width > left;
            left = if over { left } else { left - width };
            over
        });
        if let Some((role, text)) = cut.and_then(|at| self.runs.get_mut(at)) {
            let kept = (*role, format!("{}{ellipsis}", cut_end(text, left, "")));
            self.runs.truncate(cut.unwrap_or(0));
            self.runs.push(kept);
        }
        self.width = self.runs.iter().map(|(_, text)| width_of(text)).sum();
    }

    fn paint(&self, color: bool, links: Option<&Links>, out: &mut String) {
        let end = self
            .runs
            .iter()
            .rposition(|(_, text)| !text.trim_end().is_empty());
        let Some(end) = end else { return };
        for (i, (role, text)) in self.runs.iter().enumerate().take(end + 1) {
            let badge = matches!(role, Role::CriticalBadge | Role::WarningBadge | Role::GoodBadge);
            let text = if i == end && !(badge && color) {
                text.trim_end()
            } else {
                text
            };
            let style = role.style();
            let is_painted = color && *role != Role::Plain && !text.is_empty();
            // Writing to a String cannot fail.
            if is_painted {
                let _ = write!(out, "{style}");
            }
            match links {
                Some(links) => links.write(text, out),
                None => out.push_str(text),
            }
            if is_painted {
                let _ = write!(out, "{style:#}");
            }
        }
    }
}

/// The report in the making.
#[derive(Debug)]
pub(super) struct Page {
    style: TextStyle,
    lines: Vec<Line>,
    links: Option<Links>,
}

impl Page {
    /// An empty page.
    pub(super) fn new(style: TextStyle) -> Self {
        let width = style.width.max(TextStyle::MIN_WIDTH);
        Self {
            style: TextStyle { width, ..style },
            lines: Vec::new(),
            links: None,
        }
    }

    /// The page with links.
    pub(super) fn with(self, links: Option<Links>) -> Self {
        Self { links, ..self }
    }

    /// Columns of the page.
    pub(super) fn width(&self) -> usize {
        self.style.width
    }

    /// How the page is drawn.
    pub(super) fn style(&self) -> TextStyle {
        self.style
    }

    fn charset(&self) -> Charset {
        if self.style.unicode {
            Charset::Unicode
        } else {
            Charset::Ascii
        }
    }

    /// `text` as it will be shown, for measuring.
    pub(super) fn shown<'text>(&self, text: &'text str) -> Cow<'text, str> {
        escape(text, self.charset())
    }

    /// What stands for what was cut.
    pub(super) fn ellipsis(&self) -> &'static str {
        if self.style.unicode { "…" } else { "..." }
    }

    /// An empty line to be filled.
    pub(super) fn line(&self) -> Line {
        Line {
            charset: self.charset(),
            runs: Vec::new(),
            width: 0,
        }
    }

    /// Writes a line.
    pub(super) fn put(&mut self, mut line: Line) {
        line.fit(self.style.width, self.ellipsis());
        self.lines.push(line);
    }

    /// Writes `line` whole up to [`WHOLE_COLUMNS`]: a command that is cut is none, and a terminal goes on in the next row.
    pub(super) fn put_whole(&mut self, mut line: Line) {
        line.fit(self.style.width.max(WHOLE_COLUMNS), self.ellipsis());
        self.lines.push(line);
    }

    /// Writes `line` with `text` at the right edge, on the next line where there is no room for both.
    pub(super) fn put_with_right(&mut self, line: Line, role: Role, text: &str) {
        if line.width() + 2 + width_of(&self.shown(text)) <= self.width() {
            let line = line.right(role, text, self.width());
            return self.put(line);
        }
        self.put(line);
        let line = self.line().right(role, text, self.width());
        self.put(line);
    }

    /// An empty line, unless the page is empty.
    pub(super) fn blank(&mut self) {
        if !self.lines.is_empty() {
            self.lines.push(self.line());
        }
    }

    /// A section's heading, with a note at the right edge; the note goes below where there is no room.
    pub(super) fn heading(&mut self, title: &str, note: &str) {
        self.blank();
        let line = self.line().push(Role::Strong, title);
        if note.is_empty() {
            return self.put(line);
        }
        let room = self.width().saturating_sub(line.width() + 2);
        if width_of(&self.shown(note)) <= room {
            let line = line.right(Role::Faint, note, self.width());
            return self.put(line);
        }
        self.put(line);
        self.wrapped(2, Role::Faint, note);
    }

    /// Words from `column` to the right edge, over as many lines as they need.
    pub(super) fn wrapped(&mut self, column: usize, role: Role, text: &str) {
        let room = self.width().saturating_sub(column);
        for part in wrap(&self.shown(text), room) {
            let line = self.line().pad_to(column).push(role, &part);
            self.put(line);
        }
    }

    /// A label at column 2 and words from `column`, hanging.
    pub(super) fn labelled(&mut self, label: (Role, &str), column: usize, role: Role, text: &str) {
        let room = self.width().saturating_sub(column);
        let parts = wrap(&self.shown(text), room);
        self.labelled_lines(label, column, role, &parts);
    }

    /// A label at column 2 and ready lines from `column`, which are not cut.
    pub(super) fn labelled_lines(
        &mut self,
        label: (Role, &str),
        column: usize,
        role: Role,
        parts: &[String],
    ) {
        let mut first = self.line().pad_to(2).push(label.0, label.1);
        if first.width() + 1 > column {
            self.put(first);
            first = self.line();
        }
        let mut lines = parts.iter();
        if let Some(part) = lines.next() {
            self.put_whole(first.pad_to(column).push(role, part));
        } else if first.width() > 0 {
            self.put(first);
        }
        for part in lines {
            let line = self.line().pad_to(column).push(role, part);
            self.put_whole(line);
        }
    }

    /// The page as text.
    pub(super) fn finish(&self) -> String {
        let mut out = String::new();
        for line in &self.lines {
            line.paint(self.style.color, self.links.as_ref(), &mut out);
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(width: usize, color: bool) -> Page {
        Page::new(TextStyle {
            width,
            color,
            ..TextStyle::default()
        })
    }

    #[test]
    fn what_is_too_wide_is_cut_and_says_so() {
        let mut page = page(40, false);
        let line = page.line().plain(&"a".repeat(39)).push(Role::Strong, "bcd");
        page.put(line);
        assert_eq!(page.finish(), format!("{}…\n", "a".repeat(39)));
    }

    #[test]
    fn a_cut_shows_even_at_the_end_of_a_run() {
        let mut page = page(40, false);
        let line = page.line().plain(&"a".repeat(40)).plain("b");
        page.put(line);
        assert_eq!(page.finish(), format!("{}…\n", "a".repeat(39)));
    }

    #[test]
    fn colour_leaves_the_text_alone_and_trailing_space_goes() {
        for (color, shown) in [(false, "x  y\n"), (true, "x  \u{1b}[1m\u{1b}[31my\u{1b}[0m\n")] {
            let mut page = page(40, color);
            let line = page
                .line()
                .plain("x")
                .pad_to(3)
                .push(Role::Critical, "y")
                .pad_to(9);
            page.put(line);
            assert_eq!(page.finish(), shown);
        }
    }

    #[test]
    fn labels_that_do_not_fit_stand_alone() {
        let mut page = page(40, false);
        page.labelled((Role::Plain, "short"), 10, Role::Plain, "text");
        page.labelled((Role::Plain, "a-long-label"), 10, Role::Plain, "text");
        assert_eq!(page.finish(), "  short   text\n  a-long-label\n          text\n");
    }
}
