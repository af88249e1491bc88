//! The parts that a migration's time is made of, one thread unless said.
//!
//! `cargo bench -p fork-bench --bench kernels -- permutation` runs one group.

use std::convert::Infallible;
use std::error::Error;
use std::hint::black_box;
use std::str::FromStr;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput};
use fork_bench::naive::{Poseidon, to_montgomery};
use fork_ledger::account::Account;
use fork_ledger::batch::AccountReader;
use fork_ledger::binprot::{decode_account, encode_account};
use fork_ledger::hash::{hash_account, hash_accounts};
use fork_ledger::json::{
    ForkRules, VerificationKeyCache, from_fork_config, read_account_slice, write_account_json,
};
use fork_ledger::merkle::MerkleTree;
use fork_ledger::verification_key::VkHashCache;
use fork_testkit::fixture::{Accounts, FixtureSpec, Mix};
use fork_types::{Era, PublicKey, Role};
use pasta_poseidon::{Fp, Instance, Kernel, State, prefix_state};

/// Accounts or pairs per batch: what a thread of the library takes at a time, or more.
const BATCH: usize = 1024;

/// Leaves of the tree.
const LEAVES: usize = 1 << 14;

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default().configure_from_args();
    permutation(&mut criterion);
    let single = Arc::new(rayon::ThreadPoolBuilder::new().num_threads(1).build()?);
    let plain = accounts(Mix::Plain, |_| true)?;
    // As many keys as accounts: hashing a key costs more than the rest of its account.
    let zkapps = accounts(Mix::Realistic, |account| account.zkapp.is_some())?;
    let mixed = accounts(Mix::Realistic, |_| true)?;
    for (kind, accounts) in [("plain", &plain), ("zkapp", &zkapps), ("mixed", &mixed)] {
        account_hash(&mut criterion, &single, kind, accounts)?;
        bin_prot(&mut criterion, kind, accounts)?;
        json(&mut criterion, &single, kind, accounts)?;
    }
    merkle(&mut criterion, &single)?;
    base58(&mut criterion, &plain)?;
    criterion.final_summary();
    Ok(())
}

/// The first [`BATCH`] accounts of a made-up ledger that `wanted` wants.
fn accounts(mix: Mix, wanted: impl Fn(&Account) -> bool) -> Result<Vec<Account>, Box<dyn Error>> {
    let spec = FixtureSpec {
        // Every 33rd account of the realistic mix is a zkApp.
        accounts: u32::try_from(BATCH * 40)?,
        mix,
        ..FixtureSpec::default()
    };
    let made = Accounts::new(&spec)?;
    let found: Vec<Account> = (0..spec.accounts)
        .map(|index| made.account(Role::Genesis, index))
        .filter(wanted)
        .take(BATCH)
        .collect();
    if found.len() < BATCH {
        return Err("the fixture has too few accounts of the kind".into());
    }
    Ok(found)
}

/// One block: latency, and for batches the time per permutation follows from the throughput.
fn permutation(criterion: &mut Criterion) {
    let pair = [Fp::from_u64(3), -Fp::from_u64(5)];
    let limbs = pair.map(|element| to_montgomery(element.to_canonical_limbs()));
    for (name, instance) in [("kimchi", Instance::Kimchi), ("legacy", Instance::Legacy)] {
        let mut group = criterion.benchmark_group(format!("permutation/{name}"));
        let start = prefix_state(instance, "bench");
        group.bench_function("library", |bencher| {
            let mut state: State = start;
            bencher.iter(|| state.absorb_pair(black_box(pair)));
            black_box(state);
        });
        let naive = Poseidon::new(instance);
        group.bench_function("naive", |bencher| {
            let mut words = start
                .words()
                .map(|word| to_montgomery(word.to_canonical_limbs()));
            bencher.iter(|| words = naive.absorb_pair(words, black_box(limbs)));
            black_box(words);
        });
        group.throughput(Throughput::Elements(BATCH as u64));
        let pairs: Vec<[Fp; 2]> = (0..BATCH as u64)
            .map(|number| [Fp::from_u64(number), -Fp::from_u64(number)])
            .collect();
        let mut out = vec![Fp::ZERO; BATCH];
        for kernel in Kernel::available() {
            group.bench_function(format!("batch-of-{BATCH}/{}", kernel.name()), |bencher| {
                let inputs = pairs.as_flattened();
                bencher.iter(|| kernel.hash_batch(&start, 2, black_box(inputs), &mut out));
            });
        }
        group.finish();
    }
}

fn account_hash(
    criterion: &mut Criterion,
    single: &rayon::ThreadPool,
    kind: &str,
    accounts: &[Account],
) -> Result<(), Box<dyn Error>> {
    let keys = VkHashCache::new();
    hash_accounts(Era::Berkeley, accounts, &keys)?;
    let mut group = criterion.benchmark_group(format!("account-hash/{kind}"));
    let mut next = accounts.iter().cycle();
    group.bench_function("one-by-one", |bencher| {
        bencher.iter(|| {
            next.next()
                .map(|account| hash_account(Era::Berkeley, account, &keys))
        });
    });
    group.throughput(Throughput::Elements(accounts.len() as u64));
    // The first time a key is seen it is hashed, later it is known.
    group.bench_function(format!("batch-of-{BATCH}/known-keys"), |bencher| {
        single.install(|| {
            bencher.iter(|| hash_accounts(Era::Berkeley, black_box(accounts), &keys));
        });
    });
    group.bench_function(format!("batch-of-{BATCH}/new-keys"), |bencher| {
        single.install(|| {
            bencher.iter(|| hash_accounts(Era::Berkeley, black_box(accounts), &VkHashCache::new()));
        });
    });
    group.finish();
    Ok(())
}

