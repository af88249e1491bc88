//! Every mutation of a good package, candidate or command line fails exactly the checks it must.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use fork_package::ar;
use serde_json::Value;
use sha2::{Digest, Sha256};
use support::{Made, Opened, Run};
use tempfile::TempDir;
use verify_package::Outcome;

/// What a mutation may change.
struct Case {
    opened: Opened,
    candidate: PathBuf,
    network: Option<String>,
    more: Vec<&'static str>,
    /// Changes the bytes of the control member's tar.
    control: Option<(&'static str, &'static str)>,
}

struct Row {
    name: &'static str,
    mutate: fn(&mut Case),
    failed: &'static [&'static str],
}

const STORE: &str = "ledger";

impl Case {
    /// Changes `candidate.json`.
    fn document(&self, change: impl FnOnce(&mut Value)) {
        let path = self.candidate.join("candidate.json");
        let mut value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut value);
        fs::write(path, serde_json::to_vec_pretty(&value).unwrap()).unwrap();
    }

    /// Changes the staged accounts, a line each.
    fn staged(&self, change: impl FnOnce(&mut Vec<String>)) {
        let path = self.candidate.join("staged_ledger.json");
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().filter(|line| line.len() > 2);
        let mut accounts: Vec<String> = lines
            .map(|line| line.trim_end_matches(',').to_owned())
            .collect();
        change(&mut accounts);
        fs::write(path, format!("[\n{}\n]\n", accounts.join(",\n"))).unwrap();
    }

    /// Makes the document name the staged accounts as they are.
    fn name_staged(&self) {
        let bytes = fs::read(self.candidate.join("staged_ledger.json")).unwrap();
        self.document(|value| {
            let file = &mut value["staged_ledger"]["file"];
            file["sha256"] = hex::encode(Sha256::digest(&bytes)).into();
            file["bytes"] = bytes.len().into();
        });
    }

    fn entries(&mut self, change: impl FnOnce(&mut BTreeMap<Vec<u8>, Vec<u8>>)) {
        self.opened.store(STORE, change);
    }

    fn tarball(&self) -> Vec<u8> {
        self.opened.files[&self.opened.tarball(STORE)].0.clone()
    }

    /// Changes the archive inside the genesis tarball.
    fn archive(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut tar = gunzip(&self.tarball());
        change(&mut tar);
        let bytes = gzip(&tar);
        self.opened.replace_tarball(STORE, bytes);
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(1));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// 200 MiB of zeros in 200 kB.
fn bomb() -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0; 200 << 20]).unwrap();
    encoder.finish().unwrap()
}

/// The first account of the chain's own token.
fn of_default_token(accounts: &mut [String]) -> &mut String {
    const DEFAULT: &str = "wSHV2S4qX9jFsLjQo8r1BsMLH2ZRKsZx6EJd1sbozGPieEC4Jf";
    let is_default = |account: &&mut String| {
        let json: Value = serde_json::from_str(account).unwrap();
        json.get("token").is_none_or(|token| token == DEFAULT)
    };
    accounts.iter_mut().find(is_default).unwrap()
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes)
        .read_to_end(&mut plain)
        .unwrap();
    plain
}

fn member(account: &mut String, name: &str, value: Value) {
    let mut json: Value = serde_json::from_str(account).unwrap();
    json[name] = value;
    *account = json.to_string();
}

/// Key of the entry with this first byte and position among those.
fn key(entries: &BTreeMap<Vec<u8>, Vec<u8>>, prefix: &[u8], position: usize) -> Vec<u8> {
    let mut keys = entries.keys().filter(|key| key.starts_with(prefix));
    keys.nth(position).unwrap().clone()
}

/// Changes the lowest bit of the first byte of a value.
fn flip(entries: &mut BTreeMap<Vec<u8>, Vec<u8>>, prefix: &[u8]) {
    let key = key(entries, prefix, 0);
    entries.get_mut(&key).unwrap()[0] ^= 1;
}

