//! A host under any async runtime, or none: a handle that asks, and one future that owns the engine.
//!
//! It needs nothing of a runtime but a function that sleeps. Somebody polls the [`Driver`]: spawned as a task, or beside
//! other work. Attempts are futures, polled within the driver (thousands on one thread) or, with [`Driver::spawning`], as
//! tasks of their own.
//!
//! ```
//! use counterpoint::host::future::{Assignment, AsyncSteps, FutureHost};
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
//!     let steps = AsyncSteps::new().with_fn("double", |number: u64, _: Assignment| async move {
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
//! The loop is that of the crate's documentation. Nothing leaves the host before it is durable: no answer, no attempt, no
//! fact. Where the [journal](AsyncJournal) takes its time, the driver goes on hearing agents and deciding, and the next
//! append takes all of that together.
//!
//! **Back-pressure** has two places. The inbox is bounded: who asks waits while the driver or its journal is behind. And the
//! engine refuses what is beyond its [`Limits`](crate::Limits) or is shed; [`FutureHost::submit_when_room`] waits for that, too.
//!
//! **Cancelling**: an attempt is told through its [`Assignment`]; when its grace is over, its future is dropped. The same
//! happens at its timeout, and when its agent is taken away. Drop the driver, and everything stops at once; the journal has
//! all that was durable.
//!
//! **WebAssembly**: the standard library has no clock there, so the [`Timer`] brings one. Futures are `Send` on every target; one
//! that is not (a JavaScript promise) goes into a wrapper of the runtime's, as is usual there.

mod agent;
mod attempts;
mod cancel;
mod driver;
mod events;
#[cfg_attr(not(feature = "observe"), path = "no_followers.rs")]
mod followers;
mod handle;
mod journal;
mod snapshots;
mod timer;
#[cfg(feature = "tower")]
mod tower;

pub use agent::{Assignment, AsyncAgent, AsyncSteps};
pub use cancel::{Cancellation, Cancelled};
pub use driver::Driver;
pub use events::Events;
#[cfg(feature = "observe")]
pub use followers::ProgressStream;
pub use handle::{RunHandle, TaskHandle};
pub use journal::{AsyncJournal, Blocking, OffThread};
pub use timer::{BoxFuture, Timer};
#[cfg(feature = "tower")]
pub use tower::{CallError, HostService, ServiceAgent};

use super::desk::{Ask, Desk, Reply};
use super::snapshots::{Codec, Persistence, SnapshotStatus, Snapshots};
use super::{HostError, with_kinds};
use crate::base::id::{AgentId, Incarnation, RunId, Seq};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::definition::Definition;
use crate::engine::Engine;
use crate::journal::EventFilter;
use crate::journal::{Journal, MemoryJournal, Takeover};
use crate::message::command::{Accepted, AgentCommand, Command, RunCommand};
use crate::message::event::Entry;
use crate::message::rejected::{Overload, Rejected};
use crate::message::run::RunSpec;
use crate::scheduler::Config;
use crate::task::TaskSpec;
use crate::task::agent::AgentSpec;
use crate::workflow::Flow;
use async_channel::{Sender, bounded, unbounded};
use core::fmt;
use core::time::Duration;
use driver::Message;
use followers::Followers;
use futures_channel::oneshot;
use serde::Serialize;
use serde::de::DeserializeOwned;
use snapshots::{Means, SnapshotTask};
use std::sync::Arc;
use timer::Clockwork;

/// How many messages may wait for the driver before those who send more must wait.
const INBOX: usize = 4_096;
/// How long to wait for room when nobody can tell: at first, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A handle to an engine that a [`Driver`] owns. Clones speak to the same one; when the last is dropped, it stops at once.
/// [`shut_down`](Self::shut_down) is kinder.
#[derive(Clone)]
pub struct FutureHost {
    inbox: Sender<Message>,
    /// For what must not wait for room: it is said when a handle is dropped.
    words: Sender<Command>,
    clockwork: Clockwork,
}

