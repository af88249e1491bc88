//! `materialize-ledger candidate`.

mod facts;
mod given;

use std::fmt::Write as _;
use std::path::Path;

use fork_archive::{Archive, ArchiveBlock, BlockChoice, Branch};
use fork_fs::StagedDir;
use fork_genesis::candidate::{BY_ARCHIVE, ComputedLedger, compare};
use fork_ledger::batch::{AccountBatch, ListReader};
use fork_types::document::{
    ArchiveCandidateDocument, ArchiveSource, ArchivedBlock, ArchivedLedger, Candidate,
    CandidateLedger, ClaimedRoot, EpochSeeds, FileRef, ForkBlock, Outcome, SourceRef,
};
use fork_types::{Amount, Era, LedgerHash, Role, StateHash};
use fork_worker::{Context, Input, InputArg, OutputArgs, ReportingArgs, Stages};

use crate::archive::ArchiveArgs;
use crate::compare::with_replayer;
use crate::epochs::prove_epochs;
use crate::error::{MaterializeError, MaterializeErrorKind};
use crate::find::{Finder, Found};
use crate::ledger::{Builder, Extras, Materialized};
use crate::prove::Located;
use crate::wanted::{NotFound, WantedError};
pub(crate) use facts::facts;
use facts::unknown_first;
use given::Given;
pub(crate) use given::read_network;

/// What `candidate` takes.
#[derive(Clone, Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("fork_block").required(true).args(["state_hash", "height"])))]
pub struct CandidateArgs {
    /// Network: a file, or the name of one that ships (devnet, mainnet, devnet-v1, mainnet-v1)
    #[arg(long, value_name = "N")]
    pub network: String,

    /// State hash of the fork block
    #[arg(long, value_name = "HASH")]
    pub state_hash: Option<StateHash>,

    /// Height of the fork block: the only one there, or the only canonical one
    #[arg(long, value_name = "N")]
    pub height: Option<u32>,

    /// Precomputed fork block: its state hash is recomputed, and every value the archive has of it is
    /// compared. Without it the state hash is what the archive says
    #[arg(long, value_name = "FILE")]
    pub block: Option<InputArg>,

    /// Accounts of the staking ledger, when the archive does not give them: an account list or a dump
    #[arg(long, value_name = "FILE")]
    pub staking_ledger: Option<InputArg>,

    /// Accounts of the next epoch ledger, in the same case
    #[arg(long, value_name = "FILE", alias = "next-ledger")]
    pub next_staking_ledger: Option<InputArg>,

    /// Config of the chain before the fork; adds its facts to the comparisons
    #[arg(long, value_name = "FILE")]
    pub prefork_config: Option<InputArg>,

    /// Output of mina-replayer for the same block: its three ledgers are compared with those of the
    /// archive, account by account
    ///
    /// A difference ends with exit code 4, and the first differing account is shown.
    #[arg(long, value_name = "FILE")]
    pub replayer_output: Option<InputArg>,

    /// Genesis accounts of the chain, for an archive that lacks them: an account list or dump, a
    /// daemon's configuration, a ledger tarball, a migrated ledger or a candidate
    ///
    /// They are proved first: their root must be that of the chain's genesis block.
    #[arg(long, value_name = "PATH")]
    pub genesis_accounts: Option<InputArg>,

    /// The archive.
    #[command(flatten)]
    pub archive: ArchiveArgs,

    /// Where the candidate goes.
    #[command(flatten)]
    pub output: OutputArgs,

    /// How to report.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// One written ledger.
#[derive(Clone)]
struct Written {
    file: FileRef,
    accounts: u64,
    total: u128,
    /// Accounts that are from the list of genesis accounts.
    from_list: u64,
    origin: ArchivedLedger,
}

/// Names of the account lists, the RFC's.
const fn list_name(role: Role) -> &'static str {
    match role {
        Role::Genesis => "staged_ledger.json",
        Role::Staking => "staking_ledger.json",
        Role::Next => "next_staking_ledger.json",
    }
}

/// The archive in documents.
pub(crate) fn archive_source(archive: &Archive) -> ArchiveSource {
    ArchiveSource {
        database: archive.database().to_owned(),
        server_version: archive.server_version().to_owned(),
        schema: archive.schema().name().to_owned(),
    }
}

/// A block in documents.
pub(crate) fn archived_block(block: &ArchiveBlock, branch: &Branch) -> ArchivedBlock {
    ArchivedBlock {
        state_hash: block.state_hash,
        blockchain_length: block.height,
        global_slot_since_genesis: block.slot_since_genesis,
        slot_since_hard_fork: block.slot_since_hard_fork,
        timestamp_ms: block.timestamp_ms,
        status: block.status.name().to_owned(),
        branch_blocks: branch.blocks,
        branch_canonical: branch.canonical,
        genesis_state_hash: branch.genesis.state_hash,
    }
}

