//! Deployments to the host of futures, and runs that are found again.

use super::world::{World, agent};
use counterpoint::definition::{Action, Definition, Expr, Link, Node};
use counterpoint::host::{Deployed, HostError, InFlight, Pinned, RunError};
use counterpoint::journal::MemoryJournal;
use counterpoint::message::rejected::{Conflict, Unknown, WrongState};
use counterpoint::message::{Obstacle, RunPhase};
use counterpoint::workflow::Flow;
use counterpoint::{Accepted, Config, Limits, Payload, Rejected, RunId, RunOutcome, RunSpec};

fn wait(name: &'static str, signal: &'static str) -> Node {
    Node::new(name, Action::Wait { signal: Some(signal.into()), timer: None })
}

fn pass(name: &'static str, after: &'static str) -> Node {
    Node::new(name, Action::Pass).with_input(Expr::value(name)).with_link(Link::success(after))
}

/// A nested workflow that waits for a signal; then a node for each version.
fn flow(version: u32) -> Definition {
    let mut inner = Definition::new("inner").with_node(wait("ask", "go"));
    let mut flow = Definition::new("flow").with_version(version);
    for (at, last) in ["one", "two", "three"].into_iter().enumerate().take(version as usize) {
        inner = inner.with_node(pass(last, "ask"));
        flow = flow.with_node(pass(last, "within")).with_output(Expr::node(last));
        assert!(at < 3);
    }
    flow.with_node(Node::new("within", Action::flow(inner)))
}

fn typed(version: u32) -> Flow<(), String> {
    Flow::from_definition(flow(version), &Limits::default()).unwrap()
}

fn deploy(world: &World, definition: Definition, in_flight: InFlight) -> Result<Deployed, HostError> {
    world.run(world.host.deploy(definition, in_flight))
}

fn start(world: &World, id: u64, version: u32) {
    drop(world.run(world.host.run(&typed(version), RunId::new(id), &())).unwrap());
}

fn go(world: &World, id: u64) {
    world.run(world.host.signal(RunId::new(id), "go", Payload::NULL)).unwrap();
}

fn version(world: &World, id: u64) -> u32 {
    let look = move |engine: &counterpoint::Engine| engine.run(RunId::new(id)).unwrap().definition().version;
    world.run(world.host.inspect(look)).unwrap()
}

#[test]
fn a_known_run_is_found_by_a_later_program_and_by_its_id() {
    let world = World::new();
    start(&world, 1, 1);
    let found = world.run(world.host.run(&typed(2), RunId::new(1), &())).unwrap();
    let attached = world.run(world.host.attach::<String>(RunId::new(1))).unwrap();
    assert_eq!(version(&world, 1), 1);
    go(&world, 1);
    assert_eq!(world.run(found), Ok("one".to_owned()));
    assert_eq!(world.run(attached), Ok("one".to_owned()));
    let late = world.run(world.host.attach::<String>(RunId::new(1))).unwrap();
    assert_eq!(world.run(late), Ok("one".to_owned()), "also when it has ended");
    let as_number = world.run(world.host.attach::<u64>(RunId::new(1))).unwrap();
    assert!(matches!(world.run(as_number), Err(RunError::Output(_))));
    let unknown = world.run(world.host.attach::<String>(RunId::new(2))).unwrap_err();
    assert_eq!(unknown, HostError::Rejected(Rejected::Unknown(Unknown::Run(RunId::new(2)))));
}

#[test]
fn a_deployment_pins_runs_in_flight_by_default() {
    let world = World::new();
    start(&world, 1, 1);
    let pinned = deploy(&world, flow(2), InFlight::default()).unwrap();
    assert_eq!((pinned.defined, pinned.migrated, pinned.pinned), (Accepted::Done, vec![], vec![]));
    assert_eq!(version(&world, 1), 1);
}

#[test]
fn a_deployment_refuses_while_something_that_differs_is_in_flight() {
    let journal = MemoryJournal::default();
    let world = World::open(Config::default(), journal.clone());
    start(&world, 1, 1);
    let before = journal.len();
    let refused = deploy(&world, flow(2), InFlight::Refuse).unwrap_err();
    let HostError::Rejected(Rejected::Conflict(Conflict::InFlight { definition, runs: 1, differs })) = &refused else {
        panic!("{refused}")
    };
    assert_eq!(*definition, flow(1).id());
    assert_eq!(*differs, flow(1).with_version(2).differences(&flow(2)));
    assert!(refused.to_string().contains("nodes.two"), "{refused}");
    assert_eq!(journal.len(), before, "nothing has changed");
    // A new version that means the same is no reason to refuse.
    let same = deploy(&world, flow(1).with_version(7), InFlight::Refuse).unwrap();
    assert_eq!(same.defined, Accepted::Done);
    go(&world, 1);
    world.settle();
    assert_eq!(deploy(&world, flow(2), InFlight::Refuse).unwrap().defined, Accepted::Done);
    // What was deployed is a repetition, whatever is in flight by now.
    start(&world, 2, 1);
    assert_eq!(deploy(&world, flow(2), InFlight::Refuse).unwrap().defined, Accepted::Repeated);
}

