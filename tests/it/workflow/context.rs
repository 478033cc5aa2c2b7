//! Variables of a run: no update is lost, and nobody's speed decides what is read.

use crate::flow::{World, flow, json as payload, step, work};
use counterpoint::definition::{
    Action, Body, Case, Condition, Definition, Expr, Link, Map, Node, Pick, Reducer, Variable,
};
use counterpoint::message::rejected::Unknown;
use counterpoint::message::{NodeEvent, NodeStatus, RunPhase};
use counterpoint::workflow::{Fault, Location, validate};
use counterpoint::{Config, Event, Limits, Payload, Rejected, RunOutcome};
use proptest::prelude::*;
use serde_json::{Value, json};

fn variable(name: &str, reducer: Reducer) -> Variable {
    Variable::new(name, reducer)
}

fn faults(definition: &Definition) -> Vec<Fault> {
    let error = validate(definition, &Limits::default()).err();
    error.map_or_else(Vec::new, |error| error.findings().iter().map(|finding| finding.fault.clone()).collect())
}

#[test]
fn writes_count_in_the_order_of_the_definition() {
    let definition = || {
        flow([step("a").writing("found", "/hits"), step("b").writing("found", "/hits")])
            .with_variable(variable("found", Reducer::Append))
            .with_output(Expr::variable("found"))
    };
    for order in [["a", "b"], ["b", "a"]] {
        let mut world = World::running(definition(), 0);
        for kind in order {
            world.done(kind, json!({"hits": [kind, 1]}));
        }
        assert_eq!(world.output(), json!(["a", 1, "b", 1]));
        world.verify();
    }
}

#[test]
fn a_reader_sees_only_writes_before_it() {
    let nodes = [
        step("late").with_link(Link::success("a")).writing("seen", ""),
        step("a").writing("seen", ""),
        step("beside").writing("seen", ""),
        step("reader").with_link(Link::success("a")).with_input(Expr::variable("seen")),
        step("last").with_link(Link::success("late")).with_input(Expr::variable("seen")),
    ];
    let definition = flow(nodes).with_variable(variable("seen", Reducer::Append)).with_output(Expr::variable("seen"));
    let mut world = World::running(definition, 0);
    world.done("beside", "beside").done("a", "a");
    assert_eq!(world.task("reader").payload.value(), &json!(["a"]), "beside is done, but not before it");
    world.crash();
    world.done("late", "late");
    assert_eq!(world.task("last").payload.value(), &json!(["a", "late"]), "what follows counts later");
    world.done("reader", 0).done("last", 0);
    assert_eq!(world.output(), json!(["a", "late", "beside"]));
    world.verify();
}

#[test]
fn each_reducer_puts_writes_together() {
    let cases = [
        (Reducer::Max, json!(3), json!(7), json!(7)),
        (Reducer::Min, json!(3), json!(7), json!(3)),
        (Reducer::Sum, json!(3), json!(7), json!(10)),
        (Reducer::Merge, json!({"x": {"p": 1}}), json!({"x": {"q": 2}}), json!({"x": {"p": 1, "q": 2}})),
        (Reducer::Append, json!("p"), json!("q"), json!(["p", "q"])),
    ];
    for (reducer, a, b, expected) in cases {
        let definition = flow([step("a").writing("v", ""), step("b").writing("v", "")])
            .with_variable(variable("v", reducer))
            .with_output(Expr::variable("v"));
        let mut world = World::running(definition, 0);
        world.done("b", b).done("a", a);
        assert_eq!(world.output(), expected);
    }
}

#[test]
fn a_variable_has_a_beginning_and_a_pointer_to_nowhere_writes_nothing() {
    let definition = flow([step("a").writing("n", "/n").writing("m", "/m")])
        .with_variable(variable("n", Reducer::Sum).with_initial(40))
        .with_variable(variable("m", Reducer::Replace).with_initial("none"))
        .with_output(Expr::List(vec![Expr::variable("n"), Expr::variable("m")]));
    let mut world = World::running(definition, 0);
    world.done("a", json!({"n": 2}));
    assert_eq!(world.output(), json!([42, "none"]));
}

