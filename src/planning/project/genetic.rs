//! A genetic algorithm over activity lists and assignments.
//!
//! Serial schedule generation with double justification (Valls, Ballestín and Quintanilla 2005), two-point crossover (Hartmann
//! 1998) and crossover that keeps the busiest stretch of a parent (after the peak crossover of Valls, Ballestín and Quintanilla
//! 2008). A population that has lost its variety is followed by walks of single schedules, by moves of a few tasks at a time (an
//! iterated local search; Lourenço, Martin and Stützle 2003), and by another: of newcomers only, around the best, or, now and then,
//! around the best of all populations since they last came together.

use super::generate::{Rule, Scheme, build, key};
use super::moves::Draw;
use super::network::{Network, at};
use super::population::{Individual, Population};
use super::profile::{Lanes, Profile, Steps};
use super::sequence::{Sorter, Times, backward, forward, latest, mode};
use super::settings::Measure;
use super::solution::{Best, Watch, cost, worth};

/// Individuals in a population: eight for each task within these bounds, where there are schedules enough to make something of so
/// many, a few dozen for each. Fewer converge sooner, to worse.
const POPULATION: (u64, u64) = (150, 960);
/// Individuals for each task.
const FOR_EACH_TASK: u64 = 8;
const LEAST_POPULATION: u64 = 30;
/// All their tasks together: what they take in memory.
const TASKS: u64 = 4_000_000;
const SCHEDULES_EACH: u64 = 120;
/// Of a hundred children so many keep the busiest stretch of a parent; the others keep any.
const KEEP_PEAK: usize = 65;
/// A stretch is a sixth of all tasks, and up to a third more.
const STRETCH: (usize, usize) = (6, 3);
/// Of two schedules of the same makespan the one is better whose tasks would be less late if it were to end so much sooner: by one
/// in so many ticks.
const SOONER: u64 = 8;
/// How much a schedule that was moved to the right can still lose when it is moved to the left, almost never more: one of so many
/// ticks, and at least one.
const LOSES: u64 = 512;
/// Of so many neighbours two change places.
const MUTATION: usize = 10;
/// Children after which a population is left, for each individual, if neither its best nor its worst got better with them. Large
/// populations get better for a long time before their best does.
const PATIENCE: usize = 10;
/// Every so many populations the best of all since the last time come together: their part of each leaves room for newcomers.
const REUNION: usize = 4;
/// Between populations: walks of so many steps in all, but at least two of them, each of so many for each task, which moves so many
/// tasks at most.
const WALKED: usize = 72_000;
const STEPS: usize = 200;
const SHIFTS: usize = 4;
/// Of so many steps to something worse one is gone all the same.
const WORSE: usize = 300;

pub(super) fn evolve(network: &Network<'_>, best: &mut Best, watch: &mut Watch<'_>, seed: u64) {
    if let Some(lanes) = Lanes::new(network.problem) {
        Breeder::new(network, lanes, seed, best).run(best, watch);
    } else {
        Breeder::new(network, Steps::new(network.problem), seed, best).run(best, watch);
    }
}

struct Breeder<'a, P> {
    network: &'a Network<'a>,
    profile: P,
    draw: Draw,
    /// Scratch: which tasks a child has.
    has: Vec<bool>,
    /// Scratch: a schedule from the end, and what is made of it.
    mirror: Times,
    justified: (Vec<usize>, Times),
    sorter: Sorter,
    /// What the best is worth.
    record: Vec<u128>,
    /// Schedules that were built and are not counted yet.
    built: u64,
}

impl<'a, P: Profile> Breeder<'a, P> {
    fn new(network: &'a Network<'a>, profile: P, seed: u64, best: &Best) -> Self {
        let len = network.len();
        let (mirror, justified) = (Times::of(len), (Vec::new(), Times::of(len)));
        let (draw, has) = (Draw::new(seed), vec![false; len]);
        let record = worth(network, &best.goal, &best.modes, &best.ends);
        Self { network, profile, draw, has, mirror, justified, sorter: Sorter::default(), record, built: 0 }
    }

