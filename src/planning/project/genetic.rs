//! A genetic algorithm over activity lists and assignments.
//!
//! Serial schedule generation with double justification after every pass (Valls, Ballestín and Quintanilla 2005), two-point
//! crossover (Hartmann 1998) and crossover that keeps the busiest stretch of the better parent (the peak crossover of
//! Valls, Ballestín and Quintanilla 2008). A population that has lost its variety starts again around the best.

use super::generate::{Rule, Scheme, build, key};
use super::moves::Draw;
use super::network::{Network, at};
use super::profile::{Lanes, Profile, Steps};
use super::sequence::{Times, backward, forward, mode};
use super::solution::{Best, Watch, cost, worth};

/// Individuals in a population: five for each task within these bounds, where there are schedules enough to make something of so
/// many, a few dozen for each. Fewer converge sooner, to worse: with 100,000 schedules 600 end half a percent nearer to the best
/// known than 240, on projects of 120 tasks.
const POPULATION: (u64, u64) = (150, 600);
/// Individuals for each task.
const FOR_EACH_TASK: u64 = 5;
const LEAST_POPULATION: u64 = 30;
const SCHEDULES_EACH: u64 = 120;
/// Of so many neighbours two change places.
const MUTATION: usize = 10;
/// Children without a better best, for each individual, after which a population starts again.
const PATIENCE: usize = 60;

pub(super) fn evolve(network: &Network<'_>, best: &mut Best, watch: &mut Watch<'_>, seed: u64) {
    if let Some(lanes) = Lanes::new(network.problem) {
        Breeder::new(network, lanes, seed).run(best, watch);
    } else {
        Breeder::new(network, Steps::new(network.problem), seed).run(best, watch);
    }
}

#[derive(Debug, Clone)]
struct Individual {
    order: Vec<usize>,
    modes: Vec<usize>,
    times: Times,
    worth: Vec<u128>,
}

struct Breeder<'a, P> {
    network: &'a Network<'a>,
    profile: P,
    draw: Draw,
    /// Scratch: which tasks a child has.
    has: Vec<bool>,
    mirror: Times,
}

impl<'a, P: Profile> Breeder<'a, P> {
    fn new(network: &'a Network<'a>, profile: P, seed: u64) -> Self {
        let len = network.len();
        Self { network, profile, draw: Draw::new(seed), has: vec![false; len], mirror: Times::of(len) }
    }

    fn run(&mut self, best: &mut Best, watch: &mut Watch<'_>) {
        let mut generation = 0;
        let wanted = FOR_EACH_TASK.saturating_mul(self.network.len() as u64).clamp(POPULATION.0, POPULATION.1);
        let population = (watch.most() / SCHEDULES_EACH).clamp(LEAST_POPULATION, wanted);
        let population = usize::try_from(population).unwrap_or(usize::MAX);
        loop {
            let mut people: Vec<Individual> = Vec::new();
            // Every other population is of newcomers only.
            if generation % 2 == 1 {
                people.push(self.individual(best.order.clone(), best.modes.clone(), best));
            }
            generation += 1;
            while people.len() < population {
                people.push(self.newcomer(best, people.len()));
                if !self.note(people.last(), best, watch) {
                    return;
                }
            }
            let mut idle = 0;
            while idle < population * PATIENCE {
                let child = self.child(&people, best);
                let before = best.ends.clone();
                if !self.note(Some(&child), best, watch) {
                    return;
                }
                idle = if before == best.ends { idle + 1 } else { 0 };
                replace(&mut people, child);
            }
        }
    }

    /// Takes over what is better than the best; whether to go on.
    fn note(&self, one: Option<&Individual>, best: &mut Best, watch: &mut Watch<'_>) -> bool {
        if let Some(one) = one {
            let times = Times { starts: Vec::new(), ends: best.ends.clone() };
            if one.worth < worth(self.network, &best.goal, &best.modes, &times) {
                best.take(self.network, &one.order, &one.modes, &one.times.ends);
            }
        }
        watch.go_on(3, best.makespan()) && !best.is_proven(watch)
    }

