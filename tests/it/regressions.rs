//! Faults that were found, each with the smallest case that shows it.

use crate::kit::{Host, agent, agent_id, host, ms, task, task_id};
use counterpoint::message::rejected::Invalid;
use counterpoint::scheduler::{Discipline, SchedulerSnapshot, TaskStatus};
use counterpoint::task::Jitter;
use counterpoint::{
    AgentCommand, AgentSpec, Config, Effect, Failure, Limits, Policy, Rejected, Retry, Scheduler, TaskCommand,
    TaskSpec, Tier, Time,
};

/// An agent that has answered is not told to stop what it has just ended.
#[test]
fn a_late_completion_of_a_cancelled_attempt_asks_nothing_of_its_agent() {
    let mut host = host(Config::default());
    host.join(agent(1));
    host.submit(task(1));
    host.cancel(1).unwrap();
    assert!(matches!(host.effects[..], [Effect::Cancel { .. }]));
    host.complete(1);
    assert_eq!(host.effects, []);
    assert_eq!(host.status(1), TaskStatus::Cancelled);
}

/// An agent that shortens its lease is missed after the new one.
#[test]
fn a_shorter_lease_counts_from_the_update_on() {
    let mut host = host(Config::default());
    let by = host.join(agent(1).with_lease(ms(60_000)));
    host.say(AgentCommand::Update { by, spec: agent(1).with_lease(ms(100)) }).unwrap();
    assert!(host.scheduler.next_wakeup() <= Some(Time::from_millis(100)));
    host.wait(ms(100));
    assert!(host.scheduler.agent(agent_id(1)).is_none());
}

/// However often an agent changes its lease or begins anew, it has one timer.
#[test]
fn leases_leave_no_timers_behind() {
    let mut host = host(Config::default());
    for _ in 0..50 {
        let by = host.join(agent(1).with_lease(ms(3_600_000)));
        host.say(AgentCommand::Update { by, spec: agent(1) }).unwrap();
        host.say(AgentCommand::Update { by, spec: agent(1).with_lease(ms(3_600_000)) }).unwrap();
    }
    host.leave(1);
    assert_eq!(host.scheduler.next_wakeup(), None);
}

/// One attempt, and a short wait before the next.
fn twice() -> Policy {
    Policy::default().with_retry(Retry::exponential(3, ms(10), ms(10)).with_jitter(Jitter::None))
}

/// An agent that keeps all its room for the first tier is nobody to wait for: who failed a task of another is asked again.
/// (`fault_storm`, seeds 177, 199 and 265)
#[test]
fn avoiding_is_given_up_when_the_others_keep_all_room_for_the_first_tier() {
    let mut host = host(Config::default());
    host.join(agent(1));
    host.submit(task(1).with_policy(twice()));
    let mut keeps = agent(2);
    (keeps.capacity, keeps.reserved) = (1, 1);
    host.join(keeps.clone());
    host.fail(1, Failure::transient("again"));
    host.wait(ms(10));
    assert_eq!(host.holder(1), 1);
    // As soon as it shares its room it is asked first.
    let by = host.scheduler.agent(agent_id(2)).unwrap().incarnation();
    keeps.capacity = 2;
    host.say(AgentCommand::Update { by, spec: keeps }).unwrap();
    host.fail(1, Failure::transient("again"));
    host.wait(ms(10));
    assert_eq!(host.holder(1), 2);
}

/// When the only other agent drains, a task goes back to the agent that failed it.
#[test]
fn avoiding_is_given_up_when_the_others_drain() {
    let mut host = host(Config::default());
    host.join(agent(1));
    host.submit(task(1).with_policy(twice()));
    host.join(agent(2));
    host.submit(task(2));
    host.fail(1, Failure::transient("again"));
    host.wait(ms(10));
    assert_eq!(host.status(1), TaskStatus::Queued);
    host.drain(2);
    assert_eq!(host.holder(1), 1);
}

/// When the only other agent begins anew as something else, a task goes back to the agent that failed it.
#[test]
fn avoiding_is_given_up_when_the_others_change_by_registering_again() {
    let mut host = host(Config::default());
    host.join(agent(1));
    host.submit(task(1).with_policy(twice()));
    host.join(agent(2));
    host.submit(task(2));
    host.fail(1, Failure::transient("again"));
    host.wait(ms(10));
    host.join(AgentSpec::new(agent_id(2)));
    assert_eq!(host.holder(1), 1);
}

/// A task that becomes ready when another ends does not pass those that wait for the same agent.
#[test]
fn a_dependent_does_not_pass_more_urgent_tasks_in_line() {
    let mut host = host(Config::default().with_discipline(Discipline::Strict));
    host.join(agent(1).with_skill("pack", 1));
    host.submit(task(1));
    host.submit(TaskSpec::new(task_id(2), "pack").with_tier(Tier::Low).with_after([task_id(1)]));
    host.submit(task(3).with_tier(Tier::Critical));
    host.complete(1);
    assert_eq!((host.status(3), host.status(2)), (TaskStatus::Running, TaskStatus::Queued));
}

/// A task that is found expired in line takes those that wait for it along, in the same call.
#[test]
fn what_waits_for_a_task_found_expired_in_line_is_cancelled_at_once() {
    let limits = Limits::default().with(|limits| limits.timers_per_call = 1);
    let mut host = host(Config::default().with_limits(limits));
    host.join(agent(1));
    let slow = |policy: Policy| policy.with_retry(Retry::never());
    host.submit(task(1).with_policy(slow(Policy::default().with_attempt_timeout(ms(10)))));
    host.submit(task(2).with_policy(slow(Policy::default().with_queue_timeout(ms(20)))));
    host.submit(task(3).with_after([task_id(2)]));
    host.wait(ms(500));
    assert_eq!((host.status(2), host.status(3)), (TaskStatus::Expired, TaskStatus::Cancelled));
}

