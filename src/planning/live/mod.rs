//! Connects planning with an engine: the open work of a scheduler as a project, and a plan as a routing strategy.
//!
//! This is the only part of planning that depends on the engine. The engine does not depend on it.

mod outlook;
mod planned;
mod rolling;
mod run_tensor;

pub use outlook::{OpenWork, Outlook};
pub use planned::{PlanDeviation, PlanTracker, PlannedRouting};
pub use rolling::{Replan, RollingPlanner};
pub use run_tensor::RunTensorError;
