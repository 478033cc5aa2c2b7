//! The page of schedules.

use super::Site;
use super::html::{Page, clock, escaped, hidden, option, table};
use super::pages::broken;
use super::session::Visitor;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{Html, IntoResponse, Response};
use counterpoint::Engine;
use counterpoint::engine::ScheduleView;
use counterpoint::schedule::Rule;
use std::collections::BTreeSet;

/// The number of schedules that are shown.
const ROWS: usize = 500;

/// The rule of a schedule in words.
fn rule(of: &Rule) -> String {
    match of {
        Rule::Cron(text) => escaped(text),
        Rule::Every { every, .. } => {
            let seconds = std::time::Duration::from_secs(every.as_secs());
            format!("every {}", humantime::format_duration(seconds))
        }
        _ => "a calendar".to_owned(),
    }
}

fn row(schedule: &ScheduleView<'_>) -> String {
    let spec = schedule.spec();
    let id = escaped(&spec.id);
    let rules: Vec<String> = spec.timing.rules.iter().map(rule).collect();
    let zone = escaped(&spec.timing.zone);
    let times: Vec<String> = schedule.next_times(3).into_iter().map(clock).collect();
    let next = match schedule.paused() {
        Some(reason) => format!("<span class=wait>paused: {}</span>", escaped(reason)),
        None if times.is_empty() => "<span class=dim>none</span>".to_owned(),
        None => times.join("<br>"),
    };
    let recent: Vec<(String, u64)> = schedule.recent().map(|(at, run)| (clock(at.at()), run.get())).collect();
    let recent: Vec<String> =
        recent.iter().rev().take(3).map(|(at, run)| format!("<a href=\"/runs/{run}\">{at}</a>")).collect();
    let counts = schedule.counts();
    let turn = if schedule.paused().is_some() { ("resume", "Resume") } else { ("pause", "Pause") };
    format!(
        "<tr><th scope=row>{id}<td>{}<td>{}<br><span class=dim>{zone}</span><td>{next}<td>{}<td>{} fired, {} skipped, {} missed<td><form method=post action=/schedules>{}{}<button name=action value=trigger aria-label=\"Trigger {id}\">Trigger</button>
<button name=action value={} aria-label=\"{} {id}\">{}</button></form>",
        escaped(&spec.workflow),
        rules.join(", "),
        recent.join("<br>"),
        counts.fired,
        counts.skipped,
        counts.missed,
        hidden("schedule", &spec.id),
        hidden("once", crate::control::token().get(..12).unwrap_or_default()),
        turn.0,
        turn.1,
        turn.1
    )
}

/// The form that makes a schedule.
fn create(names: &BTreeSet<String>) -> String {
    let names: String = names.iter().map(|name| option(name, name, "")).collect();
    if names.is_empty() {
        return String::new();
    }
    format!(
        "<section id=create><details id=creating><summary>New schedule</summary><form class=row method=post action=/schedules>
<label>Name <input name=schedule required size=12></label><label>Workflow <select name=workflow>{names}</select></label>
<label>Cron expression (UTC) <input name=cron required size=12 placeholder=\"0 3 * * *\"></label>
<label>Input <textarea name=input rows=1 placeholder=\"JSON, or nothing\"></textarea></label><button name=action value=create>Create</button></form></details></section>"
    )
}

/// The schedules with their next times.
pub(super) async fn schedules(State(site): State<Site>, headers: HeaderMap) -> Response {
    let visitor = match Visitor::of(&site, &headers, "the schedules") {
        Ok(visitor) => visitor,
        Err(answer) => return *answer,
    };
    let look = |engine: &Engine| {
        let rows: String = engine.schedules().take(ROWS).map(|schedule| row(&schedule)).collect();
        let offered = engine.definitions().into_iter().filter(|known| known.is_offered);
        let names: BTreeSet<String> = offered.map(|known| known.definition.name.to_string()).collect();
        (rows, names)
    };
    let (rows, names) = match site.app.host().inspect(look).await {
        Ok(rows) => rows,
        Err(error) => return broken(error),
    };
    let heads = ["Schedule", "Workflow", "Times", "Next (UTC)", "Latest runs", "Counts", "Operations"];
    let content = format!("<section id=schedules>{}</section>{}", table("Schedules", &heads, &rows), create(&names));
    let visitor = visitor.principal.name.as_str();
    Html(Page { title: "Schedules", path: "/schedules", live: Some(""), visitor }.with(&content)).into_response()
}
