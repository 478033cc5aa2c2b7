//! Save-points of durable functions, and resets of functions to a call.

use crate::flow::{RUN, World, flow, json as payload, step, timeless, work};
use counterpoint::definition::{
    Action, Body, Definition, DurableFunction, Expr, FunctionAnswer, FunctionCall, FunctionTurn, Link, Node,
    Occurrence, OnFailure, Work,
};
use counterpoint::engine::EngineSnapshot;
use counterpoint::message::rejected::WrongState;
use counterpoint::message::{CallPoint, CompensationRemedy, ResetObstacle, ResetPoint, RunEvent, RunPhase};
use counterpoint::task::{IdempotencyKey, Identity, JournalId};
use counterpoint::{
    Accepted, Command, Engine, Event, Failure, Payload, Policy, Rejected, Retry, RunCommand, RunOutcome, TaskSpec,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

fn alone() -> Definition {
    DurableFunction::new(work("turn")).definition("order")
}

fn patient(kind: &str) -> Work {
    work(kind).with_policy(Policy::default().with_retry(Retry::default().with_attempts(100)))
}

fn task(kind: &str) -> FunctionCall {
    FunctionCall::new(kind, Body::Task(patient(kind)))
}

fn undoable(kind: &str) -> FunctionCall {
    task(kind).with_undo(patient(&format!("undo {kind}")))
}

fn inline(key: &str) -> FunctionCall {
    let node = Node::new("it", Action::Pass).with_input(Expr::Input);
    FunctionCall::new(key, Body::Flow(Definition::new(key).with_node(node).with_output(Expr::node("it")).into()))
}

fn save(key: &str, retries: u32) -> FunctionCall {
    let mut call = inline(key);
    call.save = Some(retries);
    call
}

fn pivot(key: &str) -> FunctionCall {
    let mut call = inline(key);
    call.pivot = true;
    call
}

fn calls(calls: impl IntoIterator<Item = FunctionCall>) -> Value {
    serde_json::to_value(FunctionAnswer::<()>::Calls(calls.into_iter().collect())).unwrap()
}

fn failing() -> Value {
    json!({ "fail": { "kind": "permanent", "message": "no carrier" } })
}

fn point(key: &str) -> CallPoint {
    CallPoint { node: "order".into(), key: key.into(), occurrence: Occurrence::default() }
}

fn reset(world: &mut World, key: &str, undo: bool) -> Result<Accepted, Rejected> {
    let to = ResetPoint::Call(point(key));
    world.say(RunCommand::Reset { run: RUN, to, undo, reason: "a wrong address".into() }.into())
}

fn refused(obstacle: ResetObstacle) -> Result<Accepted, Rejected> {
    Err(Rejected::State(WrongState::NotResettable { run: RUN, obstacle }))
}

impl World {
    fn answers(&mut self, answer: Value) -> &mut Self {
        self.done("turn", answer)
    }

    fn known(&self) -> Vec<String> {
        let run = self.engine.run(RUN).unwrap();
        let results = run.node("order").unwrap().results(0);
        let text = |result: Result<Payload, Failure>| match result {
            Ok(output) => output.value().to_string(),
            Err(failure) => failure.message.to_string(),
        };
        results.map(|call| format!("{}: {}", call.key, text(call.result.unwrap()))).collect()
    }

    fn turn_begins(&self) -> bool {
        matches!(self.task("turn").payload.to::<FunctionTurn<Value>>().unwrap(), FunctionTurn::Begin { .. })
    }

    /// The state is the same from the journal and from a snapshot.
    fn same(&self) {
        let snapshot = self.engine.snapshot();
        let read = EngineSnapshot::from_bytes(&snapshot.to_bytes().unwrap()).unwrap();
        assert_eq!(read, snapshot);
        self.engine.check().unwrap();
        let restored = Engine::restore(timeless(), Some(&read), &[]).unwrap();
        restored.check().unwrap();
        assert_eq!(restored.snapshot(), snapshot);
        let folded = Engine::restore(timeless(), None, &self.journal).unwrap();
        folded.check().unwrap();
        assert_eq!(folded.snapshot(), snapshot);
    }
}

/// A function that has packed, has passed a save-point and has booked.
fn booked(retries: u32) -> World {
    let mut world = World::running(alone(), "tea");
    world.answers(calls([undoable("pack")])).done("pack", "parcel").answers(calls([save("packed", retries)]));
    world.answers(calls([undoable("book")])).done("book", 1).answers(calls([task("ship")]));
    world
}

#[test]
fn a_failure_rolls_back_to_the_last_save_point_and_the_function_learns_how_often() {
    let identity = Identity::new(JournalId::new(7));
    let mut world = booked(1);
    let asked = |world: &World| {
        let spec = world.journal.iter().rev().find_map(|entry| match &entry.event {
            Event::Task { event: counterpoint::message::TaskEvent::Submitted { spec, .. }, .. }
                if spec.kind.as_str() == "book" =>
            {
                Some(spec.clone())
            }
            _ => None,
        });
        identity.key_of(&spec.unwrap())
    };
    let before = asked(&world);
    world.failed("ship").answers(failing());
    world.same();
    assert_eq!(world.busy(), ["undo book"], "packed goods stay packed");
    assert_eq!(world.phase(), RunPhase::Running);
    world.done("undo book", 0);
    world.same();
    assert!(world.turn_begins());
    assert_eq!(world.known(), ["pack: \"parcel\"", "packed: 1"]);
    let back = world.journal.iter().find_map(|entry| match &entry.event {
        Event::Run { event: RunEvent::RolledBack { call, .. }, .. } => call.clone(),
        _ => None,
    });
    assert_eq!(back, Some(point("packed")));
    world.answers(calls([undoable("pack"), save("packed", 1), undoable("book")]));
    assert_eq!(world.busy(), ["book"], "only what was rolled back is performed again");
    assert_ne!(asked(&world), before, "it is new work: the other system has undone the old one");
    world.same();
    world.done("book", 2).answers(calls([task("ship")]));
    // The retries are used up: the run fails, and everything is compensated, each once.
    world.failed("ship").answers(failing());
    assert_eq!(world.busy(), ["undo book"]);
    world.done("undo book", 0);
    assert_eq!(world.busy(), ["undo pack"]);
    world.done("undo pack", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }), "{}", world.outcome());
    world.same();
}

