//! [`Arithmetic`](super::Arithmetic) in assembly for x86-64 with BMI2 (`mulx`) and ADX (`adcx`,
//! `adox`): Intel from Broadwell, AMD from Zen on.
//!
//! `mulx` leaves the flags alone, and the two additions use one flag each, so a row of limb products
//! is added in two chains at once. Independent products overlap by themselves: one is about a hundred
//! instructions, a third of what such processors look ahead. On Zen 4, all instructions share the
//! pipes with the multiplications, so fewer additions matter as much as fewer products.
// Each use says why it is sound.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
pub(crate) use assembly::Adx;

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use elsewhere::Adx;

#[cfg(target_arch = "x86_64")]
mod assembly {
    use std::arch::asm;

    use crate::limbs::{Limbs, P};
    use crate::scalar::{Arithmetic, EXCESS};

    /// Arithmetic with BMI2 and ADX; a value proves that this processor has them.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Adx(());

    impl Adx {
        /// The arithmetic, if this processor can do it.
        #[inline]
        pub(crate) fn detect() -> Option<Self> {
            (is_x86_feature_detected!("bmi2") && is_x86_feature_detected!("adx"))
                .then_some(Self(()))
        }
    }

    /// What the code reads: `EXCESS`, then p without its limb 2, which is zero.
    static CONSTANTS: [u64; 5] = [EXCESS[0], EXCESS[1], P[0], P[1], P[3]];

    // One instruction per line, as assembly is read.

    /// Adds limb `$i` (an offset in bytes) of `{a}` times the number at offset `$j` of `{b}` to five
    /// words. Wants both flags clear, and leaves them so if the sum fits.
    #[rustfmt::skip]
    macro_rules! add_row {
        ($i:literal, $j:literal, $t0:literal, $t1:literal, $t2:literal, $t3:literal, $t4:literal) => {
            concat!(
                "mov rdx, qword ptr [{a} + ", $i, "]\n",
                "mulx {h}, {l}, qword ptr [{b} + ", $j, "]\n",
                "adcx {", $t0, "}, {l}\n",
                "adox {", $t1, "}, {h}\n",
                "mulx {h}, {l}, qword ptr [{b} + ", $j, " + 8]\n",
                "adcx {", $t1, "}, {l}\n",
                "adox {", $t2, "}, {h}\n",
                "mulx {h}, {l}, qword ptr [{b} + ", $j, " + 16]\n",
                "adcx {", $t2, "}, {l}\n",
                "adox {", $t3, "}, {h}\n",
                "mulx {h}, {l}, qword ptr [{b} + ", $j, " + 24]\n",
                "adcx {", $t3, "}, {l}\n",
                "adox {", $t4, "}, {h}\n",
                "adc {", $t4, "}, 0\n",
            )
        };
    }

    /// The first row that reaches word `$t4`.
    #[rustfmt::skip]
    macro_rules! new_row {
        ($i:literal, $t0:literal, $t1:literal, $t2:literal, $t3:literal, $t4:literal) => {
            concat!(
                "xor {", $t4, ":e}, {", $t4, ":e}\n",
                add_row!($i, "0", $t0, $t1, $t2, $t3, $t4),
            )
        };
    }

    /// A row of the second product of a sum.
    #[rustfmt::skip]
    macro_rules! second_row {
        ($i:literal, $t0:literal, $t1:literal, $t2:literal, $t3:literal, $t4:literal) => {
            concat!(
                "xor {h:e}, {h:e}\n",
                add_row!($i, "32", $t0, $t1, $t2, $t3, $t4),
            )
        };
    }

    /// Folds word `$q`; jumps to `$lift` when the difference is negative, which comes back to
    /// `$back`. Overwrites `{a}`.
    #[rustfmt::skip]
    macro_rules! fold {
        ($q:literal, $d0:literal, $d1:literal, $d2:literal, $d3:literal, $lift:literal, $back:literal) => {
            concat!(
                "mov rdx, {", $q, "}\n",
                "mulx {h}, {l}, qword ptr [rip + {constants}]\n",
                "mulx {", $q, "}, {a}, qword ptr [rip + {constants} + 8]\n",
                "add {h}, {a}\n",
                "adc {", $q, "}, 0\n",
                "sub {", $d0, "}, {l}\n",
                "sbb {", $d1, "}, {h}\n",
                "sbb {", $d2, "}, {", $q, "}\n",
                "sbb {", $d3, "}, 0\n",
                "jc ", $lift, "f\n",
                $back, ":\n",
            )
        };
    }

    /// Adds p to four words.
    #[rustfmt::skip]
    macro_rules! lift {
        ($d0:literal, $d1:literal, $d2:literal, $d3:literal, $lift:literal, $back:literal) => {
            concat!(
                $lift, ":\n",
                "add {", $d0, "}, qword ptr [rip + {constants} + 16]\n",
                "adc {", $d1, "}, qword ptr [rip + {constants} + 24]\n",
                "adc {", $d2, "}, 0\n",
                "adc {", $d3, "}, qword ptr [rip + {constants} + 32]\n",
                "jmp ", $back, "b\n",
            )
        };
    }

