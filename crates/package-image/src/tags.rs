//! Which tags an image gets.
//!
//! A tag made of version, codename and network says what an image is for, and two images can claim it:
//! another base, another candidate under the same version. So each image also gets a tag with the
//! beginning of its manifest digest behind it. The digest covers the package, and with it the fork,
//! and the base: no other image can have that tag.

use fork_package::oci::Digest;

use crate::error::{ImageError, ImageErrorKind};

/// Hexadecimal digits of the digest in a tag: 48 bits, as many as tools show for short.
const DIGITS: usize = 12;
/// Longest tag that leaves room for them and a hyphen, of the 128 characters there may be.
const TAG_BYTES_MAX: usize = 128 - DIGITS - 1;

/// Whether the digest fits behind a tag.
///
/// # Errors
///
/// Fails when it does not.
pub fn check_length(tag: &str) -> Result<(), ImageError> {
    if tag.len() <= TAG_BYTES_MAX {
        return Ok(());
    }
    Err(ImageErrorKind::LongTag {
        tag: tag.to_owned(),
    }
    .into())
}

/// The tag that no other image can have; the tag itself when it is such a one already.
///
/// # Errors
///
/// Fails when the tag is too long.
pub fn unique_tag(tag: &str, digest: &Digest) -> Result<String, ImageError> {
    let suffix = format!("-{}", digest.hex().get(..DIGITS).unwrap_or_default());
    if tag.ends_with(&suffix) {
        return Ok(tag.to_owned());
    }
    check_length(tag)?;
    Ok(format!("{tag}{suffix}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unique_tag_is_made_once() {
        let digest = Digest::of(b"{}");
        let tag = unique_tag("4.0.0-bookworm-devnet", &digest).unwrap();
        assert_eq!(tag, "4.0.0-bookworm-devnet-44136fa355b3");
        assert_eq!(unique_tag(&tag, &digest).unwrap(), tag);
        let longest = "a".repeat(115);
        assert_eq!(unique_tag(&longest, &digest).unwrap().len(), 128);
        assert!(unique_tag(&"a".repeat(116), &digest).is_err());
    }
}