#[test]
fn save_points_are_used_from_the_last_to_the_first() {
    let mut world = World::running(alone(), 1);
    world.answers(calls([save("one", 1)])).answers(calls([undoable("a")])).done("a", 1);
    world.answers(calls([save("two", 1)])).answers(calls([undoable("b")])).done("b", 1);
    world.answers(failing());
    assert_eq!(world.busy(), ["undo b"]);
    world.done("undo b", 0);
    assert_eq!(world.known(), ["one: 0", "a: 1", "two: 1"]);
    world.answers(failing());
    assert_eq!(world.busy(), ["undo a"]);
    world.done("undo a", 0);
    assert_eq!(world.known(), ["one: 1"]);
    world.same();
    // A save-point that is reached again counts anew.
    world.answers(calls([save("one", 1), undoable("a")])).done("a", 1).answers(calls([save("two", 1)]));
    world.answers(failing());
    assert_eq!(world.known(), ["one: 1", "a: 1", "two: 1"]);
    world.answers(json!({ "done": "at last" }));
    assert_eq!(world.output(), "at last");
    world.same();
}

#[test]
fn calls_under_way_are_cancelled_and_those_before_the_save_point_are_performed_again() {
    let mut world = World::running(alone(), 1);
    world.answers(calls([undoable("early"), save("saved", 1)]));
    world.answers(calls([undoable("late")]));
    assert_eq!(world.busy(), ["early", "late"]);
    world.done("late", 1).answers(failing());
    assert_eq!(world.stopped.len(), 1);
    world.answer(world.attempt("early"), Err(Failure::permanent("stopped"))).unwrap();
    assert_eq!(world.busy(), ["undo late"], "an effect of a call that has failed is not undone before it is repeated");
    world.done("undo late", 0);
    assert_eq!(world.known(), ["saved: 1"]);
    world.answers(calls([undoable("early"), save("saved", 1)]));
    assert_eq!(world.busy(), ["early"]);
    world.same();
    world.done("early", 1).answers(json!({ "done": 1 }));
    assert_eq!(world.output(), 1);
}

