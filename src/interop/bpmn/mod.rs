//! Processes in BPMN 2.0 XML.
//!
//! [`import`] makes a [`Definition`] of a process. Each element of the flow becomes a node of the same name (its id), tasks
//! become tasks of that kind, and the variables of the process are the fields of the variable `data` of the run. A cycle
//! becomes a node whose rounds are nested workflows. [`export`] writes such a definition as a document again.
//!
//! ```
//! use counterpoint::interop::bpmn::{Options, export, import};
//!
//! let document = r#"<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL">
//!   <process id="order">
//!     <startEvent id="received"/>
//!     <sequenceFlow id="f1" sourceRef="received" targetRef="check"/>
//!     <serviceTask id="check"/>
//!     <sequenceFlow id="f2" sourceRef="check" targetRef="large"/>
//!     <exclusiveGateway id="large" default="small"/>
//!     <sequenceFlow id="big" sourceRef="large" targetRef="approve">
//!       <conditionExpression>${order.total > 1000}</conditionExpression>
//!     </sequenceFlow>
//!     <sequenceFlow id="small" sourceRef="large" targetRef="done"/>
//!     <serviceTask id="approve"/>
//!     <sequenceFlow id="f3" sourceRef="approve" targetRef="done"/>
//!     <endEvent id="done"/>
//!   </process>
//! </definitions>"#;
//! let imported = import(document, &Options::default())?;
//! assert_eq!(imported.definition.name, "order");
//! assert!(imported.notes.is_empty() && imported.definition.node("approve").is_some());
//! let again = import(&export(&imported.definition)?, &Options::default())?;
//! assert_eq!(again.definition, imported.definition);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod compile;
mod cycles;
mod events;
mod export;
mod expression;
mod flows;
mod graph;
mod print;
mod read;
mod repeat;
mod sub;
mod times;
mod tokens;
mod write;
mod xml;

pub use export::{ExportError, export};

use super::report::{ImportError, ImportFaultKind, Note, Place, Report};
use crate::base::limits::Limits;
use crate::base::name::Name;
use crate::definition::Definition;
use crate::workflow::validate;
use compile::{Compiler, Level};
use read::Reader;
use std::collections::BTreeMap;
use xml::{Element, Lines};

/// What an import needs besides the document.
///
/// ```
/// use counterpoint::interop::bpmn::Options;
///
/// let options = Options::default().with_process("order").with_kind("payment-service", "charge").with_max_rounds(500);
/// assert_eq!(options.max_rounds, 500);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// The id of the process; without it, the document has one process.
    pub process: Option<String>,
    /// The kinds of tasks for what the document names; another name is the kind itself.
    pub kinds: BTreeMap<String, Name>,
    /// The number of rounds of each cycle at most; 10,000 by default. The node of the cycle fails then.
    pub max_rounds: u32,
    /// The limits that the definition must meet.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self { process: None, kinds: BTreeMap::new(), max_rounds: 10_000, limits: Limits::default() }
    }
}

impl Options {
    /// Sets which process is imported.
    #[must_use]
    pub fn with_process(mut self, id: impl Into<String>) -> Self {
        self.process = Some(id.into());
        self
    }

    /// Sets the kind of tasks for a name of the document.
    #[must_use]
    pub fn with_kind(mut self, name: impl Into<String>, kind: impl Into<Name>) -> Self {
        self.kinds.insert(name.into(), kind.into());
        self
    }

    /// Sets how many rounds each cycle has at most.
    #[must_use]
    pub const fn with_max_rounds(mut self, rounds: u32) -> Self {
        self.max_rounds = rounds;
        self
    }

    /// Sets the limits that the definition must meet.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

/// A definition that was imported.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Imported {
    /// The definition. It is valid within the limits, and its name is the id of the process.
    pub definition: Definition,
    /// What was carried over with a difference, or left out.
    pub notes: Vec<Note>,
}

/// Makes a definition of a process.
///
/// # Errors
///
/// Returns all mistakes in the document, and all that cannot be carried over, each with its line, its column and the id of the
/// element.
pub fn import(document: &str, options: &Options) -> Result<Imported, ImportError> {
    let lines = Lines::of(document);
    let page = match xml::parse(document, &lines) {
        Ok(page) => page,
        Err(xml::Unreadable(at, message)) => {
            let mut report = Report::default();
            report.add(&Place::Text(&lines.place(at)), ImportFaultKind::Syntax { message });
            return Err(report.finish().err().unwrap_or_else(|| ImportError::unsound(String::new())));
        }
    };
    let root = Element { node: page.root_element(), lines: &lines };
    let mut reader = Reader::of(options);
    let read = reader.document(root);
    let (name, mut report) = (reader.process, reader.report);
    let mut definition = Definition::new(name.clone());
    if let Some((graph, process)) = read.filter(|_| !report.has_faults()) {
        let mut compiler = Compiler { report: &mut report, max_rounds: options.max_rounds, depth: 0 };
        let spot = process.spot();
        definition = compiler.definition(&graph, &name, Level::Whole, &spot);
        if !report.has_faults()
            && let Err(unsound) = validate(&definition, &options.limits)
        {
            for finding in unsound.findings() {
                report.add(&Place::Text(&spot), ImportFaultKind::Unsound { message: finding.to_string() });
            }
        }
    }
    let notes = report.finish()?;
    Ok(Imported { definition, notes })
}
