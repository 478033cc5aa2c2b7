//! A restart with attempts under way: asked for again or awaited, with the same agents, fewer, others, or another strategy.

use crate::kit::{Host, agent, ms, task, task_id};
use counterpoint::message::TaskEvent;
use counterpoint::message::rejected::Stale;
use counterpoint::routing::{FirstCapable, RoundRobin};
use counterpoint::scheduler::Recovery;
use counterpoint::scheduler::{Discipline, TaskStatus};
use counterpoint::task::Jitter;
use counterpoint::{
    Accepted, AgentCommand, Command, Config, Effect, Entry, Event, FailureKind, Outbox, Payload, Policy, Rejected,
    Retry, Scheduler,
};

const AWAIT: Recovery = Recovery::Await { unleased: ms(5_000) };

fn soon() -> Policy {
    Policy::default().with_retry(Retry::exponential(5, ms(1), ms(1)).with_jitter(Jitter::None))
}

/// Two agents, the first with a lease, each with an attempt under way; a third task waits.
fn at_work() -> Host {
    let mut host = crate::kit::host(Config::default());
    host.join(agent(1).with_lease(ms(1_000)));
    host.join(agent(2));
    for id in 1..=3 {
        host.submit(task(id).with_policy(soon()));
    }
    host
}

/// The scheduler that goes on, and what it asks for at once.
fn restarted(journal: &[Entry], config: Config) -> (Host, Vec<Effect>) {
    let scheduler = Scheduler::restore(config, None, journal).unwrap();
    let mut host = Host::over(scheduler);
    host.journal = journal.to_vec();
    host.now = journal.last().unwrap().at;
    let mut out = Outbox::default();
    host.scheduler.resume(host.now, &mut out);
    host.journal.extend_from_slice(out.entries());
    (host, out.effects().to_vec())
}

fn dispatched(effects: &[Effect]) -> Vec<String> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Dispatch { attempt, .. } => Some(attempt.to_string()),
            _ => None,
        })
        .collect()
}

fn failures(journal: &[Entry]) -> Vec<(String, FailureKind)> {
    journal
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Task { task, event: TaskEvent::AttemptFailed { attempt, failure, .. } } => {
                Some((attempt.of(*task).to_string(), failure.kind))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn what_was_under_way_is_asked_for_again_under_the_same_ids() {
    let before = at_work();
    let (mut host, effects) = restarted(&before.journal, Config::default());
    assert_eq!(dispatched(&effects), ["t1-1", "t2-1"]);
    host.complete(1);
    host.complete(2);
    host.complete(3);
    assert!(failures(&host.journal).is_empty());
}

#[test]
fn what_is_awaited_is_not_asked_for_again_and_unknown_after_the_lease() {
    let before = at_work();
    let (mut host, effects) = restarted(&before.journal, Config::default().with_recovery(AWAIT));
    assert_eq!(dispatched(&effects), [""; 0]);
    // The first answers; of the second, which says it lives and no more, nothing is known after a while.
    let (attempt, by) = host.running(1);
    host.now = host.now + ms(900);
    assert_eq!(host.say(Command::complete(by, attempt, Payload::NULL)), Ok(Accepted::Done));
    let (second, by) = host.running(2);
    host.wait(ms(4_000));
    host.say(AgentCommand::Heartbeat { by }).unwrap();
    let failed = |host: &Host| failures(&host.journal).into_iter().find(|(attempt, _)| attempt == "t2-1");
    assert_eq!((host.status(2), failed(&host)), (TaskStatus::Running, None));
    assert!(host.scheduler.next_wakeup() <= Some(before.now + ms(5_000)), "it wants to be called in time");
    host.wait(ms(100));
    assert_eq!(failed(&host), Some(("t2-1".to_owned(), FailureKind::Unknown)));
    // Its late answer is one of an attempt that is over; what follows is for the task's policy to say.
    assert_eq!(host.say(Command::complete(by, second, Payload::NULL)), Err(Rejected::Stale(Stale::Attempt(second))));
}

/// With a lease of its own: that long, and the agent itself is lost then if it has not been heard.
#[test]
fn a_lease_bounds_how_long_an_answer_is_awaited() {
    let before = at_work();
    let (mut host, _) = restarted(&before.journal, Config::default().with_recovery(AWAIT));
    let (_, by) = host.running(1);
    host.wait(ms(600));
    host.say(AgentCommand::Heartbeat { by }).unwrap();
    host.wait(ms(400));
    assert_eq!(failures(&host.journal), [("t1-1".to_owned(), FailureKind::Unknown)]);
    assert!(host.scheduler.agent(by.agent()).is_some(), "it lives: only of its attempt nothing is known");
}

/// A second crash before the answers have come: they are awaited anew, and nothing that was known is forgotten.
#[test]
fn a_second_restart_awaits_anew() {
    let before = at_work();
    let (mut host, _) = restarted(&before.journal, Config::default().with_recovery(AWAIT));
    host.complete(1);
    let (mut again, effects) = restarted(&host.journal, Config::default().with_recovery(AWAIT));
    assert_eq!(dispatched(&effects), [""; 0]);
    // What began before the second crash is awaited as well: who knows whether its agent has heard.
    again.wait(ms(5_000));
    let unknown: Vec<String> = failures(&again.journal).into_iter().map(|(attempt, _)| attempt).collect();
    assert!(unknown.contains(&"t2-1".to_owned()) && unknown.contains(&"t3-1".to_owned()), "{unknown:?}");
}

#[test]
fn fewer_agents_other_agents_another_strategy_and_another_order() {
    let before = at_work();
    let configs: [fn() -> Config; 3] = [
        || Config::default().with_strategy(RoundRobin::default()),
        || Config::default().with_strategy(FirstCapable::default()).with_discipline(Discipline::Strict),
        || Config::default().with_discipline(Discipline::WeightedFair).with_recovery(AWAIT),
    ];
    for config in configs {
        // One agent has not come back, and one that nobody has seen before does its work.
        let (mut host, _) = restarted(&before.journal, config());
        host.leave(1);
        host.leave(2);
        host.join(agent(7).with_capacity(3));
        host.wait(ms(10));
        for id in 1..=3 {
            assert_eq!(host.holder(id), 7);
            host.complete(id);
        }
        assert!(failures(&host.journal).iter().all(|(_, kind)| *kind == FailureKind::Unknown));
        // Nobody at all: it all waits, and is done when somebody comes.
        let (mut host, _) = restarted(&before.journal, config());
        host.leave(1);
        host.leave(2);
        host.wait(ms(60_000));
        assert!((1..=3).all(|id| !host.status(id).is_terminal()));
        host.join(agent(9));
        for _ in 0..3 {
            let id = (1..=3).find(|id| host.status(*id) == TaskStatus::Running).unwrap();
            host.complete(id);
        }
        assert!((1..=3).all(|id| host.scheduler.task(task_id(id)).unwrap().status() == TaskStatus::Succeeded));
    }
}
