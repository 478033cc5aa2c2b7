//! Ants that look for the shortest way.

use super::{chances, draw, max_min_bounds};
use crate::structure::Random;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How a colony looks for ways.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Settings {
    /// Who leaves a trail.
    pub variant: Variant,
    /// Ants in a round.
    pub ants: u32,
    /// How much trails count: the exponent of their strength.
    pub alpha: f64,
    /// How much it counts that an edge is short: the exponent of one over its length.
    pub beta: f64,
    /// The share of every trail that is lost in a round, before ants leave theirs.
    pub evaporation: f64,
    /// What an ant leaves along its whole way is this over the length of the way.
    pub deposit: f64,
}

impl Default for Settings {
    /// An ant system of 20 ants that go by trails and lengths alike, lose a tenth in a round and leave 2.
    fn default() -> Self {
        Self { variant: Variant::AntSystem, ants: 20, alpha: 1.0, beta: 1.0, evaporation: 0.1, deposit: 2.0 }
    }
}

/// Who leaves a trail.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Variant {
    /// Every ant that arrives (ant system, Dorigo 1996).
    AntSystem,
    /// The best way found so far alone, between bounds, from the upper one on (max-min ant system, Stützle and Hoos 2000).
    MaxMin {
        /// The chance that the best way is drawn once trails have settled, which sets the lower bound; between 0 and 1.
        best: f64,
    },
}

/// A graph or a setting that no ant can walk by.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum BadColony {
    /// An edge has no length above nothing.
    #[error("edge {edge} has length {length}")]
    Length {
        /// Which, from 0.
        edge: usize,
        /// What was given.
        length: f64,
    },
    /// A setting is no number in its range.
    #[error("{setting} must be a number in its range")]
    Setting {
        /// Which.
        setting: &'static str,
    },
    /// No way leads from the start to the end.
    #[error("no way leads from {from} to {to}")]
    NoWay {
        /// The start.
        from: u32,
        /// The end.
        to: u32,
    },
}

/// A way that was found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Way {
    /// The edges along it, by their places.
    pub edges: Vec<usize>,
    /// How long it is.
    pub length: f64,
}

/// Ants that walk a graph from one node to another, choose by trails and lengths, and leave trails: short ways are walked more,
/// because a way that is short gets more from each ant.
///
/// Trails evaporate at the end of a round, and then the ants of the round deposit theirs.
///
/// ```
/// use counterpoint::Random;
/// use counterpoint::coordination::stigmergy::{Colony, Settings};
///
/// // Two bridges, one of them twice as long.
/// let mut colony = Colony::new(Settings::default(), &[(0, 1, 1.0), (0, 1, 2.0)], 0, 1)?;
/// (0..100).for_each(|round| colony.round(&mut Random::new(1, round)));
/// assert!(colony.chance(0) > 0.95);
/// assert_eq!(colony.best().unwrap().length, 1.0);
/// # Ok::<(), counterpoint::coordination::stigmergy::BadColony>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Colony {
    settings: Settings,
    edges: Vec<(u32, u32, f64)>,
    /// By node: the edges that lead out of it, in the order of their places.
    out: Vec<Vec<usize>>,
    trails: Vec<f64>,
    from: u32,
    to: u32,
    best: Option<Way>,
}

/// Before an ant has walked.
const START: f64 = 1.0;

impl Colony {
    /// A colony that is to go from one node to another, along edges with a start, an end and a length.
    ///
    /// # Errors
    ///
    /// When a length or setting is no positive number, or no way leads there.
    pub fn new(settings: Settings, edges: &[(u32, u32, f64)], from: u32, to: u32) -> Result<Self, BadColony> {
        settings.check()?;
        let bad = edges.iter().enumerate().find(|(_, (.., length))| !length.is_finite() || *length <= 0.0);
        if let Some((edge, (.., length))) = bad {
            return Err(BadColony::Length { edge, length: *length });
        }
        // Nodes that no edge names are not there, whatever their numbers.
        let mut nodes: Vec<u32> = edges.iter().flat_map(|(a, b, _)| [*a, *b]).collect();
        nodes.sort_unstable();
        nodes.dedup();
        let place = |node: u32| nodes.binary_search(&node).ok().and_then(|place| u32::try_from(place).ok());
        let (Some(start), Some(end)) = (place(from), place(to)) else { return Err(BadColony::NoWay { from, to }) };
        let edges: Vec<(u32, u32, f64)> =
            edges.iter().filter_map(|(a, b, length)| Some((place(*a)?, place(*b)?, *length))).collect();
        let mut out = vec![Vec::new(); nodes.len()];
        for (edge, (a, ..)) in edges.iter().enumerate() {
            if let Some(list) = out.get_mut(*a as usize) {
                list.push(edge);
            }
        }
        let trails = vec![START; edges.len()];
        let colony = Self { settings, edges, out, trails, from: start, to: end, best: None };
        if colony.reaches() { Ok(colony) } else { Err(BadColony::NoWay { from, to }) }
    }

