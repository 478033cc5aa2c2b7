//! The two baselines. Neither uses the library.

use crate::fleet::Worker;
use crate::load::Job;
use crate::outcome::Outcome;
use counterpoint::{Name, Time};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

/// An agent as the distributor sees it: whom it can serve, and how many slots are free.
struct Desk<'a> {
    worker: &'a Worker,
    free: u32,
    queue: VecDeque<usize>,
}

struct Floor<'a> {
    jobs: &'a [Job],
    desks: Vec<Desk<'a>>,
    /// When a slot of which agent is free again, and with which job done.
    ends: BinaryHeap<Reverse<(Time, usize, usize)>>,
    outcome: Outcome,
}

impl<'a> Floor<'a> {
    fn new(jobs: &'a [Job], workers: &'a [Worker]) -> Self {
        let desks = workers.iter().map(|worker| Desk { worker, free: worker.slots, queue: VecDeque::new() }).collect();
        Self { jobs, desks, ends: BinaryHeap::new(), outcome: Outcome::new(jobs.len(), workers.len()) }
    }

    fn begin(&mut self, now: Time, job: usize, at: usize) {
        let (Some(work), Some(desk)) = (self.jobs.get(job), self.desks.get_mut(at)) else { return };
        let takes = work.work.div_f64(desk.worker.speed);
        desk.free -= 1;
        self.outcome.begin(job, now.since(work.at), at, takes);
        self.ends.push(Reverse((now + takes, at, job)));
    }

    /// The agent with the next end at or before this moment is free again.
    fn end(&mut self, until: Time) -> Option<(Time, usize)> {
        let Reverse((now, at, job)) = *self.ends.peek()?;
        if now > until {
            return None;
        }
        self.ends.pop();
        self.outcome.succeed(job, now);
        self.desks.get_mut(at)?.free += 1;
        Some((now, at))
    }
}

/// The agents that hold each model.
fn holders(workers: &[Worker]) -> BTreeMap<&Name, Vec<usize>> {
    let mut holders: BTreeMap<&Name, Vec<usize>> = BTreeMap::new();
    for (at, worker) in workers.iter().enumerate() {
        worker.skills.iter().for_each(|skill| holders.entry(skill).or_default().push(at));
    }
    holders
}

/// What a naive distributor does: each job goes at once into the queue of the next agent that holds its model, however fast
/// and however busy that agent is.
pub fn round_robin(jobs: &[Job], workers: &[Worker]) -> Outcome {
    let (holders, mut turns) = (holders(workers), BTreeMap::new());
    let mut floor = Floor::new(jobs, workers);
    let next = |floor: &mut Floor<'_>, until| {
        while let Some((now, at)) = floor.end(until) {
            if let Some(job) = floor.desks.get_mut(at).and_then(|desk| desk.queue.pop_front()) {
                floor.begin(now, job, at);
            }
        }
    };
    for (number, job) in jobs.iter().enumerate() {
        next(&mut floor, job.at);
        let Some(able) = holders.get(&job.skill) else { continue };
        let turn: &mut usize = turns.entry(&job.skill).or_default();
        let Some(&at) = able.get(*turn % able.len()) else { continue };
        *turn += 1;
        match floor.desks.get_mut(at) {
            Some(desk) if desk.free == 0 => desk.queue.push_back(number),
            _ => floor.begin(job.at, number, at),
        }
    }
    next(&mut floor, Time::MAX);
    floor.outcome
}

/// The honest one: a single queue in order of arrival; the first that any idle agent can do goes to the fastest of them. It
/// knows how fast the agents are.
pub fn central_fifo(jobs: &[Job], workers: &[Worker]) -> Outcome {
    let holders = holders(workers);
    let mut lines: BTreeMap<&Name, VecDeque<usize>> = BTreeMap::new();
    let mut floor = Floor::new(jobs, workers);
    let ends = |floor: &mut Floor<'_>, lines: &mut BTreeMap<&Name, VecDeque<usize>>, until| {
        while let Some((now, at)) = floor.end(until) {
            let skills = floor.desks.get(at).map_or(&[][..], |desk| &desk.worker.skills);
            let heads = skills.iter().filter_map(|skill| Some((*lines.get(skill)?.front()?, skill)));
            let Some((job, skill)) = heads.min() else { continue };
            lines.get_mut(skill).and_then(VecDeque::pop_front);
            floor.begin(now, job, at);
        }
    };
    for (number, job) in jobs.iter().enumerate() {
        ends(&mut floor, &mut lines, job.at);
        let idle = holders.get(&job.skill).into_iter().flatten().filter_map(|at| Some((*at, floor.desks.get(*at)?)));
        let idle = idle.filter(|(_, desk)| desk.free > 0);
        let fastest = idle.max_by(|a, b| a.1.worker.speed.total_cmp(&b.1.worker.speed).then(b.0.cmp(&a.0)));
        match fastest.map(|(at, _)| at) {
            Some(at) => floor.begin(job.at, number, at),
            None => lines.entry(&job.skill).or_default().push_back(number),
        }
    }
    ends(&mut floor, &mut lines, Time::MAX);
    floor.outcome
}
