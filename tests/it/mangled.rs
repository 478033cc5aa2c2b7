//! What nobody wrote so, for the engine with its workflows: journals, snapshots and commands with numbers changed, facts left
//! out, doubled and swapped. A typed error, or a state that is sound and goes on; never a panic.

use crate::flow::draw::{Draws, Taste, definition, input};
use crate::flow::{RUN, World, flow, step, timeless, undoable, work};
use crate::restore::{Harm, flip, harms, numbers_in};
use counterpoint::definition::OnCompensationFailure;
use counterpoint::definition::{Action, Body, Completion, Expr, Link, Map, Node};
use counterpoint::engine::EngineSnapshot;
use counterpoint::message::{CompensationRemedy, NodeEvent, NodeRef, Opening, ResetPoint, RunEvent, TaskEvent};
use counterpoint::task::NodeIx;
use counterpoint::{
    AgentId, AgentSpec, Command, Engine, Entry, Event, Outbox, RestoreError, RunCommand, RunOutcome, RunSpec, Seq,
    TaskId, Time,
};
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;

fn played(shape: &[u16], schedule: &[u16], seed: u64) -> World {
    let mut draws = Draws::new(shape);
    let input = input(&mut draws);
    let definition = definition(&mut draws, Taste { races: true, most: 6 });
    let mut world = World::new();
    world.say(Command::define(definition)).unwrap();
    world.say(Command::start(RunSpec::new(RUN, "flow").with_input(input))).unwrap();
    world.play(&mut Draws::new(schedule), seed, RUN, true);
    world
}

fn numbers(most: usize) -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(any::<u16>(), 0..most)
}

/// It resumes, takes commands, and comes to the end of time; what it writes on the way can be read again.
fn goes_on(mut engine: Engine, journal: &[Entry], from: Option<&EngineSnapshot>) -> Result<(), TestCaseError> {
    let now = journal.last().map_or(Time::ZERO, |entry| entry.at);
    let mut out = Outbox::default();
    engine.resume(now, &mut out);
    prop_assert_eq!(engine.check(), Ok(()), "after resume");
    for agent in 1..3 {
        let _ = engine.handle(now, Command::register(AgentSpec::new(AgentId::new(agent))), &mut out);
        prop_assert_eq!(engine.check(), Ok(()), "after a command");
    }
    let _ = engine.handle(Time::MAX, Command::Tick, &mut out);
    prop_assert_eq!(engine.check(), Ok(()), "at the end of time");
    let all: Vec<Entry> = journal.iter().chain(out.entries()).cloned().collect();
    let again = Engine::restore(timeless(), from, &all);
    prop_assert!(again.is_ok(), "what it wrote cannot be read: {:?}", again.err());
    prop_assert_eq!(again.unwrap().snapshot(), engine.snapshot());
    Ok(())
}

