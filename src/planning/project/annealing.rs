//! Simulated annealing over an order of tasks and their agents.
//!
//! A schedule appends each task to its agent's sequence, in order. The objective is not the makespan, which most moves do not
//! change, but the total lateness of tasks over a target just below the best makespan: for each task, its end plus the least time
//! that must follow it. When no task is late, the target is reached and lowered. Temperatures fall geometrically, in rounds of
//! doubling length. The evaluation of a schedule stops as soon as its lateness exceeds the random limit of its acceptance.

use super::moves::{Draw, State};
use super::network::Network;
use super::solution::{Best, SearchMonitor};

/// Schedules of the first round, for each task.
const FIRST_ROUND: u64 = 100;
/// The number of rounds of doubling length after which the length starts again.
const DOUBLINGS: u32 = 8;
/// The first and the last temperature of a round, as fractions of the mean duration of a task.
const HOT: f64 = 0.02;
const COLD: f64 = 0.0005;
/// The round after which the destructive bound is computed.
const TIGHTEN_ROUND: u32 = 4;
/// The factor on the temperature of every third round.
const WARM: f64 = 5.0;
/// Schedules at one temperature.
const STEP: u64 = 64;

pub(super) fn anneal(network: &Network<'_>, best: &mut Best, monitor: &mut SearchMonitor<'_>, seed: u64) {
    let mut draw = Draw::new(seed);
    let mut state = State::new(network, &best.order, &best.modes);
    let mean = mean_span(network);
    let mut round = 0;
    state.aim(best.makespan.saturating_sub(1));
    while best.makespan > monitor.bound {
        let length = FIRST_ROUND.saturating_mul(network.len() as u64) << (round % DOUBLINGS);
        round += 1;
        let steps = length / STEP;
        let cooling = (COLD / HOT).powf(1.0 / steps.max(1) as f64);
        // Cold rounds converge fast; a warm one leaves their local optimum.
        let warmth = if round % 3 == 0 { WARM } else { 1.0 };
        let mut temperature = HOT * warmth * mean;
        for _ in 0..steps {
            for _ in 0..STEP {
                state.step(temperature, &mut draw);
                if state.late() == 0 {
                    best.take(state.order(), state.modes(), state.ends());
                    if best.makespan <= monitor.bound {
                        return;
                    }
                    state.aim(best.makespan.saturating_sub(1));
                }
            }
            temperature *= cooling;
            if !monitor.go_on(STEP, best.makespan) {
                return;
            }
        }
        if round == TIGHTEN_ROUND {
            monitor.tighten_bound(network, best.makespan);
        }
    }
}

fn mean_span(network: &Network<'_>) -> f64 {
    let sum: u64 = (0..network.len()).map(|task| network.span(task)).fold(0, u64::saturating_add);
    sum as f64 / network.len().max(1) as f64
}
