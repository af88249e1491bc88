//! `migrate-ledger shard`: a part of the ledgers, for another machine to merge.

use std::num::NonZeroU32;
use std::ops::Range;

use clap::Parser;
use fork_fs::StagedDir;
use fork_ledger::merkle::{Subtrees, ledger_hash};
use fork_ledger::migrate::{Audit, Rule, Totals};
use fork_store::PieceWriter;
use fork_types::document::{ShardAudit, ShardDocument, ShardLedger, SourceRef};
use fork_types::{Class, Era, Fault, LedgerHash};
use fork_worker::{Context, OutputArgs, ReportingArgs, Stages, Unit, peak_memory_bytes};
use pasta_poseidon::{Fp, Kernel};
use rayon::prelude::*;

use crate::args::SourceArgs;
use crate::document::rule_ref;
use crate::error::{MigrateLedgerError, PassError};
use crate::finish::DISK_BYTES;
use crate::pass::{self, Lane, Length, SourceRoot, StopReason, Stopped, Target};
use crate::plan::{Plan, ShardNumber, ShardNumberError, part};
use crate::source::{Source, stopped};

/// Room a shard needs per account, its margin included: a plain account takes about 260 bytes of a
/// piece.
const DISK_BYTES_PER_ACCOUNT: u64 = 1_000;

/// Migrate one of several parts of the ledgers, for `migrate-ledger merge`
///
/// Cuts the ledgers into N ranges of leaves and works on one of them: skips the accounts before it
/// without parsing them, hashes and migrates its own, and reads the rest only for the list's SHA-256.
/// Leaves a `shard.json` with the roots of the range's subtrees and, per ledger, a piece with the
/// encoded accounts, their hashes and the tokens they own. Whether the accounts are the claimed ledger
/// is checked by the merge, which sees all of them. A run that fails or is interrupted leaves nothing at
/// --output.
#[derive(Clone, Debug, Parser)]
pub struct ShardArgs {
    /// Which part of how many, such as 2/4; the first is 1
    #[arg(long, value_name = "K/N")]
    pub shard: Option<ShardNumber>,

    /// Number of this job, from 0, where --shard is not given
    #[arg(long, value_name = "N", env = "BUILDKITE_PARALLEL_JOB")]
    pub parallel_job: Option<u32>,

    /// Number of such jobs, where --shard is not given
    #[arg(long, value_name = "N", env = "BUILDKITE_PARALLEL_JOB_COUNT")]
    pub parallel_job_count: Option<u32>,

    /// Number of accounts of the list (with --accounts; a candidate says it)
    #[arg(long, value_name = "N", conflicts_with = "candidate")]
    pub account_count: Option<NonZeroU32>,

    /// What is migrated, and how.
    #[command(flatten)]
    pub source: SourceArgs,

    /// Where the result goes.
    #[command(flatten)]
    pub output: OutputArgs,

    /// How to report.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

/// Why a shard could not be made; what can also happen to whole ledgers is in [`MigrateLedgerError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// Nothing says which part.
    #[error("neither --shard nor both of --parallel-job and --parallel-job-count are given")]
    NoShard,
    /// The job's number is none of the jobs'.
    #[error("parallel job {job} of {count} is no shard (jobs are numbered from 0)")]
    Job {
        /// Number of the job.
        job: u32,
        /// Number of jobs.
        count: u32,
        /// Why not.
        source: ShardNumberError,
    },
    /// Nothing says how long the list is.
    #[error("--accounts needs --account-count to be cut into shards")]
    NoCount,
    /// The list has fewer or more accounts.
    #[error("account list `{name}` has {found} than the {expected} accounts it should have")]
    Count {
        /// Path or URL.
        name: String,
        /// Number expected.
        expected: u32,
        /// `fewer` or `more`.
        found: &'static str,
    },
}

impl Fault for ShardError {
    fn class(&self) -> Class {
        match self {
            Self::NoShard | Self::Job { .. } | Self::NoCount => Class::Usage,
            Self::Count { .. } => Class::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoShard => {
                "pass --shard K/N; in a Buildkite step with `parallelism` the two variables are set"
            }
            Self::Job { .. } => "BUILDKITE_PARALLEL_JOB counts from 0; --shard counts from 1",
            Self::NoCount => "`inspect-ledger hash` counts a list; or import it as a candidate",
            Self::Count { .. } => "check --account-count, and that the list is whole",
        };
        Some(hint.to_owned())
    }
}

/// What is left of a lane when its list was read.
struct Done {
    ledger: ShardLedger,
    source: Option<Vec<Fp>>,
    target: Vec<Fp>,
}

