//! Projections: known answers, golden pictures, and no panic on any sequence of events.

mod arbitrary;
mod golden;
mod known;
mod script;
