//! Runs move to another definition: what goes on, what is refused, and the way back.

use crate::flow::{RUN, World, flow, json, step, undoable, work};
use counterpoint::definition::{
    Action, Body, Condition, Definition, Expr, Handler, Join, Link, Map, Milestone, Node, OnFailure, RaceOption,
    Remaining, State, States, Trigger, WaitFor,
};
use counterpoint::engine::EngineSnapshot;
use counterpoint::message::rejected::{Invalid, Misuse, Unknown, WrongState};
use counterpoint::message::{Migration, MigrationTarget, NodeRemedy, NodeStatus, Obstacle, RunPhase};
use counterpoint::{Accepted, Command, Config, Engine, Rejected, RunCommand, RunId, RunOutcome};
use serde_json::{Value, json};
use std::time::Duration;

fn after(name: &str, before: &str) -> Node {
    step(name).with_link(Link::success(before))
}

fn wait(name: &str, signal: &str) -> Node {
    Node::new(name, Action::Wait { signal: Some(signal.into()), timer: None })
}

fn pass(name: &str) -> Node {
    Node::new(name, Action::Pass)
}

fn within(name: &str, nodes: impl IntoIterator<Item = Node>) -> Node {
    let mut inner = flow(nodes);
    inner.name = "inner".into();
    Node::new(name, Action::flow(inner))
}

fn migrate(world: &mut World, migration: Migration) -> Result<Accepted, Rejected> {
    migrate_run(world, RUN, migration)
}

fn migrate_run(world: &mut World, run: RunId, migration: Migration) -> Result<Accepted, Rejected> {
    let dry = world.engine.migration(run, &migration);
    let before = world.engine.snapshot();
    let verdict = world.say(RunCommand::Migrate { run, migration, reason: "better".into() }.into());
    match (&verdict, dry) {
        (Err(refused), Err(said)) => assert_eq!(*refused, said),
        (Err(Rejected::State(WrongState::NotMigratable { obstacles, .. })), Ok(report)) => {
            assert_eq!(*obstacles, report.obstacles)
        }
        (Ok(Accepted::Repeated), Ok(_)) => {}
        (Ok(_), Ok(report)) => assert_eq!(report.obstacles, []),
        other => panic!("{other:?}"),
    }
    if verdict.is_err() {
        assert_eq!(world.engine.snapshot(), before, "what is refused changes nothing");
    }
    verdict
}

/// A run of the first definition, after some events, is to move to the second.
fn obstacles(
    old: impl IntoIterator<Item = Node>,
    input: impl Into<Value>,
    events: impl Fn(&mut World),
    new: impl IntoIterator<Item = Node>,
    said: impl Fn(Migration) -> Migration,
) -> Vec<Obstacle> {
    let mut world = World::running(flow(old), input);
    events(&mut world);
    world.say(Command::define(flow(new).with_version(2))).unwrap();
    match migrate(&mut world, said(Migration::to_version(2))) {
        Ok(_) => Vec::new(),
        Err(Rejected::State(WrongState::NotMigratable { obstacles, .. })) => obstacles,
        Err(other) => panic!("{other}"),
    }
}

fn as_it_is(migration: Migration) -> Migration {
    migration
}

fn nothing(_: &mut World) {}

/// Snapshot, journal and life lead to the same, and to the same from here on.
fn restored(world: &World) {
    let live = serde_json::to_string(&world.engine.snapshot()).unwrap();
    let full = Engine::restore(Config::default(), None, &world.journal).unwrap();
    assert_eq!(serde_json::to_string(&full.snapshot()).unwrap(), live);
    let snapshot: EngineSnapshot = serde_json::from_str(&live).unwrap();
    let from = Engine::restore(Config::default(), Some(&snapshot), []).unwrap();
    assert_eq!(serde_json::to_string(&from.snapshot()).unwrap(), live);
    from.check().unwrap();
}

