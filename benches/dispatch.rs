//! The life of a task on one core: submit, assign, complete, facts and effects drained, while many others wait. And how fast
//! a journal is replayed.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "a bench fails loudly")]

use counterpoint::resilience::{breaker, budget, concurrency, outlier};
use counterpoint::scheduler::Concurrency;
use counterpoint::{
    AgentId, AgentSpec, AttemptId, Command, Config, Effect, Entry, Incarnation, Limits, Name, Needs, Outbox, Payload,
    Random, Scheduler, TaskId, TaskSpec, Tier, Time,
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::collections::VecDeque;
use std::time::Duration;

const AGENTS: u64 = 1_000;
const SKILLS: usize = 20;
const SKILLS_OF_AN_AGENT: usize = 6;
const CLASSES: usize = 64;

/// A scheduler in full work, with what its agents hold.
struct Load {
    scheduler: Scheduler,
    out: Outbox,
    kind: Name,
    classes: Vec<Needs>,
    held: VecDeque<(Incarnation, AttemptId)>,
    random: Random,
    serial: u64,
    now: Time,
    journal: Option<Vec<Entry>>,
}

fn config() -> Config {
    Config::default().with_limits(Limits::default().with_waiting_tasks(4_000_000))
}

/// With breakers, outlier ejection, adaptive concurrency and retry budgets, and nothing begun that cannot be done in time.
fn guarded() -> Config {
    config()
        .with_breaker(breaker::Rules::default())
        .with_outlier_ejection(outlier::Rules::default())
        .with_adaptive_concurrency(Concurrency::Aimd(concurrency::Rules::default()))
        .with_retry_budget(budget::Rules::default(), budget::Rules::default())
        .with_infeasible_dropped(true)
}

impl Load {
    fn new(config: Config, waiting: u64, keep_journal: bool) -> Self {
        let mut random = Random::new(42, 0);
        let skills: Vec<Name> = (0..SKILLS).map(|skill| format!("skill-{skill}").into()).collect();
        let pair = |random: &mut Random| {
            let (a, b) = (random.below(SKILLS), random.below(SKILLS - 1));
            Needs::skill(skills[a].clone()).and_skill(skills[(a + 1 + b) % SKILLS].clone(), 1)
        };
        let classes = (0..CLASSES).map(|_| pair(&mut random)).collect();
        let mut load = Self {
            scheduler: Scheduler::new(config),
            out: Outbox::default(),
            kind: Name::from("work"),
            classes,
            held: VecDeque::new(),
            random,
            serial: 0,
            now: Time::ZERO,
            journal: keep_journal.then(Vec::new),
        };
        for id in 0..AGENTS {
            let mut spec = AgentSpec::new(AgentId::new(id));
            while spec.skills.len() < SKILLS_OF_AN_AGENT {
                spec = spec.with_skill(skills[load.random.below(SKILLS)].clone(), 1);
            }
            load.handle(Command::register(spec));
        }
        while load.scheduler.queued().iter().sum::<usize>() < usize::try_from(waiting).unwrap() {
            load.submit();
        }
        load
    }

    fn handle(&mut self, command: Command) {
        self.now = self.now + Duration::from_micros(1);
        self.scheduler.handle(self.now, command, &mut self.out).unwrap();
        for effect in self.out.effects() {
            if let Effect::Dispatch { attempt, to, .. } = effect {
                self.held.push_back((*to, *attempt));
            }
        }
        match &mut self.journal {
            Some(journal) => self.out.drain_entries(journal),
            None => drop(std::hint::black_box(self.out.entries().len())),
        }
        self.out.clear();
    }

    fn submit(&mut self) {
        self.serial += 1;
        let needs = self.classes[self.random.below(CLASSES)].clone();
        let tier = Tier::ALL[self.random.below(4)];
        let task = TaskSpec::needing(TaskId::new(self.serial), self.kind.clone(), needs).with_tier(tier);
        self.handle(Command::submit(task));
    }

    /// One task comes and one is completed: over many rounds, one life of a task a round.
    fn round(&mut self) {
        self.submit();
        if let Some((by, attempt)) = self.held.pop_front() {
            self.handle(Command::complete(by, attempt, Payload::NULL));
        }
    }
}

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
