//! Multi-skill resource-constrained project scheduling: an agent and a start for each task, usually with the least makespan.
//!
//! The problem determines the search. If every task needs exactly one agent, agents do one task at a time and nothing else is
//! scarce, the search is simulated annealing over an order and an assignment; its objective is the total lateness over a
//! target just below the best makespan (`annealing`). Otherwise, and for other goals, it is a genetic algorithm over activity
//! lists, decoded by serial schedule generation with double justification (`genetic`; Valls, Ballestín and Quintanilla 2008;
//! Hartmann 2002). Single-skill project scheduling is a project without agents.

mod annealing;
mod best_of;
mod bounds;
mod destructive;
mod front;
mod generate;
mod genetic;
mod moves;
mod network;
mod population;
mod profile;
mod repair;
mod sequence;
mod settings;
mod solution;

pub(super) use moves::Draw;

pub use best_of::best_of;
pub use front::{ParetoFront, pareto_front};
pub use generate::{Rule, Scheme, generate};
pub use repair::{Repair, repair};
pub use settings::{Goal, Measure, Progress, Settings};
pub use solution::{Solution, improve, plan_project};
