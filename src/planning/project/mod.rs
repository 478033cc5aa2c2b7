//! Multi-skill project scheduling: who does what, and when, so that all is done soonest.
//!
//! Two ways, chosen by the problem. Where every task has one agent who does one thing at a time, and nothing else is scarce,
//! simulated annealing over an order and an assignment, with the total lateness over a target just below the best as its
//! objective (`annealing`). Otherwise, and for other goals, a genetic algorithm over activity lists, decoded by serial
//! schedule generation with double justification (`genetic`; Valls, Ballestín and Quintanilla 2008; Hartmann 2002).
//! Single-skill project scheduling is the case without agents.

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
mod sequence;
mod settings;
mod solution;

pub(super) use moves::Draw;

pub use best_of::best_of;
pub use front::{Front, pareto_front};
pub use generate::{Rule, Scheme, generate};
pub use settings::{Goal, Measure, Progress, Settings};
pub use solution::{Solution, improve, plan_project};
