//! The zkApp parts of accounts. They are few and wide, so they are read apart from the accounts, and
//! by the ids of one portion at a time.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fork_ledger::account::{ACTION_STATE_LEN, ZKAPP_URI_BYTES_MAX, Zkapp};
use fork_ledger::json::field_from_decimal;
use fork_ledger::packing::field_bytes;
use fork_ledger::verification_key::VerificationKey;
use fork_types::{Era, FieldBytes};

use crate::account::array;
use crate::block::{Value, insert_once};
use crate::client::{Client, Row};
use crate::error::{ArchiveError, ArchiveErrorKind};
use crate::schema::Schema;

const TABLE: &str = "zkapp_accounts";

/// A zkApp whose field elements and key are still ids.
struct Started {
    id: i64,
    /// State and then action state; absent elements are zero in rows that were widened.
    elements: Vec<Option<i64>>,
    verification_key_id: Option<i64>,
    zkapp: Zkapp,
}

/// Reads these rows of `zkapp_accounts`.
pub(crate) fn load(
    client: &mut Client,
    schema: Schema,
    era: Era,
    ids: &BTreeSet<i64>,
) -> Result<HashMap<i64, Zkapp>, ArchiveError> {
    let mut zkapps = HashMap::with_capacity(ids.len());
    if ids.is_empty() {
        return Ok(zkapps);
    }
    let states: String = (0..schema.width())
        .map(|element| format!(", s.element{element}"))
        .collect();
    let sql = format!(
        "SELECT z.id, z.verification_key_id, z.zkapp_version, z.last_action_slot, z.proved_state, \
           u.value, z.zkapp_uri_id, s.id, a.id{states}, \
           a.element0, a.element1, a.element2, a.element3, a.element4 \
         FROM zkapp_accounts z \
         LEFT JOIN zkapp_uris u ON u.id = z.zkapp_uri_id \
         LEFT JOIN zkapp_states s ON s.id = z.app_state_id \
         LEFT JOIN zkapp_action_states a ON a.id = z.action_state_id \
         WHERE z.id = ANY ($1::int[])"
    );
    let mut started = Vec::with_capacity(ids.len());
    client.query("read zkApps", &sql, &[&array(ids)], &mut |row| {
        started.push(Started::read(row, schema)?);
        Ok(())
    })?;
    let elements: BTreeSet<i64> = started
        .iter()
        .flat_map(|zkapp| zkapp.elements.iter().flatten().copied())
        .collect();
    let fields = fields(client, &elements)?;
    let key_ids: BTreeSet<i64> = started
        .iter()
        .filter_map(|zkapp| zkapp.verification_key_id)
        .collect();
    let keys = verification_keys(client, &key_ids)?;
    for zkapp in started {
        let id = zkapp.id;
        let finished = zkapp.finish(era, schema, &fields, &keys)?;
        insert_once(&mut zkapps, TABLE, id, finished)?;
    }
    Ok(zkapps)
}

impl Started {
    fn read(row: &Row<'_>, schema: Schema) -> Result<Self, ArchiveError> {
        let name = format!("row {}", row.text(0).unwrap_or("without an id"));
        let value = |number, column| Value::new(row, (number, column), TABLE, &name);
        for (number, column, target) in [
            (7, "app_state_id", "zkapp_states"),
            (8, "action_state_id", "zkapp_action_states"),
        ] {
            if row.text(number).is_none() {
                return Err(value(number, column).dangling("of it", target));
            }
        }
        let uri = row.bytes(5).ok_or_else(|| {
            value(6, "zkapp_uri_id").dangling(row.text(6).unwrap_or("null"), "zkapp_uris")
        })?;
        if uri.len() > ZKAPP_URI_BYTES_MAX {
            return Err(value(5, "zkapp_uri_id").bad("longer than 255 bytes"));
        }
        let first = 9;
        let elements = (first..first + schema.width() + ACTION_STATE_LEN)
            .map(|number| value(number, "app_state_id").parse_nullable())
            .collect::<Result<_, _>>()?;
        Ok(Self {
            id: value(0, "id").parse()?,
            elements,
            verification_key_id: value(1, "verification_key_id").parse_nullable()?,
            zkapp: Zkapp {
                app_state: Vec::new(),
                verification_key: None,
                zkapp_version: value(2, "zkapp_version").parse()?,
                action_state: [FieldBytes::ZERO; ACTION_STATE_LEN],
                last_action_slot: value(3, "last_action_slot").parse()?,
                proved_state: value(4, "proved_state").boolean()?,
                zkapp_uri: uri.to_vec(),
            },
        })
    }

