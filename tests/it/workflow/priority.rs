//! A run is made more urgent, or less, while it is under way.

use crate::flow::{RUN, World, flow, json, step, tell, work};
use counterpoint::definition::{Action, Body, Link, Node};
use counterpoint::message::rejected::{Unknown, WrongState};
use counterpoint::message::{ControlEvent, RunEvent, RunPhase};
use counterpoint::{
    Accepted, AgentCommand, AgentId, AgentSpec, Command, Config, Engine, Entry, Event, Rejected, RunCommand, RunId,
    RunSpec, TaskCommand, TaskId, TaskSpec, Tier,
};

/// A world with one agent that does one thing at a time.
fn world() -> World {
    let mut world = World::new();
    world.dismiss();
    world.say(Command::register(AgentSpec::new(AgentId::new(2)))).unwrap();
    world
}

fn prioritise(world: &mut World, run: RunId, tier: Tier) -> Result<Accepted, Rejected> {
    world.say(RunCommand::Prioritise { run, tier, reason: "the boss".into() }.into())
}

fn own(name: &str, tier: Tier) -> Node {
    Node::new(name, Action::Do(Body::Task(work(name).with_tier(tier))))
}

fn tiers(world: &World) -> Vec<(String, Tier)> {
    let mut tiers = Vec::new();
    for id in 1..20 {
        if let Some(task) = world.engine.task(TaskId::new(1 << 63 | id)).filter(|task| task.outcome().is_none()) {
            tiers.push((task.spec().kind.to_string(), task.tier()));
        }
    }
    tiers
}

#[test]
fn a_snapshot_holds_the_tier_of_a_run() {
    let mut world = World::running(flow([step("a"), step("b").with_link(Link::success("a"))]), 0);
    prioritise(&mut world, RUN, Tier::Critical).unwrap();
    let taken = world.engine.snapshot();
    let again = Engine::restore(Config::default(), Some(&taken), []).unwrap();
    assert_eq!(again.snapshot(), taken);
    world.done("a", 0);
    assert_eq!(tiers(&world), [("b".to_owned(), Tier::Critical)]);
}

#[test]
fn waiting_tasks_move_those_to_come_follow_and_what_has_begun_goes_on() {
    let mut inner = flow([step("x"), step("y").with_link(Link::success("x"))]);
    inner.name = "inner".into();
    let nodes = [
        step("held"),
        step("waits"),
        own("own", Tier::Low),
        Node::new("in", Action::flow(inner)),
        step("later").with_link(Link::success("held")),
    ];
    let mut world = world().begin(flow(nodes), 0);
    assert_eq!(prioritise(&mut world, RUN, Tier::High), Ok(Accepted::Done));
    assert_eq!(prioritise(&mut world, RUN, Tier::High), Ok(Accepted::Repeated));
    let is = |name: &str, tier| (name.to_owned(), tier);
    let moved = [is("held", Tier::Normal), is("waits", Tier::High), is("own", Tier::Low), is("x", Tier::High)];
    assert_eq!(tiers(&world), moved);
    assert_eq!(world.engine.run(RUN).unwrap().tier(), Tier::High);

    // Every cut of the journal leads to the same, and no call is owed for it.
    for cut in 0..=world.journal.len() {
        let mut again = Engine::restore(Config::default(), None, &world.journal[..cut]).unwrap();
        again.resume(world.now, &mut counterpoint::Outbox::default());
        again.check().unwrap();
    }
    world.crash();
    assert_eq!(tiers(&world), moved);
    world.done("held", 0).done("waits", 0).done("x", 0);
    assert_eq!(tiers(&world), [is("own", Tier::Low), is("later", Tier::High), is("y", Tier::High)]);
    let spec = world.task("later");
    assert_eq!(spec.tier, Tier::High);
    world.done("later", 0).done("y", 0).done("own", 0).verify();
    let over = Rejected::State(WrongState::RunPhase { run: RUN, phase: RunPhase::Finished });
    assert_eq!(prioritise(&mut world, RUN, Tier::Low), Err(over));
    assert_eq!(prioritise(&mut world, RunId::new(9), Tier::Low), Err(Rejected::Unknown(Unknown::Run(RunId::new(9)))));
}

/// The run's tier and the tasks' move are two events; a crash between them leaves the tasks where they were.
#[test]
fn a_crash_before_the_tasks_move_is_repaired_by_the_same_command() {
    let mut world = world().begin(flow([step("held"), step("waits")]), 0);
    assert_eq!(prioritise(&mut world, RUN, Tier::High), Ok(Accepted::Done));
    let run = |entry: &Entry| matches!(entry.event, Event::Run { event: RunEvent::Prioritised { .. }, .. });
    let tasks = |entry: &Entry| matches!(entry.event, Event::Control(ControlEvent::TasksPrioritised { .. }));
    let cut = world.journal.iter().position(run).unwrap() + 1;
    assert!(tasks(&world.journal[cut]), "{}", tell(&world.journal));
    world.journal.truncate(cut);
    world.crash();
    let is = |name: &str, tier| (name.to_owned(), tier);
    assert_eq!(world.engine.run(RUN).unwrap().tier(), Tier::High);
    assert_eq!(tiers(&world), [is("held", Tier::Normal), is("waits", Tier::Normal)]);

    assert_eq!(prioritise(&mut world, RUN, Tier::High), Ok(Accepted::Done));
    assert_eq!(tiers(&world), [is("held", Tier::Normal), is("waits", Tier::High)]);
    assert_eq!(world.journal.iter().filter(|entry| run(entry)).count(), 1, "the run's tier is recorded already");
    assert_eq!(prioritise(&mut world, RUN, Tier::High), Ok(Accepted::Repeated));
    world.done("held", 0).done("waits", 0).verify();
}

