use fork_genesis::config::PreforkConfig;

use super::*;
use crate::scenario::SyncState;

fn planned(edit: impl Fn(&str) -> String) -> World {
    let text = edit(include_str!("../../scenarios/planned-fork.toml"))
        .replace("accounts = 1000", "accounts = 40");
    let scenario = Scenario::from_toml(&text).unwrap();
    World::build(&scenario, tempfile::tempdir().unwrap().path()).unwrap()
}

fn world() -> World {
    planned(str::to_owned)
}

#[test]
fn blocks_are_a_chain_and_agree_with_themselves() {
    let world = world();
    let mut hashes = std::collections::HashSet::new();
    for block in world.blocks() {
        assert_eq!(block.block.problems(Some(180_000)), []);
        assert_eq!(block.block.facts(), block.facts);
        assert!(hashes.insert(block.state_hash()));
        if let Some(parent) = block.parent {
            let parent = &world.blocks()[parent];
            assert_eq!(block.facts.previous_state_hash, parent.state_hash());
            assert_eq!(block.height(), parent.height() + 1);
            let same = parent.facts.staged_ledger_hash == block.facts.staged_ledger_hash;
            assert_eq!(same, block.slot() >= 393_800, "{}", block.slot());
        }
        assert_eq!(
            block.facts.genesis_state_hash,
            world.genesis_block().state_hash()
        );
    }
}

/// The trees are updated along the branches; here each is made anew.
#[test]
fn staged_ledgers_have_the_root_of_their_accounts() {
    let world = world();
    for number in 0..world.blocks().len() {
        let gains = world.gains(number);
        let changed = gains.keys().copied().collect();
        let first = world.ledgers.first_tree();
        let tree = world.ledgers.tree_with(first, &changed, &gains).unwrap();
        let expected = world.blocks()[number].facts.staged_ledger_hash;
        assert_eq!(ledger_hash(tree.root()), expected, "block {number}");
    }
}

#[test]
fn without_changes_all_blocks_share_a_ledger() {
    let world = planned(|text| text.replace("changes_per_block = 2", "changes_per_block = 0"));
    let first = world.blocks()[0].facts.staged_ledger_hash;
    let shared = |block: &WorldBlock| block.facts.staged_ledger_hash == first;
    assert!(world.blocks().iter().all(shared));
}

#[test]
fn the_files_describe_the_chain() {
    let world = world();
    let network = Network::from_toml(&world.network_toml()).unwrap();
    assert_eq!(network.name, "rehearsal");
    assert_eq!(network.stop.slot_tx_end.unwrap().get(), 393_800);
    assert_eq!(
        network.chain.genesis_state_hash,
        Some(world.genesis_block().state_hash())
    );
    let config = world.prefork_config().to_string();
    let prefork = PreforkConfig::from_json(config.as_bytes()).unwrap();
    assert_eq!(prefork.network_id.as_deref(), Some("rehearsal"));
    assert_eq!(prefork.fork_slot().get(), 564_480);
}

fn slots(world: &World, blocks: &[usize]) -> Vec<u32> {
    blocks
        .iter()
        .map(|block| world.blocks()[*block].slot())
        .collect()
}

#[test]
fn daemons_follow_their_branches() {
    let world = world();
    let tip = |daemon, slot| {
        let view = world.view(daemon, slot);
        (view.state, view.tip().map(|tip| world.blocks()[tip].slot()))
    };
    assert_eq!(tip(0, 393_780), (SyncState::Synced, Some(393_780)));
    assert_eq!(tip(0, 393_781), (SyncState::Synced, Some(393_780)));
    assert_eq!(tip(0, 400_000), (SyncState::Synced, Some(393_815)));
    assert_eq!(tip(0, 5), (SyncState::Bootstrap, None));
    assert_eq!(tip(1, 393_798), (SyncState::Synced, Some(393_798)));
    assert_eq!(tip(1, 393_799), (SyncState::Synced, Some(393_799)));
    assert_eq!(tip(1, 393_806), (SyncState::Synced, Some(393_805)));
    assert_eq!(tip(2, 393_790), (SyncState::Bootstrap, None));
    // Catching up shows what there was at its beginning, and a lag shows blocks late.
    assert_eq!(tip(2, 393_794), (SyncState::Catchup, Some(393_790)));
    assert_eq!(tip(2, 393_796), (SyncState::Synced, Some(393_794)));
}

