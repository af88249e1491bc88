//! Hashing many equally long inputs from one state.
//!
//! A ledger is hashed almost entirely by two calls: accounts of one kind (many inputs of six or
//! eight elements) and the nodes of one tree level (many pairs). Both go through this module, which
//! is where kernels that permute several states at once plug in.

use std::ffi::OsStr;
use std::sync::OnceLock;

use crate::fp::Fp;
use crate::permutation::Instance;
use crate::scalar::{self, Adx, Portable};
use crate::sponge::State;

/// Environment variable that names the kernel to use, for tests and measurements. It cannot change
/// any result.
const VARIABLE: &str = "FORKPACK_KERNEL";

/// An implementation of the batch functions.
///
/// Every kernel gives the same results bit for bit, and a batch need not be a multiple of its lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kernel {
    /// One permutation at a time in 64-bit arithmetic; works everywhere.
    Portable,
    /// The same in assembly with BMI2 and ADX: Intel from Broadwell, AMD from Zen on.
    Adx,
    /// Eight permutations at a time with AVX-512 IFMA: Intel from Ice Lake, AMD from Zen 4 on.
    Ifma,
}

/// Why a kernel cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KernelError {
    /// No kernel has this name.
    Unknown {
        /// The name.
        found: String,
    },
    /// This processor lacks what the kernel needs.
    Unavailable {
        /// The kernel.
        kernel: Kernel,
    },
    /// The kernel's results are wrong: the processor is defective, or the program was compiled
    /// wrongly.
    Defective {
        /// The kernel.
        kernel: Kernel,
    },
}

impl std::fmt::Display for KernelError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown { found } => {
                let names = Kernel::ALL.map(Kernel::name).join(", ");
                write!(
                    f,
                    "{VARIABLE} names no kernel: expected {names}, found `{found}`"
                )
            }
            Self::Unavailable { kernel } => {
                write!(
                    f,
                    "this processor cannot run the kernel `{}`",
                    kernel.name()
                )
            }
            Self::Defective { kernel } => write!(
                f,
                "the kernel `{}` computes wrong hashes on this processor",
                kernel.name()
            ),
        }
    }
}

impl std::error::Error for KernelError {}

impl Kernel {
    /// All kernels, whatever this processor can do, the slowest first.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Adx, Self::Ifma];

    /// The kernel that this process uses: the one that the environment variable `FORKPACK_KERNEL`
    /// names, otherwise the fastest that works here.
    ///
    /// Chosen once, after a test of its results. What cannot be used is passed over, because results do
    /// not depend on the choice; [`Kernel::check`] says why it was. Permutations that come one by one
    /// go with the choice: in assembly where it works, unless the portable kernel is chosen.
    #[must_use]
    pub fn active() -> Self {
        Choice::get().batch
    }

    /// Whether the kernel that was asked for, or the fastest one this processor claims to support,
    /// is the one in use.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
    pub fn check() -> Result<Self, KernelError> {
        if let Some(kernel) = Self::requested()? {
            kernel.test()?;
        }
        for kernel in Self::available() {
            kernel.test()?;
        }
        Ok(Self::active())
    }

    /// The kernels that this processor claims to support, the slowest first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|kernel| kernel.is_available())
    }

    /// Whether this processor claims to support the kernel.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            Self::Adx => Adx::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Ifma => crate::ifma::is_available(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Ifma => false,
        }
    }

    /// Its name, for reports and for `FORKPACK_KERNEL`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Adx => "adx",
            Self::Ifma => "ifma",
        }
    }

    /// [`hash_batch`] with this kernel.
    ///
    /// # Panics
    ///
    /// As [`hash_batch`], and when this processor cannot run the kernel.
    pub fn hash_batch(self, state: &State, width: usize, inputs: &[Fp], out: &mut [Fp]) {
        assert_eq!(
            width.checked_mul(out.len()),
            Some(inputs.len()),
            "a batch must hold `width` elements per result"
        );
        if width == 0 {
            // Empty inputs are completed to one block of zeros.
            let mut digest = [Fp::ZERO];
            self.hash_batch(state, 1, &[Fp::ZERO], &mut digest);
            out.fill(digest[0]);
            return;
        }
        let supported = match self {
            Self::Portable => {
                scalar::hash_batch(Portable, state, width, inputs, out);
                true
            }
            Self::Adx => Adx::detect()
                .map(|adx| scalar::hash_batch(adx, state, width, inputs, out))
                .is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Ifma => crate::ifma::hash_batch(state, width, inputs, out),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Ifma => false,
        };
        assert!(
            supported,
            "this processor cannot run the kernel `{}`",
            self.name()
        );
    }

    /// What the environment asks for.
    fn requested() -> Result<Option<Self>, KernelError> {
        match std::env::var_os(VARIABLE) {
            Some(name) if !name.is_empty() => Self::from_name(&name).map(Some),
            _ => Ok(None),
        }
    }

    fn from_name(name: &OsStr) -> Result<Self, KernelError> {
        Self::ALL
            .into_iter()
            .find(|kernel| name == kernel.name())
            .ok_or_else(|| KernelError::Unknown {
                found: name.to_string_lossy().into_owned(),
            })
    }

    /// Hashes a few pairs with either instance, and compares the results with constants. Takes a tenth
    /// of a millisecond (`ifma`) or two (others), and as much again once, to compute the tables.
    fn test(self) -> Result<(), KernelError> {
        if !self.is_available() {
            return Err(KernelError::Unavailable { kernel: self });
        }
        for (instance, expected) in SELF_TEST {
            let (state, inputs) = self_test_inputs(instance);
            let mut digests = [Fp::ZERO; SELF_TEST_COUNT];
            self.hash_batch(&state, 2, &inputs, &mut digests);
            if self_test_summary(&digests).to_canonical_limbs() != expected {
                return Err(KernelError::Defective { kernel: self });
            }
        }
        Ok(())
    }
}

