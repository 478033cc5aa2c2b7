use counterpoint::planning::{
    Agent, BadProblem, Breach, Fault, Goal, Measure, Project, Resource, Rule, Scheme, Settings, Task, Timeline, Work,
    generate, plan_project, validate,
};
use counterpoint::{AgentId, Random, TaskId, Time};
use std::ops::ControlFlow;
use std::time::Duration;

/// A project with a bit of everything, or, if `plain`, one that only appends tasks to agents.
fn project(seed: u64, size: u64, plain: bool) -> Project {
    let mut random = Random::new(seed, 1);
    let mut project = Project::default().with_resource(Resource::new("room", 3));
    for number in 0..3 {
        let agent =
            Agent::new(AgentId::new(number)).with_skill("a", 1 + number as u16).with_cost_per_second(1_000 * number);
        let (away, busy) = (Time::from_secs(3 + number), Time::from_secs(6 + 2 * number));
        project = project.with_agent(if plain {
            agent
        } else {
            agent.with_capacity(1 + number as u32 % 2).with_away(away, busy)
        });
    }
    for number in 0..size {
        let span = random.below(7) as u64;
        let levels = [(1, 2 * span * 1_000_000_000), (3, span * 1_000_000_000)].into();
        let work = Work::ByLevel { skill: "a".into(), levels };
        let mut task = if plain || random.below(2) == 0 {
            Task::new(TaskId::new(number), Duration::from_secs(span)).with_need("a", 1 + random.below(3) as u16)
        } else if random.below(2) == 0 {
            Task::of(TaskId::new(number), work).with_use("room", 1 + random.below(2) as u64)
        } else {
            Task::new(TaskId::new(number), Duration::from_secs(span))
                .unattended()
                .with_use("room", 1 + random.below(3) as u64)
        };
        if number > 0 && random.below(2) == 0 {
            let lag = Duration::from_secs(random.below(3) as u64);
            task = task.after_lag(TaskId::new(random.below(number as usize) as u64), lag);
        }
        if !plain {
            task = task.with_release(Time::from_secs(random.below(5) as u64)).with_deadline(Time::from_secs(10));
        }
        project = project.with_task(task);
    }
    project
}

