//! The two configs, member by member.

use std::collections::BTreeMap;

use fork_genesis::timestamp::GenesisTimestamp;
use fork_types::Role;
use serde_json::Value;

use super::stores::Content;
use super::{Found, Side, position};
use crate::config::ConfigView;
use crate::report::{Effect, Part, ReportInput};
use crate::subject::{CONFIG_BYTES_MAX, Entry};

/// Members beyond the known ones that are looked at. A published config has none.
const OTHER_MEMBERS_MAX: usize = 1000;
/// Differences among those that are kept.
const OTHER_KEPT_MAX: usize = 20;

const NETWORK_ID: &str = "/daemon/network_id";
const TIME: &str = "/genesis/genesis_state_timestamp";

/// What a member is called, and where it is. All but the first enter the genesis state hash, and
/// with it the chain id.
const INPUTS: [(&str, &str); 10] = [
    ("network_id", NETWORK_ID),
    ("genesis_state_timestamp", TIME),
    ("fork.state_hash", "/proof/fork/state_hash"),
    ("fork.blockchain_length", "/proof/fork/blockchain_length"),
    (
        "fork.global_slot_since_genesis",
        "/proof/fork/global_slot_since_genesis",
    ),
    ("epoch_data.staking.seed", "/epoch_data/staking/seed"),
    ("epoch_data.next.seed", "/epoch_data/next/seed"),
    ("ledger.hash", "/ledger/hash"),
    ("epoch_data.staking.hash", "/epoch_data/staking/hash"),
    ("epoch_data.next.hash", "/epoch_data/next/hash"),
];

const CHAIN_ID: &str =
    "an input of the chain id: nodes with the one and with the other refuse each other";

/// Compares the members in the order in which they are documented.
pub(super) fn compare(
    found: &mut Found,
    here: &Side<'_>,
    there: &Side<'_>,
    content: &[Content; 3],
) {
    let (left, right) = match (here.config, there.config) {
        (Ok(left), Ok(right)) => (left, right),
        (left, right) => {
            for (which, config) in [("verified", left), ("second", right)] {
                if let Err(problem) = config {
                    let text = format!("the configs: the {which} package has none: {problem}");
                    found.gap(Part::Config, text);
                }
            }
            return;
        }
    };
    for (name, pointer) in INPUTS {
        input(found, name, pointer, left, right);
    }
    for role in Role::ALL {
        s3_data_hash(found, role, left, right, &content[position(role)]);
    }
    let has_differences = !found.differences.is_empty();
    others(found, left, right);
    let bytes = |side: &Side<'_>| {
        let content = side.subject.entries.get(side.config_path);
        let content = content.and_then(Entry::file)?;
        fork_fs::read_limited(content.path(), CONFIG_BYTES_MAX).ok()
    };
    if !has_differences && left.value() == right.value() && bytes(here) != bytes(there) {
        found.differs(
            "config text",
            Part::Config,
            ("the same members", "the same members"),
            Effect::Harmless,
            "only the order of the members or the blanks between them differ",
        );
    }
}

fn input(found: &mut Found, name: &str, pointer: &str, left: &ConfigView, right: &ConfigView) {
    let (here, there) = (left.shown(pointer), right.shown(pointer));
    let is_same_text = left.at(pointer) == right.at(pointer);
    let is_same_time = pointer == TIME && {
        let time = |config: &ConfigView| Some(GenesisTimestamp::parse(config.text(TIME)?).ok()?.0);
        time(left).is_some() && time(left) == time(right)
    };
    let is_one_unnamed =
        pointer == NETWORK_ID && (left.at(NETWORK_ID).is_none() || right.at(NETWORK_ID).is_none());
    found.inputs.push(ReportInput {
        name: name.to_owned(),
        here: here.clone(),
        there: there.clone(),
        is_equal: is_same_text || is_same_time,
    });
    if is_same_text {
        return;
    }
    let (effect, meaning) = if is_same_time {
        (Effect::Harmless, "the same moment, written differently")
    } else if is_one_unnamed {
        (
            Effect::Harmless,
            "a daemon's own config need not name the network; it is no input of the chain id",
        )
    } else if pointer == NETWORK_ID {
        (
            Effect::Disagree,
            "no input of the chain id, but the configs are for different networks",
        )
    } else {
        (Effect::CannotPeer, CHAIN_ID)
    };
    found.differs(name, Part::Config, (&here, &there), effect, meaning);
}

