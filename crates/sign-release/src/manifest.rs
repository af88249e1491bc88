//! What the statement says: facts that follow from the inputs alone, so that everybody who builds the
//! same says the same, byte for byte.
//!
//! Not in it, because they differ from builder to builder: times, durations, memory, hosts, paths,
//! who built, which kernel hashed and how the stores were proved, and digests of documents that hold
//! any of these (`ledger.json`, `report.json`) or name the files that somebody happened to read
//! (`candidate.json`, and `network.json`, which names it).

use fork_types::document::{EpochSeeds, RuleRef};
use fork_types::{LedgerHash, Role, SlotSinceGenesis, SlotSinceHardFork, StateHash};
use serde::{Deserialize, Serialize};

/// `predicateType` of the statement.
pub const PREDICATE_TYPE: &str = "https://github.com/forkpack/forkpack/manifest/v1";
/// Value of the predicate's `format`.
pub const FORMAT: &str = "forkpack.manifest";
/// Newest version of the predicate this build reads. Written when there are several packages or images;
/// a manifest of one package is still version 1.
pub const VERSION: u32 = 2;

/// The predicate: a fork on one page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `forkpack.manifest`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// Version of the tools that made it.
    pub tool_version: String,
    /// The network.
    pub network: ManifestNetwork,
    /// The migration rule.
    pub rule: RuleRef,
    /// The last block of the old chain.
    pub fork_block: ManifestForkBlock,
    /// The first block of the new chain.
    pub genesis: ManifestGenesis,
    /// Seeds of the two epochs.
    pub seeds: EpochSeeds,
    /// The three ledgers, in the order of [`Role::ALL`].
    pub ledgers: Vec<ManifestLedger>,
    /// What goes into the chain id.
    pub chain_id: ManifestChainId,
    /// Whether every ledger was compared with a root that somebody else claims.
    pub sources_verified: bool,
    /// Everything done against a rule or a check, by a person's word. Empty is good.
    pub overrides: Vec<String>,
    /// The package.
    pub package: ManifestPackage,
    /// The image, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ManifestImage>,
    /// Packages for further distributions, by codename: the same files under other control data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_packages: Vec<ManifestPackage>,
    /// Images for further distributions and architectures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_images: Vec<ManifestImage>,
}

impl Manifest {
    /// All packages; the first is `package`.
    pub fn packages(&self) -> impl Iterator<Item = &ManifestPackage> {
        std::iter::once(&self.package).chain(&self.further_packages)
    }

    /// All images; the first is `image`.
    pub fn images(&self) -> impl Iterator<Item = &ManifestImage> {
        self.image.iter().chain(&self.further_images)
    }
}

/// A network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestNetwork {
    /// Name of the network file.
    pub name: String,
    /// Name in packages.
    pub package_name: String,
}

/// The last block of the old chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestForkBlock {
    /// State hash.
    pub state_hash: StateHash,
    /// Whether it was recomputed from the block.
    pub state_hash_recomputed: bool,
    /// Height.
    pub blockchain_length: u32,
}

/// The first block of the new chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestGenesis {
    /// Slot since the first genesis.
    pub global_slot_since_genesis: SlotSinceGenesis,
    /// Slot since the old chain's genesis.
    pub slot_since_hard_fork: SlotSinceHardFork,
    /// Time, RFC 3339 in UTC.
    pub timestamp: String,
    /// The same in milliseconds since 1970.
    pub timestamp_ms: u64,
}

/// A ledger before and after. Amounts are in nanomina, decimal text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestLedger {
    /// Its role.
    pub role: Role,
    /// SHA-256 of the account list before, in the candidate's normal form.
    pub accounts_sha256: String,
    /// Number of accounts before.
    pub accounts_before: u32,
    /// Number of accounts after.
    pub accounts_after: u32,
    /// Root by the old chain's rules.
    pub root_before: LedgerHash,
    /// Root by the new chain's rules.
    pub root_after: LedgerHash,
    /// Whether the root before is one that somebody else claims.
    pub source_verified: bool,
    /// Balances before.
    pub balance_before_nanomina: String,
    /// Balances after.
    pub balance_after_nanomina: String,
    /// Its tarball: the name of a subject.
    pub tarball: String,
}

/// What goes into the chain id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestChainId {
    /// Known inputs, in hashing order.
    pub inputs: Vec<ManifestInput>,
    /// The chain id, when all are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<String>,
}

/// An input of the chain id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestInput {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// The package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestPackage {
    /// The file: the name of a subject.
    pub file: String,
    /// Name in the control data.
    pub name: String,
    /// Version in the control data.
    pub version: String,
    /// Architecture.
    pub architecture: String,
    /// Codename of the distribution, when there are packages for several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codename: Option<String>,
    /// First digits of the commit of the daemon that loads the config by itself.
    pub git_hash: String,
    /// Time of the files in it, seconds since 1970.
    pub source_date_epoch: u64,
    /// What `verify-package` said of it.
    pub verification: Verdict,
}

