//! Deployments of several shards.

mod binding;
mod explore;
mod ids;
mod lists;
mod membership;
mod placement;
mod quota;
