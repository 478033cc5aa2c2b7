//! The future that owns the engine.

use super::Link;
use super::agent::{Assignment, Performer};
use super::attempts::{Attempts, Spawn};
use super::journal::{Keeper, Kept, KeptSnapshot, Waits};
use super::snapshots::SnapshotTask;
use super::timer::{BoxFuture, Clockwork};
use crate::base::id::{Incarnation, Seq};
use crate::base::time::Time;
use crate::host::HostError;
use crate::host::snapshots::SnapshotStatus;
use crate::host::state::{Ask, Batch, Ended, HostState, Reply};
use crate::journal::AppendError;
use crate::message::command::{AgentCommand, Command};
use crate::message::effect::Effect;
use crate::message::event::Entry;
use crate::task::agent::AgentSpec;
use async_channel::Receiver;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use futures_util::Stream;
use std::sync::Arc;

/// The number of messages that are handled before the journal, the clock and the attempts are polled again.
const GROUP: usize = 256;
/// The number of rounds before the driver yields to other futures on its thread.
const ROUNDS: usize = 16;
/// The number of entries that may wait for a running append before the driver reads no more requests.
const BACKLOG: usize = 4_096;
/// The longest sleep: the timers of some runtimes support no longer one.
const LONGEST: Duration = Duration::from_secs(3_600);
/// The time that agents have to answer after their attempts were cancelled at shutdown.
const STOP_GRACE: Duration = Duration::from_millis(250);

/// A request to the driver.
pub(super) enum Message {
    Ask(Ask),
    Join {
        spec: AgentSpec,
        agent: Arc<dyn Performer>,
        reply: Reply<Result<Incarnation, HostError>>,
    },
    /// Take a snapshot of the current state.
    Snapshot {
        reply: Reply<Result<Seq, AppendError>>,
    },
    Snapshots {
        reply: Reply<Option<SnapshotStatus>>,
    },
    Stop {
        patience: Duration,
        reply: Reply<usize>,
    },
}

/// The future that owns the engine. It must be polled, on any runtime. It completes when the host is shut down or its
/// last handle is dropped, and with an error when its journal fails. When it is dropped, all attempts are dropped at
/// once and waiting callers get [`HostError::Ended`]. The journal contains everything that was durable.
#[must_use = "the driver does nothing unless it is polled"]
pub struct Driver(Option<Box<Work>>);

impl Driver {
    /// A driver over a restored engine.
    pub(super) fn new(
        mut state: HostState,
        (keeper, waits): (Box<dyn Keeper>, Waits),
        snapshots: Option<SnapshotTask>,
        (clockwork, link): (Clockwork, Arc<Link>),
        inbox: Receiver<Message>,
        commands: Receiver<Command>,
    ) -> Self {
        let durable = state.engine.last_seq();
        state.resume(clockwork.now());
        Self(Some(Box::new(Work {
            state,
            spare: Batch::default(),
            keeper: Some(keeper),
            waits,
            appending: None,
            keeping: None,
            snapshots,
            durable,
            inbox: Box::pin(inbox),
            commands: Box::pin(commands),
            clockwork,
            sleep: None,
            attempts: Attempts::new(link.commands.clone()),
            stop: None,
            link,
        })))
    }

    /// Spawns each attempt as a task of its own instead of polling it with the engine:
    /// `driver.spawning(|attempt| drop(tokio::spawn(attempt)))`.
    pub fn spawning(mut self, spawn: impl Fn(BoxFuture<()>) + Send + 'static) -> Self {
        if let Some(work) = &mut self.0 {
            let spawn: Spawn = Box::new(spawn);
            work.attempts.spawn_with(spawn);
        }
        self
    }
}

