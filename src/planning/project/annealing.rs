//! Simulated annealing over an order of tasks and who does them.
//!
//! A schedule appends each task to its agent, in order. What is minimised is not the makespan, which most moves leave as it
//! is, but the total lateness of tasks over a target just below the best makespan: each end plus the least time that must
//! follow it. When nothing is late, the target is reached and falls. Temperatures fall geometrically, in rounds of doubling
//! length. A schedule is given up as soon as it is later than the draw for its acceptance allows.

use super::moves::{Draw, State};
use super::network::Network;
use super::solution::{Best, Watch};

/// Schedules in the first round, for each task.
const FIRST_ROUND: u64 = 100;
/// Rounds after which the length starts again.
const DOUBLINGS: u32 = 8;
/// The first and last temperature of a round, as parts of the mean duration of a task.
const HOT: f64 = 0.02;
const COLD: f64 = 0.0005;
/// After so many rounds the bound is looked at once more.
const LOOK_CLOSER: u32 = 4;
/// How much warmer every third round is.
const WARM: f64 = 5.0;
/// Schedules at one temperature.
const STEP: u64 = 64;

pub(super) fn anneal(network: &Network<'_>, best: &mut Best, watch: &mut Watch<'_>, seed: u64) {
    let mut draw = Draw::new(seed);
    let mut state = State::new(network, &best.order, &best.modes);
    let mean = mean_span(network);
    let mut round = 0;
    state.aim(best.makespan.saturating_sub(1));
    while best.makespan > watch.bound {
        let length = FIRST_ROUND.saturating_mul(network.len() as u64) << (round % DOUBLINGS);
        round += 1;
        let steps = length / STEP;
        let cooling = (COLD / HOT).powf(1.0 / steps.max(1) as f64);
        // Cold rounds are quick; where they do not get away from, a warmer one does.
        let warmth = if round % 3 == 0 { WARM } else { 1.0 };
        let mut temperature = HOT * warmth * mean;
        for _ in 0..steps {
            for _ in 0..STEP {
                state.step(temperature, &mut draw);
                if state.late() == 0 {
                    best.take(state.order(), state.modes(), state.ends());
                    if best.makespan <= watch.bound {
                        return;
                    }
                    state.aim(best.makespan.saturating_sub(1));
                }
            }
            temperature *= cooling;
            if !watch.go_on(STEP, best.makespan) {
                return;
            }
        }
        if round == LOOK_CLOSER {
            watch.look_closer(network, best.makespan);
        }
    }
}

fn mean_span(network: &Network<'_>) -> f64 {
    let sum: u64 = (0..network.len()).map(|task| network.span(task)).fold(0, u64::saturating_add);
    sum as f64 / network.len().max(1) as f64
}
