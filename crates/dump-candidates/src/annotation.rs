//! What the pipeline's annotation says of a candidate.

use fork_types::Role;
use fork_types::document::Candidate;
use fork_worker::markdown::Table;

use crate::list::ListDocument;

/// What is stored, with whole state hashes: a human chooses by this table.
pub(crate) fn stored(document: &ListDocument) -> Table {
    let shown = |value: Option<String>| value.unwrap_or_else(|| "not known".to_owned());
    let mut table = Table::new([
        "rule",
        "height",
        "slot",
        "state hash",
        "branch",
        "verified",
        "on the best chain of",
        "genesis ledger",
    ]);
    for candidate in &document.candidates {
        let is_chosen = candidate.is_leading && document.outcome == Some("chosen");
        let rule = match (candidate.is_leading, is_chosen) {
            (_, true) => "chosen",
            (true, false) => "so far",
            (false, false) => "",
        };
        let genesis = candidate
            .ledgers
            .iter()
            .find(|ledger| ledger.role == Role::Genesis);
        let root = genesis.and_then(|ledger| ledger.root);
        table = table.row([
            rule.to_owned(),
            candidate.blockchain_length.to_string(),
            shown(candidate.slot_since_hard_fork.map(|slot| slot.to_string())),
            candidate.state_hash.to_string(),
            shown(candidate.branch.clone()),
            if candidate.verified { "yes" } else { "NO" }.to_owned(),
            candidate.daemons.join(", "),
            shown(root.map(|root| root.to_string())),
        ]);
    }
    table
}

/// The fork block and its ledgers.
pub(crate) fn table(candidate: &Candidate) -> Table {
    let block = &candidate.fork_block;
    let mut table = Table::of_facts()
        .fact("network", &candidate.network)
        .fact("fork block", block.state_hash)
        .fact("height", block.blockchain_length);
    if let Some(slot) = block.slot_since_hard_fork {
        table = table.fact("slot since the last hard fork", slot);
    }
    for role in Role::ALL {
        let ledger = candidate.ledger(role);
        let claimed = ledger.claimed_root.as_ref().map(|claim| claim.root);
        let root = ledger.computed_root.or(claimed);
        let root = root.map_or_else(|| "root not known".to_owned(), |root| root.to_string());
        let accounts = ledger.accounts;
        table = table.fact(
            &format!("{role} ledger"),
            format!("{root}, {accounts} accounts"),
        );
    }
    table = table
        .fact("staking seed", candidate.seeds.staking)
        .fact("next seed", candidate.seeds.next);
    for warning in &candidate.warnings {
        table = table.fact("warning", warning);
    }
    table
}
