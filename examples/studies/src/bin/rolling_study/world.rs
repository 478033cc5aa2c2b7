//! The world in which policies perform a project: actual durations, failures of agents, and time.

use crate::follow::{Follower, Online};
use crate::instance::{Instance, count, nanos};
use counterpoint::planning::{Agent, Plan, Settings, plan_project, validate};
use counterpoint::{AgentId, Random, Time};
use std::ops::ControlFlow;

/// How the world differs from the estimates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Case {
    /// The coefficient of variation of actual durations around the estimates; log-normal.
    pub(crate) variation: f64,
    /// Whether agents fail.
    pub(crate) failing: bool,
}

/// How a project is performed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// The plan as it was: each agent performs its tasks in the planned order.
    Fixed,
    /// The task that has been ready for longest, with the idle agent that is fastest for it.
    Greedy,
    /// Ready tasks by upward rank, each with the idle agent that is fastest for it.
    Ranked,
    /// HEFT on line: ready tasks by upward rank, each with the agent that ends it earliest.
    Heft,
    /// A plan that is repaired after every event.
    Repaired,
    /// The same, with a short search after every tenth of the tasks.
    Searched,
    /// A plan made with the actual durations and the failures known.
    Clairvoyant,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Result {
    pub(crate) makespan: f64,
    pub(crate) cost: f64,
    pub(crate) moves: f64,
}

/// The actual durations, relative to the estimates, and the times at which each agent is down.
#[derive(Debug, Clone)]
pub(crate) struct Truth {
    pub(crate) factors: Vec<f64>,
    pub(crate) down: Vec<Vec<(f64, f64)>>,
}

/// The evaluations of a first search and of a later one.
const FIRST: u64 = 1_500;
pub(crate) const LATER: u64 = 200;

impl Policy {
    pub(crate) const ALL: [Self; 7] =
        [Self::Fixed, Self::Greedy, Self::Ranked, Self::Heft, Self::Repaired, Self::Searched, Self::Clairvoyant];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fixed => "the plan as it was",
            Self::Greedy => "greedy",
            Self::Ranked => "by rank, idle agents",
            Self::Heft => "HEFT on line",
            Self::Repaired => "repaired plan",
            Self::Searched => "repaired and searched",
            Self::Clairvoyant => "clairvoyant",
        }
    }

    pub(crate) fn run(self, instance: &Instance, plan: &Plan, case: Case, seed: u64) -> Result {
        let truth = Truth::draw(instance, case, seed);
        let agents = || (0..instance.prices.len()).map(|at| Agent::new(AgentId::new(at as u64)));
        let all = |_: usize| true;
        match self {
            Self::Clairvoyant => {
                let known = agents().zip(&truth.down).map(|(agent, down)| {
                    let time = |seconds| Time::from_nanos(nanos(seconds));
                    down.iter().fold(agent, |agent, (from, until)| agent.with_away(time(*from), time(*until)))
                });
                let project = instance.project(all, known.collect(), Some(&truth.factors));
                let plan = planned(&project, seed, FIRST);
                let cost = plan.tasks.iter().map(|one| {
                    let at = one.agent.and_then(|agent| usize::try_from(agent.get()).ok()).unwrap_or(0);
                    one.finish.since(one.start).as_secs_f64() * instance.prices[at]
                });
                Result { makespan: plan.makespan().as_secs_f64(), cost: cost.sum(), moves: 0.0 }
            }
            Self::Greedy | Self::Ranked | Self::Heft => {
                let ranks = (self != Self::Greedy).then(|| instance.ranks());
                World::new(instance, &truth).run(&mut Online { ranks, reserves: self == Self::Heft })
            }
            Self::Fixed | Self::Repaired | Self::Searched => {
                World::new(instance, &truth).run(&mut Follower::new(plan.clone(), self, instance, seed))
            }
        }
    }
}

/// The plan that is made from the estimates before the project begins.
pub(crate) fn first_plan(instance: &Instance, seed: u64) -> Plan {
    let agents = (0..instance.prices.len()).map(|at| Agent::new(AgentId::new(at as u64)));
    planned(&instance.project(|_| true, agents.collect(), None), seed, FIRST)
}

/// A plan of a search, which the validator has checked.
fn planned(project: &counterpoint::planning::Project, seed: u64, evaluations: u64) -> Plan {
    let problem = project.check().expect("every agent can do every task");
    let settings = Settings::default().with_seed(seed).with_evaluations(evaluations);
    let found = plan_project(&problem, &settings, &mut |_| ControlFlow::Continue(()));
    validate(project, &found.plan).expect("a plan satisfies all constraints");
    found.plan
}

impl Truth {
    pub(crate) fn draw(instance: &Instance, case: Case, seed: u64) -> Self {
        let mut random = Random::new(seed, 31);
        let variance = (1.0 + case.variation * case.variation).ln();
        let factors = (0..instance.tasks()).map(|_| {
            let normal = (-2.0 * (1.0 - random.unit()).ln()).sqrt() * (std::f64::consts::TAU * random.unit()).cos();
            (normal * variance.sqrt() - variance / 2.0).exp()
        });
        let factors = factors.collect();
        // An agent works for as long as the project takes at best, on average, and is down for a tenth of that.
        let span = instance.span();
        let mut random = Random::new(seed, 32);
        let down = instance.prices.iter().map(|_| {
            let (mut at, mut windows) = (0.0, Vec::new());
            while case.failing && at < 20.0 * span {
                at += -span * (1.0 - random.unit()).ln();
                windows.push((at, at + 0.1 * span));
                at += 0.1 * span;
            }
            windows
        });
        Self { factors, down: down.collect() }
    }
}

