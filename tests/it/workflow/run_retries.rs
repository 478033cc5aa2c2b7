//! A child run that fails is compensated and started again, as the retries of its node say.

use crate::flow::{RUN, World, flow, step, undoable, work};
use counterpoint::definition::{Action, Body, Definition, Expr, Handler, Link, Map, Node, OnCompensationFailure};
use counterpoint::engine::RunStanding;
use counterpoint::message::{CompensationRemedy, NodeEvent, NodeRemedy, NodeStatus};
use counterpoint::task::{Jitter, RetryRule};
use counterpoint::workflow::{Fault, validate};
use counterpoint::{Event, Failure, FailureKind, Limits, Policy, Rejected, Retry, RunCommand, RunOutcome, Time};
use serde_json::json;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn fixed(attempts: u32) -> Retry {
    Retry::exponential(attempts, SECOND, 8 * SECOND).with_jitter(Jitter::None)
}

/// Work that is attempted once, so that its failure ends it.
fn once(kind: &str) -> Body {
    Body::Task(work(kind).with_policy(Policy::default().with_retry(Retry::never())))
}

/// `parts` sends each item of the input, with an undo for each.
fn parts(retry: Retry) -> Node {
    let send = Node::new("send", Action::Map(Map::over(Expr::Input, once("send")))).with_undo(work("recall"));
    Node::new("parts", Action::flow(flow([send]))).with_input(Expr::Input).with_retry(retry)
}

fn fail(world: &mut World, kind: &str, failure: Failure) {
    world.answer(world.attempt(kind), Err(failure)).unwrap();
}

fn busy() -> Failure {
    Failure::overloaded("no room", Duration::ZERO)
}

/// The delays of the retries, in seconds, with their rules.
fn retries(world: &World) -> Vec<(u64, Option<u32>)> {
    let found = world.journal.iter().filter_map(|entry| match &entry.event {
        Event::Node { event: NodeEvent::Retrying { at, rule, .. }, .. } => Some(((*at - entry.at).as_secs(), *rule)),
        _ => None,
    });
    found.collect()
}

#[test]
fn all_items_of_a_map_are_sent_again_after_the_others_are_undone() {
    let mut world = World::running(flow([parts(fixed(3))]), json!(["x", "y"]));
    world.done("send", 1);
    fail(&mut world, "send", busy());
    assert_eq!(world.busy(), ["recall"], "the first attempt is undone before the next begins");
    world.done("recall", 0);
    assert_eq!((retries(&world), world.busy().len()), (vec![(1, None)], 0));
    let run = world.engine.run(RUN).unwrap();
    assert_eq!((run.standing(), run.node("parts").unwrap().status()), (RunStanding::Going, NodeStatus::Running));
    assert_eq!(run.waits()[0].to_string(), format!("r1 parts: {}", world.now + SECOND));
    world.crash();
    world.pass(SECOND - Duration::from_nanos(1));
    assert!(world.busy().is_empty());
    world.pass(Duration::from_nanos(1));
    assert_eq!(world.busy(), ["send", "send"]);
    world.done("send", 3).done("send", 4);
    assert_eq!(world.output(), json!([3, 4]));
    world.verify();
}

#[test]
fn each_rule_counts_its_own_failures_and_a_handler_has_the_last() {
    let retry = fixed(9)
        .with_rule(RetryRule::on("net.*", 3).with_backoff(2 * SECOND, 3_000, 60 * SECOND).with_jitter(Jitter::None))
        .with_rule(
            RetryRule::on(FailureKind::Overloaded, 2).with_backoff(SECOND, 1_000, SECOND).with_jitter(Jitter::None),
        );
    let inner = flow([Node::new("a", Action::Do(once("a")))]);
    let retried =
        Node::new("within", Action::flow(inner)).with_retry(retry).with_handler(Handler::error("lost", "net.*"));
    let after = step("after").with_link(Link::case("within", "lost"));
    let mut world = World::running(flow([retried, after]), 0);
    let offline = || Failure::transient("offline").with_code("net.offline");
    for failure in [offline(), busy(), offline()] {
        fail(&mut world, "a", failure);
        world.sleep();
    }
    assert_eq!(retries(&world), [(2, Some(0)), (1, Some(1)), (6, Some(0))]);
    fail(&mut world, "a", offline());
    world.done("after", 0);
    assert!(matches!(world.outcome(), RunOutcome::Succeeded { .. }));
    assert_eq!(retries(&world).len(), 3);
    world.verify();
}

