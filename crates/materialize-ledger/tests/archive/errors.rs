//! Archives that cannot be read.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};

use fork_testkit::archive::ArchiveSpec;

use crate::support::{
    create, drop_database, execute, fresh, generated, have_server, server, staged, staged_with,
};

#[test]
fn layouts_and_blocks_that_are_not_there() {
    if !have_server() {
        return;
    }
    let empty = fresh("empty");
    create(&empty, "template0");
    let uri = server().uri(&empty);
    staged(&uri, &["--height", "1"]).fails(5, "no archive");
    execute(&empty, "CREATE TABLE blocks (id int, state_hash text)");
    staged(&uri, &["--height", "1"]).fails(5, "first mainnet");
    staged(&server().uri("nowhere"), &["--height", "1"]).fails(2, "does not exist");

    let (database, model) = generated(&ArchiveSpec {
        seed: 21,
        height: 7,
        ..ArchiveSpec::default()
    });
    let uri = server().uri(&database);
    staged(&uri, &["--height", "99"]).fails(3, "has no block at height 99");
    // Height 3 has an orphan, and one canonical block: that is the one.
    assert_eq!(staged(&uri, &["--height", "3"]).code(), 0);
    execute(&database, "UPDATE blocks SET chain_status = 'pending'");
    staged(&uri, &["--height", "3"]).fails(2, "2 blocks have the height 3");
    execute(&database, "UPDATE protocol_versions SET transaction = 2");
    let hash = model.blocks[0].state_hash.to_string();
    staged(&uri, &["--state-hash", &hash]).fails(5, "has transaction version 2");
    execute(&database, "TRUNCATE blocks");
    staged(&uri, &["--height", "1"]).fails(3, "has no blocks");
    drop_database(&empty);
}

#[test]
fn passwords_let_in_and_are_in_no_output() {
    if !have_server() {
        return;
    }
    let (database, model) = generated(&ArchiveSpec {
        seed: 22,
        height: 4,
        ..ArchiveSpec::default()
    });
    execute(
        &database,
        "CREATE ROLE reader LOGIN PASSWORD 'hunter2'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader; \
         CREATE ROLE md5reader LOGIN; SET password_encryption = md5; ALTER ROLE md5reader PASSWORD 'hunter3'; \
         GRANT SELECT ON ALL TABLES IN SCHEMA public TO md5reader; CREATE ROLE stranger LOGIN",
    );
    let rules = "local all reader scram-sha-256\nlocal all md5reader md5\nlocal all all trust\n";
    std::fs::write(server().directory().join("data/pg_hba.conf"), rules).unwrap();
    execute(&database, "SELECT pg_reload_conf()");
    // A new connection sees the new rules once the server has read them.
    let as_user = |user: &str| {
        server()
            .uri(&database)
            .replace("postgres@", &format!("{user}@"))
    };
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while staged(&as_user("reader"), &["--height", "1"]).code() == 0 {
        let is_late = std::time::Instant::now() > limit;
        assert!(!is_late, "the server does not read its rules again");
    }

    let hash = model.blocks[0].state_hash.to_string();
    let arguments = ["--state-hash", &*hash];
    let password = |text| [("FORKPACK_ARCHIVE_PASSWORD", text)];
    for (uri, environment, code, part) in [
        (as_user("reader"), password("hunter2"), 0, ""),
        (as_user("md5reader"), password("hunter3"), 0, ""),
        (
            as_user("reader"),
            password("wrong-hunter2"),
            6,
            "refused the user",
        ),
        (
            as_user("reader"),
            [("UNUSED", "")],
            2,
            "asks for a password",
        ),
        (
            as_user("reader:wrong-hunter2"),
            [("UNUSED", "")],
            6,
            "refused the user",
        ),
        (
            as_user("stranger"),
            [("UNUSED", "")],
            6,
            "permission denied",
        ),
    ] {
        let run = staged_with(&uri, &arguments, &environment);
        let said = format!(
            "{}{}",
            run.said(),
            String::from_utf8_lossy(&run.output.stdout)
        );
        assert_eq!(run.code(), code, "{said}");
        assert!(said.contains(part), "{said}");
        assert!(!said.contains("hunter"), "{said}");
        let files = std::fs::read_dir(run.out()).into_iter().flatten();
        for file in files.chain(std::fs::read_dir(run.directory.path()).unwrap()) {
            let path = file.unwrap().path();
            let text = std::fs::read(&path).unwrap_or_default();
            let holds = text.windows(6).any(|part| part == b"hunter");
            assert!(!holds, "{}", path.display());
        }
    }

    // From a file, whatever ends its line.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    let mode =
        |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    for (text, bits, code, part) in [
        ("hunter2", 0o600, 0, ""),
        ("hunter2\n", 0o400, 0, ""),
        ("hunter2\r\nnot this line\n", 0o600, 0, ""),
        ("hunter2 \n", 0o600, 6, "refused the user"),
        ("\n", 0o600, 6, "refused"),
        ("hunter2\n", 0o640, 2, "can be read by others"),
        ("hunter2\n", 0o604, 2, "can be read by others"),
    ] {
        std::fs::write(&file, text).unwrap();
        mode(bits);
        let path = file.to_str().unwrap();
        let arguments = ["--state-hash", &hash, "--password-file", path];
        let run = staged(&as_user("reader"), &arguments);
        assert_eq!(run.code(), code, "{text:?} {bits:o}: {}", run.said());
        assert!(run.said().contains(part), "{}", run.said());
        assert!(!run.said().contains("hunter"), "{}", run.said());
        mode(0o600);
    }
    std::fs::remove_file(&file).unwrap();
    let arguments = [
        "--state-hash",
        &hash,
        "--password-file",
        file.to_str().unwrap(),
    ];
    staged(&as_user("reader"), &arguments).fails(5, "password");
}

