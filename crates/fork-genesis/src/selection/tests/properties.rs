//! What must hold for any tree of blocks and any daemons.

use proptest::prelude::*;

use super::*;

/// A tree and the daemons that look at it.
#[derive(Clone, Debug)]
struct World {
    views: Vec<DaemonView>,
    stored: Vec<StoredBlock>,
    rule: SelectionRule,
}

/// Blocks by (parent among the earlier ones, slots after it, commands after `slot_tx_end`).
fn blocks(plan: &[(prop::sample::Index, u32, bool)]) -> Vec<SeenBlock> {
    let mut all = vec![block(1, 0, 1, 80)];
    for ((parent, step, is_filled), number) in plan.iter().zip(2..) {
        // Mostly on a recent block, so that chains grow past the fork point.
        let recent = all.len().saturating_sub(3);
        let parent = &all[recent + parent.index(all.len() - recent)];
        let slot = parent.slot_since_hard_fork.get() + step;
        let mut next = block(number, 0, parent.blockchain_length + 1, slot);
        next.previous_state_hash = parent.state_hash;
        if *is_filled {
            next.commands = 1;
        }
        all.push(next);
    }
    all
}

fn worlds() -> impl Strategy<Value = World> {
    let plan = prop::collection::vec(
        (
            any::<prop::sample::Index>(),
            1..7_u32,
            prop::bool::weighted(0.02),
        ),
        4..16,
    );
    let daemon = (
        any::<prop::sample::Index>(),
        prop::bool::weighted(0.9),
        prop::option::weighted(0.95, prop_oneof![4 => 120..125_u32, 1 => 90..120_u32]),
    );
    let daemons = prop::collection::vec(daemon, 1..6);
    (plan, daemons, 0..4_u32, 1..4_u32, any::<u64>()).prop_map(
        |(plan, daemons, confirmations, quorum, kept)| {
            let all = blocks(&plan);
            let views = daemons
                .iter()
                .zip('a'..)
                .map(|((tip, is_synced, clock), name)| {
                    let mut view = view(&name.to_string(), &all);
                    // Most look at one of the newest blocks.
                    let newest = all.len().saturating_sub(4);
                    let tip = &all[newest + tip.index(all.len() - newest)];
                    view.tip = Some(tip.state_hash);
                    view.clock_slot = clock.map(SlotSinceHardFork::new);
                    if !is_synced {
                        view.sync_status = "CATCHUP".to_owned();
                    }
                    view
                });
            let mut stored: Vec<StoredBlock> = all
                .iter()
                .map(|block| StoredBlock {
                    state_hash: block.state_hash,
                    blockchain_length: block.blockchain_length,
                    slot_since_hard_fork: Some(block.slot_since_hard_fork),
                    unusable: None,
                })
                .collect();
            // Three of four are stored.
            stored.retain(|block| {
                let number = block.blockchain_length;
                (kept >> (number % 32)) & 1 == 1 || (kept >> (number % 32 + 32)) & 1 == 1
            });
            World {
                views: views.collect(),
                stored,
                rule: SelectionRule {
                    confirmations,
                    quorum,
                    ..RULE
                },
            }
        },
    )
}

impl World {
    fn select(&self) -> Selection {
        select("devnet", &self.rule, &self.views, &self.stored, None)
    }

    /// The rule by counting: every chain begins with the block of height 1, so its length is its
    /// height, and all of it was seen.
    fn expected(&self) -> Option<StateHash> {
        let [fork] = self.forks().into_iter().collect::<Vec<_>>()[..] else {
            return None;
        };
        let chains = self.chains();
        let top = chains.iter().map(Vec::len).max()?;
        for chain in chains.iter().filter(|chain| chain.len() == top) {
            let (above, rest): (Vec<&SeenBlock>, Vec<&SeenBlock>) = chain
                .iter()
                .partition(|block| block.slot_since_hard_fork >= RULE.slot_tx_end);
            let is_good = rest[0].state_hash == fork
                && above.len() >= self.rule.confirmations as usize
                && above.iter().all(|block| block.is_empty())
                && above
                    .iter()
                    .all(|block| block.slot_since_hard_fork < RULE.slot_chain_end);
            if !is_good {
                return None;
            }
        }
        let having = chains
            .iter()
            .filter(|chain| chain.iter().any(|block| block.state_hash == fork));
        let over = self.views.iter().filter(|view| {
            view.sync_status == "SYNCED" && view.clock_slot >= Some(RULE.slot_chain_end)
        });
        let is_stored = self.stored.iter().any(|block| block.state_hash == fork);
        let quorum = self.rule.quorum as usize;
        (having.count() >= quorum && over.count() >= quorum && is_stored).then_some(fork)
    }

