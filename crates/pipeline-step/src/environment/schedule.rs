//! When the new genesis is, as far as that is known before anything is fetched.

use fork_genesis::schedule::{Schedule, ScheduleError};

use super::look::{Wrong, wrong};
use super::values::{local_prefork, network};

/// The variables that say something about it.
pub(crate) const NAMES: [&str; 7] = [
    "NETWORK",
    "PREFORK_CONFIG",
    "SLOT_CHAIN_END",
    "GENESIS_SLOT_DELTA",
    "GENESIS_TIMESTAMP",
    "FORK_SLOT",
    "UNSCHEDULED",
];

/// What contradicts the schedule, and how; `None` when nothing does, or when the prefork config is not on
/// this machine. The steps that have it look again.
pub(crate) fn contradiction<'a>(
    get: impl Fn(&str) -> Option<&'a str>,
) -> Option<(&'static str, Wrong)> {
    let values = NAMES.map(&get);
    let [
        name,
        prefork,
        chain_end,
        delta,
        timestamp,
        fork_slot,
        unscheduled,
    ] = values;
    let prefork = local_prefork(prefork?)?.ok()?;
    let network = network(name?).ok()?;
    let Some(clock) = prefork.clock(network.chain.slot_ms) else {
        let expected =
            "a config with genesis.genesis_state_timestamp: slots are counted from there";
        let advice = "name the config that the old chain's nodes run with";
        let problem = "has no time of the old chain's genesis";
        return Some(("PREFORK_CONFIG", wrong(problem, expected, advice)));
    };
    let input = prefork
        .schedule_input()
        .overridden(
            unscheduled.is_some(),
            parsed(chain_end),
            parsed(delta),
            timestamp,
        )
        .ok()?;
    // The first that was given is what somebody typed.
    let about = [
        ("GENESIS_TIMESTAMP", timestamp),
        ("SLOT_CHAIN_END", chain_end),
        ("GENESIS_SLOT_DELTA", delta),
    ];
    let about = about.into_iter().find(|(_, value)| value.is_some());
    let about = about.map_or("PREFORK_CONFIG", |(name, _)| name);
    let expected =
        "a time and slots that lead to the same genesis, counted from the prefork config";
    let schedule = match Schedule::derive(&clock, &input) {
        Ok(schedule) => schedule,
        Err(error @ ScheduleError::NothingGiven) => {
            let advice =
                "set SLOT_CHAIN_END and GENESIS_SLOT_DELTA, or UNSCHEDULED and GENESIS_TIMESTAMP";
            return Some((
                about,
                wrong(format!("says too little: {error}"), expected, advice),
            ));
        }
        Err(error) => {
            let problem = format!("contradicts the schedule: {error}");
            let advice = "correct it, or leave it empty: it then follows from the prefork config";
            return Some((about, wrong(problem, expected, advice)));
        }
    };
    let slot = schedule.global_slot_since_genesis;
    let fork_slot = parsed(fork_slot)?;
    if slot == fork_slot {
        return None;
    }
    let problem =
        format!("contradicts the schedule, whose new genesis is slot {slot} since the first one");
    let expected = format!("{slot}: {}", schedule.derivation.join("; "));
    let advice = "correct it, or leave it empty: it then follows from the schedule";
    Some(("FORK_SLOT", wrong(problem, expected, advice)))
}

fn parsed<T: std::str::FromStr>(text: Option<&str>) -> Option<T> {
    text?.parse().ok()
}