    fn run(&mut self, best: &mut Best, watch: &mut Watch<'_>) {
        let tasks = self.network.len() as u64;
        if tasks == 0 {
            return;
        }
        let wanted = FOR_EACH_TASK.saturating_mul(tasks).clamp(POPULATION.0, POPULATION.1).min(TASKS / tasks);
        let size = (watch.most() / SCHEDULES_EACH).min(wanted).max(LEAST_POPULATION);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let mut elite = Elite::default();
        for generation in 0_usize.. {
            let mut people = elite.people(generation);
            // Every other population is of newcomers only.
            if generation % 2 == 1 {
                people.add(self.individual(best.order.clone(), best.modes.clone(), best));
            }
            if !self.fill(&mut people, size, best, watch) || !self.breed(&mut people, best, watch) {
                return;
            }
            elite.add(people, size);
            if generation == 0 {
                watch.look_closer(self.network, best.makespan);
            }
            if !self.walks(best, watch) {
                return;
            }
        }
    }

    /// Newcomers until there are enough; whether to go on.
    fn fill(&mut self, people: &mut Population, size: usize, best: &mut Best, watch: &mut Watch<'_>) -> bool {
        while people.len() < size {
            let newcomer = self.newcomer(best, people.len());
            if !self.note(&newcomer, best, watch) {
                return false;
            }
            people.add(newcomer);
        }
        true
    }

    /// Children until they are no better any more; whether to go on.
    fn breed(&mut self, people: &mut Population, best: &mut Best, watch: &mut Watch<'_>) -> bool {
        let mut idle = 0;
        while idle < people.len().saturating_mul(PATIENCE) {
            let child = self.child(people, best);
            let before = best.taken;
            if !self.note(&child, best, watch) {
                return false;
            }
            let is_better = people.replace(child) || best.taken != before;
            idle = if is_better { 0 } else { idle + 1 };
        }
        true
    }

    /// Walks from the best and from newcomers; whether to go on.
    fn walks(&mut self, best: &mut Best, watch: &mut Watch<'_>) -> bool {
        let steps = STEPS.saturating_mul(self.network.len());
        for number in 0..(WALKED / steps.max(1)).max(2) {
            let from = if number.is_multiple_of(2) {
                self.individual(best.order.clone(), best.modes.clone(), best)
            } else {
                let rule = self.draw.below(8);
                self.newcomer(best, rule)
            };
            if !self.walk(from, best, watch) {
                return false;
            }
        }
        true
    }

    /// From a schedule to one that is as good or better, and so on; whether to go on.
    fn walk(&mut self, from: Individual, best: &mut Best, watch: &mut Watch<'_>) -> bool {
        let mut now = from;
        for _ in 0..STEPS.saturating_mul(self.network.len()) {
            let (mut order, mut modes) = (now.order.clone(), now.modes.clone());
            for _ in 0..=self.draw.below(SHIFTS) {
                self.shift(&mut order);
            }
            self.mutate_modes(&mut modes);
            let next = self.individual(order, modes, best);
            if !self.note(&next, best, watch) {
                return false;
            }
            if self.goes(&next.worth, &now.worth) {
                now = next;
            }
        }
        true
    }

    /// Whether a walk goes on from this instead of that.
    fn goes(&mut self, next: &[u128], now: &[u128]) -> bool {
        next <= now || self.draw.below(WORSE) == 0
    }

    /// A task moves to any place between what it waits for and what waits for it.
    fn shift(&mut self, order: &mut [usize]) {
        let from = self.draw.below(order.len());
        let Some(&task) = order.get(from) else { return };
        let waits = |one: usize| self.network.before.of_task(task).iter().any(|link| link.0 == one);
        let follows = |one: usize| self.network.then.of_task(task).iter().any(|link| link.0 == one);
        let low = order
            .get(..from)
            .and_then(|before| before.iter().rposition(|one| waits(*one)))
            .map_or(0, |place| place + 1);
        let high = order.iter().skip(from).position(|one| follows(*one)).map_or(order.len(), |place| from + place);
        let to = low + self.draw.below(high - low);
        let (first, last) = (from.min(to), from.max(to));
        if let Some(between) = order.get_mut(first..=last) {
            if from < to { between.rotate_left(1) } else { between.rotate_right(1) }
        }
    }

