use super::*;
use crate::base::payload::Payload;
use crate::definition::{Case, Condition, Expr, Join, Link, Map, On, Pick, Remaining, Repeat};
use crate::message::rejected::Invalid;
use crate::task::Needs;
use serde_json::{Value, json};
use std::sync::Arc;

fn task(name: &str) -> Node {
    Node::new(name, Action::task(name))
}

fn after(name: &str, before: &str) -> Node {
    task(name).with_link(Link::success(before))
}

fn choice(name: &str, pick: Pick, cases: &[&str], otherwise: Option<&str>) -> Node {
    let cases = cases.iter().map(|&case| Case::new(case, Condition::True)).collect();
    Node::new(name, Action::Choose { pick, cases, otherwise: otherwise.map(Name::from) })
}

fn of(nodes: impl IntoIterator<Item = Node>) -> Definition {
    nodes.into_iter().fold(Definition::new("test"), Definition::with_node)
}

/// The faults as text.
fn faults(definition: &Definition) -> Vec<String> {
    match validate(definition, &Limits::default()) {
        Ok(()) => Vec::new(),
        Err(error) => error.findings().iter().map(Finding::to_string).collect(),
    }
}

fn one(definition: &Definition, message: &str) {
    assert_eq!(faults(definition), [message]);
}

fn sound(definition: &Definition) {
    assert_eq!(faults(definition), Vec::<String>::new());
}

#[test]
fn sound_definitions_pass() {
    sound(&Definition::new("empty"));
    sound(&of([task("a"), after("b", "a"), after("c", "a").with_input(Expr::node("a").at("/x"))]));
    let fan = Action::Map(Map::over(Expr::Input, Body::Task(Work::new("k"))));
    sound(&of([Node::new("fan", fan).with_input(Expr::Item).with_undo(Work::new("k.undo"))]));
}

#[test]
fn names() {
    one(&Definition::new(""), "the name of the workflow is empty");
    one(&of([Node::new("", Action::task("k"))]), "node : the name of the node is empty");
    one(&of([task("a"), Node::new("a", Action::Pass)]), "node a: has the name of an earlier node");
    let long = "n".repeat(300);
    let error = validate(&of([Node::new(long.as_str(), Action::Pass)]), &Limits::default()).unwrap_err();
    assert_eq!(error.findings()[0].fault, Fault::LongName { what: "the node", bytes: 300, limit: 256 });
    assert!(error.to_string().len() < 200, "{error}");
    one(&of([Node::new("a", Action::task(""))]), "node a: the name of the task's kind is empty");
    one(&of([task("a").with_undo(Work::new(""))]), "node a: the name of the task's kind is empty");
    one(&of([choice("c", Pick::First, &[""], None)]), "node c: the name of a case is empty");
    let wait = Action::Wait { signal: Some("".into()), timer: None };
    one(&of([Node::new("w", wait)]), "node w: the name of the signal is empty");
    let needy = Work::new("k").with_needs(Needs::skill("").and_label("", ""));
    assert_eq!(faults(&of([Node::new("n", Action::Do(Body::Task(needy)))])).len(), 3);
    let many = (0..1_100).fold(Needs::nothing(), |needs, skill| needs.and_skill(skill.to_string(), 0));
    let many = Node::new("m", Action::Do(Body::Task(Work::new("k").with_needs(many))));
    one(&of([many]), "node m: needs 1100 skills, labels and amounts, more than the 1024 allowed");
}

#[test]
fn links() {
    one(
        &of([task("reserve"), after("ship", "resreve")]),
        "node ship: is linked after `resreve`, which does not exist; did you mean `reserve`?",
    );
    one(&of([task("a"), after("ship", "zzz")]), "node ship: is linked after `zzz`, which does not exist");
    one(&of([after("a", "a")]), "node a: is linked after itself");
    one(
        &of([task("a"), after("b", "a").with_link(Link::success("a"))]),
        "node b: is linked twice after `a` (on success)",
    );
    let ring = [after("a", "c"), after("b", "a"), after("c", "b"), task("d")];
    one(&of(ring), "the links form a cycle: a -> b -> c -> a");
}

#[test]
fn long_cycles_are_shortened() {
    let ring = (0..40).map(|n| after(&format!("n{n}"), &format!("n{}", (n + 39) % 40)));
    let [message] = &faults(&of(ring))[..] else { panic!("one fault") };
    assert!(message.contains("n15 -> (24 more) -> n0"), "{message}");
}