#[test]
fn a_deployment_migrates_what_can_and_lists_obstacles_of_the_rest() {
    let world = World::new();
    world.join(agent(1), |_| async { Ok(Payload::NULL) });
    for id in 1..=70 {
        start(&world, id, 1);
    }
    start(&world, 71, 2);
    go(&world, 2);
    world.settle();
    // The third version waits where the first one has nothing to wait for.
    let moved = deploy(&world, flow(3), InFlight::Migrate).unwrap();
    assert_eq!((moved.defined, moved.pinned), (Accepted::Done, vec![]));
    assert_eq!(moved.migrated.len(), 2 * 70, "each of the unfinished runs with the one within it, over two pages");
    let again = deploy(&world, flow(3), InFlight::Migrate).unwrap();
    assert_eq!((again.defined, again.migrated, again.pinned), (Accepted::Repeated, vec![], vec![]));
    assert_eq!([version(&world, 1), version(&world, 2), version(&world, 71)], [3, 1, 3], "the second one was over");

    // What is under way in a node that the new version does not have keeps its own.
    let mut without = flow(3).with_version(4);
    without.nodes.retain(|node| node.name != "within");
    without.nodes.iter_mut().for_each(|node| node.after.clear());
    let kept = deploy(&world, without, InFlight::Migrate).unwrap();
    assert_eq!((kept.migrated, kept.pinned.len()), (vec![], 70));
    let Pinned { run, reason, .. } = &kept.pinned[0];
    let Rejected::State(WrongState::NotMigratable { obstacles, .. }) = reason else { panic!("{reason}") };
    assert_eq!(*run, RunId::new(1));
    assert!(obstacles.contains(&Obstacle::Removed { node: "within".into() }), "{obstacles:?}");
    go(&world, 1);
    let first = world.run(world.host.attach::<String>(RunId::new(1))).unwrap();
    assert_eq!(world.run(first), Ok("three".to_owned()));
}

#[test]
fn a_run_that_fails_or_is_compensated_is_kept_with_its_outcome() {
    let world = World::new();
    let undone = Definition::new("flow")
        .with_version(1)
        .with_node(Node::new("a", Action::task("work")).with_undo(counterpoint::definition::Work::new("nobody")))
        .with_node(wait("ask", "go").with_link(Link::success("a")));
    world.join(agent(1), |_| async { Ok(Payload::NULL) });
    world.run(world.host.define(undone.clone())).unwrap();
    let run = world.run(world.host.start_run::<()>(RunSpec::new(RunId::new(1), "flow"))).unwrap();
    world.settle();
    let cancel = counterpoint::RunCommand::Cancel { run: RunId::new(1), reason: "enough".into() };
    world.run(world.host.command(cancel)).unwrap();
    let moved = deploy(&world, undone.with_version(2), InFlight::Migrate).unwrap();
    let phase = WrongState::RunPhase { run: RunId::new(1), phase: RunPhase::Compensating };
    assert_eq!(moved.pinned.iter().map(|pinned| &pinned.reason).collect::<Vec<_>>(), [&Rejected::State(phase)]);
    world.join(counterpoint::AgentSpec::new(counterpoint::AgentId::new(2)).with_skill("nobody", 1), |_| async {
        Ok(Payload::NULL)
    });
    assert!(matches!(world.run(run), Err(RunError::Unsuccessful(RunOutcome::Compensated { .. }))));
}

/// Runs that a call has started are runs of the workflow, too; those of a call with a version keep it.
#[test]
fn a_deployment_migrates_called_runs() {
    use counterpoint::definition::{Action as A, Body, Call};
    let world = World::new();
    world.join(agent(1), |_| async { Ok(Payload::NULL) });
    world.run(world.host.define(flow(1))).unwrap();
    let mut fixed = Call::of("flow");
    fixed.version = Some(1);
    let caller = Definition::new("caller")
        .with_node(Node::new("any", A::Do(Body::Call(Call::of("flow")))))
        .with_node(Node::new("fixed", A::Do(Body::Call(fixed))));
    world.run(world.host.define(caller)).unwrap();
    let _run = world.run(world.host.start_run::<()>(RunSpec::new(RunId::new(1), "caller"))).unwrap();
    world.settle();
    let moved = deploy(&world, flow(3), InFlight::Migrate).unwrap();
    assert_eq!(moved.pinned, vec![]);
    assert_eq!(moved.migrated.len(), 2, "the called run, and the one within it");
    let versions = |engine: &counterpoint::Engine| {
        let of = |run: &counterpoint::engine::RunView<'_>| {
            (run.definition().name == "flow").then(|| run.definition().version)
        };
        engine.runs().filter_map(|run| of(&run)).collect::<Vec<_>>()
    };
    let mut versions = world.run(world.host.inspect(versions)).unwrap();
    versions.sort_unstable();
    assert_eq!(versions, [1, 3]);
    let again = deploy(&world, flow(3), InFlight::Migrate).unwrap();
    assert_eq!((again.migrated, again.pinned), (vec![], vec![]));
}
