//! Whole lives of tasks: given in, given out, done.
//!
//! *apalis* (in memory, one thread, one worker): pushes the jobs, then runs them all; a job is a number and does nothing. One
//! queue, no priorities, no routing. *Counterpoint*: the same number of tasks is submitted, then completed until none is
//! left, by 1,000 agents; four tiers, 64 requirement classes, two skills each, facts and effects drained. Time for one task.
//!
//! "many waiting" is Counterpoint alone: one comes, one is completed, so many others wait all the while.

use apalis_core::backend::TaskSink;
use apalis_core::backend::memory::MemoryStorage;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use counterpoint::resilience::outlier;
use counterpoint::{
    AttemptId, Command, Config, Effect, Incarnation, Limits, Name, Needs, Outbox, Payload, Random, Scheduler, TaskId,
    TaskSpec, Tier, Time,
};
use counterpoint_peers::fleet::{CLASSES, Drawn};
use counterpoint_peers::{CpuTime, quick, settings, sizes};
use cpu_time::ProcessTime;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const AGENTS: u64 = 1_000;

/// A scheduler in work, with what its agents hold.
struct Load {
    scheduler: Scheduler,
    out: Outbox,
    kind: Name,
    classes: Vec<Needs>,
    held: VecDeque<(Incarnation, AttemptId)>,
    random: Random,
    serial: u64,
    now: Time,
}

impl Load {
    fn new(guarded: bool) -> Self {
        let config = Config::default().with_limits(Limits::default().with_active_tasks(4_000_000));
        let config = if guarded { config.with_outlier_ejection(outlier::Rules::default()) } else { config };
        let drawn = Drawn::new(AGENTS);
        let mut load = Self {
            scheduler: Scheduler::new(config),
            out: Outbox::default(),
            kind: Name::from("work"),
            classes: drawn.needs(),
            held: VecDeque::new(),
            random: Random::new(5, 0),
            serial: 0,
            now: Time::ZERO,
        };
        drawn.specs().for_each(|agent| load.say(Command::register(agent.with_capacity(1))));
        load
    }

    fn say(&mut self, command: Command) {
        self.now = self.now + Duration::from_micros(1);
        self.scheduler.handle(self.now, command, &mut self.out).expect("the scheduler takes what it is told");
        for effect in self.out.effects() {
            if let Effect::Dispatch { attempt, to, .. } = effect {
                self.held.push_back((*to, *attempt));
            }
        }
        std::hint::black_box(self.out.entries().len());
        self.out.clear();
    }

    fn submit(&mut self) {
        self.serial += 1;
        let needs = self.classes[self.random.below(CLASSES)].clone();
        let tier = Tier::ALL[self.random.below(4)];
        let task = TaskSpec::needing(TaskId::new(self.serial), self.kind.clone(), needs).with_tier(tier);
        self.say(Command::submit(task));
    }

    fn complete(&mut self) -> bool {
        let Some((by, attempt)) = self.held.pop_front() else { return false };
        self.say(Command::complete(by, attempt, Payload::NULL));
        true
    }
}

/// Pushes the jobs and runs them.
fn apalis(runtime: &tokio::runtime::Runtime, jobs: u64) -> Duration {
    let start = ProcessTime::now();
    let done = Arc::new(AtomicU64::new(0));
    runtime.block_on(async {
        let mut store = MemoryStorage::new();
        for job in 0..jobs {
            store.push(job).await.expect("it is open");
        }
        let counted = done.clone();
        let worker = WorkerBuilder::new("worker").backend(store).build(move |job: u64, context: WorkerContext| {
            let done = counted.clone();
            async move {
                std::hint::black_box(job);
                if done.fetch_add(1, Ordering::Relaxed) + 1 == jobs {
                    context.stop().expect("it runs");
                }
            }
        });
        worker.run().await.expect("it ends well");
    });
    assert_eq!(done.load(Ordering::Relaxed), jobs);
    start.elapsed()
}

fn beside(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("lifecycle, all in, all out");
    for &jobs in sizes(&[10_000, 100_000], &[1_000], quick()) {
        group.throughput(Throughput::Elements(jobs)).sample_size(10);
        for (name, guarded) in [("counterpoint", false), ("counterpoint, guarded", true)] {
            let mut load = Load::new(guarded);
            group.bench_function(BenchmarkId::new(name, jobs), |bencher| {
                bencher.iter(|| {
                    (0..jobs).for_each(|_| load.submit());
                    while load.complete() {}
                });
            });
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        group.bench_function(BenchmarkId::new("apalis, in memory", jobs), |bencher| {
            bencher.iter_custom(|times| (0..times).map(|_| apalis(&runtime, jobs)).sum());
        });
    }
    group.finish();
}

fn waiting(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("lifecycle, many waiting");
    group.measurement_time(Duration::from_millis(if quick() { 20 } else { 2_000 }));
    for &waiting in sizes(&[10_000, 100_000, 1_000_000], &[1_000], quick()) {
        for (name, guarded) in [("counterpoint", false), ("counterpoint, guarded", true)] {
            let mut load = None;
            group.bench_function(BenchmarkId::new(name, waiting), |bencher| {
                let load = load.get_or_insert_with(|| {
                    let mut load = Load::new(guarded);
                    (0..waiting + AGENTS).for_each(|_| load.submit());
                    load
                });
                bencher.iter(|| {
                    load.submit();
                    load.complete()
                });
            });
        }
    }
    group.finish();
}

criterion_group! { name = benches; config = settings(); targets = beside, waiting }
criterion_main!(benches);
