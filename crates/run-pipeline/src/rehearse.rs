//! The rehearsal: a made-up fork of a given size goes through the whole pipeline, so that the budget
//! is proved before the real one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clap::Args;
use fork_worker::text::grouped;
use serde::{Deserialize, Serialize};

use crate::error::{PipelineError, PipelineErrorKind};
use crate::interpolate::Environment;
use crate::layout::Layout;
use crate::preview::quoted;
use crate::process::{End, Invocation, LineSink, run as run_process};
use crate::report::{RunReport, budget, seconds};
use crate::state;

/// Accounts of each ledger of mainnet at its fork of September 2026, rounded to what is published.
pub const MAINNET_ACCOUNTS: u64 = 277_307;
/// Most accounts of a rehearsal: more than any chain has, and a limit on time and disk.
const ACCOUNTS_MAX: u64 = 50_000_000;
/// Disk that a rehearsal takes, in bytes for each account of the genesis ledger: three account lists in
/// JSON, twice, the stores, their tarballs, the package and the image, with a third on top.
const DISK_BYTES_PER_ACCOUNT: u64 = 16_000;
/// Where the made-up fork lies in the output directory.
const DIRECTORY: &str = "rehearsal";
/// There when the fork is whole.
const DOCUMENT: &str = "rehearsal.json";
/// There from the moment at which its making began.
const WANTED: &str = "wanted.json";
/// Name of the making in lines and logs.
const NAME: &str = "rehearsal";
/// The program that makes the fork, and the one that makes the key.
const GENERATOR: &str = "generate-fixture";
const SIGNER: &str = "sign-release";

/// What a rehearsal is about: it says how long a fork of a known size takes, so that these cannot come
/// from elsewhere.
const OWN: [&str; 20] = [
    "NETWORK",
    "NETWORK_NAME",
    "TESTNET_NAME",
    "FROM_ERA",
    "TO_ERA",
    "CANDIDATE_STORE",
    "STATE_HASH",
    "CONFIRMATIONS",
    "FORK_CONFIG_URL",
    "CONFIG_JSON_GZ_URL",
    "REPLAYER_OUTPUT_URL",
    "ARCHIVE_URI",
    "ARCHIVE_PASSWORD_FILE",
    "ARCHIVE_GENESIS_ACCOUNTS",
    "BLOCK_URL",
    "STAGED_LEDGER_URL",
    "STAKING_LEDGER_URL",
    "NEXT_STAKING_LEDGER_URL",
    "PREFORK_CONFIG",
    "FORKING_FROM_CONFIG_JSON",
];

/// Options of a rehearsal.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Rehearsal")]
pub struct RehearsalArgs {
    /// Make up a fork, and run the pipeline on it: proves the budget beforehand. Variables of the
    /// pipeline that are not given with --env are made up, too, whatever the shell says
    #[arg(long, conflicts_with_all = ["dry_run", "from", "only"])]
    pub rehearse: bool,
    /// Accounts of each of the three ledgers, such as 277307, 500k or 1M [default: 277307, which is
    /// mainnet; with --resume, what the rehearsal began with]
    #[arg(long, value_name = "N", value_parser = parse_accounts, requires = "rehearse")]
    pub accounts: Option<u64>,
    /// So many times the accounts [default: 1]
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u64).range(1..=1000), requires = "rehearse")]
    pub multiple: Option<u64>,
    /// Another seed makes another fork [default: 1]
    #[arg(long, value_name = "S", requires = "rehearse")]
    pub seed: Option<u64>,
}

/// What a made-up fork was made with, so that a resumed rehearsal goes on with the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Made {
    accounts: u64,
    seed: u64,
}

impl Made {
    fn read(path: &Path) -> Option<Self> {
        let bytes = fork_fs::read_limited(path, 1 << 10).ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}

/// Where the fork is made, with what, and who may stop it.
pub(crate) struct Workshop<'a> {
    /// The run's directories.
    pub(crate) layout: &'a Layout,
    /// Where the programs are.
    pub(crate) programs: &'a Path,
    /// Where lines go.
    pub(crate) sink: &'a LineSink,
    /// Ends it when it becomes true.
    pub(crate) stop: &'a AtomicBool,
}

/// Takes the variables of a pipeline out of this process's own: a rehearsal uses nothing that is not
/// given to it. Returns the names of those that had a value.
pub(crate) fn ignore(environment: &mut Environment, names: BTreeSet<String>) -> Vec<String> {
    let mut ignored = Vec::new();
    for name in names {
        // Empty, not gone: the steps get this process's variables with these on top of them.
        if let Some(value) = environment.get_mut(&name)
            && !std::mem::take(value).is_empty()
        {
            ignored.push(name);
        }
    }
    ignored
}

