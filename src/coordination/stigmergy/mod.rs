//! Agents that coordinate by the traces they leave: trails that fade, and are chosen the more the stronger they are.
//!
//! | what | with | source |
//! |---|---|---|
//! | a field of trails by key | [`Field`], [`Trail`] | Dorigo 1996 |
//! | the chances of a choice | [`chances`], [`deneubourg`] | Dorigo 1996, Deneubourg 1990 |
//! | the shortest way through a graph | [`Colony`] | ant system, max-min ant system (Stützle and Hoos 2000) |
//! | who does which kind of tasks | [`routing::Trails`](crate::routing::Trails) | - |

mod colony;
mod field;

pub use colony::{BadColony, Colony, Settings, Variant, Way};
pub use field::{Config, Field, Order, Rules, Trail};

use crate::structure::Random;

/// The chances of choices, each with the strength of its trail and how desirable it is by itself: in proportion to
/// `trail^alpha * desirable^beta`. They add up to 1; if nothing weighs anything, all are alike.
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

/// The chance that an ant takes bridge A after so many have taken A and B: `(k + a)^n / ((k + a)^n + (k + b)^n)`, with k = 20
/// and n = 2 for the ants of Deneubourg (1990).
///
/// ```
/// use counterpoint::coordination::stigmergy::deneubourg;
///
/// assert!((deneubourg(20.0, 2.0, 10.0, 5.0) - 0.59016).abs() < 5e-6);
/// ```
#[must_use]
pub fn deneubourg(k: f64, n: f64, a: f64, b: f64) -> f64 {
    let (a, b) = ((k + a).powf(n), (k + b).powf(n));
    if a + b > 0.0 { a / (a + b) } else { 0.5 }
}

/// The bounds of trails in a max-min ant system: the most that the best way's trail can come to, and so little that a settled
/// colony of `nodes` nodes still draws the best way with chance `best`.
///
/// ```
/// use counterpoint::coordination::stigmergy::max_min_bounds;
///
/// let (least, most) = max_min_bounds(0.02, 100.0, 50, 0.05);
/// assert_eq!(most, 0.5);
/// assert!((least / most - 0.0025727).abs() < 5e-8);
/// ```
#[must_use]
pub fn max_min_bounds(evaporation: f64, best_length: f64, nodes: usize, best: f64) -> (f64, f64) {
    #[expect(clippy::cast_precision_loss, reason = "how many nodes there are")]
    let nodes = nodes as f64;
    let most = 1.0 / (evaporation * best_length);
    let each = best.powf(1.0 / nodes);
    // Fewer than four nodes leave an ant no choice on average; then nothing but the upper bound is left.
    let others = (nodes / 2.0 - 1.0).max(1.0);
    ((most * (1.0 - each) / (others * each)).clamp(0.0, most), most)
}

/// A place drawn by its chance; none if there are none.
pub(crate) fn draw(chances: &[f64], random: &mut Random) -> Option<usize> {
    let mut rest = random.unit();
    for (place, chance) in chances.iter().enumerate() {
        if rest < *chance {
            return Some(place);
        }
        rest -= chance;
    }
    // What rounding left over is the last one's.
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
            let place = draw(&found, &mut Random::new(seed, 1)).unwrap();
            prop_assert!(found[place] > 0.0);
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
        near(deneubourg(20.0, 2.0, 10.0, 5.0), 0.59016, 5e-6);
        let (least, most) = max_min_bounds(0.02, 100.0, 50, 0.05);
        near(most, 0.5, 1e-12);
        near(least / most, 0.002_572_7, 5e-8);
    }

    #[test]
    fn nothing_to_go_by_is_even() {
        assert_eq!(chances(&[(0.0, 1.0), (0.0, 2.0)], 1.0, 1.0), [0.5, 0.5]);
        assert_eq!(chances(&[(f64::NAN, 1.0), (f64::INFINITY, 1.0)], 1.0, 1.0), [0.5, 0.5]);
        assert_eq!(draw(&[], &mut Random::new(1, 1)), None);
    }
}
