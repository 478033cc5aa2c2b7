//! The handles of submitted tasks and started runs, as futures.

use super::Link;
use super::submission::Submission;
use crate::base::id::{RunId, TaskId};
use crate::host::coder::Coder;
use crate::host::error::output_of;
use crate::host::{HostError, RunError};
use crate::message::command::{Command, RunCommand, TaskCommand};
use crate::message::run::RunOutcome;
use crate::task::TaskOutcome;
use core::fmt;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll};
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The reason of a cancellation by a dropped handle.
const DROPPED: &str = "its handle was dropped";

/// The part of a handle that is common to tasks and runs.
struct Handle<T> {
    subject: Subject,
    submission: Arc<Submission<T>>,
    link: Arc<Link>,
    /// Whether the subject is cancelled when the handle is dropped.
    armed: bool,
}

#[derive(Clone, Copy)]
enum Subject {
    Task(TaskId),
    Run(RunId),
}

impl Subject {
    fn cancel(self) -> Command {
        match self {
            Self::Task(task) => TaskCommand::Cancel { task, reason: DROPPED.into() }.into(),
            Self::Run(run) => RunCommand::Cancel { run, reason: DROPPED.into() }.into(),
        }
    }
}

impl<T> Handle<T> {
    /// The outcome, or `None` in a callback of the host, which must not wait for it.
    fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<Result<T, HostError>>> {
        let outcome = self.submission.poll_outcome(cx);
        if outcome.is_pending() && self.link.inside.is_here() {
            return Poll::Ready(None);
        }
        self.armed &= outcome.is_pending();
        outcome.map(|outcome| Some(outcome.ok_or(HostError::Ended)))
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        if self.armed {
            // The channel is closed if the host has ended.
            let _ = self.link.commands.try_send(self.subject.cancel());
        }
    }
}

/// A submitted task: a future of its outcome. Dropping the handle does not affect the task. In a callback of the host it is
/// ready at once, with [`HostError::Reentrant`] unless the task has ended.
#[must_use = "dropping the handle does not affect the task"]
pub struct TaskHandle {
    id: TaskId,
    handle: Handle<TaskOutcome>,
    coder: Coder,
}

impl TaskHandle {
    pub(super) const fn new(
        id: TaskId,
        submission: Arc<Submission<TaskOutcome>>,
        link: Arc<Link>,
        coder: Coder,
    ) -> Self {
        Self { id, handle: Handle { subject: Subject::Task(id), submission, link, armed: false }, coder }
    }

    /// Cancels the task if the handle is dropped before the task has ended.
    pub const fn cancel_on_drop(mut self) -> Self {
        self.handle.armed = true;
        self
    }

    /// The task's id.
    #[must_use]
    pub const fn id(&self) -> TaskId {
        self.id
    }
}

impl Future for TaskHandle {
    type Output = Result<TaskOutcome, HostError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = self.handle.poll(cx).map(|ended| ended.unwrap_or(Err(HostError::Reentrant)));
        ended.map(|ended| self.coder.outcome(ended?))
    }
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskHandle({})", self.id)
    }
}

/// A started run: a future of its output. Dropping the handle does not affect the run.
#[must_use = "dropping the handle does not affect the run"]
pub struct RunHandle<O> {
    id: RunId,
    handle: Handle<RunOutcome>,
    coder: Coder,
    output: PhantomData<fn() -> O>,
}

impl<O> RunHandle<O> {
    pub(super) const fn new(id: RunId, submission: Arc<Submission<RunOutcome>>, link: Arc<Link>, coder: Coder) -> Self {
        let handle = Handle { subject: Subject::Run(id), submission, link, armed: false };
        Self { id, handle, coder, output: PhantomData }
    }

    /// Cancels the run if the handle is dropped before the run has ended. Completed steps of the run are then
    /// compensated.
    pub const fn cancel_on_drop(mut self) -> Self {
        self.handle.armed = true;
        self
    }

    /// The run's id.
    #[must_use]
    pub const fn id(&self) -> RunId {
        self.id
    }
}

impl<O: DeserializeOwned> Future for RunHandle<O> {
    type Output = Result<O, RunError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.handle.poll(cx).map(|ended| match ended {
            None => Err(RunError::Reentrant),
            Some(outcome) => output_of(self.coder.run_outcome(outcome.map_err(|_| RunError::HostEnded)?)?),
        })
    }
}

impl<O> fmt::Debug for RunHandle<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunHandle({})", self.id)
    }
}
