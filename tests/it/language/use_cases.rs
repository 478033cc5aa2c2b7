//! The workflows under `examples/workflows/`, from the file to the end of a run, with scripted agents.

use super::{able, compiled, example};
use crate::flow::{RUN, World};
use counterpoint::definition::{
    Action, Body, Case, Condition, Definition, Expr, Input, InputType, Link, Node, On, Pick, Work,
};
use counterpoint::message::{Cause, NodeStatus};
use counterpoint::{Command, Failure, Needs, Policy, Retry, RunOutcome};
use serde_json::{Value, json};
use std::time::Duration;

/// A run of a file, with an agent that can do all work in it.
fn started(file: &str, input: Value) -> World {
    let recipe = compiled(&example(file));
    let mut world = World::new();
    world.say(Command::register(able(2).with_capacity(100))).unwrap();
    let run = counterpoint::RunSpec::new(RUN, &recipe.name).with_input(counterpoint::Payload::new(input));
    world.say(Command::define(recipe)).unwrap();
    world.say(Command::start(run)).unwrap();
    world
}

/// Lets the agent work until nothing is left; returns what was done, in order.
fn played(world: &mut World, mut script: impl FnMut(&str, &Value) -> Result<Value, Failure>) -> Vec<String> {
    let mut done = Vec::new();
    for _ in 0..1_000 {
        let Some((attempt, (_, task))) = world.held.iter().next().map(|(id, task)| (*id, task.clone())) else {
            let before = world.journal.len();
            world.sleep();
            if world.journal.len() == before {
                break;
            }
            continue;
        };
        done.push(task.kind.to_string());
        let answer = script(&task.kind, task.payload.value());
        world.answer(attempt, answer.map(counterpoint::Payload::new)).unwrap();
    }
    world.verify();
    done
}

fn permanent<T>(why: &str) -> Result<T, Failure> {
    Err(Failure::permanent(why))
}

fn etl() -> Value {
    json!({"orders": "a", "customers": "b", "products": "c"})
}

fn table(kind: &str, given: &Value, valid: bool) -> Result<Value, Failure> {
    Ok(match kind {
        "extract" => json!([given["source"]]),
        "clean" => json!([given["orders"][0], given["customers"][0], given["products"][0]]),
        "validate" => json!({"valid": valid, "rows": given.as_array().unwrap().len()}),
        "load" => json!({"rows": given}),
        _ => given.clone(),
    })
}

#[test]
fn etl_loads_valid_records() {
    let mut world = started("etl.yaml", etl());
    assert_eq!(world.busy(), ["extract", "extract", "extract"], "at once");
    let done = played(&mut world, |kind, given| table(kind, given, true));
    assert_eq!(done[3..], ["clean", "join", "aggregate", "validate", "load"]);
    assert_eq!(world.output(), json!({"loaded": {"rows": ["a", "b", "c"]}, "quarantined": null}));
}

#[test]
fn etl_quarantines_invalid_records() {
    let mut world = started("etl.yaml", etl());
    let done = played(&mut world, |kind, given| table(kind, given, false));
    assert_eq!(done.last().unwrap(), "quarantine");
    assert_eq!(world.output(), json!({"loaded": null, "quarantined": ["a", "b", "c"]}));
    assert_eq!(world.status("load"), NodeStatus::Skipped);

    let mut few = etl();
    few["least_rows"] = json!(4);
    let mut world = started("etl.yaml", few);
    played(&mut world, |kind, given| table(kind, given, true));
    assert_eq!(world.status("load"), NodeStatus::Skipped, "valid, but too few");
}

#[test]
fn etl_quarantines_records_that_cannot_be_transformed() {
    let mut world = started("etl.yaml", etl());
    let script =
        |kind: &str, given: &Value| if kind == "aggregate" { permanent("no key") } else { table(kind, given, true) };
    let done = played(&mut world, script);
    assert_eq!(done[3..], ["clean", "join", "aggregate", "quarantine"]);
    assert_eq!(world.output(), json!({"loaded": null, "quarantined": ["a", "b", "c"]}));
}

#[test]
fn etl_fails_without_a_source() {
    let mut world = started("etl.yaml", etl());
    played(&mut world, |kind, given| if given["source"] == "b" { permanent("gone") } else { table(kind, given, true) });
    assert!(!matches!(world.outcome(), RunOutcome::Succeeded { .. }), "{}", world.outcome());
}

