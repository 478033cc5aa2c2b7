//! Joins, branches, cancellation, results.

use crate::flow::{RUN, World, flow, json, step, undoable, work};
use counterpoint::definition::{Action, Body, Case, Condition, Definition, Expr, Join, Link, Map, Node, Pick};
use counterpoint::message::{NodeRemedy, NodeStatus, RunPhase};
use counterpoint::scheduler::Routability;
use counterpoint::{Needs, RunCommand, RunOutcome};
use serde_json::json;
use std::sync::Arc;

/// An inclusive choice of which both branches go on; one is withdrawn later, the other fails over to its own handler.
#[test]
fn a_join_starts_when_a_branch_was_skipped_withdrawn_or_taken_twice() {
    let below = |bound: i64| Condition::less(Expr::Item, Expr::value(bound));
    let cases = vec![Case::new("x", below(5)), Case::new("y", below(9)), Case::new("z", below(0))];
    let choose = Action::Choose { pick: Pick::Every, cases, otherwise: None };
    let definition = flow([
        Node::new("which", choose).with_input(Expr::Input),
        step("x").with_link(Link::case("which", "x")),
        step("y").with_link(Link::case("which", "y")),
        step("z").with_link(Link::case("which", "z")),
        // Twice from the same branch: by its end, and by that of what follows it.
        step("x2").with_link(Link::success("x")),
        step("meet")
            .with_link(Link::success("x"))
            .with_link(Link::success("x2"))
            .with_link(Link::success("y"))
            .with_link(Link::success("z"))
            .with_join(Join::Any),
    ]);
    let mut world = World::running(definition, 3);
    world.done("x", 0).done("x2", 0);
    assert_eq!(world.busy(), ["y"]);
    let remedy = NodeRemedy::Skip { reason: "not needed".into() };
    world.say(RunCommand::Operate { run: RUN, node: "y".into(), remedy }.into()).unwrap();
    world.answer(world.attempt("y"), Ok(json(0))).unwrap();
    assert_eq!((world.busy(), world.status("z")), (vec!["meet".to_owned()], NodeStatus::Skipped));
    world.done("meet", 7);
    assert_eq!(world.output(), 7);
    world.verify();
}

#[test]
fn a_waiting_run_lists_what_it_waits_for() {
    let definition = flow([
        step("a"),
        Node::new("word", Action::Wait { signal: Some("go".into()), timer: None }),
        step("b").with_link(Link::success("a")).with_link(Link::success("word")),
    ]);
    let world = World::running(definition, 0);
    let waits = world.engine.run(RUN).unwrap().waits_for();
    assert_eq!(waits.len(), 2, "{waits:?}");
    assert!(waits[0].starts_with("a: task ") && waits[1].contains("go"), "{waits:?}");
}

#[test]
fn cancelling_reaches_every_depth_and_frees_every_slot() {
    let mut innermost = flow([step("deep"), step("deep too")]);
    innermost.name = "innermost".into();
    let mut inner = flow([Node::new("down", Action::flow(innermost)), step("shallow")]);
    inner.name = "inner".into();
    let each = Map::over(Expr::Input, Body::Flow(Arc::new(inner)));
    let mut world = World::running(flow([undoable("first"), Node::new("each", Action::Map(each))]), json!([1, 2]));
    world.done("first", 0);
    assert_eq!(world.busy().len(), 6);
    world.cancel().unwrap();
    assert_eq!(world.stopped.len(), 6, "every attempt is told to stop");
    while let Some(attempt) = world.stopped.iter().next().copied() {
        world.answer(attempt, Err(counterpoint::Failure::permanent("stopped"))).unwrap();
    }
    world.done("undo first", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    let agent = world.engine.agents().next().unwrap();
    assert_eq!((agent.in_flight(), world.engine.outstanding().len()), (0, 0));
    assert!(world.engine.runs().all(|run| run.phase() == RunPhase::Finished));
    world.verify();
}

#[test]
fn one_failure_leaves_siblings_alone_and_results_stand_in_order() {
    let each = Map::over(Expr::Input, Body::Task(work("each"))).tolerate(1);
    let mut world = World::running(flow([Node::new("each", Action::Map(each))]), json!(["a", "b", "c"]));
    let held: Vec<_> = world.held.keys().copied().collect();
    world.answer(held[2], Ok(json("third"))).unwrap();
    world.answer(held[0], Err(counterpoint::Failure::permanent("no"))).unwrap();
    world.answer(held[1], Ok(json("second"))).unwrap();
    assert_eq!(world.output(), json!([null, "second", "third"]));
    world.verify();
}

#[test]
fn branches_at_once_cannot_overwrite_each_other() {
    let definition = flow([
        step("left"),
        step("right"),
        step("both")
            .with_link(Link::success("left"))
            .with_link(Link::success("right"))
            .with_input(Expr::List(vec![Expr::node("left"), Expr::node("right")])),
    ]);
    let mut world = World::running(definition, 0);
    world.done("right", json!({ "total": 2 })).done("left", json!({ "total": 1 }));
    assert_eq!(world.task("both").payload.value(), &json!([{ "total": 1 }, { "total": 2 }]));
    world.done("both", 0).verify();
}

#[test]
fn what_a_check_refuses_has_not_begun() {
    let fine = vec![Case::new("fine", Condition::Is(Expr::Item.at("/fine")))];
    let gate = Action::Choose { pick: Pick::First, cases: fine, otherwise: Some("refused".into()) };
    let definition = flow([
        step("check"),
        Node::new("gate", gate).with_link(Link::success("check")).with_input(Expr::node("check")),
        step("act").with_link(Link::case("gate", "fine")),
    ]);
    let mut world = World::running(definition, 0);
    assert_eq!(world.busy(), ["check"], "nothing runs beside the check");
    world.done("check", json!({ "fine": false }));
    assert_eq!((world.status("act"), world.held.len()), (NodeStatus::Skipped, 0));
    world.verify();
}

#[test]
fn work_without_an_agent_differs_from_work_that_waits() {
    let mut world = World::running(Definition::new("flow").with_node(Node::new("a", Action::task("alchemy"))), 0);
    assert!(matches!(world.engine.routability(&Needs::skill("alchemy")), Routability::NoAgent));
    assert!(!matches!(world.engine.routability(&Needs::nothing()), Routability::NoAgent));
    // It waits, says so, and goes on when somebody comes who can.
    assert!(world.engine.run(RUN).unwrap().waits_for()[0].starts_with("a: task "));
    let alchemist = counterpoint::AgentSpec::new(counterpoint::AgentId::new(2)).with_skill("alchemy", 1);
    world.say(counterpoint::Command::register(alchemist)).unwrap();
    world.done("alchemy", "gold").verify();
}
