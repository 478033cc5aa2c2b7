//! A genetic algorithm over activity lists and assignments.
//!
//! Serial schedule generation with double justification (Valls, Ballestín and Quintanilla 2005), two-point crossover (Hartmann
//! 1998) and a crossover that keeps the densest section of a parent (after the peak crossover of Valls, Ballestín and
//! Quintanilla 2008). A population that has converged is followed by iterated local search (Lourenço, Martin and Stützle 2003) and
//! by a new population: of random individuals only, of these and the best schedule, or, every few populations, of the best of all
//! populations since the last reunion.

use super::generate::{Rule, Scheme, build, key};
use super::moves::Draw;
use super::network::{Network, at};
use super::population::{Individual, Population};
use super::profile::{Lanes, Profile, Steps};
use super::sequence::{Sorter, Times, backward, forward, latest, mode};
use super::settings::Measure;
use super::solution::{Best, SearchMonitor, cost, worth};

/// The bounds on the population size: eight individuals for each task, if the evaluations allow enough generations. Smaller
/// populations converge sooner, to worse schedules.
const POPULATION: (u64, u64) = (150, 960);
/// Individuals for each task.
const INDIVIDUALS_PER_TASK: u64 = 8;
const MIN_POPULATION: u64 = 30;
/// The limit on tasks times individuals, which bounds the memory.
const MAX_GENES: u64 = 4_000_000;
const SCHEDULES_PER_INDIVIDUAL: u64 = 120;
/// The percentage of children that keep the densest section of a parent; the others keep a random one.
const KEEP_PEAK: usize = 65;
/// The length of a section: one sixth of all tasks, plus up to a third.
const STRETCH: (usize, usize) = (6, 3);
/// Schedules of equal makespan are compared by their lateness for a makespan that is shorter by one in this many ticks.
const TARGET_STEP: u64 = 8;
/// How much shorter a right-justified schedule can become by left justification, in almost all cases: one in this many ticks, and
/// at least one.
const JUSTIFICATION_GAIN: u64 = 512;
/// One in this many pairs of neighbours is swapped.
const MUTATION: usize = 10;
/// A population ends after this many children for each individual without an improvement of its best or its worst. Large
/// populations improve for a long time before their best does.
const PATIENCE: usize = 10;
/// The number of populations between two reunions of their best, and the fraction of each that takes part.
const REUNION: usize = 4;
/// Local search between populations: the number of steps in all, but at least two walks; the steps of a walk for each task; and the
/// greatest number of tasks that one step moves.
const WALK_STEPS: usize = 72_000;
const STEPS: usize = 200;
const SHIFTS: usize = 4;
/// One in this many steps to a worse schedule is accepted.
const WORSE: usize = 300;

pub(super) fn evolve(network: &Network<'_>, best: &mut Best, monitor: &mut SearchMonitor<'_>, seed: u64) {
    if let Some(lanes) = Lanes::new(network.problem) {
        Breeder::new(network, lanes, seed, best).run(best, monitor);
    } else {
        Breeder::new(network, Steps::new(network.problem), seed, best).run(best, monitor);
    }
}

struct Breeder<'a, P> {
    network: &'a Network<'a>,
    profile: P,
    draw: Draw,
    /// Scratch: the tasks that a child already has.
    has: Vec<bool>,
    /// Scratch: a backward schedule, and the forward schedule made from it.
    mirror: Times,
    justified: (Vec<usize>, Times),
    sorter: Sorter,
    /// What the best is worth.
    /// The objective values of the best schedule.
    best_values: Vec<u128>,
    /// Schedules that were evaluated and not yet counted.
    built: u64,
}

impl<'a, P: Profile> Breeder<'a, P> {
    fn new(network: &'a Network<'a>, profile: P, seed: u64, best: &Best) -> Self {
        let len = network.len();
        let (mirror, justified) = (Times::of(len), (Vec::new(), Times::of(len)));
        let (draw, has) = (Draw::new(seed), vec![false; len]);
        let best_values = worth(network, &best.goal, &best.modes, &best.ends);
        Self { network, profile, draw, has, mirror, justified, sorter: Sorter::default(), best_values, built: 0 }
    }

