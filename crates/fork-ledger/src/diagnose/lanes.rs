//! Several interpretations of a list followed at once, each to its root.

use fork_types::{Era, SlotSinceGenesis};
use pasta_poseidon::Fp;
use rayon::prelude::*;

use super::change::{Change, Member, migrations};
use super::{Hypothesis, Outcome};
use crate::account::{Account, V1Account};
use crate::batch::{AccountBatch, LeafHasher};
use crate::hash::hash_v1_accounts;
use crate::merkle::{RootBuilder, ledger_hash};
use crate::migrate::Rule;

/// Permutations of an account without a zkApp: six elements after a first block that is the same
/// for nearly all.
const PLAIN_PERMUTATIONS: u64 = 3;

/// Permutations of a v1 account, about.
const V1_PERMUTATIONS: u64 = 6;

/// What a lane makes of the accounts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    AsRead,
    Changed(Change),
    MigratedV1 { txn_version: u32 },
}

/// One interpretation on its way to a root.
pub(super) struct Lane {
    pub(super) id: String,
    pub(super) summary: String,
    pub(super) advice: String,
    kind: Kind,
    era: Era,
    depth: u8,
    /// Leaf in front of the list.
    first: Option<Fp>,
    builder: Option<RootBuilder>,
    end: Option<Outcome>,
}

impl Lane {
    pub(super) fn as_read(
        id: &str,
        summary: &str,
        advice: &str,
        (era, depth): (Era, u8),
        first: Option<Fp>,
    ) -> Self {
        Self {
            id: id.to_owned(),
            summary: summary.to_owned(),
            advice: advice.to_owned(),
            kind: Kind::AsRead,
            era,
            depth,
            first,
            builder: None,
            end: None,
        }
    }

    /// A lane for a change of accounts read by the rules of `era`; `depth` gives the depth of
    /// trees by era and `first` the leaf in front.
    pub(super) fn changed(
        change: Change,
        era: Era,
        depth: impl Fn(Era) -> u8,
        first: impl Fn(Era) -> Option<Fp>,
    ) -> Self {
        let tree_era = change.tree_era(era);
        Self {
            kind: Kind::Changed(change),
            ..Self::as_read(
                &change.id(),
                &change.summary(),
                &change.advice(),
                (tree_era, depth(tree_era)),
                first(tree_era),
            )
        }
    }

    pub(super) fn migrated_v1(txn_version: u32, depth: u8) -> Self {
        Self {
            kind: Kind::MigratedV1 { txn_version },
            ..Self::as_read(
                &format!("migrated-from-v1-txn-{txn_version}"),
                &format!(
                    "these accounts migrated from v1 to berkeley with transaction version \
                     {txn_version}"
                ),
                "the list is still of v1: migrate it by v1-to-berkeley before importing it",
                (Era::Berkeley, depth),
                None,
            )
        }
    }

    /// Ends the lane before it begins.
    pub(super) fn skip(&mut self, permutations: u64) {
        self.end = Some(Outcome::Skipped { permutations });
    }

    pub(super) const fn is_open(&self) -> bool {
        self.end.is_none()
    }

    /// Takes the leaves of the next accounts. `before` are those of all earlier ones, for a lane
    /// that begins only where it first differs.
    fn push(&mut self, before: &[Fp], leaves: &[Fp]) -> Result<(), String> {
        let builder = match &mut self.builder {
            Some(builder) => builder,
            None => {
                let mut builder = RootBuilder::new(self.era, self.depth);
                let first = self.first.as_slice();
                builder
                    .extend_from_slice(first)
                    .and_then(|()| builder.extend_from_slice(before))
                    .map_err(|error| error.to_string())?;
                self.builder.insert(builder)
            }
        };
        builder
            .extend_from_slice(leaves)
            .map_err(|error| error.to_string())
    }

    /// What came of it. `refused` says that the list came to no end.
    pub(super) fn finish(self, expected: Fp, refused: Option<&str>) -> Hypothesis {
        let outcome = match (self.end, refused, self.builder) {
            (Some(end), _, _) => end,
            (None, Some(reason), _) => Outcome::Refused {
                reason: reason.to_owned(),
            },
            (None, None, None) => Outcome::NoEffect,
            (None, None, Some(builder)) => {
                let root = builder.finish();
                Outcome::Root {
                    root: ledger_hash(root),
                    explains: root == expected,
                }
            }
        };
        Hypothesis {
            id: self.id,
            summary: self.summary,
            advice: self.advice,
            outcome,
        }
    }
}

/// What all lanes of one reading share.
pub(super) struct Lanes<'a> {
    pub(super) era: Era,
    pub(super) lanes: Vec<Lane>,
    hasher: LeafHasher,
    /// Leaves of the same reading, from an earlier pass.
    known: Option<&'a [Fp]>,
    offset: usize,
    pub(super) permutations: u64,
    permutations_max: u64,
}

