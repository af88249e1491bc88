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
    // What a step names itself is all it waits for.
    assert_eq!(dependencies(&plan, "f"), ["a"]);
    let keys = |steps: Vec<&Step>| -> Vec<String> { steps.iter().map(|s| s.key.clone()).collect() };
    assert_eq!(keys(plan.leaves()), ["e", "f"]);
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
        "matrix: { setup: [a], more: 1 }",
        "plugins: [ cache#v1.0.0: { manifest: x } ]",
        "plugins: [ docker#v5.13.0: { command: x } ]",
        "soft_fail: [ { signal: 1 } ]",
        "secrets: [ A ]",
        "cache: a",
        "image: a",
        "branches: main",
        "allow_dependency_failure: true",
        "cancel_on_build_failing: true",
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
    for step in [
        "block: ask, if: 'true'",
        "trigger: other",
        "input: ask, branches: main",
    ] {
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
        "steps: [ { command: x, parallelism: 0 } ]",
        "steps: [ { command: x, parallelism: 501 } ]",
        "steps: [ { command: x, parallelism: 300 }, { command: x, parallelism: 201 } ]",
        "steps: [ { command: x, parallelism: 2, matrix: [ a ] } ]",
        "steps: [ { command: x, matrix: [ a, a ] } ]",
        "steps: [ { command: x, matrix: [] } ]",
        "steps: [ { command: '{{matrix.os}}', matrix: [ a ] } ]",
        "steps: [ { command: '{{matrix}}', matrix: { setup: { os: [ a ] } } } ]",
        "steps: [ { command: x, key: '{{matrix}}', matrix: [ a ] } ]",
        "steps: [ { command: x, artifact_paths: '{{ matrix }}/*', matrix: [ a ] } ]",
        "steps: [ { command: x, matrix: { setup: { a: [ b ] }, adjustments: [ { with: { c: d } } ] } } ]",
        "steps: [ { command: x, matrix: { setup: { a-b: [ c ] } } } ]",
        "steps: [ { command: x, skip: 'false' } ]",
        "steps: [ { command: x, soft_fail: 1 } ]",
        "steps: [ { command: x, concurrency: 1 } ]",
        "steps: [ { command: x, concurrency: 0, concurrency_group: g } ]",
        "steps: [ { command: x, concurrency: 1, concurrency_group: g, concurrency_method: any } ]",
        "steps: [ { command: x, plugins: [ docker#main: { image: y } ] } ]",
        "steps: [ { command: x, plugins: [ docker ] } ]",
        "steps: [ { block: x, fields: [ { text: a } ] } ]",
        "steps: [ { block: x, fields: [ { text: a, key: k, format: '(' } ] } ]",
        "steps: [ { block: x, fields: [ { select: a, key: k } ] } ]",
        "steps: [ { block: x, fields: [ { text: a, key: k }, { text: b, key: k } ] } ]",
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

#[test]
fn a_matrix_makes_a_job_of_every_combination() {
    let plan = resolve(
        r#"
steps:
  - key: image
    label: "image {{matrix.codename}} on {{ matrix.arch }}"
    command: [ "build {{matrix.codename}} {{matrix.arch}}", "echo '{{other}} {{{matrix.arch}}}'" ]
    env: { CODENAME: "{{matrix.codename}}", PLAIN: x }
    agents: { queue: "builder-{{matrix.arch}}" }
    plugins: [ "docker#v5.13.0": { image: "{{matrix.codename}}", environment: [ "A={{matrix.arch}}", B ] } ]
    artifact_paths: out/*
    soft_fail: [ { exit_status: 3 } ]
    matrix:
      setup: { codename: [ bookworm, noble ], arch: [ amd64, arm64 ] }
      adjustments:
        - { with: { codename: noble, arch: arm64 }, skip: "no base" }
        - { with: { codename: bookworm, arch: arm64 }, soft_fail: true }
        - { with: { codename: "sid/next", arch: riscv } }
  - { key: after, command: x, depends_on: image }
"#,
    )
    .unwrap();
    let jobs: Vec<String> = plan
        .steps
        .iter()
        .map(|step| format!("{} | {} | {}", step.key, step.name, step.label))
        .collect();
    assert_eq!(
        jobs,
        [
            "image.bookworm-amd64 | image (bookworm, amd64) | image bookworm on amd64",
            "image.bookworm-arm64 | image (bookworm, arm64) | image bookworm on arm64",
            "image.noble-amd64 | image (noble, amd64) | image noble on amd64",
            "image.noble-arm64 | image (noble, arm64) | image noble on arm64",
            "image.sid-next-riscv | image (sid/next, riscv) | image sid/next on riscv",
            "after | after | after",
        ]
    );
    let job = &plan.steps[1];
    assert_eq!(job.script, "build bookworm arm64\necho '{{other}} {arm64}'");
    assert_eq!(job.environment["CODENAME"], "bookworm");
    assert_eq!(job.environment["A"], "arm64");
    assert!(!job.environment.contains_key("B"));
    assert!(job.in_container);
    assert_eq!(job.soft_fail, [None]);
    assert_eq!(plan.steps[0].soft_fail, [Some(3)]);
    let skips: Vec<bool> = plan.steps.iter().map(|step| step.skip.is_some()).collect();
    assert_eq!(skips, [false, false, false, true, false, false]);
    let after = plan.steps.last().unwrap();
    assert_eq!(plan.ancestors(after).len(), 5);
    assert_eq!(plan.visible(after), ["image"]);
}

#[test]
fn a_list_is_a_matrix_of_one_dimension() {
    let plan = resolve(
        "steps: [ { command: 'x {{matrix}} $$Y', matrix: { setup: [ 1, true, 'a b', a-b ], adjustments: [ { with: 1, skip: true }, { with: [ new ] } ] } } ]",
    )
    .unwrap();
    let jobs: Vec<String> = plan
        .steps
        .iter()
        .map(|step| format!("{}: {}", step.key, step.script))
        .collect();
    assert_eq!(
        jobs,
        [
            "step-1.1: x 1 $Y",
            "step-1.true: x true $Y",
            "step-1.a-b: x a b $Y",
            "step-1.4: x a-b $Y",
            "step-1.new: x new $Y"
        ]
    );
    // The product is looked at before it is made.
    let elements: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let elements = elements.join(", ");
    let dimensions: Vec<String> = (0..6).map(|n| format!("d{n}: [ {elements} ]")).collect();
    let huge = format!(
        "steps: [ {{ command: x, matrix: {{ setup: {{ {} }} }} }} ]",
        dimensions.join(", ")
    );
    assert!(message(&huge).contains("makes more than 500 jobs"));
}

#[test]
fn parallel_jobs_know_their_number() {
    let plan = resolve(
        "steps: [ { key: t, command: x, parallelism: 3 }, { key: one, command: x, parallelism: 1 } ]",
    )
    .unwrap();
    let jobs: Vec<String> = plan
        .steps
        .iter()
        .map(|step| {
            let number = &step.environment["BUILDKITE_PARALLEL_JOB"];
            let count = &step.environment["BUILDKITE_PARALLEL_JOB_COUNT"];
            format!("{} {number}/{count} {}", step.key, step.name)
        })
        .collect();
    assert_eq!(
        jobs,
        [
            "t.1 0/3 t (1 of 3)",
            "t.2 1/3 t (2 of 3)",
            "t.3 2/3 t (3 of 3)",
            "one 0/1 one"
        ]
    );
}

#[test]
fn block_steps_are_barriers_and_input_steps_are_not() {
    let plan = resolve(
        r#"
steps:
  - { key: a, command: x }
  - { input: "Who?", key: who, fields: [ { text: Name, key: name } ] }
  - { block: "Go on?", key: gate }
  - { key: b, command: x }
  - { key: c, command: x, depends_on: a }
  - { key: free, command: x, depends_on: ~ }
  - wait
  - { block: "Late", key: late, depends_on: b }
  - { key: d, command: x }
  - { key: named, command: x, depends_on: [ who, late ] }
"#,
    )
    .unwrap();
    assert_eq!(dependencies(&plan, "who"), [""; 0]);
    assert_eq!(dependencies(&plan, "gate"), ["a"]);
    assert_eq!(dependencies(&plan, "b"), ["gate"]);
    assert_eq!(dependencies(&plan, "c"), ["a"]);
    assert_eq!(dependencies(&plan, "free"), [""; 0]);
    assert_eq!(dependencies(&plan, "late"), ["b"]);
    assert_eq!(
        dependencies(&plan, "d"),
        ["a", "gate", "b", "c", "free", "late"]
    );
    assert_eq!(dependencies(&plan, "named"), ["who", "late"]);
}

#[test]
fn answers_are_checked_like_a_form() {
    let plan = resolve(
        r#"
steps:
  - block: Release
    key: gate
    fields:
      - { text: Name, key: name, format: "[a-z]+" }
      - { text: Note, key: note, required: false }
      - { select: Suite, key: suite, default: beta, options: [ { label: B, value: beta }, { label: S, value: stable } ] }
      - { select: Where, key: where, multiple: true, required: "false", options: [ { label: E, value: eu }, { label: U, value: us } ] }
"#,
    )
    .unwrap();
    let gate = plan.steps[0].gate.as_ref().unwrap();
    let fill = |given: &[(&str, &[&str])]| {
        let own = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let given = given
            .iter()
            .map(|(key, texts)| ((*key).to_owned(), own(texts)));
        let filled = gate.fill(&given.collect())?;
        let pairs: Vec<String> = filled.iter().map(|(k, v)| format!("{k}={v}")).collect();
        Ok::<String, String>(pairs.join(" "))
    };
    assert_eq!(fill(&[("name", &["ab"])]).unwrap(), "name=ab suite=beta");
    assert_eq!(
        fill(&[
            ("name", &["ab"]),
            ("where", &["eu", "us"]),
            ("suite", &["stable"])
        ])
        .unwrap(),
        "name=ab suite=stable where=eu\nus"
    );
    for (given, reason) in [
        (&[][..], "field `name` (Name) needs an answer"),
        (&[("name", &["aB"][..])], "is not of the form `[a-z]+`"),
        (&[("name", &["ab", "cd"])], "takes one answer"),
        (
            &[("other", &["x"])],
            "the fields are name, note, suite, where",
        ),
        (
            &[("name", &["a"]), ("suite", &["gamma"])],
            "is none of beta, stable",
        ),
    ] {
        let error = fill(given).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn ordered_groups_cannot_wait_for_themselves() {
    let text = |method: &str| {
        format!(
            "steps: [ {{ key: a, command: x, depends_on: b, concurrency: 1, concurrency_group: g, concurrency_method: {method} }}, {{ key: b, command: x, concurrency: 1, concurrency_group: g }} ]"
        )
    };
    assert_eq!(
        message(&text("ordered")),
        "steps wait for each other: a -> b -> a"
    );
    assert!(resolve(&text("eager")).is_ok());
}
