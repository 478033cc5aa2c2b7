//! The typed workflow builder.

mod branches;
mod choice;
mod delegate;
mod draft;
mod flow;
mod handle;
mod join;
pub mod kind;
mod source;
mod value;
mod variable;

pub use choice::{CaseRef, Choice};
pub use flow::Flow;
pub use handle::Handle;
pub use source::{Branches, Source};
pub use value::Value;
pub use variable::VariableRef;

use super::validate::{DefinitionError, Fault, validate_with};
use crate::base::limits::Limits;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::{
    Action, Body, Budget, Call, Condition, Expr, Fail, Join, Map, On, Receivers, Reducer, Repeat, SendSignal, States,
};
use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;
use draft::{Datum, Draft, Sketch};
use join::{joined, merged};
use kind::{AsStep, Doable, Mapped, Once, Repeated};
use serde::Serialize;

/// A builder of a workflow with input type `I` and output type `O`.
///
/// Every method that adds a node returns a [`Handle`], which is `Copy` and stands for the node's output. Using a handle
/// as data creates a link: the node that uses it starts when the other one has succeeded. If that one fails or is
/// skipped, the node is skipped.
///
/// ```
/// # use counterpoint::workflow::{Attempt, Step, Workflow};
/// # use counterpoint::{Failure, Retry};
/// # use std::time::Duration;
/// # macro_rules! step { ($name:ident, $kind:literal, $in:ty => $out:ty) => {
/// #     struct $name;
/// #     impl Step for $name {
/// #         const KIND: &'static str = $kind;
/// #         type Input = $in;
/// #         type Output = $out;
/// #         fn run(&self, _: $in, _: &Attempt) -> Result<$out, Failure> { Err(Failure::permanent("not here")) }
/// #     }
/// # } }
/// # step!(Fetch, "fetch", String => Vec<String>);
/// # step!(Summarise, "summarise", String => String);
/// # step!(Join, "join", (String, Vec<String>) => String);
/// // Fetch: String -> Vec<String>, Summarise: String -> String, Join: (String, Vec<String>) -> String
/// let flow = Workflow::<String, String>::named("digest");
/// let pages = flow.step(Fetch, flow.input()).retry(Retry::exponential(5, Duration::from_secs(1), Duration::from_secs(60)));
/// let notes = flow.map(Summarise, pages).max_concurrent(4);
/// let whole = flow.step(Join, (flow.input(), notes));
/// let digest = flow.output(whole)?;
/// assert_eq!(digest.definition().nodes.len(), 3);
/// # Ok::<(), counterpoint::workflow::DefinitionError>(())
/// ```
///
/// Data of the wrong type does not compile:
///
/// ```compile_fail,E0277
/// # use counterpoint::workflow::{Attempt, Step, Workflow};
/// # use counterpoint::Failure;
/// # struct Double;
/// # impl Step for Double {
/// #     const KIND: &'static str = "double";
/// #     type Input = u32;
/// #     type Output = u32;
/// #     fn run(&self, input: u32, _: &Attempt) -> Result<u32, Failure> { Ok(input * 2) }
/// # }
/// let flow = Workflow::<String, u32>::named("wrong");
/// let twice = flow.step(Double, flow.input()); // the input is a String, and Double takes a u32
/// ```
///
/// Compensating a step without a compensation does not compile either:
///
/// ```compile_fail,E0277
/// # use counterpoint::workflow::{Attempt, Step, Workflow};
/// # use counterpoint::Failure;
/// # struct Double;
/// # impl Step for Double {
/// #     const KIND: &'static str = "double";
/// #     type Input = u32;
/// #     type Output = u32;
/// #     fn run(&self, input: u32, _: &Attempt) -> Result<u32, Failure> { Ok(input * 2) }
/// # }
/// let flow = Workflow::<u32, u32>::named("wrong");
/// let twice = flow.step(Double, flow.input()).undoable(); // Double is no Undo
/// ```
///
/// Nor does an output of the wrong type:
///
/// ```compile_fail,E0277
/// # use counterpoint::workflow::Workflow;
/// let flow = Workflow::<u32, String>::named("wrong");
/// let done = flow.output(flow.input()); // a u32, and not a String
/// ```
///
/// Nor do branches of different types in a merge:
///
/// ```compile_fail,E0277
/// # use counterpoint::workflow::Workflow;
/// let flow = Workflow::<u32, u32>::named("wrong");
/// let (text, number) = (flow.wait_signal::<String>("text"), flow.wait_signal::<u32>("number"));
/// let met = flow.merge((text, number));
/// ```
pub struct Workflow<I, O> {
    name: Name,
    version: u32,
    /// Boxed, because its address identifies the builder that a handle belongs to.
    draft: Box<Draft>,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O> Workflow<I, O> {
    /// A workflow of this name, without nodes.
    #[must_use]
    pub fn named(name: impl Into<Name>) -> Self {
        Self { name: name.into(), version: 0, draft: Box::default(), types: PhantomData }
    }

    /// Sets the version. An engine can hold several versions of a name; a run keeps the version with which it was
    /// started.
    #[must_use]
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Bounds the resources that a run may use.
    #[must_use]
    pub fn budget(self, budget: Budget) -> Self {
        self.draft.grant(budget);
        self
    }

    /// The input of the run.
    #[must_use]
    pub fn input(&self) -> Value<'_, I> {
        Value::keep(&self.draft, Datum::of(Expr::Input))
    }