#[test]
fn what_has_happened_stays_what_is_under_way_goes_on_and_the_rest_is_new() {
    let old = [undoable("a"), after("b", "a"), after("c", "b"), after("never", "c")];
    let new = [
        pass("shift"),
        undoable("first"),
        after("b", "first"),
        after("check", "b"),
        after("c", "check").with_input(Expr::node("first")),
        after("late", "first"),
    ];
    let mut world = World::running(flow(old), 0);
    world.done("a", 7);
    world.say(Command::define(flow(new).with_version(2))).unwrap();
    let report = world.engine.migration(RUN, &Migration::to_version(2).with_renamed("a", "first")).unwrap();
    assert_eq!((report.from.version, report.to.version, report.obstacles), (0, 2, vec![]));
    assert_eq!(report.dropped, ["never"]);
    assert_eq!(report.added, ["shift", "check", "late"]);
    let carried: Vec<String> =
        report.carried.iter().map(|node| format!("{} {} {}", node.from, node.to, node.status)).collect();
    assert_eq!(carried, ["a first succeeded", "b b running", "c c waiting"]);

    let to = Migration::to_version(2).with_renamed("a", "first");
    assert_eq!(migrate(&mut world, to.clone()), Ok(Accepted::Done));
    assert_eq!(migrate(&mut world, to), Ok(Accepted::Repeated));
    restored(&world);
    assert_eq!(world.busy(), ["b", "late"], "what is new and whose turn it is starts at once");
    world.crash();
    world.done("b", 8).done("late", 0).done("check", 9);
    assert_eq!(*world.task("c").payload.value(), json!(7), "outputs go by the new names");
    world.failed("c");
    assert_eq!(world.busy(), ["undo first"], "it is undone as the new definition says");
    world.done("undo first", 0).verify();
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
}

#[test]
fn a_move_can_be_taken_back() {
    let old = [step("a"), after("b", "a"), after("c", "b")];
    let new = [pass("shift"), step("a"), after("b", "a"), after("d", "b")];
    let mut world = World::running(flow(old), 0);
    world.done("a", 1);
    world.say(Command::define(flow(new).with_version(2))).unwrap();
    migrate(&mut world, Migration::to_version(2)).unwrap();
    assert_eq!(world.status("shift"), NodeStatus::Succeeded);
    migrate(&mut world, Migration::to_version(0)).unwrap();
    restored(&world);
    assert!(world.engine.run(RUN).unwrap().node("shift").is_none());
    world.done("b", 2).done("c", 3).verify();
    assert_eq!(world.output(), json!(3));
}

/// A run may have a definition for itself: nodes that have not started are other ones, come or go.
#[test]
fn one_run_can_be_changed_for_itself() {
    let mut world = World::running(flow([step("a"), after("b", "a"), after("c", "b")]), 0);
    let other = step("c").with_link(Link::success("a")).with_input(Expr::value(5));
    let own = flow([step("a"), after("extra", "a"), other]);
    assert_eq!(migrate(&mut world, Migration::to_own(own.clone())), Ok(Accepted::Done));
    restored(&world);
    let listed: Vec<_> = world.engine.definitions().iter().map(|view| (view.is_offered, view.active)).collect();
    assert_eq!(listed.len(), 2);
    assert!(listed.contains(&(true, 0)) && listed.contains(&(false, 1)), "{listed:?}");
    world.done("a", 0);
    assert_eq!(world.busy(), ["extra", "c"]);
    assert_eq!(*world.task("c").payload.value(), json!(5));
    world.crash();
    world.done("extra", 0).done("c", 1).verify();

    let mut stranger = own.clone();
    stranger.name = "other".into();
    let mut world = World::running(flow([step("a")]), 0);
    let unknown = Rejected::Unknown(Unknown::Workflow { name: "other".into(), version: Some(0) });
    assert_eq!(migrate(&mut world, Migration::to_own(stranger)), Err(unknown));
    let unsound = flow([after("a", "nobody")]);
    assert!(matches!(migrate(&mut world, Migration::to_own(unsound)), Err(Rejected::Invalid(Invalid::Unsound { .. }))));
    let unknown = Rejected::Unknown(Unknown::Workflow { name: "flow".into(), version: Some(9) });
    assert_eq!(migrate(&mut world, Migration::to_version(9)), Err(unknown));
    world.cancel().unwrap();
    let halted = Rejected::State(WrongState::RunPhase { run: RUN, phase: RunPhase::Failing });
    assert_eq!(migrate(&mut world, Migration::to_own(own)), Err(halted));
    let gone = RunId::new(9);
    assert_eq!(migrate_run(&mut world, gone, Migration::to_version(0)), Err(Rejected::Unknown(Unknown::Run(gone))));
}

