//! The typed builder and the data form make the same definitions, and what the builder makes is sound.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use counterpoint::definition::{
    Action, Body, Case, Condition, Definition, Expr, Join, Link, Map, Node, Pick, Remaining, Repeat, Work,
};
use counterpoint::task::Exhausted;
use counterpoint::workflow::{Attempt, Done, Fault, Flow, Step, Undo, Workflow, validate};
use counterpoint::{Failure, Limits, Name, Needs, Payload, Policy, Retry, RunId, Tier};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

macro_rules! step {
    ($name:ident, $kind:literal, $input:ty => $output:ty) => {
        struct $name;

        impl Step for $name {
            const KIND: &'static str = $kind;
            type Input = $input;
            type Output = $output;

            fn run(&self, _: $input, _: &Attempt) -> Result<$output, Failure> {
                Err(Failure::permanent("only declared"))
            }
        }
    };
    ($name:ident, $kind:literal, $input:ty => $output:ty, undo) => {
        step!($name, $kind, $input => $output);

        impl Undo for $name {
            fn undo(&self, _: Done<$input, $output>, _: &Attempt) -> Result<(), Failure> {
                Ok(())
            }
        }
    };
}

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    total: u64,
    lines: Vec<Line>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    item: String,
}

step!(Reserve, "reserve", Order => u32, undo);
step!(Charge, "charge", Order => u64, undo);
step!(Invoice, "invoice", Order => u64);
step!(Ship, "ship", (u32, u64) => String);
step!(Pick1, "pick", Line => bool, undo);
step!(Count, "count", Vec<Option<bool>> => u64);
step!(Double, "double", u64 => u64, undo);
step!(Tell, "tell", (u64, Option<String>) => ());
step!(Sum, "sum", Vec<u64> => u64);
step!(Note, "note", () => ());

fn json(definition: &Definition) -> String {
    serde_json::to_string(definition).unwrap()
}

/// The same definition, the same JSON, and the same again after a round trip.
fn same<I, O>(flow: &Flow<I, O>, written: &Definition) {
    assert_eq!(json(flow.definition()), json(written));
    assert_eq!(**flow.definition(), *written);
    let read: Definition = serde_json::from_str(&json(written)).unwrap();
    assert_eq!(json(&read), json(written));
    assert_eq!(read, *written);
    assert_eq!(read.id(), flow.id());
    assert_eq!(validate(written, &Limits::default()), Ok(()));
}

fn node(name: &str, action: Action, before: &[&str], input: Expr) -> Node {
    before.iter().fold(Node::new(name, action), |node, &before| node.with_link(Link::success(before))).with_input(input)
}

fn task(kind: &str, before: &[&str], input: Expr) -> Node {
    node(kind, Action::task(kind), before, input)
}

#[test]
fn a_saga() {
    let flow = Workflow::<Order, String>::named("order").version(3);
    let stock = flow.step(Reserve, flow.input()).undoable();
    let payment = flow.step(Charge, flow.input()).undoable_with(Policy::default().with_retry(Retry::never()));
    let parcel = flow.step(Ship, (stock, payment)).pivot();
    let flow = flow.output(parcel).unwrap();

    let undo = Work::new("charge.undo").with_policy(Policy::default().with_retry(Retry::never()));
    let written = Definition::new("order")
        .with_version(3)
        .with_node(task("reserve", &[], Expr::Input).with_undo(Work::new("reserve.undo")))
        .with_node(task("charge", &[], Expr::Input).with_undo(undo))
        .with_node(
            task("ship", &["reserve", "charge"], Expr::List(vec![Expr::node("reserve"), Expr::node("charge")]))
                .as_pivot(),
        )
        .with_output(Expr::node("ship"));
    same(&flow, &written);

    let order = Order { total: 3, lines: vec![] };
    let run = flow.run(RunId::new(1), &order).unwrap();
    assert_eq!((run.workflow.as_str(), run.version), ("order", Some(3)));
    assert_eq!(flow.read(&Payload::of("box").unwrap()).unwrap(), "box");
}

