//! The clock of a scenario, in slots.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The slot it is now, for all daemons of a scenario. Clones share the time.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Mutex<Time>>);

#[derive(Debug)]
struct Time {
    /// Slot at `since`.
    slot: u32,
    since: Instant,
    /// Real time of a slot; `None` when the clock only moves when told to.
    slot_time: Option<Duration>,
}

impl Clock {
    /// A clock that only moves when told to.
    #[must_use]
    pub fn manual(slot: u32) -> Self {
        Self::new(slot, None)
    }

    /// A clock that is in `slot` now and goes `speed` times as fast as slots of `slot_ms`
    /// milliseconds.
    #[must_use]
    pub fn running(slot: u32, slot_ms: u64, speed: f64) -> Self {
        let real = Duration::from_millis(slot_ms).as_secs_f64() / speed;
        // A speed that makes a slot shorter than a nanosecond makes it one.
        let real = Duration::try_from_secs_f64(real).unwrap_or(Duration::MAX);
        Self::new(slot, Some(real.max(Duration::from_nanos(1))))
    }

    fn new(slot: u32, slot_time: Option<Duration>) -> Self {
        Self(Arc::new(Mutex::new(Time {
            slot,
            since: Instant::now(),
            slot_time,
        })))
    }

    fn time(&self) -> MutexGuard<'_, Time> {
        // Every statement leaves a valid time.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slot it is now.
    #[must_use]
    pub fn slot(&self) -> u32 {
        let time = self.time();
        let elapsed = time.slot_time.map_or(0, |slot_time| {
            let slots = time.since.elapsed().as_nanos() / slot_time.as_nanos().max(1);
            u32::try_from(slots).unwrap_or(u32::MAX)
        });
        time.slot.saturating_add(elapsed)
    }

    /// Makes it `slot` now.
    pub fn set(&self, slot: u32) {
        let mut time = self.time();
        time.slot = slot;
        time.since = Instant::now();
    }

    /// Makes it one slot later.
    pub fn advance(&self) {
        self.set(self.slot().saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_stands_still() {
        let clock = Clock::manual(7);
        let shared = clock.clone();
        clock.advance();
        assert_eq!(shared.slot(), 8);
        shared.set(3);
        assert_eq!(clock.slot(), 3);
    }

    #[test]
    fn a_running_clock_goes_on() {
        let clock = Clock::running(10, 180_000, 180_000_000.0);
        std::thread::sleep(Duration::from_millis(1));
        assert!(clock.slot() > 10);
        let slow = Clock::running(10, 180_000, 1.0);
        assert_eq!(slow.slot(), 10);
    }
}
