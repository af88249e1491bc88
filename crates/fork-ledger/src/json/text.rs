//! Short strings of account JSON.

use std::fmt;

/// Longest text kept inside [`Text`] itself: amounts, nonces, slots and permission words fit, keys
/// and hashes (50 to 55 characters) do not. With it a `Text` is three words, like a `String`.
const INLINE_BYTES_MAX: usize = 22;

/// A JSON string as found: borrowed from the input when it is in memory, otherwise short and
/// inline or boxed.
///
/// An account has about thirty strings, most of them shorter than ten bytes, and a ledger has
/// millions of accounts, so reading from a stream must not allocate for each of them.
#[derive(Clone)]
pub struct Text<'a>(Repr<'a>);

#[derive(Clone)]
enum Repr<'a> {
    Borrowed(&'a str),
    Inline {
        len: u8,
        bytes: [u8; INLINE_BYTES_MAX],
    },
    Boxed(Box<str>),
}

impl<'a> Text<'a> {
    /// Refers to `text` without copying it.
    #[must_use]
    pub const fn borrowed(text: &'a str) -> Self {
        Self(Repr::Borrowed(text))
    }

    /// Copies `text`.
    #[must_use]
    pub fn copied(text: &str) -> Text<'static> {
        let mut bytes = [0; INLINE_BYTES_MAX];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(target), Ok(len)) => {
                target.copy_from_slice(text.as_bytes());
                Text(Repr::Inline { len, bytes })
            }
            _ => Text(Repr::Boxed(text.into())),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Borrowed(text) => text,
            // Only whole strings are ever copied in, so the fallback is never taken.
            Repr::Inline { len, bytes } => {
                std::str::from_utf8(&bytes[..usize::from(*len)]).unwrap_or_default()
            }
            Repr::Boxed(text) => text,
        }
    }

    /// The same text without a reference to the input.
    #[must_use]
    pub fn into_owned(self) -> Text<'static> {
        match self.0 {
            Repr::Borrowed(text) => Text::copied(text),
            Repr::Inline { len, bytes } => Text(Repr::Inline { len, bytes }),
            Repr::Boxed(text) => Text(Repr::Boxed(text)),
        }
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Repr::Boxed(text.into_boxed_str()))
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self::borrowed(text)
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text<'_> {}

/// Cuts a text for an error message, so that a hostile input cannot flood a log.
pub(super) fn shown(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 80;
    let mut cut: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_words() {
        assert_eq!(size_of::<Text<'_>>(), 3 * size_of::<usize>());
        assert_eq!(size_of::<Option<Text<'_>>>(), 3 * size_of::<usize>());
    }

    #[test]
    fn every_length_survives() {
        for len in 0..64 {
            let text = "é".repeat(len / 2) + &"x".repeat(len % 2);
            assert_eq!(text.len(), len);
            for kept in [
                Text::copied(&text),
                Text::borrowed(&text).into_owned(),
                Text::from(text.clone()).into_owned(),
                Text::copied(&text).into_owned(),
            ] {
                assert_eq!(kept.as_str(), text);
            }
        }
    }

    #[test]
    fn short_texts_stay_inline() {
        assert!(matches!(
            Text::copied("18446744073.709551615").0,
            Repr::Inline { .. }
        ));
        assert!(matches!(Text::copied(&"x".repeat(23)).0, Repr::Boxed(_)));
    }

    #[test]
    fn long_texts_are_cut_at_characters() {
        assert_eq!(shown("abc"), "abc");
        assert_eq!(shown(&"é".repeat(81)), "é".repeat(80) + "…");
    }
}
