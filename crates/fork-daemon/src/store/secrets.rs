//! Keeps credentials out of messages.

/// What a message says instead of a secret.
const HIDDEN: &str = "[hidden]";

/// Parts of the names of environment variables whose values are secrets, or may hold one.
const SECRET_NAMES: [&str; 6] = ["KEY", "SECRET", "TOKEN", "PASSWORD", "CREDENTIAL", "PROXY"];

/// Prefixes of the environment variables that are looked at at all.
const PREFIXES: [&str; 3] = ["AWS_", "GOOGLE_", "SERVICE_ACCOUNT"];

/// Shorter values are no secrets; cutting `1` or `auto` out of messages would only garble them.
const SECRET_BYTES_MIN: usize = 5;

/// Longest message taken over from a server or a library, in bytes.
const MESSAGE_BYTES_MAX: usize = 400;

/// Cuts secrets out of what others say.
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// Learns the secrets in an environment.
    pub(super) fn of(environment: impl Iterator<Item = (String, String)>) -> Self {
        let values = environment
            .filter(|(name, value)| {
                PREFIXES.iter().any(|prefix| name.starts_with(prefix))
                    && SECRET_NAMES.iter().any(|part| name.contains(part))
                    && value.len() >= SECRET_BYTES_MIN
            })
            .map(|(_, value)| value)
            .collect();
        Self::of_values(values)
    }

    /// Takes these for secrets.
    pub(crate) fn of_values(mut values: Vec<String>) -> Self {
        values.retain(|value| !value.is_empty());
        // Longest first: one secret may be part of another.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self(values)
    }

    /// A message without secrets, user names and queries of URLs, line breaks and excess.
    pub(crate) fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            text = text.replace(secret.as_str(), HIDDEN);
        }
        let words: Vec<String> = text.split_whitespace().map(clean_word).collect();
        let mut text: String = words
            .join(" ")
            .chars()
            .filter(|character| !character.is_control())
            .collect();
        if text.len() > MESSAGE_BYTES_MAX {
            text.truncate(text.floor_char_boundary(MESSAGE_BYTES_MAX));
            text.push('…');
        }
        text
    }
}

/// A word, which may be or hold a URL, without its user name and query.
fn clean_word(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else {
        return word.to_owned();
    };
    let rest = rest.split_once('?').map_or(rest, |(before, _)| before);
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let pairs = [
            ("AWS_SECRET_ACCESS_KEY", "hunter2/x"),
            ("AWS_SESSION_TOKEN", "hunter2/xyz"),
            ("AWS_SKIP_KEY", "1"),
            ("AWS_REGION", "eu-central-1"),
            ("PATH", "/usr/bin"),
        ];
        Secrets::of(pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).into_iter())
    }

    #[test]
    fn secrets_and_queries_are_cut_out() {
        let text = "PUT https://u:pass@h.example:9/b?X-Amz-Signature=12 in\neu-central-1: \
                    hunter2/xyz, hunter2/x; 1 /usr/bin";
        assert_eq!(
            secrets().clean(text),
            "PUT https://h.example:9/b in eu-central-1: [hidden], [hidden]; 1 /usr/bin"
        );
    }

    #[test]
    fn long_messages_are_cut() {
        let cleaned = secrets().clean(&"ä".repeat(1000));
        assert_eq!(cleaned.chars().count(), 201);
    }
}
