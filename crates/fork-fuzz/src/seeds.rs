//! Bytes to start from: small, and right.

use std::io::Write;
use std::path::Path;

use fork_ledger::account::Account;
use fork_ledger::batch::{AccountBatch, AccountReader};
use fork_ledger::binprot::{account_id_bytes, encode_account, encode_token_ids};
use fork_ledger::dump::DumpWriter;
use fork_package::{Attributes, EntryKind, NameStyle, TarWriter, ar};
use fork_types::Era;
use tempfile::NamedTempFile;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../fixtures/small/", $name))
    };
}

macro_rules! seed {
    ($name:literal) => {
        include_bytes!(concat!("../../../fuzz/seeds/", $name)).to_vec()
    };
}

/// Accounts of a document that are kept: one of each kind comes first.
const ACCOUNTS: usize = 4;

/// A file with these bytes.
pub(crate) fn file(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("there is room for a file");
    file.write_all(bytes).expect("there is room for a file");
    file
}

/// Cuts every list of accounts in a document that has one account on each line.
fn cut(text: &str) -> Vec<u8> {
    let mut kept = String::new();
    let mut accounts = 0;
    for line in text.lines() {
        let is_account = line.starts_with("{\"pk\"");
        accounts = if is_account { accounts + 1 } else { 0 };
        if accounts > ACCOUNTS {
            continue;
        }
        kept.push_str(line);
        kept.push('\n');
    }
    // The last account kept has a comma behind it.
    kept.replace(",\n]", "\n]").into_bytes()
}

fn lists() -> Vec<Vec<u8>> {
    let lines: Vec<&str> = fixture!("staged_ledger.json").lines().collect();
    let lines: Vec<&str> = lines
        .into_iter()
        .filter(|line| line.starts_with('{'))
        .collect();
    let list = |lines: &[&str]| {
        let text = lines.join("\n");
        format!("[\n{}\n]\n", text.trim_end_matches(',')).into_bytes()
    };
    let mut lists: Vec<Vec<u8>> = lines.chunks(3).take(12).map(list).collect();
    lists.push(
        b"[{\"pk\":\"B62qiy32p8kAKnny8ZFwoMhYpBppM1DWVCqAPBYNcXnsAHhnfAAuXgg\",\"balance\":\"1\"}]"
            .to_vec(),
    );
    lists
}

pub(crate) fn accounts() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for list in lists() {
        for choice in 0..8 {
            seeds.push([&[choice], list.as_slice()].concat());
        }
    }
    seeds
}

/// Accounts of the fixture, and made for Mesa.
fn parsed(era: Era) -> Vec<Account> {
    let mut accounts = Vec::new();
    for list in lists() {
        let mut reader = AccountReader::new(list.as_slice(), era, true);
        while let Ok(Some(AccountBatch::Later(batch))) = reader.next_batch() {
            accounts.extend(batch);
        }
    }
    accounts.push(Account::empty(era));
    accounts
}

pub(crate) fn dumps() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for era in [Era::Berkeley, Era::Mesa] {
        let accounts = parsed(era);
        for chunk in accounts.chunks(3) {
            let mut writer = DumpWriter::new(Vec::new(), era).expect("the era has dumps");
            for account in chunk {
                writer.push(account).expect("memory takes it");
            }
            seeds.push(writer.finish().expect("memory takes it"));
        }
    }
    seeds
}

pub(crate) fn bin_prot() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for era in [Era::Berkeley, Era::Mesa] {
        for account in parsed(era) {
            let mut bytes = Vec::new();
            encode_account(&account, &mut bytes);
            seeds.push(bytes);
            seeds.push(account_id_bytes(&account.public_key, &account.token_id));
            let mut bytes = Vec::new();
            encode_token_ids(&[account.token_id], &mut bytes);
            seeds.push(bytes);
        }
    }
    seeds
}

