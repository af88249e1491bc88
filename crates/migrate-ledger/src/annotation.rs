//! What the pipeline's annotation says of migrated ledgers.

use fork_types::document::LedgerDocument;
use fork_worker::markdown::Table;

/// Roots, counts and digests, a row a ledger.
pub(crate) fn table(documents: &[LedgerDocument]) -> Table {
    let mut table = Table::new([
        "role",
        "accounts",
        "source root",
        "migrated root",
        "tarball",
        "s3_data_hash",
        "rule",
    ]);
    for document in documents {
        let compared = if document.source.verified {
            ""
        } else {
            " (compared with nothing)"
        };
        table.push(&[
            document.role.to_string(),
            document.target.accounts.to_string(),
            format!("{}{compared}", document.source.root),
            document.target.root.to_string(),
            document.tarball.file.name.clone(),
            document.tarball.s3_data_hash.clone(),
            document.rule.name.clone(),
        ]);
    }
    table
}
