//! `hash`: the root of a list.

use std::fmt::Write as _;

use fork_ledger::hash::hash_account;
use fork_ledger::json::DaemonRules;
use fork_ledger::json::document::Listing;
use fork_ledger::json::ledger_object::{
    GENESIS_WINNER_KEY, adds_genesis_winner, check_fork_shape, check_padding, genesis_winner,
};
use fork_ledger::merkle::{RootBuilder, ledger_hash};
use fork_ledger::verification_key::VkHashCache;
use fork_types::document::SourceRef;
use fork_types::{Era, LedgerHash, Role};
use fork_worker::Context;
use pasta_poseidon::Fp;
use serde::Serialize;

use crate::accounts::read_leaves;
use crate::args::{HashArgs, Loader, Winner};
use crate::error::{InspectError, InspectErrorKind, LeafError};
use crate::leaves::Leaf;

/// A root and what it depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HashReport {
    /// Version of this object.
    pub version: u32,
    /// The root.
    pub root: LedgerHash,
    /// The root, hexadecimal, little-endian.
    pub root_hex: String,
    /// Era whose rules were used.
    pub era: Era,
    /// Depth of the tree.
    pub depth: u8,
    /// Leaves, the genesis winner included when it was added.
    pub accounts: u32,
    /// `fork` or `daemon`.
    pub loader: &'static str,
    /// Whether the genesis winner was added in front of the list.
    pub winner_added: bool,
    /// Whether missing members were filled in (fork loader).
    pub ignore_missing: bool,
    /// Whether short zkApp states were extended (fork loader).
    pub pad_app_state: bool,
    /// Where in the file the list was.
    pub list: &'static str,
    /// `hash` beside the accounts; often inherited from another configuration and stale.
    pub claimed_hash: Option<String>,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// The file.
    pub source: SourceRef,
}

impl HashReport {
    /// The report for people: the root alone on the first line.
    #[must_use]
    pub fn human(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "{}\n  accounts  {}\n  era       {}\n  depth     {}\n  loader    {}\n  winner    {}\n  \
             list      {}\n  hex       {}\n",
            self.root,
            self.accounts,
            self.era,
            self.depth,
            self.loader_text(),
            if self.winner_added {
                "added"
            } else {
                "not added"
            },
            self.list,
            self.root_hex,
        );
        if let Some(claimed) = &self.claimed_hash {
            let verdict = if *claimed == self.root.to_string() {
                "the same"
            } else {
                "another one"
            };
            let _ = writeln!(text, "  claimed   {claimed} ({verdict})");
        }
        text
    }

    fn loader_text(&self) -> String {
        let mut text = self.loader.to_owned();
        for (set, name) in [
            (self.ignore_missing, "ignore-missing"),
            (self.pad_app_state, "pad-app-state"),
        ] {
            if set {
                text.push_str(", ");
                text.push_str(name);
            }
        }
        text
    }
}

/// The root without the genesis winner, and with it when it may be needed: whether it is may be
/// written behind the accounts, which are read only once.
struct Roots {
    plain: RootBuilder,
    with_winner: Option<RootBuilder>,
}

impl Roots {
    fn extend(&mut self, leaves: &[Leaf]) -> Result<(), LeafError> {
        let starts_with_winner = leaves.first().is_some_and(|leaf| {
            leaf.index == 0 && leaf.public_key.to_string() == GENESIS_WINNER_KEY
        });
        if starts_with_winner {
            self.with_winner = None;
        }
        let hashes: Vec<Fp> = leaves.iter().map(|leaf| leaf.hash).collect();
        if let Some(builder) = &mut self.with_winner {
            builder.extend_from_slice(&hashes)?;
        }
        Ok(self.plain.extend_from_slice(&hashes)?)
    }
}

