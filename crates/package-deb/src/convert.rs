//! `--convert`: a daemon's package made into `<base>-hardfork`, which brings the fork's config and
//! ledgers with the daemon (upstream's `convert-daemon-debian-to-hf.sh`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fork_fs::StagedDir;
use fork_package::{
    DataEntryKind, DebReader, Owner, PackageVersion, TreeEntry, TreeKind, WrittenTree,
};
use fork_types::Role;
use fork_types::document::{ConvertedDeb, DebDocument, DebFlavour, FileRef, PackagedFile};
use serde_json::Value;

use crate::args::{Args, GitHash};
use crate::error::{DebError, DebErrorKind};
use crate::inputs::{Inputs, sha256};
use crate::session::{RelationField, Session, SessionReport, deb_name, described, unpack_into};

/// Where the daemon looks for configs and ledgers, relative to the root.
const DATA_DIRECTORY: &str = "var/lib/coda";
/// What the name of a converted package ends with.
const SUFFIX: &str = "-hardfork";
const FILE_MODE: u32 = 0o644;
/// Space for the tarballs: in the session, in the data member and in the package.
const SPACE_FACTOR: u64 = 3;
/// Largest pre-fork config that is compared.
const CONFIG_BYTES_MAX: u64 = 64 << 20;

/// What was found in the daemon's package.
struct Daemon {
    /// The commit whose daemon loads its config by itself.
    git_hash: GitHash,
    /// Whether it has the network's config.
    has_config: bool,
    /// Ledgers it came with, relative to the root.
    tarballs: Vec<String>,
}

/// Converts the package; see [`crate::package`].
pub(crate) fn convert(
    args: &Args,
    daemon: &Path,
    note: &dyn Fn(&str),
) -> Result<DebDocument, DebError> {
    let output = StagedDir::create(&args.output.output, args.output.force)?;
    let inputs = Inputs::read(&args.network_config, &args.ledgers, note)?;
    fork_fs::require_free_space(output.path(), inputs.tarball_bytes * SPACE_FACTOR)?;
    note(&format!("opening {}", daemon.display()));
    let scratch = output.path().join("session");
    fork_fs::create_dir_all(&scratch)?;
    unpack_into(daemon, &scratch)?;
    let mut session = Session::open(&scratch)?;
    let original = session.document().original.clone();
    if original.package.ends_with(SUFFIX) {
        return Err(DebErrorKind::AlreadyConverted {
            path: daemon.to_owned(),
            package: original.package,
        }
        .into());
    }
    let network = inputs.network.network.clone();
    let found = inspect(&session, daemon, &network)?;
    let old_config = change(&mut session, daemon, &found, &inputs, note)?;
    if let Some(version) = &args.package_version {
        session.reversion(version.as_str())?;
    }
    let package = format!("{}{SUFFIX}", original.package);
    // What upgrading from the base package takes: its files are taken over (Replaces), it goes when
    // this one comes (Conflicts), and what depends on it stays (Provides).
    session.rename_package(
        &package,
        &[
            RelationField::Replaces,
            RelationField::Conflicts,
            RelationField::Provides,
        ],
    )?;

    let source_date_epoch = args
        .source_date_epoch
        .unwrap_or(inputs.network.fork.genesis_state_timestamp_ms / 1000);
    let tree = session.plan(Some(source_date_epoch))?;
    let control = tree.control()?;
    let version = control.require("Version")?.to_owned();
    let file_name = deb_name(&package, &version, &original.architecture);
    note(&format!("writing {file_name}"));
    let path = output.path().join(&file_name);
    let written = session.write(&tree, &path)?;
    note(&format!("reading {file_name} back"));
    let mut expected = expected(&session, &found, &inputs, source_date_epoch);
    expected.insert(
        format!("{DATA_DIRECTORY}/{network}.old.json"),
        old_config.entry(source_date_epoch),
    );
    let contents = verify(&path, &package, &version, &written, expected)?;
    let mut report = SessionReport::new(session.document(), &tree)?;
    report.set_saved(&session, &tree, &file_name, &written);

    let document = DebDocument {
        format: DebDocument::format(),
        version: DebDocument::version(),
        file: FileRef {
            name: file_name,
            sha256: written.file.sha256,
            bytes: written.file.bytes,
        },
        package,
        package_version: version,
        architecture: original.architecture,
        network,
        git_hash: found.git_hash.to_string(),
        network_document_sha256: inputs.network_sha256,
        contents,
        compression: tree.data_compression,
        payload_sha256: written.payload_sha256,
        source_date_epoch,
        sources_verified: inputs.network.sources_verified,
        flavour: DebFlavour::Hardfork,
        converted: Some(ConvertedDeb {
            file: original.file,
            package: original.package,
            package_version: original.package_version,
        }),
    };
    drop(session);
    fork_fs::remove_dir_all(&scratch)?;
    output.write_document(&document)?;
    output.write_document(&report)?;
    output.commit()?;
    Ok(document)
}

