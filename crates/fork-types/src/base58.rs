//! Base58 in the Bitcoin alphabet, and base58check on top of it in [`check`].
//!
//! Two codecs give the same texts. [`decode_short`] and [`encode_short`] work on one fixed-size
//! number on the stack, large enough for every identifier an account carries; a ledger has several
//! of them per account. [`decode`] and [`encode`] take any length. Both handle ten characters at a
//! time, because 58^10 is the largest power of 58 below 2^64.

pub(crate) mod check;

use std::fmt;

/// Bytes of the number the fixed-size codec works on: a public key has 40 with version byte and
/// checksum, all other identifiers fewer.
pub(crate) const SHORT_BYTES: usize = 40;

/// Characters that hold any number of [`SHORT_BYTES`]: 58^54 < 2^320 < 58^55.
pub(crate) const SHORT_CHARS: usize = 55;

/// Digits in order of value.
const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// The character of digit 0. Leading ones stand for one zero byte each, not for digits.
const ZERO: u8 = ALPHABET[0];

/// Marks a character outside the alphabet in [`DIGITS`]: the only entry with its top bit set.
const NO_DIGIT: u8 = 0xFF;

/// The digit of each character.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut digit = 0_u8;
    while digit < 58 {
        digits[ALPHABET[digit as usize] as usize] = digit;
        digit += 1;
    }
    digits
};

/// Digits that fit one 64-bit limb.
const CHUNK_DIGITS: usize = 10;

/// 58^10.
const CHUNK: u64 = 58_u64.pow(10);

/// Digits that fit one 32-bit word.
const GROUP_DIGITS: usize = 5;

/// 58^5, the largest power of 58 below 2^32.
const GROUP: u64 = 58_u64.pow(5);

/// 58^2.
const PAIR: u64 = 58_u64.pow(2);

/// Two digits each: twice as fast as one after the other, for a table of 7 kB.
const PAIRS: [[u8; 2]; PAIR as usize] = {
    let mut pairs = [[ZERO; 2]; PAIR as usize];
    let mut value = 0;
    while value < pairs.len() {
        pairs[value] = [ALPHABET[value / 58], ALPHABET[value % 58]];
        value += 1;
    }
    pairs
};

/// Groups in a text of [`SHORT_CHARS`].
const GROUPS: usize = SHORT_CHARS / GROUP_DIGITS;

/// 32-bit words in a number of [`SHORT_BYTES`].
const WORDS: usize = SHORT_BYTES / 4;

/// For each group, what one in each word adds to it; words and groups most significant first.
const WORD_VALUES: [[u32; WORDS]; GROUPS] = {
    let mut values = [[0; WORDS]; GROUPS];
    let mut value = [0_u64; GROUPS];
    value[GROUPS - 1] = 1;
    let mut word = WORDS;
    while word > 0 {
        word -= 1;
        let mut carry = 0;
        let mut group = GROUPS;
        while group > 0 {
            group -= 1;
            values[group][word] = value[group] as u32;
            let shifted = (value[group] << 32) + carry;
            value[group] = shifted % GROUP;
            carry = shifted / GROUP;
        }
    }
    values
};

/// The base58 text of an identifier, on the stack.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdText {
    characters: [u8; SHORT_CHARS],
    /// Where the text starts; only ones stand before it.
    start: u8,
}

impl IdText {
    /// The text as ASCII bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.characters
            .get(usize::from(self.start)..)
            .unwrap_or_default()
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // The alphabet is ASCII, so this cannot fail.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl fmt::Display for IdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for IdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl AsRef<str> for IdText {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// Decodes a text of 50 to 55 characters to a big-endian number with zeros in front.
///
/// `None` is no verdict on the text: it may have another length, start with a one, hold a character
/// outside the alphabet, or be too large for [`SHORT_BYTES`].
pub(crate) fn decode_short(text: &str) -> Option<[u8; SHORT_BYTES]> {
    let (head, chunks) = text.as_bytes().as_rchunks::<CHUNK_DIGITS>();
    let chunks: &[[u8; CHUNK_DIGITS]; 5] = chunks.try_into().ok()?;
    if text.len() > SHORT_CHARS || text.as_bytes().first() == Some(&ZERO) {
        return None;
    }
    let mut limbs = [chunk_value(head)?, 0, 0, 0, 0];
    for chunk in chunks {
        if multiply_add(&mut limbs, CHUNK, chunk_value(chunk)?) != 0 {
            return None;
        }
    }
    let mut data = [0; SHORT_BYTES];
    for (target, limb) in data.as_chunks_mut().0.iter_mut().zip(limbs.iter().rev()) {
        *target = limb.to_be_bytes();
    }
    Some(data)
}

/// Encodes a big-endian number whose leading zeros are not part of it.
///
/// Sums what each word is worth in base 58^5 instead of dividing the number over and over: no
/// 128-bit division, and only the carries wait for each other.
pub(crate) fn encode_short(data: &[u8; SHORT_BYTES]) -> IdText {
    let mut words = [0; WORDS];
    for (target, bytes) in words.iter_mut().zip(data.as_chunks().0) {
        *target = u64::from(u32::from_be_bytes(*bytes));
    }
    let mut characters = [ZERO; SHORT_CHARS];
    let groups = characters.as_chunks_mut().0.iter_mut();
    let mut carry = 0_u64;
    for (target, values) in groups.zip(&WORD_VALUES).rev() {
        // Ten products do not fit 64 bits; five do, with 2^61 to spare for a carry below 2^37.
        let mut sums = [0_u64; 2];
        for (index, word) in words.iter().enumerate() {
            let sum = &mut sums[index % 2];
            *sum = sum.wrapping_add(word.wrapping_mul(u64::from(values[index])));
        }
        let rest = (sums[0] % GROUP).wrapping_add(sums[1]).wrapping_add(carry);
        carry = (sums[0] / GROUP).wrapping_add(rest / GROUP);
        write_group(rest % GROUP, target);
    }
    let zeros = characters.iter().take_while(|byte| **byte == ZERO);
    // At most 55, so the conversion cannot fail.
    let start = u8::try_from(zeros.count()).unwrap_or_default();
    IdText { characters, start }
}

/// Decodes a text of any length; `None` when it holds a character outside the alphabet.
///
/// Takes time quadratic in the length: 22 µs for a verification key of 1800 bytes.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let number = text.trim_start_matches(char::from(ZERO));
    let (head, chunks) = number.as_bytes().as_rchunks::<CHUNK_DIGITS>();
    let mut limbs = Vec::with_capacity(chunks.len() + 1);
    limbs.push(chunk_value(head)?);
    for chunk in chunks {
        let carry = multiply_add(&mut limbs, CHUNK, chunk_value(chunk)?);
        if carry != 0 {
            limbs.push(carry);
        }
    }
    let mut data = vec![0; text.len() - number.len()];
    let bytes = limbs.iter().rev().flat_map(|limb| limb.to_be_bytes());
    data.extend(bytes.skip_while(|byte| *byte == 0));
    Some(data)
}

