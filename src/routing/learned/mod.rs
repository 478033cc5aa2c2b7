//! Strategies and an estimator that learn from the events of attempts.

mod adaptive;
mod bandit;
mod cost_aware;
mod credibility;
mod history;
mod level;
mod peak_ewma;
mod performance;
mod score;

pub use adaptive::{Adaptive, Situation};
pub use bandit::LinUcb;
pub use cost_aware::CostAware;
pub use credibility::Credibility;
#[cfg(feature = "coordination")]
pub(in crate::routing) use history::{Attempts, ByAgent, End, Record, Seen};
pub use peak_ewma::PeakEwma;
pub use performance::Performance;
pub use score::{Breakdown, Factor, MultiFactor, WeightError, Weights};
