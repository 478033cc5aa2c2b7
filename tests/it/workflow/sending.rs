//! Signals that nodes send to runs.

use crate::flow::{RUN, World, flow, json as payload, model, step};
use counterpoint::definition::{
    Action, Condition, Definition, Expr, Handler, Link, Node, RaceOption, Receivers, SendSignal, SignalRule, WaitFor,
};
use counterpoint::message::{NodeEvent, NodeOutcome, NodeStatus, RunPhase};
use counterpoint::workflow::{Fault, validate};
use counterpoint::{Command, Engine, Event, Limits, RunId, RunOutcome, RunSpec};
use serde_json::{Value, json};

fn send(name: &str, to: Receivers) -> Node {
    Node::new(name, Action::Send(SendSignal::new("go", to))).with_input(Expr::Input)
}

fn wait(name: &str) -> Node {
    Node::new(name, Action::Wait { signal: Some("go".into()), timer: None })
}

fn named(name: &str, nodes: impl IntoIterator<Item = Node>) -> Definition {
    let mut named = flow(nodes);
    named.name = name.into();
    named
}

fn to_all(workflow: &str) -> Receivers {
    Receivers::All { workflow: workflow.into() }
}

fn define(world: &mut World, definition: Definition) {
    world.say(Command::define(definition)).unwrap();
}

fn start(world: &mut World, id: u64, workflow: &str, change: impl FnOnce(RunSpec) -> RunSpec) {
    let spec = change(RunSpec::new(RunId::new(id), workflow));
    world.say(Command::start(spec)).unwrap();
}

/// What exceeds the bound on the work of a call is due at once.
fn finish(world: &mut World) {
    while world.engine.next_wakeup() == Some(world.engine.now()) {
        world.say(Command::Tick).unwrap();
    }
}

fn output(world: &World, id: u64) -> Value {
    match world.engine.run(RunId::new(id)).unwrap().outcome() {
        Some(RunOutcome::Succeeded { output }) => output.value().clone(),
        other => panic!("run {id}: {other:?}"),
    }
}

fn phase(world: &World, id: u64) -> RunPhase {
    world.engine.run(RunId::new(id)).unwrap().phase()
}

#[test]
fn a_node_sends_a_signal_to_its_own_run() {
    let gate = wait("gate").with_link(Link::always("before"));
    let mut world = World::running(flow([step("before"), send("tell", Receivers::Run), gate]), json!({"n": 1}));
    assert_eq!(world.status("tell"), NodeStatus::Succeeded);
    assert_eq!(world.engine.run(RUN).unwrap().node("tell").unwrap().output().value(), &json!(1));
    world.crash();
    world.done("before", 0);
    assert_eq!(world.output(), json!({"n": 1}), "the signal was kept");
    world.verify();
}

/// An escalation: the node that started the child run goes another way.
#[test]
fn a_handler_of_the_node_that_started_a_child_run_sees_its_signal() {
    let on = Action::Wait { signal: Some("nothing".into()), timer: None };
    let inner = named("inner", [send("tell", Receivers::Parent), Node::new("on", on).with_link(Link::success("tell"))]);
    let outer = flow([
        Node::new("inner", Action::flow(inner)).with_input(Expr::Input).with_handler(Handler::signal("raised", "go")),
        step("other").with_link(Link::case("inner", "raised")),
    ]);
    let mut world = World::running(outer, 7);
    assert_eq!(world.status("other"), NodeStatus::Running);
    world.done("other", 3);
    assert_eq!(world.output(), json!(3));
    world.verify();
}

#[test]
fn the_first_run_of_a_family_receives_a_signal_from_any_depth() {
    let deep = named("deep", [send("tell", Receivers::Root)]);
    let middle = named("middle", [Node::new("deep", Action::flow(deep)).with_input(Expr::Input)]);
    let outer = flow([Node::new("middle", Action::flow(middle)).with_input(Expr::Input), wait("gate")]);
    let world = World::running(outer, "deep");
    assert_eq!(world.output(), json!("deep"));
    world.verify();
    // A run without a parent run has no receiver there.
    let world = World::running(flow([send("tell", Receivers::Parent)]), 0);
    assert_eq!(world.output(), json!(0));
    world.verify();
}

