//! Finding the files that are beside the project and never part of it.

use std::io::Write;
use std::path::PathBuf;

/// Reads a file of the directory named by `FORKPACK_SHARED` (default: `../shared` beside the
/// workspace).
///
/// Without the file the calling test is skipped, loudly; with `FORKPACK_REQUIRE_SHARED=1` it fails.
pub fn read_shared(relative: &str) -> Option<String> {
    let directory = std::env::var_os("FORKPACK_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = directory.join(relative);
    if !path.exists() {
        assert!(
            std::env::var_os("FORKPACK_REQUIRE_SHARED").is_none_or(|value| value != "1"),
            "{relative} is not present beside the project, but FORKPACK_REQUIRE_SHARED=1"
        );
        // Not a print macro: the test harness would swallow it.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {relative} not present");
        return None;
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "the crate that wraps it is above this one"
    )]
    let text = std::fs::read_to_string(&path).unwrap();
    Some(text)
}
