//! The way to the server: ended by it, too slow, encrypted, and to somebody else.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::Duration;

use fork_archive::ArchiveUri;
use fork_archive::client::Client;
use fork_testkit::archive::{ArchiveSpec, archive};
use fork_testkit::postgres::{Server, Tls};

use crate::support::{connect, execute, generated, have_server, rows, server, staged};

fn socket() -> PathBuf {
    server().directory().join(".s.PGSQL.5432")
}

/// The server ends the session while the accounts are on their way.
#[test]
fn a_session_that_the_server_ends() {
    if !have_server() {
        return;
    }
    let (database, _) = generated(&ArchiveSpec {
        seed: 24,
        height: 4,
        accounts: 400,
        ..ArchiveSpec::default()
    });
    let directory = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(directory.path().join(".s.PGSQL.5432")).unwrap();
    let (passed, has_passed) = channel();
    let (go, may_go) = channel::<()>();
    let thread = std::thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let server = UnixStream::connect(socket()).unwrap();
        let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        // So many bytes of the answers end in the middle of the accounts.
        std::io::copy(&mut (&server).take(40_000), &mut &client).unwrap();
        passed.send(()).unwrap();
        may_go.recv().unwrap();
        // What the server still says, up to its end.
        let _ = std::io::copy(&mut &server, &mut &client);
        client.shutdown(std::net::Shutdown::Both).unwrap();
    });
    let uri = format!(
        "postgresql:///{database}?host={}",
        directory.path().display()
    );
    let run = std::thread::spawn(move || staged(&uri, &["--height", "1"]));
    has_passed.recv().unwrap();
    let sessions = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = '{database}' AND application_name = 'forkpack' \
           AND pid <> pg_backend_pid()"
    );
    assert_eq!(rows("postgres", &sessions), [["t"]]);
    go.send(()).unwrap();
    let run = run.join().unwrap();
    thread.join().unwrap();
    assert_eq!(run.code(), 6, "{}", run.said());
    run.fails(6, "terminating connection due to administrator command");
}

/// Somebody holds a table for longer than a statement may take.
#[test]
fn a_statement_that_takes_too_long() {
    if !have_server() {
        return;
    }
    let (database, _) = generated(&ArchiveSpec {
        seed: 25,
        height: 2,
        ..ArchiveSpec::default()
    });
    let mut holder = connect(&database);
    let lock = "BEGIN; LOCK TABLE accounts_accessed IN ACCESS EXCLUSIVE MODE";
    holder.execute("lock", lock).unwrap();
    let uri = server().uri(&database);
    let arguments = ["--height", "1", "--statement-timeout", "1"];
    let run = staged(&uri, &arguments);
    run.fails(6, "statement timeout");
    assert!(run.said().contains("--statement-timeout"), "{}", run.said());
    drop(holder);
    assert_eq!(staged(&uri, &arguments).code(), 0);
}

fn have_openssl() -> bool {
    if Command::new("openssl").arg("version").output().is_ok() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "missing on CI: openssl");
    eprintln!("SKIPPED: missing openssl");
    false
}

fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(directory)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {said}");
}

const NEW_KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

/// Two authorities, of which the first has signed for a server at `address`.
fn certificates(directory: &Path, address: &str) {
    for authority in ["ca", "other"] {
        let request = format!(
            "req -x509 {NEW_KEY} -keyout {authority}.key -out {authority}.pem -days 3 \
             -subj /CN={authority}"
        );
        openssl(directory, &request);
    }
    let request = format!("req {NEW_KEY} -keyout server.key -out server.csr -subj /CN=server");
    openssl(directory, &request);
    std::fs::write(
        directory.join("names"),
        format!("subjectAltName=IP:{address}\n"),
    )
    .unwrap();
    openssl(
        directory,
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3 \
         -extfile names -out server.pem",
    );
    std::fs::write(directory.join("none.pem"), "no certificate\n").unwrap();
}

#[test]
fn encrypted_ways_and_who_is_at_their_end() {
    if !have_server() || !have_openssl() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    // Addresses of this process alone, so that the usual port is free.
    let [_, b, c, d] = std::process::id().to_be_bytes();
    let named = format!("127.{}.{c}.{d}", 64 + b % 64);
    let unnamed = format!("127.{}.{c}.{d}", 128 + b % 64);
    certificates(directory.path(), &named);
    let tls = Tls {
        addresses: &format!("{named},{unnamed}"),
        certificate: &directory.path().join("server.pem"),
        key: &directory.path().join("server.key"),
    };
    let home = std::env::temp_dir().join(format!("tls-{}", std::process::id()));
    let server = Server::start_tls(&home, &tls).unwrap();
    let uri = ArchiveUri::parse(&server.uri("postgres")).unwrap();
    let patience = Duration::from_secs(60);
    let mut client = Client::connect(&uri, patience, patience).unwrap();
    let model = archive(&ArchiveSpec {
        seed: 26,
        height: 2,
        ..ArchiveSpec::default()
    });
    client.execute("arrange", &model.unwrap().sql).unwrap();

    let root = |name: &str| format!("&sslrootcert={}", directory.path().join(name).display());
    let (ca, other) = (root("ca.pem"), root("other.pem"));
    for (host, parameters, code, part) in [
        (
            &named,
            "sslmode=disable".to_owned(),
            6,
            "no pg_hba.conf entry",
        ),
        (&named, "user=postgres".to_owned(), 0, ""),
        (&unnamed, "sslmode=require".to_owned(), 0, ""),
        (&unnamed, format!("sslmode=require{ca}"), 0, ""),
        (
            &unnamed,
            format!("sslmode=require{other}"),
            6,
            "no safe connection",
        ),
        (&unnamed, format!("sslmode=verify-ca{ca}"), 0, ""),
        (
            &named,
            format!("sslmode=verify-ca{other}"),
            6,
            "no safe connection",
        ),
        (&named, format!("sslmode=verify-full{ca}"), 0, ""),
        (
            &unnamed,
            format!("sslmode=verify-full{ca}"),
            6,
            "not valid for name",
        ),
        (
            &named,
            format!("sslmode=verify-full{other}"),
            6,
            "UnknownIssuer",
        ),
        (
            &named,
            format!("sslmode=verify-full{}", root("none.pem")),
            5,
            "no usable certificates",
        ),
        (
            &named,
            format!("sslmode=verify-full{}", root("absent.pem")),
            5,
            "absent.pem",
        ),
    ] {
        let uri = format!("postgresql://postgres@{host}/postgres?{parameters}");
        let run = staged(&uri, &["--height", "1"]);
        assert_eq!(run.code(), code, "{host} {parameters}: {}", run.said());
        assert!(run.said().contains(part), "{parameters}: {}", run.said());
    }
    drop(client);
}

/// Asks for TLS of a server that has none.
#[test]
fn a_server_without_tls() {
    if !have_server() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut server = UnixStream::connect(socket()).unwrap();
        let mut request = [0; 8];
        client.read_exact(&mut request).unwrap();
        server.write_all(&request).unwrap();
        let mut answer = [0];
        server.read_exact(&mut answer).unwrap();
        client.write_all(&answer).unwrap();
        answer
    });
    let uri = format!("postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=require");
    staged(&uri, &["--height", "1"]).fails(6, "does not offer TLS, which sslmode=require asks for");
    assert_eq!(thread.join().unwrap(), *b"N");
    execute("postgres", "SELECT 1");
}
