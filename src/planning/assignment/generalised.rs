//! Generalised assignment: each pair of a row and a column takes its own amount of the column's capacity.
//!
//! The problem is NP-hard, so there is a bound and a search. The capacities are relaxed with Lagrange multipliers (Ross and
//! Soland 1975; Fisher 1981), here called prices, which are improved by subgradient steps. The assignment at each step is made
//! feasible and improved by shifts and swaps of rows (a simple form of Yagiura, Ibaraki and Glover 2004). A depth-first branch
//! and bound then closes the remaining gap.

use super::{AssignError, Assignment, Costs};
use crate::planning::project::Draw;

/// The limits of the search of [`assign_generalised`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchLimits {
    /// The number of subgradient steps, each followed by an attempt to make the relaxed assignment feasible.
    pub prices: u32,
    /// The number of nodes of the branch and bound.
    pub nodes: u64,
    /// The seed of the search. The same problem, limits and seed give the same assignment.
    pub seed: u64,
}

impl Default for SearchLimits {
    /// 300 subgradient steps, 100,000 nodes.
    fn default() -> Self {
        Self { prices: 300, nodes: 100_000, seed: 0 }
    }
}

impl SearchLimits {
    /// Sets the number of subgradient steps.
    #[must_use]
    pub const fn with_iterations(mut self, prices: u32) -> Self {
        self.prices = prices;
        self
    }

    /// Sets the number of nodes of the branch and bound.
    #[must_use]
    pub const fn with_nodes(mut self, nodes: u64) -> Self {
        self.nodes = nodes;
        self
    }

    /// Sets the seed.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

/// Finds an assignment of least cost in which each row has one column and the rows of a column take no more than its capacity.
/// `takes` holds the amount that each pair takes.
///
/// The result is optimal if its bound equals its cost; otherwise the bound limits the distance to the optimum.
/// ```
/// use counterpoint::planning::{Costs, SearchLimits, assign_generalised};
///
/// // Two large jobs and a small one, machines of 10 and 6 hours.
/// let costs = Costs::new(3, 2, vec![1.0, 3.0, 1.0, 4.0, 1.0, 2.0])?;
/// let hours = Costs::new(3, 2, vec![8.0, 6.0, 7.0, 6.0, 2.0, 2.0])?;
/// let found = assign_generalised(&costs, &hours, &[10.0, 6.0], SearchLimits::default())?;
/// assert_eq!(found.columns, [Some(1), Some(0), Some(0)]);
/// assert_eq!((found.cost, found.bound), (5.0, 5.0));
/// # Ok::<(), counterpoint::planning::AssignError>(())
/// ```
///
/// # Errors
///
/// [`AssignError::Shape`] if the dimensions of costs, amounts and capacities differ; [`AssignError::InvalidValue`] if an amount or
/// a capacity is negative or NaN; [`AssignError::Infeasible`] if no assignment exists; [`AssignError::NotFound`] if none was
/// found within the limits.
pub fn assign_generalised(
    costs: &Costs,
    takes: &Costs,
    capacities: &[f64],
    effort: SearchLimits,
) -> Result<Assignment, AssignError> {
    if (costs.rows, costs.columns) != (takes.rows, takes.columns) || capacities.len() != costs.columns {
        return Err(AssignError::Shape);
    }
    if takes.values.iter().chain(capacities).any(|value| value.is_nan() || *value < 0.0) {
        return Err(AssignError::InvalidValue);
    }
    let mut search = Search::new(costs, takes, capacities)?;
    search.relax(effort);
    search.prove(effort.nodes);
    search.answer()
}

/// A column that a row can be assigned to.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    column: usize,
    cost: f64,
    takes: f64,
}

struct Search {
    /// The candidates of each row: those that fit if the row is alone.
    candidates: Vec<Vec<Candidate>>,
    capacities: Vec<f64>,
    prices: Vec<f64>,
    /// The prices that gave the highest bound.
    best_prices: Vec<f64>,
    bound: f64,
    best: Option<Vec<usize>>,
    best_cost: f64,
    is_proven: bool,
    /// The tolerance for comparing sums, to allow for rounding.
    slack: f64,
    whole: bool,
}

