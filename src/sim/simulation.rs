//! A simulation as it is set up.

use super::SimError;
use super::agent::AgentModel;
use super::disk::Disk;
use super::distribution::Distribution;
use super::fault::{Chance, Faults};
use super::fleet::Fleet;
use super::job::Job;
use super::oracle::Oracle;
use super::queue::Queue;
use super::record::Recorder;
use super::report::Report;
use super::world::{Operator, World};
use crate::base::id::AgentId;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::IdMap;
use crate::base::time::Time;
use crate::definition::Definition;
use crate::engine::Engine;
use crate::host::Agent;
use crate::message::command::Command;
use crate::message::event::Entry;
use crate::scheduler::Config;
use crate::task::TaskSpec;
use crate::workflow::Attempt;
use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an [operator](Simulation::with_operator) does.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Operation {
    /// Says something to the host, until it answers.
    Say(Command),
    /// Brings an agent.
    Join(Box<AgentModel>),
    /// Has an agent finish what it holds, and leave.
    Retire(AgentId),
}

#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) until: Option<Time>,
    pub(super) must_end_by: Option<Time>,
    pub(super) network: Option<Distribution>,
    pub(super) group: Duration,
    pub(super) remind: Option<Duration>,
    pub(super) snapshots: u64,
    pub(super) verify: u64,
    pub(super) downtime: Duration,
    pub(super) breakdowns_stop: bool,
    /// The host dies when the journal holds so many facts.
    pub(super) cut: Option<usize>,
    /// Whether it does: then whoever speaks to it may have to say it again.
    pub(super) crashes: bool,
}

/// A host, its engine, its agents and what is asked of them, in virtual time.
///
/// Everything follows from the seed and from what is said here; two runs of one simulation have the same journal, byte for
/// byte. Draws belong to what they are for: a task takes as long in a world with more agents, or with another strategy, as
/// in the one before, so two worlds differ in what you changed and not in luck. (Between platforms the last digit of a
/// logarithm may differ, and with it a drawn time.)
///
/// See the [module](super) for an example.
pub struct Simulation {
    seed: u64,
    config: Box<dyn Fn() -> Config>,
    agents: Vec<AgentModel>,
    definitions: Vec<Arc<Definition>>,
    streams: Vec<Box<dyn Iterator<Item = Job>>>,
    services: BTreeMap<Name, Distribution>,
    answers: Arc<dyn Agent>,
    operators: Vec<(Duration, Box<Operator>)>,
    fleet: Option<Fleet>,
    oracles: Vec<Box<dyn Oracle>>,
    faults: Faults,
    settings: Settings,
    journal: Vec<Entry>,
}

