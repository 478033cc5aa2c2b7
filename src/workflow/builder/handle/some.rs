//! Settings that only some kinds of nodes have: compensations, queries, and those of maps, counted joins and waits.

use super::Handle;
use crate::definition::{Action, Body, Completion, Join, Map, Remaining, Work};
use crate::task::Policy;
use crate::workflow::builder::draft::Sketch;
use crate::workflow::builder::kind::{Counts, Mapped, Queryable, Undoable, Waits};
use core::time::Duration;

impl<T, K> Handle<'_, T, K> {
    /// Compensates the node by [`Undo::undo`](crate::workflow::Undo::undo) of its step if the run fails after it.
    #[must_use]
    pub fn undoable(self) -> Self
    where
        K: Undoable,
    {
        self.with(|node| node.node.undo = undo_of::<K>(node))
    }

    /// Like [`undoable`](Self::undoable), with other retries and timeouts of the compensation.
    #[must_use]
    pub fn undoable_with(self, policy: Policy) -> Self
    where
        K: Undoable,
    {
        self.with(|node| node.node.undo = undo_of::<K>(node).map(|undo| undo.with_policy(policy)))
    }
}

/// The compensation of a node, whose work is a task.
fn undo_of<K: Undoable>(node: &Sketch) -> Option<Work> {
    let action = &node.node.action;
    let delegated = if let Action::Delegate(delegate) = action { Some(&delegate.work) } else { None };
    let body = action.body().and_then(|body| if let Body::Task(work) = body { Some(work) } else { None });
    body.or(delegated).map(|work| K::undo(&work.kind))
}

impl<T, K> Handle<'_, T, K> {
    /// Finds out by [`Query::find`](crate::workflow::Query::find) of the step whether the node took effect when its
    /// outcome is unknown.
    #[must_use]
    pub fn queryable(self) -> Self
    where
        K: Queryable,
    {
        self.with(|node| node.node.query = Some(K::query()))
    }
}

impl<'f, T, B> Handle<'f, Vec<T>, Mapped<B>> {
    /// Bounds the number of items under way at a time.
    #[must_use]
    pub fn max_concurrent(self, items: u32) -> Self {
        self.with(|node| {
            if let Action::Map(Map { max_concurrent, .. }) = &mut node.node.action {
                *max_concurrent = Some(items);
            }
        })
    }

    /// Lets the map end before all items have ended; the results of the others are `None`.
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
    /// let answers = flow.map(Ask, flow.input()).completion(Completion::after(3).cancel_rest());
    /// let quorum = flow.output(answers)?;
    /// # Ok::<(), counterpoint::workflow::DefinitionError>(())
    /// ```
    #[must_use]
    pub fn completion(self, completion: Completion) -> Handle<'f, Vec<Option<T>>, Mapped<B>> {
        self.with(|node| {
            if let Action::Map(map) = &mut node.node.action {
                map.completion = Some(completion);
            }
        })
        .retyped()
    }

    /// Accepts further items while the map is under way, until it is closed.
    #[must_use]
    pub fn open(self) -> Self {
        self.with(|node| {
            if let Action::Map(map) = &mut node.node.action {
                map.open = true;
            }
        })
    }

    /// Sets how many items may fail; their results are `None`.
    #[must_use]
    pub fn tolerate(self, items: u32) -> Handle<'f, Vec<Option<T>>, Mapped<B>> {
        self.with(|node| {
            if let Action::Map(Map { tolerate, .. }) = &mut node.node.action {
                *tolerate = items;
            }
        })
        .retyped()
    }
}

impl<T, K: Counts> Handle<'_, T, K> {
    /// Cancels the branches that the join no longer needs. Without this they continue, and their results are ignored.
    #[must_use]
    pub fn cancel_rest(self) -> Self {
        self.with(|node| {
            if let Join::Count { remaining: rest, .. } = &mut node.node.join {
                *rest = Remaining::Cancel;
            }
        })
    }
}

impl<'f, T> Handle<'f, T, Waits> {
    /// Bounds the wait; the output is `None` if no signal arrives in time.
    #[must_use]
    pub fn or_after(self, span: Duration) -> Handle<'f, Option<T>> {
        self.with(|node| {
            if let Action::Wait { timer, .. } = &mut node.node.action {
                *timer = Some(span);
            }
        })
        .retyped()
    }
}
