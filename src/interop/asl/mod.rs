//! The Amazon States Language, in its JSONPath mode.
//!
//! [`import`] makes a [`Definition`] of a state machine: one node with [`States`](crate::definition::States), of which each state
//! has a task, a nested workflow or nothing to do. Its kind of task is the `Resource` of the state, so agents with that skill
//! perform it. [`export`] writes such a definition as a document again.
//!
//! ```
//! use counterpoint::interop::asl::{Options, export, import};
//! use serde_json::json;
//!
//! let document = json!({
//!     "StartAt": "Charge",
//!     "States": {
//!         "Charge": {
//!             "Type": "Task", "Resource": "charge", "TimeoutSeconds": 30, "ResultPath": "$.receipt",
//!             "Catch": [{"ErrorEquals": ["CardDeclined"], "ResultPath": "$.why", "Next": "Refuse"}],
//!             "End": true
//!         },
//!         "Refuse": {"Type": "Fail", "Error": "Refused", "CausePath": "$.why.Cause"}
//!     }
//! });
//! let imported = import(&document, &Options::named("order"))?;
//! assert!(imported.notes.is_empty());
//! let exported = export(&imported.definition)?;
//! assert_eq!(import(&exported.document, &Options::named("order"))?.definition, imported.definition);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod callback;
mod choice;
mod context;
mod errors;
mod export;
mod intrinsic;
mod machine;
mod path;
mod states;
mod template;

pub use callback::run_of_token;
pub use export::{ExportError, Exported, export};

use super::report::{ImportError, ImportFaultKind, Note, Place, Report};
use crate::base::limits::Limits;
use crate::base::name::Name;
use crate::definition::Definition;
use crate::workflow::validate;
use machine::Importer;
use serde_json::Value;
use std::collections::BTreeMap;

/// The most levels of a document.
const MOST_DEPTH: usize = 100;

/// What an import needs besides the document.
///
/// ```
/// use counterpoint::interop::asl::Options;
///
/// let options = Options::named("order").with_kind("arn:aws:lambda:eu-west-1:1:function:charge", "charge").with_max_steps(500);
/// assert_eq!(options.max_steps, 500);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// The name of the definition.
    pub name: Name,
    /// The kinds of tasks for resources; another resource is the kind itself.
    pub kinds: BTreeMap<String, Name>,
    /// The number of states that each machine enters at most; 10,000 by default.
    pub max_steps: u32,
    /// The limits that the definition must meet.
    pub limits: Limits,
}

impl Options {
    /// A definition of this name, with all else by default.
    #[must_use]
    pub fn named(name: impl Into<Name>) -> Self {
        Self { name: name.into(), kinds: BTreeMap::new(), max_steps: 10_000, limits: Limits::default() }
    }

    /// Sets the kind of tasks for a resource.
    #[must_use]
    pub fn with_kind(mut self, resource: impl Into<String>, kind: impl Into<Name>) -> Self {
        self.kinds.insert(resource.into(), kind.into());
        self
    }

    /// Sets how many states each machine enters at most.
    #[must_use]
    pub const fn with_max_steps(mut self, steps: u32) -> Self {
        self.max_steps = steps;
        self
    }

    /// Sets the limits that the definition must meet.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

/// A definition that was made of a document.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Imported {
    /// The definition, with the parts of `Parallel` and `Map` as nested workflows. It is valid within the limits.
    pub definition: Definition,
    /// What was carried over with a difference.
    pub notes: Vec<Note>,
}

/// Makes a definition of a state machine.
///
/// # Errors
///
/// Returns all mistakes in the document, and all that cannot be carried over, each with its place.
pub fn import(document: &Value, options: &Options) -> Result<Imported, ImportError> {
    if is_deep(document) {
        return Err(ImportError::unsound(format!("the document has more than {MOST_DEPTH} levels")));
    }
    let mut importer = Importer { options, report: Report::default() };
    let definition = importer.whole(document);
    let mut report = importer.report;
    if !report.has_faults()
        && let Err(unsound) = validate(&definition, &options.limits)
    {
        for finding in unsound.findings() {
            report.add(&Place::Root, ImportFaultKind::Unsound { message: finding.to_string() });
        }
    }
    let notes = report.finish()?;
    Ok(Imported { definition, notes })
}

/// Whether a document has too many levels to be read recursively.
fn is_deep(document: &Value) -> bool {
    let mut work = vec![(document, 0_usize)];
    while let Some((value, depth)) = work.pop() {
        if depth > MOST_DEPTH {
            return true;
        }
        let next = depth.saturating_add(1);
        match value {
            Value::Array(items) => work.extend(items.iter().map(|item| (item, next))),
            Value::Object(fields) => work.extend(fields.values().map(|field| (field, next))),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    false
}
