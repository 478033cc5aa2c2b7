//! The distance to a floor: the load of `dispatch` on a scheduler of a few hundred lines in safe Rust, which does no more than
//! the load needs, next to the scheduler of this crate.
//!
//! The floor accepts tasks once, keeps 64 requirement classes and four tiers in order of virtual deadlines, rotates among free
//! agents, checks attempts, remembers 10,000 ended tasks, and returns events and effects. It has no guards, timers, quotas,
//! strategies, policies, dependencies and shares, and cannot be restored.
//!
//! `cargo bench -p benches --bench floor`
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "a bench fails loudly")]

mod load;

use counterpoint::{Random, Tier, Time};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use load::{AGENTS, CLASSES, Load, SKILLS, SKILLS_OF_AN_AGENT, config, guarded};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

const NONE: u32 = u32::MAX;
const WORDS: usize = 16;
const _: () = assert!(WORDS as u64 * 64 > AGENTS, "there is a bit for each agent");
const REMEMBERED: usize = 10_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Queued,
    Running { agent: u32 },
    Ended,
}

/// A task: 56 bytes.
#[derive(Clone, Copy)]
struct Task {
    id: u64,
    rank: (u64, u64),
    next: u32,
    attempts: u32,
    class: u8,
    tier: u8,
    stage: Stage,
}

#[derive(Clone, Copy)]
struct Agent {
    classes: u64,
    session: u32,
    /// The task that it holds.
    holds: u32,
}

/// The fencing token of an attempt. The place of the task saves a look-up.
#[derive(Clone, Copy)]
struct Attempt {
    task: u64,
    place: u32,
    number: u32,
}

#[derive(Clone, Copy)]
#[expect(dead_code, reason = "events are for a journal, which this bench does not have")]
enum Event {
    Submitted { task: u64, class: u8, tier: u8 },
    Assigned { attempt: Attempt, agent: u32 },
    Succeeded { attempt: Attempt, agent: u32 },
    Forgotten { task: u64 },
}

#[derive(Clone, Copy)]
struct Entry {
    #[expect(dead_code, reason = "events are for a journal, which this bench does not have")]
    seq: u64,
    #[expect(dead_code, reason = "events are for a journal, which this bench does not have")]
    at: Time,
    #[expect(dead_code, reason = "events are for a journal, which this bench does not have")]
    event: Event,
}

/// An attempt for an agent.
#[derive(Clone, Copy)]
struct Dispatch {
    attempt: Attempt,
    agent: u32,
    session: u32,
}

#[derive(Clone, Copy)]
struct List {
    first: u32,
    last: u32,
}

#[derive(Clone)]
struct Class {
    agents: [u64; WORDS],
    tiers: [List; 4],
    /// The agent that was assigned a task last.
    turn: usize,
}

#[derive(Debug)]
struct Refused;

/// The floor.
struct Floor {
    tasks: Vec<Task>,
    spare: Vec<u32>,
    by_id: HashMap<u64, u32>,
    ended: VecDeque<u32>,
    classes: Vec<Class>,
    /// The first task of each class.
    fronts: [((u64, u64), u32); CLASSES],
    /// The classes with waiting tasks.
    ready: u64,
    agents: Vec<Agent>,
    free: [u64; WORDS],
    seq: u64,
    entries: Vec<Entry>,
    effects: Vec<Dispatch>,
}

impl Floor {
    fn new(agents: Vec<u64>) -> Self {
        let tiers = [List { first: NONE, last: NONE }; 4];
        let mut classes = vec![Class { agents: [0; WORDS], tiers, turn: 0 }; CLASSES];
        let mut free = [0; WORDS];
        for (at, serves) in agents.iter().enumerate() {
            free[at / 64] |= 1 << (at % 64);
            let of_agent = classes.iter_mut().enumerate().filter(|(class, _)| serves & (1 << class) != 0);
            of_agent.for_each(|(_, class)| class.agents[at / 64] |= 1 << (at % 64));
        }
        Self {
            tasks: Vec::new(),
            spare: Vec::new(),
            by_id: HashMap::new(),
            ended: VecDeque::new(),
            classes,
            fronts: [((0, 0), NONE); CLASSES],
            ready: 0,
            agents: agents.into_iter().map(|classes| Agent { classes, session: 1, holds: NONE }).collect(),
            free,
            seq: 0,
            entries: Vec::new(),
            effects: Vec::new(),
        }
    }

