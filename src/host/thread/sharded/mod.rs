//! Several engines in one process, each on a thread of its own, which share agents.

mod desk;
mod home;

pub(super) use desk::{Desk, Request};
pub(super) use home::ToHome;

use super::message::{Message, receive, reply_to};
use super::worker::{self, Answers};
use super::{RunHandle, TaskHandle, ThreadHost};
use crate::base::id::{AgentId, AttemptId, Incarnation, RunId, TaskId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::threads::thread;
use crate::base::time::Time;
use crate::cluster::{
    BadShards, Home, HomeRules, Misrouted, Partition, Session, ShardId, Shards, Target, registration,
};
use crate::definition::Definition;
use crate::engine::Engine;
#[cfg(feature = "durable")]
use crate::host::Durable;
use crate::host::clock::Clock;
use crate::host::snapshots::{Codec, Persistence};
use crate::host::{Agent, Deployed, HostError, InFlight, with_kinds};
use crate::journal::{Journal, MemoryJournal};
use crate::message::command::{Accepted, Command, RunCommand};
use crate::message::rejected::Rejected;
use crate::message::run::{RunKey, RunSpec};
use crate::scheduler::Config;
use crate::task::TaskSpec;
use crate::task::agent::AgentSpec;
use crate::workflow::{Flow, Steps};
use core::fmt;
use core::time::Duration;
use crossbeam::channel::{Receiver, Sender, bounded, unbounded};
use home::HomeThread;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// Several engines in one process: each is a shard of a deployment with a thread and a journal of its own, and all use the same
/// agents.
///
/// A task or a run is in the shard of its id, and each command goes to the shard that it concerns ([`Target`]). Tasks that
/// depend on each other need ids of one [`PartitionKey`](crate::cluster::PartitionKey).
///
/// An agent is shared by [late binding](crate::cluster::Home): a thread of its own, the home, offers each of its free slots
/// to the shard whose next task ranks first. With one shard there is no home, and the shard is a [`ThreadHost`] like any
/// other.
///
/// ```
/// use counterpoint::cluster::Shards;
/// use counterpoint::host::thread::ShardedHost;
/// use counterpoint::workflow::Attempt;
/// use counterpoint::{AgentId, AgentSpec, Config, Payload, TaskId, TaskOutcome, TaskSpec};
/// use std::time::Duration;
///
/// let host = ShardedHost::start(Shards::new(2)?, |_| Config::default())?;
/// let double = |task: &TaskSpec, _: &Attempt| Ok(task.payload.clone());
/// host.add_custom_agent(AgentSpec::new(AgentId::new(1)).with_skill("echo", 1).with_capacity(2), double)?;
/// let tasks: Vec<_> = (1..=10)
///     .map(|id| host.submit(TaskSpec::new(TaskId::new(id), "echo").with_payload(Payload::of(&id).unwrap_or_default())))
///     .collect::<Result<_, _>>()?;
/// for (task, id) in tasks.into_iter().zip(1_u64..) {
///     assert_eq!(task.wait()?, TaskOutcome::Succeeded(Payload::of(&id)?));
/// }
/// host.shut_down(Duration::from_secs(5))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ShardedHost {
    shards: Shards,
    /// In the order of their ids.
    hosts: Vec<ThreadHost>,
    /// The thread of the home. None if there is one shard, or the host was shut down.
    home: Mutex<Option<Sender<ToHome>>>,
    /// Closed when the home has ended.
    ended: Receiver<()>,
}

impl ShardedHost {
    /// A host with journals in memory, whose state is lost when the host ends. `config` makes the configuration of each shard; its
    /// ids are [partitioned](Config::with_partitioned_ids) in any case.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started.
    pub fn start(shards: Shards, config: impl FnMut(ShardId) -> Config) -> Result<Self, HostError> {
        Self::open_with(shards, config, |_| Ok(Box::new(MemoryJournal::default())), Persistence::Nothing)
    }

