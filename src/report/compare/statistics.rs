//! Differences with bounds: shares, rates, ranks, quantiles. Pure functions of counts.
//!
//! All take `z`, the quantile of the normal distribution to which bounds are drawn.

#![expect(
    clippy::cast_precision_loss,
    reason = "counts of requests are far below 2^53, and bounds are estimates"
)]

/// A value between two bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bounded {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// `hits` of `of`, at most all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    hits: u64,
    of: u64,
}

impl Part {
    pub(super) fn new(hits: u64, of: u64) -> Self {
        Self {
            hits: hits.min(of),
            of,
        }
    }

    pub(super) fn share(self) -> f64 {
        if self.of == 0 {
            0.0
        } else {
            self.hits as f64 / self.of as f64
        }
    }

    /// Wilson's score interval (Wilson 1927).
    pub(super) fn bounds(self, z: f64) -> Bounded {
        let n = self.of as f64;
        if self.of == 0 {
            return Bounded {
                value: 0.0,
                low: 0.0,
                high: 1.0,
            };
        }
        let (p, zz) = (self.share(), z * z);
        let center = (p + zz / (2.0 * n)) / (1.0 + zz / n);
        let half = z / (1.0 + zz / n) * (p * (1.0 - p) / n + zz / (4.0 * n * n)).sqrt();
        Bounded {
            value: p,
            // Rounding must not leave out a bound that is reached exactly.
            low: if self.hits == 0 {
                0.0
            } else {
                (center - half).max(0.0)
            },
            high: if self.hits == self.of {
                1.0
            } else {
                (center + half).min(1.0)
            },
        }
    }
}

/// Difference of two shares, after less before (Newcombe 1998, method 10: from Wilson's intervals of both).
pub(super) fn share_difference(before: Part, after: Part, z: f64) -> Bounded {
    let (b, a) = (before.bounds(z), after.bounds(z));
    let value = a.value - b.value;
    Bounded {
        value,
        low: (value - ((a.value - a.low).powi(2) + (b.high - b.value).powi(2)).sqrt()).max(-1.0),
        high: (value + ((a.high - a.value).powi(2) + (b.value - b.low).powi(2)).sqrt()).min(1.0),
    }
}

/// Ratio of two shares, after by before (Katz et al. 1978, on the logarithm); `None` where either is 0.
pub(super) fn share_ratio(before: Part, after: Part, z: f64) -> Option<Bounded> {
    if before.hits == 0 || after.hits == 0 {
        return None;
    }
    let value = after.share() / before.share();
    let variance =
        1.0 / after.hits as f64 - 1.0 / after.of as f64 + 1.0 / before.hits as f64 - 1.0 / before.of as f64;
    let factor = (z * variance.max(0.0).sqrt()).exp();
    Some(Bounded {
        value,
        low: value / factor,
        high: value * factor,
    })
}

/// Ratio of two rates, after by before: given the sum of both counts, that of one side is binomial (Przyborowski and
/// Wilenski 1940), and Wilson's interval of its share gives that of the ratio. The bounds may be 0 and infinite.
pub(super) fn rate_ratio(before: (u64, f64), after: (u64, f64), z: f64) -> Option<Bounded> {
    let ((before, before_exposure), (after, after_exposure)) = (before, after);
    let usable = before_exposure > 0.0 && after_exposure > 0.0;
    let all = before.checked_add(after).filter(|all| *all > 0 && usable)?;
    let odds = |share: f64| {
        let per_exposure = before_exposure / after_exposure;
        if share >= 1.0 {
            f64::INFINITY
        } else {
            share / (1.0 - share) * per_exposure
        }
    };
    let bounds = Part::new(after, all).bounds(z);
    Some(Bounded {
        value: odds(bounds.value),
        low: odds(bounds.low),
        high: odds(bounds.high),
    })
}

/// Probability that a sample of the one side is greater than one of the other, half of the ties counted, and how many
/// standard deviations it is from no difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ranks {
    pub(super) probability: Bounded,
    pub(super) deviations: f64,
}

