//! Budgets: put aside before work begins, settled when it ends.

use super::map;
use crate::flow::{RUN, World, flow, json as payload, step, tell, undoable, work};
use counterpoint::definition::{Action, Body, Budget, Condition, Definition, Expr, Handler, Link, Node, Repeat, Work};
use counterpoint::engine::Balance;
use counterpoint::message::rejected::Misuse;
use counterpoint::message::{Cause, LimitReached, Measure, Migration, NodeOutcome, NodeStatus, TaskEvent};
use counterpoint::task::{Spending, Usage};
use counterpoint::{
    AgentId, AgentSpec, Command, Event, Failure, Policy, Rejected, Retry, RunCommand, RunOutcome, RunSpec, TaskId,
    TaskSpec, Time,
};
use serde_json::{Value, json};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn attempts(count: u64) -> Budget {
    Budget::default().with_attempts(count)
}

fn tokens(count: u64) -> Usage {
    Usage::default().with_tokens(count)
}

/// A task of one attempt that is expected to use up so much.
fn single(name: &str, estimate: Usage) -> Node {
    Node::new(name, Action::Do(Body::Task(once(name, estimate))))
}

fn once(name: &str, estimate: Usage) -> Work {
    work(name).with_policy(Policy::default().with_retry(Retry::never())).with_estimate(estimate)
}

fn balance(world: &World) -> Balance {
    world.engine.run(RUN).unwrap().balance().unwrap()
}

fn figures(world: &World) -> (u64, u64, u64) {
    let balance = balance(world);
    (balance.reserved.tokens, balance.spent.tokens, balance.free().tokens.unwrap())
}

fn limit(world: &World, node: &str) -> LimitReached {
    match world.engine.run(RUN).unwrap().node(node).unwrap().outcome() {
        Some(NodeOutcome::Failed { limit: Some(limit), .. }) => *limit,
        other => panic!("{node}: {other:?}\n{}", tell(&world.journal)),
    }
}

const OUT_OF_TOKENS: LimitReached = LimitReached::Budget { measure: Measure::Tokens };

#[test]
fn what_may_be_used_up_is_put_aside_and_the_rest_comes_back() {
    let nodes = [single("a", tokens(40)), single("b", tokens(40)), single("c", tokens(40))];
    let mut world = World::running(flow(nodes).with_budget(Budget::default().with_tokens(100)), 0);
    assert_eq!((world.busy().len(), figures(&world)), (2, (80, 0, 20)), "the third waits");
    world.crash();
    assert_eq!((world.busy().len(), figures(&world)), (2, (80, 0, 20)));
    world.answer_using(world.attempt("a"), Ok(payload(1)), tokens(10)).unwrap();
    assert_eq!((world.busy(), figures(&world)), (vec!["b".to_owned(), "c".to_owned()], (80, 10, 10)));
    world.answer_using(world.attempt("b"), Ok(payload(1)), tokens(40)).unwrap();
    world.answer_using(world.attempt("c"), Ok(payload(1)), tokens(1)).unwrap();
    assert_eq!(figures(&world), (0, 51, 49));
    world.verify();
}

/// A node that waits for a reservation is dropped by a migration, and no node has its index any more.
#[test]
fn a_node_that_waits_for_a_reservation_can_be_dropped() {
    let budget = || Budget::default().with_tokens(100);
    let nodes = [single("a", tokens(60)), single("b", tokens(60))];
    let mut world = World::running(flow(nodes).with_budget(budget()), 0);
    assert_eq!(world.busy(), ["a"]);
    let shorter = flow([single("a", tokens(60))]).with_budget(budget()).with_version(2);
    world.say(Command::define(shorter)).unwrap();
    let migration = Migration::to_version(2);
    world.say(RunCommand::Migrate { run: RUN, migration, reason: "shorter".into() }.into()).unwrap();
    assert_eq!((world.busy(), figures(&world)), (vec!["a".to_owned()], (60, 0, 40)));
    world.done("a", 1);
    assert!(matches!(world.outcome(), RunOutcome::Succeeded { .. }));
    world.verify();
}

