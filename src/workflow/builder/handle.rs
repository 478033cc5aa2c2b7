//! Handles: what a builder gives for a node, and for a part of a node's data.

use super::choice::CaseRef;
use super::draft::{Datum, Draft, Sketch, mark};
use super::kind::{Counts, Mapped, Plain, Queryable, Tasks, Undoable, Waits, Works};
use super::source::Source;
use super::variable::VariableRef;
use crate::base::name::Name;
use crate::definition::{
    Action, Budget, Completion, Condition, Expr, Handler, Join, Map, Milestone, On, Precondition, Remaining, SavePoint,
    Work, Write,
};
use crate::task::{Needs, Policy, Retry, Tier, Usage};
use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;

/// A node of a workflow that gives a `T` when it has succeeded. `K` is what the node is, which decides what can be said of
/// it: only a node with a step that implements [`Undo`](crate::workflow::Undo) is [`undoable`](Self::undoable), only a
/// map has [`max_concurrent`](Self::max_concurrent).
///
/// Handles are `Copy`. What is said of one holds for the node, whichever copy it is said of.
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

    pub(super) const fn place(self) -> usize {
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

    /// Names the node. Without a name it is called after its kind, with a number if there are several.
    #[must_use = "a handle is how other nodes refer to this one"]
    pub fn named(self, name: impl Into<Name>) -> Self {
        let name = name.into();
        self.with(|node| node.rename(name))
    }

    /// Starts only after `other` has succeeded, whose data it does not need.
    pub fn after<U, L>(self, other: Handle<'f, U, L>) -> Self {
        self.link(other, On::Success)
    }

    /// Starts only after `other` has ended, in whatever way, skipped included.
    pub fn after_end_of<U, L>(self, other: Handle<'f, U, L>) -> Self {
        self.link(other, On::Always)
    }

    /// Starts only if `other` fails: the alternative path, which keeps that failure from failing the run.
    pub fn on_failure_of<U, L>(self, other: Handle<'f, U, L>) -> Self {
        self.link(other, On::Failure)
    }

    /// Starts only if the choice takes this case.
    pub fn on(self, case: CaseRef<'f>) -> Self {
        let Some((node, on)) = case.link_for(self.draft) else { return self };
        self.with(|sketch| sketch.link(node, on))
    }

    /// Starts if the choice takes at least one of these cases.
    pub fn on_any(self, cases: impl IntoIterator<Item = CaseRef<'f>>) -> Self {
        let after = cases.into_iter().filter_map(|case| case.link_for(self.draft)).collect();
        let cases = Datum { expr: Expr::default(), after };
        let gate: Handle<'f, ()> =
            Handle::add(self.draft, Sketch::new("gate", Action::Pass).with_branches(cases, Join::Any));
        self.after(gate)
    }

    /// Keeps a failure of the node from failing the run. What needs its output is skipped then, unless it takes it as
    /// [`optional`](Self::optional).
    #[must_use]
    pub fn may_fail(self) -> Self {
        let mut accepted = Sketch::new("accepted", Action::Pass);
        accepted.link(self.node, On::Failure);
        self.draft.add(accepted);
        self
    }

    /// The output if there is one: `None` if the node is skipped, or fails without failing the run (see
    /// [`may_fail`](Self::may_fail) and [`on_failure_of`](Self::on_failure_of)). Who takes this waits until the node has
    /// ended in whatever way.
    #[must_use]
    pub fn optional(self) -> Value<'f, Option<T>> {
        let datum = Datum { expr: Expr::Node(mark(self.node)), after: vec![(self.node, On::Always)] };
        Value::keep(self.draft, datum)
    }

    /// The output, as a value.
    #[must_use]
    pub fn value(self) -> Value<'f, T> {
        Value::keep(self.draft, self.seen_from(self.draft))
    }

    /// The part of the output that a JSON pointer leads to. That it is a `U` is on the word of the caller.
    #[must_use]
    pub fn field<U>(self, pointer: &str) -> Value<'f, U> {
        self.value().field(pointer)
    }

    /// The same handle without what the node is, so that handles of several sorts fit into one list.
    #[must_use]
    pub const fn plain(self) -> Handle<'f, T> {
        self.retyped()
    }
}

