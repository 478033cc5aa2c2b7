//! Definitions that are printed as documents and read again.

use super::{compiled, example};
use crate::flow::draw::{Draws, Taste, definition};
use counterpoint::definition::{
    Action, Body, Completion, Condition, Definition, Delegate, DurableFunction, Expr, Gather, Map, Node, Reducer,
    SignalRule, State, States, Variable, Work,
};
use counterpoint::language::{Document, PrintErrorKind};
use counterpoint::task::{CodePattern, Failures, RetryRule};
use counterpoint::{FailureKind, Limits, Name, Needs, Policy, Retry};
use proptest::prelude::*;
use std::sync::Arc;

/// Prints and reads it, as YAML and as JSON.
fn again(definition: &Definition) -> Definition {
    let printed = Document::of(definition).unwrap_or_else(|error| panic!("{error}"));
    let (yaml, json) = (printed.to_yaml(), printed.to_json());
    let from_yaml: Document = serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    let from_json: Document = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}\n{json}"));
    assert_eq!(from_yaml, printed, "{yaml}");
    assert_eq!(from_json, printed, "{json}");
    from_yaml.compile(&Limits::default()).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

/// The definition as an engine stores it, with its variables, rules of signals and writes in the order of their names.
fn sorted(flow: &Definition) -> Definition {
    let mut flow: Definition = serde_json::from_str(&serde_json::to_string(flow).unwrap()).unwrap();
    fn body(body: &mut Body) {
        if let Body::Flow(flow) = body {
            *flow = Arc::new(sorted(flow));
        }
    }
    flow.variables.sort_by(|a, b| a.name.cmp(&b.name));
    flow.signals.sort_by(|a, b| a.name.cmp(&b.name));
    for node in &mut flow.nodes {
        node.writes.sort_by(|a, b| a.to.cmp(&b.to));
        match &mut node.action {
            Action::Do(of) => body(of),
            Action::Map(map) => body(&mut map.body),
            Action::Repeat(repeat) => body(&mut repeat.body),
            Action::States(states) => states.states.iter_mut().filter_map(|state| state.body.as_mut()).for_each(body),
            _ => {}
        }
    }
    flow
}

#[test]
fn every_example_is_printed_and_read_again() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/workflows");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let definition = compiled(&example(entry.unwrap().file_name().to_str().unwrap()));
        assert_eq!(again(&definition), definition);
        seen += 1;
    }
    assert!(seen >= 4);
}

#[test]
fn an_example_is_printed_as_a_person_writes_it() {
    assert_eq!(
        Document::of(&compiled(&example("order.yaml"))).unwrap().to_yaml(),
        r#"name: order
version: 3
inputs:
  cents: {type: integer, required: true}
  item: {type: string, required: true}
  mail: {type: string}
tasks:
  - {id: reserve, compensate: release, inputs: {item: "${inputs.item}"}}
  - id: charge
    compensate: {type: refund, retry: {attempts: 20, delay: 1s, max_delay: 10m}}
    retry: {attempts: 5, delay: 1s}
    timeout: 20s
    inputs: {cents: "${inputs.cents}"}
  - {id: inspect, agent: fraud, inputs: "${inputs}"}
  - id: ship
    depends_on: [reserve, charge, inspect]
    pivot: true
    inputs: {receipt: "${charge.output}", shelf: "${reserve.output.shelf}"}
  - id: notify
    depends_on: ship
    when: exists(inputs.mail)
    on_error: continue
    inputs: {to: "${inputs.mail}", parcel: "${ship.output}"}
outputs: {parcel: "${ship.output}"}
"#
    );
}

