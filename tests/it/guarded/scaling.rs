//! Advice on the number of agents.

use super::controls;
use crate::kit::{Host, agent, host, ms, task};
use counterpoint::message::ControlEvent;
use counterpoint::resilience::capacity::forecast::{Forecaster, Smoothing};
use counterpoint::resilience::capacity::scaling::{Config as Aims, Rules};
use counterpoint::scheduler::Scaling;
use counterpoint::task::AgentStatus;
use counterpoint::{Config, Effect, TaskId};
use std::time::Duration;

fn scaling() -> Scaling {
    let aims = Aims::default().with_up_pause(Duration::from_secs(20)).with_down_after(Duration::from_secs(60));
    Scaling::new(Rules::new(aims).unwrap(), Duration::from_secs(10))
}

fn advice(host: &Host) -> Vec<(u32, u32, String)> {
    let told = |event| match event {
        ControlEvent::Scaling { agents, advised, reason, .. } => Some((agents, advised, reason.to_string())),
        _ => None,
    };
    controls(host).into_iter().filter_map(told).collect()
}

#[test]
fn busy_agents_and_waiting_tasks_ask_for_more_and_idle_ones_for_less() {
    for on in [true, false] {
        let mut host = host(if on { Config::default().with_scaling(scaling()) } else { Config::default() });
        (1..=4).for_each(|id| _ = host.join(agent(id)));
        (1..=12).for_each(|id| host.submit(task(id)));
        host.wait(Duration::from_secs(10));
        if !on {
            assert_eq!(advice(&host), []);
            continue;
        }
        assert_eq!(advice(&host), [(4, 8, "waiting time".into())]);
        assert!(matches!(host.effects.as_slice(), [Effect::Scale { agents: 4, advised: 8, .. }]));
        assert_eq!(host.scheduler.standing().advised, Some(8));
        (5..=8).for_each(|id| _ = host.join(agent(id)));
        (1..=12).for_each(|id| host.complete(id));
        for _ in 0..12 {
            host.wait(Duration::from_secs(10));
        }
        let last = advice(&host).last().cloned().unwrap();
        assert_eq!((last.0, last.1), (8, 7), "idle, and slowly fewer");
    }
}

#[test]
fn what_is_about_to_come_asks_for_more_before_it_is_there() {
    let arrivals = Forecaster::holt(Smoothing::new(0.8, 0.5, 0.1, 1.0)).unwrap();
    let config = |forecast: bool| {
        let scaling = scaling();
        let scaling =
            if forecast { scaling.with_forecast(arrivals.clone(), Duration::from_secs(120)) } else { scaling };
        Config::default().with_scaling(scaling)
    };
    let run = |forecast: bool| {
        let mut host = host(config(forecast));
        (1..=10).for_each(|id| _ = host.join(agent(id)));
        let mut next = 0;
        for second in 0..60_u64 {
            for _ in 0..2 + second / 7 {
                next += 1;
                host.submit(task(next));
            }
            host.wait(ms(500));
            (1..=next)
                .filter(|id| running(&host, *id))
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|id| host.complete(id));
            host.wait(ms(500));
        }
        advice(&host)
    };
    assert_eq!(run(false), [], "half busy is no reason");
    assert!(run(true).iter().any(|(agents, advised, why)| advised > agents && why == "forecast"));
}

fn running(host: &Host, id: u64) -> bool {
    host.scheduler.task(TaskId::new(id)).is_some_and(|task| task.running().is_some())
}

#[test]
fn a_draining_agent_is_not_counted() {
    let mut host = host(Config::default().with_scaling(scaling()));
    (1..=4).for_each(|id| _ = host.join(agent(id)));
    host.join(agent(9).with_backup(true));
    host.drain(1);
    (1..=12).for_each(|id| host.submit(task(id)));
    host.wait(Duration::from_secs(10));
    let online = host.scheduler.agents().filter(|agent| agent.status() == AgentStatus::Online).count();
    assert_eq!((online, advice(&host)[0].0), (4, 3));
}
