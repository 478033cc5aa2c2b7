//! Several versions of a workflow at once.

use crate::flow::{RUN, World, flow, step, tell};
use counterpoint::definition::{Definition, Link};
use counterpoint::engine::EngineSnapshot;
use counterpoint::message::CatalogueEvent;
use counterpoint::message::rejected::{Conflict, Unknown};
use counterpoint::{Accepted, Command, Config, Engine, Event, Rejected, RestoreError, RunCommand, RunId, RunSpec};
use std::sync::Arc;

/// Version n has n steps.
fn version(n: u32) -> Definition {
    let nodes = (0..n).map(|at| match at {
        0 => step("s0"),
        at => step(&format!("s{at}")).with_link(Link::success(format!("s{}", at - 1))),
    });
    flow(nodes).with_version(n)
}

fn world(versions: &[u32]) -> World {
    let mut world = World::new();
    versions.iter().for_each(|n| assert_eq!(world.say(Command::define(version(*n))), Ok(Accepted::Done)));
    world
}

fn set_default(world: &mut World, version: Option<u32>) -> Result<Accepted, Rejected> {
    world.say(RunCommand::SetDefault { workflow: "flow".into(), version, reason: "because".into() }.into())
}

fn retire(world: &mut World, version: u32) -> Result<Accepted, Rejected> {
    world.say(RunCommand::Retire { workflow: "flow".into(), version, reason: "because".into() }.into())
}

fn start(world: &mut World, id: u64, version: Option<u32>) -> Result<u32, Rejected> {
    let mut spec = RunSpec::new(RunId::new(id), "flow");
    spec.version = version;
    world.say(Command::start(spec))?;
    Ok(world.engine.run(RunId::new(id)).unwrap().definition().version)
}

/// Name and version, on offer, default, active, finished.
fn listed(engine: &Engine) -> Vec<(String, bool, bool, u32, u32)> {
    let line = |view: &counterpoint::engine::DefinitionView<'_>| {
        (view.id.to_string(), view.is_offered, view.is_default, view.active, view.finished)
    };
    engine.definitions().iter().map(line).collect()
}

#[test]
fn new_runs_take_the_newest_version_or_the_one_that_was_made_the_default() {
    let mut world = world(&[2, 1]);
    assert_eq!(start(&mut world, 1, None), Ok(2));
    assert_eq!(set_default(&mut world, Some(1)), Ok(Accepted::Done));
    assert_eq!(set_default(&mut world, Some(1)), Ok(Accepted::Repeated));
    assert_eq!(start(&mut world, 2, None), Ok(1));
    assert_eq!(world.engine.run(RunId::new(1)).unwrap().definition().version, 2, "runs keep theirs");
    assert_eq!(start(&mut world, 3, Some(2)), Ok(2));
    world.say(Command::define(version(3))).unwrap();
    assert_eq!(start(&mut world, 4, None), Ok(1), "a new version is not taken before somebody says so");
    world.crash();
    assert_eq!(start(&mut world, 5, None), Ok(1));
    let snapshot = world.engine.snapshot();
    let restored = Engine::restore(Config::default(), Some(&snapshot), []).unwrap();
    assert_eq!(listed(&restored), listed(&world.engine));
    assert_eq!(restored.snapshot(), snapshot);
    assert_eq!(set_default(&mut world, None), Ok(Accepted::Done));
    assert_eq!(start(&mut world, 6, None), Ok(3));
    assert_eq!(set_default(&mut world, None), Ok(Accepted::Repeated));
    let unknown = Rejected::Unknown(Unknown::Workflow { name: "flow".into(), version: Some(9) });
    assert_eq!(set_default(&mut world, Some(9)), Err(unknown));
}

