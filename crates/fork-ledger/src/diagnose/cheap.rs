//! Hypotheses that follow from the leaves alone.

use fork_types::{Era, LedgerHash};
use pasta_poseidon::Fp;

use super::change::is_winner;
use super::run::{List, Run, winner};
use super::{DEPTHS, NamedRoot, Outcome};
use crate::merkle::{EmptyHashes, ledger_hash, node_hash};

impl Run<'_, '_> {
    /// What follows from the leaves alone.
    pub(super) fn cheap(&mut self, list: &List) {
        self.other_ledgers(ledger_hash(list.tree.root()));
        self.winners(list);
        self.orders(list);
        self.depths(list);
        let other = match self.question.reading.era {
            Era::V1 => return,
            Era::Berkeley => Era::Mesa,
            Era::Mesa => Era::Berkeley,
        };
        self.add_leaves(
            &format!("empty-leaf-{other}"),
            &format!("these accounts in a tree whose unused leaves are {other}'s"),
            "the expected root mixes two eras: no daemon gives it, make it again",
            other,
            [list.leaves()],
        );
    }

    fn other_ledgers(&mut self, given: LedgerHash) {
        for NamedRoot { name, root } in &self.question.known_roots {
            let outcome = Outcome::Root {
                root: *root,
                explains: *root == given,
            };
            self.add(
                &format!("list-is-{name}"),
                &format!("the list is the {name} ledger, whose root is not the expected one"),
                "two ledgers were swapped: take the list of the ledger that is meant",
                outcome,
            );
        }
        for NamedRoot { name, root } in &self.question.other_lists {
            let outcome = Outcome::Root {
                root: *root,
                explains: *root == self.question.expected,
            };
            self.add(
                &format!("expected-is-{name}"),
                &format!("the {name} ledger of the same document"),
                "two ledgers were swapped: take that list (--ledger), or correct the expectation",
                outcome,
            );
        }
    }

    fn winners(&mut self, list: &List) {
        let era = self.question.reading.era;
        let Some((_, leaf)) = winner(era) else {
            return;
        };
        let leaves = list.leaves();
        let present = list.keys.iter().position(is_winner);
        if let Some(index) = present {
            let (before, after) = leaves.split_at(index);
            let after = after.get(1..).unwrap_or_default();
            self.add_leaves(
                "extra-winner",
                &format!("the list without the genesis winner at index {index}"),
                "fork ledgers have no genesis winner: remove it, or read the list with --winner no",
                era,
                [before, after],
            );
        }
        if present != Some(0) {
            self.add_leaves(
                "missing-winner",
                "the list with the genesis winner in front",
                "set add_genesis_winner, or read the list with --loader daemon --winner yes",
                era,
                [&[leaf][..], leaves],
            );
            self.add_leaves(
                "missing-winner-at-end",
                "the list with the genesis winner behind it",
                "no daemon puts it there: the other side's list was put together by hand",
                era,
                [leaves, &[leaf][..]],
            );
        }
    }

    fn orders(&mut self, list: &List) {
        let era = self.question.reading.era;
        let leaves = list.leaves();
        let advice = "the order of the list is the order of the leaves: keep that of the export";
        let reversed: Vec<Fp> = leaves.iter().rev().copied().collect();
        let summary = "the list from its end to its beginning";
        self.add_leaves("reversed", summary, advice, era, [&reversed[..]]);
        drop(reversed);
        if let [first, rest @ ..] = leaves {
            let summary = "the list with its first account last";
            let parts = [rest, std::slice::from_ref(first)];
            self.add_leaves("rotated-left", summary, advice, era, parts);
        }
        if let [rest @ .., last] = leaves {
            let summary = "the list with its last account first";
            let parts = [std::slice::from_ref(last), rest];
            self.add_leaves("rotated-right", summary, advice, era, parts);
        }
        let mut order: Vec<usize> = (0..leaves.len().min(list.keys.len())).collect();
        // Base58 texts of one length sort as their bytes do.
        order.sort_by_key(|index| {
            let key = list.keys[*index];
            (*key.x().as_le_bytes(), key.is_odd())
        });
        let sorted: Vec<Fp> = order.iter().map(|index| leaves[*index]).collect();
        let summary = "the list sorted by public key";
        self.add_leaves("sorted", summary, advice, era, [&sorted[..]]);
        // Keys compare as numbers.
        order.sort_by_key(|index| list.keys[*index]);
        let sorted: Vec<Fp> = order.iter().map(|index| leaves[*index]).collect();
        let summary = "the list sorted by the number in the public key";
        self.add_leaves("sorted-by-number", summary, advice, era, [&sorted[..]]);
    }

    fn depths(&mut self, list: &List) {
        let (era, stated) = (list.tree.era(), list.tree.depth());
        let empty = EmptyHashes::new(era, u16::from(*DEPTHS.end()));
        let mut root = list.tree.root();
        for depth in DEPTHS {
            let has_room = depth >= 32 || list.tree.len() as u64 <= 1 << depth;
            if depth <= stated {
                root = list.tree.node(depth, 0).unwrap_or(root);
            } else if let Some(right) = empty.get(u16::from(depth - 1)) {
                root = node_hash(era, u16::from(depth - 1), root, right);
                self.permutations += 1;
            }
            if has_room && depth != stated {
                self.add_root(
                    &format!("depth-{depth}"),
                    &format!("these accounts in a tree of depth {depth}"),
                    &format!("give --depth {depth}, or build for a network of depth {stated}"),
                    root,
                );
            }
        }
    }
}