    /// Lets every ant walk once, and trails fade and grow.
    pub fn round(&mut self, random: &mut Random) {
        let first = self.best.is_none();
        let ways: Vec<Way> = (0..self.settings.ants).filter_map(|_| self.walk(random)).collect();
        for way in &ways {
            if self.best.as_ref().is_none_or(|best| way.length < best.length) {
                self.best = Some(way.clone());
            }
        }
        let kept = 1.0 - self.settings.evaporation;
        self.trails.iter_mut().for_each(|trail| *trail *= kept);
        match self.settings.variant {
            Variant::AntSystem => ways.iter().for_each(|way| self.lay(way)),
            Variant::MaxMin { best: chance } => {
                if let Some(best) = self.best.clone() {
                    self.lay(&best);
                    let length = best.length / self.settings.deposit;
                    let (least, most) = max_min_bounds(self.settings.evaporation, length, self.out.len(), chance);
                    let bounded = |trail: f64| if first { most } else { trail.max(least).min(most) };
                    self.trails.iter_mut().for_each(|trail| *trail = bounded(*trail));
                }
            }
        }
    }

    /// The best way so far.
    #[must_use]
    pub const fn best(&self) -> Option<&Way> {
        self.best.as_ref()
    }

    /// The strength of the trail along an edge, by its place.
    #[must_use]
    pub fn trail(&self, edge: usize) -> Option<f64> {
        self.trails.get(edge).copied()
    }

    /// The chance that an ant at the start of an edge takes it, if it may take all edges from there.
    #[must_use]
    pub fn chance(&self, edge: usize) -> f64 {
        let Some((node, ..)) = self.edges.get(edge) else { return 0.0 };
        let edges = self.out.get(*node as usize).map_or(&[][..], Vec::as_slice);
        let place = edges.iter().position(|other| *other == edge);
        place.and_then(|place| self.chances(edges).get(place).copied()).unwrap_or(0.0)
    }

    fn chances(&self, edges: &[usize]) -> Vec<f64> {
        let of = |edge: &usize| {
            let (.., length) = self.edges.get(*edge).copied().unwrap_or((0, 0, f64::INFINITY));
            (self.trails.get(*edge).copied().unwrap_or(0.0), 1.0 / length)
        };
        chances(&edges.iter().map(of).collect::<Vec<_>>(), self.settings.alpha, self.settings.beta)
    }

    /// A way without a node twice; none if it ends where nothing leads on.
    fn walk(&self, random: &mut Random) -> Option<Way> {
        let (mut node, mut way) = (self.from, Way { edges: Vec::new(), length: 0.0 });
        let mut seen = vec![false; self.out.len()];
        while node != self.to {
            *seen.get_mut(node as usize)? = true;
            let new = |edge: &&usize| {
                self.edges.get(**edge).is_some_and(|(_, to, _)| !seen.get(*to as usize).copied().unwrap_or(true))
            };
            let open: Vec<usize> = self.out.get(node as usize)?.iter().filter(new).copied().collect();
            let edge = *open.get(draw(&self.chances(&open), random)?)?;
            let (_, to, length) = *self.edges.get(edge)?;
            way.edges.push(edge);
            way.length += length;
            node = to;
        }
        Some(way)
    }

    fn lay(&mut self, way: &Way) {
        if way.length > 0.0 {
            for edge in &way.edges {
                if let Some(trail) = self.trails.get_mut(*edge) {
                    *trail += self.settings.deposit / way.length;
                }
            }
        }
    }

    fn reaches(&self) -> bool {
        let (mut seen, mut open) = (vec![false; self.out.len()], vec![self.from]);
        while let Some(node) = open.pop() {
            if node == self.to {
                return true;
            }
            for edge in self.out.get(node as usize).into_iter().flatten() {
                let Some((_, next, _)) = self.edges.get(*edge) else { continue };
                if let Some(known) = seen.get_mut(*next as usize).filter(|known| !**known) {
                    *known = true;
                    open.push(*next);
                }
            }
        }
        false
    }
}