impl ShardArgs {
    /// Which part this is.
    fn number(&self) -> Result<ShardNumber, ShardError> {
        match (self.shard, self.parallel_job, self.parallel_job_count) {
            (Some(shard), _, _) => Ok(shard),
            (None, Some(job), Some(count)) => ShardNumber::new(job.saturating_add(1), count)
                .map_err(|source| ShardError::Job { job, count, source }),
            _ => Err(ShardError::NoShard),
        }
    }

    /// Makes the shard.
    pub(crate) fn make(&self, context: &Context) -> Result<ShardDocument, MigrateLedgerError> {
        let mut stages = Stages::new();
        let shard = self.number()?;
        let staged = StagedDir::create(&self.output.output, self.output.force)?;
        let sources = self.source.sources(None)?;
        let rule = self
            .source
            .rule(sources.iter().find_map(|source| source.scheduled))?;
        let accounts = sources
            .iter()
            .map(|source| {
                let given = self.account_count.map(NonZeroU32::get);
                source.accounts.or(given).ok_or(ShardError::NoCount)
            })
            .collect::<Result<Vec<u32>, _>>()?;
        let plan = Plan::new(accounts.iter().copied().max().unwrap_or(0), shard.of());
        let leaves = plan.leaves(shard);
        let parts: Vec<Range<u32>> = accounts
            .iter()
            .map(|accounts| part(&leaves, *accounts))
            .collect();
        let expected: u64 = parts.iter().map(|part| part.len() as u64).sum();
        fork_fs::require_free_space(
            staged.path(),
            DISK_BYTES + DISK_BYTES_PER_ACCOUNT * expected,
        )?;
        stages.end("open");

        let done = self.read(rule, &sources, &accounts, &parts, &staged, context)?;
        stages.end("read-hash-migrate");
        let ledgers = add_roots(rule, plan.height(), done);
        stages.end("tree");

        let document = ShardDocument {
            format: ShardDocument::format(),
            version: ShardDocument::version(),
            number: shard.number(),
            of: shard.of(),
            rule: rule_ref(rule, self.source.variant.as_deref()),
            ignore_missing: self.source.ignore_missing,
            candidate: sources.first().and_then(|source| source.candidate.clone()),
            subtree_height: plan.height(),
            ledgers,
            stages_ms: stages.into_milliseconds(),
            peak_memory_bytes: peak_memory_bytes(),
            kernel: Kernel::active().name().to_owned(),
        };
        staged.write_document(&document)?;
        staged.commit()?;
        Ok(document)
    }

    /// Reads the parts of the lists and writes the pieces.
    fn read(
        &self,
        rule: Rule,
        sources: &[Source],
        accounts: &[u32],
        parts: &[Range<u32>],
        staged: &StagedDir,
        context: &Context,
    ) -> Result<Vec<Done>, MigrateLedgerError> {
        let arguments = &self.source;
        let mut readers = Vec::with_capacity(sources.len());
        let mut lanes = Vec::with_capacity(sources.len());
        for (source, part) in sources.iter().zip(parts) {
            let path = staged.path().join(format!("{}.piece", source.role));
            let writer =
                PieceWriter::create(&path, rule.target(), part.clone()).map_err(PassError::from)?;
            let target = Target::Piece {
                writer: Box::new(writer),
                leaves: Vec::new(),
            };
            readers.push(source.reader(arguments.from, arguments.ignore_missing, context)?);
            // All leaves are kept, as for several ledgers: the subtrees are made of them.
            lanes.push(Lane::new(rule, target, arguments.skip_source_root, false));
        }
        let pinned = arguments.sha256.as_deref();
        let progress = context.progress("skipping accounts", 0, Unit::Items);
        let narrowed: Vec<_> = readers
            .par_iter_mut()
            .zip(parts)
            .map(|(reader, part)| reader.narrow(part.clone()))
            .collect();
        drop(progress);
        let first = parts.iter().map(|part| part.start).max().unwrap_or(0);
        let total = parts.iter().map(Range::len).max().unwrap_or(0);
        let progress = context.progress("migrating accounts", total as u64, Unit::Items);
        let at = |lane, error| {
            Box::new(Stopped {
                lane,
                reason: StopReason::Read(error),
            })
        };
        let read = narrowed
            .into_iter()
            .enumerate()
            .try_for_each(|(lane, narrowed)| narrowed.map_err(|error| at(lane, error)))
            .and_then(|()| {
                pass::run(
                    rule,
                    u64::from(first),
                    &mut readers,
                    &mut lanes,
                    |accounts| {
                        progress.advance(accounts);
                    },
                )
            })
            .and_then(|()| {
                let mut lengths = Vec::with_capacity(readers.len());
                for (lane, reader) in readers.iter_mut().enumerate() {
                    let is_last = !parts[lane].is_empty() && parts[lane].end == accounts[lane];
                    lengths.push(reader.length(is_last).map_err(|error| at(lane, error))?);
                }
                Ok(lengths)
            });
        drop(progress);
        let lengths = match read {
            Ok(lengths) => lengths,
            Err(at) => return Err(stopped(sources, readers, pinned, *at)),
        };
        // What is behind the part is read for the digest, which says whether it is the right list.
        let read: Vec<Result<SourceRef, _>> = sources
            .par_iter()
            .zip(readers)
            .map(|(source, reader)| source.finish(reader, pinned))
            .collect();
        let read = read.into_iter().collect::<Result<Vec<SourceRef>, _>>()?;
        for ((source, length), expected) in sources.iter().zip(lengths).zip(accounts) {
            let found = match length {
                Length::Right => continue,
                Length::TooShort => "fewer",
                Length::TooLong => "more",
            };
            return Err(ShardError::Count {
                name: source.input.to_string(),
                expected: *expected,
                found,
            }
            .into());
        }
        let each = sources.iter().zip(lanes).zip(read).zip(parts).zip(accounts);
        each.map(|((((source, lane), read), part), accounts)| {
            done(source, lane, &read, part, *accounts)
        })
        .collect()
    }
}

