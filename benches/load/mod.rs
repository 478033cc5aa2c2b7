//! A scheduler in full work: 1,000 agents, 64 requirement classes, many waiting tasks.
#![allow(dead_code, reason = "not every bench uses all of it")]

use counterpoint::resilience::{breaker, budget, concurrency, outlier};
use counterpoint::scheduler::Concurrency;
use counterpoint::{
    AgentId, AgentSpec, AttemptId, Command, Config, Effect, Entry, Incarnation, Limits, Name, Needs, Outbox, Payload,
    Policy, Random, Scheduler, TaskId, TaskSpec, Tier, Time,
};
use std::collections::VecDeque;
use std::time::Duration;

pub(crate) const AGENTS: u64 = 1_000;
pub(crate) const SKILLS: usize = 20;
pub(crate) const SKILLS_OF_AN_AGENT: usize = 6;
pub(crate) const CLASSES: usize = 64;

/// Whether agents have leases and tasks have time limits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Timers {
    Unset,
    Set,
}

/// A scheduler in full work, with what its agents hold.
pub(crate) struct Load {
    pub(crate) scheduler: Scheduler,
    pub(crate) out: Outbox,
    kind: Name,
    classes: Vec<Needs>,
    held: VecDeque<(Incarnation, AttemptId)>,
    random: Random,
    serial: u64,
    pub(crate) now: Time,
    pub(crate) journal: Option<Vec<Entry>>,
    timers: Timers,
}

pub(crate) fn config() -> Config {
    Config::default().with_limits(Limits::default().with_active_tasks(4_000_000))
}

/// With breakers, outlier ejection, adaptive concurrency and retry budgets, and nothing begun that cannot be done in time.
pub(crate) fn guarded() -> Config {
    config()
        .with_breaker(breaker::Rules::default())
        .with_outlier_ejection(outlier::Rules::default())
        .with_adaptive_concurrency(Concurrency::Aimd(concurrency::Rules::default()))
        .with_retry_budget(budget::Rules::default(), budget::Rules::default())
        .with_infeasible_dropped(true)
}

impl Load {
    pub(crate) fn new(config: Config, waiting: u64, keep_journal: bool) -> Self {
        let mut load = Self::idle(config, Timers::Unset);
        load.journal = keep_journal.then(Vec::new);
        load.fill(waiting)
    }

    /// The same with leases, and with time limits of tasks.
    pub(crate) fn timed(config: Config, waiting: u64) -> Self {
        Self::idle(config, Timers::Set).fill(waiting)
    }

    fn idle(config: Config, timers: Timers) -> Self {
        let mut random = Random::new(42, 0);
        let skills: Vec<Name> = (0..SKILLS).map(|skill| format!("skill-{skill}").into()).collect();
        let pair = |random: &mut Random| {
            let (a, b) = (random.below(SKILLS), random.below(SKILLS - 1));
            Needs::skill(skills[a].clone()).and_skill(skills[(a + 1 + b) % SKILLS].clone(), 1)
        };
        let classes = (0..CLASSES).map(|_| pair(&mut random)).collect();
        let mut load = Self {
            scheduler: Scheduler::new(config),
            out: Outbox::default(),
            kind: Name::from("work"),
            classes,
            held: VecDeque::new(),
            random: Random::new(0, 0),
            serial: 0,
            now: Time::ZERO,
            journal: None,
            timers,
        };
        load.random = random;
        load
    }

    fn fill(mut self, waiting: u64) -> Self {
        let load = &mut self;
        let skills: Vec<Name> = (0..SKILLS).map(|skill| format!("skill-{skill}").into()).collect();
        for id in 0..AGENTS {
            let mut spec = AgentSpec::new(AgentId::new(id));
            if load.timers == Timers::Set {
                spec = spec.with_lease(Duration::from_secs(30));
            }
            while spec.skills.len() < SKILLS_OF_AN_AGENT {
                spec = spec.with_skill(skills[load.random.below(SKILLS)].clone(), 1);
            }
            load.handle(Command::register(spec));
        }
        while load.scheduler.queued().iter().sum::<usize>() < usize::try_from(waiting).unwrap() {
            load.submit();
        }
        self
    }

    pub(crate) fn handle(&mut self, command: Command) {
        self.now = self.now + Duration::from_micros(1);
        self.scheduler.handle(self.now, command, &mut self.out).unwrap();
        for effect in self.out.effects() {
            if let Effect::Dispatch { attempt, to, .. } = effect {
                self.held.push_back((*to, *attempt));
            }
        }
        match &mut self.journal {
            Some(journal) => self.out.drain_entries(journal),
            None => drop(std::hint::black_box(self.out.entries().len())),
        }
        self.out.clear();
    }

    fn submit(&mut self) {
        let command = self.next_submit();
        self.handle(command);
    }

    /// The submit of the next task.
    pub(crate) fn next_submit(&mut self) -> Command {
        self.serial += 1;
        let needs = self.classes[self.random.below(CLASSES)].clone();
        let tier = Tier::ALL[self.random.below(4)];
        let mut task = TaskSpec::needing(TaskId::new(self.serial), self.kind.clone(), needs).with_tier(tier);
        if self.timers == Timers::Set {
            let policy = Policy::default().with_attempt_timeout(Duration::from_secs(60));
            // Some tasks are not served in time and expire.
            let soon = self.serial.is_multiple_of(16);
            task = task.with_policy(if soon { policy.with_queue_timeout(Duration::from_millis(200)) } else { policy });
            task = task.with_deadline(self.now + Duration::from_secs(3_600));
        }
        Command::submit(task)
    }

    /// The completion of the attempt that was dispatched first.
    pub(crate) fn next_completion(&mut self) -> Option<Command> {
        let (by, attempt) = self.held.pop_front()?;
        Some(Command::complete(by, attempt, Payload::NULL))
    }

    /// One task comes and one is completed: over many rounds, one life of a task a round.
    pub(crate) fn round(&mut self) {
        self.submit();
        if let Some(command) = self.next_completion() {
            self.handle(command);
        }
    }
}
