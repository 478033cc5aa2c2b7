//! Scheduling of tasks to agents: queues, dispatch, retries, quotas, preemption and agent guards.
//!
//! [`Scheduler`] is usable alone; [`Engine`](crate::Engine) adds workflows to it. Both are driven in the same way: a call
//! takes one command and writes entries and effects to the caller's [`Outbox`], and [`next_wakeup`](Scheduler::next_wakeup)
//! returns the time of the next [`Command::Tick`]; a host needs no other timer.
//!
//! ```
//! use counterpoint::{Accepted, AgentId, AgentSpec, Command, Config, Effect, Outbox, Payload, Scheduler, TaskId, TaskSpec, Time};
//! use counterpoint::scheduler::TaskStatus;
//!
//! let mut scheduler = Scheduler::new(Config::default());
//! let mut outbox = Outbox::default();
//! let now = Time::ZERO;
//!
//! let agent = AgentSpec::new(AgentId::new(1)).with_skill("greet", 1);
//! let Accepted::Registered(worker) = scheduler.handle(now, Command::register(agent), &mut outbox)? else { unreachable!() };
//! let task = TaskSpec::new(TaskId::new(7), "greet").with_payload(Payload::of(&"world")?);
//! scheduler.handle(now, Command::submit(task), &mut outbox)?;
//!
//! // Durable first: append `outbox.entries()` to a journal. Then perform the effects.
//! let [Effect::Dispatch { attempt, to, .. }] = outbox.effects() else { unreachable!() };
//! assert_eq!(*to, worker);
//! let done = Command::complete(worker, *attempt, Payload::of(&"hello world")?);
//! outbox.clear();
//! scheduler.handle(now, done, &mut outbox)?;
//! assert_eq!(scheduler.task(TaskId::new(7)).map(|task| task.status()), Some(TaskStatus::Succeeded));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "access")]
mod access;
mod apply;
pub(crate) mod config;
mod contained;
mod decide;
mod effects;
mod group;
#[cfg(feature = "resilience")]
mod guards;
#[cfg(feature = "cluster")]
mod heads;
mod inconsistent;
mod index;
mod ix;
mod log;
mod machine;
mod preemption;
mod queue;
mod reader;
mod reroutings;
mod snapshot;
mod standing;
mod tasks;
mod timers;
#[cfg(not(feature = "resilience"))]
mod unguarded;
mod view;
mod waits;

pub use crate::base::clock::ClockLimits;
pub use crate::base::limits::{FamilyLimits, RetentionLimits, RunLimits, SizeLimits, TaskLimits, UnroutableLimits};
pub use crate::task::status::TaskStatus;
pub(crate) use config::Config;
pub use contained::{Callback, Quarantined};
pub use decide::{Admission, Recovery};
pub(crate) use decide::{Reuse, bounded, check_report, fits, named};
pub(crate) use group::{Answers, handle_group};
#[cfg(feature = "resilience")]
pub use guards::{Concurrency, Pressure, Scaling};
pub(crate) use inconsistent::InconsistentEvent;
pub(crate) use log::{Log, Tx};
pub(crate) use machine::Core;
pub use preemption::Preemption;
pub use queue::{Batch, Discipline, Quota};
pub use reader::Reader;
pub use snapshot::{AgentRecord, SchedulerSnapshot, TaskRecord, TaskStage};
pub use standing::{ClockJump, Standing};
pub use view::{AccountView, AgentView, Routability, TaskView};
pub use waits::TaskWait;

use crate::base::error::RestoreError;
use crate::base::id::Seq;
use crate::base::time::Time;
use crate::message::command::{Accepted, Command};
use crate::message::effect::Outbox;
use crate::message::event::Entry;
use crate::message::rejected::{Misuse, Rejected};
use core::fmt;
use core::ops::Deref;
#[cfg(not(feature = "resilience"))]
use unguarded as guards;

/// The scheduler without workflows: tasks and agents.
pub struct Scheduler {
    core: Core,
    log: Log,
    work: u64,
}