#[test]
fn save_points_and_queries() {
    use counterpoint::definition::SavePoint;
    use counterpoint::workflow::{Query, Steps};
    use counterpoint::{AttemptId, TaskId};

    struct Book;
    impl Step for Book {
        const KIND: &'static str = "book";
        type Input = u64;
        type Output = String;
        fn run(&self, _: u64, _: &Attempt) -> Result<String, Failure> {
            Err(Failure::unknown("no answer"))
        }
    }
    impl Query for Book {
        fn find(&self, room: u64, _: &Attempt) -> Result<Option<String>, Failure> {
            Ok((room < 5).then(|| format!("room {room}")))
        }
        fn query_policy() -> Policy {
            Policy::default().with_retry(Retry::never())
        }
    }
    let flow = Workflow::<u64, String>::named("trip");
    let booked = flow.step(&Book, flow.input()).queryable().save_point(2);
    let trip = flow.output(booked).unwrap();
    let node = &trip.definition().nodes[0];
    assert_eq!(node.save, Some(SavePoint::retries(2)));
    assert_eq!(node.query, Some(Work::new("book.query").with_policy(Book::query_policy())));

    // What the agent's steps answer is what the engine reads.
    let steps = Steps::new().with_query(Book);
    let attempt = Attempt::new(AttemptId::new(TaskId::new(1), 1), "book.query");
    let ask = |room: u64| {
        let about = Payload::of(&serde_json::json!({ "input": room })).unwrap();
        steps.perform("book.query", &about, &attempt).unwrap().value().clone()
    };
    assert_eq!(ask(3), serde_json::json!({ "happened": true, "output": "room 3" }));
    assert_eq!(ask(7), serde_json::json!({ "happened": false, "output": null }));
}

#[test]
fn settings_of_tasks() {
    struct Gpu;
    impl Step for Gpu {
        const KIND: &'static str = "gpu";
        type Input = u64;
        type Output = u64;
        fn run(&self, input: u64, _: &Attempt) -> Result<u64, Failure> {
            Ok(input)
        }
        fn needs(&self) -> Needs {
            Needs::nothing().and_label("gpu", "yes")
        }
        fn policy(&self) -> Policy {
            Policy::default().with_exhausted(Exhausted::Fail)
        }
        fn tier(&self) -> Option<Tier> {
            Some(Tier::Low)
        }
    }
    impl Undo for Gpu {
        fn undo(&self, _: Done<u64, u64>, _: &Attempt) -> Result<(), Failure> {
            Ok(())
        }
        fn undo_policy() -> Policy {
            Policy::default().with_retry(Retry::never())
        }
    }
    let flow = Workflow::<u64, u64>::named("settings");
    let a = flow.step(&Gpu, flow.input()).undoable();
    let b = flow.step(Arc::new(Gpu), a).named("second").tier(Tier::High).needs(Needs::skill("x")).undoable();
    let c = flow.step(Double, b).retry(Retry::never()).attempt_timeout(Duration::from_secs(5));
    let flow = flow.output(c).unwrap();

    let label = || Needs::nothing().and_label("gpu", "yes");
    let own = || Policy::default().with_exhausted(Exhausted::Fail);
    let never = || Policy::default().with_retry(Retry::never());
    let work = |work: Work| Action::Do(Body::Task(work));
    let gpu = || Work::new("gpu").with_policy(own());
    let undo = || Work::new("gpu.undo").with_policy(never());
    let first = work(gpu().with_needs(label()).with_tier(Tier::Low));
    let second = work(gpu().with_needs(Needs::skill("x")).with_tier(Tier::High));
    let third = work(Work::new("double").with_policy(never().with_attempt_timeout(Duration::from_secs(5))));
    let written = Definition::new("settings")
        .with_node(node("gpu", first, &[], Expr::Input).with_undo(undo().with_needs(label())))
        .with_node(node("second", second, &["gpu"], Expr::node("gpu")).with_undo(undo().with_needs(Needs::skill("x"))))
        .with_node(node("double", third, &["second"], Expr::node("second")))
        .with_output(Expr::node("double"));
    same(&flow, &written);
}

