//! Directed acyclic graphs: build, validate, order, track readiness, run.