proptest! {
    #![proptest_config(crate::property(128))]

    #[test]
    fn journals_of_runs(
        shape in numbers(100), schedule in numbers(60), seed in 0_u64..1_000,
        harm in prop::collection::vec(harms(), 1..4),
    ) {
        let mut entries = played(&shape, &schedule, seed).journal;
        harm.iter().for_each(|harm: &Harm| harm.to(&mut entries));
        if let Ok(engine) = Engine::restore(timeless(), None, &entries) {
            goes_on(engine, &entries, None)?;
        }
    }

    #[test]
    fn snapshots_of_runs(
        shape in numbers(100), schedule in numbers(60), seed in 0_u64..1_000,
        which: prop::sample::Index, bit in 0_u32..64, cut: prop::sample::Index,
    ) {
        let world = played(&shape, &schedule, seed);
        let head = &world.journal[..cut.index(world.journal.len())];
        let taken = Engine::restore(timeless(), None, head).unwrap().snapshot();
        let mut value = serde_json::to_value(taken).unwrap();
        flip(&mut value, which, bit);
        let Ok(snapshot) = serde_json::from_value::<EngineSnapshot>(value) else { return Ok(()) };
        if let Ok(engine) = Engine::restore(timeless(), Some(&snapshot), []) {
            goes_on(engine, &[], Some(&snapshot))?;
        }
    }

    /// Commands with numbers in them changed, in any order, to an engine that has seen some as they were.
    #[test]
    fn commands(
        shape in numbers(100), schedule in numbers(60), seed in 0_u64..1_000,
        order in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_u32..64, any::<bool>()), 1..40),
    ) {
        let log = played(&shape, &schedule, seed).log;
        let (mut engine, mut out) = (Engine::new(timeless()), Outbox::default());
        let mut journal = Vec::new();
        for (which, number, bit, bent) in order {
            let (now, command, _) = &log[which.index(log.len())];
            let mut value = serde_json::to_value(command).unwrap();
            if bent {
                flip(&mut value, number, bit);
            }
            let Ok(command) = serde_json::from_value::<Command>(value) else { continue };
            let quiet = engine.next_wakeup().is_none_or(|at| at > *now);
            let before = engine.last_seq();
            let verdict = engine.handle(*now, command, &mut out);
            prop_assert!(verdict.is_ok() || !quiet || engine.last_seq() == before, "what was refused left facts");
            prop_assert_eq!(engine.check(), Ok(()));
            out.drain_entries(&mut journal);
            out.clear();
        }
        let again = Engine::restore(timeless(), None, &journal).unwrap();
        prop_assert_eq!(again.snapshot(), engine.snapshot());
    }
}

/// A run within another, both of which are being undone: with every number that ties the parts of a snapshot together.
fn undone_within() -> World {
    let mut inner = flow([undoable("x"), undoable("y").with_link(Link::success("x"))]);
    inner.name = "inner".into();
    let nodes = [
        undoable("a"),
        Node::new("in", Action::Do(Body::Flow(Arc::new(inner)))).with_link(Link::success("a")),
        step("z").with_link(Link::success("in")),
    ];
    let mut world = World::running(flow(nodes), 0);
    world.done("a", 0).done("x", 0).done("y", 0).failed("z").done("undo y", 0);
    assert_eq!(world.busy(), ["undo x"]);
    world
}

/// What a snapshot becomes whose value at this place is another.
fn with_value(world: &World, place: &str, value: impl Into<serde_json::Value>) -> Result<Engine, RestoreError> {
    let mut snapshot = serde_json::to_value(world.engine.snapshot()).unwrap();
    let held = snapshot.pointer_mut(place).unwrap_or_else(|| panic!("nothing at {place}"));
    let value = value.into();
    assert_ne!(*held, value, "{place}");
    *held = value;
    Engine::restore(timeless(), Some(&serde_json::from_value(snapshot).unwrap()), [])
}

/// Each of these was once restored, and failed an assertion of the core later.
#[test]
fn a_snapshot_whose_parts_do_not_fit_together_is_refused() {
    let world = undone_within();
    assert!(with_value(&world, "/runs/0/spec/tier", "high").is_ok(), "this is how urgent it is, and fits");
    let refused = [
        // A run within names another piece of work, node or run around it than the one that knows it.
        ("/runs/1/owner/item", json!(16_384)),
        ("/runs/1/owner/node", json!(0)),
        ("/runs/1/owner/run", json!(77)),
        ("/runs/1/owner", json!(null)),
        // One that is under way has ended, or the other way round.
        ("/runs/1/course", json!({ "finished": { "outcome": { "succeeded": { "output": 0 } }, "at": 0 } })),
        ("/runs/0/nodes/1/instances/0/undo", json!("idle")),
        // The next ids are known ones, or there are no next ones.
        ("/serial", json!(1)),
        ("/serial", json!(u64::MAX)),
        ("/serial", json!(1_u64 << 63)),
        // What is undone is not what has happened.
        ("/runs/0/rollback/compensation/0/0", json!(2)),
        ("/runs/1/rollback/compensation", json!([[1, "waiting", 0]])),
        ("/runs/1/rollback/compensation", json!(null)),
        (
            "/runs/1/nodes/1/stage/ended/with/compensated",
            json!({ "failed": { "failure": { "kind": "permanent", "message": "x" } } }),
        ),
        // A task that has ended works for a run.
        ("/runs/1/nodes/0/instances/0/undo", json!({ "active": { "task": (1_u64 << 63) | 1 } })),
    ];
    for (place, value) in refused {
        let restored = with_value(&world, place, value.clone());
        assert!(matches!(restored, Err(RestoreError::Snapshot { .. })), "{place}: {value} is taken");
    }
}

