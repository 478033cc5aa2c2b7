//! What a pick costs, by strategy and size of the fleet, beside a scan of string sets that a first version would do.
//!
//! 24 skills, of which each agent has 6 and a task needs 2; capacity 8; two attempts an agent are under way.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a bench")]

use counterpoint::routing::{
    Adaptive, BestMatch, ConsistentHash, CostAware, LeastLoaded, LinUcb, Maglev, MultiFactor, PeakEwma, Performance,
    Roster, RosterClass, RoundRobin, RoutingStrategy, TwoChoices, WeightedRoundRobin,
};
use counterpoint::task::Affinity;
use counterpoint::{AgentId, AgentSpec, Needs, Random, TaskId, TaskSpec, Time};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::collections::{BTreeSet, VecDeque};
use std::hint::black_box;
use std::time::Duration;

struct Naive {
    skills: BTreeSet<String>,
    held: u32,
    capacity: u32,
}

struct Fleet {
    roster: Roster,
    class: RosterClass,
    naive: Vec<Naive>,
}

fn needs() -> Needs {
    Needs::skill("skill-0").and_skill("skill-1", 1)
}

fn fleet(size: u64) -> Fleet {
    let (mut roster, mut naive, mut random) = (Roster::default(), Vec::new(), Random::new(1, size));
    for id in 0..size {
        let mut skills: BTreeSet<usize> = BTreeSet::new();
        // A tenth can, and the first always.
        if id % 10 == 0 {
            skills.extend([0, 1]);
        }
        while skills.len() < 6 {
            skills.insert(random.below(24));
        }
        let names = skills.iter().map(|skill| format!("skill-{skill}"));
        let spec = AgentSpec::new(AgentId::new(id)).with_capacity(8);
        roster.add(names.clone().fold(spec, |spec, name| spec.with_skill(name, 1)));
        naive.push(Naive { skills: names.collect(), held: 0, capacity: 8 });
    }
    for _ in 0..2 * size {
        let at = random.below(naive.len());
        let agent = naive.get_mut(at).unwrap();
        if agent.held < agent.capacity {
            agent.held += 1;
            roster.begin(AgentId::new(at as u64));
        }
    }
    let class = roster.class(&needs());
    Fleet { roster, class, naive }
}

fn strategies() -> Vec<Box<dyn RoutingStrategy>> {
    vec![
        Box::new(LeastLoaded::default()),
        Box::new(TwoChoices::default()),
        Box::new(RoundRobin::default()),
        Box::new(PeakEwma::default()),
        Box::new(Performance::default()),
        Box::new(CostAware::default()),
        Box::new(MultiFactor::default()),
        Box::new(LinUcb::default()),
        Box::new(ConsistentHash::default()),
        Box::new(Maglev::default()),
        Box::new(Adaptive::default()),
        Box::new(WeightedRoundRobin::default()),
        Box::new(BestMatch::default()),
    ]
}

fn picks(c: &mut Criterion) {
    let mut group = c.benchmark_group("pick");
    group.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(400)).sample_size(20);
    for size in [10, 100, 1_000, 10_000] {
        let mut fleet = fleet(size);
        let affinity = Affinity::default().with_session("user-17");
        let task = TaskSpec::new(TaskId::new(1), "work").with_needs(needs()).with_affinity(affinity);
        for mut strategy in strategies() {
            let name = strategy.name().to_owned();
            let among = fleet.roster.among(fleet.class, Time::ZERO).unwrap();
            group.bench_function(BenchmarkId::new(name, size), |b| {
                let mut number = 0;
                b.iter(|| {
                    number += 1;
                    black_box(strategy.pick(black_box(&task), &among, &mut Random::new(1, number)))
                });
            });
        }
        group.bench_function(BenchmarkId::new("least loaded, begun and ended", size), |b| {
            let (mut strategy, mut under_way) = (LeastLoaded::default(), VecDeque::new());
            b.iter(|| {
                let among = fleet.roster.among(fleet.class, Time::ZERO).unwrap();
                let picked = strategy.pick(&task, &among, &mut Random::new(1, 1)).unwrap();
                fleet.roster.begin_of(fleet.class, picked);
                under_way.push_back(picked);
                if under_way.len() > 4 {
                    fleet.roster.end(under_way.pop_front().unwrap());
                }
            });
        });
        group.bench_function(BenchmarkId::new("naive least loaded, string sets", size), |b| {
            let wanted = ["skill-0".to_owned(), "skill-1".to_owned()];
            b.iter(|| {
                let able = fleet.naive.iter().enumerate().filter(|(_, agent)| {
                    agent.held < agent.capacity && black_box(&wanted).iter().all(|skill| agent.skills.contains(skill))
                });
                let load = |agent: &Naive| f64::from(agent.held) / f64::from(agent.capacity);
                black_box(able.min_by(|a, b| load(a.1).total_cmp(&load(b.1))).map(|(at, _)| at))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, picks);
criterion_main!(benches);
