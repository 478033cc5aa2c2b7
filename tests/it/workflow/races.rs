//! Waiting for the first of several, decisions of people, and how signals are kept.

use crate::flow::{RUN, World, flow, json, step};
use counterpoint::definition::{
    Action, Condition, Decision, Definition, Expr, Link, Map, Node, RaceOption, SignalRule, WaitFor,
};
use counterpoint::message::rejected::{Forbidden, Overload, Unknown, WrongState};
use counterpoint::message::{NodeStatus, RunPhase};
use counterpoint::workflow::{Fault, validate};
use counterpoint::{Accepted, Limits, Name, Rejected, RunCommand, Time};
use serde_json::{Value, json};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

fn race(name: &str, offers: impl IntoIterator<Item = RaceOption>) -> Node {
    Node::new(name, Action::Race { options: offers.into_iter().collect() })
}

/// A race between two signals and an hour, with a step for each.
fn three() -> Definition {
    let offers = [
        RaceOption::new("red", WaitFor::signal("red")),
        RaceOption::new("blue", WaitFor::signal("blue")),
        RaceOption::new("late", WaitFor::After(HOUR)),
    ];
    let on = |name: &str| step(name).with_link(Link::case("first", name));
    flow([race("first", offers), on("red"), on("blue"), on("late")])
}

#[test]
fn the_first_that_happens_wins_and_the_others_are_withdrawn_at_once() {
    let mut world = World::running(three(), 0);
    assert!(world.busy().is_empty(), "all are offered, none is chosen");
    assert!(world.engine.next_wakeup().is_some());
    world.signal("blue", "B").unwrap();
    assert_eq!(world.busy(), ["blue"]);
    assert_eq!([world.status("red"), world.status("late")], [NodeStatus::Skipped; 2]);
    world.signal("red", "R").unwrap();
    world.pass(HOUR + HOUR);
    assert_eq!(world.busy(), ["blue"], "neither the other signal nor the hour has any effect");
    assert_eq!(world.engine.run(RUN).unwrap().node("first").unwrap().output().value(), &json!("B"));
    world.done("blue", 1).verify();
}

#[test]
fn the_time_wins_if_nothing_else_happens() {
    let mut world = World::running(three(), 0);
    world.crash();
    world.sleep();
    assert_eq!(world.now, Time::ZERO + HOUR);
    assert_eq!(world.busy(), ["late"]);
    world.done("late", 1).verify();
}

#[test]
fn a_time_can_be_absolute() {
    let at = race("first", [RaceOption::new("then", WaitFor::At(Expr::Input))]);
    let mut world = World::running(flow([at.clone()]), json!(5_000_000_000_u64));
    world.sleep();
    assert_eq!((world.now, world.phase()), (Time::from_secs(5), RunPhase::Finished));
    world.verify();
    let wrong = World::running(flow([at]), "tomorrow");
    assert_eq!(wrong.status("first"), NodeStatus::Failed);
}

#[test]
fn only_signals_that_are_meant_are_taken() {
    let mine = Condition::equal(Expr::Item.at("/order"), Expr::Input);
    let offers = [RaceOption::new("paid", WaitFor::signal("paid").matching(mine))];
    let mut world = World::running(flow([race("first", offers)]), 7);
    let paid = |order: i64| json!({ "order": order });
    world.signal("paid", paid(6)).unwrap();
    world.signal("paid", paid(8)).unwrap();
    assert_eq!(world.phase(), RunPhase::Running);
    world.crash();
    world.signal("paid", paid(7)).unwrap();
    assert_eq!(world.output(), paid(7));
}

#[test]
fn a_child_run_takes_only_matching_signals_that_the_parent_keeps() {
    let mine = Condition::equal(Expr::Item.at("/item"), Expr::Input);
    let mut inner = flow([race("gate", [RaceOption::new("go", WaitFor::signal("go").matching(mine))])]);
    inner.name = "inner".into();
    let action = Action::Map(Map::over(Expr::Input, counterpoint::definition::Body::Flow(inner.into())));
    let mut world = World::running(flow([Node::new("all", action)]), json!([1, 2, 3]));
    for item in [3, 1, 9, 2] {
        world.signal("go", json!({ "item": item })).unwrap();
    }
    let items: Vec<Value> = [1, 2, 3].map(|item| json!({ "item": item })).into();
    assert_eq!(world.output(), json!(items));
    world.verify();
}

fn ruled(rule: SignalRule) -> World {
    let gate = Node::new("gate", Action::Wait { signal: Some("go".into()), timer: None });
    World::running(flow([step("before"), gate.with_link(Link::success("before"))]).with_signal(rule), 0)
}

