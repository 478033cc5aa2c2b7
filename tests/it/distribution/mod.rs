//! What the scheduler does beyond one queue: tenants, quotas, reserves, batches, work that is asked for or called back. One
//! test for each feature, which fails when the feature is switched off.

mod batches;
mod bulk;
mod calls;
mod deadlines;
mod deferring;
mod groups;
mod prefetch;
mod resources;
mod retries;
mod shares;
mod soup;
mod unroutable;
mod waits;