fn parse_accounts(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1_000),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 1_000_000),
        _ => (text, 1),
    };
    let accounts = digits.parse::<u64>().ok();
    match accounts.and_then(|number| number.checked_mul(unit)) {
        Some(accounts @ 10..=ACCOUNTS_MAX) => Ok(accounts),
        _ => Err(format!(
            "expected a number from 10 to {ACCOUNTS_MAX}, such as 277307, 500k or 1M"
        )),
    }
}

impl RehearsalArgs {
    /// Accounts of each ledger.
    ///
    /// # Errors
    ///
    /// Fails above the limit.
    pub(crate) fn total(&self) -> Result<u64, PipelineError> {
        let accounts = self.accounts.unwrap_or(MAINNET_ACCOUNTS);
        let total = accounts.saturating_mul(self.multiple.unwrap_or(1));
        if total > ACCOUNTS_MAX {
            let reason = format!(
                "--accounts times --multiple is {total}; at most {ACCOUNTS_MAX} can be rehearsed"
            );
            return Err(PipelineErrorKind::Usage { reason }.into());
        }
        Ok(total)
    }

    /// Whether what was given with --env leaves the rehearsal what it says it is.
    ///
    /// # Errors
    ///
    /// Fails on a variable that says what is forked.
    pub(crate) fn check(&self, given: &[(String, String)]) -> Result<(), PipelineError> {
        let own = given
            .iter()
            .find(|(name, value)| OWN.contains(&name.as_str()) && !value.is_empty());
        let Some((name, _)) = own else {
            return Ok(());
        };
        let reason = format!(
            "{name} says what is forked, and a rehearsal makes that up to measure a fork of a known size; leave it out, or run without --rehearse"
        );
        Err(PipelineErrorKind::Usage { reason }.into())
    }

    /// What is to be made, or has been.
    fn wanted(&self, directory: &Path) -> Result<Made, PipelineError> {
        let document = |name: &str| Made::read(&directory.join(name));
        let begun = document(WANTED).or_else(|| document(DOCUMENT));
        let accounts = match (self.accounts, self.multiple, begun) {
            (None, None, Some(begun)) => begun.accounts,
            _ => self.total()?,
        };
        let seed = self.seed.or(begun.map(|begun| begun.seed)).unwrap_or(1);
        let wanted = Made { accounts, seed };
        match begun {
            Some(begun) if begun != wanted => {
                let reason = format!(
                    "`{}` is of a fork with {} accounts and seed {}; leave out --accounts, --multiple and --seed to go on with it, or pass --force to begin again",
                    directory.display(),
                    grouped(begun.accounts.into()),
                    begun.seed
                );
                Err(PipelineErrorKind::Usage { reason }.into())
            }
            _ => Ok(wanted),
        }
    }

    /// Makes up the fork below the output directory, unless it is there, and puts the variables of the
    /// pipeline that were not given into the environment.
    ///
    /// # Errors
    ///
    /// Fails when the disk is too small or fails, when the generator is missing or fails, when there
    /// is a fork of another size, and when it was told to stop.
    pub(crate) fn prepare(
        &self,
        workshop: &Workshop<'_>,
        environment: &mut Environment,
    ) -> Result<Made, PipelineError> {
        let layout = workshop.layout;
        let directory = layout.output.join(DIRECTORY);
        if !fork_fs::exists(&directory) && fork_fs::exists(&layout.output.join("artifacts")) {
            let reason = format!(
                "`{}` is the output of a run that was no rehearsal; name another --output",
                layout.output.display()
            );
            return Err(PipelineErrorKind::Usage { reason }.into());
        }
        let wanted = self.wanted(&directory)?;
        if Made::read(&directory.join(DOCUMENT)).is_none() {
            let _lock = state::lock(layout)?;
            state::stop_orphans(layout)?;
            fork_fs::create_dir_all(&directory)?;
            write(&directory.join(WANTED), wanted)?;
            fork_fs::require_free_space(&layout.output, wanted.accounts * DISK_BYTES_PER_ACCOUNT)?;
            let line = format!(
                "making up a fork with three ledgers of {} accounts",
                grouped(wanted.accounts.into())
            );
            workshop.sink.line("run-pipeline", line.as_bytes());
            workshop.make(&directory, wanted)?;
            // Last: with it, the fork is whole.
            write(&directory.join(DOCUMENT), wanted)?;
        }
        let file = |name: &str| directory.join(name).display().to_string();
        for (name, value) in [
            ("NETWORK", file("fork/network.toml")),
            ("FORK_CONFIG_URL", file("fork/fork_config.json")),
            ("BLOCK_URL", file("fork/block.json")),
            ("PREFORK_CONFIG", file("fork/prefork_config.json")),
            ("VERSION", "0.0.0-rehearsal".to_owned()),
            ("GIT_HASH", "0123abcd".to_owned()),
            (
                "SEED_LIST_URL",
                "https://example.org/rehearsal_seeds.txt".to_owned(),
            ),
            ("BASE_IMAGE", format!("rootfs:{}", file("base"))),
            ("SIGNING_KEY_FILE", file("key/signing-key.pem")),
        ] {
            let value_there = environment.entry(name.to_owned()).or_default();
            if value_there.is_empty() {
                *value_there = value;
            }
        }
        Ok(wanted)
    }
}

