//! What it costs to run workflows, per transition.
//!
//! A transition is one fact about a run or a task that a call leaves behind. One agent answers at once; nothing is written
//! anywhere. Each shape runs in two sizes, so that what is not linear shows. Besides the times that criterion prints (per
//! transition), the bench tells what an active run takes of memory and how fast a journal is read back.
//!
//! `cargo bench -p benches --bench workflow`
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that goes wrong is to stop; what it finds it tells"
)]

#[path = "load/workflows.rs"]
mod workflows;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use counterpoint::definition::Definition;
use counterpoint::{AgentId, AgentSpec, Command, Config, Effect, Engine, Entry, Outbox, Payload, Time};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use workflows::{Host, map, saga, stages};

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .without_plots();
    targets = memory, shapes, many_runs
}
criterion_main!(benches);

fn list(items: usize) -> Payload {
    Payload::of(&vec![1; items]).unwrap()
}

fn shapes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("transitions");
    let nothing = Payload::NULL;
    let mut row = |name: &str, definition: &Definition, input: &Payload| {
        let mut host = Host::new(definition);
        let facts = host.start(1, &definition.name, input) + host.finish();
        group.throughput(Throughput::Elements(facts as u64));
        let mut id = 1;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                id += 1;
                black_box(host.start(id, &definition.name, input) + host.finish())
            });
        });
    };
    for steps in [100, 1_000] {
        row(&format!("saga of {steps}, forward"), &saga(steps, false), &nothing);
        row(&format!("saga of {steps}, and back"), &saga(steps, true), &nothing);
    }
    for count in [10, 100] {
        row(&format!("{count} stages of 4"), &stages(count), &nothing);
    }
    for items in [1_000, 10_000] {
        row(&format!("map of {items}"), &map(None), &list(items));
        row(&format!("map of {items}, 16 at once"), &map(Some(16)), &list(items));
    }
    group.finish();
}

/// Bytes of memory in use, as the kernel sees it; 0 where it does not tell.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4_096
}

/// Comes first: memory that was freed before would be used again and not be seen.
fn memory(_: &mut Criterion) {
    let definition = saga(20, false);
    let mut kept = Vec::new();
    for runs in [1_000_u32, 10_000] {
        let mut host = Host::new(&definition);
        let (before, began) = (resident(), Instant::now());
        for id in 1..=runs {
            host.start(id.into(), &definition.name, &Payload::NULL);
        }
        let took = began.elapsed() / runs;
        let each = resident().saturating_sub(before) / runs as usize;
        println!("{runs} active runs of 20 nodes: {took:?} to start one, about {each} bytes each");
        kept.push(host);
    }
}

fn many_runs(criterion: &mut Criterion) {
    for runs in [1_000, 10_000] {
        let definition = saga(20, false);
        // Half of the way, then restored from the journal and from a snapshot.
        let mut host = Host::new(&definition);
        (host.keep, host.entries) = (true, Vec::new());
        let mut journal: Vec<Entry> = first(&definition);
        for id in 1..=runs {
            host.start(id, &definition.name, &Payload::NULL);
        }
        for _ in 0..runs * 10 {
            let Some(Effect::Dispatch { attempt, to, .. }) = host.effects.pop() else { break };
            host.say(Command::complete(to, attempt, Payload::NULL));
        }
        journal.append(&mut host.entries);
        let began = Instant::now();
        let restored = Engine::restore(Config::default().with_story(0), None, &journal).unwrap();
        let took = began.elapsed();
        println!(
            "{runs} runs: {} facts restored, {:.0} per second",
            journal.len(),
            journal.len() as f64 / took.as_secs_f64()
        );
        let began = Instant::now();
        let snapshot = restored.snapshot();
        let taken = began.elapsed();
        let began = Instant::now();
        black_box(Engine::restore(Config::default().with_story(0), Some(&snapshot), []).unwrap());
        println!("{runs} runs: a snapshot takes {taken:?}, to read it back {:?}", began.elapsed());
    }

    let mut group = criterion.benchmark_group("among active runs");
    for others in [0, 10_000] {
        let definition = saga(20, false);
        let mut host = Host::new(&definition);
        for id in 1..=others {
            host.start(id, &definition.name, &Payload::NULL);
        }
        host.effects.clear();
        let facts = host.start(others + 1, &definition.name, &Payload::NULL) + answers(&mut host);
        group.throughput(Throughput::Elements(facts as u64));
        let mut id = others + 1;
        group.bench_function(format!("{others} others"), |bencher| {
            bencher.iter(|| {
                id += 1;
                black_box(host.start(id, &definition.name, &Payload::NULL) + answers(&mut host))
            });
        });
    }
    group.finish();
}

fn answers(host: &mut Host) -> usize {
    let mut facts = 0;
    while let Some(Effect::Dispatch { attempt, to, .. }) = host.effects.pop() {
        facts += host.say(Command::complete(to, attempt, Payload::NULL));
    }
    facts
}

/// What a host writes down before the first run.
fn first(definition: &Definition) -> Vec<Entry> {
    let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
    let agent = AgentSpec::new(AgentId::new(1)).with_capacity(65_536);
    engine.handle(Time::ZERO, Command::register(agent), &mut out).unwrap();
    engine.handle(Time::ZERO, Command::define(definition.clone()), &mut out).unwrap();
    out.entries().to_vec()
}