    /// Puts the values in the places of their ids.
    fn finish(
        self,
        era: Era,
        schema: Schema,
        fields: &HashMap<i64, FieldBytes>,
        keys: &HashMap<i64, Arc<VerificationKey>>,
    ) -> Result<Zkapp, ArchiveError> {
        let name = format!("row {}", self.id);
        let dangling = |column, id: i64, target| ArchiveErrorKind::Dangling {
            table: TABLE,
            column,
            row: name.clone(),
            id: id.to_string(),
            target,
        };
        let bad = |column, problem: &str| ArchiveErrorKind::Value {
            table: TABLE,
            column,
            row: name.clone(),
            problem: problem.to_owned(),
        };
        let values = self
            .elements
            .iter()
            .map(|id| match id {
                Some(id) => fields
                    .get(id)
                    .copied()
                    .map(Some)
                    .ok_or_else(|| dangling("app_state_id", *id, "zkapp_field")),
                None => Ok(None),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let (state, actions) = values.split_at(schema.width());
        let (used, padding) = state.split_at(era.app_state_len());
        // Tables that were widened hold narrow states with zeros or nothing behind them.
        let is_padding = |value: &Option<FieldBytes>| value.is_none_or(|it| it == FieldBytes::ZERO);
        if !padding.iter().all(is_padding) {
            let problem = format!("wider than the {} elements of era {era}", used.len());
            return Err(bad("app_state_id", &problem).into());
        }
        let mut zkapp = self.zkapp;
        zkapp.app_state = used
            .iter()
            .map(|value| value.ok_or_else(|| bad("app_state_id", "partly null").into()))
            .collect::<Result<_, ArchiveError>>()?;
        for (target, value) in zkapp.action_state.iter_mut().zip(actions) {
            *target = value.ok_or_else(|| bad("action_state_id", "partly null"))?;
        }
        if let Some(id) = self.verification_key_id {
            let key = keys.get(&id);
            let key =
                key.ok_or_else(|| dangling("verification_key_id", id, "zkapp_verification_keys"))?;
            zkapp.verification_key = Some(Arc::clone(key));
        }
        Ok(zkapp)
    }
}

/// Reads these rows of `zkapp_field`.
fn fields(
    client: &mut Client,
    ids: &BTreeSet<i64>,
) -> Result<HashMap<i64, FieldBytes>, ArchiveError> {
    let mut fields = HashMap::with_capacity(ids.len());
    let sql = "SELECT id, field FROM zkapp_field WHERE id = ANY ($1::int[])";
    client.query("read field elements", sql, &[&array(ids)], &mut |row| {
        let name = format!("row {}", row.text(0).unwrap_or("without an id"));
        let value = |number, column| Value::new(row, (number, column), "zkapp_field", &name);
        let field = decimal(&value(1, "field"))?;
        insert_once(&mut fields, "zkapp_field", value(0, "id").parse()?, field)
    })?;
    Ok(fields)
}

fn decimal(value: &Value<'_>) -> Result<FieldBytes, ArchiveError> {
    field_from_decimal(value.text()?).ok_or_else(|| value.bad("no field element in decimal"))
}

/// Reads these rows of `zkapp_verification_keys`, and computes the keys' hashes again.
fn verification_keys(
    client: &mut Client,
    ids: &BTreeSet<i64>,
) -> Result<HashMap<i64, Arc<VerificationKey>>, ArchiveError> {
    let mut keys = HashMap::with_capacity(ids.len());
    if ids.is_empty() {
        return Ok(keys);
    }
    let sql = "SELECT k.id, k.verification_key, h.value FROM zkapp_verification_keys k \
               LEFT JOIN zkapp_verification_key_hashes h ON h.id = k.hash_id \
               WHERE k.id = ANY ($1::int[])";
    client.query("read verification keys", sql, &[&array(ids)], &mut |row| {
        let name = format!("row {}", row.text(0).unwrap_or("without an id"));
        let value =
            |number, column| Value::new(row, (number, column), "zkapp_verification_keys", &name);
        let text = value(1, "verification_key");
        let bytes = STANDARD
            .decode(text.text()?)
            .map_err(|_| text.bad("no base64"))?;
        let key =
            VerificationKey::from_bytes(&bytes).map_err(|error| text.bad(&error.to_string()))?;
        let stored = decimal(&value(2, "hash_id"))?;
        if field_bytes(key.hash()) != stored {
            return Err(text.bad("a key of another hash than the row beside it has"));
        }
        let id = value(0, "id").parse()?;
        insert_once(&mut keys, "zkapp_verification_keys", id, Arc::new(key))
    })?;
    Ok(keys)
}
