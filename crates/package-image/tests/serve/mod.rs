//! A real registry, Debian's `docker-registry`, on a free port and with its data in a temporary
//! directory.
#![allow(dead_code, reason = "every test file uses its part")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

/// The user of a registry that asks for one.
pub const USER: &str = "me";
/// The password, which may not show up in any output.
pub const PASSWORD: &str = "hunter2-marker";
/// What `htpasswd -Bbn -C 5` makes of the two.
const HTPASSWD: &str = "me:$2y$05$WRDNulTNJgdXM/9LVjf19O.nW4Y9msyVlskNGDXcHSqpn5oXvvbJ6\n";

pub struct Server {
    child: Child,
    pub address: String,
    _root: tempfile::TempDir,
}

impl Server {
    /// One that lets everybody in, or only [`USER`].
    pub fn start(closed: bool) -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name).display().to_string();
        let mut config = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n\
             http: {{addr: \"127.0.0.1:0\", secret: x}}\n",
            path("data")
        );
        if closed {
            fs::write(path("htpasswd"), HTPASSWD).unwrap();
            config.push_str(&format!(
                "auth:\n  htpasswd: {{realm: closed, path: {}}}\n",
                path("htpasswd")
            ));
        }
        fs::write(path("config.yml"), config).unwrap();
        let mut child = Command::new("docker-registry")
            .args(["serve", &path("config.yml")])
            .env_remove("REGISTRY_HTTP_ADDR")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let from = said.len();
            let count = log.read_line(&mut said).unwrap();
            assert!(count > 0, "docker-registry ended:\n{said}");
            let line = &said[from..];
            if let Some((_, rest)) = line.split_once("listening on ") {
                let end = rest.find(['"', ' ', '\n']).unwrap();
                break rest[..end].to_owned();
            }
        };
        // A pipe that nobody reads would stop it.
        std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
        Self {
            child,
            address,
            _root: root,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
