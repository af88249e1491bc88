//! Text for people.

/// Number of characters.
#[must_use]
pub fn chars(text: &str) -> usize {
    text.chars().count()
}

/// At most `chars_max` characters of a text; what is left out shows as `…`.
#[must_use]
pub fn clipped(text: &str, chars_max: usize) -> String {
    if chars(text) <= chars_max {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// A whole number with a comma every three digits.
#[must_use]
pub fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A path or URL that may be shown: without the query, which is a credential in a signed URL, and with
/// `***` in place of a user name and password.
#[must_use]
pub fn without_credentials(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://***@{host}{path}"),
        None => format!("{scheme}://{authority}{path}"),
    }
}

/// A number of bytes as people say it, in powers of 1000.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes.div_ceil(100);
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths = tenths.div_ceil(1000);
        unit += 1;
    }
    let unit = UNITS.get(unit).copied().unwrap_or_default();
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// Text wrapped at blanks to lines of `width`, each with `indent` before it. A word that is longer
/// than a line stays whole, so that it can be copied.
#[must_use]
pub fn wrapped(text: &str, indent: &str, width: usize) -> String {
    let room = width.saturating_sub(chars(indent));
    let mut lines = String::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && chars(&line) + 1 + chars(word) > room {
            lines.extend([indent, &line, "\n"]);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.extend([indent, &line, "\n"]);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1001, "1.1 kB"),
            (999_900, "999.9 kB"),
            (999_999, "1.0 MB"),
            (1_000_001, "1.1 MB"),
            (60_123_456, "60.2 MB"),
            (u64::MAX, "18446744.1 TB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn credentials_are_not_shown() {
        for (text, shown) in [
            ("/a/b?c", "/a/b?c"),
            ("https://h/p?sig=x#y", "https://h/p"),
            ("https://u:p@h:1/p@q", "https://***@h:1/p@q"),
            ("https://u:p@x@h?q", "https://***@h"),
            ("gs://bucket/key", "gs://bucket/key"),
        ] {
            assert_eq!(without_credentials(text), shown);
        }
    }

    #[test]
    fn long_text_is_wrapped() {
        let text = "word ".repeat(60);
        let lines = wrapped(&text, "  ", 80);
        assert!(lines.lines().all(|line| line.chars().count() <= 80));
        assert_eq!(lines.split_whitespace().count(), 60);
        assert_eq!(wrapped("a b", "- ", 80), "- a b\n");
        assert_eq!(clipped("abcd", 3), "ab…");
    }
}
