//! Steps whose work is a future: the traits, the registry that performs them, and their place in the builder.

mod kind;
mod step;
mod steps;

pub use kind::{Awaited, Awaiting};
pub use step::{AsyncQuery, AsyncStep, AsyncUndo};
pub use steps::AsyncSteps;
