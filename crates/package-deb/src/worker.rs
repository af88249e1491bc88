//! The worker around [`package`]: what it prints.

use std::fmt::Write as _;

use fork_types::document::DebDocument;
use fork_worker::{Context, ReportingArgs, Worker, WorkerResult};

use crate::args::Args;
use crate::package::package;

impl Worker for Args {
    const NAME: &'static str = "package-deb";
    const FAILED_TO: &'static str = "failed to package";

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
fn human(document: &DebDocument) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{} ({} bytes)\n  SHA-256  {}\n  payload  {}",
        document.file.name, document.file.bytes, document.file.sha256, document.payload_sha256
    );
    for file in &document.contents {
        let _ = writeln!(text, "  {} {:>12} {}", file.mode, file.bytes, file.path);
    }
    let _ = writeln!(
        text,
        "a daemon built from commit {} loads the config by itself; others need --config-file",
        document.git_hash
    );
    if !document.sources_verified {
        let _ = writeln!(
            text,
            "warning: a source ledger had nothing to be compared with"
        );
    }
    text
}
