//! Builds a whole valid network config with its three ledgers, cheaply: the tarballs hold a few
//! bytes, and every document and digest around them is right.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use fork_types::document::{
    AuditCounts, CandidateRef, ChainIdSummary, Document, FileRef, ForkSummary, LedgerDocument,
    NetworkDocument, NetworkLedger, RuleRef, SourceLedger, StoreProofKind, Tarball, TargetLedger,
};
use fork_types::{
    Era, FieldBytes, LedgerHash, Role, SlotSinceGenesis, SlotSinceHardFork, StateHash,
};
use serde_json::json;
use sha3::{Digest, Sha3_256};

/// The network's name.
pub const NETWORK: &str = "devnet";
/// Genesis time of the Mesa fork of devnet, seconds since 1970.
pub const GENESIS_SECONDS: u64 = 1_787_162_400;

/// The directories of a fake run.
pub struct Fake {
    pub network: PathBuf,
    pub ledgers: [PathBuf; 3],
}

/// How a fake differs from the usual one.
#[derive(Clone, Copy, Default)]
pub struct Options {
    /// Whether the two epoch ledgers are the same ledger.
    pub equal_epochs: bool,
    /// Whether a source ledger is unverified.
    pub unverified: bool,
}

/// Writes a whole run below `root`.
pub fn fake(root: &Path, options: Options) -> Fake {
    let candidate = CandidateRef {
        network: NETWORK.to_owned(),
        state_hash: state_hash(),
        sha256: "c0".repeat(32),
    };
    let ledgers = Role::ALL.map(|role| root.join(role.name()));
    let documents: Vec<LedgerDocument> = Role::ALL
        .into_iter()
        .zip(&ledgers)
        .map(|(role, directory)| ledger(directory, role, &candidate, options))
        .collect();
    let network = root.join("network");
    fs::create_dir_all(&network).unwrap();
    write_network(&network, candidate, &documents, !options.unverified);
    Fake { network, ledgers }
}

fn state_hash() -> StateHash {
    StateHash::new(FieldBytes::from_u64(7))
}

fn seed_of(role: Role, options: Options) -> u64 {
    match role {
        Role::Genesis => 1,
        Role::Next if !options.equal_epochs => 3,
        Role::Staking | Role::Next => 2,
    }
}

fn ledger(
    directory: &Path,
    role: Role,
    candidate: &CandidateRef,
    options: Options,
) -> LedgerDocument {
    fs::create_dir_all(directory).unwrap();
    let seed = seed_of(role, options);
    let name = format!("{}_{seed:064x}.tar.gz", role.tarball_prefix());
    // Real gzip (lintian looks), of different sizes, so that padding and rounding are exercised.
    let mut encoder = fork_package::gzip::encoder(Vec::new());
    for number in 0..500 + 100 * seed {
        writeln!(encoder, "ledger {seed} account {number}").unwrap();
    }
    let content = encoder.finish().unwrap();
    fs::write(directory.join(&name), &content).unwrap();
    let file = fork_fs::file_ref(directory, &name).unwrap();
    let root = LedgerHash::new(FieldBytes::from_u64(seed));
    let document = LedgerDocument {
        format: LedgerDocument::format(),
        version: LedgerDocument::version(),
        role,
        rule: RuleRef {
            name: "berkeley-to-mesa".to_owned(),
            from: Era::Berkeley,
            to: Era::Mesa,
            fork_slot: Some(SlotSinceGenesis::new(859_560)),
            variant: None,
        },
        candidate: Some(candidate.clone()),
        source: SourceLedger {
            file: FileRef {
                name: "accounts.json".to_owned(),
                sha256: "a0".repeat(32),
                bytes: 2,
            },
            accounts: 0,
            depth: 35,
            root,
            root_computed: true,
            claimed_root: None,
            verified: !(options.unverified && role == Role::Next),
        },
        target: TargetLedger {
            accounts: 0,
            depth: 35,
            root,
            proof: StoreProofKind::Log,
            expected_by_caller: false,
        },
        audit: AuditCounts::default(),
        tarball: Tarball {
            file,
            s3_data_hash: hex::encode(Sha3_256::digest(&content)),
            content_sha256: "d0".repeat(32),
            entries: 0,
        },
        stages_ms: BTreeMap::new(),
        peak_memory_bytes: None,
        kernel: None,
    };
    fs::write(
        directory.join(LedgerDocument::FILE_NAME),
        document.to_json().unwrap(),
    )
    .unwrap();
    document
}

fn write_network(
    directory: &Path,
    candidate: CandidateRef,
    ledgers: &[LedgerDocument],
    sources_verified: bool,
) {
    let named = |index: usize| {
        let ledger = &ledgers[index];
        json!({
            "hash": ledger.target.root.to_string(),
            "s3_data_hash": ledger.tarball.s3_data_hash,
        })
    };
    let with = |mut value: serde_json::Value, name: &str, member: serde_json::Value| {
        value[name] = member;
        value
    };
    let config = json!({
        "genesis": { "genesis_state_timestamp": "2026-08-19T18:00:00Z" },
        "proof": { "fork": {
            "state_hash": state_hash().to_string(),
            "blockchain_length": 500_000,
            "global_slot_since_genesis": 859_560,
        } },
        "ledger": with(named(0), "add_genesis_winner", json!(false)),
        "epoch_data": {
            "staking": with(named(1), "seed", json!("staking")),
            "next": with(named(2), "seed", json!("next")),
        },
    });
    let hashes = json!({
        "ledger": named(0),
        "epoch_data": { "staking": named(1), "next": named(2) },
    });
    let file = |name: &str, value: &serde_json::Value| {
        fs::write(directory.join(name), value.to_string()).unwrap();
        fork_fs::file_ref(directory, name).unwrap()
    };
    let document = NetworkDocument {
        format: NetworkDocument::format(),
        version: NetworkDocument::version(),
        network: NETWORK.to_owned(),
        config: file("config.json", &config),
        hashes: file("hashes.json", &hashes),
        prefork_config: file("prefork.json", &json!({ "ledger": { "name": "devnet" } })),
        candidate,
        fork: ForkSummary {
            state_hash: state_hash(),
            blockchain_length: 500_000,
            global_slot_since_genesis: SlotSinceGenesis::new(859_560),
            slot_since_hard_fork: SlotSinceHardFork::new(413_700),
            genesis_state_timestamp: "2026-08-19T18:00:00Z".to_owned(),
            genesis_state_timestamp_ms: GENESIS_SECONDS * 1000,
        },
        derivation: Vec::new(),
        chain_id: ChainIdSummary {
            inputs: Vec::new(),
            chain_id: None,
        },
        ledgers: ledgers
            .iter()
            .map(|ledger| NetworkLedger {
                role: ledger.role,
                hash: ledger.target.root,
                s3_data_hash: ledger.tarball.s3_data_hash.clone(),
                sha256: ledger.tarball.file.sha256.clone(),
                content_sha256: Some(ledger.tarball.content_sha256.clone()),
                tarball: ledger.tarball.file.name.clone(),
            })
            .collect(),
        checks: Vec::new(),
        warnings: Vec::new(),
        sources_verified,
    };
    fs::write(
        directory.join(NetworkDocument::FILE_NAME),
        document.to_json().unwrap(),
    )
    .unwrap();
}
