//! Lower bounds on the makespan.
//!
//! A crew is a set of agents with the tasks that only they can do, or a shared resource with the tasks that use it. A crew needs
//! at least its work over its capacity, plus the least head before it and the least tail after it. The number of crews is
//! exponential; those considered are the sets that tasks name, their pairwise unions, and the sets that remain when agents are
//! removed one by one, the one that loses the least work first (peeling, as for densest subgraphs; Charikar 2000).
//!
//! Heads and tails are those of the longest paths at first. Then the same argument is applied to all predecessors of a task,
//! which increases its head, and to all successors, which increases its tail.

use super::network::{Links, Network, at, set};
use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// The limit on unions of two sets of agents.
const MOST_UNIONS: usize = 4_000;
/// The limit on elementary steps for heads, and again for tails: some hundredths of a second.
const MOST_STEPS: usize = 4_000_000;

/// The largest of the longest path and, for each crew, its work with the head before and the tail after it. If that reaches
/// `enough`, the makespan of a known plan, no more is computed.
pub(super) fn makespan_bound(network: &Network<'_>, enough: u64) -> u64 {
    let (heads, tails) = (&network.heads, &network.tails);
    let (busy, crews) = busiest(network);
    let simple = busy.max(longest(network, heads, tails));
    if simple >= enough {
        return simple;
    }
    let (heads, tails) = longer(network, &crews, heads, tails);
    least(network, &crews, &heads, &tails).max(simple)
}

/// All crews with the largest of their bounds. The busiest come first, since they are the likeliest to increase heads.
pub(super) fn busiest(network: &Network<'_>) -> (u64, Vec<Crew>) {
    let bound = |crew: Crew| (crew.least(network, &network.heads, &network.tails), crew);
    let mut crews: Vec<(u64, Crew)> = crews(network).into_iter().chain(resources(network)).map(bound).collect();
    crews.sort_by_key(|(bound, crew)| (Reverse(*bound), crew.tasks.len()));
    let busy = crews.first().map_or(0, |(bound, _)| *bound);
    (busy, crews.into_iter().map(|(_, crew)| crew).collect())
}

/// The largest of the longest path and the bounds of all crews.
pub(super) fn least(network: &Network<'_>, crews: &[Crew], heads: &[u64], tails: &[u64]) -> u64 {
    let bounds = crews.iter().map(|crew| crew.least(network, heads, tails));
    bounds.fold(longest(network, heads, tails), u64::max)
}

/// Heads and tails, increased by what must precede and follow each task.
pub(super) fn longer(network: &Network<'_>, crews: &[Crew], heads: &[u64], tails: &[u64]) -> (Vec<u64>, Vec<u64>) {
    let reversed: Vec<usize> = network.order.iter().rev().copied().collect();
    let heads = tightened(network, crews, &network.order, (&network.before, &network.then), heads);
    let tails = tightened(network, crews, &reversed, (&network.then, &network.before), tails);
    (heads, tails)
}

fn longest(network: &Network<'_>, heads: &[u64], tails: &[u64]) -> u64 {
    let ways = (0..network.len()).map(|task| at(heads, task) + network.span(task) + at(tails, task));
    ways.max().unwrap_or(0)
}

/// Tasks that share a capacity, with the amount that each takes.
pub(super) struct Crew {
    pub(super) capacity: u64,
    pub(super) tasks: Vec<usize>,
    /// By task; zero for tasks that are not in the crew.
    pub(super) takes: Vec<u64>,
}

impl Crew {
    fn new(network: &Network<'_>, capacity: u64, users: &[(usize, u64)]) -> Self {
        let mut takes = vec![0; network.len()];
        users.iter().for_each(|&(task, amount)| set(&mut takes, task, |_| amount));
        Self { capacity, tasks: users.iter().map(|user| user.0).collect(), takes }
    }

    /// A lower bound on the makespan from this crew.
    fn least(&self, network: &Network<'_>, heads: &[u64], tails: &[u64]) -> u64 {
        let parts = |near: &[u64], far: &[u64]| -> Vec<Part> {
            self.tasks.iter().map(|&task| self.part(network, task, at(near, task), at(far, task))).collect()
        };
        let swept = sweep(parts(heads, tails), self.capacity).max(sweep(parts(tails, heads), self.capacity));
        // With a capacity of one, each task takes all of it.
        if self.capacity == 1 { swept.max(preemptive(parts(heads, tails))) } else { swept }
    }

    fn part(&self, network: &Network<'_>, task: usize, near: u64, far: u64) -> Part {
        Part { near, far, span: network.span(task), takes: at(&self.takes, task) }
    }
}

/// A task of a crew, with its head and tail.
#[derive(Clone, Copy)]
struct Part {
    near: u64,
    far: u64,
    span: u64,
    takes: u64,
}

fn resources(network: &Network<'_>) -> Vec<Crew> {
    let mut users: BTreeMap<usize, Vec<(usize, u64)>> = BTreeMap::new();
    for (task, uses) in network.problem.uses.iter().enumerate() {
        for &(resource, amount) in uses.iter().filter(|used| used.1 > 0) {
            users.entry(resource).or_default().push((task, amount));
        }
    }
    let crew = |(resource, users): (usize, Vec<_>)| Crew::new(network, at(&network.problem.capacity, resource), &users);
    users.into_iter().map(crew).collect()
}

