//! Which workspace's jobs are taken next: weighted stride scheduling.
//!
//! Each workspace has a pass. A job that a workspace is given moves the pass on by the workspace's
//! stride, which is the shorter the larger its weight. The workspace with the least pass is next.
//! The virtual time is the least pass of any workspace that had work when jobs were last planned; a
//! pass behind the virtual time counts as the virtual time, so that idling saves nothing up.

use std::collections::{BTreeMap, BTreeSet};

/// The weight of a workspace that was given none.
pub const WEIGHT: u32 = 100;
/// The largest weight.
pub const MAX_WEIGHT: u32 = 1_000;
/// The stride of weight 1: how far one job moves the pass of such a workspace.
const STRIDE: u64 = 1 << 30;

/// The passes of all workspaces. `K` names workspaces, and orders those whose passes are equal.
#[derive(Debug, Clone)]
pub struct Shares<K> {
    /// The least pass of any workspace that had work. No workspace's pass is behind it.
    virtual_time: u64,
    /// The passes of the workspaces that are ahead of the virtual time.
    passes: BTreeMap<K, u64>,
}

impl<K> Default for Shares<K> {
    fn default() -> Self {
        Self { virtual_time: 0, passes: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Shares<K> {
    /// Plans the next `limit` jobs: how many of them each workspace is due, if it has that many.
    /// `ready` are the workspaces that have work, with their weights. Workspaces that are due none
    /// are left out; the order is that of their first jobs. The jobs that a workspace is then given
    /// have to be charged by [`Shares::charge`].
    pub fn plan(&mut self, ready: &[(K, u32)], limit: u32) -> Vec<(K, u32)> {
        let mut queue: BTreeSet<(u64, &K, u32)> =
            ready.iter().map(|(key, weight)| (self.pass(key), key, *weight)).collect();
        let Some(least) = queue.first().map(|(pass, ..)| *pass) else {
            return Vec::new();
        };
        let mut counts: BTreeMap<&K, (usize, u32)> = BTreeMap::new();
        for _ in 0..limit {
            let Some((pass, key, weight)) = queue.pop_first() else { break };
            let turn = counts.len();
            counts.entry(key).or_insert((turn, 0)).1 += 1;
            queue.insert((pass.saturating_add(stride(weight)), key, weight));
        }
        let mut plan: Vec<(usize, K, u32)> =
            counts.into_iter().map(|(key, (turn, count))| (turn, key.clone(), count)).collect();
        plan.sort_unstable_by_key(|(turn, ..)| *turn);
        self.virtual_time = least;
        self.passes.retain(|_, pass| *pass > least);
        plan.into_iter().map(|(_, key, count)| (key, count)).collect()
    }

    /// Moves the pass of a workspace of this weight on by so many jobs, which it was given.
    pub fn charge(&mut self, key: &K, weight: u32, jobs: u32) {
        if jobs > 0 {
            let pass = self.pass(key).saturating_add(stride(weight).saturating_mul(jobs.into()));
            self.passes.insert(key.clone(), pass);
        }
    }

    fn pass(&self, key: &K) -> u64 {
        self.passes.get(key).copied().unwrap_or(self.virtual_time).max(self.virtual_time)
    }
}

fn stride(weight: u32) -> u64 {
    STRIDE / u64::from(weight.clamp(1, MAX_WEIGHT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives out jobs in batches of `limit` to workspaces that always have some, and counts.
    fn serve(
        shares: &mut Shares<&'static str>,
        ready: &[(&'static str, u32)],
        limit: u32,
        rounds: u32,
    ) -> BTreeMap<&'static str, u32> {
        let mut given = BTreeMap::new();
        for _ in 0..rounds {
            for (key, count) in shares.plan(ready, limit) {
                let weight = ready.iter().find(|(name, _)| *name == key).unwrap().1;
                shares.charge(&key, weight, count);
                *given.entry(key).or_default() += count;
            }
        }
        given
    }

    #[test]
    fn by_weight() {
        let given = serve(&mut Shares::default(), &[("a", 100), ("b", 300)], 8, 50);
        assert_eq!(given, BTreeMap::from([("a", 100), ("b", 300)]));
    }

    #[test]
    fn a_newcomer_is_next_and_saves_nothing_up() {
        let mut shares = Shares::default();
        serve(&mut shares, &[("a", 100)], 64, 1_000);
        assert_eq!(shares.plan(&[("a", 100), ("b", 100)], 1), [("b", 1)]);
        // As much as the other has at once, and then by turns: not a thousand rounds' worth.
        let given = serve(&mut shares, &[("a", 100), ("b", 100)], 64, 10);
        assert!(given["b"] - given["a"] <= 64, "{given:?}");
    }

    #[test]
    fn turns_within_a_plan() {
        let mut shares = Shares::default();
        assert_eq!(
            shares.plan(&[("b", 100), ("a", 100), ("c", 1)], 5),
            [("a", 2), ("b", 2), ("c", 1)]
        );
        assert_eq!(shares.plan(&[], 5), []);
        assert_eq!(shares.plan(&[("a", 1)], 0), []);
    }

    #[test]
    fn forgets_whom_it_need_not_know() {
        let mut shares = Shares::default();
        for n in (0..1_000u32).chain([0, 0]) {
            for (key, count) in shares.plan(&[(n, 100)], 1) {
                shares.charge(&key, 100, count);
            }
        }
        assert!(shares.passes.len() <= 2, "{}", shares.passes.len());
    }

    proptest! {
        #[test]
        fn nobody_gets_less_than_the_share(weights in prop::collection::vec(1u32..=MAX_WEIGHT, 1..6), limit in 1u32..40, rounds in 1u32..40) {
            let ready: Vec<(usize, u32)> = weights.iter().copied().enumerate().collect();
            let mut shares = Shares::default();
            let mut given = vec![0u32; ready.len()];
            for _ in 0..rounds {
                let plan = shares.plan(&ready, limit);
                prop_assert_eq!(plan.iter().map(|(_, count)| count).sum::<u32>(), limit);
                for (key, count) in plan {
                    shares.charge(&key, weights[key], count);
                    given[key] += count;
                }
            }
            let (total, weight): (u32, u32) = (limit * rounds, weights.iter().sum());
            for (key, count) in given.iter().enumerate() {
                let share = f64::from(total) * f64::from(weights[key]) / f64::from(weight);
                // A stride for itself and one for each other may be under way.
                prop_assert!(f64::from(*count) > share - 1.0 - weights.len() as f64, "{key} {count} of {share}");
            }
        }
    }
}
