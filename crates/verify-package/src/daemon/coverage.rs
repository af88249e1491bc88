//! How much a sample proves.
//!
//! Of N accounts, k of them bad, a sample of n without replacement misses all bad ones with the
//! hypergeometric probability C(N-k, n) / C(N, n), which is the product of (N-n-i) / (N-i) for i from 0
//! to k-1. It is computed with integers and rounded up at every step, so that a sample is never said
//! to prove more than it does.

/// 1 as a fixed-point number.
const ONE: u128 = 1_000_000_000_000_000_000;

/// Decimal places shown.
const SHOWN: u128 = 1_000_000_000;

/// A probability, never less than the true one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Probability(u128);

impl Probability {
    /// One in a hundred.
    pub(super) const ONE_PERCENT: Self = Self(ONE / 100);
}

impl std::fmt::Display for Probability {
    /// Nine decimal places, rounded up.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.0.div_ceil(ONE / SHOWN);
        write!(f, "{}.{:09}", shown / SHOWN, shown % SHOWN)
    }
}

/// The factors of the product, each with the product up to it.
fn products(total: u64, drawn: u64) -> impl Iterator<Item = Probability> {
    let drawn = drawn.min(total);
    (0..total).scan(ONE, move |product, before| {
        let left = u128::from((total - drawn).saturating_sub(before));
        // At most ONE times 2^64, which fits.
        *product = (*product * left).div_ceil(u128::from(total - before));
        Some(Probability(*product))
    })
}

/// Probability that `drawn` of `total` accounts miss all of `bad`; none when there are not so many.
pub(super) fn missed(total: u64, drawn: u64, bad: u64) -> Option<Probability> {
    let last = usize::try_from(bad.checked_sub(1)?).ok()?;
    products(total, drawn).nth(last)
}

/// The fewest bad accounts of which at least one is found with a probability of 99 %; none when
/// nothing is drawn.
pub(super) fn found(total: u64, drawn: u64) -> Option<u64> {
    products(total, drawn)
        .position(|missed| missed <= Probability::ONE_PERCENT)
        .map(|position| position as u64 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples among all of `drawn` of `total`, counted one by one, that hold none of the first `bad`.
    fn counted(total: u32, drawn: u32, bad: u32) -> (u128, u128) {
        let (mut missing, mut all) = (0, 0);
        for sample in 0_u32..1 << total {
            if sample.count_ones() == drawn {
                all += 1;
                if sample & ((1 << bad) - 1) == 0 {
                    missing += 1;
                }
            }
        }
        (missing, all)
    }

    #[test]
    fn it_is_what_counting_gives() {
        for total in 1..=10_u32 {
            for drawn in 0..=total {
                for bad in 1..=total {
                    let (missing, all) = counted(total, drawn, bad);
                    let exact = (missing * ONE).div_ceil(all);
                    let Probability(computed) =
                        missed(total.into(), drawn.into(), bad.into()).unwrap();
                    // Never below, and above by no more than the roundings.
                    let place = format!("{total} {drawn} {bad}");
                    assert!(computed >= exact, "{place}");
                    assert!(computed - exact <= u128::from(bad), "{place}");
                }
            }
        }
    }

    #[test]
    fn the_smallest_number_found_is_at_the_bound() {
        for (total, drawn) in [(10, 3), (1000, 100), (277_307, 500), (5, 5)] {
            let bad = found(total, drawn).unwrap();
            assert!(missed(total, drawn, bad).unwrap() <= Probability::ONE_PERCENT);
            if bad > 1 {
                assert!(missed(total, drawn, bad - 1).unwrap() > Probability::ONE_PERCENT);
            }
        }
        // By exact fractions, elsewhere.
        assert_eq!(found(277_307, 500), Some(2541));
        assert_eq!(found(10, 0), None);
        assert_eq!(found(0, 0), None);
    }

    #[test]
    fn odd_numbers() {
        assert_eq!(missed(10, 10, 1), Some(Probability(0)));
        assert_eq!(missed(10, 20, 1), Some(Probability(0)));
        assert_eq!(missed(10, 0, 10), Some(Probability(ONE)));
        assert_eq!(missed(10, 1, 11), None);
        assert_eq!(missed(10, 1, 0), None);
        assert_eq!(missed(10, 1, 1).unwrap().to_string(), "0.900000000");
        assert_eq!(missed(3, 1, 1).unwrap().to_string(), "0.666666667");
        assert_eq!(Probability(1).to_string(), "0.000000001");
        assert_eq!(Probability(ONE).to_string(), "1.000000000");
    }
}
