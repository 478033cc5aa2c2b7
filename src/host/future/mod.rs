//! A host for any async runtime, or for none: handles that send requests, and one future that owns the engine.
//!
//! The host needs only a function that sleeps from the runtime. The [`Driver`] must be polled, as a spawned task or
//! joined with other futures. Attempts are futures that the driver polls (thousands on one thread) or, with
//! [`Driver::spawning`], tasks of their own.
//!
//! ```
//! use counterpoint::host::future::FutureHost;
//! use counterpoint::workflow::{AsyncSteps, Attempt};
//! use counterpoint::{AgentId, AgentSpec, Config, Failure, Payload, TaskId, TaskOutcome, TaskSpec};
//! use std::time::Duration;
//!
//! # use std::future::Future;
//! # fn block_on<T>(future: impl Future<Output = T>) -> T {
//! #     let mut future = std::pin::pin!(future);
//! #     let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
//! #     loop {
//! #         if let std::task::Poll::Ready(done) = future.as_mut().poll(&mut cx) {
//! #             return done;
//! #         }
//! #     }
//! # }
//! # async fn join<A: Future + Unpin, B: Future>(mut a: A, b: B) -> B::Output {
//! #     let mut b = std::pin::pin!(b);
//! #     std::future::poll_fn(|cx| { let _ = std::pin::Pin::new(&mut a).poll(cx); b.as_mut().poll(cx) }).await
//! # }
//! # let sleep = |_: Duration| async {};
//! // `sleep` is the runtime's: `tokio::time::sleep`, for one.
//! let (host, driver) = FutureHost::start(Config::default(), sleep)?;
//!
//! let work = async {
//!     let steps = AsyncSteps::new().with_fn("double", |number: u64, _: Attempt| async move {
//!         number.checked_mul(2).ok_or_else(|| Failure::permanent("too large"))
//!     });
//!     host.add_agent(AgentSpec::new(AgentId::new(1)).with_capacity(1_000), steps).await?;
//!     let task = TaskSpec::new(TaskId::new(1), "double").with_payload(Payload::of(&21)?);
//!     let outcome = host.submit(task).await?.await?;
//!     assert_eq!(outcome, TaskOutcome::Succeeded(Payload::of(&42)?));
//!     host.shut_down(Duration::from_secs(5)).await?;
//!     Ok::<_, Box<dyn std::error::Error>>(())
//! };
//! block_on(join(driver, work))?; // with tokio: `tokio::spawn(driver)`, then `work.await`
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The loop is the one in the documentation of the crate. Answers, attempts and entries leave the host only after they
//! are durable. While a slow [journal](AsyncJournal) appends, the driver continues to accept messages and to decide;
//! the next append writes all resulting entries at once.
//!
//! **Back-pressure** applies at two points. The inbox is bounded: callers wait while the driver or its journal is
//! behind. The engine rejects submissions beyond its [`Limits`](crate::Limits) and those that it sheds;
//! [`FutureHost::submit_when_room`] waits for both.
//!
//! **Cancellation**: an attempt is notified through its [`Attempt`](crate::workflow::Attempt); after its grace period its
//! future is dropped. The future is also dropped at the attempt's timeout and when its agent is removed. When the driver is
//! dropped, everything stops at once; the journal contains everything that was durable.
//!
//! **WebAssembly**: the standard library has no clock on that target, so the [`Timer`] must supply one. Futures are
//! `Send` on every target; a future that is not (a JavaScript promise) needs a `Send` wrapper, as with other runtimes
//! there.

mod agent;
mod attempts;
mod driver;
mod encoding;
mod events;
#[cfg(feature = "functions")]
mod functions;
mod handle;
mod journal;
#[cfg(feature = "observe")]
mod progress;
mod runs;
mod snapshots;
mod submission;
mod timer;
#[cfg(feature = "tower")]
mod tower;
mod wakers;

pub use agent::{Assignment, AsyncAgent};
pub use driver::Driver;
pub use events::Events;
pub use handle::{RunHandle, TaskHandle};
pub use journal::{AsyncJournal, Blocking, OffThread};
#[cfg(feature = "observe")]
pub use progress::ProgressStream;
pub use timer::{BoxFuture, Timer};
#[cfg(feature = "tower")]
pub use tower::{CallError, HostService, ServiceAgent};

