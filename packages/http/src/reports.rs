//! Progress and partial output of attempts, as server-sent events.

use crate::auth::{At, Caller};
use crate::refusal::{Refusal, id};
use crate::{App, runs, tasks};
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use counterpoint::host::{Report, ReportContent, Reports};
use counterpoint::{RunId, TaskId};
use futures_util::stream::{self, Stream};
use serde_json::{Value, json};
use std::convert::Infallible;

/// Streams the reports of the attempts at the tasks of a run, until the run ends.
pub(crate) async fn of_run(
    State(app): State<App>,
    At(run): At<String>,
    caller: Caller,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let run = runs::readable(&app, &caller, RunId::new(id(&run)?)).await?;
    Ok(stream_of(app.host.reports(run).await?))
}

/// Streams the reports of the attempts at a task, until the task ends.
pub(crate) async fn of_task(
    State(app): State<App>,
    At(task): At<String>,
    caller: Caller,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let task = tasks::readable(&app, &caller, TaskId::new(id(&task)?)).await?;
    Ok(stream_of(app.host.task_reports(task).await?))
}

fn stream_of(reports: Reports) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = stream::unfold(reports, |mut reports| async {
        let (name, data) = shown(&reports.next().await?);
        Some((Ok(Event::default().event(name).data(data.to_string())), reports))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

/// The name and the data of the event of a report.
fn shown(report: &Report) -> (&'static str, Value) {
    let attempt = json!({"task": report.attempt.task().get().to_string(), "number": report.attempt.number().get()});
    let of = |name: &str, what: Value| json!({"attempt": attempt, "kind": report.kind, name: what});
    match &report.content {
        ReportContent::Progress(progress) => ("progress", of("progress", json!(progress))),
        ReportContent::Chunk { number, chunk } => {
            let mut data = of("chunk", json!(chunk));
            data["number"] = json!(number);
            ("chunk", data)
        }
        _ => ("other", of("other", Value::Null)),
    }
}
