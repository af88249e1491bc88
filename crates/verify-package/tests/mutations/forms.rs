//! The other forms: a root, an image, what a daemon wrote.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tar::EntryType;

use crate::case::{Row, SECOND_PACKAGE, edit_json, status};

const CONFIG: &str = "var/lib/coda/config_68503010.json";
const UNIT: &str = "usr/lib/systemd/user/mina.service";
const STATUS: &str = "var/lib/dpkg/status";
const LIST: &str = "var/lib/dpkg/info/mina-fixture-1-config.list";
const SUMS: &str = "var/lib/dpkg/info/mina-fixture-1-config.md5sums";

fn edit(root: &Path, path: &str, change: impl FnOnce(String) -> String) {
    let path = root.join(path);
    let text = fs::read_to_string(&path).unwrap();
    let changed = change(text.clone());
    assert_ne!(text, changed);
    fs::write(path, changed).unwrap();
}

fn mode(path: PathBuf, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

/// The genesis tarball below a directory.
fn tarball(directory: &Path) -> PathBuf {
    let mut found = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().contains("/genesis_ledger_"));
    found.next().unwrap()
}

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row { name: "root: file is missing", mutate: |case| { let root = case.root(); fs::remove_file(root.join(UNIT)).unwrap(); },
        failed: &["image.content", "package.dpkg", "package.files", "package.md5sums"] },
    Row { name: "root: extra file", mutate: |case| { let root = case.root(); fs::write(root.join("var/lib/coda/more.json"), "{}").unwrap(); mode(root.join("var/lib/coda/more.json"), 0o644); },
        failed: &["image.content", "package.files", "package.md5sums"] },
    Row { name: "root: extra directory", mutate: |case| { let root = case.root(); fs::create_dir(root.join("var/lib/coda/more")).unwrap(); mode(root.join("var/lib/coda/more"), 0o755); },
        failed: &["package.files"] },
    Row { name: "root: content of a file", mutate: |case| { let root = case.root(); edit(&root, UNIT, |text| text + "#"); },
        failed: &["package.dpkg", "package.md5sums"] },
    Row { name: "root: mode of a file", mutate: |case| { let root = case.root(); mode(root.join(CONFIG), 0o666); },
        failed: &["package.modes"] },
    Row { name: "root: mode of a directory", mutate: |case| { let root = case.root(); mode(root.join("var/lib/coda"), 0o777); },
        failed: &["package.modes"] },
    Row { name: "root: symbolic link in place of a file", mutate: |case| { let root = case.root(); fs::remove_file(root.join(CONFIG)).unwrap(); symlink("fixture-1.json", root.join(CONFIG)).unwrap(); },
        failed: &["package.files", "package.md5sums"] },
    Row { name: "root: pipe in place of a file", mutate: |case| { let root = case.root(); fs::remove_file(root.join(CONFIG)).unwrap(); pipe(&root.join(CONFIG)); },
        failed: &["package.files", "package.md5sums"] },
    Row { name: "root: directory in place of a file", mutate: |case| { let root = case.root(); fs::remove_file(root.join(CONFIG)).unwrap(); fs::create_dir(root.join(CONFIG)).unwrap(); mode(root.join(CONFIG), 0o755); },
        failed: &["package.dpkg", "package.files", "package.md5sums"] },
    Row { name: "root: data directory is a link", mutate: |case| { let root = case.root(); fs::rename(root.join("var/lib/coda"), root.join("elsewhere")).unwrap(); symlink("../../elsewhere", root.join("var/lib/coda")).unwrap(); },
        failed: &["package.readable"] },
    Row { name: "root: directory above it is a link", mutate: |case| { let root = case.root(); fs::rename(root.join("var"), root.join("elsewhere")).unwrap(); symlink("elsewhere", root.join("var")).unwrap(); },
        failed: &["package.readable"] },
    Row { name: "root: no data directory", mutate: |case| { let root = case.root(); fs::remove_dir_all(root.join("var/lib/coda")).unwrap(); },
        failed: &["package.readable"] },
    Row { name: "root: dpkg does not know the package", mutate: |case| { let root = case.root(); status(&root, |_| crate::support::STATUS.to_owned()); },
        failed: &["image.dpkg-status", "package.control"] },
    Row { name: "root: second config package", mutate: |case| { let root = case.root(); status(&root, |text| text + SECOND_PACKAGE); },
        failed: &["image.dpkg-status"] },
    Row { name: "root: package twice in the status", mutate: |case| { let root = case.root(); status(&root, |text| { let own = text[crate::support::STATUS.len()..].to_owned(); text + &own }); },
        failed: &["image.dpkg-status", "package.dpkg"] },
    Row { name: "root: half installed", mutate: |case| { let root = case.root(); edit(&root, STATUS, |text| text.replacen("Package: mina-fixture-1-config\nStatus: install ok installed", "Package: mina-fixture-1-config\nStatus: install ok unpacked", 1)); },
        failed: &["package.control"] },
    Row { name: "root: other version in the status", mutate: |case| { let root = case.root(); edit(&root, STATUS, |text| text.replacen("4.0.0-6850301", "4.0.0_6850301", 1)); },
        failed: &["package.control", "package.dpkg"] },
    Row { name: "root: other architecture in the status", mutate: |case| { let root = case.root(); edit(&root, STATUS, |text| text.replacen("Architecture: all", "Architecture: arm64", 1)); },
        failed: &["package.control"] },
    Row { name: "root: configuration files in the status", mutate: |case| { let root = case.root(); edit(&root, STATUS, |text| text.trim_end().to_owned() + "\nConffiles:\n /var/lib/coda/fixture-1.json 00000000000000000000000000000000\n\n"); },
        failed: &["package.control"] },
    Row { name: "root: list of files is missing", mutate: |case| { let root = case.root(); fs::remove_file(root.join(LIST)).unwrap(); },
        failed: &["image.content", "package.dpkg"] },
    Row { name: "root: list of files has more", mutate: |case| { let root = case.root(); edit(&root, LIST, |text| text + "/var/lib/coda/more\n"); },
        failed: &["image.content", "package.dpkg"] },
    Row { name: "root: list of files has less", mutate: |case| { let root = case.root(); edit(&root, LIST, |text| text.replacen("/var/lib/coda/fixture-1.json\n", "", 1)); },
        failed: &["image.content"] },
    Row { name: "root: checksums are missing", mutate: |case| { let root = case.root(); fs::remove_file(root.join(SUMS)).unwrap(); },
        failed: &["package.md5sums"] },
    Row { name: "root: one checksum is another", mutate: |case| { let root = case.root(); edit(&root, SUMS, |text| { let last = if text.starts_with('0') { "1" } else { "0" }; format!("{last}{}", &text[1..]) }); },
        failed: &["package.dpkg", "package.md5sums"] },
    Row { name: "root: one checksum is missing", mutate: |case| { let root = case.root(); edit(&root, SUMS, |text| text.lines().skip(1).map(|line| format!("{line}\n")).collect()); },
        failed: &["package.md5sums"] },
    Row { name: "root: script for removal", mutate: |case| { let root = case.root(); fs::write(root.join("var/lib/dpkg/info/mina-fixture-1-config.prerm"), "#!/bin/sh\n").unwrap(); },
        failed: &["package.control"] },
    Row { name: "root: configuration files", mutate: |case| { let root = case.root(); fs::write(root.join("var/lib/dpkg/info/mina-fixture-1-config.conffiles"), "/var/lib/coda/fixture-1.json\n").unwrap(); },
        failed: &["package.control"] },

    Row { name: "image: layer's blob is damaged", mutate: |case| case.image(|image| image.damage = Some(|bytes| { let middle = bytes.len() / 2; bytes[middle] ^= 1; })),
        failed: &["package.readable"] },
    Row { name: "image: layer's blob is cut short", mutate: |case| case.image(|image| image.damage = Some(|bytes| { let half = bytes.len() / 2; bytes.truncate(half); })),
        failed: &["package.readable"] },
    Row { name: "image: layer is not the one that the config names", mutate: |case| case.image(|image| image.wrong_diff_id = true),
        failed: &["package.readable"] },
    Row { name: "image: changed file in the layer", mutate: |case| case.image(|image| image.package().content(UNIT, |bytes| bytes[0] ^= 1)),
        failed: &["package.md5sums"] },
    Row { name: "image: changed file in a later layer", mutate: |case| case.image(|image| image.add_layer(|tar| tar.add(UNIT, EntryType::Regular, 0o644, b"changed"))),
        failed: &["package.md5sums"] },
    Row { name: "image: changed config in a later layer", mutate: |case| case.image(|image| image.add_layer(|tar| tar.add(CONFIG, EntryType::Regular, 0o644, b"{}"))),
        failed: &["config.copies", "package.md5sums"] },
    Row { name: "image: extra file in a later layer", mutate: |case| case.image(|image| image.add_layer(|tar| tar.add("var/lib/coda/more.json", EntryType::Regular, 0o644, b"{}"))),
        failed: &["image.content", "package.files", "package.md5sums"] },
    Row { name: "image: extra file, with a dot in front", mutate: |case| case.image(|image| image.add_layer(|tar| tar.add("./var/lib/coda/more.json", EntryType::Regular, 0o644, b"{}"))),
        failed: &["image.content", "package.files", "package.md5sums"] },
    Row { name: "image: file removed by a later layer", mutate: |case| case.image(|image| image.add_layer(|tar| tar.add("var/lib/coda/.wh.config_68503010.json", EntryType::Regular, 0o644, &[]))),
        failed: &["image.content", "package.files", "package.md5sums"] },
    Row { name: "image: tarball removed by a later layer", mutate: |case| case.image(|image| {
            let package = image.package();
            let mut names = package.0.iter().map(|(header, _)| String::from_utf8(header.path_bytes().into_owned()).unwrap());
            let name = names.find(|name| name.contains("/genesis_ledger_")).unwrap();
            let name = name.rsplit('/').next().unwrap().to_owned();
            image.add_layer(|tar| tar.add(&format!("var/lib/coda/.wh.{name}"), EntryType::Regular, 0o644, &[]));
        }),
        failed: &["image.content", "package.files", "package.md5sums", "tarball.genesis.name"] },
    Row { name: "image: opaque data directory", mutate: |case| case.image(|image| image.add_layer(|tar| tar.add("var/lib/coda/.wh..wh..opq", EntryType::Regular, 0o644, &[]))),
        failed: &["config.readable", "image.content", "package.files", "package.md5sums"] },
    Row { name: "image: data directory removed", mutate: |case| case.image(|image| image.add_layer(|tar| tar.add("var/lib/.wh.coda", EntryType::Regular, 0o644, &[]))),
        failed: &["config.readable", "image.content", "package.files", "package.md5sums"] },
    Row { name: "image: symbolic link in place of a file", mutate: |case| case.image(|image| image.add_layer(|tar| tar.link(CONFIG, EntryType::Symlink, "fixture-1.json"))),
        failed: &["package.files", "package.md5sums"] },
    Row { name: "image: hard link in place of a file", mutate: |case| case.image(|image| image.add_layer(|tar| tar.link(CONFIG, EntryType::Link, "var/lib/coda/fixture-1.json"))),
        failed: &["package.files", "package.md5sums"] },
    Row { name: "image: device in place of a file", mutate: |case| case.image(|image| image.add_layer(|tar| tar.add(CONFIG, EntryType::Char, 0o644, &[]))),
        failed: &["package.files", "package.md5sums"] },
    Row { name: "image: pipe in place of a file", mutate: |case| case.image(|image| image.add_layer(|tar| tar.add(CONFIG, EntryType::Fifo, 0o644, &[]))),
        failed: &["package.files", "package.md5sums"] },
    Row { name: "image: directory in place of a file", mutate: |case| case.image(|image| image.add_layer(|tar| tar.add(CONFIG, EntryType::Directory, 0o755, &[]))),
        failed: &["package.files", "package.md5sums"] },
    Row { name: "image: data directory is a link", mutate: |case| case.image(|image| image.add_layer(|tar| tar.link("var/lib/coda", EntryType::Symlink, "/elsewhere"))),
        failed: &["config.readable", "image.content", "package.files", "package.md5sums"] },
    Row { name: "image: directory above it is a link", mutate: |case| case.image(|image| image.add_layer(|tar| tar.link("var/lib", EntryType::Symlink, "/elsewhere"))),
        failed: &["config.readable", "image.content", "image.dpkg-status", "package.control", "package.files", "package.md5sums"] },
    Row { name: "image: mode in a later layer", mutate: |case| case.image(|image| image.package().header(CONFIG, |header| header.set_mode(0o600))),
        failed: &["package.modes"] },
    Row { name: "image: owner", mutate: |case| case.image(|image| image.package().header(CONFIG, |header| header.set_uid(50_000))),
        failed: &["package.modes"] },
    Row { name: "image: mode of the data directory", mutate: |case| case.image(|image| image.add_layer(|tar| tar.add("var/lib/coda/", EntryType::Directory, 0o777, &[]))),
        failed: &["package.modes"] },
    Row { name: "image: dpkg does not know the package", mutate: |case| case.image(|image| image.add_layer(|tar| tar.add(STATUS, EntryType::Regular, 0o644, crate::support::STATUS.as_bytes()))),
        failed: &["image.dpkg-status", "package.control"] },
    Row { name: "image: no dpkg status", mutate: |case| case.image(|image| image.add_layer(|tar| tar.add("var/lib/dpkg/.wh.status", EntryType::Regular, 0o644, &[]))),
        failed: &["image.dpkg-status", "package.control"] },
    Row { name: "image: second config package", mutate: |case| case.image(|image| image.package().content(STATUS, |bytes| bytes.extend(SECOND_PACKAGE.as_bytes()))),
        failed: &["image.dpkg-status"] },
    Row { name: "image: other version in the status", mutate: |case| case.image(|image| image.package().content(STATUS, |bytes| { let text = String::from_utf8(bytes.clone()).unwrap(); *bytes = text.replacen("4.0.0-6850301", "4.0.0_6850301", 1).into_bytes(); })),
        failed: &["package.control"] },
    Row { name: "image: list of files", mutate: |case| case.image(|image| image.package().content(LIST, |bytes| bytes.extend(b"/var/lib/coda/more\n"))),
        failed: &["image.content"] },
    Row { name: "image: no list of files", mutate: |case| case.image(|image| image.add_layer(|tar| tar.add("var/lib/dpkg/info/.wh.mina-fixture-1-config.list", EntryType::Regular, 0o644, &[]))),
        failed: &["image.content"] },
    Row { name: "image: checksums", mutate: |case| case.image(|image| image.package().content(SUMS, |bytes| bytes[0] ^= 1)),
        failed: &["package.md5sums"] },
    Row { name: "image: no checksums", mutate: |case| case.image(|image| image.add_layer(|tar| tar.add("var/lib/dpkg/info/.wh.mina-fixture-1-config.md5sums", EntryType::Regular, 0o644, &[]))),
        failed: &["package.md5sums"] },
    Row { name: "image: script for removal", mutate: |case| case.image(|image| image.add_layer(|tar| tar.add("var/lib/dpkg/info/mina-fixture-1-config.prerm", EntryType::Regular, 0o755, b"#!/bin/sh\n"))),
        failed: &["package.control"] },

    Row { name: "automode: no config", mutate: |case| { let root = case.automode(); fs::remove_file(root.join("daemon.json")).unwrap(); },
        failed: &["config.readable", "package.files"] },
    Row { name: "automode: no JSON", mutate: |case| { let root = case.automode(); fs::write(root.join("daemon.json"), "{").unwrap(); },
        failed: &["config.readable"] },
    Row { name: "automode: seed", mutate: |case| { let root = case.automode(); edit_json(&root.join("daemon.json"), |config| config["epoch_data"]["next"]["seed"] = config["epoch_data"]["staking"]["seed"].clone()); },
        failed: &["config.epoch-seeds"] },
    Row { name: "automode: root", mutate: |case| { let root = case.automode(); edit_json(&root.join("daemon.json"), |config| config["ledger"]["hash"] = config["epoch_data"]["next"]["hash"].clone()); },
        failed: &["config.ledger-hashes", "migration.genesis.root", "tarball.genesis.name"] },
    Row { name: "automode: digest", mutate: |case| { let root = case.automode(); edit_json(&root.join("daemon.json"), |config| config["ledger"]["s3_data_hash"] = "0".repeat(64).into()); },
        failed: &["tarball.genesis.s3-data-hash"] },
    Row { name: "automode: state hash", mutate: |case| { let root = case.automode(); edit_json(&root.join("daemon.json"), |config| config["proof"]["fork"]["state_hash"] = "3NK2tkzqqK5spR2sZ7tujjqPksL45M3UUrcA4WhCkeiPtnugyE2x".into()); },
        failed: &["config.fork-state-hash"] },
    Row { name: "automode: length", mutate: |case| { let root = case.automode(); edit_json(&root.join("daemon.json"), |config| config["proof"]["fork"]["blockchain_length"] = 1.into()); },
        failed: &["config.fork-length"] },
    Row { name: "automode: slot", mutate: |case| { let root = case.automode(); edit_json(&root.join("daemon.json"), |config| config["proof"]["fork"]["global_slot_since_genesis"] = 958_441.into()); },
        failed: &["config.fork-slot", "config.slot-from-timestamp", "config.timestamp-from-slot"] },
    Row { name: "automode: genesis winner", mutate: |case| { let root = case.automode(); edit_json(&root.join("daemon.json"), |config| config["ledger"]["add_genesis_winner"] = true.into()); },
        failed: &["config.no-genesis-winner"] },
    Row { name: "automode: stop slots", mutate: |case| { let root = case.automode(); edit_json(&root.join("daemon.json"), |config| config["daemon"]["slot_chain_end"] = 393_900.into()); },
        failed: &["config.no-stale-stop-slots"] },
    Row { name: "automode: of another network", mutate: |case| { let root = case.automode(); edit_json(&root.join("daemon.json"), |config| config["daemon"]["network_id"] = "other".into()); },
        failed: &["config.network-id"] },
    Row { name: "automode: unknown member", mutate: |case| { let root = case.automode(); edit_json(&root.join("daemon.json"), |config| config["surprise"] = 1.into()); },
        failed: &["config.schema"] },
    Row { name: "automode: tarball is missing", mutate: |case| { let root = case.automode(); fs::remove_file(tarball(&root.join("genesis"))).unwrap(); },
        failed: &["package.files", "tarball.genesis.name"] },
    Row { name: "automode: extra tarball", mutate: |case| { let root = case.automode(); let from = tarball(&root.join("genesis")); fs::copy(from, root.join(format!("genesis/genesis_ledger_{}.tar.gz", "0".repeat(64)))).unwrap(); },
        failed: &["package.files"] },
    Row { name: "automode: extra file", mutate: |case| { let root = case.automode(); fs::write(root.join("genesis/more"), "").unwrap(); },
        failed: &["package.files"] },
    Row { name: "automode: tarball is a link", mutate: |case| { let root = case.automode(); let from = tarball(&root.join("genesis")); fs::rename(&from, root.join("../away")).unwrap(); symlink(root.join("../away"), &from).unwrap(); },
        failed: &["package.files", "tarball.genesis.name"] },
    Row { name: "automode: directory of ledgers is a link", mutate: |case| { let root = case.automode(); fs::rename(root.join("genesis"), root.join("../away")).unwrap(); symlink("../away", root.join("genesis")).unwrap(); },
        failed: &["package.files", "tarball.genesis.name", "tarball.next.name", "tarball.staking.name"] },
    Row { name: "automode: tarball is damaged", mutate: |case| { let root = case.automode(); let path = tarball(&root.join("genesis")); let mut bytes = fs::read(&path).unwrap(); let middle = bytes.len() / 2; bytes[middle] ^= 1; fs::write(path, bytes).unwrap(); },
        failed: &["tarball.genesis.gzip", "tarball.genesis.s3-data-hash"] },
];
