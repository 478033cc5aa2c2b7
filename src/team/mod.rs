//! Teams: who can do what, who shall work together, who leaves and comes as the work goes on.
//!
//! | question | with | source |
//! |---|---|---|
//! | who can do what, how well, how surely? | [`Matrix`] | - |
//! | who shall be in the team? | [`form`], [`form_greedily`] | weighted set cover (Chvátal 1979); costs of pairs (Lappas, Liu and Terzi 2009) |
//! | who could stand in? | [`backups`] | - |
//! | how does the team change from phase to phase? | [`Phases`] | - |
//! | what should be learned? | [`growth`] | - |
//!
//! Pure functions and a state machine; nothing in here decides anything within the engine.

mod formation;
mod growth;
mod matrix;
mod phases;

pub use formation::{Keep, MOST_AGENTS, MOST_SKILLS, NoTeam, Request, Team, backups, form, form_greedily};
pub use growth::{Gap, growth};
pub use matrix::{Matrix, Person};
pub use phases::{Formed, Handover, Phase, PhaseError, Phases, Stint};
