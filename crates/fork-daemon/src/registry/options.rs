//! How patient a registry client is, and where it may go without TLS.

use std::time::Duration;

/// Slowest line that is put up with.
const BYTES_PER_SECOND_MIN: u64 = 128 << 10;
/// Slowest registry that is put up with when it has all of a blob and hashes and moves it.
const STORED_BYTES_PER_SECOND_MIN: u64 = 8 << 20;

/// Deadlines and limits. Every value bounds something, so that no call waits for ever.
#[derive(Clone, Debug)]
pub struct RegistryOptions {
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Time for a request without a large body to be answered. A blob adds what it takes at
    /// 128 KiB/s.
    pub request_timeout: Duration,
    /// Longest silence within a blob, in both directions.
    pub idle_timeout: Duration,
    /// How often a request is sent in all, when what is wrong may pass. A download goes on where it
    /// broke; an upload starts again.
    pub attempts_max: u32,
    /// Pause before the first repetition; each further one takes twice as long.
    pub backoff: Duration,
    /// Hosts (with their port, if any) that are talked to without TLS. `localhost`, `127.0.0.1` and
    /// `[::1]` are, whatever the port.
    pub insecure_registries: Vec<String>,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(30),
            attempts_max: 4,
            backoff: Duration::from_millis(500),
            insecure_registries: Vec::new(),
        }
    }
}

impl RegistryOptions {
    /// Pause after the given number of attempts.
    pub(super) fn pause(&self, attempts: u32) -> Duration {
        self.backoff
            .saturating_mul(1 << attempts.saturating_sub(1).min(16))
    }

    /// Time for a request that moves so many bytes.
    pub(super) fn deadline(&self, bytes: u64) -> Duration {
        self.request_timeout
            .saturating_add(Duration::from_secs(bytes / BYTES_PER_SECOND_MIN))
    }

    /// Time for a registry to answer when it has so many bytes.
    pub(super) fn store_deadline(&self, bytes: u64) -> Duration {
        self.request_timeout
            .saturating_add(Duration::from_secs(bytes / STORED_BYTES_PER_SECOND_MIN))
    }

    /// Whether a host, with its port if there is one, is talked to without TLS.
    pub(super) fn is_plain(&self, registry: &str) -> bool {
        is_loopback(registry) || self.insecure_registries.iter().any(|one| one == registry)
    }
}

/// Whether a host, with its port if there is one, is this machine.
pub(super) fn is_loopback(registry: &str) -> bool {
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => registry,
    };
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_talked_to_without_tls() {
        let options = RegistryOptions {
            insecure_registries: vec!["lab:5000".to_owned()],
            ..RegistryOptions::default()
        };
        for (host, plain) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:1", true),
            ("[::1]", true),
            ("[::1]:5000", true),
            ("lab:5000", true),
            ("lab", false),
            ("lab:5001", false),
            ("localhost.example", false),
            ("127.0.0.2", false),
        ] {
            assert_eq!(options.is_plain(host), plain, "{host}");
        }
        assert_eq!(options.pause(3), options.backoff * 4);
        assert_eq!(options.deadline(1 << 20).as_secs(), 68);
    }
}