#[test]
fn maps_over_steps() {
    let flow = Workflow::<Order, u64>::named("pick");
    let lines = flow.input().field::<Vec<Line>>("/lines");
    let picked = flow.map(Pick1, lines).max_concurrent(4).undoable().tolerate(1);
    let flow = flow.output(flow.step(Count, picked)).unwrap();

    let over = Expr::Input.at("/lines");
    let map = Action::Map(Map::over(over, Body::Task(Work::new("pick"))).max_concurrent(4).tolerate(1));
    let written = Definition::new("pick")
        .with_node(node("pick", map, &[], Expr::Item).with_undo(Work::new("pick.undo")))
        .with_node(task("count", &["pick"], Expr::node("pick")))
        .with_output(Expr::node("count"));
    same(&flow, &written);
}

#[test]
fn repetitions() {
    let flow = Workflow::<u64, Vec<u64>>::named("grow");
    let large = || Condition::less(Expr::value(100), Expr::Item);
    let tried = flow.repeat(Double, flow.input(), large(), 3).retry(Retry::never());
    let grown = flow.repeat_with(Double, |previous| previous.or(tried), large(), 9).undoable().pivot();
    let flow = flow.output([tried.plain(), grown.plain()]).unwrap();

    let once = Work::new("double").with_policy(Policy::default().with_retry(Retry::never()));
    let repeat = |work, most| Action::Repeat(Repeat::until(Body::Task(work), large(), most));
    let previous = Expr::First(vec![Expr::Item, Expr::node("double")]);
    let written = Definition::new("grow")
        .with_node(node("double", repeat(once, 3), &[], Expr::Input))
        .with_node(
            node("double-2", repeat(Work::new("double"), 9), &["double"], previous)
                .with_undo(Work::new("double.undo"))
                .as_pivot(),
        )
        .with_output(Expr::List(vec![Expr::node("double"), Expr::node("double-2")]));
    same(&flow, &written);
}

#[test]
fn choices() {
    let flow = Workflow::<Order, u64>::named("pay");
    let large = Condition::less(Expr::value(100), Expr::Item.at("/total"));
    let size = flow.choose(flow.input()).when("large", large.clone()).otherwise("small").named("size");
    let invoice = flow.step(Invoice, flow.input()).on(size.case("large"));
    let charge = flow.step(Charge, flow.input()).on(size.case("small"));
    let either = flow.step(Note, flow.constant(())).on_any([size.case("large"), size.case("small")]);
    let paid = flow.merge((invoice, charge)).after(either);
    let flow = flow.output(paid).unwrap();

    let choose =
        |pick| Action::Choose { pick, cases: vec![Case::new("large", large.clone())], otherwise: Some("small".into()) };
    let gate = Node::new("gate", Action::Pass).with_link(Link::case("size", "large"));
    let first = Expr::First(vec![Expr::node("invoice"), Expr::node("charge")]);
    let written = Definition::new("pay")
        .with_node(node("size", choose(Pick::First), &[], Expr::Input))
        .with_node(task("invoice", &[], Expr::Input).with_link(Link::case("size", "large")))
        .with_node(task("charge", &[], Expr::Input).with_link(Link::case("size", "small")))
        .with_node(task("note", &["gate"], Expr::default()))
        .with_node(gate.with_link(Link::case("size", "small")).with_join(Join::Any))
        .with_node(node("merge", Action::Pass, &["join", "note"], Expr::node("join")))
        .with_node(node("join", Action::Pass, &["invoice", "charge"], first).with_join(Join::Any))
        .with_output(Expr::node("merge"));
    same(&flow, &written);
}

