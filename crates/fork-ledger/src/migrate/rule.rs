//! Rules, their names, and what they do to one account.

use fork_types::{Class, Era, Fault, FieldBytes, PublicKey, SlotSinceGenesis, TokenId};

use super::vesting::{PeriodZero, Phase, phase_at, slot_reduction_update};
use crate::account::{
    Account, Permissions, Timing, TokenSymbol, V1Account, V1Auth, V1Permissions, Vesting, Zkapp,
};

/// Transaction version of `set_verification_key` that accounts migrated from v1 carry on mainnet
/// and devnet. Not the version of Berkeley itself, which is 3.
pub const BERKELEY_TXN_VERSION_OF_V1_ACCOUNTS: u32 = 2;

/// The pairs and variants there are, as messages list them.
const KNOWN_RULES: &str = "v1 to berkeley; berkeley to berkeley; berkeley to mesa \
     (untimed-becomes-timed, untimed-stays, no-vesting); mesa to mesa";

/// A named migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// v1 to Berkeley, where the seven permissions become thirteen.
    V1ToBerkeley {
        /// Transaction version the accounts get; see [`BERKELEY_TXN_VERSION_OF_V1_ACCOUNTS`].
        txn_version: u32,
    },
    /// Berkeley to Berkeley: everything is kept.
    BerkeleyToBerkeley,
    /// Berkeley to Mesa: zkApp states grow from 8 to 32 elements, schedules are rewritten for
    /// slots of half the length. Permissions keep their transaction version, 2 or 3.
    BerkeleyToMesa(MesaTiming),
    /// Mesa to Mesa: everything is kept. Applying the vesting update again is the mistake this
    /// rule exists to prevent.
    MesaToMesa,
}

/// What Berkeley to Mesa does to the timing of accounts.
///
/// The slot is that of the new genesis, not that of the fork block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MesaTiming {
    /// Upstream's text read literally, and the default: the update always sets the timed flag, so
    /// an untimed account becomes `Timed {0, 0, 0, 1, 0}`.
    UntimedBecomesTimed {
        /// Slot of the new genesis.
        fork_slot: SlotSinceGenesis,
    },
    /// The stated intention: untimed accounts stay untimed.
    UntimedStays {
        /// Slot of the new genesis.
        fork_slot: SlotSinceGenesis,
    },
    /// No vesting update at all. What upstream does when the pre-fork configuration lacks the
    /// schedule fields; not a correct mainnet or devnet fork.
    NoVesting,
}

/// Why a pair, variant or fork slot names no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// No rule leads from one era to the other.
    #[error("there is no migration from {from} to {to}; known are {KNOWN_RULES}")]
    UnknownPair {
        /// Source era.
        from: Era,
        /// Target era.
        to: Era,
    },
    /// The pair has no variant of this name.
    #[error("{pair} has no variant `{found}`; known are {known}")]
    UnknownVariant {
        /// The pair's name.
        pair: &'static str,
        /// The variant asked for.
        found: String,
        /// The pair's variants.
        known: &'static str,
    },
    /// The vesting update needs the slot of the new genesis.
    #[error("{rule} needs the fork slot, the slot since genesis of the new genesis")]
    ForkSlotMissing {
        /// The rule.
        rule: &'static str,
    },
    /// A fork slot was given to a rule that does nothing with it.
    #[error("{rule} has no use for the fork slot {fork_slot}")]
    ForkSlotUnused {
        /// The rule.
        rule: &'static str,
        /// The slot given.
        fork_slot: SlotSinceGenesis,
    },
}

impl Fault for RuleError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::UnknownPair { .. } | Self::UnknownVariant { .. } => return None,
            Self::ForkSlotMissing { .. } => {
                "it is slot_chain_end plus hard_fork_genesis_slot_delta of the old chain, counted \
                 since genesis; `no-vesting` leaves schedules alone and is not a correct fork"
            }
            Self::ForkSlotUnused { .. } => {
                "leave the fork slot out, or choose the rule that was meant: only the vesting \
                 update of berkeley to mesa depends on it"
            }
        };
        Some(text.to_owned())
    }
}