/// The file of a ledger whose root is `wanted`, or the reason why it has another one.
pub(crate) fn proved(
    ledger: &Materialized,
    wanted: LedgerHash,
) -> Result<FileRef, MaterializeError> {
    match (&ledger.file, ledger.root) {
        (Some(file), Some(root)) if root == wanted => Ok(file.clone()),
        _ => Err(WantedError::Other {
            wanted,
            computed: ledger.root.map_or_else(
                || "nothing: it has holes or repeats".to_owned(),
                |root| root.to_string(),
            ),
        }
        .into()),
    }
}

impl CandidateArgs {
    /// Writes the candidate.
    pub(crate) fn run(
        &self,
        context: &Context,
    ) -> Result<(Candidate, ArchiveCandidateDocument), MaterializeError> {
        let choice = match (self.state_hash, self.height) {
            (Some(hash), _) => BlockChoice::StateHash(hash),
            (None, Some(height)) => BlockChoice::Height(height),
            (None, None) => return Err(MaterializeErrorKind::NoBlock.into()),
        };
        let staged = StagedDir::create_output(&self.output.output, self.output.force)?;
        let mut stages = Stages::new();
        let mut sources = Vec::new();
        let given = Given::read(self, staged.path(), context, &mut sources)?;
        let mut archive = self.archive.open()?;
        let at = Located::find(&mut archive, &choice)?;
        let Located { block, era, branch } = &at;
        let era = *era;
        stages.end("branch");
        // The cheap comparisons first: nobody wants to wait for ledgers of another network.
        let facts = facts(block, branch);
        let nothing = [ComputedLedger::default(); 3];
        compare(&given.evidence(&facts, nothing)).into_result()?;
        let basis = given.epochs(branch.genesis.ledger_hash);
        let (epochs, warning) = match prove_epochs(&mut archive, &at, &basis, context) {
            Ok(epochs) => {
                let warning = epochs.from_archive.then(|| unknown_first(branch));
                (Some(epochs), warning)
            }
            // What the archive says of the block was just found to be what the block says, and the
            // state hash proves that.
            Err(error) => match error.kind() {
                MaterializeErrorKind::Epochs(problem) if given.block.is_some() => {
                    let warning = format!("{problem}; the block file proves its own");
                    (None, Some(warning))
                }
                _ => return Err(error),
            },
        };
        stages.end("epochs");

        let (ledgers, base) =
            self.ledgers(&mut archive, &at, staged.path(), context, &mut sources)?;
        stages.end("ledgers");
        if let Some(file) = &self.replayer_output {
            let lists = ledgers
                .each_ref()
                .map(|ledger| staged.path().join(&ledger.file.name));
            let compared = (era, block.state_hash);
            sources.push(with_replayer(lists, file, compared, context)?);
            stages.end("comparison");
        }
        let computed = [0, 1, 2].map(|place: usize| ComputedLedger {
            root: ledgers.get(place).map(|ledger| ledger.origin.root),
            total_balance: ledgers
                .get(place)
                .and_then(|ledger| u64::try_from(ledger.total).ok())
                .map(Amount::from_nanomina),
        });
        let evidence = given.evidence(&facts, computed);
        let mut comparison = compare(&evidence).into_result()?;
        comparison.warnings.extend(warning);
        let file = given.block.as_ref().map(|block| block.file.clone());
        let [staged_ledger, staking_ledger, next_staking_ledger] = &ledgers;
        let listed = |ledger: &Written, role: Role| CandidateLedger {
            file: ledger.file.clone(),
            accounts: u32::try_from(ledger.accounts).unwrap_or(u32::MAX),
            claimed_root: evidence.claimed_root(role).or(Some(ClaimedRoot {
                root: ledger.origin.root,
                by: BY_ARCHIVE.to_owned(),
            })),
            computed_root: Some(ledger.origin.root),
            total_balance_nanomina: ledger.total.to_string(),
        };
        let candidate = Candidate {
            format: Candidate::format(),
            version: Candidate::version(),
            network: given.network.name.clone(),
            source_era: era,
            fork_block: ForkBlock {
                state_hash: block.state_hash,
                state_hash_recomputed: file.is_some(),
                blockchain_length: block.height,
                global_slot_since_genesis: Some(block.slot_since_genesis),
                slot_since_hard_fork: Some(block.slot_since_hard_fork),
                timestamp_ms: Some(block.timestamp_ms),
                chain_genesis_timestamp_ms: Some(branch.genesis.timestamp_ms),
            },
            scheduled: None,
            seeds: EpochSeeds {
                staking: block.staking_epoch.seed,
                next: block.next_epoch.seed,
            },
            staged_ledger: listed(staged_ledger, Role::Genesis),
            staking_ledger: listed(staking_ledger, Role::Staking),
            next_staking_ledger: listed(next_staking_ledger, Role::Next),
            block: file,
            sources,
            checks: comparison.checks,
            warnings: comparison.warnings,
            selection: None,
        };
        let confirmations = archive.list((block.height, block.height), 1000)?;
        let confirmations = confirmations
            .iter()
            .find(|listed| listed.block.state_hash == block.state_hash)
            .map_or(0, |listed| listed.confirmations);
        let origins = ArchiveCandidateDocument {
            format: ArchiveCandidateDocument::format(),
            version: ArchiveCandidateDocument::version(),
            era,
            archive: archive_source(&archive),
            block: archived_block(block, branch),
            confirmations,
            staged_ledger: staged_ledger.origin.clone(),
            staking_ledger: staking_ledger.origin.clone(),
            next_staking_ledger: next_staking_ledger.origin.clone(),
            epochs,
            genesis_accounts: base,
            accounts_from_list: staged_ledger.from_list,
            milliseconds: stages.into_milliseconds(),
            peak_memory_bytes: fork_worker::peak_memory_bytes(),
        };
        staged.write_document(&origins)?;
        staged.write_document(&candidate)?;
        staged.commit()?;
        Ok((candidate, origins))
    }