/// The failures of a rule do not count for another rule that has its place in a new version; all together still count.
#[test]
fn rules_of_a_new_version_count_anew() {
    let rule = |on: &str| RetryRule::on(on, 2).with_backoff(SECOND, 1_000, SECOND).with_jitter(Jitter::None);
    let of = |version: u32, rules: &[&str]| {
        let inner = flow([Node::new("a", Action::Do(once("a")))]);
        let retry = rules.iter().fold(fixed(4), |retry, on| retry.with_rule(rule(on)));
        let mut whole = flow([Node::new("within", Action::flow(inner)).with_retry(retry)]);
        whole.version = version;
        whole
    };
    let failure = |code: &str| Failure::transient("no").with_code(code);
    for (rules, more) in [(["disk.*", "net.*"], 3), (["net.*", "disk.*"], 2)] {
        let mut world = World::running(of(1, &["net.*", "disk.*"]), 0);
        fail(&mut world, "a", failure("net.x"));
        world.sleep();
        world.say(counterpoint::Command::define(of(2, &rules))).unwrap();
        let migration = counterpoint::message::Migration::to_version(2);
        world.say(RunCommand::Migrate { run: RUN, migration, reason: "new".into() }.into()).unwrap();
        // The second failure of the disk is the last of its rule, also if the first was one of the net.
        fail(&mut world, "a", failure("disk.x"));
        world.sleep();
        let found = retries(&world).len();
        assert_eq!(found, 2, "{rules:?}: {:?}", retries(&world));
        fail(&mut world, "a", failure(if more == 3 { "net.x" } else { "disk.x" }));
        world.sleep();
        assert_eq!(retries(&world).len(), more, "{rules:?}: {:?}", retries(&world));
        if more == 3 {
            world.done("a", 0);
        }
        world.verify();
    }
}

#[test]
fn what_may_have_left_something_is_not_started_again() {
    let inner = flow([undoable("a"), Node::new("b", Action::Do(once("b"))).with_link(Link::success("a"))])
        .with_on_compensation_failure(OnCompensationFailure::Hold);
    let retried = Node::new("within", Action::flow(inner)).with_retry(fixed(5));
    let mut world = World::running(flow([retried]), 0);
    world.done("a", 0);
    fail(&mut world, "b", busy());
    world.failed("undo a");
    let child = world.child();
    world.remedy(child, "a", CompensationRemedy::Abandon { reason: "no way".into() }).unwrap();
    assert!(matches!(world.outcome(), RunOutcome::Failed { .. }), "{:?}", world.outcome());
    assert!(retries(&world).is_empty());
    world.verify();
}

#[test]
fn a_permanent_failure_is_not_retried() {
    let mut world = World::running(flow([parts(fixed(5).with_rule(RetryRule::any(5)))]), json!(["x"]));
    world.failed("send");
    assert!(matches!(world.outcome(), RunOutcome::Failed { .. }) && retries(&world).is_empty());
    world.verify();
}

