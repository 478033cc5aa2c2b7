//! Maps that need not wait for all, that stay open, or tolerate a share; loops tested first, cut short, or bounded.

use crate::flow::{RUN, World, flow, json as payload, step, work};
use counterpoint::definition::{Action, Body, Case, Completion, Condition, Expr, Link, Map, Node, Pick, Repeat};
use counterpoint::message::rejected::WrongState;
use counterpoint::message::{LimitReached, NodeOutcome, NodeStatus, RunPhase};
use counterpoint::{Accepted, Rejected, RunCommand, RunOutcome};
use serde_json::json;

fn mapped(map: Map) -> Node {
    Node::new("all", Action::Map(map)).with_undo(work("undo"))
}

fn each(over: Expr) -> Map {
    Map::over(over, Body::Task(work("each")))
}

fn answer_item(world: &mut World, item: u32, value: i64) {
    let attempt = world.held.iter().find(|(_, (_, task))| task.owner.unwrap().item == item).unwrap();
    let attempt = *attempt.0;
    world.answer(attempt, Ok(payload(value))).unwrap();
}

#[test]
fn a_map_ends_when_enough_is_done_and_the_others_finish_without_effect() {
    let next = step("next").with_link(Link::success("all")).with_input(Expr::node("all"));
    let mut world = World::running(
        flow([mapped(each(Expr::Input).with_completion(Completion::after(2))), next]),
        json!([0, 1, 2, 3]),
    );
    answer_item(&mut world, 3, 30);
    answer_item(&mut world, 1, 10);
    assert_eq!(world.task("next").payload.value(), &json!([null, 10, null, 30]), "in the order of the items");
    assert!(world.stopped.is_empty());
    world.crash();
    world.done("next", 1);
    assert_eq!(world.phase(), RunPhase::Running, "the others are under way");
    answer_item(&mut world, 0, 0);
    world.failed("each");
    assert_eq!(world.output(), json!(1));
    world.verify();
}

