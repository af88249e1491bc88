//! What a run says: `ledger.json`, and the summary on the terminal.

use std::path::Path;

use fork_ledger::migrate::{Audit, Rule};
use fork_types::document::{AuditCounts, LedgerDocument, RuleRef, StoreProofKind};

pub(crate) fn rule_ref(rule: Rule, variant: Option<&str>) -> RuleRef {
    RuleRef {
        name: rule.name().to_owned(),
        from: rule.source(),
        to: rule.target(),
        fork_slot: rule.fork_slot(),
        variant: rule
            .name()
            .split_once('/')
            .map(|(_, name)| name)
            .or(variant)
            .map(str::to_owned),
    }
}

pub(crate) fn audit_counts(audit: &Audit, timed: u64, accounts: u32) -> AuditCounts {
    // No count exceeds the number of accounts, which fits.
    let count = |value: u64| u32::try_from(value).unwrap_or(accounts);
    AuditCounts {
        accounts,
        timed: count(timed),
        zkapps: count(audit.zkapps),
        timed_changed: count(audit.timed_changed),
        untimed_changed: count(audit.untimed_changed),
        padded_zkapps: count(audit.padded_zkapps),
        total_balance_before_nanomina: audit.before.default_token.to_string(),
        total_balance_after_nanomina: audit.after.default_token.to_string(),
    }
}

pub(crate) fn summary(document: &LedgerDocument, output: &Path) -> String {
    let LedgerDocument {
        role,
        rule,
        source,
        target,
        audit,
        tarball,
        ..
    } = document;
    let slot = rule
        .fork_slot
        .map_or(String::new(), |slot| format!(", fork slot {slot}"));
    let verified = source.claimed_root.as_ref().map_or_else(
        || "NOT VERIFIED: nothing claims a root for it".to_owned(),
        |claimed| {
            let by = &claimed.by;
            if source.root_computed {
                format!("verified against the claim by {by}")
            } else {
                format!("verified against the claim by {by} when the candidate was made")
            }
        },
    );
    let proof = match target.proof {
        StoreProofKind::Log => "every entry of the store read back and compared",
        StoreProofKind::Rocksdb => "recomputed from the reopened store",
    };
    let nanomina = |text: &str| {
        text.parse::<u64>().map_or_else(
            |_| text.to_owned(),
            |nanomina| fork_types::Amount::from_nanomina(nanomina).to_string(),
        )
    };
    format!(
        "{role} ledger, {accounts} accounts\n\
         rule          {rule}{slot}\n\
         source root   {source_root} ({verified})\n\
         migrated root {target_root} ({proof})\n\
         audit         {timed} timed ({timed_changed} rescheduled), {untimed_changed} untimed became timed, {zkapps} zkApps ({padded} padded)\n\
         supply        {before} MINA before, {after} MINA after\n\
         tarball       {tarball}\n\
         s3_data_hash  {sha3}\n\
         content       {content}\n\
         written to    {output}\n",
        accounts = audit.accounts,
        rule = rule.name,
        source_root = source.root,
        target_root = target.root,
        timed = audit.timed,
        timed_changed = audit.timed_changed,
        untimed_changed = audit.untimed_changed,
        zkapps = audit.zkapps,
        padded = audit.padded_zkapps,
        before = nanomina(&audit.total_balance_before_nanomina),
        after = nanomina(&audit.total_balance_after_nanomina),
        tarball = tarball.file.name,
        sha3 = tarball.s3_data_hash,
        content = tarball.content_sha256,
        output = output.display(),
    )
}
