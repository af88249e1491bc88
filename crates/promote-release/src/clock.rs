//! The one place of this worker that looks at a clock.

use jiff::Timestamp;
use release_policy::Time;

/// The time of a command: what it was told, or now. Whole seconds, so that one moment has one short
/// text.
pub(crate) fn now(told: Option<Time>) -> Time {
    told.unwrap_or_else(|| {
        // A decision is made at some time; the log keeps which, and it is made again from there.
        #[allow(
            clippy::disallowed_methods,
            reason = "a promotion happens now, unless `--now` says otherwise"
        )]
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let seconds = since.map_or(0, |since| since.as_secs());
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        Time::from(Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH))
    })
}

/// Seconds since 1970, as OpenPGP has them.
pub(crate) fn seconds(time: Time) -> u64 {
    u64::try_from(time.timestamp().as_second()).unwrap_or(0)
}
