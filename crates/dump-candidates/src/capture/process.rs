//! An answer becomes a stored candidate: import, pack, upload, list.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use fork_daemon::StoreError;
use fork_fs::{AtomicFile, FsError, HashingReader, HashingWriter, Operation};
use fork_types::document::{
    Candidate, CandidateLedger, CaptureRecord, FileRef, Refusal, SeenBlock, StoredCandidate,
    StoredLedger,
};
use fork_types::{Class, Era, Fault, LedgerHash, Role, StateHash};
use fork_worker::{Context, InputArg, OutputArgs, ReportingArgs};
use sha2::{Digest, Sha256};

use super::work_dir::{ANSWER_NAME, BLOCK_NAME, JobRecord, WorkDir};
use crate::args::ImportArgs;
use crate::catalog::{Catalog, CatalogError, list_ref, stored_name};
use crate::error::DumpError;

/// Level of zstd: a realistic ledger shrinks to a quarter at 400 MB/s; the next levels gain 3 % for
/// twice the time.
const ZSTD_LEVEL: i32 = 3;

/// Bytes moved at a time.
const BUFFER_BYTES: usize = 1 << 18;

/// Most of an error that goes into a refusal, in characters: every contradiction of a candidate, and
/// not a whole hostile document.
const REASON_CHARS_MAX: usize = 4000;

/// What became of an answer.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Stored, now or before.
    Stored(Box<StoredCandidate>, Figures),
    /// Contradicts itself or cannot be read; it is kept aside.
    Refused(Box<Refusal>, Class),
}

/// Numbers for the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// Ledgers that were new to the store.
    pub(crate) new_ledgers: u32,
    /// Bytes they have there.
    pub(crate) new_bytes: u64,
    /// Time per stage.
    pub(crate) verify: Duration,
    /// Packing, uploading and reading back.
    pub(crate) store: Duration,
}

/// What kept an answer from being stored; trying again may help.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    /// The working directory.
    #[error(transparent)]
    File(#[from] FsError),
    /// The store.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The machine, while the answer was verified.
    #[error("the answer could not be verified")]
    Import(#[source] Box<DumpError>),
    /// The candidate has no roots: a bug.
    #[error("the {role} ledger of the candidate has no computed root")]
    NoRoot {
        /// Which ledger.
        role: Role,
    },
}

impl Fault for ProcessError {
    fn class(&self) -> Class {
        match self {
            Self::File(error) => error.class(),
            Self::Catalog(error) => error.class(),
            Self::Import(error) => error.class(),
            Self::NoRoot { .. } => Class::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Catalog(error) => error.hint(),
            Self::Import(error) => error.hint(),
            Self::NoRoot { .. } => None,
        }
    }
}

/// Turns answers into stored candidates, one at a time and with all cores.
pub(crate) struct Processor<'a> {
    pub(crate) work: &'a WorkDir,
    pub(crate) catalog: &'a Catalog,
    /// As given on the command line.
    pub(crate) network: String,
    pub(crate) era: Era,
    pub(crate) keep_refused: usize,
    pub(crate) context: &'a Context,
}

