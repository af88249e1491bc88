//! `show`, and the table that other commands begin with.

use fork_sign::Statement;
use fork_worker::{Context, WorkerResult};
use serde::Serialize;

use crate::args::ShowArgs;
use crate::artifacts::sha256;
use crate::files::Signed;
use crate::manifest::Manifest;

/// What a file says.
#[derive(Serialize)]
struct Shown<'a> {
    statement_sha256: String,
    signatures: usize,
    statement: &'a Statement<Manifest>,
}

impl ShowArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let signed = Signed::read(&self.manifest)?;
        let shown = Shown {
            statement_sha256: sha256(signed.envelope.unverified_payload()),
            signatures: signed.envelope.signature_count(),
            statement: &signed.statement,
        };
        let human = format!(
            "{}\n{}\nsignatures {}, not checked here\nstatement SHA-256 {}",
            summary(&signed.statement),
            subjects(&signed.statement),
            shown.signatures,
            shown.statement_sha256
        );
        context.emit(&human, &shown)?;
        Ok(())
    }
}

/// A fork in a few lines.
pub(crate) fn summary(statement: &Statement<Manifest>) -> String {
    let manifest = statement.predicate();
    let mut text = String::new();
    let mut row = |label: &str, value: &str| {
        text.push_str(&format!("{label:<12}{}\n", plain(value)));
    };
    let network = &manifest.network;
    row(
        "network",
        &format!("{} ({})", network.package_name, network.name),
    );
    let rule = &manifest.rule;
    row(
        "rule",
        &format!("{} ({} to {})", rule.name, rule.from, rule.to),
    );
    let block = &manifest.fork_block;
    let recomputed = if block.state_hash_recomputed {
        "recomputed"
    } else {
        "NOT RECOMPUTED"
    };
    row(
        "fork block",
        &format!(
            "{} (height {}, {recomputed})",
            block.state_hash, block.blockchain_length
        ),
    );
    let genesis = &manifest.genesis;
    row(
        "new chain",
        &format!(
            "{} (slot {})",
            genesis.timestamp, genesis.global_slot_since_genesis
        ),
    );
    for ledger in &manifest.ledgers {
        let verified = if ledger.source_verified {
            ""
        } else {
            ", SOURCE NOT VERIFIED"
        };
        row(
            ledger.role.name(),
            &format!(
                "{} -> {} ({} accounts{verified})",
                ledger.root_before, ledger.root_after, ledger.accounts_after
            ),
        );
    }
    for package in manifest.packages() {
        let words = package.verification.words();
        let (name, version) = (&package.name, &package.version);
        let text = match &package.codename {
            None => format!("{name} {version} ({words})"),
            Some(codename) => format!("{name} {version} for {codename} ({words})"),
        };
        row("package", &text);
    }
    for image in manifest.images() {
        let words = image.verification.words();
        let text = match &image.architecture {
            None => format!("{} ({words})", image.tag),
            Some(architecture) => format!("{} for {architecture} ({words})", image.tag),
        };
        row("image", &text);
    }
    for one in &manifest.overrides {
        row("OVERRIDE", one);
    }
    row("artefacts", &statement.subjects().len().to_string());
    row("made by", &format!("forkpack {}", manifest.tool_version));
    text
}

fn subjects(statement: &Statement<Manifest>) -> String {
    let mut text = String::new();
    for subject in statement.subjects() {
        text.push_str(&format!("{}\n", plain(&subject.name)));
        for (algorithm, digest) in &subject.digest {
            text.push_str(&format!("  {:<15} {digest}\n", plain(algorithm)));
        }
        for (name, value) in &subject.annotations {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            text.push_str(&format!("  {:<15} {}\n", plain(name), plain(&value)));
        }
    }
    text
}

/// A text from a file that nobody may have signed: without control characters, which a terminal would
/// obey.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|one| if one.is_control() { '\u{fffd}' } else { one })
        .collect()
}