pub(crate) fn identifiers() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = ["mesa", "0", "4294967295", "18446744073.709551615", "0.1"]
        .iter()
        .map(|text| text.as_bytes().to_vec())
        .collect();
    let texts = fixture!("fixture.json")
        .split('"')
        .chain(fixture!("expected/config.json").split('"'));
    let texts = texts.chain(fixture!("staged_ledger.json").split('"').take(400));
    seeds.extend(
        texts
            .filter(|text| text.len() > 40 && text.len() < 100)
            .map(|text| text.as_bytes().to_vec()),
    );
    seeds
}

pub(crate) fn blocks() -> Vec<Vec<u8>> {
    vec![fixture!("block.json").as_bytes().to_vec()]
}

pub(crate) fn fork_configs() -> Vec<Vec<u8>> {
    let config = cut(fixture!("fork_config.json"));
    let around =
        |before: &str, after: &str| [before.as_bytes(), &config, after.as_bytes()].concat();
    vec![
        config.clone(),
        around("{\"data\":{\"fork_config\":", "}}"),
        b"{\"data\":null,\"errors\":[{\"message\":\"bootstrapping\"}]}".to_vec(),
        b"{\"data\":{\"fork_config\":null}}".to_vec(),
        b"null".to_vec(),
    ]
}

pub(crate) fn replayer_outputs() -> Vec<Vec<u8>> {
    vec![cut(fixture!("replayer_output.json"))]
}

pub(crate) fn prefork_configs() -> Vec<Vec<u8>> {
    vec![fixture!("prefork_config.json").as_bytes().to_vec()]
}

pub(crate) fn runtime_configs() -> Vec<Vec<u8>> {
    vec![
        fixture!("expected/config.json").as_bytes().to_vec(),
        fixture!("expected/hashes.json").as_bytes().to_vec(),
    ]
}

pub(crate) fn networks() -> Vec<Vec<u8>> {
    vec![fixture!("network.toml").as_bytes().to_vec()]
}

pub(crate) fn documents() -> Vec<Vec<u8>> {
    vec![
        seed!("document/candidate.json"),
        seed!("document/ledger.json"),
        seed!("document/network.json"),
        seed!("document/deb.json"),
        seed!("document/report.json"),
    ]
}

pub(crate) fn control() -> Vec<Vec<u8>> {
    vec![
        CONTROL.as_bytes().to_vec(),
        format!("{CONTROL}\n{CONTROL}").into_bytes(),
    ]
}

const CONTROL: &str = "Package: mina-fixture-config\nVersion: 1:2.0~rc-3\nArchitecture: all\n\
    Description: short\n long\n .\n more\nDepends: a (>= 1), b | c\n";

fn tar_of(style: NameStyle, fill: impl FnOnce(&mut TarWriter<Vec<u8>>)) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new(), style, Path::new("seed"));
    fill(&mut tar);
    tar.finish().expect("memory takes it")
}

pub(crate) fn tars() -> Vec<Vec<u8>> {
    let file = Attributes::root(0o644, 7);
    let all = |tar: &mut TarWriter<Vec<u8>>| {
        let long = "long/".repeat(30);
        for (name, kind) in [
            ("d", EntryKind::Directory),
            ("d/link", EntryKind::Symlink { target: "../f" }),
        ] {
            tar.append(name, kind, file).expect("memory takes it");
        }
        tar.append_bytes("f", file, b"content")
            .expect("memory takes it");
        tar.append("g", EntryKind::HardLink { target: "f" }, file)
            .expect("memory takes it");
        tar.append_bytes(&format!("{long}f"), file, b"")
            .expect("memory takes it");
    };
    vec![
        tar_of(NameStyle::Deb, all),
        tar_of(NameStyle::Layer, all),
        pax(),
    ]
}

