//! Reads the network config and the ledgers, and proves that they belong together.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fork_fs::{FsError, HashingReader, Operation};
use fork_types::document::{Document, FileRef, LedgerDocument, NetworkDocument, NetworkLedger};
use fork_types::{LedgerHash, Role};
use rayon::prelude::*;
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha3::{Digest, Sha3_256};

use crate::error::{DebError, DebErrorKind};

/// Largest runtime config read. The post-fork config names its ledgers instead of listing accounts,
/// so real ones are a few KiB; a pre-fork config may list some.
const CONFIG_BYTES_MAX: u64 = 64 << 20;

/// Everything a package is made of, checked.
#[derive(Debug)]
pub struct Inputs {
    /// The network document.
    pub network: NetworkDocument,
    /// SHA-256 of its bytes.
    pub network_sha256: String,
    /// The runtime config.
    pub config: Vec<u8>,
    /// The pre-fork config.
    pub prefork_config: Vec<u8>,
    /// Tarballs by file name; equal epoch ledgers are there once.
    pub tarballs: BTreeMap<String, PathBuf>,
    /// Their sizes in bytes, by file name.
    pub tarball_sizes: BTreeMap<String, u64>,
    /// Their sizes together, in bytes.
    pub tarball_bytes: u64,
}

/// What the daemon reads of a runtime config, as far as it concerns ledgers and the fork.
#[derive(Debug, Deserialize)]
struct RuntimeConfig {
    genesis: Genesis,
    proof: Proof,
    ledger: ConfigLedger,
    epoch_data: EpochData,
}

#[derive(Debug, Deserialize)]
struct Genesis {
    genesis_state_timestamp: String,
}

#[derive(Debug, Deserialize)]
struct Proof {
    fork: Fork,
}

#[derive(Debug, Deserialize)]
struct Fork {
    state_hash: String,
    blockchain_length: u32,
    global_slot_since_genesis: u32,
}

#[derive(Debug, Deserialize)]
struct ConfigLedger {
    hash: String,
    s3_data_hash: String,
}

#[derive(Debug, Deserialize)]
struct EpochData {
    staking: ConfigLedger,
    next: ConfigLedger,
}

/// `hashes.json`, as upstream's ledger generator writes it.
#[derive(Debug, Deserialize)]
struct Hashes {
    ledger: ConfigLedger,
    epoch_data: EpochData,
}

/// Two places that are compared: the one taken as right, and the other.
#[derive(Clone, Copy)]
struct Sides<'a> {
    expected_in: &'a Path,
    found_in: &'a Path,
}

impl Sides<'_> {
    fn same(self, what: &str, expected: &str, found: &str) -> Result<(), DebError> {
        if expected == found {
            return Ok(());
        }
        Err(DebErrorKind::Mismatch {
            what: what.to_owned(),
            expected: expected.to_owned(),
            expected_in: self.expected_in.to_owned(),
            found: found.to_owned(),
            found_in: self.found_in.to_owned(),
        }
        .into())
    }

    fn same_ledger(
        self,
        role: Role,
        expected: &NetworkLedger,
        hash: &str,
        s3_data_hash: &str,
    ) -> Result<(), DebError> {
        self.same(
            &format!("hash of the {role} ledger"),
            &expected.hash.to_string(),
            hash,
        )?;
        self.same(
            &format!("s3_data_hash of the {role} ledger"),
            &expected.s3_data_hash,
            s3_data_hash,
        )
    }
}

impl Inputs {
    /// Reads and compares everything. `note` is told what is being done.
    ///
    /// # Errors
    ///
    /// Fails on unreadable or malformed files, on a missing or repeated ledger, and on the first
    /// digest, root or fork value that differs between two of the files.
    pub fn read(
        network_directory: &Path,
        ledger_directories: &[PathBuf],
        note: &dyn Fn(&str),
    ) -> Result<Self, DebError> {
        let (network, bytes) = fork_fs::read_document::<NetworkDocument>(network_directory)?;
        let network_path = network_directory.join(NetworkDocument::FILE_NAME);
        check_network_name(&network.network, &network_path)?;
        let read = |file: &FileRef| -> Result<(PathBuf, Vec<u8>), DebError> {
            let path = fork_fs::verify_file_ref(network_directory, file)?;
            let bytes = fork_fs::read_limited(&path, CONFIG_BYTES_MAX)?;
            Ok((path, bytes))
        };
        let (config_path, config) = read(&network.config)?;
        let (prefork_path, prefork_config) = read(&network.prefork_config)?;
        let (hashes_path, hashes) = read(&network.hashes)?;
        let _: IgnoredAny = json(&prefork_path, "JSON file", &prefork_config)?;
        let inputs = Self {
            network_sha256: sha256(&bytes),
            config,
            prefork_config,
            tarballs: BTreeMap::new(),
            tarball_sizes: BTreeMap::new(),
            tarball_bytes: 0,
            network,
        };
        inputs.check_config(&network_path, &config_path)?;
        inputs.check_hashes(&network_path, &hashes_path, &hashes)?;
        inputs.with_ledgers(&network_path, ledger_directories, note)
    }

