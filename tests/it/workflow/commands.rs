//! Repeats, conflicts, versions, refusals: what is refused changes nothing.

use crate::flow::{RUN, World, flow, json, step, undoable};
use counterpoint::definition::{Action, Definition, Link, Node};
use counterpoint::message::rejected::{Conflict, Invalid, Misuse, Overload, Unknown, WrongState};
use counterpoint::message::{CompensationRemedy, NodeStatus, RunPhase};
use counterpoint::{Accepted, Command, Limits, Rejected, RunCommand, RunId, RunSpec, TaskCommand};

fn refused(world: &mut World, command: impl Into<Command>, why: &Rejected) {
    let before = serde_json::to_string(&world.engine.snapshot()).unwrap();
    assert_eq!(world.say(command.into()).as_ref(), Err(why));
    assert_eq!(serde_json::to_string(&world.engine.snapshot()).unwrap(), before);
}

fn start(id: u64, workflow: &str) -> RunSpec {
    RunSpec::new(RunId::new(id), workflow)
}

#[test]
fn defining_and_starting_again_changes_nothing() {
    let definition = flow([step("a")]);
    let mut world = World::running(definition.clone(), 3);
    assert_eq!(world.say(Command::define(definition)), Ok(Accepted::Repeated));
    let spec = RunSpec::new(RUN, "flow").with_input(json(3));
    assert_eq!(world.say(Command::start(spec.clone())), Ok(Accepted::Repeated));
    world.done("a", 0);
    assert_eq!(world.say(Command::start(spec)), Ok(Accepted::Repeated), "also when it has ended");
    world.verify();
}

#[test]
fn other_content_under_a_known_name_or_id_is_refused() {
    let definition = flow([step("a")]);
    let mut world = World::running(definition.clone(), 3);
    let other = definition.clone().with_node(step("b"));
    let differs = definition.differences(&other);
    assert_eq!(differs.iter().map(|one| one.path.as_str()).collect::<Vec<_>>(), ["nodes.b"]);
    let conflict = Conflict::Definition { definition: other.id(), differs };
    refused(&mut world, Command::define(other.clone()), &Rejected::Conflict(conflict));
    refused(
        &mut world,
        Command::start(RunSpec::new(RUN, "flow").with_input(json(4))),
        &Rejected::Conflict(Conflict::Run(RUN)),
    );
    assert_eq!(world.say(Command::define(other.with_version(1))), Ok(Accepted::Done));
}

#[test]
fn a_run_keeps_the_version_that_it_was_started_with() {
    let mut world = World::running(flow([step("old")]), 0);
    world.say(Command::define(flow([step("new")]).with_version(7))).unwrap();
    world.say(Command::define(flow([step("mid")]).with_version(3))).unwrap();
    world.say(Command::start(start(2, "flow"))).unwrap();
    world.say(Command::start(start(3, "flow").with_version(0))).unwrap();
    world.say(Command::start(start(4, "flow").with_version(3))).unwrap();
    assert_eq!(world.busy(), ["old", "new", "old", "mid"]);
    world.crash();
    world.done("old", 0);
    assert_eq!(world.status("old"), NodeStatus::Succeeded);
}

#[test]
fn definitions_that_are_not_sound_are_refused_with_every_fault() {
    let mut world = World::new();
    let unsound =
        Definition::new("bad").with_node(step("a").with_link(Link::success("ghost")).with_link(Link::success("a")));
    let verdict = world.say(Command::define(unsound));
    assert!(
        matches!(verdict, Err(Rejected::Invalid(Invalid::Unsound { ref name, ref faults })) if name == "bad" && faults.len() == 2)
    );
    assert!(
        world
            .journal
            .iter()
            .all(|entry| !matches!(entry.event, counterpoint::Event::Run { .. } | counterpoint::Event::Catalogue(_)))
    );
}

#[test]
fn starts_are_refused() {
    let mut world = World::with(Limits::default().with_active_runs(1).with_payload_bytes(20));
    let unknown = |version| Rejected::Unknown(Unknown::Workflow { name: "flow".into(), version });
    refused(&mut world, Command::start(start(1, "flow")), &unknown(None));
    let mut world = world.begin(flow([step("a")]), 0);
    refused(&mut world, Command::start(start(2, "flow").with_version(9)), &unknown(Some(9)));
    let reserved = 1 << 63;
    refused(&mut world, Command::start(start(reserved, "flow")), &Rejected::Invalid(Invalid::ReservedId(reserved)));
    let large = Rejected::Invalid(Invalid::TooLarge { what: "payload_bytes".into(), size: 32, limit: 20 });
    refused(&mut world, Command::start(start(2, "flow").with_input(json("x".repeat(30)))), &large);
    let full = Rejected::Capacity(Overload::AtCapacity { what: "active_runs".into(), limit: 1, retry_after: None });
    refused(&mut world, Command::start(start(2, "flow")), &full);
    world.done("a", 0);
    assert_eq!(world.say(Command::start(start(2, "flow"))), Ok(Accepted::Done), "there is room again");
}