impl Made {
    /// What the rehearsal proved.
    pub(crate) fn verdict(self, report: &RunReport) -> String {
        let accounts = grouped(self.accounts.into());
        let worked_ms = report.worked_ms();
        if report.exit_code != 0 && worked_ms <= report.budget_ms {
            return format!("rehearsal: three ledgers of {accounts} accounts: it failed\n");
        }
        let fits = if worked_ms <= report.budget_ms {
            "fits into"
        } else {
            "DOES NOT FIT into"
        };
        format!(
            "rehearsal: three ledgers of {accounts} accounts took {}, which {fits} the budget of {} ({:.2} %)\n",
            seconds(worked_ms),
            budget(report.budget_ms),
            report.budget_used_percent,
        )
    }
}

fn write(path: &Path, made: Made) -> Result<(), PipelineError> {
    state::write_json(&made, path)
}

impl Workshop<'_> {
    /// Makes the fork, the base of the image and a key.
    fn make(&self, directory: &Path, wanted: Made) -> Result<(), PipelineError> {
        for part in ["fork", "base", "key"] {
            // What was being made when it was stopped.
            fork_fs::remove_all(&directory.join(part))?;
        }
        let fork = directory.join("fork").display().to_string();
        let accounts = wanted.accounts.to_string();
        let seed = wanted.seed.to_string();
        // As the real ones are: mostly plain accounts, and epoch ledgers that differ in a few places.
        let arguments = [
            "--accounts",
            &accounts,
            "--seed",
            &seed,
            "--mix",
            "realistic",
            "--few-changes",
            "--files",
            "fork-config",
            "--output",
            &fork,
        ];
        self.call(GENERATOR, &arguments)?;
        // What dpkg needs to know of a system; nothing in it is ever run here.
        let base = directory.join("base");
        for (path, text) in [
            (
                "var/lib/dpkg/status",
                "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.21.22\n\n",
            ),
            ("var/lib/dpkg/arch", "amd64\n"),
            (
                "etc/os-release",
                "PRETTY_NAME=\"A base made up for a rehearsal\"\n",
            ),
        ] {
            let path: PathBuf = base.join(path);
            if let Some(parent) = path.parent() {
                fork_fs::create_dir_all(parent)?;
            }
            fork_fs::write_atomic(&path, text.as_bytes())?;
        }
        fork_fs::create_dir_all(&base.join("var/lib/dpkg/info"))?;
        let key = directory.join("key").display().to_string();
        self.call(SIGNER, &["keygen", "--output", &key])
    }

    /// Runs a program as the steps are run: what it says is shown, and it ends when the run does.
    fn call(&self, program: &'static str, arguments: &[&str]) -> Result<(), PipelineError> {
        let path = self.programs.join(program);
        if !path.is_file() {
            return Err(PipelineErrorKind::Rehearsal {
                program,
                problem: format!("there is no `{}`", path.display()),
                is_missing: true,
            }
            .into());
        }
        let path = path.display().to_string();
        let words = std::iter::once(path.as_str()).chain(arguments.iter().copied());
        let words: Vec<String> = words.map(quoted).collect();
        let log = self.layout.log(NAME);
        fork_fs::create_dir_all(log.parent().unwrap_or(&self.layout.output))?;
        let invocation = Invocation {
            key: NAME,
            name: NAME,
            script: &format!("exec {} >/dev/null", words.join(" ")),
            directory: self.layout.output.clone(),
            environment: BTreeMap::new(),
            log,
            layout: self.layout,
            timeout: None,
        };
        match run_process(&invocation, self.sink, self.stop)?.end {
            End::Exited(0) => Ok(()),
            End::Interrupted => Err(PipelineErrorKind::Interrupted {
                doing: "the fork was made up",
            }
            .into()),
            end => Err(PipelineErrorKind::Rehearsal {
                program,
                problem: end.to_string(),
                is_missing: false,
            }
            .into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_with_their_unit() {
        for (text, accounts) in [
            ("277307", 277_307),
            ("500k", 500_000),
            ("1M", 1_000_000),
            ("10", 10),
            ("50M", 50_000_000),
        ] {
            assert_eq!(parse_accounts(text), Ok(accounts), "{text}");
        }
        for text in [
            "",
            "M",
            "9",
            "1.5M",
            "51M",
            "-1",
            "18446744073709551615k",
            "1G",
        ] {
            assert!(parse_accounts(text).is_err(), "{text}");
        }
        let many = RehearsalArgs {
            accounts: Some(1_000_000),
            multiple: Some(1_000),
            ..RehearsalArgs::default()
        };
        let error = many.total().unwrap_err().to_string();
        assert!(error.contains("is 1000000000; at most 50000000"), "{error}");
    }
}
