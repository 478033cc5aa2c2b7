//! The workflows of a storm: one for each class of failures.

use crate::base::name::Name;
use crate::definition::{
    Action, Body, Case, Condition, Definition, Expr, Link, Map, Node, Pick, RaceOption, Repeat, SignalRule, WaitFor,
    Work,
};
use crate::task::{Policy, Retry};
use core::time::Duration;

pub(super) const NAMES: [&str; 4] = ["order", "harvest", "review", "rounds"];

/// The signal that a review waits for.
pub(super) const GO: &str = "go";

fn policy(attempts: u32) -> Policy {
    let retry = Retry::exponential(attempts, Duration::from_millis(500), Duration::from_secs(10));
    Policy::default().with_retry(retry).with_attempt_timeout(Duration::from_secs(30))
}

fn work(kind: &str) -> Work {
    Work::new(kind).with_policy(policy(3))
}

fn task(name: &str, kind: &str) -> Node {
    Node::new(name, Action::Do(Body::Task(work(kind)))).with_input(Expr::Input)
}

fn undoable(name: &str, kind: &str) -> Node {
    task(name, kind).with_undo(Work::new("k2").with_policy(policy(8)))
}

pub(super) fn all() -> Vec<Definition> {
    vec![order(), harvest(), review(), rounds()]
}

/// A saga with a pivot, and a step after it that may fail.
fn order() -> Definition {
    Definition::new("order")
        .with_node(undoable("reserve", "k0"))
        .with_node(undoable("charge", "k1"))
        .with_node(undoable("pack", "k0").with_link(Link::success("reserve")))
        .with_node(task("ship", "k1").with_link(Link::success("pack")).with_link(Link::success("charge")).as_pivot())
        .with_node(task("tell", "k2").with_link(Link::success("ship")))
        .with_node(Node::new("end", Action::Pass).with_link(Link::always("tell")))
        .with_output(Expr::node("ship"))
}

/// A map whose items are compensated one by one, and a check that may fail the run.
fn harvest() -> Definition {
    let items = Map::over(Expr::Input.at("/items"), Body::Task(work("k0"))).max_concurrent(2).tolerate(1);
    Definition::new("harvest")
        .with_node(Node::new("each", Action::Map(items)).with_undo(Work::new("k2").with_policy(policy(8))))
        .with_node(undoable("sum", "k1").with_link(Link::success("each")))
        .with_node(Node::new("rest", pause(5)).with_link(Link::success("sum")))
        .with_node(task("check", "k2").with_link(Link::success("rest")))
        .with_output(Expr::node("sum"))
}

/// A race between a signal and a time, and a nested workflow that can be compensated as a whole.
fn review() -> Definition {
    let within = Definition::new("within")
        .with_node(undoable("draft", "k1"))
        .with_node(undoable("edit", "k0").with_link(Link::success("draft")));
    let offers = vec![
        RaceOption::new(GO, WaitFor::signal(GO)),
        RaceOption::new("late", WaitFor::After(Duration::from_secs(40))),
    ];
    Definition::new("review")
        .with_node(Node::new("write", Action::flow(within)).with_input(Expr::Input))
        .with_node(Node::new("ask", Action::Race { options: offers }).with_link(Link::success("write")))
        .with_node(task("publish", "k2").with_link(Link::case("ask", GO)))
        .with_node(task("drop", "k1").with_link(Link::case("ask", "late")))
        .with_signal(SignalRule::new(GO).max_kept(4))
}

/// A loop of at most three rounds, then a choice.
fn rounds() -> Definition {
    let again = Repeat::until(Body::Task(work("k1")), Condition::equal(Expr::Item.at("/did"), Expr::value("k2")), 3);
    let cases = vec![Case::new("done", Condition::Exists(Expr::Item))];
    let choose = Action::Choose { pick: Pick::First, cases, otherwise: Some(Name::from("none")) };
    Definition::new("rounds")
        .with_node(Node::new("again", Action::Repeat(again)).with_input(Expr::Input))
        .with_node(Node::new("which", choose).with_link(Link::always("again")).with_input(Expr::node("again")))
        .with_node(task("one", "k0").with_link(Link::case("which", "done")))
        .with_node(task("other", "k2").with_link(Link::case("which", "none")))
}

const fn pause(seconds: u64) -> Action {
    Action::Wait { signal: None, timer: Some(Duration::from_secs(seconds)) }
}