    /// Folds words 7 to 4; the result is in words 0 to 3.
    #[rustfmt::skip]
    macro_rules! reduce {
        () => {
            concat!(
                fold!("w7", "w3", "w4", "w5", "w6", "22", "32"),
                fold!("w6", "w2", "w3", "w4", "w5", "23", "33"),
                fold!("w5", "w1", "w2", "w3", "w4", "24", "34"),
                fold!("w4", "w0", "w1", "w2", "w3", "25", "35"),
                "jmp 29f\n",
                lift!("w3", "w4", "w5", "w6", "22", "32"),
                lift!("w2", "w3", "w4", "w5", "23", "33"),
                lift!("w1", "w2", "w3", "w4", "24", "34"),
                lift!("w0", "w1", "w2", "w3", "25", "35"),
                "29:\n",
            )
        };
    }

    impl Arithmetic for Adx {
        #[inline(always)]
        fn square(self, a: &Limbs) -> Limbs {
            let (r0, r1, r2, r3);
            // SAFETY: the processor has the instructions, as `self` proves. The code reads four limbs
            // at `a` and the constants, writes nothing but its operands and the flags, and does not
            // use the stack.
            unsafe {
                asm!(
                    // The products of different limbs, once.
                    "mov rdx, qword ptr [{a}]",
                    "mulx {w2}, {w1}, qword ptr [{a} + 8]",
                    "mulx {w3}, {l}, qword ptr [{a} + 16]",
                    "mulx {w4}, {h}, qword ptr [{a} + 24]",
                    "mov rdx, qword ptr [{a} + 8]",
                    "add {w2}, {l}",
                    "adc {w3}, {h}",
                    "adc {w4}, 0",
                    "mulx {h}, {l}, qword ptr [{a} + 16]",
                    "mulx {w5}, {w7}, qword ptr [{a} + 24]",
                    "mov rdx, qword ptr [{a} + 16]",
                    "add {w3}, {l}",
                    "adc {w7}, {h}",
                    "adc {w5}, 0",
                    "mulx {w6}, {l}, qword ptr [{a} + 24]",
                    "mov rdx, qword ptr [{a}]",
                    "add {w4}, {w7}",
                    "adc {w5}, {l}",
                    "adc {w6}, 0",
                    // Twice them in one chain, plus the squares in the other.
                    "xor {w7:e}, {w7:e}",
                    "mulx {h}, {w0}, rdx",
                    "adcx {w1}, {w1}",
                    "adox {w1}, {h}",
                    "mov rdx, qword ptr [{a} + 8]",
                    "mulx {h}, {l}, rdx",
                    "adcx {w2}, {w2}",
                    "adox {w2}, {l}",
                    "adcx {w3}, {w3}",
                    "adox {w3}, {h}",
                    "mov rdx, qword ptr [{a} + 16]",
                    "mulx {h}, {l}, rdx",
                    "adcx {w4}, {w4}",
                    "adox {w4}, {l}",
                    "adcx {w5}, {w5}",
                    "adox {w5}, {h}",
                    "mov rdx, qword ptr [{a} + 24]",
                    "mulx {h}, {l}, rdx",
                    "adcx {w6}, {w6}",
                    "adox {w6}, {l}",
                    "adcx {w7}, {w7}",
                    "adox {w7}, {h}",
                    reduce!(),
                    a = inout(reg) a.as_ptr() => _,
                    constants = sym CONSTANTS,
                    out("rdx") _, h = out(reg) _, l = out(reg) _,
                    w0 = out(reg) r0, w1 = out(reg) r1, w2 = out(reg) r2, w3 = out(reg) r3,
                    w4 = out(reg) _, w5 = out(reg) _, w6 = out(reg) _, w7 = out(reg) _,
                    options(pure, readonly, nostack),
                );
            }
            [r0, r1, r2, r3]
        }

        #[inline(always)]
        fn multiply(self, a: &Limbs, b: &Limbs) -> Limbs {
            let (r0, r1, r2, r3);
            // SAFETY: as in `square`; the code reads four limbs at `a` and at `b`.
            unsafe {
                asm!(
                    "mov rdx, qword ptr [{a}]",
                    "mulx {w1}, {w0}, qword ptr [{b}]",
                    "mulx {w2}, {l}, qword ptr [{b} + 8]",
                    "add {w1}, {l}",
                    "mulx {w3}, {l}, qword ptr [{b} + 16]",
                    "adc {w2}, {l}",
                    "mulx {w4}, {l}, qword ptr [{b} + 24]",
                    "adc {w3}, {l}",
                    "adc {w4}, 0",
                    new_row!("8", "w1", "w2", "w3", "w4", "w5"),
                    new_row!("16", "w2", "w3", "w4", "w5", "w6"),
                    new_row!("24", "w3", "w4", "w5", "w6", "w7"),
                    reduce!(),
                    a = inout(reg) a.as_ptr() => _,
                    b = in(reg) b.as_ptr(),
                    constants = sym CONSTANTS,
                    out("rdx") _, h = out(reg) _, l = out(reg) _,
                    w0 = out(reg) r0, w1 = out(reg) r1, w2 = out(reg) r2, w3 = out(reg) r3,
                    w4 = out(reg) _, w5 = out(reg) _, w6 = out(reg) _, w7 = out(reg) _,
                    options(pure, readonly, nostack),
                );
            }
            [r0, r1, r2, r3]
        }