    /// By a rule with noise, in one of the two schemes.
    fn newcomer(&mut self, best: &Best, number: usize) -> Individual {
        let rule = if number.is_multiple_of(2) { Rule::LatestFinish } else { Rule::LatestStart };
        let scheme = if number % 4 < 2 { Scheme::Serial } else { Scheme::Parallel };
        let longest = at(&self.network.tails, 0).max(self.network.tails.iter().copied().max().unwrap_or(0));
        let noise =
            usize::try_from(longest / if number % 8 < 4 { 4 } else { 1 } + 1).unwrap_or(usize::MAX).min(1 << 31);
        let noisy = |task| key(self.network, rule, task).saturating_add(self.draw.below(noise) as u64);
        let keys: Vec<u64> = (0..self.network.len()).map(noisy).collect();
        let built = build(self.network, &mut self.profile, scheme, &keys);
        let mut order = built.order;
        order.sort_by_key(|task| at(&built.times.starts, *task));
        self.individual(order, built.modes, best)
    }

    /// Decodes, and justifies to the right and to the left.
    fn individual(&mut self, order: Vec<usize>, modes: Vec<usize>, best: &Best) -> Individual {
        let mut times = Times::of(self.network.len());
        forward(self.network, &mut self.profile, &order, &modes, &mut times);
        let worth_of = |times: &Times| worth(self.network, &best.goal, &modes, times);
        let mut one = Individual { worth: worth_of(&times), order, times, modes: Vec::new() };
        let mut order = one.order.clone();
        let mut times = one.times.clone();
        order.reverse();
        order.sort_by_key(|task| u64::MAX - at(&times.ends, *task));
        backward(self.network, &mut self.profile, &order, &modes, &mut self.mirror);
        order.reverse();
        order.sort_by_key(|task| u64::MAX - at(&self.mirror.ends, *task));
        forward(self.network, &mut self.profile, &order, &modes, &mut times);
        let justified = worth_of(&times);
        if justified <= one.worth {
            order.sort_by_key(|task| at(&times.starts, *task));
            one = Individual { worth: justified, order, times, modes: Vec::new() };
        }
        one.modes = modes;
        one
    }

