//! Keys for systems outside: the same for work that is requested again, different for all other work.

use crate::flow::{RUN, World, flow, json, step, undoable, work};
use counterpoint::definition::{Action, Body, Definition, Expr, Link, Map, Node};
use counterpoint::message::ResetPoint;
use counterpoint::message::rejected::{Conflict, Misuse};
use counterpoint::scheduler::SchedulerSnapshot;
use counterpoint::task::{IdempotencyKey, Identity, JournalId};
use counterpoint::{
    Accepted, AgentId, AgentSpec, AttemptId, Command, Config, ControlCommand, Effect, Engine, Failure, Outbox, Policy,
    Rejected, Retry, RunCommand, RunId, RunSpec, Scheduler, TaskCommand, TaskId, TaskSpec, Time,
};
use std::collections::{BTreeMap, BTreeSet};

const JOURNAL: JournalId = JournalId::new(7);

fn identify(journal: JournalId) -> Command {
    ControlCommand::Identify { journal }.into()
}

fn key(world: &World, kind: &str) -> IdempotencyKey {
    world.engine.identity().expect("the journal is identified").key_of(world.task(kind))
}

/// A node of each sort that has tasks or child runs.
fn everything() -> Definition {
    let inner = Definition::new("inner")
        .with_node(undoable("first"))
        .with_node(step("second").with_link(Link::success("first")))
        .with_output(Expr::node("second"));
    let each = Map::over(Expr::Input, Body::Task(work("each")));
    let runs = Map::over(Expr::Input, Body::Flow(std::sync::Arc::new(inner.clone())));
    flow([
        undoable("a"),
        step("b").with_link(Link::success("a")),
        Node::new("items", Action::Map(each)),
        Node::new("scope", Action::flow(inner)).with_link(Link::success("a")),
        Node::new("scopes", Action::Map(runs)),
        undoable("breaks").with_link(Link::success("scope")).with_link(Link::success("scopes")),
    ])
}

/// The work of a task in words: the kind and the nodes with their instances, without ids of the engine.
fn place(world: &World, task: &TaskSpec) -> String {
    let mut text = task.kind.to_string();
    let mut owner = task.owner;
    while let Some(step) = owner {
        let run = world.engine.run(step.run).expect("the run of a task is known");
        text = format!("{}[{}]/{text}", run.definition().nodes[step.node.index()].name, step.item);
        owner = run.owner();
    }
    text
}

/// Answers all attempts, from the first or from the last, until nothing is left; notes the key of each.
fn play(world: &mut World, last_first: bool, keys: &mut BTreeMap<String, BTreeSet<IdempotencyKey>>) {
    for _ in 0..1_000 {
        let next = if last_first { world.held.keys().next_back() } else { world.held.keys().next() };
        let Some(&attempt) = next else {
            let before = world.journal.len();
            world.sleep();
            if world.journal.len() == before {
                return;
            }
            continue;
        };
        let task = world.held[&attempt].1.clone();
        let key = world.engine.identity().expect("the journal is identified").key_of(&task);
        keys.entry(place(world, &task)).or_default().insert(key);
        // The first attempts fail, and the last node does for good: everything is compensated.
        let answer = match (task.kind.as_str(), attempt.number().get()) {
            ("breaks", _) => Err(Failure::permanent("broken")),
            (_, 1) => Err(Failure::transient("not yet")),
            _ => Ok(json(1)),
        };
        world.answer(attempt, answer).unwrap();
    }
    panic!("the run does not end");
}

fn begun() -> World {
    let mut world = World::new();
    world.say(identify(JOURNAL)).unwrap();
    world.begin(everything(), serde_json::json!([1, 2, 3]))
}

#[test]
fn a_crash_at_every_event_and_the_loss_of_every_tail_keep_the_keys() {
    let mut world = begun();
    let mut keys = BTreeMap::new();
    play(&mut world, false, &mut keys);
    assert!(keys.len() == 19, "{keys:#?}");
    assert!(keys.values().all(|keys| keys.len() == 1), "attempts at one task differ: {keys:#?}");
    let distinct: BTreeSet<_> = keys.values().flatten().collect();
    assert_eq!(distinct.len(), keys.len(), "work that differs has one key");
    let defined = world.journal.iter().position(|entry| entry.event.run().is_some()).unwrap();
    for cut in defined + 1..world.journal.len() {
        let entries = world.journal[..cut].to_vec();
        let engine = Engine::restore(Config::default(), None, &entries).unwrap();
        let mut again = World::around(engine, entries);
        again.now = world.now;
        again.resume();
        // What was done after the cut is requested again, in another order, and under other ids.
        let mut after = BTreeMap::new();
        play(&mut again, true, &mut after);
        for (place, after) in after {
            assert_eq!(keys.get(&place), Some(&after), "cut at {cut}: {place}");
        }
    }
}

