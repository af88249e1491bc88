//! What a waiver does not reach.

use release_policy::Outcome;
use release_policy::Point::{Enter, Exit};
use serde_json::json;

use super::{accept, bugfix, deviate, touch, waive};
use crate::rows::outcome;
use crate::world::commit;

/// A waiver is for what was found. Where nothing can be found, because the list of what changed is not
/// whole or not there, nothing was voted on.
#[test]
fn a17_what_nobody_knows_is_not_waived() {
    let mut w = bugfix();
    for (stage, point) in [
        ("devnet", Enter),
        ("devnet", Exit),
        ("testnet", Enter),
        ("testnet", Exit),
    ] {
        let at = w.ask_position(stage, point);
        w.steps.remove(at);
    }
    let migration = "apps/src/db/migration/V9.sql";
    touch(&mut w, &[migration]);
    deviate(&mut w, "S-03");
    accept(&mut w, "S-03", "db_schema_migration");
    waive(&mut w, "mainnet", "S-03", &["db_schema_migration"]);
    w.until("mainnet", Enter);
    assert_eq!(outcome(&w.decision(), "S-03"), Outcome::Waived);
    let mut partly = w.clone();
    partly.data("diff", |d| {
        d["commits"][commit(2)]["files"] = json!([migration, "daml/x.daml"])
    });
    assert_eq!(outcome(&partly.decision(), "S-03"), Outcome::Unmet);
    w.drop("diff");
    assert_eq!(outcome(&w.decision(), "S-03"), Outcome::Unmet);
}