/// Runs within keep what they began with, and move by commands of their own.
#[test]
fn runs_within_move_by_themselves() {
    let new = [pass("shift"), within("in", [step("x"), after("y", "x"), after("z", "y")])];
    let mut world = World::running(flow([within("in", [step("x"), after("y", "x")])]), 0);
    let child = world.child();
    world.say(Command::define(flow(new).with_version(2))).unwrap();
    let within_one = Rejected::Misuse(Misuse::ChildRun { run: child, parent: Some(RUN) });
    assert_eq!(migrate_run(&mut world, child, Migration::to_version(2)), Err(within_one));
    let around = || Migration::to(MigrationTarget::Parent);
    assert_eq!(migrate(&mut world, around()), Err(Rejected::Misuse(Misuse::ChildRun { run: RUN, parent: None })));
    assert_eq!(migrate_run(&mut world, child, around()), Ok(Accepted::Repeated));

    migrate(&mut world, Migration::to_version(2)).unwrap();
    restored(&world);
    let nodes = |world: &World| world.engine.run(child).unwrap().definition().nodes.len();
    assert_eq!(nodes(&world), 2);
    world.crash();
    world.done("x", 1);
    assert_eq!(migrate_run(&mut world, child, around()), Ok(Accepted::Done));
    assert_eq!(nodes(&world), 3);
    restored(&world);
    world.crash();
    world.done("y", 2).done("z", 3).verify();
    assert_eq!(world.output(), json!(3));
}

#[test]
fn timers_decisions_and_maps_go_on_where_they_were() {
    let bell = Node::new("bell", Action::Wait { signal: None, timer: Some(Duration::from_secs(60)) });
    let slow = step("slow").with_handler(Handler::timeout("late", Duration::from_secs(30)));
    let late = step("call").with_link(Link::case("slow", "late"));
    let all = Node::new("all", Action::Map(Map::over(Expr::Input, Body::Task(work("item"))).max_concurrent(1)));
    let old = [bell.clone(), slow.clone(), late.clone(), all.clone()];
    let new = [pass("shift"), all, late, slow, bell, after("end", "all")];
    let mut world = World::running(flow(old), json!([1, 2, 3]));
    world.pass(Duration::from_secs(20));
    world.done("item", 1);
    world.say(Command::define(flow(new).with_version(2))).unwrap();
    migrate(&mut world, Migration::to_version(2)).unwrap();
    world.crash();
    world.pass(Duration::from_secs(10));
    assert!(world.busy().contains(&"slow".to_owned()) && world.stopped.len() == 1, "thirty seconds since it began");
    world.failed("slow").done("call", 0).done("item", 2).done("item", 3);
    world.pass(Duration::from_secs(30));
    assert_eq!(world.status("bell"), NodeStatus::Succeeded);
    world.done("end", 0).verify();
}

#[test]
fn a_paused_run_can_move_and_a_new_definition_can_take_care_of_a_failure() {
    let mut world = World::running(flow([step("a"), after("b", "a")]), 0);
    world.say(RunCommand::Pause { run: RUN, reason: "look".into() }.into()).unwrap();
    world.failed("a");
    let new = flow([step("a"), after("b", "a"), step("mend").with_link(Link::failure("a"))]);
    migrate(&mut world, Migration::to_own(new)).unwrap();
    restored(&world);
    world.crash();
    assert!(world.busy().is_empty());
    world.say(RunCommand::Resume { run: RUN }.into()).unwrap();
    world.done("mend", 3).verify();
    assert_eq!(world.output(), json!(3));
}