    /// Writes the three ledgers. Equal ones are one file, as `dump-candidates import` writes them.
    fn ledgers(
        &self,
        archive: &mut Archive,
        at: &Located,
        directory: &Path,
        context: &Context,
        sources: &mut Vec<SourceRef>,
    ) -> Result<([Written; 3], Option<SourceRef>), MaterializeError> {
        let Located { block, era, branch } = at;
        let era = *era;
        let mut finder = Finder {
            archive,
            tip: block,
            branch,
            genesis_accounts: self.genesis_accounts.as_ref(),
            beside: &self.output.output,
            proved: None,
            context,
        };
        let staged = Found::After(Box::new(block.clone()));
        let staged = write(
            &mut finder,
            staged,
            (Role::Genesis, block.ledger_hash),
            directory,
        )?;
        let mut epochs: Vec<(Role, Result<Written, NotFound>)> = Vec::new();
        for (role, epoch, file) in [
            (Role::Staking, block.staking_epoch, &self.staking_ledger),
            (Role::Next, block.next_epoch, &self.next_staking_ledger),
        ] {
            let root = epoch.ledger_hash;
            let done = epochs.iter().find_map(|(_, before)| match before {
                Ok(written) if written.origin.root == root => Some(Ok(written.clone())),
                Err(search) if search.root == root => Some(Err(search.clone())),
                _ => None,
            });
            let ledger = match (file, done) {
                (Some(file), _) => {
                    let (written, source) = copy(file, era, (role, root), directory, context)?;
                    sources.push(source);
                    Ok(written)
                }
                (None, Some(done)) => done,
                (None, None) => match finder.find(root) {
                    Ok(found) => Ok(write(&mut finder, found, (role, root), directory)?),
                    Err(error) => match error.kind() {
                        MaterializeErrorKind::Wanted(WantedError::NotFound(search)) => {
                            Err((**search).clone())
                        }
                        _ => return Err(error),
                    },
                },
            };
            epochs.push((role, ledger));
        }
        // One file completes both when they are the same.
        let given: Vec<Written> = epochs
            .iter()
            .filter_map(|(_, ledger)| ledger.as_ref().ok().cloned())
            .collect();
        let mut missing = Vec::new();
        let mut found = Vec::new();
        for (role, ledger) in epochs {
            match ledger {
                Ok(written) => found.push(written),
                Err(search) => match given.iter().find(|one| one.origin.root == search.root) {
                    Some(same) => found.push(same.clone()),
                    None => missing.push((role, search)),
                },
            }
        }
        match <[Written; 2]>::try_from(found) {
            Ok([staking, next]) => {
                let base = finder.proved.take();
                let base = base.map(|(_, base)| base.source().clone());
                sources.extend(base.clone());
                Ok(([staged, staking, next], base))
            }
            Err(_) => Err(WantedError::Missing { missing }.into()),
        }
    }

