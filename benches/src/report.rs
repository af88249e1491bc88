//! Numbers as the tables show them.

use std::fmt::Write;
use std::time::Duration;

/// The middle one, of an even number the lower of the two; nothing of nothing.
#[must_use]
pub fn median<T: Copy + PartialOrd>(values: &[T]) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|one, two| one.partial_cmp(two).unwrap_or(std::cmp::Ordering::Equal));
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

/// Two digits after the point.
#[must_use]
pub fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// Millions of bytes.
#[must_use]
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// Memory, in the unit the goals are stated in.
#[must_use]
pub fn gibibytes(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30))
}

/// Digits in groups of three.
#[must_use]
pub fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A Markdown table, all but the first column aligned to the right.
#[derive(Clone, Debug)]
pub struct Table(String);

impl Table {
    /// A table with these column titles.
    #[must_use]
    pub fn new<S: AsRef<str>>(titles: &[S]) -> Self {
        let mut table = Self(String::new());
        table.row(titles);
        table.0.push_str("|---");
        table
            .0
            .push_str(&"|---:".repeat(titles.len().saturating_sub(1)));
        table.0.push_str("|\n");
        table
    }

    /// Adds a row.
    pub fn row<S: AsRef<str>>(&mut self, cells: &[S]) {
        for cell in cells {
            let _ = write!(self.0, "| {} ", cell.as_ref());
        }
        self.0.push_str("|\n");
    }

    /// The text.
    #[must_use]
    pub fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(277_307), "277 307");
        assert_eq!(grouped(1_000_000), "1 000 000");
    }

    #[test]
    fn the_median_is_a_value() {
        assert_eq!(median::<u32>(&[]), None);
        assert_eq!(median(&[3, 1, 2]), Some(2));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.0));
    }

    #[test]
    fn tables_are_markdown() {
        let mut table = Table::new(&["a", "b"]);
        table.row(&["1", "2"]);
        assert_eq!(table.into_text(), "| a | b |\n|---|---:|\n| 1 | 2 |\n");
    }
}
