//! Decisions and operations on runs, and dead letters.

use crate::App;
use crate::Parameters;
use crate::auth::{At, Caller, Given};
use crate::refusal::{Refusal, id, read};
use crate::runs::readable;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use counterpoint::engine::Awaited;
use counterpoint::message::NodeRemedy;
use counterpoint::{Engine, Name, Payload, RunCommand, RunId, TaskCommand, TaskId, TaskOutcome};
use serde::Deserialize;
use serde_json::{Value, json};

/// The number of dead letters in a page.
const PAGE: usize = 100;

/// A decision.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    node: Name,
    option: Name,
    #[serde(default)]
    note: Value,
}

/// What is done with a run by hand.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Operation {
    Pause { reason: Name },
    Resume {},
    Retry { node: Option<Name>, reason: Name },
    Skip { node: Name, reason: Name },
    Complete { node: Name, output: Value, reason: Name },
}

fn accepted(value: impl serde::Serialize) -> Response {
    (StatusCode::ACCEPTED, Json(json!({"accepted": value}))).into_response()
}

/// Decides for a node that waits for a decision, in those roles of the caller that may decide.
pub(crate) async fn decide(
    State(app): State<App>,
    At(run): At<String>,
    caller: Caller,
    Given(content): Given,
) -> Result<Response, Refusal> {
    let run = RunId::new(id(&run)?);
    let Decision { node, option, note } = app.bodies.parse(content, read).await??;
    let known = readable(&app, &caller, run).await?;
    let awaited = node.clone();
    let look = move |engine: &Engine| {
        let waits = engine.run(known).map(|run| run.waits()).unwrap_or_default();
        waits.into_iter().find_map(|wait| match wait.on {
            Awaited::Decision { roles, .. } if wait.run == known && wait.node.as_ref() == Some(&awaited) => Some(roles),
            _ => None,
        })
    };
    let roles: Vec<Name> = app.host.inspect(look).await?.unwrap_or_default();
    let own = |role: &Name| caller.principal.has_role(role);
    let roles = roles.into_iter().filter(own).collect();
    let by = caller.principal.name.clone();
    let command = RunCommand::Decide { run, node, option, by, roles, note: Payload::new(note) };
    Ok(accepted(app.command(&caller, command).await?))
}

/// Operates on a run by hand.
pub(crate) async fn operate(
    State(app): State<App>,
    At(run): At<String>,
    caller: Caller,
    Given(content): Given,
) -> Result<Response, Refusal> {
    let run = RunId::new(id(&run)?);
    let command = match app.bodies.parse(content, read).await?? {
        Operation::Pause { reason } => RunCommand::Pause { run, reason },
        Operation::Resume {} => RunCommand::Resume { run },
        Operation::Retry { node, reason } => RunCommand::Retry { run, node, reason },
        Operation::Skip { node, reason } => RunCommand::Operate { run, node, remedy: NodeRemedy::Skip { reason } },
        Operation::Complete { node, output, reason } => {
            let remedy = NodeRemedy::Complete { output: Payload::new(output), reason };
            RunCommand::Operate { run, node, remedy }
        }
    };
    Ok(accepted(app.command(&caller, command).await?))
}

/// Lists dead letters in pages, by their ids.
pub(crate) async fn dead_letters(
    State(app): State<App>,
    parameters: Parameters,
    caller: Caller,
) -> Result<Json<Value>, Refusal> {
    app.may_read(&caller, "the dead letters")?;
    let after = parameters.get("after").map(id).transpose()?;
    let look = move |engine: &Engine| {
        let mut found: Vec<Value> = Vec::new();
        let (mut more, mut last) = (false, None);
        let mut letters: Vec<_> = engine.dead_letters().collect();
        letters.sort_by_key(|task| task.spec().id);
        for task in letters.iter().filter(|task| after.is_none_or(|after| task.spec().id.get() > after)) {
            if found.len() == PAGE {
                more = true;
                break;
            }
            let failure = match task.outcome() {
                Some((TaskOutcome::DeadLettered(failure), _)) => serde_json::to_value(failure).unwrap_or_default(),
                _ => Value::Null,
            };
            last = Some(task.spec().id.get().to_string());
            found.push(json!({
                "id": last, "kind": task.spec().kind, "tenant": task.spec().tenant, "attempts": task.attempts(),
                "failure": failure,
            }));
        }
        json!({"dead_letters": found, "next": if more { last } else { None }})
    };
    Ok(Json(app.host.inspect(look).await?))
}

/// Submits the task of a dead letter again. Its id follows from the dead letter, so that a repeated request replays it once.
pub(crate) async fn replay(State(app): State<App>, At(task): At<String>, caller: Caller) -> Result<Response, Refusal> {
    let dead = TaskId::new(id(&task)?);
    let fresh = TaskId::from_key(&format!("replay of {}", dead.get()));
    app.command(&caller, TaskCommand::Replay { dead, fresh }).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"task": fresh.get().to_string()}))).into_response())
}

/// Discards a dead letter.
pub(crate) async fn discard(
    State(app): State<App>,
    At(task): At<String>,
    parameters: Parameters,
    caller: Caller,
) -> Result<StatusCode, Refusal> {
    let (dead, reason) = (TaskId::new(id(&task)?), parameters.get("reason").unwrap_or("discarded"));
    app.command(&caller, TaskCommand::Discard { dead, reason: reason.into() }).await?;
    Ok(StatusCode::NO_CONTENT)
}