fn studied(kind: &str, given: &Value, pictures: bool) -> Result<Value, Failure> {
    Ok(match kind {
        "decompose" => json!({"topics": ["tea", "coffee", "water"], "questions": ["why"], "pictures": pictures}),
        "research" if given == "water" => return permanent("no sources"),
        "research" => json!(format!("about {}", given.as_str().unwrap())),
        "analyze" => given["findings"].clone(),
        "visualize" => json!("chart"),
        "coordinate" => json!([given["analysis"], given["pictures"]]),
        "synthesize" if given["before"].is_null() => json!({"text": given["material"], "version": 1}),
        "synthesize" => json!({"text": given["material"], "version": 2}),
        "review" => json!(given["draft"]["version"] == 2),
        "deliver" => json!({"to": given["audience"], "report": given["report"]}),
        other => panic!("nobody does {other}"),
    })
}

#[test]
fn research_results_are_combined_in_one_report() {
    let mut world = started("research.yaml", json!({"question": "what to drink"}));
    let done = played(&mut world, |kind, given| studied(kind, given, true));
    assert_eq!(done[..4], ["decompose", "research", "research", "research"]);
    assert_eq!(done[6..], ["coordinate", "synthesize", "review", "synthesize", "review", "deliver"]);
    let text = json!([["about tea", "about coffee", null], "chart"]);
    let report = json!({"to": "everybody", "report": {"text": text, "version": 2}});
    assert_eq!(world.output(), json!({"report": report}));
}

#[test]
fn research_completes_without_pictures() {
    let mut world = started("research.yaml", json!({"question": "what to drink", "audience": "us"}));
    let done = played(&mut world, |kind, given| studied(kind, given, false));
    assert!(!done.contains(&"visualize".to_owned()));
    assert_eq!(world.output()["report"]["report"]["text"], json!([["about tea", "about coffee", null], null]));

    let mut world = started("research.yaml", json!({"question": "what to drink"}));
    played(
        &mut world,
        |kind, given| if kind == "visualize" { permanent("no ink") } else { studied(kind, given, true) },
    );
    assert_eq!(world.output()["report"]["report"]["version"], 2);
}

#[test]
fn research_fails_if_two_topics_do() {
    let mut world = started("research.yaml", json!({"question": "what to drink"}));
    played(&mut world, |kind, given| if kind == "research" { permanent("no net") } else { studied(kind, given, true) });
    assert!(!matches!(world.outcome(), RunOutcome::Succeeded { .. }));
}

fn sold(kind: &str, given: &Value) -> Result<Value, Failure> {
    Ok(match kind {
        "reserve" => json!({"shelf": 7}),
        "charge" => json!({"paid": given["cents"]}),
        "ship" => json!({"from": given["shelf"], "receipt": given["receipt"]}),
        _ => Value::Null,
    })
}

fn order() -> Value {
    json!({"item": "tea", "cents": 450, "mail": "a@example.org"})
}

#[test]
fn an_order_is_shipped() {
    let mut world = started("order.yaml", order());
    assert_eq!(world.busy(), ["reserve", "charge", "inspect"], "at once");
    let done = played(&mut world, sold);
    assert_eq!(done[3..], ["ship", "notify"]);
    assert_eq!(world.output(), json!({"parcel": {"from": 7, "receipt": {"paid": 450}}}));

    let mut world = started("order.yaml", json!({"item": "tea", "cents": 450}));
    assert_eq!(played(&mut world, sold)[3..], ["ship"], "nobody to write to");
}

#[test]
fn a_failed_order_is_compensated() {
    let mut world = started("order.yaml", order());
    let done = played(&mut world, |kind, given| if kind == "inspect" { permanent("fraud") } else { sold(kind, given) });
    let mut undone = done[3..].to_vec();
    undone.sort();
    assert_eq!(undone, ["refund", "release"]);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { cause: Cause::Node { .. } }), "{}", world.outcome());
}

#[test]
fn a_failed_notification_compensates_nothing() {
    let mut world = started("order.yaml", order());
    played(&mut world, |kind, given| if kind == "notify" { permanent("no such box") } else { sold(kind, given) });
    assert!(matches!(world.outcome(), RunOutcome::Succeeded { .. }));
}

