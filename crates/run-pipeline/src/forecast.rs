//! How long a run will take: what each step took before, or measured rates times the input.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::history::History;
use crate::interpolate::Environment;
use crate::layout::Layout;
use crate::pipeline::{Plan, Step};
use crate::state::Record;

/// What workers need for each byte of the fork config, in picoseconds, and for nothing at all, in
/// milliseconds: the steps of `docs/performance.md` for three ledgers of 277,307 accounts (722 MB) on
/// two cores, with what they download, rounded up. Where it depends on an option, that with the option
/// stands first. Ledgers of another form are close enough for a forecast.
const RATES: [(&str, &str, u64, u64); 10] = [
    ("dump-candidates", "", 9_000, 100),
    ("migrate-ledger", "", 20_000, 200),
    ("generate-network-config", "", 2_500, 100),
    ("package-deb", "", 5_000, 100),
    ("package-image", "", 10_000, 6_000),
    ("verify-package", "--package-report", 4_000, 500),
    ("verify-package", "", 24_000, 500),
    ("sign-release", "", 8_000, 100),
    ("pipeline-step", "pipeline-step check-env", 0, 600),
    ("pipeline-step", "pipeline-step facts", 0, 100),
];

/// JSON of accounts is so many times larger than its gzip.
const GZIP_RATIO: u64 = 5;

/// A time says something about inputs up to so many times smaller or larger.
const SIMILAR: u64 = 2;

/// Variables with the fork point: its size decides how long everything takes.
const SOURCES: [&str; 7] = [
    "CANDIDATE_STORE",
    "FORK_CONFIG_URL",
    "REPLAYER_OUTPUT_URL",
    "ARCHIVE_URI",
    "STAGED_LEDGER_URL",
    "STAKING_LEDGER_URL",
    "NEXT_STAKING_LEDGER_URL",
];

/// Workers whose result is the fork point, with its account lists in JSON.
const IMPORTERS: [&str; 2] = ["dump-candidates", "materialize-ledger"];

/// What keeps jobs from running beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most jobs at a time.
    pub jobs: usize,
    /// Processors of the machine.
    pub cores: usize,
}

impl Limits {
    /// Whether a job may start beside others; those that ask for no processors are only counted.
    pub(crate) fn allow<'a>(&self, step: &Step, running: impl Iterator<Item = &'a Step>) -> bool {
        let mut count = 0;
        let mut used = 0;
        for other in running {
            count += 1;
            used += other.cores.unwrap_or(0);
        }
        let wanted = step.cores.unwrap_or(0);
        // What asks for more than there is has nothing beside it that asks for any.
        count < self.jobs.max(1)
            && (wanted == 0 || used == 0 || used.saturating_add(wanted) <= self.cores)
    }
}

/// Expected times of steps, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    expected: BTreeMap<String, u64>,
    limits: Limits,
}

impl Forecast {
    /// What is expected of each step: its time when it ran last in this output directory on an input of
    /// about this size, or by the rates; nothing of steps that neither is known of.
    #[must_use]
    pub fn new(plan: &Plan, layout: &Layout, limits: Limits) -> Self {
        let history = History::read(layout);
        let input = input(plan, layout);
        let mut expected = BTreeMap::new();
        for step in &plan.steps {
            let own = Record::read(&layout.record(&step.key));
            let own = own.map(|record| (record.wall_ms, record.input_bytes));
            let last = own
                .into_iter()
                .chain(history.times(&step.key))
                .find_map(|(ms, then)| scaled(ms, then, input, is_rated(step)));
            if let Some(ms) = last.or_else(|| rated(step, input)) {
                expected.insert(step.key.clone(), ms);
            }
        }
        Self { expected, limits }
    }

    /// What is expected of a step, in milliseconds.
    #[must_use]
    pub fn of(&self, step: &str) -> Option<u64> {
        self.expected.get(step).copied()
    }

