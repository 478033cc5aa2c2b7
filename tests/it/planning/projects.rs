use counterpoint::planning::{
    Agent, Goal, InvalidProject, Measure, Plan, ProfileOf, Project, ProjectFault, Resource, Rule, Scheme, Settings,
    Task, Timeline, Violation, Work, best_of, generate, improve, pareto_front, plan_project, validate,
};
use counterpoint::{AgentId, Random, TaskId, Time};
use std::ops::ControlFlow;
use std::time::Duration;

/// A random project with all features, or, if `plain`, one in which appending tasks to agents is enough.
pub(super) fn project(seed: u64, size: u64, plain: bool) -> Project {
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
fn plans_satisfy_all_constraints_and_bounds_hold() {
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
            assert_eq!(found, plan_project(&problem, &settings, &mut go_on), "not a function of the seed");
            for bar in Timeline::of(&project, &found.plan).bars {
                assert!(bar.earliest <= bar.start && bar.start <= bar.latest);
            }
        }
    }
}

/// The least makespan over all orders and assignments of a plain project.
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
        // An absence that ends before it matters selects the other search.
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
    assert_eq!(bad.faults, [ProjectFault::OverBudget { least: 4, budget: 3 }]);
}

#[test]
fn all_faults_are_reported_at_once() {
    let task = |id| Task::new(TaskId::new(id), Duration::MAX);
    let project = Project::default()
        .with_agent(Agent::new(AgentId::new(1)).with_capacity(0).with_away(Time::from_secs(2), Time::from_secs(1)))
        .with_resource(Resource::new("hall", 1))
        .with_task(task(1).after(TaskId::new(2)))
        .with_task(task(2).after(TaskId::new(1)).with_use("hall", 2).with_use("yard", 1))
        .with_task(task(3).with_need("fly", 1).with_preferred(AgentId::new(9)).after(TaskId::new(2)))
        .with_task(task(3));
    let InvalidProject { faults, .. } = project.check().unwrap_err();
    assert_eq!(faults.len(), 8, "{faults:?}");
    assert!(faults.contains(&ProjectFault::Cycle { tasks: vec![TaskId::new(1), TaskId::new(2)] }));
    let long = (0..9).fold(Project::default(), |long, id| long.with_task(task(id).unattended()));
    assert_eq!(long.check().unwrap_err().faults, [ProjectFault::TooLong]);
}

#[test]
fn the_validator_finds_planted_violations() {
    let project = project(4, 12, true);
    let plan = generate(&project.check().unwrap(), Scheme::Serial, Rule::LatestFinish);
    let violations = |change: &dyn Fn(&mut Plan)| {
        let mut wrong = plan.clone();
        change(&mut wrong);
        validate(&project, &wrong).unwrap_err()
    };
    let lost = violations(&|plan| plan.tasks.truncate(11));
    assert!(lost.contains(&Violation::Missing { task: TaskId::new(11) }));
    let nobody = violations(&|plan| plan.tasks[0].agent = None);
    assert!(nobody.contains(&Violation::WrongAgent { task: TaskId::new(0) }));
    let crowd = violations(&|plan| {
        for one in &mut plan.tasks {
            (one.start, one.finish) = (Time::ZERO, Time::ZERO + (one.finish - one.start));
        }
    });
    assert!(crowd.iter().any(|breach| matches!(breach, Violation::Overloaded { .. })));
}

#[test]
fn an_empty_project_is_done() {
    let found = plan_project(&Project::default().check().unwrap(), &Settings::default(), &mut go_on);
    assert!(found.plan.tasks.is_empty() && found.is_proven());
    let svg = Timeline::of(&Project::default(), &found.plan).svg();
    assert_eq!(charts::faults(&svg, 0), [""; 0]);
    assert!(svg.contains("The plan has no tasks."));
}

#[test]
fn a_chart_of_a_plan_has_an_axis_a_legend_and_texts_apart() {
    for seed in 0..40 {
        let project = project(seed, 1 + seed % 25, seed % 2 == 0);
        let plan = generate(&project.check().unwrap(), Scheme::Serial, Rule::LatestStart);
        let svg = Timeline::of(&project, &plan).svg();
        assert_eq!(charts::faults(&svg, 1), [""; 0], "seed {seed}");
        assert_eq!(svg.matches("<g class=\"legend\">").count(), 2);
    }
}