/// The document, the data form and its JSON are equal.
#[test]
fn a_document_and_the_data_form_are_equal() {
    let input = |name: &str| Expr::Input.at(format!("/{name}"));
    let patient = Retry::exponential(20, Duration::from_secs(1), Duration::from_secs(600));
    let charge = Work::new("charge").with_policy(
        Policy::default()
            .with_retry(Retry::exponential(5, Duration::from_secs(1), Duration::from_secs(30)))
            .with_attempt_timeout(Duration::from_secs(20)),
    );
    let after = |node: Node, names: &[&str]| names.iter().fold(node, |node, name| node.with_link(Link::success(*name)));
    let told = Case::new("yes", Condition::Exists(input("mail")));
    let choose = Action::Choose { pick: Pick::First, cases: vec![told], otherwise: Some("no".into()) };
    let written = Definition::new("order")
        .with_version(3)
        .with_node(
            Node::new("reserve", Action::task("reserve"))
                .with_input(Expr::object([("item", input("item"))]))
                .with_undo(Work::new("release")),
        )
        .with_node(
            Node::new("charge", Action::Do(Body::Task(charge)))
                .with_input(Expr::object([("cents", input("cents"))]))
                .with_undo(Work::new("refund").with_policy(Policy::default().with_retry(patient))),
        )
        .with_node(
            Node::new("inspect", Action::Do(Body::Task(Work::new("inspect").with_needs(Needs::skill("fraud")))))
                .with_input(Expr::Input),
        )
        .with_node(
            after(Node::new("ship", Action::task("ship")), &["reserve", "charge", "inspect"])
                .with_input(Expr::object([
                    ("shelf", Expr::node("reserve").at("/shelf")),
                    ("receipt", Expr::node("charge")),
                ]))
                .as_pivot(),
        )
        .with_node(after(Node::new("notify.when", choose), &["ship"]))
        .with_node(
            Node::new("notify", Action::task("notify"))
                .with_link(Link::case("notify.when", "yes"))
                .with_input(Expr::object([("to", input("mail")), ("parcel", Expr::node("ship"))])),
        )
        .with_node(Node::new("notify.failed", Action::Pass).with_link(Link::failure("notify")))
        .with_output(Expr::object([("parcel", Expr::node("ship"))]))
        .with_input("cents", Input::required(InputType::Integer))
        .with_input("item", Input::required(InputType::String))
        .with_input("mail", Input::optional(InputType::String));
    let read = compiled(&example("order.yaml"));
    assert!(read.nodes.iter().all(|node| node.after.iter().all(|link| link.on != On::Always)));
    assert_eq!(read, written);
    assert_eq!(read.id(), written.id());
}

/// The format of a document does not affect the result.
#[test]
fn a_document_is_the_same_in_yaml_and_in_json() {
    for file in ["etl.yaml", "research.yaml", "order.yaml"] {
        let document = super::document(&example(file));
        let json = serde_json::to_string_pretty(&document).unwrap();
        let again: counterpoint::language::Document = serde_json::from_str(&json).unwrap();
        assert_eq!(again, document, "{file}");
        let yaml = serde_saphyr::to_string(&document).unwrap();
        assert_eq!(super::document(&yaml), document, "{file}");
    }
}

/// The defaults of inputs are a part of the workflow: they hold for runs that are started from elsewhere, by their name alone, and
/// their document can be printed from the workflow alone.
#[test]
fn defaults_of_inputs_hold_for_every_run() {
    let recipe = compiled(
        r#"
name: report
inputs:
  question: {type: string, required: true}
  audience: {default: everybody}
  words: {type: integer, default: 500}
tasks:
  - {id: write, agent: writer, inputs: {to: "${inputs.audience}", about: "${inputs.question}"}}
  - {id: shorten, agent: clean, when: "inputs.words < 600", depends_on: write, inputs: "${inputs}"}
"#,
    );
    let inputs = |input: Value| {
        let mut world = World::new();
        world.say(Command::register(able(2))).unwrap();
        world.say(Command::define(recipe.clone())).unwrap();
        let run = counterpoint::RunSpec::new(RUN, "report").with_input(counterpoint::Payload::new(input));
        world.say(Command::start(run.clone())).unwrap();
        assert_eq!(world.say(Command::start(run)), Ok(counterpoint::Accepted::Repeated));
        let mut inputs = Vec::new();
        played(&mut world, |_, input| {
            inputs.push(input.clone());
            Ok(json!(0))
        });
        inputs
    };
    assert_eq!(
        inputs(json!({"question": "why", "words": 100})),
        [json!({"to": "everybody", "about": "why"}), json!({"question": "why", "audience": "everybody", "words": 100})]
    );
    assert_eq!(
        inputs(json!({"question": "why", "audience": null, "words": 900})),
        [json!({"to": null, "about": "why"})],
        "a field that is given is not replaced"
    );
    let printed = counterpoint::language::Document::of(&recipe).unwrap();
    assert_eq!(printed.compile(&counterpoint::Limits::default()).unwrap(), recipe, "{}", printed.to_yaml());
}