#[test]
fn when_no_reservation_can_come_back_the_node_fails_with_the_limit() {
    let nodes = [single("a", tokens(60)), single("b", tokens(60)), step("care").with_link(Link::failure("b"))];
    let mut world = World::running(flow(nodes).with_budget(Budget::default().with_tokens(100)), 0);
    world.answer_using(world.attempt("a"), Ok(payload(1)), tokens(50)).unwrap();
    assert_eq!((limit(&world, "b"), world.status("care")), (OUT_OF_TOKENS, NodeStatus::Running));
    world.crash();
    world.done("care", 1).verify();
    let mut world = World::running(flow([single("b", tokens(101))]).with_budget(Budget::default().with_tokens(100)), 0);
    world.verify();
    assert!(matches!(world.outcome().cause(), Some(Cause::Limit { limit: OUT_OF_TOKENS, .. })));
    world.crash();
    assert!(matches!(world.outcome(), RunOutcome::Failed { .. }));
}

#[test]
fn a_run_that_is_out_of_budget_has_its_partial_output() {
    let nodes = [
        undoable("first"),
        single("second", tokens(9)).with_link(Link::success("first")),
        single("third", tokens(9)).with_link(Link::success("second")),
    ];
    let output = Expr::object([("first", Expr::node("first")), ("third", Expr::node("third"))]);
    let mut world = World::running(flow(nodes).with_output(output).with_budget(Budget::default().with_tokens(10)), 0);
    world.done("first", "one");
    world.answer_using(world.attempt("second"), Ok(payload("two")), tokens(9)).unwrap();
    world.done("undo first", 0);
    let expected = json!({"first": "one", "third": null});
    match world.outcome() {
        RunOutcome::Compensated { cause: Cause::Limit { node: Some(node), limit: OUT_OF_TOKENS, partial, .. } } => {
            assert_eq!((node.as_str(), partial.value()), ("third", &expected));
        }
        other => panic!("{other}"),
    }
    world.verify();
}

#[test]
fn a_task_makes_no_more_attempts_than_there_are() {
    let mut world = World::running(flow([step("a")]).with_budget(attempts(2)), 0);
    assert_eq!(
        (world.task("a").policy.retry().attempts, world.task("a").reserved.as_deref().unwrap().attempts),
        (2, 2)
    );
    for _ in 0..2 {
        world.answer(world.attempt("a"), Err(Failure::transient("not now"))).unwrap();
        if world.busy().is_empty() {
            world.sleep();
        }
    }
    assert_eq!((world.status("a"), balance(&world).spent.attempts), (NodeStatus::Failed, 2));
    world.verify();
}

#[test]
fn usage_beyond_the_estimate_overdraws_and_nothing_new_begins() {
    let nodes = [single("a", tokens(10)), single("b", tokens(0)).with_link(Link::success("a"))];
    let mut world = World::running(flow(nodes).with_budget(Budget::default().with_tokens(50)), 0);
    world.answer_using(world.attempt("a"), Ok(payload(1)), tokens(70)).unwrap();
    assert_eq!((figures(&world), limit(&world, "b")), ((0, 70, 0), OUT_OF_TOKENS));
    world.verify();
}

#[test]
fn an_agent_that_names_no_cost_has_that_of_its_rates() {
    let mut world = World::new();
    let rates = AgentSpec::new(AgentId::new(1)).with_cost_per_task(100).with_cost_per_second(7);
    world.say(Command::register(rates)).unwrap();
    let mut world = world.begin(flow([single("a", tokens(0))]).with_budget(Budget::default().with_cost(9_000)), 0);
    world.pass(Duration::from_millis(1_500));
    world.done("a", 1);
    let used = world.journal.iter().filter_map(|entry| match &entry.event {
        Event::Task { event: TaskEvent::Used { usage, .. }, .. } => Some(usage.cost),
        _ => None,
    });
    assert_eq!(used.collect::<Vec<_>>(), [111], "100 and 7 for each second, rounded up");
    assert_eq!(balance(&world).spent.cost, 111);
}

#[test]
fn what_is_cancelled_gives_back_what_it_did_not_use_up() {
    let mut world = World::running(flow([single("a", tokens(40))]).with_budget(Budget::default().with_tokens(100)), 0);
    world.cancel().unwrap();
    assert_eq!(figures(&world), (40, 0, 60), "its agent has not answered");
    world.answer_using(world.attempt("a"), Err(Failure::permanent("stopped")), tokens(15)).unwrap();
    assert_eq!(figures(&world), (0, 15, 85));
    world.verify();
}

