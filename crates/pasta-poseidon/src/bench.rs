//! What the limit of [`crate::Kernel::Ifma`] follows from. For measurements; not part of the crate's
//! interface.

use std::time::{Duration, Instant};

use crate::permutation::Instance;

/// Permutations that the kernel computes at once.
pub const LANES: u32 = 8;

/// Multiply-adds of a reduction, for the kernel's five limbs of 52 bits: five steps of six.
const REDUCTION: u32 = 30;
/// Of a product: a low and a high half for each pair of limbs.
const PRODUCT: u32 = 50;
/// Of a square, whose products of different limbs are computed once.
const SQUARE: u32 = 30;

/// Rounds of a permutation.
#[must_use]
pub const fn rounds(instance: Instance) -> u32 {
    match instance {
        Instance::Kimchi => 55,
        Instance::Legacy => 63,
    }
}

/// Multiply-adds of one round of eight permutations: the powers of three words, and three times the
/// sum of two products.
#[must_use]
pub const fn madds_per_round(instance: Instance) -> u32 {
    let products = match instance {
        Instance::Kimchi => 2,
        Instance::Legacy => 1,
    };
    let power = 2 * (SQUARE + REDUCTION) + products * (PRODUCT + REDUCTION);
    3 * power + 3 * (2 * PRODUCT + REDUCTION)
}

/// Nanoseconds that the multiply-adds of one permutation take if nothing else does, at `madd_rate` of
/// them per nanosecond.
#[must_use]
pub fn nanoseconds_at_least(instance: Instance, madd_rate: f64) -> f64 {
    f64::from(madds_per_round(instance) * rounds(instance)) / f64::from(LANES) / madd_rate
}

/// 512-bit multiply-add instructions (`vpmadd52`) per nanosecond, measured on this processor in about
/// two milliseconds; `None` if it has none.
#[must_use]
pub fn madd_rate() -> Option<f64> {
    /// Turns of about 10 microseconds: too short to be interrupted every time.
    const TURNS: u32 = 2000;
    const TRIES: u32 = 200;
    let mut best = Duration::MAX;
    let mut count = 0;
    for _ in 0..TRIES {
        let start = Instant::now();
        count = execute(TURNS)?;
        best = best.min(start.elapsed());
    }
    // Nothing takes no time; a clock so coarse says nothing.
    (best > Duration::ZERO).then(|| f64::from(count) / (best.as_secs_f64() * 1e9))
}

#[cfg(target_arch = "x86_64")]
fn execute(turns: u32) -> Option<u32> {
    use crate::ifma::rate;
    rate::execute(turns).then_some(turns * rate::MADDS_PER_TURN)
}

#[cfg(not(target_arch = "x86_64"))]
fn execute(_: u32) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Kernel;
    use crate::permutation::textbook_parameters;

    #[test]
    fn rounds_are_those_of_the_parameters() {
        for instance in [Instance::Kimchi, Instance::Legacy] {
            let count = textbook_parameters(instance).rounds.len();
            assert_eq!(rounds(instance) as usize, count);
        }
    }

    #[test]
    fn rounds_cost_what_was_counted_by_hand() {
        assert_eq!(madds_per_round(Instance::Kimchi), 1230);
        assert_eq!(madds_per_round(Instance::Legacy), 990);
    }

    /// No processor is outside of this by far.
    #[test]
    fn the_rate_is_plausible() {
        let rate = madd_rate();
        assert_eq!(rate.is_some(), Kernel::Ifma.is_available());
        if let Some(rate) = rate {
            assert!((0.05..50.0).contains(&rate), "{rate}");
        }
    }
}