/// An archive with pax records, which nothing here writes.
fn pax() -> Vec<u8> {
    let mut all = Vec::new();
    for (kind, content) in [
        (b'g', b"17 comment=abcd\n".as_slice()),
        (b'x', b"15 path=p/q/rs\n10 size=3\n9 uid=77\n".as_slice()),
        (b'0', b"abc".as_slice()),
        (b'L', b"a/long/name\0".as_slice()),
        (b'K', b"a/long/target\0".as_slice()),
        (b'2', b"".as_slice()),
    ] {
        let mut header = [0_u8; 512];
        header[0] = b'n';
        header[100..107].copy_from_slice(b"0000644");
        header[108..115].copy_from_slice(b"0000000");
        header[116..123].copy_from_slice(b"0000000");
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[136..147].copy_from_slice(b"00000000000");
        header[156] = kind;
        header[157] = b't';
        header[257..265].copy_from_slice(b"ustar\x0000");
        all.extend_from_slice(&header);
        all.extend_from_slice(content);
        all.resize(all.len().next_multiple_of(512), 0);
    }
    all.extend_from_slice(&[0; 1024]);
    crate::repair::with_checksums(&all)
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = fork_package::gzip::encoder(Vec::new());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

pub(crate) fn debs() -> Vec<Vec<u8>> {
    let file = Attributes::root(0o644, 7);
    let control = tar_of(NameStyle::Deb, |tar| {
        for (name, content) in [
            ("control", CONTROL),
            ("md5sums", "9a0364b9e99bb480dd25e1f0284c8555  f\n"),
        ] {
            tar.append_bytes(name, file, content.as_bytes())
                .expect("memory takes it");
        }
    });
    let mut seeds = Vec::new();
    for data in tars() {
        for suffix in ["", ".gz"] {
            let packed = |tar: &[u8]| {
                if suffix.is_empty() {
                    tar.to_vec()
                } else {
                    gzip(tar)
                }
            };
            let mut deb = ar::MAGIC.to_vec();
            for (name, content) in [
                ("debian-binary".to_owned(), b"2.0\n".to_vec()),
                (format!("control.tar{suffix}"), packed(&control)),
                (format!("data.tar{suffix}"), packed(&data)),
            ] {
                let bytes = content.len() as u64;
                ar::write_member(&mut deb, &name, 0, bytes, &mut content.as_slice())
                    .expect("memory takes it");
            }
            seeds.push(deb);
        }
    }
    seeds
}

/// Parts of an image as [`crate::image::oci`] takes them.
pub(crate) fn oci() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for layer in tars() {
        for (kind, layer) in [("tar", layer.clone()), ("tar+gzip", gzip(&layer))] {
            let index = r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"%manifest%","size":%manifest-size%,"annotations":{"org.opencontainers.image.ref.name":"t"},"platform":{"architecture":"amd64","os":"linux"}}]}"#;
            let manifest = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%config%","size":%config-size%},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.KIND","digest":"%layer%","size":%layer-size%}]}"#;
            let config = r#"{"architecture":"amd64","os":"linux","config":{"Cmd":["x"],"Labels":{"a":"b"}},"rootfs":{"type":"layers","diff_ids":["%tar%"]},"history":[{"created_by":"z"}]}"#;
            let manifest = manifest.replace("KIND", kind);
            let texts = [index, &manifest, config].join(crate::image::SEPARATOR);
            seeds.push([texts.as_bytes(), crate::image::SEPARATOR.as_bytes(), &layer].concat());
        }
    }
    seeds
}

pub(crate) fn docker_archives() -> Vec<Vec<u8>> {
    use sha2::Digest as _;
    let file = Attributes::root(0o644, 7);
    let mut seeds = Vec::new();
    for layer in tars() {
        let diff_id = hex::encode(sha2::Sha256::digest(&layer));
        let config = format!(
            r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["sha256:{diff_id}","sha256:{diff_id}"]}}}}"#
        );
        let manifest =
            r#"[{"Config":"c.json","RepoTags":["n:t"],"Layers":["1/layer.tar","2/layer.tar"]}]"#;
        let archive = tar_of(NameStyle::Layer, |tar| {
            tar.append_bytes("1/layer.tar", file, &layer)
                .expect("memory takes it");
            let target = "../1/layer.tar";
            tar.append("2/layer.tar", EntryKind::Symlink { target }, file)
                .expect("memory takes it");
            for (name, text) in [("c.json", config.as_str()), ("manifest.json", manifest)] {
                tar.append_bytes(name, file, text.as_bytes())
                    .expect("memory takes it");
            }
        });
        seeds.push(gzip(&archive));
        seeds.push(archive);
    }
    seeds
}
