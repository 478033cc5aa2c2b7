//! A run succeeds only if every failure was handled by something that ran; what did not run because of a failure says so; and
//! the trigger rules are those of Airflow.

use crate::flow::draw::{self, Draws, Taste};
use crate::flow::{RUN, World, flow, step, undoable, work};
use counterpoint::definition::{
    Action, Body, Condition, Definition, Expr, Handler, Inputs, Join, Link, Map, Node, On, OnFailure, Precondition,
    Remaining, Trigger,
};
use counterpoint::message::{NodeEvent, NodeOutcome, NodeStatus, RunEvent, TaskEvent};
use counterpoint::task::Failures;
use counterpoint::{Command, Event, Name, RunId, RunOutcome, RunSpec};
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Plays with these answers until nothing is under way.
fn played(nodes: impl IntoIterator<Item = Node>, fails: &[&str]) -> World {
    let mut world = World::running(flow(nodes), 0);
    while let Some(kind) = world.busy().first().cloned() {
        if fails.contains(&kind.as_str()) {
            world.failed(&kind);
        } else {
            world.done(&kind, 1);
        }
    }
    world.crash();
    world.verify();
    world
}

fn after(name: &str, before: &[&str]) -> Node {
    before.iter().fold(step(name), |node, one| node.with_link(Link::success(*one)))
}

/// Compositions in which the node that was to handle the failure of `a` does not run.
#[test]
fn a_failure_that_nothing_handles_in_the_end_fails_the_run() {
    let any = Join::Trigger(Trigger::AnySucceeded);
    let never = || Precondition::new(Condition::Is(Expr::value(false))).or_skip();
    let accepted = || Node::new("ok", Action::Pass).with_link(Link::failure("b"));
    let second = |node: Node| vec![step("a"), step("b"), node];
    let compositions: Vec<(&str, Vec<Node>)> = vec![
        ("no input succeeded", second(after("c", &["a", "b"]).with_join(any))),
        (
            "not all failed",
            vec![step("a"), step("x"), after("c", &["a", "x"]).with_join(Join::Trigger(Trigger::AllFailed))],
        ),
        (
            "another link is missing",
            vec![
                step("a"),
                step("b"),
                accepted(),
                step("c").with_link(Link::failure("a")).with_link(Link::success("b")),
            ],
        ),
        (
            "a condition turns it away",
            vec![step("a"), step("c").with_link(Link::failure("a")).with_precondition(never())],
        ),
        (
            "a handler leads nowhere",
            vec![
                step("a").with_handler(Handler::error("h", Failures::any())),
                step("b"),
                accepted(),
                step("c").with_link(Link::case("a", "h")).with_link(Link::success("b")),
            ],
        ),
        (
            "a counting join is turned away",
            vec![
                step("a"),
                step("x"),
                after("c", &["a", "x"])
                    .with_join(Join::Count { required: 1, remaining: Remaining::Ignore })
                    .with_precondition(never()),
            ],
        ),
        (
            "a stop node cancels the handler before it begins",
            vec![
                step("a"),
                step("b"),
                step("y"),
                step("x"),
                step("c").with_link(Link::failure("a")).with_link(Link::success("x")),
                Node::new("s", Action::Stop).with_link(Link::success("y")),
                accepted(),
            ],
        ),
        (
            "another node cancels the handler before it begins",
            vec![
                step("a"),
                step("b"),
                step("y").with_cancel("c"),
                step("x"),
                step("c").with_link(Link::failure("a")).with_link(Link::success("x")),
                accepted(),
            ],
        ),
        (
            "within a nested run",
            vec![Node::new(
                "n",
                Action::Do(Body::Flow(Arc::new(flow(second(after("c", &["a", "b"]).with_join(any)))))),
            )],
        ),
    ];
    for (what, nodes) in compositions {
        let world = played(nodes, &["a", "b"]);
        assert!(matches!(world.outcome(), RunOutcome::Failed { .. }), "{what}: {}", world.outcome());
        assert_eq!(world.outcome().cause().unwrap().failure().path()[0].node, "a", "{what}");
    }
}

