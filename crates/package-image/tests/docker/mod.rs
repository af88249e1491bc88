//! A container engine of our own, and a Debian to make images on.
//!
//! Needs root, debootstrap's result (made by `scripts/make-base-rootfs` when it is not in the cache
//! yet) and Docker. The engine is started here, with its own data and socket, and stopped.
#![allow(dead_code, reason = "every test file uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Time to wait for the engine to answer; it takes about two seconds.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Whether these programs are here, and root. Without, CI fails and anybody else is told.
pub fn have(programs: &[&str]) -> bool {
    let user = Command::new("id").arg("-u").output().unwrap().stdout;
    let root = if user == b"0\n" { None } else { Some("root") };
    are_here(programs, root)
}

/// As [`have`], root or not.
pub fn have_programs(programs: &[&str]) -> bool {
    are_here(programs, None)
}

fn are_here(programs: &[&str], also_missing: Option<&'static str>) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut missing: Vec<&str> = programs
        .iter()
        .copied()
        .filter(|program| !std::env::split_paths(&path).any(|dir| dir.join(program).exists()))
        .collect();
    missing.extend(also_missing);
    if missing.is_empty() {
        return true;
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "missing on CI: {missing:?}"
    );
    eprintln!("SKIPPED: missing {missing:?}");
    false
}

pub fn run(command: &mut Command) -> String {
    let output = command.env("LC_ALL", "C").output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A minimal Debian, made once and kept under the target directory.
pub fn rootfs() -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = MAKING.lock().unwrap();
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let directory = workspace.join("target/forkpack-test-cache/rootfs-bookworm");
    if !directory.exists() {
        run(Command::new(workspace.join("scripts/make-base-rootfs"))
            .arg(&directory)
            .arg("bookworm"));
    }
    directory
}

/// A Docker daemon of our own.
pub struct Engine {
    child: Child,
    host: String,
    root: tempfile::TempDir,
}

impl Engine {
    pub fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        let host = format!("unix://{}", root.path().join("d.sock").display());
        let log = fs::File::create(root.path().join("log")).unwrap();
        let child = Command::new("dockerd")
            .args([
                "--iptables=false",
                "--bridge=none",
                "--storage-driver=vfs",
                "--host",
                &host,
            ])
            .arg("--data-root")
            .arg(root.path().join("data"))
            .arg("--exec-root")
            .arg(root.path().join("exec"))
            .arg("--pidfile")
            .arg(root.path().join("pid"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut engine = Self { child, host, root };
        let started = Instant::now();
        while !engine
            .command(&["version"])
            .output()
            .unwrap()
            .status
            .success()
        {
            let ended = engine.child.try_wait().unwrap();
            let late = started.elapsed() > START_TIMEOUT;
            if late || ended.is_some() {
                let log = fs::read_to_string(engine.root.path().join("log")).unwrap();
                panic!("dockerd did not start ({ended:?}):\n{log}");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        engine
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command
            .args(arguments)
            .env("DOCKER_HOST", &self.host)
            .env("DOCKER_CONFIG", self.root.path().join("config"))
            .env_remove("DOCKER_CONTEXT");
        command
    }

    pub fn docker(&self, arguments: &[&str]) -> String {
        run(&mut self.command(arguments))
    }

    /// Runs a command in a container.
    pub fn inside(&self, image: &str, command: &[&str]) -> String {
        let mut line = vec!["run", "--rm", "--network", "none", image];
        line.extend(command);
        self.docker(&line)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // A plain kill would leave its containerd behind.
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
    }
}
