//! The same load at a central scheduler.

use super::Setup;
use counterpoint::Random;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// The duration of a task.
pub fn service(random: &mut Random, setup: &Setup) -> Duration {
    let service = -(1.0 - random.unit()).ln() * setup.service.as_secs_f64();
    Duration::from_secs_f64(service.clamp(0.001, 60.0))
}

/// What a central scheduler that knows everything, at once and for nothing, makes of the same arrivals.
pub fn central(setup: &Setup) -> f64 {
    let mut random = Random::new(setup.seed, 0);
    let slots = setup.agents * setup.slots as usize;
    let capacity = slots as f64 / setup.service.as_secs_f64();
    let mut free: BinaryHeap<Reverse<u64>> = (0..slots).map(|_| Reverse(0)).collect();
    let mut at = 1.0_f64;
    let mut spans = Vec::new();
    for _ in 0..setup.tasks {
        at += -(1.0 - random.unit()).ln() / (capacity * setup.load);
        let _tier = random.below(5);
        let service = service(&mut random, setup).as_secs_f64();
        let Reverse(first) = free.pop().unwrap();
        let begins = first.max((at * 1e9) as u64);
        let ends = begins + (service * 1e9) as u64;
        free.push(Reverse(ends));
        spans.push((begins as f64 / 1e9, ends as f64 / 1e9));
    }
    let busy: f64 = spans.iter().map(|(begins, ends)| (ends.min(at) - begins).max(0.0)).sum();
    busy / ((at - 1.0) * slots as f64)
}
