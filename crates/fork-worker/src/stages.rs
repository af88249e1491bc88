//! Stage times and peak memory, for the documents' `stages_ms` and the bench table.

use std::collections::BTreeMap;
use std::time::Instant;

/// Wall time per named stage.
#[derive(Debug)]
pub struct Stages {
    started: Instant,
    milliseconds: BTreeMap<String, u64>,
}

impl Stages {
    /// Starts the clock.
    #[must_use]
    #[allow(clippy::new_without_default)] // reads the clock
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            milliseconds: BTreeMap::new(),
        }
    }

    /// Ends a stage that began when the last one ended.
    pub fn end(&mut self, name: &str) {
        let now = Instant::now();
        let elapsed = now.duration_since(self.started).as_millis();
        *self.milliseconds.entry(name.to_owned()).or_default() +=
            u64::try_from(elapsed).unwrap_or(u64::MAX);
        self.started = now;
    }

    /// Milliseconds per stage.
    #[must_use]
    pub fn into_milliseconds(self) -> BTreeMap<String, u64> {
        self.milliseconds
    }
}

/// Peak resident memory of this process in bytes, where the system tells (`VmHWM` on Linux).
#[must_use]
pub fn peak_memory_bytes() -> Option<u64> {
    let status = fork_fs::read_limited(std::path::Path::new("/proc/self/status"), 1 << 20).ok()?;
    let text = String::from_utf8(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
