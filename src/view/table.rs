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
/// The last column of a terminal that leaves it less than this goes below its row.
const LAST_COLUMN_MIN: usize = 24;
/// By how much what stands below its row is set in.
const BELOW: usize = 4;

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

    /// The rows, the last cell of each broken where the terminal's `columns` end.
    pub(super) fn render(&self, ink: Ink, columns: Option<usize>) -> String {
        let count = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell: &Cell| cell.text.width()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..count).map(width).collect();
        let last_at: usize = widths.iter().rev().skip(1).map(|width| width + BETWEEN_COLUMNS.len()).sum();
        let lines: Vec<String> = self
            .rows
            .iter()
            .map(|row| match (columns, row.split_last()) {
                (Some(columns), Some((last, rest)))
                    if row.len() == count && !last.text.is_empty() && last_at + last.text.width() > columns =>
                {
                    render_broken(rest, last, &widths, last_at, columns, ink)
                }
                _ => render_row(row, &widths, ink),
            })
            .collect();
        lines.join("\n")
    }
}

/// A row whose last cell takes several lines: beside the others where there is room, below them where not.
fn render_broken(rest: &[Cell], last: &Cell, widths: &[usize], last_at: usize, columns: usize, ink: Ink) -> String {
    let is_beside = columns >= last_at + LAST_COLUMN_MIN;
    let indent = if is_beside { last_at } else { BELOW };
    let mut row = render_row(rest, widths, ink);
    for (index, line) in broken(&last.text, columns.saturating_sub(indent)).into_iter().enumerate() {
        if index == 0 && is_beside {
            // What the row owes: nothing ends in spaces, so the blank before the last cell is written here.
            let written = rest.iter().rposition(|cell| !cell.text.is_empty());
            let shown = written.map_or(0, |at| {
                widths[..at].iter().map(|width| width + BETWEEN_COLUMNS.len()).sum::<usize>() + rest[at].text.width()
            });
            row.push_str(&" ".repeat(last_at.saturating_sub(shown)));
        } else {
            row.push('\n');
            row.push_str(&" ".repeat(indent));
        }
        row.push_str(&ink.paint(last.tone, &line));
    }
    row
}

/// `text` in lines of at most `width`, broken between words; a word that is wider has a line of its own.
fn broken(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
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
        assert_eq!(table.render(Ink::Plain, None), "who   state  note\n山田  alive\nbo           x");
    }

    #[test]
    fn colour_takes_no_room() {
        let mut table = Table::untitled();
        table.row([Cell::new(Tone::Good, "a"), "1".into()]);
        table.row(["bcd".into(), "2".into()]);
        assert_eq!(table.render(Ink::Colour, None), "\u{1b}[32ma\u{1b}[0m    1\nbcd  2");
    }

    #[test]
    fn the_last_cell_is_broken_where_the_terminal_ends() {
        let mut table = Table::titled(&["who", "because"]);
        table.row(["ana".into(), "not heard for 14 s; reported by bo and cy".into()]);
        table.row(["bo".into(), "".into()]);
        assert_eq!(
            table.render(Ink::Plain, Some(30)),
            "who  because\nana  not heard for 14 s;\n     reported by bo and cy\nbo"
        );
        assert_eq!(
            table.render(Ink::Plain, Some(20)),
            "who  because\nana\n    not heard for 14\n    s; reported by\n    bo and cy\nbo"
        );
        assert_eq!(table.render(Ink::Plain, Some(46)), table.render(Ink::Plain, None));
    }
}
