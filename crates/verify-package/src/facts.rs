//! Everything that the checks look at, computed once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fork_fs::Digested;
use fork_ledger::migrate::{Rule, RuleError};
use fork_types::document::FileRef;
use fork_types::{Role, SlotSinceGenesis};
use fork_worker::Stages;
use rayon::prelude::*;

use crate::against::{self, Side};
use crate::args::Args;
use crate::config::ConfigView;
use crate::converted::Converted;
use crate::daemon::NodeFacts;
use crate::dpkg::DpkgFacts;
use crate::earlier::{Earlier, Here};
use crate::error::VerifyError;
use crate::ledgers::{self, Examination, LedgerFacts};
use crate::reference::Reference;
use crate::report::ReportComparison;
use crate::subject::{CONFIG_BYTES_MAX, Content, Subject, SubjectKind, error_text, is_hex};
use crate::summary::Clocks;
use crate::tarball::TarballFacts;

/// A file of the candidate: its role, what the document says, and what was found.
pub type CandidateFile = (String, FileRef, Result<Digested, String>);

/// What was read and computed.
#[derive(Debug)]
pub struct Facts {
    /// What is verified, or why it cannot be read.
    pub subject: Result<Subject, String>,
    /// Its form.
    pub kind: SubjectKind,
    /// What it is held against.
    pub reference: Reference,
    /// What the dpkg of the machine says.
    pub dpkg: DpkgFacts,
    /// The config that names the ledgers, or why there is none.
    pub config: Result<ConfigView, String>,
    /// Path of that config.
    pub config_path: String,
    /// Files of the candidate.
    pub candidate_files: Vec<CandidateFile>,
    /// Tarballs by path.
    pub tarballs: BTreeMap<String, TarballFacts>,
    /// The migration rule, or why there is none.
    pub rule: Result<Rule, String>,
    /// Slot it uses and who says so.
    pub fork_slot: Option<(SlotSinceGenesis, String)>,
    /// The three ledgers.
    pub ledgers: Vec<LedgerFacts>,
    /// A node that was started from the package; gathered last, with [`NodeFacts::gather`].
    pub node: NodeFacts,
    /// Times at which locked balances were counted, in milliseconds since 1970.
    pub times_ms: Vec<u64>,
    /// The comparison with the daemon's package it was converted from, or why there is none; absent
    /// when none was named.
    pub converted: Option<Result<Converted, String>>,
    /// The report on the package that this was made from; absent when none was named.
    pub earlier: Option<Earlier>,
    /// A second package beside this one; absent when none was named.
    pub comparison: Option<ReportComparison>,
}

impl Facts {
    /// Reads the package, and computes everything from it and from the candidate.
    ///
    /// # Errors
    ///
    /// Fails when no migration rule can be chosen. That the package cannot be read is a finding.
    pub fn gather(
        args: &Args,
        reference: Reference,
        scratch: &Path,
        stages: &mut Stages,
    ) -> Result<Self, VerifyError> {
        std::thread::scope(|threads| {
            // A processor's idle moments are enough for it.
            let dpkg = args
                .subject
                .deb
                .as_deref()
                .map(|path| threads.spawn(|| DpkgFacts::of_deb(path, scratch)));
            let mut facts = Self::gather_own(args, reference, scratch, stages)?;
            facts.dpkg = match dpkg {
                Some(dpkg) => dpkg
                    .join()
                    .unwrap_or_else(|_| DpkgFacts::not_asked("asking it failed")),
                None => {
                    let network = facts.reference.network.package_name();
                    dpkg_of_root(args, &facts.subject, network, scratch)
                }
            };
            stages.end("dpkg");
            Ok(facts)
        })
    }

