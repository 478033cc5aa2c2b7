//! Tasks that take a part of a resource: all of it or nothing, given back whatever happens, never more than there is.

use crate::kit::{Host, agent, host, ms, task, task_id};
use counterpoint::message::rejected::Invalid;
use counterpoint::scheduler::TaskStatus;
use counterpoint::{Command, Config, Failure, Needs, Policy, Rejected, TaskSpec, Tier};

fn heavy(id: u64, memory: u64) -> TaskSpec {
    task(id).with_needs(Needs::skill("work").and_amount("memory", memory))
}

fn licensed(id: u64, licences: u64) -> TaskSpec {
    task(id).with_needs(Needs::skill("work").and_shared("licence", licences))
}

fn running(host: &Host, ids: std::ops::RangeInclusive<u64>) -> Vec<u64> {
    ids.filter(|id| host.status(*id) == TaskStatus::Running).collect()
}

#[test]
fn an_agent_holds_no_more_than_fits_into_it_and_the_light_pass_the_heavy() {
    let mut host = host(Config::default());
    host.join(agent(1).with_capacity(10).with_amount("memory", 16));
    (1..=3).for_each(|id| host.submit(heavy(id, 6)));
    host.submit(heavy(4, 4));
    host.submit(task(5));
    assert_eq!(running(&host, 1..=5), [1, 2, 4, 5]);
    let used: Vec<u64> = host.scheduler.agents().flat_map(|agent| agent.used().map(|(_, used)| used)).collect();
    assert_eq!(used, [16]);
    host.complete(4);
    assert_eq!(running(&host, 1..=5), [1, 2, 5], "four is not six");
    host.complete(1);
    assert_eq!(running(&host, 2..=5), [2, 3, 5]);
}

/// Who could never hold it is not asked; who has room for it is, however busy it looks.
#[test]
fn what_does_not_fit_here_goes_there() {
    let mut host = host(Config::default());
    host.join(agent(1).with_capacity(4).with_amount("memory", 4));
    host.join(agent(2).with_capacity(4).with_amount("memory", 16));
    host.submit(heavy(1, 8));
    host.submit(heavy(2, 8));
    host.submit(heavy(3, 8));
    assert_eq!((host.holder(1), host.holder(2), host.status(3)), (2, 2, TaskStatus::Queued));
    host.submit(heavy(4, 4));
    assert_eq!(host.holder(4), 1);
    let nobody = Needs::skill("work").and_amount("memory", 17);
    assert_eq!(host.scheduler.routability(&nobody), counterpoint::scheduler::Routability::NoAgent);
}

#[test]
fn what_all_share_is_never_overdrawn_and_seen_by_all_agents_when_it_is_back() {
    let mut host = host(Config::default().with_shared("licence", 3));
    host.join(agent(1).with_capacity(2));
    host.join(agent(2).with_capacity(2));
    (1..=3).for_each(|id| host.submit(licensed(id, 1 + id % 2)));
    host.submit(licensed(4, 1).with_tier(Tier::Low));
    assert_eq!(host.scheduler.shared().map(|(_, used, total)| (used, total)).collect::<Vec<_>>(), [(3, 3)]);
    assert_eq!(running(&host, 1..=4), [1, 2]);
    host.complete(1);
    assert_eq!(running(&host, 2..=4), [2, 3]);
    assert_eq!(
        host.say(Command::submit(licensed(5, 4))),
        Err(Rejected::Invalid(Invalid::NeverFits { task: task_id(5), name: "licence".into(), amount: 4, total: 3 }))
    );
    assert!(matches!(
        host.say(Command::submit(task(6).with_needs(Needs::nothing().and_shared("tokens", 1)))),
        Err(Rejected::Invalid(Invalid::NeverFits { total: 0, .. }))
    ));
}

/// It is given back however an attempt ends: a failure, a timeout, a lost agent, a cancellation that nobody answers.
#[test]
fn whatever_ends_an_attempt_gives_back_what_it_took() {
    for how in 0..4 {
        let mut host = host(Config::default().with_shared("licence", 1));
        host.join(agent(1));
        host.join(agent(2));
        host.submit(licensed(1, 1).with_policy(Policy::default().with_attempt_timeout(ms(1_000))));
        host.submit(licensed(2, 1));
        assert_eq!(running(&host, 1..=2), [1]);
        match how {
            0 => host.fail(1, Failure::permanent("no")),
            1 => host.wait(ms(1_000)),
            2 => host.leave(1),
            _ => {
                host.cancel(1).unwrap();
                host.wait(ms(60_000));
            }
        }
        assert_eq!(host.status(2), TaskStatus::Running, "{how}");
    }
}

#[test]
fn what_is_taken_is_taken_after_a_restore() {
    let config = || Config::default().with_shared("licence", 1);
    let mut host = host(config());
    host.join(agent(1).with_capacity(3).with_amount("memory", 8));
    host.submit(licensed(1, 1));
    host.submit(heavy(2, 8));
    let again = counterpoint::Scheduler::restore(config(), Some(&host.snapshot()), []).unwrap();
    let mut host = Host::over(again);
    host.submit(licensed(3, 1));
    host.submit(heavy(4, 1));
    assert_eq!(running(&host, 1..=4), [1, 2]);
    host.complete(1);
    host.complete(2);
    assert_eq!(running(&host, 3..=4), [3, 4]);
}

#[test]
fn names_in_the_declaration_of_an_agent_are_bounded() {
    let mut host = host(Config::default());
    let specs = |name: &str| {
        [
            agent(1).with_amount(name, 1),
            agent(1).with_skill(name, 1),
            agent(1).with_label(name, "a"),
            agent(1).with_label("a", name),
            agent(1).with_tenant(name),
            agent(1).with_name(name),
        ]
    };
    for spec in specs(&"x".repeat(256)) {
        assert!(host.say(Command::register(spec)).is_ok());
    }
    for spec in specs(&"x".repeat(257)) {
        let refused = host.say(Command::register(spec.clone()));
        assert!(
            matches!(refused, Err(Rejected::Invalid(Invalid::TooLarge { limit: 256, .. }))),
            "{spec:?}: {refused:?}"
        );
    }
}

#[test]
fn the_tenants_of_an_agent_are_bounded() {
    let mut host = host(Config::default());
    let confined = |count| (0..count).fold(agent(1), |agent, tenant| agent.with_tenant(format!("t{tenant}")));
    assert!(host.say(Command::register(confined(1_024))).is_ok());
    let refused = host.say(Command::register(confined(1_025)));
    assert!(matches!(refused, Err(Rejected::Invalid(Invalid::TooLarge { limit: 1_024, .. }))), "{refused:?}");
}
