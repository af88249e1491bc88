//! What is in a store, and whether it is all there.

use std::collections::{BTreeMap, BTreeSet};

use fork_genesis::selection::StoredBlock;
use fork_types::document::{DaemonView, Refusal, StoredCandidate, StoredLedger};
use fork_types::{Fault, LedgerHash, Role, StateHash};
use serde::Serialize;

use crate::catalog::{Catalog, CatalogError};

/// Something in a store that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct StoreProblem {
    /// What was looked at, such as `SHA-256 of the stored accounts of ledger jx…`.
    pub what: String,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

impl std::fmt::Display for StoreProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} is {}, expected {}",
            self.what, self.found, self.expected
        )
    }
}

/// A ledger of the store.
#[derive(Clone, Debug)]
pub(crate) enum Ledger {
    /// Its document, and accounts of the right size.
    Complete(Box<StoredLedger>),
    /// Not usable.
    Broken(StoreProblem),
}

/// Everything a store lists.
#[derive(Debug)]
pub(crate) struct Stock {
    /// By height and state hash.
    pub(crate) candidates: Vec<StoredCandidate>,
    /// By name.
    pub(crate) views: Vec<DaemonView>,
    /// Oldest first.
    pub(crate) refusals: Vec<Refusal>,
    /// Every ledger that a candidate names.
    pub(crate) ledgers: BTreeMap<LedgerHash, Ledger>,
}

impl Stock {
    /// Reads every document of the store, and the size of every ledger.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read or a document is malformed. A ledger that is missing or
    /// has another size is no error here: see [`Self::problems`].
    pub(crate) fn read(catalog: &Catalog) -> Result<Self, CatalogError> {
        let candidates = catalog.candidates()?;
        let roots: BTreeSet<LedgerHash> = candidates.iter().flat_map(Self::roots).collect();
        let mut ledgers = BTreeMap::new();
        for root in roots {
            ledgers.insert(root, ledger(catalog, root)?);
        }
        Ok(Self {
            candidates,
            views: catalog.views()?,
            refusals: catalog.refusals()?,
            ledgers,
        })
    }

    /// A ledger, when it is complete.
    pub(crate) fn complete(&self, root: LedgerHash) -> Option<&StoredLedger> {
        match self.ledgers.get(&root)? {
            Ledger::Complete(ledger) => Some(ledger),
            Ledger::Broken(_) => None,
        }
    }

    /// What keeps a candidate from counting as complete and verified, without reading any accounts.
    pub(crate) fn problems(&self, stored: &StoredCandidate) -> Vec<StoreProblem> {
        let mut problems = Vec::new();
        let hash = stored.candidate.fork_block.state_hash;
        if !stored.candidate.fork_block.state_hash_recomputed || stored.candidate.block.is_none() {
            problems.push(StoreProblem {
                what: format!("the state hash {hash}"),
                expected: "recomputed from the block".to_owned(),
                found: "only claimed".to_owned(),
            });
        }
        for role in Role::ALL {
            self.ledger_problems(stored, role, &mut problems);
        }
        problems
    }

    fn ledger_problems(
        &self,
        stored: &StoredCandidate,
        role: Role,
        problems: &mut Vec<StoreProblem>,
    ) {
        let listed = stored.candidate.ledger(role);
        let Some(root) = listed.computed_root else {
            problems.push(StoreProblem {
                what: format!("the root of the {role} ledger"),
                expected: "recomputed from the accounts".to_owned(),
                found: "only claimed".to_owned(),
            });
            return;
        };
        let ledger = match self.ledgers.get(&root) {
            Some(Ledger::Complete(ledger)) => ledger,
            Some(Ledger::Broken(problem)) => {
                if !problems.contains(problem) {
                    problems.push(problem.clone());
                }
                return;
            }
            None => return,
        };
        let claimed = listed.claimed_root.as_ref().map(|claimed| claimed.root);
        let era = stored.candidate.source_era;
        let pairs = [
            (
                "claimed root",
                claimed.unwrap_or(root).to_string(),
                root.to_string(),
            ),
            ("root", root.to_string(), ledger.root.to_string()),
            ("era", era.to_string(), ledger.era.to_string()),
            (
                "number of accounts",
                listed.accounts.to_string(),
                ledger.accounts.to_string(),
            ),
            (
                "total balance",
                listed.total_balance_nanomina.clone(),
                ledger.total_balance_nanomina.clone(),
            ),
        ];
        for (what, expected, found) in pairs {
            if expected != found {
                problems.push(StoreProblem {
                    what: format!("the {what} of the {role} ledger"),
                    expected,
                    found,
                });
            }
        }
    }

    /// The candidates as [`fork_genesis::selection::select`] takes them; `problems` says what is
    /// wrong with each, by its index.
    pub(crate) fn stored_blocks(
        &self,
        problems: impl Fn(usize, &StoredCandidate) -> Vec<StoreProblem>,
    ) -> Vec<StoredBlock> {
        let blocks = self.candidates.iter().enumerate().map(|(index, stored)| {
            let block = &stored.candidate.fork_block;
            let problems = problems(index, stored);
            StoredBlock {
                state_hash: block.state_hash,
                blockchain_length: block.blockchain_length,
                slot_since_hard_fork: block.slot_since_hard_fork,
                unusable: (!problems.is_empty())
                    .then(|| format!("not usable: {}", joined(&problems))),
            }
        });
        blocks.collect()
    }

    /// The roots of a candidate's ledgers, each once.
    pub(crate) fn roots(stored: &StoredCandidate) -> BTreeSet<LedgerHash> {
        let roots = Role::ALL.into_iter();
        roots.filter_map(|role| stored.root(role)).collect()
    }

    /// A candidate.
    pub(crate) fn candidate(&self, hash: StateHash) -> Option<&StoredCandidate> {
        self.candidates
            .iter()
            .find(|stored| stored.candidate.fork_block.state_hash == hash)
    }
}

fn ledger(catalog: &Catalog, root: LedgerHash) -> Result<Ledger, CatalogError> {
    match catalog.complete_ledger(root) {
        Ok(Some(ledger)) => Ok(Ledger::Complete(Box::new(ledger))),
        Ok(None) => Ok(Ledger::Broken(StoreProblem {
            what: format!("the document of ledger {root}"),
            expected: "in the store, because a candidate names it".to_owned(),
            found: "missing".to_owned(),
        })),
        Err(error) => as_problem(error).map(Ledger::Broken),
    }
}

/// A contradiction within the store as something to list; anything else stays an error.
pub(crate) fn as_problem(error: CatalogError) -> Result<StoreProblem, CatalogError> {
    match error {
        CatalogError::Differs {
            key,
            what,
            expected,
            found,
            ..
        } => Ok(StoreProblem {
            what: format!("the {what} of `{key}`"),
            expected,
            found,
        }),
        CatalogError::Incomplete { key, named_by, .. } => Ok(StoreProblem {
            what: format!("`{key}`"),
            expected: format!("in the store, because `{named_by}` names it"),
            found: "missing".to_owned(),
        }),
        error => Err(error),
    }
}

/// Several problems in one text.
pub(crate) fn joined(problems: &[StoreProblem]) -> String {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// An error and its causes in one text.
pub(crate) fn chain(error: &dyn Fault) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
