//! Seeds, roots and sums of the three ledgers.

use fork_types::Role;

use super::report::Report;
use super::{BY_ACCOUNTS, BY_BLOCK, Evidence, index};

/// Seeds are copied from the block, never derived.
pub(super) fn seeds(evidence: &Evidence<'_>, report: &mut Report) {
    let block = evidence
        .block
        .map(|block| [block.staking_epoch.seed, block.next_epoch.seed]);
    let import = evidence.import.map(|import| (import.seeds(), import.by()));
    for (position, role) in [Role::Staking, Role::Next].into_iter().enumerate() {
        let id = format!("seed.{role}");
        match (block, import) {
            (Some(block), Some((import, by))) => report.same(
                &id,
                &format!("seed of the {role} epoch"),
                (block[position], BY_BLOCK),
                (import[position], by),
            ),
            (None, _) => report.not_run(&id, "no block was given"),
            (_, None) => report.not_run(&id, "no export with seeds was given"),
        }
    }
}

/// Roots before migration: the block's, the expected ones, the export's claims and the computed
/// ones. Each is compared with the first of them that is known.
pub(super) fn roots(evidence: &Evidence<'_>, report: &mut Report) {
    for role in Role::ALL {
        let what = format!("root of the {role} ledger before migration");
        let block = evidence.block_root(role);
        if let (Some(block), Some(expected)) =
            (block, evidence.expected_roots[index(role)].as_ref())
        {
            report.same(
                &format!("root.{role}.expected"),
                &what,
                (expected.value, expected.by.as_str()),
                (block, BY_BLOCK),
            );
        }
        let best = evidence.claimed_root(role);
        let claimed = evidence.import.and_then(|import| {
            // An absent next epoch has no claim of its own; that it equals staking is the claim.
            Some((import.ledger(role).claimed_root?, import.by()))
        });
        let id = format!("root.{role}.claimed");
        match (&best, claimed) {
            (Some(best), Some(claimed)) if best.by != claimed.1 => {
                report.same(&id, &what, (best.root, best.by.as_str()), claimed);
            }
            (_, Some(_)) => report.not_run(&id, "nothing else names the root of this ledger"),
            (_, None) => report.not_run(&id, "no export claims a root for this ledger"),
        }
        let id = format!("root.{role}.computed");
        match (&best, evidence.computed[index(role)].root) {
            (Some(best), Some(computed)) => {
                report.same(
                    &id,
                    &what,
                    (best.root, best.by.as_str()),
                    (computed, BY_ACCOUNTS),
                );
            }
            (None, _) => report.not_run(&id, "nobody names the root of this ledger"),
            (_, None) => report.not_run(&id, "the root was not computed from the accounts"),
        }
    }
    absent_next(evidence, report);
}

/// Without a next epoch in the export, the block's two epochs must be equal.
fn absent_next(evidence: &Evidence<'_>, report: &mut Report) {
    let absent = evidence.import.is_some_and(|import| {
        std::ptr::eq(import.ledger(Role::Next), import.ledger(Role::Staking))
    });
    let (Some(block), true) = (evidence.block, absent) else {
        return;
    };
    report.same(
        "root.next.absent",
        "root of the next ledger, which the export takes from the staking ledger",
        (block.next_epoch.ledger_hash, "block (next epoch)"),
        (block.staking_epoch.ledger_hash, "block (staking epoch)"),
    );
}

/// Sums of the epoch ledgers. Equality was verified on one ledger only, so a difference is a
/// warning. The staged ledger has no counterpart in the block: its `total_currency` belongs to the
/// snarked ledger.
pub(super) fn currency(evidence: &Evidence<'_>, report: &mut Report) {
    for role in [Role::Staking, Role::Next] {
        let id = format!("currency.{role}");
        let block = evidence.block.map(|block| match role {
            Role::Next => block.next_epoch.total_currency,
            Role::Genesis | Role::Staking => block.staking_epoch.total_currency,
        });
        match (block, evidence.computed[index(role)].total_balance) {
            (Some(block), Some(sum)) if block == sum => {
                report.passed(
                    &id,
                    format_args!("{sum} MINA in the block and in the accounts"),
                );
            }
            (Some(block), Some(sum)) => {
                let text = format!(
                    "the accounts of the {role} ledger hold {sum} MINA of the default token, the \
                     block says {block}"
                );
                report.warnings.push(text.clone());
                report.not_run(&id, format_args!("only a warning: {text}"));
            }
            (None, _) => report.not_run(&id, "no block was given"),
            (_, None) => report.not_run(&id, "the balances were not summed"),
        }
    }
}