impl Future for Driver {
    type Output = Result<(), HostError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = &mut self.0 else { return Poll::Ready(Ok(())) };
        for _ in 0..ROUNDS {
            match work.round(cx) {
                Ok(Round::Worked) => {}
                Ok(Round::Waits) => return Poll::Pending,
                Ok(Round::Over) => {
                    // Callers that still wait get their error now, even if the driver is not dropped.
                    self.0 = None;
                    return Poll::Ready(Ok(()));
                }
                Err(error) => {
                    work.link.fail(&error);
                    self.0 = None;
                    return Poll::Ready(Err(error));
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let under_way = self.0.as_ref().map(|work| work.attempts.len());
        f.debug_struct("Driver").field("attempts", &under_way).finish_non_exhaustive()
    }
}

enum Round {
    Worked,
    /// Every source of further work holds the waker.
    Waits,
    Over,
}

struct Work {
    state: HostState,
    /// Reused for the next batch.
    spare: Batch,
    /// `None` while it appends or stores a snapshot.
    keeper: Option<Box<dyn Keeper>>,
    waits: Waits,
    appending: Option<(BoxFuture<Kept>, Seq)>,
    keeping: Option<BoxFuture<KeptSnapshot>>,
    /// The task that takes snapshots.
    snapshots: Option<SnapshotTask>,
    /// The number of the last durable event.
    durable: Seq,
    inbox: Pin<Box<Receiver<Message>>>,
    /// Commands of agents and of dropped handles.
    commands: Pin<Box<Receiver<Command>>>,
    clockwork: Clockwork,
    /// The time at which the running timer fires.
    sleep: Option<(Time, BoxFuture<()>)>,
    attempts: Attempts,
    stop: Option<Stop>,
    link: Arc<Link>,
}

struct Stop {
    until: Time,
    /// The attempts were cancelled; their agents may answer until this time.
    grace: Option<Time>,
    replies: Vec<Reply<usize>>,
}

/// Drops all unread messages, so that their senders get the error that the host has ended: the channel would keep the
/// messages as long as there is a handle. A closed channel accepts no more messages.
impl Drop for Work {
    fn drop(&mut self) {
        self.inbox.close();
        while self.inbox.try_recv().is_ok() {}
    }
}

impl Work {
    fn round(&mut self, cx: &mut Context<'_>) -> Result<Round, HostError> {
        let mut worked = self.attempts.poll(cx);
        // One reading of the clock for all that has arrived by now.
        let now = self.clockwork.now();
        self.link.waker.register(cx.waker());
        worked |= self.state.collect(now);
        self.handle_decided(now);
        worked |= self.read_commands(cx, now);
        worked |= self.read(cx, now);
        worked |= self.snapshots.as_mut().is_some_and(|snapshots| snapshots.poll(cx));
        worked |= self.keep(cx)?;
        if self.stopped() {
            return Ok(Round::Over);
        }
        worked |= self.wait(cx) || self.attempts.has_decided();
        Ok(if worked { Round::Worked } else { Round::Waits })
    }

    /// Handles the answers of the driver's own attempts, and what follows from the places that they free.
    fn handle_decided(&mut self, now: Time) {
        while let Some(command) = self.attempts.decided() {
            self.state.handle_agent(now, command);
        }
    }

    /// Handles the commands of spawned attempts and of dropped handles.
    fn read_commands(&mut self, cx: &mut Context<'_>, now: Time) -> bool {
        for handled in 0..GROUP {
            let Poll::Ready(Some(command)) = self.commands.as_mut().poll_next(cx) else { return handled > 0 };
            if let Command::Agent(AgentCommand::Complete { attempt, .. } | AgentCommand::Fail { attempt, .. }) =
                &command
            {
                self.attempts.answered(*attempt);
            }
            self.state.handle_agent(now, command);
            self.handle_decided(now);
        }
        true
    }

    /// Handles the messages in the inbox, unless too many entries wait for the journal: back-pressure on the callers.
    fn read(&mut self, cx: &mut Context<'_>, now: Time) -> bool {
        for read in 0..GROUP {
            let behind = self.keeper.is_none() && self.state.undurable() >= BACKLOG;
            if behind || self.stop.as_ref().is_some_and(|stop| stop.grace.is_some()) {
                return read > 0;
            }
            match self.inbox.as_mut().poll_next(cx) {
                Poll::Ready(Some(message)) => self.take(message, now),
                Poll::Ready(None) => {
                    let closing = self.stop.is_none();
                    if closing {
                        self.begin_stop(now, Duration::ZERO, None);
                    }
                    return closing || read > 0;
                }
                Poll::Pending => return read > 0,
            }
        }
        true
    }

    fn take(&mut self, message: Message, now: Time) {
        match message {
            Message::Ask(ask) => self.state.take(now, ask),
            Message::Join { mut spec, agent, reply } => {
                let joined = self.state.register(now, &mut spec);
                if let Ok(by) = joined {
                    self.attempts.seat(by, &spec, agent);
                }
                self.state.answer(reply, joined);
            }
            Message::Snapshot { reply } => match &mut self.snapshots {
                Some(snapshots) => snapshots.request(self.state.engine.last_seq(), reply),
                None => reply(Err(AppendError::Refused("the host was opened without snapshots".into()))),
            },
            Message::Snapshots { reply } => reply(self.snapshots.as_ref().map(SnapshotTask::status)),
            Message::Stop { patience, reply } => self.begin_stop(now, patience, Some(reply)),
        }
    }

    /// Appends the decided entries, then releases what depends on them. One append runs at a time; entries that are
    /// decided meanwhile go with the next append.
    fn keep(&mut self, cx: &mut Context<'_>) -> Result<bool, HostError> {
        let mut worked = false;
        loop {
            if let Some((append, last)) = &mut self.appending {
                let Poll::Ready(kept) = append.as_mut().poll(cx) else { return Ok(worked) };
                if let Err(error) = kept.result {
                    let lost = kept.batch.outbox.entries().len().saturating_add(self.state.undurable());
                    return Err(HostError::Append { error, durable: self.durable, lost });
                }
                (self.durable, self.waits.epoch) = (*last, kept.epoch);
                self.appending = None;
                self.keeper = Some(kept.keeper);
                self.let_out(kept.batch);
                worked = true;
            }
            worked |= self.keep_snapshot(cx);
            if self.keeping.is_some() {
                return Ok(worked);
            }
            if !self.state.has_news() {
                return Ok(worked);
            }
            worked = true;
            let (batch, last) = self.state.news(core::mem::take(&mut self.spare));
            if batch.outbox.entries().is_empty() {
                self.let_out(batch);
            } else if let Some(keeper) = self.keeper.take() {
                self.appending = Some((keeper.append(self.durable, batch, self.waits.clone()), last));
            }
        }
    }

    /// Stores a snapshot in the journal itself, if it has no archive. Appends wait for that.
    fn keep_snapshot(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(snapshots) = &mut self.snapshots else { return false };
        if self.keeping.is_none()
            && self.keeper.is_some()
            && let Some((at, snapshot)) = snapshots.written()
            && let Some(keeper) = self.keeper.take()
        {
            self.keeping = Some(keeper.keep_snapshot(self.waits.epoch, at, snapshot));
        }
        let Some(keeping) = &mut self.keeping else { return false };
        let Poll::Ready((keeper, kept)) = keeping.as_mut().poll(cx) else { return false };
        self.keeping = None;
        self.keeper = Some(keeper);
        snapshots.kept(&kept);
        true
    }

    fn let_out(&mut self, mut batch: Batch) {
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
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.note(&mut batch.outbox, self.durable);
        }
        self.spare = batch;
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Dispatch { attempt, to, task, until, identity, details } => {
                let attempt = self.state.attempt((attempt, &task), identity, until, details);
                self.attempts.assign(to, Assignment { task, attempt });
            }
            Effect::DispatchBatch { to, attempts, identity } => {
                for one in attempts {
                    let (task, identity) = (one.task, identity.clone());
                    let attempt = self.state.attempt((one.attempt, &task), identity, one.until, one.details);
                    self.attempts.assign(to, Assignment { task, attempt });
                }
            }
            Effect::Cancel { attempt, .. } => self.attempts.cancel(attempt, false),
            Effect::Yield { attempt, .. } => self.attempts.cancel(attempt, true),
            // The agents of this host were added by its user.
            Effect::Scale { .. } => {}
        }
    }

