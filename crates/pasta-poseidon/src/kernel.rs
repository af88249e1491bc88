//! Hashing many equally long inputs from one state.
//!
//! A ledger is hashed almost entirely by two calls: accounts of one kind (many inputs of six or
//! eight elements) and the nodes of one tree level (many pairs). Both go through this module, which
//! is where kernels that permute several states at once plug in.

use std::sync::OnceLock;

use crate::fp::Fp;
use crate::permutation::Instance;
use crate::sponge::{self, State};

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
    /// The kernel's results differ from the portable ones: the processor is defective, or the
    /// program was compiled wrongly.
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
    pub const ALL: [Self; 2] = [Self::Portable, Self::Ifma];

    /// The kernel that this process uses: the one that the environment variable `FORKPACK_KERNEL`
    /// names, otherwise the fastest that works here.
    ///
    /// Chosen once, after a comparison with the portable kernel. What cannot be used is passed over,
    /// because results do not depend on the choice; [`Kernel::check`] says why it was.
    #[must_use]
    pub fn active() -> Self {
        static ACTIVE: OnceLock<Kernel> = OnceLock::new();
        *ACTIVE.get_or_init(|| match Self::requested() {
            Ok(Some(kernel)) if kernel.test().is_ok() => kernel,
            _ => Self::ALL
                .into_iter()
                .rev()
                .find(|kernel| kernel.test().is_ok())
                .unwrap_or(Self::Portable),
        })
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
            out.fill(sponge::hash(state, &[]));
            return;
        }
        match self {
            Self::Portable => portable(state, width, inputs, out),
            #[cfg(target_arch = "x86_64")]
            Self::Ifma => crate::ifma::hash_batch(state, width, inputs, out),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Ifma => assert!(self.is_available(), "this processor has no AVX-512 IFMA"),
        }
    }

    /// What the environment asks for.
    fn requested() -> Result<Option<Self>, KernelError> {
        let Some(name) = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        Self::ALL
            .into_iter()
            .find(|kernel| name == kernel.name())
            .map(Some)
            .ok_or_else(|| KernelError::Unknown {
                found: name.to_string_lossy().into_owned(),
            })
    }

    /// Compares the kernel with the portable one, in a fraction of a millisecond.
    fn test(self) -> Result<(), KernelError> {
        const WIDTH: usize = 3;
        const COUNT: usize = 9;
        if !self.is_available() {
            return Err(KernelError::Unavailable { kernel: self });
        }
        for instance in [Instance::Kimchi, Instance::Legacy] {
            // Boundary values first, then numbers without a pattern; one hash more than eight lanes.
            let mut element = Fp::ZERO - Fp::from_u64(2);
            let inputs: Vec<Fp> = (0..WIDTH * COUNT)
                .map(|index| {
                    element = if index < 4 {
                        element + Fp::ONE
                    } else {
                        element.square() + Fp::from_u64(7)
                    };
                    element
                })
                .collect();
            let state = State::zero(instance);
            let mut expected = [Fp::ZERO; COUNT];
            let mut found = [Fp::ZERO; COUNT];
            portable(&state, WIDTH, &inputs, &mut expected);
            self.hash_batch(&state, WIDTH, &inputs, &mut found);
            if expected != found {
                return Err(KernelError::Defective { kernel: self });
            }
        }
        Ok(())
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

fn portable(state: &State, width: usize, inputs: &[Fp], out: &mut [Fp]) {
    for (input, result) in inputs.chunks_exact(width).zip(out) {
        *result = sponge::hash(state, input);
    }
}
