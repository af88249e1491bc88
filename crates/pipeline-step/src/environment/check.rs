//! The check of a whole environment.

use std::collections::BTreeMap;

use fork_ledger::migrate::{Rule, RuleError};
use fork_types::SlotSinceGenesis;
use fork_types::document::Document;

use super::Variables;
use super::contract::{FOREIGN, Need, Variable, all, known_names};
use super::look::{Wrong, shown, wrong};
use super::report::{EnvironmentDocument, Origin, Problem, Used};
use super::schedule;
use super::values::{Around, era, network, value};

/// Longest value taken, in bytes.
const VALUE_BYTES_MAX: usize = 4096;

/// Sources of the fork point that are one variable.
const SOURCES: [&str; 4] = [
    "CANDIDATE_STORE",
    "FORK_CONFIG_URL",
    "REPLAYER_OUTPUT_URL",
    "ARCHIVE_URI",
];

const LEDGERS: [&str; 3] = [
    "STAGED_LEDGER_URL",
    "STAKING_LEDGER_URL",
    "NEXT_STAKING_LEDGER_URL",
];

/// Holds an environment against the contract. Looks at the disk, not at the network.
#[must_use]
pub fn check(variables: &Variables) -> EnvironmentDocument {
    let mut check = Check {
        texts: BTreeMap::new(),
        used: BTreeMap::new(),
        notes: Vec::new(),
        problems: Vec::new(),
        has_agents: variables.contains_key("BUILDKITE"),
    };
    check.read(variables);
    for variable in all() {
        check.choose(variable);
    }
    check.codenames();
    check.each();
    let source = check.source();
    check.choice_only();
    check.archive_only();
    let rule = check.rule();
    check.unscheduled();
    check.block_prefix();
    check.schedule();
    check.foreign();
    check.document(source, rule)
}

struct Check {
    /// What is set and not empty, by name.
    texts: BTreeMap<&'static str, String>,
    /// What the pipeline will use.
    used: BTreeMap<&'static str, (String, Origin, Option<&'static str>)>,
    notes: Vec<String>,
    problems: Vec<Problem>,
    has_agents: bool,
}

impl Check {
    fn read(&mut self, variables: &Variables) {
        for name in known_names() {
            let Some(value) = variables.get(name).filter(|value| !value.is_empty()) else {
                continue;
            };
            let Some(text) = value.to_str() else {
                let text = value.to_string_lossy().into_owned();
                let wrong = wrong("is not UTF-8", "text", "write it again");
                self.problem(name, Some(&text), wrong);
                continue;
            };
            if text.len() > VALUE_BYTES_MAX {
                let problem = format!("has {} bytes", text.len());
                let expected = format!("at most {VALUE_BYTES_MAX} bytes");
                self.problem(name, Some(text), wrong(problem, expected, "write less"));
                continue;
            }
            // A key has line ends in it; that it is a key is the worse problem, and told below.
            let is_key = name == "SIGNING_KEY_FILE" && super::look::looks_like_a_key(text);
            if text.chars().any(char::is_control) && !is_key {
                self.problem(
                    name,
                    Some(text),
                    wrong(
                        "holds a control character",
                        "printable text on one line",
                        "remove it; a line end at the end comes from copying",
                    ),
                );
                continue;
            }
            if text.trim() != text && !is_key {
                self.problem(
                    name,
                    Some(text),
                    wrong(
                        "begins or ends with a blank",
                        "the value alone",
                        "remove the blank",
                    ),
                );
                continue;
            }
            self.texts.insert(name, text.to_owned());
        }
    }

    fn problem(&mut self, variable: &str, found: Option<&str>, (problem, expected, advice): Wrong) {
        self.problems.push(Problem {
            variable: variable.to_owned(),
            problem,
            found: found.map(shown),
            expected,
            advice,
        });
    }

    fn has_problem(&self, name: &str) -> bool {
        self.problems.iter().any(|problem| problem.variable == name)
    }

