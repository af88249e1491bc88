//! What the pipeline's annotation says of a statement.

use fork_sign::Statement;
use fork_worker::markdown::Table;

use crate::manifest::Manifest;

/// The statement and its subjects. `signers` has the ids of the keys, or says what is known of them.
pub(crate) fn tables(
    statement: &Statement<Manifest>,
    sha256: &str,
    signatures: usize,
    signer: Option<&str>,
) -> [Table; 2] {
    let manifest = statement.predicate();
    let mut facts = Table::of_facts()
        .fact("statement, SHA-256", sha256)
        .fact("network", &manifest.network.name)
        .fact("signatures", signatures);
    if let Some(signer) = signer {
        facts = facts.fact("signed with", signer);
    }
    for done in &manifest.overrides {
        facts = facts.fact("override", done);
    }
    let mut subjects = Table::new(["subject", "SHA-256"]);
    for subject in statement.subjects() {
        let digest = subject.digest.get("sha256").cloned();
        subjects.push(&[subject.name.clone(), digest.unwrap_or_default()]);
    }
    [facts, subjects]
}
