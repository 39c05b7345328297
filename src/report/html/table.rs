//! Tables: captions, headers with a scope, numbers to the right, and a frame that scrolls on narrow screens.

use super::element::{Element, el};

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    /// Texts.
    Left,
    /// Numbers.
    Right,
}

/// A table that is being filled.
pub(super) struct Table {
    label: String,
    columns: Vec<(&'static str, Set)>,
    body: Element,
    rows: usize,
}

impl Table {
    /// A table without rows; `label` says to those who hear it what it is.
    pub(super) fn new(label: impl Into<String>, columns: impl Into<Vec<(&'static str, Set)>>) -> Self {
        Self {
            label: label.into(),
            columns: columns.into(),
            body: el("tbody"),
            rows: 0,
        }
    }

    /// A row of texts; the first one names it.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) {
        self.row_of(cells.into_iter().map(|cell| el("").text(cell)), None);
    }

    /// A row of elements; `span` is from when to when it was, in milliseconds, for the choice of a window.
    pub(super) fn row_of(&mut self, cells: impl IntoIterator<Item = Element>, span: Option<(i64, i64)>) {
        self.row_in(el("tr"), cells, span);
    }

    /// The same, in a row that has attributes of its own.
    pub(super) fn row_in(
        &mut self,
        row: Element,
        cells: impl IntoIterator<Item = Element>,
        span: Option<(i64, i64)>,
    ) {
        let mut row = row;
        if let Some((first, last)) = span {
            row = row
                .attr("data-first", first.to_string())
                .attr("data-last", last.to_string());
        }
        for (number, cell) in cells.into_iter().enumerate() {
            let right = self
                .columns
                .get(number)
                .is_some_and(|(_, set)| *set == Set::Right);
            let mut place = if number == 0 {
                el("th").attr("scope", "row")
            } else {
                el("td")
            };
            if right {
                place = place.class("n");
            }
            row = row.child(place.child(cell));
        }
        let body = std::mem::replace(&mut self.body, el("tbody"));
        self.body = body.child(row);
        self.rows += 1;
    }

    /// Rows so far.
    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// The table; nothing where it has no row.
    pub(super) fn finish(self) -> Element {
        if self.rows == 0 {
            return el("");
        }
        let head = el("tr").children(self.columns.iter().map(|(title, set)| {
            let cell = el("th").attr("scope", "col").text(title);
            match set {
                Set::Left => cell,
                Set::Right => cell.class("n"),
            }
        }));
        scrolling(
            &self.label,
            el("table").child(el("thead").child(head)).child(self.body),
        )
    }
}

/// Something wide that scrolls by itself, by keyboard too.
pub(super) fn scrolling(label: &str, inside: Element) -> Element {
    el("div")
        .class("wide")
        .attr("role", "region")
        .attr("tabindex", "0")
        .attr("aria-label", label)
        .child(inside)
}

/// A list that is closed at first.
pub(super) fn closed(title: &str, inside: Element) -> Element {
    if inside.is_empty() {
        return el("");
    }
    el("details").child(el("summary").text(title)).child(inside)
}
