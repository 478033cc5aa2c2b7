//! The simulator: what it plays is what it says, the same every time; what breaks a rule is found; whatever goes wrong, nothing is
//! lost and nothing done twice.

mod delegation;
mod exhaustive;
mod figures;
mod prefixes;
mod scaling;
mod storms;
