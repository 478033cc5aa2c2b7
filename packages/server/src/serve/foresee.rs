//! What an operation on a run would do: it is performed on a copy of the engine, which is then dropped.

use super::Site;
use super::actions::Fields;
use super::html::{Page, escaped, hidden};
use super::pages::broken;
use super::session::Visitor;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use counterpoint::engine::EngineSnapshot;
use counterpoint::{Command, Config, Engine, Outbox, RunCommand};
use std::fmt::Write as _;

/// The number of consequences that are shown.
const SHOWN: usize = 100;

/// The events that a command would cause, as text, and whether it would be accepted.
fn consequences(snapshot: &EngineSnapshot, command: RunCommand) -> Result<Vec<String>, String> {
    let none: [counterpoint::Entry; 0] = [];
    let mut engine = Engine::restore(Config::default(), Some(snapshot), &none).map_err(|error| error.to_string())?;
    let mut out = Outbox::default();
    // What is due anyway is no consequence of the operation.
    let now = engine.now();
    _ = engine.handle(now, Command::Tick, &mut Outbox::default());
    engine.handle(now, Command::from(command), &mut out).map_err(|rejected| engine.explain(&rejected))?;
    let entries = out.entries();
    let mut lines: Vec<String> =
        entries.iter().take(SHOWN).map(|entry| counterpoint_playground::without_ids(&engine.describe(entry))).collect();
    if entries.len() > SHOWN {
        lines.push(format!("and {} more events", entries.len() - SHOWN));
    }
    Ok(lines)
}

/// Shows the consequences of an operation, with a button that performs it.
pub(super) async fn foresee(
    site: &Site,
    visitor: &Visitor,
    command: RunCommand,
    (action, fields): (&str, &Fields),
    back: &str,
) -> Response {
    let snapshot = match site.app.host().inspect(|engine| engine.snapshot()).await {
        Ok(snapshot) => snapshot,
        Err(error) => return broken(error),
    };
    // Building an engine takes time that the one at work must not lose.
    let found = match tokio::task::spawn_blocking(move || consequences(&snapshot, command)).await {
        Ok(found) => found,
        Err(error) => return broken(error),
    };
    let title = format!("What `{action}` would do");
    let page = Page { title: &title, path: "/runs", live: None, visitor: visitor.principal.name.as_str() };
    let return_link = format!("<p><a href=\"{back}\">Back to the run; nothing was changed</a></p>");
    match found {
        Ok(lines) => {
            let list: String = lines.iter().map(|line| format!("<li>{}", escaped(line))).collect();
            let list = if list.is_empty() { "<li>nothing".to_owned() } else { list };
            // The same form without the field that asks for consequences.
            let same = serde_json::to_value(fields).unwrap_or_default();
            let mut form = String::new();
            for (name, value) in same.as_object().into_iter().flatten() {
                if let (Some(value), true) = (value.as_str().filter(|value| !value.is_empty()), name != "dry") {
                    form.push_str(&hidden(name, value));
                }
            }
            let mut content =
                format!("<p>Nothing has been changed yet. These events would follow at once:</p><ol>{list}</ol>");
            let _ = write!(
                content,
                "<form class=row method=post action=\"{back}/{}\">{form}<button class=danger>Do it: {}</button></form>{return_link}",
                escaped(action),
                escaped(action)
            );
            Html(page.with(&content)).into_response()
        }
        Err(why) => {
            let content = format!("<p class=bad role=alert>It would be rejected: {}</p>{return_link}", escaped(&why));
            (StatusCode::CONFLICT, Html(page.with(&content))).into_response()
        }
    }
}
