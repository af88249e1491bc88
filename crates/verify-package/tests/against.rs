//! Two packages: which input differs first, and what that does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use fork_ledger::account::Timing;
use fork_ledger::binprot::{decode_account, encode_account};
use fork_types::{Era, SlotSinceGenesis};
use serde_json::Value;
use support::{Made, Opened, Run, assert_passed};
use tempfile::TempDir;
use verify_package::{Effect, Outcome, Part, ReportComparison, ReportDifference, ReportDocument};

fn made() -> &'static Made {
    Made::once("verify-against")
}

/// What a daemon would have written from the same candidate: its own name for the time, its own
/// order of members, no network.
fn automode(opened: &Opened, root: &Path) {
    fs::create_dir(root.join("genesis")).unwrap();
    for (path, (bytes, _)) in &opened.files {
        let name = path.rsplit('/').next().unwrap();
        if name.ends_with(".tar.gz") {
            fs::write(root.join("genesis").join(name), bytes).unwrap();
        }
    }
    let config = &opened.files[&opened.config_paths()[0]].0;
    let mut config: Value = serde_json::from_slice(config).unwrap();
    config.as_object_mut().unwrap().remove("daemon");
    let time = &mut config["genesis"]["genesis_state_timestamp"];
    *time = time
        .as_str()
        .unwrap()
        .replace('T', " ")
        .replace('Z', "+00:00")
        .into();
    fs::write(root.join("daemon.json"), config.to_string()).unwrap();
}

fn against(reference: &str) -> ReportDocument {
    let mut run = Run::new(made(), "--deb", made().deb().to_str().unwrap());
    run.more
        .extend(["--against".to_owned(), reference.to_owned()]);
    run.report()
}

/// The comparison of the good package with a changed one.
fn changed(change: impl FnOnce(&mut Opened)) -> ReportDocument {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("changed.deb");
    let mut opened = Opened::read(&made().deb());
    change(&mut opened);
    opened.write(&path);
    against(&format!("deb:{}", path.display()))
}

fn comparison(report: &ReportDocument) -> &ReportComparison {
    report.comparison.as_ref().unwrap()
}

fn find<'a>(report: &'a ReportDocument, input: &str) -> &'a ReportDifference {
    let all = &comparison(report).differences;
    let found = all.iter().find(|one| one.input == input);
    found.unwrap_or_else(|| panic!("no {input} in {all:#?}"))
}

/// Which checks about the second package failed; no other may.
#[track_caller]
fn assert_failed(report: &ReportDocument, failed: &[&str]) {
    assert_eq!(
        report.ids(Outcome::Failed),
        failed,
        "{:#?}",
        comparison(report)
    );
}

#[test]
fn a_package_and_what_a_daemon_wrote_are_one_chain() {
    let root = TempDir::new().unwrap();
    automode(&Opened::read(&made().deb()), root.path());
    let report = against(&format!("automode:{}", root.path().display()));
    assert_passed(
        &report,
        &["image.dpkg-status", "image.content", "against.files"],
    );
    let comparison = comparison(&report);
    assert_eq!(comparison.first, None);
    assert_eq!(comparison.inputs.len(), 10);
    let harmless: Vec<&str> = comparison
        .differences
        .iter()
        .map(|one| {
            assert_eq!(one.effect, Effect::Harmless, "{one:#?}");
            one.input.as_str()
        })
        .collect();
    assert_eq!(harmless, ["network_id", "genesis_state_timestamp"]);
    assert!(comparison.summary.contains("2 differences are harmless"));
    assert!(
        report
            .proved
            .iter()
            .any(|text| text.starts_with("Both packages give"))
    );
    // And the other way round.
    let mut run = Run::new(made(), "--automode", root.path().to_str().unwrap());
    let deb = format!("deb:{}", made().deb().display());
    run.more.extend(["--against".to_owned(), deb]);
    assert_eq!(run.report().comparison.unwrap().first, None);
}

#[test]
fn all_forms_of_one_package_are_equal() {
    let root = TempDir::new().unwrap();
    Opened::read(&made().deb()).unpack(root.path());
    for reference in [
        format!("deb:{}", made().deb().display()),
        format!("oci:{}", made().path("image").display()),
        format!("docker-archive:{}", made().path("image.tar").display()),
        format!("root:{}", root.path().display()),
    ] {
        let report = against(&reference);
        assert_failed(&report, &[]);
        assert_eq!(comparison(&report).differences, [], "{reference}");
        let is_root = reference.starts_with("root:");
        let without = report.ids(Outcome::NotRun).contains(&"against.files");
        assert_eq!(without, is_root, "a root has no control data");
    }
}

