use super::*;

const PLANNED: &str = include_str!("../../scenarios/planned-fork.toml");
const FAULTS: &str = include_str!("../../scenarios/faults.toml");

fn refused(from: &str, to: &str) -> String {
    assert!(PLANNED.contains(from), "{from}");
    match Scenario::from_toml(&PLANNED.replacen(from, to, 1)).unwrap_err() {
        StubError::Toml { source } => source.to_string(),
        error => error.to_string(),
    }
}

#[test]
fn shipped_scenarios_are_valid() {
    let planned = Scenario::from_toml(PLANNED).unwrap();
    assert_eq!(planned.daemons.len(), 3);
    let plan = planned.plan().unwrap();
    assert_eq!(plan.blocks.len(), 20 + 8 + 2);
    let faults = Scenario::from_toml(FAULTS).unwrap();
    assert_eq!(faults.faults.len(), 14);
}

#[test]
fn branches_share_their_ancestors() {
    let plan = Scenario::from_toml(PLANNED).unwrap().plan().unwrap();
    let (main, side) = (plan.path(0), plan.path(1));
    let slot = |block: &usize| plan.blocks[*block].slot;
    assert_eq!(main[..19], side[..19]);
    assert_eq!(
        (slot(&main[18]), slot(&main[19]), slot(&side[19])),
        (393_796, 393_798, 393_799)
    );
    assert_eq!(plan.blocks[side[19]].parent, Some(main[18]));
    assert_eq!(plan.blocks[side[19]].height, plan.blocks[main[19]].height);
    // Before slot_tx_end blocks have commands, from there on none.
    assert!(!plan.blocks[side[19]].is_empty());
    assert!(plan.blocks[side[20]].is_empty());
    assert_eq!(plan.path_until(1, 393_801).len(), 20);
    assert!(plan.path_until(1, 0).is_empty());
}

#[test]
fn what_cannot_be_is_refused() {
    for (from, to, said) in [
        ("seed = 7", "seeed = 7", "seeed"),
        ("seed = 7", "era = \"v1\"", "berkeley or mesa"),
        ("mix = \"mixed\"", "mix = \"odd\"", "odd"),
        ("accounts = 1000", "accounts = 9", "at least 10"),
        ("2024-06-05T00:00:00Z", "2024-06-05T00:00:00", "no zone"),
        ("genesis_slot_delta = 60", "", "both or neither"),
        ("slot = 393796 }", "slot = 393797 }", "no such block"),
        (
            "slot = 393796 }",
            "slot = 393796, height = 3 }",
            "no such block",
        ),
        (
            "branch = \"main\", slot",
            "branch = \"mian\", slot",
            "defined earlier",
        ),
        ("parent = ", "# parent = ", "not the first branch"),
        (
            "{ from = 393799 }, { from = 393802 }",
            "{ from = 393796 }",
            "rising slots",
        ),
        (
            "to = 393798, step = 2",
            "to = 393798, step = 0",
            "step above 0",
        ),
        (
            "blocks = [{ from = 393799 }",
            "blocks = [{ from = 393799, x = 1 }",
            "unknown field `x`",
        ),
        (
            "follows = [{ branch = \"main\" }]",
            "follows = []",
            "at least one branch",
        ),
        (
            "from = 393799, branch = \"side\"",
            "from = 393799, branch = \"sied\"",
            "the name of a branch",
        ),
        ("name = \"b\"", "name = \"a\"", "a name of its own"),
        ("state = \"CATCHUP\"", "state = \"CATCH\"", "CATCH"),
        ("to = 393790,", "to = 393770,", "after the first"),
        (
            "daemon = \"a\"\noperation",
            "daemon = \"x\"\noperation",
            "the name of a daemon",
        ),
        ("\"fork_config\"", "\"forkConfig\"", "forkConfig"),
        (
            "{ after = 500000 }",
            "{ after = 500000, x = 1 }",
            "unknown field `x`",
        ),
        ("reset = { after", "rest = { after", "rest"),
        ("code = 429", "code = 200", "400 to 599"),
        ("speed = 60.0", "speed = 0.0", "above 0"),
    ] {
        let error = refused(from, to);
        assert!(error.contains(said), "{from} -> {to}: {error}");
    }
}

#[test]
fn faults_happen_to_the_requests_they_name() {
    let fault = |operation, from, count, action| Fault {
        daemon: ALL_DAEMONS.to_owned(),
        operation,
        from,
        count,
        action,
    };
    let mut faults = ChosenFault::new(Faults(vec![
        fault(Operation::ForkConfig, 2, 2, Action::NullData),
        fault(Operation::Any, 3, 1, Action::NotJson),
    ]));
    let ask = |faults: &mut ChosenFault, field: &str| faults.next(&[field.to_owned()]);
    assert_eq!(ask(&mut faults, "fork_config"), None);
    assert_eq!(ask(&mut faults, "fork_config"), Some(Action::NullData));
    // The third request of all, and not one for a fork config.
    assert_eq!(ask(&mut faults, "bestChain"), Some(Action::NotJson));
    assert_eq!(ask(&mut faults, "fork_config"), Some(Action::NullData));
    assert_eq!(ask(&mut faults, "fork_config"), None);
}

#[test]
fn random_faults_are_reproducible_and_can_be_kept() {
    let limits = FaultLimits {
        daemons: vec!["a".to_owned(), "b".to_owned(), "c".to_owned()],
        ..FaultLimits::default()
    };
    let faults = Faults::random(5, 200, &limits);
    assert_eq!(faults, Faults::random(5, 200, &limits));
    assert_ne!(faults, Faults::random(6, 200, &limits));
    // More of them do not change the first ones.
    assert_eq!(faults.0[..50], Faults::random(5, 50, &limits).0);
    let scenario = Scenario::from_toml(PLANNED).unwrap();
    let text = format!("{PLANNED}\n{}", faults.to_toml().unwrap());
    assert_eq!(
        Scenario::from_toml(&text).unwrap(),
        scenario.with_faults(faults.clone()).unwrap()
    );
    // Every kind of action comes up.
    let kinds: std::collections::HashSet<_> = faults
        .0
        .iter()
        .map(|fault| std::mem::discriminant(&fault.action))
        .collect();
    assert_eq!(kinds.len(), 14);
    let tame = FaultLimits {
        lies: false,
        kills: false,
        ..limits
    };
    assert!(
        Faults::random(5, 200, &tame)
            .0
            .iter()
            .all(|fault| !matches!(
                fault.action,
                Action::Kill(_) | Action::WrongBlock | Action::WrongLedger
            ))
    );
}

#[test]
fn the_documented_scenario_is_valid() {
    let text = include_str!("../../../../docs/stub-daemon.md");
    let (_, rest) = text.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let scenario = Scenario::from_toml(example).unwrap();
    assert_eq!((scenario.daemons.len(), scenario.faults.len()), (2, 1));
    // Every action is documented under the name it is written with.
    let limits = FaultLimits::default();
    for fault in Faults::random(1, 200, &limits).0 {
        let name = serde_json::to_value(&fault.action).unwrap();
        let name = match &name {
            serde_json::Value::String(name) => name.clone(),
            other => other.as_object().unwrap().keys().next().unwrap().clone(),
        };
        assert!(
            rest.contains(&format!("| `\"{name}\"` |"))
                || rest.contains(&format!("| `{{ {name} = {{")),
            "{name}"
        );
    }
}