fn swap(config: &mut Value, member: &str) {
    let at = |epoch: &str| format!("/epoch_data/{epoch}/{member}");
    let staking = config.pointer(&at("staking")).unwrap().clone();
    let next = config.pointer(&at("next")).unwrap().clone();
    *config.pointer_mut(&at("staking")).unwrap() = next;
    *config.pointer_mut(&at("next")).unwrap() = staking;
}

const ACCOUNT: &[u8] = &[0xfe];
/// Everything that follows from other accounts under an unchanged header.
const OTHER_ACCOUNTS: &[&str] = &[
    "config.ledger-hashes",
    "migration.genesis.accounts",
    "store.genesis.inner-hashes",
    "store.genesis.root",
];

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { name: "candidate: balance", mutate: |case| case.staged(|all| member(of_default_token(all), "balance", "1.5".into())),
        failed: &["candidate.counts", "candidate.digests", "migration.genesis.accounts", "migration.genesis.root", "root.staged", "supply.genesis"] },
    Row { name: "candidate: balance, document adapted", mutate: |case| { case.staged(|all| member(of_default_token(all), "balance", "1.5".into())); case.name_staged(); },
        failed: &["candidate.counts", "migration.genesis.accounts", "migration.genesis.root", "root.staged", "supply.genesis"] },
    Row { name: "candidate: nonce", mutate: |case| { case.staged(|all| member(&mut all[0], "nonce", "77777".into())); case.name_staged(); },
        failed: &["migration.genesis.accounts", "migration.genesis.root", "root.staged"] },
    Row { name: "candidate: order", mutate: |case| { case.staged(|all| all.swap(1, 2)); case.name_staged(); },
        failed: &["migration.genesis.accounts", "migration.genesis.root", "root.staged"] },
    Row { name: "candidate: missing account", mutate: |case| { case.staged(|all| { all.pop(); }); case.name_staged(); },
        failed: &["candidate.counts", "migration.genesis.accounts", "migration.genesis.root", "root.staged", "supply.genesis"] },
    Row { name: "candidate: no JSON", mutate: |case| { fs::write(case.candidate.join("staged_ledger.json"), "[{]").unwrap(); case.name_staged(); },
        failed: &["candidate.counts"] },
    Row { name: "candidate: block is damaged", mutate: |case| fs::write(case.candidate.join("block.json"), "{}").unwrap(),
        failed: &["block.readable", "candidate.digests"] },
    Row { name: "candidate.json: seeds", mutate: |case| case.document(|value| value["seeds"]["staking"] = value["seeds"]["next"].clone()),
        failed: &["block.seeds"] },
    Row { name: "candidate.json: length", mutate: |case| case.document(|value| value["fork_block"]["blockchain_length"] = 1.into()),
        failed: &["block.length"] },
    Row { name: "candidate.json: slot", mutate: |case| case.document(|value| value["fork_block"]["global_slot_since_genesis"] = 1.into()),
        failed: &["block.slots"] },
    Row { name: "candidate.json: state hash", mutate: |case| case.document(|value| value["fork_block"]["state_hash"] = "3NK2tkzqqK5spR2sZ7tujjqPksL45M3UUrcA4WhCkeiPtnugyE2x".into()),
        failed: &["block.state-hash"] },
    Row { name: "candidate.json: network", mutate: |case| case.document(|value| value["network"] = "other".into()),
        failed: &["candidate.network"] },
    Row { name: "config: seed", mutate: |case| case.opened.config(|config| config["epoch_data"]["staking"]["seed"] = config["epoch_data"]["next"]["seed"].clone()),
        failed: &["config.epoch-seeds"] },
    Row { name: "config: seeds swapped", mutate: |case| case.opened.config(|config| swap(config, "seed")),
        failed: &["config.epoch-seeds"] },
    Row { name: "config: epoch hashes swapped", mutate: |case| case.opened.config(|config| swap(config, "hash")),
        failed: &["migration.next.accounts", "migration.next.root", "migration.staking.accounts", "migration.staking.root", "supply.next", "supply.staking", "tarball.next.s3-data-hash", "tarball.staking.s3-data-hash"] },
    Row { name: "config: epoch ledgers swapped", mutate: |case| case.opened.config(|config| { swap(config, "hash"); swap(config, "s3_data_hash"); }),
        failed: &["migration.next.accounts", "migration.next.root", "migration.staking.accounts", "migration.staking.root", "supply.next", "supply.staking"] },
    Row { name: "config: another root", mutate: |case| case.opened.config(|config| config["ledger"]["hash"] = config["epoch_data"]["next"]["hash"].clone()),
        failed: &["config.ledger-hashes", "migration.genesis.root", "tarball.genesis.name"] },
    Row { name: "config: another s3_data_hash", mutate: |case| case.opened.config(|config| config["ledger"]["s3_data_hash"] = "0".repeat(64).into()),
        failed: &["tarball.genesis.s3-data-hash"] },
    Row { name: "config: length", mutate: |case| case.opened.config(|config| config["proof"]["fork"]["blockchain_length"] = 1.into()),
        failed: &["config.fork-length"] },
    Row { name: "config: state hash", mutate: |case| case.opened.config(|config| config["proof"]["fork"]["state_hash"] = "3NK2tkzqqK5spR2sZ7tujjqPksL45M3UUrcA4WhCkeiPtnugyE2x".into()),
        failed: &["config.fork-state-hash"] },
    Row { name: "config: slot", mutate: |case| case.opened.config(|config| config["proof"]["fork"]["global_slot_since_genesis"] = 958_441.into()),
        failed: &["config.fork-slot", "config.slot-from-timestamp", "config.timestamp-from-slot"] },
    Row { name: "config: timestamp", mutate: |case| case.opened.config(|config| config["genesis"]["genesis_state_timestamp"] = "2026-09-03T18:00:01Z".into()),
        failed: &["config.slot-from-timestamp", "config.timestamp-from-slot"] },
    Row { name: "config: genesis winner", mutate: |case| case.opened.config(|config| config["ledger"]["add_genesis_winner"] = true.into()),
        failed: &["config.no-genesis-winner"] },
    Row { name: "config: stop slot", mutate: |case| case.opened.config(|config| config["daemon"]["slot_tx_end"] = 1.into()),
        failed: &["config.no-stale-stop-slots", "config.schema"] },
    Row { name: "config: network id", mutate: |case| case.opened.config(|config| config["daemon"]["network_id"] = "other".into()),
        failed: &["config.network-id"] },
    Row { name: "config: unknown member", mutate: |case| case.opened.config(|config| config["surprise"] = 1.into()),
        failed: &["config.schema"] },
    Row { name: "config: no JSON", mutate: |case| for path in case.opened.config_paths() { case.opened.files.get_mut(&path).unwrap().0 = b"{".to_vec(); },
        failed: &["config.readable"] },
    Row { name: "config: one copy", mutate: |case| case.opened.files.get_mut("/var/lib/coda/config_68503010.json").unwrap().0.push(b' '),
        failed: &["config.copies"] },
    Row { name: "old config", mutate: |case| { let path = case.opened.files.keys().find(|path| path.ends_with(".old.json")).unwrap().clone(); case.opened.files.get_mut(&path).unwrap().0.push(b' '); },
        failed: &["config.old-config"] },
    Row { name: "package: extra file", mutate: |case| { case.opened.files.insert("/var/lib/coda/extra.json".to_owned(), (b"{}".to_vec(), 0o644)); },
        failed: &["package.files"] },
    Row { name: "package: second config for a commit", mutate: |case| { let config = case.opened.files["/var/lib/coda/config_68503010.json"].clone(); case.opened.files.insert("/var/lib/coda/config_68503011.json".to_owned(), config); },
        failed: &["package.files"] },
    Row { name: "package: no unit", mutate: |case| { case.opened.files.remove("/usr/lib/systemd/user/mina.service"); },
        failed: &["package.files"] },
    Row { name: "package: mode", mutate: |case| case.opened.files.get_mut("/var/lib/coda/config_68503010.json").unwrap().1 = 0o600,
        failed: &["package.modes"] },
    Row { name: "package: set-user-id", mutate: |case| case.opened.files.get_mut("/usr/lib/systemd/user/mina.service").unwrap().1 = 0o4644,
        failed: &["package.modes"] },
    Row { name: "package: md5sums", mutate: |case| case.control = Some(("  usr/lib/systemd", "  usr/lib/systemD")),
        failed: &["package.md5sums"] },
    Row { name: "package: name", mutate: |case| case.control = Some(("Package: mina-fixture-1", "Package: mina-fixture-2")),
        failed: &["package.control"] },
    Row { name: "package: version", mutate: |case| case.control = Some(("Version: 4.0.0-685", "Version: 4.0.0-6_5")),
        failed: &["package.control"] },
    Row { name: "package: architecture", mutate: |case| case.control = Some(("Architecture: all", "Architecture: arm")),
        failed: &["package.control"] },
    Row { name: "package: size", mutate: |case| case.control = Some(("Installed-Size: ", "Installed-Size: 9")),
        failed: &["package.control"] },
    Row { name: "package: no staking tarball", mutate: |case| { let path = case.opened.tarball("epoch_data/staking"); case.opened.files.remove(&path); },
        failed: &["tarball.staking.name"] },
    Row { name: "package: tarball renamed", mutate: |case| { let path = case.opened.tarball(STORE); let file = case.opened.files.remove(&path).unwrap(); case.opened.files.insert(format!("/var/lib/coda/genesis_ledger_{}.tar.gz", "0".repeat(64)), file); },
        failed: &["tarball.genesis.name"] },
    Row { name: "tarball: compressed again", mutate: |case| { let bytes = gzip(&gunzip(&case.tarball())); let path = case.opened.tarball(STORE); case.opened.files.get_mut(&path).unwrap().0 = bytes; },
        failed: &["tarball.genesis.s3-data-hash"] },
    Row { name: "tarball: cut short", mutate: |case| { let mut bytes = case.tarball(); bytes.truncate(bytes.len() / 2); case.opened.replace_tarball(STORE, bytes); },
        failed: &["tarball.genesis.gzip"] },
    Row { name: "tarball: checksum", mutate: |case| { let mut bytes = case.tarball(); let at = bytes.len() - 6; bytes[at] ^= 1; case.opened.replace_tarball(STORE, bytes); },
        failed: &["tarball.genesis.gzip"] },
    Row { name: "tarball: something behind it", mutate: |case| { let mut bytes = case.tarball(); bytes.extend(b"more"); case.opened.replace_tarball(STORE, bytes); },
        failed: &["tarball.genesis.gzip"] },
    Row { name: "tarball: second gzip member", mutate: |case| { let mut bytes = case.tarball(); bytes.extend(gzip(&[])); case.opened.replace_tarball(STORE, bytes); },
        failed: &["tarball.genesis.gzip"] },
    Row { name: "tarball: bomb", mutate: |case| { let bytes = bomb(); case.opened.replace_tarball(STORE, bytes); },
        failed: &["tarball.genesis.gzip"] },
    Row { name: "tarball: something after the archive", mutate: |case| case.archive(|tar| tar.extend([1; 512])),
        failed: &["tarball.genesis.tar"] },
    Row { name: "tarball: extra member", mutate: |case| case.archive(|tar| {
            let mut header = tar::Header::new_ustar();
            header.set_path("evil.sh").unwrap();
            header.set_size(0);
            header.set_mode(0o755);
            header.set_cksum();
            tar.splice(..0, header.as_bytes().iter().copied());
        }),
        failed: &["tarball.genesis.tar"] },
    Row { name: "tarball: member that leaves the directory", mutate: |case| case.archive(|tar| {
            let mut header = tar::Header::new_ustar();
            header.as_old_mut().name[..10].copy_from_slice(b"../CURRENT");
            header.set_size(0);
            header.set_mode(0o644);
            header.set_cksum();
            tar.splice(..0, header.as_bytes().iter().copied());
        }),
        failed: &["tarball.genesis.tar"] },
    Row { name: "store: root node", mutate: |case| case.entries(|entries| flip(entries, &[35])),
        failed: &["store.genesis.root"] },
    Row { name: "store: inner node", mutate: |case| case.entries(|entries| flip(entries, &[3])),
        failed: &["store.genesis.inner-hashes"] },
    Row { name: "store: leaf hash", mutate: |case| case.entries(|entries| flip(entries, &[0])),
        failed: &["store.genesis.inner-hashes"] },
    Row { name: "store: node missing", mutate: |case| case.entries(|entries| { let key = key(entries, &[2], 1); entries.remove(&key); }),
        failed: &["store.genesis.inner-hashes"] },
    Row { name: "store: location", mutate: |case| case.entries(|entries| { let (a, b) = (key(entries, b"\xff$B62", 0), key(entries, b"\xff$B62", 1)); let value = entries[&a].clone(); entries.insert(b, value); }),
        failed: &["store.genesis.records"] },
    Row { name: "store: token owner", mutate: |case| case.entries(|entries| { let (a, b) = (key(entries, b"\xff$tid!", 0), key(entries, b"\xff$tid!", 1)); let value = entries[&a].clone(); entries.insert(b, value); }),
        failed: &["store.genesis.records"] },
    Row { name: "store: token set missing", mutate: |case| case.entries(|entries| { let key = key(entries, b"\xff$tids!", 0); entries.remove(&key); }),
        failed: &["store.genesis.records"] },
    Row { name: "store: last location", mutate: |case| case.entries(|entries| { let last = key(entries, b"\xfflast_account_location", 0); *entries.get_mut(&last).unwrap().last_mut().unwrap() ^= 0x20; }),
        failed: &["store.genesis.records"] },
    Row { name: "store: extra entry", mutate: |case| case.entries(|entries| { entries.insert(b"\xffzzz".to_vec(), b"1".to_vec()); }),
        failed: &["store.genesis.records"] },
    Row { name: "store: account missing", mutate: |case| case.entries(|entries| { let key = key(entries, ACCOUNT, 5); entries.remove(&key); }),
        failed: &["migration.genesis.accounts", "store.genesis.accounts"] },
    Row { name: "store: last account missing", mutate: |case| case.entries(|entries| { let key = key(entries, ACCOUNT, support::ACCOUNTS as usize - 1); entries.remove(&key); }),
        failed: &["+", "store.genesis.records", "supply.genesis"] },
    Row { name: "store: account garbled", mutate: |case| case.entries(|entries| { let key = key(entries, ACCOUNT, 5); entries.get_mut(&key).unwrap().push(0); }),
        failed: &["migration.genesis.accounts", "store.genesis.accounts"] },
    Row { name: "store: account twice", mutate: |case| case.entries(|entries| { let value = entries[&key(entries, ACCOUNT, 0)].clone(); let second = key(entries, ACCOUNT, 1); entries.insert(second, value); }),
        failed: &["+", "store.genesis.accounts", "store.genesis.records", "supply.genesis"] },
    Row { name: "store: order", mutate: |case| case.entries(|entries| { let (a, b) = (key(entries, ACCOUNT, 0), key(entries, ACCOUNT, 1)); let (first, second) = (entries[&a].clone(), entries[&b].clone()); entries.insert(a, second); entries.insert(b, first); }),
        failed: &["+", "store.genesis.records"] },
    Row { name: "command line: variant", mutate: |case| case.more = vec!["--variant", "no-vesting"],
        failed: &["migration.genesis.accounts", "migration.genesis.root", "migration.next.accounts", "migration.next.root", "migration.staking.accounts", "migration.staking.root"] },
    Row { name: "command line: fork slot", mutate: |case| case.more = vec!["--fork-slot", "900000"],
        failed: &["config.fork-slot", "migration.genesis.accounts", "migration.genesis.root", "migration.next.accounts", "migration.next.root", "migration.staking.accounts", "migration.staking.root"] },
    Row { name: "command line: network", mutate: |case| case.network = Some("mainnet".to_owned()),
        failed: &["block.network", "candidate.network", "config.network-id", "package.control", "package.files"] },
];