impl FutureHost {
    /// A host with a journal in memory: what it knows ends with it.
    ///
    /// # Errors
    ///
    /// None at present; as for [`open`](Self::open).
    pub fn start(config: Config, timer: impl Timer) -> Result<(Self, Driver), HostError> {
        let mut journal = MemoryJournal::default();
        let taken = Journal::take_over(&mut journal)?;
        Self::over(config, (journal, taken), timer, (Persistence::Nothing, None))
    }

    /// A host that goes on where a journal ends. Agents of an earlier host are gone with it: what they held is tried again,
    /// its outcome unknown.
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
        Self::over(config, (journal, taken), timer, (Persistence::Events(Codec::json()), None))
    }

    /// The same, with snapshots taken as it goes, so that the journal stays short and a restart quick. A second state
    /// [follows](crate::engine::Follower) the facts and is written down wherever `away` has work done that blocks; it needs as much
    /// memory again. The engine goes on meanwhile, and appends do, too, if the journal has a [second
    /// hand](AsyncJournal::archive).
    ///
    /// With tokio `away` is `|work| drop(tokio::task::spawn_blocking(work))`, with smol `|work| smol::unblock(work).detach()`.
    /// Where there is nothing but the thread that polls the driver it is `|work| work()`, and the host stands still for it.
    ///
    /// ```
    /// use counterpoint::host::future::{Blocking, FutureHost};
    /// use counterpoint::host::{HostError, Snapshots};
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
    /// let (mine, often) = (journal.clone(), Snapshots::every(10_000));
    /// let away = |work: Blocking| drop(std::thread::spawn(work));
    /// let program = async {
    ///     let (host, driver) = FutureHost::open_with_snapshots(Config::default(), mine, sleep, often, away).await?;
    ///     join(driver, async {
    ///         let _task = host.submit(TaskSpec::new(TaskId::new(1), "any")).await?;
    ///         let at = host.take_snapshot().await?; // one at once, before an upgrade, say
    ///         assert_eq!(at.get(), 1);
    ///         assert!(journal.is_empty()); // the fact is in the snapshot now
    ///         Ok::<_, HostError>(())
    ///     }).await
    /// };
    /// block_on(program)?;
    /// # Ok::<(), HostError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub async fn open_with_snapshots(
        config: Config,
        mut journal: impl AsyncJournal,
        timer: impl Timer,
        snapshots: Snapshots,
        away: impl Fn(Blocking) + Send + 'static,
    ) -> Result<(Self, Driver), HostError> {
        let taken = AsyncJournal::take_over(&mut journal).await?;
        let archive = AsyncJournal::archive(&mut journal).await;
        let means = Means { archive, away: Box::new(away) };
        Self::over(config, (journal, taken), timer, (Persistence::Snapshots(Codec::json(), snapshots), Some(means)))
    }

    fn over(
        config: Config,
        (journal, taken): (impl AsyncJournal, Takeover),
        timer: impl Timer,
        (persistence, means): (Persistence, Option<Means>),
    ) -> Result<(Self, Driver), HostError> {
        let snapshot = persistence.read(taken.snapshot.as_deref())?;
        let (archive, away) = means.map(|means| (means.archive, means.away)).unzip();
        let writer = persistence.writer(&config, snapshot.as_ref(), taken.epoch, archive.flatten())?;
        let desk = Desk::restore(config, snapshot.as_ref(), &taken.tail)?;
        let followers = Followers::of(&taken.tail);
        let (tail, last) = (taken.tail, desk.engine.last_seq());
        let snapshots = writer.zip(away).map(|(writer, away)| SnapshotTask::new(writer, away, (tail, last)));
        let clockwork = Clockwork::new(Arc::new(timer), desk.engine.at());
        let (inbox, messages) = bounded(INBOX);
        let (words, said) = unbounded();
        let keeper = (Box::new(journal) as _, taken.epoch);
        let (heard, clock) = ((words.clone(), said), clockwork.clone());
        let driver = Driver::new(desk, followers, keeper, snapshots, clock, messages, heard);
        Ok((Self { inbox, words, clockwork }, driver))
    }

    /// Adds an agent that performs these steps, with the skills that their kinds are called, as many at once as it has
    /// capacity.
    ///
    /// # Errors
    ///
    /// When the engine refuses it, or the host has ended.
    pub async fn add_agent(&self, spec: AgentSpec, steps: AsyncSteps) -> Result<Incarnation, HostError> {
        self.add_custom_agent(with_kinds(spec, steps.kinds()), steps).await
    }

    /// Adds an agent with the skills that it says it has.
    ///
    /// # Errors
    ///
    /// When the engine refuses it, or the host has ended.
    pub async fn add_custom_agent(&self, spec: AgentSpec, agent: impl AsyncAgent) -> Result<Incarnation, HostError> {
        self.ask(|reply| Message::Join { spec, agent: Arc::new(agent), reply }).await?
    }

    /// Takes an agent away at once, as if it had died: what it holds is dropped and tried by others, its outcome unknown.
    ///
    /// # Errors
    ///
    /// When there is no such agent, or the host has ended.
    pub async fn remove_agent(&self, agent: AgentId) -> Result<(), HostError> {
        self.command(AgentCommand::Deregister { agent }).await.map(|_| ())
    }

    /// Has the engine obey a command, and tells its verdict once that is durable.
    ///
    /// # Errors
    ///
    /// When the engine refuses the command, or the host has ended.
    pub async fn command(&self, command: impl Into<Command>) -> Result<Accepted, HostError> {
        let command = command.into();
        self.ask(|reply| Message::Ask(Ask::Command { command, reply })).await?
    }

    /// Submits a task. The handle is a future of how it ends.
    ///
    /// # Errors
    ///
    /// When the engine refuses the task, or the host has ended.
    pub async fn submit(&self, task: impl Into<Arc<TaskSpec>>) -> Result<TaskHandle, HostError> {
        let spec: Arc<TaskSpec> = task.into();
        let id = spec.id;
        let (tell, told) = oneshot::channel();
        self.ask(|reply| Message::Ask(Ask::Submit { spec, tell: to(tell), reply })).await??;
        Ok(TaskHandle::new(id, told, self.words.clone()))
    }

    /// Submits a task as soon as there is room for it: while the engine is [at capacity](Overload::AtCapacity) or
    /// [sheds load](Overload::Shed), it is tried again after the time that the refusal names, and with growing pauses of up
    /// to 5 s where it names none.
    ///
    /// # Errors
    ///
    /// When the engine refuses the task for another reason, or the host has ended.
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

    /// Lets runs use this workflow.
    ///
    /// # Errors
    ///
    /// When the engine refuses the definition, or the host has ended.
    pub async fn define(&self, definition: impl Into<Arc<Definition>>) -> Result<(), HostError> {
        self.command(Command::define(definition)).await.map(|_| ())
    }

    /// Defines a workflow, if that is not done yet, and starts a run of it. The handle is a future of what the run gives back.
    ///
    /// # Errors
    ///
    /// When the input has no JSON form, the engine refuses, or the host has ended.
    pub async fn run<I: Serialize, O: DeserializeOwned>(
        &self,
        flow: &Flow<I, O>,
        id: RunId,
        input: &I,
    ) -> Result<RunHandle<O>, HostError> {
        let (definition, spec) = (Arc::clone(flow.definition()), flow.run(id, input)?);
        self.define(definition).await?;
        self.start_run(spec).await
    }

    /// Starts a run of a workflow that is defined.
    ///
    /// # Errors
    ///
    /// When the engine refuses, or the host has ended.
    pub async fn start_run<O: DeserializeOwned>(&self, spec: RunSpec) -> Result<RunHandle<O>, HostError> {
        let id = spec.id;
        let (tell, told) = oneshot::channel();
        self.ask(|reply| Message::Ask(Ask::Start { spec, tell: to(tell), reply })).await??;
        Ok(RunHandle::new(id, told, self.words.clone()))
    }

    /// Brings a signal to a run.
    ///
    /// # Errors
    ///
    /// When the engine refuses, or the host has ended.
    pub async fn signal(&self, run: RunId, signal: impl Into<Name>, payload: Payload) -> Result<(), HostError> {
        let signal = signal.into();
        self.command(RunCommand::Signal { run, signal, payload }).await.map(|_| ())
    }

    /// Subscribes to facts, from now on. At most `room` wait to be read; those beyond are left out and counted.
    ///
    /// # Errors
    ///
    /// When the host has ended.
    pub async fn events(&self, filter: EventFilter, room: usize) -> Result<Events, HostError> {
        let (events, mut feed) = Events::new(filter, room);
        self.ask(|reply| Message::Ask(Ask::Watch { watcher: Box::new(move |entry| feed.show(entry)), reply })).await?;
        Ok(events)
    }

    /// Follows how far a run is: first how far it is now, then whatever changes, until it is over. The stream of a run that
    /// nobody knows ends at once. Of a run that began before the journal's last snapshot, it knows what came after that.
    ///
    /// # Errors
    ///
    /// When the host has ended.
    #[cfg(feature = "observe")]
    pub async fn progress(&self, run: RunId) -> Result<ProgressStream, HostError> {
        let (stream, send) = ProgressStream::new(run);
        self.ask(|reply| Message::Follow { run, send, reply }).await?;
        Ok(stream)
    }

    /// Has every fact shown to a closure, within the driver, once it is durable: for projections. It should be quick.
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

    /// Reads the engine. The closure runs within the driver, between two calls, and should be quick. The engine may be ahead
    /// of what is durable.
    ///
    /// # Errors
    ///
    /// When the host has ended.
    pub async fn inspect<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> Result<T, HostError> {
        self.ask(|reply| {
            let look = Box::new(move |engine: &Engine| reply(look(engine)));
            Message::Ask(Ask::Inspect { look })
        })
        .await
    }

    /// Takes a snapshot of what has been decided by now, once that is durable, and tells up to which fact it reaches when it
    /// is kept. Others go on with their work meanwhile.
    ///
    /// # Errors
    ///
    /// When the journal refuses it, or the host was opened without snapshots or has ended.
    pub async fn take_snapshot(&self) -> Result<Seq, HostError> {
        self.ask(|reply| Message::Snapshot { reply }).await?.map_err(HostError::Snapshot)
    }

    /// How taking snapshots goes; nothing, if the host was opened without.
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

    /// How many messages wait for the driver; at the bound of 4,096, those who ask wait for room first.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.inbox.len()
    }

    /// The time as the engine has it.
    #[must_use]
    pub fn now(&self) -> Time {
        self.clockwork.now()
    }

    /// Hands out nothing new, lets the agents finish what they hold for up to `patience`, asks them to stop if they have
    /// not by then, and ends. What was not finished is in the journal, for the next host.
    ///
    /// # Errors
    ///
    /// When the host has ended already, or agents did not stop when they were asked: their futures were dropped.
    pub async fn shut_down(&self, patience: Duration) -> Result<(), HostError> {
        match self.ask(|reply| Message::Stop { patience, reply }).await? {
            0 => Ok(()),
            left => Err(HostError::StillWorking(left)),
        }
    }

    /// Asks the driver; its inbox may be full, and then this waits.
    async fn ask<T: Send + 'static>(&self, message: impl FnOnce(Reply<T>) -> Message) -> Result<T, HostError> {
        let (reply, answer) = oneshot::channel();
        self.inbox.send(message(to(reply))).await.map_err(|_| HostError::Ended)?;
        answer.await.map_err(|_| HostError::Ended)
    }
}

/// Whoever asked may be gone; the deed stands.
fn to<T: Send + 'static>(reply: oneshot::Sender<T>) -> Reply<T> {
    Box::new(move |what| drop(reply.send(what)))
}

impl fmt::Debug for FutureHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FutureHost").field("ended", &self.inbox.is_closed()).finish_non_exhaustive()
    }
}
