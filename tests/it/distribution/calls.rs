//! Agents that ask for work, attempts that wait with agents, and attempts that are called back.

use crate::kit::{Host, agent, agent_id, host, ms, task, task_id};
use counterpoint::message::TaskEvent;
use counterpoint::message::rejected::{Misuse, Stale, WrongState};
use counterpoint::scheduler::Preemption;
use counterpoint::scheduler::TaskStatus;
use counterpoint::{
    Accepted, AgentCommand, Command, Config, Effect, Event, Failure, Incarnation, Limits, Rejected, Scheduler,
    TaskSpec, Tier,
};

fn poll(host: &mut Host, by: Incarnation, most: u32) -> Result<Accepted, Rejected> {
    host.say(AgentCommand::Poll { by, most })
}

fn begin(host: &mut Host, id: u64) -> Result<Accepted, Rejected> {
    let (attempt, by) = host.running(id);
    host.say(AgentCommand::Start { by, attempt })
}

fn give_back(host: &mut Host, id: u64) -> Result<Accepted, Rejected> {
    let (attempt, by) = host.running(id);
    host.say(AgentCommand::Yield { by, attempt })
}

fn called_back(host: &Host) -> Vec<u64> {
    let asked =
        |effect: &Effect| if let Effect::Yield { attempt, .. } = effect { Some(attempt.task().get()) } else { None };
    host.effects.iter().filter_map(asked).collect()
}

#[test]
fn a_poll_gets_at_most_what_it_asks_for() {
    let mut host = host(Config::default());
    let one = host.join(agent(1).with_capacity(3).with_polls());
    (1..=6).for_each(|id| host.submit(task(id)));
    assert!(host.scheduler.outstanding().is_empty(), "nobody asked");
    assert_eq!(poll(&mut host, one, 2), Ok(Accepted::Done));
    assert_eq!(host.scheduler.outstanding().len(), 2);
    // Asking for more than fits gives what fits; the rest of the request stands.
    poll(&mut host, one, 5).unwrap();
    assert_eq!(host.scheduler.outstanding().len(), 3);
    host.complete(1);
    assert_eq!(host.holder(4), 1);
    poll(&mut host, one, 0).unwrap();
    host.complete(2);
    assert_eq!(host.status(5), TaskStatus::Queued, "the request was taken back");
}

#[test]
fn a_poll_waits_for_work() {
    let mut host = host(Config::default());
    let one = host.join(agent(1).with_polls());
    poll(&mut host, one, 1).unwrap();
    host.submit(task(1));
    assert_eq!(host.holder(1), 1);
    let two = host.join(agent(2));
    assert_eq!(poll(&mut host, two, 1), Err(Rejected::Misuse(Misuse::DoesNotPoll(agent_id(2)))));
    assert!(matches!(
        poll(&mut host, Incarnation::new(agent_id(1), 9), 1),
        Err(Rejected::Stale(Stale::Incarnation(_)))
    ));
}

#[test]
fn competing_consumers_never_get_the_same() {
    let mut host = host(Config::default());
    let lives: Vec<Incarnation> = (1..=3).map(|id| host.join(agent(id).with_capacity(10).with_polls())).collect();
    (1..=9).for_each(|id| host.submit(task(id)));
    lives.iter().for_each(|by| {
        poll(&mut host, *by, 3).unwrap();
    });
    let mut held: Vec<u64> = (1..=9).map(|id| host.holder(id)).collect();
    held.sort_unstable();
    assert_eq!(held, [1, 1, 1, 2, 2, 2, 3, 3, 3]);
}