#[test]
fn what_a_map_did_not_wait_for_is_undone_all_the_same_if_it_happened() {
    let next = step("next").with_link(Link::success("all"));
    let mut world =
        World::running(flow([mapped(each(Expr::Input).with_completion(Completion::after(1))), next]), json!([0, 1]));
    answer_item(&mut world, 0, 0);
    world.failed("next");
    assert_eq!(world.phase(), RunPhase::Failing, "it is cancelled, and awaited");
    answer_item(&mut world, 1, 1);
    world.done("undo", 0).done("undo", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}

#[test]
fn a_map_that_has_enough_can_cancel_the_others() {
    let map = each(Expr::Input).max_concurrent(3).with_completion(Completion::after(1).cancel_rest());
    let mut world = World::running(flow([mapped(map)]), json!([0, 1, 2, 3, 4]));
    answer_item(&mut world, 1, 10);
    assert_eq!((world.stopped.len(), world.busy().len()), (2, 2), "and no other begins");
    world.crash();
    world.failed("each");
    answer_item(&mut world, 2, 20);
    assert_eq!(
        world.output(),
        json!([null, 10, null, null, null]),
        "what came after its cancellation counts for nothing"
    );
    world.verify();
}

#[test]
fn what_is_enough_is_asked_after_each_item() {
    let good = Condition::less(Expr::value(6), Expr::Item.at("/last"));
    let mut world =
        World::running(flow([mapped(each(Expr::Input).with_completion(Completion::when(good)))]), json!([0, 1, 2]));
    answer_item(&mut world, 0, 5);
    assert_eq!(world.phase(), RunPhase::Running);
    answer_item(&mut world, 2, 7);
    assert_eq!(world.status("all"), NodeStatus::Succeeded);
    answer_item(&mut world, 1, 1);
    assert_eq!(world.output(), json!([5, null, 7]));
    world.verify();
}

#[test]
fn a_map_need_not_wait_for_any() {
    let next = step("next").with_link(Link::success("all"));
    let map = each(Expr::Input).max_concurrent(2).with_completion(Completion::when_started());
    let mut world = World::running(flow([mapped(map), next]), json!([0, 1, 2]));
    assert_eq!(world.busy(), ["each", "each"], "not all have begun");
    answer_item(&mut world, 0, 0);
    assert_eq!(world.busy(), ["each", "each", "next"]);
    world.done("next", 1).done("each", 1).done("each", 1).verify();
}

fn add(world: &mut World, items: &[i64]) -> Result<Accepted, Rejected> {
    let items = items.iter().map(|item| payload(*item)).collect();
    world.say(RunCommand::Add { run: RUN, node: "all".into(), items }.into())
}

fn close(world: &mut World) -> Result<Accepted, Rejected> {
    world.say(RunCommand::Close { run: RUN, node: "all".into() }.into())
}

#[test]
fn an_open_map_takes_items_until_it_is_closed_even_if_all_are_done() {
    let mut world = World::running(flow([mapped(each(Expr::Input).open())]), json!([0]));
    world.done("each", 0);
    assert_eq!(world.phase(), RunPhase::Running, "all that it has is done, but it is open");
    add(&mut world, &[1, 2]).unwrap();
    world.crash();
    assert_eq!(world.busy(), ["each", "each"]);
    world.done("each", 10);
    close(&mut world).unwrap();
    let not_open = Err(Rejected::State(WrongState::NotOpen { run: RUN, node: "all".into() }));
    assert_eq!(add(&mut world, &[3]), not_open);
    assert_eq!(close(&mut world), not_open);
    world.crash();
    world.done("each", 20);
    assert_eq!(world.output(), json!([0, 10, 20]));
    world.verify();
}

#[test]
fn an_open_map_that_has_enough_takes_no_more() {
    let map = each(Expr::Input).open().with_completion(Completion::after(2));
    let mut world = World::running(flow([mapped(map)]), json!([]));
    add(&mut world, &[0, 1]).unwrap();
    world.done("each", 1).done("each", 2);
    assert_eq!(world.output(), json!([1, 2]));
    assert!(add(&mut world, &[3]).is_err());
    world.verify();
}

#[test]
fn a_share_of_the_items_may_fail() {
    for (failures, fails) in [(2, false), (3, true)] {
        let map = each(Expr::Input).tolerate_percent(25);
        let mut world = World::running(flow([mapped(map)]), json!((0..8).collect::<Vec<_>>()));
        for _ in 0..failures {
            world.failed("each");
        }
        while world.busy().contains(&"each".to_owned()) {
            world.done("each", 1);
        }
        while world.busy().contains(&"undo".to_owned()) {
            world.done("undo", 1);
        }
        assert_eq!(world.status("all") != NodeStatus::Succeeded, fails);
        world.verify();
    }
}

#[test]
fn a_loop_that_is_tested_first_may_do_nothing() {
    let below = |bound: i64| Condition::less(Expr::First(vec![Expr::Item, Expr::Input]), Expr::value(bound));
    let again = |bound| Node::new("again", Action::Repeat(Repeat::while_(Body::Task(work("again")), below(bound), 9)));
    let world = World::running(flow([again(0)]), 0);
    assert_eq!(world.output(), json!(null));
    world.verify();
    let mut world = World::running(flow([again(2)]), 0);
    world.done("again", 1);
    world.crash();
    world.done("again", 2);
    assert_eq!(world.output(), json!(2));
    world.verify();
}

#[test]
fn a_loop_that_reaches_its_bound_reports_the_limit_and_keeps_its_output() {
    let again =
        Node::new("again", Action::Repeat(Repeat::until(Body::Task(work("again")), Condition::Is(Expr::Item), 2)));
    let mut world = World::running(
        flow([again, step("care").with_link(Link::failure("again")).with_input(Expr::node("again"))]),
        0,
    );
    world.done("again", 1).done("again", 2);
    let outcome = world.engine.run(RUN).unwrap().node("again").unwrap().outcome().cloned().unwrap();
    assert!(matches!(outcome, NodeOutcome::Failed { limit: Some(LimitReached::Rounds { max: 2 }), .. }));
    assert_eq!(world.task("care").payload.value(), &json!(2));
    world.done("care", 0).verify();
}

/// In a round that is a workflow a stop of its own goes on with the next, and what it gives can be the end of all.
#[test]
fn a_round_can_be_cut_short_and_so_can_the_loop() {
    let mut inner = flow([
        step("look"),
        Node::new(
            "way",
            Action::Choose {
                pick: Pick::First,
                cases: vec![Case::new("skip", Condition::less(Expr::Item, Expr::value(5)))],
                otherwise: Some("go".into()),
            },
        )
        .with_link(Link::success("look"))
        .with_input(Expr::node("look")),
        Node::new("continue", Action::Stop).with_link(Link::case("way", "skip")).with_input(Expr::value(false)),
        step("use").with_link(Link::case("way", "go")),
    ]);
    inner.name = "round".into();
    let until = Condition::Is(Expr::Item);
    let again = Node::new("again", Action::Repeat(Repeat::until(Body::Flow(inner.into()), until, 9)));
    let mut world = World::running(flow([again]), 0);
    world.done("look", 1);
    assert_eq!(world.busy(), ["look"], "the rest of the round was left out");
    world.done("look", 9);
    world.done("use", true);
    assert_eq!(world.output(), json!(true));
    world.verify();
}
