//! The Pallas base field and the two Poseidon instances that ledgers are hashed with.
//!
//! - [`Fp`]: field elements.
//! - [`State`], [`hash`], [`prefix_state`], [`salt`]: the sponge, block by block.
//! - [`hash_batch`], [`hash_pairs`]: many hashes from one state, the form that whole ledgers are
//!   hashed in; [`Kernel`] says which implementation does it.
//!
//! Nothing here is secret and nothing is constant-time: ledgers are public.
//!
//! ```
//! use pasta_poseidon::{Fp, Instance, hash, prefix_state};
//!
//! let leaves = prefix_state(Instance::Kimchi, "MinaMklTree000");
//! let node = hash(&leaves, &[Fp::from_u64(1), Fp::from_u64(2)]);
//! assert_eq!(
//!     node.to_decimal(),
//!     "23594597949185161128290734848325710207299914940390319419989334356886464995644"
//! );
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

#[doc(hidden)]
pub mod bench;
mod constants_kimchi;
mod constants_legacy;
mod fp;
#[cfg(target_arch = "x86_64")]
mod ifma;
mod kernel;
mod limbs;
mod permutation;
mod rescaled;
mod scalar;
mod sponge;
#[cfg(test)]
mod textbook;

pub use fp::Fp;
pub use kernel::{Kernel, KernelError, hash_batch, hash_pairs};
pub use permutation::Instance;
pub use sponge::{State, hash, prefix_state, salt};