impl Scheduler {
    /// A scheduler without tasks and agents.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { core: Core::new(config), log: Log::default(), work: 0 }
    }

    /// Restores a scheduler from a snapshot, if there is one, and the entries after it. Call [`resume`](Self::resume)
    /// before any other method.
    ///
    /// # Errors
    ///
    /// When the snapshot contradicts itself, or the entries have a gap, decrease in time, or contain an event that the
    /// state does not allow.
    pub fn restore<'a>(
        config: Config,
        snapshot: Option<&SchedulerSnapshot>,
        entries: impl IntoIterator<Item = &'a Entry>,
    ) -> Result<Self, RestoreError> {
        let mut scheduler = match snapshot {
            None => Self::new(config),
            Some(snapshot) => Self {
                core: Core::from_snapshot(config, snapshot)?,
                log: Log::continue_after(snapshot.last, snapshot.at),
                work: 0,
            },
        };
        for entry in entries {
            scheduler.log.follow(entry)?;
            scheduler.core.replay(entry).map_err(|inconsistent| inconsistent.at(entry.seq))?;
        }
        scheduler.core.discard_opened();
        Ok(scheduler)
    }

    /// Continues after a restore: renews the lease of every agent, emits the events that a crash cut off from the
    /// journal's last call, and repeats every effect that a crash may have lost, with the same attempt ids, unless
    /// [`Recovery`] specifies otherwise. Entries and effects are appended to `out`.
    pub fn resume(&mut self, now: Time, out: &mut Outbox) {
        let clock = self.core.read_clock(now, &mut self.log);
        self.core.recover(self.log.now(), out);
        self.core.renew_leases(self.log.now());
        let work = self.core.config().limits().work_per_call;
        let mut tx = Tx::new(work, &mut self.log, out, clock);
        self.core.settle(&mut tx);
        self.work = tx.meter.spent();
    }

    /// Fires the timers that are due at `now`, then executes the command. Entries and effects are appended to `out`. A
    /// `now` before that of an earlier call counts as the earlier one, and one that is too far from it is [a jump of the
    /// clock](ClockLimits).
    ///
    /// # Errors
    ///
    /// When the command is rejected. It has then changed nothing; timers that were due have fired nevertheless.
    pub fn handle(&mut self, now: Time, mut command: Command, out: &mut Outbox) -> Result<Accepted, Rejected> {
        let clock = self.core.read_clock(now, &mut self.log);
        let work = self.core.config().limits().work_per_call;
        let mut tx = Tx::new(work, &mut self.log, out, clock);
        self.core.fire(&mut tx);
        command.make_canonical();
        let verdict = match command {
            Command::Agent(command) => {
                check_report(&self.core, &command).and_then(|()| self.core.agent(command, &mut tx))
            }
            Command::Task(command) => self.core.task(command, &mut tx),
            Command::Control(command) => self.core.control(command, &mut tx),
            Command::Run(_) | Command::Schedule(_) => Err(Rejected::Misuse(Misuse::NoWorkflows)),
            Command::Tick => Ok(Accepted::Done),
        };
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
    /// use counterpoint::{Command, Config, Outbox, Scheduler, TaskId, TaskSpec, Time};
    ///
    /// let (mut scheduler, mut outbox) = (Scheduler::new(Config::default()), Outbox::default());
    /// let mut commands = (1..=3).map(|id| Command::submit(TaskSpec::new(TaskId::new(id), "greet")));
    /// let answers = scheduler.handle_all(Time::ZERO, &mut commands, &mut outbox);
    /// assert!(answers.iter().all(Result::is_ok));
    /// assert_eq!((answers.len(), outbox.entries().len()), (3, 3));
    /// ```
    #[must_use]
    pub fn handle_all(
        &mut self,
        now: Time,
        commands: &mut impl Iterator<Item = Command>,
        out: &mut Outbox,
    ) -> Vec<Result<Accepted, Rejected>> {
        let most = self.core.config().limits().work_per_call;
        let Answers { all, work } = handle_group(most, commands, |command| (self.handle(now, command, out), self.work));
        self.work = work;
        all
    }

    /// The units of work of the last call, see [`Limits::work_per_call`](crate::Limits::work_per_call).
    #[must_use]
    pub const fn work(&self) -> u64 {
        self.work
    }

    /// The latest time at which the host must call the scheduler again, by the host's clock, with a `Tick` if it has no
    /// other command. Every call may change it. The reading of the last call, or an earlier one, means that the last call
    /// left work for the next one.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Time> {
        self.log.wakeup(self.core.next_wakeup(), &self.core.config().limits.clock)
    }

    /// The scheduler's time: that of the last call or entry.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.log.now()
    }

    /// The sequence number of the last entry.
    #[must_use]
    pub const fn last_seq(&self) -> Seq {
        self.log.last()
    }

    /// The whole state as data. Equal states give equal snapshots.
    #[must_use]
    pub fn snapshot(&self) -> SchedulerSnapshot {
        self.core.snapshot(&self.log)
    }

    /// Checks all invariants of the state. For tests and simulations: it visits every task and agent.
    ///
    /// # Errors
    ///
    /// A description of the first broken invariant. One is a bug of this crate.
    pub fn check(&self) -> Result<(), String> {
        self.core.check()?;
        self.core.check_settled()
    }
}

impl Deref for Scheduler {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        self.core.reader()
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler")
            .field("last", &self.log.last())
            .field("queued", &self.queued())
            .finish_non_exhaustive()
    }
}
