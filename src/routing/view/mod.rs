//! The data of routing decisions: agents with their loads, and the agents that meet the needs of a task.
//!
//! The scheduler's index and [`Roster`] update this data; strategies only read it.

mod candidates;
mod eligible;
mod lack;
mod levels;
mod loads;
mod roster;
mod skills;

pub use candidates::{AgentSet, Candidate, Candidates};
pub(crate) use eligible::Eligible;
pub(crate) use loads::{AgentIx, AgentLoad, LoadTable, Occupancy};
pub use roster::{Roster, RosterClass};
pub use skills::SkillMap;
