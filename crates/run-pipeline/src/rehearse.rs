//! The rehearsal: a made-up fork of a given size goes through the whole pipeline, so that the budget
//! is proved before the real one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use fork_fs::Operation;
use fork_worker::text::grouped;
use serde::{Deserialize, Serialize};

use crate::error::{PipelineError, PipelineErrorKind};
use crate::interpolate::Environment;
use crate::report::{RunReport, budget, seconds};

/// Accounts of each ledger of mainnet at its fork of September 2026, rounded to what is published.
pub const MAINNET_ACCOUNTS: u64 = 277_307;
/// Most accounts of a rehearsal: more than any chain has, and a limit on time and disk.
const ACCOUNTS_MAX: u64 = 50_000_000;
/// Disk that a rehearsal takes, in bytes for each account of the genesis ledger: three account lists in
/// JSON, twice, the stores, their tarballs, the package and the image, with a third on top.
const DISK_BYTES_PER_ACCOUNT: u64 = 16_000;
/// Where the made-up fork lies in the output directory.
const DIRECTORY: &str = "rehearsal";
const DOCUMENT: &str = "rehearsal.json";
/// The program that makes the fork, and the one that makes the key.
const GENERATOR: &str = "generate-fixture";
const SIGNER: &str = "sign-release";

/// Options of a rehearsal.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Rehearsal")]
pub struct RehearsalArgs {
    /// Make up a fork, and run the pipeline on it: proves the budget beforehand. Variables that are
    /// not given with --env are made up, too
    #[arg(long, conflicts_with_all = ["dry_run", "from", "only"])]
    pub rehearse: bool,
    /// Accounts of each of the three ledgers, such as 277307, 500k or 1M [default: 277307, which is
    /// mainnet]
    #[arg(long, value_name = "N", value_parser = parse_accounts, requires = "rehearse")]
    pub accounts: Option<u64>,
    /// So many times the accounts
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u64).range(1..=1000), default_value_t = 1, requires = "rehearse")]
    pub multiple: u64,
    /// Another seed makes another fork
    #[arg(long, value_name = "S", default_value_t = 1, requires = "rehearse")]
    pub seed: u64,
}

/// What a made-up fork was made with, so that a resumed rehearsal goes on with the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Made {
    accounts: u64,
    seed: u64,
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
        let total = accounts.saturating_mul(self.multiple);
        if total > ACCOUNTS_MAX {
            let reason = format!(
                "--accounts times --multiple is {total}; at most {ACCOUNTS_MAX} can be rehearsed"
            );
            return Err(PipelineErrorKind::Usage { reason }.into());
        }
        Ok(total)
    }

    /// Makes up the fork below the output directory, unless it is there, and puts the variables of the
    /// pipeline that were not given into the environment. `note` is told what takes a while.
    ///
    /// # Errors
    ///
    /// Fails when the disk is too small or fails, when the generator is missing or fails, and when there
    /// is a fork of another size.
    pub(crate) fn prepare(
        &self,
        output: &Path,
        programs: &Path,
        environment: &mut Environment,
        note: &dyn Fn(&str),
    ) -> Result<(), PipelineError> {
        let wanted = Made {
            accounts: self.total()?,
            seed: self.seed,
        };
        let directory = output.join(DIRECTORY);
        let document = directory.join(DOCUMENT);
        if fork_fs::exists(&document) {
            let bytes = fork_fs::read_limited(&document, 1 << 10)?;
            if serde_json::from_slice::<Made>(&bytes).ok() != Some(wanted) {
                let reason = format!(
                    "`{}` holds a made-up fork of another size or seed; pass the same --accounts, --multiple and --seed, or --force to begin again",
                    directory.display()
                );
                return Err(PipelineErrorKind::Usage { reason }.into());
            }
        } else {
            fork_fs::remove_all(&directory)?;
            fork_fs::require_free_space(output, wanted.accounts * DISK_BYTES_PER_ACCOUNT)?;
            note(&format!(
                "making up a fork with three ledgers of {} accounts",
                grouped(wanted.accounts.into())
            ));
            make(&directory, programs, wanted)?;
            // Last: with it, the fork is whole.
            let bytes = serde_json::to_vec(&wanted)
                .map_err(|error| PipelineError::io(Operation::Write, &document, error.into()))?;
            fork_fs::write_atomic(&document, &bytes)?;
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
        Ok(())
    }

    /// What the rehearsal proved.
    pub(crate) fn verdict(&self, report: &RunReport) -> String {
        let accounts = grouped(
            u128::from(self.accounts.unwrap_or(MAINNET_ACCOUNTS)) * u128::from(self.multiple),
        );
        if report.exit_code != 0 && report.wall_ms <= report.budget_ms {
            return format!("rehearsal: three ledgers of {accounts} accounts: it failed\n");
        }
        let fits = if report.wall_ms <= report.budget_ms {
            "fits into"
        } else {
            "DOES NOT FIT into"
        };
        format!(
            "rehearsal: three ledgers of {accounts} accounts took {}, which {fits} the budget of {} ({:.2} %)\n",
            seconds(report.wall_ms),
            budget(report.budget_ms),
            report.budget_used_percent,
        )
    }
}

/// Makes the fork, the base of the image and a key.
fn make(directory: &Path, programs: &Path, wanted: Made) -> Result<(), PipelineError> {
    fork_fs::create_dir_all(directory)?;
    let accounts = wanted.accounts.to_string();
    let seed = wanted.seed.to_string();
    let fork = directory.join("fork");
    let mut generator = Command::new(programs.join(GENERATOR));
    generator
        .args(["--accounts", &accounts, "--seed", &seed])
        // As the real ones are: mostly plain accounts, and epoch ledgers that differ in a few places.
        .args(["--mix", "realistic", "--few-changes"])
        .args(["--files", "fork-config", "--output"])
        .arg(&fork);
    call(GENERATOR, &mut generator)?;
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
    let mut keygen = Command::new(programs.join(SIGNER));
    keygen
        .args(["keygen", "--output"])
        .arg(directory.join("key"));
    call(SIGNER, &mut keygen)
}

fn call(name: &'static str, command: &mut Command) -> Result<(), PipelineError> {
    let output = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .map_err(|source| PipelineErrorKind::Rehearsal {
            program: name,
            problem: source.to_string(),
        })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(PipelineErrorKind::Rehearsal {
        program: name,
        problem: said.trim().chars().take(2_000).collect(),
    }
    .into())
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
            multiple: 1_000,
            ..RehearsalArgs::default()
        };
        let error = many.total().unwrap_err().to_string();
        assert!(error.contains("is 1000000000; at most 50000000"), "{error}");
    }
}
