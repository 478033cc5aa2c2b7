//! The state of the annealing, its moves, and their incremental evaluation.
#![expect(
    clippy::indexing_slicing,
    reason = "inner loop of the search: every task, index and agent comes from `State::new` and is within bounds"
)]

use super::super::problem::Mode;
use super::network::Network;
use crate::base::structure::Random;

/// The random numbers of a search: fast, and the same on every machine.
pub(in crate::planning) struct Draw(Random);

impl Draw {
    pub(in crate::planning) fn new(seed: u64) -> Self {
        Self(Random::new(seed, 0))
    }

    /// A number below a bound that is far below 2^32: the upper half of a product.
    pub(in crate::planning) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(((self.0.bits() >> 32).wrapping_mul(bound as u64)) >> 32).unwrap_or(0)
    }

    /// A number from the exponential distribution with mean 1, from bits and a series, so that no platform library affects it.
    pub(in crate::planning) fn exponential(&mut self) -> f64 {
        let bits = self.0.bits() | 1;
        let zeros = bits.leading_zeros();
        // The bits after the first one, as a number in [1, 2).
        let mantissa = f64::from_bits((bits << zeros << 1 >> 12) | 0x3ff0_0000_0000_0000);
        let ratio = (mantissa - 1.0) / (mantissa + 1.0);
        let square = ratio * ratio;
        let log = 2.0 * ratio * (1.0 + square * (1.0 / 3.0 + square * (0.2 + square * (1.0 / 7.0 + square / 9.0))));
        core::f64::consts::LN_2 * f64::from(zeros + 1) - log
    }
}

/// An order, an assignment and their schedule.
pub(super) struct State<'a> {
    network: &'a Network<'a>,
    order: Vec<usize>,
    index: Vec<usize>,
    modes: Vec<usize>,
    mode: Vec<Mode>,
    agent: Vec<usize>,
    span: Vec<u64>,
    cost: u64,
    budget: u64,
    ends: Vec<u64>,
    /// The total lateness of the tasks before each index.
    sums: Vec<u64>,
    late: u64,
    target: u64,
    trial: Trial,
    /// The end of the work that each agent already has under way.
    busy: Vec<u64>,
    /// The tasks with more than one mode.
    open: Vec<usize>,
}

/// The schedule under evaluation. Between evaluations, its ends and sums equal those of the state.
struct Trial {
    ends: Vec<u64>,
    sums: Vec<u64>,
    /// When each agent is free again.
    free: Vec<u64>,
}

impl<'a> State<'a> {
    pub(super) fn new(network: &'a Network<'a>, order: &[usize], modes: &[usize]) -> Self {
        let len = network.len();
        let mut index = vec![0; len];
        for (at, &task) in order.iter().enumerate() {
            index[task] = at;
        }
        let mode: Vec<Mode> = (0..len).map(|task| network.modes(task)[modes[task]]).collect();
        let agents = network.problem.agents();
        Self {
            network,
            order: order.to_vec(),
            index,
            modes: modes.to_vec(),
            agent: mode.iter().map(|mode| mode.agent.unwrap_or(0)).collect(),
            span: mode.iter().map(|mode| mode.span).collect(),
            cost: mode.iter().map(|mode| mode.cost).fold(0, u64::saturating_add),
            mode,
            budget: network.problem.budget.unwrap_or(u64::MAX),
            ends: vec![0; len],
            sums: vec![0; len + 1],
            late: u64::MAX,
            target: 0,
            trial: Trial { ends: vec![0; len], sums: vec![0; len + 1], free: vec![0; agents] },
            busy: network.problem.busy.iter().map(|busy| busy.iter().copied().max().unwrap_or(0)).collect(),
            open: (0..len).filter(|&task| network.modes(task).len() > 1).collect(),
        }
    }

    pub(super) fn order(&self) -> &[usize] {
        &self.order
    }

    pub(super) fn modes(&self) -> &[usize] {
        &self.modes
    }

    pub(super) fn ends(&self) -> &[u64] {
        &self.ends
    }

    pub(super) const fn late(&self) -> u64 {
        self.late
    }

    /// Sets the target and evaluates the whole schedule.
    pub(super) fn aim(&mut self, target: u64) {
        self.target = target;
        self.late = u64::MAX;
        self.evaluate(0, u64::MAX);
    }