    /// What a variable is, from its name or an old one.
    fn choose(&mut self, variable: &'static Variable) {
        let own = self.texts.get(variable.name).cloned();
        let mut chosen = own.clone().map(|value| (value, None));
        if variable.name == "CODENAME" {
            // Upstream writes `Bookworm`.
            chosen = chosen.map(|(value, from)| (value.to_ascii_lowercase(), from));
        }
        for old_name in variable.old_names {
            // A list is not a value; it has a rule of its own.
            let Some(old) = self
                .texts
                .get(old_name)
                .cloned()
                .filter(|_| *old_name != "CODENAMES")
            else {
                continue;
            };
            let same = |one: &str| match variable.name {
                // The steps have the case that they need.
                "NETWORK" | "CODENAME" => one.eq_ignore_ascii_case(&old),
                _ => one == old,
            };
            match &mut chosen {
                None => chosen = Some((old, Some(*old_name))),
                // The pipeline fills the new name from the old one, so both are set then.
                Some((value, from)) if same(value) => *from = from.or(Some(*old_name)),
                Some((value, from)) => {
                    let other = from.unwrap_or(variable.name);
                    let expected = format!("the same as {other}, which is {}", shown(value));
                    let problem = format!("is an old name of {} and differs", variable.name);
                    let advice = format!("set {} alone", variable.name);
                    self.problem(old_name, Some(&old), wrong(problem, expected, advice));
                }
            }
        }
        let entry = match (chosen, variable.default) {
            (Some((value, None)), Some(default)) if value == default => {
                (value, Origin::Default, None)
            }
            (Some((value, from)), _) => (value, Origin::Given, from),
            (None, Some(default)) => (default.to_owned(), Origin::Default, None),
            (None, None) => (String::new(), Origin::Unset, None),
        };
        let is_missing = entry.1 == Origin::Unset && variable.need == Need::Required;
        if is_missing && !self.has_problem(variable.name) {
            let names: Vec<&str> = variable.old_names.to_vec();
            let also = match names.as_slice() {
                [] => String::new(),
                names => format!(" (also known as {})", names.join(", ")),
            };
            self.problem(
                variable.name,
                None,
                wrong(
                    format!("is not set{also}"),
                    format!("{}: {}", variable.meaning, variable.form),
                    format!("set it, for example to {}", variable.example),
                ),
            );
        }
        self.used.insert(variable.name, entry);
    }

    fn get(&self, name: &str) -> Option<&str> {
        let (value, ..) = self.used.get(name)?;
        (!value.is_empty()).then_some(value.as_str())
    }

    /// The old list of distributions: one, the one that CODENAME says.
    fn codenames(&mut self) {
        let Some(list) = self.texts.get("CODENAMES").cloned() else {
            return;
        };
        let names: Vec<String> = list
            .split(',')
            .map(|name| name.trim().to_ascii_lowercase())
            .filter(|name| !name.is_empty())
            .collect();
        let codename = self.get("CODENAME").unwrap_or_default().to_owned();
        match names.as_slice() {
            // The pipeline fills CODENAME from it as it is.
            [one] if *one == codename.to_ascii_lowercase() => {}
            [one] => {
                let expected = format!("the same as CODENAME, which is {codename}");
                let advice = format!("set CODENAME={one}");
                let problem = "is an old name of CODENAME and differs";
                self.problem("CODENAMES", Some(&list), wrong(problem, expected, advice));
            }
            _ => {
                let names = names.join(",");
                let advice = format!(
                    "upload the pipeline that `pipeline-step generate --codenames {names}` prints"
                );
                let problem = "names several distributions, and this pipeline is for one";
                self.problem(
                    "CODENAMES",
                    Some(&list),
                    wrong(problem, "one codename", advice),
                );
            }
        }
    }

