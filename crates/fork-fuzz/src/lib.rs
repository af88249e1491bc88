//! For tests only: what fuzzers call, for every parser of outside bytes.
//!
//! A [`Target`] takes any bytes, gives them to a parser and panics when more is wrong than the bytes:
//! when the parser panics, when what it read does not come back from what is written of it, when two
//! readers of one format disagree, when a limit is not kept. [`TARGETS`] has all of them.
//!
//! They are called from three sides: by the tests of this crate with all inputs in
//! `fuzz/regressions`, the seeds, and some thousands of changed seeds ([`mutate()`]), which needs
//! nothing but the stable toolchain; and by libFuzzer through the project in `fuzz/`, for hours. See
//! `docs/fuzzing.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod archives;
mod documents;
mod image;
mod lists;
mod mutate;
mod release;
mod repair;
mod seeds;
#[cfg(feature = "store")]
mod store;
mod values;

pub use mutate::{Random, mutate};

/// A parser and what must hold for it, whatever the bytes are.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Name, also of its directory in `fuzz/regressions` and of its file in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// Takes any bytes; panics when something is wrong with the parser.
    pub run: fn(&[u8]),
    /// Bytes to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Changed seeds in the normal test run: as many as take about a second.
    pub iterations: u32,
}

const fn target(
    name: &'static str,
    run: fn(&[u8]),
    seeds: fn() -> Vec<Vec<u8>>,
    iterations: u32,
) -> Target {
    Target {
        name,
        run,
        seeds,
        iterations,
    }
}

/// All targets.
pub const TARGETS: &[Target] = &[
    target("account_dump", lists::account_dump, seeds::dumps, 20_000),
    target("account_json", lists::account_json, seeds::accounts, 4_000),
    target("ar", archives::ar, seeds::debs, 50_000),
    target("base58", values::base58, seeds::identifiers, 50_000),
    target("bin_prot", values::bin_prot, seeds::bin_prot, 50_000),
    target("block", documents::block, seeds::blocks, 10_000),
    target("control", archives::control, seeds::control, 50_000),
    target("deb", archives::deb, seeds::debs, 4_000),
    target(
        "docker_archive",
        image::docker_archive,
        seeds::docker_archives,
        400,
    ),
    target("document", documents::document, seeds::documents, 10_000),
    target(
        "fork_config",
        lists::fork_config,
        seeds::fork_configs,
        6_000,
    ),
    target("network", documents::network, seeds::networks, 10_000),
    target("oci", image::oci, seeds::oci, 800),
    target(
        "prefork_config",
        documents::prefork_config,
        seeds::prefork_configs,
        20_000,
    ),
    target(
        "release_envelope",
        release::envelope,
        release::envelopes,
        1_000,
    ),
    target("release_evidence", release::evidence, release::facts, 2_000),
    target("release_log", release::log, release::logs, 80),
    target("release_policy", release::policy, release::policies, 2_000),
    target("replayer", lists::replayer, seeds::replayer_outputs, 6_000),
    target(
        "runtime_config",
        documents::runtime_config,
        seeds::runtime_configs,
        20_000,
    ),
    target("tar", archives::tar, seeds::tars, 20_000),
    #[cfg(feature = "store")]
    target(
        "packaged_config",
        store::packaged_config,
        seeds::runtime_configs,
        20_000,
    ),
    #[cfg(feature = "store")]
    target("report", store::report, seeds::documents, 20_000),
    #[cfg(feature = "store")]
    target("rocksdb_log", store::log, store::log_seeds, 1_500),
    #[cfg(feature = "store")]
    target("scan_text", store::scan_text, store::scan_seeds, 3_000),
    #[cfg(feature = "store")]
    target("store", store::directory, store::directory_seeds, 1_000),
    #[cfg(feature = "store")]
    target(
        "store_copy",
        store::directory_copy,
        store::directory_seeds,
        60,
    ),
    #[cfg(feature = "store")]
    target("store_key", store::key, store::key_seeds, 50_000),
    #[cfg(feature = "store")]
    target("tarball", store::tarball, store::tarball_seeds, 1_000),
];

/// The target of that name.
///
/// # Panics
///
/// When there is none.
#[must_use]
pub fn target_named(name: &str) -> Target {
    let found = TARGETS.iter().find(|target| target.name == name);
    *found.unwrap_or_else(|| panic!("there is no target `{name}`, or not without RocksDB"))
}

/// An error with its causes, which is all that anybody sees of it.
pub(crate) fn shown(error: &dyn std::error::Error) -> String {
    /// Longest message of any error here: nothing hostile is quoted at length.
    const SHOWN_BYTES_MAX: usize = 8 << 10;
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    assert!(
        text.len() <= SHOWN_BYTES_MAX,
        "an error of {} bytes",
        text.len()
    );
    text
}
