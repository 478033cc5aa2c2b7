use crate::kit::{agent, agent_id, host, task};
use counterpoint::definition::{Action, Body, Definition, Link, Map, Node, States, Work};
use counterpoint::planning::{
    Agent, NodeEstimate, Outline, OutlineError, Outlook, Plan, PlannedRouting, PlannedTask, Project, ProjectFault,
    RunTensorError, Settings, Task, TaskTensor, improve, plan_project, validate,
};
use counterpoint::routing::FirstCapable;
use counterpoint::scheduler::TaskStatus;
use counterpoint::task::Affinity;
use counterpoint::{
    AgentCommand, AgentId, Command, Config, Effect, Engine, Failure, Name, Outbox, Payload, Random, RunCommand, RunId,
    RunSpec, TaskId, Tier, Time,
};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn plan(project: &Project) -> Plan {
    let settings = Settings::default().with_evaluations(2_000);
    plan_project(&project.check().unwrap(), &settings, &mut |_| ControlFlow::Continue(())).plan
}

#[test]
fn running_tasks_occupy_capacity_until_they_end() {
    for (capacity, busy, makespan) in [(1, vec![4], 4 + 9), (2, vec![4], 7), (2, vec![4, 8], 4 + 6), (3, vec![], 3)] {
        let who = Agent::new(AgentId::new(1)).with_capacity(capacity);
        let who = busy.iter().fold(who, |who, until| who.with_busy(Time::from_secs(*until)));
        let task = |id| Task::new(TaskId::new(id), secs(3));
        let project = (1..=3).map(task).fold(Project::default().with_agent(who), Project::with_task);
        let plan = plan(&project);
        let best = if (capacity, busy.len()) == (2, 2) { 13 } else { makespan };
        assert!(plan.makespan() <= secs(best), "{capacity} {busy:?}: {:?}", plan.makespan());
        assert_eq!(validate(&project, &plan).unwrap().makespan, plan.makespan());
        let mut early = plan.clone();
        for one in &mut early.tasks {
            (one.start, one.finish) = (Time::ZERO, Time::from_secs(3));
        }
        assert_eq!(validate(&project, &early).is_err(), capacity < 3, "a busy agent cannot start all at once");
    }
    let crowded =
        Project::default().with_agent(Agent::new(AgentId::new(1)).with_busy(Time::ZERO).with_busy(Time::ZERO));
    assert_eq!(crowded.check().unwrap_err().faults, [ProjectFault::BusyBeyondCapacity { agent: AgentId::new(1) }]);
}

#[test]
fn an_outlook_contains_the_open_tasks() {
    let mut host = host(Config::default().with_shared("licence", 2));
    host.join(agent(1).with_cost_per_second(7));
    host.join(agent(2).with_label("region", "eu").with_capacity(2));
    host.join(agent(3));
    host.drain(3);
    let timed = |id, span| task(id).with_estimate(secs(span));
    for id in 1..=3 {
        host.submit(timed(id, 10));
    }
    host.submit(timed(4, 5).with_after([TaskId::new(1)]).with_tier(Tier::Critical));
    host.submit(timed(5, 5).with_after([TaskId::new(4)]).with_deadline(Time::from_secs(60)));
    let mut apart = Affinity::default();
    apart.not_agents = [agent_id(1)].into();
    host.submit(task(6).with_affinity(apart).with_needs(counterpoint::Needs::skill("work").and_shared("licence", 1)));
    host.wait(secs(4));
    let outlook = Outlook::of_scheduler(&host.scheduler, host.now, secs(2));
    let project = &outlook.project;
    let tasks: BTreeMap<u64, &Task> = project.tasks.iter().map(|task| (task.id.get(), task)).collect();
    assert_eq!(tasks.keys().copied().collect::<Vec<_>>(), [4, 5, 6]);
    assert_eq!(
        project.agents.iter().map(|agent| (agent.id.get(), agent.busy.len())).collect::<Vec<_>>(),
        [(1, 1), (2, 2)]
    );
    assert!(project.agents.iter().flat_map(|agent| &agent.busy).all(|until| *until == Time::from_secs(6)));
    assert_eq!((project.agents[0].cost_per_second, project.resources[0].capacity), (7, 2));
    assert_eq!((tasks[&4].release, tasks[&4].priority), (Time::from_secs(6), 8));
    assert_eq!((tasks[&5].after[0].task.get(), tasks[&5].deadline), (4, Some(Time::from_secs(56))));
    let counterpoint::planning::Work::ByAgent(able) = &tasks[&6].work else { panic!() };
    assert_eq!(able.iter().map(|(agent, span)| (agent.get(), *span)).collect::<Vec<_>>(), [(2, 2_000_000_000)]);
    assert_eq!(tasks[&6].uses[&Name::from("licence")], 1);
    let found = plan(project);
    assert_eq!(found.makespan(), secs(16), "four begins when one has ended, five after it");
    let whole = outlook.in_host_time(&found);
    assert_eq!(whole.makespan(), secs(20));
    assert_eq!((whole.tasks.len(), outlook.under_way.len()), (3, 3));
    assert!(outlook.under_way.iter().all(|one| one.start == Time::ZERO && one.finish == Time::from_secs(10)));
    // A horizon keeps predecessors and urgent tasks.
    let near: Vec<u64> = outlook.clone().within(1).project.tasks.iter().map(|task| task.id.get()).collect();
    assert_eq!(near, [4]);
    assert!(outlook.clone().within(2).project.check().is_ok());
    assert_eq!(outlook.within(9).project.tasks.len(), 3);
}

