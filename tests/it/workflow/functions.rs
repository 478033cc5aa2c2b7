//! Durable functions, whose turns are answered by hand or by a program that begins from scratch in each turn.

use crate::flow::{RUN, World, flow, json as payload, step, timeless, undoable, work};
use counterpoint::definition::{
    Action, Body, Call, Condition, Definition, DurableFunction, Expr, FunctionAnswer, FunctionCall, FunctionTurn, Link,
    Node, Occurrence, OnFailure, Precondition, RaceOption, WaitFor, Work,
};
use counterpoint::engine::EngineSnapshot;
use counterpoint::message::{
    Cause, Next, NodeEvent, NodeOutcome, NodeRemedy, NodeStatus, Opening, RunEvent, RunPhase, TaskEvent,
};
use counterpoint::task::{IdempotencyKey, Identity, JournalId, NodeIx, Owner, Phase, codes};
use counterpoint::workflow::{Fault, validate};
use counterpoint::{Command, Engine, Event, Failure, Limits, Payload, Policy, Retry, RunCommand, RunOutcome, TaskSpec};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

fn function() -> DurableFunction {
    DurableFunction::new(work("turn"))
}

fn alone() -> Definition {
    function().definition("order")
}

/// A crash fails an attempt: none of these tests is to run out of them.
fn patient(kind: &str) -> Work {
    work(kind).with_policy(Policy::default().with_retry(Retry::default().with_attempts(100)))
}

fn task(kind: &str) -> FunctionCall {
    FunctionCall::new(kind, Body::Task(patient(kind)))
}

fn undoable_task(kind: &str) -> FunctionCall {
    task(kind).with_undo(patient(&format!("undo {kind}")))
}

fn inline(key: &str, action: Action) -> FunctionCall {
    let node = Node::new("it", action).with_input(Expr::Input);
    FunctionCall::new(key, Body::Flow(Definition::new(key).with_node(node).with_output(Expr::node("it")).into()))
}

fn calls(calls: impl IntoIterator<Item = FunctionCall>) -> Value {
    serde_json::to_value(FunctionAnswer::<()>::Calls(calls.into_iter().collect())).unwrap()
}

fn retry() -> Command {
    RunCommand::Retry { run: RUN, node: None, reason: "the code is right now".into() }.into()
}

impl World {
    fn turn(&self) -> FunctionTurn<Value> {
        self.task("turn").payload.to().unwrap()
    }

    fn turns(&mut self, answer: Value) -> &mut Self {
        self.done("turn", answer)
    }

    /// The results of the calls of the function of this node, in the order of their ends.
    fn results(&self, node: &str) -> Vec<(String, Result<Value, Failure>)> {
        let run = self.engine.run(RUN).unwrap();
        let results = run.node(node).unwrap().results(0);
        let text = |result: Result<Payload, Failure>| result.map(|output| output.value().clone());
        results.map(|call| (format!("{}{}", call.key, call.occurrence), text(call.result.unwrap()))).collect()
    }

    /// The failure by which the node of the function ended, or for which it is held.
    fn failure(&self) -> Failure {
        let run = self.engine.run(RUN).unwrap();
        let node = run.node("order").unwrap();
        match node.held().or(node.outcome()) {
            Some(NodeOutcome::Failed { failure, .. }) => (**failure).clone(),
            other => panic!("{other:?}, waiting for {:?}", run.waits_for()),
        }
    }

    fn code(&self) -> String {
        self.failure().code.map(|code| code.as_str().to_owned()).unwrap_or_default()
    }

    /// The run has ended, and its journal follows the rules: the calls of the function begin in the order of their requests, each
    /// once and with its input, and a turn begins when there is neither another one nor a call that has not begun.
    fn whole(&self) {
        assert!(self.engine.outstanding().is_empty(), "{:?}", self.engine.outstanding());
        let (mut function, mut due, mut turn) = (None, VecDeque::new(), None);
        let is_its_own = |function: Option<NodeIx>, owner: Option<Owner>| {
            owner.is_some_and(|owner| owner.run == RUN && owner.phase == Phase::Do && function == Some(owner.node))
        };
        for entry in &self.journal {
            match &entry.event {
                Event::Node { run: RUN, node, event: NodeEvent::Opened { what: Opening::Function } } => {
                    function = Some(node.index);
                }
                Event::Node { run: RUN, event: NodeEvent::Called { calls }, .. } => due.extend(calls),
                Event::Task { task, event: TaskEvent::Submitted { spec, .. } } if is_its_own(function, spec.owner) => {
                    if spec.kind.as_str() == "turn" {
                        assert!(due.is_empty() && turn.is_none(), "{entry:?}");
                        turn = Some(*task);
                    } else {
                        let call = due.pop_front().expect("a call was requested");
                        let Body::Task(work) = &call.body else { panic!("{call:?} is no task") };
                        assert_eq!((&spec.kind, &spec.payload), (&work.kind, &call.input));
                    }
                }
                Event::Run { event: RunEvent::Started { spec, owner, .. }, .. } if is_its_own(function, *owner) => {
                    let call = due.pop_front().expect("a call was requested");
                    assert!(!matches!(call.body, Body::Task(_)) && spec.input == call.input, "{entry:?}");
                }
                Event::Task {
                    task,
                    event:
                        TaskEvent::Succeeded { .. }
                        | TaskEvent::Cancelled { .. }
                        | TaskEvent::AttemptFailed { next: Next::Fail | Next::DeadLetter, .. },
                } if turn == Some(*task) => turn = None,
                _ => {}
            }
        }
        assert!(due.is_empty() && turn.is_none(), "{due:?} {turn:?}");
    }