fn go_on(_: &counterpoint::planning::Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn plans_keep_every_rule_and_bounds_hold() {
    let goals = [
        Goal::default(),
        Goal::lexicographic([Measure::Tardiness, Measure::Cost]),
        Goal::lexicographic([Measure::Weighted { makespan: 1, cost: 5, tardiness: 2 }]),
    ];
    for seed in 0..120 {
        let project = project(seed, 1 + seed % 14, seed % 3 == 0);
        let problem = project.check().unwrap();
        for (scheme, rule) in [(Scheme::Serial, Rule::LatestFinish), (Scheme::Parallel, Rule::ShortestFirst)] {
            validate(&project, &generate(&problem, scheme, rule)).unwrap();
        }
        for goal in &goals {
            let settings = Settings::default().with_seed(seed).with_evaluations(600).with_goal(goal.clone());
            let found = plan_project(&problem, &settings, &mut go_on);
            let facts = validate(&project, &found.plan).unwrap();
            assert_eq!((facts.makespan, facts.cost), (found.makespan, found.cost));
            assert!(found.bound <= found.makespan);
            assert_eq!(found, plan_project(&problem, &settings, &mut go_on), "a seed is a plan");
            for bar in Timeline::of(&project, &found.plan).bars {
                assert!(bar.earliest <= bar.start && bar.start <= bar.latest);
            }
        }
    }
}

/// The least makespan over all orders and assignments of a project that only appends.
fn brute(project: &Project, ends: &mut Vec<Option<u64>>, free: [u64; 3]) -> u64 {
    if let Some(makespan) = ends.iter().copied().collect::<Option<Vec<u64>>>() {
        return makespan.into_iter().max().unwrap_or(0);
    }
    let mut best = u64::MAX;
    for (at, task) in project.tasks.iter().enumerate() {
        let ready = task.after.iter().map(|link| Some(ends[link.task.get() as usize]? + link.lag.as_secs()));
        let (None, Some(ready)) = (ends[at], ready.collect::<Option<Vec<u64>>>()) else { continue };
        let Work::Fixed(span) = task.work else { unreachable!() };
        for agent in usize::from(task.needs["a"] - 1)..3 {
            let start = ready.iter().copied().fold(free[agent], u64::max);
            let mut later = free;
            later[agent] = start + span.as_secs();
            ends[at] = Some(later[agent]);
            best = best.min(brute(project, ends, later));
            ends[at] = None;
        }
    }
    best
}

#[test]
fn small_projects_against_brute_force() {
    for seed in 0..60 {
        let project = project(seed, 1 + seed % 5, true);
        let best = brute(&project, &mut vec![None; project.tasks.len()], [0; 3]);
        let settings = Settings::default().with_seed(seed).with_evaluations(20_000);
        let found = plan_project(&project.check().unwrap(), &settings, &mut go_on);
        assert_eq!(found.makespan.as_secs(), best, "seed {seed}");
        // The other way to search: an absence that is over before it begins to matter.
        let mut other = project.clone();
        other.agents[0] = other.agents[0].clone().with_away(Time::from_secs(10_000), Time::from_secs(10_001));
        let found = plan_project(&other.check().unwrap(), &settings.with_evaluations(5_000), &mut go_on);
        assert_eq!(found.makespan.as_secs(), best, "seed {seed}");
    }
}

#[test]
fn a_budget_is_kept() {
    let dear = Agent::new(AgentId::new(1)).with_cost_per_second(10);
    let cheap = Agent::new(AgentId::new(2)).with_cost_per_second(1);
    let base = Project::default().with_agent(dear).with_agent(cheap);
    let base = (0..4).fold(base, |base, id| base.with_task(Task::new(TaskId::new(id), Duration::from_secs(1))));
    for (budget, makespan) in [(4, 4), (12, 4), (13, 3), (22, 2), (1_000, 2)] {
        let project = base.clone().with_budget(budget);
        let settings = Settings::default().with_evaluations(20_000);
        let found = plan_project(&project.check().unwrap(), &settings, &mut go_on);
        assert_eq!(validate(&project, &found.plan).unwrap().makespan.as_secs(), makespan, "budget {budget}");
    }
    let bad = base.with_budget(3).check().unwrap_err();
    assert_eq!(bad.faults, [Fault::OverBudget { least: 4, budget: 3 }]);
}

#[test]
fn everything_wrong_is_told_at_once() {
    let task = |id| Task::new(TaskId::new(id), Duration::MAX);
    let project = Project::default()
        .with_agent(Agent::new(AgentId::new(1)).with_capacity(0).with_away(Time::from_secs(2), Time::from_secs(1)))
        .with_resource(Resource::new("hall", 1))
        .with_task(task(1).after(TaskId::new(2)))
        .with_task(task(2).after(TaskId::new(1)).with_use("hall", 2).with_use("yard", 1))
        .with_task(task(3).with_need("fly", 1).with_preferred(AgentId::new(9)).after(TaskId::new(2)))
        .with_task(task(3));
    let BadProblem { faults, .. } = project.check().unwrap_err();
    assert_eq!(faults.len(), 8, "{faults:?}");
    assert!(faults.contains(&Fault::Cycle { tasks: vec![TaskId::new(1), TaskId::new(2)] }));
    let long = (0..9).fold(Project::default(), |long, id| long.with_task(task(id).unattended()));
    assert_eq!(long.check().unwrap_err().faults, [Fault::TooLong]);
}

#[test]
fn the_validator_finds_what_is_planted() {
    let project = project(4, 12, true);
    let plan = generate(&project.check().unwrap(), Scheme::Serial, Rule::LatestFinish);
    let breaches = |change: &dyn Fn(&mut counterpoint::planning::Plan)| {
        let mut wrong = plan.clone();
        change(&mut wrong);
        validate(&project, &wrong).unwrap_err()
    };
    let lost = breaches(&|plan| plan.tasks.truncate(11));
    assert!(lost.contains(&Breach::Missing { task: TaskId::new(11) }));
    let nobody = breaches(&|plan| plan.tasks[0].agent = None);
    assert!(nobody.contains(&Breach::WrongAgent { task: TaskId::new(0) }));
    let crowd = breaches(&|plan| {
        for one in &mut plan.tasks {
            (one.start, one.finish) = (Time::ZERO, Time::ZERO + (one.finish - one.start));
        }
    });
    assert!(crowd.iter().any(|breach| matches!(breach, Breach::Overloaded { .. })));
}

#[test]
fn an_empty_project_is_done() {
    let found = plan_project(&Project::default().check().unwrap(), &Settings::default(), &mut go_on);
    assert!(found.plan.tasks.is_empty() && found.is_proven());
    assert!(Timeline::of(&Project::default(), &found.plan).svg().ends_with("</svg>\n"));
}