/// Why an account could not be migrated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// The vesting period is 0 after the cliff, where upstream divides by it.
    #[error("account {public_key} of token {token_id} has vesting period 0 after its cliff")]
    VestingPeriodZero {
        /// The account's key.
        public_key: PublicKey,
        /// The account's token.
        token_id: TokenId,
    },
    /// The zkApp state has not the width of the rule's source era.
    #[error(
        "account {public_key} of token {token_id} has {found} state elements, {rule} expects \
         {expected}"
    )]
    AppStateWidth {
        /// The account's key.
        public_key: PublicKey,
        /// The account's token.
        token_id: TokenId,
        /// The rule.
        rule: &'static str,
        /// Width of the source era.
        expected: usize,
        /// Width found.
        found: usize,
    },
    /// A v1 account with something Berkeley has no place for.
    #[error("account {public_key} has {what}, which Berkeley has no place for")]
    NotExpressible {
        /// The account's key.
        public_key: PublicKey,
        /// What it has.
        what: &'static str,
    },
    /// The rule migrates accounts of another record.
    #[error("{rule} does not migrate {found} accounts")]
    WrongSource {
        /// The rule.
        rule: &'static str,
        /// What it was given.
        found: &'static str,
    },
}

impl Fault for MigrateError {
    fn class(&self) -> Class {
        match self {
            Self::VestingPeriodZero { .. }
            | Self::AppStateWidth { .. }
            | Self::NotExpressible { .. } => Class::BadInput,
            Self::WrongSource { .. } => Class::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::AppStateWidth { found, .. } => Some(format!(
                "{found} elements: check that the list is of the era named as source, and was not \
                 migrated before"
            )),
            Self::VestingPeriodZero { .. }
            | Self::NotExpressible { .. }
            | Self::WrongSource { .. } => None,
        }
    }
}

/// What a rule did to one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Its timing.
    pub timing: TimingChange,
    /// Where its schedule stood at the fork slot; absent for untimed accounts and for rules that
    /// do not look.
    pub phase: Option<Phase>,
    /// Whether it has a zkApp part.
    pub is_zkapp: bool,
    /// Whether its zkApp state was widened.
    pub app_state_padded: bool,
}

/// What happened to the timing of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimingChange {
    /// Nothing.
    #[default]
    Kept,
    /// Still vesting, so its schedule was rewritten.
    Rescheduled,
    /// Untimed before, timed with a schedule that locks nothing now.
    BecameTimed,
}

impl Rule {
    /// The rule for a pair of eras.
    ///
    /// `variant` is for pairs that have variants; without it Berkeley to Mesa is
    /// `untimed-becomes-timed`. v1 to Berkeley gives accounts transaction version 2; build
    /// [`Rule::V1ToBerkeley`] for another.
    ///
    /// # Errors
    ///
    /// Fails on unknown pairs and variants, on a missing fork slot where the rule needs one, and on
    /// a fork slot where it needs none: a slot nobody uses means somebody meant another rule.
    pub fn from_pair(
        from: Era,
        to: Era,
        variant: Option<&str>,
        fork_slot: Option<SlotSinceGenesis>,
    ) -> Result<Self, RuleError> {
        let rule = match (from, to) {
            (Era::V1, Era::Berkeley) => Self::V1ToBerkeley {
                txn_version: BERKELEY_TXN_VERSION_OF_V1_ACCOUNTS,
            },
            (Era::Berkeley, Era::Berkeley) => Self::BerkeleyToBerkeley,
            (Era::Mesa, Era::Mesa) => Self::MesaToMesa,
            (Era::Berkeley, Era::Mesa) => return berkeley_to_mesa(variant, fork_slot),
            (Era::V1 | Era::Mesa, Era::V1)
            | (Era::Berkeley, Era::V1)
            | (Era::V1, Era::Mesa)
            | (Era::Mesa, Era::Berkeley) => return Err(RuleError::UnknownPair { from, to }),
        };
        if let Some(found) = variant {
            return Err(RuleError::UnknownVariant {
                pair: rule.name(),
                found: found.to_owned(),
                known: "none",
            });
        }
        refuse_fork_slot(rule, fork_slot)
    }

