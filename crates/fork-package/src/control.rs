//! Control data: `Name: value` fields in paragraphs (`deb-control(5)`, `deb822(5)`).

use std::fmt;

use crate::error::PackageError;

/// Most fields of a paragraph; Debian knows about sixty.
const FIELDS_MAX: usize = 500;
/// Most paragraphs of a file; Debian has 70,000 packages.
const PARAGRAPHS_MAX: usize = 200_000;

/// One paragraph: fields in their order, names compared without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paragraph {
    fields: Vec<(String, String)>,
}

impl Paragraph {
    /// An empty paragraph.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Parses exactly one paragraph.
    ///
    /// # Errors
    ///
    /// Fails on anything that is not a field or a continuation line, on a field that appears
    /// twice, and unless there is exactly one paragraph.
    pub fn parse(text: &str) -> Result<Self, PackageError> {
        let mut all = Self::parse_all(text)?;
        match (all.pop(), all.is_empty()) {
            (Some(paragraph), true) => Ok(paragraph),
            (Some(_), false) => Err(PackageError::control("more than one paragraph")),
            (None, _) => Err(PackageError::control("no field at all")),
        }
    }

    /// Parses any number of paragraphs, separated by blank lines.
    ///
    /// # Errors
    ///
    /// As [`Paragraph::parse`], for any number of paragraphs.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, PackageError> {
        let mut all = Vec::new();
        let mut current = Self::new();
        for line in text.lines() {
            if line.trim().is_empty() {
                if !current.fields.is_empty() {
                    if all.len() >= PARAGRAPHS_MAX {
                        let problem = format!("more than {PARAGRAPHS_MAX} paragraphs");
                        return Err(PackageError::control(problem));
                    }
                    all.push(std::mem::take(&mut current));
                }
            } else if line.starts_with([' ', '\t']) {
                let Some((_, value)) = current.fields.last_mut() else {
                    return Err(PackageError::control(format!(
                        "continuation line `{}` without a field before it",
                        shown(line.trim())
                    )));
                };
                value.push('\n');
                value.push_str(line.trim_end());
            } else {
                let Some((name, value)) = line.split_once(':') else {
                    return Err(PackageError::control(format!(
                        "line `{}` is not a field",
                        shown(line)
                    )));
                };
                if current.get(name).is_some() {
                    return Err(PackageError::control(format!(
                        "field `{}` appears twice",
                        shown(name)
                    )));
                }
                if current.fields.len() >= FIELDS_MAX {
                    let problem = format!("more than {FIELDS_MAX} fields in a paragraph");
                    return Err(PackageError::control(problem));
                }
                current.insert(current.fields.len(), name, value.trim())?;
            }
        }
        if !current.fields.is_empty() {
            all.push(current);
        }
        Ok(all)
    }

    /// Value of a field; continuation lines keep their leading blank.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.position(name)
            .map(|index| self.fields[index].1.as_str())
    }

    /// Value of a field that must be there.
    ///
    /// # Errors
    ///
    /// Fails when it is absent or empty.
    pub fn require(&self, name: &str) -> Result<&str, PackageError> {
        match self.get(name) {
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(PackageError::control(format!(
                "field `{name}` is missing or empty"
            ))),
        }
    }

    /// Fields in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Sets a field: in place when it is there, otherwise at the end.
    ///
    /// # Errors
    ///
    /// Fails on a name or value that would not read back as the same field.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), PackageError> {
        match self.position(name) {
            Some(index) => {
                self.fields.remove(index);
                self.insert(index, name, value)
            }
            None => self.insert(self.fields.len(), name, value),
        }
    }

    /// Sets a field; a new one goes right after the field `after`, or to the end without that.
    ///
    /// # Errors
    ///
    /// As [`Paragraph::set`].
    pub fn set_after(&mut self, after: &str, name: &str, value: &str) -> Result<(), PackageError> {
        match (self.position(name), self.position(after)) {
            (None, Some(index)) => self.insert(index + 1, name, value),
            _ => self.set(name, value),
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.fields
            .iter()
            .position(|(field, _)| field.eq_ignore_ascii_case(name))
    }

    fn insert(&mut self, index: usize, name: &str, value: &str) -> Result<(), PackageError> {
        let name_is_plain = !name.is_empty()
            && !name.starts_with(['#', '-'])
            && name
                .bytes()
                .all(|byte| (33..=126).contains(&byte) && byte != b':');
        if !name_is_plain {
            return Err(PackageError::control(format!(
                "`{}` is not a field name",
                shown(name)
            )));
        }
        let mut lines = value.split('\n');
        let first_is_trimmed = lines.next().is_some_and(|first| first.trim() == first);
        let rest_continues =
            lines.all(|line| line.starts_with([' ', '\t']) && !line.trim().is_empty());
        if !first_is_trimmed || !rest_continues || value.contains(['\0', '\r']) {
            return Err(PackageError::control(format!(
                "the value of field `{}` holds a line that would not belong to it",
                shown(name)
            )));
        }
        self.fields
            .insert(index, (name.to_owned(), value.to_owned()));
        Ok(())
    }
}

/// The start of a text, for a message.
fn shown(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 100;
    let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

impl fmt::Display for Paragraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.fields {
            if value.is_empty() || value.starts_with('\n') {
                writeln!(f, "{name}:{value}")?;
            } else {
                writeln!(f, "{name}: {value}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Package: a\nVersion: 1\nDescription: short\n long\n .\n more\n";

    #[test]
    fn reads_and_writes_the_same_text() {
        let mut paragraph = Paragraph::parse(TEXT).unwrap();
        assert_eq!(paragraph.to_string(), TEXT);
        assert_eq!(paragraph.get("package"), Some("a"));
        paragraph.set("VERSION", "2").unwrap();
        paragraph.set_after("Version", "Section", "base").unwrap();
        let names: Vec<_> = paragraph.fields().map(|(name, _)| name).collect();
        assert_eq!(names, ["Package", "VERSION", "Section", "Description"]);
    }

    #[test]
    fn refuses_what_is_not_a_paragraph() {
        for text in [
            "",
            " x\n",
            "Package a\n",
            "A: 1\na: 2\n",
            "A: 1\n\nB: 2\n",
            "-A: 1\n",
        ] {
            assert!(Paragraph::parse(text).is_err(), "{text:?}");
        }
        let mut paragraph = Paragraph::new();
        for value in ["1\nEvil: yes", "1\n\n x", " 1", "1\r"] {
            assert!(paragraph.set("A", value).is_err(), "{value:?}");
        }
        assert!(paragraph.require("A").is_err());
        assert_eq!(Paragraph::parse_all("A: 1\n\n\nB: 2\n").unwrap().len(), 2);
    }
}