impl Search {
    fn new(costs: &Costs, takes: &Costs, capacities: &[f64]) -> Result<Self, AssignError> {
        let candidates = (0..costs.rows).map(|row| {
            let pairs = costs.row(row).iter().zip(takes.row(row)).zip(capacities).enumerate();
            let fits = pairs.filter(|(_, ((cost, takes), capacity))| cost.is_finite() && takes <= capacity);
            fits.map(|(column, ((cost, takes), _))| Candidate { column, cost: *cost, takes: *takes }).collect()
        });
        let candidates: Vec<Vec<Candidate>> = candidates.collect();
        if candidates.iter().any(Vec::is_empty) {
            return Err(AssignError::Infeasible);
        }
        let all = || candidates.iter().flatten();
        let largest = all().map(|candidate| candidate.cost.abs()).fold(0.0, f64::max) * candidates.len() as f64;
        let whole = all().all(|candidate| candidate.cost.fract() == 0.0) && largest < 4e15;
        Ok(Self {
            capacities: capacities.to_vec(),
            prices: vec![0.0; capacities.len()],
            best_prices: vec![0.0; capacities.len()],
            bound: f64::NEG_INFINITY,
            best: None,
            best_cost: f64::INFINITY,
            is_proven: false,
            slack: 1e-9 * largest.max(1e-300),
            whole,
            candidates,
        })
    }

    /// A lower bound on the cost, from a bound of the relaxation: rounded up if all costs are integers.
    fn rounded(&self, bound: f64) -> f64 {
        if self.whole { (bound - self.slack.max(1e-6)).ceil() } else { bound }
    }

    fn is_done(&self) -> bool {
        self.best_cost <= self.rounded(self.bound) + self.slack
    }

    /// Subgradient method: the prices of overfull columns rise, those of others fall. The bound is the sum of the rows' costs at
    /// these prices, less the value of the capacities.
    fn relax(&mut self, effort: SearchLimits) {
        let mut draw = Draw::new(effort.seed);
        let mut step = 2.0;
        let mut idle = 0;
        for _ in 0..effort.prices.max(1) {
            let (chosen, bound) = self.priced();
            if bound > self.bound + self.slack {
                (self.bound, idle) = (bound, 0);
                self.best_prices.clone_from(&self.prices);
            } else {
                idle += 1;
                if idle % 12 == 0 {
                    step /= 2.0;
                }
            }
            self.try_to_fit(chosen.clone(), &mut draw);
            if self.is_done() {
                self.is_proven = true;
                return;
            }
            let mut over: Vec<f64> = self.capacities.iter().map(|capacity| -capacity).collect();
            for (candidates, at) in self.candidates.iter().zip(&chosen) {
                if let Some(candidate) = candidates.get(*at) {
                    over.iter_mut().skip(candidate.column).take(1).for_each(|over| *over += candidate.takes);
                }
            }
            let moved = over.iter().zip(&self.prices).filter(|(over, price)| **over > 0.0 || **price > 0.0);
            let length: f64 = moved.filter(|(over, _)| over.is_finite()).map(|(over, _)| over * over).sum();
            if length == 0.0 {
                return;
            }
            let target = if self.best_cost.is_finite() { self.best_cost } else { bound + 0.05 * bound.abs() + 1.0 };
            let rate = step * (target - bound).max(self.slack) / length;
            for (price, over) in self.prices.iter_mut().zip(over) {
                *price = (*price + rate * over).max(0.0);
            }
        }
    }

    /// The cheapest candidate of each row at the current prices, and the bound of the relaxation.
    fn priced(&self) -> (Vec<usize>, f64) {
        let value = self.prices.iter().zip(&self.capacities).filter(|(price, _)| **price > 0.0);
        let mut bound: f64 = -value.map(|(price, capacity)| price * capacity).sum::<f64>();
        let chosen = self.candidates.iter().map(|candidates| {
            let priced = candidates.iter().map(|candidate| self.paid(candidate)).enumerate();
            let (at, paid) = priced.min_by(|one, two| one.1.total_cmp(&two.1)).unwrap_or((0, 0.0));
            bound += paid;
            at
        });
        let chosen = chosen.collect();
        (chosen, bound)
    }

    fn paid(&self, candidate: &Candidate) -> f64 {
        candidate.cost + self.prices.get(candidate.column).copied().unwrap_or(0.0) * candidate.takes
    }

    /// Moves rows out of overfull columns, each time the move that costs least at the current prices. If the result is feasible,
    /// improves it by local search.
    fn try_to_fit(&mut self, mut chosen: Vec<usize>, draw: &mut Draw) {
        let mut room = self.room(&chosen);
        for _ in 0..self.candidates.len() {
            let Some(full) = room.iter().position(|room| *room < -1e-9) else { break };
            let mut best: Option<(f64, usize, usize)> = None;
            for (row, candidates) in self.candidates.iter().enumerate() {
                let Some(here) =
                    chosen.get(row).and_then(|at| candidates.get(*at)).filter(|candidate| candidate.column == full)
                else {
                    continue;
                };
                for (at, candidate) in candidates.iter().enumerate() {
                    if candidate.takes > free(&room, candidate.column) + 1e-9 {
                        continue;
                    }
                    let rise = (self.paid(candidate) - self.paid(here)) / here.takes.max(1e-9)
                        + 1e-9 * draw.below(1000) as f64;
                    if best.is_none_or(|best| rise < best.0) {
                        best = Some((rise, row, at));
                    }
                }
            }
            let Some((_, row, at)) = best else { return };
            self.shift(&mut chosen, &mut room, row, at);
        }
        if room.iter().all(|room| *room >= -1e-9) {
            self.polish(&mut chosen, &mut room);
            let cost = self.cost(&chosen);
            if cost < self.best_cost - self.slack {
                (self.best_cost, self.best) = (cost, Some(chosen));
            }
        }
    }

