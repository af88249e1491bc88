//! `migrate-ledger merge`: whole ledgers from shards.

mod error;
mod set;

use std::path::PathBuf;

use clap::Parser;
use fork_fs::StagedDir;
use fork_ledger::merkle::{MerkleTree, ledger_hash, root_of_subtrees};
use fork_ledger::migrate::{Audit, Rule, Totals};
use fork_ledger::packing::element;
use fork_store::LedgerStoreWriter;
use fork_types::document::{ClaimedRoot, LedgerDocument, ShardAudit, ShardLedger};
use fork_types::{LedgerHash, Role};
use fork_worker::{Context, InputArg, OutputArgs, ReportingArgs, Stages, Unit};
use pasta_poseidon::Fp;

use crate::args::Proof;
use crate::error::{MigrateLedgerError, PassError};
use crate::finish::{
    DISK_BYTES, DISK_BYTES_PER_ACCOUNT, Demands, Facts, Migrated, STORE, checked, finish_all,
    role_directory,
};
use crate::plan::SHARDS_MAX;
use crate::source::{Source, of_candidate};

pub use error::MergeError;
use set::ShardSet;

/// Put shards together to the ledgers that one run would have made
///
/// Checks that the shards are parts of the same lists, made by the same rule, and that every account is
/// in exactly one of them; takes their pieces into the store, hashes the tree, compares the source root
/// with the candidate's claim, proves the store and packs it. Tarball and `ledger.json` are those of a run
/// over the whole ledgers, but for the measurements. A run that fails or is interrupted leaves nothing at
/// --output.
#[derive(Clone, Debug, Parser)]
pub struct MergeArgs {
    /// Directories that `migrate-ledger shard` wrote, in any order
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    pub shards: Vec<PathBuf>,

    /// Candidate directory that the shards were made from; only its document is read
    #[arg(long, value_name = "DIR")]
    pub candidate: Option<PathBuf>,

    /// Root the accounts must hash to before migration
    #[arg(long, value_name = "ROOT")]
    pub source_root: Option<LedgerHash>,

    /// Root the migrated ledger must hash to
    #[arg(long, value_name = "ROOT")]
    pub expect_root: Option<LedgerHash>,

    /// Go on when nothing claims a root for the source accounts; every later document repeats it
    #[arg(long)]
    pub unverified_source: bool,

    /// How to prove the store: log reads it back and compares every entry with what the shards say;
    /// rocksdb opens it with the daemon's RocksDB and computes every hash again, so that no shard is
    /// believed
    #[arg(long, value_enum, default_value_t, value_name = "KIND")]
    pub proof: Proof,

    /// Where the result goes.
    #[command(flatten)]
    pub output: OutputArgs,

    /// How to report.
    #[command(flatten)]
    pub reporting: ReportingArgs,
}

