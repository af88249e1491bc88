//! Mistakes that change accounts: what each would have made of an account of the list.

use fork_types::{Era, PublicKey, ReceiptChainHash, SlotSinceGenesis, StateHash, TokenId};

use crate::account::{Account, Permissions, Timing, TokenSymbol, V1Account, Vesting, Zkapp};
use crate::migrate::{MesaTiming, Rule, slot_reduction_update};

/// A member that a conversion may lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    Timing,
    Nonce,
    ReceiptChainHash,
    VotingFor,
    TokenSymbol,
    Token,
    Zkapp,
    VerificationKey,
}

impl Member {
    pub(crate) const ALL: [Self; 8] = [
        Self::Timing,
        Self::Nonce,
        Self::ReceiptChainHash,
        Self::VotingFor,
        Self::TokenSymbol,
        Self::Token,
        Self::Zkapp,
        Self::VerificationKey,
    ];

    /// Those that accounts of v1 have.
    pub(crate) const OF_V1: [Self; 5] = [
        Self::Timing,
        Self::Nonce,
        Self::ReceiptChainHash,
        Self::VotingFor,
        Self::Token,
    ];

    /// Its name in account JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Timing => "timing",
            Self::Nonce => "nonce",
            Self::ReceiptChainHash => "receipt_chain_hash",
            Self::VotingFor => "voting_for",
            Self::TokenSymbol => "token_symbol",
            Self::Token => "token",
            Self::Zkapp => "zkapp",
            Self::VerificationKey => "zkapp.verification_key",
        }
    }
}

/// One way in which the accounts behind the expected root may differ from those of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Widened or narrowed to another era and hashed by it.
    HashedAs(Era),
    /// Mesa with zkApp states of 8 elements.
    AppStateUnpadded,
    /// Migrated from Berkeley.
    Migrated(Rule),
    /// The vesting update, without anything else.
    VestingUpdate {
        slot: SlotSinceGenesis,
        untimed_becomes_timed: bool,
    },
    /// The other variant of the vesting update.
    UntimedBecomesTimed,
    TimedBecomesUntimed,
    DelegateItself,
    DelegateNone,
    /// Every version, or only `from`, replaced.
    TxnVersion {
        from: Option<u32>,
        to: u32,
    },
    /// Permissions dropped and filled in.
    PermissionsDefault {
        txn_version: u32,
    },
    Lost(Member),
}

impl Change {
    /// The era whose empty accounts fill the tree.
    pub(crate) const fn tree_era(&self, stated: Era) -> Era {
        match self {
            Self::HashedAs(era) => *era,
            Self::Migrated(rule) => rule.target(),
            _ => stated,
        }
    }

    /// The era whose rules a changed account is hashed by.
    pub(crate) const fn hash_era(&self, stated: Era) -> Era {
        match self {
            // A zkApp account's hash has nothing of the era in it but the width of its state.
            Self::AppStateUnpadded => Era::Berkeley,
            _ => self.tree_era(stated),
        }
    }

    /// Whether it is a migration to another era.
    pub(crate) const fn is_migration(&self) -> bool {
        matches!(self, Self::Migrated(_) | Self::HashedAs(_))
    }

    /// The account after the change; `None` when it stays as it is.
    ///
    /// # Errors
    ///
    /// Says why there is no such account.
    pub(crate) fn apply(&self, account: &Account) -> Result<Option<Account>, String> {
        let mut changed = account.clone();
        match self {
            Self::HashedAs(era) => {
                resize_state(&mut changed, era.app_state_len())?;
                return Ok(Some(changed));
            }
            Self::AppStateUnpadded => {
                if account.zkapp.is_none() {
                    return Ok(None);
                }
                resize_state(&mut changed, Era::Berkeley.app_state_len())?;
                return Ok(Some(changed));
            }
            Self::Migrated(rule) => {
                // A list of the target era without anything in the added elements may still be
                // meant as one of the source era.
                resize_state(&mut changed, rule.source().app_state_len())?;
                let (migrated, _) = rule.migrate(&changed).map_err(|error| error.to_string())?;
                return Ok(Some(migrated));
            }
            Self::VestingUpdate {
                slot,
                untimed_becomes_timed,
            } => match &account.timing {
                Timing::Timed(vesting) => {
                    let updated = slot_reduction_update(vesting, *slot)
                        .map_err(|_| format!("{} has vesting period 0", account.public_key))?;
                    changed.timing = Timing::Timed(updated);
                }
                Timing::Untimed if *untimed_becomes_timed => {
                    changed.timing = Timing::Timed(Vesting::UNTIMED);
                }
                Timing::Untimed => {}
            },
            Self::UntimedBecomesTimed => {
                if account.timing == Timing::Untimed {
                    changed.timing = Timing::Timed(Vesting::UNTIMED);
                }
            }
            Self::TimedBecomesUntimed => {
                if account.timing == Timing::Timed(Vesting::UNTIMED) {
                    changed.timing = Timing::Untimed;
                }
            }
            Self::DelegateItself => {
                if account.delegate.is_none() && account.token_id == TokenId::DEFAULT {
                    changed.delegate = Some(account.public_key);
                }
            }
            Self::DelegateNone => {
                if account.delegate == Some(account.public_key) {
                    changed.delegate = None;
                }
            }
            Self::TxnVersion { from, to } => {
                let version = &mut changed.permissions.set_verification_key_txn_version;
                if from.is_none_or(|from| from == *version) {
                    *version = *to;
                }
            }
            Self::PermissionsDefault { txn_version } => {
                changed.permissions = Permissions::user_default(*txn_version);
            }
            Self::Lost(member) => lose(&mut changed, *member),
        }
        Ok((changed != *account).then_some(changed))
    }

