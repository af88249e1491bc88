//! What the threads of one daemon share.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::connection::{Connection, LOOK};
use super::hooks::{Hook, HookEvent, RequestLog};
use super::peer::Ends;
use super::send::Event;
use crate::clock::Clock;
use crate::scenario::{Action, ChosenFault};
use crate::world::World;

/// Requests remembered; older ones are forgotten.
const LOG_MAX: usize = 10_000;

/// Everything under these locks is valid between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the daemon is to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Up,
    /// Until then, or until told.
    Down(Option<Instant>),
    Stop,
}

#[derive(Clone, Copy, Debug)]
struct Control {
    wanted: Wanted,
    listening: bool,
}

#[derive(Debug, Default)]
struct Log {
    requests: VecDeque<RequestLog>,
    /// Number of the first one remembered.
    first: u64,
}

pub(super) struct Shared {
    pub(super) world: Arc<World>,
    pub(super) daemon: usize,
    pub(super) clock: Clock,
    pub(super) address: SocketAddr,
    pub(super) started: Instant,
    /// Goes up when the daemon is killed or stopped; connections of an older life end.
    life: AtomicU64,
    pub(super) connections: AtomicUsize,
    control: Mutex<Control>,
    controlled: Condvar,
    faults: Mutex<ChosenFault>,
    log: Mutex<Log>,
    counts: Mutex<HashMap<String, u64>>,
    hooks: Mutex<Vec<Hook>>,
    /// Heavy requests that are being answered, by number.
    heavy: Mutex<BTreeMap<u64, Ends>>,
    heavy_next: AtomicU64,
    heavy_max: AtomicUsize,
    /// Number of releases so far.
    releases: Mutex<u64>,
    released: Condvar,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("daemon", &self.daemon)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// A heavy request, counted until dropped.
pub(super) struct Heavy<'s> {
    shared: &'s Shared,
    number: u64,
}

impl Drop for Heavy<'_> {
    fn drop(&mut self) {
        lock(&self.shared.heavy).remove(&self.number);
    }
}

impl Shared {
    pub(super) fn new(world: Arc<World>, daemon: usize, clock: Clock, address: SocketAddr) -> Self {
        let scenario = world.scenario();
        let faults = scenario.faults_of(&scenario.daemons[daemon].name);
        Self {
            world,
            daemon,
            clock,
            address,
            started: Instant::now(),
            life: AtomicU64::new(0),
            connections: AtomicUsize::new(0),
            control: Mutex::new(Control {
                wanted: Wanted::Up,
                listening: true,
            }),
            controlled: Condvar::new(),
            faults: Mutex::new(ChosenFault::new(faults)),
            log: Mutex::default(),
            counts: Mutex::default(),
            hooks: Mutex::default(),
            heavy: Mutex::default(),
            heavy_next: AtomicU64::new(0),
            heavy_max: AtomicUsize::new(0),
            releases: Mutex::new(0),
            released: Condvar::new(),
        }
    }

    pub(super) fn life(&self) -> u64 {
        self.life.load(Ordering::SeqCst)
    }

    pub(super) fn wanted(&self) -> Wanted {
        lock(&self.control).wanted
    }

    pub(super) fn want(&self, wanted: Wanted) {
        let mut control = lock(&self.control);
        // Nothing comes back from a stop.
        if control.wanted != Wanted::Stop {
            control.wanted = wanted;
        }
        if wanted != Wanted::Up {
            self.life.fetch_add(1, Ordering::SeqCst);
        }
        drop(control);
        self.controlled.notify_all();
    }

    pub(super) fn kill(&self, restart_after: Option<Duration>) {
        let until = restart_after.and_then(|time| Instant::now().checked_add(time));
        self.want(Wanted::Down(until));
    }

    pub(super) fn set_listening(&self, listening: bool) {
        lock(&self.control).listening = listening;
        self.controlled.notify_all();
    }

    pub(super) fn is_listening(&self) -> bool {
        lock(&self.control).listening
    }

