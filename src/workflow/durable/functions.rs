//! A registry of durable functions by name.

use super::ctx::Ctx;
use super::spec::FunctionSpec;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::task::{Failure, codes};
use crate::workflow::steps::unreadable_input;
use core::fmt;
use core::pin::Pin;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The future of the code of a function.
pub(super) type Running = Pin<Box<dyn Future<Output = Result<Payload, Failure>> + Send>>;

type Code = dyn Fn(Ctx, &Payload) -> Result<Running, Failure> + Send + Sync;

/// The number of functions that are kept in memory between their turns, unless it is set.
const KEPT: usize = 64;

/// A registry of durable functions, with which an agent executes their turns. Cloning is cheap.
///
/// ```
/// use counterpoint::Failure;
/// use counterpoint::workflow::{Ctx, DurableFunctions, FunctionSpec};
/// use std::time::Duration;
///
/// const REMIND: FunctionSpec<u32, ()> = FunctionSpec::new("remind");
///
/// let functions = DurableFunctions::new().with(REMIND, |ctx: Ctx, days: u32| async move {
///     ctx.sleep("wait", Duration::from_secs(86_400) * days).await
/// });
/// assert_eq!(functions.names().count(), 1);
/// ```
#[derive(Clone)]
pub struct DurableFunctions {
    functions: BTreeMap<Name, Arc<Code>>,
    kept: usize,
}

impl Default for DurableFunctions {
    fn default() -> Self {
        Self { functions: BTreeMap::new(), kept: KEPT }
    }
}

impl DurableFunctions {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a function. It replaces a function of the same name.
    #[must_use]
    pub fn with<I, O, F, A>(mut self, spec: FunctionSpec<I, O>, function: F) -> Self
    where
        I: DeserializeOwned,
        O: Serialize,
        F: Fn(Ctx, I) -> A + Send + Sync + 'static,
        A: Future<Output = Result<O, Failure>> + Send + 'static,
    {
        let name = spec.name();
        let code = move |ctx: Ctx, input: &Payload| -> Result<Running, Failure> {
            let input = input.to().map_err(|error| unreadable_input(name, &error))?;
            let running = function(ctx, input);
            let unfit = |error| Failure::permanent(format!("its result: {error}")).with_code(codes::INVALID_VALUE);
            Ok(Box::pin(async move { Payload::of(&running.await?).map_err(unfit) }))
        };
        self.functions.insert(name.into(), Arc::new(code));
        self
    }

    /// Sets how many functions an agent keeps in memory between their turns; 64 by default. A function that is not kept begins
    /// again from its start with each turn. With 0, every turn does: a test that its code is deterministic.
    #[must_use]
    pub const fn kept(mut self, functions: usize) -> Self {
        self.kept = functions;
        self
    }

    /// The names in ascending order. An agent with these functions has them as skills.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &Name> + Clone {
        self.functions.keys()
    }

    pub(super) const fn most_kept(&self) -> usize {
        self.kept
    }

    pub(super) fn code(&self, name: &Name) -> Option<&Arc<Code>> {
        self.functions.get(name)
    }
}

impl fmt::Debug for DurableFunctions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