impl Processor<'_> {
    /// Does everything that is left to do for a job, whatever was done of it before.
    ///
    /// `now_ms` is what the documents say about when.
    pub(crate) fn process(&self, job: &JobRecord, now_ms: u64) -> Result<Outcome, ProcessError> {
        let block = job.seen.state_hash;
        if let Some(stored) = self.catalog.candidate(block)? {
            self.work.finish(block)?;
            return Ok(Outcome::Stored(Box::new(stored), Figures::default()));
        }
        let mut figures = Figures::default();
        let started = std::time::Instant::now();
        let ready = self.work.ready(block);
        if !fork_fs::exists(&ready) {
            match self.import(job, &ready) {
                Ok(_) => {}
                Err(error) if matches!(error.class(), Class::Wrong | Class::BadInput) => {
                    return self.refuse(job, &error, now_ms);
                }
                Err(error) => return Err(ProcessError::Import(Box::new(error))),
            }
        }
        figures.verify = started.elapsed();
        let started = std::time::Instant::now();
        let (candidate, _): (Candidate, _) = fork_fs::read_document(&ready)?;
        if let Err(error) = check_seen(&job.seen, &candidate) {
            fork_fs::remove_all(&ready)?;
            return self.refuse(job, &error, now_ms);
        }
        for role in Role::ALL {
            let ledger = candidate.ledger(role);
            let root = ledger.computed_root.ok_or(ProcessError::NoRoot { role })?;
            if self.catalog.complete_ledger(root)?.is_none() {
                let bytes = self.store_ledger(root, ledger, &ready)?;
                figures.new_ledgers += 1;
                figures.new_bytes += bytes;
            }
            // A capture that was killed between upload and document leaves it.
            fork_fs::remove_all(&self.work.upload_journal(&root.to_string()))?;
        }
        let text = fork_fs::read_limited(
            &ready.join(BLOCK_NAME),
            fork_genesis::block::BLOCK_BYTES_MAX,
        )?;
        self.catalog.put_block(block, &text)?;
        let stored = StoredCandidate {
            format: StoredCandidate::format(),
            version: StoredCandidate::version(),
            candidate,
            captured: CaptureRecord {
                daemon: job.daemon.clone(),
                daemon_version: job.daemon_version.clone(),
                chain_id: job.chain_id.clone(),
                captured_at_ms: now_ms,
                answer_bytes: job.answer_bytes,
                answer_sha256: job.answer_sha256.clone(),
                answer_wait_ms: job.answer_wait_ms,
                answer_transfer_ms: job.answer_transfer_ms,
            },
        };
        self.catalog.put_candidate(&stored)?;
        self.work.finish(block)?;
        figures.store = started.elapsed();
        Ok(Outcome::Stored(Box::new(stored), figures))
    }

    /// The very import that a person would run on the answer and the block.
    fn import(&self, job: &JobRecord, ready: &Path) -> Result<Candidate, DumpError> {
        let directory = self.work.job(job.seen.state_hash);
        let input = |name| InputArg::Path(directory.join(name));
        let import = ImportArgs {
            network: self.network.clone(),
            fork_config: Some(input(ANSWER_NAME)),
            replayer_output: None,
            block: Some(input(BLOCK_NAME)),
            block_prefix: None,
            staged_ledger: None,
            staking_ledger: None,
            next_staking_ledger: None,
            prefork_config: None,
            sha256: Some(job.answer_sha256.clone()),
            era: Some(self.era),
            expect_state_hash: Some(job.seen.state_hash),
            blockchain_length: Some(job.seen.blockchain_length),
            ignore_missing: false,
            skip_roots: false,
            output: OutputArgs {
                output: ready.to_owned(),
                force: true,
            },
            reporting: ReportingArgs::default(),
        };
        import.import(self.context)
    }

    fn refuse(
        &self,
        job: &JobRecord,
        error: &dyn Fault,
        now_ms: u64,
    ) -> Result<Outcome, ProcessError> {
        let class = error.class();
        let answer = FileRef {
            name: ANSWER_NAME.to_owned(),
            sha256: job.answer_sha256.clone(),
            bytes: job.answer_bytes,
        };
        let source = self.work.job(job.seen.state_hash);
        let refusal = Refused {
            daemon: &job.daemon,
            block: (job.seen.state_hash, job.seen.blockchain_length),
            error,
            answer: Some(answer),
        };
        let refusal = self.keep_aside(Some(&source), refusal, now_ms)?;
        Ok(Outcome::Refused(Box::new(refusal), class))
    }

    /// Keeps an answer, and what came with it in `source`, aside and reports it in the store.
    pub(crate) fn keep_aside(
        &self,
        source: Option<&Path>,
        refused: Refused<'_>,
        now_ms: u64,
    ) -> Result<Refusal, ProcessError> {
        let reason = reason(refused.error);
        let name = refused.name(&reason);
        let refusal = Refusal {
            format: Refusal::format(),
            version: Refusal::version(),
            daemon: refused.daemon.to_owned(),
            state_hash: refused.block.0,
            blockchain_length: refused.block.1,
            reason,
            class: refused.error.class().name().to_owned(),
            refused_at_ms: now_ms,
            answer: None,
        };
        let refusal =
            self.work
                .refuse(source, refusal, &name, refused.answer, self.keep_refused)?;
        self.catalog.put_refusal(&refusal, &name)?;
        Ok(refusal)
    }

    /// Packs and stores one ledger; returns its size in the store.
    fn store_ledger(
        &self,
        root: LedgerHash,
        ledger: &CandidateLedger,
        ready: &Path,
    ) -> Result<u64, ProcessError> {
        let name = root.to_string();
        let packed = self.work.packed(&name);
        let digest = pack(&ready.join(&ledger.file.name), &ledger.file, &packed)?;
        let document = StoredLedger {
            format: StoredLedger::format(),
            version: StoredLedger::version(),
            root,
            era: self.era,
            accounts: ledger.accounts,
            total_balance_nanomina: ledger.total_balance_nanomina.clone(),
            list: list_ref(&ledger.file),
            stored: FileRef {
                name: stored_name(&digest.sha256),
                sha256: digest.sha256,
                bytes: digest.bytes,
            },
        };
        let journal = self.work.upload_journal(&name);
        let stored = self.catalog.put_ledger(&document, &packed, &journal)?;
        fork_fs::remove_all(&packed)?;
        Ok(stored.stored.bytes)
    }
}

