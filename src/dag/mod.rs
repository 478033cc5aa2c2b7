//! Directed acyclic graphs: build, validate, order, track readiness, run.
mod builder;
mod critical;
mod csr;
mod error;
mod graph;
mod node;
mod queue;
mod readiness;
mod restrict;
mod topology;
mod wiring;

pub use builder::{Builder, End, Limits};
pub use critical::{CriticalPath, Timing};
pub use error::{BuildError, CyclePath, Refused};
pub use graph::Dag;
pub use node::NodeIx;
pub use readiness::{NodeState, Readiness};
pub use restrict::Restriction;
pub use topology::Topology;
