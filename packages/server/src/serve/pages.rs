//! The pages that show runs, agents and dead letters.

use super::Site;
use super::html::{data, escaped, page};
use super::session::{Visitor, message};
use crate::control::options;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use counterpoint::engine::{Awaited, RunCursor, RunFilter, RunStanding, RunView};
use counterpoint::journal::EventFilter;
use counterpoint::task::AgentStatus;
use counterpoint::{Engine, RunId, RunOutcome, Time};
use futures_util::stream;
use serde::Deserialize;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

/// The number of runs in a page.
const PAGE: usize = 50;
/// The number of lines of a run's history.
const LINES: usize = 200;
/// The least time between two changes that a reader gets.
const PAUSE: Duration = Duration::from_millis(250);

/// A failure of the host, as a page.
fn broken(error: impl std::fmt::Display) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, Html(message(&error.to_string()))).into_response()
}

fn missing() -> Response {
    (StatusCode::NOT_FOUND, Html(message("there is no such page"))).into_response()
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Asked {
    workflow: String,
    standing: String,
    after: String,
}

fn name_of(run: &RunView<'_>) -> String {
    run.spec().key().map_or_else(|| format!("{} {}", run.definition().name, run.id().get()), ToString::to_string)
}

/// A time, to the second.
fn clock(time: Time) -> String {
    let text = time.to_string();
    let text = text.get(..19).map_or_else(|| text.clone(), |text| text.replace('T', " "));
    format!("<time>{}</time>", escaped(&text))
}

/// A word for the state of a run, with a class for its colour.
fn state(run: &RunView<'_>) -> (&'static str, &'static str) {
    match run.outcome() {
        Some(RunOutcome::Succeeded { .. }) => ("good", "succeeded"),
        Some(RunOutcome::Compensated { .. }) => ("bad", "compensated"),
        Some(_) => ("bad", "failed"),
        None if run.paused().is_some() => ("wait", "paused"),
        None if run.standing() == RunStanding::Stalled => ("wait", "waits"),
        None => ("dim", "running"),
    }
}

/// The list of runs.
pub(super) async fn runs(State(site): State<Site>, headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    let visitor = match Visitor::of(&site, &headers, "the runs") {
        Ok(visitor) => visitor,
        Err(answer) => return *answer,
    };
    let mut filter = RunFilter::default();
    if !asked.workflow.is_empty() {
        filter = filter.with_workflow(asked.workflow.as_str());
    }
    let standings =
        [("going", RunStanding::Going), ("stalled", RunStanding::Stalled), ("finished", RunStanding::Finished)];
    if let Some((_, standing)) = standings.iter().find(|(word, _)| *word == asked.standing) {
        filter = filter.with_standing(*standing);
    }
    let after: Option<RunCursor> = serde_json::from_str(&asked.after).ok();
    let look = move |engine: &Engine| {
        let page = engine.find_runs(&filter, after, PAGE);
        let mut rows = String::new();
        for run in &page.runs {
            let (class, word) = state(run);
            let waits = run.waits_for();
            let waits = waits.first().map_or_else(String::new, |wait| escaped(wait));
            let _ = write!(
                rows,
                "<tr><td><a href=\"/runs/{}\">{}</a><td>{} v{}<td class={class}>{word}<td>{}<td>{waits}",
                run.id().get(),
                escaped(&name_of(run)),
                escaped(&run.definition().name),
                run.definition().version,
                clock(run.began()),
            );
        }
        let next = page.next.and_then(|cursor| serde_json::to_string(&cursor).ok());
        let names: std::collections::BTreeSet<String> =
            engine.definitions().iter().map(|known| known.definition.name.to_string()).collect();
        (rows, next, names)
    };
    let (rows, next, names) = match site.app.host().inspect(look).await {
        Ok(found) => found,
        Err(error) => return broken(error),
    };
    let option = |value: &str, text: &str, chosen: &str| {
        let selected = if value == chosen { " selected" } else { "" };
        format!("<option value=\"{}\"{selected}>{}</option>", escaped(value), escaped(text))
    };
    let workflows: String = names.iter().map(|name| option(name, name, &asked.workflow)).collect();
    let states: String = [("going", "running"), ("stalled", "waiting"), ("finished", "ended")]
        .iter()
        .map(|(value, text)| option(value, text, &asked.standing))
        .collect();
    let more = next.map_or_else(String::new, |next| {
        let query = format!(
            "workflow={}&standing={}&after={}",
            encoded(&asked.workflow),
            encoded(&asked.standing),
            encoded(&next)
        );
        format!("<p><a href=\"/runs?{}\">More runs</a></p>", escaped(&query))
    });
    let rows = if rows.is_empty() { "<tr><td colspan=5 class=dim>No runs".to_owned() } else { rows };
    let content = format!(
        "<form class=row><label>Workflow <select name=workflow>{}{workflows}</select></label>
<label>State <select name=standing>{}{states}</select></label><button>Filter</button></form>
<div class=scroll><table><thead><tr><th>Run<th>Workflow<th>State<th>Began<th>Waits for</thead><tbody>{rows}</tbody></table></div>{more}",
        option("", "all", &asked.workflow),
        option("", "all", &asked.standing),
    );
    Html(page("Runs", Some(""), visitor.principal.name.as_str(), &content)).into_response()
}

/// A text as a part of a query.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut found, byte| {
        if byte.is_ascii_alphanumeric() {
            found.push(char::from(byte));
        } else {
            let _ = write!(found, "%{byte:02X}");
        }
        found
    })
}

