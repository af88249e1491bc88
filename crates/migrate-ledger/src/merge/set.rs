//! The shards of a merge: whether they belong together.

use std::path::PathBuf;

use fork_ledger::migrate::Rule;
use fork_types::document::{FileRef, RuleRef, ShardDocument, ShardLedger};

use crate::document::rule_ref;
use crate::error::MigrateLedgerError;
use crate::merge::error::MergeError;
use crate::plan::ShardNumber;

/// Numbers of missing shards that a message names.
const MISSING_SHOWN: usize = 8;

/// A shard and where it is.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) directory: PathBuf,
    pub(super) document: ShardDocument,
}

/// All shards of the ledgers, in order; every account is in one.
#[derive(Debug)]
pub(super) struct ShardSet {
    /// Never empty.
    shards: Vec<Shard>,
    rule: Rule,
}

impl ShardSet {
    /// Reads the documents and checks that they are the parts of the same ledgers.
    pub(super) fn read(directories: &[PathBuf]) -> Result<Self, MigrateLedgerError> {
        let mut shards = directories
            .iter()
            .map(|directory| {
                let (document, _) = fork_fs::read_document(directory)?;
                Ok(Shard {
                    directory: directory.clone(),
                    document,
                })
            })
            .collect::<Result<Vec<Shard>, MigrateLedgerError>>()?;
        let [first, others @ ..] = shards.as_slice() else {
            return Err(MergeError::Missing {
                missing: "all".to_owned(),
                first: "1/1".to_owned(),
                of: 1,
            }
            .into());
        };
        let rule = check_document(first)?;
        for other in others {
            check_document(other)?;
            same_run(first, other)?;
        }
        shards.sort_by_key(|shard| shard.document.number);
        check_numbers(&shards)?;
        let set = Self { shards, rule };
        for place in 0..set.roles() {
            set.check_leaves(place)?;
        }
        Ok(set)
    }

    /// The first shard, for what all have in common.
    pub(super) fn first(&self) -> &Shard {
        // There is one at least; `read` takes no fewer.
        &self.shards[0]
    }

    pub(super) const fn rule(&self) -> Rule {
        self.rule
    }

    pub(super) fn rule_ref(&self) -> &RuleRef {
        &self.first().document.rule
    }

    pub(super) fn subtree_height(&self) -> u8 {
        self.first().document.subtree_height
    }

    /// The ledgers, as the first shard has them.
    pub(super) fn ledgers(&self) -> &[ShardLedger] {
        &self.first().document.ledgers
    }

    /// Number of ledgers.
    pub(super) fn roles(&self) -> usize {
        self.ledgers().len()
    }

    /// Accounts of every ledger.
    pub(super) fn accounts(&self) -> impl Iterator<Item = u32> {
        self.ledgers().iter().map(|ledger| ledger.accounts)
    }

    /// The account list of the ledger at a place.
    pub(super) fn list(&self, place: usize) -> &FileRef {
        &self.ledgers()[place].list
    }

    pub(super) fn has_source_roots(&self) -> bool {
        let has = |ledger: &ShardLedger| ledger.source_roots.is_some();
        self.ledgers().iter().all(has)
    }

    /// The parts of the ledger at a place, in the order of their leaves.
    pub(super) fn parts(&self, place: usize) -> impl Iterator<Item = (&Shard, &ShardLedger)> {
        self.shards
            .iter()
            .filter_map(move |shard| Some((shard, shard.document.ledgers.get(place)?)))
    }

    /// Checks that every account of a ledger is in one part.
    fn check_leaves(&self, place: usize) -> Result<(), MergeError> {
        let mut expected = 0_u32;
        for (shard, ledger) in self.parts(place) {
            let (role, found) = (ledger.role, ledger.first);
            let shard = || shard.directory.clone();
            if found > expected {
                return Err(MergeError::Gap {
                    role,
                    shard: shard(),
                    expected,
                    last: found - 1,
                    found,
                });
            }
            if found < expected {
                return Err(MergeError::Overlap {
                    role,
                    shard: shard(),
                    expected,
                    last: expected - 1,
                    found,
                });
            }
            // Both were checked to be at most the number of accounts.
            expected = found + ledger.count;
        }
        match self.parts(place).last() {
            Some((shard, ledger)) if ledger.accounts != expected => Err(MergeError::End {
                role: ledger.role,
                shard: shard.directory.clone(),
                expected: ledger.accounts,
                found: expected,
            }),
            _ => Ok(()),
        }
    }
}