    /// The name printed with every result.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::V1ToBerkeley { .. } => "v1-to-berkeley",
            Self::BerkeleyToBerkeley => "berkeley-to-berkeley",
            Self::BerkeleyToMesa(MesaTiming::UntimedBecomesTimed { .. }) => {
                "berkeley-to-mesa/untimed-becomes-timed"
            }
            Self::BerkeleyToMesa(MesaTiming::UntimedStays { .. }) => {
                "berkeley-to-mesa/untimed-stays"
            }
            Self::BerkeleyToMesa(MesaTiming::NoVesting) => "berkeley-to-mesa/no-vesting",
            Self::MesaToMesa => "mesa-to-mesa",
        }
    }

    /// Era of the accounts before.
    #[must_use]
    pub const fn source(&self) -> Era {
        match self {
            Self::V1ToBerkeley { .. } => Era::V1,
            Self::BerkeleyToBerkeley | Self::BerkeleyToMesa(_) => Era::Berkeley,
            Self::MesaToMesa => Era::Mesa,
        }
    }

    /// Era of the accounts after.
    #[must_use]
    pub const fn target(&self) -> Era {
        match self {
            Self::V1ToBerkeley { .. } | Self::BerkeleyToBerkeley => Era::Berkeley,
            Self::BerkeleyToMesa(_) | Self::MesaToMesa => Era::Mesa,
        }
    }

    /// The slot of the new genesis, for the rules that use it.
    #[must_use]
    pub const fn fork_slot(&self) -> Option<SlotSinceGenesis> {
        match self {
            Self::BerkeleyToMesa(
                MesaTiming::UntimedBecomesTimed { fork_slot }
                | MesaTiming::UntimedStays { fork_slot },
            ) => Some(*fork_slot),
            Self::V1ToBerkeley { .. }
            | Self::BerkeleyToBerkeley
            | Self::BerkeleyToMesa(MesaTiming::NoVesting)
            | Self::MesaToMesa => None,
        }
    }

    /// Migrates an account of Berkeley or Mesa.
    ///
    /// # Errors
    ///
    /// Fails on a zkApp state that is not of the source era, on a vesting period of 0 that upstream
    /// would divide by, and for the rule whose source is v1.
    pub fn migrate(&self, account: &Account) -> Result<(Account, Changes), MigrateError> {
        let source = match self {
            Self::V1ToBerkeley { .. } => {
                return Err(MigrateError::WrongSource {
                    rule: self.name(),
                    found: "berkeley or mesa",
                });
            }
            Self::BerkeleyToBerkeley | Self::MesaToMesa | Self::BerkeleyToMesa(_) => self.source(),
        };
        check_width(account, source, self.name())?;
        match self {
            Self::BerkeleyToMesa(timing) => account_to_mesa(account, timing),
            Self::V1ToBerkeley { .. } | Self::BerkeleyToBerkeley | Self::MesaToMesa => Ok((
                account.clone(),
                Changes {
                    is_zkapp: account.zkapp.is_some(),
                    ..Changes::default()
                },
            )),
        }
    }

    /// Migrates an account of v1.
    ///
    /// # Errors
    ///
    /// Fails on a token other than the chain's own and on the permission `both`, which Berkeley has
    /// no place for and no known ledger has, and for the rules whose source is not v1.
    pub fn migrate_v1(&self, account: &V1Account) -> Result<(Account, Changes), MigrateError> {
        let Self::V1ToBerkeley { txn_version } = self else {
            return Err(MigrateError::WrongSource {
                rule: self.name(),
                found: "v1",
            });
        };
        Ok((account_of_v1(account, *txn_version)?, Changes::default()))
    }
}