    /// The last blocks below `slot_tx_end` of the highest chains.
    fn forks(&self) -> BTreeSet<StateHash> {
        let chains = self.chains();
        let top = chains.iter().map(Vec::len).max();
        let highest = chains.iter().filter(|chain| Some(chain.len()) == top);
        highest
            .filter_map(|chain| {
                chain
                    .iter()
                    .find(|block| block.slot_since_hard_fork < RULE.slot_tx_end)
            })
            .map(|block| block.state_hash)
            .collect()
    }

    fn chains(&self) -> Vec<Vec<&SeenBlock>> {
        let synced = self
            .views
            .iter()
            .filter(|view| view.sync_status == "SYNCED");
        synced.map(|view| view.best_chain().collect()).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_order_of_views_and_store_plays_no_part(
        (world, shuffled) in worlds().prop_flat_map(|world| {
            let views = Just(world.views.clone()).prop_shuffle();
            let stored = Just(world.stored.clone()).prop_shuffle();
            let rule = world.rule;
            let shuffled = (views, stored).prop_map(move |(views, stored)| World { views, stored, rule });
            (Just(world), shuffled)
        })
    ) {
        prop_assert_eq!(world.select(), shuffled.select());
    }

    #[test]
    fn the_choice_is_the_one_of_the_rule_said_in_other_words(world in worlds()) {
        let selection = world.select();
        let chosen = selection.document.chosen.as_ref();
        prop_assert_eq!(chosen.map(|chosen| chosen.state_hash), world.expected());
        prop_assert_eq!(chosen.is_some(), selection.outcome == Outcome::Chosen);
        prop_assert_eq!(chosen.is_some(), selection.document.problems.is_empty());
        if let Some(chosen) = chosen {
            let top = world.chains().iter().map(Vec::len).max().unwrap();
            prop_assert_eq!(chosen.confirmations, u32::try_from(top).unwrap() - chosen.blockchain_length);
            prop_assert!(chosen.confirmations >= world.rule.confirmations);
            prop_assert!(chosen.daemons.len() >= world.rule.quorum as usize);
        }
    }

    #[test]
    fn more_daemons_that_agree_change_no_choice(world in worlds(), like in any::<prop::sample::Index>()) {
        let before = world.select();
        let Some(chosen) = before.document.chosen else { return Ok(()) };
        let having: Vec<_> = world.views.iter().filter(|view| chosen.daemons.contains(&view.name)).collect();
        let mut more = world.clone();
        let mut another = having[like.index(having.len())].clone();
        another.name = "zz".to_owned();
        more.views.push(another);
        let after = more.select();
        prop_assert_eq!(after.outcome, Outcome::Chosen);
        prop_assert_eq!(after.document.chosen.unwrap().state_hash, chosen.state_hash);
    }

    #[test]
    fn every_rejected_block_has_a_reason_and_the_chosen_one_none(
        world in worlds(),
        wanted in prop::option::of(1..16_u64),
    ) {
        let wanted = wanted.map(hash);
        let selection = select("devnet", &world.rule, &world.views, &world.stored, wanted);
        let document = &selection.document;
        let chosen = document.chosen.as_ref().map(|chosen| chosen.state_hash);
        for one in &document.candidates {
            let is_chosen = chosen == Some(one.state_hash);
            prop_assert_eq!(one.rejected_because.is_empty(), is_chosen, "{:?}", one);
        }
        if let Some(chosen) = &document.chosen {
            prop_assert!(document.candidates.iter().any(|one| one.state_hash == chosen.state_hash && one.is_stored));
            let is_override = chosen.by == ChosenBy::HumanOverride;
            prop_assert_eq!(is_override, !document.problems.is_empty());
        }
    }

    #[test]
    fn a_tie_never_chooses(world in worlds()) {
        if world.forks().len() > 1 {
            let selection = world.select();
            prop_assert_eq!(selection.document.chosen, None);
            prop_assert_eq!(selection.leading, None);
        }
    }
}

/// The strategies above are worth nothing if they never lead to a choice, or always do.
#[test]
fn the_worlds_are_of_every_kind() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut counts = [0_u32; 3];
    for _ in 0..2000 {
        let world = worlds().new_tree(&mut runner).unwrap().current();
        counts[world.select().outcome as usize] += 1;
    }
    assert!(counts.iter().all(|count| *count > 100), "{counts:?}");
}