/// Mann and Whitney's statistic from counts by bin, both in the same bins in ascending order; the variance is corrected
/// for ties (samples of one bin). Bounds by Hanley and `McNeil` 1982. `None` if a side is empty or all samples are tied.
pub(super) fn ranks(bins: &[(u64, u64)], z: f64) -> Option<Ranks> {
    let (mut before_below, mut after_all, mut wins, mut ties) = (0.0, 0.0, 0.0, 0.0);
    for &(before, after) in bins {
        let (before, after) = (before as f64, after as f64);
        wins += after * (before_below + before / 2.0);
        before_below += before;
        after_all += after;
        let both = before + after;
        ties += both * both * both - both;
    }
    let before_all: f64 = before_below;
    let pairs = before_all * after_all;
    let all = before_all + after_all;
    if pairs <= 0.0 {
        return None;
    }
    let variance = pairs / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
    if variance <= 0.0 {
        return None;
    }
    let value = wins / pairs;
    let q1 = value / (2.0 - value);
    let q2 = 2.0 * value * value / (1.0 + value);
    let own = (value * (1.0 - value)
        + (after_all - 1.0) * (q1 - value * value)
        + (before_all - 1.0) * (q2 - value * value))
        / pairs;
    let half = z * own.max(0.0).sqrt();
    Some(Ranks {
        probability: Bounded {
            value,
            low: (value - half).max(0.0),
            high: (value + half).min(1.0),
        },
        deviations: (wins - pairs / 2.0) / variance.sqrt(),
    })
}

/// What is known of sorted samples: at these ranks (from 1) the value is at least, or at most, so much.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) count: u64,
    pub(super) at_least: Vec<(u64, f64)>,
    pub(super) at_most: Vec<(u64, f64)>,
}

