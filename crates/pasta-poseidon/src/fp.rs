//! Elements of the Pallas base field.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, AddAssign, Mul, Neg, Sub};

use crate::limbs::{self, Limbs};

/// Digits of the largest decimal number below p.
const DECIMAL_DIGITS_MAX: usize = 77;

/// An element of the Pallas base field, the integers modulo
/// p = 0x40000000000000000000000000000000224698fc094cf91b992d30ed00000001.
///
/// Kept in Montgomery form (times 2^256 modulo p) and always fully reduced, so equality and hashing
/// of the type are those of the element. Because of that form there is no `Ord`; compare integers
/// with [`Fp::cmp_canonical`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Fp(Limbs);

impl Fp {
    /// Zero.
    pub const ZERO: Self = Self([0; 4]);

    /// One.
    pub const ONE: Self = Self(limbs::R);

    /// A small number.
    #[must_use]
    pub const fn from_u64(value: u64) -> Self {
        Self::from_limbs_reduced([value, 0, 0, 0])
    }

    /// A 256-bit integer, least significant limb first, modulo p.
    #[must_use]
    pub const fn from_limbs_reduced(limbs: [u64; 4]) -> Self {
        // Any 256-bit number times R2 (below p) gives less than 2p.
        Self(limbs::reduce_once(limbs::mul(&limbs, &limbs::R2)))
    }

    /// A 256-bit integer, least significant limb first; `None` unless it is below p.
    #[must_use]
    pub const fn from_canonical_limbs(limbs: [u64; 4]) -> Option<Self> {
        match limbs::subtract(&limbs, &limbs::P) {
            (_, true) => Some(Self::from_limbs_reduced(limbs)),
            (_, false) => None,
        }
    }

    /// The integer of this element, least significant limb first.
    #[must_use]
    pub const fn to_canonical_limbs(self) -> [u64; 4] {
        // The product with plain 1 is at most p, which the subtraction takes to 0.
        limbs::reduce_once(limbs::mul(&self.0, &[1, 0, 0, 0]))
    }

    /// 32 little-endian bytes; `None` unless the integer is below p.
    #[must_use]
    pub const fn from_le_bytes(bytes: &[u8; 32]) -> Option<Self> {
        Self::from_canonical_limbs(limbs_of_bytes(bytes))
    }

    /// 32 little-endian bytes as an integer modulo p.
    ///
    /// For bytes that are known to be canonical (an identifier that was checked when it was parsed);
    /// on others it silently gives the residue.
    #[must_use]
    pub const fn from_le_bytes_reduced(bytes: &[u8; 32]) -> Self {
        Self::from_limbs_reduced(limbs_of_bytes(bytes))
    }

    /// The integer of this element as 32 little-endian bytes.
    #[must_use]
    pub const fn to_le_bytes(self) -> [u8; 32] {
        let limbs = self.to_canonical_limbs();
        let mut bytes = [0; 32];
        let mut index = 0;
        while index < 32 {
            bytes[index] = (limbs[index / 8] >> (8 * (index % 8))) as u8;
            index += 1;
        }
        bytes
    }

    /// Parses decimal digits: at least one, at most 77 (as many as p - 1 has, leading zeros
    /// included), no sign, blank or separator. `None` otherwise, and when the number is not below p.
    #[must_use]
    pub fn from_decimal(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > DECIMAL_DIGITS_MAX {
            return None;
        }
        let mut limbs = [0_u64; 4];
        // 19 digits always fit 64 bits, so four passes over the limbs are enough.
        for digits in text.as_bytes().chunks(19) {
            let mut value = 0_u64;
            let mut scale = 1_u64;
            for digit in digits {
                if !digit.is_ascii_digit() {
                    return None;
                }
                value = value * 10 + u64::from(digit - b'0');
                scale *= 10;
            }
            // 77 digits are below 2^256, so the last carry is zero.
            let mut carry = u128::from(value);
            for limb in &mut limbs {
                carry += u128::from(*limb) * u128::from(scale);
                *limb = carry as u64;
                carry >>= 64;
            }
        }
        Self::from_canonical_limbs(limbs)
    }

