//! Sagas: a hundred steps forward, forward and back, and stages of four steps at once. Time per action; of a saga that
//! fails in its last step, an action is a step forward together with its compensation.
//!
//! *Counterpoint*: the machine of sagas alone (`Saga`), which is what the peers are: it says what is to be done, it is done on
//! the spot; each saga's facts are kept until its end. *Counterpoint, engine*: workflow and scheduler around it; tasks are
//! routed to an agent, which answers at once; each fact is a journal entry, kept until the run's end. *steno*: one
//! coordinator on a runtime of one thread, with the store in memory that comes with it. *cano*: a workflow without a store
//! on a runtime of one thread; it is built once and run again, as Counterpoint's definition is. cano has no compensation in
//! stages of several steps, so there it only goes forward; its tasks may not be tried again, which costs it least.

mod alone;
mod cano;
mod steno;

use ::cano::prelude::Workflow;
use counterpoint::Payload;
use counterpoint_peers::works::{Works, saga, stages};
use counterpoint_peers::{CpuTime, quick, settings, sizes};
use cpu_time::ProcessTime;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime")
}

/// Which way a saga goes.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Forward,
    AndBack,
}

fn chains(criterion: &mut Criterion<CpuTime>) {
    for (title, way) in [("saga, forward", Way::Forward), ("saga, forward and back", Way::AndBack)] {
        let mut group = criterion.benchmark_group(title);
        for &steps in sizes(&[10, 100, 400], &[10], quick()) {
            group.throughput(Throughput::Elements(steps)).sample_size(10);
            let mut works = Works::new(&[saga(steps, way == Way::AndBack)]);
            let mut id = 0;
            let graph = alone::chain(steps, way);
            group.bench_function(BenchmarkId::new("counterpoint", steps), |bencher| {
                bencher.iter(|| alone::run(&graph, way));
            });
            group.bench_function(BenchmarkId::new("counterpoint, engine", steps), |bencher| {
                bencher.iter(|| {
                    id += 1;
                    works.whole(id, "saga", &Payload::NULL)
                });
            });
            let runtime = runtime();
            let sagas = steno::Sagas::new(&runtime, steno::chain(steps, way));
            group.bench_function(BenchmarkId::new("steno", steps), |bencher| {
                bencher.iter_custom(|times| timed(times, || sagas.run(&runtime, way)));
            });
            let flow = cano::chain(steps, way);
            group.bench_function(BenchmarkId::new("cano", steps), |bencher| {
                bencher.iter_custom(|times| timed(times, || cano::run(&runtime, &flow, way)));
            });
        }
        group.finish();
    }
}

fn parallel(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("stages of four, forward");
    for &count in sizes(&[2, 4, 6, 8, 10], &[2], quick()) {
        group.throughput(Throughput::Elements(count * 4)).sample_size(10);
        let mut works = Works::new(&[stages(count)]);
        let mut id = 0;
        let graph = alone::stages(count);
        group.bench_function(BenchmarkId::new("counterpoint", count), |bencher| {
            bencher.iter(|| alone::run(&graph, Way::Forward));
        });
        group.bench_function(BenchmarkId::new("counterpoint, engine", count), |bencher| {
            bencher.iter(|| {
                id += 1;
                works.whole(id, "stages", &Payload::NULL)
            });
        });
        let runtime = runtime();
        let sagas = steno::Sagas::new(&runtime, steno::stages(count));
        group.bench_function(BenchmarkId::new("steno", count), |bencher| {
            bencher.iter_custom(|times| timed(times, || sagas.run(&runtime, Way::Forward)));
        });
        let flow: Workflow<cano::At> = cano::stages(count);
        group.bench_function(BenchmarkId::new("cano", count), |bencher| {
            bencher.iter_custom(|times| timed(times, || cano::run(&runtime, &flow, Way::Forward)));
        });
    }
    group.finish();
}

fn timed(times: u64, mut run: impl FnMut()) -> Duration {
    let start = ProcessTime::now();
    (0..times).for_each(|_| run());
    start.elapsed()
}

criterion_group! { name = benches; config = settings(); targets = chains, parallel }
criterion_main!(benches);
