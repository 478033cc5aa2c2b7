//! Tasks and agents: who does what, when, and what follows when it goes wrong.
//!
//! [`Scheduler`] is usable alone; [`Engine`](crate::Engine) adds workflows to it. Both are driven in the same way: one
//! command in, facts and effects out into the caller's [`Outbox`], and [`next_wakeup`](Scheduler::next_wakeup) for the only
//! timer that a host needs.
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
//! let Accepted::Registered(life) = scheduler.handle(now, Command::register(agent), &mut outbox)? else { unreachable!() };
//! let task = TaskSpec::new(TaskId::new(7), "greet").with_payload(Payload::of(&"world")?);
//! scheduler.handle(now, Command::submit(task), &mut outbox)?;
//!
//! // Durable first: append `outbox.entries()` to a journal. Then perform the effects.
//! let [Effect::Dispatch { attempt, to, .. }] = outbox.effects() else { unreachable!() };
//! assert_eq!(*to, life);
//! let done = Command::complete(life, *attempt, Payload::of(&"hello world")?);
//! outbox.clear();
//! scheduler.handle(now, done, &mut outbox)?;
//! assert_eq!(scheduler.task(TaskId::new(7)).map(|task| task.status()), Some(TaskStatus::Succeeded));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "access")]
mod access;
mod apply;
mod config;
mod decide;
mod effects;
mod guards;
mod inconsistent;
mod index;
mod ix;
mod log;
mod machine;
mod preemption;
mod queue;
mod reader;
mod snapshot;
mod standing;
mod tasks;
mod timers;
mod view;
mod waits;

pub use crate::task::TaskStatus;
pub use config::Config;
pub use decide::{Admission, Recovery};
pub(crate) use decide::{fits, named};
pub use guards::{Concurrency, Pressure, Scaling};
pub(crate) use inconsistent::InconsistentEvent;
pub(crate) use log::{Log, Tx};
pub(crate) use machine::Core;
pub use preemption::Preemption;
pub use queue::{Batch, Discipline, Quota};
pub use reader::Reader;
pub use snapshot::{AccountRecord, AgentRecord, GateRecord, SchedulerSnapshot, TaskRecord, TaskStage};
pub use standing::Standing;
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

/// The scheduler on its own: tasks and agents, no workflows.
pub struct Scheduler {
    core: Core,
    log: Log,
}

impl Scheduler {
    /// A scheduler with nothing to do.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { core: Core::new(config), log: Log::default() }
    }

    /// The scheduler that these facts lead to, from a snapshot or from nothing. Call [`resume`](Self::resume) before
    /// anything else.
    ///
    /// # Errors
    ///
    /// When the snapshot contradicts itself, or the entries have a gap, go back in time, or do not follow from each other.
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
            },
        };
        for entry in entries {
            scheduler.log.follow(entry)?;
            scheduler.core.replay(entry).map_err(|inconsistent| inconsistent.at(entry.seq))?;
        }
        Ok(scheduler)
    }

    /// After a restore: gives every agent's lease a new start, finishes what the journal's last call had begun, and asks
    /// again for every effect that a crash may have lost, with the same attempt ids; or as [`Recovery`] says. What it leaves
    /// in `out` comes after what is there already.
    pub fn resume(&mut self, now: Time, out: &mut Outbox) {
        let now = self.log.clamp(now);
        self.core.recover(now, out);
        self.core.renew_leases(now);
        let mut tx = Tx::new(now, &mut self.log, out);
        self.core.settle(&mut tx);
    }

    /// Fires the timers that are due at `now`, then obeys the command. What it leaves in `out` comes after what is there
    /// already. A time before the last one counts as the last one.
    ///
    /// # Errors
    ///
    /// When the command is refused. Then nothing of it happened; timers that were due have fired all the same.
    pub fn handle(&mut self, now: Time, command: Command, out: &mut Outbox) -> Result<Accepted, Rejected> {
        let now = self.log.clamp(now);
        let mut tx = Tx::new(now, &mut self.log, out);
        self.core.fire(&mut tx);
        match command {
            Command::Agent(command) => self.core.agent(command, &mut tx),
            Command::Task(command) => self.core.task(command, &mut tx),
            Command::Control(command) => self.core.control(command, &mut tx),
            Command::Run(_) => Err(Rejected::Misuse(Misuse::NoWorkflows)),
            Command::Tick => Ok(Accepted::Done),
        }
    }

    /// When the scheduler next wants to be called, at the latest; a `Tick` will do. May change after every call.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Time> {
        self.core.next_wakeup()
    }

    /// The number of the last fact.
    #[must_use]
    pub const fn last_seq(&self) -> Seq {
        self.log.last()
    }

    /// The whole state as data, in an order that depends on nothing but the state.
    #[must_use]
    pub fn snapshot(&self) -> SchedulerSnapshot {
        self.core.snapshot(&self.log)
    }

    /// Checks every rule that holds between the parts of the state. For tests and simulators: it looks at everything.
    ///
    /// # Errors
    ///
    /// A sentence that says which rule is broken, which is a bug of this crate.
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