/// Three steps, one after the other.
fn chain() -> World {
    World::running(
        flow([step("a"), step("b").with_link(Link::success("a")), step("c").with_link(Link::success("b"))]),
        0,
    )
}

/// The second step is done anew.
fn reset() -> Command {
    let to = ResetPoint::Before(vec!["b".into()]);
    RunCommand::Reset { run: RUN, to, undo: false, reason: "again".into() }.into()
}

/// What is done anew is a part of a run with all that comes after it, each node once.
#[test]
fn a_run_that_is_set_back_in_a_part_that_is_none_is_refused() {
    let mut world = chain();
    world.done("a", 1);
    world.say(reset()).unwrap();
    let place = "/runs/0/rollback/partial/steps";
    assert!(with_value(&world, place, json!([0, 1, 2])).is_ok(), "all of it would be a part, too");
    for nodes in [json!([1, 1]), json!([2, 1]), json!([1]), json!([0, 2]), json!([1, 2, 3])] {
        let restored = with_value(&world, place, nodes.clone());
        assert!(matches!(restored, Err(RestoreError::Snapshot { .. })), "{nodes} is taken");
        let mut entries = world.journal.clone();
        let told = entries.iter_mut().find_map(|entry| match &mut entry.event {
            Event::Run { event: RunEvent::Reset { nodes, .. }, .. } => Some(nodes),
            _ => None,
        });
        let node = |node: &serde_json::Value| {
            let index = node.as_u64().unwrap();
            NodeRef::new(NodeIx::new(index as u32), ["a", "b", "c", "d"][index as usize])
        };
        *told.unwrap() = nodes.as_array().unwrap().iter().map(node).collect();
        let restored = Engine::restore(timeless(), None, &entries);
        assert!(matches!(restored, Err(RestoreError::InconsistentEvent { .. })), "{restored:?}");
    }
}

/// A chain whose second node is done anew, to its end, and perhaps another time after it.
fn set_back(again: bool) -> World {
    let mut world = chain();
    world.done("a", 1).done("b", 1);
    world.say(reset()).unwrap();
    world.done("c", 1).done("b", 2).failed("c");
    if again {
        world.say(reset()).unwrap();
        world.done("b", 3).done("c", 3);
    }
    world
}

/// Facts are left out and the others are numbered anew, two are swapped, or a number in one of them is another: a typed error, or
/// a state that is sound.
#[test]
fn every_wrong_journal_is_refused_or_harmless() {
    let (mut misfit, mut unsound) = (0, 0);
    let mut judge = |mut entries: Vec<Entry>| {
        entries.iter_mut().zip(1..).for_each(|(entry, number)| entry.seq = Seq::new(number));
        match Engine::restore(timeless(), None, &entries) {
            Ok(engine) => goes_on(engine, &entries, None).unwrap(),
            Err(RestoreError::Unsound { .. }) => unsound += 1,
            Err(_) => misfit += 1,
        }
    };
    for journal in [set_back(false), set_back(true), undone_within()].map(|world| world.journal) {
        for at in 0..journal.len() {
            for other in at + 1..journal.len() {
                judge([&journal[..at], &journal[other..]].concat());
                let mut entries = journal.clone();
                entries.swap(at, other);
                let when = entries[at].at;
                entries.iter_mut().for_each(|entry| entry.at = when);
                judge(entries);
            }
            for place in 2.. {
                let mut value = serde_json::to_value(&journal[at]).unwrap();
                let mut found = numbers_in(&mut value);
                let Some(number) = found.get_mut(place) else { break };
                **number = json!(number.as_u64().unwrap_or(0).wrapping_add(1));
                if let Ok(changed) = serde_json::from_value(value) {
                    judge([&journal[..at], &[changed]].concat());
                }
            }
        }
    }
    assert!(misfit > 100 && unsound > 0, "{misfit} {unsound}");
}

