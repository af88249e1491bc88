//! The help texts, as they are printed: what scripts and people rely on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use clap::CommandFactory;

fn help(name: &str) -> String {
    let mut command = materialize_ledger::Args::command().term_width(100);
    command.build();
    let subcommand = command.find_subcommand_mut(name).unwrap();
    subcommand.render_long_help().to_string()
}

#[test]
fn help_texts() {
    for name in [
        "staged",
        "snarked",
        "candidate",
        "list",
        "select",
        "populate",
    ] {
        insta::assert_snapshot!(name, help(name));
    }
}