/// The best chain described a block otherwise than the block itself does.
#[derive(Debug, thiserror::Error)]
#[error(
    "bestChain gave the block the {what} {found}, expected {expected}, which the block itself has"
)]
struct SeenOtherwise {
    what: &'static str,
    expected: String,
    found: String,
}

impl Fault for SeenOtherwise {
    fn class(&self) -> Class {
        Class::Wrong
    }
}

/// Compares what the best chain said of a block with the block. The daemon chose by it what the
/// window holds, and the selection counts by it.
fn check_seen(seen: &SeenBlock, candidate: &Candidate) -> Result<(), SeenOtherwise> {
    fn same<T: PartialEq + ToString>(
        what: &'static str,
        found: T,
        expected: Option<T>,
    ) -> Result<(), SeenOtherwise> {
        match expected {
            Some(expected) if expected != found => Err(SeenOtherwise {
                what,
                expected: expected.to_string(),
                found: found.to_string(),
            }),
            _ => Ok(()),
        }
    }
    let block = &candidate.fork_block;
    same(
        "slot",
        seen.slot_since_hard_fork,
        block.slot_since_hard_fork,
    )?;
    same(
        "global slot",
        seen.global_slot_since_genesis,
        block.global_slot_since_genesis,
    )?;
    for (what, found, role) in [
        ("staged ledger hash", seen.staged_ledger_hash, Role::Genesis),
        (
            "staking ledger hash",
            seen.staking_ledger_hash,
            Role::Staking,
        ),
        ("next ledger hash", seen.next_ledger_hash, Role::Next),
    ] {
        same(what, found, candidate.ledger(role).computed_root)?;
    }
    same(
        "staking seed",
        seen.staking_seed,
        Some(candidate.seeds.staking),
    )?;
    same("next seed", seen.next_seed, Some(candidate.seeds.next))
}

/// An answer to be kept aside.
pub(crate) struct Refused<'a> {
    pub(crate) daemon: &'a str,
    /// State hash and height.
    pub(crate) block: (StateHash, u32),
    pub(crate) error: &'a dyn Fault,
    /// The body, where one came.
    pub(crate) answer: Option<FileRef>,
}

impl Refused<'_> {
    /// The same refusal of the same bytes has the same name, so that a daemon that goes on lying
    /// fills neither disk nor store.
    fn name(&self, reason: &str) -> String {
        let mut digest = Sha256::new();
        digest.update(reason);
        if let Some(answer) = &self.answer {
            digest.update(&answer.sha256);
        }
        let digest = hex::encode(digest.finalize());
        let digest = digest.get(..16).unwrap_or(&digest);
        format!("{}-{}-{digest}", self.block.0, self.daemon)
    }
}

/// The message and its causes, as they are printed.
pub(crate) fn reason(error: &dyn Fault) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    if let Some((end, _)) = text.char_indices().nth(REASON_CHARS_MAX) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Compresses the list at `source` into `target`, comparing it with what the candidate says of it.
fn pack(source: &Path, expected: &FileRef, target: &Path) -> Result<fork_fs::Digested, FsError> {
    let failed = |error| FsError::io(Operation::Write, target, error);
    let mut reader = HashingReader::new(fork_fs::open(source)?);
    let file = BufWriter::with_capacity(BUFFER_BYTES, AtomicFile::create(target)?);
    let mut encoder =
        zstd::stream::write::Encoder::new(HashingWriter::new(file), ZSTD_LEVEL).map_err(failed)?;
    // A length in the header lets readers plan, a checksum lets `zstd -t` find damage.
    encoder
        .set_pledged_src_size(Some(expected.bytes))
        .map_err(failed)?;
    encoder.include_checksum(true).map_err(failed)?;
    std::io::copy(&mut reader, &mut encoder).map_err(failed)?;
    fork_fs::compare_file_ref(source, expected, &reader.finish())?;
    let mut writer = encoder.finish().map_err(failed)?;
    writer.flush().map_err(failed)?;
    let (buffered, digested) = writer.finish();
    let file = buffered
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    file.commit()?;
    Ok(digested)
}

impl From<StoreError> for ProcessError {
    fn from(error: StoreError) -> Self {
        Self::Catalog(error.into())
    }
}