#[test]
fn a_failure_that_the_function_knew_before_the_save_point_is_kept() {
    let mut world = World::running(alone(), 1);
    world.answers(calls([task("try")])).failed("try").answers(calls([save("saved", 1)])).answers(failing());
    assert!(world.turn_begins());
    assert_eq!(world.known().len(), 2);
    assert!(world.known()[0].starts_with("try: "), "{:?}", world.known());
    world.answers(calls([task("try"), save("saved", 1), task("more")]));
    assert_eq!(world.busy(), ["more"], "the function takes the path that it took");
    world.same();
}

#[test]
fn a_save_point_before_a_pivot_has_no_effect() {
    let mut world = World::running(alone(), 1);
    world.answers(calls([undoable("pay"), save("saved", 3)])).done("pay", 1);
    world.answers(calls([pivot("paid")])).answers(failing());
    assert!(matches!(world.outcome(), RunOutcome::Failed { .. }), "{}", world.outcome());
    // A save-point after it has.
    let mut world = World::running(alone(), 1);
    world.answers(calls([pivot("paid")])).answers(calls([save("saved", 1)]));
    world.answers(calls([undoable("send")])).done("send", 1).answers(failing());
    assert_eq!(world.busy(), ["undo send"]);
    world.done("undo send", 0);
    assert!(world.turn_begins());
    world.same();
    world.answers(failing());
    assert!(matches!(world.outcome(), RunOutcome::Failed { .. }), "{}", world.outcome());
}

#[test]
fn a_failure_that_the_graph_handles_or_holds_uses_no_save_point() {
    let node = || Node::new("order", Action::Function(DurableFunction::new(work("turn"))));
    let other = step("other").with_link(Link::failure("order"));
    let mut world = World::running(flow([node(), other]), 1);
    world.answers(calls([save("saved", 1)])).answers(failing());
    assert_eq!(world.busy(), ["other"]);
    let mut world = World::running(flow([node()]).with_on_failure(OnFailure::Hold), 1);
    world.answers(calls([save("saved", 1)])).answers(failing());
    let held = world.engine.run(RUN).unwrap().node("order").unwrap().held().is_some();
    assert_eq!((held, world.busy()), (true, Vec::<String>::new()));
}

#[test]
fn nodes_before_and_beside_the_function_are_kept() {
    let node = Node::new("order", Action::Function(DurableFunction::new(work("turn"))));
    let nodes = [
        step("before"),
        step("beside"),
        node.with_link(Link::success("before")),
        step("after").with_link(Link::success("order")),
    ];
    let mut world = World::running(flow(nodes), 1);
    world.done("before", 1).answers(calls([save("saved", 1)])).answers(failing());
    world.same();
    assert_eq!(world.busy(), ["beside", "turn"]);
    world.answers(json!({ "done": 2 })).done("after", 3).done("beside", 1);
    assert!(matches!(world.outcome(), RunOutcome::Succeeded { .. }));
    world.same();
}

/// The compensation of a call after the save-point fails: the operator decides as for any node.
#[test]
fn a_failed_compensation_waits_for_a_remedy() {
    let failed = || {
        let mut world = booked(2);
        world.failed("ship").answers(failing());
        world.answer(world.attempt("undo book"), Err(Failure::permanent("no"))).unwrap();
        world.same();
        world
    };
    let mut retried = failed();
    retried.remedy(RUN, "order", CompensationRemedy::Retry).unwrap();
    retried.done("undo book", 0);
    assert_eq!(retried.known(), ["pack: \"parcel\"", "packed: 1"]);
    let mut declared = failed();
    declared.remedy(RUN, "order", CompensationRemedy::Declare { reason: "by hand".into() }).unwrap();
    assert_eq!(declared.known(), ["pack: \"parcel\"", "packed: 1"]);
    declared.same();
    declared.cancel().unwrap();
    declared.answers(calls([]));
    assert_eq!(declared.busy(), ["undo pack"], "what was declared is not compensated again");
    declared.done("undo pack", 0);
    assert!(matches!(declared.outcome(), RunOutcome::Compensated { .. }));
    declared.same();
    let mut abandoned = failed();
    abandoned.remedy(RUN, "order", CompensationRemedy::Abandon { reason: "lost".into() }).unwrap();
    let RunOutcome::Failed { residue, .. } = abandoned.outcome() else { panic!("{}", abandoned.outcome()) };
    assert_eq!(residue.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["order"]);
    abandoned.same();
    // The function would go on with the results of calls that its compensation may have undone.
    let retry = RunCommand::Retry { run: RUN, node: None, reason: "again".into() };
    assert!(abandoned.say(retry.into()).is_err());
    abandoned.same();
}