impl MergeArgs {
    /// Merges the shards.
    pub(crate) fn merge(
        &self,
        context: &Context,
    ) -> Result<Vec<LedgerDocument>, MigrateLedgerError> {
        let mut stages = Stages::new();
        if self.shards.len() > SHARDS_MAX as usize {
            return Err(MergeError::TooMany {
                found: self.shards.len(),
            }
            .into());
        }
        let staged = StagedDir::create(&self.output.output, self.output.force)?;
        let set = ShardSet::read(&self.shards)?;
        let demands = Demands {
            source_root: self.source_root,
            expect_root: self.expect_root,
            unverified_source: self.unverified_source,
            proof: self.proof,
        };
        let sources = self.sources(&set, &demands)?;
        let total: u64 = set.accounts().map(u64::from).sum();
        fork_fs::require_free_space(staged.path(), DISK_BYTES + DISK_BYTES_PER_ACCOUNT * total)?;
        stages.end("open");

        let progress = context.progress("taking the pieces", total, Unit::Items);
        let rule = set.rule();
        let mut taken = Vec::with_capacity(sources.len());
        for (place, source) in sources.into_iter().enumerate() {
            let directory = role_directory(staged.path(), source.role, set.roles());
            fork_fs::create_dir_all(&directory)?;
            let mut writer =
                LedgerStoreWriter::create_scratch(&directory.join(STORE), rule.target().depth())
                    .map_err(PassError::from)?;
            let mut leaves = Vec::new();
            for (shard, ledger) in set.parts(place) {
                let piece = fork_fs::child(&shard.directory, &ledger.piece.name)?;
                writer
                    .push_piece(
                        &piece,
                        &ledger.piece,
                        rule.target(),
                        ledger.count,
                        &mut leaves,
                    )
                    .map_err(PassError::from)?;
                progress.advance(u64::from(ledger.count));
            }
            taken.push((source, directory, Box::new(writer), leaves));
        }
        drop(progress);
        stages.end("take-pieces");

        let progress = context.progress("hashing the trees", 0, Unit::Items);
        let mut migrated: Vec<Migrated> = Vec::with_capacity(taken.len());
        for (place, (source, directory, writer, leaves)) in taken.into_iter().enumerate() {
            let depth = rule.target().depth();
            let tree = match migrated.first() {
                Some(first) => MerkleTree::new_beside(&first.tree, leaves),
                None => MerkleTree::new(rule.target(), depth, leaves),
            }
            .map_err(PassError::from)?;
            check_subtrees(&set, place, &tree)?;
            let (audit, timed) = summed(&set, place)?;
            let facts = Facts {
                rule,
                rule_ref: set.rule_ref().clone(),
                list: set.list(place).clone(),
                source_root: source_root(rule, &set, place)?,
                target_root: ledger_hash(tree.root()),
                audit: &audit,
                timed,
            };
            let document = checked(&demands, &source, facts)?;
            self.check_target(source.role, document.target.root)?;
            migrated.push(Migrated {
                source,
                directory,
                writer,
                tree,
                document,
            });
        }
        drop(progress);
        stages.end("tree");

        let documents = finish_all(rule, self.proof, migrated, stages, context)?;
        staged.commit()?;
        Ok(documents)
    }

    /// What is known about the lists, from the candidate that the shards name.
    fn sources(
        &self,
        set: &ShardSet,
        demands: &Demands,
    ) -> Result<Vec<Source>, MigrateLedgerError> {
        demands.check_roles(set.roles())?;
        if demands.source_root.is_some() && !set.has_source_roots() {
            return Err(MergeError::NoSourceRoots.into());
        }
        let claimed: Option<ClaimedRoot> = demands.claimed();
        let ledgers = set.ledgers();
        let first = set.first();
        let (directory, named) = match (&self.candidate, &first.document.candidate) {
            (Some(directory), Some(named)) => (directory, named),
            (None, None) => {
                let bare = |ledger: &ShardLedger| {
                    let name = PathBuf::from(&ledger.list.name);
                    Source::bare(ledger.role, InputArg::Path(name), claimed.clone())
                };
                return Ok(ledgers.iter().map(bare).collect());
            }
            (None, Some(named)) => {
                return Err(MergeError::CandidateMissing {
                    network: named.network.clone(),
                    state_hash: named.state_hash,
                }
                .into());
            }
            (Some(directory), None) => {
                return Err(MergeError::NotOfCandidate {
                    candidate: directory.clone(),
                    shard: first.directory.clone(),
                }
                .into());
            }
        };
        let roles: Vec<Role> = ledgers.iter().map(|ledger| ledger.role).collect();
        let from = set.rule().source();
        let sources = of_candidate(directory, from, &roles, !set.has_source_roots(), claimed)?;
        for (source, ledger) in sources.iter().zip(ledgers) {
            let other = |what, expected: String, found: String| MergeError::OtherCandidate {
                candidate: directory.clone(),
                shard: first.directory.clone(),
                what,
                expected,
                found,
            };
            let candidate = source.candidate.as_ref();
            if let Some(found) = candidate.filter(|found| *found != named) {
                let (expected, found) = (named.sha256.clone(), found.sha256.clone());
                return Err(other("SHA-256 of candidate.json", expected, found).into());
            }
            if let Some(found) = source.file.as_ref().filter(|file| **file != ledger.list) {
                let (expected, found) = (ledger.list.sha256.clone(), found.sha256.clone());
                return Err(other("SHA-256 of an account list", expected, found).into());
            }
            if let Some(found) = source.accounts.filter(|count| *count != ledger.accounts) {
                let (expected, found) = (ledger.accounts.to_string(), found.to_string());
                return Err(other("number of accounts", expected, found).into());
            }
        }
        Ok(sources)
    }

