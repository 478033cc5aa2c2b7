//! The log context of an attempt.

use super::{Attempt, Work};
use tracing::{Span, field, info_span};

impl Attempt {
    /// A span that names the attempt, as context for what a step logs: `kind`, `task`, `attempt`, and for a step of a run `run` and
    /// `node`, the index of its node.
    ///
    /// ```
    /// use counterpoint::Failure;
    /// use counterpoint::workflow::Attempt;
    ///
    /// fn charge(cents: u64, attempt: &Attempt) -> Result<String, Failure> {
    ///     attempt.span().in_scope(|| {
    ///         tracing::info!(cents, "the card is charged"); // the record has the ids of the run, the task and the attempt
    ///         Ok(format!("receipt for {cents}"))
    ///     })
    /// }
    /// ```
    ///
    /// An asynchronous step instruments its future: `work.instrument(attempt.span())`.
    #[must_use]
    pub fn span(&self) -> Span {
        let id = self.id();
        let number = id.number().get();
        let (kind, task) = (self.kind(), id.task());
        let span = info_span!("attempt", %kind, %task, attempt = number, run = field::Empty, node = field::Empty);
        if let Work::Task(spec, _) = &self.shared.work
            && let Some(owner) = spec.owner
        {
            span.record("run", field::display(owner.run)).record("node", owner.node.get());
        }
        span
    }
}

#[cfg(test)]
mod tests {
    use crate::base::id::{AttemptId, RunId, TaskId};
    use crate::task::{NodeIx, Owner, Phase, TaskSpec};
    use crate::workflow::Attempt;
    use core::fmt::{Debug, Write as _};
    use std::sync::{Arc, Mutex};
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    /// Keeps the fields of all spans as text.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<String>>);

    impl Visit for Kept {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            let _ = write!(self.0.lock().unwrap(), "{}={value:?} ", field.name());
        }
    }

    impl Subscriber for Kept {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, span: &Attributes<'_>) -> Id {
            span.record(&mut self.clone());
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, values: &Record<'_>) {
            values.record(&mut self.clone());
        }
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn a_span_names_run_node_task_and_attempt() {
        let owner = Owner { run: RunId::new(5), node: NodeIx::new(2), item: 0, phase: Phase::Do };
        let mut spec = TaskSpec::new(TaskId::new(7), "charge");
        spec.owner = Some(owner);
        let attempt = Attempt::of(AttemptId::new(TaskId::new(7), 3), Arc::new(spec), None);
        let kept = Kept::default();
        tracing::subscriber::with_default(kept.clone(), || drop(attempt.span()));
        let text = kept.0.lock().unwrap().clone();
        let expected = format!("kind=charge task={} attempt=3 run={} node=2 ", TaskId::new(7), RunId::new(5));
        assert_eq!(text, expected);
    }
}
