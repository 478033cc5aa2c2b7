//! Repair of plans, and the planner that keeps a plan up to date.

use super::projects::project;
use crate::kit::{Host, agent, host, task, task_id};
use counterpoint::planning::{
    Agent, Outlook, Plan, PlannedRouting, Project, Repair, RollingPlanner, Rule, Scheme, Settings, Task, Work,
    generate, plan_project, repair, validate,
};
use counterpoint::{AgentId, Config, Failure, Random, TaskId, Time};
use std::ops::ControlFlow;
use std::time::Duration;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn generated(project: &Project) -> Plan {
    generate(&project.check().unwrap(), Scheme::Serial, Rule::LatestFinish)
}

fn repaired(project: &Project, plan: &Plan, stability: Duration) -> Repair {
    let found = repair(&project.check().unwrap(), plan, stability);
    let facts = validate(project, &found.plan);
    assert!(facts.is_ok(), "{facts:?}");
    found
}

#[test]
fn repaired_plans_satisfy_all_constraints() {
    for seed in 0..200 {
        let mut random = Random::new(seed, 5);
        let before = project(seed, 1 + seed % 14, seed % 3 == 0);
        let mut plan = generated(&before);
        // Some tasks are no longer there, others are new; durations, releases and absences differ.
        let mut after = project(seed + random.below(3) as u64, 1 + random.below(16) as u64, seed % 3 == 0);
        if random.below(3) == 0 {
            plan = Plan::of(plan.tasks.into_iter().filter(|one| one.task.get() % 3 > 0));
        }
        if random.below(2) == 0 {
            // The least cost that any plan has, and a little more.
            after.budget = None;
            let modes = after.tasks.len() as u64;
            let cheapest = generated(&after);
            let cost = validate(&after, &cheapest).unwrap().cost;
            after.budget = Some(cost);
            if after.check().is_err() {
                after.budget = Some(cost + 1_000 * 7 * modes);
            }
        }
        for stability in [0, 2, 1_000] {
            let found = repaired(&after, &plan, secs(stability));
            assert!(found.tries <= (after.tasks.len() * after.agents.len().max(1)) as u64);
            assert_eq!(found, repaired(&after, &plan, secs(stability)), "not a function of its input");
        }
    }
}

#[test]
fn a_plan_that_still_holds_is_not_changed() {
    for seed in 0..60 {
        let project = project(seed, 1 + seed % 14, false);
        let plan = generated(&project);
        let found = repaired(&project, &plan, Duration::ZERO);
        assert_eq!((found.moved, found.delayed), (0, 0), "seed {seed}");
        assert!(found.plan.makespan() <= plan.makespan());
    }
}

#[test]
fn stability_is_the_price_of_a_change() {
    let agents = (1..=3).map(|id| Agent::new(AgentId::new(id)));
    let mut project = agents.fold(Project::default(), Project::with_agent);
    project.tasks = (1..=9).map(|id| Task::new(TaskId::new(id), secs(10))).collect();
    let plan = generated(&project);
    // The first agent is busy for twelve seconds more.
    project.agents[0] = Agent::new(AgentId::new(1)).with_busy(Time::from_secs(12));
    let kept = repaired(&project, &plan, secs(1_000));
    assert_eq!((kept.moved, kept.delayed, kept.plan.makespan()), (0, 3, secs(42)));
    let free = repaired(&project, &plan, Duration::ZERO);
    assert!(free.moved > 0);
    assert!(free.plan.makespan() <= secs(42));
    // An agent that has left: its tasks move, whatever the price, and no others.
    project.agents.remove(0);
    let moved = repaired(&project, &plan, secs(1_000));
    assert_eq!(moved.moved, 3);
}

/// The bound on the work: a task that is in time is tried with one agent, and a late one with each at most once.
#[test]
fn a_repair_of_a_thousand_tasks_and_a_hundred_agents_is_a_hundred_thousand_tries_at_most() {
    let mut random = Random::new(4, 4);
    let mut project = (0..100).map(|id| Agent::new(AgentId::new(id))).fold(Project::default(), Project::with_agent);
    for id in 0..1_000 {
        let spans = (0..100).map(|agent| (AgentId::new(agent), 1_000_000_000 * (5 + random.below(20) as u64)));
        let mut task = Task::of(TaskId::new(id), Work::ByAgent(spans.collect()));
        if id > 0 && random.below(3) > 0 {
            task = task.after(TaskId::new(random.below(id as usize) as u64));
        }
        project = project.with_task(task);
    }
    let plan = generated(&project);
    let same = repaired(&project, &plan, secs(5));
    assert_eq!((same.tries, same.moved), (1_000, 0), "one try for each task of a plan that holds");
    for late in 0..10 {
        project.agents[late] = project.agents[late].clone().with_busy(Time::from_secs(15));
    }
    let found = repaired(&project, &plan, secs(5));
    assert!(found.tries <= 100_000, "{}", found.tries);
    assert!(found.moved < 200, "{} of 1,000 tasks changed their agents because ten agents were late", found.moved);
}

