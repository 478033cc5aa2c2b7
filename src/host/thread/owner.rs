//! The one thread that owns the engine.

use super::message::Message;
use super::snapshots::{Request, SnapshotThread};
use super::worker::{self, Assignment};
use crate::base::id::{AttemptId, Incarnation, Seq};
use crate::base::time::Time;
use crate::host::clock::Clock;
use crate::host::desk::{Batch, Desk, Ended, Reply};
use crate::host::snapshots::{Kept, Persistence};
use crate::host::{Agent, HostError};
use crate::journal::{Epoch, Journal};
use crate::message::command::AgentCommand;
use crate::message::effect::Effect;
use crate::message::event::{AgentEvent, Entry, Event};
use crate::scheduler::Config;
use crate::task::TaskSpec;
use crate::task::agent::AgentSpec;
use core::time::Duration;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How many messages are handled before their facts are appended together.
const GROUP: usize = 256;
/// How long the owner waits when nothing is due.
const IDLE: Duration = Duration::from_secs(3_600);
/// How long agents that were asked to stop may take to say so.
const LAST_WORDS: Duration = Duration::from_millis(250);

pub(super) struct Owner {
    desk: Desk,
    /// Used again for the next batch.
    spare: Batch,
    journal: Box<dyn Journal>,
    epoch: Epoch,
    /// The number of the last fact that is durable.
    durable: Seq,
    inbox: Receiver<Message>,
    /// For the threads of agents.
    sender: Sender<Message>,
    clock: Clock,
    agents: BTreeMap<Incarnation, Sender<Assignment>>,
    flags: BTreeMap<AttemptId, Arc<AtomicBool>>,
    /// To the thread that follows the events and takes snapshots.
    follower: Option<Sender<Request>>,
    /// Requests for a snapshot.
    requested: Vec<Reply<Kept>>,
    stop: Option<(Time, Reply<usize>)>,
}

impl Owner {
    pub(super) fn open(
        config: Config,
        mut journal: Box<dyn Journal>,
        persistence: Persistence,
        inbox: Receiver<Message>,
        (sender, ended): (Sender<Message>, Receiver<()>),
    ) -> Result<(Self, Option<SnapshotThread>), HostError> {
        let taken = journal.take_over()?;
        let snapshot = persistence.read(taken.snapshot.as_deref())?;
        let writer = persistence.writer(&config, snapshot.as_ref(), taken.epoch, journal.archive())?;
        let mut desk = Desk::restore(config, snapshot.as_ref(), &taken.tail)?;
        let thread = writer.map(|writer| SnapshotThread::start(writer, taken.tail, (sender.clone(), ended)));
        let (snapshots, follower) = thread.transpose()?.unzip();
        let clock = Clock::starting(desk.engine.at());
        let durable = desk.engine.last_seq();
        desk.resume(clock.now());
        let owner = Self {
            desk,
            spare: Batch::default(),
            journal,
            epoch: taken.epoch,
            durable,
            inbox,
            sender,
            clock,
            agents: BTreeMap::new(),
            flags: BTreeMap::new(),
            follower,
            requested: Vec::new(),
            stop: None,
        };
        Ok((owner, snapshots))
    }

    pub(super) const fn clock(&self) -> Clock {
        self.clock
    }