    /// A host that continues from journals, one for each shard. See [`ThreadHost::open`] for what happens to attempts under way.
    ///
    /// # Errors
    ///
    /// When a journal cannot be opened or restored from, it was written by another shard or for another number of shards, or a
    /// thread cannot be started. Then no shard runs.
    pub fn open<J: Journal + 'static>(
        shards: Shards,
        config: impl FnMut(ShardId) -> Config,
        mut journal: impl FnMut(ShardId) -> Result<J, HostError>,
    ) -> Result<Self, HostError> {
        Self::open_with(shards, config, |shard| Ok(Box::new(journal(shard)?)), Persistence::Events(Codec::packed()))
    }

    /// As [`open`](Self::open), with snapshots of each shard and patience with its journal: see [`ThreadHost::durable`].
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    #[cfg(feature = "durable")]
    pub fn durable<J: Journal + 'static>(
        shards: Shards,
        config: impl FnMut(ShardId) -> Config,
        mut journal: impl FnMut(ShardId) -> Result<J, HostError>,
        durable: Durable,
    ) -> Result<Self, HostError> {
        let persistence = Persistence::Snapshots(Codec::packed(), durable);
        Self::open_with(shards, config, |shard| Ok(Box::new(journal(shard)?)), persistence)
    }

    fn open_with(
        shards: Shards,
        mut config: impl FnMut(ShardId) -> Config,
        mut journal: impl FnMut(ShardId) -> Result<Box<dyn Journal>, HostError>,
        persistence: Persistence,
    ) -> Result<Self, HostError> {
        let (to_home, messages) = unbounded();
        let mut hosts = Vec::with_capacity(usize::from(shards.count()));
        for shard in shards.all() {
            let config = config(shard).with_partitioned_ids();
            let host = ThreadHost::open_as(config, journal(shard)?, persistence, |owner| {
                if shards.count() > 1 {
                    owner.share(shard, to_home.clone());
                }
            })?;
            host.inspect(move |engine| shards.check(shard, engine))??;
            hosts.push(host);
        }
        let (alive, ended) = bounded(0);
        let host = Self { shards, hosts, home: Mutex::new(None), ended };
        if shards.count() > 1 {
            host.start_home(messages, alive)?;
            *host.home.lock() = Some(to_home);
        }
        Ok(host)
    }

    fn start_home(&self, messages: Receiver<ToHome>, alive: Sender<()>) -> Result<(), HostError> {
        let first = self.hosts.first().ok_or(HostError::Ended)?;
        let rules = HomeRules::default().with_skills(first.inspect(|engine| engine.skills().clone())?);
        let owners = self.hosts.iter().map(|host| host.inbox.clone()).collect();
        let home = HomeThread::new(Home::new(rules, 0), Clock::starting(Time::ZERO), messages, owners);
        let spawned = thread::Builder::new().name("counterpoint home".into()).spawn(move || {
            home.work();
            drop(alive);
        });
        spawned.map(drop).map_err(|error| HostError::Thread(error.to_string()))
    }

    /// The number of shards.
    #[must_use]
    pub const fn shards(&self) -> Shards {
        self.shards
    }

    /// The host of one shard, for its events, its snapshots, and what else concerns it alone. An agent that is added to it is
    /// used by this shard only.
    ///
    /// # Errors
    ///
    /// [`BadShards::Unknown`].
    pub fn shard(&self, shard: ShardId) -> Result<&ThreadHost, BadShards> {
        let unknown = BadShards::Unknown { shard, shards: self.shards.count() };
        self.hosts.get(shard.index()).ok_or(unknown)
    }

    /// Adds an agent that performs these steps, for all shards, as [`ThreadHost::add_agent`].
    ///
    /// # Errors
    ///
    /// As for [`add_custom_agent`](Self::add_custom_agent).
    pub fn add_agent(&self, spec: AgentSpec, steps: Steps) -> Result<(), HostError> {
        self.add_custom_agent(with_kinds(spec, steps.kinds()), steps)
    }

    /// Adds an agent with the skills of its specification, for all shards. It ends with this process, so with several shards a
    /// lease of it is ignored.
    ///
    /// # Errors
    ///
    /// When the agent is not valid, it is connected already, several shards cannot share it because it has reserved slots or
    /// resources of its own, a thread cannot be started, or the host has ended.
    pub fn add_custom_agent(&self, mut spec: AgentSpec, agent: impl Agent) -> Result<(), HostError> {
        self.outside()?;
        let first = self.hosts.first().ok_or(HostError::Ended)?;
        if self.shards.count() == 1 {
            return first.add_custom_agent(spec, agent).map(drop);
        }
        spec.lease = None;
        let registered = registration(&spec, Session::new(u64::MAX));
        first.inspect(move |engine| engine.check_agent(&registered))??;
        let home = self.home.lock().clone().ok_or(HostError::Ended)?;
        let (work, queue) = unbounded();
        let (reply, answer) = bounded(1);
        let connect = ToHome::Connect { spec: spec.clone(), work, reply: reply_to(reply) };
        home.send(connect).map_err(|_| HostError::Ended)?;
        receive(&answer, &self.ended).ok_or(HostError::Ended)??;
        let owners = self.hosts.iter().map(|host| host.inbox.clone()).collect();
        let answers = ToShards { owners, shards: self.shards, home };
        let agent: Arc<dyn Agent> = Arc::new(agent);
        worker::start(spec.id, &spec, &agent, &queue, &answers).map_err(|error| {
            let _ = self.remove_agent(spec.id);
            HostError::Thread(error.to_string())
        })
    }

    /// Removes an agent at once, as if it had crashed: its attempts are retried by other agents, with an unknown outcome.
    ///
    /// # Errors
    ///
    /// When the agent is unknown, or the host has ended.
    pub fn remove_agent(&self, agent: AgentId) -> Result<(), HostError> {
        if let [only] = self.hosts.as_slice() {
            return only.remove_agent(agent);
        }
        self.outside()?;
        let home = self.home.lock().clone().ok_or(HostError::Ended)?;
        let (reply, answer) = bounded(1);
        home.send(ToHome::Disconnect { agent, reply: reply_to(reply) }).map_err(|_| HostError::Ended)?;
        receive(&answer, &self.ended).ok_or(HostError::Ended)?
    }

    /// Sends a command to the shard that it concerns, or to every shard, and returns the result once it is durable. If a command
    /// for every shard is rejected by one of them, or the host ends meanwhile, some may have executed it: the same command again
    /// completes it.
    ///
    /// # Errors
    ///
    /// When the command concerns several shards or a shared agent, an engine rejects it, or the host has ended.
    pub fn command(&self, command: impl Into<Command>) -> Result<Accepted, HostError> {
        let command = command.into();
        if let [only] = self.hosts.as_slice() {
            return only.command(command);
        }
        match Target::of(&command, self.shards)? {
            Target::One(shard) => self.host(shard)?.command(command),
            Target::Every if matches!(command, Command::Agent(_)) => Err(Misrouted::OneShard.into()),
            Target::Every => {
                self.outside()?;
                let mut result = Accepted::Repeated;
                for host in &self.hosts {
                    result = both(result, host.command(command.clone())?);
                }
                Ok(result)
            }
        }
    }

    /// Submits a task. The handle waits for its outcome.
    ///
    /// # Errors
    ///
    /// When the task depends on tasks of other shards, the engine rejects the task, or the host has ended.
    pub fn submit(&self, task: impl Into<Arc<TaskSpec>>) -> Result<TaskHandle, HostError> {
        let task = task.into();
        let [own, after @ ..] = &*self.shards_of(&task) else { return Err(HostError::Ended) };
        if let Some((second, other)) = after.iter().copied().find(|(_, shard)| *shard != own.1) {
            return Err(Misrouted::Across { first: own.0, one: own.1, second, other }.into());
        }
        self.host(own.1)?.submit(task)
    }

    /// A task and those that it depends on, with their shards.
    fn shards_of(&self, task: &TaskSpec) -> Vec<(TaskId, ShardId)> {
        let all = core::iter::once(&task.id).chain(&task.after);
        all.map(|id| (*id, self.shards.shard_of(Partition::of_task(*id)))).collect()
    }

    /// Adds a workflow definition to every shard, as [`ThreadHost::define`].
    ///
    /// # Errors
    ///
    /// When an engine rejects the definition, or the host has ended.
    pub fn define(&self, definition: impl Into<Arc<Definition>>) -> Result<Accepted, HostError> {
        self.command(Command::define(definition))
    }

    /// Adds a workflow definition to every shard and applies a policy to the unfinished runs of the workflow that follow another
    /// definition, as [`ThreadHost::deploy`], one shard after the other. The result contains the runs of all shards, and the most
    /// that the definition changed in one of them. After an error or a crash, some shards may have the definition and
    /// others not; the same deployment again completes the rest.
    ///
    /// # Errors
    ///
    /// When an engine rejects the definition, runs are in flight in a shard with [`InFlight::Refuse`] (then no shard has changed,
    /// unless such a run was started meanwhile), or the host has ended.
    pub fn deploy(&self, definition: impl Into<Arc<Definition>>, in_flight: InFlight) -> Result<Deployed, HostError> {
        self.outside()?;
        let definition: Arc<Definition> = definition.into();
        if in_flight == InFlight::Refuse {
            for host in &self.hosts {
                let new = Arc::clone(&definition);
                if let Some(conflict) = host.inspect(move |engine: &Engine| engine.in_flight(&new))? {
                    return Err(HostError::Rejected(Rejected::Conflict(conflict)));
                }
            }
        }
        let mut all = Deployed { defined: Accepted::Repeated, migrated: Vec::new(), pinned: Vec::new() };
        for host in &self.hosts {
            let one = host.deploy(Arc::clone(&definition), in_flight)?;
            all.defined = both(all.defined, one.defined);
            all.migrated.extend(one.migrated);
            all.pinned.extend(one.pinned);
        }
        Ok(all)
    }

    /// Adds a workflow definition to the shard of the run, unless it has it already, and starts a run of it, as
    /// [`ThreadHost::run`]. With several shards, the run starts whether or not agents can perform its tasks.
    ///
    /// # Errors
    ///
    /// When the input has no JSON form, the engine rejects the definition or the run, or the host has ended.
    pub fn run<I: Serialize, O: DeserializeOwned>(
        &self,
        flow: &Flow<I, O>,
        run: impl Into<RunKey>,
        input: &I,
    ) -> Result<RunHandle<O>, HostError> {
        let run = run.into();
        let host = self.host_of(run.id())?;
        if self.shards.count() == 1 {
            return host.run(flow, run, input);
        }
        let spec = flow.run(run, input)?;
        host.define(Arc::clone(flow.definition()))?;
        host.start_run(spec)
    }

    /// Starts a run of a workflow whose definition was added, as [`ThreadHost::start_run`].
    ///
    /// # Errors
    ///
    /// When the engine rejects the run, or the host has ended.
    pub fn start_run<O: DeserializeOwned>(&self, spec: RunSpec) -> Result<RunHandle<O>, HostError> {
        self.host_of(spec.id)?.start_run(spec)
    }

    /// A handle of a known run, as [`ThreadHost::attach`].
    ///
    /// # Errors
    ///
    /// When the run is unknown, or the host has ended.
    pub fn attach<O: DeserializeOwned>(&self, run: RunId) -> Result<RunHandle<O>, HostError> {
        self.host_of(run)?.attach(run)
    }

    /// Sends a signal to a run.
    ///
    /// # Errors
    ///
    /// When the engine rejects the signal, or the host has ended.
    pub fn signal(&self, run: RunId, signal: impl Into<Name>, payload: Payload) -> Result<(), HostError> {
        self.command(RunCommand::Signal { run, signal: signal.into(), payload }).map(drop)
    }

    fn host_of(&self, run: RunId) -> Result<&ThreadHost, HostError> {
        self.host(self.shards.shard_of(Partition::of_run(run)))
    }

    /// The host of a shard, for a caller that waits for it. Callbacks of two shards that waited for each other would never return.
    fn host(&self, shard: ShardId) -> Result<&ThreadHost, HostError> {
        self.outside()?;
        Ok(self.shard(shard)?)
    }

    /// Checks that the caller is not a callback of a shard.
    fn outside(&self) -> Result<(), HostError> {
        let here = thread::current().id();
        if self.hosts.iter().any(|host| host.inside == here) { Err(HostError::Reentrant) } else { Ok(()) }
    }

    /// Reads the engine of every shard, one after the other, as [`ThreadHost::inspect`]. The results are in the order of the
    /// shards, and each is that of another instant.
    ///
    /// # Errors
    ///
    /// When the closure panicked, or the host has ended.
    pub fn inspect<T: Send + 'static>(
        &self,
        look: impl Fn(ShardId, &Engine) -> T + Send + Sync + 'static,
    ) -> Result<Vec<T>, HostError> {
        self.outside()?;
        let look = Arc::new(look);
        let each = self.shards.all().zip(&self.hosts).map(|(shard, host)| {
            let look = Arc::clone(&look);
            host.inspect(move |engine| look(shard, engine))
        });
        each.collect()
    }

    /// Assigns no new attempts, lets the agents finish theirs for up to `patience`, then cancels what is left, and ends.
    /// Unfinished work is in the journals for the next host.
    ///
    /// # Errors
    ///
    /// When attempts are still under way: their threads continue, and their answers are ignored. When a journal failed, now
    /// or earlier, which has ended all shards: then not everything is durable. When the host was shut down before.
    pub fn shut_down(&self, patience: Duration) -> Result<(), HostError> {
        self.outside()?;
        let clock = Clock::starting(Time::ZERO);
        let until = clock.now() + patience;
        self.stop_home();
        let mut result = Ok(());
        for host in &self.hosts {
            let stopped = host.shut_down(until.since(clock.now()));
            result = first_error(result, stopped);
        }
        result
    }

    fn stop_home(&self) {
        if let Some(home) = self.home.lock().take() {
            let _gone = home.send(ToHome::Stop);
        }
    }
}

