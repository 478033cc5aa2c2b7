//! The setup of a simulation.

use super::SimError;
use super::agent::AgentModel;
use super::callers::Callers;
use super::client::Clients;
use super::disk::Disk;
use super::distribution::Distribution;
use super::fault::{Chance, Faults};
use super::fleet::Fleet;
use super::host::{Audit, Machine};
use super::job::Job;
use super::oracle::Oracle;
use super::record::Recorder;
use super::report::Report;
use super::timeline::Timeline;
use super::worker::Crew;
use super::world::{Meddler, Operator, World};
use crate::access::{Policy, Principal, Token};
use crate::base::id::AgentId;
use crate::base::name::Name;
use crate::base::payload::Payload;
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

/// An action of an [operator](Simulation::with_operator).
#[derive(Debug, Clone)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "operations are few, and most of them are commands")]
pub enum Operation {
    /// Sends a command to the host, repeatedly until it is answered.
    Send(Command),
    /// Adds an agent.
    Join(Box<AgentModel>),
    /// Drains an agent and removes it.
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
    /// The host crashes when the journal contains this number of entries.
    pub(super) cut: Option<usize>,
    /// Whether the host can crash: clients may then have to repeat requests.
    pub(super) crashes: bool,
    /// Whether coverage is recorded, a follower takes the snapshots, and journals are read from their bytes.
    pub(super) audited: bool,
    /// Whether the decisions of a restored engine are compared with those of the live one.
    pub(super) twins: bool,
}

/// A host, its engine, its agents and its load, in virtual time.
///
/// The result is determined by the seed and the settings: two runs of one simulation have the same journal, byte for
/// byte. Random draws are tied to their purpose: a task takes the same time with more agents or another strategy, so
/// the difference between two simulations is the effect of the changed settings and not of other draws. (The last digit
/// of a logarithm may differ between platforms, and with it a drawn time.)
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
    meddler: Option<Meddler>,
    callers: Option<Callers>,
    fleet: Option<Fleet>,
    oracles: Vec<Box<dyn Oracle>>,
    faults: Faults,
    settings: Settings,
    journal: Vec<Entry>,
}

