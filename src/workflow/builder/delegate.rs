//! Nodes whose work may be delegated in parts.

use super::draft::Sketch;
use super::kind::{AsStep, Delegating};
use super::{Handle, Source, Workflow};
use crate::definition::{Action, Answer, Delegate, Gather, Results};

impl<I, O> Workflow<I, O> {
    /// A node whose agent answers with a result or with sub-tasks, for agents that may do the same; a second step
    /// combines the results of sub-tasks. [`delegation`](Handle::delegation) sets the limits.
    ///
    /// ```
    /// # use counterpoint::workflow::{Attempt, Step, Workflow};
    /// # use counterpoint::Failure;
    /// use counterpoint::definition::{Answer, Results, Subtask};
    ///
    /// struct Research; // answers short questions and splits long ones
    /// impl Step for Research {
    ///     const KIND: &'static str = "research";
    ///     type Input = String;
    ///     type Output = Answer<String>;
    ///     fn run(&self, question: String, _: &Attempt) -> Result<Answer<String>, Failure> {
    ///         let parts: Vec<Subtask> =
    ///             question.split(" and ").map(|part| Subtask::new(Self::KIND).with_payload(part)).collect();
    ///         Ok(if parts.len() > 1 { Answer::Delegate(parts) } else { Answer::Done(format!("all of {question}")) })
    ///     }
    /// }
    /// struct Write;
    /// impl Step for Write {
    ///     const KIND: &'static str = "write";
    ///     type Input = Results<String, String>;
    ///     type Output = Answer<String>;
    ///     fn run(&self, found: Results<String, String>, _: &Attempt) -> Result<Answer<String>, Failure> {
    ///         Ok(Answer::Done(found.results.into_iter().flatten().collect::<Vec<_>>().join(", ")))
    ///     }
    /// }
    ///
    /// let flow = Workflow::<String, String>::named("study");
    /// let found = flow.delegate(Research, Write, flow.input()).delegation(|work| work.to_depth(2).with_fan_out(4));
    /// let study = flow.output(found)?;
    /// # Ok::<(), counterpoint::workflow::DefinitionError>(())
    /// ```
    pub fn delegate<'f, T, A, S, B, M>(
        &'f self,
        step: S,
        merge: M,
        input: impl Source<'f, S::Input>,
    ) -> Handle<'f, T, Delegating<S::Form>>
    where
        S: AsStep<A, Output = Answer<T>>,
        M: AsStep<B, Input = Results<S::Input, T>, Output = Answer<T>>,
    {
        let gather = Gather::Work(merge.work());
        self.delegate_by::<T, T, A, S>(step, gather, input)
    }

    /// A node as [`delegate`](Self::delegate) creates it, whose results of sub-tasks are combined by a rule. The caller
    /// asserts that the result is a `U`.
    ///
    /// ```
    /// # use counterpoint::workflow::{Attempt, Step, Workflow};
    /// # use counterpoint::Failure;
    /// # use counterpoint::definition::Answer;
    /// # struct Count;
    /// # impl Step for Count {
    /// #     const KIND: &'static str = "count";
    /// #     type Input = String;
    /// #     type Output = Answer<u64>;
    /// #     fn run(&self, _: String, _: &Attempt) -> Result<Answer<u64>, Failure> { Ok(Answer::Done(1)) }
    /// # }
    /// use counterpoint::definition::{Gather, Reducer};
    ///
    /// let flow = Workflow::<String, u64>::named("census");
    /// let census = flow.output(flow.delegate_by::<u64, _, _, _>(Count, Gather::Reduce(Reducer::Sum), flow.input()))?;
    /// # Ok::<(), counterpoint::workflow::DefinitionError>(())
    /// ```
    pub fn delegate_by<'f, U, T, M, S: AsStep<M, Output = Answer<T>>>(
        &'f self,
        step: S,
        gather: Gather,
        input: impl Source<'f, S::Input>,
    ) -> Handle<'f, U, Delegating<S::Form>> {
        let work = step.work();
        let kind = work.kind.clone();
        let delegate = Delegate::new(work).gathered(gather);
        self.add(Sketch::new(kind, Action::Delegate(delegate)).with_input(self.datum(input)))
    }
}

impl<T, S> Handle<'_, T, Delegating<S>> {
    /// Changes the settings of the delegation: its limits, and what happens when a limit is reached.
    #[must_use]
    pub fn delegation(self, change: impl FnOnce(Delegate) -> Delegate) -> Self {
        self.with(|node| {
            if let Action::Delegate(delegate) = &mut node.node.action {
                *delegate = change(delegate.clone());
            }
        })
    }
}
