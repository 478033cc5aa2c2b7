//! A host on operating-system threads: one owner of the engine, and threads for each agent.
//!
//! ```
//! use counterpoint::host::thread::ThreadHost;
//! use counterpoint::workflow::{Attempt, Step, Steps, Workflow};
//! use counterpoint::{AgentId, AgentSpec, Config, Failure, RunId};
//! use std::time::Duration;
//!
//! struct Double;
//! impl Step for Double {
//!     const KIND: &'static str = "double";
//!     type Input = u64;
//!     type Output = u64;
//!     fn run(&self, number: u64, _: &Attempt) -> Result<u64, Failure> {
//!         number.checked_mul(2).ok_or_else(|| Failure::permanent("too large"))
//!     }
//! }
//!
//! let flow = Workflow::<u64, u64>::named("quadruple");
//! let twice = flow.step(Double, flow.step(Double, flow.input()));
//! let quadruple = flow.output(twice)?;
//!
//! let host = ThreadHost::start(Config::default())?;
//! host.add_agent(AgentSpec::new(AgentId::new(1)).with_capacity(2), Steps::new().with(Double))?;
//! let answer = host.run(&quadruple, RunId::new(1), &10)?.wait()?;
//! assert_eq!(answer, 40);
//! host.shut_down(Duration::from_secs(5))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The loop is the one in the documentation of the crate: handle what is in the inbox, append all resulting entries at
//! once, then answer and perform the effects. Answers, attempts and entries leave the host only after they are durable.

mod encoding;
mod events;
#[cfg(feature = "functions")]
mod functions;
mod handle;
mod keeper;
mod message;
mod owner;
#[cfg(feature = "observe")]
mod progress;
#[cfg(feature = "cluster")]
mod sharded;
mod snapshots;
mod worker;

#[cfg(feature = "durable")]
use super::Durable;
use super::{HostError, SnapshotStatus};
use crate::journal::EventFilter;
pub use events::Events;
pub use handle::{RunHandle, TaskHandle};
#[cfg(feature = "observe")]
pub use progress::ProgressStream;
#[cfg(feature = "cluster")]
pub use sharded::ShardedHost;