    /// Every value by itself.
    fn each(&mut self) {
        let codename = self.get("CODENAME").unwrap_or_default();
        let codename = codename
            .split(',')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let architecture = self.get("ARCHITECTURE").unwrap_or_default().to_owned();
        for variable in all() {
            let Some(text) = self.get(variable.name).map(str::to_owned) else {
                continue;
            };
            // A list that the pipeline took for a name has been told.
            if variable.name == "CODENAME"
                && text.contains(',')
                && self.texts.get("CODENAME") == self.texts.get("CODENAMES")
            {
                continue;
            }
            let around = Around {
                codename: &codename,
                architecture: &architecture,
                has_agents: self.has_agents,
            };
            match value(variable.name, &text, &around) {
                Ok(note) => self.notes.extend(note),
                Err(wrong) => self.problem(variable.name, Some(&text), wrong),
            }
        }
        if let Some(Ok(known)) = self.get("NETWORK").map(network) {
            if let Some(entry) = self.used.get_mut("NETWORK")
                && entry.0.eq_ignore_ascii_case(&known.name)
            {
                entry.0 = known.name;
            }
            // Every later step holds its eras against the network file's, the last one after an hour.
            // Two eras that no rule connects are told by the rule.
            let eras = ["FROM_ERA", "TO_ERA"].map(|name| self.get(name).and_then(|e| era(e).ok()));
            let is_pair = match eras {
                [Some(from), Some(to)] => !matches!(
                    Rule::from_pair(from, to, None, None),
                    Err(RuleError::UnknownPair { .. })
                ),
                _ => false,
            };
            for (name, network_era) in
                [("FROM_ERA", known.source_era), ("TO_ERA", known.target_era)]
            {
                let given = self.get(name).and_then(|text| era(text).ok());
                let given = given.filter(|_| is_pair);
                if let Some(given) = given.filter(|given| *given != network_era) {
                    self.problem(
                        name,
                        Some(given.name()),
                        wrong(
                            "is not the era of the network file",
                            network_era.name(),
                            "correct it, or name a network file for this fork: a restart in the same \
                             era needs one of its own (docs/networks.md)",
                        ),
                    );
                }
            }
        }
    }

    /// Exactly one source of the fork point.
    fn source(&mut self) -> Option<String> {
        // An archive may lack the epoch ledgers, and takes them from elsewhere.
        let completes = |name: &str| self.get("ARCHIVE_URI").is_some() && name != LEDGERS[0];
        let ledgers: Vec<&str> = LEDGERS
            .into_iter()
            .filter(|name| self.get(name).is_some() && !completes(name))
            .collect();
        let mut given: Vec<&str> = SOURCES
            .into_iter()
            .filter(|name| self.get(name).is_some())
            .collect();
        given.extend(ledgers.first());
        let advice = "leave all but one of them empty";
        if !ledgers.is_empty() && self.get("ARCHIVE_URI").is_none() {
            let missing: Vec<&str> = ["BLOCK_URL"]
                .into_iter()
                .chain(LEDGERS)
                .filter(|name| self.get(name).is_none())
                .collect();
            for name in &missing {
                self.problem(
                    name,
                    None,
                    wrong(
                        format!("is missing beside {}", ledgers.join(" and ")),
                        "BLOCK_URL and all three ledgers, or none of the ledgers",
                        "set it too",
                    ),
                );
            }
        }
        match given.as_slice() {
            [] => {
                // What could not be read at all has been told.
                if LEDGERS
                    .iter()
                    .chain(&SOURCES)
                    .all(|name| !self.has_problem(name))
                {
                    self.problem(
                        "FORK_CONFIG_URL",
                        None,
                        wrong(
                            "is not set, and no other source of the fork point is either",
                            "one of CANDIDATE_STORE, FORK_CONFIG_URL (also known as \
                             CONFIG_JSON_GZ_URL), REPLAYER_OUTPUT_URL, ARCHIVE_URI, or BLOCK_URL with \
                             STAGED_LEDGER_URL, STAKING_LEDGER_URL and NEXT_STAKING_LEDGER_URL",
                            "set one of them",
                        ),
                    );
                }
                None
            }
            [one] => {
                if *one == "CANDIDATE_STORE" && self.get("BLOCK_URL").is_some() {
                    self.problem(
                        "BLOCK_URL",
                        self.get("BLOCK_URL").map(str::to_owned).as_deref(),
                        wrong(
                            "is set together with CANDIDATE_STORE, which has the block",
                            "one source of the fork point",
                            "leave BLOCK_URL empty",
                        ),
                    );
                }
                Some((*one).to_owned())
            }
            [first, others @ ..] => {
                for other in others {
                    let found = self.get(other).map(str::to_owned);
                    let problem = format!("is a second source of the fork point, beside {first}");
                    let wrong = wrong(problem, "one source of the fork point", advice);
                    self.problem(other, found.as_deref(), wrong);
                }
                None
            }
        }
    }

