//! What is said of sound definitions before they run.

use crate::flow::{flow, step, undoable};
use counterpoint::Limits;
use counterpoint::definition::{Action, Case, Condition, Definition, Expr, Join, Link, Node, Pick};
use counterpoint::workflow::check;

fn advice(definition: &Definition) -> Vec<String> {
    check(definition, &Limits::default()).unwrap().advice.iter().map(ToString::to_string).collect()
}

fn choice(name: &str, whens: impl IntoIterator<Item = Condition>) -> Node {
    let cases = whens.into_iter().enumerate().map(|(at, when)| Case::new(format!("c{at}"), when)).collect();
    Node::new(name, Action::Choose { pick: Pick::First, cases, otherwise: None }).with_input(Expr::Input)
}

fn below(bound: i64) -> Condition {
    Condition::less(Expr::Item, Expr::value(bound))
}

fn is(value: &str) -> Condition {
    Condition::equal(Expr::Item, Expr::value(value))
}

#[test]
fn conditions_that_cannot_both_hold_are_never_taken() {
    let above = Condition::less(Expr::value(5), Expr::Item);
    let both = |a: &Condition, b: &Condition| Condition::All(vec![a.clone(), b.clone()]);
    let dead = [both(&below(3), &above), both(&is("a"), &is("b")), both(&below(3), &below(3).negated())];
    for (at, when) in dead.into_iter().enumerate() {
        let said = advice(&flow([choice("x", [when, Condition::True])]));
        assert_eq!(said, ["node x: never takes case `c0`"], "{at}");
    }
    for alive in [both(&below(9), &above), both(&is("a"), &Condition::less(Expr::Input, Expr::value(1)))] {
        assert!(advice(&flow([choice("x", [alive, Condition::True])])).is_empty());
    }
}

#[test]
fn a_case_that_an_earlier_one_covers_is_never_taken() {
    let said = advice(&flow([choice("x", [below(9), below(5), below(20), Condition::True])]));
    assert_eq!(said, ["node x: never takes case `c1`"]);
}

#[test]
fn a_choice_that_may_find_no_way_says_so() {
    assert_eq!(advice(&flow([choice("x", [below(9)])])), ["node x: fails if none of its conditions holds"]);
    assert!(advice(&flow([choice("x", [below(9), below(9).negated()])])).is_empty());
}

#[test]
fn data_that_need_not_be_there_are_told() {
    let either = [
        choice("which", [below(5), Condition::True]),
        step("a").with_link(Link::case("which", "c0")),
        step("b").with_link(Link::case("which", "c1")),
    ];
    let meet = |input: Expr| {
        let join = step("meet").with_link(Link::success("a")).with_link(Link::success("b")).with_join(Join::Any);
        flow(either.clone().into_iter().chain([join.with_input(input)]))
    };
    let missing = |from: &str| format!("node meet: uses the output of `{from}`, which need not have succeeded by then");
    assert_eq!(advice(&meet(Expr::List(vec![Expr::node("a"), Expr::node("b")]))), [missing("a"), missing("b")]);
    assert!(advice(&meet(Expr::First(vec![Expr::node("a"), Expr::node("b")]))).is_empty(), "the first that is there");
    assert!(advice(&meet(Expr::node("which"))).is_empty(), "both ways lead from there");

    let rescued = flow([step("a"), step("b").with_link(Link::failure("a")).with_input(Expr::node("a"))]);
    assert_eq!(advice(&rescued).len(), 1, "on the way of its failure it has not succeeded");
    let chain = flow([
        step("a"),
        step("b").with_link(Link::success("a")),
        step("c").with_link(Link::success("b")).with_input(Expr::node("a")),
    ]);
    assert!(advice(&chain).is_empty());
}

#[test]
fn what_stays_before_a_pivot_is_found_at_every_depth() {
    let mut innermost = flow([step("deep"), undoable("fine")]);
    innermost.name = "innermost".into();
    let mut inner = flow([Node::new("down", Action::flow(innermost))]);
    inner.name = "inner".into();
    let definition = flow([
        Node::new("in", Action::flow(inner)),
        step("pay").with_link(Link::success("in")).as_pivot(),
        step("after").with_link(Link::success("pay")),
    ]);
    assert_eq!(
        advice(&definition),
        ["node in > node down > node deep: comes before the pivot `pay` but has no compensation"]
    );
}

#[test]
fn a_pivot_within_is_told_where_a_later_failure_would_turn_the_run_back() {
    let mut inner = flow([step("pay").as_pivot()]);
    inner.name = "inner".into();
    let inner = Node::new("in", Action::flow(inner));
    let later = || step("ship").with_link(Link::success("in"));
    let definition = flow([inner.clone(), later()]);
    assert_eq!(advice(&definition), ["node in: contains a pivot and could not be compensated if `ship` failed"]);
    assert!(advice(&flow([inner.clone()])).is_empty());
    assert!(advice(&flow([inner.as_pivot(), later()])).is_empty(), "it is one itself");
}