#[test]
fn a_snapshot_keeps_the_keys() {
    let mut world = begun();
    world.answer(world.attempt("a"), Ok(json(1))).unwrap();
    let keys = |engine: &Engine| {
        let identity = engine.identity().expect("the journal is identified").clone();
        let of = |effect: Effect| match effect {
            Effect::Dispatch { attempt, task, .. } => Some((attempt, identity.key_of(&task))),
            _ => None,
        };
        engine.outstanding().into_iter().filter_map(of).collect::<Vec<_>>()
    };
    let restored = Engine::restore(Config::default(), Some(&world.engine.snapshot()), []).unwrap();
    assert!(keys(&restored).len() > 3);
    assert_eq!(keys(&restored), keys(&world.engine));
}

#[test]
fn two_journals_and_two_environments_give_different_keys() {
    let keys = |journal: JournalId, environment: Option<&str>| {
        let mut config = Config::default();
        if let Some(name) = environment {
            config = config.with_environment(name);
        }
        let (mut engine, mut out) = (Engine::new(config), Outbox::default());
        let run = RunSpec::keyed("order-17", "flow");
        let commands = [
            identify(journal),
            Command::register(AgentSpec::new(AgentId::new(1)).with_skill("work", 1).with_capacity(9)),
            Command::define(flow([step("a")])),
            Command::start(run),
            Command::submit(TaskSpec::keyed("order-17/charge", "work")),
            Command::submit(TaskSpec::new(TaskId::new(3), "work")),
        ];
        for command in commands {
            engine.handle(Time::ZERO, command, &mut out).unwrap();
        }
        let of = |effect: &Effect| match effect {
            Effect::Dispatch { task, identity: Some(identity), .. } => Some((task.id, identity.key_of(task))),
            _ => None,
        };
        out.effects().iter().filter_map(of).collect::<Vec<_>>()
    };
    let spaces = [(7, None), (8, None), (7, Some("")), (7, Some("staging")), (7, Some("live")), (8, Some("live"))];
    let mut all = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for (journal, environment) in spaces {
        let dispatched = keys(JournalId::new(journal), environment);
        assert_eq!(dispatched.len(), 3);
        assert_eq!(dispatched, keys(JournalId::new(journal), environment), "the same space gives the same keys");
        ids.extend(dispatched.iter().map(|(id, _)| *id));
        all.extend(dispatched.iter().map(|(_, key)| *key));
    }
    assert_eq!(ids.len(), 3, "the ids of the tasks are the same everywhere");
    assert_eq!(all.len(), 3 * spaces.len(), "no key occurs in two spaces");
    let printed = all.iter().map(ToString::to_string);
    assert!(printed.into_iter().all(|key| key.len() == 32 && key.chars().all(|c| c.is_ascii_alphanumeric())));
}

#[test]
fn keys_are_stable_across_versions() {
    // Systems outside have stored such keys: they must never change.
    let identity = Identity::new(JOURNAL).with_environment("live");
    let task = TaskSpec::keyed("order-17/charge", "charge");
    let journal = JournalId::from_name("payments").to_string();
    let keys = [identity.key_of(&task).to_string(), key(&begun(), "a").to_string(), journal];
    assert_eq!(
        keys,
        ["525e8be5adfad9d9507d2266e10412b8", "0b68380762f2daa707d1a975eed132cc", "70c3ff1e9070d213084b13167a6496be"]
    );
}

#[test]
fn a_retry_keeps_the_key_and_work_that_was_undone_gets_another() {
    let mut world = World::new();
    world.say(identify(JOURNAL)).unwrap();
    let nodes = [undoable("a"), undoable("b").with_link(Link::success("a")), step("c").with_link(Link::success("b"))];
    let mut world = world.begin(flow(nodes), 0);
    let a = key(&world, "a");
    world.failed("a");
    world.say(RunCommand::Retry { run: RUN, node: None, reason: "mended".into() }.into()).unwrap();
    assert_eq!(key(&world, "a"), a, "the failed attempt may have had an effect");
    world.done("a", 1);
    let b = key(&world, "b");
    world.done("b", 1);
    let c = key(&world, "c");
    let reset = RunCommand::Reset { run: RUN, to: ResetPoint::after(["a"]), undo: true, reason: "wrong".into() };
    world.say(reset.into()).unwrap();
    world.failed("c");
    let undo = key(&world, "undo b");
    world.done("undo b", 0);
    assert_ne!(key(&world, "b"), b, "the outside system would answer with the work that was undone");
    assert_ne!(undo, b);
    world.crash();
    world.done("b", 2);
    assert_ne!(key(&world, "c"), c);
}

