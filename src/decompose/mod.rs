//! Decomposition of goals into workflows.
//!
//! | method | item | source |
//! |---|---|---|
//! | planning with operators and methods | [`plan`], [`Domain`] | hierarchical task networks: SHOP (Nau et al. 2003), GTPyhop 2021 |
//! | rules, as data | [`RulePack`] | - |
//! | a component of the host, such as a language model | [`Decomposer`] | - |
//!
//! The result is a [`Definition`]. [`decompose`] validates every result, also that of a component of
//! the host.

mod domain;
mod htn;
mod plan;
mod rules;
#[cfg(test)]
mod tests;

pub use domain::{Domain, Facts, Goal, Split};
pub use htn::{Bounds, NoPlan, plan};
pub use plan::{Branch, Plan};
pub use rules::{Rule, RulePack, RuleStep};

use crate::base::id::RunId;
use crate::base::limits::Limits;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::{Action, Body, Definition, Delegate, Gather, Node};
use crate::language::{Document, DocumentError};
use crate::message::run::RunSpec;
use crate::workflow::{DefinitionError, validate};
use core::fmt;
use thiserror::Error;

/// A request to decompose a goal.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Ask {
    /// The name of the workflow.
    pub name: Name,
    /// The goal, as text.
    pub goal: String,
    /// The subject: data for every step.
    pub about: Payload,
    /// The allowed kinds of tasks; none for any.
    pub kinds: Option<Vec<Name>>,
}

impl Ask {
    /// A goal without a subject; the workflow is called `goal`.
    #[must_use]
    pub fn new(goal: impl Into<String>) -> Self {
        Self { name: Name::from("goal"), goal: goal.into(), about: Payload::NULL, kinds: None }
    }

    /// Sets the name of the workflow.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the subject.
    #[must_use]
    pub fn with_about(mut self, about: impl Into<Payload>) -> Self {
        self.about = about.into();
        self
    }

    /// Allows only tasks of these kinds.
    #[must_use]
    pub fn with_kinds<N: Into<Name>>(mut self, kinds: impl IntoIterator<Item = N>) -> Self {
        self.kinds = Some(kinds.into_iter().map(Into::into).collect());
        self
    }

    /// A run of the resulting workflow; its input is `{"goal", "about"}`.
    #[must_use]
    pub fn run(&self, id: RunId) -> RunSpec {
        RunSpec::new(id, &self.name).with_input(rules::input(self))
    }
}

/// Decomposes goals into workflows.
pub trait Decomposer: fmt::Debug {
    /// The name, for people and reports.
    fn name(&self) -> &str;

    /// A workflow that reaches the goal. It need not be valid, since [`decompose`] validates it.
    ///
    /// # Errors
    ///
    /// [`DecomposeError`] if there is no answer.
    fn decompose(&mut self, ask: &Ask) -> Result<Definition, DecomposeError>;
}

/// A decomposer whose function returns a document of the [`language`](crate::language) as JSON, for example from a language model.
/// Made by [`by_document`].
pub struct ByDocument<F> {
    name: Name,
    answer: F,
}

/// A decomposer that calls this function for a document.
///
/// ```
/// use counterpoint::Limits;
/// use counterpoint::decompose::{Ask, by_document, decompose};
/// use serde_json::json;
///
/// let mut model = by_document("a model", |ask: &Ask| Ok(json!({
///     "name": ask.name,
///     "tasks": [{"id": "search"}, {"id": "answer", "depends_on": ["search"], "inputs": {"from": "search.output"}}],
/// })));
/// assert_eq!(decompose(&mut model, &Ask::new("who built this?"), &Limits::default())?.nodes.len(), 2);
///
/// let mut wrong = by_document("a model", |_: &Ask| Ok(json!({"name": "x", "tasks": [{"id": "a", "depends_on": ["b"]}]})));
/// let error = decompose(&mut wrong, &Ask::new("anything"), &Limits::default()).unwrap_err();
/// assert!(error.to_string().contains("b"), "{error}");
/// # Ok::<(), counterpoint::decompose::DecomposeError>(())
/// ```
#[must_use]
pub fn by_document<F>(name: impl Into<Name>, answer: F) -> ByDocument<F>
where
    F: FnMut(&Ask) -> Result<serde_json::Value, String>,
{
    ByDocument { name: name.into(), answer }
}