/// A map over so many items, with enough when one is done; none has been begun but that one.
fn over_many(items: usize) -> World {
    let many = Map::over(Expr::Input, Body::Task(work("many"))).max_concurrent(1).with_completion(Completion::after(1));
    let definition = flow([Node::new("many", Action::Map(many)), step("z").with_link(Link::success("many"))]);
    World::running(definition, serde_json::Value::Array(vec![json!(7); items]))
}

/// What a map gives has a place for each of its items: room for as many as a changed number says is not to be had.
#[test]
fn a_map_of_more_items_than_its_list_has_is_refused() {
    let mut world = over_many(2_000);
    let open = world.engine.snapshot();
    world.done("many", 0).done("z", 0);
    let RunOutcome::Succeeded { .. } = world.outcome() else { panic!("{:?}", world.outcome()) };
    world.verify();

    let changed = |items: u32| {
        let mut entries = world.journal.clone();
        let size = entries.iter_mut().find_map(|entry| match &mut entry.event {
            Event::Node { event: NodeEvent::Opened { what: Opening::Map { items, .. }, .. }, .. } => Some(items),
            _ => None,
        });
        *size.unwrap() = items;
        Engine::restore(timeless(), None, &entries)
    };
    assert!(changed(2_000).is_ok());
    for items in [2_001, 1 << 20, u32::MAX] {
        let restored = changed(items);
        assert!(matches!(restored, Err(RestoreError::InconsistentEvent { .. })), "{items}: {restored:?}");
    }

    let mut snapshot = serde_json::to_value(&open).unwrap();
    let size = &mut snapshot["runs"][0]["nodes"][0]["work"]["map"]["list"]["items"];
    assert_eq!(*size, json!(2_000));
    *size = json!(u32::MAX);
    let restored = Engine::restore(timeless(), Some(&serde_json::from_value(snapshot).unwrap()), []);
    assert!(matches!(restored, Err(RestoreError::Snapshot { .. })), "{restored:?}");
}

/// The greatest id that a journal may name leaves room for the next.
#[test]
fn a_journal_with_an_id_that_no_engine_makes_is_refused() {
    let world = undone_within();
    let last = (1_u64 << 63) | (u64::MAX >> 1);
    let mut entries = world.journal.clone();
    let task = entries.iter_mut().find_map(|entry| match &mut entry.event {
        Event::Task { event: TaskEvent::Submitted { spec, .. }, .. } if spec.owner.is_some() => Some(spec),
        _ => None,
    });
    Arc::make_mut(task.unwrap()).id = TaskId::new(last);
    let restored = Engine::restore(timeless(), None, &entries);
    assert!(matches!(restored, Err(RestoreError::InconsistentEvent { .. })), "{restored:?}");
}

/// A compensation that failed and is tried again holds back nothing where failures hold back nothing; a snapshot keeps that.
#[test]
fn a_snapshot_keeps_what_a_failed_compensation_holds_back_no_more() {
    let nodes = [undoable("a"), undoable("b").with_link(Link::success("a")), step("c").with_link(Link::success("b"))];
    let definition = flow(nodes).with_on_compensation_failure(OnCompensationFailure::Continue);
    let mut world = World::running(definition, 0);
    world.done("a", 0).done("b", 0).failed("c").failed("undo b").done("undo a", 0);
    world.remedy(RUN, "b", CompensationRemedy::Retry).unwrap();
    assert_eq!(world.busy(), ["undo b"]);
    let snapshot = world.engine.snapshot();
    world.engine = Engine::restore(timeless(), Some(&snapshot), []).unwrap();
    assert_eq!(world.engine.snapshot(), snapshot);
    world.done("undo b", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    world.verify();
}
