//! Package repositories as apt reads them: what stands in `Packages` and `Release`, as pure functions.
//!
//! - [`Entry`]: one package, its control data and where its file is.
//! - [`Index`]: a `Packages` file.
//! - [`Release`]: the `Release` file of a suite, which names every index by digest; it is what gets
//!   signed.
//!
//! Formats: `deb822(5)`, <https://wiki.debian.org/DebianRepository/Format>. SHA-256 alone is written:
//! every apt since 2014 takes it, and a second kind of digest would need a second set of `by-hash`
//! files, because apt asks for them by the strongest digest it finds.
//!
//! Packages for all architectures stand in the index of each architecture, and `all` is not among the
//! `Architectures`. Every apt understands that; a separate `binary-all` is for newer ones only.

mod entry;
mod index;
mod release;

pub use entry::{Entry, is_architecture_name, pool_path};
pub use index::Index;
pub use release::{IndexRef, Previous, Release, format_date, is_suite_name, parse_date};

/// The architecture of packages that fit every machine.
pub const ALL: &str = "all";