    fn parent<'b>(&mut self, people: &'b [Individual]) -> Option<&'b Individual> {
        let (one, two) = (self.draw.below(people.len()), self.draw.below(people.len()));
        let (one, two) = (people.get(one)?, people.get(two)?);
        Some(if two.worth < one.worth { two } else { one })
    }

    fn child(&mut self, people: &[Individual], best: &Best) -> Individual {
        let (mother, father) = (self.parent(people), self.parent(people));
        let (Some(mother), Some(father)) = (mother, father) else {
            return self.newcomer(best, 0);
        };
        let len = self.network.len();
        let width = len / 8 + self.draw.below(len / 4 + 1);
        let peak = self.draw.below(2) == 0;
        let from = if peak { self.peak(mother, width) } else { self.draw.below(len) };
        let until = (from + width).min(len);
        let mut order =
            if peak { self.stretched(mother, father, from, until) } else { self.crossed(mother, father, from, until) };
        let mut modes = self.crossed_modes(mother, father, &order, from..until);
        self.mutate(&mut order, &mut modes);
        self.individual(order, modes, best)
    }

    /// Where the stretch of so many tasks begins that wastes least: the most work in the least time.
    fn peak(&mut self, one: &Individual, width: usize) -> usize {
        let len = self.network.len();
        let mut found = (0.0, 0);
        for _ in 0..4 {
            let from = self.draw.below(len.saturating_sub(width) + 1);
            let tasks = one.order.iter().skip(from).take(width);
            let (mut low, mut high, mut work) = (u64::MAX, 0, 0_u64);
            for &task in tasks {
                let (start, end) = (at(&one.times.starts, task), at(&one.times.ends, task));
                (low, high) = (low.min(start), high.max(end));
                let used =
                    self.network.problem.uses.get(task).into_iter().flatten().map(|used| used.1).sum::<u64>() + 1;
                work = work.saturating_add((end - start).saturating_mul(used));
            }
            let dense = work as f64 / (high.saturating_sub(low) + 1) as f64;
            if dense > found.0 {
                found = (dense, from);
            }
        }
        found.1
    }

    /// The father's order, but for a stretch: in it, and before it, what the mother has there. Each part keeps the order of
    /// one of them, so precedence holds.
    fn crossed(&mut self, mother: &Individual, father: &Individual, from: usize, until: usize) -> Vec<usize> {
        let len = mother.order.len();
        let mut order = Vec::with_capacity(len);
        self.has.fill(false);
        for (source, most) in [(father, from), (mother, until), (father, len)] {
            for &task in &source.order {
                if order.len() >= most {
                    break;
                }
                if let Some(has) = self.has.get_mut(task).filter(|has| !**has) {
                    *has = true;
                    order.push(task);
                }
            }
        }
        order
    }

    /// The stretch of the mother in one piece; what must come before it and the father's order before and after it.
    fn stretched(&mut self, mother: &Individual, father: &Individual, from: usize, until: usize) -> Vec<usize> {
        let mut order = Vec::with_capacity(mother.order.len());
        let (before, rest) = mother.order.split_at(from.min(mother.order.len()));
        let (kept, after) = rest.split_at(until.saturating_sub(from).min(rest.len()));
        for (tasks, own) in [(before, false), (kept, true), (after, false)] {
            if own {
                order.extend_from_slice(tasks);
                continue;
            }
            self.has.fill(false);
            tasks.iter().for_each(|task| self.has.iter_mut().skip(*task).take(1).for_each(|has| *has = true));
            let has = |task: &&usize| self.has.get(**task).copied().unwrap_or(false);
            order.extend(father.order.iter().filter(has));
        }
        order
    }

    fn crossed_modes(
        &self,
        mother: &Individual,
        father: &Individual,
        order: &[usize],
        kept: core::ops::Range<usize>,
    ) -> Vec<usize> {
        let mut modes = father.modes.clone();
        for &task in order.get(kept).unwrap_or_default() {
            if let (Some(slot), Some(mode)) = (modes.get_mut(task), mother.modes.get(task)) {
                *slot = *mode;
            }
        }
        let budget = self.network.problem.budget.unwrap_or(u64::MAX);
        // Two halves within the budget may not be when put together.
        if cost(self.network, &modes) > budget { mother.modes.clone() } else { modes }
    }

    /// A few tasks move to another place that precedence allows; a few get another agent.
    fn mutate(&mut self, order: &mut [usize], modes: &mut [usize]) {
        let len = order.len();
        for at in 1..len {
            if self.draw.below(MUTATION) > 0 {
                continue;
            }
            let (Some(&one), Some(&two)) = (order.get(at - 1), order.get(at)) else { continue };
            if !self.network.then.of_task(one).iter().any(|&(next, _)| next == two) {
                order.swap(at - 1, at);
            }
        }
        let mut spent = cost(self.network, modes);
        let budget = self.network.problem.budget.unwrap_or(u64::MAX);
        for _ in 0..self.draw.below(4) {
            let task = self.draw.below(len);
            let choices = self.network.modes(task).len();
            let new = self.draw.below(choices);
            let (Some(&other), old) = (self.network.modes(task).get(new), mode(self.network, modes, task)) else {
                continue;
            };
            let changed = spent.saturating_sub(old.cost).saturating_add(other.cost);
            if changed <= budget
                && let Some(slot) = modes.get_mut(task)
            {
                (*slot, spent) = (new, changed);
            }
        }
    }
}

/// The child takes the place of the worst, unless it is there already or no better.
fn replace(people: &mut [Individual], child: Individual) {
    if people.iter().any(|one| one.worth == child.worth && one.times.ends == child.times.ends) {
        return;
    }
    if let Some(worst) = people.iter_mut().max_by(|one, two| one.worth.cmp(&two.worth))
        && child.worth <= worst.worth
    {
        *worst = child;
    }
}
