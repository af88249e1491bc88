//! The three migrated ledgers, checked against the candidate and each other.

use std::io::Read;
use std::path::{Path, PathBuf};

use fork_fs::{FsError, Operation};
use fork_genesis::network::Network;
use fork_types::Role;
use fork_types::document::{Candidate, LedgerDocument};
use sha2::Digest;
use sha3::Sha3_256;

use crate::error::{ConfigProblem, GenerateError};

/// The ledgers by role.
pub(crate) struct Ledgers {
    pub(crate) genesis: LedgerDocument,
    pub(crate) staking: LedgerDocument,
    pub(crate) next: LedgerDocument,
}

impl Ledgers {
    /// Reads the three documents and checks every tarball's digests.
    pub(crate) fn read(directories: &[PathBuf]) -> Result<Self, GenerateError> {
        let mut found: [Vec<LedgerDocument>; 3] = Default::default();
        for directory in directories {
            let (document, _): (LedgerDocument, _) = fork_fs::read_document(directory)?;
            let tarball = fork_fs::verify_file_ref(directory, &document.tarball.file)?;
            check_sha3(&tarball, &document)?;
            found[document.role as usize].push(document);
        }
        let mut one = |role: Role| {
            let documents = &mut found[role as usize];
            match documents.pop() {
                Some(document) if documents.is_empty() => Ok(document),
                Some(_) => Err(GenerateError::Roles {
                    role,
                    count: documents.len() + 1,
                }),
                None => Err(GenerateError::Roles { role, count: 0 }),
            }
        };
        Ok(Self {
            genesis: one(Role::Genesis)?,
            staking: one(Role::Staking)?,
            next: one(Role::Next)?,
        })
    }

    pub(crate) const fn of(&self, role: Role) -> &LedgerDocument {
        match role {
            Role::Genesis => &self.genesis,
            Role::Staking => &self.staking,
            Role::Next => &self.next,
        }
    }

    pub(crate) fn verified(&self) -> bool {
        Role::ALL.iter().all(|role| self.of(*role).source.verified)
    }

    /// What contradicts the candidate, the network or another ledger.
    pub(crate) fn problems(
        &self,
        candidate: &Candidate,
        candidate_sha256: &str,
        network: &Network,
    ) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        for role in Role::ALL {
            let document = self.of(role);
            let place = format!("ledger.json of the {role} ledger");
            let mut compare = |what: &str, expected: String, by: &str, found: String| {
                if expected != found {
                    problems.push(ConfigProblem {
                        what: what.to_owned(),
                        expected,
                        expected_by: by.to_owned(),
                        found,
                        found_in: place.clone(),
                    });
                }
            };
            let made_from = document.candidate.as_ref();
            compare(
                "SHA-256 of candidate.json",
                candidate_sha256.to_owned(),
                "--candidate",
                made_from.map_or_else(
                    || "absent (made from a bare account list)".to_owned(),
                    |reference| reference.sha256.clone(),
                ),
            );
            compare(
                "digest of the account list",
                candidate.ledger(role).file.sha256.clone(),
                "candidate.json",
                document.source.file.sha256.clone(),
            );
            compare(
                "number of accounts",
                candidate.ledger(role).accounts.to_string(),
                "candidate.json",
                document.target.accounts.to_string(),
            );
            compare(
                "target era",
                network.target_era.to_string(),
                "network file",
                document.rule.to.to_string(),
            );
            compare(
                "migration rule",
                self.genesis.rule.name.clone(),
                "the genesis ledger",
                document.rule.name.clone(),
            );
            if let Some(root) = candidate.ledger(role).computed_root {
                compare(
                    "root of the source accounts",
                    root.to_string(),
                    "candidate.json",
                    document.source.root.to_string(),
                );
            }
        }
        problems
    }
}

fn check_sha3(path: &Path, document: &LedgerDocument) -> Result<(), GenerateError> {
    let failed = |source| FsError::io(Operation::Read, path, source);
    let mut file = fork_fs::open(path)?;
    let mut hasher = Sha3_256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let count = file.read(&mut buffer).map_err(failed)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
    }
    let found = hex::encode(hasher.finalize());
    if found == document.tarball.s3_data_hash {
        return Ok(());
    }
    Err(GenerateError::Contradictions(vec![ConfigProblem {
        what: "SHA3-256 of the tarball".to_owned(),
        expected: document.tarball.s3_data_hash.clone(),
        expected_by: format!("ledger.json of the {} ledger", document.role),
        found,
        found_in: path.display().to_string(),
    }]))
}
