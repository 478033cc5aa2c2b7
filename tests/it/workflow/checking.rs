//! What is said of sound definitions before they run.

use crate::flow::draw::{Draws, Taste, definition};
use crate::flow::{RUN, World, flow, model, step, undoable};
use counterpoint::definition::{
    Action, Case, Condition, Definition, Expr, Handler, Join, Link, Node, Pick, RaceOption, Receivers, Remaining,
    SendSignal, SignalRule, Trigger, WaitFor,
};
use counterpoint::message::{NodeEvent, NodeOutcome, NodeRemedy};
use counterpoint::workflow::{Advice, check};
use counterpoint::{Command, Event, Limits, Name, RunSpec};

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
fn a_choice_that_may_take_no_case_gets_advice() {
    assert_eq!(advice(&flow([choice("x", [below(9)])])), ["node x: fails if none of its conditions holds"]);
    assert!(advice(&flow([choice("x", [below(9), below(9).negated()])])).is_empty());
}

#[test]
fn data_that_may_be_missing_get_advice() {
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
fn a_nested_pivot_gets_advice_where_a_later_failure_would_roll_back() {
    let mut inner = flow([step("pay").as_pivot()]);
    inner.name = "inner".into();
    let inner = Node::new("in", Action::flow(inner));
    let later = || step("ship").with_link(Link::success("in"));
    let definition = flow([inner.clone(), later()]);
    assert_eq!(advice(&definition), ["node in: contains a pivot and could not be compensated if `ship` failed"]);
    assert!(advice(&flow([inner.clone()])).is_empty());
    assert!(advice(&flow([inner.as_pivot(), later()])).is_empty(), "it is one itself");
}

fn joins(definition: &Definition) -> Vec<String> {
    advice(definition).into_iter().filter(|said| said.contains("exclude each other")).collect()
}

#[test]
fn a_join_of_branches_that_exclude_each_other_never_runs() {
    let branches = |last: Node| {
        flow([
            choice("which", [below(5), Condition::True]),
            step("a").with_link(Link::case("which", "c0")),
            step("b").with_link(Link::case("which", "c1")),
            step("a2").with_link(Link::success("a")),
            last,
        ])
    };
    let meet = |join: Join| {
        branches(step("meet").with_link(Link::success("a2")).with_link(Link::success("b")).with_join(join))
    };
    let said = ["node meet: never starts, because `a2` and `b` exclude each other"];
    assert_eq!(joins(&meet(Join::All)), said);
    assert_eq!(joins(&meet(Join::Trigger(Trigger::AllSucceeded))), said);
    assert_eq!(joins(&meet(Join::Count { required: 2, remaining: Remaining::Ignore })), said);
    for fine in
        [Join::Any, Join::Trigger(Trigger::NoneFailed), Join::Count { required: 1, remaining: Remaining::Cancel }]
    {
        assert!(joins(&meet(fine)).is_empty(), "{fine:?}");
    }
    // Three links of which two are enough, and two of them go together.
    let three = step("meet").with_link(Link::success("a")).with_link(Link::success("a2")).with_link(Link::success("b"));
    let counted = |required| Join::Count { required, remaining: Remaining::Ignore };
    assert!(joins(&branches(three.clone().with_join(counted(2)))).is_empty());
    assert_eq!(joins(&branches(three.with_join(counted(3)))).len(), 1);
    // A node that is not skipped because the other branch was taken.
    let always = step("meet").with_link(Link::always("a2")).with_link(Link::success("b"));
    assert!(joins(&branches(always)).is_empty());
}

#[test]
fn a_join_after_the_success_and_the_failure_of_a_node_never_runs() {
    let paths = |pick: Pick| {
        let cases = vec![Case::new("x", below(5)), Case::new("y", below(7))];
        flow([
            step("try"),
            step("good").with_link(Link::success("try")),
            step("bad").with_link(Link::failure("try")),
            step("both").with_link(Link::success("good")).with_link(Link::success("bad")),
            Node::new("which", Action::Choose { pick, cases, otherwise: None }),
            step("xs").with_link(Link::case("which", "x")),
            step("ys").with_link(Link::case("which", "y")),
            step("last").with_link(Link::success("xs")).with_link(Link::success("ys")),
            step("after").with_link(Link::success("both")),
        ])
    };
    let both = "node both: never starts, because `good` and `bad` exclude each other";
    assert_eq!(joins(&paths(Pick::Every)), [both]);
    let last = "node last: never starts, because `xs` and `ys` exclude each other";
    assert_eq!(joins(&paths(Pick::First)), [both, last]);
    assert!(advice(&paths(Pick::Every)).contains(&"node after: never starts".to_owned()));
}

#[test]
fn a_wait_for_a_signal_that_nothing_sends_is_reported() {
    let wait = || Node::new("wait", Action::Wait { signal: Some("go".into()), timer: None });
    let said = ["node wait: waits for signal `go`, which no node sends and no rule of signals names"];
    assert_eq!(advice(&flow([wait()])), said);
    let sends = Node::new("send", Action::Send(SendSignal::new("go", Receivers::Run)));
    assert!(advice(&flow([wait(), sends.clone()])).is_empty());
    assert!(advice(&flow([wait()]).with_signal(SignalRule::new("go"))).is_empty());
    // Also in nested workflows: from the inside to the outside, and the other way round.
    let nested = |inner: Node| Node::new("sub", Action::flow(flow([inner])));
    assert!(advice(&flow([wait(), nested(sends.clone())])).is_empty());
    assert!(advice(&flow([nested(wait()), sends])).is_empty());
    assert_eq!(advice(&flow([nested(wait())])), [format!("node sub > {}", said[0])]);
    let options = ["go", "stop"].map(|name| RaceOption::new(name, WaitFor::signal(name)));
    let race = Node::new("race", Action::Race { options: options.into() });
    let handled = step("work").with_handler(Handler::signal("halt", "stop"));
    let said = advice(&flow([race, handled]).with_signal(SignalRule::new("go")));
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.iter().all(|line| line.contains("signal `stop`")), "{said:?}");
}

