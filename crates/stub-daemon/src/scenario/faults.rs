//! What goes wrong, and when.

use fork_testkit::fixture::Random;
use serde::{Deserialize, Serialize};

use super::{ALL_DAEMONS, Scenario};
use crate::error::StubError;

/// Purpose of the random numbers of a fault script.
const PURPOSE: u64 = 900;

/// What a fault's request asks for: the name of a top-level field, or any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// Every request.
    #[default]
    #[serde(rename = "any")]
    Any,
    /// `syncStatus`
    #[serde(rename = "syncStatus")]
    SyncStatus,
    /// `daemonStatus`
    #[serde(rename = "daemonStatus")]
    DaemonStatus,
    /// `bestChain`
    #[serde(rename = "bestChain")]
    BestChain,
    /// `block`
    #[serde(rename = "block")]
    Block,
    /// `genesisBlock`
    #[serde(rename = "genesisBlock")]
    GenesisBlock,
    /// `fork_config`
    #[serde(rename = "fork_config")]
    ForkConfig,
    /// `runtimeConfig`
    #[serde(rename = "runtimeConfig")]
    RuntimeConfig,
    /// `protocolState`
    #[serde(rename = "protocolState")]
    ProtocolState,
    /// `account`
    #[serde(rename = "account")]
    Account,
    /// `genesisConstants`
    #[serde(rename = "genesisConstants")]
    GenesisConstants,
    /// `networkID`
    #[serde(rename = "networkID")]
    NetworkId,
    /// `version`
    #[serde(rename = "version")]
    Version,
}

impl Operation {
    /// The name of the field; `any` for every one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::SyncStatus => "syncStatus",
            Self::DaemonStatus => "daemonStatus",
            Self::BestChain => "bestChain",
            Self::Block => "block",
            Self::GenesisBlock => "genesisBlock",
            Self::ForkConfig => "fork_config",
            Self::RuntimeConfig => "runtimeConfig",
            Self::ProtocolState => "protocolState",
            Self::Account => "account",
            Self::GenesisConstants => "genesisConstants",
            Self::NetworkId => "networkID",
            Self::Version => "version",
        }
    }

    /// Whether a request for these fields is meant.
    #[must_use]
    pub fn matches(self, fields: &[String]) -> bool {
        self == Self::Any || fields.iter().any(|field| field == self.name())
    }
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Name of a daemon, or `all`; each daemon counts its own requests.
    #[serde(default = "all")]
    pub daemon: String,
    /// Which requests.
    #[serde(default)]
    pub operation: Operation,
    /// The first of these requests it happens to, from 1.
    #[serde(default = "first")]
    pub from: u64,
    /// To how many of them in a row it happens.
    #[serde(default = "first")]
    pub count: u64,
    /// What happens.
    pub action: Action,
}

/// What happens to a request.
///
/// `after` counts bytes of the body, without the header and without chunk sizes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Resets the connection after some bytes.
    Reset(PositionAction),
    /// Resets the connection before the header.
    ResetBeforeHeader,
    /// Stops after some bytes, for a time or until released, and goes on.
    Stall(StallAction),
    /// Closes the connection in order after some bytes, although more were promised.
    Truncate(PositionAction),
    /// Changes one byte.
    Corrupt(CorruptAction),
    /// Answers with an HTTP status.
    Status(StatusAction),
    /// Answers null for every field.
    NullData,
    /// Answers `{"error": …}` inside `data`.
    ErrorInData(ErrorAction),
    /// Answers with `errors`, and `data` null.
    GraphqlErrors(ErrorAction),
    /// Answers with text that is no JSON.
    NotJson,
    /// Changes the balance of one account in `fork_config` by 1 nanomina; the claimed hash stays.
    WrongLedger,
    /// Answers for the parent of the block that was asked for.
    WrongBlock,
    /// Sends slowly.
    Slow(SlowAction),
    /// Stops listening and resets every connection.
    Kill(KillAction),
}

