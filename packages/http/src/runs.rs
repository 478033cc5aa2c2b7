//! Workflows and their runs.

use crate::auth::bearer;
use crate::refusal::{Refusal, id, read};
use crate::tasks::own_id;
use crate::{App, Parameters, wait};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use counterpoint::access::AccessError;
use counterpoint::engine::{RunCursor, RunFilter, RunView};
use counterpoint::language::Document;
use counterpoint::message::rejected::Unknown;
use counterpoint::{Accepted, Command, Engine, Limits, Name, Payload, Rejected, RunCommand, RunId, RunSpec, Tier};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// The number of runs in a page.
const PAGE: usize = 100;

/// A request to start a run.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRun {
    id: String,
    workflow: Name,
    version: Option<u32>,
    #[serde(default)]
    input: Value,
    #[serde(default)]
    tier: Tier,
    business_key: Option<Name>,
}

/// The engine's id of a run that the caller may read about: with the permission to read, or to signal it.
async fn readable(app: &App, headers: &HeaderMap, run: RunId) -> Result<RunId, Refusal> {
    let (gate, now, token) = (Arc::clone(&app.gate), app.host.now(), bearer(headers));
    let ask = move |engine: &Engine| {
        let token = token.as_ref();
        gate.admit_run(now, token, run, engine).granted.or_else(|_| {
            let signal = RunCommand::Signal { run, signal: Name::from("read"), payload: Payload::NULL };
            Ok(run_in(&gate.admit(now, token, signal.into(), engine).granted?).unwrap_or(run))
        })
    };
    let readable: Result<RunId, AccessError> = app.host.inspect(ask).await?;
    Ok(readable?)
}

/// The run that a command starts or signals.
fn run_in(command: &Command) -> Option<RunId> {
    match command {
        Command::Run(RunCommand::Start(spec)) => Some(spec.id),
        Command::Run(RunCommand::Signal { run, .. }) => Some(*run),
        _ => None,
    }
}

/// Adds a workflow in the definition language.
pub(crate) async fn define(State(app): State<App>, headers: HeaderMap, bytes: Bytes) -> Result<Response, Refusal> {
    let document: Document = read(&bytes)?;
    let recipe = document.compile(&Limits::default())?;
    let (name, version) = (recipe.definition.name.clone(), recipe.definition.version);
    let accepted = app.command(&headers, Command::define(recipe.definition)).await?;
    let status = if accepted == Accepted::Repeated { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(json!({"name": name, "version": version}))).into_response())
}

/// Lists the workflows.
pub(crate) async fn definitions(State(app): State<App>, headers: HeaderMap) -> Result<Json<Value>, Refusal> {
    app.may_read(&headers, "the workflows")?;
    let look = |engine: &Engine| {
        let definitions = engine.definitions();
        let shown = definitions.iter().map(|view| {
            json!({
                "name": view.id.name, "version": view.id.version, "is_default": view.is_default,
                "active": view.active, "finished": view.finished,
            })
        });
        shown.collect::<Vec<_>>()
    };
    Ok(Json(json!({"workflows": app.host.inspect(look).await?})))
}

/// Starts a run. A repeated request is answered by the state of the run.
pub(crate) async fn start(State(app): State<App>, headers: HeaderMap, bytes: Bytes) -> Result<Response, Refusal> {
    let mut fields: Map<String, Value> = read(&bytes)?;
    own_id(&mut fields, &headers, |key| RunId::from_key(key).get())?;
    let new: NewRun = serde_json::from_value(fields.into()).map_err(|e| Refusal::invalid("shape", e.to_string()))?;
    let named = RunId::new(id(&new.id)?);
    let mut spec = RunSpec::new(named, new.workflow).with_input(Payload::new(new.input));
    (spec.version, spec.tier, spec.business_key) = (new.version, new.tier, new.business_key);
    let command = app.admit(bearer(&headers), Command::start(spec)).await?;
    let run = run_in(&command).unwrap_or(named);
    let accepted = app.host.command(command).await?;
    let status = if accepted == Accepted::Repeated { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, [(LOCATION, format!("/v1/runs/{}", run.get()))], Json(shown(&app, run).await?)).into_response())
}

fn view(run: &RunView<'_>) -> Value {
    let nodes = run.nodes().map(|node| json!({"name": node.name(), "status": node.status()}));
    json!({
        "id": run.id().get().to_string(),
        "workflow": run.definition().name,
        "version": run.definition().version,
        "business_key": run.spec().business_key,
        "phase": run.phase(),
        "outcome": run.outcome(),
        "waits_for": run.waits_for(),
        "nodes": nodes.collect::<Vec<_>>(),
    })
}

async fn shown(app: &App, run: RunId) -> Result<Value, Refusal> {
    let look = move |engine: &Engine| engine.run(run).map(|run| view(&run));
    Ok(app.host.inspect(look).await?.ok_or(Rejected::Unknown(Unknown::Run(run)))?)
}

/// Returns the state of a run; with `wait`, when it has ended or after this number of seconds.
pub(crate) async fn one(
    State(app): State<App>,
    Path(run): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let (run, span) = (RunId::new(id(&run)?), wait(&parameters)?);
    let run = readable(&app, &headers, run).await?;
    let end = app.hub.run_end(run);
    let now = shown(&app, run).await?;
    if span == Duration::ZERO || !now["outcome"].is_null() {
        return Ok(Json(now));
    }
    // The state is the answer whether or not the run has ended by then.
    let _ = timeout(span, end).await;
    Ok(Json(shown(&app, run).await?))
}

/// Lists runs in pages: by `workflow`, by `business_key`, after the `next` of the previous page.
pub(crate) async fn list(
    State(app): State<App>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    app.may_read(&headers, "the runs")?;
    let mut filter = RunFilter::default();
    if let Some(workflow) = parameters.get("workflow") {
        filter = filter.with_workflow(workflow.as_str());
    }
    if let Some(key) = parameters.get("business_key") {
        filter = filter.with_business_key(key.as_str());
    }
    let after: Option<RunCursor> = parameters.get("after").map(|text| read(text.as_bytes())).transpose()?;
    let look = move |engine: &Engine| {
        let page = engine.find_runs(&filter, after, PAGE);
        let next = page.next.and_then(|cursor| serde_json::to_string(&cursor).ok());
        json!({"runs": page.runs.iter().map(view).collect::<Vec<_>>(), "next": next})
    };
    Ok(Json(app.host.inspect(look).await?))
}

/// Sends a signal to a run, with the request body as its payload.
pub(crate) async fn signal(
    State(app): State<App>,
    Path((run, signal)): Path<(String, String)>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Refusal> {
    let payload = if bytes.is_empty() { Payload::NULL } else { Payload::new(read(&bytes)?) };
    let command = RunCommand::Signal { run: RunId::new(id(&run)?), signal: signal.into(), payload };
    let accepted = app.command(&headers, command).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"accepted": accepted}))).into_response())
}

/// Cancels a run; its completed steps are compensated.
pub(crate) async fn cancel(
    State(app): State<App>,
    Path(run): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let reason = parameters.get("reason").map_or("cancelled", String::as_str);
    let command = RunCommand::Cancel { run: RunId::new(id(&run)?), reason: reason.into() };
    let accepted = app.command(&headers, command).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"accepted": accepted}))).into_response())
}