    /// A constant. If it has no JSON form, finishing the workflow fails.
    #[must_use]
    pub fn constant<T: Serialize>(&self, value: T) -> Value<'_, T> {
        let value = Payload::of(&value).unwrap_or_else(|error| {
            self.draft.fault(Fault::NoJsonForm { reason: error.to_string() });
            Payload::NULL
        });
        Value::keep(&self.draft, Datum::of(Expr::Const(value)))
    }

    /// A variable of the run, to which several nodes write.
    ///
    /// ```
    /// # use counterpoint::workflow::{Attempt, Step, Workflow};
    /// # use counterpoint::Failure;
    /// # struct Search;
    /// # impl Step for Search {
    /// #     const KIND: &'static str = "search";
    /// #     type Input = String;
    /// #     type Output = Vec<String>;
    /// #     fn run(&self, _: String, _: &Attempt) -> Result<Vec<String>, Failure> { Ok(Vec::new()) }
    /// # }
    /// use counterpoint::definition::Reducer;
    ///
    /// let flow = Workflow::<(String, String), Option<Vec<String>>>::named("search");
    /// let found = flow.variable::<Vec<String>>("found", Reducer::Append);
    /// let here = flow.step(Search, flow.input().field::<String>("/0")).writes(found, "");
    /// let there = flow.step(Search, flow.input().field::<String>("/1")).writes(found, "");
    /// let search = flow.output(found.value())?;
    /// # Ok::<(), counterpoint::workflow::DefinitionError>(())
    /// ```
    pub fn variable<T>(&self, name: impl Into<Name>, reducer: Reducer) -> VariableRef<'_, T> {
        VariableRef::add(&self.draft, name.into(), reducer)
    }

    /// Adds a node that performs a step once: a [`Step`](super::Step), an [`AsyncStep`](super::AsyncStep) or a
    /// [`StepSpec`](super::StepSpec).
    pub fn step<'f, M, S: AsStep<M>>(
        &'f self,
        step: S,
        input: impl Source<'f, S::Input>,
    ) -> Handle<'f, S::Output, Once<S::Form>> {
        self.add(sketch(&step).with_input(self.datum(input)))
    }

    /// Adds a node that runs another workflow, as a child run.
    pub fn sub<'f, A, B>(&'f self, flow: &Flow<A, B>, input: impl Source<'f, A>) -> Handle<'f, B, Once<Flow<A, B>>> {
        self.add(sketch(&flow).with_input(self.datum(input)))
    }

    /// Adds a node that executes a durable function.
    ///
    /// ```
    /// use counterpoint::workflow::{FunctionSpec, StepSpec, Workflow};
    ///
    /// const READ: StepSpec<String, Vec<u32>> = StepSpec::new("read");
    /// const SUM: FunctionSpec<Vec<u32>, u32> = FunctionSpec::new("sum");
    ///
    /// let flow = Workflow::<String, u32>::named("report");
    /// let report = flow.output(flow.function(SUM, flow.step(READ, flow.input())))?;
    /// # Ok::<(), counterpoint::workflow::DefinitionError>(())
    /// ```
    #[cfg(feature = "functions")]
    pub fn function<'f, A, B>(
        &'f self,
        function: super::FunctionSpec<A, B>,
        input: impl Source<'f, A>,
    ) -> Handle<'f, B> {
        let node = Sketch::new(function.name(), Action::Function(function.function()));
        self.add(node.with_input(self.datum(input)))
    }

    /// Adds a node that runs a workflow by its name, which may be this one. The caller asserts that its input is an `A`
    /// and its output a `B`.
    ///
    /// ```
    /// # use counterpoint::workflow::Workflow;
    /// use counterpoint::definition::Call;
    ///
    /// let flow = Workflow::<Vec<u32>, u32>::named("sum");
    /// let rest = flow.call::<Vec<u32>, u32>(Call::of("sum").to_depth(100), flow.input());
    /// let sum = flow.output(rest)?;
    /// # Ok::<(), counterpoint::workflow::DefinitionError>(())
    /// ```
    pub fn call<'f, A, B>(&'f self, call: Call, input: impl Source<'f, A>) -> Handle<'f, B, Once<Call>> {
        let node = Sketch::new(call.workflow.clone(), Action::Do(Body::Call(call)));
        self.add(node.with_input(self.datum(input)))
    }

    /// Adds a node that performs a step or runs a workflow for each item of a list, with the list of results as output.
    pub fn map<'f, M, W: Doable<M>>(
        &'f self,
        work: W,
        over: impl Source<'f, Vec<W::Input>>,
    ) -> Handle<'f, Vec<W::Output>, Mapped<W::Form>> {
        self.map_with(work, over, |item| item)
    }

    /// Like [`map`](Self::map), with an input that is computed from the item.
    ///
    /// ```
    /// # use counterpoint::workflow::{Attempt, Step, Workflow};
    /// # use counterpoint::Failure;
    /// # struct Translate;
    /// # impl Step for Translate {
    /// #     const KIND: &'static str = "translate";
    /// #     type Input = (String, String);
    /// #     type Output = String;
    /// #     fn run(&self, input: (String, String), _: &Attempt) -> Result<String, Failure> { Ok(input.0) }
    /// # }
    /// let flow = Workflow::<(Vec<String>, String), Vec<String>>::named("translate-all");
    /// let language = flow.input().field::<String>("/1");
    /// let texts = flow.map_with(Translate, flow.input().field::<Vec<String>>("/0"), |text| (text, language));
    /// let done = flow.output(texts)?;
    /// # Ok::<(), counterpoint::workflow::DefinitionError>(())
    /// ```
    pub fn map_with<'f, T, M, W: Doable<M>, S: Source<'f, W::Input>>(
        &'f self,
        work: W,
        over: impl Source<'f, Vec<T>>,
        input: impl FnOnce(Value<'f, T>) -> S,
    ) -> Handle<'f, Vec<W::Output>, Mapped<W::Form>> {
        let over = self.datum(over);
        let input = self.datum(input(Value::keep(&self.draft, Datum::of(Expr::Item))));
        let action = Action::Map(Map::over(over.expr, work.body()));
        let mut node = Sketch::new(work.name(), action);
        node.after.extend(over.after);
        self.add(node.with_input(input))
    }

    /// Adds a node that performs a step or runs a workflow repeatedly with the same input, until the condition holds
    /// for the output, which is [`Expr::Item`] in it. If it does not hold within `most` rounds, the node fails.
    pub fn repeat<'f, M, W: Doable<M>>(
        &'f self,
        work: W,
        input: impl Source<'f, W::Input>,
        until: Condition,
        most: u32,
    ) -> Handle<'f, W::Output, Repeated<W::Form>> {
        self.repeat_with(work, |_| input, until, most)
    }

    /// Like [`repeat`](Self::repeat), with an input that may use the output of the previous round, which is `None` in
    /// the first.
    ///
    /// ```
    /// # use counterpoint::workflow::{Attempt, Step, Workflow};
    /// # use counterpoint::Failure;
    /// # struct Polish;
    /// # impl Step for Polish {
    /// #     const KIND: &'static str = "polish";
    /// #     type Input = String;
    /// #     type Output = String;
    /// #     fn run(&self, input: String, _: &Attempt) -> Result<String, Failure> { Ok(input) }
    /// # }
    /// use counterpoint::definition::{Condition, Expr};
    ///
    /// let flow = Workflow::<String, String>::named("polish");
    /// let good = Condition::equal(Expr::Item.at("/rating"), Expr::value("good"));
    /// let text = flow.repeat_with(Polish, |previous| previous.or(flow.input()), good, 5);
    /// let done = flow.output(text)?;
    /// # Ok::<(), counterpoint::workflow::DefinitionError>(())
    /// ```
    pub fn repeat_with<'f, M, W: Doable<M>, S: Source<'f, W::Input>>(
        &'f self,
        work: W,
        input: impl FnOnce(Value<'f, Option<W::Output>>) -> S,
        until: Condition,
        most: u32,
    ) -> Handle<'f, W::Output, Repeated<W::Form>> {
        let input = self.datum(input(Value::keep(&self.draft, Datum::of(Expr::Item))));
        let action = Action::Repeat(Repeat::until(work.body(), until, most));
        self.add(Sketch::new(work.name(), action).with_input(input))
    }

    /// Adds a node that performs a step or runs a workflow repeatedly while the condition holds for the previous
    /// output, which is [`Expr::Item`] in it and null at first. The output is `None` if the condition never held.
    pub fn repeat_while<'f, M, W: Doable<M>>(
        &'f self,
        work: W,
        input: impl Source<'f, W::Input>,
        whilst: Condition,
        most: u32,
    ) -> Handle<'f, Option<W::Output>, Repeated<W::Form>> {
        let input = self.datum(input);
        let action = Action::Repeat(Repeat::while_(work.body(), whilst, most));
        self.add(Sketch::new(work.name(), action).with_input(input))
    }

    /// Adds a node in which one token moves between states. The final states are its cases, and the final value of the
    /// token is its [`output`](Choice::output).
    ///
    /// ```
    /// # use counterpoint::workflow::Workflow;
    /// use counterpoint::definition::{Condition, Expr, State, States, Work};
    ///
    /// let flow = Workflow::<String, String>::named("essay");
    /// let good = Condition::less(Expr::value(7), Expr::Item.at("/grade"));
    /// let states = States::from("draft", 20)
    ///     .with(State::new("draft").doing(Work::new("write")).then("review"))
    ///     .with(State::new("review").doing(Work::new("criticise")).when(good, "done").then("draft"))
    ///     .with(State::new("done"));
    /// let essay = flow.output(flow.states(states, flow.input()).output::<String>())?;
    /// # Ok::<(), counterpoint::workflow::DefinitionError>(())
    /// ```
    pub fn states<'f, T>(&'f self, states: States, input: impl Source<'f, T>) -> Choice<'f> {
        Choice::states(&self.draft, states, self.datum(input))
    }

    /// Adds a node that ends the run with this output and cancels everything else.
    pub fn stop<'f>(&'f self, output: impl Source<'f, O>) -> Handle<'f, ()> {
        self.add(Sketch::new("stop", Action::Stop).with_input(self.datum(output)))
    }

    /// Adds a node that fails with this message.
    pub fn fail(&self, message: impl Into<Name>) -> Handle<'_, ()> {
        self.add(Sketch::new("fail", Action::Fail(message.into().into())))
    }

    /// Adds a node that fails with this failure. The item of its expressions is `of`.
    pub fn fail_with<'f, T>(&'f self, fail: Fail, of: impl Source<'f, T>) -> Handle<'f, ()> {
        self.add(Sketch::new("fail", Action::Fail(fail)).with_input(self.datum(of)))
    }

    /// Adds a node that sends a signal with this content to runs. Its output is the number of runs that received it.
    pub fn send<'f, T>(
        &'f self,
        signal: impl Into<Name>,
        to: Receivers,
        content: impl Source<'f, T>,
    ) -> Handle<'f, u32> {
        let send = SendSignal::new(signal, to);
        self.add(Sketch::new("send", Action::Send(send)).with_input(self.datum(content)))
    }

    /// Adds a node that compensates these nodes after they have succeeded, while the run goes forward ([`Action::Compensate`]). Its
    /// output is the list of their names.
    pub fn compensate<'f, T>(&'f self, nodes: impl Source<'f, T>) -> Handle<'f, Vec<String>> {
        let Datum { after, .. } = self.datum(nodes);
        let mut sketch = Sketch::new("compensate", Action::Compensate { of: Vec::new() });
        sketch.compensates = after.iter().map(|(node, _)| *node).collect();
        sketch.after = after;
        self.add(sketch)
    }

    /// Adds a node that compensates all nodes that have ended before it starts, while the run goes forward.
    pub fn compensate_all(&self) -> Handle<'_, Vec<String>> {
        self.add(Sketch::new("compensate", Action::Compensate { of: Vec::new() }))
    }

    /// Adds a node that waits for a time.
    pub fn sleep(&self, span: Duration) -> Handle<'_, ()> {
        self.add(Sketch::new("sleep", Action::Wait { signal: None, timer: Some(span) }))
    }

    /// Finishes and validates the workflow.
    ///
    /// # Errors
    ///
    /// Returns all faults by the default [`Limits`], each with its node.
    pub fn output<'f>(&'f self, output: impl Source<'f, O>) -> Result<Flow<I, O>, DefinitionError> {
        self.output_within(output, &Limits::default())
    }

    /// Finishes and validates the workflow with other limits.
    ///
    /// # Errors
    ///
    /// Returns all faults, as for [`output`](Self::output).
    pub fn output_within<'f>(
        &'f self,
        output: impl Source<'f, O>,
        limits: &Limits,
    ) -> Result<Flow<I, O>, DefinitionError> {
        let output = self.datum(output).expr;
        let (definition, faults) = self.draft.freeze(self.name.clone(), self.version, output);
        validate_with(&definition, limits, faults)?;
        Ok(Flow::sound(definition))
    }

    fn datum<'f, T>(&'f self, source: impl Source<'f, T>) -> Datum {
        source.datum(&self.draft).0
    }

    fn stream<'f, T, M, W: Doable<M>, U, K>(
        &'f self,
        work: &W,
        branches: &[Handle<'f, T>],
        join: Join,
        on: &On,
    ) -> Handle<'f, U, K> {
        let own = branches.iter().filter(|branch| self.draft.owns(branch.draft()));
        let after = own.map(|branch| (branch.node_index(), on.clone())).collect();
        self.add(sketch(work).with_branches(Datum { expr: Expr::default(), after }, join))
    }

    fn add<T, K>(&self, node: Sketch) -> Handle<'_, T, K> {
        Handle::add(&self.draft, node)
    }

    fn join<'f, T, U, K>(
        &'f self,
        branches: &[Handle<'f, T>],
        base: &str,
        join: Join,
        expr: impl FnOnce(Vec<Expr>) -> Expr,
    ) -> Handle<'f, U, K> {
        Handle::add(&self.draft, joined(&self.draft, branches, base, join, expr))
    }
}

impl<I, O> fmt::Debug for Workflow<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (input, output) = (core::any::type_name::<I>(), core::any::type_name::<O>());
        write!(f, "Workflow({} v{}: {input} -> {output})", self.name, self.version)
    }
}

/// A node that performs this work once.
fn sketch<M, W: Doable<M>>(work: &W) -> Sketch {
    Sketch::new(work.name(), Action::Do(work.body()))
}