/// One run.
pub(super) async fn run(State(site): State<Site>, headers: HeaderMap, Path(id): Path<u64>) -> Response {
    let visitor = match Visitor::of(&site, &headers, "a run") {
        Ok(visitor) => visitor,
        Err(answer) => return *answer,
    };
    let id = RunId::new(id);
    let found = match site.app.host().inspect(move |engine| Some((of_run(engine, id)?, engine.now()))).await {
        Ok(found) => found,
        Err(error) => return broken(error),
    };
    let Some(((title, top, bottom), now)) = found else { return missing() };
    let forecast =
        site.view.forecast(id, now).map_or_else(String::new, |text| format!("<p>Forecast: {}</p>", escaped(&text)));
    let graph =
        site.view.graph(id).map_or_else(String::new, |svg| format!("<h2>Graph</h2><div class=picture>{svg}</div>"));
    let timeline = site
        .view
        .timeline_of(id)
        .map_or_else(String::new, |svg| format!("<h2>Timeline</h2><div class=picture>{svg}</div>"));
    let content = format!("{top}{forecast}{graph}{timeline}{bottom}");
    Html(page(&title, Some(&format!("?run={}", id.get())), visitor.principal.name.as_str(), &content)).into_response()
}

fn of_run(engine: &Engine, id: RunId) -> Option<(String, String, String)> {
    let run = engine.run(id)?;
    let (class, word) = state(&run);
    let cause = run.outcome().and_then(|outcome| outcome.cause().map(ToString::to_string));
    let cause = cause.map_or_else(String::new, |cause| format!(": {}", escaped(&cause)));
    let skipped: Vec<String> = run.skipped_by_operator().map(|node| escaped(&node.name())).collect();
    let skipped = match skipped.is_empty() {
        true => String::new(),
        false => format!("; skipped by an operator: {}", skipped.join(", ")),
    };
    let mut top = format!(
        "<p><span class={class}>{word}</span>{cause}{skipped}<br><span class=dim>{} version {}, began {}</span></p>",
        escaped(&run.definition().name),
        run.definition().version,
        clock(run.began())
    );
    let waits = run.waits_for();
    if !waits.is_empty() {
        let list: String = waits.iter().map(|wait| format!("<li>{}", escaped(wait))).collect();
        let _ = write!(top, "<h2>Waits for</h2><ul>{list}</ul>");
    }
    top.push_str(&forms(engine, &run));
    let mut nodes = String::new();
    for node in run.nodes() {
        let _ = write!(nodes, "<tr><td>{}<td>{}", escaped(&node.name()), escaped(&node.status().to_string()));
    }
    let output = match run.outcome() {
        Some(RunOutcome::Succeeded { output }) => output.value().clone(),
        _ => run.output_so_far().value().clone(),
    };
    let lines: String = engine
        .story(id)
        .iter()
        .rev()
        .take(LINES)
        .map(|line| format!("<tr><td class=dim>{}<td>{}", clock(line.at), escaped(&line.text)))
        .collect();
    let bottom = format!(
        "<div class=grid><section><h2>Input</h2>{}</section><section><h2>Output</h2>{}</section></div>
<h2>Nodes</h2><div class=scroll><table><tbody>{nodes}</tbody></table></div>
<h2>History, the newest first</h2><div class=scroll><table><tbody>{lines}</tbody></table></div>",
        data(run.spec().input.value()),
        data(&output)
    );
    Some((name_of(&run), top, bottom))
}

/// The forms for what can be done with a run now.
fn forms(engine: &Engine, run: &RunView<'_>) -> String {
    if run.outcome().is_some() {
        return String::new();
    }
    let id = run.id().get();
    let mut found = "<h2>Operations</h2>".to_owned();
    for wait in run.waits().into_iter().filter(|wait| wait.run == run.id()) {
        let node = wait.node.as_deref().map(escaped).unwrap_or_default();
        match &wait.on {
            Awaited::Signal { signal } => {
                let signal = escaped(signal);
                let _ = write!(
                    found,
                    "<form class=row method=post action=\"/runs/{id}/signal\"><input type=hidden name=signal value=\"{signal}\">
<label>Signal {signal} with <input name=payload placeholder=\"JSON, or nothing\"></label><button>Signal</button></form>"
                );
            }
            Awaited::Decision { .. } => {
                let name = wait.node.clone().unwrap_or_else(|| "".into());
                let buttons: String = options(engine, wait.run, &name)
                    .iter()
                    .map(|option| format!("<button name=option value=\"{0}\">{0}</button>", escaped(option)))
                    .collect();
                let _ = write!(
                    found,
                    "<form class=row method=post action=\"/runs/{id}/decide\"><input type=hidden name=node value=\"{node}\">
<label>Decide {node}, note <input name=note></label>{buttons}</form>"
                );
            }
            Awaited::Resolution { .. } | Awaited::Remedy => {
                let _ = write!(
                    found,
                    "<form class=row method=post action=\"/runs/{id}/retry\"><input type=hidden name=node value=\"{node}\">
<span>{node}</span><button>Retry</button><button formaction=\"/runs/{id}/skip\">Skip</button></form>"
                );
            }
            _ => {}
        }
    }
    let _ = write!(
        found,
        "<form class=row method=post action=\"/runs/{id}/cancel\"><label>Reason <input name=reason required></label><button>Cancel the run</button></form>"
    );
    found
}