    /// Time until the last step ends, when every step starts as soon as it can, with the jobs that decide
    /// it. `elapsed` holds the steps that run, and how long they have, `ended` decides about the rest.
    #[must_use]
    pub fn remaining<'a>(
        &self,
        plan: &'a Plan,
        elapsed: &BTreeMap<String, u64>,
        ended: impl Fn(&str) -> bool,
    ) -> Remaining<'a> {
        // Nobody knows how long a person takes.
        let open = |step: &&Step| !ended(&step.key) && step.gate.is_none();
        let mut run = Simulation {
            limits: self.limits,
            open: BTreeMap::new(),
            waiting: Vec::new(),
            running: Vec::new(),
            ended: Vec::new(),
        };
        let mut unknown = 0;
        let mut known = 0;
        for step in plan.steps.iter().filter(open) {
            *run.open.entry(&step.step).or_default() += 1;
            let left = match (self.of(&step.key), elapsed.get(&step.key)) {
                (Some(expected), since) => {
                    known += 1;
                    expected.saturating_sub(since.copied().unwrap_or_default())
                }
                (None, _) => {
                    unknown += 1;
                    0
                }
            };
            let job = Job {
                step,
                left,
                before: None,
            };
            if elapsed.contains_key(&step.key) {
                run.running.push((left, job));
            } else {
                run.waiting.push(job);
            }
        }
        run.run();
        Remaining {
            ms: run
                .ended
                .iter()
                .map(|(end, _)| *end)
                .max()
                .unwrap_or_default(),
            path: run.path(),
            known,
            unknown,
        }
    }
}

/// A job that has not ended.
struct Job<'a> {
    step: &'a Step,
    left: u64,
    /// The job that it waited for.
    before: Option<&'a str>,
}

/// The rest of a run, as the scheduler would have it.
struct Simulation<'a> {
    limits: Limits,
    /// How many jobs of a step have not ended.
    open: BTreeMap<&'a str, usize>,
    waiting: Vec<Job<'a>>,
    /// With the time at which each ends.
    running: Vec<(u64, Job<'a>)>,
    ended: Vec<(u64, Job<'a>)>,
}

impl<'a> Simulation<'a> {
    fn run(&mut self) {
        let mut now = 0;
        loop {
            self.start(now);
            // Of two that end together, the first of the plan.
            let next = (0..self.running.len())
                .min_by_key(|index| (self.running[*index].0, self.running[*index].1.step.number));
            let Some(index) = next else {
                return;
            };
            let (end, job) = self.running.swap_remove(index);
            now = end;
            if let Some(count) = self.open.get_mut(job.step.step.as_str()) {
                *count -= 1;
            }
            self.ended.push((end, job));
        }
    }

    fn start(&mut self, now: u64) {
        let mut index = 0;
        while index < self.waiting.len() {
            let step = self.waiting[index].step;
            let mut needs = step.depends_on.iter();
            let is_ready =
                needs.all(|key| self.open.get(key.as_str()).is_none_or(|left| *left == 0));
            let running = self.running.iter().map(|(_, job)| job.step);
            if !is_ready || !self.limits.allow(step, running) {
                index += 1;
                continue;
            }
            let mut job = self.waiting.remove(index);
            // What it depends on, if that was the last to end; else whoever made room for it.
            let of_it = |ended: &&(u64, Job<'_>)| step.depends_on.contains(&ended.1.step.step);
            let at = |ended: &&(u64, Job<'_>)| ended.0 == now;
            let last = self.ended.iter().rev();
            let before = last
                .clone()
                .filter(at)
                .find(of_it)
                .or_else(|| last.clone().find(at));
            job.before = before.map(|(_, job)| job.step.key.as_str());
            self.running.push((now + job.left, job));
        }
    }

    /// Names of the jobs that decide when the last one ends.
    fn path(&self) -> Vec<&'a str> {
        // Of two that end together, the one further down the graph.
        let last = self
            .ended
            .iter()
            .max_by_key(|(end, job)| (*end, job.step.number));
        let mut path = Vec::new();
        let mut current = last.map(|(_, job)| job);
        while let Some(job) = current {
            path.push(job.step.name.as_str());
            let before = job.before;
            current = before.and_then(|key| {
                let mut ended = self.ended.iter().map(|(_, job)| job);
                ended.find(|job| job.step.key == key)
            });
        }
        path.reverse();
        path
    }
}

/// What is left of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remaining<'a> {
    /// Time until the last step ends, in milliseconds, as far as it is known.
    pub ms: u64,
    /// Names of the jobs that decide it, each waiting for the one before it: the critical path.
    pub path: Vec<&'a str>,
    /// Of how many jobs something is known.
    pub known: usize,
    /// Of how many jobs nothing is.
    pub unknown: usize,
}

impl Remaining<'_> {
    /// How much is left, in words.
    pub(crate) fn left_words(&self) -> String {
        match (self.known, self.unknown) {
            (0, 1..) => "time left unknown".to_owned(),
            _ => format!("{} left", self.words()),
        }
    }

    /// The time in words.
    pub(crate) fn words(&self) -> String {
        match (self.known, self.unknown) {
            (_, 0) => format!("about {}", crate::report::seconds(self.ms)),
            (0, _) => "not known".to_owned(),
            _ => format!("at least {}", crate::report::seconds(self.ms)),
        }
    }
}

