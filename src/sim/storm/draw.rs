//! Draws a case from a seed: agents, load, faults and their rates.

use super::case::Case;
use super::flows;
use crate::base::id::{AgentId, RunId, TaskId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::Random;
use crate::base::time::Time;
use crate::message::command::{AgentCommand, Command, RunCommand, TaskCommand};
use crate::message::run::RunSpec;
use crate::sim::agent::AgentModel;
use crate::sim::distribution::Distribution;
use crate::sim::fault::{Fault, Faults};
use crate::sim::job::Job;
use crate::task::agent::{AgentSpec, Scope};
use crate::task::{Exhausted, InDoubt, Jitter, Policy, Retry, TaskSpec, Tier};
use core::time::Duration;

/// The configuration of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavour {
    /// The defaults, checked by all rules.
    Plain,
    /// Shares, quotas, preemption, batches, prefetching and polling agents.
    Shares,
    /// Circuit breakers, ejection, adaptive concurrency, rates, retry budgets.
    Guards,
}

pub(super) struct Drawn {
    pub(super) flavour: Flavour,
    pub(super) faults: Faults,
    /// The time at which faults stop; `None` for a case in which they never stop.
    pub(super) quiet: Option<Time>,
    pub(super) agents: Vec<AgentModel>,
    pub(super) jobs: Vec<Job>,
    pub(super) policies: Vec<Policy>,
    pub(super) runs: u32,
    pub(super) delay: Distribution,
    pub(super) service: Distribution,
    pub(super) group: Duration,
    pub(super) snapshots: u64,
    pub(super) reminders: bool,
}

pub(super) const KINDS: [&str; 3] = ["k0", "k1", "k2"];
const TENANTS: [&str; 2] = ["t1", "t2"];

struct Draw {
    random: Random,
    span: u64,
    tasks: Vec<TaskSpec>,
    runs: Vec<RunSpec>,
    agents: usize,
    policies: Vec<Policy>,
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The number of jobs, unless configured: mostly small.
pub(super) fn size(case: &Case, jobs: Option<u32>) -> u32 {
    let mut random = Random::new(case.seed, 0x0073_697a_6500);
    jobs.unwrap_or_else(|| {
        let (least, most) = match random.below(14) {
            0 => (31, 80),
            1..5 => (13, 30),
            _ => (4, 12),
        };
        least + u32::try_from(random.below(most - least as usize + 1)).unwrap_or_default()
    })
}

pub(super) fn drawn(case: &Case, jobs: Option<u32>) -> Drawn {
    let count = size(case, jobs);
    let mut draw = Draw {
        random: Random::new(case.seed, 0x0073_746f_726d),
        span: 0,
        tasks: Vec::new(),
        runs: Vec::new(),
        agents: 0,
        policies: Vec::new(),
    };
    let flavour = match draw.below(20) {
        0..12 => Flavour::Plain,
        12..17 => Flavour::Shares,
        _ => Flavour::Guards,
    };
    draw.span = draw.between(60, 600);
    if jobs.is_none() {
        // The same density as with thirty jobs.
        draw.span = (draw.span * u64::from(count) / 30).max(20);
    }
    let endless = draw.below(8) == 0;
    let quiet = Time::from_secs(draw.span + 30);
    draw.agents = draw.index(4) + 2;
    let agents = (0..draw.agents).map(|number| draw.agent(number, flavour)).collect();
    let faults = draw.faults(case);
    let reminders = faults.any()
        && (draw.below(2) == 0 || faults.rate(Fault::MessageLost) > 0 || faults.rate(Fault::AgentSilent) > 0);
    let jobs = draw.jobs(case, count, flavour);
    Drawn {
        flavour,
        faults: if endless { faults } else { faults.until(quiet) },
        quiet: (!endless).then_some(quiet),
        agents,
        jobs,
        runs: u32::try_from(draw.runs.len()).unwrap_or(u32::MAX),
        delay: Distribution::uniform(Duration::ZERO, ms(draw.between(1, 400)))
            .unwrap_or_else(|_| Distribution::constant(ms(1))),
        service: Distribution::uniform(ms(50), ms(draw.between(100, 6_000)))
            .unwrap_or_else(|_| Distribution::constant(ms(1_000))),
        group: if draw.below(3) == 0 { ms(draw.between(1, 500)) } else { Duration::ZERO },
        snapshots: [0, 20, 60].get(draw.index(3)).copied().unwrap_or(0),
        reminders,
        policies: draw.policies,
    }
}

impl Draw {
    fn index(&mut self, bound: usize) -> usize {
        self.random.below(bound)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random.below(usize::try_from(bound).unwrap_or(usize::MAX)) as u64
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    fn small(&mut self, low: u32, high: u32) -> u32 {
        u32::try_from(self.between(low.into(), high.into())).unwrap_or(high)
    }

    fn one_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }

