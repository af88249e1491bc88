//! The facts as Markdown.

use fork_worker::markdown::{Table, escaped};

use super::document::FactsDocument;

/// The facts as tables with headings.
pub(crate) fn tables(facts: &FactsDocument) -> Vec<(&'static str, Table)> {
    let mut all = Vec::new();
    if !facts.warnings.is_empty() {
        let mut warnings = Table::new(["WARNINGS"]);
        for warning in &facts.warnings {
            warnings.push(std::slice::from_ref(warning));
        }
        all.push(("Warnings", warnings));
    }
    all.push(("Fork", fork(facts)));
    let mut ledgers = Table::new([
        "ledger",
        "root before",
        "root after",
        "accounts",
        "tarball",
        "s3_data_hash",
    ]);
    for ledger in &facts.ledgers {
        ledgers.push(&[
            ledger.role.to_string(),
            ledger.root_before.to_string(),
            ledger.root_after.to_string(),
            format!("{} to {}", ledger.accounts_before, ledger.accounts_after),
            ledger.tarball.clone(),
            ledger.s3_data_hash.clone(),
        ]);
    }
    all.push(("Ledgers", ledgers));
    all.push(("Artefacts", artefacts(facts)));
    all
}

fn fork(facts: &FactsDocument) -> Table {
    let (block, genesis) = (&facts.fork_block, &facts.genesis);
    let mut table = Table::of_facts()
        .fact("network", &facts.network)
        .fact("rule", &facts.rule.name)
        .fact("fork block", block.state_hash)
        .fact("height", block.blockchain_length);
    if let Some(slot) = block.slot_since_hard_fork {
        table = table.fact("its slot since the last fork", slot);
    }
    if let Some(slot) = block.global_slot_since_genesis {
        table = table.fact("its slot since genesis", slot);
    }
    if let Some(slot) = genesis.slot_chain_end {
        table = table.fact("chain end, slot since the last fork", slot);
    }
    table = table
        .fact("new genesis", &genesis.timestamp)
        .fact("its slot since the last fork", genesis.slot_since_hard_fork)
        .fact("its slot since genesis", genesis.global_slot_since_genesis)
        .fact("staking seed", facts.seeds.staking)
        .fact("next seed", facts.seeds.next);
    for (name, value) in &facts.chain_id.inputs {
        table = table.fact(&format!("chain id input {name}"), value);
    }
    let chain_id = facts.chain_id.chain_id.as_deref();
    table.fact("chain id", chain_id.unwrap_or("some input is not known"))
}

fn artefacts(facts: &FactsDocument) -> Table {
    let mut table = Table::new(["artefact", "SHA-256 or digest"]);
    table.push(&["config".to_owned(), facts.config_sha256.clone()]);
    for package in &facts.packages {
        table.push(&[package.file.clone(), package.sha256.clone()]);
    }
    for image in &facts.images {
        table.push(&[format!("image {}", image.tag), image.digest.clone()]);
    }
    for report in &facts.verifications {
        let verdict = format!(
            "{} passed, {} failed, {} not run",
            report.passed,
            report.failed.len(),
            report.not_run
        );
        table.push(&[format!("verification of {}", report.subject), verdict]);
    }
    match &facts.manifest {
        None => table.push(&["manifest".to_owned(), "none".to_owned()]),
        Some(manifest) => {
            table.push(&["manifest".to_owned(), manifest.sha256.clone()]);
            for signer in &manifest.signatures {
                table.push(&["signed as (not verified here)".to_owned(), signer.clone()]);
            }
        }
    }
    table
}

/// The facts as a page of Markdown.
#[must_use]
pub fn markdown(facts: &FactsDocument) -> String {
    let mut text = format!("# Fork of {}\n", escaped(&facts.network));
    for (heading, table) in tables(facts) {
        text.push_str(&format!("\n## {heading}\n\n{}", table.to_markdown()));
    }
    text
}