#[test]
fn runs_receive_a_signal_by_workflow_and_key_in_their_tenant() {
    let mut world = World::new();
    define(&mut world, named("watch", [wait("gate")]));
    define(&mut world, named("done", [step("work")]));
    let key = Receivers::Key { workflow: "watch".into(), key: Expr::Item.at("/key") };
    define(&mut world, named("by_key", [send("tell", key)]));
    define(&mut world, named("to_all", [send("tell", to_all("watch"))]));
    for (id, key, tenant) in [(10, "a", None), (11, "b", None), (12, "a", Some("t")), (13, "a", None)] {
        start(&mut world, id, "watch", |spec| {
            let spec = spec.with_business_key(key);
            tenant.into_iter().fold(spec, RunSpec::with_tenant)
        });
    }
    start(&mut world, 20, "by_key", |spec| spec.with_input(payload(json!({"key": "a"}))));
    assert_eq!(output(&world, 20), json!(2));
    assert_eq!([10, 11, 12, 13].map(|id| phase(&world, id) == RunPhase::Finished), [true, false, false, true]);
    assert_eq!(output(&world, 13), json!({"key": "a"}));
    start(&mut world, 21, "by_key", |spec| spec.with_input(payload(json!({"key": "nothing"}))));
    assert_eq!(output(&world, 21), json!(0));
    start(&mut world, 22, "to_all", |spec| spec.with_tenant("t"));
    assert_eq!((output(&world, 22), phase(&world, 12)), (json!(1), RunPhase::Finished));
    start(&mut world, 23, "to_all", |spec| spec);
    assert_eq!((output(&world, 23), phase(&world, 11)), (json!(1), RunPhase::Finished));
    start(&mut world, 24, "by_key", |spec| spec.with_input(payload(json!({"key": 5}))));
    let failed = world.engine.run(RunId::new(24)).unwrap();
    let NodeOutcome::Failed { failure, .. } = failed.node("tell").unwrap().outcome().unwrap() else {
        panic!("{failed:?}")
    };
    assert_eq!(failure.code.as_ref().unwrap().as_str(), "cp.value.invalid");
    world.verify();
}

#[test]
fn a_run_receives_a_signal_under_the_rules_for_those_from_outside() {
    let mut world = World::new();
    let later = || wait("gate").with_link(Link::success("work"));
    let rules = [SignalRule::new("go").transient(), SignalRule::new("go").max_kept(1), SignalRule::new("go")];
    for (name, rule) in ["transient", "one", "any"].into_iter().zip(rules) {
        define(&mut world, named(name, [step("work"), later()]).with_signal(rule));
        define(&mut world, named(&format!("to {name}"), [send("tell", to_all(name))]));
    }
    let mut id = 100;
    for (name, counts) in [("transient", [0, 0]), ("one", [1, 0]), ("any", [1, 1])] {
        start(&mut world, id, name, |spec| spec);
        for (nth, count) in (1..).zip(counts) {
            start(&mut world, id + nth, &format!("to {name}"), |spec| spec.with_input(payload(nth)));
            assert_eq!(output(&world, id + nth), json!(count), "{name}");
        }
        id += 10;
    }
    model::check(&world.journal, false).unwrap();
}

