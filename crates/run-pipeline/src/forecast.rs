//! How long a run will take: what each step took before, or measured rates times the input.

use std::collections::BTreeMap;
use std::path::Path;

use crate::history::History;
use crate::interpolate::Environment;
use crate::layout::Layout;
use crate::pipeline::Plan;
use crate::state::Record;

/// What workers need for each byte of the fork config, in picoseconds, and for nothing at all, in
/// milliseconds: the steps of `docs/performance.md` for three ledgers of 277,307 accounts (722 MB) on
/// two cores, with what they download, rounded up. Where it depends on an option, that with the option
/// stands first. Ledgers of another form are close enough for a forecast.
const RATES: [(&str, &str, u64, u64); 8] = [
    ("dump-candidates", "", 9_000, 100),
    ("migrate-ledger", "", 20_000, 200),
    ("generate-network-config", "", 2_500, 100),
    ("package-deb", "", 5_000, 100),
    ("package-image", "", 10_000, 6_000),
    ("verify-package", "--package-report", 4_000, 500),
    ("verify-package", "", 24_000, 500),
    ("sign-release", "", 8_000, 100),
];

/// JSON of accounts is so many times larger than its gzip.
const GZIP_RATIO: u64 = 5;

/// Expected times of steps, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecast(BTreeMap<String, u64>);

impl Forecast {
    /// What is expected of each step: its time when it ran last in this output directory, or by the
    /// rates; nothing of steps that neither is known of.
    #[must_use]
    pub fn new(plan: &Plan, layout: &Layout) -> Self {
        let history = History::read(layout);
        let bytes = input_bytes(&plan.environment);
        let mut expected = BTreeMap::new();
        for step in &plan.steps {
            let last = || {
                let record = Record::read(&layout.record(&step.key)).map(|record| record.wall_ms);
                record.or_else(|| history.last(&step.key))
            };
            let rated = || {
                let mut counted = None;
                let mut sum = None;
                for (worker, option, per_byte, fixed) in RATES {
                    if counted == Some(worker)
                        || !calls(&step.script, worker)
                        || !step.script.contains(option)
                    {
                        continue;
                    }
                    counted = Some(worker);
                    let ms = fixed + bytes.saturating_mul(per_byte) / 1_000_000_000;
                    sum = Some(sum.unwrap_or(0) + ms);
                }
                sum
            };
            if let Some(ms) = last().or_else(rated) {
                expected.insert(step.key.clone(), ms);
            }
        }
        Self(expected)
    }

    /// What is expected of a step, in milliseconds.
    #[must_use]
    pub fn of(&self, step: &str) -> Option<u64> {
        self.0.get(step).copied()
    }

    /// Time until the last step ends, in milliseconds, when every step starts as soon as it can;
    /// `elapsed` holds the steps that run, and how long they have, `ended` decides about the rest.
    #[must_use]
    pub fn remaining_ms(
        &self,
        plan: &Plan,
        elapsed: &BTreeMap<String, u64>,
        ended: impl Fn(&str) -> bool,
    ) -> u64 {
        self.remaining(plan, elapsed, ended).ms
    }

    /// The same, with the jobs that decide it.
    #[must_use]
    pub fn remaining<'a>(
        &self,
        plan: &'a Plan,
        elapsed: &BTreeMap<String, u64>,
        ended: impl Fn(&str) -> bool,
    ) -> Remaining<'a> {
        // By step, whose jobs may be several: the job that ends last, when, and the step it waits for.
        let mut last: BTreeMap<&str, (u64, &str, Option<&str>)> = BTreeMap::new();
        for step in &plan.steps {
            // Nobody knows how long a person takes.
            if ended(&step.key) || step.gate.is_some() {
                continue;
            }
            let waits = step.depends_on.iter().map(String::as_str);
            let before = waits
                .filter_map(|key| last.get_key_value(key))
                .max_by_key(|(_, (end, ..))| *end);
            let start = before.map_or(0, |(_, (end, ..))| *end);
            let expected = self.of(&step.key).unwrap_or_default();
            let left = expected.saturating_sub(elapsed.get(&step.key).copied().unwrap_or_default());
            let own = (
                start + left,
                step.name.as_str(),
                before.map(|(key, _)| *key),
            );
            let known = last.entry(&step.step).or_insert(own);
            if own.0 > known.0 {
                *known = own;
            }
        }
        // Of two that end together, the one further down the graph.
        let mut ends: Option<(u64, &str)> = None;
        for step in &plan.steps {
            if let Some((end, ..)) = last.get(step.step.as_str())
                && ends.is_none_or(|(latest, _)| *end >= latest)
            {
                ends = Some((*end, &step.step));
            }
        }
        let mut path = Vec::new();
        let mut current = ends.map(|(_, key)| key);
        while let Some((_, name, before)) = current.and_then(|key| last.get(key)) {
            path.push(*name);
            current = *before;
        }
        path.reverse();
        Remaining {
            ms: ends.map_or(0, |(end, _)| end),
            path,
        }
    }
}

