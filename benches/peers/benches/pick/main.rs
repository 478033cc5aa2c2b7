//! One of N agents for a task, and one completion: 24 skills, of which an agent has 6 and a task needs 2; capacity 8; about
//! 2N tasks under way, the oldest of which is completed after each pick.
//!
//! What each row does:
//! - *Counterpoint*: the strategy's choice among the agents that have both skills and room, counted as begun; the oldest one
//!   counted as ended. "taught" strategies also see three facts (submitted, assigned, succeeded) for each pick, as the
//!   scheduler would show them: the learning is in the figure. "pick alone" leaves out the counting.
//! - *naive*: looks at each agent's `HashSet<String>`, takes the one with the smallest share of its capacity in use.
//! - *tower*: `poll_ready` and `call` of the balancer, and one earlier future polled to its end. No skills, no capacity.
//! - *pingora*: `select`. It counts nothing, so there is nothing to complete. No skills, no capacity, except in "with skills
//!   and room", where its `accept` hook looks at both (as bits), up to N tries.

mod naive;
mod ours;
#[cfg(feature = "pingora")]
mod pingora;
mod tower;

use counterpoint_peers::fleet::Drawn;
use counterpoint_peers::{CpuTime, quick, settings, sizes};
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;

type Group<'a> = BenchmarkGroup<'a, CpuTime>;

fn all(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("pick");
    for &size in sizes(&[10, 100, 1_000, 10_000], &[10, 100], quick()) {
        let drawn = Drawn::new(size);
        ours::rows(&mut group, &drawn);
        naive::row(&mut group, &drawn);
        tower::rows(&mut group, &drawn);
        #[cfg(feature = "pingora")]
        pingora::rows(&mut group, &drawn);
    }
    group.finish();
}

fn bench<T>(group: &mut Group<'_>, name: &str, drawn: &Drawn, mut round: impl FnMut() -> T) {
    let mut is_full = false;
    group.bench_function(BenchmarkId::new(name, drawn.agents.len()), |bencher| {
        if !is_full {
            // More rounds than tasks are to be under way: all begin from a full house.
            for _ in 0..4 * drawn.agents.len() {
                black_box(round());
            }
            is_full = true;
        }
        bencher.iter(&mut round);
    });
}

criterion_group! { name = benches; config = settings(); targets = all }
criterion_main!(benches);
