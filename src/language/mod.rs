//! A document language for workflows, read through serde from the format that the host chooses.
//!
//! A crate for the format (YAML, JSON, TOML) deserializes a [`Document`]. [`Document::compile`] returns a [`Definition`], or all
//! errors at once, each with its path and, for an unknown name, the most similar known one.
//!
//! ```
//! use counterpoint::language::Document;
//! use counterpoint::{Limits, Payload};
//! use serde_json::json;
//!
//! let text = r#"{
//!     "name": "report",
//!     "inputs": {"topic": {"type": "string", "required": true}, "words": {"type": "integer", "default": 500}},
//!     "tasks": [
//!         {"id": "analyze", "agent": "analyst", "inputs": {"about": "${inputs.topic}"}, "retry": 3, "timeout": "1m"},
//!         {"id": "write", "inputs": {"facts": {"from": "analyze.output.facts"}}, "depends_on": ["analyze"]}
//!     ],
//!     "outputs": {"text": {"from": "write.output"}}
//! }"#;
//! let report = serde_json::from_str::<Document>(text)?.compile(&Limits::default())?;
//! assert_eq!(report.nodes.len(), 2);
//!
//! // An engine refuses a run with another input.
//! assert!(report.check_input(&Payload::new(json!({"topic": "tea"}))).is_ok());
//! let faults = report.check_input(&Payload::new(json!({"topics": 3}))).unwrap_err();
//! assert_eq!(faults[0].to_string(), "`topics` is no input, did you mean `topic`?");
//! assert_eq!(faults[1].to_string(), "`topic` is missing");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The fields and the expressions are described in `docs/language.md`, which is part of this page:
//!
#![doc = include_str!("../../docs/language.md")]

mod advice;
mod context;
mod data;
mod delegate;
mod document;
mod failures;
mod fault;
mod flow;
mod inputs;
mod marks;
mod print;
mod report;
mod schema;
mod states;
mod task;
mod waits;
mod work;

pub use advice::DocumentAdvice;
pub use document::Document;
pub use fault::{DocumentError, DocumentFault, DocumentFaultKind};
pub use marks::Position;
pub use print::{PrintError, PrintErrorKind};

use crate::base::limits::Limits;
use crate::definition::Definition;
use crate::workflow::check;
use flow::{Locations, Reader};
use report::{Path, get};

/// The fields of a document. The first two are allowed at the top only: the input of a nested workflow is the task's `inputs`.
const DOCUMENT: &[&str] = &[
    "inputs",
    "kinds",
    "name",
    "version",
    "description",
    "context",
    "budget",
    "signals",
    "on_failure",
    "on_compensation_failure",
    "tasks",
    "outputs",
];

impl Document {
    /// Compiles the document to a workflow and validates it within these limits.
    ///
    /// # Errors
    ///
    /// [`DocumentError`] with all errors, each with its path in the document.
    pub fn compile(&self, limits: &Limits) -> Result<Definition, DocumentError> {
        self.read(limits).map(|(definition, _)| definition)
    }

    /// Advice on the workflow, such as a join that can never run or a wait for a signal that is never sent, each with its place. None
    /// of it is a mistake.
    ///
    /// ```
    /// use counterpoint::Limits;
    /// use counterpoint::language::Document;
    ///
    /// let text = r#"{"name": "order", "tasks": [
    ///     {"id": "paid", "wait": {"signal": "payment"}},
    ///     {"id": "ship", "depends_on": "paid"}
    /// ]}"#;
    /// let advice = serde_json::from_str::<Document>(text)?.advice(&Limits::default())?;
    /// let lines: Vec<String> = advice.iter().map(ToString::to_string).collect();
    /// let line = "tasks[0]: node paid: waits for signal `payment`, which no node sends and no rule of signals names";
    /// assert_eq!(lines, [line]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    pub fn advice(&self, limits: &Limits) -> Result<Vec<DocumentAdvice>, DocumentError> {
        let (definition, locations) = self.read(limits)?;
        // What compiles is valid.
        let advice = check(&definition, limits).map(|check| check.advice).unwrap_or_default();
        Ok(advice.into_iter().map(|advice| DocumentAdvice::new(advice, &locations, self.marks())).collect())
    }

    /// The workflow, and the paths of its nodes.
    fn read(&self, limits: &Limits) -> Result<(Definition, Locations), DocumentError> {
        let mut reader = Reader::new(limits);
        let root = Path::Root;
        let Some(fields) = reader.report.object(self.value(), &root, DOCUMENT) else {
            return reader.report.finish((Definition::new(""), Locations::new()), self.marks());
        };
        if get(fields, "name").is_none() {
            reader.report.add(root, DocumentFaultKind::Missing { field: "name".to_owned() });
        }
        let inputs = inputs::declared(fields, &root, &mut reader.report);
        reader.report.kinds(fields, &root);
        let definition = reader.flow(fields, "unnamed", inputs, &root);
        reader.check(&definition);
        reader.report.finish((definition, reader.locations), self.marks())
    }
}