    /// Shifts single rows and swaps pairs of rows as long as that lowers the cost.
    fn polish(&self, chosen: &mut [usize], room: &mut [f64]) {
        for _ in 0..50 {
            let mut better = false;
            for row in 0..self.candidates.len() {
                better |= self.move_one(chosen, room, row);
                for other in 0..row {
                    better |= self.exchange(chosen, room, row, other);
                }
            }
            if !better {
                return;
            }
        }
    }

    fn at(&self, chosen: &[usize], row: usize) -> Option<Candidate> {
        self.candidates.get(row)?.get(*chosen.get(row)?).copied()
    }

    fn move_one(&self, chosen: &mut [usize], room: &mut [f64], row: usize) -> bool {
        let (Some(here), Some(candidates)) = (self.at(chosen, row), self.candidates.get(row)) else { return false };
        let cheaper = candidates.iter().enumerate().filter(|(_, candidate)| candidate.cost < here.cost - self.slack);
        let fits = cheaper.filter(|(_, candidate)| candidate.takes <= free(room, candidate.column));
        let best = fits.min_by(|one, two| one.1.cost.total_cmp(&two.1.cost));
        let Some((at, _)) = best else { return false };
        self.shift(chosen, room, row, at);
        true
    }

    fn exchange(&self, chosen: &mut [usize], room: &mut [f64], one: usize, two: usize) -> bool {
        let (Some(first), Some(second)) = (self.at(chosen, one), self.at(chosen, two)) else { return false };
        if first.column == second.column {
            return false;
        }
        let find = |row: usize, column| {
            let candidates = self.candidates.get(row)?;
            let at = candidates.iter().position(|candidate| candidate.column == column)?;
            Some((at, candidates.get(at).copied()?))
        };
        let (Some((at_one, new_one)), Some((at_two, new_two))) = (find(one, second.column), find(two, first.column))
        else {
            return false;
        };
        let gain = first.cost + second.cost - new_one.cost - new_two.cost;
        let fits = new_one.takes <= free(room, second.column) + second.takes
            && new_two.takes <= free(room, first.column) + first.takes;
        if gain <= self.slack || !fits {
            return false;
        }
        self.shift(chosen, room, one, at_one);
        self.shift(chosen, room, two, at_two);
        true
    }

    fn shift(&self, chosen: &mut [usize], room: &mut [f64], row: usize, at: usize) {
        let old = self.at(chosen, row);
        chosen.iter_mut().skip(row).take(1).for_each(|slot| *slot = at);
        let new = self.at(chosen, row);
        for (candidate, sign) in [(old, 1.0), (new, -1.0)] {
            if let Some(candidate) = candidate {
                room.iter_mut().skip(candidate.column).take(1).for_each(|room| *room += sign * candidate.takes);
            }
        }
    }

    fn room(&self, chosen: &[usize]) -> Vec<f64> {
        let mut room = self.capacities.clone();
        for row in 0..chosen.len() {
            if let Some(candidate) = self.at(chosen, row) {
                room.iter_mut().skip(candidate.column).take(1).for_each(|room| *room -= candidate.takes);
            }
        }
        room
    }

    fn cost(&self, chosen: &[usize]) -> f64 {
        (0..chosen.len()).filter_map(|row| self.at(chosen, row)).map(|candidate| candidate.cost).sum()
    }

