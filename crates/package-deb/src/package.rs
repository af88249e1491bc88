//! The package itself: layout, control data, and the proof that what was written is what was meant.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use fork_fs::{HashingReader, StagedDir};
use fork_package::{
    DataEntryKind, DebBuilder, DebReader, FileSource, PackageError, PackageVersion, Paragraph,
    WrittenDeb,
};
use fork_types::document::{DebDocument, DebFlavour, FileRef, PackagedFile};

use crate::args::{Args, GitHash, SeedListUrl};
use crate::convert::convert;
use crate::error::{DebError, DebErrorKind};
use crate::inputs::Inputs;

/// Where the daemon looks for configs and ledgers.
const DATA_DIRECTORY: &str = "/var/lib/coda";
const FILE_MODE: u32 = 0o644;
/// Space needed for a package, as a multiple of its tarballs: the data member is written once to a
/// temporary file and once into the package, and nothing is gained on compressed tarballs.
const SPACE_FACTOR: u64 = 2;
/// Space for everything else, in bytes.
const SPACE_EXTRA_BYTES: u64 = 16 << 20;

const UNIT: &str = include_str!("mina.service");

/// Makes the package, or converts one: checks the inputs, writes it with its document to a new directory, reads it
/// back. `note` is told what is being done.
///
/// # Errors
///
/// Fails when the inputs do not belong together (see [`Inputs::read`]), when the output exists, and
/// when the disk refuses; then nothing is left at the output path.
pub fn package(args: &Args, note: &dyn Fn(&str)) -> Result<DebDocument, DebError> {
    if let Some(daemon) = &args.convert {
        return convert(args, daemon, note);
    }
    let build = Build::new(args)?;
    let output = StagedDir::create(&args.output.output, args.output.force)?;
    let inputs = Inputs::read(&args.network_config, &args.ledgers, note)?;
    fork_fs::require_free_space(
        output.path(),
        inputs.tarball_bytes * SPACE_FACTOR + SPACE_EXTRA_BYTES,
    )?;
    let source_date_epoch = args
        .source_date_epoch
        .unwrap_or(inputs.network.fork.genesis_state_timestamp_ms / 1000);

    let control = control(&build, &inputs.network.network)?;
    let name = control.require("Package")?.to_owned();
    let file_name = format!("{name}_{}_all.deb", build.version);
    note(&format!("writing {file_name}"));
    let path = output.path().join(&file_name);
    let written = builder(&build, &inputs, control, source_date_epoch)?.write(&path)?;
    note(&format!("reading {file_name} back"));
    read_back(&path, &written, source_date_epoch)?;

    let document = DebDocument {
        format: DebDocument::format(),
        version: DebDocument::version(),
        file: FileRef {
            name: file_name,
            sha256: written.file.sha256,
            bytes: written.file.bytes,
        },
        package: name,
        package_version: build.version.to_string(),
        architecture: "all".to_owned(),
        network: inputs.network.network,
        git_hash: build.git_hash.to_string(),
        network_document_sha256: inputs.network_sha256,
        contents: written.contents,
        compression: args.compression,
        payload_sha256: written.payload_sha256,
        source_date_epoch,
        sources_verified: inputs.network.sources_verified,
        flavour: DebFlavour::Config,
        converted: None,
    };
    output.write_document(&document)?;
    output.commit()?;
    Ok(document)
}

/// What a config package takes besides its inputs. The command line makes sure that it is there.
struct Build<'a> {
    args: &'a Args,
    version: &'a PackageVersion,
    git_hash: &'a GitHash,
    seed_list_url: &'a SeedListUrl,
}

impl<'a> Build<'a> {
    fn new(args: &'a Args) -> Result<Self, DebError> {
        fn given<'b, T>(value: &'b Option<T>, option: &'static str) -> Result<&'b T, DebError> {
            Ok(value
                .as_ref()
                .ok_or(DebErrorKind::MissingOption { option })?)
        }
        Ok(Self {
            args,
            version: given(&args.package_version, "version")?,
            git_hash: given(&args.git_hash, "git-hash")?,
            seed_list_url: given(&args.seed_list_url, "seed-list-url")?,
        })
    }
}

