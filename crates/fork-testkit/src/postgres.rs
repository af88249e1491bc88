//! A PostgreSQL server for tests: started by them, in a directory of its own, on a socket.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;

/// Where distributions put the server, which is not on the `PATH`.
const DIRECTORIES: [&str; 2] = ["/usr/lib/postgresql", "/usr/pgsql"];

/// Stops the server and removes its directory when it is told to end, or its parent dies. `$1` is
/// the directory, the rest is the server's command.
const KEEPER: &str = "directory=$1; shift; trap 'kill -INT $server; wait $server; \
    rm -rf \"$directory\"; exit' TERM; \"$@\" & server=$!; wait $server";

/// What a server needs for TLS.
#[derive(Clone, Copy, Debug)]
pub struct Tls<'a> {
    /// Addresses to listen on, separated by commas.
    pub addresses: &'a str,
    /// Its certificate, in PEM.
    pub certificate: &'a Path,
    /// Its private key, in PEM.
    pub key: &'a Path,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    directory: PathBuf,
}

impl Server {
    /// Whether this machine has all that a server takes.
    #[must_use]
    pub fn is_available() -> bool {
        programs().is_some()
    }

    /// Starts a server that lets everybody on this machine in as `postgres`. It ends with the
    /// process, whatever that ends with, and its directory, which is made in `parent`, with it.
    ///
    /// # Errors
    ///
    /// Fails when there is no PostgreSQL, and when it does not start.
    pub fn start(parent: &Path) -> io::Result<Self> {
        Self::launch(parent, None)
    }

    /// The same with TLS on addresses of this machine, port 5432; without it nobody is let in there.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_tls(parent: &Path, tls: &Tls<'_>) -> io::Result<Self> {
        Self::launch(parent, Some(tls))
    }

    fn launch(parent: &Path, tls: Option<&Tls<'_>>) -> io::Result<Self> {
        let programs =
            programs().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no PostgreSQL"))?;
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let directory = parent.join(format!("pg-{}-{number}", std::process::id()));
        let data = directory.join("data");
        // The server refuses to be root, and owns what it reads.
        let user: &[&str] = if is_root() {
            &["--reuid=postgres", "--regid=postgres", "--clear-groups"]
        } else {
            &[]
        };
        run(Command::new("mkdir").arg("-p").arg(&directory))?;
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&directory))?;
        }
        run(Command::new("setpriv")
            .args(user)
            .arg(programs.join("initdb"))
            .args([
                "-A",
                "trust",
                "-U",
                "postgres",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
                "-D",
            ])
            .arg(&data))?;
        if let Some(tls) = tls {
            let rules = "local all all trust\nhostssl all all 127.0.0.0/8 trust\n";
            fork_fs::write_atomic(&data.join("pg_hba.conf"), rules.as_bytes())
                .map_err(io::Error::other)?;
            for (file, name) in [(tls.certificate, "server.crt"), (tls.key, "server.key")] {
                let mut install = Command::new("install");
                install.args(["-m", "600"]);
                if is_root() {
                    install.args(["-o", "postgres"]);
                }
                run(install.arg(file).arg(data.join(name)))?;
            }
            fork_fs::write_atomic(&data.join("postgresql.auto.conf"), b"ssl = on\n")
                .map_err(io::Error::other)?;
        }
        let mut command = Command::new("setpriv");
        command
            .args(user)
            .args(["--pdeathsig", "TERM", "sh", "-c", KEEPER, "sh"])
            .arg(&directory)
            .arg(programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&directory)
            .args(["-F", "-c", "fsync=off", "-c"])
            .arg(format!(
                "listen_addresses={}",
                tls.map_or("", |tls| tls.addresses)
            ))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let (sender, receiver) = channel();
        // The signal comes when the thread that started the server ends, so this one never does.
        std::thread::spawn(move || {
            let _ = sender.send(command.spawn());
            loop {
                std::thread::park();
            }
        });
        receiver
            .recv()
            .map_err(|_| io::Error::other("the thread is gone"))??;
        // `pg_isready` with patience: it is what tells when the socket answers.
        let mut waiting = Command::new("sh");
        waiting
            .args([
                "-c",
                "for i in $(seq 200); do \"$1\" -q -h \"$2\" && exit; sleep 0.1; done; exit 1",
                "sh",
            ])
            .arg(programs.join("pg_isready"))
            .arg(&directory);
        run(&mut waiting)?;
        Ok(Self { directory })
    }

    /// URI of a database.
    #[must_use]
    pub fn uri(&self, database: &str) -> String {
        format!(
            "postgresql://postgres@/{database}?host={}",
            self.directory.display()
        )
    }

    /// The directory of the socket and of the data.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout == b"0\n")
}

/// The directory of the newest server.
fn programs() -> Option<PathBuf> {
    DIRECTORIES.iter().find_map(|directory| {
        let mut versions = fork_fs::sorted_names(Path::new(directory)).ok()?;
        let newest = versions.pop()?;
        let programs = Path::new(directory).join(newest).join("bin");
        programs.join("initdb").exists().then_some(programs)
    })
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("{command:?}: {said}")))
}