use super::clock::Clock;
use super::coder::Coder;
use super::deploy::Deployment;
use super::snapshots::{Codec, Persistence};
use super::state::{Ask, Reply};
use super::{Agent, Deployed, InFlight, with_kinds};
#[cfg(feature = "reports")]
use super::{Reported, Reports};
use crate::base::id::{AgentId, Incarnation, RunId, Seq};
#[cfg(feature = "reports")]
use crate::base::id::{AttemptId, TaskId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::threads::thread::{self, JoinHandle, ThreadId};
use crate::base::time::Time;
use crate::definition::Definition;
use crate::engine::Engine;
use crate::journal::{AppendError, Journal, MemoryJournal};
use crate::message::command::{Accepted, AgentCommand, Command, RunCommand};
use crate::message::event::Entry;
use crate::message::rejected::Rejected;
use crate::message::run::{RunKey, RunSpec};
use crate::scheduler::{Config, Quarantined};
use crate::task::TaskSpec;
use crate::task::agent::AgentSpec;
#[cfg(feature = "reports")]
use crate::workflow::report::Origin;
use crate::workflow::{Flow, Steps};
use core::fmt;
use core::time::Duration;
use crossbeam::channel::{Receiver, Sender, bounded};
use message::{Message, receive, reply_to, ticket};
use owner::Owner;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use snapshots::SnapshotThread;
use std::sync::Arc;

/// The number of messages that may wait for the owner before senders must wait.
const INBOX: usize = 4_096;

/// An engine on threads of its own. When dropped, it stops at once; [`shut_down`](Self::shut_down) lets attempts finish
/// first.
pub struct ThreadHost {
    inbox: Sender<Message>,
    owner: Mutex<Option<JoinHandle<()>>>,
    /// The owner's thread, which also runs the callbacks.
    inside: ThreadId,
    /// Closed when the owner's thread has ended.
    ended: Receiver<()>,
    /// Why the host ended by itself.
    failed: Arc<Mutex<Option<HostError>>>,
    clock: Clock,
    snapshots: Option<SnapshotThread>,
    coder: Coder,
}

impl ThreadHost {
    /// A host with a journal in memory, whose state is lost when the host ends.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started.
    pub fn start(config: Config) -> Result<Self, HostError> {
        Self::open_with(config, Box::new(MemoryJournal::default()), Persistence::Nothing)
    }

    /// A host that continues from a journal, without snapshots and without patience: see [`durable`](Self::durable). The
    /// agents of the previous host ended with its threads: their attempts are retried as attempts with an unknown outcome.
    ///
    /// # Errors
    ///
    /// When the journal cannot be opened or restored from, or a thread cannot be started.
    pub fn open(config: Config, journal: impl Journal + 'static) -> Result<Self, HostError> {
        Self::open_with(config, Box::new(journal), Persistence::Events(Codec::packed()))
    }

    /// A host that keeps its state in a journal, in one call: it continues from what the journal contains, takes snapshots
    /// regularly, so that the journal stays short and a restart quick, and has patience with a journal that is held by the
    /// previous host or fails for a while ([`Durable`]).
    ///
    /// The same program, started again, continues where the first one ended: tasks, runs, timers and schedules are restored;
    /// agents are added again; attempts that were under way are retried as attempts with an unknown outcome; and a run that is
    /// started again with its key is the run that is there.
    ///
    /// A separate thread [follows](crate::engine::Follower) the events and takes the snapshots; it needs the same amount of memory
    /// again. The engine continues meanwhile.
    ///
    /// ```
    /// use counterpoint::host::Durable;
    /// use counterpoint::host::thread::ThreadHost;
    /// use counterpoint::journal::MemoryJournal;
    /// use counterpoint::{Config, TaskId, TaskSpec};
    /// use std::time::Duration;
    ///
    /// let journal = MemoryJournal::default();
    /// let host = ThreadHost::durable(Config::default(), journal.clone(), Durable::new().snapshot_every(10_000))?;
    /// host.submit(TaskSpec::new(TaskId::new(1), "any"))?;
    /// let at = host.take_snapshot()?; // a snapshot on demand, for example before an upgrade
    /// assert_eq!(at.get(), 2);        // after the identity of the journal and the task
    /// assert!(journal.is_empty());    // the snapshot covers both events
    /// # host.shut_down(Duration::from_secs(1))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`HostError::Journal`] when the journal is held by another host for longer than the patience
    /// ([`JournalError::is_held`](crate::journal::JournalError::is_held)), cannot be reached, or is damaged or of another version
    /// ([`JournalError::broken`](crate::journal::JournalError::broken)); [`HostError::Restore`] when its content is inconsistent;
    /// [`HostError::Thread`] when a thread cannot be started.
    #[cfg(feature = "durable")]
    pub fn durable(config: Config, journal: impl Journal + 'static, durable: Durable) -> Result<Self, HostError> {
        Self::open_with(config, Box::new(journal), Persistence::Snapshots(Codec::packed(), durable))
    }

    fn open_with(config: Config, journal: Box<dyn Journal>, persistence: Persistence) -> Result<Self, HostError> {
        Self::open_as(config, journal, persistence, |_| {})
    }

    /// As [`open_with`](Self::open_with), with an owner that is prepared before it works.
    fn open_as(
        config: Config,
        journal: Box<dyn Journal>,
        persistence: Persistence,
        prepare: impl FnOnce(&mut Owner),
    ) -> Result<Self, HostError> {
        let (inbox, messages) = bounded(INBOX);
        let (alive, ended) = bounded(0);
        let ends = (inbox.clone(), ended.clone());
        let (mut owner, snapshots) = Owner::open(config, journal, persistence, messages, ends)?;
        prepare(&mut owner);
        let clock = owner.clock();
        let failed: Arc<Mutex<Option<HostError>>> = Arc::default();
        let failure = Arc::clone(&failed);
        let thread = thread::Builder::new()
            .name("counterpoint".into())
            .spawn(move || {
                *failure.lock() = owner.work();
                drop(alive);
            })
            .map_err(|error| HostError::Thread(error.to_string()))?;
        let inside = thread.thread().id();
        let (owner, coder) = (Mutex::new(Some(thread)), Coder::default());
        Ok(Self { inbox, owner, inside, ended, failed, clock, snapshots, coder })
    }

    /// Adds an agent that performs these steps. Its skills are the kinds of the steps; its capacity is the number of
    /// its threads.
    ///
    /// # Errors
    ///
    /// When the engine rejects the agent, a thread cannot be started, or the host has ended.
    pub fn add_agent(&self, spec: AgentSpec, steps: Steps) -> Result<Incarnation, HostError> {
        self.add_custom_agent(with_kinds(spec, steps.kinds()), steps)
    }

    /// Adds an agent with the skills of its specification.
    ///
    /// # Errors
    ///
    /// When the engine rejects the agent, a thread cannot be started, or the host has ended.
    pub fn add_custom_agent(&self, spec: AgentSpec, agent: impl Agent) -> Result<Incarnation, HostError> {
        self.join(spec, self.decoding(Arc::new(agent)))
    }

    fn join(&self, spec: AgentSpec, agent: Arc<dyn Agent>) -> Result<Incarnation, HostError> {
        self.ask(|reply| Message::Join { spec, agent, reply })?
    }

    /// Removes an agent at once, as if it had crashed: its attempts are retried by other agents, with an unknown
    /// outcome.
    ///
    /// # Errors
    ///
    /// When the agent is unknown, or the host has ended.
    pub fn remove_agent(&self, agent: AgentId) -> Result<(), HostError> {
        self.command(AgentCommand::Deregister { agent }).map(|_| ())
    }

    /// Sends a command to the engine, and returns the result once it is durable.
    ///
    /// # Errors
    ///
    /// When the engine rejects the command, or the host has ended.
    pub fn command(&self, command: impl Into<Command>) -> Result<Accepted, HostError> {
        let command = self.encoded(command.into())?;
        self.ask(|reply| Message::Ask(Ask::Command { command, reply }))?
    }

    /// Sends a group of commands to the engine, which handles them in their order in one step of the host
    /// ([`Engine::handle_all`]). Returns the answer to each, in the same order, once all of them are durable.
    ///
    /// # Errors
    ///
    /// When the group has more commands than [`Limits::bulk`](crate::Limits::bulk), or the host has ended. A rejected command
    /// is no error of the group.
    pub fn command_all(&self, commands: Vec<Command>) -> Result<Vec<Result<Accepted, Rejected>>, HostError> {
        let commands = self.encoded_all(commands)?;
        self.ask(|reply| Message::Ask(Ask::Commands { commands, reply }))?
    }

    /// Submits a task. The handle waits for its outcome.
    ///
    /// # Errors
    ///
    /// When the engine rejects the task, or the host has ended.
    pub fn submit(&self, task: impl Into<Arc<TaskSpec>>) -> Result<TaskHandle, HostError> {
        let spec = self.encoded_task(task.into())?;
        let id = spec.id;
        let (ticket, verdict, outcome) = ticket();
        self.send(Message::Ask(Ask::Submit { spec, ticket }), &verdict)??;
        Ok(TaskHandle::new(id, outcome, self.inside, self.coder.clone()))
    }

    /// Adds a workflow definition. The answer is [`Accepted::Done`], [`Accepted::Repeated`], or [`Accepted::Compatible`] with
    /// what differs from the earlier definition of the same version.
    ///
    /// # Errors
    ///
    /// When the engine rejects the definition, or the host has ended.
    pub fn define(&self, definition: impl Into<Arc<Definition>>) -> Result<Accepted, HostError> {
        self.command(Command::define(definition))
    }

    /// Adds a workflow definition, as [`define`](Self::define), and applies a policy to the unfinished runs of the workflow
    /// that follow another definition. The same deployment again, also after a crash, migrates the runs that are left.
    ///
    /// # Errors
    ///
    /// When the engine rejects the definition, runs are in flight with [`InFlight::Refuse`], or the host has ended.
    pub fn deploy(&self, definition: impl Into<Arc<Definition>>, in_flight: InFlight) -> Result<Deployed, HostError> {
        let definition: Arc<Definition> = definition.into();
        let asked = Arc::clone(&definition);
        let defined = self.ask(|reply| Message::Ask(Ask::Deploy { definition: asked, in_flight, reply }))??;
        let mut deployment = Deployment::new(&definition, in_flight, defined);
        while let Some(page) = deployment.page() {
            let (runs, next) = self.inspect(page)?;
            for (run, command) in deployment.commands(runs) {
                deployment.note(run, self.command(command))?;
            }
            deployment.turn(next);
        }
        Ok(deployment.done())
    }

    /// Adds a workflow definition, unless the engine has it already, and starts a run of it, under an id or under a key of
    /// the program such as `"order-17"`. The handle waits for the run's output. If the run was started before, nothing
    /// changes and the handle waits for that run, whatever version of the workflow it follows.
    ///
    /// # Errors
    ///
    /// When the input has no JSON form, the engine rejects the definition, no agent can perform one of its tasks, a
    /// run with this id was started with other content, or the host has ended.
    pub fn run<I: Serialize, O: DeserializeOwned>(
        &self,
        flow: &Flow<I, O>,
        run: impl Into<RunKey>,
        input: &I,
    ) -> Result<RunHandle<O>, HostError> {
        let (definition, spec) = (Arc::clone(flow.definition()), flow.run(run, input)?);
        self.define(Arc::clone(&definition))?;
        self.start_for(spec, Some(definition))
    }

    /// Starts a run of a workflow whose definition was added, whether or not agents can perform its tasks yet. If the run
    /// was started before, nothing changes and the handle waits for that run, whatever version of the workflow it follows.
    ///
    /// # Errors
    ///
    /// When the engine rejects the run, or the host has ended.
    pub fn start_run<O: DeserializeOwned>(&self, spec: RunSpec) -> Result<RunHandle<O>, HostError> {
        self.start_for(spec, None)
    }

    fn start_for<O: DeserializeOwned>(
        &self,
        spec: RunSpec,
        needs: Option<Arc<Definition>>,
    ) -> Result<RunHandle<O>, HostError> {
        let spec = self.encoded_run(spec)?;
        let id = spec.id;
        let (ticket, verdict, outcome) = ticket();
        self.send(Message::Ask(Ask::Start { spec, needs, ticket }), &verdict)??;
        Ok(RunHandle::new(id, outcome, self.inside, self.coder.clone()))
    }

    /// A handle of a known run, whatever version of its workflow it follows. If it has ended, the handle has its outcome.
    ///
    /// # Errors
    ///
    /// When the run is unknown, or the host has ended.
    pub fn attach<O: DeserializeOwned>(&self, run: RunId) -> Result<RunHandle<O>, HostError> {
        let (ticket, verdict, outcome) = ticket();
        self.send(Message::Ask(Ask::Attach { run, ticket }), &verdict)??;
        Ok(RunHandle::new(run, outcome, self.inside, self.coder.clone()))
    }

    /// Sends a signal to a run.
    ///
    /// # Errors
    ///
    /// When the engine rejects the signal, or the host has ended.
    pub fn signal(&self, run: RunId, signal: impl Into<Name>, payload: Payload) -> Result<(), HostError> {
        self.command(RunCommand::Signal { run, signal: signal.into(), payload }).map(|_| ())
    }

    /// Makes a decision that a node of a run waits for: `by` is the person, `role` their role, which the engine trusts the
    /// caller for. [`RunCommand::Decide`] has several roles and a note.
    ///
    /// # Errors
    ///
    /// When the engine rejects the decision, or the host has ended.
    pub fn decide(
        &self,
        run: RunId,
        node: impl Into<Name>,
        by: impl Into<Name>,
        role: impl Into<Name>,
        option: impl Into<Name>,
    ) -> Result<(), HostError> {
        self.command(RunCommand::decision(run, node.into(), (by.into(), role.into()), option.into())).map(|_| ())
    }

    /// Cancels a run: work under way is cancelled, completed steps are compensated.
    ///
    /// # Errors
    ///
    /// When the engine rejects the cancellation, because the run has ended or has passed its pivot, or the host has ended.
    pub fn cancel(&self, run: RunId, reason: impl Into<Name>) -> Result<(), HostError> {
        self.command(RunCommand::Cancel { run, reason: reason.into() }).map(|_| ())
    }

    /// Subscribes to entries from now on. At most `room` entries are buffered; further ones are left out and counted.
    ///
    /// # Errors
    ///
    /// When the host has ended.
    pub fn events(&self, filter: EventFilter, room: usize) -> Result<Events, HostError> {
        let (events, mut feed) = Events::new(filter, room, self.inside);
        self.ask(|reply| Message::Ask(Ask::Watch { watcher: Box::new(move |entry| feed.show(entry)), reply }))?;
        Ok(events)
    }

    /// Calls a closure with every entry once it is durable, for projections. The closure runs on the owner's thread and
    /// should be quick. After a panic it is not called again, see [`quarantined`](Self::quarantined).
    ///
    /// # Errors
    ///
    /// When the host has ended.
    pub fn watch(&self, mut watcher: impl FnMut(&Entry) + Send + 'static) -> Result<(), HostError> {
        let watcher = Box::new(move |entry: &Entry| {
            watcher(entry);
            true
        });
        self.ask(|reply| Message::Ask(Ask::Watch { watcher, reply }))
    }

    /// Subscribes to the progress of a run: first its present progress, then every change until its end. The iterator over
    /// an unknown run ends at once. The progress of a run that began before the journal's last snapshot covers only the
    /// events after that snapshot.
    ///
    /// ```
    /// use counterpoint::host::thread::ThreadHost;
    /// use counterpoint::workflow::{StepSpec, Steps, Workflow};
    /// use counterpoint::{AgentId, AgentSpec, Config, RunId};
    ///
    /// const DOUBLE: StepSpec<u64, u64> = StepSpec::new("double");
    ///
    /// let flow = Workflow::<u64, u64>::named("twice");
    /// let flow = flow.output(flow.step(DOUBLE, flow.input()))?;
    ///
    /// let host = ThreadHost::start(Config::default())?;
    /// host.add_agent(AgentSpec::new(AgentId::new(1)), Steps::new().with_fn(DOUBLE, |n, _| Ok(2 * n)))?;
    /// let run = host.run(&flow, RunId::new(1), &21)?;
    /// let shares: Vec<f64> = host.progress(run.id())?.map(|now| now.share).collect();
    /// assert_eq!(shares.last(), Some(&1.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the host has ended.
    #[cfg(feature = "observe")]
    pub fn progress(&self, run: RunId) -> Result<ProgressStream, HostError> {
        let (stream, follower) = ProgressStream::new(run, self.inside);
        self.ask(|reply| Message::Ask(Ask::Follow { run, follower, reply }))?;
        Ok(stream)
    }

    /// Subscribes to the reports of the attempts at the tasks of a run: the last progress of each, and the parts of their
    /// outputs. The subscription begins with the last reports that were made before, and ends with the run. The reports of
    /// child runs are those of their own subscriptions.
    ///
    /// # Errors
    ///
    /// When the run is unknown, or the host has ended.
    #[cfg(feature = "reports")]
    pub fn reports(&self, run: RunId) -> Result<Reports, HostError> {
        let origin = Origin::Run(run);
        self.ask(|reply| Message::Ask(Ask::Reports { origin, reply }))?
    }

    /// Subscribes to the reports of the attempts at a task, as [`reports`](Self::reports) does for a run.
    ///
    /// # Errors
    ///
    /// When the task is unknown, or the host has ended.
    #[cfg(feature = "reports")]
    pub fn task_reports(&self, task: TaskId) -> Result<Reports, HostError> {
        let origin = Origin::Task(task);
        self.ask(|reply| Message::Ask(Ask::Reports { origin, reply }))?
    }

    /// Passes a report on to subscribers, for an agent that performs its attempts outside of the host. It is also a heartbeat
    /// of the attempt.
    ///
    /// # Errors
    ///
    /// When the agent does not hold the attempt, the part of an output is larger than a payload may be, or the host has ended.
    #[cfg(feature = "reports")]
    pub fn report(&self, by: Incarnation, attempt: AttemptId, what: Reported) -> Result<(), HostError> {
        self.ask(|reply| Message::Ask(Ask::Report { by, attempt, what, reply }))?.map(|_| ())
    }

    /// Reads the engine. The closure runs on the owner's thread, between two calls, and should be quick. In it every method
    /// that waits for the host returns [`HostError::Reentrant`].
    ///
    /// # Errors
    ///
    /// When the closure panicked, or the host has ended.
    pub fn inspect<T: Send + 'static>(&self, look: impl FnOnce(&Engine) -> T + Send + 'static) -> Result<T, HostError> {
        self.ask(|reply| Message::Ask(Ask::inspect(look, reply)))?
    }

    /// The callbacks that have panicked and are not called any more, until the host restarts: those of the engine and the
    /// watchers.
    ///
    /// # Errors
    ///
    /// When the host has ended.
    pub fn quarantined(&self) -> Result<Vec<Quarantined>, HostError> {
        self.ask(|reply| Message::Ask(Ask::Quarantined { reply }))
    }

    /// Takes a snapshot of what is durable now, and returns the number of the last event that it covers once it is
    /// stored. Other work continues meanwhile.
    ///
    /// # Errors
    ///
    /// When the journal rejects the snapshot, or the host was opened without snapshots or has ended.
    pub fn take_snapshot(&self) -> Result<Seq, HostError> {
        if self.snapshots.is_none() {
            let reason = "the host was opened without snapshots".into();
            return Err(HostError::Snapshot(AppendError::Refused(reason)));
        }
        self.ask(|reply| Message::Snapshot { reply })?.map_err(HostError::Snapshot)
    }

    /// The status of the snapshots; `None` if the host was opened without snapshots.
    #[must_use]
    pub fn snapshots(&self) -> Option<SnapshotStatus> {
        self.snapshots.as_ref().map(SnapshotThread::status)
    }

    /// The time that the engine is given: nanoseconds since 1970, monotonic within one host.
    #[must_use]
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Dispatches no new attempts, lets the agents finish theirs for up to `patience`, then cancels what is left, and
    /// ends. Unfinished work is in the journal for the next host.
    ///
    /// # Errors
    ///
    /// When attempts are still under way: their threads continue, and their answers are ignored. When the journal failed,
    /// now or earlier: then not everything is durable. When the host was shut down before.
    pub fn shut_down(&self, patience: Duration) -> Result<(), HostError> {
        let stopped = self.ask(|reply| Message::Stop { patience, reply });
        if stopped == Err(HostError::Reentrant) {
            return Err(HostError::Reentrant);
        }
        if let Some(owner) = self.owner.lock().take() {
            // A panic of the owner is a bug that its own message has reported.
            let _ = owner.join();
        }
        if let Some(snapshots) = &self.snapshots {
            snapshots.join();
        }
        match stopped.and_then(|stopped| stopped) {
            Ok(0) => Ok(()),
            Ok(left) => Err(HostError::StillWorking(left)),
            Err(error) => Err(self.failed.lock().take().unwrap_or(error)),
        }
    }

    fn ask<T: Send + 'static>(&self, message: impl FnOnce(Reply<T>) -> Message) -> Result<T, HostError> {
        let (reply, answer) = bounded(1);
        self.send(message(reply_to(reply)), &answer)
    }

    /// Sends a message and waits for its answer.
    fn send<T>(&self, message: Message, answer: &Receiver<T>) -> Result<T, HostError> {
        if thread::current().id() == self.inside {
            return Err(HostError::Reentrant);
        }
        self.inbox.send(message).map_err(|_| HostError::Ended)?;
        receive(answer, &self.ended).ok_or(HostError::Ended)
    }
}

impl Drop for ThreadHost {
    fn drop(&mut self) {
        if let Some(owner) = self.owner.lock().take() {
            let stop = Message::Stop { patience: Duration::ZERO, reply: Box::new(drop) };
            if thread::current().id() == self.inside {
                // A callback drops the host. The owner ends after it, or with the process if the inbox is full.
                let _ = self.inbox.try_send(stop);
                return;
            }
            // If the inbox stays full because agents hang, the owner ends with the process.
            if self.inbox.send_timeout(stop, Duration::from_secs(1)).is_ok() {
                let _ = owner.join();
                if let Some(snapshots) = &self.snapshots {
                    snapshots.join();
                }
            }
        }
    }
}

impl fmt::Debug for ThreadHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended = matches!(self.ended.try_recv(), Err(crossbeam::channel::TryRecvError::Disconnected));
        f.debug_struct("ThreadHost").field("ended", &ended).finish_non_exhaustive()
    }
}
