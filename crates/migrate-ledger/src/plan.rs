//! Which leaves a shard works on.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// Most shards of a run.
pub const SHARDS_MAX: u32 = 1000;

/// Subtrees that a shard has at least where there are enough accounts: shards differ by one subtree,
/// so the largest does at most a thirty-second part more than the average one.
const SUBTREES_PER_SHARD: u64 = 32;

/// A shard among others, written `2/4`; the first is number 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardNumber {
    number: u32,
    of: u32,
}

/// Why there is no such shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardNumberError {
    /// Not two numbers.
    #[error("not a shard such as 2/4")]
    Form,
    /// None or too many shards.
    #[error("{found} shards, expected 1 to {SHARDS_MAX}")]
    Of {
        /// Number of shards.
        found: u32,
    },
    /// No such number among them.
    #[error("there is no shard {number} of {of}, they are numbered from 1")]
    Number {
        /// Number of the shard.
        number: u32,
        /// Number of shards.
        of: u32,
    },
}

impl ShardNumber {
    /// The shard `number`, from 1, of `of`.
    ///
    /// # Errors
    ///
    /// Fails on 0, on a number above `of`, and above [`SHARDS_MAX`].
    pub const fn new(number: u32, of: u32) -> Result<Self, ShardNumberError> {
        if of == 0 || of > SHARDS_MAX {
            return Err(ShardNumberError::Of { found: of });
        }
        if number == 0 || number > of {
            return Err(ShardNumberError::Number { number, of });
        }
        Ok(Self { number, of })
    }

    /// Its number, from 1.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.number
    }

    /// The number of shards.
    #[must_use]
    pub const fn of(self) -> u32 {
        self.of
    }
}

impl FromStr for ShardNumber {
    type Err = ShardNumberError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, of) = text.split_once('/').ok_or(ShardNumberError::Form)?;
        let parse = |digits: &str| digits.parse().map_err(|_| ShardNumberError::Form);
        Self::new(parse(number)?, parse(of)?)
    }
}

impl fmt::Display for ShardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// How ledgers are cut into shards: at multiples of a power of two, so that every shard consists of
/// whole subtrees.
///
/// All ledgers of a run are cut at the same leaves, so that what they share stays together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    accounts: u32,
    of: u32,
    height: u8,
}

impl Plan {
    /// The plan for ledgers of which the largest has `accounts`.
    pub(crate) fn new(accounts: u32, of: u32) -> Self {
        let subtrees = SUBTREES_PER_SHARD * u64::from(of.max(1));
        let leaves = u64::from(accounts) / subtrees;
        Self {
            accounts,
            of,
            // At most 26: there are fewer than 2^32 accounts.
            height: leaves.checked_ilog2().unwrap_or(0) as u8,
        }
    }

    /// Height of the subtrees.
    pub(crate) const fn height(self) -> u8 {
        self.height
    }

    /// The leaves of a shard; none where there are fewer subtrees than shards.
    pub(crate) fn leaves(self, shard: ShardNumber) -> Range<u32> {
        let subtrees = u64::from(self.accounts).div_ceil(1 << self.height);
        let border = |shards: u32| {
            let subtree = subtrees * u64::from(shards) / u64::from(self.of.max(1));
            let leaf = (subtree << self.height).min(u64::from(self.accounts));
            // Not above the number of accounts.
            u32::try_from(leaf).unwrap_or(self.accounts)
        };
        border(shard.number - 1)..border(shard.number)
    }
}

/// The part of `leaves` that a ledger of `accounts` has. Where it has none, it is the empty one behind
/// its last account.
pub(crate) fn part(leaves: &Range<u32>, accounts: u32) -> Range<u32> {
    leaves.start.min(accounts)..leaves.end.min(accounts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_written_as_two_numbers() {
        assert_eq!("2/4".parse(), ShardNumber::new(2, 4));
        assert_eq!(ShardNumber::new(2, 4).unwrap().to_string(), "2/4");
        for (text, message) in [
            ("2", "not a shard such as 2/4"),
            ("a/4", "not a shard such as 2/4"),
            ("-1/4", "not a shard such as 2/4"),
            ("0/4", "there is no shard 0 of 4"),
            ("5/4", "there is no shard 5 of 4"),
            ("1/0", "0 shards, expected 1 to 1000"),
            ("1/1001", "1001 shards, expected 1 to 1000"),
        ] {
            let error = text.parse::<ShardNumber>().unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn shards_cover_every_leaf_once_and_are_nearly_equal() {
        for accounts in [1, 2, 31, 1000, 277_307, 1_000_000, u32::MAX] {
            for of in [1, 2, 3, 7, 8, 64, SHARDS_MAX] {
                let plan = Plan::new(accounts, of);
                let unit = 1_u64 << plan.height();
                let mut end = 0;
                let mut largest = 0;
                for number in 1..=of {
                    let leaves = plan.leaves(ShardNumber::new(number, of).unwrap());
                    assert_eq!(leaves.start, end);
                    assert!(
                        u64::from(leaves.start).is_multiple_of(unit) || leaves.start == accounts
                    );
                    end = leaves.end;
                    largest = largest.max(leaves.len() as u64);
                }
                assert_eq!(end, accounts);
                let average = u64::from(accounts).div_ceil(u64::from(of));
                assert!(
                    largest <= average + average / SUBTREES_PER_SHARD + 1,
                    "{accounts} in {of}: {largest}"
                );
            }
        }
    }

    #[test]
    fn a_smaller_ledger_has_its_part_or_none() {
        assert_eq!(part(&(4..8), 10), 4..8);
        assert_eq!(part(&(4..8), 6), 4..6);
        assert_eq!(part(&(4..8), 4), 4..4);
        assert_eq!(part(&(4..8), 2), 2..2);
    }
}
