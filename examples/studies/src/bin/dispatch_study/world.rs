//! The environment of the scheduler: jobs arrive, agents work, and time advances when no work is left. It makes no
//! decisions; the scheduler decides which agent performs which task and when.

use crate::fleet::Worker;
use crate::load::Job;
use crate::outcome::Outcome;
use counterpoint::{
    AttemptId, Command, Config, Effect, Failure, Incarnation, Needs, Outbox, Payload, Policy, Scheduler, TaskId,
    TaskSpec, Time,
};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

/// What is wrong with an agent when an attempt begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    Nothing,
    /// It fails the attempt after this long.
    Fails(Duration),
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Arrival(usize),
    Ended { attempt: AttemptId, by: Incarnation, well: bool },
}

pub struct World<'a> {
    jobs: &'a [Job],
    workers: &'a [Worker],
    policy: Policy,
    /// Whether the scheduler is told of deadlines.
    deadlines: bool,
    trouble: Box<dyn Fn(usize, Time) -> Trouble + 'a>,
    scheduler: Scheduler,
    outbox: Outbox,
    agenda: BinaryHeap<Reverse<(Time, u64, Next)>>,
    planned: u64,
    /// What is under way: on which agent, since when, for how long.
    running: BTreeSet<AttemptId>,
    needs: BTreeMap<counterpoint::Name, Needs>,
    outcome: Outcome,
}

impl<'a> World<'a> {
    pub fn new(jobs: &'a [Job], workers: &'a [Worker], config: Config) -> Self {
        Self {
            jobs,
            workers,
            policy: Policy::default(),
            deadlines: true,
            trouble: Box::new(|_, _| Trouble::Nothing),
            scheduler: Scheduler::new(config),
            outbox: Outbox::default(),
            agenda: BinaryHeap::new(),
            planned: 0,
            running: BTreeSet::new(),
            needs: BTreeMap::new(),
            outcome: Outcome::new(jobs.len(), workers.len()),
        }
    }

    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    pub const fn with_deadlines(mut self, told: bool) -> Self {
        self.deadlines = told;
        self
    }

    pub fn with_trouble(mut self, trouble: impl Fn(usize, Time) -> Trouble + 'a) -> Self {
        self.trouble = Box::new(trouble);
        self
    }

    /// Lets it all happen.
    pub fn run(mut self) -> Outcome {
        for (id, worker) in (0..).zip(self.workers) {
            self.say(Time::ZERO, Command::register(worker.spec(id)));
        }
        if let Some(first) = self.jobs.first() {
            self.plan(first.at, Next::Arrival(0));
        }
        loop {
            let planned = self.agenda.peek().map(|Reverse((at, ..))| *at);
            match (planned, self.scheduler.next_wakeup()) {
                (Some(at), Some(wakeup)) if wakeup < at => self.say(wakeup, Command::Tick),
                (None, Some(wakeup)) => self.say(wakeup, Command::Tick),
                (None, None) => break,
                (Some(_), _) => self.step(),
            }
        }
        self.outcome
    }

    fn plan(&mut self, at: Time, next: Next) {
        self.planned += 1;
        self.agenda.push(Reverse((at, self.planned, next)));
    }

    fn step(&mut self) {
        let Some(Reverse((now, _, next))) = self.agenda.pop() else { return };
        match next {
            Next::Arrival(number) => {
                if let Some(after) = self.jobs.get(number + 1) {
                    self.plan(after.at, Next::Arrival(number + 1));
                }
                if let Some(task) = self.task(number) {
                    self.say(now, Command::submit(task));
                }
            }
            Next::Ended { attempt, by, well } => {
                // One that was cancelled has been answered for already.
                if !self.running.remove(&attempt) {
                    return;
                }
                if well {
                    self.outcome.succeed(place(attempt.task().get()), now);
                    self.say(now, Command::complete(by, attempt, Payload::NULL));
                } else {
                    self.say(now, Command::fail(by, attempt, Failure::transient("out of order")));
                }
            }
        }
    }

    fn task(&mut self, number: usize) -> Option<TaskSpec> {
        let job = self.jobs.get(number)?;
        let needs = self.needs.entry(job.skill.clone()).or_insert_with(|| Needs::skill(job.skill.clone())).clone();
        let mut task = TaskSpec::needing(TaskId::new(number as u64), job.kind.clone(), needs)
            .with_tier(job.tier)
            .with_policy(self.policy.clone());
        task.estimate = job.hint;
        task.deadline = job.within.filter(|_| self.deadlines).map(|within| job.at + within);
        Some(task)
    }

    /// One command, and what follows from it for the world.
    fn say(&mut self, now: Time, command: Command) {
        // What is refused is not done, and counts as that in the end.
        let _ = self.scheduler.handle(now, command, &mut self.outbox);
        let mut outbox = std::mem::take(&mut self.outbox);
        let mut stopped = Vec::new();
        for effect in outbox.effects() {
            match effect {
                Effect::Dispatch { attempt, to, .. } => self.begin(now, *attempt, *to),
                Effect::Cancel { attempt, from } if self.running.remove(attempt) => stopped.push((*attempt, *from)),
                _ => {}
            }
        }
        outbox.clear();
        self.outbox = outbox;
        for (attempt, by) in stopped {
            self.say(now, Command::fail(by, attempt, Failure::transient("stopped")));
        }
    }

    fn begin(&mut self, now: Time, attempt: AttemptId, to: Incarnation) {
        let (number, at) = (place(attempt.task().get()), place(to.agent().get()));
        let (Some(job), Some(worker)) = (self.jobs.get(number), self.workers.get(at)) else { return };
        let (takes, well) = match (self.trouble)(at, now) {
            Trouble::Nothing => (job.work.div_f64(worker.speed), true),
            Trouble::Fails(after) => (after, false),
        };
        self.outcome.begin(number, now.since(job.at), at, takes);
        self.running.insert(attempt);
        self.plan(now + takes, Next::Ended { attempt, by: to, well });
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
