//! A fleet of agents that grows and shrinks with its load, in virtual time: the scheduler emits scaling advice, and the
//! host of this example follows it.
//!
//! The load of a day is compressed into an hour; at noon, tasks arrive eight times as often as at night. A new agent
//! takes half a minute to start. An agent that is no longer needed finishes its attempts and deregisters.
//!
//! ```text
//! cargo run --release --example elastic
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

use counterpoint::resilience::capacity::forecast::{Forecaster, Smoothing};
use counterpoint::resilience::capacity::scaling::{Config as Aims, Rules};
use counterpoint::scheduler::Scaling;
use counterpoint::task::AgentStatus;
use counterpoint::{
    AgentCommand, AgentId, AgentSpec, AttemptId, Command, Config, Effect, Incarnation, Outbox, Payload, Random,
    Scheduler, TaskId, TaskSpec, Time,
};
use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

const HOUR: u64 = 3_600;
const STARTUP: Duration = Duration::from_secs(30);

enum Step {
    Arrive,
    Join,
    Done(Incarnation, AttemptId),
    Report,
}

struct Host {
    scheduler: Scheduler,
    steps: BTreeMap<(Time, u64), Step>,
    serial: u64,
    agents: u64,
    starting: u32,
    now: Time,
    submitted: BTreeMap<TaskId, Time>,
    waits: Vec<Duration>,
    busy: Duration,
    offered: Duration,
    most: usize,
}

impl Host {
    fn at(&mut self, when: Time, step: Step) {
        self.serial += 1;
        self.steps.insert((when, self.serial), step);
    }

    fn random(&self) -> Random {
        Random::new(1, self.serial)
    }

    fn online(&self) -> impl Iterator<Item = AgentId> {
        self.scheduler.agents().filter(|agent| agent.status() == AgentStatus::Online).map(|agent| agent.spec().id)
    }

    /// Obeys, then does what the scheduler asks for.
    fn say(&mut self, command: Command) -> Result<(), Box<dyn Error>> {
        let mut out = Outbox::default();
        self.scheduler.handle(self.now, command, &mut out)?;
        for effect in out.effects() {
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "this load has no batches, preemptions or cancellations"
            )]
            match effect {
                Effect::Dispatch { attempt, to, task, .. } => {
                    self.waits.extend(self.submitted.remove(&task.id).map(|then| self.now.since(then)));
                    let took = self.random().between(Duration::from_millis(500), Duration::from_millis(1_500));
                    self.busy += took;
                    self.at(self.now + took, Step::Done(*to, *attempt));
                }
                Effect::Scale { advised, .. } => self.scale(*advised)?,
                other => return Err(format!("unexpected command {other:?}").into()),
            }
        }
        Ok(())
    }

    fn scale(&mut self, advised: u32) -> Result<(), Box<dyn Error>> {
        let there: Vec<AgentId> = self.online().collect();
        let will_be = u32::try_from(there.len())? + self.starting;
        for _ in will_be..advised {
            self.starting += 1;
            self.at(self.now + STARTUP, Step::Join);
        }
        // The newest leave first.
        let surplus = usize::try_from(will_be.saturating_sub(advised))?;
        for agent in there.into_iter().rev().take(surplus) {
            self.say(AgentCommand::Drain { agent }.into())?;
        }
        Ok(())
    }

    fn join(&mut self) -> Result<(), Box<dyn Error>> {
        self.agents += 1;
        let agent = AgentSpec::new(AgentId::new(self.agents)).with_skill("work", 1);
        self.say(Command::register(agent))
    }

    fn step(&mut self, step: Step) -> Result<(), Box<dyn Error>> {
        match step {
            Step::Arrive => {
                let day = self.now.as_secs_f64() / HOUR as f64 * std::f64::consts::TAU;
                let rate = 4.5 - 3.5 * day.cos();
                let gap = -(1.0 - self.random().unit()).ln() / (rate * 4.0);
                self.at(self.now + Duration::from_secs_f64(gap), Step::Arrive);
                let id = TaskId::new(self.serial);
                self.submitted.insert(id, self.now);
                self.say(Command::submit(TaskSpec::new(id, "work")))
            }
            Step::Join => {
                self.starting = self.starting.saturating_sub(1);
                self.join()
            }
            Step::Done(by, attempt) => {
                self.say(Command::complete(by, attempt, Payload::NULL))?;
                let idle = |agent: counterpoint::scheduler::AgentView<'_>| {
                    agent.status() == AgentStatus::Draining && agent.in_flight() == 0
                };
                if self.scheduler.agent(by.agent()).is_some_and(idle) {
                    self.say(AgentCommand::Deregister { agent: by.agent() }.into())?;
                }
                Ok(())
            }
            Step::Report => self.report(),
        }
    }

    fn report(&mut self) -> Result<(), Box<dyn Error>> {
        let online = self.online().count();
        self.most = self.most.max(online);
        self.offered += Duration::from_secs(60) * u32::try_from(online)?;
        self.waits.sort_unstable();
        let slow = self.waits.get(self.waits.len() * 99 / 100).copied().unwrap_or_default();
        let minute = (self.now - Time::ZERO).as_secs() / 60;
        println!("{minute:>4} min {online:>4} agents {:>6} tasks, p99 wait {slow:.1?}", self.waits.len());
        self.waits.clear();
        self.at(self.now + Duration::from_secs(60), Step::Report);
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let aims = Aims::default()
        .with_least(4)
        .with_delay(Duration::from_millis(500))
        .with_down_after(Duration::from_secs(120))
        .with_caution_permille(1_000);
    let arrivals = Forecaster::holt(Smoothing::new(0.4, 0.2, 0.1, 0.9))?;
    let scaling = Scaling::new(Rules::new(aims)?, Duration::from_secs(10)).with_forecast(arrivals, STARTUP);
    let mut host = Host {
        scheduler: Scheduler::new(Config::default().with_scaling(scaling)),
        steps: BTreeMap::new(),
        serial: 0,
        agents: 0,
        starting: 0,
        now: Time::ZERO,
        submitted: BTreeMap::new(),
        waits: Vec::new(),
        busy: Duration::ZERO,
        offered: Duration::ZERO,
        most: 0,
    };
    for _ in 0..6 {
        host.join()?;
    }
    host.at(Time::ZERO, Step::Arrive);
    host.at(Time::from_secs(60), Step::Report);
    while let Some(((at, _), step)) = host.steps.pop_first() {
        if at > Time::from_secs(HOUR) {
            break;
        }
        host.now = at;
        host.step(step)?;
    }
    let used = host.busy.as_secs_f64() / host.offered.as_secs_f64();
    println!("at most {} agents; utilisation {:.0} %", host.most, used * 100.0);
    if used < 0.4 {
        return Err("agents were idle".into());
    }
    Ok(())
}
