//! Accounts as the ledger holds them.
//!
//! [`Account`] is the record of Berkeley and Mesa: the same eleven fields in the same order; only
//! the width of a zkApp's state differs (8 and 32), so the era is named where it matters (hashing,
//! encoding) and checked there. [`V1Account`] is the record of the original mainnet.
//!
//! Source: MinaProtocol/mina `src/lib/mina_base/account.ml`, `permissions.ml`, `zkapp_account.ml`.

use std::sync::Arc;

use fork_types::{
    Amount, Era, FieldBytes, PublicKey, ReceiptChainHash, SlotSinceGenesis, SlotSpan, StateHash,
    TokenId,
};

use crate::verification_key::VerificationKey;

/// Most bytes of a token symbol.
pub const TOKEN_SYMBOL_BYTES_MAX: usize = 6;

/// Most bytes of a zkApp URI.
pub const ZKAPP_URI_BYTES_MAX: usize = 255;

/// Field elements of a zkApp's action state.
pub const ACTION_STATE_LEN: usize = 5;

/// An account of Berkeley or Mesa.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Owner.
    pub public_key: PublicKey,
    /// Token the balance is in.
    pub token_id: TokenId,
    /// Symbol of the token this account owns; bytes, because upstream allows any.
    pub token_symbol: TokenSymbol,
    /// Balance in nanomina.
    pub balance: Amount,
    /// Number of the next command.
    pub nonce: u32,
    /// Hash over the commands sent.
    pub receipt_chain_hash: ReceiptChainHash,
    /// Key the stake is delegated to. None means none, never self.
    pub delegate: Option<PublicKey>,
    /// State hash voted for.
    pub voting_for: StateHash,
    /// Vesting schedule.
    pub timing: Timing,
    /// Who may do what.
    pub permissions: Permissions,
    /// The zkApp part, boxed because few accounts have one.
    pub zkapp: Option<Box<Zkapp>>,
}

impl Account {
    /// The empty account of `era`, whose hash fills the unused leaves. Not an account anybody has.
    #[must_use]
    pub fn empty(era: Era) -> Self {
        Self {
            public_key: PublicKey::EMPTY,
            token_id: TokenId::DEFAULT,
            token_symbol: TokenSymbol::default(),
            balance: Amount::ZERO,
            nonce: 0,
            receipt_chain_hash: ReceiptChainHash::EMPTY,
            delegate: None,
            voting_for: StateHash::DUMMY,
            timing: Timing::Untimed,
            permissions: Permissions::user_default(era.txn_version()),
            zkapp: None,
        }
    }
}

/// At most six bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TokenSymbol {
    bytes: [u8; TOKEN_SYMBOL_BYTES_MAX],
    len: u8,
}

impl TokenSymbol {
    /// Takes at most six bytes; `None` when there are more.
    #[must_use]
    pub fn new(text: &[u8]) -> Option<Self> {
        let len = u8::try_from(text.len()).ok()?;
        let mut bytes = [0; TOKEN_SYMBOL_BYTES_MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { bytes, len })
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// A vesting schedule.
///
/// `Timed` with the numbers 0, 0, 0, 1, 0 is not the same as `Untimed`: the two hash differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timing {
    /// All of the balance is free.
    Untimed,
    /// Part of the balance is locked.
    Timed(Vesting),
}

/// The five numbers of a vesting schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vesting {
    /// Balance that must stay before the cliff, in nanomina.
    pub initial_minimum_balance: Amount,
    /// Slot of the first release.
    pub cliff_time: SlotSinceGenesis,
    /// Released at the cliff, in nanomina.
    pub cliff_amount: Amount,
    /// Slots between later releases.
    pub vesting_period: SlotSpan,
    /// Released every period after the cliff, in nanomina.
    pub vesting_increment: Amount,
}

impl Vesting {
    /// Balance in nanomina that must stay at `slot` since genesis. From the slot on at which it is 0,
    /// the next transaction that looks at the schedule removes it.
    ///
    /// Source: MinaProtocol/mina `src/lib/mina_base/account.ml` (`min_balance_at_slot`).
    #[must_use]
    pub fn minimum_balance_at(&self, slot: SlotSinceGenesis) -> u64 {
        let initial = self.initial_minimum_balance.nanomina();
        let Some(since_cliff) = slot.get().checked_sub(self.cliff_time.get()) else {
            return initial;
        };
        let after_cliff = initial.saturating_sub(self.cliff_amount.nanomina());
        // A period of 0, which no transaction can set, releases everything at once.
        let Some(periods) = since_cliff.checked_div(self.vesting_period.get()) else {
            return 0;
        };
        let released = u64::from(periods).saturating_mul(self.vesting_increment.nanomina());
        after_cliff.saturating_sub(released)
    }

    /// The numbers an untimed account is hashed with (its flag is off).
    pub const UNTIMED: Self = Self {
        initial_minimum_balance: Amount::ZERO,
        cliff_time: SlotSinceGenesis::new(0),
        cliff_amount: Amount::ZERO,
        vesting_period: SlotSpan::new(1),
        vesting_increment: Amount::ZERO,
    };
}

/// What authorizes a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Auth {
    /// Nothing is needed.
    None,
    /// A proof or a signature.
    Either,
    /// A proof.
    Proof,
    /// A signature.
    Signature,
    /// Nobody can.
    Impossible,
}