fn berkeley_to_mesa(
    variant: Option<&str>,
    fork_slot: Option<SlotSinceGenesis>,
) -> Result<Rule, RuleError> {
    let needed = |rule| fork_slot.ok_or(RuleError::ForkSlotMissing { rule });
    let timing = match variant {
        None | Some("untimed-becomes-timed") => MesaTiming::UntimedBecomesTimed {
            fork_slot: needed("berkeley-to-mesa/untimed-becomes-timed")?,
        },
        Some("untimed-stays") => MesaTiming::UntimedStays {
            fork_slot: needed("berkeley-to-mesa/untimed-stays")?,
        },
        Some("no-vesting") => {
            return refuse_fork_slot(Rule::BerkeleyToMesa(MesaTiming::NoVesting), fork_slot);
        }
        Some(found) => {
            return Err(RuleError::UnknownVariant {
                pair: "berkeley-to-mesa",
                found: found.to_owned(),
                known: "untimed-becomes-timed, untimed-stays, no-vesting",
            });
        }
    };
    Ok(Rule::BerkeleyToMesa(timing))
}

fn refuse_fork_slot(rule: Rule, fork_slot: Option<SlotSinceGenesis>) -> Result<Rule, RuleError> {
    match fork_slot {
        None => Ok(rule),
        Some(fork_slot) => Err(RuleError::ForkSlotUnused {
            rule: rule.name(),
            fork_slot,
        }),
    }
}

fn check_width(account: &Account, era: Era, rule: &'static str) -> Result<(), MigrateError> {
    let expected = era.app_state_len();
    match account.zkapp.as_deref() {
        Some(zkapp) if zkapp.app_state.len() != expected => Err(MigrateError::AppStateWidth {
            public_key: account.public_key,
            token_id: account.token_id,
            rule,
            expected,
            found: zkapp.app_state.len(),
        }),
        Some(_) | None => Ok(()),
    }
}

fn account_to_mesa(
    account: &Account,
    timing_rule: &MesaTiming,
) -> Result<(Account, Changes), MigrateError> {
    let Account {
        public_key,
        token_id,
        token_symbol,
        balance,
        nonce,
        receipt_chain_hash,
        delegate,
        voting_for,
        timing,
        permissions,
        zkapp,
    } = account;
    let (timing, timing_change, phase) =
        timing_to_mesa(timing, timing_rule).map_err(|PeriodZero| {
            MigrateError::VestingPeriodZero {
                public_key: *public_key,
                token_id: *token_id,
            }
        })?;
    let migrated = Account {
        public_key: *public_key,
        token_id: *token_id,
        token_symbol: *token_symbol,
        balance: *balance,
        nonce: *nonce,
        receipt_chain_hash: *receipt_chain_hash,
        delegate: *delegate,
        voting_for: *voting_for,
        timing,
        permissions: *permissions,
        zkapp: zkapp.as_deref().map(|zkapp| Box::new(zkapp_to_mesa(zkapp))),
    };
    let is_zkapp = migrated.zkapp.is_some();
    Ok((
        migrated,
        Changes {
            timing: timing_change,
            phase,
            is_zkapp,
            app_state_padded: is_zkapp,
        },
    ))
}

fn zkapp_to_mesa(zkapp: &Zkapp) -> Zkapp {
    let Zkapp {
        app_state,
        verification_key,
        zkapp_version,
        action_state,
        last_action_slot,
        proved_state,
        zkapp_uri,
    } = zkapp;
    let mut wide_state = app_state.clone();
    wide_state.resize(Era::Mesa.app_state_len(), FieldBytes::ZERO);
    Zkapp {
        app_state: wide_state,
        verification_key: verification_key.clone(),
        zkapp_version: *zkapp_version,
        action_state: *action_state,
        last_action_slot: *last_action_slot,
        proved_state: *proved_state,
        zkapp_uri: zkapp_uri.clone(),
    }
}

