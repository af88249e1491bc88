//! An account as a node shows it, member by member against the packaged one.
//!
//! The shapes are those of the schema. What is null although the package has a value is a difference.

use fork_daemon::{NodeAccount, NodeTiming};
use fork_ledger::account::{Account, Auth, Permissions, Timing, Zkapp};
use fork_types::{FieldBytes, LedgerHash};
use pasta_poseidon::Fp;

/// Longest value repeated from a node.
const SHOWN_CHARS_MAX: usize = 120;

/// A value for a message, cut and without control characters.
pub(super) fn short(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(SHOWN_CHARS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        short.push('…');
    }
    format!("`{short}`")
}

/// A field element as a node prints it: decimal, or Base58Check as ledger hashes are.
///
/// unconfirmed: daemons print decimals; the schema's text speaks of Base58Check.
pub(super) fn field(text: &str) -> Option<Fp> {
    Fp::from_decimal(text).or_else(|| {
        let hash: LedgerHash = text.parse().ok()?;
        element(&hash.field())
    })
}

fn element(bytes: &FieldBytes) -> Option<Fp> {
    Fp::from_le_bytes(bytes.as_le_bytes())
}

/// Differences as they are found.
struct Found(Vec<String>);

impl Found {
    fn push(&mut self, name: &str, expected: &str, shown: Option<&str>) {
        let shown = shown.map_or_else(|| "null".to_owned(), short);
        self.0
            .push(format!("{name} is {shown}, expected {}", short(expected)));
    }

    fn text(&mut self, name: &str, expected: &str, shown: Option<&str>) {
        if shown != Some(expected) {
            self.push(name, expected, shown);
        }
    }

    fn value(&mut self, name: &str, expected: impl ToString, shown: Option<&str>) {
        self.text(name, &expected.to_string(), shown);
    }

    /// A member that is null, or as good as null, where the package has nothing.
    fn nothing(&mut self, name: &str, shown: Option<&str>, nothing: &str) {
        if let Some(shown) = shown.filter(|shown| *shown != nothing) {
            self.0
                .push(format!("{name} is {}, expected null", short(shown)));
        }
    }

    fn fields(&mut self, name: &str, expected: &[FieldBytes], shown: Option<&[String]>) {
        let Some(shown) = shown else {
            self.0.push(format!(
                "{name} is null, expected {} elements",
                expected.len()
            ));
            return;
        };
        if shown.len() != expected.len() {
            self.0.push(format!(
                "{name} has {} elements, expected {}",
                shown.len(),
                expected.len()
            ));
            return;
        }
        for (position, (expected, shown)) in expected.iter().zip(shown).enumerate() {
            self.field(&format!("{name}[{position}]"), expected, Some(shown));
        }
    }

    fn field(&mut self, name: &str, expected: &FieldBytes, shown: Option<&str>) {
        let wanted = element(expected);
        if wanted.is_none() || shown.and_then(field) != wanted {
            let wanted = wanted.map(|wanted| wanted.to_decimal()).unwrap_or_default();
            self.push(name, &wanted, shown);
        }
    }
}

/// Where what the node shows differs from the packaged account; destructured, so that a new member
/// cannot be forgotten.
pub(super) fn differences(account: &Account, shown: &NodeAccount) -> Vec<String> {
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
    let mut found = Found(Vec::new());
    found.value("publicKey", public_key, shown.public_key.as_deref());
    found.value("tokenId", token_id, shown.token_id.as_deref());
    match token_symbol.as_bytes() {
        [] => found.nothing("tokenSymbol", shown.token_symbol.as_deref(), ""),
        symbol => {
            let symbol = String::from_utf8_lossy(symbol);
            found.text("tokenSymbol", &symbol, shown.token_symbol.as_deref());
        }
    }
    found.value(
        "balance.total",
        balance.nanomina(),
        shown.balance.as_deref(),
    );
    found.value("nonce", nonce, shown.nonce.as_deref());
    found.value(
        "receiptChainHash",
        receipt_chain_hash,
        shown.receipt_chain_hash.as_deref(),
    );
    match delegate {
        Some(delegate) => found.value("delegateAccount", delegate, shown.delegate.as_deref()),
        None => found.nothing("delegateAccount", shown.delegate.as_deref(), ""),
    }
    found.value("votingFor", voting_for, shown.voting_for.as_deref());
    compare_timing(&mut found, timing, &shown.timing);
    compare_permissions(&mut found, permissions, shown);
    match zkapp {
        Some(zkapp) => compare_zkapp(&mut found, zkapp, shown),
        None => {
            let some = |is_some: bool| is_some.then_some("there");
            found.nothing("zkappState", some(shown.zkapp_state.is_some()), "");
            found.nothing("actionState", some(shown.action_state.is_some()), "");
            found.nothing(
                "verificationKey",
                shown.verification_key_hash.as_deref(),
                "",
            );
            found.nothing("zkappUri", shown.zkapp_uri.as_deref(), "");
            let proved = shown.proved_state.map(|proved| proved.to_string());
            found.nothing("provedState", proved.as_deref(), "false");
        }
    }
    found.0
}

