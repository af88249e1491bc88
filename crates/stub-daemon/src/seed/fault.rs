//! How a seed node goes wrong.

use std::str::FromStr;

use fork_types::Role;

/// One way in which a seed node goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeedFault {
    /// The account at a leaf is shown and exported with one nanomina more.
    Balance(u64),
    /// The lowest sibling of the account at a leaf is another.
    Path(u64),
    /// The account at a leaf is not found.
    Absent(u64),
    /// The genesis block has this height.
    Height(u32),
    /// The genesis time never comes.
    NeverWakes,
    /// The ledger of another role is served as the genesis ledger.
    Ledger(Role),
    /// So many blocks were produced already.
    Blocks(u32),
    /// Its runtime config has a list of accounts.
    AccountsInConfig,
}

impl FromStr for SeedFault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        let number = || {
            value
                .parse::<u64>()
                .map_err(|_| format!("`{text}` has no number behind the colon"))
        };
        let short =
            || u32::try_from(number()?).map_err(|_| format!("the number in `{text}` is too large"));
        Ok(match name {
            "balance" => Self::Balance(number()?),
            "path" => Self::Path(number()?),
            "absent" => Self::Absent(number()?),
            "height" => Self::Height(short()?),
            "blocks" => Self::Blocks(short()?),
            "never-wakes" if value.is_empty() => Self::NeverWakes,
            "accounts-in-config" if value.is_empty() => Self::AccountsInConfig,
            "ledger" => Self::Ledger(value.parse().map_err(|error| format!("{error}"))?),
            _ => {
                return Err(format!(
                    "`{text}` is none of balance:LEAF, path:LEAF, absent:LEAF, height:N, blocks:N, \
                     ledger:ROLE, never-wakes, accounts-in-config"
                ));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_words_with_numbers() {
        assert_eq!("balance:3".parse(), Ok(SeedFault::Balance(3)));
        assert_eq!("never-wakes".parse(), Ok(SeedFault::NeverWakes));
        assert_eq!("ledger:next".parse(), Ok(SeedFault::Ledger(Role::Next)));
        for bad in [
            "balance",
            "height:4294967296",
            "never-wakes:1",
            "ledger:x",
            "",
        ] {
            assert!(bad.parse::<SeedFault>().is_err(), "{bad}");
        }
    }
}