#[test]
fn between_two_runs_the_node_can_be_cancelled_skipped_retried_and_timed_out() {
    let pending = || {
        let timed = parts(fixed(5)).with_handler(Handler::timeout("late", 10 * SECOND));
        let mut world = World::running(flow([timed, step("beside")]), json!(["x"]));
        fail(&mut world, "send", busy());
        assert_eq!((retries(&world), world.busy()), (vec![(1, None)], vec!["beside".to_owned()]));
        world
    };
    let mut world = pending();
    world.cancel().unwrap();
    world.done("beside", 0);
    assert!(world.outcome().to_string().contains("changed my mind"), "{}", world.outcome());
    world.verify();

    let mut world = pending();
    let remedy = NodeRemedy::Skip { reason: "not today".into() };
    world.say(RunCommand::Operate { run: RUN, node: "parts".into(), remedy }.into()).unwrap();
    assert_eq!(world.status("parts"), NodeStatus::Cancelled);
    world.done("beside", 0);
    world.verify();

    let mut world = pending();
    world.say(RunCommand::Retry { run: RUN, node: Some("parts".into()), reason: "now".into() }.into()).unwrap();
    assert_eq!(world.busy(), ["beside", "send"], "an operator need not wait");
    world.done("send", 0).done("beside", 0);
    world.verify();

    let mut world = pending();
    for _ in 0..4 {
        world.sleep();
        if world.busy().contains(&"send".to_owned()) {
            fail(&mut world, "send", busy());
        }
    }
    assert_eq!(world.status("parts"), NodeStatus::Cancelled, "the time limit is that of all child runs together");
    assert_eq!(world.now, Time::ZERO + 10 * SECOND);
    world.done("beside", 0);
    world.verify();
}

#[test]
fn a_paused_run_starts_no_child_run() {
    let mut world = World::running(flow([parts(fixed(5))]), json!(["x"]));
    fail(&mut world, "send", busy());
    world.say(RunCommand::Pause { run: RUN, reason: "stop".into() }.into()).unwrap();
    world.pass(60 * SECOND);
    assert!(world.busy().is_empty());
    world.say(RunCommand::Resume { run: RUN }.into()).unwrap();
    world.done("send", 0);
    world.verify();
}

#[test]
fn a_refused_output_and_a_failure_both_lead_to_another_run() {
    use counterpoint::definition::Condition;
    let checked = parts(fixed(4)).with_postcondition(Condition::equal(Expr::Item, Expr::value(json!([1]))));
    let mut world = World::running(flow([checked]), json!(["x"]));
    fail(&mut world, "send", busy());
    world.sleep();
    world.done("send", 2);
    world.done("recall", 0);
    let RunOutcome::Compensated { cause } = world.outcome() else { panic!("{:?}", world.outcome()) };
    let code = cause.failure().code;
    assert_eq!(code.unwrap().as_str(), counterpoint::task::codes::POSTCONDITION, "a child run is not refused twice");
    world.verify();
}

#[test]
fn retries_are_checked_and_compatible() {
    let faults =
        |definition: &Definition| validate(definition, &Limits::default()).map_err(|error| error.findings().to_vec());
    let of_task = flow([step("a").with_retry(fixed(2))]);
    assert_eq!(faults(&of_task).unwrap_err()[0].fault, Fault::RetryOfOther);
    let bad = flow([parts(fixed(2).with_rule(RetryRule::on("no such code", 2)))]);
    assert!(matches!(faults(&bad).unwrap_err()[0].fault, Fault::BadCode { .. }));
    let bad = flow([Node::new(
        "a",
        Action::Do(Body::Task(
            work("a").with_policy(Policy::default().with_retry(fixed(2).with_rule(RetryRule::on("no such code", 2)))),
        )),
    )]);
    assert!(matches!(faults(&bad).unwrap_err()[0].fault, Fault::BadCode { .. }));
    let many = (0..2_000).fold(fixed(2), |retry, _| retry.with_rule(RetryRule::any(2)));
    assert!(matches!(faults(&flow([parts(many)])).unwrap_err()[0].fault, Fault::TooManyRules { .. }));

    assert!(flow([parts(fixed(2))]).is_compatible_with(&flow([parts(fixed(3))])));
    let long = fixed(2).with_rule(RetryRule::any(2).with_backoff(Duration::MAX, 2_000, Duration::MAX));
    let mut world = World::new();
    let answer = world.say(counterpoint::Command::define(flow([parts(long)])));
    assert!(!matches!(answer, Err(Rejected::Invalid(_))), "durations are stored as far as they can be: {answer:?}");
}