    /// Compares the migrated root with the caller's.
    fn check_target(&self, role: Role, computed: LedgerHash) -> Result<(), MergeError> {
        match self.expect_root {
            Some(expected) if expected != computed => Err(MergeError::TargetRoot {
                role,
                expected,
                computed,
            }),
            _ => Ok(()),
        }
    }
}

fn elements(roots: &[LedgerHash]) -> impl Iterator<Item = Fp> {
    roots.iter().map(|root| element(root.field()))
}

/// Compares the tree that was hashed here with what the shards say about their parts of it.
fn check_subtrees(set: &ShardSet, place: usize, tree: &MerkleTree) -> Result<(), MergeError> {
    let height = set.subtree_height();
    let nodes = tree.level(height).unwrap_or_default();
    for (shard, ledger) in set.parts(place) {
        let first = u64::from(ledger.first) >> height;
        for (index, claimed) in (first..).zip(&ledger.target_roots) {
            let node = usize::try_from(index)
                .ok()
                .and_then(|index| nodes.get(index))
                .copied();
            let computed = node.map(ledger_hash);
            if computed != Some(*claimed) {
                return Err(MergeError::SubtreeRoot {
                    role: ledger.role,
                    shard: shard.directory.clone(),
                    leaf: index << height,
                    claimed: *claimed,
                    computed,
                });
            }
        }
    }
    Ok(())
}

/// The root under the source era's rules, from the shards' subtrees.
fn source_root(
    rule: Rule,
    set: &ShardSet,
    place: usize,
) -> Result<Option<LedgerHash>, MigrateLedgerError> {
    if !set.has_source_roots() {
        return Ok(None);
    }
    let roots: Vec<Fp> = set
        .parts(place)
        .filter_map(|(_, ledger)| ledger.source_roots.as_deref())
        .flat_map(elements)
        .collect();
    let source = rule.source();
    let root = root_of_subtrees(source, source.depth(), set.subtree_height(), &roots)
        .map_err(PassError::from)?;
    Ok(Some(ledger_hash(root)))
}

/// The counts of all parts of a ledger.
fn summed(set: &ShardSet, place: usize) -> Result<(Audit, u64), MergeError> {
    let mut sum = Audit::default();
    let mut timed = 0_u64;
    for (shard, ledger) in set.parts(place) {
        let wrong = |problem: String| MergeError::Inconsistent {
            shard: shard.directory.clone(),
            problem,
        };
        let part = audit(ledger).ok_or_else(|| {
            wrong(format!(
                "a count of the {} ledger is no number or above its {} accounts",
                ledger.role, ledger.count
            ))
        })?;
        // The shard has checked it, so that money made or lost there is not what this is.
        part.check_supply()
            .map_err(|error| wrong(format!("of the {} ledger, {error}", ledger.role)))?;
        timed += ledger.audit.timed;
        sum.merge(&part);
    }
    Ok((sum, timed))
}

/// The counts of a part, unless they are none.
fn audit(ledger: &ShardLedger) -> Option<Audit> {
    let ShardAudit {
        timed,
        zkapps,
        padded_zkapps,
        timed_changed,
        untimed_changed,
        still_vesting,
        still_vesting_past_cliff,
        default_token_before,
        default_token_after,
        other_tokens_before,
        other_tokens_after,
    } = &ledger.audit;
    let accounts = u64::from(ledger.count);
    let counts = [
        timed,
        zkapps,
        padded_zkapps,
        timed_changed,
        untimed_changed,
        still_vesting,
        still_vesting_past_cliff,
    ];
    if counts.into_iter().any(|count| *count > accounts) {
        return None;
    }
    // Balances are below 2^64, so that no honest sum of a part exceeds this, and no sum of parts
    // overflows.
    let sum = |text: &str| text.parse().ok().filter(|sum: &u128| *sum >> 96 == 0);
    Some(Audit {
        accounts,
        zkapps: *zkapps,
        padded_zkapps: *padded_zkapps,
        timed_changed: *timed_changed,
        untimed_changed: *untimed_changed,
        still_vesting: *still_vesting,
        still_vesting_past_cliff: *still_vesting_past_cliff,
        before: Totals {
            default_token: sum(default_token_before)?,
            other_tokens: sum(other_tokens_before)?,
        },
        after: Totals {
            default_token: sum(default_token_after)?,
            other_tokens: sum(other_tokens_after)?,
        },
    })
}
