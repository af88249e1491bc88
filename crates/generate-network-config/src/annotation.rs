//! What the pipeline's annotation says of a config.

use fork_types::document::NetworkDocument;
use fork_worker::markdown::Table;

/// The new genesis, the ledgers the config names, and what goes into the chain id.
pub(crate) fn table(document: &NetworkDocument) -> Table {
    let fork = &document.fork;
    let mut table = Table::of_facts()
        .fact("network", &document.network)
        .fact("fork block", fork.state_hash)
        .fact("height", fork.blockchain_length)
        .fact("genesis", &fork.genesis_state_timestamp)
        .fact("slot since genesis", fork.global_slot_since_genesis)
        .fact("slot since the last hard fork", fork.slot_since_hard_fork);
    for line in &document.derivation {
        table = table.fact("derivation", line);
    }
    for ledger in &document.ledgers {
        table = table.fact(
            &format!("{} ledger", ledger.role),
            format!("{} in {}", ledger.hash, ledger.tarball),
        );
    }
    for (name, value) in &document.chain_id.inputs {
        table = table.fact(&format!("chain id input {name}"), value);
    }
    let chain_id = document.chain_id.chain_id.as_deref();
    table = table.fact("chain id", chain_id.unwrap_or("some input is not known"));
    for warning in &document.warnings {
        table = table.fact("warning", warning);
    }
    table.fact("config, SHA-256", &document.config.sha256)
}