    /// The result for people.
    pub(crate) fn summary(
        &self,
        candidate: &Candidate,
        origins: &ArchiveCandidateDocument,
    ) -> String {
        let block = &candidate.fork_block;
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "fork block    {} ({})",
            block.state_hash,
            if block.state_hash_recomputed {
                "recomputed from the block"
            } else {
                "as the archive says; no block was given"
            }
        );
        let _ = writeln!(
            text,
            "height        {} ({}, {} blocks above it)",
            block.blockchain_length, origins.block.status, origins.confirmations
        );
        for (role, ledger) in [
            (Role::Genesis, &origins.staged_ledger),
            (Role::Staking, &origins.staking_ledger),
            (Role::Next, &origins.next_staking_ledger),
        ] {
            let _ = writeln!(
                text,
                "{:<13} {} accounts, root {} (computed), {}",
                role.name(),
                ledger.accounts,
                ledger.root,
                place(ledger)
            );
        }
        let _ = writeln!(text, "staking seed  {}", candidate.seeds.staking);
        let _ = writeln!(text, "next seed     {}", candidate.seeds.next);
        if let Some(epochs) = &origins.epochs {
            let _ = writeln!(
                text,
                "epochs        follow from block to block, {} of them{}",
                epochs.blocks,
                if epochs.from_config {
                    ", from the config the chain began with"
                } else {
                    ""
                }
            );
        }
        if let Some(source) = &origins.genesis_accounts {
            let _ = writeln!(
                text,
                "from a list   {} accounts are as in {}",
                origins.accounts_from_list, source.name
            );
        }
        let passed = candidate
            .checks
            .iter()
            .filter(|check| check.outcome == Outcome::Passed)
            .count();
        let _ = writeln!(
            text,
            "comparisons   {passed} agree, {} had nothing to compare with",
            candidate.checks.len() - passed
        );
        for warning in &candidate.warnings {
            let _ = writeln!(text, "warning       {warning}");
        }
        let _ = writeln!(text, "written to    {}", self.output.output.display());
        text
    }
}

/// Where a ledger is from, in words.
fn place(ledger: &ArchivedLedger) -> String {
    match (&ledger.block, ledger.inside, &ledger.file) {
        (Some(block), Some(prefix), _) => format!(
            "inside block {} at height {}: {} of its {} transactions",
            block.state_hash, block.blockchain_length, prefix.transactions, prefix.of
        ),
        (Some(block), None, _) => format!(
            "staged ledger of block {} at height {}",
            block.state_hash, block.blockchain_length
        ),
        (None, _, Some(file)) => format!("from {}", file.name),
        (None, _, None) => "of unknown origin".to_owned(),
    }
}

/// Writes a ledger that was found.
fn write(
    finder: &mut Finder<'_>,
    found: Found,
    (role, root): (Role, LedgerHash),
    directory: &Path,
) -> Result<Written, MaterializeError> {
    let (block, inside) = (found.block(), found.prefix());
    let extras = Extras {
        output: Some((directory, list_name(role))),
        ..Extras::default()
    };
    let ledger = finder.write(found, extras)?;
    Ok(Written {
        file: proved(&ledger, root)?,
        accounts: ledger.leaves,
        total: ledger.total,
        from_list: ledger.from_list,
        origin: ArchivedLedger {
            root,
            accounts: ledger.leaves,
            block: Some(block),
            inside,
            file: None,
        },
    })
}

/// Takes a ledger from a file, which must have the root the fork block names.
fn copy(
    file: &InputArg,
    era: Era,
    (role, root): (Role, LedgerHash),
    directory: &Path,
    context: &Context,
) -> Result<(Written, SourceRef), MaterializeError> {
    let kind = match role {
        Role::Next => "next-staking-ledger",
        Role::Genesis | Role::Staking => "staking-ledger",
    };
    let input = Input::open(file, kind, context)?;
    let name = file.to_string();
    let mut reader =
        ListReader::new(input, era, false).map_err(|source| fork_worker::InputError::Damaged {
            name: name.clone(),
            bytes: 0,
            source,
        })?;
    let extras = Extras {
        output: Some((directory, list_name(role))),
        ..Extras::default()
    };
    let mut builder = Builder::new(era, extras)?;
    loop {
        let batch = reader
            .next_batch()
            .map_err(|source| MaterializeErrorKind::List {
                file: name.clone(),
                source,
            })?;
        match batch {
            Some(AccountBatch::Later(accounts)) => builder.append(accounts)?,
            // No archive's era has the accounts of the first mainnet.
            Some(AccountBatch::V1(_)) | None => break,
        }
    }
    let source = reader.into_source().finish(None)?;
    let ledger = builder.finish()?;
    match (&ledger.file, ledger.root) {
        (Some(list), Some(computed)) if computed == root => Ok((
            Written {
                file: list.clone(),
                accounts: ledger.leaves,
                total: ledger.total,
                from_list: 0,
                origin: ArchivedLedger {
                    root,
                    accounts: ledger.leaves,
                    block: None,
                    inside: None,
                    file: Some(source.clone()),
                },
            },
            source,
        )),
        (_, computed) => Err(WantedError::OtherFile {
            file: name,
            role,
            accounts: ledger.leaves,
            computed,
            expected: root,
        }
        .into()),
    }
}