#[test]
fn runs_within_draw_from_the_budgets_around_them() {
    let mut inner =
        flow([single("x", tokens(30)), single("y", tokens(30))]).with_budget(Budget::default().with_tokens(100));
    inner.name = "inner".into();
    let nodes =
        [Node::new("sub", Action::flow(inner)).with_budget(Budget::default().with_tokens(40)), single("z", tokens(30))];
    let mut world = World::running(flow(nodes).with_budget(Budget::default().with_tokens(70)), 0);
    assert_eq!((world.busy().len(), figures(&world)), (2, (60, 0, 10)));
    let node = |world: &World| {
        let node = world.engine.run(RUN).unwrap().node("sub").unwrap();
        (node.balance().unwrap().reserved.tokens, node.balance().unwrap().spent.tokens, node.spent().tokens)
    };
    assert_eq!(node(&world), (30, 0, 0));
    world.answer_using(world.attempt("x"), Ok(payload(1)), tokens(5)).unwrap();
    assert_eq!((world.busy().len(), node(&world)), (2, (30, 5, 5)));
    world.crash();
    world.answer_using(world.attempt("y"), Ok(payload(1)), tokens(6)).unwrap();
    world.answer_using(world.attempt("z"), Ok(payload(1)), tokens(7)).unwrap();
    assert_eq!((figures(&world), node(&world)), ((0, 18, 52), (0, 11, 11)));
    let metrics = world.engine.run(RUN).unwrap().metrics();
    assert_eq!((metrics.spent.attempts, metrics.spent.tokens, metrics.ended), (3, 18, Some(world.now)));
    world.verify();
}

#[test]
fn a_child_run_that_is_out_of_budget_passes_the_limit_and_its_output_on() {
    let mut inner = flow([single("x", tokens(30)), single("y", tokens(30)).with_link(Link::success("x"))]);
    inner.name = "inner".into();
    inner.output = Expr::List(vec![Expr::node("x"), Expr::node("y")]);
    let nodes = [
        Node::new("sub", Action::flow(inner)).with_budget(Budget::default().with_tokens(40)),
        step("care").with_link(Link::failure("sub")).with_input(Expr::node("sub")),
    ];
    let mut world = World::running(flow(nodes), 0);
    world.answer_using(world.attempt("x"), Ok(payload("x")), tokens(30)).unwrap();
    assert_eq!(limit(&world, "sub"), OUT_OF_TOKENS);
    assert_eq!(world.task("care").payload.value(), &json!(["x", null]));
    world.done("care", 0).verify();
}

#[test]
fn a_map_out_of_budget_gives_what_is_done() {
    let mut node = map("each", None, 0).with_budget(attempts(2));
    if let Action::Map(map) = &mut node.action {
        map.body = Body::Task(once("each", Usage::default()));
    }
    let nodes = [node, step("care").with_link(Link::failure("each")).with_input(Expr::node("each"))];
    let mut world = World::running(flow(nodes), json!([1, 2, 3]));
    world.done("each", 10);
    world.crash();
    world.done("each", 20);
    assert_eq!(limit(&world, "each"), LimitReached::Budget { measure: Measure::Attempts });
    assert_eq!(world.task("care").payload.value(), &json!([10, 20, null]));
    world.done("care", 0).verify();
}

#[test]
fn the_time_of_a_node_is_over_on_the_clock() {
    let body = Body::Task(work("again"));
    let repeat = Repeat::until(body, Condition::less(Expr::value(5), Expr::Item), 99);
    let nodes = [
        Node::new("r", Action::Repeat(repeat)).with_budget(Budget::default().with_time(MINUTE)),
        step("care").with_link(Link::failure("r")).with_input(Expr::node("r")),
    ];
    let mut world = World::running(flow(nodes), 0);
    world.pass(MINUTE / 2);
    world.done("again", 3);
    world.crash();
    world.sleep();
    assert_eq!((world.now, world.stopped.len()), (Time::ZERO + MINUTE, 1), "what it does is stopped, and awaited");
    world.failed("again");
    assert_eq!(limit(&world, "r"), LimitReached::Budget { measure: Measure::Time });
    world.done("care", 0).verify();
    let asleep = Node::new("w", Action::Wait { signal: Some("never".into()), timer: None });
    let late = asleep.with_budget(Budget::default().with_time(MINUTE)).with_handler(Handler::error("late", []));
    let mut world = World::running(flow([late, step("after").with_link(Link::case("w", "late"))]), 0);
    world.sleep();
    assert_eq!(world.busy(), ["after"]);
    world.done("after", 0).verify();
}