fn timing_to_mesa(
    timing: &Timing,
    rule: &MesaTiming,
) -> Result<(Timing, TimingChange, Option<Phase>), PeriodZero> {
    let kept = (*timing, TimingChange::Kept, None);
    match (rule, timing) {
        (MesaTiming::NoVesting, Timing::Untimed | Timing::Timed(_))
        | (MesaTiming::UntimedStays { .. }, Timing::Untimed) => Ok(kept),
        (MesaTiming::UntimedBecomesTimed { .. }, Timing::Untimed) => Ok((
            // The numbers of an untimed record are never active, so the update keeps them.
            Timing::Timed(Vesting::UNTIMED),
            TimingChange::BecameTimed,
            None,
        )),
        (
            MesaTiming::UntimedBecomesTimed { fork_slot } | MesaTiming::UntimedStays { fork_slot },
            Timing::Timed(vesting),
        ) => {
            let phase = phase_at(vesting, *fork_slot)?;
            let change = match phase {
                Phase::NotActive => TimingChange::Kept,
                Phase::BeforeCliff | Phase::AfterCliff { .. } => TimingChange::Rescheduled,
            };
            let updated = slot_reduction_update(vesting, *fork_slot)?;
            Ok((Timing::Timed(updated), change, Some(phase)))
        }
    }
}

fn account_of_v1(account: &V1Account, txn_version: u32) -> Result<Account, MigrateError> {
    const DEFAULT_TOKEN: u64 = 1;
    let V1Account {
        public_key,
        token_id,
        balance,
        nonce,
        receipt_chain_hash,
        delegate,
        voting_for,
        timing,
        permissions,
    } = account;
    if *token_id != DEFAULT_TOKEN {
        return Err(MigrateError::NotExpressible {
            public_key: *public_key,
            what: "a token other than the chain's own",
        });
    }
    Ok(Account {
        public_key: *public_key,
        token_id: TokenId::DEFAULT,
        token_symbol: TokenSymbol::default(),
        balance: *balance,
        nonce: *nonce,
        receipt_chain_hash: *receipt_chain_hash,
        delegate: *delegate,
        voting_for: *voting_for,
        timing: *timing,
        permissions: permissions_of_v1(public_key, permissions, txn_version)?,
        zkapp: None,
    })
}

fn permissions_of_v1(
    public_key: &PublicKey,
    permissions: &V1Permissions,
    txn_version: u32,
) -> Result<Permissions, MigrateError> {
    let V1Permissions {
        stake: _,
        edit_state,
        send,
        receive,
        set_delegate,
        set_permissions,
        set_verification_key,
    } = *permissions;
    let kept = |auth| match auth {
        V1Auth::Auth(auth) => Ok(auth),
        V1Auth::Both => Err(MigrateError::NotExpressible {
            public_key: *public_key,
            what: "the permission `both`",
        }),
    };
    let new = Permissions::user_default(txn_version);
    Ok(Permissions {
        edit_state: kept(edit_state)?,
        access: new.access,
        send: kept(send)?,
        receive: kept(receive)?,
        set_delegate: kept(set_delegate)?,
        set_permissions: kept(set_permissions)?,
        set_verification_key: kept(set_verification_key)?,
        set_verification_key_txn_version: txn_version,
        set_zkapp_uri: new.set_zkapp_uri,
        edit_action_state: new.edit_action_state,
        set_token_symbol: new.set_token_symbol,
        increment_nonce: new.increment_nonce,
        set_voting_for: new.set_voting_for,
        set_timing: new.set_timing,
    })
}