    /// Depth-first branch and bound. Rows with the largest regret come first, and the candidates of a row in order of their cost at
    /// the best prices. A branch is cut if its cost so far plus the least cost of the remaining rows reaches the best cost.
    fn prove(&mut self, mut nodes: u64) {
        if self.is_proven {
            return;
        }
        self.prices.clone_from(&self.best_prices);
        let paid = |candidates: &[Candidate]| {
            let mut paid: Vec<f64> = candidates.iter().map(|candidate| self.paid(candidate)).collect();
            paid.sort_unstable_by(f64::total_cmp);
            paid
        };
        let least: Vec<(f64, f64)> = self
            .candidates
            .iter()
            .map(|candidates| {
                let paid = paid(candidates);
                let first = paid.first().copied().unwrap_or(0.0);
                (first, paid.get(1).map_or(f64::INFINITY, |second| second - first))
            })
            .collect();
        let mut rows: Vec<usize> = (0..self.candidates.len()).collect();
        let regret = |row: &usize| least.get(*row).map_or(0.0, |least| least.1);
        rows.sort_by(|one, two| regret(two).total_cmp(&regret(one)));
        // The least cost of the remaining rows, by depth.
        let mut rest: Vec<f64> = vec![0.0];
        for row in rows.iter().rev() {
            rest.push(rest.last().copied().unwrap_or(0.0) + least.get(*row).map_or(0.0, |least| least.0));
        }
        rest.reverse();
        let value = self.prices.iter().zip(&self.capacities).filter(|(price, _)| **price > 0.0);
        let base: f64 = -value.map(|(price, capacity)| price * capacity).sum::<f64>();
        let sorted = rows.iter().filter_map(|row| {
            let mut candidates: Vec<(usize, Candidate)> =
                self.candidates.get(*row)?.iter().copied().enumerate().collect();
            candidates.sort_by(|one, two| self.paid(&one.1).total_cmp(&self.paid(&two.1)));
            Some((*row, candidates))
        });
        let sorted: Vec<(usize, Vec<(usize, Candidate)>)> = sorted.collect();
        let mut tree = Tree { sorted, rest, chosen: vec![0; rows.len()], room: self.capacities.clone() };
        self.is_proven = self.descend(&mut tree, 0, base, &mut nodes);
    }

    /// Whether the whole tree was searched within the limit. Iterative, since the depth is the number of rows.
    fn descend(&mut self, tree: &mut Tree, start: usize, base: f64, nodes: &mut u64) -> bool {
        // For each depth, the next candidate and the cost of the rows above.
        let mut stack: Vec<(usize, f64)> = vec![(0, base)];
        while let Some(&(next, paid)) = stack.last() {
            let depth = start + stack.len() - 1;
            let Some((row, candidates)) = tree.sorted.get(depth) else {
                // A leaf: every row has a column.
                let cost = self.cost(&tree.chosen);
                if cost < self.best_cost - self.slack {
                    (self.best_cost, self.best) = (cost, Some(tree.chosen.clone()));
                }
                stack.pop();
                tree.leave(depth, stack.last().map(|top| top.0));
                continue;
            };
            let limit = self.best_cost - if self.whole { 1.0 - 1e-6 } else { self.slack };
            let rest = tree.rest.get(depth + 1).copied().unwrap_or(0.0);
            let candidate = candidates.get(next).map(|(at, candidate)| (*at, *candidate, paid + self.paid(candidate)));
            match candidate {
                Some((at, candidate, paid)) if paid + rest <= limit => {
                    if *nodes == 0 {
                        return false;
                    }
                    *nodes -= 1;
                    let row = *row;
                    stack.last_mut().into_iter().for_each(|top| top.0 += 1);
                    if candidate.takes <= free(&tree.room, candidate.column) + 1e-9 {
                        tree.chosen.iter_mut().skip(row).take(1).for_each(|slot| *slot = at);
                        tree.room.iter_mut().skip(candidate.column).take(1).for_each(|room| *room -= candidate.takes);
                        stack.push((0, paid));
                    }
                }
                // Candidates are in order of cost, so the remaining ones are cut, too.
                Some(_) | None => {
                    stack.pop();
                    tree.leave(depth, stack.last().map(|top| top.0));
                }
            }
        }
        true
    }

    fn answer(self) -> Result<Assignment, AssignError> {
        let Some(chosen) = &self.best else {
            return Err(if self.is_proven { AssignError::Infeasible } else { AssignError::NotFound });
        };
        let columns = (0..chosen.len()).map(|row| self.at(chosen, row).map(|candidate| candidate.column)).collect();
        let bound = if self.is_proven { self.best_cost } else { self.rounded(self.bound).min(self.best_cost) };
        Ok(Assignment { columns, cost: self.best_cost, bound })
    }
}

struct Tree {
    /// The rows in branching order, each with its candidates in order of cost.
    sorted: Vec<(usize, Vec<(usize, Candidate)>)>,
    /// The least cost of the remaining rows, by depth.
    rest: Vec<f64>,
    chosen: Vec<usize>,
    room: Vec<f64>,
}

impl Tree {
    /// Returns the capacity of the candidate that was chosen at the level above.
    fn leave(&mut self, depth: usize, next: Option<usize>) {
        let taken = depth.checked_sub(1).and_then(|above| self.sorted.get(above));
        let candidate = taken.and_then(|(_, candidates)| candidates.get(next?.checked_sub(1)?));
        if let Some((_, candidate)) = candidate {
            self.room.iter_mut().skip(candidate.column).take(1).for_each(|room| *room += candidate.takes);
        }
    }
}

fn free(room: &[f64], column: usize) -> f64 {
    room.get(column).copied().unwrap_or(0.0)
}