#[test]
fn only_a_node_that_succeeds_has_written() {
    let nodes = [
        step("fails").writing("v", ""),
        step("care").with_link(Link::failure("fails")).writing("v", ""),
        step("skipped").with_link(Link::success("fails")).writing("v", ""),
    ];
    let definition = flow(nodes).with_variable(variable("v", Reducer::Append)).with_output(Expr::variable("v"));
    let mut world = World::running(definition, 0);
    world.failed("fails").done("care", "care");
    assert_eq!(world.output(), json!(["care"]));
    world.verify();
}

#[test]
fn a_value_that_the_reducer_cannot_take_fails_the_node() {
    let nodes = [step("a").writing("n", ""), step("care").with_link(Link::failure("a"))];
    let definition = flow(nodes).with_variable(variable("n", Reducer::Sum)).with_output(Expr::variable("n"));
    let mut world = World::running(definition, 0);
    world.done("a", "three");
    assert_eq!(world.status("a"), NodeStatus::Failed);
    let why = world.engine.run(crate::flow::RUN).unwrap().node("a").unwrap().outcome().unwrap().to_string();
    assert_eq!(why, "failed (permanent (cp.write): the value that it writes to variable `n` is not a number)");
    world.done("care", 0);
    assert_eq!(world.output(), Value::Null);
}

#[test]
fn a_map_over_a_variable_goes_over_what_was_collected() {
    let nodes = [
        step("a").writing("todo", ""),
        step("b").writing("todo", ""),
        Node::new("each", Action::Map(Map::over(Expr::variable("todo"), Body::Task(work("each")))))
            .with_link(Link::success("a"))
            .with_link(Link::success("b")),
    ];
    let mut world = World::running(flow(nodes).with_variable(variable("todo", Reducer::Append)), 0);
    world.done("b", json!([3])).done("a", json!([1, 2]));
    world.crash();
    assert_eq!(world.busy().len(), 3);
    for item in 1..=3 {
        assert_eq!(world.task("each").payload.value(), &json!(item));
        world.done("each", item * 10);
    }
    assert_eq!(world.output(), json!([10, 20, 30]));
    world.verify();
}

#[test]
fn what_grows_beyond_a_payload_fails_its_readers() {
    let nodes = [
        step("a").writing("v", ""),
        step("b").writing("v", "").with_link(Link::success("a")),
        step("reader").with_link(Link::success("b")).with_input(Expr::variable("v")),
    ];
    let definition = flow(nodes).with_variable(variable("v", Reducer::Append)).with_output(Expr::value(1));
    let mut world = World::with(Limits::default().with_payload_bytes(100)).begin(definition, 0);
    world.done("a", "x".repeat(60)).done("b", "y".repeat(60));
    assert_eq!(world.status("reader"), NodeStatus::Failed);
    assert!(matches!(world.outcome(), RunOutcome::Failed { .. }));
}

#[test]
fn a_node_whose_input_does_not_fit_reports_the_size() {
    let nested = Expr::List(vec![Expr::List(vec![Expr::node("a")])]);
    let definition = || flow([step("a"), step("b").with_link(Link::success("a")).with_input(nested.clone())]);
    let limits = Limits::default().with_payload_bytes(100).with_payload_depth(2);
    for (given, why) in
        [(json!([1]), "is nested 3 deep, more than the 2 allowed"), (json!("x".repeat(98)), "100 allowed")]
    {
        let mut world = World::with(limits.clone()).begin(definition(), 0);
        world.done("a", given);
        let told = format!("{:?}", world.outcome());
        assert!(told.contains(why) && told.contains("nested") == why.contains("nested"), "{told}");
    }
}

#[test]
fn two_unordered_nodes_must_not_both_set_a_variable() {
    let replaced = |nodes: Vec<Node>| flow(nodes).with_variable(variable("v", Reducer::Replace));
    let both = replaced(vec![step("a").writing("v", ""), step("b").writing("v", "")]);
    assert_eq!(faults(&both), [Fault::ConcurrentWrites { variable: "v".into(), other: "a".into() }]);
    let b = step("b").writing("v", "").with_link(Link::success("a"));
    assert_eq!(faults(&replaced(vec![step("a").writing("v", ""), b])), []);
    let cases = vec![Case::new("x", Condition::Is(Expr::Item)), Case::new("y", Condition::True)];
    let choose = |pick| Node::new("c", Action::Choose { pick, cases: cases.clone(), otherwise: None });
    let branches = |pick| {
        let [p, q] = [("p", "x"), ("q", "y")].map(|(name, case)| step(name).with_link(Link::case("c", case)));
        let [p2, q2] = ["p", "q"].map(|name| step(&format!("{name}2")).with_link(Link::success(name)).writing("v", ""));
        replaced(vec![choose(pick), p, q, p2, q2])
    };
    assert_eq!(faults(&branches(Pick::First)), [], "only one of the branches is taken");
    let found = faults(&branches(Pick::Every));
    assert_eq!(found, [Fault::ConcurrentWrites { variable: "v".into(), other: "p2".into() }]);
    let or_else = [
        step("a").writing("v", ""),
        step("fine").with_link(Link::success("a")).writing("v", ""),
        step("care").with_link(Link::failure("a")).writing("v", ""),
    ];
    assert_eq!(faults(&replaced(or_else.to_vec())), []);
    let appended = flow([step("a").writing("v", ""), step("b").writing("v", "")]);
    assert_eq!(faults(&appended.with_variable(variable("v", Reducer::Append))), []);
}

