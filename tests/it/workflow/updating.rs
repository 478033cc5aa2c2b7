//! Updates: writing to a variable of a run from outside.

use crate::flow::{RUN, World, flow, json as payload, step};
use counterpoint::definition::{Action, Body, Condition, Definition, Expr, Link, Map, Node, Reducer, Repeat, Variable};
use counterpoint::message::rejected::{Invalid, Overload, Unknown, WrongState};
use counterpoint::message::{Migration, NodeEvent, Obstacle, RunEvent, RunPhase};
use counterpoint::workflow::{Fault, Location, validate};
use counterpoint::{Accepted, Config, Event, Limits, Payload, Rejected, RunCommand, RunId};
use serde_json::{Value, json};

fn update(world: &mut World, variable: &str, value: impl Into<Value>) -> Result<Accepted, Rejected> {
    world.say(RunCommand::Update { run: RUN, variable: variable.into(), value: payload(value) }.into())
}

fn variable(world: &World, name: &str) -> Value {
    world.engine.run(RUN).unwrap().variable(name).unwrap().value().clone()
}

fn refused(wanted: Option<&str>) -> Result<Accepted, Rejected> {
    let wanted = wanted.map(Box::from);
    Err(Rejected::Invalid(Invalid::Update { run: RUN, variable: "v".into(), wanted }))
}

/// First one step, then one that is given the variable.
fn two_steps(variable: Variable) -> Definition {
    let second = step("second").with_link(Link::success("first")).with_input(Expr::variable("v"));
    flow([step("first"), second]).with_variable(variable).with_output(Expr::variable("v"))
}

#[test]
fn later_readers_see_an_update_and_the_last_counts() {
    let address = Variable::new("v", Reducer::Replace).with_initial("Oslo").with_updates(Condition::True);
    let mut world = World::running(two_steps(address), 0);
    assert_eq!(variable(&world, "v"), json!("Oslo"));
    assert_eq!(update(&mut world, "v", "Bergen"), Ok(Accepted::Done));
    world.crash();
    assert_eq!(update(&mut world, "v", "Narvik"), Ok(Accepted::Done));
    world.done("first", 0);
    assert_eq!(world.task("second").payload.value(), &json!("Narvik"));
    update(&mut world, "v", "Alta").unwrap();
    assert_eq!(world.task("second").payload.value(), &json!("Narvik"), "what has begun keeps what it was given");
    world.crash();
    world.done("second", 0);
    assert_eq!(world.output(), json!("Alta"));
    world.verify();
}

#[test]
fn updates_count_after_what_nodes_write_in_the_order_in_which_they_came() {
    let found = Variable::new("v", Reducer::Append).with_updates(Condition::True);
    let mut definition = two_steps(found);
    definition.nodes[0].writes = step("x").writing("v", "").writes;
    let mut world = World::running(definition, 0);
    update(&mut world, "v", "z").unwrap();
    update(&mut world, "v", json!(["b", "c"])).unwrap();
    world.done("first", "a");
    assert_eq!(world.task("second").payload.value(), &json!(["a", "z", "b", "c"]));
    world.done("second", 0);
    world.verify();
}

#[test]
fn what_a_variable_does_not_take_is_refused_and_changes_nothing() {
    let mut world = World::running(
        two_steps(Variable::new("v", Reducer::Sum).with_updates(Condition::Less(Expr::Item, Expr::Input.at("/most"))))
            .with_variable(Variable::new("closed", Reducer::Sum)),
        json!({"most": 5}),
    );
    let before = serde_json::to_string(&world.engine.snapshot()).unwrap();
    assert_eq!(update(&mut world, "v", 5), refused(None));
    assert_eq!(update(&mut world, "v", "four"), refused(Some("a number")));
    for variable in ["closed", "nothing"] {
        let not = Rejected::Unknown(Unknown::Variable { run: RUN, variable: variable.into() });
        assert_eq!(update(&mut world, variable, 1), Err(not));
    }
    let nobody = RunCommand::Update { run: RunId::new(9), variable: "v".into(), value: Payload::NULL };
    assert_eq!(world.say(nobody.into()), Err(Rejected::Unknown(Unknown::Run(RunId::new(9)))));
    assert_eq!(serde_json::to_string(&world.engine.snapshot()).unwrap(), before);
    assert_eq!(update(&mut world, "v", 4), Ok(Accepted::Done));
    assert_eq!(update(&mut world, "v", 3), Ok(Accepted::Done));
    assert_eq!(variable(&world, "v"), json!(7));
    assert!(world.engine.run(RUN).unwrap().variable("nothing").is_none());
    world.done("first", 0).done("second", 0);
    assert_eq!(world.output(), json!(7));
    let over = Rejected::State(WrongState::RunPhase { run: RUN, phase: RunPhase::Finished });
    assert_eq!(update(&mut world, "v", 1), Err(over));
    world.verify();
}

