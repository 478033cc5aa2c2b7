//! The future that owns the engine.

use super::agent::{Assignment, Performer};
use super::attempts::{Attempts, Spawn};
use super::followers::Followers;
use super::journal::{Keeper, Kept, KeptSnapshot};
use super::snapshots::SnapshotTask;
use super::timer::{BoxFuture, Clockwork};
use crate::base::id::{AttemptId, Incarnation, Seq};
use crate::base::time::Time;
use crate::host::HostError;
use crate::host::desk::{Ask, Batch, Desk, Ended, Reply};
use crate::host::snapshots::SnapshotStatus;
use crate::journal::{AppendError, Epoch};
use crate::message::command::{AgentCommand, Command};
use crate::message::effect::Effect;
use crate::message::event::Entry;
#[cfg(feature = "observe")]
use crate::observe::RunProgress;
use crate::task::agent::AgentSpec;
use async_channel::{Receiver, Sender};
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use futures_util::Stream;
use std::sync::Arc;

/// How many messages are handled before the journal, the clock and the attempts are looked at again.
const GROUP: usize = 256;
/// How many rounds are made before others on the same thread get their turn.
const ROUNDS: usize = 16;
/// So many facts may wait for an append that is on its way before nothing new is taken on.
const BACKLOG: usize = 4_096;
/// The longest sleep: timers of some runtimes know no longer ones.
const LONGEST: Duration = Duration::from_secs(3_600);
/// How long agents that were asked to stop may take to say so.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// What the driver is asked.
pub(super) enum Message {
    Ask(Ask),
    Join {
        spec: AgentSpec,
        agent: Arc<dyn Performer>,
        reply: Reply<Result<Incarnation, HostError>>,
    },
    #[cfg(feature = "observe")]
    Follow {
        run: crate::base::id::RunId,
        send: Sender<RunProgress>,
        reply: Reply<()>,
    },
    /// Take a snapshot of what has been decided by now.
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

/// The engine at work: a future that somebody must poll, on whatever runtime. It ends when the host is shut down or its last
/// handle is dropped, and with an error when its journal fails. Dropped, everything stops at once: attempts are dropped,
/// and whoever waits hears that the host has ended. The journal has all that was durable.
#[must_use = "nothing happens unless it is polled: spawn it"]
pub struct Driver(Option<Box<Work>>);

impl Driver {
    /// Goes on from what was restored.
    pub(super) fn new(
        mut desk: Desk,
        followers: Followers,
        (keeper, epoch): (Box<dyn Keeper>, Epoch),
        snapshots: Option<SnapshotTask>,
        clockwork: Clockwork,
        inbox: Receiver<Message>,
        (send, words): (Sender<Command>, Receiver<Command>),
    ) -> Self {
        let durable = desk.engine.last_seq();
        desk.resume(clockwork.now());
        Self(Some(Box::new(Work {
            desk,
            spare: Batch::default(),
            keeper: Some(keeper),
            appending: None,
            keeping: None,
            snapshots,
            epoch,
            durable,
            inbox: Box::pin(inbox),
            words: Box::pin(words),
            clockwork,
            sleep: None,
            attempts: Attempts::new(send),
            followers,
            stop: None,
        })))
    }

    /// Has every attempt run as a task of its own, on threads of the runtime's choice, in place of being polled with the
    /// engine: `driver.spawning(|attempt| drop(tokio::spawn(attempt)))`.
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
                    // Whoever still waits hears it now, even if nobody drops the driver.
                    self.0 = None;
                    return Poll::Ready(Ok(()));
                }
                Err(error) => {
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
    /// For a waker that has been left with whatever may come next.
    Waits,
    Over,
}

struct Work {
    desk: Desk,
    /// Used again for the next batch.
    spare: Batch,
    /// Away while it appends or keeps a snapshot.
    keeper: Option<Box<dyn Keeper>>,
    appending: Option<(BoxFuture<Kept>, Seq)>,
    keeping: Option<BoxFuture<KeptSnapshot>>,
    /// Who takes snapshots.
    snapshots: Option<SnapshotTask>,
    epoch: Epoch,
    /// The number of the last fact that is durable.
    durable: Seq,
    inbox: Pin<Box<Receiver<Message>>>,
    /// What agents say, and handles that are dropped.
    words: Pin<Box<Receiver<Command>>>,
    clockwork: Clockwork,
    /// Until when the timer has been asked to sleep.
    sleep: Option<(Time, BoxFuture<()>)>,
    attempts: Attempts,
    followers: Followers,
    stop: Option<Stop>,
}

struct Stop {
    until: Time,
    /// Those at work have been asked to stop, and may answer until then.
    last_words: Option<Time>,
    replies: Vec<Reply<usize>>,
}

/// What nobody has read is dropped, so that whoever asked hears that the host has ended: the channel would keep it as long as
/// there is a handle. Once closed, it takes nothing more.
impl Drop for Work {
    fn drop(&mut self) {
        self.inbox.close();
        while self.inbox.try_recv().is_ok() {}
    }
}

impl Work {
    fn round(&mut self, cx: &mut Context<'_>) -> Result<Round, HostError> {
        let mut worked = self.attempts.poll(cx);
        worked |= self.hear(cx);
        worked |= self.read(cx);
        worked |= self.snapshots.as_mut().is_some_and(|snapshots| snapshots.poll(cx));
        worked |= self.keep(cx)?;
        if self.stopped() {
            return Ok(Round::Over);
        }
        worked |= self.wait(cx);
        Ok(if worked { Round::Worked } else { Round::Waits })
    }