    /// A snapshot leads to the same state as the journal.
    fn check_snapshot(&self) {
        let snapshot = self.engine.snapshot();
        let bytes = snapshot.to_bytes().unwrap();
        let read = EngineSnapshot::from_bytes(&bytes).unwrap();
        assert_eq!(read, snapshot);
        let restored = Engine::restore(timeless(), Some(&read), &[]).unwrap();
        restored.check().unwrap();
        assert_eq!(restored.snapshot(), snapshot);
    }
}

#[test]
fn calls_are_performed_in_turns_and_results_are_read_from_the_engine() {
    let mut world = World::running(alone(), "tea");
    assert_eq!(world.turn(), FunctionTurn::Begin { turn: 0, input: json!("tea"), results: 0 });
    world.turns(calls([task("reserve").with_input("leaves"), task("price")]));
    assert_eq!(world.busy(), ["reserve", "price"]);
    assert_eq!(*world.task("reserve").payload.value(), "leaves");
    world.done("price", 3);
    assert_eq!(world.turn(), FunctionTurn::Resume { turn: 1, from: 0, results: 1 });
    world.done("reserve", "shelf 7");
    assert_eq!(world.busy(), ["turn"], "what arrives during a turn waits for the next one");
    world.check_snapshot();
    world.turns(calls([]));
    assert_eq!(world.turn(), FunctionTurn::Resume { turn: 2, from: 1, results: 2 });
    assert_eq!(
        world.results("order"),
        [("price#0".to_owned(), Ok(json!(3))), ("reserve#0".to_owned(), Ok(json!("shelf 7")))]
    );
    world.turns(json!({ "done": { "total": 3 } }));
    assert_eq!(world.output(), json!({ "total": 3 }));
    world.check_snapshot();
    let asked: Vec<usize> = world
        .journal
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Node { event: NodeEvent::Called { calls }, .. } => Some(calls.len()),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [2, 0]);
    world.whole();
}

#[test]
fn a_failure_of_a_call_is_a_result_and_a_failure_of_the_function_compensates_its_calls_in_reverse() {
    let flow = Definition::new("inner").with_node(undoable("deep"));
    let mut world = World::running(alone(), 1);
    world.turns(calls([undoable_task("one")])).done("one", 1);
    world.turns(calls([task("kept"), FunctionCall::new("inner", Body::Flow(flow.into()))]));
    world.done("kept", 0).turns(calls([])).done("deep", 2);
    world.turns(calls([undoable_task("fails")])).failed("fails");
    assert!(world.results("order")[3].1.is_err());
    world.turns(calls([undoable_task("last")])).done("last", 4);
    world.crash();
    world.turns(json!({ "fail": { "kind": "permanent", "code": "shop.closed", "message": "no" } }));
    for kind in ["last", "deep", "one"] {
        assert_eq!(world.busy(), [format!("undo {kind}")], "one after the other, the last first");
        world.check_snapshot();
        world.done(&format!("undo {kind}"), 0);
    }
    let RunOutcome::Compensated { cause: Cause::Node { failure, .. } } = world.outcome() else {
        panic!("{}", world.outcome())
    };
    assert_eq!(failure.code.as_ref().unwrap().as_str(), "shop.closed");
    world.whole();
}

#[test]
fn a_result_cancels_calls_that_are_under_way() {
    let mut world = World::running(alone(), 1);
    world.turns(calls([task("quick"), task("slow")])).done("quick", 1).turns(json!({ "done": "enough" }));
    assert_eq!(world.stopped.len(), 1);
    world.done("slow", 1);
    assert_eq!(world.output(), "enough");
    world.whole();
}