#[test]
fn every_case_and_what_may_be_missing() {
    let flow = Workflow::<Order, ()>::named("tell");
    let asked = Condition::Exists(Expr::Item.at("/0"));
    let which =
        flow.choose((flow.input(), flow.constant("x"))).every().when("a", asked.clone()).when("b", asked.clone());
    let a = flow.step(Charge, flow.input()).on(which.case("a"));
    let b = flow.step(Invoice, flow.input()).on(which.case("b"));
    let text = flow.wait_signal::<String>("text").or_after(Duration::from_secs(60));
    let total = a.optional().or(b.optional().or(flow.constant(0)));
    let told = flow.step(Tell, (total, text)).after(flow.sleep(Duration::from_secs(1))).after_end_of(a);
    let flow = flow.output(told).unwrap();

    let input = Expr::List(vec![Expr::Input, Expr::value("x")]);
    let cases = vec![Case::new("a", asked.clone()), Case::new("b", asked)];
    let choose = Action::Choose { pick: Pick::Every, cases, otherwise: None };
    let wait = Action::Wait { signal: Some("text".into()), timer: Some(Duration::from_secs(60)) };
    let sleep = Action::Wait { signal: None, timer: Some(Duration::from_secs(1)) };
    let amount = Expr::First(vec![Expr::node("charge"), Expr::First(vec![Expr::node("invoice"), Expr::value(0)])]);
    let tell = Node::new("tell", Action::task("tell"))
        .with_link(Link::always("charge"))
        .with_link(Link::always("invoice"))
        .with_link(Link::success("text"))
        .with_link(Link::success("sleep"))
        .with_input(Expr::List(vec![amount, Expr::node("text")]));
    let written = Definition::new("tell")
        .with_node(node("choice", choose, &[], input))
        .with_node(task("charge", &[], Expr::Input).with_link(Link::case("choice", "a")))
        .with_node(task("invoice", &[], Expr::Input).with_link(Link::case("choice", "b")))
        .with_node(node("text", wait, &[], Expr::default()))
        .with_node(tell)
        .with_node(node("sleep", sleep, &[], Expr::default()))
        .with_output(Expr::node("tell"));
    same(&flow, &written);
}

#[test]
fn races_and_quorums() {
    let flow = Workflow::<u64, (u64, Vec<Option<u64>>)>::named("race");
    let runners: Vec<_> = (0..3).map(|_| flow.step(Double, flow.input())).collect();
    let first = flow.first_of(runners.clone()).cancel_rest();
    let two = flow.n_of(2, [runners[0], runners[1], runners[2]]).named("two");
    let flow = flow.output((first, two)).unwrap();

    let names = ["double", "double-2", "double-3"];
    let outputs: Vec<Expr> = names.iter().map(|&name| Expr::node(name)).collect();
    let join = |of, rest| Join::Count { required: of, remaining: rest };
    let mut written = Definition::new("race");
    for name in names {
        written = written.with_node(node(name, Action::task("double"), &[], Expr::Input));
    }
    let written = written
        .with_node(
            node("first", Action::Pass, &names, Expr::First(outputs.clone())).with_join(join(1, Remaining::Cancel)),
        )
        .with_node(node("two", Action::Pass, &names, Expr::List(outputs)).with_join(join(2, Remaining::Ignore)))
        .with_output(Expr::List(vec![Expr::node("first"), Expr::node("two")]));
    same(&flow, &written);
}