    /// Hears what agents say.
    fn hear(&mut self, cx: &mut Context<'_>) -> bool {
        for heard in 0..GROUP {
            let Poll::Ready(Some(word)) = self.words.as_mut().poll_next(cx) else { return heard > 0 };
            if let Command::Agent(AgentCommand::Complete { attempt, .. } | AgentCommand::Fail { attempt, .. }) = &word {
                self.attempts.answered(*attempt);
            }
            self.desk.hear(self.clockwork.now(), word);
        }
        true
    }

    /// Reads the inbox, unless too much waits for the journal: then those who ask must wait, too.
    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        for read in 0..GROUP {
            let behind = self.keeper.is_none() && self.desk.undurable() >= BACKLOG;
            if behind || self.stop.as_ref().is_some_and(|stop| stop.last_words.is_some()) {
                return read > 0;
            }
            match self.inbox.as_mut().poll_next(cx) {
                Poll::Ready(Some(message)) => self.take(message),
                Poll::Ready(None) => {
                    let closing = self.stop.is_none();
                    if closing {
                        self.begin_stop(Duration::ZERO, None);
                    }
                    return closing || read > 0;
                }
                Poll::Pending => return read > 0,
            }
        }
        true
    }

    fn take(&mut self, message: Message) {
        let now = self.clockwork.now();
        match message {
            Message::Ask(ask) => self.desk.take(now, ask),
            Message::Join { mut spec, agent, reply } => {
                let joined = self.desk.register(now, &mut spec);
                if let Ok(by) = joined {
                    self.attempts.seat(by, &spec, agent);
                }
                self.desk.answer(reply, joined);
            }
            #[cfg(feature = "observe")]
            Message::Follow { run, send, reply } => {
                self.followers.follow(run, send);
                self.desk.answer(reply, ());
            }
            Message::Snapshot { reply } => match &mut self.snapshots {
                Some(snapshots) => snapshots.request(self.desk.engine.last_seq(), reply),
                None => reply(Err(AppendError::Refused("the host was opened without snapshots".into()))),
            },
            Message::Snapshots { reply } => reply(self.snapshots.as_ref().map(SnapshotTask::status)),
            Message::Stop { patience, reply } => self.begin_stop(patience, Some(reply)),
        }
    }

    /// Makes what is decided durable, then lets it out. One append at a time is on its way; what is decided meanwhile goes
    /// with the next.
    fn keep(&mut self, cx: &mut Context<'_>) -> Result<bool, HostError> {
        let mut worked = false;
        loop {
            if let Some((append, last)) = &mut self.appending {
                let Poll::Ready(kept) = append.as_mut().poll(cx) else { return Ok(worked) };
                kept.result.map_err(HostError::Append)?;
                self.durable = *last;
                self.appending = None;
                self.keeper = Some(kept.keeper);
                self.let_out(kept.batch);
                worked = true;
            }
            worked |= self.keep_snapshot(cx);
            if self.keeping.is_some() {
                return Ok(worked);
            }
            if !self.desk.has_news() {
                return Ok(worked);
            }
            worked = true;
            let (batch, last) = self.desk.news(core::mem::take(&mut self.spare));
            if batch.outbox.entries().is_empty() {
                self.let_out(batch);
            } else if let Some(keeper) = self.keeper.take() {
                self.appending = Some((keeper.append(self.epoch, self.durable, batch), last));
            }
        }
    }