        #[inline(always)]
        fn multiply_add(self, a: &Limbs, b: &Limbs, c: &Limbs) -> Limbs {
            let (r0, r1, r2, r3);
            // SAFETY: as in `square`; the code reads four limbs at `a`, at `b` and at `c`.
            unsafe {
                asm!(
                    "mov {w0}, qword ptr [{h}]",
                    "mov {w1}, qword ptr [{h} + 8]",
                    "mov {w2}, qword ptr [{h} + 16]",
                    "mov {w3}, qword ptr [{h} + 24]",
                    new_row!("0", "w0", "w1", "w2", "w3", "w4"),
                    new_row!("8", "w1", "w2", "w3", "w4", "w5"),
                    new_row!("16", "w2", "w3", "w4", "w5", "w6"),
                    new_row!("24", "w3", "w4", "w5", "w6", "w7"),
                    reduce!(),
                    a = inout(reg) a.as_ptr() => _,
                    b = in(reg) b.as_ptr(),
                    constants = sym CONSTANTS,
                    h = inout(reg) c.as_ptr() => _,
                    out("rdx") _, l = out(reg) _,
                    w0 = out(reg) r0, w1 = out(reg) r1, w2 = out(reg) r2, w3 = out(reg) r3,
                    w4 = out(reg) _, w5 = out(reg) _, w6 = out(reg) _, w7 = out(reg) _,
                    options(pure, readonly, nostack),
                );
            }
            [r0, r1, r2, r3]
        }

        #[inline(always)]
        fn dot_add(self, a: &[Limbs; 2], b: &[Limbs; 2], c: &Limbs) -> Limbs {
            let (r0, r1, r2, r3);
            // SAFETY: as in `square`; the code reads eight limbs at `a` and at `b`, four at `c`.
            unsafe {
                asm!(
                    "mov {w0}, qword ptr [{h}]",
                    "mov {w1}, qword ptr [{h} + 8]",
                    "mov {w2}, qword ptr [{h} + 16]",
                    "mov {w3}, qword ptr [{h} + 24]",
                    new_row!("0", "w0", "w1", "w2", "w3", "w4"),
                    second_row!("32", "w0", "w1", "w2", "w3", "w4"),
                    new_row!("8", "w1", "w2", "w3", "w4", "w5"),
                    second_row!("40", "w1", "w2", "w3", "w4", "w5"),
                    new_row!("16", "w2", "w3", "w4", "w5", "w6"),
                    second_row!("48", "w2", "w3", "w4", "w5", "w6"),
                    new_row!("24", "w3", "w4", "w5", "w6", "w7"),
                    second_row!("56", "w3", "w4", "w5", "w6", "w7"),
                    reduce!(),
                    a = inout(reg) a.as_ptr() => _,
                    b = in(reg) b.as_ptr(),
                    constants = sym CONSTANTS,
                    h = inout(reg) c.as_ptr() => _,
                    out("rdx") _, l = out(reg) _,
                    w0 = out(reg) r0, w1 = out(reg) r1, w2 = out(reg) r2, w3 = out(reg) r3,
                    w4 = out(reg) _, w5 = out(reg) _, w6 = out(reg) _, w7 = out(reg) _,
                    options(pure, readonly, nostack),
                );
            }
            [r0, r1, r2, r3]
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod elsewhere {
    use crate::limbs::Limbs;
    use crate::scalar::Arithmetic;

    /// Arithmetic that other processors do not have: there are no values.
    #[derive(Clone, Copy, Debug)]
    pub(crate) enum Adx {}

    impl Adx {
        pub(crate) fn detect() -> Option<Self> {
            None
        }
    }

    impl Arithmetic for Adx {
        fn square(self, _: &Limbs) -> Limbs {
            match self {}
        }

        fn multiply(self, _: &Limbs, _: &Limbs) -> Limbs {
            match self {}
        }

        fn multiply_add(self, _: &Limbs, _: &Limbs, _: &Limbs) -> Limbs {
            match self {}
        }

        fn dot_add(self, _: &[Limbs; 2], _: &[Limbs; 2], _: &Limbs) -> Limbs {
            match self {}
        }
    }
}
