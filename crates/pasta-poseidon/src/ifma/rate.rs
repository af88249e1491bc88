//! How many multiply-adds this processor executes, for [`crate::bench`].
// Each use says why it is sound.
#![allow(unsafe_code)]

use std::arch::x86_64::_mm512_madd52lo_epu64;
use std::hint::black_box;

use super::arithmetic::{MASK, Vector, set};
use super::is_available;

/// Executes `MADDS_PER_TURN * turns` independent multiply-adds, for [`crate::bench`]. False, and
/// nothing done, when the processor cannot.
pub(crate) fn execute(turns: u32) -> bool {
    if !is_available() {
        return false;
    }
    // SAFETY: the features that the function enables were just found on this processor.
    unsafe { madds(turns) };
    true
}

/// Multiply-adds that wait for nothing but their own predecessor: two per cycle, the most that
/// processors start, times a latency of four cycles, and twice as many again for good measure.
pub(crate) const MADDS_PER_TURN: u32 = 24;

#[target_feature(enable = "avx512f,avx512ifma")]
fn madds(turns: u32) {
    // Sums of different numbers, or the compiler would compute only one of them.
    let mut sums: [Vector; MADDS_PER_TURN as usize] =
        std::array::from_fn(|index| set(black_box(index as u64)));
    let (a, b) = (set(black_box(MASK)), set(black_box(MASK - 1)));
    for _ in 0..turns {
        for sum in &mut sums {
            *sum = _mm512_madd52lo_epu64(*sum, a, b);
        }
    }
    black_box(sums);
}