impl<T, K> Handle<'_, T, K> {
    /// Makes the node the point of no return: once it has succeeded nothing is undone any more.
    #[must_use]
    pub fn pivot(self) -> Self
    where
        K: Works,
    {
        self.with(|node| node.pivot = true)
    }

    /// Makes the end of the node a save-point: a failure after it leads back here and forward again, so many times.
    #[must_use]
    pub fn save_point(self, again: u32) -> Self {
        self.with(|node| node.save = Some(SavePoint::retries(again)))
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

    /// Sets retries and timeouts, all at once.
    #[must_use]
    pub fn policy(self, policy: Policy) -> Self
    where
        K: Tasks,
    {
        self.work(|work| work.policy = policy)
    }

    /// Sets the retries.
    #[must_use]
    pub fn retry(self, retry: Retry) -> Self
    where
        K: Tasks,
    {
        self.work(|work| work.policy = work.policy.clone().with_retry(retry))
    }

    /// Bounds each attempt.
    #[must_use]
    pub fn attempt_timeout(self, span: Duration) -> Self
    where
        K: Tasks,
    {
        self.work(|work| work.policy = work.policy.clone().with_attempt_timeout(span))
    }

    /// Sets how urgent it is.
    #[must_use]
    pub fn tier(self, tier: Tier) -> Self
    where
        K: Tasks,
    {
        self.work(|work| work.tier = Some(tier))
    }

    /// Sets which agents can do it.
    #[must_use]
    pub fn needs(self, needs: Needs) -> Self
    where
        K: Tasks,
    {
        self.work(|work| work.needs = Some(needs))
    }

    /// Handles something that can happen to the node while it is under way; what comes back is where the run goes then.
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
        self.draft.change(self.node, |node| node.handlers.push(handler));
        CaseRef::of(self.draft, self.node, name)
    }

    /// Writes the part of the output that this JSON pointer leads to, all of it if empty, to a variable when the node
    /// succeeds.
    #[must_use]
    pub fn writes<U>(self, variable: VariableRef<'f, U>, pointer: &str) -> Self {
        match variable.name_in(self.draft) {
            Some(name) => self.with(|node| node.writes.push(Write::new(name, pointer))),
            None => self,
        }
    }

    /// Bounds how much the node may use up.
    #[must_use]
    pub fn budget(self, budget: Budget) -> Self {
        self.with(|node| node.budget = Some(budget))
    }

    /// Says what an attempt is expected to use up: so much is put aside of budgets.
    #[must_use]
    pub fn estimate(self, usage: Usage) -> Self
    where
        K: Tasks,
    {
        self.work(|work| work.estimate = usage)
    }

    /// Asks before the node starts; what it is given is [`Expr::Item`].
    #[must_use]
    pub fn requires(self, precondition: Precondition) -> Self {
        self.with(|node| node.precondition = Some(precondition))
    }

    /// Asks of the output, which is [`Expr::Item`], before anything sees it.
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
        self.with(|node| node.postcondition = Some(postcondition))
    }

    /// Withdraws `other` when this node succeeds, wherever it stands.
    #[must_use]
    pub fn cancels<U, L>(self, other: Handle<'f, U, L>) -> Self {
        if self.draft.owns(other.draft) { self.with(|node| node.cancels.push(other.node)) } else { self }
    }

    /// Never under way together with another node of the same mutual exclusion.
    #[must_use]
    pub fn apart(self, mutex: impl Into<Name>) -> Self {
        let mutex = mutex.into();
        self.with(|node| node.mutex.push(mutex))
    }

    /// Starts only while `after` has succeeded and `until` has not started; otherwise it is skipped.
    #[must_use]
    pub fn while_between<A, B, L, M>(self, after: Handle<'f, A, L>, until: Handle<'f, B, M>) -> Self {
        if !(self.draft.owns(after.draft) && self.draft.owns(until.draft)) {
            return self;
        }
        self.with(|node| node.milestone = Some(Milestone::between(mark(after.node), mark(until.node))))
    }

    /// Takes another way if the node fails: `step` is given the same input, and the handle that comes back gives the
    /// output of whichever succeeded. Say what is to be said of the first node before this.
    #[must_use]
    pub fn or_else<S>(self, step: S) -> Handle<'f, T>
    where
        K: Tasks<Single = S::Input>,
        S: crate::workflow::Step<Output = T>,
    {
        let mut other = super::sketch(&step);
        if let Some(first) = self.draft.node(self.node) {
            other.input = first.input;
        }
        other.link(self.node, On::Failure);
        let other: Handle<'f, T> = Handle::add(self.draft, other);
        super::merged(self.draft, &[self.plain(), other])
    }
}

impl<T, K> Handle<'_, T, K> {
    /// Undoes the node if the run fails after it, by [`Undo::undo`](crate::workflow::Undo::undo) of its step.
    #[must_use]
    pub fn undoable(self) -> Self
    where
        K: Undoable,
    {
        self.with(|node| node.undo = Some(K::undo()))
    }

    /// The same, with retries and timeouts of the undoing.
    #[must_use]
    pub fn undoable_with(self, policy: Policy) -> Self
    where
        K: Undoable,
    {
        self.with(|node| node.undo = Some(K::undo().with_policy(policy)))
    }
}

impl<T, K> Handle<'_, T, K> {
    /// Finds out whether the node has happened when its outcome is unknown, by
    /// [`Query::find`](crate::workflow::Query::find) of its step.
    #[must_use]
    pub fn queryable(self) -> Self
    where
        K: Queryable,
    {
        self.with(|node| node.query = Some(K::query()))
    }
}