/// Checks what a document says by itself; gives its rule.
fn check_document(shard: &Shard) -> Result<Rule, MergeError> {
    let ShardDocument {
        number,
        of,
        rule: named,
        subtree_height,
        ledgers,
        ..
    } = &shard.document;
    let wrong = |problem: String| MergeError::Inconsistent {
        shard: shard.directory.clone(),
        problem,
    };
    ShardNumber::new(*number, *of).map_err(|error| wrong(error.to_string()))?;
    let variant = named.variant.as_deref();
    let rule = Rule::from_pair(named.from, named.to, variant, named.fork_slot)
        .map_err(|error| wrong(error.to_string()))?;
    let expected = rule_ref(rule, variant);
    if expected != *named {
        return Err(wrong(format!(
            "its rule is {}, expected {}",
            shown_rule(named),
            shown_rule(&expected)
        )));
    }
    let depth = rule.source().depth().min(rule.target().depth());
    if ledgers.is_empty() || *subtree_height > depth.min(31) {
        return Err(wrong(format!(
            "{} ledgers in subtrees of height {subtree_height}",
            ledgers.len()
        )));
    }
    for (place, ledger) in ledgers.iter().enumerate() {
        let role = ledger.role;
        if ledgers[..place].iter().any(|other| other.role == role) {
            return Err(wrong(format!("the {role} ledger twice")));
        }
        let unit = 1_u32 << subtree_height;
        let end = ledger.first.checked_add(ledger.count);
        let is_part = end.is_some_and(|end| {
            end <= ledger.accounts && (end == ledger.accounts || end.is_multiple_of(unit))
        });
        if !is_part || ledger.count > 0 && !ledger.first.is_multiple_of(unit) {
            return Err(wrong(format!(
                "{} accounts from {} on are no part of a {role} ledger of {} in subtrees of {unit}",
                ledger.count, ledger.first, ledger.accounts
            )));
        }
        let subtrees = ledger.count.div_ceil(unit) as usize;
        let source_roots = ledger.source_roots.as_ref();
        for (what, found) in [
            ("target", Some(ledger.target_roots.len())),
            ("source", source_roots.map(Vec::len)),
        ] {
            if let Some(found) = found.filter(|found| *found != subtrees) {
                return Err(wrong(format!(
                    "{found} {what} roots of the {role} ledger, expected {subtrees}"
                )));
            }
        }
    }
    Ok(rule)
}

/// Checks that two shards were made by the same command line but for the shard's number.
fn same_run(one: &Shard, other: &Shard) -> Result<(), MergeError> {
    let same = |what: &str, expected: String, found: String| {
        if expected == found {
            return Ok(());
        }
        Err(MergeError::Differs {
            shard: other.directory.clone(),
            other: one.directory.clone(),
            what: what.to_owned(),
            expected,
            found,
        })
    };
    let (a, b) = (&one.document, &other.document);
    same("number of shards", a.of.to_string(), b.of.to_string())?;
    same("rule", shown_rule(&a.rule), shown_rule(&b.rule))?;
    same(
        "use of --ignore-missing",
        a.ignore_missing.to_string(),
        b.ignore_missing.to_string(),
    )?;
    let candidate = |document: &ShardDocument| {
        document
            .candidate
            .as_ref()
            .map_or("none".to_owned(), |candidate| {
                format!(
                    "{} of {} (SHA-256 {})",
                    candidate.state_hash, candidate.network, candidate.sha256
                )
            })
    };
    let roles = |document: &ShardDocument| {
        let roles = document.ledgers.iter().map(|ledger| ledger.role);
        roles
            .map(|role| role.to_string())
            .collect::<Vec<_>>()
            .join(", ")
    };
    same("candidate", candidate(a), candidate(b))?;
    same("list of roles", roles(a), roles(b))?;
    same(
        "height of subtrees",
        a.subtree_height.to_string(),
        b.subtree_height.to_string(),
    )?;
    for (a, b) in a.ledgers.iter().zip(&b.ledgers) {
        let role = a.role;
        let list = |list: &FileRef| {
            format!(
                "`{}` of {} bytes with SHA-256 {}",
                list.name, list.bytes, list.sha256
            )
        };
        same(
            &format!("account list of the {role} ledger"),
            list(&a.list),
            list(&b.list),
        )?;
        same(
            &format!("number of accounts of the {role} ledger"),
            a.accounts.to_string(),
            b.accounts.to_string(),
        )?;
        same(
            "use of --skip-source-root",
            a.source_roots.is_none().to_string(),
            b.source_roots.is_none().to_string(),
        )?;
    }
    Ok(())
}

/// Checks that every number is there once; the shards are sorted.
fn check_numbers(shards: &[Shard]) -> Result<(), MergeError> {
    let of = shards.first().map_or(0, |shard| shard.document.of);
    if let Some([first, second]) = shards
        .windows(2)
        .filter_map(|pair| <&[Shard; 2]>::try_from(pair).ok())
        .find(|[first, second]| first.document.number == second.document.number)
    {
        return Err(MergeError::Twice {
            number: first.document.number,
            of,
            first: first.directory.clone(),
            second: second.directory.clone(),
        });
    }
    let mut given = shards.iter().map(|shard| shard.document.number).peekable();
    let missing: Vec<String> = (1..=of)
        .filter(|number| given.next_if_eq(number).is_none())
        .map(|number| format!("{number}/{of}"))
        .collect();
    let Some(first) = missing.first().cloned() else {
        return Ok(());
    };
    let mut shown = missing
        .iter()
        .take(MISSING_SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if missing.len() > MISSING_SHOWN {
        shown.push_str(&format!(" and {} more", missing.len() - MISSING_SHOWN));
    }
    Err(MergeError::Missing {
        missing: shown,
        first,
        of,
    })
}

fn shown_rule(rule: &RuleRef) -> String {
    match rule.fork_slot {
        Some(slot) => format!("{} at slot {slot}", rule.name),
        None => rule.name.clone(),
    }
}