#[test]
fn members_of_the_config_come_in_their_order() {
    let state_hash = "3NL93SipJfAMNDBRfQ8Uo8LPovC74mnJZfZYB5SK7mTtkL72dsPx";
    let rows: [(&str, &str, Value); 5] = [
        ("network_id", "/daemon/network_id", "elsewhere".into()),
        (
            "genesis_state_timestamp",
            "/genesis/genesis_state_timestamp",
            "2030-01-01T00:00:00Z".into(),
        ),
        (
            "fork.state_hash",
            "/proof/fork/state_hash",
            state_hash.into(),
        ),
        (
            "fork.blockchain_length",
            "/proof/fork/blockchain_length",
            7.into(),
        ),
        (
            "fork.global_slot_since_genesis",
            "/proof/fork/global_slot_since_genesis",
            8.into(),
        ),
    ];
    for first in 0..rows.len() {
        // This one and all behind it.
        let report = changed(|opened| {
            opened.config(|config| {
                for (_, pointer, value) in &rows[first..] {
                    *config.pointer_mut(pointer).unwrap() = value.clone();
                }
            });
        });
        assert_failed(&report, &["against.chain-id-inputs"]);
        assert_eq!(comparison(&report).first.as_deref(), Some(rows[first].0));
        assert_eq!(comparison(&report).differences.len(), rows.len() - first);
        let effect = match first {
            0 => Effect::Disagree,
            _ => Effect::CannotPeer,
        };
        assert_eq!(find(&report, rows[first].0).effect, effect);
        assert!(comparison(&report).summary.contains("cannot peer"));
    }
}

#[test]
fn swapped_seeds_part_the_nodes() {
    let report = changed(|opened| {
        opened.config(|config| {
            let seed = |epoch: &str| config["epoch_data"][epoch]["seed"].clone();
            let (staking, next) = (seed("staking"), seed("next"));
            config["epoch_data"]["staking"]["seed"] = next;
            config["epoch_data"]["next"]["seed"] = staking;
        });
    });
    assert_failed(&report, &["against.chain-id-inputs"]);
    assert_eq!(
        comparison(&report).first.as_deref(),
        Some("epoch_data.staking.seed")
    );
    let (one, other) = (
        find(&report, "epoch_data.staking.seed"),
        find(&report, "epoch_data.next.seed"),
    );
    assert_eq!((&one.here, &one.there), (&other.there, &other.here));
}

/// Changes the timing of the first timed account of the genesis ledger; gives its leaf.
fn change_timing(opened: &mut Opened) -> u64 {
    let mut leaf = 0;
    opened.store("ledger", |entries| {
        let timed = entries.iter().find_map(|(key, value)| {
            let account = (key[0] == 0xfe).then(|| decode_account(Era::Mesa, value).unwrap())?;
            matches!(account.timing, Timing::Timed(_)).then(|| (key.clone(), account))
        });
        let (key, mut account) = timed.unwrap();
        let Timing::Timed(vesting) = &mut account.timing else {
            unreachable!();
        };
        vesting.cliff_time = SlotSinceGenesis::new(vesting.cliff_time.get() ^ 1);
        let mut bytes = [0; 8];
        let index = &key[1..];
        bytes[8 - index.len()..].copy_from_slice(index);
        leaf = u64::from_be_bytes(bytes);
        let mut encoded = Vec::new();
        encode_account(&account, &mut encoded);
        entries.insert(key, encoded);
    });
    leaf
}

#[test]
fn an_account_under_the_same_root_is_found() {
    let mut leaf = 0;
    let report = changed(|opened| leaf = change_timing(opened));
    assert_failed(&report, &["against.chain-id-inputs", "against.ledgers"]);
    // The digest in the config is the first thing that shows it.
    assert_eq!(
        comparison(&report).first.as_deref(),
        Some("ledger.s3_data_hash")
    );
    let store = find(&report, &format!("store.genesis, account {leaf}"));
    assert_eq!(
        (store.part, store.effect),
        (Part::Ledgers, Effect::Disagree)
    );
    assert!(store.here.starts_with("timing.cliff_time "), "{store:#?}");
    assert_ne!(store.here, store.there);
    assert!(store.meaning.contains("same root"));
    let line = format!("account {leaf}: timing.cliff_time: ");
    assert!(
        store.detail.iter().any(|text| text.starts_with(&line)),
        "{store:#?}"
    );
    assert!(store.detail[0].starts_with("1 entries differ, 0 are only"));
    assert!(comparison(&report).summary.contains("disagree"));
}

