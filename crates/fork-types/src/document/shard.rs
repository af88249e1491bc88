//! What one machine of several leaves behind that migrate the same ledgers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CandidateRef, Document, FileRef, RuleRef};
use crate::era::Role;
use crate::id::LedgerHash;

/// `shard.json`: a part of one or several migrated ledgers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardDocument {
    /// `forkpack.shard`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// Number of this shard, from 1.
    pub number: u32,
    /// Number of shards that the ledgers were cut into.
    pub of: u32,
    /// The migration rule.
    pub rule: RuleRef,
    /// Whether missing members of accounts were filled with their defaults.
    pub ignore_missing: bool,
    /// The candidate the lists came from; absent for a bare account list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<CandidateRef>,
    /// Height of the subtrees whose roots are given.
    pub subtree_height: u8,
    /// The part of each ledger, in the order of the command line.
    pub ledgers: Vec<ShardLedger>,
    /// Wall time per stage in milliseconds.
    pub stages_ms: BTreeMap<String, u64>,
    /// Peak resident memory of the process in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// Poseidon kernel that hashed; it changes no result.
    pub kernel: String,
}
document!(ShardDocument, "forkpack.shard", 1, "shard.json");

/// The part of one ledger in a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardLedger {
    /// Which of the three ledgers.
    pub role: Role,
    /// The account list, all of which was read.
    pub list: FileRef,
    /// Accounts of the whole ledger.
    pub accounts: u32,
    /// Leaf index of the first account of the part. Where the part is empty, the number of accounts of
    /// all parts before it.
    pub first: u32,
    /// Accounts of the part.
    pub count: u32,
    /// Roots of the subtrees over the part under the source era's rules, from the left; absent when
    /// the source root is not computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_roots: Option<Vec<LedgerHash>>,
    /// The same under the target era's rules.
    pub target_roots: Vec<LedgerHash>,
    /// What the migration changed in the part.
    pub audit: ShardAudit,
    /// The encoded accounts with what was computed from them.
    pub piece: FileRef,
}

/// Counts over the part of a ledger; the counts of all parts add up to those of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardAudit {
    /// Timed accounts before migration.
    pub timed: u64,
    /// Accounts with a zkApp part.
    pub zkapps: u64,
    /// zkApp states that were widened.
    pub padded_zkapps: u64,
    /// Timed accounts whose schedule was rewritten.
    pub timed_changed: u64,
    /// Untimed accounts that became timed.
    pub untimed_changed: u64,
    /// Timed accounts still vesting at the fork slot.
    pub still_vesting: u64,
    /// Of these, the ones past their cliff.
    pub still_vesting_past_cliff: u64,
    /// Sum of the balances of the default token before, in nanomina, as decimal text.
    pub default_token_before: String,
    /// The same after.
    pub default_token_after: String,
    /// Sum of the balances of all other tokens before, in their smallest units, as decimal text.
    pub other_tokens_before: String,
    /// The same after.
    pub other_tokens_after: String,
}
