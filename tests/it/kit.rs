//! A scheduler and its host, made short for tests.

use counterpoint::scheduler::{SchedulerSnapshot, TaskStatus};
use counterpoint::{
    Accepted, AgentCommand, AgentId, AgentSpec, AttemptId, Command, Config, Effect, Entry, Failure, Incarnation,
    Outbox, Payload, Rejected, Scheduler, TaskCommand, TaskId, TaskSpec, Time,
};
use std::time::Duration;

pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A scheduler with its clock and journal. Every call is followed by the scheduler's own check.
pub struct Host {
    pub scheduler: Scheduler,
    pub now: Time,
    pub journal: Vec<Entry>,
    /// The effects of the last call.
    pub effects: Vec<Effect>,
    /// The facts of the last call.
    pub facts: Vec<Entry>,
}

pub fn host(config: Config) -> Host {
    Host::over(Scheduler::new(config))
}

impl Host {
    pub fn over(scheduler: Scheduler) -> Self {
        Self { scheduler, now: Time::ZERO, journal: Vec::new(), effects: Vec::new(), facts: Vec::new() }
    }

    pub fn say(&mut self, command: impl Into<Command>) -> Result<Accepted, Rejected> {
        let mut out = Outbox::default();
        let verdict = self.scheduler.handle(self.now, command.into(), &mut out);
        (self.effects, self.facts) = (out.effects().to_vec(), out.entries().to_vec());
        self.journal.extend_from_slice(out.entries());
        assert_eq!(self.scheduler.check(), Ok(()));
        verdict
    }

    /// The same with several commands in one call.
    pub fn say_all(&mut self, commands: Vec<Command>) -> Vec<Result<Accepted, Rejected>> {
        let (mut out, mut left) = (Outbox::default(), commands.into_iter());
        let verdicts = self.scheduler.handle_all(self.now, &mut left, &mut out);
        assert_eq!(left.len(), 0, "the commands are more than the work of a call");
        (self.effects, self.facts) = (out.effects().to_vec(), out.entries().to_vec());
        self.journal.extend_from_slice(out.entries());
        assert_eq!(self.scheduler.check(), Ok(()));
        verdicts
    }

    /// Lets time pass, with a call at the end of it.
    pub fn wait(&mut self, span: Duration) {
        self.now = self.now + span;
        self.say(Command::Tick).unwrap();
    }

    pub fn join(&mut self, spec: AgentSpec) -> Incarnation {
        match self.say(Command::register(spec)) {
            Ok(Accepted::Registered(life)) => life,
            other => panic!("{other:?}"),
        }
    }

    pub fn submit(&mut self, spec: TaskSpec) {
        assert_eq!(self.say(Command::submit(spec)), Ok(Accepted::Done));
    }

    pub fn cancel(&mut self, id: u64) -> Result<Accepted, Rejected> {
        self.say(TaskCommand::Cancel { task: TaskId::new(id), reason: "enough".into() })
    }

    pub fn drain(&mut self, id: u64) {
        assert_eq!(self.say(AgentCommand::Drain { agent: AgentId::new(id) }), Ok(Accepted::Done));
    }

    pub fn leave(&mut self, id: u64) {
        assert_eq!(self.say(AgentCommand::Deregister { agent: AgentId::new(id) }), Ok(Accepted::Done));
    }

    /// The attempt of the task that is under way, and who holds it.
    pub fn running(&self, id: u64) -> (AttemptId, Incarnation) {
        self.scheduler.task(TaskId::new(id)).unwrap().running().unwrap_or_else(|| panic!("t{id} does not run"))
    }

    pub fn holder(&self, id: u64) -> u64 {
        self.running(id).1.agent().get()
    }

    pub fn complete(&mut self, id: u64) {
        let (attempt, by) = self.running(id);
        assert_eq!(self.say(Command::complete(by, attempt, Payload::NULL)), Ok(Accepted::Done));
    }

    pub fn fail(&mut self, id: u64, failure: Failure) {
        let (attempt, by) = self.running(id);
        assert_eq!(self.say(Command::fail(by, attempt, failure)), Ok(Accepted::Done));
    }

    pub fn status(&self, id: u64) -> TaskStatus {
        self.scheduler.task(TaskId::new(id)).unwrap_or_else(|| panic!("t{id} is not known")).status()
    }

    pub fn snapshot(&self) -> SchedulerSnapshot {
        self.scheduler.snapshot()
    }

    /// The tasks in the order in which a single agent gets them.
    pub fn served(&mut self, count: usize) -> Vec<u64> {
        let mut order = Vec::new();
        for _ in 0..count {
            let Some(Effect::Dispatch { attempt, .. }) = self.scheduler.outstanding().into_iter().next() else { break };
            order.push(attempt.task().get());
            self.complete(attempt.task().get());
        }
        order
    }
}

/// An agent that can do the work of [`task`].
pub fn agent(id: u64) -> AgentSpec {
    AgentSpec::new(AgentId::new(id)).with_skill("work", 1)
}

pub fn task(id: u64) -> TaskSpec {
    TaskSpec::new(TaskId::new(id), "work")
}

pub fn agent_id(id: u64) -> AgentId {
    AgentId::new(id)
}

pub fn task_id(id: u64) -> TaskId {
    TaskId::new(id)
}
