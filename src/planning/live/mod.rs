//! Between plans and an engine: the project of what an engine has yet to do, and the way back, a plan as a routing strategy.
//!
//! This is the only part of planning that knows machines; nothing but hosts uses it.

mod outlook;
mod planned;
mod run_tensor;

pub use outlook::Outlook;
pub use planned::{Planned, Tracker, TrackerReport};
pub use run_tensor::RunTensorError;