impl<'a> Lanes<'a> {
    pub(super) fn new(
        era: Era,
        lanes: Vec<Lane>,
        known: Option<&'a [Fp]>,
        permutations_max: u64,
    ) -> Self {
        Self {
            era,
            lanes,
            hasher: LeafHasher::new(era),
            known,
            offset: 0,
            permutations: 0,
            permutations_max,
        }
    }

    pub(super) fn any_open(&self) -> bool {
        self.lanes.iter().any(Lane::is_open)
    }

    /// Gives a batch to every lane. What is wrong with one of them ends that one only.
    pub(super) fn push(&mut self, batch: &AccountBatch) -> Result<(), String> {
        let end = self.offset + batch.len();
        let plain = match self.known {
            Some(known) => known
                .get(self.offset..end)
                .ok_or("the list changed between two readings")?
                .to_vec(),
            None => {
                self.permutations += permutations(self.era, batch);
                self.hasher.hash(batch).map_err(|error| error.to_string())?
            }
        };
        let before = self.known.and_then(|known| known.get(..self.offset));
        let mut lanes = std::mem::take(&mut self.lanes);
        for lane in lanes.iter_mut().filter(|lane| lane.is_open()) {
            if self.permutations > self.permutations_max {
                lane.skip(self.permutations);
                continue;
            }
            let pushed = self.leaves(lane.kind, batch, &plain).and_then(|leaves| {
                let Some(leaves) = leaves else {
                    // While nothing differs, a lane over known leaves need not begin.
                    return match (&lane.builder, before) {
                        (None, Some(_)) => Ok(0),
                        _ => lane.push(&[], &plain).map(|()| plain.len()),
                    };
                };
                let caught_up = match &lane.builder {
                    None => before.unwrap_or_default(),
                    Some(_) => &[],
                };
                lane.push(caught_up, &leaves)?;
                Ok(caught_up.len() + leaves.len())
            });
            match pushed {
                Ok(nodes) => self.permutations += nodes as u64,
                Err(reason) => lane.end = Some(Outcome::Refused { reason }),
            }
        }
        self.lanes = lanes;
        self.offset = end;
        Ok(())
    }

    /// The leaves a lane makes of a batch; `None` when they are the plain ones.
    fn leaves(
        &mut self,
        kind: Kind,
        batch: &AccountBatch,
        plain: &[Fp],
    ) -> Result<Option<Vec<Fp>>, String> {
        match (kind, batch) {
            (Kind::AsRead, _) => Ok(None),
            (Kind::Changed(change), AccountBatch::Later(accounts)) => {
                self.changed_leaves(&change, accounts, plain)
            }
            (Kind::MigratedV1 { txn_version }, AccountBatch::V1(accounts)) => {
                self.migrated_leaves(txn_version, accounts).map(Some)
            }
            (Kind::Changed(change), AccountBatch::V1(accounts)) => {
                Ok(self.changed_v1_leaves(&change, accounts, plain))
            }
            (Kind::MigratedV1 { .. }, AccountBatch::Later(_)) => {
                Err("the accounts are not of v1".to_owned())
            }
        }
    }

    fn changed_leaves(
        &mut self,
        change: &Change,
        accounts: &[Account],
        plain: &[Fp],
    ) -> Result<Option<Vec<Fp>>, String> {
        let applied: Vec<Result<Option<Account>, String>> = accounts
            .par_iter()
            .map(|account| change.apply(account))
            .collect();
        let (mut changed, mut places) = (Vec::new(), Vec::new());
        for (place, applied) in applied.into_iter().enumerate() {
            if let Some(account) = applied? {
                changed.push(account);
                places.push(place);
            }
        }
        if changed.is_empty() {
            return Ok(None);
        }
        let era = change.hash_era(self.era);
        let hashes = self
            .hasher
            .hash_as(era, &changed)
            .map_err(|error| error.to_string())?;
        self.permutations += account_permutations(era, &changed);
        Ok(Some(replaced(plain, &places, hashes)))
    }

    fn changed_v1_leaves(
        &mut self,
        change: &Change,
        accounts: &[V1Account],
        plain: &[Fp],
    ) -> Option<Vec<Fp>> {
        let applied: Vec<Option<V1Account>> = accounts
            .par_iter()
            .map(|account| change.apply_v1(account))
            .collect();
        let (mut changed, mut places) = (Vec::new(), Vec::new());
        for (place, account) in applied.into_iter().enumerate() {
            if let Some(account) = account {
                changed.push(account);
                places.push(place);
            }
        }
        if changed.is_empty() {
            return None;
        }
        self.permutations += changed.len() as u64 * V1_PERMUTATIONS;
        Some(replaced(plain, &places, hash_v1_accounts(&changed)))
    }