#[test]
fn cases() {
    let case = |case: &str| task("x").with_link(Link::case("c", case));
    one(&of([task("c"), case("big")]), "node x: waits for case `big` of `c`, which is not a choice");
    let c = || choice("c", Pick::First, &["large", "medium"], Some("small"));
    one(
        &of([c(), case("lage")]),
        "node x: waits for case `lage`, which choice `c` does not have; did you mean `large`?",
    );
    sound(&of([c(), case("small")]));
    one(&of([choice("c", Pick::First, &[], Some("x"))]), "node c: is a choice without cases");
    let twice = choice("c", Pick::First, &["a", "a"], Some("a"));
    assert_eq!(faults(&of([twice])), vec!["node c: has two cases of the name `a`"; 2]);
}

#[test]
fn joins() {
    one(&of([task("a").with_join(Join::Any)]), "node a: requires at least one of its links, but has none");
    let count = |of| Join::Count { required: of, remaining: Remaining::Ignore };
    one(&of([task("a"), after("b", "a").with_join(count(0))]), "node b: requires 0 of its 1 links");
    one(&of([task("a"), after("b", "a").with_join(count(2))]), "node b: requires 2 of its 1 links");
    sound(&of([task("a"), after("b", "a").with_join(count(1))]));
}

#[test]
fn links_that_exclude_each_other() {
    let never = "node x: can never start: it waits for all its links, and those from `c` exclude each other";
    let both = |a: On, b: On| {
        let link = |on| {
            let mut link = Link::success("c");
            link.on = on;
            link
        };
        task("x").with_link(link(a)).with_link(link(b))
    };
    let case = |name: &str| On::Case(name.into());
    let first = || choice("c", Pick::First, &["a", "b"], Some("z"));
    let every = || choice("c", Pick::Every, &["a", "b"], Some("z"));
    one(&of([task("c"), both(On::Success, On::Failure)]), never);
    one(&of([first(), both(case("a"), case("b"))]), never);
    one(&of([first(), both(case("a"), On::Failure)]), never);
    one(&of([every(), both(case("a"), case("z"))]), never);
    sound(&of([every(), both(case("a"), case("b"))]));
    sound(&of([first(), both(case("a"), case("b")).with_join(Join::Any)]));
    sound(&of([first(), both(case("a"), On::Success)]));
    sound(&of([task("c"), both(On::Always, On::Failure)]));
}

#[test]
fn pivots_and_undo() {
    one(&of([Node::new("p", Action::Pass).as_pivot()]), "node p: is a pivot, but does no work");
    one(&of([Node::new("p", Action::Pass).with_undo(Work::new("u"))]), "node p: has a compensation, but does no work");
    let flow = Node::new("f", Action::flow(Definition::new("inner")));
    sound(&of([flow.clone().with_undo(Work::new("u"))]));
    sound(&of([flow.as_pivot()]));
}

#[test]
fn data_that_is_not_there() {
    one(
        &of([task("reserve"), after("ship", "reserve").with_input(Expr::node("Reserve"))]),
        "node ship: its input uses the output of `Reserve`, which does not exist; did you mean `reserve`?",
    );
    one(
        &of([task("a"), task("b").with_input(Expr::node("a"))]),
        "node b: its input uses the output of `a`, which need not have ended by then: link it after `a`",
    );
    assert_eq!(faults(&of([task("a").with_input(Expr::node("a"))])).len(), 1);
    let far = [task("a"), after("b", "a"), after("c", "b").with_input(Expr::List(vec![Expr::node("a")]))];
    sound(&of(far));
    one(
        &Definition::new("o").with_output(Expr::node("x")),
        "the output of the workflow uses the output of `x`, which does not exist",
    );
    sound(&of([task("a")]).with_output(Expr::node("a")));
}

#[test]
fn items() {
    one(&of([task("a").with_input(Expr::Item)]), "node a: its input uses the item, which is not defined there");
    one(
        &Definition::new("o").with_output(Expr::Item),
        "the output of the workflow uses the item, which is not defined there",
    );
    let body = || Body::Task(Work::new("k"));
    let over = Action::Map(Map::over(Expr::Item, body()).max_concurrent(0));
    assert_eq!(
        faults(&of([Node::new("m", over)])),
        [
            "node m: the list that it maps over uses the item, which is not defined there",
            "node m: may have 0 items under way"
        ]
    );
    let until = Condition::Is(Expr::Item);
    let repeat = Action::Repeat(Repeat::until(body(), until, 0));
    one(&of([Node::new("r", repeat).with_input(Expr::Item)]), "node r: may have 0 rounds");
    let case = Case::new("x", Condition::Exists(Expr::node("y")));
    let choose = Action::Choose { pick: Pick::First, cases: vec![case], otherwise: None };
    one(
        &of([Node::new("c", choose)]),
        "node c: the condition of its case `x` uses the output of `y`, which does not exist",
    );
}

