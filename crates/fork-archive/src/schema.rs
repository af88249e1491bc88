//! Which layout the tables have.

use std::collections::HashMap;

use crate::client::Client;
use crate::error::{ArchiveError, ArchiveErrorKind};

/// A layout whose ledgers can be read. The two differ in the width of zkApp states alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// `zkapp_states` has `element0` to `element7`.
    Berkeley,
    /// `zkapp_states` has `element0` to `element31`; blocks may still be of Berkeley.
    Mesa,
}

/// Columns of the tables that tell the layouts apart. The catalogue is asked, not
/// `information_schema`, which hides what the user may not read.
const COLUMNS: &str = "\
    SELECT c.relname, a.attname \
    FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
    WHERE n.nspname = ANY (current_schemas(false)) AND a.attnum > 0 AND NOT a.attisdropped \
      AND c.relname IN ('blocks', 'accounts_accessed', 'zkapp_permissions', 'zkapp_states')";

impl Schema {
    /// Field elements of a zkApp's state in the tables.
    #[must_use]
    pub const fn width(self) -> usize {
        match self {
            Self::Berkeley => 8,
            Self::Mesa => 32,
        }
    }

    /// The name used in documents and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Berkeley => "berkeley",
            Self::Mesa => "mesa",
        }
    }

    /// Looks at the tables.
    ///
    /// # Errors
    ///
    /// Fails on any other layout, and names the ones that are known.
    pub(crate) fn detect(client: &mut Client, database: &str) -> Result<Self, ArchiveError> {
        let mut tables: HashMap<String, Vec<String>> = HashMap::new();
        client.query("read the catalogue", COLUMNS, &[], &mut |row| {
            if let (Some(table), Some(column)) = (row.text(0), row.text(1)) {
                let columns = tables.entry(table.to_owned()).or_default();
                columns.push(column.to_owned());
            }
            Ok(())
        })?;
        Self::of(&tables).map_err(|found| {
            ArchiveErrorKind::Schema {
                database: database.to_owned(),
                found,
            }
            .into()
        })
    }

    fn of(tables: &HashMap<String, Vec<String>>) -> Result<Self, &'static str> {
        let columns = |table: &str| tables.get(table).map_or(&[][..], Vec::as_slice);
        let has = |table: &str, column: &str| columns(table).iter().any(|name| name == column);
        if !has("blocks", "state_hash") {
            return Err("no archive: it has no table blocks with a column state_hash");
        }
        if !tables.contains_key("accounts_accessed") {
            return Err("an archive of the first mainnet, which keeps no accounts");
        }
        if !has("blocks", "protocol_version_id") {
            return Err("an archive of an early pre-release of Berkeley: \
                        blocks has no protocol_version_id");
        }
        if !has("zkapp_permissions", "set_verification_key_auth") {
            return Err("an archive of a pre-release of Berkeley: \
                        zkapp_permissions has no set_verification_key_auth");
        }
        let elements = columns("zkapp_states")
            .iter()
            .filter(|name| name.starts_with("element"))
            .count();
        [Self::Berkeley, Self::Mesa]
            .into_iter()
            .find(|schema| {
                elements == schema.width()
                    && (0..elements)
                        .all(|element| has("zkapp_states", &format!("element{element}")))
            })
            .ok_or("an archive of an unknown layout: zkapp_states has neither 8 nor 32 elements")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(width: usize) -> HashMap<String, Vec<String>> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let states = (0..width).map(|element| format!("element{element}"));
        HashMap::from([
            (
                "blocks".to_owned(),
                owned(&["id", "state_hash", "protocol_version_id"]),
            ),
            ("accounts_accessed".to_owned(), owned(&["block_id"])),
            (
                "zkapp_permissions".to_owned(),
                owned(&["id", "set_verification_key_auth"]),
            ),
            (
                "zkapp_states".to_owned(),
                std::iter::once("id".to_owned()).chain(states).collect(),
            ),
        ])
    }

    #[test]
    fn widths_tell_the_layouts_apart() {
        assert_eq!(Schema::of(&tables(8)), Ok(Schema::Berkeley));
        assert_eq!(Schema::of(&tables(32)), Ok(Schema::Mesa));
        assert!(Schema::of(&tables(9)).unwrap_err().contains("unknown"));
    }

    #[test]
    fn older_layouts_are_named() {
        let mut old = tables(8);
        old.remove("accounts_accessed");
        assert!(Schema::of(&old).unwrap_err().contains("first mainnet"));
        let mut old = tables(8);
        old.get_mut("blocks").unwrap().pop();
        assert!(
            Schema::of(&old)
                .unwrap_err()
                .contains("protocol_version_id")
        );
        let mut old = tables(8);
        old.get_mut("zkapp_permissions").unwrap().pop();
        assert!(
            Schema::of(&old)
                .unwrap_err()
                .contains("set_verification_key")
        );
        assert!(
            Schema::of(&HashMap::new())
                .unwrap_err()
                .contains("no archive")
        );
    }
}
