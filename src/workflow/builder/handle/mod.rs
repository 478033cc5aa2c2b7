//! Handles: references to nodes, and to parts of their outputs.

mod some;

use super::choice::CaseRef;
use super::draft::{Datum, Draft, Sketch, mark};
use super::kind::{AsStep, Plain, Retries, RetriesOf, Several, Tasks, Works};
use super::value::Value;
use super::variable::VariableRef;
use crate::base::name::Name;
use crate::definition::{
    Action, Budget, Condition, Expr, Handler, Join, Milestone, On, Precondition, SavePoint, Work, Write,
};
use crate::task::{Failures, Needs, Policy, Retry, Tier, Usage};
use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;

/// A node of a workflow with output type `T`. `K` is the kind of the node, which determines its settings: only a node
/// with a step that implements [`Undo`](crate::workflow::Undo) is [`undoable`](Self::undoable), only a map has
/// [`max_concurrent`](Self::max_concurrent).
///
/// Handles are `Copy`. A setting applies to the node, regardless of the copy it is set through.
///
/// ```
/// # use counterpoint::workflow::{Attempt, Step, Workflow};
/// # use counterpoint::{Failure, Retry, Tier};
/// # struct Double;
/// # impl Step for Double {
/// #     const KIND: &'static str = "double";
/// #     type Input = u32;
/// #     type Output = u32;
/// #     fn run(&self, input: u32, _: &Attempt) -> Result<u32, Failure> { Ok(input * 2) }
/// # }
/// let flow = Workflow::<u32, (u32, u32)>::named("twice");
/// let first = flow.step(Double, flow.input()).named("first").retry(Retry::never()).tier(Tier::High);
/// let second = flow.step(Double, first).after(flow.sleep(std::time::Duration::from_secs(60)));
/// let twice = flow.output((first, second))?;
/// assert!(twice.definition().node("first").is_some());
/// # Ok::<(), counterpoint::workflow::DefinitionError>(())
/// ```
pub struct Handle<'f, T, K = Plain> {
    draft: &'f Draft,
    node: usize,
    types: PhantomData<fn() -> (T, K)>,
}

impl<T, K> Clone for Handle<'_, T, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, K> Copy for Handle<'_, T, K> {}

impl<T, K> fmt::Debug for Handle<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({}: {})", self.node, core::any::type_name::<T>())
    }
}

impl<'f, T, K> Handle<'f, T, K> {
    pub(super) fn add(draft: &'f Draft, node: Sketch) -> Self {
        Self { draft, node: draft.add(node), types: PhantomData }
    }

    pub(super) const fn node_index(self) -> usize {
        self.node
    }