impl Simulation {
    /// A world without agents in which nothing is asked.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            config: Box::new(move || Config::default().with_seed(seed)),
            agents: Vec::new(),
            definitions: Vec::new(),
            streams: Vec::new(),
            services: BTreeMap::new(),
            answers: Arc::new(|_: &TaskSpec, _: &Attempt| Ok(Payload::NULL)),
            operators: Vec::new(),
            fleet: None,
            oracles: Vec::new(),
            faults: Faults::none(),
            settings: Settings {
                until: None,
                must_end_by: None,
                network: None,
                group: Duration::ZERO,
                remind: None,
                snapshots: 0,
                verify: 0,
                downtime: Duration::from_secs(20),
                breakdowns_stop: false,
                cut: None,
                crashes: false,
            },
            journal: Vec::new(),
        }
    }

    /// How the engine is set up: strategy, discipline, limits, guards. Asked again each time that a host starts.
    #[must_use]
    pub fn with_config(mut self, config: impl Fn() -> Config + 'static) -> Self {
        self.config = Box::new(config);
        self
    }

    /// Adds an agent.
    #[must_use]
    pub fn with_agent(mut self, model: AgentModel) -> Self {
        self.agents.push(model);
        self
    }

    /// Adds agents.
    #[must_use]
    pub fn with_agents(mut self, models: impl IntoIterator<Item = AgentModel>) -> Self {
        self.agents.extend(models);
        self
    }

    /// Lets runs use this workflow.
    #[must_use]
    pub fn with_definition(mut self, definition: impl Into<Arc<Definition>>) -> Self {
        self.definitions.push(definition.into());
        self
    }

    /// Adds what is asked, in order of time: a trace, or jobs made from [`Arrivals`](super::Arrivals). One that comes before
    /// its predecessor in the list comes with it.
    #[must_use]
    pub fn with_jobs<J>(mut self, jobs: J) -> Self
    where
        J: IntoIterator<Item = Job>,
        J::IntoIter: 'static,
    {
        self.streams.push(Box::new(jobs.into_iter()));
        self
    }

    /// How long attempts at tasks of this kind take at speed 1, unless a job or an agent's own model says otherwise. Without
    /// any, the task's estimate counts, and a second without that.
    #[must_use]
    pub fn with_service(mut self, kind: impl Into<Name>, law: Distribution) -> Self {
        self.services.insert(kind.into(), law);
        self
    }

    /// What agents answer: a function, or the very [`Steps`](crate::workflow::Steps) that the real ones perform. It is asked
    /// when an attempt ends. Without it everything succeeds and gives null.
    #[must_use]
    pub fn with_answers(mut self, answers: impl Agent) -> Self {
        self.answers = Arc::new(answers);
        self
    }

    /// Somebody who looks at the engine so often, in virtual time, and does something about it: people, an autoscaler.
    #[must_use]
    pub fn with_operator(
        mut self,
        every: Duration,
        operator: impl FnMut(&Engine, Time) -> Vec<Operation> + 'static,
    ) -> Self {
        self.operators.push((every, Box::new(operator)));
        self
    }

    /// The host follows the scheduler's advice on the number of agents ([`Effect::Scale`](crate::Effect::Scale), asked for
    /// with [`Config::with_scaling`](crate::Config::with_scaling)); without this it leaves the advice undone.
    ///
    /// `model` gives the agents that are started, the first for 1, each under an id of its own; each comes `startup` after
    /// the advice. Where there are too many, those that have not come yet are called off, then the newest finish what
    /// they hold and leave. [`Report::agents`](super::Report::agents) tells how long each was there, which is what a policy
    /// costs, beside [`Report::waits`](super::Report::waits), which is what it is for.
    ///
    /// ```
    /// use counterpoint::resilience::capacity::scaling::{Config as Aims, Rules};
    /// use counterpoint::scheduler::Scaling;
    /// use counterpoint::sim::{AgentModel, Arrivals, Job, Simulation};
    /// use counterpoint::{AgentId, AgentSpec, Config, TaskId, TaskSpec};
    /// use std::time::Duration;
    ///
    /// let agent = |n: u32| AgentModel::new(AgentSpec::new(AgentId::new(n.into())).with_skill("work", 1));
    /// let jobs = |seed| Arrivals::poisson(seed, 4.0).map(|at| at.zip(1..).take(600));
    /// let task = |(at, n)| Job::task(at, TaskSpec::new(TaskId::new(n), "work"));
    /// let scaling = Scaling::new(Rules::new(Aims::default().with_least(2))?, Duration::from_secs(5));
    /// let report = Simulation::new(3)
    ///     .with_config(move || Config::default().with_scaling(scaling.clone()))
    ///     .with_agents((1..=2).map(agent))
    ///     .with_scaling(Duration::from_secs(15), move |n| agent(n + 2))
    ///     .with_jobs(jobs(3)?.map(task).collect::<Vec<_>>())
    ///     .run()?;
    /// assert!(report.settled && report.agents.len() > 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_scaling(mut self, startup: Duration, model: impl FnMut(u32) -> AgentModel + 'static) -> Self {
        self.fleet = Some(Fleet::new(startup, model));
        self
    }

    /// Somebody who looks at every step and ends the simulation when something is wrong.
    #[must_use]
    pub fn with_oracle(mut self, oracle: impl Oracle + 'static) -> Self {
        self.oracles.push(Box::new(oracle));
        self
    }

    /// What goes wrong.
    #[must_use]
    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// How long each message takes; no time, if nothing is said. Messages overtake each other as their draws say.
    #[must_use]
    pub fn with_network(mut self, delay: Distribution) -> Self {
        self.settings.network = Some(delay);
        self
    }

    /// The host gathers facts for so long before it appends them all at once; if nothing is said, it appends after each
    /// call.
    #[must_use]
    pub const fn with_group_commit(mut self, span: Duration) -> Self {
        self.settings.group = span;
        self
    }

    /// The host asks its agents so often for all that is outstanding: what a host does whose network loses messages.
    #[must_use]
    pub const fn with_reminders(mut self, every: Duration) -> Self {
        self.settings.remind = Some(every);
        self
    }

    /// The host keeps a snapshot each time that so many facts have been added; 0 for never.
    #[must_use]
    pub const fn with_snapshots(mut self, every: u64) -> Self {
        self.settings.snapshots = every;
        self
    }

    /// Replays the journal each time that the engine has been called so often and something was added, at the end, and
    /// after each crash, and compares: the same facts must lead to the same state, from nothing and through a snapshot. 0
    /// for never.
    #[must_use]
    pub const fn with_verification(mut self, every: u64) -> Self {
        self.settings.verify = every;
        self
    }

    /// A host that died is away for up to so long; 20 s if nothing is said.
    #[must_use]
    pub const fn with_downtime(mut self, most: Duration) -> Self {
        self.settings.downtime = most;
        self
    }

    /// The host dies once: when the journal holds so many facts, in the midst of an append if need be.
    #[must_use]
    pub const fn with_crash_after(mut self, facts: usize) -> Self {
        self.settings.cut = Some(facts);
        self.settings.crashes = true;
        self
    }

    /// Agents that break down by their models do so no more once faults have stopped.
    #[must_use]
    pub const fn with_breakdowns_until_quiet(mut self) -> Self {
        self.settings.breakdowns_stop = true;
        self
    }

    /// Goes on from these facts.
    #[must_use]
    pub fn with_journal(mut self, entries: Vec<Entry>) -> Self {
        self.journal = entries;
        self
    }

    /// Ends at this moment, finished or not. If nothing is said, it ends when all that was asked has ended, or when nothing
    /// has been decided for a day.
    #[must_use]
    pub const fn until(mut self, end: Time) -> Self {
        self.settings.until = Some(end);
        self
    }

    /// Everything must have ended by this moment, or that is a failure ([`SimError::Stuck`]).
    #[must_use]
    pub const fn must_end_by(mut self, moment: Time) -> Self {
        self.settings.must_end_by = Some(moment);
        self
    }

    /// Plays it.
    ///
    /// # Errors
    ///
    /// When an oracle says that something is wrong, the journal does not lead to the same state again, not everything has
    /// ended when it must, or the engine refuses an agent or a definition that was there from the start.
    pub fn run(self) -> Result<Report, SimError> {
        self.played().1
    }

    /// Plays it, and tells which faults have struck, however it ends.
    pub(super) fn played(self) -> (World, Result<Report, SimError>) {
        let mut world = self.world();
        let played = world.play();
        let report = played.map(|settled| Report::of(&mut world, settled));
        (world, report)
    }

    fn world(self) -> World {
        let (streams, verify_at) = (self.streams.len(), self.settings.verify);
        let mut disk = Disk::default();
        disk.begin_with(self.journal);
        let now = disk.history().last().map_or(Time::ZERO, |entry| entry.at);
        let mut world = World {
            seed: self.seed,
            settings: self.settings,
            config: self.config,
            now,
            queue: Queue::default(),
            chance: Chance::new(self.seed, self.faults),
            messages: 0,
            disk,
            host: None,
            stale: Vec::new(),
            before: None,
            wake: None,
            ahead: 0,
            horizon: now,
            workers: Vec::new(),
            by_agent: BTreeMap::new(),
            errands: Vec::new(),
            unanswered: 0,
            streams: self.streams,
            upcoming: core::iter::repeat_with(|| None).take(streams).collect(),
            works: IdMap::default(),
            services: self.services,
            answers: self.answers,
            operators: self.operators,
            fleet: self.fleet,
            oracles: self.oracles,
            record: Recorder::default(),
            calls: 0,
            crashes: 0,
            verified: 0,
            verify_at,
            verified_facts: 0,
            fenced: 0,
        };
        world.record.follow(world.disk.history());
        for model in self.agents {
            world.enrol(model);
        }
        for definition in self.definitions {
            world.ask(Command::define(definition), true);
        }
        world
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation")
            .field("seed", &self.seed)
            .field("agents", &self.agents.len())
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}
