use std::ffi::OsStr;

use proptest::prelude::*;

use super::*;
use crate::textbook;

const INSTANCES: [Instance; 2] = [Instance::Kimchi, Instance::Legacy];

/// 0, 1, p - 1 and p - 2, where a missing reduction or carry would show.
fn boundaries() -> [Fp; 4] {
    [Fp::ZERO, Fp::ONE, -Fp::ONE, -Fp::from_u64(2)]
}

/// The number that an element is stored as is a boundary, too: what the kernels compute with.
fn stored_boundaries() -> [Fp; 4] {
    let (last, _) = crate::limbs::subtract(&crate::limbs::P, &[1, 0, 0, 0]);
    [
        [1, 0, 0, 0],
        [0, 0, 0, 1 << 62],
        [u64::MAX, u64::MAX, u64::MAX, (1 << 62) - 1],
        last,
    ]
    .map(Fp::from_montgomery)
}

fn element() -> impl Strategy<Value = Fp> {
    prop_oneof![
        2 => any::<[u64; 4]>().prop_map(Fp::from_limbs_reduced),
        1 => prop::sample::select(boundaries().to_vec()),
        1 => prop::sample::select(stored_boundaries().to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn kernels_compute_the_definition(
        words in prop::array::uniform3(element()),
        width in 0_usize..10,
        count in 0_usize..41,
        pool in prop::collection::vec(element(), 9 * 40),
    ) {
        let inputs = &pool[..width * count];
        for instance in INSTANCES {
            let expected: Vec<Fp> = (0..count)
                .map(|index| {
                    textbook::hash(instance, words, &inputs[index * width..(index + 1) * width])
                })
                .collect();
            let state = State::new(instance, words);
            for kernel in Kernel::available() {
                let mut found = vec![Fp::from_u64(7); count];
                kernel.hash_batch(&state, width, inputs, &mut found);
                prop_assert_eq!(&found, &expected, "{:?} {:?}", kernel, instance);
            }
        }
    }

    #[test]
    fn single_permutations_compute_the_definition(words in prop::array::uniform3(element())) {
        for instance in INSTANCES {
            prop_assert_eq!(permute(instance, &words), textbook::permute(instance, words));
        }
    }
}

/// Each boundary value at each position of each lane, all others without a pattern.
#[test]
fn boundary_values_in_every_lane_and_position() {
    const WIDTH: usize = 3;
    const COUNT: usize = 9;
    let mut element = Fp::from_u64(3);
    let pool: [Fp; WIDTH * COUNT] = std::array::from_fn(|_| {
        element = element.square() + Fp::ONE;
        element
    });
    for instance in INSTANCES {
        let words = [pool[5], pool[6], pool[7]];
        let state = State::new(instance, words);
        let hash = |input: &[Fp]| textbook::hash(instance, words, input);
        let unchanged: Vec<Fp> = pool.chunks(WIDTH).map(hash).collect();
        for value in boundaries().into_iter().chain(stored_boundaries()) {
            for position in 0..WIDTH * COUNT {
                let mut inputs = pool;
                inputs[position] = value;
                let lane = position / WIDTH;
                let mut expected = unchanged.clone();
                expected[lane] = hash(&inputs[lane * WIDTH..(lane + 1) * WIDTH]);
                for kernel in Kernel::available() {
                    let mut found = [Fp::ZERO; COUNT];
                    kernel.hash_batch(&state, WIDTH, &inputs, &mut found);
                    assert_eq!(found[..], expected, "{kernel:?} {instance:?} {position}");
                }
            }
        }
    }
}

#[test]
fn boundary_states() {
    let values: Vec<Fp> = boundaries()
        .into_iter()
        .chain(stored_boundaries())
        .collect();
    for instance in INSTANCES {
        for first in &values {
            for second in &values {
                for third in &values {
                    let words = [*first, *second, *third];
                    let expected = textbook::hash(instance, words, &[]);
                    for kernel in Kernel::available() {
                        let mut found = [Fp::ZERO; 1];
                        kernel.hash_batch(&State::new(instance, words), 0, &[], &mut found);
                        assert_eq!(found, [expected], "{kernel:?} {words:?}");
                    }
                }
            }
        }
    }
}

/// Prints what the constants must be, should they ever change.
#[test]
fn self_test_constants_follow_from_the_definition() {
    for (instance, expected) in SELF_TEST {
        let (state, inputs) = self_test_inputs(instance);
        let digests: Vec<Fp> = inputs
            .chunks(2)
            .map(|pair| textbook::hash(instance, *state.words(), pair))
            .collect();
        assert_eq!(digests.len(), SELF_TEST_COUNT);
        assert_eq!(
            self_test_summary(&digests).to_canonical_limbs(),
            expected,
            "{instance:?}"
        );
    }
}

#[test]
fn self_test_passes_and_a_wrong_digest_shows_in_its_summary() {
    for kernel in Kernel::available() {
        assert_eq!(kernel.test(), Ok(()));
    }
    let digests = [4, 5, 6].map(Fp::from_u64);
    for wrong in 0..digests.len() {
        let mut changed = digests;
        changed[wrong] += Fp::ONE;
        assert_ne!(self_test_summary(&digests), self_test_summary(&changed));
    }
}

#[test]
fn names_are_parsed_exactly() {
    for kernel in Kernel::ALL {
        assert_eq!(Kernel::from_name(OsStr::new(kernel.name())), Ok(kernel));
    }
    for name in ["", "IFMA", "avx", " ifma", "adx,ifma"] {
        let found = name.to_owned();
        assert_eq!(
            Kernel::from_name(OsStr::new(name)),
            Err(KernelError::Unknown { found })
        );
    }
}

#[test]
fn errors_read_well() {
    let unknown = Kernel::from_name(OsStr::new("fast")).unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "FORKPACK_KERNEL names no kernel: expected portable, adx, ifma, found `fast`"
    );
    let kernel = Kernel::Ifma;
    assert_eq!(
        KernelError::Unavailable { kernel }.to_string(),
        "this processor cannot run the kernel `ifma`"
    );
    assert_eq!(
        KernelError::Defective { kernel }.to_string(),
        "the kernel `ifma` computes wrong hashes on this processor"
    );
}