    fn record(&mut self, at: Time, event: Event) {
        self.seq += 1;
        self.entries.push(Entry { seq: self.seq, at, event });
    }

    /// Accepts a task unless it is known.
    fn submit(&mut self, now: Time, id: u64, class: u8, tier: Tier) -> Result<(), Refused> {
        if self.by_id.contains_key(&id) || usize::from(class) >= CLASSES {
            return Err(Refused);
        }
        let rank = ((now + tier.latency_target()).as_nanos(), self.seq + 1);
        let tier = tier as u8;
        let task = Task { id, rank, next: NONE, attempts: 0, class, tier, stage: Stage::Queued };
        let place = match self.spare.pop() {
            Some(place) => {
                self.tasks[place as usize] = task;
                place
            }
            None => {
                self.tasks.push(task);
                u32::try_from(self.tasks.len() - 1).unwrap()
            }
        };
        self.by_id.insert(id, place);
        self.push(place, &task);
        self.record(now, Event::Submitted { task: id, class, tier });
        if let Some(agent) = self.free_for(class) {
            self.assign(now, class, agent);
        }
        Ok(())
    }

    fn push(&mut self, place: u32, task: &Task) {
        let class = usize::from(task.class);
        let list = &mut self.classes[class].tiers[usize::from(task.tier)];
        match list.last {
            NONE => list.first = place,
            last => self.tasks[last as usize].next = place,
        }
        list.last = place;
        if self.ready & (1 << class) == 0 || task.rank < self.fronts[class].0 {
            self.fronts[class] = (task.rank, place);
            self.ready |= 1 << class;
        }
    }

    /// Removes the first task of a class.
    fn pop(&mut self, class: usize) -> u32 {
        let place = self.fronts[class].1;
        let Task { tier, next, .. } = self.tasks[place as usize];
        let lists = &mut self.classes[class].tiers;
        lists[usize::from(tier)].first = next;
        if next == NONE {
            lists[usize::from(tier)].last = NONE;
        }
        let firsts = lists.iter().map(|list| list.first).filter(|first| *first != NONE);
        match firsts.map(|first| (self.tasks[first as usize].rank, first)).min() {
            Some(front) => self.fronts[class] = front,
            None => self.ready &= !(1 << class),
        }
        place
    }

    /// The next free agent after the one that was assigned a task of the class last.
    fn free_for(&self, class: u8) -> Option<u32> {
        let Class { agents, turn, .. } = &self.classes[usize::from(class)];
        let word = |at: usize| agents[at] & self.free[at];
        let from = turn + 1;
        let first = word(from / 64 % WORDS) & (u64::MAX << (from % 64));
        let rest = (1..=WORDS).map(|step| (from / 64 + step) % WORDS);
        let found = core::iter::once((from / 64 % WORDS, first)).chain(rest.map(|at| (at, word(at))));
        let (at, bits) = found.into_iter().find(|(_, bits)| *bits != 0)?;
        u32::try_from(at * 64 + bits.trailing_zeros() as usize).ok()
    }

    fn assign(&mut self, now: Time, class: u8, agent: u32) {
        let place = self.pop(usize::from(class));
        let task = &mut self.tasks[place as usize];
        task.attempts += 1;
        task.stage = Stage::Running { agent };
        let attempt = Attempt { task: task.id, place, number: task.attempts };
        self.agents[agent as usize].holds = place;
        self.free[agent as usize / 64] &= !(1 << (agent % 64));
        self.classes[usize::from(class)].turn = agent as usize;
        self.record(now, Event::Assigned { attempt, agent });
        self.effects.push(Dispatch { attempt, agent, session: self.agents[agent as usize].session });
    }

    /// Ends an attempt if it is the current one of its task and this session of the agent holds it.
    fn complete(&mut self, now: Time, (agent, session): (u32, u32), attempt: Attempt) -> Result<(), Refused> {
        let holder = self.agents.get_mut(agent as usize).filter(|agent| agent.session == session).ok_or(Refused)?;
        let task = self.tasks.get_mut(attempt.place as usize).filter(|task| task.id == attempt.task).ok_or(Refused)?;
        if task.stage != (Stage::Running { agent }) || task.attempts != attempt.number {
            return Err(Refused);
        }
        task.stage = Stage::Ended;
        holder.holds = NONE;
        self.free[agent as usize / 64] |= 1 << (agent % 64);
        self.ended.push_back(attempt.place);
        self.record(now, Event::Succeeded { attempt, agent });
        self.next_for(now, agent);
        self.forget(now);
        Ok(())
    }

