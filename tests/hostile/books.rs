//! Accounts are exact: what was added is subtracted again, whatever the amounts are.

use crate::draw::{amount, budget, count};
use crate::kit::Host;
use counterpoint::definition::{
    Action, Body, Budget, Definition, Delegate, Expr, Gather, Map, Node, State, States, Work,
};
use counterpoint::message::TaskEvent;
use counterpoint::task::Usage;
use counterpoint::{
    Accepted, AgentId, AgentSpec, AttemptId, Command, Config, Effect, Event, Failure, Incarnation, Needs, Payload,
    Policy, Rejected, Retry, RunId, RunSpec, TaskId, TaskSpec,
};
use proptest::prelude::*;
use serde_json::json;

fn config() -> Config {
    Config::default().with_shared("licence", 1)
}

/// A host with an agent that has many slots.
fn staffed() -> (Host, Incarnation) {
    let mut host = Host::new(config);
    let agent = AgentSpec::new(AgentId::new(1)).with_skill("work", 1).with_skill("gather", 1).with_capacity(64);
    match host.send(Command::register(agent)) {
        Ok(Accepted::Registered(by)) => (host, by),
        other => panic!("{other:?}"),
    }
}

/// The attempts that the last call dispatched.
fn dispatched(host: &Host) -> Vec<AttemptId> {
    let attempts = host.effects.iter().map(|effect| match effect {
        Effect::Dispatch { attempt, .. } => Some(*attempt),
        _ => None,
    });
    attempts.flatten().collect()
}

fn used(host: &Host) -> Vec<Usage> {
    let used = host.journal.iter().map(|entry| match &entry.event {
        Event::Task { event: TaskEvent::Used { usage, .. }, .. } => Some(*usage),
        _ => None,
    });
    used.flatten().collect()
}

const HUGE: Usage = Usage::MAX;

fn over() -> Usage {
    Usage::default().with_cost(u64::MAX).with_tokens(u64::MAX - 1)
}

/// A definition whose estimate no account could add up is rejected, wherever the estimate is.
#[test]
fn an_estimate_above_the_largest_usage_is_rejected() {
    let work = || Work::new("work").with_estimate(Usage::default().with_tokens(HUGE.tokens + 1));
    let task = |work: Work| Action::Do(Body::Task(work));
    let within = || Work::new("work").with_estimate(HUGE);
    let states = States::from("one", 3).with(State::new("one").doing(within()).with_undo(work()).then("end"));
    let nodes = [
        Node::new("n", task(work())),
        Node::new("n", task(within())).with_undo(work()),
        Node::new("n", task(within())).with_query(work()),
        Node::new("n", Action::Map(Map::over(Expr::Input, Body::Task(work())))),
        Node::new("n", Action::Delegate(Delegate::new(work()))),
        Node::new("n", Action::Delegate(Delegate::new(within()).gathered(Gather::Work(work())))),
        Node::new("n", Action::States(states.with(State::new("end")))),
    ];
    let mut host = Host::new(config);
    for node in nodes {
        let answer = host.send(Command::define(Definition::new("flow").with_node(node)));
        let why = answer.expect_err("it is rejected");
        assert!(matches!(why, Rejected::Invalid(_)), "{why}");
        assert!(why.to_string().contains("estimates 9007199254740993 as the tokens of an attempt"), "{why}");
    }
    let sound = Definition::new("flow").with_node(Node::new("n", task(within())));
    assert!(matches!(host.send(Command::define(sound)), Ok(Accepted::Done)));
}

/// A report of an agent is never lost for its usage: the event has the largest usage instead.
#[test]
fn a_reported_usage_is_capped_in_the_event() {
    let (mut host, by) = staffed();
    host.send(Command::submit(TaskSpec::new(TaskId::new(1), "work"))).unwrap();
    let attempt = dispatched(&host)[0];
    assert!(matches!(host.send(Command::complete(by, attempt, Payload::NULL).using(over())), Ok(Accepted::Done)));
    assert_eq!(used(&host), [HUGE]);
    host.restart();
}

/// Work under a budget of any measure, with the largest estimates and usages: live accounts equal those that are computed
/// anew.
#[test]
fn accounts_do_not_drift_at_the_largest_amounts() {
    let budgets = [
        Budget::default().with_attempts(u64::MAX),
        Budget::default().with_cost(u64::MAX),
        Budget::default().with_tokens(u64::MAX).with_cost(1),
        Budget::default().with_attempts(9),
    ];
    for budget in budgets {
        let (mut host, by) = staffed();
        let policy = Policy::default().with_retry(Retry::exponential(
            u32::MAX,
            core::time::Duration::ZERO,
            core::time::Duration::ZERO,
        ));
        let work = Work::new("work").with_estimate(HUGE).with_policy(policy);
        let node =
            Node::new("n", Action::Map(Map::over(Expr::Input, Body::Task(work)).tolerate(9))).with_budget(budget);
        host.send(Command::define(Definition::new("flow").with_budget(budget).with_node(node))).unwrap();
        let run = RunSpec::new(RunId::new(1), "flow").with_input(Payload::new(json!([1, 2, 3, 4])));
        host.send(Command::start(run)).unwrap();
        for round in 0..12 {
            let attempts = dispatched(&host);
            let Some(attempt) = attempts.first() else { break };
            let ends = if round % 2 == 0 {
                Command::fail(by, *attempt, Failure::transient("again"))
            } else {
                Command::complete(by, *attempt, Payload::NULL)
            };
            host.send(ends.using(over())).unwrap();
            for attempt in attempts.iter().skip(1) {
                host.send(Command::complete(by, *attempt, Payload::NULL).using(over())).unwrap();
            }
            host.send(Command::Tick).unwrap();
            host.restart();
        }
    }
}