    /// The first agent has all skills; all agents have leases.
    fn agent(&mut self, number: usize, flavour: Flavour) -> AgentModel {
        let id = AgentId::new(number as u64 + 1);
        let mut spec = AgentSpec::new(id).with_capacity(self.small(1, 3)).with_lease(ms(self.between(1_500, 20_000)));
        for kind in KINDS {
            if number == 0 || self.one_in(2) {
                spec = spec.with_skill(kind, 1);
            }
        }
        if flavour == Flavour::Shares && number > 0 {
            spec = spec.with_prefetch(self.small(0, 2)).with_reserved(self.small(0, 1));
            spec.polls = self.one_in(4);
        }
        let speed = [0.5, 1.0, 2.0].get(self.index(3)).copied().unwrap_or(1.0);
        let model = AgentModel::new(spec.clone()).with_speed(speed).unwrap_or_else(|_| AgentModel::new(spec));
        if self.one_in(3) {
            let (up, away) = (ms(self.between(20_000, 200_000)), ms(self.between(1_000, 60_000)));
            let up = Distribution::exponential(up).unwrap_or_else(|_| Distribution::constant(up));
            return model.with_breakdowns(up, Distribution::constant(away));
        }
        model
    }

    /// Each seed draws its own rates; half of the faults have the rate 0.
    fn faults(&mut self, case: &Case) -> Faults {
        let mut faults = Faults::none().sparing(case.spared.iter().copied());
        for fault in Fault::ALL {
            let most = match fault {
                Fault::MessageLost | Fault::MessageTwice | Fault::MessageLate => 120,
                Fault::CrashRestoring | Fault::TailMangled | Fault::SnapshotLost | Fault::AgentAnswersLate => 400,
                Fault::ClockForward | Fault::ClockBack | Fault::ClockAstray => 8,
                Fault::CrashBefore | Fault::CrashTorn | Fault::CrashAfter | Fault::CrashActing => 25,
                Fault::AppendRefused | Fault::AppendLost | Fault::AppendKept | Fault::SecondHost => 20,
                Fault::AgentRejoins | Fault::AgentShrinks | Fault::TickLate => 20,
                Fault::AgentDies
                | Fault::AgentDiesDone
                | Fault::AgentStalls
                | Fault::AgentSilent
                | Fault::AgentAnswersTwice
                | Fault::AgentForges => 100,
            };
            let rate = if self.one_in(2) { 0 } else { self.between(1, most) };
            if !case.without.contains(fault) {
                faults = faults.with(*fault, u16::try_from(rate).unwrap_or(1_000));
            }
        }
        faults
    }

    fn jobs(&mut self, case: &Case, count: u32, flavour: Flavour) -> Vec<Job> {
        let mut moments: Vec<u64> = (0..count).map(|_| self.below(self.span * 1_000)).collect();
        moments.sort_unstable();
        let mut jobs = Vec::new();
        for (number, at) in (0..).zip(moments) {
            let at = Time::from_millis(at);
            let command = self.command(number, at, flavour);
            if !case.jobs.contains(&number) {
                jobs.push(Job::command(at, command));
            }
        }
        jobs
    }

    fn command(&mut self, number: u32, at: Time, flavour: Flavour) -> Command {
        match self.below(100) {
            0..52 => self.task(number, at, flavour),
            52..66 => self.run(number),
            66..70 => self.again(),
            70..76 => self.cancel(),
            76..82 => self.pause(),
            82..85 => AgentCommand::Drain { agent: self.some_agent() }.into(),
            85..88 => AgentCommand::Deregister { agent: self.some_agent() }.into(),
            88..91 => self.replay(number),
            _ => self.manage(),
        }
    }

    fn some_agent(&mut self) -> AgentId {
        AgentId::new(self.below(self.agents as u64) + 1)
    }