    fn run(&mut self, best: &mut Best, monitor: &mut SearchMonitor<'_>) {
        let tasks = self.network.len() as u64;
        if tasks == 0 {
            return;
        }
        let wanted =
            INDIVIDUALS_PER_TASK.saturating_mul(tasks).clamp(POPULATION.0, POPULATION.1).min(MAX_GENES / tasks);
        let size = (monitor.most() / SCHEDULES_PER_INDIVIDUAL).min(wanted).max(MIN_POPULATION);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let mut elite = Elite::default();
        for generation in 0_usize.. {
            let mut individuals = elite.individuals(generation);
            // Every other population starts from random individuals only.
            if generation % 2 == 1 {
                individuals.add(self.individual(best.order.clone(), best.modes.clone(), best));
            }
            if !self.fill(&mut individuals, size, best, monitor) || !self.breed(&mut individuals, best, monitor) {
                return;
            }
            elite.add(individuals, size);
            if generation == 0 {
                monitor.tighten_bound(self.network, best.makespan);
            }
            if !self.walks(best, monitor) {
                return;
            }
        }
    }

    /// Adds random individuals up to the size; returns whether to continue.
    fn fill(
        &mut self,
        individuals: &mut Population,
        size: usize,
        best: &mut Best,
        monitor: &mut SearchMonitor<'_>,
    ) -> bool {
        while individuals.len() < size {
            let newcomer = self.newcomer(best, individuals.len());
            if !self.record(&newcomer, best, monitor) {
                return false;
            }
            individuals.add(newcomer);
        }
        true
    }

    /// Breeds until the population has converged; returns whether to continue.
    fn breed(&mut self, individuals: &mut Population, best: &mut Best, monitor: &mut SearchMonitor<'_>) -> bool {
        let mut idle = 0;
        while idle < individuals.len().saturating_mul(PATIENCE) {
            let child = self.child(individuals, best);
            let before = best.taken;
            if !self.record(&child, best, monitor) {
                return false;
            }
            let is_better = individuals.replace(child) || best.taken != before;
            idle = if is_better { 0 } else { idle + 1 };
        }
        true
    }

    /// Local search from the best and from random individuals; returns whether to continue.
    fn walks(&mut self, best: &mut Best, monitor: &mut SearchMonitor<'_>) -> bool {
        let steps = STEPS.saturating_mul(self.network.len());
        for number in 0..(WALK_STEPS / steps.max(1)).max(2) {
            let from = if number.is_multiple_of(2) {
                self.individual(best.order.clone(), best.modes.clone(), best)
            } else {
                let rule = self.draw.below(8);
                self.newcomer(best, rule)
            };
            if !self.walk(from, best, monitor) {
                return false;
            }
        }
        true
    }

    /// One walk of local search; returns whether to continue.
    fn walk(&mut self, from: Individual, best: &mut Best, monitor: &mut SearchMonitor<'_>) -> bool {
        let mut now = from;
        for _ in 0..STEPS.saturating_mul(self.network.len()) {
            let (mut order, mut modes) = (now.order.clone(), now.modes.clone());
            for _ in 0..=self.draw.below(SHIFTS) {
                self.shift(&mut order);
            }
            self.mutate_modes(&mut modes);
            let next = self.individual(order, modes, best);
            if !self.record(&next, best, monitor) {
                return false;
            }
            if self.accepts(&next.worth, &now.worth) {
                now = next;
            }
        }
        true
    }

    /// Whether a walk accepts the next schedule.
    fn accepts(&mut self, next: &[u128], now: &[u128]) -> bool {
        next <= now || self.draw.below(WORSE) == 0
    }

    /// Moves a task to a random index between its predecessors and its successors.
    fn shift(&mut self, order: &mut [usize]) {
        let from = self.draw.below(order.len());
        let Some(&task) = order.get(from) else { return };
        let waits = |one: usize| self.network.before.of_task(task).iter().any(|link| link.0 == one);
        let follows = |one: usize| self.network.then.of_task(task).iter().any(|link| link.0 == one);
        let low = order
            .get(..from)
            .and_then(|before| before.iter().rposition(|one| waits(*one)))
            .map_or(0, |index| index + 1);
        let high = order.iter().skip(from).position(|one| follows(*one)).map_or(order.len(), |index| from + index);
        let to = low + self.draw.below(high - low);
        let (first, last) = (from.min(to), from.max(to));
        if let Some(between) = order.get_mut(first..=last) {
            if from < to { between.rotate_left(1) } else { between.rotate_right(1) }
        }
    }

