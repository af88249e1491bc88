//! A store on disk, filled as capture fills it.

use std::fs;
use std::path::{Path, PathBuf};

use dump_candidates::catalog::{Catalog, list_ref, stored_name};
use dump_candidates::{ImportArgs, ListArgs, ListError, SelectArgs, SelectError, StoreProblem};
use fork_daemon::{Store, StoreUrl};
use fork_testkit::fixture::{FixtureSpec, write_fixture};
use fork_types::document::{
    Candidate, CaptureRecord, DaemonView, Document, FileRef, SeenBlock, SeenStopSlots,
    StoredCandidate, StoredLedger,
};
use fork_types::{FieldBytes, Role, SlotSinceGenesis, SlotSinceHardFork, SlotSpan, StateHash};
use fork_worker::{Context, InputArg, OutputArgs, OutputFormat, ReportingArgs};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

pub const CONFIRMATIONS: u32 = 15;

/// A fork with one block that all daemons agree on, and one that only one of them likes.
pub struct World {
    pub directory: TempDir,
    /// The stop slots of the fixture.
    pub stop: SeenStopSlots,
    /// What import made of the two blocks.
    pub imported: Vec<Candidate>,
}

impl World {
    /// `share` makes the two epoch ledgers one.
    pub fn new(share: bool) -> Self {
        let directory = TempDir::new().unwrap();
        let mut imported = Vec::new();
        for (name, accounts) in [("a", 40), ("b", 41)] {
            let fixture = directory.path().join(format!("fixture-{name}"));
            let spec = FixtureSpec {
                accounts,
                share_epoch_ledgers: share,
                ..FixtureSpec::default()
            };
            write_fixture(&spec, &fixture, false).unwrap();
            let output = directory.path().join(format!("imported-{name}"));
            imported.push(import(&fixture, &output));
        }
        let config = fs::read(directory.path().join("fixture-a/prefork_config.json")).unwrap();
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
        let slot = |name: &str| u32::try_from(config["daemon"][name].as_u64().unwrap()).unwrap();
        let world = Self {
            stop: SeenStopSlots {
                slot_tx_end: Some(SlotSinceHardFork::new(slot("slot_tx_end"))),
                slot_chain_end: Some(SlotSinceHardFork::new(slot("slot_chain_end"))),
                hard_fork_genesis_slot_delta: Some(SlotSpan::new(60)),
            },
            directory,
            imported,
        };
        world.fill();
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    fn catalog(&self) -> Catalog {
        let store = Store::open(&StoreUrl::Local(self.store())).unwrap();
        let network = &self.imported[0].network;
        Catalog::open(store, Some(network), true).unwrap()
    }

    fn fill(&self) {
        let catalog = self.catalog();
        for (candidate, name) in self.imported.iter().zip(["a", "b"]) {
            let directory = self.path(&format!("imported-{name}"));
            for role in Role::ALL {
                let file = &candidate.ledger(role).file;
                let text = fs::read(directory.join(&file.name)).unwrap();
                let packed = zstd::encode_all(&text[..], 3).unwrap();
                let path = self.path("packed");
                fs::write(&path, &packed).unwrap();
                let ledger = stored_ledger(candidate, role, list_ref(file), &packed);
                catalog
                    .put_ledger(&ledger, &path, &self.path("journal"))
                    .unwrap();
            }
            let hash = candidate.fork_block.state_hash;
            let block = fs::read(directory.join("block.json")).unwrap();
            catalog.put_block(hash, &block).unwrap();
            assert!(catalog.put_candidate(&stored(candidate)).unwrap());
        }
        self.watch(0);
    }

    /// The views of three daemons with `before_end` slots to go until the chain ends.
    pub fn watch(&self, before_end: u32) {
        let catalog = self.catalog();
        let end = self.stop.slot_chain_end.unwrap().get();
        for (name, main) in [("seed-1", 0), ("seed-2", 0), ("seed-3", 1)] {
            let blocks = self.chain(main, if main == 0 { CONFIRMATIONS } else { 5 });
            catalog
                .put_view(&DaemonView {
                    format: DaemonView::format(),
                    version: DaemonView::version(),
                    name: name.to_owned(),
                    network_id: None,
                    chain_id: None,
                    daemon_version: None,
                    sync_status: "SYNCED".to_owned(),
                    stop: self.stop,
                    clock_slot: Some(SlotSinceHardFork::new(end - before_end)),
                    synced_slot: None,
                    observed_at_ms: 1,
                    tip: blocks.last().map(|block| block.state_hash),
                    reorganisations: 0,
                    blocks,
                })
                .unwrap();
        }
    }

    /// A parent both share, the candidate, and empty blocks on top of it.
    fn chain(&self, which: usize, confirmations: u32) -> Vec<SeenBlock> {
        let candidate = &self.imported[which];
        let fork = &candidate.fork_block;
        let tx_end = self.stop.slot_tx_end.unwrap().get();
        let own = fork.slot_since_hard_fork.unwrap().get();
        let root = |role| candidate.ledger(role).computed_root.unwrap();
        let seen = |hash, parent, length, slot: u32, commands| SeenBlock {
            state_hash: hash,
            previous_state_hash: parent,
            blockchain_length: length,
            global_slot_since_genesis: SlotSinceGenesis::new(slot + 1000),
            slot_since_hard_fork: SlotSinceHardFork::new(slot),
            staged_ledger_hash: root(Role::Genesis),
            staking_ledger_hash: root(Role::Staking),
            next_ledger_hash: root(Role::Next),
            staking_seed: candidate.seeds.staking,
            next_seed: candidate.seeds.next,
            commands,
            fee_transfers: 0,
            coinbase_nanomina: "0".to_owned(),
        };
        let number = |number: u64| StateHash::new(FieldBytes::from_u64(number));
        let mut parent = seen(number(1), number(0), fork.blockchain_length - 1, own - 1, 3);
        // The same block for both, whatever the ledgers of what follows.
        parent.staged_ledger_hash = self.imported[0]
            .ledger(Role::Genesis)
            .computed_root
            .unwrap();
        parent.staking_ledger_hash = self.imported[0]
            .ledger(Role::Staking)
            .computed_root
            .unwrap();
        parent.next_ledger_hash = self.imported[0].ledger(Role::Next).computed_root.unwrap();
        parent.staking_seed = self.imported[0].seeds.staking;
        parent.next_seed = self.imported[0].seeds.next;
        let mut blocks = vec![
            parent,
            seen(fork.state_hash, number(1), fork.blockchain_length, own, 3),
        ];
        for above in 0..confirmations {
            let last = blocks.last().unwrap();
            let hash = number(1000 * (which as u64 + 1) + u64::from(above));
            let (parent, length) = (last.state_hash, last.blockchain_length + 1);
            blocks.push(seen(hash, parent, length, tx_end + above, 0));
        }
        blocks
    }

    pub fn select(&self, change: impl FnOnce(&mut SelectArgs)) -> Result<(), SelectError> {
        let mut args = SelectArgs {
            network: self.path("fixture-a/network.toml").display().to_string(),
            store: StoreUrl::Local(self.store()),
            confirmations: CONFIRMATIONS,
            quorum: None,
            slot_tx_end: None,
            slot_chain_end: None,
            state_hash: None,
            recompute_roots: false,
            output: OutputArgs {
                output: self.path("out"),
                force: false,
            },
            reporting: ReportingArgs::default(),
        };
        change(&mut args);
        args.run(&Context::quiet(OutputFormat::Human))
    }

    pub fn list(&self, check: bool) -> Result<(), ListError> {
        let args = ListArgs {
            store: StoreUrl::Local(self.store()),
            picture: Some(self.path("fork.svg")),
            confirmations: 15,
            check,
            reporting: ReportingArgs::default(),
        };
        args.run(&Context::quiet(OutputFormat::Human))
    }

    #[track_caller]
    pub fn problems(&self, check: bool) -> Vec<StoreProblem> {
        match self.list(check) {
            Err(ListError::Problems { problems }) => problems,
            other => panic!("{other:?}"),
        }
    }

    /// The document of a ledger of the first candidate, and where its accounts are.
    pub fn ledger(&self, role: Role) -> (StoredLedger, PathBuf, PathBuf) {
        let root = self.imported[0].ledger(role).computed_root.unwrap();
        let directory = self.store().join(format!("ledgers/{root}"));
        let path = directory.join("ledger.json");
        let ledger = StoredLedger::from_json(&fs::read(&path).unwrap()).unwrap();
        let accounts = directory.join(&ledger.stored.name);
        (ledger, path, accounts)
    }

    /// Puts another text in place of a ledger of the first candidate, with a document to match.
    pub fn forge(&self, role: Role, change: impl FnOnce(&str) -> String) -> StoredLedger {
        let (ledger, path, accounts) = self.ledger(role);
        let text = zstd::decode_all(&fs::read(&accounts).unwrap()[..]).unwrap();
        let text = change(std::str::from_utf8(&text).unwrap());
        let packed = zstd::encode_all(text.as_bytes(), 3).unwrap();
        let list = FileRef {
            name: String::new(),
            sha256: sha256(text.as_bytes()),
            bytes: text.len() as u64,
        };
        let forged = stored_ledger(&self.imported[0], role, list, &packed);
        fs::remove_file(&accounts).unwrap();
        fs::write(accounts.with_file_name(&forged.stored.name), &packed).unwrap();
        fs::write(&path, forged.to_json().unwrap()).unwrap();
        assert_ne!(forged.list, ledger.list);
        forged
    }

    /// The names at `--output`, sorted.
    pub fn output(&self) -> Vec<String> {
        names(&self.path("out"))
    }

    #[track_caller]
    pub fn assert_nothing_left(&self) {
        let left = names(self.directory.path());
        assert!(!left.iter().any(|name| name.contains("out")), "{left:?}");
    }
}

pub fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn import(fixture: &Path, output: &Path) -> Candidate {
    let input = |name: &str| Some(InputArg::Path(fixture.join(name)));
    let import = ImportArgs {
        network: fixture.join("network.toml").display().to_string(),
        fork_config: input("fork_config.json"),
        replayer_output: None,
        block: input("block.json"),
        block_prefix: None,
        staged_ledger: None,
        staking_ledger: None,
        next_staking_ledger: None,
        prefork_config: None,
        sha256: None,
        era: None,
        expect_state_hash: None,
        blockchain_length: None,
        ignore_missing: false,
        skip_roots: false,
        output: OutputArgs {
            output: output.to_owned(),
            force: false,
        },
        reporting: ReportingArgs::default(),
    };
    import.import(&Context::quiet(OutputFormat::Json)).unwrap()
}

fn stored_ledger(candidate: &Candidate, role: Role, list: FileRef, packed: &[u8]) -> StoredLedger {
    let ledger = candidate.ledger(role);
    let digest = sha256(packed);
    StoredLedger {
        format: StoredLedger::format(),
        version: StoredLedger::version(),
        root: ledger.computed_root.unwrap(),
        era: candidate.source_era,
        accounts: ledger.accounts,
        total_balance_nanomina: ledger.total_balance_nanomina.clone(),
        list,
        stored: FileRef {
            name: stored_name(&digest),
            sha256: digest,
            bytes: packed.len() as u64,
        },
    }
}

pub fn stored(candidate: &Candidate) -> StoredCandidate {
    StoredCandidate {
        format: StoredCandidate::format(),
        version: StoredCandidate::version(),
        candidate: candidate.clone(),
        captured: CaptureRecord {
            daemon: "seed-1".to_owned(),
            daemon_version: None,
            chain_id: None,
            captured_at_ms: 1,
            answer_bytes: 1,
            answer_sha256: "00".repeat(32),
            answer_wait_ms: 1,
            answer_transfer_ms: 1,
        },
    }
}

pub fn document<D: Document>(directory: &Path) -> D {
    D::from_json(&fs::read(directory.join(D::FILE_NAME)).unwrap()).unwrap()
}
