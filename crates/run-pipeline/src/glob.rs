//! Patterns over relative paths, the part of the agent's pattern language the pipeline uses.

/// A pattern such as `ledgers/**/*.json`: `*` and `?` stay within a path component, `**` stands for
/// any number of them.
#[derive(Clone, Debug)]
pub struct Pattern {
    components: Vec<String>,
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    ///
    /// Returns what is wrong: an absolute path, `..`, or syntax beyond `*`, `?` and `**`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('/') || text.split('/').any(|component| component == "..") {
            return Err(format!("pattern `{text}` leaves the working directory"));
        }
        if text.contains(['[', ']', '{', '}', '\\', '~']) {
            return Err(format!(
                "pattern `{text}`: only `*`, `?` and `**` are supported"
            ));
        }
        let components: Vec<String> = text
            .split('/')
            .filter(|component| !component.is_empty() && *component != ".")
            .map(str::to_owned)
            .collect();
        if components.is_empty() {
            return Err(format!("pattern `{text}` names nothing"));
        }
        Ok(Self { components })
    }

    /// Whether `path`, relative and with `/` between its components, matches.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let path: Vec<&str> = path.split('/').collect();
        matches_components(&self.components, &path)
    }
}

fn matches_components(pattern: &[String], path: &[&str]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        Some((first, rest)) if first == "**" => {
            (0..=path.len()).any(|skipped| matches_components(rest, &path[skipped..]))
        }
        Some((first, rest)) => match path.split_first() {
            Some((name, path)) => {
                matches_name(first.as_bytes(), name.as_bytes()) && matches_components(rest, path)
            }
            None => false,
        },
    }
}

fn matches_name(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|skipped| matches_name(rest, &name[skipped..])),
        Some((first, rest)) => match name.split_first() {
            Some((byte, name)) => (*first == b'?' || first == byte) && matches_name(rest, name),
            None => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn stars_stay_within_a_component_unless_doubled() {
        let cases = [
            ("candidate/**/*", "candidate/a.json", true),
            ("candidate/**/*", "candidate/x/y/a.json", true),
            ("candidate/**/*", "other/a.json", false),
            ("candidate/*", "candidate/x/a.json", false),
            ("*.deb", "a.deb", true),
            ("*.deb", "a.deb.asc", false),
            ("./out/?.json", "out/a.json", true),
            ("**", "a/b", true),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(
                Pattern::parse(pattern).unwrap().matches(path),
                expected,
                "{pattern} {path}"
            );
        }
    }

    #[test]
    fn refuses_to_leave_or_to_guess() {
        for pattern in ["/etc/*", "../x", "a/../b", "{a,b}", "[ab]", ""] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }
}