    /// Records a schedule that is better than the best; returns whether to continue.
    fn record(&mut self, one: &Individual, best: &mut Best, monitor: &mut SearchMonitor<'_>) -> bool {
        if one.worth < self.best_values {
            self.best_values.clone_from(&one.worth);
            best.take(&one.order, &one.modes, &one.times.ends);
        }
        monitor.go_on(core::mem::take(&mut self.built), best.makespan) && !best.is_proven(monitor)
    }

    /// A random individual: a priority rule with noise, in one of the two schemes.
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
        self.sorter.sort(&mut order, |task| at(&built.times.starts, task));
        self.individual(order, built.modes, best)
    }

    /// Decodes an individual, with right and left justification.
    fn individual(&mut self, order: Vec<usize>, modes: Vec<usize>, best: &Best) -> Individual {
        self.individual_within(order, modes, best, u64::MAX)
    }

    /// The same, without left justification if the result would almost certainly exceed this makespan.
    fn individual_within(&mut self, order: Vec<usize>, modes: Vec<usize>, best: &Best, longest: u64) -> Individual {
        let network = self.network;
        let mut times = Times::of(network.len());
        forward(network, &mut self.profile, &order, &modes, &mut times);
        let (list, justified) = &mut self.justified;
        list.clear();
        list.extend(order.iter().rev());
        self.sorter.sort(list, |task| u64::MAX - at(&times.ends, task));
        backward(network, &mut self.profile, list, &modes, &mut self.mirror);
        self.built = self.built.saturating_add(2);
        let worth_of = |times: &Times| worth(network, &best.goal, &modes, &times.ends);
        let mut one = Individual { worth: worth_of(&times), order, times, modes: Vec::new(), lateness: 0 };
        if latest(&self.mirror.ends) <= longest.saturating_add((longest / JUSTIFICATION_GAIN).max(1)) {
            list.reverse();
            self.sorter.sort(list, |task| u64::MAX - at(&self.mirror.ends, task));
            forward(network, &mut self.profile, list, &modes, justified);
            self.built = self.built.saturating_add(1);
            let worth = worth_of(justified);
            if worth <= one.worth {
                self.sorter.sort(list, |task| at(&justified.starts, task));
                one.worth = worth;
                one.order.clone_from(list);
                core::mem::swap(&mut one.times, justified);
            }
        }
        one.modes = modes;
        one.lateness = lateness(network, best, &one.times.ends);
        one
    }

    fn parent<'b>(&mut self, individuals: &'b Population) -> Option<&'b Individual> {
        let (one, two) = (self.draw.below(individuals.len()), self.draw.below(individuals.len()));
        let (one, two) = (individuals.get(one)?, individuals.get(two)?);
        Some(if two.rank() < one.rank() { two } else { one })
    }

    fn child(&mut self, individuals: &Population, best: &Best) -> Individual {
        let (mother, father) = (self.parent(individuals), self.parent(individuals));
        let (Some(mother), Some(father)) = (mother, father) else {
            return self.newcomer(best, 0);
        };
        let len = self.network.len();
        let width = len / STRETCH.0 + self.draw.below(len / STRETCH.1 + 1);
        let peak = self.draw.below(100) < KEEP_PEAK;
        let from = if peak { self.peak(mother, width) } else { self.draw.below(len) };
        let until = (from + width).min(len);
        let mut order =
            if peak { self.stretched(mother, father, from, until) } else { self.crossed(mother, father, from, until) };
        let mut modes = self.crossed_modes(mother, father, &order, from..until);
        self.mutate(&mut order, &mut modes);
        self.individual_within(order, modes, best, longest(individuals, best))
    }

    /// The start of the densest of a few random sections: the most work for its time span.
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
                let uses = self.network.problem.uses.get(task).into_iter().flatten();
                let used = uses.map(|used| used.1).fold(1, u64::saturating_add);
                work = work.saturating_add((end - start).saturating_mul(used));
            }
            let dense = work as f64 / (high.saturating_sub(low) + 1) as f64;
            if dense > found.0 {
                found = (dense, from);
            }
        }
        found.1
    }

    /// Two-point crossover: the father's order, except for a section that follows the mother's. Each part keeps the order of one
    /// parent, so precedence holds.
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

    /// Keeps the section of the mother contiguous; tasks before and after it are in the father's order.
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
        // Two halves within the budget can exceed it when combined.
        let is_over = |budget| cost(self.network, &modes) > budget;
        if self.network.problem.budget.is_some_and(is_over) { mother.modes.clone() } else { modes }
    }

    /// Swaps some neighbours where precedence allows it, and changes the mode of a few tasks.
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
        self.mutate_modes(modes);
    }

    fn mutate_modes(&mut self, modes: &mut [usize]) {
        let mut spent = cost(self.network, modes);
        let budget = self.network.problem.budget.unwrap_or(u64::MAX);
        for _ in 0..self.draw.below(4) {
            let task = self.draw.below(modes.len());
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

/// The best individuals of populations since the last reunion.
#[derive(Default)]
struct Elite(Vec<Individual>);

impl Elite {
    /// The initial individuals of a population.
    fn individuals(&mut self, generation: usize) -> Population {
        let mut individuals = Population::default();
        if generation % REUNION == REUNION - 1 {
            self.0.drain(..).for_each(|one| individuals.add(one));
        }
        individuals
    }

    /// Adds the best of a population that had this size.
    fn add(&mut self, individuals: Population, size: usize) {
        self.0.extend(individuals.into_best(size / (REUNION + 1)));
    }
}

/// The makespan that a child must reach to enter the population; unlimited if makespan is not the first measure.
fn longest(individuals: &Population, best: &Best) -> u64 {
    let worst = individuals.worst().filter(|_| best.goal.0.first() == Some(&Measure::Makespan));
    worst.map_or(u64::MAX, |worst| latest(&worst.times.ends))
}

/// The total lateness of the tasks for the next makespan to aim for: the distance of a schedule from a shorter one. Zero for goals
/// in which schedules of equal value can differ in makespan.
fn lateness(network: &Network<'_>, best: &Best, ends: &[u64]) -> u64 {
    if !best.goal.0.contains(&Measure::Makespan) {
        return 0;
    }
    let makespan = latest(ends);
    let aim = makespan.saturating_sub((makespan / TARGET_STEP).max(1));
    ends.iter()
        .zip(&network.tails)
        .map(|(end, tail)| end.saturating_add(*tail).saturating_sub(aim))
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::super::generate::start;
    use super::super::settings::{Goal, Settings};
    use super::*;
    use crate::base::id::TaskId;
    use crate::base::structure::Random;
    use crate::planning::{Project, Resource, Task};
    use core::ops::ControlFlow;
    use core::time::Duration;

    fn project(seed: u64, len: u64) -> Project {
        let mut random = Random::new(seed, 0);
        let mut project =
            Project::default().with_resource(Resource::new("crane", 4)).with_resource(Resource::new("lorry", 3));
        for id in 1..=len {
            let task = Task::new(TaskId::new(id), Duration::from_secs(1 + random.below(9) as u64)).unattended();
            let task = task.with_use("crane", random.below(5) as u64).with_use("lorry", random.below(4) as u64);
            let before: Vec<u64> = (1..id).filter(|_| random.below(6) == 0).collect();
            project = project.with_task(before.into_iter().fold(task, |task, one| task.after(TaskId::new(one))));
        }
        project
    }

    /// Runs `act` with a breeder for a project, and the initial best schedule.
    fn search(project: &Project, seed: u64, act: impl FnOnce(&mut Breeder<'_, Steps<'_>>, &mut Best)) {
        let problem = project.check().unwrap();
        let network = Network::new(&problem);
        let mut best = start(&network, &Goal::default());
        act(&mut Breeder::new(&network, Steps::new(&problem), seed, &best), &mut best);
    }

    #[test]
    fn a_shift_keeps_precedence_and_reaches_every_index() {
        let mut placed = std::collections::BTreeSet::new();
        for seed in 0..50 {
            search(&project(seed, 8), seed, |breeder, _| {
                let network = breeder.network;
                let mut order = network.order.clone();
                for _ in 0..200 {
                    breeder.shift(&mut order);
                    let index = |task: usize| order.iter().position(|one| *one == task).unwrap();
                    for task in 0..network.len() {
                        let then = network.then.of_task(task);
                        assert!(then.iter().all(|link| index(task) < index(link.0)), "seed {seed}");
                        placed.insert((task, index(task)));
                    }
                }
            });
        }
        assert_eq!(placed.len(), 64);
    }

    #[test]
    fn a_walk_accepts_equal_schedules_and_rarely_worse_ones() {
        search(&project(0, 4), 1, |breeder, _| {
            assert!((0..1_000).all(|_| breeder.accepts(&[3, 1], &[3, 1]) && breeder.accepts(&[2, 9], &[3, 1])));
            let worse = (0..30_000).filter(|_| breeder.accepts(&[3, 2], &[3, 1])).count();
            assert!((60..150).contains(&worse), "{worse}");
        });
    }

    fn late_of(goal: Vec<Measure>, ends: &[u64]) -> u64 {
        let chain = (2..=ends.len() as u64).map(|id| Task::new(TaskId::new(id), Duration::from_secs(1)).unattended());
        let first = Task::new(TaskId::new(1), Duration::from_secs(1)).unattended();
        let problem = chain.fold(Project::default().with_task(first), Project::with_task).check().unwrap();
        let network = Network::new(&problem);
        lateness(&network, &start(&network, &Goal(goal)), ends)
    }

    #[test]
    fn schedules_of_equal_makespan_are_ranked_by_lateness() {
        let makespan = || vec![Measure::Cost, Measure::Makespan];
        assert_eq!(late_of(makespan(), &[16, 15, 3]), 2 + 1);
        assert!(late_of(makespan(), &[16, 14, 14]) < late_of(makespan(), &[16, 15, 3]));
        assert_eq!(late_of(makespan(), &[4, 4, 3]), 2, "below eight ticks the target is one tick less");
        assert_eq!(late_of(vec![Measure::Cost], &[16, 15, 3]), 0, "the goal does not contain the makespan");
    }

    #[test]
    fn children_far_from_the_worst_makespan_are_not_justified() {
        search(&project(1, 12), 1, |breeder, best| {
            let mut passes = |longest: u64| {
                let order = breeder.network.order.clone();
                let one = breeder.individual_within(order.clone(), best.modes.clone(), best, longest);
                (core::mem::take(&mut breeder.built), one.order == order, latest(&one.times.ends))
            };
            let (built, _, justified) = passes(u64::MAX);
            assert_eq!(built, 3);
            let (built, is_same, decoded) = passes(justified / 2);
            assert!(built == 2 && is_same && decoded >= justified);
            assert_eq!(passes(decoded).0, 3, "within reach of the worst");
        });
    }

    #[test]
    fn the_best_of_populations_reunite_once() {
        search(&project(1, 12), 1, |breeder, best| {
            let (mut elite, mut waiting) = (Elite::default(), Vec::new());
            for generation in 0..2 * REUNION {
                let mut individuals = elite.individuals(generation);
                if generation % REUNION == REUNION - 1 {
                    let lates = (0..individuals.len()).map(|at| individuals.get(at).unwrap().lateness);
                    assert_eq!(lates.collect::<Vec<_>>(), core::mem::take(&mut waiting), "{generation}");
                }
                while individuals.len() < 40 {
                    individuals.add(breeder.newcomer(best, individuals.len()));
                }
                let mut all: Vec<_> = (0..40).map(|at| individuals.get(at).unwrap().clone()).collect();
                all.sort_by(|one, two| one.rank().cmp(&two.rank()));
                waiting.extend(all.iter().take(8).map(|one| one.lateness));
                elite.add(individuals, 40);
            }
        });
    }

    /// The least makespan over all orders, by recursion.
    fn least(network: &Network<'_>, order: &mut Vec<usize>, best: &mut u64) {
        if order.len() == network.len() {
            let mut times = Times::of(network.len());
            forward(network, &mut Steps::new(network.problem), order, &vec![0; order.len()], &mut times);
            *best = (*best).min(latest(&times.ends));
        }
        for task in 0..network.len() {
            if !order.contains(&task) && network.before.of_task(task).iter().all(|link| order.contains(&link.0)) {
                order.push(task);
                least(network, order, best);
                order.pop();
            }
        }
    }

    /// Local search alone, without a population.
    #[test]
    fn walks_find_the_best_order_of_small_projects() {
        let mut better = 0;
        for seed in 0..40 {
            search(&project(seed, 7), seed, |breeder, best| {
                let network = breeder.network;
                let mut shortest = u64::MAX;
                least(network, &mut Vec::new(), &mut shortest);
                let first = best.makespan;
                let settings = Settings::default();
                let mut observer = |_: &_| ControlFlow::Continue(());
                let mut monitor = SearchMonitor::new(0, &settings, network.problem, &mut observer);
                for _ in 0..2 {
                    let from = breeder.individual(network.order.clone(), best.modes.clone(), best);
                    assert!(breeder.walk(from, best, &mut monitor));
                }
                assert_eq!(best.makespan, shortest, "seed {seed}");
                better += u32::from(shortest < first);
            });
        }
        assert!(better > 3, "{better}");
    }
}