#[test]
fn a_state_tensor_is_exact_for_assigned_tasks() {
    let mut host = host(Config::default());
    for id in 1..=5 {
        host.join(agent(id));
    }
    host.drain(5);
    // Three goals of one, three and four tasks in sequence; each step is one tier lower.
    let mut id = 0;
    for goal in [1, 3, 4] {
        for step in 0..goal {
            id += 1;
            let task = task(id).with_tier(Tier::ALL[step]).with_estimate(secs(1));
            host.submit(if step == 0 { task } else { task.with_after([TaskId::new(id - 1)]) });
        }
    }
    let tensor = TaskTensor::of_state(&host.snapshot()).unwrap();
    assert_eq!(tensor.values().dim(), (8, 5, 4));
    for (row, task) in tensor.tasks().iter().enumerate() {
        let level = tensor.level_of(*task).unwrap();
        let probabilities: Vec<f64> = tensor.level(level).row(row).to_vec();
        match host.scheduler.task(*task).unwrap().running() {
            Some((_, by)) => assert_eq!(tensor.pinned(*task), Some(by.agent())),
            None => assert_eq!(probabilities, [0.25, 0.25, 0.25, 0.25, 0.0], "a draining agent takes no work"),
        }
        assert_eq!(probabilities.iter().sum::<f64>(), 1.0);
    }
    let rounds = tensor.rounds(&[1; 5]).unwrap();
    assert_eq!(rounds.iter().map(|round| round.pairs.len()).collect::<Vec<_>>(), [3, 2, 2, 1]);
    for round in rounds {
        for (task, _) in round.pairs {
            host.complete(task.get());
        }
    }
    assert!((1..=8).all(|id| host.status(id) == TaskStatus::Succeeded), "not all succeeded");
}

fn placed(id: u64, agent: u64, start: u64) -> PlannedTask {
    let start = Time::from_secs(start);
    PlannedTask { task: TaskId::new(id), agent: Some(agent_id(agent)), start, finish: start + secs(10) }
}

#[test]
fn tasks_go_to_their_planned_agents_if_these_have_room() {
    let (strategy, tracker) = PlannedRouting::over(FirstCapable::default());
    let mut host = host(Config::default().with_strategy(strategy));
    (1..=3).for_each(|id| {
        host.join(agent(id));
    });
    // Without a plan, the first capable agent would be chosen for each.
    tracker.follow(&Plan::of([placed(1, 3, 0), placed(2, 2, 0), placed(3, 2, 10), placed(4, 9, 10)]));
    (1..=5).for_each(|id| host.submit(task(id)));
    assert_eq!([1, 2, 3].map(|id| host.holder(id)), [3, 2, 1], "the third task does not wait for the second agent");
    let report = tracker.report(host.now);
    assert_eq!((report.as_planned, report.unplanned, report.left), (2, 0, 1));
    assert_eq!(report.elsewhere, [TaskId::new(3)]);
    assert!(report.is_off(secs(1_000)));
    host.complete(1);
    assert_eq!(host.holder(4), 3, "the planned agent has left");
    host.complete(2);
    assert_eq!(host.holder(5), 2, "the task is not planned");
    let report = tracker.report(host.now);
    assert_eq!((report.as_planned, report.unplanned, report.left), (2, 1, 0));
    assert_eq!(report.elsewhere, [TaskId::new(3), TaskId::new(4)]);
}

