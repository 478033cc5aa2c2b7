//! Workflows and their runs.

use crate::auth::{At, Caller, Given, key, trace};
use crate::refusal::{Refusal, id, read};
use crate::tasks::own_id;
use crate::{App, Parameters, wait};
use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use counterpoint::access::Principal;
use counterpoint::engine::{RunCursor, RunFilter, RunView};
use counterpoint::language::Document;
use counterpoint::message::rejected::Unknown;
use counterpoint::{Accepted, Command, Engine, Limits, Name, Payload, Rejected, RunCommand, RunId, RunSpec, Tier};
use counterpoint_serving::Key;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

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
    tenant: Option<Name>,
}

/// The engine's id of a run, if the caller may read about it.
pub(crate) async fn readable(app: &App, caller: &Caller, run: RunId) -> Result<RunId, Refusal> {
    let (gate, now, token) = (Arc::clone(&app.gate), app.host.now(), caller.token.clone());
    Ok(app.host.inspect(move |engine: &Engine| gate.admit_run(now, Some(&token), run, engine).granted).await??)
}

/// Adds a workflow in the definition language. The answer lists what differs from an earlier definition of the version, which
/// a compatible one replaces.
pub(crate) async fn define(State(app): State<App>, caller: Caller, Given(content): Given) -> Result<Response, Refusal> {
    let compile = |bytes: &[u8]| {
        let document: Document = read(bytes)?;
        document.compile(&Limits::default()).map_err(Refusal::from)
    };
    let definition = app.bodies.parse(content, compile).await??;
    let (name, version) = (definition.name.clone(), definition.version);
    let accepted = app.command(&caller, Command::define(definition)).await?;
    let (status, changed) = match accepted {
        Accepted::Repeated => (StatusCode::OK, Vec::new()),
        Accepted::Compatible { changed } => (StatusCode::OK, changed),
        _ => (StatusCode::CREATED, Vec::new()),
    };
    let changed: Vec<String> = changed.iter().map(ToString::to_string).collect();
    Ok((status, Json(json!({"name": name, "version": version, "changed": changed}))).into_response())
}

/// Lists the workflows, with the inputs that they declare.
pub(crate) async fn definitions(State(app): State<App>, caller: Caller) -> Result<Json<Value>, Refusal> {
    app.may_read(&caller, "the workflows")?;
    let look = |engine: &Engine| {
        let definitions = engine.definitions();
        let shown = definitions.iter().map(|view| {
            json!({
                "name": view.id.name, "version": view.id.version, "is_default": view.is_default,
                "active": view.active, "finished": view.finished, "inputs": view.definition.inputs,
            })
        });
        shown.collect::<Vec<_>>()
    };
    Ok(Json(json!({"workflows": app.host.inspect(look).await?})))
}

fn spec(bytes: &[u8], key: Option<&Key>, caller: &Principal) -> Result<RunSpec, Refusal> {
    let mut fields: Map<String, Value> = read(bytes)?;
    let kept = own_id(&mut fields, "run", key, caller)?;
    let new: NewRun = serde_json::from_value(fields.into()).map_err(|e| Refusal::invalid("shape", e.to_string()))?;
    let mut spec = RunSpec::new(RunId::new(id(&new.id)?), new.workflow).with_input(Payload::new(new.input));
    (spec.version, spec.tier, spec.business_key, spec.tenant) = (new.version, new.tier, new.business_key, new.tenant);
    Ok(kept.into_iter().fold(spec, RunSpec::with_key))
}

/// Starts a run. A repeated request is answered by the state of the run, whatever version it follows.
pub(crate) async fn start(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Given(content): Given,
) -> Result<Response, Refusal> {
    let (key, trace, principal) = (key(&headers)?, trace(&headers), caller.principal.clone());
    let mut spec = app.bodies.parse(content, move |bytes| spec(bytes, key.as_ref(), &principal)).await??;
    if let Some(trace) = trace {
        spec.trace = trace.into();
    }
    let named = spec.id;
    let (command, begun) = app.admit(&caller, Command::start(spec)).await?;
    // That of the engine, which differs for a confined caller.
    let run = if let Command::Run(RunCommand::Start(spec)) = &command { spec.id } else { named };
    let accepted = app.perform(&caller, (command, begun)).await?;
    let status = if accepted.is_known() { StatusCode::OK } else { StatusCode::CREATED };
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
    At(run): At<String>,
    parameters: Parameters,
    caller: Caller,
) -> Result<Json<Value>, Refusal> {
    let (run, span) = (RunId::new(id(&run)?), wait(&parameters)?);
    let run = readable(&app, &caller, run).await?;
    if span == Duration::ZERO {
        return Ok(Json(shown(&app, run).await?));
    }
    let mut end = app.hub.run_end(run);
    let now = shown(&app, run).await?;
    if !now["outcome"].is_null() {
        return Ok(Json(now));
    }
    end.within(span).await;
    Ok(Json(shown(&app, run).await?))
}

/// Lists runs in pages: by `workflow`, by `business_key`, after the `next` of the previous page.
pub(crate) async fn list(
    State(app): State<App>,
    parameters: Parameters,
    caller: Caller,
) -> Result<Json<Value>, Refusal> {
    app.may_read(&caller, "the runs")?;
    let mut filter = RunFilter::default();
    if let Some(workflow) = parameters.get("workflow") {
        filter = filter.with_workflow(workflow);
    }
    if let Some(key) = parameters.get("business_key") {
        filter = filter.with_business_key(key);
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
    At((run, signal)): At<(String, String)>,
    caller: Caller,
    Given(content): Given,
) -> Result<Response, Refusal> {
    let payload = |bytes: &[u8]| if bytes.is_empty() { Ok(Payload::NULL) } else { read(bytes).map(Payload::new) };
    let payload = app.bodies.parse(content, payload).await??;
    let command = RunCommand::Signal { run: RunId::new(id(&run)?), signal: signal.into(), payload };
    let accepted = app.command(&caller, command).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"accepted": accepted}))).into_response())
}

/// Cancels a run; its completed steps are compensated.
pub(crate) async fn cancel(
    State(app): State<App>,
    At(run): At<String>,
    parameters: Parameters,
    caller: Caller,
) -> Result<Response, Refusal> {
    let reason = parameters.get("reason").unwrap_or("cancelled");
    let command = RunCommand::Cancel { run: RunId::new(id(&run)?), reason: reason.into() };
    let accepted = app.command(&caller, command).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"accepted": accepted}))).into_response())
}