#[test]
fn definitions_are_listed_with_their_runs() {
    let mut world = world(&[1, 2]);
    start(&mut world, 1, Some(1)).unwrap();
    start(&mut world, 2, None).unwrap();
    start(&mut world, 3, None).unwrap();
    let name = |n: u32| format!("flow v{n}");
    assert_eq!(listed(&world.engine), [(name(1), true, false, 1, 0), (name(2), true, true, 2, 0)]);
    world.done("s0", 0);
    assert_eq!(listed(&world.engine), [(name(1), true, false, 0, 1), (name(2), true, true, 2, 0)]);
}

#[test]
fn a_version_is_retired_when_its_runs_are_over_and_stays_readable() {
    let mut world = world(&[1, 2]);
    start(&mut world, 1, Some(1)).unwrap();
    start(&mut world, 2, None).unwrap();
    let id = version(1).id();
    assert_eq!(retire(&mut world, 1), Err(Rejected::Conflict(Conflict::InUse { definition: id.clone(), runs: 1 })));
    world.done("s0", 0);
    set_default(&mut world, Some(1)).unwrap();
    assert_eq!(retire(&mut world, 1), Err(Rejected::Conflict(Conflict::IsDefault(id))));
    set_default(&mut world, None).unwrap();
    assert_eq!(retire(&mut world, 1), Ok(Accepted::Done));
    let gone = Rejected::Unknown(Unknown::Workflow { name: "flow".into(), version: Some(1) });
    assert_eq!(start(&mut world, 3, Some(1)), Err(gone.clone()));
    assert_eq!(retire(&mut world, 1), Err(gone));
    assert_eq!(world.engine.run(RUN).unwrap().definition().nodes.len(), 1);
    assert_eq!(listed(&world.engine)[0], ("flow v1".into(), false, false, 0, 1));

    // The snapshot has it as long as the run is remembered.
    let text = serde_json::to_string(&world.engine.snapshot()).unwrap();
    let snapshot: EngineSnapshot = serde_json::from_str(&text).unwrap();
    let restored = Engine::restore(Config::default(), Some(&snapshot), []).unwrap();
    assert_eq!(listed(&restored), listed(&world.engine));
    assert_eq!(serde_json::to_string(&restored.snapshot()).unwrap(), text);

    // The number never comes to mean another definition; the same comes back.
    let other = flow([step("other")]).with_version(1);
    for engine in [restored, Engine::restore(Config::default(), None, &world.journal).unwrap()] {
        let mut world = World::around(engine, world.journal.clone());
        let refused = world.say(Command::define(other.clone()));
        let conflict = Conflict::Definition { definition: other.id(), differs: Vec::new() };
        assert_eq!(refused, Err(Rejected::Conflict(conflict)));
        assert_eq!(world.say(Command::define(version(1))), Ok(Accepted::Done));
        assert_eq!(start(&mut world, 9, Some(1)), Ok(1));
    }
}

#[test]
fn a_restored_engine_takes_no_other_definition_for_the_one_that_runs_are_pinned_to() {
    let mut world = world(&[1]);
    start(&mut world, 1, None).unwrap();
    world.crash();
    let other = flow([step("other")]).with_version(1);
    let conflict = Conflict::Definition { definition: other.id(), differs: version(1).differences(&other) };
    assert_eq!(world.say(Command::define(other.clone())), Err(Rejected::Conflict(conflict)));

    let mut journal = world.journal.clone();
    for entry in &mut journal {
        if let Event::Catalogue(CatalogueEvent::Defined { definition }) = &mut entry.event {
            *definition = Arc::new(other.clone());
        }
    }
    let broken = Engine::restore(Config::default(), None, &journal);
    assert!(matches!(broken, Err(RestoreError::InconsistentEvent { .. })), "{}", tell(&journal));

    let mut snapshot = world.engine.snapshot();
    snapshot.definitions = vec![Arc::new(other)];
    let broken = Engine::restore(Config::default(), Some(&snapshot), []);
    assert!(matches!(broken, Err(RestoreError::Snapshot { .. })));
}
