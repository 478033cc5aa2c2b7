//! What the forms of the pages do. Each passes the gate with the token of its caller.

use super::Site;
use super::foresee::foresee;
use super::session::{Visitor, message};
use axum::Form;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use counterpoint::engine::Awaited;
use counterpoint::host::HostError;
use counterpoint::message::{CompensationRemedy, NodeRemedy, ResetPoint};
use counterpoint::schedule::{ScheduleSpec, Timing};
use counterpoint::{Command, Engine, Name, Payload, RunCommand, RunId, RunSpec, ScheduleCommand, TaskCommand, TaskId};
use counterpoint_http::CommandError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The fields of the forms.
#[derive(Debug, Clone, Deserialize, Serialize, Default)]
#[serde(default)]
pub(super) struct Fields {
    signal: String,
    payload: String,
    node: String,
    option: String,
    note: String,
    pub(super) reason: String,
    pub(super) to: String,
    pub(super) undo: String,
    /// Not empty: only the consequences are asked for.
    dry: String,
}

/// Sends a command, and shows the page again.
pub(super) async fn send(site: &Site, visitor: &Visitor, command: Command, back: &str) -> Response {
    match site.app.command_of(&visitor.token, command).await {
        Ok(_) => Redirect::to(back).into_response(),
        Err(error) => {
            let status = match &error {
                CommandError::Denied(_) => StatusCode::FORBIDDEN,
                CommandError::Host(HostError::Rejected(_)) => StatusCode::CONFLICT,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            };
            let text = match error {
                // With the names of what it mentions.
                CommandError::Host(HostError::Rejected(rejected)) => {
                    let of = rejected.clone();
                    let explained = site.app.host().inspect(move |engine| engine.explain(&of)).await;
                    explained.unwrap_or_else(|_| rejected.to_string())
                }
                other => other.to_string(),
            };
            (status, Html(message(&text))).into_response()
        }
    }
}

fn unknown() -> Response {
    (StatusCode::NOT_FOUND, Html(message("there is no such operation"))).into_response()
}

/// A text of a form as data: JSON, or else the text itself.
fn payload(text: &str) -> Payload {
    Payload::new(match text.trim() {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
    })
}

/// A reason, which has a default.
fn reason(text: &str) -> Name {
    Name::from(if text.trim().is_empty() { "by hand" } else { text.trim() })
}

/// An operation on a run.
pub(super) async fn of_run(
    State(site): State<Site>,
    headers: HeaderMap,
    Path((id, action)): Path<(u64, String)>,
    Form(fields): Form<Fields>,
) -> Response {
    let visitor = match Visitor::acting(&site, &headers, "a run") {
        Ok(visitor) => visitor,
        Err(answer) => return *answer,
    };
    let (run, back) = (RunId::new(id), format!("/runs/{id}"));
    let command = if action == "decide" {
        decision(&site, &visitor, run, fields.clone()).await
    } else {
        match operation(run, &action, &fields) {
            Some(command) => command,
            None => return unknown(),
        }
    };
    if fields.dry.is_empty() {
        send(&site, &visitor, command.into(), &back).await
    } else {
        foresee(&site, &visitor, command, (&action, &fields), &back).await
    }
}

fn operation(run: RunId, action: &str, fields: &Fields) -> Option<RunCommand> {
    let (node, reason) = (Name::from(fields.node.as_str()), reason(&fields.reason));
    Some(match action {
        "signal" => {
            RunCommand::Signal { run, signal: fields.signal.as_str().into(), payload: payload(&fields.payload) }
        }
        "retry" => RunCommand::Retry { run, node: Some(node).filter(|node| !node.is_empty()), reason },
        "skip" => RunCommand::Operate { run, node, remedy: NodeRemedy::Skip { reason } },
        "cancel" => RunCommand::Cancel { run, reason },
        "pause" => RunCommand::Pause { run, reason },
        "resume" => RunCommand::Resume { run },
        "compensate" => RunCommand::Remedy { run, node, remedy: CompensationRemedy::Retry },
        "declare" => RunCommand::Remedy { run, node, remedy: CompensationRemedy::Declare { reason } },
        "abandon" => RunCommand::Remedy { run, node, remedy: CompensationRemedy::Abandon { reason } },
        "reset" => {
            let to = match fields.to.as_str() {
                "" => ResetPoint::Start,
                node => ResetPoint::before([node]),
            };
            RunCommand::Reset { run, to, undo: !fields.undo.is_empty(), reason }
        }
        _ => return None,
    })
}