#[test]
fn signals_are_refused() {
    let mut world = World::with(Limits::default().with(|limits| limits.runs.signals = 1).with_payload_bytes(20))
        .begin(flow([step("a")]), 0);
    let signal = |run, name: &str, text: &str| RunCommand::Signal { run, signal: name.into(), payload: json(text) };
    let nobody = RunId::new(9);
    refused(&mut world, signal(nobody, "go", ""), &Rejected::Unknown(Unknown::Run(nobody)));
    refused(&mut world, signal(RUN, "", ""), &Rejected::Invalid(Invalid::EmptyName { what: "signal".into() }));
    let long = "n".repeat(300);
    assert!(matches!(world.say(signal(RUN, &long, "").into()), Err(Rejected::Invalid(Invalid::TooLarge { .. }))));
    let large = Rejected::Invalid(Invalid::TooLarge { what: "payload_bytes".into(), size: 32, limit: 20 });
    refused(&mut world, signal(RUN, "go", &"x".repeat(30)), &large);
    world.signal("go", 1).unwrap();
    let full = Rejected::Capacity(Overload::AtCapacity { what: "signals".into(), limit: 1, retry_after: None });
    refused(&mut world, signal(RUN, "go", ""), &full);
    world.done("a", 0);
    refused(
        &mut world,
        signal(RUN, "go", ""),
        &Rejected::State(WrongState::RunPhase { run: RUN, phase: RunPhase::Finished }),
    );
}

#[test]
fn cancellations_are_refused() {
    let mut world = World::running(flow([step("a")]), 0);
    let cancel = |run| RunCommand::Cancel { run, reason: "x".into() };
    let nobody = RunId::new(9);
    refused(&mut world, cancel(nobody), &Rejected::Unknown(Unknown::Run(nobody)));
    world.done("a", 0);
    refused(&mut world, cancel(RUN), &Rejected::State(WrongState::RunPhase { run: RUN, phase: RunPhase::Finished }));
}

#[test]
fn remedies_are_refused() {
    let mut world = World::running(flow([undoable("a"), step("b").with_link(Link::success("a"))]), 0);
    let remedy = |run, node: &str| RunCommand::Remedy { run, node: node.into(), remedy: CompensationRemedy::Retry };
    let nobody = RunId::new(9);
    refused(&mut world, remedy(nobody, "a"), &Rejected::Unknown(Unknown::Run(nobody)));
    refused(&mut world, remedy(RUN, "z"), &Rejected::Unknown(Unknown::Node { run: RUN, node: "z".into() }));
    let nothing = |node: &str| Rejected::State(WrongState::NothingToRemedy { run: RUN, node: node.into() });
    refused(&mut world, remedy(RUN, "a"), &nothing("a"));
    world.done("a", 0).failed("b");
    refused(&mut world, remedy(RUN, "a"), &nothing("a"));
    world.failed("undo a");
    refused(&mut world, remedy(RUN, "b"), &nothing("b"));
    world.say(remedy(RUN, "a").into()).unwrap();
    refused(&mut world, remedy(RUN, "a"), &nothing("a"));
    world.done("undo a", 0);
    refused(&mut world, remedy(RUN, "a"), &nothing("a"));
    world.verify();
}

#[test]
fn definitions_are_bounded_in_number() {
    let mut limits = Limits::default();
    limits.runs.definitions = 1;
    let mut world = World::with(limits).begin(flow([step("a")]), 0);
    let full = Rejected::Capacity(Overload::AtCapacity { what: "definitions".into(), limit: 1, retry_after: None });
    refused(&mut world, Command::define(flow([step("a")]).with_version(1)), &full);
}

#[test]
fn finished_runs_are_forgotten_with_the_runs_within_beyond_the_limit() {
    let mut inner = flow([step("x")]);
    inner.name = "inner".into();
    let mut world = World::with(Limits::default().with_finished_runs(1));
    world.say(Command::define(flow([Node::new("in", Action::flow(inner))]))).unwrap();
    for id in 1..=4 {
        world.say(Command::start(start(id, "flow"))).unwrap();
        world.done("x", 0);
    }
    assert!(world.engine.run(RUN).is_none());
    assert!(world.engine.run(RunId::new(4)).is_some());
    assert!(world.engine.runs().count() <= 4, "{:?}", world.engine.runs().collect::<Vec<_>>());
    let restored = counterpoint::Engine::restore(counterpoint::Config::default(), None, &world.journal).unwrap();
    assert_eq!(restored.snapshot(), world.engine.snapshot());
}

#[test]
fn the_task_of_a_step_is_for_its_run_alone_to_withdraw() {
    let mut world = World::running(flow([step("a")]), 0);
    let task = world.attempt("a").task();
    let cancel = TaskCommand::Cancel { task, reason: "by hand".into() };
    refused(&mut world, cancel.clone(), &Rejected::Misuse(Misuse::TaskOfRun { task, run: RUN }));
    world.done("a", 0);
    refused(&mut world, cancel, &Rejected::State(WrongState::TaskEnded(task)));
}

#[test]
fn a_run_past_its_pivot_goes_forward_only() {
    let nodes =
        [undoable("a"), step("p").with_link(Link::success("a")).as_pivot(), step("z").with_link(Link::success("p"))];
    let mut world = World::running(flow(nodes), 0);
    world.done("a", 0).done("p", 0);
    refused(
        &mut world,
        RunCommand::Cancel { run: RUN, reason: "too late".into() },
        &Rejected::State(WrongState::PastPivot(RUN)),
    );
    world.done("z", 9);
    assert_eq!(world.output(), json(9).value().clone());
    world.verify();
}
