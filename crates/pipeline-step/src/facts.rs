//! The last step: the documents of a run held against each other, and the fork on one screen.
//!
//! [`collect()`] reads the documents, compares them and makes [`FactsDocument`]; [`screen`] and
//! [`markdown`] are made from that alone. No artefact is needed: what documents say of artefacts was
//! checked by the steps that wrote and verified them.

mod collect;
mod compare;
mod document;
mod error;
mod foreign;
mod screen;
mod tables;

use fork_fs::{StagedDir, write_atomic};
use fork_worker::{Context, WorkerResult};

pub use collect::{Places, collect};
pub use document::{
    FactsBlock, FactsChainId, FactsDocument, FactsGenesis, FactsImage, FactsLedger, FactsManifest,
    FactsPackage, FactsVerification,
};
pub use error::{Contradiction, FactsError};
pub use screen::screen;
pub use tables::markdown;

use crate::args::FactsArgs;

const TEXT_NAME: &str = "facts.txt";
const MARKDOWN_NAME: &str = "facts.md";

impl FactsArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let staged = StagedDir::create(&self.output, self.force)?;
        let facts = collect(&Places {
            candidate: &self.candidate,
            ledgers: &self.ledgers,
            network_config: &self.network_config,
            debs: &self.deb,
            images: &self.image,
            reports: &self.report,
            manifest: self.manifest.as_deref(),
        })?;
        let screen = screen(&facts);
        write_atomic(&staged.path().join(TEXT_NAME), screen.as_bytes())?;
        write_atomic(
            &staged.path().join(MARKDOWN_NAME),
            markdown(&facts).as_bytes(),
        )?;
        staged.write_document(&facts)?;
        staged.commit()?;
        for (_, table) in tables::tables(&facts) {
            context.annotate(|| table);
        }
        context.emit(&screen, &facts)?;
        let failed: Vec<String> = facts
            .verifications
            .iter()
            .flat_map(|report| {
                report
                    .failed
                    .iter()
                    .map(|id| format!("{id} of {}", report.subject))
            })
            .collect();
        if !failed.is_empty() {
            return Err(FactsError::Failed { failed }.into());
        }
        Ok(())
    }
}