#[test]
fn variables_that_make_no_sense_are_faults() {
    let node = step("a").writing("fuond", "").writing("n", "x").with_input(Expr::variable("m"));
    let definition = flow([node])
        .with_variable(variable("found", Reducer::Append))
        .with_variable(variable("n", Reducer::Sum).with_initial("text"))
        .with_variable(variable("n", Reducer::Sum));
    let found = faults(&definition);
    let suggestion = Some("found".into());
    let unknown = Fault::UnknownVariable { location: Location::Writes, variable: "fuond".into(), suggestion };
    assert!(found.contains(&unknown), "{found:?}");
    assert!(found.contains(&Fault::BadPointer { location: Location::Writes, pointer: "x".into() }));
    assert!(found.contains(&Fault::UnknownVariable {
        location: Location::Input,
        variable: "m".into(),
        suggestion: None
    }));
    assert!(found.contains(&Fault::DuplicateVariable { variable: "n".into() }));
    assert!(found.contains(&Fault::InitialValue { variable: "n".into(), wanted: "a number" }));
    let twice = flow([step("a").writing("v", "/x").writing("v", "/y")]).with_variable(variable("v", Reducer::Replace));
    assert_eq!(faults(&twice), [Fault::WritesTwice { variable: "v".into() }]);
}

fn longest() -> Config {
    Config::default().with_reducer("longest", |there: &Payload, written: &Payload| {
        let length = |value: &Payload| value.value().as_str().map_or(0, str::len);
        if length(written) > length(there) { written.clone() } else { there.clone() }
    })
}

fn shortest() -> Config {
    Config::default().with_reducer("longest", |_: &Payload, _: &Payload| Payload::new(json!("wrong")))
}

fn by_host() -> Definition {
    let nodes = [
        step("a").writing("word", ""),
        step("b").writing("word", ""),
        step("reader")
            .with_link(Link::success("a"))
            .with_link(Link::success("b"))
            .with_input(Expr::object([("once", Expr::variable("word")), ("twice", Expr::variable("word"))])),
        step("after").with_link(Link::success("reader")).with_input(Expr::node("reader")),
    ];
    flow(nodes).with_variable(variable("word", Reducer::Custom("longest".into()))).with_output(Expr::variable("word"))
}

#[test]
fn a_reducer_of_the_host_is_called_once_for_each_reader_and_its_answer_is_an_event() {
    let mut world = World::set_up(longest).begin(by_host(), 0);
    world.done("b", "by far the longest").done("a", "short");
    let said = json!("by far the longest");
    assert_eq!(world.task("reader").payload.value(), &json!({"once": said, "twice": said}));
    let facts = world
        .journal
        .iter()
        .filter(|entry| matches!(entry.event, Event::Node { event: NodeEvent::Reduced { .. }, .. }));
    assert_eq!(facts.count(), 1);
    let before = serde_json::to_string(&world.engine.snapshot()).unwrap();
    world.set_up_anew(shortest);
    world.crash();
    assert_eq!(serde_json::to_string(&world.engine.snapshot()).unwrap(), before, "replay asks nobody");
    world.done("reader", 1);
    world.set_up_anew(longest);
    world.crash();
    world.done("after", 1);
    assert_eq!(world.output(), said);
    world.verify();
}