/// Hashes of the self-test: one more than any kernel has lanes.
const SELF_TEST_COUNT: usize = 9;

/// What [`self_test_summary`] must be; a unit test derives it from the definition of the permutation.
const SELF_TEST: [(Instance, [u64; 4]); 2] = [
    (
        Instance::Kimchi,
        [
            0x1e30_b408_3c36_ff0e,
            0x4ab1_c381_94c1_a28d,
            0x42ff_7a19_86de_a120,
            0x16ec_b502_d6e1_6697,
        ],
    ),
    (
        Instance::Legacy,
        [
            0x15ea_d50b_d6fd_22ce,
            0x66fe_d65a_f1ef_4f87,
            0xa7ee_7f77_ac05_11e4,
            0x1b8c_8ae4_25c1_5b53,
        ],
    ),
];

/// Boundary values first, then numbers without a pattern.
fn self_test_inputs(instance: Instance) -> (State, [Fp; 2 * SELF_TEST_COUNT]) {
    let mut element = -Fp::from_u64(2);
    let inputs = std::array::from_fn(|index| {
        let current = element;
        element = if index < 3 {
            element + Fp::ONE
        } else {
            element.square() + Fp::from_u64(7)
        };
        current
    });
    let words = [-Fp::ONE, Fp::ONE, -Fp::from_u64(2)];
    (State::new(instance, words), inputs)
}

/// A polynomial of the digests: which of them is wrong makes a difference, too.
fn self_test_summary(digests: &[Fp]) -> Fp {
    digests
        .iter()
        .fold(Fp::ZERO, |sum, digest| sum * Fp::from_u64(3) + *digest)
}

/// The choice of implementations, made once per process.
struct Choice {
    batch: Kernel,
    /// For permutations that come one by one; the portable arithmetic without it.
    single: Option<Adx>,
}

impl Choice {
    fn get() -> &'static Self {
        static CHOICE: OnceLock<Choice> = OnceLock::new();
        CHOICE.get_or_init(|| {
            let batch = match Kernel::requested() {
                Ok(Some(kernel)) if kernel.test().is_ok() => kernel,
                _ => Kernel::ALL
                    .into_iter()
                    .rev()
                    .find(|kernel| kernel.test().is_ok())
                    .unwrap_or(Kernel::Portable),
            };
            let single = match batch {
                Kernel::Portable => None,
                Kernel::Adx => Adx::detect(),
                // Not tested yet.
                Kernel::Ifma => Adx::detect().filter(|_| Kernel::Adx.test().is_ok()),
            };
            Self { batch, single }
        })
    }
}

/// One permutation, with the arithmetic that goes with the kernel in use.
pub(crate) fn permute(instance: Instance, words: &[Fp; 3]) -> [Fp; 3] {
    match Choice::get().single {
        Some(adx) => scalar::permute(adx, instance, words),
        None => scalar::permute(Portable, instance, words),
    }
}

/// Hashes `out.len()` inputs of `width` elements each, laid end to end in `inputs`, all from
/// `state`. `out[i]` is what [`crate::hash`] gives for the i-th input.
///
/// # Panics
///
/// When `inputs` does not hold exactly `width` elements per result: a mistake of the caller.
pub fn hash_batch(state: &State, width: usize, inputs: &[Fp], out: &mut [Fp]) {
    Kernel::active().hash_batch(state, width, inputs, out);
}

/// Hashes pairs, such as the nodes of one level of a Merkle tree, all from `state`.
///
/// # Panics
///
/// When there are not as many results as pairs: a mistake of the caller.
pub fn hash_pairs(state: &State, pairs: &[[Fp; 2]], out: &mut [Fp]) {
    hash_batch(state, 2, pairs.as_flattened(), out);
}

#[cfg(test)]
mod tests;
