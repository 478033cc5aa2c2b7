//! The destructive lower bound: refutes makespans (Klein and Scholl 1999).
//!
//! Assume that everything ends within a given time. For two tasks that cannot run at the same time, one order may then take too
//! long, which forces the other (immediate selection; Carlier and Pinson 1989); a task on a unit resource may be forced before or
//! after a whole set of tasks (edge finding; Carlier and Pinson 1990). A forced order is an additional link: it increases heads
//! and tails and can force more orders. If a contradiction results, no plan has that makespan.

use super::bounds::{Crew, busiest, least, longer};
use super::network::{Network, at};
use core::cmp::Reverse;

/// The limit on crews, the busiest first; crews with a capacity of one are always included.
const MOST_CREWS: usize = 64;
/// The limit on rounds of new links for one makespan.
const MOST_ROUNDS: usize = 40;
/// The limit on elementary steps in all. Projects of hundreds of tasks with dozens of large crews reach it within the first round
/// and keep the bound that they have.
const MOST_STEPS: usize = 40_000_000;

/// A lower bound that is at least `bound` and at most `enough`.
pub(super) fn destructive_bound(network: &Network<'_>, bound: u64, enough: u64) -> u64 {
    let (_, crews) = busiest(network);
    let crews = crews.into_iter().enumerate();
    let crews = crews.filter(|(index, crew)| *index < MOST_CREWS || crew.capacity == 1).map(|(_, crew)| crew);
    let mut refuter = Refuter { network, crews: crews.collect(), steps: MOST_STEPS };
    let (mut low, mut high) = (bound, enough);
    // In most cases the first makespan, or one slightly above it, cannot be refuted, so the stride starts at 0.
    let mut stride = 0;
    while low < high {
        let within = low.saturating_add(stride).min(low + (high - 1 - low) / 2);
        if refuter.refutes(within) {
            low = within + 1;
            stride = stride * 2 + 1;
        } else {
            high = within;
        }
    }
    low
}

struct Refuter<'a> {
    network: &'a Network<'a>,
    crews: Vec<Crew>,
    steps: usize,
}

impl Refuter<'_> {
    /// Whether it proves that no plan ends within this time.
    fn refutes(&mut self, within: u64) -> bool {
        let mut network = self.network.clone();
        for _ in 0..MOST_ROUNDS {
            if !self.affords(&network) {
                return false;
            }
            let (heads, tails) = longer(&network, &self.crews, &network.heads, &network.tails);
            if least(&network, &self.crews, &heads, &tails) > within {
                return true;
            }
            let mut orders = Orders::new(&network, &heads, &tails, within);
            if !self.crews.iter().all(|crew| orders.of_pairs(crew) && orders.of_sets(crew)) {
                return true;
            }
            if orders.found.is_empty() {
                return false;
            }
            match network.with_links(orders.found) {
                Some(linked) => network = linked,
                None => return true,
            }
        }
        false
    }

    /// Whether enough steps are left for another round.
    fn affords(&mut self, network: &Network<'_>) -> bool {
        let len = network.len();
        let links: usize = (0..len).map(|task| network.then.of_task(task).len()).sum();
        let alone = self.crews.iter().filter(|crew| crew.capacity == 1).map(|crew| crew.tasks.len().pow(3));
        let steps = len * (len + links) + 8 * len * self.crews.iter().map(|crew| crew.tasks.len()).sum::<usize>();
        let steps = steps + alone.fold(0, usize::saturating_add);
        self.steps = self.steps.saturating_sub(steps);
        self.steps > 0
    }
}

/// The orders of tasks that are forced.
struct Orders<'a> {
    network: &'a Network<'a>,
    heads: &'a [u64],
    tails: &'a [u64],
    within: u64,
    /// `known[b][a]` if task a is known to precede task b.
    known: Vec<Vec<bool>>,
    found: Vec<(usize, usize)>,
}

impl<'a> Orders<'a> {
    fn new(network: &'a Network<'a>, heads: &'a [u64], tails: &'a [u64], within: u64) -> Self {
        let mut known = vec![vec![false; network.len()]; network.len()];
        for &task in &network.order {
            let mut above = known.get_mut(task).map(core::mem::take).unwrap_or_default();
            for &(first, _) in network.before.of_task(task) {
                let further = known.get(first).into_iter().flatten();
                above.iter_mut().zip(further).for_each(|(above, further)| *above |= *further);
                mark(&mut above, first);
            }
            if let Some(known) = known.get_mut(task) {
                *known = above;
            }
        }
        Self { network, heads, tails, within, known, found: Vec::new() }
    }

    fn knows(&self, first: usize, next: usize) -> bool {
        self.known.get(next).and_then(|above| above.get(first)).copied().unwrap_or(false)
    }

    fn put(&mut self, first: usize, next: usize) {
        if !self.knows(first, next) {
            self.known.get_mut(next).into_iter().for_each(|above| mark(above, first));
            self.found.push((first, next));
        }
    }

