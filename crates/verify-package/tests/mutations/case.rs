//! What a mutation may change, and how.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use fork_genesis::Block;
use fork_ledger::account::Account;
use fork_ledger::binprot::{decode_account, encode_account};
use fork_ledger::hash::hash_accounts;
use fork_ledger::merkle::{MerkleTree, ledger_hash};
use fork_ledger::verification_key::VkHashCache;
use fork_store::{LedgerStoreWriter, tarball_name};
use fork_types::Era;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::archive::{DebParts, Oci};
use crate::support::{Made, Opened, Run, STATUS};

/// One mutation: its name, what it does, and exactly the checks that it fails.
pub struct Row {
    pub name: &'static str,
    pub mutate: fn(&mut Case<'_>),
    pub failed: &'static [&'static str],
}

/// The same for each of many members: one mutation for every item.
pub struct Series {
    pub name: &'static str,
    pub items: &'static [&'static str],
    pub mutate: fn(&mut Case<'_>, &str),
    pub failed: &'static [&'static str],
}

/// Which ledger of the package is changed where only one is.
pub const STORE: &str = "ledger";
/// First byte of the keys of accounts.
pub const ACCOUNT: &[u8] = &[0xfe];

/// A good package, its candidate and the command line, to be changed.
pub struct Case<'a> {
    pub made: &'a Made,
    pub place: TempDir,
    /// The files of the package. They are written when the mutation is done, unless it took another
    /// form of the package.
    pub opened: Opened,
    pub candidate: PathBuf,
    pub network: Option<String>,
    pub more: Vec<String>,
    /// Changes a text in a file of the control member.
    pub control: Option<(&'static str, &'static str)>,
    /// Changes the members of the package file.
    pub deb: Option<fn(&mut DebParts)>,
    /// Another form: option and value.
    pub subject: Option<[String; 2]>,
}

impl<'a> Case<'a> {
    pub fn new(made: &'a Made) -> Self {
        let place = TempDir::new().unwrap();
        let candidate = place.path().join("candidate");
        made.copy_candidate(&candidate);
        Self {
            made,
            opened: Opened::read(&made.deb()),
            candidate,
            place,
            network: None,
            more: Vec::new(),
            control: None,
            deb: None,
            subject: None,
        }
    }