impl<'f, T, B> Handle<'f, Vec<T>, Mapped<B>> {
    /// Does at most so many items at a time.
    #[must_use]
    pub fn max_concurrent(self, items: u32) -> Self {
        self.with(|node| {
            if let Action::Map(Map { max_concurrent, .. }) = &mut node.action {
                *max_concurrent = Some(items);
            }
        })
    }

    /// Need not wait for all items; the results of the others are `None`.
    ///
    /// ```
    /// # use counterpoint::workflow::{Attempt, Step, Workflow};
    /// # use counterpoint::Failure;
    /// # struct Ask;
    /// # impl Step for Ask {
    /// #     const KIND: &'static str = "ask";
    /// #     type Input = u32;
    /// #     type Output = u32;
    /// #     fn run(&self, n: u32, _: &Attempt) -> Result<u32, Failure> { Ok(n) }
    /// # }
    /// use counterpoint::definition::Completion;
    ///
    /// let flow = Workflow::<Vec<u32>, Vec<Option<u32>>>::named("quorum");
    /// let answers = flow.map(Ask, flow.input()).enough(Completion::after(3).cancel_rest());
    /// let quorum = flow.output(answers)?;
    /// # Ok::<(), counterpoint::workflow::DefinitionError>(())
    /// ```
    #[must_use]
    pub fn enough(self, enough: Completion) -> Handle<'f, Vec<Option<T>>, Mapped<B>> {
        self.with(|node| {
            if let Action::Map(map) = &mut node.action {
                map.completion = Some(enough);
            }
        })
        .retyped()
    }

    /// Takes more items while it is under way, until it is closed.
    #[must_use]
    pub fn open(self) -> Self {
        self.with(|node| {
            if let Action::Map(map) = &mut node.action {
                map.open = true;
            }
        })
    }

    /// Lets so many items fail; their results are `None`.
    #[must_use]
    pub fn tolerate(self, items: u32) -> Handle<'f, Vec<Option<T>>, Mapped<B>> {
        self.with(|node| {
            if let Action::Map(Map { tolerate, .. }) = &mut node.action {
                *tolerate = items;
            }
        })
        .retyped()
    }
}

impl<T, K: Counts> Handle<'_, T, K> {
    /// Cancels the branches that the join no longer needs. Without this they go on, and their ends are ignored.
    #[must_use]
    pub fn cancel_rest(self) -> Self {
        self.with(|node| {
            if let Join::Count { remaining: rest, .. } = &mut node.join {
                *rest = Remaining::Cancel;
            }
        })
    }
}

impl<'f, T> Handle<'f, T, Waits> {
    /// Waits no longer than this; `None` if the signal has not come by then.
    #[must_use]
    pub fn or_after(self, span: Duration) -> Handle<'f, Option<T>> {
        self.with(|node| {
            if let Action::Wait { timer, .. } = &mut node.action {
                *timer = Some(span);
            }
        })
        .retyped()
    }
}

/// A `T` that is there when the workflow runs: its input, a constant, or a part of what a node gave.
///
/// ```
/// use counterpoint::workflow::Workflow;
///
/// let flow = Workflow::<serde_json::Value, (String, u32)>::named("shape");
/// let name = flow.input().field::<String>("/customer/name");
/// let count = flow.input().field::<Option<u32>>("/count").or(flow.constant(1));
/// let shape = flow.output((name, count))?;
/// let output = serde_json::to_string(&shape.definition().output).unwrap();
/// assert_eq!(output, r#"{"list":[{"at":["input","/customer/name"]},{"first":[{"at":["input","/count"]},{"const":1}]}]}"#);
/// # Ok::<(), counterpoint::workflow::DefinitionError>(())
/// ```
pub struct Value<'f, T> {
    draft: &'f Draft,
    datum: usize,
    types: PhantomData<fn() -> T>,
}

impl<T> Clone for Value<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Value<'_, T> {}

impl<T> fmt::Debug for Value<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({})", core::any::type_name::<T>())
    }
}

impl<'f, T> Value<'f, T> {
    pub(super) fn keep(draft: &'f Draft, datum: Datum) -> Self {
        Self { draft, datum: draft.keep(datum), types: PhantomData }
    }

    pub(super) fn seen_from(self, draft: &Draft) -> Datum {
        if draft.owns(self.draft) { draft.datum(self.datum) } else { Datum::default() }
    }

    /// The part that a JSON pointer leads to. That it is a `U` is on the word of the caller; a step that is given
    /// something else fails and says so.
    #[must_use]
    pub fn field<U>(self, pointer: &str) -> Value<'f, U> {
        let Datum { expr, after } = self.draft.datum(self.datum);
        Value::keep(self.draft, Datum { expr: expr.at(pointer), after })
    }
}

impl<'f, T> Value<'f, Option<T>> {
    /// This, or the other if this is `None`.
    #[must_use]
    pub fn or(self, other: impl Source<'f, T>) -> Value<'f, T> {
        let parts = vec![self.draft.datum(self.datum), other.datum(self.draft).0];
        Value::keep(self.draft, Datum::join(parts, Expr::First))
    }
}