    /// The integer of this element in decimal, without leading zeros.
    #[must_use]
    pub fn to_decimal(self) -> String {
        const CHUNK: u128 = 10_000_000_000_000_000_000;
        let mut limbs = self.to_canonical_limbs();
        let mut chunks = Vec::with_capacity(5);
        while limbs != [0; 4] {
            let mut remainder = 0_u128;
            for limb in limbs.iter_mut().rev() {
                let value = (remainder << 64) | u128::from(*limb);
                *limb = (value / CHUNK) as u64;
                remainder = value % CHUNK;
            }
            chunks.push(remainder);
        }
        let mut text = chunks.pop().unwrap_or(0).to_string();
        for chunk in chunks.iter().rev() {
            text.push_str(&format!("{chunk:019}"));
        }
        text
    }

    /// Compares the integers of two elements.
    #[must_use]
    pub fn cmp_canonical(&self, other: &Self) -> Ordering {
        let left = self.to_canonical_limbs();
        let right = other.to_canonical_limbs();
        left.iter().rev().cmp(right.iter().rev())
    }

    /// The square.
    #[must_use]
    pub const fn square(self) -> Self {
        Self(limbs::reduce_once(limbs::square(&self.0)))
    }

    /// The fifth power, which the legacy instance raises to.
    #[must_use]
    pub const fn pow5(self) -> Self {
        Self(limbs::reduce_once(pow5(&self.0)))
    }

    /// The seventh power, which the kimchi instance raises to.
    #[must_use]
    pub const fn pow7(self) -> Self {
        Self(limbs::reduce_once(pow7(&self.0)))
    }

    /// Whether this is zero.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        let [a, b, c, d] = self.0;
        a | b | c | d == 0
    }

    /// The Montgomery form, below p.
    #[inline]
    pub(crate) const fn montgomery(&self) -> &Limbs {
        &self.0
    }

    /// An element from its Montgomery form, which must be below 2p.
    #[inline]
    pub(crate) const fn from_montgomery(limbs: Limbs) -> Self {
        Self(limbs::reduce_once(limbs))
    }
}

/// The fifth power of a loose residue below 2p, again loosely below 2p.
#[inline(always)]
pub(crate) const fn pow5(x: &Limbs) -> Limbs {
    let fourth = limbs::square(&limbs::square(x));
    limbs::mul(&fourth, x)
}

/// The seventh power of a loose residue below 2p, again loosely below 2p.
#[inline(always)]
pub(crate) const fn pow7(x: &Limbs) -> Limbs {
    let second = limbs::square(x);
    let fourth = limbs::square(&second);
    let third = limbs::mul(&second, x);
    limbs::mul(&fourth, &third)
}

const fn limbs_of_bytes(bytes: &[u8; 32]) -> Limbs {
    let mut limbs = [0; 4];
    let mut index = 0;
    while index < 32 {
        limbs[index / 8] |= (bytes[index] as u64) << (8 * (index % 8));
        index += 1;
    }
    limbs
}

impl Add for Fp {
    type Output = Self;

    #[inline]
    fn add(self, other: Self) -> Self {
        Self(limbs::reduce_once(limbs::add(self.0, &other.0)))
    }
}

impl AddAssign for Fp {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Fp {
    type Output = Self;

    #[inline]
    fn sub(self, other: Self) -> Self {
        match limbs::subtract(&self.0, &other.0) {
            (difference, false) => Self(difference),
            // Wraps around 2^256 a second time, back into range.
            (difference, true) => Self(limbs::add(difference, &limbs::P)),
        }
    }
}

impl Mul for Fp {
    type Output = Self;

    #[inline]
    fn mul(self, other: Self) -> Self {
        Self(limbs::reduce_once(limbs::mul(&self.0, &other.0)))
    }
}

impl Neg for Fp {
    type Output = Self;

    #[inline]
    fn neg(self) -> Self {
        Self::ZERO - self
    }
}

impl fmt::Display for Fp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad_integral(true, "", &self.to_decimal())
    }
}

impl fmt::Debug for Fp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fp({})", self.to_decimal())
    }
}