    /// What chooses among blocks.
    fn choice_only(&mut self) {
        let has_store = self.get("CANDIDATE_STORE").is_some();
        let has_archive = self.get("ARCHIVE_URI").is_some();
        for (name, sources, has_any) in [
            (
                "STATE_HASH",
                "CANDIDATE_STORE or ARCHIVE_URI",
                has_store || has_archive,
            ),
            ("CONFIRMATIONS", "CANDIDATE_STORE", has_store),
        ] {
            let found = self.get(name).map(str::to_owned);
            if let Some(found) = found.filter(|_| !has_any) {
                self.problem(
                    name,
                    Some(&found),
                    wrong(
                        format!(
                            "is set without {sources}, and chooses among the blocks there only"
                        ),
                        format!("{sources} too, or nothing"),
                        "leave it empty; an export has one block, and BLOCK_URL checks it",
                    ),
                );
            }
        }
        if has_archive && self.get("STATE_HASH").is_none() && !self.has_problem("STATE_HASH") {
            self.problem(
                "STATE_HASH",
                None,
                wrong(
                    "is missing beside ARCHIVE_URI, and an archive has many blocks",
                    "the state hash of the fork block",
                    "set it, as it was announced; `materialize-ledger select` finds the one that the \
                     written rule chooses",
                ),
            );
        }
    }

    /// What means something beside an archive only.
    fn archive_only(&mut self) {
        if self.get("ARCHIVE_URI").is_some() {
            return;
        }
        for name in ["ARCHIVE_GENESIS_ACCOUNTS", "ARCHIVE_PASSWORD_FILE"] {
            if let Some(found) = self.get(name).map(str::to_owned) {
                self.problem(
                    name,
                    Some(&found),
                    wrong(
                        "is set without ARCHIVE_URI",
                        "ARCHIVE_URI too, or nothing",
                        "set ARCHIVE_URI, or leave it empty",
                    ),
                );
            }
        }
    }

    /// The migration's rule.
    fn rule(&mut self) -> Option<String> {
        let from = era(self.get("FROM_ERA")?).ok()?;
        let to = era(self.get("TO_ERA")?).ok()?;
        let variant = self.get("VARIANT").map(str::to_owned);
        let slot_text = self.get("FORK_SLOT").map(str::to_owned);
        let slot = slot_text.as_deref().and_then(|text| text.parse().ok());
        let mut rule = Rule::from_pair(from, to, variant.as_deref(), slot);
        if matches!(rule, Err(RuleError::ForkSlotMissing { .. })) {
            // The export may carry it, or else the schedule: only the steps know.
            let some = Some(SlotSinceGenesis::new(0));
            rule = Rule::from_pair(from, to, variant.as_deref(), some);
        }
        match rule {
            Ok(rule) => return Some(rule.name().to_owned()),
            Err(RuleError::UnknownPair { .. }) => self.problem(
                "TO_ERA",
                Some(to.name()),
                wrong(
                    format!("cannot be reached from FROM_ERA, which is {from}"),
                    "v1 to berkeley, berkeley to berkeley or mesa, mesa to mesa",
                    "correct one of the two",
                ),
            ),
            Err(RuleError::UnknownVariant { known, .. }) => self.problem(
                "VARIANT",
                variant.as_deref(),
                wrong(
                    format!("is no variant of the rule from {from} to {to}"),
                    format!("{known}, or empty"),
                    "correct it",
                ),
            ),
            Err(RuleError::ForkSlotUnused { rule, .. }) => self.problem(
                "FORK_SLOT",
                slot_text.as_deref(),
                wrong(
                    format!("has no use in {rule}"),
                    "nothing, with this rule",
                    "leave it empty, or correct FROM_ERA, TO_ERA or VARIANT: another rule was meant",
                ),
            ),
            Err(error) => self.problem(
                "VARIANT",
                variant.as_deref(),
                wrong(error.to_string(), "a rule that exists", "correct it"),
            ),
        }
        None
    }

