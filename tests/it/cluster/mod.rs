//! Deployments of several shards.

mod ids;
mod lists;
mod placement;
mod quota;