#[test]
fn another_root_parts_the_nodes_and_the_account_is_found() {
    let mut leaf = 0;
    let report = changed(|opened| {
        leaf = change_timing(opened);
        opened.store("ledger", |entries| {
            let root = entries.keys().find(|key| key[0] == Era::Mesa.depth());
            let root = root.unwrap().clone();
            entries.get_mut(&root).unwrap()[0] ^= 1;
        });
        opened.config(|config| {
            let other = config["epoch_data"]["next"]["hash"].clone();
            config["ledger"]["hash"] = other;
        });
    });
    assert_failed(&report, &["against.chain-id-inputs", "against.ledgers"]);
    assert_eq!(comparison(&report).first.as_deref(), Some("ledger.hash"));
    let store = find(&report, &format!("store.genesis, account {leaf}"));
    assert_eq!(store.effect, Effect::CannotPeer);
    assert!(store.detail[0].starts_with("root j"), "{store:#?}");
}

#[test]
fn another_compression_is_harmless() {
    let report = changed(|opened| {
        let path = opened.tarball("ledger");
        let mut plain = Vec::new();
        let packed = opened.files[&path].0.as_slice();
        flate2::read::GzDecoder::new(packed)
            .read_to_end(&mut plain)
            .unwrap();
        let level = flate2::Compression::new(1);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
        encoder.write_all(&plain).unwrap();
        opened.replace_tarball("ledger", encoder.finish().unwrap());
    });
    assert_failed(&report, &[]);
    assert_eq!(comparison(&report).first, None);
    for input in ["ledger.s3_data_hash", "tarball.genesis"] {
        assert_eq!(find(&report, input).effect, Effect::Harmless, "{input}");
    }
    assert_eq!(comparison(&report).differences.len(), 2);
    let check = report.checks.iter().find(|one| one.id == "against.ledgers");
    assert!(
        check
            .unwrap()
            .detail
            .starts_with("harmless: tarball.genesis")
    );
}

#[test]
fn order_of_members_is_harmless_and_other_members_are_not_lost() {
    let report = changed(|opened| {
        for path in opened.config_paths() {
            let bytes = &mut opened.files.get_mut(&path).unwrap().0;
            let value: Value = serde_json::from_slice(bytes).unwrap();
            *bytes = value.to_string().into_bytes();
        }
    });
    assert_failed(&report, &[]);
    assert_eq!(find(&report, "config text").effect, Effect::Harmless);
    let report = changed(|opened| {
        opened.config(|config| {
            config["genesis"]["k"] = 12.into();
            config["daemon"]["peer_list_url"] = "x".into();
        });
    });
    assert_failed(&report, &["against.chain-id-inputs"]);
    assert_eq!(find(&report, "genesis.k").effect, Effect::CannotPeer);
    assert_eq!(find(&report, "daemon.peer_list_url").effect, Effect::Other);
}

#[test]
fn what_is_merely_installed_comes_last() {
    let report = changed(|opened| {
        opened.control.set("Version", "4.0.0-other").unwrap();
        let old = opened.files.keys().find(|path| path.ends_with(".old.json"));
        let old = old.unwrap().clone();
        opened.files.get_mut(&old).unwrap().0.push(b'\n');
        let unit = "/usr/lib/systemd/user/mina.service";
        opened.files.get_mut(unit).unwrap().0.push(b'\n');
        let commit = "/var/lib/coda/config_68503010.json";
        let config = opened.files.remove(commit).unwrap();
        opened
            .files
            .insert("/var/lib/coda/config_00000000.json".to_owned(), config);
    });
    assert_failed(&report, &["against.files"]);
    let inputs: Vec<&str> = comparison(&report)
        .differences
        .iter()
        .map(|one| {
            assert_eq!((one.part, one.effect), (Part::Files, Effect::Other));
            one.input.as_str()
        })
        .collect();
    assert_eq!(
        inputs,
        [
            "old config",
            "control, Version",
            "config for a commit",
            "file /usr/lib/systemd/user/mina.service"
        ]
    );
    assert!(
        comparison(&report)
            .summary
            .contains("4 differences are beside")
    );
}

#[test]
fn a_second_package_that_cannot_be_read_is_a_finding() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("none.deb");
    fs::write(&path, "no package").unwrap();
    let report = against(&format!("deb:{}", path.display()));
    assert_failed(&report, &["against.readable"]);
    assert!(comparison(&report).problem.is_some());
    // A ledger that is missing or broken hides only itself.
    let report = changed(|opened| {
        let path = opened.tarball("ledger");
        let bytes = &mut opened.files.get_mut(&path).unwrap().0;
        let half = bytes.len() / 2;
        bytes.truncate(half);
    });
    assert_failed(&report, &["against.ledgers"]);
    let gap = &comparison(&report).not_compared[0];
    assert_eq!(gap.part, Part::Ledgers);
    assert!(gap.what.starts_with("the genesis ledgers: "));
}
