//! Draws a case from a seed: agents, load, faults and their rates.

mod commands;
mod extreme;
mod runs;
mod schedules;
mod tasks;

pub(super) use schedules::numbers;

use super::case::Case;
use super::principals;
use crate::base::id::AgentId;
use crate::base::structure::Random;
use crate::base::time::Time;
use crate::message::run::RunSpec;
use crate::sim::agent::AgentModel;
use crate::sim::distribution::Distribution;
use crate::sim::fault::{Fault, Faults};
use crate::sim::job::Job;
use crate::task::agent::AgentSpec;
use crate::task::{Policy, TaskSpec};
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
    /// Whether the decisions of a restored engine must be those of the live one.
    pub(super) twins: bool,
}

pub(super) const KINDS: [&str; 3] = ["k0", "k1", "k2"];
/// A kind whose only agent joins late, if there is one, and a misspelt kind.
pub(super) const LATE: &str = "k9";
pub(super) const MISSPELT: &str = "k00";
pub(super) const TENANTS: [&str; 2] = ["t1", "t2"];

struct Draw {
    random: Random,
    span: u64,
    tasks: Vec<TaskSpec>,
    runs: Vec<RunSpec>,
    agents: usize,
    policies: Vec<Policy>,
    flavour: Flavour,
    /// Whether many agents fail many attempts.
    crowd: bool,
    /// Whether values are drawn from the ends of their ranges.
    extreme: bool,
    /// Whether callers with roles and tenants send some of the commands.
    callers: bool,
    /// The draws of kinds that no agent performs from the start. They have a stream of their own, so that they move no other
    /// draw.
    strange: Random,
    /// How many tasks in a hundred are of such kinds.
    strange_share: u64,
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
        flavour: Flavour::Plain,
        crowd: false,
        extreme: false,
        callers: false,
        strange: Random::new(case.seed, 0x7374_7261_6e67_6500),
        strange_share: 0,
    };
    draw.strange_share = if draw.strange.below(3) == 0 { 15 } else { 0 };
    draw.flavour = match draw.below(20) {
        0..12 => Flavour::Plain,
        12..17 => Flavour::Shares,
        _ => Flavour::Guards,
    };
    let flavour = draw.flavour;
    draw.crowd = flavour == Flavour::Plain && draw.one_in(30);
    draw.extreme = draw.one_in(3);
    draw.callers = draw.one_in(3);
    draw.span = draw.between(60, 600);
    if jobs.is_none() {
        // The same density as with thirty jobs.
        draw.span = (draw.span * u64::from(count) / 30).max(20);
    }
    let endless = draw.below(8) == 0;
    let quiet = Time::from_secs(draw.span + 30);
    draw.agents = if draw.crowd { draw.index(4) + 10 } else { draw.index(4) + 2 };
    let mut agents: Vec<AgentModel> = (0..draw.agents).map(|number| draw.agent(number, flavour)).collect();
    agents.extend(draw.late_agent());
    let faults = draw.faults(case);
    let reminders = faults.any()
        && (draw.below(2) == 0 || faults.rate(Fault::MessageLost) > 0 || faults.rate(Fault::AgentSilent) > 0);
    let mut jobs = draw.jobs(case, count);
    let (scheduling, scheduled) = draw.schedules(case);
    jobs.extend(scheduling);
    let snapshots = [0, 20, 60].get(draw.index(3)).copied().unwrap_or(0);
    Drawn {
        flavour,
        faults: if endless { faults } else { faults.until(quiet) },
        quiet: (!endless).then_some(quiet),
        agents,
        jobs,
        runs: u32::try_from(draw.runs.len()).unwrap_or(u32::MAX).saturating_add(scheduled),
        delay: Distribution::uniform(Duration::ZERO, ms(draw.between(1, 400)))
            .unwrap_or_else(|_| Distribution::constant(ms(1))),
        service: Distribution::uniform(ms(50), ms(draw.between(100, 6_000)))
            .unwrap_or_else(|_| Distribution::constant(ms(1_000))),
        group: if draw.below(3) == 0 { ms(draw.between(1, 500)) } else { Duration::ZERO },
        snapshots,
        reminders,
        policies: draw.policies,
        // A snapshot does not say which of several equal agents is next.
        twins: flavour == Flavour::Plain && snapshots == 0,
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
            if number == 0 || self.crowd || self.one_in(2) {
                spec = spec.with_skill(kind, 1);
            }
        }
        if flavour == Flavour::Shares {
            spec = spec.with_amount("memory", self.between(0, 4));
            spec.labels.insert("zone".into(), if self.one_in(2) { "a".into() } else { "b".into() });
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

    /// The agent of the late kind, which joins before the faults stop.
    fn late_agent(&mut self) -> Option<AgentModel> {
        if self.strange_share == 0 {
            return None;
        }
        let spec = AgentSpec::new(AgentId::new(50)).with_skill(LATE, 1).with_capacity(2).with_lease(ms(10_000));
        let at = self.strange.below(usize::try_from(self.span * 1_000).unwrap_or(usize::MAX));
        Some(AgentModel::new(spec).joining(Time::from_millis(at as u64)))
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
                Fault::OperatorMeddles => 400,
            };
            let rate = if self.one_in(2) { 0 } else { self.between(1, most) };
            if !case.without.contains(fault) {
                faults = faults.with(*fault, u16::try_from(rate).unwrap_or(1_000));
            }
        }
        faults
    }

    fn jobs(&mut self, case: &Case, count: u32) -> Vec<Job> {
        let mut moments: Vec<u64> = (0..count).map(|_| self.below(self.span * 1_000)).collect();
        moments.sort_unstable();
        let mut jobs = Vec::new();
        for (number, at) in (0..).zip(moments) {
            let at = Time::from_millis(at);
            let command = self.command(number, at);
            let caller = if self.callers && self.one_in(2) { self.caller() } else { None };
            if !case.jobs.contains(&number) {
                let job = Job::command(at, command);
                jobs.push(match caller {
                    Some(caller) => job.by(caller.token()),
                    None => job,
                });
            }
        }
        jobs
    }

    fn caller(&mut self) -> Option<principals::Caller> {
        principals::Caller::ALL.get(self.index(principals::Caller::ALL.len())).copied()
    }

    fn some_agent(&mut self) -> AgentId {
        AgentId::new(self.below(self.agents as u64 + 1) + 1)
    }

    fn tenant(&mut self) -> &'static str {
        TENANTS.get(self.index(2)).copied().unwrap_or("t1")
    }

    /// Whether a task or a run is of a kind that no agent performs from the start.
    fn is_strange(&mut self) -> bool {
        (self.strange.below(100) as u64) < self.strange_share
    }

    fn kind(&mut self) -> &'static str {
        KINDS.get(self.index(3)).copied().unwrap_or("k0")
    }
}
