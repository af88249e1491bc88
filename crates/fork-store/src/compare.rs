//! Comparing two stores entry by entry, and two accounts field by field.

use std::cmp::Ordering;
use std::fmt;

use fork_ledger::account::{Account, Permissions, Timing, TokenSymbol, Vesting, Zkapp};
use fork_ledger::binprot::decode_account;
use fork_types::{Era, LedgerHash};

use crate::entry::{Entry, describe_key, describe_value};
use crate::error::StoreError;
use crate::key::{ACCOUNT_TAG, KeyLayout};
use crate::reader::{Cursor, RawEntry, StoreReader};

/// How two stores differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Entries of the left store.
    pub left_entries: u64,
    /// Entries of the right store.
    pub right_entries: u64,
    /// Entries that only the left one has.
    pub only_left: u64,
    /// Entries that only the right one has.
    pub only_right: u64,
    /// Entries with the same key and another value.
    pub changed: u64,
    /// The first differences of each kind (hash nodes, accounts, texts). Of each kind, because one
    /// account changes up to 36 hash nodes. In key order, in which hash nodes come first, or in that
    /// of a log, in which accounts do.
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// Whether the stores hold the same.
    #[must_use]
    pub const fn is_equal(&self) -> bool {
        self.only_left + self.only_right + self.changed == 0
    }

    /// The difference that the others follow from, as far as one is kept: an account, otherwise a text
    /// record, otherwise a hash node.
    #[must_use]
    pub fn first(&self) -> Option<&Difference> {
        self.differences.iter().min_by_key(|one| one.kind)
    }
}

/// What a difference is about, what explains most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DifferenceKind {
    /// An account.
    Account,
    /// Where accounts are, and who owns tokens.
    Text,
    /// A hash node.
    Node,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What kind of entry it is.
    pub kind: DifferenceKind,
    /// What the entry is about.
    pub entry: String,
    /// Public key of the account, of either side, when it is one that decodes.
    pub owner: Option<String>,
    /// What the left store holds, `None` when it has no such entry.
    pub left: Option<String>,
    /// What the right store holds.
    pub right: Option<String>,
    /// Fields that differ, when both hold accounts that decode.
    pub fields: Vec<FieldDifference>,
}

impl fmt::Display for Difference {
    /// In one line: what it is about, and the first value that differs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.entry)?;
        if let Some(owner) = &self.owner {
            write!(f, " ({owner})")?;
        }
        match (self.fields.split_first(), &self.left, &self.right) {
            (Some((first, [])), _, _) => write!(f, ": {first}"),
            (Some((first, rest)), _, _) => {
                write!(f, ": {first}, and {} more members", rest.len())
            }
            (None, Some(_), None) => f.write_str(": only in the first"),
            (None, None, _) => f.write_str(": only in the second"),
            (None, Some(left), Some(right)) if left != right => write!(f, ": {left} -> {right}"),
            (None, Some(_), Some(_)) => f.write_str(": other bytes"),
        }
    }
}

/// One field of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldDifference {
    /// Name of the field, as in account JSON.
    pub field: String,
    /// The left value.
    pub left: String,
    /// The right value.
    pub right: String,
}

impl fmt::Display for FieldDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} -> {}", self.field, self.left, self.right)
    }
}

/// Compares two stores of trees of `depth`, keeping the first `kept_max` differences of each kind.
///
/// The eras may differ, for a look at what a migration did; entries are compared by their bytes all
/// the same.
///
/// # Errors
///
/// Fails on a depth that is not supported, or when RocksDB cannot read.
pub fn compare_stores(
    left: (&StoreReader, Era),
    right: (&StoreReader, Era),
    depth: u8,
    kept_max: usize,
) -> Result<Comparison, StoreError> {
    let mut first = left.0.entries();
    let mut second = right.0.entries();
    compare_entries(
        (&mut first, left.1),
        (&mut second, right.1),
        <[u8]>::cmp,
        depth,
        kept_max,
    )
}

/// Entries in some order, one at a time.
pub(crate) trait Entries {
    /// Goes to the next entry, at first to the first one.
    fn advance(&mut self) -> Result<(), StoreError>;

    /// The entry; `None` behind the last one.
    fn current(&self) -> Result<Option<RawEntry<'_>>, StoreError>;
}

impl Entries for Cursor<'_> {
    fn advance(&mut self) -> Result<(), StoreError> {
        Cursor::advance(self).map(|_| ())
    }

    fn current(&self) -> Result<Option<RawEntry<'_>>, StoreError> {
        Cursor::current(self)
    }
}

