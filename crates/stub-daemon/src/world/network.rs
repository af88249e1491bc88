//! The files that describe the chain.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::World;

/// Commands a node keeps waiting.
const TXPOOL_MAX_SIZE: u32 = 3000;

impl World {
    /// The network file of the chain, for forkpack's `--network FILE`.
    #[must_use]
    pub fn network_toml(&self) -> String {
        let network = &self.scenario.network;
        let identity = &self.identity;
        let name = &network.name;
        let era = network.era;
        let mut text = format!(
            "# Made up by stub-daemon.\n\
             name = {quoted}\n\
             network_id = {quoted}\n\
             source_era = \"{era}\"\n\
             target_era = \"{target}\"\n\
             \n\
             [chain]\n\
             era = \"{era}\"\n\
             slot_ms = {slot_ms}\n\
             genesis_state_timestamp = \"{genesis}\"\n\
             fork_global_slot = {fork_slot}\n\
             genesis_state_hash = \"{state_hash}\"\n\
             genesis_ledger_hash = \"{ledger_hash}\"\n\
             k = {k}\n\
             delta = {delta}\n\
             slots_per_epoch = {slots_per_epoch}\n\
             slots_per_sub_window = {slots_per_sub_window}\n\
             grace_period_slots = {grace_period_slots}\n\
             txpool_max_size = {TXPOOL_MAX_SIZE}\n\
             \n\
             [stop]\n",
            quoted = Value::from(name.as_str()),
            target = network.target_era,
            slot_ms = network.slot_ms,
            genesis = network.genesis_timestamp,
            fork_slot = network.fork_global_slot,
            state_hash = identity.genesis_state_hash,
            ledger_hash = identity.genesis_ledger_hash,
            k = network.k,
            delta = network.delta,
            slots_per_epoch = network.slots_per_epoch,
            slots_per_sub_window = network.slots_per_sub_window,
            grace_period_slots = network.grace_period_slots,
        );
        for (member, slot) in self.stop_slots() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{member} = {slot}");
        }
        let _ = write!(
            text,
            "\n[target]\nslot_ms = {}\ntransaction_version = {}\n",
            network.target_slot_ms,
            network.target_era.txn_version(),
        );
        text
    }

    /// The config the chain's daemons run with, stop slots included: what `runtimeConfig` answers.
    #[must_use]
    pub fn prefork_config(&self) -> Value {
        let network = &self.scenario.network;
        let mut daemon = Map::new();
        daemon.insert("network_id".to_owned(), json!(network.name));
        for (member, slot) in self.stop_slots() {
            daemon.insert(member.to_owned(), json!(slot));
        }
        json!({
            "daemon": daemon,
            "genesis": {
                "k": network.k,
                "delta": network.delta,
                "slots_per_epoch": network.slots_per_epoch,
                "slots_per_sub_window": network.slots_per_sub_window,
                "grace_period_slots": network.grace_period_slots,
                "genesis_state_timestamp": network.genesis_timestamp.to_string(),
            },
            "proof": {
                "block_window_duration_ms": network.slot_ms,
                "fork": {
                    "state_hash": self.identity.old_fork_state_hash,
                    "blockchain_length": network.fork_blockchain_length,
                    "global_slot_since_genesis": network.fork_global_slot,
                },
            },
            "ledger": {
                "add_genesis_winner": false,
                "hash": self.identity.genesis_ledger_hash,
            },
        })
    }

    fn stop_slots(&self) -> impl Iterator<Item = (&'static str, u32)> {
        let network = &self.scenario.network;
        [
            ("slot_tx_end", network.slot_tx_end),
            ("slot_chain_end", network.slot_chain_end),
            ("hard_fork_genesis_slot_delta", network.genesis_slot_delta),
        ]
        .into_iter()
        .filter_map(|(member, slot)| slot.map(|slot| (member, slot)))
    }
}
