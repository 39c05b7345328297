//! Aligned columns that fit a page: the flexible ones shrink, then the least important ones go.

use super::page::{Line, Page, Role};
use super::wrap::{cut_end, cut_middle, width_of};

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    /// Flush left, cut in the middle where there is no room; not below this width while other columns can go.
    Flexible(usize),
    /// Flush left, cut at its end where there is no room; otherwise as [`Set::Flexible`].
    Prose(usize),
    /// Flush left, as wide as its widest cell.
    Left,
    /// Flush right, as wide as its widest cell.
    Right,
}

/// A column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    title: String,
    set: Set,
    /// 0 stays; of the others the greatest goes first.
    drop_rank: u8,
}

impl Column {
    /// A column that always stays.
    pub(super) fn new(title: &str, set: Set) -> Self {
        Self {
            title: title.to_owned(),
            set,
            drop_rank: 0,
        }
    }

    /// A column that goes where there is no room, the greatest `rank` first.
    pub(super) fn dropped(title: &str, set: Set, rank: u8) -> Self {
        Self {
            drop_rank: rank,
            ..Self::new(title, set)
        }
    }

    /// The width that a column of `natural` width takes where flexible ones are capped.
    fn capped(&self, natural: usize, cap: usize) -> usize {
        match self.set {
            Set::Flexible(least) | Set::Prose(least) => natural.min(cap.max(least)),
            Set::Left | Set::Right => natural,
        }
    }
}

/// A cell.
#[derive(Clone, Debug)]
pub(super) struct Cell(pub(super) Role, pub(super) String);

impl Cell {
    /// Plain text.
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self(Role::Plain, text.into())
    }
}

/// Rows under columns.
#[derive(Clone, Debug)]
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table.
    pub(super) fn new(columns: Vec<Column>) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a row with a cell for each column.
    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Writes the table from column 2 on; columns without any text are left out.
    pub(super) fn put(mut self, page: &mut Page) {
        for cell in self.rows.iter_mut().flatten() {
            cell.1 = page.shown(&cell.1).into_owned();
        }
        self.drop_empty();
        let room = page.width().saturating_sub(2);
        let widths = self.fit(room);
        if self.columns.iter().any(|column| !column.title.is_empty()) {
            let titles = self
                .columns
                .iter()
                .map(|column| Cell(Role::Faint, column.title.clone()))
                .collect();
            put_row(page, &self.columns, &widths, titles);
        }
        for row in self.rows {
            put_row(page, &self.columns, &widths, row);
        }
    }

    fn drop_empty(&mut self) {
        for at in (0..self.columns.len()).rev() {
            if self
                .rows
                .iter()
                .all(|row| row.get(at).is_none_or(|cell| cell.1.is_empty()))
            {
                self.remove(at);
            }
        }
    }

    fn remove(&mut self, at: usize) {
        self.columns.remove(at);
        for row in &mut self.rows {
            if at < row.len() {
                row.remove(at);
            }
        }
    }

    /// Widths that fit `room`, after dropping what had to be dropped.
    fn fit(&mut self, room: usize) -> Vec<usize> {
        loop {
            let natural: Vec<usize> = (0..self.columns.len()).map(|at| self.natural_width(at)).collect();
            let gaps = 2 * natural.len().saturating_sub(1);
            let capped = |cap: usize| {
                self.columns
                    .iter()
                    .zip(&natural)
                    .map(move |(c, &w)| c.capped(w, cap))
            };
            let needed = |cap: usize| capped(cap).sum::<usize>() + gaps;
            let droppable = (0..self.columns.len())
                .filter(|&at| self.columns.get(at).is_some_and(|c| c.drop_rank > 0))
                .max_by_key(|&at| self.columns.get(at).map_or(0, |c| c.drop_rank));
            match droppable {
                Some(at) if needed(0) > room => self.remove(at),
                _ => {
                    let cap = (0..=room).rev().find(|&cap| needed(cap) <= room);
                    return match cap {
                        Some(cap) => capped(cap).collect(),
                        None => self.squeezed(&natural, room.saturating_sub(gaps)),
                    };
                }
            }
        }
    }

    /// Widths on a page too narrow even for the least: the flexible columns share what the others leave.
    fn squeezed(&self, natural: &[usize], room: usize) -> Vec<usize> {
        let flexible = |column: &Column| matches!(column.set, Set::Flexible(_) | Set::Prose(_));
        let columns = || self.columns.iter().zip(natural);
        let fixed: usize = columns().filter(|(c, _)| !flexible(c)).map(|(_, &w)| w).sum();
        let sharing = columns().filter(|(c, _)| flexible(c)).count().max(1);
        let each = (room.saturating_sub(fixed) / sharing).max(1);
        columns()
            .map(|(c, &w)| if flexible(c) { w.min(each) } else { w })
            .collect()
    }

    fn natural_width(&self, at: usize) -> usize {
        let cells = self
            .rows
            .iter()
            .filter_map(|row| row.get(at))
            .map(|cell| width_of(&cell.1));
        let title = self.columns.get(at).map_or(0, |column| width_of(&column.title));
        cells.max().unwrap_or(0).max(title)
    }
}

fn put_row(page: &mut Page, columns: &[Column], widths: &[usize], cells: Vec<Cell>) {
    let mut line: Line = page.line();
    let mut start = 2;
    for ((column, &width), Cell(role, text)) in columns.iter().zip(widths).zip(cells) {
        let text = match column.set {
            Set::Flexible(_) => cut_middle(&text, width, page.ellipsis()),
            Set::Prose(_) => cut_end(&text, width, page.ellipsis()),
            Set::Left | Set::Right => text,
        };
        let indent = if column.set == Set::Right {
            width.saturating_sub(width_of(&text))
        } else {
            0
        };
        line = line.pad_to(start + indent).push(role, &text);
        start += width + 2;
    }
    page.put(line);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::text::TextStyle;

    fn rendered(width: usize) -> String {
        let mut page = Page::new(TextStyle {
            width,
            ..TextStyle::default()
        });
        let mut table = Table::new(vec![
            Column::new("name", Set::Flexible(14)),
            Column::new("count", Set::Right),
            Column::dropped("note", Set::Left, 1),
            Column::new("never", Set::Left),
        ]);
        for (name, count) in [("ratings.default.svc.cluster.local:9080", "1,204"), ("b", "7")] {
            let cells = [name, count, "something was said", ""];
            table.row(cells.map(Cell::plain).to_vec());
        }
        table.put(&mut page);
        page.finish()
    }

    #[test]
    fn columns_align_shrink_and_go() {
        assert_eq!(
            rendered(80),
            "  name                                    count  note\n  \
               ratings.default.svc.cluster.local:9080  1,204  something was said\n  \
               b                                           7  something was said\n"
        );
        let first = |width| rendered(width).lines().nth(1).map(str::to_owned).unwrap();
        assert_eq!(
            first(60),
            "  ratings.default…ster.local:9080  1,204  something was said"
        );
        assert_eq!(
            first(43),
            "  rating…al:9080  1,204  something was said",
            "at its least"
        );
        assert_eq!(
            first(42),
            "  ratings.default.…uster.local:9080  1,204",
            "the note went"
        );
    }
}