/// A time on an input of `then` bytes, for one of `now`; `None` when that says nothing.
pub(crate) fn scaled(ms: u64, then: Option<u64>, now: Option<u64>, grows: bool) -> Option<u64> {
    match (then, now) {
        (None, None) => Some(ms),
        (Some(then), Some(now)) => {
            let similar =
                now <= then.saturating_mul(SIMILAR) && then <= now.saturating_mul(SIMILAR);
            let product = u128::from(ms) * u128::from(now) / u128::from(then.max(1));
            let grown = if grows {
                u64::try_from(product).ok()?
            } else {
                ms
            };
            similar.then_some(grown)
        }
        (None, Some(_)) | (Some(_), None) => None,
    }
}

/// The rates that hold for a step.
fn rates(step: &Step) -> Vec<(u64, u64)> {
    let mut counted = BTreeSet::new();
    let mut rates = Vec::new();
    for (worker, option, per_byte, fixed) in RATES {
        let holds = calls(&step.script, worker) && step.script.contains(option);
        if holds && counted.insert(worker) {
            rates.push((per_byte, fixed));
        }
    }
    rates
}

fn is_rated(step: &Step) -> bool {
    rates(step).iter().any(|(per_byte, _)| *per_byte > 0)
}

fn rated(step: &Step, input: Option<u64>) -> Option<u64> {
    let mut sum = None;
    for (per_byte, fixed) in rates(step) {
        let bytes = match input {
            Some(bytes) => bytes,
            None if per_byte == 0 => 0,
            None => return None,
        };
        let ms = fixed + bytes.saturating_mul(per_byte) / 1_000_000_000;
        sum = Some(sum.unwrap_or(0) + ms);
    }
    sum
}

/// Whether a step brings the fork point, and with it its size.
pub(crate) fn is_importer(step: &Step) -> bool {
    IMPORTERS.iter().any(|worker| calls(&step.script, worker))
}