#[test]
fn a_tracker_reports_deviations() {
    let (strategy, tracker) = PlannedRouting::new();
    let mut host = host(Config::default().with_strategy(strategy));
    host.join(agent(1));
    host.join(agent(2));
    tracker.follow(&Plan::of([placed(1, 1, 0), placed(2, 2, 3), placed(3, 2, 20)]));
    host.submit(task(1));
    host.wait(secs(4));
    assert!(!tracker.report(host.now).is_off(secs(1)), "a delay of a second is within the tolerance");
    host.wait(secs(1));
    assert_eq!(tracker.report(host.now).latest, secs(2));
    assert!(tracker.report(host.now).is_off(secs(1)), "the second task has not started");
    host.submit(task(2));
    host.wait(secs(1));
    assert_eq!(tracker.report(host.now).latest, secs(2), "the delay is fixed once the task has started");
    host.complete(2);
    host.leave(2);
    assert_eq!(tracker.report(host.now).gone, [agent_id(2)]);
    // A new plan without the agent that has left.
    host.submit(task(3));
    let outlook = Outlook::of_scheduler(&host.scheduler, host.now, secs(10));
    tracker.follow(&outlook.in_host_time(&plan(&outlook.project)));
    assert!(!tracker.report(host.now).is_off(secs(1)));
    host.join(agent(2));
    host.complete(1);
    assert_eq!(tracker.report(host.now).unplanned, 0);
}

/// Random plans, feasible or not, with random failures, departures and new plans: everything ends.
#[test]
fn all_tasks_end_whatever_the_plan() {
    for seed in 0..60 {
        let mut random = Random::new(seed, 9);
        let (strategy, tracker) = PlannedRouting::new();
        let mut host = host(Config::default().with_strategy(strategy));
        (1..=4).for_each(|id| {
            host.join(agent(id));
        });
        let nonsense = |random: &mut Random, from: Time| {
            Plan::of((1..=20).filter(|id| id % 5 > 0).map(|id| {
                let start = from + secs(random.below(100) as u64);
                PlannedTask {
                    task: TaskId::new(id),
                    agent: Some(agent_id(1 + random.below(5) as u64)),
                    start,
                    finish: start,
                }
            }))
        };
        tracker.follow(&nonsense(&mut random, Time::ZERO));
        (1..=20).for_each(|id| host.submit(task(id)));
        for _ in 0..600 {
            host.wait(secs(random.below(4) as u64));
            let running: Vec<u64> =
                (1..=20).filter(|id| host.scheduler.task(TaskId::new(*id)).unwrap().running().is_some()).collect();
            let Some(id) = running.get(random.below(running.len())) else { break };
            match random.below(12) {
                0 => host.fail(*id, Failure::transient("again")),
                1 if host.scheduler.agents().count() > 1 => {
                    let agents: Vec<u64> = host.scheduler.agents().map(|agent| agent.spec().id.get()).collect();
                    host.leave(agents[random.below(agents.len())]);
                }
                2 => {
                    let outlook = Outlook::of_scheduler(&host.scheduler, host.now, secs(3));
                    if let Ok(problem) = outlook.project.check() {
                        let settings = Settings::default().with_evaluations(200);
                        let found = improve(&problem, &Plan::default(), &settings, &mut |_| ControlFlow::Continue(()));
                        validate(&outlook.project, &found.plan).unwrap();
                        tracker.follow(&outlook.in_host_time(&found.plan));
                    }
                }
                3 => tracker.follow(&nonsense(&mut random, host.now)),
                _ => host.complete(*id),
            }
        }
        let open: Vec<u64> = (1..=20).filter(|id| !host.status(*id).is_terminal()).collect();
        let backing_off = open.iter().all(|id| host.status(*id) == TaskStatus::Backoff);
        assert!(open.is_empty() || backing_off, "seed {seed}: {open:?} wait for ever");
    }
}

fn flow() -> Definition {
    let inner = Definition::new("inner")
        .with_node(Node::new("first", Action::task("work")))
        .with_node(Node::new("second", Action::task("work")).with_link(Link::success("first")));
    Definition::new("outer")
        .with_node(
            Node::new("last", Action::task("work")).with_link(Link::success("each")).with_link(Link::success("in")),
        )
        .with_node(Node::new("begin", Action::task("work")))
        .with_node(
            Node::new(
                "each",
                Action::Map(Map::over(counterpoint::definition::Expr::Input, Body::Task(Work::new("work")))),
            )
            .with_link(Link::success("begin")),
        )
        .with_node(Node::new("in", Action::Do(Body::Flow(inner.into()))).with_link(Link::success("begin")))
}