    /// Passes a durable entry on, and drops the attempts that it ends.
    fn show(&mut self, entry: &Entry) {
        match self.state.show(entry) {
            Some(Ended::Attempt(attempt)) => self.attempts.release(attempt),
            Some(Ended::AllOf(task)) => self.attempts.release_all(task),
            None => {}
        }
        self.attempts.note(&entry.event);
    }

    /// Fires due timers, and registers the waker for the next one.
    fn wait(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.clockwork.now();
        let wakeup = self.state.engine.next_wakeup();
        if wakeup.is_some_and(|at| at <= now) {
            self.state.tick(now);
            return true;
        }
        let ends = self.stop.as_ref().map(|stop| stop.grace.unwrap_or(stop.until));
        // The end of the host waits for the journal.
        // The engine must not take a long rest for a jump of the clock.
        let rest = self.clockwork.is_monotonic().then(|| now + LONGEST);
        let Some(due) = wakeup.into_iter().chain(ends.filter(|at| *at > now)).chain(rest).min() else {
            self.sleep = None;
            return false;
        };
        // A timer that fires too early is harmless, so a later wakeup needs no new one.
        if self.sleep.as_ref().is_none_or(|(until, _)| *until > due) {
            let span = due.since(now).min(LONGEST);
            self.sleep = Some((now + span, self.clockwork.sleep(span)));
        }
        let slept = self.sleep.as_mut().is_some_and(|(_, sleep)| sleep.as_mut().poll(cx).is_ready());
        if slept {
            self.sleep = None;
            // Not only if a timer is due: after a jump of the clock the engine needs its next reading.
            self.state.tick(self.clockwork.now());
        }
        slept
    }

    fn begin_stop(&mut self, now: Time, patience: Duration, reply: Option<Reply<usize>>) {
        self.state.drain(now);
        let stop = self.stop.get_or_insert(Stop { until: Time::MAX, grace: None, replies: Vec::new() });
        stop.until = stop.until.min(now + patience);
        stop.replies.extend(reply);
    }

    /// Whether the host can end: no attempt is under way, or the patience is exhausted and the attempts were cancelled.
    /// All decided entries are durable by then.
    fn stopped(&mut self) -> bool {
        let Some(stop) = &mut self.stop else { return false };
        let (now, left) = (self.clockwork.now(), self.state.under_way());
        if left > 0 && stop.grace.is_none() && now >= stop.until {
            stop.grace = Some(now + STOP_GRACE);
            self.attempts.cancel_all();
        }
        let grace_over = left == 0 || stop.grace.is_some_and(|until| now >= until);
        let snapshot = self.snapshots.as_ref().is_some_and(SnapshotTask::is_busy);
        if !grace_over || self.state.has_news() || self.keeper.is_none() || snapshot {
            return false;
        }
        for reply in stop.replies.drain(..) {
            reply(left);
        }
        true
    }
}