/// What is left of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remaining<'a> {
    /// Time until the last step ends, in milliseconds.
    pub ms: u64,
    /// Names of the jobs that decide it, each waiting for the one before it: the critical path.
    pub path: Vec<&'a str>,
}

/// Whether a script starts this worker. Steps have the names of workers, so that a download from such
/// a step is no call.
pub(crate) fn calls(script: &str, worker: &str) -> bool {
    script.lines().any(|line| {
        let mut before = "";
        line.split_whitespace().any(|word| {
            let is_call = word.trim_matches(|c| "();".contains(c)) == worker && before != "--step";
            before = word;
            is_call
        })
    })
}

/// Size of the largest file that a variable names, as it is unpacked: the fork config, which
/// decides about everything.
pub(crate) fn input_bytes(environment: &Environment) -> u64 {
    let bytes = |value: &String| {
        let path = Path::new(value);
        let bytes = fork_fs::bytes_if_file(path).ok()??;
        let packed = path
            .extension()
            .is_some_and(|end| end == "gz" || end == "zst");
        Some(if packed {
            bytes.saturating_mul(GZIP_RATIO)
        } else {
            bytes
        })
    };
    environment
        .values()
        .filter_map(bytes)
        .max()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Pipeline;

    #[test]
    fn a_step_is_not_a_call() {
        let script = "buildkite-agent artifact download x . --step package-deb\nif [ -n \"$A\" ]; then verify-package x; fi; (sign-release)";
        assert!(!calls(script, "package-deb"));
        assert!(calls(script, "verify-package"));
        assert!(calls(script, "sign-release"));
        assert!(!calls(script, "package"));
    }

    /// Time of a step with one command, for a fork config of a megabyte.
    fn of_command(command: &str) -> Option<u64> {
        let directory = tempfile::tempdir().unwrap();
        let input = directory.path().join("fork_config.json");
        fork_fs::write_atomic(&input, &[b' '; 1_000_000]).unwrap();
        let pipeline =
            format!("env: {{ INPUT: '${{INPUT}}' }}\nsteps: [{{ key: a, command: {command} }}]");
        let environment = [("INPUT".to_owned(), input.to_str().unwrap().to_owned())].into();
        let plan = Pipeline::parse(pipeline.as_bytes()).unwrap();
        let plan = plan.resolve(&environment).unwrap();
        let layout = Layout {
            output: directory.path().join("out"),
        };
        Forecast::new(&plan, &layout).of("a")
    }

    #[test]
    fn an_option_may_decide() {
        assert_eq!(of_command("verify-package x"), Some(524));
        assert_eq!(of_command("verify-package --package-report x"), Some(504));
        assert_eq!(
            of_command("verify-package x; sign-release"),
            Some(524 + 108)
        );
        assert_eq!(of_command("something"), None);
    }

    #[test]
    fn the_longest_way_counts() {
        let directory = tempfile::tempdir().unwrap();
        let input = directory.path().join("fork_config.json");
        fork_fs::write_atomic(&input, &[b' '; 1_000_000]).unwrap();
        let pipeline = "
env: { INPUT: '${INPUT}' }
steps:
  - { key: import, command: dump-candidates import }
  - { key: migrate, command: migrate-ledger, depends_on: import }
  - { key: short, command: generate-network-config, depends_on: import }
  - { key: other, command: something, depends_on: [ migrate, short ] }
";
        let environment = [("INPUT".to_owned(), input.to_str().unwrap().to_owned())].into();
        let plan = Pipeline::parse(pipeline.as_bytes()).unwrap();
        let plan = plan.resolve(&environment).unwrap();
        let layout = Layout {
            output: directory.path().join("out"),
        };
        let forecast = Forecast::new(&plan, &layout);
        assert_eq!(forecast.of("import"), Some(109));
        assert_eq!(forecast.of("migrate"), Some(220));
        assert_eq!(forecast.of("other"), None);
        let nothing = BTreeMap::new();
        assert_eq!(forecast.remaining_ms(&plan, &nothing, |_| false), 329);
        let running = [("migrate".to_owned(), 200), ("short".to_owned(), 1)].into();
        let left = forecast.remaining_ms(&plan, &running, |key| key == "import");
        assert_eq!(left, 101, "the short one is now the longer one");
        let path = |elapsed, done: &str| forecast.remaining(&plan, elapsed, |key| key == done).path;
        assert_eq!(path(&nothing, ""), ["import", "migrate", "other"]);
        assert_eq!(path(&running, "import"), ["short", "other"]);
        assert_eq!(forecast.remaining_ms(&plan, &nothing, |_| true), 0);
        // What was measured here is better than rates.
        let mut history = History::default();
        history.0.push(crate::history::EarlierRun {
            exit_code: 0,
            wall_ms: 1,
            steps_ms: [("import".to_owned(), 5_000)].into(),
            steps_memory_bytes: BTreeMap::new(),
        });
        history.write(&layout).unwrap();
        assert_eq!(Forecast::new(&plan, &layout).of("import"), Some(5_000));
    }
}
