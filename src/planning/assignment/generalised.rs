//! Generalised assignment: what each pair takes of a column differs from pair to pair.
//!
//! Cheapest assignments are hard to find (the problem is NP-hard), so there is a bound and a search: Lagrangian relaxation of
//! the capacities (Ross and Soland 1975; Fisher 1981), with prices moved by subgradients; the assignment that prices suggest
//! is made to fit and improved by moving and exchanging rows (Yagiura, Ibaraki and Glover 2004 do more of that); then depth
//! first branch and bound for what is left between the two.

use super::{AssignError, Assignment, Costs};
use crate::planning::project::Draw;

/// How long a generalised assignment is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Effort {
    /// Moves of prices, each followed by one assignment that is made to fit.
    pub prices: u32,
    /// Nodes of the search that proves.
    pub nodes: u64,
    /// The same seed, problem and effort give the same assignment.
    pub seed: u64,
}

impl Default for Effort {
    /// 300 moves of prices, 100,000 nodes.
    fn default() -> Self {
        Self { prices: 300, nodes: 100_000, seed: 0 }
    }
}

impl Effort {
    /// Sets how often prices are moved.
    #[must_use]
    pub const fn with_prices(mut self, prices: u32) -> Self {
        self.prices = prices;
        self
    }

    /// Sets the nodes of the search that proves.
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

/// The assignment of the least sum in which each row has a column, and the rows of a column take no more of it, all together,
/// than there is: `takes` says how much each pair takes.
///
/// The bound of the answer says how far it may be from the best; where both are equal it is the best.
///
/// ```
/// use counterpoint::planning::{Costs, Effort, assign_generalised};
///
/// // Two large jobs and a small one, machines of 10 and 6 hours.
/// let costs = Costs::new(3, 2, vec![1.0, 3.0, 1.0, 4.0, 1.0, 2.0])?;
/// let hours = Costs::new(3, 2, vec![8.0, 6.0, 7.0, 6.0, 2.0, 2.0])?;
/// let found = assign_generalised(&costs, &hours, &[10.0, 6.0], Effort::default())?;
/// assert_eq!(found.columns, [Some(1), Some(0), Some(0)]);
/// assert_eq!((found.cost, found.bound), (5.0, 5.0));
/// # Ok::<(), counterpoint::planning::AssignError>(())
/// ```
///
/// # Errors
///
/// [`AssignError::Shape`] when costs, takes and capacities do not go together; [`AssignError::NotANumber`] when something
/// taken or a capacity is below 0 or no number; [`AssignError::Infeasible`] when it is proven that there is none, and
/// [`AssignError::Unknown`] when none was found and that is not.
pub fn assign_generalised(
    costs: &Costs,
    takes: &Costs,
    capacities: &[f64],
    effort: Effort,
) -> Result<Assignment, AssignError> {
    if (costs.rows, costs.columns) != (takes.rows, takes.columns) || capacities.len() != costs.columns {
        return Err(AssignError::Shape);
    }
    if takes.values.iter().chain(capacities).any(|value| value.is_nan() || *value < 0.0) {
        return Err(AssignError::NotANumber);
    }
    let mut search = Search::new(costs, takes, capacities)?;
    search.relax(effort);
    search.prove(effort.nodes);
    search.answer()
}

/// One way for a row.
#[derive(Debug, Clone, Copy)]
struct Way {
    column: usize,
    cost: f64,
    takes: f64,
}

struct Search {
    /// Of each row, those that fit at all.
    ways: Vec<Vec<Way>>,
    capacities: Vec<f64>,
    prices: Vec<f64>,
    /// The prices of the highest bound.
    best_prices: Vec<f64>,
    bound: f64,
    best: Option<Vec<usize>>,
    best_cost: f64,
    is_proven: bool,
    /// Sums are compared to within this: what rounding makes of them.
    slack: f64,
    whole: bool,
}

impl Search {
    fn new(costs: &Costs, takes: &Costs, capacities: &[f64]) -> Result<Self, AssignError> {
        let ways = (0..costs.rows).map(|row| {
            let pairs = costs.row(row).iter().zip(takes.row(row)).zip(capacities).enumerate();
            let fits = pairs.filter(|(_, ((cost, takes), capacity))| cost.is_finite() && takes <= capacity);
            fits.map(|(column, ((cost, takes), _))| Way { column, cost: *cost, takes: *takes }).collect()
        });
        let ways: Vec<Vec<Way>> = ways.collect();
        if ways.iter().any(Vec::is_empty) {
            return Err(AssignError::Infeasible);
        }
        let all = || ways.iter().flatten();
        let largest = all().map(|way| way.cost.abs()).fold(0.0, f64::max) * ways.len() as f64;
        let whole = all().all(|way| way.cost.fract() == 0.0) && largest < 4e15;
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
            ways,
        })
    }

    /// What nothing is below, from what a relaxation says: where costs are whole, the next whole number.
    fn rounded(&self, bound: f64) -> f64 {
        if self.whole { (bound - self.slack.max(1e-6)).ceil() } else { bound }
    }

    fn is_done(&self) -> bool {
        self.best_cost <= self.rounded(self.bound) + self.slack
    }

    /// Subgradients: prices of columns that are overfull rise, of others they fall; the bound is the sum of what rows pay at
    /// these prices, less what the capacities are worth.
    fn relax(&mut self, effort: Effort) {
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
            for (ways, at) in self.ways.iter().zip(&chosen) {
                if let Some(way) = ways.get(*at) {
                    over.iter_mut().skip(way.column).take(1).for_each(|over| *over += way.takes);
                }
            }
            let moved = over.iter().zip(&self.prices).filter(|(over, price)| **over > 0.0 || **price > 0.0);
            let length: f64 = moved.filter(|(over, _)| over.is_finite()).map(|(over, _)| over * over).sum();
            if length == 0.0 {
                return;
            }
            let aim = if self.best_cost.is_finite() { self.best_cost } else { bound + 0.05 * bound.abs() + 1.0 };
            let pace = step * (aim - bound).max(self.slack) / length;
            for (price, over) in self.prices.iter_mut().zip(over) {
                *price = (*price + pace * over).max(0.0);
            }
        }
    }

    /// The cheapest way of each row at the prices, and the bound.
    fn priced(&self) -> (Vec<usize>, f64) {
        let worth = self.prices.iter().zip(&self.capacities).filter(|(price, _)| **price > 0.0);
        let mut bound: f64 = -worth.map(|(price, capacity)| price * capacity).sum::<f64>();
        let chosen = self.ways.iter().map(|ways| {
            let priced = ways.iter().map(|way| self.paid(way)).enumerate();
            let (at, paid) = priced.min_by(|one, two| one.1.total_cmp(&two.1)).unwrap_or((0, 0.0));
            bound += paid;
            at
        });
        let chosen = chosen.collect();
        (chosen, bound)
    }

    fn paid(&self, way: &Way) -> f64 {
        way.cost + self.prices.get(way.column).copied().unwrap_or(0.0) * way.takes
    }

    /// Moves rows out of columns that are overfull, to where that costs least at the prices; if that comes to an end, makes it
    /// cheaper.
    fn try_to_fit(&mut self, mut chosen: Vec<usize>, draw: &mut Draw) {
        let mut room = self.room(&chosen);
        for _ in 0..self.ways.len() {
            let Some(full) = room.iter().position(|room| *room < -1e-9) else { break };
            let mut best: Option<(f64, usize, usize)> = None;
            for (row, ways) in self.ways.iter().enumerate() {
                let Some(here) = chosen.get(row).and_then(|at| ways.get(*at)).filter(|way| way.column == full) else {
                    continue;
                };
                for (at, way) in ways.iter().enumerate() {
                    if way.takes > free(&room, way.column) + 1e-9 {
                        continue;
                    }
                    let rise =
                        (self.paid(way) - self.paid(here)) / here.takes.max(1e-9) + 1e-9 * draw.below(1000) as f64;
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

    /// Moves single rows, and exchanges two, as long as that is cheaper.
    fn polish(&self, chosen: &mut [usize], room: &mut [f64]) {
        for _ in 0..50 {
            let mut better = false;
            for row in 0..self.ways.len() {
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

    fn at(&self, chosen: &[usize], row: usize) -> Option<Way> {
        self.ways.get(row)?.get(*chosen.get(row)?).copied()
    }

    fn move_one(&self, chosen: &mut [usize], room: &mut [f64], row: usize) -> bool {
        let (Some(here), Some(ways)) = (self.at(chosen, row), self.ways.get(row)) else { return false };
        let cheaper = ways.iter().enumerate().filter(|(_, way)| way.cost < here.cost - self.slack);
        let fits = cheaper.filter(|(_, way)| way.takes <= free(room, way.column));
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
            let ways = self.ways.get(row)?;
            let at = ways.iter().position(|way| way.column == column)?;
            Some((at, ways.get(at).copied()?))
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
        for (way, sign) in [(old, 1.0), (new, -1.0)] {
            if let Some(way) = way {
                room.iter_mut().skip(way.column).take(1).for_each(|room| *room += sign * way.takes);
            }
        }
    }

    fn room(&self, chosen: &[usize]) -> Vec<f64> {
        let mut room = self.capacities.clone();
        for row in 0..chosen.len() {
            if let Some(way) = self.at(chosen, row) {
                room.iter_mut().skip(way.column).take(1).for_each(|room| *room -= way.takes);
            }
        }
        room
    }

    fn cost(&self, chosen: &[usize]) -> f64 {
        (0..chosen.len()).filter_map(|row| self.at(chosen, row)).map(|way| way.cost).sum()
    }

    /// Depth first, the rows with the least choice first, each with its cheapest way at the best prices first. A branch is cut
    /// when what it has paid at these prices, with the least of what is to come, reaches the best.
    fn prove(&mut self, mut nodes: u64) {
        if self.is_proven {
            return;
        }
        self.prices.clone_from(&self.best_prices);
        let paid = |ways: &[Way]| {
            let mut paid: Vec<f64> = ways.iter().map(|way| self.paid(way)).collect();
            paid.sort_unstable_by(f64::total_cmp);
            paid
        };
        let least: Vec<(f64, f64)> = self
            .ways
            .iter()
            .map(|ways| {
                let paid = paid(ways);
                let first = paid.first().copied().unwrap_or(0.0);
                (first, paid.get(1).map_or(f64::INFINITY, |second| second - first))
            })
            .collect();
        let mut rows: Vec<usize> = (0..self.ways.len()).collect();
        let regret = |row: &usize| least.get(*row).map_or(0.0, |least| least.1);
        rows.sort_by(|one, two| regret(two).total_cmp(&regret(one)));
        // What is left from each depth on.
        let mut rest: Vec<f64> = vec![0.0];
        for row in rows.iter().rev() {
            rest.push(rest.last().copied().unwrap_or(0.0) + least.get(*row).map_or(0.0, |least| least.0));
        }
        rest.reverse();
        let worth = self.prices.iter().zip(&self.capacities).filter(|(price, _)| **price > 0.0);
        let base: f64 = -worth.map(|(price, capacity)| price * capacity).sum::<f64>();
        let sorted = rows.iter().filter_map(|row| {
            let mut ways: Vec<(usize, Way)> = self.ways.get(*row)?.iter().copied().enumerate().collect();
            ways.sort_by(|one, two| self.paid(&one.1).total_cmp(&self.paid(&two.1)));
            Some((*row, ways))
        });
        let sorted: Vec<(usize, Vec<(usize, Way)>)> = sorted.collect();
        let mut tree = Tree { sorted, rest, chosen: vec![0; rows.len()], room: self.capacities.clone() };
        self.is_proven = self.descend(&mut tree, 0, base, &mut nodes);
    }

    /// Whether everything below has been looked at. As deep as there are rows, so not by calling itself.
    fn descend(&mut self, tree: &mut Tree, start: usize, base: f64, nodes: &mut u64) -> bool {
        // At each depth: which way is tried next, and what was paid on the way there.
        let mut stack: Vec<(usize, f64)> = vec![(0, base)];
        while let Some(&(next, paid)) = stack.last() {
            let depth = start + stack.len() - 1;
            let Some((row, ways)) = tree.sorted.get(depth) else {
                // A leaf: nothing left to choose.
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
            let way = ways.get(next).map(|(at, way)| (*at, *way, paid + self.paid(way)));
            match way {
                Some((at, way, paid)) if paid + rest <= limit => {
                    if *nodes == 0 {
                        return false;
                    }
                    *nodes -= 1;
                    let row = *row;
                    stack.last_mut().into_iter().for_each(|top| top.0 += 1);
                    if way.takes <= free(&tree.room, way.column) + 1e-9 {
                        tree.chosen.iter_mut().skip(row).take(1).for_each(|slot| *slot = at);
                        tree.room.iter_mut().skip(way.column).take(1).for_each(|room| *room -= way.takes);
                        stack.push((0, paid));
                    }
                }
                // Ways come cheapest first: what follows is no better.
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
            return Err(if self.is_proven { AssignError::Infeasible } else { AssignError::Unknown });
        };
        let columns = (0..chosen.len()).map(|row| self.at(chosen, row).map(|way| way.column)).collect();
        let bound = if self.is_proven { self.best_cost } else { self.rounded(self.bound).min(self.best_cost) };
        Ok(Assignment { columns, cost: self.best_cost, bound })
    }
}

struct Tree {
    /// Rows in the order in which they are chosen for, with their ways, the cheapest first.
    sorted: Vec<(usize, Vec<(usize, Way)>)>,
    /// The least that is paid from each depth on.
    rest: Vec<f64>,
    chosen: Vec<usize>,
    room: Vec<f64>,
}

impl Tree {
    /// Gives back what the way taken above a depth took.
    fn leave(&mut self, depth: usize, next: Option<usize>) {
        let taken = depth.checked_sub(1).and_then(|above| self.sorted.get(above));
        let way = taken.and_then(|(_, ways)| ways.get(next?.checked_sub(1)?));
        if let Some((_, way)) = way {
            self.room.iter_mut().skip(way.column).take(1).for_each(|room| *room += way.takes);
        }
    }
}

fn free(room: &[f64], column: usize) -> f64 {
    room.get(column).copied().unwrap_or(0.0)
}