    /// Immediate selection; returns whether every pair that cannot run at the same time has a possible order.
    fn of_pairs(&mut self, crew: &Crew) -> bool {
        for (index, &one) in crew.tasks.iter().enumerate() {
            for &two in crew.tasks.iter().skip(index + 1) {
                let apart = at(&crew.takes, one).saturating_add(at(&crew.takes, two)) > crew.capacity;
                if !apart || self.knows(one, two) || self.knows(two, one) {
                    continue;
                }
                match (self.can_follow(one, two), self.can_follow(two, one)) {
                    (true, true) => {}
                    (true, false) => self.put(one, two),
                    (false, true) => self.put(two, one),
                    (false, false) => return false,
                }
            }
        }
        true
    }

    fn can_follow(&self, first: usize, next: usize) -> bool {
        let both = self.network.span(first).saturating_add(self.network.span(next));
        at(self.heads, first).saturating_add(both).saturating_add(at(self.tails, next)) <= self.within
    }

    /// Edge finding: tasks that must precede or follow a whole set. Sets of all tasks with at least some head and at least some tail
    /// suffice. Returns whether every set is possible.
    fn of_sets(&mut self, crew: &Crew) -> bool {
        if crew.capacity != 1 {
            return true;
        }
        let mut by_head = crew.tasks.clone();
        by_head.sort_by_key(|task| Reverse(at(self.heads, *task)));
        let mut tails: Vec<u64> = crew.tasks.iter().map(|task| at(self.tails, *task)).collect();
        tails.sort_unstable();
        tails.dedup();
        tails.into_iter().all(|tail| self.of_tail(&by_head, tail))
    }

    fn of_tail(&mut self, by_head: &[usize], tail: u64) -> bool {
        let (mut set, mut work) = (Vec::new(), 0_u64);
        let mut within = vec![false; self.network.len()];
        for &task in by_head.iter().filter(|task| at(self.tails, **task) >= tail) {
            set.push(task);
            mark(&mut within, task);
            work = work.saturating_add(self.network.span(task));
            let head = at(self.heads, task);
            for &other in by_head {
                let span = self.network.span(other);
                let own = within.get(other).copied().unwrap_or(false);
                let rest = if own { work - span } else { work };
                if rest > 0 && !self.beside(other, rest.saturating_add(span), (head, tail), &set) {
                    return false;
                }
            }
        }
        true
    }

    /// Checks a task against a set with the total work of both; returns whether an order is possible.
    fn beside(&mut self, task: usize, work: u64, (head, tail): (u64, u64), set: &[usize]) -> bool {
        let fits = |head: u64, tail: u64| head.saturating_add(work).saturating_add(tail) <= self.within;
        let (own_head, own_tail) = (at(self.heads, task), at(self.tails, task));
        let not_last = fits(head.min(own_head), tail);
        let not_first = fits(head, tail.min(own_tail));
        if not_last && not_first {
            return true;
        }
        // Neither last nor first: a contradiction.
        if !not_last && !fits(head, own_tail) || !not_first && !fits(own_head, tail) {
            return false;
        }
        for &other in set.iter().filter(|other| **other != task) {
            if !not_last {
                self.put(other, task);
            }
            if !not_first {
                self.put(task, other);
            }
        }
        true
    }
}

fn mark(marks: &mut [bool], task: usize) {
    if let Some(mark) = marks.get_mut(task) {
        *mark = true;
    }
}

#[cfg(test)]
mod tests {
    use super::super::bounds::makespan_bound;
    use super::super::profile::Steps;
    use super::super::sequence::{Times, forward, latest};
    use super::*;
    use crate::base::id::{AgentId, TaskId};
    use crate::base::structure::Random;
    use crate::planning::{Agent, Project, Resource, Task};
    use core::time::Duration;

    fn task(id: u64, secs: u64, skill: &str) -> Task {
        Task::new(TaskId::new(id), Duration::from_secs(secs)).with_need(skill, 1)
    }

    fn two_agents() -> Project {
        Project::default()
            .with_agent(Agent::new(AgentId::new(1)).with_skill("a", 1).with_skill("any", 1))
            .with_agent(Agent::new(AgentId::new(2)).with_skill("b", 1).with_skill("any", 1))
    }

    /// The initial bound of a search, and the destructive one.
    fn bounds(project: &Project) -> (u64, u64) {
        let problem = project.check().unwrap();
        let network = Network::new(&problem);
        let simple = makespan_bound(&network, u64::MAX);
        (simple, destructive_bound(&network, simple, u64::MAX))
    }

