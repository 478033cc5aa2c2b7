//! Several instances of a step: 12 to 15, 34 to 36.

use super::{after, count, each, run, several};
use crate::flow::{RUN, World, json as payload};
use counterpoint::RunCommand;
use counterpoint::definition::{Completion, Condition, Expr};
use counterpoint::message::{NodeStatus, RunPhase};
use serde_json::json;

fn item(world: &mut World, item: u32, value: i64) {
    let found = world.held.iter().find(|(_, (_, task))| task.kind == "x" && task.owner.unwrap().item == item);
    let attempt = *found.unwrap().0;
    world.answer(attempt, Ok(payload(value))).unwrap();
}

/// 12, without synchronization: the instances run in the same run, and nothing waits for them but its end.
#[test]
fn wcp_12_without_synchronization() {
    let mut world = run(
        [several("all", each("x").with_completion(Completion::when_started())), after("next", &["all"])],
        json!([1, 2, 3]),
    );
    assert_eq!((count(&world, "x"), count(&world, "next")), (3, 1));
    world.done("next", 0);
    assert_eq!(world.phase(), RunPhase::Running);
    world.done("x", 0).done("x", 0).done("x", 0).verify();
}

/// 13, a number known when the workflow is written: all must complete.
#[test]
fn wcp_13_design_time_count() {
    let list = Expr::List(vec![Expr::value(1), Expr::value(2)]);
    let map = counterpoint::definition::Map::over(list, counterpoint::definition::Body::Task(crate::flow::work("x")));
    let mut world = run([several("all", map), after("next", &["all"])], 0);
    assert_eq!(count(&world, "x"), 2);
    world.done("x", 0);
    assert_eq!(count(&world, "next"), 0);
    world.done("x", 0).done("next", 0).verify();
}

/// 14, a number known when the first begins.
#[test]
fn wcp_14_run_time_count() {
    for items in [0, 1, 5] {
        let mut world = run([several("all", each("x")), after("next", &["all"])], json!(vec![0; items]));
        assert_eq!(count(&world, "x"), items);
        for _ in 0..items {
            assert_eq!(count(&world, "next"), 0);
            world.done("x", 0);
        }
        world.done("next", 0).verify();
    }
}

/// 15, an open number: more may come while others run, until it is closed; that decides the race with the last one.
#[test]
fn wcp_15_open_count() {
    let mut world = run([several("all", each("x").open()), after("next", &["all"])], json!([0]));
    world.done("x", 0);
    assert_eq!((world.status("all"), count(&world, "next")), (NodeStatus::Running, 0));
    world.say(RunCommand::Add { run: RUN, node: "all".into(), items: vec![payload(1)] }.into()).unwrap();
    assert_eq!(count(&world, "x"), 1);
    world.say(RunCommand::Close { run: RUN, node: "all".into() }.into()).unwrap();
    let late = RunCommand::Add { run: RUN, node: "all".into(), items: vec![payload(2)] };
    assert!(world.say(late.into()).is_err());
    world.done("x", 1).done("next", 0).verify();
}

/// 34, static partial join: after n of m the run goes on, and the others finish without effect.
#[test]
fn wcp_34_static_partial_join() {
    let mut world = run(
        [several("all", each("x").with_completion(Completion::after(2))), after("next", &["all"])],
        json!([0, 1, 2]),
    );
    item(&mut world, 2, 20);
    assert_eq!(count(&world, "next"), 0);
    item(&mut world, 0, 0);
    assert_eq!((count(&world, "next"), count(&world, "x"), world.stopped.len()), (1, 1, 0));
    world.done("x", 10);
    let output = world.engine.run(RUN).unwrap().node("all").unwrap().output().value().clone();
    assert_eq!(output, json!([0, null, 20]));
    world.done("next", 0).verify();
}

/// 35, cancelling partial join: after n of m the others are cancelled, and the run goes on.
#[test]
fn wcp_35_cancelling_partial_join() {
    let map = each("x").with_completion(Completion::after(1).cancel_rest());
    let mut world = run([several("all", map), after("next", &["all"])], json!([0, 1, 2]));
    item(&mut world, 1, 10);
    assert_eq!(world.stopped.len(), 2);
    world.failed("x").failed("x");
    assert_eq!(world.busy(), ["next"]);
    world.done("next", 0).verify();
}

/// 36, dynamic partial join: what is enough is asked after each, and the number may still grow.
#[test]
fn wcp_36_dynamic_partial_join() {
    let all_and_good = Condition::All(vec![
        Condition::less(Expr::value(5), Expr::Item.at("/last")),
        Condition::less(Expr::value(1), Expr::Item.at("/done")),
    ]);
    let map = each("x").open().with_completion(Completion::when(all_and_good));
    let mut world = run([several("all", map), after("next", &["all"])], json!([0]));
    world.done("x", 9);
    assert_eq!(world.status("all"), NodeStatus::Running, "one is not enough");
    world.say(RunCommand::Add { run: RUN, node: "all".into(), items: vec![payload(1), payload(2)] }.into()).unwrap();
    item(&mut world, 1, 2);
    assert_eq!(world.status("all"), NodeStatus::Running, "the last was not good");
    item(&mut world, 2, 7);
    assert_eq!(world.busy(), ["next"]);
    world.done("next", 0).verify();
}
