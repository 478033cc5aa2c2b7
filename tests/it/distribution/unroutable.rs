//! Tasks that no agent can perform are reported, once for all with the same requirements, until an agent can.

use crate::kit::{Host, agent, agent_id, host, ms, task_id};
use counterpoint::message::{ControlEvent, Unroutable};
use counterpoint::scheduler::TaskWait;
use counterpoint::task::{Affinity, Bound, Lack};
use counterpoint::{
    AgentSpec, Command, Config, Engine, Entry, Event, Failure, Limits, Needs, Outbox, Payload, Scheduler, TaskOutcome,
    TaskSpec, Tier,
};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn needing(id: u64, kind: &str) -> TaskSpec {
    TaskSpec::needing(task_id(id), kind, Needs::skill(kind))
}

fn reporting(after: Duration, fail: Option<Duration>) -> Config {
    let limits = Limits::default().with_unroutable_reported_after(after).with_unroutable_failed_after(fail);
    Config::default().with_limits(limits)
}

/// The reports of the last call, and the ends of reports.
fn told(host: &Host) -> (Vec<Unroutable>, usize) {
    let reports = host.facts.iter().filter_map(|entry| match &entry.event {
        Event::Control(ControlEvent::Unroutable(work)) => Some((**work).clone()),
        _ => None,
    });
    let ended = |event: &Event| matches!(event, Event::Control(ControlEvent::Routable { .. }));
    (reports.collect(), host.facts.iter().filter(|entry| ended(&entry.event)).count())
}

fn tick(host: &mut Host) -> (Vec<Unroutable>, usize) {
    host.say(Command::Tick).unwrap();
    told(host)
}

fn lack(host: &mut Host) -> String {
    let (reports, _) = tick(host);
    assert_eq!(reports.len(), 1, "{reports:?}");
    reports[0].lack.to_string()
}

#[test]
fn a_misspelt_kind_is_reported_at_once_with_a_suggestion() {
    let mut host = host(Config::default());
    host.join(agent(1).with_skill("reserve", 1));
    host.submit(needing(7, "resreve"));
    assert_eq!(host.scheduler.next_wakeup(), Some(host.now), "the report is due at once");
    let (reports, _) = tick(&mut host);
    let says = "no agent can perform t7 of kind `resreve`: no agent has skill `resreve`; did you mean `reserve`?";
    assert_eq!(reports.iter().map(ToString::to_string).collect::<Vec<_>>(), [says]);
    assert_eq!(host.scheduler.unroutable().collect::<Vec<_>>(), reports);
    assert_eq!((tick(&mut host), host.scheduler.next_wakeup()), ((Vec::new(), 0), None), "it is reported once");
}

#[test]
fn an_agent_that_registers_later_ends_the_report() {
    let mut host = host(Config::default());
    host.join(agent(1));
    host.submit(needing(1, "paint"));
    host.submit(needing(2, "paint"));
    assert_eq!(told(&host).0.len(), 1);
    assert_eq!((tick(&mut host).0, host.scheduler.unroutable().next().unwrap().tasks), (Vec::new(), 2));
    host.join(agent(2).with_skill("paint", 1));
    assert_eq!(host.running(1).1.agent(), agent_id(2));
    assert_eq!((told(&host).1, host.scheduler.unroutable().count()), (1, 0));
    assert!(!serde_json::to_string(&host.scheduler.snapshot()).unwrap().contains("unroutable"));
    // Another one for the same requirements.
    host.leave(2);
    assert_eq!(tick(&mut host).0.len(), 1, "the only agent of the other task is gone");
}

#[test]
fn a_report_ends_when_none_of_its_tasks_waits() {
    let mut host = host(Config::default());
    host.join(agent(1));
    host.submit(needing(1, "paint"));
    tick(&mut host);
    host.cancel(1).unwrap();
    assert_eq!((told(&host), host.scheduler.next_wakeup()), ((Vec::new(), 1), None));
}

#[test]
fn without_agents_and_with_agents_that_leave_the_report_waits() {
    let mut host = host(reporting(MINUTE, None));
    host.submit(needing(1, "paint"));
    assert_eq!(host.scheduler.next_wakeup(), Some(host.now + MINUTE));
    host.wait(MINUTE - ms(1));
    assert_eq!(told(&host).0, []);
    host.wait(ms(1));
    assert_eq!(told(&host).0[0].lack, Lack::Agents);
    host.join(agent(1).with_skill("paint", 1));
    assert_eq!(told(&host), (Vec::new(), 1));
    host.submit(needing(2, "paint"));
    host.drain(1);
    assert_eq!(tick(&mut host), (Vec::new(), 0));
    host.wait(MINUTE);
    assert_eq!(told(&host).0[0].lack, Lack::Draining);
    // An agent that could never perform it changes the reason, and not the report.
    host.join(agent(2));
    assert_eq!(tick(&mut host), (Vec::new(), 0));
}

