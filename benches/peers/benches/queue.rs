//! One comes and one goes while many wait: four tiers, in order of arrival within a tier.
//!
//! The library's queue is a part of its scheduler, so its row is a scheduler with one agent: *submit* and *complete* also
//! check the task, give ids, write facts, route, dispatch and let go of what has ended. The peers' rows move a number
//! of eight bytes; "with a table of tasks" adds what everybody needs beside a heap: the task's description, found by its
//! number and taken out when the task goes. "four VecDeques" is the floor: it cannot take out what was cancelled.

use counterpoint::{
    AgentId, AgentSpec, AttemptId, Command, Config, Effect, Incarnation, Limits, Name, Outbox, Payload, Random,
    Scheduler, TaskCommand, TaskId, TaskSpec, Tier, Time,
};
use counterpoint_peers::{CpuTime, quick, settings, sizes};
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use priority_queue::PriorityQueue;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

type Group<'a> = BenchmarkGroup<'a, CpuTime>;
/// Tier, then order of arrival.
type Key = (usize, u64);

/// A queue of numbers.
trait Queue {
    fn push(&mut self, tier: usize, id: u64);
    /// The first of the lowest tier.
    fn pop(&mut self) -> Option<u64>;
    fn cancel(&mut self, tier: usize, id: u64);
}

/// A scheduler with one agent that holds one task at a time: `pop` completes it, which brings the next.
struct Ours {
    scheduler: Scheduler,
    out: Outbox,
    now: Time,
    held: Option<(Incarnation, AttemptId)>,
    reason: Name,
}

impl Default for Ours {
    fn default() -> Self {
        let limits = Limits::default().with_active_tasks(4_000_000);
        let scheduler = Scheduler::new(Config::default().with_limits(limits));
        let mut ours =
            Self { scheduler, out: Outbox::default(), now: Time::ZERO, held: None, reason: Name::from("unwanted") };
        ours.say(Command::register(AgentSpec::new(AgentId::new(1))));
        ours
    }
}

impl Ours {
    fn say(&mut self, command: Command) {
        self.now = self.now + Duration::from_micros(1);
        self.scheduler.handle(self.now, command, &mut self.out).expect("the scheduler takes what it is told");
        for effect in self.out.effects() {
            if let Effect::Dispatch { attempt, to, .. } = effect {
                self.held = Some((*to, *attempt));
            }
        }
        self.out.clear();
    }
}

impl Queue for Ours {
    fn push(&mut self, tier: usize, id: u64) {
        self.say(Command::submit(TaskSpec::new(TaskId::new(id), "work").with_tier(Tier::ALL[tier])));
    }

    fn pop(&mut self) -> Option<u64> {
        let (by, attempt) = self.held.take()?;
        self.say(Command::complete(by, attempt, Payload::NULL));
        Some(attempt.task().get())
    }

    fn cancel(&mut self, _: usize, id: u64) {
        self.say(Command::Task(TaskCommand::Cancel { task: TaskId::new(id), reason: self.reason.clone() }));
    }
}

#[derive(Default)]
struct Heap(BinaryHeap<Reverse<Key>>);

impl Queue for Heap {
    fn push(&mut self, tier: usize, id: u64) {
        self.0.push(Reverse((tier, id)));
    }

    fn pop(&mut self) -> Option<u64> {
        self.0.pop().map(|Reverse((_, id))| id)
    }

    fn cancel(&mut self, _: usize, _: u64) {}
}

/// A heap, and the tasks by number. What was cancelled is missing in the table, and passed over.
#[derive(Default)]
struct HeapAndTable(Heap, HashMap<u64, TaskSpec>);

impl Queue for HeapAndTable {
    fn push(&mut self, tier: usize, id: u64) {
        self.0.push(tier, id);
        self.1.insert(id, TaskSpec::new(TaskId::new(id), "work").with_tier(Tier::ALL[tier]));
    }

    fn pop(&mut self) -> Option<u64> {
        loop {
            let id = self.0.pop()?;
            if self.1.remove(&id).is_some() {
                return Some(id);
            }
        }
    }

    fn cancel(&mut self, _: usize, id: u64) {
        self.1.remove(&id);
    }
}

#[derive(Default)]
struct Prioritised(PriorityQueue<u64, Reverse<Key>>);