/// Size of the fork point as it is unpacked, which decides about everything: of the files that the
/// variables name, or else of what the step left that imported it; `None` until that is known.
pub(crate) fn input(plan: &Plan, layout: &Layout) -> Option<u64> {
    input_bytes(&plan.environment).or_else(|| {
        let mut importers = plan.steps.iter().filter(|step| is_importer(step));
        importers.find_map(|step| {
            let record = Record::read(&layout.record(&step.key))?;
            Some(record.artifacts.iter().map(|artifact| artifact.bytes).sum())
        })
    })
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

/// Size of the files with the fork point, unpacked; of the largest file that any variable names when the
/// pipeline knows none of these. `None` when a part of it is not a file here.
fn input_bytes(environment: &Environment) -> Option<u64> {
    let bytes = |value: &String| {
        let path = Path::new(value.strip_prefix("file://").unwrap_or(value));
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
    if !SOURCES.iter().any(|name| environment.contains_key(*name)) {
        return environment.values().filter_map(bytes).max();
    }
    let given = SOURCES.iter().filter_map(|name| environment.get(*name));
    let mut given = given.filter(|value| !value.is_empty()).peekable();
    given.peek()?;
    given.map(bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Pipeline;

    const MANY: Limits = Limits {
        jobs: 100,
        cores: 100,
    };

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
        Forecast::new(&plan, &layout, MANY).of("a")
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
        let forecast = Forecast::new(&plan, &layout, MANY);
        assert_eq!(forecast.of("import"), Some(109));
        assert_eq!(forecast.of("migrate"), Some(220));
        assert_eq!(forecast.of("other"), None);
        let nothing = BTreeMap::new();
        let left =
            |elapsed, ended: &dyn Fn(&str) -> bool| forecast.remaining(&plan, elapsed, ended).ms;
        assert_eq!(left(&nothing, &|_| false), 329);
        let running = [("migrate".to_owned(), 200), ("short".to_owned(), 1)].into();
        let rest = left(&running, &|key| key == "import");
        assert_eq!(rest, 101, "the short one is now the longer one");
        let path = |elapsed, done: &str| forecast.remaining(&plan, elapsed, |key| key == done).path;
        assert_eq!(path(&nothing, ""), ["import", "migrate", "other"]);
        assert_eq!(path(&running, "import"), ["short", "other"]);
        assert_eq!(left(&nothing, &|_| true), 0);
        let all = forecast.remaining(&plan, &nothing, |_| false);
        assert_eq!((all.known, all.unknown), (3, 1));
        assert_eq!(all.words(), "at least 0.3 s");
        // What was measured here on an input of about that size is better than rates.
        for (input_bytes, expected) in [
            (Some(1_000_000), 5_000),
            (Some(500_000), 10_000),
            (Some(499_999), 109),
            (Some(2_000_001), 109),
            (None, 109),
        ] {
            let mut history = History::default();
            history.0.push(crate::history::EarlierRun {
                exit_code: 0,
                wall_ms: 1,
                input_bytes,
                steps_ms: [("import".to_owned(), 5_000)].into(),
                steps_memory_bytes: BTreeMap::new(),
            });
            history.write(&layout).unwrap();
            let forecast = Forecast::new(&plan, &layout, MANY);
            assert_eq!(forecast.of("import"), Some(expected), "{input_bytes:?}");
        }
    }

    #[test]
    fn jobs_and_processors_count() {
        let file = "
env: { INPUT: '${INPUT}' }
steps:
  - { key: a, command: generate-network-config, agents: { cores: '1' } }
  - { key: b, command: generate-network-config, agents: { cores: 1 } }
  - { key: c, command: generate-network-config, agents: [ cores=2, queue=x ] }
  - { key: d, command: generate-network-config, agents: { cores: 8 } }
  - { key: e, command: generate-network-config }
";
        let directory = tempfile::tempdir().unwrap();
        let input = directory.path().join("input");
        fork_fs::write_atomic(&input, b" ").unwrap();
        let environment = [("INPUT".to_owned(), input.to_str().unwrap().to_owned())].into();
        let plan = Pipeline::parse(file.as_bytes()).unwrap();
        let plan = plan.resolve(&environment).unwrap();
        let cores: Vec<_> = plan.steps.iter().map(|step| step.cores).collect();
        assert_eq!(cores, [Some(1), Some(1), Some(2), Some(8), None]);
        let layout = Layout {
            output: directory.path().join("out"),
        };
        let all = |jobs, cores| {
            let forecast = Forecast::new(&plan, &layout, Limits { jobs, cores });
            forecast.remaining(&plan, &BTreeMap::new(), |_| false).ms
        };
        assert_eq!(all(100, 100), 100);
        assert_eq!(all(1, 100), 500);
        assert_eq!(all(2, 100), 300);
        // a and b and e; then c; then d.
        assert_eq!(all(100, 2), 300);
    }

    #[test]
    fn what_is_not_here_has_no_size_until_it_is_imported() {
        let file = "
env: { FORK_CONFIG_URL: '${FORK_CONFIG_URL}', SEED_LIST_URL: 'https://example.org' }
steps:
  - { key: import, command: dump-candidates import }
  - { key: migrate, command: migrate-ledger, depends_on: import }
  - { key: facts, command: pipeline-step facts, depends_on: migrate }
";
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout {
            output: directory.path().join("out"),
        };
        let of = |url: &str| {
            let environment = [("FORK_CONFIG_URL".to_owned(), url.to_owned())].into();
            let plan = Pipeline::parse(file.as_bytes()).unwrap();
            let plan = plan.resolve(&environment).unwrap();
            let forecast = Forecast::new(&plan, &layout, MANY);
            let words = forecast
                .remaining(&plan, &BTreeMap::new(), |_| false)
                .words();
            (forecast.of("import"), forecast.of("migrate"), words)
        };
        let url = "https://example.org/fork_config.json.gz";
        assert_eq!(of(url), (None, None, "at least 0.1 s".to_owned()));
        // A time of an input of some size says nothing about one of an unknown size.
        let mut history = History::default();
        history.0.push(crate::history::EarlierRun {
            exit_code: 0,
            wall_ms: 1,
            input_bytes: Some(1_000),
            steps_ms: [("migrate".to_owned(), 5_000)].into(),
            steps_memory_bytes: BTreeMap::new(),
        });
        history.write(&layout).unwrap();
        assert_eq!(of(url).1, None);
        let local = directory.path().join("fork_config.json");
        fork_fs::write_atomic(&local, &[b' '; 1_000_000]).unwrap();
        assert_eq!(of(local.to_str().unwrap()).1, Some(220));
        assert_eq!(of(&format!("file://{}", local.display())).1, Some(220));
    }
}