#[cfg(feature = "durable")]
use super::Durable;
use super::coder::Coder;
use super::reentry::Inside;
use super::snapshots::{Codec, Persistence, SnapshotStatus, SnapshotWriter};
use super::state::{Ask, HostState, Reply};
use super::ticket::{Caller, Ticket};
use super::{HostError, with_kinds};
#[cfg(feature = "reports")]
use super::{Reported, Reports};
use crate::base::id::{AgentId, Incarnation, Seq};
#[cfg(feature = "reports")]
use crate::base::id::{AttemptId, RunId, TaskId};
use crate::base::time::Time;
use crate::engine::Engine;
use crate::journal::EventFilter;
use crate::journal::{Journal, MemoryJournal, Takeover};
use crate::message::command::{Accepted, AgentCommand, Command};
use crate::message::event::Entry;
use crate::message::rejected::{Overload, Rejected};
use crate::scheduler::{Config, Quarantined};
use crate::task::TaskSpec;
use crate::task::agent::AgentSpec;
use crate::workflow::AsyncSteps;
#[cfg(feature = "reports")]
use crate::workflow::report::Origin;
use agent::{Boxed, Performer};
use async_channel::{Sender, bounded, unbounded};
use core::fmt;
use core::future::poll_fn;
use core::time::Duration;
use driver::Message;
use futures_channel::oneshot;
use futures_util::task::AtomicWaker;
use journal::Waits;
use snapshots::{Means, SnapshotTask};
use std::sync::{Arc, Mutex, PoisonError};
use submission::Submission;
use timer::Clockwork;

/// The number of messages that may wait for the driver before senders must wait.
const INBOX: usize = 4_096;
/// The shortest and the longest wait for capacity when the engine gives no estimate.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A handle of an engine that a [`Driver`] owns. Clones refer to the same engine. When the last handle is dropped, the
/// driver stops at once; [`shut_down`](Self::shut_down) lets attempts finish first.
#[derive(Clone)]
pub struct FutureHost {
    inbox: Sender<Message>,
    clockwork: Clockwork,
    link: Arc<Link>,
    coder: Coder,
}

/// What the handles of a host, of its tasks and of its runs share with its driver.
struct Link {
    /// An unbounded channel for commands that must not wait for capacity: those of dropped handles.
    commands: Sender<Command>,
    /// Where callbacks of the host run.
    inside: Inside,
    /// Wakes the driver when heartbeats of attempts wait.
    waker: Arc<AtomicWaker>,
    /// Why the driver ended, if its journal failed.
    failed: Mutex<Option<HostError>>,
}

