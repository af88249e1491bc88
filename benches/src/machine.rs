//! What numbers were taken on.

use std::path::Path;

/// Largest file of `/proc` read.
const PROC_BYTES_MAX: u64 = 1 << 22;

fn proc_text(path: &str) -> Option<String> {
    let bytes = fork_fs::read_limited(Path::new(path), PROC_BYTES_MAX).ok()?;
    String::from_utf8(bytes).ok()
}

/// Value of the first line `name: value`.
fn proc_value(path: &str, name: &str) -> Option<String> {
    proc_text(path)?.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim().to_owned())
    })
}

/// One sentence about the machine.
#[must_use]
pub fn description() -> String {
    let unknown = || "unknown".to_owned();
    let cores = std::thread::available_parallelism().map_or_else(|_| unknown(), |n| n.to_string());
    let model = proc_value("/proc/cpuinfo", "model name").unwrap_or_else(unknown);
    let memory = proc_value("/proc/meminfo", "MemTotal")
        .and_then(|value| value.strip_suffix("kB")?.trim().parse::<f64>().ok())
        .map_or_else(unknown, |kib| format!("{:.1} GiB", kib / 1024.0 / 1024.0));
    let system = proc_text("/proc/sys/kernel/osrelease").unwrap_or_else(unknown);
    format!(
        "{cores} cores of {model}, {memory} of memory, Linux {}",
        system.trim()
    )
}

/// The load averages of 1, 5 and 15 minutes.
#[must_use]
pub fn load() -> String {
    proc_text("/proc/loadavg")
        .map(|text| text.split(' ').take(3).collect::<Vec<_>>().join(" "))
        .unwrap_or_default()
}

/// Peak resident memory of this process in bytes, where the system tells.
#[must_use]
pub fn peak_memory_bytes() -> Option<u64> {
    let value = proc_value("/proc/self/status", "VmHWM")?;
    let kibibytes: u64 = value.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