#[test]
fn a_failure_that_something_handles_does_not_fail_the_run() {
    let any = Join::Trigger(Trigger::AnySucceeded);
    let compositions: Vec<Vec<Node>> = vec![
        vec![step("a"), step("x"), after("c", &["a", "x"]).with_join(any)],
        vec![step("a"), step("c").with_link(Link::failure("a"))],
        vec![step("a"), Node::new("c", Action::Pass).with_link(Link::always("a"))],
        vec![step("a").with_handler(Handler::error("no harm", Failures::any()))],
        vec![
            step("a"),
            step("x"),
            after("c", &["a", "x"]).with_join(Join::Count { required: 1, remaining: Remaining::Ignore }),
        ],
    ];
    for nodes in compositions {
        let world = played(nodes, &["a"]);
        assert!(matches!(world.outcome(), RunOutcome::Succeeded { .. }), "{}", world.outcome());
    }
}

#[test]
fn what_does_not_run_because_of_a_failure_has_upstream_failed() {
    let nodes = || {
        vec![
            step("a"),
            Node::new("accepted", Action::Pass).with_link(Link::failure("a")),
            after("b", &["a"]),
            after("c", &["b"]),
            step("d").with_link(Link::failure("b")),
            Node::new("e", Action::Pass).with_link(Link::always("c")),
        ]
    };
    let world = played(nodes(), &["a"]);
    let status = |world: &World| ["a", "b", "c", "d", "e"].map(|node| world.status(node));
    use NodeStatus::{Failed, Skipped, Succeeded, UpstreamFailed};
    assert_eq!(status(&world), [Failed, UpstreamFailed, UpstreamFailed, Skipped, Succeeded]);
    let world = played(nodes(), &[]);
    assert_eq!(status(&world), [Succeeded, Succeeded, Succeeded, Skipped, Succeeded]);
}

