//! Schedules.

use crate::App;
use crate::Parameters;
use crate::auth::{At, Caller, Given};
use crate::refusal::{Refusal, read};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use counterpoint::engine::ScheduleView;
use counterpoint::message::rejected::Unknown;
use counterpoint::schedule::ScheduleSpec;
use counterpoint::{Accepted, Engine, Name, Rejected, ScheduleCommand};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// The number of nominal times that a view shows.
const NEXT: usize = 5;
/// The number of schedules in a list.
const MOST: usize = 1_000;

/// What is done with a schedule.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Operation {
    Pause { note: Name },
    Resume { note: Name },
    Trigger { request: Name },
}

fn shown(view: &ScheduleView<'_>) -> Value {
    let counts = view.counts();
    let recent = view.recent().map(|(_, run)| run.get().to_string());
    json!({
        "id": view.spec().id,
        "spec": view.spec(),
        "paused": view.paused(),
        "next": view.next_times(NEXT).iter().map(ToString::to_string).collect::<Vec<_>>(),
        "active": view.active().map(|run| run.get().to_string()).collect::<Vec<_>>(),
        "recent": recent.collect::<Vec<_>>(),
        "fired": counts.fired, "skipped": counts.skipped, "missed": counts.missed,
    })
}

/// Lists the schedules.
pub(crate) async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Value>, Refusal> {
    app.may_read(&caller, "the schedules")?;
    let look = |engine: &Engine| engine.schedules().take(MOST).map(|view| shown(&view)).collect::<Vec<_>>();
    Ok(Json(json!({"schedules": app.host.inspect(look).await?})))
}

/// Returns one schedule.
pub(crate) async fn one(State(app): State<App>, At(id): At<String>, caller: Caller) -> Result<Json<Value>, Refusal> {
    app.may_read(&caller, "a schedule")?;
    Ok(Json(of(&app, id).await?))
}

async fn of(app: &App, id: String) -> Result<Value, Refusal> {
    let unknown = Unknown::Schedule { schedule: id.as_str().into(), nearest: None };
    let found = app.host.inspect(move |engine: &Engine| engine.schedule(&id).map(|view| shown(&view))).await?;
    Ok(found.ok_or(Rejected::Unknown(unknown))?)
}

/// Creates a schedule, or gives the one with this id another specification.
pub(crate) async fn put(
    State(app): State<App>,
    At(id): At<String>,
    caller: Caller,
    Given(content): Given,
) -> Result<Response, Refusal> {
    let spec: ScheduleSpec = app.bodies.parse(content, read).await??;
    if spec.id.as_str() != id {
        return Err(Refusal::invalid("two_ids", format!("the path has the id `{id}`, the body `{}`", spec.id)));
    }
    let spec = Arc::new(spec);
    let known = {
        let id = id.clone();
        app.host.inspect(move |engine: &Engine| engine.schedule(&id).is_some()).await?
    };
    let command =
        if known { ScheduleCommand::Update(Arc::clone(&spec)) } else { ScheduleCommand::Create(Arc::clone(&spec)) };
    let accepted = app.command(&caller, command).await?;
    let made = !known && !matches!(accepted, Accepted::Repeated);
    let status = if made { StatusCode::CREATED } else { StatusCode::OK };
    let location = format!("/v1/schedules/{}", encoded(&id));
    Ok((status, [(LOCATION, location)], Json(of(&app, id).await?)).into_response())
}

/// A part of a path.
fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// Pauses, resumes or fires a schedule.
pub(crate) async fn operate(
    State(app): State<App>,
    At(id): At<String>,
    caller: Caller,
    Given(content): Given,
) -> Result<Response, Refusal> {
    let schedule = Name::from(id.as_str());
    let command = match app.bodies.parse(content, read).await?? {
        Operation::Pause { note } => ScheduleCommand::Pause { schedule, note },
        Operation::Resume { note } => ScheduleCommand::Resume { schedule, note },
        Operation::Trigger { request } => ScheduleCommand::Trigger { schedule, request, overlap: None },
    };
    let accepted = app.command(&caller, command).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"accepted": accepted}))).into_response())
}

/// Deletes a schedule. Its runs under way continue.
pub(crate) async fn delete(
    State(app): State<App>,
    At(id): At<String>,
    parameters: Parameters,
    caller: Caller,
) -> Result<StatusCode, Refusal> {
    let reason = parameters.get("reason").unwrap_or("deleted");
    app.command(&caller, ScheduleCommand::Delete { schedule: id.into(), reason: reason.into() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn an_id_is_a_part_of_a_path() {
        assert_eq!(encoded("nightly.etl-1"), "nightly.etl-1");
        assert_eq!(encoded("a/b ?ü\r"), "a%2Fb%20%3F%C3%BC%0D");
    }
}