    /// Ten that can begin at once, and two that come after one and before eight. With preemption all is done after 12; without, the
    /// two wait for the ten to end (20) or the ten for the two (13).
    #[test]
    fn tasks_without_preemption_take_longer() {
        let project = two_agents()
            .with_task(task(1, 10, "a"))
            .with_task(task(2, 1, "b"))
            .with_task(task(3, 2, "a").after(TaskId::new(2)))
            .with_task(task(4, 8, "b").after(TaskId::new(3)));
        assert_eq!(bounds(&project), (12, 13));
        let problem = project.check().unwrap();
        let network = Network::new(&problem);
        assert_eq!((destructive_bound(&network, 12, 12), destructive_bound(&network, 12, 13)), (12, 13));
    }

    /// The same with a crane that serves one of the two at a time.
    #[test]
    fn tasks_that_exclude_each_other_are_ordered() {
        let alone = |id, secs| Task::new(TaskId::new(id), Duration::from_secs(secs)).unattended();
        let project = Project::default()
            .with_resource(Resource::new("crane", 3))
            .with_task(alone(1, 10).with_use("crane", 2))
            .with_task(alone(2, 1))
            .with_task(alone(3, 2).with_use("crane", 2).after(TaskId::new(2)))
            .with_task(alone(4, 8).after(TaskId::new(3)));
        assert_eq!(bounds(&project), (11, 13));
    }

    /// Within 16, the ten cannot precede the two, which are followed by eight; so it ends after 13 at the earliest and cannot precede
    /// the other two, which are followed by four; after them, from seven on, it ends after 17.
    #[test]
    fn one_forced_order_implies_another() {
        let alone = |id, secs| Task::new(TaskId::new(id), Duration::from_secs(secs)).unattended();
        let lifted = |id, secs| alone(id, secs).with_use("crane", 2);
        for (two, late) in [(1, 3), (3, 1)] {
            let mut tasks = [
                lifted(2, 10),
                alone(4, 1),
                lifted(two, 2).after(TaskId::new(4)),
                alone(5, 8).after(TaskId::new(two)),
                alone(6, 5),
                lifted(late, 2).after(TaskId::new(6)),
                alone(7, 4).after(TaskId::new(late)),
            ];
            tasks.sort_by_key(|task| task.id);
            let project = Project::default().with_resource(Resource::new("crane", 3));
            assert_eq!(bounds(&tasks.into_iter().fold(project, Project::with_task)).1, 17);
        }
    }

    /// Five can precede or follow each of two threes, which begin after four and are followed by four. But it must precede or follow
    /// both, and then nothing ends within 14.
    #[test]
    fn a_task_compatible_with_each_of_two_can_conflict_with_both() {
        let project = two_agents()
            .with_task(task(1, 5, "a"))
            .with_task(task(2, 4, "b"))
            .with_task(task(3, 3, "a").after(TaskId::new(2)))
            .with_task(task(4, 3, "a").after(TaskId::new(2)))
            .with_task(task(5, 4, "b").after(TaskId::new(3)).after(TaskId::new(4)));
        assert_eq!(bounds(&project), (14, 15));
    }

    fn any_project(random: &mut Random) -> Project {
        let mut project = two_agents().with_resource(Resource::new("crane", 3));
        for id in 1..=6 {
            let skill = ["a", "b", "a", "b", "any"][random.below(5)];
            let one = task(id, 1 + random.below(9) as u64, skill).with_use("crane", random.below(3) as u64);
            let before = (1..id).filter(|_| random.below(4) == 0);
            project = project.with_task(before.fold(one, |one, first| one.after(TaskId::new(first))));
        }
        project
    }

    /// The least makespan over all orders and assignments.
    fn shortest(network: &Network<'_>, order: &mut Vec<usize>, modes: &mut [usize], best: &mut u64) {
        if order.len() == network.len() {
            let mut times = Times::of(network.len());
            forward(network, &mut Steps::new(network.problem), order, modes, &mut times);
            *best = (*best).min(latest(&times.ends));
        }
        for task in 0..network.len() {
            if !order.contains(&task) && network.before.of_task(task).iter().all(|link| order.contains(&link.0)) {
                for mode in 0..network.modes(task).len() {
                    order.push(task);
                    modes[task] = mode;
                    shortest(network, order, modes, best);
                    order.pop();
                }
            }
        }
    }

    #[test]
    fn no_bound_exceeds_the_optimal_makespan() {
        let (mut raised, mut exact) = (0, 0);
        for seed in 0..150 {
            let problem = any_project(&mut Random::new(seed, 0)).check().unwrap();
            let network = Network::new(&problem);
            let mut best = u64::MAX;
            shortest(&network, &mut Vec::new(), &mut [0; 6], &mut best);
            let simple = makespan_bound(&network, u64::MAX);
            let bound = destructive_bound(&network, simple, u64::MAX);
            assert!(simple <= bound && bound <= best, "seed {seed}: {simple}, {bound}, {best}");
            raised += u32::from(bound > simple);
            exact += u32::from(bound == best);
        }
        assert!(raised > 10 && exact > 100, "{raised} raised, {exact} exact");
    }
}