#[test]
fn a_function_that_is_not_there_is_refused_and_a_run_waits_until_it_is_there_again() {
    let mut world = World::new();
    let verdict = world.say(counterpoint::Command::define(by_host()));
    let unknown = Rejected::Unknown(Unknown::Function { workflow: "flow".into(), function: "longest".into() });
    assert_eq!(verdict, Err(unknown));
    let mut world = World::set_up(longest).begin(by_host(), 0);
    world.set_up_anew(Config::default);
    world.crash();
    world.done("b", "bb").done("a", "a");
    assert!(world.busy().is_empty(), "nobody can say what the reader is given");
    assert_eq!(world.phase(), RunPhase::Running);
    let waits = world.engine.run(crate::flow::RUN).unwrap().waits_for();
    assert_eq!(waits[0], "function `longest`, which is not registered or has panicked");
    world.set_up_anew(longest);
    world.crash();
    world.done("reader", 1).done("after", 1);
    assert_eq!(world.output(), json!("bb"));
    world.verify();
}

#[test]
fn a_nested_workflow_has_variables_of_its_own() {
    let mut inner = flow([step("x").writing("v", "").with_input(Expr::variable("v"))])
        .with_variable(variable("v", Reducer::Append))
        .with_output(Expr::variable("v"));
    inner.name = "inner".into();
    let nodes = [
        step("a").writing("v", ""),
        Node::new("sub", Action::flow(inner)).with_link(Link::success("a")).writing("v", ""),
    ];
    let definition = flow(nodes).with_variable(variable("v", Reducer::Append)).with_output(Expr::variable("v"));
    let mut world = World::running(definition, 0);
    world.done("a", 1);
    assert!(world.task("x").payload.is_null());
    world.done("x", 2);
    assert_eq!(world.output(), json!([1, 2]));
    world.verify();
}

/// A graph of tasks, each of which writes its own name; which pairs are linked, by bits.
fn graph(count: usize, links: u64) -> Definition {
    let mut bit = 0;
    let nodes = (0..count).map(|to| {
        let mut node =
            step(&format!("n{to}")).writing("names", "/name").writing("sum", "/n").writing("fields", "/fields");
        node = node.with_input(Expr::variable("names"));
        for from in 0..to {
            bit += 1;
            if links >> (bit % 64) & 1 == 1 {
                node = node.with_link(Link::success(format!("n{from}")));
            }
        }
        node
    });
    let names = ["names", "sum", "fields"];
    let reducers = [Reducer::Append, Reducer::Sum, Reducer::Merge];
    let mut definition = flow(nodes.collect::<Vec<_>>());
    definition.variables = names.into_iter().zip(reducers).map(|(name, reducer)| variable(name, reducer)).collect();
    definition.output = Expr::List(names.map(Expr::variable).to_vec());
    definition
}

/// What every task was given, and what came out, when the tasks are done in an order that `choose` decides.
fn played(definition: Definition, choose: &[u16]) -> (Vec<(String, Value)>, Value) {
    let mut world = World::running(definition, 0);
    let (mut given, mut step) = (Vec::new(), 0);
    while let Some((attempt, task)) = {
        let pick = choose.get(step).map_or(0, |number| usize::from(*number));
        world.held.iter().nth(pick % world.held.len().max(1)).map(|(attempt, (_, task))| (*attempt, task.clone()))
    } {
        step += 1;
        let n = task.kind[1..].parse::<i64>().unwrap();
        given.push((task.kind.to_string(), task.payload.value().clone()));
        let output = json!({"name": task.kind, "n": n, "fields": {format!("{}", task.kind): n}});
        world.answer(attempt, Ok(payload(output))).unwrap();
    }
    world.verify();
    given.sort_by(|a, b| a.0.cmp(&b.0));
    (given, world.output())
}

proptest! {
    #![proptest_config(crate::property(60))]

    /// Whoever is faster: nothing that was written is lost, and everybody reads the same.
    #[test]
    fn no_update_is_lost_and_speed_decides_nothing(count in 1_usize..9, links: u64, choose: Vec<u16>) {
        let (given, output) = played(graph(count, links), &[]);
        let again = played(graph(count, links), &choose);
        prop_assert_eq!((&given, &output), (&again.0, &again.1));
        let mut names: Vec<String> = serde_json::from_value(output[0].clone()).unwrap();
        names.sort();
        prop_assert_eq!(names, (0..count).map(|n| format!("n{n}")).collect::<Vec<_>>());
        prop_assert_eq!(&output[1], &json!((0..count).sum::<usize>()));
        prop_assert_eq!(output[2].as_object().unwrap().len(), count);
    }
}
