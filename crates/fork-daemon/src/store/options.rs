//! How patient a store is, and where its credentials come from.

use std::fmt;
use std::time::Duration;

/// Deadlines, limits and credentials of a remote store. A directory needs none of them.
///
/// The defaults suit a pipeline: a server that is down is given a minute, a line that stalls half of
/// one. Every value bounds something, so that no call waits for ever.
#[derive(Clone)]
pub struct StoreOptions {
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Time for one request to be answered. A body that is sent with it adds what it takes at
    /// 128 KiB/s, the slowest line that is put up with.
    pub request_timeout: Duration,
    /// Time without a byte after which a download is taken up again on a new connection.
    pub idle_timeout: Duration,
    /// Time after which a failed request is not sent again.
    pub retry_timeout: Duration,
    /// How often a failed request is sent again.
    pub retries_max: u32,
    /// Pause before the first repetition; each further one takes twice as long.
    pub backoff: Duration,
    /// Longest pause.
    pub backoff_max: Duration,
    /// How often one download is taken up again where its connection broke.
    pub resumes_max: u32,
    /// Size of the parts in which large files are sent; smaller files are sent whole. Amazon takes
    /// no part below 5 MiB except the last. Files of more than 10,000 parts (the most there may be)
    /// get larger ones.
    pub part_bytes: u64,
    /// Environment variables to use instead of the process's: name and value.
    pub environment: Option<Vec<(String, String)>>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(30),
            retry_timeout: Duration::from_secs(60),
            retries_max: 8,
            backoff: Duration::from_millis(200),
            backoff_max: Duration::from_secs(10),
            resumes_max: 20,
            part_bytes: 16 << 20,
            environment: None,
        }
    }
}

/// Slowest line that is put up with. Parts are sent four at a time: together 512 KiB/s.
const BYTES_PER_SECOND_MIN: u64 = 128 << 10;

impl StoreOptions {
    /// Pause after the given number of attempts.
    pub(super) fn pause(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(16);
        self.backoff
            .saturating_mul(1 << doublings)
            .min(self.backoff_max)
    }

    /// Time for one request that sends `bytes` to be answered.
    pub(super) fn deadline(&self, bytes: u64) -> Duration {
        self.request_timeout
            .saturating_add(Duration::from_secs(bytes / BYTES_PER_SECOND_MIN))
    }
}

impl fmt::Debug for StoreOptions {
    /// Environment variables by name only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            connect_timeout,
            request_timeout,
            idle_timeout,
            retry_timeout,
            retries_max,
            backoff,
            backoff_max,
            resumes_max,
            part_bytes,
            environment,
        } = self;
        let names: Option<Vec<_>> = environment
            .as_ref()
            .map(|pairs| pairs.iter().map(|(name, _)| name).collect());
        f.debug_struct("StoreOptions")
            .field("connect_timeout", connect_timeout)
            .field("request_timeout", request_timeout)
            .field("idle_timeout", idle_timeout)
            .field("retry_timeout", retry_timeout)
            .field("retries_max", retries_max)
            .field("backoff", backoff)
            .field("backoff_max", backoff_max)
            .field("resumes_max", resumes_max)
            .field("part_bytes", part_bytes)
            .field("environment", &names)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        let options = StoreOptions::default();
        let pauses: Vec<_> = (1..=8).map(|n| options.pause(n).as_millis()).collect();
        assert_eq!(pauses, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(options.pause(u32::MAX), options.backoff_max);
        assert_eq!(options.deadline(16 << 20).as_secs(), 30 + 128);
    }

    #[test]
    fn values_of_the_environment_are_not_shown() {
        let options = StoreOptions {
            environment: Some(vec![("AWS_SECRET_ACCESS_KEY".into(), "hunter2".into())]),
            ..StoreOptions::default()
        };
        let shown = format!("{options:?}");
        assert!(shown.contains("AWS_SECRET_ACCESS_KEY") && !shown.contains("hunter2"));
    }
}
