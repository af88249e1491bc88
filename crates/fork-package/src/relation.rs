//! Relations between packages: `Depends`, `Conflicts`, `Breaks`, `Provides` (`deb-control(5)`).

use std::cmp::Ordering;
use std::fmt;

use crate::control::Paragraph;
use crate::error::PackageError;
use crate::version::PackageVersion;

/// How a version is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `<<`
    Earlier,
    /// `<=`
    EarlierOrEqual,
    /// `=`
    Equal,
    /// `>=`
    LaterOrEqual,
    /// `>>`
    Later,
}

impl Operator {
    const ALL: [(&'static str, Self); 7] = [
        ("<<", Self::Earlier),
        ("<=", Self::EarlierOrEqual),
        (">=", Self::LaterOrEqual),
        (">>", Self::Later),
        ("=", Self::Equal),
        // Obsolete spellings that dpkg still reads, with these meanings.
        ("<", Self::EarlierOrEqual),
        (">", Self::LaterOrEqual),
    ];

    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Earlier => order == Ordering::Less,
            Self::EarlierOrEqual => order != Ordering::Greater,
            Self::Equal => order == Ordering::Equal,
            Self::LaterOrEqual => order != Ordering::Less,
            Self::Later => order == Ordering::Greater,
        }
    }
}

/// One package name with an optional version condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// Package name, without an architecture qualifier.
    pub name: String,
    /// Condition on its version.
    pub version: Option<(Operator, PackageVersion)>,
    text: String,
}

impl Relation {
    /// Whether a package of this name and version is meant.
    #[must_use]
    pub fn matches(&self, name: &str, version: &PackageVersion) -> bool {
        self.name == name
            && self
                .version
                .as_ref()
                .is_none_or(|(operator, wanted)| operator.holds(version.cmp(wanted)))
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The relations of a field: all groups apply, one alternative of each is enough. An absent field
/// has none.
///
/// # Errors
///
/// Fails on text that is not a relation list.
pub fn parse_field(paragraph: &Paragraph, field: &str) -> Result<Vec<Vec<Relation>>, PackageError> {
    let text = paragraph.get(field).unwrap_or_default();
    text.split(',')
        .map(str::trim)
        .filter(|group| !group.is_empty())
        .map(|group| {
            group
                .split('|')
                .map(|one| parse(field, one.trim()))
                .collect()
        })
        .collect()
}

fn parse(field: &str, text: &str) -> Result<Relation, PackageError> {
    let error = || PackageError::control(format!("`{text}` in field `{field}` is not a relation"));
    let (name, rest) = match text.split_once('(') {
        None => (text, None),
        Some((name, rest)) => (name, Some(rest.strip_suffix(')').ok_or_else(error)?)),
    };
    let name = name.trim().split(':').next().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(error());
    }
    let version = match rest {
        None => None,
        Some(condition) => {
            let condition = condition.trim();
            let (sign, operator) = Operator::ALL
                .into_iter()
                .find(|(sign, _)| condition.starts_with(sign))
                .ok_or_else(error)?;
            let version = condition[sign.len()..]
                .trim()
                .parse()
                .map_err(|_| error())?;
            Some((operator, version))
        }
    };
    Ok(Relation {
        name: name.to_owned(),
        version,
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_match_what_they_say() {
        let paragraph =
            Paragraph::parse("Depends: a (>= 2), b:any | c (<< 1~) ,\nBreaks: x (<<3)\n").unwrap();
        let groups = parse_field(&paragraph, "Depends").unwrap();
        assert_eq!(groups.len(), 2);
        assert!(groups[0][0].matches("a", &"2".parse().unwrap()));
        assert!(!groups[0][0].matches("a", &"1.9".parse().unwrap()));
        assert!(groups[1][0].matches("b", &"0".parse().unwrap()));
        assert!(!groups[1][1].matches("c", &"1".parse().unwrap()));
        assert_eq!(groups[1][1].to_string(), "c (<< 1~)");
        let breaks = parse_field(&paragraph, "Breaks").unwrap();
        assert!(breaks[0][0].matches("x", &"2".parse().unwrap()));
        assert!(parse_field(&paragraph, "Conflicts").unwrap().is_empty());
        for bad in ["a (2)", "a (>= 2", "a b", "a (>= x)", "(>= 1)"] {
            let paragraph = Paragraph::parse(&format!("Depends: {bad}\n")).unwrap();
            assert!(parse_field(&paragraph, "Depends").is_err(), "{bad}");
        }
    }
}
