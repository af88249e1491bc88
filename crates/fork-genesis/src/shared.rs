//! Test data that lies outside the repository.

use std::path::PathBuf;

/// Reads `name` below `FORKPACK_SHARED` (by default `shared` beside the workspace). `None`, with a
/// loud line, when the data is not there; a failure when `FORKPACK_REQUIRE_SHARED` is 1.
#[expect(clippy::disallowed_methods, reason = "small files of a test")]
pub(crate) fn read(name: &str) -> Option<Vec<u8>> {
    let root = std::env::var_os("FORKPACK_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let bytes = std::fs::read(root.join(name)).ok();
    if bytes.is_none() {
        assert!(
            std::env::var("FORKPACK_REQUIRE_SHARED").as_deref() != Ok("1"),
            "{name} is required and absent"
        );
        eprintln!("SKIPPED: {name} is not there; set FORKPACK_SHARED");
    }
    bytes
}