#[test]
fn other_ways_on_failure() {
    let flow = Workflow::<Order, u64>::named("fallback");
    let paid = flow.step(Charge, flow.input()).undoable().or_else(Invoice);
    let note = flow.step(Note, flow.constant(())).on_failure_of(paid).named("complain");
    let _ = note;
    let flow = flow.output(paid).unwrap();

    let written = Definition::new("fallback")
        .with_node(task("charge", &[], Expr::Input).with_undo(Work::new("charge.undo")))
        .with_node(task("invoice", &[], Expr::Input).with_link(Link::failure("charge")))
        .with_node(
            node(
                "merge",
                Action::Pass,
                &["charge", "invoice"],
                Expr::First(vec![Expr::node("charge"), Expr::node("invoice")]),
            )
            .with_join(Join::Any),
        )
        .with_node(Node::new("complain", Action::task("note")).with_link(Link::failure("merge")))
        .with_output(Expr::node("merge"));
    same(&flow, &written);
}

#[test]
fn failures_that_are_accepted() {
    let flow = Workflow::<u64, u64>::named("optional");
    let tried = flow.step(Double, flow.input()).may_fail();
    let flow = flow.output(flow.step(Double, tried.optional().or(flow.input()))).unwrap();

    let input = Expr::First(vec![Expr::node("double"), Expr::Input]);
    let written = Definition::new("optional")
        .with_node(task("double", &[], Expr::Input))
        .with_node(Node::new("accepted", Action::Pass).with_link(Link::failure("double")))
        .with_node(Node::new("double-2", Action::task("double")).with_link(Link::always("double")).with_input(input))
        .with_output(Expr::node("double-2"));
    same(&flow, &written);
}

#[test]
fn flows_within_flows() {
    let inner = Workflow::<u64, u64>::named("twice");
    let once = inner.step(Double, inner.input());
    let inner = inner.output(inner.step(Double, once)).unwrap();

    let flow = Workflow::<Vec<u64>, u64>::named("outer");
    let all = flow.map(&inner, flow.input()).max_concurrent(2);
    let sum = flow.step(Sum, all);
    let once = flow.sub(&inner, sum).pivot();
    let until = Condition::less(Expr::value(9), Expr::Item);
    let often = flow.repeat_with(&inner, |previous| previous.or(once), until.clone(), 4);
    let flow = flow.output(often).unwrap();

    let body = || Body::Flow(Arc::clone(inner.definition()));
    let map = Action::Map(Map::over(Expr::Input, body()).max_concurrent(2));
    let previous = Expr::First(vec![Expr::Item, Expr::node("twice-2")]);
    let repeat = Action::Repeat(Repeat::until(body(), until, 4));
    let written = Definition::new("outer")
        .with_node(node("twice", map, &[], Expr::Item))
        .with_node(task("sum", &["twice"], Expr::node("twice")))
        .with_node(node("twice-2", Action::Do(body()), &["sum"], Expr::node("sum")).as_pivot())
        .with_node(node("twice-3", repeat, &["twice-2"], previous))
        .with_output(Expr::node("twice-3"));
    same(&flow, &written);
}

#[test]
fn names_are_made_unique_around_those_that_are_given() {
    let flow = Workflow::<u64, Vec<u64>>::named("names");
    let a = flow.step(Double, flow.input());
    let b = flow.step(Double, flow.input());
    let c = flow.step(Double, a).named("double-2");
    let d = flow.step(Double, flow.input());
    let flow = flow.output([a, b, c, d]).unwrap();
    let names: Vec<&str> = flow.definition().nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["double", "double-3", "double-2", "double-4"]);
}

