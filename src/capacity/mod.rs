//! Capacity.
