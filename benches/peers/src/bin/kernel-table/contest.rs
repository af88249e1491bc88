//! Contestants that take turns.

use std::hint::black_box;
use std::time::Instant;

use fork_bench_peers::poseidon::{self, Element};
use pasta_poseidon::{Fp, Instance, Kernel, State, hash, prefix_state};

/// Permutations per turn of those that do one at a time: about a millisecond.
const SINGLE: usize = 64;

/// Inputs per turn of a vector kernel: one or a few milliseconds.
const BATCH: usize = 2048;

/// Inputs per turn of the portable kernel's batches, which is ten times slower.
const PORTABLE_BATCH: usize = 128;

/// Nodes of a level of a tree.
const LEVEL: usize = 8192;

/// Elements of a plain account after its first block.
const ACCOUNT_ELEMENTS: usize = 6;

/// Something that permutes.
pub(crate) struct Contestant {
    pub(crate) name: String,
    /// The kernel, for those that are batches of one.
    pub(crate) kernel: Option<Kernel>,
    permutations: usize,
    turn: Box<dyn FnMut()>,
}

/// Times per permutation.
pub(crate) struct Outcome {
    pub(crate) median_ns: f64,
    pub(crate) minimum_ns: f64,
}

/// Plain ark-ff first, then the kernels.
pub(crate) fn contestants(kernels: &[Kernel]) -> Vec<Contestant> {
    let mut contestants = vec![plain_arkworks(), one_at_a_time()];
    for kernel in kernels {
        let batch = match kernel {
            Kernel::Portable => PORTABLE_BATCH,
            _ => BATCH,
        };
        let name = kernel.name();
        contestants.push(batches(
            *kernel,
            format!("`{name}`, batches of {batch} pairs"),
            2,
            batch,
        ));
        contestants.push(batches(
            *kernel,
            format!("`{name}`, batches of {batch} × {ACCOUNT_ELEMENTS} elements (plain accounts)"),
            ACCOUNT_ELEMENTS,
            batch,
        ));
        if *kernel == Kernel::active() {
            let title = format!("`{name}`, a tree level of {LEVEL} nodes");
            contestants.push(batches(*kernel, title, 2, LEVEL));
        }
    }
    contestants
}

/// Gives each contestant `turns` turns, round robin, after one that does not count.
pub(crate) fn run(contestants: &mut [Contestant], turns: u32) -> Vec<Outcome> {
    let mut times: Vec<Vec<f64>> = contestants.iter().map(|_| Vec::new()).collect();
    for turn in 0..=turns {
        for (contestant, times) in contestants.iter_mut().zip(&mut times) {
            let started = Instant::now();
            (contestant.turn)();
            let elapsed = started.elapsed();
            if turn > 0 {
                times.push(elapsed.as_secs_f64() * 1e9 / contestant.permutations as f64);
            }
        }
    }
    times
        .into_iter()
        .map(|mut times| {
            times.sort_by(f64::total_cmp);
            Outcome {
                median_ns: times[times.len() / 2],
                minimum_ns: times[0],
            }
        })
        .collect()
}

fn start() -> State {
    prefix_state(Instance::Kimchi, "MinaMklTree000")
}

fn inputs(count: usize) -> Vec<Fp> {
    let mut random = fork_testkit::fixture::Random::new(1, 0, 0);
    (0..count)
        .map(|_| Fp::from_limbs_reduced(std::array::from_fn(|_| random.next())))
        .collect()
}

fn plain_arkworks() -> Contestant {
    let start = start().words().map(poseidon::from_library);
    let inputs: Vec<Element> = inputs(2 * SINGLE)
        .into_iter()
        .map(poseidon::from_library)
        .collect();
    Contestant {
        name: "plain ark-ff 0.5, one at a time".to_owned(),
        kernel: None,
        permutations: SINGLE,
        turn: Box::new(move || {
            for pair in inputs.chunks_exact(2) {
                black_box(poseidon::hash(&start, black_box(pair)));
            }
        }),
    }
}

fn one_at_a_time() -> Contestant {
    let start = start();
    let inputs = inputs(2 * SINGLE);
    Contestant {
        name: "`hash`, one at a time".to_owned(),
        kernel: None,
        permutations: SINGLE,
        turn: Box::new(move || {
            for pair in inputs.chunks_exact(2) {
                black_box(hash(&start, black_box(pair)));
            }
        }),
    }
}

fn batches(kernel: Kernel, name: String, width: usize, count: usize) -> Contestant {
    let start = start();
    let inputs = inputs(width * count);
    let mut out = vec![Fp::ZERO; count];
    Contestant {
        name,
        kernel: Some(kernel),
        permutations: width.div_ceil(2) * count,
        turn: Box::new(move || {
            kernel.hash_batch(&start, width, black_box(&inputs), &mut out);
            black_box(&mut out);
        }),
    }
}