impl Auth {
    /// All values, in the order of their bin_prot codes 0 to 4.
    pub const ALL: [Self; 5] = [
        Self::None,
        Self::Either,
        Self::Proof,
        Self::Signature,
        Self::Impossible,
    ];
}

/// The thirteen permissions, in hashing and bin_prot order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Permissions {
    /// Change the zkApp state.
    pub edit_state: Auth,
    /// Be touched at all.
    pub access: Auth,
    /// Send.
    pub send: Auth,
    /// Receive.
    pub receive: Auth,
    /// Change the delegate.
    pub set_delegate: Auth,
    /// Change the permissions.
    pub set_permissions: Auth,
    /// Change the verification key.
    pub set_verification_key: Auth,
    /// Transaction version under which `set_verification_key` was set. Hashed exactly as given:
    /// accounts migrated from v1 carry 2.
    pub set_verification_key_txn_version: u32,
    /// Change the zkApp URI.
    pub set_zkapp_uri: Auth,
    /// Change the action state.
    pub edit_action_state: Auth,
    /// Change the token symbol.
    pub set_token_symbol: Auth,
    /// Increment the nonce.
    pub increment_nonce: Auth,
    /// Change the vote.
    pub set_voting_for: Auth,
    /// Change the timing.
    pub set_timing: Auth,
}

impl Permissions {
    /// What an account has when nobody set anything.
    #[must_use]
    pub const fn user_default(txn_version: u32) -> Self {
        Self {
            edit_state: Auth::Signature,
            access: Auth::None,
            send: Auth::Signature,
            receive: Auth::None,
            set_delegate: Auth::Signature,
            set_permissions: Auth::Signature,
            set_verification_key: Auth::Signature,
            set_verification_key_txn_version: txn_version,
            set_zkapp_uri: Auth::Signature,
            edit_action_state: Auth::Signature,
            set_token_symbol: Auth::Signature,
            increment_nonce: Auth::Signature,
            set_voting_for: Auth::Signature,
            set_timing: Auth::Signature,
        }
    }
}

/// The zkApp part of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zkapp {
    /// On-chain state: 8 elements in Berkeley, 32 in Mesa.
    pub app_state: Vec<FieldBytes>,
    /// Verification key, shared because thousands of accounts have the same one.
    pub verification_key: Option<Arc<VerificationKey>>,
    /// Version of the zkApp.
    pub zkapp_version: u32,
    /// Last action states.
    pub action_state: [FieldBytes; ACTION_STATE_LEN],
    /// Slot of the last action.
    pub last_action_slot: SlotSinceGenesis,
    /// Whether the whole state was set by proofs.
    pub proved_state: bool,
    /// URI, at most 255 bytes; bytes, because upstream allows any.
    pub zkapp_uri: Vec<u8>,
}

/// An account of the original mainnet. No v1 ledger at hand has a snapp, an owned token or a
/// disabled account, so the codec refuses them rather than guess.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct V1Account {
    /// Owner.
    pub public_key: PublicKey,
    /// Token number; 1 is the chain's own currency.
    pub token_id: u64,
    /// Balance in nanomina.
    pub balance: Amount,
    /// Number of the next command.
    pub nonce: u32,
    /// Hash over the commands sent.
    pub receipt_chain_hash: ReceiptChainHash,
    /// Key the stake is delegated to.
    pub delegate: Option<PublicKey>,
    /// State hash voted for.
    pub voting_for: StateHash,
    /// Vesting schedule.
    pub timing: Timing,
    /// Who may do what.
    pub permissions: V1Permissions,
}

impl V1Account {
    /// The empty account, whose hash fills the unused leaves.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            public_key: PublicKey::EMPTY,
            token_id: 1,
            balance: Amount::ZERO,
            nonce: 0,
            receipt_chain_hash: ReceiptChainHash::EMPTY,
            delegate: None,
            voting_for: StateHash::DUMMY,
            timing: Timing::Untimed,
            permissions: V1Permissions::DEFAULT,
        }
    }
}

/// The v1 permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct V1Permissions {
    /// Take part in staking.
    pub stake: bool,
    /// Change the snapp state.
    pub edit_state: V1Auth,
    /// Send.
    pub send: V1Auth,
    /// Receive.
    pub receive: V1Auth,
    /// Change the delegate.
    pub set_delegate: V1Auth,
    /// Change the permissions.
    pub set_permissions: V1Auth,
    /// Change the verification key.
    pub set_verification_key: V1Auth,
}

impl V1Permissions {
    /// What an account has when nobody set anything.
    pub const DEFAULT: Self = Self {
        stake: true,
        edit_state: V1Auth::Auth(Auth::Signature),
        send: V1Auth::Auth(Auth::Signature),
        receive: V1Auth::Auth(Auth::None),
        set_delegate: V1Auth::Auth(Auth::Signature),
        set_permissions: V1Auth::Auth(Auth::Signature),
        set_verification_key: V1Auth::Auth(Auth::Signature),
    };
}

/// A v1 authorization: one of today's, or `both`, which exists only there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum V1Auth {
    /// One of today's five.
    Auth(Auth),
    /// A proof and a signature.
    Both,
}