/// Finishes the piece of a lane.
fn done(
    source: &Source,
    lane: Lane,
    read: &SourceRef,
    part: &Range<u32>,
    accounts: u32,
) -> Result<Done, MigrateLedgerError> {
    lane.audit.check_supply()?;
    let (piece, target) = match lane.target {
        Target::Piece { writer, leaves } => (writer.finish().map_err(PassError::from)?, leaves),
        Target::Store { .. } | Target::RootOnly(_) => return Err(MigrateLedgerError::NoSource),
    };
    let source_leaves = match lane.source_root {
        SourceRoot::Kept(leaves) => Some(leaves),
        SourceRoot::Skipped | SourceRoot::Streamed(_) => None,
    };
    Ok(Done {
        ledger: ShardLedger {
            role: source.role,
            list: source.list(read),
            accounts,
            first: part.start,
            count: part.len() as u32,
            source_roots: None,
            target_roots: Vec::new(),
            audit: audit(&lane.audit, lane.timed),
            piece,
        },
        source: source_leaves,
        target,
    })
}

/// Computes the roots of the subtrees of every ledger; what they share once.
fn add_roots(rule: Rule, height: u8, done: Vec<Done>) -> Vec<ShardLedger> {
    let roots = |era: Era, first: &mut Option<Subtrees>, leaves: Vec<Fp>| -> Vec<LedgerHash> {
        let subtrees = match first {
            Some(first) => &Subtrees::new_beside(first, leaves),
            None => &*first.insert(Subtrees::new(era, height, leaves)),
        };
        subtrees.roots().iter().copied().map(ledger_hash).collect()
    };
    let (mut source, mut target) = (None, None);
    done.into_iter()
        .map(|done| ShardLedger {
            source_roots: done
                .source
                .map(|leaves| roots(rule.source(), &mut source, leaves)),
            target_roots: roots(rule.target(), &mut target, done.target),
            ..done.ledger
        })
        .collect()
}

fn audit(audit: &Audit, timed: u64) -> ShardAudit {
    let Audit {
        // The part says it.
        accounts: _,
        zkapps,
        padded_zkapps,
        timed_changed,
        untimed_changed,
        still_vesting,
        still_vesting_past_cliff,
        before,
        after,
    } = *audit;
    let Totals {
        default_token: default_token_before,
        other_tokens: other_tokens_before,
    } = before;
    ShardAudit {
        timed,
        zkapps,
        padded_zkapps,
        timed_changed,
        untimed_changed,
        still_vesting,
        still_vesting_past_cliff,
        default_token_before: default_token_before.to_string(),
        default_token_after: after.default_token.to_string(),
        other_tokens_before: other_tokens_before.to_string(),
        other_tokens_after: after.other_tokens.to_string(),
    }
}

/// What a shard says on the terminal.
pub(crate) fn summary(document: &ShardDocument, output: &std::path::Path) -> String {
    let mut text = format!(
        "shard {} of {}, {}\n",
        document.number, document.of, document.rule.name
    );
    for ledger in &document.ledgers {
        let (role, of) = (ledger.role.to_string(), ledger.accounts);
        let what = match ledger.count.checked_sub(1) {
            Some(more) => format!("accounts {} to {}", ledger.first, ledger.first + more),
            None => "no account".to_owned(),
        };
        text.push_str(&format!(
            "{role:<12}  {what} of {of}, piece of {} bytes\n",
            ledger.piece.bytes
        ));
    }
    text.push_str(&format!("written to    {}\n", output.display()));
    text
}