#[test]
fn improving_a_plan_never_makes_it_worse() {
    let goals = [Goal::default(), Goal::lexicographic([Measure::Tardiness, Measure::Cost])];
    for seed in 0..60 {
        let project = project(seed, 2 + seed % 12, seed % 3 == 0);
        let problem = project.check().unwrap();
        for goal in &goals {
            let none = Settings::default().with_seed(seed).with_evaluations(1).with_goal(goal.clone());
            let good = plan_project(&problem, &none.clone().with_evaluations(2_000), &mut go_on);
            let worth = |found: &counterpoint::planning::Solution| {
                let facts = validate(&project, &found.plan).unwrap();
                if *goal == Goal::default() { (facts.makespan.as_nanos(), 0) } else { (facts.tardiness, facts.cost) }
            };
            let kept = improve(&problem, &good.plan, &none, &mut go_on);
            assert!(worth(&kept) <= worth(&good), "seed {seed}");
        }
        // A plan of another project, with unknown tasks and without some of this one.
        let mut other = generate(&problem, Scheme::Serial, Rule::MostSuccessors);
        other.tasks.truncate(1);
        other.tasks[0].task = TaskId::new(99);
        let found = improve(&problem, &other, &Settings::default().with_evaluations(100), &mut go_on);
        validate(&project, &found.plan).unwrap();
    }
}

/// The least makespan for each cost, over all orders and assignments.
fn all_pairs(project: &Project, ends: &mut Vec<Option<u64>>, free: [u64; 3], cost: u64, found: &mut Vec<(u64, u64)>) {
    let Some(at) = ends.iter().position(Option::is_none) else {
        found.push((ends.iter().flatten().copied().max().unwrap_or(0), cost));
        return;
    };
    let _ = at;
    for (at, task) in project.tasks.iter().enumerate() {
        let ready = task.after.iter().map(|link| Some(ends[link.task.get() as usize]? + link.lag.as_secs()));
        let (None, Some(ready)) = (ends[at], ready.collect::<Option<Vec<u64>>>()) else { continue };
        let Work::Fixed(span) = task.work else { unreachable!() };
        for agent in usize::from(task.needs["a"] - 1)..3 {
            let start = ready.iter().copied().fold(free[agent], u64::max);
            let mut later = free;
            later[agent] = start + span.as_secs();
            ends[at] = Some(later[agent]);
            let spent = span.as_secs() * project.agents[agent].cost_per_second;
            all_pairs(project, ends, later, cost + spent, found);
            ends[at] = None;
        }
    }
}

#[test]
fn fronts_against_brute_force() {
    for seed in 0..15 {
        let project = project(seed, 1 + seed % 5, true);
        let mut all = Vec::new();
        all_pairs(&project, &mut vec![None; project.tasks.len()], [0; 3], 0, &mut all);
        all.sort_unstable();
        let mut best: Vec<(u64, u64)> = Vec::new();
        for (makespan, cost) in all {
            if best.last().is_none_or(|last| cost < last.1) {
                best.push((makespan, cost));
            }
        }
        let settings = Settings::default().with_seed(seed).with_evaluations(30_000);
        let front = pareto_front(&project.check().unwrap(), 80, &settings, &mut go_on);
        let told: Vec<(u64, u64)> = front.plans.iter().map(|plan| (plan.makespan.as_secs(), plan.cost)).collect();
        assert_eq!(told, best, "seed {seed}");
        for plan in &front.plans {
            let facts = validate(&project, &plan.plan).unwrap();
            assert_eq!((facts.makespan, facts.cost), (plan.makespan, plan.cost));
        }
    }
}

