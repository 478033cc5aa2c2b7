//! How reliable each agent is, and what is true, from answers alone.
//!
//! Several agents each put several items into classes; nobody knows the right ones. Dawid and Skene (1979) estimate both by
//! expectation maximisation: how probable each class is for each item, and how often each agent takes one class for another.
//! It begins with the shares of votes. Each step makes the data no less likely.

use crate::id::AgentId;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// An answer: this agent put this item into this class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Answer {
    /// Whose.
    pub by: AgentId,
    /// About what.
    pub item: u32,
    /// The class, from 0.
    pub class: u16,
}

impl Answer {
    /// The answer of `by` that `item` is of `class`.
    #[must_use]
    pub const fn new(by: AgentId, item: u32, class: u16) -> Self {
        Self { by, item, class }
    }
}

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Stop {
    /// After so many steps at the latest.
    pub steps: u32,
    /// When no probability of a class changes by more than this.
    pub change: f64,
}

impl Default for Stop {
    /// A hundred steps, or no change above a millionth.
    fn default() -> Self {
        Self { steps: 100, change: 1e-6 }
    }
}

/// Answers that nothing can be estimated from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoEstimate {
    /// There are none.
    #[error("there are no answers")]
    NoAnswers,
    /// There is no class, or an answer names one beyond them.
    #[error("class {class} is none of {classes}")]
    NoSuchClass {
        /// What was named.
        class: u16,
        /// How many there are.
        classes: u16,
    },
    /// Agents times the square of classes is more than this can hold.
    #[error("{agents} agents and {classes} classes are too many")]
    TooLarge {
        /// How many agents.
        agents: usize,
        /// How many classes.
        classes: u16,
    },
}

/// What was estimated.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Estimate {
    /// For each item, the probability of each class.
    pub classes: BTreeMap<u32, Vec<f64>>,
    /// For each agent, by true class, how often it answers each class: row after row.
    pub confusion: BTreeMap<AgentId, Vec<f64>>,
    /// How frequent each class is.
    pub prevalence: Vec<f64>,
    /// The natural logarithm of the likelihood of the answers, after each step.
    pub likelihood: Vec<f64>,
    /// Whether it stopped because nothing changed any more.
    pub settled: bool,
}

impl Estimate {
    /// The most probable class of an item, the first among equals.
    #[must_use]
    pub fn class(&self, item: u32) -> Option<u16> {
        let shares = self.classes.get(&item)?;
        let most = shares.iter().copied().fold(0.0, f64::max);
        shares.iter().position(|share| *share >= most).and_then(|class| u16::try_from(class).ok())
    }

    /// The chance that an answer of the agent is right.
    #[must_use]
    pub fn accuracy(&self, agent: AgentId) -> Option<f64> {
        let rows = self.confusion.get(&agent)?;
        let right = rows.iter().step_by(self.prevalence.len() + 1);
        Some(right.zip(&self.prevalence).map(|(right, share)| right * share).sum())
    }
}

/// Estimates what is true and who says so.
///
/// An agent that gave the same answer twice is believed twice, as in the paper, where one observer answered three times.
///
/// ```
/// use counterpoint::AgentId;
/// use counterpoint::coordination::dawid_skene::{Answer, Stop, estimate};
///
/// // Two careful agents and one that always says 0.
/// let answers = (0..20).flat_map(|item| {
///     let class = u16::from(item % 2 == 1);
///     [(1, class), (2, class), (3, 0)].map(|(by, class)| Answer::new(AgentId::new(by), item, class))
/// });
/// let found = estimate(answers, 2, Stop::default())?;
/// assert_eq!(found.class(7), Some(1));
/// assert!(found.accuracy(AgentId::new(1)).unwrap() > 0.99);
/// assert!(found.accuracy(AgentId::new(3)).unwrap() < 0.51);
/// # Ok::<(), counterpoint::coordination::dawid_skene::NoEstimate>(())
/// ```
///
/// # Errors
///
/// When there are no answers, or one names a class beyond `classes`.
pub fn estimate(answers: impl IntoIterator<Item = Answer>, classes: u16, stop: Stop) -> Result<Estimate, NoEstimate> {
    let mut model = Model::of(answers.into_iter().collect(), classes)?;
    let (mut likelihood, mut settled) = (Vec::new(), false);
    for _ in 0..stop.steps.max(1) {
        model.maximise();
        let change = model.expect(&mut likelihood);
        if change <= stop.change {
            settled = true;
            break;
        }
    }
    Ok(model.estimate(likelihood, settled))
}

