//! Runs are found by key and page by page; a key may be held by one run at a time.

use crate::flow::{World, flow, step};
use counterpoint::engine::{EngineSnapshot, RunCursor, RunFilter, RunStanding};
use counterpoint::message::RunPhase;
use counterpoint::message::rejected::{Conflict, Invalid};
use counterpoint::{Accepted, Command, Config, Engine, Limits, Rejected, RunCommand, RunId, RunSpec, Time};

fn world() -> World {
    let mut world = World::new();
    for name in ["flow", "other"] {
        let mut definition = flow([step("a")]);
        definition.name = name.into();
        world.say(Command::define(definition)).unwrap();
    }
    world
}

fn start(world: &mut World, spec: RunSpec) -> Result<Accepted, Rejected> {
    world.say(Command::start(spec))
}

fn spec(id: u64) -> RunSpec {
    RunSpec::new(RunId::new(id), "flow")
}

/// All pages, each of so many.
fn pages(engine: &Engine, filter: &RunFilter, most: usize) -> Vec<Vec<u64>> {
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = engine.find_runs(filter, after, most);
        pages.push(page.runs.iter().map(|run| run.id().get()).collect());
        after = page.next;
        if after.is_none() {
            return pages;
        }
    }
}

fn found(engine: &Engine, filter: &RunFilter) -> Vec<u64> {
    pages(engine, filter, 100).concat()
}

#[test]
fn at_most_one_run_under_way_has_a_key_if_that_is_asked() {
    let mut world = world();
    assert_eq!(start(&mut world, spec(1).with_exclusive_key("order-7")), Ok(Accepted::Done));
    assert_eq!(start(&mut world, spec(1).with_exclusive_key("order-7")), Ok(Accepted::Repeated));
    let taken = Rejected::Conflict(Conflict::ExclusiveKey {
        workflow: "flow".into(),
        key: "order-7".into(),
        run: RunId::new(1),
    });
    assert_eq!(start(&mut world, spec(2).with_exclusive_key("order-7")), Err(taken));
    assert_eq!(start(&mut world, spec(3).with_exclusive_key("order-8")), Ok(Accepted::Done));
    let other = RunSpec::new(RunId::new(4), "other").with_exclusive_key("order-7");
    assert_eq!(start(&mut world, other), Ok(Accepted::Done), "another workflow");
    assert_eq!(start(&mut world, spec(5).with_business_key("order-7")), Ok(Accepted::Done), "it did not ask");
    world.done("a", 0);
    let taken = Rejected::Conflict(Conflict::ExclusiveKey {
        workflow: "flow".into(),
        key: "order-7".into(),
        run: RunId::new(5),
    });
    assert_eq!(start(&mut world, spec(6).with_exclusive_key("order-7")), Err(taken.clone()), "whoever has it has it");
    world.crash();
    assert_eq!(start(&mut world, spec(6).with_exclusive_key("order-7")), Err(taken));
    world.done("a", 0).done("a", 0).done("a", 0);
    assert_eq!(start(&mut world, spec(6).with_exclusive_key("order-7")), Ok(Accepted::Done));
    let named = RunFilter::default().with_workflow("flow").with_business_key("order-7");
    assert_eq!(found(&world.engine, &named), [1, 5, 6]);
    assert_eq!(found(&world.engine, &RunFilter::default().with_business_key("order-7")), [1, 4, 5, 6]);
    assert_eq!(
        start(&mut world, spec(7).with_business_key("")),
        Err(Rejected::Invalid(Invalid::EmptyName { what: "business_key".into() }))
    );
}

#[test]
fn pages_are_whole_in_order_and_stay_good() {
    let mut world = world();
    // The order is that in which they began, whatever their ids.
    for id in [9, 3, 7, 1, 5] {
        start(&mut world, spec(id)).unwrap();
    }
    let all = RunFilter::default();
    assert_eq!(pages(&world.engine, &all, 2), [vec![9, 3], vec![7, 1], vec![5]]);
    assert_eq!(pages(&world.engine, &all, 5), [vec![9, 3, 7, 1, 5]]);
    assert_eq!(pages(&world.engine, &all, 0), [[9], [3], [7], [1], [5]]);
    let next = world.engine.find_runs(&all, None, 2).next.unwrap();
    let next: RunCursor = serde_json::from_str(&serde_json::to_string(&next).unwrap()).unwrap();
    world.done("a", 0).done("a", 0);
    start(&mut world, spec(2)).unwrap();
    let page: Vec<u64> = world.engine.find_runs(&all, Some(next), 9).runs.iter().map(|run| run.id().get()).collect();
    assert_eq!(page, [7, 1, 5, 2]);
    assert_eq!(pages(&Engine::new(Config::default()), &all, 3), [Vec::<u64>::new()]);
}

#[test]
fn filters_go_by_workflow_version_phase_standing_and_age() {
    let mut world = world();
    world.say(Command::define(flow([step("a")]).with_version(1))).unwrap();
    start(&mut world, spec(1).with_version(0)).unwrap();
    world.now = Time::from_secs(10);
    start(&mut world, spec(2)).unwrap();
    world.now = Time::from_secs(20);
    start(&mut world, RunSpec::new(RunId::new(3), "other")).unwrap();
    world.say(RunCommand::Pause { run: RunId::new(2), reason: "night".into() }.into()).unwrap();
    world.done("a", 0).done("a", 0);
    let none = RunFilter::default;
    let cases = [
        (none().with_workflow("flow"), vec![1, 2]),
        (none().with_workflow("nothing"), vec![]),
        (none().with_version(1), vec![2]),
        (none().with_phase(RunPhase::Finished), vec![1]),
        (none().with_standing(RunStanding::Stalled), vec![2]),
        (none().with_standing(RunStanding::Going), vec![3]),
        (none().with_since(Time::from_secs(10)), vec![2, 3]),
        (none().with_before(Time::from_secs(10)), vec![1]),
        (none().with_since(Time::from_secs(1)).with_before(Time::from_secs(11)), vec![2]),
    ];
    let snapshot: EngineSnapshot =
        serde_json::from_str(&serde_json::to_string(&world.engine.snapshot()).unwrap()).unwrap();
    let restored = Engine::restore(Config::default(), Some(&snapshot), []).unwrap();
    let mut out = counterpoint::Outbox::default();
    let mut resumed = restored;
    resumed.resume(world.now, &mut out);
    for (filter, expected) in cases {
        assert_eq!(found(&world.engine, &filter), expected, "{filter:?}");
        assert_eq!(found(&resumed, &filter), expected, "{filter:?}");
    }
    let began: Vec<Time> = world.engine.find_runs(&none(), None, 9).runs.iter().map(|run| run.began()).collect();
    assert_eq!(began, [Time::ZERO, Time::from_secs(10), Time::from_secs(20)]);
}

/// What has left memory is found no more.
#[test]
fn forgotten_runs_are_not_found() {
    let mut limits = Limits::default();
    limits.retention.finished_runs = 1;
    let mut world = World::with(limits);
    world.say(Command::define(flow([]))).unwrap();
    for id in 1..=6 {
        start(&mut world, spec(id).with_exclusive_key("k")).unwrap();
    }
    let left = found(&world.engine, &RunFilter::default());
    assert!(left.len() <= 3 && left.last() == Some(&6), "{left:?}");
    assert_eq!(found(&world.engine, &RunFilter::default().with_workflow("flow").with_business_key("k")), left);
}