#[test]
fn addresses_that_are_no_server() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let uri = format!("postgres://u:hunter2@127.0.0.1:{closed}/d?sslmode=disable");
    let run = staged(&uri, &["--height", "1"]);
    run.fails(6, "could not connect");
    assert!(!run.said().contains("hunter"), "{}", run.said());

    // Answers what is no PostgreSQL, and closes.
    for (answer, code, part) in [
        (&b""[..], 6, "was lost"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", 5, "sent"),
        (b"N", 6, "was lost"),
        (b"NHTTP/1.1 400 Bad Request\r\n\r\n", 5, "sent"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut start = [0; 8];
            stream.read_exact(&mut start).unwrap();
            stream.write_all(answer).unwrap();
        });
        let uri = format!("postgres://u:hunter2@127.0.0.1:{port}/d");
        let run = staged(&uri, &["--height", "1"]);
        thread.join().unwrap();
        run.fails(code, part);
    }
    staged(
        "postgres://u:hunter2@h/d?sslmode=verify-full",
        &["--height", "1"],
    )
    .fails(2, "names no sslrootcert");
}

/// The connection ends in the middle of the accounts, behind `bytes` of the server's answers.
#[test]
fn a_connection_that_is_cut() {
    if !have_server() {
        return;
    }
    let (database, _) = generated(&ArchiveSpec {
        seed: 23,
        height: 4,
        ..ArchiveSpec::default()
    });
    for bytes in [200_usize, 4_000, 12_000] {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join(".s.PGSQL.5432")).unwrap();
        let thread = std::thread::spawn(move || {
            let (client, _) = listener.accept().unwrap();
            let server = UnixStream::connect(server().directory().join(".s.PGSQL.5432")).unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let questions = std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            let mut answers = (&server).take(bytes as u64);
            let copied = std::io::copy(&mut answers, &mut &client).unwrap();
            client.shutdown(Shutdown::Both).unwrap();
            server.shutdown(Shutdown::Both).unwrap();
            let _ = questions.join().unwrap();
            copied
        });
        let uri = format!(
            "postgresql:///{database}?host={}",
            directory.path().display()
        );
        let run = staged(&uri, &["--height", "1"]);
        run.fails(6, "was lost");
        assert_eq!(thread.join().unwrap(), bytes as u64);
    }
}

/// Every command refuses the same things with the same exit code, and leaves nothing.
#[test]
fn every_command_refuses_alike() {
    if !have_server() {
        return;
    }
    let empty = fresh("empty");
    create(&empty, "template0");
    let old = fresh("old");
    create(&old, "template0");
    execute(&old, "CREATE TABLE blocks (id int, state_hash text)");
    let (without, _) = generated(&ArchiveSpec {
        seed: 26,
        height: 2,
        ..ArchiveSpec::default()
    });
    execute(&without, "TRUNCATE blocks");
    let directory = tempfile::tempdir().unwrap();
    let network = directory.path().join("network.toml");
    let text = fork_testkit::archive::network_file(fork_types::Era::Berkeley);
    std::fs::write(&network, text).unwrap();
    let network = network.to_str().unwrap();
    let hash = "3NK2tkzqqK5spR2sZ7tujjqPksL45M3UUrcA4WhCkeiPtnugyE2x";
    let root = "jw6bz2wud1N6itRUHZ5ypo3267stk4UgzkiuWtAMPRZo9g4Udyd";
    let nobody = format!("postgresql:///x?host={}", directory.path().display());
    for (uri, code, part) in [
        (nobody, 6, "could not connect"),
        (server().uri("nowhere"), 2, "does not exist"),
        (server().uri(&empty), 5, "no archive"),
        (server().uri(&old), 5, "first mainnet"),
        (server().uri(&without), 3, "has no blocks"),
    ] {
        for (command, arguments) in [
            ("staged", vec!["--height", "2"]),
            (
                "candidate",
                vec!["--network", network, "--state-hash", hash],
            ),
            ("snarked", vec!["--ledger-hash", root, "--state-hash", hash]),
            ("list", vec![]),
            ("select", vec!["--network", network]),
        ] {
            let place = tempfile::tempdir().unwrap();
            let mut worker = std::process::Command::new(env!("CARGO_BIN_EXE_materialize-ledger"));
            worker
                .args([command, "--archive-uri", &uri])
                .args(arguments);
            if !["list", "select"].contains(&command) {
                worker.arg("--output").arg(place.path().join("a/b/out"));
            }
            let output = worker.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{command}: {said}");
            assert!(said.contains(part), "{command}: {said}");
            let left = std::fs::read_dir(place.path()).unwrap().count();
            assert_eq!(left, 0, "{command}");
        }
    }
}
