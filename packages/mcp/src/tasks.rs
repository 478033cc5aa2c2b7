//! Long work as tasks of the protocol (its extension `io.modelcontextprotocol/tasks`, SEP-2663).
//!
//! A task of the protocol is a task or a run of the engine: its id is derived from theirs, its state is computed from
//! theirs on each request. So there is no table that a restart could lose, and changes by others (an operator cancels
//! it, another client submits it again) are visible, too.

use crate::Counterpoint;
use crate::answers::{run_shown, task_shown, value};
use crate::asks::id;
use crate::refusal::Refusal;
use counterpoint::host::HostError;
use counterpoint::message::Cause;
use counterpoint::message::rejected::{Unknown, WrongState};
use counterpoint::observe::{Line, RunProgress};
use counterpoint::{
    Command, Engine, Name, Rejected, RunCommand, RunId, RunOutcome, TaskCommand, TaskId, TaskOutcome, Time,
};
use rmcp::RoleServer;
use rmcp::model::{
    CallToolResponse, CallToolResult, CreateTaskResult, DetailedTask, GetTaskResult, MetaObject, Task, TaskPayload,
    TaskStatus,
};
use rmcp::service::RequestContext;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The suggested polling interval in milliseconds.
const POLL: u64 = 1_000;
/// The reason of a cancellation by `tasks/cancel`.
const CANCELLED: &str = "tasks/cancel";

type Context = RequestContext<RoleServer>;

/// The engine's object behind a task of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// A task.
    Task(TaskId),
    /// A run.
    Run(RunId),
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(task) => write!(f, "task-{}", task.get()),
            Self::Run(run) => write!(f, "run-{}", run.get()),
        }
    }
}

impl Work {
    /// Parses an id in its exact form: one object has one id.
    fn read(text: &str) -> Result<Self, Refusal> {
        let work = match text.split_once('-') {
            Some(("task", number)) => id(number).map(|number| Self::Task(TaskId::new(number))),
            Some(("run", number)) => id(number).map(|number| Self::Run(RunId::new(number))),
            _ => return Err(malformed(text)),
        };
        work.ok().filter(|work| work.to_string() == text).ok_or_else(|| malformed(text))
    }

    /// The engine's id, for the tools.
    fn meta(self) -> MetaObject {
        let (key, number) = match self {
            Self::Task(task) => ("counterpoint/task", task.get()),
            Self::Run(run) => ("counterpoint/run", run.get()),
        };
        let mut meta = MetaObject::new();
        meta.0.insert(key.to_owned(), number.to_string().into());
        meta
    }

    fn cancellation(self) -> Command {
        let reason = Name::from(CANCELLED);
        match self {
            Self::Task(task) => TaskCommand::Cancel { task, reason }.into(),
            Self::Run(run) => RunCommand::Cancel { run, reason }.into(),
        }
    }
}

fn malformed(text: &str) -> Refusal {
    Refusal::new(
        "bad_id",
        format!("`{text}` is not the id of a task: expected `task-` or `run-` and a number below 2^64"),
    )
}

/// The state of a task or run.
struct Standing {
    status: TaskStatus,
    /// The state as text.
    message: String,
    began: Time,
    /// The time of its last event, if the engine still has its story; otherwise of its start.
    touched: Time,
    /// The present answer of the tool that started it.
    answer: Value,
}

impl Standing {
    fn task(&self, work: Work) -> Task {
        let mut task = Task::new(work.to_string(), self.status, written(self.began), written(self.touched))
            .with_status_message(&self.message);
        // The engine bounds the number of finished tasks and runs, not the time for which they are retained.
        task.ttl_ms = None;
        if !self.status.is_terminal() {
            task.poll_interval_ms = Some(POLL);
        }
        task
    }

    fn payload(self) -> Result<TaskPayload, Refusal> {
        match self.status {
            TaskStatus::Completed => {
                let result = serde_json::to_value(CallToolResult::structured(self.answer));
                match result.map_err(|error| Refusal::new("internal", error.to_string()))? {
                    Value::Object(result) => Ok(TaskPayload::Completed { result }),
                    _ => Err(Refusal::new("internal", "the result of a tool is not an object")),
                }
            }
            TaskStatus::Cancelled => Ok(TaskPayload::Cancelled),
            _ => Ok(TaskPayload::Working),
        }
    }
}

/// Whether the client declares support for tasks in this request, as the extension requires: a declaration at the start
/// of the session does not count.
pub(crate) fn is_followed(context: &Context) -> bool {
    context.meta.client_capabilities().is_some_and(|capabilities| capabilities.supports_tasks())
}

