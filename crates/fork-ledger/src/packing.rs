//! From numbers and bits to field elements, in the two ways the protocol does it.
//!
//! A structure is hashed as its field elements followed by its packed chunks. Source:
//! MinaProtocol/mina `src/lib/random_oracle_input/random_oracle_input.ml`; o1-labs/mina-rust
//! `poseidon/src/hash.rs` and `ledger/src/account/legacy.rs`.

use fork_types::FieldBytes;
use pasta_poseidon::Fp;

/// Bits that fit below the modulus whatever they are.
const ELEMENT_BITS: u32 = 254;

/// The element of checked bytes.
#[must_use]
pub const fn element(bytes: FieldBytes) -> Fp {
    Fp::from_le_bytes_reduced(bytes.as_le_bytes())
}

/// The bytes of an element.
#[must_use]
pub fn field_bytes(element: Fp) -> FieldBytes {
    // An element's bytes are always canonical, so the default is never taken.
    FieldBytes::from_le_bytes(element.to_le_bytes()).unwrap_or_default()
}

/// Packs chunks as Berkeley and Mesa do: the first chunk is the most significant, and a chunk that
/// would take the element past 254 bits starts the next one instead of being split.
///
/// Because of that rule the division into chunks is part of the hash: eight single bits may pack
/// differently from one byte. Chunks may be joined only where their widths cannot cross a boundary.
#[derive(Debug)]
pub struct KimchiPacker<'a> {
    elements: &'a mut Vec<Fp>,
    accumulator: [u64; 4],
    bits: u32,
}

impl<'a> KimchiPacker<'a> {
    /// Packs into new elements at the end of `elements`.
    pub const fn new(elements: &'a mut Vec<Fp>) -> Self {
        Self {
            elements,
            accumulator: [0; 4],
            bits: 0,
        }
    }

    /// Adds `value` as one chunk of `width` bits, 1 to 127.
    ///
    /// # Panics
    ///
    /// When `value` does not fit its width, which would corrupt its neighbour.
    pub fn push(&mut self, value: u128, width: u32) {
        assert!(
            (1..128).contains(&width) && value >> width == 0,
            "a chunk must fit its width"
        );
        if self.bits + width > ELEMENT_BITS {
            self.emit();
        }
        shift_left(&mut self.accumulator, width);
        self.accumulator[0] |= value as u64;
        self.accumulator[1] |= (value >> 64) as u64;
        self.bits += width;
    }

    /// Adds one bit as a chunk.
    pub fn push_bit(&mut self, bit: bool) {
        self.push(u128::from(bit), 1);
    }

    /// Adds the last element.
    pub fn finish(mut self) {
        if self.bits > 0 {
            self.emit();
        }
    }

    fn emit(&mut self) {
        self.elements.push(Fp::from_limbs_reduced(self.accumulator));
        self.accumulator = [0; 4];
        self.bits = 0;
    }
}

/// Shifts a 256-bit number by 1 to 127 bits; what leaves it at the top is lost.
fn shift_left(limbs: &mut [u64; 4], bits: u32) {
    let low = u128::from(limbs[0]) | u128::from(limbs[1]) << 64;
    let high = u128::from(limbs[2]) | u128::from(limbs[3]) << 64;
    let high = high << bits | low >> (128 - bits);
    let low = low << bits;
    *limbs = [
        low as u64,
        (low >> 64) as u64,
        high as u64,
        (high >> 64) as u64,
    ];
}

/// Packs bits as v1 does: one stream of bits, cut every 254 bits, the first bit of a piece the
/// least significant. Integers go in least significant bit first and are split where a piece ends.
#[derive(Debug)]
pub struct LegacyPacker<'a> {
    elements: &'a mut Vec<Fp>,
    accumulator: [u64; 4],
    bits: u32,
}

impl<'a> LegacyPacker<'a> {
    /// Packs into new elements at the end of `elements`.
    pub const fn new(elements: &'a mut Vec<Fp>) -> Self {
        Self {
            elements,
            accumulator: [0; 4],
            bits: 0,
        }
    }

    /// Adds the lowest `width` bits of `value`, at most 64, least significant first.
    ///
    /// # Panics
    ///
    /// When `value` does not fit its width.
    pub fn push(&mut self, value: u64, width: u32) {
        assert!(
            width <= 64 && u128::from(value) >> width == 0,
            "a value must fit its width"
        );
        let taken = width.min(ELEMENT_BITS - self.bits);
        self.place(value, taken);
        if self.bits == ELEMENT_BITS {
            self.emit();
            self.place(value.checked_shr(taken).unwrap_or(0), width - taken);
        }
    }

    /// Adds one bit.
    pub fn push_bit(&mut self, bit: bool) {
        self.push(u64::from(bit), 1);
    }

    /// Adds the last element.
    pub fn finish(mut self) {
        if self.bits > 0 {
            self.emit();
        }
    }

