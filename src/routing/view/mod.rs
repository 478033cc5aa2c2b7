//! What a strategy sees: the agents with their loads, and those among them that meet the needs of a task.
//!
//! The scheduler's index and [`Roster`] keep this data current; strategies only read it.

mod candidates;
mod eligible;
mod levels;
mod loads;
mod roster;
mod skills;

pub use candidates::{Candidate, Candidates, Places};
pub(crate) use eligible::Eligible;
pub(crate) use loads::{AgentIx, AgentLoad, LoadTable, Occupancy};
pub use roster::{Roster, RosterClass};
pub use skills::SkillMap;