#[test]
fn refused_if_the_mapping_is_wrong() {
    let old = || [step("a"), step("b")];
    let found = obstacles(old(), 0, nothing, old(), |to| to.with_renamed("x", "a").with_renamed("a", "y"));
    let unknown = |node: &str| Obstacle::UnknownNode { node: node.into() };
    assert!(found.contains(&unknown("x")) && found.contains(&unknown("y")), "{found:?}");
    let found = obstacles(old(), 0, nothing, [step("a"), step("c")], |to| to.with_renamed("b", "a"));
    assert_eq!(found, [Obstacle::Merged { node: "a".into() }]);
}

#[test]
fn refused_if_something_under_way_would_be_lost_or_has_moved_into_another_scope() {
    let found = obstacles([step("a"), step("b")], 0, nothing, [step("b")], as_it_is);
    assert_eq!(found, [Obstacle::Removed { node: "a".into() }]);
    let found = obstacles([step("a"), step("b")], 0, nothing, [step("a"), step("b")], |to| to.without("a"));
    assert_eq!(found, [Obstacle::Removed { node: "a".into() }]);
    let found = obstacles([step("a")], 0, nothing, [within("in", [step("a")])], as_it_is);
    assert_eq!(found, [Obstacle::ScopeChanged { node: "a".into(), within: "in".into() }]);
}

#[test]
fn refused_if_something_under_way_or_done_would_mean_something_else() {
    let meaning = |node: &str| vec![Obstacle::ActionChanged { node: node.into() }];
    assert_eq!(obstacles([step("a")], 0, nothing, [within("a", [step("x")])], as_it_is), meaning("a"));
    let done = |world: &mut World| {
        world.done("a", 0);
    };
    assert_eq!(obstacles([step("a"), step("b")], 0, done, [pass("a"), step("b")], as_it_is), meaning("a"));
    // Timers, subscriptions, lists.
    let timer = |secs| Node::new("t", Action::Wait { signal: None, timer: Some(Duration::from_secs(secs)) });
    assert_eq!(obstacles([timer(5)], 0, nothing, [timer(6)], as_it_is), meaning("t"));
    assert_eq!(obstacles([wait("w", "go")], 0, nothing, [wait("w", "stop")], as_it_is), meaning("w"));
    let map = |over: Expr| Node::new("m", Action::Map(Map::over(over, Body::Task(work("item")))));
    let list = [map(Expr::Input.at("/a"))];
    assert_eq!(
        obstacles(list, json!({"a": [1], "b": [2]}), nothing, [map(Expr::Input.at("/b"))], as_it_is),
        meaning("m")
    );
    // By other names it is the same.
    let old = [step("a").with_mutex("m"), map(Expr::node("a")).with_link(Link::success("a"))];
    let new = [step("z").with_mutex("m"), map(Expr::node("z")).with_link(Link::success("z"))];
    let listed = |world: &mut World| {
        world.done("a", json!([1]));
    };
    assert_eq!(obstacles(old, 0, listed, new, |to| to.with_renamed("a", "z")), []);
    let states = |other: &str| {
        let states = States::from("x", 9).with(State::new("x").doing(work("x")).then(other)).with(State::new(other));
        [Node::new("s", Action::States(states))]
    };
    assert_eq!(obstacles(states("y"), 0, nothing, states("z"), as_it_is), meaning("s"));
}

