//! A document language for workflows, read through serde from the format that the host chooses.
//!
//! A crate for the format (YAML, JSON, TOML) deserializes a [`Document`]. [`Document::compile`] returns a
//! [`CompiledDocument`]: a [`Definition`] with the declaration of its inputs, from which runs are started. Compiling reports
//! all errors at once, each with its path and, for an unknown name, the most similar known one.
//!
//! ```
//! use counterpoint::language::Document;
//! use counterpoint::{Limits, RunId};
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
//! let recipe = serde_json::from_str::<Document>(text)?.compile(&Limits::default())?;
//! assert_eq!(recipe.definition.nodes.len(), 2);
//!
//! let run = recipe.run(RunId::new(1), json!({"topic": "tea"}))?;
//! assert_eq!(run.input.value(), &json!({"topic": "tea", "words": 500}));
//! let error = recipe.run(RunId::new(2), json!({"topics": 3})).unwrap_err();
//! assert_eq!(error.to_string(), "inputs.topics: unknown input `topics`, did you mean `topic`?");
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
pub use inputs::{Input, InputType};
pub use marks::Position;
pub use print::{PrintError, PrintErrorKind};

use crate::base::id::RunId;
use crate::base::limits::Limits;
use crate::base::payload::Payload;
use crate::definition::Definition;
use crate::message::run::RunSpec;
use crate::workflow::check;
use flow::{Locations, Reader};
use report::{Path, get};
use serde_json::Value;

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

/// A compiled document: a workflow and the declaration of its inputs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CompiledDocument {
    /// The workflow.
    pub definition: Definition,
    /// The declared inputs, by name; none if the document declares none, and then runs accept any input.
    pub inputs: Option<Vec<Input>>,
}

impl CompiledDocument {
    /// Makes a run of exactly this version, with the given input and the defaults of absent inputs.
    ///
    /// # Errors
    ///
    /// [`DocumentError`] with every input that is missing, unknown or of the wrong type.
    pub fn run(&self, id: RunId, given: Value) -> Result<RunSpec, DocumentError> {
        let input = match &self.inputs {
            Some(inputs) => inputs::filled(inputs, given)?,
            None => given,
        };
        let run = RunSpec::new(id, &self.definition.name).with_version(self.definition.version);
        Ok(run.with_input(Payload::new(input)))
    }
}

impl Document {
    /// Compiles the document to a workflow and validates it within these limits.
    ///
    /// # Errors
    ///
    /// [`DocumentError`] with all errors, each with its path in the document.
    pub fn compile(&self, limits: &Limits) -> Result<CompiledDocument, DocumentError> {
        self.read(limits).map(|(compiled, _)| compiled)
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
        let (compiled, locations) = self.read(limits)?;
        // What compiles is valid.
        let advice = check(&compiled.definition, limits).map(|check| check.advice).unwrap_or_default();
        Ok(advice.into_iter().map(|advice| DocumentAdvice::new(advice, &locations, self.marks())).collect())
    }

    /// The compiled document, and the paths of its nodes.
    fn read(&self, limits: &Limits) -> Result<(CompiledDocument, Locations), DocumentError> {
        let mut reader = Reader::new(limits);
        let root = Path::Root;
        let Some(fields) = reader.report.object(self.value(), &root, DOCUMENT) else {
            let nothing = CompiledDocument { definition: Definition::new(""), inputs: None };
            return reader.report.finish((nothing, Locations::new()), self.marks());
        };
        if get(fields, "name").is_none() {
            reader.report.add(root, DocumentFaultKind::Missing { field: "name".to_owned() });
        }
        let inputs = inputs::declared(fields, &root, &mut reader.report);
        reader.report.kinds(fields, &root);
        let definition = reader.flow(fields, "unnamed", inputs.as_deref(), &root);
        reader.check(&definition);
        reader.report.finish((CompiledDocument { definition, inputs }, reader.locations), self.marks())
    }
}