    pub(super) const fn draft(self) -> &'f Draft {
        self.draft
    }

    pub(super) fn seen_from(self, draft: &Draft) -> Datum {
        if !draft.owns(self.draft) {
            return Datum::default();
        }
        Datum { expr: Expr::Node(mark(self.node)), after: vec![(self.node, On::Success)] }
    }

    pub(super) const fn retyped<U, L>(self) -> Handle<'f, U, L> {
        Handle { draft: self.draft, node: self.node, types: PhantomData }
    }

    pub(super) fn with(self, change: impl FnOnce(&mut Sketch)) -> Self {
        self.draft.change(self.node, change);
        self
    }

    fn link<U, L>(self, other: Handle<'f, U, L>, on: On) -> Self {
        if self.draft.owns(other.draft) { self.with(|node| node.link(other.node, on)) } else { self }
    }

    /// Sets the name of the node. By default it is named after its kind, with a number if there are several.
    #[must_use = "a handle is how other nodes refer to this one"]
    pub fn named(self, name: impl Into<Name>) -> Self {
        let name = name.into();
        self.with(|node| node.rename(name))
    }

    /// Starts only after `other` has succeeded, without using its output.
    pub fn after<U, L>(self, other: Handle<'f, U, L>) -> Self {
        self.link(other, On::Success)
    }

    /// Starts only after `other` has ended in any way, including being skipped.
    pub fn after_end_of<U, L>(self, other: Handle<'f, U, L>) -> Self {
        self.link(other, On::Always)
    }

    /// Starts only if `other` fails: the alternative path. The failure of `other` then does not fail the run.
    pub fn on_failure_of<U, L>(self, other: Handle<'f, U, L>) -> Self {
        self.link(other, On::Failure)
    }

    /// Starts only if `other` fails with one of these failures, by kind or by code. Such a failure of `other` then does not fail
    /// the run; others do. The first of several such nodes whose failures match starts.
    ///
    /// ```
    /// # use counterpoint::workflow::{Attempt, Step, Workflow};
    /// # use counterpoint::Failure;
    /// # macro_rules! step { ($name:ident, $kind:literal) => {
    /// #     struct $name;
    /// #     impl Step for $name {
    /// #         const KIND: &'static str = $kind;
    /// #         type Input = u32;
    /// #         type Output = u32;
    /// #         fn run(&self, n: u32, _: &Attempt) -> Result<u32, Failure> { Ok(n) }
    /// #     }
    /// # } }
    /// # step!(Charge, "charge");
    /// # step!(AskForCash, "cash");
    /// let flow = Workflow::<u32, u32>::named("pay");
    /// let charge = flow.step(Charge, flow.input());
    /// let cash = flow.step(AskForCash, flow.input()).on_failure_with(charge, "card.*");
    /// let pay = flow.output(flow.merge((charge, cash)))?;
    /// # Ok::<(), counterpoint::workflow::DefinitionError>(())
    /// ```
    pub fn on_failure_with<U, L>(self, other: Handle<'f, U, L>, failures: impl Into<Failures>) -> Self {
        if !self.draft.owns(other.draft) {
            return self;
        }
        let on = other.handled("failure", failures);
        self.link(other, on)
    }

    /// Starts only if the choice takes this case.
    pub fn on(self, case: CaseRef<'f>) -> Self {
        let Some((node, on)) = case.link_for(self.draft) else { return self };
        self.with(|sketch| sketch.link(node, on))
    }

    /// Starts if at least one of these cases is taken.
    pub fn on_any(self, cases: impl IntoIterator<Item = CaseRef<'f>>) -> Self {
        let after = cases.into_iter().filter_map(|case| case.link_for(self.draft)).collect();
        let cases = Datum { expr: Expr::default(), after };
        let gate: Handle<'f, ()> =
            Handle::add(self.draft, Sketch::new("gate", Action::Pass).with_branches(cases, Join::Any));
        self.after(gate)
    }

    /// Makes a failure of the node not fail the run. Nodes that need its output are skipped then, unless they use it as
    /// [`optional`](Self::optional).
    #[must_use]
    pub fn may_fail(self) -> Self {
        let mut accepted = Sketch::new("accepted", Action::Pass);
        accepted.link(self.node, On::Failure);
        self.draft.add(accepted);
        self
    }

    /// The output, or `None` if the node is skipped, or fails without failing the run (see [`may_fail`](Self::may_fail)
    /// and [`on_failure_of`](Self::on_failure_of)). A node that uses it waits until this node has ended in any way.
    #[must_use]
    pub fn optional(self) -> Value<'f, Option<T>> {
        let datum = Datum { expr: Expr::Node(mark(self.node)), after: vec![(self.node, On::Always)] };
        Value::keep(self.draft, datum)
    }

    /// How the node ended, as [`Expr::End`] gives it. A node that uses it waits until this node has ended in any way, and a
    /// failure of this node does not fail the run.
    #[must_use]
    pub fn end(self) -> Value<'f, serde_json::Value> {
        let datum = Datum { expr: Expr::End(mark(self.node)), after: vec![(self.node, On::Always)] };
        Value::keep(self.draft, datum)
    }

    /// The output, as a value.
    #[must_use]
    pub fn value(self) -> Value<'f, T> {
        Value::keep(self.draft, self.seen_from(self.draft))
    }

    /// The part of the output at a JSON pointer. The caller asserts that it is a `U`.
    #[must_use]
    pub fn field<U>(self, pointer: &str) -> Value<'f, U> {
        self.value().field(pointer)
    }

    /// The same handle without the kind of the node, so that handles of different kinds fit into one list.
    #[must_use]
    pub const fn plain(self) -> Handle<'f, T> {
        self.retyped()
    }
}

