//! Runs whose tasks no agent can perform, and the check of a workflow against agents.

use counterpoint::definition::Expr;
use counterpoint::definition::{
    Action, Body, Call, Definition, Delegate, Gather, Handler, Link, Map, Node, State, States, Work,
};
use counterpoint::journal::Projection;
use counterpoint::message::NodeStatus;
use counterpoint::observe::{Metrics, to_prometheus};
use counterpoint::routing::SkillMap;
use counterpoint::task::Failures;
use counterpoint::testing::{Rehearsal, Reply, Script};
use counterpoint::workflow::check_against;
use counterpoint::{AgentId, AgentSpec, Config, Limits, RunId, RunOutcome, RunSpec};
use std::time::Duration;

fn agent(skills: &[&str]) -> AgentSpec {
    skills.iter().fold(AgentSpec::new(AgentId::new(1)), |agent, skill| agent.with_skill(*skill, 1))
}

#[test]
fn a_handler_goes_on_where_no_agent_can_perform_a_step() {
    let limits = || Limits::default().with_unroutable_failed_after(Some(Duration::from_secs(60)));
    let mut scene = Rehearsal::new(move || Config::default().with_limits(limits()));
    scene.join(agent(&["reserve"]), Script::new().on("reserve", [Reply::ok(&())]));
    let nobody = Handler::error("nobody", Failures::code("cp.unroutable"));
    let order = Definition::new("order")
        .with_node(Node::new("typo", Action::task("resreve")).with_handler(nobody))
        .with_node(Node::new("right", Action::task("reserve")).with_link(Link::case("typo", "nobody")));
    scene.start(order, RunSpec::new(RunId::new(1), "order"));
    scene.run_for(Duration::from_secs(59));
    let run = scene.engine().run(RunId::new(1)).unwrap();
    assert_eq!((run.outcome(), scene.engine().unroutable().count()), (None, 1));
    scene.run_for(Duration::from_secs(2));
    let run = scene.engine().run(RunId::new(1)).unwrap();
    assert!(matches!(run.outcome(), Some(RunOutcome::Succeeded { .. })), "{:?}", run.outcome());
    assert_eq!(run.node("right").unwrap().status(), NodeStatus::Succeeded);
}

#[test]
fn metrics_count_reports() {
    let mut scene = Rehearsal::new(Config::default);
    scene.join(agent(&["reserve"]), Script::new().on("reserve", [Reply::ok(&())]));
    let order = Definition::new("order").with_node(Node::new("typo", Action::task("resreve")));
    scene.start(order, RunSpec::new(RunId::new(1), "order"));
    scene.run_for(Duration::from_secs(1));
    let figures = |scene: &Rehearsal| {
        let mut metrics = Metrics::default();
        scene.recording().entries().iter().for_each(|entry| metrics.apply(entry));
        metrics.snapshot()
    };
    let now = figures(&scene);
    assert_eq!((now.unroutable.open, now.unroutable.made), (1, 1));
    assert!(to_prometheus(&now).contains("\ncounterpoint_unroutable_reports 1\n"));
    let late = AgentSpec::new(AgentId::new(2)).with_skill("resreve", 1);
    scene.join(late, Script::new().on("resreve", [Reply::ok(&())]));
    scene.run();
    let now = figures(&scene);
    assert_eq!((now.unroutable.open, now.unroutable.made), (0, 1));
}

/// The tasks of nodes, compensations, queries, gathers, states and nested workflows are all compared with the agents.
#[test]
fn a_workflow_is_checked_against_agents() {
    let within = Definition::new("within").with_node(Node::new("deep", Action::task("a")).with_undo(Work::new("b")));
    let states = States::from("s", 3).with(State::new("s").doing(Work::new("c")).with_undo(Work::new("d")));
    let delegate = Delegate::new(Work::new("e")).gathered(Gather::Work(Work::new("f")));
    let each = Map::over(Expr::Input, Body::Task(Work::new("g")));
    let flow = Definition::new("all")
        .with_node(Node::new("flow", Action::flow(within)))
        .with_node(Node::new("states", Action::States(states)))
        .with_node(Node::new("delegate", Action::Delegate(delegate)))
        .with_node(Node::new("map", Action::Map(each)).with_query(Work::new("h")))
        .with_node(Node::new("call", Action::Do(Body::Call(Call::of("other")))));
    let all = ["a", "b", "c", "d", "e", "f", "g", "h"];
    assert_eq!(check_against(&flow, [&agent(&all)], &SkillMap::default()), Ok(()));
    for left in all {
        let others: Vec<&str> = all.into_iter().filter(|skill| *skill != left).collect();
        let found = check_against(&flow, [&agent(&others)], &SkillMap::default()).unwrap_err();
        let kinds: Vec<&str> = found.tasks.iter().map(|task| task.kind.as_str()).collect();
        assert_eq!(kinds, [left]);
    }
    let found = check_against(&flow, [], &SkillMap::default()).unwrap_err();
    assert_eq!(found.tasks.len(), all.len());
    let deep = found.tasks.iter().find(|task| task.kind == "b").unwrap();
    assert_eq!(deep.to_string(), "node flow > deep: task `b`: no agent is registered");
}