    /// All but what dpkg says.
    fn gather_own(
        args: &Args,
        reference: Reference,
        scratch: &Path,
        stages: &mut Stages,
    ) -> Result<Self, VerifyError> {
        let network = reference.network.package_name().to_owned();
        let (kind, _) = Subject::describe(&args.subject);
        let mut earlier = args
            .package_report
            .as_deref()
            .map(Earlier::read)
            .transpose()?;
        let (subject, candidate_files) = rayon::join(
            || Subject::read(&args.subject, &network, scratch, earlier.is_none()),
            || candidate_files(&reference),
        );
        let (subject, unpacked) = match subject {
            Ok((subject, unpacked)) => (Ok(subject), unpacked),
            Err(error) => (Err(error.full_text()), BTreeMap::new()),
        };
        stages.end("read");

        let (config_path, config) = match &subject {
            Ok(subject) => config(subject, &network),
            Err(_) => (String::new(), Err("the package cannot be read".to_owned())),
        };
        let chosen = match &subject {
            Ok(subject) => {
                ledgers::choose(subject, config.as_ref().ok(), reference.network.target_era)
            }
            Err(_) => unreadable(),
        };
        let fork_slot = reference.fork_slot.clone().or_else(|| {
            let slot = config.as_ref().ok()?.number(SLOT_POINTER)?;
            let by = "the packaged config, which is not independent".to_owned();
            Some((SlotSinceGenesis::new(slot), by))
        });
        let rule = rule(args, &reference, fork_slot.as_ref().map(|(slot, _)| *slot))?;
        let clocks = Clocks::new(&reference, config.as_ref().ok());
        let taken_over = earlier.as_mut().and_then(|earlier| {
            earlier.ledgers(&Here {
                reference: &reference,
                subject: &subject,
                config: &config,
                config_path: &config_path,
                chosen: &chosen,
                rule: rule.as_ref().ok().copied(),
                times_ms: &clocks.times_ms,
            })
        });
        let (subject, chosen, tarballs) = match subject {
            subject @ Ok(_) if taken_over.is_some() => (subject, chosen, BTreeMap::new()),
            Ok(subject) => match unpack(&subject, unpacked, &chosen, scratch) {
                Ok(tarballs) => (Ok(subject), chosen, tarballs),
                Err(problem) => (Err(problem), unreadable(), BTreeMap::new()),
            },
            Err(problem) => (Err(problem), unreadable(), BTreeMap::new()),
        };
        stages.end("unpack");

        let ledgers = taken_over.unwrap_or_else(|| {
            let examination = Examination {
                config: config.as_ref().ok(),
                tarballs: &tarballs,
                reference: &reference,
                rule: rule.as_ref().ok().copied(),
                clocks: &clocks,
            };
            ledgers::examine(&examination, &chosen, args.store_reading)
        });
        stages.end("ledgers");
        let comparison = args.against.as_ref().map(|against| {
            let here = subject.as_ref().map_err(Clone::clone);
            let here = here.map(|subject| Side {
                subject,
                config: config.as_ref(),
                config_path: &config_path,
                chosen: &chosen,
                tarballs: &tarballs,
            });
            let target = reference.network.target_era;
            against::compare(here, &against.0, &network, target, scratch)
        });
        if comparison.is_some() {
            stages.end("against");
        }
        let converted = match (&args.converted_from, &args.subject.deb) {
            (Some(daemon), Some(deb)) => Some(Converted::read(daemon, deb, &network)),
            _ => None,
        };
        Ok(Self {
            converted,
            subject,
            kind,
            dpkg: DpkgFacts::not_asked("it was not asked yet"),
            reference,
            config,
            config_path,
            candidate_files,
            tarballs,
            rule,
            fork_slot,
            ledgers,
            node: NodeFacts::default(),
            times_ms: clocks.times_ms,
            earlier,
            comparison,
        })
    }

    /// The ledger of a role.
    #[must_use]
    pub fn ledger(&self, role: Role) -> &LedgerFacts {
        &self.ledgers[match role {
            Role::Genesis => 0,
            Role::Staking => 1,
            Role::Next => 2,
        }]
    }
}

/// The tarballs of a package that cannot be read.
fn unreadable() -> [Result<String, String>; 3] {
    Role::ALL.map(|_| Err("the package cannot be read".to_owned()))
}

/// Where a config has the slot of the new genesis.
pub(crate) const SLOT_POINTER: &str = "/proof/fork/global_slot_since_genesis";
/// Where it has its time.
pub(crate) const TIME_POINTER: &str = "/genesis/genesis_state_timestamp";

