//! Many at once.

use crate::kit::{Host, agent, host, ms, task, task_id};
use counterpoint::message::DeadFilter;
use counterpoint::message::rejected::{Conflict, Overload, Unknown};
use counterpoint::scheduler::Quota;
use counterpoint::scheduler::TaskStatus;
use counterpoint::{
    Accepted, Command, Config, Failure, FailureKind, Limits, Policy, Rejected, Retry, TaskCommand, Tier, Time,
};

#[test]
fn all_are_taken_on_and_the_most_urgent_goes_first() {
    let mut host = host(Config::default());
    host.join(agent(1));
    let tasks = [task(1).with_tier(Tier::Low), task(2).with_tier(Tier::Critical), task(3).with_after([task_id(2)])];
    assert_eq!(host.say(Command::submit_all(tasks.clone())), Ok(Accepted::Done));
    assert_eq!(host.holder(2), 1);
    assert_eq!((host.status(1), host.status(3)), (TaskStatus::Queued, TaskStatus::Blocked));
    assert_eq!(host.say(Command::submit_all(tasks)), Ok(Accepted::Repeated));
}

#[test]
fn one_that_is_refused_refuses_all() {
    let limits = Limits::default().with_active_tasks(3);
    let mut host = host(Config::default().with_limits(limits).with_tenant("small", Quota::default().with_waiting(1)));
    let before = host.snapshot();
    let refused = |host: &mut Host, tasks: Vec<counterpoint::TaskSpec>| match host.say(Command::submit_all(tasks)) {
        Err(Rejected::InBulk { index, reason }) => (index, *reason),
        other => panic!("{other:?}"),
    };
    let (index, reason) = refused(&mut host, (1..=4).map(task).collect());
    assert!(index == 3 && matches!(reason, Rejected::Capacity(Overload::AtCapacity { .. })), "{index}: {reason}");
    let (index, reason) = refused(&mut host, (1..=2).map(|id| task(id).with_tenant("small")).collect());
    assert!(index == 1 && matches!(reason, Rejected::Capacity(Overload::AtCapacity { .. })), "{index}: {reason}");
    let (index, reason) = refused(&mut host, vec![task(1), task(1).with_tier(Tier::Low)]);
    assert_eq!((index, reason), (1, Rejected::Conflict(Conflict::Task(task_id(1)))));
    let (index, reason) = refused(&mut host, vec![task(1).with_after([task_id(2)]), task(2)]);
    assert_eq!((index, reason), (0, Rejected::Unknown(Unknown::Dependency { task: task_id(1), missing: task_id(2) })));
    assert_eq!(host.snapshot(), before);
}

/// Six dead letters: odd ones of kind `work` that are overloaded, even ones of tenant `even` that failed in passing; one
/// each second.
fn graveyard() -> Host {
    let mut host = host(Config::default());
    host.join(agent(1));
    for id in 1..=6 {
        host.now = Time::from_secs(id);
        let spec = task(id).with_policy(Policy::default().with_retry(Retry::never()));
        host.submit(if id % 2 == 0 { spec.with_tenant("even") } else { spec });
        let failure = if id % 2 == 0 { Failure::transient("lost") } else { Failure::overloaded("full", ms(0)) };
        host.fail(id, failure);
        assert_eq!(host.status(id), TaskStatus::DeadLettered);
    }
    host
}

#[test]
fn dead_letters_are_replayed_by_filter() {
    let cases = [
        (DeadFilter::default(), vec![1, 2, 3, 4, 5, 6]),
        (DeadFilter::default().with_kind("work").with_most(2), vec![1, 2]),
        (DeadFilter::default().with_tenant("even"), vec![2, 4, 6]),
        (DeadFilter::default().with_failure(FailureKind::Overloaded), vec![1, 3, 5]),
        (DeadFilter::default().with_since(Time::from_secs(3)).with_before(Time::from_secs(5)), vec![3, 4]),
        (DeadFilter::default().with_kind("other"), vec![]),
    ];
    for (filter, wanted) in cases {
        let mut host = graveyard();
        let command = TaskCommand::ReplayAll { filter, first: task_id(100), tier: Some(Tier::Low) };
        assert_eq!(host.say(command), Ok(Accepted::Count(wanted.len() as u32)));
        let left: Vec<u64> = host.scheduler.dead_letters().map(|task| task.spec().id.get()).collect();
        assert_eq!(left, (1..=6).filter(|id| !wanted.contains(id)).collect::<Vec<_>>());
        for (place, _) in wanted.iter().enumerate() {
            let replay = host.scheduler.task(task_id(100 + place as u64)).unwrap();
            assert_eq!(replay.spec().tier, Tier::Low);
        }
    }
}

#[test]
fn a_replay_that_would_meet_a_known_task_replays_nothing() {
    let mut host = graveyard();
    let command = TaskCommand::ReplayAll { filter: DeadFilter::default(), first: task_id(4), tier: None };
    assert_eq!(host.say(command), Err(Rejected::Conflict(Conflict::Task(task_id(4)))));
    assert_eq!(host.scheduler.dead_letters().count(), 6);
}

#[test]
fn dead_letters_are_given_up_by_filter() {
    let mut host = graveyard();
    let filter = DeadFilter::default().with_tenant("even");
    let command = TaskCommand::DiscardAll { filter, reason: "too late".into() };
    assert_eq!(host.say(command), Ok(Accepted::Count(3)));
    assert_eq!(host.status(2), TaskStatus::Failed);
    assert_eq!(host.scheduler.dead_letters().count(), 3);
}
