//! Planning: every plan passes the validator, and results are compared with brute force.

mod assignment;
#[cfg(feature = "lp")]
mod linear;
mod lists;
mod live;
mod projects;
mod repairs;
mod tensors;
