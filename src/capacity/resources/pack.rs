//! Where something fits: vector packing.

use super::Amounts;

/// Which of the places that have room is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Fit {
    /// The first.
    First,
    /// The one whose room points the way the need does: the largest dot product of both, each resource in thousandths of
    /// what the place has in all. Keeps memory for what needs memory (Panigrahy et al. 2011; Tetris, 2014).
    #[default]
    Aligned,
    /// The one with least room left over, in thousandths: keeps large rooms for large needs.
    Tightest,
}

/// The place for a need, among places of which the capacity and the free part are given. None if no place has room.
///
/// ```
/// use counterpoint::capacity::resources::{Amounts, Fit, choose};
///
/// let size = Amounts::of([("cpu", 16), ("gb", 64)]);
/// let few_cpus = Amounts::of([("cpu", 4), ("gb", 60)]);
/// let many_cpus = Amounts::of([("cpu", 14), ("gb", 20)]);
/// let places = [(&size, &few_cpus), (&size, &many_cpus)];
/// let wants_cpus = Amounts::of([("cpu", 4), ("gb", 4)]);
/// assert_eq!(choose(places, &wants_cpus, Fit::Aligned), Some(1));
/// assert_eq!(choose(places, &wants_cpus, Fit::First), Some(0));
/// ```
#[must_use]
pub fn choose<'a>(
    places: impl IntoIterator<Item = (&'a Amounts, &'a Amounts)>,
    need: &Amounts,
    fit: Fit,
) -> Option<usize> {
    let mut fitting = places.into_iter().enumerate().filter(|(_, (_, free))| need.fits(free));
    let best = match fit {
        Fit::First => fitting.next(),
        // Of equals the first: `max_by_key` would take the last.
        Fit::Aligned => fitting.min_by_key(|(_, (all, free))| core::cmp::Reverse(dot(all, free, need))),
        Fit::Tightest => fitting.min_by_key(|(_, (all, free))| left_over(all, free, need)),
    };
    best.map(|(place, _)| place)
}

/// Packs needs into as few places of one size as this rule finds, the largest need first: for each need the number of its
/// place. None if a need does not fit into an empty place.
///
/// ```
/// use counterpoint::capacity::resources::{Amounts, Fit, bins};
///
/// let size = Amounts::of([("cpu", 4)]);
/// let needs = [1, 3, 2, 2].map(|cpus| Amounts::of([("cpu", cpus)]));
/// assert_eq!(bins(&needs, &size, Fit::Aligned), Some(vec![0, 0, 1, 1]));
/// ```
#[must_use]
pub fn bins(needs: &[Amounts], size: &Amounts, fit: Fit) -> Option<Vec<usize>> {
    let mut order: Vec<(usize, &Amounts)> = needs.iter().enumerate().collect();
    order.sort_by_key(|(place, need)| (core::cmp::Reverse(dot(size, need, need)), *place));
    let mut free: Vec<Amounts> = Vec::new();
    let mut placed = vec![0; needs.len()];
    for (index, need) in order {
        let bin = match choose(free.iter().map(|free| (size, free)), need, fit) {
            Some(bin) => bin,
            None if need.fits(size) => {
                free.push(size.clone());
                free.len() - 1
            }
            None => return None,
        };
        free.get_mut(bin)?.take(need);
        *placed.get_mut(index)? = bin;
    }
    Some(placed)
}

/// In thousandths, so that bytes do not outweigh processors.
fn permille(part: u64, whole: u64) -> u128 {
    u128::from(part) * 1_000 / u128::from(whole.max(1))
}

fn dot(all: &Amounts, free: &Amounts, need: &Amounts) -> u128 {
    let product = |(name, amount): (&crate::name::Name, u64)| {
        let whole = all.get(name);
        permille(free.get(name), whole).saturating_mul(permille(amount, whole))
    };
    need.iter().map(product).fold(0, u128::saturating_add)
}

fn left_over(all: &Amounts, free: &Amounts, need: &Amounts) -> u128 {
    let rest = |(name, whole): (&crate::name::Name, u64)| {
        let left = permille(free.get(name).saturating_sub(need.get(name)), whole);
        left.saturating_mul(left)
    };
    all.iter().map(rest).fold(0, u128::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_place_is_overfull_and_few_are_used(needs in prop::collection::vec((0_u64..=50, 0_u64..=50), 0..80)) {
            let size = Amounts::of([("a", 100), ("b", 100)]);
            let needs: Vec<Amounts> = needs.into_iter().map(|(a, b)| Amounts::of([("a", a), ("b", b)])).collect();
            for fit in [Fit::First, Fit::Aligned, Fit::Tightest] {
                let placed = bins(&needs, &size, fit).unwrap();
                let used = placed.iter().max().map_or(0, |last| last + 1);
                for bin in 0..used {
                    let mut load = Amounts::default();
                    needs.iter().zip(&placed).filter(|(_, at)| **at == bin).for_each(|(need, _)| load.add(need));
                    prop_assert!(load.fits(&size));
                }
                // A new place is opened only when no other has room: never two that are less than half full in all.
                let total = |name: &str| needs.iter().map(|need| need.get(name)).sum::<u64>();
                let bound = usize::try_from(total("a").div_ceil(50) + total("b").div_ceil(50)).unwrap();
                prop_assert!(used <= bound.max(1));
            }
        }
    }

    #[test]
    fn what_fits_nowhere_is_said() {
        let size = Amounts::of([("a", 1)]);
        assert_eq!(bins(&[Amounts::of([("a", 2)])], &size, Fit::First), None);
        assert_eq!(choose([], &size, Fit::Tightest), None);
    }

    #[test]
    fn aligned_packs_opposites_together() {
        // Half need processors, half memory: pairs of one of each fill a place.
        let size = Amounts::of([("cpu", 10), ("gb", 10)]);
        let one = |place: u64| if place.is_multiple_of(2) { [("cpu", 8), ("gb", 2)] } else { [("cpu", 2), ("gb", 8)] };
        let needs: Vec<Amounts> = (0..20).map(|place| Amounts::of(one(place))).collect();
        let placed = bins(&needs, &size, Fit::Aligned).unwrap();
        assert_eq!(placed.iter().max(), Some(&9));
    }
}