/// Where in the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PositionAction {
    /// Bytes sent before.
    #[serde(default)]
    pub after: u64,
}

/// Where a stall is and how long it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StallAction {
    /// Bytes sent before.
    #[serde(default)]
    pub after: u64,
    /// How long; until released if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
}

/// Which byte is changed and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorruptAction {
    /// Position of the byte, from 0.
    pub at: u64,
    /// The bits that are turned over.
    #[serde(default = "lowest_bit")]
    pub mask: u8,
}

/// An HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusAction {
    /// 400 to 599.
    pub code: u16,
    /// Seconds in a `Retry-After` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// An error message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorAction {
    /// The text.
    #[serde(default = "bootstrapping")]
    pub message: String,
}

/// How slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowAction {
    /// Bytes of the body per second.
    pub bytes_per_second: u64,
}

/// When a killed daemon comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KillAction {
    /// Bytes of the body sent before.
    #[serde(default)]
    pub after: u64,
    /// Seconds until it listens again; only by a call if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_after: Option<u64>,
}

fn all() -> String {
    ALL_DAEMONS.to_owned()
}

fn first() -> u64 {
    1
}

fn lowest_bit() -> u8 {
    1
}

fn bootstrapping() -> String {
    "Daemon is bootstrapping".to_owned()
}

impl Fault {
    /// Whether it happens to the `nth` matching request.
    #[must_use]
    pub const fn covers(&self, nth: u64) -> bool {
        nth >= self.from && nth - self.from < self.count
    }

    pub(super) fn check(&self, index: usize) -> Result<(), StubError> {
        let place = |member: &str| format!("fault {} `{member}`", index + 1);
        if self.from == 0 || self.count == 0 {
            return Err(StubError::scenario(place("from"), "0", "at least 1"));
        }
        match &self.action {
            Action::Status(status) if !(400..600).contains(&status.code) => {
                let found = status.code.to_string();
                Err(StubError::scenario(place("status"), found, "400 to 599"))
            }
            Action::Slow(slow) if slow.bytes_per_second == 0 => {
                Err(StubError::scenario(place("slow"), "0", "at least 1"))
            }
            Action::Corrupt(corrupt) if corrupt.mask == 0 => {
                let expected = "a mask with a bit set";
                Err(StubError::scenario(place("corrupt"), "0", expected))
            }
            _ => Ok(()),
        }
    }
}

/// A fault script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

/// What a random fault script may do.
#[derive(Clone, Debug)]
pub struct FaultLimits {
    /// Names of the daemons it may happen to.
    pub daemons: Vec<String>,
    /// What may be asked for.
    pub operations: Vec<Operation>,
    /// Largest number of the first request it happens to.
    pub from_max: u64,
    /// Largest number of requests in a row.
    pub count_max: u64,
    /// Largest position in a body, in bytes.
    pub position_max: u64,
    /// Longest stall and longest time until a killed daemon comes back, in seconds.
    pub seconds_max: u64,
    /// Whether answers may be wrong in ways that only a comparison of hashes shows.
    pub lies: bool,
    /// Whether daemons may be killed.
    pub kills: bool,
}

impl Default for FaultLimits {
    fn default() -> Self {
        Self {
            daemons: vec![all()],
            operations: vec![
                Operation::Any,
                Operation::BestChain,
                Operation::DaemonStatus,
                Operation::ForkConfig,
                Operation::ProtocolState,
            ],
            from_max: 6,
            count_max: 3,
            position_max: 200_000,
            seconds_max: 1,
            lies: true,
            kills: true,
        }
    }
}

#[derive(Serialize)]
struct Document<'f> {
    fault: &'f [Fault],
}