#[test]
fn the_fork_block_is_the_last_one_before_the_end_of_transactions() {
    let world = world();
    let fork_block = |daemon, slot| {
        let view = world.view(daemon, slot);
        world
            .default_fork_block(&view)
            .map(|block| world.blocks()[block].slot())
    };
    assert_eq!(fork_block(0, 393_790), Some(393_790));
    assert_eq!(fork_block(0, 393_815), Some(393_798));
    assert_eq!(fork_block(1, 393_803), Some(393_799));
    assert_eq!(fork_block(1, 393_806), Some(393_798));
    assert_eq!(fork_block(2, 393_785), None);
}

#[test]
fn a_given_up_branch_stays_in_the_frontier_for_k_blocks() {
    let world = world();
    let view = world.view(1, 393_815);
    assert_eq!(slots(&world, &view.others), [393_799, 393_802]);
    let side = world.block_in_slot("side", 393_799).unwrap();
    let hash = world.blocks()[side].state_hash();
    assert_eq!(world.with_state_hash(&view, hash), Some(side));
    assert_eq!(world.with_state_hash(&world.view(0, 393_815), hash), None);
    // With k = 3 the root is later than the fork of the branches.
    let world = planned(|text| text.replace("seed = 7", "seed = 7\nk = 3"));
    let view = world.view(1, 393_815);
    assert_eq!(
        slots(&world, &view.chain),
        [393_809, 393_811, 393_813, 393_815]
    );
    assert!(view.others.is_empty());
    assert_eq!(world.at_height(&view, 548_100), None);
}

#[test]
fn offered_are_the_blocks_of_all_best_chains() {
    let world = world();
    assert_eq!(world.offered(0).len(), 28);
    assert_eq!(world.offered(1).len(), 30);
    let short = planned(|text| text.replace("from = 393806, branch", "from = 393800, branch"));
    // The second block of the side branch comes when it is no longer followed.
    assert_eq!(short.offered(1).len(), 29);
}

#[test]
fn accounts_have_a_path_to_the_root() {
    use fork_ledger::merkle::root_of_path;
    let world = world();
    let block = world.block_in_slot("main", 393_798).unwrap();
    let changed = *world.blocks()[block].changed.first().unwrap();
    let accounts = fork_testkit::fixture::Accounts::new(&fixture_spec(world.scenario())).unwrap();
    let first = accounts.account(fork_types::Role::Genesis, changed);
    let leaf = world
        .find_account(block, &first.public_key, first.token_id)
        .unwrap()
        .unwrap();
    assert!(leaf.account.balance.nanomina() > first.balance.nanomina());
    let keys = fork_ledger::verification_key::VkHashCache::new();
    let hash =
        fork_ledger::hash::hash_account(fork_types::Era::Berkeley, &leaf.account, &keys).unwrap();
    assert_eq!(fork_ledger::packing::field_bytes(hash), leaf.hash);
    // The same way up through the tree, whose path is checked by its own tests.
    let gains = world.gains(block);
    let tree = world
        .ledgers
        .tree_with(
            world.ledgers.first_tree(),
            &gains.keys().copied().collect(),
            &gains,
        )
        .unwrap();
    let path = tree.path(u64::from(leaf.index)).unwrap();
    let bytes: Vec<_> = path
        .iter()
        .map(|node| fork_ledger::packing::field_bytes(*node))
        .collect();
    assert_eq!(bytes, leaf.path);
    let root = root_of_path(
        fork_types::Era::Berkeley,
        hash,
        u64::from(leaf.index),
        &path,
    );
    assert_eq!(
        ledger_hash(root),
        world.blocks()[block].facts.staged_ledger_hash
    );
}

#[test]
fn the_cache_goes_with_the_world() {
    let scenario = Scenario::from_toml(include_str!("../../scenarios/faults.toml")).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let world = World::build(&scenario, cache.path()).unwrap();
    assert_eq!(fork_fs::sorted_names(cache.path()).unwrap().len(), 1);
    drop(world);
    assert_eq!(fork_fs::sorted_names(cache.path()).unwrap().len(), 0);
}