#[test]
fn pointers_constants_and_waits() {
    one(
        &of([task("a").with_input(Expr::Input.at("x/y"))]),
        "node a: its input uses `x/y`, which is not a JSON pointer: write /a/b, with ~0 for ~ and ~1 for /",
    );
    let limits = Limits::default().with_payload_bytes(10).with_payload_depth(2);
    let constant = |value: Value| of([task("a").with_input(Expr::Const(Payload::new(value)))]);
    let large = validate(&constant(json!("0123456789")), &limits).unwrap_err();
    assert_eq!(large.findings()[0].fault, Fault::ConstantTooLarge { location: Location::Input, bytes: 12, limit: 10 });
    let deep = validate(&constant(json!([[[0]]])), &limits).unwrap_err();
    assert_eq!(deep.findings()[0].fault, Fault::ConstantTooDeep { location: Location::Input, depth: 3, limit: 2 });
    let wait = Action::Wait { signal: None, timer: None };
    one(&of([Node::new("w", wait)]), "node w: waits for neither a signal nor a timer");
}

#[test]
fn depth_is_bounded_without_recursion() {
    let deep = |depth| (0..depth).fold(Expr::Input, |inner, _| Expr::List(vec![inner]));
    sound(&of([task("a").with_input(deep(45))]));
    one(&of([task("a").with_input(deep(64))]), "is nested 131 levels deep as JSON, more than the 100 allowed");
    one(&of([task("a").with_input(deep(5_000))]), "node a: its input is nested more than 64 deep");
    let not = (0..5_000).fold(Condition::True, |inner, _| inner.negated());
    let repeat = Action::Repeat(Repeat::until(Body::Task(Work::new("k")), not, 1));
    one(&of([Node::new("r", repeat)]), "node r: the condition that ends it is nested more than 64 deep");
}

#[test]
fn flows_within_flows() {
    let inner = of([after("parse", "nothing")]);
    let outer = of([Node::new("fetch", Action::flow(inner))]);
    one(&outer, "node fetch > node parse: is linked after `nothing`, which does not exist");
    let nest = |depth| (0..depth).fold(Definition::new("leaf"), |inner, _| of([Node::new("n", Action::flow(inner))]));
    sound(&nest(16));
    let faults = faults(&nest(3_000));
    assert_eq!(faults.len(), 1);
    assert!(faults[0].ends_with("contains a workflow nested more than 16 deep"), "{faults:?}");
}

#[test]
fn shared_flows_count_as_often_as_they_run() {
    let mut flow = Arc::new(of([task("a")]));
    for _ in 0..15 {
        let node = |name| Node::new(name, Action::Do(Body::Flow(Arc::clone(&flow))));
        flow = Arc::new(of(["p", "q", "r", "s"].map(node)));
    }
    one(&flow, "more than 4096 nodes in all");
    let wide = (0..5_000).map(|n| Node::new(n.to_string(), Action::Pass));
    one(&of(wide), "more than 4096 nodes in all");
}

#[test]
fn all_faults_come_at_once_and_the_list_has_an_end() {
    let broken = (0..4_000).map(|n| after(&format!("step-{n}"), &format!("stop-{n}")).with_input(Expr::Item));
    let error = validate(&of(broken), &Limits::default()).unwrap_err();
    assert_eq!(error.findings().len(), 100);
    assert_eq!(error.omitted(), 7_900);
    assert!(error.to_string().ends_with("and 7900 more faults"));
    let rejected = crate::Rejected::from(error);
    assert!(matches!(rejected, crate::Rejected::Invalid(Invalid::Unsound { faults, .. }) if faults.len() == 101));
}

#[test]
fn the_largest_definitions_are_checked_in_time() {
    // Every node is linked after all before it, and uses them: 200,000 links and uses.
    let node = |n: usize| {
        let before = || (0..n).map(|before| before.to_string());
        let input = before().map(Expr::node).collect();
        before()
            .fold(Node::new(n.to_string(), Action::Pass), |node, before| node.with_link(Link::success(before)))
            .with_input(Expr::List(input))
    };
    let large = of((0..640).map(node));
    let limits = Limits::default()
        .with(|limits| limits.runs.links = 300_000)
        .with_steps(10_000_000)
        .with(|limits| limits.runs.analysis = 1_000_000_000);
    assert_eq!(validate(&large, &limits), Ok(()));
}
