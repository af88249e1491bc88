//! Accounts straight from their text, for the spelling that exporters write.
//!
//! What takes the time in reading a ledger is that millions of accounts all look the same: plain
//! strings, no escapes, the same permissions. A [`FastParser`] takes those in one pass without an
//! [`AccountJson`] in between, in 0.5 us where the general way takes 2.6, and leaves
//! everything it does not know for certain to that way, so it refuses nothing and has no errors.

use std::str::FromStr;

use fork_types::{Amount, PublicKey, ReceiptChainHash, StateHash, TokenId};

use super::convert::{ForkRules, default_permissions, from_fork_config};
use super::error::AccountError;
use super::key_cache::VerificationKeyCache;
use super::parts::{DEFAULT_TOKEN_TEXT, DUMMY_VOTE_TEXT, EMPTY_RECEIPT_TEXT};
use super::wire::AccountJson;
use crate::account::{Account, Permissions, Timing, TokenSymbol, Zkapp};

mod cursor;
mod members;
mod normal;

pub(crate) use normal::is_normal;

use cursor::{Cursor, Once};

/// Characters of a public key.
const KEY_BYTES: usize = 55;

/// Parses accounts by the fork tool's rules; keeps what the next account most likely repeats.
///
/// One per thread, or per few hundred accounts.
#[derive(Debug)]
pub struct FastParser<'k> {
    rules: ForkRules,
    keys: &'k VerificationKeyCache,
    /// `None` for an era without such accounts, which therefore are never fast.
    defaults: Option<Permissions>,
    permissions: Remembered,
    /// The account between brackets, for the general way.
    list: Vec<u8>,
}

/// The last permissions objects, as text and as value. Comparing 380 bytes costs a twentieth of
/// parsing them.
#[derive(Debug, Default)]
struct Remembered {
    known: Vec<(Box<[u8]>, Permissions)>,
    /// Which one is forgotten next.
    oldest: usize,
}

/// Permissions objects remembered. Nearly all accounts of a ledger have one of two: those from
/// before a fork, which carry an old transaction version, and those from after it.
const REMEMBERED_MAX: usize = 4;

impl<'k> FastParser<'k> {
    /// A parser by `rules`; equal verification keys share one copy through `keys`.
    #[must_use]
    pub fn new(rules: ForkRules, keys: &'k VerificationKeyCache) -> Self {
        Self {
            rules,
            keys,
            defaults: default_permissions(rules.era).ok(),
            permissions: Remembered::default(),
            list: Vec::new(),
        }
    }

    /// Reads the text of one account, by [`from_fork_config`] when it is not of the usual kind;
    /// `None` when that fails as well, or when the text is not exactly one account.
    pub fn account(&mut self, text: &[u8]) -> Option<Account> {
        if let Some(account) = self.fast(text) {
            return Some(account);
        }
        let (rules, keys) = (self.rules, self.keys);
        general(text, &mut self.list, |json| {
            from_fork_config(json, &rules, keys)
        })
    }

    /// The account, when its text leaves no doubt.
    pub(crate) fn fast(&mut self, text: &[u8]) -> Option<Account> {
        let defaults = self.defaults?;
        let mut cursor = Cursor::new(text);
        let mut found = Found::default();
        cursor.object(|name, cursor| match name {
            b"pk" => found.pk.set(cursor.parsed(KEY_BYTES, parse)?),
            b"balance" => found.balance.set(parse(cursor.string()?)?),
            b"delegate" => {
                // Nearly all accounts delegate to themselves, and nearly all texts have `pk` first.
                let value = match found.pk.seen() {
                    _ if cursor.null() => None,
                    Some((text, key)) if cursor.skip_string(text) => Some(*key),
                    _ => Some(cursor.parsed(KEY_BYTES, parse)?.1),
                };
                found.delegate.set(value)
            }
            b"timing" => found.timing.set(members::timing(cursor)?),
            b"token" => {
                let is_default = cursor.null() || cursor.skip_string(DEFAULT_TOKEN_TEXT.as_bytes());
                found.token.set(match is_default {
                    true => TokenId::DEFAULT,
                    false => members::token(cursor.string()?)?,
                })
            }
            b"nonce" => found.nonce.set(members::number(cursor.string()?)?),
            b"receipt_chain_hash" => {
                let value = if cursor.null() {
                    None
                } else if cursor.skip_string(EMPTY_RECEIPT_TEXT.as_bytes()) {
                    Some(ReceiptChainHash::EMPTY)
                } else {
                    Some(cursor.parsed(EMPTY_RECEIPT_TEXT.len(), parse)?.1)
                };
                found.receipt_chain_hash.set(value)
            }
            b"voting_for" => {
                let value = if cursor.null() {
                    None
                } else if cursor.skip_string(DUMMY_VOTE_TEXT.as_bytes()) {
                    Some(StateHash::DUMMY)
                } else {
                    Some(cursor.parsed(DUMMY_VOTE_TEXT.len(), parse)?.1)
                };
                found.voting_for.set(value)
            }
            b"permissions" => {
                let value = match cursor.null() {
                    true => None,
                    false => Some(self.permissions.parse(cursor, &defaults)?),
                };
                found.permissions.set(value)
            }
            b"token_symbol" => found.token_symbol.set(match cursor.null() {
                true => TokenSymbol::default(),
                false => TokenSymbol::new(cursor.string()?)?,
            }),
            b"zkapp" => {
                let value = match cursor.null() {
                    true => None,
                    false => Some(members::zkapp(cursor, &self.rules, self.keys)?),
                };
                found.zkapp.set(value)
            }
            _ => None,
        })?;
        cursor.end()?;
        found.account(&self.rules, &defaults)
    }
}