#[test]
fn faults_of_the_builder() {
    let flow = Workflow::<u64, u64>::named("wrong");
    let other = Workflow::<u64, u64>::named("other");
    let foreign = other.step(Double, other.input());
    let a = flow.step(Double, foreign);
    let b = flow.step(Double, a).after(foreign);
    let c = flow.step(Double, b).on(other.choose(other.input()).case("x"));
    let error = flow.output(c).unwrap_err();
    assert_eq!(error.findings().len(), 1);
    assert!(error.has(&Fault::ForeignHandle), "{error}");

    let flow = Workflow::<u64, u64>::named("wrong");
    let odd = std::collections::BTreeMap::from([(vec![1_u8], 2_u64)]);
    let _ = flow.constant(odd);
    let error = flow.output(flow.input()).unwrap_err();
    assert!(error.to_string().contains("no JSON form for alloc::collections::btree"), "{error}");

    let flow = Workflow::<u64, u64>::named("wrong");
    let a = flow.step(Double, flow.input()).named("a");
    let b = flow.step(Double, a).named("b");
    let size = flow.choose(flow.input()).when("large", Condition::True);
    let a = a.after(b).on(size.case("larg"));
    let error = flow.output(a).unwrap_err();
    assert_eq!(
        error.to_string(),
        "workflow wrong is not sound: node a: waits for case `larg`, which choice `choice` does not have; \
         did you mean `large`?; the links form a cycle: a -> b -> a"
    );

    let flow = Workflow::<u64, u64>::named("wrong");
    let tight = flow.output_within(flow.constant(1_000_000_u64), &Limits::default().with_payload_bytes(3));
    assert!(tight.unwrap_err().to_string().contains("the output of the workflow contains a constant of 7 bytes"));
}

#[test]
fn a_builder_can_be_moved_between_words() {
    let flow = Workflow::<u64, u64>::named("moved");
    let _ = flow.step(Double, flow.input()).named("kept");
    let moved = Box::new(flow);
    let again = moved.step(Double, moved.input());
    let flow = moved.output(again).unwrap();
    assert_eq!(flow.definition().nodes.len(), 2);
}

/// One more node on top of those that there are.
#[derive(Debug, Clone)]
enum Word {
    Step(usize),
    Sum(Vec<usize>),
    Merge(Vec<usize>),
    First(Vec<usize>),
    Choose(usize, usize),
    OrElse(usize),
    Optional(usize, usize),
    Map(Vec<usize>),
    Repeat(usize),
    After(usize, usize),
    Wait(usize),
}

fn word() -> impl Strategy<Value = Word> {
    let one = || any::<usize>();
    let some = || prop::collection::vec(any::<usize>(), 1..6);
    prop_oneof![
        one().prop_map(Word::Step),
        some().prop_map(Word::Sum),
        some().prop_map(Word::Merge),
        some().prop_map(Word::First),
        (one(), one()).prop_map(|(a, b)| Word::Choose(a, b)),
        one().prop_map(Word::OrElse),
        (one(), one()).prop_map(|(a, b)| Word::Optional(a, b)),
        some().prop_map(Word::Map),
        one().prop_map(Word::Repeat),
        (one(), one()).prop_map(|(a, b)| Word::After(a, b)),
        one().prop_map(Word::Wait),
    ]
}

/// Writes a workflow by these words. Whatever they are, it must be sound.
fn written(words: &[Word]) -> Flow<u64, u64> {
    let flow = Workflow::<u64, u64>::named("random");
    let mut nodes = vec![flow.step(Double, flow.input()).plain()];
    for word in words {
        let at = |place: &usize| nodes[place % nodes.len()];
        let many = |places: &[usize]| places.iter().map(at).collect::<Vec<_>>();
        let node = match word {
            Word::Step(a) => flow.step(Double, at(a)).undoable().plain(),
            Word::Sum(all) => flow.step(Sum, many(all)).plain(),
            Word::Merge(all) => flow.merge(many(all)),
            Word::First(all) => flow.first_of(many(all)).cancel_rest().plain(),
            Word::Choose(a, b) => {
                let choice = flow.choose(at(a)).when("x", Condition::Is(Expr::Item)).otherwise("y");
                let x = flow.step(Double, at(b)).on(choice.case("x"));
                flow.merge((x, flow.step(Double, at(a)).on(choice.case("y"))))
            }
            Word::OrElse(a) => flow.step(Double, at(a)).or_else(Double),
            Word::Optional(a, b) => flow.step(Double, at(a).optional().or(at(b))).plain(),
            Word::Map(all) => flow.step(Sum, flow.map_with(Double, many(all), |item| item).max_concurrent(2)).plain(),
            Word::Repeat(a) => {
                flow.repeat_with(Double, |previous| previous.or(at(a)), Condition::Is(Expr::Item), 3).plain()
            }
            Word::After(a, b) => flow.merge([at(a), at(b)]).after(at(b)).after_end_of(at(a)),
            Word::Wait(a) => flow.wait_signal::<u64>("go").after(at(a)).plain(),
        };
        nodes.push(node);
    }
    flow.output(nodes[nodes.len() - 1]).unwrap()
}