#[test]
fn independent_branches_end_before_the_run_fails() {
    let nodes = [step("a"), after("after a", &["a"]), undoable("b"), after("c", &["b"])];
    let finish = flow(nodes).with_on_failure(OnFailure::Finish);
    let mut world = World::running(finish, 0);
    world.failed("a").crash();
    assert_eq!((world.busy(), world.status("after a")), (vec!["b".to_owned()], NodeStatus::UpstreamFailed));
    world.done("b", 1).done("c", 2);
    assert_eq!((world.busy(), world.status("c")), (vec!["undo b".to_owned()], NodeStatus::Succeeded));
    world.done("undo b", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    assert_eq!(world.outcome().cause().unwrap().failure().path()[0].node, "a");
    world.verify();
}

#[test]
fn items_and_nested_runs_go_on_until_all_have_ended() {
    let nested = flow([step("x"), step("y")]).with_on_failure(OnFailure::Finish);
    let map = Map::over(Expr::value(json!([1, 2])), Body::Task(work("item")));
    let nodes = [Node::new("n", Action::Do(Body::Flow(Arc::new(nested)))), Node::new("m", Action::Map(map))];
    let mut world = World::running(flow(nodes).with_on_failure(OnFailure::Finish), 0);
    world.failed("x");
    assert_eq!(world.busy(), ["item", "item", "y"]);
    world.done("y", 1).done("item", 1).done("item", 1);
    assert_eq!((world.status("n"), world.status("m")), (NodeStatus::Failed, NodeStatus::Succeeded));
    assert_eq!(world.outcome().cause().unwrap().failure().path().len(), 2);
    world.verify();
}

/// How a node ended for the last time, with the handler that took its failure.
type Ends = BTreeMap<(RunId, Name), (NodeOutcome, Vec<Name>)>;

fn ends(world: &World) -> Ends {
    let mut ends = Ends::new();
    let (mut operated, mut begun) = (BTreeSet::new(), BTreeSet::new());
    for entry in &world.journal {
        match &entry.event {
            Event::Task { event: TaskEvent::Submitted { spec, .. }, .. } => {
                begun.extend(spec.owner.map(|owner| (owner.run, owner.node)));
            }
            Event::Run { event: RunEvent::Started { owner, .. }, .. } => {
                begun.extend(owner.map(|owner| (owner.run, owner.node)));
            }
            Event::Node { run, node, event: NodeEvent::Opened { .. } } => {
                begun.insert((*run, node.index));
            }
            Event::Node { run, node, event: NodeEvent::Operated { .. } } => {
                operated.insert((*run, node.name.clone()));
            }
            Event::Node { run, node, event: NodeEvent::Finished { outcome, took, .. } } => {
                let at = (*run, node.name.clone());
                // An operator who skips a node decides about what it would have handled. What was cancelled before it began
                // has handled nothing.
                let is_skipped = *outcome == NodeOutcome::Skipped && operated.contains(&at);
                let is_cancelled = matches!(outcome, NodeOutcome::Cancelled { .. });
                let has_begun = begun.contains(&(*run, node.index)) || operated.contains(&at);
                let outcome = match outcome {
                    _ if is_skipped => NodeOutcome::Cancelled { outcome_unknown: false },
                    _ if is_cancelled && !has_begun => NodeOutcome::Skipped,
                    other => other.clone(),
                };
                ends.insert(at, (outcome, took.clone()));
            }
            Event::Run { run, event: RunEvent::Restarted { nodes } } => {
                for node in nodes {
                    ends.remove(&(*run, node.name.clone()));
                    begun.remove(&(*run, node.index));
                }
            }
            _ => {}
        }
    }
    ends
}

/// Whether the failure of a node was handled: by a node after it that ran, or that an operator withdrew, or by a handler that
/// says that it does no harm.
fn was_handled(run: RunId, definition: &Definition, name: &Name, took: &[Name], ends: &Ends) -> bool {
    let end = |node: &Node| ends.get(&(run, node.name.clone())).map(|(outcome, _)| outcome);
    let took_part = |node: &&Node| {
        let dodged = matches!(end(node), None | Some(NodeOutcome::Skipped | NodeOutcome::UpstreamFailed));
        !dodged
    };
    let leads = |from: &Name| -> Vec<&Node> {
        let is_after = |node: &&Node| node.after.iter().any(|link| link.node == *from);
        definition.nodes.iter().filter(is_after).collect()
    };
    let is_case =
        |case: &Name| leads(name).iter().any(|node| node.after.iter().any(|link| link.on == On::Case(case.clone())));
    let mut line: Vec<&Name> = vec![name];
    let mut joins = Vec::new();
    while let Some(at) = line.pop() {
        for node in leads(at) {
            line.push(&node.name);
            joins.extend(matches!(node.join, Join::Count { .. }).then_some(node));
        }
    }
    let answers = |node: &&Node| {
        let of_failure = |link: &Link| {
            link.node == *name
                && match &link.on {
                    On::Failure => took.is_empty(),
                    On::Always => true,
                    On::Case(case) if took.contains(case) => true,
                    // A trigger rule counts the failure of a node whose case was not taken.
                    _ => matches!(node.join, Join::Trigger(_)),
                }
        };
        node.after.iter().any(of_failure)
    };
    took.iter().any(|handler| !is_case(handler))
        || leads(name).into_iter().filter(answers).any(|node| took_part(&node))
        || joins.iter().any(took_part)
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_time: 15_000, ..crate::property(400) })]

    /// Random graphs with triggers, joins, handlers and nested runs, of which random steps fail.
    #[test]
    fn a_run_succeeds_only_if_every_failure_was_handled_by_something_that_ran(
        shape in prop::collection::vec(any::<u16>(), 0..160),
        schedule in prop::collection::vec(any::<u16>(), 0..80),
        seed in 1_u64..1_000,
    ) {
        let mut draws = Draws::new(&shape);
        let input = draw::input(&mut draws);
        let definition = draw::definition(&mut draws, Taste { races: true, most: 10 });
        let mut world = World::new();
        world.say(Command::define(definition)).unwrap();
        world.say(Command::start(RunSpec::new(RUN, "flow").with_input(input))).unwrap();
        world.play(&mut Draws::new(&schedule), seed, RUN, false);
        // However deep a failure comes from, it has the kind, the code, the message, the details and the cause that were reported.
        prop_assert_eq!(crate::flow::identity::check(&world.journal), Ok(()));
        let ends = ends(&world);
        for run in world.engine.runs() {
            if !matches!(run.outcome(), Some(RunOutcome::Succeeded { .. })) {
                continue;
            }
            for node in &run.definition().nodes {
                if let Some((NodeOutcome::Failed { .. }, took)) = ends.get(&(run.id(), node.name.clone())) {
                    let handled = was_handled(run.id(), run.definition(), &node.name, took, &ends);
                    prop_assert!(handled, "{} of {}\n{}", node.name, run.id(), crate::flow::tell(&world.journal));
                }
            }
        }
    }
}