impl Settings {
    fn check(&self) -> Result<(), BadColony> {
        let least = |value: f64| value.is_finite() && value >= 0.0;
        let setting = match self.variant {
            _ if self.ants == 0 => "ants",
            _ if !least(self.alpha) => "alpha",
            _ if !least(self.beta) => "beta",
            _ if !least(self.evaporation) || self.evaporation > 1.0 => "evaporation",
            _ if !least(self.deposit) || self.deposit <= 0.0 => "deposit",
            Variant::MaxMin { best } if !(best > 0.0 && best < 1.0) => "best",
            Variant::MaxMin { .. } if self.evaporation <= 0.0 => "evaporation",
            Variant::AntSystem | Variant::MaxMin { .. } => return Ok(()),
        };
        Err(BadColony::Setting { setting })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The share of a double bridge that is short, after so many rounds: ants that see no lengths, only trails.
    fn bridge(variant: Variant, seed: u64) -> f64 {
        let settings = Settings { variant, beta: 0.0, ..Settings::default() };
        let mut colony = Colony::new(settings, &[(0, 1, 1.0), (0, 1, 2.0)], 0, 1).unwrap();
        (0..200).for_each(|round| colony.round(&mut Random::new(seed, round)));
        colony.chance(0)
    }

    #[test]
    fn the_short_bridge_wins() {
        for seed in 0..20 {
            assert!(bridge(Variant::AntSystem, seed) > 0.95, "seed {seed}");
            assert!(bridge(Variant::MaxMin { best: 0.95 }, seed) > 0.95, "seed {seed}");
        }
    }

    #[test]
    fn what_cannot_be_walked_is_refused() {
        let new = |settings, edges: &[(u32, u32, f64)]| Colony::new(settings, edges, 0, 9).unwrap_err();
        assert_eq!(new(Settings::default(), &[(0, 1, 1.0), (9, 0, 1.0)]), BadColony::NoWay { from: 0, to: 9 });
        assert_eq!(new(Settings::default(), &[]), BadColony::NoWay { from: 0, to: 9 });
        assert!(matches!(new(Settings::default(), &[(0, 9, f64::NAN)]), BadColony::Length { edge: 0, .. }));
        let greedy = Settings { evaporation: 1.5, ..Settings::default() };
        assert_eq!(new(greedy, &[(0, 9, 1.0)]), BadColony::Setting { setting: "evaporation" });
        let sure = Settings { variant: Variant::MaxMin { best: 1.0 }, ..Settings::default() };
        assert_eq!(new(sure, &[(0, 9, 1.0)]), BadColony::Setting { setting: "best" });
        // A number far away is a name, not a size.
        assert!(Colony::new(Settings::default(), &[(0, u32::MAX, 1.0)], 0, u32::MAX).is_ok());
    }

    /// The shortest way by relaxing every edge as often as there are nodes.
    fn shortest(edges: &[(u32, u32, f64)], from: u32, to: u32) -> f64 {
        let mut far = [f64::INFINITY; 16];
        far[from as usize] = 0.0;
        for _ in 0..16 {
            for (a, b, length) in edges {
                far[*b as usize] = far[*b as usize].min(far[*a as usize] + length);
            }
        }
        far[to as usize]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn ways_are_ways_and_none_is_shorter_than_the_shortest(
            edges in prop::collection::vec((0_u32..8, 0_u32..8, 1_u8..20), 8..30), max_min: bool, seed: u64,
        ) {
            let edges: Vec<(u32, u32, f64)> = edges.into_iter().map(|(a, b, length)| (a, b, f64::from(length))).collect();
            let variant = if max_min { Variant::MaxMin { best: 0.05 } } else { Variant::AntSystem };
            let known = shortest(&edges, 0, 7);
            let made = Colony::new(Settings { variant, ..Settings::default() }, &edges, 0, 7);
            prop_assert_eq!(made.is_ok(), known.is_finite());
            if let Ok(mut colony) = made {
                for round in 0..60 {
                    colony.round(&mut Random::new(seed, round));
                    prop_assert!(colony.trails.iter().all(|trail| *trail >= 0.0 && trail.is_finite()));
                    if let (true, Some(best)) = (max_min, colony.best()) {
                        let (low, high) = max_min_bounds(0.1, best.length / 2.0, colony.out.len(), 0.05);
                        let between = |trail: &f64| *trail >= low - 1e-12 && *trail <= high + 1e-12;
                        prop_assert!(colony.trails.iter().all(between), "{:?} not in {low} to {high}", colony.trails);
                    }
                }
                let mut again = Colony::new(Settings { variant, ..Settings::default() }, &edges, 0, 7).unwrap();
                (0..60).for_each(|round| again.round(&mut Random::new(seed, round)));
                prop_assert_eq!(&again, &colony, "the same seed, the same trails");
                let best = colony.best().unwrap();
                prop_assert!(best.length >= known, "{} for {known}", best.length);
                let ends = best.edges.windows(2).all(|two| colony.edges[two[0]].1 == colony.edges[two[1]].0);
                prop_assert!(ends, "{best:?}");
            }
        }
    }
}
