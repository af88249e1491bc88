//! A real small package, made once by the workers, and ways to take it apart and put it together.
#![allow(dead_code, reason = "every test file uses its part")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use clap::Parser;
use fork_package::{DebBuilder, DebReader, FileSource, Paragraph};
use fork_testkit::fixture::{FixtureSpec, write_fixture};
use fork_worker::{Context, OutputFormat, Worker};
use serde_json::Value;
use sha3::{Digest, Sha3_256};
use tempfile::TempDir;
use verify_package::{Outcome, ReportDocument};

/// Accounts of the genesis ledger: one of every kind and some more.
pub const ACCOUNTS: u32 = 40;

/// The package and everything it was made from.
pub struct Made {
    pub directory: PathBuf,
    pub network: String,
}

fn run<W: Worker>(arguments: &[&str]) {
    let context = Context::quiet(OutputFormat::Json);
    let worker = W::try_parse_from(arguments).unwrap();
    if let Err(error) = worker.run(&context) {
        panic!("{arguments:?}: {}", error.0);
    }
}

/// What a package is made from.
pub struct Inputs {
    pub network: String,
    pub fork_config: String,
    pub block: Option<String>,
    pub prefork: String,
    pub eras: [&'static str; 2],
    pub fork_slot: Option<String>,
    pub timestamp: Option<String>,
}

/// Imports, migrates, configures and packages: `candidate`, `ledgers`, `network` and `deb` of a
/// directory.
pub fn package(directory: &Path, inputs: &Inputs) {
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    import(inputs, &path("candidate"));
    let (candidate, output) = (path("candidate"), path("ledgers"));
    let mut arguments = vec!["migrate-ledger", "--candidate", &candidate];
    arguments.extend(["--role", "genesis", "--role", "staking", "--role", "next"]);
    arguments.extend(["--from", inputs.eras[0], "--to", inputs.eras[1]]);
    if let Some(slot) = &inputs.fork_slot {
        arguments.extend(["--fork-slot", slot]);
    }
    arguments.extend(["--output", &output]);
    run::<migrate_ledger::Args>(&arguments);
    let ledgers = [
        path("ledgers/genesis"),
        path("ledgers/staking"),
        path("ledgers/next"),
    ];
    let network = path("network");
    let mut arguments = vec![
        "generate-network-config",
        "--network",
        &inputs.network,
        "--candidate",
        &candidate,
        "--ledgers",
        &ledgers[0],
        &ledgers[1],
        &ledgers[2],
        "--prefork-config",
        &inputs.prefork,
        "--output",
        &network,
    ];
    if let Some(timestamp) = &inputs.timestamp {
        arguments.extend(["--genesis-timestamp", timestamp]);
    }
    run::<generate_network_config::Args>(&arguments);
    run::<package_deb::Args>(&[
        "package-deb",
        "--network-config",
        &network,
        "--ledgers",
        &ledgers[0],
        &ledgers[1],
        &ledgers[2],
        "--version",
        "4.0.0-6850301",
        "--git-hash",
        "68503010",
        "--seed-list-url",
        "https://example.org/seeds.txt",
        "--output",
        &path("deb"),
    ]);
}

/// Makes the candidate.
pub fn import(inputs: &Inputs, output: &str) {
    let mut arguments = vec![
        "dump-candidates",
        "import",
        "--network",
        &inputs.network,
        "--fork-config",
        &inputs.fork_config,
        "--output",
        output,
    ];
    if let Some(block) = &inputs.block {
        arguments.extend(["--block", block]);
    }
    run::<dump_candidates::Args>(&arguments);
}

/// The only package file of a directory.
pub fn deb_in(directory: &Path) -> PathBuf {
    let mut found = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|one| one == "deb"));
    found.next().unwrap()
}

