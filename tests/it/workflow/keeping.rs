//! What moves, retries and restores must not lose.

use crate::flow::{RUN, World, flow, step, work};
use counterpoint::definition::{
    Action, Body, Budget, Definition, Expr, Join, Link, Map, Node, Reducer, Remaining, Trigger, Variable,
};
use counterpoint::message::rejected::WrongState;
use counterpoint::message::{Migration, Obstacle};
use counterpoint::task::Usage;
use counterpoint::{Accepted, Command, Failure, Payload, Rejected, RunCommand, RunOutcome};
use serde_json::{Value, json};

fn migrate(world: &mut World, to: Definition) -> Result<Accepted, Rejected> {
    let migration = Migration::to_version(to.version);
    world.say(Command::define(to)).unwrap();
    world.say(RunCommand::Migrate { run: RUN, migration, reason: "better".into() }.into())
}

/// A map that begins when the first of two is there, over what both gave: the other comes while it goes on.
fn early(join: Join) -> Definition {
    let over = Expr::List(vec![Expr::node("a"), Expr::node("b")]);
    let map = Map::over(over, Body::Task(work("item"))).max_concurrent(1);
    let map = Node::new("map", Action::Map(map)).with_join(join);
    let map = map.with_link(Link::success("a")).with_link(Link::success("b"));
    flow([step("a"), step("b"), map])
}

#[test]
fn a_map_behind_an_early_join_goes_over_the_list_that_it_began_with() {
    for join in [Join::Count { required: 1, remaining: Remaining::Ignore }, Join::Trigger(Trigger::AnySucceeded)] {
        for crash in 0..6 {
            let mut world = World::running(early(join), 0);
            let mut step = 0;
            let mut crashes = |world: &mut World| {
                if step == crash {
                    world.crash();
                }
                step += 1;
            };
            crashes(&mut world);
            world.done("a", "first");
            crashes(&mut world);
            world.done("b", "late");
            crashes(&mut world);
            let mut seen: Vec<Value> = Vec::new();
            for _ in 0..2 {
                seen.push(world.task("item").payload.value().clone());
                world.done("item", 0);
                crashes(&mut world);
            }
            assert_eq!(seen, [json!("first"), Value::Null], "a crash after {crash}, {join:?}");
            world.verify();
        }
    }
}

#[test]
fn what_a_node_used_up_is_used_up_when_the_run_moves_on_without_it() {
    let tokens = |tokens: u64| Usage::default().with_tokens(tokens);
    let budget = Budget::default().with_tokens(100).with_attempts(10);
    let mut world = World::running(flow([step("a"), step("b")]).with_budget(budget), 0);
    let attempt = world.attempt("a");
    world.answer_using(attempt, Ok(Payload::NULL), tokens(70)).unwrap();
    let spent = |world: &World| {
        let run = world.engine.run(RUN).unwrap();
        (run.metrics().spent.tokens, run.balance().unwrap().spent.tokens, run.balance().unwrap().spent.attempts)
    };
    assert_eq!(spent(&world), (70, 70, 2));
    migrate(&mut world, flow([step("b")]).with_budget(budget).with_version(1)).unwrap();
    assert_eq!(spent(&world), (70, 70, 2));
    world.crash();
    assert_eq!(spent(&world), (70, 70, 2));
    let text = serde_json::to_string(&world.engine.snapshot()).unwrap();
    let snapshot = serde_json::from_str(&text).unwrap();
    let restored = counterpoint::Engine::restore(counterpoint::Config::default(), Some(&snapshot), []).unwrap();
    assert_eq!(restored.run(RUN).unwrap().metrics().spent.tokens, 70);
    migrate(&mut world, flow([step("b"), step("c")]).with_budget(budget).with_version(2)).unwrap();
    assert_eq!(spent(&world), (70, 70, 3), "and again");
}

#[test]
fn what_was_written_is_not_lost_by_a_move() {
    let writes = |node: Node| node.writing("found", "");
    let found = || Variable::new("found", Reducer::Append);
    let old = flow([writes(step("a")), step("b")]).with_variable(found());
    let begin = || {
        let mut world = World::running(old.clone(), 0);
        world.done("a", "gold");
        world
    };
    let lost = Obstacle::WriteLost { node: "a".into(), variable: "found".into() };
    for new in [flow([step("a"), step("b")]), flow([step("b")]), flow([writes(step("c")), step("b")])] {
        let new = new.with_variable(found()).with_version(1);
        match migrate(&mut begin(), new) {
            Err(Rejected::State(WrongState::NotMigratable { obstacles, .. })) => {
                assert!(obstacles.contains(&lost), "{obstacles:?}")
            }
            other => panic!("{other:?}"),
        }
    }
    // Where there is no such variable any more, there is nothing to lose; nor before anything is written.
    assert_eq!(migrate(&mut begin(), flow([step("a"), step("b")]).with_version(1)), Ok(Accepted::Done));
    let mut world = World::running(old.clone(), 0);
    assert_eq!(
        migrate(&mut world, flow([step("a"), step("b")]).with_variable(found()).with_version(1)),
        Ok(Accepted::Done)
    );
}

#[test]
fn budgets_stay_what_they_are_when_a_failed_run_goes_on() {
    let budget = Budget::default().with_attempts(4);
    let mut world = World::running(flow([step("a").with_budget(budget)]).with_budget(budget), 0);
    let attempt = world.attempt("a");
    world.answer(attempt, Err(Failure::transient("busy"))).unwrap();
    world.sleep();
    world.failed("a");
    assert!(matches!(world.outcome(), RunOutcome::Failed { .. }));
    let left = |world: &World| {
        let run = world.engine.run(RUN).unwrap();
        let (run, node) = (run.balance().unwrap(), run.node("a").unwrap().balance().unwrap());
        assert_eq!(run, node);
        (run.spent.attempts, run.reserved.attempts, run.free().attempts.unwrap())
    };
    assert_eq!(left(&world), (2, 0, 2));
    world.say(RunCommand::Retry { run: RUN, node: None, reason: "mended".into() }.into()).unwrap();
    assert_eq!(left(&world), (3, 1, 0), "two attempts are left, and one of them is under way");
    world.crash();
    assert_eq!(left(&world), (3, 1, 0));
    world.done("a", 1);
    assert_eq!((left(&world), world.output()), ((3, 0, 1), json!(1)));
}