impl Link {
    fn fail(&self, error: &HostError) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
    }

    fn failed(&self) -> Option<HostError> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl FutureHost {
    /// A host with a journal in memory, whose state is lost when the host ends.
    ///
    /// # Errors
    ///
    /// None at present; the type is that of [`open`](Self::open).
    pub fn start(config: Config, timer: impl Timer) -> Result<(Self, Driver), HostError> {
        let mut journal = MemoryJournal::default();
        let taken = Journal::take_over(&mut journal)?;
        Self::over(config, (journal, taken), timer, (Persistence::Nothing, None))
    }

    /// A host that continues from a journal, without snapshots and without patience: see [`durable`](Self::durable). The
    /// agents of the previous host ended with it: their attempts are retried as attempts with an unknown outcome.
    ///
    /// # Errors
    ///
    /// When the journal cannot be opened or restored from.
    pub async fn open(
        config: Config,
        mut journal: impl AsyncJournal,
        timer: impl Timer,
    ) -> Result<(Self, Driver), HostError> {
        let taken = AsyncJournal::take_over(&mut journal).await?;
        Self::over(config, (journal, taken), timer, (Persistence::Events(Codec::packed()), None))
    }

    /// A host that keeps its state in a journal, in one call: it continues from what the journal contains, takes snapshots
    /// regularly, so that the journal stays short and a restart quick, and has patience with a journal that is held by the
    /// previous host or fails for a while ([`Durable`]).
    ///
    /// The same program, started again, continues where the first one ended: tasks, runs, timers and schedules are restored;
    /// agents are added again; attempts that were under way are retried as attempts with an unknown outcome; and a run that is
    /// started again with its key is the run that is there.
    ///
    /// A second copy of the state [follows](crate::engine::Follower) the events and is serialised wherever `away` runs blocking
    /// work; it needs the same amount of memory again. The engine continues meanwhile, and so do appends if the journal has an
    /// [archive](AsyncJournal::archive). With tokio `away` is `|work| drop(tokio::task::spawn_blocking(work))`, with smol
    /// `|work| smol::unblock(work).detach()`. On a single thread it is `|work| work()`, which blocks the host for the duration of
    /// the snapshot.
    ///
    /// ```
    /// use counterpoint::host::future::{Blocking, FutureHost};
    /// use counterpoint::host::{Durable, HostError};
    /// use counterpoint::journal::MemoryJournal;
    /// use counterpoint::{Config, TaskId, TaskSpec};
    /// # use std::{future::Future, pin::{pin, Pin}, task::{Context, Poll, Waker}, time::Duration};
    /// # let sleep = |_: Duration| async {};
    /// # fn block_on<T>(future: impl Future<Output = T>) -> T {
    /// #     let mut future = pin!(future);
    /// #     let mut cx = Context::from_waker(Waker::noop());
    /// #     loop { if let Poll::Ready(done) = future.as_mut().poll(&mut cx) { return done; } }
    /// # }
    /// # async fn join<A: Future + Unpin, B: Future>(mut a: A, b: B) -> B::Output {
    /// #     let mut b = pin!(b);
    /// #     std::future::poll_fn(|cx| { let _ = Pin::new(&mut a).poll(cx); b.as_mut().poll(cx) }).await
    /// # }
    ///
    /// let journal = MemoryJournal::default();
    /// let (mine, often) = (journal.clone(), Durable::new().snapshot_every(10_000));
    /// let away = |work: Blocking| drop(std::thread::spawn(work));
    /// let program = async {
    ///     let (host, driver) = FutureHost::durable(Config::default(), mine, sleep, often, away).await?;
    ///     join(driver, async {
    ///         let _task = host.submit(TaskSpec::new(TaskId::new(1), "any")).await?;
    ///         let at = host.take_snapshot().await?; // a snapshot on demand, for example before an upgrade
    ///         assert_eq!(at.get(), 2); // after the identity of the journal and the task
    ///         assert!(journal.is_empty()); // the snapshot covers both events
    ///         Ok::<_, HostError>(())
    ///     }).await
    /// };
    /// block_on(program)?;
    /// # Ok::<(), HostError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`HostError::Journal`] when the journal is held by another host for longer than the patience
    /// ([`JournalError::is_held`](crate::journal::JournalError::is_held)), cannot be reached, or is damaged or of another version
    /// ([`JournalError::broken`](crate::journal::JournalError::broken)); [`HostError::Restore`] when its content is inconsistent.
    #[cfg(feature = "durable")]
    pub async fn durable(
        config: Config,
        mut journal: impl AsyncJournal,
        timer: impl Timer,
        durable: Durable,
        away: impl Fn(Blocking) + Send + 'static,
    ) -> Result<(Self, Driver), HostError> {
        let persistence = Persistence::Snapshots(Codec::packed(), durable);
        let taken = journal::take_over(&mut journal, persistence.patience(), &timer).await?;
        let archive = AsyncJournal::archive(&mut journal).await;
        let means = Means { archive, away: Box::new(away) };
        Self::over(config, (journal, taken), timer, (persistence, Some(means)))
    }

    fn over(
        config: Config,
        (journal, taken): (impl AsyncJournal, Takeover),
        timer: impl Timer,
        (persistence, means): (Persistence, Option<Means>),
    ) -> Result<(Self, Driver), HostError> {
        let snapshot = persistence.read(taken.snapshot.as_deref())?;
        let (archive, away) = means.map(|means| (means.archive, means.away)).unzip();
        let writer = persistence.writer(&config, snapshot.as_ref(), taken.epoch, || archive.flatten())?;
        let handover = writer.as_ref().map(SnapshotWriter::handover).unwrap_or_default();
        let waker: Arc<AtomicWaker> = Arc::default();
        let driver = Arc::clone(&waker);
        let mut state = HostState::restore(config, snapshot.as_ref(), &taken.tail, move || driver.wake())?;
        state.inside = Inside::recorded();
        let (tail, last) = (taken.tail, state.engine.last_seq());
        let snapshots = writer.zip(away).map(|(writer, away)| SnapshotTask::new(writer, away, (tail, last)));
        let clockwork = Clockwork::new(Arc::new(timer), state.engine.at());
        let (inbox, messages) = bounded(INBOX);
        let (commands, receiver) = unbounded();
        let (epoch, patience) = (taken.epoch, persistence.patience());
        let waits = Waits { epoch, patience, clockwork: clockwork.clone(), handover };
        let keeper = (Box::new(journal) as _, waits);
        let link = Arc::new(Link { commands, inside: state.inside.clone(), waker, failed: Mutex::default() });
        let (clock, shared) = (clockwork.clone(), Arc::clone(&link));
        let driver = Driver::new(state, keeper, snapshots, (clock, shared), messages, receiver);
        Ok((Self { inbox, clockwork, link, coder: Coder::default() }, driver))
    }

    /// Adds an agent that performs these steps. Its skills are the kinds of the steps; its capacity bounds the number
    /// of concurrent attempts.
    ///
    /// # Errors
    ///
    /// When the engine rejects the agent, or the host has ended.
    pub async fn add_agent(&self, spec: AgentSpec, steps: AsyncSteps) -> Result<Incarnation, HostError> {
        let spec = with_kinds(spec, steps.kinds());
        self.join(spec, self.decoding(Arc::new(Boxed(steps)))).await
    }

    /// Adds an agent with the skills of its specification.
    ///
    /// # Errors
    ///
    /// When the engine rejects the agent, or the host has ended.
    pub async fn add_custom_agent(&self, spec: AgentSpec, agent: impl AsyncAgent) -> Result<Incarnation, HostError> {
        self.join(spec, self.decoding(Arc::new(agent))).await
    }

    async fn join(&self, spec: AgentSpec, agent: Arc<dyn Performer>) -> Result<Incarnation, HostError> {
        self.ask(|reply| Message::Join { spec, agent, reply }).await?
    }

    /// Removes an agent at once, as if it had crashed: its attempts are dropped and retried by other agents, with an
    /// unknown outcome.
    ///
    /// # Errors
    ///
    /// When the agent is unknown, or the host has ended.
    pub async fn remove_agent(&self, agent: AgentId) -> Result<(), HostError> {
        self.command(AgentCommand::Deregister { agent }).await.map(|_| ())
    }

    /// Sends a command to the engine, and returns the result once it is durable.
    ///
    /// # Errors
    ///
    /// When the engine rejects the command, or the host has ended.
    pub async fn command(&self, command: impl Into<Command>) -> Result<Accepted, HostError> {
        let command = self.encoded(command.into()).await?;
        self.ask(|reply| Message::Ask(Ask::Command { command, reply })).await?
    }

    /// Sends a group of commands to the engine, which handles them in their order in one step of the host
    /// ([`Engine::handle_all`]). Returns the answer to each, in the same order, once all of them are durable.
    ///
    /// # Errors
    ///
    /// When the group has more commands than [`Limits::bulk`](crate::Limits::bulk), or the host has ended. A rejected command
    /// is no error of the group.
    pub async fn command_all(&self, commands: Vec<Command>) -> Result<Vec<Result<Accepted, Rejected>>, HostError> {
        let commands = self.encoded_all(commands).await?;
        self.ask(|reply| Message::Ask(Ask::Commands { commands, reply })).await?
    }

    /// Submits a task. The handle is a future of its outcome.
    ///
    /// # Errors
    ///
    /// When the engine rejects the task, or the host has ended.
    pub async fn submit(&self, task: impl Into<Arc<TaskSpec>>) -> Result<TaskHandle, HostError> {
        let spec = self.encoded_task(task.into()).await?;
        let id = spec.id;
        let submission = self.hand_in(|ticket| Ask::Submit { spec, ticket }).await?;
        Ok(TaskHandle::new(id, submission, Arc::clone(&self.link), self.coder.clone()))
    }

    /// Submits a task as soon as the engine has capacity for it. While the engine is [at
    /// capacity](Overload::AtCapacity) or [sheds load](Overload::Shed), the submission is retried after the delay that
    /// the rejection suggests, or with exponential delays of up to 5 s if it suggests none.
    ///
    /// # Errors
    ///
    /// When the engine rejects the task for another reason, or the host has ended.
    pub async fn submit_when_room(&self, task: impl Into<Arc<TaskSpec>>) -> Result<TaskHandle, HostError> {
        let spec: Arc<TaskSpec> = task.into();
        let mut pause = FIRST_WAIT;
        loop {
            match self.submit(Arc::clone(&spec)).await {
                Err(HostError::Rejected(
                    Rejected::Capacity(Overload::AtCapacity { retry_after, .. })
                    | Rejected::Capacity(Overload::Shed { retry_after, .. }),
                )) => {
                    self.clockwork.sleep(retry_after.unwrap_or(pause)).await;
                    pause = pause.saturating_mul(2).min(LONGEST_WAIT);
                }
                verdict => return verdict,
            }
        }
    }

    /// Subscribes to entries from now on. At most `room` entries are buffered; further ones are left out and counted.
    ///
    /// # Errors
    ///
    /// When the host has ended.
    pub async fn events(&self, filter: EventFilter, room: usize) -> Result<Events, HostError> {
        let (events, mut feed) = Events::new(filter, room);
        self.ask(|reply| Message::Ask(Ask::Watch { watcher: Box::new(move |entry| feed.show(entry)), reply })).await?;
        Ok(events)
    }

    /// Calls a closure with every entry once it is durable, for projections. The closure runs within the driver and
    /// should be quick. After a panic it is not called again, see [`quarantined`](Self::quarantined).
    ///
    /// # Errors
    ///
    /// When the host has ended.
    pub async fn watch(&self, mut watcher: impl FnMut(&Entry) + Send + 'static) -> Result<(), HostError> {
        let watcher = Box::new(move |entry: &Entry| {
            watcher(entry);
            true
        });
        self.ask(|reply| Message::Ask(Ask::Watch { watcher, reply })).await
    }

    /// Subscribes to the reports of the attempts at the tasks of a run: the last progress of each, and the parts of their
    /// outputs. The subscription begins with the last reports that were made before, and ends with the run. The reports of
    /// child runs are those of their own subscriptions.
    ///
    /// # Errors
    ///
    /// When the run is unknown, or the host has ended.
    #[cfg(feature = "reports")]
    pub async fn reports(&self, run: RunId) -> Result<Reports, HostError> {
        let origin = Origin::Run(run);
        self.ask(|reply| Message::Ask(Ask::Reports { origin, reply })).await?
    }

    /// Subscribes to the reports of the attempts at a task, as [`reports`](Self::reports) does for a run.
    ///
    /// # Errors
    ///
    /// When the task is unknown, or the host has ended.
    #[cfg(feature = "reports")]
    pub async fn task_reports(&self, task: TaskId) -> Result<Reports, HostError> {
        let origin = Origin::Task(task);
        self.ask(|reply| Message::Ask(Ask::Reports { origin, reply })).await?
    }

    /// Passes a report on to subscribers, for an agent that performs its attempts outside of the host. It is also a heartbeat
    /// of the attempt.
    ///
    /// # Errors
    ///
    /// When the agent does not hold the attempt, the part of an output is larger than a payload may be, or the host has ended.
    #[cfg(feature = "reports")]
    pub async fn report(&self, by: Incarnation, attempt: AttemptId, what: Reported) -> Result<(), HostError> {
        self.ask(|reply| Message::Ask(Ask::Report { by, attempt, what, reply })).await?.map(|_| ())
    }

    /// Reads the engine. The closure runs within the driver, between two calls, and should be quick. The engine may be
    /// ahead of the journal. In the closure every method that waits for the host returns [`HostError::Reentrant`].
    ///
    /// # Errors
    ///
    /// When the closure panicked, or the host has ended.
    pub async fn inspect<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> Result<T, HostError> {
        self.ask(|reply| Message::Ask(Ask::inspect(look, reply))).await?
    }

    /// The callbacks that have panicked and are not called any more, until the host restarts: those of the engine and the
    /// watchers.
    ///
    /// # Errors
    ///
    /// When the host has ended.
    pub async fn quarantined(&self) -> Result<Vec<Quarantined>, HostError> {
        self.ask(|reply| Message::Ask(Ask::Quarantined { reply })).await
    }

    /// Takes a snapshot of the current state once that is durable, and returns the number of the last event that it
    /// covers when the snapshot is stored. Other work continues meanwhile.
    ///
    /// # Errors
    ///
    /// When the journal rejects the snapshot, or the host was opened without snapshots or has ended.
    pub async fn take_snapshot(&self) -> Result<Seq, HostError> {
        self.ask(|reply| Message::Snapshot { reply }).await?.map_err(HostError::Snapshot)
    }

    /// The status of the snapshots; `None` if the host was opened without snapshots.
    ///
    /// # Errors
    ///
    /// When the host has ended.
    pub async fn snapshots(&self) -> Result<Option<SnapshotStatus>, HostError> {
        self.ask(|reply| Message::Snapshots { reply }).await
    }

    #[cfg(feature = "tower")]
    fn has_room(&self) -> bool {
        !self.inbox.is_full()
    }

    #[cfg(feature = "tower")]
    fn has_ended(&self) -> bool {
        self.inbox.is_closed()
    }

    /// The number of messages that wait for the driver. At the limit of 4,096, further callers wait for capacity.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.inbox.len()
    }

    /// The time that the engine is given.
    #[must_use]
    pub fn now(&self) -> Time {
        self.clockwork.now()
    }

    /// Dispatches no new attempts, lets the agents finish theirs for up to `patience`, then cancels what is left, and
    /// ends. Unfinished work is in the journal for the next host.
    ///
    /// # Errors
    ///
    /// When attempts did not stop after they were cancelled: their futures were dropped. When the journal failed, now or
    /// earlier: then not everything is durable. When the host was shut down before.
    pub async fn shut_down(&self, patience: Duration) -> Result<(), HostError> {
        match self.ask(|reply| Message::Stop { patience, reply }).await {
            Ok(0) => Ok(()),
            Ok(left) => Err(HostError::StillWorking(left)),
            Err(HostError::Ended) => Err(self.link.failed().unwrap_or(HostError::Ended)),
            Err(error) => Err(error),
        }
    }

    /// Sends a request to the driver, and waits for capacity while its inbox is full.
    async fn ask<T: Send + 'static>(&self, message: impl FnOnce(Reply<T>) -> Message) -> Result<T, HostError> {
        let (reply, answer) = oneshot::channel();
        self.send(message(to(reply))).await?;
        answer.await.map_err(|_| HostError::Ended)
    }

    /// Hands in a submission, and returns it once it is accepted.
    async fn hand_in<T: Send + 'static>(
        &self,
        ask: impl FnOnce(Ticket<T>) -> Ask,
    ) -> Result<Arc<Submission<T>>, HostError> {
        let submission = Arc::new(Submission::default());
        let ticket = Ticket::new(Arc::clone(&submission) as Arc<dyn Caller<T>>);
        self.send(Message::Ask(ask(ticket))).await?;
        poll_fn(|cx| submission.poll_verdict(cx)).await?;
        Ok(submission)
    }

    async fn send(&self, message: Message) -> Result<(), HostError> {
        if self.link.inside.is_here() {
            return Err(HostError::Reentrant);
        }
        self.inbox.send(message).await.map_err(|_| HostError::Ended)
    }
}

/// The receiver may have been dropped; the command takes effect all the same.
fn to<T: Send + 'static>(reply: oneshot::Sender<T>) -> Reply<T> {
    Box::new(move |what| drop(reply.send(what)))
}

impl fmt::Debug for FutureHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FutureHost").field("ended", &self.inbox.is_closed()).finish_non_exhaustive()
    }
}