    /// Takes over what is better than the best; whether to go on.
    fn note(&mut self, one: &Individual, best: &mut Best, watch: &mut Watch<'_>) -> bool {
        if one.worth < self.record {
            self.record.clone_from(&one.worth);
            best.take(&one.order, &one.modes, &one.times.ends);
        }
        watch.go_on(core::mem::take(&mut self.built), best.makespan) && !best.is_proven(watch)
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
        self.sorter.sort(&mut order, |task| at(&built.times.starts, task));
        self.individual(order, built.modes, best)
    }

    /// Decodes, and justifies to the right and to the left.
    fn individual(&mut self, order: Vec<usize>, modes: Vec<usize>, best: &Best) -> Individual {
        self.individual_within(order, modes, best, u64::MAX)
    }

    /// The same, but left as it is decoded if it will not come to a makespan like this.
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
        let mut one = Individual { worth: worth_of(&times), order, times, modes: Vec::new(), late: 0 };
        if latest(&self.mirror.ends) <= longest.saturating_add((longest / LOSES).max(1)) {
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
        one.late = late(network, best, &one.times.ends);
        one
    }

    fn parent<'b>(&mut self, people: &'b Population) -> Option<&'b Individual> {
        let (one, two) = (self.draw.below(people.len()), self.draw.below(people.len()));
        let (one, two) = (people.get(one)?, people.get(two)?);
        Some(if two.rank() < one.rank() { two } else { one })
    }

    fn child(&mut self, people: &Population, best: &Best) -> Individual {
        let (mother, father) = (self.parent(people), self.parent(people));
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
        self.individual_within(order, modes, best, longest(people, best))
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
        // Two halves within the budget may not be when put together.
        let is_over = |budget| cost(self.network, &modes) > budget;
        if self.network.problem.budget.is_some_and(is_over) { mother.modes.clone() } else { modes }
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

/// The best of populations, until they come together.
#[derive(Default)]
struct Elite(Vec<Individual>);

impl Elite {
    /// Who is in a population from the beginning.
    fn people(&mut self, generation: usize) -> Population {
        let mut people = Population::default();
        if generation % REUNION == REUNION - 1 {
            self.0.drain(..).for_each(|one| people.add(one));
        }
        people
    }

    /// Takes over the best of a population that has been of this size.
    fn add(&mut self, people: Population, size: usize) {
        self.0.extend(people.into_best(size / (REUNION + 1)));
    }
}

/// The makespan that a child must come to, to be let in; any where it is not the makespan that counts first.
fn longest(people: &Population, best: &Best) -> u64 {
    let worst = people.worst().filter(|_| best.goal.0.first() == Some(&Measure::Makespan));
    worst.map_or(u64::MAX, |worst| latest(&worst.times.ends))
}

/// For how long, all in all, tasks are late for the makespan that is aimed at next: what stands between a schedule and a shorter one.
/// Nothing where schedules of equal worth need not have the same makespan.
fn late(network: &Network<'_>, best: &Best, ends: &[u64]) -> u64 {
    if !best.goal.0.contains(&Measure::Makespan) {
        return 0;
    }
    let makespan = latest(ends);
    let aim = makespan.saturating_sub((makespan / SOONER).max(1));
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
    use crate::id::TaskId;
    use crate::planning::{Project, Resource, Task};
    use crate::structure::Random;
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

    /// What searches a project, and the best that is there before it has.
    fn search(project: &Project, seed: u64, act: impl FnOnce(&mut Breeder<'_, Steps<'_>>, &mut Best)) {
        let problem = project.check().unwrap();
        let network = Network::new(&problem);
        let mut best = start(&network, &Goal::default());
        act(&mut Breeder::new(&network, Steps::new(&problem), seed, &best), &mut best);
    }

    #[test]
    fn a_shift_keeps_the_order_of_links_and_reaches_every_place() {
        let mut placed = std::collections::BTreeSet::new();
        for seed in 0..50 {
            search(&project(seed, 8), seed, |breeder, _| {
                let network = breeder.network;
                let mut order = network.order.clone();
                for _ in 0..200 {
                    breeder.shift(&mut order);
                    let place = |task: usize| order.iter().position(|one| *one == task).unwrap();
                    for task in 0..network.len() {
                        let then = network.then.of_task(task);
                        assert!(then.iter().all(|link| place(task) < place(link.0)), "seed {seed}");
                        placed.insert((task, place(task)));
                    }
                }
            });
        }
        assert_eq!(placed.len(), 64);
    }

    #[test]
    fn walks_go_where_it_is_no_worse_and_seldom_where_it_is() {
        search(&project(0, 4), 1, |breeder, _| {
            assert!((0..1_000).all(|_| breeder.goes(&[3, 1], &[3, 1]) && breeder.goes(&[2, 9], &[3, 1])));
            let worse = (0..30_000).filter(|_| breeder.goes(&[3, 2], &[3, 1])).count();
            assert!((60..150).contains(&worse), "{worse}");
        });
    }

    fn late_of(goal: Vec<Measure>, ends: &[u64]) -> u64 {
        let chain = (2..=ends.len() as u64).map(|id| Task::new(TaskId::new(id), Duration::from_secs(1)).unattended());
        let first = Task::new(TaskId::new(1), Duration::from_secs(1)).unattended();
        let problem = chain.fold(Project::default().with_task(first), Project::with_task).check().unwrap();
        let network = Network::new(&problem);
        late(&network, &start(&network, &Goal(goal)), ends)
    }

    #[test]
    fn of_the_same_makespan_that_is_better_which_is_closer_to_a_shorter_one() {
        let makespan = || vec![Measure::Cost, Measure::Makespan];
        assert_eq!(late_of(makespan(), &[16, 15, 3]), 2 + 1);
        assert!(late_of(makespan(), &[16, 14, 14]) < late_of(makespan(), &[16, 15, 3]));
        assert_eq!(late_of(makespan(), &[4, 4, 3]), 2, "of less than eight ticks by one");
        assert_eq!(late_of(vec![Measure::Cost], &[16, 15, 3]), 0, "these may be of any makespan");
    }

    #[test]
    fn children_that_are_far_from_the_worst_are_left_as_they_are() {
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
            assert_eq!(passes(decoded).0, 3, "it may come to that");
        });
    }

    #[test]
    fn the_best_of_populations_come_together_once() {
        search(&project(1, 12), 1, |breeder, best| {
            let (mut elite, mut waiting) = (Elite::default(), Vec::new());
            for generation in 0..2 * REUNION {
                let mut people = elite.people(generation);
                if generation % REUNION == REUNION - 1 {
                    let lates = (0..people.len()).map(|at| people.get(at).unwrap().late);
                    assert_eq!(lates.collect::<Vec<_>>(), core::mem::take(&mut waiting), "{generation}");
                }
                while people.len() < 40 {
                    people.add(breeder.newcomer(best, people.len()));
                }
                let mut all: Vec<_> = (0..40).map(|at| people.get(at).unwrap().clone()).collect();
                all.sort_by(|one, two| one.rank().cmp(&two.rank()));
                waiting.extend(all.iter().take(8).map(|one| one.late));
                elite.add(people, 40);
            }
        });
    }

    /// All orders, by a place for one task after the other.
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

    /// Alone, without a population.
    #[test]
    fn walks_find_the_best_of_all_orders() {
        let mut better = 0;
        for seed in 0..40 {
            search(&project(seed, 7), seed, |breeder, best| {
                let network = breeder.network;
                let mut shortest = u64::MAX;
                least(network, &mut Vec::new(), &mut shortest);
                let first = best.makespan;
                let settings = Settings::default();
                let mut observer = |_: &_| ControlFlow::Continue(());
                let mut watch = Watch::new(0, &settings, network.problem, &mut observer);
                for _ in 0..2 {
                    let from = breeder.individual(network.order.clone(), best.modes.clone(), best);
                    assert!(breeder.walk(from, best, &mut watch));
                }
                assert_eq!(best.makespan, shortest, "seed {seed}");
                better += u32::from(shortest < first);
            });
        }
        assert!(better > 3, "{better}");
    }
}