/// The rules of Airflow 3 with those of this library.
const RULES: [(&str, Trigger); 12] = [
    ("all_success", Trigger::AllSucceeded),
    ("all_failed", Trigger::AllFailed),
    ("all_done", Trigger::AllDone),
    ("all_done_min_one_success", Trigger::AllDoneOneSucceeded),
    ("all_skipped", Trigger::AllSkipped),
    ("one_failed", Trigger::AnyFailed),
    ("one_success", Trigger::AnySucceeded),
    ("one_done", Trigger::AnyDone),
    ("none_failed", Trigger::NoneFailed),
    ("none_failed_min_one_success", Trigger::NoneFailedOneSucceeded),
    ("none_skipped", Trigger::NoneSkipped),
    ("always", Trigger::Always),
];

/// What Airflow does with a task whose upstream tasks have ended so: S success, F failed, U upstream_failed, K skipped.
fn airflow(rule: &str, word: &str) -> char {
    let has = |letters: &str| word.chars().any(|letter| letters.contains(letter));
    let (failed, not_run) = (has("FU"), |runs: bool, otherwise: char| if runs { 'R' } else { otherwise });
    let by_failure = if failed { 'U' } else { 'K' };
    match rule {
        "all_success" => not_run(!has("FUK"), by_failure),
        "all_failed" => not_run(!has("SK"), 'K'),
        "all_done" | "always" => 'R',
        "all_done_min_one_success" | "one_success" => not_run(has("S"), by_failure),
        "all_skipped" => not_run(!has("SFU"), 'K'),
        "one_failed" => not_run(failed, 'K'),
        "one_done" => not_run(has("SF"), 'K'),
        "none_failed" => not_run(!failed, 'U'),
        "none_failed_min_one_success" => not_run(!failed && has("S"), by_failure),
        "none_skipped" => not_run(!has("K"), 'K'),
        other => panic!("no rule {other}"),
    }
}

#[test]
fn each_rule_of_airflow_has_its_row_and_does_the_same() {
    let page = include_str!("../../../docs/coming-from.md");
    for (name, rule) in RULES {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        assert!(row.is_some_and(|row| row.contains(&format!("| `{rule:?}` |"))), "{name}: {row:?}");
        for code in 0..4_usize.pow(3) {
            let word: String = (0..3).map(|at| ['S', 'F', 'U', 'K'][code / 4_usize.pow(at) % 4]).collect();
            let count = |letter| u32::try_from(word.matches(letter).count()).unwrap();
            let inputs = Inputs::new(3).succeeded(count('S')).failed(count('F'));
            let inputs = inputs.upstream_failed(count('U')).skipped(count('K'));
            let here = match rule.verdict(inputs).unwrap() {
                true => 'R',
                false if rule.wants_success() && word.contains(['F', 'U']) => 'U',
                false => 'K',
            };
            assert_eq!(here, airflow(name, &word), "{name} of {word}");
        }
    }
    assert_eq!(RULES.len(), Trigger::ALL.len());
}
