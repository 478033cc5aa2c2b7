//! The engine: tasks, agents and workflows behind one command enum.
//!
//! # The host's loop
//!
//! ```
//! use counterpoint::{AgentId, AgentSpec, Command, Config, Effect, Engine, Entry, Outbox, Payload, RunId, RunSpec, Time};
//! use counterpoint::message::RunPhase;
//! use counterpoint::definition::{Action, Definition, Expr, Link, Node};
//!
//! let greet = Definition::new("greet")
//!     .with_node(Node::new("find", Action::task("find")).with_input(Expr::Input))
//!     .with_node(Node::new("say", Action::task("say")).with_link(Link::success("find")).with_input(Expr::node("find")))
//!     .with_output(Expr::node("say"));
//! let worker = AgentSpec::new(AgentId::new(1)).with_skill("find", 1).with_skill("say", 1);
//! let run = RunSpec::new(RunId::from_key("first"), "greet").with_input(Payload::of(&"world")?);
//!
//! let mut engine = Engine::new(Config::default());
//! let mut outbox = Outbox::default();
//! let mut journal: Vec<Entry> = Vec::new();
//! let mut inbox = vec![Command::start(run.clone()), Command::register(worker), Command::define(greet)];
//!
//! while let Some(command) = inbox.pop() {                  // or `Command::Tick` when `next_wakeup` has come
//!     let now = Time::ZERO;                                // the host's clock
//!     let verdict = engine.handle(now, command, &mut outbox);
//!     outbox.drain_entries(&mut journal);                  // 1. append to the journal
//!     verdict?;                                            // 2. answer the caller
//!     let mut effects = Vec::new();
//!     outbox.drain_effects(&mut effects);
//!     for effect in effects {                              // 3. perform the effects
//!         if let Effect::Dispatch { attempt, to, task, .. } = effect {
//!             let output = format!("{} {}", task.kind, task.payload);
//!             inbox.push(Command::complete(to, attempt, Payload::of(&output)?));
//!         }
//!     }
//! }
//! assert_eq!(engine.run(run.id).map(|run| run.phase()), Some(RunPhase::Finished));
//!
//! // The same entries lead to the same state.
//! let restored = Engine::restore(Config::default(), None, &journal)?;
//! assert_eq!(restored.snapshot(), engine.snapshot());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "access")]
mod access;
mod accounts;
mod active;
mod again;
mod book;
mod catalog;
mod check;
mod commands;
mod decide;
mod delegate;
#[cfg(any(feature = "threads", feature = "async"))]
mod deployment;
mod drive;
mod family;
mod follower;
mod function;
mod list;
mod migrate;
mod operate;
mod query;
#[cfg(feature = "observe")]
mod recent;
mod runs;
mod schedules;
mod send;
mod snapshot;
mod spending;
mod sum;
mod versions;
mod view;
mod waits;

pub use catalog::DefinitionView;
pub use delegate::PartView;
pub use follower::Follower;
pub use function::CallView;
pub use list::{RunCursor, RunFilter, RunPage};
pub use schedules::{FiringCounts, ScheduleView};
pub use snapshot::EngineSnapshot;
pub use spending::{Balance, RunMetrics};
pub use view::{NodeView, PendingDecision, RunView};
pub use waits::{Awaited, RunStanding, Wait};

pub use crate::base::structure::Anomalies;

use crate::base::error::RestoreError;
use crate::base::id::{RunId, Seq};
use crate::base::time::Time;
use crate::definition::Definition;
use crate::message::command::{Accepted, Command};
use crate::message::effect::Outbox;
use crate::message::event::Entry;
use crate::message::rejected::Rejected;
use crate::message::run::{Migration, MigrationReport};
use crate::scheduler::{Answers, Config, Log, Reader, Tx, handle_group};
use crate::workflow::{NoAgents, check_against};
use core::fmt;
use core::ops::Deref;
use drive::Driver;

/// A deterministic state machine of tasks, agents and workflows that a host drives.
///
/// The host calls [`handle`](Self::handle), appends the entries in the [`Outbox`] to its journal, and then performs the
/// effects in it. If the append fails, the engine is ahead of its journal: drop it and [`restore`](Self::restore).
pub struct Engine {
    driver: Driver,
    log: Log,
    work: u64,
}

