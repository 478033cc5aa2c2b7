//! The life of a task on one core: submit, assign, complete, facts and effects drained, while many others wait. And how fast
//! a journal is replayed.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "a bench fails loudly")]

mod load;

use counterpoint::Scheduler;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use load::{Load, config, guarded};
use std::time::Duration;

fn lifecycle(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lifecycle");
    group.throughput(Throughput::Elements(1)).sample_size(20).measurement_time(Duration::from_secs(4));
    for waiting in [1_000, 10_000, 100_000, 1_000_000] {
        let mut load = Load::new(config(), waiting, false);
        group.bench_function(format!("{waiting} waiting"), |bencher| bencher.iter(|| load.round()));
        let mut load = Load::new(guarded(), waiting, false);
        group.bench_function(format!("{waiting} waiting, guarded"), |bencher| bencher.iter(|| load.round()));
    }
    group.finish();
}

fn restore(criterion: &mut Criterion) {
    let mut load = Load::new(config(), 1_000, true);
    for _ in 0..30_000 {
        load.round();
    }
    let journal = load.journal.take().unwrap();
    let mut group = criterion.benchmark_group("restore");
    group.throughput(Throughput::Elements(journal.len() as u64)).sample_size(10);
    group.bench_function(format!("{} entries", journal.len()), |bencher| {
        bencher.iter_batched(
            || (),
            |()| Scheduler::restore(config(), None, &journal).unwrap(),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, lifecycle, restore);
criterion_main!(benches);
