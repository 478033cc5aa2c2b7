//! Trigger rules, over every combination of up to four inputs, in every order of their ends that matters.

use crate::flow::model::fires;
use crate::flow::{World, flow, step};
use counterpoint::definition::{Action, Case, Condition, Definition, Expr, Inputs, Join, Link, Node, Pick, Trigger};
use counterpoint::message::NodeStatus;
use counterpoint::workflow::{Fault, validate};
use counterpoint::{Limits, RunOutcome};
use serde_json::json;

/// All words of this length over the letters.
fn words(length: usize, letters: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for _ in 0..length {
        words = words.iter().flat_map(|word| letters.chars().map(move |letter| format!("{word}{letter}"))).collect();
    }
    words
}

fn counted(word: &str) -> Inputs {
    let count = |wanted| u32::try_from(word.chars().filter(|letter| *letter == wanted).count()).unwrap();
    let inputs = Inputs::new(u32::try_from(word.len()).unwrap()).succeeded(count('S')).failed(count('F'));
    inputs.upstream_failed(count('U')).skipped(count('K'))
}

#[test]
fn the_verdict_is_that_of_the_truth_tables_for_all_inputs_so_far() {
    for rule in Trigger::ALL {
        for word in (1..=4).flat_map(|length| words(length, "SFUK.")) {
            let expected = match fires(rule, &word) {
                true => Some(true),
                false if word.contains('.') => None,
                false => Some(false),
            };
            assert_eq!(rule.verdict(counted(&word)), expected, "{rule} of {word}");
        }
    }
}

/// The table in the documentation is what the code does.
#[test]
fn the_table_in_the_documentation_is_true() {
    let source = include_str!("../../../src/definition/trigger.rs");
    let columns = ["SS", "SF", "SU", "SK", "FF", "FU", "FK", "UU", "UK", "KK"];
    for rule in Trigger::ALL {
        let row = source.lines().find(|line| line.contains(&format!("| `{rule:?}` |"))).unwrap();
        let cells: Vec<&str> = row.split('|').skip(2).map(str::trim).collect();
        for (column, cell) in columns.iter().zip(cells) {
            assert_eq!(rule.verdict(counted(column)), Some(cell == "yes"), "{rule} of {column}");
        }
    }
}

/// Inputs `i0`, `i1` ..., each of which does a task, or is skipped if the run's input says so.
fn inputs(word: &str, rule: Trigger) -> Definition {
    let mut target = step("target").with_join(Join::Trigger(rule));
    let mut nodes = Vec::new();
    for at in 0..word.len() {
        let wanted = Condition::Is(Expr::Item);
        let action =
            Action::Choose { pick: Pick::First, cases: vec![Case::new("go", wanted)], otherwise: Some("skip".into()) };
        nodes.push(Node::new(format!("c{at}"), action).with_input(Expr::Input.at(format!("/{at}"))));
        nodes.push(step(&format!("i{at}")).with_link(Link::case(format!("c{at}"), "go")));
        target = target.with_link(Link::success(format!("i{at}")));
    }
    nodes.push(target);
    flow(nodes)
}

#[test]
fn a_node_starts_by_its_rule_for_all_outcomes_of_up_to_four_inputs() {
    for rule in Trigger::ALL {
        for word in (1..=4).flat_map(|length| words(length, "SFK")) {
            // What does not start handles nothing.
            let fails = word.contains('F') && !(rule.handles_failure() && fires(rule, &word));
            let go: Vec<bool> = word.chars().map(|letter| letter != 'K').collect();
            let mut world = World::running(inputs(&word, rule), json!(go));
            let mut so_far: String = word.chars().map(|letter| if letter == 'K' { 'K' } else { '.' }).collect();
            for (at, letter) in word.char_indices().filter(|(_, letter)| *letter != 'K') {
                assert_eq!(world.busy().contains(&"target".to_owned()), fires(rule, &so_far), "{rule} of {so_far}");
                let name = format!("i{at}");
                if letter == 'S' {
                    world.done(&name, 1)
                } else {
                    world.failed(&name)
                };
                so_far.replace_range(at..=at, &letter.to_string());
            }
            if fires(rule, &word) {
                world.done("target", 1);
                assert_eq!(world.status("target"), NodeStatus::Succeeded, "{rule} of {word}");
            } else {
                // A failure that nothing takes care of ends the run before the rule is asked, unless it came last.
                let status = world.status("target");
                let reason = if word.contains('F') && rule.wants_success() {
                    NodeStatus::UpstreamFailed
                } else {
                    NodeStatus::Skipped
                };
                assert!(status == reason || fails && status == NodeStatus::Waiting, "{rule} of {word}: {status}");
            }
            assert_eq!(matches!(world.outcome(), RunOutcome::Failed { .. }), fails, "{rule} of {word}");
            world.verify();
        }
    }
}

#[test]
fn a_withdrawn_input_and_another_case_count_as_skipped() {
    let choose = Action::Choose {
        pick: Pick::First,
        cases: vec![Case::new("a", Condition::True), Case::new("b", Condition::True)],
        otherwise: None,
    };
    let nodes = [
        Node::new("which", choose),
        step("target").with_link(Link::case("which", "b")).with_join(Join::Trigger(Trigger::AllSkipped)),
    ];
    let mut world = World::running(flow(nodes), 0);
    world.done("target", 1).verify();
}

#[test]
fn rules_that_make_no_sense_are_faults() {
    let wrong = |node: Node| {
        let definition = flow([step("a"), node.with_join(Join::Trigger(Trigger::AllDone))]);
        validate(&definition, &Limits::default()).unwrap_err().findings()[0].fault.clone()
    };
    assert_eq!(wrong(step("b")), Fault::TriggerWithoutLinks);
    assert!(
        matches!(wrong(step("b").with_link(Link::failure("a"))), Fault::TriggerLink { source_node, .. } if source_node == "a")
    );
}

/// Rules count failures by kind and code where their links name the handlers that match them.
#[test]
fn a_rule_counts_failures_by_code() {
    use counterpoint::Failure;
    use counterpoint::definition::Handler;
    let source = |name: &str| step(name).with_handler(Handler::error("declined", "card.*"));
    let target = step("target")
        .with_join(Join::Trigger(Trigger::AllSucceeded))
        .with_link(Link::case("a", "declined"))
        .with_link(Link::case("b", "declined"));
    let played = |codes: [&str; 2]| {
        let mut world = World::running(flow([source("a"), source("b"), target.clone()]), 0);
        for (node, code) in ["a", "b"].into_iter().zip(codes) {
            let failure = Failure::permanent("no").with_code(code);
            world.answer(world.attempt(node), Err(failure)).unwrap();
        }
        world
    };
    let mut world = played(["card.declined", "card.expired"]);
    world.done("target", 7);
    assert_eq!(world.output(), 7);
    world.verify();
    let world = played(["card.declined", "net.offline"]);
    assert_eq!(world.status("target"), NodeStatus::Skipped);
    assert!(matches!(world.outcome(), RunOutcome::Failed { .. }), "the failure with another code is not handled");
    world.verify();
}