/// The word for the state of an agent, as the API has it.
fn status_word(status: AgentStatus) -> String {
    serde_json::to_value(status).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The agents and their load.
pub(super) async fn agents(State(site): State<Site>, headers: HeaderMap) -> Response {
    let visitor = match Visitor::of(&site, &headers, "the agents") {
        Ok(visitor) => visitor,
        Err(answer) => return *answer,
    };
    let look = |engine: &Engine| {
        let mut rows = String::new();
        for agent in engine.agents() {
            let spec = agent.spec();
            let name = spec.name.as_ref().map_or_else(|| spec.id.get().to_string(), ToString::to_string);
            let skills: Vec<&str> = spec.skills.keys().map(|skill| skill.as_str()).collect();
            let status = status_word(agent.status());
            let _ = write!(
                rows,
                "<tr><td>{}<td>{}<td>{} of {}<td>{}",
                escaped(&name),
                escaped(&status),
                agent.in_flight(),
                agent.slots(),
                escaped(&skills.join(", "))
            );
        }
        let lacking: String = engine.unroutable().map(|group| format!("<li>{}", escaped(&group.to_string()))).collect();
        (rows, lacking)
    };
    let (rows, lacking) = match site.app.host().inspect(look).await {
        Ok(found) => found,
        Err(error) => return broken(error),
    };
    let rows = if rows.is_empty() { "<tr><td colspan=4 class=dim>No agents".to_owned() } else { rows };
    let lacking = if lacking.is_empty() {
        lacking
    } else {
        format!("<h2>Tasks that no agent can perform</h2><ul class=bad>{lacking}</ul>")
    };
    let content = format!(
        "<div class=scroll><table><thead><tr><th>Agent<th>State<th>Attempts<th>Skills</thead><tbody>{rows}</tbody></table></div>{lacking}"
    );
    Html(page("Agents", Some(""), visitor.principal.name.as_str(), &content)).into_response()
}

/// The tasks that have failed for good.
pub(super) async fn dead_letters(State(site): State<Site>, headers: HeaderMap) -> Response {
    let visitor = match Visitor::of(&site, &headers, "the dead letters") {
        Ok(visitor) => visitor,
        Err(answer) => return *answer,
    };
    let look = |engine: &Engine| {
        let mut rows = String::new();
        for task in engine.dead_letters().take(500) {
            let why = match task.outcome() {
                Some((counterpoint::TaskOutcome::DeadLettered(failure), _)) => failure.to_string(),
                _ => String::new(),
            };
            let id = task.spec().id.get();
            let _ = write!(
                rows,
                "<tr><td>{id}<td>{}<td>{}<td>{}<td><form method=post action=\"/dead-letters/{id}/replay\"><button>Replay</button>
<button formaction=\"/dead-letters/{id}/discard\">Discard</button></form>",
                escaped(&task.spec().kind),
                task.attempts(),
                escaped(&why)
            );
        }
        rows
    };
    let rows = match site.app.host().inspect(look).await {
        Ok(rows) => rows,
        Err(error) => return broken(error),
    };
    let rows = if rows.is_empty() { "<tr><td colspan=5 class=dim>None".to_owned() } else { rows };
    let content = format!(
        "<div class=scroll><table><thead><tr><th>Task<th>Kind<th>Attempts<th>Failure<th>Operations</thead><tbody>{rows}</tbody></table></div>"
    );
    Html(page("Dead letters", Some(""), visitor.principal.name.as_str(), &content)).into_response()
}

#[derive(Deserialize)]
pub(super) struct About {
    run: Option<u64>,
}

/// A stream with an event whenever something has changed.
pub(super) async fn live(State(site): State<Site>, headers: HeaderMap, Query(about): Query<About>) -> Response {
    if let Err(answer) = Visitor::of(&site, &headers, "the events") {
        return *answer;
    }
    let filter = about.run.map_or_else(EventFilter::all, |run| EventFilter::all().about(RunId::new(run)));
    let events = match site.app.host().events(filter, 64).await {
        Ok(events) => events,
        Err(error) => return broken(error),
    };
    let changes = stream::unfold(events, |mut events| async {
        events.next().await?;
        // What happens in the meantime is one change.
        tokio::time::sleep(PAUSE).await;
        Some((Ok::<_, Infallible>(Event::default().event("change").data("1")), events))
    });
    Sse::new(changes).keep_alive(KeepAlive::default()).into_response()
}
