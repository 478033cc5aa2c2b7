//! A definition that is defined again under its version: what is taken, what is refused, and whom it concerns.

use crate::flow::redefine::tuned;
use crate::flow::{RUN, World, flow, json, step, undoable, work};
use counterpoint::definition::{
    Action, Body, Call, Definition, Delegate, Expr, Gather, Handler, Link, Map, Node, Repeat, State, States, Work,
};
use counterpoint::engine::EngineSnapshot;
use counterpoint::message::rejected::{Conflict, Misuse};
use counterpoint::message::{CatalogueEvent, Migration};
use counterpoint::task::{Exhausted, InDoubt, Usage};
use counterpoint::{
    Accepted, Command, Config, Engine, Event, Failure, Needs, Policy, Rejected, Retry, RunCommand, RunId, RunSpec, Tier,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::Duration;

fn attempts(attempts: u32) -> Policy {
    let mut retry = Retry::never();
    retry.attempts = attempts;
    Policy::default().with_retry(retry)
}

/// Work of every kind that a node can have, all with the same settings.
fn every_kind(work: &Work) -> Vec<Node> {
    let task = || Body::Task(work.clone());
    let inner = Definition::new("inner").with_node(Node::new("within", Action::Do(task())));
    let undone = State::new("s").with_body(task()).with_undo(work.clone());
    let mut delegate = Delegate::new(work.clone());
    delegate.gather = Gather::Work(work.clone());
    let until = counterpoint::definition::Condition::True;
    vec![
        Node::new("task", Action::Do(task())).with_undo(work.clone()).with_query(work.clone()),
        Node::new("flow", Action::flow(inner)),
        Node::new("map", Action::Map(Map::over(Expr::Input, task()))),
        Node::new("rounds", Action::Repeat(Repeat::until(task(), until, 2))),
        Node::new("states", Action::States(States::from("s", 3).with(undone))),
        Node::new("parts", Action::Delegate(delegate)),
    ]
}

fn asked(known: &Definition, again: &Definition) -> Result<Accepted, Rejected> {
    let mut world = World::new();
    world.say(Command::define(known.clone())).unwrap();
    let answer = world.say(Command::define(again.clone()));
    let before = world.engine.snapshot();
    match &answer {
        // The same again is a repetition, also after a restart from the journal or from a snapshot.
        Ok(Accepted::Compatible { changed }) => {
            assert!(!changed.is_empty());
            assert_eq!(world.say(Command::define(again.clone())), Ok(Accepted::Repeated));
            world.crash();
            assert_eq!(world.engine.snapshot(), before);
            assert_eq!(world.say(Command::define(again.clone())), Ok(Accepted::Repeated));
            let snapshot = EngineSnapshot::from_bytes(&before.to_bytes().unwrap()).unwrap();
            let engine = Engine::restore(crate::flow::timeless(), Some(&snapshot), []).unwrap();
            assert_eq!(World::around(engine, Vec::new()).say(Command::define(again.clone())), Ok(Accepted::Repeated));
        }
        other => assert!(matches!(other, Err(Rejected::Conflict(Conflict::Definition { .. }))), "{other:?}"),
    }
    answer
}

fn paths(answer: Result<Accepted, Rejected>) -> Vec<String> {
    let changed = match answer {
        Ok(Accepted::Compatible { changed }) => changed,
        Err(Rejected::Conflict(Conflict::Definition { differs, .. })) => differs,
        other => panic!("{other:?}"),
    };
    changed.into_iter().map(|difference| difference.path).collect()
}

#[test]
fn how_a_task_is_attempted_may_change_wherever_it_stands() {
    let plain = work("k").with_policy(attempts(8));
    let known = flow(every_kind(&plain));
    let changes: [(&str, Work); 7] = [
        ("policy", work("k").with_policy(attempts(9))),
        ("policy", work("k").with_policy(attempts(8).with_attempt_timeout(Duration::from_secs(1)))),
        ("policy", work("k").with_policy(attempts(8).with_queue_timeout(Duration::from_secs(1)))),
        (
            "policy",
            work("k").with_policy(attempts(8).with_total_timeout(Duration::MAX).with_exhausted(Exhausted::Fail)),
        ),
        ("tier", plain.clone().with_tier(Tier::Low)),
        ("needs", plain.clone().with_needs(Needs::skill("able").and_label("zone", "north"))),
        ("estimate", plain.clone().with_estimate(Usage::default().with_cost(3))),
    ];
    for (part, changed) in changes {
        let answer = asked(&known, &flow(every_kind(&changed)));
        assert!(answer.is_ok(), "{answer:?}");
        let paths = paths(answer);
        assert!(paths.iter().all(|path| path.contains(part)), "{paths:?}");
        for place in ["task.action", "task.undo", "task.query", "flow.", "map.", "rounds.", "states.", "parts."] {
            assert!(paths.iter().any(|path| path.starts_with(&format!("nodes.{place}"))), "{place}: {paths:?}");
        }
    }
    let timeout = |span| flow([step("a").with_handler(Handler::timeout("late", span))]);
    let answer = asked(&timeout(Duration::from_secs(1)), &timeout(Duration::from_secs(2)));
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(paths(answer), ["nodes.a.handlers.late.on.timeout"]);
}

#[test]
fn anything_else_needs_a_new_version_and_is_named() {
    let known = flow([undoable("a"), step("b").with_link(Link::success("a")).with_input(Expr::node("a"))]);
    let change = |change: &dyn Fn(&mut Definition)| {
        let mut definition = known.clone();
        change(&mut definition);
        definition
    };
    let insisting = attempts(3).with_retry(Retry::default().with_in_doubt(InDoubt::Insist));
    let table: Vec<(Definition, &str)> = vec![
        (change(&|it| it.nodes.insert(0, step("c"))), "nodes.c"),
        (
            change(&|it| {
                it.nodes.pop();
                it.output = Expr::Input;
            }),
            "nodes.b",
        ),
        (change(&|it| it.nodes.swap(0, 1)), "nodes.(order)"),
        (change(&|it| it.nodes[1].after = vec![Link::always("a")]), "nodes.b.after"),
        (change(&|it| it.nodes[1].input = Expr::Input), "nodes.b.input"),
        (change(&|it| it.nodes[1].action = Action::task("other")), "nodes.b.action.do.task.kind"),
        (change(&|it| it.nodes[1].action = Action::Pass), "nodes.b.action"),
        (change(&|it| it.nodes[0].undo = None), "nodes.a.undo"),
        (change(&|it| it.nodes[1].pivot = true), "nodes.b.pivot"),
        (change(&|it| it.nodes[1].handlers.push(Handler::timeout("late", Duration::MAX))), "nodes.b.handlers"),
        (change(&|it| it.output = Expr::Input), "output"),
        (change(&|it| it.budget = Some(counterpoint::definition::Budget::default().with_attempts(3))), "budget"),
        (
            change(&|it| it.nodes[1].action = Action::Do(Body::Task(work("b").with_policy(insisting.clone())))),
            "nodes.b.action.do.task.policy",
        ),
    ];
    for (changed, path) in table {
        let answer = asked(&known, &changed);
        let text = answer.as_ref().unwrap_err().to_string();
        assert!(text.contains(path), "{path}: {text}");
        let paths = paths(answer);
        assert!(paths.iter().any(|one| one == path), "{path}: {paths:?}");
    }
}

/// The first task of the runs of both definitions, and the number of attempts that it has.
fn tries(world: &mut World, run: u64) -> u32 {
    let before = world.journal.len();
    world.say(Command::start(RunSpec::new(RunId::new(run), "flow"))).unwrap();
    let submitted = world.journal[before..].iter().find_map(|entry| match &entry.event {
        Event::Task { event: counterpoint::message::TaskEvent::Submitted { spec, .. }, .. } => Some(spec.clone()),
        _ => None,
    });
    submitted.unwrap().policy.retry().attempts
}

fn two_steps(most: u32) -> Definition {
    let step = |name: &'static str| Node::new(name, Action::Do(Body::Task(work(name).with_policy(attempts(most)))));
    flow([step("a"), step("b").with_link(Link::success("a"))])
}

#[test]
fn new_runs_follow_it_and_those_under_way_only_when_they_migrate() {
    let mut world = World::new();
    world.say(Command::define(two_steps(1))).unwrap();
    assert_eq!(tries(&mut world, 1), 1);
    assert_eq!(tries(&mut world, 2), 1);
    assert!(matches!(world.say(Command::define(two_steps(2))), Ok(Accepted::Compatible { .. })));
    assert_eq!(tries(&mut world, 3), 2);
    world.crash();
    let migrated =
        RunCommand::Migrate { run: RunId::new(2), migration: Migration::to_version(0), reason: "more".into() };
    assert_eq!(world.say(migrated.clone().into()), Ok(Accepted::Done));
    assert_eq!(world.say(migrated.into()), Ok(Accepted::Repeated));

    // Snapshot and journal keep both contents of the version apart.
    let listed: Vec<_> = world.engine.definitions().iter().map(|view| (view.is_offered, view.active)).collect();
    assert!(listed.contains(&(true, 2)) && listed.contains(&(false, 1)), "{listed:?}");
    let snapshot = world.engine.snapshot();
    let restored = Engine::restore(crate::flow::timeless(), Some(&snapshot), []).unwrap();
    assert_eq!(restored.snapshot(), snapshot);
    world.crash();
    assert_eq!(world.engine.snapshot(), snapshot);

    // Nobody retires the version while runs of its earlier content go on.
    let retire = RunCommand::Retire { workflow: "flow".into(), version: 0, reason: "old".into() };
    let refused = world.say(retire.into());
    assert!(matches!(refused, Err(Rejected::Conflict(Conflict::InUse { runs: 3, .. }))), "{refused:?}");

    // The task of step b is submitted under the definition that each run follows by then.
    for _ in 0..3 {
        world.done("a", 0);
    }
    for _ in 0..3 {
        world.answer(world.attempt("b"), Err(Failure::transient("busy"))).unwrap();
    }
    world.pass(Duration::from_secs(1));
    let outcome = |run: u64| world.engine.run(RunId::new(run)).unwrap().outcome().is_some();
    assert_eq!([1, 2, 3].map(outcome), [true, false, false], "one attempt, and two each");
    world.done("b", 0).done("b", 0);
    world.verify();
}

#[test]
fn a_called_workflow_is_followed_as_it_is_when_the_call_begins() {
    let called = |most: u32| {
        let mut called = two_steps(most);
        called.name = "called".into();
        called
    };
    let mut world = World::new();
    world.say(Command::define(called(1))).unwrap();
    let calls = flow([
        step("first"),
        Node::new("call", Action::Do(Body::Call(Call::of("called")))).with_link(Link::success("first")),
    ]);
    world = world.begin(calls, 1);
    world.say(Command::define(called(2))).unwrap();
    world.done("first", 0);
    assert_eq!(world.task("a").policy.retry().attempts, 2);
    world.crash();
    world.done("a", 0).done("b", 0);
    world.verify();
}

#[test]
fn a_known_run_is_found_whatever_version_it_follows() {
    let mut world = World::new();
    for version in [1, 2, 3] {
        world.say(Command::define(two_steps(1).with_version(version))).unwrap();
    }
    let spec = RunSpec::new(RUN, "flow").with_input(json(5)).with_version(1);
    assert_eq!(world.say(Command::start(spec.clone())), Ok(Accepted::Done));
    for _ in 0..2 {
        let before = world.journal.len();
        assert_eq!(world.say(Command::start(spec.clone())), Ok(Accepted::Repeated));
        for version in [2, 3, 77] {
            let newer = Command::start(spec.clone().with_version(version));
            assert_eq!(world.say(newer), Ok(Accepted::Attached { version: 1 }));
        }
        let mut any = spec.clone();
        any.version = None;
        assert_eq!(world.say(Command::start(any)), Ok(Accepted::Attached { version: 1 }));
        let other = spec.clone().with_version(2).with_input(json(6));
        assert_eq!(world.say(Command::start(other)), Err(Rejected::Conflict(Conflict::Run(RUN))), "another order");
        assert_eq!(world.journal.len(), before);
        world.crash();
    }
    let migrate = RunCommand::Migrate { run: RUN, migration: Migration::to_version(3), reason: "new".into() };
    world.say(migrate.into()).unwrap();
    assert_eq!(world.say(Command::start(spec.clone().with_version(3))), Ok(Accepted::Repeated));
    assert_eq!(world.say(Command::start(spec.clone().with_version(2))), Ok(Accepted::Attached { version: 3 }));
    assert_eq!(world.say(Command::start(spec)), Ok(Accepted::Repeated), "the first start again");
}

#[test]
fn a_journal_in_which_a_version_changes_its_meaning_is_refused() {
    let mut world = World::new();
    world.say(Command::define(two_steps(1))).unwrap();
    world.say(Command::define(two_steps(2))).unwrap();
    let mut journal = world.journal.clone();
    for entry in &mut journal {
        if let Event::Catalogue(CatalogueEvent::Redefined { definition, .. }) = &mut entry.event {
            *definition = flow([step("other")]).into();
        }
    }
    assert!(Engine::restore(crate::flow::timeless(), None, &journal).is_err());
    journal.remove(1);
    assert!(Engine::restore(crate::flow::timeless(), None, &journal).is_err(), "the one that it replaces is missing");
}

/// An independent reading of the rule, on the JSON form: what a task is without how it is attempted.
fn meaning(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(meaning).collect(),
        Value::Object(fields) => {
            let mut fields = fields.clone();
            for place in ["task", "undo", "query", "work"] {
                if let Some(Value::Object(work)) = fields.get_mut(place).filter(|work| work.get("kind").is_some()) {
                    let in_doubt =
                        work.get("policy").map_or(json!("count"), |policy| policy["retry"]["in_doubt"].clone());
                    work.retain(|field, _| field == "kind");
                    work.insert("in doubt".to_owned(), in_doubt);
                }
            }
            // Nodes and states, which are what has a name and retries of its own.
            if fields.contains_key("name") {
                fields.remove("retry");
            }
            if fields.get("timeout").is_some_and(|span| !span.is_object()) && fields.len() == 1 {
                fields.insert("timeout".to_owned(), Value::Null);
            }
            fields.into_iter().map(|(name, value)| (name, meaning(&value))).collect()
        }
        other => other.clone(),
    }
}