#[test]
fn signals_timers_decisions_and_called_workflows_are_calls() {
    let mut world = World::new();
    world.say(Command::define(Definition::new("other").with_node(step("far")).with_output(Expr::node("far")))).unwrap();
    let mut world = world.begin(alone(), 1);
    let wait = |signal: Option<&str>, timer: Option<u64>| Action::Wait {
        signal: signal.map(Into::into),
        timer: timer.map(Duration::from_secs),
    };
    let until = RaceOption::new("then", WaitFor::At(Expr::Input));
    world.turns(calls([
        inline("approve", wait(Some("go"), Some(3_600))),
        inline("sleep", wait(None, Some(60))),
        inline("until", Action::Race { options: vec![until] }).with_input(90_000_000_000_u64),
        FunctionCall::new("other", Body::Call(Call::of("other"))),
    ]));
    world.crash();
    assert_eq!(world.busy(), ["far"]);
    world.done("far", "away").turns(calls([]));
    world.signal("go", "yes").unwrap();
    world.turns(calls([])).sleep();
    world.turns(calls([])).check_snapshot();
    world.sleep();
    world.turns(json!({ "done": null }));
    let results: Vec<String> = world.results("order").into_iter().map(|(call, _)| call).collect();
    assert_eq!(results, ["other#0", "approve#0", "sleep#0", "until#0"]);
    assert_eq!(world.results("order")[1].1, Ok(json!("yes")));
    assert_eq!(world.output(), Value::Null);
    world.whole();
}

#[test]
fn a_task_takes_the_place_of_the_compensations_of_a_called_workflow() {
    let mut world = World::new();
    let other = Definition::new("other").with_node(undoable("far"));
    world.say(Command::define(other)).unwrap();
    let mut world = world.begin(alone(), 1);
    let call = || FunctionCall::new("other", Body::Call(Call::of("other"))).with_undo(work("undo other"));
    world.turns(calls([call()])).done("far", "away");
    world.turns(json!({ "fail": { "kind": "permanent", "message": "no" } }));
    assert_eq!(world.busy(), ["undo other"]);
    world.crash();
    world.done("undo other", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }), "{}", world.outcome());
    world.whole();
}

#[test]
fn a_function_is_a_node_of_a_graph_and_calls_functions() {
    let node = Node::new("order", Action::Function(function())).with_input(Expr::node("before"));
    let after = step("after").with_link(Link::success("order")).with_input(Expr::node("order"));
    let mut world = World::running(flow([step("before"), node.with_link(Link::success("before")), after]), 1);
    world.done("before", 5);
    let FunctionTurn::Begin { input, .. } = world.turn() else { panic!("{:?}", world.turn()) };
    assert_eq!(input, 5);
    let inner = DurableFunction::new(work("inner turn")).definition("inner");
    world.turns(calls([FunctionCall::new("inner", Body::Flow(inner.into())).with_input("in")]));
    world.done("inner turn", calls([task("deep")])).done("deep", 2).done("inner turn", json!({ "done": 3 }));
    world.turns(json!({ "done": 4 }));
    assert_eq!(*world.task("after").payload.value(), 4);
    world.done("after", 6);
    assert_eq!(world.output(), 6);
    world.whole();
}

#[test]
fn a_changed_call_holds_the_run_and_a_retry_keeps_what_was_done() {
    for handled in [false, true] {
        let mut definition = alone().with_on_failure(OnFailure::Fail);
        if handled {
            let other = step("other").with_link(Link::failure("order"));
            definition = definition.with_node(other);
        }
        let mut world = World::running(definition, 1);
        world.turns(calls([undoable_task("pay").with_input(10), task("wait")])).done("pay", "paid");
        world.turns(calls([undoable_task("pay").with_input(11)]));
        assert_eq!((world.code().as_str(), world.phase()), (codes::FUNCTION_CHANGED, RunPhase::Running));
        assert_eq!((world.busy(), world.stopped.len()), (vec!["wait".to_owned()], 0), "calls under way go on");
        world.check_snapshot();
        world.crash();
        assert_eq!(world.busy(), ["wait"]);
        world.done("wait", 1);
        assert!(world.held.is_empty(), "nothing new begins while the node is held");
        world.say(retry()).unwrap();
        world.check_snapshot();
        assert_eq!(world.turn(), FunctionTurn::Begin { turn: 2, input: json!(1), results: 2 });
        // Another policy and another compensation are no other call.
        let again =
            FunctionCall::new("pay", Body::Task(work("pay").with_policy(Policy::default().with_retry(Retry::never()))));
        world.turns(calls([again.with_input(10), task("wait"), task("new")]));
        assert_eq!(world.busy(), ["new"], "known calls are not performed again, others are");
        world.done("new", 1).turns(json!({ "done": "fine" }));
        assert_eq!(world.status("order"), NodeStatus::Succeeded);
    }
}