fn compare_timing(found: &mut Found, timing: &Timing, shown: &NodeTiming) {
    let members = [
        (
            "timing.initialMinimumBalance",
            &shown.initial_minimum_balance,
        ),
        ("timing.cliffTime", &shown.cliff_time),
        ("timing.cliffAmount", &shown.cliff_amount),
        ("timing.vestingPeriod", &shown.vesting_period),
        ("timing.vestingIncrement", &shown.vesting_increment),
    ];
    let expected = match timing {
        Timing::Untimed => [const { None }; 5],
        Timing::Timed(vesting) => [
            Some(vesting.initial_minimum_balance.nanomina().to_string()),
            Some(vesting.cliff_time.to_string()),
            Some(vesting.cliff_amount.nanomina().to_string()),
            Some(vesting.vesting_period.to_string()),
            Some(vesting.vesting_increment.nanomina().to_string()),
        ],
    };
    for ((name, shown), expected) in members.into_iter().zip(expected) {
        match expected {
            Some(expected) => found.text(name, &expected, shown.as_deref()),
            None => found.nothing(name, shown.as_deref(), ""),
        }
    }
}

fn compare_permissions(found: &mut Found, permissions: &Permissions, shown: &NodeAccount) {
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
        ("editState", edit_state),
        ("access", access),
        ("send", send),
        ("receive", receive),
        ("setDelegate", set_delegate),
        ("setPermissions", set_permissions),
        ("setVerificationKey", set_verification_key),
        ("setZkappUri", set_zkapp_uri),
        ("editActionState", edit_action_state),
        ("setTokenSymbol", set_token_symbol),
        ("incrementNonce", increment_nonce),
        ("setVotingFor", set_voting_for),
        ("setTiming", set_timing),
    ] {
        let shown = shown.permissions.get(name).map(String::as_str);
        found.text(&format!("permissions.{name}"), word(*auth), shown);
    }
    found.value(
        "permissions.setVerificationKey.txnVersion",
        set_verification_key_txn_version,
        shown.permissions.get("txnVersion").map(String::as_str),
    );
}

/// The schema's word, `AccountAuthRequired`.
const fn word(auth: Auth) -> &'static str {
    match auth {
        Auth::None => "None",
        Auth::Either => "Either",
        Auth::Proof => "Proof",
        Auth::Signature => "Signature",
        Auth::Impossible => "Impossible",
    }
}

/// Version and last action slot are not in the schema; the leaf hash covers them.
fn compare_zkapp(found: &mut Found, zkapp: &Zkapp, shown: &NodeAccount) {
    let Zkapp {
        app_state,
        verification_key,
        zkapp_version: _,
        action_state,
        last_action_slot: _,
        proved_state,
        zkapp_uri,
    } = zkapp;
    found.fields("zkappState", app_state, shown.zkapp_state.as_deref());
    found.fields("actionState", action_state, shown.action_state.as_deref());
    let hash = shown.verification_key_hash.as_deref();
    match verification_key {
        Some(key) => {
            let expected = key.hash();
            if hash.and_then(field) != Some(expected) {
                found.push("verificationKey.hash", &expected.to_decimal(), hash);
            }
        }
        None => found.nothing("verificationKey", hash, ""),
    }
    let uri = String::from_utf8_lossy(zkapp_uri);
    found.text("zkappUri", &uri, shown.zkapp_uri.as_deref());
    let proved = shown.proved_state.map(|proved| proved.to_string());
    found.value("provedState", proved_state, proved.as_deref());
}

#[cfg(test)]
mod tests {
    use fork_types::Era;

    use super::*;

    #[test]
    fn field_elements_in_both_forms() {
        let seven = element(&FieldBytes::from_u64(7));
        assert!(seven.is_some());
        assert_eq!(field("7"), seven);
        let hash = LedgerHash::new(FieldBytes::from_u64(7));
        assert_eq!(field(&hash.to_string()), seven);
        for bad in ["", "-1", "0x7", "jx", &"9".repeat(78)] {
            assert_eq!(field(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_null_differs() {
        let account = Account::empty(Era::Mesa);
        let found = differences(&account, &NodeAccount::default());
        // Six members, thirteen permissions and the version of one.
        assert_eq!(found.len(), 6 + 13 + 1, "{found:?}");
        assert!(
            found[0].starts_with("publicKey is null, expected `B62"),
            "{found:?}"
        );
    }

    #[test]
    fn long_and_odd_values_are_cut() {
        assert_eq!(short("a\nb"), "`a b`");
        assert_eq!(
            short(&"x".repeat(1000)).chars().count(),
            SHOWN_CHARS_MAX + 3
        );
    }
}
