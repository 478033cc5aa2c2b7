//! Draws the commands of clients and operators.

use super::{Draw, KINDS, TENANTS, ms};
use crate::base::id::TaskId;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::message::command::{AgentCommand, Command, ControlCommand, DeadFilter, RunCommand, TaskCommand};
use crate::task::agent::Scope;
use crate::task::{FailureKind, Jitter, JournalId, Policy, Rating, Retry, TaskSpec};

impl Draw {
    pub(super) fn command(&mut self, number: u32, at: Time) -> Command {
        let id = u64::from(number) + 1;
        match self.below(100) {
            0..40 => Command::submit(self.task(id, at)),
            40..44 => self.batch(id, at),
            44..58 => self.run(id),
            58..62 => self.again(),
            62..67 => self.cancel(),
            67..71 => {
                let pause = self.pause();
                if number.is_multiple_of(4) { identify(number) } else { pause }
            }
            71..73 => AgentCommand::Drain { agent: self.some_agent() }.into(),
            73..75 => AgentCommand::Deregister { agent: self.some_agent() }.into(),
            75..79 => self.dead_letters(id),
            79..82 => self.prioritise(),
            82..85 => self.catalogue(),
            _ => self.manage(),
        }
    }

    /// Tasks of one command; later ones may depend on earlier ones and on other known tasks.
    fn batch(&mut self, number: u64, at: Time) -> Command {
        let count = if self.extreme && self.one_in(8) { 0 } else { self.between(1, 4) };
        let mut tasks: Vec<_> = (0..count).map(|place| self.task(number * 1_000 + place, at)).collect();
        if self.one_in(2) {
            self.equal(&mut tasks);
        }
        Command::submit_all(tasks)
    }

    /// Makes the tasks equal but for their ids, with timeouts that end at the same time.
    fn equal(&mut self, tasks: &mut [TaskSpec]) {
        let retry = Retry::exponential(3, ms(500), ms(500)).with_jitter(Jitter::None);
        let policy = Policy::default().with_retry(retry).with_attempt_timeout(ms(self.between(200, 3_000)));
        // They may need what no agent has.
        let policy = policy.with_total_timeout(ms(self.between(20_000, 120_000)));
        let Some(first) = tasks.first().cloned() else { return };
        for task in tasks {
            *task = TaskSpec { id: task.id, policy: policy.clone(), ..first.clone() };
            self.policies.push(policy.clone());
            self.tasks.push(task.clone());
        }
    }

    /// Repeats a task or a run, or sends another one under its id.
    fn again(&mut self) -> Command {
        if self.one_in(3) {
            return self.run_again();
        }
        let Some(task) = self.some_task() else { return Command::Tick };
        let other = self.one_in(2);
        let payload = if other { Payload::new(serde_json::json!("another")) } else { task.payload.clone() };
        let task = task.with_payload(payload);
        // A key that collides with that of the first submit.
        let collides = other && task.key().is_some();
        Command::submit(if collides { task.with_key("another") } else { task })
    }

    fn cancel(&mut self) -> Command {
        let reason = Name::from("no longer needed");
        let run = self.one_in(2).then(|| self.some_run()).flatten();
        match run {
            Some(run) => RunCommand::Cancel { run, reason }.into(),
            None => TaskCommand::Cancel { task: self.some_task_id(), reason }.into(),
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

    fn dead_letters(&mut self, number: u64) -> Command {
        let (dead, fresh) = (self.some_task_id(), TaskId::new(number));
        match self.below(4) {
            0 if number.is_multiple_of(2) => TaskCommand::Rate { task: dead, rating: Rating::WORST },
            0 => TaskCommand::Discard { dead, reason: "old".into() },
            1 => {
                let policy = self.tasks.iter().find(|task| task.id == dead).map(|task| task.policy.clone());
                self.policies.extend(policy);
                TaskCommand::Replay { dead, fresh }
            }
            2 => {
                // Each dead letter may be replayed.
                let all: Vec<_> = self.tasks.iter().map(|task| task.policy.clone()).collect();
                self.policies.extend(all);
                let tier = self.one_in(3).then(|| self.tier());
                TaskCommand::ReplayAll { filter: self.filter(), first: TaskId::new(number * 1_000 + 500), tier }
            }
            _ => TaskCommand::DiscardAll { filter: self.filter(), reason: "old".into() },
        }
        .into()
    }

    fn filter(&mut self) -> DeadFilter {
        let filter = DeadFilter::default();
        match self.below(7) {
            0 => filter.with_kind(self.kind()),
            1 => filter.with_tenant(self.tenant()),
            2 => filter.with_failure(FailureKind::Transient),
            3 => filter.with_most(self.small(0, 2)),
            4 => filter.with_since(Time::MAX),
            5 => filter.with_before(Time::ZERO),
            _ => filter,
        }
    }

    fn prioritise(&mut self) -> Command {
        let count = if self.extreme && self.one_in(6) { 0 } else { self.between(1, 4) };
        let tasks = (0..count).map(|_| self.some_task_id()).collect();
        TaskCommand::Prioritise { tasks, tier: self.tier(), reason: "inspection".into() }.into()
    }
}

/// An identity for the journal; most commands repeat the first one, some contradict it.
fn identify(number: u32) -> Command {
    let journal = if number.is_multiple_of(16) { JournalId::new(0) } else { JournalId::new(u128::MAX) };
    ControlCommand::Identify { journal }.into()
}