#[test]
fn a_changed_call_under_way_is_kept_by_a_retry() {
    let mut world = World::running(alone(), 1);
    world.turns(calls([task("a"), task("b")])).done("a", 1);
    world.turns(calls([inline("a", Action::Pass)]));
    assert_eq!(world.code(), codes::FUNCTION_CHANGED);
    world.say(retry()).unwrap();
    world.check_snapshot();
    world.turns(calls([task("a"), task("b")]));
    assert_eq!(world.busy(), ["b"]);
    world.done("b", 1).turns(json!({ "done": 1 }));
    world.outcome();
    world.whole();
}

#[test]
fn an_operator_ends_a_held_function() {
    let mut world = World::running(alone(), 1);
    world.turns(calls([task("a"), task("b")])).done("a", 1).turns(calls([task("a").with_input(2)]));
    let remedy = NodeRemedy::Complete { output: payload("by hand"), reason: "no time".into() };
    world.say(RunCommand::Operate { run: RUN, node: "order".into(), remedy }.into()).unwrap();
    world.done("b", 1);
    assert_eq!(world.output(), "by hand");
    world.whole();
}

/// A function that waits to begin again has calls: whatever ends the run or the node meanwhile compensates or cancels them.
#[test]
fn what_ends_a_retried_function_before_it_begins_ends_its_calls() {
    let held = || {
        let mut world = World::running(alone().with_on_failure(OnFailure::Hold), 1);
        world.turns(calls([undoable_task("pay"), task("wait")])).done("pay", "paid");
        world.turns(calls([undoable_task("pay").with_input(11)]));
        assert_eq!((world.code().as_str(), world.busy()), (codes::FUNCTION_CHANGED, vec!["wait".to_owned()]));
        world.say(RunCommand::Pause { run: RUN, reason: "a look".into() }.into()).unwrap();
        world.say(retry()).unwrap();
        world.check_snapshot();
        world
    };
    let mut cancelled = held();
    cancelled.cancel().unwrap();
    cancelled.done("wait", 1);
    cancelled.done("undo pay", 1);
    assert!(matches!(cancelled.outcome(), RunOutcome::Compensated { .. }), "{:?}", cancelled.outcome());
    cancelled.whole();
    cancelled.check_snapshot();
    cancelled.crash();

    let mut completed = held();
    let remedy = NodeRemedy::Complete { output: payload("by hand"), reason: "no time".into() };
    completed.say(RunCommand::Operate { run: RUN, node: "order".into(), remedy }.into()).unwrap();
    completed.say(RunCommand::Resume { run: RUN }.into()).unwrap();
    assert_eq!(completed.stopped.len(), 1, "the call under way is cancelled");
    completed.done("wait", 1);
    assert_eq!(completed.output(), "by hand");
    completed.check_snapshot();
    completed.crash();

    let mut migrated = held();
    let mut other = flow([step("order")]);
    (other.name, other.version) = ("order".into(), 2);
    migrated.say(Command::define(other)).unwrap();
    let migration = counterpoint::message::Migration::to_version(2);
    let migrate = RunCommand::Migrate { run: RUN, migration, reason: "new".into() };
    assert!(migrated.say(migrate.into()).is_err(), "its calls cannot become those of a task");
    migrated.check_snapshot();
}

#[test]
fn a_retry_drops_calls_that_have_not_begun() {
    let mut world = World::running(alone(), 1);
    let missing = FunctionCall::new("sub", Body::Call(Call::of("missing")));
    world.turns(calls([missing, task("after")]));
    assert!(matches!(world.outcome(), RunOutcome::Failed { .. }), "no such workflow is defined");
    world.say(retry()).unwrap();
    world.check_snapshot();
    assert_eq!(world.turn(), FunctionTurn::Begin { turn: 1, input: json!(1), results: 0 });
    world.turns(calls([task("a")])).done("a", 1).turns(json!({ "done": 1 }));
    assert_eq!(world.output(), 1);
}

#[test]
fn a_retry_counts_the_calls_that_are_left_and_another_call_has_another_key() {
    let identity = Identity::new(JournalId::new(7));
    let mut world = World::running(function().with_max_calls(2).definition("order"), 1);
    world.turns(calls([task("a"), task("pay").with_input(10)])).done("a", 1);
    let before = identity.key_of(world.task("pay"));
    world.turns(calls([])).failed("pay").turns(json!({ "fail": { "kind": "permanent", "message": "it was bad" } }));
    world.say(retry()).unwrap();
    world.turns(calls([task("a"), task("pay").with_input(11)]));
    assert_eq!(world.busy(), ["pay"]);
    assert_ne!(identity.key_of(world.task("pay")), before);
    world.done("pay", 2).turns(json!({ "done": 3 }));
    assert_eq!(world.output(), 3);
    world.check_snapshot();
}