    fn ledger(&self, path: &Path, role: Role) -> Result<&NetworkLedger, DebError> {
        let mut of_role = self.network.ledgers.iter().filter(|one| one.role == role);
        match (of_role.next(), of_role.next()) {
            (Some(one), None) => Ok(one),
            (first, _) => Err(DebErrorKind::Mismatch {
                what: format!("number of {role} ledgers"),
                expected: "1".to_owned(),
                expected_in: path.to_owned(),
                found: if first.is_none() { "0" } else { "2 or more" }.to_owned(),
                found_in: path.to_owned(),
            }
            .into()),
        }
    }

    fn check_config(&self, network_path: &Path, config_path: &Path) -> Result<(), DebError> {
        let config: RuntimeConfig = json(config_path, "runtime config", &self.config)?;
        let sides = Sides {
            expected_in: network_path,
            found_in: config_path,
        };
        let fork = &self.network.fork;
        sides.same(
            "proof.fork.state_hash",
            &fork.state_hash.to_string(),
            &config.proof.fork.state_hash,
        )?;
        sides.same(
            "proof.fork.blockchain_length",
            &fork.blockchain_length.to_string(),
            &config.proof.fork.blockchain_length.to_string(),
        )?;
        sides.same(
            "proof.fork.global_slot_since_genesis",
            &fork.global_slot_since_genesis.to_string(),
            &config.proof.fork.global_slot_since_genesis.to_string(),
        )?;
        sides.same(
            "genesis.genesis_state_timestamp",
            &fork.genesis_state_timestamp,
            &config.genesis.genesis_state_timestamp,
        )?;
        self.check_ledgers(sides, &config.ledger, &config.epoch_data)
    }

    fn check_hashes(
        &self,
        network_path: &Path,
        hashes_path: &Path,
        bytes: &[u8],
    ) -> Result<(), DebError> {
        let hashes: Hashes = json(hashes_path, "hashes file", bytes)?;
        let sides = Sides {
            expected_in: network_path,
            found_in: hashes_path,
        };
        self.check_ledgers(sides, &hashes.ledger, &hashes.epoch_data)
    }

    fn check_ledgers(
        &self,
        sides: Sides<'_>,
        genesis: &ConfigLedger,
        epochs: &EpochData,
    ) -> Result<(), DebError> {
        for (role, ledger) in [
            (Role::Genesis, genesis),
            (Role::Staking, &epochs.staking),
            (Role::Next, &epochs.next),
        ] {
            let expected = self.ledger(sides.expected_in, role)?;
            sides.same_ledger(role, expected, &ledger.hash, &ledger.s3_data_hash)?;
        }
        Ok(())
    }

    fn with_ledgers(
        mut self,
        network_path: &Path,
        directories: &[PathBuf],
        note: &dyn Fn(&str),
    ) -> Result<Self, DebError> {
        let mut given: BTreeMap<&str, (&Path, LedgerDocument)> = BTreeMap::new();
        for directory in directories {
            let (document, _) = fork_fs::read_document::<LedgerDocument>(directory)?;
            let role = document.role;
            if let Some((first, _)) = given.insert(role.name(), (directory, document)) {
                return Err(DebErrorKind::DuplicateRole {
                    role,
                    first: first.to_owned(),
                    second: directory.clone(),
                }
                .into());
            }
        }
        let mut all_verified = true;
        let mut claimed = Vec::new();
        for role in Role::ALL {
            let (directory, document) = given
                .remove(role.name())
                .ok_or(DebErrorKind::MissingRole { role })?;
            note(&format!("checking the {role} ledger"));
            let expected = self.ledger(network_path, role)?.clone();
            let path = self.check_ledger(network_path, directory, &document, &expected)?;
            all_verified &= document.source.verified;
            let bytes = document.tarball.file.bytes;
            self.tarball_sizes.insert(expected.tarball.clone(), bytes);
            if self
                .tarballs
                .insert(expected.tarball, path.clone())
                .is_none()
            {
                self.tarball_bytes += bytes;
            }
            claimed.push((directory, document, path));
        }
        // All read at once; the first that is wrong is told.
        let checked: Vec<Result<(), DebError>> = claimed
            .par_iter()
            .map(|(directory, document, path)| check_tarball(directory, document, path))
            .collect();
        checked.into_iter().collect::<Result<(), _>>()?;
        if self.network.sources_verified != all_verified {
            return Err(DebErrorKind::Mismatch {
                what: "whether every source ledger was verified".to_owned(),
                expected: all_verified.to_string(),
                expected_in: PathBuf::from(LedgerDocument::FILE_NAME),
                found: self.network.sources_verified.to_string(),
                found_in: network_path.to_owned(),
            }
            .into());
        }
        Ok(self)
    }

