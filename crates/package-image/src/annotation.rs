//! What the pipeline's annotation says of an image.

use fork_types::document::ImageDocument;
use fork_worker::markdown::Table;

/// Digests and tags.
pub(crate) fn table(document: &ImageDocument) -> Table {
    let base = &document.base;
    let reference = base.reference.as_deref().unwrap_or_default();
    let mut table = Table::of_facts()
        .fact("digest", &document.manifest_digest)
        .fact("tag", &document.tag)
        .fact("unique tag", &document.unique_tag)
        .fact("package", &document.deb.name)
        .fact("base", format!("{} {} {reference}", base.kind, base.digest));
    if !document.sources_verified {
        table = table.fact(
            "warning",
            "nothing says that the ledgers' sources were verified",
        );
    }
    table
}