    /// What is to be verified.
    pub fn run(&self) -> Run<'a> {
        let [kind, value] = self.subject.clone().unwrap_or_else(|| {
            let deb = self.place.path().join("package.deb");
            self.opened.write(&deb);
            if self.control.is_some() || self.deb.is_some() {
                let mut parts = DebParts::read(&fs::read(&deb).unwrap());
                if let Some((from, to)) = self.control {
                    parts.replace_control(from, to);
                }
                if let Some(change) = self.deb {
                    change(&mut parts);
                }
                fs::write(&deb, parts.bytes()).unwrap();
            }
            ["--deb".to_owned(), deb.to_str().unwrap().to_owned()]
        });
        let mut run = Run::new(self.made, &kind, value);
        run.candidate.clone_from(&self.candidate);
        run.network = self.network.clone().unwrap_or(run.network);
        run.more.extend(self.more.iter().cloned());
        run
    }

    // The candidate.

    /// Changes `candidate.json`.
    pub fn document(&self, change: impl FnOnce(&mut Value)) {
        edit_json(&self.candidate.join("candidate.json"), change);
    }

    /// Changes the staged accounts, a line each.
    pub fn staged(&self, change: impl FnOnce(&mut Vec<String>)) {
        self.list("staged_ledger.json", change);
    }

    /// Changes a list of the candidate, a line each.
    pub fn list(&self, name: &str, change: impl FnOnce(&mut Vec<String>)) {
        let path = self.candidate.join(name);
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().filter(|line| line.len() > 2);
        let mut accounts: Vec<String> = lines
            .map(|line| line.trim_end_matches(',').to_owned())
            .collect();
        change(&mut accounts);
        fs::write(path, format!("[\n{}\n]\n", accounts.join(",\n"))).unwrap();
    }

    /// Makes the document name the staged accounts as they are.
    pub fn name_staged(&self) {
        self.name_file("staged_ledger.json", "/staged_ledger/file");
    }

    /// Makes the document name a file of the candidate as it is.
    pub fn name_file(&self, name: &str, pointer: &str) {
        let bytes = fs::read(self.candidate.join(name)).unwrap();
        self.document(|value| {
            let file = value.pointer_mut(pointer).unwrap();
            file["sha256"] = hex::encode(Sha256::digest(&bytes)).into();
            file["bytes"] = bytes.len().into();
        });
    }

    /// Changes a member of an account of the candidate, and makes the document name the list.
    pub fn listed(&self, wanted: fn(&Value) -> bool, change: impl FnOnce(&mut Value)) {
        self.staged(|all| {
            let account = all.iter_mut().find(|text| wanted(&json(text))).unwrap();
            let mut value = json(account);
            change(&mut value);
            *account = value.to_string();
        });
        self.name_staged();
    }

    /// Changes the block, and makes the document name it.
    pub fn block(&self, change: impl FnOnce(&mut Value)) {
        edit_json(&self.candidate.join("block.json"), change);
        self.name_file("block.json", "/block");
    }

    /// Changes one member of the block's protocol state.
    pub fn state(&self, pointer: &str, change: impl FnOnce(&mut Value)) {
        self.block(|block| {
            let full = format!("/data/protocol_state{pointer}");
            let member = block.pointer_mut(&full);
            change(member.unwrap_or_else(|| panic!("{full}")));
        });
    }

    /// Makes the document name the state hash that the block has.
    pub fn name_state(&self) {
        let bytes = fs::read(self.candidate.join("block.json")).unwrap();
        let hash = Block::from_slice(&bytes).unwrap().facts().state_hash;
        self.document(|value| value["fork_block"]["state_hash"] = hash.to_string().into());
    }

    // The package.

    pub fn entries(&mut self, change: impl FnOnce(&mut BTreeMap<Vec<u8>, Vec<u8>>)) {
        self.opened.store(STORE, change);
    }

    /// Changes the first account of the genesis store that is wanted, and nothing else in the store.
    pub fn stored(&mut self, wanted: fn(&Account) -> bool, change: impl FnOnce(&mut Account)) {
        self.entries(|entries| {
            let mut accounts = entries
                .iter_mut()
                .filter(|(key, _)| key.starts_with(ACCOUNT));
            let (bytes, mut account) = accounts
                .find_map(|(_, bytes)| {
                    let account = decode_account(Era::Mesa, bytes).unwrap();
                    wanted(&account).then_some((bytes, account))
                })
                .unwrap();
            let before = account.clone();
            change(&mut account);
            assert_ne!(before, account, "nothing was changed");
            bytes.clear();
            encode_account(&account, bytes);
        });
    }

    /// Makes the genesis ledger again from other accounts: store, tarball, name and config agree.
    pub fn forge(&mut self, change: impl FnOnce(&mut Vec<Account>)) {
        let mut accounts = self.opened.accounts(STORE);
        change(&mut accounts);
        let leaves = hash_accounts(Era::Mesa, &accounts, &VkHashCache::new()).unwrap();
        let tree = MerkleTree::new(Era::Mesa, Era::Mesa.depth(), leaves).unwrap();
        let directory = self.place.path().join("forged");
        let mut writer = LedgerStoreWriter::create(&directory, Era::Mesa.depth()).unwrap();
        for account in &accounts {
            writer.push_account(account).unwrap();
        }
        writer.finish(&tree).unwrap();
        let packed = self.place.path().join("forged.tar.gz");
        fork_store::write_tarball(&directory, &packed).unwrap();
        let old = self.opened.tarball(STORE);
        self.opened
            .replace_tarball(STORE, fs::read(packed).unwrap());
        let root = ledger_hash(tree.root());
        let name = tarball_name("genesis_ledger", &root, Era::Mesa);
        let file = self.opened.files.remove(&old).unwrap();
        self.opened
            .files
            .insert(format!("/var/lib/coda/{name}"), file);
        self.opened
            .config(|config| config["ledger"]["hash"] = root.to_string().into());
    }

    pub fn tarball(&self) -> Vec<u8> {
        self.opened.files[&self.opened.tarball(STORE)].0.clone()
    }

    /// Changes the archive inside the genesis tarball.
    pub fn archive(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut tar = gunzip(&self.tarball());
        change(&mut tar);
        let bytes = gzip(&tar);
        self.opened.replace_tarball(STORE, bytes);
    }

    // Other forms.

    /// Unpacks the package into a root as `dpkg -i` would, with dpkg's database; to be changed there.
    pub fn root(&mut self) -> PathBuf {
        let root = self.place.path().join("root");
        fs::create_dir(&root).unwrap();
        self.opened.unpack(&root);
        self.opened.install(&root);
        self.subject = Some(["--root".to_owned(), root.to_str().unwrap().to_owned()]);
        root
    }

    /// Puts the ledgers and the config where a daemon does.
    pub fn automode(&mut self) -> PathBuf {
        let root = self.place.path().join("automode");
        self.opened.automode(&root);
        self.subject = Some(["--automode".to_owned(), root.to_str().unwrap().to_owned()]);
        root
    }

    /// Copies the image and changes it.
    pub fn image(&mut self, change: impl FnOnce(&mut Oci)) {
        let directory = self.place.path().join("image");
        let mut image = Oci::read(&self.made.path("image"));
        change(&mut image);
        image.write(&directory);
        self.subject = Some(["--image".to_owned(), format!("oci:{}", directory.display())]);
    }
}

/// A second package of the same kind, as dpkg's database would have it.
pub const SECOND_PACKAGE: &str = "Package: mina-other-config\nStatus: install ok installed\nMaintainer: A <a@example.org>\nArchitecture: all\nVersion: 1\nDescription: another one\n\n";

/// The status file that `root` begins with.
pub fn status(root: &Path, change: impl FnOnce(String) -> String) {
    let path = root.join("var/lib/dpkg/status");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with(STATUS));
    let changed = change(text.clone());
    assert_ne!(text, changed);
    fs::write(path, changed).unwrap();
}

pub fn edit_json(path: &Path, change: impl FnOnce(&mut Value)) {
    let before: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let mut value = before.clone();
    change(&mut value);
    assert_ne!(before, value, "nothing was changed");
    fs::write(path, serde_json::to_vec_pretty(&value).unwrap()).unwrap();
}

pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(1));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// 200 MiB of zeros in 200 kB.
pub fn bomb() -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0; 200 << 20]).unwrap();
    encoder.finish().unwrap()
}

pub fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes)
        .read_to_end(&mut plain)
        .unwrap();
    plain
}

/// Key of the entry with this first byte and position among those.
pub fn key(entries: &BTreeMap<Vec<u8>, Vec<u8>>, prefix: &[u8], position: usize) -> Vec<u8> {
    let mut keys = entries.keys().filter(|key| key.starts_with(prefix));
    keys.nth(position).unwrap().clone()
}

/// Changes the lowest bit of the first byte of a value.
pub fn flip(entries: &mut BTreeMap<Vec<u8>, Vec<u8>>, prefix: &[u8]) {
    let key = key(entries, prefix, 0);
    entries.get_mut(&key).unwrap()[0] ^= 1;
}