/// Changes the value that is visited as the `at`-th one.
fn change(value: &mut Value, at: &mut usize, to: &Value) -> bool {
    if *at == 0 {
        *value = to.clone();
        return true;
    }
    *at -= 1;
    match value {
        Value::Array(list) => list.iter_mut().any(|value| change(value, at, to)),
        Value::Object(fields) => fields.values_mut().any(|value| change(value, at, to)),
        _ => false,
    }
}

proptest! {
    #![proptest_config(crate::property(256))]

    /// Any single change of any definition is taken or refused as the rule says, and what is taken can be taken back.
    #[test]
    fn a_change_is_taken_if_and_only_if_the_rule_allows_it(
        shape in prop::collection::vec(any::<u16>(), 0..120), by in 0..9_u32, at in any::<prop::sample::Index>(), to in 0..6_usize,
    ) {
        use crate::flow::draw::{Draws, Taste, definition};
        let known = definition(&mut Draws::new(&shape), Taste { races: true, most: 6 });
        let mut text = serde_json::to_value(tuned(&known, by)).unwrap();
        prop_assert!(known.is_compatible_with(&tuned(&known, by)));
        let to = [json!(null), json!(7), json!("low"), json!("insist"), json!(true), json!([])][to].clone();
        let mut size = 0;
        while change(&mut text.clone(), &mut { size }, &Value::Null) {
            size += 1;
        }
        change(&mut text, &mut at.index(size + 1), &to);
        let Ok(again) = serde_json::from_value::<Definition>(text) else { return Ok(()) };
        if (&again.name, again.version) != (&known.name, known.version) {
            return Ok(());
        }
        let read = |definition: &Definition| meaning(&serde_json::to_value(definition).unwrap());
        prop_assert_eq!(known.is_compatible_with(&again), read(&known) == read(&again), "{:?}", known.differences(&again));
        let json = |definition: &Definition| serde_json::to_value(definition).unwrap();
        prop_assert_eq!(known.differences(&again).is_empty(), json(&known) == json(&again));
        let mut world = World::new();
        world.say(Command::define(known.clone())).unwrap();
        match world.say(Command::define(again.clone())) {
            Ok(Accepted::Compatible { .. }) => {
                let back = world.say(Command::define(known.clone()));
                prop_assert!(matches!(back, Ok(Accepted::Compatible { .. })), "{back:?}");
            }
            Ok(Accepted::Repeated) => prop_assert_eq!(json(&known), json(&again)),
            Err(Rejected::Conflict(Conflict::Definition { .. })) => prop_assert!(read(&known) != read(&again)),
            Err(Rejected::Invalid(_) | Rejected::Unknown(_)) => {}
            other => prop_assert!(false, "{other:?}"),
        }
    }
}