#[test]
fn a_retry_performs_failed_calls_again_under_the_same_keys() {
    let identity = Identity::new(JournalId::new(7));
    let mut world = World::running(alone(), 1);
    world.turns(calls([task("good"), task("bad")])).done("good", 1);
    let before = identity.key_of(world.task("bad"));
    world.turns(calls([])).failed("bad").turns(json!({ "fail": { "kind": "permanent", "message": "it was bad" } }));
    assert!(matches!(world.outcome(), RunOutcome::Failed { .. }));
    world.check_snapshot();
    world.say(retry()).unwrap();
    world.check_snapshot();
    assert_eq!(world.turn(), FunctionTurn::Begin { turn: 3, input: json!(1), results: 1 });
    world.turns(calls([task("good"), task("bad")]));
    assert_eq!((world.busy(), identity.key_of(world.task("bad"))), (vec!["bad".to_owned()], before));
    world.crash();
    world.done("bad", 2).turns(json!({ "done": 3 }));
    assert_eq!(world.output(), 3);
    world.whole();
}

#[test]
fn answers_that_cannot_be_accepted_fail_the_function_with_a_code() {
    let keyed = |key: &str, data: &str| task(key).with_occurrence(Occurrence::Keyed(data.into()));
    let long = "x".repeat(Limits::default().sizes.name_bytes as usize + 1);
    let three: Vec<FunctionCall> = ["a", "b", "c"].map(task).into();
    let bad = Definition::new("bad").with_node(step("a").with_link(Link::success("nowhere")));
    for (answer, code) in [
        (json!(7), codes::INVALID_VALUE),
        (json!({ "calls": [{ "key": "a" }] }), codes::INVALID_VALUE),
        (calls([task("")]), codes::INVALID_VALUE),
        (calls([task(&long)]), codes::INVALID_VALUE),
        (calls([keyed("a", &long)]), codes::INVALID_VALUE),
        (calls([FunctionCall::new("a", Body::Flow(bad.clone().into()))]), codes::INVALID_VALUE),
        (json!({ "fail": { "kind": "permanent", "message": "m", "code": "not a code" } }), codes::INVALID_VALUE),
        (calls([task("a"), task("a")]), codes::FUNCTION_KEY),
        (calls([keyed("a", "1"), keyed("a", "1")]), codes::FUNCTION_KEY),
        (calls([task("a"), task("a").with_occurrence(Occurrence::Number(1))]), codes::FUNCTION_KEY),
        (calls([]), codes::FUNCTION_STUCK),
        (calls(three), codes::FUNCTION_CALLS),
    ] {
        let order = function().with_max_calls_per_turn(2).definition("order");
        let mut world = World::running(order, 1);
        world.turns(answer.clone());
        assert_eq!(world.code(), code, "{answer}");
        assert!(matches!(world.outcome(), RunOutcome::Failed { .. }));
        world.whole();
    }
}

#[test]
fn calls_of_one_key_follow_each_other_or_have_data() {
    let mut world = World::running(alone(), 1);
    let number = |number| task("a").with_occurrence(Occurrence::Number(number));
    let keyed = |data: &str| task("a").with_occurrence(Occurrence::Keyed(data.into()));
    world.turns(calls([number(0), keyed("x"), keyed("y"), task("b")])).done("b", 1);
    world.turns(calls([number(1)])).done("a", 1).done("a", 1).done("a", 1);
    assert_eq!(world.code(), codes::FUNCTION_KEY);
}

#[test]
fn a_call_whose_workflow_names_a_function_that_the_host_lacks_is_refused() {
    let asks = |name: &str| {
        let guarded = step("guarded").with_precondition(Precondition::new(Condition::predicate(name, Expr::Input)));
        let inner = Definition::new("inner").with_node(guarded);
        let outer = Definition::new("outer").with_node(Node::new("deep", Action::flow(inner)));
        calls([FunctionCall::new("call", Body::Flow(outer.into()))])
    };
    let with_one = || timeless().with_predicate("known", |_| true);
    let mut world = World::set_up(with_one).begin(alone(), 1);
    world.turns(asks("unknown"));
    assert_eq!(world.code(), codes::INVALID_VALUE);
    assert!(world.failure().message.contains("`unknown`"), "{}", world.failure());
    assert!(matches!(world.outcome(), RunOutcome::Failed { .. }));
    let mut world = World::set_up(with_one).begin(alone(), 1);
    world.turns(asks("known"));
    assert_eq!(world.busy(), ["guarded"]);
}

