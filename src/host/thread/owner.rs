//! The thread that owns the engine.

use super::keeper::Keeper;
use super::message::{Message, Stopped};
#[cfg(feature = "cluster")]
use super::sharded::{Desk, ToHome};
use super::snapshots::{Request, SnapshotThread};
use super::worker::{self, Assignment};
use crate::base::id::{AttemptId, Incarnation, Seq};
use crate::base::time::Time;
#[cfg(feature = "cluster")]
use crate::cluster::ShardId;
use crate::host::clock::Clock;
use crate::host::snapshots::{Kept, Persistence};
use crate::host::state::{Batch, Ended, HostState, Reply};
use crate::host::{Agent, HostError};
use crate::journal::Journal;
use crate::message::command::AgentCommand;
use crate::message::effect::Effect;
use crate::message::event::{AgentEvent, Entry, Event};
use crate::scheduler::Config;
use crate::task::TaskSpec;
use crate::task::agent::AgentSpec;
use crate::workflow::Attempt;
use core::time::Duration;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use std::collections::BTreeMap;
use std::collections::btree_map;
use std::sync::Arc;

/// The number of messages that are handled before their entries are appended together.
const GROUP: usize = 256;
/// The longest wait when no timer is due.
const IDLE: Duration = Duration::from_secs(3_600);
/// The time that agents have to answer after their attempts were cancelled at shutdown.
const STOP_GRACE: Duration = Duration::from_millis(250);

pub(super) struct Owner {
    state: HostState,
    /// Reused for the next batch.
    spare: Batch,
    keeper: Keeper,
    /// The number of the last durable event.
    durable: Seq,
    inbox: Receiver<Message>,
    /// For the threads of agents.
    sender: Sender<Message>,
    clock: Clock,
    agents: BTreeMap<Incarnation, Sender<Assignment>>,
    attempts: BTreeMap<AttemptId, Attempt>,
    /// The channel to the thread that follows the events and takes snapshots.
    follower: Option<Sender<Request>>,
    /// Requests for a snapshot.
    requested: Vec<Reply<Kept>>,
    stop: Option<(Time, Reply<Stopped>)>,
    /// Why the host ends: its journal failed.
    failed: Option<HostError>,
    /// If the engine is one of several, that share agents.
    #[cfg(feature = "cluster")]
    desk: Option<Desk>,
}

/// The function that wakes the owner when heartbeats wait. A full inbox needs no message: the owner works, and collects the
/// heartbeats with the next answer, or when it ticks.
fn waking(inbox: &Sender<Message>) -> impl Fn() + Send + Sync + use<> {
    let inbox = inbox.clone();
    move || drop(inbox.try_send(Message::Heartbeats))
}

impl Owner {
    pub(super) fn open(
        config: Config,
        journal: Box<dyn Journal>,
        persistence: Persistence,
        inbox: Receiver<Message>,
        (sender, ended): (Sender<Message>, Receiver<()>),
    ) -> Result<(Self, Option<SnapshotThread>), HostError> {
        let (mut keeper, taken) = Keeper::open(journal, persistence.patience())?;
        let snapshot = persistence.read(taken.snapshot.as_deref())?;
        let archive = || keeper.journal().archive();
        let writer = persistence.writer(&config, snapshot.as_ref(), taken.epoch, archive)?;
        if let Some(writer) = &writer {
            keeper.announce_to(writer.handover());
        }
        let mut state = HostState::restore(config, snapshot.as_ref(), &taken.tail, waking(&sender))?;
        let thread = writer.map(|writer| SnapshotThread::start(writer, taken.tail, (sender.clone(), ended)));
        let (snapshots, follower) = thread.transpose()?.unzip();
        let clock = Clock::starting(state.engine.at());
        let durable = state.engine.last_seq();
        state.resume(clock.now());
        let owner = Self {
            state,
            spare: Batch::default(),
            keeper,
            durable,
            inbox,
            sender,
            clock,
            agents: BTreeMap::new(),
            attempts: BTreeMap::new(),
            follower,
            requested: Vec::new(),
            stop: None,
            failed: None,
            #[cfg(feature = "cluster")]
            desk: None,
        };
        Ok((owner, snapshots))
    }

    pub(super) const fn clock(&self) -> Clock {
        self.clock
    }