/// All attempts that have not begun are recalled for a more urgent task, which gets the place of the last one.
#[test]
fn prefetch_does_not_break_priority() {
    let mut host = host(Config::default());
    host.join(agent(1).with_prefetch(2));
    (1..=3).for_each(|id| host.submit(task(id).with_tier(Tier::Low)));
    assert_eq!(host.scheduler.outstanding().len(), 3);
    assert_eq!(begin(&mut host, 1), Ok(Accepted::Done));
    assert_eq!(begin(&mut host, 1), Ok(Accepted::Repeated));
    host.submit(task(9).with_tier(Tier::High));
    assert_eq!(called_back(&host), [3, 2], "the last one first: its place is given to the new task");
    assert_eq!(give_back(&mut host, 3), Ok(Accepted::Done));
    assert_eq!((host.holder(9), host.status(3)), (1, TaskStatus::Queued));
    assert_eq!(give_back(&mut host, 2), Ok(Accepted::Done));
    assert_eq!((host.holder(2), host.status(3)), (1, TaskStatus::Queued), "behind the new task");
    assert_eq!(host.scheduler.task(task_id(3)).unwrap().attempts(), 1);
    // Who is less urgent than all that wait with agents calls nobody back.
    host.submit(task(10).with_tier(Tier::Low));
    assert!(called_back(&host).is_empty());
}

/// The agent was faster than the call: what it says counts, and the newcomer gets the room all the same.
#[test]
fn a_call_that_comes_too_late_takes_nothing() {
    let mut host = host(Config::default());
    host.join(agent(1).with_prefetch(1));
    (1..=3).for_each(|id| host.submit(task(id).with_tier(Tier::Low)));
    host.submit(task(9).with_tier(Tier::Critical));
    assert_eq!(called_back(&host), [2, 1], "neither has begun");
    host.complete(2);
    assert_eq!((host.status(2), host.holder(9)), (TaskStatus::Succeeded, 1));
}

fn preempting() -> Host {
    host(Config::default().with_preemption(Preemption::default()))
}

#[test]
fn the_first_tier_takes_the_place_of_a_preemptible_attempt() {
    let mut host = preempting();
    host.join(agent(1).with_capacity(3));
    host.submit(task(1).with_tier(Tier::Low));
    host.submit(task(2).with_tier(Tier::Low).with_preemptible());
    host.wait(ms(10));
    host.submit(task(3).with_tier(Tier::Low).with_preemptible());
    host.submit(task(4).with_tier(Tier::High));
    assert!(called_back(&host).is_empty(), "only the first tier calls back what has begun");
    host.submit(task(9).with_tier(Tier::Critical));
    assert_eq!(called_back(&host), [3], "of the lowest tier, the youngest");
    host.fail(3, Failure::transient("stopped as asked"));
    assert_eq!((host.holder(9), host.status(3)), (1, TaskStatus::Queued));
    // It counts as none: all three tries are left, and no agent is avoided for it.
    let counted = host
        .journal
        .iter()
        .any(|entry| matches!(entry.event, Event::Task { event: TaskEvent::AttemptFailed { .. }, .. }));
    assert!(!counted);
    for id in [9, 1, 2] {
        host.complete(id);
    }
    assert_eq!(host.running(3).0.number().get(), 2);
}

#[test]
fn nothing_is_preempted_unless_it_is_preemptible() {
    let mut host = host(Config::default());
    host.join(agent(1));
    host.submit(task(1).with_preemptible());
    host.submit(task(9).with_tier(Tier::Critical));
    assert!(called_back(&host).is_empty());
}

#[test]
fn a_task_is_preempted_only_so_often() {
    let mut host = preempting();
    host.join(agent(1));
    host.submit(task(1).with_tier(Tier::Low).with_preemptible());
    for id in 10..12 {
        host.submit(task(id).with_tier(Tier::Critical));
        assert_eq!(called_back(&host), [1]);
        give_back(&mut host, 1).unwrap();
        assert_eq!(host.holder(id), 1);
        host.complete(id);
        assert_eq!(host.holder(1), 1);
        // A snapshot holds how often it was preempted.
        let config = Config::default().with_preemption(Preemption::default());
        host.scheduler = Scheduler::restore(config, Some(&host.snapshot()), []).unwrap();
        host.scheduler.resume(host.now, &mut counterpoint::Outbox::default());
    }
    host.submit(task(12).with_tier(Tier::Critical));
    assert!(called_back(&host).is_empty(), "twice is enough");
    host.complete(1);
    assert_eq!(host.holder(12), 1);
}