/// Control data in upstream's order (`scripts/debian/builder-helpers.sh`), with the real
/// `Installed-Size` that upstream leaves empty.
fn control(build: &Build<'_>, network: &str) -> Result<Paragraph, PackageError> {
    let args = build.args;
    let daemon = format!("mina-{network} (<< {})", build.version);
    let built = match &args.build_url {
        None => format!("Built from {}", build.git_hash),
        Some(url) => format!("Built from {} by {url}", build.git_hash),
    };
    let mut control = Paragraph::new();
    for (name, value) in [
        ("Package", format!("mina-{network}-config").as_str()),
        ("Version", build.version.as_str()),
        ("License", "Apache-2.0"),
        ("Origin", "MinaProtocol"),
        ("Label", "MinaProtocol"),
        ("Vendor", "O(1)Labs"),
        ("Codename", &args.codename.to_string()),
        ("Suite", &args.suite),
        ("Architecture", "all"),
        ("Maintainer", "O(1)Labs <build@o1labs.org>"),
        // Its place; the value is counted when the package is written.
        ("Installed-Size", "0"),
        ("Suggests", "jq, curl, wget"),
        ("Replaces", &daemon),
        ("Breaks", &daemon),
        ("Section", "base"),
        ("Priority", "optional"),
        ("Homepage", "https://minaprotocol.com/"),
        (
            "Description",
            &format!(
                "Mina configuration and genesis ledgers for {network} after its hard fork\n {built}"
            ),
        ),
    ] {
        control.set(name, value)?;
    }
    Ok(control)
}

fn builder(
    build: &Build<'_>,
    inputs: &Inputs,
    control: Paragraph,
    source_date_epoch: u64,
) -> Result<DebBuilder, PackageError> {
    let network = &inputs.network.network;
    let bytes = |bytes: &[u8]| FileSource::Bytes(bytes.to_vec());
    let mut deb =
        DebBuilder::new(control, source_date_epoch).compressed_with(build.args.compression);
    let mut add =
        |name: &str, source| deb.add(&format!("{DATA_DIRECTORY}/{name}"), FILE_MODE, source);
    // The daemon loads the config that carries its own commit without being told.
    add(
        &format!("config_{}.json", build.git_hash),
        bytes(&inputs.config),
    )?;
    add(&format!("{network}.json"), bytes(&inputs.config))?;
    add(
        &format!("{network}.old.json"),
        bytes(&inputs.prefork_config),
    )?;
    for (name, path) in &inputs.tarballs {
        add(name, FileSource::File(path.clone()))?;
    }
    let unit = UNIT.replace("@SEED_LIST_URL@", &build.seed_list_url.for_unit());
    deb.add(
        "/usr/lib/systemd/user/mina.service",
        FILE_MODE,
        bytes(unit.as_bytes()),
    )?;
    Ok(deb)
}

/// Reads the package and compares control data, digests, owners, modes and times with the plan.
fn read_back(path: &Path, written: &WrittenDeb, mtime: u64) -> Result<(), DebError> {
    let differs = |problem: String| DebError::from(DebErrorKind::ReadBack { problem });
    let reader = DebReader::open(path)?;
    if reader.control() != &written.control {
        return Err(differs("control data".to_owned()));
    }
    let mut expected: BTreeMap<&str, &PackagedFile> = written
        .contents
        .iter()
        .map(|file| (file.path.as_str(), file))
        .collect();
    let payload_sha256 = reader.read_data(|entry, content| {
        let path = format!("/{}", entry.path);
        if (entry.uid, entry.gid, entry.mtime) != (0, 0, mtime) {
            return Err(differs(format!("owner or time of `{path}`")));
        }
        if entry.kind == DataEntryKind::Directory {
            return Ok(());
        }
        let mut content = HashingReader::new(content);
        io::copy(&mut content, &mut io::sink()).map_err(|source| {
            fork_fs::FsError::io(fork_fs::Operation::Read, Path::new(&path), source)
        })?;
        let content = content.finish();
        let found = PackagedFile {
            mode: format!("{:04o}", entry.mode),
            bytes: content.bytes,
            sha256: content.sha256,
            path,
        };
        match expected.remove(found.path.as_str()) {
            Some(file) if *file == found => Ok(()),
            _ => Err(differs(format!("content of `{}`", found.path))),
        }
    })?;
    if let Some(path) = expected.keys().next() {
        return Err(differs(format!("`{path}` is missing")));
    }
    if payload_sha256 != written.payload_sha256 {
        return Err(differs("digest of the data tar".to_owned()));
    }
    Ok(())
}