/// A run that is cancelled while a function rolls back compensates what is left, each call once.
#[test]
fn a_run_that_fails_during_a_rollback_compensates_the_rest() {
    // Before the compensation has begun, while it is under way, and after it.
    for late in [0, 1, 2] {
        let mut world = World::running(alone(), 1);
        world.answers(calls([undoable("pack"), save("packed", 1)])).done("pack", 1);
        world.answers(calls([undoable("book"), task("slow")])).done("book", 1).answers(failing());
        assert_eq!(world.busy(), ["slow"], "the call under way is awaited");
        if late > 0 {
            world.answer(world.attempt("slow"), Err(Failure::permanent("stopped"))).unwrap();
            assert_eq!(world.busy(), ["undo book"]);
        }
        if late == 2 {
            world.say(RunCommand::Pause { run: RUN, reason: "a look".into() }.into()).unwrap();
            world.done("undo book", 0);
            world.same();
        }
        world.cancel().unwrap();
        world.same();
        match late {
            0 => _ = world.answer(world.attempt("slow"), Err(Failure::permanent("stopped"))).unwrap(),
            1 => {}
            _ => assert_eq!(world.phase(), RunPhase::Compensating, "cancelled while paused"),
        }
        let mut undone = Vec::new();
        while world.engine.run(RUN).unwrap().outcome().is_none() {
            world.same();
            let [busy] = &world.busy()[..] else { panic!("{late}: {:?}", world.busy()) };
            undone.push(busy.clone());
            world.done(busy, 0);
        }
        let expected: &[&str] = if late == 2 { &["undo pack"] } else { &["undo book", "undo pack"] };
        assert_eq!(undone, expected, "{late}");
        assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }), "{}", world.outcome());
        world.same();
    }
}

#[test]
fn an_operator_resets_a_function_to_a_call_with_and_without_compensation() {
    for undo in [true, false] {
        let mut world = booked(1);
        assert_eq!(reset(&mut world, "book", undo), Ok(Accepted::Done));
        assert_eq!(reset(&mut world, "book", undo), Ok(Accepted::Repeated));
        assert_eq!(reset(&mut world, "pack", undo), refused(ResetObstacle::RollingBack));
        world.same();
        world.answer(world.attempt("ship"), Err(Failure::permanent("stopped"))).unwrap();
        if undo {
            assert_eq!(world.busy(), ["undo book"]);
            world.done("undo book", 0);
        }
        assert!(world.turn_begins());
        assert_eq!(world.known(), ["pack: \"parcel\"", "packed: 0"]);
        world.same();
        world.answers(calls([undoable("pack"), save("packed", 1), undoable("book")])).done("book", 2);
        world.answers(json!({ "done": 1 }));
        assert_eq!(world.output(), 1);
        let left = world.engine.run(RUN).unwrap().left_behind();
        assert_eq!(left.len(), usize::from(!undo), "{left:?}");
        world.same();
    }
}

#[test]
fn a_failed_run_is_reset_to_a_call() {
    let mut world = World::running(alone(), 1);
    world.answers(calls([task("read")])).done("read", 1).answers(calls([task("send")])).done("send", 1);
    world.answers(failing());
    assert!(matches!(world.outcome(), RunOutcome::Failed { .. }));
    assert_eq!(reset(&mut world, "send", true), Ok(Accepted::Done));
    world.same();
    assert_eq!(world.known(), ["read: 1"]);
    world.answers(calls([task("read"), task("send")]));
    assert_eq!(world.busy(), ["send"]);
    world.done("send", 2).answers(json!({ "done": 2 }));
    assert_eq!(world.output(), 2);
    world.same();
}