/// Writes the package, with the control member changed if the case asks for it.
fn write(case: &Case, target: &Path) {
    case.opened.write(target);
    let Some((from, to)) = case.control else {
        return;
    };
    let bytes = fs::read(target).unwrap();
    let mut input = bytes.as_slice();
    ar::read_magic(&mut input).unwrap();
    let mut output = ar::MAGIC.to_vec();
    while let Some(member) = ar::next_member(&mut input).unwrap() {
        let mut content = vec![0; member.bytes as usize];
        input.read_exact(&mut content).unwrap();
        ar::skip_padding(&mut input, member.bytes).unwrap();
        if member.name == "control.tar.gz" {
            content = gzip(&changed(&gunzip(&content), from, to));
        }
        let length = content.len() as u64;
        ar::write_member(
            &mut output,
            &member.name,
            member.mtime,
            length,
            &mut content.as_slice(),
        )
        .unwrap();
    }
    fs::write(target, output).unwrap();
}

/// The tar of a control member with a text in one of its files replaced.
fn changed(tar: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut archive = tar::Archive::new(tar);
    let mut found = false;
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut header = entry.header().clone();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        found |= content.contains(from);
        let content = content.replacen(from, to, 1);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    assert!(found, "{from}");
    builder.into_inner().unwrap()
}

