//! `FORKPACK_KERNEL`, which is read once per process: each case is a process of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write;
use std::process::Command;

use pasta_poseidon::{Fp, Instance, Kernel, State, hash, hash_pairs};

/// Set in the processes that the tests start.
const CHILD: &str = "FORKPACK_TEST_KERNEL_CHILD";

/// Not a test by itself: says which kernel is in use, what the check says, and a hash.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let checked = match Kernel::check() {
        Ok(kernel) => kernel.name().to_owned(),
        Err(error) => error.to_string(),
    };
    let state = State::zero(Instance::Kimchi);
    let pair = [Fp::from_u64(1), Fp::from_u64(2)];
    let mut digest = [Fp::ZERO];
    hash_pairs(&state, &[pair], &mut digest);
    assert_eq!(digest, [hash(&state, &pair)]);
    writeln!(
        std::io::stdout(),
        "\nREPORT {}|{checked}|{}",
        Kernel::active().name(),
        digest[0]
    )
    .unwrap();
}

/// Kernel in use, result of the check, hash.
fn run(variable: Option<&str>) -> [String; 3] {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, "1")
        .env_remove("FORKPACK_KERNEL");
    if let Some(value) = variable {
        command.env("FORKPACK_KERNEL", value);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let report = text
        .lines()
        .find_map(|line| line.strip_prefix("REPORT "))
        .unwrap();
    let fields: Vec<String> = report.split('|').map(str::to_owned).collect();
    fields.try_into().unwrap()
}

#[test]
fn a_kernel_that_works_is_used() {
    let fastest = Kernel::available().last().unwrap();
    let [active, checked, digest] = run(None);
    assert_eq!([active.as_str(), checked.as_str()], [fastest.name(); 2]);
    assert_eq!(run(Some("")), [active, checked, digest.clone()]);
    for kernel in Kernel::available() {
        let expected = [kernel.name(), kernel.name(), digest.as_str()];
        assert_eq!(run(Some(kernel.name())), expected);
    }
}

#[test]
fn an_unknown_kernel_is_passed_over_and_reported() {
    let fastest = Kernel::available().last().unwrap();
    let [active, checked, _] = run(Some("nonsense"));
    assert_eq!(active, fastest.name());
    assert_eq!(
        checked,
        "FORKPACK_KERNEL names no kernel: expected portable, adx, ifma, found `nonsense`"
    );
}

#[test]
fn a_kernel_that_the_processor_lacks_is_passed_over_and_reported() {
    for kernel in Kernel::ALL {
        if kernel.is_available() {
            continue;
        }
        let [active, checked, _] = run(Some(kernel.name()));
        assert_ne!(active, kernel.name());
        assert_eq!(
            checked,
            format!("this processor cannot run the kernel `{}`", kernel.name())
        );
    }
}