    fn task(&mut self, number: u32, at: Time, flavour: Flavour) -> Command {
        let kind = KINDS.get(self.index(3)).copied().unwrap_or("k0");
        let tier = Tier::ALL.get(self.index(4)).copied().unwrap_or_default();
        let mut task =
            TaskSpec::new(TaskId::new(u64::from(number) + 1), kind).with_tier(tier).with_policy(self.policy());
        if self.one_in(3) {
            task = task.with_tenant(TENANTS.get(self.index(2)).copied().unwrap_or("t1"));
        }
        if self.one_in(10) {
            task = task.with_deadline(at + ms(self.between(2_000, 120_000)));
        }
        if self.one_in(6) && !self.tasks.is_empty() {
            let before = self.index(self.tasks.len());
            task = task.with_after(self.tasks.get(before).map(|task| task.id));
        }
        if flavour == Flavour::Shares {
            task.preemptible = self.one_in(2);
            if self.one_in(3) {
                task.needs = task.needs.clone().and_shared("licence", 1);
            }
        }
        self.policies.push(task.policy.clone());
        self.tasks.push(task.clone());
        Command::submit(task)
    }

    fn policy(&mut self) -> Policy {
        let attempts = self.small(1, 5);
        let mut retry = Retry::exponential(attempts, ms(self.between(50, 2_000)), ms(self.between(500, 20_000)));
        let jitters = [Jitter::Full, Jitter::Equal, Jitter::None, Jitter::Decorrelated];
        retry = retry.with_jitter(jitters.get(self.index(4)).copied().unwrap_or_default());
        if self.one_in(12) {
            retry = retry.with_in_doubt(InDoubt::Insist);
        }
        let mut policy = Policy::default().with_retry(retry);
        if !self.one_in(4) {
            policy = policy.with_attempt_timeout(ms(self.between(3_000, 60_000)));
        }
        if self.one_in(10) {
            policy = policy.with_queue_timeout(ms(self.between(1_000, 60_000)));
        }
        if self.one_in(10) {
            policy = policy.with_total_timeout(ms(self.between(5_000, 120_000)));
        }
        if self.one_in(5) { policy.with_exhausted(Exhausted::Fail) } else { policy }
    }

    fn run(&mut self, number: u32) -> Command {
        let name = flows::NAMES.get(self.index(flows::NAMES.len())).copied().unwrap_or("order");
        let items: Vec<u64> = (0..self.below(4)).collect();
        let input = Payload::new(serde_json::json!({ "items": items }));
        let run = RunSpec::new(RunId::new(u64::from(number) + 1), name).with_input(input);
        self.runs.push(run.clone());
        Command::start(run)
    }

    /// Repeats a task, or sends another task under its id.
    fn again(&mut self) -> Command {
        let Some(task) = self.some_task() else { return Command::Tick };
        let other = self.one_in(2);
        let payload = if other { Payload::new(serde_json::json!("another")) } else { task.payload.clone() };
        Command::submit(task.with_payload(payload))
    }

    fn some_task(&mut self) -> Option<TaskSpec> {
        let which = self.index(self.tasks.len().max(1));
        self.tasks.get(which).cloned()
    }

    fn some_run(&mut self) -> Option<RunId> {
        let which = self.index(self.runs.len().max(1));
        self.runs.get(which).map(|run| run.id)
    }

    fn cancel(&mut self) -> Command {
        let reason = Name::from("no longer needed");
        let run = self.one_in(2).then(|| self.some_run()).flatten();
        match (run, self.some_task()) {
            (Some(run), _) => RunCommand::Cancel { run, reason }.into(),
            (None, Some(task)) => TaskCommand::Cancel { task: task.id, reason }.into(),
            (None, None) => Command::Tick,
        }
    }

    fn scope(&mut self) -> Scope {
        match self.below(3) {
            0 => Scope::Tenant(TENANTS.get(self.index(2)).copied().unwrap_or("t1").into()),
            1 => Scope::Kind(KINDS.get(self.index(3)).copied().unwrap_or("k0").into()),
            _ => Scope::Agent(self.some_agent()),
        }
    }

    fn pause(&mut self) -> Command {
        let scope = self.scope();
        if self.one_in(2) { Command::pause(scope, "inspection") } else { Command::resume(scope) }
    }

    fn replay(&mut self, number: u32) -> Command {
        let fresh = TaskId::new(u64::from(number) + 1);
        match self.some_task() {
            Some(task) if self.one_in(2) => TaskCommand::Discard { dead: task.id, reason: "old".into() }.into(),
            Some(task) => {
                self.policies.push(task.policy.clone());
                TaskCommand::Replay { dead: task.id, fresh }.into()
            }
            None => Command::Tick,
        }
    }

    /// Management commands for runs.
    fn manage(&mut self) -> Command {
        let Some(run) = self.some_run() else { return Command::Tick };
        match self.below(4) {
            0 => RunCommand::Pause { run, reason: "inspection".into() }.into(),
            1 => RunCommand::Resume { run }.into(),
            _ => RunCommand::Signal { run, signal: flows::GO.into(), payload: Payload::NULL }.into(),
        }
    }
}