#[test]
fn refused_if_handlers_differ() {
    let late = |secs| step("a").with_handler(Handler::timeout("late", Duration::from_secs(secs)));
    let renamed = || step("a").with_handler(Handler::timeout("too late", Duration::from_secs(5)));
    let found = obstacles([late(5)], 0, nothing, [renamed()], as_it_is);
    assert_eq!(found, [Obstacle::HandlersChanged { node: "a".into() }]);
    assert_eq!(obstacles([late(5)], 0, nothing, [late(6)], as_it_is), [], "another time is counted from the begin");
    let found =
        obstacles([step("b"), late(5).with_link(Link::success("b"))], 0, nothing, [step("b"), late(6)], as_it_is);
    assert_eq!(found, [], "it has not begun");
}

#[test]
fn refused_if_what_was_done_could_not_be_undone_any_more() {
    let done = |world: &mut World| {
        world.done("a", 0);
    };
    let lost = vec![Obstacle::CompensationLost { node: "a".into() }];
    assert_eq!(obstacles([undoable("a"), step("b")], 0, done, [step("a"), step("b")], as_it_is), lost);
    assert_eq!(obstacles([undoable("a"), step("b")], 0, done, [step("b")], as_it_is), lost);
    assert_eq!(obstacles([undoable("a"), step("b")], 0, nothing, [step("a"), step("b")], as_it_is), lost);
    assert_eq!(obstacles([step("a"), step("b")], 0, done, [undoable("a"), step("b")], as_it_is), []);
    assert_eq!(obstacles([step("a"), step("b")], 0, done, [step("b")], as_it_is), []);
}

#[test]
fn refused_if_runs_within_would_be_lost() {
    let old = || [within("in", [step("x")]), step("b").with_link(Link::failure("in"))];
    let found = obstacles(
        old(),
        0,
        |world| {
            world.failed("x");
        },
        [step("b")],
        as_it_is,
    );
    assert!(found.contains(&Obstacle::ChildRunsLost { node: "in".into() }), "{found:?}");
}

#[test]
fn refused_if_the_point_of_no_return_moves() {
    let moved = vec![Obstacle::PivotMoved { node: "a".into() }];
    let both = || [step("a"), step("b")];
    assert_eq!(obstacles([step("a").as_pivot(), step("b")], 0, nothing, both(), as_it_is), moved);
    assert_eq!(obstacles(both(), 0, nothing, [step("a").as_pivot(), step("b")], as_it_is), moved);
    let done = |world: &mut World| {
        world.done("a", 0);
    };
    assert_eq!(obstacles([step("a").as_pivot(), step("b")], 0, done, [step("b")], as_it_is), moved);
}

#[test]
fn refused_if_rounds_are_open() {
    let list = || Node::new("m", Action::Map(Map::over(Expr::Input, Body::Task(work("item")))));
    let each = |join| {
        let mut node = Node::new("j", Action::Do(Body::Task(work("j")))).with_join(join).with_input(Expr::Item);
        node.after = vec![Link::each("m")];
        node
    };
    let rounds = Join::Rounds { required: 1, remaining: Remaining::Hold };
    let found = obstacles([list(), each(Join::Each)], json!([1, 2]), nothing, [list(), each(rounds)], as_it_is);
    assert_eq!(found, [Obstacle::JoinChanged { node: "j".into() }]);
    let one = |world: &mut World| {
        world.done("item", 5);
    };
    let mut second = each(Join::Each);
    second.after.push(Link::success("x"));
    let found = obstacles([list(), each(Join::Each)], json!([1, 2]), one, [list(), step("x"), second], as_it_is);
    assert_eq!(found, [Obstacle::JoinChanged { node: "j".into() }]);
    let found =
        obstacles([list(), each(Join::Each)], json!([1, 2]), one, [pass("p"), list(), each(Join::Each)], as_it_is);
    assert_eq!(found, []);
}

