//! A schedule in virtual time: a report at 02:30 in Berlin, over the night in which the clocks change, with a crash, a pause and a
//! backfill. Prints the events of the schedule.
//!
//! ```text
//! cargo run --features observe,time-zones --example nightly
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

use counterpoint::definition::{Action, Definition, Expr, Node};
use counterpoint::schedule::{Overlap, ScheduleSpec, Timing};
use counterpoint::{
    AgentId, AgentSpec, Command, Config, Effect, Engine, Entry, Event, Outbox, Payload, ScheduleCommand, Time,
};
use std::error::Error;
use std::time::Duration;

/// An engine with an agent that answers at once, and a journal.
struct Host {
    engine: Engine,
    journal: Vec<Entry>,
    now: Time,
}

impl Host {
    fn call(&mut self, command: impl Into<Command>) -> Result<(), Box<dyn Error>> {
        let mut commands = vec![command.into()];
        while let Some(command) = commands.pop() {
            let mut out = Outbox::default();
            let verdict = self.engine.handle(self.now, command, &mut out);
            for entry in out.entries() {
                if let Event::Schedule { .. } = &entry.event {
                    println!("{} {}", entry.at, self.engine.describe(entry));
                }
            }
            out.drain_entries(&mut self.journal);
            verdict?;
            let mut effects = Vec::new();
            out.drain_effects(&mut effects);
            for effect in effects {
                if let Effect::Dispatch { attempt, to, .. } = effect {
                    commands.push(Command::complete(to, attempt, Payload::NULL));
                }
            }
        }
        Ok(())
    }

    /// Calls the engine whenever it asks for it, and at least every six hours, up to a time.
    fn until(&mut self, end: Time) -> Result<(), Box<dyn Error>> {
        while self.now < end {
            let latest = (self.now + Duration::from_secs(6 * 3_600)).min(end);
            let next = self.engine.next_wakeup().unwrap_or(latest).min(latest);
            self.now = self.now.max(next);
            self.call(Command::Tick)?;
        }
        Ok(())
    }
}

fn day(day: u64) -> Time {
    // 2026-03-27T12:00:00Z
    Time::from_secs(1_774_612_800 + day * 86_400)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut host = Host { engine: Engine::new(Config::default()), journal: Vec::new(), now: day(0) };
    let write = Node::new("write", Action::task("write")).with_input(Expr::Input);
    host.call(Command::define(Definition::new("report").with_node(write)))?;
    host.call(Command::register(AgentSpec::new(AgentId::new(1)).with_skill("write", 1)))?;

    let timing = Timing::cron("30 2 * * *").in_zone("Europe/Berlin");
    let nightly = ScheduleSpec::new("nightly", "report", timing).with_nominal_time_as("night");
    host.call(ScheduleCommand::create(nightly))?;
    let times = host.engine.schedule("nightly").map(|view| view.next_times(3)).unwrap_or_default();
    println!("next: {times:?}");

    // 02:30 does not exist on the second night.
    host.until(day(3))?;
    host.engine = Engine::restore(Config::default(), None, &host.journal)?;
    host.engine.resume(host.now, &mut Outbox::default());
    host.call(ScheduleCommand::Pause { schedule: "nightly".into(), note: "the source is rebuilt".into() })?;
    host.until(day(5))?;
    host.call(ScheduleCommand::Resume { schedule: "nightly".into(), note: "it is back".into() })?;
    let overlap = Some(Overlap::AllowAll);
    host.call(ScheduleCommand::Backfill { schedule: "nightly".into(), from: day(0), to: day(5), overlap })?;
    host.until(day(6))?;
    Ok(())
}
