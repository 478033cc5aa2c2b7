//! What dispatch looks up: agents, requirement classes, resources.

pub(crate) mod pools;