/// The answer of several shards to one command: counts are added, and a repetition is one in all shards.
fn both(known: Accepted, next: Accepted) -> Accepted {
    if let (Accepted::Count(known), Accepted::Count(next)) = (&known, &next) {
        return Accepted::Count(known.saturating_add(*next));
    }
    if next == Accepted::Repeated { known } else { next }
}

/// The more informative one of two results: why a shard failed, before that it has ended.
fn first_error(one: Result<(), HostError>, other: Result<(), HostError>) -> Result<(), HostError> {
    match (one, other) {
        (Ok(()), other) => other,
        (Err(HostError::Ended), Err(other)) => Err(other),
        (Err(HostError::StillWorking(some)), Err(HostError::StillWorking(more))) => {
            Err(HostError::StillWorking(some.saturating_add(more)))
        }
        (Err(one), _) => Err(one),
    }
}

impl Drop for ShardedHost {
    fn drop(&mut self) {
        self.stop_home();
    }
}

impl fmt::Debug for ShardedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardedHost").field("shards", &self.shards.count()).finish_non_exhaustive()
    }
}

/// The way from the threads of a shared agent: to the owner of the task, and then to the home.
#[derive(Clone)]
struct ToShards {
    owners: Arc<[Sender<Message>]>,
    shards: Shards,
    home: Sender<ToHome>,
}

impl Answers for ToShards {
    fn send(&self, attempt: AttemptId, command: Command) -> bool {
        let shard = self.shards.shard_of(Partition::of_task(attempt.task()));
        self.owners.get(shard.index()).is_some_and(|owner| owner.send(Message::Agent(command)).is_ok())
    }

    fn ended(&self, by: Incarnation, attempt: AttemptId) {
        let _gone = self.home.send(ToHome::Ended(by.agent(), attempt));
    }
}
