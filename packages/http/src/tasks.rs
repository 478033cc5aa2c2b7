//! Tasks: submission, state, cancellation.

use crate::auth::{At, Caller, Given, key, trace};
use crate::refusal::{Refusal, id, read};
use crate::{App, Parameters, wait};
use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use counterpoint::access::Principal;
use counterpoint::message::rejected::Unknown;
use counterpoint::protocol::{Body, Submission};
use counterpoint::task::TraceContext;
use counterpoint::{Accepted, Command, Engine, Name, Rejected, TaskCommand, TaskId, TaskSpec};
use counterpoint_serving::{Key, Scope};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The engine's id of a task, if the caller may read about it.
pub(crate) async fn readable(app: &App, caller: &Caller, task: TaskId) -> Result<TaskId, Refusal> {
    let (gate, now, token) = (Arc::clone(&app.gate), app.host.now(), caller.token.clone());
    Ok(app.host.inspect(move |engine: &Engine| gate.admit_task(now, Some(&token), task, engine).granted).await??)
}

/// The state of a task as a message.
pub(crate) async fn status(app: &App, task: TaskId) -> Result<Body, Refusal> {
    let look = move |engine: &Engine| {
        let view = engine.task(task)?;
        let outcome = view.outcome().map(|(outcome, _)| outcome.clone());
        Some(Body::Status { task, state: view.status(), attempts: view.attempts(), outcome })
    };
    Ok(app.host.inspect(look).await?.ok_or(Rejected::Unknown(Unknown::Task(task)))?)
}

/// The state of a task as JSON, without the envelope.
async fn shown(app: &App, task: TaskId) -> Result<Value, Refusal> {
    let body = serde_json::to_value(status(app, task).await?);
    let mut body = body.map_err(|error| Refusal::invalid("payload", error.to_string()))?;
    Ok(body["status"].take())
}

/// Sets the id of a submission, if it has none: that of the key of the request among the keys of this caller and tenant. Returns
/// the key as it is kept beside the id.
pub(crate) fn own_id(
    fields: &mut Map<String, Value>,
    kind: &str,
    key: Option<&Key>,
    caller: &Principal,
) -> Result<Option<String>, Refusal> {
    match (fields.contains_key("id"), key) {
        (true, None) => Ok(None),
        (false, Some(key)) => {
            // A tenant that is no text is rejected with the rest of the fields.
            let tenant = fields.get("tenant").and_then(Value::as_str).or_else(|| only_tenant(caller));
            let scope = Scope { kind, tenant, caller: &caller.name };
            let (id, text) = (key.id_in(scope), key.text_in(scope));
            fields.insert("id".to_owned(), id.to_string().into());
            Ok(Some(text))
        }
        (true, Some(_)) => Err(Refusal::invalid("two_ids", "specify `id` or `Idempotency-Key`, not both")),
        (false, None) => {
            Err(Refusal::invalid("no_id", "specify an `id`, or an `Idempotency-Key` from which one is derived"))
        }
    }
}

/// The tenant of a caller that is confined to one.
fn only_tenant(caller: &Principal) -> Option<&str> {
    let mut tenants = caller.tenants.iter().flatten();
    match (tenants.next(), tenants.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

fn spec(bytes: &[u8], key: Option<&Key>, trace: Option<TraceContext>, caller: &Principal) -> Result<TaskSpec, Refusal> {
    let mut fields: Map<String, Value> = read(bytes)?;
    let kept = own_id(&mut fields, "task", key, caller)?;
    let tenant: Option<Name> = fields.remove("tenant").map(serde_json::from_value).transpose().map_err(shape)?;
    let submission: Submission = serde_json::from_value(fields.into()).map_err(shape)?;
    let mut spec = TaskSpec::from(submission);
    spec.tenant = tenant;
    if let Some(trace) = trace {
        spec.trace = trace.into();
    }
    Ok(kept.into_iter().fold(spec, TaskSpec::with_key))
}

fn shape(error: serde_json::Error) -> Refusal {
    Refusal::invalid("shape", error.to_string())
}

/// Submits a task. A repeated request is answered by the state of the task.
pub(crate) async fn submit(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Given(content): Given,
) -> Result<Response, Refusal> {
    let (key, trace, principal) = (key(&headers)?, trace(&headers), caller.principal.clone());
    let spec = app.bodies.parse(content, move |bytes| spec(bytes, key.as_ref(), trace, &principal)).await??;
    let named = spec.id;
    let (command, begun) = app.admit(&caller, Command::submit(spec)).await?;
    // That of the engine, which differs for a confined caller.
    let task = if let Command::Task(TaskCommand::Submit(spec)) = &command { spec.id } else { named };
    let accepted = app.perform(&caller, (command, begun)).await?;
    let status = if accepted == Accepted::Repeated { StatusCode::OK } else { StatusCode::CREATED };
    let location = format!("/v1/tasks/{}", task.get());
    Ok((status, [(LOCATION, location)], Json(shown(&app, task).await?)).into_response())
}

/// Returns the state of a task; with `wait`, when it has ended or after this number of seconds.
pub(crate) async fn one(
    State(app): State<App>,
    At(task): At<String>,
    parameters: Parameters,
    caller: Caller,
) -> Result<Json<Value>, Refusal> {
    let (task, span) = (TaskId::new(id(&task)?), wait(&parameters)?);
    let task = readable(&app, &caller, task).await?;
    if span == Duration::ZERO {
        return Ok(Json(shown(&app, task).await?));
    }
    let mut end = app.hub.task_end(task);
    let now = shown(&app, task).await?;
    if !now["outcome"].is_null() {
        return Ok(Json(now));
    }
    end.within(span).await;
    Ok(Json(shown(&app, task).await?))
}

/// Cancels a task.
pub(crate) async fn withdraw(
    State(app): State<App>,
    At(task): At<String>,
    parameters: Parameters,
    caller: Caller,
) -> Result<Response, Refusal> {
    let task = TaskId::new(id(&task)?);
    let reason = parameters.get("reason").unwrap_or("cancelled");
    let accepted = app.command(&caller, TaskCommand::Cancel { task, reason: reason.into() }).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"accepted": accepted}))).into_response())
}
