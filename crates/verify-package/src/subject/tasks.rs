//! What is done with the files of a package as soon as they are there, while the next ones are still
//! being read out of an archive: digests of all of them, and the ledgers' tarballs unpacked.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use fork_types::Role;
use rayon::Scope;

use super::{Content, FileDigests, SubjectError, is_tarball_of, spool};
use crate::tarball::TarballFacts;

/// Tarballs that are unpacked before it is known which ones are needed. A package has three; more
/// are hostile, and cost nothing.
const UNPACKED_AHEAD_MAX: usize = 3;

/// Digests by path.
type Digests = BTreeMap<String, FileDigests>;
/// Unpacked tarballs by path.
type Tarballs = BTreeMap<String, TarballFacts>;

/// What is done with files.
pub(super) struct Tasks<'a> {
    scratch: &'a Path,
    unpacks: bool,
    done: Mutex<Done>,
}

/// By path: number of the file, and what was found.
#[derive(Default)]
struct Done {
    files: usize,
    unpacked: usize,
    digests: BTreeMap<String, (usize, Result<FileDigests, SubjectError>)>,
    tarballs: BTreeMap<String, (usize, Result<TarballFacts, SubjectError>)>,
}

impl<'a> Tasks<'a> {
    pub(super) fn new(scratch: &'a Path, unpacks: bool) -> Self {
        Self {
            scratch,
            unpacks,
            done: Mutex::default(),
        }
    }

    /// Starts what is to be done with a file.
    pub(super) fn start<'scope>(
        &'scope self,
        scope: &Scope<'scope>,
        path: &str,
        content: &Content,
    ) {
        let is_tarball = path.rsplit('/').next().is_some_and(|name| {
            let of = |role: &Role| is_tarball_of(name, *role);
            Role::ALL.iter().any(of)
        });
        let (number, unpacks) = self.with(|done| {
            done.files += 1;
            let unpacks = self.unpacks && is_tarball && done.unpacked < UNPACKED_AHEAD_MAX;
            done.unpacked += usize::from(unpacks);
            (done.files, unpacks)
        });
        let (key, file) = (path.to_owned(), content.clone());
        scope.spawn(move |_| {
            let found = spool::digest(&file);
            self.with(|done| keep(&mut done.digests, key, number, found));
        });
        if unpacks {
            let (key, file) = (path.to_owned(), content.clone());
            scope.spawn(move |_| {
                let found = TarballFacts::read(&file, self.scratch);
                self.with(|done| keep(&mut done.tarballs, key, number, found));
            });
        }
    }

    /// What was found, when all is done.
    pub(super) fn finish(self) -> Result<(Digests, Tarballs), SubjectError> {
        // Nothing panics while it is locked; and what was written before would be whole.
        let done = self
            .done
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let digests = done.digests.into_iter();
        let tarballs = done.tarballs.into_iter();
        Ok((
            digests
                .map(|(path, (_, found))| Ok((path, found?)))
                .collect::<Result<_, SubjectError>>()?,
            tarballs
                .map(|(path, (_, found))| Ok((path, found?)))
                .collect::<Result<_, SubjectError>>()?,
        ))
    }

    fn with<T>(&self, change: impl FnOnce(&mut Done) -> T) -> T {
        let mut done = self
            .done
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut done)
    }
}

/// Keeps what was found in the last file of a name: that is the one that would be installed.
fn keep<T>(found: &mut BTreeMap<String, (usize, T)>, path: String, number: usize, value: T) {
    match found.get(&path) {
        Some((other, _)) if *other > number => {}
        _ => {
            found.insert(path, (number, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_file_of_a_name_counts() {
        for order in [[1, 2], [2, 1]] {
            let mut found = BTreeMap::new();
            for number in order {
                keep(&mut found, "a".to_owned(), number, number * 10);
            }
            assert_eq!(found["a"], (2, 20));
        }
    }
}