/// What dpkg says of an installed package, which must have been looked at before.
fn dpkg_of_root(
    args: &Args,
    subject: &Result<Subject, String>,
    network: &str,
    scratch: &Path,
) -> DpkgFacts {
    match (&args.subject.root, subject) {
        (Some(root), Ok(subject)) => {
            let package = format!("mina-{network}-config");
            DpkgFacts::of_root(root, subject, &package, scratch)
        }
        _ => DpkgFacts::not_asked("dpkg can be asked only about packages and roots"),
    }
}

/// The config: the network's, else the one for a commit, else the daemon's own.
pub(crate) fn config(subject: &Subject, network: &str) -> (String, Result<ConfigView, String>) {
    let is_automode = subject.kind == SubjectKind::Automode;
    let files: Vec<(&str, &str, &Content)> = subject.files_in(subject.data_directory()).collect();
    let wanted = if is_automode {
        "daemon.json".to_owned()
    } else {
        format!("{network}.json")
    };
    let found = files
        .iter()
        .find(|(_, name, _)| *name == wanted)
        .or_else(|| files.iter().find(|(_, name, _)| is_commit_config(name)));
    let Some((path, _, content)) = found else {
        return (wanted.clone(), Err(format!("there is no file `{wanted}`")));
    };
    let config = fork_fs::read_limited(content.path(), CONFIG_BYTES_MAX)
        .map_err(|error| error_text(&error))
        .and_then(|bytes| ConfigView::read(&bytes, is_automode));
    ((*path).to_owned(), config)
}

/// Whether a name is `config_<8 hexadecimal digits>.json`.
pub(crate) fn is_commit_config(name: &str) -> bool {
    name.strip_prefix("config_")
        .and_then(|rest| rest.strip_suffix(".json"))
        .is_some_and(|digits| is_hex(digits, 8))
}

fn candidate_files(reference: &Reference) -> Vec<CandidateFile> {
    let candidate = &reference.candidate;
    let mut files: Vec<(String, FileRef)> = Role::ALL
        .iter()
        .map(|role| {
            (
                format!("{role} ledger"),
                candidate.ledger(*role).file.clone(),
            )
        })
        .collect();
    if let Some(block) = &candidate.block {
        files.push(("block".to_owned(), block.clone()));
    }
    files
        .into_par_iter()
        .map(|(what, file)| {
            let found = fork_fs::child(&reference.directory, &file.name)
                .and_then(|path| fork_fs::sha256_file(&path))
                .map_err(|error| error_text(&error));
            (what, file, found)
        })
        .collect()
}

/// Unpacks every tarball that was chosen and is not `unpacked` yet, on all threads.
pub(crate) fn unpack(
    subject: &Subject,
    mut unpacked: BTreeMap<String, TarballFacts>,
    chosen: &[Result<String, String>; 3],
    scratch: &Path,
) -> Result<BTreeMap<String, TarballFacts>, String> {
    let paths: BTreeSet<&String> = chosen.iter().flatten().collect();
    unpacked.retain(|path, _| paths.contains(path));
    let missing: Vec<_> = paths
        .into_iter()
        .filter(|path| !unpacked.contains_key(*path))
        .filter_map(|path| Some((path, subject.entries.get(path)?.file()?)))
        .collect();
    let more: Vec<(String, TarballFacts)> = missing
        .into_par_iter()
        .map(|(path, content)| {
            let facts = TarballFacts::read(content, scratch).map_err(|error| error.full_text())?;
            Ok((path.clone(), facts))
        })
        .collect::<Result<_, String>>()?;
    unpacked.extend(more);
    Ok(unpacked)
}

/// The rule that follows from the network's eras; the slot is only used where the rule needs one.
fn rule(
    args: &Args,
    reference: &Reference,
    fork_slot: Option<SlotSinceGenesis>,
) -> Result<Result<Rule, String>, VerifyError> {
    let (from, to) = (reference.network.source_era, reference.network.target_era);
    let variant = args.variant.as_deref();
    let rule = match Rule::from_pair(from, to, variant, args.fork_slot) {
        Err(RuleError::ForkSlotMissing { .. }) => Rule::from_pair(from, to, variant, fork_slot),
        outcome => outcome,
    };
    match rule {
        Ok(rule) => Ok(Ok(rule)),
        Err(error @ RuleError::ForkSlotMissing { .. }) => Ok(Err(error_text(&error))),
        Err(source) => Err(VerifyError::Rule { source }),
    }
}