#[test]
fn what_cannot_be_reset_is_refused_by_name() {
    let mut world = booked(1);
    let missing = CallPoint { occurrence: Occurrence::Number(1), ..point("pack") };
    let to = ResetPoint::Call(missing.clone());
    let answer = world.say(RunCommand::Reset { run: RUN, to, undo: true, reason: "no".into() }.into());
    assert_eq!(answer, refused(ResetObstacle::NotRequested { call: missing }));
    assert!(answer.unwrap_err().to_string().contains("order: pack #1"));
    let to = ResetPoint::Call(CallPoint { node: "elsewhere".into(), ..point("pack") });
    let answer = world.say(RunCommand::Reset { run: RUN, to, undo: true, reason: "no".into() }.into());
    assert!(matches!(answer, Err(Rejected::Unknown(_))), "{answer:?}");
    world.cancel().unwrap();
    world.answer(world.attempt("ship"), Err(Failure::permanent("stopped"))).unwrap();
    world.done("undo book", 0).done("undo pack", 0);
    assert_eq!(reset(&mut world, "book", true), refused(ResetObstacle::Compensated { node: "order".into() }));
    assert_eq!(reset(&mut world, "pack", true), Ok(Accepted::Done), "from its first call on, all is new");
    assert!(world.turn_begins() && world.known().is_empty());
    world.same();

    let mut world = World::running(alone(), 1);
    world.answers(calls([task("a")])).done("a", 1).answers(calls([pivot("paid")])).answers(calls([task("b")]));
    assert_eq!(reset(&mut world, "a", true), refused(ResetObstacle::Pivot { node: "order".into() }));
    assert_eq!(reset(&mut world, "b", true), Ok(Accepted::Done));
    world.same();
}

/// A program: one call after the other, each known by its place.
#[derive(Debug, Clone, Copy)]
enum Op {
    /// Fails in this many executions since the last save-point.
    Step(u32),
    Save(u32),
}

/// What was done and undone outside, by idempotency key.
type Effects = BTreeMap<IdempotencyKey, (String, String)>;

fn place(at: usize) -> Occurrence {
    Occurrence::Keyed(at.to_string().into())
}

/// Answers the turn under way: the program begins anew, with the results that it is given. It fails at a step that is to fail.
fn answer(program: &[Op], world: &World) -> Value {
    let turn: FunctionTurn<Value> = world.task("turn").payload.to().unwrap();
    let (FunctionTurn::Begin { results, .. } | FunctionTurn::Resume { results, .. }) = turn;
    let run = world.engine.run(RUN).unwrap();
    let node = run.node("order").unwrap();
    let known = node.results(0).take(results as usize);
    let known: BTreeMap<String, u64> = known
        .map(|call| (call.occurrence.to_string(), call.result.unwrap().unwrap().to::<u64>().unwrap_or(0)))
        .collect();
    let mut times = u64::MAX;
    for (at, op) in program.iter().enumerate() {
        let result = known.get(&place(at).to_string());
        match (*op, result) {
            (Op::Step(_), None) => return calls([undoable("step").with_occurrence(place(at)).with_input(at as u64)]),
            (Op::Step(fails), Some(_)) if times < fails.into() => return failing(),
            (Op::Save(retries), None) => return calls([save("save", retries).with_occurrence(place(at))]),
            (Op::Save(_), Some(used)) => times = *used,
            (Op::Step(_), Some(_)) => {}
        }
    }
    json!({ "done": program.len() })
}

/// Whether the program ends well: no failing step is after a save-point with too few retries. A step before all save-points
/// never fails.
fn ends_well(program: &[Op]) -> bool {
    let mut retries = None;
    program.iter().all(|op| match op {
        Op::Save(most) => {
            retries = Some(*most);
            true
        }
        Op::Step(fails) => retries.is_none_or(|most| most >= *fails),
    })
}

fn finish(program: &[Op], world: &mut World, effects: &mut Effects, mut interfere: impl FnMut(&mut World)) {
    let identity = Identity::new(JournalId::new(7));
    for _ in 0..3_000 {
        interfere(world);
        if world.engine.run(RUN).unwrap().outcome().is_some() {
            return;
        }
        let Some((attempt, (_, task))) = world.held.iter().next() else {
            world.sleep();
            continue;
        };
        let (attempt, task): (_, TaskSpec) = (*attempt, (**task).clone());
        if task.kind.as_str() == "turn" {
            let answer = answer(program, world);
            world.answer(attempt, Ok(payload(answer))).unwrap();
            continue;
        }
        let effect =
            (task.kind.to_string(), task.payload.value().pointer("/input").unwrap_or(task.payload.value()).to_string());
        let known = effects.insert(identity.key_of(&task), effect.clone());
        assert!(known.is_none_or(|known| known == effect), "one key for two effects");
        world.answer(attempt, Ok(payload(1))).unwrap();
    }
    panic!("it does not end: {:?}", world.engine.run(RUN).unwrap().waits_for());
}

