// Every test file uses a part of it.
#![allow(dead_code)]

//! A directory with a pipeline in it, and a file outside of the run where steps count.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

pub struct Bench {
    directory: tempfile::TempDir,
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Bench {
    pub fn new(pipeline: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("p.yml"), pipeline).unwrap();
        fs::write(directory.path().join("counts"), "").unwrap();
        Self { directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_run-pipeline"));
        command
            .current_dir(self.directory.path())
            .env("RUN_PIPELINE_STATE", self.path("machine"))
            .args(["--file", "p.yml", "--env", "COUNTS=./counts"])
            .args(arguments);
        command
    }

    /// Runs; the counts are empty before.
    pub fn run(&self, arguments: &[&str]) -> Output {
        fs::write(self.path("counts"), "").unwrap();
        self.command(arguments).output().unwrap()
    }

    /// What the last run counted, sorted.
    pub fn counted(&self) -> String {
        let counts = self.read("counts");
        let mut lines: Vec<&str> = counts.lines().collect();
        lines.sort_unstable();
        lines.join(" ")
    }

    /// Runs, which must pass, and gives what was counted.
    pub fn ran(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        self.counted()
    }

    pub fn report(&self) -> Value {
        serde_json::from_str(&self.read("out/timing.json")).unwrap()
    }

    /// Names and states of the jobs.
    pub fn states(&self) -> Vec<String> {
        let report = self.report();
        let steps = report["steps"].as_array().unwrap().iter();
        let of = |step: &Value, name: &str| step[name].as_str().unwrap().to_owned();
        steps
            .map(|step| format!("{} {}", of(step, "name"), of(step, "state")))
            .collect()
    }
}