    fn unscheduled(&mut self) {
        let Some(found) = self.get("UNSCHEDULED").map(str::to_owned) else {
            return;
        };
        if self.get("GENESIS_TIMESTAMP").is_none() && !self.has_problem("GENESIS_TIMESTAMP") {
            self.problem(
                "UNSCHEDULED",
                Some(&found),
                wrong(
                    "is set without GENESIS_TIMESTAMP",
                    "the time of the new genesis too: no schedule says it",
                    "set GENESIS_TIMESTAMP, for example to 2026-08-19T18:00:00Z",
                ),
            );
        }
        for name in ["SLOT_CHAIN_END", "GENESIS_SLOT_DELTA"] {
            if let Some(slot) = self.get(name).map(str::to_owned) {
                self.problem(
                    name,
                    Some(&slot),
                    wrong(
                        "is a schedule, and UNSCHEDULED says that there is none",
                        "one of the two",
                        "leave one of them empty",
                    ),
                );
            }
        }
    }

    /// Where the block is looked for, and that it is when somebody expects it.
    fn block_prefix(&mut self) {
        if self.get("BLOCK_PREFIX").is_none() {
            return;
        }
        let note = if self.get("BLOCK_URL").is_some() {
            "BLOCK_PREFIX is not used: BLOCK_URL names the block"
        } else if self.get("FORK_CONFIG_URL").is_some() {
            "the fork block is fetched from BLOCK_PREFIX, by the height and the state hash that the fork \
             config claims"
        } else if self.get("CANDIDATE_STORE").is_some() {
            "BLOCK_PREFIX is not used: CANDIDATE_STORE has the block"
        } else {
            // Whoever gives it wants the fork point held against the block.
            "BLOCK_PREFIX is not used, and nothing is compared with a precomputed block: only a fork \
             config claims height and state hash; give the block with BLOCK_URL"
        };
        self.notes.push(note.to_owned());
    }

    /// The time of the new genesis, as far as it follows from what is on this machine.
    fn schedule(&mut self) {
        // What could not be read has been told.
        if schedule::NAMES.iter().any(|name| self.has_problem(name)) {
            return;
        }
        if let Some((variable, wrong)) = schedule::contradiction(|name| self.get(name)) {
            let value = self.get(variable).map(str::to_owned);
            self.problem(variable, value.as_deref(), wrong);
        }
    }

    /// What means nothing here.
    fn foreign(&mut self) {
        for foreign in &FOREIGN {
            if !self.texts.contains_key(foreign.name) {
                continue;
            }
            self.notes.push(format!(
                "{} means nothing here; in its place: {}",
                foreign.name, foreign.instead
            ));
        }
    }

    fn document(mut self, source: Option<String>, rule: Option<String>) -> EnvironmentDocument {
        // In the order of the contract, so that the same environment gives the same list.
        let order = |name: &str| known_names().position(|known| known == name);
        self.problems
            .sort_by_key(|problem| order(&problem.variable));
        EnvironmentDocument {
            format: EnvironmentDocument::FORMAT.to_owned(),
            version: EnvironmentDocument::VERSION,
            source,
            rule,
            variables: all()
                .filter_map(|variable| {
                    let (value, origin, from) = self.used.get(variable.name)?;
                    Some(Used {
                        name: variable.name.to_owned(),
                        value: shown(value),
                        origin: *origin,
                        from: from.map(str::to_owned),
                    })
                })
                .collect(),
            notes: self.notes,
            problems: self.problems,
        }
    }
}