/// More receivers than one event lists; a crash at every event leads to the same.
#[test]
fn every_receiver_gets_a_signal_once_whatever_crashes() {
    const RUNS: u64 = 600;
    let mut world = World::new();
    define(&mut world, named("watch", [wait("gate"), wait("again").with_link(Link::success("gate"))]));
    define(&mut world, flow([send("tell", to_all("watch"))]));
    for id in 0..RUNS {
        start(&mut world, 1_000 + id, "watch", |spec| spec);
    }
    let before = world.journal.len();
    start(&mut world, 1, "flow", |spec| spec.with_input(payload("once")));
    finish(&mut world);
    let sent = |world: &World| {
        let receivers = world.journal.iter().filter_map(|entry| match &entry.event {
            Event::Node { event: NodeEvent::Sent { to, .. }, .. } => Some(to.len()),
            _ => None,
        });
        receivers.collect::<Vec<_>>()
    };
    assert_eq!(sent(&world).iter().sum::<usize>(), 600);
    assert!(sent(&world).len() > 1, "one event lists all of them");
    model::check(&world.journal, false).unwrap();
    let check = |world: &World| {
        assert_eq!(output(world, 1), json!(RUNS));
        for id in 0..RUNS {
            let run = world.engine.run(RunId::new(1_000 + id)).unwrap();
            let status = |node: &str| run.node(node).unwrap().status();
            assert_eq!((status("gate"), status("again")), (NodeStatus::Succeeded, NodeStatus::Running));
        }
    };
    check(&world);
    let cuts = (before..world.journal.len()).filter(|cut| {
        let is_near =
            matches!(&world.journal[*cut].event, Event::Node { run, .. } | Event::Run { run, .. } if run.get() == 1);
        is_near || cut % 97 == 0
    });
    for cut in cuts.collect::<Vec<_>>() {
        let journal = world.journal[..cut].to_vec();
        let engine = Engine::restore(counterpoint::Config::default(), None, &journal).unwrap();
        let mut again = World::around(engine, journal);
        again.resume();
        if again.engine.run(RUN).is_none() {
            start(&mut again, 1, "flow", |spec| spec.with_input(payload("once")));
        }
        finish(&mut again);
        check(&again);
    }
}

/// Conditions of receivers are evaluated with the units of one decision each, and within the work of a call.
#[test]
fn every_receiver_has_its_own_evaluation() {
    const RUNS: u64 = 200;
    for limits in [
        Limits::default().with(|limits| limits.runs.evaluation_units = 500).with_payload_bytes(4_000),
        Limits::default().with_work_per_call(100),
    ] {
        let mut world = World::with(limits.with_max_clock_step(None));
        let wanted = WaitFor::signal("go").matching(Condition::equal(Expr::Item, Expr::value("once")));
        let race = Node::new("race", Action::Race { options: vec![RaceOption::new("sent", wanted)] });
        define(&mut world, named("watch", [race]).with_signal(SignalRule::new("go").transient()));
        define(&mut world, flow([send("tell", to_all("watch"))]));
        for id in 0..RUNS {
            start(&mut world, 1_000 + id, "watch", |spec| spec);
        }
        finish(&mut world);
        start(&mut world, 1, "flow", |spec| spec.with_input(payload("once")));
        finish(&mut world);
        assert_eq!(output(&world, 1), json!(RUNS));
        world.verify();
    }
}

#[test]
fn a_signal_to_a_race_decides_it() {
    let late = RaceOption::new("late", WaitFor::After(std::time::Duration::from_secs(60)));
    let sent = WaitFor::signal("go").matching(Condition::equal(Expr::Item, Expr::value(4)));
    let race = Action::Race { options: vec![RaceOption::new("sent", sent), late] };
    let nodes =
        [Node::new("race", race), step("end").with_link(Link::case("race", "sent")), send("tell", Receivers::Run)];
    let mut world = World::running(flow(nodes.clone()), 4);
    assert_eq!(world.status("end"), NodeStatus::Running);
    world.done("end", 0).verify();
    let world = World::running(flow(nodes), 5);
    assert_eq!(world.status("race"), NodeStatus::Running);
}

#[test]
fn a_node_that_sends_is_validated() {
    let faults = |to: Receivers, signal: &str| {
        let node = Node::new("tell", Action::Send(SendSignal::new(signal, to)));
        let report = validate(&flow([node]), &Limits::default()).unwrap_err();
        report.findings().iter().map(|finding| finding.fault.clone()).collect::<Vec<_>>()
    };
    let by = |key: Expr| Receivers::Key { workflow: "other".into(), key };
    assert_eq!(faults(by(Expr::value(1)), "go"), [Fault::NoKey]);
    assert!(matches!(faults(by(Expr::node("nothing")), "go")[..], [Fault::UnknownNode { .. }]));
    assert_eq!(faults(Receivers::Run, "").len(), 1);
    assert_eq!(faults(to_all(""), "go").len(), 1);
}
