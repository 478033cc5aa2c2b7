//! Priorities, retries and timeouts of tasks that come from data.

use crate::flow::{World, flow, step, work};
use counterpoint::definition::{
    Action, Body, Budget, Definition, Delegate, DurableFunction, Expr, Gather, Link, Map, Node, State, States, Work,
};
use counterpoint::message::{NodeOutcome, NodeStatus};
use counterpoint::task::{Code, codes};
use counterpoint::workflow::{Fault, Location, validate};
use counterpoint::{Command, Limits, Policy, Retry, RunId, RunOutcome, RunSpec, TaskSpec, Tier};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

fn expr(text: &str) -> Expr {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn overridden(kind: &str, overrides: &str) -> Work {
    work(kind).overridden_by(expr(overrides))
}

fn node(name: &str, overrides: &str) -> Node {
    Node::new(name, Action::Do(Body::Task(overridden(name, overrides))))
}

fn held(world: &World) -> Vec<Arc<TaskSpec>> {
    world.held.values().map(|(_, spec)| Arc::clone(spec)).collect()
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn settings_from_data_take_the_place_of_those_of_the_work() {
    let retry = Retry::exponential(2, SECOND, SECOND);
    let base = Policy::default().with_retry(retry.clone()).with_attempt_timeout(SECOND).with_queue_timeout(SECOND);
    let work = overridden(
        "a",
        "{tier: inputs.tier, attempts: length(item), attempt_timeout: inputs.within, \
        total_timeout: duration('1h'), queue_timeout: null}",
    )
    .with_policy(base.clone())
    .with_tier(Tier::Low);
    let a = Node::new("a", Action::Do(Body::Task(work))).with_input(expr("inputs.list"));
    let mut world = World::running(flow([a]), json!({"tier": "critical", "within": "5m", "list": [1, 2, 3]}));
    let task = world.task("a").clone();
    assert_eq!(task.tier, Tier::Critical);
    let expected = base.with_retry(retry.with_attempts(3)).with_attempt_timeout(300 * SECOND);
    assert_eq!(task.policy, expected.with_total_timeout(3_600 * SECOND));
    world.crash();
    assert_eq!(world.task("a").policy, task.policy);
    world.done("a", 0);
    assert!(matches!(world.outcome(), RunOutcome::Succeeded { .. }));
    world.verify();
}

#[test]
fn each_item_state_and_part_has_settings_of_its_own() {
    let each = Map::over(Expr::Input, Body::Task(overridden("a", "{attempts: item}")));
    let world = World::running(flow([Node::new("a", Action::Map(each)).with_input(Expr::Item)]), json!([1, 2, 3]));
    let attempts: Vec<u32> = held(&world).iter().map(|task| task.policy.retry().attempts).collect();
    assert_eq!(attempts, [1, 2, 3]);

    let states = States::from("one", 9)
        .with(State::new("one").doing(overridden("one", "{tier: 'high'}")).then("two"))
        .with(State::new("two").doing(overridden("two", "{tier: item.tier}")));
    let mut world = World::running(flow([Node::new("s", Action::States(states))]), Value::Null);
    assert_eq!(held(&world).iter().map(|task| task.tier).collect::<Vec<_>>(), [Tier::High]);
    world.done("one", json!({"tier": "low"}));
    assert_eq!(held(&world).iter().map(|task| task.tier).collect::<Vec<_>>(), [Tier::Low]);
    world.done("two", 0).verify();

    let delegate = Delegate::new(overridden("d", "{attempts: 7}")).to_depth(2);
    let world = World::running(flow([Node::new("d", Action::Delegate(delegate))]), Value::Null);
    assert_eq!(held(&world).first().unwrap().policy.retry().attempts, 7);
}

#[test]
fn a_run_with_a_budget_reserves_the_attempts_that_data_allows() {
    let a = node("a", "{attempts: 9}");
    let mut definition = flow([a]);
    definition.budget = Some(Budget::default().with_attempts(4));
    let mut world = World::running(definition, Value::Null);
    assert_eq!(world.task("a").policy.retry().attempts, 4, "no more than the budget has");
    world.done("a", 0).verify();
}

#[test]
fn a_node_whose_settings_have_no_value_fails_with_a_code() {
    for (overrides, code, message) in [
        ("{tier: inputs.none}", codes::MISSING_VALUE, "the object of its overrides has no value: there is nothing at"),
        ("{tier: 'urgent'}", codes::INVALID_VALUE, "the overrides of its task have a `tier` that is none of critical"),
        ("{attempts: -1}", codes::INVALID_VALUE, "have `attempts` that are no whole number from 0 to 4294967295"),
        ("{timeout: '1s'}", codes::INVALID_VALUE, "the overrides of its task contain the unknown field `timeout`"),
        ("{total_timeout: 'soon'}", codes::INVALID_VALUE, "is neither a duration such as `30s` nor a number"),
        ("item", codes::INVALID_VALUE, "the overrides of its task are not an object"),
    ] {
        let mut world = World::running(flow([node("a", overrides)]), json!({}));
        world.crash();
        let failure = world.outcome().cause().expect("it fails").failure();
        assert_eq!(failure.code.as_ref().map(Code::as_str), Some(code), "{overrides}");
        assert!(failure.message.contains(message), "{overrides}: {}", failure.message);
        world.verify();
    }
}

/// The items under way are cancelled before the node ends, and what is done is compensated.
#[test]
fn an_item_whose_settings_have_no_value_fails_the_map() {
    let each = Map::over(Expr::Input, Body::Task(overridden("a", "{attempts: item.attempts}"))).max_concurrent(2);
    let each = Node::new("a", Action::Map(each)).with_input(Expr::Item).with_undo(work("undo"));
    let input = json!([{"attempts": 1}, {"attempts": 2}, {"attempts": "many"}]);
    let mut world = World::running(flow([each]), input);
    world.done("a", 0);
    world.crash();
    assert_eq!(world.status("a"), NodeStatus::Running, "the second item is cancelled first");
    assert_eq!(world.stopped.len(), 1);
    world.failed("a");
    let run = world.engine.run(crate::flow::RUN).unwrap();
    let outcome = run.node("a").unwrap().outcome().cloned();
    assert!(matches!(outcome, Some(NodeOutcome::Failed { .. })), "{outcome:?}");
    world.done("undo", 0).verify();
}

#[test]
fn only_the_work_of_a_node_has_settings_from_data() {
    let extra = || overridden("extra", "{attempts: 1}");
    let mut gathered = Delegate::new(work("d"));
    gathered.gather = Gather::Work(extra());
    let undone = State::new("s").doing(work("s")).with_undo(extra());
    let of = |what| Fault::OverridesOf { what };
    for (node, fault) in [
        (step("a").with_undo(extra()), of("compensation")),
        (step("a").with_query(extra()), of("query")),
        (Node::new("a", Action::Delegate(gathered)), of("gathering task")),
        (Node::new("a", Action::Function(DurableFunction::new(extra()))), of("function")),
        (Node::new("a", Action::States(States::from("s", 2).with(undone))), of("compensation")),
    ] {
        let error = validate(&flow([node]), &Limits::default()).unwrap_err();
        let found: Vec<&Fault> = error.findings().iter().map(|finding| &finding.fault).collect();
        assert_eq!(found, [&fault]);
    }
    let early = node("a", "{attempts: b.output}");
    let error = validate(&flow([early, step("b")]), &Limits::default()).unwrap_err();
    let located = |fault: &Fault| matches!(fault, Fault::TooEarly { location: Location::Overrides, .. });
    assert!(error.findings().iter().any(|finding| located(&finding.fault)), "{error}");
}

/// A deployment may change how a task is attempted while runs are under way.
#[test]
fn other_settings_are_a_compatible_change() {
    let with = |overrides: &str| flow([node("a", overrides), step("b").with_link(Link::success("a"))]);
    let (old, new): (Definition, Definition) = (with("{attempts: 2}"), with("{attempts: 3}"));
    let mut world = World::new();
    world.say(Command::define(old)).unwrap();
    world.say(Command::start(RunSpec::new(RunId::new(1), "flow"))).unwrap();
    world.say(Command::define(new)).expect("the same version with other settings");
    world.say(Command::start(RunSpec::new(RunId::new(2), "flow"))).unwrap();
    let attempts: Vec<u32> = held(&world).iter().map(|task| task.policy.retry().attempts).collect();
    assert_eq!(attempts, [2, 3]);
    world.done("a", 0).done("a", 0).done("b", 0).done("b", 0).verify();
}
