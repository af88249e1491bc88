//! What a registry that wants credentials asks for (RFC 9110, section 11.6.1; the token flow of the
//! distribution registry).

/// A challenge of a `WWW-Authenticate` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password with every request.
    Basic,
    /// A token, from the service at `realm`.
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

/// Longest header looked at, in bytes.
const HEADER_BYTES_MAX: usize = 4096;

/// The first challenge in a header that is understood.
pub(super) fn parse(header: &str) -> Option<Challenge> {
    let header = header.get(..header.len().min(HEADER_BYTES_MAX))?;
    let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let parameters = parameters(rest);
    let value = |name: &str| {
        let found = parameters
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone())
    };
    Some(Challenge::Bearer {
        realm: value("realm")?,
        service: value("service"),
    })
}

/// `a="b", c=d`; ends at what is none.
fn parameters(mut text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Some((name, rest)) = text.split_once('=') {
        let name = name.trim_matches([' ', ',', '\t']);
        let (value, rest) = match rest.trim_start().strip_prefix('"') {
            Some(rest) => quoted(rest),
            None => {
                let (value, rest) = rest.split_once(',').unwrap_or((rest, ""));
                (value.trim().to_owned(), rest)
            }
        };
        found.push((name.to_owned(), value));
        text = rest;
    }
    found
}

/// What stands before the closing quote, and what comes after it.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return (value, &text[index + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_understood() {
        assert_eq!(parse("Basic realm=\"x\""), Some(Challenge::Basic));
        let header = r#"Bearer realm="https://auth.example/token?a=b,c",service="reg\"istry", scope="repository:a:pull,push",error=invalid_token"#;
        assert_eq!(
            parse(header),
            Some(Challenge::Bearer {
                realm: "https://auth.example/token?a=b,c".to_owned(),
                service: Some("reg\"istry".to_owned()),
            })
        );
        assert_eq!(
            parse("bearer service=x , realm=https://a.example"),
            Some(Challenge::Bearer {
                realm: "https://a.example".to_owned(),
                service: Some("x".to_owned()),
            })
        );
        for bad in [
            "",
            "Bearer",
            "Bearer service=\"x\"",
            "Negotiate",
            "Bearer realm",
            "=",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(
            parse(&format!("Bearer realm=\"{}", "\\".repeat(9000))).map(|_| ()),
            Some(())
        );
    }
}
