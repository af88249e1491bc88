//! Markdown in which a value is never markup, whatever is in it.
//!
//! CommonMark with the tables of GitHub's dialect, which is what Buildkite shows in annotations.

use crate::text::{chars, clipped};

/// Most characters of a cell; longer ones are cut.
const CELL_CHARS_MAX: usize = 400;

/// Most rows of a table; the rest is counted and left out.
const ROWS_MAX: usize = 200;

/// A text as it may stand within a line or a cell.
///
/// Everything that could be markup is written as a character reference: CommonMark never takes one
/// for structure, so this holds in every place, in cells as well.
#[must_use]
pub fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    let mut safe = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => safe.push(' '),
            c if is_unseen(c) => safe.push('\u{fffd}'),
            // `www.` becomes a link; `...` and `--` become other characters, where quotes are made curly.
            '.' if !matches!(before, 'w' | 'W' | '.') => safe.push('.'),
            '-' if before != '-' => safe.push('-'),
            ' ' | ',' | '/' | '+' | '=' | '%' => safe.push(c),
            c if c.is_ascii_punctuation() => {
                // Writing to a string cannot fail.
                let _ = write!(safe, "&#{};", u32::from(c));
            }
            c => safe.push(c),
        }
        before = c;
    }
    safe
}

/// A text of several lines as a block that shows it as it is.
#[must_use]
pub fn fenced(text: &str) -> String {
    // A longer fence than any in the text: nothing in it can end the block.
    let mut longest = 2;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    let safe: String = text
        .trim_end()
        .chars()
        .map(|c| {
            if c != '\n' && is_unseen(c) {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect();
    format!("{fence}text\n{safe}\n{fence}\n")
}

/// Control characters, and those that turn text around, so that it reads as something else.
fn is_unseen(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    columns: usize,
    text: String,
    rows: usize,
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new<const N: usize>(columns: [&str; N]) -> Self {
        let mut table = Self {
            columns: N,
            text: String::new(),
            rows: 0,
        };
        table.line(columns.map(str::to_owned).as_slice());
        table.text.push_str(&format!("|{}\n", "---|".repeat(N)));
        table
    }

    /// A table of facts: a name and a value a row.
    #[must_use]
    pub fn of_facts() -> Self {
        Self::new(["", ""])
    }

    /// With one more row.
    #[must_use]
    pub fn row<const N: usize>(mut self, cells: [String; N]) -> Self {
        self.push(&cells);
        self
    }

    /// With one more fact.
    #[must_use]
    pub fn fact(self, name: &str, value: impl ToString) -> Self {
        self.row([name.to_owned(), value.to_string()])
    }

    /// Adds a row. Cells beyond the columns are left out, missing ones are empty.
    pub fn push(&mut self, cells: &[String]) {
        self.rows += 1;
        if self.rows <= ROWS_MAX {
            self.line(cells);
        }
    }

    fn line(&mut self, cells: &[String]) {
        for column in 0..self.columns {
            let cell = cells.get(column).map_or("", String::as_str);
            self.text.push_str("| ");
            self.text.push_str(&escaped(&clipped(cell, CELL_CHARS_MAX)));
            self.text.push(' ');
        }
        self.text.push_str("|\n");
    }

    /// The table as Markdown, with a final newline.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let more = self.rows.saturating_sub(ROWS_MAX);
        if more == 0 {
            return self.text.clone();
        }
        format!("{}\n{more} more rows are left out.\n", self.text)
    }
}

/// At most `chars_max` characters, and a line that says so when there were more.
#[must_use]
pub(crate) fn shortened(text: &str, chars_max: usize) -> String {
    if chars(text) <= chars_max {
        return text.to_owned();
    }
    format!("{}\n(cut: see the log)", clipped(text, chars_max))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser, Tag};

    /// What an independent reader sees: the texts of the cells, or of the code block. Anything else is
    /// an error.
    fn cells(markdown: &str) -> Vec<String> {
        let mut found = Vec::new();
        for event in Parser::new_ext(markdown, Options::all()) {
            match event {
                Event::Start(Tag::TableCell) => found.push(String::new()),
                Event::Text(text) => found.last_mut().expect("in a cell").push_str(&text),
                Event::Start(Tag::Table(_) | Tag::TableHead | Tag::TableRow) | Event::End(_) => {}
                other => panic!("{other:?} in {markdown}"),
            }
        }
        found
    }

    proptest! {
        /// Whatever the characters, cells hold what was put into them.
        #[test]
        fn values_in_cells_stay_text(
            value in "[ -~]{0,60}",
            other in "(\\||\\\\|`|<b>|\\*|_|!\\[a\\]\\(b\\)|:x:|&amp;|https://a\\.b|www\\.a|-|\\$){0,9}",
        ) {
            let value = value.trim();
            let other = other.trim();
            let table = Table::new(["a", "b"]).row([value.to_owned(), other.to_owned()]);
            prop_assert_eq!(cells(&table.to_markdown()), ["a", "b", value, other]);
        }

        /// Nothing in a block ends it.
        #[test]
        fn blocks_hold_what_was_put_into_them(text in "(`|~|a|\n| |#|>){0,40}x") {
            let markdown = format!("{}\nafter\n", fenced(&text));
            let mut inside = String::new();
            let mut blocks = 0;
            let mut in_block = false;
            for event in Parser::new_ext(&markdown, Options::all()) {
                match event {
                    Event::Start(Tag::CodeBlock(_)) => { blocks += 1; in_block = true; }
                    Event::End(pulldown_cmark::TagEnd::CodeBlock) => in_block = false,
                    Event::Text(text) if in_block => inside.push_str(&text),
                    _ => {}
                }
            }
            prop_assert_eq!(blocks, 1);
            prop_assert_eq!(inside, format!("{text}\n"));
        }
    }

    #[test]
    fn what_is_unseen_shows() {
        assert_eq!(
            escaped("a\u{1b}[1m\u{202e}b\nc"),
            "a\u{fffd}&#91;1m\u{fffd}b c"
        );
        assert_eq!(fenced("a\u{7}b"), "```text\na\u{fffd}b\n```\n");
    }

    #[test]
    fn tables_have_a_limit() {
        let mut table = Table::of_facts();
        for number in 0..ROWS_MAX + 7 {
            table.push(&[number.to_string(), "x".repeat(CELL_CHARS_MAX * 2)]);
        }
        let text = table.to_markdown();
        assert!(text.ends_with("\n7 more rows are left out.\n"), "{text}");
        assert!(text.len() < ROWS_MAX * (CELL_CHARS_MAX + 20));
    }
}
