//! Benchmarks of assignment by kind of costs, of list scheduling, and of one evaluation of the search.
//!
//! The example `planning_study` compares the quality of plans with the best known.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_types,
    clippy::cast_possible_truncation,
    reason = "a bench: it prints a table and keeps the time"
)]

use counterpoint::Random;
use counterpoint::planning::{
    Costs, Graph, Heuristic, Settings, assign, assign_bottleneck, assign_by_auction, list_schedule, search_schedule,
};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::Duration;

fn costs(kind: &str, size: usize) -> Costs {
    let mut random = Random::new(7, size as u64);
    let values = (0..size * size).map(|at| match kind {
        "random" => random.below(1_000_000) as f64,
        "ties" => random.below(100) as f64,
        _ => ((at / size + 1) * (at % size + 1)) as f64,
    });
    Costs::new(size, size, values.collect()).expect("a square of numbers")
}

fn assignment(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("assignment");
    group.sample_size(10);
    for (kind, size) in [("random", 100), ("random", 1_000), ("ties", 1_000), ("product", 100), ("product", 1_000)] {
        let costs = costs(kind, size);
        let name = |method: &str| BenchmarkId::new(method.to_owned(), format!("{kind}/{size}"));
        group.bench_function(name("jonker-volgenant"), |bench| bench.iter(|| assign(black_box(&costs))));
        if kind != "product" {
            group.bench_function(name("auction"), |bench| bench.iter(|| assign_by_auction(black_box(&costs), 0.5)));
            group.bench_function(name("bottleneck"), |bench| bench.iter(|| assign_bottleneck(black_box(&costs))));
        }
    }
}

fn lists(criterion: &mut Criterion) {
    let mut random = Random::new(3, 0);
    let size = 500;
    let times = (0..size).map(|_| (0..8).map(|_| 1.0 + random.unit() * 9.0).collect()).collect();
    let links: Vec<_> = (1..size).map(|to| (to - 1 - random.below(to.min(20)), to, random.unit() * 10.0)).collect();
    let graph = Graph::new(times, &links).expect("a tree");
    let mut group = criterion.benchmark_group("list scheduling, 500 tasks on 8 agents");
    for heuristic in Heuristic::ALL {
        group.bench_function(format!("{heuristic:?}"), |bench| {
            bench.iter(|| list_schedule(black_box(&graph), heuristic))
        });
    }
    group.sample_size(10);
    let settings = Settings::default().with_evaluations(1_000);
    group.bench_function("1,000 moves of the search", |bench| {
        bench.iter(|| search_schedule(black_box(&graph), &settings, &mut |_| ControlFlow::Continue(())))
    });
}

/// A thousand tasks with up to one predecessor each and one of ten skills, of which every agent has three; the budget is halfway
/// between the cheapest and the quickest assignment.
fn allocation(criterion: &mut Criterion) {
    use counterpoint::planning::{Agent, Project, Task, allocate};
    use counterpoint::{AgentId, TaskId};

    let mut random = Random::new(11, 0);
    let skill = |number: usize| format!("skill {}", number % 10);
    let mut project = Project::default().with_budget(3_000_000);
    for number in 0..100 {
        let agent = Agent::new(AgentId::new(number as u64 + 1)).with_cost_per_second(1 + random.below(100) as u64);
        project = project.with_agent((0..3).fold(agent, |agent, step| agent.with_skill(skill(number + 3 * step), 1)));
    }
    for number in 0..1_000_usize {
        let span = Duration::from_secs(1 + random.below(100) as u64);
        let mut task = Task::new(TaskId::new(number as u64 + 1), span).with_need(skill(random.below(10)), 1);
        if number > 50 && random.below(2) == 0 {
            task = task.after(TaskId::new((number - random.below(50)) as u64));
        }
        project = project.with_task(task);
    }
    let problem = project.check().expect("it is sound");
    let mut group = criterion.benchmark_group("linear program");
    group.sample_size(10);
    group.bench_function("1,000 tasks, 100 agents", |bench| bench.iter(|| allocate(black_box(&problem)).unwrap()));
}

/// A thousand tasks with a chance of a predecessor on a hundred agents, of which some are busy for longer than planned.
fn repairs(criterion: &mut Criterion) {
    use counterpoint::planning::{Agent, Project, Rule, Scheme, Task, Work, generate, repair};
    use counterpoint::{AgentId, TaskId, Time};

    let mut random = Random::new(4, 4);
    let mut project = (0..100).map(|id| Agent::new(AgentId::new(id))).fold(Project::default(), Project::with_agent);
    for id in 0..1_000 {
        let spans = (0..100).map(|agent| (AgentId::new(agent), 1_000_000_000 * (5 + random.below(20) as u64)));
        let task = Task::of(TaskId::new(id), Work::ByAgent(spans.collect()));
        let before = (id > 0 && random.below(3) > 0).then(|| random.below(usize::try_from(id).unwrap_or(1)));
        project =
            project.with_task(before.into_iter().fold(task, |task, before| task.after(TaskId::new(before as u64))));
    }
    let plan = generate(&project.check().expect("it is sound"), Scheme::Serial, Rule::LatestFinish);
    let mut group = criterion.benchmark_group("repair of 1,000 tasks on 100 agents");
    group.sample_size(20);
    for late in [0, 1, 10, 100] {
        for agent in project.agents.iter_mut().take(late) {
            *agent = Agent::new(agent.id).with_busy(Time::from_secs(15));
        }
        let problem = project.check().expect("it is sound");
        group.bench_function(format!("{late} agents late"), |bench| {
            bench.iter(|| repair(black_box(&problem), black_box(&plan), Duration::from_secs(5)))
        });
    }
}

criterion_group!(benches, assignment, lists, allocation, repairs);
criterion_main!(benches);