#[test]
fn a_freed_slot_goes_to_the_task_that_preempted() {
    let mut host = preempting();
    host.join(agent(1));
    host.submit(task(1).with_tier(Tier::Low).with_preemptible());
    host.submit(task(9).with_tier(Tier::Critical));
    assert_eq!(called_back(&host), [1]);
    host.submit(task(10).with_tier(Tier::Critical).with_deadline(host.now + ms(50)));
    give_back(&mut host, 1).unwrap();
    assert_eq!(host.holder(9), 1, "though another is more urgent by now");
}

/// The agent does not answer, and the next call comes when the grace period and the deadline have passed.
#[test]
fn a_freed_slot_does_not_go_to_a_task_whose_deadline_has_passed() {
    let limits = Limits::default().with_cancel_grace(ms(100));
    let mut host = host(Config::default().with_preemption(Preemption::default()).with_limits(limits));
    host.join(agent(1));
    host.submit(task(1).with_tier(Tier::Low).with_preemptible());
    host.submit(task(9).with_tier(Tier::Critical).with_deadline(host.now + ms(150)));
    assert_eq!(called_back(&host), [1]);
    host.wait(ms(200));
    assert_eq!((host.status(9), host.holder(1)), (TaskStatus::Expired, 1));
}

#[test]
fn each_urgent_task_preempts_one_attempt() {
    let mut host = preempting();
    host.join(agent(1).with_capacity(3));
    (1..=3).for_each(|id| host.submit(task(id).with_preemptible()));
    let mut all = Vec::new();
    for id in 10..15 {
        host.submit(task(id).with_tier(Tier::Critical));
        all.extend(called_back(&host));
    }
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3]);
}

#[test]
fn an_attempt_is_left_to_run_for_a_while_first() {
    let mut host = host(Config::default().with_preemption(Preemption::default().with_least_run(ms(100))));
    host.join(agent(1));
    host.submit(task(1).with_preemptible());
    host.wait(ms(40));
    // Nobody waits for its room yet, so nobody has to look when its time is over.
    assert!(host.scheduler.next_wakeup().is_none_or(|at| at > counterpoint::Time::from_millis(100)));
    host.submit(task(9).with_tier(Tier::Critical));
    assert!(called_back(&host).is_empty());
    host.now = host.scheduler.next_wakeup().unwrap();
    assert!(host.now <= counterpoint::Time::from_millis(100));
    while called_back(&host).is_empty() {
        host.now = host.scheduler.next_wakeup().unwrap();
        host.say(Command::Tick).unwrap();
    }
    assert_eq!(host.now, counterpoint::Time::from_millis(100));
}

/// An agent that does not answer the call loses the attempt; the outcome is unknown, and it counts as none all the same.
#[test]
fn silence_ends_the_attempt() {
    let mut host = preempting();
    host.join(agent(1));
    host.submit(task(1).with_tier(Tier::Low).with_preemptible());
    host.submit(task(9).with_tier(Tier::Critical));
    let (attempt, by) = host.running(1);
    host.wait(ms(30_000));
    assert_eq!((host.holder(9), host.status(1)), (1, TaskStatus::Queued));
    assert!(host.effects.contains(&Effect::Cancel { attempt, from: by }));
    let said = host.journal.iter().any(|entry| {
        matches!(entry.event, Event::Task { event: TaskEvent::Yielded { outcome_unknown: true, .. }, .. })
    });
    assert!(said);
    assert_eq!(host.say(AgentCommand::Yield { by, attempt }), Err(Rejected::Stale(Stale::Attempt(attempt))));
}

#[test]
fn only_a_leaving_agent_yields_unasked() {
    let mut host = host(Config::default());
    host.join(agent(1));
    host.submit(task(1));
    let (attempt, _) = host.running(1);
    assert_eq!(give_back(&mut host, 1), Err(Rejected::State(WrongState::NotRequestedBack(attempt))));
    host.drain(1);
    assert_eq!(give_back(&mut host, 1), Ok(Accepted::Done));
    assert_eq!(host.status(1), TaskStatus::Queued);
}

