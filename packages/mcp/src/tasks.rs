//! Long work as tasks of the protocol (its extension `io.modelcontextprotocol/tasks`, SEP-2663).
//!
//! A task of the protocol is a task or a run of the engine, and nothing besides: its id is made of theirs, its state is read
//! off theirs whenever somebody asks. So there is no table that a restart could lose, and whatever else becomes of the work
//! (an operator cancels it, another client brings it again) shows here, too.

use crate::Counterpoint;
use crate::asks::id;
use crate::refusal::Refusal;
use crate::tools::{run_shown, task_shown};
use counterpoint::host::HostError;
use counterpoint::message::Cause;
use counterpoint::message::rejected::{Unknown, WrongState};
use counterpoint::observe::{Line, RunProgress};
use counterpoint::{
    Command, Engine, Name, Payload, Rejected, RunCommand, RunId, RunOutcome, TaskCommand, TaskId, TaskOutcome, Time,
};
use rmcp::RoleServer;
use rmcp::model::{
    CallToolResponse, CallToolResult, CreateTaskResult, DetailedTask, GetTaskResult, MetaObject, Task, TaskPayload,
    TaskStatus,
};
use rmcp::service::RequestContext;
use serde_json::Value;
use std::fmt;
use std::time::{Duration, SystemTime};

/// How often it is worth to ask, in milliseconds.
const POLL: u64 = 1_000;
/// The grounds of a cancellation that came this way.
const CANCELLED: &str = "tasks/cancel";

type Context = RequestContext<RoleServer>;

/// What a task of the protocol is here.
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
    /// Reads an id, exactly as it is written: one piece of work has one id.
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

    /// What somebody may do who brought it, which lets them see it, too.
    fn theirs(self) -> Command {
        match self {
            Self::Task(task) => TaskCommand::Cancel { task, reason: Name::from("read") }.into(),
            Self::Run(run) => RunCommand::Signal { run, signal: Name::from("read"), payload: Payload::NULL }.into(),
        }
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

/// Where work stands.
struct Standing {
    status: TaskStatus,
    /// In words.
    message: String,
    began: Time,
    /// When something last happened to it, as far as the engine can tell its story; otherwise when it began.
    touched: Time,
    /// What the tool that brought it would answer now.
    answer: Value,
}

impl Standing {
    fn task(&self, work: Work) -> Task {
        let mut task = Task::new(work.to_string(), self.status, written(self.began), written(self.touched))
            .with_status_message(&self.message);
        // Finished work is remembered by number, not by time.
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

/// Whether the client says in this very request that it follows tasks, as the extension demands: what was said when the
/// session began does not count.
pub(crate) fn is_followed(context: &Context) -> bool {
    context.meta.client_capabilities().is_some_and(|capabilities| capabilities.supports_tasks())
}

impl Counterpoint {
    /// The answer to a call that wants to wait for this: the tool's own if there is nothing to wait for, and a task if there
    /// is.
    pub(crate) async fn handed_out(&self, work: Work) -> Result<CallToolResponse, Refusal> {
        let standing = self.standing(work).await?;
        if standing.status.is_terminal() {
            return Ok(CallToolResult::structured(standing.answer).into());
        }
        Ok(CallToolResponse::Task(CreateTaskResult::new(standing.task(work)).with_meta(work.meta())))
    }

    /// `tasks/get`.
    pub(crate) async fn task_read(&self, task: &str, context: &Context) -> Result<GetTaskResult, Refusal> {
        let work = Work::read(task)?;
        self.may_see(work, context).await?;
        let standing = self.standing(work).await?;
        let mut result = GetTaskResult::new(DetailedTask::new(standing.task(work), standing.payload()?));
        result.meta = Some(work.meta());
        Ok(result)
    }

    /// `tasks/update`: no task here asks its client for anything, so there is nothing that an answer could be to.
    pub(crate) async fn task_updated(&self, task: &str, context: &Context) -> Result<(), Refusal> {
        let work = Work::read(task)?;
        self.may_see(work, context).await?;
        self.standing(work).await.map(drop)
    }

    /// `tasks/cancel`. What has ended, or turns back already, stays as it is: the client sees that when it asks.
    pub(crate) async fn task_cancelled(&self, task: &str, context: &Context) -> Result<(), Refusal> {
        let command = self.may(context, Work::read(task)?.cancellation()).await?;
        match self.host.command(command).await {
            Ok(_)
            | Err(HostError::Rejected(
                Rejected::State(WrongState::TaskEnded(_)) | Rejected::State(WrongState::RunPhase { .. }),
            )) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether whoever calls may know of this work.
    pub(crate) async fn may_see(&self, work: Work, context: &Context) -> Result<(), Refusal> {
        self.may_read_of(context, work.theirs()).await
    }

    async fn standing(&self, work: Work) -> Result<Standing, Refusal> {
        match work {
            Work::Task(task) => {
                let found = self.host.inspect(move |engine| of_task(engine, task)).await?;
                Ok(found.ok_or(Rejected::Unknown(Unknown::Task(task)))?)
            }
            Work::Run(run) => {
                // First how far it is: if it ends in between, what is read then says so.
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
        // The call came to an end, however the work did: `failed` is for calls that end in an error of the protocol.
        Some(_) => TaskStatus::Completed,
    };
    let (message, touched) = match view.outcome() {
        Some((outcome, at)) => (outcome.to_string(), at),
        None => match engine.story(task).pop() {
            Some(Line { at, text, .. }) => (format!("{}: {text}", view.status()), at),
            None => (view.status().to_string(), view.submitted()),
        },
    };
    Some(Standing { status, message, began: view.submitted(), touched, answer: task_shown(engine, task)? })
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
    Some(Standing { status, message, began: view.began(), touched, answer: run_shown(&view) })
}

/// The host's moments are nanoseconds since 1970.
fn written(at: Time) -> String {
    let moment = SystemTime::UNIX_EPOCH + Duration::from_nanos(at.as_nanos());
    humantime::format_rfc3339_micros(moment).to_string()
}
