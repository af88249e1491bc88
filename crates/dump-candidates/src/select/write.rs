//! The chosen candidate becomes a directory like one that `import` writes.

use std::collections::BTreeMap;
use std::io::{self, BufReader, BufWriter};
use std::path::Path;

use fork_fs::{AtomicFile, Digested, FsError, HashingWriter, Operation, StagedDir, write_atomic};
use fork_types::document::{
    Candidate, Document, FileRef, SelectionDocument, StoredCandidate, StoredLedger,
};
use fork_types::{Role, StateHash};
use fork_worker::{Context, OutputArgs, Progress, Unit};

use super::SelectError;
use crate::catalog::Catalog;
use crate::list::StoreProblem;
use crate::list::check::compare_block;
use crate::list::read_back::{StoredAccounts, compare_digests, compare_recomputed, recompute};
use crate::list::stock::Stock;

/// Bytes moved at a time.
const BUFFER_BYTES: usize = 1 << 18;

/// Room for what is written beside the ledgers and the block.
const DOCUMENTS_BYTES: u64 = 1 << 20;

/// Writes one candidate out of a store.
pub(super) struct Writer<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) stock: &'a Stock,
    pub(super) selection: &'a SelectionDocument,
    pub(super) recompute_roots: bool,
    pub(super) context: &'a Context,
}

/// One account list to write.
struct Planned<'a> {
    ledger: &'a StoredLedger,
    /// The candidate describes another text of the same accounts. Its root is then recomputed: it is
    /// all that says they are the same.
    is_other_text: bool,
}

impl Writer<'_> {
    /// Writes the candidate; nothing is left when it fails.
    pub(super) fn write(
        &self,
        chosen: StateHash,
        output: &OutputArgs,
    ) -> Result<Candidate, SelectError> {
        let stored = self
            .stock
            .candidate(chosen)
            .ok_or(SelectError::Vanished { state_hash: chosen })?;
        let planned = self.plan(stored)?;
        let block = self.catalog.block(chosen)?.unwrap_or_default();
        damaged(compare_block(stored, &block))?;
        let bytes = planned.values().map(|planned| planned.ledger.list.bytes);
        let bytes: u64 = bytes.sum();
        let needed = bytes
            .saturating_add(block.len() as u64)
            .saturating_add(DOCUMENTS_BYTES);
        fork_fs::require_free_space(&output.output, needed)?;
        let staged = StagedDir::create(&output.output, output.force)?;
        let mut candidate = stored.candidate.clone();
        let progress = self.context.progress("writing ledgers", bytes, Unit::Bytes);
        for (name, planned) in &planned {
            let path = fork_fs::child(staged.path(), name)?;
            self.write_list(planned, &path, &progress)?;
        }
        for list in [
            &mut candidate.staged_ledger,
            &mut candidate.staking_ledger,
            &mut candidate.next_staking_ledger,
        ] {
            if let Some(planned) = planned.get(&list.file.name) {
                let name = std::mem::take(&mut list.file.name);
                list.file = FileRef {
                    name,
                    ..planned.ledger.list.clone()
                };
            }
        }
        if let Some(file) = &candidate.block {
            write_atomic(&fork_fs::child(staged.path(), &file.name)?, &block)?;
        }
        staged.write_document(self.selection)?;
        candidate.selection.clone_from(&self.selection.chosen);
        // The candidate is of this build, whatever stored it.
        candidate.version = Candidate::version();
        staged.write_document(&candidate)?;
        staged.commit()?;
        Ok(candidate)
    }

    /// Which lists are written under which names. Two ledgers that are the same can be one file, as
    /// `import` left it.
    fn plan(&self, stored: &StoredCandidate) -> Result<BTreeMap<String, Planned<'_>>, SelectError> {
        damaged(self.stock.problems(stored))?;
        let mut planned: BTreeMap<String, Planned<'_>> = BTreeMap::new();
        let taken = |name: &str| {
            let block = stored.candidate.block.as_ref().map(|file| &file.name);
            [Candidate::FILE_NAME, SelectionDocument::FILE_NAME].contains(&name)
                || block.is_some_and(|block| block == name)
        };
        for role in Role::ALL {
            let listed = stored.candidate.ledger(role);
            let ledger = stored.root(role).and_then(|root| self.stock.complete(root));
            let Some(ledger) = ledger else {
                // The problems above would have said so.
                continue;
            };
            let name = &listed.file.name;
            let before = planned.get(name).map(|before| before.ledger.root);
            if taken(name) || before.is_some_and(|root| root != ledger.root) {
                damaged(vec![StoreProblem {
                    what: format!("the file name of the {role} ledger"),
                    expected: "one that no other file of the candidate has".to_owned(),
                    found: name.clone(),
                }])?;
            }
            let is_other_text =
                listed.file.sha256 != ledger.list.sha256 || listed.file.bytes != ledger.list.bytes;
            planned.insert(
                name.clone(),
                Planned {
                    ledger,
                    is_other_text,
                },
            );
        }
        Ok(planned)
    }

    /// Decompresses one list, comparing the digests of both sides with the documents.
    fn write_list(
        &self,
        planned: &Planned<'_>,
        path: &Path,
        progress: &Progress,
    ) -> Result<(), SelectError> {
        let ledger = planned.ledger;
        let mut source = StoredAccounts::new(ledger, self.catalog.accounts(ledger)?)?;
        let file = HashingWriter::new(AtomicFile::create(path)?);
        let mut target = BufWriter::with_capacity(BUFFER_BYTES, file);
        let copied = copy(&mut source, &mut target, progress);
        copied.map_err(|error| match error {
            CopyError::Read(error) => SelectError::from(source.damaged(error)),
            CopyError::Write(error) => FsError::io(Operation::Write, path, error).into(),
        })?;
        let writer = target
            .into_inner()
            .map_err(|error| FsError::io(Operation::Write, path, error.into_error()))?;
        let (file, written) = writer.finish();
        let (object, text) = source.finish()?;
        let mut problems = compare_digests(ledger, &object, &text);
        problems.extend(compare_written(ledger, &written));
        damaged(problems)?;
        file.commit()?;
        if self.recompute_roots || planned.is_other_text {
            let file = BufReader::with_capacity(BUFFER_BYTES, fork_fs::open(path)?);
            let (_, found) = recompute(file, ledger.era, ledger.root)?;
            damaged(compare_recomputed(ledger, &found))?;
        }
        Ok(())
    }
}

/// What was written is what was read: a disk that lies is found out here rather than by the next
/// step.
fn compare_written(ledger: &StoredLedger, written: &Digested) -> Vec<StoreProblem> {
    if written.sha256 == ledger.list.sha256 && written.bytes == ledger.list.bytes {
        return Vec::new();
    }
    vec![StoreProblem {
        what: format!(
            "the SHA-256 of the written accounts of ledger {}",
            ledger.root
        ),
        expected: ledger.list.sha256.clone(),
        found: written.sha256.clone(),
    }]
}

fn damaged(problems: Vec<StoreProblem>) -> Result<(), SelectError> {
    match problems.is_empty() {
        true => Ok(()),
        false => Err(SelectError::Damaged { problems }),
    }
}

enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

/// As [`io::copy`], but says on which side it failed.
fn copy(
    source: &mut impl io::Read,
    target: &mut impl io::Write,
    progress: &Progress,
) -> Result<(), CopyError> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyError::Read(error)),
        };
        let read = buffer.get(..count).unwrap_or_default();
        target.write_all(read).map_err(CopyError::Write)?;
        progress.advance(count as u64);
    }
}