/// A run that a call has started follows a version of its own, as a run without a parent does.
#[test]
fn a_called_run_migrates_to_a_version_unless_its_call_names_one() {
    let called = |version: u32, last: &str| {
        let mut called = flow([step("one"), step(last).with_link(Link::success("one"))]);
        (called.name, called.version) = ("called".into(), version);
        called
    };
    for fixed in [None, Some(1)] {
        let mut call = Call::of("called");
        call.version = fixed;
        let caller = flow([Node::new("call", Action::Do(Body::Call(call))).with_input(Expr::Input)]);
        let mut world = World::new();
        world.say(Command::define(called(1, "two"))).unwrap();
        let mut world = world.begin(caller, 0);
        let child = world.child();
        world.say(Command::define(called(2, "three"))).unwrap();
        let migration = Migration::to_version(2).without("two");
        let migrate = RunCommand::Migrate { run: child, migration, reason: "new".into() };
        if fixed.is_some() {
            let refused = Rejected::Misuse(Misuse::ChildRun { run: child, parent: Some(RUN) });
            assert_eq!(world.say(migrate.into()), Err(refused));
            world.done("one", 1).done("two", 2).verify();
            continue;
        }
        assert_eq!(world.say(migrate.clone().into()), Ok(Accepted::Done));
        world.crash();
        assert_eq!(world.say(migrate.into()), Ok(Accepted::Repeated));
        assert_eq!(world.engine.run(child).unwrap().definition().version, 2);
        let text = serde_json::to_string(&world.engine.snapshot()).unwrap();
        let snapshot: EngineSnapshot = serde_json::from_str(&text).unwrap();
        let restored = Engine::restore(Config::default(), Some(&snapshot), &[]);
        assert_eq!(restored.unwrap().run(child).unwrap().definition().version, 2);
        world.done("one", 1).done("three", 3);
        assert_eq!(world.output(), json!(3));
        world.verify();
    }
}