    /// Compares the document of a ledger with the network config; returns where its tarball is.
    fn check_ledger(
        &self,
        network_path: &Path,
        directory: &Path,
        document: &LedgerDocument,
        expected: &NetworkLedger,
    ) -> Result<PathBuf, DebError> {
        let role = document.role;
        let document_path = directory.join(LedgerDocument::FILE_NAME);
        let sides = Sides {
            expected_in: network_path,
            found_in: &document_path,
        };
        let root: &LedgerHash = &document.target.root;
        let tarball = &document.tarball;
        sides.same_ledger(role, expected, &root.to_string(), &tarball.s3_data_hash)?;
        sides.same(
            &format!("name of the {role} tarball"),
            &expected.tarball,
            &tarball.file.name,
        )?;
        sides.same(
            &format!("SHA-256 of the {role} tarball"),
            &expected.sha256,
            &tarball.file.sha256,
        )?;
        if let Some(content) = &expected.content_sha256 {
            sides.same(
                &format!("content_sha256 of the {role} ledger"),
                content,
                &tarball.content_sha256,
            )?;
        }
        if let Some(candidate) = &document.candidate {
            sides.same(
                &format!("candidate of the {role} ledger (SHA-256 of its document)"),
                &self.network.candidate.sha256,
                &candidate.sha256,
            )?;
        }
        check_tarball_name(role, &tarball.file.name, &document_path)?;
        Ok(fork_fs::child(directory, &tarball.file.name)?)
    }
}

/// Compares a tarball with the document that names it.
fn check_tarball(directory: &Path, document: &LedgerDocument, path: &Path) -> Result<(), DebError> {
    let tarball = &document.tarball;
    let document_path = directory.join(LedgerDocument::FILE_NAME);
    let sides = Sides {
        expected_in: &document_path,
        found_in: path,
    };
    let found = digest_tarball(path)?;
    sides.same(
        "size in bytes",
        &tarball.file.bytes.to_string(),
        &found.bytes.to_string(),
    )?;
    sides.same("SHA-256", &tarball.file.sha256, &found.sha256)?;
    sides.same(
        "SHA3-256 (s3_data_hash)",
        &tarball.s3_data_hash,
        &found.sha3_256,
    )
}

fn json<'a, T: Deserialize<'a>>(
    path: &Path,
    what: &'static str,
    bytes: &'a [u8],
) -> Result<T, DebError> {
    serde_json::from_slice(bytes).map_err(|source| {
        DebErrorKind::Config {
            path: path.to_owned(),
            what,
            source,
        }
        .into()
    })
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let mut reader = HashingReader::new(bytes);
    // Reading from memory cannot fail.
    let _ = io::copy(&mut reader, &mut io::sink());
    reader.finish().sha256
}

/// Debian policy 5.6.1, for the part of the package name that the network gives.
fn check_network_name(name: &str, path: &Path) -> Result<(), DebError> {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    let starts_well =
        name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    if starts_well && name.bytes().all(plain) {
        return Ok(());
    }
    Err(DebErrorKind::NetworkName {
        name: name.escape_debug().to_string(),
        path: path.to_owned(),
    }
    .into())
}

fn check_tarball_name(role: Role, name: &str, path: &Path) -> Result<(), DebError> {
    let prefix = role.tarball_prefix();
    let is_hexadecimal = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let fits = name
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'))
        .and_then(|rest| rest.strip_suffix(".tar.gz"))
        .is_some_and(is_hexadecimal);
    if fits {
        return Ok(());
    }
    Err(DebErrorKind::TarballName {
        name: name.escape_debug().to_string(),
        prefix,
        path: path.to_owned(),
    }
    .into())
}

struct TarballDigests {
    bytes: u64,
    sha256: String,
    sha3_256: String,
}

/// Both digests, each by a thread that reads the file for itself: tarballs are hundreds of megabytes,
/// and the second one finds them in the system's cache.
fn digest_tarball(path: &Path) -> Result<TarballDigests, FsError> {
    let (digested, sha3_256) = rayon::join(|| fork_fs::sha256_file(path), || sha3_256(path));
    let digested = digested?;
    Ok(TarballDigests {
        bytes: digested.bytes,
        sha256: digested.sha256,
        sha3_256: sha3_256?,
    })
}

fn sha3_256(path: &Path) -> Result<String, FsError> {
    let mut input = fork_fs::open(path)?;
    let mut sha3 = Sha3_256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(hex::encode(sha3.finalize())),
            Ok(count) => sha3.update(&buffer[..count]),
            Err(source) if source.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(FsError::io(Operation::Read, path, source)),
        }
    }
}
