use super::*;

fn resolve(text: &str) -> Result<Plan, PipelineError> {
    Pipeline::parse(text.as_bytes())?.resolve(&Environment::new())
}

fn message(text: &str) -> String {
    resolve(text).unwrap_err().to_string()
}

fn dependencies<'a>(plan: &'a Plan, key: &str) -> &'a [String] {
    let step = plan.steps.iter().find(|step| step.key == key).unwrap();
    &step.depends_on
}

#[test]
fn reads_a_step() {
    let plan = resolve(
        r#"
env: { A: 1, B: "${A}-${MISSING:-x}" }
steps:
  - key: one
    label: One
    command: [ "echo $A", "echo $$A" ]
    env: { C: "$B" }
    artifact_paths: "a/*; b/*"
    timeout_in_minutes: 2
    agents: { queue: any }
    retry: { manual: false, automatic: [ { exit_status: 6, limit: 2 }, { exit_status: [7, 8] } ] }
"#,
    )
    .unwrap();
    assert_eq!(plan.environment["B"], "1-x");
    let step = &plan.steps[0];
    assert_eq!(step.script, "echo 1\necho $A");
    assert_eq!(step.environment["C"], "1-x");
    assert_eq!(step.artifact_paths, ["a/*", "b/*"]);
    assert_eq!(step.timeout, Some(Duration::from_secs(120)));
    let statuses: Vec<_> = step
        .retries
        .iter()
        .map(|r| (r.exit_status, r.limit))
        .collect();
    assert_eq!(statuses, [(Some(6), 2), (Some(7), 2), (Some(8), 2)]);
}

#[test]
fn values_never_become_yaml_or_shell() {
    let pipeline =
        Pipeline::parse(b"env: { A: \"${A}\" }\nsteps: [ { key: a, command: 'echo \"$$A\"' } ]")
            .unwrap();
    let nasty = "x\"\n  - b: $(rm) ' $$";
    let plan = pipeline
        .resolve(&[("A".to_owned(), nasty.to_owned())].into())
        .unwrap();
    assert_eq!(plan.environment["A"], nasty);
    assert_eq!(plan.steps[0].script, "echo \"$A\"");
}

#[test]
fn waits_and_groups_become_dependencies() {
    let plan = resolve(
        r"
steps:
  - { key: a, command: x }
  - group: together
    key: g
    depends_on: a
    steps: [ { key: b, command: x }, { key: c, command: x } ]
  - { key: d, command: x, depends_on: g }
  - wait
  - { key: e, command: x }
  - wait: ~
  - { key: f, command: x, depends_on: [ { step: a } ] }
",
    )
    .unwrap();
    assert_eq!(dependencies(&plan, "b"), ["a"]);
    assert_eq!(dependencies(&plan, "d"), ["b", "c"]);
    assert_eq!(dependencies(&plan, "e"), ["a", "b", "c", "d"]);
    assert_eq!(dependencies(&plan, "f"), ["a", "b", "c", "d", "e"]);
    let keys = |steps: Vec<&Step>| -> Vec<String> { steps.iter().map(|s| s.key.clone()).collect() };
    assert_eq!(keys(plan.leaves()), ["f"]);
    let d = plan.steps.iter().find(|step| step.key == "d").unwrap();
    assert_eq!(keys(plan.ancestors(d)), ["a", "b", "c"]);
}

#[test]
fn steps_are_sorted() {
    let plan = resolve(
        "steps: [ { key: b, command: x, depends_on: a }, { key: a, command: x }, { command: x } ]",
    )
    .unwrap();
    let keys: Vec<_> = plan.steps.iter().map(|step| step.key.as_str()).collect();
    assert_eq!(keys, ["a", "b", "step-3"]);
}

#[test]
fn graph_errors_name_the_steps() {
    let cycle = "steps: [ { key: z, command: x, depends_on: c }, { key: a, command: x, depends_on: b }, { key: b, command: x, depends_on: c }, { key: c, command: x, depends_on: a } ]";
    assert_eq!(
        message(cycle),
        "steps wait for each other: c -> a -> b -> c"
    );
    assert_eq!(
        message("steps: [ { key: a, command: x, depends_on: b } ]"),
        "step `a` depends on `b`, which is not a key of this pipeline"
    );
    assert_eq!(
        message("steps: [ { key: a, command: x }, { key: a, command: x } ]"),
        "two steps have the key `a`"
    );
}

#[test]
fn what_would_change_the_meaning_is_refused_by_name() {
    let attributes = [
        "if: build.branch == 'main'",
        "matrix: [a]",
        "parallelism: 3",
        "plugins: [ docker#v1: { image: x } ]",
        "soft_fail: true",
        "skip: true",
        "depends_on: [ { step: b, allow_failure: true } ]",
        "retry: { automatic: { signal_reason: agent_stop } }",
        "surprise: 1",
    ];
    for attribute in attributes {
        let text = format!("steps:\n  - key: a\n    command: x\n    {attribute}\n");
        let error = resolve(&text).unwrap_err();
        assert!(
            matches!(error.kind(), PipelineErrorKind::Unsupported { .. }),
            "{attribute}: {error}"
        );
    }
    for step in ["block: ask", "trigger: other", "input: ask"] {
        let text = format!("steps: [ {{ {step} }} ]");
        assert!(resolve(&text).is_err(), "{step}");
    }
    assert!(message("image: x\nsteps: [ { command: x } ]").contains("`image`"));
}

#[test]
fn malformed_files_are_bad_input() {
    use fork_types::{Class, Fault};
    for text in [
        "a: [",
        "[]",
        "steps: 1",
        "steps: []",
        "steps: [ wait ]",
        "steps: [ { key: a } ]",
        "steps: [ { key: ../a, command: x } ]",
        "steps: [ { command: x, timeout_in_minutes: 0 } ]",
        "steps: [ { command: { a: b } } ]",
    ] {
        assert_eq!(
            resolve(text).unwrap_err().class(),
            Class::BadInput,
            "{text}"
        );
    }
}

#[test]
fn missing_variables_are_a_usage_error_with_the_pipeline_s_words() {
    use fork_types::{Class, Fault};
    let error = resolve("env: { A: \"${A?the network}\" }\nsteps: [ { command: x } ]").unwrap_err();
    assert_eq!(error.class(), Class::Usage);
    assert_eq!(error.hint().as_deref(), Some("pass --env A=VALUE"));
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "`A` is not set: the network");
}
