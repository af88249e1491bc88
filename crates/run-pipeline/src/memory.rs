//! How much memory jobs need, and which of them fit beside each other.

use std::collections::BTreeMap;
use std::path::Path;

use crate::forecast::{calls, input, scaled};
use crate::history::History;
use crate::layout::Layout;
use crate::pipeline::Plan;
use crate::state::Record;

/// Peak memory of a worker: what it takes at least, in MiB, and bytes for every 1,000 bytes of the
/// fork config; the second number when it opens stores with RocksDB. From `docs/performance-results.md`,
/// rounded up: 0.25 and 0.98 GiB for configs of 637 MB and 2.5 GB, with RocksDB 0.89 and 1.06 GiB for
/// 637 and 722 MB. Workers that are missing need little, whatever the input.
const RATES: [(&str, u64, u64, u64); 3] = [
    ("dump-candidates", 160, 0, 0),
    ("migrate-ledger", 64, 420, 1_600),
    ("verify-package", 64, 480, 1_600),
];

/// Workers whose need is known: where there is no rate, it is little.
const WORKERS: [&str; 10] = [
    "dump-candidates",
    "generate-network-config",
    "materialize-ledger",
    "migrate-ledger",
    "package-deb",
    "package-image",
    "pipeline-step",
    "promote-release",
    "sign-release",
    "verify-package",
];

/// Largest `/proc` file read, in bytes.
const PROC_BYTES_MAX: u64 = 64 << 10;

/// What is expected of jobs, in bytes, and what there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    expected: BTreeMap<String, u64>,
    /// What jobs that run beside each other may need together; `None` for no limit.
    pub limit: Option<u64>,
}

impl Memory {
    /// What each job needed when it ran last in this output directory on an input of about this size, by
    /// the rates, or what the pipeline asks an agent for; nothing of jobs of which none is known.
    #[must_use]
    pub fn new(plan: &Plan, layout: &Layout, limit: Option<u64>) -> Self {
        let history = History::read(layout);
        let input = input(plan, layout);
        let mut expected = BTreeMap::new();
        for step in &plan.steps {
            // What was needed for an input of another size says nothing.
            let last = || {
                let own = Record::read(&layout.record(&step.key))
                    .and_then(|record| Some((record.peak_memory_bytes?, record.input_bytes)));
                let mut all = own.into_iter().chain(history.memory_bytes(&step.key));
                all.find_map(|(bytes, then)| scaled(bytes, then, input, false))
            };
            // The largest, not the sum: a step calls one worker after the other.
            let rated = || {
                let workers = RATES.iter().filter(|(name, ..)| calls(&step.script, name));
                let needs = workers.map(|(_, fixed, plain, rocksdb)| {
                    let reads = step.script.contains("rocksdb");
                    let rate = if reads { *rocksdb } else { *plain };
                    // What grows with an input of unknown size is unknown, too.
                    let bytes = if rate == 0 { 0 } else { input? };
                    Some((fixed << 20) + bytes / 1_000 * rate)
                });
                needs.max().flatten()
            };
            // Of workers that are not ours, the pipeline knows more than we do.
            let declared = || {
                let is_ours = WORKERS.iter().any(|worker| calls(&step.script, worker));
                step.memory_bytes.filter(|_| !is_ours)
            };
            if let Some(bytes) = last().or_else(rated).or_else(declared) {
                expected.insert(step.key.clone(), bytes);
            }
        }
        Self { expected, limit }
    }

    /// What is expected of a job, in bytes.
    #[must_use]
    pub fn of(&self, job: &str) -> Option<u64> {
        self.expected.get(job).copied()
    }

    /// Whether a job fits beside those that run. One that fits nowhere fits when nothing that needs
    /// memory runs.
    #[must_use]
    pub fn fits<'a>(&self, job: &str, running: impl Iterator<Item = &'a str>) -> bool {
        let (Some(limit), Some(needed)) = (self.limit, self.of(job)) else {
            return true;
        };
        let used: u64 = running.filter_map(|job| self.of(job)).sum();
        used == 0 || used.saturating_add(needed) <= limit
    }

    /// A warning about a job that needs more than there is.
    #[must_use]
    pub fn warning(&self, job: &str) -> Option<String> {
        let (limit, needed) = (self.limit?, self.of(job)?);
        (needed > limit).then(|| {
            format!(
                "warning: it is expected to need {}, and there is {}; nothing else runs beside it",
                gibibytes(needed),
                gibibytes(limit)
            )
        })
    }
}

/// Four fifths of the memory that is available now, in bytes; `None` where nobody can say.
#[must_use]
pub fn available_bytes() -> Option<u64> {
    let bytes = fork_fs::read_limited(Path::new("/proc/meminfo"), PROC_BYTES_MAX).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes.saturating_mul(1024) / 5 * 4)
}

/// A size for people.
pub(crate) fn gibibytes(bytes: u64) -> String {
    let hundredths = (u128::from(bytes) * 100).div_ceil(1 << 30);
    format!("{}.{:02} GiB", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pipeline;

    #[test]
    fn what_is_too_large_runs_alone() {
        let directory = tempfile::tempdir().unwrap();
        let input = directory.path().join("fork_config.json");
        fork_fs::write_atomic(&input, &[b' '; 1_000_000]).unwrap();
        let pipeline = "
env: { INPUT: '${INPUT}' }
steps:
  - { key: migrate, command: migrate-ledger --proof rocksdb }
  - { key: plain, command: 'verify-package; dump-candidates' }
  - { key: other, command: something }
";
        let environment = [("INPUT".to_owned(), input.to_str().unwrap().to_owned())].into();
        let plan = Pipeline::parse(pipeline.as_bytes()).unwrap();
        let plan = plan.resolve(&environment).unwrap();
        let layout = Layout {
            output: directory.path().join("out"),
        };
        let memory = Memory::new(&plan, &layout, Some(200 << 20));
        assert_eq!(memory.of("migrate"), Some((64 << 20) + 1_600_000));
        assert_eq!(memory.of("plain"), Some(160 << 20));
        assert_eq!(memory.of("other"), None);
        let fits = |job: &str, running: &[&str]| memory.fits(job, running.iter().copied());
        assert!(fits("migrate", &["other"]));
        assert!(!fits("migrate", &["other", "plain"]));
        assert!(fits("other", &["migrate", "plain"]));
        assert_eq!(memory.warning("plain"), None);
        let little = Memory::new(&plan, &layout, Some(100 << 20));
        assert!(little.fits("plain", [].into_iter()));
        assert_eq!(
            little.warning("plain").unwrap(),
            "warning: it is expected to need 0.16 GiB, and there is 0.10 GiB; nothing else runs beside it"
        );
        assert!(Memory::new(&plan, &layout, None).fits("plain", ["migrate"].into_iter()));
        // Nobody knows what an input of unknown size takes.
        let elsewhere = [("INPUT".to_owned(), "https://example.org/x".to_owned())].into();
        let plan = Pipeline::parse(pipeline.as_bytes()).unwrap();
        let plan = plan.resolve(&elsewhere).unwrap();
        let memory = Memory::new(&plan, &layout, None);
        assert_eq!(memory.of("migrate"), None);
        assert_eq!(memory.of("plain"), Some(160 << 20));
        assert!(available_bytes().is_none_or(|bytes| bytes > 1 << 20));
    }
}