#[test]
fn a_child_run_that_is_started_again_is_new_work() {
    let mut world = World::new();
    world.say(identify(JOURNAL)).unwrap();
    let inner = flow([undoable("x"), step("y").with_link(Link::success("x"))]);
    let mut world = world.begin(flow([Node::new("scope", Action::flow(inner))]), 0);
    let x = key(&world, "x");
    world.done("x", 1).failed("y").done("undo x", 0);
    world.say(RunCommand::Retry { run: RUN, node: None, reason: "mended".into() }.into()).unwrap();
    assert_ne!(key(&world, "x"), x, "the first x was compensated");
}

#[test]
fn a_replay_keeps_the_key() {
    let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
    let mut say = |command: Command, out: &mut Outbox| {
        out.clear();
        engine.handle(Time::ZERO, command, out).unwrap();
        let of = |effect: &Effect| match effect {
            Effect::Dispatch { attempt, to, task, identity: Some(identity), .. } => {
                Some((*attempt, *to, identity.key_of(task)))
            }
            _ => None,
        };
        out.effects().iter().find_map(of)
    };
    say(identify(JOURNAL), &mut out);
    say(Command::register(AgentSpec::new(AgentId::new(1)).with_skill("work", 1)), &mut out);
    let once = Policy::default().with_retry(Retry::never());
    let mut keys = BTreeSet::new();
    let first = TaskSpec::keyed("order-17", "work").with_policy(once);
    let mut dead = first.id;
    let (mut attempt, mut by, key) = say(Command::submit(first), &mut out).unwrap();
    keys.insert(key);
    for fresh in [TaskId::new(1), TaskId::new(2)] {
        say(Command::fail(by, attempt, Failure::transient("down")), &mut out);
        let again = say(TaskCommand::Replay { dead, fresh }.into(), &mut out).unwrap();
        (attempt, by, dead) = (again.0, again.1, fresh);
        keys.insert(again.2);
    }
    assert_eq!(keys.len(), 1, "a replay is the same work");
}

#[test]
fn a_journal_is_identified_once() {
    let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
    assert_eq!(engine.identity(), None);
    assert_eq!(engine.handle(Time::ZERO, identify(JOURNAL), &mut out), Ok(Accepted::Done));
    assert_eq!(engine.handle(Time::ZERO, identify(JOURNAL), &mut out), Ok(Accepted::Repeated));
    let given = JournalId::new(8);
    let refused = engine.handle(Time::ZERO, identify(given), &mut out);
    assert_eq!(refused, Err(Rejected::Conflict(Conflict::Journal { known: JOURNAL, given })));
    assert_eq!(out.entries().len(), 1);
    let config = || Config::default().with_environment("live");
    let restored = Engine::restore(config(), None, out.entries()).unwrap();
    let identity = Identity::new(JOURNAL).with_environment("live");
    assert_eq!(restored.identity().map(|identity| &**identity), Some(&identity));
    assert_eq!(restored.snapshot(), engine.snapshot(), "the environment is no part of the state");
    let twice: Vec<_> = (1..).zip([0, 0]).map(|(seq, at)| (seq, out.entries()[at].clone())).collect();
    let twice = twice.into_iter().map(|(seq, entry)| counterpoint::Entry { seq: counterpoint::Seq::new(seq), ..entry });
    assert!(Engine::restore(Config::default(), None, &twice.collect::<Vec<_>>()).is_err());
}