/// Tasks with durations that differ from their estimates, agents that come and go, tasks that arrive: every plan is feasible,
/// searches in the background are adopted only if they help, and everything ends.
#[test]
fn a_plan_is_kept_up_to_date_while_it_is_performed() {
    let (mut repairs, mut adopted) = (0, 0);
    for seed in 0..12 {
        let mut random = Random::new(seed, 6);
        let (strategy, tracker) = PlannedRouting::new();
        let mut planner = RollingPlanner::new(tracker.clone(), secs(3)).with_tolerance(secs(2));
        let mut host = host(Config::default().with_strategy(strategy));
        (1..=4).for_each(|id| _ = host.join(agent(id)));
        let submit = |host: &mut Host, id: u64, random: &mut Random| {
            let spec = task(id).with_estimate(secs(1 + random.below(20) as u64));
            let after = (id > 2 && random.below(2) == 0).then(|| task_id(1 + random.below(id as usize - 1) as u64));
            host.submit(spec.with_after(after.filter(|after| host.scheduler.task(*after).is_some())));
        };
        (1..=30).for_each(|id| submit(&mut host, id, &mut random));
        let mut next = 30;
        for step in 0..2_000 {
            if let Ok(replan) = planner.replan(&host.scheduler, host.now) {
                let project = replan.outlook().project.clone();
                if let Some(found) = planner.react(&host.scheduler, host.now).unwrap() {
                    repairs += 1;
                    validate(&project, &found.plan).unwrap();
                }
                if step % 10 == 3 {
                    let found =
                        replan.search(&Settings::default().with_evaluations(300), &mut |_| ControlFlow::Continue(()));
                    adopted += u32::from(planner.adopt(&found, &host.scheduler, host.now).unwrap());
                    let now = planner.replan(&host.scheduler, host.now).unwrap();
                    let open = Outlook::of_scheduler(&host.scheduler, host.now, secs(1)).project.tasks.len();
                    assert_eq!((planner.plan().tasks.len(), now.outlook().project.tasks.len()), (open, open));
                }
            }
            let running: Vec<u64> =
                (1..=next).filter(|id| host.scheduler.task(task_id(*id)).unwrap().running().is_some()).collect();
            let agents: Vec<u64> = host.scheduler.agents().map(|agent| agent.spec().id.get()).collect();
            host.wait(secs(random.below(5) as u64));
            match random.below(14) {
                0 if agents.len() > 1 => host.leave(agents[random.below(agents.len())]),
                1 => _ = host.join(agent(1 + random.below(6) as u64)),
                2 if next < 40 => {
                    next += 1;
                    submit(&mut host, next, &mut random);
                }
                3 if !running.is_empty() => {
                    host.fail(running[random.below(running.len())], Failure::transient("again"))
                }
                _ if !running.is_empty() => host.complete(running[random.below(running.len())]),
                _ => {}
            }
            if (1..=next).all(|id| host.status(id).is_terminal()) {
                break;
            }
        }
        let open: Vec<u64> = (1..=next).filter(|id| !host.status(*id).is_terminal()).collect();
        assert!(open.is_empty(), "seed {seed}: {open:?} wait for ever");
    }
    assert!(repairs > 50 && adopted > 1, "{repairs} repairs, {adopted} plans of searches");
}