/// At the end each step has been done once more than undone, or as often.
fn judge(program: &[Op], world: &World, effects: &Effects, is_left: bool) {
    let of = |kind: &str, at: usize| {
        effects.values().filter(|(known, input)| known == kind && *input == at.to_string()).count()
    };
    let well = ends_well(program);
    for (at, op) in program.iter().enumerate().filter(|(_, op)| matches!(op, Op::Step(_))) {
        let (done, undone) = (of("step", at), of("undo step", at));
        let net = usize::from(well);
        assert!(if is_left { done >= undone + net } else { done == undone + net }, "{op:?} {at}: {done} {undone}");
    }
    match world.outcome() {
        RunOutcome::Succeeded { .. } => assert!(well),
        _ => assert!(!well),
    }
    assert!(world.engine.outstanding().is_empty(), "{:?}", world.engine.outstanding());
    world.same();
}

#[test]
fn a_crash_at_every_event_of_a_rollback_leads_to_the_same_result_and_the_same_effects() {
    for program in [
        vec![Op::Step(0), Op::Save(2), Op::Step(0), Op::Step(2), Op::Step(0)],
        vec![Op::Step(0), Op::Save(1), Op::Step(0), Op::Save(1), Op::Step(2)],
    ] {
        let mut world = World::running(alone(), 1);
        let mut effects = Effects::new();
        finish(&program, &mut world, &mut effects, |_| {});
        judge(&program, &world, &effects, false);
        let all = world.journal.clone();
        let began = all.iter().position(|entry| matches!(entry.event, Event::Run { .. })).unwrap();
        for len in began + 1..all.len() {
            let engine = Engine::restore(timeless(), None, &all[..len]).unwrap();
            let mut world = World::around(engine, all[..len].to_vec());
            world.resume();
            world.same();
            let mut again = Effects::new();
            finish(&program, &mut world, &mut again, |_| {});
            judge(&program, &world, &effects, false);
            let keys: BTreeSet<&IdempotencyKey> = effects.keys().collect();
            assert!(again.keys().all(|key| keys.contains(key)), "an effect of another key after {len} events");
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![3 => (0_u32..3).prop_map(Op::Step), 1 => (0_u32..3).prop_map(Op::Save)]
}

proptest! {
    #![proptest_config(crate::property(96))]
    /// Save-points, resets by an operator to any call, and crashes, at any time.
    #[test]
    fn rollbacks_and_resets_undo_what_is_done_again(
        program in proptest::collection::vec(op(), 1..9),
        draws in proptest::collection::vec((0_u8..12, any::<u8>(), any::<bool>()), 1..60),
        leaves in any::<bool>(),
    ) {
        let mut world = World::running(alone(), 1);
        let mut draws = draws.into_iter().cycle();
        let (mut effects, mut left) = (Effects::new(), 12);
        let mut done = 0;
        finish(&program, &mut world, &mut effects, |world| {
            let (what, at, undo) = draws.next().unwrap_or_default();
            if left == 0 || world.engine.run(RUN).unwrap().outcome().is_some() {
                return;
            }
            if what == 0 {
                left -= 1;
                world.same();
                world.crash();
            } else if what == 1 {
                left -= 1;
                let at = usize::from(at) % program.len();
                let key = if matches!(program[at], Op::Step(_)) { "step" } else { "save" };
                let to = ResetPoint::Call(CallPoint { key: key.into(), occurrence: place(at), ..point("") });
                let undo = undo || !leaves;
                let command = RunCommand::Reset { run: RUN, to, undo, reason: "as drawn".into() };
                done += usize::from(world.say(Command::from(command)) == Ok(Accepted::Done));
            }
        });
        judge(&program, &world, &effects, leaves && done > 0);
    }
}
