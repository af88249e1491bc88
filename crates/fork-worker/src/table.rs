//! Tables of text for a terminal.

use crate::text;
use crate::text::{chars, clipped};
use fork_types::StateHash;

/// Width of a table, in characters: what fits two windows on a wide screen.
pub const WIDTH_MAX: usize = 120;

/// Blanks between two columns.
const GAP: usize = 2;

/// Characters of a hash that people compare; documents have all of it.
const HASH_CHARS: usize = 12;

/// How a column is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Text, from the left.
    Text(&'static str),
    /// A number, from the right.
    Number(&'static str),
    /// Text that gives way when the table is too wide.
    Flexible(&'static str),
}

impl Column {
    const fn title(self) -> &'static str {
        match self {
            Self::Text(title) | Self::Number(title) | Self::Flexible(title) => title,
        }
    }
}

/// Prints rows under their titles, no line longer than [`WIDTH_MAX`] as long as the columns that do
/// not give way leave room.
#[must_use]
pub fn table(columns: &[Column], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = columns.iter().map(|column| chars(column.title())).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(chars(cell));
        }
    }
    narrow(columns, &mut widths);
    let titles: Vec<String> = columns.iter().map(|c| c.title().to_owned()).collect();
    let mut text = String::new();
    for row in std::iter::once(&titles).chain(rows) {
        let mut line = String::new();
        for ((column, width), cell) in columns.iter().zip(&widths).zip(row) {
            let cell = clipped(cell, *width);
            let fill = " ".repeat(width.saturating_sub(chars(&cell)));
            match column {
                Column::Number(_) => line.extend([fill.as_str(), &cell]),
                Column::Text(_) | Column::Flexible(_) => line.extend([cell.as_str(), &fill]),
            }
            line.push_str(&" ".repeat(GAP));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Takes what is too much from the widest column that gives way, until it fits.
fn narrow(columns: &[Column], widths: &mut [usize]) {
    let total = |widths: &[usize]| widths.iter().sum::<usize>() + GAP * widths.len();
    while total(widths) > WIDTH_MAX + GAP {
        let widest = columns
            .iter()
            .zip(widths.iter_mut())
            .filter(|(column, width)| {
                matches!(column, Column::Flexible(_)) && **width > chars(column.title()).max(8)
            })
            .max_by_key(|(_, width)| **width);
        match widest {
            Some((_, width)) => *width -= 1,
            None => return,
        }
    }
}

/// The beginning of a hash.
#[must_use]
pub fn short(hash: StateHash) -> String {
    clipped(&hash.to_string(), HASH_CHARS + 1)
}

/// Text wrapped at blanks to lines of [`WIDTH_MAX`], each with `indent` before it.
#[must_use]
pub fn wrapped(text: &str, indent: &str) -> String {
    text::wrapped(text, indent, WIDTH_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_fit() {
        let rows = [
            vec!["1".to_owned(), "a".to_owned(), "x".to_owned()],
            vec!["1234".to_owned(), "bcd".to_owned(), "y".repeat(200)],
        ];
        let columns = [
            Column::Number("height"),
            Column::Text("name"),
            Column::Flexible("note"),
        ];
        let text = table(&columns, &rows);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "height  name  note");
        assert_eq!(lines[1], "     1  a     x");
        assert!(lines[2].starts_with("  1234  bcd   yyyy"));
        assert!(lines[2].ends_with("y…"));
        assert_eq!(lines[2].chars().count(), WIDTH_MAX);
    }

    #[test]
    fn a_table_that_cannot_shrink_is_left_alone() {
        let rows = [vec!["z".repeat(150)]];
        let text = table(&[Column::Text("a")], &rows);
        assert!(text.contains(&rows[0][0]));
    }
}
