//! What the pipeline's annotation says of a package.

use fork_types::document::DebDocument;
use fork_worker::markdown::Table;

/// Name, size and digests.
pub(crate) fn table(document: &DebDocument) -> Table {
    let mut table = Table::of_facts()
        .fact("package", &document.package)
        .fact("version", &document.package_version)
        .fact("file", &document.file.name)
        .fact("size", fork_worker::text::size(document.file.bytes))
        .fact("SHA-256", &document.file.sha256)
        .fact("payload, SHA-256", &document.payload_sha256)
        .fact("daemon's commit", &document.git_hash);
    if !document.sources_verified {
        table = table.fact("warning", "a source ledger had nothing to be compared with");
    }
    table
}
