//! Advice on the number of agents that is followed: policies can be tried before they cost anything.

use counterpoint::message::{AgentEvent, ControlEvent};
use counterpoint::resilience::capacity::scaling::{Config as Aims, Rules as Policy};
use counterpoint::scheduler::Scaling;
use counterpoint::sim::{AgentModel, Arrivals, Fault, Faults, Job, Report, Rules, Simulation};
use counterpoint::{AgentId, AgentSpec, Config, Event, TaskId, TaskSpec, Time};
use std::time::Duration;

const STARTUP: Duration = Duration::from_secs(20);
const LEASE: Duration = Duration::from_secs(10);

fn agent(number: u32) -> AgentModel {
    AgentModel::new(AgentSpec::new(AgentId::new(number.into())).with_skill("work", 1).with_lease(LEASE))
}

fn scaling() -> Config {
    let aims = Aims::default().with_least(2).with_most(12).with_down_after(Duration::from_secs(30));
    Config::default().with_scaling(Scaling::new(Policy::new(aims).unwrap(), Duration::from_secs(5)))
}

/// So many tasks a second, of a second each, for so many seconds; then nearly none until the end.
fn load(seed: u64, agents: u32, (rate, rush): (f64, u64), end: u64) -> Simulation {
    let many = Arrivals::poisson(seed, rate).unwrap().take_while(move |at| *at < Time::from_secs(rush));
    let few = Arrivals::poisson(seed, 0.5).unwrap().map(move |at| at + Duration::from_secs(rush));
    let all = many.chain(few.take_while(move |at| *at < Time::from_secs(end)));
    let jobs = all.zip(1..).map(|(at, n)| Job::task(at, TaskSpec::new(TaskId::new(n), "work")));
    Simulation::new(seed).with_config(scaling).with_agents((1..=agents).map(agent)).with_jobs(jobs.collect::<Vec<_>>())
}

fn day(seed: u64) -> Simulation {
    load(seed, 2, (8.0, 300), 600)
}

fn followed(seed: u64) -> Simulation {
    day(seed).with_scaling(STARTUP, |n| agent(n + 2))
}

/// When how many were there, by the facts.
fn sizes(report: &Report) -> Vec<(Time, i32)> {
    let mut there = 0;
    let changes = report.journal.iter().filter_map(|entry| match &entry.event {
        Event::Agent { event: AgentEvent::Registered { .. }, .. } => Some((entry.at, 1)),
        Event::Agent { event: AgentEvent::Deregistered | AgentEvent::Lost, .. } => Some((entry.at, -1)),
        _ => None,
    });
    let size = |(at, by)| {
        there += by;
        (at, there)
    };
    changes.map(size).collect()
}

fn advice(report: &Report) -> Vec<(Time, u32, u32)> {
    let told = report.journal.iter().filter_map(|entry| match &entry.event {
        Event::Control(ControlEvent::Scaling { agents, advised, .. }) => Some((entry.at, *agents, *advised)),
        _ => None,
    });
    told.collect()
}

#[test]
fn a_fleet_grows_with_its_work_and_shrinks_after_it() {
    let report = followed(5).run().unwrap();
    assert!(report.settled);
    let (sizes, advice) = (sizes(&report), advice(&report));
    let most = sizes.iter().map(|(_, size)| *size).max().unwrap();
    assert!((8..=12).contains(&most), "{most} at the most");
    assert!(sizes.last().unwrap().1 <= 6, "fewer when there is little to do: {sizes:?}");
    // The first that was started came as long after the advice as one takes to start.
    let third = sizes.iter().find(|(_, size)| *size == 3).unwrap().0;
    assert_eq!(third, advice.first().unwrap().0 + STARTUP);
    // What is not needed any more is not paid for.
    let paid: Duration = report.agents.iter().map(|agent| agent.online).sum();
    let always = report.end.since(Time::ZERO) * u32::try_from(most).unwrap();
    assert!(paid < always * 4 / 5, "{paid:?} of {always:?}");
}

#[test]
fn advice_without_a_follower_changes_nothing() {
    let report = day(5).run().unwrap();
    assert_eq!(report.agents.len(), 2);
    assert!(!advice(&report).is_empty(), "and there is some");
    let slow = |report: &Report| report.waits().percentile(0.5);
    assert!(slow(&report) > slow(&followed(5).run().unwrap()) * 4, "two agents are too few");
}

/// No agent is started that is on its way already, however often the advice is said.
#[test]
fn advice_that_is_repeated_while_agents_start_starts_no_more() {
    let report = followed(5).run().unwrap();
    let most_advised = advice(&report).iter().map(|(_, _, advised)| *advised).max().unwrap();
    let most = sizes(&report).iter().map(|(_, size)| *size).max().unwrap();
    assert!(advice(&report).len() > 3);
    assert!(u32::try_from(most).unwrap() <= most_advised, "{most} for {most_advised}");
}

/// Agents that are still starting are called off before one that works is sent away.
#[test]
fn an_agent_that_is_not_needed_any_more_never_starts() {
    let late = Duration::from_secs(300);
    let report = load(5, 6, (20.0, 40), 900).with_scaling(late, |n| agent(n + 6)).run().unwrap();
    assert!(report.settled && report.end > Time::from_secs(850));
    assert!(report.agents.len() >= 10, "some were asked for: {:?}", advice(&report));
    let came: Vec<_> = report.agents.iter().skip(6).filter(|agent| agent.online > Duration::ZERO).collect();
    assert!(came.is_empty(), "{came:?} came after all, {:?}", advice(&report));
    let stayed = report.agents.iter().take(2).all(|agent| agent.online > Duration::from_secs(850));
    assert!(stayed, "the oldest stay");
}

#[test]
fn a_fleet_survives_crashes_and_lost_messages() {
    let faults = Faults::none()
        .with(Fault::MessageLost, 30)
        .with(Fault::CrashTorn, 20)
        .with(Fault::CrashActing, 20)
        .with(Fault::AgentDies, 10)
        .until(Time::from_secs(100));
    for seed in 0..u64::from(crate::cases(4)) {
        let world = || {
            let world = load(seed, 2, (6.0, 40), 120).with_scaling(STARTUP, |n| agent(n + 2));
            world.with_faults(faults.clone()).with_reminders(Duration::from_secs(5))
        };
        let judged = world().with_oracle(Rules::default()).with_verification(500).must_end_by(Time::from_secs(3_600));
        let report = judged.run().unwrap();
        assert!(report.host.crashes > 0 && report.agents.len() > 4, "seed {seed}: {}", report.agents.len());
        assert_eq!((report.lost, report.twice), (0, 0));
        assert_eq!(world().run().unwrap().journal, report.journal, "the same each time");
    }
}
