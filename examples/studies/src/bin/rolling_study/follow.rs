//! The policies: those that decide on line, and those that follow a plan.

use crate::instance::{Instance, count, nanos};
use crate::world::{Decide, LATER, Policy, Stage, View};
use counterpoint::planning::{Agent, Plan, PlannedTask, Project, Settings, improve, repair, validate};
use counterpoint::{AgentId, Time};
use std::ops::ControlFlow;
use std::time::Duration;

/// Decides on line, without a plan.
pub(crate) struct Online {
    /// The order of the tasks; by arrival if there are none.
    pub(crate) ranks: Option<Vec<f64>>,
    /// Whether a task may wait for a busy agent that ends it earlier.
    pub(crate) reserves: bool,
}

impl Decide for Online {
    fn begin(&mut self, view: &View<'_>) -> Vec<(usize, usize)> {
        let running = view.running();
        let mut free: Vec<f64> = (0..view.up.len())
            .map(|agent| match running[agent] {
                _ if !view.up[agent] => f64::INFINITY,
                Some((task, since)) => view.left(task, agent, since),
                None => 0.0,
            })
            .collect();
        let ready = view.stages.iter().enumerate().filter_map(|(task, stage)| match stage {
            Stage::Ready { since } => Some((self.ranks.as_ref().map_or(*since, |ranks| -ranks[task]), task)),
            Stage::Waiting | Stage::Running { .. } | Stage::Done => None,
        });
        let mut ready: Vec<(f64, usize)> = ready.collect();
        ready.sort_by(|one, two| one.0.total_cmp(&two.0).then(one.1.cmp(&two.1)));
        let mut begins = Vec::new();
        for (_, task) in ready {
            let ends = free.iter().enumerate().map(|(agent, free)| (free + view.instance.seconds[task][agent], agent));
            let ends = ends.filter(|(end, agent)| end.is_finite() && (self.reserves || free[*agent] == 0.0));
            let Some((end, agent)) = ends.min_by(|one, two| one.0.total_cmp(&two.0)) else { continue };
            if free[agent] == 0.0 {
                begins.push((task, agent));
            }
            free[agent] = end;
        }
        begins
    }

    fn moves(&self) -> f64 {
        0.0
    }
}

/// Follows a plan, which is repaired or not.
pub(crate) struct Follower<'a> {
    instance: &'a Instance,
    policy: Policy,
    plan: Plan,
    seed: u64,
    moves: u32,
    /// The number of tasks that were done at the last search.
    searched: usize,
}

impl<'a> Follower<'a> {
    pub(crate) const fn new(plan: Plan, policy: Policy, instance: &'a Instance, seed: u64) -> Self {
        Self { instance, policy, plan, seed, moves: 0, searched: 0 }
    }

    /// The remaining work: agents that are up, each busy until the expected end of its task.
    fn remaining(&self, view: &View<'_>) -> Option<Project> {
        let running = view.running();
        let agents = (0..view.up.len()).filter(|agent| view.up[*agent]).map(|agent| {
            let one = Agent::new(AgentId::new(agent as u64));
            match running[agent] {
                Some((task, since)) => one.with_busy(Time::from_nanos(nanos(view.left(task, agent, since)))),
                None => one,
            }
        });
        let agents: Vec<Agent> = agents.collect();
        let open = |task: usize| matches!(view.stages[task], Stage::Waiting | Stage::Ready { .. });
        let mut project = self.instance.project(open, agents, None);
        // A task waits for predecessors that are under way until their expected ends.
        for one in &mut project.tasks {
            let Ok(task) = usize::try_from(one.id.get()) else { continue };
            for before in &self.instance.before[task] {
                if let Stage::Running { agent, since } = view.stages[*before] {
                    one.release = one.release.max(Time::from_nanos(nanos(view.left(*before, agent, since))));
                }
            }
        }
        (!project.agents.is_empty() && !project.tasks.is_empty()).then_some(project)
    }

    fn renew(&mut self, view: &View<'_>) {
        let Some(project) = self.remaining(view) else { return };
        let Ok(problem) = project.check() else { return };
        let now = Time::from_nanos(nanos(view.now));
        let from_now = |at: Time| Time::ZERO + (at - now);
        let earlier = Plan::of(self.plan.tasks.iter().map(|one| PlannedTask {
            start: from_now(one.start),
            finish: from_now(one.finish),
            ..*one
        }));
        // A change is worth a tenth of a mean task.
        let stability = Duration::from_secs_f64(0.1 * view.instance.span() * 8.0 / count(view.instance.tasks()));
        let found = repair(&problem, &earlier, stability);
        self.moves += found.moved;
        let mut plan = found.plan;
        let done = view.stages.iter().filter(|stage| **stage == Stage::Done).count();
        if self.policy == Policy::Searched && done >= self.searched + view.stages.len() / 10 {
            self.searched = done;
            let settings = Settings::default().with_seed(self.seed).with_evaluations(LATER);
            let better = improve(&problem, &plan, &settings, &mut |_| ControlFlow::Continue(())).plan;
            let changes = plan.tasks.iter().zip(&better.tasks).filter(|(one, two)| one.agent != two.agent).count();
            let price = stability.saturating_mul(u32::try_from(changes).unwrap_or(u32::MAX));
            if better.makespan() + price < plan.makespan() {
                self.moves += u32::try_from(changes).unwrap_or(u32::MAX);
                plan = better;
            }
        }
        validate(&project, &plan).expect("a repaired plan satisfies all constraints");
        let later = |at: Time| now + at.since(Time::ZERO);
        let tasks = plan.tasks.iter();
        self.plan =
            Plan::of(tasks.map(|one| PlannedTask { start: later(one.start), finish: later(one.finish), ..*one }));
    }
}

impl Decide for Follower<'_> {
    fn begin(&mut self, view: &View<'_>) -> Vec<(usize, usize)> {
        if self.policy != Policy::Fixed && view.now > 0.0 {
            self.renew(view);
        }
        let running = view.running();
        let mut order: Vec<(Time, usize, usize)> = self
            .plan
            .tasks
            .iter()
            .filter_map(|one| {
                let task = usize::try_from(one.task.get()).ok()?;
                Some((one.start, task, usize::try_from(one.agent?.get()).ok()?))
            })
            .collect();
        order.sort_unstable();
        let mut taken: Vec<bool> =
            (0..view.up.len()).map(|agent| !view.up[agent] || running[agent].is_some()).collect();
        let mut begins = Vec::new();
        // Durations are rounded to microseconds.
        let now = Time::from_nanos(nanos(view.now)) + Duration::from_micros(100);
        for (start, task, agent) in order {
            match view.stages[task] {
                Stage::Running { .. } | Stage::Done => {}
                Stage::Ready { .. } if !taken[agent] && (self.policy == Policy::Fixed || start <= now) => {
                    taken[agent] = true;
                    begins.push((task, agent));
                }
                // The agent waits for its next task.
                Stage::Waiting | Stage::Ready { .. } => taken[agent] = true,
            }
        }
        begins
    }

    fn moves(&self) -> f64 {
        f64::from(self.moves)
    }
}