type Agents = BTreeSet<usize>;

fn crews(network: &Network<'_>) -> Vec<Crew> {
    let mut able: BTreeMap<Agents, Vec<usize>> = BTreeMap::new();
    for task in 0..network.len() {
        let agents: Agents = network.modes(task).iter().filter_map(|mode| mode.agent).collect();
        if !agents.is_empty() {
            able.entry(agents).or_default().push(task);
        }
    }
    let sets: Vec<&Agents> = able.keys().collect();
    let mut looked: BTreeSet<Agents> = sets.iter().map(|set| (*set).clone()).collect();
    let all: Agents = sets.iter().flat_map(|set| set.iter().copied()).collect();
    let work = able.iter().map(|(set, tasks)| (set, tasks.iter().map(|task| network.span(*task)).sum())).collect();
    looked.extend(peeled(all, work, &network.problem.capacity));
    for (index, one) in sets.iter().enumerate() {
        for two in sets.iter().skip(index + 1) {
            if looked.len() >= MOST_UNIONS {
                break;
            }
            looked.insert(one.union(two).copied().collect());
        }
    }
    let crew = |agents: &Agents| {
        let within = able.iter().filter(|(set, _)| set.is_subset(agents)).flat_map(|(_, tasks)| tasks);
        let users: Vec<(usize, u64)> = within.map(|&task| (task, 1)).collect();
        let capacity = agents.iter().map(|agent| at(&network.problem.capacity, *agent)).fold(0, u64::saturating_add);
        Crew::new(network, capacity, &users)
    };
    looked.iter().map(crew).collect()
}

/// The sets that remain when agents are removed one by one, each time the one that loses the least work for its capacity. One of
/// them has at least half the greatest density.
fn peeled(mut agents: Agents, mut work: Vec<(&Agents, u64)>, capacity: &[u64]) -> Vec<Agents> {
    let mut found = Vec::new();
    while !agents.is_empty() {
        found.push(agents.clone());
        let lost = |agent: usize| -> u128 {
            let lost: u128 = work.iter().filter(|(set, _)| set.contains(&agent)).map(|set| u128::from(set.1)).sum();
            (lost << 20) / u128::from(at(capacity, agent).max(1))
        };
        let Some(least) = agents.iter().copied().min_by_key(|agent| lost(*agent)) else { break };
        agents.remove(&least);
        work.retain(|(set, _)| !set.contains(&least));
    }
    found
}

/// For each head: the work of the tasks with at least this head over the capacity, plus the least tail among them.
fn sweep(mut parts: Vec<Part>, capacity: u64) -> u64 {
    parts.sort_unstable_by_key(|part| Reverse((part.near, part.far)));
    let (mut work, mut least, mut bound) = (0_u128, u64::MAX, 0);
    for part in parts {
        work = work.saturating_add(u128::from(part.span) * u128::from(part.takes));
        least = least.min(part.far);
        let whole = u64::try_from(work.div_ceil(u128::from(capacity.max(1)))).unwrap_or(0);
        bound = bound.max(part.near.saturating_add(whole).saturating_add(least));
    }
    bound
}

/// The makespan of a preemptive schedule on one machine, longest tail first: a lower bound for non-preemptive ones (Jackson 1955;
/// Carlier 1982).
fn preemptive(mut parts: Vec<Part>) -> u64 {
    parts.sort_unstable_by_key(|part| Reverse(part.near));
    let (mut now, mut bound) = (0_u64, 0);
    let mut ready: BinaryHeap<(u64, u64)> = BinaryHeap::new();
    loop {
        while let Some(part) = parts.pop_if(|part| part.near <= now || ready.is_empty()) {
            now = now.max(part.near);
            ready.push((part.far, part.span));
        }
        let Some((far, left)) = ready.pop() else { return bound };
        let next = parts.last().map_or(u64::MAX, |part| part.near);
        let done = left.min(next.saturating_sub(now));
        now = now.saturating_add(done);
        if done < left {
            ready.push((far, left - done));
        } else {
            bound = bound.max(now.saturating_add(far));
        }
    }
}

/// Increased heads: the predecessors of a task are a project of their own, whose bound is a head of the task. With reversed links
/// it computes tails.
fn tightened(
    network: &Network<'_>,
    crews: &[Crew],
    order: &[usize],
    (before, then): (&Links, &Links),
    simple: &[u64],
) -> Vec<u64> {
    let mut heads = simple.to_vec();
    let mut steps = 0_usize;
    let mut way = vec![None; network.len()];
    for (index, &task) in order.iter().enumerate() {
        let links = before.of_task(task).iter();
        let head =
            links.map(|&(first, lag)| at(&heads, first) + network.span(first) + lag).fold(at(simple, task), u64::max);
        set(&mut heads, task, |_| head);
        let above = above(network, task, order.get(..index).unwrap_or_default(), then, &mut way);
        for crew in crews {
            if above.len() < 2 || steps > MOST_STEPS {
                break;
            }
            steps += above.len();
            let parts = above.iter().filter(|(task, _)| at(&crew.takes, *task) > 0);
            let parts: Vec<Part> =
                parts.map(|&(first, far)| crew.part(network, first, at(&heads, first), far)).collect();
            steps += 8 * parts.len();
            let least = match crew.capacity {
                1 => preemptive(parts),
                capacity => {
                    sweep(parts.clone(), capacity).max(sweep(parts.into_iter().map(Part::turned).collect(), capacity))
                }
            };
            set(&mut heads, task, |head| head.max(least));
        }
    }
    heads
}