/// Computes the root of a list.
///
/// # Errors
///
/// Fails on an unusable file or account, and when a daemon would add accounts to the list that
/// cannot be known.
pub fn hash_list(args: &HashArgs, context: &Context) -> Result<HashReport, InspectError> {
    let list = &args.list;
    let (era, depth) = (list.era, args.depth.unwrap_or(list.era.depth()));
    let winner_possible = list.loader == Loader::Daemon
        && list.ledger == Role::Genesis
        && args.winner != Winner::No
        && era != Era::V1;
    let mut roots = Roots {
        plain: RootBuilder::new(era, depth),
        with_winner: winner_possible
            .then(|| winner_root(era, depth))
            .transpose()?,
    };
    let (listing, source) = read_leaves(list, context, |leaves| roots.extend(leaves))?;
    let Listing {
        place,
        meta,
        is_ledger_object,
        proof_is_full,
    } = listing;
    let mut warnings = Vec::new();
    let asked = match args.winner {
        Winner::No => false,
        Winner::Yes => true,
        Winner::Auto => {
            list.loader == Loader::Daemon
                && is_ledger_object
                && adds_genesis_winner(&meta, proof_is_full)
        }
    };
    if asked && era == Era::V1 {
        return Err(InspectErrorKind::WinnerV1 {
            file: list.file.to_string(),
        }
        .into());
    }
    let (builder, winner_added) = match roots.with_winner {
        Some(builder) if asked => (builder, true),
        _ => (roots.plain, false),
    };
    let accounts = meta.accounts.unwrap_or(0) + u32::from(winner_added);
    if is_ledger_object {
        match list.loader {
            Loader::Daemon => {
                check_padding(&meta, accounts).map_err(|source| {
                    InspectErrorKind::LedgerObject {
                        file: list.file.to_string(),
                        source,
                    }
                })?;
            }
            Loader::Fork => {
                if let Err(error) = check_fork_shape(&meta) {
                    warnings.push(format!("upstream's fork tool refuses this ledger: {error}"));
                }
            }
        }
    }
    let root = ledger_hash(builder.finish());
    Ok(HashReport {
        version: 1,
        root,
        root_hex: root.field().to_le_hex(),
        era,
        depth,
        accounts,
        loader: list.loader.name(),
        winner_added,
        ignore_missing: list.ignore_missing,
        pad_app_state: list.pad_app_state,
        list: place.unwrap_or("none"),
        claimed_hash: meta.hash,
        warnings,
        source,
    })
}

/// A tree that has the genesis winner at index 0.
fn winner_root(era: Era, depth: u8) -> Result<RootBuilder, InspectError> {
    let winner = genesis_winner(&DaemonRules::released(era)).map_err(InspectErrorKind::Winner)?;
    let leaf = hash_account(era, &winner, &VkHashCache::new())
        .map_err(|error| InspectErrorKind::WinnerHash(error.into()))?;
    let mut builder = RootBuilder::new(era, depth);
    builder
        .push(leaf)
        .map_err(|error| InspectErrorKind::WinnerHash(error.into()))?;
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use clap::Parser;
    use fork_worker::OutputFormat;

    use super::*;
    use crate::args::{Command, InspectLedger};

    /// The report for a file with `content`, with the daemon loader.
    fn hash(era: &str, content: &str) -> HashReport {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        let path = file.path().to_str().unwrap();
        let line = ["x", "hash", "--era", era, "--loader", "daemon", path];
        let Command::Hash(args) = InspectLedger::parse_from(line).command else {
            panic!();
        };
        hash_list(&args, &Context::quiet(OutputFormat::Human)).unwrap()
    }

    #[test]
    fn one_account_roots_are_those_of_the_specification() {
        for (era, root) in [
            (
                "berkeley",
                "jwk6fL2EtPKkS6mj2Z1tdseSAuYFGhGyLx22Na2W4926hrgt982",
            ),
            (
                "mesa",
                "jxUe9iictzf3WQcerUPd2DQs5fV8Qf8QdbV1CevCho42UqVn8jC",
            ),
        ] {
            let list = format!(r#"[{{"pk": "{GENESIS_WINNER_KEY}", "balance": "0.000001"}}]"#);
            let report = hash(era, &list);
            assert_eq!(report.root.to_string(), root);
            assert_eq!(report.human().lines().next(), Some(root));
            assert!(!report.winner_added);
            let asked =
                format!(r#"{{"accounts": [], "add_genesis_winner": true, "hash": "{root}"}}"#);
            let report = hash(era, &asked);
            assert_eq!(report.root.to_string(), root);
            assert!(report.winner_added);
            assert!(report.human().contains("(the same)"));
        }
    }

    #[test]
    fn no_accounts_give_the_empty_tree() {
        let report = hash("mesa", "[]");
        let root = ledger_hash(RootBuilder::new(Era::Mesa, 35).finish());
        assert_eq!((report.root, report.accounts), (root, 0));
    }
}
