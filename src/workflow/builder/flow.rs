//! Finished workflows with typed input and output.

use crate::base::error::PayloadError;
use crate::base::limits::Limits;
use crate::base::payload::Payload;
use crate::definition::{Definition, DefinitionId};
use crate::message::run::{RunKey, RunSpec};
use crate::routing::SkillMap;
use crate::task::agent::AgentSpec;
use crate::workflow::{DefinitionError, NoAgents, check_against, validate};
use core::fmt;
use core::marker::PhantomData;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// A valid definition with input type `I` and output type `O`. Cloning increments a reference count.
///
/// ```
/// use counterpoint::definition::{Action, Definition, Expr, Node};
/// use counterpoint::workflow::Flow;
/// use counterpoint::{Limits, RunId};
///
/// let written = Definition::new("double")
///     .with_node(Node::new("double", Action::task("double")).with_input(Expr::Input))
///     .with_output(Expr::node("double"));
/// let flow = Flow::<u32, u32>::from_definition(written, &Limits::default())?;
/// let run = flow.run(RunId::from_key("two"), &2)?;
/// assert_eq!(run.workflow, "double");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Flow<I, O> {
    definition: Arc<Definition>,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O> Flow<I, O> {
    /// A definition that was written as data. The caller asserts that its types are `I` and `O`.
    ///
    /// # Errors
    ///
    /// Returns an error if the definition is invalid.
    pub fn from_definition(definition: Definition, limits: &Limits) -> Result<Self, DefinitionError> {
        validate(&definition, limits)?;
        Ok(Self::sound(definition))
    }

    pub(super) fn sound(definition: Definition) -> Self {
        Self { definition: Arc::new(definition), types: PhantomData }
    }

    /// The definition.
    #[must_use]
    pub const fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// Checks that at least one of these agents meets the needs of each task, see
    /// [`check_against`](crate::workflow::check_against), which also accepts skills that imply others.
    ///
    /// # Errors
    ///
    /// The tasks that none of the agents can perform.
    pub fn check_against<'a>(&self, agents: impl IntoIterator<Item = &'a AgentSpec>) -> Result<(), NoAgents> {
        check_against(&self.definition, agents, &SkillMap::default())
    }

    /// The identity of the definition.
    #[must_use]
    pub fn id(&self) -> DefinitionId {
        self.definition.id()
    }

    /// A run of this version of the workflow, under an id or under a key of the host such as `"order-17"`.
    ///
    /// # Errors
    ///
    /// Returns an error if the input has no JSON form.
    pub fn run(&self, run: impl Into<RunKey>, input: &I) -> Result<RunSpec, PayloadError>
    where
        I: Serialize,
    {
        let run = run.into().run_of(&self.definition.name).with_version(self.definition.version);
        Ok(run.with_input(Payload::of(input)?))
    }

    /// Deserializes the output of a run of this workflow.
    ///
    /// # Errors
    ///
    /// Returns an error if the output is not an `O`.
    pub fn read(&self, output: &Payload) -> Result<O, PayloadError>
    where
        O: DeserializeOwned,
    {
        output.to()
    }
}

impl<I, O> Clone for Flow<I, O> {
    fn clone(&self) -> Self {
        Self { definition: Arc::clone(&self.definition), types: PhantomData }
    }
}

impl<I, O> fmt::Debug for Flow<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (input, output) = (core::any::type_name::<I>(), core::any::type_name::<O>());
        write!(f, "Flow({} v{}: {input} -> {output})", self.definition.name, self.definition.version)
    }
}
