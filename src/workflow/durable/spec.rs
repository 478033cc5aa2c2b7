//! Durable functions that are specified by their name and types, and written elsewhere.

use crate::base::limits::Limits;
use crate::definition::{DurableFunction, Work};
use crate::workflow::{DefinitionError, Flow};
use core::fmt;
use core::marker::PhantomData;

/// The specification of a durable function: its name, its input and its output, without the code. The name is the kind of its
/// turns and the name of its workflow.
///
/// ```
/// use counterpoint::Failure;
/// use counterpoint::workflow::{Ctx, DurableFunctions, FunctionSpec, StepSpec};
///
/// const DOUBLE: StepSpec<u64, u64> = StepSpec::new("double");
/// const QUADRUPLE: FunctionSpec<u64, u64> = FunctionSpec::new("quadruple");
///
/// async fn quadruple(ctx: Ctx, number: u64) -> Result<u64, Failure> {
///     let twice = ctx.step("first", DOUBLE, &number).await?;
///     ctx.step("second", DOUBLE, &twice).await
/// }
///
/// let flow = QUADRUPLE.flow()?; // a workflow like any other: `host.run(&flow, run, &10)`
/// let functions = DurableFunctions::new().with(QUADRUPLE, quadruple);
/// # Ok::<(), counterpoint::workflow::DefinitionError>(())
/// ```
///
/// A function of other types does not compile:
///
/// ```compile_fail,E0631
/// # use counterpoint::Failure;
/// # use counterpoint::workflow::{Ctx, DurableFunctions, FunctionSpec};
/// # const QUADRUPLE: FunctionSpec<u64, u64> = FunctionSpec::new("quadruple");
/// let quadruple = |_: Ctx, text: String| async move { Ok::<u64, Failure>(text.len() as u64) };
/// let functions = DurableFunctions::new().with(QUADRUPLE, quadruple); // the input is a number
/// ```
pub struct FunctionSpec<I, O> {
    name: &'static str,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O> FunctionSpec<I, O> {
    /// A function of this name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, types: PhantomData }
    }

    /// Its name: the kind of its turns, and the skill that an agent needs to perform them.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The function as data, with default settings.
    #[must_use]
    pub fn function(self) -> DurableFunction {
        DurableFunction::new(Work::new(self.name))
    }

    /// The workflow that is only this function.
    ///
    /// # Errors
    ///
    /// When the name is empty or too long.
    pub fn flow(self) -> Result<Flow<I, O>, DefinitionError> {
        self.flow_with(self.function())
    }

    /// The workflow that is only this function, with other settings: [`function`](Self::function) is a start.
    ///
    /// # Errors
    ///
    /// When the name or a setting is invalid.
    pub fn flow_with(self, function: DurableFunction) -> Result<Flow<I, O>, DefinitionError> {
        Flow::from_definition(function.definition(self.name), &Limits::default())
    }
}

impl<I, O> Clone for FunctionSpec<I, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I, O> Copy for FunctionSpec<I, O> {}

impl<I, O> fmt::Debug for FunctionSpec<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FunctionSpec({})", self.name)
    }
}