#[test]
fn a_run_past_its_time_limit_fails() {
    let definition = flow([undoable("a"), step("b").with_link(Link::success("a"))])
        .with_output(Expr::node("a"))
        .with_budget(Budget::default().with_time(MINUTE));
    let mut world = World::running(definition.clone(), 0);
    world.done("a", "half");
    world.crash();
    world.sleep();
    world.failed("b").done("undo a", 0);
    let time = LimitReached::Budget { measure: Measure::Time };
    match world.outcome() {
        RunOutcome::Compensated { cause: Cause::Limit { node: None, limit, partial, .. } } => {
            assert_eq!((*limit, partial.value()), (time, &json!("half")));
        }
        other => panic!("{other}"),
    }
    world.verify();
    let mut definition = definition;
    definition.nodes[0].pivot = true;
    let mut world = World::running(definition, 0);
    world.done("a", 1);
    world.pass(MINUTE * 2);
    world.done("b", 2);
    assert_eq!(world.output(), json!(1), "after the pivot there is no way back");
    world.verify();
}

#[test]
fn a_start_can_bound_a_run_further() {
    let mut world = World::new();
    world.say(Command::define(flow([step("a")]).with_budget(attempts(9)))).unwrap();
    world.say(Command::start(RunSpec::new(RUN, "flow").with_budget(attempts(1).with_time(MINUTE)))).unwrap();
    assert_eq!(balance(&world).granted, attempts(1).with_time(MINUTE));
    assert_eq!(world.task("a").policy.retry().attempts, 1);
    world.done("a", 0).verify();
}

#[test]
fn a_report_repeated_after_a_crash_counts_once() {
    let mut world = World::running(flow([single("a", tokens(40))]).with_budget(Budget::default().with_tokens(100)), 0);
    world.answer_using(world.attempt("a"), Ok(payload(1)), tokens(30)).unwrap();
    let cut =
        world.journal.iter().position(|entry| matches!(entry.event, Event::Task { event: TaskEvent::Used { .. }, .. }));
    world.journal.truncate(cut.unwrap() + 1);
    world.crash();
    assert_eq!(figures(&world), (10, 30, 60));
    world.answer_using(world.attempt("a"), Ok(payload(1)), tokens(35)).unwrap();
    assert_eq!(figures(&world), (0, 35, 65), "the last word of an attempt is the whole of it");
    world.verify();
}

#[test]
fn compensations_are_never_held_back_but_count() {
    let nodes = [undoable("a"), single("b", tokens(90)).with_link(Link::success("a"))];
    let mut world = World::running(flow(nodes).with_budget(Budget::default().with_tokens(50)), 0);
    world.answer_using(world.attempt("a"), Ok(payload(1)), tokens(50)).unwrap();
    world.answer_using(world.attempt("undo a"), Ok(Value::Null.into()), tokens(8)).unwrap();
    assert_eq!((figures(&world), balance(&world).spent.attempts), ((0, 58, 0), 1));
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}

#[test]
fn refused_work_that_waits_for_budget_is_not_taken_for_done() {
    let mut retry = Retry::default();
    retry.attempts = 2;
    let body = work("a").with_policy(Policy::default().with_retry(retry)).with_estimate(tokens(25));
    let a = Node::new("a", Action::Do(Body::Task(body))).with_undo(work("undo a"));
    let a = a.with_postcondition(Condition::less(Expr::value(0), Expr::Item));
    let nodes = [single("b", tokens(50)), a, step("c").with_link(Link::success("a"))];
    let mut world = World::running(flow(nodes).with_budget(Budget::default().with_tokens(100)), 0);
    world.answer_using(world.attempt("a"), Ok(payload(-1)), tokens(50)).unwrap();
    assert_eq!(world.busy(), ["b"], "another attempt waits for what b has");
    world.cancel().unwrap();
    world.failed("b").done("undo a", 0);
    assert_eq!(world.engine.run(RUN).unwrap().node("a").unwrap().output(), &Value::Null.into());
    world.verify();
}

#[test]
fn only_the_engine_reserves() {
    let mut world = World::new();
    let mut spec = TaskSpec::new(TaskId::new(5), "x");
    spec.reserved = Some(Box::new(Spending::attempt(Usage::default())));
    assert_eq!(world.say(Command::submit(spec)), Err(Rejected::Misuse(Misuse::ForeignOwner(TaskId::new(5)))));
}

#[test]
fn a_definition_without_budgets_is_written_as_ever() {
    let text = serde_json::to_string(&flow([step("a")])).unwrap();
    for word in ["budget", "estimate", "variables", "writes", "condition"] {
        assert!(!text.contains(word), "{text}");
    }
    let read: Definition = serde_json::from_str(&text).unwrap();
    assert_eq!(read, flow([step("a")]));
}