#[test]
fn the_first_agent_that_cannot_makes_the_report_due() {
    let mut host = host(reporting(MINUTE, None));
    host.submit(needing(1, "paint"));
    assert_eq!(tick(&mut host).0, []);
    host.join(agent(1));
    assert_eq!(lack(&mut host), "no agent has skill `paint`");
}

#[test]
fn the_reason_is_the_first_requirement_that_no_agent_meets() {
    let mut host = host(Config::default().with_shared("licence", 2));
    host.join(agent(1).with_skill("paint", 2).with_label("hall", "east").with_amount("memory", 8));
    host.join(agent(2).with_skill("draw", 1).with_label("hall", "west").with_tenant("t1"));
    host.join(agent(3).with_skill("carve", 1).with_capacity(1).with_reserved(1));
    let needs = [
        (Needs::skill("paint").and_skill("paint", 3), "no agent has skill `paint` at level 3"),
        (Needs::skill("paint").and_label("hall", "eats"), "no agent has label `hall` = `eats`; did you mean `east`?"),
        (Needs::skill("paint").and_amount("memory", 9), "no agent has 9 of `memory`"),
        (Needs::skill("paint").and_skill("draw", 1), "no agent meets all its requirements"),
        (Needs::skill("draw"), "the agents that meet its requirements serve other tenants"),
        (Needs::skill("carve"), "the agents that meet its requirements are reserved for the critical tier"),
    ];
    for (id, (needs, says)) in (1..).zip(needs) {
        host.submit(TaskSpec::needing(task_id(id), "work", needs));
        assert_eq!(lack(&mut host), says);
        assert_eq!(host.scheduler.waits_for(task_id(id)), Some(TaskWait::NoAgent));
    }
    let mut excluding = needing(20, "paint");
    excluding.affinity = Some(Box::new(Affinity::default().with_not_agents([agent_id(1)])));
    host.submit(excluding);
    assert_eq!(lack(&mut host), "it excludes the agents that meet its requirements");
    // A task of the critical tier may use what is reserved.
    host.submit(needing(21, "carve").with_tier(Tier::Critical));
    assert_eq!(host.holder(21), 3);
}

/// A host may restart with less of a shared resource than the tasks that it has accepted need.
#[test]
fn more_of_a_shared_resource_than_there_is_is_reported() {
    let mut host = host(Config::default().with_shared("licence", 2));
    let by = host.join(agent(1));
    for id in [1, 2] {
        host.submit(TaskSpec::needing(task_id(id), "work", Needs::nothing().and_shared("licence", 2)));
    }
    let config = || Config::default().with_shared("licence", 1);
    let mut smaller = Host::over(Scheduler::restore(config(), None, &host.journal).unwrap());
    smaller.say(Command::complete(by, host.running(1).0, Payload::NULL)).unwrap();
    assert_eq!(smaller.scheduler.waits_for(task_id(2)), Some(TaskWait::NoAgent));
    let reasons: Vec<String> = smaller.scheduler.unroutable().map(|work| work.lack.to_string()).collect();
    assert_eq!(reasons, ["it needs 2 of `licence`, and there are 1"]);
}

#[test]
fn tasks_without_an_agent_expire_if_they_are_to_fail() {
    let mut host = host(reporting(MINUTE * 9, Some(MINUTE)));
    host.submit(needing(1, "paint"));
    host.wait(ms(30_000));
    host.submit(needing(2, "paint"));
    host.submit(needing(3, "paint").with_tier(Tier::Critical));
    assert_eq!(host.scheduler.next_wakeup(), Some(host.now + ms(30_000)));
    host.wait(ms(30_000));
    let (reports, ended) = told(&host);
    assert_eq!((reports.len(), reports[0].tasks, ended), (1, 2, 1), "a group is reported before its tasks expire");
    for id in [1, 2] {
        let outcome =
            host.scheduler.task(task_id(id)).and_then(|task| task.outcome()).map(|(outcome, _)| outcome.clone());
        assert_eq!(outcome, Some(TaskOutcome::Expired(Bound::Unroutable)));
    }
    assert!(host.scheduler.waits_for(task_id(3)).is_some(), "those of the critical tier are a group of their own");
    host.wait(ms(30_000));
    assert_eq!((told(&host).0.len(), host.scheduler.waits_for(task_id(3))), (1, None));
    assert_eq!(host.scheduler.next_wakeup(), None);
}