    /// Tries one move.
    pub(super) fn step(&mut self, temperature: f64, draw: &mut Draw) {
        if self.order.len() < 2 {
            return;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and is not negative")]
        let limit = self.late.saturating_add((temperature * draw.exponential()) as u64);
        let kind = draw.below(8);
        if kind < 4 || self.open.is_empty() {
            self.shift(limit, draw);
        } else if kind < 6 {
            self.reassign(limit, draw);
        } else {
            self.swap(limit, draw);
        }
    }

    fn shift(&mut self, limit: u64, draw: &mut Draw) {
        let at = draw.below(self.order.len());
        let task = self.order[at];
        let before = self.network.before.of_task(task).iter().map(|&(first, _)| self.index[first] + 1);
        let low = before.max().unwrap_or(0);
        let then = self.network.then.of_task(task).iter().map(|&(next, _)| self.index[next]);
        let high = then.min().unwrap_or(self.order.len());
        let to = low + draw.below(high - low);
        if to == at {
            return;
        }
        self.rotate(at, to);
        if !self.evaluate(at.min(to), limit) {
            self.rotate(to, at);
        }
    }

    fn rotate(&mut self, from: usize, to: usize) {
        let (low, high) = (from.min(to), from.max(to));
        if from < to {
            self.order[low..=high].rotate_left(1);
        } else {
            self.order[low..=high].rotate_right(1);
        }
        for at in low..=high {
            self.index[self.order[at]] = at;
        }
    }

    fn reassign(&mut self, limit: u64, draw: &mut Draw) {
        let task = self.open[draw.below(self.open.len())];
        let modes = self.network.modes(task).len();
        let old = self.modes[task];
        let new = (old + 1 + draw.below(modes - 1)) % modes;
        self.choose(task, new);
        if self.cost > self.budget || !self.evaluate(self.index[task], limit) {
            self.choose(task, old);
        }
    }

    /// Swaps the agents of two tasks.
    fn swap(&mut self, limit: u64, draw: &mut Draw) {
        let one = self.open[draw.below(self.open.len())];
        let two = self.open[draw.below(self.open.len())];
        let find = |task: usize, agent| self.network.modes(task).iter().position(|mode| mode.agent == Some(agent));
        let (old_one, old_two) = (self.modes[one], self.modes[two]);
        if self.agent[one] == self.agent[two] {
            return;
        }
        let (Some(new_one), Some(new_two)) = (find(one, self.agent[two]), find(two, self.agent[one])) else { return };
        self.choose(one, new_one);
        self.choose(two, new_two);
        if self.cost > self.budget || !self.evaluate(self.index[one].min(self.index[two]), limit) {
            self.choose(one, old_one);
            self.choose(two, old_two);
        }
    }

    fn choose(&mut self, task: usize, mode: usize) {
        let new = self.network.modes(task)[mode];
        self.cost = self.cost.saturating_sub(self.mode[task].cost).saturating_add(new.cost);
        self.modes[task] = mode;
        self.mode[task] = new;
        self.agent[task] = new.agent.unwrap_or(0);
        self.span[task] = new.span;
    }

    /// Evaluates the schedule from the first changed index on. Accepts it and returns true if its lateness is within the limit.
    fn evaluate(&mut self, from: usize, limit: u64) -> bool {
        self.trial.free.copy_from_slice(&self.busy);
        for &task in &self.order[..from] {
            self.trial.free[self.agent[task]] = self.ends[task];
        }
        let mut sum = self.sums[from];
        let mut reached = from;
        for &task in &self.order[from..] {
            let agent = self.agent[task];
            let mut start = self.trial.free[agent].max(self.network.problem.release[task]);
            for &(first, lag) in self.network.before.of_task(task) {
                start = start.max(self.trial.ends[first] + lag);
            }
            let end = start + self.span[task];
            self.trial.free[agent] = end;
            self.trial.ends[task] = end;
            sum = sum.saturating_add((end + self.network.tails[task]).saturating_sub(self.target));
            reached += 1;
            self.trial.sums[reached] = sum;
            if sum > limit {
                break;
            }
        }
        let taken = sum <= limit;
        if taken {
            self.late = sum;
            for &task in &self.order[from..] {
                self.ends[task] = self.trial.ends[task];
            }
            self.sums[from..].copy_from_slice(&self.trial.sums[from..]);
        } else {
            for &task in &self.order[from..reached] {
                self.trial.ends[task] = self.ends[task];
            }
        }
        taken
    }
}