    /// Has the journal keep a snapshot, if it has no archive. Appends wait for that.
    fn keep_snapshot(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(snapshots) = &mut self.snapshots else { return false };
        if self.keeping.is_none()
            && self.keeper.is_some()
            && let Some((at, snapshot)) = snapshots.written()
            && let Some(keeper) = self.keeper.take()
        {
            self.keeping = Some(keeper.keep_snapshot(self.epoch, at, snapshot));
        }
        let Some(keeping) = &mut self.keeping else { return false };
        let Poll::Ready((keeper, kept)) = keeping.as_mut().poll(cx) else { return false };
        self.keeping = None;
        self.keeper = Some(keeper);
        snapshots.kept(&kept);
        true
    }

    fn let_out(&mut self, mut batch: Batch) {
        batch.answer();
        for effect in batch.outbox.effects() {
            self.perform(effect);
        }
        for entry in batch.outbox.entries() {
            self.show(entry);
        }
        self.followers.tell();
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.note(&mut batch.outbox, self.durable);
        }
        self.spare = batch;
    }

    fn perform(&mut self, effect: &Effect) {
        match effect {
            Effect::Dispatch { attempt, to, task, until } => {
                self.attempts.assign(*to, Assignment::new(*attempt, Arc::clone(task)).with_until(*until));
            }
            Effect::DispatchBatch { to, attempts } => {
                for one in attempts {
                    let assignment = Assignment::new(one.attempt, Arc::clone(&one.task)).with_until(one.until);
                    self.attempts.assign(*to, assignment);
                }
            }
            Effect::Cancel { attempt, .. } => self.attempts.cancel(*attempt, false),
            Effect::Yield { attempt, .. } => self.attempts.cancel(*attempt, true),
            // Its agents are those that its user gave it.
            Effect::Scale { .. } => {}
        }
    }

    /// Shows a fact to whoever watches, and lets go of what it ends.
    fn show(&mut self, entry: &Entry) {
        match self.desk.show(entry) {
            Some(Ended::Attempt(attempt)) => self.attempts.let_go(attempt, attempt),
            Some(Ended::AllOf(task)) => {
                self.attempts.let_go(AttemptId::new(task, 0), AttemptId::new(task, u32::MAX));
            }
            None => {}
        }
        self.attempts.note(&entry.event);
        self.followers.note(entry);
    }

    /// Fires what is due, and sees that somebody wakes the driver for what is due next.
    fn wait(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.clockwork.now();
        let wakeup = self.desk.engine.next_wakeup();
        if wakeup.is_some_and(|at| at <= now) {
            self.desk.tick(now);
            return true;
        }
        let ends = self.stop.as_ref().map(|stop| stop.last_words.unwrap_or(stop.until));
        // An end that has come waits for the journal.
        let Some(due) = wakeup.into_iter().chain(ends.filter(|at| *at > now)).min() else {
            self.sleep = None;
            return false;
        };
        // One that ends too early does no harm, so a later moment needs no new one.
        if self.sleep.as_ref().is_none_or(|(until, _)| *until > due) {
            let span = due.since(now).min(LONGEST);
            self.sleep = Some((now + span, self.clockwork.sleep(span)));
        }
        let slept = self.sleep.as_mut().is_some_and(|(_, sleep)| sleep.as_mut().poll(cx).is_ready());
        if slept {
            self.sleep = None;
        }
        slept
    }

    fn begin_stop(&mut self, patience: Duration, reply: Option<Reply<usize>>) {
        let now = self.clockwork.now();
        self.desk.drain(now);
        let stop = self.stop.get_or_insert(Stop { until: Time::MAX, last_words: None, replies: Vec::new() });
        stop.until = stop.until.min(now + patience);
        stop.replies.extend(reply);
    }

    /// Whether it is time to end: nothing is under way, or patience is over and those at work have been asked to stop. What
    /// was decided is durable by then.
    fn stopped(&mut self) -> bool {
        let Some(stop) = &mut self.stop else { return false };
        let (now, left) = (self.clockwork.now(), self.desk.under_way());
        if left > 0 && stop.last_words.is_none() && now >= stop.until {
            stop.last_words = Some(now + LAST_WORDS);
            self.attempts.cancel_all();
        }
        let heard_enough = left == 0 || stop.last_words.is_some_and(|until| now >= until);
        let snapshot = self.snapshots.as_ref().is_some_and(SnapshotTask::is_busy);
        if !heard_enough || self.desk.has_news() || self.keeper.is_none() || snapshot {
            return false;
        }
        for reply in stop.replies.drain(..) {
            reply(left);
        }
        true
    }
}