/// Compares entries that both come in `order`.
pub(crate) fn compare_entries(
    left: (&mut impl Entries, Era),
    right: (&mut impl Entries, Era),
    order: fn(&[u8], &[u8]) -> Ordering,
    depth: u8,
    kept_max: usize,
) -> Result<Comparison, StoreError> {
    let mut collector = Collector {
        layout: KeyLayout::new(depth)?,
        left_era: left.1,
        right_era: right.1,
        kept_max,
        kept: [0; 3],
        comparison: Comparison::default(),
    };
    let (left, right) = (left.0, right.0);
    left.advance()?;
    right.advance()?;
    loop {
        let (left_entry, right_entry) = (left.current()?, right.current()?);
        let order = match (left_entry, right_entry) {
            (None, None) => return Ok(collector.comparison),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((left, _)), Some((right, _))) => order(left, right),
        };
        let left_entry = left_entry.filter(|_| order != Ordering::Greater);
        let right_entry = right_entry.filter(|_| order != Ordering::Less);
        collector.pair(left_entry, right_entry);
        if order != Ordering::Greater {
            left.advance()?;
        }
        if order != Ordering::Less {
            right.advance()?;
        }
    }
}

struct Collector {
    layout: KeyLayout,
    left_era: Era,
    right_era: Era,
    kept_max: usize,
    /// Differences kept per kind: hash nodes, accounts, texts.
    kept: [usize; 3],
    comparison: Comparison,
}

impl Collector {
    /// Counts the entry of one key in one store or in both.
    fn pair(&mut self, left: Option<RawEntry<'_>>, right: Option<RawEntry<'_>>) {
        self.comparison.left_entries += u64::from(left.is_some());
        self.comparison.right_entries += u64::from(right.is_some());
        match (left, right) {
            (Some((_, left)), Some((_, right))) if left == right => return,
            (Some(_), Some(_)) => self.comparison.changed += 1,
            (Some(_), None) => self.comparison.only_left += 1,
            (None, _) => self.comparison.only_right += 1,
        }
        let Some((key, _)) = left.or(right) else {
            return;
        };
        let kind = match key.first().map(|tag| tag.cmp(&ACCOUNT_TAG)) {
            Some(Ordering::Less) | None => DifferenceKind::Node,
            Some(Ordering::Equal) => DifferenceKind::Account,
            Some(Ordering::Greater) => DifferenceKind::Text,
        };
        if self.kept[kind as usize] == self.kept_max {
            return;
        }
        self.kept[kind as usize] += 1;
        let layout = self.layout;
        let describe = |entry: Option<RawEntry<'_>>| {
            entry.map(|(key, value)| describe_value(layout, key, value))
        };
        let accounts = (
            self.account(left, self.left_era),
            self.account(right, self.right_era),
        );
        let difference = Difference {
            kind,
            entry: describe_key(layout, key),
            owner: match &accounts {
                (Some(account), _) | (None, Some(account)) => Some(account.public_key.to_string()),
                (None, None) => None,
            },
            left: describe(left),
            right: describe(right),
            fields: match &accounts {
                (Some(left), Some(right)) => account_differences(left, right),
                _ => Vec::new(),
            },
        };
        self.comparison.differences.push(difference);
    }

    fn account(&self, entry: Option<RawEntry<'_>>, era: Era) -> Option<Account> {
        let (key, value) = entry?;
        match Entry::decode(self.layout, key, value) {
            Ok(Entry::Account { bytes, .. }) => decode_account(era, bytes).ok(),
            _ => None,
        }
    }
}

/// The fields in which two accounts differ, in the order they are stored in.
#[must_use]
pub fn account_differences(left: &Account, right: &Account) -> Vec<FieldDifference> {
    let (left, right) = (account_fields(left), account_fields(right));
    let value = |fields: &[(String, String)], name: &str| {
        fields
            .iter()
            .find(|(field, _)| field == name)
            .map_or_else(|| "absent".to_owned(), |(_, value)| value.clone())
    };
    let only_right = right
        .iter()
        .filter(|(name, _)| left.iter().all(|(field, _)| field != name));
    left.iter()
        .chain(only_right)
        .map(|(name, _)| FieldDifference {
            field: name.clone(),
            left: value(&left, name),
            right: value(&right, name),
        })
        .filter(|difference| difference.left != difference.right)
        .collect()
}

/// All fields with their values as text. Destructured completely, so that a new field cannot be
/// forgotten.
fn account_fields(account: &Account) -> Vec<(String, String)> {
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
    let mut fields = Fields(Vec::new());
    fields.add("pk", public_key);
    fields.add("token", token_id);
    fields.add("token_symbol", symbol_text(token_symbol));
    fields.add("balance", balance);
    fields.add("nonce", nonce);
    fields.add("receipt_chain_hash", receipt_chain_hash);
    match delegate {
        Some(delegate) => fields.add("delegate", delegate),
        None => fields.add("delegate", "none"),
    }
    fields.add("voting_for", voting_for);
    fields.timing(timing);
    fields.permissions(permissions);
    match zkapp {
        Some(zkapp) => fields.zkapp(zkapp),
        None => fields.add("zkapp", "none"),
    }
    fields.0
}

