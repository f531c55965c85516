//! From many measurements to the few figures that are printed.
//!
//! Medians throughout: on a machine that does other work as well, means tell more about that work.
//! Ratios are taken within a round, where both sides met the same weather, and then the median over
//! the rounds.

use serde::Serialize;

/// One figure over all rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// The middle one.
    pub(crate) median: f64,
    /// The smallest.
    pub(crate) min: f64,
    /// The largest.
    pub(crate) max: f64,
}

/// Median, smallest and largest; zeros of nothing.
pub(crate) fn spread(values: impl IntoIterator<Item = f64>) -> Spread {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let (min, max) =
        (values.first().copied().unwrap_or_default(), values.last().copied().unwrap_or_default());
    Spread { median: middle(&values), min, max }
}

fn middle(sorted: &[f64]) -> f64 {
    let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
    if sorted.is_empty() {
        return 0.0;
    }
    if sorted.len().is_multiple_of(2) {
        f64::midpoint(at(sorted.len() / 2 - 1), at(sorted.len() / 2))
    } else {
        at(sorted.len() / 2)
    }
}

/// What one round of one candidate took, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Times {
    /// Half took no longer.
    pub(crate) p50: f64,
    /// 99 of 100 took no longer.
    pub(crate) p99: f64,
    /// All of them shared out.
    pub(crate) mean: f64,
    /// The longest.
    pub(crate) max: f64,
}

/// The figures of one round from its single times in nanoseconds, which are sorted for it.
pub(crate) fn times(nanos: &mut [u64]) -> Times {
    nanos.sort_unstable();
    let at = |share: f64| {
        let index = (nanos.len() as f64 * share) as usize;
        nanos.get(index.min(nanos.len().saturating_sub(1))).map_or(0.0, |&nanos| nanos as f64 / 1e3)
    };
    let sum: u64 = nanos.iter().sum();
    Times {
        p50: at(0.5),
        p99: at(0.99),
        mean: sum as f64 / 1e3 / nanos.len().max(1) as f64,
        max: at(1.0),
    }
}

/// How `ours` compares with `theirs`, round by round.
pub(crate) fn ratios(ours: &[f64], theirs: &[f64]) -> Spread {
    spread(
        ours.iter()
            .zip(theirs)
            .filter(|(_, theirs)| **theirs > 0.0)
            .map(|(ours, theirs)| ours / theirs),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(spread([3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(spread([4.0, 1.0]), Spread { median: 2.5, min: 1.0, max: 4.0 });
        assert_eq!(spread([]), Spread { median: 0.0, min: 0.0, max: 0.0 });
    }

    #[test]
    fn percentiles() {
        let mut nanos: Vec<u64> = (1..=1000).rev().map(|n| n * 1000).collect();
        assert_eq!(times(&mut nanos), Times { p50: 501.0, p99: 991.0, mean: 500.5, max: 1000.0 });
        assert_eq!(times(&mut []), Times { p50: 0.0, p99: 0.0, mean: 0.0, max: 0.0 });
        assert_eq!(times(&mut [1500]).p99, 1.5);
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The second round met a machine half as fast; the ratio does not notice.
        assert_eq!(ratios(&[2.0, 4.0], &[1.0, 2.0]), Spread { median: 2.0, min: 2.0, max: 2.0 });
    }
}