    /// Works until it is told to stop or the journal fails. What waits for answers then hears that the host has ended,
    /// because its senders are dropped.
    pub(super) fn work(&mut self) {
        while self.flush() {
            let now = self.clock.now();
            let due = self.desk.engine.next_wakeup().map_or(IDLE, |at| at.since(now));
            let left = self.stop.as_ref().map_or(IDLE, |(until, _)| until.since(now));
            match self.inbox.recv_timeout(due.min(left)) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => self.desk.tick(self.clock.now()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            for _ in 1..GROUP {
                let Ok(message) = self.inbox.try_recv() else { break };
                self.take(message);
            }
            if self.stopped() {
                break;
            }
        }
        self.flush();
    }

    fn take(&mut self, message: Message) {
        let now = self.clock.now();
        match message {
            Message::Ask(ask) => self.desk.take(now, ask),
            Message::Agent(command) => self.desk.hear(now, command),
            Message::Join { spec, agent, reply } => {
                let joined = self.join(spec, &agent);
                self.desk.answer(reply, joined);
            }
            Message::Snapshot { reply } => self.requested.push(reply),
            Message::Keep { at, snapshot, reply } => {
                // Its thread waits for the answer as long as this one lives.
                let _ = reply.send(self.journal.keep_snapshot(self.epoch, at, &snapshot).map(|()| at));
            }
            Message::Stop { patience, reply } => {
                self.desk.drain(now);
                self.stop = Some((now + patience, reply));
            }
        }
    }

    fn join(&mut self, mut spec: AgentSpec, agent: &Arc<dyn Agent>) -> Result<Incarnation, HostError> {
        let now = self.clock.now();
        let by = self.desk.register(now, &mut spec)?;
        let (work, queue) = unbounded();
        if let Err(error) = worker::start(by, &spec, agent, &queue, &self.sender) {
            let left = self.desk.handle(now, AgentCommand::Deregister { agent: by.agent() }.into());
            debug_assert!(left.is_ok(), "an agent that has just registered cannot leave");
            return Err(HostError::Thread(error.to_string()));
        }
        self.agents.insert(by, work);
        Ok(by)
    }

    /// Makes the facts durable, then answers, acts and shows. False when the journal failed: the engine is ahead of it.
    fn flush(&mut self) -> bool {
        let (mut batch, last) = self.desk.news(core::mem::take(&mut self.spare));
        let entries = batch.outbox.entries();
        if !entries.is_empty() {
            if self.journal.append(self.epoch, self.durable, entries).is_err() {
                return false;
            }
            self.durable = last;
        }
        batch.answer();
        for effect in batch.outbox.effects() {
            self.perform(effect);
        }
        for entry in batch.outbox.entries() {
            self.show(entry);
        }
        self.tell_follower(&mut batch);
        self.spare = batch;
        true
    }

    /// Sends the events, which are durable and have been shown, and then the requests for a snapshot of them.
    fn tell_follower(&mut self, batch: &mut Batch) {
        let Some(follower) = &self.follower else { return };
        let mut events = Vec::new();
        batch.outbox.drain_entries(&mut events);
        // The thread ends when another writer has taken over. Then this one ends, too, at its next append.
        let _ = events.is_empty() || follower.send(Request::Follow(events)).is_ok();
        for reply in self.requested.drain(..) {
            let _ = follower.send(Request::Take(reply));
        }
    }

    fn perform(&mut self, effect: &Effect) {
        match effect {
            Effect::Dispatch { attempt, to, task, .. } => self.assign(*attempt, *to, task),
            Effect::DispatchBatch { to, attempts } => {
                for one in attempts {
                    self.assign(one.attempt, *to, &one.task);
                }
            }
            // An agent that stops early fails its attempt, and the core knows why.
            Effect::Cancel { attempt, .. } | Effect::Yield { attempt, .. } => {
                if let Some(flag) = self.flags.get(attempt) {
                    flag.store(true, Ordering::Relaxed);
                }
            }
            // Its agents are the threads that its user gave it.
            Effect::Scale { .. } => {}
        }
    }

    fn assign(&mut self, attempt: AttemptId, to: Incarnation, task: &Arc<TaskSpec>) {
        let Some(agent) = self.agents.get(&to) else { return };
        let cancelled = Arc::new(AtomicBool::new(false));
        self.flags.insert(attempt, Arc::clone(&cancelled));
        let assignment = Assignment { attempt, task: Arc::clone(task), cancelled };
        // Not within the assertion: a release build would then send nothing.
        let sent = agent.send(assignment);
        debug_assert!(sent.is_ok(), "the threads of {to} have ended");
    }

    /// Shows a fact to whoever watches, and lets go of what it ends.
    fn show(&mut self, entry: &Entry) {
        match self.desk.show(entry) {
            Some(Ended::Attempt(attempt)) => self.let_go(attempt, attempt),
            Some(Ended::AllOf(task)) => self.let_go(AttemptId::new(task, 0), AttemptId::new(task, u32::MAX)),
            None => {}
        }
        let Event::Agent { agent, event } = &entry.event else { return };
        if let AgentEvent::Deregistered | AgentEvent::Lost = event {
            self.agents.remove(agent);
        } else if let AgentEvent::Registered { .. } = event {
            self.agents.retain(|known, _| known.agent() != agent.agent() || known == agent);
        }
    }

    /// Attempts that have ended should stop, if somebody is still at them.
    fn let_go(&mut self, first: AttemptId, last: AttemptId) {
        let over: Vec<AttemptId> = self.flags.range(first..=last).map(|(attempt, _)| *attempt).collect();
        for attempt in over {
            if let Some(flag) = self.flags.remove(&attempt) {
                flag.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Whether it is time to end: nothing is under way, or patience is over and those at work have been asked to stop.
    fn stopped(&mut self) -> bool {
        let Some((until, _)) = &self.stop else { return false };
        let patience_over = self.clock.now() >= *until;
        if self.desk.under_way() > 0 && patience_over {
            for flag in self.flags.values() {
                flag.store(true, Ordering::Relaxed);
            }
            self.hear_last_words();
        }
        if self.desk.under_way() > 0 && !patience_over {
            return false;
        }
        let left = self.desk.under_way();
        self.flush();
        if let Some((_, reply)) = self.stop.take() {
            reply(left);
        }
        true
    }

    fn hear_last_words(&mut self) {
        let until = self.clock.now() + LAST_WORDS;
        while self.desk.under_way() > 0 {
            let Ok(message) = self.inbox.recv_timeout(until.since(self.clock.now())) else { break };
            self.take(message);
        }
    }
}