fn symbol_text(symbol: &TokenSymbol) -> String {
    format!("\"{}\"", symbol.as_bytes().escape_ascii())
}

struct Fields(Vec<(String, String)>);

impl Fields {
    fn add(&mut self, name: impl Into<String>, value: impl fmt::Display) {
        self.0.push((name.into(), value.to_string()));
    }

    fn timing(&mut self, timing: &Timing) {
        let Timing::Timed(vesting) = timing else {
            self.add("timing", "untimed");
            return;
        };
        let Vesting {
            initial_minimum_balance,
            cliff_time,
            cliff_amount,
            vesting_period,
            vesting_increment,
        } = vesting;
        self.add("timing", "timed");
        self.add("timing.initial_minimum_balance", initial_minimum_balance);
        self.add("timing.cliff_time", cliff_time);
        self.add("timing.cliff_amount", cliff_amount);
        self.add("timing.vesting_period", vesting_period);
        self.add("timing.vesting_increment", vesting_increment);
    }

    fn permissions(&mut self, permissions: &Permissions) {
        let Permissions {
            edit_state,
            access,
            send,
            receive,
            set_delegate,
            set_permissions,
            set_verification_key,
            set_verification_key_txn_version,
            set_zkapp_uri,
            edit_action_state,
            set_token_symbol,
            increment_nonce,
            set_voting_for,
            set_timing,
        } = permissions;
        for (name, auth) in [
            ("edit_state", edit_state),
            ("access", access),
            ("send", send),
            ("receive", receive),
            ("set_delegate", set_delegate),
            ("set_permissions", set_permissions),
            ("set_verification_key.auth", set_verification_key),
            ("set_zkapp_uri", set_zkapp_uri),
            ("edit_action_state", edit_action_state),
            ("set_token_symbol", set_token_symbol),
            ("increment_nonce", increment_nonce),
            ("set_voting_for", set_voting_for),
            ("set_timing", set_timing),
        ] {
            let auth = format!("{auth:?}").to_ascii_lowercase();
            self.add(format!("permissions.{name}"), auth);
        }
        self.add(
            "permissions.set_verification_key.txn_version",
            set_verification_key_txn_version,
        );
    }

    fn zkapp(&mut self, zkapp: &Zkapp) {
        let Zkapp {
            app_state,
            verification_key,
            zkapp_version,
            action_state,
            last_action_slot,
            proved_state,
            zkapp_uri,
        } = zkapp;
        self.add("zkapp", "present");
        for (index, element) in app_state.iter().enumerate() {
            self.add(format!("zkapp.app_state[{index}]"), format!("{element:?}"));
        }
        match verification_key {
            // The key itself is 1796 bytes; its hash tells keys apart just as well.
            Some(key) => self.add(
                "zkapp.verification_key",
                format!("hash {:?}", fork_ledger::packing::field_bytes(key.hash())),
            ),
            None => self.add("zkapp.verification_key", "none"),
        }
        self.add("zkapp.zkapp_version", zkapp_version);
        for (index, element) in action_state.iter().enumerate() {
            self.add(
                format!("zkapp.action_state[{index}]"),
                format!("{element:?}"),
            );
        }
        self.add("zkapp.last_action_slot", last_action_slot);
        self.add("zkapp.proved_state", proved_state);
        self.add(
            "zkapp.zkapp_uri",
            format!("\"{}\"", zkapp_uri.escape_ascii()),
        );
    }
}

/// The stored root of a store of a tree of `depth`: what the daemon compares with its config, and
/// all that it compares. Not a proof; see [`prove_store`](crate::prove_store).
///
/// # Errors
///
/// Fails on a depth that is not supported, or when RocksDB cannot read. A root that is missing or
/// malformed gives `None`.
pub fn stored_root(store: &StoreReader, depth: u8) -> Result<Option<LedgerHash>, StoreError> {
    let layout = KeyLayout::new(depth)?;
    let key = layout.bytes(&crate::key::Key::Hash {
        height: depth,
        index: 0,
    });
    let Some(value) = store.get(&key)? else {
        return Ok(None);
    };
    Ok(match Entry::decode(layout, &key, &value) {
        Ok(Entry::Hash { hash, .. }) => Some(LedgerHash::new(hash)),
        _ => None,
    })
}