impl Simulation {
    /// A simulation without agents and without load.
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
            meddler: None,
            callers: None,
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
                audited: false,
                twins: false,
            },
            journal: Vec::new(),
        }
    }

    /// Sets the configuration of the engine: strategy, discipline, limits, guards. Called for each start of a host. The host
    /// calls its engine often enough that only faults make its clock [jump](crate::scheduler::ClockLimits).
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

    /// Adds a workflow definition.
    #[must_use]
    pub fn with_definition(mut self, definition: impl Into<Arc<Definition>>) -> Self {
        self.definitions.push(definition.into());
        self
    }

    /// Adds load in order of time: a trace, or jobs made from [`Arrivals`](super::Arrivals). A job with an earlier time
    /// than its predecessor arrives together with it.
    #[must_use]
    pub fn with_jobs<J>(mut self, jobs: J) -> Self
    where
        J: IntoIterator<Item = Job>,
        J::IntoIter: 'static,
    {
        self.streams.push(Box::new(jobs.into_iter()));
        self
    }

    /// Sets the time of attempts at tasks of this kind at speed 1, unless a job or the model of an agent overrides it.
    /// The default is the task's estimate, or a second without one.
    #[must_use]
    pub fn with_service(mut self, kind: impl Into<Name>, law: Distribution) -> Self {
        self.services.insert(kind.into(), law);
        self
    }

    /// Sets the answers of agents: a function, or the [`Steps`](crate::workflow::Steps) of the real agents. Called at
    /// the end of an attempt. By default every attempt succeeds with null.
    #[must_use]
    pub fn with_answers(mut self, answers: impl Agent) -> Self {
        self.answers = Arc::new(answers);
        self
    }

    /// Adds an operator that examines the engine at this interval of virtual time and acts on it: a person, an
    /// autoscaler.
    #[must_use]
    pub fn with_operator(
        mut self,
        every: Duration,
        operator: impl FnMut(&Engine, Time) -> Vec<Operation> + 'static,
    ) -> Self {
        self.operators.push((every, Box::new(operator)));
        self
    }

    /// Adds an operator that acts whenever [`Fault::OperatorMeddles`](super::Fault::OperatorMeddles) strikes in a round of
    /// the first operator.
    pub(super) fn with_meddler(mut self, meddler: Meddler) -> Self {
        self.meddler = Some(meddler);
        self
    }

    /// Records coverage, takes snapshots by a follower, and reads journals from their bytes. With `twins`, the decisions
    /// of restored engines are compared with those of the live one.
    pub(super) const fn with_audits(mut self, twins: bool) -> Self {
        (self.settings.audited, self.settings.twins) = (true, twins);
        self
    }

    /// Puts access rules in front of the engine: requests of [callers](super::Job::by) that the policy does not grant are
    /// denied. A rule requires that no granted command of a confined caller names tasks or runs of other tenants.
    ///
    /// ```
    /// use counterpoint::access::{Policy, Principal, Role, Token};
    /// use counterpoint::sim::{Job, Simulation};
    /// use counterpoint::{TaskId, TaskSpec, Time};
    ///
    /// let ada = Principal::new("ada").with_role(Role::Submitter).with_tenant("acme");
    /// let task = |n: u64, tenant: &str| TaskSpec::new(TaskId::new(n), "work").with_tenant(tenant);
    /// let job = |n, tenant| Job::task(Time::ZERO, task(n, tenant)).by(Token::new("s3cret"));
    /// let report = Simulation::new(1)
    ///     .with_callers(Policy::standard(), [(Token::new("s3cret"), ada)])
    ///     .with_jobs([job(1, "acme"), job(2, "other")])
    ///     .run()?;
    /// assert_eq!(report.tasks.len(), 1, "the other one is denied");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_callers(mut self, policy: Policy, callers: impl IntoIterator<Item = (Token, Principal)>) -> Self {
        self.callers = Some(Callers::new(policy, callers));
        self
    }

    /// Makes the host follow the scheduler's advice on the number of agents ([`Effect::Scale`](crate::Effect::Scale),
    /// enabled by [`Config::with_scaling`](crate::Config::with_scaling)). By default the advice is ignored.
    ///
    /// `model` returns the agents to start, numbered from 1, each with an id of its own; each joins `startup` after the
    /// advice. To scale down, agents that have not joined are cancelled first, then the newest are drained.
    /// [`Report::agents`](super::Report::agents) contains the online time of each, which is the cost of a policy;
    /// [`Report::waits`](super::Report::waits) contains its benefit.
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

    /// Adds an oracle, which checks every step and ends the simulation on a violation.
    #[must_use]
    pub fn with_oracle(mut self, oracle: impl Oracle + 'static) -> Self {
        self.oracles.push(Box::new(oracle));
        self
    }

    /// Sets the faults.
    #[must_use]
    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Sets the delay of each message; zero by default. Messages overtake each other according to their draws.
    #[must_use]
    pub fn with_network(mut self, delay: Distribution) -> Self {
        self.settings.network = Some(delay);
        self
    }

    /// Makes the host batch entries for this time before it appends them at once. By default it appends after each
    /// call.
    #[must_use]
    pub const fn with_group_commit(mut self, span: Duration) -> Self {
        self.settings.group = span;
        self
    }

    /// Makes the host repeat all outstanding effects at this interval, as needed with a network that loses messages.
    #[must_use]
    pub const fn with_reminders(mut self, every: Duration) -> Self {
        self.settings.remind = Some(every);
        self
    }

    /// Makes the host store a snapshot after this number of new events; 0 for never.
    #[must_use]
    pub const fn with_snapshots(mut self, every: u64) -> Self {
        self.settings.snapshots = every;
        self
    }

    /// Replays the journal after this number of calls that produced entries, at the end, and after each crash, and
    /// compares the states: equal events must lead to equal states, from an empty engine and through a snapshot. 0 for
    /// never.
    #[must_use]
    pub const fn with_verification(mut self, every: u64) -> Self {
        self.settings.verify = every;
        self
    }

    /// Sets the maximum downtime of a crashed host; 20 s by default.
    #[must_use]
    pub const fn with_downtime(mut self, most: Duration) -> Self {
        self.settings.downtime = most;
        self
    }

    /// Crashes the host once, when the journal contains this number of entries, during an append if necessary.
    #[must_use]
    pub const fn with_crash_after(mut self, facts: usize) -> Self {
        self.settings.cut = Some(facts);
        self.settings.crashes = true;
        self
    }

    /// Stops breakdowns of agents once faults have stopped.
    #[must_use]
    pub const fn with_breakdowns_until_quiet(mut self) -> Self {
        self.settings.breakdowns_stop = true;
        self
    }

    /// Continues from these entries.
    #[must_use]
    pub fn with_journal(mut self, entries: Vec<Entry>) -> Self {
        self.journal = entries;
        self
    }

    /// Ends at this time, settled or not. By default the simulation ends when all work has ended, or when no event was
    /// recorded for a day.
    #[must_use]
    pub const fn until(mut self, end: Time) -> Self {
        self.settings.until = Some(end);
        self
    }

    /// Fails with [`SimError::Stuck`] unless all work has ended by this time.
    #[must_use]
    pub const fn must_end_by(mut self, moment: Time) -> Self {
        self.settings.must_end_by = Some(moment);
        self
    }

    /// Runs the simulation.
    ///
    /// # Errors
    ///
    /// When an oracle reports a violation, the journal does not lead to the same state again, work has not ended by the
    /// required time, or the engine rejects an initial agent or definition.
    pub fn run(self) -> Result<Report, SimError> {
        self.played().1
    }

    /// Runs the simulation, and returns the faults that struck, whatever the result.
    pub(super) fn played(self) -> (World, Result<Report, SimError>) {
        let mut world = self.world();
        let played = world.play();
        let report = played.map(|settled| Report::of(&mut world, settled));
        (world, report)
    }

    fn world(self) -> World {
        let mut disk = Disk::default();
        disk.begin_with(self.journal);
        disk.through_bytes(self.settings.audited);
        let now = disk.history().last().map_or(Time::ZERO, |entry| entry.at);
        let mut world = World {
            time: Timeline::new(now, Chance::new(self.seed, self.faults), &self.settings),
            machine: Machine::new(self.config, disk.history()),
            disk,
            crew: Crew::new(self.services, self.answers),
            clients: Clients::new(self.streams),
            operators: self.operators,
            meddler: self.meddler,
            callers: self.callers,
            fleet: self.fleet,
            audit: Audit::new(self.oracles, self.settings.verify),
            record: Recorder::default(),
            settings: self.settings,
        };
        world.record.follow(world.disk.history());
        for model in self.agents {
            world.crew.enrol(model);
        }
        for definition in self.definitions {
            world.clients.ask(&mut world.time, Command::define(definition), true);
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
