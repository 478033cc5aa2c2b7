//! From a goal to a workflow.
//!
//! | how | with | source |
//! |---|---|---|
//! | by planning, from operators and methods | [`plan`], [`Domain`] | hierarchical task networks: SHOP (Nau et al. 2003), GTPyhop 2021 |
//! | by rules, as data | [`RulePack`] | - |
//! | by whatever a host plugs in, such as a language model | [`Decomposer`] | - |
//!
//! What comes out is a [`Definition`]; whoever made it, [`decompose`] validates it like any other before anything runs.

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

use crate::definition::{Action, Body, Definition, Delegate, Gather, Node};
use crate::id::RunId;
use crate::language::{Document, DocumentError};
use crate::limits::Limits;
use crate::name::Name;
use crate::payload::Payload;
use crate::run::RunSpec;
use crate::workflow::{DefinitionError, validate};
use core::fmt;
use thiserror::Error;

/// A goal, in words.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Ask {
    /// What the workflow shall be called.
    pub name: Name,
    /// What is wanted.
    pub goal: String,
    /// What it is about: data for every step.
    pub about: Payload,
    /// The kinds of tasks that there are agents for; none: any.
    pub kinds: Option<Vec<Name>>,
}

impl Ask {
    /// A goal about nothing in particular; the workflow is called `goal`.
    #[must_use]
    pub fn new(goal: impl Into<String>) -> Self {
        Self { name: Name::from("goal"), goal: goal.into(), about: Payload::NULL, kinds: None }
    }

    /// Names the workflow.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// Says what it is about.
    #[must_use]
    pub fn with_about(mut self, about: impl Into<Payload>) -> Self {
        self.about = about.into();
        self
    }

    /// Allows tasks of these kinds only.
    #[must_use]
    pub fn with_kinds<N: Into<Name>>(mut self, kinds: impl IntoIterator<Item = N>) -> Self {
        self.kinds = Some(kinds.into_iter().map(Into::into).collect());
        self
    }

    /// A run of what it was decomposed into: its input is `{"goal", "about"}`.
    #[must_use]
    pub fn run(&self, id: RunId) -> RunSpec {
        RunSpec::new(id, &self.name).with_input(rules::input(self))
    }
}

/// Turns goals into workflows.
pub trait Decomposer: fmt::Debug {
    /// For people and reports.
    fn name(&self) -> &str;

    /// The workflow that reaches the goal. It need not be sound: [`decompose`] looks at that.
    ///
    /// # Errors
    ///
    /// When it has no answer.
    fn decompose(&mut self, ask: &Ask) -> Result<Definition, DecomposeError>;
}

/// Turns goals into workflows through a function that answers with a document in the [`language`](crate::language), as JSON:
/// what a language model can be asked for. Made by [`by_document`].
pub struct ByDocument<F> {
    name: Name,
    answer: F,
}

/// A decomposer that asks this function for a document, such as one that a language model has written.
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
        Ok(document.compile(&Limits::default())?.definition)
    }
}

impl<F> fmt::Debug for ByDocument<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByDocument").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A goal that did not become a workflow.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum DecomposeError {
    /// The decomposer has no answer.
    #[error("no answer: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// The planner has none.
    #[error(transparent)]
    NoPlan(#[from] NoPlan),
    /// The document that it answered with is none.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The workflow that it answered with is not sound.
    #[error(transparent)]
    Unsound(#[from] DefinitionError),
    /// The workflow asks for a kind of task that nobody does.
    #[error("node `{node}` asks for `{kind}`, which nobody does")]
    UnknownKind {
        /// Where.
        node: Name,
        /// What.
        kind: Name,
    },
}

/// Asks a decomposer, and validates what it answers: a sound workflow of the name that was asked for, within these limits, with
/// tasks of known kinds.
///
/// # Errors
///
/// Why there is no such answer.
pub fn decompose(decomposer: &mut dyn Decomposer, ask: &Ask, limits: &Limits) -> Result<Definition, DecomposeError> {
    let mut definition = decomposer.decompose(ask)?;
    definition.name = ask.name.clone();
    validate(&definition, limits)?;
    if let Some(kinds) = &ask.kinds {
        known(&definition, kinds)?;
    }
    Ok(definition)
}

/// Whether all tasks are of these kinds, in workflows within, too.
fn known(definition: &Definition, kinds: &[Name]) -> Result<(), DecomposeError> {
    let mut open = vec![definition];
    while let Some(definition) = open.pop() {
        for node in &definition.nodes {
            if let Action::Delegate(delegate) = &node.action {
                handed_on(node, delegate, kinds)?;
            }
            for body in bodies(node) {
                match body {
                    Body::Flow(flow) => open.push(flow),
                    Body::Task(work) if !kinds.contains(&work.kind) => {
                        return Err(DecomposeError::UnknownKind { node: node.name.clone(), kind: work.kind.clone() });
                    }
                    // What is called by its name must be allowed by its name.
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

/// What may be handed on must be allowed, too; so it must be said.
fn handed_on(node: &Node, delegate: &Delegate, kinds: &[Name]) -> Result<(), DecomposeError> {
    let gather = if let Gather::Work(work) = &delegate.gather { Some(&work.kind) } else { None };
    let any = Name::from("any");
    let said = if delegate.kinds.is_empty() { core::slice::from_ref(&any) } else { &delegate.kinds[..] };
    let mut asked = core::iter::once(&delegate.work.kind).chain(gather).chain(said);
    match asked.find(|kind| !kinds.contains(kind)) {
        Some(kind) => Err(DecomposeError::UnknownKind { node: node.name.clone(), kind: kind.clone() }),
        None => Ok(()),
    }
}

/// What a node may have done, undoing excepted.
fn bodies(node: &Node) -> Vec<&Body> {
    match &node.action {
        Action::Do(body) => vec![body],
        Action::Map(map) => vec![&map.body],
        Action::Repeat(repeat) => vec![&repeat.body],
        Action::States(states) => states.states.iter().filter_map(|state| state.body.as_ref()).collect(),
        Action::Delegate(_)
        | Action::Choose { .. }
        | Action::Wait { .. }
        | Action::Race { .. }
        | Action::Pass
        | Action::Stop
        | Action::Fail(_) => Vec::new(),
    }
}