impl<T, K> Handle<'_, T, K> {
    /// Makes the node the pivot: once it has succeeded, the run is not compensated any more.
    #[must_use]
    pub fn pivot(self) -> Self
    where
        K: Works,
    {
        self.with(|node| node.node.pivot = true)
    }

    /// Makes the end of the node a save-point, to which the run may roll back this many times.
    #[must_use]
    pub fn save_point(self, again: u32) -> Self {
        self.with(|node| node.node.save = Some(SavePoint::retries(again)))
    }
}

impl<'f, T, K> Handle<'f, T, K> {
    fn work(self, change: impl FnOnce(&mut Work)) -> Self {
        self.with(|node| {
            if let Some(work) = node.work() {
                change(work);
            }
        })
    }

    /// Sets all retries and timeouts.
    #[must_use]
    pub fn policy(self, policy: Policy) -> Self
    where
        K: Tasks,
    {
        self.work(|work| work.policy = policy)
    }

    /// Sets the retries: of the tasks of a step, or of the child run of a workflow, which is compensated when it fails and
    /// then started again.
    ///
    /// ```
    /// # use counterpoint::workflow::{Attempt, Step, Workflow};
    /// # use counterpoint::{Failure, Retry};
    /// # struct Send;
    /// # impl Step for Send {
    /// #     const KIND: &'static str = "send";
    /// #     type Input = u32;
    /// #     type Output = u32;
    /// #     fn run(&self, part: u32, _: &Attempt) -> Result<u32, Failure> { Ok(part) }
    /// # }
    /// // If the part cannot be sent, the workflow that sends it is performed again, up to three times.
    /// let part = Workflow::<u32, u32>::named("part");
    /// let part = part.output(part.step(Send, part.input()).retry(Retry::never()))?;
    /// let flow = Workflow::<u32, u32>::named("parts");
    /// let sent = flow.sub(&part, flow.input()).retry(Retry::default());
    /// let flow = flow.output(sent)?;
    /// assert_eq!(flow.definition().node("part").and_then(|node| node.retry.clone()), Some(Retry::default()));
    /// # Ok::<(), counterpoint::workflow::DefinitionError>(())
    /// ```
    #[must_use]
    pub fn retry(self, retry: Retry) -> Self
    where
        K: Retries,
    {
        match K::OF {
            RetriesOf::Task => self.work(|work| work.policy = work.policy.clone().with_retry(retry)),
            RetriesOf::Run => self.with(|node| node.node.retry = Some(retry)),
        }
    }

    /// Sets the retries of a map or a repeat as a whole ([`Node::retry`](crate::definition::Node::retry)): what its items or rounds
    /// did is compensated, and it begins again from the first one.
    ///
    /// ```
    /// # use counterpoint::workflow::{Attempt, Step, Workflow};
    /// # use counterpoint::{Failure, Retry};
    /// # struct Send;
    /// # impl Step for Send {
    /// #     const KIND: &'static str = "send";
    /// #     type Input = u32;
    /// #     type Output = u32;
    /// #     fn run(&self, part: u32, _: &Attempt) -> Result<u32, Failure> { Ok(part) }
    /// # }
    /// // Each part is sent once. If one cannot be sent, all are sent again, up to three times.
    /// let flow = Workflow::<Vec<u32>, Vec<u32>>::named("parts");
    /// let sent = flow.map(Send, flow.input()).retry(Retry::never()).retry_all(Retry::default());
    /// let flow = flow.output(sent)?;
    /// assert!(flow.definition().nodes.iter().any(|node| node.retry == Some(Retry::default())));
    /// # Ok::<(), counterpoint::workflow::DefinitionError>(())
    /// ```
    #[must_use]
    pub fn retry_all(self, retry: Retry) -> Self
    where
        K: Several,
    {
        self.with(|node| node.node.retry = Some(retry))
    }