    /// The v1 account after the change; `None` when it stays as it is, or v1 knows no such change.
    pub(crate) fn apply_v1(&self, account: &V1Account) -> Option<V1Account> {
        let mut changed = account.clone();
        match self {
            Self::DelegateItself => {
                changed.delegate = changed.delegate.or(Some(account.public_key));
            }
            Self::DelegateNone => {
                changed.delegate = changed.delegate.filter(|key| *key != account.public_key);
            }
            Self::Lost(member) => match member {
                Member::Timing => changed.timing = Timing::Untimed,
                Member::Nonce => changed.nonce = 0,
                Member::ReceiptChainHash => changed.receipt_chain_hash = ReceiptChainHash::EMPTY,
                Member::VotingFor => changed.voting_for = StateHash::DUMMY,
                Member::Token => changed.token_id = 1,
                Member::TokenSymbol | Member::Zkapp | Member::VerificationKey => {}
            },
            Self::HashedAs(_)
            | Self::AppStateUnpadded
            | Self::Migrated(_)
            | Self::VestingUpdate { .. }
            | Self::UntimedBecomesTimed
            | Self::TimedBecomesUntimed
            | Self::TxnVersion { .. }
            | Self::PermissionsDefault { .. } => {}
        }
        (changed != *account).then_some(changed)
    }

    /// The stable name.
    pub(crate) fn id(&self) -> String {
        match self {
            Self::HashedAs(era) => format!("era-{era}"),
            Self::AppStateUnpadded => "app-state-unpadded".to_owned(),
            Self::Migrated(rule) => match rule.fork_slot() {
                Some(slot) => format!("migrated-{}-{slot}", variant(rule)),
                None => format!("migrated-{}", variant(rule)),
            },
            Self::VestingUpdate {
                slot,
                untimed_becomes_timed,
            } => format!("vesting-update-{}-{slot}", untimed(*untimed_becomes_timed)),
            Self::UntimedBecomesTimed => "untimed-becomes-timed".to_owned(),
            Self::TimedBecomesUntimed => "timed-becomes-untimed".to_owned(),
            Self::DelegateItself => "delegate-self".to_owned(),
            Self::DelegateNone => "delegate-none".to_owned(),
            Self::TxnVersion { from: None, to } => format!("txn-version-{to}"),
            Self::TxnVersion {
                from: Some(from),
                to,
            } => format!("txn-version-{from}-to-{to}"),
            Self::PermissionsDefault { txn_version } => {
                format!("permissions-default-{txn_version}")
            }
            Self::Lost(member) => {
                format!("lost-{}", member.name().replace(['_', '.'], "-"))
            }
        }
    }

    /// What the expected root would be the root of.
    pub(crate) fn summary(&self) -> String {
        match self {
            Self::HashedAs(era) => format!("these accounts by the rules of {era}"),
            Self::AppStateUnpadded => {
                "these accounts with zkApp states of 8 elements, not extended to 32".to_owned()
            }
            Self::Migrated(rule) => match rule.fork_slot() {
                Some(slot) => format!(
                    "these accounts migrated by {} with fork slot {slot}",
                    rule.name()
                ),
                None => format!("these accounts migrated by {}", rule.name()),
            },
            Self::VestingUpdate {
                slot,
                untimed_becomes_timed,
            } => format!(
                "these accounts after one vesting update more, with fork slot {slot} ({})",
                untimed(*untimed_becomes_timed)
            ),
            Self::UntimedBecomesTimed => {
                "these accounts with every untimed one timed {0, 0, 0, 1, 0}".to_owned()
            }
            Self::TimedBecomesUntimed => {
                "these accounts with every one timed {0, 0, 0, 1, 0} untimed".to_owned()
            }
            Self::DelegateItself => {
                "these accounts with those without a delegate delegating to themselves".to_owned()
            }
            Self::DelegateNone => {
                "these accounts with those delegating to themselves without a delegate".to_owned()
            }
            Self::TxnVersion { from: None, to } => {
                format!("these accounts with transaction version {to} everywhere")
            }
            Self::TxnVersion {
                from: Some(from),
                to,
            } => format!("these accounts with transaction version {to} instead of {from}"),
            Self::PermissionsDefault { txn_version } => format!(
                "these accounts with default permissions of transaction version {txn_version}"
            ),
            Self::Lost(member) => {
                format!("these accounts with `{}` absent everywhere", member.name())
            }
        }
    }