#[test]
fn an_answer_that_is_too_large_fails_the_function() {
    let limits = Limits::default().with_payload_bytes(1_000);
    let mut world = World::with(limits).begin(alone(), 1);
    world.turns(calls([task("a").with_input("x".repeat(990))]));
    assert_eq!(world.code(), codes::TOO_LARGE);
    assert!(matches!(world.outcome(), RunOutcome::Failed { .. }));
}

/// Two turns may have equal payloads and different results before them.
#[cfg(feature = "resilience")]
#[test]
fn a_turn_is_not_answered_from_the_cache_of_results() {
    use counterpoint::resilience::cache;
    let cached = || timeless().with_result_cache(cache::Rules::default()).with_pure("turn").with_pure("a");
    let mut world = World::set_up(cached).begin(alone(), 1);
    let twice = [task("a").with_input(1)];
    world.turns(calls(twice.clone())).done("a", 5).turns(json!({ "done": 5 }));
    assert_eq!(world.output(), 5);
    let again = counterpoint::RunSpec::new(counterpoint::RunId::new(2), "order").with_input(payload(1));
    world.say(Command::start(again)).unwrap();
    assert_eq!(world.busy(), ["turn"], "it is performed");
    world.turns(calls(twice));
    // The call is the same work, so it is answered; the turn after it is performed.
    assert_eq!(world.busy(), ["turn"]);
    world.turns(json!({ "done": 6 }));
    let outcome = world.engine.run(counterpoint::RunId::new(2)).unwrap().outcome().unwrap();
    assert!(matches!(outcome, RunOutcome::Succeeded { output } if *output == payload(6)), "{outcome}");
}

#[test]
fn a_function_has_as_many_calls_as_it_may() {
    let mut world = World::running(function().with_max_calls(2).definition("order"), 1);
    world.turns(calls([task("a")])).done("a", 1).turns(calls([task("a"), task("b")])).done("b", 1);
    world.turns(calls([task("c")]));
    assert_eq!(world.code(), codes::FUNCTION_CALLS);
    world.whole();
}

#[test]
fn a_function_that_waits_for_no_call_is_stuck() {
    let mut world = World::running(alone(), 1);
    world.turns(calls([task("a")])).done("a", 1).turns(calls([task("a")]));
    assert_eq!(world.code(), codes::FUNCTION_STUCK);
}

#[test]
fn a_turn_whose_outcome_is_unknown_is_repeated_and_leaves_nothing_behind() {
    let mut world = World::running(alone(), 1);
    for _ in 0..10 {
        world.answer(world.attempt("turn"), Err(Failure::unknown("no answer"))).unwrap();
        world.sleep();
    }
    world.turns(calls([task("a")])).done("a", 1);
    world.cancel().unwrap();
    world.turns(calls([task("b")]));
    assert!(matches!(world.outcome(), RunOutcome::Failed { residue, .. } if residue.is_empty()), "{}", world.outcome());
    world.whole();
}

#[test]
fn a_function_has_no_compensation_query_or_pivot_of_its_own() {
    let node = || Node::new("f", Action::Function(function()));
    let of = |what| Fault::OfFunction { what };
    for (node, fault) in [
        (node().with_undo(work("undo")), of("compensation")),
        (node().with_query(work("query")), of("query")),
        (node().as_pivot(), of("pivot")),
        (Node::new("f", Action::Function(function().with_max_calls(0))), Fault::NoCalls { what: "max_calls" }),
        (
            Node::new("f", Action::Function(function().with_max_calls_per_turn(0))),
            Fault::NoCalls { what: "max_calls_per_turn" },
        ),
    ] {
        let error = validate(&flow([node]), &Limits::default()).unwrap_err();
        let found: Vec<&Fault> = error.findings().iter().map(|finding| &finding.fault).collect();
        assert_eq!(found, [&fault]);
    }
}

/// A program of steps. The output of a step is the number that it is given plus one; steps of a number that seven divides fail.
#[derive(Debug, Clone)]
enum Code {
    Step(u64),
    Then(Vec<Self>),
    Join(Vec<Self>),
    Loop(u32, Box<Self>),
    /// Zero instead of a failure.
    Try(Box<Self>),
}

/// What a program is at.
enum At {
    Value(u64),
    Failed,
    Waits,
}

fn outcome_of(number: u64) -> Option<u64> {
    (!number.is_multiple_of(7)).then_some(number + 1)
}

