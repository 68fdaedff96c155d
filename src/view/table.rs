//! Columns that line up in a terminal, by the width of what is shown and not by bytes. Knows nothing of
//! what it shows.

use unicode_width::UnicodeWidthStr;

use super::{Ink, Tone};

/// Cells of text in rows; the columns are as wide as their widest cell, two spaces apart.
pub(super) struct Table {
    rows: Vec<Vec<Cell>>,
}

pub(super) struct Cell {
    text: String,
    tone: Tone,
}

const BETWEEN_COLUMNS: &str = "  ";

impl Cell {
    pub(super) fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { text: text.into(), tone }
    }
}

impl<S: Into<String>> From<S> for Cell {
    fn from(text: S) -> Self {
        Self::new(Tone::Normal, text)
    }
}

impl Table {
    /// A table whose first row names its columns.
    pub(super) fn titled(titles: &[&str]) -> Self {
        Self { rows: vec![titles.iter().map(|&title| Cell::new(Tone::Faint, title)).collect()] }
    }

    pub(super) fn untitled() -> Self {
        Self { rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(super) fn render(&self, ink: Ink) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell: &Cell| cell.text.width()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let lines: Vec<String> = self.rows.iter().map(|row| render_row(row, &widths, ink)).collect();
        lines.join("\n")
    }
}

fn render_row(row: &[Cell], widths: &[usize], ink: Ink) -> String {
    let mut line = String::new();
    // Blank is owed, not written, so that no line ends in spaces.
    let mut owed = 0;
    for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
        if column > 0 {
            owed += BETWEEN_COLUMNS.len();
        }
        if !cell.text.is_empty() {
            line.push_str(&" ".repeat(owed));
            line.push_str(&ink.paint(cell.tone, &cell.text));
            owed = 0;
        }
        owed += width.saturating_sub(cell.text.width());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_by_what_is_seen() {
        let mut table = Table::titled(&["who", "state", "note"]);
        table.row(["山田".into(), "alive".into(), "".into()]);
        table.row(["bo".into(), "".into(), "x".into()]);
        assert_eq!(table.render(Ink::Plain), "who   state  note\n山田  alive\nbo           x");
    }

    #[test]
    fn colour_takes_no_room() {
        let mut table = Table::untitled();
        table.row([Cell::new(Tone::Good, "a"), "1".into()]);
        table.row(["bcd".into(), "2".into()]);
        assert_eq!(table.render(Ink::Colour), "\u{1b}[32ma\u{1b}[0m    1\nbcd  2");
    }
}
