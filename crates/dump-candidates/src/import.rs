//! `dump-candidates import`.

use std::path::Path;

use fork_fs::{StagedDir, write_atomic};
use fork_genesis::block::{BLOCK_BYTES_MAX, Block, BlockProblem, ForkBlockFacts, parse_file_name};
use fork_genesis::candidate::{Comparison, ComputedLedger, Evidence, Expected, Import, compare};
use fork_genesis::config::PreforkConfig;
use fork_genesis::fork_config::{self, ForkConfigFacts};
use fork_genesis::import::ImportError;
use fork_genesis::network::Network;
use fork_genesis::replayer::{self, ReplayerFacts};
use fork_genesis::schedule::Schedule;
use fork_ledger::batch::ListText;
use fork_ledger::json::StreamError;
use fork_types::document::{
    Candidate, CandidateLedger, EpochSeeds, FileRef, ForkBlock, Outcome, ScheduledGenesis,
    SourceRef,
};
use fork_types::{Amount, Era, Role};
use fork_worker::{Context, Input, InputArg};

use crate::args::ImportArgs;
use crate::error::{DumpError, LedgerError};
use crate::known::KnownAccounts;
use crate::sink::{LedgerSink, LedgerSinks, Listed};

/// Names of the account lists, the RFC's.
const fn list_name(role: Role) -> &'static str {
    match role {
        Role::Genesis => "staged_ledger.json",
        Role::Staking => "staking_ledger.json",
        Role::Next => "next_staking_ledger.json",
    }
}

/// Name of the block in a candidate directory.
const BLOCK_NAME: &str = "block.json";

/// Largest network file read, in bytes.
const NETWORK_BYTES_MAX: u64 = 1 << 20;

/// Largest prefork config read, in bytes; released ones have one or two KiB.
const PREFORK_BYTES_MAX: u64 = 16 << 20;

/// The document the ledgers came from, if it was one document.
enum Document {
    ForkConfig(ForkConfigFacts),
    Replayer(ReplayerFacts),
    Files,
}

/// The three lists; `None` for a next ledger that is the staking ledger.
struct Lists {
    staged: Listed,
    staking: Listed,
    next: Option<Listed>,
}

impl Lists {
    fn of(&self, role: Role) -> &Listed {
        match (role, &self.next) {
            (Role::Genesis, _) => &self.staged,
            (Role::Next, Some(next)) => next,
            (Role::Next, None) | (Role::Staking, _) => &self.staking,
        }
    }
}

/// A block and what was seen of it.
struct ReadBlock {
    facts: ForkBlockFacts,
    problems: Vec<BlockProblem>,
    file: FileRef,
    named: Option<(u32, fork_types::StateHash)>,
}

impl ImportArgs {
    /// Imports and writes the candidate.
    ///
    /// # Errors
    ///
    /// Fails on unreadable inputs and on every contradiction; then nothing is left.
    pub fn import(&self, context: &Context) -> Result<Candidate, DumpError> {
        let file = fork_fs::read_named_file(&self.network, NETWORK_BYTES_MAX)?;
        let network = Network::named(&self.network, file.as_deref()).map_err(|source| {
            DumpError::Network {
                name: self.network.clone(),
                source,
            }
        })?;
        let era = self.era.unwrap_or(network.source_era);
        let staged = StagedDir::create(&self.output.output, self.output.force)?;
        let mut sources = Vec::new();
        let prefork = self.read_prefork(context, &mut sources)?;
        let schedule = match &prefork {
            Some(prefork) => prefork.schedule(network.chain.slot_ms)?,
            None => None,
        };
        let known = sources.len();
        let mut block = match &self.block {
            Some(block) => Some(read_block(
                block,
                &network,
                staged.path(),
                context,
                &mut sources,
            )?),
            None => None,
        };
        let (document, lists) = self.read_ledgers(era, staged.path(), context, &mut sources)?;
        if let (Some(prefix), Document::ForkConfig(facts)) = (&self.block_prefix, &document) {
            let argument = block_at(prefix, facts);
            let found = read_block(&argument, &network, staged.path(), context, &mut sources)?;
            block = Some(found);
            // The same candidate, however the block was found.
            sources[known..].rotate_right(1);
        }

        let evidence = self.evidence(
            &network,
            block.as_ref(),
            &document,
            &lists,
            prefork.as_ref(),
            schedule.as_ref(),
        );
        let comparison = compare(&evidence.view()).into_result()?;
        let candidate = self.candidate(
            &network,
            era,
            &evidence,
            comparison,
            &lists,
            block.as_ref(),
            sources,
        )?;
        staged.write_document(&candidate)?;
        staged.commit()?;
        Ok(candidate)
    }