impl Code {
    /// Performs the program. A step is known, or is requested and awaited. Both sides of a join are performed, also if one fails.
    fn run(&self, place: &str, known: &dyn Fn(&str, u64) -> At) -> At {
        match self {
            Self::Step(number) => known(place, *number),
            Self::Try(code) => match code.run(&format!("{place}t"), known) {
                At::Failed => At::Value(0),
                other => other,
            },
            Self::Loop(times, code) => sum((0..*times).map(|time| (format!("{place}l{time}."), &**code)), known),
            Self::Then(codes) => {
                sum(codes.iter().enumerate().map(|(at, code)| (format!("{place}s{at}."), code)), known)
            }
            Self::Join(codes) => {
                let ends = codes.iter().enumerate().map(|(at, code)| code.run(&format!("{place}j{at}."), known));
                let ends: Vec<At> = ends.collect();
                if ends.iter().any(|end| matches!(end, At::Waits)) {
                    return At::Waits;
                }
                let sum = ends.iter().map(|end| if let At::Value(value) = end { Some(*value) } else { None }).sum();
                Option::<u64>::map_or(sum, At::Failed, At::Value)
            }
        }
    }

    fn directly(&self) -> Option<u64> {
        match self.run("", &|_, number| outcome_of(number).map_or(At::Failed, At::Value)) {
            At::Value(value) => Some(value),
            At::Failed => None,
            At::Waits => unreachable!("every step is known"),
        }
    }
}

fn sum<'c>(codes: impl Iterator<Item = (String, &'c Code)>, known: &dyn Fn(&str, u64) -> At) -> At {
    let mut all = 0;
    for (place, code) in codes {
        match code.run(&place, known) {
            At::Value(value) => all += value,
            other => return other,
        }
    }
    At::Value(all)
}

/// Answers the turn that is under way: the program begins from scratch and knows the results that the turn was given.
fn answer(code: &Code, world: &World) -> Value {
    let results = match world.turn() {
        FunctionTurn::Begin { results, .. } | FunctionTurn::Resume { results, .. } => results,
    };
    let run = world.engine.run(RUN).unwrap();
    let node = run.node("order").unwrap();
    let known: BTreeMap<String, Result<Payload, Failure>> = node
        .results(0)
        .take(results as usize)
        .map(|call| (call.occurrence.to_string(), call.result.unwrap()))
        .collect();
    let requested = std::cell::RefCell::new(Vec::new());
    let end = code.run("", &|place, number| match known.get(&format!("={place}")) {
        Some(Ok(output)) => At::Value(output.to().unwrap()),
        Some(Err(_)) => At::Failed,
        None => {
            let call = undoable_task("step").with_occurrence(Occurrence::Keyed(place.into())).with_input(number);
            requested.borrow_mut().push(call);
            At::Waits
        }
    });
    match end {
        At::Value(value) => json!({ "done": value }),
        At::Failed => json!({ "fail": { "kind": "permanent", "message": "a step failed" } }),
        At::Waits => calls(requested.into_inner()),
    }
}

/// The outcome of the run, and what was done and undone outside, by key.
type Effects = BTreeMap<IdempotencyKey, (String, Value)>;

/// Answers all attempts, in an order that `choose` decides, until the run has ended.
fn finish(code: &Code, world: &mut World, effects: &mut Effects, mut choose: impl FnMut(&mut World) -> usize) {
    let identity = Identity::new(JournalId::new(7));
    for _ in 0..2_000 {
        if world.engine.run(RUN).unwrap().outcome().is_some() {
            return;
        }
        let at = choose(world);
        let Some((attempt, (_, task))) = world.held.iter().nth(at % world.held.len().max(1)) else {
            world.sleep();
            continue;
        };
        let (attempt, task): (_, TaskSpec) = (*attempt, (**task).clone());
        if task.kind.as_str() == "turn" {
            let answer = answer(code, world);
            world.answer(attempt, Ok(payload(answer))).unwrap();
            continue;
        }
        let number = task.payload.to::<u64>().ok().and_then(outcome_of);
        let is_undo = task.kind.as_str() != "step";
        if is_undo || number.is_some() {
            let effect = (task.kind.to_string(), task.payload.value().clone());
            let known = effects.insert(identity.key_of(&task), effect.clone());
            assert!(known.is_none_or(|known| known == effect), "one key for two effects");
        }
        let end = if is_undo { Ok(Payload::NULL) } else { number.map(payload).ok_or(Failure::permanent("seven")) };
        world.answer(attempt, end).unwrap();
    }
    panic!("it does not end: {:?}", world.engine.run(RUN).unwrap().waits_for());
}