#[test]
fn the_more_urgent_run_goes_first_and_at_once_where_room_is_kept() {
    let mut world = world().begin(flow([step("a")]), 0);
    for id in 2..=4 {
        world.say(Command::start(RunSpec::new(RunId::new(id), "flow").with_input(json(id)))).unwrap();
    }
    prioritise(&mut world, RunId::new(4), Tier::High).unwrap();
    prioritise(&mut world, RunId::new(2), Tier::Low).unwrap();
    let mut order = Vec::new();
    while let Some((_, (_, task))) = world.held.iter().next() {
        order.push(task.owner.unwrap().run.get());
        world.done("a", 0);
    }
    assert_eq!(order, [1, 4, 3, 2]);

    let mut world = World::new();
    world.dismiss();
    world.say(Command::register(AgentSpec::new(AgentId::new(2)).with_capacity(2).with_reserved(2))).unwrap();
    let mut world = world.begin(flow([step("a")]), 0);
    assert!(world.busy().is_empty());
    prioritise(&mut world, RUN, Tier::Critical).unwrap();
    assert_eq!(world.busy(), ["a"]);
}

#[test]
fn single_tasks_that_wait_can_be_moved_all_or_none() {
    let mut world = world();
    for id in 1..=4 {
        world
            .say(Command::submit(TaskSpec::new(TaskId::new(id), "k").with_needs(counterpoint::Needs::nothing())))
            .unwrap();
    }
    let task = |world: &mut World, ids: &[u64], tier| {
        let tasks = ids.iter().copied().map(TaskId::new).collect();
        world.say(TaskCommand::Prioritise { tasks, tier, reason: "the boss".into() }.into())
    };
    assert_eq!(task(&mut world, &[4, 1], Tier::High), Err(Rejected::State(WrongState::TaskBegun(TaskId::new(1)))));
    assert_eq!(task(&mut world, &[4, 9], Tier::High), Err(Rejected::Unknown(Unknown::Task(TaskId::new(9)))));
    assert_eq!(task(&mut world, &[4, 4, 3], Tier::High), Ok(Accepted::Done));
    assert_eq!(task(&mut world, &[3, 4], Tier::High), Ok(Accepted::Repeated));
    let order: Vec<u64> = (0..4)
        .map(|_| {
            let attempt = *world.held.keys().next().unwrap();
            world.answer(attempt, Ok(json(0))).unwrap();
            attempt.task().get()
        })
        .collect();
    assert_eq!(order, [1, 3, 4, 2], "{}", tell(&world.journal));
    assert_eq!(task(&mut world, &[2], Tier::High), Err(Rejected::State(WrongState::TaskEnded(TaskId::new(2)))));
    world.say(AgentCommand::Deregister { agent: AgentId::new(2) }.into()).unwrap();
}

/// The audit trail tells who was moved, where to and why.
#[cfg(feature = "observe")]
#[test]
fn the_audit_has_operations_with_their_reasons() {
    use counterpoint::journal::Projection as _;
    use counterpoint::message::Migration;
    use counterpoint::observe::{Actor, AuditLine, Names};
    let mut world = world().begin(flow([step("a"), step("b")]), 0);
    world.say(Command::define(flow([step("a"), step("b"), step("c")]).with_version(1))).unwrap();
    let reason = || "the boss".into();
    prioritise(&mut world, RUN, Tier::Low).unwrap();
    world
        .say(
            TaskCommand::Prioritise { tasks: vec![TaskId::new(1 << 63 | 2)], tier: Tier::High, reason: reason() }
                .into(),
        )
        .unwrap();
    world.say(RunCommand::Migrate { run: RUN, migration: Migration::to_version(1), reason: reason() }.into()).unwrap();
    world.say(RunCommand::Pause { run: RUN, reason: reason() }.into()).unwrap();
    let set = RunCommand::SetDefault { workflow: "flow".into(), version: Some(1), reason: reason() };
    world.say(set.into()).unwrap();
    world.say(RunCommand::Retire { workflow: "flow".into(), version: 0, reason: reason() }.into()).unwrap();
    let mut names = Names::default();
    let by_host = |entry: &Entry| {
        names.apply(entry);
        Some(AuditLine::of(entry, &names)).filter(|line| line.reason.as_deref() == Some("the boss"))
    };
    let lines: Vec<AuditLine> = world.journal.iter().filter_map(by_host).collect();
    assert!(lines.iter().all(|line| line.actor == Actor::Host));
    let told: Vec<&str> = lines.iter().map(|line| &*line.action).collect();
    assert_eq!(
        told,
        [
            "flow (r1) is now in tier low: the boss",
            "b (t_2) now in tier low: the boss",
            "b (t_2) now in tier high: the boss",
            "flow (r1) migrated to another definition, v1, with 2 nodes: the boss",
            "flow (r1) is paused: the boss",
            "new runs of flow take v1: the boss",
            "workflow flow v0 retired: the boss",
        ]
    );
}