impl Engine {
    /// An engine without tasks, agents and definitions.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { driver: Driver::new(config), log: Log::default(), work: 0 }
    }

    /// Restores an engine from a snapshot, if there is one, and the entries after it. Call [`resume`](Self::resume)
    /// before any other method.
    ///
    /// # Errors
    ///
    /// When the snapshot contradicts itself, or the entries have a gap, decrease in time, contain an event that the
    /// state does not allow, or lead to an inconsistent state.
    pub fn restore<'a>(
        config: Config,
        snapshot: Option<&EngineSnapshot>,
        entries: impl IntoIterator<Item = &'a Entry>,
    ) -> Result<Self, RestoreError> {
        let mut engine = match snapshot {
            None => Self::new(config),
            Some(snapshot) => Self::from_snapshot(config, snapshot)?,
        };
        let before = engine.last_seq();
        for entry in entries {
            engine.log.follow(entry)?;
            engine.driver.replay(entry).map_err(|inconsistent| inconsistent.at(entry.seq))?;
        }
        let seq = engine.last_seq();
        if seq > before {
            engine.driver.check_books().map_err(|reason| RestoreError::Unsound { seq, reason })?;
        }
        engine.driver.core.discard_opened();
        engine.driver.wake_all();
        Ok(engine)
    }

    /// Continues after a restore: renews the lease of every agent, emits the events that a crash cut off from the
    /// journal's last call, and repeats every effect that a crash may have lost, with the same attempt ids, unless
    /// [`Recovery`](crate::scheduler::Recovery) specifies otherwise. Entries and effects are appended to `out`. However
    /// long the engine was down, `now` becomes its time, unless a [jump of the clock](crate::scheduler::ClockLimits) was
    /// unconfirmed.
    pub fn resume(&mut self, now: Time, out: &mut Outbox) {
        let clock = self.driver.core.read_clock(now, &mut self.log);
        self.driver.recover(self.log.now(), out);
        self.driver.renew_leases(self.log.now());
        let work = self.driver.core.config().limits().work_per_call;
        let mut tx = Tx::new(work, &mut self.log, out, clock);
        self.driver.resume(&mut tx);
        self.work = tx.meter.spent();
    }

    /// Fires the timers that are due at `now`, then executes the command. Entries and effects are appended to `out`. A
    /// `now` before that of an earlier call counts as the earlier one, and one that is too far from it is [a jump of the
    /// clock](crate::scheduler::ClockLimits).
    ///
    /// # Errors
    ///
    /// When the command is rejected. It has then changed nothing; timers that were due have fired nevertheless.
    pub fn handle(&mut self, now: Time, command: Command, out: &mut Outbox) -> Result<Accepted, Rejected> {
        let clock = self.driver.core.read_clock(now, &mut self.log);
        let work = self.driver.core.config().limits().work_per_call;
        let mut tx = Tx::new(work, &mut self.log, out, clock);
        let verdict = self.driver.handle(command, &mut tx);
        self.work = tx.meter.spent();
        verdict
    }

    /// Handles a group of commands in one call, and returns their answers in the order of the commands. Answers, entries and
    /// effects are those of [`handle`](Self::handle) with each command in turn at this time.
    ///
    /// The call takes no further command once those before it have used the
    /// [work of a call](crate::Limits::work_per_call), but at least one. The others stay in `commands` for the next call.
    ///
    /// ```
    /// use counterpoint::{AgentId, AgentSpec, Command, Config, Engine, Outbox, TaskId, TaskSpec, Time};
    ///
    /// let (mut engine, mut outbox) = (Engine::new(Config::default()), Outbox::default());
    /// let agent = Command::register(AgentSpec::new(AgentId::new(1)).with_skill("greet", 1));
    /// let task = Command::submit(TaskSpec::new(TaskId::new(1), "greet"));
    /// let mut commands = vec![agent, task.clone(), task].into_iter();
    /// let mut answers = Vec::new();
    /// while commands.len() > 0 {
    ///     answers.extend(engine.handle_all(Time::ZERO, &mut commands, &mut outbox));
    /// }
    /// assert!(answers.iter().all(Result::is_ok));
    /// assert_eq!(answers[2], Ok(counterpoint::Accepted::Repeated));
    /// ```
    #[must_use]
    pub fn handle_all(
        &mut self,
        now: Time,
        commands: &mut impl Iterator<Item = Command>,
        out: &mut Outbox,
    ) -> Vec<Result<Accepted, Rejected>> {
        let most = self.driver.core.config().limits().work_per_call;
        let Answers { all, work } = handle_group(most, commands, |command| (self.handle(now, command, out), self.work));
        self.work = work;
        all
    }

    /// The units of work of the last call, see [`Limits::work_per_call`](crate::Limits::work_per_call).
    #[must_use]
    pub const fn work(&self) -> u64 {
        self.work
    }

    /// The latest time at which the host must call the engine again, by the host's clock, with a `Tick` if it has no
    /// other command. Every call may change it. The reading of the last call, or an earlier one, means that the last call
    /// left work for the next one.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Time> {
        self.log.wakeup(self.driver.next_wakeup(self.log.at()), &self.driver.core.config().limits().clock)
    }

    /// The engine's time: that of the last call or entry. It is the reading of the host's clock in that call, unless
    /// the clock [has jumped](crate::scheduler::ClockLimits) or gone back.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.log.now()
    }

    /// The run with this id; none if it is unknown or was forgotten.
    #[must_use]
    pub fn run(&self, id: RunId) -> Option<RunView<'_>> {
        self.driver.view(id, self.log.now())
    }

    /// All known runs, child runs included, in the order of their indexes.
    pub fn runs(&self) -> impl Iterator<Item = RunView<'_>> {
        self.driver.views(self.log.now())
    }

    /// A page of up to `most` runs that pass the filter, the oldest first, after those of an earlier page; a `most` of 0
    /// counts as one. A filter with workflow and business key visits only the runs with that key, any other one every
    /// run until the page is full.
    #[must_use]
    pub fn find_runs(&self, filter: &RunFilter, after: Option<RunCursor>, most: usize) -> RunPage<'_> {
        self.driver.find_runs(filter, after, most, self.log.now())
    }

    /// The same as [`find_runs`](Self::find_runs), the latest runs first: a page begins before the cursor. Of the runs that pass
    /// the filter, those for which `passes` holds are listed. It visits at most 10,000 runs, so a page can be short, or empty, and
    /// have a cursor for the next one.
    ///
    /// ```
    /// use counterpoint::definition::Definition;
    /// use counterpoint::engine::RunFilter;
    /// use counterpoint::{Command, Config, Engine, Outbox, RunId, RunSpec, Time};
    ///
    /// let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
    /// engine.handle(Time::ZERO, Command::define(Definition::new("order")), &mut out)?;
    /// for id in 1..=3 {
    ///     engine.handle(Time::ZERO, Command::start(RunSpec::new(RunId::new(id), "order")), &mut out)?;
    /// }
    /// let page = |before| {
    ///     let page = engine.latest_runs(&RunFilter::default(), before, 2, |run| run.outcome().is_some());
    ///     (page.runs.iter().map(|run| run.id().get()).collect::<Vec<_>>(), page.next)
    /// };
    /// let (first, next) = page(None);
    /// assert_eq!((first, page(next)), (vec![3, 2], (vec![1], None)));
    /// # Ok::<(), counterpoint::Rejected>(())
    /// ```
    #[cfg(feature = "observe")]
    #[must_use]
    pub fn latest_runs<'a>(
        &'a self,
        filter: &RunFilter,
        before: Option<RunCursor>,
        most: usize,
        passes: impl FnMut(&RunView<'a>) -> bool,
    ) -> RunPage<'a> {
        list::latest_runs(&self.driver, (filter, passes), before, most, self.log.now())
    }

    /// All definitions that runs can be started from or that known runs use, by name, version and hash. Visits all
    /// runs.
    #[must_use]
    pub fn definitions(&self) -> Vec<DefinitionView<'_>> {
        self.driver.book.definitions()
    }

    /// A dry run of a migration: which nodes of the run continue, which are dropped, which are new, and what prevents
    /// the migration.
    ///
    /// # Errors
    ///
    /// When the run or the definition is unknown, or the run is not in its forward phase.
    pub fn migration(&self, run: RunId, migration: &Migration) -> Result<MigrationReport, Rejected> {
        self.driver.migration(run, migration)
    }

    /// Checks that at least one registered agent meets the needs of each task of a definition, as
    /// [`check_against`] does.
    ///
    /// # Errors
    ///
    /// The tasks that none of the agents can perform.
    pub fn check_agents(&self, definition: &Definition) -> Result<(), NoAgents> {
        check_against(definition, self.agents().map(|agent| agent.spec()), self.skills())
    }

    /// The sequence number of the last entry.
    #[must_use]
    pub const fn last_seq(&self) -> Seq {
        self.log.last()
    }

    /// The time of the last entry.
    #[cfg(any(feature = "threads", feature = "async"))]
    pub(crate) const fn at(&self) -> Time {
        self.log.at()
    }

    /// The whole state as data. Equal states give equal snapshots.
    #[must_use]
    pub fn snapshot(&self) -> EngineSnapshot {
        self.driver.snapshot(&self.log)
    }

    /// Checks all invariants of the state. For tests and simulations: it visits every task, agent and run.
    ///
    /// # Errors
    ///
    /// A description of the first broken invariant. One is a bug of this crate.
    pub fn check(&self) -> Result<(), String> {
        self.driver.check()
    }
}

impl Deref for Engine {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        self.driver.core.reader()
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("last", &self.log.last())
            .field("queued", &self.queued())
            .field("runs", &self.driver.book.active.runs())
            .finish_non_exhaustive()
    }
}