    fn read_prefork(
        &self,
        context: &Context,
        sources: &mut Vec<SourceRef>,
    ) -> Result<Option<PreforkConfig>, DumpError> {
        let Some(argument) = &self.prefork_config else {
            return Ok(None);
        };
        let (bytes, source) =
            Input::read_all(argument, "prefork-config", PREFORK_BYTES_MAX, None, context)?;
        let config = PreforkConfig::from_json(&bytes).map_err(|source| DumpError::Prefork {
            name: argument.to_string(),
            source,
        })?;
        sources.push(source);
        Ok(Some(config))
    }

    fn read_ledgers(
        &self,
        era: Era,
        directory: &Path,
        context: &Context,
        sources: &mut Vec<SourceRef>,
    ) -> Result<(Document, Lists), DumpError> {
        let sink = |role: Role| {
            LedgerSink::create(
                directory,
                list_name(role),
                era,
                self.ignore_missing,
                !self.skip_roots,
            )
        };
        if let (Some(staged), Some(staking), Some(next)) = (
            &self.staged_ledger,
            &self.staking_ledger,
            &self.next_staking_ledger,
        ) {
            let mut known = None;
            let mut read = |role, argument, kind| {
                let (list, sink) = ((role, argument), sink(role)?);
                read_list(list, kind, sink, &mut known, context, sources)
            };
            let lists = Lists {
                staged: read(Role::Genesis, staged, "staged-ledger")?,
                staking: read(Role::Staking, staking, "staking-ledger")?,
                next: Some(read(Role::Next, next, "next-staking-ledger")?),
            };
            return Ok((Document::Files, lists));
        }
        let mut sinks = LedgerSinks::create(sink)?;
        let (document, has_next, name) = if let Some(argument) = &self.fork_config {
            let facts = self.read_document(argument, "fork-config", context, sources, |input| {
                fork_config::read_lists(input, &mut sinks).map_err(Box::new)
            })?;
            let has_next = facts.epochs.next.is_some();
            (Document::ForkConfig(facts), has_next, argument.to_string())
        } else {
            let argument = self.replayer_output.as_ref().ok_or(DumpError::NoSource)?;
            let facts =
                self.read_document(argument, "replayer-output", context, sources, |input| {
                    replayer::read_lists(input, &mut sinks).map_err(Box::new)
                })?;
            let has_next = facts.epochs.next.is_some();
            (Document::Replayer(facts), has_next, argument.to_string())
        };
        let [genesis, staking, next] = sinks.into_sinks();
        let finish = |role: Role, sink: LedgerSink| {
            sink.finish().map_err(|source| DumpError::Import {
                name: name.clone(),
                source: Box::new(ImportError::Visit(LedgerError { role, source })),
            })
        };
        let lists = Lists {
            staged: finish(Role::Genesis, genesis)?,
            staking: finish(Role::Staking, staking)?,
            next: has_next.then(|| finish(Role::Next, next)).transpose()?,
        };
        Ok((document, lists))
    }

    fn read_document<T>(
        &self,
        argument: &InputArg,
        kind: &'static str,
        context: &Context,
        sources: &mut Vec<SourceRef>,
        read: impl FnOnce(&mut Input) -> Result<T, Box<ImportError<LedgerError>>>,
    ) -> Result<T, DumpError> {
        let mut input = Input::open(argument, kind, context)?;
        let facts = read(&mut input).map_err(|error| match *error {
            ImportError::Read { source, .. } => input.damaged(source).into(),
            source => DumpError::Import {
                name: input.name().to_owned(),
                source: Box::new(source),
            },
        })?;
        sources.push(input.finish(self.sha256.as_deref())?);
        Ok(facts)
    }