fn thawed(config: Config, snapshot: &SchedulerSnapshot) -> Scheduler {
    let text = serde_json::to_string(snapshot).unwrap();
    Scheduler::restore(config, Some(&serde_json::from_str(&text).unwrap()), &[]).unwrap()
}

/// A dependency that has succeeded and was forgotten since does not doom what waits, when a snapshot is read.
#[test]
fn a_snapshot_remembers_that_a_forgotten_dependency_had_succeeded() {
    let config = || Config::default().with_limits(Limits::default().with_finished_tasks(0));
    let mut host = host(config());
    host.join(agent(1).with_capacity(2));
    host.submit(task(1));
    host.submit(task(2));
    host.submit(task(3).with_after([task_id(1), task_id(2)]));
    host.complete(1);
    assert!(host.scheduler.task(task_id(1)).is_none(), "forgotten");
    let mut host = Host::over(thawed(config(), &host.snapshot()));
    host.wait(ms(1));
    assert_eq!(host.status(3), TaskStatus::Blocked);
    host.complete(2);
    assert_eq!(host.status(3), TaskStatus::Running);
}

/// Where a newcomer stands among the agents does not depend on who left in which order before a snapshot.
#[test]
fn newcomers_stand_in_the_same_place_after_a_snapshot() {
    let mut first = host(Config::default());
    for id in 1..=3 {
        first.join(agent(id));
    }
    for id in [2, 1] {
        first.leave(id);
    }
    let mut second = Host::over(thawed(Config::default(), &first.snapshot()));
    for id in [4, 5] {
        first.join(agent(id));
        second.join(agent(id));
    }
    assert_eq!(first.snapshot(), second.snapshot());
}

/// Journals in which attempts or lives have other numbers than the next are refused: numbers are never used again.
#[test]
fn a_journal_with_a_wrong_number_is_refused() {
    use counterpoint::message::{AgentEvent, TaskEvent};
    use counterpoint::task::AttemptNumber;
    use counterpoint::{Event, Incarnation, RestoreError};
    let mut host = host(Config::default());
    host.join(agent(1));
    host.submit(task(1));
    for number in [0, 2, u32::MAX] {
        let mut journal = host.journal.clone();
        let Event::Task { event: TaskEvent::Assigned { attempt, .. }, .. } = &mut journal[2].event else { panic!() };
        *attempt = AttemptNumber::new(number);
        let refused = Scheduler::restore(Config::default(), None, &journal);
        assert!(matches!(refused, Err(RestoreError::InconsistentEvent { .. })), "{number}");
    }
    for number in [0, 2, u64::MAX] {
        let mut journal = host.journal[..1].to_vec();
        let Event::Agent { agent: by, event: AgentEvent::Registered { .. } } = &mut journal[0].event else { panic!() };
        *by = Incarnation::new(by.agent(), number);
        let refused = Scheduler::restore(Config::default(), None, &journal);
        assert!(matches!(refused, Err(RestoreError::InconsistentEvent { .. })), "{number}");
    }
    for lives in [0, u64::MAX] {
        let mut snapshot = host.snapshot();
        snapshot.incarnations = lives;
        let refused = Scheduler::restore(Config::default(), Some(&snapshot), &[]);
        assert!(matches!(refused, Err(RestoreError::Snapshot { .. })), "{lives}");
    }
}

/// Reasons are names, and bounded as such: they are written down.
#[test]
fn a_reason_is_bounded() {
    let mut host = host(Config::default());
    host.submit(task(1));
    let reason = "x".repeat(257);
    let cancel = TaskCommand::Cancel { task: task_id(1), reason: reason.clone().into() };
    assert!(matches!(host.say(cancel), Err(Rejected::Invalid(Invalid::TooLarge { size: 257, .. }))));
    host.join(agent(1));
    host.fail(1, Failure::transient("no"));
    let discard = TaskCommand::Discard { dead: task_id(1), reason: reason.into() };
    assert!(matches!(host.say(discard), Err(Rejected::Invalid(Invalid::TooLarge { size: 257, .. }))));
}

/// Tasks that expire in the moment of their submit are forgotten like all others.
#[test]
fn what_expires_at_once_is_forgotten_within_the_limit() {
    let mut host = host(Config::default().with_limits(Limits::default().with_finished_tasks(3)));
    host.join(agent(1));
    for id in 1..=50 {
        host.submit(task(id).with_policy(Policy::default().with_queue_timeout(ms(0))));
    }
    assert!(host.snapshot().finished.len() <= 6);
}

/// When a call comes late, what is due happens in the order in which it was due, however often a lease was renewed.
#[test]
fn a_renewed_lease_runs_out_in_its_turn() {
    let mut host = host(Config::default());
    let by = host.join(agent(1).with_lease(ms(100)));
    host.submit(task(1).with_policy(twice().with_attempt_timeout(ms(120))));
    host.now = Time::from_millis(50);
    host.say(AgentCommand::Heartbeat { by }).unwrap();
    host.wait(ms(10_000));
    let facts: Vec<String> = host.facts.iter().map(|entry| serde_json::to_string(&entry.event).unwrap()).collect();
    assert!(facts[0].contains("timed out") && facts[1].contains("lost"), "{facts:?}");
}
