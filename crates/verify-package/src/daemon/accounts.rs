//! Asking a node for accounts and holding them against the packaged ledger.
//!
//! An account is proved by the node itself: hashes of its siblings lead from the leaf to the root, and
//! only the packaged root will do. Both the node's own hash of the account and ours are taken there.

use fork_daemon::{ACCOUNTS_PER_QUERY_MAX, DaemonClient, NodeAccount, NodeAccounts};
use fork_ledger::account::Account;
use fork_ledger::batch::LeafHasher;
use fork_ledger::merkle::{ledger_hash, root_of_path};
use fork_types::{Era, LedgerHash, Role};
use pasta_poseidon::Fp;
use rayon::prelude::*;

use super::fields::{differences, field, short};
use super::sample::Chosen;
use super::{genesis_height, packaged_root};
use crate::facts::Facts;
use crate::subject::error_text;

/// Queries on their way at once: a daemon answers them one after the other anyway.
const QUERIES_AT_ONCE: usize = 4;

/// Problems kept in words.
const KEPT_MAX: usize = 5;

/// Why accounts were not compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSampled {
    /// Blocks were produced: the node only shows the ledger after the last of them.
    MovedOn(String),
    /// Anything else.
    Other(String),
}

impl NotSampled {
    /// Why, in words.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::MovedOn(why) | Self::Other(why) => why,
        }
    }
}

/// Problems, the first of them in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many there are.
    pub count: u64,
    /// The first.
    pub kept: Vec<String>,
}

impl Counted {
    fn push(&mut self, problem: String) {
        self.count += 1;
        if self.kept.len() < KEPT_MAX {
            self.kept.push(problem);
        }
    }
}

/// What asking for accounts gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountFacts {
    /// Accounts that were asked for.
    pub asked: u64,
    /// Accounts that are absent, at another leaf, or that show something else than the package.
    pub values: Counted,
    /// Accounts whose hash or path does not lead to the packaged root.
    pub paths: Counted,
    /// Accounts whose leaf hash came in no known form; ours was taken in its place.
    pub unread_leaves: u64,
    /// Why asking ended early.
    pub problem: Option<String>,
}

/// Asks for all of them.
pub(super) fn check(
    client: &DaemonClient,
    facts: &Facts,
    chosen: &Chosen,
) -> Result<AccountFacts, NotSampled> {
    let other = |why: &str| NotSampled::Other(why.to_owned());
    let root = packaged_root(facts, Role::Genesis)
        .ok_or_else(|| other("the packaged ledger has no root"))?;
    let genesis = genesis_height(facts)
        .ok_or_else(|| other("the packaged config does not name the height of the fork"))?;
    let era = facts.reference.network.target_era;
    let hasher = LeafHasher::new(era);
    let comparer = Comparer { era, root };
    let mut found = AccountFacts::default();
    let all: Vec<(&u64, &Account)> = chosen.accounts.iter().collect();
    let queries: Vec<&[(&u64, &Account)]> = all.chunks(ACCOUNTS_PER_QUERY_MAX).collect();
    for queries in queries.chunks(QUERIES_AT_ONCE) {
        let answers: Vec<_> = queries
            .par_iter()
            .map(|query| {
                let ids: Vec<_> = query
                    .iter()
                    .map(|(_, account)| (account.public_key, account.token_id))
                    .collect();
                client.accounts(&ids)
            })
            .collect();
        for (query, answer) in queries.iter().zip(answers) {
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => {
                    found.problem = Some(error_text(&error));
                    return Ok(found);
                }
            };
            moved_on(&answer, genesis, root)?;
            let accounts: Vec<Account> = query.iter().map(|(_, one)| (*one).clone()).collect();
            let leaves = hasher
                .hash_as(era, &accounts)
                .map_err(|error| NotSampled::Other(error_text(&error)))?;
            for (((leaf, account), hash), shown) in query.iter().zip(leaves).zip(&answer.accounts) {
                found.asked += 1;
                comparer.compare(**leaf, account, hash, shown.as_ref(), &mut found);
            }
        }
    }
    Ok(found)
}

/// Whether the ledger the node shows is another one by right: blocks were produced that changed it.
fn moved_on(answer: &NodeAccounts, genesis: u32, root: LedgerHash) -> Result<(), NotSampled> {
    let tip = &answer.tip;
    if tip.blockchain_length > genesis && tip.staged_ledger_hash != root {
        return Err(NotSampled::MovedOn(format!(
            "the best tip is at height {}, {} blocks above the genesis block, and has changed the \
             ledger; the packaged one cannot be asked for any more",
            tip.blockchain_length,
            tip.blockchain_length - genesis
        )));
    }
    Ok(())
}

struct Comparer {
    era: Era,
    root: LedgerHash,
}

impl Comparer {
    fn compare(
        &self,
        leaf: u64,
        account: &Account,
        hash: Fp,
        shown: Option<&NodeAccount>,
        found: &mut AccountFacts,
    ) {
        let name = format!(
            "account {leaf} ({}, token {})",
            account.public_key, account.token_id
        );
        let Some(shown) = shown else {
            found.values.push(format!("{name} is not in the ledger"));
            return;
        };
        let mut wrong = differences(account, shown);
        if shown.index != Some(leaf) {
            let index = shown
                .index
                .map_or_else(|| "null".to_owned(), |index| index.to_string());
            wrong.push(format!("index is {index}, expected {leaf}"));
        }
        if !wrong.is_empty() {
            found.values.push(format!("{name}: {}", wrong.join("; ")));
        }
        let theirs = shown.leaf_hash.as_deref().and_then(field);
        found.unread_leaves += u64::from(theirs.is_none());
        if let Err(problem) = self.prove(leaf, hash, theirs, shown) {
            found.paths.push(format!("{name}: {problem}"));
        }
    }

    /// Follows the node's path from both hashes of the account.
    fn prove(
        &self,
        leaf: u64,
        ours: Fp,
        theirs: Option<Fp>,
        shown: &NodeAccount,
    ) -> Result<(), String> {
        let path = shown.merkle_path.as_deref().ok_or("merklePath is null")?;
        let depth = usize::from(self.era.depth());
        if path.len() != depth {
            return Err(format!(
                "merklePath has {} elements, expected {depth}",
                path.len()
            ));
        }
        let mut siblings = Vec::with_capacity(depth);
        for (height, step) in path.iter().enumerate() {
            if step.from_left != ((leaf >> height) & 1 == 0) {
                return Err(format!(
                    "merklePath goes to the other side at height {height} than leaf {leaf} does"
                ));
            }
            let sibling = field(&step.sibling).ok_or_else(|| {
                format!(
                    "merklePath has {} at height {height}, expected a field element",
                    short(&step.sibling)
                )
            })?;
            siblings.push(sibling);
        }
        for (whose, hash) in [
            ("its hash of the account", theirs),
            ("our hash", Some(ours)),
        ] {
            let Some(hash) = hash else { continue };
            let root = ledger_hash(root_of_path(self.era, hash, leaf, &siblings));
            if root != self.root {
                return Err(format!(
                    "{whose} and its merklePath give the root {root}, expected {}",
                    self.root
                ));
            }
        }
        Ok(())
    }
}
