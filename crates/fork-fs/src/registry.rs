//! Paths that are being written, so that a signal handler can remove them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How often a directory that is still being filled is removed before giving up.
const REMOVALS_MAX: usize = 100;

static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn unfinished() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    // A panic while holding the lock leaves a usable set.
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn register(path: &Path) {
    unfinished().insert(path.to_owned());
}

pub(crate) fn forget(path: &Path) {
    unfinished().remove(path);
}

/// Removes every file and directory that was started and not finished. For signal handlers that are
/// about to end the process; errors are ignored because nobody is left to act on them.
pub fn remove_unfinished() {
    for path in std::mem::take(&mut *unfinished()) {
        let _ = fs::remove_file(&path);
        // Another thread may still be creating files in it; it cannot once the directory is gone.
        for _ in 0..REMOVALS_MAX {
            let _ = fs::remove_dir_all(&path);
            if !crate::exists(&path) {
                break;
            }
        }
    }
}