#[test]
fn refused_if_signals_would_be_lost() {
    let old = || [step("a"), wait("w", "go").with_link(Link::success("a"))];
    let two = |world: &mut World| {
        (0..2).for_each(|at| {
            world.signal("go", at).unwrap();
        })
    };
    let lost = vec![Obstacle::SignalsLost { signal: "go".into(), kept: 2 }];
    assert_eq!(obstacles(old(), 0, two, [step("a"), wait("w", "stop").with_link(Link::success("a"))], as_it_is), lost);
    let inner = within("w", [wait("x", "go")]).with_link(Link::success("a"));
    assert_eq!(obstacles(old(), 0, two, [step("a"), inner], as_it_is), []);
    let race = Action::Race { options: vec![RaceOption::new("o", WaitFor::signal("go"))] };
    assert_eq!(obstacles(old(), 0, two, [step("a"), Node::new("r", race).with_link(Link::success("a"))], as_it_is), []);
}

#[test]
fn refused_if_it_could_never_have_come_to_that() {
    let turn = |node: &str, after: &str| vec![Obstacle::OrderViolated { node: node.into(), after: Some(after.into()) }];
    // Started before what must now come first.
    assert_eq!(obstacles([step("a"), step("b")], 0, nothing, [step("a"), after("b", "a")], as_it_is), turn("b", "a"));
    let new = [step("n"), after("a", "n"), after("b", "a")];
    let done = |world: &mut World| {
        world.done("a", 0);
    };
    assert_eq!(obstacles([step("a"), after("b", "a")], 0, done, new, as_it_is), turn("a", "n"));
    // Skipped although it would have started.
    let old = [step("a"), step("b").with_link(Link::failure("a")), step("c")];
    let new = [step("a"), after("b", "a"), step("c")];
    assert_eq!(obstacles(old, 0, done, new, as_it_is), turn("b", "a"));
    // Started by a rule that would have had it skipped.
    let any = step("j").with_link(Link::failure("a")).with_link(Link::success("b")).with_join(Join::Any);
    let all = step("j").with_link(Link::failure("a")).with_link(Link::success("b"));
    let both = |world: &mut World| {
        world.done("a", 0).done("b", 0);
    };
    assert_eq!(
        obstacles([step("a"), step("b"), any.clone()], 0, both, [step("a"), step("b"), all], as_it_is),
        turn("j", "a")
    );
    let rule = step("j").with_link(Link::success("a")).with_link(Link::success("b"));
    let rule = rule.with_join(Join::Trigger(Trigger::AnySucceeded));
    assert_eq!(obstacles([step("a"), step("b"), any], 0, both, [step("a"), step("b"), rule], as_it_is), []);
    // Started before the stretch in which it may.
    let between = step("b").with_milestone(Milestone::between("a", "c"));
    let old = [step("a"), step("b"), after("c", "a")];
    assert_eq!(obstacles(old, 0, nothing, [step("a"), between, after("c", "a")], as_it_is), turn("b", "a"));
    // An operator may have a node end before its turn.
    let by_hand = |world: &mut World| {
        let remedy = NodeRemedy::Complete { output: json(1), reason: "by hand".into() };
        world.say(RunCommand::Operate { run: RUN, node: "b".into(), remedy }.into()).unwrap();
    };
    let old = [step("a"), after("b", "a"), after("c", "b")];
    assert_eq!(obstacles(old, 0, by_hand, [step("a"), step("n"), after("b", "n"), after("c", "b")], as_it_is), []);
}

#[test]
fn refused_if_something_would_be_withdrawn_at_once() {
    let done = |world: &mut World| {
        world.done("a", 0);
    };
    let old = || [step("a"), step("b"), after("c", "b")];
    let found = obstacles(old(), 0, done, [step("a").with_cancel("b"), step("b"), after("c", "b")], as_it_is);
    assert_eq!(found, [Obstacle::Cancelled { node: "b".into() }]);
    let join = |rest| {
        let join = Join::Count { required: 1, remaining: rest };
        step("j").with_link(Link::success("a")).with_link(Link::success("b")).with_join(join)
    };
    let found = obstacles(
        [step("a"), step("b"), join(Remaining::Ignore)],
        0,
        done,
        [step("a"), step("b"), join(Remaining::Cancel)],
        as_it_is,
    );
    assert_eq!(found, [Obstacle::Cancelled { node: "b".into() }]);
}

