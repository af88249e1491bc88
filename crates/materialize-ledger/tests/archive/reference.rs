//! The dumps of real networks, where they are at hand.

use crate::support::{
    connect, create, execute, fresh, have_server, load_dump, reference_dumps, server, staged,
};

#[test]
fn every_block_of_real_networks() {
    let Some(dumps) = reference_dumps().filter(|_| have_server()) else {
        return;
    };
    for (file, blocks) in [
        ("archive-berkeley-2024-11-06.sql", 34),
        ("archive-mesa-2025-11-23.sql", 39),
    ] {
        let database = fresh("real");
        create(&database, "template0");
        load_dump(&database, &dumps.join(file));
        execute(&database, "SELECT 1");
        let mut hashes = Vec::new();
        connect(&database)
            .query(
                "list",
                "SELECT state_hash FROM public.blocks",
                &[],
                &mut |row| {
                    hashes.push(row.text(0).unwrap().to_owned());
                    Ok(())
                },
            )
            .unwrap();
        assert_eq!(hashes.len(), blocks, "{file}");
        for hash in hashes {
            let run = staged(&server().uri(&database), &["--state-hash", &hash]);
            assert_eq!(run.code(), 0, "{file} {hash}: {}", run.said());
        }
    }
}
