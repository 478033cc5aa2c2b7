//! A run that goes no further by itself says so, and what it waits for.

use crate::flow::{RUN, World, flow, step, undoable};
use counterpoint::definition::{
    Action, Body, Decision, Definition, Expr, Handler, Link, Map, Node, RaceOption, WaitFor, Work,
};
use counterpoint::engine::{Awaited, RunStanding};
use counterpoint::message::CompensationRemedy;
use counterpoint::scheduler::TaskWait;
use counterpoint::task::Scope;
use counterpoint::{AgentId, AgentSpec, Command, Needs, Policy, RunCommand, Time};
use std::time::Duration;

fn standing(world: &World) -> (RunStanding, Vec<String>) {
    let run = world.engine.run(RUN).unwrap();
    (run.standing(), run.waits().iter().map(ToString::to_string).collect())
}

fn stalled(world: &World, waits: &[&str]) {
    let (standing, found) = standing(world);
    assert_eq!((standing, &found.iter().map(String::as_str).collect::<Vec<_>>()[..]), (RunStanding::Stalled, waits));
}

fn going(world: &World, waits: &[&str]) {
    let (standing, found) = standing(world);
    assert_eq!((standing, &found.iter().map(String::as_str).collect::<Vec<_>>()[..]), (RunStanding::Going, waits));
}

fn within(name: &str, nodes: Vec<Node>) -> Node {
    let mut inner: Definition = flow(nodes);
    inner.name = name.into();
    Node::new(name, Action::flow(inner))
}

#[test]
fn outstanding_effects_come_by_themselves_except_for_work_without_an_agent() {
    let rare = Work::new("rare").with_needs(Needs::skill("rare"));
    let nodes = [step("a"), Node::new("b", Action::Do(Body::Task(rare))).with_link(Link::success("a"))];
    let mut world = World::running(flow(nodes), 0);
    going(&world, &["r1 a: task a (t_1) at agent a1-1"]);
    world.done("a", 0);
    stalled(&world, &["r1 b: task rare (t_2: no agent meets its needs)"]);
    world.say(Command::register(AgentSpec::new(AgentId::new(2)).with_skill("rare", 1))).unwrap();
    assert_eq!(standing(&world).0, RunStanding::Going);
    world.done("rare", 0);
    assert_eq!(standing(&world), (RunStanding::Finished, Vec::new()));
}

/// A task that nobody can do and that gives up after a while is no reason to call anybody.
#[test]
fn a_bound_comes_by_itself() {
    let policy = Policy::default().with_queue_timeout(Duration::from_secs(9));
    let rare = Work::new("rare").with_needs(Needs::skill("rare")).with_policy(policy);
    let world = World::running(flow([Node::new("b", Action::Do(Body::Task(rare)))]), 0);
    going(&world, &["r1 b: task rare (t_1: no agent meets its needs; until 9s)"]);
}

#[test]
fn signals_and_decisions_do_not_come_by_themselves_and_times_do() {
    let gate = |timer: Option<u64>| Action::Wait { signal: Some("go".into()), timer: timer.map(Duration::from_secs) };
    let ask = Decision::by("editor", ["yes"]).escalated(Duration::from_secs(60), "chief");
    let offers = vec![RaceOption::new("ask", WaitFor::from(ask)), RaceOption::new("stop", WaitFor::signal("stop"))];
    let nodes = [Node::new("gate", gate(None)), Node::new("ask", Action::Race { options: offers })];
    let mut world = World::running(flow(nodes), 0);
    going(&world, &["r1 gate: signal go", "r1 ask: signal stop", "r1 ask: decision by editor", "r1 ask: 60s"]);
    world.pass(Duration::from_secs(60));
    stalled(&world, &["r1 gate: signal go", "r1 ask: signal stop", "r1 ask: decision by editor or chief"]);

    let world = World::running(flow([Node::new("gate", gate(Some(5)))]), 0);
    going(&world, &["r1 gate: signal go", "r1 gate: 5s"]);
}

#[test]
fn views_list_handlers_maps_and_mutexes() {
    let open =
        Map::over(Expr::Const(crate::flow::json(Vec::<u8>::new())), Body::Task(crate::flow::work("item"))).open();
    let nodes = [
        Node::new("all", Action::Map(open)).with_handler(Handler::signal("late", "enough")),
        Node::new("gate", Action::Wait { signal: Some("go".into()), timer: None }).with_mutex("m"),
        step("x").with_mutex("m"),
    ];
    let world = World::running(flow(nodes), 0);
    let waits = [
        "r1 all: more items or the end of the list",
        "r1 all: signal enough",
        "r1 gate: signal go",
        "r1 x: the end of node gate",
    ];
    stalled(&world, &waits);
}

#[test]
fn waits_of_a_child_run_are_waits_of_the_run() {
    let gate = Node::new("gate", Action::Wait { signal: Some("go".into()), timer: None });
    let mut world = World::running(flow([within("inner", vec![gate]), step("a")]), 0);
    assert_eq!(standing(&world).0, RunStanding::Going);
    world.done("a", 0);
    stalled(&world, &["r_1 gate: signal go"]);
    let run = world.engine.run(RUN).unwrap();
    assert_eq!(run.waits_for(), ["inner: run r_1"]);
}

#[test]
fn a_paused_run_waits_for_the_operator_when_its_work_is_done() {
    let nodes = [
        step("a"),
        within("inner", vec![Node::new("bell", Action::Wait { signal: None, timer: Some(Duration::from_secs(5)) })]),
    ];
    let mut world = World::running(flow(nodes), 0);
    world.say(RunCommand::Pause { run: RUN, reason: "night".into() }.into()).unwrap();
    assert_eq!(standing(&world).0, RunStanding::Going, "an agent works for it");
    world.done("a", 0);
    // The bell will ring, and nobody will hear it.
    stalled(&world, &["r1: r1 is paused: night", "r_2: r1 is paused: night"]);
    world.crash();
    stalled(&world, &["r1: r1 is paused: night", "r_2: r1 is paused: night"]);
    world.say(RunCommand::Resume { run: RUN }.into()).unwrap();
    going(&world, &["r_2 bell: 5s"]);
}

#[test]
fn a_failed_compensation_waits_for_an_operator_after_the_others() {
    let nodes = [undoable("a"), undoable("b"), step("c").with_link(Link::success("a")).with_link(Link::success("b"))];
    let mut world = World::running(flow(nodes), 0);
    world.done("a", 0).done("b", 0).failed("c").failed("undo a");
    assert_eq!(standing(&world).0, RunStanding::Going);
    world.done("undo b", 0);
    stalled(&world, &["r1 a: an operator's command on the failed compensation"]);
    world.remedy(RUN, "a", CompensationRemedy::Declare { reason: "seen".into() }).unwrap();
    assert_eq!(standing(&world).0, RunStanding::Finished);
}

#[test]
fn a_paused_tenant_or_kind_stalls_what_waits_for_it() {
    let mut world = World::new();
    world.say(Command::pause(Scope::Kind("a".into()), "repairs")).unwrap();
    let mut world = world.begin(flow([step("a")]), 0);
    stalled(&world, &["r1 a: task a (t_1: kind a is paused: repairs)"]);
    let waits = world.engine.run(RUN).unwrap().waits();
    let Awaited::Task { task, on: TaskWait::Resume { .. }, until: None, .. } = waits[0].on else { panic!("{waits:?}") };
    assert!(world.engine.waits_for(task).is_some());
    world.now = Time::from_secs(100);
    world.say(Command::resume(Scope::Kind("a".into()))).unwrap();
    assert_eq!(standing(&world).0, RunStanding::Going);
}
