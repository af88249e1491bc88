//! Writes all seeds into `DIRECTORY/<target>/`, where a fuzzer starts from.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

use std::path::PathBuf;

fn main() {
    let directory = std::env::args_os().nth(1).expect("usage: seeds DIRECTORY");
    for target in fork_fuzz::TARGETS {
        let directory = PathBuf::from(&directory).join(target.name);
        std::fs::create_dir_all(&directory).unwrap();
        for (number, seed) in (target.seeds)().into_iter().enumerate() {
            std::fs::write(directory.join(format!("seed-{number:03}")), seed).unwrap();
        }
    }
}