#[test]
fn a_search_in_the_background_is_adopted_only_if_it_is_worth_its_changes() {
    let play = |stability: u64| {
        let (strategy, tracker) = PlannedRouting::new();
        let mut planner = RollingPlanner::new(tracker, secs(stability));
        let mut host = host(Config::default().with_strategy(strategy));
        (1..=2).for_each(|id| _ = host.join(agent(id)));
        // In order of submission 3, 3, 2, 2, 2 end after 7 on two agents, and cannot end earlier than after 6.
        host.submit(task(1).with_estimate(secs(1)));
        host.submit(task(2).with_estimate(secs(1)));
        for (id, span) in [(3, 3), (4, 3), (5, 2), (6, 2), (7, 2)] {
            host.submit(task(id).with_estimate(secs(span * 10)));
        }
        let replan = planner.replan(&host.scheduler, host.now).unwrap();
        let bad = repair(&replan.outlook().project.check().unwrap(), &Plan::default(), Duration::ZERO).plan;
        planner.react(&host.scheduler, host.now).unwrap();
        let best = plan_project(
            &replan.outlook().project.check().unwrap(),
            &Settings::default().with_evaluations(5_000),
            &mut |_| ControlFlow::Continue(()),
        );
        let better = best.plan.makespan() < bad.makespan();
        let found = replan.outlook().in_host_time(&best.plan);
        (better, planner.adopt(&found, &host.scheduler, host.now).unwrap())
    };
    assert_eq!(play(0), (true, true));
    assert_eq!(play(1_000), (true, false), "the changes cost more than they save");
}

/// In a simulation an operator keeps the plan up to date, while agents fail and take longer than expected.
#[cfg(feature = "sim")]
#[test]
fn a_simulation_follows_a_rolling_plan() {
    use counterpoint::planning::PlanTracker;
    use counterpoint::scheduler::TaskStatus;
    use counterpoint::sim::{AgentModel, Distribution, Job, Simulation};
    use counterpoint::{AgentSpec, Retry, TaskSpec};
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    let mut all = (0_u64, 0_u32, 0_u32);
    for seed in 1..=5 {
        // A restarted host has a strategy of its own; a tracker without a host has nothing to repair.
        let trackers: Rc<RefCell<Vec<PlanTracker>>> = Rc::default();
        let (kept, repairs, planned) = (Rc::clone(&trackers), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let config = move || {
            let (strategy, tracker) = PlannedRouting::new();
            kept.borrow_mut().push(tracker);
            Config::default().with_strategy(strategy)
        };
        let mut planners: Vec<RollingPlanner> = Vec::new();
        let (counted, assigned) = (Rc::clone(&repairs), Rc::clone(&planned));
        let operator = move |engine: &counterpoint::Engine, now: Time| {
            let trackers = trackers.borrow();
            let begun = planners.len();
            planners.extend(trackers.iter().skip(begun).map(|tracker| RollingPlanner::new(tracker.clone(), secs(2))));
            for (planner, tracker) in planners.iter_mut().zip(&*trackers) {
                assigned.set(assigned.get().max(tracker.report(now).as_planned));
                // While no agent is up, no task can be planned.
                if let Ok(Some(found)) = planner.react(engine, now) {
                    let open = Outlook::of_engine(engine, now, secs(1)).project;
                    assert_eq!(found.plan.tasks.len(), open.tasks.len());
                    counted.set(counted.get() + 1);
                }
            }
            Vec::new()
        };
        let agent = |id: u64| {
            let spec = AgentSpec::new(AgentId::new(id)).with_skill("work", 1).with_lease(secs(5));
            let law = Distribution::log_normal(secs(10), 1.0).unwrap();
            let (up, away) = (Distribution::exponential(secs(60)).unwrap(), Distribution::constant(secs(10)));
            AgentModel::new(spec).with_service("work", law).with_breakdowns(up, away)
        };
        let policy = counterpoint::Policy::default().with_retry(Retry::exponential(50, secs(1), secs(2)));
        let job = |id: u64| {
            let spec = TaskSpec::new(task_id(id), "work").with_estimate(secs(10)).with_policy(policy.clone());
            Job::task(Time::from_secs(id % 7), spec.with_after((id > 3).then(|| task_id(id - 3))))
        };
        let mut order: Vec<u64> = (1..=40).collect();
        order.sort_by_key(|id| id % 7);
        let jobs: Vec<Job> = order.into_iter().map(job).collect();
        let report = Simulation::new(seed)
            .with_config(config)
            .with_agents((1..=3).map(agent))
            .with_operator(secs(1), operator)
            .with_jobs(jobs)
            .run()
            .unwrap();
        assert!(report.tasks.iter().all(|task| task.status() == Some(TaskStatus::Succeeded)), "{:?}", report.end);
        all = (all.0 + report.lost_agents, all.1 + repairs.get(), all.2 + planned.get());
    }
    let (lost, repairs, planned) = all;
    assert!(lost > 0 && repairs > 5, "{lost} lost agents, {repairs} repairs, {planned} tasks as planned");
}