#[test]
fn keys_that_collide_are_refused_and_never_taken_for_a_repeat() {
    let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
    let mut say = |command: Command| engine.handle(Time::ZERO, command, &mut out);
    say(Command::define(flow([step("a")]))).unwrap();
    // Two keys of one id, as a collision of the hash would give.
    let (task, run) = (TaskId::new(5), RunId::new(5));
    let spec = |key: &str| TaskSpec::new(task, "work").with_key(key);
    let (known, given) = ("order-17".into(), "order-18".into());
    assert_eq!(say(Command::submit(spec("order-17"))), Ok(Accepted::Done));
    assert_eq!(say(Command::submit(spec("order-17"))), Ok(Accepted::Repeated));
    let refused = say(Command::submit(spec("order-18"))).unwrap_err();
    assert_eq!(refused, Rejected::Conflict(Conflict::TaskKey { task, known, given }));
    assert_eq!(refused.code(), "task_key_collision");
    assert!(refused.to_string().contains("`order-18`") && refused.to_string().contains("`order-17`"), "{refused}");
    let other = spec("order-17").with_payload(json("other"));
    assert_eq!(say(Command::submit(other)), Err(Rejected::Conflict(Conflict::Task(task))), "no collision");
    let without = TaskSpec::new(task, "work");
    assert_eq!(say(Command::submit(without)), Err(Rejected::Conflict(Conflict::Task(task))), "perhaps another's");
    let spec = |key: &str| RunSpec::new(run, "flow").with_key(key);
    assert_eq!(say(Command::start(spec("order-17"))), Ok(Accepted::Done));
    assert_eq!(say(Command::start(spec("order-17"))), Ok(Accepted::Repeated));
    let (known, given) = ("order-17".into(), "order-18".into());
    let refused = say(Command::start(spec("order-18"))).unwrap_err();
    assert_eq!(refused, Rejected::Conflict(Conflict::RunKey { run, known, given }));
    assert_eq!(refused.code(), "run_key_collision");
    // In one command, too.
    let both =
        [TaskSpec::new(TaskId::new(6), "work").with_key("x"), TaskSpec::new(TaskId::new(6), "work").with_key("y")];
    assert!(say(Command::submit_all(both)).is_err());
    assert!(engine.task(TaskId::new(6)).is_none());
}

#[test]
fn a_host_cannot_set_what_only_the_engine_may() {
    let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
    engine.handle(Time::ZERO, Command::define(flow([step("a")])), &mut out).unwrap();
    let work = serde_json::json!({ "work": IdempotencyKey::new(1).to_string() });
    let mut task = serde_json::to_value(TaskSpec::new(TaskId::new(1), "work")).unwrap();
    task["origin"] = work.clone();
    let task: TaskSpec = serde_json::from_value(task).unwrap();
    let refused = engine.handle(Time::ZERO, Command::submit(task), &mut out);
    assert_eq!(refused, Err(Rejected::Misuse(Misuse::ForeignOwner(TaskId::new(1)))));
    let mut run = serde_json::to_value(RunSpec::new(RUN, "flow")).unwrap();
    run["origin"] = work;
    let run: RunSpec = serde_json::from_value(run).unwrap();
    let refused = engine.handle(Time::ZERO, Command::start(run), &mut out);
    assert_eq!(refused, Err(Rejected::Misuse(Misuse::ForeignOrigin(RUN))));
}

#[test]
fn a_scheduler_alone_has_keys_too() {
    let (mut scheduler, mut out) = (Scheduler::new(Config::default()), Outbox::default());
    for command in [
        Command::register(AgentSpec::new(AgentId::new(1)).with_skill("work", 1)),
        Command::submit(TaskSpec::new(TaskId::new(1), "work")),
        identify(JOURNAL),
        Command::submit(TaskSpec::new(TaskId::new(2), "work")),
        Command::complete(
            counterpoint::Incarnation::new(AgentId::new(1), 1),
            AttemptId::new(TaskId::new(1), 1),
            json(1),
        ),
    ] {
        scheduler.handle(Time::ZERO, command, &mut out).unwrap();
    }
    let identities: Vec<_> = out
        .effects()
        .iter()
        .map(|effect| match effect {
            Effect::Dispatch { identity, .. } => identity.as_ref().map(|identity| identity.journal),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(identities, [None, Some(JOURNAL)], "an attempt that was dispatched before has no key");
    let snapshot: SchedulerSnapshot = scheduler.snapshot();
    let restored = Scheduler::restore(Config::default(), Some(&snapshot), []).unwrap();
    assert_eq!(restored.identity(), scheduler.identity());
}

#[test]
fn ids_print_in_the_alphabet_of_keys() {
    let plain = |text: String| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let mut world = World::new();
    world.say(identify(JOURNAL)).unwrap();
    let world = world.begin(flow([step("a"), Node::new("scope", Action::flow(flow([step("x")])))]), 0);
    let mut seen = 0;
    for (attempt, (by, task)) in &world.held {
        assert!(task.id.is_engine_made());
        for text in [attempt.to_string(), by.to_string(), task.id.to_string(), by.agent().to_string()] {
            assert!(plain(text.clone()), "{text}");
            seen += 1;
        }
    }
    assert!(world.engine.runs().all(|run| plain(run.id().to_string())));
    assert_eq!(seen, 8);
}
