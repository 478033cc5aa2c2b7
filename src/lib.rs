//! Counterpoint: task distribution among agents and workflow orchestration, as a deterministic core without I/O.
pub mod dag;
