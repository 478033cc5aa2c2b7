//! A shard that a node serves: its engine, the desk for polls, and what waits to be stored.

use super::NodeRules;
use crate::message::{Message, Request, Response, RunState, ShardCounts, TaskState, Work};
use counterpoint::cluster::{Counter, Digest, NodeId, Poll, PollError, Session, ShardId};
use counterpoint::engine::EngineSnapshot;
use counterpoint::journal::Epoch;
use counterpoint::{
    AgentCommand, AgentId, AttemptId, Command, ControlCommand, Effect, Engine, Entry, Incarnation, Outbox, Seq, TaskId,
    Time,
};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) struct Served {
    pub(super) shard: ShardId,
    pub(super) epoch: Epoch,
    pub(super) engine: Engine,
    counter: Counter,
    out: Outbox,
    effects: Vec<Effect>,
    /// What was executed since the last append began.
    pub(super) open: Group,
    /// What is being stored.
    pub(super) storing: Option<Group>,
    /// The last entry that is stored.
    pub(super) durable: Seq,
    /// The last entry of the group that is being stored.
    pub(super) stored_to: Seq,
    /// The last entry of the last snapshot.
    pub(super) snapshot_at: Seq,
    /// The node to which the shard moves.
    pub(super) next_host: Option<NodeId>,
    /// Whether nothing more is executed, because the shard moves.
    pub(super) is_leaving: bool,
    /// The nodes of the agents that have polled.
    homes: BTreeMap<AgentId, NodeId>,
    /// How far the journal is ahead of this node's clock. An earlier writer had a clock that was ahead: time goes on from there,
    /// since timers would otherwise wait until this clock has caught up.
    ahead: Duration,
    sent: Option<(Time, Digest)>,
    /// When the engine must be called again, on its own clock.
    wakeup: Option<Time>,
    /// Whether something has changed that a digest may show.
    pub(super) is_dirty: bool,
}

/// Entries, and what is sent once they are stored.
#[derive(Default)]
pub(super) struct Group {
    pub(super) entries: Vec<Entry>,
    pub(super) then: Vec<(NodeId, Message)>,
    /// The state after the entries, if it becomes a snapshot.
    pub(super) snapshot: Option<Box<EngineSnapshot>>,
}

impl Group {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.then.is_empty()
    }
}

impl Served {
    pub(super) fn new(shard: ShardId, epoch: Epoch, engine: Engine) -> Self {
        let durable = engine.last_seq();
        Self {
            ahead: Duration::ZERO,
            shard,
            epoch,
            engine,
            counter: Counter::new(shard, epoch),
            out: Outbox::default(),
            effects: Vec::new(),
            open: Group::default(),
            storing: None,
            durable,
            stored_to: durable,
            snapshot_at: durable,
            next_host: None,
            is_leaving: false,
            homes: BTreeMap::new(),
            sent: None,
            wakeup: None,
            is_dirty: true,
        }
    }

    /// Continues after the restore. Dispatches are not repeated here: homes poll, and their polls are answered with them.
    pub(super) fn resume(&mut self, now: Time) {
        self.ahead = self.engine.now().since(now);
        self.engine.resume(now + self.ahead, &mut self.out);
        self.collect();
    }

    /// Records the identity of the journal.
    pub(super) fn identify(&mut self, now: Time, command: ControlCommand) {
        let _known = self.engine.handle(now + self.ahead, command.into(), &mut self.out);
        self.collect();
    }

    /// The number of stored entries that the last snapshot does not cover.
    pub(super) fn since_snapshot(&self) -> u64 {
        self.durable.get().saturating_sub(self.snapshot_at.get())
    }

    /// After how many entries a snapshot is stored.
    pub(super) const fn snapshot_after(&self, rules: &NodeRules) -> u64 {
        match (self.is_leaving, self.next_host) {
            (true, _) => u64::MAX,
            (false, Some(_)) if rules.short_tail < rules.snapshot_every => rules.short_tail,
            (false, _) => rules.snapshot_every,
        }
    }

    pub(super) fn next_wakeup(&self) -> Option<Time> {
        let due = self.wakeup.filter(|_| !self.is_leaving)?;
        Some(Time::from_nanos(due.as_nanos().saturating_sub(u64::try_from(self.ahead.as_nanos()).unwrap_or(u64::MAX))))
    }

    pub(super) fn tick(&mut self, now: Time) {
        if self.next_wakeup().is_some_and(|due| due <= now) {
            let _accepted = self.engine.handle(now + self.ahead, Command::Tick, &mut self.out);
            self.collect();
        }
    }

    /// Takes the entries and effects of a call. Dispatches that are not part of the answer to a poll are dropped: the shard
    /// answers the next poll of the agent with them.
    fn collect(&mut self) {
        self.out.drain_entries(&mut self.open.entries);
        let mut effects = core::mem::take(&mut self.effects);
        self.out.drain_effects(&mut effects);
        for effect in effects.drain(..) {
            if let Effect::Cancel { attempt, from } | Effect::Yield { attempt, from, .. } = effect
                && let Some(home) = self.homes.get(&from.agent())
            {
                self.open.then.push((*home, Message::End { agent: from.agent(), attempt }));
            }
        }
        self.effects = effects;
        self.wakeup = self.engine.next_wakeup();
        self.is_dirty = true;
    }