/// Cancelled while it was called back: the cancellation stands.
#[test]
fn a_cancellation_beats_a_call() {
    let mut host = preempting();
    host.join(agent(1));
    host.submit(task(1).with_preemptible());
    host.submit(task(9).with_tier(Tier::Critical));
    host.cancel(1).unwrap();
    give_back(&mut host, 1).unwrap();
    assert_eq!((host.status(1), host.holder(9)), (TaskStatus::Cancelled, 1));
}

/// What waits with a busy agent moves to one that has come and is idle; and then it stays.
#[cfg(feature = "resilience")]
#[test]
fn what_has_not_begun_moves_to_an_idle_agent() {
    use counterpoint::message::YieldReason;
    let rules = counterpoint::resilience::capacity::rebalance::Rules::default();
    let mut host = host(Config::default().with_rebalancing(rules, ms(1_000)));
    host.join(agent(1).with_prefetch(4));
    (1..=5).for_each(|id| host.submit(task(id).with_estimate(ms(5_000))));
    begin(&mut host, 1).unwrap();
    host.join(agent(2));
    assert!((2..=5).all(|id| host.holder(id) == 1), "all of it waits with the first");
    host.now = host.scheduler.next_wakeup().unwrap();
    while called_back(&host).is_empty() {
        host.now = host.scheduler.next_wakeup().unwrap();
        host.say(Command::Tick).unwrap();
    }
    let moved = called_back(&host);
    assert_eq!(moved.len(), 1, "as much as the idle agent can begin: {moved:?}");
    let why = host.facts.iter().find_map(|entry| match &entry.event {
        Event::Task { event: TaskEvent::YieldRequested { reason, .. }, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(why, Some(YieldReason::Rebalanced));
    give_back(&mut host, moved[0]).unwrap();
    assert_eq!(host.holder(moved[0]), 2);
    host.wait(ms(3_000));
    assert!(called_back(&host).is_empty(), "no second move");
}

#[test]
fn calls_are_repeated_after_a_crash() {
    let mut host = preempting();
    host.join(agent(1));
    host.submit(task(1).with_preemptible());
    host.submit(task(9).with_tier(Tier::Critical));
    let asked = host.effects.clone();
    let config = || Config::default().with_preemption(Preemption::default());
    let mut out = counterpoint::Outbox::default();
    let mut again = Scheduler::restore(config(), Some(&host.snapshot()), []).unwrap();
    again.resume(host.now, &mut out);
    assert!(asked.iter().all(|effect| out.effects().contains(effect)), "{:?}", out.effects());
    let mut host = Host::over(again);
    give_back(&mut host, 1).unwrap();
    assert_eq!(host.holder(9), 1);
}

/// Tasks and classes have other indices after a restore: here the first task has ended, so that later ones take its place in
/// the live scheduler only.
#[test]
fn attempts_that_began_together_are_preempted_in_the_same_order_after_a_restore() {
    let config = || Config::default().with_preemption(Preemption::default());
    let of = |id, kind: &str| TaskSpec::new(task_id(id), kind);
    let skilled = |id: u64| agent(id).with_skill("a", 1).with_skill("b", 1);
    let mut host = host(config());
    host.join(skilled(1));
    host.submit(of(1, "b"));
    host.submit(of(2, "a"));
    host.complete(1);
    (2..=3).for_each(|id| {
        host.join(skilled(id));
    });
    host.submit(of(3, "a").with_preemptible());
    host.submit(of(4, "a").with_preemptible());
    let mut again = Host::over(Scheduler::restore(config(), Some(&host.snapshot()), []).unwrap());
    again.now = host.now;
    for host in [&mut host, &mut again] {
        let urgent = |id, kind| of(id, kind).with_tier(Tier::Critical);
        host.say(Command::submit_all(vec![urgent(5, "b"), urgent(6, "a")])).unwrap();
        assert_eq!(called_back(host), [4, 3]);
    }
    assert_eq!(host.facts, again.facts);
}