#[test]
fn the_condition_sees_what_there_is_when_the_update_comes() {
    let bid = Variable::new("v", Reducer::Max)
        .with_initial(10)
        .with_updates(Condition::Less(Expr::variable("v"), Expr::Item));
    let mut world = World::running(two_steps(bid), 0);
    for (offer, taken) in [(10, false), (12, true), (11, false), (12, false), (13, true)] {
        assert_eq!(update(&mut world, "v", offer).is_ok(), taken, "{offer}");
    }
    world.done("first", 0).done("second", 0);
    assert_eq!(world.output(), json!(13));
    world.verify();
}

#[test]
fn updates_are_bounded_in_number_and_size() {
    let limits = Limits::default().with_updates(2).with_payload_bytes(20);
    let begin = |reducer| {
        let definition = two_steps(Variable::new("v", reducer).with_updates(Condition::True));
        World::with(limits.clone()).begin(definition, 0)
    };
    let mut world = begin(Reducer::Append);
    update(&mut world, "v", "ten letters").unwrap();
    let wide = update(&mut world, "v", "ten letters").unwrap_err();
    assert!(matches!(wide, Rejected::Invalid(Invalid::TooLarge { limit: 20, .. })), "{wide:?}");
    update(&mut world, "v", 1).unwrap();
    let full = update(&mut world, "v", 2).unwrap_err();
    assert!(matches!(&full, Rejected::Capacity(Overload::AtCapacity { what, .. }) if what == "updates"), "{full:?}");
    world.done("first", 0).done("second", 0);
    world.verify();
    // Of what the last alone counts, one is kept.
    let mut world = begin(Reducer::Replace);
    (0..10).for_each(|value| assert_eq!(update(&mut world, "v", value), Ok(Accepted::Done)));
    assert_eq!(variable(&world, "v"), json!(9));
    world.done("first", 0).done("second", 0);
    world.verify();
}

#[test]
fn a_loop_ends_by_an_update() {
    let body = Body::Task(crate::flow::work("round"));
    let enough = Condition::Equal(Expr::variable("v"), Expr::value("enough"));
    let rounds = Node::new("rounds", Action::Repeat(Repeat::until(body, enough, 9)));
    let word = Variable::new("v", Reducer::Replace).with_updates(Condition::True);
    let mut world = World::running(flow([rounds]).with_variable(word).with_output(Expr::variable("v")), 0);
    world.done("round", 1);
    update(&mut world, "v", "more").unwrap();
    world.done("round", 2);
    world.crash();
    update(&mut world, "v", "enough").unwrap();
    assert_eq!(world.phase(), RunPhase::Running, "the round is not broken off");
    world.done("round", 3);
    assert_eq!(world.output(), json!("enough"));
    world.verify();
}