    /// Puts the lowest `width` bits of `value` at the current position; they fit the element.
    fn place(&mut self, value: u64, width: u32) {
        let masked = u128::from(value) & ((1 << width) - 1);
        let shifted = masked << (self.bits % 64);
        let limb = (self.bits / 64) as usize;
        self.accumulator[limb] |= shifted as u64;
        if let Some(next) = self.accumulator.get_mut(limb + 1) {
            *next |= (shifted >> 64) as u64;
        }
        self.bits += width;
    }

    fn emit(&mut self) {
        self.elements.push(Fp::from_limbs_reduced(self.accumulator));
        self.accumulator = [0; 4];
        self.bits = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Doubling and adding in the field: no limb and no shift in sight.
    fn element_of_bits(bits: &[bool]) -> Fp {
        bits.iter().fold(Fp::ZERO, |sum, bit| {
            sum + sum + Fp::from_u64(u64::from(*bit))
        })
    }

    fn bits_most_significant_first(value: u128, width: u32) -> impl Iterator<Item = bool> {
        (0..width).rev().map(move |bit| value >> bit & 1 == 1)
    }

    fn kimchi(chunks: &[(u128, u32)]) -> Vec<Fp> {
        let mut elements = Vec::new();
        let mut packer = KimchiPacker::new(&mut elements);
        for (value, width) in chunks {
            packer.push(*value, *width);
        }
        packer.finish();
        elements
    }

    fn legacy(values: &[(u64, u32)]) -> Vec<Fp> {
        let mut elements = Vec::new();
        let mut packer = LegacyPacker::new(&mut elements);
        for (value, width) in values {
            packer.push(*value, *width);
        }
        packer.finish();
        elements
    }

    fn chunk() -> impl Strategy<Value = (u128, u32)> {
        (any::<u128>(), prop_oneof![Just(1_u32), 1_u32..128])
            .prop_map(|(value, width)| (value & ((1 << width) - 1), width))
    }

    proptest! {
        #[test]
        fn kimchi_is_greedy(chunks in prop::collection::vec(chunk(), 0..300)) {
            let mut expected = Vec::new();
            let mut bits = Vec::new();
            for (value, width) in &chunks {
                if bits.len() + *width as usize >= 255 {
                    expected.push(element_of_bits(&bits));
                    bits.clear();
                }
                bits.extend(bits_most_significant_first(*value, *width));
            }
            if !bits.is_empty() {
                expected.push(element_of_bits(&bits));
            }
            prop_assert_eq!(kimchi(&chunks), expected);
        }

        #[test]
        fn legacy_is_one_stream_of_bits(
            values in prop::collection::vec((any::<u64>(), 0_u32..=64), 0..60),
        ) {
            let values: Vec<(u64, u32)> = values
                .into_iter()
                .map(|(value, width)| {
                    (value.checked_shr(64 - width).unwrap_or(0), width)
                })
                .collect();
            let stream: Vec<bool> = values
                .iter()
                .flat_map(|(value, width)| (0..*width).map(move |bit| value >> bit & 1 == 1))
                .collect();
            let expected: Vec<Fp> = stream
                .chunks(254)
                .map(|piece| {
                    let reversed: Vec<bool> = piece.iter().rev().copied().collect();
                    element_of_bits(&reversed)
                })
                .collect();
            prop_assert_eq!(legacy(&values), expected);
        }

        #[test]
        fn bytes_and_elements_convert(bytes: [u8; 32]) {
            let reduced = Fp::from_le_bytes_reduced(&bytes);
            let bytes = field_bytes(reduced);
            prop_assert_eq!(bytes.to_le_bytes(), reduced.to_le_bytes());
            prop_assert_eq!(element(bytes), reduced);
        }
    }

    #[test]
    fn boundaries() {
        assert_eq!(kimchi(&[]), []);
        assert_eq!(legacy(&[]), []);
        // Zeros count: an element of zero bits is not an element, one of zeros is.
        assert_eq!(kimchi(&[(0, 1)]), [Fp::ZERO]);
        assert_eq!(legacy(&[(0, 1)]), [Fp::ZERO]);
        let full = u128::MAX >> 1;
        assert_eq!(kimchi(&[(full, 127), (full, 127)]).len(), 1, "254 bits fit");
        assert_eq!(
            kimchi(&[(full, 127), (full, 127), (0, 1)]).len(),
            2,
            "255 bits do not"
        );
        let filled = vec![(u64::MAX, 64); 4];
        let elements = legacy(&filled);
        assert_eq!(elements.len(), 2);
        assert_eq!(
            elements[1],
            Fp::from_u64(3),
            "the two bits that were cut off"
        );
        assert_eq!(legacy(&[(1, 64), (1, 64), (1, 64), (1, 62)]).len(), 1);
    }

    #[test]
    #[should_panic(expected = "a chunk must fit its width")]
    fn values_wider_than_their_chunk_are_refused() {
        kimchi(&[(2, 1)]);
    }
}
