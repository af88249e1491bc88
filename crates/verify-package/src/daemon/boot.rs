//! Watching a node from its start until it has a best tip.

use std::time::{Duration, Instant};

use fork_daemon::{DaemonClient, DaemonError, NodeStatus};
use fork_types::document::SeenBlock;

use crate::report::{NodeState, ReportEvent};
use crate::subject::error_text;

/// First pause between two looks. It doubles, so that a test does not wait and a night of waiting
/// asks little.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// Longest pause, which is how exactly the end of the sleep is known.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Most events kept, for nodes that flap.
const EVENTS_MAX: usize = 1000;

/// How watching a node ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Boot {
    /// It has a best tip.
    Awake(Box<SeenBlock>),
    /// It has none; why not, as far as it says.
    Asleep(String),
}

/// What watching a node gave.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) status: Option<NodeStatus>,
    pub(super) timeline: Vec<ReportEvent>,
    pub(super) boot: Boot,
}

/// Looks at the node until it has a best tip or `timeout` is over; looks once at least.
pub(super) fn watch(client: &DaemonClient, timeout: Duration) -> Watched {
    let started = Instant::now();
    let mut watched = Watched {
        status: None,
        timeline: Vec::new(),
        boot: Boot::Asleep(String::new()),
    };
    let mut pause = PAUSE_MIN;
    loop {
        let seen = look(client, &mut watched.status);
        let at_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (state, detail) = match &seen {
            Ok(tip) => (
                NodeState::Awake,
                format!(
                    "best tip {} at height {}, slot {}",
                    tip.state_hash, tip.blockchain_length, tip.slot_since_hard_fork
                ),
            ),
            Err((state, detail)) => (*state, detail.clone()),
        };
        let is_new = watched
            .timeline
            .last()
            .is_none_or(|last| last.state != state);
        if is_new && watched.timeline.len() < EVENTS_MAX {
            watched.timeline.push(ReportEvent {
                at_ms,
                state,
                detail: detail.clone(),
            });
            pause = PAUSE_MIN;
        }
        if let Ok(tip) = seen {
            watched.boot = Boot::Awake(Box::new(tip));
            return watched;
        }
        let left = timeout.saturating_sub(started.elapsed());
        if left.is_zero() {
            watched.boot = Boot::Asleep(format!(
                "after {} s the node is {}: {detail}",
                started.elapsed().as_secs(),
                state.name()
            ));
            return watched;
        }
        std::thread::sleep(pause.min(left));
        pause = PAUSE_MAX.min(pause.saturating_mul(2));
    }
}

/// One look: the best tip, or what stands in its place.
fn look(
    client: &DaemonClient,
    status: &mut Option<NodeStatus>,
) -> Result<SeenBlock, (NodeState, String)> {
    let said = client.node_status().map_err(|error| failed(&error))?;
    let sync_status = said.sync_status.clone();
    *status = Some(said);
    client.best_tip().map_err(|error| match &error {
        DaemonError::NotReady { message, .. } => {
            (NodeState::Sleeping, format!("{sync_status}, {message}"))
        }
        DaemonError::Null { .. } => (NodeState::Sleeping, sync_status),
        _ => failed(&error),
    })
}

fn failed(error: &DaemonError) -> (NodeState, String) {
    let state = match error {
        DaemonError::Connection { .. } | DaemonError::Timeout { .. } => NodeState::Unreachable,
        _ => NodeState::Failing,
    };
    (state, error_text(error))
}