    /// What to do when it is so.
    pub(crate) fn advice(&self) -> String {
        match self {
            Self::HashedAs(era) => {
                format!("name the era {era}, or take the root of the ledger after migration")
            }
            Self::AppStateUnpadded => "the expected root was made without widening zkApp states; \
                 no daemon of mesa accepts it: make it again"
                .to_owned(),
            Self::Migrated(rule) => format!(
                "the list is not migrated yet: migrate it by {} before importing it, and check \
                 that this rule is the one that was decided on",
                rule.name()
            ),
            Self::VestingUpdate { .. } => "either the list still awaits the update, or the other \
                 side applied it to a list that had it already; mesa to mesa needs none"
                .to_owned(),
            Self::UntimedBecomesTimed | Self::TimedBecomesUntimed => {
                "the two sides migrated by different variants of berkeley to mesa: agree on one \
                 and migrate again"
                    .to_owned()
            }
            Self::DelegateItself | Self::DelegateNone => {
                "the two sides read a missing delegate differently: use the loader of the side \
                 whose root is right (--loader daemon fills it in, fork does not)"
                    .to_owned()
            }
            Self::TxnVersion { .. } => "compare `permissions.set_verification_key.txn_version` \
                 with another export; accounts migrated from v1 carry 2"
                .to_owned(),
            Self::PermissionsDefault { .. } => {
                "the other side dropped the permissions: its conversion must keep them".to_owned()
            }
            Self::Lost(member) => format!(
                "the other side lost `{}`: its conversion must keep it",
                member.name()
            ),
        }
    }
}

const fn untimed(becomes_timed: bool) -> &'static str {
    if becomes_timed {
        "untimed-becomes-timed"
    } else {
        "untimed-stays"
    }
}

/// The part of a rule's name that is not the pair.
fn variant(rule: &Rule) -> &'static str {
    rule.name()
        .split_once('/')
        .map_or(rule.name(), |(_, variant)| variant)
}

/// The migrations of Berkeley to Mesa for the given slots.
pub(crate) fn migrations(slots: &[SlotSinceGenesis]) -> Vec<Change> {
    let mut changes = Vec::new();
    for fork_slot in slots.iter().copied() {
        for timing in [
            MesaTiming::UntimedBecomesTimed { fork_slot },
            MesaTiming::UntimedStays { fork_slot },
        ] {
            changes.push(Change::Migrated(Rule::BerkeleyToMesa(timing)));
        }
    }
    changes
}

fn resize_state(account: &mut Account, width: usize) -> Result<(), String> {
    let key = account.public_key;
    let Some(zkapp) = account.zkapp.as_deref_mut() else {
        return Ok(());
    };
    if zkapp
        .app_state
        .iter()
        .skip(width)
        .any(|element| *element != fork_types::FieldBytes::ZERO)
    {
        return Err(format!(
            "the zkApp of {key} uses more than {width} elements"
        ));
    }
    zkapp.app_state.resize(width, fork_types::FieldBytes::ZERO);
    Ok(())
}

fn lose(account: &mut Account, member: Member) {
    match member {
        Member::Timing => account.timing = Timing::Untimed,
        Member::Nonce => account.nonce = 0,
        Member::ReceiptChainHash => account.receipt_chain_hash = ReceiptChainHash::EMPTY,
        Member::VotingFor => account.voting_for = StateHash::DUMMY,
        Member::TokenSymbol => account.token_symbol = TokenSymbol::default(),
        Member::Token => account.token_id = TokenId::DEFAULT,
        Member::Zkapp => account.zkapp = None,
        Member::VerificationKey => {
            if let Some(zkapp) = account.zkapp.as_deref_mut() {
                let Zkapp {
                    verification_key, ..
                } = zkapp;
                *verification_key = None;
            }
        }
    }
}

/// Whether `key` is the genesis winner's.
pub(crate) fn is_winner(key: &PublicKey) -> bool {
    key.to_string() == crate::json::ledger_object::GENESIS_WINNER_KEY
}