    /// Bounds each attempt.
    #[must_use]
    pub fn attempt_timeout(self, span: Duration) -> Self
    where
        K: Tasks,
    {
        self.work(|work| work.policy = work.policy.clone().with_attempt_timeout(span))
    }

    /// Bounds the time between two heartbeats of an attempt.
    #[must_use]
    pub fn heartbeat_timeout(self, span: Duration) -> Self
    where
        K: Tasks,
    {
        self.work(|work| work.policy = work.policy.clone().with_heartbeat_timeout(span))
    }

    /// Sets the tier of the task.
    #[must_use]
    pub fn tier(self, tier: Tier) -> Self
    where
        K: Tasks,
    {
        self.work(|work| work.tier = Some(tier))
    }

    /// Sets the needs of the task.
    #[must_use]
    pub fn needs(self, needs: Needs) -> Self
    where
        K: Tasks,
    {
        self.work(|work| work.needs = Some(needs))
    }

    /// Adds a handler for an event while the node is under way; returns the case that leads to its branch.
    ///
    /// ```
    /// # use counterpoint::workflow::{Attempt, Step, Workflow};
    /// # use counterpoint::Failure;
    /// # macro_rules! step { ($name:ident, $kind:literal) => {
    /// #     struct $name;
    /// #     impl Step for $name {
    /// #         const KIND: &'static str = $kind;
    /// #         type Input = u32;
    /// #         type Output = u32;
    /// #         fn run(&self, n: u32, _: &Attempt) -> Result<u32, Failure> { Ok(n) }
    /// #     }
    /// # } }
    /// # step!(Ask, "ask");
    /// # step!(Guess, "guess");
    /// use counterpoint::definition::Handler;
    /// use std::time::Duration;
    ///
    /// let flow = Workflow::<u32, u32>::named("answer");
    /// let answer = flow.step(Ask, flow.input());
    /// let late = answer.handle(Handler::timeout("late", Duration::from_secs(60)));
    /// let guess = flow.step(Guess, flow.input()).on(late);
    /// let answer = flow.output(flow.merge((answer, guess)))?;
    /// # Ok::<(), counterpoint::workflow::DefinitionError>(())
    /// ```
    pub fn handle(self, handler: Handler) -> CaseRef<'f> {
        let name = handler.name.clone();
        self.draft.change(self.node, |node| node.node.handlers.push(handler));
        CaseRef::of(self.draft, self.node, name)
    }

    /// Writes the part of the output at this JSON pointer (all of it if empty) to a variable when the node succeeds.
    #[must_use]
    pub fn writes<U>(self, variable: VariableRef<'f, U>, pointer: &str) -> Self {
        match variable.name_in(self.draft) {
            Some(name) => self.with(|node| node.node.writes.push(Write::new(name, pointer))),
            None => self,
        }
    }

    /// Bounds the resources that the node may use.
    #[must_use]
    pub fn budget(self, budget: Budget) -> Self {
        self.with(|node| node.node.budget = Some(budget))
    }

    /// Sets the expected usage of an attempt, which is reserved from budgets.
    #[must_use]
    pub fn estimate(self, usage: Usage) -> Self
    where
        K: Tasks,
    {
        self.work(|work| work.estimate = usage)
    }

    /// Sets the precondition, with the input of the node as [`Expr::Item`].
    #[must_use]
    pub fn requires(self, precondition: Precondition) -> Self {
        self.with(|node| node.node.guards.precondition = Some(precondition))
    }

    /// Sets the postcondition, with the output of the node as [`Expr::Item`].
    ///
    /// ```
    /// # use counterpoint::workflow::{Attempt, Step, Workflow};
    /// # use counterpoint::Failure;
    /// # struct Draft;
    /// # impl Step for Draft {
    /// #     const KIND: &'static str = "draft";
    /// #     type Input = String;
    /// #     type Output = String;
    /// #     fn run(&self, text: String, _: &Attempt) -> Result<String, Failure> { Ok(text) }
    /// # }
    /// use counterpoint::definition::{Condition, Expr, Precondition};
    ///
    /// let flow = Workflow::<String, String>::named("reply");
    /// let draft = flow
    ///     .step(Draft, flow.input())
    ///     .requires(Precondition::new(Condition::Exists(Expr::Item)))
    ///     .ensures(Condition::equal(Expr::Item, Expr::value("")).negated());
    /// let reply = flow.output(draft)?;
    /// # Ok::<(), counterpoint::workflow::DefinitionError>(())
    /// ```
    #[must_use]
    pub fn ensures(self, postcondition: Condition) -> Self
    where
        K: Works,
    {
        self.with(|node| node.node.guards.postcondition = Some(postcondition))
    }

    /// Cancels `other`, in any state, when this node succeeds.
    #[must_use]
    pub fn cancels<U, L>(self, other: Handle<'f, U, L>) -> Self {
        if self.draft.owns(other.draft) { self.with(|node| node.cancels.push(other.node)) } else { self }
    }

    /// Excludes the nodes with the same mutex name from being under way at the same time as this one.
    #[must_use]
    pub fn mutex(self, mutex: impl Into<Name>) -> Self {
        let mutex = mutex.into();
        self.with(|node| node.node.mutex.push(mutex))
    }

    /// Starts only while `after` has succeeded and `until` has not started; otherwise it is skipped.
    #[must_use]
    pub fn while_between<A, B, L, M>(self, after: Handle<'f, A, L>, until: Handle<'f, B, M>) -> Self {
        if !(self.draft.owns(after.draft) && self.draft.owns(until.draft)) {
            return self;
        }
        self.with(|node| node.node.milestone = Some(Milestone::between(mark(after.node), mark(until.node))))
    }

    /// Adds an alternative for when the node fails: `step` gets the same input, and the returned handle gives the
    /// output of the one that succeeded. Change the settings of the first node before this call.
    #[must_use]
    pub fn or_else<M, S>(self, step: S) -> Handle<'f, T>
    where
        K: Tasks<Single = S::Input>,
        S: AsStep<M, Output = T>,
    {
        self.or_else_after(step, On::Failure)
    }

    /// Adds an alternative for when the node fails with one of these failures; otherwise as [`or_else`](Self::or_else).
    /// Other failures fail the run.
    #[must_use]
    pub fn or_else_on<M, S>(self, failures: impl Into<Failures>, step: S) -> Handle<'f, T>
    where
        K: Tasks<Single = S::Input>,
        S: AsStep<M, Output = T>,
    {
        let on = self.handled("or else", failures);
        self.or_else_after(step, on)
    }

    /// Adds a handler for these failures; returns the link to its branch.
    fn handled(self, name: &str, failures: impl Into<Failures>) -> On {
        let handlers = self.draft.node(self.node).map_or(0, |node| node.node.handlers.len());
        let name = Name::from(format!("{name} {}", handlers.saturating_add(1)));
        self.handle(Handler::error(name.clone(), failures));
        On::Case(name)
    }

    fn or_else_after<M, S>(self, step: S, on: On) -> Handle<'f, T>
    where
        K: Tasks<Single = S::Input>,
        S: AsStep<M, Output = T>,
    {
        let mut other = super::sketch(&step);
        if let Some(first) = self.draft.node(self.node) {
            other.node.input = first.node.input;
        }
        other.link(self.node, on);
        let other: Handle<'f, T> = Handle::add(self.draft, other);
        super::merged(self.draft, &[self.plain(), other])
    }
}