    pub(super) fn execute(&mut self, now: Time, from: NodeId, id: u64, request: Request) {
        let response = match request {
            Request::Command(command) => match self.engine.handle(now + self.ahead, *command, &mut self.out) {
                Ok(accepted) => Response::Accepted(accepted),
                Err(rejected) => Response::Rejected(rejected),
            },
            Request::Task(task) => Response::Task(self.task(task)),
            Request::Run(run) => {
                Response::Run(self.engine.run(run).map(|run| RunState { outcome: run.outcome().cloned() }))
            }
            Request::Count => Response::Count(self.counts()),
        };
        self.collect();
        self.open.then.push((from, Message::Response { id, shard: self.shard, response }));
    }

    fn task(&self, task: TaskId) -> Option<TaskState> {
        let view = self.engine.task(task)?;
        let outcome = view.outcome().map(|(outcome, _)| outcome.clone());
        Some(TaskState { status: format!("{:?}", view.status()), attempts: view.attempts(), outcome })
    }

    fn counts(&self) -> ShardCounts {
        ShardCounts {
            at: self.engine.last_seq(),
            queued: self.engine.queued().iter().sum::<usize>(),
            runs: self.engine.runs().count(),
            agents: self.engine.agents().count(),
        }
    }

    /// Answers a poll. The answer is returned if nothing has to be stored before it is sent.
    pub(super) fn poll(&mut self, now: Time, from: NodeId, poll: Poll) -> Option<Message> {
        let agent = poll.agent.id;
        match self.counter.poll(now + self.ahead, &mut self.engine, &poll, &mut self.out) {
            Ok(answer) => {
                self.homes.insert(agent, from);
                let work = self.work(agent, &answer.assigned);
                let is_idle = answer.assigned.is_empty() && self.out.entries().is_empty();
                self.collect();
                let message = Message::Assigned { answer, work };
                if is_idle {
                    // It says only that there is no work now, which need not be true of the present writer.
                    return Some(message);
                }
                self.open.then.push((from, message));
            }
            Err(PollError::OldSession { known, .. }) => {
                self.collect();
                self.open.then.push((from, Message::Replaced { poll, known }));
            }
            // The home repeats it until it is answered, in the present epoch.
            Err(_) => self.collect(),
        }
        None
    }

    /// The attempts of an answer: the dispatches among the effects of the poll.
    fn work(&self, agent: AgentId, assigned: &[AttemptId]) -> Vec<Work> {
        let mut work: Vec<Work> = Vec::new();
        let mut add = |attempt: AttemptId, by: Incarnation, make: &dyn Fn() -> Work| {
            let is_new = work.iter().all(|known| known.attempt != attempt);
            if by.agent() == agent && is_new && assigned.contains(&attempt) {
                work.push(make());
            }
        };
        for effect in self.out.effects() {
            match effect {
                Effect::Dispatch { attempt, to, task, until, identity, details } => add(*attempt, *to, &|| Work {
                    attempt: *attempt,
                    by: *to,
                    task: task.clone(),
                    until: *until,
                    identity: identity.clone(),
                    details: details.clone(),
                }),
                Effect::DispatchBatch { to, attempts, identity } => {
                    for one in attempts {
                        add(one.attempt, *to, &|| Work {
                            attempt: one.attempt,
                            by: *to,
                            task: one.task.clone(),
                            until: one.until,
                            identity: identity.clone(),
                            details: one.details.clone(),
                        });
                    }
                }
                _ => {}
            }
        }
        work
    }

    /// Records a result. The answer is sent when the store has confirmed the epoch, also that to a rejection.
    pub(super) fn result(&mut self, now: Time, from: NodeId, epoch: Epoch, result: AgentCommand) {
        let of = match &result {
            AgentCommand::Complete { by, attempt, .. }
            | AgentCommand::Fail { by, attempt, .. }
            | AgentCommand::Yield { by, attempt } => (by.agent(), *attempt),
            _ => return,
        };
        let verdict = self.counter.report(now + self.ahead, &mut self.engine, epoch, result, &mut self.out);
        self.collect();
        if verdict.is_some() {
            self.open.then.push((from, Message::Confirmed { agent: of.0, attempt: of.1 }));
        }
    }

    pub(super) fn leave(&mut self, now: Time, agent: AgentId, session: Session) {
        self.counter.leave(now + self.ahead, &mut self.engine, agent, session, &mut self.out);
        self.collect();
    }

    pub(super) fn vouch(&mut self, now: Time, sessions: &[(AgentId, Session)]) {
        self.counter.vouch(now + self.ahead, &mut self.engine, sessions, &mut self.out);
        self.collect();
    }

    /// The digest, if it has changed or is to be repeated.
    pub(super) fn digest(&mut self, now: Time, again: Duration) -> Option<Digest> {
        let is_due = match &self.sent {
            None => true,
            Some((at, sent)) => self.is_dirty || (!sent.classes.is_empty() && *at + again <= now),
        };
        if !is_due || self.is_leaving {
            return None;
        }
        self.is_dirty = false;
        let digest = Digest::of(self.shard, self.epoch, &self.engine);
        if let Some((at, sent)) = &self.sent
            && *sent == digest
            && (digest.classes.is_empty() || *at + again > now)
        {
            return None;
        }
        self.sent = Some((now, digest.clone()));
        Some(digest)
    }
}