fn merkle(criterion: &mut Criterion, single: &rayon::ThreadPool) -> Result<(), Box<dyn Error>> {
    let leaves: Vec<Fp> = (0..LEAVES as u64).map(Fp::from_u64).collect();
    MerkleTree::new(Era::Berkeley, 14, leaves.clone())?;
    let mut group = criterion.benchmark_group("merkle/2^14-leaves");
    group.sample_size(10);
    group.throughput(Throughput::Elements(LEAVES as u64));
    let tree = |leaves: Vec<Fp>| MerkleTree::new(Era::Berkeley, 14, leaves);
    group.bench_function("one-thread", |bencher| {
        single.install(|| {
            bencher.iter_batched(|| leaves.clone(), tree, BatchSize::LargeInput);
        });
    });
    group.bench_function("all-threads", |bencher| {
        bencher.iter_batched(|| leaves.clone(), tree, BatchSize::LargeInput);
    });
    group.finish();
    Ok(())
}

fn bin_prot(
    criterion: &mut Criterion,
    kind: &str,
    accounts: &[Account],
) -> Result<(), Box<dyn Error>> {
    let mut group = criterion.benchmark_group(format!("bin-prot/{kind}"));
    group.throughput(Throughput::Elements(1));
    let mut next = accounts.iter().cycle();
    let mut bytes = Vec::new();
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            bytes.clear();
            if let Some(account) = next.next() {
                encode_account(account, &mut bytes);
            }
        });
    });
    let encoded: Vec<Vec<u8>> = accounts
        .iter()
        .map(|account| {
            let mut bytes = Vec::new();
            encode_account(account, &mut bytes);
            bytes
        })
        .collect();
    for bytes in &encoded {
        decode_account(Era::Berkeley, bytes)?;
    }
    let mut next = encoded.iter().cycle();
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            next.next()
                .map(|bytes| decode_account(Era::Berkeley, bytes))
        });
    });
    group.finish();
    Ok(())
}

/// Text to accounts: by the reader that migrations use, by the general one, and a
/// `serde_json::Value` (which is not an account yet) to compare with.
fn json(
    criterion: &mut Criterion,
    single: &rayon::ThreadPool,
    kind: &str,
    accounts: &[Account],
) -> Result<(), Box<dyn Error>> {
    let mut text = vec![b'['];
    for (index, account) in accounts.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        write_account_json(account, &mut text);
    }
    text.push(b']');
    let fast = |text: &[u8]| {
        let mut reader = AccountReader::new(text, Era::Berkeley, false);
        let mut read = 0;
        while let Ok(Some(batch)) = reader.next_batch() {
            read += batch.len();
        }
        read
    };
    let rules = ForkRules::strict(Era::Berkeley);
    let general = |text: &[u8]| {
        // A new one each time, as every reader has.
        let keys = VerificationKeyCache::new();
        let mut converted = 0_usize;
        let count = read_account_slice::<_, Infallible>(text, |_, json| {
            converted += usize::from(from_fork_config(&json, &rules, &keys).is_ok());
            Ok(())
        });
        count.map_or(0, |_| converted)
    };
    if fast(&text) != accounts.len() || general(&text) != accounts.len() {
        return Err("an account of the fixture cannot be read back".into());
    }
    let mut group = criterion.benchmark_group(format!("json/{kind}"));
    group.throughput(Throughput::Elements(accounts.len() as u64));
    group.bench_function("account-reader", |bencher| {
        single.install(|| bencher.iter(|| fast(black_box(&text))));
    });
    group.bench_function("general", |bencher| {
        bencher.iter(|| general(black_box(&text)));
    });
    group.bench_function("serde-json-value", |bencher| {
        bencher.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(&text)));
    });
    group.bench_function("write", |bencher| {
        let mut out = Vec::with_capacity(text.len());
        bencher.iter(|| {
            out.clear();
            for account in accounts {
                write_account_json(account, &mut out);
            }
        });
    });
    group.finish();
    Ok(())
}

fn base58(criterion: &mut Criterion, accounts: &[Account]) -> Result<(), Box<dyn Error>> {
    let texts: Vec<String> = accounts
        .iter()
        .map(|account| account.public_key.to_string())
        .collect();
    for text in &texts {
        PublicKey::from_str(text)?;
    }
    let mut group = criterion.benchmark_group("base58check/public-key");
    group.throughput(Throughput::Elements(1));
    let mut next = texts.iter().cycle();
    group.bench_function("decode", |bencher| {
        bencher.iter(|| next.next().map(|text| PublicKey::from_str(text)));
    });
    let mut next = accounts.iter().cycle();
    group.bench_function("encode", |bencher| {
        bencher.iter(|| next.next().map(|account| account.public_key.to_string()));
    });
    let mut next = texts.iter().cycle();
    group.bench_function("bs58-decode-without-checksum", |bencher| {
        bencher.iter(|| next.next().map(|text| bs58::decode(text).into_vec()));
    });
    group.finish();
    Ok(())
}