#[test]
fn refused_if_a_failure_is_not_taken_care_of_any_more() {
    let failed = |world: &mut World| {
        world.failed("a");
    };
    let old = [step("a"), step("b").with_link(Link::failure("a")), step("c")];
    let found = obstacles(old, 0, failed, [step("a"), step("c")], |to| to.without("b"));
    assert!(found.contains(&Obstacle::FailureUnhandled { node: "a".into() }), "{found:?}");
}

#[test]
fn refused_if_two_would_be_under_way_that_exclude_each_other() {
    let found =
        obstacles([step("a"), step("b")], 0, nothing, [step("a").with_mutex("m"), step("b").with_mutex("m")], as_it_is);
    assert_eq!(found, [Obstacle::Exclusion { node: "a".into(), other: "b".into() }]);
}

/// What was chosen still holds: the links that are new go by it.
#[test]
fn new_links_go_by_what_was_chosen() {
    let choice = || super::choice("pick", counterpoint::definition::Pick::First, Some("high"));
    let wait = || wait("gate", "go");
    let mut world = World::running(flow([choice(), wait(), step("low").with_link(Link::case("pick", "high"))]), 3);
    assert_eq!(world.status("low"), NodeStatus::Skipped);
    let new = [
        choice(),
        wait(),
        step("low").with_link(Link::case("pick", "high")),
        step("new").with_link(Link::case("pick", "low")),
        step("not").with_link(Link::case("pick", "high")),
    ];
    migrate(&mut world, Migration::to_own(flow(new))).unwrap();
    assert_eq!((world.busy(), world.status("not")), (vec!["new".to_owned()], NodeStatus::Skipped));
    world.done("new", 1).signal("go", 0).unwrap();
    world.verify();
}

#[test]
fn conditions_of_handlers_go_by_the_new_names() {
    let matching = |node: &str| Condition::equal(Expr::Item, Expr::node(node));
    let slow = |node: &str| {
        let mut handler = Handler::signal("stop", "stop");
        handler.on = counterpoint::definition::Boundary::Signal { signal: "stop".into(), matching: matching(node) };
        after("slow", node).with_handler(handler)
    };
    let mut world = World::running(flow([step("a"), slow("a")]), 0);
    world.done("a", 4);
    let new: Definition = flow([pass("shift"), step("b"), slow("b")]);
    migrate(&mut world, Migration::to_own(new).with_renamed("a", "b")).unwrap();
    world.signal("stop", 3).unwrap();
    assert!(world.stopped.is_empty());
    world.signal("stop", 4).unwrap();
    assert_eq!(world.stopped.len(), 1);
}

/// A join that falls short of its number fails whether or not its milestone is reached.
#[test]
fn a_join_that_fell_short_before_its_milestone_is_no_obstacle() {
    let count = Join::Count { required: 1, remaining: Remaining::Ignore };
    let broken = Node::new("broken", Action::Map(Map::over(Expr::Input, Body::Task(work("broken")))));
    let join = pass("join").with_join(count).with_link(Link::success("broken"));
    let join = join.with_milestone(Milestone::between("other", "last"));
    let mut definition = flow([broken, step("other"), join, after("last", "other")]);
    definition.on_failure = OnFailure::Finish;
    let mut world = World::running(definition.clone(), json!("no list"));
    assert_eq!((world.status("join"), world.status("other")), (NodeStatus::Failed, NodeStatus::Running));
    definition.version = 1;
    definition.nodes.push(after("more", "last"));
    let migrate = RunCommand::Migrate { run: RUN, migration: Migration::to_own(definition), reason: "more".into() };
    assert_eq!(world.say(migrate.into()), Ok(Accepted::Done));
    world.crash();
    world.done("other", 0).done("last", 0).done("more", 0);
    world.verify();
}
