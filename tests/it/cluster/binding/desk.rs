//! A shard: its journal, and the engines that believe to own it.

use counterpoint::cluster::{Counter, Digest, Poll, PollAnswer, PollError, Session, ShardId};
use counterpoint::journal::Epoch;
use counterpoint::message::rejected::Rejected;
use counterpoint::{Accepted, AgentCommand, AgentId, AgentSpec, Command, Config, Effect, Engine, Entry, Outbox, Time};
use std::rc::Rc;

/// A call to the engine of a shard.
#[derive(Debug, Clone)]
pub enum Call {
    Poll(Poll),
    Vouch(Vec<(AgentId, Session)>),
    Leave(AgentId, Session),
    Report(Epoch, AgentCommand),
    Command(Command),
}

/// The result of a call.
pub enum Told {
    Answer(Result<PollAnswer, PollError>),
    Reported(Option<Result<Accepted, Rejected>>),
    Verdict(Result<Accepted, Rejected>),
    Nothing,
}

/// An engine that has taken the shard over in an epoch. It is cloned by repeating its calls, because an engine is deterministic.
pub struct Desk {
    pub shard: ShardId,
    pub epoch: Epoch,
    pub engine: Engine,
    pub counter: Counter,
    opened: (Time, Vec<Entry>),
    calls: Vec<(Time, Call)>,
}

impl Desk {
    pub fn open(shard: ShardId, epoch: Epoch, now: Time, journal: Vec<Entry>, out: &mut Outbox) -> Self {
        let mut engine = Engine::restore(Config::default().with_partitioned_ids(), None, &journal).unwrap();
        engine.resume(now, out);
        Self { shard, epoch, engine, counter: Counter::new(shard, epoch), opened: (now, journal), calls: Vec::new() }
    }

    pub fn call(&mut self, now: Time, call: Call, out: &mut Outbox) -> Told {
        self.calls.push((now, call.clone()));
        match call {
            Call::Poll(poll) => Told::Answer(self.counter.poll(now, &mut self.engine, &poll, out)),
            Call::Vouch(sessions) => {
                self.counter.vouch(now, &mut self.engine, &sessions, out);
                Told::Nothing
            }
            Call::Leave(agent, session) => {
                self.counter.leave(now, &mut self.engine, agent, session, out);
                Told::Nothing
            }
            Call::Report(epoch, result) => {
                Told::Reported(self.counter.report(now, &mut self.engine, epoch, result, out))
            }
            Call::Command(command) => Told::Verdict(self.engine.handle(now, command, out)),
        }
    }

    pub fn digest(&self) -> Digest {
        Digest::of(self.shard, self.epoch, &self.engine)
    }

    /// The sessions of the registered agents.
    pub fn sessions(&self) -> Vec<(AgentId, Session)> {
        let agents = self.engine.agents().map(|agent| agent.spec());
        let number = |agent: &AgentSpec| agent.labels.get("counterpoint.session")?.parse().ok();
        agents.filter_map(|agent| Some((agent.id, Session::new(number(agent)?)))).collect()
    }

    pub fn content(&self) -> String {
        let due = self.engine.next_wakeup();
        format!("{} {:?} {:?} {due:?}", self.epoch, self.counter, self.engine.snapshot())
    }
}

impl Clone for Desk {
    fn clone(&self) -> Self {
        let (at, journal) = &self.opened;
        let mut out = Outbox::default();
        let mut desk = Self::open(self.shard, self.epoch, *at, journal.clone(), &mut out);
        for (now, call) in &self.calls {
            desk.call(*now, call.clone(), &mut out);
        }
        desk
    }
}

/// A shard: the last of its desks is the writer of its journal, and the others do not know of it yet.
#[derive(Clone)]
pub struct Shard {
    pub id: ShardId,
    journal: Rc<Vec<Entry>>,
    epoch: u64,
    pub desks: Vec<Rc<Desk>>,
}

impl Shard {
    pub fn new(id: ShardId, now: Time) -> Self {
        let mut shard = Self { id, journal: Rc::default(), epoch: 0, desks: Vec::new() };
        shard.take_over(now, false);
        shard
    }

    /// Restores the engine at a new epoch, while the earlier one lives on or not.
    pub fn take_over(&mut self, now: Time, lives_on: bool) -> Vec<Effect> {
        self.epoch += 1;
        let mut out = Outbox::default();
        let desk = Desk::open(self.id, Epoch::new(self.epoch), now, self.journal.to_vec(), &mut out);
        if !lives_on {
            self.desks.clear();
        }
        self.desks.push(Rc::new(desk));
        self.append(self.epoch, &mut out);
        effects(&mut out)
    }

    /// The result of a call and its effects, once they are durable. None if the desk has been fenced: it ends.
    pub fn call(&mut self, desk: usize, now: Time, call: Call) -> Option<(Told, Vec<Effect>)> {
        let mut out = Outbox::default();
        let at = Rc::make_mut(&mut self.desks[desk]);
        let told = at.call(now, call, &mut out);
        let epoch = at.epoch.get();
        if !self.append(epoch, &mut out) {
            self.desks.remove(desk);
            return None;
        }
        Some((told, effects(&mut out)))
    }

    fn append(&mut self, epoch: u64, out: &mut Outbox) -> bool {
        let mut entries = Vec::new();
        out.drain_entries(&mut entries);
        if entries.is_empty() {
            return true;
        }
        let is_writer = epoch == self.epoch;
        if is_writer {
            Rc::make_mut(&mut self.journal).extend(entries);
        }
        is_writer
    }

    pub fn writer(&self) -> &Desk {
        self.desks.last().unwrap()
    }
}

fn effects(out: &mut Outbox) -> Vec<Effect> {
    let mut effects = Vec::new();
    out.drain_effects(&mut effects);
    effects
}