proptest! {
    #![proptest_config(crate::property(256))]

    #[test]
    fn whatever_the_builder_makes_is_sound(words in prop::collection::vec(word(), 0..30)) {
        let flow = written(&words);
        let definition = flow.definition();
        prop_assert_eq!(validate(definition, &Limits::default()), Ok(()));
        let read: Definition = serde_json::from_str(&json(definition)).unwrap();
        prop_assert_eq!(&read, &**definition);
        prop_assert_eq!(json(&read), json(definition));
    }
}

#[test]
fn nodes_that_compensate_others() {
    let flow = Workflow::<Order, Vec<String>>::named("trip");
    let stock = flow.step(Reserve, flow.input()).undoable();
    let payment = flow.step(Charge, flow.input()).undoable();
    let both = flow.compensate((stock, payment));
    let all = flow.compensate_all().named("all").after(both);
    let flow = flow.output(all).unwrap();
    let names = ["reserve", "charge"];
    let written = Definition::new("trip")
        .with_node(task("reserve", &[], Expr::Input).with_undo(Work::new("reserve.undo")))
        .with_node(task("charge", &[], Expr::Input).with_undo(Work::new("charge.undo")))
        .with_node(node("compensate", Action::Compensate { of: names.map(Name::from).into() }, &names, Expr::default()))
        .with_node(node("all", Action::Compensate { of: Vec::new() }, &["compensate"], Expr::default()))
        .with_output(Expr::node("all"));
    same(&flow, &written);
    let unknown = Definition::new("x").with_node(Node::new("x", Action::Compensate { of: vec!["y".into()] }));
    assert!(validate(&unknown, &Limits::default()).is_err());
}

#[test]
fn cases_of_a_race_are_a_fault() {
    use counterpoint::definition::{RaceOption, State, States, WaitFor};
    let race = || RaceOption::new("go", WaitFor::signal("go"));
    let flow = Workflow::<u32, ()>::named("race");
    let first = flow.race([race()]).when("late", Condition::True);
    let error = flow.output(flow.sleep(Duration::ZERO).on(first.case("go"))).unwrap_err();
    assert_eq!(error.findings().len(), 1, "{error}");
    assert_eq!(error.findings()[0].fault, Fault::CasesWithoutChoice);
    let flow = Workflow::<u32, ()>::named("states");
    let states = flow.states(States::from("a", 1).with(State::new("a")), flow.input()).otherwise("b");
    let error = flow.output(flow.sleep(Duration::ZERO).on(states.case("a"))).unwrap_err();
    assert_eq!(error.findings()[0].fault, Fault::CasesWithoutChoice);
    let flow = Workflow::<u32, ()>::named("race");
    let first = flow.race([race()]);
    assert!(flow.output(flow.sleep(Duration::ZERO).on(first.case("go"))).is_ok());
}

#[test]
fn a_repeat_that_finishes() {
    let flow = Workflow::<u64, u64>::named("double");
    let flow = flow.output(flow.repeat(Double, flow.input(), Condition::Is(Expr::Item), 3).finishing()).unwrap();
    let action = &flow.definition().nodes[0].action;
    assert!(matches!(action, Action::Repeat(repeat) if repeat.finishes && repeat.max_rounds == 3));
}