impl<F: FnMut(&Ask) -> Result<serde_json::Value, String>> Decomposer for ByDocument<F> {
    fn name(&self) -> &str {
        &self.name
    }

    fn decompose(&mut self, ask: &Ask) -> Result<Definition, DecomposeError> {
        let answer = (self.answer)(ask).map_err(|reason| DecomposeError::Refused { reason })?;
        let document: Document =
            serde_json::from_value(answer).map_err(|error| DecomposeError::Refused { reason: error.to_string() })?;
        Ok(document.compile(&Limits::default())?)
    }
}

impl<F> fmt::Debug for ByDocument<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByDocument").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The reason why a goal was not decomposed.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum DecomposeError {
    /// The decomposer has no answer.
    #[error("no answer: {reason}")]
    Refused {
        /// The reason.
        reason: String,
    },
    /// The planner found no plan.
    #[error(transparent)]
    NoPlan(#[from] NoPlan),
    /// The document is invalid.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The workflow is invalid.
    #[error(transparent)]
    Unsound(#[from] DefinitionError),
    /// The workflow contains a kind of task that is not allowed.
    #[error("node `{node}` uses the kind `{kind}`, which is not allowed")]
    UnknownKind {
        /// The node.
        node: Name,
        /// The kind.
        kind: Name,
    },
}

/// Calls a decomposer and validates its answer: a valid workflow of the requested name, within the limits, with tasks of allowed
/// kinds.
///
/// # Errors
///
/// [`DecomposeError`] with the reason why there is no valid answer.
pub fn decompose(decomposer: &mut dyn Decomposer, ask: &Ask, limits: &Limits) -> Result<Definition, DecomposeError> {
    let mut definition = decomposer.decompose(ask)?;
    definition.name = ask.name.clone();
    validate(&definition, limits)?;
    if let Some(kinds) = &ask.kinds {
        known(&definition, kinds)?;
    }
    Ok(definition)
}

/// Checks the kinds of all tasks, including those of nested workflows.
fn known(definition: &Definition, kinds: &[Name]) -> Result<(), DecomposeError> {
    let mut open = vec![definition];
    while let Some(definition) = open.pop() {
        for node in &definition.nodes {
            if let Action::Delegate(delegate) = &node.action {
                check_delegated_kinds(node, delegate, kinds)?;
            }
            if let Action::Function(function) = &node.action
                && !kinds.contains(&function.work.kind)
            {
                let (node, kind) = (node.name.clone(), function.work.kind.clone());
                return Err(DecomposeError::UnknownKind { node, kind });
            }
            for body in node.action.bodies() {
                match body {
                    Body::Flow(flow) => open.push(flow),
                    Body::Task(work) if !kinds.contains(&work.kind) => {
                        return Err(DecomposeError::UnknownKind { node: node.name.clone(), kind: work.kind.clone() });
                    }
                    // A called workflow is allowed by its name.
                    Body::Call(call) if !kinds.contains(&call.workflow) => {
                        let (node, kind) = (node.name.clone(), call.workflow.clone());
                        return Err(DecomposeError::UnknownKind { node, kind });
                    }
                    Body::Task(_) | Body::Call(_) => {}
                }
            }
        }
    }
    Ok(())
}

/// The kinds of delegated parts must be listed and allowed.
fn check_delegated_kinds(node: &Node, delegate: &Delegate, kinds: &[Name]) -> Result<(), DecomposeError> {
    let gather = if let Gather::Work(work) = &delegate.gather { Some(&work.kind) } else { None };
    let any = Name::from("any");
    let said = if delegate.kinds.is_empty() { core::slice::from_ref(&any) } else { &delegate.kinds[..] };
    let mut asked = core::iter::once(&delegate.work.kind).chain(gather).chain(said);
    match asked.find(|kind| !kinds.contains(kind)) {
        Some(kind) => Err(DecomposeError::UnknownKind { node: node.name.clone(), kind: kind.clone() }),
        None => Ok(()),
    }
}