/// A task that fails at its only agent waits for another attempt; when the agent leaves, it has none.
#[test]
fn agents_that_a_task_avoids_do_not_matter() {
    let mut host = host(reporting(MINUTE, None));
    host.join(agent(1).with_skill("paint", 1));
    host.submit(needing(1, "paint"));
    host.submit(needing(2, "paint"));
    host.fail(1, Failure::transient("again"));
    host.leave(1);
    host.wait(ms(1_000));
    host.wait(MINUTE);
    let (reports, _) = told(&host);
    assert_eq!(reports.iter().map(|work| work.tasks).collect::<Vec<_>>(), [2], "one report about both");
}

#[test]
fn a_restored_scheduler_does_not_repeat_a_report_and_keeps_the_time_of_others() {
    let config = || reporting(MINUTE, None);
    let mut host = host(config());
    host.submit(needing(1, "paint"));
    host.wait(ms(20_000));
    host.join(agent(1).with_skill("draw", 1));
    tick(&mut host);
    host.submit(needing(2, "draw"));
    host.submit(needing(3, "draw"));
    host.drain(1);
    let snapshot = host.snapshot();
    for restored in [
        Scheduler::restore(config(), None, &host.journal).unwrap(),
        Scheduler::restore(config(), Some(&snapshot), []).unwrap(),
    ] {
        let mut again = Host::over(restored);
        again.now = host.now;
        let mut out = Outbox::default();
        again.scheduler.resume(again.now, &mut out);
        assert_eq!((out.entries(), again.scheduler.snapshot()), (&[][..], snapshot.clone()));
        assert_eq!(again.scheduler.unroutable().map(|work| work.task).collect::<Vec<_>>(), [task_id(1)]);
        assert_eq!(again.scheduler.next_wakeup(), Some(host.now + MINUTE));
        assert_eq!(tick(&mut again), (Vec::new(), 0));
        again.wait(MINUTE);
        let (reports, ended) = told(&again);
        assert_eq!((reports.len(), ended, reports[0].task, reports[0].since), (1, 0, task_id(3), host.now));
        again.join(agent(2).with_skill("draw", 1).with_skill("paint", 1).with_capacity(9));
        assert_eq!(told(&again).1, 2, "the reports of before and after the restart end");
    }
}

/// The classes of tasks have other places after a restore: here that of `b` is the first only in the scheduler that has
/// performed a task of it before.
#[test]
fn tasks_that_lose_their_agent_at_once_are_reported_in_the_same_order_after_a_restore() {
    let mut host = host(reporting(MINUTE, None));
    host.join(agent(1).with_skill("a", 1).with_skill("b", 1));
    for (id, kind) in [(1, "b"), (2, "a"), (3, "b")] {
        host.submit(needing(id, kind));
    }
    let snapshot = host.snapshot();
    let restored = Scheduler::restore(reporting(MINUTE, None), Some(&snapshot), []).unwrap();
    let mut again = Host::over(restored);
    again.now = host.now;
    for host in [&mut host, &mut again] {
        host.leave(1);
        host.wait(MINUTE);
    }
    let needs = |host: &Host| told(host).0.iter().map(|work| work.needs.to_string()).collect::<Vec<_>>();
    assert_eq!(
        (needs(&host), needs(&again)),
        (vec!["a".to_owned(), "b".to_owned()], vec!["a".to_owned(), "b".to_owned()])
    );
    assert_eq!(host.snapshot(), again.snapshot());
}

/// A crash may cut the journal before a report that is due, or before its end: the restored scheduler makes up for it.
#[test]
fn a_report_that_a_crash_cut_off_is_made_up_for() {
    let mut host = host(Config::default());
    host.join(agent(1));
    host.submit(needing(1, "paint"));
    let due = host.journal.len();
    tick(&mut host);
    host.join(agent(2).with_skill("paint", 1));
    assert_eq!(told(&host).1, 1);
    let registered = host.journal.len() - 1;
    for (cut, reports) in [(due, 1), (registered, 0)] {
        let mut restored = Scheduler::restore(Config::default(), None, &host.journal[..cut]).unwrap();
        let mut out = Outbox::default();
        restored.resume(host.now, &mut out);
        assert_eq!((out.entries().len(), restored.unroutable().count()), (1, reports), "{:?}", out.entries());
        assert_eq!(restored.check(), Ok(()));
    }
}