#[test]
fn a_map_keeps_the_list_that_it_began_with() {
    let map = Map::over(Expr::variable("v"), Body::Task(crate::flow::work("piece"))).max_concurrent(1);
    let list = Variable::new("v", Reducer::Replace).with_initial(json!(["a", "b"])).with_updates(Condition::True);
    let flow = flow([Node::new("pieces", Action::Map(map))]).with_variable(list).with_output(Expr::variable("v"));
    for crash in [false, true] {
        let mut world = World::running(flow.clone(), 0);
        update(&mut world, "v", json!(["c", "d", "e"])).unwrap();
        assert_eq!(world.task("piece").payload.value(), &json!("a"));
        if crash {
            world.crash();
        }
        world.done("piece", 1);
        assert_eq!(world.task("piece").payload.value(), &json!("b"));
        update(&mut world, "v", json!([])).unwrap();
        if crash {
            world.crash();
        }
        world.done("piece", 2);
        assert_eq!(world.output(), json!([]));
        world.verify();
    }
}

#[test]
fn a_function_of_the_host_is_evaluated_again_for_nodes_that_have_not_begun() {
    let config = || {
        Config::default().with_reducer("both", |there: &Payload, written: &Payload| {
            Payload::new(json!([there.value(), written.value()]))
        })
    };
    let word = Variable::new("v", Reducer::Custom("both".into())).with_initial(0).with_updates(Condition::True);
    let mut world = World::set_up(config).begin(two_steps(word), 0);
    update(&mut world, "v", 1).unwrap();
    update(&mut world, "v", 2).unwrap();
    world.done("first", 0);
    world.crash();
    assert_eq!(world.task("second").payload.value(), &json!([[0, 1], 2]));
    update(&mut world, "v", 3).unwrap();
    world.done("second", 0);
    assert_eq!(world.output(), json!([[[0, 1], 2], 3]));
    let reduced = world.journal.iter().filter(|entry| {
        matches!(
            entry.event,
            Event::Node { event: NodeEvent::Reduced { .. }, .. } | Event::Run { event: RunEvent::Reduced { .. }, .. }
        )
    });
    assert_eq!(reduced.count(), 2, "for the second step, and for the output");
    world.verify();
}

#[test]
fn an_update_moves_with_the_run_or_stands_in_the_way() {
    let text = |reducer| Variable::new("v", reducer).with_updates(Condition::True);
    let mut world = World::running(two_steps(text(Reducer::Append)), 0);
    update(&mut world, "v", "a word").unwrap();
    let mut migrate = |definition: Definition| {
        let version = definition.version;
        world.say(counterpoint::Command::define(definition)).unwrap();
        let (migration, reason) = (Migration::to_version(version), "a test".into());
        world.say(RunCommand::Migrate { run: RUN, migration, reason }.into())
    };
    let refused = migrate(two_steps(text(Reducer::Sum)).with_version(1));
    let lost = Obstacle::UpdatesLost { variable: "v".into() };
    assert!(
        matches!(&refused, Err(Rejected::State(WrongState::NotMigratable { obstacles, .. })) if *obstacles == [lost.clone()]),
        "{refused:?}"
    );
    assert_eq!(lost.to_string(), "the variable v would not accept the updates that it has");
    migrate(two_steps(text(Reducer::Append)).with_version(2)).unwrap();
    world.crash();
    world.done("first", 0);
    assert_eq!(world.task("second").payload.value(), &json!(["a word"]));
    world.done("second", 0);
    world.verify();
}

#[test]
fn what_keeps_the_last_alone_is_written_by_nodes_or_from_outside() {
    let mut definition = two_steps(Variable::new("v", Reducer::Replace).with_updates(Condition::True));
    definition.nodes[0].writes = step("x").writing("v", "").writes;
    let unknown = Condition::Is(Expr::variable("nowhere"));
    let definition = definition.with_variable(Variable::new("w", Reducer::Sum).with_updates(unknown));
    let error = validate(&definition, &Limits::default()).unwrap_err();
    let faults: Vec<Fault> = error.findings().iter().map(|finding| finding.fault.clone()).collect();
    assert!(faults.contains(&Fault::WrittenAndUpdated { variable: "v".into() }), "{error}");
    let location = Location::Updates("w".into());
    assert!(
        faults.contains(&Fault::UnknownVariable { location, variable: "nowhere".into(), suggestion: None }),
        "{error}"
    );
}