#[test]
fn a_front_is_feasible_and_ends_when_the_observer_breaks() {
    for seed in 0..20 {
        let project = project(seed, 10, false);
        let problem = project.check().unwrap();
        let settings = Settings::default().with_seed(seed).with_evaluations(8_000).with_report_every(16);
        let front = pareto_front(&problem, 6, &settings, &mut go_on);
        assert!(front.plans.is_sorted_by(|one, two| one.makespan < two.makespan && one.cost > two.cost));
        front.plans.iter().for_each(|plan| assert!(validate(&project, &plan.plan).is_ok(), "seed {seed}"));
        assert_eq!(front, pareto_front(&problem, 6, &settings, &mut go_on), "not a function of the seed");
        let mut calls = 0;
        let early = pareto_front(&problem, 6, &settings, &mut |progress| {
            calls += 1;
            assert!(progress.evaluations <= progress.limit + 600, "{} of {}", progress.evaluations, progress.limit);
            if calls < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        assert!(calls == 3 && !early.plans.is_empty(), "the observer is called again after its break");
    }
}

#[test]
fn phases_do_not_overlap_and_report_their_waiting_time() {
    for seed in 0..40 {
        let project = project(seed, 9, seed % 2 == 0);
        let mut project = project;
        project.tasks.iter_mut().for_each(|task| task.after.clear());
        let ids: Vec<TaskId> = project.tasks.iter().map(|task| task.id).collect();
        let phases = [ids[..4].to_vec(), vec![], ids[4..7].to_vec(), ids[7..].to_vec()];
        let project = project.in_phases(&phases);
        let found = plan_project(&project.check().unwrap(), &Settings::default().with_evaluations(500), &mut go_on);
        validate(&project, &found.plan).unwrap();
        let told = Timeline::of(&project, &found.plan).phases(&phases);
        let at = |task: &TaskId| *found.plan.tasks.iter().find(|one| one.task == *task).unwrap();
        for (one, two) in [(0, 2), (2, 3)] {
            let ends = phases[one].iter().map(|task| at(task).finish).max().unwrap();
            assert!(phases[two].iter().all(|task| at(task).start >= ends), "seed {seed}");
            assert_eq!(told[one].finish, ends);
            let waits: Duration = phases[one].iter().map(|task| ends - at(task).finish).sum();
            assert_eq!(told[one].waits, waits);
        }
    }
}

#[test]
fn profiles_contain_the_usage_at_every_time() {
    for seed in 0..60 {
        let project = project(seed, 10, false);
        let plan = generate(&project.check().unwrap(), Scheme::Serial, Rule::LatestFinish);
        for profile in Timeline::profiles(&project, &plan) {
            assert!(profile.steps.iter().all(|(_, used)| *used <= profile.capacity), "seed {seed}");
            assert!(
                profile.steps.is_sorted_by_key(|step| step.0) && profile.steps.last().is_none_or(|last| last.1 == 0)
            );
            for second in 0..80 {
                let at = Time::from_millis(500 + 1_000 * second);
                let told = profile.steps.iter().rev().find(|step| step.0 <= at).map_or(0, |step| step.1);
                let here = plan.tasks.iter().filter(|one| one.start <= at && at < one.finish);
                let used: u64 = match &profile.of {
                    ProfileOf::Agent(agent) => here.filter(|one| one.agent == Some(*agent)).count() as u64,
                    ProfileOf::Resource(name) => here
                        .map(|one| project.tasks.iter().find(|task| task.id == one.task).unwrap())
                        .map(|task| task.uses.get(name).copied().unwrap_or(0))
                        .sum(),
                };
                assert_eq!(told, used, "seed {seed}");
            }
        }
    }
}

#[test]
fn the_best_of_several_seeds_does_not_depend_on_their_order() {
    for seed in 0..20 {
        let mut project = project(seed, 12, false);
        (1..).zip(&mut project.tasks).for_each(|(number, task)| task.priority = 1 + number % 5 * 7);
        let problem = project.check().unwrap();
        let weighted = Measure::Weighted { makespan: 1, cost: 3, tardiness: 2 };
        for measures in [vec![Measure::Makespan], vec![Measure::Tardiness, Measure::Cost], vec![weighted]] {
            let goal = Goal::lexicographic(measures.clone());
            let settings = Settings::default().with_seed(seed).with_evaluations(60).with_goal(goal.clone());
            let mut found: Vec<_> = settings.each_seed(4).map(|one| plan_project(&problem, &one, &mut go_on)).collect();
            let seeds: Vec<u64> = settings.each_seed(4).map(|one| one.seed).collect();
            assert_eq!(seeds, [seed, seed + 1, seed + 2, seed + 3]);
            let best = best_of(&problem, &goal, found.clone()).unwrap();
            assert_eq!(best.evaluations, found.iter().map(|one| one.evaluations).sum::<u64>());
            found.reverse();
            found.swap(0, 2);
            assert_eq!(best_of(&problem, &goal, found.clone()).unwrap(), best, "seed {seed}");
            // Compared by the objective values that the validator computes.
            let key = |plan: &Plan| {
                let facts = validate(&project, plan).unwrap();
                let (makespan, cost) = (facts.makespan.as_nanos(), u128::from(facts.cost));
                match measures.first() {
                    Some(Measure::Makespan) => vec![makespan],
                    Some(Measure::Tardiness) => vec![facts.tardiness, cost],
                    _ => vec![makespan + 3 * cost + 2 * facts.tardiness],
                }
            };
            assert!(found.iter().all(|one| key(&best.plan) <= key(&one.plan)), "seed {seed}");
            // A plan that lacks a task is not complete.
            let mut part = best.clone();
            part.plan.tasks.truncate(1);
            (part.makespan, part.cost) = (Duration::ZERO, 0);
            assert_eq!(best_of(&problem, &goal, [part, best.clone()]).unwrap().plan, best.plan);
        }
        assert_eq!(best_of(&problem, &Goal::default(), []), None);
    }
}