    /// Waits until the daemon listens or does not, for at most `time`; says whether it came so.
    pub(super) fn wait_listening(&self, listening: bool, time: Duration) -> bool {
        let control = lock(&self.control);
        let waited = self
            .controlled
            .wait_timeout_while(control, time, |control| control.listening != listening);
        match waited {
            Ok((control, _)) => control.listening == listening,
            Err(error) => error.into_inner().0.listening == listening,
        }
    }

    pub(super) fn next_fault(&self, fields: &[String]) -> Option<Action> {
        lock(&self.faults).next(fields)
    }

    pub(super) fn set_faults(&self, faults: ChosenFault) {
        *lock(&self.faults) = faults;
    }

    pub(super) fn add_hook(&self, hook: Hook) {
        lock(&self.hooks).push(hook);
    }

    /// Counts a request and returns the hooks it calls.
    pub(super) fn count(&self, fields: &[String]) -> Vec<(u64, Event)> {
        let mut counts = lock(&self.counts);
        let mut events = Vec::new();
        for field in fields {
            let nth = counts.entry(field.clone()).or_default();
            *nth += 1;
            for hook in lock(&self.hooks).iter() {
                if hook.operation == *field && hook.nth.is_none_or(|wanted| wanted == *nth) {
                    let event = HookEvent {
                        operation: field.clone(),
                        nth: *nth,
                        body_bytes: hook.at_byte,
                    };
                    events.push((hook.at_byte, Event::Hook(Arc::clone(&hook.call), event)));
                }
            }
        }
        events
    }

    /// Counts a heavy request. One whose client has gone away is not counted beside it, although
    /// its thread may not have noticed yet.
    pub(super) fn enter_heavy(&self, ends: Ends) -> Heavy<'_> {
        let number = self.heavy_next.fetch_add(1, Ordering::SeqCst);
        let mut heavy = lock(&self.heavy);
        let others = heavy.values().filter(|ends| ends.is_open()).count();
        heavy.insert(number, ends);
        self.heavy_max.fetch_max(others + 1, Ordering::SeqCst);
        Heavy {
            shared: self,
            number,
        }
    }

    pub(super) fn heavy_max(&self) -> usize {
        self.heavy_max.load(Ordering::SeqCst)
    }

    /// Remembers a request; the number finds it again.
    pub(super) fn log(&self, request: RequestLog) -> u64 {
        let mut log = lock(&self.log);
        if log.requests.len() == LOG_MAX {
            log.requests.pop_front();
            log.first += 1;
        }
        log.requests.push_back(request);
        log.first + log.requests.len() as u64 - 1
    }

    pub(super) fn log_end(&self, number: u64, body_bytes: u64, complete: bool) {
        let mut log = lock(&self.log);
        let position = number.checked_sub(log.first);
        let position = position.and_then(|position| usize::try_from(position).ok());
        if let Some(request) = position.and_then(|position| log.requests.get_mut(position)) {
            request.body_bytes = body_bytes;
            request.complete = complete;
        }
    }

    pub(super) fn requests(&self) -> Vec<RequestLog> {
        lock(&self.log).requests.iter().cloned().collect()
    }

    pub(super) fn release_stalls(&self) {
        *lock(&self.releases) += 1;
        self.released.notify_all();
    }

    /// Waits for the time, a release, or the end of the connection.
    pub(super) fn stall(&self, time: Option<Duration>, connection: &Connection<'_>) {
        let since = Instant::now();
        let mut releases = lock(&self.releases);
        let before = *releases;
        while *releases == before
            && connection.is_wanted()
            && time.is_none_or(|time| since.elapsed() < time)
        {
            let rest = time.map_or(LOOK, |time| time.saturating_sub(since.elapsed()).min(LOOK));
            releases = match self.released.wait_timeout(releases, rest) {
                Ok((releases, _)) => releases,
                Err(error) => error.into_inner().0,
            };
        }
    }
}