impl Known {
    /// The `quantile`, which is `value`, with bounds: the ranks between which it lies (binomial, by the normal
    /// distribution), and what is known of the values at these ranks.
    pub(super) fn quantile(&self, quantile: f64, value: f64, z: f64) -> Bounded {
        let n = self.count as f64;
        let (center, half) = (n * quantile, z * (n * quantile * (1.0 - quantile)).sqrt());
        let first = rank_of((center - half).floor(), self.count);
        let last = rank_of((center + half).ceil() + 1.0, self.count);
        let below = self
            .at_least
            .iter()
            .filter(|(rank, _)| *rank <= first)
            .map(|(_, value)| *value);
        let above = self
            .at_most
            .iter()
            .filter(|(rank, _)| *rank >= last)
            .map(|(_, value)| *value);
        Bounded {
            value,
            low: below.fold(0.0, f64::max).min(value),
            high: above.fold(f64::INFINITY, f64::min).max(value),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 1 and a count"
)]
fn rank_of(rank: f64, count: u64) -> u64 {
    (rank.clamp(1.0, (count as f64).max(1.0)) as u64).min(count.max(1))
}

/// The rank that a quantile of `count` samples has.
pub(super) fn rank(quantile: f64, count: u64) -> u64 {
    rank_of((quantile * count as f64).ceil(), count)
}

/// Quantile of the normal distribution (Acklam's approximation, relative error below 1.2e-9) for `p` between 0 and 1,
/// both left out; the ends of what it can tell for others.
pub(super) fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -39.696_830_286_653_76,
        220.946_098_424_520_5,
        -275.928_510_446_968_7,
        138.357_751_867_269,
        -30.664_798_066_147_16,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -54.476_098_798_224_06,
        161.585_836_858_040_9,
        -155.698_979_859_886_6,
        66.801_311_887_719_72,
        -13.280_681_552_885_72,
    ];
    const C: [f64; 6] = [
        -0.007_784_894_002_430_293,
        -0.322_396_458_041_136_5,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] = [
        0.007_784_695_709_041_462,
        0.322_467_129_070_039_8,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
    ];
    let horner = |coefficients: &[f64], x: f64| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    let p = p.clamp(1e-300, 1.0 - f64::EPSILON);
    let tail = |p: f64| {
        let q = (-2.0 * p.ln()).sqrt();
        horner(&C, q) / (horner(&D, q) * q + 1.0)
    };
    if p < 0.024_25 {
        tail(p)
    } else if p > 1.0 - 0.024_25 {
        -tail(1.0 - p)
    } else {
        let q = p - 0.5;
        let r = q * q;
        horner(&A, r) * q / (horner(&B, r) * r + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const Z: f64 = 1.959_963_984_540_054;

    fn close(value: f64, expected: f64) {
        assert!((value - expected).abs() < 5e-4, "{value} is not {expected}");
    }

    #[test]
    fn quantiles_of_the_normal_distribution() {
        close(normal_quantile(0.975), 1.959_964);
        close(normal_quantile(0.5), 0.0);
        close(normal_quantile(0.01), -2.326_348);
        close(normal_quantile(1.0 - 1e-6), 4.753_424);
    }

    #[test]
    fn shares_as_published() {
        // Newcombe 1998 (interval estimation for the difference between independent proportions), table II: 56/70, 48/80.
        let difference = share_difference(Part::new(48, 80), Part::new(56, 70), Z);
        close(difference.value, 0.2);
        close(difference.low, 0.0524);
        close(difference.high, 0.3339);
        // The same table: 10/10 against 0/20 and 0/10 against 0/10.
        let all = share_difference(Part::new(0, 20), Part::new(10, 10), Z);
        close(all.low, 0.6791);
        close(all.high, 1.0);
        let none = share_difference(Part::new(0, 10), Part::new(0, 10), Z);
        close(none.low, -0.2775);
        close(none.high, 0.2775);
        // Wilson: 15 of 148 (Newcombe 1998, two-sided intervals for the single proportion: 0.0624 to 0.1605).
        let one = Part::new(15, 148).bounds(Z);
        close(one.low, 0.0624);
        close(one.high, 0.1605);
    }

    #[test]
    fn ranks_as_by_hand() {
        // {1, 2, 3} against {2, 4}: greater in 5 of 6 pairs, once a tie: (4 + 2 * 0.5 ...) counted out below.
        let bins = [(1, 0), (1, 1), (1, 0), (0, 1)];
        let ranks = ranks(&bins, Z).unwrap();
        close(ranks.probability.value, (1.0 + 0.5 + 3.0) / 6.0);
        assert_eq!(super::ranks(&[(5, 5)], Z), None, "all tied");
        assert_eq!(super::ranks(&[(5, 0)], Z), None);
    }

    #[test]
    fn rates_with_nothing_on_a_side() {
        let new = rate_ratio((0, 1000.0), (40, 1000.0), Z).unwrap();
        assert!(new.value.is_infinite() && new.high.is_infinite());
        assert!(new.low > 5.0, "{new:?}");
        let same = rate_ratio((100, 1000.0), (200, 2000.0), Z).unwrap();
        close(same.value, 1.0);
        assert!(same.low < 1.0 && same.high > 1.0);
        assert_eq!(rate_ratio((0, 1.0), (0, 1.0), Z), None);
        assert_eq!(rate_ratio((1, 0.0), (1, 1.0), Z), None);
    }

    #[test]
    fn quantiles_lie_between_what_is_known() {
        let known = Known {
            count: 1000,
            at_least: vec![(1, 2.0), (301, 4.0), (500, 6.0)],
            at_most: vec![(500, 6.0), (750, 8.0), (1000, 50.0)],
        };
        let median = known.quantile(0.5, 6.0, Z);
        assert_eq!((median.low, median.value, median.high), (4.0, 6.0, 8.0));
        let last = known.quantile(0.999, 40.0, Z);
        assert_eq!((last.low, last.high), (6.0, 50.0));
    }

    proptest! {
        #[test]
        fn bounds_hold_the_value(hits in 0_u64..5000, of in 1_u64..5000, hits2 in 0_u64..5000, of2 in 1_u64..5000, z in 0.1_f64..6.0) {
            let (before, after) = (Part::new(hits, of), Part::new(hits2, of2));
            for bounded in [before.bounds(z), share_difference(before, after, z)] {
                prop_assert!(bounded.low <= bounded.value + 1e-12 && bounded.value <= bounded.high + 1e-12, "{:?}", bounded);
            }
            let difference = share_difference(before, after, z);
            let turned = share_difference(after, before, z);
            prop_assert!((difference.value + turned.value).abs() < 1e-9 && (difference.low + turned.high).abs() < 1e-9);
            if let Some(ratio) = share_ratio(before, after, z) {
                prop_assert!(ratio.low <= ratio.value && ratio.value <= ratio.high);
            }
        }

        #[test]
        fn ranks_turn_with_the_sides(bins in proptest::collection::vec((0_u64..300, 0_u64..300), 1..12)) {
            let turned: Vec<_> = bins.iter().map(|(a, b)| (*b, *a)).collect();
            match (ranks(&bins, 2.0), ranks(&turned, 2.0)) {
                (Some(one), Some(other)) => {
                    prop_assert!((one.probability.value + other.probability.value - 1.0).abs() < 1e-9);
                    prop_assert!((one.deviations + other.deviations).abs() < 1e-6);
                }
                (None, None) => {}
                both => prop_assert!(false, "{:?}", both),
            }
        }
    }
}