/// Looks for what will be replaced.
fn inspect(session: &Session, daemon: &Path, network: &str) -> Result<Daemon, DebError> {
    let refuse = |problem: String| -> DebError {
        DebErrorKind::CommitConfig {
            path: daemon.to_owned(),
            problem,
        }
        .into()
    };
    let mut commits: Vec<(GitHash, String)> = Vec::new();
    let mut found = Vec::new();
    let mut has_config = false;
    for (path, _) in session.data()? {
        let Some((DATA_DIRECTORY, name)) = path.rsplit_once('/') else {
            continue;
        };
        has_config |= name == format!("{network}.json");
        if is_tarball(name) {
            found.push(path);
            continue;
        }
        let digits = name
            .strip_prefix("config_")
            .and_then(|rest| rest.strip_suffix(".json"));
        if let Some(digits) = digits {
            let hash = digits
                .parse::<GitHash>()
                .map_err(|error| refuse(format!("the commit in the name of `/{path}` {error}")))?;
            commits.push((hash, path));
        }
    }
    match commits.as_slice() {
        [(git_hash, _)] => Ok(Daemon {
            git_hash: git_hash.clone(),
            has_config,
            tarballs: found,
        }),
        [] => Err(refuse(format!(
            "there is no `/{DATA_DIRECTORY}/config_<commit>.json`, so no commit whose daemon would load the config"
        ))),
        [(_, one), (_, other), ..] => Err(refuse(format!(
            "there are configs for two commits, `/{one}` and `/{other}`"
        ))),
    }
}

/// Whether a name is that of a ledger's tarball.
fn is_tarball(name: &str) -> bool {
    Role::ALL.iter().any(|role| {
        name.strip_prefix(role.tarball_prefix())
            .and_then(|rest| rest.strip_prefix('_'))
            .is_some_and(|rest| rest.ends_with(".tar.gz"))
    })
}

/// Where the config of the old chain comes from.
enum OldConfig {
    /// The daemon's package had it as the network's config.
    Moved(TreeEntry),
    /// From the network directory.
    Given { bytes: u64, sha256: String },
}

impl OldConfig {
    /// The entry it becomes.
    fn entry(self, mtime: u64) -> TreeEntry {
        match self {
            Self::Moved(entry) => entry,
            Self::Given { bytes, sha256 } => new_file(bytes, sha256, mtime),
        }
    }
}

fn new_file(bytes: u64, sha256: String, mtime: u64) -> TreeEntry {
    TreeEntry {
        kind: TreeKind::File { bytes, sha256 },
        mode: FILE_MODE,
        owner: Owner::root(),
        mtime,
    }
}

/// Puts the fork's files in.
fn change(
    session: &mut Session,
    daemon: &Path,
    found: &Daemon,
    inputs: &Inputs,
    note: &dyn Fn(&str),
) -> Result<OldConfig, DebError> {
    let network = &inputs.network.network;
    let config = format!("/{DATA_DIRECTORY}/{network}.json");
    let old = format!("/{DATA_DIRECTORY}/{network}.old.json");
    let has_old = session.data()?.iter().any(|(path, _)| *path == old[1..]);
    if has_old {
        note(&format!(
            "the package has a `{old}` already, which is replaced"
        ));
        session.remove(std::slice::from_ref(&old))?;
    }
    let old_config = if found.has_config {
        compare_prefork(session, daemon, &config, inputs)?;
        let entry = session.document().original_entries().remove(&config[1..]);
        let entry = entry.ok_or_else(|| DebErrorKind::ReadBack {
            problem: format!("`{config}` is not in the session"),
        })?;
        session.rename(&config, &old)?;
        OldConfig::Moved(entry)
    } else {
        note(&format!(
            "the package has no `{config}`; the old chain's config is the network directory's"
        ));
        session.insert_bytes(&old, &inputs.prefork_config, FILE_MODE)?;
        OldConfig::Given {
            bytes: inputs.prefork_config.len() as u64,
            sha256: sha256(&inputs.prefork_config),
        }
    };
    session.insert_bytes(&config, &inputs.config, FILE_MODE)?;
    let commit = format!("/{DATA_DIRECTORY}/config_{}.json", found.git_hash);
    session.replace_bytes(&commit, &inputs.config)?;
    if !found.tarballs.is_empty() {
        let paths: Vec<String> = found.tarballs.iter().map(|one| format!("/{one}")).collect();
        session.remove(&paths)?;
    }
    let tarballs: Vec<PathBuf> = inputs.tarballs.values().cloned().collect();
    let directory = format!("/{DATA_DIRECTORY}/");
    session.insert(&directory, true, &tarballs, Some(FILE_MODE))?;
    Ok(old_config)
}

