//! The agents: their speeds and their models.

use crate::load::{Load, Placement, count};
use counterpoint::{AgentId, AgentSpec, Name, Random};
use std::collections::BTreeMap;

/// An agent as the world knows it. The scheduler knows its spec alone; the naive distributor not even the speed.
#[derive(Debug, Clone)]
pub struct Worker {
    pub speed: f64,
    pub slots: u32,
    pub skills: Vec<Name>,
    /// How many of its slots are kept for the first tier.
    pub reserved: u32,
}

/// Four to one from the fastest to the slowest.
const SPEEDS: [f64; 8] = [0.5, 0.75, 1.0, 1.0, 1.25, 1.5, 0.6, 2.0];
const SLOTS: [u32; 8] = [1, 2, 1, 1, 1, 2, 1, 1];

/// So many agents, with the models placed as the load says.
pub fn fleet(size: usize, load: &Load, seed: u64) -> Vec<Worker> {
    let pattern = SPEEDS.iter().zip(SLOTS).cycle();
    let mut workers: Vec<Worker> =
        pattern.take(size).map(|(&speed, slots)| Worker { speed, slots, skills: Vec::new(), reserved: 0 }).collect();
    let mut demand: BTreeMap<&Name, f64> = BTreeMap::new();
    for job in &load.jobs {
        *demand.entry(&job.skill).or_default() += job.work.as_secs_f64();
    }
    let mut models: Vec<(&Name, f64)> = demand.into_iter().collect();
    models.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut given = vec![0.0; size];
    for (number, (model, work)) in (0..).zip(models) {
        let holders = match load.placement {
            Placement::Everywhere => (0..size).collect(),
            Placement::Quarter => drawn(size, size / 4, seed, number),
            Placement::ByDemand => by_demand(&workers, &mut given, work / load.work(), work),
        };
        for (at, worker) in workers.iter_mut().enumerate() {
            if holders.contains(&at) {
                worker.skills.push(model.clone());
            }
        }
    }
    workers
}

/// Twice the share that it needs, and one more; those with the least placed on them first.
fn by_demand(workers: &[Worker], given: &mut [f64], share: f64, work: f64) -> Vec<usize> {
    let size = workers.len();
    let mut order: Vec<usize> = (0..size).collect();
    let load = |at: &usize| {
        let power = workers.get(*at).map_or(1.0, Worker::power);
        given.get(*at).map_or(0.0, |given| given / power)
    };
    order.sort_by(|a, b| load(a).total_cmp(&load(b)));
    let copies = (1..size).find(|copies| count(*copies) >= 2.0 * share * count(size)).unwrap_or(size) + 1;
    order.truncate(copies.min(size));
    let each = work / count(order.len());
    order.iter().for_each(|at| given.get_mut(*at).into_iter().for_each(|given| *given += each));
    order
}

fn drawn(size: usize, copies: usize, seed: u64, number: u64) -> Vec<usize> {
    let mut random = Random::new(seed, number);
    let mut all: Vec<usize> = (0..size).collect();
    (0..copies.max(1)).map(|_| all.swap_remove(random.below(all.len()))).collect()
}

impl Worker {
    pub fn power(&self) -> f64 {
        self.speed * f64::from(self.slots)
    }

    /// What a second of it costs: faster is dearer, and more than in proportion.
    pub fn price(&self) -> f64 {
        self.speed * self.speed.sqrt()
    }

    pub fn spec(&self, id: u64) -> AgentSpec {
        let price = std::time::Duration::from_secs_f64(self.price()).as_micros();
        let weight = std::time::Duration::from_secs_f64(self.power()).as_millis();
        let mut spec = AgentSpec::new(AgentId::new(id))
            .with_capacity(self.slots)
            .with_reserved(self.reserved)
            .with_cost_per_second(u64::try_from(price).unwrap_or(u64::MAX))
            .with_weight(u32::try_from(weight).unwrap_or(u32::MAX));
        spec.skills = self.skills.iter().map(|skill| (skill.clone(), 1)).collect();
        spec
    }
}

/// Speed in all.
pub fn power(workers: &[Worker]) -> f64 {
    workers.iter().map(Worker::power).sum()
}