/// Agents promise shares of a budget that nobody could grant.
#[test]
fn shares_of_the_largest_budgets_add_up() {
    for (granted, asked) in [(u64::MAX, u64::MAX), (u64::MAX, u64::MAX / 2), (10, u64::MAX), (u64::MAX, 0)] {
        let (mut host, by) = staffed();
        let delegate = Delegate::new(Work::new("work")).dropping_excess();
        let budget = Budget::default().with_tokens(granted).with_cost(granted);
        let node = Node::new("n", Action::Delegate(delegate)).with_budget(budget);
        host.send(Command::define(Definition::new("flow").with_node(node))).unwrap();
        host.send(Command::start(RunSpec::new(RunId::new(1), "flow"))).unwrap();
        let part = |number: u32| json!({"kind": "work", "payload": number, "budget": {"tokens": asked, "cost": 1}});
        let answer = json!({"delegate": [part(1), part(2), part(3)]});
        let whole = dispatched(&host)[0];
        host.send(Command::complete(by, whole, Payload::new(answer)).using(over())).unwrap();
        host.restart();
        for attempt in dispatched(&host) {
            let done = Payload::new(json!({"done": 1}));
            host.send(Command::complete(by, attempt, done).using(over())).unwrap();
            host.restart();
        }
    }
}

/// A task that needs nothing of a resource does not count as a user of it.
#[test]
fn a_need_of_zero_is_no_need() {
    let (mut host, by) = staffed();
    for (id, amount) in [(1, 0), (2, 1)] {
        let needs = Needs::skill("work").and_shared("licence", amount).and_amount("memory", 0);
        host.send(Command::submit(TaskSpec::needing(TaskId::new(id), "work", needs))).unwrap();
        if id == 2 {
            let attempt = dispatched(&host)[0];
            host.send(Command::complete(by, attempt, Payload::NULL)).unwrap();
        }
    }
    host.restart();
}

#[derive(Debug, Clone)]
struct Case {
    of_run: Budget,
    of_node: Budget,
    estimate: Usage,
    attempts: u32,
    /// Of each attempt: its usage, and whether it succeeds.
    ends: Vec<(Usage, bool)>,
    items: usize,
}

fn cases() -> impl Strategy<Value = Case> {
    let usage = || (amount(), amount()).prop_map(|(cost, tokens)| Usage::default().with_cost(cost).with_tokens(tokens));
    let estimate = usage().prop_map(|usage| {
        Usage::default().with_cost(usage.cost.min(HUGE.cost)).with_tokens(usage.tokens.min(HUGE.tokens))
    });
    let ends = prop::collection::vec((usage(), any::<bool>()), 1..12);
    (budget(), budget(), estimate, count(), ends, 1_usize..5).prop_map(
        |(of_run, of_node, estimate, attempts, ends, items)| Case { of_run, of_node, estimate, attempts, ends, items },
    )
}

proptest! {
    #![proptest_config(crate::kit::cases(64))]

    /// The engine accepts its own journal, whatever budgets, estimates and usages are. `Host` checks the invariants after
    /// every call, among them that accounts equal the sums over the work.
    #[test]
    fn the_books_balance(case in cases()) {
        let (mut host, by) = staffed();
        let retry = Retry::exponential(case.attempts, core::time::Duration::ZERO, core::time::Duration::ZERO);
        let work = Work::new("work").with_estimate(case.estimate).with_policy(Policy::default().with_retry(retry));
        let map = Map::over(Expr::Input, Body::Task(work)).tolerate(9);
        let node = Node::new("n", Action::Map(map)).with_budget(case.of_node);
        let undo = Work::new("work").with_estimate(case.estimate);
        host.send(Command::define(Definition::new("flow").with_node(node.with_undo(undo)))).unwrap();
        let run = RunSpec::new(RunId::new(1), "flow").with_input(Payload::new(json!(vec![1; case.items])));
        host.send(Command::start(run.with_budget(case.of_run))).unwrap();
        let mut open = dispatched(&host);
        for (usage, succeeds) in case.ends {
            let Some(attempt) = open.pop() else { break };
            let end = if succeeds {
                Command::complete(by, attempt, Payload::NULL)
            } else {
                Command::fail(by, attempt, Failure::transient("again"))
            };
            host.send(end.using(usage)).unwrap();
            open.extend(dispatched(&host));
            host.send(Command::Tick).unwrap();
            open.extend(dispatched(&host));
        }
        host.restart();
        prop_assert!(used(&host).iter().all(|usage| usage.cost <= HUGE.cost && usage.tokens <= HUGE.tokens));
    }
}