impl Faults {
    /// `n` faults made up from a seed: the same seed and limits give the same faults everywhere.
    #[must_use]
    pub fn random(seed: u64, n: usize, limits: &FaultLimits) -> Self {
        let fault = |index: usize| {
            let mut random = Random::new(seed, PURPOSE, index as u64);
            let daemon = chosen(&mut random, limits.daemons.len())
                .and_then(|index| limits.daemons.get(index).cloned())
                .unwrap_or_else(all);
            let operation = chosen(&mut random, limits.operations.len())
                .and_then(|index| limits.operations.get(index).copied())
                .unwrap_or_default();
            Fault {
                daemon,
                operation,
                from: 1 + random.below(limits.from_max),
                count: 1 + random.below(limits.count_max),
                action: random_action(&mut random, limits),
            }
        };
        Self((0..n).map(fault).collect())
    }

    /// The script as part of a scenario file.
    ///
    /// # Errors
    ///
    /// Fails on numbers above 2^63, which TOML does not have.
    pub fn to_toml(&self) -> Result<String, StubError> {
        toml::to_string(&Document { fault: &self.0 }).map_err(|source| StubError::Print { source })
    }
}

fn chosen(random: &mut Random, count: usize) -> Option<usize> {
    usize::try_from(random.below(count as u64)).ok()
}

fn random_action(random: &mut Random, limits: &FaultLimits) -> Action {
    /// The kinds below, in their order.
    const HARMLESS: u64 = 11;
    let after = random.below(limits.position_max.saturating_add(1));
    let seconds = random.below(limits.seconds_max.saturating_add(1));
    let kinds = HARMLESS + 2 * u64::from(limits.lies) + u64::from(limits.kills);
    match random.below(kinds) {
        0 => Action::Reset(PositionAction { after }),
        1 => Action::ResetBeforeHeader,
        2 => Action::Stall(StallAction {
            after,
            seconds: Some(seconds),
        }),
        3 => Action::Truncate(PositionAction { after }),
        4 => Action::Corrupt(CorruptAction {
            at: after,
            mask: 1 << random.below(8),
        }),
        5 => Action::Status(StatusAction {
            code: random.pick(&[413, 429, 500, 502, 503]),
            retry_after: random.once_in(2).then_some(seconds),
        }),
        6 => Action::NullData,
        7 => Action::ErrorInData(ErrorAction {
            message: bootstrapping(),
        }),
        8 => Action::GraphqlErrors(ErrorAction {
            message: bootstrapping(),
        }),
        9 => Action::NotJson,
        10 => Action::Slow(SlowAction {
            // Never slower than some seconds for the largest position.
            bytes_per_second: 1 + limits.position_max / (1 + seconds),
        }),
        11 if limits.lies => Action::WrongLedger,
        12 if limits.lies => Action::WrongBlock,
        _ => Action::Kill(KillAction {
            after,
            restart_after: Some(seconds),
        }),
    }
}

/// A daemon's faults with the number of requests each has seen.
#[derive(Debug, Default)]
pub struct ChosenFault {
    faults: Vec<(Fault, u64)>,
}

impl ChosenFault {
    /// No request seen yet.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self {
            faults: faults.0.into_iter().map(|fault| (fault, 0)).collect(),
        }
    }

    /// The fault that happens to a request for these fields: the first one of the script that covers
    /// it. All of them count it.
    pub fn next(&mut self, fields: &[String]) -> Option<Action> {
        let mut found = None;
        for (fault, seen) in &mut self.faults {
            if fault.operation.matches(fields) {
                *seen += 1;
                if found.is_none() && fault.covers(*seen) {
                    found = Some(fault.action.clone());
                }
            }
        }
        found
    }
}

impl Scenario {
    /// Adds a fault script.
    ///
    /// # Errors
    ///
    /// Fails when a fault names no daemon of the scenario.
    pub fn with_faults(mut self, faults: Faults) -> Result<Self, StubError> {
        self.faults.extend(faults.0);
        self.check()?;
        Ok(self)
    }
}
