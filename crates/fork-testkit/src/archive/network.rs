//! The network that made-up archives are of.

use fork_types::Era;
use serde_json::json;

/// Slot since the last hard fork at which the chain takes no more transactions.
pub const SLOT_TX_END: u32 = 60;
/// Slot at which it ends.
pub const SLOT_CHAIN_END: u32 = 70;
/// Slots from there to the new genesis.
pub const GENESIS_SLOT_DELTA: u32 = 10;
/// Slots of an epoch.
pub(super) const SLOTS_PER_EPOCH: u32 = 15;
/// Time of the genesis block.
const GENESIS: &str = "2024-06-05T00:00:00Z";

/// The network file of a chain of this era.
#[must_use]
pub fn network_file(era: Era) -> String {
    format!(
        "name = \"made-up\"\nnetwork_id = \"made-up\"\nsource_era = \"{era}\"\n\
         target_era = \"mesa\"\n[chain]\nera = \"{era}\"\nslot_ms = 180000\n\
         genesis_state_timestamp = \"{GENESIS}\"\nfork_global_slot = 0\nk = 290\n\
         delta = 0\nslots_per_epoch = {SLOTS_PER_EPOCH}\nslots_per_sub_window = 7\n\
         grace_period_slots = 2\ntxpool_max_size = 3000\n[stop]\nslot_tx_end = {SLOT_TX_END}\n\
         slot_chain_end = {SLOT_CHAIN_END}\nhard_fork_genesis_slot_delta = {GENESIS_SLOT_DELTA}\n\
         [target]\nslot_ms = 90000\ntransaction_version = 4\n"
    )
}

/// The config that the daemons of that chain run with.
#[must_use]
pub fn prefork_config() -> String {
    let config = json!({
        "daemon": {
            "hard_fork_genesis_slot_delta": GENESIS_SLOT_DELTA,
            "network_id": "made-up",
            "slot_chain_end": SLOT_CHAIN_END,
            "slot_tx_end": SLOT_TX_END,
        },
        "genesis": {
            "delta": 0,
            "genesis_state_timestamp": GENESIS,
            "grace_period_slots": 2,
            "k": 290,
            "slots_per_epoch": SLOTS_PER_EPOCH,
            "slots_per_sub_window": 7,
        },
        "proof": { "block_window_duration_ms": 180_000 },
    });
    format!("{config:#}\n")
}