/// A host may restart with another skill map, under which tasks have agents that had none, or have none any more.
#[test]
fn a_restart_with_another_skill_map_ends_reports_and_makes_others() {
    use counterpoint::routing::SkillMap;
    let narrow = || Config::default();
    let wide = || Config::default().with_skills(SkillMap::default().with_category("art", ["paint"]));
    let mut host = host(narrow());
    host.join(agent(1).with_skill("art", 1));
    host.submit(needing(1, "paint"));
    assert_eq!(tick(&mut host).0.len(), 1);
    let snapshot = host.snapshot();
    for restored in [Scheduler::restore(wide(), None, &host.journal), Scheduler::restore(wide(), Some(&snapshot), [])] {
        let mut again = Host::over(restored.unwrap());
        let mut out = Outbox::default();
        again.scheduler.resume(again.now, &mut out);
        again.journal = host.journal.iter().chain(out.entries()).cloned().collect();
        let ended = |entry: &Entry| matches!(entry.event, Event::Control(ControlEvent::Routable { .. }));
        assert_eq!(out.entries().iter().filter(|entry| ended(entry)).count(), 1, "{:?}", out.entries());
        assert_eq!((again.holder(1), tick(&mut again)), (1, (Vec::new(), 0)));
        // And back: the journal contains an end that the narrow map does not give.
        again.submit(needing(2, "paint"));
        let mut back = Host::over(Scheduler::restore(narrow(), None, &again.journal).unwrap());
        assert_eq!((tick(&mut back).0.len(), back.scheduler.check()), (1, Ok(())));
    }
}

/// The work of a call depends on the number of groups that are due, and not on the number of tasks.
#[test]
fn a_hundred_thousand_tasks_of_one_kind_are_one_report() {
    let mut engine = Engine::new(reporting(MINUTE, None));
    let (mut out, now) = (Outbox::default(), counterpoint::Time::ZERO);
    engine.handle(now, Command::register(agent(1).with_skill("reserve", 1)), &mut out).unwrap();
    for id in 1..=100_000 {
        engine.handle(now, Command::submit(needing(id, "resreve")), &mut out).unwrap();
    }
    let reports = out.entries().iter().filter(|entry| matches!(entry.event, Event::Control(_))).count();
    assert_eq!((reports, engine.unroutable().count()), (1, 1));
    assert_eq!(engine.unroutable().next().unwrap().tasks, 100_000);
    out.clear();
    // The agent that can perform them is registered, leaves and comes back: the tasks are not visited.
    for round in 0..3 {
        engine.handle(now, Command::register(AgentSpec::new(agent_id(2)).with_skill("resreve", 1)), &mut out).unwrap();
        assert!(engine.work() < 1_000, "round {round}: {}", engine.work());
        engine.handle(now, Command::Tick, &mut out).unwrap();
        assert!(engine.work() < 1_000, "round {round}: {}", engine.work());
        engine.handle(now, counterpoint::AgentCommand::Deregister { agent: agent_id(2) }.into(), &mut out).unwrap();
        engine.handle(now, Command::Tick, &mut out).unwrap();
        assert!(engine.work() < 1_000, "round {round}: {}", engine.work());
    }
    assert!(engine.unroutable().next().unwrap().tasks > 99_990, "few were assigned and wait for their next attempt");
}

/// The expiry of many tasks is divided into calls.
#[test]
fn many_tasks_without_an_agent_expire_in_bounded_calls() {
    let config = reporting(MINUTE, Some(MINUTE));
    let bound = u64::from(config.limits().work_per_call);
    let mut engine = Engine::new(config);
    let (mut out, mut now) = (Outbox::default(), counterpoint::Time::ZERO);
    for id in 1..=20_000 {
        engine.handle(now, Command::submit(needing(id, "paint")), &mut out).unwrap();
    }
    now = now + MINUTE;
    let mut calls = 0;
    while engine.next_wakeup().is_some_and(|at| at <= now) {
        out.clear();
        engine.handle(now, Command::Tick, &mut out).unwrap();
        assert!(engine.work() < bound + 30_000, "{}", engine.work());
        calls += 1;
    }
    assert_eq!((engine.queued(), engine.check()), ([0; 4], Ok(())));
    assert!(calls > 10, "{calls} calls");
}
