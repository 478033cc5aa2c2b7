//! A task that has not begun says why, and whether that passes by itself.

use crate::kit::{Host, agent, agent_id, host, ms, task, task_id};
use counterpoint::resilience::rate;
use counterpoint::routing::{Candidates, RoutingStrategy};
use counterpoint::scheduler::TaskWait;
use counterpoint::scheduler::{Batch, Quota};
use counterpoint::task::Scope;
use counterpoint::{AgentId, Command, Config, Failure, Needs, Policy, Random, Retry, TaskSpec, Tier, Time};

fn wait(host: &Host, id: u64) -> (TaskWait, bool) {
    let wait = host.scheduler.waits_for(task_id(id)).unwrap();
    let comes = wait.ends_automatically();
    (wait, comes)
}

#[test]
fn a_wait_names_the_agent_or_the_lack_of_one() {
    let mut host = host(Config::default());
    host.submit(task(1));
    assert_eq!(wait(&host, 1), (TaskWait::NoAgent, false));
    let by = host.join(agent(1));
    assert_eq!(wait(&host, 1), (TaskWait::Agent { attempt: host.running(1).0, by, name: None }, true));
    host.submit(task(2));
    assert_eq!(wait(&host, 2), (TaskWait::Room, true));
    host.drain(1);
    assert_eq!(wait(&host, 2), (TaskWait::NoAgent, false), "who drains takes nothing new");
    host.complete(1);
    assert_eq!(host.scheduler.waits_for(task_id(1)), None);
}

#[test]
fn room_that_is_kept_for_others_is_no_room() {
    let mut host = host(Config::default());
    host.join(agent(1).with_reserved(1));
    host.submit(task(1));
    assert_eq!(wait(&host, 1), (TaskWait::NoAgent, false));
    host.submit(task(2).with_tier(Tier::Critical));
    host.submit(task(3).with_tier(Tier::Critical));
    assert_eq!(wait(&host, 1), (TaskWait::NoAgent, false));
    assert_eq!(wait(&host, 3), (TaskWait::Room, true));
}

#[test]
fn a_wait_names_what_is_paused() {
    let mut host = host(Config::default());
    host.join(agent(1));
    let scopes = [Scope::Tenant("acme".into()), Scope::Kind("work".into()), Scope::Agent(agent_id(1))];
    for (id, scope) in (1..).zip(scopes) {
        host.say(Command::pause(scope.clone(), "night")).unwrap();
        host.submit(task(id).with_tenant("acme"));
        assert_eq!(wait(&host, id), (TaskWait::Resume { scope: scope.clone(), reason: "night".into() }, false));
        host.say(Command::resume(scope)).unwrap();
        host.complete(id);
    }
}

#[test]
fn a_wait_names_the_tenant_of_the_quota() {
    let rules = rate::Rules::new(rate::Config::new(1, ms(1_000), 1)).unwrap();
    let config = Config::default()
        .with_tenant("full", Quota::default().with_concurrent(1))
        .with_tenant("slow", Quota::default().with_rate(rules));
    let mut host = host(config);
    host.join(agent(1).with_capacity(9));
    let of = |tenant: &str| Scope::Tenant(tenant.into());
    host.submit(task(1).with_tenant("full"));
    host.submit(task(2).with_tenant("full"));
    assert_eq!(wait(&host, 2), (TaskWait::Quota { scope: of("full"), running: 1, until: None }, true));
    host.submit(task(4).with_tenant("slow"));
    host.submit(task(5).with_tenant("slow"));
    let until = Some(Time::from_secs(1));
    assert_eq!(wait(&host, 5), (TaskWait::Quota { scope: of("slow"), running: 0, until }, true));
}

#[test]
fn a_wait_has_its_time() {
    let mut host = host(Config::default().with_batch("work", Batch::new(2, 4, ms(500))));
    host.join(agent(1));
    host.submit(task(1));
    assert_eq!(wait(&host, 1), (TaskWait::Batch { until: Time::ZERO + ms(500) }, true));
    host.wait(ms(500));
    let retry = Retry::exponential(2, ms(100), ms(100)).with_jitter(counterpoint::task::Jitter::None);
    host.submit(TaskSpec::new(task_id(2), "other").with_policy(Policy::default().with_retry(retry)));
    assert_eq!(wait(&host, 2), (TaskWait::NoAgent, false));
    host.join(agent(2).with_skill("other", 1));
    host.fail(2, Failure::transient("not now"));
    assert_eq!(wait(&host, 2), (TaskWait::Retry { at: Time::ZERO + ms(600) }, true));
    host.submit(TaskSpec::new(task_id(3), "other").with_after([task_id(2)]));
    assert_eq!(wait(&host, 3), (TaskWait::Tasks { unfinished: 1 }, false));
}

#[cfg(feature = "resilience")]
#[test]
fn a_wait_names_the_guard() {
    use counterpoint::resilience::breaker;
    use counterpoint::task::Guard;
    let rules = breaker::Config::default().with_consecutive(1).with_jitter_permille(0).with_open_for(ms(5_000));
    let mut host = host(Config::default().with_breaker(breaker::Rules::new(rules).unwrap()));
    host.join(agent(1).with_capacity(8));
    host.submit(task(1).with_policy(Policy::default().with_retry(Retry::never())));
    host.fail(1, Failure::transient("broken"));
    host.submit(task(2));
    assert_eq!(wait(&host, 2), (TaskWait::Guard { guard: Guard::Breaker, until: Some(Time::from_secs(5)) }, true));
}

#[test]
fn a_wait_names_the_shared_resource_in_use() {
    let mut host = host(Config::default().with_shared("licence", 1));
    host.join(agent(1).with_capacity(2));
    let licensed = |id| task(id).with_needs(Needs::skill("work").and_shared("licence", 1));
    host.submit(licensed(1));
    host.submit(licensed(2));
    assert_eq!(wait(&host, 2), (TaskWait::Resource, true));
}

#[derive(Debug)]
struct Picky;

impl RoutingStrategy for Picky {
    fn name(&self) -> &'static str {
        "picky"
    }

    fn pick(&mut self, _: &TaskSpec, _: &Candidates<'_>, _: &mut Random) -> Option<AgentId> {
        None
    }
}

#[test]
fn a_wait_states_that_the_strategy_chooses_no_agent() {
    let mut host = host(Config::default().with_strategy(Picky));
    host.join(agent(1));
    host.submit(task(1));
    assert_eq!(wait(&host, 1), (TaskWait::Strategy, false));
}