/// The tables, dense: agents and items by their places.
struct Model {
    answers: Vec<(usize, usize, usize)>,
    agents: Vec<AgentId>,
    items: Vec<u32>,
    classes: usize,
    posterior: Vec<f64>,
    confusion: Vec<f64>,
    prevalence: Vec<f64>,
}

/// Nothing is impossible: what was never seen keeps this much weight, so that one answer condemns nobody for ever.
const UNSEEN: f64 = 1e-9;

/// Cells of the tables at most.
const MOST_CELLS: usize = 1 << 26;

impl Model {
    fn of(mut answers: Vec<Answer>, classes: u16) -> Result<Self, NoEstimate> {
        answers.sort_unstable();
        if let Some(bad) = answers.iter().find(|answer| answer.class >= classes) {
            return Err(NoEstimate::NoSuchClass { class: bad.class, classes });
        }
        let agents: Vec<AgentId> =
            answers.iter().map(|answer| answer.by).collect::<BTreeSet<_>>().into_iter().collect();
        let items: Vec<u32> = answers.iter().map(|answer| answer.item).collect::<BTreeSet<_>>().into_iter().collect();
        let width = usize::from(classes);
        if answers.is_empty() {
            return Err(NoEstimate::NoAnswers);
        }
        let cells = width.saturating_mul(width).saturating_mul(agents.len()).max(items.len().saturating_mul(width));
        if cells > MOST_CELLS {
            return Err(NoEstimate::TooLarge { agents: agents.len(), classes });
        }
        let place = |answer: &Answer| {
            let agent = agents.binary_search(&answer.by).unwrap_or_default();
            (agent, items.binary_search(&answer.item).unwrap_or_default(), usize::from(answer.class))
        };
        let answers: Vec<(usize, usize, usize)> = answers.iter().map(place).collect();
        let mut posterior = vec![0.0; items.len() * width];
        for (_, item, class) in &answers {
            add(&mut posterior, item * width + class, 1.0);
        }
        posterior.chunks_mut(width).for_each(normalise);
        let (confusion, prevalence) = (vec![0.0; agents.len() * width * width], vec![0.0; width]);
        Ok(Self { answers, agents, items, classes: width, posterior, confusion, prevalence })
    }

    /// The tables that make the answers most likely, given the probabilities of classes.
    fn maximise(&mut self) {
        let width = self.classes;
        self.prevalence.fill(UNSEEN);
        self.confusion.fill(UNSEEN);
        for shares in self.posterior.chunks(width) {
            self.prevalence.iter_mut().zip(shares).for_each(|(sum, share)| *sum += share);
        }
        for (agent, item, class) in &self.answers {
            let shares = self.posterior.get(item * width..(item + 1) * width).unwrap_or_default();
            for (truth, share) in shares.iter().enumerate() {
                add(&mut self.confusion, (agent * width + truth) * width + class, *share);
            }
        }
        normalise(&mut self.prevalence);
        self.confusion.chunks_mut(width).for_each(normalise);
    }

    /// The probabilities of classes, given the tables; the largest change of one.
    fn expect(&mut self, likelihood: &mut Vec<f64>) -> f64 {
        let width = self.classes;
        let mut next: Vec<f64> = Vec::with_capacity(self.posterior.len());
        (0..self.items.len()).for_each(|_| next.extend(self.prevalence.iter().map(|share| share.ln())));
        for (agent, item, class) in &self.answers {
            let shares = next.get_mut(item * width..(item + 1) * width).unwrap_or_default();
            for (truth, sum) in shares.iter_mut().enumerate() {
                let at = (agent * width + truth) * width + class;
                *sum += self.confusion.get(at).copied().unwrap_or(UNSEEN).ln();
            }
        }
        let mut total = 0.0;
        for logs in next.chunks_mut(width) {
            let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            logs.iter_mut().for_each(|log| *log = (*log - most).exp());
            total += most + logs.iter().sum::<f64>().ln();
            normalise(logs);
        }
        likelihood.push(total);
        let change = next.iter().zip(&self.posterior).map(|(new, old)| (new - old).abs()).fold(0.0, f64::max);
        self.posterior = next;
        change
    }

