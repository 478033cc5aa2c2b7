//! Team formation, team changes over the phases of a project, and skill gaps.
//!
//! | purpose | item | source |
//! |---|---|---|
//! | skills, levels and reliability of agents | [`Matrix`] | - |
//! | forming a team | [`form`], [`form_greedily`] | weighted set cover (Chvátal 1979); pair costs (Lappas, Liu and Terzi 2009) |
//! | replacements of members | [`backups`] | - |
//! | team changes from phase to phase | [`Phases`] | - |
//! | scarce skills | [`growth`] | - |
//!
//! The module consists of pure functions and one state machine; the engine does not use it.

mod formation;
mod growth;
mod matrix;
mod phases;

pub use formation::{Keep, MAX_AGENTS, MAX_SKILLS, NoTeam, Request, Team, backups, form, form_greedily};
pub use growth::{Gap, growth};
pub use matrix::{Matrix, Person};
pub use phases::{Formed, Handover, Phase, PhaseError, Phases, Stint};
