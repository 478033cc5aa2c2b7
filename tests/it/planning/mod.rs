//! Planning: every plan passes the validator; what is optimal is known by brute force.

mod assignment;
#[cfg(feature = "lp")]
mod linear;
mod lists;
mod live;
mod projects;
mod tensors;
