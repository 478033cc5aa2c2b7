//! Schedules: runs that the engine starts at times that follow from a rule.
//!
//! A [`ScheduleSpec`] names a workflow, its input, and a [`Timing`]: cron expressions, calendars and intervals, in a time zone, with
//! exclusions. The engine keeps schedules as it keeps tasks and runs, as the fold of events
//! ([`ScheduleEvent`](crate::message::ScheduleEvent)): each firing is an event, and the id of its run follows from the schedule
//! and the nominal time, so a crash neither skips a firing nor repeats it. Operators create, pause, trigger and backfill with
//! [`ScheduleCommand`](crate::ScheduleCommand); [`Engine::schedule`](crate::Engine::schedule) shows the state with the next
//! times.
//!
//! ```
//! use counterpoint::schedule::{Overlap, ScheduleSpec, Timing};
//! use counterpoint::definition::{Action, Definition, Node};
//! use counterpoint::{Command, Config, Engine, Event, Outbox, ScheduleCommand, Time};
//!
//! let mut engine = Engine::new(Config::default());
//! let mut outbox = Outbox::default();
//! let report = Definition::new("report").with_node(Node::new("write", Action::task("write")));
//! let nightly = ScheduleSpec::new("nightly", "report", Timing::cron("0 2 * * *")).with_overlap(Overlap::BufferOne);
//! let evening = Time::from_secs(1_774_728_000); // 2026-03-28T20:00:00Z
//! engine.handle(evening, Command::define(report), &mut outbox)?;
//! engine.handle(evening, ScheduleCommand::create(nightly).into(), &mut outbox)?;
//! let at = engine.next_wakeup().expect("the schedule fires");
//! assert_eq!(at.to_string(), "2026-03-29T02:00:00Z");
//! engine.handle(at, Command::Tick, &mut outbox)?;
//! assert_eq!(engine.runs().count(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod civil;
mod fault;
mod field;
mod firing;
mod pattern;
mod plan;
mod read;
mod rule;
mod search;
mod spec;
mod zone;

pub use fault::ScheduleFault;
pub use firing::{Firing, Occasion};
pub use plan::Times;
pub(crate) use plan::{FIRST_STEPS, Plan, STEPS};
pub use rule::{Calendar, Rule, Timing};
pub(crate) use search::{Found, Steps};
pub(crate) use spec::MOST_WAITING;
pub use spec::{Overlap, SchedulePolicy, ScheduleSpec};