/// The digest of a tarball says something about a download only. What counts is what is in it.
fn s3_data_hash(
    found: &mut Found,
    role: Role,
    left: &ConfigView,
    right: &ConfigView,
    content: &Content,
) {
    let member = ConfigView::ledger_pointer(role);
    let pointer = format!("{member}/s3_data_hash");
    if left.at(&pointer) == right.at(&pointer) {
        return;
    }
    let name = pointer.trim_start_matches('/').replace('/', ".");
    let (effect, meaning) = match content {
        Content::SameBytes | Content::SameEntries => (
            Effect::Harmless,
            "no input of the chain id, and both tarballs hold the same accounts",
        ),
        Content::Different(_) => (
            Effect::Disagree,
            "no input of the chain id, but the tarballs hold different accounts",
        ),
        Content::Unknown(_) => (
            Effect::Disagree,
            "no input of the chain id; whether both tarballs hold the same is not known",
        ),
    };
    found.differs(
        name,
        Part::Config,
        (&left.shown(&pointer), &right.shown(&pointer)),
        effect,
        meaning,
    );
}

/// Members that no published fork config has.
fn others(found: &mut Found, left: &ConfigView, right: &ConfigView) {
    let (here, there) = (flat(left.value()), flat(right.value()));
    let is_known = |pointer: &str| {
        INPUTS.iter().any(|(_, known)| *known == pointer) || pointer.ends_with("/s3_data_hash")
    };
    let mut kept = 0;
    let names: std::collections::BTreeSet<&String> = here.keys().chain(there.keys()).collect();
    for pointer in names {
        let (one, other) = (here.get(pointer), there.get(pointer));
        if is_known(pointer) || one == other {
            continue;
        }
        kept += 1;
        if kept > OTHER_KEPT_MAX {
            continue;
        }
        let is_chain = pointer == "/daemon/txpool_max_size"
            || ["/genesis/", "/proof/", "/ledger/", "/epoch_data/"]
                .iter()
                .any(|section| pointer.starts_with(section));
        let (effect, meaning) = if is_chain {
            (
                Effect::CannotPeer,
                "a constant or ledger of the chain, so the chain ids may differ",
            )
        } else {
            (
                Effect::Other,
                "no input of the chain id; the daemons are set up differently",
            )
        };
        let name = pointer.trim_start_matches('/').replace('/', ".");
        let absent = "absent".to_owned();
        found.differs(
            fork_worker::text::clipped(&name.escape_debug().to_string(), 120),
            Part::Config,
            (one.unwrap_or(&absent), other.unwrap_or(&absent)),
            effect,
            meaning,
        );
    }
    if kept > OTHER_KEPT_MAX {
        let text = format!(
            "{} more members of the configs differ",
            kept - OTHER_KEPT_MAX
        );
        found.gap(Part::Config, text);
    }
    if here.len() >= OTHER_MEMBERS_MAX || there.len() >= OTHER_MEMBERS_MAX {
        let text = format!("the configs: only the first {OTHER_MEMBERS_MAX} members");
        found.gap(Part::Config, text);
    }
}

/// The values of a config by their paths.
fn flat(value: &Value) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    // serde_json refuses nesting beyond 128, so paths are short.
    let mut open = vec![(String::new(), value)];
    while let Some((path, value)) = open.pop() {
        if all.len() >= OTHER_MEMBERS_MAX {
            break;
        }
        match value {
            Value::Object(members) if !members.is_empty() => {
                let members = members.iter().rev();
                open.extend(members.map(|(name, value)| {
                    let name = fork_worker::text::clipped(name, 100);
                    (format!("{path}/{name}"), value)
                }));
            }
            // Lists of accounts are compared as one value; no fork config has any.
            other => {
                all.insert(path, shown(other));
            }
        }
    }
    all
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.escape_debug().to_string(),
        other => other.to_string(),
    }
}
