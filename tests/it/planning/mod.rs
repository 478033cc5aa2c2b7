//! Planning: every plan passes the validator; what is optimal is known by brute force.

mod assignment;
mod lists;
mod projects;
mod tensors;