/// Encodes bytes of any length.
///
/// Takes time quadratic in the length: 160 µs for a verification key of 1800 bytes.
pub(crate) fn encode(data: &[u8]) -> String {
    let zeros = data.iter().take_while(|byte| **byte == 0).count();
    let (head, words) = data.as_rchunks();
    let head = head
        .iter()
        .fold(0, |value, byte| (value << 8) | u64::from(*byte));
    let mut limbs = vec![head];
    limbs.extend(words.iter().map(|word| u64::from_be_bytes(*word)));
    let mut chunks = Vec::new();
    let mut leading = 0;
    while leading < limbs.len() {
        if limbs[leading] == 0 {
            leading += 1;
        } else {
            chunks.push(divide_by_chunk(&mut limbs[leading..]));
        }
    }
    let digits = chunks.iter().rev().flat_map(|chunk| {
        let mut text = [[ZERO; GROUP_DIGITS]; 2];
        write_group(chunk / GROUP, &mut text[0]);
        write_group(chunk % GROUP, &mut text[1]);
        text.into_iter().flatten()
    });
    std::iter::repeat_n(ZERO, zeros)
        .chain(digits.skip_while(|byte| *byte == ZERO))
        .map(char::from)
        .collect()
}

/// The value of at most ten characters; `None` when one is outside the alphabet.
#[inline(always)]
fn chunk_value(characters: &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    let mut seen = 0;
    for character in characters {
        let digit = DIGITS[usize::from(*character)];
        seen |= digit;
        // Ten digits stay below 58^10, and even ten times `NO_DIGIT` stays below 2^64.
        value = value.wrapping_mul(58).wrapping_add(u64::from(digit));
    }
    (seen <= NO_DIGIT / 2).then_some(value)
}

/// `limbs * factor + summand` in place, least significant limb first; returns what does not fit.
#[inline(always)]
fn multiply_add(limbs: &mut [u64], factor: u64, summand: u64) -> u64 {
    let mut carry = summand;
    for limb in limbs {
        // (2^64 - 1)^2 + 2^64 - 1 < 2^128.
        let product = (u128::from(*limb) * u128::from(factor)).wrapping_add(u128::from(carry));
        *limb = low_half(product);
        carry = low_half(product >> 64);
    }
    carry
}

/// Divides in place by 58^10, most significant limb first, and returns the remainder.
fn divide_by_chunk(limbs: &mut [u64]) -> u64 {
    let mut remainder = 0;
    for limb in limbs {
        let dividend = (u128::from(remainder) << 64) | u128::from(*limb);
        // The quotient fits because the remainder is below the divisor.
        let quotient = low_half(dividend / u128::from(CHUNK));
        remainder = limb.wrapping_sub(quotient.wrapping_mul(CHUNK));
        *limb = quotient;
    }
    remainder
}

/// The low 64 bits; the mask makes the cast lossless.
#[allow(clippy::cast_possible_truncation)]
const fn low_half(value: u128) -> u64 {
    (value & u64::MAX as u128) as u64
}

/// Writes the five characters of a number below 58^5.
#[inline(always)]
fn write_group(group: u64, target: &mut [u8; GROUP_DIGITS]) {
    let (rest, low) = (group / PAIR, group % PAIR);
    let (first, middle) = (rest / PAIR, rest % PAIR);
    target[0] = ALPHABET[(first % 58) as usize];
    target[1..3].copy_from_slice(&PAIRS[middle as usize]);
    target[3..5].copy_from_slice(&PAIRS[low as usize]);
}

#[cfg(test)]
mod tests;