/// The image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestImage {
    /// The image: the name of a subject.
    pub name: String,
    /// Tag.
    pub tag: String,
    /// Codename of the distribution it was made for, when there are several images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codename: Option<String>,
    /// Architecture, when there are several images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Manifest digest of the base, or of the layer made from a root file system: `sha256:…`.
    pub base_digest: String,
    /// Digest of our layer, uncompressed: `sha256:…`.
    pub diff_id: String,
    /// What `verify-package` said of it.
    pub verification: Verdict,
}

/// What `verify-package` said. Checks that ask the machine's own dpkg, a running node or a second
/// package are left out: who has them depends on the builder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// In a word.
    pub verdict: VerdictWord,
    /// Checks that passed, sorted.
    pub passed: Vec<String>,
    /// Checks for which something was missing, sorted.
    pub not_run: Vec<String>,
}

/// A verdict in a word. Who fails has no manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictWord {
    /// No check failed.
    Passed,
    /// No report was given.
    NotVerified,
}

impl Verdict {
    /// Without a report.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            verdict: VerdictWord::NotVerified,
            passed: Vec::new(),
            not_run: Vec::new(),
        }
    }

    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        match self.verdict {
            VerdictWord::NotVerified => "not verified".to_owned(),
            VerdictWord::Passed => format!(
                "{} checks passed, {} not run",
                self.passed.len(),
                self.not_run.len()
            ),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use fork_sign::{Statement, Subject};
    use fork_types::{EpochSeed, Era, FieldBytes};

    use super::*;

    /// A made-up statement, changed before it is put together.
    pub(crate) fn statement(
        change: impl FnOnce(&mut Manifest, &mut Vec<Subject>),
    ) -> Statement<Manifest> {
        let hash = |number| LedgerHash::new(FieldBytes::from_u64(number));
        let seed = |number| EpochSeed::new(FieldBytes::from_u64(number));
        let passed = || Verdict {
            verdict: VerdictWord::Passed,
            passed: vec!["package.readable".to_owned()],
            not_run: Vec::new(),
        };
        let mut manifest = Manifest {
            format: FORMAT.to_owned(),
            version: 1,
            tool_version: "0.1.0".to_owned(),
            network: ManifestNetwork {
                name: "devnet".to_owned(),
                package_name: "devnet".to_owned(),
            },
            rule: RuleRef {
                name: "berkeley-to-mesa/untimed-stays".to_owned(),
                from: Era::Berkeley,
                to: Era::Mesa,
                fork_slot: Some(SlotSinceGenesis::new(9)),
                variant: Some("untimed-stays".to_owned()),
            },
            fork_block: ManifestForkBlock {
                state_hash: StateHash::new(FieldBytes::from_u64(1)),
                state_hash_recomputed: true,
                blockchain_length: 5,
            },
            genesis: ManifestGenesis {
                global_slot_since_genesis: SlotSinceGenesis::new(9),
                slot_since_hard_fork: SlotSinceHardFork::new(8),
                timestamp: "2026-09-03T18:00:00Z".to_owned(),
                timestamp_ms: 1_788_458_400_000,
            },
            seeds: EpochSeeds {
                staking: seed(2),
                next: seed(3),
            },
            ledgers: Role::ALL
                .into_iter()
                .map(|role| ManifestLedger {
                    role,
                    accounts_sha256: "0b".repeat(32),
                    accounts_before: 3,
                    accounts_after: 3,
                    root_before: hash(4),
                    root_after: hash(5),
                    source_verified: true,
                    balance_before_nanomina: "6".to_owned(),
                    balance_after_nanomina: "6".to_owned(),
                    tarball: "t.tar.gz".to_owned(),
                })
                .collect(),
            chain_id: ManifestChainId {
                inputs: vec![ManifestInput {
                    name: "k".to_owned(),
                    value: "290".to_owned(),
                }],
                chain_id: None,
            },
            sources_verified: true,
            overrides: Vec::new(),
            package: ManifestPackage {
                file: "a.deb".to_owned(),
                name: "mina-devnet-config".to_owned(),
                version: "1".to_owned(),
                architecture: "all".to_owned(),
                codename: None,
                git_hash: "0123abcd".to_owned(),
                source_date_epoch: 7,
                verification: passed(),
            },
            image: Some(ManifestImage {
                name: "image:1".to_owned(),
                tag: "1".to_owned(),
                codename: None,
                architecture: None,
                base_digest: format!("sha256:{}", "0c".repeat(32)),
                diff_id: format!("sha256:{}", "0d".repeat(32)),
                verification: passed(),
            }),
            further_packages: Vec::new(),
            further_images: Vec::new(),
        };
        let mut subjects = vec![
            Subject::new("a.deb", "0a".repeat(32)),
            Subject::new("t.tar.gz", "0e".repeat(32)),
        ];
        change(&mut manifest, &mut subjects);
        Statement::new(PREDICATE_TYPE, subjects, manifest).unwrap()
    }

    /// The published form: who changes it makes a new version.
    #[test]
    fn the_form_is_as_published() {
        let payload = statement(|_, _| {}).to_payload().unwrap();
        let text = String::from_utf8(payload).unwrap();
        insta::assert_snapshot!("statement", text);
    }
}