impl Made {
    /// The package of a seed that no test file shares with another.
    pub fn once(name: &str) -> &'static Self {
        static MADE: OnceLock<Made> = OnceLock::new();
        MADE.get_or_init(|| Self::make(name))
    }

    fn make(name: &str) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        let spec = FixtureSpec {
            accounts: ACCOUNTS,
            ..FixtureSpec::default()
        };
        let model = write_fixture(&spec, &directory.join("fixture"), true).unwrap();
        let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
        let network = path("fixture/network.toml");
        package(
            &directory,
            &Inputs {
                network: network.clone(),
                fork_config: path("fixture/fork_config.json"),
                block: Some(path("fixture/block.json")),
                prefork: path("fixture/prefork_config.json"),
                eras: ["berkeley", "mesa"],
                fork_slot: Some(model.fork_slot.to_string()),
                timestamp: None,
            },
        );
        let base = directory.join("base");
        for name in ["etc", "usr/lib", "var/lib/dpkg/info"] {
            fs::create_dir_all(base.join(name)).unwrap();
        }
        fs::write(base.join("var/lib/dpkg/status"), STATUS).unwrap();
        fs::write(base.join("var/lib/dpkg/arch"), "amd64\n").unwrap();
        fs::write(base.join("etc/os-release"), "PRETTY_NAME=\"Test\"\n").unwrap();
        run::<package_image::Args>(&[
            "package-image",
            "--deb",
            &path("deb"),
            "--base",
            &format!("rootfs:{}", path("base")),
            "--docker-archive",
            &path("image.tar"),
            "--output",
            &path("image"),
        ]);
        Self {
            directory,
            network: model.network,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The `.deb`.
    pub fn deb(&self) -> PathBuf {
        deb_in(&self.path("deb"))
    }

    /// A copy of the candidate.
    pub fn copy_candidate(&self, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(self.path("candidate")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// A status file with another package.
pub const STATUS: &str = "Package: dpkg\nStatus: install ok installed\nMaintainer: A <a@example.org>\nArchitecture: amd64\nVersion: 1.21.22\nDescription: package manager\n\n";

/// The files of a package, to be changed.
pub struct Opened {
    pub control: Paragraph,
    pub mtime: u64,
    /// Content and mode by absolute path.
    pub files: BTreeMap<String, (Vec<u8>, u32)>,
}

impl Opened {
    pub fn read(deb: &Path) -> Self {
        let reader = DebReader::open(deb).unwrap();
        let (control, mtime) = (reader.control().clone(), reader.mtime());
        let mut files = BTreeMap::new();
        reader
            .read_data::<fork_package::PackageError>(|entry, content| {
                if entry.kind != fork_package::DataEntryKind::Directory {
                    let mut bytes = Vec::new();
                    content.read_to_end(&mut bytes).unwrap();
                    files.insert(format!("/{}", entry.path), (bytes, entry.mode));
                }
                Ok(())
            })
            .unwrap();
        Self {
            control,
            mtime,
            files,
        }
    }

    /// Builds the package again, with right checksums.
    pub fn write(&self, target: &Path) {
        self.write_compressed(target, fork_types::Compression::Gzip);
    }

    /// As [`Self::write`].
    pub fn write_compressed(&self, target: &Path, compression: fork_types::Compression) {
        let mut builder =
            DebBuilder::new(self.control.clone(), self.mtime).compressed_with(compression);
        for (path, (bytes, mode)) in &self.files {
            builder
                .add(path, *mode, FileSource::Bytes(bytes.clone()))
                .unwrap();
        }
        builder.write(target).unwrap();
    }

    /// Puts the files into a directory, as unpacking would.
    pub fn unpack(&self, root: &Path) {
        use std::os::unix::fs::PermissionsExt;
        for (path, (bytes, mode)) in &self.files {
            let target = root.join(path.trim_start_matches('/'));
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::write(&target, bytes).unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(*mode)).unwrap();
            for parent in target.ancestors().skip(1).take_while(|one| *one != root) {
                fs::set_permissions(parent, fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
    }

    /// Writes dpkg's database beside the unpacked files, as an installation would.
    pub fn install(&self, root: &Path) {
        use std::os::unix::fs::PermissionsExt;
        let package = self.control.get("Package").unwrap();
        let database = root.join("var/lib/dpkg");
        fs::create_dir_all(database.join("info")).unwrap();
        fs::create_dir_all(database.join("updates")).unwrap();
        for path in ["var", "var/lib"] {
            fs::set_permissions(root.join(path), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut status = STATUS.to_owned();
        for (name, value) in self.control.fields() {
            status.push_str(&format!("{name}: {value}\n"));
            if name == "Package" {
                status.push_str("Status: install ok installed\n");
            }
        }
        fs::write(database.join("status"), status + "\n").unwrap();
        let mut listed = std::collections::BTreeSet::from(["/.".to_owned()]);
        let mut sums = String::new();
        for (path, (bytes, _)) in &self.files {
            listed.extend(
                Path::new(path)
                    .ancestors()
                    .map(|one| one.to_str().unwrap().to_owned())
                    .filter(|one| one != "/"),
            );
            let sum = hex::encode(md5::Md5::digest(bytes));
            sums.push_str(&format!("{sum}  {}\n", &path[1..]));
        }
        let list: Vec<String> = listed.into_iter().collect();
        let info = |suffix: &str| database.join(format!("info/{package}.{suffix}"));
        fs::write(info("list"), list.join("\n") + "\n").unwrap();
        fs::write(info("md5sums"), sums).unwrap();
    }

    /// Puts config and tarballs where a daemon that makes its own puts them.
    pub fn automode(&self, root: &Path) {
        fs::create_dir_all(root.join("genesis")).unwrap();
        for (path, (bytes, _)) in &self.files {
            let name = path.rsplit('/').next().unwrap();
            if name.ends_with(".tar.gz") {
                fs::write(root.join("genesis").join(name), bytes).unwrap();
            }
        }
        let config = &self.files[&self.config_paths()[0]].0;
        fs::write(root.join("daemon.json"), config).unwrap();
        fs::write(root.join("activated"), "").unwrap();
    }

    /// The accounts of the store of a ledger.
    pub fn accounts(&self, member: &str) -> Vec<fork_ledger::account::Account> {
        let scratch = TempDir::new().unwrap();
        let tarball = scratch.path().join("store.tar.gz");
        fs::write(&tarball, &self.files[&self.tarball(member)].0).unwrap();
        let store = fork_store::StoreReader::open_tarball(&tarball, scratch.path()).unwrap();
        let era = fork_types::Era::Mesa;
        let mut examiner = fork_store::StoreExaminer::new(&store, era, era.depth()).unwrap();
        let accounts = examiner.take(1 << 20).unwrap();
        accounts.into_iter().map(Option::unwrap).collect()
    }

    /// Changes the config in both its copies.
    pub fn config(&mut self, change: impl FnOnce(&mut Value)) {
        let path = self.config_paths()[0].clone();
        let mut value: Value = serde_json::from_slice(&self.files[&path].0).unwrap();
        change(&mut value);
        let mut bytes = serde_json::to_vec_pretty(&value).unwrap();
        bytes.push(b'\n');
        for path in self.config_paths() {
            self.files.get_mut(&path).unwrap().0.clone_from(&bytes);
        }
    }

    pub fn config_paths(&self) -> Vec<String> {
        self.files
            .keys()
            .filter(|path| path.ends_with(".json") && !path.ends_with(".old.json"))
            .cloned()
            .collect()
    }

    fn value(&self) -> Value {
        serde_json::from_slice(&self.files[&self.config_paths()[0]].0).unwrap()
    }

    /// Path of the tarball of `ledger`, `epoch_data/staking` or `epoch_data/next`.
    pub fn tarball(&self, member: &str) -> String {
        let digest = self
            .value()
            .pointer(&format!("/{member}/s3_data_hash"))
            .unwrap()
            .clone();
        let found = self.files.iter().find(|(path, (bytes, _))| {
            path.ends_with(".tar.gz")
                && hex::encode(Sha3_256::digest(bytes)) == *digest.as_str().unwrap()
        });
        found.unwrap().0.clone()
    }

    /// Replaces a tarball and the digest in the config.
    pub fn replace_tarball(&mut self, member: &str, bytes: Vec<u8>) {
        let path = self.tarball(member);
        let digest = hex::encode(Sha3_256::digest(&bytes));
        self.files.get_mut(&path).unwrap().0 = bytes;
        self.config(|config| {
            *config
                .pointer_mut(&format!("/{member}/s3_data_hash"))
                .unwrap() = digest.into();
        });
    }

    /// Changes the entries of the store of a ledger.
    pub fn store(&mut self, member: &str, change: impl FnOnce(&mut BTreeMap<Vec<u8>, Vec<u8>>)) {
        let scratch = TempDir::new().unwrap();
        let tarball = scratch.path().join("store.tar.gz");
        fs::write(&tarball, &self.files[&self.tarball(member)].0).unwrap();
        let mut entries = BTreeMap::new();
        {
            let store = fork_store::StoreReader::open_tarball(&tarball, scratch.path()).unwrap();
            let mut cursor = store.entries();
            while let Some((key, value)) = cursor.advance().unwrap() {
                entries.insert(key.to_vec(), value.to_vec());
            }
        }
        change(&mut entries);
        let mut text = Vec::new();
        for (key, value) in &entries {
            writeln!(text, "{} : {}", hex::encode(key), hex::encode(value)).unwrap();
        }
        let directory = scratch.path().join("changed");
        fs::create_dir(&directory).unwrap();
        fork_store::restore_scan(text.as_slice(), &directory).unwrap();
        let packed = scratch.path().join("changed.tar.gz");
        fork_store::write_tarball(&directory, &packed).unwrap();
        self.replace_tarball(member, fs::read(packed).unwrap());
    }
}

/// What is verified.
pub struct Run<'a> {
    pub subject: [String; 2],
    pub candidate: PathBuf,
    pub network: String,
    pub more: Vec<String>,
    pub made: &'a Made,
}

impl<'a> Run<'a> {
    pub fn new(made: &'a Made, kind: &str, subject: impl Into<String>) -> Self {
        Self {
            subject: [kind.to_owned(), subject.into()],
            candidate: made.path("candidate"),
            network: made
                .path("fixture/network.toml")
                .to_str()
                .unwrap()
                .to_owned(),
            more: vec![
                "--prefork-config".to_owned(),
                made.path("fixture/prefork_config.json")
                    .to_str()
                    .unwrap()
                    .to_owned(),
            ],
            made,
        }
    }

    pub fn args(&self, output: &Path) -> verify_package::Args {
        let mut arguments = vec![
            "verify-package",
            self.subject[0].as_str(),
            &self.subject[1],
            "--candidate",
            self.candidate.to_str().unwrap(),
            "--network",
            &self.network,
            "--output",
            output.to_str().unwrap(),
        ];
        arguments.extend(self.more.iter().map(String::as_str));
        verify_package::Args::try_parse_from(arguments).unwrap()
    }

    /// The report; what lies in the output directory must be the same.
    pub fn report(&self) -> ReportDocument {
        let output = TempDir::new().unwrap();
        let directory = output.path().join("report");
        let context = Context::quiet(OutputFormat::Json);
        let report = verify_package::verify(&self.args(&directory), &context).unwrap();
        let (written, _) = fork_fs::read_document::<ReportDocument>(&directory).unwrap();
        assert_eq!(report, written);
        let page = fs::read_to_string(directory.join("report.html")).unwrap();
        assert_eq!(page, verify_package::page(&report));
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);
        report
    }
}

/// Whether there is a dpkg to ask.
pub fn has_dpkg() -> bool {
    ["/usr/bin/dpkg", "/usr/local/bin/dpkg"]
        .iter()
        .any(|path| Path::new(path).is_file())
}

/// Where there is a dpkg it was asked, and agrees.
pub fn dpkg_agrees(report: &ReportDocument) {
    let check = report.checks.iter().find(|one| one.id == "package.dpkg");
    let outcome = check.unwrap().outcome;
    if has_dpkg() {
        assert_eq!(outcome, Outcome::Passed, "{check:?}");
    } else {
        assert_eq!(outcome, Outcome::NotRun, "{check:?}");
    }
}

/// Nothing failed, and only `not_run` was not run; nothing about a second package without one.
pub fn assert_passed(report: &ReportDocument, not_run: &[&str]) {
    let failed: Vec<_> = report
        .checks
        .iter()
        .filter(|check| check.outcome == Outcome::Failed)
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let mut found = report.ids(Outcome::NotRun);
    found.retain(|id| report.comparison.is_some() || !id.starts_with("against."));
    // Whether a dpkg is asked depends on the machine; `dpkg_agrees` looks at it.
    found.retain(|id| *id != "package.dpkg");
    assert_eq!(found, not_run);
}
