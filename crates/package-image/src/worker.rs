//! The worker around [`package`]: what it prints.

use std::fmt::Write as _;

use fork_types::document::ImageDocument;
use fork_worker::{Context, ReportingArgs, Worker, WorkerResult};

use crate::args::Args;
use crate::image::package;

impl Worker for Args {
    const NAME: &'static str = "package-image";
    const FAILED_TO: &'static str = "failed to make the image";

    fn reporting(&self) -> &ReportingArgs {
        &self.reporting
    }

    fn run(self, context: &Context) -> WorkerResult {
        let document = package(&self, &|text| context.note(text))?;
        context.annotate(|| crate::annotation::table(&document));
        context.emit(&human(&document), &document)?;
        Ok(())
    }
}

/// The document for people.
fn human(document: &ImageDocument) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "tag {}\n  unique   {}\n  manifest {}\n  config   {}\n  layer    {}\n  base     {} {} ({})",
        document.tag,
        document.unique_tag,
        document.manifest_digest,
        document.config_digest,
        document.package_layer_digest,
        document.base.kind,
        document.base.digest,
        document.base.os.as_deref().unwrap_or("unknown system"),
    );
    if let Some(reference) = &document.base.reference {
        let _ = writeln!(text, "           {reference}");
    }
    for attachment in &document.attachments {
        let _ = writeln!(
            text,
            "  attached {} ({}, {} bytes)",
            attachment.manifest_digest, attachment.artifact_type, attachment.bytes
        );
    }
    for file in &document.contents {
        let _ = writeln!(text, "  {} {:>12} {}", file.mode, file.bytes, file.path);
    }
    if let Some(archive) = &document.docker_archive {
        let _ = writeln!(
            text,
            "docker archive {} ({} bytes)",
            archive.name, archive.bytes
        );
    }
    if !document.sources_verified {
        let _ = writeln!(
            text,
            "warning: nothing says that the ledgers' sources were verified"
        );
    }
    text
}