/// Settings that random definitions do not have.
#[test]
fn settings_of_every_kind_are_printed() {
    let rule = RetryRule::on(Failures::any().and_code(CodePattern::from("card.*")), 7);
    let retry = Retry::exponential(
        9,
        core::time::Duration::from_millis(1_500),
        core::time::Duration::MAX.min(core::time::Duration::from_secs(90_061)),
    );
    let retry = retry.with_factor_permille(1_500).with_rule(rule).with_escalate_after(2);
    let needs =
        Needs::skill("weld").and_skill("paint", 3).and_label("a b", "yes").and_amount("gpu", 2).and_shared("x", 9);
    let work = Work::new("weld it").with_needs(needs).with_policy(Policy::default().with_retry(retry));
    let computed = "{attempts: inputs.n, tier: 'high', total_timeout: inputs.time}".parse::<Expr>().unwrap();
    let map = Map::over("inputs.list".parse().unwrap(), Body::Task(Work::new("each").overridden_by(computed)))
        .bounded_by("{tolerate: inputs.t}".parse().unwrap())
        .with_completion(Completion::after(3).cancel_rest());
    let texts =
        ["$x", "$${x}", "a ${b}", "yes", "1e3", "3 ", "a: b", "- #", "\u{1f600}\u{85}\u{7f}\n\"\\", "", "~", "0x1f"];
    let data = Expr::value(serde_json::json!({"texts": texts, "only": {"from": "x"}, "none": null, "n": [1, -2.5e30]}));
    let states = States::from("a", 5)
        .with(State::new("a").doing(work.clone()).on_failures(FailureKind::Unknown, "b").then("b"))
        .with(State::new("b").doing(Work::new("b")).with_undo(Work::new("b.undo")));
    let delegate = Delegate::new(Work::new("ask")).with_kinds(["ask", "tell"]).gathered(Gather::Reduce(Reducer::Max));
    let flow = Definition::new("all")
        .with_version(4)
        .with_variable(Variable::new("seen", Reducer::Custom("mine".into())).with_initial(3))
        .with_signal(SignalRule::new("go").transient().max_kept(2))
        .with_node(Node::new("welding", Action::Do(Body::Task(work))).with_input(data))
        .with_node(Node::new("each", Action::Map(map)))
        .with_node(Node::new("states", Action::States(states)))
        .with_node(Node::new("ask", Action::Delegate(delegate)))
        .with_output("concat('a ', welding.output, '!')".parse().unwrap());
    assert_eq!(again(&flow), flow);
}

#[test]
fn what_no_document_can_express_is_an_error_with_its_place() {
    let undo = Work::new("undo").overridden_by("{tier: 'high'}".parse().unwrap());
    let gathered = Delegate::new(Work::new("ask")).gathered(Gather::Reduce(Reducer::Custom("mine".into())));
    type Expected = fn(&PrintErrorKind) -> bool;
    let bad: [(Node, Expected); 7] = [
        (Node::new("x", Action::Function(DurableFunction::new(Work::new("f")))), |kind| {
            *kind == PrintErrorKind::Function
        }),
        (Node::new("a.b", Action::Pass), |kind| *kind == PrintErrorKind::Name),
        (Node::new("x", Action::task("t")).with_undo(undo), |kind| matches!(kind, PrintErrorKind::Setting(_))),
        (Node::new("x", Action::Delegate(gathered)), |kind| matches!(kind, PrintErrorKind::Setting(_))),
        (Node::new("x", Action::Pass).writing("v", "/a.b"), |kind| matches!(kind, PrintErrorKind::Setting(_))),
        (Node::new("x", Action::Pass).with_input(Expr::List(vec![Expr::value(1)])), |kind| {
            matches!(kind, PrintErrorKind::Expression(_))
        }),
        (Node::new("x", Action::Pass).with_input(Expr::node("a.when")), |kind| {
            matches!(kind, PrintErrorKind::Differs(_))
        }),
    ];
    for (node, is_expected) in bad {
        let name = node.name.clone();
        let inner = Definition::new("in").with_variable(Variable::new("v", Reducer::Append)).with_node(node);
        let error = Document::of(&inner).unwrap_err();
        assert!(is_expected(&error.kind), "{error:?}");
        let is_whole = matches!(error.kind, PrintErrorKind::Differs(_));
        assert_eq!(error.path, if is_whole { Vec::new() } else { vec![name.clone()] }, "{error}");
        let outer = Definition::new("out").with_node(Node::new("sub", Action::flow(inner)));
        let error = Document::of(&outer).unwrap_err();
        assert_eq!(error.path, if is_whole { Vec::new() } else { vec![Name::from("sub"), name] }, "{error}");
    }
    let deep = (0..200)
        .fold(Definition::new("leaf"), |inner, _| Definition::new("f").with_node(Node::new("n", Action::flow(inner))));
    let error = Document::of(&deep).unwrap_err();
    assert!(matches!(error.kind, PrintErrorKind::TooLarge(_)), "{error}");
    let condition = Condition::Is(Expr::value(true));
    let node = Node::new("x", Action::Pass).with_postcondition(condition);
    let said = Document::of(&Definition::new("f").with_node(node)).unwrap();
    assert!(said.to_yaml().contains("postcondition: {is: true}"));
}

fn random(shape: &[u16]) -> Definition {
    definition(&mut Draws::new(shape), Taste { races: true, most: 8 })
}

proptest! {
    #![proptest_config(crate::property(400))]

    #[test]
    fn random_definitions_are_printed_and_read_again(shape in prop::collection::vec(any::<u16>(), 0..250)) {
        let flow = random(&shape);
        match Document::of(&flow) {
            Ok(_) => prop_assert_eq!(again(&flow), sorted(&flow)),
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}