#[test]
fn an_outline_contains_all_nodes_of_a_definition() {
    let agents = [agent(1), agent(2), agent(3)];
    let expected = |path: &Name, _: &Node| match path.as_str() {
        "each" => NodeEstimate { duration: secs(4), count: 2 },
        "in/second" => NodeEstimate::once(secs(7)),
        _ => NodeEstimate::once(secs(1)),
    };
    let outline = Outline::of(&flow(), &agents, &expected).unwrap();
    let paths: Vec<(&str, u32, u32, bool)> =
        outline.origins.iter().map(|piece| (piece.path.as_str(), piece.node.get(), piece.item, piece.is_own)).collect();
    assert_eq!(
        paths,
        [
            ("begin", 1, 0, true),
            ("each", 2, 0, true),
            ("each", 2, 1, true),
            ("in", 3, 0, false),
            ("in/first", 3, 0, false),
            ("in/second", 3, 0, false),
            ("last", 0, 0, true),
        ]
    );
    let found = plan(&outline.project);
    assert_eq!(found.makespan(), secs(1 + 1 + 7 + 1));
    assert!(validate(&outline.project, &found).is_ok());
    let states = Node::new("talk", Action::States(States::from("start", 3)));
    let fault = Outline::of(&Definition::new("d").with_node(states), &agents, &expected).unwrap_err();
    assert_eq!(fault, OutlineError::Unplannable { node: "talk".into() });
    let lost = Definition::new("d").with_node(Node::new("a", Action::Pass).with_link(Link::success("b")));
    let fault = Outline::of(&lost, &agents, &expected).unwrap_err();
    assert_eq!(fault, OutlineError::UnknownNode { node: "a".into(), named: "b".into() });
    let endless = |_: &Name, _: &Node| NodeEstimate { duration: secs(1), count: u32::MAX };
    assert_eq!(Outline::of(&flow(), &agents, &endless).unwrap_err(), OutlineError::TooLarge);
}

#[test]
fn exclusive_nodes_and_bounded_maps_become_resources() {
    let work = || Body::Task(Work::new("work"));
    let mut map = Map::over(counterpoint::definition::Expr::Input, work());
    map.max_concurrent = Some(2);
    let flow = Definition::new("d")
        .with_node(Node::new("one", Action::Do(work())).with_mutex("desk"))
        .with_node(Node::new("two", Action::Do(work())).with_mutex("desk"))
        .with_node(Node::new("many", Action::Map(map)));
    let agents: Vec<_> = (1..=9).map(agent).collect();
    let expected =
        |path: &Name, _: &Node| NodeEstimate { duration: secs(3), count: if path.as_str() == "many" { 6 } else { 1 } };
    let outline = Outline::of(&flow, &agents, &expected).unwrap();
    assert_eq!(plan(&outline.project).makespan(), secs(9), "six items, two at once; one after the other at the desk");
}

#[test]
fn a_run_follows_the_plan_of_its_definition() {
    let agents = [agent(1), agent(2), agent(3).with_capacity(5)];
    let expected =
        |path: &Name, _: &Node| NodeEstimate { duration: secs(1), count: if path.as_str() == "each" { 2 } else { 1 } };
    let outline = Outline::of(&flow(), &agents, &expected).unwrap();
    let run = RunId::new(7);
    // A plan that the wrapped strategy would not choose: all own tasks of the run with the third agent.
    let mut plan = plan(&outline.project);
    for (one, piece) in plan.tasks.iter_mut().zip(&outline.origins) {
        one.agent = piece.is_own.then_some(agent_id(3));
    }
    let (strategy, tracker) = PlannedRouting::over(FirstCapable::default());
    tracker.follow_run(run, Time::ZERO, &outline, &plan);
    let mut engine = Engine::new(Config::default().with_strategy(strategy));
    let mut out = Outbox::default();
    for spec in agents {
        engine.handle(Time::ZERO, Command::register(spec), &mut out).unwrap();
    }
    engine.handle(Time::ZERO, Command::define(flow()), &mut out).unwrap();
    let input = Payload::of(&[1, 2]).unwrap();
    engine.handle(Time::ZERO, Command::start(RunSpec::new(run, "outer").with_input(input)), &mut out).unwrap();
    let mut own = 0;
    for _ in 0..40 {
        let Some(Effect::Dispatch { attempt, to, task: spec, .. }) = engine.outstanding().into_iter().next() else {
            break;
        };
        if spec.owner.is_some_and(|owner| owner.run == run) {
            own += 1;
            assert_eq!(to.agent(), agent_id(3), "{spec:?}");
        }
        engine.handle(Time::ZERO, Command::complete(to, attempt, Payload::NULL), &mut out).unwrap();
        out.clear();
    }
    assert_eq!(own, 4, "begin, two items, last");
    assert_eq!(tracker.report(Time::ZERO).as_planned, 4);
    assert!(engine.run(run).unwrap().outcome().is_some());
}

