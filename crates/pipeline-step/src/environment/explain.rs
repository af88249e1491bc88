//! The contract, printed.

use fork_worker::text::wrapped;
use serde::Serialize;

use super::contract::{FOREIGN, Variable, all};

/// The contract as data.
#[derive(Debug, Serialize)]
pub struct Contract {
    format: &'static str,
    version: u32,
    variables: Vec<ContractVariable>,
    without_meaning: Vec<ContractForeign>,
}

#[derive(Debug, Serialize)]
struct ContractVariable {
    name: &'static str,
    old_names: &'static [&'static str],
    need: &'static str,
    default: Option<&'static str>,
    meaning: &'static str,
    form: &'static str,
    example: &'static str,
}

#[derive(Debug, Serialize)]
struct ContractForeign {
    name: &'static str,
    instead: &'static str,
}

/// The contract as data.
#[must_use]
pub fn as_json() -> Contract {
    Contract {
        format: "forkpack.environment-contract",
        version: 1,
        variables: all()
            .map(|variable| ContractVariable {
                name: variable.name,
                old_names: variable.old_names,
                need: variable.need.words(),
                default: variable.default,
                meaning: variable.meaning,
                form: variable.form,
                example: variable.example,
            })
            .collect(),
        without_meaning: FOREIGN
            .iter()
            .map(|foreign| ContractForeign {
                name: foreign.name,
                instead: foreign.instead,
            })
            .collect(),
    }
}

fn need(variable: &Variable) -> String {
    match variable.default {
        Some(default) => format!("{}, {default}", variable.need.words()),
        None => variable.need.words().to_owned(),
    }
}

/// The contract for people.
#[must_use]
pub fn as_text() -> String {
    let mut text = String::new();
    for variable in all() {
        text.push_str(&format!("{} ({})\n", variable.name, need(variable)));
        text.push_str(&wrapped(variable.meaning, "    ", 96));
        text.push_str(&wrapped(&format!("form: {}", variable.form), "    ", 96));
        text.push_str(&format!("    example: {}\n", variable.example));
        if !variable.old_names.is_empty() {
            text.push_str(&format!(
                "    old names: {}\n",
                variable.old_names.join(", ")
            ));
        }
    }
    text.push_str("\nThese mean nothing here:\n");
    for foreign in &FOREIGN {
        text.push_str(&format!("{}\n", foreign.name));
        text.push_str(&wrapped(
            &format!("in its place: {}", foreign.instead),
            "    ",
            96,
        ));
    }
    text
}

/// The contract as `docs/environment.md` has it.
#[must_use]
pub fn as_markdown() -> String {
    // In the source, names in backticks stay names and bars end no cell.
    let cell = |text: &str| text.replace('|', "\\|").replace('<', "&lt;");
    let code = |text: &str| format!("`{}`", text.replace('|', "\\|"));
    let mut text = String::from(
        "# The environment of the pipeline\n\n\
         Made by `pipeline-step check-env --explain --markdown`; a test compares.\n\n\
         Variables are given to the build (on Buildkite: in the dialogue of a new build, or with its API; \
         with `run-pipeline`: `--env NAME=VALUE`). The first step, `pipeline-step check-env`, holds all of \
         them against this list and reports everything that is wrong at once. Empty is not set.\n\n\
         Exactly one *source* of the fork point must be set: `CANDIDATE_STORE`, `FORK_CONFIG_URL`, \
         `REPLAYER_OUTPUT_URL`, `ARCHIVE_URI` with `STATE_HASH`, or the three ledgers together with `BLOCK_URL`.\n\n\
         | variable | old names | | meaning | form | example |\n|---|---|---|---|---|---|\n",
    );
    for variable in all() {
        let old: Vec<String> = variable.old_names.iter().map(|name| code(name)).collect();
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            code(variable.name),
            old.join(", "),
            need(variable),
            cell(variable.meaning),
            cell(variable.form),
            code(variable.example)
        ));
    }
    text.push_str(
        "\n## Old names\n\n\
         Pipelines before this one used the old names. The pipeline takes them where the new name is \
         empty; if both are set they must be the same. `NETWORK` may be spelled `Devnet` or `Mainnet`. \
         `CODENAMES` is a list: one entry must be what `CODENAME` says (`Bookworm` is `bookworm`); for \
         several, upload what `pipeline-step generate --codenames` prints.\n\n\
         ## What means nothing here\n\n\
         These are no error; a note says what takes their place.\n\n\
         | variable | in its place |\n|---|---|\n",
    );
    for foreign in &FOREIGN {
        text.push_str(&format!(
            "| {} | {} |\n",
            code(foreign.name),
            cell(foreign.instead)
        ));
    }
    text
}