/// Compares the daemon's config of the old chain with the one the fork was made from.
fn compare_prefork(
    session: &Session,
    daemon: &Path,
    config: &str,
    inputs: &Inputs,
) -> Result<(), DebError> {
    let bytes = session.read(config, CONFIG_BYTES_MAX)?;
    if bytes == inputs.prefork_config {
        return Ok(());
    }
    let path = daemon.join(&config[1..]);
    let value = |bytes: &[u8]| -> Result<Value, DebError> {
        serde_json::from_slice(bytes).map_err(|source| {
            DebErrorKind::Config {
                path: path.clone(),
                what: "JSON file",
                source,
            }
            .into()
        })
    };
    if value(&bytes)? == value(&inputs.prefork_config)? {
        return Ok(());
    }
    Err(DebErrorKind::Prefork {
        path: daemon.to_owned(),
        config: config.to_owned(),
        found: sha256(&bytes),
        expected: sha256(&inputs.prefork_config),
    }
    .into())
}

/// What the converted package must hold, worked out without the session's edits.
fn expected(
    session: &Session,
    found: &Daemon,
    inputs: &Inputs,
    mtime: u64,
) -> BTreeMap<String, TreeEntry> {
    let mut entries = session.document().original_entries();
    for path in &found.tarballs {
        entries.remove(path);
    }
    let config = (inputs.config.len() as u64, sha256(&inputs.config));
    let network = format!("{DATA_DIRECTORY}/{}.json", inputs.network.network);
    entries.insert(network, new_file(config.0, config.1.clone(), mtime));
    let commit = format!("{DATA_DIRECTORY}/config_{}.json", found.git_hash);
    if let Some(entry) = entries.get_mut(&commit) {
        let (bytes, sha256) = config;
        let is_same = entry.kind
            == TreeKind::File {
                bytes,
                sha256: sha256.clone(),
            };
        entry.kind = TreeKind::File { bytes, sha256 };
        if !is_same {
            entry.mtime = mtime;
        }
    }
    for ledger in &inputs.network.ledgers {
        let bytes = inputs.tarball_sizes.get(&ledger.tarball).copied();
        let file = new_file(bytes.unwrap_or_default(), ledger.sha256.clone(), mtime);
        entries.insert(format!("{DATA_DIRECTORY}/{}", ledger.tarball), file);
    }
    entries
}

/// Reads the package and compares all of it; returns its files.
fn verify(
    path: &Path,
    package: &str,
    version: &str,
    written: &WrittenTree,
    mut expected: BTreeMap<String, TreeEntry>,
) -> Result<Vec<PackagedFile>, DebError> {
    let differs = |problem: String| DebError::from(DebErrorKind::ReadBack { problem });
    let reader = DebReader::open(path)?;
    let control = reader.control();
    let is_version = |text: &str| text.parse::<PackageVersion>().is_ok();
    if control.get("Package") != Some(package)
        || control.get("Version") != Some(version)
        || !is_version(version)
    {
        return Err(differs("name or version".to_owned()));
    }
    let mut contents: Vec<PackagedFile> = Vec::new();
    let payload = reader.read_data(|entry, content| {
        let name = format!("/{}", entry.path);
        let found = described(entry, content)?;
        let planned = expected.remove(&entry.path);
        // Directories that the original left out are made.
        let is_new_directory = planned.is_none() && found.kind == TreeKind::Directory;
        if !is_new_directory && planned.as_ref() != Some(&found) {
            return Err(differs(format!("`{name}`")));
        }
        let file = match (&found.kind, &entry.kind) {
            (TreeKind::File { bytes, sha256 }, _) => Some((*bytes, sha256.clone())),
            (_, DataEntryKind::HardLink { target }) => contents
                .iter()
                .find(|one| one.path == format!("/{target}"))
                .map(|one| (one.bytes, one.sha256.clone())),
            _ => None,
        };
        if let Some((bytes, sha256)) = file {
            contents.push(PackagedFile {
                path: name,
                mode: format!("{:04o}", found.mode),
                bytes,
                sha256,
            });
        }
        Ok::<_, DebError>(())
    })?;
    if let Some(path) = expected.keys().next() {
        return Err(differs(format!("`/{path}` is missing")));
    }
    if payload != written.payload_sha256 {
        return Err(differs("digest of the data tar".to_owned()));
    }
    Ok(contents)
}
