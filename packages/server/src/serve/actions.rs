//! What the forms of the pages do. Each passes the gate with the token of its caller.

use super::Site;
use super::session::{Visitor, message};
use axum::Form;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use counterpoint::engine::Awaited;
use counterpoint::host::HostError;
use counterpoint::message::NodeRemedy;
use counterpoint::{Command, Engine, Name, Payload, RunCommand, RunId, TaskCommand, TaskId};
use counterpoint_http::CommandError;
use serde::Deserialize;
use serde_json::Value;

/// The fields of the forms.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Fields {
    signal: String,
    payload: String,
    node: String,
    option: String,
    note: String,
    reason: String,
}

/// Sends a command, and shows the page again.
async fn send(site: &Site, visitor: &Visitor, command: Command, back: &str) -> Response {
    match site.app.command_of(&visitor.token, command).await {
        Ok(_) => Redirect::to(back).into_response(),
        Err(error) => {
            let status = match &error {
                CommandError::Denied(_) => StatusCode::FORBIDDEN,
                CommandError::Host(HostError::Rejected(_)) => StatusCode::CONFLICT,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            };
            (status, Html(message(&error.to_string()))).into_response()
        }
    }
}

fn unknown() -> Response {
    (StatusCode::NOT_FOUND, Html(message("there is no such operation"))).into_response()
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
    let reason = Name::from(if fields.reason.is_empty() { "by hand" } else { fields.reason.as_str() });
    let node = Name::from(fields.node.as_str());
    let command = match action.as_str() {
        "signal" => {
            let payload = match fields.payload.trim() {
                "" => Value::Null,
                text => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
            };
            RunCommand::Signal { run, signal: fields.signal.into(), payload: Payload::new(payload) }
        }
        "decide" => {
            // An operator decides in a role that may decide; the gate checks whether the principal has it.
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
            let own = |role: &Name| principal.roles.iter().any(|known| known.as_str() == role.as_str());
            let roles: Vec<Name> = roles.into_iter().filter(own).collect();
            let note = if fields.note.is_empty() { Value::Null } else { Value::from(fields.note) };
            let by = principal.name.clone();
            RunCommand::Decide { run, node, option: fields.option.into(), by, roles, note: Payload::new(note) }
        }
        "retry" => RunCommand::Retry { run, node: Some(node).filter(|node| !node.is_empty()), reason },
        "skip" => RunCommand::Operate { run, node, remedy: NodeRemedy::Skip { reason } },
        "cancel" => RunCommand::Cancel { run, reason },
        _ => return unknown(),
    };
    send(&site, &visitor, Command::from(command), &back).await
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
