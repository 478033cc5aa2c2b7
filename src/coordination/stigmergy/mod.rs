//! Stigmergy: agents coordinate through pheromone trails that evaporate; stronger trails are chosen more often.
//!
//! | purpose | item | source |
//! |---|---|---|
//! | a field of trails by key | [`Field`], [`Trail`] | Dorigo 1996 |
//! | selection probabilities | [`chances`] | Dorigo 1996 |
//! | routing of kinds of tasks to agents | [`routing::Trails`](crate::routing::Trails) | - |

mod field;

pub use field::{Config, Field, Order, Rules, Trail};

use crate::base::structure::Random;

/// The selection probabilities of choices, each given as the level of its trail and its heuristic desirability:
/// proportional to `trail^alpha * desirability^beta`. They add up to 1; if all weights are zero, all probabilities are
/// equal.
///
/// ```
/// use counterpoint::coordination::stigmergy::chances;
///
/// let [a, b] = chances(&[(1.0, 1.0 / 5.0), (2.0, 1.0 / 10.0)], 1.0, 2.0)[..] else { panic!("two") };
/// assert!((a - 2.0 / 3.0).abs() < 1e-12 && (b - 1.0 / 3.0).abs() < 1e-12);
/// ```
#[must_use]
pub fn chances(choices: &[(f64, f64)], alpha: f64, beta: f64) -> Vec<f64> {
    let weight = |(trail, desirable): &(f64, f64)| {
        let weight = trail.max(0.0).powf(alpha) * desirable.max(0.0).powf(beta);
        if weight.is_finite() { weight } else { 0.0 }
    };
    let weights: Vec<f64> = choices.iter().map(weight).collect();
    let sum: f64 = weights.iter().sum();
    if sum > 0.0 && sum.is_finite() {
        return weights.into_iter().map(|weight| weight / sum).collect();
    }
    #[expect(clippy::cast_precision_loss, reason = "how many choices there are")]
    let even = 1.0 / choices.len().max(1) as f64;
    vec![even; choices.len()]
}

/// An index drawn with these probabilities; none if the list is empty.
pub(crate) fn draw(chances: &[f64], random: &mut Random) -> Option<usize> {
    let mut rest = random.unit();
    for (index, chance) in chances.iter().enumerate() {
        if rest < *chance {
            return Some(index);
        }
        rest -= chance;
    }
    // The last index covers the rounding error.
    chances.iter().rposition(|chance| *chance > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn chances_add_up(choices in prop::collection::vec((0.0_f64..100.0, 0.001_f64..100.0), 1..20), seed: u64) {
            let found = chances(&choices, 1.5, 2.0);
            prop_assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(found.iter().zip(&choices).all(|(chance, (trail, _))| (*chance > 0.0) == (*trail > 0.0) || found.iter().all(|other| other == chance)));
            let index = draw(&found, &mut Random::new(seed, 1)).unwrap();
            prop_assert!(found[index] > 0.0);
            let alike = chances(&[choices[0]; 4], 1.0, 1.0);
            prop_assert!(alike.iter().all(|chance| (chance - 0.25).abs() < 1e-12));
        }
    }

    #[test]
    fn the_choices_of_the_literature() {
        let near = |found: f64, known: f64, off: f64| assert!((found - known).abs() < off, "{found} is not {known}");
        let found = chances(&[(1.0, 1.0 / 5.0), (2.0, 1.0 / 10.0)], 1.0, 2.0);
        near(found[0], 2.0 / 3.0, 1e-12);
        near(found[1], 1.0 / 3.0, 1e-12);
    }

    #[test]
    fn nothing_to_go_by_is_even() {
        assert_eq!(chances(&[(0.0, 1.0), (0.0, 2.0)], 1.0, 1.0), [0.5, 0.5]);
        assert_eq!(chances(&[(f64::NAN, 1.0), (f64::INFINITY, 1.0)], 1.0, 1.0), [0.5, 0.5]);
        assert_eq!(draw(&[], &mut Random::new(1, 1)), None);
    }
}
