//! What genesis accounts come in.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use fork_ledger::batch::AccountBatch;
use fork_ledger::json::MissingDelegate;
use fork_ledger::migrate::Rule;
use fork_store::{StoreExaminer, StoreReader};
use fork_types::Era;
use fork_types::document::{
    ArchiveLedgerDocument, Candidate, Document, LedgerDocument, SlotMeaning, SourceRef,
};
use fork_worker::{Context, Input, InputArg};

use super::{Base, KIND, Prover, config};
use crate::error::{MaterializeError, MaterializeErrorKind};

/// Accounts taken out of a store at a time.
const BATCH_ACCOUNTS: usize = 8192;

/// Genesis accounts, by what has to be done with them.
#[derive(Debug)]
pub(super) enum Form {
    /// A list or dump of the era: nothing.
    List(InputArg),
    /// A list of the era before, with the rule that carries it over.
    Other {
        list: InputArg,
        source_era: Era,
        rule: Rule,
    },
    /// A daemon's configuration with the accounts in it. Daemons differ in what an account without a
    /// delegate means, and the root says which was meant.
    Config(InputArg, MissingDelegate),
    /// A ledger tarball.
    Tarball(PathBuf),
}

impl Form {
    pub(super) fn of(
        file: &InputArg,
        era: Era,
        context: &Context,
    ) -> Result<Self, MaterializeError> {
        if let InputArg::Path(path) = file {
            if path.is_dir() {
                return Self::of_directory(path, era);
            }
            if is_tarball(path) {
                return Ok(Self::Tarball(path.clone()));
            }
        }
        let mut input = Input::open(file, KIND, context)?;
        let start = input
            .fill_buf()
            .map_err(|error| input_damaged(file, error))?;
        if start.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Ok(Self::List(file.clone()));
        }
        drop(input);
        let listing = config::listing(file, context)?;
        if listing.meta.accounts.is_some() {
            return Ok(Self::Config(file.clone(), MissingDelegate::Itself));
        }
        // A configuration of a fork names its ledger, and the package has the tarball beside it.
        let root = listing.meta.hash.as_deref().map(str::parse);
        let (Some(Ok(root)), InputArg::Path(path)) = (root, file) else {
            return Err(unusable(
                file,
                "has neither accounts nor the hash of a ledger",
            ));
        };
        let tarball = path.with_file_name(fork_store::tarball_name("genesis_ledger", &root, era));
        if !fork_fs::exists(&tarball) {
            let problem = format!(
                "names the ledger {root} without its accounts, and there is no {} beside it",
                tarball.file_name().unwrap_or_default().to_string_lossy()
            );
            return Err(unusable(file, &problem));
        }
        Ok(Self::Tarball(tarball))
    }

    /// A candidate, or what `migrate-ledger` or `materialize-ledger staged` wrote.
    fn of_directory(directory: &Path, era: Era) -> Result<Self, MaterializeError> {
        if fork_fs::exists(&directory.join(LedgerDocument::FILE_NAME)) {
            let (document, _) = fork_fs::read_document::<LedgerDocument>(directory)?;
            let tarball = fork_fs::child(directory, &document.tarball.file.name)?;
            return Ok(Self::Tarball(tarball));
        }
        if fork_fs::exists(&directory.join(ArchiveLedgerDocument::FILE_NAME)) {
            let (document, _) = fork_fs::read_document::<ArchiveLedgerDocument>(directory)?;
            let list = fork_fs::child(directory, &document.file.name)?;
            return Ok(Self::List(InputArg::Path(list)));
        }
        if !fork_fs::exists(&directory.join(Candidate::FILE_NAME)) {
            return Err(unusable(
                &InputArg::Path(directory.to_owned()),
                "is a directory with none of candidate.json, ledger.json and archive-ledger.json",
            ));
        }
        let (candidate, _) = fork_fs::read_document::<Candidate>(directory)?;
        let list = fork_fs::child(directory, &candidate.staged_ledger.file.name)?;
        let list = InputArg::Path(list);
        let source_era = candidate.source_era;
        if source_era == era {
            return Ok(Self::List(list));
        }
        let slot = candidate
            .scheduled
            .filter(|scheduled| scheduled.meaning == SlotMeaning::ScheduledGenesis)
            .map(|scheduled| scheduled.global_slot_since_genesis);
        let rule = Rule::from_pair(source_era, era, None, slot).map_err(|error| {
            let problem = format!(
                "has accounts of era {source_era} and the chain is of era {era}: {error}; give the \
                 migrated ledger instead"
            );
            unusable(&InputArg::Path(directory.to_owned()), &problem)
        })?;
        Ok(Self::Other {
            list,
            source_era,
            rule,
        })
    }

    /// Another way to read the same, for when this one does not give the root.
    pub(super) fn another(&self) -> Option<Self> {
        match self {
            Self::Config(file, MissingDelegate::Itself) => {
                Some(Self::Config(file.clone(), MissingDelegate::NoDelegate))
            }
            Self::Config(_, MissingDelegate::NoDelegate)
            | Self::List(_)
            | Self::Other { .. }
            | Self::Tarball(_) => None,
        }
    }

    /// Gives all accounts to `prover`, and says what was read.
    pub(super) fn read(
        &self,
        prover: &mut Prover,
        beside: &Path,
        context: &Context,
    ) -> Result<SourceRef, MaterializeError> {
        let era = prover.era;
        match self {
            Self::List(list) => {
                let mut base = Base::start(list, era, context)?;
                while let Some(batch) = base.next_batch()? {
                    if let AccountBatch::Later(accounts) = batch {
                        prover.take(&accounts)?;
                    }
                }
                base.finish()
            }
            Self::Other {
                list,
                source_era,
                rule,
            } => {
                let mut base = Base::start(list, *source_era, context)?;
                while let Some(batch) = base.next_batch()? {
                    let migrated = match &batch {
                        AccountBatch::V1(accounts) => accounts
                            .iter()
                            .map(|account| Ok(rule.migrate_v1(account)?.0))
                            .collect::<Result<Vec<_>, fork_ledger::migrate::MigrateError>>(),
                        AccountBatch::Later(accounts) => accounts
                            .iter()
                            .map(|account| Ok(rule.migrate(account)?.0))
                            .collect(),
                    };
                    let migrated = migrated.map_err(|error| unusable(list, &error.to_string()))?;
                    prover.take(&migrated)?;
                }
                base.finish()
            }
            Self::Config(file, missing) => config::read(file, *missing, prover, context),
            Self::Tarball(path) => {
                let mut name = beside.file_name().unwrap_or_default().to_owned();
                name.push(".store");
                let scratch = fork_fs::StagedDir::create(&beside.with_file_name(name), true)?;
                let store = StoreReader::open_copy(path, scratch.path())?;
                let mut accounts = StoreExaminer::new(&store, era, era.depth())?;
                loop {
                    let batch = accounts.take(BATCH_ACCOUNTS)?;
                    if batch.is_empty() {
                        break;
                    }
                    let whole: Option<Vec<_>> = batch.into_iter().collect();
                    let Some(whole) = whole else {
                        let file = InputArg::Path(path.clone());
                        return Err(unusable(
                            &file,
                            &format!("has leaves that are no accounts of era {era}"),
                        ));
                    };
                    prover.take(&whole)?;
                }
                let digest = fork_store::digest_tarball(path)?;
                Ok(SourceRef {
                    kind: KIND.to_owned(),
                    name: path
                        .file_name()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into_owned(),
                    sha256: digest.sha256,
                    bytes: digest.bytes,
                })
            }
        }
    }
}

fn is_tarball(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".tar.gz") || name.ends_with(".tgz")
}

/// The error that a file gives no genesis accounts.
pub(super) fn unusable(file: &InputArg, problem: &str) -> MaterializeError {
    MaterializeErrorKind::NoBase {
        file: file.to_string(),
        problem: problem.to_owned(),
    }
    .into()
}

fn input_damaged(file: &InputArg, source: std::io::Error) -> MaterializeError {
    fork_worker::InputError::Damaged {
        name: file.to_string(),
        bytes: 0,
        source,
    }
    .into()
}