#[test]
fn a_transient_signal_is_lost_if_no_node_waits_for_it() {
    let mut world = ruled(SignalRule::new("go").transient());
    let before = world.journal.len();
    assert_eq!(world.signal("go", 1), Ok(Accepted::Ignored));
    assert_eq!(world.journal.len(), before);
    world.done("before", 0);
    assert_eq!(world.phase(), RunPhase::Running);
    assert_eq!(world.signal("go", 2), Ok(Accepted::Done));
    assert_eq!(world.output(), json!(2));
    world.verify();
}

#[test]
fn a_signal_is_kept_no_longer_than_its_time_to_live() {
    for (pass, arrives) in [(HOUR - Duration::from_nanos(1), true), (HOUR, false)] {
        let mut world = ruled(SignalRule::new("go").kept_for(HOUR));
        world.signal("go", "kept").unwrap();
        world.pass(pass);
        world.crash();
        world.done("before", 0);
        assert_eq!(world.phase() == RunPhase::Finished, arrives);
    }
}

#[test]
fn no_more_signals_are_kept_than_the_rule_allows() {
    let mut world = ruled(SignalRule::new("go").max_kept(2).kept_for(HOUR));
    world.signal("go", 1).unwrap();
    world.signal("go", 2).unwrap();
    let full = Rejected::Capacity(Overload::AtCapacity { what: "go".into(), limit: 2, retry_after: None });
    assert_eq!(world.signal("go", 3), Err(full));
    world.signal("other", 3).unwrap();
    world.pass(HOUR);
    assert_eq!(world.signal("go", 4), Ok(Accepted::Done), "what is worth nothing any more makes room");
    world.done("before", 0);
    assert_eq!(world.output(), json!(4));
}

/// A draft that an author decides, then a release that somebody else must.
fn release() -> Definition {
    let draft = RaceOption::new("draft", Decision::by("author", ["ready"]).into());
    let decision = Decision::by("editor", ["publish", "return"]).escalated(HOUR, "chief").not_by_decider_of("draft");
    let release = [RaceOption::new("release", decision.into()), RaceOption::new("late", WaitFor::After(HOUR * 3))];
    flow([
        race("draft", [draft]),
        race("release", release).with_link(Link::success("draft")),
        step("publish").with_link(Link::case("release", "publish")),
        step("return").with_link(Link::case("release", "return")),
        step("late").with_link(Link::case("release", "late")),
    ])
}

fn names(names: &[&str]) -> Vec<Name> {
    names.iter().map(|name| Name::from(*name)).collect()
}

fn decide(world: &mut World, node: &str, by: &str, roles: &[&str], option: &str) -> Result<Accepted, Rejected> {
    let (node, option) = (node.into(), option.into());
    world.say(RunCommand::Decide { run: RUN, node, by: by.into(), roles: names(roles), option, note: json(1) }.into())
}

fn delegate(world: &mut World, by: &str, roles: &[&str], to: &str) -> Result<Accepted, Rejected> {
    let (run, node) = (RUN, "release".into());
    world.say(RunCommand::Delegate { run, node, by: by.into(), roles: names(roles), to: to.into() }.into())
}

fn not_theirs(by: &str) -> Result<Accepted, Rejected> {
    Err(Rejected::Forbidden(Forbidden::NotDecider { node: "release".into(), by: by.into() }))
}

fn four_eyes(by: &str) -> Result<Accepted, Rejected> {
    Err(Rejected::Forbidden(Forbidden::FourEyes { node: "release".into(), by: by.into(), other: "draft".into() }))
}

#[test]
fn a_decision_is_for_its_role_and_not_for_the_previous_decider() {
    let mut world = World::running(release(), 0);
    let nothing = Rejected::State(WrongState::NothingToDecide { run: RUN, node: "release".into() });
    assert_eq!(decide(&mut world, "release", "eve", &["editor"], "publish"), Err(nothing));
    decide(&mut world, "draft", "ann", &["author", "editor"], "ready").unwrap();
    assert_eq!(decide(&mut world, "draft", "ann", &[], "ready"), Ok(Accepted::Repeated));
    world.crash();
    assert_eq!(decide(&mut world, "release", "ann", &["editor"], "publish"), four_eyes("ann"));
    assert_eq!(decide(&mut world, "release", "bob", &["author"], "publish"), not_theirs("bob"));
    let unknown = Rejected::Unknown(Unknown::DecisionOption { node: "release".into(), option: "burn".into() });
    assert_eq!(decide(&mut world, "release", "eve", &["editor"], "burn"), Err(unknown));
    assert_eq!(decide(&mut world, "release", "eve", &["editor"], "publish"), Ok(Accepted::Done));
    assert_eq!(world.busy(), ["publish"]);
    let output = world.engine.run(RUN).unwrap().node("release").unwrap().output().value().clone();
    assert_eq!(output, json!({"by": "eve", "option": "publish", "note": 1}));
    world.done("publish", 1).verify();
}