impl Part {
    const fn turned(self) -> Self {
        Self { near: self.far, far: self.near, ..self }
    }
}

/// The predecessors of a task, each with the longest path from its end to the start of the task.
fn above(
    network: &Network<'_>,
    task: usize,
    earlier: &[usize],
    then: &Links,
    way: &mut [Option<u64>],
) -> Vec<(usize, u64)> {
    way.fill(None);
    let put = |way: &mut [Option<u64>], task: usize, to: u64| {
        if let Some(slot) = way.get_mut(task) {
            *slot = Some(to);
        }
    };
    put(way, task, 0);
    let mut found = Vec::new();
    for &one in earlier.iter().rev() {
        let ways = then.of_task(one).iter().filter_map(|&(next, lag)| {
            let rest = way.get(next).copied().flatten()?;
            Some(lag + if next == task { 0 } else { rest + network.span(next) })
        });
        if let Some(longest) = ways.max() {
            put(way, one, longest);
            found.push((one, longest));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::{AgentId, TaskId};
    use crate::planning::{Agent, Project, Task};
    use core::time::Duration;
    use proptest::prelude::*;

    fn bound(project: &Project) -> u64 {
        let problem = project.check().unwrap();
        makespan_bound(&Network::new(&problem), u64::MAX) * problem.tick / 1_000_000_000
    }

    fn task(id: u64, secs: u64, skill: &str) -> Task {
        Task::new(TaskId::new(id), Duration::from_secs(secs)).with_need(skill, 1)
    }

    /// Three must be done by one agent before another does one, and then three again: 9 + 5 + 9. The longest path is 11 and the work
    /// of the first agent 18.
    #[test]
    fn predecessors_of_a_task_increase_its_head() {
        let project = Project::default()
            .with_agent(Agent::new(AgentId::new(1)).with_skill("a", 1))
            .with_agent(Agent::new(AgentId::new(2)).with_skill("b", 1));
        let project = (1..=3).map(|id| task(id, 3, "a")).fold(project, Project::with_task);
        let middle = (1..=3).fold(task(4, 5, "b"), |task, id| task.after(TaskId::new(id)));
        let project = project.with_task(middle);
        let project = (5..=7).map(|id| task(id, 3, "a").after(TaskId::new(4))).fold(project, Project::with_task);
        assert_eq!(bound(&project), 23);
    }

    /// Six agents share 60; the seventh can do none of it. No union of two sets that tasks name is all six.
    #[test]
    fn peeling_removes_agents_that_cannot_help() {
        let skills: [&[&str]; 7] = [&["x", "v"], &["x"], &["y", "v"], &["y"], &["z", "v"], &["z"], &["w"]];
        let agent = |(id, skills): (u64, &&[&str])| {
            skills.iter().fold(Agent::new(AgentId::new(id)), |agent, skill| agent.with_skill(*skill, 1))
        };
        let project = (1..).zip(&skills).map(agent).fold(Project::default(), Project::with_agent);
        let work = [("x", 12), ("y", 12), ("z", 12), ("v", 24), ("w", 1)];
        let tasks = work.iter().flat_map(|(skill, secs)| (0..*secs).map(move |_| *skill));
        let project = (1..).zip(tasks).map(|(id, skill)| task(id, 1, skill)).fold(project, Project::with_task);
        assert_eq!(bound(&project), 10);
    }

    proptest! {
        /// Carlier's theorem: the preemptive makespan is the greatest, over all sets of tasks, of the least head, all spans and the
        /// least tail.
        #[test]
        fn the_preemptive_makespan_is_the_bound_of_the_worst_set(tasks in prop::collection::vec((0_u64..20, 1_u64..8, 0_u64..20), 1..9)) {
            let parts: Vec<Part> = tasks.iter().map(|&(near, span, far)| Part { near, far, span, takes: 1 }).collect();
            let of_set = |set: u32| {
                let chosen = parts.iter().enumerate().filter(|(index, _)| set >> index & 1 == 1).map(|(_, part)| part);
                let near = chosen.clone().map(|part| part.near).min()?;
                let far = chosen.clone().map(|part| part.far).min()?;
                Some(near + chosen.map(|part| part.span).sum::<u64>() + far)
            };
            let worst = (1..1_u32 << parts.len()).filter_map(of_set).max().unwrap();
            prop_assert_eq!(preemptive(parts.clone()), worst);
            prop_assert!(sweep(parts, 1) <= worst);
        }
    }
}