impl Queue for Prioritised {
    fn push(&mut self, tier: usize, id: u64) {
        self.0.push(id, Reverse((tier, id)));
    }

    fn pop(&mut self) -> Option<u64> {
        self.0.pop().map(|(id, _)| id)
    }

    fn cancel(&mut self, _: usize, id: u64) {
        self.0.remove(&id);
    }
}

#[derive(Default)]
struct Sorted(BTreeMap<Key, u64>);

impl Queue for Sorted {
    fn push(&mut self, tier: usize, id: u64) {
        self.0.insert((tier, id), id);
    }

    fn pop(&mut self) -> Option<u64> {
        self.0.pop_first().map(|(_, id)| id)
    }

    fn cancel(&mut self, tier: usize, id: u64) {
        self.0.remove(&(tier, id));
    }
}

#[derive(Default)]
struct Lines([VecDeque<u64>; 4]);

impl Queue for Lines {
    fn push(&mut self, tier: usize, id: u64) {
        self.0[tier].push_back(id);
    }

    fn pop(&mut self) -> Option<u64> {
        self.0.iter_mut().find_map(VecDeque::pop_front)
    }

    fn cancel(&mut self, _: usize, _: u64) {}
}

fn filled<Q: Queue + Default>(waiting: u64, random: &mut Random) -> (Q, Vec<usize>) {
    let mut queue = Q::default();
    let tiers: Vec<usize> = (0..waiting).map(|_| random.below(4)).collect();
    (0..).zip(&tiers).for_each(|(id, tier)| queue.push(*tier, id));
    (queue, tiers)
}

fn push_pop<Q: Queue + Default>(group: &mut Group<'_>, name: &str, waiting: u64) {
    let (mut random, mut filled_queue) = (Random::new(3, waiting), None::<Q>);
    let mut id = waiting;
    group.bench_function(BenchmarkId::new(name, waiting), |bencher| {
        let queue = filled_queue.get_or_insert_with(|| filled(waiting, &mut random).0);
        bencher.iter(|| {
            id += 1;
            queue.push(random.below(4), id);
            queue.pop()
        });
    });
}

fn push_cancel<Q: Queue + Default>(group: &mut Group<'_>, name: &str, waiting: u64) {
    let (mut random, mut filled_queue) = (Random::new(3, waiting), None);
    let mut id = waiting;
    group.bench_function(BenchmarkId::new(name, waiting), |bencher| {
        let (queue, there) = filled_queue.get_or_insert_with(|| {
            let (queue, tiers) = filled::<Q>(waiting, &mut random);
            (queue, (0..).zip(tiers).collect::<Vec<(u64, usize)>>())
        });
        bencher.iter(|| {
            id += 1;
            // Not the first few: an agent may have been given these.
            let (at, tier) = (there.len() - 1 - random.below(there.len() - 8), random.below(4));
            let (gone, old) = std::mem::replace(&mut there[at], (id, tier));
            queue.cancel(old, gone);
            queue.push(tier, id);
        });
    });
}

fn all(criterion: &mut Criterion<CpuTime>) {
    let sizes = sizes(&[10_000, 1_000_000], &[1_000], quick());
    let mut group = criterion.benchmark_group("queue, push and pop");
    for &waiting in sizes {
        push_pop::<Ours>(&mut group, "counterpoint scheduler, whole life of a task", waiting);
        push_pop::<Heap>(&mut group, "std BinaryHeap", waiting);
        push_pop::<HeapAndTable>(&mut group, "std BinaryHeap with a table of tasks", waiting);
        push_pop::<Prioritised>(&mut group, "priority-queue", waiting);
        push_pop::<Sorted>(&mut group, "std BTreeMap", waiting);
        push_pop::<Lines>(&mut group, "four VecDeques", waiting);
    }
    group.finish();
    let mut group = criterion.benchmark_group("queue, push and cancel any");
    for &waiting in sizes {
        push_cancel::<Ours>(&mut group, "counterpoint scheduler, whole life of a task", waiting);
        push_cancel::<Prioritised>(&mut group, "priority-queue", waiting);
        push_cancel::<Sorted>(&mut group, "std BTreeMap", waiting);
    }
    group.finish();
}

criterion_group! { name = benches; config = settings(); targets = all }
criterion_main!(benches);
