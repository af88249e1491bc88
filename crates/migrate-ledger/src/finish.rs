//! From checked leaf hashes and a written log to a proved tarball and its document: the second half of
//! a run, which is the same for whole ledgers and for merged shards.

use std::path::{Path, PathBuf};

use fork_ledger::merkle::{MerkleTree, ledger_hash};
use fork_ledger::migrate::{Audit, Rule};
use fork_store::{
    FinishedStore, LedgerStoreWriter, StoreProof, TarballSummary, prove_log, prove_store,
    tarball_name, write_tarball,
};
use fork_types::document::{
    ClaimedRoot, FileRef, LedgerDocument, RuleRef, SourceLedger, Tarball, TargetLedger,
};
use fork_types::{LedgerHash, Role};
use fork_worker::{Context, Stages, Unit, peak_memory_bytes};
use pasta_poseidon::Kernel;

use crate::args::Proof;
use crate::document::audit_counts;
use crate::error::{MigrateLedgerError, PassError};
use crate::source::{Source, work_error};

/// Room a run needs per account: store, tarball and a margin (a plain account takes about 640 bytes
/// in the store and half of that in the tarball).
pub(crate) const DISK_BYTES_PER_ACCOUNT: u64 = 2_000;

/// Room a run needs whatever the size.
pub(crate) const DISK_BYTES: u64 = 1 << 20;

/// Name of the store's directory while it is made.
pub(crate) const STORE: &str = "store";

/// What the caller demands of the result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demands {
    pub(crate) source_root: Option<LedgerHash>,
    pub(crate) expect_root: Option<LedgerHash>,
    pub(crate) unverified_source: bool,
    pub(crate) proof: Proof,
}

impl Demands {
    /// Refuses roots of one ledger for several.
    pub(crate) fn check_roles(&self, roles: usize) -> Result<(), MigrateLedgerError> {
        let option = match self {
            _ if roles < 2 => return Ok(()),
            Self {
                source_root: Some(_),
                ..
            } => "--source-root",
            Self {
                expect_root: Some(_),
                ..
            } => "--expect-root",
            _ => return Ok(()),
        };
        Err(MigrateLedgerError::RootOfSeveral { option, roles })
    }

    /// The source root as the caller claims it.
    pub(crate) fn claimed(&self) -> Option<ClaimedRoot> {
        self.source_root.map(|root| ClaimedRoot {
            root,
            by: "--source-root".to_owned(),
        })
    }

    /// Compares the source root with every claim; gives the one that counts.
    fn check_source(
        &self,
        source: &Source,
        name: &str,
        computed: LedgerHash,
    ) -> Result<Option<ClaimedRoot>, MigrateLedgerError> {
        match &source.claimed {
            Some(claimed) if claimed.root == computed => Ok(Some(claimed.clone())),
            Some(claimed) => Err(MigrateLedgerError::SourceRoot {
                role: source.role,
                name: name.to_owned(),
                expected: claimed.root,
                by: claimed.by.clone(),
                computed,
            }),
            None if self.unverified_source => Ok(None),
            None => Err(MigrateLedgerError::Unverified {
                role: source.role,
                computed,
            }),
        }
    }
}

/// A migrated ledger whose store is still to be finished.
pub(crate) struct Migrated {
    pub(crate) source: Source,
    /// Where the result goes, inside the staging directory.
    pub(crate) directory: PathBuf,
    pub(crate) writer: Box<LedgerStoreWriter>,
    pub(crate) tree: MerkleTree,
    /// The document, but for what is known only when the tarball is there.
    pub(crate) document: LedgerDocument,
}

/// What is known about a ledger when its trees are there.
pub(crate) struct Facts<'a> {
    pub(crate) rule: Rule,
    pub(crate) rule_ref: RuleRef,
    pub(crate) list: FileRef,
    /// Root under the source era's rules; `None` when it was not computed.
    pub(crate) source_root: Option<LedgerHash>,
    pub(crate) target_root: LedgerHash,
    pub(crate) audit: &'a Audit,
    /// Timed accounts before migration.
    pub(crate) timed: u64,
}

