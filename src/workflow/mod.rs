//! Workflows: steps that users write, a typed builder, and validation.

mod nearest;
mod step;
mod steps;
mod validate;

pub use step::{Attempt, Done, Step, Undo};
pub use steps::Steps;
pub use validate::{DefinitionError, Fault, Finding, Place, validate};