#[test]
fn without_a_decision_it_escalates_and_then_time_decides() {
    let mut world = World::running(release(), 0);
    decide(&mut world, "draft", "ann", &["author"], "ready").unwrap();
    assert_eq!(decide(&mut world, "release", "kim", &["chief"], "publish"), not_theirs("kim"));
    world.sleep();
    assert_eq!(world.now, Time::ZERO + HOUR);
    let run = world.engine.run(RUN).unwrap();
    assert_eq!(run.node("release").unwrap().pending_decision().unwrap().roles, ["editor", "chief"]);
    assert_eq!(run.waits_for(), ["release: decision by editor or chief or 10800s"]);
    world.crash();
    let mut late = World::around(
        counterpoint::Engine::restore(counterpoint::Config::default(), None, &world.journal).unwrap(),
        world.journal.clone(),
    );
    late.resume();
    late.hire();
    late.sleep();
    assert_eq!((late.now, late.busy()), (Time::ZERO + HOUR * 3, vec!["late".to_owned()]));
    decide(&mut world, "release", "kim", &["chief"], "return").unwrap();
    assert_eq!(world.busy(), ["return"]);
    world.done("return", 1).verify();
}

#[test]
fn a_reassigned_decision_is_for_its_new_decider_only() {
    let mut world = World::running(release(), 0);
    decide(&mut world, "draft", "ann", &["author"], "ready").unwrap();
    assert_eq!(delegate(&mut world, "eve", &["editor"], "ann"), four_eyes("ann"));
    assert_eq!(delegate(&mut world, "bob", &["author"], "joe"), not_theirs("bob"));
    assert_eq!(delegate(&mut world, "eve", &["editor"], "joe"), Ok(Accepted::Done));
    world.crash();
    assert_eq!(decide(&mut world, "release", "eve", &["editor"], "publish"), not_theirs("eve"));
    assert_eq!(
        world.engine.run(RUN).unwrap().node("release").unwrap().pending_decision().unwrap().to,
        Some("joe".into())
    );
    assert_eq!(decide(&mut world, "release", "joe", &[], "publish"), Ok(Accepted::Done));
    world.done("publish", 1).verify();
}

#[test]
fn races_that_make_no_sense_are_faults() {
    let of = |offers: Vec<RaceOption>| {
        let node = race("r", offers);
        validate(&flow([node, step("s").with_link(Link::case("r", "x"))]), &Limits::default()).unwrap_err()
    };
    assert!(of(vec![]).has(&Fault::NoOffers));
    let decision = |decision: Decision| RaceOption::new("d", decision.into());
    assert!(of(vec![decision(Decision::by("a", [] as [&str; 0]))]).has(&Fault::NoOptions));
    let twice = vec![decision(Decision::by("a", ["x"])), decision(Decision::by("b", ["y"]))];
    assert!(of(twice).has(&Fault::SeveralDecisions));
    let steps = Decision::by("a", ["x"]).escalated(HOUR * 2, "b").escalated(HOUR, "c");
    assert!(of(vec![decision(steps)]).has(&Fault::EscalationOrder));
    let same = vec![decision(Decision::by("a", ["x"])), RaceOption::new("x", WaitFor::After(HOUR))];
    assert!(of(same).has(&Fault::DuplicateCase { case: "x".into() }));
    let other = of(vec![RaceOption::new("y", WaitFor::After(HOUR))]);
    assert!(other.findings().iter().any(|finding| matches!(finding.fault, Fault::UnknownCase { .. })));
    let unknown = of(vec![decision(Decision::by("a", ["x"]).not_by_decider_of("q"))]);
    assert!(unknown.findings().iter().any(|finding| matches!(finding.fault, Fault::UnknownOther { .. })));
    let rules = flow([step("a")]).with_signal(SignalRule::new("go")).with_signal(SignalRule::new("go"));
    let error = validate(&rules, &Limits::default()).unwrap_err();
    assert!(error.has(&Fault::DuplicateSignal { signal: "go".into() }));
}
