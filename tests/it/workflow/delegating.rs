//! Work that is handed on in parts: results, bounds, shares of budgets, rounds, failures; and against a reckoning of its own.

use crate::flow::{RUN, World, flow, tell, work};
use counterpoint::definition::{
    Action, Answer, Budget, Delegate, Gather, Link, Node, Reducer, Results, Rounds, Subtask,
};
use counterpoint::message::rejected::WrongState;
use counterpoint::message::{
    CatalogueEvent, Cause, LastRound, LimitReached, Measure, Migration, NodeEvent, NodeOutcome, NodeRemedy, PartEvent,
    PartOutcome, TaskEvent,
};
use counterpoint::task::Usage;
use counterpoint::workflow::{Fault, validate};
use counterpoint::{
    AgentId, AgentSpec, AttemptId, Command, Engine, Entry, Event, Failure, Limits, Needs, Payload, Rejected, Retry,
    RunCommand, RunOutcome,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A part that anybody can do.
fn sub(kind: &str, payload: impl Into<Value>) -> Subtask {
    Subtask::new(kind).with_payload(payload).with_needs(Needs::nothing())
}

fn parts(parts: impl IntoIterator<Item = Subtask>) -> Value {
    serde_json::to_value(Answer::<Value>::Delegate(parts.into_iter().collect())).unwrap()
}

fn done(result: impl Into<Value>) -> Value {
    json!({ "done": result.into() })
}

fn node(delegate: Delegate) -> Node {
    Node::new("research", Action::Delegate(delegate)).with_input(counterpoint::definition::Expr::Input)
}

/// The kinds of sub-tasks in these tests.
const KINDS: [&str; 8] = ["research", "search", "other", "a", "b", "c", "d", "e"];

fn research() -> Delegate {
    Delegate::new(work("research")).with_kinds(KINDS)
}

fn running(delegate: Delegate, input: impl Into<Value>) -> World {
    World::running(flow([node(delegate)]), input)
}

impl World {
    /// The attempt at the task of this kind with this payload.
    fn at(&self, kind: &str, payload: &Value) -> AttemptId {
        let found = self.held.iter().find(|(_, (_, task))| task.kind == kind && task.payload.value() == payload);
        *found.unwrap_or_else(|| panic!("no {kind} about {payload} is under way, only {:?}", self.about())).0
    }

    fn about(&self) -> Vec<String> {
        self.held.values().map(|(_, task)| format!("{} {}", task.kind, task.payload)).collect()
    }

    fn says(&mut self, kind: &str, payload: impl Into<Value>, answer: Value) -> &mut Self {
        let attempt = self.at(kind, &payload.into());
        self.answer(attempt, Ok(Payload::new(answer))).unwrap();
        self
    }

    fn fails(&mut self, kind: &str, payload: impl Into<Value>) -> &mut Self {
        let attempt = self.at(kind, &payload.into());
        self.answer(attempt, Err(Failure::permanent("no idea"))).unwrap();
        self
    }

    fn ended(&self) -> NodeOutcome {
        self.engine.run(RUN).unwrap().node("research").unwrap().outcome().expect("the node has ended").clone()
    }

    fn partial(&self) -> Value {
        self.engine.run(RUN).unwrap().node("research").unwrap().output().value().clone()
    }

    fn limit(&self) -> LimitReached {
        match self.ended() {
            NodeOutcome::Failed { limit: Some(limit), .. } => limit,
            other => panic!("{other}"),
        }
    }

    fn part_ends(&self) -> Vec<Option<PartOutcome>> {
        let run = self.engine.run(RUN).unwrap();
        run.node("research").unwrap().delegated_parts().map(|part| part.end.cloned()).collect()
    }
}

#[test]
fn a_question_is_broken_down_twice_and_the_findings_are_merged() {
    let delegate = research().to_depth(2).gathered(Gather::Work(work("write")));
    let mut world = running(delegate, "tea");
    world.says("research", "tea", parts([sub("research", "leaf"), sub("search", "cup")]));
    world.crash();
    world.says("research", "leaf", parts([sub("search", "green"), sub("search", "black")]));
    world.says("search", "black", done("oxidised")).says("search", "cup", done("porcelain"));
    assert!(!world.busy().contains(&"write".to_owned()), "nothing is put together before all is there");
    world.says("search", "green", done("steamed"));
    let given = json!({"task": "leaf", "results": ["steamed", "oxidised"], "before": [], "last": true});
    world.crash();
    world.says("write", given, done("green and black"));
    let given = json!({"task": "tea", "results": ["green and black", "porcelain"], "before": [], "last": true});
    let typed: Results<String, String> = world.task("write").payload.to().unwrap();
    assert_eq!(typed.results[1].as_deref(), Some("porcelain"));
    world.says("write", given, done("all about tea"));
    assert_eq!(world.output(), json!("all about tea"));
    let run = world.engine.run(RUN).unwrap();
    let known: Vec<_> = run.node("research").unwrap().delegated_parts().collect();
    let told: Vec<(Option<u32>, u32, &str)> =
        known.iter().map(|part| (part.of, part.depth, part.kind.as_str())).collect();
    assert_eq!(
        told,
        [
            (None, 0, "research"),
            (Some(0), 1, "research"),
            (Some(0), 1, "search"),
            (Some(1), 2, "search"),
            (Some(1), 2, "search")
        ]
    );
    assert!(known.iter().all(|part| part.agents == [AgentId::new(1)] && part.end == Some(&PartOutcome::Done)));
    judge(&world.journal).unwrap();
}

#[test]
fn an_agent_that_may_not_delegate_does_the_work() {
    let mut world = running(research().to_depth(0), 1);
    world.says("research", 1, done(2));
    assert_eq!(world.output(), json!(2));
    let mut world = running(research().to_depth(0), 1);
    world.says("research", 1, parts([sub("a", 0)]));
    assert_eq!(world.limit(), LimitReached::DelegationDepth { max: 0 });
}

#[test]
fn a_bound_ends_the_node_with_what_there_is_when_the_rest_is_in() {
    for (delegate, limit) in [
        (research().to_depth(1), LimitReached::DelegationDepth { max: 1 }),
        (research().to_depth(2).with_fan_out(2), LimitReached::FanOut { max: 2 }),
        (research().to_depth(2).with_max_parts(5), LimitReached::Parts { max: 5 }),
    ] {
        let mut world = running(delegate, "x");
        world.says("research", "x", parts([sub("a", 1), sub("b", 2)]));
        world.says("a", 1, done("one"));
        world.says("b", 2, parts([sub("c", 3), sub("d", 4), sub("e", 5)]));
        world.crash();
        assert_eq!(world.limit(), limit);
        assert_eq!(world.partial(), json!(["one"]));
        assert!(
            matches!(world.outcome(), RunOutcome::Failed { cause: Cause::Limit { limit: of, .. }, .. } if *of == limit)
        );
        judge(&world.journal).unwrap();
    }
    // What is under way when a bound is met is awaited, and its results are not lost.
    let mut world = running(research().to_depth(1), "x");
    world.says("research", "x", parts([sub("a", 1), sub("b", 2), sub("c", 3)]));
    world.says("b", 2, parts([sub("d", 4)]));
    assert_eq!(world.busy(), ["a", "c"]);
    world.crash();
    world.says("c", 3, done("three")).says("a", 1, done("one"));
    assert_eq!((world.limit(), world.partial()), (LimitReached::DelegationDepth { max: 1 }, json!(["one", "three"])));
}

#[test]
fn what_goes_beyond_a_bound_may_be_left_out() {
    let mut world = running(research().to_depth(1).with_fan_out(2).dropping_excess().tolerate(1), "x");
    world.says("research", "x", parts([sub("a", 1), sub("b", 2), sub("c", 3)]));
    assert_eq!(world.busy(), ["a", "b"]);
    world.says("a", 1, parts([sub("d", 4)])).says("b", 2, done("two"));
    assert_eq!(world.output(), json!([null, "two"]));
    let limit = LimitReached::DelegationDepth { max: 1 };
    assert_eq!(world.part_ends()[1], Some(PartOutcome::Limit { limit }));
    judge(&world.journal).unwrap();
    // Without tolerance that is the node's bound.
    let mut world = running(research().to_depth(0).dropping_excess(), "x");
    world.says("research", "x", parts([sub("a", 1)]));
    assert_eq!(world.limit(), LimitReached::DelegationDepth { max: 0 });
}

#[test]
fn an_answer_that_is_none_is_a_failure_of_the_attempt() {
    let bad = [
        json!("just a text"),
        json!({"done": 1, "delegate": []}),
        json!({"delegate": []}),
        json!({"delegate": [{"payload": 1}]}),
        json!({"delegate": [{"kind": ""}]}),
        json!({"delegate": [{"kind": "a", "more": 1}]}),
        json!({"delegate": [{"kind": "other"}]}),
        json!({"delegate": [{"kind": "a", "budget": {"time": "1s"}}]}),
        Value::Null,
    ];
    for answer in bad {
        let mut world = running(research().with_kinds(["a"]), 1);
        world.says("research", 1, answer.clone());
        let last = world.journal.iter().rev().find_map(|entry| match &entry.event {
            Event::Task { event: TaskEvent::AttemptFailed { failure, .. }, .. } => Some(failure.clone()),
            _ => None,
        });
        assert!(last.is_some_and(|failure| failure.kind == counterpoint::FailureKind::Transient), "{answer}");
        world.sleep();
        world.says("research", 1, done(7));
        assert_eq!(world.output(), json!(7));
    }
    // Without kinds, sub-tasks have the kind of the work and no other.
    let mut world = running(Delegate::new(work("research")), 1);
    world.says("research", 1, parts([sub("research", 0), sub("wire-money", 1)]));
    assert!(!world.about().iter().any(|task| task.starts_with("wire-money")));
    world.sleep();
    world.says("research", 1, parts([sub("research", 0)]));
    // What can be undone may have happened.
    let mut world = World::running(flow([node(research()).with_undo(work("undo"))]), 1);
    for _ in 0..Retry::default().attempts {
        let attempt = world.attempt("research");
        world.answer(attempt, Ok(Payload::new(json!("no")))).unwrap();
        world.sleep();
    }
    assert_eq!(world.busy(), ["undo"]);
    assert_eq!(world.task("undo").payload.value()["certain"], false);
}

#[test]
fn no_kind_is_requested_twice_along_a_chain() {
    let mut world = running(research(), "x");
    world.says("research", "x", parts([sub("research", "x")]));
    assert_eq!(world.limit(), LimitReached::RepeatedWork, "there is nobody else");

    let mut world = World::new();
    world.say(Command::register(AgentSpec::new(AgentId::new(2)))).unwrap();
    let mut world = world.begin(flow([node(research())]), "x");
    let first = world.held[&world.attempt("research")].0.agent();
    world.says("research", "x", parts([sub("research", "x"), sub("other", "x")]));
    world.crash();
    let second = world.held[&world.attempt("research")].0.agent();
    assert_ne!(first, second, "it goes to the other");
    world.says("research", "x", parts([sub("research", "x")]));
    assert_eq!(world.busy(), ["other"], "both have had it");
    world.says("other", "x", done(1));
    assert_eq!(world.limit(), LimitReached::RepeatedWork);
    judge(&world.journal).unwrap();
}

#[test]
fn results_become_one_as_declared() {
    let gathered = |gather: Gather, results: [Value; 3]| {
        let mut world = running(research().gathered(gather).tolerate(1), "x");
        world.says("research", "x", parts((0..3).map(|n| sub("a", n))));
        for (n, result) in [2, 0, 1].into_iter().map(|n: usize| (n, &results[n])) {
            match result {
                Value::Null => world.fails("a", n),
                result => world.says("a", n, done(result.clone())),
            };
        }
        match world.ended() {
            NodeOutcome::Succeeded => Ok(world.output()),
            NodeOutcome::Failed { failure, .. } => Err(failure.message.to_string()),
            other => panic!("{other}"),
        }
    };
    assert_eq!(gathered(Gather::List, [json!(1), Value::Null, json!(3)]), Ok(json!([1, null, 3])));
    let lists = [json!([1]), Value::Null, json!([2, 3])];
    assert_eq!(gathered(Gather::Reduce(Reducer::Append), lists), Ok(json!([1, 2, 3])));
    let objects = [json!({"a": 1, "b": 1}), json!({"b": 2}), json!({"c": 3})];
    assert_eq!(gathered(Gather::Reduce(Reducer::Merge), objects), Ok(json!({"a": 1, "b": 2, "c": 3})));
    assert_eq!(gathered(Gather::Reduce(Reducer::Sum), [json!(1), json!(2), json!(4)]), Ok(json!(7)));
    assert_eq!(gathered(Gather::Vote, [json!("b"), json!("a"), json!("a")]), Ok(json!("a")));
    assert_eq!(gathered(Gather::Vote, [json!("b"), json!("a"), json!("c")]), Ok(json!("b")));
    assert_eq!(gathered(Gather::Median, [json!(900), json!(1), json!(2)]), Ok(json!(2.0)));
    let rankings = [json!(["a", "b"]), json!(["b", "c"]), json!(["b", "a"])];
    assert_eq!(gathered(Gather::Ranks, rankings), Ok(json!(["b", "a", "c"])));
    for gather in [Gather::Median, Gather::Ranks, Gather::Reduce(Reducer::Sum)] {
        let message = gathered(gather, [json!(1), json!("no"), json!(2)]).unwrap_err();
        assert!(message.starts_with("a result is"), "{message}");
    }
}

#[test]
fn a_gathering_task_may_request_more_until_it_settles() {
    let delegate = || research().gathered(Gather::Work(work("write")));
    let last = |world: &World| {
        let facts = world.journal.iter().rev();
        facts.into_iter().find_map(|entry| match &entry.event {
            Event::Node { event: NodeEvent::Part { event: PartEvent::Gathered { last }, .. }, .. } => Some(*last),
            _ => None,
        })
    };
    let round = |world: &mut World, n: usize, result: Value| {
        world.says("a", n, done(result));
        world.crash();
        world.attempt("write")
    };
    // Nearer and nearer.
    let mut world = running(delegate().in_rounds(Rounds::up_to(9).until_within(0.5, 1)), "x");
    world.says("research", "x", parts([sub("a", 0)]));
    for (n, result) in [1.0, 5.0, 5.25].into_iter().enumerate() {
        let write = round(&mut world, n, json!({"at": result}));
        let given = world.task("write").payload.value().clone();
        assert_eq!((&given["last"], given["before"].as_array().unwrap().len()), (&json!(n == 2), n));
        let answer = if n == 2 { done("settled") } else { parts([sub("a", n + 1)]) };
        world.answer(write, Ok(Payload::new(answer))).unwrap();
    }
    assert_eq!((last(&world), world.output()), (Some(Some(LastRound::Converged)), json!("settled")));
    judge(&world.journal).unwrap();
    // Round and round.
    let mut world = running(delegate().in_rounds(Rounds::up_to(9)), "x");
    world.says("research", "x", parts([sub("a", 0)]));
    for (n, result) in ["left", "right", "left"].into_iter().enumerate() {
        let write = round(&mut world, n, json!(result));
        let answer = if n == 2 { done("whatever") } else { parts([sub("a", n + 1)]) };
        world.answer(write, Ok(Payload::new(answer))).unwrap();
    }
    assert_eq!(last(&world), Some(Some(LastRound::Cycle { length: 2 })));
    // Who does not stop is stopped.
    let mut world = running(delegate().in_rounds(Rounds::up_to(2)), "x");
    world.says("research", "x", parts([sub("a", 0)]));
    for n in 0..2 {
        let write = round(&mut world, n, json!(n));
        world.answer(write, Ok(Payload::new(parts([sub("a", n + 1)])))).unwrap();
    }
    assert_eq!(last(&world), Some(Some(LastRound::Limit)));
    assert_eq!((world.limit(), world.partial()), (LimitReached::Rounds { max: 2 }, json!([0, 1])));
}

#[test]
fn a_failure_that_is_not_tolerated_withdraws_the_rest_of_its_part() {
    let mut world = running(research().to_depth(2).tolerate(1), "x");
    world.says("research", "x", parts([sub("a", 0), sub("b", 0)]));
    world.says("a", 0, parts([sub("c", 1), sub("c", 2), sub("c", 3), sub("c", 4)]));
    world.fails("c", 1);
    world.fails("c", 2);
    assert_eq!(world.stopped.len(), 2, "the others of that part are called off, {:?}", world.about());
    world.crash();
    for n in [3, 4] {
        let attempt = world.at("c", &json!(n));
        world.answer(attempt, Err(Failure::transient("stopped"))).unwrap();
    }
    world.says("b", 0, done("b"));
    assert_eq!(world.output(), json!([null, "b"]), "one part may fail, and does");
    let ends = world.part_ends();
    assert!(matches!(&ends[1], Some(PartOutcome::Failed { failure }) if &*failure.message == "no idea"), "{ends:?}");
    assert_eq!(ends[5..], [Some(PartOutcome::Cancelled), Some(PartOutcome::Cancelled)]);
    judge(&world.journal).unwrap();
    // What has not begun does not begin.
    let mut world = running(research().max_concurrent(1), "x");
    world.says("research", "x", parts([sub("a", 0), sub("a", 1), sub("a", 2)]));
    assert_eq!(world.about(), ["a 0"]);
    world.fails("a", 0);
    assert!(matches!(world.ended(), NodeOutcome::Failed { limit: None, .. }));
    assert!(world.held.is_empty());
}

#[test]
fn at_most_so_many_at_once_in_the_order_asked_for() {
    let mut world = running(research().max_concurrent(2), "x");
    world.says("research", "x", parts((0..5).map(|n| sub("a", n))));
    for n in 0..5 {
        assert_eq!(world.held.len(), 2.min(5 - n));
        world.crash();
        world.says("a", n, done(n * n));
    }
    assert_eq!(world.output(), json!([0, 1, 4, 9, 16]));
}

#[test]
fn what_was_done_is_undone_the_last_first() {
    let fails = crate::flow::step("after").with_link(Link::success("research"));
    let mut world = World::running(flow([node(research()).with_undo(work("undo")), fails]), "x");
    world.says("research", "x", parts([sub("a", 0), sub("a", 1)]));
    world.says("a", 1, done("one")).says("a", 0, done("zero"));
    world.failed("after");
    let mut undone = Vec::new();
    while !world.held.is_empty() {
        assert_eq!(world.busy(), ["undo"], "one after the other");
        undone.push(world.task("undo").payload.value().clone());
        world.crash();
        world.done("undo", 0);
    }
    let outputs: Vec<&Value> = undone.iter().map(|payload| &payload["output"]).collect();
    assert_eq!(outputs[..2], [&done("one"), &done("zero")]);
    assert_eq!(undone.len(), 3);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
}

#[test]
fn shares_of_a_budget_are_kept_and_what_is_left_comes_back() {
    let tokens = |tokens: u64| Budget::default().with_tokens(tokens);
    let estimate = Usage::default().with_tokens(10);
    let delegate = Delegate::new(work("research").with_estimate(estimate)).with_kinds(KINDS).to_depth(2);
    let mut world = World::running(flow([node(delegate.clone()).with_budget(tokens(100))]), "x");
    let spend = |world: &mut World, kind: &str, payload: Value, answer: Value, tokens: u64| {
        let attempt = world.at(kind, &payload);
        world.answer_using(attempt, Ok(Payload::new(answer)), Usage::default().with_tokens(tokens)).unwrap();
    };
    let asked = [sub("a", 0).with_budget(tokens(60)), sub("b", 0)];
    spend(&mut world, "research", json!("x"), parts(asked), 10);
    let free = |world: &World| {
        let run = world.engine.run(RUN).unwrap();
        let node = run.node("research").unwrap();
        let shares: Vec<Option<u64>> =
            node.delegated_parts().map(|part| part.balance.map(|balance| balance.free().tokens.unwrap())).collect();
        (node.balance().unwrap().free().tokens.unwrap(), shares)
    };
    // 100 granted, 10 spent, 60 kept for a, of which 30 are put aside for three attempts, and as many for b outside of it.
    assert_eq!(free(&world), (0, vec![None, Some(30), None]));
    world.crash();
    assert_eq!(free(&world), (0, vec![None, Some(30), None]));
    spend(&mut world, "b", json!(0), done("b"), 20);
    assert_eq!(
        free(&world),
        (10, vec![None, Some(30), None]),
        "what was put aside is back, what is promised is not there"
    );
    let asked = [sub("c", 0).with_budget(tokens(35)), sub("c", 1).with_budget(tokens(15))];
    spend(&mut world, "a", json!(0), parts(asked), 10);
    assert_eq!(free(&world), (10, vec![None, Some(0), None, Some(5), Some(5)]));
    world.crash();
    spend(&mut world, "c", json!(0), done("c"), 1);
    assert_eq!(free(&world).1[1], Some(34), "what was promised and is not needed");
    spend(&mut world, "c", json!(1), done("c"), 15);
    assert_eq!(world.output(), json!([["c", "c"], "b"]));
    let spent = world.engine.run(RUN).unwrap().node("research").unwrap().balance().unwrap();
    assert_eq!((spent.spent.tokens, spent.reserved.tokens), (56, 0));

    // More than there is cannot be promised.
    let mut world = World::running(flow([node(delegate.clone()).with_budget(tokens(100))]), "x");
    let asked = [sub("a", 0).with_budget(tokens(50)), sub("b", 0).with_budget(tokens(41))];
    spend(&mut world, "research", json!("x"), parts(asked.clone()), 10);
    assert_eq!(world.limit(), LimitReached::Budget { measure: Measure::Tokens });
    let lenient = delegate.dropping_excess().tolerate(1);
    let mut world = World::running(flow([node(lenient).with_budget(tokens(100))]), "x");
    spend(&mut world, "research", json!("x"), parts(asked), 10);
    assert_eq!(world.busy(), ["a"], "one is left out, the other is not");
    // A share that is too small for one attempt is a bound, too, and those after it go on.
    spend(&mut world, "a", json!(0), parts([sub("c", 0).with_budget(tokens(5)), sub("c", 1)]), 10);
    assert_eq!(world.about(), ["c 1"]);
    spend(&mut world, "c", json!(1), done(1), 0);
    assert_eq!(world.output(), json!([[null, 1]]));
    let limit = LimitReached::Budget { measure: Measure::Tokens };
    assert_eq!(world.part_ends()[2], Some(PartOutcome::Limit { limit }));
    judge(&world.journal).unwrap();
}

#[test]
fn attempts_can_be_shared_out_and_bound_how_often_a_part_is_tried() {
    let attempts = |attempts: u64| Budget::default().with_attempts(attempts);
    let mut world = running(research().tolerate(1), "x");
    let asked = [sub("a", 0).with_budget(attempts(1)), sub("b", 0).with_budget(attempts(2))];
    world.says("research", "x", parts(asked));
    for kind in ["a", "b"] {
        let attempt = world.attempt(kind);
        world.answer(attempt, Err(Failure::transient("busy"))).unwrap();
    }
    world.sleep();
    assert_eq!(world.busy(), ["b"], "a has had its one attempt");
    world.says("b", 0, done(1));
    assert_eq!(world.output(), json!([null, 1]));
}

#[test]
fn operators_handlers_and_the_parent_run_end_it_like_any_other_work() {
    let begin = || {
        let mut world = running(research(), "x");
        world.says("research", "x", parts([sub("a", 0), sub("a", 1)])).says("a", 0, done("zero"));
        world
    };
    let mut world = begin();
    let remedy = NodeRemedy::Complete { output: Payload::NULL, reason: "enough".into() };
    world.say(RunCommand::Operate { run: RUN, node: "research".into(), remedy }.into()).unwrap();
    assert_eq!(world.stopped.len(), 1);
    world.says("a", 1, done("late"));
    assert_eq!(world.output(), json!(["zero"]), "what is done of it so far, and nothing that came late");
    let mut world = begin();
    world.cancel().unwrap();
    world.says("a", 1, done("late"));
    assert!(matches!(world.outcome(), RunOutcome::Failed { cause: Cause::Cancelled { .. }, .. }));
    let mut world = begin();
    world.say(RunCommand::Pause { run: RUN, reason: "lunch".into() }.into()).unwrap();
    world.says("a", 1, done("one"));
    world.crash();
    world.say(RunCommand::Resume { run: RUN }.into()).unwrap();
    assert_eq!(world.output(), json!(["zero", "one"]));
}

#[test]
fn it_goes_on_when_its_run_moves_and_loses_nothing_that_matters() {
    let mut world = running(research(), "x");
    world.says("research", "x", parts([sub("a", 0), sub("a", 1)])).says("a", 0, done("zero"));
    let moved = |world: &mut World, delegate: Delegate| {
        let other = flow([node(delegate)]).with_version(1);
        world.say(Command::define(other)).unwrap();
        let (migration, reason) = (Migration::to_version(1), "better".into());
        world.say(RunCommand::Migrate { run: RUN, migration, reason }.into())
    };
    let mut other = Delegate::new(work("research").with_policy(counterpoint::Policy::default()));
    other.depth = 1;
    let refused = moved(&mut world, other);
    assert!(
        matches!(refused, Err(Rejected::State(WrongState::NotMigratable { .. }))),
        "the bounds are part of what it means: {refused:?}"
    );
    let other = flow([node(research()).with_undo(work("undo"))]).with_version(2);
    world.say(Command::define(other)).unwrap();
    let (migration, reason) = (Migration::to_version(2), "better".into());
    world.say(RunCommand::Migrate { run: RUN, migration, reason }.into()).unwrap();
    world.crash();
    world.says("a", 1, done("one"));
    assert_eq!(world.output(), json!(["zero", "one"]));
}

#[cfg(feature = "observe")]
#[test]
fn delegated_work_is_in_stories_pictures_and_lineage() {
    use counterpoint::journal::Projection;
    use counterpoint::observe::{Lineage, Picture};
    let delegate = research().gathered(Gather::Work(work("write")));
    let mut world = World::new();
    world.say(Command::register(AgentSpec::new(AgentId::new(2)))).unwrap();
    let mut world = world.begin(flow([node(delegate.clone())]), "x");
    let boss = world.held[&world.attempt("research")].0.agent();
    world.says("research", "x", parts([sub("research", "x"), sub("a", 1)]));
    let helper = world.held[&world.attempt("research")].0.agent();
    world.says("research", "x", done("x!")).says("a", 1, done("one"));
    let writer = world.held[&world.attempt("write")].0.agent();
    let write = world.attempt("write");
    world.answer(write, Ok(Payload::new(done("both")))).unwrap();
    let mut lineage = Lineage::default();
    lineage.replay(&world.journal);
    let handed = &lineage.run(RUN).unwrap().delegated;
    assert_eq!(handed.len(), 2);
    assert_eq!((handed[0].of, handed[0].by, &handed[0].to[..]), (0, Some(boss), &[helper][..]));
    assert_eq!((handed[1].part, handed[1].kind.as_str(), handed[1].end.as_deref()), (2, "a", Some("done")));
    let run = world.engine.run(RUN).unwrap();
    let whole = run.node("research").unwrap().delegated_parts().next().unwrap();
    assert!(whole.agents.contains(&boss) && whole.agents.contains(&writer));
    let lines: Vec<String> = world.journal.iter().map(|entry| world.engine.describe(entry)).collect();
    for told in ["delegated in 2 parts: research, a", "part 1 done", "part 0: results are gathered"] {
        assert!(lines.iter().any(|line| line.contains(told)), "{told}: {lines:#?}");
    }
    let flow = flow([node(delegate)]);
    let picture = Picture::of(&flow);
    for drawn in [picture.to_mermaid(), picture.to_dot(), picture.to_svg()] {
        assert!(drawn.contains("research, 5 deep, 8 each, then w"), "{drawn}");
    }
    let text = serde_json::to_string(lineage.run(RUN).unwrap()).unwrap();
    assert!(text.contains("delegated"));
}

#[test]
fn what_makes_no_sense_is_not_sound() {
    let faults = |delegate: Delegate| {
        let error = validate(&flow([node(delegate)]), &Limits::default()).unwrap_err();
        error.findings().iter().map(|finding| finding.fault.clone()).collect::<Vec<_>>()
    };
    assert_eq!(faults(research().with_max_parts(0)), [Fault::ZeroBound { what: "max_parts" }]);
    assert_eq!(faults(research().max_concurrent(0)), [Fault::NoneAtOnce]);
    assert_eq!(faults(research().in_rounds(Rounds::up_to(2))), [Fault::RoundsWithoutWork]);
    let custom = Gather::Reduce(Reducer::Custom("mine".into()));
    assert_eq!(faults(research().gathered(custom)), [Fault::CustomGather { reducer: "mine".into() }]);
    let merged = || research().gathered(Gather::Work(work("write")));
    assert_eq!(faults(merged().in_rounds(Rounds::up_to(0))), [Fault::ZeroBound { what: "rounds" }]);
    assert_eq!(faults(merged().in_rounds(Rounds::up_to(2).until_within(f64::NAN, 1))), [Fault::NoDistance]);
    assert_eq!(
        faults(merged().in_rounds(Rounds::up_to(2).until_within(0.0, 0))),
        [Fault::ZeroBound { what: "settled" }]
    );
    assert!(matches!(faults(Delegate::new(work("")))[..], [Fault::EmptyName { .. }]));
    assert!(matches!(faults(research().with_kinds([""]))[..], [Fault::EmptyName { .. }]));
    assert!(validate(&flow([node(merged()).as_pivot().with_undo(work("u"))]), &Limits::default()).is_ok());
}

/// What is known of a part, from facts alone.
#[derive(Default)]
struct Known {
    of: Option<usize>,
    depth: u32,
    task: Option<(String, Value)>,
    agents: BTreeSet<AgentId>,
    not: Vec<AgentId>,
    parts: u32,
    ended: bool,
}

/// An independent reading of the rules: bounds are kept, nobody is asked for the same twice on a way, every part ends once,
/// after its own parts, and its results are put together once for each round.
fn judge(journal: &[Entry]) -> Result<(), String> {
    let mut known = vec![Known::default()];
    let mut delegate = None;
    let mut work: BTreeMap<counterpoint::TaskId, usize> = BTreeMap::new();
    let (mut next, mut due) = (0, Vec::new());
    for entry in journal {
        match &entry.event {
            Event::Catalogue(CatalogueEvent::Defined { definition } | CatalogueEvent::Redefined { definition, .. }) => {
                delegate = definition.nodes.iter().find_map(|node| match &node.action {
                    Action::Delegate(delegate) => Some(delegate.clone()),
                    _ => None,
                });
            }
            Event::Task { event: TaskEvent::Submitted { spec, .. }, .. } => {
                let Some(owner) = spec.owner.filter(|owner| owner.node.index() == 0) else { continue };
                if owner.phase != counterpoint::task::Phase::Do {
                    continue;
                }
                let part = due.pop().unwrap_or_else(|| {
                    while known[next].ended {
                        next += 1;
                    }
                    next += 1;
                    next - 1
                });
                if work.values().all(|of| *of != part) {
                    let task = (spec.kind.to_string(), spec.payload.value().clone());
                    let asked = known[part].task.get_or_insert_with(|| task.clone());
                    if *asked != task {
                        return Err(format!("{part} should do {asked:?}, not {task:?}"));
                    }
                }
                work.insert(spec.id, part);
            }
            Event::Task { task, event: TaskEvent::Assigned { to, .. } } => {
                let Some(part) = work.get(task).copied() else { continue };
                if known[part].not.contains(&to.agent()) {
                    return Err(format!("{} gets {part} all the same", to.agent()));
                }
                known[part].agents.insert(to.agent());
                let mut above = known[part].of;
                let own = known[part].task.clone();
                while let Some(place) = above {
                    if known[place].task == own && known[place].agents.contains(&to.agent()) && own.is_some() {
                        return Err(format!("{} is asked for {own:?} twice", to.agent()));
                    }
                    above = known[place].of;
                }
            }
            Event::Node { event: NodeEvent::Part { part, event: PartEvent::Split { into, .. } }, .. } => {
                let rules = delegate.as_ref().unwrap();
                let part = *part as usize;
                let depth = known[part].depth + 1;
                known[part].parts += into.len() as u32;
                if depth > rules.depth && !into.is_empty() || known[part].parts > rules.fan_out {
                    return Err(format!("{part} is split too often or too deep"));
                }
                for handed in into {
                    let task = Some((handed.task.kind.to_string(), handed.task.payload.value().clone()));
                    let not = handed.excluded.clone();
                    known.push(Known { of: Some(part), depth, task, not, ..Known::default() });
                }
                if known.len() > rules.max_parts as usize {
                    return Err("there are too many parts".to_owned());
                }
            }
            Event::Node { event: NodeEvent::Part { part, event: PartEvent::Gathered { .. } }, .. } => {
                due.insert(0, *part as usize);
            }
            Event::Node { event: NodeEvent::Part { part, event: PartEvent::Ended { .. } }, .. } => {
                let part = *part as usize;
                let open = known.iter().any(|other| other.of == Some(part) && !other.ended);
                if known[part].ended || open {
                    return Err(format!("{part} ends twice or before its parts"));
                }
                known[part].ended = true;
                due.retain(|due| *due != part);
            }
            _ => {}
        }
    }
    Ok(())
}

/// What agents do, as a function of what they are asked: payloads are `[seed, level]`.
#[derive(Debug, Clone, Copy)]
struct Habits {
    seed: u64,
    fails: bool,
    bounded: bool,
}

impl Habits {
    fn draw(self, n: u64) -> u64 {
        let mut x = self.seed ^ n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        x = (x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x ^ (x >> 32)
    }

    /// None: it fails. A level of 0 is done at once.
    fn answer(self, payload: &Value) -> Option<Value> {
        if let Some(results) = payload.get("results") {
            let sum: u64 = results.as_array().unwrap().iter().filter_map(Value::as_u64).sum();
            let rounds = payload["before"].as_array().unwrap().len() as u64;
            let id = payload["task"][0].as_u64().unwrap();
            let more = payload["last"] == false && self.draw(id ^ 77) % 3 > rounds;
            return Some(if more { self.split(id.wrapping_mul(31) ^ rounds, 0) } else { done(sum + 1) });
        }
        let (id, level) = (payload[0].as_u64().unwrap(), payload[1].as_u64().unwrap());
        match self.draw(id) % 8 {
            0 if self.fails => None,
            1..=5 if level > 0 => Some(self.split(id, level - 1)),
            _ => Some(done(self.draw(id) % 100)),
        }
    }

    fn split(self, id: u64, level: u64) -> Value {
        let count = 1 + self.draw(id ^ 5) % 3;
        let share = |part: u64| {
            let budget = Budget::default().with_attempts(2 + self.draw(id ^ part) % 40);
            (self.bounded && part.is_multiple_of(2)).then_some(budget)
        };
        parts((0..count).map(|part| {
            let mut task = sub("research", json!([self.draw(id ^ (part << 8)) >> 1, level]));
            task.budget = share(part);
            task
        }))
    }
}

impl World {
    /// Goes on to the end; which attempt is next is drawn.
    fn play_on(&mut self, habits: Habits, order: &[u16], crash: bool) {
        for turn in 0..3_000_usize {
            if self.held.is_empty() {
                let before = self.journal.len();
                self.sleep();
                if self.held.is_empty() && self.journal.len() == before {
                    return;
                }
                continue;
            }
            let pick = order.get(turn % order.len().max(1)).copied().unwrap_or(0) as usize % self.held.len();
            let (attempt, payload) = {
                let (attempt, (_, task)) = self.held.iter().nth(pick).unwrap();
                (*attempt, task.payload.value().clone())
            };
            let answer = habits.answer(&payload).map(Payload::new).ok_or_else(|| Failure::permanent("no idea"));
            self.answer(attempt, answer).unwrap();
            if crash && turn % 7 == 3 {
                self.crash();
            }
        }
        panic!("it does not end: {:?}", self.about());
    }
}

/// What should come of a part, told without an engine, where no bound is met: none, if it fails.
fn reckon(habits: Habits, payload: &Value, tolerate: usize, most: usize) -> Option<Value> {
    let mut answer = habits.answer(payload)?;
    let mut before: Vec<Value> = Vec::new();
    loop {
        if let Some(result) = answer.get("done") {
            return Some(result.clone());
        }
        let asked = answer["delegate"].as_array().unwrap().clone();
        let results: Vec<Option<Value>> =
            asked.iter().map(|task| reckon(habits, &task["payload"], tolerate, most)).collect();
        if results.iter().filter(|result| result.is_none()).count() > tolerate {
            return None;
        }
        let results: Value = results.into_iter().map(Option::unwrap_or_default).collect();
        // Rounds that bring the same, or the same again, are the last.
        let last = before.contains(&results) || before.len() + 1 >= most;
        let given = json!({"task": payload, "results": results, "before": before, "last": last});
        before.push(results);
        answer = habits.answer(&given)?;
    }
}

fn wide(habits: Habits) -> Delegate {
    let delegate = research().to_depth(6).with_fan_out(40).with_max_parts(5_000).tolerate(1);
    let rounds = Rounds::up_to(if habits.bounded { 2 } else { 3 });
    delegate.gathered(Gather::Work(work("write"))).in_rounds(rounds)
}

proptest! {
    #![proptest_config(crate::property(60))]

    /// Without bounds that are met, what comes out is what the reckoning says, in whatever order answers come, and however
    /// often the engine is made anew from its journal.
    #[test]
    fn what_comes_out_is_what_was_to_come(
        seed in any::<u64>(), fails in any::<bool>(), order in prop::collection::vec(any::<u16>(), 1..40), crash in any::<bool>(),
    ) {
        let habits = Habits { seed, fails, bounded: false };
        let input = json!([seed >> 1, 3]);
        let mut world = running(wide(habits), input.clone());
        world.play_on(habits, &order, crash);
        judge(&world.journal).map_err(TestCaseError::fail)?;
        let found = match world.ended() {
            NodeOutcome::Succeeded => Some(world.output()),
            _ => None,
        };
        prop_assert_eq!(found, reckon(habits, &input, 1, 3), "{}", tell(&world.journal));
    }

    /// Whatever bounds are met: it ends, keeps them, promises nothing twice (the engine's own check, after every command), and
    /// a snapshot and facts as text are the same as the engine.
    #[test]
    fn bounds_are_kept_whatever_is_asked_for(
        seed in any::<u64>(), order in prop::collection::vec(any::<u16>(), 1..40),
        (depth, fan_out, pieces) in (0_u32..4, 1_u32..5, 1_u32..25), drop in any::<bool>(), budget in 3_u64..120,
    ) {
        let habits = Habits { seed, fails: true, bounded: true };
        let delegate = wide(habits).to_depth(depth).with_fan_out(fan_out).with_max_parts(pieces);
        let delegate = if drop { delegate.dropping_excess() } else { delegate };
        let node = node(delegate).with_budget(Budget::default().with_attempts(budget));
        let mut world = World::running(flow([node]), json!([seed >> 1, 4]));
        world.play_on(habits, &order, true);
        judge(&world.journal).map_err(TestCaseError::fail)?;
        prop_assert!(world.engine.run(RUN).unwrap().outcome().is_some(), "{:?}", world.engine.run(RUN).unwrap().waits_for());
        let spent = world.engine.run(RUN).unwrap().node("research").unwrap().balance().unwrap();
        prop_assert!(spent.spent.attempts <= budget && spent.reserved.attempts == 0, "{:?}", spent);
        let text: Vec<String> = world.journal.iter().map(|entry| serde_json::to_string(entry).unwrap()).collect();
        let read: Vec<Entry> = text.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        prop_assert_eq!(&read, &world.journal);
        let again = Engine::restore(counterpoint::Config::default(), None, &read).unwrap();
        prop_assert_eq!(again.snapshot(), world.engine.snapshot());
    }
}

proptest! {
    #![proptest_config(crate::property(6))]

    /// Cut off after any fact, from the journal alone or from a snapshot of that moment, it comes to the same end.
    #[test]
    fn a_crash_at_any_event_changes_nothing(seed in any::<u64>(), order in prop::collection::vec(any::<u16>(), 1..20)) {
        let habits = Habits { seed, fails: true, bounded: false };
        let input = json!([seed >> 1, 2]);
        let mut world = running(wide(habits), input.clone());
        world.play_on(habits, &order, false);
        let expected = world.partial();
        let ended = |world: &World| core::mem::discriminant(&world.ended());
        for cut in 4..=world.journal.len() {
            let mut engine = Engine::restore(counterpoint::Config::default(), None, &world.journal[..cut]).unwrap();
            if cut % 2 == 0 {
                let text = serde_json::to_string(&engine.snapshot()).unwrap();
                let snapshot = serde_json::from_str(&text).unwrap();
                engine = Engine::restore(counterpoint::Config::default(), Some(&snapshot), []).unwrap();
            }
            let mut again = World::around(engine, world.journal[..cut].to_vec());
            again.resume();
            again.play_on(habits, &order, false);
            judge(&again.journal).map_err(TestCaseError::fail)?;
            prop_assert_eq!(ended(&again), ended(&world), "cut after {}", cut);
            prop_assert_eq!(again.partial(), expected.clone(), "cut after {}", cut);
        }
    }
}

#[test]
fn a_run_of_old_without_parts_is_read_as_before() {
    // What was added is left out where it says nothing.
    let plain = serde_json::to_string(&Delegate::new(counterpoint::definition::Work::new("a"))).unwrap();
    assert_eq!(plain, r#"{"work":{"kind":"a"},"depth":5,"fan_out":8,"max_parts":1000,"gather":"list"}"#);
    let read: Delegate = serde_json::from_str(r#"{"work": {"kind": "a"}}"#).unwrap();
    assert_eq!(read, Delegate::new(counterpoint::definition::Work::new("a")));
}