proptest::proptest! {
    #![proptest_config(crate::property(600))]

    /// Whatever happens in a run, no join starts of which the advice says that it never does.
    #[test]
    fn a_join_with_the_advice_never_joins_never_runs(
        shape in proptest::collection::vec(proptest::prelude::any::<u16>(), 0..150),
        schedule in proptest::collection::vec(proptest::prelude::any::<u16>(), 0..120),
        seed in proptest::prelude::any::<u64>(),
    ) {
        let mut draws = Draws::new(&shape);
        let definition = definition(&mut draws, Taste { races: true, most: 10 });
        let checked = check(&definition, &Limits::default()).unwrap();
        let never: Vec<&Name> = checked.advice.iter().filter_map(|advice| match advice {
            Advice::NeverJoins { node, .. } | Advice::NeverStarts { node } => Some(node),
            _ => None,
        }).collect();
        let mut world = World::new();
        world.say(Command::define(definition.clone())).unwrap();
        let given = counterpoint::Payload::new(serde_json::json!({"list": []}));
        world.say(Command::start(RunSpec::new(RUN, "flow").with_input(given))).unwrap();
        world.play(&mut Draws::new(&schedule), seed, RUN, true);
        // The reference model has found the journal to be one that the rules allow.
        if let Err(broken) = model::check(&world.journal, true) {
            panic!("{broken}\n{}", crate::flow::tell(&world.journal));
        }
        for entry in &world.journal {
            let Event::Node { run: RUN, node, event } = &entry.event else { continue };
            // What an operator completes counts as done although it never starts, and what follows it may start.
            if matches!(event, NodeEvent::Operated { remedy: NodeRemedy::Complete { .. } }) && never.contains(&&node.name) {
                break;
            }
            let ran = matches!(
                event,
                NodeEvent::Opened { .. } | NodeEvent::Finished { outcome: NodeOutcome::Succeeded, .. }
            );
            proptest::prop_assert!(!(ran && never.contains(&&node.name)), "{:?}", entry.event);
        }
    }
}