    fn evidence<'a>(
        &self,
        network: &'a Network,
        block: Option<&'a ReadBlock>,
        document: &'a Document,
        lists: &Lists,
        prefork: Option<&'a PreforkConfig>,
        schedule: Option<&'a Schedule>,
    ) -> OwnedEvidence<'a> {
        let named = block.and_then(|block| block.named);
        let mut state_hashes = Vec::new();
        state_hashes.extend(named.map(|(_, value)| Expected {
            value,
            by: "file name".to_owned(),
        }));
        state_hashes.extend(self.expect_state_hash.map(|value| Expected {
            value,
            by: "--expect-state-hash".to_owned(),
        }));
        let mut lengths = Vec::new();
        lengths.extend(named.map(|(value, _)| Expected {
            value,
            by: "file name".to_owned(),
        }));
        lengths.extend(self.blockchain_length.map(|value| Expected {
            value,
            by: "--blockchain-length".to_owned(),
        }));
        OwnedEvidence {
            network,
            block,
            document,
            state_hashes,
            lengths,
            computed: Role::ALL.map(|role| {
                let listed = lists.of(role);
                ComputedLedger {
                    root: listed.root,
                    total_balance: u64::try_from(listed.total).ok().map(Amount::from_nanomina),
                }
            }),
            prefork,
            schedule,
        }
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "everything a candidate is made of"
    )]
    fn candidate(
        &self,
        network: &Network,
        era: Era,
        evidence: &OwnedEvidence<'_>,
        comparison: Comparison,
        lists: &Lists,
        block: Option<&ReadBlock>,
        sources: Vec<SourceRef>,
    ) -> Result<Candidate, DumpError> {
        let facts = block.map(|block| &block.facts);
        let (state_hash, length, seeds) = self.identity(evidence.document, facts)?;
        let view = evidence.view();
        let ledger = |role: Role| {
            let listed = lists.of(role);
            CandidateLedger {
                file: listed.file.clone(),
                accounts: listed.accounts,
                claimed_root: view.claimed_root(role),
                computed_root: listed.root,
                total_balance_nanomina: listed.total.to_string(),
            }
        };
        Ok(Candidate {
            format: Candidate::format(),
            version: Candidate::version(),
            network: network.name.clone(),
            source_era: era,
            fork_block: ForkBlock {
                state_hash,
                state_hash_recomputed: facts.is_some(),
                blockchain_length: length,
                global_slot_since_genesis: comparison.block_slot,
                slot_since_hard_fork: facts.map(|facts| facts.slot_since_hard_fork),
                timestamp_ms: facts.map(|facts| facts.timestamp_ms),
                chain_genesis_timestamp_ms: facts
                    .map(|facts| facts.constants.genesis_state_timestamp_ms),
            },
            scheduled: match evidence.document {
                Document::ForkConfig(facts) => Some(ScheduledGenesis {
                    global_slot_since_genesis: facts.fork.global_slot_since_genesis,
                    meaning: comparison.slot_meaning,
                    genesis_state_timestamp: facts.genesis_timestamp_text.clone(),
                }),
                Document::Replayer(_) | Document::Files => None,
            },
            seeds,
            staged_ledger: ledger(Role::Genesis),
            staking_ledger: ledger(Role::Staking),
            next_staking_ledger: ledger(Role::Next),
            block: block.map(|block| block.file.clone()),
            sources,
            checks: comparison.checks,
            warnings: comparison.warnings,
            selection: None,
        })
    }

    /// State hash, height and seeds; from the block where there is one (the comparison made sure
    /// that nothing else says otherwise).
    fn identity(
        &self,
        document: &Document,
        facts: Option<&ForkBlockFacts>,
    ) -> Result<(fork_types::StateHash, u32, EpochSeeds), DumpError> {
        if let Some(facts) = facts {
            let seeds = EpochSeeds {
                staking: facts.staking_epoch.seed,
                next: facts.next_epoch.seed,
            };
            return Ok((facts.state_hash, facts.blockchain_length, seeds));
        }
        let (state_hash, length, epochs) = match document {
            Document::ForkConfig(facts) => (
                facts.fork.state_hash,
                Some(facts.fork.blockchain_length),
                &facts.epochs,
            ),
            Document::Replayer(facts) => {
                (facts.fork_state_hash, self.blockchain_length, &facts.epochs)
            }
            // The command line requires the block with the four files.
            Document::Files => return Err(DumpError::NoHeight),
        };
        let seeds = EpochSeeds {
            staking: epochs.staking_seed,
            next: epochs.next_seed,
        };
        Ok((state_hash, length.ok_or(DumpError::NoHeight)?, seeds))
    }
}

fn read_block(
    argument: &InputArg,
    network: &Network,
    directory: &Path,
    context: &Context,
    sources: &mut Vec<SourceRef>,
) -> Result<ReadBlock, DumpError> {
    let (bytes, source) = Input::read_all(argument, "block", BLOCK_BYTES_MAX, None, context)?;
    let block = Block::from_slice(&bytes).map_err(|source| DumpError::Block {
        name: argument.to_string(),
        source: Box::new(source),
    })?;
    write_atomic(&directory.join(BLOCK_NAME), &bytes)?;
    let named = parse_file_name(&source.name);
    sources.push(source);
    Ok(ReadBlock {
        facts: block.facts(),
        problems: block.problems(Some(network.chain.slot_ms)),
        file: fork_fs::file_ref(directory, BLOCK_NAME)?,
        named,
    })
}