impl Remembered {
    fn parse(&mut self, cursor: &mut Cursor<'_>, defaults: &Permissions) -> Option<Permissions> {
        if let Some((_, value)) = self.known.iter().find(|(text, _)| cursor.skip(text)) {
            return Some(*value);
        }
        let before = *cursor;
        let value = members::permissions(cursor, defaults)?;
        let known = (cursor.since(&before).into(), value);
        if self.known.len() < REMEMBERED_MAX {
            self.known.push(known);
        } else {
            self.known[self.oldest] = known;
            self.oldest = (self.oldest + 1) % REMEMBERED_MAX;
        }
        Some(value)
    }
}

/// The members of an account as found.
#[derive(Default)]
struct Found<'a> {
    /// With its text.
    pk: Once<(&'a [u8], PublicKey)>,
    balance: Once<Amount>,
    delegate: Once<Option<PublicKey>>,
    timing: Once<Timing>,
    token: Once<TokenId>,
    nonce: Once<u32>,
    receipt_chain_hash: Once<Option<ReceiptChainHash>>,
    voting_for: Once<Option<StateHash>>,
    permissions: Once<Option<Permissions>>,
    token_symbol: Once<TokenSymbol>,
    zkapp: Once<Option<Zkapp>>,
}

impl Found<'_> {
    fn account(self, rules: &ForkRules, defaults: &Permissions) -> Option<Account> {
        let Self {
            pk,
            balance,
            delegate,
            timing,
            token,
            nonce,
            receipt_chain_hash,
            voting_for,
            permissions,
            token_symbol,
            zkapp,
        } = self;
        let (_, public_key) = pk.get()?;
        Some(Account {
            public_key,
            token_id: token.get().unwrap_or(TokenId::DEFAULT),
            token_symbol: token_symbol.get().unwrap_or_default(),
            balance: balance.get()?,
            nonce: nonce.get().unwrap_or(0),
            receipt_chain_hash: filled(rules, receipt_chain_hash, ReceiptChainHash::EMPTY)?,
            delegate: delegate.get().flatten(),
            voting_for: filled(rules, voting_for, StateHash::DUMMY)?,
            timing: timing.get().unwrap_or(Timing::Untimed),
            permissions: filled(rules, permissions, *defaults)?,
            zkapp: zkapp.get().flatten().map(Box::new),
        })
    }
}

/// What the rules give for a member that may be missing.
fn filled<T>(rules: &ForkRules, found: Once<Option<T>>, default: T) -> Option<T> {
    let found = found.get().flatten();
    found.or_else(|| rules.ignore_missing.then_some(default))
}

fn parse<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Reads the text of one account the general way; `list` is a buffer to use.
///
/// The account is put into a list first, because that is where it stands in the document: inside
/// of a list it may be nested one level less deep.
pub(crate) fn general<T>(
    text: &[u8],
    list: &mut Vec<u8>,
    convert: impl FnOnce(&AccountJson<'_>) -> Result<T, AccountError>,
) -> Option<T> {
    list.clear();
    list.push(b'[');
    list.extend_from_slice(text);
    list.push(b']');
    let [json]: [AccountJson<'_>; 1] = serde_json::from_slice(list).ok()?;
    convert(&json).ok()
}

#[cfg(test)]
mod tests;