/// The run ended as the program says, and every effect took place once, or was undone once if the function failed.
fn judge(code: &Code, world: &World, effects: &Effects) -> Result<(), TestCaseError> {
    match code.directly() {
        Some(value) => prop_assert_eq!(world.output(), json!(value)),
        None => prop_assert!(!matches!(world.outcome(), RunOutcome::Succeeded { .. }), "it is to fail"),
    }
    let of = |kind: &str| effects.values().filter(|(known, _)| known == kind).count();
    // After a crash it is unknown whether a step that failed had an effect, so it is undone, too.
    match code.directly() {
        Some(_) => prop_assert_eq!(of("undo step"), 0),
        None => prop_assert!(of("undo step") >= of("step"), "{} of {}", of("undo step"), of("step")),
    }
    world.whole();
    Ok(())
}

fn code() -> impl Strategy<Value = Code> {
    (1_u64..40).prop_map(Code::Step).prop_recursive(4, 24, 4, |inner| {
        let some = || proptest::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            some().prop_map(Code::Then),
            some().prop_map(Code::Join),
            (0_u32..4, inner.clone()).prop_map(|(times, code)| Code::Loop(times, Box::new(code))),
            inner.clone().prop_map(|code| Code::Try(Box::new(code))),
        ]
    })
}

proptest! {
    #![proptest_config(crate::property(64))]
    #[test]
    fn a_function_returns_the_same_in_any_order_and_with_crashes(
        code in code(),
        draws in proptest::collection::vec(any::<(u8, bool)>(), 1..60),
    ) {
        let mut world = World::running(alone(), 1);
        let mut draws = draws.into_iter().cycle();
        let (mut effects, mut crashes) = (Effects::new(), 0);
        finish(&code, &mut world, &mut effects, |world| {
            let (at, crash) = draws.next().unwrap_or_default();
            if crash && crashes < 5 {
                crashes += 1;
                world.check_snapshot();
                world.crash();
            }
            at.into()
        });
        judge(&code, &world, &effects)?;
        // The keys do not depend on the order in which calls end, nor on crashes.
        let mut other = World::running(alone(), 1);
        let mut again = Effects::new();
        finish(&code, &mut other, &mut again, |_| 0);
        judge(&code, &other, &again)?;
        if code.directly().is_some() {
            prop_assert_eq!(effects, again);
        }
    }
}

#[test]
fn a_crash_at_every_event_leads_to_the_same_result_and_the_same_effects() {
    let steps =
        Code::Join(vec![Code::Step(1), Code::Loop(2, Box::new(Code::Step(3))), Code::Try(Box::new(Code::Step(7)))]);
    for last in [Code::Step(4), Code::Step(14)] {
        let code = Code::Then(vec![Code::Step(2), steps.clone(), last]);
        let mut world = World::running(alone(), 1);
        let mut effects = Effects::new();
        finish(&code, &mut world, &mut effects, |_| 0);
        judge(&code, &world, &effects).unwrap();
        let all = world.journal.clone();
        let began = all.iter().position(|entry| matches!(entry.event, Event::Run { .. })).unwrap();
        for len in began + 1..all.len() {
            let engine = Engine::restore(timeless(), None, &all[..len]).unwrap();
            let mut world = World::around(engine, all[..len].to_vec());
            world.resume();
            let mut again = Effects::new();
            finish(&code, &mut world, &mut again, |_| 0);
            judge(&code, &world, &effects).unwrap();
            let keys: BTreeSet<&IdempotencyKey> = effects.keys().collect();
            assert!(again.keys().all(|key| keys.contains(key)), "an effect of another key after {len} events");
        }
    }
}

#[test]
fn a_thousand_calls_in_a_loop() {
    let code = Code::Loop(1_000, Box::new(Code::Step(1)));
    let mut world = World::running(alone(), 1);
    let mut turns = 0_u64;
    while world.engine.run(RUN).unwrap().outcome().is_none() {
        // The answer of a function that stays in memory.
        let answer = if turns < 1_000 {
            calls([task("step").with_occurrence(Occurrence::Number(u32::try_from(turns).unwrap())).with_input(1)])
        } else {
            json!({ "done": turns * 2 })
        };
        world.turns(answer);
        if turns < 1_000 {
            world.done("step", 2);
        }
        turns += 1;
    }
    assert_eq!(world.output(), json!(code.directly().unwrap()));
    let of = |kind: &str| world.journal.iter().filter(|entry| format!("{:?}", entry.event).contains(kind)).count();
    assert!(of("Called") == 1_000, "an event for each turn that requests something");
    world.check_snapshot();
    world.crash();
    assert_eq!(world.output(), json!(2_000));
    world.whole();
}
