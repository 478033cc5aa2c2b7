//! Workflows in the formats of other systems, to definitions and back.
//!
//! [`asl`] reads and writes the Amazon States Language, and `bpmn`, with the feature of that name, processes in
//! BPMN 2.0 XML. What has no counterpart is an error with its place, and what is carried
//! over with a difference is a [`Note`]: nothing is left out without one of both.
//!
//! `docs/interop.md` lists each feature; it is part of this page:
//!
#![doc = include_str!("../../docs/interop.md")]

pub mod asl;
#[cfg(feature = "bpmn")]
pub mod bpmn;
mod report;

pub use report::{ImportError, ImportFault, ImportFaultKind, Note};
