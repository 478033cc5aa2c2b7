//! Scripted agents.

use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::task::{Failure, TaskSpec};
use core::fmt;
use core::time::Duration;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The reaction of a scripted agent to an attempt.
///
/// ```
/// use counterpoint::Failure;
/// use counterpoint::testing::Reply;
/// use std::time::Duration;
///
/// let slow = Reply::ok("receipt 7").after(Duration::from_secs(3));
/// let busy = Reply::fail(Failure::transient("busy"));
/// let dead = Reply::hang();
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Reply {
    pub(super) answer: Answer,
    pub(super) after: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    Ok(Payload),
    Fail(Failure),
    /// It sends no answer, not even after a cancellation.
    Hang,
}

impl Reply {
    /// Succeeds with this output.
    ///
    /// # Panics
    ///
    /// When the output has no JSON form.
    #[expect(clippy::panic, reason = "a faulty test must fail")]
    pub fn ok<T: Serialize + ?Sized>(output: &T) -> Self {
        let output = Payload::of(output).unwrap_or_else(|error| panic!("a scripted output: {error}"));
        Self { answer: Answer::Ok(output), after: Duration::ZERO }
    }

    /// Fails.
    pub const fn fail(failure: Failure) -> Self {
        Self { answer: Answer::Fail(failure), after: Duration::ZERO }
    }

    /// Sends no answer, not even after a cancellation.
    pub const fn hang() -> Self {
        Self { answer: Answer::Hang, after: Duration::ZERO }
    }

    /// Sets the duration of the attempt.
    pub const fn after(mut self, span: Duration) -> Self {
        self.after = span;
        self
    }
}

type Rule = dyn Fn(&TaskSpec, u32) -> Reply + Send + Sync;

/// The behaviour of an agent by kind of task and number of attempt. A repeated assignment of the same attempt has the
/// same reply. Used in a [`Rehearsal`](super::Rehearsal), and under `host::future` (see `ScriptedAgent`).
///
/// ```
/// use counterpoint::testing::{Reply, Script};
/// use counterpoint::{Failure, TaskId, TaskSpec};
///
/// let script = Script::new()
///     .on("charge", [Reply::fail(Failure::transient("busy")), Reply::ok("receipt 7")])
///     .on_fn("double", |task, _| match task.payload.to::<u32>() {
///         Ok(number) => Reply::ok(&(number * 2)),
///         Err(error) => Reply::fail(Failure::permanent(error.to_string())),
///     })
///     .otherwise(Reply::ok(&()));
/// let charge = TaskSpec::new(TaskId::new(1), "charge");
/// assert_eq!(script.reply(&charge, 1), Reply::fail(Failure::transient("busy")));
/// assert_eq!(script.reply(&charge, 5), Reply::ok("receipt 7")); // the last one repeats
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct Script {
    rules: BTreeMap<Name, Arc<Rule>>,
    otherwise: Option<Reply>,
}

impl Script {
    /// An empty script: every attempt fails permanently.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the replies to the first, second, ... attempt at each task of a kind; the last one repeats.
    pub fn on(self, kind: impl Into<Name>, replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies: Vec<Reply> = replies.into_iter().collect();
        let none = Reply::fail(Failure::permanent("the script has no reply"));
        self.on_fn(kind, move |_, number| {
            let place = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
            replies.get(place).or_else(|| replies.last()).unwrap_or(&none).clone()
        })
    }

    /// Sets the reply to an attempt at a task of a kind as a function of the task and the attempt's number, which
    /// counts from 1.
    pub fn on_fn(
        mut self,
        kind: impl Into<Name>,
        rule: impl Fn(&TaskSpec, u32) -> Reply + Send + Sync + 'static,
    ) -> Self {
        self.rules.insert(kind.into(), Arc::new(rule));
        self
    }

    /// Sets the reply for all other kinds. In a [`Rehearsal`](super::Rehearsal) the agent then has each skill that a task
    /// requires; under `host::future` its [`AgentSpec`](crate::AgentSpec) must declare the skills.
    pub fn otherwise(mut self, reply: Reply) -> Self {
        self.otherwise = Some(reply);
        self
    }

    /// The reply to an attempt.
    pub fn reply(&self, task: &TaskSpec, number: u32) -> Reply {
        match (self.rules.get(&task.kind), &self.otherwise) {
            (Some(rule), _) => rule(task, number),
            (None, Some(reply)) => reply.clone(),
            (None, None) => Reply::fail(Failure::permanent(format!("the script has no `{}`", task.kind))),
        }
    }

    /// Whether there is a reply for all kinds.
    pub(super) const fn answers_all_kinds(&self) -> bool {
        self.otherwise.is_some()
    }

    /// The kinds with replies.
    pub fn kinds(&self) -> impl Iterator<Item = &Name> {
        self.rules.keys()
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.kinds()).finish()
    }
}

#[cfg(feature = "async")]
mod future {
    use super::{Answer, Script};
    use crate::base::payload::Payload;
    use crate::host::future::{Assignment, AsyncAgent, Timer};
    use crate::task::Failure;
    use core::fmt;
    use core::task::Poll;
    use std::future::{pending, poll_fn};
    use std::pin::pin;
    use std::sync::Arc;

    /// A [`Script`] as an agent of `host::future`. Delays use a timer; an attempt that is cancelled during its delay
    /// fails with a transient failure.
    #[derive(Clone)]
    pub struct ScriptedAgent {
        script: Script,
        timer: Arc<dyn Timer>,
    }

    impl ScriptedAgent {
        /// An agent with this script.
        #[must_use]
        pub fn new(script: Script, timer: impl Timer) -> Self {
            Self { script, timer: Arc::new(timer) }
        }
    }

    impl AsyncAgent for ScriptedAgent {
        async fn perform(&self, assignment: Assignment) -> Result<Payload, Failure> {
            let reply = self.script.reply(&assignment.task, assignment.attempt.number());
            let result = match reply.answer {
                Answer::Ok(output) => Ok(output),
                Answer::Fail(failure) => Err(failure),
                Answer::Hang => pending().await,
            };
            let mut over = self.timer.sleep(reply.after);
            let mut cancelled = pin!(assignment.attempt.cancelled());
            let in_time = poll_fn(|cx| match over.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(true),
                Poll::Pending => cancelled.as_mut().poll(cx).map(|()| false),
            });
            if in_time.await { result } else { Err(Failure::transient("cancelled")) }
        }
    }

    impl fmt::Debug for ScriptedAgent {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_tuple("ScriptedAgent").field(&self.script).finish()
        }
    }
}

#[cfg(feature = "async")]
pub use future::ScriptedAgent;