    fn migrated_leaves(
        &mut self,
        txn_version: u32,
        accounts: &[V1Account],
    ) -> Result<Vec<Fp>, String> {
        let rule = Rule::V1ToBerkeley { txn_version };
        let migrated: Result<Vec<Account>, _> = accounts
            .iter()
            .map(|account| rule.migrate_v1(account).map(|(account, _)| account))
            .collect();
        let migrated = migrated.map_err(|error| error.to_string())?;
        self.permutations += account_permutations(Era::Berkeley, &migrated);
        self.hasher
            .hash_as(Era::Berkeley, &migrated)
            .map_err(|error| error.to_string())
    }
}

/// The leaves with those at `places` replaced.
fn replaced(plain: &[Fp], places: &[usize], hashes: Vec<Fp>) -> Vec<Fp> {
    let mut leaves = plain.to_vec();
    for (place, hash) in places.iter().zip(hashes) {
        if let Some(leaf) = leaves.get_mut(*place) {
            *leaf = hash;
        }
    }
    leaves
}

/// Permutations that the leaves of a batch take, zkApp URIs and keys aside: they are hashed once
/// for thousands of accounts.
pub(super) fn permutations(era: Era, batch: &AccountBatch) -> u64 {
    match batch {
        AccountBatch::V1(accounts) => accounts.len() as u64 * V1_PERMUTATIONS,
        AccountBatch::Later(accounts) => account_permutations(era, accounts),
    }
}

fn account_permutations(era: Era, accounts: &[Account]) -> u64 {
    // Eight elements beside the state, two a permutation; and the account's first block.
    let zkapp = era.app_state_len() as u64 / 2 + 5;
    accounts
        .iter()
        .map(|account| PLAIN_PERMUTATIONS + if account.zkapp.is_some() { zkapp } else { 0 })
        .sum()
}

/// Leaves of a batch, as it is.
pub(super) fn plain_leaves(hasher: &LeafHasher, batch: &AccountBatch) -> Result<Vec<Fp>, String> {
    match batch {
        AccountBatch::V1(accounts) => Ok(hash_v1_accounts(accounts)),
        AccountBatch::Later(_) => hasher.hash(batch).map_err(|error| error.to_string()),
    }
}

/// What is known of a list before its accounts are changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Traits {
    /// Transaction versions in permissions, sorted.
    pub(super) txn_versions: std::collections::BTreeSet<u32>,
    pub(super) has_zkapps: bool,
}

impl Traits {
    pub(super) fn note(&mut self, batch: &AccountBatch) {
        if let AccountBatch::Later(accounts) = batch {
            for account in accounts {
                let version = account.permissions.set_verification_key_txn_version;
                self.txn_versions.insert(version);
                self.has_zkapps |= account.zkapp.is_some();
            }
        }
    }
}

/// Transaction versions that were ever written by somebody: 0 for none, 1 by test scripts, 2 for
/// accounts of v1, 3 and 4 of Berkeley and Mesa, 5 on test networks.
const TXN_VERSIONS: std::ops::RangeInclusive<u32> = 0..=5;

/// Most versions of a list that are replaced one by one; real lists have two or three.
const REPLACED_VERSIONS_MAX: usize = 4;

/// The changes that are tried on accounts of `era`, the likelier first.
pub(super) fn changes(
    era: Era,
    traits: &Traits,
    may_be_unmigrated: bool,
    slots: &[SlotSinceGenesis],
) -> Vec<Change> {
    let mut changes = Vec::new();
    match era {
        Era::V1 => {
            changes.extend([Change::DelegateItself, Change::DelegateNone]);
            changes.extend(Member::OF_V1.map(Change::Lost));
            return changes;
        }
        Era::Berkeley => {
            changes.extend(migrations(slots));
            changes.push(Change::HashedAs(Era::Mesa));
        }
        Era::Mesa => {
            if may_be_unmigrated {
                changes.extend(migrations(slots));
            } else {
                for slot in slots.iter().copied() {
                    for untimed_becomes_timed in [false, true] {
                        changes.push(Change::VestingUpdate {
                            slot,
                            untimed_becomes_timed,
                        });
                    }
                }
            }
            changes.extend([Change::UntimedBecomesTimed, Change::TimedBecomesUntimed]);
            if traits.has_zkapps {
                changes.push(Change::AppStateUnpadded);
            }
            changes.push(Change::HashedAs(Era::Berkeley));
        }
    }
    changes.extend([Change::DelegateItself, Change::DelegateNone]);
    changes.extend(TXN_VERSIONS.map(|to| Change::TxnVersion { from: None, to }));
    if traits.txn_versions.len() > 1 {
        for from in traits.txn_versions.iter().take(REPLACED_VERSIONS_MAX) {
            let replaced = TXN_VERSIONS.filter(|to| to != from);
            changes.extend(replaced.map(|to| Change::TxnVersion {
                from: Some(*from),
                to,
            }));
        }
    }
    // 2 to 4: of migrated accounts, Berkeley and Mesa.
    changes.extend((2..=4).map(|txn_version| Change::PermissionsDefault { txn_version }));
    changes.extend(Member::ALL.map(Change::Lost));
    changes
}