    fn estimate(self, likelihood: Vec<f64>, settled: bool) -> Estimate {
        let width = self.classes;
        let classes = self.items.into_iter().zip(self.posterior.chunks(width).map(<[f64]>::to_vec)).collect();
        let confusion =
            self.agents.into_iter().zip(self.confusion.chunks(width * width).map(<[f64]>::to_vec)).collect();
        Estimate { classes, confusion, prevalence: self.prevalence, likelihood, settled }
    }
}

fn add(table: &mut [f64], at: usize, more: f64) {
    if let Some(cell) = table.get_mut(at) {
        *cell += more;
    }
}

fn normalise(shares: &mut [f64]) {
    let sum: f64 = shares.iter().sum();
    if sum > 0.0 {
        shares.iter_mut().for_each(|share| *share /= sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::Random;
    use proptest::prelude::*;

    /// Answers of agents that are right with these chances, and the truth.
    fn asked(chances: &[f64], items: u32, classes: u16, seed: u64) -> (Vec<Answer>, Vec<u16>) {
        let mut random = Random::new(seed, 1);
        let draw = |random: &mut Random| u16::try_from(random.below(usize::from(classes))).unwrap();
        let truth: Vec<u16> = (0..items).map(|_| draw(&mut random)).collect();
        let mut answers = Vec::new();
        for (item, class) in (0..).zip(&truth) {
            for (by, chance) in (0..).zip(chances) {
                let slip = (class + 1 + draw(&mut random) % (classes - 1)) % classes;
                let class = if random.unit() < *chance { *class } else { slip };
                answers.push(Answer::new(AgentId::new(by), item, class));
            }
        }
        (answers, truth)
    }

    #[test]
    fn reliability_is_found_without_the_truth() {
        let chances = [0.95, 0.9, 0.4, 0.4, 0.4, 0.4, 0.4];
        let (answers, truth) = asked(&chances, 2_000, 3, 7);
        let found = estimate(answers.clone(), 3, Stop { steps: 500, change: 1e-9 }).unwrap();
        for (agent, chance) in (0..).zip(chances) {
            let guess = found.accuracy(AgentId::new(agent)).unwrap();
            assert!((guess - chance).abs() < 0.04, "agent {agent}: {guess} is not {chance}");
        }
        let right =
            |class: &dyn Fn(u32) -> u16| (0..).zip(&truth).filter(|(item, class_)| class(*item) == **class_).count();
        let votes = estimate(answers, 3, Stop { steps: 1, change: 0.0 }).unwrap();
        let (by_model, by_votes) =
            (right(&|item| found.class(item).unwrap()), right(&|item| votes.class(item).unwrap()));
        assert!(by_model > 1_880 && by_model > by_votes + 30, "{by_model} against {by_votes}");
    }

    #[test]
    fn answers_that_make_no_sense_are_refused() {
        assert_eq!(estimate([], 2, Stop::default()).unwrap_err(), NoEstimate::NoAnswers);
        let bad = estimate([Answer::new(AgentId::new(1), 1, 2)], 2, Stop::default());
        assert_eq!(bad.unwrap_err(), NoEstimate::NoSuchClass { class: 2, classes: 2 });
        let wide = (0..100).map(|by| Answer::new(AgentId::new(by), 1, 0));
        assert!(matches!(estimate(wide, u16::MAX, Stop::default()), Err(NoEstimate::TooLarge { .. })));
    }

    proptest! {
        #[test]
        fn likelihood_never_falls_and_order_does_not_matter(
            answers in prop::collection::vec((0_u64..5, 0_u32..8, 0_u16..3), 1..80), swap: prop::sample::Index,
        ) {
            let mut answers: Vec<Answer> =
                answers.into_iter().map(|(by, item, class)| Answer::new(AgentId::new(by), item, class)).collect();
            let stop = Stop { steps: 30, change: 0.0 };
            let found = estimate(answers.clone(), 3, stop).unwrap();
            for step in found.likelihood.windows(2) {
                prop_assert!(step[1] >= step[0] - 1e-6, "{} after {}", step[1], step[0]);
            }
            for shares in found.classes.values().chain([&found.prevalence]) {
                prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            }
            let turn = swap.index(answers.len());
            answers.rotate_left(turn);
            prop_assert_eq!(estimate(answers, 3, stop).unwrap(), found);
        }
    }
}
