//! Tasks of independent keys from their submission to their end, with journals in memory: on one engine, on a host of one shard,
//! and on a host of two shards that share the same agents.
//!
//! `cargo bench -p benches --bench shards`
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench fails loudly")]

use counterpoint::cluster::Shards;
use counterpoint::host::thread::{ShardedHost, TaskHandle, ThreadHost};
use counterpoint::workflow::Attempt;
use counterpoint::{AgentId, AgentSpec, Config, Failure, Payload, TaskId, TaskSpec};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::time::Duration;

/// The tasks that are submitted before the first of them is awaited.
const TASKS: u64 = 1_000;
const AGENTS: u64 = 4;

fn agent(id: u64) -> AgentSpec {
    AgentSpec::new(AgentId::new(id)).with_skill("work", 1).with_capacity(4)
}

fn nothing(_: &TaskSpec, _: &Attempt) -> Result<Payload, Failure> {
    Ok(Payload::NULL)
}

fn round(next: &mut u64, submit: impl Fn(TaskSpec) -> TaskHandle) {
    let first = *next;
    *next += TASKS;
    let handles: Vec<TaskHandle> = (first..*next).map(|id| submit(TaskSpec::new(TaskId::new(id), "work"))).collect();
    handles.into_iter().for_each(|handle| drop(handle.wait().unwrap()));
}

fn shards(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("shards");
    group.throughput(Throughput::Elements(TASKS)).sample_size(10).measurement_time(Duration::from_secs(5));

    let host = ThreadHost::start(Config::default()).unwrap();
    for id in 1..=AGENTS {
        host.add_custom_agent(agent(id), nothing).unwrap();
    }
    let mut next = 1;
    group.bench_function("one engine", |bencher| bencher.iter(|| round(&mut next, |task| host.submit(task).unwrap())));

    for count in [1, 2] {
        let host = ShardedHost::start(Shards::new(count).unwrap(), |_| Config::default()).unwrap();
        (1..=AGENTS).for_each(|id| host.add_custom_agent(agent(id), nothing).unwrap());
        let mut next = 1;
        group.bench_function(format!("{count} shards"), |bencher| {
            bencher.iter(|| round(&mut next, |task| host.submit(task).unwrap()));
        });
    }
    group.finish();
}

criterion_group!(benches, shards);
criterion_main!(benches);
