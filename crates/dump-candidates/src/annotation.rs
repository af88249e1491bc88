//! What the pipeline's annotation says of a candidate.

use fork_types::Role;
use fork_types::document::Candidate;
use fork_worker::markdown::Table;

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