    /// Assigns the first task over all classes that the agent serves to the agent whose turn it is.
    fn next_for(&mut self, now: Time, agent: u32) {
        let mut classes = self.agents[agent as usize].classes & self.ready;
        let mut first: Option<((u64, u64), u32)> = None;
        while classes != 0 {
            let class = classes.trailing_zeros();
            classes &= classes - 1;
            let rank = self.fronts[class as usize].0;
            if first.is_none_or(|(best, _)| rank < best) {
                first = Some((rank, class));
            }
        }
        let class = first.and_then(|(_, class)| u8::try_from(class).ok());
        if let Some((class, agent)) = class.and_then(|class| Some((class, self.free_for(class)?))) {
            self.assign(now, class, agent);
        }
    }

    fn forget(&mut self, now: Time) {
        while self.ended.len() > REMEMBERED {
            let place = self.ended.pop_front().unwrap();
            let task = self.tasks[place as usize].id;
            self.by_id.remove(&task);
            self.spare.push(place);
            self.record(now, Event::Forgotten { task });
        }
    }
}

/// The floor in full work, with the load of [`Load`].
struct FloorLoad {
    floor: Floor,
    held: VecDeque<Dispatch>,
    random: Random,
    serial: u64,
    waiting: u64,
    now: Time,
}

impl FloorLoad {
    fn new(waiting: u64) -> Self {
        let mut random = Random::new(42, 0);
        let pairs: Vec<u64> = (0..CLASSES)
            .map(|_| {
                let (a, b) = (random.below(SKILLS), random.below(SKILLS - 1));
                (1 << a) | (1 << ((a + 1 + b) % SKILLS))
            })
            .collect();
        let agents = (0..AGENTS).map(|_| {
            let mut skills = 0_u64;
            while skills.count_ones() as usize != SKILLS_OF_AN_AGENT {
                skills |= 1 << random.below(SKILLS);
            }
            let serves = pairs.iter().enumerate().filter(|(_, pair)| skills & **pair == **pair);
            serves.fold(0_u64, |classes, (class, _)| classes | (1 << class))
        });
        let floor = Floor::new(agents.collect());
        let mut load = Self { floor, held: VecDeque::new(), random, serial: 0, waiting: 0, now: Time::ZERO };
        while load.waiting < waiting {
            load.submit();
        }
        load
    }

    fn drain(&mut self) {
        self.waiting -= self.floor.effects.len() as u64;
        self.held.extend(self.floor.effects.drain(..));
        let _drained = std::hint::black_box(self.floor.entries.len());
        self.floor.entries.clear();
    }

    fn submit(&mut self) {
        self.serial += 1;
        self.now = self.now + Duration::from_micros(1);
        let class = u8::try_from(self.random.below(CLASSES)).unwrap();
        let tier = Tier::ALL[self.random.below(4)];
        self.floor.submit(self.now, self.serial, class, tier).unwrap();
        self.waiting += 1;
        self.drain();
    }

    fn round(&mut self) {
        self.submit();
        if let Some(Dispatch { attempt, agent, session }) = self.held.pop_front() {
            self.now = self.now + Duration::from_micros(1);
            self.floor.complete(self.now, (agent, session), attempt).unwrap();
            self.drain();
        }
    }
}

fn distance(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("distance");
    group.throughput(Throughput::Elements(1)).sample_size(20).measurement_time(Duration::from_secs(4));
    for waiting in [1_000, 100_000, 1_000_000] {
        let mut load = FloorLoad::new(waiting);
        group.bench_function(format!("floor, {waiting} waiting"), |bencher| bencher.iter(|| load.round()));
        let mut load = Load::new(config(), waiting, false);
        group.bench_function(format!("scheduler, {waiting} waiting"), |bencher| bencher.iter(|| load.round()));
        let mut load = Load::new(guarded(), waiting, false);
        group.bench_function(format!("scheduler with guards, {waiting} waiting"), |bencher| {
            bencher.iter(|| load.round());
        });
    }
    group.finish();
}

criterion_group!(benches, distance);
criterion_main!(benches);