/// The block that a fork config claims, where the prefix says that blocks are. That it is the one is
/// found out when its state hash is computed.
fn block_at(prefix: &InputArg, facts: &ForkConfigFacts) -> InputArg {
    let fork = &facts.fork;
    let rest = format!("-{}-{}.json", fork.blockchain_length, fork.state_hash);
    match prefix {
        InputArg::Path(path) => {
            let mut path = path.clone().into_os_string();
            path.push(rest);
            InputArg::Path(path.into())
        }
        InputArg::Url(url) => InputArg::Url(format!("{url}{rest}")),
    }
}

/// What [`Evidence`] borrows.
struct OwnedEvidence<'a> {
    network: &'a Network,
    block: Option<&'a ReadBlock>,
    document: &'a Document,
    state_hashes: Vec<Expected<fork_types::StateHash>>,
    lengths: Vec<Expected<u32>>,
    computed: [ComputedLedger; 3],
    prefork: Option<&'a PreforkConfig>,
    schedule: Option<&'a Schedule>,
}

impl OwnedEvidence<'_> {
    fn view(&self) -> Evidence<'_> {
        Evidence {
            network: self.network,
            block: self.block.map(|block| &block.facts),
            block_problems: self.block.map_or(&[], |block| &block.problems),
            expected_state_hashes: &self.state_hashes,
            expected_lengths: &self.lengths,
            import: match self.document {
                Document::ForkConfig(facts) => Some(Import::ForkConfig(facts)),
                Document::Replayer(facts) => Some(Import::Replayer(facts)),
                Document::Files => None,
            },
            computed: self.computed,
            expected_roots: [None, None, None],
            prefork: self.prefork,
            schedule: self.schedule,
        }
    }
}

fn read_list(
    (role, argument): (Role, &InputArg),
    kind: &'static str,
    mut sink: LedgerSink,
    known: &mut Option<KnownAccounts>,
    context: &Context,
    sources: &mut Vec<SourceRef>,
) -> Result<Listed, DumpError> {
    let mut input = Input::open(argument, kind, context)?;
    let failed = |source| LedgerError { role, source };
    let mut list = ListText::new(&mut input);
    let read = match sink.take(&mut list, known) {
        Err(error) => Err(StreamError::Visit(failed(error))),
        Ok(taken) if taken.is_complete => Ok(()),
        Ok(_) => list.read_rest(|_, account| sink.push(account).map_err(failed)),
    };
    read.map_err(|error| match error {
        StreamError::Read { source, .. } => DumpError::from(input.damaged(source)),
        source => DumpError::List {
            name: input.name().to_owned(),
            source: Box::new(source),
        },
    })?;
    sources.push(input.finish(None)?);
    sink.finish().map_err(|source| DumpError::List {
        name: argument.to_string(),
        source: Box::new(StreamError::Visit(LedgerError { role, source })),
    })
}

/// The result for people.
pub(crate) fn summary(candidate: &Candidate, output: &Path) -> String {
    use std::fmt::Write;
    let block = &candidate.fork_block;
    let mut text = String::new();
    let recomputed = if block.state_hash_recomputed {
        "recomputed from the block"
    } else {
        "claimed; no block was given"
    };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "fork block    {} ({recomputed})", block.state_hash);
    let _ = writeln!(text, "height        {}", block.blockchain_length);
    for role in Role::ALL {
        let ledger = candidate.ledger(role);
        let root = match (&ledger.computed_root, &ledger.claimed_root) {
            (Some(root), Some(claimed)) => format!("{root} (equals the claim by {})", claimed.by),
            (Some(root), None) => format!("{root} (nothing claims it)"),
            (None, Some(claimed)) => format!(
                "{} (claimed by {}, not recomputed)",
                claimed.root, claimed.by
            ),
            (None, None) => "unknown".to_owned(),
        };
        let _ = writeln!(
            text,
            "{:<13} {} accounts, root {root}",
            role.name(),
            ledger.accounts
        );
    }
    let _ = writeln!(text, "staking seed  {}", candidate.seeds.staking);
    let _ = writeln!(text, "next seed     {}", candidate.seeds.next);
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
    let _ = writeln!(text, "written to    {}", output.display());
    text
}
