//! The help text, as it is printed: what scripts and people rely on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use clap::CommandFactory;

#[test]
fn help_text() {
    let mut command = verify_package::Args::command().term_width(100);
    insta::assert_snapshot!("help", command.render_long_help().to_string());
}