/// What a policy sees of a task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Stage {
    Waiting,
    Ready { since: f64 },
    Running { agent: usize, since: f64 },
    Done,
}

/// What a policy sees.
pub(crate) struct View<'a> {
    pub(crate) instance: &'a Instance,
    pub(crate) now: f64,
    pub(crate) stages: &'a [Stage],
    /// Whether each agent is up.
    pub(crate) up: &'a [bool],
}

impl View<'_> {
    /// The task that each agent performs.
    pub(crate) fn running(&self) -> Vec<Option<(usize, f64)>> {
        let mut running = vec![None; self.up.len()];
        for (task, stage) in self.stages.iter().enumerate() {
            if let Stage::Running { agent, since } = *stage {
                running[agent] = Some((task, since));
            }
        }
        running
    }

    /// The expected seconds until the end of a task that has run since then. One that takes longer than expected is expected to
    /// take a tenth more.
    pub(crate) fn left(&self, task: usize, agent: usize, since: f64) -> f64 {
        let (expected, elapsed) = (self.instance.seconds[task][agent], self.now - since);
        if elapsed < expected * (1.0 + 1e-6) { (expected - elapsed).max(0.0) } else { 0.1 * expected }
    }
}

/// Decides which tasks begin.
pub(crate) trait Decide {
    /// The tasks that begin now, each with its idle agent.
    fn begin(&mut self, view: &View<'_>) -> Vec<(usize, usize)>;
    /// The changes of assignments so far.
    fn moves(&self) -> f64;
}

struct World<'a> {
    instance: &'a Instance,
    truth: &'a Truth,
    stages: Vec<Stage>,
    pending: Vec<usize>,
    up: Vec<bool>,
    now: f64,
    cost: f64,
}

impl<'a> World<'a> {
    fn new(instance: &'a Instance, truth: &'a Truth) -> Self {
        let pending: Vec<usize> = instance.before.iter().map(Vec::len).collect();
        let stage = |pending: &usize| if *pending == 0 { Stage::Ready { since: 0.0 } } else { Stage::Waiting };
        let stages = pending.iter().map(stage).collect();
        Self { instance, truth, stages, pending, up: vec![true; instance.prices.len()], now: 0.0, cost: 0.0 }
    }

    fn run(mut self, policy: &mut impl Decide) -> Result {
        while self.stages.iter().any(|stage| *stage != Stage::Done) {
            let view = View { instance: self.instance, now: self.now, stages: &self.stages, up: &self.up };
            for (task, agent) in policy.begin(&view) {
                assert!(self.up[agent] && matches!(self.stages[task], Stage::Ready { .. }), "a task begins too early");
                self.stages[task] = Stage::Running { agent, since: self.now };
            }
            self.advance();
        }
        let moves = policy.moves() / count(self.instance.tasks());
        Result { makespan: self.now, cost: self.cost, moves }
    }

    /// To the next end of a task or change of an agent.
    fn advance(&mut self) {
        let ends = self.stages.iter().enumerate().filter_map(|(task, stage)| {
            let Stage::Running { agent, since } = *stage else { return None };
            Some((since + self.instance.seconds[task][agent] * self.truth.factors[task], task, agent))
        });
        let end = ends.min_by(|one, two| one.0.total_cmp(&two.0));
        let changes = self.truth.down.iter().enumerate().flat_map(|(agent, windows)| {
            windows.iter().flat_map(move |(from, until)| [(*from, agent, false), (*until, agent, true)])
        });
        let change = changes.filter(|change| change.0 > self.now).min_by(|one, two| one.0.total_cmp(&two.0));
        match (end, change) {
            (Some((at, task, agent)), change) if change.is_none_or(|change| at <= change.0) => {
                self.end(at, task, agent)
            }
            (_, Some((at, agent, up))) => self.change(at, agent, up),
            (_, None) => panic!("nothing is under way, and nothing will happen"),
        }
    }

    fn end(&mut self, at: f64, task: usize, agent: usize) {
        let Stage::Running { since, .. } = self.stages[task] else { return };
        self.now = at;
        self.cost += (at - since) * self.instance.prices[agent];
        self.stages[task] = Stage::Done;
        for (next, before) in self.instance.before.iter().enumerate() {
            self.pending[next] -= before.iter().filter(|before| **before == task).count();
            if self.pending[next] == 0 && self.stages[next] == Stage::Waiting {
                self.stages[next] = Stage::Ready { since: at };
            }
        }
    }

    /// The work of an agent that fails is lost and has to be paid for.
    fn change(&mut self, at: f64, agent: usize, up: bool) {
        (self.now, self.up[agent]) = (at, up);
        for stage in &mut self.stages {
            if let Stage::Running { agent: by, since } = *stage
                && by == agent
                && !up
            {
                self.cost += (at - since) * self.instance.prices[agent];
                *stage = Stage::Ready { since: at };
            }
        }
    }
}