    /// Makes the engine one of several that share the agents of a home.
    #[cfg(feature = "cluster")]
    pub(super) fn share(&mut self, shard: ShardId, home: Sender<ToHome>) {
        self.desk = Some(Desk::new(shard, self.keeper.epoch(), home));
    }

    /// Works until a stop is requested or the journal fails, and returns the failure. Waiting callers then get the error that
    /// the host has ended, because their reply channels are dropped; a caller that waits for the stop gets the failure.
    pub(super) fn work(&mut self) -> Option<HostError> {
        self.serve();
        #[cfg(feature = "cluster")]
        if let (Some(_), Some(desk)) = (&self.failed, &self.desk) {
            desk.fail();
        }
        if let (Some(failed), Some((_, reply))) = (&self.failed, self.stop.take()) {
            reply(Err(failed.clone()));
        }
        self.failed.take()
    }

    fn serve(&mut self) {
        while self.flush() {
            let now = self.clock.now();
            let due = self.state.engine.next_wakeup().map_or(IDLE, |at| at.since(now));
            let left = self.stop.as_ref().map_or(IDLE, |(until, _)| until.since(now));
            let due = due.min(left);
            #[cfg(feature = "cluster")]
            let due = due.min(self.publish(now));
            let received = self.inbox.recv_timeout(due);
            // One reading of the clock for all that is in the inbox by now.
            let now = self.clock.now();
            match received {
                Ok(message) => self.take(message, now),
                Err(RecvTimeoutError::Timeout) => self.state.tick(now),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            for _ in 1..GROUP {
                let Ok(message) = self.inbox.try_recv() else { break };
                self.take(message, now);
            }
            self.state.collect(now);
            if self.stopped() {
                return;
            }
        }
        // The engine is ahead of a journal that failed, so nothing more may be appended to it.
        if self.failed.is_none() {
            self.flush();
        }
    }

    fn take(&mut self, message: Message, now: Time) {
        match message {
            Message::Ask(ask) => self.state.take(now, ask),
            Message::Agent(command) => self.state.handle_agent(now, command),
            Message::Heartbeats => drop(self.state.collect(now)),
            Message::Join { spec, agent, reply } => {
                let joined = self.join(now, spec, &agent);
                self.state.answer(reply, joined);
            }
            Message::Snapshot { reply } => self.requested.push(reply),
            Message::Keep { at, snapshot, reply } => {
                // The snapshot thread waits for the answer as long as the owner's thread runs.
                let _ = reply.send(self.keeper.keep_snapshot(at, &snapshot).map(|()| at));
            }
            Message::Stop { patience, reply } => {
                self.state.drain(now);
                self.stop = Some((now + patience, reply));
            }
            #[cfg(feature = "cluster")]
            Message::Home(request) => {
                let Some(desk) = &mut self.desk else { return };
                self.agents.extend(desk.take(now, &mut self.state, request));
            }
        }
    }

    /// Sends the home of shared agents what waits. Returns after which time this is to be repeated.
    #[cfg(feature = "cluster")]
    fn publish(&mut self, now: Time) -> Duration {
        let desk = self.desk.as_mut();
        desk.and_then(|desk| desk.publish(now, &self.state.engine)).unwrap_or(IDLE)
    }

    fn join(&mut self, now: Time, mut spec: AgentSpec, agent: &Arc<dyn Agent>) -> Result<Incarnation, HostError> {
        let by = self.state.register(now, &mut spec)?;
        let (work, queue) = unbounded();
        if let Err(error) = worker::start(by, &spec, agent, &queue, &self.sender) {
            let left = self.state.handle(now, AgentCommand::Deregister { agent: by.agent() }.into());
            debug_assert!(left.is_ok(), "a registered agent could not be deregistered");
            return Err(HostError::Thread(error.to_string()));
        }
        self.agents.insert(by, work);
        Ok(by)
    }

    /// Appends the entries, then answers, performs the effects and notifies the subscriptions. Returns false when the
    /// journal failed: the engine is then ahead of it.
    fn flush(&mut self) -> bool {
        let (mut batch, last) = self.state.news(core::mem::take(&mut self.spare));
        let entries = batch.outbox.entries();
        if !entries.is_empty() {
            if let Err(error) = self.keeper.append(self.durable, entries) {
                let (durable, lost) = (self.durable, entries.len());
                self.failed = Some(HostError::Append { error, durable, lost });
                return false;
            }
            self.durable = last;
        }
        self.state.send_answers(&mut batch);
        batch.outbox.drain_effects(&mut batch.effects);
        for effect in batch.effects.drain(..) {
            self.perform(effect);
        }
        for entry in batch.outbox.entries() {
            self.show(entry);
        }
        #[cfg(feature = "observe")]
        self.state.followers.notify();
        self.send_to_follower(&mut batch);
        self.spare = batch;
        true
    }

    /// Sends the events, which are durable and were passed to the subscriptions, and then the requests for a snapshot
    /// of them.
    fn send_to_follower(&mut self, batch: &mut Batch) {
        let Some(follower) = &self.follower else { return };
        let mut events = Vec::new();
        batch.outbox.drain_entries(&mut events);
        // The thread ends when another writer has taken over. Then this one ends, too, at its next append.
        let _ = events.is_empty() || follower.send(Request::Follow(events)).is_ok();
        for reply in self.requested.drain(..) {
            let _ = follower.send(Request::Take(reply));
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Dispatch { attempt, to, task, until, identity, details } => {
                self.assign(to, self.state.attempt((attempt, &task), identity, until, details), task);
            }
            Effect::DispatchBatch { to, attempts, identity } => {
                for one in attempts {
                    let (identity, details) = (identity.clone(), one.details);
                    let attempt = self.state.attempt((one.attempt, &one.task), identity, one.until, details);
                    self.assign(to, attempt, one.task);
                }
            }
            // An agent that stops early fails its attempt; the core has recorded the cancellation.
            Effect::Cancel { attempt, .. } | Effect::Yield { attempt, .. } => {
                if let Some(attempt) = self.attempts.get(&attempt) {
                    attempt.cancel();
                }
            }
            // The agents of this host were added by its user.
            Effect::Scale { .. } => {}
        }
    }

    fn assign(&mut self, to: Incarnation, attempt: Attempt, task: Arc<TaskSpec>) {
        let Some(agent) = self.agents.get(&to) else { return };
        // A shard answers a repeated poll with the same attempts.
        let btree_map::Entry::Vacant(place) = self.attempts.entry(attempt.id()) else { return };
        place.insert(attempt.clone());
        let assignment = Assignment { by: to, attempt, task };
        // Not within the assertion: a release build would then send nothing.
        let sent = agent.send(assignment);
        debug_assert!(sent.is_ok(), "the threads of {to} have ended");
    }

    /// Passes a durable entry to the subscriptions, and cancels the attempts that it ends.
    fn show(&mut self, entry: &Entry) {
        match self.state.show(entry) {
            Some(Ended::Attempt(attempt)) => self.release(attempt, attempt),
            Some(Ended::AllOf(task)) => self.release(AttemptId::new(task, 0), AttemptId::new(task, u32::MAX)),
            None => {}
        }
        let Event::Agent { agent, event } = &entry.event else { return };
        if let AgentEvent::Deregistered | AgentEvent::Lost = event {
            self.agents.remove(agent);
        } else if let AgentEvent::Registered { .. } = event {
            self.agents.retain(|known, _| known.agent() != agent.agent() || known == agent);
        }
    }

    /// Cancels attempts that have ended, in case an agent still works on them.
    fn release(&mut self, first: AttemptId, last: AttemptId) {
        while let Some((&id, attempt)) = self.attempts.range(first..=last).next() {
            attempt.end();
            attempt.cancel();
            self.attempts.remove(&id);
        }
    }

    /// Whether the host can end: no attempt is under way, or the patience is exhausted and the attempts were cancelled.
    fn stopped(&mut self) -> bool {
        let Some((until, _)) = &self.stop else { return false };
        let patience_over = self.clock.now() >= *until;
        if self.state.under_way() > 0 && patience_over {
            self.attempts.values().for_each(Attempt::cancel);
            self.await_last_answers();
        }
        if self.state.under_way() > 0 && !patience_over {
            return false;
        }
        let left = self.state.under_way();
        if self.flush()
            && let Some((_, reply)) = self.stop.take()
        {
            reply(Ok(left));
        }
        true
    }

    fn await_last_answers(&mut self) {
        let until = self.clock.now() + STOP_GRACE;
        while self.state.under_way() > 0 {
            let Ok(message) = self.inbox.recv_timeout(until.since(self.clock.now())) else { break };
            self.take(message, self.clock.now());
        }
    }
}