/// An operator decides in a role that may decide; the gate checks whether the principal has it.
async fn decision(site: &Site, visitor: &Visitor, run: RunId, fields: Fields) -> RunCommand {
    let node = Name::from(fields.node);
    let awaited = node.clone();
    let look = move |engine: &Engine| {
        let waits = engine.run(run).map(|run| run.waits()).unwrap_or_default();
        waits.into_iter().find_map(|wait| match wait.on {
            Awaited::Decision { roles, .. } if wait.node.as_ref() == Some(&awaited) => Some(roles),
            _ => None,
        })
    };
    let roles = site.app.host().inspect(look).await.ok().flatten().unwrap_or_default();
    let principal = &visitor.principal;
    let own = |role: &Name| principal.has_role(role);
    let roles: Vec<Name> = roles.into_iter().filter(own).collect();
    let note = if fields.note.is_empty() { Value::Null } else { Value::from(fields.note) };
    let by = principal.name.clone();
    RunCommand::Decide { run, node, option: fields.option.into(), by, roles, note: Payload::new(note) }
}

/// The fields of the form that starts a run.
#[derive(Debug, Deserialize, Default)]
#[serde(default)]
pub(super) struct Start {
    once: String,
    workflow: String,
    key: String,
    input: String,
}

/// Starts a run.
pub(super) async fn start(State(site): State<Site>, headers: HeaderMap, Form(fields): Form<Start>) -> Response {
    let visitor = match Visitor::acting(&site, &headers, "a run") {
        Ok(visitor) => visitor,
        Err(answer) => return *answer,
    };
    let id = RunId::from_key(&format!("page {} {}", visitor.principal.name, fields.once));
    let mut spec = RunSpec::new(id, fields.workflow).with_input(payload(&fields.input));
    if !fields.key.trim().is_empty() {
        spec = spec.with_business_key(fields.key.trim());
    }
    send(&site, &visitor, Command::start(spec), &format!("/runs/{}", id.get())).await
}

/// The fields of the forms of schedules.
#[derive(Debug, Deserialize, Default)]
#[serde(default)]
pub(super) struct Turn {
    schedule: String,
    once: String,
    action: String,
    workflow: String,
    cron: String,
    input: String,
}

/// An operation on a schedule.
pub(super) async fn of_schedule(State(site): State<Site>, headers: HeaderMap, Form(turn): Form<Turn>) -> Response {
    let visitor = match Visitor::acting(&site, &headers, "a schedule") {
        Ok(visitor) => visitor,
        Err(answer) => return *answer,
    };
    let (schedule, note) = (Name::from(turn.schedule), Name::from("by hand"));
    let command = match turn.action.as_str() {
        "create" => {
            let timing = Timing::cron(turn.cron.trim());
            ScheduleCommand::create(ScheduleSpec::new(schedule, turn.workflow, timing).with_input(payload(&turn.input)))
        }
        "trigger" => ScheduleCommand::Trigger { schedule, request: turn.once.into(), overlap: None },
        "pause" => ScheduleCommand::Pause { schedule, note },
        "resume" => ScheduleCommand::Resume { schedule, note },
        _ => return unknown(),
    };
    send(&site, &visitor, command.into(), "/schedules").await
}

/// An operation on a dead letter.
pub(super) async fn of_dead_letter(
    State(site): State<Site>,
    headers: HeaderMap,
    Path((id, action)): Path<(u64, String)>,
) -> Response {
    let visitor = match Visitor::acting(&site, &headers, "a dead letter") {
        Ok(visitor) => visitor,
        Err(answer) => return *answer,
    };
    let dead = TaskId::new(id);
    let command = match action.as_str() {
        // The id follows from the dead letter, so that a form that is sent twice replays it once.
        "replay" => TaskCommand::Replay { dead, fresh: TaskId::from_key(&format!("replay of {id}")) },
        "discard" => TaskCommand::Discard { dead, reason: "discarded by hand".into() },
        _ => return unknown(),
    };
    send(&site, &visitor, Command::from(command), "/dead-letters").await
}