impl Counterpoint {
    /// The answer to a call that waits for work: the tool's own answer if the work has ended, and a task otherwise.
    pub(crate) async fn task_response(&self, work: Work) -> Result<CallToolResponse, Refusal> {
        let standing = self.standing(work).await?;
        if standing.status.is_terminal() {
            return Ok(CallToolResult::structured(standing.answer).into());
        }
        Ok(CallToolResponse::Task(CreateTaskResult::new(standing.task(work)).with_meta(work.meta())))
    }

    /// `tasks/get`.
    pub(crate) async fn task_read(&self, task: &str, context: &Context) -> Result<GetTaskResult, Refusal> {
        let work = self.may_see(Work::read(task)?, context).await?;
        let standing = self.standing(work).await?;
        let mut result = GetTaskResult::new(DetailedTask::new(standing.task(work), standing.payload()?));
        result.meta = Some(work.meta());
        Ok(result)
    }

    /// `tasks/update`: no task of this server requests input from its client, so there is nothing to update.
    pub(crate) async fn task_updated(&self, task: &str, context: &Context) -> Result<(), Refusal> {
        let work = self.may_see(Work::read(task)?, context).await?;
        self.standing(work).await.map(drop)
    }

    /// `tasks/cancel`. Work that has ended or is being compensated is not affected: the client sees that in its state.
    pub(crate) async fn task_cancelled(&self, task: &str, context: &Context) -> Result<(), Refusal> {
        let (command, decision) = self.may(context, Work::read(task)?.cancellation()).await?;
        let answer = self.host.command(command).await;
        self.observe(&decision, Some(&answer));
        match answer {
            Ok(_)
            | Err(HostError::Rejected(
                Rejected::State(WrongState::TaskEnded(_)) | Rejected::State(WrongState::RunPhase { .. }),
            )) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The engine's object of this work, if the caller may read about it.
    pub(crate) async fn may_see(&self, work: Work, context: &Context) -> Result<Work, Refusal> {
        let (gate, now, token) = (Arc::clone(&self.gate), self.host.now(), self.token(context));
        let ask = move |engine: &Engine| match work {
            Work::Task(task) => gate.admit_task(now, token.as_ref(), task, engine).granted.map(Work::Task),
            Work::Run(run) => gate.admit_run(now, token.as_ref(), run, engine).granted.map(Work::Run),
        };
        Ok(self.host.inspect(ask).await??)
    }

    async fn standing(&self, work: Work) -> Result<Standing, Refusal> {
        match work {
            Work::Task(task) => {
                let found = self.host.inspect(move |engine| of_task(engine, task)).await?;
                Ok(found.ok_or(Rejected::Unknown(Unknown::Task(task)))?)
            }
            Work::Run(run) => {
                // The progress first: if the run ends in between, the later read shows its end.
                let far = self.host.progress(run).await?.next().await;
                let found = self.host.inspect(move |engine| of_run(engine, run, far)).await?;
                Ok(found.ok_or(Rejected::Unknown(Unknown::Run(run)))?)
            }
        }
    }
}

fn of_task(engine: &Engine, task: TaskId) -> Option<Standing> {
    let view = engine.task(task)?;
    let status = match view.outcome() {
        None => TaskStatus::Working,
        Some((TaskOutcome::Cancelled { .. }, _)) => TaskStatus::Cancelled,
        // The call has completed, whatever the outcome of the work: `failed` is for calls that end in an error of the
        // protocol.
        Some(_) => TaskStatus::Completed,
    };
    let (message, touched) = match view.outcome() {
        Some((outcome, at)) => (outcome.to_string(), at),
        None => match engine.story(task).pop() {
            Some(Line { at, text, .. }) => (format!("{}: {text}", view.status()), at),
            None => (view.status().to_string(), view.submitted()),
        },
    };
    Some(Standing { status, message, began: view.submitted(), touched, answer: value(&task_shown(engine, task)?) })
}

fn of_run(engine: &Engine, run: RunId, far: Option<RunProgress>) -> Option<Standing> {
    let view = engine.run(run)?;
    let status = match view.outcome().map(RunOutcome::cause) {
        None => TaskStatus::Working,
        Some(Some(Cause::Cancelled { .. })) => TaskStatus::Cancelled,
        Some(_) => TaskStatus::Completed,
    };
    let last = || engine.story(run).pop().map(|line| line.at);
    let touched = far.as_ref().and_then(|far| far.ended).or_else(last).unwrap_or(view.began());
    let message = match (view.outcome(), far) {
        (Some(outcome), _) => outcome.to_string(),
        (None, Some(far)) => far.to_string(),
        (None, None) => view.phase().to_string(),
    };
    Some(Standing { status, message, began: view.began(), touched, answer: value(&run_shown(&view)) })
}

/// The host's times are nanoseconds since 1970.
fn written(at: Time) -> String {
    let moment = SystemTime::UNIX_EPOCH + Duration::from_nanos(at.as_nanos());
    humantime::format_rfc3339_micros(moment).to_string()
}