/// Checks source root and supply, and says what there is to say before the tarball is there.
pub(crate) fn checked(
    demands: &Demands,
    source: &Source,
    facts: Facts<'_>,
) -> Result<LedgerDocument, MigrateLedgerError> {
    let Facts {
        rule,
        rule_ref,
        list,
        source_root,
        target_root,
        audit,
        timed,
    } = facts;
    let (root, root_computed) = match (source_root, source.computed_before) {
        (Some(root), _) => (root, true),
        (None, Some(root)) => (root, false),
        (None, None) => {
            return Err(MigrateLedgerError::SourceRootNotComputed { role: source.role });
        }
    };
    let claimed_root = demands.check_source(source, &list.name, root)?;
    audit.check_supply()?;
    let found = audit.accounts;
    let accounts =
        u32::try_from(found).map_err(|_| MigrateLedgerError::TooManyAccounts { found })?;
    Ok(LedgerDocument {
        format: LedgerDocument::format(),
        version: LedgerDocument::version(),
        role: source.role,
        rule: rule_ref,
        candidate: source.candidate.clone(),
        source: SourceLedger {
            file: list,
            accounts,
            depth: rule.source().depth(),
            root,
            root_computed,
            verified: claimed_root.is_some(),
            claimed_root,
        },
        target: TargetLedger {
            accounts,
            depth: rule.target().depth(),
            root: target_root,
            proof: demands.proof.into(),
            expected_by_caller: demands.expect_root.is_some(),
        },
        audit: audit_counts(audit, timed, accounts),
        tarball: Tarball {
            file: FileRef {
                name: String::new(),
                sha256: String::new(),
                bytes: 0,
            },
            s3_data_hash: String::new(),
            content_sha256: String::new(),
            entries: 0,
        },
        stages_ms: std::collections::BTreeMap::new(),
        peak_memory_bytes: None,
        kernel: Some(Kernel::active().name().to_owned()),
    })
}

/// Finishes all stores, proves and packs them, and writes the documents.
pub(crate) fn finish_all(
    rule: Rule,
    proof: Proof,
    migrated: Vec<Migrated>,
    mut stages: Stages,
    context: &Context,
) -> Result<Vec<LedgerDocument>, MigrateLedgerError> {
    let mut documents = Vec::with_capacity(migrated.len());
    let mut directories = Vec::with_capacity(migrated.len());
    for ledger in migrated {
        directories.push(ledger.directory.clone());
        documents.push(finish(rule, proof, ledger, &mut stages, context)?);
    }
    let stages_ms = stages.into_milliseconds();
    let peak_memory_bytes = peak_memory_bytes();
    for (document, directory) in documents.iter_mut().zip(&directories) {
        document.stages_ms.clone_from(&stages_ms);
        document.peak_memory_bytes = peak_memory_bytes;
        fork_fs::write_document(directory, document)?;
    }
    Ok(documents)
}

/// Finishes a store, proves it and packs it.
fn finish(
    rule: Rule,
    proof: Proof,
    migrated: Migrated,
    stages: &mut Stages,
    context: &Context,
) -> Result<LedgerDocument, MigrateLedgerError> {
    let Migrated {
        source,
        directory,
        writer,
        tree,
        mut document,
    } = migrated;
    let store = directory.join(STORE);
    let progress = context.progress("writing the store", 0, Unit::Items);
    let finished = writer
        .finish_for_proof(&tree)
        .map_err(|error| work_error(source.input.to_string(), error.into()))?;
    drop(progress);
    stages.end("store");

    let progress = context.progress("proving and packing", 0, Unit::Bytes);
    let prefix = source.role.tarball_prefix();
    let name = tarball_name(prefix, &document.target.root, rule.target());
    let packed = directory.join(&name);
    let (proof, tarball) = prove_and_pack(rule, proof, &store, &packed, finished, tree)?;
    fork_fs::remove_dir_all(&store)?;
    drop(progress);
    stages.end("prove-and-pack");

    document.tarball = Tarball {
        file: FileRef {
            name,
            sha256: tarball.sha256,
            bytes: tarball.bytes,
        },
        s3_data_hash: tarball.s3_data_hash,
        content_sha256: proof.content_sha256,
        entries: proof.entries,
    };
    Ok(document)
}

/// Both only read the store, so they run side by side; a tarball of a store that is not proved
/// goes away with the staging directory.
fn prove_and_pack(
    rule: Rule,
    proof: Proof,
    store: &Path,
    packed: &Path,
    finished: FinishedStore,
    tree: MerkleTree,
) -> Result<(StoreProof, TarballSummary), PassError> {
    let root = ledger_hash(tree.root());
    let accounts = tree.len() as u64;
    let prove = || match proof {
        Proof::Log => prove_log(store, &finished, &tree),
        Proof::Rocksdb => prove_store(store, rule.target(), tree.depth(), &root, accounts),
    };
    let (proof, tarball) = rayon::join(prove, || write_tarball(store, packed));
    Ok((proof?, tarball?))
}

/// The directory of a role inside `output`: itself, when there is only one.
pub(crate) fn role_directory(output: &Path, role: Role, roles: usize) -> PathBuf {
    if roles == 1 {
        output.to_owned()
    } else {
        output.join(role.to_string())
    }
}

/// Prints what a run says about its ledgers.
pub(crate) fn report(
    documents: &[LedgerDocument],
    output: &Path,
    context: &Context,
) -> Result<(), fork_worker::OutputError> {
    match documents {
        [document] => context.emit(&crate::document::summary(document, output), document),
        several => {
            let text = |document: &LedgerDocument| {
                let directory = role_directory(output, document.role, several.len());
                crate::document::summary(document, &directory)
            };
            let texts: Vec<String> = several.iter().map(text).collect();
            context.emit(&texts.join("\n"), several)
        }
    }
}