#[test]
fn every_mutation_fails_its_checks_and_no_others() {
    let made = Made::once("verify-mutations");
    let mut wrong = Vec::new();
    for row in ROWS {
        let place = TempDir::new().unwrap();
        let mut case = Case {
            opened: Opened::read(&made.deb()),
            candidate: place.path().join("candidate"),
            network: None,
            more: Vec::new(),
            control: None,
        };
        made.copy_candidate(&case.candidate);
        (row.mutate)(&mut case);
        let deb = place.path().join("package.deb");
        write(&case, &deb);
        let mut run = Run::new(made, "--deb", deb.to_str().unwrap());
        run.candidate.clone_from(&case.candidate);
        run.network = case.network.clone().unwrap_or(run.network);
        run.more
            .extend(case.more.iter().map(|&text| text.to_owned()));
        let report = run.report();
        let mut failed = report.ids(Outcome::Failed);
        failed.sort_unstable();
        let mut expected: Vec<&str> = row
            .failed
            .iter()
            .flat_map(|id| {
                if *id == "+" {
                    OTHER_ACCOUNTS
                } else {
                    std::slice::from_ref(id)
                }
            })
            .copied()
            .collect();
        expected.sort_unstable();
        if failed != expected {
            wrong.push(format!(
                "{}:\n  found    {failed:?}\n  expected {expected:?}",
                row.name
            ));
        }
        for check in &report.checks {
            if check.outcome == Outcome::Failed {
                assert!(
                    check.expected.is_some() && check.found != check.expected,
                    "{check:?}"
                );
            }
        }
    }
    assert!(ROWS.len() >= 60, "{}", ROWS.len());
    assert!(
        wrong.is_empty(),
        "{} rows\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