/// For each task of a run, in the order of its nodes: the pinned agent, the sum of probabilities, and the agents in the mask.
fn known(engine: &Engine, run: RunId) -> Vec<(Option<u64>, f64, usize)> {
    let times =
        |path: &Name, _: &Node| NodeEstimate { duration: secs(1), count: if path.as_str() == "each" { 2 } else { 1 } };
    let tensor = TaskTensor::of_run(engine, run, &times).unwrap();
    let row = |(place, task): (usize, &TaskId)| {
        let lane = tensor.level(tensor.level_of(*task).unwrap()).row(place).to_vec();
        let could = lane.iter().filter(|value| **value > 0.0).count();
        (tensor.pinned(*task).map(AgentId::get), lane.iter().sum(), could)
    };
    tensor.tasks().iter().enumerate().map(row).collect()
}

#[test]
fn a_run_tensor_is_complete_and_exact_for_assigned_tasks() {
    let run = RunId::new(7);
    let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
    let mut say = |engine: &mut Engine, command: Command| engine.handle(Time::ZERO, command, &mut out).unwrap();
    for id in 1..=3 {
        say(&mut engine, Command::register(agent(id)));
    }
    say(&mut engine, Command::define(flow()));
    say(&mut engine, Command::start(RunSpec::new(run, "outer").with_input(Payload::of(&[1, 2]).unwrap())));
    let none = |path: &Name, _: &Node| NodeEstimate { duration: secs(1), count: u32::from(path.as_str() != "each") };
    assert_eq!(TaskTensor::of_run(&engine, run, &none).unwrap().values().dim(), (4, 3, 5), "the map has no items");
    let unknown = TaskTensor::of_run(&engine, RunId::new(8), &none);
    assert_eq!(unknown, Err(RunTensorError::UnknownRun { run: RunId::new(8) }));

    // Tasks: begin, two items, two of the nested definition, last.
    let begun = known(&engine, run);
    assert_eq!((begun.len(), begun[0].0), (6, Some(1)));
    assert!(begun[1..].iter().all(|one| *one == (None, 1.0, 3)), "{begun:?}");
    let next = |engine: &Engine| match engine.outstanding().into_iter().next() {
        Some(Effect::Dispatch { attempt, to, .. }) => (attempt, to),
        other => panic!("{other:?}"),
    };
    let (attempt, to) = next(&engine);
    say(&mut engine, Command::complete(to, attempt, Payload::NULL));
    // An ended task stays with its agent, a running one with the agent that holds it.
    let later = known(&engine, run);
    assert_eq!(later[0], (Some(1), 1.0, 1));
    assert_eq!(later.iter().filter(|one| one.0.is_some()).count(), 3, "{later:?}");
    // A draining agent takes nothing more; tasks that an agent that leaves has ended are masked, those it held are open again.
    say(&mut engine, Command::from(AgentCommand::Drain { agent: agent_id(3) }));
    say(&mut engine, Command::from(AgentCommand::Deregister { agent: agent_id(1) }));
    let left = known(&engine, run);
    assert_eq!(left[0], (None, 0.0, 0), "{left:?}");
    assert!(
        left[1..].iter().all(|one| one.1 == 1.0 && one.2 == 1),
        "the second is the only one that takes work: {left:?}"
    );
    say(&mut engine, Command::from(RunCommand::Cancel { run, reason: "enough".into() }));
    while let Some(Effect::Cancel { attempt, from }) =
        engine.outstanding().into_iter().find(|effect| matches!(effect, Effect::Cancel { .. }))
    {
        say(&mut engine, Command::fail(from, attempt, Failure::permanent("stopped")));
    }
    let withdrawn = known(&engine, run);
    assert!(
        withdrawn.iter().all(|one| one.2 == 0),
        "nobody does what is withdrawn: {withdrawn:?} {:?}",
        engine.outstanding()
    );
}
