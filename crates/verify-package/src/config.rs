//! The packaged runtime config, read twice: strictly for one check, and member by member for all
//! others, so that one bad member does not hide the rest.

use fork_types::{LedgerHash, Role};
use serde_json::Value;

use crate::config_schema;
use crate::limited_json::limited_value;

/// Most values of a config. The packaged ones have about fifty.
const VALUES_MAX: usize = 100_000;

/// What a config says, as far as it can be read.
#[derive(Debug)]
pub struct ConfigView {
    /// The JSON.
    value: Value,
    /// What the strict reading says.
    pub strict: Result<(), String>,
}

impl ConfigView {
    /// Reads a config of at most 100,000 values. serde_json refuses nesting beyond 128 by itself.
    ///
    /// # Errors
    ///
    /// Fails on what is no JSON object.
    pub fn read(bytes: &[u8], is_automode: bool) -> Result<Self, String> {
        let value = limited_value(bytes, VALUES_MAX).map_err(|error| shown(&error.to_string()))?;
        if !value.is_object() {
            return Err("it is not a JSON object".to_owned());
        }
        let strict = config_schema::check(bytes, is_automode).map_err(|problem| shown(&problem));
        Ok(Self { value, strict })
    }

    /// The whole config.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// A member by its path, such as `/proof/fork/state_hash`.
    #[must_use]
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        self.value.pointer(pointer)
    }

    /// A text member.
    #[must_use]
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.at(pointer)?.as_str()
    }

    /// A number that fits 32 bits.
    #[must_use]
    pub fn number(&self, pointer: &str) -> Option<u32> {
        self.at(pointer)?.as_u64()?.try_into().ok()
    }

    /// A member as it would be shown, or that it is absent.
    #[must_use]
    pub fn shown(&self, pointer: &str) -> String {
        match self.at(pointer) {
            None => "absent".to_owned(),
            Some(Value::String(text)) => text.escape_debug().to_string(),
            Some(other) => {
                let text = other.to_string();
                text.chars().take(200).collect()
            }
        }
    }

    /// Path of the member that describes a ledger.
    #[must_use]
    pub const fn ledger_pointer(role: Role) -> &'static str {
        match role {
            Role::Genesis => "/ledger",
            Role::Staking => "/epoch_data/staking",
            Role::Next => "/epoch_data/next",
        }
    }

    /// The root that the config names for a ledger.
    #[must_use]
    pub fn root(&self, role: Role) -> Option<LedgerHash> {
        let pointer = format!("{}/hash", Self::ledger_pointer(role));
        self.text(&pointer)?.parse().ok()
    }

    /// The tarball digest that the config names for a ledger.
    #[must_use]
    pub fn s3_data_hash(&self, role: Role) -> Option<&str> {
        self.text(&format!("{}/s3_data_hash", Self::ledger_pointer(role)))
    }
}

/// The start of a message; it may quote the config.
fn shown(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 500;
    text.chars().take(SHOWN_CHARS_MAX).collect()
}
